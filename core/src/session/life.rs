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
//! ([`Answer::Gone`]) or after [`Times::blind_ms`] without any word.

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
    /// Held since it was suspect before, or since its deadline has passed.
    Unknown {
        held: bool,
    },
}

/// All but the last activity, which is a [`Pulse`] that lies elsewhere. Packed, since one is kept for every session:
/// 36 bytes.
#[derive(Debug, Clone, Copy)]
#[repr(C, packed(4))]
pub(crate) struct Life {
    /// The monotonic time at which it ends unless it is renewed.
    deadline: Instant,
    /// When the store last vouched for it.
    confirmed: Instant,
    /// When the last touch was sent; [`Instant::NEVER`] before the first one.
    touched: Instant,
    /// Alive: when it is looked at without a cause. Suspect: since when it is. Unknown: when the store was last found to
    /// be away.
    mark: Instant,
    state: State,
    open: Option<Kind>,
    /// The open question was asked too early to be believed.
    again: bool,
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
            touched: Instant::NEVER,
            mark: Instant::NEVER,
            state: State::Loading,
            open: None,
            again: false,
            why: Why::Sweep,
        }
    }

    /// Whether anything may cross the sockets of this session at `now`.
    pub(crate) fn passes(&self, now: Instant) -> bool {
        !self.holds() && now < self.deadline()
    }

    /// Whether output is held: as [`passes`](Self::passes), as of the last event.
    pub(crate) fn holds(&self) -> bool {
        !matches!(self.state, State::Alive | State::Unknown { held: false })
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
            self.again = true;
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
            State::Alive | State::Unknown { .. } => self.suspect(now),
        };
        if self.open.is_some() {
            self.again = true;
            return (outcome, None);
        }
        (outcome, Some(self.ask(now, pulse, if self.state == State::Loading { Kind::Load } else { Kind::Check })))
    }

    /// It goes by another id now: the answer to a question about the old one says nothing, and is the caller's to drop.
    pub(crate) fn renamed(&mut self, now: Instant, pulse: &mut Pulse) -> Option<Ask> {
        if self.open.take() == Some(Kind::Touch) {
            pulse.set_untold(true);
        }
        self.again = false;
        self.sweep(now, pulse)
    }

    /// Looks at it now, for no reason of its own.
    pub(crate) fn sweep(&mut self, now: Instant, pulse: &mut Pulse) -> Option<Ask> {
        if self.open.is_some() {
            self.again = true;
            return None;
        }
        if self.state == State::Alive {
            self.why = Why::Sweep;
        }
        Some(self.ask(now, pulse, if self.state == State::Loading { Kind::Load } else { Kind::Check }))
    }

    /// Something may have been missed: it is looked at at `at` at the latest. In any state but alive it is being looked
    /// at already.
    pub(crate) fn doubt(&mut self, at: Instant) {
        if self.state == State::Alive {
            self.mark = at.min(self.mark);
        }
    }

    /// Activity that no touch has carried yet: how long ago it was, in milliseconds.
    pub(crate) fn untold(&self, now: Instant, pulse: &Pulse) -> Option<u64> {
        (pulse.untold() && self.state != State::Loading).then(|| now.since(pulse.activity()))
    }

    /// What time itself leads to at `now`.
    pub(crate) fn tick(&mut self, now: Instant, pulse: &mut Pulse, times: &Times) -> (Outcome, Option<Ask>) {
        if matches!(self.state, State::Unknown { .. }) && now.since(self.confirmed) >= times.blind_ms {
            return (self.store_lost(now, times), None);
        }
        let deadline = self.deadline;
        let outcome = match self.state {
            State::Alive if now >= deadline => {
                self.why = Why::Deadline;
                self.suspect(deadline)
            }
            State::Unknown { held: false } if now >= deadline => {
                self.state = State::Unknown { held: true };
                Outcome::Holds
            }
            _ => Outcome::Same,
        };
        if self.open.is_some() {
            return (outcome, None);
        }
        let ask = match self.state {
            State::Loading => Some(Kind::Load),
            State::Suspect => Some(self.check(now, pulse, times)),
            State::Unknown { .. } => (now >= self.retry_at(times)).then(|| self.check(now, pulse, times)),
            State::Alive if pulse.untold() && now >= self.touch_at(times) => {
                self.why = Why::Touch;
                Some(Kind::Touch)
            }
            State::Alive if now >= { self.mark } => {
                self.why = Why::Sweep;
                Some(Kind::Check)
            }
            State::Alive => None,
        };
        (outcome, ask.map(|kind| self.ask(now, pulse, kind)))
    }

    /// When [`tick`](Self::tick) has something to do, or may have by then: after each touch it looks for activity that
    /// came since, so that the activity itself need not arm a timer.
    pub(crate) fn due(&self, now: Instant, pulse: &Pulse, times: &Times) -> Instant {
        let gate = if self.holds() { Instant::NEVER } else { self.deadline };
        let blind = match self.state {
            State::Unknown { .. } => self.confirmed.after(times.blind_ms),
            _ => Instant::NEVER,
        };
        if self.open.is_some() {
            return gate.min(blind);
        }
        match self.state {
            State::Loading | State::Suspect => Instant::default(),
            State::Unknown { .. } => gate.min(self.retry_at(times)).min(blind),
            State::Alive => {
                let touch = self.touch_at(times);
                let touch = if pulse.untold() || touch > now { touch } else { Instant::NEVER };
                gate.min(touch).min(self.mark)
            }
        }
    }

    /// Tells the pulse until when activity leads to nothing that is not armed for, now that [`due`](Self::due) is.
    pub(crate) fn rest(&self, pulse: &mut Pulse, times: &Times) {
        pulse.rest_until(match self.state {
            // It is told of when the answer is there.
            _ if self.open.is_some() => Instant::NEVER,
            State::Alive => self.touch_at(times),
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
                self.confirmed = now;
                self.deadline = ttl_ms.map_or(Instant::NEVER, |ms| now.after(ms));
                let doubted = core::mem::take(&mut self.again);
                let outcome = if self.holds() && !doubted { Outcome::Passes } else { Outcome::Same };
                if !doubted {
                    self.state = State::Alive;
                    self.why = Why::Touch;
                }
                if self.state == State::Alive {
                    self.mark = times.look_every_ms.map_or(Instant::NEVER, |ms| now.after(ms));
                }
                if doubted {
                    let load = self.state == State::Loading || kind == Some(Kind::Load);
                    return (outcome, Some(self.ask(now, pulse, if load { Kind::Load } else { Kind::Check })));
                }
                (outcome, self.touch_if_due(now, pulse, times))
            }
            Answer::Gone => (self.ended(now, kind), None),
            Answer::Lost => {
                self.again = false;
                if kind == Some(Kind::Touch) {
                    pulse.set_untold(true);
                }
                match self.state {
                    State::Loading => (Outcome::Same, None),
                    _ if now.since(self.confirmed) >= times.blind_ms => (self.store_lost(now, times), None),
                    _ => {
                        self.state = State::Unknown { held: self.holds() };
                        self.mark = now;
                        (Outcome::Same, None)
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
                self.touched = now;
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
        let Self { deadline, confirmed, touched, .. } = *self;
        if touched == Instant::NEVER {
            return Instant::default();
        }
        let last_call = deadline.before(TOUCH_MARGIN_MS);
        let next = touched.after(times.touch_interval_ms);
        // Near the end one touch is repeated at once if the store answered it: it told of an earlier message. One that
        // the store did not answer waits its interval.
        let answered = confirmed >= touched;
        if answered || touched < last_call { next.min(last_call) } else { next }
    }

    /// When the store, which was away, is asked again.
    fn retry_at(&self, times: &Times) -> Instant {
        self.mark.after(times.look_every_ms.unwrap_or(RETRY_MS).min(RETRY_MS))
    }

    fn suspect(&mut self, since: Instant) -> Outcome {
        let held = self.holds();
        self.state = State::Suspect;
        self.mark = since;
        if held { Outcome::Same } else { Outcome::Holds }
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
        let deadline = self.deadline;
        let expired = now >= deadline;
        let cause = if expired { Cause::Expired } else { cause };
        let late_ms = match self.state {
            _ if expired => now.since(deadline),
            State::Suspect => now.since(self.mark),
            _ => 0,
        };
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
    use proptest::prelude::*;

    const TIMES: Times = Times { touch_interval_ms: 1_000, look_every_ms: Some(60_000), blind_ms: 300_000 };

    fn at(ms: u64) -> Instant {
        Instant::from_millis(ms)
    }

    fn alive(ttl_ms: u64) -> Answer {
        Answer::Alive { ttl_ms: Some(ttl_ms), record: None }
    }

    /// A life with its pulse. Whatever it does, its timer is armed after it, and it rests until then.
    struct Session {
        life: Life,
        pulse: Pulse,
        armed: Instant,
    }

    impl Session {
        fn claimed(now: Instant) -> Self {
            Self { life: Life::claimed(now), pulse: Pulse::new(now), armed: Instant::NEVER }
        }

        fn step<T>(&mut self, now: Instant, step: impl FnOnce(&mut Life, &mut Pulse) -> T) -> T {
            let result = step(&mut self.life, &mut self.pulse);
            self.armed = self.armed.min(self.life.due(now, &self.pulse, &TIMES));
            self.life.rest(&mut self.pulse, &TIMES);
            result
        }

        fn join(&mut self, now: Instant) -> Option<Ask> {
            self.step(now, |life, pulse| life.join(now, pulse))
        }

        fn activity(&mut self, now: Instant) -> Option<Ask> {
            if self.pulse.beat(now) {
                // Whatever it would have led to is led to without it, by an answer or by the timer.
                let (mut life, mut pulse) = (self.life, self.pulse);
                assert_eq!(life.activity(now, &mut pulse, &TIMES), None);
                assert!(life.due(now, &pulse, &TIMES) >= self.armed);
                return None;
            }
            self.step(now, |life, pulse| life.activity(now, pulse, &TIMES))
        }

        fn notice(&mut self, now: Instant, expired: bool) -> (Outcome, Option<Ask>) {
            self.step(now, |life, pulse| life.notice(now, pulse, expired))
        }

        fn sweep(&mut self, now: Instant) -> Option<Ask> {
            self.step(now, |life, pulse| life.sweep(now, pulse))
        }

        fn tick(&mut self, now: Instant) -> (Outcome, Option<Ask>) {
            self.armed = Instant::NEVER;
            self.step(now, |life, pulse| life.tick(now, pulse, &TIMES))
        }

        fn answer(&mut self, now: Instant, answer: &Answer) -> (Outcome, Option<Ask>) {
            self.step(now, |life, pulse| life.answer(now, pulse, answer, &TIMES))
        }

        fn passes(&self, now: Instant) -> bool {
            self.life.passes(now)
        }
    }

    #[test]
    fn it_takes_36_bytes() {
        assert_eq!((size_of::<Life>(), align_of::<Life>()), (36, 4));
    }

    /// A session that was found alive at 0 with so long to live.
    fn bound(ttl_ms: u64) -> Session {
        let mut life = Session::claimed(at(0));
        assert_eq!(life.join(at(0)), Some(Ask::Load));
        assert_eq!(life.answer(at(0), &alive(ttl_ms)), (Outcome::Passes, None));
        life
    }

    #[test]
    fn first_activity_touches_at_once_and_the_next_waits_its_interval() {
        let mut life = bound(60_000);
        assert_eq!(life.activity(at(100)), Some(Ask::Touch { age_ms: 0 }));
        assert_eq!(life.answer(at(100), &alive(60_000)), (Outcome::Same, None));
        assert_eq!(life.activity(at(300)), None);
        assert_eq!(life.activity(at(700)), None);
        assert_eq!(life.armed, at(1_100));
        assert_eq!(life.tick(at(1_100)), (Outcome::Same, Some(Ask::Touch { age_ms: 400 })));
    }

    #[test]
    fn one_question_at_a_time() {
        let mut life = bound(60_000);
        assert!(life.activity(at(0)).is_some());
        for ms in [1, 500, 1_500, 1_999] {
            assert_eq!(life.activity(at(ms)), None);
        }
        let (_, ask) = life.answer(at(1_999), &alive(60_000));
        assert_eq!(ask, Some(Ask::Touch { age_ms: 0 }));
    }

    #[test]
    fn waiting_activity_is_told_before_the_end() {
        let mut life = bound(1_200);
        assert!(life.activity(at(0)).is_some());
        let _ = life.answer(at(0), &alive(1_200));
        assert_eq!(life.activity(at(10)), None);
        assert_eq!(life.armed, at(700));
    }

    #[test]
    fn deadline_holds_first_and_asks_then() {
        let mut life = bound(5_000);
        assert!(life.passes(at(4_999)));
        assert!(!life.passes(at(5_000)));
        assert_eq!(life.tick(at(4_999)), (Outcome::Same, None));
        assert_eq!(life.tick(at(5_010)), (Outcome::Holds, Some(Ask::Check)));
        assert_eq!(
            life.answer(at(5_030), &Answer::Gone).0,
            Outcome::Ended { cause: Cause::Expired, detector: Detector::Deadline, late_ms: 30 }
        );
    }

    #[test]
    fn deadline_that_another_node_moved_passes_again() {
        let mut life = bound(5_000);
        assert_eq!(life.tick(at(5_000)), (Outcome::Holds, Some(Ask::Check)));
        assert_eq!(life.answer(at(5_001), &alive(3_000)).0, Outcome::Passes);
        assert_eq!(life.life.deadline(), at(8_001));
    }

    #[test]
    fn notice_is_checked_before_it_is_believed() {
        let mut life = bound(60_000);
        assert_eq!(life.notice(at(10), false), (Outcome::Holds, Some(Ask::Check)));
        assert!(!life.passes(at(11)));
        assert_eq!(life.answer(at(12), &alive(50_000)).0, Outcome::Passes);
        assert_eq!(life.notice(at(20), false), (Outcome::Holds, Some(Ask::Check)));
        assert_eq!(
            life.answer(at(23), &Answer::Gone).0,
            Outcome::Ended { cause: Cause::Deleted, detector: Detector::Notice, late_ms: 3 }
        );
    }

    #[test]
    fn answer_older_than_a_notice_is_not_believed() {
        let mut life = bound(60_000);
        assert!(life.activity(at(5)).is_some());
        assert_eq!(life.notice(at(6), false), (Outcome::Holds, None));
        assert_eq!(life.answer(at(7), &alive(60_000)), (Outcome::Same, Some(Ask::Check)));
        assert!(!life.passes(at(7)));
    }

    #[test]
    fn notice_while_loading_is_not_lost() {
        let mut life = Session::claimed(at(0));
        assert_eq!(life.join(at(0)), Some(Ask::Load));
        assert_eq!(life.notice(at(1), false), (Outcome::Same, None));
        assert_eq!(life.answer(at(2), &alive(60_000)), (Outcome::Same, Some(Ask::Load)));
        assert!(matches!(life.answer(at(3), &Answer::Gone).0, Outcome::Ended { .. }));
    }

    #[test]
    fn lost_store_passes_until_the_known_deadline_and_is_never_taken_for_the_end() {
        let mut life = bound(10_000);
        assert!(life.activity(at(1_000)).is_some());
        assert_eq!(life.answer(at(3_000), &Answer::Lost), (Outcome::Same, None));
        assert!(life.passes(at(9_999)));
        let mut now = 3_000;
        let mut held = false;
        while now < 299_000 {
            now = life.armed.as_millis().max(now);
            let (outcome, ask) = life.tick(at(now));
            held |= outcome == Outcome::Holds;
            if ask.is_some() {
                assert_eq!(life.answer(at(now), &Answer::Lost), (Outcome::Same, None));
            }
        }
        assert!(held && !life.passes(at(now)));
        assert!(matches!(life.tick(at(300_000)).0, Outcome::Ended { cause: Cause::StoreLost, .. }));
    }

    #[test]
    fn activity_reaches_the_store_when_it_is_back() {
        let mut life = bound(60_000);
        assert!(life.sweep(at(0)).is_some());
        let _ = life.answer(at(1), &Answer::Lost);
        assert_eq!(life.activity(at(500)), None);
        let (_, ask) = life.tick(at(1_001));
        assert_eq!(ask, Some(Ask::Touch { age_ms: 501 }));
    }

    #[test]
    fn a_lost_touch_is_not_forgotten() {
        let mut life = bound(10_000);
        assert!(life.activity(at(1_000)).is_some());
        let _ = life.answer(at(2_000), &Answer::Lost);
        let (_, ask) = life.tick(at(3_000));
        assert_eq!(ask, Some(Ask::Touch { age_ms: 2_000 }));
    }

    #[derive(Debug, Clone)]
    enum Step {
        Wait(u64),
        Activity,
        Tick,
        Join,
        Notice(bool),
        Sweep,
        Doubt(u64),
        Renamed,
        Answer(Answer),
    }

    fn step() -> impl Strategy<Value = Step> {
        let span = || prop_oneof![0..3_u64, 0..1_200_u64, 0..70_000_u64, 0..400_000_u64];
        let ttl = prop_oneof![0..2_000_u64, 0..100_000_u64];
        let answer = prop_oneof![
            8 => ttl.prop_map(alive),
            1 => Just(Answer::Alive { ttl_ms: None, record: None }),
            1 => Just(Answer::Gone),
            2 => Just(Answer::Lost),
        ];
        prop_oneof![
            6 => span().prop_map(Step::Wait),
            6 => Just(Step::Activity),
            3 => Just(Step::Tick),
            1 => Just(Step::Join),
            1 => any::<bool>().prop_map(Step::Notice),
            1 => Just(Step::Sweep),
            1 => span().prop_map(Step::Doubt),
            1 => Just(Step::Renamed),
            6 => answer.prop_map(Step::Answer),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]
        /// A session whose pulse rests asks the same at the same times as one whose life is asked at each activity, and
        /// its timer fires no later.
        #[test]
        fn resting_changes_nothing(steps in proptest::collection::vec(step(), 0..60)) {
            let mut resting = Session::claimed(at(0));
            let (mut life, mut pulse) = (resting.life, resting.pulse);
            let mut now = at(0);
            resting.join(now);
            life.join(now, &mut pulse);
            for step in steps {
                let (one, other) = match step {
                    Step::Wait(ms) => {
                        now = now.after(ms);
                        continue;
                    }
                    Step::Activity => {
                        let ask = resting.activity(now);
                        ((Outcome::Same, ask), (Outcome::Same, life.activity(now, &mut pulse, &TIMES)))
                    }
                    Step::Tick => (resting.tick(now), life.tick(now, &mut pulse, &TIMES)),
                    Step::Join => {
                        ((Outcome::Same, resting.join(now)), (Outcome::Same, life.join(now, &mut pulse)))
                    }
                    Step::Notice(expired) => (resting.notice(now, expired), life.notice(now, &mut pulse, expired)),
                    Step::Sweep => {
                        ((Outcome::Same, resting.sweep(now)), (Outcome::Same, life.sweep(now, &mut pulse)))
                    }
                    Step::Doubt(ms) => {
                        resting.step(now, |life, _| life.doubt(now.after(ms)));
                        life.doubt(now.after(ms));
                        continue;
                    }
                    Step::Renamed => {
                        let ask = resting.step(now, |life, pulse| life.renamed(now, pulse));
                        ((Outcome::Same, ask), (Outcome::Same, life.renamed(now, &mut pulse)))
                    }
                    Step::Answer(answer) if life.open.is_some() => {
                        (resting.answer(now, &answer), life.answer(now, &mut pulse, &answer, &TIMES))
                    }
                    Step::Answer(_) => continue,
                };
                prop_assert_eq!(one, other);
                prop_assert_eq!(resting.life.untold(now, &resting.pulse), life.untold(now, &pulse));
                prop_assert_eq!(resting.pulse.activity(), pulse.activity());
                prop_assert!(resting.armed <= life.due(now, &pulse, &TIMES));
                if matches!(one.0, Outcome::Ended { .. }) {
                    break;
                }
            }
        }
    }
}
