//! Two nodes on one Redis: what is published at one reaches the clients of the other.

mod common;

use std::time::Duration;

use common::redis::RedisServer;
use common::web::Browser;
use common::{PATIENCE, Running};
use tethered_core::config::{Config, Endpoint, Login};
use tethered_smol::{RedisOptions, RedisUrl};

const CHANNEL: &str = "spring:session:tethered:0:relay";

/// A node with a STOMP endpoint for everybody.
fn node(redis: &RedisServer) -> Running {
    let endpoint = Endpoint { login: Login::None, any_origin: true, ..Endpoint::stomp("/stomp") };
    let config = Config { endpoints: vec![endpoint], guarded: Vec::new(), relay: true, ..common::config() };
    let url = RedisUrl::parse(&redis.url()).expect("an address");
    let options = RedisOptions { relay: Some(CHANNEL.to_owned()), ..RedisOptions::new(url) };
    common::prepare(config).with_redis(&options).run()
}

/// Waits until so many nodes listen.
fn listening(redis: &RedisServer, nodes: usize) {
    let until = common::web::now() + PATIENCE;
    let wanted = format!("{CHANNEL} {nodes}");
    while redis.ask(&["PUBSUB", "NUMSUB", CHANNEL]) != wanted {
        assert!(common::web::now() < until, "{nodes} nodes do not listen");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn what_is_published_at_one_node_reaches_the_other_once_and_in_order() {
    let redis = RedisServer::start();
    let (one, two) = (node(&redis), node(&redis));
    listening(&redis, 2);
    let (mut here, mut there) = (Browser::new(one.address).stomp(), Browser::new(two.address).stomp());
    for stomp in [&mut here, &mut there] {
        stomp.subscribe("0", "/topic/news");
    }
    const COUNT: usize = 500;
    for i in 0..COUNT {
        if i % 2 == 0 {
            one.handle.publish("/topic/news", Some("text/plain"), format!("number {i}")).expect("it runs");
        } else {
            // The other half comes from a client of the same node.
            here.send("SEND", &[("destination", "/topic/news"), ("n", "a\\cb"), ("content-type", "text/plain")], "x");
            let _ = here.next();
            let _ = here.next();
        }
    }
    let mut ids = Vec::new();
    for i in 0..COUNT {
        let message = there.next();
        assert!(message.starts_with("MESSAGE\ndestination:/topic/news\ncontent-type:text/plain\n"), "{message}");
        if i % 2 == 0 {
            assert!(message.ends_with(&format!("\n\nnumber {i}\0")), "{i}: {message}");
        } else {
            assert!(message.contains("\nn:a\\cb\n") && message.ends_with("\n\nx\0"), "{i}: {message}");
        }
        ids.extend(message.lines().find_map(|line| line.strip_prefix("message-id:")).map(str::to_owned));
    }
    ids.dedup();
    assert_eq!(ids.len(), COUNT, "each came once");
    here.stays_open(Duration::from_millis(100));
    one.handle.publish("/topic/news", None, "last").expect("it runs");
    for stomp in [&mut here, &mut there] {
        assert!(stomp.next().ends_with("\n\nlast\0"), "and nothing came twice");
    }
}

#[test]
fn what_others_write_to_the_channel_is_ignored() {
    let redis = RedisServer::start();
    let node = node(&redis);
    listening(&redis, 1);
    let mut stomp = Browser::new(node.address).stomp();
    stomp.subscribe("0", "/topic/news");
    for bytes in [&b""[..], b"hello", &[1, 0], &[1, 0, 255, 255, 255, 255], &[0xFF; 100_000]] {
        redis.connect().ask(&[b"PUBLISH", CHANNEL.as_bytes(), bytes]);
    }
    node.handle.publish("/topic/news", None, "still here").expect("it runs");
    assert!(stomp.next().ends_with("\n\nstill here\0"));
}

#[test]
fn nodes_find_each_other_again() {
    let mut redis = RedisServer::start();
    let (one, two) = (node(&redis), node(&redis));
    listening(&redis, 2);
    let mut there = Browser::new(two.address).stomp();
    there.subscribe("0", "/topic/news");
    redis.kill();
    // Those at the node itself miss nothing meanwhile.
    two.handle.publish("/topic/news", None, "alone").expect("it runs");
    assert!(there.next().ends_with("\n\nalone\0"));
    redis.revive();
    listening(&redis, 2);
    // It is sent once: what is published before its own connection stands again reaches nobody.
    for _ in 0..30 {
        one.handle.publish("/topic/news", None, "together").expect("it runs");
        std::thread::sleep(Duration::from_millis(100));
    }
    assert!(there.next().ends_with("\n\ntogether\0"));
}
