//! Much at once. What is measured here means something on a release build only: the variable SERVER names it.

mod common;

use std::io::Write;
use std::net::TcpStream;
use std::time::Duration;

use common::keys::{self, Layout};
use common::process::Process;
use common::redis::RedisServer;
use common::spring::{until, visitor};
use common::web::{Browser, Stomp, now};

fn node(redis: &RedisServer, flags: &[&str]) -> Process {
    let url = format!("--redis={}", redis.url());
    let node = Process::start(&[&[url.as_str()], flags].concat());
    node.says("msg=\"redis connected\" connection=commands");
    until("the subscription", || redis.ask(&["PUBSUB", "CHANNELS", "__keyevent*"]).contains("__keyevent@0__:expired"));
    node
}

#[test]
#[ignore = "measures: SERVER names a release build"]
fn many_sockets_of_many_sessions_that_end_together_are_closed_and_others_are_served() {
    // The machine's file limit decides how many there can be; in CI there are 20,000 descriptors on either side.
    // The clients here answer no pings.
    let flags =
        ["--limit=HALF_OPEN=20000", "--limit=HALF_OPEN_ADDR=20000", "--limit=PER_ADDR=20000", "--limit=PING_EVERY=10m"];
    let redis = RedisServer::start();
    let node = node(&redis, &flags);
    let (sessions, each) = (2_000, 5);
    let visitors: Vec<(String, Browser)> =
        (0..sessions).map(|_| visitor(&redis, &node, Layout::Indexed, 300)).collect();
    let mut sockets: Vec<Stomp> = Vec::new();
    for (_, browser) in &visitors {
        sockets.extend((0..each).map(|_| browser.stomp()));
    }
    let (_, bystander) = visitor(&redis, &node, Layout::Indexed, 300);
    let mut bystander = bystander.stomp();
    bystander.subscribe("0", "/user/queue/messages");
    // The last renewals are over. Now all get five seconds, as an application gives them, and are used once more.
    std::thread::sleep(Duration::from_millis(1_500));
    let mut client = redis.connect();
    for (id, _) in &visitors {
        let max = [b"HSET".to_vec(), keys::hash(id).into_bytes(), b"maxInactiveInterval".to_vec(), keys::java_int(5)];
        client.send(&max);
        client.send(&["PEXPIRE", &keys::expires(id), "5000"]);
    }
    for _ in 0..2 * visitors.len() {
        client.read();
    }
    let used = [cpu(node.pid()), cpu(redis.pid()), cpu(std::process::id())];
    let since = now();
    for stomp in sockets.iter_mut().step_by(each) {
        stomp.send("SEND", &[("destination", "/app/nothing")], "x");
    }
    let end = now() + Duration::from_secs(5);
    assert!(end.saturating_duration_since(since) < Duration::from_secs(6), "all end in the same second");
    let reader = std::thread::spawn(move || {
        let mut last = None;
        for stomp in &mut sockets {
            let (code, _, at) = stomp.closed();
            assert_eq!(code, 1008);
            last = last.max(Some(at));
        }
        last.expect("there are sockets")
    });
    let mut slowest = Duration::ZERO;
    while !reader.is_finished() {
        let since = now();
        bystander.send("SEND", &[("destination", "/app/im")], r#"{"to":"rob","message":"x"}"#);
        bystander.next();
        slowest = slowest.max(now().saturating_duration_since(since));
        std::thread::sleep(Duration::from_millis(5));
    }
    let last = reader.join().expect("all are closed with 1008");
    let late = last.saturating_duration_since(end);
    let used = [cpu(node.pid()) - used[0], cpu(redis.pid()) - used[1], cpu(std::process::id()) - used[2]];
    println!("server, Redis and client used {used:?} of the processor");
    println!("the last was closed {late:?} after the end, the slowest answer to another took {slowest:?}");
    assert!(late < Duration::from_secs(2), "{late:?}");
    assert!(slowest < Duration::from_millis(100), "{slowest:?}");
}

/// What a process has used of the processor so far.
fn cpu(pid: u32) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("it runs");
    let fields = stat.rsplit(')').next().expect("a name").split(' ').collect::<Vec<_>>();
    let ticks = |i: usize| fields[i].parse::<u64>().expect("a number");
    // The 14th and 15th of the line, in hundredths of a second.
    Duration::from_millis((ticks(12) + ticks(13)) * 10)
}

#[test]
#[ignore = "measures: SERVER names a release build"]
fn ten_thousand_ends_a_second_of_somebody_elses_sessions_use_under_five_percent_of_a_core() {
    let redis = RedisServer::start();
    let node = node(&redis, &["--redis-cleanup=off"]);
    let (_, browser) = visitor(&redis, &node, Layout::Indexed, 600);
    let mut stomp = browser.stomp();
    std::thread::sleep(Duration::from_millis(1_500));
    let mut stream = TcpStream::connect(("127.0.0.1", redis.port)).expect("Redis is there");
    let mut replies = stream.try_clone().expect("a socket can be cloned");
    std::thread::spawn(move || std::io::copy(&mut replies, &mut std::io::sink()));
    let (since, before) = (now(), cpu(node.pid()));
    let (mut sent, seconds, rate) = (0_u64, 10, 10_000);
    while sent < rate * seconds {
        let due = now().saturating_duration_since(since).as_micros() as u64 * rate / 1_000_000;
        let mut bytes = Vec::new();
        while sent < due.min(rate * seconds) {
            let key = keys::expires(&format!("somebody-else-{sent}"));
            let set = format!("*3\r\n$3\r\nSET\r\n${}\r\n{key}\r\n$0\r\n\r\n", key.len());
            let del = format!("*2\r\n$3\r\nDEL\r\n${}\r\n{key}\r\n", key.len());
            bytes.extend_from_slice(set.as_bytes());
            bytes.extend_from_slice(del.as_bytes());
            sent += 1;
        }
        stream.write_all(&bytes).expect("Redis reads");
        std::thread::sleep(Duration::from_micros(200));
    }
    let (took, used) = (now().saturating_duration_since(since), cpu(node.pid()) - before);
    let share = used.as_secs_f64() / took.as_secs_f64();
    println!("{sent} notices in {took:?} used {used:?}: {:.1} % of a core", share * 100.0);
    stomp.stays_open(Duration::from_millis(300));
    assert!(took < Duration::from_secs(seconds + 2), "{took:?}");
    assert!(share < 0.05, "{share}");
}

/// E05, as the catalogue has it: at 10,000 connects and closes a second for ten minutes. `CHURN_SECONDS` makes it shorter.
#[test]
#[ignore = "takes ten minutes: SERVER names a release build"]
fn e05_ten_minutes_of_connects_and_closes_leave_nothing_behind() {
    let seconds = std::env::var("CHURN_SECONDS").map_or(600, |seconds| seconds.parse().expect("a number of seconds"));
    let server = Process::start(&["--conformance", "--limit=HALF_OPEN_ADDR=20000", "--limit=PER_ADDR=20000"]);
    // It has grown what it needs by then.
    churn(&server, Duration::from_secs(2));
    std::thread::sleep(Duration::from_secs(1));
    let before = (descriptors(server.pid()), resident(server.pid()));
    let (made, took) = churn(&server, Duration::from_secs(seconds));
    std::thread::sleep(Duration::from_secs(1));
    let after = (descriptors(server.pid()), resident(server.pid()));
    let rate = f64::from(made) / took.as_secs_f64();
    println!(
        "{made} connects and closes in {took:?}, {rate:.0} a second; descriptors and resident bytes {before:?}, then {after:?}"
    );
    assert_eq!(after.0, before.0, "descriptors");
    assert!(after.1 <= before.1 + (1 << 20), "resident bytes: {} and then {}", before.1, after.1);
    Browser::new(server.address).get("/login");
}

/// Connects and closes, half of them after the first bytes of a request, at 10,000 a second if the machine can.
fn churn(server: &Process, span: Duration) -> (u32, Duration) {
    let (since, mut made) = (now(), 0);
    while now().saturating_duration_since(since) < span {
        let spent = now().saturating_duration_since(since);
        let due = Duration::from_micros(100) * made;
        std::thread::sleep(due.saturating_sub(spent));
        for _ in 0..20 {
            let mut stream = TcpStream::connect(server.address).expect("the server listens");
            // A reset, so that no port of ours rests in TIME_WAIT.
            rustix::net::sockopt::set_socket_linger(&stream, Some(Duration::ZERO)).expect("a socket option");
            if made % 2 == 0 {
                let _ = stream.write_all(b"GET /stomp HTTP/1.1\r\nHost: ");
            }
            made += 1;
        }
    }
    (made, now().saturating_duration_since(since))
}

fn descriptors(pid: u32) -> usize {
    std::fs::read_dir(format!("/proc/{pid}/fd")).expect("it runs").count()
}

/// Bytes of memory that this process has in use.
fn resident(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("the kernel tells it");
    line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number of KiB") << 10
}
