//! Notices, the fence, and what is done where something is not allowed.

use tethered_core::redis::Connection;
use tethered_core::session::Answer;
use tethered_core::session::spring::{AlarmKind, Config, Layout};

use super::resp::{Client, Server};
use super::world::{World, check, create, end, load, rename, touch};

const A: &str = "11111111-1111-4111-8111-111111111111";
const B: &str = "22222222-2222-4222-8222-222222222222";
const NS: &str = "spring:session:sessions:";

fn indexed() -> Config {
    Config { layout: Layout::Indexed, ..Config::default() }
}

fn flags(client: &mut Client) -> String {
    match client.run("CONFIG GET notify-keyspace-events") {
        super::resp::Value::List(values) => values[1].text(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn r03_the_flags_are_completed_and_none_is_removed() {
    for (before, after) in [("", "gxE"), ("gxE", "gxE"), ("KEA", "AKE"), ("Kl", "glxKE"), ("xE", "gxE")] {
        let server = Server::start_with(&["--notify-keyspace-events", before]);
        let world = World::new(&server, indexed());
        assert_eq!(world.standing, [true], "{before}");
        let now = flags(&mut server.connect());
        assert!(after.chars().all(|flag| now.contains(flag)), "{before} became {now}");
        assert!(now.contains('e') || now.contains('A'), "{before} became {now}");
        assert_eq!(world.alarms, []);
    }
}

/// Another one turned them off: found at the next look, turned on again, and told as a gap.
#[test]
fn r03_flags_that_were_taken_away_are_found_at_the_next_look() {
    let server = Server::start();
    let mut world = World::new(&server, indexed());
    server.connect().run("CONFIG SET notify-keyspace-events K");
    world.standing.clear();
    let later = world.now().after(60_001);
    world.spring.tick(later);
    world.settle();
    assert_eq!(world.standing, [false, true]);
    assert!(flags(&mut server.connect()).contains('E'));
}

#[test]
fn what_is_done_by_hand_is_heard_of() {
    let server = Server::start();
    let client = &mut server.connect();
    for (layout, done, expected) in [
        (Layout::Indexed, format!("DEL {NS}expires:{A}"), vec![format!("deleted {A}")]),
        (Layout::Indexed, format!("UNLINK {NS}expires:{A}"), vec![format!("deleted {A}")]),
        (Layout::Indexed, format!("EXPIRE {NS}expires:{A} 0"), vec![format!("deleted {A}")]),
        (Layout::Indexed, format!("PEXPIRE {NS}expires:{A} 5"), vec![format!("expired {A}")]),
        (Layout::Indexed, format!("DEL {NS}{A}"), vec![format!("deleted {A}")]),
        (Layout::Indexed, format!("RENAME {NS}{A} {NS}{B}"), vec![format!("deleted {A}"), format!("renamed {A} {B}")]),
        (Layout::Indexed, format!("RENAME {NS}{A} elsewhere"), vec![format!("deleted {A}")]),
        (Layout::Indexed, format!("RENAME {NS}expires:{A} {NS}expires:{B}"), vec![format!("deleted {A}")]),
        (Layout::Plain, format!("DEL {NS}{A}"), vec![format!("deleted {A}")]),
        (Layout::Plain, format!("PEXPIRE {NS}{A} 5"), vec![format!("expired {A}")]),
        (Layout::Plain, format!("RENAME {NS}{A} {NS}{B}"), vec![format!("deleted {A}"), format!("renamed {A} {B}")]),
    ] {
        client.run("FLUSHALL");
        let mut world = World::new(&server, Config { layout, ..Config::default() });
        world.ask(create(A, Some("rob"), &[]));
        world.settle();
        world.heard.clear();
        client.run(&done);
        for _ in 0..100 {
            world.settle();
            if !world.heard.is_empty() {
                break;
            }
        }
        // Of a time that is over already, Valkey 9 says that it has expired.
        if done.ends_with(" 0") && world.heard == [format!("expired {A}")] {
            continue;
        }
        assert_eq!(world.heard, expected, "{layout:?} {done}");
    }
}

#[test]
fn r18_other_keys_and_namespaces_are_not_heard_of() {
    let server = Server::start();
    let client = &mut server.connect();
    let mut world = World::new(&server, indexed());
    for key in [
        "spring:session2:sessions:a",
        "xspring:session:sessions:a",
        "spring:session:sessions:a:b",
        "a",
        "spring:session:expirations:1",
    ] {
        client.run(&format!("SET {key} x"));
        client.run(&format!("DEL {key}"));
    }
    client.run("SELECT 1");
    client.run(&format!("SET {NS}{A} x"));
    client.run(&format!("DEL {NS}{A}"));
    world.settle();
    assert_eq!(world.heard, Vec::<String>::new());
}

/// What renamed the hash is heard of before the answer that it is gone.
#[test]
fn the_fence_lets_a_rename_be_heard_of_first() {
    let server = Server::start();
    let client = &mut server.connect();
    for scripts in [true, false] {
        client.run("FLUSHALL");
        let mut world = World::new(&server, Config { scripts, ..indexed() });
        world.ask(create(A, Some("rob"), &[]));
        world.settle();
        for round in 0..200 {
            let (from, to) = if round % 2 == 0 { (A, B) } else { (B, A) };
            world.heard.clear();
            client.run(&format!("RENAME {NS}{from} {NS}{to}"));
            client.run(&format!("RENAME {NS}expires:{from} {NS}expires:{to}"));
            assert_eq!(world.ask(check(from)), Answer::Gone);
            assert!(world.heard.contains(&format!("renamed {from} {to}")), "{:?}", world.heard);
            assert!(matches!(world.ask(touch(to, 0)), Answer::Alive { .. }));
        }
        assert_eq!(world.alarms, []);
    }
}

/// Many that are gone wait for few echoes.
#[test]
fn one_echo_serves_all_who_wait() {
    let server = Server::start();
    let mut world = World::new(&server, indexed());
    world.sent.clear();
    let tokens: Vec<u64> = (0..500).map(|i| world.begin(check(&format!("s{i}")))).collect();
    while world.answers.len() < tokens.len() {
        world.turn();
    }
    assert!(world.answers.iter().all(|(_, answer)| *answer == Answer::Gone));
    let echoes = world.sent.iter().filter(|name| *name == "PUBLISH").count();
    assert!((1..=500).contains(&echoes), "{echoes}");
    assert_eq!(world.spring.pending(), 0);
}

#[test]
fn without_the_subscription_nothing_is_fenced() {
    let server = Server::start();
    let mut world = World::new(&server, indexed());
    world.spring.disconnected(world.now(), Connection::Notices);
    world.turn();
    assert_eq!(world.standing, [true, false]);
    assert_eq!(world.ask(check(A)), Answer::Vanished);
    assert_eq!(world.ask(load(A)), Answer::Gone);
    world.spring.connected(world.now(), Connection::Notices);
    world.settle();
    assert_eq!(world.standing, [true, false, true]);
    assert_eq!(world.ask(check(A)), Answer::Gone);
}

/// A user of Redis with everything but some commands.
fn limited(server: &Server, config: Config, rules: &str) -> World {
    let mut admin = server.connect();
    admin.run(&format!("ACL SETUSER app reset on >secret ~* &* +@all {rules}"));
    World::with(server, config, |client| drop(client.run("AUTH app secret")))
}

#[test]
fn where_config_is_forbidden_it_says_once_what_to_set_and_sessions_are_looked_at() {
    let server = Server::start();
    let mut world = limited(&server, indexed(), "-config");
    assert_eq!(world.standing, Vec::<bool>::new());
    assert!(world.alarmed(AlarmKind::NoNotices), "{:?}", world.alarms);
    assert!(world.alarms[0].to_string().contains("notify-keyspace-events to gxeE"));
    assert_eq!(world.ask(check(A)), Answer::Vanished);
    // They are on, but nobody may change them: evictions only are missing.
    let server = Server::start_with(&["--notify-keyspace-events", "gxE"]);
    let world = limited(&server, indexed(), "-config|set");
    assert_eq!(world.standing, [true]);
    assert!(world.alarmed(AlarmKind::NoEvictions), "{:?}", world.alarms);
}

#[test]
fn where_publish_is_forbidden_notices_stand_and_nothing_is_fenced() {
    let server = Server::start();
    let mut world = limited(&server, indexed(), "-publish");
    assert_eq!(world.standing, [true]);
    assert!(world.alarmed(AlarmKind::Forbidden), "{:?}", world.alarms);
    assert_eq!(world.ask(check(A)), Answer::Vanished);
}

#[test]
fn where_scripts_are_forbidden_transactions_are_used() {
    let server = Server::start();
    let mut world = limited(&server, indexed(), "-@scripting");
    assert!(world.alarmed(AlarmKind::NoScripts), "{:?}", world.alarms);
    assert!(!world.spring.uses_scripts());
    assert_eq!(world.alarms.len(), 1);
    world.ask(create(A, Some("rob"), &[]));
    assert!(matches!(world.ask(touch(A, 0)), Answer::Alive { .. }));
    assert!(matches!(world.ask(rename(A, B, Some("rob"), &[])), Answer::Alive { .. }));
    assert_eq!(world.ask(end(B)), Answer::Gone);
    assert!(world.sent.iter().any(|name| name == "EXEC"));
}

/// The probe is not heard in time: the first question finds out by itself.
#[test]
fn a_script_that_is_refused_is_done_again_as_a_transaction() {
    let server = Server::start();
    let mut world = World::new(&server, indexed());
    let mut admin = server.connect();
    world.ask(create(A, Some("rob"), &[]));
    admin.run("ACL SETUSER default -@scripting");
    assert!(matches!(world.ask(touch(A, 0)), Answer::Alive { .. }));
    assert!(world.alarmed(AlarmKind::NoScripts) && !world.spring.uses_scripts());
}

#[test]
fn scripts_that_redis_forgot_are_sent_again() {
    let server = Server::start();
    let mut world = World::new(&server, indexed());
    world.ask(create(A, Some("rob"), &[]));
    for op in [touch(A, 0), check(A), load(A)] {
        server.connect().run("SCRIPT FLUSH");
        assert!(matches!(world.ask(op), Answer::Alive { .. }));
    }
    assert_eq!(world.alarms, []);
}

/// The least rules, as the README lists them.
#[test]
fn the_least_rules_suffice() {
    let server = Server::start();
    let mut admin = server.connect();
    admin.run(&format!("ACL SETUSER app reset on >secret {}", RULES.trim()));
    let mut world = World::with(&server, indexed(), |client| drop(client.run("AUTH app secret")));
    assert_eq!(world.standing, [true], "{:?}", world.alarms);
    world.ask(create(A, Some("rob"), &[("colour", "blue")]));
    assert!(matches!(world.ask(load(A)), Answer::Alive { .. }));
    std::thread::sleep(std::time::Duration::from_millis(3));
    assert!(matches!(world.ask(touch(A, 0)), Answer::Alive { .. }));
    assert!(matches!(world.ask(rename(A, B, Some("luke"), &[])), Answer::Alive { .. }));
    assert_eq!(world.ask(end(B)), Answer::Gone);
    assert_eq!(world.ask(check(A)), Answer::Gone);
    assert_eq!(world.alarms, []);
}

const RULES: &str = "~spring:session:* resetchannels &spring:session:* &__keyevent@0__:* +ping +select +subscribe +unsubscribe +publish \
                     +config|get +config|set +script|load +eval +evalsha +time +type +exists +pttl +hmget +hset +pexpire \
                     +persist +rename +renamenx +del +set +sadd +srem +srandmember +zadd +zrem +zrange +zrangebyscore";

/// Answers that make no end: the store could not be asked.
#[test]
fn r14_errors_are_lost_and_told() {
    let server = Server::start();
    let client = &mut server.connect();
    for scripts in [true, false] {
        client.run("FLUSHALL");
        let mut world = World::new(&server, Config { scripts, ..indexed() });
        world.ask(create(A, Some("rob"), &[]));
        std::thread::sleep(std::time::Duration::from_millis(3));
        client.run("REPLICAOF 127.0.0.1 1");
        assert_eq!(world.ask(touch(A, 0)), Answer::Lost);
        assert!(world.alarmed(AlarmKind::ReadOnly), "{:?}", world.alarms);
        client.run("CONFIG SET replica-serve-stale-data no");
        assert_eq!(world.ask(check(A)), Answer::Lost);
        assert!(world.alarmed(AlarmKind::NotReady), "{:?}", world.alarms);
        client.run("REPLICAOF NO ONE");
        client.run("CONFIG SET replica-serve-stale-data yes");
        client.run("CONFIG SET maxmemory 1");
        assert_eq!(world.ask(touch(A, 0)), Answer::Lost);
        assert!(world.alarmed(AlarmKind::Full), "{:?}", world.alarms);
        assert!(matches!(world.ask(check(A)), Answer::Alive { .. }));
        client.run("CONFIG SET maxmemory 0");
        assert!(matches!(world.ask(touch(A, 0)), Answer::Alive { .. }));
    }
}

/// An entry is not worth a session: a set that is none is passed over.
#[test]
fn an_entry_that_cannot_be_made_does_no_harm() {
    let server = Server::start();
    let client = &mut server.connect();
    let mut world = World::new(&server, indexed());
    world.ask(create(A, Some("rob"), &[]));
    for key in client.keys().into_iter().filter(|key| key.contains(":expirations")) {
        client.run(&format!("SET {key} x"));
    }
    client.run("SET spring:session:sessions:expirations x");
    std::thread::sleep(std::time::Duration::from_millis(3));
    assert!(matches!(world.ask(touch(A, 0)), Answer::Alive { .. }));
    assert_eq!(world.ask(end(A)), Answer::Gone);
    // And so is a cookie that names what is no session.
    assert_eq!(world.ask(load("expirations")), Answer::Gone);
}
