//! Questions that wait for room among those under way, and the pace of touches after an outage.

use alloc::collections::VecDeque;

use super::work::Id;
use crate::time::Instant;

/// What waits, in the order in which it goes out.
#[derive(Debug)]
pub(super) struct Queues {
    /// Somebody waits for a page or a handshake.
    urgent: VecDeque<Id>,
    /// Sessions that are looked at or renewed.
    bulk: VecDeque<Id>,
    /// Renewals that piled up while the store was away.
    paced: VecDeque<Id>,
    pace: Option<Pace>,
    rate: u64,
    ever_up: bool,
}

/// So many touches a second, for a while.
#[derive(Debug, Clone, Copy)]
struct Pace {
    since: Instant,
    /// When the next one may go out, in microseconds.
    next_us: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Urgent,
    Check,
    Touch,
}

impl Queues {
    pub(super) fn new(rate: u32) -> Self {
        let (urgent, bulk, paced) = (VecDeque::new(), VecDeque::new(), VecDeque::new());
        Self { urgent, bulk, paced, pace: None, rate: u64::from(rate), ever_up: false }
    }

    /// The store is there; after an outage renewals are paced.
    pub(super) fn connected(&mut self, now: Instant) {
        if core::mem::replace(&mut self.ever_up, true) {
            self.pace = Some(Pace { since: now, next_us: 0 });
        }
    }

    pub(super) fn push(&mut self, kind: Kind, id: Id) {
        match kind {
            Kind::Urgent => self.urgent.push_back(id),
            Kind::Touch if self.pace.is_some() => self.paced.push_back(id),
            Kind::Check | Kind::Touch => self.bulk.push_back(id),
        }
    }

    /// The next one that may go out. One that is no longer wanted is the caller's to skip.
    pub(super) fn pop(&mut self, now: Instant) -> Option<Id> {
        self.urgent.pop_front().or_else(|| self.bulk.pop_front()).or_else(|| self.pop_paced(now))
    }

    fn pop_paced(&mut self, now: Instant) -> Option<Id> {
        if let Some(pace) = &mut self.pace {
            if self.paced.is_empty() {
                if now.since(pace.since) >= PACED_MS {
                    self.pace = None;
                }
                return None;
            }
            let now_us = now.as_millis().saturating_mul(1_000);
            if pace.next_us > now_us {
                return None;
            }
            pace.next_us = pace.next_us.max(now_us.saturating_sub(1_000)).saturating_add(1_000_000 / self.rate);
        }
        self.paced.pop_front()
    }

    /// When more may go out, if that is a matter of time.
    pub(super) fn due(&self) -> Option<Instant> {
        let pace = self.pace.filter(|_| !self.paced.is_empty())?;
        Some(Instant::from_millis(pace.next_us.div_ceil(1_000)))
    }
}

/// Renewals are paced for this long at least after the store has come back, in milliseconds: each session tries again
/// within a second.
const PACED_MS: u64 = 3_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Instant {
        Instant::from_millis(ms)
    }

    #[test]
    fn r13_touches_after_an_outage_are_paced_and_nothing_else_is() {
        let mut queues = Queues::new(5_000);
        queues.connected(at(0));
        queues.push(Kind::Touch, Id::for_tests(1));
        assert!(queues.pop(at(0)).is_some());
        queues.connected(at(10_000));
        for i in 0..20_000 {
            queues.push(Kind::Touch, Id::for_tests(i));
        }
        queues.push(Kind::Check, Id::for_tests(1));
        queues.push(Kind::Urgent, Id::for_tests(2));
        assert_eq!(queues.pop(at(10_000)), Some(Id::for_tests(2)));
        assert_eq!(queues.pop(at(10_000)), Some(Id::for_tests(1)));
        let (mut now, mut sent) = (10_000, 0_u64);
        while queues.due().is_some() {
            let mut this_time = 0;
            while queues.pop(at(now)).is_some() {
                this_time += 1;
            }
            sent += this_time;
            assert!(sent <= 5 * (now - 10_000) + 6, "{sent} by {now}");
            now += 1;
        }
        assert_eq!(sent, 20_000);
        assert!((13_999..14_003).contains(&now), "{now}");
        // Over: the next ones go out at once.
        assert!(queues.pop(at(now)).is_none());
        for i in 0..9 {
            queues.push(Kind::Touch, Id::for_tests(i));
        }
        for i in 0..9 {
            assert_eq!(queues.pop(at(now)), Some(Id::for_tests(i)));
        }
    }
}
