//! What the server costs a Redis, as Redis itself counts it.

mod common;

use std::collections::BTreeMap;
use std::time::Duration;

use common::keys::{self, Layout};
use common::process::Process;
use common::redis::RedisServer;
use common::spring::{until, visitor};
use common::web::{Stomp, now};

/// How often each command was called, by Redis' own count.
fn counted(redis: &RedisServer) -> BTreeMap<String, u64> {
    let info = redis.ask(&["INFO", "commandstats"]);
    let lines = info.lines().filter_map(|line| line.strip_prefix("cmdstat_")?.split_once(":calls="));
    lines.map(|(name, rest)| (name.to_owned(), rest.split(',').next().unwrap_or("0").parse().unwrap_or(0))).collect()
}

/// Calls of the server's own, from before to after: all but those of the tests' looking and of what is silent for long.
fn calls(before: &BTreeMap<String, u64>, after: &BTreeMap<String, u64>) -> BTreeMap<String, u64> {
    let known = ["info", "ping", "config|get"];
    let grown = after.iter().map(|(name, count)| (name.clone(), count - before.get(name).unwrap_or(&0)));
    grown.filter(|(name, count)| *count > 0 && !known.contains(&name.as_str())).collect()
}

fn reads(redis: &RedisServer) -> u64 {
    let info = redis.ask(&["INFO", "stats"]);
    let line = info.lines().find_map(|line| line.strip_prefix("total_reads_processed:")).expect("a count");
    line.trim().parse().expect("a number")
}

fn node(redis: &RedisServer) -> Process {
    let url = format!("--redis={}", redis.url());
    let node = Process::start(&[&url, "--redis-cleanup=off"]);
    node.says("msg=\"redis connected\" connection=commands");
    until("the subscription", || redis.ask(&["PUBSUB", "CHANNELS", "__keyevent*"]).contains("__keyevent@0__:expired"));
    node
}

#[test]
fn of_all_messages_of_a_session_one_a_second_is_a_touch() {
    let redis = RedisServer::start();
    let node = node(&redis);
    const SESSIONS: u64 = 200;
    const SECONDS: u64 = 3;
    let mut all: Vec<Stomp> = (0..SESSIONS).map(|_| visitor(&redis, &node, Layout::Indexed, 60).1.stomp()).collect();
    // What the handshakes leave over is done a touch interval later.
    std::thread::sleep(Duration::from_millis(1_200));
    let (before, reads_before) = (counted(&redis), reads(&redis));
    let end = now() + Duration::from_secs(SECONDS);
    let mut messages = 0_u64;
    while now() < end {
        for stomp in &mut all {
            stomp.send("SEND", &[("destination", "/app/nothing")], "x");
            messages += 1;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    for stomp in &mut all {
        stomp.done("SEND", &[("destination", "/app/nothing")], "x");
    }
    std::thread::sleep(Duration::from_millis(1_200));
    let (calls, reads) = (calls(&before, &counted(&redis)), reads(&redis) - reads_before);
    println!("{messages} messages of {SESSIONS} sessions in {SECONDS} s: {calls:?}, {reads} reads");
    let touches = calls.get("evalsha").unwrap_or(&0) + calls.get("eval").unwrap_or(&0);
    // One at once, one a second, and a last one for what came after that.
    assert!((SESSIONS..=SESSIONS * (SECONDS + 2)).contains(&touches), "{touches} touches");
    assert!(messages > 4 * touches, "{messages} messages and {touches} touches");
    assert!(reads <= touches, "pipelined, or at worst one by one: {reads} reads for {touches} touches");
}

#[test]
fn the_end_of_somebody_elses_session_costs_no_command() {
    let redis = RedisServer::start();
    let node = node(&redis);
    let (_, browser) = visitor(&redis, &node, Layout::Indexed, 60);
    let mut stomp = browser.stomp();
    std::thread::sleep(Duration::from_millis(1_200));
    let mut client = redis.connect();
    for n in 0..1_000 {
        client.ask(&["SET", &keys::expires(&format!("somebody-else-{n}")), ""]);
    }
    let before = counted(&redis);
    for n in 0..1_000 {
        let key = keys::expires(&format!("somebody-else-{n}"));
        if n % 2 == 0 {
            client.ask(&["DEL", &key]);
        } else {
            client.ask(&["PEXPIRE", &key, "1"]);
        }
    }
    until("their end", || redis.ask(&["DBSIZE"]).parse::<u64>().expect("a number") < 10);
    stomp.stays_open(Duration::from_millis(300));
    let calls = calls(&before, &counted(&redis));
    let others: Vec<_> = calls.keys().filter(|name| !["del", "pexpire", "dbsize"].contains(&name.as_str())).collect();
    assert!(others.is_empty(), "{calls:?}");
}
