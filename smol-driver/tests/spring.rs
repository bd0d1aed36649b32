//! One session store with a real Spring application: what it does is seen here, and the other way round.
//!
//! The application is started from the folder that SPRING_REFERENCE names; without it these tests cannot run.

mod common;

use std::collections::BTreeMap;
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use common::keys::{self, last_accessed, redis_now};
use common::spring::{World, until};
use common::web::{Browser, field, now};
use tethered_core::ws::Opcode;

const REASON: &str = "This connection was established under an authenticated HTTP Session that has expired";

/// One world for each way to set Spring up, in turn for the tests.
fn world(kind: &'static str) -> MutexGuard<'static, World> {
    static JDK: LazyLock<Mutex<World>> = LazyLock::new(|| {
        Mutex::new(World::start(&["--timeout=60s"], &["--touch-interval=0s", "--session-timeout=60s"]))
    });
    static JSON: LazyLock<Mutex<World>> = LazyLock::new(|| {
        let flags = ["--touch-interval=0s", "--redis-serializer=json", "--session-timeout=60s"];
        Mutex::new(World::start(&["--timeout=60s", "--serializer=json"], &flags))
    });
    static PLAIN: LazyLock<Mutex<World>> = LazyLock::new(|| {
        let spring = ["--timeout=60s", "--spring.session.data.redis.repository-type=default"];
        Mutex::new(World::start(&spring, &["--touch-interval=0s", "--redis-layout=plain"]))
    });
    let world = match kind {
        "jdk" => &JDK,
        "json" => &JSON,
        _ => &PLAIN,
    };
    world.lock().unwrap_or_else(PoisonError::into_inner)
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    println!("{times:?}");
    times[times.len() / 2]
}

fn login_at_spring_is_known_here(kind: &'static str) {
    let world = world(kind);
    for name in ["rob", "luke"] {
        let browser = Browser::log_in(world.spring.address, name);
        let mut stomp = browser.at(world.node.address).stomp();
        assert_eq!(stomp.user.as_deref(), Some(name));
        stomp.subscribe("0", "/user/queue/messages");
        stomp.send("SEND", &[("destination", "/app/im")], &format!(r#"{{"to":"{name}","message":"hello"}}"#));
        assert!(stomp.next().contains(&format!(r#""from":"{name}","message":"hello""#)));
    }
}

#[test]
#[ignore = "needs the Spring reference application"]
fn login_at_spring_is_known_here_jdk() {
    login_at_spring_is_known_here("jdk");
}

#[test]
#[ignore = "needs the Spring reference application"]
fn login_at_spring_is_known_here_json() {
    login_at_spring_is_known_here("json");
}

#[test]
#[ignore = "needs the Spring reference application"]
fn login_at_spring_is_known_here_plain() {
    login_at_spring_is_known_here("plain");
}

fn a_session_made_here_is_loaded_by_spring(kind: &'static str) {
    let world = world(kind);
    let browser = Browser::log_in(world.node.address, "rob");
    let id = browser.session();
    let mut stomp = browser.stomp();
    let mut redis = world.redis.connect();
    let before = last_accessed(&mut redis, &id).expect("it is there");
    std::thread::sleep(Duration::from_millis(5));
    // Spring Security has a login of its own, which this session has not been through: it is asked for. But it is this
    // session that the request is remembered in.
    let page = browser.at(world.spring.address).get("/session");
    assert_eq!(page.status, 302, "no error: {page:?}");
    assert_eq!(page.header("set-cookie"), None, "no new one is made: {page:?}");
    let hash = keys::hash(&id);
    assert_eq!(redis.ask(&["HEXISTS", &hash, "sessionAttr:SPRING_SECURITY_SAVED_REQUEST"]), "1");
    assert!(last_accessed(&mut redis, &id).is_some_and(|at| at > before), "Spring has renewed it");
    assert_eq!(redis.ask(&["KEYS", "spring:session:sessions:????????-*"]).matches(&id).count(), 1);
    // It is still ours.
    stomp.stays_open(Duration::from_millis(200));
    assert_eq!(browser.at(world.node.address).stomp().user.as_deref(), Some("rob"));
    // Spring finds it by its user's name, and takes it out of that index when it ends.
    let index = format!("{}:index:{}:rob", keys::NAMESPACE, keys::PRINCIPAL.trim_start_matches("sessionAttr:"));
    let member = match kind {
        "jdk" => keys::java_text(&id),
        _ => format!("\"{id}\"").into_bytes(),
    };
    let is_member = [b"SISMEMBER".to_vec(), index.into_bytes(), member];
    assert_eq!(redis.ask(&is_member), "1");
    redis.ask(&["DEL", &keys::expires(&id)]);
    assert_eq!(stomp.closed().0, 1008);
    until("Spring's work", || redis.ask(&is_member) == "0");
}

#[test]
#[ignore = "needs the Spring reference application"]
fn a_session_made_here_is_loaded_by_spring_jdk() {
    a_session_made_here_is_loaded_by_spring("jdk");
}

#[test]
#[ignore = "needs the Spring reference application"]
fn a_session_made_here_is_loaded_by_spring_json() {
    a_session_made_here_is_loaded_by_spring("json");
}

#[test]
#[ignore = "needs the Spring reference application"]
fn a_session_made_here_creates_an_event_that_spring_understands() {
    let world = world("jdk");
    let mut ear = world.redis.connect();
    ear.ask(&["PSUBSCRIBE", "spring:session:event:0:created:*"]);
    let browser = Browser::log_in(world.node.address, "luke");
    let message = String::from_utf8_lossy(&ear.read()).into_owned();
    assert!(message.contains(&format!("created:{} ", browser.session())), "{message}");
    // It carries the fields that have changed, as one map in Java's serialization.
    assert!(message.contains("java.util.HashMap") && message.contains("maxInactiveInterval"), "{message}");
    let log = world.spring.log();
    assert!(!log.contains("Exception"), "{log}");
}

fn each_kind_renews_and_no_other(kind: &'static str) {
    let world = world(kind);
    let browser = Browser::log_in(world.spring.address, "rob");
    let id = browser.session();
    let mut redis = world.redis.connect();
    let mut other = Browser::log_in(world.spring.address, "luke").at(world.node.address).stomp();
    let mut moved = BTreeMap::new();
    let mut stomp = browser.at(world.node.address).stomp();
    let mut step =
        |stomp: &mut common::web::Stomp, name: &'static str, act: &mut dyn FnMut(&mut common::web::Stomp)| {
            // What a handshake, or the step before, has written is there by now; so is the next millisecond.
            std::thread::sleep(Duration::from_millis(60));
            let before = last_accessed(&mut redis, &id).expect("it is there");
            act(stomp);
            std::thread::sleep(Duration::from_millis(60));
            let after = last_accessed(&mut redis, &id).expect("it is there");
            if after > before {
                let age = redis_now(&mut redis) - after;
                assert!(age < 1_000, "{name}: {age} ms");
                if kind != "plain" {
                    let left: u64 = redis.ask(&["PTTL", &keys::expires(&id)]).parse().expect("a number");
                    assert!(left > 59_000, "{name}: {left}");
                }
                let (least, most) = if kind == "plain" { (59_000, 60_000) } else { (359_000, 360_000) };
                let left: u64 = redis.ask(&["PTTL", &keys::hash(&id)]).parse().expect("a number");
                assert!((least..=most).contains(&left), "{name}: {left}");
            }
            moved.insert(name, after > before);
        };
    step(&mut stomp, "SEND", &mut |s| s.send("SEND", &[("destination", "/app/nothing")], "x"));
    step(&mut stomp, "SUBSCRIBE", &mut |s| {
        s.send("SUBSCRIBE", &[("id", "0"), ("destination", "/user/queue/messages")], "");
    });
    step(&mut stomp, "received", &mut |s| {
        other.send("SEND", &[("destination", "/app/im")], r#"{"to":"rob","message":"hello"}"#);
        assert!(s.next().contains("hello"));
    });
    step(&mut stomp, "heart-beat", &mut |s| s.client.send(Opcode::Text, b"\n"));
    step(&mut stomp, "ping", &mut |s| s.client.send(Opcode::Ping, b"x"));
    step(&mut stomp, "pong", &mut |s| s.client.send(Opcode::Pong, b"x"));
    step(&mut stomp, "UNSUBSCRIBE", &mut |s| s.send("UNSUBSCRIBE", &[("id", "0")], ""));
    let mut fresh = {
        let (status, client, _) = browser.at(world.node.address).handshake();
        assert_eq!(status, 101);
        common::web::Stomp { client, user: None }
    };
    step(&mut fresh, "CONNECT", &mut |s| {
        s.send("CONNECT", &[("accept-version", "1.2"), ("host", "h")], "");
        assert!(s.next().starts_with("CONNECTED"));
    });
    let expected = [
        ("CONNECT", true),
        ("SEND", true),
        ("SUBSCRIBE", true),
        ("UNSUBSCRIBE", true),
        ("heart-beat", false),
        ("ping", false),
        ("pong", false),
        ("received", false),
    ];
    assert_eq!(moved, BTreeMap::from(expected));
    // Spring sees it.
    let page = browser.at(world.spring.address).get("/session");
    assert_eq!((page.status, field(&page.body, "id")), (200, id));
}

#[test]
#[ignore = "needs the Spring reference application"]
fn each_kind_renews_and_no_other_jdk() {
    each_kind_renews_and_no_other("jdk");
}

#[test]
#[ignore = "needs the Spring reference application"]
fn each_kind_renews_and_no_other_json() {
    each_kind_renews_and_no_other("json");
}

#[test]
#[ignore = "needs the Spring reference application"]
fn each_kind_renews_and_no_other_plain() {
    each_kind_renews_and_no_other("plain");
}

fn spring_reads_the_session_after_ten_thousand_touches(kind: &'static str) {
    let world = world(kind);
    let browser = Browser::log_in(world.spring.address, "rob");
    let mut stomp = browser.at(world.node.address).stomp();
    let mut there = browser.at(world.spring.address);
    for round in 0..100 {
        for _ in 0..99 {
            stomp.send("SEND", &[("destination", "/app/nothing")], "x");
        }
        stomp.done("SEND", &[("destination", "/app/nothing")], "x");
        if round % 20 == 0 {
            let page = there.get("/session");
            assert_eq!((page.status, field(&page.body, "id")), (200, browser.session()), "{page:?}");
        }
    }
    let page = there.get("/session");
    assert_eq!((page.status, field(&page.body, "id")), (200, browser.session()), "{page:?}");
    let fields = world.redis.ask(&["HLEN", &keys::hash(&browser.session())]);
    assert!(fields.parse::<u32>().expect("a number") >= 4, "{fields} fields");
    assert_eq!(there.get("/").body, "Hello, rob\n");
}

#[test]
#[ignore = "needs the Spring reference application"]
fn spring_reads_the_session_after_ten_thousand_touches_jdk() {
    spring_reads_the_session_after_ten_thousand_touches("jdk");
}

#[test]
#[ignore = "needs the Spring reference application"]
fn spring_reads_the_session_after_ten_thousand_touches_json() {
    spring_reads_the_session_after_ten_thousand_touches("json");
}

fn logout_at_spring_closes_here_at_once(kind: &'static str) {
    let world = world(kind);
    let mut times = Vec::new();
    for _ in 0..21 {
        let mut browser = Browser::log_in(world.spring.address, "rob");
        let mut stomp = browser.at(world.node.address).stomp();
        let (mut raw, mut other) = (browser.at(world.node.address).stomp(), {
            let luke = Browser::log_in(world.spring.address, "luke");
            luke.at(world.node.address).stomp()
        });
        browser.log_out();
        let answered = now();
        let (code, reason, at) = stomp.closed();
        assert_eq!((code, reason.as_str()), (1008, REASON));
        times.push(at.saturating_duration_since(answered));
        assert_eq!(raw.closed().0, 1008, "and every other socket of the session");
        other.stays_open(Duration::from_millis(20));
    }
    let median = median(times);
    assert!(median < Duration::from_millis(100), "{median:?}");
}

#[test]
#[ignore = "needs the Spring reference application"]
fn logout_at_spring_closes_here_at_once_jdk() {
    logout_at_spring_closes_here_at_once("jdk");
}

#[test]
#[ignore = "needs the Spring reference application"]
fn logout_at_spring_closes_here_at_once_json() {
    logout_at_spring_closes_here_at_once("json");
}

/// Sessions of 2 seconds whose WebSockets are opened here: how late each is closed.
fn lateness(world: &World, count: usize) -> Vec<Duration> {
    let mut all = Vec::new();
    for _ in 0..count {
        let browser = Browser::log_in(world.spring.address, "rob");
        browser.at(world.spring.address).post_with_token("/session/timeout", &[("seconds", "2")]);
        let mut stomp = browser.at(world.node.address).stomp();
        stomp.done("SEND", &[("destination", "/app/nothing")], "x");
        let used = now();
        all.push((stomp, used));
    }
    all.into_iter()
        .map(|(mut stomp, used)| {
            let (code, reason, at) = stomp.closed();
            assert_eq!((code, reason.as_str()), (1008, REASON));
            let lived = at.saturating_duration_since(used);
            assert!(lived > Duration::from_millis(1_900), "too soon: {lived:?}");
            lived.saturating_sub(Duration::from_secs(2))
        })
        .collect()
}

fn expiry_closes_within_a_second(world: &World) {
    let late = lateness(world, 6);
    println!("{late:?}");
    assert!(late.iter().all(|late| *late < Duration::from_secs(1)), "{late:?}");
}

#[test]
#[ignore = "needs the Spring reference application"]
fn expiry_closes_within_a_second_of_the_end() {
    expiry_closes_within_a_second(&world("jdk"));
}

#[test]
#[ignore = "needs the Spring reference application"]
fn expiry_closes_within_a_second_of_the_end_json() {
    expiry_closes_within_a_second(&world("json"));
}

#[test]
#[ignore = "needs the Spring reference application"]
fn expiry_closes_within_a_second_of_the_end_plain() {
    expiry_closes_within_a_second(&world("plain"));
}

#[test]
#[ignore = "needs the Spring reference application"]
fn expiry_closes_within_a_second_where_redis_does_not_expire_by_itself() {
    let world = world("jdk");
    world.redis.ask(&["DEBUG", "SET-ACTIVE-EXPIRE", "0"]);
    let late = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| expiry_closes_within_a_second(&world)));
    world.redis.ask(&["DEBUG", "SET-ACTIVE-EXPIRE", "1"]);
    late.expect("each is closed in time");
}

#[test]
#[ignore = "needs the Spring reference application"]
fn expiry_closes_within_a_second_where_redis_announces_nothing() {
    let world = world("jdk");
    let flags = world.redis.ask(&["CONFIG", "GET", "notify-keyspace-events"]);
    world.redis.ask(&["CONFIG", "SET", "notify-keyspace-events", ""]);
    let late = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| expiry_closes_within_a_second(&world)));
    let flags = flags.split(' ').nth(1).unwrap_or_default();
    world.redis.ask(&["CONFIG", "SET", "notify-keyspace-events", flags]);
    late.expect("each is closed in time");
}

#[test]
#[ignore = "needs the Spring reference application"]
fn logout_in_the_plain_layout_closes_within_the_check_interval() {
    let world = world("plain");
    // Spring leaves the notices off; so a look every 5 s has to find it.
    world.redis.ask(&["CONFIG", "SET", "notify-keyspace-events", ""]);
    let node = world.node(&["--redis-layout=plain"]);
    for _ in 0..2 {
        let mut browser = Browser::log_in(world.spring.address, "rob");
        let mut stomp = browser.at(node.address).stomp();
        world.redis.ask(&["CONFIG", "SET", "notify-keyspace-events", ""]);
        browser.log_out();
        let answered = now();
        let (code, reason, at) = stomp.closed();
        assert_eq!((code, reason.as_str()), (1008, REASON));
        let late = at.saturating_duration_since(answered);
        assert!(late < Duration::from_millis(5_500), "{late:?}");
    }
}

#[test]
#[ignore = "needs the Spring reference application"]
fn a_session_id_that_changes_is_followed() {
    let world = world("jdk");
    for _ in 0..10 {
        let browser = Browser::log_in(world.spring.address, "rob");
        let mut stomp = browser.at(world.node.address).stomp();
        let mut there = browser.at(world.spring.address);
        let page = there.post_with_token("/session/id", &[]);
        let id = field(&page.body, "id");
        assert_ne!(id, browser.session());
        // It renews under the new id.
        std::thread::sleep(Duration::from_millis(100));
        let mut redis = world.redis.connect();
        let before = last_accessed(&mut redis, &id).expect("it is there");
        stomp.done("SEND", &[("destination", "/app/nothing")], "x");
        until("the new id is renewed", || last_accessed(&mut redis, &id).is_some_and(|at| at > before));
        assert_eq!(redis.ask(&["EXISTS", &keys::hash(&browser.session())]), "0", "the old one stays gone");
        // And is closed under it.
        there.log_out();
        let (code, reason, _) = stomp.closed();
        assert_eq!((code, reason.as_str()), (1008, REASON));
    }
}

#[test]
#[ignore = "needs the Spring reference application"]
fn two_nodes_are_closed_alike_and_reach_each_other() {
    let world = world("jdk");
    let second = world.node(&["--touch-interval=0s"]);
    let mut browser = Browser::log_in(world.spring.address, "rob");
    let luke = Browser::log_in(world.node.address, "luke");
    let mut one = browser.at(world.node.address).stomp();
    let mut two = browser.at(second.address).stomp();
    let mut three = luke.at(second.address).stomp();
    for stomp in [&mut one, &mut two, &mut three] {
        stomp.subscribe("0", "/user/queue/messages");
    }
    let mut writer = luke.stomp();
    writer.send("SEND", &[("destination", "/app/im")], r#"{"to":"rob","message":"to all of you"}"#);
    for stomp in [&mut one, &mut two, &mut three] {
        assert!(stomp.next().contains("to all of you"));
    }
    browser.log_out();
    for stomp in [&mut one, &mut two] {
        assert_eq!(stomp.closed().0, 1008);
    }
    three.stays_open(Duration::from_millis(100));
    // What one of ours ends is ended everywhere.
    let mut luke = luke.at(world.node.address);
    luke.log_out();
    assert_eq!((three.closed().0, writer.closed().0), (1008, 1008));
    let page = luke.at(world.spring.address).get("/session");
    assert_eq!(page.status, 302, "and Spring does not know it any more: {page:?}");
}

/// Of 2,000 handshakes that meet a logout none leaves a socket open. `RACE_ROUNDS` makes it another number.
#[test]
#[ignore = "needs the Spring reference application"]
fn a_handshake_that_meets_a_logout_leaves_no_socket_open() {
    let world = world("jdk");
    let (spring, node) = (world.spring.address, world.node.address);
    let rounds: u64 = std::env::var("RACE_ROUNDS").map_or(2_000, |rounds| rounds.parse().expect("a number of rounds"));
    const AT_ONCE: u64 = 4;
    let workers = (0..AT_ONCE).map(|worker| {
        std::thread::spawn(move || {
            let (mut refused, mut closed) = (0, 0);
            for round in (worker..rounds).step_by(AT_ONCE as usize) {
                let mut browser = Browser::log_in(spring, "rob");
                let here = browser.at(node);
                let token = field(&browser.get("/csrf").body, "token");
                // From well before the logout to well after it.
                let delay = Duration::from_micros(round * 7_919 % 20_000);
                let logout = std::thread::spawn(move || browser.post("/logout", &[("_csrf", &token)]).status);
                std::thread::sleep(delay);
                let (status, client, head) = here.handshake();
                match status {
                    101 => {
                        let mut stomp = common::web::Stomp { client, user: None };
                        assert_eq!(stomp.closed().0, 1008, "round {round}");
                        closed += 1;
                    }
                    401 => refused += 1,
                    _ => panic!("round {round}: {head}"),
                }
                assert_eq!(logout.join().expect("it is answered"), 302);
            }
            (refused, closed)
        })
    });
    let (mut refused, mut closed) = (0, 0);
    for worker in workers.collect::<Vec<_>>() {
        let (some, others) = worker.join().expect("no socket is left open");
        refused += some;
        closed += others;
    }
    println!("{refused} refused, {closed} closed");
    assert!(refused > rounds / 20 && closed > rounds / 20, "both happen: {refused} and {closed}");
}
