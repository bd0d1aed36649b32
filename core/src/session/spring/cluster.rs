//! The indexed layout on a Cluster, where a session's keys lie on several nodes: key by key, in an order that is harmless
//! wherever it is broken off.
//!
//! A touch raises the key that runs out first: if the hash is gone by then, that key runs out for nobody; the other way
//! round a session would end although its hash says that it lives. Entries of due times come last: they only have Redis look.

use alloc::borrow::ToOwned;
use alloc::vec;
use alloc::vec::Vec;

use super::commands::{GRACE_MS, VALUES};
use super::facts::{Read, Values, Verdict};
use super::keys::{Digits, minute, on_key};
use super::values::{Form, write_text};
use super::work::{Id, Part, Stage, session};
use super::{Script, Spring};
use crate::redis::{Command, Connection, Item};
use crate::session::{Answer, Op};
use crate::time::Instant;

impl Spring {
    /// First step of a touch: the key that runs out, if the touch is worth it.
    pub(super) fn raise_first(&mut self, now: Instant, id: Id, verdict: Verdict) {
        let Some(work) = self.works.get(id.slot, id.generation) else { return };
        let (Some(read), Verdict::Alive(_), true) = (work.facts.whole(), verdict, self.scripts) else {
            return self.conclude(now, id, verdict);
        };
        let ttl = (read.max * 1_000).saturating_sub(work.age_ms(now));
        if work.facts.now.saturating_sub(work.age_when_sent_ms()) <= read.last || read.max > 0 && ttl <= 0 {
            return self.conclude(now, id, verdict);
        }
        if read.max < 0 {
            return self.write(now, id);
        }
        let (shadow, digits) = (self.keys.shadow(session(&work.op)), Digits::from(ttl));
        let command = self.call(Script::Raise, work.with_text, &[shadow], &[[digits.as_bytes(), b"", b""]]);
        self.enter(now, id, Stage::Raise);
        self.send_part(id, Connection::Commands, command, Part::Number);
    }

    /// The key lives so long now; then the hash.
    pub(super) fn raised(&mut self, now: Instant, id: Id) {
        let Some(work) = self.works.get_mut(id.slot, id.generation) else { return };
        work.left = work.result.and_then(|left| u64::try_from(left).ok()).filter(|left| *left > 0);
        match work.left {
            Some(_) => self.write(now, id),
            None => self.conclude(now, id, Verdict::Absent),
        }
    }

    /// The hash was touched: the entry follows.
    pub(super) fn rest_of_touch(&mut self, now: Instant, id: Id) {
        let Some(work) = self.works.get(id.slot, id.generation) else { return };
        let (facts, op) = (work.facts, work.op.clone());
        // The interval may have changed between the two steps: what ends first is believed. One that never ends has no
        // number of its own.
        let by_hash = work.result.and_then(|left| u64::try_from(left).ok());
        let left = by_hash.map(|left| work.left.map_or(left, |raised| raised.min(left)));
        if let Some(read) = facts.whole()
            && read.max > 0
        {
            let at = facts.now.saturating_sub(work.age_when_sent_ms());
            let (before, due) = (read.last.saturating_add(read.max * 1_000), at.saturating_add(read.max * 1_000));
            let moved = minute(before) != minute(due);
            let mut commands = Vec::new();
            if moved && self.sorted_form(work, read.form).is_none() {
                self.leave_minute(&mut commands, read, session(&op));
            }
            self.enter_due(&mut commands, id, read.form, session(&op), due, read.max * 1_000);
            self.send_unwatched(commands);
        }
        self.alive(now, id, left);
    }

    /// A login: the hash is read as a whole, to be written under its new name.
    pub(super) fn copy(&mut self, now: Instant, id: Id) {
        let Some(work) = self.works.get(id.slot, id.generation) else { return };
        let command = on_key("HGETALL", self.keys.hash(session(&work.op)), &[]);
        self.enter(now, id, Stage::Copy);
        self.send_part(id, Connection::Commands, command, Part::All);
    }

    /// The hash as it was read, which may be another one by now: half of one, or one that has ended, gets no new name.
    pub(super) fn copied_whole(&mut self, now: Instant, id: Id) {
        let Some(work) = self.works.get_mut(id.slot, id.generation) else { return };
        let value = |name: &str| {
            let mut pairs = work.copy.chunks_exact(2);
            let value = pairs.find_map(|pair| (*pair[0] == *name.as_bytes()).then(|| &*pair[1]));
            value.map_or(Item::Nil, Item::Bulk)
        };
        let values = Values::from_items(&VALUES.map(value));
        work.facts.values = values;
        match work.facts.judge(self.layout) {
            Verdict::Alive(_) => self.write(now, id),
            verdict => self.conclude(now, id, verdict),
        }
    }

    /// The copy is whole, and nobody knows its name: the hash so far goes, if it still says that the session lives. That is
    /// what a logout and a login meet at.
    pub(super) fn take_old(&mut self, now: Instant, id: Id) {
        let Some(work) = self.works.get(id.slot, id.generation) else { return };
        let command = self.take_command(work);
        self.enter(now, id, Stage::Take);
        self.send_part(id, Connection::Commands, command, Part::Script);
    }

    /// It is gone now: the entries follow. If it had ended before, so has the copy.
    pub(super) fn taken(&mut self, now: Instant, id: Id) {
        let Some(work) = self.works.get(id.slot, id.generation) else { return };
        let Op::Rename { from, to, principal, .. } = work.op.clone() else { return };
        let (facts, found, left) = (work.facts, work.found.indexed.clone(), work.left);
        let mut others = Vec::new();
        let Some(read) = facts.whole().filter(|read| read.max != 0) else {
            others.push(on_key("DEL", self.keys.hash(&to), &[]));
            if self.is_split() {
                others.push(on_key("DEL", self.keys.shadow(&to), &[]));
            }
            self.send_unwatched(others);
            return self.finish(now, id, Answer::Gone);
        };
        if self.is_split() {
            others.push(on_key("DEL", self.keys.shadow(&from), &[]));
            self.leave_due(&mut others, id, read, &from);
            if read.max > 0 {
                let ttl = read.max * 1_000;
                self.enter_due(&mut others, id, read.form, &to, facts.now.saturating_add(ttl), ttl);
            }
            self.enter_index(&mut others, "SREM", found.as_deref(), read.form, &from);
            self.enter_index(&mut others, "SADD", principal.as_deref(), read.form, &to);
        }
        self.send_unwatched(others);
        self.alive(now, id, left);
    }

    /// The hash of a new session, or of one with a new name, is written: the other keys follow.
    pub(super) fn rest_of_new(&mut self, now: Instant, id: Id) {
        let Some(work) = self.works.get(id.slot, id.generation) else { return };
        let (facts, op) = (work.facts, work.op.clone());
        let mut others = Vec::new();
        let mut awaited = Vec::new();
        let left = match &op {
            Op::Create { id: name, principal, attributes } => {
                let Some(new) = self.new_session(facts.now, principal.as_deref(), attributes) else {
                    return self.unwritable(now, id);
                };
                let ttl = i64::from(new.max) * 1_000;
                awaited.push(self.shadow_command(name, ttl));
                self.enter_due(&mut others, id, new.form, name, facts.now.saturating_add(ttl), ttl);
                self.enter_index(&mut others, "SADD", principal.as_deref(), new.form, name);
                let channel = self.keys.created(name).concat();
                others.push(Command::new(&[b"PUBLISH", &channel, &new.announcement()]));
                Some(self.lifetime_ms())
            }
            Op::Rename { to, .. } => {
                let Some(read) = facts.whole() else { return self.finish(now, id, Answer::Lost) };
                let ttl = read.max * 1_000;
                if read.max < 0 {
                    awaited.push(on_key("PERSIST", self.keys.hash(to), &[]));
                }
                let (shadow_ttl, hash_ttl) = (facts.shadow_ttl.max(ttl), facts.hash_ttl.max(ttl));
                if self.is_split() && (read.max > 0 || facts.shadow_ttl > 0) {
                    awaited.push(self.shadow_command(to, shadow_ttl));
                } else if self.is_split() && facts.shadow_ttl == -1 {
                    awaited.push(on_key("SET", self.keys.shadow(to), &[b""]));
                }
                u64::try_from(if self.is_split() { shadow_ttl } else { hash_ttl }).ok().filter(|_| read.max > 0)
            }
            Op::Load { .. } | Op::Check { .. } | Op::Touch { .. } | Op::End { .. } => None,
        };
        self.finish_with(now, id, left, awaited, others);
    }

    /// The hash says that the session is over: the other keys follow.
    pub(super) fn rest_of_end(&mut self, now: Instant, id: Id) {
        let Some(work) = self.works.get(id.slot, id.generation) else { return };
        let (facts, name, found) = (work.facts, session(&work.op).to_owned(), work.found.indexed.clone());
        let mut others = Vec::new();
        if let Some(read) = facts.whole() {
            self.leave_due(&mut others, id, read, &name);
            self.enter_index(&mut others, "SREM", found.as_deref(), read.form, &name);
        }
        let awaited = vec![on_key("DEL", self.keys.shadow(&name), &[])];
        self.finish_with(now, id, None, awaited, others);
    }

    fn finish_with(&mut self, now: Instant, id: Id, left: Option<u64>, awaited: Vec<Command>, others: Vec<Command>) {
        self.enter(now, id, Stage::Rest);
        if let Some(work) = self.works.get_mut(id.slot, id.generation) {
            work.left = left;
        }
        self.send_unwatched(others);
        if awaited.is_empty() {
            return self.rest_done(now, id);
        }
        for command in awaited {
            self.send_part(id, Connection::Commands, command, Part::Done);
        }
    }

    pub(super) fn rest_done(&mut self, now: Instant, id: Id) {
        let Some(work) = self.works.get(id.slot, id.generation) else { return };
        match work.op {
            Op::End { .. } => self.finish(now, id, Answer::Gone),
            Op::Rename { .. } => self.take_old(now, id),
            _ => self.alive(now, id, work.left),
        }
    }

    /// What need not have come about for the session to be as it should.
    fn send_unwatched(&mut self, commands: Vec<Command>) {
        for command in commands {
            self.send(Connection::Commands, command, Some(super::Purpose::Nothing));
        }
    }

    fn shadow_command(&self, name: &str, ttl: i64) -> Command {
        on_key("SET", self.keys.shadow(name), &[b"", b"PX", Digits::from(ttl).as_bytes()])
    }

    fn enter_index(&self, commands: &mut Vec<Command>, verb: &str, principal: Option<&str>, form: Form, name: &str) {
        if let Some(principal) = principal {
            commands.push(on_key(verb, self.keys.index(principal), &[&write_text(form, name)]));
        }
    }

    fn enter_due(&self, commands: &mut Vec<Command>, id: Id, form: Form, name: &str, due: i64, ttl: i64) {
        let Some(work) = self.works.get(id.slot, id.generation) else { return };
        if let Some(member) = self.sorted_form(work, form) {
            let (sorted, score) = (self.keys.sorted.as_bytes(), Digits::from(due));
            commands.push(Command::new(&[b"ZADD", sorted, score.as_bytes(), &write_text(member, name)]));
            return;
        }
        let (digits, ttl) = (Digits::from(minute(due)), Digits::from(ttl + GRACE_MS));
        let member = self.due_member(form, name);
        let args = [&member[..], ttl.as_bytes()].map(|arg| [arg, b"" as &[u8], b""]);
        commands.push(self.call(Script::Enter, true, &[self.keys.minute(&digits)], &args));
    }

    fn leave_due(&self, commands: &mut Vec<Command>, id: Id, read: Read, name: &str) {
        let Some(work) = self.works.get(id.slot, id.generation) else { return };
        if let Some(form) = self.sorted_form(work, read.form) {
            commands.push(Command::new(&[b"ZREM", self.keys.sorted.as_bytes(), &write_text(form, name)]));
        }
        if read.max > 0 {
            self.leave_minute(commands, read, name);
        }
    }

    fn leave_minute(&self, commands: &mut Vec<Command>, read: Read, name: &str) {
        let digits = Digits::from(minute(read.last.saturating_add(read.max * 1_000)));
        commands.push(on_key("SREM", self.keys.minute(&digits), &[&self.due_member(read.form, name)]));
    }
}
