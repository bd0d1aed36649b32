//! The server as a process: signals, descriptors, ports.

#![allow(clippy::disallowed_methods, reason = "tests measure real time")]

mod common;

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::{SocketAddr, TcpListener};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use common::{Client, PATIENCE};
use rustix::process::{Pid, Signal, kill_process};
use tethered_core::ws::Opcode;

struct Process {
    child: Child,
    address: SocketAddr,
}

impl Process {
    /// Starts the server, with so many descriptors at most.
    fn start(descriptors: u32) -> Self {
        Self::start_with(descriptors, "--conformance")
    }

    fn start_with(descriptors: u32, flags: &str) -> Self {
        let mut command = Command::new("sh");
        let server = env!("CARGO_BIN_EXE_tethered");
        command.args(["-c", &format!("ulimit -n {descriptors}; exec {server} {flags} --listen 127.0.0.1:0")]);
        let mut child = command.stderr(Stdio::piped()).spawn().expect("a shell is there");
        let stderr = child.stderr.take().expect("it is piped");
        let mut lines = BufReader::new(stderr);
        let address = loop {
            let mut line = String::new();
            assert_ne!(lines.read_line(&mut line).expect("it is text"), 0, "the server ended before it listened");
            if let Some((_, url)) = line.split_once("address=http://") {
                break url.trim().trim_end_matches('/').parse().expect("it is an address");
            }
        };
        // Whatever else it says is read, so that it never waits for us.
        std::thread::spawn(move || lines.read_to_end(&mut Vec::new()));
        Self { child, address }
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("it runs");
    }

    fn wait(&mut self) -> ExitStatus {
        let until = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().expect("it is ours") {
                return status;
            }
            assert!(Instant::now() < until, "the server does not end");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn descriptors(&self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.child.id())).expect("it runs").count()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn o01_sigterm_tells_everybody_and_exits_with_0() {
    for signal in [Signal::TERM, Signal::INT] {
        let mut server = Process::start(256);
        let clients: Vec<Client> = (0..10).map(|_| Client::echo(server.address)).collect();
        server.signal(signal);
        for mut client in clients {
            assert_eq!(client.closed_with(), 1001);
        }
        assert_eq!(server.wait().code(), Some(0));
    }
}

#[test]
fn o01_a_second_signal_ends_it_at_once() {
    let mut server = Process::start(256);
    // It answers nothing, so that the drain has to wait for it.
    let mut client = Client::echo(server.address);
    server.signal(Signal::TERM);
    assert_eq!(client.receive().0, 8);
    let since = Instant::now();
    server.signal(Signal::TERM);
    assert_eq!(server.wait().code(), Some(0));
    assert!(since.elapsed() < Duration::from_secs(2), "{:?}", since.elapsed());
}

#[test]
fn e03_without_descriptors_those_who_are_in_are_served_and_others_later() {
    let server = Process::start(40);
    let mut first = Client::echo(server.address);
    let mut waiting: Vec<Client> = (0..60).map(|_| Client::connect(server.address)).collect();
    for round in 0..5_u8 {
        first.send(Opcode::Binary, &[round]);
        assert_eq!(first.receive(), (2, vec![round]));
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(server.descriptors() >= 39, "{}", server.descriptors());
    let mut last = waiting.pop().expect("there are sixty");
    drop(waiting);
    last.write(&common::handshake(""));
    last.read_head("101");
    last.send(Opcode::Binary, b"at last");
    assert_eq!(last.receive(), (2, b"at last".to_vec()));
}

#[test]
fn e05_descriptors_come_back() {
    let server = Process::start(256);
    let mut first = Client::echo(server.address);
    let before = server.descriptors();
    for _ in 0..2_000 {
        let client = Client::connect(server.address);
        rustix::net::sockopt::set_socket_linger(&client.stream, Some(Duration::ZERO)).expect("a socket option");
    }
    for _ in 0..200 {
        drop(Client::echo(server.address));
    }
    let until = Instant::now() + PATIENCE;
    while server.descriptors() > before && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(server.descriptors(), before);
    first.send(Opcode::Binary, b"served all along");
    assert_eq!(first.receive(), (2, b"served all along".to_vec()));
}

#[test]
fn a_taken_port_says_so_and_what_to_do() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = taken.local_addr().expect("it is bound").to_string();
    let output = Command::new(env!("CARGO_BIN_EXE_tethered")).args(["--listen", &address]).output().expect("it starts");
    let said = String::from_utf8(output.stderr).expect("it is text");
    assert!(!output.status.success());
    assert!(said.contains(&address) && said.contains("taken") && said.contains("another port"), "{said}");
}

/// The head and body of the answer, with this status, to a request on a connection of its own.
fn ask(server: &Process, head: &str, body: &str, status: &str) -> (String, String) {
    let mut client = Client::connect(server.address);
    let length = body.len();
    client.write(format!("{head}Host: {}\r\nContent-Length: {length}\r\n\r\n{body}", server.address).as_bytes());
    let head = client.read_head(status);
    let len = head.split_once("Content-Length: ").and_then(|(_, rest)| rest.split("\r\n").next()?.parse().ok());
    let body = (0..len.unwrap_or(0)).map(|_| client.read::<1>()[0]).collect();
    (head, String::from_utf8(body).expect("it is text"))
}

fn between<'a>(text: &'a str, before: &str, after: &str) -> &'a str {
    text.split_once(before)
        .and_then(|(_, rest)| rest.split_once(after))
        .unwrap_or_else(|| panic!("{before} in {text}"))
        .0
}

#[test]
fn connect_csrf_asks_for_the_token_that_the_pages_have() {
    let server = Process::start_with(256, "--connect-csrf");
    let (head, page) = ask(&server, "GET /login HTTP/1.1\r\n", "", "200");
    let cookie = between(&head, "Set-Cookie: ", ";");
    let token = between(&page, "name=\"_csrf\" value=\"", "\"");
    let form = format!("_csrf={token}&username=rob&password=password");
    let kind = "Content-Type: application/x-www-form-urlencoded\r\n";
    let (head, _) = ask(&server, &format!("POST /login HTTP/1.1\r\nCookie: {cookie}\r\n{kind}"), &form, "302");
    let cookie = between(&head, "Set-Cookie: ", ";");
    let (_, page) = ask(&server, &format!("GET / HTTP/1.1\r\nCookie: {cookie}\r\n"), "", "200");
    let header = between(&page, "data-connect-header=\"", "\"");
    let of_the_page = between(&page, "name=\"_csrf\" value=\"", "\"");
    let (_, json) = ask(&server, &format!("GET /csrf HTTP/1.1\r\nCookie: {cookie}\r\n"), "", "200");
    let of_a_script = between(&json, "\"token\":\"", "\"");
    assert_eq!(header, between(&json, "\"headerName\":\"", "\""));
    for (line, answer) in [
        (String::new(), "ERROR"),
        (format!("{header}:{token}\n"), "ERROR"),
        (format!("{header}:{of_the_page}\n"), "CONNECTED"),
        (format!("{header}:{of_a_script}\n"), "CONNECTED"),
    ] {
        let mut client = Client::connect(server.address);
        let head = format!(
            "GET /stomp HTTP/1.1\r\nHost: {}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nCookie: {cookie}\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
            server.address
        );
        client.write(head.as_bytes());
        client.read_head("101");
        client.send(Opcode::Text, format!("CONNECT\naccept-version:1.2\nhost:h\n{line}\n\0").as_bytes());
        let frame = String::from_utf8(client.receive().1).expect("it is text");
        assert_eq!(frame.lines().next(), Some(answer), "{line}: {frame}");
    }
}
