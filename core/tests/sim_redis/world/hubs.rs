//! Calls a hub, does what it asks for, and looks that nobody is forgotten.

use tethered_core::hub::{Action, Event, Hub};
use tethered_core::ids::CallId;
use tethered_core::redis::Command;
use tethered_core::session::Cause;
use tethered_core::time::Now;

use super::pages::FIRST_PAGE;
use super::{Happening, World};

impl World {
    /// Calls a hub and does what it asks for.
    pub(super) fn with_hub<R>(&mut self, hub: usize, call: impl FnOnce(&mut Hub, Now) -> R) -> R {
        let now = self.time(hub);
        let result = call(&mut self.nodes[hub].hub, now);
        while let Some(action) = self.nodes[hub].hub.poll() {
            self.note(|| format!("hub {hub}: {}", shown(&action)));
            self.nodes[hub].actions += 1;
            self.perform(hub, action);
        }
        if let Some((at, _)) = self.nodes[hub].hub.next_deadline() {
            let at = at.as_millis().max(self.now + 1);
            if self.nodes[hub].tick.is_none_or(|set| at < set || set <= self.now) {
                self.nodes[hub].tick = Some(at);
                self.at(at, Happening::Tick(hub));
            }
        }
        self.look(hub);
        result
    }

    /// Nobody is forgotten: what may be written is going to be, whoever asked is answered, and the hub's books say who is
    /// there.
    fn look(&mut self, hub: usize) {
        for (&(of, client), &n) in self.joined.range((hub, tethered_core::ids::ClientId::from_raw(0))..) {
            if of != hub {
                break;
            }
            let Some((id, _)) = self.nodes[hub].hub.session_of(client) else {
                panic!("client {n} has joined, and is under no session at {}", self.now)
            };
            let id = self.judge.number(&id);
            self.judge.is_under(n, id);
        }
        let it = &self.nodes[hub].hub;
        let mut sockets = 0;
        for (n, client) in self.clients.iter().enumerate() {
            let (Some(socket), true, false) = (client.socket, client.hub == hub, client.closed) else { continue };
            sockets += u64::from(!client.shut && !client.refused);
            let waits = self.reads[n] == 0 && it.output(socket).next().is_some();
            assert!(!waits, "client {n} was not told of its output at {}", self.now);
            if let Some(asked) =
                self.asked[n].filter(|_| !self.over).filter(|_| !client.open && !client.refused && self.reads[n] == 0)
            {
                let limit = asked + 2 * self.judge.bound.announced_ms + 1_000;
                let late = self.now > limit && !self.judge.was_troubled(hub, asked);
                assert!(!late, "client {n} asked at {asked} and is not answered at {}", self.now);
            }
        }
        let stats = it.stats();
        assert!(stats.clients <= sockets, "{} clients on {sockets} sockets at {}", stats.clients, self.now);
        assert!(
            stats.sessions <= stats.clients,
            "{} sessions of {} clients at {}",
            stats.sessions,
            stats.clients,
            self.now
        );
    }

    fn perform(&mut self, hub: usize, action: Action) {
        match action {
            Action::Write { token, socket } => {
                self.trace.number(token);
                match (token as usize).checked_sub(FIRST_PAGE) {
                    Some(page) => self.read_page(page, socket),
                    None => {
                        self.bound_now(hub, token as usize);
                        self.read_later(token as usize);
                    }
                }
            }
            Action::Reading { token, on, .. } => {
                if let Some(client) = self.clients.get_mut(token as usize) {
                    client.reading_off = !on;
                    if on {
                        self.at(self.now, Happening::Upload(token as usize));
                    }
                }
            }
            Action::Shutdown { token, socket } => {
                assert!(self.nodes[hub].hub.output(socket).next().is_none(), "shut down with output left");
                let Some(client) = self.clients.get_mut(token as usize) else { return };
                assert!(client.over || !client.open, "client {token} never read a Close");
                client.shut = true;
                if client.polite {
                    let at = self.now + self.rng.range(0, 100);
                    self.at(at, Happening::Vanish(token as usize));
                }
            }
            Action::Close { token, socket } => {
                self.trace.number(!token);
                if (token as usize) < self.clients.len() {
                    self.bound_now(hub, token as usize);
                }
                let Some(client) = self.clients.get_mut(token as usize) else { return };
                if client.socket == Some(socket) {
                    assert!(!client.closed, "closed twice");
                    client.closed = true;
                    let hurries = std::mem::take(&mut self.hurries[token as usize]);
                    if hurries || self.rng.chance(80) {
                        let at = self.now + if hurries { self.rng.range(0, 5) } else { self.rng.range(0, 3_000) };
                        self.at(at, Happening::Return(token as usize));
                    }
                }
            }
            Action::Redis { call, connection, command } => {
                self.mix(&command);
                self.send(hub, call.map(CallId::to_raw), connection, command);
            }
            Action::Deliver { client, token, .. } => {
                // It may have been renamed in this very turn.
                if let Some((id, _)) = self.nodes[hub].hub.session_of(client) {
                    let id = self.judge.number(&id);
                    self.judge.is_under(token as usize, id);
                }
                self.judge.delivered(self.now, token as usize);
            }
            Action::Joined { client, token, principal, .. } => {
                self.joined.insert((hub, client), token as usize);
                let id = self.nodes[hub].hub.session_of(client).expect("bound").0;
                let id = self.judge.number(&id);
                self.judge.joined(self.now, token as usize, id, principal.as_deref());
            }
            Action::Left { client, token, cause, .. } => {
                self.joined.remove(&(hub, client)).expect("it had joined");
                assert!(!self.nodes[hub].hub.has_client(client), "client {token} has left and is there");
                self.trace.mix(cause.as_str().as_bytes());
                self.judge.left(self.now, token as usize, cause);
            }
            Action::Request { token, request, .. } => self.requested(token as usize - FIRST_PAGE, &request),
            Action::Ended(ended) => {
                let strangers = self.judge.seats.iter().filter(|seat| seat.hub == hub && !seat.joined).count();
                let left = std::mem::take(&mut self.judge.cut[hub]);
                let counted = (left..=left + strangers).contains(&(ended.sockets as usize));
                assert!(counted, "{left} were cut off, and perhaps {strangers} that had not joined: {ended:?}");
                assert!(ended.cause != Cause::Revoked, "{ended:?}");
                self.trace.number(ended.late_ms);
            }
            Action::Alarm(alarm) => self.trace.mix(alarm.kind.as_str().as_bytes()),
            other => panic!("unknown action {other:?}"),
        }
    }

    /// A handshake is a request like any other, and counts when it is answered.
    fn bound_now(&mut self, hub: usize, n: usize) {
        if !self.clients[n].open {
            let id = self.judge.seats[n].claimed;
            self.judge.active(self.now, hub, id);
        }
    }

    fn mix(&mut self, command: &Command) {
        for arg in command.args() {
            self.trace.mix(&arg[..arg.len().min(64)]);
        }
    }

    /// The end: everybody goes, and nothing is left of anybody.
    pub(super) fn finish(&mut self) {
        self.over = true;
        for n in 0..self.clients.len() {
            self.end_connection(n);
        }
        self.close_pages();
        // Slow readers that were closing are given up before long, and what was asked counts as lost.
        for _ in 0..30 {
            self.now += 1_000;
            for hub in 0..self.nodes.len() {
                self.with_hub(hub, |hub, now| hub.handle(now, Event::Tick));
            }
        }
        for hub in 0..self.nodes.len() {
            let stats = self.nodes[hub].hub.stats();
            assert_eq!((stats.sockets, stats.clients, stats.sessions), (0, 0, 0), "left over on hub {hub}");
            let pending = self.nodes[hub].hub.spring().expect("on a Redis").pending();
            assert_eq!(pending, 0, "questions left over on hub {hub}");
        }
    }
}

fn shown(action: &Action) -> String {
    match action {
        Action::Redis { call, connection, command } => {
            let name = command.args().next().map(String::from_utf8_lossy).unwrap_or_default().into_owned();
            format!("{name} on {} {:x?}", connection.as_str(), call.map(CallId::to_raw))
        }
        other => format!("{other:?}"),
    }
}
