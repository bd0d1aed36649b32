//! What goes wrong, and when.

use tethered_core::redis::Keyevent;

use super::net::{COMMANDS, NOTICES};
use super::{Happening, World};
use crate::redis::{Entry, Stored};
use crate::values::Names;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fault {
    Forged,
    LateNotices,
    Drop,
    Silence,
    Outage,
    Pause,
    Failover,
    Empty,
    Hand,
    Flags,
    Jump,
    Forgotten,
    Sleep,
    Deaf,
}

impl World {
    pub(super) fn plan_faults(&mut self) {
        let faults = self.plan.faults.clone();
        for (fault, times) in [
            (Fault::Forged, faults.forged),
            (Fault::LateNotices, faults.late_notices),
            (Fault::Drop, faults.drops),
            (Fault::Silence, faults.silences),
            (Fault::Outage, faults.outages),
            (Fault::Pause, faults.pauses),
            (Fault::Failover, faults.failovers),
            (Fault::Empty, faults.empties),
            (Fault::Hand, faults.hands),
            (Fault::Flags, faults.flags),
            (Fault::Jump, faults.jumps),
            (Fault::Forgotten, faults.forgotten),
            (Fault::Sleep, faults.sleeps),
            (Fault::Deaf, faults.deaf),
        ] {
            for _ in 0..times {
                let at = self.rng.range(2_000, self.plan.length_ms);
                self.at(at, Happening::Fault(fault));
            }
        }
    }

    pub(super) fn fault(&mut self, fault: Fault) {
        self.note(|| format!("fault: {fault:?}"));
        let hub = self.rng.range(0, self.nodes.len() as u64 - 1) as usize;
        let line = self.rng.range(0, 2) as usize;
        match fault {
            Fault::Forged => self.forge(),
            Fault::LateNotices => {
                let until = self.now + self.rng.range(500, 5_000);
                self.nodes[hub].lines[NOTICES].slow_until = until;
            }
            Fault::Drop => self.disconnect(hub, line),
            Fault::Silence => {
                let it = &mut self.nodes[hub].lines[line];
                it.silent = it.up;
                let generation = it.generation;
                let at = self.now + self.rng.range(self.plan.reply_ms, 3 * self.plan.reply_ms);
                self.at(at, Happening::Down { hub, line, generation });
            }
            Fault::Outage => {
                self.go_away();
                let long = self.rng.chance(20);
                let at = self.now + if long { self.rng.range(8_000, 14_000) } else { self.rng.range(300, 6_000) };
                self.at(at, Happening::Back);
            }
            Fault::Pause => {
                let ms = self.rng.range(100, 5_000);
                self.paused_until = self.now + ms;
                // Whoever waits for a reply for too long takes the connection for lost.
                for hub in 0..self.nodes.len() {
                    for line in [COMMANDS, NOTICES] {
                        if ms > self.plan.reply_ms && self.rng.chance(50) {
                            let generation = self.nodes[hub].lines[line].generation;
                            let at = self.now + self.rng.range(self.plan.reply_ms, ms);
                            self.at(at, Happening::Down { hub, line, generation });
                        }
                    }
                }
            }
            Fault::Failover => {
                self.replica = self.redis.snapshot();
                let at = self.now + self.rng.range(10, 1_500);
                self.at(at, Happening::Failover);
            }
            Fault::Empty => {
                self.go_away();
                self.redis.restart(std::collections::BTreeMap::new());
                self.redis.flags = self.plan.flags.to_vec();
                let at = self.now + self.rng.range(100, 3_000);
                self.at(at, Happening::Back);
            }
            Fault::Hand => self.hand(),
            Fault::Flags => self.redis.flags.clear(),
            Fault::Jump => {
                let ms = self.rng.range(1, 6_000) as i64;
                self.offset += if self.rng.chance(50) { ms } else { -ms };
                self.redis.clock = self.clock();
                self.nodes[hub].wall_ms += self.rng.range(0, 100_000_000);
            }
            Fault::Forgotten => self.redis.forget_scripts(),
            Fault::Sleep if self.rng.chance(50) => self.nodes[hub].drowsy = true,
            Fault::Sleep => self.sleep(hub),
            Fault::Deaf => {
                self.nodes[hub].deaf_until = self.now + self.rng.range(2_000, 20_000);
                self.disconnect(hub, NOTICES);
            }
        }
        self.spread();
    }

    /// Redis is gone, and all connections with it.
    fn go_away(&mut self) {
        self.away = true;
        self.judge.away.get_or_insert(self.now);
        for hub in 0..self.nodes.len() {
            for line in 0..3 {
                self.disconnect(hub, line);
            }
        }
    }

    pub(super) fn fail_over(&mut self) {
        self.go_away();
        let replica = std::mem::take(&mut self.replica);
        self.redis.restart(replica);
        let at = self.now + self.rng.range(100, 3_000);
        self.at(at, Happening::Back);
    }

    /// Keys of a session that somebody may have.
    fn victim(&mut self) -> Option<Names> {
        let n = self.rng.range(0, self.sessions.len() as u64 - 1) as usize;
        self.sessions[n].id.as_ref().map(|id| Names::of(id))
    }

    /// Somebody who may publish says what is not so.
    fn forge(&mut self) {
        let Some(Names { hash, shadow }) = self.victim() else { return };
        let key = if self.rng.chance(50) { hash } else { shadow };
        let events = [Keyevent::Del, Keyevent::Expired, Keyevent::Evicted, Keyevent::RenameFrom];
        let event = events[self.rng.range(0, 3) as usize];
        for _ in 0..self.rng.range(1, 3) {
            self.redis.forge(event, &key);
        }
    }

    /// Somebody works on the keys by hand.
    fn hand(&mut self) {
        let Some(Names { hash, shadow }) = self.victim() else { return };
        if self.away {
            return;
        }
        let kind = self.rng.range(0, 9);
        self.note(|| format!("by hand: {kind} of {}", hash.escape_ascii()));
        match kind {
            0 => drop(self.redis.delete(&shadow)),
            1 => drop(self.redis.delete(&hash)),
            2 => {
                self.redis.delete(&hash);
                self.redis.delete(&shadow);
            }
            3 => drop(self.redis.expire_in(&shadow, 0)),
            4 => {
                let ms = self.rng.range(1, 3_000) as i64;
                self.redis.expire_in(&shadow, ms);
                if self.plan.layout == tethered_core::session::spring::Layout::Plain {
                    self.redis.expire_in(&hash, ms);
                }
            }
            5 => {
                if self.redis.live(&hash).is_some() {
                    self.redis.put(&hash, Entry { stored: Stored::Text(b"x".to_vec()), ends: None });
                }
            }
            6 => self.redis.flush(),
            7 => {
                self.redis.evict(&hash);
                self.redis.evict(&shadow);
            }
            8 if !self.plan.cluster => {
                let to = Names::of("by-hand");
                self.judge.number("by-hand");
                self.redis.rename(&hash, &to.hash);
                self.redis.rename(&shadow, &to.shadow);
            }
            _ => {
                self.redis.persist(&shadow);
                self.redis.persist(&hash);
            }
        }
    }
}
