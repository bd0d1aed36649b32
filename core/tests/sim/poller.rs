//! A client that polls: SockJS over `xhr` or `xhr_streaming`, with `xhr_send`, each request on a connection of its own.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::BytesMut;
use tethered_core::http::{Encoding, cookie};
use tethered_core::ids::SocketId;
use tethered_core::stomp::{Command, Decoder, Encoder, Item, Limits, Version};

use crate::client::Seen;

/// How long a session is kept without a request that receives.
pub(crate) const DELAY_MS: u64 = 5_000;

/// One SockJS session, from the first poll of it to its close frame.
pub(crate) struct Poller {
    pub(crate) hub: usize,
    pub(crate) session: usize,
    /// Which seat the judge has for it: another one for each life.
    pub(crate) seat: usize,
    /// The login that it was opened with.
    pub(crate) id: Arc<str>,
    /// It asks for streams.
    pub(crate) streams: bool,
    /// It never says anything but what it has to.
    pub(crate) quiet: bool,
    pub(crate) pace: u64,
    pub(crate) piece: usize,
    pub(crate) open: bool,
    pub(crate) connected: bool,
    pub(crate) subscribed: bool,
    pub(crate) parted: bool,
    /// It has hung up on a request that was to receive: whether its session has ended by that.
    pub(crate) broken: Option<bool>,
    /// It has read a close frame, so often.
    pub(crate) closes: u32,
    pub(crate) receiving: Option<usize>,
    pub(crate) sending: bool,
    /// When a request that receives was last there.
    pub(crate) last: u64,
    pub(crate) sent: u32,
    /// How much had been said by anybody when it last asked, and when it asked for what it has last read.
    pub(crate) asked: u32,
    pub(crate) heard: u32,
    /// Publications that it has to read, in this order, as long as its session lives.
    pub(crate) owed: VecDeque<u32>,
    decoder: Decoder,
    frame: Vec<u8>,
}

/// What a request is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Errand {
    LogIn,
    Receive,
    /// Whether it subscribes.
    Send {
        subscribes: bool,
    },
}

/// One request and its answer.
pub(crate) struct Request {
    pub(crate) poller: usize,
    pub(crate) seat: usize,
    pub(crate) errand: Errand,
    streams: bool,
    pub(crate) socket: SocketId,
    /// Bytes on their way to the hub.
    pub(crate) outbox: Vec<u8>,
    pub(crate) reading_off: bool,
    /// The id of the login that its cookie names.
    pub(crate) under: Arc<str>,
    /// It counts as the user's activity.
    pub(crate) renews: bool,
    /// How often it is going to be read without being told to.
    pub(crate) reads: usize,
    /// When the hub had all of it.
    pub(crate) asked: Option<u64>,
    pub(crate) closed: bool,
    pub(crate) whole: bool,
    pub(crate) hung_up: bool,
    /// Its session may have been forgotten when it was asked.
    pub(crate) late: bool,
    /// Its login was known by another id by then.
    pub(crate) sent_away: bool,
    answer: Vec<u8>,
    /// Lines of the body that were looked at.
    lines: usize,
    told: bool,
}

/// What an answer brings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Frame {
    Status(u16),
    Open,
    Beat,
    Messages(Vec<Vec<u8>>),
    Close { code: u16, reason: String },
}

impl Poller {
    pub(crate) fn new(hub: usize, session: usize, seat: usize, id: Arc<str>) -> Self {
        Self {
            hub,
            session,
            seat,
            id,
            streams: false,
            quiet: false,
            pace: 0,
            piece: 1,
            open: false,
            connected: false,
            subscribed: false,
            parted: false,
            broken: None,
            closes: 0,
            receiving: None,
            sending: false,
            last: 0,
            sent: 0,
            asked: 0,
            heard: 0,
            owed: VecDeque::new(),
            decoder: Decoder::client(),
            frame: Vec::new(),
        }
    }

    /// The bytes of a request of this session.
    pub(crate) fn request(&self, transport: &str, id: &str, body: &str) -> Vec<u8> {
        let cookie = cookie::encode_value(id, Encoding::Base64);
        format!(
            "POST /messages/0/s{}/{transport} HTTP/1.1\r\nHost: h\r\nCookie: SESSION={cookie}\r\nContent-Length: {}\r\n\r\n{body}",
            self.seat,
            body.len()
        )
        .into_bytes()
    }

    /// Reads a message of SockJS: what STOMP is in it.
    pub(crate) fn hear(&mut self, message: &[u8]) -> Vec<Seen> {
        let mut seen = Vec::new();
        let (mut input, limits) = (message, Limits::default());
        let mut frame = std::mem::take(&mut self.frame);
        while let Some(item) =
            self.decoder.next(&limits, &mut input, &mut frame).expect("the server writes valid STOMP")
        {
            let Item::Frame(frame) = item else { continue };
            seen.push(match frame.command() {
                Command::Connected => Seen::Connected,
                Command::Message => Seen::Message { body: String::from_utf8(frame.body().to_vec()).expect("text") },
                Command::Receipt => Seen::Receipt,
                Command::Error => Seen::Error,
                other => panic!("the server sent {other:?}"),
            });
            self.decoder.set_version(Version::V1_2);
        }
        self.frame = frame;
        seen
    }
}

impl Request {
    pub(crate) fn new(poller: usize, seat: usize, errand: Errand, socket: SocketId, bytes: Vec<u8>) -> Self {
        Self {
            poller,
            seat,
            errand,
            streams: bytes.windows(14).any(|part| part == b"/xhr_streaming"),
            socket,
            outbox: bytes,
            reading_off: false,
            under: "".into(),
            renews: false,
            reads: 0,
            asked: None,
            closed: false,
            whole: false,
            hung_up: false,
            late: false,
            sent_away: false,
            answer: Vec::new(),
            lines: 0,
            told: false,
        }
    }

    /// Whether the hub has it as the one that receives.
    pub(crate) fn is_attached(&self) -> bool {
        self.errand == Errand::Receive && self.asked.is_some() && !self.closed
    }

    /// Whether it has read a part of a frame, and not the rest.
    pub(crate) fn within_frame(&self) -> bool {
        // The answer to a poll is one frame with its head; that of a stream begins with none.
        let Some((head, body)) = split(&self.answer) else { return !self.answer.is_empty() && !self.streams };
        if !head.contains("chunked") {
            return true;
        }
        let (text, rest, _) = dechunk(body);
        (rest > 0 && text.contains(&b'\n')) || !(text.is_empty() || text.ends_with(b"\n"))
    }

    /// Reads what the server wrote.
    pub(crate) fn read(&mut self, bytes: &[u8]) -> Vec<Frame> {
        assert!(!self.whole, "behind an answer: {}", bytes.escape_ascii());
        self.answer.extend_from_slice(bytes);
        let mut frames = Vec::new();
        let Some((head, rest)) = split(&self.answer) else { return frames };
        let status = head[9..12].parse().expect("a status");
        let (body, whole) = if head.contains("chunked") {
            let (body, _, whole) = dechunk(rest);
            (body, whole)
        } else {
            let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: "));
            let length = length.map_or(0, |length| length.parse().expect("a number"));
            assert!(rest.len() <= length, "behind an answer: {}", rest.escape_ascii());
            (rest.to_vec(), rest.len() == length)
        };
        self.whole = whole;
        if status != 200 || self.errand != Errand::Receive {
            if whole && !std::mem::replace(&mut self.told, true) {
                frames.push(Frame::Status(status));
            }
            return frames;
        }
        let text = std::str::from_utf8(&body).expect("text");
        let lines = text.split_inclusive('\n').filter(|line| line.ends_with('\n')).map(str::trim_end);
        for line in lines.skip(self.lines) {
            self.lines += 1;
            frames.push(match line {
                "o" => Frame::Open,
                "h" => Frame::Beat,
                line if line.starts_with("hh") => continue,
                line if line.starts_with("a[") => Frame::Messages(strings(&line[1..])),
                line => {
                    let inside = line.strip_prefix("c[").and_then(|rest| rest.strip_suffix(']')).expect("a frame");
                    let (code, reason) = inside.split_once(',').expect("a code and a reason");
                    let reason = strings(&format!("[{reason}]")).pop().expect("a reason");
                    let reason = String::from_utf8(reason).expect("text");
                    Frame::Close { code: code.parse().expect("a code"), reason }
                }
            });
        }
        assert!(!whole || self.lines > 0, "an answer without a frame");
        frames
    }
}

/// A STOMP frame as the array of messages that brings it.
pub(crate) fn array(command: Command, headers: &[(&str, &str)], body: &str) -> String {
    let mut out = BytesMut::new();
    Encoder::new(Version::V1_2).frame(&mut out, command, headers.iter().copied(), body.as_bytes());
    let text: String = std::str::from_utf8(&out).expect("text").chars().map(escaped).collect();
    format!("\"{text}\"")
}

fn escaped(c: char) -> String {
    match c {
        '"' | '\\' => format!("\\{c}"),
        c if c < ' ' => format!("\\u{:04x}", u32::from(c)),
        c => c.to_string(),
    }
}

/// The strings of a JSON array, read independently of the code under test.
fn strings(array: &str) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    let mut chars = array.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).expect("an array").chars();
    while let Some(c) = chars.next() {
        assert_eq!(c, '"', "a string in {array}");
        let mut text = String::new();
        loop {
            match chars.next().expect("a string's end") {
                '"' => break,
                '\\' => match chars.next().expect("an escape") {
                    'n' => text.push('\n'),
                    'r' => text.push('\r'),
                    't' => text.push('\t'),
                    'b' => text.push('\u{8}'),
                    'f' => text.push('\u{c}'),
                    'u' => {
                        let digits: String = chars.by_ref().take(4).collect();
                        let code = u32::from_str_radix(&digits, 16).expect("four digits");
                        text.push(char::from_u32(code).expect("a character"));
                    }
                    c => text.push(c),
                },
                c => text.push(c),
            }
        }
        all.push(text.into_bytes());
        assert!(matches!(chars.next(), None | Some(',')), "a comma in {array}");
    }
    all
}

fn split(answer: &[u8]) -> Option<(&str, &[u8])> {
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n")?;
    Some((std::str::from_utf8(&answer[..end]).expect("a head is ASCII"), &answer[end + 4..]))
}

/// The body as far as its chunks are whole, how many bytes of the next one are there, and whether the last one is.
fn dechunk(mut rest: &[u8]) -> (Vec<u8>, usize, bool) {
    let mut body = Vec::new();
    loop {
        let Some(at) = rest.windows(2).position(|two| two == b"\r\n") else { return (body, rest.len(), false) };
        let len = usize::from_str_radix(std::str::from_utf8(&rest[..at]).expect("digits"), 16).expect("a size");
        if rest.len() < at + 4 + len {
            return (body, rest.len(), false);
        }
        body.extend_from_slice(&rest[at + 2..at + 2 + len]);
        rest = &rest[at + 4 + len..];
        if len == 0 {
            assert!(rest.is_empty(), "behind the last chunk: {}", rest.escape_ascii());
            return (body, 0, true);
        }
    }
}
