//! A touch meets the end of its session: no key is left behind, and none comes back.

use std::sync::mpsc;

use tethered_core::session::spring::{Config, Layout, Serializer};
use tethered_core::session::{Answer, Op};

use super::resp::{Server, Value};
use super::truth::store;
use super::values::Form;
use super::world::{World, create, end, rename, touch, ttl};

const NS: &str = "spring:session:sessions:";
const ID: &str = "11111111-1111-4111-8111-111111111111";
const NEW: &str = "22222222-2222-4222-8222-222222222222";
const HASH: &str = "spring:session:sessions:11111111-1111-4111-8111-111111111111";
const SHADOW: &str = "spring:session:sessions:expires:11111111-1111-4111-8111-111111111111";

/// So many rounds: the keys are deleted while a touch is on its way. Whatever comes first, in the end nothing is there
/// but the entry of a due time.
fn touch_and_delete(config: &Config, rounds: usize) {
    let server = Server::start();
    let mut world = World::new(&server, config.clone());
    let (mut client, mut other) = (server.connect(), server.connect());
    // A transaction takes several round trips.
    let spins = if config.scripts { 2_000 } else { 12_000 };
    let (go, gone) = (mpsc::channel::<usize>(), mpsc::channel::<()>());
    let deleter = std::thread::spawn({
        let (go, gone) = (go.1, gone.0);
        move || {
            while let Ok(round) = go.recv() {
                // Now before, now after, now amid.
                for _ in 0..round % 7 * spins {
                    std::hint::spin_loop();
                }
                if round % 2 == 0 {
                    other.run(&format!("DEL {HASH} {SHADOW}"));
                } else {
                    other.run(&format!("DEL {HASH}"));
                    other.run(&format!("DEL {SHADOW}"));
                }
                gone.send(()).expect("somebody waits");
            }
        }
    });
    let (mut alive, mut over) = (0, 0);
    for round in 0..rounds {
        store(&mut client, ID, Form::Java, 10_000, 60);
        if config.layout == Layout::Indexed {
            client.call(&[b"SET", SHADOW.as_bytes(), b"", b"PX", b"50000"]);
        }
        client.run(&format!("PEXPIRE {HASH} 350000"));
        go.0.send(round).expect("the other thread");
        match world.ask(touch(ID, 0)) {
            Answer::Alive { .. } => alive += 1,
            Answer::Gone | Answer::Vanished => over += 1,
            Answer::Lost => panic!("lost: {:?}", world.alarms),
            other => panic!("{other:?}"),
        }
        gone.1.recv().expect("the other thread");
        let mut left = client.keys();
        left.retain(|key| !key.starts_with("spring:session:expirations:"));
        assert_eq!(left, Vec::<String>::new(), "round {round}");
    }
    drop(go.0);
    deleter.join().expect("no panic");
    println!("{:?}, scripts {}: {alive} touches came first, {over} deletions did", config.layout, config.scripts);
    assert!(alive > 0 && over > 0, "{alive} {over}");
}

#[test]
fn c10_touch_and_delete_with_scripts() {
    touch_and_delete(&Config { layout: Layout::Indexed, ..Config::default() }, 10_000);
}

#[test]
fn c10_touch_and_delete_with_transactions() {
    touch_and_delete(&Config { layout: Layout::Indexed, scripts: false, ..Config::default() }, 3_000);
}

#[test]
fn c10_touch_and_delete_in_the_plain_layout() {
    touch_and_delete(&Config { layout: Layout::Plain, ..Config::default() }, 3_000);
    touch_and_delete(&Config { layout: Layout::Plain, scripts: false, ..Config::default() }, 3_000);
}

#[test]
fn r21_the_later_of_two_touches_wins_in_any_order() {
    let server = Server::start();
    let client = &mut server.connect();
    for scripts in [true, false] {
        client.run("FLUSHALL");
        let config = Config { layout: Layout::Indexed, scripts, ..Config::default() };
        let (mut one, mut two) = (World::new(&server, config.clone()), World::new(&server, config));
        one.ask(create(ID, Some("rob"), &[]));
        std::thread::sleep(std::time::Duration::from_millis(60));
        assert!(matches!(two.ask(touch(ID, 0)), Answer::Alive { .. }));
        let last = client.run(&format!("HGET {HASH} lastAccessedTime"));
        let shadow = client.int(&format!("PTTL {SHADOW}"));
        // One that tells of something earlier changes nothing.
        assert!(matches!(one.ask(touch(ID, 55)), Answer::Alive { .. }));
        assert_eq!(client.run(&format!("HGET {HASH} lastAccessedTime")), last);
        assert!(client.int(&format!("PTTL {SHADOW}")) >= shadow - 200);
        // One that would shorten what the application has just raised raises nothing.
        client.run(&format!("PEXPIRE {SHADOW} 500000"));
        client.run(&format!("PEXPIRE {HASH} 800000"));
        assert!(matches!(one.ask(touch(ID, 0)), Answer::Alive { ttl_ms: Some(400_000..), .. }));
        assert!(client.int(&format!("PTTL {SHADOW}")) > 400_000 && client.int(&format!("PTTL {HASH}")) > 700_000);
    }
}

/// What somebody else does to a session while a step of ours is between two commands.
fn meanwhiles() -> [(&'static str, Vec<String>); 5] {
    let (hash, shadow) = (format!("{NS}{ID}"), format!("{NS}expires:{ID}"));
    [
        ("both deleted", vec![format!("DEL {hash} {shadow}")]),
        ("the hash deleted", vec![format!("DEL {hash}")]),
        ("the key deleted", vec![format!("DEL {shadow}")]),
        (
            "a logout",
            vec![
                format!("DEL {shadow}"),
                format!("HSET {hash} maxInactiveInterval 0"),
                format!("PEXPIRE {hash} 300000"),
            ],
        ),
        ("a timeout shortened", vec![format!("HSET {hash} maxInactiveInterval 20"), format!("PEXPIRE {shadow} 20000")]),
    ]
}

/// On a Cluster a step is several commands: whatever comes between them, each hash that is left is a whole one, no key is
/// back that was deleted, and no login outlives the logout that it met.
#[test]
fn c10_nothing_that_comes_between_the_commands_of_a_step_leaves_half_a_session() {
    let server = Server::start();
    let client = &mut server.connect();
    for layout in [Layout::Indexed, Layout::Plain] {
        let mut world =
            World::new(&server, Config { layout, cluster: true, serializer: Serializer::Json, ..Config::default() });
        let mut met = 0;
        for op in [touch(ID, 0), rename(ID, NEW, Some("rob"), &[("colour", "red")]), end(ID)] {
            for (name, done) in meanwhiles() {
                for after in 0..30 {
                    client.run("FLUSHALL");
                    store(client, ID, Form::Json, 1_000, 60);
                    if layout == Layout::Indexed {
                        client.run(&format!("PEXPIRE {NS}{ID} 359000"));
                        client.call(&[b"SET", format!("{NS}expires:{ID}").as_bytes(), b"", b"PX", b"59000"]);
                    } else {
                        client.run(&format!("PEXPIRE {NS}{ID} 59000"));
                    }
                    let (answer, came) = world.ask_while(op.clone(), after, done.clone());
                    let at = format!("{layout:?} {op:?}, {name} after {after}: {answer:?}, left: {:?}", client.keys());
                    world.settle();
                    for id in [ID, NEW] {
                        let hash = format!("{NS}{id}");
                        let fields: Vec<Value> = ["creationTime", "lastAccessedTime", "maxInactiveInterval"]
                            .map(|field| client.run(&format!("HGET {hash} {field}")))
                            .into();
                        let there = client.int(&format!("EXISTS {hash}")) == 1;
                        // What the other one wrote by himself is his.
                        let his =
                            client.int(&format!("HLEN {hash}")) == 1 && done.iter().any(|line| line.contains("HSET"));
                        let whole = fields.iter().all(|value| matches!(value, Value::Bulk(_)));
                        assert!(!there || whole || his && id == ID, "{at}");
                        let key = client.int(&format!("EXISTS {NS}expires:{id}")) == 1;
                        assert!(layout == Layout::Indexed || !key, "{at}");
                        // What the one who deleted it left is his.
                        assert!(there || !key || name == "the hash deleted" && id == ID, "{at}");
                    }
                    if came && name == "both deleted" {
                        assert_eq!(client.int(&format!("EXISTS {NS}{ID} {NS}expires:{ID}")), 0, "{at}");
                    }
                    let lives = client.int(&format!("EXISTS {NS}{NEW}")) == 1;
                    assert_eq!(
                        lives,
                        matches!(op, Op::Rename { .. }) && matches!(answer, Answer::Alive { .. }),
                        "{at}"
                    );
                    if came
                        && name == "a timeout shortened"
                        && matches!(op, Op::Touch { .. })
                        && layout == Layout::Indexed
                    {
                        met += 1;
                        assert!(matches!(answer, Answer::Alive { ttl_ms: Some(ttl), .. } if ttl <= 60_000), "{at}");
                    }
                    if !came {
                        break;
                    }
                    assert!(after < 29, "{at}");
                }
            }
        }
        assert!(met > 3 || layout == Layout::Plain, "{met}");
    }
}

/// An interval that is shortened between the two steps of a touch on a Cluster: its end is the nearer one.
#[test]
fn t06_a_touch_on_a_cluster_believes_what_ends_first() {
    let server = Server::start();
    let client = &mut server.connect();
    let mut world = World::new(&server, Config { layout: Layout::Indexed, cluster: true, ..Config::default() });
    // The hash says 20 s by the time it is written, after the key was raised to 60 s; or 600 s.
    let (hash, key) = (format!("{NS}{ID}"), format!("{NS}expires:{ID}"));
    for (left, max) in [("59000", 20), ("50000", 600)] {
        client.run("FLUSHALL");
        store(client, ID, Form::Json, 1_000, 60);
        client.run(&format!("PEXPIRE {hash} 359000"));
        client.call(&[b"SET", key.as_bytes(), b"", b"PX", left.as_bytes()]);
        // Look, PTTL, ZRANGE and Raise come before the hash.
        let (answer, came) = world.ask_while(touch(ID, 0), 4, vec![format!("HSET {hash} maxInactiveInterval {max}")]);
        assert!(came);
        let expected = max.min(60) * 1_000;
        assert!((expected - 500..=expected).contains(&ttl(&answer)), "{answer:?}");
    }
}
