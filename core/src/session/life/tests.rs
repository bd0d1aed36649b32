use super::*;
use proptest::prelude::*;

const TIMES: Times = Times { touch_interval_ms: 1_000, look_every_ms: Some(60_000), blind_ms: 300_000 };

fn at(ms: u64) -> Instant {
    Instant::from_millis(ms)
}

fn alive(ttl_ms: u64) -> Answer {
    Answer::Alive { ttl_ms: Some(ttl_ms), record: None }
}

/// A life with its pulse. Whatever it does, its timer is armed after it, and it rests until the look after a touch.
struct Session {
    life: Life,
    pulse: Pulse,
    armed: Instant,
    look: Instant,
}

impl Session {
    fn claimed(now: Instant) -> Self {
        Self { life: Life::claimed(now), pulse: Pulse::new(now), armed: Instant::NEVER, look: Instant::NEVER }
    }

    fn step<T>(&mut self, step: impl FnOnce(&mut Life, &mut Pulse) -> T) -> T {
        let before = self.life.touched();
        let result = step(&mut self.life, &mut self.pulse);
        self.armed = self.armed.min(self.life.due(&self.pulse, &TIMES));
        if let Some(touched) = self.life.touched().filter(|touched| Some(*touched) != before) {
            self.look = touched.after(TIMES.touch_interval_ms);
        }
        self.life.rest(&mut self.pulse, &TIMES);
        result
    }

    fn join(&mut self, now: Instant) -> Option<Ask> {
        self.step(|life, pulse| life.join(now, pulse))
    }

    fn activity(&mut self, now: Instant) -> Option<Ask> {
        if self.pulse.beat(now) {
            // Whatever it would have led to is led to without it, by an answer or by the timer.
            let (mut life, mut pulse) = (self.life, self.pulse);
            assert_eq!(life.activity(now, &mut pulse, &TIMES), None);
            assert!(life.due(&pulse, &TIMES) >= self.armed);
            return None;
        }
        self.step(|life, pulse| life.activity(now, pulse, &TIMES))
    }

    fn notice(&mut self, now: Instant, expired: bool) -> (Outcome, Option<Ask>) {
        self.step(|life, pulse| life.notice(now, pulse, expired))
    }

    fn renamed(&mut self, now: Instant) -> Option<Ask> {
        self.step(|life, pulse| life.renamed(now, pulse))
    }

    fn sweep(&mut self, now: Instant) -> Option<Ask> {
        self.step(|life, pulse| life.sweep(now, pulse))
    }

    fn tick(&mut self, now: Instant) -> (Outcome, Option<Ask>) {
        self.armed = Instant::NEVER;
        self.step(|life, pulse| life.tick(now, pulse, &TIMES))
    }

    fn answer(&mut self, now: Instant, answer: &Answer) -> (Outcome, Option<Ask>) {
        self.step(|life, pulse| life.answer(now, pulse, answer, &TIMES))
    }

    fn passes(&self, now: Instant) -> bool {
        self.life.passes(now)
    }
}

#[test]
fn it_takes_32_bytes() {
    assert_eq!(size_of::<Life>(), 32);
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
    assert_eq!((life.armed, life.look), (at(60_000), at(1_100)));
    for (now, told) in [(1_099, false), (1_100, true), (60_099, true), (60_100, false)] {
        assert_eq!(life.life.has_to_tell(at(now), &life.pulse, &TIMES), told, "{now}");
    }
    assert_eq!(life.tick(at(1_100)), (Outcome::Same, Some(Ask::Touch { age_ms: 400 })));
}

#[test]
fn where_touches_are_far_apart_activity_arms_the_timer() {
    for (touch_interval_ms, looks) in [(60_000, true), (60_001, false)] {
        let times = Times { touch_interval_ms, look_every_ms: None, ..TIMES };
        let (mut life, mut pulse) = (Life::claimed(at(0)), Pulse::new(at(0)));
        let alive = alive(10_000_000);
        assert_eq!(times.looks(), looks);
        life.join(at(0), &mut pulse);
        life.answer(at(0), &mut pulse, &alive, &times);
        assert!(life.activity(at(1), &mut pulse, &times).is_some());
        life.answer(at(1), &mut pulse, &alive, &times);
        life.rest(&mut pulse, &times);
        assert_eq!(pulse.beat(at(2)), looks);
        assert_eq!(life.activity(at(2), &mut pulse, &times), None);
        assert_eq!(life.due(&pulse, &times), at(if looks { 10_000_001 } else { 60_002 }));
    }
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
fn an_answer_before_the_timer_passes_what_the_deadline_held() {
    let mut life = bound(5_000);
    assert_eq!(life.sweep(at(4_990)), Some(Ask::Check));
    assert_eq!(life.answer(at(4_999), &alive(1)), (Outcome::Same, None));
    assert_eq!(life.sweep(at(4_999)), Some(Ask::Check));
    assert!(!life.passes(at(5_000)));
    assert_eq!(life.answer(at(5_000), &alive(3_000)).0, Outcome::Passes);
    // Nor is it forgotten when the first answer is not believed.
    assert_eq!(life.sweep(at(7_990)), Some(Ask::Check));
    assert_eq!(life.join(at(7_991)), None);
    assert_eq!(life.answer(at(8_001), &alive(3_000)).0, Outcome::Same);
    assert!(!life.passes(at(8_001)));
    assert_eq!(life.answer(at(8_002), &alive(3_000)).0, Outcome::Passes);
}

#[test]
fn who_joins_is_told_who_it_is_whatever_else_is_asked() {
    let mut life = bound(60_000);
    assert_eq!(life.activity(at(5)), Some(Ask::Touch { age_ms: 0 }));
    assert_eq!(life.join(at(6)), None);
    assert_eq!(life.notice(at(7), false), (Outcome::Holds, None));
    assert_eq!(life.answer(at(8), &alive(60_000)), (Outcome::Same, Some(Ask::Load)));
    assert_eq!(life.renamed(at(9)), Some(Ask::Load));
    assert_eq!(life.sweep(at(10)), None);
    assert_eq!(life.answer(at(11), &alive(60_000)), (Outcome::Same, Some(Ask::Load)));
    assert_eq!(life.answer(at(12), &alive(60_000)).0, Outcome::Passes);
    assert_eq!(life.renamed(at(13)), Some(Ask::Check));
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
    assert_eq!(life.tick(at(300_000)), (Outcome::Same, Some(Ask::Touch { age_ms: 299_000 })));
    let (outcome, _) = life.answer(at(300_001), &Answer::Lost);
    assert_eq!(outcome, Outcome::Ended { cause: Cause::StoreLost, detector: Detector::Sweep, late_ms: 1 });
}

#[test]
fn who_slept_for_long_asks_before_it_takes_the_store_for_lost() {
    // Asked before, and the answer was read too late to count.
    let mut life = bound(3_600_000);
    assert!(life.sweep(at(10)).is_some());
    assert_eq!(life.answer(at(500_000), &Answer::Lost), (Outcome::Same, Some(Ask::Check)));
    assert!(life.passes(at(500_001)));
    assert_eq!(life.answer(at(500_002), &alive(3_600_000)), (Outcome::Same, None));
    assert!(life.passes(at(500_003)));
    // Away before as well.
    let mut life = bound(3_600_000);
    assert!(life.sweep(at(10)).is_some());
    assert_eq!(life.answer(at(20), &Answer::Lost), (Outcome::Same, None));
    assert_eq!(life.tick(at(500_000)), (Outcome::Same, Some(Ask::Check)));
    assert_eq!(life.life.due(&life.pulse, &TIMES), at(3_600_000), "nothing is due but the answer");
    // And away still.
    assert!(matches!(life.answer(at(500_001), &Answer::Lost).0, Outcome::Ended { cause: Cause::StoreLost, .. }));
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
    /// its timer or the look after its touch comes no later.
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
                    resting.step(|life, _| life.doubt(now.after(ms)));
                    life.doubt(now.after(ms));
                    continue;
                }
                Step::Renamed => {
                    let ask = resting.renamed(now);
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
            prop_assert!(resting.armed <= life.due(&pulse, &TIMES));
            if life.state == State::Alive && life.open.is_none() && pulse.untold() {
                prop_assert!(resting.armed.min(resting.look) <= life.touch_at(&TIMES));
            }
            if matches!(one.0, Outcome::Ended { .. }) {
                break;
            }
        }
    }
}
