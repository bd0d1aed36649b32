//! A hub full of STOMP clients that come by every transport of SockJS, and by plain WebSockets.

use std::time::Duration;

use bytes::BytesMut;
use tethered_core::config::{Config, Endpoint, Login, SockJs};
use tethered_core::hub::{Action, Event, Hub, Message, Open, To};
use tethered_core::ids::SocketId;
use tethered_core::stomp::{Command, Encoder, Version};
use tethered_core::time::{Instant, Now, UnixMillis};

use crate::crowd::masked;
use crate::meter::cpu_time;

/// How a client comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// A WebSocket without frames of SockJS.
    Plain,
    /// One with them.
    WebSocket,
    /// Requests of this transport; the answer to each goes on, or not.
    Requests {
        /// Method, name and query.
        request: (&'static str, &'static str),
        /// Whether the answer goes on.
        streams: bool,
    },
}

impl Way {
    /// The transport's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain WebSocket",
            Self::WebSocket => "websocket",
            Self::Requests { request: (_, name), .. } => name.split('?').next().unwrap_or_default(),
        }
    }
}

/// All of them.
pub const WAYS: [Way; 7] = [
    Way::Plain,
    Way::WebSocket,
    Way::Requests { request: ("POST", "xhr_streaming"), streams: true },
    Way::Requests { request: ("GET", "eventsource"), streams: true },
    Way::Requests { request: ("GET", "htmlfile?c=cb"), streams: true },
    Way::Requests { request: ("POST", "xhr"), streams: false },
    Way::Requests { request: ("GET", "jsonp?c=cb"), streams: false },
];

/// The destination that everybody subscribed to.
pub const TOPIC: &str = "/topic/news";

/// A hub with such clients.
#[derive(Debug)]
pub struct Mixed {
    /// The hub.
    pub hub: Hub,
    now: Now,
    members: Vec<(Way, SocketId)>,
}

impl Mixed {
    /// `count` clients, by these ways in turn, under three subscription ids.
    ///
    /// # Panics
    /// If the hub does not take them.
    pub fn new(count: usize, ways: &[Way]) -> Self {
        let sockjs = SockJs {
            jsonp: true,
            counted: false,
            stream_bytes: 1 << 40,
            heart_beat_ms: 1 << 40,
            disconnect_delay_ms: 1 << 40,
            ..SockJs::default()
        };
        let endpoint = Endpoint { login: Login::None, ..Endpoint::stomp("/s") }.with_sockjs(sockjs);
        let mut config = Config { endpoints: vec![endpoint], guarded: Vec::new(), ..Config::default() };
        let most = u32::try_from(count).expect("a number of clients") * 2 + 16;
        (config.limits.total, config.limits.per_address, config.limits.channels) = (most, most, most);
        (config.limits.half_open, config.limits.half_open_address) = (most, most);
        config.limits.memory = usize::MAX;
        config.limits.ping_every_ms = u64::MAX / 4;
        let now = Now { mono: Instant::from_millis(1_000), wall: UnixMillis::from_millis(1_700_000_000_000) };
        let hub = Hub::new(config, [5; 16], now).expect("a valid configuration");
        let mut mixed = Self { hub, now, members: Vec::with_capacity(count) };
        for n in 0..count {
            mixed.enter(n, ways[n % ways.len()]);
        }
        mixed.poll_again();
        mixed
    }

    fn enter(&mut self, n: usize, way: Way) {
        let id = format!("sub-{}", n % 3);
        let subscribe = [("id", &*id), ("destination", TOPIC)];
        let connect = [("accept-version", "1.2"), ("host", "h")];
        let socket = self.open();
        self.members.push((way, socket));
        let handshake = |path: &str| {
            format!(
                "GET {path} HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
                 Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
            )
        };
        match way {
            Way::Plain => {
                self.receive(socket, handshake("/s/websocket").into_bytes());
                self.receive(socket, masked(Command::Connect, &connect, b""));
                self.receive(socket, masked(Command::Subscribe, &subscribe, b""));
            }
            Way::WebSocket => {
                self.receive(socket, handshake(&format!("/s/0/{n}/websocket")).into_bytes());
                for (command, headers) in [(Command::Connect, &connect[..]), (Command::Subscribe, &subscribe[..])] {
                    let mut bytes = Vec::new();
                    let json = array(command, headers);
                    tethered_core::ws::write_masked_frame(
                        &mut bytes,
                        true,
                        tethered_core::ws::Opcode::Text,
                        [1, 2, 3, 4],
                        json.as_bytes(),
                    );
                    self.receive(socket, bytes);
                }
            }
            Way::Requests { .. } => {
                let sender = self.open();
                self.receive(socket, ask(n, way));
                for (command, headers) in [(Command::Connect, &connect[..]), (Command::Subscribe, &subscribe[..])] {
                    let json = array(command, headers);
                    let request = format!(
                        "POST /s/0/{n}/xhr_send HTTP/1.1\r\nHost: h\r\nContent-Length: {}\r\n\r\n{json}",
                        json.len()
                    );
                    self.settle();
                    self.receive(sender, request.into_bytes());
                }
                self.settle();
                self.hub.handle(self.now, Event::Closed { socket: sender });
            }
        }
        self.settle();
    }

    fn open(&mut self) -> SocketId {
        self.hub.open(self.now, Open { token: 0, address: None, secure: false }).expect("room")
    }

    fn receive(&mut self, socket: SocketId, mut bytes: Vec<u8>) {
        self.hub.handle(self.now, Event::Received { socket, bytes: &mut bytes });
    }

    /// Writes go through whole.
    pub fn settle(&mut self) {
        loop {
            while let Some(action) = self.hub.poll() {
                if let Action::Write { socket, .. } = action {
                    let len = self.hub.output(socket).map(<[u8]>::len).sum();
                    self.hub.handle(self.now, Event::Sent { socket, len });
                }
            }
            match self.hub.next_deadline() {
                Some((at, _)) if at <= self.now.mono => self.hub.handle(self.now, Event::Tick),
                _ => return,
            }
        }
    }

    /// Everybody whose answer is over asks again.
    pub fn poll_again(&mut self) {
        for n in 0..self.members.len() {
            let (way, socket) = self.members[n];
            if matches!(way, Way::Requests { streams: false, .. }) {
                // What waits is taken first, if anything does.
                for _ in 0..2 {
                    self.receive(socket, ask(n, way));
                    self.settle();
                }
            }
        }
    }

    /// One message to everybody: the processor time until each has it queued, and until everything is taken.
    ///
    /// # Panics
    /// If somebody is missing.
    pub fn publish(&mut self, body: &[u8]) -> (Duration, Duration) {
        let message = Message { content_type: Some("text/plain"), headers: &[], body };
        let start = cpu_time();
        let reached = self.hub.publish(self.now, To::Destination(TOPIC), &message);
        let queued = cpu_time() - start;
        self.settle();
        let whole = cpu_time() - start;
        assert_eq!(reached, self.members.len(), "everybody is reached");
        (queued, whole)
    }
}

fn ask(n: usize, way: Way) -> Vec<u8> {
    let Way::Requests { request: (method, name), .. } = way else { return Vec::new() };
    let length = if method == "POST" { "Content-Length: 0\r\n" } else { "" };
    format!("{method} /s/0/{n}/{name} HTTP/1.1\r\nHost: h\r\nOrigin: http://h\r\n{length}\r\n").into_bytes()
}

fn array(command: Command, headers: &[(&str, &str)]) -> String {
    let mut frame = BytesMut::new();
    Encoder::new(Version::V1_2).frame(&mut frame, command, headers.iter().copied(), b"");
    let mut json = b"[".to_vec();
    tethered_core::sockjs::push_string(&mut json, &frame);
    json.push(b']');
    String::from_utf8(json).expect("text")
}
