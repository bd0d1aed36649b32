//! The whole server on a Redis Cluster of three primaries: a session's keys lie on several of them.

mod common;

use std::time::Duration;

use common::keys;
use common::process::Process;
use common::redis::{RedisServer, free_port};
use common::spring::until;
use common::web::{Browser, now};

/// Three primaries with a third of the slots each.
struct Cluster {
    nodes: Vec<RedisServer>,
}

impl Cluster {
    fn start() -> Self {
        let nodes: Vec<RedisServer> = (0..3)
            .map(|_| {
                // The port of the bus is another 10,000 up.
                let port = std::iter::repeat_with(free_port).find(|port| *port < 55_000).expect("some are");
                RedisServer::at(port, &["--cluster-enabled", "yes", "--cluster-node-timeout", "2000"])
            })
            .collect();
        for (node, slots) in nodes.iter().zip([(0, 5_460), (5_461, 10_922), (10_923, 16_383)]) {
            let slots: Vec<String> = (slots.0..=slots.1).map(|slot: u16| slot.to_string()).collect();
            let command: Vec<&str> =
                ["CLUSTER", "ADDSLOTS"].into_iter().chain(slots.iter().map(String::as_str)).collect();
            assert_eq!(node.ask(&command), "OK");
        }
        for node in &nodes[1..] {
            assert_eq!(nodes[0].ask(&["CLUSTER", "MEET", "127.0.0.1", &node.port.to_string()]), "OK");
        }
        until("a cluster", || {
            nodes.iter().all(|node| {
                let info = node.ask(&["CLUSTER", "INFO"]);
                info.contains("cluster_state:ok") && info.contains("cluster_known_nodes:3")
            })
        });
        Self { nodes }
    }

    fn url(&self) -> String {
        let hosts: Vec<String> = self.nodes.iter().map(|node| format!("127.0.0.1:{}", node.port)).collect();
        format!("--redis=redis-cluster://{}", hosts.join(","))
    }

    /// Asks the node that has the key.
    fn ask<A: AsRef<[u8]>>(&self, command: &[A]) -> String {
        self.nodes
            .iter()
            .map(|node| node.connect().ask(command))
            .find(|reply| !reply.starts_with("MOVED"))
            .expect("each slot is somebody's")
    }

    fn node(&self, flags: &[&str]) -> Process {
        let node = Process::start(&[&[&self.url(), "--redis-layout=indexed"][..], flags].concat());
        node.says("msg=\"redis connected\" connection=commands");
        node.says("redis announces ends of sessions");
        node
    }

    /// Which nodes the keys of a session are on.
    fn places(&self, id: &str) -> [usize; 2] {
        [keys::hash(id), keys::expires(id)].map(|key| {
            let here = |node: &RedisServer| !node.ask(&["EXISTS", &key]).starts_with("MOVED");
            self.nodes.iter().position(here).expect("each slot is somebody's")
        })
    }
}

#[test]
fn r15_login_touch_logout_expiry_and_another_id_on_a_cluster() {
    let cluster = Cluster::start();
    let one = cluster.node(&["--touch-interval=0s", "--check-interval=1s"]);
    let two = cluster.node(&["--touch-interval=0s", "--check-interval=1s"]);
    for node in &cluster.nodes {
        let flags = node.ask(&["CONFIG", "GET", "notify-keyspace-events"]);
        assert!(
            ["g", "x", "e", "E"]
                .iter()
                .all(|flag| flags.split(' ').nth(1).is_some_and(|f| f.contains(flag) || f.contains('A'))),
            "{flags}"
        );
    }
    let mut apart = 0;
    for round in 0..10 {
        // A login, and a socket on each node.
        let mut browser = Browser::log_in(one.address, "rob");
        let id = browser.session();
        let [hash, expires] = cluster.places(&id);
        apart += usize::from(hash != expires);
        assert_eq!(cluster.ask(&["EXISTS", &keys::hash(&id)]), "1");
        assert_eq!(cluster.ask(&["EXISTS", &keys::expires(&id)]), "1");
        let (mut here, mut there) = (browser.stomp(), browser.at(two.address).stomp());
        assert_eq!((here.user.as_deref(), there.user.as_deref()), (Some("rob"), Some("rob")));
        there.subscribe("0", "/user/queue/messages");
        // A touch.
        cluster.ask(&["PEXPIRE", &keys::expires(&id), "30000"]);
        cluster.ask(&["PEXPIRE", &keys::hash(&id), "330000"]);
        there.done("SEND", &[("destination", "/app/nothing")], "");
        until("both keys are renewed", || {
            let left = |key: String| cluster.ask(&["PTTL", &key]).parse::<i64>().expect("a number");
            left(keys::expires(&id)) > 1_700_000 && left(keys::hash(&id)) > 2_000_000
        });
        here.send("SEND", &[("destination", "/app/im")], r#"{"to":"rob","message":"across"}"#);
        assert!(there.next().contains("across"));
        if round % 2 == 0 {
            // A logout here ends both.
            browser.log_out();
            assert_eq!((here.closed().0, there.closed().0), (1008, 1008));
        } else {
            // One elsewhere, as Spring does it.
            let since = now();
            cluster.ask(&["DEL", &keys::expires(&id)]);
            cluster.ask(&[b"HSET", keys::hash(&id).as_bytes(), b"maxInactiveInterval", &keys::java_int(0)]);
            let (code, _, at) = here.closed();
            assert_eq!((code, there.closed().0), (1008, 1008));
            assert!(at.saturating_duration_since(since) < Duration::from_millis(500));
        }
        assert_eq!(cluster.ask(&["EXISTS", &keys::expires(&id)]), "0");
        assert_eq!(browser.handshake().0, 401);
    }
    assert!(apart > 0, "with ten sessions some have their keys on two nodes");

    // A login over a login: another id. Who is here follows; elsewhere nobody can tell where it went.
    let mut browser = Browser::log_in(one.address, "rob");
    let before = browser.session();
    let (mut here, mut there) = (browser.stomp(), browser.at(two.address).stomp());
    browser.log_in_as("rob");
    let id = browser.session();
    assert_ne!(before, id);
    assert_eq!(cluster.ask(&["EXISTS", &keys::hash(&before)]), "0");
    assert_eq!(there.closed().0, 1008);
    two.says("cause=rotated");
    here.done("SEND", &[("destination", "/app/nothing")], "");
    here.stays_open(Duration::from_millis(1_500));
    browser.log_out();
    assert_eq!(here.closed().0, 1008);
}

#[test]
fn r15_expiry_on_a_cluster() {
    let cluster = Cluster::start();
    let node = cluster.node(&["--session-timeout=2s"]);
    let mut all = Vec::new();
    for _ in 0..10 {
        all.push((Browser::log_in(node.address, "rob").stomp(), now()));
    }
    for (stomp, used) in &mut all {
        let (code, _, at) = stomp.closed();
        let lived = at.saturating_duration_since(*used);
        assert_eq!(code, 1008);
        assert!(lived > Duration::from_millis(1_500) && lived < Duration::from_secs(3), "{lived:?}");
    }
}
