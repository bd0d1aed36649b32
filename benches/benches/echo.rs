//! Servers from end to end under one load: processor time and system calls a message, resident memory an idle socket.
//!
//! Each server is a process on the first processor, the load is this process on the second one. Prints Markdown. Words
//! after `--` choose tables: those whose title has one of them, `fan-out`, or
//! `memory`.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tethered_benches::echo::fan::{self, Fan};
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
    if wanted("fan-out") {
        fan_out(program)?;
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
    for (name, _) in SERVERS {
        let idle = Idle::open(program, name, |server, _| load::open(server.address, PATH, ""))?;
        println!("| {name}, raw WebSocket | {} |", idle.bytes_each()?);
    }
    let mut idle = Idle::open(program, "tethered", stomp)?;
    println!("| tethered, STOMP, a session and two subscriptions each | {} |", idle.bytes_each()?);
    idle.answer_pings()?;
    println!("| the same, after a ping and a pong each | {} |", idle.bytes_each()?);
    Ok(())
}

/// Sockets on which nothing happens.
struct Idle {
    server: Server,
    sockets: Vec<TcpStream>,
    empty: u64,
}

impl Idle {
    fn open(program: &Path, name: &str, open: impl Fn(&Server, usize) -> io::Result<TcpStream>) -> io::Result<Self> {
        let server = Server::start(program, name)?;
        drop(open(&server, IDLE)?);
        std::thread::sleep(SETTLE);
        let empty = server.resident_bytes()?;
        let sockets = (0..IDLE).map(|i| open(&server, i)).collect::<io::Result<_>>()?;
        Ok(Self { server, sockets, empty })
    }

    fn bytes_each(&self) -> io::Result<u64> {
        std::thread::sleep(SETTLE);
        Ok((self.server.resident_bytes()? - self.empty) / IDLE as u64)
    }

    /// Waits until the server has looked after each of them.
    fn answer_pings(&mut self) -> io::Result<()> {
        let mut pong = Vec::new();
        write_masked_frame(&mut pong, true, Opcode::Pong, [1, 2, 3, 4], b"");
        for socket in &mut self.sockets {
            let mut ping = [0; 2];
            socket.read_exact(&mut ping)?;
            assert_eq!(ping, [0x89, 0], "an idle socket gets nothing but pings");
            socket.write_all(&pong)?;
        }
        Ok(())
    }
}

/// Logs in as somebody else each time, connects, and subscribes to what the chat page does.
fn stomp(server: &Server, i: usize) -> io::Result<TcpStream> {
    let mut stream = TcpStream::connect(server.address)?;
    write!(stream, "GET /login/user{i} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", server.address)?;
    let head = load::head(&mut stream)?;
    let cookie = head.lines().find_map(|line| line.strip_prefix("Set-Cookie: ")?.split(';').next());
    let cookie = cookie.ok_or_else(|| io::Error::other(format!("no login: {head}")))?;
    let mut stream = fan::stomp(server.address, "/stomp", &format!("Cookie: {cookie}\r\n"))?;
    fan::subscribe(&mut stream, "0", "/user/queue/messages")?;
    fan::subscribe(&mut stream, "1", "/topic/friends/signin")?;
    Ok(stream)
}

fn fan_out(program: &Path) -> io::Result<()> {
    println!("\nFan-out, STOMP, {SUBSCRIBERS} subscribers, bodies of 128 B:\n");
    println!("| messages in flight | CPU, ns a delivery | deliveries a second | system calls a delivery |");
    println!("| ---: | ---: | ---: | ---: |");
    for in_flight in [1, 16] {
        let server = Server::start(program, "tethered")?;
        let mut fan = Fan::connect(server.address, SUBSCRIBERS, in_flight, 128)?;
        let (mut cpu_ns, mut rate) = (f64::MAX, 0.0_f64);
        for _ in 0..TURNS {
            let cpu = server.cpu_time()?;
            let delivered = fan.run(TURN)? as f64;
            cpu_ns = cpu_ns.min((server.cpu_time()? - cpu).as_nanos() as f64 / delivered);
            rate = rate.max(delivered / TURN.as_secs_f64());
        }
        let counter = server.count_system_calls();
        let delivered = fan.run(TURN)? as f64;
        let calls = counter.end().map_or("-".to_owned(), |calls| format!("{:.2}", calls as f64 / delivered));
        println!("| {in_flight} | {cpu_ns:.0} | {rate:.0} | {calls} |");
    }
    Ok(())
}

const CONNECTIONS: usize = 100;
const SUBSCRIBERS: usize = 1_000;
/// How long a server may still tidy up.
const SETTLE: Duration = Duration::from_secs(1);
const IDLE: usize = 10_000;
/// Each server has so many turns, in alternation; its best counts, since others use this machine too.
const TURNS: usize = 15;
const TURN: Duration = Duration::from_millis(400);
