//! The steps of a question: read, judge, write, conclude.

use alloc::boxed::Box;

use super::Spring;
use super::alarm::AlarmKind;
use super::config::Layout;
use super::errors::{Trouble, trouble};
use super::facts::{Over, Verdict};
use super::record::Found;
use super::work::{Id, Part, Stage, Useless, Work, reads, session, wants_record};
use crate::redis::{Connection, Reply};
use crate::session::{Answer, Op, Record};
use crate::time::Instant;

impl Spring {
    /// Sends the reads that give the facts: one script, or command by command.
    pub(super) fn read(&mut self, now: Instant, id: Id, stage: Stage) {
        self.enter(now, id, stage);
        let Some(work) = self.works.get_mut(id.slot, id.generation) else { return };
        work.facts = super::facts::Facts::NONE;
        work.found = Found::default();
        let (op, with_text) = (work.op.clone(), work.with_text);
        let (name, fields) = (session(&op), wants_record(&op));
        let shadow = stage == Stage::Detect || self.layout != Layout::Plain;
        if !self.scripts {
            return self.send_reads(id, Connection::Commands, name, shadow, fields);
        }
        // On a Cluster the other key lies elsewhere.
        let both = shadow && !self.config.cluster;
        let command = self.look_command(name, both, fields, with_text);
        self.send_part(id, Connection::Commands, command, Part::Look);
        if shadow && !both {
            let command = self.shadow_ttl_command(name);
            self.send_part(id, Connection::Commands, command, Part::ShadowTtl);
        }
        if self.is_split() && !reads(&op) {
            self.send_sorted(id, Connection::Commands);
        }
    }

    /// The same, command by command.
    pub(super) fn send_reads(&mut self, id: Id, connection: Connection, name: &str, shadow: bool, fields: bool) {
        for (part, command) in self.read_commands(name, shadow, fields) {
            self.send_part(id, connection, command, part);
        }
    }

    /// Asks for the form of the members of the sorted set, if it is to be used.
    pub(super) fn send_sorted(&mut self, id: Id, connection: Connection) {
        if let Some(command) = self.sorted_command() {
            self.send_part(id, connection, command, Part::Sorted);
        }
    }

    /// The reply to a command of a question.
    pub(super) fn work_replied(&mut self, now: Instant, id: Id, turn: u32, part: Part, reply: Reply<'_>) {
        let Some(work) = self.works.get_mut(id.slot, id.generation).filter(|work| work.turn == turn) else { return };
        if work.due <= now {
            // Whoever slept reads replies of before, and the timers of many questions fire some a turn.
            return self.work_due(now, id.slot);
        }
        work.waits -= 1;
        match work.take(part, reply) {
            Ok(None) => {}
            Ok(Some(items)) => match Found::read(&self.config, items) {
                Some(found) => work.found = found,
                None => return self.useless(now, id, Useless::Shape),
            },
            Err(useless) => return self.useless(now, id, useless),
        }
        if self.works.get(id.slot, id.generation).is_some_and(|work| work.waits == 0) {
            self.go_on(now, id);
        }
    }

    /// All replies of a turn are there: on to the next step.
    fn go_on(&mut self, now: Instant, id: Id) {
        let Some(work) = self.works.get(id.slot, id.generation) else { return };
        match work.stage {
            Stage::Detect => self.detected(now, id),
            Stage::Look => self.looked(now, id),
            Stage::Clock => self.write(now, id),
            Stage::Copy => self.copied_whole(now, id),
            Stage::Write => self.written(now, id),
            Stage::Watch => self.watched(now, id),
            Stage::Exec => self.executed(now, id),
            Stage::Raise => self.raised(now, id),
            Stage::Take => self.taken(now, id),
            Stage::Rest => self.rest_done(now, id),
            Stage::Queued | Stage::Survey | Stage::Pause | Stage::Echo | Stage::Turn => {}
        }
    }

    /// A reply that says nothing about the session. It is never taken for an ended one.
    fn useless(&mut self, now: Instant, id: Id, useless: Useless<'_>) {
        match useless {
            Useless::Lost => {}
            Useless::Shape => self.alarm(now, AlarmKind::Shape, b""),
            Useless::Error(text) => match trouble(text) {
                Trouble::TextNeeded => return self.send_text(now, id),
                Trouble::NoScripts => {
                    if self.scripts {
                        self.no_scripts(now, text);
                    }
                    return self.begin(now, id);
                }
                Trouble::Lost(kind) => self.alarm(now, kind, text),
            },
        }
        self.finish(now, id, Answer::Lost);
    }

    /// Redis has forgotten the scripts: once more, with the text.
    fn send_text(&mut self, now: Instant, id: Id) {
        let Some(work) = self.works.get_mut(id.slot, id.generation) else { return };
        match work.stage {
            _ if core::mem::replace(&mut work.with_text, true) => {
                self.alarm(now, AlarmKind::Refused, b"NOSCRIPT in spite of the text");
                self.finish(now, id, Answer::Lost);
            }
            stage @ (Stage::Detect | Stage::Look) => self.read(now, id, stage),
            Stage::Write => self.write(now, id),
            Stage::Take => self.take_old(now, id),
            _ => self.begin(now, id),
        }
    }

    /// Scripts cannot be used: from here on there are transactions.
    pub(super) fn no_scripts(&mut self, now: Instant, text: &[u8]) {
        self.scripts = false;
        let kind = if self.config.cluster { AlarmKind::ScriptsNeeded } else { AlarmKind::NoScripts };
        self.alarm(now, kind, text);
    }

    /// The layout is known now, or there was nothing to tell it from.
    fn detected(&mut self, now: Instant, id: Id) {
        let Some(work) = self.works.get_mut(id.slot, id.generation) else { return };
        if self.layout == Layout::Detect
            && let Some(layout) = work.facts.layout()
        {
            self.layout = layout;
        }
        let (facts, reads, touches) = (work.facts, reads(&work.op), matches!(work.op, Op::Touch { .. }));
        match self.layout {
            layout @ (Layout::Indexed | Layout::Plain) if reads => self.conclude(now, id, facts.judge(layout)),
            Layout::Indexed | Layout::Plain => self.begin(now, id),
            Layout::Detect => match facts.judge(Layout::Detect) {
                // Just being made, or somebody has taken its end away: in a moment it tells.
                Verdict::Alive(Some(_)) if self.pause(now, id) => {}
                verdict @ Verdict::Alive(Some(_)) if touches => self.conclude(now, id, verdict),
                Verdict::Alive(_) if !reads => {
                    if let Some(work) = self.works.get_mut(id.slot, id.generation) {
                        work.forced = true;
                    }
                    self.begin(now, id);
                }
                verdict => self.conclude(now, id, verdict),
            },
        }
    }

    /// The facts are there.
    fn looked(&mut self, now: Instant, id: Id) {
        let Some(work) = self.works.get(id.slot, id.generation) else { return };
        let verdict = work.facts.judge(self.layout);
        match work.op {
            Op::Touch { .. } => self.raise_first(now, id, verdict),
            Op::Rename { .. } if !matches!(verdict, Verdict::Alive(_)) => self.conclude(now, id, verdict),
            Op::Rename { .. } if self.config.cluster => self.copy(now, id),
            Op::Rename { .. } | Op::End { .. } => self.write(now, id),
            Op::Load { .. } | Op::Check { .. } | Op::Create { .. } => self.conclude(now, id, verdict),
        }
    }

    /// Sends the script that writes.
    pub(super) fn write(&mut self, now: Instant, id: Id) {
        self.enter(now, id, Stage::Write);
        let Some(work) = self.works.get(id.slot, id.generation) else { return };
        let makes = matches!(work.op, Op::Create { .. }) || matches!(work.op, Op::Rename { .. } if self.config.cluster);
        let part = if makes { Part::Number } else { Part::Script };
        match self.write_command(work, now) {
            Some(command) => self.send_part(id, Connection::Commands, command, part),
            None => self.unwritable(now, id),
        }
    }

    pub(super) fn unwritable(&mut self, now: Instant, id: Id) {
        self.alarm(now, AlarmKind::Unwritable, b"");
        self.finish(now, id, Answer::Lost);
    }

    /// The script has written, or not.
    fn written(&mut self, now: Instant, id: Id) {
        let Some(work) = self.works.get(id.slot, id.generation) else { return };
        let verdict = work.facts.judge(self.layout);
        match (&work.op, work.result) {
            (Op::End { .. }, _) if self.is_split() => self.rest_of_end(now, id),
            (Op::End { .. }, _) => self.finish(now, id, Answer::Gone),
            (Op::Create { .. }, Some(1)) if self.is_split() => self.rest_of_new(now, id),
            (Op::Create { .. }, Some(1)) => self.alive(now, id, Some(self.lifetime_ms())),
            (Op::Rename { .. }, Some(1)) if self.config.cluster => self.rest_of_new(now, id),
            // An id that is taken, which nobody can guess.
            (Op::Create { .. }, _) => self.finish(now, id, Answer::Lost),
            (Op::Rename { .. }, Some(_)) if self.config.cluster => self.finish(now, id, Answer::Lost),
            (Op::Rename { .. }, None) if matches!(verdict, Verdict::Alive(_)) => self.finish(now, id, Answer::Lost),
            (Op::Touch { .. }, Some(_)) if self.is_split() => self.rest_of_touch(now, id),
            (_, Some(left)) => self.alive(now, id, u64::try_from(left).ok()),
            (_, None) => self.conclude(now, id, verdict),
        }
    }

    /// How long a new session lives: whole seconds, as Spring counts.
    pub(super) fn lifetime_ms(&self) -> u64 {
        self.times.timeout_ms.div_ceil(1_000).clamp(1, MAX_SECONDS) * 1_000
    }

    /// Answers that it lives, with its record where that was asked for.
    pub(super) fn alive(&mut self, now: Instant, id: Id, ttl_ms: Option<u64>) {
        let Some(work) = self.works.get_mut(id.slot, id.generation) else { return };
        let record = record(work).map(Box::new);
        self.finish(now, id, Answer::Alive { ttl_ms, record });
    }

    /// Draws the conclusion from what was found.
    pub(super) fn conclude(&mut self, now: Instant, id: Id, verdict: Verdict) {
        let Some(work) = self.works.get(id.slot, id.generation) else { return };
        if work.found.cut {
            self.alarm(now, AlarmKind::Shape, b"BULK: an attribute is too long to be read");
        }
        let Some(work) = self.works.get(id.slot, id.generation) else { return };
        match verdict {
            Verdict::Alive(ttl_ms) => self.alive(now, id, ttl_ms),
            Verdict::Absent => {
                let facts = work.facts;
                if self.pause(now, id) {
                } else if self.is_plain_after_all(now, &facts) {
                    self.release_turn(now, id);
                    self.begin(now, id);
                } else {
                    self.finish(now, id, Answer::Gone);
                }
            }
            Verdict::Gone if matches!(work.op, Op::Rename { .. } | Op::End { .. }) => {
                self.finish(now, id, Answer::Gone);
            }
            Verdict::Gone => self.gone(now, id),
            Verdict::Over(over) => {
                match over {
                    Over::Ended | Over::Half => {}
                    Over::Foreign => self.alarm(now, AlarmKind::WrongType, b"where a session's hash should be"),
                    Over::Unreadable => self.alarm(now, AlarmKind::Unreadable, b""),
                }
                self.finish(now, id, Answer::Gone);
            }
        }
    }
}

/// The record that an answer carries.
fn record(work: &mut Work) -> Option<Record> {
    let found = core::mem::take(&mut work.found);
    match &work.op {
        Op::Load { id } => Some(Record { id: id.clone(), principal: found.principal, attributes: found.attributes }),
        Op::Create { id, principal, attributes } => {
            Some(Record { id: id.clone(), principal: principal.clone(), attributes: attributes.clone() })
        }
        Op::Rename { to, principal, attributes, .. } => {
            let mut all = found.attributes;
            all.retain(|(name, _)| attributes.iter().all(|(other, _)| other != name));
            all.extend(attributes.iter().cloned());
            Some(Record { id: to.clone(), principal: principal.clone(), attributes: all })
        }
        Op::Check { .. } | Op::Touch { .. } | Op::End { .. } => None,
    }
}

/// The longest interval that fits Java's `int`, in seconds.
const MAX_SECONDS: u64 = i32::MAX as u64;
