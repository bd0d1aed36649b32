//! Writing without scripts: WATCH, the reads, and MULTI with EXEC, on a connection of its own, one question at a time.
//!
//! The writes are those of the scripts. They are carried out only if nothing that was watched has changed meanwhile; else the
//! reads are done again. Commands of one question that is given up never mix with those of the next: what follows WATCH is
//! decided in one step, and UNWATCH is sent where it leads to nothing.

use alloc::collections::VecDeque;
use alloc::vec;
use alloc::vec::Vec;

use super::Spring;
use super::alarm::AlarmKind;
use super::commands::GRACE_MS;
use super::config::{Expirations, Layout};
use super::facts::{Facts, Kind, Read, Verdict};
use super::keys::{Digits, minute, on_key};
use super::record::Found;
use super::values::{self, Form, write_text};
use super::work::{Id, Part, Stage, Work, session, wants_record};
use crate::redis::{Command, Connection};
use crate::session::{Answer, Op};
use crate::time::Instant;

/// Who has the connection, and who waits for it.
#[derive(Debug, Default)]
pub(super) struct Turns {
    holder: Option<Id>,
    /// It has not gone on to EXEC.
    watching: bool,
    /// Somebody waits for a page.
    urgent: VecDeque<Id>,
    /// Renewals.
    waiting: VecDeque<Id>,
}

/// What a transaction does.
#[derive(Debug, Default)]
struct Plan {
    writes: Vec<Command>,
    /// How long the session lives then.
    left: Option<u64>,
    /// Which one sets `lastAccessedTime` of a hash that has to be there.
    marked: Option<usize>,
}

impl Spring {
    pub(super) fn wait_for_turn(&mut self, now: Instant, id: Id) {
        self.enter(now, id, Stage::Turn);
        // Others are being answered meanwhile: that says nothing about the store.
        self.wait_until(id, now.after(TURN_MS));
        let touches = self.works.get(id.slot, id.generation).is_some_and(|work| matches!(work.op, Op::Touch { .. }));
        let turns = &mut self.turns;
        if touches { &mut turns.waiting } else { &mut turns.urgent }.push_back(id);
        self.next_turn(now);
    }

    /// It is done with the connection, in whatever way.
    pub(super) fn release_turn(&mut self, now: Instant, id: Id) {
        if self.turns.holder == Some(id) {
            self.turns.holder = None;
            if core::mem::take(&mut self.turns.watching) {
                self.send(Connection::Transactions, Command::new(&[b"UNWATCH"]), None);
            }
            self.next_turn(now);
        }
    }

    fn next_turn(&mut self, now: Instant) {
        while self.turns.holder.is_none() {
            let turns = &mut self.turns;
            let Some(id) = turns.urgent.pop_front().or_else(|| turns.waiting.pop_front()) else { return };
            if self.works.get(id.slot, id.generation).is_some_and(|work| work.stage == Stage::Turn) {
                self.turns.holder = Some(id);
                self.watch(now, id);
            }
        }
    }

    fn watch(&mut self, now: Instant, id: Id) {
        self.enter(now, id, Stage::Watch);
        self.turns.watching = true;
        let Some(work) = self.works.get_mut(id.slot, id.generation) else { return };
        work.facts = Facts::NONE;
        work.found = Found::default();
        let op = work.op.clone();
        let name = session(&op);
        let indexed = self.layout != Layout::Plain;
        let (hash, shadow) = (self.keys.hash(name).concat(), self.keys.shadow(name).concat());
        let mut watched: Vec<&[u8]> = vec![b"WATCH", &hash];
        if indexed {
            watched.push(&shadow);
        }
        let new = match &op {
            Op::Rename { to, .. } => Some(self.keys.hash(to).concat()),
            _ => None,
        };
        watched.extend(new.as_deref());
        self.send(Connection::Transactions, Command::new(&watched), None);
        if let Op::Rename { to, .. } = &op {
            let command = on_key("TYPE", self.keys.hash(to), &[]);
            self.send_part(id, Connection::Transactions, command, Part::Free);
        }
        if indexed {
            self.send_sorted(id, Connection::Transactions);
        }
        self.send_reads(id, Connection::Transactions, name, indexed, wants_record(&op));
    }

    /// The facts are there, and whoever changes them now is noticed.
    pub(super) fn watched(&mut self, now: Instant, id: Id) {
        let Some(work) = self.works.get(id.slot, id.generation) else { return };
        let verdict = work.facts.judge(self.layout);
        let plan = match self.plan(work, now) {
            Ok(Some(plan)) => plan,
            Ok(None) => {
                return match (&work.op, verdict) {
                    (Op::End { .. }, _) => self.finish(now, id, Answer::Gone),
                    // The new id is taken.
                    (Op::Create { .. }, _) | (Op::Rename { .. }, Verdict::Alive(_)) => {
                        self.finish(now, id, Answer::Lost);
                    }
                    _ => self.conclude(now, id, verdict),
                };
            }
            Err(Unwritable) => return self.unwritable(now, id),
        };
        self.enter(now, id, Stage::Exec);
        self.turns.watching = false;
        if let Some(work) = self.works.get_mut(id.slot, id.generation) {
            work.left = plan.left;
            work.marked = plan.marked;
        }
        // The reply to EXEC does not say why a write was not taken; that to the write does.
        for command in [Command::new(&[b"MULTI"])].into_iter().chain(plan.writes) {
            self.send_part(id, Connection::Transactions, command, Part::Done);
        }
        self.send_part(id, Connection::Transactions, Command::new(&[b"EXEC"]), Part::Exec);
    }

    pub(super) fn executed(&mut self, now: Instant, id: Id) {
        let Some(work) = self.works.get_mut(id.slot, id.generation) else { return };
        match (&work.op, work.result) {
            (_, None) => {
                work.tries += 1;
                if work.tries < TRIES {
                    return self.watch(now, id);
                }
                self.alarm(now, AlarmKind::Refused, b"a session changes too fast for WATCH");
                self.finish(now, id, Answer::Lost);
            }
            (Op::End { .. }, Some(_)) => self.finish(now, id, Answer::Gone),
            // A Redis before 6.0.9 carries out what follows on a key that ran out under WATCH: half a hash was made.
            (Op::Touch { id: name, .. }, Some(1)) => {
                let command = on_key("DEL", self.keys.hash(name), &[]);
                self.send(Connection::Transactions, command, None);
                self.conclude(now, id, Verdict::Gone);
            }
            (_, Some(_)) => {
                let left = work.left;
                self.alive(now, id, left);
            }
        }
    }

    /// What is to be written; `None` if nothing is.
    fn plan(&self, work: &Work, now: Instant) -> Result<Option<Plan>, Unwritable> {
        let lives = matches!(work.facts.judge(self.layout), Verdict::Alive(_));
        let read = work.facts.whole();
        Ok(match (&work.op, read) {
            (Op::Touch { id, .. }, Some(read)) if lives => self.plan_touch(work, id, read, now),
            (Op::Create { id, principal, attributes }, _) if work.facts.kind == Kind::Nothing => {
                let new = self.new_session(work.facts.now, principal.as_deref(), attributes).ok_or(Unwritable)?;
                let ttl = self.lifetime_ms() as i64;
                let hash = self.keys.hash(id);
                let fields = new.fields();
                let pairs: Vec<&[u8]> = fields.iter().flat_map(|(name, value)| [&name[..], &value[..]]).collect();
                let mut writes = vec![on_key("HMSET", hash, &pairs), self.pexpire(hash, ttl + self.grace())];
                if self.layout != Layout::Plain {
                    let digits = Digits::from(ttl);
                    writes.push(on_key("SET", self.keys.shadow(id), &[b"", b"PX", digits.as_bytes()]));
                    self.file(&mut writes, work, new.form, id, work.facts.now.saturating_add(ttl), ttl);
                    let index = self.index_key(principal.as_deref());
                    self.index(&mut writes, "SADD", &index, new.form, id);
                    let channel = self.keys.created(id).concat();
                    writes.push(Command::new(&[b"PUBLISH", &channel, &new.announcement()]));
                }
                Some(Plan { writes, left: Some(self.lifetime_ms()), marked: None })
            }
            (Op::Rename { from, to, principal, attributes }, Some(read)) if lives && work.free => {
                let pairs = self.changed(work, read.form, principal.as_deref(), attributes).ok_or(Unwritable)?;
                Some(self.plan_rename(work, read, from, to, principal.as_deref(), &pairs))
            }
            (Op::End { id }, read) => Some(self.plan_end(work, read, id)),
            _ => None,
        })
    }

    fn plan_touch(&self, work: &Work, id: &str, read: Read, now: Instant) -> Option<Plan> {
        let facts = &work.facts;
        let age = work.age_when_sent_ms();
        let at = facts.now.saturating_sub(age);
        let (wanted, ttl) =
            ((read.max * 1_000).saturating_sub(age), (read.max * 1_000).saturating_sub(work.age_ms(now)));
        if at <= read.last || read.max > 0 && ttl <= 0 {
            return None;
        }
        let (hash, shadow) = (self.keys.hash(id), self.keys.shadow(id));
        let mut plan = Plan::default();
        if read.max < 0 {
            plan.writes.push(on_key("PERSIST", hash, &[]));
        } else {
            let left = self.raise(&mut plan.writes, hash, facts.hash_ttl, wanted + self.grace(), ttl + self.grace());
            plan.left = u64::try_from(left).ok();
        }
        plan.marked = Some(plan.writes.len());
        let last = values::write_long(read.form, at);
        plan.writes.push(on_key("HSET", hash, &[b"lastAccessedTime", &last]));
        if read.max > 0 && self.layout != Layout::Plain {
            let left = self.raise(&mut plan.writes, shadow, facts.shadow_ttl, wanted, ttl);
            plan.left = u64::try_from(left).ok();
            let (before, due) = (read.last + read.max * 1_000, at + read.max * 1_000);
            if work.sorted.is_none() && minute(before) != minute(due) {
                self.unfile(&mut plan.writes, work, read, id);
            }
            self.file(&mut plan.writes, work, read.form, id, due, read.max * 1_000);
        }
        Some(plan)
    }

    fn plan_rename(
        &self,
        work: &Work,
        read: Read,
        from: &str,
        to: &str,
        principal: Option<&str>,
        pairs: &[(Vec<u8>, Vec<u8>)],
    ) -> Plan {
        let (facts, ttl) = (&work.facts, read.max * 1_000);
        let (hash, shadow) = (self.keys.hash(to), self.keys.shadow(to));
        let mut writes = vec![on_key("RENAME", self.keys.hash(from), &[&hash.concat()])];
        let last = values::write_long(read.form, facts.now);
        let mut fields: Vec<&[u8]> = vec![b"lastAccessedTime", &last];
        fields.extend(pairs.iter().flat_map(|(name, value)| [&name[..], &value[..]]));
        writes.push(on_key("HMSET", hash, &fields));
        let mut left = -1;
        if read.max < 0 {
            writes.push(on_key("PERSIST", hash, &[]));
        } else {
            left = self.raise(&mut writes, hash, facts.hash_ttl, ttl + self.grace(), ttl + self.grace());
        }
        if self.layout != Layout::Plain {
            if facts.shadow_ttl >= -1 {
                writes.push(on_key("RENAME", self.keys.shadow(from), &[&shadow.concat()]));
            }
            self.unfile(&mut writes, work, read, from);
            if read.max > 0 {
                left = self.raise(&mut writes, shadow, facts.shadow_ttl, ttl, ttl);
                self.file(&mut writes, work, read.form, to, facts.now + ttl, ttl);
            }
            let (leaves, enters) = self.indexes(work, principal);
            self.index(&mut writes, "SREM", &leaves, read.form, from);
            self.index(&mut writes, "SADD", &enters, read.form, to);
        }
        Plan { writes, left: u64::try_from(left).ok(), marked: None }
    }

    fn plan_end(&self, work: &Work, read: Option<Read>, id: &str) -> Plan {
        let hash = self.keys.hash(id);
        let indexed = self.layout != Layout::Plain;
        let mut writes = Vec::new();
        if work.facts.kind == Kind::Hash {
            match read {
                Some(read) if indexed => {
                    if read.max != 0 {
                        let none = values::write_integer(read.form, 0);
                        writes.push(on_key("HSET", hash, &[b"maxInactiveInterval", &none]));
                        writes.push(self.pexpire(hash, GRACE_MS));
                    }
                    self.unfile(&mut writes, work, read, id);
                    let index = self.index_key(work.found.indexed.as_deref());
                    self.index(&mut writes, "SREM", &index, read.form, id);
                }
                _ => writes.push(on_key("DEL", hash, &[])),
            }
        }
        if indexed {
            writes.push(on_key("DEL", self.keys.shadow(id), &[]));
        }
        Plan { writes, left: None, marked: None }
    }

    /// Never shortens, never makes; how long it lives then. `left` is what it had when it was looked at, `wanted` what it
    /// should have had at that time, and `ttl` what that is by now.
    fn raise(&self, writes: &mut Vec<Command>, key: [&[u8]; 3], left: i64, wanted: i64, ttl: i64) -> i64 {
        if left != -1 && !(0..wanted).contains(&left) {
            return left;
        }
        let ttl = ttl.max(left);
        writes.push(self.pexpire(key, ttl));
        ttl
    }

    pub(super) fn pexpire(&self, key: [&[u8]; 3], ttl: i64) -> Command {
        on_key("PEXPIRE", key, &[Digits::from(ttl).as_bytes()])
    }

    /// Takes a session out of where it is due.
    fn unfile(&self, writes: &mut Vec<Command>, work: &Work, read: Read, id: &str) {
        if let Some(form) = self.sorted_form(work, read.form) {
            writes.push(Command::new(&[b"ZREM", self.keys.sorted.as_bytes(), &write_text(form, id)]));
        }
        if read.max > 0 {
            let due = Digits::from(minute(read.last.saturating_add(read.max * 1_000)));
            writes.push(on_key("SREM", self.keys.minute(&due), &[&self.due_member(read.form, id)]));
        }
    }

    /// Notes when a session is due.
    fn file(&self, writes: &mut Vec<Command>, work: &Work, form: Form, id: &str, due: i64, ttl: i64) {
        if let Some(member) = self.sorted_form(work, form) {
            let score = Digits::from(due);
            let sorted = self.keys.sorted.as_bytes();
            writes.push(Command::new(&[b"ZADD", sorted, score.as_bytes(), &write_text(member, id)]));
            return;
        }
        let digits = Digits::from(minute(due));
        let set = self.keys.minute(&digits);
        writes.push(on_key("SADD", set, &[&self.due_member(form, id)]));
        writes.push(self.pexpire(set, ttl + GRACE_MS));
    }

    fn index(&self, writes: &mut Vec<Command>, name: &str, key: &[u8], form: Form, id: &str) {
        if !key.is_empty() {
            writes.push(on_key(name, [key, b"", b""], &[&write_text(form, id)]));
        }
    }

    pub(super) fn due_member(&self, form: Form, id: &str) -> Vec<u8> {
        write_text(form, &alloc::format!("expires:{id}"))
    }

    /// How members of the sorted set are to be written; `None` if the sets are to be used.
    pub(super) fn sorted_form(&self, work: &Work, form: Form) -> Option<Form> {
        match self.config.expirations {
            Expirations::MinuteSets => None,
            Expirations::Detect => work.sorted,
            Expirations::SortedSet => Some(work.sorted.unwrap_or(form)),
        }
    }

    /// How much longer than its session a hash is kept.
    fn grace(&self) -> i64 {
        if self.layout == Layout::Plain { 0 } else { GRACE_MS }
    }
}

/// An attribute is no text.
struct Unwritable;

/// How often a transaction is tried.
const TRIES: u8 = 5;
/// How long one waits for its turn, in milliseconds. Only what is on its way is held to REPLY.
const TURN_MS: u64 = 30_000;
