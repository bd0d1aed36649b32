//! Calls a hub, does what it asks for, and looks that nobody is forgotten.

use std::hash::Hash;
use std::sync::Arc;

use tethered_core::http;
use tethered_core::hub::{Action, Change, Hub, Response};
use tethered_core::ids::{CallId, ClientId};
use tethered_core::session::Cause;
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
        self.look_at_pollers(hub);
        if self.plan.memory {
            for session in self.sessions.iter().filter(|session| !session.id.is_empty() && self.is_alive(&session.id)) {
                self.judge.lives(self.now, &session.id);
            }
        }
        // Who has got all that it will ever get is nobody any more.
        let served = self.clients.iter().filter(|client| client.hub == hub && !client.closed && !client.shut);
        let stats = self.hubs[hub].stats();
        let (most, clients) = (served.count() as u64 + stats.channels + self.requests_at(hub), stats.clients);
        assert!(clients <= most, "{clients} clients on {most} sockets at {}", self.now);
    }

    pub(super) fn seat(&mut self, hub: usize, client: ClientId, seat: usize, id: &Arc<str>) {
        self.joined.insert((hub, client), seat);
        self.judge.joined(self.now, seat, hub, id);
    }

    fn perform(&mut self, hub: usize, action: Action) {
        if self.perform_request(hub, &action) {
            return;
        }
        match action {
            Action::Write { token, .. } => self.read_later(token as usize - 1),
            Action::Reading { token, on, .. } => {
                self.clients[token as usize - 1].reading_off = !on;
                if on {
                    self.at(self.now, Happening::Upload(token as usize - 1));
                }
            }
            Action::Shutdown { token, socket } => {
                assert_eq!(self.hubs[hub].output(socket).count(), 0, "shut down with output left");
                let token = token as usize - 1;
                let client = &mut self.clients[token];
                assert!(client.over || !client.open, "client {token} never read a Close");
                client.shut = true;
                if client.polite {
                    let at = self.now + self.rng.range(0, 100);
                    self.at(at, Happening::Vanish(token));
                }
            }
            Action::Close { token, socket } => {
                let client = &mut self.clients[token as usize - 1];
                if client.socket == Some(socket) {
                    assert!(!client.closed, "closed twice");
                    client.closed = true;
                    if client.open && self.rng.chance(60) {
                        let at = self.now + self.rng.range(0, 3_000);
                        self.at(at, Happening::Return(token as usize - 1));
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
                let id = self.hubs[hub].session_of(client).expect("bound").0;
                assert!(self.nameless.is_none(), "a request that made somebody join is not answered");
                if token == 0 {
                    self.nameless = Some((client, id));
                    return;
                }
                let (seat, _) = self.owner(token);
                self.seat(hub, client, seat, &id);
            }
            Action::Left { client, token, cause, .. } => {
                let seat = self.joined.remove(&(hub, client)).expect("it had joined");
                assert!(!self.hubs[hub].has_client(client), "client {token} has left and is there");
                if cause == Cause::Slow {
                    self.given_up(seat);
                }
                let now = self.mono();
                let store = self.hubs[hub].memory().unwrap_or(&self.store);
                self.judge.left(self.now, seat, cause, |id| store.ttl_ms(id, now).is_some());
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
                let (_, session) = self.owner(token);
                self.sessions[session].id = id.as_str().into();
                let id = self.sessions[session].id.clone();
                self.judge.active(self.now, &id);
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
