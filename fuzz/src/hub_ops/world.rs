//! Kernel, peers, application and store around a hub, and what must hold after each operation.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use tethered_core::broker::access::Rules;
use tethered_core::config::{Config, Endpoint, Login, Renew, Store};
use tethered_core::http;
use tethered_core::hub::{Action, Change, DeliveryKind, Event, Hub, Message, Notice, Open, Payload, Response, To, Who};
use tethered_core::ids::{CallId, ClientId, SocketId};
use tethered_core::session::memory::Memory;
use tethered_core::session::{self as session, Answer, Cause, Record};
use tethered_core::time::{Instant, Now, UnixMillis};

use super::op::{Bytes, Op, Setup};
use super::peer::{self, Peer};

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
    left: bool,
}

impl World {
    pub(super) fn new(setup: &Setup) -> Self {
        let now = Now { mono: Instant::from_millis(START_MS), wall: UnixMillis::from_millis(WALL_MS) };
        let hub = Hub::new(config(setup), SEED, now).expect("the configuration is in order");
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
            dead: Vec::new(),
        }
    }

    fn now(&self) -> Now {
        Now { mono: Instant::from_millis(self.now_ms), wall: UnixMillis::from_millis(WALL_MS + self.now_ms - START_MS) }
    }

    pub(super) fn perform(&mut self, op: &Op) {
        match op {
            Op::Open { address, secure } => {
                self.open(*address, *secure);
            }
            Op::Login { user } => self.log_in(*user),
            Op::Enter { address, endpoint, session } => {
                if let Some(at) = self.open(*address, false) {
                    self.shake(at, *endpoint, *session, 0, 0);
                }
            }
            Op::Handshake { socket, endpoint, session, flaw, cut } => {
                if let Some(at) = self.pick(*socket) {
                    self.shake(at, *endpoint, *session, *flaw, *cut);
                }
            }
            Op::Request { socket, page, session, body, cut } => {
                if let Some(at) = self.pick(*socket) {
                    let bytes = peer::request(*page, self.session(*session).as_deref(), *body);
                    self.receive(at, &bytes, *cut);
                }
            }
            Op::Say { socket, frame, cut } => self.receive_at(*socket, &peer::stomp(frame), *cut),
            Op::Frame { socket, first, payload: Bytes(payload), cut } => {
                self.receive_at(*socket, &peer::frame(*first, payload), *cut);
            }
            Op::Bulk { socket, blocks, binary, cut } => {
                let payload = "sixteen bytes...".repeat(usize::from(*blocks));
                let first = if *binary { 0x82 } else { 0x81 };
                self.receive_at(*socket, &peer::frame(first, payload.as_bytes()), *cut);
            }
            Op::Raw { socket, bytes: Bytes(bytes), cut } => {
                if let Some(at) = self.pick(*socket) {
                    self.sockets[at].peer.lost |= !self.sockets[at].peer.speaks();
                    self.receive(at, bytes, *cut);
                }
            }
            Op::Stall { socket, blocks } => {
                if let Some(at) = self.pick(*socket) {
                    self.sockets[at].room = Some(usize::from(*blocks) * 16);
                }
            }
            Op::Unstall { socket } => {
                if let Some(at) = self.pick(*socket) {
                    self.sockets[at].room = None;
                    self.tick();
                    self.writable(at);
                }
            }
            Op::Exaggerate { socket } => self.exaggerate(*socket),
            Op::HangUp { socket } => {
                if let Some(at) = self.pick(*socket) {
                    self.hang_up(at);
                }
            }
            Op::Wait { ms } => self.wait(u64::from(*ms)),
            Op::Jump { ms } => {
                self.now_ms += u64::from(*ms);
                self.tick();
            }
            Op::GoBack { ms } => {
                let now = self.now_ms;
                self.now_ms = now.saturating_sub(u64::from(*ms)).max(START_MS);
                self.tick();
                self.now_ms = now;
            }
            Op::Busy { on } => {
                self.busy = *on;
                self.tick();
            }
            Op::Poll { count } => {
                for _ in 0..*count {
                    let Some(action) = self.hub.poll() else { break };
                    self.act(action);
                }
            }
            Op::Slow { on } => self.slow = *on,
            Op::Answer { call, how } => self.answer(usize::from(*call), *how),
            Op::Stale { raw, how } => {
                let call = match self.asked.iter().nth(usize::from(*raw)) {
                    Some(raw) => *raw,
                    None => u64::from(*raw) << 32,
                };
                let call = CallId::from_raw(call);
                if !self.calls.iter().any(|(open, _)| *open == call) {
                    let answer = wrong(*how, "s-stale");
                    self.turn(|hub, now| hub.handle(now, Event::Answer { call, answer }));
                }
            }
            Op::Befall { session, what, notice } => self.befall(*session, *what, *notice),
            Op::Notice { session, kind, to } => {
                let id = self.session(*session).unwrap_or_else(|| "unheard-of".to_owned());
                let to = self.session(*to).unwrap_or_else(|| "s-new".to_owned());
                self.notice(&id, *kind, &to);
            }
            Op::Notices { on } => {
                self.notices = *on;
                self.turn(|hub, now| hub.handle(now, if *on { Event::NoticesOn } else { Event::NoticesLost }));
            }
            Op::Publish { destination, blocks, binary } => {
                let body = body(*blocks, *binary);
                let to = To::Destination(peer::destination(*destination));
                self.publish(to, &body);
            }
            Op::PublishUser { user, destination, blocks } => {
                let body = body(*blocks, false);
                let destination = ["/queue/m", "/topic/a", "", "/"][usize::from(*destination) % 4];
                self.publish(To::User { principal: name(*user), destination }, &body);
            }
            Op::Reply { client, destination, blocks } => {
                let Some((client, id)) = pick(&self.subscriptions, *client).cloned() else { return };
                let body = body(*blocks, blocks & 64 == 64);
                let message = Message { body: &body, ..Message::default() };
                let destination = peer::destination(*destination);
                self.turn(|hub, now| hub.answer(now, client, destination, &id, &message));
            }
            Op::Send { client, blocks, binary } => {
                let Some(client) = pick(&self.clients, *client).map(|client| client.id) else { return };
                let body = body(*blocks, *binary);
                let payload = match std::str::from_utf8(&body) {
                    Ok(text) if !binary => Payload::Text(text),
                    _ => Payload::Binary(&body),
                };
                // To a STOMP client this would be no STOMP, which is the application's mistake.
                let token = self.clients.iter().find(|it| it.id == client).map(|it| it.token);
                if self.sockets.iter().any(|socket| Some(socket.token) == token && !socket.peer.stomp) {
                    self.turn(|hub, now| hub.send(now, client, payload));
                }
            }
            Op::Activity { client } => {
                let Some(client) = pick(&self.clients, *client).map(|client| client.id) else { return };
                self.turn(|hub, now| hub.handle(now, Event::Activity { client }));
            }
            Op::Respond { socket, status, change, user } => {
                if let Some(at) = self.pick(*socket) {
                    self.respond(at, u16::from(*status) * 3, *change, *user);
                }
            }
            Op::End { who, index, cause } => self.end(*who, *index, *cause),
            Op::Drain {} => {
                self.turn(|hub, now| hub.drain(now));
            }
        }
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

    // --- the store

    fn answer(&mut self, at: usize, how: u8) {
        if self.calls.is_empty() {
            return;
        }
        let (call, op) = self.calls.remove(at % self.calls.len());
        let answer = match how % 8 {
            0..4 => self.store.execute(Instant::from_millis(self.now_ms), &op),
            how => wrong(how, id_of(&op)),
        };
        self.turn(|hub, now| hub.handle(now, Event::Answer { call, answer }));
        self.store_notices();
    }

    fn befall(&mut self, session: u8, what: u8, notice: bool) {
        let Some(id) = self.session(session) else { return };
        let to: Arc<str> = Arc::from(format!("s-{}", self.sessions.len()));
        let op = match what % 3 {
            0 => session::Op::End { id: Arc::from(&*id) },
            1 => session::Op::Touch { id: Arc::from(&*id), age_ms: 0 },
            _ => session::Op::Rename {
                from: Arc::from(&*id),
                to: to.clone(),
                principal: Some(Arc::from(name(what / 3))),
                attributes: Vec::new(),
            },
        };
        self.store.execute(Instant::from_millis(self.now_ms), &op);
        if what % 3 == 2 {
            self.sessions.push(to.to_string());
        }
        while self.store.notice().is_some() {}
        if notice {
            self.notice(&id, what, &to);
        }
    }

    fn notice(&mut self, id: &str, kind: u8, to: &str) {
        let notice = match kind % 3 {
            0 => Notice::Deleted,
            1 => Notice::Expired,
            _ => Notice::Renamed { to },
        };
        self.turn(|hub, now| hub.handle(now, Event::Notice { session: id, notice }));
    }

    fn store_notices(&mut self) {
        if !self.setup.external {
            return;
        }
        self.store.tick(Instant::from_millis(self.now_ms));
        while let Some((id, expired)) = self.store.notice() {
            if self.notices {
                let notice = if expired { Notice::Expired } else { Notice::Deleted };
                let now = self.now();
                self.hub.handle(now, Event::Notice { session: &id, notice });
            }
        }
    }

    // --- the application

    fn log_in(&mut self, user: u8) {
        if self.busy {
            return;
        }
        let Some(at) = self.open(0, false) else { return };
        self.receive(at, &peer::request(4, None, 1), 0);
        self.respond(at, 204, 3, user);
        self.hang_up(at);
    }

    fn respond(&mut self, at: usize, status: u16, change: u8, user: u8) {
        let socket = self.sockets[at].id;
        self.handed.remove(&socket.to_raw());
        let mut http = if status.is_multiple_of(2) {
            http::Response::new(status)
        } else {
            http::Response::text(status, "what was asked for")
        };
        if change & 4 == 4 {
            http.close();
        }
        let session = match change % 4 {
            0 | 1 => Change::Keep,
            2 => Change::End,
            _ => Change::Login {
                principal: Arc::from(name(user)),
                attributes: vec![("a".into(), bytes::Bytes::from_static(b"value"))],
            },
        };
        self.turn(|hub, now| hub.respond(now, socket, Response { http, session }));
    }

    fn publish(&mut self, to: To<'_>, body: &[u8]) {
        let message = Message { content_type: Some("text/plain"), headers: &[("a", "b:c\n")], body };
        let message = if body.len() > 200 { Message { body, ..Message::default() } } else { message };
        self.turn(|hub, now| {
            hub.publish(now, to, &message);
        });
    }

    fn end(&mut self, who: u8, index: u8, cause: u8) {
        let cause = [Cause::LoggedOut, Cause::Revoked, Cause::Drain, Cause::StoreLost][usize::from(cause) % 4];
        let id = self.session(index).unwrap_or_else(|| "unheard-of".to_owned());
        let client = pick(&self.clients, index).map(|client| client.id);
        let who = match who % 4 {
            0 => match client {
                Some(client) => Who::Client(client),
                None => return,
            },
            1 => Who::Session(&id),
            2 => Who::User(name(index)),
            _ => Who::UserExcept { principal: name(index / 2), session: &id },
        };
        self.turn(|hub, now| {
            hub.end(now, who, cause);
        });
    }

    // --- a call and what comes of it

    fn turn(&mut self, call: impl FnOnce(&mut Hub, Now)) {
        let now = self.now();
        // What waited while the embedder was busy may be from before the end.
        let late = std::mem::replace(&mut self.late, self.busy);
        let silent = if late { Vec::new() } else { self.over(0) };
        let deaf = if late { Vec::new() } else { self.over(SLACK_MS) };
        call(&mut self.hub, now);
        if self.busy {
            return;
        }
        self.dead = silent.iter().map(|(client, _)| *client).collect();
        self.work();
        for (client, messages) in deaf {
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
        while let Some(action) = self.hub.poll() {
            self.act(action);
        }
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
                assert_eq!(known.token, token);
                if let DeliveryKind::Subscribe { id } = delivery.kind {
                    self.subscriptions.push((client, id));
                }
            }
            Action::Request { socket, token, .. } => {
                self.find(socket, token);
                self.handed.insert(socket.to_raw());
            }
            Action::Joined { client, token, .. } => {
                assert!(!self.clients.iter().any(|it| it.id == client), "joined twice");
                let socket = self.sockets.iter().find(|socket| socket.token == token).expect("a socket");
                assert!(!socket.closed);
                self.clients.push(Client { id: client, token, left: false });
            }
            Action::Left { client, token, .. } => {
                let it = self.clients.iter_mut().find(|it| it.id == client).expect("it has joined");
                assert_eq!(it.token, token);
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
        }
        let open = self.sockets.iter().filter(|socket| !socket.closed).count() as u64;
        assert_eq!(stats.sockets, open);
        assert!(stats.clients <= open && stats.sessions <= stats.clients, "{stats:?}");
        assert!(stats.buffered_bytes >= waiting, "{stats:?}");
        assert!(open > 0 || stats.buffered_bytes == 0, "{stats:?}");
        assert_eq!(stats.opened, stats.closed + open);
    }
}

fn config(setup: &Setup) -> Config {
    let private = Endpoint { login: Login::Required, ..Endpoint::raw("/private") };
    let open = Endpoint { login: Login::None, any_origin: true, ..Endpoint::stomp("/open") };
    let mut config = Config {
        endpoints: vec![Endpoint::stomp("/stomp"), Endpoint::raw("/raw"), private, open],
        guarded: vec!["/stomp".to_owned(), "/guard".to_owned()],
        store: if setup.external { Store::External } else { Store::Memory },
        rules: if setup.sample { Rules::sample() } else { Rules::open() },
        heart_beat_ms: if setup.beats { (600, 800) } else { (0, 0) },
        ..Config::default()
    };
    if setup.proxied {
        config.proxies.add("203.0.113.0/30").expect("a network");
    }
    let session = &mut config.session;
    session.encoding = http::Encoding::Plain;
    session.timeout_ms = TIMEOUT_MS;
    session.touch_interval_ms = if setup.touchy { 0 } else { 300 };
    session.check_interval_ms = 1_000;
    session.sweep_interval_ms = 3_000;
    session.blind_ms = 5_000;
    session.reply_ms = 400;
    if setup.renews {
        session.renew = Renew {
            request: true,
            connect: true,
            send: true,
            subscribe: true,
            unsubscribe: true,
            disconnect: true,
            heart_beat: true,
            ping: true,
            message: true,
        };
    }
    let limits = &mut config.limits;
    limits.http.head_bytes = 1_024;
    limits.http.body_bytes = 300;
    limits.http.id_tries = 2;
    limits.ws.frame_bytes = 900;
    limits.ws.message_bytes = 1_000;
    limits.ws.fragments = 4;
    limits.stomp.headers = 6;
    limits.stomp.header_bytes = 200;
    limits.stomp.frame_bytes = 900;
    limits.head_time_ms = 1_000;
    limits.body_time_ms = 1_000;
    limits.half_open = 4;
    limits.half_open_address = 2;
    limits.control_rate = 6;
    limits.message_rate = if setup.rated { 5 } else { 0 };
    limits.out_bytes = 2_000;
    limits.send_time_ms = 2_000;
    limits.close_time_ms = 1_000;
    limits.close_rate = if setup.paced { 1 } else { 1_000 };
    limits.first_message_ms = 3_000;
    limits.ping_every_ms = 2_500;
    limits.pong_time_ms = 2_000;
    limits.subscriptions = 3;
    limits.patterns = 2;
    limits.destination_bytes = 24;
    limits.destination_segments = 5;
    limits.beat_floor_ms = 300;
    limits.beats_missed = 2;
    limits.per_session = 3;
    limits.per_address = 6;
    limits.total = u32::from(setup.total) + 1;
    limits.memory = 6_000;
    limits.sessions = 6;
    limits.inflight = 4;
    config
}

fn pick<T>(all: &[T], at: u8) -> Option<&T> {
    let from = all.len().saturating_sub(16);
    let newest = &all[from..];
    if newest.is_empty() { None } else { newest.get(usize::from(at) % newest.len()) }
}

fn name(user: u8) -> &'static str {
    ["rob", "luke", "a/b:c", ""][usize::from(user) % 4]
}

fn body(blocks: u8, binary: bool) -> Vec<u8> {
    let block: &[u8] = if binary { b"\xffix\0een bytes..." } else { "s\u{ef}xteen bytes..".as_bytes() };
    block.repeat(usize::from(blocks) % 80)
}

fn id_of(op: &session::Op) -> &str {
    match op {
        session::Op::Load { id } | session::Op::Check { id } | session::Op::Touch { id, .. } => id,
        session::Op::Rename { to: id, .. } | session::Op::Create { id, .. } | session::Op::End { id } => id,
        _ => "",
    }
}

/// An answer that is not what the store would say.
fn wrong(how: u8, id: &str) -> Answer {
    let record = |user: Option<&str>| {
        let id = Arc::from(id);
        Some(Box::new(Record { id, principal: user.map(Arc::from), attributes: Vec::new() }))
    };
    match how % 8 {
        0 | 4 => Answer::Gone,
        1 | 5 => Answer::Lost,
        2 => Answer::Alive { ttl_ms: Some(0), record: None },
        3 => Answer::Alive { ttl_ms: None, record: record(None) },
        6 => Answer::Alive { ttl_ms: Some(1_500), record: record(Some("luke")) },
        _ => Answer::Alive { ttl_ms: Some(u64::MAX), record: None },
    }
}

const START_MS: u64 = 1_000_000;
const WALL_MS: u64 = 1_700_000_000_000;
const TIMEOUT_MS: u64 = 4_000;
const SEED: [u8; 16] = *b"a seed for tests";
/// The timers of sessions may fire so much later.
const SLACK_MS: u64 = 32;
