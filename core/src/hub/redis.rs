//! Sessions on a Redis: what passes between the hub and the machine that speaks with it.

use alloc::boxed::Box;

use super::{Action, Hub, Notice};
use crate::config::{Config, Store};
use crate::ids::CallId;
use crate::redis::{Connection, Reply};
use crate::session::Answer;
use crate::session::spring::{Heard, Limits, Output, Spring, Times};
use crate::time::Instant;

/// The machine, if sessions are on a Redis.
pub(super) fn spring(config: &Config, seed: [u8; 16], now: Instant) -> Option<Box<Spring>> {
    let Store::Spring(spring) = &config.store else { return None };
    let session = &config.session;
    let times = Times {
        timeout_ms: session.timeout_ms,
        reply_ms: session.reply_ms,
        sweep_interval_ms: session.sweep_interval_ms,
    };
    let limits = Limits {
        inflight: config.limits.inflight,
        bulk: config.limits.bulk,
        array: config.limits.array,
        touch_rate: config.limits.touch_rate,
    };
    let mut spring = spring.clone();
    for name in session.connect_token.iter().flat_map(|token| &token.attributes) {
        if !spring.attributes.contains(name) {
            spring.attributes.push(name.clone());
        }
    }
    Some(Box::new(Spring::new(spring, times, limits, seed, now)))
}

impl Hub {
    pub(super) fn replied(&mut self, call: CallId, reply: Reply<'_>) {
        if let Some(spring) = &mut self.spring {
            spring.reply(self.now.mono, call, reply);
        }
    }

    pub(super) fn notification(&mut self, node: u32, channel: &[u8], payload: &[u8]) {
        let heard = self.spring.as_mut().and_then(|spring| spring.notification(self.now.mono, node, channel, payload));
        match heard {
            Some(Heard::Expired(id)) => self.noticed(id, Notice::Expired),
            Some(Heard::Deleted(id)) => self.noticed(id, Notice::Deleted),
            Some(Heard::Renamed { from, to }) => self.noticed(&from, Notice::Renamed { to }),
            None => {}
        }
    }

    pub(super) fn connected(&mut self, connection: Connection, up: bool) {
        let now = self.now.mono;
        match &mut self.spring {
            Some(spring) if up => spring.connected(now, connection),
            Some(spring) => spring.disconnected(now, connection),
            None => {}
        }
    }

    /// Takes what the machine has to say: commands become actions, answers wait for their turn.
    pub(super) fn take_redis(&mut self) {
        while let Some(output) = self.spring.as_mut().and_then(|spring| spring.poll()) {
            match output {
                Output::Command { call, connection, command } => {
                    self.actions.push_back(Action::Redis { call, connection, command });
                }
                Output::Answer { token, answer } => {
                    let call = CallId::from_raw(token);
                    if let Some(asked) = self.calls.remove(call.slot(), call.generation()) {
                        self.stats.calls_lost += u64::from(answer == Answer::Lost);
                        self.answers.push_back((asked, answer));
                    }
                }
                Output::Notices(on) => self.notices(on),
                Output::Alarm(alarm) => self.actions.push_back(Action::Alarm(alarm)),
            }
        }
    }
}
