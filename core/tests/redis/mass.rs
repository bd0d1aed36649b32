//! Very many sessions: what they cost, and how late their ends are. To be measured on a release build:
//!
//! ```sh
//! cargo test --release -p tethered-core --test redis -- --ignored --nocapture --test-threads 1 mass::
//! ```

use tethered_core::session::spring::{Config, Layout};

use super::hub::shake;
use super::node::Node;
use super::resp::{Client, Server};
use super::truth::now;
use super::values::{self, Form};

const NS: &str = "spring:session:sessions:";

/// So many sessions as Spring leaves them, numbered from `first`, whose time is over at this moment of Redis' clock.
fn store_many(client: &mut Client, first: usize, count: usize, due: i64) {
    let used = now(client);
    let (long, int) = (values::long(Form::Java, used), values::integer(Form::Java, 1_800));
    let rob = values::text(Form::Java, "rob");
    let (end, kept) = (due.to_string(), (due + 300_000).to_string());
    for some in (first..first + count).collect::<Vec<_>>().chunks(1_000) {
        for i in some {
            let (hash, shadow) = (format!("{NS}s{i}"), format!("{NS}expires:s{i}"));
            let fields =
                [b"creationTime", &long[..], b"lastAccessedTime", &long, b"maxInactiveInterval", &int, NAME, &rob];
            client.send([b"HSET", hash.as_bytes()].into_iter().chain(fields).collect::<Vec<_>>().into_iter());
            client.send([&b"PEXPIREAT"[..], hash.as_bytes(), kept.as_bytes()].into_iter());
            client.send([&b"SET"[..], shadow.as_bytes(), b""].into_iter());
            client.send([&b"PEXPIREAT"[..], shadow.as_bytes(), end.as_bytes()].into_iter());
        }
        for _ in 0..4 * some.len() {
            client.receive();
        }
    }
}

const NAME: &[u8] =
    b"sessionAttr:org.springframework.session.FindByIndexNameSessionRepository.PRINCIPAL_NAME_INDEX_NAME";

/// A hub with room for all of them, on which a handshake does not renew.
fn node(server: &Server) -> Node {
    let mut node = Node::with(server, Config { layout: Layout::Indexed, ..Config::default() }, |config| {
        config.session.renew.request = false;
        config.limits.total = 1_000_000;
        config.limits.half_open = 1_000_000;
        config.limits.half_open_address = 1_000_000;
        config.limits.memory = usize::MAX;
        config.limits.first_message_ms = 86_400_000;
    });
    node.hub.record(false).expect("it can be given up at any time");
    node
}

fn bind(node: &mut Node, first: usize, count: usize) {
    for i in first..first + count {
        shake(node, &format!("s{i}"));
        if i % 1_000 == 0 {
            node.tick();
            node.out.clear();
        }
    }
    node.tick();
    node.out.clear();
}

/// What this process has used of the processor, in milliseconds.
fn cpu_ms() -> u64 {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("Linux");
    let fields: Vec<&str> = stat.rsplit(')').next().expect("a name").split(' ').collect();
    let ticks = |i: usize| fields[i].parse::<u64>().expect("a number");
    (ticks(12) + ticks(13)) * 10
}

#[test]
#[ignore = "measures: on a release build"]
fn r04_of_half_a_million_sessions_a_hundred_thousand_end_in_one_second() {
    const DUE: usize = 100_000;
    const LIVING: usize = 400_000;
    let server = Server::start();
    let client = &mut server.connect();
    let mut node = node(&server);
    let since = node.now().mono;
    let later = now(client) + 7_200_000;
    store_many(client, DUE, LIVING, later);
    bind(&mut node, DUE, LIVING);
    // All of these in one and the same second, long enough from now to be bound before.
    let second = now(client) / 1_000 * 1_000 + 90_000;
    for part in 0..10 {
        store_many(client, part * DUE / 10, DUE / 10, second + part as i64 * 100);
    }
    bind(&mut node, 0, DUE);
    println!("bound {} sessions in {} ms", node.hub.stats().sessions, node.now().mono.since(since));
    assert_eq!(node.hub.stats().sessions, (DUE + LIVING) as u64);
    assert!(now(client) < second, "bound too slowly");
    let touches = node.hub.stats().touches;
    while now(client) < second + 1_000 {
        node.pass(5);
        assert!(node.ended.is_empty() || now(client) >= second, "{:?}", node.ended.first());
    }
    let began = node.now().mono;
    let took = node.until(60_000, |node| node.ended.len() >= DUE);
    let worst = node.ended.iter().map(|ended| ended.late_ms).max().expect("they ended");
    println!("all {DUE} had ended {took} ms after that second; the latest {worst} ms after its own end");
    assert!(node.now().mono.since(began) <= 5_000 && worst <= 5_000, "{took} {worst}");
    node.pass(2_000);
    assert_eq!((node.ended.len(), node.hub.stats().sessions), (DUE, LIVING as u64));
    assert_eq!(node.hub.stats().touches, touches, "nobody was renewed");
    // Redis itself, meanwhile.
    println!(
        "Redis: {}",
        server.connect().run("INFO stats").text().lines().filter(|l| l.starts_with("expired_keys")).collect::<String>()
    );
}

#[test]
#[ignore = "measures: on a release build"]
fn the_sweep_of_a_hundred_thousand_sessions_is_paced() {
    const BOUND: usize = 100_000;
    let server = Server::start();
    let client = &mut server.connect();
    let mut node = node(&server);
    let later = now(client) + 7_200_000;
    store_many(client, 0, BOUND, later);
    bind(&mut node, 0, BOUND);
    assert_eq!(node.hub.stats().sessions, BOUND as u64);
    // Each was looked at when it was bound; the next round begins a minute after the first was.
    let asks = |node: &Node| node.sent.iter().filter(|name| *name == "EVALSHA").count();
    let (before, used, since) = (asks(&node), cpu_ms(), node.now().mono);
    let mut busiest = 0;
    let (mut first, mut last, mut seen) = (None, since, before);
    while asks(&node) < before + BOUND {
        assert!(node.now().mono.since(since) < 180_000, "{} of {BOUND}", asks(&node) - before);
        node.pass(100);
        let now = asks(&node);
        busiest = busiest.max(now - seen);
        if now > seen {
            first.get_or_insert(node.now().mono);
            last = node.now().mono;
        }
        seen = now;
    }
    let length = last.since(first.expect("there were some"));
    let share = (cpu_ms() - used) as f64 / node.now().mono.since(since) as f64;
    println!("a sweep of {BOUND} took {length} ms, at most {busiest} in 100 ms, {:.1} % of a core", share * 100.0);
    assert!(share < 0.1, "{share}");
    assert!(node.ended.is_empty());
}
