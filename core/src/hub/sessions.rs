//! Sessions that have clients: the book, and what their lives mean for the sockets.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::sync::Arc;

use super::action::{Action, Ended};
use super::event::Notice;
use super::socket::{NONE, Phase, Under};
use super::{Hub, Response};
use crate::config::{Config, Store};
use crate::heap::Upkeep;
use crate::ids::{ClientId, SocketId};
use crate::index::Index;
use crate::queue::Queue;
use crate::session::life::{Ask, LONGEST_TOUCH_MS, Life, Outcome, Times};
use crate::session::pulse::Pulse;
use crate::session::{Answer, Cause, Detector, Op};
use crate::slab::Slab;
use crate::time::{Instant, earlier};
use crate::wheel::Wheel;

/// What a question to the store was about.
#[derive(Debug)]
pub(super) enum Asked {
    /// A bound session. Its generation changes with its id: an answer about an earlier one is void.
    Session { slot: u32, generation: u32 },
    /// Who sent a request that is no handshake.
    Request { socket: SocketId },
    /// What an HTTP answer does to the session of its request.
    Change { socket: SocketId, response: Box<Response> },
}

/// A pass over all bound sessions after the notices came or went.
#[derive(Debug, Clone, Copy)]
pub(super) struct Doubts {
    next: u32,
    began: Instant,
    spread_ms: u64,
}

/// A session that has clients.
#[derive(Debug)]
pub(super) struct Bound {
    id: Arc<str>,
    principal: Option<Arc<str>>,
    life: Life,
    /// First of its clients; the rest are linked through [`Client::next`](super::socket::Client).
    first: u32,
    clients: u32,
}

impl Bound {
    pub(super) fn life(&self) -> &Life {
        &self.life
    }
}

/// A line of clients that was put before another one; they are to be linked.
pub(super) struct Adopted {
    pub(super) first: u32,
    pub(super) behind: u32,
}

/// The book of sessions that have clients.
#[derive(Debug)]
pub(super) struct Registry {
    sessions: Slab<Bound, Pulse>,
    index: Index,
    timers: Wheel,
    /// Sessions that were touched, each with the time at which somebody looks whether activity came since.
    looks: Queue<(u32, Instant)>,
    /// Sessions that were renamed by somebody else: until then one may turn out to be another user's. They are few at
    /// any time, so the others need no room for it.
    unsure: BTreeMap<u32, Instant>,
    /// Sessions whose principal the embedder has named, each with the one that the store knows.
    named: BTreeMap<u32, Option<Arc<str>>>,
    times: Times,
    upkeep: Upkeep,
}

impl Registry {
    pub(super) fn new(seed: &[u8; 16], config: &Config, now: Instant) -> Self {
        let session = &config.session;
        let look_every_ms = match &config.store {
            Store::Memory => None,
            Store::External | Store::Spring(_) => Some(session.check_interval_ms.min(session.sweep_interval_ms)),
        };
        let touch_interval_ms = session.touch_interval_ms.min(LONGEST_TOUCH_MS);
        let times = Times { touch_interval_ms, look_every_ms, blind_ms: session.blind_ms };
        Self {
            sessions: Slab::new(),
            index: Index::new(seed),
            timers: Wheel::new(now),
            looks: Queue::new(),
            unsure: BTreeMap::new(),
            named: BTreeMap::new(),
            times,
            upkeep: Upkeep::default(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.sessions.len()
    }

    pub(super) fn find(&self, id: &str) -> Option<u32> {
        let hash = self.index.hash(id.as_bytes());
        self.index.find(hash, |slot| self.sessions.slot(slot).is_some_and(|bound| &*bound.id == id))
    }

    /// Whether anything may cross the sockets of this session; nobody holds what has no session.
    pub(super) fn passes(&self, slot: u32, now: Instant) -> bool {
        self.sessions.slot(slot).is_none_or(|bound| bound.life.passes(now))
    }

    pub(super) fn life(&self, slot: u32) -> Option<(&Life, Pulse)> {
        self.sessions.slot(slot).map(|bound| (&bound.life, self.sessions.hot(slot)))
    }

    pub(super) fn principal(&self, slot: u32) -> Option<Arc<str>> {
        self.sessions.slot(slot).and_then(|bound| bound.principal.clone())
    }

    pub(super) fn has_principal(&self, slot: u32) -> bool {
        self.sessions.slot(slot).is_some_and(|bound| bound.principal.is_some())
    }

    /// The principal as the store knows it.
    pub(super) fn told_principal(&self, slot: u32) -> Option<Arc<str>> {
        self.named.get(&slot).cloned().unwrap_or_else(|| self.principal(slot))
    }

    /// Its principal goes by this name here, whatever the store says.
    pub(super) fn name(&mut self, slot: u32, name: Arc<str>) {
        let Some(bound) = self.sessions.slot_mut(slot) else { return };
        let before = bound.principal.replace(name);
        self.named.entry(slot).or_insert(before);
    }

    pub(super) fn is_of(&self, slot: u32, principal: &str) -> bool {
        self.sessions.slot(slot).is_some_and(|bound| bound.principal.as_deref() == Some(principal))
    }

    /// The next session whose timer fires by `now`.
    pub(super) fn pop_due(&mut self, now: Instant, budget: &mut usize) -> Option<u32> {
        self.timers.pop(now, budget)
    }

    /// When the next timer fires, or the next look is due.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        earlier(self.timers.next_deadline(), self.looks.front().map(|(_, at)| *at))
    }

    /// A touch of this session is asked for: an interval later somebody looks what came since. Each waits as long as the
    /// others, so they stand in line, and no timer is armed for it.
    fn look_later(&mut self, slot: u32, now: Instant) {
        if !self.times.looks() {
            return;
        }
        let at = now.after(self.times.touch_interval_ms).as_millis();
        let at = Instant::from_millis(at.saturating_add(LOOK_MS - 1) / LOOK_MS * LOOK_MS);
        self.looks.push_back((slot, at));
    }

    /// The next session whose activity after its last touch is to be told by `now`.
    pub(super) fn pop_look(&mut self, now: Instant, budget: &mut usize) -> Option<u32> {
        while let Some(left) = budget.checked_sub(1)
            && self.looks.front().is_some_and(|(_, at)| *at <= now)
        {
            *budget = left;
            let (slot, _) = self.looks.pop_front()?;
            let pulse = self.sessions.hot(slot);
            if pulse.untold()
                && let Some(bound) = self.sessions.slot(slot)
                && bound.life.has_to_tell(now, &pulse, &self.times)
            {
                return Some(slot);
            }
        }
        None
    }

    pub(super) fn capacity(&self) -> u32 {
        self.sessions.capacity()
    }

    pub(super) fn id(&self, slot: u32) -> Option<&Arc<str>> {
        self.sessions.slot(slot).map(|bound| &bound.id)
    }

    pub(super) fn count(&self, slot: u32) -> u32 {
        self.sessions.slot(slot).map_or(0, |bound| bound.clients)
    }

    pub(super) fn first(&self, slot: u32) -> u32 {
        self.sessions.slot(slot).map_or(NONE, |bound| bound.first)
    }

    fn enter(&mut self, id: Arc<str>, now: Instant) -> u32 {
        let bound = Bound { id, principal: None, life: Life::claimed(now), first: NONE, clients: 0 };
        let (slot, _) = self.sessions.insert(bound);
        if let Some(pulse) = self.sessions.hot_mut(slot) {
            *pulse = Pulse::new(now);
        }
        self.index(slot);
        slot
    }

    fn index(&mut self, slot: u32) {
        let Self { sessions, index, .. } = self;
        let Some(bound) = sessions.slot(slot) else { return };
        index.insert(index.hash(bound.id.as_bytes()), slot, |other| {
            [sessions.slot(other).map_or(&[], |bound| bound.id.as_bytes())]
        });
    }

    /// Gives it an id that no other has. False, and nothing changes, if its slot has no generation left for that.
    pub(super) fn rename(&mut self, slot: u32, id: Arc<str>) -> bool {
        if !self.sessions.renew(slot) {
            return false;
        }
        self.unindex(slot);
        if let Some(bound) = self.sessions.slot_mut(slot) {
            bound.id = id;
        }
        self.index(slot);
        true
    }

    fn unindex(&mut self, slot: u32) {
        if let Some(bound) = self.sessions.slot(slot) {
            self.index.remove(self.index.hash(bound.id.as_bytes()), slot);
        }
    }

    /// Has the session's life do something with its pulse.
    pub(super) fn live<T>(&mut self, slot: u32, act: impl FnOnce(&mut Life, &mut Pulse, &Times) -> T) -> Option<T> {
        let (bound, pulse) = self.sessions.whole_mut(slot)?;
        Some(act(&mut bound.life, pulse, &self.times))
    }

    /// For a while it may turn out to be another user's.
    pub(super) fn doubt_owner(&mut self, slot: u32, until: Instant) {
        self.unsure.insert(slot, until);
    }

    /// Puts the clients of one session, which stand in this line, under another one.
    pub(super) fn adopt(&mut self, slot: u32, into: u32) -> Option<Adopted> {
        let bound = self.sessions.slot_mut(slot).filter(|bound| bound.clients > 0)?;
        let (first, clients) = (core::mem::replace(&mut bound.first, NONE), core::mem::take(&mut bound.clients));
        let principal = bound.principal.clone();
        let new = into;
        let into = self.sessions.slot_mut(into)?;
        into.clients += clients;
        if into.principal.is_none() {
            into.principal = principal;
            if let Some(told) = self.named.get(&slot).cloned() {
                self.named.insert(new, told);
            }
        }
        let behind = core::mem::replace(&mut into.first, first);
        Some(Adopted { first, behind })
    }

    pub(super) fn leave(&mut self, slot: u32) -> Option<Bound> {
        self.upkeep.freed();
        self.unsure.remove(&slot);
        self.named.remove(&slot);
        self.unindex(slot);
        self.sessions.remove_slot(slot)
    }
}

impl Hub {
    /// Puts a client under a session, which is asked for; it is bound by the answer.
    pub(super) fn claim(&mut self, client: u32, id: &Arc<str>) {
        let now = self.now.mono;
        let slot = self.registry.find(id).unwrap_or_else(|| self.registry.enter(id.clone(), now));
        let Some(bound) = self.registry.sessions.slot_mut(slot) else { return };
        let first = core::mem::replace(&mut bound.first, client);
        bound.clients += 1;
        if let Some(next) = self.clients.slot_mut(first) {
            next.previous = client;
        }
        if let Some((client, under)) = self.clients.whole_mut(client) {
            *under = Under(slot);
            client.next = first;
            client.previous = NONE;
        }
        let ask = self.registry.live(slot, |life, pulse, _| life.join(now, pulse));
        self.ask_session(slot, ask.flatten());
    }

    /// Takes a client from under its session; a session without clients is forgotten.
    pub(super) fn release(&mut self, client: u32) {
        let Some((it, under)) = self.clients.whole_mut(client) else { return };
        let (next, previous) = (it.next, it.previous);
        let Under(session) = core::mem::take(under);
        if session == NONE {
            return;
        }
        if let Some(next) = self.clients.slot_mut(next) {
            next.previous = previous;
        }
        match self.clients.slot_mut(previous) {
            Some(previous) => previous.next = next,
            None => {
                if let Some(bound) = self.registry.sessions.slot_mut(session) {
                    bound.first = next;
                }
            }
        }
        if let Some((bound, pulse)) = self.registry.sessions.whole_mut(session) {
            bound.clients -= 1;
            if bound.clients == 0 {
                if let Some(age_ms) = bound.life.untold(self.now.mono, pulse) {
                    let id = bound.id.clone();
                    self.tell(Op::Touch { id, age_ms });
                }
                self.registry.leave(session);
            }
        }
    }

    /// A message that renews came from a client of this session; [`NONE`] if it has none.
    pub(super) fn activity(&mut self, session: u32) {
        let now = self.now.mono;
        if self.registry.sessions.hot_mut(session).is_some_and(|pulse| !pulse.beat(now)) {
            let ask = self.registry.live(session, |life, pulse, times| life.activity(now, pulse, times));
            self.ask_session(session, ask.flatten());
        }
    }

    /// Notes that a client was active, if that is all its activity leads to just now.
    pub(super) fn is_only_noted(&mut self, client: ClientId) -> bool {
        let now = self.now.mono;
        let Some(Under(session)) = self.clients.hot_of(client.slot(), client.generation()) else { return false };
        self.registry.sessions.hot_mut(session).is_some_and(|pulse| pulse.beat(now))
    }

    /// Slot of the session that a client is under; [`NONE`] if it is under none, or there is no such client.
    pub(super) fn under(&self, client: u32) -> u32 {
        self.clients.hot(client).0
    }

    /// A request that renews came for this session, which may have no sockets.
    pub(super) fn renew(&mut self, id: &Arc<str>) {
        match self.registry.find(id) {
            Some(slot) => self.activity(slot),
            None => self.tell(Op::Touch { id: id.clone(), age_ms: 0 }),
        }
    }

    /// A timer of this session fired.
    pub(super) fn session_due(&mut self, slot: u32) {
        let Some(bound) = self.registry.sessions.slot(slot) else { return };
        let deadline = bound.life.deadline();
        if self.registry.timers.reached() < deadline && deadline <= self.now.mono {
            // The embedder slept past both. It ends in its turn, behind those whose deadline came before.
            return self.registry.timers.arm(slot, deadline);
        }
        self.tick_session(slot);
    }

    /// What time leads to in the life of this session.
    pub(super) fn tick_session(&mut self, slot: u32) {
        let now = self.now.mono;
        if let Some((outcome, ask)) = self.registry.live(slot, |life, pulse, times| life.tick(now, pulse, times)) {
            self.turned(slot, outcome, ask);
        }
    }

    /// The store's notice about a session.
    pub(super) fn noticed(&mut self, id: &str, notice: Notice<'_>) {
        self.stats.notices += 1;
        let Some(slot) = self.registry.find(id) else { return };
        let now = self.now.mono;
        let told = self.registry.live(slot, |life, pulse, _| match notice {
            Notice::Expired => Ok(life.notice(now, pulse, true)),
            Notice::Deleted => Ok(life.notice(now, pulse, false)),
            Notice::Renamed { to } => Err(to),
        });
        match told {
            Some(Ok((outcome, ask))) => self.turned(slot, outcome, ask),
            Some(Err(to)) => self.follow(slot, to),
            None => {}
        }
    }

    /// Notices stand, or are lost: sessions are looked at more or less often.
    pub(super) fn notices(&mut self, on: bool) {
        let session = &self.config.session;
        let sweep = session.sweep_interval_ms;
        let check = session.check_interval_ms.min(sweep);
        if self.config.store != Store::Memory {
            self.registry.times.look_every_ms = Some(if on { sweep } else { check });
            self.doubts = Some(Doubts { next: 0, began: self.now.mono, spread_ms: check.min(RESYNC_MS) });
        }
        self.notices_on = on;
    }

    /// Spreads the looks that a change of the notices makes necessary, some sessions a turn.
    pub(super) fn spread_doubts(&mut self) {
        let Some(doubts) = self.doubts else { return };
        let all = self.registry.sessions.capacity();
        let end = doubts.next.saturating_add(DOUBTS_A_TURN).min(all);
        for slot in doubts.next..end {
            if let Some(bound) = self.registry.sessions.slot_mut(slot) {
                let delay = doubts.spread_ms * u64::from(slot) / u64::from(all.max(1));
                bound.life.doubt(doubts.began.after(delay));
                self.arm_session(slot);
            }
        }
        self.doubts = (end < all).then_some(Doubts { next: end, ..doubts });
    }

    /// The store answered.
    pub(super) fn answered(&mut self, asked: Asked, answer: &Answer) {
        match asked {
            Asked::Session { slot, generation } => {
                if self.registry.sessions.get(slot, generation).is_some() {
                    self.session_answered(slot, answer);
                }
            }
            Asked::Request { socket } => self.request_answered(socket, answer),
            Asked::Change { socket, response } => self.changed(socket, *response, answer),
        }
    }

    fn session_answered(&mut self, slot: u32, answer: &Answer) {
        let now = self.now.mono;
        let Some(bound) = self.registry.sessions.slot_mut(slot) else { return };
        let loading = bound.life.loading();
        if let Answer::Alive { record: Some(record), .. } = answer {
            let named = self.registry.named.get_mut(&slot);
            let told = named.as_deref().unwrap_or(&bound.principal);
            if told.is_some() && *told != record.principal {
                return self.belongs_to_another(slot, record.principal.is_some());
            }
            named.unwrap_or(&mut bound.principal).clone_from(&record.principal);
            // The same text, and the store has it already: the one that came with the handshake goes.
            if bound.id == record.id {
                bound.id.clone_from(&record.id);
            }
            if self.registry.unsure.get(&slot).is_some_and(|until| *until <= now) {
                self.registry.unsure.remove(&slot);
            }
        }
        let told = self.registry.live(slot, |life, pulse, times| {
            let told = life.answer(now, pulse, answer, times);
            // What was held is heard now, before the timer is armed: the rest while the question was open is over.
            life.rest(pulse, times);
            told
        });
        let Some((outcome, ask)) = told else { return };
        if let Some(until) = self.registry.unsure.get(&slot)
            && let Some(bound) = self.registry.sessions.slot_mut(slot)
        {
            bound.life.doubt(*until);
        }
        let vouched = matches!(answer, Answer::Alive { .. }) && !matches!(ask, Some(Ask::Load | Ask::Check));
        let lost = matches!(answer, Answer::Lost);
        self.turned(slot, outcome, ask);
        if vouched {
            let record = if let Answer::Alive { record, .. } = answer { record.as_deref() } else { None };
            self.each_pending(slot, |hub, client| hub.bound(client, record));
        } else if lost {
            self.each_pending(slot, |hub, client| hub.store_away(client));
            if loading && self.registry.count(slot) == 0 {
                self.registry.leave(slot);
            }
        }
    }

    /// What a turn in a session's life means for its sockets.
    fn turned(&mut self, slot: u32, outcome: Outcome, ask: Option<Ask>) {
        match outcome {
            Outcome::Ended { cause, detector, late_ms } => return self.end_session(slot, cause, detector, late_ms),
            Outcome::Passes => self.each_client(slot, |hub, client| hub.resume_client(client)),
            Outcome::Holds => self.each_client(slot, |hub, client| hub.lower_write(client)),
            Outcome::Same => {}
        }
        self.ask_session(slot, ask);
    }

    pub(super) fn ask_session(&mut self, slot: u32, ask: Option<Ask>) {
        if let Some(ask) = ask
            && let Some(bound) = self.registry.sessions.slot(slot)
        {
            let id = bound.id.clone();
            let op = match ask {
                Ask::Load => Op::Load { id },
                // After a rename it is asked whose it is, too.
                Ask::Check if self.registry.unsure.contains_key(&slot) => Op::Load { id },
                Ask::Check => Op::Check { id },
                Ask::Touch { age_ms } => {
                    self.stats.touches += 1;
                    self.registry.look_later(slot, self.now.mono);
                    Op::Touch { id, age_ms }
                }
            };
            let generation = self.registry.sessions.generation(slot).unwrap_or_default();
            self.ask_store(Asked::Session { slot, generation }, op);
        }
        self.arm_session(slot);
    }

    /// Arms the session's timer for what may become due, and lets it rest as long as nothing does.
    fn arm_session(&mut self, slot: u32) {
        let due = self.registry.live(slot, |life, pulse, times| {
            life.rest(pulse, times);
            life.due(pulse, times)
        });
        self.registry.timers.arm(slot, due.unwrap_or(Instant::NEVER));
    }

    /// The session is over: in one step nothing more crosses its sockets, and each is closed.
    pub(super) fn end_session(&mut self, slot: u32, cause: Cause, detector: Detector, late_ms: u64) {
        if !self.registry.passes(slot, self.now.mono) {
            // Whoever came for the output since the deadline found nothing, whether or not the timer had fired.
            self.each_client(slot, |hub, client| hub.lower_write(client));
        }
        let Some(bound) = self.registry.leave(slot) else { return };
        let (mut sockets, mut client) = (0, bound.first);
        while let Some((it, under)) = self.clients.whole_mut(client) {
            let (next, phase) = (it.next, it.phase);
            *under = Under::default();
            match phase {
                // Whether it has ended is what nobody could tell.
                Phase::Pending if cause == Cause::StoreLost => self.store_away(client),
                Phase::Pending => self.unbound(client),
                Phase::Over => self.leave_over(client),
                Phase::Open | Phase::Joined => {
                    sockets += 1;
                    self.leave(client, cause, bound.principal.clone());
                }
            }
            client = next;
        }
        if sockets > 0 {
            self.stats.count_end(cause, detector);
            self.actions.push_back(Action::Ended(Box::new(Ended {
                session: fingerprint(&bound.id),
                principal: bound.principal,
                cause,
                detector,
                late_ms,
                sockets,
            })));
        }
    }

    /// Believes the store in memory what it says of ended sessions.
    pub(super) fn take_notices(&mut self) {
        while let Some((id, expired)) = self.memory.as_mut().and_then(|memory| memory.notice()) {
            self.noticed(&id, if expired { Notice::Expired } else { Notice::Deleted });
        }
    }

    pub(super) fn each_client(&mut self, session: u32, mut each: impl FnMut(&mut Self, u32)) {
        let mut client = self.registry.first(session);
        while let Some(it) = self.clients.slot(client) {
            let next = it.next;
            each(self, client);
            client = next;
        }
    }

    pub(super) fn each_pending(&mut self, session: u32, mut each: impl FnMut(&mut Self, u32)) {
        self.each_client(session, |hub, client| {
            if hub.clients.slot(client).is_some_and(|it| it.phase == Phase::Pending) {
                each(hub, client);
            }
        });
    }
}

/// First six hex digits of the SHA-1 of a session's id: what logs may tell.
pub(super) fn fingerprint(id: &str) -> [u8; 6] {
    use sha1::{Digest, Sha1};
    let digest = Sha1::digest(id.as_bytes());
    let mut hex = [b'0'; 6];
    for (i, byte) in digest.iter().take(3).enumerate() {
        hex[2 * i] = HEX[usize::from(byte >> 4)];
        hex[2 * i + 1] = HEX[usize::from(byte & 15)];
    }
    hex
}

const HEX: &[u8; 16] = b"0123456789abcdef";
/// After a gap in the notices every bound session is asked for within this many milliseconds.
const RESYNC_MS: u64 = 4_000;
/// Looks are as coarse as the timers, so that they share their wake-ups.
const LOOK_MS: u64 = 16;
/// How many sessions one turn puts in doubt.
const DOUBTS_A_TURN: u32 = 4_096;
