//! A whole hub whose sessions are on a real Redis, without sockets: bytes in, bytes out.

use std::collections::BTreeMap;

use tethered_core::config::{Config, Store};
use tethered_core::hub::{Action, Change, Ended, Event, Hub, Open, Response};
use tethered_core::ids::SocketId;
use tethered_core::redis::Connection;
use tethered_core::session::spring;
use tethered_core::time::{Instant, Now, UnixMillis};

use super::resp::{Client, Server, Value};

pub(crate) struct Node {
    pub(crate) hub: Hub,
    commands: Option<Client>,
    notices: Option<Client>,
    transactions: Client,
    started: std::time::Instant,
    /// The node's clock is so much ahead of the real one.
    pub(crate) ahead_ms: u64,
    /// What its wall clock says, if that is not the time.
    pub(crate) wall: Option<UnixMillis>,
    pub(crate) out: BTreeMap<u64, Vec<u8>>,
    pub(crate) ended: Vec<Ended>,
    pub(crate) alarms: Vec<String>,
    pub(crate) delivered: usize,
    pub(crate) closed: usize,
    /// Commands sent to Redis, by name.
    pub(crate) sent: Vec<String>,
    /// What each HTTP request does to its session.
    pub(crate) change: Change,
}

impl Node {
    pub(crate) fn new(server: &Server, spring: spring::Config) -> Self {
        Self::with(server, spring, |_| {})
    }

    pub(crate) fn with(server: &Server, spring: spring::Config, change: impl FnOnce(&mut Config)) -> Self {
        let mut config = Config { store: Store::Spring(spring), ..Config::default() };
        config.limits.ping_every_ms = 86_400_000;
        config.limits.per_session = 100_000;
        config.limits.per_address = 100_000;
        change(&mut config);
        let started = start();
        let mut hub = Hub::new(config, [5; 16], Now::default()).expect("a configuration in order");
        hub.record(true).expect("nothing has come in");
        let mut node = Self {
            hub,
            commands: None,
            notices: None,
            transactions: server.connect(),
            started,
            ahead_ms: 0,
            wall: None,
            out: BTreeMap::new(),
            ended: Vec::new(),
            alarms: Vec::new(),
            delivered: 0,
            closed: 0,
            sent: Vec::new(),
            change: Change::Keep,
        };
        node.connect(server);
        node
    }

    /// Connects to Redis.
    pub(crate) fn connect(&mut self, server: &Server) {
        self.commands = Some(server.connect());
        self.handle(Event::Connected { connection: Connection::Commands });
        self.notices = Some(server.connect());
        self.handle(Event::Connected { connection: Connection::Notices });
        self.pass(50);
    }

    /// Redis is gone.
    pub(crate) fn disconnect(&mut self) {
        self.commands = None;
        self.notices = None;
        for connection in [Connection::Commands, Connection::Notices] {
            self.handle(Event::Disconnected { connection });
        }
    }

    /// Only its messages are.
    pub(crate) fn go_deaf(&mut self) {
        self.notices = None;
        self.handle(Event::Disconnected { connection: Connection::Notices });
    }

    pub(crate) fn now(&self) -> Now {
        let ms = self.started.elapsed().as_millis() as u64 + self.ahead_ms;
        Now {
            mono: Instant::from_millis(ms),
            wall: self.wall.unwrap_or(UnixMillis::from_millis(1_700_000_000_000 + ms)),
        }
    }

    pub(crate) fn handle(&mut self, event: Event<'_>) {
        self.hub.handle(self.now(), event);
        self.work();
    }

    /// Lets real time go by, so many milliseconds.
    pub(crate) fn pass(&mut self, ms: u64) {
        let end = self.started.elapsed().as_millis() as u64 + ms;
        while (self.started.elapsed().as_millis() as u64) < end {
            std::thread::sleep(std::time::Duration::from_millis(1));
            self.tick();
        }
    }

    /// Until something is so, for at most so many milliseconds; how long that took.
    pub(crate) fn until(&mut self, ms: u64, mut done: impl FnMut(&mut Self) -> bool) -> u64 {
        let began = self.started.elapsed().as_millis() as u64;
        loop {
            let passed = self.started.elapsed().as_millis() as u64 - began;
            if done(self) {
                return passed;
            }
            assert!(passed <= ms, "not within {ms} ms; alarms: {:?}", self.alarms);
            self.pass(1);
        }
    }

    pub(crate) fn tick(&mut self) {
        while let Some(notices) = &mut self.notices {
            let Some(message) = notices.receive_within(0) else { break };
            let Value::List(parts) = message else { panic!("{message:?}") };
            let (channel, payload) = (parts[1].bytes(), parts[2].bytes());
            self.hub.handle(self.now(), Event::Notification { node: 0, channel, payload });
        }
        self.handle(Event::Tick);
    }

    /// Carries out what the hub wants; the commands of one turn are sent together.
    fn work(&mut self) {
        loop {
            let mut asked = Vec::new();
            while let Some(action) = self.hub.poll() {
                match action {
                    Action::Write { socket, .. } => self.write(socket),
                    Action::Shutdown { socket, .. } => self.hub.handle(self.now(), Event::Closed { socket }),
                    Action::Close { .. } => self.closed += 1,
                    Action::Redis { call, connection, command } => {
                        self.sent.push(String::from_utf8_lossy(command.args().next().expect("a name")).into_owned());
                        if let Some(client) = self.client(connection) {
                            client.send(command.args());
                            let replies = if connection == Connection::Notices { command.args().len() - 1 } else { 1 };
                            asked.push((call, connection, replies));
                        }
                    }
                    Action::Request { socket, request, .. } => {
                        let who = request.session.and_then(|session| session.principal);
                        let http = tethered_core::http::Response::new(200)
                            .with_body(who.map_or(Vec::new(), |who| who.as_bytes().to_vec()));
                        let session = self.change.clone();
                        self.hub.respond(self.now(), socket, Response { http, session });
                    }
                    Action::Ended(ended) => self.ended.push(*ended),
                    Action::Alarm(alarm) => self.alarms.push(alarm.to_string()),
                    Action::Deliver { .. } => self.delivered += 1,
                    _ => {}
                }
            }
            if asked.is_empty() {
                return;
            }
            for (call, connection, replies) in asked {
                let client = self.client(connection).expect("it was there when it was asked");
                let mut reply = client.receive();
                if connection == Connection::Notices {
                    (1..replies).for_each(|_| drop(client.receive()));
                    reply = Value::Bulk(b"OK".to_vec());
                }
                if let Some(call) = call {
                    let now = self.now();
                    reply.lend(|reply| self.hub.handle(now, Event::Reply { call, reply }));
                }
            }
        }
    }

    fn client(&mut self, connection: Connection) -> Option<&mut Client> {
        match connection {
            Connection::Commands => self.commands.as_mut(),
            Connection::Notices => self.notices.as_mut(),
            Connection::Transactions => Some(&mut self.transactions),
        }
    }

    fn write(&mut self, socket: SocketId) {
        let bytes: Vec<u8> = self.hub.output(socket).flatten().copied().collect();
        self.hub.handle(self.now(), Event::Sent { socket, len: bytes.len() });
        self.out.entry(socket.to_raw()).or_default().extend(bytes);
    }

    pub(crate) fn open(&mut self) -> SocketId {
        self.hub.open(self.now(), Open { token: 0, address: None, secure: false }).expect("room")
    }

    pub(crate) fn send(&mut self, socket: SocketId, bytes: &[u8]) {
        let mut bytes = bytes.to_vec();
        self.handle(Event::Received { socket, bytes: &mut bytes });
    }

    /// What has come out of a socket since this was last asked.
    pub(crate) fn take(&mut self, socket: SocketId) -> Vec<u8> {
        self.out.remove(&socket.to_raw()).unwrap_or_default()
    }
}

#[allow(clippy::disallowed_methods, reason = "a real Redis runs by a real clock")]
fn start() -> std::time::Instant {
    std::time::Instant::now()
}
