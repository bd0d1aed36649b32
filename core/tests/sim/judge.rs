//! The reference: who must be closed by when, and what may never happen.

use std::collections::BTreeMap;
use std::sync::Arc;

use tethered_core::config::Config;
use tethered_core::hub::Ended;
use tethered_core::ids::SocketId;
use tethered_core::session::{Answer, Cause, Op};

use crate::client::Seen;
use crate::world::Plan;

const SESSION_ENDED: &str = "This connection was established under an authenticated HTTP Session that has expired";

#[derive(Default)]
struct Seat {
    session: Option<Arc<str>>,
    hub: usize,
    joined: bool,
    left: Option<(u64, Cause)>,
    messages_after: u32,
    read_before: bool,
    /// Last number seen from each sender.
    last: BTreeMap<String, u32>,
}

#[derive(Default)]
struct Touches {
    count: u64,
    lives: u64,
    first: u64,
}

pub(crate) struct Judge {
    bound_ms: u64,
    touch_interval_ms: u64,
    timeout_ms: u64,
    memory: bool,
    seats: BTreeMap<usize, Seat>,
    /// When each session ended, in truth.
    ends: BTreeMap<Arc<str>, u64>,
    renamed: BTreeMap<Arc<str>, Arc<str>>,
    calls: BTreeMap<(usize, u64), (Arc<str>, u64)>,
    /// What each hub was last told of a session's end.
    deadlines: BTreeMap<(usize, Arc<str>), u64>,
    /// Since when each hub has to doubt a session.
    doubts: BTreeMap<(usize, Arc<str>), u64>,
    touches: BTreeMap<(usize, Arc<str>), Touches>,
    closes: BTreeMap<(usize, SocketId), u32>,
    away_since: Option<u64>,
    /// Time in which nobody can be expected to know: outages and what follows them.
    outages: Vec<(u64, u64)>,
}

impl Judge {
    pub(crate) fn new(plan: &Plan, config: &Config) -> Self {
        let calm = plan.lost_replies == 0 && plan.lost_notices == 0 && !plan.outages;
        let bound_ms = if plan.memory {
            40
        } else if calm {
            // A notice may be 3 s late here, an answer 2 s.
            5_100
        } else {
            // The sweep, and four answers in a row that are lost.
            config.session.sweep_interval_ms + 4 * (config.session.reply_ms + 1_000) + 2_000
        };
        Self {
            bound_ms,
            touch_interval_ms: plan.touch_interval_ms,
            timeout_ms: plan.timeout_ms,
            memory: plan.memory,
            seats: BTreeMap::new(),
            ends: BTreeMap::new(),
            renamed: BTreeMap::new(),
            calls: BTreeMap::new(),
            deadlines: BTreeMap::new(),
            doubts: BTreeMap::new(),
            touches: BTreeMap::new(),
            closes: BTreeMap::new(),
            away_since: None,
            outages: Vec::new(),
        }
    }

    pub(crate) fn arrived(&mut self, n: usize, hub: usize) {
        self.seats.insert(n, Seat { hub, ..Seat::default() });
    }

    pub(crate) fn joined(&mut self, now: u64, n: usize, hub: usize, id: &Arc<str>) {
        let _ = now;
        let seat = self.seats.get_mut(&n).expect("it arrived");
        assert_eq!(seat.hub, hub);
        seat.joined = true;
        seat.session = Some(id.clone());
    }

    pub(crate) fn logged_in(&mut self, _: u64, id: &Arc<str>) {
        self.ends.remove(id);
    }

    pub(crate) fn left(&mut self, now: u64, n: usize, cause: Cause, alive: impl FnOnce(&Arc<str>) -> bool) {
        let id = self.seats[&n].session.clone().expect("it had joined");
        let id = self.current(&id);
        match cause {
            Cause::Expired | Cause::Deleted | Cause::LoggedOut | Cause::Revoked => {
                assert!(!alive(&id), "false close of client {n} at {now}: {id} is alive, cause {cause:?}");
                if let Some(&end) = self.ends.get(&id) {
                    let late = now - end;
                    let bound = self.bound(end);
                    assert!(
                        late <= bound,
                        "client {n} was closed {late} ms after the end of {id} at {end}, bound {bound}"
                    );
                }
            }
            Cause::Rotated => assert!(self.renamed.values().any(|to| *to == id), "{id} never got another id"),
            Cause::StoreLost => {
                assert!(!self.outages.is_empty() || self.away_since.is_some(), "the store was never away");
            }
            Cause::Violation => panic!("client {n} broke nothing"),
            _ => {}
        }
        let seat = self.seats.get_mut(&n).expect("it arrived");
        assert!(seat.left.is_none(), "client {n} left twice");
        seat.left = Some((now, cause));
    }

    pub(crate) fn found(&mut self, now: u64, ended: &Ended) {
        if self.memory {
            assert!(ended.late_ms <= TICK_MS, "found {} ms late at {now}: {ended:?}", ended.late_ms);
        }
    }

    pub(crate) fn delivered(&mut self, now: u64, n: usize) {
        let seat = &self.seats[&n];
        assert!(seat.left.is_none(), "client {n} is gone and was heard at {now}");
        let id = self.current(seat.session.as_ref().expect("bound"));
        let doubt = self.doubts.get(&(seat.hub, id.clone()));
        assert!(doubt.is_none(), "client {n} was heard at {now}, though {id} is in doubt since {doubt:?}");
        if let Some(&deadline) = self.deadlines.get(&(seat.hub, id.clone())) {
            assert!(now < deadline, "client {n} was heard at {now}, after the deadline {deadline} of {id}");
        }
    }

    /// Bytes went out to a client.
    pub(crate) fn wrote(&mut self, now: u64, n: usize) {
        let Some(seat) = self.seats.get(&n) else { return };
        let (hub, left) = (seat.hub, seat.left.is_some());
        if let Some(id) = seat.session.clone().filter(|_| !left) {
            let id = self.current(&id);
            if let Some(&deadline) = self.deadlines.get(&(hub, id.clone())) {
                assert!(
                    now < deadline + TICK_MS,
                    "client {n} was told something at {now}, after the deadline {deadline} of {id}"
                );
            }
            self.seats.get_mut(&n).expect("it arrived").read_before = true;
        }
    }

    pub(crate) fn seen(&mut self, now: u64, n: usize, seen: &Seen) {
        let Some(seat) = self.seats.get_mut(&n) else { return };
        match seen {
            Seen::Message { body } => {
                if let Some((left, cause)) = seat.left {
                    seat.messages_after += 1;
                    assert!(
                        seat.messages_after <= 1 && seat.read_before,
                        "client {n} left at {left} ({cause:?}) and reads {body} at {now}"
                    );
                }
                if let Some((sender, number)) = body.split_once(':') {
                    let number: u32 = number.parse().expect("a number");
                    let last = seat.last.insert(sender.to_owned(), number);
                    assert!(last.is_none_or(|last| last < number), "client {n} reads {body} after {last:?}");
                }
            }
            Seen::Close { code, reason } => {
                if let Some((_, cause)) = seat.left
                    && matches!(
                        cause,
                        Cause::Expired | Cause::Deleted | Cause::LoggedOut | Cause::Revoked | Cause::Rotated
                    )
                {
                    assert_eq!((*code, reason.as_str()), (1008, SESSION_ENDED));
                }
            }
            Seen::Error => panic!("client {n} broke nothing and got ERROR"),
            _ => {}
        }
    }

    pub(crate) fn ended(&mut self, now: u64, id: &Arc<str>) {
        self.ends.entry(id.clone()).or_insert(now);
    }

    pub(crate) fn renamed(&mut self, _: u64, from: &Arc<str>, to: &Arc<str>) {
        self.renamed.insert(from.clone(), to.clone());
        let told: Vec<_> =
            self.deadlines.iter().filter(|((_, id), _)| id == from).map(|((hub, _), at)| (*hub, *at)).collect();
        for (hub, at) in told {
            self.deadlines.insert((hub, to.clone()), at);
        }
    }

    /// A hub is told that something befell a session: until the store has answered a question asked after that, nothing
    /// may cross.
    pub(crate) fn noticed(&mut self, now: u64, hub: usize, id: &Arc<str>) {
        let id = self.current(id);
        if self.seats.values().any(|seat| seat.hub == hub && seat.left.is_none() && seat.session.as_ref() == Some(&id))
        {
            self.doubts.insert((hub, id), now);
        }
    }

    pub(crate) fn sent(&mut self, now: u64, hub: usize, call: Option<u64>, op: &Op) {
        let id = match op {
            Op::Load { id } | Op::Check { id } | Op::Touch { id, .. } => id,
            _ => return,
        };
        let touches =
            self.touches.entry((hub, id.clone())).or_insert_with(|| Touches { first: now, ..Touches::default() });
        match op {
            Op::Load { .. } => touches.lives += 1,
            Op::Touch { .. } => touches.count += 1,
            _ => {}
        }
        let time = now - touches.first;
        if let Some(intervals) = time.checked_div(self.touch_interval_ms) {
            let most = intervals + time / self.timeout_ms.saturating_sub(500).max(1) + 2 + 3 * touches.lives;
            assert!(touches.count <= most, "{} touches of {id} by hub {hub} in {time} ms", touches.count);
        }
        if let Some(call) = call {
            self.calls.insert((hub, call), (id.clone(), now));
        }
    }

    pub(crate) fn asked(&mut self, _: u64, _: usize, _: &Op) {}

    pub(crate) fn replied(&mut self, now: u64, hub: usize, call: u64, answer: &Answer) {
        let Some((id, asked)) = self.calls.remove(&(hub, call)) else { return };
        let key = (hub, self.current(&id));
        if *answer != Answer::Lost && self.doubts.get(&key).is_some_and(|&since| since <= asked) {
            self.doubts.remove(&key);
        }
        if let Answer::Alive { ttl_ms, .. } = answer {
            let deadline = ttl_ms.map_or(u64::MAX, |ms| now + ms);
            // An answer that came too late is not believed, so only a later one counts.
            let known = self.deadlines.entry((hub, self.current(&id))).or_insert(deadline);
            *known = (*known).max(deadline);
        }
    }

    pub(crate) fn outage(&mut self, now: u64, away: bool) {
        match (away, self.away_since) {
            (true, None) => self.away_since = Some(now),
            (false, Some(since)) => {
                self.outages.push((since, now));
                self.away_since = None;
            }
            _ => {}
        }
    }

    pub(crate) fn closed(&mut self, now: u64, hub: usize, socket: SocketId) {
        let times = self.closes.entry((hub, socket)).or_insert(0);
        *times += 1;
        assert_eq!(*times, 1, "socket {socket:?} of hub {hub} was closed twice, at {now}");
    }

    /// Whoever should be gone by now is.
    pub(crate) fn finish(&mut self, now: u64) {
        for (n, seat) in &self.seats {
            let Some(id) = seat.session.as_ref().filter(|_| seat.joined && seat.left.is_none()) else { continue };
            let id = self.current(id);
            if let Some(&end) = self.ends.get(&id) {
                assert!(
                    now <= end + self.bound(end),
                    "client {n} is still there, {} ms after the end of {id}",
                    now - end
                );
            }
        }
    }

    fn current(&self, id: &Arc<str>) -> Arc<str> {
        self.renamed.get(id).unwrap_or(id).clone()
    }

    /// How long after `end` everybody must be gone: what the store was away for does not count, nor the resync after it.
    fn bound(&self, end: u64) -> u64 {
        let mut limit = end + self.bound_ms;
        for &(since, until) in &self.outages {
            if since < limit && until > end.saturating_sub(self.bound_ms) {
                limit = limit.max(until + self.bound_ms);
            }
        }
        if self.away_since.is_some() { u64::MAX / 2 } else { limit - end }
    }
}

/// A deadline is noticed this much later at the most, in milliseconds.
const TICK_MS: u64 = 33;
