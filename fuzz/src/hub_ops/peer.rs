//! The other end of a socket: what it sends, and whether what it gets is what a server may send.

use super::op::{Bytes, Stomp};

/// What a peer makes of what it gets.
#[derive(Debug, Default)]
pub(super) struct Peer {
    stage: Stage,
    rest: Vec<u8>,
    /// Messages that came.
    pub(super) messages: usize,
    /// Users that such a message was meant for.
    pub(super) addressees: Vec<String>,
    /// The number in the last message-id.
    newest: u64,
    /// Session cookies that came.
    pub(super) cookies: Vec<String>,
    /// It only ever asked for STOMP.
    pub(super) stomp: bool,
    /// It asked with HEAD, or may have: where an answer ends cannot be told.
    pub(super) lost: bool,
    /// All that came: to be compared with what a replay says.
    pub(super) all: Vec<u8>,
    connected: bool,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Stage {
    #[default]
    Http,
    Frames,
    /// A Close came.
    Over,
}

impl Peer {
    /// Whether it got a 101, and no Close since.
    pub(super) fn speaks(&self) -> bool {
        self.stage == Stage::Frames
    }

    /// Bytes came; panics if no server may send them.
    pub(super) fn take(&mut self, bytes: &[u8]) {
        self.all.extend_from_slice(bytes);
        if self.lost {
            return;
        }
        self.rest.extend_from_slice(bytes);
        loop {
            let taken = match self.stage {
                Stage::Http => self.answer(),
                Stage::Frames => self.frame(),
                Stage::Over => {
                    assert!(self.rest.is_empty(), "behind a Close: {}", self.rest.escape_ascii());
                    0
                }
            };
            if taken == 0 {
                return;
            }
            self.rest.drain(..taken);
        }
    }

    fn answer(&mut self) -> usize {
        let start = self.rest.len().min(9);
        assert!(b"HTTP/1.1 ".starts_with(&self.rest[..start]), "no answer: {}", self.rest.escape_ascii());
        let Some(end) = self.rest.windows(4).position(|four| four == b"\r\n\r\n") else { return 0 };
        let head = std::str::from_utf8(&self.rest[..end]).expect("a head in ASCII");
        let mut lines = head.split("\r\n");
        let status: u16 = lines.next().and_then(|line| line.get(9..12)?.parse().ok()).expect("a status");
        let (mut len, mut cookies) = (0, Vec::new());
        for line in lines {
            let (name, value) = line.split_once(": ").expect("a header");
            if name == "Content-Length" {
                len = value.parse().expect("a length");
            }
            if let ("Set-Cookie", Some(("SESSION", value))) =
                (name, value.split(';').next().and_then(|pair| pair.split_once('=')))
                && !value.is_empty()
            {
                cookies.push(value.to_owned());
            }
        }
        let whole = end + 4 + len;
        if self.rest.len() < whole {
            return 0;
        }
        self.cookies.extend(cookies);
        if status == 101 {
            self.stage = Stage::Frames;
        }
        whole
    }

    fn frame(&mut self) -> usize {
        let &[first, second, ref rest @ ..] = &self.rest[..] else { return 0 };
        assert!(matches!(first, 0x81 | 0x82 | 0x88 | 0x89 | 0x8a), "a frame that begins with {first:02x}");
        assert_eq!(second & 0x80, 0, "a server does not mask");
        let (len, head) = match (second, rest) {
            (126, [a, b, ..]) => (usize::from(u16::from_be_bytes([*a, *b])), 4),
            (127, [a, b, c, d, e, f, g, h, ..]) => (u64::from_be_bytes([*a, *b, *c, *d, *e, *f, *g, *h]) as usize, 10),
            (126 | 127, _) => return 0,
            (len, _) => (usize::from(len), 2),
        };
        assert!(first < 0x88 || len <= 125, "a long control frame");
        assert!(head == 2 || len > 125, "not the shortest length");
        let Some(payload) = self.rest.get(head..head + len).map(<[u8]>::to_vec) else { return 0 };
        match first {
            0x81 | 0x82 => self.message(first, &payload),
            0x88 => {
                assert!(payload.len() != 1, "half a code");
                assert!(std::str::from_utf8(payload.get(2..).unwrap_or_default()).is_ok(), "a reason in UTF-8");
                self.stage = Stage::Over;
            }
            _ => {}
        }
        head + len
    }

    fn message(&mut self, first: u8, payload: &[u8]) {
        assert!(first == 0x82 || std::str::from_utf8(payload).is_ok(), "text in UTF-8");
        self.messages += 1;
        if !self.stomp || payload == b"\n" && self.connected {
            return;
        }
        let whole = payload.strip_suffix(b"\0").unwrap_or_default();
        let end = whole.windows(2).position(|two| two == b"\n\n").expect("a STOMP frame");
        let head = std::str::from_utf8(&whole[..end]).expect("a head in UTF-8");
        let body = &whole[end + 2..];
        match (head.lines().next(), self.connected) {
            (Some("CONNECTED" | "ERROR"), false) | (Some("RECEIPT" | "ERROR"), true) => {}
            (Some("MESSAGE"), true) => self.published(head, body),
            other => panic!("{other:?} is not due"),
        }
        self.connected = true;
    }

    /// Messages come in the order in which they were published, and tell for whom they are.
    fn published(&mut self, head: &str, body: &[u8]) {
        let id = head.lines().find_map(|line| line.strip_prefix("message-id:")).expect("a message has an id");
        let number = id.rsplit_once('-').and_then(|(_, number)| number.parse().ok()).expect("a number in it");
        assert!(self.newest <= number, "message {number} behind {}", self.newest);
        self.newest = number;
        if let Some(rest) = body.strip_prefix(FOR) {
            let end = rest.iter().position(|&byte| byte == b';').expect("the end of the name");
            self.addressees.push(String::from_utf8_lossy(&rest[..end]).into_owned());
        }
    }
}

/// A masked frame with this first byte.
pub(super) fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first];
    match payload.len() {
        len @ 0..126 => bytes.push(0x80 | len as u8),
        len => {
            bytes.push(0x80 | 126);
            bytes.extend_from_slice(&(len as u16).to_be_bytes());
        }
    }
    bytes.extend_from_slice(&KEY);
    bytes.extend(payload.iter().zip(KEY.iter().cycle()).map(|(byte, key)| byte ^ key));
    bytes
}

/// A handshake; each flaw but 0 spoils it in another way.
pub(super) fn handshake(endpoint: u8, cookie: Option<&str>, flaw: u8) -> Vec<u8> {
    let path = PATHS[usize::from(endpoint) % PATHS.len()];
    let (mut method, mut version, mut upgrade) = ("GET", "13", "websocket");
    let mut more = String::new();
    match flaw % 12 {
        1 => method = "POST",
        2 => version = "8",
        3 => upgrade = "h2c",
        4 => more.push_str("Origin: https://elsewhere.example\r\n"),
        5 => more.push_str("Origin: http://localhost\r\nSec-WebSocket-Protocol: v12.stomp, x\r\n"),
        6 => more.push_str("Content-Length: 3\r\n"),
        7 => more.push_str("X-Forwarded-For: 198.51.100.7\r\nX-Forwarded-Proto: https\r\n"),
        8 => more.push_str("Cookie: SESSION=unknown; SESSION=unknown2\r\n"),
        9 => more.push_str("Connection: close\r\n"),
        10 => more.push_str("Expect: 100-continue\r\n"),
        11 => more.push_str("Transfer-Encoding: chunked\r\n"),
        _ => {}
    }
    if let Some(cookie) = cookie {
        more.push_str(&format!("Cookie: SESSION={cookie}\r\n"));
    }
    format!(
        "{method} {path} HTTP/1.1\r\nHost: localhost\r\nUpgrade: {upgrade}\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Version: {version}\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{more}\r\n"
    )
    .into_bytes()
}

/// Whether what is spoken there is STOMP.
pub(super) fn is_stomp(endpoint: u8) -> bool {
    matches!(usize::from(endpoint) % PATHS.len(), 0 | 3)
}

/// A request that is no handshake.
pub(super) fn request(page: u8, cookie: Option<&str>, body: u8) -> Vec<u8> {
    let path = ["/", "/page", "/guard/x", "/stomp/info", "/login"][usize::from(page) % 5];
    let (version, more) = match page / 5 % 6 {
        1 => ("1.0", ""),
        2 => ("1.1", "Connection: close\r\n"),
        3 => ("1.1", "Expect: 100-continue\r\n"),
        4 => ("1.1", "Forwarded: for=198.51.100.9;proto=https\r\n"),
        _ => ("1.1", ""),
    };
    let cookie = cookie.map(|cookie| format!("Cookie: SESSION={cookie}\r\n")).unwrap_or_default();
    let contents = "b".repeat(usize::from(body) * 2);
    let (method, length, contents) = match body {
        0 => ("GET", String::new(), String::new()),
        1..128 => ("POST", format!("Content-Length: {}\r\n", contents.len()), contents),
        _ => (
            "POST",
            "Transfer-Encoding: chunked\r\n".to_owned(),
            format!("{:x}\r\n{contents}\r\n0\r\n\r\n", contents.len()),
        ),
    };
    format!("{method} {path} HTTP/{version}\r\nHost: localhost\r\n{more}{cookie}{length}\r\n{contents}").into_bytes()
}

/// A message that holds a STOMP frame.
pub(super) fn stomp(frame: &Stomp) -> Vec<u8> {
    let receipt = |at: &u8| if *at == 0 { String::new() } else { format!("receipt:r{at}\n") };
    let text = match frame {
        Stomp::Connect { version, beat } => {
            let version = ["1.2", "1.0", "1.1", "1.0,1.1,1.2", "2.0"][usize::from(*version) % 5];
            let beat = ["0,0", "500,0", "0,500", "700,900", "x"][usize::from(*beat) % 5];
            format!("CONNECT\naccept-version:{version}\nhost:localhost\nheart-beat:{beat}\n\n\0")
        }
        Stomp::Send { destination: at, blocks, receipt: id } => {
            let transaction = if *blocks == 255 { "transaction:t\n" } else { "" };
            let destination = destination(*at);
            let user = destination.strip_prefix("/user/").and_then(|rest| rest.split('/').next());
            let user = user.map(|user| format!("for:{user};")).unwrap_or_default();
            let body = user + &"sixteen bytes...".repeat(usize::from(*blocks) % 40);
            format!("SEND\ndestination:{destination}\n{transaction}{}\n{body}\0", receipt(id))
        }
        Stomp::Subscribe { id, destination: at, receipt: asked } => {
            let ack = ["", "ack:auto\n", "ack:client\n", "selector:x\n"][usize::from(*id >> 6)];
            let id = match id % 6 {
                5 => String::new(),
                id => format!("id:s{id}\n"),
            };
            format!("SUBSCRIBE\ndestination:{}\n{id}{ack}{}\n\0", destination(*at), receipt(asked))
        }
        Stomp::Unsubscribe { id, receipt: asked } => match id % 6 {
            5 => format!("UNSUBSCRIBE\ndestination:{}\n{}\n\0", destination(id / 6), receipt(asked)),
            id => format!("UNSUBSCRIBE\nid:s{id}\n{}\n\0", receipt(asked)),
        },
        Stomp::Disconnect { receipt: asked } => format!("DISCONNECT\n{}\n\0", receipt(asked)),
        Stomp::HeartBeat {} => "\n".to_owned(),
        Stomp::Odd { command, header: Bytes(header), body: Bytes(body) } => {
            let command =
                ["ACK", "NACK", "BEGIN", "MESSAGE", "STOMP", "send", "ABORT", "SEND"][usize::from(*command) % 8];
            let parts = [command.as_bytes(), b"\n", header, b"\n\n", body, b"\0"].concat();
            return self::frame(0x82, &parts);
        }
        Stomp::Part { bytes: Bytes(bytes) } => return self::frame(0x82, bytes),
    };
    self::frame(0x81, text.as_bytes())
}

pub(super) fn destination(at: u8) -> &'static str {
    DESTINATIONS[usize::from(at) % DESTINATIONS.len()]
}

/// What a message to a user begins with, before the name and a semicolon.
pub(super) const FOR: &[u8] = b"for:";
pub(super) const PATHS: [&str; 5] = ["/stomp", "/raw", "/private", "/open", "/nowhere"];
const DESTINATIONS: [&str; 14] = [
    "/topic/a",
    "/app/x",
    "/user/queue/m",
    "/topic/*",
    "/queue/b",
    "/user/rob/queue/m",
    "/user/luke/queue/m",
    "/queue/**",
    "/topic/{a}/b",
    "/user/",
    "/elsewhere",
    "/app",
    "/topic/a/b/c/d/e/f/g",
    "/queue/m-user1",
];
const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];
