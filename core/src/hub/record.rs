//! Recording what a hub is told, and playing it again: the same inputs give the same actions and the same bytes.
//!
//! [`Hub::record`] has every input appended to a text, one line each, which [`Hub::take_record`] gives out. [`Line`] reads
//! such a line, [`Hub::from_record`] makes the hub that the first line tells of, and [`Hub::replay`] does with it what was
//! done then. An [`Explainer`] tells what befell one socket meanwhile, and why it was closed.
//!
//! **A recording is as secret as the sessions in it.** It holds every byte that came in, cookies and bodies among them,
//! and the seed that session ids are made from: who reads it can take over each session that is still alive, and can
//! compute those to come. Keep it where only its owner can read it, and delete it when it has served.
//!
//! # The format
//! Lines of printable ASCII, one for each call, in order:
//!
//! ```text
//! 2026-11-22T14:03:07.747Z 0 begin 1 seed=00112233445566778899aabbccddeeff config=0123456789abcdef
//! 2026-11-22T14:03:08.100Z 353 open 0.1 token=7 from=203.0.113.7 plain
//! 2026-11-22T14:03:08.102Z 355 received 0.1 "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
//! 2026-11-22T14:03:08.102Z 355 taken=2 respond 0.1 204 stays headers=0 "" keep
//! 2026-11-22T14:03:08.102Z 355 taken=1 sent 0.1 76
//! ```
//!
//! (`took` instead of `sent`: of several sockets told of in one turn, one that is not the last.)
//! Both clocks; how many actions were taken since the line before, if any were; then the input. An id is its
//! slot and its generation. Texts are in quotes, with `\"`, `\\`, `\r`, `\n`, `\t`, `\0` and `\xHH`; bytes too, or, where
//! that would double them, behind `=` in Base64 without padding. `config` is a digest of the [`Config`], which is not in it.

mod end;
mod explain;
mod line;
mod overview;
mod redis;
mod show;
mod text;
mod view;
mod write;

use alloc::string::String;
use alloc::vec::Vec;

use sha1::{Digest, Sha1};

use self::line::Input;
use self::write::Id;
use super::{Action, Ask, Event, Hub, Join, Message, Notice, Open, Payload, Response, To, Verdict, Who};
use crate::config::{Config, ConfigError};
use crate::ids::SocketId;

pub use self::explain::Explainer;
pub use self::line::Line;
pub use self::overview::Overview;
pub use self::text::BadLine;
pub(super) use self::write::Recorder;

/// What a hub does while a recording is played.
#[derive(Debug)]
#[non_exhaustive]
pub enum Played {
    /// It had this action taken.
    Action(Action),
    /// It had these bytes of its output written.
    Written {
        /// To this socket.
        socket: SocketId,
        /// The bytes.
        bytes: Vec<u8>,
    },
}

/// Recording began too late: what came before is not in it, so it could not be played again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a recording must begin before the first input of the hub")]
pub struct TooLate;

/// Why a recording cannot be played.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReplayError {
    /// The first line is another.
    #[error("a recording begins with its \"begin\" line, and has no other one")]
    Begin,
    /// Another format.
    #[error("the recording has another format: version {0}, and this is version {VERSION}")]
    Version(u64),
    /// Another configuration.
    #[error(
        "the hub that was recorded had another configuration, or another version of this library made the recording"
    )]
    Config,
    /// The configuration cannot be used.
    #[error(transparent)]
    BadConfig(#[from] ConfigError),
    /// The hub does something else than the one that was recorded: an input is missing, or was changed.
    #[error("the recording and this hub went apart: what it did then does not happen now")]
    Apart,
}

impl Hub {
    /// Begins to record all inputs, or ends it. See the [module](self) for what is in a recording: it is secret.
    ///
    /// Costs one branch per call while it is off. While it is on, take what was recorded after each turn: it is kept
    /// until then, without a limit.
    ///
    /// # Errors
    /// [`TooLate`], if anything has come in already.
    pub fn record(&mut self, on: bool) -> Result<(), TooLate> {
        if !on {
            self.recorder = None;
            return Ok(());
        }
        if !self.fresh {
            return Err(TooLate);
        }
        let recorder = self.recorder.get_or_insert_default();
        let _ = recorder.take();
        recorder.begin(self.now, self.seed, digest(&self.config));
        Ok(())
    }

    /// What was recorded since this was last called: whole lines. Empty if recording is off.
    pub fn take_record(&mut self) -> String {
        self.recorder.as_mut().map(|recorder| recorder.take()).unwrap_or_default()
    }

    /// The hub that a recording begins with, as it was made; `line` is the first one.
    ///
    /// # Errors
    /// [`ReplayError`], if the line is no such line, or `config` is not the one that was used then.
    pub fn from_record(config: Config, line: &Line) -> Result<Self, ReplayError> {
        let Input::Begin { version, seed, config: recorded } = line.input else { return Err(ReplayError::Begin) };
        if version != VERSION {
            return Err(ReplayError::Version(version));
        }
        if digest(&config) != recorded {
            return Err(ReplayError::Config);
        }
        Ok(Self::new(config, seed, line.now)?)
    }

    /// Does what was done then: takes as many actions, and hands in the input. What is to be seen of that goes to `see`.
    ///
    /// # Errors
    /// [`ReplayError::Begin`] for another first line; [`ReplayError::Apart`] if it is noticed that the two differ.
    pub fn replay(&mut self, line: &Line, mut see: impl FnMut(&Self, Played)) -> Result<(), ReplayError> {
        for _ in 0..line.taken {
            if let Some(action) = self.take_next().ok_or(ReplayError::Apart)? {
                see(self, Played::Action(action));
            }
        }
        if let Input::Sent { socket, len, .. } = line.input {
            let bytes = self.output(socket).flatten().copied().take(len).collect();
            see(self, Played::Written { socket, bytes });
        }
        self.input(line)
    }

    fn input(&mut self, line: &Line) -> Result<(), ReplayError> {
        let now = line.now;
        match &line.input {
            Input::Begin { .. } => return Err(ReplayError::Begin),
            Input::Open { open, socket } => {
                if self.open(now, *open).ok() != *socket {
                    return Err(ReplayError::Apart);
                }
            }
            Input::Ask { ask, socket } => {
                if ask.lend(|ask| self.ask(now, ask)).ok() != *socket {
                    return Err(ReplayError::Apart);
                }
            }
            Input::Join { join, joined } => {
                if join.lend(|join| self.join(now, join)).ok() != *joined {
                    return Err(ReplayError::Apart);
                }
            }
            Input::Message { client, kind, bytes } => {
                self.handle(now, Event::Message { client: *client, kind: *kind, bytes });
            }
            Input::Received { socket, bytes } => {
                self.handle(now, Event::Received { socket: *socket, bytes: &mut bytes.clone() });
            }
            Input::Sent { socket, len, more: true } => {
                self.recording(|record| record.sent(now, *socket, *len, true));
                self.note_sent(now, *socket, *len);
            }
            Input::Sent { socket, len, more: false } => self.handle(now, Event::Sent { socket: *socket, len: *len }),
            Input::Closed { socket } => self.handle(now, Event::Closed { socket: *socket }),
            Input::Activity { client } => self.handle(now, Event::Activity { client: *client }),
            Input::Answered { call, answer } => {
                self.handle(now, Event::Answer { call: *call, answer: answer.clone() });
            }
            Input::Notice { session, notice } => {
                let notice = match notice {
                    line::Notice::Expired => Notice::Expired,
                    line::Notice::Deleted => Notice::Deleted,
                    line::Notice::Renamed { to } => Notice::Renamed { to },
                };
                self.handle(now, Event::Notice { session, notice });
            }
            Input::Reply { call, reply } => {
                reply.lend(|reply| self.handle(now, Event::Reply { call: *call, reply }));
            }
            Input::Notification { node, channel, payload } => {
                self.handle(now, Event::Notification { node: *node, channel, payload });
            }
            Input::Connected { connection } => self.handle(now, Event::Connected { connection: *connection }),
            Input::Disconnected { connection } => self.handle(now, Event::Disconnected { connection: *connection }),
            Input::Relayed { publication } => self.handle(now, Event::Relayed { publication }),
            Input::NoticesOn => self.handle(now, Event::NoticesOn),
            Input::NoticesLost => self.handle(now, Event::NoticesLost),
            Input::Tick => self.handle(now, Event::Tick),
            Input::Respond { socket, response } => {
                let Response { http, session } = &**response;
                self.respond(now, *socket, Response { http: http.clone(), session: session.clone() });
            }
            Input::Decide { client, verdict } => {
                let verdict = match verdict {
                    line::Verdict::Enter => Verdict::Enter,
                    line::Verdict::As(name) => Verdict::As(name),
                    line::Verdict::Refuse => Verdict::Refuse,
                };
                self.decide(now, *client, verdict);
            }
            Input::Publish { to, message } => {
                let to = match to {
                    line::To::Destination(destination) => To::Destination(destination),
                    line::To::User { principal, destination } => To::User { principal, destination },
                };
                message.lend(|message| self.publish(now, to, message));
            }
            Input::Announce { body } => self.announce(now, body),
            Input::Answer { client, destination, subscription, message } => {
                message.lend(|message| self.answer(now, *client, destination, subscription, message));
            }
            Input::Send { client, payload } => {
                let payload = match payload {
                    line::Payload::Text(text) => Payload::Text(text),
                    line::Payload::Binary(bytes) => Payload::Binary(bytes),
                };
                self.send(now, *client, payload);
            }
            Input::End { who, cause } => {
                let who = match who {
                    line::Who::Client(client) => Who::Client(*client),
                    line::Who::Session(session) => Who::Session(session),
                    line::Who::User(principal) => Who::User(principal),
                    line::Who::UserExcept { principal, session } => Who::UserExcept { principal, session },
                };
                self.end(now, who, *cause);
            }
            Input::Close { client, code, reason } => {
                self.close_client(now, *client, *code, reason);
            }
            Input::Drain => self.drain(now),
        }
        Ok(())
    }

    /// Lets `write` record a call, if recording is on.
    #[inline]
    pub(super) fn recording(&mut self, write: impl FnOnce(&mut Recorder)) {
        if let Some(recorder) = &mut self.recorder {
            write(recorder);
        }
    }
}

impl line::Asked {
    fn lend<T>(&self, ask: impl FnOnce(&Ask<'_>) -> T) -> T {
        let headers: Vec<(&str, &[u8])> = self.headers.iter().map(|(name, value)| (&**name, &**value)).collect();
        let Open { token, address, secure } = self.open;
        let (method, target, body) = (&*self.method, &*self.target, &*self.body);
        ask(&Ask { token, address, secure, method, target, headers: &headers, body })
    }
}

impl line::Joining {
    fn lend<T>(&self, join: impl FnOnce(&Join<'_>) -> T) -> T {
        let headers: Vec<(&str, &[u8])> = self.headers.iter().map(|(name, value)| (&**name, &**value)).collect();
        let Open { token, address, secure } = self.open;
        let (target, session) = (&*self.target, self.session.as_deref());
        join(&Join { token, address, secure, target, headers: &headers, session })
    }
}

impl line::Message {
    fn lend<T>(&self, send: impl FnOnce(&Message<'_>) -> T) -> T {
        let headers: Vec<(&str, &str)> = self.headers.iter().map(|(name, value)| (&**name, &**value)).collect();
        send(&Message { content_type: self.content_type.as_deref(), headers: &headers, body: &self.body })
    }
}

/// The id in the notation of a recording, such as `7.1`.
pub fn show_id(socket: SocketId) -> impl core::fmt::Display {
    Id::from(socket)
}

/// Reads the id of a socket in the notation of a recording, such as `7.1`, or as [`SocketId::to_raw`] gives it.
pub fn parse_id(text: &str) -> Option<SocketId> {
    text::id(text).or_else(|| text.parse().ok()).map(SocketId::from_raw)
}

/// Tells one configuration from another.
fn digest(config: &Config) -> u64 {
    let digest = Sha1::digest(alloc::format!("{config:?}").as_bytes());
    digest.iter().take(8).fold(0, |all, byte| all << 8 | u64::from(*byte))
}

/// The version of the format.
const VERSION: u64 = 1;
