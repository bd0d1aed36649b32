//! A hub full of logged-in STOMP clients, made through the same doors as in a server.

use bytes::BytesMut;
use tethered_core::config::{Config, Store};
use tethered_core::http;
use tethered_core::hub::{Action, Change, Event, Hub, Open, Response};
use tethered_core::ids::{ClientId, SocketId};
use tethered_core::session::{Answer, Op, Record};
use tethered_core::stomp::{Command, Encoder, Version};
use tethered_core::time::{Instant, Now, UnixMillis};
use tethered_core::ws::{self, Opcode};

/// A hub with clients, each under a session of its own.
#[derive(Debug)]
pub struct Crowd {
    /// The hub.
    pub hub: Hub,
    /// Its clients.
    pub clients: Vec<Member>,
    /// The time that it is.
    pub now: Now,
}

/// One client.
#[derive(Debug, Clone, Copy)]
pub struct Member {
    /// Its socket.
    pub socket: SocketId,
    /// Its id, once it has joined.
    pub client: Option<ClientId>,
}

impl Crowd {
    /// `count` clients who subscribed to `topic` under one of `ids` subscription ids, and to a queue of their own. Their
    /// sessions are in `store`; if that is outside, everybody is logged in there, and no session ever ends.
    ///
    /// # Panics
    /// If the hub does not take them.
    pub fn new(count: usize, ids: usize, topic: &str, store: Store) -> Self {
        let in_memory = store == Store::Memory;
        let mut config = Config { store, ..Config::default() };
        // Nobody here ends a session behind the hub's back.
        (config.session.check_interval_ms, config.session.sweep_interval_ms) = (DAY_MS, DAY_MS);
        let most = u32::try_from(count).expect("a number of clients") + 16;
        let limits = &mut config.limits;
        (limits.total, limits.per_address, limits.sessions) = (most, most, most);
        limits.memory = usize::MAX;
        // Nobody here answers a ping.
        limits.ping_every_ms = u64::MAX / 4;
        let now = Now { mono: Instant::from_millis(1_000), wall: UnixMillis::from_millis(1_700_000_000_000) };
        let hub = Hub::new(config, [5; 16], now).expect("a valid configuration");
        let mut crowd = Self { hub, clients: Vec::with_capacity(count), now };
        for n in 0..count {
            // They come one after the other, so that the timers of one's arrival are over when the next ones are there.
            crowd.pass(1);
            let cookie = if in_memory { crowd.log_in(n) } else { plain_cookie(n) };
            crowd.enter(n, &cookie, n % ids.max(1), topic);
        }
        crowd
    }

    fn enter(&mut self, n: usize, cookie: &str, id: usize, topic: &str) {
        let open = Open { token: n as u64, address: None, secure: false };
        let socket = self.hub.open(self.now, open).expect("room");
        self.clients.push(Member { socket, client: None });
        self.receive(
            socket,
            format!(
                "GET /stomp HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
                 Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nCookie: SESSION={cookie}\r\n\r\n"
            )
            .into_bytes(),
        );
        let id = format!("sub-{id}");
        let mut frames = masked(Command::Connect, &[("accept-version", "1.2"), ("host", "h")], b"");
        frames.extend(masked(Command::Subscribe, &[("id", &id), ("destination", topic)], b""));
        frames.extend(masked(Command::Subscribe, &[("id", "mine"), ("destination", "/user/queue/messages")], b""));
        self.receive(socket, frames);
        self.settle();
        assert!(self.clients[n].client.is_some(), "client {n} must have joined");
    }

    /// A login through a page of the application; the cookie's value.
    fn log_in(&mut self, n: usize) -> String {
        let socket = self.hub.open(self.now, Open { token: u64::MAX, address: None, secure: false }).expect("room");
        self.receive(socket, b"GET /login HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n".to_vec());
        while let Some(action) = self.hub.poll() {
            if let Action::Request { socket, .. } = action {
                let session = Change::Login { principal: format!("user-{n}").into(), attributes: vec![] };
                self.hub.respond(self.now, socket, Response { http: http::Response::new(204), session });
            }
        }
        let head: Vec<u8> = self.hub.output(socket).flatten().copied().collect();
        let head = String::from_utf8(head).expect("a head");
        let value = head.split("SESSION=").nth(1).and_then(|rest| rest.split(';').next()).expect("a cookie").to_owned();
        self.hub.handle(self.now, Event::Sent { socket, len: usize::MAX });
        self.hub.handle(self.now, Event::Closed { socket });
        self.settle();
        value
    }

    /// Bytes come in on a socket.
    pub fn receive(&mut self, socket: SocketId, mut bytes: Vec<u8>) {
        self.hub.handle(self.now, Event::Received { socket, bytes: &mut bytes });
    }

    /// Does what the hub asks for: writes go through whole. Returns the bytes written.
    pub fn settle(&mut self) -> usize {
        let mut written = 0;
        loop {
            while let Some(action) = self.hub.poll() {
                match action {
                    Action::Write { socket, .. } => {
                        let len = self.hub.output(socket).map(<[u8]>::len).sum();
                        self.hub.handle(self.now, Event::Sent { socket, len });
                        written += len;
                    }
                    Action::Joined { client, token, .. } => self.clients[token as usize].client = Some(client),
                    Action::Session { call: Some(call), op } => {
                        self.hub.handle(self.now, Event::Answer { call, answer: answer(&op) });
                    }
                    _ => {}
                }
            }
            match self.hub.next_deadline() {
                Some((at, _)) if at <= self.now.mono => self.hub.handle(self.now, Event::Tick),
                _ => return written,
            }
        }
    }

    /// Time passes.
    pub fn pass(&mut self, ms: u64) {
        self.now.mono = self.now.mono.after(ms);
        self.now.wall = self.now.wall.after(ms);
    }
}

/// The cookie of a session in a store outside: its id in Base64.
fn plain_cookie(n: usize) -> String {
    http::cookie::encode_value(&format!("{n:036}"), http::Encoding::Base64)
}

/// What a store outside answers: everybody whose id is a number is logged in.
fn answer(op: &Op) -> Answer {
    let record = match op {
        Op::Load { id } => {
            let principal = format!("user-{}", id.parse::<usize>().expect("a number"));
            Some(Box::new(Record { id: id.clone(), principal: Some(principal.into()), attributes: vec![] }))
        }
        _ => None,
    };
    Answer::Alive { ttl_ms: Some(DAY_MS), record }
}

const DAY_MS: u64 = 86_400_000;

/// A client's STOMP frame as it travels: masked, in one text message.
pub fn masked(command: Command, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut frame = BytesMut::new();
    Encoder::new(Version::V1_2).frame(&mut frame, command, headers.iter().copied(), body);
    let mut bytes = Vec::new();
    ws::write_masked_frame(&mut bytes, true, Opcode::Text, [3, 141, 59, 26], &frame);
    bytes
}
