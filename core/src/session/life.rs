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
//! ([`Answer::Gone`], [`Answer::Vanished`]) or after [`Times::blind_ms`] without any word.

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
    Suspect,
    Unknown,
}

#[derive(Debug, Clone)]
pub(crate) struct Life {
    /// The monotonic time at which it ends unless it is renewed.
    deadline: Instant,
    /// The last message that renews.
    activity: Instant,
    /// When the last touch was sent.
    touched: Instant,
    /// When the store last vouched for it.
    confirmed: Instant,
    /// When it is looked at without a cause.
    look_at: Instant,
    /// When the open question was asked, or when to ask again while the store is away.
    asked: Instant,
    /// When it became suspect.
    suspected: Instant,
    state: State,
    open: Option<Kind>,
    /// The open question was asked too early to be believed; what is asked then.
    again: Option<Kind>,
    /// There was activity that no touch has carried yet.
    dirty: bool,
    /// A touch was ever sent.
    ever_touched: bool,
    why: Why,
    holds: bool,
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
            activity: now,
            touched: now,
            confirmed: now,
            look_at: Instant::NEVER,
            asked: now,
            suspected: now,
            state: State::Loading,
            open: None,
            again: None,
            dirty: false,
            ever_touched: false,
            why: Why::Sweep,
            holds: true,
        }
    }

    /// Whether anything may cross the sockets of this session at `now`.
    pub(crate) fn passes(&self, now: Instant) -> bool {
        !self.holds && now < self.deadline
    }

    /// Whether output is held: as [`passes`](Self::passes), as of the last event.
    pub(crate) fn holds(&self) -> bool {
        self.holds
    }

    /// Whether the open question is a [`Ask::Load`], or none is open and nobody has vouched for it.
    pub(crate) fn loading(&self) -> bool {
        self.state == State::Loading
    }

    /// When it ends unless it is renewed; [`Instant::NEVER`] while nobody has said.
    pub(crate) fn deadline(&self) -> Instant {
        self.deadline
    }

    /// When the last message that renews came; before the first one, when somebody first claimed the session.
    pub(crate) fn last_activity(&self) -> Instant {
        self.activity
    }

    /// A client joins: it is bound only by an answer to a question asked after this.
    pub(crate) fn join(&mut self, now: Instant) -> Option<Ask> {
        if self.open.is_some() {
            self.again = Some(Kind::Load);
            return None;
        }
        Some(self.ask(now, Kind::Load))
    }

    /// A message that renews came at `now`.
    pub(crate) fn activity(&mut self, now: Instant, times: &Times) -> Option<Ask> {
        self.activity = now;
        self.dirty = true;
        self.touch_if_due(now, times)
    }

    /// The store says that something befell it.
    pub(crate) fn notice(&mut self, now: Instant, expired: bool) -> (Outcome, Option<Ask>) {
        self.why = if expired { Why::Expired } else { Why::Deleted };
        if self.state != State::Loading {
            if self.state != State::Suspect {
                self.suspected = now;
            }
            self.state = State::Suspect;
        }
        let outcome = self.hold();
        if self.open.is_some() {
            self.again.get_or_insert(Kind::Check);
            return (outcome, None);
        }
        (outcome, Some(self.ask(now, if self.state == State::Loading { Kind::Load } else { Kind::Check })))
    }

    /// It goes by another id now: the answer to a question about the old one says nothing, and is the caller's to drop.
    pub(crate) fn renamed(&mut self, now: Instant) -> Option<Ask> {
        let (open, again) = (self.open.take(), self.again.take());
        self.dirty |= open == Some(Kind::Touch);
        // Who has joined meanwhile still waits to be told who it is.
        if open == Some(Kind::Load) || again == Some(Kind::Load) { self.join(now) } else { self.sweep(now) }
    }

    /// Looks at it now, for no reason of its own.
    pub(crate) fn sweep(&mut self, now: Instant) -> Option<Ask> {
        if self.open.is_some() {
            self.again.get_or_insert(Kind::Check);
            return None;
        }
        if self.state == State::Alive {
            self.why = Why::Sweep;
        }
        Some(self.ask(now, if self.state == State::Loading { Kind::Load } else { Kind::Check }))
    }

    /// Something may have been missed: it is looked at at `at` at the latest.
    pub(crate) fn doubt(&mut self, at: Instant) {
        self.look_at = self.look_at.min(at);
    }

    /// Activity that no touch has carried yet: how long ago it was, in milliseconds.
    pub(crate) fn untold(&self, now: Instant) -> Option<u64> {
        (self.dirty && self.state != State::Loading).then(|| now.since(self.activity))
    }

    /// What time itself leads to at `now`.
    pub(crate) fn tick(&mut self, now: Instant, times: &Times) -> (Outcome, Option<Ask>) {
        if self.state == State::Unknown && now.since(self.confirmed) >= times.blind_ms {
            return (self.store_lost(now, times), None);
        }
        let outcome = if now >= self.deadline && (self.state == State::Alive || !self.holds) {
            self.suspected = self.deadline;
            if self.state == State::Alive {
                self.state = State::Suspect;
                self.why = Why::Deadline;
            }
            self.hold()
        } else {
            Outcome::Same
        };
        if self.open.is_some() {
            return (outcome, None);
        }
        let ask = match self.state {
            State::Loading => Some(Kind::Load),
            State::Suspect => Some(self.check(now, times)),
            State::Unknown => (now >= self.retry_at(times)).then(|| self.check(now, times)),
            State::Alive if self.dirty && now >= self.touch_at(times) => {
                self.why = Why::Touch;
                Some(Kind::Touch)
            }
            State::Alive if now >= self.look_at => {
                self.why = Why::Sweep;
                Some(Kind::Check)
            }
            State::Alive => None,
        };
        (outcome, ask.map(|kind| self.ask(now, kind)))
    }

    /// When [`tick`](Self::tick) has something to do.
    pub(crate) fn due(&self, times: &Times) -> Instant {
        let gate = if self.holds { Instant::NEVER } else { self.deadline };
        let blind = if self.state == State::Unknown { self.confirmed.after(times.blind_ms) } else { Instant::NEVER };
        if self.open.is_some() {
            return gate.min(blind);
        }
        match self.state {
            State::Loading | State::Suspect => Instant::default(),
            State::Unknown => gate.min(self.retry_at(times)).min(blind),
            State::Alive => {
                let touch = if self.dirty { self.touch_at(times) } else { Instant::NEVER };
                gate.min(touch).min(self.look_at)
            }
        }
    }

    /// The store answered the open question.
    pub(crate) fn answer(&mut self, now: Instant, answer: &Answer, times: &Times) -> (Outcome, Option<Ask>) {
        let kind = self.open.take();
        match answer {
            Answer::Alive { ttl_ms, .. } => {
                // Whoever looked since the deadline was held, whether or not the timer had fired.
                self.holds |= now >= self.deadline;
                self.confirmed = now;
                self.look_at = times.look_every_ms.map_or(Instant::NEVER, |ms| now.after(ms));
                self.deadline = ttl_ms.map_or(Instant::NEVER, |ms| now.after(ms));
                if let Some(again) = self.again.take() {
                    let load = self.state == State::Loading || kind == Some(Kind::Load);
                    return (Outcome::Same, Some(self.ask(now, if load { Kind::Load } else { again })));
                }
                self.state = State::Alive;
                self.why = Why::Touch;
                let outcome = if core::mem::take(&mut self.holds) { Outcome::Passes } else { Outcome::Same };
                (outcome, self.touch_if_due(now, times))
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
                self.asked = now;
                self.dirty |= kind == Some(Kind::Touch);
                match self.state {
                    State::Loading => (Outcome::Same, None),
                    _ if now.since(self.confirmed) >= times.blind_ms => (self.store_lost(now, times), None),
                    _ => {
                        self.state = State::Unknown;
                        (Outcome::Same, None)
                    }
                }
            }
        }
    }

    fn ask(&mut self, now: Instant, kind: Kind) -> Ask {
        self.open = Some(kind);
        self.asked = now;
        match kind {
            Kind::Load => Ask::Load,
            Kind::Check => Ask::Check,
            Kind::Touch => {
                self.dirty = false;
                self.touched = now;
                self.ever_touched = true;
                Ask::Touch { age_ms: now.since(self.activity) }
            }
        }
    }

    /// A question whether it is alive; it carries the activity that waits, where that is due.
    fn check(&self, now: Instant, times: &Times) -> Kind {
        if self.dirty && now >= self.touch_at(times) { Kind::Touch } else { Kind::Check }
    }

    fn touch_if_due(&mut self, now: Instant, times: &Times) -> Option<Ask> {
        let due = self.dirty && self.open.is_none() && self.state == State::Alive && now >= self.touch_at(times);
        due.then(|| self.ask(now, Kind::Touch))
    }

    /// When the activity that waits is to be told: an interval after the last touch, but well before the end.
    fn touch_at(&self, times: &Times) -> Instant {
        if !self.ever_touched {
            return Instant::default();
        }
        let last_call = self.deadline.before(TOUCH_MARGIN_MS);
        let next = self.touched.after(times.touch_interval_ms);
        // Near the end one touch is repeated at once if the store answered it: it told of an earlier message. One that
        // the store did not answer waits its interval.
        let answered = self.confirmed >= self.touched;
        if answered || self.touched < last_call { next.min(last_call) } else { next }
    }

    fn retry_at(&self, times: &Times) -> Instant {
        self.asked.after(times.look_every_ms.unwrap_or(RETRY_MS).min(RETRY_MS))
    }

    fn hold(&mut self) -> Outcome {
        if core::mem::replace(&mut self.holds, true) { Outcome::Same } else { Outcome::Holds }
    }

    fn store_lost(&self, now: Instant, times: &Times) -> Outcome {
        let late_ms = now.since(self.confirmed).saturating_sub(times.blind_ms);
        Outcome::Ended { cause: Cause::StoreLost, detector: Detector::Sweep, late_ms }
    }

    fn ended(&mut self, now: Instant, kind: Option<Kind>) -> Outcome {
        self.holds = true;
        let (cause, detector) = match (self.why, kind) {
            (Why::Expired, _) => (Cause::Expired, Detector::Notice),
            (Why::Deleted, _) => (Cause::Deleted, Detector::Notice),
            (Why::Deadline, _) => (Cause::Expired, Detector::Deadline),
            (_, Some(Kind::Touch)) => (Cause::Deleted, Detector::Touch),
            _ => (Cause::Deleted, Detector::Sweep),
        };
        let expired = now >= self.deadline;
        let cause = if expired { Cause::Expired } else { cause };
        let since = if expired { self.deadline } else { self.suspected.min(now) };
        let late_ms = if expired || self.state == State::Suspect { now.since(since) } else { 0 };
        Outcome::Ended { cause, detector, late_ms }
    }
}

/// A touch that waits is sent this long before the deadline at the latest, in milliseconds.
const TOUCH_MARGIN_MS: u64 = 500;
/// While the store is away it is asked again after this long at the latest, in milliseconds.
const RETRY_MS: u64 = 1_000;

#[cfg(test)]
mod tests {
    use super::*;

    const TIMES: Times = Times { touch_interval_ms: 1_000, look_every_ms: Some(60_000), blind_ms: 300_000 };

    fn at(ms: u64) -> Instant {
        Instant::from_millis(ms)
    }

    fn alive(ttl_ms: u64) -> Answer {
        Answer::Alive { ttl_ms: Some(ttl_ms), record: None }
    }

    /// A session that was found alive at 0 with so long to live.
    fn bound(ttl_ms: u64) -> Life {
        let mut life = Life::claimed(at(0));
        assert_eq!(life.join(at(0)), Some(Ask::Load));
        assert_eq!(life.answer(at(0), &alive(ttl_ms), &TIMES), (Outcome::Passes, None));
        life
    }

    #[test]
    fn first_activity_touches_at_once_and_the_next_waits_its_interval() {
        let mut life = bound(60_000);
        assert_eq!(life.activity(at(100), &TIMES), Some(Ask::Touch { age_ms: 0 }));
        assert_eq!(life.answer(at(100), &alive(60_000), &TIMES), (Outcome::Same, None));
        assert_eq!(life.activity(at(300), &TIMES), None);
        assert_eq!(life.activity(at(700), &TIMES), None);
        assert_eq!(life.due(&TIMES), at(1_100));
        assert_eq!(life.tick(at(1_100), &TIMES), (Outcome::Same, Some(Ask::Touch { age_ms: 400 })));
    }

    #[test]
    fn one_question_at_a_time() {
        let mut life = bound(60_000);
        assert!(life.activity(at(0), &TIMES).is_some());
        for ms in [1, 500, 1_500, 1_999] {
            assert_eq!(life.activity(at(ms), &TIMES), None);
        }
        let (_, ask) = life.answer(at(1_999), &alive(60_000), &TIMES);
        assert_eq!(ask, Some(Ask::Touch { age_ms: 0 }));
    }

    #[test]
    fn waiting_activity_is_told_before_the_end() {
        let mut life = bound(1_200);
        assert!(life.activity(at(0), &TIMES).is_some());
        let _ = life.answer(at(0), &alive(1_200), &TIMES);
        assert_eq!(life.activity(at(10), &TIMES), None);
        assert_eq!(life.due(&TIMES), at(700));
    }

    #[test]
    fn deadline_holds_first_and_asks_then() {
        let mut life = bound(5_000);
        assert!(life.passes(at(4_999)));
        assert!(!life.passes(at(5_000)));
        assert_eq!(life.tick(at(4_999), &TIMES), (Outcome::Same, None));
        assert_eq!(life.tick(at(5_010), &TIMES), (Outcome::Holds, Some(Ask::Check)));
        assert_eq!(
            life.answer(at(5_030), &Answer::Gone, &TIMES).0,
            Outcome::Ended { cause: Cause::Expired, detector: Detector::Deadline, late_ms: 30 }
        );
    }

    #[test]
    fn deadline_that_another_node_moved_passes_again() {
        let mut life = bound(5_000);
        assert_eq!(life.tick(at(5_000), &TIMES), (Outcome::Holds, Some(Ask::Check)));
        assert_eq!(life.answer(at(5_001), &alive(3_000), &TIMES).0, Outcome::Passes);
        assert_eq!(life.deadline(), at(8_001));
    }

    #[test]
    fn an_answer_before_the_timer_passes_what_the_deadline_held() {
        let mut life = bound(5_000);
        assert_eq!(life.sweep(at(4_990)), Some(Ask::Check));
        assert_eq!(life.answer(at(4_999), &alive(1), &TIMES), (Outcome::Same, None));
        assert_eq!(life.sweep(at(4_999)), Some(Ask::Check));
        assert!(!life.passes(at(5_000)));
        assert_eq!(life.answer(at(5_000), &alive(3_000), &TIMES).0, Outcome::Passes);
        // Nor is it forgotten when the first answer is not believed.
        assert_eq!(life.sweep(at(7_990)), Some(Ask::Check));
        assert_eq!(life.join(at(7_991)), None);
        assert_eq!(life.answer(at(8_001), &alive(3_000), &TIMES).0, Outcome::Same);
        assert!(!life.passes(at(8_001)));
        assert_eq!(life.answer(at(8_002), &alive(3_000), &TIMES).0, Outcome::Passes);
    }

    #[test]
    fn notice_is_checked_before_it_is_believed() {
        let mut life = bound(60_000);
        assert_eq!(life.notice(at(10), false), (Outcome::Holds, Some(Ask::Check)));
        assert!(!life.passes(at(11)));
        assert_eq!(life.answer(at(12), &alive(50_000), &TIMES).0, Outcome::Passes);
        assert_eq!(life.notice(at(20), false), (Outcome::Holds, Some(Ask::Check)));
        assert_eq!(
            life.answer(at(23), &Answer::Gone, &TIMES).0,
            Outcome::Ended { cause: Cause::Deleted, detector: Detector::Notice, late_ms: 3 }
        );
    }

    #[test]
    fn answer_older_than_a_notice_is_not_believed() {
        let mut life = bound(60_000);
        assert!(life.activity(at(5), &TIMES).is_some());
        assert_eq!(life.notice(at(6), false), (Outcome::Holds, None));
        assert_eq!(life.answer(at(7), &alive(60_000), &TIMES), (Outcome::Same, Some(Ask::Check)));
        assert!(!life.passes(at(7)));
    }

    #[test]
    fn notice_while_loading_is_not_lost() {
        let mut life = Life::claimed(at(0));
        assert_eq!(life.join(at(0)), Some(Ask::Load));
        assert_eq!(life.notice(at(1), false), (Outcome::Same, None));
        assert_eq!(life.answer(at(2), &alive(60_000), &TIMES), (Outcome::Same, Some(Ask::Load)));
        assert!(matches!(life.answer(at(3), &Answer::Gone, &TIMES).0, Outcome::Ended { .. }));
    }

    #[test]
    fn who_joins_is_told_who_it_is_whatever_else_is_asked() {
        let mut life = bound(60_000);
        assert_eq!(life.activity(at(5), &TIMES), Some(Ask::Touch { age_ms: 0 }));
        assert_eq!(life.join(at(6)), None);
        assert_eq!(life.notice(at(7), false), (Outcome::Holds, None));
        assert_eq!(life.answer(at(8), &alive(60_000), &TIMES), (Outcome::Same, Some(Ask::Load)));
        assert_eq!(life.renamed(at(9)), Some(Ask::Load));
        assert_eq!(life.sweep(at(10)), None);
        assert_eq!(life.answer(at(11), &alive(60_000), &TIMES), (Outcome::Same, Some(Ask::Load)));
        assert_eq!(life.answer(at(12), &alive(60_000), &TIMES).0, Outcome::Passes);
        assert_eq!(life.renamed(at(13)), Some(Ask::Check));
    }

    #[test]
    fn lost_store_passes_until_the_known_deadline_and_is_never_taken_for_the_end() {
        let mut life = bound(10_000);
        assert!(life.activity(at(1_000), &TIMES).is_some());
        assert_eq!(life.answer(at(3_000), &Answer::Lost, &TIMES), (Outcome::Same, None));
        assert!(life.passes(at(9_999)));
        let mut now = 3_000;
        let mut held = false;
        while now < 299_000 {
            now = life.due(&TIMES).as_millis().max(now);
            let (outcome, ask) = life.tick(at(now), &TIMES);
            held |= outcome == Outcome::Holds;
            if ask.is_some() {
                assert_eq!(life.answer(at(now), &Answer::Lost, &TIMES), (Outcome::Same, None));
            }
        }
        assert!(held && !life.passes(at(now)));
        assert!(matches!(life.tick(at(300_000), &TIMES).0, Outcome::Ended { cause: Cause::StoreLost, .. }));
    }

    #[test]
    fn activity_reaches_the_store_when_it_is_back() {
        let mut life = bound(60_000);
        assert!(life.sweep(at(0)).is_some());
        let _ = life.answer(at(1), &Answer::Lost, &TIMES);
        assert_eq!(life.activity(at(500), &TIMES), None);
        let (_, ask) = life.tick(at(1_001), &TIMES);
        assert_eq!(ask, Some(Ask::Touch { age_ms: 501 }));
    }

    #[test]
    fn a_lost_touch_is_not_forgotten() {
        let mut life = bound(10_000);
        assert!(life.activity(at(1_000), &TIMES).is_some());
        let _ = life.answer(at(2_000), &Answer::Lost, &TIMES);
        let (_, ask) = life.tick(at(3_000), &TIMES);
        assert_eq!(ask, Some(Ask::Touch { age_ms: 2_000 }));
    }
}
