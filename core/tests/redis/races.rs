//! A touch meets the end of its session: no key is left behind, and none comes back.

use std::sync::mpsc;

use tethered_core::session::Answer;
use tethered_core::session::spring::{Config, Layout};

use super::resp::Server;
use super::truth::store;
use super::values::Form;
use super::world::{World, create, touch};

const ID: &str = "11111111-1111-4111-8111-111111111111";
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
