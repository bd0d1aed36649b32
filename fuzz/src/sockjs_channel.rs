//! Target `sockjs_channel`: one session over requests, with polls, streams, sends, aborts and time, against a model: as long
//! as it lives no message is lost, doubled or told in another order, in either direction.
use std::collections::BTreeMap;

use tethered_core::config::{Config, Endpoint, SockJs};
use tethered_core::hub::{Action, Event, Hub, Open, Payload};
use tethered_core::ids::{ClientId, SocketId};
use tethered_core::time::{Instant, Now, UnixMillis};

/// Runs one input, two bytes an operation; panics where an invariant breaks.
pub fn run(data: &[u8]) {
    let Some((&setup, ops)) = data.split_first() else { return };
    let mut world = World::new(setup);
    for op in ops.chunks_exact(2).take(MOST) {
        world.step(op[0], op[1]);
    }
    world.finish();
}

struct World {
    hub: Hub,
    now_ms: u64,
    peers: BTreeMap<u64, Peer>,
    /// Receivers in the order in which they asked.
    order: Vec<u64>,
    client: Option<ClientId>,
    /// Numbers that the application has sent to this client.
    told: Vec<u32>,
    /// Numbers that were sent by this client and taken, and those that were delivered.
    said: Vec<u32>,
    heard: Vec<u32>,
    next: u32,
}

#[derive(Default)]
struct Peer {
    socket: Option<SocketId>,
    bytes: Vec<u8>,
    /// Bytes that the kernel takes; `None`: any number.
    room: Option<usize>,
    sends: Vec<u32>,
}

impl World {
    fn new(setup: u8) -> Self {
        let sockjs = SockJs {
            stream_bytes: [1, 30, 400, 128 * 1024][usize::from(setup & 3)],
            heart_beat_ms: if setup & 4 == 0 { 25_000 } else { 700 },
            disconnect_delay_ms: 2_000,
            jsonp: true,
            ..SockJs::default()
        };
        let mut config = Config {
            endpoints: vec![Endpoint::raw("/s").with_sockjs(sockjs)],
            guarded: Vec::new(),
            ..Config::default()
        };
        config.limits.head_time_ms = 60_000;
        config.limits.send_time_ms = 3_000;
        if setup & 8 != 0 {
            config.limits.channel_messages = 5;
        }
        Self {
            hub: Hub::new(config, [setup; 16], at(0)).expect("a configuration in order"),
            now_ms: 0,
            peers: BTreeMap::new(),
            order: Vec::new(),
            client: None,
            told: Vec::new(),
            said: Vec::new(),
            heard: Vec::new(),
            next: 0,
        }
    }

    fn step(&mut self, op: u8, value: u8) {
        match op % 10 {
            0 | 1 => {
                let name = ["xhr", "xhr_streaming"][usize::from(value & 1)];
                self.receive(&format!("POST /s/0/a/{name} HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n"), value);
            }
            2 => self.say(value),
            3 | 4 => self.tell(1 + u32::from(value % 3)),
            5 => self.abort(value),
            6 => self.wait(u64::from(value) * 20),
            7 => self.room(value, Some(usize::from(value) * 4)),
            8 => self.room(value, None),
            _ => {
                let version = if value & 1 == 0 { "1.1" } else { "1.0" };
                self.receive(
                    &format!("POST /s/0/a/xhr_streaming HTTP/{version}\r\nHost: h\r\nContent-Length: 0\r\n\r\n"),
                    value,
                );
            }
        }
    }

    fn open(&mut self) -> Option<u64> {
        let token = self.peers.len() as u64;
        let socket = self.hub.open(self.now(), Open { token, address: None, secure: false }).ok()?;
        self.peers.insert(token, Peer { socket: Some(socket), ..Peer::default() });
        Some(token)
    }

    fn receive(&mut self, request: &str, value: u8) {
        let Some(token) = self.open() else { return };
        let peer = self.peers.get_mut(&token).expect("it was opened");
        peer.room = (value & 0x80 != 0).then_some(usize::from(value));
        self.order.push(token);
        self.send(token, request.as_bytes());
    }

    fn say(&mut self, value: u8) {
        let Some(token) = self.open() else { return };
        let numbers: Vec<u32> = (0..u32::from(value % 4)).map(|n| self.next + n).collect();
        self.next += numbers.len() as u32;
        let body = numbers.iter().map(|n| format!("\"{n}\"")).collect::<Vec<_>>().join(",");
        let body = format!("[{body}]");
        let request =
            format!("POST /s/0/a/xhr_send HTTP/1.1\r\nHost: h\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        self.peers.get_mut(&token).expect("it was opened").sends = numbers;
        self.send(token, request.as_bytes());
    }

    fn send(&mut self, token: u64, bytes: &[u8]) {
        let Some(socket) = self.peers[&token].socket else { return };
        self.hub.handle(self.now(), Event::Received { socket, bytes: &mut bytes.to_vec() });
        self.work();
    }

    fn tell(&mut self, count: u32) {
        for _ in 0..count {
            let Some(client) = self.client else { return };
            self.next += 1;
            let number = self.next;
            self.told.push(number);
            self.hub.send(self.now(), client, Payload::Text(&format!("{number}")));
            self.work();
        }
    }

    /// The connection of some peer ends.
    fn abort(&mut self, value: u8) {
        let open: Vec<u64> =
            self.peers.iter().filter(|(_, peer)| peer.socket.is_some()).map(|(token, _)| *token).collect();
        let Some(token) = open.get(usize::from(value) % open.len().max(1)) else { return };
        let socket = self.peers[token].socket.expect("it is open");
        self.hub.handle(self.now(), Event::Closed { socket });
        self.work();
    }

    fn room(&mut self, value: u8, room: Option<usize>) {
        let open: Vec<u64> =
            self.peers.iter().filter(|(_, peer)| peer.socket.is_some()).map(|(token, _)| *token).collect();
        let Some(token) = open.get(usize::from(value) % open.len().max(1)).copied() else { return };
        self.peers.get_mut(&token).expect("it is open").room = room;
        self.write(token);
        self.work();
    }

    fn wait(&mut self, ms: u64) {
        let until = self.now_ms + ms;
        let mut turns = 0;
        while let Some((due, why)) = self.hub.next_deadline()
            && due.as_millis() <= until
        {
            turns += 1;
            assert!(turns < 10_000, "{why} again and again");
            self.now_ms = self.now_ms.max(due.as_millis());
            self.hub.handle(self.now(), Event::Tick);
            self.work();
        }
        self.now_ms = until;
        self.hub.handle(self.now(), Event::Tick);
        self.work();
    }

    fn work(&mut self) {
        while let Some(action) = self.hub.poll() {
            match action {
                Action::Write { token, .. } => self.write(token),
                Action::Joined { client, .. } => {
                    self.client = Some(client);
                    self.told.clear();
                }
                Action::Left { client, .. } => {
                    assert_eq!(self.client, Some(client));
                    self.client = None;
                    self.check();
                    self.order.clear();
                }
                Action::Deliver { client, delivery, .. } => {
                    assert_eq!(self.client, Some(client));
                    let text = std::str::from_utf8(&delivery.body).expect("text");
                    self.heard.push(text.parse().expect("a number"));
                }
                Action::Close { token, .. } => {
                    let peer = self.peers.get_mut(&token).expect("it was opened");
                    assert!(peer.socket.take().is_some(), "closed once");
                }
                Action::Shutdown { .. } | Action::Reading { .. } => {}
                other => panic!("{other:?}"),
            }
        }
    }

    fn write(&mut self, token: u64) {
        let Some(peer) = self.peers.get_mut(&token) else { return };
        let Some(socket) = peer.socket else { return };
        let waiting: Vec<u8> = self.hub.output(socket).flatten().copied().collect();
        let len = waiting.len().min(peer.room.unwrap_or(usize::MAX));
        if let Some(room) = &mut peer.room {
            *room -= len;
        }
        peer.bytes.extend_from_slice(&waiting[..len]);
        if len > 0 {
            self.hub.handle(at(self.now_ms), Event::Sent { socket, len });
        }
        let peer = &self.peers[&token];
        if !peer.sends.is_empty() && peer.bytes.starts_with(b"HTTP/1.1 204") {
            let sends = std::mem::take(&mut self.peers.get_mut(&token).expect("it is there").sends);
            self.said.extend(sends);
        }
    }

    /// What the receivers of this life were told is what the application has sent, from the first on.
    fn check(&self) -> usize {
        let mut got = Vec::new();
        for token in &self.order {
            got.extend(numbers(&self.peers[token].bytes));
        }
        assert!(got.len() <= self.told.len() && got[..] == self.told[..got.len()], "{got:?} of {:?}", self.told);
        // Who sends may be gone before it is told that it was heard.
        let mut heard = self.heard.iter();
        assert!(self.said.iter().all(|said| heard.any(|it| it == said)), "{:?} of {:?}", self.said, self.heard);
        assert!(self.heard.is_sorted_by(|a, b| a < b), "{:?}", self.heard);
        got.len()
    }

    /// Everything is read: what was sent to a client that lives has come.
    fn finish(&mut self) {
        for token in self.peers.keys().copied().collect::<Vec<_>>() {
            self.peers.get_mut(&token).expect("it is there").room = None;
            self.write(token);
            self.work();
        }
        for _ in 0..3 {
            self.receive("POST /s/0/a/xhr HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n", 0);
        }
        let got = self.check();
        if self.client.is_some() {
            assert_eq!(got, self.told.len(), "all of {:?}", self.told);
        }
        for token in self.peers.keys().copied().collect::<Vec<_>>() {
            if let Some(socket) = self.peers[&token].socket {
                self.hub.handle(self.now(), Event::Closed { socket });
                self.work();
                if self.peers[&token].socket.is_some() {
                    self.hub.handle(self.now(), Event::Closed { socket });
                    self.work();
                }
            }
        }
        self.wait(2_100);
        let stats = self.hub.stats();
        assert_eq!((stats.sockets, stats.clients, stats.channels, stats.buffered_bytes), (0, 0, 0, 0));
    }

    fn now(&self) -> Now {
        at(self.now_ms)
    }
}

/// The numbers in the whole frames of an answer: frames hold no other digits between quotes.
fn numbers(bytes: &[u8]) -> Vec<u32> {
    let text = String::from_utf8_lossy(bytes);
    let body = text.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    let frames = body.split('\n').filter(|line| line.starts_with("a[") && line.ends_with(']'));
    frames.flat_map(|frame| frame.split('"').filter_map(|part| part.parse().ok())).collect()
}

fn at(ms: u64) -> Now {
    Now { mono: Instant::from_millis(ms), wall: UnixMillis::from_millis(ms) }
}

/// Operations of one input.
const MOST: usize = 300;
