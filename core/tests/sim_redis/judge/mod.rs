//! The reference: who must be closed by when, and what may never happen.

mod activity;
mod fate;
mod seat;
mod truth;

use std::sync::Arc;

use tethered_core::config::{CloseBound, Config};
use tethered_core::session::Cause;

pub(crate) use fate::{Fate, Turn};
pub(crate) use seat::Seat;
pub(crate) use truth::{Shape, Truth};

use crate::client::Seen;
use crate::plan::{Plan, Scripts};
use crate::redis::Redis;
use crate::values::Names;

pub(crate) const SESSION_ENDED: &str =
    "This connection was established under an authenticated HTTP Session that has expired";

/// What a hub was told of a session.
#[derive(Debug, Clone, Default)]
pub(crate) struct Told {
    /// Until when it may let anything pass.
    pub(crate) deadline: u64,
    /// When it was last told that the session lives.
    pub(crate) confirmed: Option<u64>,
    /// The same, leaving out what it may have been told for a page.
    sockets_confirmed: Option<u64>,
    /// When Redis carried out the last command that it knows the reply to.
    pub(crate) executed: Option<u64>,
    /// When a notice of its end reached it, at which it had ended.
    pub(crate) heard: Option<u64>,
    /// When the latest of those questions was sent that it was told lives.
    vouched_sent: Option<u64>,
    touches: u64,
    loads: u64,
    first_touch: u64,
    /// When somebody last said something here that may renew it.
    active: Option<u64>,
}

/// What Redis replied, as far as it counts here.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Word {
    pub(crate) id: usize,
    pub(crate) sent: u64,
    pub(crate) executed: u64,
    pub(crate) truth: Truth,
    /// It may have been asked for a page: sockets are not told of that.
    pub(crate) for_page: bool,
}

pub(crate) struct Judge {
    pub(crate) bound: CloseBound,
    plain: bool,
    /// Whether a session that is renamed can be followed.
    follows: bool,
    /// Whether the end of a session is announced at some time, or never.
    announces: bool,
    /// Whether nothing but sockets, Spring and time itself changes when a session ends: what was said counts.
    counts: bool,
    /// Whether whoever gives a session another id says at once whose it is.
    changes_hands_at_once: bool,
    latency_ms: u64,
    check_interval_ms: u64,
    /// Whether what a hub knows of a deadline may be as old as a reply takes.
    slack_ms: u64,
    /// What is said may be held until so many more replies have come: of questions from before a notice, and again.
    held_by: u8,
    touch_interval_ms: u64,
    timeout_ms: u64,
    reply_ms: u64,
    blind_ms: u64,
    /// The sessions that there have been, by their ids.
    pub(crate) fates: Vec<Fate>,
    pub(crate) told: Vec<Vec<Told>>,
    pub(crate) seats: Vec<Seat>,
    /// For each hub: when something was wrong between it and Redis.
    troubles: Vec<Vec<(u64, u64)>>,
    /// Since when something is.
    troubled: Vec<Option<u64>>,
    /// For each hub: since when commands are answered, whether or not it is told of ends.
    answered: Vec<Option<u64>>,
    /// For each hub: until when its process has slept.
    asleep: Vec<u64>,
    /// How many were cut off since the last end of a session, by hub.
    pub(crate) cut: Vec<usize>,
    /// Since when Redis is away.
    pub(crate) away: Option<u64>,
}

impl Judge {
    pub(crate) fn new(plan: &Plan, config: &Config) -> Self {
        // Where replies are prompt, so are the hubs; but an echo that comes late they wait for as long as for a reply.
        let mut prompt = config.clone();
        if plan.faults.leaves_replies_alone() && plan.faults.late_notices == 0 {
            prompt.session.reply_ms = prompt.session.reply_ms.min(10 * plan.latency_ms + 40);
        }
        let split = plan.cluster || plan.scripts != Scripts::Allowed;
        Self {
            bound: prompt.close_bound(),
            changes_hands_at_once: plan.faults.stalls + plan.faults.hands == 0,
            plain: plan.layout == tethered_core::session::spring::Layout::Plain,
            follows: !plan.cluster && plan.may_config,
            announces: plan.may_config || announces(plan.flags),
            counts: plan.faults.leaves_ends_alone(),
            latency_ms: plan.latency_ms,
            check_interval_ms: plan.check_interval_ms,
            slack_ms: if split { 2 * config.session.reply_ms } else { 0 },
            held_by: if split { 25 } else { 5 },
            touch_interval_ms: plan.touch_interval_ms,
            timeout_ms: plan.timeout_s * 1_000,
            reply_ms: config.session.reply_ms,
            blind_ms: config.session.blind_ms,
            fates: Vec::new(),
            told: vec![Vec::new(); plan.hubs],
            seats: Vec::new(),
            troubles: vec![Vec::new(); plan.hubs],
            troubled: vec![Some(0); plan.hubs],
            answered: vec![None; plan.hubs],
            asleep: vec![0; plan.hubs],
            cut: vec![0; plan.hubs],
            away: None,
        }
    }

    /// The number of an id, which may be new.
    pub(crate) fn number(&mut self, id: &str) -> usize {
        if let Some(number) = self.known(id) {
            return number;
        }
        self.fates.push(Fate::new(id));
        for told in &mut self.told {
            told.push(Told::default());
        }
        self.fates.len() - 1
    }

    pub(crate) fn known(&self, id: &str) -> Option<usize> {
        self.fates.iter().position(|fate| &*fate.id == id)
    }

    pub(crate) fn names(&self, id: usize) -> &Names {
        &self.fates[id].names
    }

    pub(crate) fn truth(&self, redis: &Redis, id: usize) -> Truth {
        Truth::of(redis, &self.fates[id].names, self.plain)
    }

    /// Looks at what is true by now.
    pub(crate) fn look(&mut self, now: u64, redis: &Redis) {
        for id in 0..self.fates.len() {
            let fate = &mut self.fates[id];
            let truth = Truth::of(redis, &fate.names, self.plain);
            match fate.turn(now, truth) {
                Turn::Same => {}
                Turn::Lives => {
                    for told in &mut self.told {
                        told[id].heard = None;
                    }
                }
                Turn::RunsOut { at } => self.must_have_counted(now, id, at),
            }
        }
    }

    // --- what passes between a hub and Redis

    /// Whether all is well between a hub and Redis.
    pub(crate) fn well(&mut self, now: u64, hub: usize, well: bool) {
        match (well, self.troubled[hub]) {
            (false, None) => self.troubled[hub] = Some(now),
            (true, Some(since)) => {
                self.troubles[hub].push((since, now));
                self.troubled[hub] = None;
            }
            _ => {}
        }
    }

    /// Whether nothing but the notices is amiss between a hub and Redis.
    pub(crate) fn answers(&mut self, now: u64, hub: usize, answers: bool) {
        self.answered[hub] = answers.then(|| self.answered[hub].unwrap_or(now));
    }

    /// Something went wrong for a while.
    pub(crate) fn trouble(&mut self, hub: usize, from: u64, to: u64) {
        self.answered[hub] = self.answered[hub].map(|since| since.max(to));
        self.troubles[hub].push((from, to));
    }

    /// A hub's process does nothing for a while.
    pub(crate) fn sleeps(&mut self, hub: usize, from: u64, until: u64) {
        self.trouble(hub, from, until);
        self.asleep[hub] = self.asleep[hub].max(until);
    }

    /// Whether it has slept since then.
    pub(crate) fn was_asleep(&self, hub: usize, since: u64) -> bool {
        self.asleep[hub] >= since
    }

    /// Whether something was wrong for a hub since then, or shortly before.
    pub(crate) fn was_troubled(&self, hub: usize, since: u64) -> bool {
        let margin = self.recovery_ms();
        self.troubled[hub].is_some() || self.troubles[hub].iter().any(|&(_, to)| to + margin >= since)
    }

    /// Whether something was wrong for a hub between these times, or too shortly before to be over.
    fn was_troubled_at(&self, hub: usize, from: u64, to: u64) -> bool {
        let margin = 2 * self.reply_ms;
        self.troubled[hub].is_some_and(|since| since <= to)
            || self.troubles[hub].iter().any(|&(since, until)| since <= to && until + margin >= from)
    }

    /// A session is to end after so long a silence from now on.
    pub(crate) fn timeout_set(&mut self, id: usize, ms: u64) {
        let fate = &mut self.fates[id];
        fate.shortest_ms = fate.shortest_ms.min(ms);
    }

    pub(crate) fn load_sent(&mut self, hub: usize, id: usize) {
        self.told[hub][id].loads += 1;
    }

    /// A hub is told something about a session.
    pub(crate) fn replied(&mut self, now: u64, hub: usize, word: Word) {
        let told = &mut self.told[hub][word.id];
        let late = now - word.sent;
        if late >= self.reply_ms + TIMER_MS {
            return;
        }
        told.executed = told.executed.max(Some(word.executed));
        let Truth::Alive(ttl) = word.truth else { return };
        told.vouched_sent = told.vouched_sent.max(Some(word.sent));
        told.deadline = told.deadline.max(ttl.map_or(u64::MAX, |ttl| now + ttl));
        if late < self.reply_ms {
            told.confirmed = Some(now);
            if !word.for_page {
                told.sockets_confirmed = Some(now);
            }
        }
        for seat in &mut self.seats {
            if seat.hub == hub && seat.id == Some(word.id) && seat.doubted.is_some_and(|since| since <= word.sent) {
                seat.doubted = None;
            }
        }
        for n in 0..self.seats.len() {
            let seat = &self.seats[n];
            if seat.hub == hub && seat.unheard > 0 && seat.id == Some(word.id) {
                self.seats[n].unheard -= 1;
                self.active(now, hub, word.id);
            }
        }
    }

    /// A notice about a session reaches a hub.
    pub(crate) fn noticed(&mut self, now: u64, hub: usize, id: usize, renamed: bool) {
        if !self.fates[id].truth.is_alive() {
            self.told[hub][id].heard.get_or_insert(now);
        }
        for seat in &mut self.seats {
            if seat.hub == hub && seat.id == Some(id) && seat.joined && seat.left.is_none() {
                seat.renamed = renamed && (seat.doubted.is_none() || seat.renamed);
                seat.doubted = Some(now);
            }
        }
    }

    /// A key of a session was renamed.
    pub(crate) fn moved(&mut self, now: u64, from: usize, to: usize) {
        for told in &mut self.told {
            told[to].active = told[to].active.max(told[from].active);
        }
        if self.fates[from].moved.is_none_or(|(known, _)| known != to) {
            self.fates[from].moved = Some((to, now));
            self.timeout_set(to, self.fates[from].shortest_ms);
            self.fates[to].came_from = Some(from);
            if self.fates[to].owners.is_empty() {
                self.fates[to].owners = self.fates[from].owners.clone();
            } else if let Some((_, owner)) = self.fates[from].owners.last().cloned() {
                self.fates[to].owned(now, &owner);
            }
        }
    }

    // --- clients

    pub(crate) fn arrived(&mut self, now: u64, n: usize, hub: usize, id: usize) {
        let seat = Seat { hub, claimed: id, arrived: now, ..Seat::default() };
        match self.seats.get_mut(n) {
            Some(old) => *old = seat,
            None => self.seats.push(seat),
        }
    }

    pub(crate) fn joined(&mut self, now: u64, n: usize, id: usize, principal: Option<&str>) {
        let came_from = self.fates[id].came_from;
        let hub = self.seats[n].hub;
        if let Some(before) = came_from {
            self.inherit(hub, before, id);
        }
        let seat = &mut self.seats[n];
        seat.joined = true;
        seat.id = Some(id);
        seat.principal = principal.map(Arc::from);
        // By CONNECT, which may have been held.
        self.active(now, hub, id);
        let (seat, fate) = (&self.seats[n], &self.fates[id]);
        // Or for the id that it came with: the hub itself may be giving the session another one just now.
        let vouched = self.told[hub][id].vouched_sent.max(self.told[hub][seat.claimed].vouched_sent);
        assert!(
            vouched.is_some_and(|sent| sent >= seat.asked),
            "nobody vouched for {} to client {n} since it asked at {}: {vouched:?}",
            fate.id,
            seat.asked
        );
        let principal = principal.expect("it has logged in");
        assert!(
            fate.was_of(principal, seat.arrived),
            "client {n} joins {} as {principal} at {now}: {:?}",
            fate.id,
            fate.owners
        );
    }

    /// By which id the hub knows the session of a client that has joined.
    pub(crate) fn is_under(&mut self, n: usize, id: usize) {
        let seat = &mut self.seats[n];
        let Some(before) = seat.id.replace(id).filter(|before| *before != id) else { return };
        let hub = seat.hub;
        // Where it went is known, or that it lives under the new id was known already.
        let vouched = self.told[hub][id].executed;
        let moved = self.fates[before].moved.filter(|(to, _)| *to == id).map(|(_, at)| at);
        // What was heard of the old id is old, if somebody has come under the new one since.
        let after_rename = moved.is_some() && vouched >= moved;
        if core::mem::take(&mut seat.renamed)
            || seat.doubted.is_some_and(|since| after_rename || vouched >= Some(since))
        {
            seat.doubted = None;
        }
        self.inherit(hub, before, id);
    }

    /// What a hub was told of a session by another id counts on.
    fn inherit(&mut self, hub: usize, before: usize, id: usize) {
        let old = self.told[hub][before].clone();
        let new = &mut self.told[hub][id];
        new.deadline = new.deadline.max(old.deadline);
        new.confirmed = new.confirmed.max(old.confirmed);
        new.sockets_confirmed = new.sockets_confirmed.max(old.sockets_confirmed);
        new.executed = new.executed.max(old.executed);
        new.vouched_sent = new.vouched_sent.max(old.vouched_sent);
        new.active = new.active.max(old.active);
    }

    pub(crate) fn left(&mut self, now: u64, n: usize, cause: Cause) {
        let seat = &self.seats[n];
        assert!(seat.left.is_none(), "client {n} left twice");
        let (hub, id) = (seat.hub, seat.id.expect("it had joined"));
        let (fate, told) = (&self.fates[id], &self.told[hub][id]);
        match cause {
            Cause::Expired | Cause::Deleted => {
                let wrong =
                    fate.alive_since().is_some_and(|since| told.executed.is_none_or(|at| since + LATELY_MS <= at));
                assert!(
                    !wrong,
                    "false close of client {n} at {now}: {} is alive, cause {cause:?}: {fate:?} {told:?}",
                    fate.id
                );
                if fate.truth == Truth::Absent {
                    assert!(
                        fate.absent_since.is_some_and(|since| since + AGAIN_MS <= now),
                        "client {n} is closed at {now} without a second look: {fate:?}"
                    );
                }
                self.must_have_followed(now, n, id, cause);
            }
            Cause::Rotated => {
                let moved = fate.moved.is_some() || fate.came_from.is_some();
                let other = fate.owners.len() > 1;
                let alive =
                    fate.alive_since().is_some_and(|since| told.executed.is_some_and(|at| since + LATELY_MS <= at));
                assert!(
                    !alive || moved || other,
                    "client {n} is closed at {now} for a rename of {} that never was",
                    fate.id
                );
                if !other {
                    self.must_have_followed(now, n, id, cause);
                }
            }
            Cause::LoggedOut => assert!(fate.logged_out_here, "nobody logged {} out here", fate.id),
            Cause::StoreLost => {
                let confirmed = told.sockets_confirmed.unwrap_or(0);
                // Of a question in several commands one may have been lost.
                assert!(
                    self.slack_ms > 0 || now >= confirmed + self.blind_ms,
                    "the store vouched at {confirmed} for client {n}, given up at {now}"
                );
            }
            Cause::Violation => assert!(seat.parted, "client {n} broke nothing"),
            Cause::Peer => {}
            // This embedder looks at the time before it looks at its sockets when it wakes up.
            Cause::Slow if self.was_asleep(hub, now.saturating_sub(SEND_MS)) => {}
            other => panic!("client {n} is closed as {other:?}"),
        }
        let hub = self.seats[n].hub;
        self.seats[n].left = Some((now, cause));
        if is_end(cause) {
            self.cut[hub] += 1;
        }
    }

    /// A session that got another id while all was well is followed.
    fn must_have_followed(&self, now: u64, n: usize, id: usize, cause: Cause) {
        let (fate, hub) = (&self.fates[id], self.seats[n].hub);
        let Some((to, at)) = fate.moved else { return };
        // By hand it may have been put in the place of another user's.
        let usurps =
            self.fates[to].owners.iter().any(|(_, owner)| fate.owners.last().is_none_or(|(_, own)| own != owner));
        let known = self.told[hub][to].executed.is_some_and(|executed| executed >= at);
        let lives = self.fates[to].alive_since().is_some_and(|since| known || since + LATELY_MS <= now);
        let told = self.told[hub][id].confirmed.is_some_and(|confirmed| confirmed < at);
        assert!(
            !self.follows || usurps || !lives || !told || self.was_troubled(hub, at.saturating_sub(2 * self.reply_ms)),
            "client {n} is closed at {now} ({cause:?}): {} went to {} at {at}, and was not followed",
            fate.id,
            self.fates[to].id
        );
    }

    /// Why nothing may cross.
    fn bar(&self, now: u64, seat: &Seat) -> Option<String> {
        let id = seat.id?;
        if let Some(since) = seat.doubted {
            return Some(format!("{} is in doubt since {since}", self.fates[id].id));
        }
        // Who has left is not asked for its session's id any more, which may have got another one since.
        let moved = self.fates[id].moved.filter(|_| seat.left.is_some()).map_or(id, |(to, _)| to);
        let told = &self.told[seat.hub];
        let deadline = told[id].deadline.max(told[moved].deadline).saturating_add(self.slack_ms);
        (now >= deadline).then(|| format!("the deadline of {} was {deadline}", self.fates[id].id))
    }

    pub(crate) fn delivered(&mut self, now: u64, n: usize) {
        let seat = &self.seats[n];
        assert!(seat.left.is_none(), "client {n} is gone and was heard at {now}");
        let why = self.bar(now, seat);
        assert!(why.is_none(), "client {n} was heard at {now}, though {}", why.unwrap_or_default());
        let (hub, id) = (seat.hub, seat.id);
        self.seats[n].said = Some(now);
        if let Some(id) = id {
            self.active(now, hub, id);
        }
    }

    /// Bytes are lent for a client, which may have read the beginning of a frame.
    pub(crate) fn lent(&mut self, now: u64, n: usize, within_frame: bool) {
        let seat = &self.seats[n];
        let ended = seat.left.is_some_and(|(_, cause)| is_end(cause));
        let why = self.bar(now, seat);
        assert!(
            why.is_none() || seat.left.is_some(),
            "client {n} is told something at {now}, though {}",
            why.unwrap_or_default()
        );
        let barred = (why.is_some() || ended).then_some(u32::from(within_frame));
        let seat = &mut self.seats[n];
        seat.barred = barred.map(|first| seat.barred.unwrap_or(first));
    }

    pub(crate) fn seen(&mut self, now: u64, n: usize, seen: &Seen) {
        let why = self.bar(now, &self.seats[n]);
        let seat = &mut self.seats[n];
        assert!(!seat.closed, "client {n} reads {seen:?} behind a Close");
        if let (Some(left), Seen::Message { .. } | Seen::Receipt | Seen::Error) = (&mut seat.barred, seen) {
            let why = why.unwrap_or_else(|| format!("it left, {:?}", seat.left));
            assert!(*left > 0, "client {n} reads {seen:?} at {now}, though {why}");
            *left -= 1;
        }
        match seen {
            Seen::Close { code, reason } => {
                seat.closed = true;
                let expected = match seat.left {
                    Some((_, Cause::StoreLost)) => 1013,
                    Some((_, cause)) if is_end(cause) => 1008,
                    Some((_, Cause::Peer)) => 1000,
                    Some((_, Cause::Violation)) => 1002,
                    _ => return,
                };
                assert_eq!(*code, expected, "client {n}, {:?}", seat.left);
                assert!(*code != 1008 || reason == SESSION_ENDED, "{reason}");
            }
            Seen::Error => assert!(seat.parted, "client {n} broke nothing and got ERROR"),
            Seen::Refused(status) => self.refused(now, n, *status),
            Seen::Open => seat.open = true,
            Seen::Connected | Seen::Message { .. } | Seen::Receipt => {}
        }
    }

    fn refused(&mut self, now: u64, n: usize, status: u16) {
        let seat = &mut self.seats[n];
        seat.refused = true;
        let (seat, fate) = (&self.seats[n], &self.fates[self.seats[n].claimed]);
        match status {
            401 => {
                let alive = fate.alive_since().is_some_and(|since| since + LATELY_MS <= seat.arrived);
                assert!(
                    !alive || fate.logged_out_here,
                    "client {n} is answered 401 at {now}, though {} lives: {fate:?}",
                    fate.id
                );
            }
            503 => assert!(
                self.was_troubled(seat.hub, seat.arrived),
                "client {n} is answered 503 at {now}, though all is well"
            ),
            // HEAD_TIME, of a head that lay there unread.
            408 if self.was_asleep(seat.hub, seat.arrived) => {}
            other => panic!("client {n} is answered {other}"),
        }
    }

    // --- who has to be gone

    /// Whoever should be gone by now is.
    pub(crate) fn check(&self, now: u64) {
        for (n, seat) in self.seats.iter().enumerate() {
            let bound = seat.id.filter(|_| seat.joined && seat.left.is_none());
            let Some(id) = bound else { continue };
            self.must_be_given_up(now, n, id);
            self.must_be_of_its_owner(now, n, id);
            let Some(ended) = self.fates[id].ended else { continue };
            // Whoever came later is found out from then on.
            let from = ended.max(seat.arrived);
            if now < from + self.bound.announced_ms {
                continue;
            }
            let limit = self.limit(seat.hub, id, from);
            assert!(
                now <= limit,
                "client {n} is still there at {now}; {} ended at {ended}, all had to be gone at {limit}: {:?} {:?}",
                self.fates[id].id,
                self.told[seat.hub][id],
                self.fates[id],
            );
        }
    }

    /// Nobody knows for ever whether a session lives.
    fn must_be_given_up(&self, now: u64, n: usize, id: usize) {
        let (seat, Some(away)) = (&self.seats[n], self.away) else { return };
        let confirmed = self.told[seat.hub][id].confirmed.unwrap_or(0).max(seat.arrived);
        // It is noticed when the session is looked at next; that it has to be looked at is spread over a while.
        let noticed = away + self.check_interval_ms.min(SPREAD_MS) + self.check_interval_ms;
        let limit = noticed.max(confirmed + self.blind_ms) + self.reply_ms + 2 * TIMER_MS;
        assert!(
            now <= limit || self.was_asleep(seat.hub, away),
            "client {n} is still there at {now}: Redis is away since {away}, and vouched for {} at {confirmed}",
            self.fates[id].id
        );
    }

    /// A session that was given to another user is not the first one's any more.
    fn must_be_of_its_owner(&self, now: u64, n: usize, id: usize) {
        let seat = &self.seats[n];
        let Some(own) = seat.principal.as_ref().filter(|_| self.changes_hands_at_once) else { return };
        let Some((since, owner)) = self.fates[id].owners.last().filter(|(_, owner)| owner != own) else { return };
        let limit = since.max(&seat.arrived) + UNSURE_MS + 2 * self.bound.announced_ms;
        assert!(
            now <= limit || self.was_troubled(seat.hub, since.saturating_sub(2 * self.reply_ms)),
            "client {n} is still there at {now} as {own}: {} is {owner}'s since {since}",
            self.fates[id].id
        );
    }

    /// By when a hub must have begun to close the sockets of a session that ended then.
    fn limit(&self, hub: usize, id: usize, ended: u64) -> u64 {
        let told = &self.told[hub][id];
        let bound = &self.bound;
        let announced = told.heard.map_or(u64::MAX, |at| at + bound.announced_ms);
        let due = told.deadline.max(ended).saturating_add(bound.announced_ms + self.slack_ms);
        let swept =
            ended + if self.announces { bound.unannounced_ms.max(bound.unnoticed_ms) } else { bound.unnoticed_ms };
        let mut limit = announced.min(due).min(swept);
        if let Some(since) = self.troubled[hub] {
            // Nobody tells of ends: each session is looked at ever so often, once it is known that nobody does.
            let Some(answered) = self.answered[hub] else { return u64::MAX };
            let spread = self.check_interval_ms.min(SPREAD_MS);
            return ended.max(since).max(answered) + spread + bound.unnoticed_ms + bound.back_ms + self.slack_ms;
        }
        let margin = self.recovery_ms();
        // What went wrong may have gone wrong before the end, and be made up for only after it.
        while let Some(&(_, to)) =
            self.troubles[hub].iter().find(|&&(from, to)| from <= limit && to + margin > ended && to + margin > limit)
        {
            limit = to + margin;
        }
        limit
    }

    /// How long it takes after something went wrong until what was missed is found.
    fn recovery_ms(&self) -> u64 {
        self.bound.back_ms + self.bound.unnoticed_ms
    }
}

/// Whether these flags of `notify-keyspace-events` announce the ends of sessions.
pub(crate) fn announces(flags: &[u8]) -> bool {
    let has = |flag| flags.contains(&flag);
    has(b'E') && (has(b'A') || has(b'g') && has(b'x'))
}

pub(crate) fn is_end(cause: Cause) -> bool {
    use Cause::{Deleted, Expired, LoggedOut, Revoked, Rotated, StoreLost};
    matches!(cause, Expired | Deleted | LoggedOut | Revoked | Rotated | StoreLost)
}

/// What has been so for less than this may be news to somebody who asked, in milliseconds.
const LATELY_MS: u64 = 60;
/// A missing key is looked for again after this, in milliseconds.
const AGAIN_MS: u64 = 50;
/// A store that was away is asked again after this, in milliseconds.
const RETRY_MS: u64 = 1_000;
/// After a session got another id it is asked whose it is for this long, in milliseconds.
const UNSURE_MS: u64 = 1_000;
/// SEND_TIME, in milliseconds.
const SEND_MS: u64 = 10_000;
/// What Spring has read of a session may be so old when it is written, in milliseconds.
const SPRING_MS: u64 = 150;
/// After the notices were lost every session is looked at within this, in milliseconds.
const SPREAD_MS: u64 = 4_000;
/// What comes after REPLY is not believed; until the timer has fired it may be.
const TIMER_MS: u64 = 20;
