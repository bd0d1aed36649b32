//! Requests of SockJS, written and read independently of the code under test.

use tethered_core::config::{Config, Endpoint, SockJs};
use tethered_core::hub::{Action, Payload};
use tethered_core::ids::{ClientId, SocketId};

use super::Server;
use super::wire::{self, Answer};

/// A session at the service without a login, and one at that with it.
pub const OPEN: &str = "/open/000/abc";
pub const MINE: &str = "/messages/000/abc";
pub const ENDED: &str =
    "c[1008,\"This connection was established under an authenticated HTTP Session that has expired\"]";
pub const INTERRUPTED: &str = "c[1002,\"Connection interrupted\"]";
pub const STILL_OPEN: &str = "c[2010,\"Another connection still open\"]";

/// A configuration with a service that asks for a login, at `/messages`, and one that does not, at `/open`.
pub fn config() -> Config {
    let mut config = super::config();
    let raw = Endpoint::raw("/open").with_sockjs(SockJs { jsonp: true, ..SockJs::default() });
    config.endpoints =
        vec![Endpoint::stomp("/stomp"), Endpoint::stomp("/messages").with_sockjs(SockJs::default()), raw];
    config
}

/// The bytes of a request with these further lines.
pub fn request(method: &str, path: &str, lines: &str, body: &str) -> Vec<u8> {
    let length = if method == "POST" { format!("Content-Length: {}\r\n", body.len()) } else { String::new() };
    format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\n{length}{lines}\r\n{body}").into_bytes()
}

/// What a `Cookie` line says; none for an empty cookie.
pub fn cookie(cookie: &str) -> String {
    if cookie.is_empty() { String::new() } else { format!("Cookie: {cookie}\r\n") }
}

impl Server {
    /// A request on a connection of its own, which is answered at once.
    pub fn fetch(&mut self, method: &str, path: &str, lines: &str, body: &str) -> Answer {
        let socket = self.begin(method, path, lines, body);
        let answer = self.answer(socket);
        self.hang_up(socket);
        answer
    }

    /// A request on a connection of its own, which stays open.
    pub fn begin(&mut self, method: &str, path: &str, lines: &str, body: &str) -> SocketId {
        let socket = self.open();
        self.send(socket, &request(method, path, lines, body));
        socket
    }

    /// An open WebSocket that carries frames of SockJS; the first one came.
    pub fn framed(&mut self, path: &str, cookie: &str) -> SocketId {
        let socket = self.open();
        let lines = self::cookie(cookie);
        self.send(socket, super::handshake(&format!("{path}/websocket"), &lines).as_bytes());
        let bytes = self.output(socket);
        let (answer, rest) = Answer::parse(&bytes).expect("an answer");
        assert_eq!((answer.status, rest), (101, &b"\x81\x01o"[..]));
        socket
    }

    /// The frame that a poll is answered with at once.
    pub fn poll(&mut self, path: &str, cookie: &str) -> String {
        let answer = self.fetch("POST", &format!("{path}/xhr"), &self::cookie(cookie), "");
        assert_eq!(answer.status, 200, "{answer:?}");
        String::from_utf8(answer.body).expect("text").trim_end().to_owned()
    }

    /// Messages are sent and taken.
    pub fn post(&mut self, path: &str, cookie: &str, body: &str) {
        let answer = self.fetch("POST", &format!("{path}/xhr_send"), &self::cookie(cookie), body);
        assert_eq!((answer.status, &answer.body[..]), (204, &b""[..]), "{answer:?}");
    }

    /// The frames that came by `xhr_streaming` or a poll since this was last asked, without what comes before them; and
    /// whether the answer is whole.
    pub fn streamed(&mut self, socket: SocketId) -> (Vec<String>, bool) {
        let bytes = self.output(socket);
        let (body, whole) = match Answer::parse(&bytes) {
            Some((answer, rest)) if answer.header("transfer-encoding") == Some("chunked") => dechunk(rest),
            Some((answer, rest)) => {
                assert_eq!(rest, b"");
                (answer.body, true)
            }
            None => dechunk(&bytes),
        };
        let text = String::from_utf8(body).expect("text");
        let frames = text.split('\n').filter(|line| !line.is_empty() && !line.starts_with("hh"));
        (frames.map(str::to_owned).collect(), whole)
    }
}

/// The body that these chunks hold, and whether the last one is among them.
pub fn dechunk(mut bytes: &[u8]) -> (Vec<u8>, bool) {
    let mut body = Vec::new();
    while !bytes.is_empty() {
        let end = bytes.windows(2).position(|two| two == b"\r\n").expect("a chunk's size");
        let size = std::str::from_utf8(&bytes[..end]).expect("digits");
        let size = usize::from_str_radix(size, 16).expect("a hexadecimal size");
        assert_eq!(&bytes[end + 2 + size..end + 4 + size], b"\r\n", "a chunk's end");
        body.extend_from_slice(&bytes[end + 2..end + 2 + size]);
        bytes = &bytes[end + 4 + size..];
        if size == 0 {
            assert_eq!(bytes, b"", "something behind the last chunk");
            return (body, true);
        }
    }
    (body, false)
}

/// A STOMP frame as the array of messages that sends it.
pub fn array(frame: &[u8]) -> String {
    format!("[{}]", string(frame))
}

/// Text as a JSON string.
pub fn string(text: &[u8]) -> String {
    let mut json = String::from("\"");
    for c in std::str::from_utf8(text).expect("text").chars() {
        match c {
            '"' | '\\' => json.extend(['\\', c]),
            c if c < ' ' => json.push_str(&format!("\\u{:04x}", c as u32)),
            c => json.push(c),
        }
    }
    json + "\""
}

/// How each service is set up.
pub fn sockjs(config: &mut Config) -> impl Iterator<Item = &mut SockJs> {
    config.endpoints.iter_mut().filter_map(|endpoint| endpoint.sockjs.as_mut())
}

/// Who has joined since the last time.
pub fn joined(server: &mut Server) -> Vec<ClientId> {
    let joined = server.seen().into_iter().filter_map(|action| match action {
        Action::Joined { client, .. } => Some(client),
        _ => None,
    });
    joined.collect()
}

/// A session at the service without a login; its client.
pub fn open(server: &mut Server, path: &str) -> ClientId {
    assert_eq!(server.poll(path, ""), "o");
    joined(server).pop().expect("a client")
}

pub fn say(server: &mut Server, client: ClientId, text: &str) {
    server.hub.send(server.now(), client, Payload::Text(text));
    server.work();
}

/// A session over requests that speaks STOMP; who joined for it is not told.
pub fn connect(server: &mut Server, path: &str, login: &str) {
    assert_eq!(server.poll(path, login), "o");
    server.post(path, login, &array(&wire::stomp("CONNECT", &[("accept-version", "1.2")], b"")));
    assert!(server.poll(path, login).starts_with("a[\"CONNECTED\\n"));
    server.seen();
}

pub fn subscribe(server: &mut Server, path: &str, login: &str, destination: &str) {
    let frame = wire::stomp("SUBSCRIBE", &[("id", "0"), ("destination", destination)], b"");
    server.post(path, login, &array(&frame));
}

/// A poll that waits.
pub fn wait_for(server: &mut Server, path: &str, login: &str) -> SocketId {
    let socket = server.begin("POST", &format!("{path}/xhr"), &cookie(login), "");
    assert_eq!(server.output(socket), b"");
    socket
}

/// What a poll that waited was answered with.
pub fn answered(server: &mut Server, socket: SocketId) -> String {
    let (frames, whole) = server.streamed(socket);
    assert!(whole);
    frames.concat()
}
