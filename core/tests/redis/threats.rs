//! What clocks and other products on the same Redis lead to, by the ids of the catalogue of faults.

use tethered_core::session::Cause;
use tethered_core::session::spring::{Config, Layout};
use tethered_core::time::UnixMillis;

use super::hub::{code, has_out, indexed, log_in, speak, talk};
use super::node::Node;
use super::resp::{Client, Server, Value};
use super::truth::now;
use super::world::{World, touch, ttl};

const ID: &str = "11111111-1111-4111-8111-111111111111";
const HASH: &str = "spring:session:sessions:11111111-1111-4111-8111-111111111111";
const SHADOW: &str = "spring:session:sessions:expires:11111111-1111-4111-8111-111111111111";

fn last_accessed(client: &mut Client) -> i64 {
    let value = client.run(&format!("HGET {HASH} lastAccessedTime"));
    i64::from_be_bytes(*value.bytes().last_chunk().expect("a Long"))
}

/// Lifetimes, and what is written down, come from Redis' clock, whatever the node's says.
#[test]
fn t02_a_nodes_clock_that_is_wrong_by_minutes_or_years_changes_nothing() {
    let server = Server::start();
    let client = &mut server.connect();
    let real = now(client) as u64;
    for wall in [0, real - 600_000, real + 600_000, real + 20 * 365 * 86_400_000, u64::MAX] {
        client.run("FLUSHALL");
        let mut node = Node::with(&server, indexed(), |config| config.session.touch_interval_ms = 0);
        node.wall = Some(UnixMillis::from_millis(wall));
        log_in(client, ID, 2);
        let socket = talk(&mut node, ID);
        node.pass(700);
        speak(&mut node, socket);
        node.pass(50);
        let ago = now(client) - last_accessed(client);
        assert!((0..500).contains(&ago), "renewed {ago} ms ago, by Redis' clock, with {wall}");
        assert!((1_000..=2_000).contains(&client.int(&format!("PTTL {SHADOW}"))), "{wall}");
        assert!(node.ended.is_empty(), "{wall}: {:?}", node.ended);
        node.take(socket);
        let took = node.until(4_000, |node| has_out(node, socket));
        assert_eq!(code(&mut node, socket), Some(1008));
        assert_eq!(node.ended[0].cause, Cause::Expired, "{wall}, after {took} ms");
        assert!(took >= 1_000, "{wall}: {took}");
    }
}

/// Whatever else an application has written into a session stays, in its own form.
#[test]
fn o06_fields_that_are_not_ours_are_kept_as_they_are() {
    let server = Server::start();
    let client = &mut server.connect();
    let all: Vec<u8> = (0..=255).collect();
    for (layout, scripts) in
        [(Layout::Indexed, true), (Layout::Indexed, false), (Layout::Plain, true), (Layout::Plain, false)]
    {
        client.run("FLUSHALL");
        let mut world = World::new(&server, Config { layout, scripts, ..Config::default() });
        log_in(client, ID, 60);
        if layout == Layout::Plain {
            client.run(&format!("DEL {SHADOW}"));
            client.run(&format!("PEXPIRE {HASH} 60000"));
        }
        client.call(&[
            b"HSET",
            HASH.as_bytes(),
            b"sessionAttr:cart",
            &all,
            b"of another product",
            b"",
            b"\xff\0",
            b"x",
        ]);
        std::thread::sleep(std::time::Duration::from_millis(50));
        assert!(ttl(&world.ask(touch(ID, 0))) > 59_000);
        assert_eq!(client.run(&format!("HGET {HASH} sessionAttr:cart")), Value::Bulk(all.clone()));
        assert_eq!(client.call(&[b"HGET", HASH.as_bytes(), b"of another product"]), Value::Bulk(Vec::new()));
        assert_eq!(client.call(&[b"HGET", HASH.as_bytes(), b"\xff\0"]), Value::Bulk(b"x".to_vec()));
        assert_eq!(client.int(&format!("HLEN {HASH}")), 7, "nothing added, {layout:?} {scripts}");
        // Another id, and what he had goes with him.
        let other = "22222222-2222-4222-8222-222222222222";
        world.ask(super::world::rename(ID, other, Some("rob"), &[]));
        let kept = client.call(&[b"HGET", format!("spring:session:sessions:{other}").as_bytes(), b"sessionAttr:cart"]);
        assert_eq!(kept, Value::Bulk(all.clone()), "{layout:?} {scripts}");
        assert_eq!(world.alarms, []);
    }
}
