//! Servers from end to end under one load: processor time and system calls a message, resident memory an idle socket.
//!
//! Each server is a process on the first processor, the load is this process on the second one. Prints Markdown. Words
//! after `--` choose tables: those whose title has one of them, or `memory`.

use std::io::{self, Write};
use std::net::TcpStream;
use std::path::Path;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tethered_benches::echo::load::{self, Burst, Load, PATH};
use tethered_benches::echo::process::{self, Server};
use tethered_benches::echo::serve::SERVERS;
use tethered_core::ws::{Opcode, write_masked_frame};

fn main() -> io::Result<()> {
    let program = Path::new(env!("CARGO_BIN_EXE_echo-server"));
    process::pin(1)?;
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })?;
    let words: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let wanted = |title: &str| words.is_empty() || words.iter().any(|word| title.contains(word.as_str()));
    let cases = [
        ("Ping-pong, 16 B", 1, 16),
        ("Ping-pong, 1 KiB", 1, 1_024),
        ("16 in flight, 16 B", 16, 16),
        ("16 in flight, 1 KiB", 16, 1_024),
        ("16 in flight, 16 KiB", 16, 16_384),
    ];
    for (title, in_flight, bytes) in cases.into_iter().filter(|(title, ..)| wanted(title)) {
        messages(program, title, in_flight, bytes)?;
    }
    if wanted("memory") {
        memory(program)?;
    }
    Ok(())
}

/// One server with its load.
struct Pair {
    server: Server,
    load: Load,
    cpu_ns: f64,
    messages_a_second: f64,
}

impl Pair {
    fn turn(&mut self) -> io::Result<()> {
        let cpu = self.server.cpu_time()?;
        let messages = self.load.run(TURN)? as f64;
        let cpu_ns = (self.server.cpu_time()? - cpu).as_nanos() as f64 / messages;
        self.cpu_ns = self.cpu_ns.min(cpu_ns);
        self.messages_a_second = self.messages_a_second.max(messages / TURN.as_secs_f64());
        Ok(())
    }

    fn calls(&mut self) -> io::Result<String> {
        let counter = self.server.count_system_calls();
        let messages = self.load.run(TURN)? as f64;
        Ok(counter.end().map_or("-".to_owned(), |calls| format!("{:.2}", calls as f64 / messages)))
    }
}

fn messages(program: &Path, title: &str, in_flight: usize, bytes: usize) -> io::Result<()> {
    println!("\n{title}, {CONNECTIONS} connections:\n");
    println!("| server | CPU, ns a message | times ours | messages a second | system calls a message |");
    println!("| --- | ---: | ---: | ---: | ---: |");
    let pair = |(name, _): &(&str, _)| {
        let server = Server::start(program, name)?;
        let load = Load::connect(server.address, CONNECTIONS, Burst::new(in_flight, bytes))?;
        Ok(Pair { server, load, cpu_ns: f64::MAX, messages_a_second: 0.0 })
    };
    let mut pairs = SERVERS.iter().map(pair).collect::<io::Result<Vec<_>>>()?;
    for _ in 0..TURNS {
        pairs.iter_mut().try_for_each(Pair::turn)?;
    }
    let ours = pairs[0].cpu_ns;
    for ((name, _), pair) in SERVERS.iter().zip(&mut pairs) {
        let calls = pair.calls()?;
        let (cpu_ns, times, rate) = (pair.cpu_ns, pair.cpu_ns / ours, pair.messages_a_second);
        println!("| {name} | {cpu_ns:.0} | {times:.2} | {rate:.0} | {calls} |");
    }
    Ok(())
}

fn memory(program: &Path) -> io::Result<()> {
    println!("\nResident memory an idle socket, {IDLE} of them:\n");
    println!("| server | bytes a socket |");
    println!("| --- | ---: |");
    let row = |name: &str, kind: &str, open: &dyn Fn(&Server, usize) -> io::Result<TcpStream>| {
        let server = Server::start(program, name)?;
        drop(open(&server, IDLE)?);
        std::thread::sleep(Duration::from_millis(300));
        let empty = server.resident_bytes()?;
        let sockets = (0..IDLE).map(|i| open(&server, i)).collect::<io::Result<Vec<_>>>()?;
        std::thread::sleep(Duration::from_millis(1_000));
        let full = server.resident_bytes()?;
        println!("| {name}{kind} | {} |", (full - empty) / IDLE as u64);
        drop(sockets);
        Ok::<_, io::Error>(())
    };
    for (name, _) in SERVERS {
        row(name, ", raw WebSocket", &|server, _| load::open(server.address, PATH, ""))?;
    }
    row("tethered", ", STOMP, a session and two subscriptions each", &stomp)
}

/// Logs in as somebody else each time, connects, and subscribes to what the chat page does.
fn stomp(server: &Server, i: usize) -> io::Result<TcpStream> {
    let mut stream = TcpStream::connect(server.address)?;
    write!(stream, "GET /login/user{i} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", server.address)?;
    let head = load::head(&mut stream)?;
    let cookie = head.lines().find_map(|line| line.strip_prefix("Set-Cookie: ")?.split(';').next());
    let cookie = cookie.ok_or_else(|| io::Error::other(format!("no login: {head}")))?;
    let mut stream = load::open(server.address, "/stomp", &format!("Cookie: {cookie}\r\n"))?;
    for frame in [
        "CONNECT\naccept-version:1.2\nhost:localhost\n\n\0",
        "SUBSCRIBE\nid:0\ndestination:/user/queue/messages\n\n\0",
        "SUBSCRIBE\nid:1\ndestination:/topic/friends/signin\nreceipt:r\n\n\0",
    ] {
        let mut bytes = Vec::new();
        write_masked_frame(&mut bytes, true, Opcode::Text, [1, 2, 3, 4], frame.as_bytes());
        stream.write_all(&bytes)?;
    }
    let mut answer = Vec::new();
    while !answer.windows(8).any(|it| it == b"RECEIPT\n") {
        let mut byte = [0];
        io::Read::read_exact(&mut stream, &mut byte)?;
        answer.extend(byte);
        assert!(!answer.windows(6).any(|it| it == b"ERROR\n"), "{}", String::from_utf8_lossy(&answer));
    }
    Ok(stream)
}

const CONNECTIONS: usize = 100;
const IDLE: usize = 10_000;
/// Each server has so many turns, in alternation; its best counts, since others use this machine too.
const TURNS: usize = 15;
const TURN: Duration = Duration::from_millis(400);
