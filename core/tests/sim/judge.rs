//! The reference: who must be closed by when, and what may never happen.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tethered_core::config::Config;
use tethered_core::hub::Ended;
use tethered_core::ids::SocketId;
use tethered_core::session::{Answer, Cause, Op};

use crate::client::Seen;
use crate::plan::Plan;

const SESSION_ENDED: &str = "This connection was established under an authenticated HTTP Session that has expired";

#[derive(Default)]
struct Seat {
    session: Option<Arc<str>>,
    hub: usize,
    joined: bool,
    left: Option<(u64, Cause)>,
    /// It has said its last word by itself.
    parted: bool,
    /// Nothing may be lent to it but the rest of a frame that was begun, and a Close: how many more messages it may
    /// come to read by that.
    barred: Option<u32>,
    /// It has read a Close.
    closed: bool,
    /// From when on one that polls may be taken for gone.
    goes: Option<u64>,
    /// One that polls has perhaps been forgotten, and come anew.
    anew: bool,
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
    reply_ms: u64,
    blind_ms: u64,
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
    /// When each hub believes that a session ends, by the last answer.
    believed: BTreeMap<(usize, Arc<str>), u64>,
    /// When the store last vouched for a session, to each hub.
    confirmed: BTreeMap<(usize, Arc<str>), u64>,
    /// Sessions that the store has vouched for since there was last a doubt.
    clear: BTreeSet<(usize, Arc<str>)>,
    /// Sessions that each hub was told are no more.
    gone: BTreeSet<(usize, Arc<str>)>,
    /// How many have left since the last end of a session, for such an end, by hub.
    cut: BTreeMap<usize, usize>,
    /// When the user of each session last did anything that could renew it.
    active: BTreeMap<Arc<str>, u64>,
    /// When the store last answered for each session, to each hub.
    vouched: BTreeMap<(usize, Arc<str>), u64>,
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
            reply_ms: config.session.reply_ms,
            blind_ms: config.session.blind_ms,
            memory: plan.memory,
            seats: BTreeMap::new(),
            ends: BTreeMap::new(),
            renamed: BTreeMap::new(),
            calls: BTreeMap::new(),
            deadlines: BTreeMap::new(),
            doubts: BTreeMap::new(),
            touches: BTreeMap::new(),
            closes: BTreeMap::new(),
            believed: BTreeMap::new(),
            confirmed: BTreeMap::new(),
            clear: BTreeSet::new(),
            gone: BTreeSet::new(),
            cut: BTreeMap::new(),
            active: BTreeMap::new(),
            vouched: BTreeMap::new(),
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

    /// The session of a client that has joined.
    pub(crate) fn session_of(&self, n: usize) -> Option<Arc<str>> {
        self.seats.get(&n)?.session.as_ref().map(|id| self.current(id))
    }

    /// The same, unless it has left.
    pub(crate) fn present(&self, n: usize) -> Option<Arc<str>> {
        self.session_of(n).filter(|_| self.seats[&n].left.is_none())
    }

    /// It says DISCONNECT, or what leads to ERROR.
    pub(crate) fn parted(&mut self, n: usize) {
        self.seats.get_mut(&n).expect("it arrived").parted = true;
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
                let confirmed = self.confirmed.get(&(self.seats[&n].hub, id)).copied().unwrap_or(0);
                assert!(
                    now >= confirmed + self.blind_ms,
                    "the store vouched at {confirmed} for client {n}, given up at {now}"
                );
            }
            Cause::Violation => assert!(self.seats[&n].parted, "client {n} broke nothing"),
            Cause::Peer if n >= POLLERS => {
                let seat = &self.seats[&n];
                let gone = seat.parted || seat.goes.is_some_and(|at| now >= at);
                assert!(gone, "client {n} was there, and taken for gone at {now}");
            }
            _ => {}
        }
        let seat = self.seats.get_mut(&n).expect("it arrived");
        assert!(seat.left.is_none(), "client {n} left twice");
        seat.left = Some((now, cause));
        if is_end(cause) {
            *self.cut.entry(seat.hub).or_insert(0) += 1;
        }
    }

    pub(crate) fn found(&mut self, now: u64, hub: usize, ended: &Ended) {
        // Those that poll may have left, and have messages to fetch, or have come anew.
        let rest = |n: usize, seat: &Seat| n >= POLLERS && (seat.anew || seat.parted && !seat.closed);
        let strangers = self.seats.iter().filter(|(n, seat)| seat.hub == hub && (!seat.joined || rest(**n, seat)));
        let strangers = strangers.count();
        let left = self.cut.insert(hub, 0).unwrap_or(0);
        let counted = (left..=left + strangers).contains(&(ended.sockets as usize));
        assert!(counted, "{left} were cut off, and perhaps {strangers} that had not joined, at {now}: {ended:?}");
        if self.memory {
            assert!(ended.late_ms <= TICK_MS, "found {} ms late at {now}: {ended:?}", ended.late_ms);
        }
    }

    pub(crate) fn delivered(&mut self, now: u64, n: usize, alive: bool) {
        let seat = &self.seats[&n];
        assert!(seat.left.is_none(), "client {n} is gone and was heard at {now}");
        let why = self.bar(now, seat, alive);
        assert!(why.is_none(), "client {n} was heard at {now}, though {}", why.unwrap_or_default());
    }

    /// Why nothing may cross.
    fn bar(&self, now: u64, seat: &Seat, alive: bool) -> Option<String> {
        let key = (seat.hub, self.current(seat.session.as_ref()?));
        let id = &key.1;
        if !alive {
            return Some(format!("{id} is over"));
        }
        if self.gone.contains(&key) {
            return Some(format!("the hub knows that {id} is over"));
        }
        if let Some(since) = self.doubts.get(&key) {
            return Some(format!("{id} is in doubt since {since}"));
        }
        let deadline = self.deadlines.get(&key).filter(|deadline| now >= **deadline)?;
        Some(format!("the deadline of {id} was {deadline}"))
    }

    /// Bytes are lent for a client, which may have read the beginning of a frame.
    pub(crate) fn lent(&mut self, now: u64, n: usize, within_frame: bool, alive: bool) {
        let Some(seat) = self.seats.get(&n) else { return };
        let ended = seat.left.is_some_and(|(_, cause)| is_end(cause));
        let why = self.bar(now, seat, alive);
        assert!(
            why.is_none() || seat.left.is_some(),
            "client {n} is told something at {now}, though {}",
            why.unwrap_or_default()
        );
        let barred = (why.is_some() || ended).then_some(u32::from(within_frame));
        let seat = self.seats.get_mut(&n).expect("it arrived");
        seat.barred = barred.map(|first| seat.barred.unwrap_or(first));
    }

    pub(crate) fn seen(&mut self, now: u64, n: usize, seen: &Seen) {
        let Some(seat) = self.seats.get_mut(&n) else { return };
        assert!(!seat.closed, "client {n} reads {seen:?} behind a Close");
        if let (Some(left), Seen::Message { .. } | Seen::Receipt | Seen::Error) = (&mut seat.barred, seen) {
            assert!(*left > 0, "client {n} reads {seen:?} at {now}, though its session is over or in doubt");
            *left -= 1;
        }
        self.heard(now, n, seen);
    }

    /// The same, but for what may cross.
    pub(crate) fn heard(&mut self, _: u64, n: usize, seen: &Seen) {
        let Some(seat) = self.seats.get_mut(&n) else { return };
        match seen {
            Seen::Message { body } => {
                assert!(seat.joined, "client {n} reads {body} before it has joined");
                if let Some((sender, number)) = body.split_once(':') {
                    let number: u32 = number.parse().expect("a number");
                    let last = seat.last.insert(sender.to_owned(), number);
                    assert!(last.is_none_or(|last| last < number), "client {n} reads {body} after {last:?}");
                }
            }
            Seen::Close { code, reason } => {
                seat.closed = true;
                let expected = match seat.left {
                    Some((_, Cause::Expired | Cause::Deleted | Cause::LoggedOut | Cause::Revoked | Cause::Rotated)) => {
                        (1008, SESSION_ENDED)
                    }
                    Some((_, Cause::Peer)) => (1000, ""),
                    Some((_, Cause::Violation)) => (1002, ""),
                    _ => return,
                };
                assert_eq!((*code, reason.as_str()), expected, "client {n}, {:?}", seat.left);
            }
            Seen::Error => assert!(seat.parted, "client {n} broke nothing and got ERROR"),
            _ => {}
        }
    }

    /// One that polls reads a frame with messages.
    pub(crate) fn framed(&mut self, now: u64, n: usize) {
        let seat = self.seats.get_mut(&n).expect("it arrived");
        assert!(!seat.closed, "client {n} reads messages behind its close frame");
        if let Some(left) = &mut seat.barred {
            assert!(*left > 0, "client {n} reads messages at {now}, though its session is over or in doubt");
            *left -= 1;
        }
    }

    /// One that polls is told of its end, perhaps again.
    pub(crate) fn told(&mut self, now: u64, n: usize, code: u16, reason: &str, broken: bool, over: bool) {
        let seat = self.seats.get_mut(&n).expect("it arrived");
        seat.closed = true;
        let Some((_, cause)) = seat.left else {
            // It never joined, so it did not leave.
            let true_end = over && (code, reason) == (1008, SESSION_ENDED) || code == 1013;
            let gone = broken && (code, reason) == (1002, "Connection interrupted");
            assert!(!seat.joined && (true_end || gone), "client {n} is told {code} {reason} at {now}, and is there");
            return;
        };
        let expected = match cause {
            Cause::Expired | Cause::Deleted | Cause::LoggedOut | Cause::Revoked | Cause::Rotated => {
                (1008, SESSION_ENDED)
            }
            Cause::StoreLost => (1013, reason),
            Cause::Peer if seat.parted && code == 1000 => (1000, ""),
            Cause::Peer if broken => (1002, "Connection interrupted"),
            Cause::Violation => (1002, ""),
            Cause::Slow => (4500, "Too slow: what was sent is not read"),
            cause => panic!("client {n} left for {cause:?}"),
        };
        assert_eq!((code, reason), expected, "client {n}, {:?}", seat.left);
    }

    /// From when on one that polls may be taken for gone.
    pub(crate) fn may_go(&mut self, n: usize, at: Option<u64>) {
        self.seats.get_mut(&n).expect("it arrived").goes = at;
    }

    /// One that polls has perhaps been forgotten, and comes anew.
    pub(crate) fn comes_anew(&mut self, n: usize) {
        self.seats.get_mut(&n).expect("it arrived").anew = true;
    }

    pub(crate) fn has_joined(&self, n: usize) -> bool {
        self.seats[&n].joined
    }

    pub(crate) fn has_left(&self, n: usize) -> bool {
        self.seats[&n].left.is_some()
    }

    /// Whether it has left, and nothing holds back what it is told of that.
    pub(crate) fn must_know(&self, now: u64, n: usize, alive: bool) -> bool {
        let seat = &self.seats[&n];
        let clear =
            || self.session_of(n).is_some_and(|id| if self.memory { alive } else { self.is_clear(now, seat.hub, &id) });
        seat.left.is_some_and(|(_, cause)| is_end(cause) || clear())
    }

    /// Whether it has left by itself.
    pub(crate) fn has_parted(&self, n: usize) -> bool {
        self.seats[&n].left.is_some_and(|(_, cause)| matches!(cause, Cause::Violation | Cause::Peer))
    }

    /// When it left; 0 if it has not.
    pub(crate) fn left_at(&self, n: usize) -> u64 {
        self.seats[&n].left.map_or(0, |(at, _)| at)
    }

    /// The user of a session does what may renew it.
    pub(crate) fn active(&mut self, now: u64, id: &Arc<str>) {
        let id = self.current(id);
        self.active.insert(id, now);
    }

    /// A session lives: somebody did something not too long ago.
    pub(crate) fn lives(&self, now: u64, id: &Arc<str>) {
        let active = self.active.get(&self.current(id)).copied().unwrap_or(0);
        let most = active + self.timeout_ms + TICK_MS;
        assert!(now <= most, "{id} is alive at {now}, and was last used at {active}");
    }

    pub(crate) fn ended(&mut self, now: u64, id: &Arc<str>) {
        self.ends.entry(id.clone()).or_insert(now);
    }

    pub(crate) fn renamed(&mut self, _: u64, from: &Arc<str>, to: &Arc<str>) {
        self.renamed.insert(from.clone(), to.clone());
        if let Some(active) = self.active.remove(from) {
            self.active.insert(to.clone(), active);
        }
        for book in [&mut self.deadlines, &mut self.confirmed, &mut self.vouched] {
            let told: Vec<_> =
                book.iter().filter(|((_, id), _)| id == from).map(|((hub, _), at)| (*hub, *at)).collect();
            book.extend(told.into_iter().map(|(hub, at)| ((hub, to.clone()), at)));
        }
        self.clear.retain(|(_, id)| id != from);
    }

    /// A hub is told that something befell a session: until the store has answered a question asked after that, nothing
    /// may cross.
    pub(crate) fn noticed(&mut self, now: u64, hub: usize, id: &Arc<str>) {
        if self.renamed.contains_key(id) {
            // What befell an id that the session no longer has is no concern of it.
            return;
        }
        let id = id.clone();
        self.clear.remove(&(hub, id.clone()));
        if self.seats.values().any(|seat| seat.hub == hub && !seat.closed && self.is_of(seat, &id)) {
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
        if !matches!(op, Op::Touch { .. }) {
            // An answer that was not believed is asked for again.
            self.clear.remove(&(hub, id.clone()));
        }
        match op {
            Op::Load { .. } => touches.lives += 1,
            Op::Touch { .. } => touches.count += 1,
            _ => {}
        }
        if let Op::Touch { age_ms, .. } = op {
            let claimed = now - age_ms;
            let active = self.active.get(&self.renamed.get(id).unwrap_or(id).clone()).copied().unwrap_or(0);
            assert!(claimed <= active, "{id} is renewed for {claimed}, and was last used at {active}");
        }
        let time = now - touches.first;
        if let Some(intervals) = time.checked_div(self.touch_interval_ms) {
            let most = intervals + time / self.timeout_ms.saturating_sub(500).max(1) + 2 + 3 * touches.lives;
            assert!(touches.count <= most, "{} touches of {id} by hub {hub} in {time} ms", touches.count);
        }
        if let Some(call) = call {
            // One question at a time: an earlier one was given up, or asked for clients that are gone.
            self.calls.retain(|(of, _), (other, _)| *of != hub || other != id);
            self.calls.insert((hub, call), (id.clone(), now));
        }
    }

    pub(crate) fn asked(&mut self, _: u64, _: usize, _: &Op) {}

    pub(crate) fn replied(&mut self, now: u64, hub: usize, call: u64, answer: &Answer) {
        let Some((id, asked)) = self.calls.remove(&(hub, call)) else { return };
        if self.renamed.contains_key(&id) {
            // What is said of an id that the session no longer has is not believed.
            return;
        }
        let key = (hub, self.current(&id));
        if matches!(answer, Answer::Alive { .. }) {
            // What came since the store last vouched for it may have been held, and is heard now.
            let before = self.vouched.insert(key.clone(), now).unwrap_or(0);
            if let Some(active) = self.active.get_mut(&key.1).filter(|active| **active >= before) {
                *active = now;
            }
        }
        if *answer != Answer::Lost && self.doubts.get(&key).is_some_and(|&since| since <= asked) {
            self.doubts.remove(&key);
        }
        if *answer == Answer::Gone {
            self.gone.insert(key.clone());
        }
        if self.believed.get(&key).is_some_and(|&deadline| now >= deadline) {
            self.clear.remove(&key);
        }
        if let Answer::Alive { ttl_ms, .. } = answer {
            let deadline = ttl_ms.map_or(u64::MAX, |ms| now + ms);
            // An answer that came too late is not believed, so only a later one counts.
            let known = self.deadlines.entry(key.clone()).or_insert(deadline);
            *known = (*known).max(deadline);
            self.believed.insert(key.clone(), deadline);
            self.confirmed.insert(key.clone(), now);
            if !self.is_asked(now, hub, &key.1) && !self.doubts.contains_key(&key) {
                self.clear.insert(key);
            }
        }
    }

    /// Whether a hub waits for an answer about a session.
    pub(crate) fn is_asked(&self, now: u64, hub: usize, id: &Arc<str>) -> bool {
        self.calls
            .iter()
            .any(|((of, _), (about, asked))| *of == hub && self.current(about) == *id && now < asked + self.reply_ms)
    }

    /// Whether the store has vouched for the session of a client, and nothing has made that doubtful since.
    pub(crate) fn must_pass(&self, now: u64, n: usize) -> bool {
        self.present(n).is_some_and(|id| self.is_clear(now, self.seats[&n].hub, &id))
    }

    /// Whether the store has vouched for a session to a hub, and nothing has made that doubtful since.
    pub(crate) fn is_clear(&self, now: u64, hub: usize, id: &Arc<str>) -> bool {
        let key = (hub, id.clone());
        self.clear.contains(&key) && self.believed.get(&key).is_some_and(|&deadline| now < deadline)
    }

    fn is_of(&self, seat: &Seat, id: &Arc<str>) -> bool {
        seat.session.as_ref().is_some_and(|of| self.current(of) == *id)
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

/// Whether it is the end of a session that is why.
fn is_end(cause: Cause) -> bool {
    use Cause::{Deleted, Expired, LoggedOut, Revoked, Rotated, StoreLost};
    matches!(cause, Expired | Deleted | LoggedOut | Revoked | Rotated | StoreLost)
}

/// Seats from here on are those of clients that poll.
const POLLERS: usize = 1_000;
/// A deadline is noticed this much later at the most, in milliseconds.
const TICK_MS: u64 = 33;
