//! The machine on a real Redis: its commands are carried out as they come, its clock is the machine's own.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use tethered_core::redis::Connection;
use tethered_core::session::spring::{Alarm, AlarmKind, Config, Heard, Limits, Output, Spring, Times};
use tethered_core::session::{Answer, Op};
use tethered_core::time::Instant;

use super::resp::{Client, Server, Value};

pub(crate) struct World {
    pub(crate) spring: Spring,
    commands: Client,
    notices: Client,
    transactions: Client,
    started: std::time::Instant,
    pub(crate) answers: VecDeque<(u64, Answer)>,
    pub(crate) alarms: Vec<Alarm>,
    pub(crate) heard: Vec<String>,
    pub(crate) standing: Vec<bool>,
    /// Commands that were sent, by name.
    pub(crate) sent: Vec<String>,
    /// Errors that the machine did not want to know.
    pub(crate) refused: Vec<String>,
    token: u64,
    by_hand: Client,
    /// What somebody else does before so many more commands are sent.
    meanwhile: Option<(usize, Vec<String>)>,
}

impl World {
    pub(crate) fn new(server: &Server, config: Config) -> Self {
        Self::with(server, config, |_| {})
    }

    /// `prepare` is let speak on each connection first, as a login would.
    pub(crate) fn with(server: &Server, config: Config, mut prepare: impl FnMut(&mut Client)) -> Self {
        let mut connect = || {
            let mut client = server.connect();
            prepare(&mut client);
            client
        };
        let times = Times { timeout_ms: 60_000, reply_ms: 2_000, sweep_interval_ms: 60_000 };
        let limits = Limits { inflight: 4_096, bulk: 1 << 20, array: 65_536, touch_rate: 5_000 };
        let mut world = Self {
            spring: Spring::new(config, times, limits, [7; 16], Instant::default()),
            commands: connect(),
            notices: connect(),
            transactions: connect(),
            started: start(),
            answers: VecDeque::new(),
            alarms: Vec::new(),
            heard: Vec::new(),
            standing: Vec::new(),
            sent: Vec::new(),
            refused: Vec::new(),
            token: 0,
            by_hand: server.connect(),
            meanwhile: None,
        };
        world.spring.connected(world.now(), Connection::Commands);
        world.turn();
        world.spring.connected(world.now(), Connection::Notices);
        world.settle();
        world
    }

    pub(crate) fn now(&self) -> Instant {
        Instant::from_millis(self.started.elapsed().as_millis() as u64)
    }

    /// Asks, and waits for the answer.
    pub(crate) fn ask(&mut self, op: Op) -> Answer {
        let token = self.begin(op);
        for _ in 0..4_000 {
            self.turn();
            if let Some(at) = self.answers.iter().position(|(of, _)| *of == token) {
                return self.answers.remove(at).expect("just found").1;
            }
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        panic!("no answer; alarms: {:?}", self.alarms);
    }

    /// Asks, while somebody else does this after so many of the commands; whether there were as many.
    pub(crate) fn ask_while(&mut self, op: Op, after: usize, done: Vec<String>) -> (Answer, bool) {
        self.meanwhile = Some((after, done));
        let answer = self.ask(op);
        (answer, self.meanwhile.take().is_none())
    }

    pub(crate) fn begin(&mut self, op: Op) -> u64 {
        self.token += 1;
        self.spring.ask(self.now(), Some(self.token), op);
        self.token
    }

    /// Takes what comes in until nothing does for a while.
    pub(crate) fn settle(&mut self) {
        for _ in 0..50 {
            self.turn();
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
    }

    /// Does what the machine wants, and tells it what came of it.
    pub(crate) fn turn(&mut self) {
        self.spring.tick(self.now());
        loop {
            while let Some(output) = self.spring.poll() {
                match output {
                    Output::Command { call, connection, command } => {
                        if let Some((left, done)) = &mut self.meanwhile
                            && connection != Connection::Notices
                        {
                            if *left == 0 {
                                done.iter().for_each(|line| drop(self.by_hand.run(line)));
                                self.meanwhile = None;
                            } else {
                                *left -= 1;
                            }
                        }
                        self.sent.push(String::from_utf8_lossy(command.args().next().expect("a name")).into_owned());
                        let reply = if connection == Connection::Notices {
                            self.notices.send(command.args());
                            let confirmed: Vec<Value> =
                                (1..command.args().len()).map(|_| self.notices.receive()).collect();
                            assert!(confirmed.iter().all(|value| matches!(value, Value::List(_))), "{confirmed:?}");
                            Value::Bulk(b"OK".to_vec())
                        } else {
                            let client = match connection {
                                Connection::Transactions => &mut self.transactions,
                                _ => &mut self.commands,
                            };
                            client.send(command.args());
                            client.receive()
                        };
                        if let Some(call) = call {
                            let now = self.now();
                            reply.lend(|reply| self.spring.reply(now, call, reply));
                        } else if let Value::Error(text) = &reply {
                            self.refused.push(format!("{command:?}: {}", String::from_utf8_lossy(text)));
                        }
                    }
                    Output::Answer { token, answer } => self.answers.push_back((token, answer)),
                    Output::Alarm(alarm) => self.alarms.push(alarm),
                    Output::Notices(on) => self.standing.push(on),
                    _ => {}
                }
            }
            let Some(message) = self.notices.receive_within(0) else { break };
            let Value::List(parts) = message else { panic!("{message:?}") };
            let now = self.now();
            let heard = self.spring.notification(now, 0, parts[1].bytes(), parts[2].bytes());
            self.heard.extend(heard.map(|heard| match heard {
                Heard::Expired(id) => format!("expired {id}"),
                Heard::Deleted(id) => format!("deleted {id}"),
                Heard::Renamed { from, to } => format!("renamed {from} {to}"),
            }));
        }
    }

    pub(crate) fn alarmed(&self, kind: AlarmKind) -> bool {
        self.alarms.iter().any(|alarm| alarm.kind == kind)
    }
}

#[allow(clippy::disallowed_methods, reason = "a real Redis runs by a real clock")]
fn start() -> std::time::Instant {
    std::time::Instant::now()
}

pub(crate) fn load(id: &str) -> Op {
    Op::Load { id: id.into() }
}

pub(crate) fn check(id: &str) -> Op {
    Op::Check { id: id.into() }
}

pub(crate) fn touch(id: &str, age_ms: u64) -> Op {
    Op::Touch { id: id.into(), age_ms }
}

pub(crate) fn end(id: &str) -> Op {
    Op::End { id: id.into() }
}

pub(crate) fn create(id: &str, principal: Option<&str>, attributes: &[(&str, &'static str)]) -> Op {
    Op::Create { id: id.into(), principal: principal.map(Arc::from), attributes: list(attributes) }
}

pub(crate) fn rename(from: &str, to: &str, principal: Option<&str>, attributes: &[(&str, &'static str)]) -> Op {
    Op::Rename { from: from.into(), to: to.into(), principal: principal.map(Arc::from), attributes: list(attributes) }
}

fn list(attributes: &[(&str, &'static str)]) -> Vec<(Box<str>, Bytes)> {
    attributes.iter().map(|(name, value)| ((*name).into(), Bytes::from_static(value.as_bytes()))).collect()
}

/// How long it lives, in milliseconds; panics if it does not, or for ever.
pub(crate) fn ttl(answer: &Answer) -> u64 {
    match answer {
        Answer::Alive { ttl_ms: Some(ttl), .. } => *ttl,
        other => panic!("not alive for a time: {other:?}"),
    }
}
