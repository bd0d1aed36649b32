//! What the server recorded tells afterwards why somebody was thrown out.

#![allow(clippy::disallowed_methods, reason = "tests measure real time")]

mod common;

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use common::Client;
use rustix::process::{Pid, Signal, kill_process};
use tethered_core::ws::Opcode;

#[test]
fn the_recording_tells_why_the_socket_was_closed() {
    let folder = Folder::new("why");
    let file = folder.0.join("calls");
    {
        let server = Served::start(&["--session-timeout", "1500ms", "--record", &file.display().to_string()]);
        let cookie = server.log_in("rob");
        let mut rob = server.join(&cookie);
        rob.send(Opcode::Text, b"SEND\ndestination:/app/users\n\n\0");
        assert_eq!(rob.closed_with(), 1008);
        server.end();
    }
    let recording = fs::read_to_string(&file).expect("it was written");
    assert!(recording.starts_with("## The settings in effect"), "{recording:.80}");
    assert!(!recording.contains("argon2"), "passwords have no place in it");

    let list = tethered(&["replay", &file.display().to_string()]);
    let line = list.lines().find(|line| line.contains("user \"rob\"")).expect("rob's socket is listed");
    assert!(line.ends_with("expired"), "{line}");
    let word = |before: &str| line.split_once(before).map(|(_, rest)| rest.split(' ').next().expect("a word"));
    let (socket, session) = (word("socket ").expect("an id"), word("session ").expect("a fingerprint"));

    let story = tethered(&["replay", &file.display().to_string(), "--socket", socket]);
    for part in [
        "  it is a WebSocket at /stomp now, for user \"rob\"; unless it is renewed, the session ends at 2",
        "  messages that came from it: 1; 1 renewed its session, the last at 2",
        "  it is sent Close 1008 \"This connection was established under an authenticated HTTP Session that has expired\"",
        "Why: its session ran out at 2",
    ] {
        assert!(story.contains(part), "{part}\n\n{story}");
    }
    assert_eq!(tethered(&["replay", "--session", session, &file.display().to_string()]), story);
    let output = run(&["replay", &file.display().to_string(), "--socket", "77.7"]);
    let said = String::from_utf8(output.stderr).expect("it is text");
    assert!(!output.status.success() && said.contains("there is no such socket in the recording"), "{said}");
}

#[test]
fn runs_are_appended_and_a_cut_off_line_is_no_loss() {
    let folder = Folder::new("runs");
    let file = folder.0.join("calls");
    let path = file.display().to_string();
    for _ in 0..2 {
        let server = Served::start(&["--record", &path, "--limit", "SUBS=7"]);
        server.log_in("luke");
        server.end();
    }
    let list = tethered(&["replay", &path]);
    assert_eq!(list.lines().count(), 4, "two sockets in each run: {list}");
    let whole = fs::read(&file).expect("it was written");
    fs::write(&file, &whole[..whole.len() - 5]).expect("it can be written");
    assert_eq!(tethered(&["replay", &path]).lines().count(), 4);

    let broken = String::from_utf8(whole).expect("it is text").replacen(" received ", " recieved ", 1);
    fs::write(&file, &broken).expect("it can be written");
    let output = run(&["replay", &path]);
    let said = String::from_utf8(output.stderr).expect("it is text");
    let line = broken.lines().position(|line| line.contains("recieved")).expect("a line") + 1;
    assert!(said.contains(&format!("calls: line {line}: column ")) && said.contains("an input: open,"), "{said}");
    let other = broken.replace("SUBS = \"7\"", "SUBS = \"8\"").replace("recieved", "received");
    fs::write(&file, other).expect("it can be written");
    let output = run(&["replay", &path]);
    let said = String::from_utf8(output.stderr).expect("it is text");
    assert!(said.contains("had another configuration"), "{said}");
}

#[test]
fn a_file_for_all_eyes_is_not_recorded_to() {
    let folder = Folder::new("eyes");
    let file = folder.0.join("calls");
    fs::write(&file, "").expect("it can be written");
    fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o644)).expect("it is ours");
    let output = run(&["--listen", "127.0.0.1:0", "--record", &file.display().to_string()]);
    let said = String::from_utf8(output.stderr).expect("it is text");
    assert!(!output.status.success() && said.contains("chmod 600 it, or name another file"), "{said}");
}

/// A folder that is removed with it.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("replay-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).expect("a folder of the build");
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The server with its demo.
struct Served {
    child: Child,
    address: SocketAddr,
}

impl Served {
    fn start(arguments: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tethered"));
        command.args(["--listen", "127.0.0.1:0"]).args(arguments);
        let mut child = command.stderr(Stdio::piped()).spawn().expect("it starts");
        let mut lines = BufReader::new(child.stderr.take().expect("it is piped"));
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

    /// The session cookie of a user who has logged in.
    fn log_in(&self, name: &str) -> String {
        let form = self.ask("GET /login HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        let (_, rest) = form.split_once("name=\"_csrf\" value=\"").expect("a form with a token");
        let body = format!("username={name}&password=password&_csrf={}", rest.split('"').next().expect("a token"));
        let answer = self.ask(&format!(
            "POST /login HTTP/1.1\r\nHost: localhost\r\nCookie: {}\r\nContent-Type: application/x-www-form-urlencoded\r\n\
             Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
            cookie(&form),
            body.len()
        ));
        assert!(answer.starts_with("HTTP/1.1 302"), "{answer}");
        cookie(&answer)
    }

    fn ask(&self, request: &str) -> String {
        let mut client = Client::connect(self.address);
        client.write(request.as_bytes());
        let mut answer = String::new();
        client.stream.read_to_string(&mut answer).expect("an answer");
        answer
    }

    /// A STOMP client of this session.
    fn join(&self, cookie: &str) -> Client {
        let mut client = Client::connect(self.address);
        client.write(
            format!(
                "GET /stomp HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nCookie: {cookie}\r\n\
                 Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
            )
            .as_bytes(),
        );
        client.read_head("101");
        client.send(Opcode::Text, b"CONNECT\naccept-version:1.2\nhost:localhost\n\n\0");
        assert!(client.receive().1.starts_with(b"CONNECTED\n"));
        client
    }

    /// Ends it in order.
    fn end(mut self) {
        kill_process(Pid::from_child(&self.child), Signal::TERM).expect("it runs");
        assert!(self.child.wait().expect("it is ours").success());
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The cookie that an answer sets, as a request names it.
fn cookie(answer: &str) -> String {
    let (_, rest) = answer.split_once("Set-Cookie: ").expect("a cookie");
    rest.split(';').next().expect("a pair").to_owned()
}

fn run(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tethered")).args(arguments).output().expect("it starts")
}

/// What a command writes that succeeds.
fn tethered(arguments: &[&str]) -> String {
    let output = run(arguments);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    String::from_utf8(output.stdout).expect("it is text")
}
