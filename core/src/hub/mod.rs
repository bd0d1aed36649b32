//! A whole server as one state machine: events in, actions out.
//!
//! Four kinds of methods:
//! - *the world*: [`Hub::open`], [`Hub::ask`], [`Hub::join`], [`Hub::handle`];
//! - *what to do*: [`Hub::poll`], [`Hub::output`], [`Hub::next_deadline`];
//! - *the application*: [`Hub::respond`], [`Hub::decide`], [`Hub::publish`], [`Hub::announce`], [`Hub::answer`], [`Hub::send`],
//!   [`Hub::end`], [`Hub::drain`];
//! - *looking*: [`Hub::stats`], and [`record`] for what came in.
//!
//! Any number of calls may come before a drain of the actions; batching is the point. One turn is bounded: what is left
//! over makes [`Hub::next_deadline`] now. The same seed, calls and times give the same actions, byte for byte.

mod action;
mod actions;
mod addresses;
mod app;
mod ask;
mod closing;
mod deadline;
mod decide;
mod event;
mod inbound;
mod join;
mod outbound;
mod output;
mod pool;
mod publish;
pub mod record;
mod redis;
mod relay;
mod renames;
mod request;
mod sessions;
mod socket;
mod sockjs;
mod stats;
mod stomp;
mod upgrade;

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::IpAddr;

use bytes::BytesMut;

use self::actions::Actions;
use self::addresses::Addresses;
use self::pool::Pool;
use self::publish::Jobs;
use self::sessions::{Asked, Registry};
use self::socket::{Client, Cold, Mark, NONE, Role, Socket, Under};
use crate::broker::Broker;
use crate::config::{Config, ConfigError, Store};
use crate::ids::{CallId, ClientId, SocketId};
use crate::session::memory::Memory;
use crate::session::spring::Spring;
use crate::session::{Answer, Op};
use crate::slab::Slab;
use crate::time::{Instant, Now, earlier};
use crate::wheel::Wheel;

pub use self::action::{Action, Change, Delivery, DeliveryKind, Ended, Request, Response};
pub use self::actions::Loan;
pub use self::app::{Message, Payload, To, Who};
pub use self::ask::{Ask, Follows};
pub use self::decide::{Handshake, Verdict};
pub use self::event::{Event, Notice};
pub use self::join::{Join, Joined, Kind};
pub use self::relay::Publication;
pub use self::stats::Stats;

/// A whole server as one state machine. See the [module's documentation](self) for the order of calls.
#[derive(Debug)]
pub struct Hub {
    config: Config,
    now: Now,
    random: crate::random::Random,
    sockets: Slab<Socket>,
    clients: Slab<Client, Under>,
    registry: Registry,
    /// The store in memory, if that is where sessions live.
    memory: Option<Box<Memory>>,
    /// The machine that speaks with Redis, if that is where they live.
    spring: Option<Box<Spring>>,
    /// Questions that a store elsewhere has not answered.
    calls: Slab<Asked>,
    /// Answers of the store in memory that are still to be handled.
    answers: VecDeque<(Asked, Answer)>,
    broker: Broker,
    /// SockJS sessions that speak through requests.
    channels: sockjs::Channels,
    /// Timers of the sockets; those of the sessions are in the registry.
    wheel: Wheel,
    addresses: Addresses,
    actions: Actions,
    jobs: Jobs,
    closing: closing::Pacer,
    /// Colds that are not in use.
    pool: Pool,
    /// Where messages to the application are copied to.
    arena: BytesMut,
    /// Where STOMP frames to one client are put together.
    scratch: BytesMut,
    /// The paths of the endpoints.
    paths: Vec<Arc<str>>,
    /// Tells the message ids of one run of the server from another's.
    run: alloc::string::String,
    published: u64,
    /// What other hubs know this one by.
    name: alloc::string::String,
    /// How far a drain has come.
    drained: Option<u32>,
    buffered: usize,
    /// The least of what may wait for a peer, over all endpoints.
    least_unsent: usize,
    /// Sockets that took all there was, while it is being said what others took.
    emptied: VecDeque<SocketId>,
    notices_on: bool,
    doubts: Option<sessions::Doubts>,
    /// When each open call counts as lost, in order.
    overdue: VecDeque<(CallId, Instant)>,
    draining: bool,
    stats: Stats,
    seed: [u8; 16],
    /// Nothing has come in yet.
    fresh: bool,
    recorder: Option<Box<record::Recorder>>,
}

/// A connection that was accepted.
#[derive(Debug, Clone, Copy)]
pub struct Open {
    /// What the embedder wants to be given back with each action: a descriptor, a slot, a pointer.
    pub token: u64,
    /// The peer's address, if it has one.
    pub address: Option<IpAddr>,
    /// Whether it came over TLS.
    pub secure: bool,
}

/// No more sockets are taken: close it at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many sockets, or the hub is draining: close this one at once")]
pub struct Full;

impl Hub {
    /// A hub with nobody in it. `seed` must come from the system's random source: session ids are made from it.
    ///
    /// # Errors
    /// What [`Config::validate`] finds.
    pub fn new(config: Config, seed: [u8; 16], now: Now) -> Result<Self, ConfigError> {
        config.validate()?;
        let memory = match config.store {
            Store::Memory => {
                Some(Box::new(Memory::new(seed, config.session.timeout_ms, config.limits.sessions, now.mono)))
            }
            Store::External | Store::Spring(_) => None,
        };
        let spring = redis::spring(&config, seed, now.mono);
        let mut random = crate::random::Random::new(seed);
        let (limits, endpoints) = (&config.limits, config.endpoints.iter());
        Ok(Self {
            closing: closing::Pacer::new(config.limits.close_rate, now.mono),
            now,
            run: random.run(),
            name: relay::name(&mut random, config.relay),
            random,
            sockets: Slab::new(),
            clients: Slab::new(),
            registry: Registry::new(&seed, &config, now.mono),
            memory,
            spring,
            calls: Slab::new(),
            answers: VecDeque::new(),
            broker: Broker::new(&seed, limits.subscriptions, limits.patterns),
            paths: config.endpoints.iter().map(|endpoint| Arc::from(endpoint.path.as_str())).collect(),
            channels: sockjs::Channels::new(&seed, now.mono),
            wheel: Wheel::new(now.mono),
            addresses: Addresses::new(&seed),
            actions: Actions::default(),
            jobs: Jobs::default(),
            pool: Pool::new(now.mono),
            arena: BytesMut::new(),
            scratch: BytesMut::new(),
            published: 0,
            drained: None,
            buffered: 0,
            least_unsent: endpoints.filter_map(|endpoint| endpoint.out_bytes).fold(limits.out_bytes, usize::min),
            emptied: VecDeque::new(),
            notices_on: config.store == Store::Memory,
            doubts: None,
            overdue: VecDeque::new(),
            draining: false,
            stats: Stats::default(),
            seed,
            fresh: true,
            recorder: None,
            config,
        })
    }

    /// A connection was accepted. Its first bytes are expected to be HTTP/1.1.
    ///
    /// # Errors
    /// [`Full`]: at the limit TOTAL (with room for as many that are only to be told so), or while draining.
    pub fn open(&mut self, now: Now, open: Open) -> Result<SocketId, Full> {
        self.begin(now);
        let limits = &self.config.limits;
        if self.draining || self.sockets.len() >= limits.total as usize + limits.half_open as usize {
            self.stats.refused += 1;
            self.recording(|record| record.open(now, &open, None));
            return Err(Full);
        }
        let address = self.addresses.enter(open.address);
        let (slot, generation) = self.sockets.insert(Socket::new(open.token, address, open.secure, self.now.mono));
        let id = SocketId::new(slot, generation);
        self.recording(|record| record.open(now, &open, Some(id)));
        self.stats.opened += 1;
        self.half_open(id, address);
        self.arm_socket(slot);
        self.finish();
        Ok(id)
    }

    /// Something happened.
    pub fn handle(&mut self, now: Now, event: Event<'_>) {
        if let Event::Sent { socket, len } = event {
            return self.sent(now, &[(socket, len)]);
        }
        self.recording(|record| record.event(now, &event));
        if let Event::Activity { client } = event
            && now.mono <= self.now.mono
            && self.is_only_noted(client)
        {
            return;
        }
        self.begin(now);
        match event {
            Event::Received { socket, bytes } => {
                if let Some(slot) = self.live(socket).filter(|slot| !self.is_elsewhere(*slot)) {
                    self.received(slot, bytes);
                }
            }
            Event::Closed { socket } => {
                if let Some(slot) = self.live(socket) {
                    self.peer_closed(slot);
                }
            }
            Event::Message { client, kind, bytes } => self.spoke(client, kind, bytes),
            Event::Activity { client } => {
                if let Some(Under(session)) = self.clients.hot_of(client.slot(), client.generation()) {
                    self.activity(session);
                }
            }
            Event::Answer { call, answer } => {
                if let Some(asked) = self.calls.remove(call.slot(), call.generation()) {
                    self.answered(asked, &answer);
                }
            }
            Event::Reply { call, reply } => self.replied(call, reply),
            Event::Notification { node, channel, payload } => self.notification(node, channel, payload),
            Event::Connected { connection } => self.connected(connection, true),
            Event::Disconnected { connection } => self.connected(connection, false),
            Event::Relayed { publication } => self.relayed(publication),
            Event::Notice { session, notice } => self.noticed(session, notice),
            Event::NoticesOn if self.spring.is_none() => self.notices(true),
            Event::NoticesLost if self.spring.is_none() => self.notices(false),
            Event::NoticesOn | Event::NoticesLost => {}
            Event::Tick | Event::Sent { .. } => {}
        }
        self.finish();
    }

    /// Several sockets took bytes of [`output`](Self::output): as [`Event::Sent`] for each, with how many. Who writes to
    /// many sockets may so write to all of them first; nothing else is to be handed in meanwhile.
    pub fn sent(&mut self, now: Now, sent: &[(SocketId, usize)]) {
        let Some(((last, taken), others)) = sent.split_last() else { return };
        for (socket, len) in others {
            self.recording(|record| record.sent(now, *socket, *len, true));
            self.note_sent(now, *socket, *len);
        }
        self.recording(|record| record.sent(now, *last, *taken, false));
        self.note_sent(now, *last, *taken);
        self.begin(now);
        while let Some(socket) = self.emptied.pop_front() {
            if let Some(slot) = self.live(socket) {
                self.took_all(slot);
            }
        }
        self.finish();
    }

    /// What was written is written, whatever is due by now: it is not to be taken from what comes of that.
    fn note_sent(&mut self, now: Now, socket: SocketId, len: usize) {
        if let Some(slot) = self.live(socket).filter(|slot| !self.is_elsewhere(*slot))
            && self.took(slot, now.mono.max(self.now.mono), len)
        {
            self.emptied.push_back(socket);
        }
    }

    /// How many actions wait for [`poll`](Self::poll), at most.
    pub fn waiting(&self) -> usize {
        self.actions.len()
    }

    /// What waits to be written on a socket, oldest first: for `writev`. It is what may cross at the time of the last
    /// call: who comes in a later millisecond, such as with a socket that can be written at last, hands in
    /// [`Event::Tick`] first. Say with [`Event::Sent`] what was taken, or with [`sent`](Self::sent) what several took, before
    /// anything else is handed in: what waits may be dropped when a client ends, and what was taken cannot be had back.
    /// Who writes later copies it, says so at once, and shuts or closes only after the copy is written.
    pub fn output(&self, socket: SocketId) -> impl Iterator<Item = &[u8]> {
        self.sockets
            .get(socket.slot(), socket.generation())
            .filter(|socket| !socket.marks.has(Mark::Elsewhere) && !self.held(socket))
            .and_then(|socket| socket.cold.as_ref())
            .into_iter()
            .flat_map(|cold| cold.output.iter())
    }

    /// When [`Event::Tick`] is due, and what for.
    pub fn next_deadline(&self) -> Option<(Instant, &'static str)> {
        if self.jobs.has_work() || self.channels.has_stalled() {
            return Some((self.now.mono, "fan-out"));
        }
        if self.doubts.is_some() || self.drained.is_some() {
            return Some((self.now.mono, "pass"));
        }
        let sessions = earlier(self.registry.next_deadline(), self.channels.next_deadline());
        let mut next: Option<(Instant, &'static str)> = None;
        let mut look = |due: Option<Instant>, what| match (due, next) {
            (Some(due), None) => next = Some((due, what)),
            (Some(due), Some((sooner, _))) if due < sooner => next = Some((due, what)),
            _ => {}
        };
        look(earlier(self.wheel.next_deadline(), sessions), "timer");
        look(self.closing.next(), "close");
        look(self.memory.as_ref().and_then(|memory| memory.next_deadline()), "session");
        look(self.spring.as_ref().and_then(|spring| spring.next_deadline()), "redis");
        look(self.overdue.front().map(|(_, at)| *at), "reply");
        next
    }

    /// Whether this socket is still there. Between an action and the call that it leads to, it may have ended.
    pub fn has_socket(&self, socket: SocketId) -> bool {
        self.live(socket).is_some()
    }

    /// Whether this client is still there.
    pub fn has_client(&self, client: ClientId) -> bool {
        self.clients.get(client.slot(), client.generation()).is_some()
    }

    /// The store in memory, if that is where sessions live.
    pub fn memory(&self) -> Option<&Memory> {
        self.memory.as_deref()
    }

    /// The machine that speaks with Redis, if that is where sessions live.
    pub fn spring(&self) -> Option<&Spring> {
        self.spring.as_deref()
    }

    /// The hub's counters.
    pub fn stats(&self) -> Stats {
        Stats {
            sockets: self.sockets.len() as u64,
            clients: self.clients.len() as u64,
            sessions: self.registry.len() as u64,
            channels: self.channels.len() as u64,
            buffered_bytes: self.buffered as u64,
            ..self.stats
        }
    }

    /// Takes the time, and does what it is time for before anything else.
    fn begin(&mut self, now: Now) {
        self.now = Now { mono: now.mono.max(self.now.mono), wall: now.wall };
        self.fresh = false;
        self.pool.look(self.now.mono);
        if let Some(memory) = &mut self.memory {
            memory.tick(self.now.mono);
        }
        if let Some(spring) = &mut self.spring {
            spring.tick(self.now.mono);
        }
        self.fire_timers();
    }

    /// Handles what the store in memory answered, and what is left to hand out.
    fn finish(&mut self) {
        loop {
            self.take_notices();
            self.take_redis();
            let Some((asked, answer)) = self.answers.pop_front() else { break };
            self.answered(asked, &answer);
        }
        self.spread_doubts();
        self.drain_some();
        self.hand_out();
        self.hear_waiting();
        self.hear_stalled();
        self.pace_closes();
    }

    fn live(&self, socket: SocketId) -> Option<u32> {
        self.sockets.get(socket.slot(), socket.generation()).map(|_| socket.slot())
    }

    fn socket_id(&self, slot: u32) -> SocketId {
        SocketId::new(slot, self.sockets.generation(slot).unwrap_or_default())
    }

    fn client_id(&self, slot: u32) -> ClientId {
        ClientId::new(slot, self.clients.generation(slot).unwrap_or_default())
    }

    /// The socket's busy part, from the pool if it has none.
    fn cold(&mut self, slot: u32) -> Option<&mut Cold> {
        let socket = self.sockets.slot_mut(slot)?;
        Some(socket.cold.get_or_insert_with(|| self.pool.take()))
    }

    /// Gives the socket's busy part back if nothing is in it.
    fn cool(&mut self, slot: u32) {
        let Some(socket) = self.sockets.slot_mut(slot) else { return };
        if socket.cold.as_ref().is_some_and(|cold| cold.is_idle())
            && let Some(cold) = socket.cold.take()
        {
            self.pool.give(cold);
        }
    }

    /// Asks the store, wherever it is.
    fn ask_store(&mut self, asked: Asked, op: Op) {
        self.stats.asked += 1;
        if let Some(memory) = &mut self.memory {
            let answer = memory.execute(self.now.mono, &op);
            self.answers.push_back((asked, answer));
        } else if let Some(spring) = &mut self.spring {
            let (slot, generation) = self.calls.insert(asked);
            spring.ask(self.now.mono, Some(CallId::new(slot, generation).to_raw()), op);
        } else if self.calls.len() >= self.config.limits.inflight as usize {
            self.answers.push_back((asked, Answer::Lost));
        } else {
            let (slot, generation) = self.calls.insert(asked);
            let call = CallId::new(slot, generation);
            self.overdue.push_back((call, self.now.mono.after(self.config.session.reply_ms)));
            self.actions.push_back(Action::Session { call: Some(call), op });
        }
    }

    /// Tells the store, whatever it answers.
    fn tell(&mut self, op: Op) {
        self.stats.asked += 1;
        if let Some(memory) = &mut self.memory {
            memory.execute(self.now.mono, &op);
        } else if let Some(spring) = &mut self.spring {
            spring.ask(self.now.mono, None, op);
        } else {
            self.actions.push_back(Action::Session { call: None, op });
        }
    }

    /// Whether nothing may be written just now, since the socket's session is in doubt or its deadline has passed,
    /// whether or not its timer has fired. Looked at where output is announced and lent, not where it is queued: that
    /// is once for a burst, and a fan-out looks at no session whose socket was announced before.
    fn held(&self, socket: &Socket) -> bool {
        let client = match socket.role {
            Role::Ws | Role::Lingering => socket.client,
            Role::Receiver => self.channels.client(socket.channel()),
            Role::Head | Role::Body | Role::Waiting => NONE,
        };
        client != NONE && !self.registry.passes(self.under(client), self.now.mono)
    }

    /// The embedder's token of a client's socket.
    fn token_of(&self, client: u32) -> u64 {
        self.socket_of(client).and_then(|slot| self.sockets.slot(slot)).map_or(0, |socket| socket.token)
    }

    fn principal(&self, client: u32) -> Option<Arc<str>> {
        self.registry.principal(self.under(client))
    }
}

#[cfg(test)]
mod tests;
