//! The world around the hubs: a network that cuts as it likes, readers that dawdle, a store that is late, lost or away.

mod hubs;
mod pollers;

use std::cmp::Reverse;
use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeMap, BinaryHeap};
use std::hash::Hasher;
use std::sync::Arc;

use tethered_core::config::{Config, Endpoint, Store};
use tethered_core::hub::{Event, Hub, Message, Notice, Open, To};
use tethered_core::ids::{CallId, ClientId};
use tethered_core::session::memory::Memory;
use tethered_core::session::{Answer, Op};
use tethered_core::stomp::Command;
use tethered_core::time::{Instant, Now, UnixMillis};

use crate::client::{Client, Seen};
use crate::judge::Judge;
use crate::plan::Plan;
use crate::poller::{Poller, Request};
use crate::rng::Rng;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Happening {
    Arrive(usize),
    Act(usize),
    Upload(usize),
    Read(usize),
    Vanish(usize),
    Tick(usize),
    Execute {
        hub: usize,
        call: Option<u64>,
        op: usize,
    },
    Reply {
        hub: usize,
        call: u64,
        answer: usize,
    },
    Notice {
        hub: usize,
        id: usize,
        kind: u8,
    },
    Logout(usize),
    Rename(usize),
    Elsewhere(usize),
    Forge(usize),
    Outage(bool),
    Publish(usize),
    PublishOnce(usize),
    Return(usize),
    /// One that polls asks for what there is, or says something.
    Poll(usize),
    Say(usize),
    /// A request of theirs goes to the hub; its answer is read; its connection is ended.
    Bring(usize),
    Take(usize),
    HangUp(usize),
}

pub(crate) struct Session {
    pub(crate) id: Arc<str>,
    pub(crate) name: String,
}

pub(crate) struct World {
    pub(crate) plan: Plan,
    now: u64,
    rng: Rng,
    hubs: Vec<Hub>,
    ticks: Vec<Option<u64>>,
    store: Memory,
    away: bool,
    queue: BinaryHeap<Reverse<(u64, u64, Happening)>>,
    order: u64,
    ops: Vec<Op>,
    answers: Vec<Answer>,
    ids: Vec<Arc<str>>,
    pub(crate) sessions: Vec<Session>,
    clients: Vec<Client>,
    /// How often each is going to read without being told to.
    reads: Vec<usize>,
    pollers: Vec<Poller>,
    /// One that has joined without a socket: what it says came by a request, which is answered next.
    nameless: Option<(ClientId, Arc<str>)>,
    /// Their requests, and how often they came anew.
    requests: Vec<Request>,
    lives: usize,
    /// How often the application has published.
    published: u32,
    /// How often anybody has said anything.
    said: u32,
    /// Which client speaks over a socket, by hub and token.
    joined: BTreeMap<(usize, ClientId), usize>,
    judge: Judge,
    trace: DefaultHasher,
    log: bool,
}

impl World {
    pub(crate) fn new(seed: u64, plan: Plan, log: bool) -> Self {
        let mut rng = Rng::new(seed);
        let mut config =
            Config { store: if plan.memory { Store::Memory } else { Store::External }, ..Config::default() };
        if plan.pollers > 0 {
            config.endpoints.push(Endpoint::stomp("/messages").with_sockjs(pollers::service(plan.beat_ms)));
        }
        config.session.timeout_ms = plan.timeout_ms;
        config.session.touch_interval_ms = plan.touch_interval_ms;
        config.session.check_interval_ms = 2_000;
        config.session.sweep_interval_ms = 10_000;
        config.session.blind_ms = 20_000;
        let now = Now { mono: Instant::from_millis(0), wall: UnixMillis::from_millis(1_700_000_000_000) };
        let hubs: Vec<Hub> = (0..plan.hubs)
            .map(|_| {
                let mut seed = [0; 16];
                seed[..8].copy_from_slice(&rng.next().to_le_bytes());
                Hub::new(config.clone(), seed, now).expect("a valid configuration")
            })
            .collect();
        let mut world = Self {
            ticks: vec![None; hubs.len()],
            store: Memory::new([3; 16], plan.timeout_ms, 1_000, now.mono),
            judge: Judge::new(&plan, &config),
            plan,
            now: 0,
            rng,
            hubs,
            away: false,
            queue: BinaryHeap::new(),
            order: 0,
            ops: Vec::new(),
            answers: Vec::new(),
            ids: Vec::new(),
            sessions: Vec::new(),
            clients: Vec::new(),
            reads: Vec::new(),
            pollers: Vec::new(),
            nameless: None,
            requests: Vec::new(),
            lives: 0,
            published: 0,
            said: 0,
            joined: BTreeMap::new(),
            trace: DefaultHasher::new(),
            log,
        };
        world.populate();
        world
    }

    /// Runs to the end; what it did as one number. What happens is printed on the way if that was wanted.
    pub(crate) fn run(mut self) -> u64 {
        while let Some(Reverse((at, _, happening))) = self.queue.pop() {
            if at > self.plan.length_ms {
                break;
            }
            assert!(at >= self.now, "time went back");
            self.now = at;
            self.store_time();
            self.happen(happening);
        }
        self.now = self.plan.length_ms;
        self.judge.finish(self.now);
        self.trace.finish()
    }

    fn populate(&mut self) {
        if !self.plan.memory {
            for hub in 0..self.hubs.len() {
                self.with_hub(hub, |hub, now| hub.handle(now, Event::NoticesOn));
            }
        }
        for n in 0..self.plan.sessions {
            let name = ["rob", "luke"][n % 2].to_owned();
            if !self.plan.memory {
                let id: Arc<str> = format!("session-{n}").into();
                let op = Op::Create { id: id.clone(), principal: Some(name.as_str().into()), attributes: vec![] };
                self.store.execute(self.mono(), &op);
                self.sessions.push(Session { id, name });
            } else {
                self.sessions.push(Session { id: "".into(), name });
            }
            if self.rng.chance(60) {
                let at = self.rng.range(1_000, self.plan.length_ms / 2);
                self.at(at, Happening::Logout(n));
            }
            if !self.plan.memory && self.rng.chance(20) {
                let at = self.rng.range(1_000, self.plan.length_ms / 2);
                self.at(at, Happening::Rename(n));
            }
            if !self.plan.memory && self.rng.chance(50) {
                let at = self.rng.range(1_000, 10_000);
                self.at(at, Happening::Elsewhere(n));
            }
            if self.plan.forged_notices > 0 && !self.plan.memory {
                let at = self.rng.range(500, 10_000);
                self.at(at, Happening::Forge(n));
            }
        }
        for n in 0..self.plan.clients {
            let (hub, session) = (self.rng.range(0, self.hubs.len() as u64 - 1) as usize, n % self.plan.sessions);
            let client = self.client(hub, session);
            self.clients.push(client);
            self.reads.push(0);
            let at = self.rng.range(0, 8_000);
            self.at(at, Happening::Arrive(n));
        }
        self.populate_pollers();
        for hub in 0..self.hubs.len() {
            self.at(0, Happening::Publish(hub));
        }
        if self.plan.outages && !self.plan.memory {
            let at = self.rng.range(3_000, 30_000);
            self.at(at, Happening::Outage(true));
        }
    }

    fn client(&mut self, hub: usize, session: usize) -> Client {
        let pace = if self.rng.chance(20) { self.rng.range(200, 3_000) } else { self.rng.range(0, 30) };
        let piece = self.rng.range(1, 400) as usize;
        let polite = self.rng.chance(80);
        Client::new(hub, session, pace, piece, polite)
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Arrive(n) => self.arrive(n),
            Happening::Act(n) => self.act(n),
            Happening::Upload(n) => self.upload(n),
            Happening::Read(n) => self.read(n),
            Happening::Vanish(n) => self.end_connection(n),
            Happening::Tick(hub) => {
                if self.ticks[hub] == Some(self.now) {
                    self.ticks[hub] = None;
                    self.with_hub(hub, |hub, now| hub.handle(now, Event::Tick));
                }
            }
            Happening::Execute { hub, call, op } => self.execute(hub, call, op),
            Happening::Reply { hub, call, answer } => {
                let answer = self.answers[answer].clone();
                self.note(|| format!("hub {hub} is answered {answer:?} to call {call:x}"));
                self.judge.replied(self.now, hub, call, &answer);
                self.with_hub(hub, |hub, now| hub.handle(now, Event::Answer { call: CallId::from_raw(call), answer }));
                if self.rng.chance(20) {
                    self.publish(hub);
                }
            }
            Happening::Notice { hub, id, kind } => {
                let id = self.ids[id].clone();
                self.judge.noticed(self.now, hub, &id);
                let notice = if kind == 0 { Notice::Expired } else { Notice::Deleted };
                self.with_hub(hub, |hub, now| hub.handle(now, Event::Notice { session: &id, notice }));
            }
            Happening::Logout(n) => self.logout(n),
            Happening::Rename(n) => self.rename(n),
            Happening::Elsewhere(n) => {
                let id = self.sessions[n].id.clone();
                self.store.execute(self.mono(), &Op::Touch { id, age_ms: 0 });
                let at = self.now + self.rng.range(500, 8_000);
                self.at(at, Happening::Elsewhere(n));
            }
            Happening::Forge(n) => {
                if self.rng.chance(self.plan.forged_notices) {
                    self.announce(n_id(&self.sessions[n]), 1, 100);
                }
                let at = self.now + self.rng.range(1_000, 8_000);
                self.at(at, Happening::Forge(n));
            }
            Happening::Outage(away) => self.outage(away),
            Happening::Publish(hub) => {
                self.publish(hub);
                let at = self.now + self.rng.range(1, self.plan.chatter_ms);
                self.at(at, Happening::Publish(hub));
            }
            Happening::PublishOnce(hub) => self.publish(hub),
            Happening::Return(n) => {
                let Client { hub, session, sent, .. } = self.clients[n];
                self.clients[n] = self.client(hub, session);
                self.clients[n].sent = sent;
                if self.plan.memory && !self.is_alive(&self.sessions[session].id.clone()) {
                    self.sessions[session].id = "".into();
                }
                self.arrive(n);
            }
            Happening::Poll(n) => self.poll(n),
            Happening::Say(n) => self.say(n),
            Happening::Bring(i) => self.bring_bytes(i),
            Happening::Take(i) => self.take(i),
            Happening::HangUp(i) => self.hang_up(i),
        }
    }

    /// Whether a session of the store in memory is alive, in truth.
    fn is_alive(&self, id: &str) -> bool {
        self.hubs[0].memory().is_none_or(|memory| memory.ttl_ms(id, self.mono()).is_some())
    }

    /// The application publishes, and each subscriber that nothing holds back is written to.
    fn publish(&mut self, hub: usize) {
        self.published += 1;
        self.said += 1;
        let body = format!("app:{}", self.published);
        let to = match self.published % 3 {
            0 => To::User { principal: "rob", destination: "/queue/mine" },
            _ => To::Destination("/topic/talk"),
        };
        let message = Message { body: body.as_bytes(), ..Message::default() };
        self.owe(hub, self.published.is_multiple_of(3));
        self.with_hub(hub, |hub, now| hub.publish(now, to, &message));
        for (n, client) in self.clients.iter().enumerate() {
            let subscribed = client.hub == hub && client.connected && client.outbox.is_empty() && !client.parted;
            let addressed = !self.published.is_multiple_of(3) || self.sessions[client.session].name == "rob";
            if subscribed && addressed && self.must_pass(n) {
                let socket = client.socket.expect("it is connected");
                assert!(self.hubs[hub].output(socket).count() > 0, "client {n} does not get {body} at {}", self.now);
            }
        }
    }

    /// Whether there is no reason to hold anything back from this client, or what it says.
    fn must_pass(&self, n: usize) -> bool {
        let Some(id) = self.judge.present(n) else { return false };
        if self.plan.memory { self.is_alive(&id) } else { self.judge.must_pass(self.now, n) }
    }

    fn arrive(&mut self, n: usize) {
        let hub = self.clients[n].hub;
        let open = Open { token: n as u64 + 1, address: None, secure: false };
        let socket = self.with_hub(hub, |hub, now| hub.open(now, open)).expect("room for a few");
        let client = &mut self.clients[n];
        client.socket = Some(socket);
        let session = &self.sessions[client.session];
        if self.plan.memory && session.id.is_empty() {
            client.login(&session.name);
        } else {
            client.handshake(&session.id);
        }
        self.judge.arrived(n, hub);
        self.at(self.now, Happening::Upload(n));
    }

    /// Bytes of a client reach the hub, in pieces.
    fn upload(&mut self, n: usize) {
        let client = &mut self.clients[n];
        let (Some(socket), false) = (client.socket, client.outbox.is_empty() || client.closed) else { return };
        if client.reading_off && self.rng.chance(90) {
            return;
        }
        let len = (self.rng.range(1, client.piece as u64) as usize).min(client.outbox.len());
        let mut bytes: Vec<u8> = client.outbox.drain(..len).collect();
        let (hub, more) = (client.hub, !client.outbox.is_empty());
        let id = self.sessions[self.clients[n].session].id.clone();
        self.judge.active(self.now, &id);
        self.note(|| format!("client {n} sends {}", bytes.escape_ascii()));
        self.with_hub(hub, |hub, now| hub.handle(now, Event::Received { socket, bytes: &mut bytes }));
        if more {
            let at = self.now + self.rng.range(0, 5);
            self.at(at, Happening::Upload(n));
        }
    }

    /// A client reads some of what waits for it.
    fn read(&mut self, n: usize) {
        let hub = self.clients[n].hub;
        // What may be lent is what may cross by now.
        self.with_hub(hub, |hub, now| hub.handle(now, Event::Tick));
        self.reads[n] -= 1;
        let client = &self.clients[n];
        let (Some(socket), false) = (client.socket, client.closed) else { return };
        let all = self.hubs[hub].output(socket).collect::<Vec<_>>().concat();
        let len = (self.rng.range(1, client.piece as u64) as usize).min(all.len());
        if len == 0 {
            return;
        }
        let alive = self.judge.session_of(n).is_none_or(|id| self.is_alive(&id));
        let client = &mut self.clients[n];
        self.judge.lent(self.now, n, client.within_frame(), alive);
        let seen = client.read(&all[..len]);
        if all.len() > len {
            self.read_later(n);
        }
        self.with_hub(hub, |hub, now| hub.handle(now, Event::Sent { socket, len }));
        for seen in seen {
            self.seen(n, &seen);
        }
    }

    fn read_later(&mut self, n: usize) {
        self.reads[n] += 1;
        let at = self.now + self.clients[n].pace;
        self.at(at, Happening::Read(n));
    }

    fn seen(&mut self, n: usize, seen: &Seen) {
        self.note(|| format!("client {n} sees {seen:?}"));
        self.judge.seen(self.now, n, seen);
        match seen {
            Seen::Open => {
                self.clients[n].say(Command::Connect, &[("accept-version", "1.2"), ("host", "h")], b"");
                self.at(self.now, Happening::Upload(n));
            }
            Seen::Connected => {
                let client = &mut self.clients[n];
                client.connected = true;
                client.say(Command::Subscribe, &[("id", "0"), ("destination", "/topic/talk")], b"");
                client.say(Command::Subscribe, &[("id", "1"), ("destination", "/user/queue/mine")], b"");
                self.at(self.now, Happening::Upload(n));
                let at = self.now + self.rng.range(0, 3_000);
                self.at(at, Happening::Act(n));
            }
            Seen::Close { .. } if self.clients[n].polite => {
                let at = self.now + self.rng.range(0, 200);
                self.at(at, Happening::Vanish(n));
            }
            Seen::Refused(302) => {
                // Logged in: now it comes back with the cookie.
                self.end_connection(n);
                let Client { session, pace, piece, sent, .. } = self.clients[n];
                self.clients[n] = Client::new(0, session, pace, piece, true);
                self.clients[n].sent = sent;
                let at = self.now + self.rng.range(1, 500);
                self.at(at, Happening::Arrive(n));
            }
            _ => {}
        }
    }

    fn act(&mut self, n: usize) {
        let parts = self.rng.chance(self.plan.partings);
        let client = &mut self.clients[n];
        if client.closed || !client.connected || client.parted {
            return;
        }
        if parts {
            client.parted = true;
            self.judge.parted(n);
            match self.rng.range(0, 2) {
                0 => client.say(Command::Disconnect, &[("receipt", "bye")], b""),
                1 => client.say(Command::Disconnect, &[], b""),
                _ => client.say(Command::Begin, &[("transaction", "t")], b""),
            }
            self.at(self.now, Happening::Upload(n));
            return;
        }
        self.said += 1;
        client.sent += 1;
        let body = format!("{n}:{}", client.sent);
        match self.rng.range(0, 9) {
            0..=5 => client.say(Command::Send, &[("destination", "/topic/talk")], body.as_bytes()),
            6 => {
                client.say(
                    Command::Send,
                    &[("destination", "/user/rob/queue/mine"), ("receipt", "r")],
                    body.as_bytes(),
                );
            }
            7 => client.say(Command::Send, &[("destination", "/app/x")], body.as_bytes()),
            _ => client.message(tethered_core::ws::Opcode::Text, b"\n"),
        }
        self.at(self.now, Happening::Upload(n));
        let pause = if self.rng.chance(20) {
            // Just when the session may be over; the application has something to say then, too.
            let at = self.now + self.plan.timeout_ms + self.rng.range(0, 20);
            self.at(at, Happening::PublishOnce(self.clients[n].hub));
            self.plan.timeout_ms + self.rng.range(0, 30)
        } else if self.rng.chance(50) {
            self.rng.range(1, 400)
        } else {
            self.rng.range(1, self.plan.timeout_ms * 3 / 2)
        };
        self.at(self.now + pause, Happening::Act(n));
    }

    fn end_connection(&mut self, n: usize) {
        let client = &mut self.clients[n];
        if client.closed {
            return;
        }
        if let Some(socket) = client.socket {
            let hub = client.hub;
            self.with_hub(hub, |hub, now| hub.handle(now, Event::Closed { socket }));
        }
    }

    /// The session ends in the store: logged out at another node, or by a hand.
    fn logout(&mut self, n: usize) {
        let id = self.sessions[n].id.clone();
        if id.is_empty() {
            return;
        }
        self.note(|| format!("session {n} is ended"));
        if self.plan.memory {
            self.judge.ended(self.now, &id);
            self.with_hub(0, |hub, now| {
                hub.end(now, tethered_core::hub::Who::Session(&id), tethered_core::session::Cause::Revoked)
            });
        } else {
            self.store.execute(self.mono(), &Op::End { id });
        }
    }

    /// The session gets another id at another node.
    fn rename(&mut self, n: usize) {
        let (from, to): (Arc<str>, Arc<str>) = (self.sessions[n].id.clone(), format!("renamed-{n}").into());
        let principal = Some(self.sessions[n].name.as_str().into());
        let op = Op::Rename { from: from.clone(), to: to.clone(), principal, attributes: vec![] };
        if self.store.execute(self.mono(), &op) != Answer::Gone {
            self.note(|| format!("session {n} is renamed"));
            self.sessions[n].id = to.clone();
            self.judge.renamed(self.now, &from, &to);
            for hub in 0..self.hubs.len() {
                self.with_hub(hub, |hub, now| {
                    hub.handle(now, Event::Notice { session: &from, notice: Notice::Renamed { to: &to } });
                });
            }
        }
    }

    fn outage(&mut self, away: bool) {
        self.note(|| format!("the store is {}", if away { "away" } else { "back" }));
        self.away = away;
        self.judge.outage(self.now, away);
        for hub in 0..self.hubs.len() {
            let event = |away| if away { Event::NoticesLost } else { Event::NoticesOn };
            self.with_hub(hub, |hub, now| hub.handle(now, event(away)));
        }
        let length = if away { self.rng.range(500, 15_000) } else { self.rng.range(10_000, 40_000) };
        self.at(self.now + length, Happening::Outage(!away));
    }

    fn execute(&mut self, hub: usize, call: Option<u64>, op: usize) {
        let op = self.ops[op].clone();
        if self.away || self.rng.chance(self.plan.lost_replies) {
            if let Some(call) = call
                && self.rng.chance(50)
            {
                self.reply(hub, call, Answer::Lost);
            }
            return;
        }
        self.judge.asked(self.now, hub, &op);
        let answer = self.store.execute(self.mono(), &op);
        if let Some(call) = call {
            self.reply(hub, call, answer);
        }
    }

    fn reply(&mut self, hub: usize, call: u64, answer: Answer) {
        self.answers.push(answer);
        let late = if self.rng.chance(5) { self.rng.range(100, 1_900) } else { self.rng.range(0, 20) };
        self.at(self.now + late, Happening::Reply { hub, call, answer: self.answers.len() - 1 });
    }

    /// The store's own time: sessions run out, and it says so, if it is not lazy.
    fn store_time(&mut self) {
        if !self.plan.lazy_store {
            self.store.tick(self.mono());
        }
        while let Some((id, expired)) = self.store.notice() {
            self.note(|| format!("the store ends {id}"));
            self.judge.ended(self.now, &id);
            let lost = self.plan.lost_notices;
            self.announce(id, u8::from(!expired), 100 - lost);
        }
    }

    /// Tells the hubs, as far as notices come through.
    fn announce(&mut self, id: Arc<str>, kind: u8, percent: u64) {
        self.ids.push(id);
        let id = self.ids.len() - 1;
        for hub in 0..self.hubs.len() {
            for _ in 0..if self.rng.chance(10) { 2 } else { 1 } {
                if !self.away && self.rng.chance(percent) {
                    let at =
                        self.now + if self.rng.chance(10) { self.rng.range(50, 3_000) } else { self.rng.range(0, 10) };
                    self.at(at, Happening::Notice { hub, id, kind });
                }
            }
        }
    }

    fn at(&mut self, at: u64, happening: Happening) {
        self.order += 1;
        self.queue.push(Reverse((at, self.order, happening)));
    }

    fn mono(&self) -> Instant {
        Instant::from_millis(self.now)
    }

    fn note(&self, line: impl FnOnce() -> String) {
        if self.log {
            println!("{:>6} {}", self.now, line());
        }
    }
}

fn n_id(session: &Session) -> Arc<str> {
    session.id.clone()
}
