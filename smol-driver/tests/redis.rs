//! The server on a real Redis: how its sockets end, and what happens when Redis does not behave.

mod common;

use std::time::Duration;

use common::keys::{self, Layout, last_accessed};
use common::process::Process;
use common::redis::{RedisClient, RedisServer};
use common::spring::{until, visitor};
use common::web::{Browser, Stomp, now};

/// A Redis and a node on it.
struct World {
    redis: RedisServer,
    node: Process,
}

impl World {
    fn new() -> Self {
        Self::with(&[], &[])
    }

    fn with(redis: &[&str], node: &[&str]) -> Self {
        let redis = RedisServer::with(redis);
        let node = node_on(&redis, node);
        Self { redis, node }
    }

    /// A session made by hand, and who has it.
    fn visitor(&self, layout: Layout, seconds: i32) -> (String, Browser) {
        visitor(&self.redis, &self.node, layout, seconds)
    }
}

fn node_on(redis: &RedisServer, flags: &[&str]) -> Process {
    let url = format!("--redis={}", redis.url());
    let node = Process::start(&[&[url.as_str()], flags].concat());
    node.says("msg=\"redis connected\" connection=commands");
    node.says("msg=\"redis connected\" connection=notices");
    until("the subscription", || redis.ask(&["PUBSUB", "CHANNELS", "__keyevent*"]).contains("__keyevent@0__:expired"));
    // Redis has it; a moment later the node knows that it has. A rename before that is not followed.
    std::thread::sleep(Duration::from_millis(100));
    node
}

/// How long after this it is closed with 1008.
fn closes(stomp: &mut Stomp, act: impl FnOnce()) -> Duration {
    let since = now();
    act();
    let (code, _, at) = stomp.closed();
    assert_eq!(code, 1008);
    at.saturating_duration_since(since)
}

const SOON: Duration = Duration::from_millis(200);

#[test]
fn a_login_here_is_written_as_spring_writes_it() {
    let world = World::with(&[], &["--session-timeout=60s"]);
    let mut browser = Browser::log_in(world.node.address, "rob");
    let id = browser.session();
    let mut redis = world.redis.connect();
    let hash = keys::hash(&id);
    let field = |redis: &mut RedisClient, name: &str| redis.ask_bytes(&["HGET", &hash, name]);
    assert_eq!(field(&mut redis, keys::PRINCIPAL), keys::java_text("rob"));
    assert_eq!(field(&mut redis, "maxInactiveInterval"), keys::java_int(60));
    let created = keys::number(&field(&mut redis, "creationTime")).expect("a number");
    let used = last_accessed(&mut redis, &id).expect("a number");
    assert!(used >= created && keys::redis_now(&mut redis) - created < 5_000);
    let ttl = |redis: &mut RedisClient, key: &str| redis.ask(&["PTTL", key]).parse::<i64>().expect("a number");
    assert!((355_000..=360_000).contains(&ttl(&mut redis, &hash)));
    assert!((55_000..=60_000).contains(&ttl(&mut redis, &keys::expires(&id))));
    let minute = keys::minute(used + 60_000);
    assert_eq!(
        redis.ask(&[b"SISMEMBER".to_vec(), minute.clone().into_bytes(), keys::java_text(&format!("expires:{id}"))]),
        "1"
    );
    // Spring leaves this one without an end when a session is used once only.
    assert!(ttl(&mut redis, &minute) > 0);
    let mut stomp = browser.stomp();
    assert_eq!(stomp.user.as_deref(), Some("rob"));
    assert!(closes(&mut stomp, || browser.log_out()) < SOON + SOON);
    assert_eq!(redis.ask(&["EXISTS", &keys::expires(&id)]), "0");
    assert_eq!(browser.get("/").status, 302, "and it is a stranger's again");
}

#[test]
fn what_is_done_by_hand_closes_within_200_ms() {
    let world = World::new();
    let acts: [(&str, &[&[&str]]); 5] = [
        ("DEL", &[&["DEL", "E"]]),
        ("UNLINK", &[&["UNLINK", "E"]]),
        ("EXPIRE 0", &[&["EXPIRE", "E", "0"]]),
        ("DEL of the hash, then of the expires key", &[&["DEL", "H"], &["DEL", "E"]]),
        ("DEL of both", &[&["DEL", "H", "E"]]),
    ];
    for (name, commands) in acts {
        let (id, browser) = world.visitor(Layout::Indexed, 60);
        let (mut one, mut two) = (browser.stomp(), browser.stomp());
        let (_, bystander) = world.visitor(Layout::Indexed, 60);
        let mut bystander = bystander.stomp();
        let mut redis = world.redis.connect();
        let late = closes(&mut one, || {
            for command in commands {
                let command: Vec<String> = command
                    .iter()
                    .map(|arg| match *arg {
                        "E" => keys::expires(&id),
                        "H" => keys::hash(&id),
                        arg => arg.to_owned(),
                    })
                    .collect();
                redis.ask(&command);
            }
        });
        assert!(late < SOON, "{name}: {late:?}");
        assert_eq!(two.closed().0, 1008, "{name}");
        bystander.stays_open(Duration::from_millis(50));
    }
    until("a line for each", || world.node.log().matches("session ended").count() == acts.len());
    assert_eq!(world.node.log().matches("detector=notice").count(), acts.len(), "{}", world.node.log());
}

#[test]
fn a_rename_is_followed() {
    let world = World::with(&[], &["--touch-interval=0s"]);
    let (id, browser) = world.visitor(Layout::Indexed, 60);
    let mut stomp = browser.stomp();
    let mut redis = world.redis.connect();
    let new = format!("{id}-new");
    redis.ask(&["RENAME", &keys::hash(&id), &keys::hash(&new)]);
    redis.ask(&["RENAME", &keys::expires(&id), &keys::expires(&new)]);
    stomp.stays_open(Duration::from_millis(500));
    let before = last_accessed(&mut redis, &new).expect("it is there");
    std::thread::sleep(Duration::from_millis(5));
    stomp.done("SEND", &[("destination", "/app/nothing")], "");
    until("the new id is renewed", || last_accessed(&mut redis, &new).is_some_and(|at| at > before));
    assert_eq!(redis.ask(&["EXISTS", &keys::hash(&id), &keys::expires(&id)]), "0");
    assert!(closes(&mut stomp, || drop(redis.ask(&["DEL", &keys::expires(&new)]))) < SOON);
}

#[test]
fn r05_what_is_never_announced_is_found_by_the_sweep() {
    let acts: [(&str, &[&str]); 3] =
        [("FLUSHALL", &["FLUSHALL"]), ("SWAPDB", &["SWAPDB", "0", "5"]), ("SET", &["SET", "H", "x"])];
    for (name, command) in acts {
        let world = World::with(&[], &["--sweep-interval=1s"]);
        let (id, browser) = world.visitor(Layout::Indexed, 60);
        let mut stomp = browser.stomp();
        // The last renewal of what was just done is past, which would find it as well.
        std::thread::sleep(Duration::from_millis(1_300));
        let command: Vec<String> =
            command.iter().map(|arg| if *arg == "H" { keys::hash(&id) } else { (*arg).to_owned() }).collect();
        let late = closes(&mut stomp, || drop(world.redis.connect().ask(&command)));
        assert!(late < Duration::from_millis(2_500), "{name}: {late:?}");
        world.node.says("detector=sweep");
    }
}

#[test]
fn r06_a_forged_stale_or_doubled_notice_of_a_living_session_is_nothing() {
    let world = World::with(&[], &["--touch-interval=0s"]);
    let (id, browser) = world.visitor(Layout::Indexed, 60);
    let mut stomp = browser.stomp();
    let mut redis = world.redis.connect();
    for _ in 0..3 {
        for event in ["expired", "del", "evicted"] {
            for key in [keys::expires(&id), keys::hash(&id)] {
                redis.ask(&["PUBLISH", &format!("__keyevent@0__:{event}"), &key]);
            }
        }
    }
    // Nor of another namespace or database, or of a key that only looks like one (R18).
    for (channel, key) in [
        ("__keyevent@1__:expired", keys::expires(&id)),
        ("__keyevent@0__:expired", format!("other:sessions:expires:{id}")),
        ("__keyevent@0__:expired", format!("x{}", keys::expires(&id))),
        ("__keyevent@0__:expired", format!("{}:x", keys::expires(&id))),
    ] {
        redis.ask(&["PUBLISH", channel, &key]);
    }
    stomp.stays_open(Duration::from_millis(500));
    stomp.done("SEND", &[("destination", "/app/nothing")], "");
    assert!(closes(&mut stomp, || drop(redis.ask(&["DEL", &keys::expires(&id)]))) < SOON);
}

#[test]
fn c12_a_session_that_never_ends_is_never_closed() {
    let world = World::with(&[], &["--touch-interval=0s", "--sweep-interval=200ms"]);
    let (id, browser) = world.visitor(Layout::Indexed, -1);
    let mut redis = world.redis.connect();
    let index = format!("{}:index:{}:rob", keys::NAMESPACE, keys::PRINCIPAL.trim_start_matches("sessionAttr:"));
    redis.ask(&[b"SADD".to_vec(), index.clone().into_bytes(), keys::java_text(&id)]);
    let mut stomp = browser.stomp();
    for _ in 0..5 {
        stomp.done("SEND", &[("destination", "/app/nothing")], "");
        // What Spring does at each save of one.
        redis.ask(&["APPEND", &keys::expires(&id), ""]);
        redis.ask(&["DEL", &keys::expires(&id)]);
        stomp.stays_open(Duration::from_millis(200));
    }
    assert_eq!(redis.ask(&["SCARD", &index]), "1");
    assert_eq!(redis.ask(&["TTL", &keys::hash(&id)]), "-1");
}

#[test]
fn expiry_closes_within_a_second_of_the_end() {
    for (settings, layout) in [
        (&[][..], Layout::Indexed),
        (&["DEBUG", "SET-ACTIVE-EXPIRE", "0"], Layout::Indexed),
        (&["CONFIG", "SET", "notify-keyspace-events", ""], Layout::Indexed),
        (&[], Layout::Plain),
    ] {
        let world = World::with(
            &[],
            &[if layout == Layout::Plain { "--redis-layout=plain" } else { "--redis-layout=indexed" }],
        );
        if !settings.is_empty() {
            world.redis.ask(settings);
        }
        let mut all: Vec<Stomp> = (0..5).map(|_| world.visitor(layout, 2).1.stomp()).collect();
        let used = now();
        for stomp in &mut all {
            let lived = stomp.closed().2.saturating_duration_since(used);
            // It was used when it connected, a little before.
            assert!(lived > Duration::from_millis(1_500) && lived < Duration::from_secs(3), "{settings:?} {lived:?}");
        }
    }
}

#[test]
fn c10_a_touch_that_meets_a_del_leaves_nothing_behind() {
    // 10,000 rounds: 100 at a time, since each takes a little.
    let world = World::with(&[], &["--touch-interval=0s"]);
    let mut redis = world.redis.connect();
    let mut closed = 0;
    for round in 0..100_u64 {
        let mut all: Vec<(String, Stomp)> = (0..100)
            .map(|_| {
                let (id, browser) = world.visitor(Layout::Indexed, 60);
                (id, browser.stomp())
            })
            .collect();
        // Each sends and loses its keys at about the same time.
        for (i, (id, stomp)) in all.iter_mut().enumerate() {
            let keys = [keys::hash(id), keys::expires(id)];
            let delete = if (round + i as u64).is_multiple_of(2) {
                vec!["DEL", &keys[0], &keys[1]]
            } else {
                vec!["DEL", &keys[1]]
            };
            if round % 3 == 0 {
                redis.send(&delete);
                stomp.send("SEND", &[("destination", "/app/nothing")], "");
            } else {
                stomp.send("SEND", &[("destination", "/app/nothing")], "");
                redis.send(&delete);
            }
        }
        for _ in &all {
            redis.read();
        }
        for (id, stomp) in &mut all {
            assert_eq!(stomp.closed().0, 1008, "round {round}");
            closed += 1;
            let [hash, expires] = [keys::hash(id), keys::expires(id)];
            assert_eq!(redis.ask(&["EXISTS", &expires]), "0", "round {round}: it came back");
            let fields = redis.ask(&["HLEN", &hash]);
            assert!(fields == "0" || fields == "4", "round {round}: half a hash is left: {fields} fields");
        }
    }
    assert_eq!(closed, 10_000);
}

#[test]
fn a_killed_redis_that_comes_back_with_its_data_closes_nobody_who_lives() {
    let mut world = World::new();
    let (living, browser) = world.visitor(Layout::Indexed, 60);
    let mut stomp = browser.stomp();
    let (ended, other) = world.visitor(Layout::Indexed, 60);
    let mut other = other.stomp();
    world.redis.save();
    world.redis.kill();
    stomp.stays_open(Duration::from_millis(500));
    // What happens in the dark: one is logged out before the notices come in again.
    world.redis.revive();
    let since = now();
    world.redis.ask(&["DEL", &keys::expires(&ended)]);
    assert_eq!(other.closed().0, 1008);
    assert!(now().saturating_duration_since(since) < Duration::from_secs(10), "5 s after the notices are back");
    stomp.stays_open(Duration::from_millis(500));
    stomp.done("SEND", &[("destination", "/app/nothing")], "");
    assert_eq!(world.redis.ask(&["EXISTS", &keys::expires(&living)]), "1");
}

#[test]
fn a_redis_that_comes_back_empty_ends_all() {
    let mut world = World::new();
    let mut all: Vec<Stomp> = (0..5).map(|_| world.visitor(Layout::Indexed, 60).1.stomp()).collect();
    world.redis.kill();
    all[0].stays_open(Duration::from_millis(300));
    world.redis.revive();
    for stomp in &mut all {
        assert_eq!(stomp.closed().0, 1008);
    }
}

#[test]
fn r10_while_redis_is_away_handshakes_are_answered_503_within_2_seconds() {
    for kill in [true, false] {
        let mut world = World::new();
        let (_, browser) = world.visitor(Layout::Indexed, 60);
        let mut stomp = browser.stomp();
        if kill {
            world.redis.kill();
        } else {
            world.redis.pause();
        }
        for _ in 0..3 {
            let since = now();
            let (status, _, head) = browser.handshake();
            let took = now().saturating_duration_since(since);
            assert_eq!(status, 503, "{head}");
            assert!(head.to_ascii_lowercase().contains("retry-after:"), "{head}");
            assert!(took < Duration::from_millis(2_200), "{took:?}");
        }
        // Who is in goes on.
        stomp.send("SUBSCRIBE", &[("id", "0"), ("destination", "/topic/friends/signin")], "");
        stomp.stays_open(Duration::from_millis(300));
        if kill {
            world.redis.revive();
        } else {
            world.redis.resume();
        }
        if !kill {
            until("a handshake", || browser.handshake().0 == 101);
            stomp.stays_open(Duration::from_millis(300));
            stomp.done("SEND", &[("destination", "/app/nothing")], "");
        }
    }
}

#[test]
fn a_session_whose_deadline_passes_while_redis_is_away_is_held_and_not_closed() {
    let world = World::new();
    let (_, browser) = world.visitor(Layout::Indexed, 2);
    let mut stomp = browser.stomp();
    stomp.subscribe("0", "/user/queue/messages");
    world.redis.pause();
    std::thread::sleep(Duration::from_millis(2_500));
    // Nothing crosses in either direction.
    stomp.send("SEND", &[("destination", "/app/im")], r#"{"to":"rob","message":"hello"}"#);
    let quiet = now();
    stomp.stays_open(Duration::from_secs(1));
    assert!(now().saturating_duration_since(quiet) > Duration::from_millis(900));
    world.redis.resume();
    let (code, _, _) = stomp.closed();
    assert_eq!(code, 1008, "its activity came too late");
}

#[test]
fn r11_away_for_longer_than_the_blind_time_is_1013() {
    let mut world = World::with(&[], &["--blind-time=2s"]);
    let (_, browser) = world.visitor(Layout::Indexed, 60);
    let mut stomp = browser.stomp();
    world.redis.kill();
    let since = now();
    let (code, _, at) = stomp.closed();
    assert_eq!(code, 1013);
    let after = at.saturating_duration_since(since);
    assert!(after > Duration::from_millis(1_500) && after < Duration::from_secs(6), "{after:?}");
}

#[test]
fn a_pubsub_connection_that_is_killed_is_made_up_for() {
    let world = World::new();
    let (_, browser) = world.visitor(Layout::Indexed, 60);
    let mut living = browser.stomp();
    for _ in 0..3 {
        let (id, browser) = world.visitor(Layout::Indexed, 60);
        let mut stomp = browser.stomp();
        let mut redis = world.redis.connect();
        let late = closes(&mut stomp, || {
            redis.ask(&["CLIENT", "KILL", "TYPE", "pubsub"]);
            redis.ask(&["DEL", &keys::expires(&id)]);
        });
        assert!(late < Duration::from_secs(6), "{late:?}");
    }
    living.stays_open(Duration::from_millis(300));
}

#[test]
fn r16_a_failover_to_a_replica_closes_nobody_who_lives() {
    let primary = RedisServer::start();
    let port = primary.port.to_string();
    let replica = RedisServer::with(&["--replicaof", "127.0.0.1", &port]);
    let sentinel = RedisServer::sentinel("chat", primary.port);
    until("the replica", || primary.ask(&["INFO", "replication"]).contains("state=online"));
    until("the sentinel", || sentinel.ask(&["SENTINEL", "REPLICAS", "chat"]).contains(&replica.port.to_string()));
    let url = format!("--redis=redis-sentinel://127.0.0.1:{}/0?master=chat", sentinel.port);
    let node = Process::start(&[&url]);
    node.says("msg=\"redis connected\" connection=commands");
    node.says(&format!("connection=notices node=127.0.0.1:{port}"));
    until("the subscription", || primary.ask(&["PUBSUB", "CHANNELS", "__keyevent*"]).contains("expired"));
    let (_, living) = visitor(&primary, &node, Layout::Indexed, 60);
    let (gone, ending) = visitor(&primary, &node, Layout::Indexed, 60);
    let (mut living, mut ending) = (living.stomp(), ending.stomp());
    // WAIT is about what its own connection has written, and with it all that came before.
    let mut last = primary.connect();
    assert_eq!(last.ask(&["SET", "last", ""]), "OK");
    assert_eq!(last.ask(&["WAIT", "1", "5000"]), "1");
    primary.signal("KILL");
    until("the failover", || replica.ask(&["ROLE"]).starts_with("master"));
    replica.ask(&["DEL", &keys::expires(&gone)]);
    assert_eq!(ending.closed().0, 1008);
    node.says(&format!("connection=notices node=127.0.0.1:{}", replica.port));
    living.stays_open(Duration::from_millis(500));
    living.done("SEND", &[("destination", "/app/nothing")], "");
}

/// It may not know a session yet, or any more: that says nothing.
#[test]
fn r16_a_replica_is_not_believed_until_it_is_promoted() {
    let primary = RedisServer::start();
    let replica = RedisServer::with(&["--replicaof", "127.0.0.1", &primary.port.to_string()]);
    until("the replica", || primary.ask(&["INFO", "replication"]).contains("state=online"));
    let node = Process::start(&[&format!("--redis={}", replica.url())]);
    node.says("why=\"it is a replica");
    let (id, browser) = visitor(&primary, &node, Layout::Indexed, 60);
    replica.ask(&["CONFIG", "SET", "replica-read-only", "no"]);
    replica.ask(&["DEL", &keys::hash(&id), &keys::expires(&id)]);
    assert_eq!(browser.handshake().0, 503, "and not that there is no such session");
    assert_eq!(replica.ask(&["REPLICAOF", "NO", "ONE"]), "OK");
    node.says("msg=\"redis connected\" connection=commands");
    let (_, browser) = visitor(&replica, &node, Layout::Indexed, 60);
    let mut stomp = browser.stomp();
    stomp.done("SEND", &[("destination", "/app/nothing")], "");
    assert_eq!(Browser::new(node.address).handshake().0, 401);
}

#[test]
fn the_log_says_when_ends_of_sessions_are_announced_and_when_not() {
    let world = World::with(&[], &["--sweep-interval=1s"]);
    let says = |text: &str, times: usize| {
        until(text, || world.node.log().matches(text).count() == times);
    };
    let (on, off) = ("redis announces ends of sessions", "redis notices lost");
    says(on, 1);
    assert!(!world.node.log().contains(off));
    for turn in 1..=3 {
        world.redis.ask(&["CLIENT", "KILL", "TYPE", "pubsub"]);
        says(off, turn);
        says("why=\"there is no connection for them\"", turn);
        says(on, turn + 1);
    }
    // Somebody turns them off: they are turned on again.
    world.redis.ask(&["CONFIG", "SET", "notify-keyspace-events", ""]);
    says("why=\"notify-keyspace-events does not announce them\"", 1);
    says(on, 5);
    assert_eq!(world.node.log().matches(off).count(), 4);
}

#[test]
fn hostile_cookies_reach_redis_as_one_bounded_argument_or_not_at_all() {
    let world = World::new();
    let mut monitor = world.redis.connect();
    monitor.ask(&["MONITOR"]);
    let long = "x".repeat(64 * 1024);
    let hostile: Vec<Vec<u8>> = [
        &b"*"[..],
        b"?",
        b"[a-z]*",
        b"../../etc/passwd",
        b"x\r\nFLUSHALL\r\n",
        b"x\0y",
        b"\xff\xfe",
        "ß日本".as_bytes(),
        b"",
        b" ",
        b"{x}",
        b"expires:x",
        b"a:b",
        long.as_bytes(),
    ]
    .map(<[u8]>::to_vec)
    .into();
    for id in hostile {
        let mut browser = Browser::new(world.node.address);
        browser.cookies.push(("SESSION".to_owned(), base64(&id)));
        let (status, _, head) = browser.handshake();
        assert!(matches!(status, 401 | 431), "{}: {head}", id[..id.len().min(20)].escape_ascii());
    }
    // One more that is a good one: it comes after all others.
    let (id, browser) = world.visitor(Layout::Indexed, 60);
    drop(browser.stomp());
    let mut lines = 0;
    loop {
        let line = String::from_utf8_lossy(&monitor.read()).into_owned();
        // A time in Java's serialization has any bytes.
        let line = line
            .split("\" \"")
            .filter(|argument| !argument.starts_with("\\xac\\xed"))
            .collect::<Vec<_>>()
            .join("\" \"");
        for bad in ["etc/passwd", "a-z", "FLUSHALL", "\\x00y", "\\xff", "xxxxxxxx", "{x}", "sessions:*", "sessions:?"] {
            assert!(!line.contains(bad), "{line}");
        }
        lines += 1;
        if line.contains("EVAL") && line.contains(&format!("sessions:{id}\"")) {
            break;
        }
    }
    assert!(lines > 1, "what was written by hand is seen as well");
}

fn base64(bytes: &[u8]) -> String {
    use ::base64::Engine;
    ::base64::engine::general_purpose::STANDARD.encode(bytes)
}

#[test]
fn two_nodes_close_each_others_sockets() {
    let redis = RedisServer::start();
    let (one, two) = (node_on(&redis, &[]), node_on(&redis, &[]));
    let mut browser = Browser::log_in(one.address, "rob");
    let (mut here, mut there) = (browser.stomp(), browser.at(two.address).stomp());
    here.subscribe("0", "/user/queue/messages");
    let mut luke = Browser::log_in(two.address, "luke").stomp();
    luke.send("SEND", &[("destination", "/app/im")], r#"{"to":"rob","message":"across"}"#);
    assert!(here.next().contains("\"from\":\"luke\",\"message\":\"across\""));
    browser.log_out();
    assert_eq!((here.closed().0, there.closed().0), (1008, 1008));
    luke.stays_open(Duration::from_millis(100));
}

/// What README tells an operator to allow, and no more.
const ACL: &[&str] = &[
    "on",
    ">secret",
    "~spring:session:*",
    "resetchannels",
    "&spring:session:*",
    "&__keyevent@0__:*",
    "+ping",
    "+role",
    "+client|setname",
    "+config|get",
    "+config|set",
    "+subscribe",
    "+publish",
    "+eval",
    "+evalsha",
    "+script|load",
    "+time",
    "+type",
    "+exists",
    "+pttl",
    "+pexpire",
    "+persist",
    "+del",
    "+rename",
    "+renamenx",
    "+set",
    "+hset",
    "+hmget",
    "+sadd",
    "+srem",
    "+zadd",
    "+zrem",
    "+zrange",
    "+zrangebyscore",
    "+srandmember",
    "+scan",
    "+hget",
];

/// A Redis with a user of these rights, and a node that is this user.
fn with_rights(rights: &[&str]) -> World {
    let redis = RedisServer::start();
    assert_eq!(redis.ask(&[&["ACL", "SETUSER", "tethered", "reset"], rights].concat()), "OK");
    let url = format!("--redis=redis://tethered:secret@127.0.0.1:{}", redis.port);
    let node = Process::start(&[&url, "--touch-interval=0s", "--sweep-interval=1s"]);
    node.says("msg=\"redis connected\" connection=commands");
    node.says("msg=\"redis connected\" connection=notices");
    World { redis, node }
}

/// All that the server does on a Redis: a session that is made, used, renamed, ended, and one that is ended by others.
fn everything(world: &World) {
    let mut browser = Browser::log_in(world.node.address, "rob");
    let (mut stomp, mut second) = (browser.stomp(), browser.stomp());
    stomp.done("SEND", &[("destination", "/app/nothing")], "");
    let id = browser.session();
    browser.log_out();
    assert_eq!((stomp.closed().0, second.closed().0), (1008, 1008));
    assert_eq!(world.redis.ask(&["EXISTS", &keys::expires(&id)]), "0");
    let (id, browser) = world.visitor(Layout::Indexed, 60);
    let mut stomp = browser.stomp();
    stomp.done("SEND", &[("destination", "/app/nothing")], "");
    std::thread::sleep(Duration::from_millis(1_500));
    stomp.stays_open(Duration::from_millis(100));
    let late = closes(&mut stomp, || drop(world.redis.ask(&["DEL", &keys::hash(&id), &keys::expires(&id)])));
    assert!(late < Duration::from_secs(6), "{late:?}");
}

#[test]
fn the_rights_that_readme_lists_are_enough() {
    let world = with_rights(ACL);
    until("the subscription", || world.redis.ask(&["PUBSUB", "CHANNELS", "__keyevent*"]).contains("expired"));
    everything(&world);
    let log = world.node.log();
    assert!(!log.contains("redis alarm") && !log.contains("secret"), "{log}");
    let refused = world.redis.ask(&["ACL", "LOG"]);
    assert_eq!(refused, "", "nothing was refused");
}

#[test]
fn without_the_right_to_config_or_scripts_it_says_so_and_works_on() {
    for (without, kind) in [("config", "no-notices"), ("script", "no-scripts")] {
        let mut rights: Vec<&str> = ACL
            .iter()
            .copied()
            .filter(|right| {
                let name = right.trim_start_matches('+');
                match without {
                    "config" => !name.starts_with("config"),
                    _ => !name.starts_with("eval") && !name.starts_with("script"),
                }
            })
            .collect();
        if without == "script" {
            rights.extend(["+watch", "+unwatch", "+multi", "+exec", "+hmset"]);
        }
        let world = with_rights(&rights);
        everything(&world);
        world.node.says(&format!("kind={kind}"));
        assert!(world.node.log().matches(&format!("kind={kind}")).count() <= 2, "{}", world.node.log());
    }
}

#[test]
fn a_pause_of_30_seconds_closes_nobody_who_lives_and_all_who_ended() {
    let world = World::new();
    let (_, living) = world.visitor(Layout::Indexed, 300);
    let mut living = living.stomp();
    let mut ending: Vec<Stomp> = (0..5).map(|_| world.visitor(Layout::Indexed, 10).1.stomp()).collect();
    world.redis.ask(&["CLIENT", "PAUSE", "30000"]);
    living.stays_open(Duration::from_secs(5));
    ending[0].stays_open(Duration::from_secs(22));
    let since = now();
    for stomp in &mut ending {
        assert_eq!(stomp.closed().0, 1008);
    }
    assert!(now().saturating_duration_since(since) < Duration::from_secs(15), "soon after it is back");
    living.stays_open(Duration::from_millis(500));
    living.done("SEND", &[("destination", "/app/nothing")], "");
}
