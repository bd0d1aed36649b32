//! What Redis does to us, by the ids of the catalogue of faults: the end state is right whatever was lost on the way.

mod common;

use std::time::Duration;

use common::keys::{self, Layout};
use common::process::Process;
use common::redis::RedisServer;
use common::spring::{until, visitor};
use common::web::{Browser, Stomp, now};

fn node_on(redis: &RedisServer, flags: &[&str]) -> Process {
    let url = format!("--redis={}", redis.url());
    let node = Process::start(&[&[url.as_str()], flags].concat());
    node.says("redis announces ends of sessions");
    node
}

fn open(redis: &RedisServer, node: &Process, count: usize, seconds: i32) -> Vec<(String, Stomp)> {
    (0..count)
        .map(|_| {
            let (id, browser) = visitor(redis, node, Layout::Indexed, seconds);
            (id, browser.stomp())
        })
        .collect()
}

/// Keys that ran out while Redis was down are not announced when it is up again.
#[test]
fn r02_what_ran_out_while_redis_was_down_is_closed_when_it_is_back() {
    let mut redis = RedisServer::start();
    let node = node_on(&redis, &[]);
    let mut living = open(&redis, &node, 3, 60);
    let mut ending = open(&redis, &node, 20, 3);
    // The renewals of the handshakes are written by then.
    std::thread::sleep(Duration::from_millis(300));
    redis.save();
    redis.kill();
    std::thread::sleep(Duration::from_secs(4));
    // Their time is over, but nobody has said so: they are held, not closed.
    ending[0].1.stays_open(Duration::from_millis(100));
    redis.revive();
    let since = now();
    for (_, stomp) in &mut ending {
        assert_eq!(stomp.closed().0, 1008);
    }
    // The way back takes up to 5 s, and then all are asked for within as much.
    let late = now().saturating_duration_since(since);
    assert!(late < Duration::from_secs(10), "{late:?}");
    for (_, stomp) in &mut living {
        stomp.stays_open(Duration::from_millis(100));
        stomp.done("SEND", &[("destination", "/app/nothing")], "");
    }
}

/// Where a notice comes, the data may be gone for long: its id has to be enough.
#[test]
fn r07_a_notice_that_comes_after_the_data_ends_the_session_by_its_id() {
    let redis = RedisServer::start();
    let node = node_on(&redis, &[]);
    for event in ["expired", "del"] {
        let mut one = open(&redis, &node, 1, 60);
        let (id, stomp) = &mut one[0];
        let mut client = redis.connect();
        // Without its own notice; the index is gone too.
        client.ask(&["CONFIG", "SET", "notify-keyspace-events", ""]);
        client.ask(&["FLUSHALL"]);
        stomp.stays_open(Duration::from_millis(50));
        let since = now();
        client.ask(&["PUBLISH", &format!("__keyevent@0__:{event}"), &keys::expires(id)]);
        assert_eq!(stomp.closed().0, 1008);
        let late = now().saturating_duration_since(since);
        assert!(late < Duration::from_millis(500), "{event}: {late:?}");
        client.ask(&["CONFIG", "SET", "notify-keyspace-events", "Egxe"]);
    }
    assert_eq!(node.log().matches("detector=notice").count(), 2, "{}", node.log());
}

/// We do not read for a while, and Redis cuts off who does not read: what it would have told is asked for.
#[test]
fn r08_a_reader_that_stalled_and_was_dropped_asks_for_all() {
    let redis = RedisServer::with(&["--client-output-buffer-limit", "pubsub 64kb 0 0"]);
    let node = node_on(&redis, &[]);
    let mut living = open(&redis, &node, 3, 60);
    let mut ending = open(&redis, &node, 10, 60);
    std::thread::sleep(Duration::from_millis(300));
    let signal = |name: &str| {
        let status = std::process::Command::new("kill").args([name, &node.pid().to_string()]).status();
        assert!(status.expect("kill is there").success());
    };
    signal("-STOP");
    let mut client = redis.connect();
    let subscribers = |client: &mut common::redis::RedisClient| {
        client.ask(&["PUBSUB", "NUMSUB", "__keyevent@0__:expired"]).ends_with('1')
    };
    assert!(subscribers(&mut client));
    let noise = keys::expires(&"x".repeat(100));
    until("the reader is dropped", || {
        (0..5_000).for_each(|_| client.send(&["PUBLISH", "__keyevent@0__:expired", &noise]));
        (0..5_000).for_each(|_| drop(client.read()));
        !subscribers(&mut client)
    });
    // Nobody hears of these.
    for (id, _) in &ending {
        client.ask(&["DEL", &keys::expires(id)]);
    }
    signal("-CONT");
    let since = now();
    for (_, stomp) in &mut ending {
        assert_eq!(stomp.closed().0, 1008);
    }
    let late = now().saturating_duration_since(since);
    assert!(late < Duration::from_secs(6), "{late:?}");
    for (_, stomp) in &mut living {
        stomp.stays_open(Duration::from_millis(100));
    }
}

/// A node that is killed while people log in, speak and log out leaves no key behind that lives for ever.
#[test]
fn r20_a_node_killed_between_two_writes_leaves_no_key_without_a_lifetime() {
    let redis = RedisServer::start();
    for round in 0..10 {
        let mut node = node_on(&redis, &["--touch-interval=0s", "--session-timeout=60s"]);
        let address = node.address;
        let people: Vec<_> = (0..4)
            .map(|_| {
                std::thread::spawn(move || {
                    loop {
                        // Until the node is gone, which fails in the middle of one of these.
                        let whole = std::panic::catch_unwind(|| {
                            let mut browser = Browser::log_in(address, "rob");
                            let mut stomp = browser.stomp();
                            stomp.done("SEND", &[("destination", "/app/nothing")], "");
                            browser.log_out();
                        });
                        if whole.is_err() {
                            break;
                        }
                    }
                })
            })
            .collect();
        std::thread::sleep(Duration::from_millis(300 + 37 * round));
        node.kill();
        for person in people {
            person.join().expect("it ends by itself");
        }
        let mut client = redis.connect();
        let keys = client.ask(&["KEYS", "*"]);
        assert!(keys.contains("spring:session:sessions:"), "somebody has logged in: {keys}");
        for key in keys.split_whitespace() {
            // A user's sessions: Spring lengthens no lifetime of it, and would lose those that it adds.
            if key.contains(":index:") {
                continue;
            }
            let ttl = client.ask(&["PTTL", key]).parse::<i64>().expect("a number");
            assert!(ttl > 0 || ttl == -2, "{key} has no end (round {round})");
        }
    }
}

/// Twice, and the later one first: each session ends once, with the same words.
#[test]
fn r22_notices_that_are_doubled_or_out_of_order_lead_to_the_same_end() {
    let redis = RedisServer::start();
    let node = node_on(&redis, &[]);
    let mut living = open(&redis, &node, 2, 60);
    let mut ending = open(&redis, &node, 4, 60);
    let mut client = redis.connect();
    client.ask(&["CONFIG", "SET", "notify-keyspace-events", ""]);
    let ids: Vec<String> = ending.iter().map(|(id, _)| id.clone()).collect();
    for id in &ids {
        client.ask(&["DEL", &keys::hash(id), &keys::expires(id)]);
    }
    for id in ids.iter().rev().chain(&ids) {
        for (event, key) in [("expired", keys::hash(id)), ("del", keys::expires(id)), ("expired", keys::expires(id))] {
            client.ask(&["PUBLISH", &format!("__keyevent@0__:{event}"), &key]);
            client.ask(&["PUBLISH", &format!("__keyevent@0__:{event}"), &key]);
        }
    }
    for (_, stomp) in &mut ending {
        let (code, reason, _) = stomp.closed();
        assert_eq!(code, 1008);
        assert_eq!(reason, "This connection was established under an authenticated HTTP Session that has expired");
    }
    for (_, stomp) in &mut living {
        stomp.stays_open(Duration::from_millis(200));
    }
    assert_eq!(node.log().matches("session ended").count(), ending.len(), "{}", node.log());
}
