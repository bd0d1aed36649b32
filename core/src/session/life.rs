//! The life of one bound session: alive, suspect, unknown, ended.
//!
//! | state | meaning | inbound | outbound |
//! |---|---|---|---|
//! | loading | nobody has vouched for it yet | held | held |
//! | alive | the store vouched for it, and its deadline has not passed | passes | passes |
//! | suspect | a notice came or the deadline passed; the store is being asked | held | held |
//! | unknown | the store cannot be asked; passes until the deadline that was last known, and is held from then on | | |
//! | ended | the store said so | nothing | nothing but the Close |
//!
//! It asks at most one question at a time. A notice that comes while a question is open may be younger than its answer,
//! so the answer is not believed: it is asked again. Nothing ends on a guess, only on the store's word
//! ([`Answer::Gone`], [`Answer::Vanished`]), or if the store, without a word for [`Times::blind_ms`] and known to be away,
//! has no answer to one more question: who slept through that time has not found it away.

use super::pulse::Pulse;
use super::{Answer, Cause, Detector};
use crate::time::Instant;

/// The times of the machine, in milliseconds; see [`config::Session`](crate::config::Session).
#[derive(Debug, Clone, Copy)]
pub(crate) struct Times {
    pub(crate) touch_interval_ms: u64,
    /// How often it is checked without a cause; `None`: the store cannot end a session without a notice.
    pub(crate) look_every_ms: Option<u64>,
    pub(crate) blind_ms: u64,
}

impl Times {
    /// Whether each touch is followed by a look. Those that wait are kept even for sessions that end, so where touches are
    /// far apart the activity itself arms the timer instead.
    pub(crate) fn looks(&self) -> bool {
        self.touch_interval_ms <= LONGEST_LOOK_MS
    }
}

/// What is to be asked of the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ask {
    Load,
    Check,
    Touch { age_ms: u64 },
}

/// What an answer or a timer led to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Nothing that the clients would notice.
    Same,
    /// What was held may pass.
    Passes,
    /// What passed is held.
    Holds,
    /// It is over.
    Ended { cause: Cause, detector: Detector, late_ms: u64 },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Loading,
    Alive,
    /// Alive by an answer that came too early to be believed: what the deadline before it held is still held.
    AliveHeld,
    Suspect,
    Unknown,
    /// It was suspect before, or its deadline has passed.
    UnknownHeld,
}

/// All but the last activity, which is a [`Pulse`] that lies elsewhere. 32 bytes, since one is kept for every session.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Life {
    /// The monotonic time at which it ends unless it is renewed.
    deadline: Instant,
    /// When the store last vouched for it.
    confirmed: Instant,
    /// Alive: when it is looked at without a cause. Suspect: since when it is. Unknown: when the store was last found to
    /// be away.
    mark: Instant,
    /// When the last touch was sent: so many milliseconds after `confirmed`, or [`UNTOUCHED`].
    touched_ms: i32,
    state: State,
    open: Option<Kind>,
    /// The open question was asked too early to be believed; what is asked then.
    again: Option<Kind>,
    why: Why,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Load,
    Check,
    Touch,
}

/// Why it is being asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Why {
    Touch,
    Sweep,
    Deadline,
    Expired,
    Deleted,
}

impl Life {
    /// A session that somebody claims; the caller asks [`Ask::Load`] at once.
    pub(crate) fn claimed(now: Instant) -> Self {
        Self {
            deadline: Instant::NEVER,
            confirmed: now,
            mark: Instant::NEVER,
            touched_ms: UNTOUCHED,
            state: State::Loading,
            open: None,
            again: None,
            why: Why::Sweep,
        }
    }

    /// Whether anything may cross the sockets of this session at `now`.
    pub(crate) fn passes(&self, now: Instant) -> bool {
        !self.holds() && now < self.deadline
    }

    /// Whether output is held: as [`passes`](Self::passes), as of the last event.
    pub(crate) fn holds(&self) -> bool {
        !matches!(self.state, State::Alive | State::Unknown)
    }

    fn is_alive(&self) -> bool {
        matches!(self.state, State::Alive | State::AliveHeld)
    }

    /// Whether the open question is a [`Ask::Load`], or none is open and nobody has vouched for it.
    pub(crate) fn loading(&self) -> bool {
        self.state == State::Loading
    }

    /// When it ends unless it is renewed; [`Instant::NEVER`] while nobody has said.
    pub(crate) fn deadline(&self) -> Instant {
        self.deadline
    }

    /// A client joins: it is bound only by an answer to a question asked after this.
    pub(crate) fn join(&mut self, now: Instant, pulse: &mut Pulse) -> Option<Ask> {
        if self.open.is_some() {
            self.again = Some(Kind::Load);
            return None;
        }
        Some(self.ask(now, pulse, Kind::Load))
    }

    /// A message that renews came at `now`.
    pub(crate) fn activity(&mut self, now: Instant, pulse: &mut Pulse, times: &Times) -> Option<Ask> {
        pulse.note(now);
        self.touch_if_due(now, pulse, times)
    }

    /// The store says that something befell it.
    pub(crate) fn notice(&mut self, now: Instant, pulse: &mut Pulse, expired: bool) -> (Outcome, Option<Ask>) {
        self.why = if expired { Why::Expired } else { Why::Deleted };
        let outcome = match self.state {
            State::Loading | State::Suspect => Outcome::Same,
            _ => self.suspect(now),
        };
        if self.open.is_some() {
            self.again.get_or_insert(Kind::Check);
            return (outcome, None);
        }
        (outcome, Some(self.ask(now, pulse, if self.state == State::Loading { Kind::Load } else { Kind::Check })))
    }

    /// It goes by another id now: the answer to a question about the old one says nothing, and is the caller's to drop.
    pub(crate) fn renamed(&mut self, now: Instant, pulse: &mut Pulse) -> Option<Ask> {
        let (open, again) = (self.open.take(), self.again.take());
        if open == Some(Kind::Touch) {
            pulse.set_untold(true);
        }
        // Who has joined meanwhile still waits to be told who it is.
        if open == Some(Kind::Load) || again == Some(Kind::Load) {
            self.join(now, pulse)
        } else {
            self.sweep(now, pulse)
        }
    }

    /// Another session turns out to be this one, and its clients, who were let in, are under this one from now on. If
    /// nobody has vouched for it yet they are kept, as the other's would have been, through a store that does not answer.
    pub(crate) fn adopt(&mut self, now: Instant, other: &Self) {
        if self.loading() {
            (self.deadline, self.confirmed) = (other.deadline, other.confirmed);
            self.suspect(now);
        }
    }

    /// Looks at it now, for no reason of its own.
    pub(crate) fn sweep(&mut self, now: Instant, pulse: &mut Pulse) -> Option<Ask> {
        if self.open.is_some() {
            self.again.get_or_insert(Kind::Check);
            return None;
        }
        if self.is_alive() {
            self.why = Why::Sweep;
        }
        Some(self.ask(now, pulse, if self.state == State::Loading { Kind::Load } else { Kind::Check }))
    }

    /// Something may have been missed: it is looked at at `at` at the latest. In any state but alive it is being looked
    /// at already.
    pub(crate) fn doubt(&mut self, at: Instant) {
        if self.is_alive() {
            self.mark = at.min(self.mark);
        }
    }

    /// Activity that no touch has carried yet: how long ago it was, in milliseconds.
    pub(crate) fn untold(&self, now: Instant, pulse: &Pulse) -> Option<u64> {
        (pulse.untold() && self.state != State::Loading).then(|| now.since(pulse.activity()))
    }

    /// The last activity, if the store has not confirmed it.
    pub(crate) fn unconfirmed(&self, pulse: &Pulse) -> Option<Instant> {
        (pulse.untold() || self.open == Some(Kind::Touch)).then(|| pulse.activity())
    }

    /// What time itself leads to at `now`.
    pub(crate) fn tick(&mut self, now: Instant, pulse: &mut Pulse, times: &Times) -> (Outcome, Option<Ask>) {
        let outcome = match self.state {
            State::Alive | State::AliveHeld if now >= self.deadline => {
                self.why = Why::Deadline;
                self.suspect(self.deadline)
            }
            State::Unknown if now >= self.deadline => self.hold(),
            _ => Outcome::Same,
        };
        if self.open.is_some() {
            return (outcome, None);
        }
        let ask = match self.state {
            State::Loading => Some(Kind::Load),
            State::Suspect => Some(self.check(now, pulse, times)),
            State::Unknown | State::UnknownHeld => {
                let asks = now >= self.retry_at(times) || self.is_blind(now, times);
                asks.then(|| self.check(now, pulse, times))
            }
            State::Alive if pulse.untold() && now >= self.touch_at(times) => {
                self.why = Why::Touch;
                Some(Kind::Touch)
            }
            State::Alive if now >= self.mark => {
                self.why = Why::Sweep;
                Some(Kind::Check)
            }
            State::Alive | State::AliveHeld => None,
        };
        (outcome, ask.map(|kind| self.ask(now, pulse, kind)))
    }

    /// When [`tick`](Self::tick) has something to do, but for the look at what came after a touch: each touch has one,
    /// an interval later, where [`Times::looks`] says so, and whoever asks for touches sees to it.
    pub(crate) fn due(&self, pulse: &Pulse, times: &Times) -> Instant {
        let gate = if self.holds() { Instant::NEVER } else { self.deadline };
        if self.open.is_some() {
            return gate;
        }
        match self.state {
            State::Loading | State::Suspect => Instant::default(),
            State::Unknown | State::UnknownHeld => {
                gate.min(self.retry_at(times)).min(self.confirmed.after(times.blind_ms))
            }
            State::Alive | State::AliveHeld => {
                let touch = if pulse.untold() { self.touch_at(times) } else { Instant::NEVER };
                let touch = if self.is_looked_at(touch, times) { Instant::NEVER } else { touch };
                gate.min(touch).min(self.mark)
            }
        }
    }

    /// Whether what waits for `at` waits for the look that follows each touch.
    fn is_looked_at(&self, at: Instant, times: &Times) -> bool {
        times.looks() && self.touched().is_some_and(|touched| at == touched.after(times.touch_interval_ms))
    }

    /// Whether activity came after a touch, and is to be told by now: the look an interval after each touch.
    pub(crate) fn has_to_tell(&self, now: Instant, pulse: &Pulse, times: &Times) -> bool {
        // One whose time is over by now is in the hands of its timer, so that those end in order that were slept past.
        let free = self.open.is_none() && self.state == State::Alive && now < self.deadline;
        free && pulse.untold() && now >= self.touch_at(times)
    }

    /// Tells the pulse until when activity leads to nothing but the look that follows the last touch.
    pub(crate) fn rest(&self, pulse: &mut Pulse, times: &Times) {
        let touch = self.touch_at(times);
        pulse.rest_until(match self.state {
            // What came meanwhile is found when the answer is there.
            _ if self.open.is_some() => Instant::NEVER,
            State::Alive if self.is_looked_at(touch, times) => touch,
            _ => Instant::default(),
        });
    }

    /// The store answered the open question.
    pub(crate) fn answer(
        &mut self,
        now: Instant,
        pulse: &mut Pulse,
        answer: &Answer,
        times: &Times,
    ) -> (Outcome, Option<Ask>) {
        let kind = self.open.take();
        match answer {
            Answer::Alive { ttl_ms, .. } => {
                // Whoever looked since the deadline was held, whether or not the timer had fired.
                if now >= self.deadline {
                    self.hold();
                }
                self.confirm(now);
                self.deadline = ttl_ms.map_or(Instant::NEVER, |ms| now.after(ms));
                let again = self.again.take();
                let held = self.holds();
                if again.is_none() {
                    self.state = State::Alive;
                    self.why = Why::Touch;
                }
                if self.is_alive() {
                    self.mark = times.look_every_ms.map_or(Instant::NEVER, |ms| now.after(ms));
                }
                match again {
                    Some(again) => {
                        let load = self.state == State::Loading || kind == Some(Kind::Load);
                        (Outcome::Same, Some(self.ask(now, pulse, if load { Kind::Load } else { again })))
                    }
                    None => {
                        let outcome = if held { Outcome::Passes } else { Outcome::Same };
                        (outcome, self.touch_if_due(now, pulse, times))
                    }
                }
            }
            Answer::Gone => (self.ended(now, kind), None),
            Answer::Vanished => {
                let ended = self.ended(now, kind);
                let Outcome::Ended { cause, detector, late_ms } = ended else { return (ended, None) };
                // Its time was not over and nobody said a word: it may well live under another id.
                let cause = if cause == Cause::Expired { cause } else { Cause::Rotated };
                (Outcome::Ended { cause, detector, late_ms }, None)
            }
            Answer::Lost => {
                self.again = None;
                if kind == Some(Kind::Touch) {
                    pulse.set_untold(true);
                }
                match self.state {
                    State::Loading => (Outcome::Same, None),
                    State::Unknown | State::UnknownHeld if self.is_blind(now, times) => {
                        (self.store_lost(now, times), None)
                    }
                    _ => {
                        self.state = if self.holds() { State::UnknownHeld } else { State::Unknown };
                        self.mark = now;
                        let ask = self.is_blind(now, times).then(|| self.check(now, pulse, times));
                        (Outcome::Same, ask.map(|kind| self.ask(now, pulse, kind)))
                    }
                }
            }
        }
    }

    fn ask(&mut self, now: Instant, pulse: &mut Pulse, kind: Kind) -> Ask {
        self.open = Some(kind);
        match kind {
            Kind::Load => Ask::Load,
            Kind::Check => Ask::Check,
            Kind::Touch => {
                pulse.set_untold(false);
                self.touched_ms = span(self.confirmed, now);
                Ask::Touch { age_ms: now.since(pulse.activity()) }
            }
        }
    }

    /// A question whether it is alive; it carries the activity that waits, where that is due.
    fn check(&self, now: Instant, pulse: &Pulse, times: &Times) -> Kind {
        if pulse.untold() && now >= self.touch_at(times) { Kind::Touch } else { Kind::Check }
    }

    fn touch_if_due(&mut self, now: Instant, pulse: &mut Pulse, times: &Times) -> Option<Ask> {
        let free = self.open.is_none() && self.state == State::Alive;
        let due = free && pulse.untold() && now >= self.touch_at(times);
        due.then(|| self.ask(now, pulse, Kind::Touch))
    }

    /// When the activity that waits is to be told: an interval after the last touch, but well before the end.
    fn touch_at(&self, times: &Times) -> Instant {
        let Some(touched) = self.touched() else { return Instant::default() };
        let last_call = self.deadline.before(TOUCH_MARGIN_MS);
        let next = touched.after(times.touch_interval_ms);
        // Near the end one touch is repeated at once if the store answered it: it told of an earlier message. One that
        // the store did not answer waits its interval.
        let answered = self.confirmed >= touched;
        if answered || touched < last_call { next.min(last_call) } else { next }
    }

    /// When the last touch was sent, if one was. One that is 24 days older than the store's last word counts as that old.
    fn touched(&self) -> Option<Instant> {
        match self.touched_ms {
            UNTOUCHED => None,
            ms if ms < 0 => Some(self.confirmed.before(ms.unsigned_abs().into())),
            ms => Some(self.confirmed.after(ms.unsigned_abs().into())),
        }
    }

    /// The store vouched for it.
    fn confirm(&mut self, now: Instant) {
        if let Some(touched) = self.touched() {
            self.touched_ms = span(now, touched);
        }
        self.confirmed = now;
    }

    /// When the store, which was away, is asked again.
    fn retry_at(&self, times: &Times) -> Instant {
        self.mark.after(times.look_every_ms.unwrap_or(RETRY_MS).min(RETRY_MS))
    }

    fn suspect(&mut self, since: Instant) -> Outcome {
        let outcome = self.hold();
        self.state = State::Suspect;
        self.mark = since;
        outcome
    }

    fn hold(&mut self) -> Outcome {
        self.state = match self.state {
            State::Alive => State::AliveHeld,
            State::Unknown => State::UnknownHeld,
            _ => return Outcome::Same,
        };
        Outcome::Holds
    }

    /// Whether the store has said nothing about it for as long as it may be away.
    fn is_blind(&self, now: Instant, times: &Times) -> bool {
        now.since(self.confirmed) >= times.blind_ms
    }

    fn store_lost(&self, now: Instant, times: &Times) -> Outcome {
        let late_ms = now.since(self.confirmed).saturating_sub(times.blind_ms);
        Outcome::Ended { cause: Cause::StoreLost, detector: Detector::Sweep, late_ms }
    }

    fn ended(&self, now: Instant, kind: Option<Kind>) -> Outcome {
        let (cause, detector) = match (self.why, kind) {
            (Why::Expired, _) => (Cause::Expired, Detector::Notice),
            (Why::Deleted, _) => (Cause::Deleted, Detector::Notice),
            (Why::Deadline, _) => (Cause::Expired, Detector::Deadline),
            (_, Some(Kind::Touch)) => (Cause::Deleted, Detector::Touch),
            _ => (Cause::Deleted, Detector::Sweep),
        };
        let expired = now >= self.deadline;
        let cause = if expired { Cause::Expired } else { cause };
        let late_ms = match self.state {
            _ if expired => now.since(self.deadline),
            State::Suspect => now.since(self.mark),
            _ => 0,
        };
        Outcome::Ended { cause, detector, late_ms }
    }
}

/// Milliseconds from one time to another that may be earlier: 24 days at most.
fn span(from: Instant, to: Instant) -> i32 {
    let ms = |late: Instant, early: Instant| late.since(early).min(LONGEST_TOUCH_MS) as i32;
    if to < from { -ms(from, to) } else { ms(to, from) }
}

/// Nobody was touched yet.
const UNTOUCHED: i32 = i32::MIN;
/// Touches are at most this far apart, 24 days: what is kept of the last one's time is no longer.
pub(crate) const LONGEST_TOUCH_MS: u64 = i32::MAX as u64;
/// The longest time that a look waits, in milliseconds.
const LONGEST_LOOK_MS: u64 = 60_000;
/// A touch that waits is sent this long before the deadline at the latest, in milliseconds.
const TOUCH_MARGIN_MS: u64 = 500;
/// While the store is away it is asked again after this long at the latest, in milliseconds.
const RETRY_MS: u64 = 1_000;

#[cfg(test)]
mod tests;
