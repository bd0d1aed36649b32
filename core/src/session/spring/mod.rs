//! Spring Session on a Redis: questions to the session store become commands, replies become answers.

mod alarm;
mod config;
mod created;
mod facts;
#[cfg(test)]
#[path = "java/fixtures.rs"]
mod fixtures;
mod java;
mod json;
mod keys;
mod record;
mod script;
mod values;

pub use alarm::{Alarm, AlarmKind};
pub use config::{CSRF_TOKEN, Config, Expirations, Layout, Limits, Serializer, Times};
pub use script::Script;

use alloc::collections::VecDeque;
use alloc::sync::Arc;

use super::{Answer, Op};
use crate::ids::CallId;
use crate::redis::{Command, Connection, Reply};
use crate::time::Instant;

/// What comes out of [`Spring`].
#[derive(Debug)]
#[non_exhaustive]
pub enum Output {
    /// A command is to be sent.
    Command {
        /// To be given back with its reply; `None` if that is not wanted.
        call: Option<CallId>,
        /// Where.
        connection: Connection,
        /// The command.
        command: Command,
    },
    /// A question is answered.
    Answer {
        /// What was given with it.
        token: u64,
        /// The answer.
        answer: Answer,
    },
    /// Notices come in from now on, or are missing.
    Notices(bool),
    /// Something an operator should know.
    Alarm(Alarm),
}

/// What a notification says of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard<'a> {
    /// Its time ran out.
    Expired(&'a str),
    /// One of its keys was deleted or thrown out.
    Deleted(&'a str),
    /// It goes by another id now.
    Renamed {
        /// The id so far.
        from: Arc<str>,
        /// The new one.
        to: &'a str,
    },
}

/// The machine between the questions of a hub and a Redis.
#[derive(Debug)]
pub struct Spring {
    config: Config,
    outputs: VecDeque<Output>,
}

impl Spring {
    /// A machine that has no connection yet.
    pub fn new(config: Config, _times: Times, _limits: Limits, _seed: [u8; 16], _now: Instant) -> Self {
        Self { config, outputs: VecDeque::new() }
    }

    /// How it is set up.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Asks; answered by [`Output::Answer`] with this token, unless there is none.
    pub fn ask(&mut self, _now: Instant, token: Option<u64>, _op: &Op) {
        if let Some(token) = token {
            self.outputs.push_back(Output::Answer { token, answer: Answer::Lost });
        }
    }

    /// The reply to a command. A call that is not waited for any more is ignored.
    pub fn reply(&mut self, _now: Instant, _call: CallId, _reply: Reply<'_>) {}

    /// What came in on a subscribed channel, as it came.
    pub fn notification<'a>(
        &mut self,
        _now: Instant,
        _node: u32,
        _channel: &[u8],
        _payload: &'a [u8],
    ) -> Option<Heard<'a>> {
        None
    }

    /// A connection is up: nothing was sent on it yet.
    pub fn connected(&mut self, _now: Instant, _connection: Connection) {}

    /// A connection is gone: what was under way on it is lost.
    pub fn disconnected(&mut self, _now: Instant, _connection: Connection) {}

    /// Time has passed.
    pub fn tick(&mut self, _now: Instant) {}

    /// When [`tick`](Self::tick) has something to do.
    pub fn next_deadline(&self) -> Option<Instant> {
        None
    }

    /// What comes next.
    pub fn poll(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }
}
