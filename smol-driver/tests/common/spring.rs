//! The Spring application that the server shares its sessions with, and a Redis for both.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use super::PATIENCE;
use super::keys::{self, Layout};
use super::process::Process;
use super::redis::{RedisServer, free_port};
use super::web::{Browser, now};

/// The folder with the application: this variable names it.
pub const REFERENCE: &str = "SPRING_REFERENCE";

/// The application, ended with the test's process at the latest.
pub struct SpringApp {
    pub address: SocketAddr,
    log: String,
    child: Child,
}

impl SpringApp {
    /// Starts it on a free port, on the Redis with this port.
    pub fn start(redis: u16, flags: &[&str]) -> Self {
        let folder = std::env::var_os(REFERENCE).map(PathBuf::from);
        let folder = folder.unwrap_or_else(|| panic!("set {REFERENCE} to the folder of the Spring application"));
        let port = free_port();
        let (http, redis) = (port.to_string(), redis.to_string());
        // It lives as long as somebody holds the other end of its standard input, which is this process.
        let script = r#"log=$1; shift; "$@" >"$log" 2>&1 & app=$!; cat >/dev/null; kill $app; wait $app"#;
        let log = format!("{}/spring-{port}.log", env!("CARGO_TARGET_TMPDIR"));
        let child = Command::new("sh")
            .args(["-c", script, "sh", &log])
            .arg(folder.join("run.sh"))
            .args([&http, &redis])
            .args(flags)
            .env("JAVA_OPTS", "-Xmx256m -XX:TieredStopAtLevel=1")
            .stdin(Stdio::piped())
            .spawn()
            .expect("a shell is there");
        let app = Self { address: SocketAddr::from(([127, 0, 0, 1], port)), log, child };
        let until = now() + START;
        while Browser::new(app.address).try_request("GET", "/login", "", "").map_or(0, |page| page.status) != 200 {
            assert!(now() < until, "the Spring application does not start");
            std::thread::sleep(Duration::from_millis(100));
        }
        app
    }
}

impl SpringApp {
    /// What it has logged so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).expect("it writes a log")
    }
}

impl Drop for SpringApp {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

/// A Redis, the application and a node of ours on it.
pub struct World {
    pub redis: RedisServer,
    pub spring: SpringApp,
    pub node: Process,
}

impl World {
    pub fn start(spring: &[&str], node: &[&str]) -> Self {
        let redis = RedisServer::start();
        let spring = SpringApp::start(redis.port, spring);
        let node = Self::node_on(&redis, node);
        // What is kept in a static is not dropped.
        ends_with_us(&[redis.pid(), node.pid()]);
        Self { redis, spring, node }
    }

    /// One more node.
    pub fn node(&self, flags: &[&str]) -> Process {
        Self::node_on(&self.redis, flags)
    }

    fn node_on(redis: &RedisServer, flags: &[&str]) -> Process {
        let url = format!("--redis={}", redis.url());
        let node = Process::start(&[&[url.as_str()], flags].concat());
        node.says("msg=\"redis connected\" connection=commands");
        node.says("msg=\"redis connected\" connection=notices");
        node
    }
}

/// Has processes of ours, which live as long as the test's process, end with it however it ends.
fn ends_with_us(pids: &[u32]) {
    static WATCHES: Mutex<Vec<Child>> = Mutex::new(Vec::new());
    let pids: Vec<String> = pids.iter().map(ToString::to_string).collect();
    let watch = Command::new("sh")
        .args(["-c", "cat >/dev/null; kill -9 \"$@\"", "sh"])
        .args(pids)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .expect("a shell is there");
    // Its input ends when this process does.
    WATCHES.lock().expect("no panic inside").push(watch);
}

/// A session made by hand, its id, and who has it.
pub fn visitor(redis: &RedisServer, node: &Process, layout: Layout, seconds: i32) -> (String, Browser) {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let id = format!("5f0c7b06-0000-4000-8000-{:012x}", COUNT.fetch_add(1, Ordering::Relaxed));
    let cookie = keys::write(&mut redis.connect(), layout, &id, "rob", seconds);
    let mut browser = Browser::new(node.address);
    browser.cookies.push(("SESSION".to_owned(), cookie));
    (id, browser)
}

/// Waits until this holds.
pub fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let end = now() + PATIENCE;
    while !holds() {
        assert!(now() < end, "{what} does not come to be");
        std::thread::sleep(Duration::from_millis(5));
    }
}

const START: Duration = Duration::from_secs(120);
