//! The connections, on a real Redis.

#![allow(clippy::disallowed_methods, reason = "tests measure real time")]

mod cluster;

use std::io::{Read, Write};
use std::net::TcpListener;
use std::time::{Duration, Instant};

use redis::Value;
use smol::Timer;
use smol::future::FutureExt;
use tethered_core::ids::CallId;
use tethered_core::redis::{Command, Connection};

use super::inbox::Incoming;
use super::server::RedisServer;
use super::{Redis, RedisOptions, RedisUrl};
use crate::clock::Clock;
use crate::log::{Level, Log};

/// The connections with what is around them in the server.
struct World {
    redis: Redis,
    clock: Clock,
    log: Log,
}

impl World {
    fn new(url: &str) -> Self {
        Self::with(&RedisOptions { silent_ms: 500, ..options(url) })
    }

    fn with(options: &RedisOptions) -> Self {
        let (clock, log) = (Clock::start(), Log::new(Level::Info));
        Self { redis: Redis::start(options, clock, &log).expect("it starts"), clock, log }
    }

    fn send(&self, call: u64, connection: Connection, args: &[&[u8]]) {
        let call = (call > 0).then(|| CallId::from_raw(call));
        self.redis.send(self.clock.now().mono, call, connection, &Command::new(args));
    }

    /// The next thing that comes in, in words.
    fn next(&self) -> String {
        let next = async {
            std::future::poll_fn(|cx| self.redis.poll(cx)).await;
            self.redis.inbox.pop().expect("something came in")
        };
        let late = async {
            Timer::after(Duration::from_secs(20)).await;
            panic!("nothing came in")
        };
        match smol::block_on(self.redis.executor.run(next.or(late))) {
            Incoming::Up(connection) => format!("up {}", connection.as_str()),
            Incoming::Down(connection) => format!("down {}", connection.as_str()),
            Incoming::Reply { call, value: None } => format!("{} lost", call.to_raw()),
            Incoming::Reply { call, value: Some(value) } => format!("{} {}", call.to_raw(), words(&value)),
            Incoming::Relayed { publication } => format!("relayed {}", publication.escape_ascii()),
            Incoming::Notice { channel, payload, .. } => {
                format!("notice {} {}", channel.escape_ascii(), payload.escape_ascii())
            }
        }
    }

    /// Whether this comes in, whatever comes before.
    fn wait_for(&self, wanted: &str) {
        while self.next() != wanted {}
    }

    fn both_up(&self) {
        let mut up = [self.next(), self.next()];
        up.sort();
        assert_eq!(up, ["up commands", "up notices"]);
    }

    /// Lets time pass.
    fn run_for(&self, ms: u64) {
        smol::block_on(self.redis.executor.run(Timer::after(Duration::from_millis(ms))));
    }

    /// Nothing comes in for so long.
    fn is_quiet(&self, ms: u64) {
        self.run_for(ms);
        if let Some(incoming) = self.redis.inbox.pop() {
            panic!("{incoming:?}");
        }
    }
}

fn options(url: &str) -> RedisOptions {
    RedisOptions::new(RedisUrl::parse(url).expect("an address"))
}

fn words(value: &Value) -> String {
    super::reply::lend(Some(value), |reply| format!("{reply:?}"))
}

#[test]
fn a_turn_is_one_round_trip_and_an_error_is_one_commands() {
    let server = RedisServer::start();
    let world = World::new(&server.url());
    world.both_up();
    let before = server.ask(&["INFO", "stats"]);
    for n in 0..200_u64 {
        let key = n.to_string();
        match n {
            100 => world.send(100 + n, Connection::Commands, &[b"HGET", b"text", b"x"]),
            0 => world.send(100, Connection::Commands, &[b"SET", b"text", b"\r\n\0\xff"]),
            _ => world.send(100 + n, Connection::Commands, &[b"ECHO", key.as_bytes()]),
        }
    }
    world.redis.flush();
    for n in 0..200_u64 {
        let reply = world.next();
        match n {
            100 => assert!(reply.starts_with("200 Error(") && reply.contains("87, 82, 79, 78, 71"), "WRONG…: {reply}"),
            0 => assert_eq!(reply, format!("100 {}", words(&Value::Okay))),
            _ => assert_eq!(reply, format!("{} {}", 100 + n, words(&Value::BulkString(n.to_string().into())))),
        }
    }
    // Redis counts what it read: all came in one piece.
    let reads = |info: &str| {
        let line = info.lines().find_map(|line| line.strip_prefix("total_reads_processed:")).expect("a count");
        line.trim().parse::<u64>().expect("a number")
    };
    let after = server.ask(&["INFO", "stats"]);
    // The second INFO itself is one read more, and its connection's PING none.
    assert!(reads(&after) - reads(&before) <= 3, "{} reads", reads(&after) - reads(&before));
}

#[test]
fn notices_come_in_and_a_silent_one_is_asked_whether_it_is_there() {
    let server = RedisServer::start();
    let world = World::new(&server.url());
    world.both_up();
    world.send(1, Connection::Notices, &[b"SUBSCRIBE", b"a", b"b"]);
    world.send(2, Connection::Notices, &[b"PSUBSCRIBE", b"c*"]);
    world.redis.flush();
    assert!(world.next().starts_with("1 List"));
    assert!(world.next().starts_with("2 List"));
    for (channel, payload) in [("a", "1"), ("cd", "\r\n"), ("b", ""), ("other", "x")] {
        server.ask(&["PUBLISH", channel, payload]);
    }
    assert_eq!([world.next(), world.next(), world.next()], ["notice a 1", "notice cd \\r\\n", "notice b "]);
    // Silence of twice the limit: it was asked, and answered.
    world.is_quiet(1_200);
    assert!(server.ask(&["INFO", "commandstats"]).contains("cmdstat_ping:calls="));
    server.ask(&["PUBLISH", "a", "2"]);
    assert_eq!(world.next(), "notice a 2");
}

#[test]
fn r10_a_paused_redis_is_noticed_and_left_and_found_again() {
    let server = RedisServer::start();
    let world = World::with(&RedisOptions { silent_ms: 300, reply_ms: 400, ..options(&server.url()) });
    world.both_up();
    server.pause();
    let since = Instant::now();
    world.send(1, Connection::Commands, &[b"PING"]);
    world.redis.flush();
    let mut down = [world.next(), world.next()];
    down.sort();
    assert_eq!(down, ["down commands", "down notices"]);
    // The one for its late reply, the other for its silence and a late reply to the question.
    assert!(since.elapsed() < Duration::from_millis(1_500), "{:?}", since.elapsed());
    world.send(2, Connection::Commands, &[b"PING"]);
    assert_eq!(world.next(), "2 lost", "nothing is kept for later");
    server.resume();
    let since = Instant::now();
    world.wait_for("up commands");
    assert!(since.elapsed() < Duration::from_secs(7), "{:?}", since.elapsed());
    // R09: what was asked on the old connection is answered nowhere.
    world.send(3, Connection::Commands, &[b"ECHO", b"three"]);
    world.redis.flush();
    world.wait_for(&format!("3 {}", words(&Value::BulkString("three".into()))));
}

#[test]
fn a_killed_redis_is_lost_at_once_and_found_again_with_little_said() {
    let mut server = RedisServer::start();
    let world = World::new(&server.url());
    world.both_up();
    server.kill();
    let since = Instant::now();
    let mut down = [world.next(), world.next()];
    down.sort();
    assert_eq!(down, ["down commands", "down notices"]);
    assert!(since.elapsed() < Duration::from_millis(500), "{:?}", since.elapsed());
    // It goes on trying, without waiting longer and longer for ever.
    world.run_for(2_500);
    server.revive();
    world.wait_for("up commands");
    let log = world.log.kept();
    for connection in ["commands", "notices"] {
        let lost = format!("msg=\"redis lost\" connection={connection}");
        let said = log.matches(&lost).count();
        assert!((1..=3).contains(&said), "{said} lines for {connection}: {log}");
    }
    assert!(log.matches("msg=\"redis connected\" connection=commands").count() == 2, "{log}");
}

#[test]
fn transactions_are_connected_by_their_first_command_and_keep_their_order() {
    let server = RedisServer::start();
    let world = World::new(&server.url());
    world.both_up();
    assert!(!server.ask(&["CLIENT", "LIST"]).contains("cmd=exec"));
    for (n, args) in
        [&[&b"WATCH"[..], b"k"][..], &[b"MULTI"], &[b"INCR", b"k"], &[b"GET", b"k"], &[b"EXEC"]].into_iter().enumerate()
    {
        world.send(n as u64 + 1, Connection::Transactions, args);
    }
    world.redis.flush();
    assert_eq!(world.next(), "up transactions");
    let replies: Vec<String> = (0..5).map(|_| world.next()).collect();
    assert_eq!(replies[3], format!("4 {}", words(&Value::SimpleString("QUEUED".to_owned()))));
    assert_eq!(replies[4], "5 List([Int(1), Bulk([49])])");
}

#[test]
fn logs_in_chooses_a_database_and_uses_a_socket() {
    let server = RedisServer::with(&["--requirepass", "pass word"]);
    let socket = server.socket();
    let world = World::new(&format!("unix://{}?db=3&pass=pass+word", socket.display()));
    world.both_up();
    world.send(1, Connection::Commands, &[b"CLIENT", b"INFO"]);
    world.redis.flush();
    let info = world.next();
    let text = String::from_utf8_lossy(
        &info
            .trim_start_matches("1 Bulk([")
            .trim_end_matches("])")
            .split(", ")
            .map(|n| n.parse().unwrap_or(b'?'))
            .collect::<Vec<u8>>(),
    )
    .into_owned();
    assert!(text.contains(" db=3 ") && text.contains("name=tethered"), "{text}");
    let world = World::new(&format!("redis://:secret@127.0.0.1:{}", server.port));
    assert!(world.next().starts_with("down"));
    let log = world.log.kept();
    assert!(log.contains("Redis says: WRONGPASS") && !log.contains("secret"), "{log}");
    let world = World::new(&server.url());
    assert!(world.next().starts_with("down"));
    assert!(world.log.kept().contains("Redis says: NOAUTH"));
}

/// A Redis that says what a test wants it to say, to one connection after the other.
fn liar(says: &'static [&'static [u8]]) -> String {
    let socket = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let url = format!("redis://127.0.0.1:{}", socket.local_addr().expect("bound").port());
    std::thread::spawn(move || {
        for stream in socket.incoming() {
            let Ok(mut stream) = stream else { return };
            std::thread::spawn(move || {
                let mut buffer = [0; 4_096];
                // The greeting: PING, CLIENT SETNAME and ROLE.
                let _ = stream.read(&mut buffer);
                let _ = stream.write_all(b"+PONG\r\n+OK\r\n*1\r\n$6\r\nmaster\r\n");
                for answer in says {
                    if !matches!(stream.read(&mut buffer), Ok(1..)) {
                        return;
                    }
                    let _ = stream.write_all(answer);
                }
                while matches!(stream.read(&mut buffer), Ok(1..)) {}
            });
        }
    });
    url
}

#[test]
fn r17_a_hostile_reply_costs_the_connection_and_nothing_else() {
    for (answer, why) in [
        (&b"*4611686018427387904\r\n"[..], "over the limit ARRAY"),
        (b"$4611686018427387904\r\n", "over the limit BULK"),
        (b"*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n", "deeper than the limit DEPTH"),
        (b"$-7\r\n", "not the protocol"),
        (b"<html>\r\n", "not the protocol"),
        (b"+OK\r\n+OK\r\n", "nobody had asked for"),
    ] {
        let url = liar(Box::leak(Box::new([answer])));
        let world = World::new(&url);
        world.wait_for("up commands");
        world.send(1, Connection::Commands, &[b"GET", b"x"]);
        world.redis.flush();
        world.wait_for("down commands");
        assert!(world.log.kept().contains(why), "{why}: {}", world.log.kept());
    }
}

#[test]
fn r09_a_reply_that_comes_late_reaches_nobody() {
    let server = RedisServer::start();
    let world = World::with(&RedisOptions { reply_ms: 200, ..options(&server.url()) });
    world.both_up();
    server.ask(&["CLIENT", "PAUSE", "600", "ALL"]);
    world.send(1, Connection::Commands, &[b"ECHO", b"late"]);
    world.redis.flush();
    assert_eq!(world.next(), "down commands");
    world.wait_for("up commands");
    world.send(2, Connection::Commands, &[b"ECHO", b"fresh"]);
    world.redis.flush();
    assert_eq!(world.next(), format!("2 {}", words(&Value::BulkString("fresh".into()))));
}

#[test]
fn r14_a_redis_that_loads_is_not_there_yet_and_a_replica_is_left() {
    let url = liar(&[b"-READONLY You can't write against a read only replica.\r\n"]);
    let world = World::new(&url);
    world.both_up();
    world.send(1, Connection::Commands, &[b"SET", b"x", b"y"]);
    world.redis.flush();
    assert!(world.next().starts_with("1 Error"), "the caller learns it");
    world.wait_for("down commands");
    assert!(world.log.kept().contains("it is a replica"));
    let socket = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let port = socket.local_addr().expect("bound").port();
    std::thread::spawn(move || {
        for stream in socket.incoming() {
            let Ok(mut stream) = stream else { return };
            let _ = stream.read(&mut [0; 4_096]);
            let _ = stream.write_all(b"-LOADING Redis is loading the dataset in memory\r\n+OK\r\n-LOADING too\r\n");
        }
    });
    let world = World::new(&format!("redis://127.0.0.1:{port}"));
    assert!(world.next().starts_with("down"));
    assert!(world.log.kept().contains("Redis says: LOADING"));
}

#[test]
fn over_tls_only_authorities_that_are_named_are_believed() {
    let key = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    let folder = std::env::temp_dir().join(format!("tethered-tls-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let (certificate, secret) = (folder.join("cert.pem"), folder.join("key.pem"));
    std::fs::write(&certificate, key.cert.pem()).expect("a file can be written");
    std::fs::write(&secret, key.signing_key.serialize_pem()).expect("a file can be written");
    let port = super::server::free_port().to_string();
    let server = RedisServer::with(&[
        "--tls-port",
        &port,
        "--tls-cert-file",
        &certificate.display().to_string(),
        "--tls-key-file",
        &secret.display().to_string(),
        "--tls-auth-clients",
        "no",
    ]);
    let url = format!("rediss://localhost:{port}");
    let world = World::with(&RedisOptions { authorities: Some(certificate.clone()), ..options(&url) });
    world.both_up();
    world.send(1, Connection::Commands, &[b"SET", b"big", &[b'x'; 300_000]]);
    world.send(2, Connection::Commands, &[b"STRLEN", b"big"]);
    world.redis.flush();
    assert_eq!([world.next(), world.next()], [format!("1 {}", words(&Value::Okay)), "2 Int(300000)".to_owned()]);
    assert_eq!(server.ask(&["STRLEN", "big"]), "300000");
    let stranger = World::new(&url);
    assert!(stranger.next().starts_with("down"));
    assert!(stranger.log.kept().contains("invalid peer certificate"), "{}", stranger.log.kept());
    // Another name than the certificate's.
    let url = format!("rediss://127.0.0.1:{port}");
    let other = World::with(&RedisOptions { authorities: Some(certificate), ..options(&url) });
    assert!(other.next().starts_with("down"));
    assert!(other.log.kept().contains("invalid peer certificate"), "{}", other.log.kept());
    std::fs::remove_dir_all(&folder).expect("it is there");
}

#[test]
fn over_tls_a_redis_may_ask_who_we_are() {
    let folder = std::env::temp_dir().join(format!("tethered-mtls-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let write = |name: &str| {
        let made = rcgen::generate_simple_self_signed([name.to_owned()]).expect("a certificate");
        let (certificate, key) = (folder.join(format!("{name}.pem")), folder.join(format!("{name}.key")));
        std::fs::write(&certificate, made.cert.pem()).expect("a file can be written");
        std::fs::write(&key, made.signing_key.serialize_pem()).expect("a file can be written");
        (certificate, key)
    };
    let (server, client, other) = (write("localhost"), write("tethered"), write("stranger"));
    let port = super::server::free_port().to_string();
    let text = |path: &std::path::Path| path.display().to_string();
    let _redis = RedisServer::with(&[
        "--tls-port",
        &port,
        "--tls-cert-file",
        &text(&server.0),
        "--tls-key-file",
        &text(&server.1),
        "--tls-ca-cert-file",
        &text(&client.0),
        "--tls-auth-clients",
        "yes",
    ]);
    let url = format!("rediss://localhost:{port}");
    let with = |identity| RedisOptions { authorities: Some(server.0.clone()), identity, ..options(&url) };
    World::with(&with(Some(client.clone()))).both_up();
    for identity in [None, Some(other)] {
        let world = World::with(&with(identity));
        assert!(world.next().starts_with("down"), "{}", world.log.kept());
    }
    let broken = with(Some((client.1.clone(), client.1)));
    assert!(super::stream::Tls::new(broken.authorities.as_deref(), broken.identity()).is_err());
    std::fs::remove_dir_all(&folder).expect("it is there");
}
