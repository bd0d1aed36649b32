//! Activity: that it counts, and how much of it is told.

use tethered_core::session::Cause;

use super::{Judge, RETRY_MS, SPRING_MS, Seat};

impl Judge {
    /// What somebody said while all was well has made his session last.
    pub(super) fn must_have_counted(&self, now: u64, id: usize, end: u64) {
        let timeout = self.timeout_ms.min(self.fates[id].shortest_ms);
        for (n, seat) in self.seats.iter().enumerate() {
            // Who goes has his last word told; nobody sees to it that it arrives.
            let (here, went) = match seat.left {
                None => (true, None),
                Some((at, Cause::Peer)) => (true, Some(at)),
                Some(_) => (false, None),
            };
            let Some(said) = seat.said.filter(|_| here && seat.id == Some(id) && seat.joined && self.counts) else {
                continue;
            };
            // What was said in the last moment comes too late, and what Spring has read a moment before may be written.
            let in_time = said + SPRING_MS + 4 * self.latency_ms < end;
            let lasts = end + SPRING_MS + 4 * self.latency_ms >= said + timeout;
            // Where others stay, what who goes said last waits for its touch as what they say does.
            let stays = |other: &Seat| other.hub == seat.hub && other.id == Some(id) && other.joined;
            let alone = went.is_some_and(|at| {
                !self.seats.iter().any(|other| stays(other) && other.left.is_none_or(|(left, _)| left > at))
            });
            let waited = self.was_troubled_at(seat.hub, end.saturating_sub(RETRY_MS + self.touch_interval_ms), end);
            let excused = match went {
                Some(at) if self.was_troubled_at(seat.hub, said.saturating_sub(self.reply_ms), at + self.reply_ms) => {
                    true
                }
                _ => !alone && waited,
            };
            assert!(
                !in_time || lasts || excused,
                "client {n} said something at {said}, and {} ran out at {end}, seen at {now}: {:?}",
                self.fates[id].id,
                self.told[seat.hub][id]
            );
        }
    }

    pub(crate) fn touch_sent(&mut self, now: u64, hub: usize, id: usize) {
        let (interval, timeout) = (self.touch_interval_ms, self.timeout_ms.min(self.fates[id].shortest_ms));
        let told = &mut self.told[hub][id];
        if told.touches == 0 {
            told.first_touch = now;
        }
        told.touches += 1;
        let id = &self.fates[id].id;
        let time = now - told.first_touch;
        if let Some(intervals) = time.checked_div(interval) {
            // Near the end of its time a session may be touched twice: for an earlier message, and for one that came since.
            let ends = time / timeout.saturating_sub(500).max(1);
            let most = intervals + 2 * ends + 3 + 3 * told.loads;
            assert!(told.touches <= most, "{} touches of {id} by hub {hub} in {time} ms", told.touches);
        }
    }

    /// A client says something that may renew its session.
    pub(crate) fn speaks(&mut self, now: u64, n: usize) {
        let seat = &self.seats[n];
        let (hub, id) = (seat.hub, seat.id.unwrap_or(seat.claimed));
        self.seats[n].unheard = self.held_by;
        self.active(now, hub, id);
    }

    /// Something that may renew a session comes to a hub, under an id that may be an old one by now.
    pub(crate) fn active(&mut self, now: u64, hub: usize, id: usize) {
        let mut id = Some(id);
        for _ in 0..self.fates.len() {
            let Some(known) = id else { return };
            self.told[hub][known].active = Some(now);
            id = self.fates[known].moved.map(|(to, _)| to);
        }
    }

    /// A hub's touch has moved the last access to this time of the clock that everybody reads: nobody is said to have been
    /// active later than he was, but for the time that the command was under way.
    pub(crate) fn touched(&self, now: u64, hub: usize, id: usize, last: u64, sent: u64) {
        // What a hub renames itself on a Cluster is known here only once its page is read.
        let Some(active) = self.told[hub][id].active.or(self.follows.then_some(0)) else { return };
        let limit = active + (now - sent) + self.slack_ms + ROUNDING_MS;
        assert!(
            last <= limit,
            "hub {hub} says at {now} that {} was in use at {last}, and it was at {active}: {:?}",
            self.fates[id].id,
            self.told[hub][id]
        );
    }

    /// A touch was not taken for a reason that has it sent again.
    pub(crate) fn touch_again(&mut self, hub: usize, id: usize) {
        let told = &mut self.told[hub][id];
        told.touches = told.touches.saturating_sub(1);
    }
}

/// How far two roundings of a time may lie apart, in milliseconds.
const ROUNDING_MS: u64 = 2;
