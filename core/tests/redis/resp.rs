//! A Redis of the test's own, and the least client that can speak to it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tethered_core::redis::{Item, Reply};

/// A redis-server, or what `REDIS_SERVER` names in its place, that ends with the test.
pub(crate) struct Server {
    process: Child,
    pub(crate) port: u16,
}

impl Server {
    pub(crate) fn start() -> Self {
        Self::start_with(&[])
    }

    /// `PORT` in an argument stands for the port.
    pub(crate) fn start_with(args: &[&str]) -> Self {
        // The port may be taken by somebody else between the two: then another one is tried.
        for _ in 0..20 {
            let port = free_port();
            let mut process = program()
                .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"])
                .args(if asks_for_debug() { &["--enable-debug-command", "local"][..] } else { &[] })
                .args(["--daemonize", "no"])
                .args(args.iter().map(|arg| arg.replace("PORT", &port.to_string())))
                .args(["--dir", env!("CARGO_TARGET_TMPDIR")])
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .expect("redis-server is installed");
            for _ in 0..400 {
                if TcpStream::connect(("127.0.0.1", port)).is_ok() && process.try_wait().expect("its state").is_none() {
                    return Self { process, port };
                }
                std::thread::sleep(Duration::from_millis(10));
            }
            let _ = process.kill();
            let _ = process.wait();
        }
        panic!("redis-server does not start");
    }

    pub(crate) fn connect(&self) -> Client {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).expect("a server");
        stream.set_nodelay(true).expect("a TCP socket");
        Client { reader: BufReader::new(stream) }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
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

/// A port that is free, and that no other test of this process is given: below those that the system hands out by itself.
fn free_port() -> u16 {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let from = std::process::id().wrapping_mul(97);
    let next = || 12_000 + (from.wrapping_add(COUNT.fetch_add(1, Ordering::Relaxed)) % 20_000) as u16;
    let mut ports = std::iter::repeat_with(next).take(20_000);
    ports.find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok()).expect("a free port")
}

/// One connection.
pub(crate) struct Client {
    reader: BufReader<TcpStream>,
}

/// What a server says, kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Value {
    Nil,
    Int(i64),
    Bulk(Vec<u8>),
    Error(Vec<u8>),
    List(Vec<Self>),
}

impl Client {
    pub(crate) fn send(&mut self, args: impl ExactSizeIterator<Item = impl AsRef<[u8]>>) {
        let mut bytes = format!("*{}\r\n", args.len()).into_bytes();
        for arg in args {
            let arg = arg.as_ref();
            bytes.extend(format!("${}\r\n", arg.len()).bytes());
            bytes.extend_from_slice(arg);
            bytes.extend(b"\r\n");
        }
        self.reader.get_mut().write_all(&bytes).expect("a server that reads");
    }

    pub(crate) fn receive(&mut self) -> Value {
        let mut line = Vec::new();
        self.reader.read_until(b'\n', &mut line).expect("a server that answers");
        let text = line.strip_suffix(b"\r\n").expect("a whole line");
        let (kind, rest) = text.split_first().expect("a kind");
        let number = || std::str::from_utf8(rest).expect("digits").parse::<i64>().expect("a number");
        match kind {
            b'+' => Value::Bulk(rest.to_vec()),
            b'-' => Value::Error(rest.to_vec()),
            b':' => Value::Int(number()),
            b'$' if number() < 0 => Value::Nil,
            b'$' => {
                let mut bytes = vec![0; number() as usize + 2];
                self.reader.read_exact(&mut bytes).expect("a whole value");
                bytes.truncate(bytes.len() - 2);
                Value::Bulk(bytes)
            }
            b'*' if number() < 0 => Value::Nil,
            b'*' => Value::List((0..number()).map(|_| self.receive()).collect()),
            _ => panic!("{text:?}"),
        }
    }

    /// What comes in within so many milliseconds.
    pub(crate) fn receive_within(&mut self, ms: u64) -> Option<Value> {
        if self.reader.buffer().is_empty() {
            let timeout = (ms > 0).then(|| Duration::from_millis(ms));
            let stream = self.reader.get_ref();
            stream.set_nonblocking(timeout.is_none()).expect("a TCP socket");
            stream.set_read_timeout(timeout).expect("a TCP socket");
            let come = stream.peek(&mut [0]).is_ok();
            stream.set_nonblocking(false).expect("a TCP socket");
            stream.set_read_timeout(None).expect("a TCP socket");
            if !come {
                return None;
            }
        }
        Some(self.receive())
    }

    pub(crate) fn call(&mut self, args: &[&[u8]]) -> Value {
        self.send(args.iter().copied());
        self.receive()
    }

    /// A command as one types it.
    pub(crate) fn run(&mut self, line: &str) -> Value {
        let args: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
        let value = self.call(&args);
        assert!(!matches!(value, Value::Error(_)), "{line}: {value:?}");
        value
    }

    pub(crate) fn int(&mut self, line: &str) -> i64 {
        match self.run(line) {
            Value::Int(number) => number,
            other => panic!("{line}: {other:?}"),
        }
    }

    /// Every key, sorted.
    pub(crate) fn keys(&mut self) -> Vec<String> {
        let Value::List(keys) = self.run("KEYS *") else { panic!("no list") };
        let mut keys: Vec<String> = keys.into_iter().map(|key| key.text()).collect();
        keys.sort();
        keys
    }
}

impl Value {
    pub(crate) fn text(&self) -> String {
        match self {
            Self::Bulk(bytes) | Self::Error(bytes) => String::from_utf8_lossy(bytes).into_owned(),
            other => panic!("no text: {other:?}"),
        }
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        match self {
            Self::Bulk(bytes) => bytes,
            other => panic!("no bytes: {other:?}"),
        }
    }

    /// As a flat reply; a nested one counts as lost, as it would with any embedder.
    pub(crate) fn lend<T>(&self, give: impl FnOnce(Reply<'_>) -> T) -> T {
        match self {
            Self::Nil => give(Reply::Nil),
            Self::Int(number) => give(Reply::Int(*number)),
            Self::Bulk(bytes) => give(Reply::Bulk(bytes)),
            Self::Error(text) => give(Reply::Error(text)),
            Self::List(values) => {
                let items: Option<Vec<Item<'_>>> = values.iter().map(Self::item).collect();
                match items {
                    Some(items) => give(Reply::List(&items)),
                    None => give(Reply::Lost),
                }
            }
        }
    }

    fn item(&self) -> Option<Item<'_>> {
        Some(match self {
            Self::Nil => Item::Nil,
            Self::Int(number) => Item::Int(*number),
            Self::Bulk(bytes) => Item::Bulk(bytes),
            Self::Error(text) => Item::Error(text),
            Self::List(_) => return None,
        })
    }
}
