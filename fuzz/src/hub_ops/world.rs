//! Kernel, peers, application and store around a hub, and what must hold after each operation.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use tethered_core::hub::{Action, DeliveryKind, Event, Hub, Open};
use tethered_core::ids::{CallId, ClientId, SocketId};
use tethered_core::session;
use tethered_core::session::memory::Memory;
use tethered_core::time::{Instant, Now, UnixMillis};

use super::peer::{self, Peer};
use super::setup::{Setup, TIMEOUT_MS, config};

mod again;
mod perform;

pub(super) struct World {
    setup: Setup,
    hub: Hub,
    now_ms: u64,
    sockets: Vec<Socket>,
    clients: Vec<Client>,
    /// Ids of sessions that were ever made.
    sessions: Vec<String>,
    /// The store, where it is outside.
    store: Memory,
    calls: Vec<(CallId, session::Op)>,
    asked: BTreeSet<u64>,
    /// Sockets whose request waits for the application.
    handed: BTreeSet<u64>,
    /// Subscriptions that the application was given.
    subscriptions: Vec<(ClientId, Box<str>)>,
    slow: bool,
    notices: bool,
    busy: bool,
    /// It was busy at the last call.
    late: bool,
    /// All that was polled.
    actions: Vec<String>,
    /// Clients whose session was over before the present call.
    dead: Vec<ClientId>,
}

struct Socket {
    id: SocketId,
    token: u64,
    peer: Peer,
    /// How many more bytes the kernel takes; `None`: any number.
    room: Option<usize>,
    /// What the peer sent while the hub did not read.
    backlog: Vec<u8>,
    reading: bool,
    /// The last write came back short.
    blocked: bool,
    shut: bool,
    closed: bool,
}

struct Client {
    id: ClientId,
    token: u64,
    principal: Option<Arc<str>>,
    left: bool,
}

impl World {
    pub(super) fn new(setup: &Setup) -> Self {
        let now = Now { mono: Instant::from_millis(START_MS), wall: UnixMillis::from_millis(WALL_MS) };
        let mut hub = Hub::new(config(setup), SEED, now).expect("the configuration is in order");
        hub.record(true).expect("nothing has come in");
        Self {
            setup: *setup,
            hub,
            now_ms: START_MS,
            sockets: Vec::new(),
            clients: Vec::new(),
            sessions: Vec::new(),
            store: Memory::new(SEED, TIMEOUT_MS, 100, now.mono),
            calls: Vec::new(),
            asked: BTreeSet::new(),
            handed: BTreeSet::new(),
            subscriptions: Vec::new(),
            slow: false,
            notices: true,
            busy: false,
            late: false,
            actions: Vec::new(),
            dead: Vec::new(),
        }
    }

    fn now(&self) -> Now {
        Now { mono: Instant::from_millis(self.now_ms), wall: UnixMillis::from_millis(WALL_MS + self.now_ms - START_MS) }
    }

    /// The world is over: everything is answered, everybody goes, and nothing is left.
    pub(super) fn finish(mut self) {
        (self.busy, self.slow) = (false, false);
        self.tick();
        while !self.calls.is_empty() {
            self.answer(0, 0);
        }
        // In half of the worlds those who do not read never will.
        for at in 0..self.sockets.len() {
            if self.setup.total.is_multiple_of(2) {
                self.sockets[at].room = None;
                self.writable(at);
            }
        }
        self.wait(2_000);
        for socket in &self.sockets {
            let fine = socket.closed || socket.reading || socket.blocked || !socket.peer.speaks();
            assert!(fine || self.setup.paced, "input is never taken again");
        }
        self.wait(30_000);
        let waits = |socket: &Socket| socket.closed || self.handed.contains(&socket.id.to_raw());
        assert!(self.sockets.iter().all(waits), "a silent socket lives for ever");
        for at in 0..self.sockets.len() {
            self.hang_up(at);
            if !self.sockets[at].closed {
                self.hang_up(at);
            }
            assert!(self.sockets[at].closed, "a socket whose peer is gone stays open");
        }
        let stats = self.hub.stats();
        assert_eq!((stats.sockets, stats.clients, stats.sessions), (0, 0, 0), "somebody is left");
        assert_eq!(stats.opened, stats.closed);
        assert!(self.clients.iter().all(|client| client.left), "a client that never left");
        self.wait(60_000);
        assert_eq!(self.hub.stats().buffered_bytes, 0);
        self.again();
    }

    // --- sockets

    fn open(&mut self, address: u8, secure: bool) -> Option<usize> {
        let address = match address % 5 {
            0 => None,
            at => Some(IpAddr::V4(Ipv4Addr::new(203, 0, 113, at))),
        };
        let token = 1_000 + self.sockets.len() as u64;
        let before = self.hub.stats();
        let mut opened = None;
        // The socket has to be known before the first action about it is taken.
        let busy = std::mem::replace(&mut self.busy, true);
        self.turn(|hub, now| opened = hub.open(now, Open { token, address, secure }).ok());
        self.busy = busy;
        match opened {
            Some(id) => self.sockets.push(Socket {
                id,
                token,
                peer: Peer::default(),
                room: None,
                backlog: Vec::new(),
                reading: true,
                blocked: false,
                shut: false,
                closed: false,
            }),
            None => assert_eq!(self.hub.stats().refused, before.refused + 1),
        }
        self.tick();
        opened.map(|_| self.sockets.len() - 1)
    }

    /// A socket that is open; from 240 on one of the newest 16, open or not, 255 being the newest.
    fn pick(&self, at: u8) -> Option<usize> {
        if at >= 240 {
            return self.sockets.len().checked_sub(usize::from(255 - at) + 1);
        }
        let open: Vec<usize> = (0..self.sockets.len()).filter(|&at| !self.sockets[at].closed).collect();
        pick(&open, at).copied()
    }

    fn session(&self, at: u8) -> Option<String> {
        if at == 255 { None } else { pick(&self.sessions, at).cloned() }
    }

    fn shake(&mut self, at: usize, endpoint: u8, session: u8, flaw: u8, cut: u8) {
        let bytes = peer::handshake(endpoint, self.session(session).as_deref(), flaw);
        self.sockets[at].peer.stomp = peer::is_stomp(endpoint) && self.sockets[at].peer.all.is_empty();
        self.receive(at, &bytes, cut);
    }

    /// Frames go to a socket that speaks WebSocket, if one does.
    fn receive_at(&mut self, socket: u8, bytes: &[u8], cut: u8) {
        let open = (0..self.sockets.len()).filter(|&at| !self.sockets[at].closed);
        let speaking: Vec<usize> = open.filter(|&at| self.sockets[at].peer.speaks()).collect();
        let speaking = if socket < 240 { pick(&speaking, socket).copied() } else { None };
        if let Some(at) = speaking.or_else(|| self.pick(socket)) {
            self.receive(at, bytes, cut);
        }
    }

    /// The peer sends bytes, in pieces of `cut` bytes; the top bit says that they are on their way already.
    fn receive(&mut self, at: usize, bytes: &[u8], cut: u8) {
        let piece = if cut & 0x7f == 0 { bytes.len().max(1) } else { usize::from(cut & 0x7f) };
        for piece in bytes.chunks(piece) {
            let it = &mut self.sockets[at];
            if !it.reading && cut & 0x80 == 0 {
                it.backlog.extend_from_slice(piece);
                continue;
            }
            let (socket, mut bytes) = (it.id, piece.to_vec());
            self.turn(|hub, now| hub.handle(now, Event::Received { socket, bytes: &mut bytes }));
        }
    }

    fn hang_up(&mut self, at: usize) {
        let socket = self.sockets[at].id;
        self.turn(|hub, now| hub.handle(now, Event::Closed { socket }));
    }

    fn exaggerate(&mut self, socket: u8) {
        let Some(at) = self.pick(socket) else { return };
        if !self.busy {
            let socket = self.sockets[at].id;
            let waiting: Vec<u8> = self.hub.output(socket).flatten().copied().collect();
            if !waiting.is_empty() {
                self.sockets[at].peer.take(&waiting);
                self.turn(|hub, now| hub.handle(now, Event::Sent { socket, len: usize::MAX }));
            }
        }
    }

    /// The kernel says that a write that came back short may be tried again.
    fn writable(&mut self, at: usize) {
        if std::mem::replace(&mut self.sockets[at].blocked, false) {
            self.write(at);
            if !self.busy {
                self.work();
            }
        }
    }

    fn write(&mut self, at: usize) {
        let socket = self.sockets[at].id;
        loop {
            let waiting: Vec<u8> = self.hub.output(socket).flatten().copied().collect();
            let it = &mut self.sockets[at];
            if waiting.is_empty() || it.blocked {
                return;
            }
            let len = waiting.len().min(it.room.unwrap_or(usize::MAX));
            it.peer.take(&waiting[..len]);
            it.room = it.room.map(|room| room - len);
            it.blocked = len < waiting.len();
            self.sessions.append(&mut it.peer.cookies);
            let now = self.now();
            self.hub.handle(now, Event::Sent { socket, len });
        }
    }

    // --- time

    fn tick(&mut self) {
        self.turn(|hub, now| hub.handle(now, Event::Tick));
    }

    fn wait(&mut self, ms: u64) {
        let until = self.now_ms + ms;
        let (mut turns, mut stuck) = (0, 0);
        while let Some((due, why)) = self.hub.next_deadline()
            && due.as_millis() <= until
        {
            turns += 1;
            stuck = if due.as_millis() <= self.now_ms { stuck + 1 } else { 0 };
            assert!(stuck < 50 && turns < 100_000, "to be told at {due:?} again and again: {why}");
            self.now_ms = self.now_ms.max(due.as_millis());
            self.tick();
        }
        self.now_ms = until;
        self.tick();
        if ms > 1_000 && !self.busy && !self.setup.paced {
            assert!(self.over(1_000).is_empty(), "a second after the end of its session a client is still there");
        }
    }

    // --- a call and what comes of it

    fn turn(&mut self, call: impl FnOnce(&mut Hub, Now)) {
        let now = self.now();
        // What waited while the embedder was busy may be from before the end.
        let late = std::mem::replace(&mut self.late, self.busy);
        let over = if late { Vec::new() } else { self.over(0) };
        call(&mut self.hub, now);
        if self.busy {
            return;
        }
        self.dead = over.iter().map(|(client, _)| *client).collect();
        self.work();
        for (client, messages) in over {
            let token = self.clients.iter().find(|it| it.id == client).map(|it| it.token);
            let socket = self.sockets.iter().find(|socket| Some(socket.token) == token);
            assert_eq!(socket.map(|socket| socket.peer.messages), Some(messages), "something crossed after the end");
        }
        self.dead.clear();
        self.check();
    }

    /// Clients whose session has been over for so long, and the messages that each got.
    fn over(&self, slack_ms: u64) -> Vec<(ClientId, usize)> {
        let Some(memory) = self.hub.memory() else { return Vec::new() };
        let at = Instant::from_millis(self.now_ms.saturating_sub(slack_ms));
        let joined = self.clients.iter().filter(|client| !client.left);
        let over = joined.filter(|client| {
            self.hub.session_of(client.id).is_some_and(|(session, _)| memory.ttl_ms(&session, at).is_none())
        });
        over.map(|client| {
            let socket = self.sockets.iter().find(|socket| socket.token == client.token).expect("its socket");
            (client.id, socket.peer.messages)
        })
        .collect()
    }

    fn work(&mut self) {
        self.store_notices();
        while let Some(action) = self.poll() {
            self.act(action);
        }
    }

    fn poll(&mut self) -> Option<Action> {
        let action = self.hub.poll()?;
        self.actions.push(format!("{action:?}"));
        Some(action)
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Write { socket, token } => {
                let at = self.find(socket, token);
                self.write(at);
            }
            Action::Reading { socket, token, on } => {
                let at = self.find(socket, token);
                assert_ne!(self.sockets[at].reading, on, "told what is so already");
                self.sockets[at].reading = on;
                let mut backlog = std::mem::take(&mut self.sockets[at].backlog);
                if on && !backlog.is_empty() {
                    let now = self.now();
                    self.hub.handle(now, Event::Received { socket, bytes: &mut backlog });
                } else {
                    self.sockets[at].backlog = backlog;
                }
            }
            Action::Shutdown { socket, token } => {
                let at = self.find(socket, token);
                assert_eq!(self.hub.output(socket).count(), 0, "shut before all was written");
                assert!(!std::mem::replace(&mut self.sockets[at].shut, true), "shut twice");
            }
            Action::Close { socket, token } => {
                let at = self.find(socket, token);
                self.sockets[at].closed = true;
                let present = self.clients.iter().any(|client| client.token == token && !client.left);
                assert!(!present, "closed before its client left");
            }
            Action::Session { call, op } => self.asked(call, op),
            Action::Deliver { client, token, delivery } => {
                assert!(!self.dead.contains(&client), "delivered after the end of the session");
                let known = self.clients.iter().find(|it| it.id == client).expect("it has joined");
                assert!(!known.left, "delivered after it left");
                assert_eq!((known.token, &known.principal), (token, &delivery.principal));
                if let DeliveryKind::Subscribe { id } = delivery.kind {
                    self.subscriptions.push((client, id));
                }
            }
            Action::Request { socket, token, .. } => {
                self.find(socket, token);
                self.handed.insert(socket.to_raw());
            }
            Action::Joined { client, token, principal, .. } => {
                assert!(!self.clients.iter().any(|it| it.id == client), "joined twice");
                let socket = self.sockets.iter().find(|socket| socket.token == token).expect("a socket");
                assert!(!socket.closed);
                self.clients.push(Client { id: client, token, principal, left: false });
            }
            Action::Left { client, token, principal, .. } => {
                let it = self.clients.iter_mut().find(|it| it.id == client).expect("it has joined");
                assert_eq!((it.token, &it.principal), (token, &principal));
                assert!(!std::mem::replace(&mut it.left, true), "left twice");
            }
            Action::Ended(ended) => assert!(ended.sockets > 0),
            other => panic!("what is this? {other:?}"),
        }
    }

    fn asked(&mut self, call: Option<CallId>, op: session::Op) {
        assert!(self.setup.external, "the store is inside");
        if let session::Op::Create { id, .. } | session::Op::Rename { to: id, .. } = &op {
            self.sessions.push(id.to_string());
        }
        let Some(call) = call else {
            if !self.slow {
                self.store.execute(Instant::from_millis(self.now_ms), &op);
            }
            return;
        };
        assert!(self.asked.insert(call.to_raw()), "a call id that was used before");
        if self.slow {
            self.calls.push((call, op));
        } else {
            let answer = self.store.execute(Instant::from_millis(self.now_ms), &op);
            let now = self.now();
            self.hub.handle(now, Event::Answer { call, answer });
        }
    }

    /// The socket that an action is about: one that is open.
    fn find(&self, socket: SocketId, token: u64) -> usize {
        let at = self.sockets.iter().position(|it| it.id == socket).expect("a socket that was opened");
        assert_eq!(self.sockets[at].token, token);
        assert!(!self.sockets[at].closed, "an action for a socket that was closed");
        at
    }

    fn check(&self) {
        let stats = self.hub.stats();
        let mut waiting = 0;
        for socket in &self.sockets {
            assert_eq!(self.hub.has_socket(socket.id), !socket.closed);
            let output: usize = self.hub.output(socket.id).map(<[u8]>::len).sum();
            waiting += output as u64;
            assert!(output == 0 || !socket.closed, "output of a closed socket");
            assert!(output == 0 || socket.blocked, "output that nobody was told of");
        }
        for client in &self.clients {
            assert_eq!(self.hub.has_client(client.id), !client.left);
            let socket = self.sockets.iter().find(|socket| socket.token == client.token).expect("its socket");
            let own = |name: &String| client.principal.as_deref() == Some(name);
            assert!(socket.peer.addressees.iter().all(own), "somebody else's: {:?}", socket.peer.addressees);
        }
        let open = self.sockets.iter().filter(|socket| !socket.closed).count() as u64;
        assert_eq!(stats.sockets, open);
        assert!(stats.clients <= open && stats.sessions <= stats.clients, "{stats:?}");
        assert!(stats.buffered_bytes >= waiting, "{stats:?}");
        assert!(open > 0 || stats.buffered_bytes == 0, "{stats:?}");
        assert_eq!(stats.opened, stats.closed + open);
    }
}

fn pick<T>(all: &[T], at: u8) -> Option<&T> {
    let from = all.len().saturating_sub(16);
    let newest = &all[from..];
    if newest.is_empty() { None } else { newest.get(usize::from(at) % newest.len()) }
}

const START_MS: u64 = 1_000_000;
const WALL_MS: u64 = 1_700_000_000_000;
const SEED: [u8; 16] = *b"a seed for tests";
