//! Spring Session on a Redis: questions to the session store become commands, replies become answers.
//!
//! [`Spring`] is a machine like the hub above it: it is told what happened ([`Spring::ask`], [`Spring::reply`],
//! [`Spring::notification`], [`Spring::connected`], [`Spring::tick`]) and says what to do ([`Spring::poll`]). It speaks to a
//! Redis that Spring applications use at the same time, in their layout and their forms, and leaves out what goes wrong
//! there: it makes no key that is not there, leaves no half a session, turns no time back, and asks before it believes.
//!
//! # Two ways to take a step
//! Each question is one atomic step on Redis. With [scripts](Script), which need Redis 5 and the right to use EVAL and
//! EVALSHA, it is one round trip. Where they cannot be used, reads are plain commands and a write is WATCH, the reads, and
//! MULTI with EXEC, on a connection of its own, one at a time; [`AlarmKind::NoScripts`] says so once. On a Cluster a step is
//! one key: there, scripts are needed to write.
//!
//! # Which layout
//! With [`Layout::Detect`] the first session that proves a layout decides for the whole namespace, for good: an expired
//! session of the indexed layout looks like a living one of the plain layout, so that is never guessed per session. Before a
//! session is made here others are looked for that tell. Where there are none the indexed layout is assumed, until a session
//! proves the plain one.
//!
//! # Notices
//! The machine subscribes to the keyspace events of its database and to a channel of its own, and has the flags that
//! they need set (`notify-keyspace-events`: E, g, x, e; none is ever removed). They count as standing once a message that it
//! published to itself has come back. The same echo is the *fence* before a session whose hash is gone is called ended:
//! Redis sends messages of one connection in order, so whatever renamed the hash has been heard of by then, and
//! [`Heard::Renamed`] has told where it went. PUBLISH rather than PING on the subscribed connection, since with RESP2 a
//! client library need not let one through there. Without notices, or on a Cluster, there is no fence:
//! [`Answer::Vanished`].

mod alarm;
mod ask;
mod clean;
mod cluster;
mod commands;
mod config;
mod created;
mod errors;
mod facts;
#[cfg(test)]
#[path = "java/fixtures.rs"]
mod fixtures;
mod java;
mod json;
mod keys;
mod link;
mod queue;
mod record;
mod script;
mod steps;
mod survey;
#[cfg(test)]
mod tests;
mod transaction;
mod values;
mod work;

pub use alarm::{Alarm, AlarmKind};
pub use config::{CSRF_TOKEN, Config, Expirations, Layout, Limits, Serializer, Times};
pub use script::Script;

use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::sync::Arc;

use self::alarm::Alarms;
use self::clean::Cleaner;
use self::keys::Keys;
use self::link::Link;
use self::queue::Queues;
use self::survey::Survey;
use self::transaction::Turns;
use self::work::{Id, Part, Work};
use super::Answer;
use crate::ids::CallId;
use crate::redis::{Command, Connection, Item, Keyevent, Reply};
use crate::slab::Slab;
use crate::time::{Instant, earlier};
use crate::wheel::Wheel;

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
    /// Notices come in from now on, or are missing. Told again after a gap that was noticed only afterwards.
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
    times: Times,
    limits: Limits,
    keys: Keys,
    /// The digests of the scripts, in the order of [`Script::ALL`].
    shas: [String; Script::ALL.len()],
    layout: Layout,
    /// Whether scripts are used, as far as is known.
    scripts: bool,
    /// The connection for commands is up.
    up: bool,
    works: Slab<Work>,
    calls: Slab<Call>,
    wheel: Wheel,
    queues: Queues,
    turns: Turns,
    link: Link,
    cleaner: Cleaner,
    survey: Survey,
    alarms: Alarms,
    outputs: VecDeque<Output>,
}

/// A command that was sent and is to be replied to.
#[derive(Debug, Clone, Copy)]
struct Call {
    connection: Connection,
    purpose: Purpose,
}

#[derive(Debug, Clone, Copy)]
enum Purpose {
    Work {
        id: Id,
        turn: u32,
        part: Part,
    },
    Link(link::Step),
    Clean(clean::Step),
    Survey,
    /// Only that it counts as under way.
    Nothing,
}

impl Spring {
    /// A machine that has no connection yet.
    pub fn new(config: Config, times: Times, limits: Limits, seed: [u8; 16], now: Instant) -> Self {
        let run = crate::random::Random::new(seed).run();
        Self {
            keys: Keys::new(&config, &run),
            shas: Script::ALL.map(Script::sha),
            layout: config.layout,
            scripts: config.scripts,
            up: false,
            works: Slab::new(),
            calls: Slab::new(),
            wheel: Wheel::new(now),
            queues: Queues::new(limits.touch_rate),
            turns: Turns::default(),
            link: Link::default(),
            cleaner: Cleaner::default(),
            survey: Survey::default(),
            alarms: Alarms::default(),
            outputs: VecDeque::new(),
            config,
            times,
            limits,
        }
    }

    /// How it is set up.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The layout of the namespace, as far as it is known.
    pub fn layout(&self) -> Layout {
        self.layout
    }

    /// Whether scripts are used; else WATCH and MULTI.
    pub fn uses_scripts(&self) -> bool {
        self.scripts
    }

    /// How often what an operator should know has happened.
    pub fn alarms(&self) -> impl Iterator<Item = (AlarmKind, u64)> {
        self.alarms.counts()
    }

    /// Questions that are not answered yet.
    pub fn pending(&self) -> usize {
        self.works.len()
    }

    /// The reply to a command. A call that nobody waits for any more is ignored.
    pub fn reply(&mut self, now: Instant, call: CallId, reply: Reply<'_>) {
        let Some(call) = self.calls.remove(call.slot(), call.generation()) else { return };
        let reply = self.within_limits(now, reply);
        self.replied(now, call, reply);
        self.pump(now);
    }

    /// What came in on a subscribed channel, as it came. Costs no allocation and no command, whosever session it is
    /// about, unless that was renamed.
    pub fn notification<'a>(
        &mut self,
        now: Instant,
        node: u32,
        channel: &[u8],
        payload: &'a [u8],
    ) -> Option<Heard<'a>> {
        let renamed = self.link.renamed.take().filter(|(of, _)| *of == node);
        if channel == self.keys.echo.as_bytes() {
            self.echoed(now, payload);
            self.pump(now);
            return None;
        }
        let event = self.keys.event(channel, payload)?;
        let shadow = event.shadow;
        match event.kind {
            // In the indexed layout the hash outlives its session, for those who want to know what was in it.
            Keyevent::Expired if !shadow && self.layout == Layout::Indexed => Some(Heard::Deleted(event.id)),
            Keyevent::Expired => Some(Heard::Expired(event.id)),
            Keyevent::Del | Keyevent::Evicted => Some(Heard::Deleted(event.id)),
            Keyevent::RenameFrom if !shadow => {
                self.link.renamed = Some((node, Arc::from(event.id)));
                // Where it went is told next; if it has left the namespace, this is all there is.
                Some(Heard::Deleted(event.id))
            }
            Keyevent::RenameTo if !shadow => {
                let (_, from) = renamed?;
                Some(Heard::Renamed { from, to: event.id })
            }
            Keyevent::RenameFrom => Some(Heard::Deleted(event.id)),
            Keyevent::RenameTo => None,
        }
    }

    /// A connection is up: nothing was sent on it yet.
    pub fn connected(&mut self, now: Instant, connection: Connection) {
        match connection {
            Connection::Commands => {
                self.queues.connected(now);
                self.up = true;
                self.scripts = self.config.scripts;
                self.probe(now);
                self.check_flags(now);
                self.prove(now);
                self.start_cleaning(now);
            }
            Connection::Notices => self.subscribe(now),
            Connection::Transactions => {}
        }
        self.pump(now);
    }

    /// A connection is gone: what was under way on it is lost.
    pub fn disconnected(&mut self, now: Instant, connection: Connection) {
        match connection {
            Connection::Commands => self.up = false,
            Connection::Notices => self.unsubscribed(now),
            Connection::Transactions => {}
        }
        for slot in 0..self.calls.capacity() {
            if self.calls.slot(slot).is_some_and(|call| call.connection == connection)
                && let Some(call) = self.calls.remove_slot(slot)
            {
                self.replied(now, call, Reply::Lost);
            }
        }
        if connection == Connection::Commands {
            self.lose_all(now);
        }
        self.pump(now);
    }

    /// Time has passed: what is due is done, so much a turn.
    pub fn tick(&mut self, now: Instant) {
        let mut budget = TIMERS_A_TURN;
        while let Some(slot) = self.wheel.pop(now, &mut budget) {
            self.work_due(now, slot);
        }
        self.link_due(now);
        self.clean_due(now);
        self.pump(now);
    }

    /// When [`tick`](Self::tick) has something to do.
    pub fn next_deadline(&self) -> Option<Instant> {
        earlier(earlier(self.link.due(), self.cleaner.due()), earlier(self.queues.due(), self.wheel.next_deadline()))
    }

    /// What comes next.
    pub fn poll(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    fn replied(&mut self, now: Instant, call: Call, reply: Reply<'_>) {
        match call.purpose {
            Purpose::Work { id, turn, part } => self.work_replied(now, id, turn, part, reply),
            Purpose::Link(step) => self.link_replied(now, step, reply),
            Purpose::Clean(step) => self.clean_replied(now, step, reply),
            Purpose::Survey => self.surveyed(now, reply),
            Purpose::Nothing => {}
        }
    }

    /// Sends a command; its reply is given to `purpose`, or not wanted.
    fn send(&mut self, connection: Connection, command: Command, purpose: Option<Purpose>) {
        let call = purpose.map(|purpose| {
            let (slot, generation) = self.calls.insert(Call { connection, purpose });
            CallId::new(slot, generation)
        });
        self.outputs.push_back(Output::Command { call, connection, command });
    }

    fn alarm(&mut self, now: Instant, kind: AlarmKind, detail: &[u8]) {
        if let Some(alarm) = self.alarms.raise(now, kind, detail) {
            self.outputs.push_back(Output::Alarm(alarm));
        }
    }

    /// A reply over BULK or ARRAY counts as none.
    fn within_limits<'r>(&mut self, now: Instant, reply: Reply<'r>) -> Reply<'r> {
        let Limits { bulk, array, .. } = self.limits;
        let over = match reply {
            Reply::Bulk(bytes) => (bytes.len() > bulk).then_some("BULK"),
            Reply::List(items) if items.len() > array => Some("ARRAY"),
            Reply::List(items) => {
                let long = |item: &Item<'_>| item.bytes().is_some_and(|bytes| bytes.len() > bulk);
                items.iter().any(long).then_some("BULK")
            }
            Reply::Nil | Reply::Int(_) | Reply::Error(_) | Reply::Lost => None,
        };
        match over {
            Some(limit) => {
                self.alarm(now, AlarmKind::Shape, limit.as_bytes());
                Reply::Lost
            }
            None => reply,
        }
    }
}

/// How many timers one turn fires.
const TIMERS_A_TURN: usize = 512;
