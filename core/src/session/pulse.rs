//! When a session was last active: the part of its life that each message writes.

use crate::time::Instant;

/// 12 bytes that lie apart from the rest of a [`Life`](super::life::Life), in an array of their own: most messages of a
/// session lead to nothing but a later touch, which will be seen to, and need no more than this.
#[derive(Debug, Clone, Copy, Default)]
#[repr(C, packed(4))]
pub(crate) struct Pulse {
    /// The last message that renews.
    activity: Instant,
    /// [`UNTOLD`], and for how many milliseconds after the last activity more of it is only to be noted.
    rest: u32,
}

impl Pulse {
    /// Nothing was ever heard; `now` stands for the last activity.
    pub(crate) fn new(now: Instant) -> Self {
        Self { activity: now, rest: 0 }
    }

    /// Notes activity at `now`, if that is all it leads to; false if the life has to be asked.
    pub(crate) fn beat(&mut self, now: Instant) -> bool {
        let (passed, left) = (now.since(self.activity), self.rest & !UNTOLD);
        let resting = passed < u64::from(left);
        if resting {
            self.activity = now;
            self.rest = UNTOLD | (left - passed as u32);
        }
        resting
    }

    /// Notes activity at `now`.
    pub(super) fn note(&mut self, now: Instant) {
        self.activity = now;
        self.rest = UNTOLD;
    }

    /// There was activity at `at`, which may be earlier than what is known: that is told of with the later one.
    pub(crate) fn heard(&mut self, at: Instant) {
        if at > self.activity() {
            self.note(at);
        }
    }

    /// Up to `until` activity is only to be noted. As long as 2^31 ms at most: then it is asked again.
    pub(super) fn rest_until(&mut self, until: Instant) {
        let span = until.since(self.activity).min(u64::from(!UNTOLD));
        self.rest = self.rest & UNTOLD | span as u32;
    }

    /// When the last message that renews came.
    pub(crate) fn activity(&self) -> Instant {
        self.activity
    }

    /// Whether there was activity that no touch has carried yet.
    pub(crate) fn untold(&self) -> bool {
        self.rest & UNTOLD != 0
    }

    pub(super) fn set_untold(&mut self, untold: bool) {
        self.rest = self.rest & !UNTOLD | if untold { UNTOLD } else { 0 };
    }
}

/// There was activity that no touch has carried yet.
const UNTOLD: u32 = 1 << 31;

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Instant {
        Instant::from_millis(ms)
    }

    #[test]
    fn it_takes_12_bytes() {
        assert_eq!((size_of::<Pulse>(), align_of::<Pulse>()), (12, 4));
    }

    #[test]
    fn only_noted_until_the_rest_is_over() {
        let mut pulse = Pulse::new(at(1_000));
        assert!(!pulse.beat(at(1_000)), "nobody said that it may rest");
        pulse.rest_until(at(2_000));
        assert!(!pulse.untold());
        for now in [1_000, 1_300, 1_300, 1_999] {
            assert!(pulse.beat(at(now)) && pulse.untold());
            assert_eq!(pulse.activity(), at(now));
        }
        assert!(!pulse.beat(at(2_000)));
        assert_eq!(pulse.activity(), at(1_999));
        pulse.note(at(2_000));
        assert!(pulse.untold() && !pulse.beat(at(2_000)));
    }

    #[test]
    fn telling_and_resting_do_not_disturb_each_other() {
        let mut pulse = Pulse::new(at(0));
        pulse.rest_until(at(500));
        pulse.set_untold(true);
        assert!(pulse.untold() && pulse.beat(at(100)));
        pulse.set_untold(false);
        assert!(!pulse.untold() && pulse.beat(at(499)) && pulse.untold());
        pulse.rest_until(at(0));
        assert!(pulse.untold() && !pulse.beat(at(499)));
    }

    #[test]
    fn t03_t04_no_rest_is_longer_than_it_was_said_to_be() {
        const LONGEST: u64 = (1 << 31) - 1;
        let mut pulse = Pulse::new(at(7));
        pulse.rest_until(Instant::NEVER);
        assert!(pulse.beat(at(7 + LONGEST - 1)));
        assert!(!pulse.beat(at(7 + LONGEST)));
        for now in [1 << 32, 1 << 33, u64::MAX - 1, u64::MAX] {
            let mut pulse = pulse;
            assert!(!pulse.beat(at(now)), "{now}");
        }
    }
}
