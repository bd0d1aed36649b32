//! The wires between hubs and Redis: on each connection things arrive in the order in which they were sent, late or never.

use tethered_core::hub::Event;
use tethered_core::ids::CallId;
use tethered_core::redis::{Command, Connection, Keyevent, Reply, keyevent_channel};

use super::{Happening, World};
use crate::judge::{Shape, Word, announces};
use crate::redis::{Channel, Message, Transaction, Value, call, is_touch};
use crate::values;

/// One connection.
#[derive(Debug, Default)]
pub(super) struct Line {
    pub(super) up: bool,
    /// It is dead, and nobody has noticed.
    pub(super) silent: bool,
    pub(super) generation: u32,
    /// When the last thing arrives that is under way, in each direction, by node.
    to: [u64; NODES],
    back: [u64; NODES],
    pub(super) subscribed: bool,
    echo: Vec<u8>,
    transaction: Transaction,
    /// Whose keys are watched, and whether the transaction is a touch.
    about: Option<usize>,
    touching: bool,
    /// How far the clock of Redis had jumped by WATCH.
    offset: i64,
    /// The same, as far as was sent.
    sent_about: Option<usize>,
    sent_touch: bool,
    /// What comes back is slow until then.
    pub(super) slow_until: u64,
}

/// A command under way.
#[derive(Debug)]
pub(super) struct Sent {
    hub: usize,
    line: usize,
    generation: u32,
    call: Option<u64>,
    command: Command,
    sent: u64,
    /// The session is asked for whole, and a page of it was waiting.
    for_page: bool,
}

/// A reply under way.
#[derive(Debug)]
pub(super) struct Answered {
    hub: usize,
    line: usize,
    generation: u32,
    call: u64,
    /// `None`: lost.
    value: Option<Value>,
    word: Option<Word>,
    /// Whose touch it is that has to be sent again.
    again: Option<usize>,
}

/// A message under way.
#[derive(Debug)]
pub(super) struct Note {
    hub: usize,
    generation: u32,
    node: usize,
    message: Message,
}

impl World {
    /// Whether all is well between a hub and Redis.
    pub(super) fn is_well(&self, hub: usize) -> bool {
        let lines = &self.nodes[hub].lines;
        let announced = announces(&self.redis.flags);
        let up = lines.iter().all(|line| line.up && !line.silent && line.slow_until <= self.now);
        up && lines[NOTICES].subscribed
            && (announced || !self.plan.may_config)
            && !self.away
            && self.now >= self.paused_until
            && self.now >= self.nodes[hub].asleep_until
    }

    /// Whether commands are answered, at least.
    pub(super) fn answers(&self, hub: usize) -> bool {
        let lines = &self.nodes[hub].lines;
        let up = [COMMANDS, TRANSACTIONS].iter().all(|&line| lines[line].up && !lines[line].silent);
        up && !self.away && self.now >= self.paused_until && self.now >= self.nodes[hub].asleep_until
    }

    pub(super) fn hub_of_reply(&self, place: usize) -> usize {
        self.answered.get(place).hub
    }

    pub(super) fn hub_of_note(&self, place: usize) -> usize {
        self.notes.get(place).hub
    }

    pub(super) fn send(&mut self, hub: usize, call: Option<u64>, connection: Connection, command: Command) {
        let line = index(connection);
        let for_page = self.count(hub, line, &command);
        if line == COMMANDS && std::mem::take(&mut self.nodes[hub].drowsy) {
            self.sleep(hub);
        }
        let (now, latency) = (self.now, self.rng.range(0, self.plan.latency_ms));
        let it = &mut self.nodes[hub].lines[line];
        let generation = it.generation;
        if !it.up {
            if let Some(call) = call {
                let answered = Answered { hub, line, generation, call, value: None, word: None, again: None };
                let answered = self.answered.put(answered);
                self.at(now, Happening::Reply(answered));
            }
            return;
        }
        let node = if self.plan.cluster { command.args().nth(key_at(&command)).map_or(0, node_of) } else { 0 };
        let at = it.to[node].max(now + latency);
        it.to[node] = at;
        let sent = self.sent.put(Sent { hub, line, generation, call, command, sent: now, for_page });
        self.at(at, Happening::Execute(sent));
    }

    /// Counts touches and loads as they are sent. Whether it may be a load for a page.
    fn count(&mut self, hub: usize, line: usize, command: &Command) -> bool {
        let args: Vec<&[u8]> = command.args().take(8).collect();
        let about = args.get(key_at(command)).and_then(|key| values::id_in(key)).map(str::to_owned);
        let page = about.as_ref().is_some_and(|id| self.pages.iter().any(|page| page.asks(hub, id)));
        let about = about.map(|id| self.judge.number(&id));
        let it = &mut self.nodes[hub].lines[line];
        let loads = match args[0] {
            b"EVALSHA" | b"EVAL" => args.len() > 6 && !is_touch(&args),
            _ => true,
        };
        match (args[0], about) {
            (b"EVALSHA" | b"EVAL", Some(id)) if is_touch(&args) => self.judge.touch_sent(self.now, hub, id),
            (b"EVALSHA" | b"EVAL", Some(id)) if args.len() > 6 => self.judge.load_sent(hub, id),
            (b"HMGET", Some(id)) if args.len() > 5 => self.judge.load_sent(hub, id),
            (b"WATCH", Some(id)) => {
                it.sent_about = Some(id);
                it.sent_touch = false;
            }
            (b"HSET", Some(_)) if args.len() == 4 && args[2] == b"lastAccessedTime" => it.sent_touch = true,
            (b"EXEC", _) if it.sent_touch => {
                if let Some(id) = it.sent_about {
                    self.judge.touch_sent(self.now, hub, id);
                }
            }
            _ => {}
        }
        page && loads
    }

    /// A command reaches Redis.
    pub(super) fn execute(&mut self, place: usize) {
        if self.now < self.paused_until {
            return self.at(self.paused_until, Happening::Execute(place));
        }
        let Sent { hub, line, generation, call: id, command, sent, for_page } = self.sent.take(place);
        let it = &self.nodes[hub].lines[line];
        let current = it.generation == generation && it.up;
        // What was sent on a connection before that broke may have arrived, or not.
        if self.away || it.silent || !current && (line != COMMANDS || self.rng.chance(50)) {
            return;
        }
        let args: Vec<&[u8]> = command.args().collect();
        self.note(|| format!("Redis: hub {hub} {}", shown(&args)));
        let it = &mut self.nodes[hub].lines[line];
        if args[0] == b"SUBSCRIBE" {
            it.subscribed = true;
            args[args.len() - 1].clone_into(&mut it.echo);
        }
        let mut transaction = if current { std::mem::take(&mut it.transaction) } else { Transaction::default() };
        let about = args.get(key_at(&command)).and_then(|key| values::id_in(key));
        let mut about = about.and_then(|id| self.judge.known(id));
        match args[0] {
            b"WATCH" => {
                it.about = about;
                it.touching = false;
                it.offset = self.offset;
            }
            b"HSET" if line == TRANSACTIONS && args.len() == 4 && args[2] == b"lastAccessedTime" => it.touching = true,
            b"EXEC" => about = it.about,
            _ => {}
        }
        // Where the clock has jumped since, a time that is set anew may be shorter.
        let (touching, steady) = (it.touching, it.offset == self.offset);
        let before = about.map(|id| Shape::of(&self.redis, self.judge.names(id)));
        self.redis.lot = self.rng.next();
        let value = if args[0] == b"SUBSCRIBE" { Value::ok() } else { self.redis.run(&mut transaction, &args) };
        self.note(|| format!("       {}", shown_value(&value)));
        if current {
            self.nodes[hub].lines[line].transaction = transaction;
        }
        let touch = is_touch(&args) || args[0] == b"EXEC" && touching;
        let raise = call(&args) == Some(tethered_core::session::spring::Script::Raise);
        if let (Some(id), Some(before)) = (about, before) {
            let after = Shape::of(&self.redis, self.judge.names(id));
            let wrong = if raise || touch && (steady || args[0] != b"EXEC") { before.forbids(&after) } else { None };
            assert!(
                wrong.is_none(),
                "{} at {}: {before:?} {after:?} by {}",
                wrong.unwrap_or_default(),
                self.now,
                shown(&args)
            );
            if let Some(last) = before.moved_to(&after).filter(|_| touch && self.plan.faults.jumps == 0) {
                self.judge.touched(self.now, hub, id, self.real(last), sent);
            }
            assert!(before.is_half() || !after.is_half(), "half a hash at {} by {}", self.now, shown(&args));
        }
        self.spread();
        self.judge.look(self.now, &self.redis);
        let again = about.filter(|_| touch && matches!(value, Value::Nil | Value::Error(_)));
        let word = about.filter(|_| !matches!(value, Value::Error(_))).map(|id| Word {
            id,
            sent,
            executed: self.now,
            truth: self.judge.truth(&self.redis, id),
            for_page,
        });
        if let (Some(call), true) = (id, current) {
            let node = if self.plan.cluster { args.get(key_at(&command)).map_or(0, |key| node_of(key)) } else { 0 };
            self.answer(node, Answered { hub, line, generation, call, value: Some(value), word, again }, sent);
        }
    }

    /// Sends a reply on its way.
    fn answer(&mut self, node: usize, mut answered: Answered, sent: u64) {
        let Answered { hub, line, .. } = answered;
        let mut late = self.rng.range(0, self.plan.latency_ms);
        if self.rng.chance(self.plan.faults.slow_replies) {
            late += self.rng.range(1, 2 * self.plan.reply_ms);
        }
        let lost = self.rng.chance(self.plan.faults.lost_replies);
        let it = &mut self.nodes[hub].lines[line];
        let at = it.back[node].max(self.now + late);
        it.back[node] = at;
        if lost || at >= sent + self.plan.reply_ms / 2 {
            self.judge.trouble(hub, sent, at.max(sent + self.plan.reply_ms));
        }
        if lost {
            answered.value = None;
            answered.word = None;
            if self.rng.chance(50) {
                return;
            }
        }
        let answered = self.answered.put(answered);
        self.at(at, Happening::Reply(answered));
    }

    /// A reply reaches the hub.
    pub(super) fn reply(&mut self, place: usize) {
        let Answered { hub, line, generation, call, value, word, again } = self.answered.take(place);
        let it = &self.nodes[hub].lines[line];
        if it.generation != generation || it.silent {
            return;
        }
        if let Some(id) = again {
            self.judge.touch_again(hub, id);
        }
        if let Some(word) = word {
            self.judge.replied(self.now, hub, word);
        }
        self.note(|| format!("hub {hub}: reply to {call:x}"));
        self.with_hub(hub, |hub, now| {
            let call = CallId::from_raw(call);
            match &value {
                None => hub.handle(now, Event::Reply { call, reply: Reply::Lost }),
                Some(value) => value.lend(|reply| hub.handle(now, Event::Reply { call, reply })),
            }
        });
    }

    /// Sends what Redis has published to those who have subscribed.
    pub(super) fn spread(&mut self) {
        for (from, to) in self.redis.take_renames() {
            if let (Some(from), Some(to)) = (values::id_in(&from), values::id_in(&to))
                && let (from, to) = (self.judge.number(from), self.judge.number(to))
            {
                self.judge.moved(self.now, from, to);
            }
        }
        for message in self.redis.take_messages() {
            let node = if self.plan.cluster { node_of(&message.payload) } else { 0 };
            for hub in 0..self.nodes.len() {
                let it = &self.nodes[hub].lines[NOTICES];
                let wanted = match &message.channel {
                    Channel::Event(_) => true,
                    Channel::Named(name) => *name == it.echo,
                };
                if !it.up || it.silent || !it.subscribed || !wanted {
                    continue;
                }
                let mut late = self.rng.range(0, self.plan.latency_ms);
                if it.slow_until > self.now {
                    late += self.rng.range(0, 3_000);
                }
                let it = &mut self.nodes[hub].lines[NOTICES];
                let at = it.back[node].max(self.now + late);
                it.back[node] = at;
                it.slow_until = it.slow_until.max(if it.slow_until > self.now { at } else { 0 });
                let note = Note { hub, generation: it.generation, node, message: message.clone() };
                let note = self.notes.put(note);
                self.at(at, Happening::Notify(note));
            }
        }
    }

    /// A message reaches a hub.
    pub(super) fn notify(&mut self, place: usize) {
        let Note { hub, generation, node, message } = self.notes.take(place);
        let it = &self.nodes[hub].lines[NOTICES];
        if it.generation != generation || it.silent {
            return;
        }
        let event = match &message.channel {
            Channel::Event(event) => Some(*event),
            Channel::Named(_) => None,
        };
        let about = event.and_then(|_| values::id_in(&message.payload)).and_then(|id| self.judge.known(id));
        // A new name says nothing of what was there before.
        if let Some(id) = about.filter(|_| event != Some(Keyevent::RenameTo)) {
            self.judge.noticed(self.now, hub, id, event == Some(Keyevent::RenameFrom));
        }
        self.note(|| format!("hub {hub} hears {:?} {}", event, message.payload.escape_ascii()));
        let Message { channel, payload } = message;
        let channel = match channel {
            Channel::Event(event) => keyevent_channel(0, event).into_bytes(),
            Channel::Named(name) => name,
        };
        self.with_hub(hub, |hub, now| {
            hub.handle(now, Event::Notification { node: node as u32, channel: &channel, payload: &payload });
        });
    }

    pub(super) fn connect(&mut self, hub: usize, line: usize) {
        if self.away || self.now < self.paused_until || line == NOTICES && self.now < self.nodes[hub].deaf_until {
            let at = self.now + self.rng.range(50, 1_000);
            return self.at(at, Happening::Connect { hub, line });
        }
        let it = &mut self.nodes[hub].lines[line];
        if it.up {
            return;
        }
        it.up = true;
        self.note(|| format!("hub {hub} is connected: {}", connection(line).as_str()));
        self.with_hub(hub, |hub, now| hub.handle(now, Event::Connected { connection: connection(line) }));
    }

    /// A connection is lost, or found to be; another one is made before long.
    pub(super) fn disconnect(&mut self, hub: usize, line: usize) {
        let it = &mut self.nodes[hub].lines[line];
        if !it.up {
            return;
        }
        let (generation, slow_until) = (it.generation + 1, 0);
        *it = Line { generation, slow_until, ..Line::default() };
        it.to = [self.now; NODES];
        it.back = [self.now; NODES];
        self.judge.well(self.now, hub, false);
        self.note(|| format!("hub {hub} is disconnected: {}", connection(line).as_str()));
        self.with_hub(hub, |hub, now| hub.handle(now, Event::Disconnected { connection: connection(line) }));
        let at = self.now + self.rng.range(0, 1_500);
        self.at(at, Happening::Connect { hub, line });
    }
}

fn index(connection: Connection) -> usize {
    match connection {
        Connection::Commands => COMMANDS,
        Connection::Notices => NOTICES,
        Connection::Transactions => TRANSACTIONS,
    }
}

fn connection(line: usize) -> Connection {
    [Connection::Commands, Connection::Notices, Connection::Transactions][line]
}

/// Where the first key of a command stands.
fn key_at(command: &Command) -> usize {
    match command.args().next() {
        Some(b"EVAL" | b"EVALSHA") => 3,
        _ => 1,
    }
}

/// On which node of a Cluster a key lies.
fn node_of(key: &[u8]) -> usize {
    key.iter().fold(7_usize, |sum, byte| sum.wrapping_mul(31).wrapping_add(usize::from(*byte))) % NODES
}

fn shown(args: &[&[u8]]) -> String {
    let script = call(args).map_or(String::new(), |script| format!("({}) ", script.name()));
    let args = args.iter().map(|arg| String::from_utf8_lossy(&arg[..arg.len().min(60)]).escape_debug().to_string());
    script + &args.collect::<Vec<_>>().join(" ")
}

fn shown_value(value: &Value) -> String {
    match value {
        Value::List(values) => {
            let values: Vec<String> = values.iter().map(shown_value).collect();
            format!("[{}]", values.join(", "))
        }
        Value::Bulk(bytes) => bytes[bytes.len().saturating_sub(12)..].escape_ascii().to_string(),
        other => format!("{other:?}"),
    }
}

pub(super) const COMMANDS: usize = 0;
pub(super) const NOTICES: usize = 1;
const TRANSACTIONS: usize = 2;
/// Primaries of a Cluster.
const NODES: usize = 3;
