//! A Redis server of a test's own, on a free port, ended with the test.
#![allow(dead_code, unreachable_pub, missing_docs, reason = "each file of tests uses its own part")]
#![allow(clippy::disallowed_methods, reason = "tests measure real time")]

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// A process of `redis-server`, or of what `REDIS_SERVER` names in its place, with its data in a folder of its own.
pub struct RedisServer {
    pub port: u16,
    folder: PathBuf,
    flags: Vec<String>,
    child: Option<Child>,
}

impl RedisServer {
    pub fn start() -> Self {
        Self::with(&[])
    }

    /// Starts with further flags, such as `--requirepass x`.
    pub fn with(flags: &[&str]) -> Self {
        let mut server = Self::prepare(flags);
        server.revive();
        server
    }

    /// The same on this port.
    pub fn at(port: u16, flags: &[&str]) -> Self {
        let mut server = Self::prepare(flags);
        server.port = port;
        server.revive();
        server
    }

    fn prepare(flags: &[&str]) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let n = COUNT.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("tethered-redis-{}-{n}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder for the data");
        let flags = flags.iter().map(|flag| (*flag).to_owned()).collect();
        Self { port: free_port(), folder, flags, child: None }
    }

    /// A sentinel that watches this primary.
    pub fn sentinel(name: &str, primary: u16) -> Self {
        Self::sentinel_with(name, primary, "")
    }

    /// The same with further lines in its configuration.
    pub fn sentinel_with(name: &str, primary: u16, lines: &str) -> Self {
        let config = format!(
            "sentinel monitor {name} 127.0.0.1 {primary} 1\nsentinel down-after-milliseconds {name} 500\n\
             sentinel failover-timeout {name} 3000\n{lines}"
        );
        let mut server = Self::prepare(&[]);
        std::fs::write(server.folder.join("sentinel.conf"), config).expect("a file can be written");
        server.flags = vec!["--sentinel".to_owned()];
        server.revive();
        server
    }

    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    pub fn socket(&self) -> PathBuf {
        self.folder.join("socket")
    }

    pub fn folder(&self) -> &std::path::Path {
        &self.folder
    }

    pub fn pid(&self) -> u32 {
        self.child.as_ref().expect("it runs").id()
    }

    /// Starts it again on its port, with what was last saved.
    pub fn revive(&mut self) {
        let mut command = program();
        command.current_dir(&self.folder);
        let sentinel = self.folder.join("sentinel.conf");
        if sentinel.exists() {
            command.arg(sentinel);
        }
        command.args(["--port", &self.port.to_string(), "--bind", "127.0.0.1"]);
        command.args(["--unixsocket", &self.socket().display().to_string()]);
        if self.flags.iter().all(|flag| flag != "--sentinel") {
            command.args(["--save", ""]);
            if asks_for_debug() {
                command.args(["--enable-debug-command", "local"]);
            }
        }
        command.args(["--loglevel", "warning"]);
        command.args(&self.flags).stdout(Stdio::null()).stderr(Stdio::null()).stdin(Stdio::null());
        self.child = Some(command.spawn().expect("redis-server is installed"));
        let end = Instant::now() + Duration::from_secs(20);
        while !self.answers() {
            assert!(Instant::now() < end, "redis-server on port {} does not answer", self.port);
            sleep(Duration::from_millis(10));
        }
    }

    fn answers(&self) -> bool {
        let Ok(mut stream) = TcpStream::connect(("127.0.0.1", self.port)) else { return false };
        let mut reply = [0; 5];
        stream.set_read_timeout(Some(Duration::from_secs(1))).is_ok()
            && stream.write_all(b"PING\r\n").is_ok()
            && stream.read_exact(&mut reply).is_ok()
            && (reply == *b"+PONG" || reply == *b"-NOAU")
    }

    /// Ends it at once, as a power cut does.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Writes its data down, so that [`revive`](Self::revive) finds them.
    pub fn save(&self) {
        assert_eq!(self.connect().ask(&["SAVE"]), "OK");
    }

    pub fn signal(&self, name: &str) {
        let status = Command::new("kill").args([&format!("-{name}"), &self.pid().to_string()]).status();
        assert!(status.expect("kill is there").success());
    }

    /// Stops it in its tracks: connections stay open and nothing is answered.
    pub fn pause(&self) {
        self.signal("STOP");
    }

    pub fn resume(&self) {
        self.signal("CONT");
    }

    pub fn connect(&self) -> RedisClient {
        RedisClient::connect(self.port)
    }

    /// Asks one thing; once more if it is cut off, as a replica does to all when it is promoted.
    pub fn ask(&self, command: &[&str]) -> String {
        let once = || {
            let mut client = RedisClient::try_connect(self.port)?;
            client.try_send(command)?;
            client.try_read()
        };
        let reply = once().or_else(|_| once()).or_else(|_| once()).expect("Redis answers");
        String::from_utf8_lossy(&reply).into_owned()
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        self.kill();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// A port that is free, and that no other test of this process is given: below those that the system hands out by itself.
pub fn free_port() -> u16 {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let from = std::process::id().wrapping_mul(97);
    let next = || 12_000 + (from.wrapping_add(COUNT.fetch_add(1, Ordering::Relaxed)) % 20_000) as u16;
    let mut ports = std::iter::repeat_with(next).take(20_000);
    ports.find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok()).expect("a port is free")
}

/// A client that blocks.
pub struct RedisClient {
    stream: BufReader<TcpStream>,
}

impl RedisClient {
    pub fn connect(port: u16) -> Self {
        Self::try_connect(port).expect("Redis is there")
    }

    fn try_connect(port: u16) -> io::Result<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_read_timeout(Some(Duration::from_secs(20)))?;
        stream.set_nodelay(true)?;
        Ok(Self { stream: BufReader::new(stream) })
    }

    /// Sends a command and shows its reply: a list as its elements with spaces between, nothing as `nil`.
    pub fn ask<A: AsRef<[u8]>>(&mut self, command: &[A]) -> String {
        String::from_utf8_lossy(&self.ask_bytes(command)).into_owned()
    }

    pub fn ask_bytes<A: AsRef<[u8]>>(&mut self, command: &[A]) -> Vec<u8> {
        self.send(command);
        self.read()
    }

    pub fn send<A: AsRef<[u8]>>(&mut self, command: &[A]) {
        self.try_send(command).expect("Redis reads");
    }

    fn try_send<A: AsRef<[u8]>>(&mut self, command: &[A]) -> io::Result<()> {
        let mut bytes = format!("*{}\r\n", command.len()).into_bytes();
        for arg in command {
            let arg = arg.as_ref();
            bytes.extend(format!("${}\r\n", arg.len()).into_bytes());
            bytes.extend(arg);
            bytes.extend(b"\r\n");
        }
        self.stream.get_mut().write_all(&bytes)
    }

    pub fn read(&mut self) -> Vec<u8> {
        self.try_read().expect("Redis answers")
    }

    fn try_read(&mut self) -> io::Result<Vec<u8>> {
        let mut line = String::new();
        if self.stream.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let (kind, rest) = line.trim_end().split_at(1);
        let len = rest.parse::<i64>().unwrap_or(-1);
        Ok(match kind {
            "$" if len >= 0 => {
                let mut bytes = vec![0; usize::try_from(len).expect("a length") + 2];
                self.stream.read_exact(&mut bytes)?;
                bytes.truncate(bytes.len() - 2);
                bytes
            }
            "*" if len >= 0 => (0..len).map(|_| self.try_read()).collect::<io::Result<Vec<_>>>()?.join(&b' '),
            "$" | "*" => b"nil".to_vec(),
            _ => rest.as_bytes().to_vec(),
        })
    }
}

fn program() -> Command {
    Command::new(std::env::var_os("REDIS_SERVER").unwrap_or_else(|| "redis-server".into()))
}

/// Whether DEBUG has to be asked for: since Redis 7. Before, the flag is not known.
fn asks_for_debug() -> bool {
    static ASKS: LazyLock<bool> = LazyLock::new(|| {
        let version = program().arg("--version").output().expect("redis-server is installed").stdout;
        let version = String::from_utf8_lossy(&version).into_owned();
        let major = version.split("v=").nth(1).and_then(|version| version.split('.').next()?.parse::<u32>().ok());
        major.expect("redis-server says its version") >= 7
    });
    *ASKS
}
