//! From a call to its line.

use alloc::boxed::Box;
use alloc::string::String;
use core::fmt;

use bytes::Bytes;

use super::redis::push_reply;
use super::text::{push_bytes, push_option, push_stamp, push_text, push_word};
use crate::hub::{Ask, Change, Event, Join, Joined, Kind, Message, Notice, Open, Payload, Response, To, Verdict, Who};
use crate::ids::{CallId, ClientId, SocketId};
use crate::session::{Answer, Cause};
use crate::time::Now;

/// What was recorded and not taken yet.
#[derive(Debug, Default)]
pub(crate) struct Recorder {
    text: String,
    /// What was taken since the last line.
    taken: u64,
}

impl Recorder {
    pub(super) fn take(&mut self) -> String {
        core::mem::take(&mut self.text)
    }

    pub(super) fn begin(&mut self, now: Now, seed: [u8; 16], config: u64) {
        self.line(now, "begin", |line| {
            push_word(line, super::VERSION);
            push_word(line, format_args!("seed={:032x}", u128::from_be_bytes(seed)));
            push_word(line, format_args!("config={config:016x}"));
        });
    }

    pub(crate) fn taken(&mut self) {
        self.taken += 1;
    }

    /// `socket` is what became of it; `None` if it was refused.
    pub(crate) fn open(&mut self, now: Now, open: &Open, socket: Option<SocketId>) {
        self.line(now, "open", |line| push_open(line, open, socket));
    }

    /// `socket` is what became of it; `None` if it was refused.
    pub(crate) fn ask(&mut self, now: Now, ask: &Ask<'_>, socket: Option<SocketId>) {
        self.line(now, "ask", |line| {
            push_open(line, &Open { token: ask.token, address: ask.address, secure: ask.secure }, socket);
            push_text(line, ask.method);
            push_text(line, ask.target);
            push_fields(line, ask.headers);
            push_bytes(line, ask.body);
        });
    }

    /// `joined` is what became of it; `None` if it was refused.
    pub(crate) fn join(&mut self, now: Now, join: &Join<'_>, joined: Option<Joined>) {
        self.line(now, "join", |line| {
            let open = Open { token: join.token, address: join.address, secure: join.secure };
            // What became of it comes first, as with the others; a client only where there is one.
            match joined {
                Some(joined) => {
                    push_word(line, Id::from(joined.socket));
                    push_word(line, Id::from(joined.client));
                }
                None => push_word(line, "full"),
            }
            push_origin(line, &open);
            push_text(line, join.target);
            push_option(line, join.session);
            push_fields(line, join.headers);
        });
    }

    /// `more`: another one is told of in the same turn.
    pub(crate) fn sent(&mut self, now: Now, socket: SocketId, len: usize, more: bool) {
        self.line(now, if more { "took" } else { "sent" }, |line| {
            push_word(line, Id::from(socket));
            push_word(line, len);
        });
    }

    pub(crate) fn event(&mut self, now: Now, event: &Event<'_>) {
        match event {
            Event::Received { socket, bytes } => self.line(now, "received", |line| {
                push_word(line, Id::from(*socket));
                push_bytes(line, bytes);
            }),
            // By itself: one turn may tell of several.
            Event::Sent { .. } => {}
            Event::Closed { socket } => self.line(now, "closed", |line| push_word(line, Id::from(*socket))),
            Event::Message { client, kind, bytes } => self.line(now, "message", |line| {
                push_word(line, Id::from(*client));
                push_word(line, if *kind == Kind::Text { "text" } else { "binary" });
                push_bytes(line, bytes);
            }),
            Event::Activity { client } => self.line(now, "activity", |line| push_word(line, Id::from(*client))),
            Event::Answer { call, answer } => self.line(now, "answered", |line| {
                push_word(line, Id::from(*call));
                push_answer(line, answer);
            }),
            Event::Reply { call, reply } => self.line(now, "reply", |line| {
                push_word(line, Id::from(*call));
                push_reply(line, *reply);
            }),
            Event::Notification { node, channel, payload } => self.line(now, "notification", |line| {
                push_word(line, node);
                push_bytes(line, channel);
                push_bytes(line, payload);
            }),
            Event::Connected { connection } => {
                self.line(now, "connected", |line| push_word(line, connection.as_str()));
            }
            Event::Disconnected { connection } => {
                self.line(now, "disconnected", |line| push_word(line, connection.as_str()));
            }
            Event::Relayed { publication } => self.line(now, "relayed", |line| push_bytes(line, publication)),
            Event::Notice { session, notice } => self.line(now, "notice", |line| {
                push_text(line, session);
                match notice {
                    Notice::Expired => push_word(line, "expired"),
                    Notice::Deleted => push_word(line, "deleted"),
                    Notice::Renamed { to } => {
                        push_word(line, "renamed");
                        push_text(line, to);
                    }
                }
            }),
            Event::NoticesOn => self.line(now, "notices", |line| push_word(line, "on")),
            Event::NoticesLost => self.line(now, "notices", |line| push_word(line, "lost")),
            Event::Tick => self.line(now, "tick", |_| {}),
        }
    }

    pub(crate) fn respond(&mut self, now: Now, socket: SocketId, response: &Response) {
        self.line(now, "respond", |line| {
            push_word(line, Id::from(socket));
            let http = &response.http;
            push_word(line, http.status());
            push_word(line, if http.closes() { "closes" } else { "stays" });
            push_word(line, format_args!("headers={}", http.headers().count()));
            for (name, value) in http.headers() {
                push_text(line, name);
                push_bytes(line, value);
            }
            push_bytes(line, http.body());
            match &response.session {
                Change::Keep => push_word(line, "keep"),
                Change::End => push_word(line, "end"),
                Change::Login { principal, attributes } => {
                    push_word(line, "login");
                    push_text(line, principal);
                    push_attributes(line, attributes);
                }
            }
        });
    }

    pub(crate) fn decide(&mut self, now: Now, client: ClientId, verdict: Verdict<'_>) {
        self.line(now, "decide", |line| {
            push_word(line, Id::from(client));
            match verdict {
                Verdict::Enter => push_word(line, "enter"),
                Verdict::As(name) => {
                    push_word(line, "as");
                    push_text(line, name);
                }
                Verdict::Refuse => push_word(line, "refuse"),
            }
        });
    }

    pub(crate) fn publish(&mut self, now: Now, to: To<'_>, message: &Message<'_>) {
        self.line(now, "publish", |line| {
            match to {
                To::Destination(destination) => {
                    push_word(line, "to");
                    push_text(line, destination);
                }
                To::User { principal, destination } => {
                    push_word(line, "user");
                    push_text(line, principal);
                    push_text(line, destination);
                }
            }
            push_message(line, message);
        });
    }

    pub(crate) fn announce(&mut self, now: Now, body: &[u8]) {
        self.line(now, "announce", |line| push_bytes(line, body));
    }

    pub(crate) fn answer(
        &mut self,
        now: Now,
        client: ClientId,
        destination: &str,
        subscription: &str,
        message: &Message<'_>,
    ) {
        self.line(now, "answer", |line| {
            push_word(line, Id::from(client));
            push_text(line, destination);
            push_text(line, subscription);
            push_message(line, message);
        });
    }

    pub(crate) fn send(&mut self, now: Now, client: ClientId, payload: Payload<'_>) {
        self.line(now, "send", |line| {
            push_word(line, Id::from(client));
            match payload {
                Payload::Text(text) => {
                    push_word(line, "text");
                    push_text(line, text);
                }
                Payload::Binary(bytes) => {
                    push_word(line, "binary");
                    push_bytes(line, bytes);
                }
            }
        });
    }

    pub(crate) fn end(&mut self, now: Now, who: Who<'_>, cause: Cause) {
        self.line(now, "end", |line| {
            match who {
                Who::Client(client) => {
                    push_word(line, "client");
                    push_word(line, Id::from(client));
                }
                Who::Session(session) => {
                    push_word(line, "session");
                    push_text(line, session);
                }
                Who::User(principal) => {
                    push_word(line, "user");
                    push_text(line, principal);
                }
                Who::UserExcept { principal, session } => {
                    push_word(line, "user-except");
                    push_text(line, principal);
                    push_text(line, session);
                }
            }
            push_word(line, cause.as_str());
        });
    }

    pub(crate) fn close(&mut self, now: Now, client: ClientId, code: u16, reason: &str) {
        self.line(now, "close", |line| {
            push_word(line, Id::from(client));
            push_word(line, code);
            push_text(line, reason);
        });
    }

    pub(crate) fn drain(&mut self, now: Now) {
        self.line(now, "drain", |_| {});
    }

    fn line(&mut self, now: Now, kind: &str, write: impl FnOnce(&mut String)) {
        let Self { text, taken } = self;
        push_stamp(text, now.wall);
        push_word(text, now.mono.as_millis());
        if *taken > 0 {
            push_word(text, format_args!("taken={taken}"));
            *taken = 0;
        }
        push_word(text, kind);
        write(text);
        text.push('\n');
    }
}

fn push_open(line: &mut String, open: &Open, socket: Option<SocketId>) {
    match socket {
        Some(socket) => push_word(line, Id::from(socket)),
        None => push_word(line, "full"),
    }
    push_origin(line, open);
}

/// Whose it is, and where it came from.
fn push_origin(line: &mut String, open: &Open) {
    push_word(line, format_args!("token={}", open.token));
    match open.address {
        Some(address) => push_word(line, format_args!("from={address}")),
        None => push_word(line, "from=-"),
    }
    push_word(line, if open.secure { "tls" } else { "plain" });
}

fn push_fields(line: &mut String, fields: &[(&str, &[u8])]) {
    push_word(line, format_args!("headers={}", fields.len()));
    for (name, value) in fields {
        push_text(line, name);
        push_bytes(line, value);
    }
}

fn push_answer(line: &mut String, answer: &Answer) {
    match answer {
        Answer::Lost => push_word(line, "lost"),
        Answer::Gone => push_word(line, "gone"),
        Answer::Vanished => push_word(line, "vanished"),
        Answer::Alive { ttl_ms, record } => {
            push_word(line, "alive");
            match ttl_ms {
                Some(ms) => push_word(line, format_args!("ttl={ms}")),
                None => push_word(line, "ttl=never"),
            }
            if let Some(record) = record {
                push_text(line, &record.id);
                push_option(line, record.principal.as_deref());
                push_attributes(line, &record.attributes);
            }
        }
    }
}

fn push_attributes(line: &mut String, attributes: &[(Box<str>, Bytes)]) {
    push_word(line, format_args!("attributes={}", attributes.len()));
    for (name, value) in attributes {
        push_text(line, name);
        push_bytes(line, value);
    }
}

fn push_message(line: &mut String, message: &Message<'_>) {
    push_option(line, message.content_type);
    push_word(line, format_args!("headers={}", message.headers.len()));
    for (name, value) in message.headers {
        push_text(line, name);
        push_text(line, value);
    }
    push_bytes(line, message.body);
}

/// An id as a recording names it: slot and generation, such as `7.1`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Id(u64);

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.0 as u32, self.0 >> 32)
    }
}

impl From<SocketId> for Id {
    fn from(id: SocketId) -> Self {
        Self(id.to_raw())
    }
}

impl From<ClientId> for Id {
    fn from(id: ClientId) -> Self {
        Self(id.to_raw())
    }
}

impl From<CallId> for Id {
    fn from(id: CallId) -> Self {
        Self(id.to_raw())
    }
}
