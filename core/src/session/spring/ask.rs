//! From the asking to the answer: room, time, and the end.

use super::alarm::AlarmKind;
use super::config::Layout;
use super::queue::Kind;
use super::work::{Id, Part, Stage, Work, is_sound, reads};
use super::{Output, Purpose, Spring};
use crate::redis::{Command, Connection};
use crate::session::{Answer, Op};
use crate::time::Instant;

impl Spring {
    /// Asks; answered by [`Output::Answer`] with this token, unless there is none.
    ///
    /// Attributes have to be texts in UTF-8: nothing else is written into a session.
    pub fn ask(&mut self, now: Instant, token: Option<u64>, op: Op) {
        if let Some(answer) = self.answer_at_once(now, &op) {
            if let Some(token) = token {
                self.outputs.push_back(Output::Answer { token, answer });
            }
            return;
        }
        let kind = match op {
            Op::Check { .. } => Kind::Check,
            Op::Touch { .. } => Kind::Touch,
            Op::Load { .. } | Op::Create { .. } | Op::Rename { .. } | Op::End { .. } => Kind::Urgent,
        };
        let reply_ms = self.times.reply_ms;
        let wait = if kind == Kind::Urgent { reply_ms } else { reply_ms.max(BULK_MS) };
        let (slot, generation) = self.works.insert(Work::new(token, op, now, now.after(wait)));
        let id = Id { slot, generation };
        self.queues.push(kind, id);
        self.arm(id);
        self.pump(now);
    }

    fn answer_at_once(&mut self, now: Instant, op: &Op) -> Option<Answer> {
        if !is_sound(op) {
            // No such id was ever given: there is no such session, and none is made.
            return Some(if matches!(op, Op::Create { .. }) { Answer::Lost } else { Answer::Gone });
        }
        if self.works.len() >= (self.limits.inflight as usize).saturating_mul(QUEUED) {
            self.alarm(now, AlarmKind::Overload, b"");
            return Some(Answer::Lost);
        }
        (!self.up).then_some(Answer::Lost)
    }

    /// Lets go out what there is room for.
    pub(super) fn pump(&mut self, now: Instant) {
        while self.calls.len() < self.limits.inflight as usize {
            let Some(id) = self.queues.pop(now) else { break };
            self.begin(now, id);
        }
    }

    /// The first step; and again, after what it waited for.
    pub(super) fn begin(&mut self, now: Instant, id: Id) {
        let Some(work) = self.works.get(id.slot, id.generation) else { return };
        let op = &work.op;
        if self.layout == Layout::Detect && !work.forced {
            let makes = matches!(op, Op::Create { .. });
            return if makes { self.survey(now, id) } else { self.read(now, id, Stage::Detect) };
        }
        if reads(op) {
            return self.read(now, id, Stage::Look);
        }
        if !self.scripts {
            let touches = matches!(op, Op::Touch { .. });
            if self.config.cluster {
                self.alarm(now, AlarmKind::ScriptsNeeded, b"");
                // It cannot be renewed, but whether it lives can be told.
                return if touches { self.read(now, id, Stage::Look) } else { self.finish(now, id, Answer::Lost) };
            }
            return self.wait_for_turn(now, id);
        }
        match op {
            Op::Touch { .. } if !self.is_split() => self.write(now, id),
            Op::Create { .. } => {
                self.enter(now, id, Stage::Clock);
                self.send_part(id, Connection::Commands, Command::new(&[b"TIME"]), Part::Time);
                if self.is_split() {
                    self.send_sorted(id, Connection::Commands);
                }
            }
            _ => self.read(now, id, Stage::Look),
        }
    }

    /// Whether the keys of a session lie on several nodes.
    pub(super) fn is_split(&self) -> bool {
        self.config.cluster && self.layout != Layout::Plain
    }

    /// Enters a stage: replies to what was sent before are void.
    pub(super) fn enter(&mut self, now: Instant, id: Id, stage: Stage) {
        let due = now.after(self.times.reply_ms);
        let Some(work) = self.works.get_mut(id.slot, id.generation) else { return };
        work.stage = stage;
        work.entered = now;
        work.turn += 1;
        work.waits = 0;
        work.result = None;
        work.due = due;
        self.arm(id);
    }

    /// What it waits for may take until then.
    pub(super) fn wait_until(&mut self, id: Id, due: Instant) {
        if let Some(work) = self.works.get_mut(id.slot, id.generation) {
            work.due = due;
        }
        self.arm(id);
    }

    /// Looks again in a moment, unless it has done so before.
    pub(super) fn pause(&mut self, now: Instant, id: Id) -> bool {
        let Some(work) = self.works.get_mut(id.slot, id.generation) else { return true };
        if core::mem::replace(&mut work.second, true) {
            return false;
        }
        self.release_turn(now, id);
        self.enter(now, id, Stage::Pause);
        self.wait_until(id, now.after(AGAIN_MS));
        true
    }

    /// Answers, and forgets the question.
    pub(super) fn finish(&mut self, now: Instant, id: Id, answer: Answer) {
        let Some(work) = self.works.remove(id.slot, id.generation) else { return };
        if let Some(token) = work.token {
            self.outputs.push_back(Output::Answer { token, answer });
        }
        self.release_turn(now, id);
    }

    pub(super) fn send_part(&mut self, id: Id, connection: Connection, command: Command, part: Part) {
        let Some(work) = self.works.get_mut(id.slot, id.generation) else { return };
        work.waits += 1;
        let turn = work.turn;
        self.send(connection, command, Some(Purpose::Work { id, turn, part }));
    }

    /// The timer of a question fired.
    pub(super) fn work_due(&mut self, now: Instant, slot: u32) {
        let Some(generation) = self.works.generation(slot) else { return };
        let id = Id { slot, generation };
        let Some(work) = self.works.slot_mut(slot) else { return };
        match work.stage {
            _ if work.due > now => self.arm(id),
            Stage::Pause => self.begin(now, id),
            // The echo has its own time, and so have those who wait for it.
            Stage::Echo => {}
            Stage::Turn => {
                self.alarm(now, AlarmKind::Overload, b"one transaction at a time is too slow");
                self.finish(now, id, Answer::Lost);
            }
            _ => {
                self.alarm(now, AlarmKind::Silent, b"");
                self.finish(now, id, Answer::Lost);
            }
        }
    }

    /// The store is away: nothing that waits can be answered.
    pub(super) fn lose_all(&mut self, now: Instant) {
        for slot in 0..self.works.capacity() {
            if let Some(generation) = self.works.generation(slot) {
                self.finish(now, Id { slot, generation }, Answer::Lost);
            }
        }
    }

    fn arm(&mut self, id: Id) {
        let Some(work) = self.works.get_mut(id.slot, id.generation) else { return };
        self.wheel.arm(id.slot, work.due);
    }
}

/// For each question that may be under way, so many are kept.
const QUEUED: usize = 32;
/// How long a session that is looked at or renewed may wait for room, in milliseconds.
const BULK_MS: u64 = 30_000;
/// A key that is missing is looked for again after this, in milliseconds.
const AGAIN_MS: u64 = 50;
