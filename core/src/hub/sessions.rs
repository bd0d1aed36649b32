//! Sessions that have clients: the book, and what their lives mean for the sockets.

use alloc::boxed::Box;
use alloc::sync::Arc;

use super::action::{Action, Ended};
use super::event::Notice;
use super::socket::{NONE, Phase};
use super::timer::Armed;
use super::{Hub, Response};
use crate::config::{Config, Store};
use crate::ids::SocketId;
use crate::index::Index;
use crate::session::life::{Ask, Life, Outcome, Times};
use crate::session::{Answer, Cause, Detector, Op, Record};
use crate::slab::Slab;
use crate::time::Instant;

/// What a question to the store was about.
#[derive(Debug)]
pub(super) enum Asked {
    /// A bound session.
    Session { slot: u32, generation: u32, names: u32 },
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
    armed: Armed,
    /// How many ids it has had here: an answer about an earlier one is void.
    names: u32,
    /// It was renamed by somebody else: until then it may turn out to be another user's. The origin: it was not.
    unsure_until: Instant,
    /// First of its clients; the rest are linked through [`Client::next`](super::socket::Client).
    first: u32,
    clients: u32,
}

/// The book of sessions that have clients.
#[derive(Debug)]
pub(super) struct Registry {
    sessions: Slab<Bound>,
    index: Index,
    times: Times,
}

impl Registry {
    pub(super) fn new(seed: &[u8; 16], config: &Config) -> Self {
        let session = &config.session;
        let look_every_ms = match &config.store {
            Store::Memory => None,
            Store::External | Store::Spring(_) => Some(session.check_interval_ms.min(session.sweep_interval_ms)),
        };
        let times = Times { touch_interval_ms: session.touch_interval_ms, look_every_ms, blind_ms: session.blind_ms };
        Self { sessions: Slab::new(), index: Index::new(seed), times }
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

    pub(super) fn life(&self, slot: u32) -> Option<&Life> {
        self.sessions.slot(slot).map(|bound| &bound.life)
    }

    pub(super) fn principal(&self, slot: u32) -> Option<Arc<str>> {
        self.sessions.slot(slot).and_then(|bound| bound.principal.clone())
    }

    pub(super) fn has_principal(&self, slot: u32) -> bool {
        self.sessions.slot(slot).is_some_and(|bound| bound.principal.is_some())
    }

    pub(super) fn is_of(&self, slot: u32, principal: &str) -> bool {
        self.sessions.slot(slot).is_some_and(|bound| bound.principal.as_deref() == Some(principal))
    }

    pub(super) fn generation(&self, slot: u32) -> Option<u32> {
        self.sessions.generation(slot)
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
        let bound = Bound {
            id,
            principal: None,
            life: Life::claimed(now),
            armed: Armed::NONE,
            names: 1,
            unsure_until: Instant::default(),
            first: NONE,
            clients: 0,
        };
        let (slot, _) = self.sessions.insert(bound);
        self.index(slot);
        slot
    }

    fn index(&mut self, slot: u32) {
        let Self { sessions, index, .. } = self;
        let Some(bound) = sessions.slot(slot) else { return };
        index.insert(index.hash(bound.id.as_bytes()), slot, |other| {
            sessions.slot(other).map_or(&[], |bound| bound.id.as_bytes())
        });
    }

    fn unindex(&mut self, slot: u32) {
        if let Some(bound) = self.sessions.slot(slot) {
            self.index.remove(self.index.hash(bound.id.as_bytes()), slot);
        }
    }

    fn leave(&mut self, slot: u32) -> Option<Bound> {
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
        let ask = bound.life.join(now);
        if let Some(next) = self.clients.slot_mut(first) {
            next.previous = client;
        }
        if let Some(client) = self.clients.slot_mut(client) {
            client.session = slot;
            client.next = first;
            client.previous = NONE;
        }
        self.ask_session(slot, ask);
    }

    /// Takes a client from under its session; a session without clients is forgotten.
    pub(super) fn release(&mut self, client: u32) {
        let Some(it) = self.clients.slot_mut(client) else { return };
        let (session, next, previous) = (it.session, it.next, it.previous);
        it.session = NONE;
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
        if let Some(bound) = self.registry.sessions.slot_mut(session) {
            bound.clients -= 1;
            if bound.clients == 0 {
                if let Some(age_ms) = bound.life.untold(self.now.mono) {
                    let id = bound.id.clone();
                    self.tell(Op::Touch { id, age_ms });
                }
                self.registry.leave(session);
            }
        }
    }

    /// A message that renews came from this client.
    pub(super) fn activity(&mut self, session: u32) {
        let Some(bound) = self.registry.sessions.slot_mut(session) else { return };
        let ask = bound.life.activity(self.now.mono, &self.registry.times);
        self.ask_session(session, ask);
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
        let now = self.now.mono;
        let Some(bound) = self.registry.sessions.slot_mut(slot) else { return };
        if !bound.armed.fired(now) {
            return;
        }
        let (outcome, ask) = bound.life.tick(now, &self.registry.times);
        self.turned(slot, outcome, ask);
    }

    /// The store's notice about a session.
    pub(super) fn noticed(&mut self, id: &str, notice: Notice<'_>) {
        self.stats.notices += 1;
        let Some(slot) = self.registry.find(id) else { return };
        let Some(bound) = self.registry.sessions.slot_mut(slot) else { return };
        let (outcome, ask) = match notice {
            Notice::Expired => bound.life.notice(self.now.mono, true),
            Notice::Deleted => bound.life.notice(self.now.mono, false),
            Notice::Renamed { to } => return self.follow(slot, to),
        };
        self.turned(slot, outcome, ask);
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
            Asked::Session { slot, generation, names } => {
                if self.registry.sessions.get(slot, generation).is_some_and(|bound| bound.names == names) {
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
            if bound.principal.is_some() && bound.principal != record.principal {
                return self.belongs_to_another(slot, record.principal.is_some());
            }
            bound.principal.clone_from(&record.principal);
            if now >= bound.unsure_until {
                bound.unsure_until = Instant::default();
            }
        }
        let (outcome, ask) = bound.life.answer(now, answer, &self.registry.times);
        if bound.unsure_until > Instant::default() {
            bound.life.doubt(bound.unsure_until);
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

    /// The session goes by another id now, and somebody else has seen to it: who is bound follows.
    ///
    /// Who has only claimed it follows if its old id was good for the principal that is known; else the old id is good
    /// for nothing any more, least of all for whoever logs in just now (C06, C07).
    fn follow(&mut self, slot: u32, to: &str) {
        if !self.registry.has_principal(slot) {
            return self.each_pending(slot, |hub, client| {
                hub.release(client);
                hub.unbound(client);
            });
        }
        let now = self.now.mono;
        self.registry.unindex(slot);
        let taken = self.registry.find(to).is_some();
        let Some(bound) = self.registry.sessions.slot_mut(slot) else { return };
        bound.id = Arc::from(to);
        bound.names += 1;
        // Spring writes who it is after the new id.
        bound.unsure_until = now.after(UNSURE_MS);
        let ask = bound.life.renamed(now);
        if taken {
            // Somebody is bound under the new id already: what is here cannot be told from it any more.
            return self.end_session(slot, Cause::Rotated, Detector::Notice, 0);
        }
        self.registry.index(slot);
        self.ask_session(slot, ask);
    }

    /// The store says that somebody else is logged in, or nobody: who was bound is closed, who has only claimed it claims
    /// it anew, if that is of any use.
    fn belongs_to_another(&mut self, slot: u32, somebody: bool) {
        let Some(id) = self.registry.id(slot).cloned() else { return };
        self.each_pending(slot, |hub, client| {
            let socket = hub.clients.slot(client).and_then(|client| hub.live(client.socket));
            if somebody && let Some(pending) = socket.and_then(|socket| hub.pending_mut(socket)) {
                pending.ids.push(id.clone());
            }
        });
        self.end_session(slot, Cause::Rotated, Detector::Sweep, 0);
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

    fn ask_session(&mut self, slot: u32, ask: Option<Ask>) {
        if let Some(ask) = ask
            && let Some(bound) = self.registry.sessions.slot(slot)
        {
            let (id, names) = (bound.id.clone(), bound.names);
            let op = match ask {
                Ask::Load => Op::Load { id },
                // After a rename it is asked whose it is, too.
                Ask::Check if bound.unsure_until > Instant::default() => Op::Load { id },
                Ask::Check => Op::Check { id },
                Ask::Touch { age_ms } => {
                    self.stats.touches += 1;
                    Op::Touch { id, age_ms }
                }
            };
            let generation = self.registry.sessions.generation(slot).unwrap_or_default();
            self.ask(Asked::Session { slot, generation, names }, op);
        }
        self.arm_session(slot);
    }

    fn arm_session(&mut self, slot: u32) {
        let Some(bound) = self.registry.sessions.slot_mut(slot) else { return };
        let due = bound.life.due(&self.registry.times);
        if bound.armed.lower(due) {
            let generation = self.registry.sessions.generation(slot).unwrap_or_default();
            self.wheel.arm(super::deadline::session_key(slot, generation), due);
        }
    }

    /// The session is over: in one step nothing more crosses its sockets, and each is closed.
    pub(super) fn end_session(&mut self, slot: u32, cause: Cause, detector: Detector, late_ms: u64) {
        let Some(bound) = self.registry.leave(slot) else { return };
        let (mut sockets, mut client) = (0, bound.first);
        while let Some(it) = self.clients.slot_mut(client) {
            let (next, phase) = (it.next, it.phase);
            it.session = NONE;
            match phase {
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

    /// A session got another id by our own doing: its clients follow, unless it is somebody else's now.
    pub(super) fn renamed(&mut self, from: &Arc<str>, record: &Record) {
        let Some(slot) = self.registry.find(from) else { return };
        if self.registry.principal(slot) != record.principal || self.registry.find(&record.id).is_some() {
            return self.end_session(slot, Cause::Rotated, Detector::Local, 0);
        }
        self.registry.unindex(slot);
        if let Some(bound) = self.registry.sessions.slot_mut(slot) {
            bound.id = record.id.clone();
            bound.names += 1;
            let ask = bound.life.renamed(self.now.mono);
            self.registry.index(slot);
            self.ask_session(slot, ask);
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

    fn each_pending(&mut self, session: u32, mut each: impl FnMut(&mut Self, u32)) {
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
/// For so long after a rename it is asked again whose session it is, in milliseconds.
const UNSURE_MS: u64 = 1_000;
/// After a gap in the notices every bound session is asked for within this many milliseconds.
const RESYNC_MS: u64 = 4_000;
/// How many sessions one turn puts in doubt.
const DOUBTS_A_TURN: u32 = 4_096;
