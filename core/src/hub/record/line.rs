//! From a line to the call that it was.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::IpAddr;

use bytes::Bytes;

use super::redis::{self, Kept};
use super::text::{BadLine, Words};
use crate::http;
use crate::hub::{Change, Joined, Kind, Open, Response};
use crate::ids::{CallId, ClientId, SocketId};
use crate::redis::Connection;
use crate::session::{Answer, Cause, Record};
use crate::time::{Instant, Now};

/// One input of a hub, as it was recorded.
#[derive(Debug)]
pub struct Line {
    pub(super) now: Now,
    pub(super) taken: u64,
    pub(super) input: Input,
}

#[derive(Debug)]
pub(super) enum Input {
    Begin {
        version: u64,
        seed: [u8; 16],
        config: u64,
    },
    Open {
        open: Open,
        socket: Option<SocketId>,
    },
    Ask {
        ask: Box<Asked>,
        socket: Option<SocketId>,
    },
    Join {
        join: Box<Joining>,
        joined: Option<Joined>,
    },
    Message {
        client: ClientId,
        kind: Kind,
        bytes: Vec<u8>,
    },
    Received {
        socket: SocketId,
        bytes: Vec<u8>,
    },
    /// `more`: another one was told of in the same turn.
    Sent {
        socket: SocketId,
        len: usize,
        more: bool,
    },
    Closed {
        socket: SocketId,
    },
    Activity {
        client: ClientId,
    },
    Answered {
        call: CallId,
        answer: Answer,
    },
    Reply {
        call: CallId,
        reply: Kept,
    },
    Notification {
        node: u32,
        channel: Vec<u8>,
        payload: Vec<u8>,
    },
    Connected {
        connection: Connection,
    },
    Disconnected {
        connection: Connection,
    },
    Relayed {
        publication: Vec<u8>,
    },
    Notice {
        session: String,
        notice: Notice,
    },
    NoticesOn,
    NoticesLost,
    Tick,
    Respond {
        socket: SocketId,
        response: Box<Response>,
    },
    Decide {
        client: ClientId,
        verdict: Verdict,
    },
    Publish {
        to: To,
        message: Message,
    },
    Announce {
        body: Vec<u8>,
    },
    Answer {
        client: ClientId,
        destination: String,
        subscription: String,
        message: Message,
    },
    Send {
        client: ClientId,
        payload: Payload,
    },
    End {
        who: Who,
        cause: Cause,
    },
    Close {
        client: ClientId,
        code: u16,
        reason: String,
    },
    Drain,
}

/// What somebody else had parsed.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) open: Open,
    pub(super) method: String,
    pub(super) target: String,
    pub(super) headers: Vec<(String, Vec<u8>)>,
    pub(super) body: Vec<u8>,
}

/// A WebSocket that was opened elsewhere.
#[derive(Debug)]
pub(super) struct Joining {
    pub(super) open: Open,
    pub(super) target: String,
    pub(super) headers: Vec<(String, Vec<u8>)>,
    pub(super) session: Option<String>,
}

#[derive(Debug)]
pub(super) enum Notice {
    Expired,
    Deleted,
    Renamed { to: String },
}

#[derive(Debug)]
pub(super) enum Verdict {
    Enter,
    As(String),
    Refuse,
}

#[derive(Debug)]
pub(super) enum To {
    Destination(String),
    User { principal: String, destination: String },
}

#[derive(Debug)]
pub(super) struct Message {
    pub(super) content_type: Option<String>,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

#[derive(Debug)]
pub(super) enum Payload {
    Text(String),
    Binary(Vec<u8>),
}

#[derive(Debug)]
pub(super) enum Who {
    Client(ClientId),
    Session(String),
    User(String),
    UserExcept { principal: String, session: String },
}

impl Line {
    /// Reads a line, with or without its line end.
    ///
    /// # Errors
    /// [`BadLine`] for anything that a hub does not write, notes and empty lines included.
    pub fn parse(line: &str) -> Result<Self, BadLine> {
        let mut words = Words::new(line);
        let wall = words.stamp()?;
        let mono = Instant::from_millis(words.number("the monotonic time in milliseconds")?);
        let taken =
            if words.clone().option("taken=").is_some() { words.named("taken=", "taken= and a number")? } else { 0 };
        let input = Input::read(&mut words)?;
        words.end()?;
        Ok(Self { now: Now { mono, wall }, taken, input })
    }

    /// When it came, by both clocks.
    pub fn now(&self) -> Now {
        self.now
    }

    /// Whether it is the first line of a recording.
    pub fn is_begin(&self) -> bool {
        matches!(self.input, Input::Begin { .. })
    }
}

impl Input {
    fn read(words: &mut Words<'_>) -> Result<Self, BadLine> {
        let kind = words.clone();
        Ok(match words.word(KIND)? {
            "begin" => Self::Begin {
                version: words.number("the version of the format")?,
                seed: words
                    .map("seed= and 32 hex digits", |word| hex::<32>(word.strip_prefix("seed=")?))?
                    .to_be_bytes(),
                config: words.map("config= and 16 hex digits", |word| hex::<16>(word.strip_prefix("config=")?))? as u64,
            },
            "open" => {
                let (open, socket) = open(words)?;
                Self::Open { open, socket }
            }
            "ask" => {
                let (open, socket) = open(words)?;
                let (method, target, headers) = (words.text()?, words.text()?, fields(words)?);
                let ask = Asked { open, method, target, headers, body: words.bytes()? };
                Self::Ask { ask: Box::new(ask), socket }
            }
            "join" => {
                let joined = match became(words)? {
                    Some(socket) => Some(Joined { socket, client: client(words)? }),
                    None => None,
                };
                let open = origin(words)?;
                let (target, session, headers) = (words.text()?, words.text_or_none()?, fields(words)?);
                Self::Join { join: Box::new(Joining { open, target, headers, session }), joined }
            }
            "message" => {
                let client = client(words)?;
                let kind = match choice(words, &["text", "binary"], "text or binary")? {
                    0 => Kind::Text,
                    _ => Kind::Binary,
                };
                Self::Message { client, kind, bytes: words.bytes()? }
            }
            "received" => Self::Received { socket: socket(words)?, bytes: words.bytes()? },
            verb @ ("took" | "sent") => {
                let socket = socket(words)?;
                let len = words.map("a number of bytes", |word| usize::try_from(word.parse::<u64>().ok()?).ok())?;
                Self::Sent { socket, len, more: verb == "took" }
            }
            "closed" => Self::Closed { socket: socket(words)? },
            "activity" => Self::Activity { client: client(words)? },
            "answered" => {
                Self::Answered { call: CallId::from_raw(words.id("the id of a call")?), answer: answer(words)? }
            }
            "reply" => Self::Reply { call: CallId::from_raw(words.id("the id of a call")?), reply: Kept::read(words)? },
            "notification" => {
                let node = words.map("the number of a node", |word| word.parse().ok())?;
                Self::Notification { node, channel: words.bytes()?, payload: words.bytes()? }
            }
            "connected" => Self::Connected { connection: redis::connection(words)? },
            "disconnected" => Self::Disconnected { connection: redis::connection(words)? },
            "relayed" => Self::Relayed { publication: words.bytes()? },
            "notice" => Self::Notice { session: words.text()?, notice: notice(words)? },
            "notices" => words.map("on or lost", |word| match word {
                "on" => Some(Self::NoticesOn),
                "lost" => Some(Self::NoticesLost),
                _ => None,
            })?,
            "tick" => Self::Tick,
            "respond" => Self::Respond { socket: socket(words)?, response: Box::new(response(words)?) },
            "decide" => {
                let client = client(words)?;
                let verdict = match choice(words, &["enter", "as", "refuse"], "enter, as or refuse")? {
                    0 => Verdict::Enter,
                    1 => Verdict::As(words.text()?),
                    _ => Verdict::Refuse,
                };
                Self::Decide { client, verdict }
            }
            "publish" => {
                let to = match choice(words, &["to", "user"], "to or user")? {
                    0 => To::Destination(words.text()?),
                    _ => To::User { principal: words.text()?, destination: words.text()? },
                };
                Self::Publish { to, message: message(words)? }
            }
            "announce" => Self::Announce { body: words.bytes()? },
            "answer" => Self::Answer {
                client: client(words)?,
                destination: words.text()?,
                subscription: words.text()?,
                message: message(words)?,
            },
            "send" => {
                let client = client(words)?;
                let payload = match choice(words, &["text", "binary"], "text or binary")? {
                    0 => Payload::Text(words.text()?),
                    _ => Payload::Binary(words.bytes()?),
                };
                Self::Send { client, payload }
            }
            "end" => {
                let who = match choice(words, &["client", "session", "user", "user-except"], "whom to end")? {
                    0 => Who::Client(client(words)?),
                    1 => Who::Session(words.text()?),
                    2 => Who::User(words.text()?),
                    _ => Who::UserExcept { principal: words.text()?, session: words.text()? },
                };
                let cause = words.map("a cause", |word| CAUSES.into_iter().find(|cause| cause.as_str() == word))?;
                Self::End { who, cause }
            }
            "close" => Self::Close {
                client: client(words)?,
                code: words.map("a code of two bytes", |word| word.parse().ok())?,
                reason: words.text()?,
            },
            "drain" => Self::Drain,
            _ => return kind.bad(KIND),
        })
    }
}

fn socket(words: &mut Words<'_>) -> Result<SocketId, BadLine> {
    words.id("the id of a socket, such as 7.1").map(SocketId::from_raw)
}

fn client(words: &mut Words<'_>) -> Result<ClientId, BadLine> {
    words.id("the id of a client, such as 7.1").map(ClientId::from_raw)
}

/// A connection that was accepted, and what became of it.
fn open(words: &mut Words<'_>) -> Result<(Open, Option<SocketId>), BadLine> {
    let socket = became(words)?;
    Ok((origin(words)?, socket))
}

/// The id that it was given.
fn became(words: &mut Words<'_>) -> Result<Option<SocketId>, BadLine> {
    if words.clone().option("full") == Some("") {
        words.word("full")?;
        return Ok(None);
    }
    socket(words).map(Some)
}

/// Whose it is, and where it came from.
fn origin(words: &mut Words<'_>) -> Result<Open, BadLine> {
    let token = words.named("token=", "token= and a number")?;
    let address = words.map("from= and an address or -", |word| match word.strip_prefix("from=")? {
        "-" => Some(None),
        address => address.parse::<IpAddr>().ok().map(Some),
    })?;
    let secure = choice(words, &["plain", "tls"], "plain or tls")? == 1;
    Ok(Open { token, address, secure })
}

fn notice(words: &mut Words<'_>) -> Result<Notice, BadLine> {
    Ok(match choice(words, &["expired", "deleted", "renamed"], "expired, deleted or renamed")? {
        0 => Notice::Expired,
        1 => Notice::Deleted,
        _ => Notice::Renamed { to: words.text()? },
    })
}

fn answer(words: &mut Words<'_>) -> Result<Answer, BadLine> {
    match choice(words, &["lost", "gone", "vanished", "alive"], "lost, gone, vanished or alive")? {
        0 => return Ok(Answer::Lost),
        1 => return Ok(Answer::Gone),
        2 => return Ok(Answer::Vanished),
        _ => {}
    }
    let ttl_ms = if words.clone().option("ttl=") == Some("never") {
        words.word("ttl=never")?;
        None
    } else {
        Some(words.named("ttl=", "ttl= and milliseconds or never")?)
    };
    let record = match words.end() {
        Ok(()) => None,
        Err(_) => Some(Box::new(Record {
            id: words.text()?.into(),
            principal: words.text_or_none()?.map(Arc::from),
            attributes: attributes(words)?,
        })),
    };
    Ok(Answer::Alive { ttl_ms, record })
}

fn attributes(words: &mut Words<'_>) -> Result<Vec<(Box<str>, Bytes)>, BadLine> {
    list(words, "attributes=", "attributes= and their number", |words| {
        Ok((words.text()?.into_boxed_str(), Bytes::from(words.bytes()?)))
    })
}

fn response(words: &mut Words<'_>) -> Result<Response, BadLine> {
    const STATUS: &str = "a status from 200 to 599";
    let status = words.map(STATUS, |word| word.parse().ok().filter(|status| (200..600).contains(status)))?;
    let mut http = http::Response::new(status);
    if choice(words, &["stays", "closes"], "stays or closes")? == 1 {
        http.close();
    }
    list(words, "headers=", HEADERS, |words| {
        let before = words.clone();
        let (name, value) = (words.text()?, words.bytes()?);
        http.header(&name, value).map(|_| ()).or_else(|_| before.bad("a header that can be sent"))
    })?;
    let http = http.with_body(words.bytes()?);
    let session = match choice(words, &["keep", "end", "login"], "keep, end or login")? {
        0 => Change::Keep,
        1 => Change::End,
        _ => Change::Login { principal: words.text()?.into(), attributes: attributes(words)? },
    };
    Ok(Response { http, session })
}

/// Headers of a request.
fn fields(words: &mut Words<'_>) -> Result<Vec<(String, Vec<u8>)>, BadLine> {
    list(words, "headers=", HEADERS, |words| Ok((words.text()?, words.bytes()?)))
}

fn message(words: &mut Words<'_>) -> Result<Message, BadLine> {
    Ok(Message {
        content_type: words.text_or_none()?,
        headers: list(words, "headers=", HEADERS, |words| Ok((words.text()?, words.text()?)))?,
        body: words.bytes()?,
    })
}

/// So many of them as the word behind `prefix` says. The number reserves nothing.
fn list<T>(
    words: &mut Words<'_>,
    prefix: &str,
    expected: &'static str,
    mut read: impl FnMut(&mut Words<'_>) -> Result<T, BadLine>,
) -> Result<Vec<T>, BadLine> {
    let count = words.named(prefix, expected)?;
    let mut all = Vec::new();
    for _ in 0..count {
        all.push(read(words)?);
    }
    Ok(all)
}

/// Which of these words comes next.
fn choice(words: &mut Words<'_>, among: &[&str], expected: &'static str) -> Result<usize, BadLine> {
    words.map(expected, |word| among.iter().position(|known| *known == word))
}

/// Exactly so many hex digits.
fn hex<const DIGITS: usize>(word: &str) -> Option<u128> {
    let fine = word.len() == DIGITS && word.bytes().all(|b| b.is_ascii_hexdigit());
    if fine { u128::from_str_radix(word, 16).ok() } else { None }
}

const CAUSES: [Cause; 11] = [
    Cause::Expired,
    Cause::Deleted,
    Cause::LoggedOut,
    Cause::Revoked,
    Cause::Rotated,
    Cause::StoreLost,
    Cause::Slow,
    Cause::Idle,
    Cause::Violation,
    Cause::Drain,
    Cause::Peer,
];
const HEADERS: &str = "headers= and their number";
const KIND: &str = "an input: open, ask, join, message, received, sent, closed, activity, answered, reply, notification, connected, \
                    disconnected, relayed, notice, notices, tick, respond, decide, publish, announce, answer, send, end, close, drain or begin";

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;

    #[test]
    fn a_broken_line_says_what_is_wrong_with_it() {
        for (line, message) in [
            ("", "column 1: a time such as 2026-11-22T14:44:07.747Z was expected"),
            ("# a note", "column 1: a time such as 2026-11-22T14:44:07.747Z was expected"),
            ("@1 x tick", "column 4: the monotonic time in milliseconds was expected"),
            ("@1 2 taken=x tick", "column 6: taken= and a number was expected"),
            ("@1 2 tick tock", "column 11: the end of the line was expected"),
            ("@1 2 closed 7", "column 13: the id of a socket, such as 7.1 was expected"),
            ("@1 2 open 1.1 token=1 from=nowhere plain", "column 23: from= and an address or - was expected"),
            ("@1 2 end user \"rob\" fun", "column 21: a cause was expected"),
            (
                "@1 2 respond 1.1 200 stays headers=1 \"Date\" \"x\" \"\" keep",
                "column 38: a header that can be sent was expected",
            ),
            (
                "@1 2 answered 1.1 alive ttl=5 \"id\" - attributes=99999999999",
                "column 60: a text: \"…\" in UTF-8 was expected",
            ),
        ] {
            assert_eq!(Line::parse(line).unwrap_err().to_string(), message, "{line}");
        }
        assert!(Line::parse("@1 2 dance").unwrap_err().to_string().starts_with("column 6: an input: open, ask, join,"));
    }

    #[test]
    fn every_cause_has_its_word() {
        for (i, cause) in CAUSES.iter().enumerate() {
            assert!(CAUSES[..i].iter().all(|other| other.as_str() != cause.as_str()));
        }
    }
}
