//! Calls a hub, does what it asks for, and looks that nobody is forgotten.

use std::hash::Hash;

use tethered_core::http;
use tethered_core::hub::{Action, Change, Hub, Response};
use tethered_core::ids::CallId;
use tethered_core::time::{Now, UnixMillis};

use super::{Happening, World};

impl World {
    /// Calls a hub and does what it asks for.
    pub(super) fn with_hub<R>(&mut self, hub: usize, call: impl FnOnce(&mut Hub, Now) -> R) -> R {
        let now = Now { mono: self.mono(), wall: UnixMillis::from_millis(1_700_000_000_000 + self.now) };
        let result = call(&mut self.hubs[hub], now);
        while let Some(action) = self.hubs[hub].poll() {
            self.note(|| format!("hub {hub}: {action:?}"));
            format!("{action:?}").hash(&mut self.trace);
            self.perform(hub, action);
        }
        if let Some((at, _)) = self.hubs[hub].next_deadline() {
            let at = at.as_millis().max(self.now + 1);
            if self.ticks[hub].is_none_or(|set| at < set || set <= self.now) {
                self.ticks[hub] = Some(at);
                self.at(at, Happening::Tick(hub));
            }
        }
        self.look(hub);
        result
    }

    /// Nobody is forgotten: what may be written is going to be, and who may be heard is read.
    fn look(&self, hub: usize) {
        for (n, client) in self.clients.iter().enumerate() {
            let (Some(socket), true, false) = (client.socket, client.hub == hub, client.closed) else { continue };
            let waits = self.reads[n] == 0 && self.hubs[hub].output(socket).count() > 0;
            assert!(!waits, "client {n} was not told of its output at {}", self.now);
            let deaf = client.reading_off && self.must_pass(n);
            assert!(!deaf, "client {n} is not read at {}, though nothing holds it", self.now);
            let asked = !client.open && !client.refused && client.outbox.is_empty();
            let id = &self.sessions[client.session].id;
            // At the end of its time the session waits for its timer, which fires at the edge of some milliseconds.
            let over = self.hubs[hub].memory().is_some_and(|store| store.ttl_ms(id, self.mono()).is_none());
            let next = self.hubs[hub].next_deadline().map(|(at, _)| at.as_millis());
            let ends = over && next.is_some_and(|at| at <= self.now + TIMER_MS);
            let known = self.judge.is_clear(self.now, hub, id) && !self.judge.is_asked(self.now, hub, id);
            let answered = !asked || self.reads[n] > 0 || ends || !known && !self.plan.memory;
            assert!(answered, "client {n} is not answered at {}", self.now);
        }
        // Who has got all that it will ever get is nobody any more.
        let served = self.clients.iter().filter(|client| client.hub == hub && !client.closed && !client.shut);
        let (most, clients) = (served.count() as u64, self.hubs[hub].stats().clients);
        assert!(clients <= most, "{clients} clients on {most} sockets at {}", self.now);
    }

    fn perform(&mut self, hub: usize, action: Action) {
        match action {
            Action::Write { token, .. } => self.read_later(token as usize),
            Action::Reading { token, on, .. } => {
                self.clients[token as usize].reading_off = !on;
                if on {
                    self.at(self.now, Happening::Upload(token as usize));
                }
            }
            Action::Shutdown { token, socket } => {
                assert_eq!(self.hubs[hub].output(socket).count(), 0, "shut down with output left");
                let client = &mut self.clients[token as usize];
                assert!(client.over || !client.open, "client {token} never read a Close");
                client.shut = true;
                if client.polite {
                    let at = self.now + self.rng.range(0, 100);
                    self.at(at, Happening::Vanish(token as usize));
                }
            }
            Action::Close { token, socket } => {
                let client = &mut self.clients[token as usize];
                if client.socket == Some(socket) {
                    assert!(!client.closed, "closed twice");
                    client.closed = true;
                    if client.open && self.rng.chance(60) {
                        let at = self.now + self.rng.range(0, 3_000);
                        self.at(at, Happening::Return(token as usize));
                    }
                }
                self.judge.closed(self.now, hub, socket);
            }
            Action::Session { call, op } => {
                self.judge.sent(self.now, hub, call.map(CallId::to_raw), &op);
                self.ops.push(op);
                let at = self.now + self.rng.range(0, 20);
                self.at(at, Happening::Execute { hub, call: call.map(CallId::to_raw), op: self.ops.len() - 1 });
            }
            Action::Deliver { client, .. } => {
                let n = self.joined[&(hub, client)];
                let alive = self.judge.session_of(n).is_none_or(|id| self.is_alive(&id));
                self.judge.delivered(self.now, n, alive);
            }
            Action::Joined { client, token, .. } => {
                self.joined.insert((hub, client), token as usize);
                let id = self.hubs[hub].session_of(client).expect("bound").0;
                self.judge.joined(self.now, token as usize, hub, &id);
            }
            Action::Left { client, token, cause, .. } => {
                self.joined.remove(&(hub, client)).expect("it had joined");
                assert!(!self.hubs[hub].has_client(client), "client {token} has left and is there");
                let now = self.mono();
                let store = self.hubs[hub].memory().unwrap_or(&self.store);
                self.judge.left(self.now, token as usize, cause, |id| store.ttl_ms(id, now).is_some());
            }
            Action::Request { socket, request, token } => {
                let name = request.http.query().unwrap_or_default().to_owned();
                let response = Response {
                    http: http::Response::redirect("/").expect("a valid location"),
                    session: Change::Login { principal: name.as_str().into(), attributes: vec![] },
                };
                let now = Now { mono: self.mono(), wall: UnixMillis::default() };
                self.hubs[hub].respond(now, socket, response);
                let head: Vec<u8> = self.hubs[hub].output(socket).flatten().copied().collect();
                let head = String::from_utf8(head).expect("a head");
                let cookie = head.split("SESSION=").nth(1).and_then(|rest| rest.split(';').next()).expect("a cookie");
                let id = decode_base64(cookie);
                let session = self.clients[token as usize].session;
                self.sessions[session].id = id.as_str().into();
                if self.rng.chance(50) {
                    let at = self.now + self.rng.range(1_000, 20_000);
                    self.at(at, Happening::Logout(session));
                }
            }
            Action::Ended(ended) => self.judge.found(self.now, hub, &ended),
            other => panic!("unknown action {other:?}"),
        }
    }
}

fn decode_base64(text: &str) -> String {
    use base64::Engine;
    let bytes = base64::engine::general_purpose::STANDARD.decode(text).expect("base64");
    String::from_utf8(bytes).expect("an id")
}

/// So much later than it is due a timer may fire.
const TIMER_MS: u64 = 20;
