//! The connections, on a cluster and on what sentinels watch over.

use std::process::{Command as Process, Stdio};

use tethered_core::redis::Connection;

use super::super::server::{RedisClient, RedisServer, free_port};
use super::*;

/// Three primaries that share the slots.
fn cluster() -> Vec<RedisServer> {
    let servers: Vec<RedisServer> = (0..3)
        .map(|_| {
            // The bus between nodes is a port of its own, by default beyond what ports there are.
            let bus = free_port().to_string();
            RedisServer::with(&["--cluster-enabled", "yes", "--cluster-port", &bus, "--cluster-node-timeout", "2000"])
        })
        .collect();
    let addresses = servers.iter().map(|server| format!("127.0.0.1:{}", server.port));
    cli(&[&["--cluster".to_owned(), "create".to_owned()], &addresses.collect::<Vec<_>>()[..]].concat());
    wait(|| servers.iter().all(|server| server.ask(&["CLUSTER", "INFO"]).contains("cluster_state:ok")));
    servers
}

fn cli(args: &[String]) -> String {
    let output = Process::new("redis-cli").args(args).arg("--cluster-yes").stderr(Stdio::inherit()).output();
    let output = output.expect("redis-cli is installed");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn wait(mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(30);
    while !holds() {
        assert!(Instant::now() < end, "it does not come to be");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// The server that a key is on: there DEL is no redirection.
fn delete(servers: &[RedisServer], key: &str) {
    assert!(servers.iter().any(|server| server.ask(&["DEL", key]) == "1"), "{key} is on none of them");
}

#[test]
fn r15_on_a_cluster_each_primary_is_heard_and_each_key_is_found() {
    let servers = cluster();
    for server in &servers {
        assert_eq!(server.ask(&["CONFIG", "SET", "notify-keyspace-events", "gE"]), "OK");
    }
    // One node is named; the others are found.
    let world = World::new(&format!("redis-cluster://127.0.0.1:{}", servers[0].port));
    world.both_up();
    world.send(1, Connection::Notices, &[b"SUBSCRIBE", b"__keyevent@0__:del"]);
    world.redis.flush();
    assert!(world.next().starts_with("1 List"));
    let keys: Vec<String> = (0..30).map(|n| format!("key {n}")).collect();
    for (n, key) in keys.iter().enumerate() {
        world.send(100 + n as u64, Connection::Commands, &[b"SET", key.as_bytes(), b"x"]);
    }
    world.redis.flush();
    let mut replies: Vec<String> = keys.iter().map(|_| world.next()).collect();
    replies.sort();
    for (n, reply) in replies.iter().enumerate() {
        assert_eq!(*reply, format!("{} {}", 100 + n, words(&Value::Okay)));
    }
    for key in &keys {
        delete(&servers, key);
    }
    let mut heard: Vec<String> = keys.iter().map(|_| world.next()).collect();
    heard.sort();
    let mut wanted: Vec<String> = keys.iter().map(|key| format!("notice __keyevent@0__:del {key}")).collect();
    wanted.sort();
    assert_eq!(heard, wanted);
    // An error is Redis' word and not an absence.
    world.send(1, Connection::Commands, &[b"SET", b"text", b"x"]);
    world.send(2, Connection::Commands, &[b"HGET", b"text", b"x"]);
    world.send(3, Connection::Transactions, &[b"WATCH", b"text"]);
    world.redis.flush();
    let mut replies = [world.next(), world.next(), world.next()];
    replies.sort();
    assert!(replies[1].starts_with("2 Error([87, 82, 79, 78, 71, 84, 89, 80, 69, 32"), "WRONGTYPE …: {}", replies[1]);
    assert_eq!(replies[2], "3 lost");
    // One primary's connection is cut: all are as good as down until it is back.
    servers[1].ask(&["CLIENT", "KILL", "TYPE", "pubsub"]);
    assert_eq!([world.next(), world.next()], ["down notices", "up notices"]);
    // The slots of one move to another: it is no primary any more, and its keys are found where they went.
    let id = |server: &RedisServer| server.ask(&["CLUSTER", "MYID"]);
    let address = format!("127.0.0.1:{}", servers[0].port);
    let flags = ["--cluster-from", &id(&servers[2]), "--cluster-to", &id(&servers[0]), "--cluster-slots", "16384"];
    let reshard = ["--cluster", "reshard", &address].into_iter().chain(flags);
    cli(&reshard.map(str::to_owned).collect::<Vec<_>>());
    world.wait_for("down notices");
    world.wait_for("up notices");
    for (n, key) in keys.iter().enumerate() {
        world.send(200 + n as u64, Connection::Commands, &[b"SET", key.as_bytes(), b"x"]);
    }
    world.redis.flush();
    for _ in &keys {
        let reply = world.next();
        assert!(reply.ends_with(&words(&Value::Okay)), "{reply}");
    }
}

#[test]
fn what_nodes_tell_each_other_comes_once_on_a_cluster_too() {
    let servers = cluster();
    let url = format!("redis-cluster://127.0.0.1:{}", servers[0].port);
    let world = World::with(&RedisOptions { relay: Some("relay".to_owned()), ..options(&url) });
    world.both_up();
    wait(|| {
        world.run_for(1);
        servers.iter().all(|server| server.ask(&["PUBSUB", "NUMSUB", "relay"]) == "relay 1")
    });
    for server in &servers {
        server.ask(&["PUBLISH", "relay", &server.port.to_string()]);
    }
    let mut heard: Vec<String> = servers.iter().map(|_| world.next()).collect();
    heard.sort();
    let mut wanted: Vec<String> = servers.iter().map(|server| format!("relayed {}", server.port)).collect();
    wanted.sort();
    assert_eq!(heard, wanted);
    world.is_quiet(200);
}

#[test]
fn sentinels_lead_to_the_primary_and_to_the_next_one() {
    let primary = RedisServer::start();
    let port = primary.port.to_string();
    let replica = RedisServer::with(&["--replicaof", "127.0.0.1", &port]);
    let sentinel = RedisServer::sentinel("chat", primary.port);
    wait(|| {
        RedisClient::connect(sentinel.port).ask(&["SENTINEL", "REPLICAS", "chat"]).contains(&replica.port.to_string())
    });
    // The first sentinel named is not there.
    let url = format!("redis-sentinel://127.0.0.1:{},127.0.0.1:{}/0?master=chat", free_port(), sentinel.port);
    let world = World::new(&url);
    world.wait_for("up commands");
    assert!(world.log.kept().contains(&format!("connection=commands node=127.0.0.1:{port}")), "{}", world.log.kept());
    // The sentinels make the other one the primary. Nobody cuts the connections to the old one.
    wait(|| RedisClient::connect(sentinel.port).ask(&["SENTINEL", "FAILOVER", "chat"]) == "OK");
    wait(|| replica.ask(&["ROLE"]).starts_with("master"));
    world.wait_for("down commands");
    world.wait_for("up commands");
    let last = world.log.kept().lines().rfind(|line| line.contains("connection=commands node=")).map(str::to_owned);
    assert!(last.expect("it connected").contains(&format!("node=127.0.0.1:{}", replica.port)), "{}", world.log.kept());
    let unknown = World::new(&format!("redis-sentinel://127.0.0.1:{}/0?master=other", sentinel.port));
    assert!(unknown.next().starts_with("down"));
    assert!(unknown.log.kept().contains("name no primary \\\"other\\\""), "{}", unknown.log.kept());
}

#[test]
fn sentinels_may_ask_for_a_password_of_their_own() {
    let primary = RedisServer::with(&["--requirepass", "redis pass"]);
    let lines =
        "requirepass \"sentinel pass\"\nuser watch on >other ~* &* +@all\nsentinel auth-pass chat \"redis pass\"\n";
    let sentinel = RedisServer::sentinel_with("chat", primary.port, lines);
    let url = format!("redis-sentinel://:redis%20pass@127.0.0.1:{}/0?master=chat", sentinel.port);
    let parsed = || RedisUrl::parse(&url).expect("an address");
    for (user, password) in [(None, "sentinel pass"), (Some("watch"), "other")] {
        let login = parsed().with_sentinel_login(user.map(str::to_owned), password.to_owned());
        assert!(!format!("{login:?} {login}").contains("pass@") && !format!("{login:?}").contains(password));
        World::with(&RedisOptions::new(login)).wait_for("up commands");
    }
    for (login, why) in [
        (parsed(), "a sentinel says: NOAUTH"),
        (parsed().with_sentinel_login(None, "wrong".to_owned()), "a sentinel says: WRONGPASS"),
    ] {
        let world = World::with(&RedisOptions::new(login));
        assert!(world.next().starts_with("down"));
        assert!(world.log.kept().contains(why) && !world.log.kept().contains("wrong\""), "{}", world.log.kept());
    }
}
