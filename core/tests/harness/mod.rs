//! A small driver around a [`Hub`] for tests: virtual time, a pretended kernel, and peers that send bytes.
//!
//! Each test file uses a part of it.
#![allow(dead_code, unreachable_pub, reason = "every test file includes this module and uses a part of it")]

pub mod sockjs;
pub mod store;
pub mod wire;

use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use tethered_core::broker::access::Rules;
use tethered_core::config::{Config, Endpoint};
use tethered_core::http;
use tethered_core::hub::{Action, Change, Ended, Event, Hub, Open, Request, Response, Stats};
use tethered_core::ids::{CallId, SocketId};
use tethered_core::session::{Cause, Op};
use tethered_core::time::{Instant, Now, UnixMillis};

use wire::{Answer, Frame, Stomp};

/// What ends a login ends its sockets with.
pub const SESSION_ENDED: &str = "This connection was established under an authenticated HTTP Session that has expired";
/// The clock at the start of each test.
pub const START_MS: u64 = 1_000_000;
/// Where those connect from who log in and out.
const HOME: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 99));
/// Where the peers of a test connect from, unless it says otherwise.
pub const ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::new(203, 0, 113, 7));

/// A hub with what a driver does for it.
///
/// When it goes out of scope it checks what must hold after every case: the hub still serves an honest client, and once
/// all peers are gone nothing is left of them.
pub struct Server {
    pub hub: Hub,
    now_ms: u64,
    wall_ahead_ms: u64,
    sockets: BTreeMap<u64, Socket>,
    seen: VecDeque<Action>,
    /// What peers are going to answer to pings.
    pongs: Vec<(SocketId, Vec<u8>)>,
    honest: bool,
    secure: bool,
    quiet: bool,
}

/// What the kernel and the peer know of a socket.
#[derive(Default)]
struct Socket {
    /// What the hub wrote and the test has not looked at.
    out: Vec<u8>,
    /// What the peer sent while the hub did not read.
    backlog: VecDeque<Vec<u8>>,
    /// How many more bytes the kernel takes; `None`: any number.
    room: Option<usize>,
    reading_off: bool,
    shut: bool,
    closed: bool,
    /// It is a WebSocket whose peer answers pings, and `out` was looked through for them up to here.
    pings_answered: Option<usize>,
    /// The token that was given to the hub.
    token: u64,
}

/// A configuration with every kind of door: STOMP with a login, raw messages without, guarded and open pages.
pub fn config() -> Config {
    let mut config = Config {
        endpoints: vec![Endpoint::stomp("/stomp"), Endpoint::stomp("/messages/websocket"), Endpoint::raw("/echo")],
        guarded: vec!["/stomp".to_owned(), "/messages".to_owned()],
        rules: Rules::open(),
        ..Config::default()
    };
    config.session.timeout_ms = 30 * 60_000;
    config
}

impl Default for Server {
    fn default() -> Self {
        Self::new(config())
    }
}

impl Server {
    pub fn new(config: Config) -> Self {
        Self::starting_at(START_MS, config)
    }

    /// The same with another time on the monotonic clock.
    pub fn starting_at(now_ms: u64, config: Config) -> Self {
        let wall = UnixMillis::from_millis(WALL_MS.saturating_add(now_ms));
        let now = Now { mono: Instant::from_millis(now_ms), wall };
        Self {
            hub: Hub::new(config, *b"a seed for tests", now).expect("the configuration is in order"),
            now_ms,
            wall_ahead_ms: WALL_MS,
            sockets: BTreeMap::new(),
            seen: VecDeque::new(),
            pongs: Vec::new(),
            honest: true,
            secure: false,
            quiet: false,
        }
    }

    /// The same with a change to [`config`].
    pub fn with(change: impl FnOnce(&mut Config)) -> Self {
        let mut config = config();
        change(&mut config);
        Self::new(config)
    }

    /// Nobody is served at the end of this test, by its own doing.
    pub fn serves_nobody_after(mut self) -> Self {
        self.honest = false;
        self
    }

    /// Peers come over TLS from now on.
    pub fn over_tls(&mut self) {
        self.secure = true;
    }

    /// The wall clock is set to another time.
    pub fn set_wall_ms(&mut self, ahead_ms: u64) {
        self.wall_ahead_ms = ahead_ms;
    }

    pub fn now(&self) -> Now {
        let wall = self.wall_ahead_ms.saturating_add(self.now_ms);
        Now { mono: Instant::from_millis(self.now_ms), wall: UnixMillis::from_millis(wall) }
    }

    /// Milliseconds since the start of the test.
    pub fn passed_ms(&self) -> u64 {
        self.now_ms - START_MS
    }

    /// Sets the clock without telling the hub.
    pub fn jump_to(&mut self, now_ms: u64) {
        self.now_ms = now_ms;
    }

    // --- sockets

    pub fn open(&mut self) -> SocketId {
        self.open_from(ADDRESS)
    }

    pub fn open_from(&mut self, address: IpAddr) -> SocketId {
        self.try_open(address).expect("the hub takes sockets")
    }

    pub fn try_open(&mut self, address: IpAddr) -> Option<SocketId> {
        let token = self.sockets.len() as u64 + 100;
        let open = Open { token, address: Some(address), secure: self.secure };
        let socket = self.hub.open(self.now(), open).ok();
        if let Some(socket) = socket {
            self.sockets.insert(socket.to_raw(), Socket { token, ..Socket::default() });
        }
        self.work();
        socket
    }

    /// The peer sends bytes. While the hub does not read they wait in the kernel.
    pub fn send(&mut self, socket: SocketId, bytes: &[u8]) {
        self.receive(socket, bytes);
        self.work();
    }

    fn receive(&mut self, socket: SocketId, bytes: &[u8]) {
        let state = self.socket(socket);
        if state.reading_off {
            state.backlog.push_back(bytes.to_vec());
            return;
        }
        let mut bytes = bytes.to_vec();
        self.hub.handle(self.now(), Event::Received { socket, bytes: &mut bytes });
    }

    /// The same bytes, one a read.
    pub fn send_bytewise(&mut self, socket: SocketId, bytes: &[u8]) {
        for byte in bytes {
            self.send(socket, &[*byte]);
        }
    }

    /// The peer ends its half, or the connection broke.
    pub fn hang_up(&mut self, socket: SocketId) {
        self.hub.handle(self.now(), Event::Closed { socket });
        self.work();
    }

    /// The peer stops reading, and `room` bytes more fit into the kernel.
    pub fn stall(&mut self, socket: SocketId, room: usize) {
        self.socket(socket).room = Some(room);
    }

    /// It takes so many bytes more, and stalls again.
    pub fn let_through(&mut self, socket: SocketId, room: usize) {
        self.stall(socket, room);
        self.write(socket);
        self.work();
    }

    /// It reads on.
    pub fn unstall(&mut self, socket: SocketId) {
        self.socket(socket).room = None;
        self.write(socket);
        self.work();
    }

    /// What the hub wrote to a socket since it was last asked.
    pub fn output(&mut self, socket: SocketId) -> Vec<u8> {
        let state = self.socket(socket);
        // Half a frame may be left: the rest of it is not to be taken for a frame.
        let half = state.pings_answered.is_some_and(|looked| looked < state.out.len());
        state.pings_answered = state.pings_answered.filter(|_| !half).map(|_| 0);
        std::mem::take(&mut state.out)
    }

    /// The peer of this WebSocket answers pings from now on, and no test sees them.
    pub fn answer_pings(&mut self, socket: SocketId) {
        assert_eq!(self.socket(socket).out, b"", "from the edge of a frame on");
        self.socket(socket).pings_answered = Some(0);
    }

    /// It does so no more.
    pub fn leave_pings(&mut self, socket: SocketId) {
        self.socket(socket).pings_answered = None;
    }

    /// Takes the pings out of what came, and answers them.
    fn pong(&mut self, socket: SocketId) {
        let mut pongs = Vec::new();
        let state = self.socket(socket);
        let Some(mut at) = state.pings_answered else { return };
        while let Some((frame, rest)) = wire::split(&state.out[at..]) {
            let end = state.out.len() - rest.len();
            if frame.first == 0x89 {
                pongs.extend(wire::pong(&frame.payload));
                state.out.drain(at..end);
            } else {
                at = end;
            }
        }
        state.pings_answered = Some(at);
        if !pongs.is_empty() {
            self.pongs.push((socket, pongs));
        }
    }

    /// The hub has closed it.
    pub fn is_closed(&mut self, socket: SocketId) -> bool {
        self.socket(socket).closed
    }

    /// The hub has shut its half.
    pub fn is_shut(&mut self, socket: SocketId) -> bool {
        self.socket(socket).shut
    }

    pub fn reads(&mut self, socket: SocketId) -> bool {
        !self.socket(socket).reading_off
    }

    fn socket(&mut self, socket: SocketId) -> &mut Socket {
        self.sockets.get_mut(&socket.to_raw()).expect("a socket of this test")
    }

    // --- time

    /// Time passes: the hub is told whenever it asked to be, and at the end.
    pub fn wait(&mut self, ms: u64) {
        let until = self.now_ms.saturating_add(ms);
        let mut turns = 0;
        while let Some((due, why)) = self.hub.next_deadline()
            && due.as_millis() <= until
        {
            turns += 1;
            assert!(turns < 1_000_000, "the hub wants to be told at {due:?} again and again ({why})");
            self.now_ms = self.now_ms.max(due.as_millis());
            self.tick();
        }
        self.now_ms = until;
        self.tick();
    }

    pub fn tick(&mut self) {
        self.hub.handle(self.now(), Event::Tick);
        self.work();
    }

    /// Does what the hub says, until it says nothing more.
    pub fn work(&mut self) {
        if self.quiet {
            return;
        }
        loop {
            while let Some(action) = self.hub.poll() {
                self.act(action);
            }
            let Some((socket, pongs)) = self.pongs.pop() else { return };
            self.receive(socket, &pongs);
        }
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Write { socket, token } => {
                assert_eq!(self.open_socket(socket).token, token);
                self.write(socket);
            }
            Action::Reading { socket, token, on } => {
                let state = self.open_socket(socket);
                assert_eq!(state.token, token);
                assert_eq!(state.reading_off, on, "reading was told to be what it is");
                state.reading_off = !on;
                while !self.socket(socket).reading_off
                    && let Some(mut bytes) = self.socket(socket).backlog.pop_front()
                {
                    self.hub.handle(self.now(), Event::Received { socket, bytes: &mut bytes });
                }
            }
            Action::Shutdown { socket, .. } => {
                assert_eq!(self.hub.output(socket).count(), 0, "shut before all was written");
                let state = self.open_socket(socket);
                assert!(!std::mem::replace(&mut state.shut, true), "shut twice");
            }
            Action::Close { socket, .. } => self.open_socket(socket).closed = true,
            other => self.seen.push_back(other),
        }
    }

    /// The actions pile up from now on: the embedder is busy.
    pub fn pause(&mut self) {
        self.quiet = true;
    }

    pub fn resume(&mut self) {
        self.quiet = false;
        self.work();
    }

    fn open_socket(&mut self, socket: SocketId) -> &mut Socket {
        let state = self.socket(socket);
        assert!(!state.closed, "an action for a socket that was closed");
        state
    }

    fn write(&mut self, socket: SocketId) {
        loop {
            let waiting: Vec<u8> = self.hub.output(socket).flatten().copied().collect();
            let state = self.socket(socket);
            let len = waiting.len().min(state.room.unwrap_or(usize::MAX));
            if waiting.is_empty() {
                break;
            }
            state.out.extend_from_slice(&waiting[..len]);
            if let Some(room) = &mut state.room {
                *room -= len;
            }
            self.hub.handle(self.now(), Event::Sent { socket, len });
            if len < waiting.len() {
                break;
            }
        }
        self.pong(socket);
    }

    // --- what the hub told the application

    /// The next request that was handed on.
    pub fn request(&mut self) -> (SocketId, Request) {
        self.request_where(|_| true)
    }

    /// The next request of this socket.
    pub fn request_of(&mut self, socket: SocketId) -> Request {
        self.request_where(|of| of == socket).1
    }

    fn request_where(&mut self, wanted: impl Fn(SocketId) -> bool) -> (SocketId, Request) {
        let is_it = |action: &Action| matches!(action, Action::Request { socket, .. } if wanted(*socket));
        let at = self.seen.iter().position(is_it).expect("a request");
        match self.seen.remove(at) {
            Some(Action::Request { socket, request, .. }) => (socket, *request),
            _ => unreachable!("it is one by its position"),
        }
    }

    pub fn has_request(&self) -> bool {
        self.seen.iter().any(|action| matches!(action, Action::Request { .. }))
    }

    /// All that was told since the last time, requests included.
    pub fn seen(&mut self) -> Vec<Action> {
        self.seen.drain(..).collect()
    }

    /// The questions to the store outside since the last time; all else stays to be seen.
    pub fn questions(&mut self) -> Vec<(Option<CallId>, Op)> {
        let mut asked = Vec::new();
        for action in std::mem::take(&mut self.seen) {
            match action {
                Action::Session { call, op } => asked.push((call, op)),
                action => self.seen.push_back(action),
            }
        }
        asked
    }

    /// The bodies that were delivered to the application since the last time, with their destinations.
    pub fn delivered(&mut self) -> Vec<(String, Vec<u8>)> {
        let delivered = self.seen().into_iter().filter_map(|action| match action {
            Action::Deliver { delivery, .. } => Some((delivery.destination.to_string(), delivery.body.to_vec())),
            _ => None,
        });
        delivered.collect()
    }

    /// Why clients left since the last time.
    pub fn left(&mut self) -> Vec<Cause> {
        let left = self.seen().into_iter().filter_map(|action| match action {
            Action::Left { cause, .. } => Some(cause),
            _ => None,
        });
        left.collect()
    }

    /// The ends of sessions since the last time.
    pub fn ended(&mut self) -> Vec<Ended> {
        let ended = self.seen().into_iter().filter_map(|action| match action {
            Action::Ended(ended) => Some(*ended),
            _ => None,
        });
        ended.collect()
    }

    pub fn respond(&mut self, socket: SocketId, http: http::Response, session: Change) {
        self.hub.respond(self.now(), socket, Response { http, session });
        self.work();
    }

    // --- peers that behave

    /// Refused with this status, by an answer that ends the connection; and the hub does end it.
    pub fn assert_refused_for_good(&mut self, bytes: &[u8], status: u16) {
        let shown = bytes[..bytes.len().min(200)].escape_ascii();
        let socket = self.open();
        self.send(socket, bytes);
        let answer = self.answer(socket);
        assert_eq!((answer.status, answer.closes()), (status, true), "{shown}");
        assert!(self.is_shut(socket), "{shown}");
        // Whatever else comes is thrown away.
        self.send(socket, get("/", "").as_bytes());
        assert_eq!(self.output(socket), b"");
        assert!(!self.has_request(), "{shown}");
        self.wait(5_016);
        assert!(self.is_closed(socket), "{shown}");
    }

    /// One request on a connection of its own, with the head as it is; what is answered by the hub itself.
    pub fn ask(&mut self, head: &str) -> Answer {
        let socket = self.open();
        self.send(socket, head.as_bytes());
        self.answer(socket)
    }

    /// The answer that came on a socket, and no more than that.
    pub fn answer(&mut self, socket: SocketId) -> Answer {
        let bytes = self.output(socket);
        let (answer, rest) = Answer::parse(&bytes).expect("an HTTP answer");
        assert!(rest.is_empty(), "more than one answer: {}", rest.escape_ascii());
        answer
    }

    /// Logs a user in with a new session; returns what the `Cookie` header then says.
    pub fn log_in(&mut self, user: &str) -> String {
        self.log_in_with(user, "")
    }

    /// The same in a request with further header lines, such as the cookie of a session that is to be changed.
    pub fn log_in_with(&mut self, user: &str, lines: &str) -> String {
        let socket = self.open_from(HOME);
        self.send(
            socket,
            format!("POST /login HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n{lines}\r\n").as_bytes(),
        );
        self.request_of(socket);
        let login = Change::Login { principal: Arc::from(user), attributes: Vec::new() };
        self.respond(socket, http::Response::new(204), login);
        let answer = self.answer(socket);
        let cookie = answer.header("set-cookie").expect("a cookie").split(';').next().expect("a pair").to_owned();
        self.hang_up(socket);
        cookie
    }

    /// Logs out, in a request with this cookie.
    pub fn log_out(&mut self, cookie: &str) {
        let socket = self.open_from(HOME);
        let head = format!("POST /logout HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\nCookie: {cookie}\r\n\r\n");
        self.send(socket, head.as_bytes());
        let request = self.request_of(socket);
        assert!(request.session.is_some(), "a live session");
        self.respond(socket, http::Response::new(204), Change::End);
        assert_eq!(self.answer(socket).status, 204);
        self.hang_up(socket);
    }

    /// An open WebSocket.
    pub fn ws(&mut self, path: &str, cookie: &str) -> SocketId {
        let socket = self.open();
        self.upgrade(socket, path, cookie);
        socket
    }

    pub fn upgrade(&mut self, socket: SocketId, path: &str, cookie: &str) {
        self.send(socket, handshake(path, &format!("Cookie: {cookie}\r\n")).as_bytes());
        let answer = self.answer(socket);
        assert_eq!(answer.status, 101, "{answer:?}");
        self.answer_pings(socket);
    }

    /// An open STOMP conversation, 1.2.
    pub fn stomp(&mut self, cookie: &str) -> SocketId {
        let socket = self.ws("/stomp", cookie);
        self.say(socket, "CONNECT", &[("accept-version", "1.2")], "");
        assert_eq!(self.heard(socket)[0].command, "CONNECTED");
        socket
    }

    /// A STOMP conversation of a user of its own, in this version; who joined for it is not told.
    pub fn talk(&mut self, user: &str, version: &str) -> SocketId {
        let cookie = self.log_in(user);
        let socket = self.ws("/stomp", &cookie);
        self.say(socket, "CONNECT", &[("accept-version", version)], "");
        assert_eq!(self.heard(socket)[0].header("version"), Some(version));
        self.seen();
        socket
    }

    /// These frames came, and no others.
    pub fn assert_heard(&mut self, socket: SocketId, commands: &[&str]) -> Vec<Stomp> {
        let heard = self.heard(socket);
        assert_eq!(heard.iter().map(|frame| frame.command.as_str()).collect::<Vec<_>>(), commands, "{heard:?}");
        heard
    }

    /// Sends a STOMP frame in a message of its own.
    pub fn say(&mut self, socket: SocketId, command: &str, headers: &[(&str, &str)], body: &str) {
        let frame = wire::stomp(command, headers, body.as_bytes());
        self.send(socket, &wire::text(&frame));
    }

    /// The STOMP frames that came; heart-beats are left out.
    pub fn heard(&mut self, socket: SocketId) -> Vec<Stomp> {
        self.frames(socket)
            .iter()
            .filter(|frame| frame.is_message())
            .filter_map(|frame| Stomp::parse(&frame.payload))
            .collect()
    }

    /// The WebSocket frames that came.
    pub fn frames(&mut self, socket: SocketId) -> Vec<Frame> {
        let bytes = self.output(socket);
        wire::frames(&bytes)
    }

    /// The one ERROR and the Close 1002 that a fault leads to; returns the ERROR.
    pub fn fault(&mut self, socket: SocketId) -> Stomp {
        let frames = self.frames(socket);
        let frames: Vec<_> = frames.iter().filter(|frame| frame.first != 0x8a).collect();
        let [.., error, close] = &frames[..] else { panic!("not ERROR and Close: {frames:?}") };
        assert_eq!(close.close(), Some((1002, String::new())), "{frames:?}");
        let error = Stomp::parse(&error.payload).expect("a STOMP frame");
        assert_eq!(error.command, "ERROR", "{error:?}");
        error
    }

    /// The Close frame that is the last thing which came; its code.
    pub fn close_code(&mut self, socket: SocketId) -> Option<u16> {
        self.close_frame(socket).map(|(code, _)| code)
    }

    /// The same with its reason.
    pub fn close_frame(&mut self, socket: SocketId) -> Option<(u16, String)> {
        self.frames(socket).last().and_then(Frame::close)
    }

    /// An honest client is served: it logs in, connects, subscribes, sends and is answered.
    pub fn assert_serves(&mut self) {
        let cookie = self.log_in("honest");
        let socket = self.open_from(HOME);
        self.upgrade(socket, "/stomp", &cookie);
        self.say(socket, "CONNECT", &[("accept-version", "1.2")], "");
        self.say(socket, "SUBSCRIBE", &[("id", "0"), ("destination", "/topic/honest"), ("receipt", "s")], "");
        self.say(socket, "SEND", &[("destination", "/topic/honest")], "still there?");
        let heard: Vec<_> = self.heard(socket).into_iter().map(|frame| frame.command).collect();
        assert_eq!(heard, ["CONNECTED", "RECEIPT", "MESSAGE"]);
        self.say(socket, "DISCONNECT", &[], "");
        assert_eq!(self.close_code(socket), Some(1000));
        self.hang_up(socket);
    }

    /// Once every peer is gone, nothing of them is left.
    pub fn assert_forgets(&mut self) {
        let open: Vec<u64> = self.sockets.iter().filter(|(_, socket)| !socket.closed).map(|(raw, _)| *raw).collect();
        for raw in open {
            let socket = SocketId::from_raw(raw);
            self.hang_up(socket);
            if !self.is_closed(socket) {
                // It waits for the application, or for output to be taken: the connection breaks for good.
                self.hang_up(socket);
            }
            assert!(self.is_closed(socket), "a socket whose peer is gone stays open");
        }
        let Stats { sockets, clients, sessions, buffered_bytes, opened, closed, .. } = self.hub.stats();
        assert_eq!(
            (sockets, clients, sessions, buffered_bytes),
            (0, 0, 0, 0),
            "sockets, clients, sessions, bytes left"
        );
        assert_eq!(opened, closed);
    }
}

impl Server {
    /// Sockets that were closed are not spoken of again: a test may have very many.
    pub fn forget_sockets(&mut self) {
        self.sockets.retain(|_, socket| !socket.closed);
        self.seen = VecDeque::new();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        self.resume();
        if self.honest {
            self.assert_serves();
        }
        self.assert_forgets();
    }
}

/// A head with these further lines.
pub fn get(path: &str, lines: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n{lines}\r\n")
}

/// The head of a handshake that is in order, with further header lines.
pub fn handshake(path: &str, lines: &str) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{lines}\r\n"
    )
}

/// The wall clock's lead over the monotonic one: 2024-01-01.
const WALL_MS: u64 = 1_704_067_200_000;
