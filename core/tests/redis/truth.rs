//! The truth table, row by row, on a real Redis; and which layout a namespace has.

use tethered_core::session::Answer;
use tethered_core::session::spring::{AlarmKind, Config, Layout};

use super::resp::{Client, Server, Value};
use super::values::{self, Form};
use super::world::{World, check, create, load, touch, ttl};

const ID: &str = "11111111-1111-4111-8111-111111111111";
const HASH: &str = "spring:session:sessions:11111111-1111-4111-8111-111111111111";
const SHADOW: &str = "spring:session:sessions:expires:11111111-1111-4111-8111-111111111111";

pub(crate) fn now(client: &mut Client) -> i64 {
    let Value::List(parts) = client.run("TIME") else { panic!("no time") };
    parts[0].text().parse::<i64>().expect("digits") * 1_000 + parts[1].text().parse::<i64>().expect("digits") / 1_000
}

/// A whole session: last used so many milliseconds ago, for so many seconds.
pub(crate) fn store(client: &mut Client, id: &str, form: Form, ago: i64, max: i32) {
    let at = now(client) - ago;
    let hash = format!("spring:session:sessions:{id}");
    let (long, int, name) = (values::long(form, at), values::integer(form, max), values::text(form, "rob"));
    client.call(&[b"HSET", hash.as_bytes(), b"creationTime", &long, b"lastAccessedTime", &long]);
    client.call(&[b"HSET", hash.as_bytes(), b"maxInactiveInterval", &int, NAME, &name]);
}

const NAME: &[u8] =
    b"sessionAttr:org.springframework.session.FindByIndexNameSessionRepository.PRINCIPAL_NAME_INDEX_NAME";

fn worlds(server: &Server, layout: Layout) -> Vec<World> {
    let config = |scripts, cluster| Config { layout, scripts, cluster, ..Config::default() };
    [config(true, false), config(false, false), config(true, true)].map(|config| World::new(server, config)).into()
}

#[test]
fn indexed_rows() {
    let server = Server::start();
    let client = &mut server.connect();
    for mut world in worlds(&server, Layout::Indexed) {
        let cluster = world.spring.config().cluster;
        let vanished = if cluster { Answer::Vanished } else { Answer::Gone };
        for form in [Form::Java, Form::Json] {
            client.run("FLUSHALL");
            // Hash absent, whatever the other key is.
            assert_eq!(world.ask(check(ID)), vanished);
            assert_eq!(world.ask(load(ID)), Answer::Gone);
            client.call(&[b"SET", SHADOW.as_bytes(), b"", b"PX", b"60000"]);
            assert_eq!(world.ask(check(ID)), vanished);
            assert_eq!(world.ask(touch(ID, 0)), vanished);
            assert_eq!(client.keys(), [SHADOW]);
            // Ended by a logout.
            store(client, ID, form, 0, 0);
            assert_eq!(world.ask(check(ID)), Answer::Gone);
            // Never ends, and Spring deletes its key by mistake.
            store(client, ID, form, 1_000, -1);
            client.run(&format!("DEL {SHADOW}"));
            client.run(&format!("PEXPIRE {HASH} 299000"));
            assert_eq!(world.ask(check(ID)), Answer::Alive { ttl_ms: None, record: None });
            assert_eq!(world.ask(touch(ID, 0)), Answer::Alive { ttl_ms: None, record: None });
            assert_eq!(client.int(&format!("PTTL {HASH}")), -1);
            // Alive for as long as its key is.
            store(client, ID, form, 0, 60);
            client.call(&[b"SET", SHADOW.as_bytes(), b"", b"PX", b"20000"]);
            assert!((19_000..=20_000).contains(&ttl(&world.ask(check(ID)))));
            // Between Spring's APPEND and PEXPIRE.
            client.call(&[b"SET", SHADOW.as_bytes(), b""]);
            assert!((59_000..=60_000).contains(&ttl(&world.ask(check(ID)))));
            store(client, ID, form, 60_001, 60);
            assert_eq!(world.ask(check(ID)), Answer::Gone);
            // The key is absent: asked again, then ended.
            store(client, ID, form, 0, 60);
            client.run(&format!("DEL {SHADOW}"));
            let before = world.now();
            assert_eq!(world.ask(check(ID)), Answer::Gone);
            assert!(world.now().since(before) >= 50);
            assert_eq!(world.ask(touch(ID, 0)), Answer::Gone);
            assert_eq!(client.keys(), [HASH]);
            // Half a hash.
            for field in ["creationTime", "lastAccessedTime", "maxInactiveInterval"] {
                store(client, ID, form, 0, 60);
                client.call(&[b"SET", SHADOW.as_bytes(), b"", b"PX", b"20000"]);
                client.run(&format!("HDEL {HASH} {field}"));
                assert_eq!(world.ask(check(ID)), Answer::Gone);
                assert_eq!(world.ask(load(ID)), Answer::Gone);
                assert_eq!(world.ask(touch(ID, 0)), Answer::Gone);
            }
        }
        assert_eq!(world.alarms, []);
        // An overwriting SET, and values that are none.
        client.run(&format!("SET {HASH} x"));
        assert_eq!(world.ask(check(ID)), Answer::Gone);
        assert!(world.alarmed(AlarmKind::WrongType));
        client.run(&format!("DEL {HASH}"));
        store(client, ID, Form::Java, 0, 60);
        client.run(&format!("HSET {HASH} maxInactiveInterval sixty"));
        assert_eq!(world.ask(check(ID)), Answer::Gone);
        assert!(world.alarmed(AlarmKind::Unreadable));
    }
}

/// Spring makes or renames a session: for a moment its key is not there.
#[test]
fn a_key_that_appears_within_50_ms_makes_no_end() {
    let server = Server::start();
    let client = &mut server.connect();
    for mut world in worlds(&server, Layout::Indexed) {
        client.run("FLUSHALL");
        store(client, ID, Form::Java, 0, 60);
        let token = world.begin(check(ID));
        world.turn();
        assert!(world.answers.is_empty());
        client.call(&[b"SET", SHADOW.as_bytes(), b"", b"PX", b"60000"]);
        while world.answers.is_empty() {
            world.turn();
        }
        let (of, answer) = world.answers.pop_front().expect("not empty");
        assert!(of == token && ttl(&answer) > 59_000, "{answer:?}");
    }
}

#[test]
fn plain_rows() {
    let server = Server::start();
    let client = &mut server.connect();
    for mut world in worlds(&server, Layout::Plain) {
        let vanished = if world.spring.config().cluster { Answer::Vanished } else { Answer::Gone };
        for form in [Form::Java, Form::Json] {
            client.run("FLUSHALL");
            assert_eq!(world.ask(check(ID)), vanished);
            store(client, ID, form, 0, 60);
            client.run(&format!("PEXPIRE {HASH} 30000"));
            assert!((29_000..=30_000).contains(&ttl(&world.ask(check(ID)))));
            // Between Spring's HMSET and PEXPIREAT.
            client.run(&format!("PERSIST {HASH}"));
            assert!((59_000..=60_000).contains(&ttl(&world.ask(check(ID)))));
            store(client, ID, form, 60_001, 60);
            assert_eq!(world.ask(check(ID)), Answer::Gone);
            store(client, ID, form, 0, -1);
            assert_eq!(world.ask(check(ID)), Answer::Alive { ttl_ms: None, record: None });
            client.run(&format!("HDEL {HASH} lastAccessedTime"));
            assert_eq!(world.ask(check(ID)), Answer::Gone);
        }
        assert_eq!(world.alarms, []);
    }
}

#[test]
fn the_layout_is_found_out_once_and_kept() {
    let server = Server::start();
    let client = &mut server.connect();
    for scripts in [true, false] {
        let config = || Config { scripts, ..Config::default() };
        client.run("FLUSHALL");
        // Indexed, from a living session, by a touch.
        let mut world = World::new(&server, config());
        assert_eq!(world.ask(check(ID)), Answer::Gone);
        assert_eq!(world.spring.layout(), Layout::Detect);
        store(client, ID, Form::Java, 1_000, 60);
        client.run(&format!("PEXPIRE {HASH} 359000"));
        client.call(&[b"SET", SHADOW.as_bytes(), b"", b"PX", b"59000"]);
        assert!(ttl(&world.ask(touch(ID, 0))) > 59_900);
        assert_eq!(world.spring.layout(), Layout::Indexed);
        client.run(&format!("DEL {SHADOW}"));
        assert_eq!(world.ask(check(ID)), Answer::Gone);
        // Indexed, from one that has ended: it looks like a living one of the plain layout, but for its times.
        let mut world = World::new(&server, config());
        store(client, ID, Form::Java, 61_000, 60);
        client.run(&format!("PEXPIRE {HASH} 299000"));
        assert_eq!(world.ask(load(ID)), Answer::Gone);
        assert_eq!(world.spring.layout(), Layout::Indexed);
        // Plain.
        client.run("FLUSHALL");
        let mut world = World::new(&server, config());
        store(client, ID, Form::Java, 10_000, 60);
        client.run(&format!("PEXPIRE {HASH} 50000"));
        assert!((49_000..=50_000).contains(&ttl(&world.ask(load(ID)))));
        assert_eq!(world.spring.layout(), Layout::Plain);
        assert!(ttl(&world.ask(touch(ID, 0))) > 59_900);
        assert!(client.int(&format!("PTTL {HASH}")) <= 60_000);
        assert_eq!(client.keys(), [HASH]);
        // Nothing to tell it from: just made, and then for ever.
        let mut world = World::new(&server, config());
        client.run(&format!("PERSIST {HASH}"));
        let before = world.now();
        assert!(ttl(&world.ask(touch(ID, 0))) > 59_000);
        assert!(world.now().since(before) >= 50);
        store(client, ID, Form::Java, 0, -1);
        std::thread::sleep(std::time::Duration::from_millis(3));
        assert_eq!(world.ask(touch(ID, 0)), Answer::Alive { ttl_ms: None, record: None });
        assert_eq!(world.spring.layout(), Layout::Detect);
        assert_eq!(world.alarms, []);
    }
}

/// A login here before anybody from Spring is known here.
#[test]
fn a_session_that_is_made_follows_the_layout_of_those_there_are() {
    let server = Server::start();
    let client = &mut server.connect();
    let config = |namespace: &str, scripts| Config { namespace: namespace.into(), scripts, ..Config::default() };
    let other = "spring:session:sessions:22222222-2222-4222-8222-222222222222";
    for layout in [Layout::Plain, Layout::Indexed] {
        client.run("FLUSHALL");
        for i in 0..5_000 {
            client.run(&format!("SET something:{i} x"));
        }
        client.run("HSET spring:session:sessions:half lastAccessedTime 5");
        client.run("SET spring:session:sessions:expires:half x");
        store(client, ID, Form::Java, 10_000, 60);
        if layout == Layout::Plain {
            client.run(&format!("PEXPIRE {HASH} 50000"));
        } else {
            client.run(&format!("PEXPIRE {HASH} 350000"));
            client.call(&[b"SET", SHADOW.as_bytes(), b"", b"PX", b"50000"]);
        }
        let mut world = World::new(&server, config("spring:session", true));
        // Several at once wait for one answer.
        let first = world.begin(create("33333333", Some("luke"), &[]));
        assert_eq!(ttl(&world.ask(create("22222222-2222-4222-8222-222222222222", Some("rob"), &[]))), 60_000);
        assert!(world.answers.iter().any(|(of, answer)| *of == first && ttl(answer) == 60_000));
        assert_eq!(world.spring.layout(), layout);
        let expected = if layout == Layout::Plain { 60_000 } else { 360_000 };
        assert!((expected - 1_000..=expected).contains(&client.int(&format!("PTTL {other}"))));
        // Another namespace, although it looks like a pattern for this one.
        let mut world = World::new(&server, config("spring:*", true));
        world.ask(create("44444444", None, &[]));
        assert_eq!(world.spring.layout(), Layout::Indexed);
        assert_eq!(world.alarms, []);
    }
    // Nothing tells: indexed, until somebody proves another one.
    for scripts in [true, false] {
        client.run("FLUSHALL");
        let mut world = World::new(&server, config("spring:session", scripts));
        assert_eq!(ttl(&world.ask(create("22222222-2222-4222-8222-222222222222", Some("rob"), &[]))), 60_000);
        assert_eq!(world.spring.layout(), Layout::Indexed);
        assert_eq!(world.alarmed(AlarmKind::LayoutAssumed), !scripts, "{:?}", world.alarms);
        store(client, ID, Form::Java, 10_000, 60);
        client.run(&format!("PEXPIRE {HASH} 350000"));
        assert_eq!(world.ask(load(ID)), Answer::Gone, "one that has ended");
        assert_eq!(world.spring.layout(), Layout::Indexed);
        client.run(&format!("PEXPIRE {HASH} 50000"));
        assert!((49_000..=50_000).contains(&ttl(&world.ask(load(ID)))));
        assert_eq!(world.spring.layout(), Layout::Plain);
        assert!(world.alarmed(AlarmKind::LayoutMixed));
        assert!(ttl(&world.ask(touch(ID, 0))) > 59_000);
    }
    // One that was set stays, and says what is wrong.
    let mut world = World::new(&server, Config { layout: Layout::Indexed, ..Config::default() });
    assert_eq!(world.ask(load(ID)), Answer::Gone);
    assert!(world.alarmed(AlarmKind::LayoutMixed));
    assert_eq!(world.spring.layout(), Layout::Indexed);
}
