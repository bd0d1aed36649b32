//! The same recorded events played through Rust and through C give the same actions and the same bytes.

mod support;

use std::fmt::Write as _;
use std::fs::{self, File};
use std::process::Command;

use support::{compile, run, scratch, valgrind};
use tethered_core::config::{Config, Endpoint};
use tethered_core::http::{Refusal, Response};
use tethered_core::hub::{self, Action, Change, DeliveryKind, Event, Hub, Open, Payload};
use tethered_core::ids::SocketId;
use tethered_core::session::Cause;
use tethered_core::time::{Instant, Now, UnixMillis};
use tethered_core::ws::{Opcode, write_masked_frame};

#[test]
fn what_is_played_through_c_is_what_is_played_through_rust() {
    let program = compile("gcc", "tests/c/replay.c");
    for seed in 1..=8 {
        let events = record(seed);
        let script = scratch(&format!("events-{seed}"));
        fs::write(&script, encode(&events)).expect("events can be written");
        let mut command = if seed == 1 { valgrind(&program) } else { Command::new(&program) };
        let through_c = run(command.stdin(File::open(&script).expect("events were written")));
        let through_c = String::from_utf8(through_c).expect("it prints text");
        let through_rust = Player::new().play(&events);
        for (line, (c, rust)) in through_c.lines().zip(through_rust.lines()).enumerate() {
            assert_eq!(c, rust, "seed {seed}, line {line}");
        }
        assert_eq!(through_c.len(), through_rust.len(), "seed {seed}");
        for kind in ["kind=1 ", "kind=3 ", "kind=4 ", "kind=5 ", "send=0", "c 0: 0"] {
            assert!(through_rust.contains(kind), "seed {seed} has no {kind:?}: it shows too little");
        }
    }
}

#[derive(Debug)]
struct Recorded {
    operation: u8,
    token: u8,
    ms: u64,
    bytes: Vec<u8>,
}

/// Some peers that shake hands, speak, break rules, ask for pages and go, with their bytes cut anywhere.
fn record(seed: u64) -> Vec<Recorded> {
    let mut chance = Chance(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let mut peers: Vec<Vec<u8>> = (0..PEERS).map(|token| peer(&mut chance, token)).collect();
    let (mut events, mut ms) = (Vec::new(), 1);
    for token in 0..PEERS {
        events.push(Recorded { operation: b'o', token, ms, bytes: Vec::new() });
    }
    while peers.iter().any(|bytes| !bytes.is_empty()) {
        ms += chance.below(20);
        let token = chance.below(u64::from(PEERS)) as u8;
        let bytes = &mut peers[usize::from(token)];
        let piece = if chance.below(2) == 0 { 1 + chance.below(16) } else { 1 + chance.below(4_000) };
        let rest = bytes.split_off(bytes.len().min(piece as usize));
        let bytes = std::mem::replace(bytes, rest);
        events.push(Recorded { operation: b'r', token, ms, bytes });
        if chance.below(200) == 0 {
            events.push(Recorded { operation: b'c', token, ms, bytes: Vec::new() });
        }
    }
    for token in 0..PEERS / 2 {
        events.push(Recorded { operation: b'c', token, ms, bytes: Vec::new() });
    }
    for _ in 0..40 {
        ms += chance.below(5_000);
        events.push(Recorded { operation: b't', token: 0, ms, bytes: Vec::new() });
    }
    events
}

fn peer(chance: &mut Chance, token: u8) -> Vec<u8> {
    if token % 8 == 7 {
        let requests: [&[u8]; 4] = [
            b"GET /page HTTP/1.1\r\nHost: h\r\n\r\nGET /other HTTP/1.1\r\nHost: h\r\n\r\n",
            b"POST /page HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc",
            b"GET / HTTP/9.9\r\n\r\n",
            b"GET /echo HTTP/1.1\r\nHost: h\r\n\r\n",
        ];
        return requests[chance.below(4) as usize].to_vec();
    }
    let mut bytes = b"GET /echo HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        .to_vec();
    // The first one only ever does what is right, so that each recording has an echo in it.
    let wild = if token == 0 { 0 } else { 3 };
    for _ in 0..10 {
        let len = if chance.below(4) == 0 { chance.below(5_000 + wild * 100) } else { chance.below(200) } as usize;
        let key = (chance.next() as u32).to_be_bytes();
        let mut frame = |fin, opcode, payload: &[u8]| write_masked_frame(&mut bytes, fin, opcode, key, payload);
        match chance.below(9 + wild) {
            0..=2 => frame(true, Opcode::Text, "é".repeat(len / 2).as_bytes()),
            3..=5 => frame(true, Opcode::Binary, &vec![len as u8; len]),
            6 => frame(true, Opcode::Ping, &vec![b'p'; len % 126]),
            7 | 8 => {
                frame(false, Opcode::Text, &vec![b'a'; len / 2]);
                frame(true, Opcode::Pong, b"");
                frame(true, Opcode::Continuation, &vec![b'b'; len - len / 2]);
            }
            9 => frame(true, Opcode::Text, b"\xff"),
            10 => frame(true, Opcode::Close, b"\x03\xe8bye"),
            _ => frame(true, Opcode::Continuation, b"of nothing"),
        }
    }
    bytes
}

fn encode(events: &[Recorded]) -> Vec<u8> {
    let mut script = Vec::new();
    for event in events {
        script.extend([event.operation, event.token]);
        script.extend(event.ms.to_le_bytes());
        script.extend((event.bytes.len() as u32).to_le_bytes());
        script.extend(&event.bytes);
    }
    script
}

/// tests/c/replay.c in Rust, on the hub itself.
struct Player {
    hub: Hub,
    now: Now,
    sockets: [SocketId; PEERS as usize],
    said: String,
}

impl Player {
    fn new() -> Self {
        let mut seed = [0; 16];
        seed[..3].fill(9);
        let config = Config {
            endpoints: vec![Endpoint { message_bytes: Some(5_000), ..Endpoint::raw("/echo") }],
            guarded: Vec::new(),
            ..Config::default()
        };
        let hub = Hub::new(config, seed, Now::default()).expect("the configuration is in order");
        Self { hub, now: Now::default(), sockets: [SocketId::from_raw(0); PEERS as usize], said: String::new() }
    }

    fn play(mut self, events: &[Recorded]) -> String {
        for event in events {
            self.now = Now {
                mono: Instant::from_millis(event.ms),
                wall: UnixMillis::from_millis(event.ms + 1_700_000_000_000),
            };
            let socket = self.sockets[usize::from(event.token)];
            let status = match event.operation {
                b'o' => {
                    let open = Open { token: event.token.into(), address: None, secure: false };
                    self.sockets[usize::from(event.token)] = self.hub.open(self.now, open).expect("there is room");
                    0
                }
                b'r' => self.on(socket, Event::Received { socket, bytes: &mut event.bytes.clone() }),
                b'c' => self.on(socket, Event::Closed { socket }),
                _ => {
                    self.hub.handle(self.now, Event::Tick);
                    0
                }
            };
            self.say(format_args!("{} {}: {status}", char::from(event.operation), event.token));
            self.act();
        }
        self.said
    }

    fn on(&mut self, socket: SocketId, event: Event<'_>) -> i32 {
        let stale = !self.hub.has_socket(socket);
        self.hub.handle(self.now, event);
        i32::from(stale)
    }

    fn act(&mut self) {
        loop {
            let batch = self.batch();
            if batch.is_empty() {
                break;
            }
            batch.into_iter().for_each(|action| self.carry_out(action));
        }
        let deadline = self.hub.next_deadline().map_or(u64::MAX, |(at, _)| at.as_millis());
        self.say(format_args!("deadline={deadline}"));
    }

    fn batch(&mut self) -> Vec<Action> {
        let mut batch = Vec::new();
        while batch.len() < BATCH {
            match self.hub.poll() {
                None => break,
                Some(Action::Request { socket, .. }) => {
                    let http = Response::from(Refusal::NotFound);
                    self.hub.respond(self.now, socket, hub::Response { http, session: Change::Keep });
                }
                Some(action) => batch.push(action),
            }
        }
        batch
    }

    fn carry_out(&mut self, action: Action) {
        let (kind, flags, socket, token) = match action {
            Action::Write { socket, token } => (1, 0, socket, token),
            Action::Reading { socket, token, on } => (2, u32::from(on), socket, token),
            Action::Shutdown { socket, token } => (3, 0, socket, token),
            Action::Close { socket, token } => (4, 0, socket, token),
            Action::Deliver { client, token, delivery } => {
                let (flags, payload) = match delivery.kind {
                    DeliveryKind::Text => (1, Payload::Text(str::from_utf8(&delivery.body).expect("text is UTF-8"))),
                    _ => (2, Payload::Binary(&delivery.body)),
                };
                let (data, name) = (hex(&delivery.body), hex(delivery.destination.as_bytes()));
                let id = client.to_raw();
                self.say(format_args!("kind=5 flags={flags} socket=0 token={token} id={id} data={data} name={name}"));
                let stale = !self.hub.has_client(client);
                self.hub.send(self.now, client, payload);
                self.say(format_args!("send={}", i32::from(stale)));
                return;
            }
            Action::Joined { client, token, path, .. } => {
                let (id, path) = (client.to_raw(), hex(path.as_bytes()));
                self.say(format_args!("kind=10 flags=0 socket=0 token={token} id={id} data={path} name="));
                return;
            }
            Action::Left { client, token, cause, .. } => {
                let (id, word) = (client.to_raw(), hex(cause.as_str().as_bytes()));
                let flags = match cause {
                    Cause::Slow => 7,
                    Cause::Idle => 8,
                    Cause::Violation => 9,
                    Cause::Peer => 11,
                    other => panic!("an echo is not left for {other:?}"),
                };
                self.say(format_args!("kind=11 flags={flags} socket=0 token={token} id={id} data={word} name="));
                return;
            }
            other => panic!("an echo has no {other:?}"),
        };
        self.say(format_args!("kind={kind} flags={flags} socket={} token={token} id=0 data= name=", socket.to_raw()));
        if kind == 1 {
            self.write_out(socket);
        }
    }

    fn write_out(&mut self, socket: SocketId) {
        loop {
            let slices: Vec<Vec<u8>> = self.hub.output(socket).take(SLICES).map(<[u8]>::to_vec).collect();
            if slices.is_empty() {
                break;
            }
            let shown: String = slices.iter().map(|slice| format!(" slice={}", hex(slice))).collect();
            self.say(format_args!("output{shown}"));
            let len = slices.iter().map(Vec::len).sum::<usize>().min(PIECE);
            self.hub.handle(self.now, Event::Sent { socket, len });
        }
    }

    fn say(&mut self, line: std::fmt::Arguments<'_>) {
        writeln!(self.said, "{line}").expect("text can be appended to text");
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("text can be appended to text");
        text
    })
}

/// xorshift64*.
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }
}

const PEERS: u8 = 24;
const BATCH: usize = 4;
const SLICES: usize = 3;
const PIECE: usize = 1_000;
