//! The world around the hubs: browsers, Spring nodes, a Redis, and the wires between them, in virtual time.

mod faults;
mod hubs;
mod net;
mod pages;
mod people;
mod shelf;
mod sleep;
mod spring;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::sync::Arc;

use tethered_core::config::{Config, Store};
use tethered_core::hub::{Event, Hub};
use tethered_core::ids::ClientId;
use tethered_core::session::spring::{self as store, Expirations, Layout};
use tethered_core::time::{Instant, Now, UnixMillis};

use self::faults::Fault;
use self::net::{Answered, Line, Note, Sent};
use self::pages::Page;
use self::shelf::Shelf;
use self::spring::{Errand, Progress, Style, Task};
use crate::client::Client;
use crate::judge::Judge;
use crate::plan::{Plan, Scripts};
use crate::redis::{Entry, Redis};
use crate::rng::Rng;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Happening {
    Arrive(usize),
    Act(usize),
    Upload(usize),
    Read(usize),
    Vanish(usize),
    Return(usize),
    Tick(usize),
    /// A command reaches Redis.
    Execute(usize),
    /// Its reply reaches the hub.
    Reply(usize),
    /// A message on a channel does.
    Notify(usize),
    Connect {
        hub: usize,
        line: usize,
    },
    Down {
        hub: usize,
        line: usize,
        generation: u32,
    },
    /// A Spring node sends its next command.
    Spring(usize),
    /// Somebody asks a Spring node for something.
    Request(usize),
    Publish(usize),
    /// Redis looks which keys have run out.
    Cycle,
    OpenPage(usize),
    Respond(usize),
    Fault(Fault),
    Failover,
    Back,
}

/// What the browsers of one person share.
pub(crate) struct Session {
    /// What the cookie says; `None` until somebody has logged in.
    id: Option<Arc<str>>,
    principal: &'static str,
    /// How many there have been.
    count: usize,
    /// Somebody is logging in.
    coming: bool,
}

/// A hub, its clocks, and its lines to Redis.
struct Node {
    hub: Hub,
    tick: Option<u64>,
    lines: [Line; 3],
    /// By how much its wall clock is wrong: nothing may depend on that.
    wall_ms: u64,
    /// Its process does nothing until then.
    asleep_until: u64,
    /// It goes to sleep with the next question that it asks.
    drowsy: bool,
    /// Nobody may subscribe until then.
    deaf_until: u64,
    /// How many actions it has given, and how often in a row it was woken for the next millisecond and gave none.
    actions: u64,
    idle: u32,
}

pub(crate) struct World {
    plan: Plan,
    now: u64,
    rng: Rng,
    nodes: Vec<Node>,
    redis: Redis,
    /// By how much the clock of Redis has jumped.
    offset: i64,
    away: bool,
    paused_until: u64,
    /// What the replica has that is about to take over.
    replica: BTreeMap<Vec<u8>, Entry>,
    skews: Vec<i64>,
    queue: BinaryHeap<Reverse<(u64, u64, Happening)>>,
    order: u64,
    sent: Shelf<Sent>,
    answered: Shelf<Answered>,
    notes: Shelf<Note>,
    tasks: Shelf<Task>,
    pages: Vec<Page>,
    sessions: Vec<Session>,
    clients: Vec<Client>,
    /// How often each is going to read without being told to.
    reads: Vec<usize>,
    /// When each has said all of its handshake.
    asked: Vec<Option<u64>>,
    /// Who comes back at once.
    hurries: Vec<bool>,
    joined: BTreeMap<(usize, ClientId), usize>,
    published: u32,
    cleaned: i64,
    judge: Judge,
    /// Nobody is answered any more.
    over: bool,
    trace: Trace,
    log: bool,
}

impl World {
    pub(crate) fn new(seed: u64, plan: Plan, log: bool) -> Self {
        let mut rng = Rng::new(seed);
        let config = config(&plan);
        let nodes = (0..plan.hubs)
            .map(|_| {
                let mut seed = [0; 16];
                seed[..8].copy_from_slice(&rng.next().to_le_bytes());
                let hub = Hub::new(config.clone(), seed, Now::default()).expect("a valid configuration");
                Node {
                    hub,
                    tick: None,
                    lines: Default::default(),
                    wall_ms: 0,
                    asleep_until: 0,
                    drowsy: false,
                    deaf_until: 0,
                    actions: 0,
                    idle: 0,
                }
            })
            .collect();
        let skew = plan.faults.skew_ms as i64;
        let skews = (0..plan.springs).map(|_| rng.range(0, 2 * skew as u64) as i64 - skew).collect();
        let mut world = Self {
            now: 0,
            nodes,
            redis: Redis::new(plan.flags, plan.may_config, plan.scripts != Scripts::Forbidden),
            offset: 0,
            away: false,
            paused_until: 0,
            replica: BTreeMap::new(),
            skews,
            queue: BinaryHeap::new(),
            order: 0,
            sent: Shelf::default(),
            answered: Shelf::default(),
            notes: Shelf::default(),
            tasks: Shelf::default(),
            pages: Vec::new(),
            sessions: Vec::new(),
            clients: Vec::new(),
            reads: Vec::new(),
            asked: Vec::new(),
            hurries: Vec::new(),
            joined: BTreeMap::new(),
            published: 0,
            cleaned: 0,
            judge: Judge::new(&plan, &config),
            over: false,
            trace: Trace(0),
            log,
            rng,
            plan,
        };
        world.redis.clock = world.clock();
        world.cleaned = world.clock().div_euclid(60_000);
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
            self.redis.clock = self.clock();
            self.judge.look(self.now, &self.redis);
            self.happen(happening);
            self.judge.look(self.now, &self.redis);
            for hub in 0..self.nodes.len() {
                let well = self.is_well(hub);
                self.judge.well(self.now, hub, well);
                let answers = self.answers(hub);
                self.judge.answers(self.now, hub, answers);
            }
            self.judge.check(self.now);
        }
        self.finish();
        self.trace.0
    }

    fn populate(&mut self) {
        for hub in 0..self.nodes.len() {
            for line in 0..3 {
                let at = self.rng.range(0, 50);
                self.at(at, Happening::Connect { hub, line });
            }
            self.at(1_000, Happening::Publish(hub));
        }
        for n in 0..self.plan.sessions {
            let principal = ["rob", "luke"][n % 2];
            self.sessions.push(Session { id: None, principal, count: 0, coming: false });
            let at = self.rng.range(100, 1_000);
            self.at(at, Happening::Request(n));
        }
        for n in 0..self.plan.clients {
            let (hub, session) = (self.rng.range(0, self.nodes.len() as u64 - 1) as usize, n % self.plan.sessions);
            let client = self.client(hub, session);
            self.clients.push(client);
            self.reads.push(0);
            self.asked.push(None);
            self.hurries.push(false);
            let number = self.judge.number("none");
            self.judge.arrived(0, n, hub, number);
            let at = self.rng.range(500, 6_000);
            self.at(at, Happening::Arrive(n));
        }
        self.at(CYCLE_MS, Happening::Cycle);
        self.plan_faults();
    }

    fn happen(&mut self, happening: Happening) {
        if let Some(until) = self.slept_past(happening) {
            return self.at(until, happening);
        }
        match happening {
            Happening::Arrive(n) => self.arrive(n),
            Happening::Act(n) => self.act(n),
            Happening::Upload(n) => self.upload(n),
            Happening::Read(n) => self.read(n),
            Happening::Vanish(n) => self.end_connection(n),
            Happening::Return(n) => {
                let Client { hub, session, sent, .. } = self.clients[n];
                self.clients[n] = self.client(hub, session);
                self.clients[n].sent = sent;
                self.arrive(n);
            }
            Happening::Tick(hub) => {
                if self.nodes[hub].tick == Some(self.now) {
                    self.nodes[hub].tick = None;
                    let did = self.nodes[hub].actions;
                    self.with_hub(hub, |hub, now| hub.handle(now, Event::Tick));
                    let it = &mut self.nodes[hub];
                    let waits = it.tick.is_some_and(|at| at > self.now + 1);
                    it.idle = if waits || it.actions > did { 0 } else { it.idle + 1 };
                    assert!(
                        it.idle < IDLE_TICKS,
                        "hub {hub} is woken ever again at {} and does nothing: {:?}",
                        self.now,
                        it.hub.next_deadline()
                    );
                }
            }
            Happening::Execute(sent) => self.execute(sent),
            Happening::Reply(answered) => self.reply(answered),
            Happening::Notify(note) => self.notify(note),
            Happening::Connect { hub, line } => self.connect(hub, line),
            Happening::Down { hub, line, generation } => {
                if self.nodes[hub].lines[line].generation == generation {
                    self.disconnect(hub, line);
                }
            }
            Happening::Spring(task) => self.spring(task),
            Happening::Request(n) => self.request(n),
            Happening::Publish(hub) => {
                self.publish(hub);
                let at = self.now + self.rng.range(1, self.plan.chatter_ms);
                self.at(at, Happening::Publish(hub));
            }
            Happening::Cycle => self.cycle(),
            Happening::OpenPage(n) => self.open_page(n),
            Happening::Respond(page) => self.respond(page),
            Happening::Fault(fault) => self.fault(fault),
            Happening::Failover => self.fail_over(),
            Happening::Back => {
                self.away = false;
                self.judge.away = None;
            }
        }
    }

    /// Redis' own time: what has run out is deleted sooner or later, and Spring nodes clean up at full minutes.
    fn cycle(&mut self) {
        self.at(self.now + CYCLE_MS, Happening::Cycle);
        if self.away || self.now < self.paused_until {
            return;
        }
        let (now, slowest) = (self.redis.clock, self.plan.expiry_ms);
        let over: Vec<Vec<u8>> = self
            .redis
            .run_out()
            .filter(|(key, ends)| {
                let lot =
                    key.iter().fold(*ends as u64, |lot, byte| lot.wrapping_mul(31).wrapping_add(u64::from(*byte)));
                now - ends > (lot % slowest) as i64
            })
            .map(|(key, _)| key.to_vec())
            .collect();
        for key in over {
            self.redis.expire(&key);
        }
        if now.div_euclid(60_000) > self.cleaned {
            self.cleaned = now.div_euclid(60_000);
            spring::clean(&mut self.redis);
        }
        self.spread();
    }

    fn style(&self) -> Style {
        let plain = self.plan.layout == Layout::Plain;
        Style { form: self.plan.form, plain, sorted: self.plan.sorted, cluster: self.plan.cluster }
    }

    /// Somebody has a Spring node do something with a session, or a hub log him in or out.
    fn request(&mut self, n: usize) {
        let pause = if self.rng.chance(50) { self.rng.range(200, 2_000) } else { self.rng.range(1_000, 8_000) };
        self.at(self.now + pause, Happening::Request(n));
        let alive = self.sessions[n]
            .id
            .as_ref()
            .is_some_and(|id| self.judge.known(id).is_some_and(|id| self.judge.truth(&self.redis, id).is_alive()));
        if !alive {
            if !std::mem::replace(&mut self.sessions[n].coming, true) {
                if self.rng.chance(25) && self.plan.pages { self.start_page(n) } else { self.begin(n, Errand::Create) }
            }
            return;
        }
        match self.rng.range(0, 19) {
            0..=8 => self.begin(n, Errand::Save),
            9..=10 => {
                if self.rng.chance(20) {
                    self.sessions[n].principal = ["rob", "luke", "leia"][self.rng.range(0, 2) as usize];
                }
                let to = self.next_id(n);
                self.begin(n, Errand::Login { to });
            }
            11..=12 => self.begin(n, Errand::Logout),
            13 if self.plan.pages => self.start_page(n),
            14 if self.plan.faults.hands > 0 => {
                let seconds = [-1, 1, 2, 5, 15, 60][self.rng.range(0, 5) as usize];
                if let (Some(id), Ok(seconds)) = (self.sessions[n].id.clone(), u64::try_from(seconds)) {
                    let id = self.judge.number(&id);
                    self.judge.timeout_set(id, seconds * 1_000);
                }
                self.begin(n, Errand::Timeout(seconds));
            }
            _ => {}
        }
    }

    fn next_id(&mut self, n: usize) -> Arc<str> {
        let session = &mut self.sessions[n];
        session.count += 1;
        format!("s{n}-{}", session.count).into()
    }

    fn begin(&mut self, n: usize, errand: Errand) {
        let id = match &errand {
            Errand::Create => self.next_id(n),
            _ => self.sessions[n].id.clone().expect("it is alive"),
        };
        self.judge.number(&id);
        if let Errand::Login { to } = &errand {
            self.judge.number(to);
        }
        self.note(|| format!("Spring: {errand:?} of {id}"));
        let skew = self.skews[self.rng.range(0, self.skews.len() as u64 - 1) as usize];
        let (principal, timeout) = (self.sessions[n].principal, self.plan.timeout_s as i32);
        let task = self.tasks.put(Task::new(n, errand, &id, principal, self.style(), timeout, skew));
        self.at(self.now, Happening::Spring(task));
    }

    fn spring(&mut self, task: usize) {
        if self.now < self.paused_until {
            return self.at(self.paused_until, Happening::Spring(task));
        }
        if self.away {
            // What it was about to do is not done, or is done once Redis is back.
            if self.rng.chance(50) {
                return self.gave_up(task);
            }
            let at = self.now + self.rng.range(100, 1_000);
            return self.at(at, Happening::Spring(task));
        }
        let mut it = self.tasks.take(task);
        let progress = it.step(&mut self.redis);
        self.spread();
        let now = self.now;
        let current = match &it.errand {
            Errand::Login { to } => to.clone(),
            _ => it.id.clone(),
        };
        let number = self.judge.number(&current);
        let named = matches!((&it.errand, progress), (Errand::Create | Errand::Login { .. }, Progress::Named));
        if named {
            self.judge.fates[number].owned(now, it.principal);
        }
        match progress {
            Progress::More | Progress::Named => {
                let mut pause = self.rng.range(0, 2 + self.plan.latency_ms / 4);
                if self.rng.chance(self.plan.faults.stalls) {
                    if self.rng.chance(10) {
                        self.sessions[it.session].coming = false;
                        return;
                    }
                    pause = self.rng.range(20, 1_500);
                }
                self.tasks.put_back(task, it);
                self.at(now + pause, Happening::Spring(task));
            }
            Progress::Nothing => self.sessions[it.session].coming = false,
            Progress::Done => {
                let n = it.session;
                let session = &mut self.sessions[n];
                session.coming &= it.errand != Errand::Create;
                // The cookie comes with the answer; that of a session which is none any more is of no use.
                match it.errand {
                    Errand::Create => session.id = Some(it.id),
                    Errand::Login { to } if session.id.as_ref() == Some(&it.id) => {
                        session.id = Some(to);
                        self.reload(n);
                    }
                    Errand::Login { .. } | Errand::Save | Errand::Logout | Errand::Timeout(_) => {}
                }
            }
        }
    }

    fn gave_up(&mut self, task: usize) {
        let it = self.tasks.take(task);
        self.sessions[it.session].coming = false;
    }

    fn at(&mut self, at: u64, happening: Happening) {
        self.order += 1;
        self.queue.push(Reverse((at, self.order, happening)));
    }

    fn clock(&self) -> i64 {
        EPOCH_MS + self.now as i64 + self.offset
    }

    /// What the clock of Redis says, as a time of this world; 0 for what was before it.
    fn real(&self, clock: i64) -> u64 {
        u64::try_from(clock - EPOCH_MS - self.offset).unwrap_or(0)
    }

    fn time(&self, node: usize) -> Now {
        let wall = EPOCH_MS as u64 + self.now + self.nodes[node].wall_ms;
        Now { mono: Instant::from_millis(self.now), wall: UnixMillis::from_millis(wall) }
    }

    fn note(&self, line: impl FnOnce() -> String) {
        if self.log {
            println!("{:>6} {}", self.now, line());
        }
    }
}

fn config(plan: &Plan) -> Config {
    let spring = store::Config {
        layout: if plan.told { plan.layout } else { Layout::Detect },
        expirations: match (plan.told, plan.sorted) {
            (false, _) => Expirations::Detect,
            (true, true) => Expirations::SortedSet,
            (true, false) => Expirations::MinuteSets,
        },
        serializer: if plan.form == crate::values::Form::Java {
            store::Serializer::Java
        } else {
            store::Serializer::Json
        },
        cluster: plan.cluster,
        scripts: plan.scripts != Scripts::Off,
        cleanup: plan.cleanup,
        ..store::Config::default()
    };
    let mut config = Config { store: Store::Spring(spring), ..Config::default() };
    config.session.timeout_ms = plan.timeout_s * 1_000;
    config.session.touch_interval_ms = plan.touch_interval_ms;
    config.session.check_interval_ms = plan.check_interval_ms;
    config.session.sweep_interval_ms = plan.sweep_interval_ms;
    config.session.reply_ms = plan.reply_ms;
    config.session.blind_ms = BLIND_MS;
    config
}

/// What everything that happens comes to.
struct Trace(u64);

impl Trace {
    fn mix(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.0 = (self.0 ^ u64::from_le_bytes(word)).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
        }
    }

    fn number(&mut self, number: u64) {
        self.mix(&number.to_le_bytes());
    }
}

/// When the world begins, in epoch milliseconds: so that a full minute falls into it.
const EPOCH_MS: i64 = 1_795_359_290_000;
const CYCLE_MS: u64 = 100;
/// A hub may find nothing to do when it is woken, but not so often in a row.
const IDLE_TICKS: u32 = 50;
const BLIND_MS: u64 = 8_000;
