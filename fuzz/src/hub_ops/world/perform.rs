//! What each operation is.

use std::sync::Arc;

use tethered_core::http;
use tethered_core::hub::{Change, Event, Message, Notice, Payload, Response, To, Who};
use tethered_core::ids::CallId;
use tethered_core::session::{self, Answer, Cause, Record};
use tethered_core::time::Instant;

use super::{START_MS, World, pick};
use crate::hub_ops::op::{Bytes, Op};
use crate::hub_ops::peer;

impl World {
    /// Has it happened.
    pub(in crate::hub_ops) fn perform(&mut self, op: &Op) {
        match op {
            Op::Open { address, secure } => {
                self.open(*address, *secure);
            }
            Op::Login { user } => self.log_in(*user),
            Op::Enter { address, endpoint, session } => {
                if let Some(at) = self.open(*address, false) {
                    self.shake(at, *endpoint, *session, 0, 0);
                }
            }
            Op::Handshake { socket, endpoint, session, flaw, cut } => {
                if let Some(at) = self.pick(*socket) {
                    self.shake(at, *endpoint, *session, *flaw, *cut);
                }
            }
            Op::Request { socket, page, session, body, cut } => {
                if let Some(at) = self.pick(*socket) {
                    let bytes = peer::request(*page, self.session(*session).as_deref(), *body);
                    self.receive(at, &bytes, *cut);
                }
            }
            Op::Say { socket, frame, cut } => self.receive_at(*socket, &peer::stomp(frame), *cut),
            Op::Frame { socket, first, payload: Bytes(payload), cut } => {
                self.receive_at(*socket, &peer::frame(*first, payload), *cut);
            }
            Op::Bulk { socket, blocks, binary, cut } => {
                let payload = "sixteen bytes...".repeat(usize::from(*blocks));
                let first = if *binary { 0x82 } else { 0x81 };
                self.receive_at(*socket, &peer::frame(first, payload.as_bytes()), *cut);
            }
            Op::Raw { socket, bytes: Bytes(bytes), cut } => {
                if let Some(at) = self.pick(*socket) {
                    self.sockets[at].peer.lost |= !self.sockets[at].peer.speaks();
                    self.receive(at, bytes, *cut);
                }
            }
            _ => self.kernel(op),
        }
    }

    /// What the kernel and the clock do.
    fn kernel(&mut self, op: &Op) {
        match op {
            Op::Stall { socket, blocks } => {
                if let Some(at) = self.pick(*socket) {
                    self.sockets[at].room = Some(usize::from(*blocks) * 16);
                }
            }
            Op::Unstall { socket } => {
                if let Some(at) = self.pick(*socket) {
                    self.sockets[at].room = None;
                    self.tick();
                    self.writable(at);
                }
            }
            Op::Exaggerate { socket } => self.exaggerate(*socket),
            Op::HangUp { socket } => {
                if let Some(at) = self.pick(*socket) {
                    self.hang_up(at);
                }
            }
            Op::Wait { ms } => self.wait(u64::from(*ms)),
            Op::Jump { ms } => {
                self.now_ms += u64::from(*ms);
                self.tick();
            }
            Op::GoBack { ms } => {
                let now = self.now_ms;
                self.now_ms = now.saturating_sub(u64::from(*ms)).max(START_MS);
                self.tick();
                self.now_ms = now;
            }
            Op::Busy { on } => {
                self.busy = *on;
                self.tick();
            }
            Op::Poll { count } => {
                for _ in 0..*count {
                    let Some(action) = self.poll() else { break };
                    self.act(action);
                }
            }
            _ => self.stored(op),
        }
    }

    /// What the store does.
    fn stored(&mut self, op: &Op) {
        match op {
            Op::Slow { on } => self.slow = *on,
            Op::Answer { call, how } => self.answer(usize::from(*call), *how),
            Op::Stale { raw, how } => {
                let call = match self.asked.iter().nth(usize::from(*raw)) {
                    Some(raw) => *raw,
                    None => u64::from(*raw) << 32,
                };
                let call = CallId::from_raw(call);
                if !self.calls.iter().any(|(open, _)| *open == call) {
                    let answer = wrong(*how, "s-stale");
                    self.turn(|hub, now| hub.handle(now, Event::Answer { call, answer }));
                }
            }
            Op::Befall { session, what, notice } => self.befall(*session, *what, *notice),
            Op::Notice { session, kind, to } => {
                let id = self.session(*session).unwrap_or_else(|| "unheard-of".to_owned());
                let to = self.session(*to).unwrap_or_else(|| "s-new".to_owned());
                self.notice(&id, *kind, &to);
            }
            Op::Notices { on } => {
                self.notices = *on;
                self.turn(|hub, now| hub.handle(now, if *on { Event::NoticesOn } else { Event::NoticesLost }));
            }
            _ => self.application(op),
        }
    }

    /// What the application does.
    fn application(&mut self, op: &Op) {
        match op {
            Op::Publish { destination, blocks, binary } => {
                let body = body(*blocks, *binary);
                let to = To::Destination(peer::destination(*destination));
                self.publish(to, &body);
            }
            Op::PublishUser { user, destination, blocks } => {
                let body = [peer::FOR, name(*user).as_bytes(), b";", &body(*blocks, false)].concat();
                let destination = ["/queue/m", "/topic/a", "", "/"][usize::from(*destination) % 4];
                self.publish(To::User { principal: name(*user), destination }, &body);
            }
            Op::Reply { client, destination, blocks } => {
                let Some((client, id)) = pick(&self.subscriptions, *client).cloned() else { return };
                let body = body(*blocks, blocks & 64 == 64);
                let message = Message { body: &body, ..Message::default() };
                let destination = peer::destination(*destination);
                self.turn(|hub, now| hub.answer(now, client, destination, &id, &message));
            }
            Op::Send { client, blocks, binary } => {
                let Some(client) = pick(&self.clients, *client).map(|client| client.id) else { return };
                let body = body(*blocks, *binary);
                let payload = match std::str::from_utf8(&body) {
                    Ok(text) if !binary => Payload::Text(text),
                    _ => Payload::Binary(&body),
                };
                // To a STOMP client this would be no STOMP, which is the application's mistake.
                let token = self.clients.iter().find(|it| it.id == client).map(|it| it.token);
                if self.sockets.iter().any(|socket| Some(socket.token) == token && !socket.peer.stomp) {
                    self.turn(|hub, now| hub.send(now, client, payload));
                }
            }
            Op::Activity { client } => {
                let Some(client) = pick(&self.clients, *client).map(|client| client.id) else { return };
                self.turn(|hub, now| hub.handle(now, Event::Activity { client }));
            }
            Op::Respond { socket, status, change, user } => {
                if let Some(at) = self.pick(*socket) {
                    self.respond(at, u16::from(*status) * 3, *change, *user);
                }
            }
            Op::End { who, index, cause } => self.end(*who, *index, *cause),
            Op::Drain {} => {
                self.turn(|hub, now| hub.drain(now));
            }
            other => unreachable!("{other:?} is nobody's"),
        }
    }

    // --- the store

    pub(super) fn answer(&mut self, at: usize, how: u8) {
        if self.calls.is_empty() {
            return;
        }
        let (call, op) = self.calls.remove(at % self.calls.len());
        let answer = match how % 8 {
            0..4 => self.store.execute(Instant::from_millis(self.now_ms), &op),
            how => wrong(how, id_of(&op)),
        };
        self.turn(|hub, now| hub.handle(now, Event::Answer { call, answer }));
        self.store_notices();
    }

    fn befall(&mut self, session: u8, what: u8, notice: bool) {
        let Some(id) = self.session(session) else { return };
        let to: Arc<str> = Arc::from(format!("s-{}", self.sessions.len()));
        let op = match what % 3 {
            0 => session::Op::End { id: Arc::from(&*id) },
            1 => session::Op::Touch { id: Arc::from(&*id), age_ms: 0 },
            _ => session::Op::Rename {
                from: Arc::from(&*id),
                to: to.clone(),
                principal: Some(Arc::from(name(what / 3))),
                attributes: Vec::new(),
            },
        };
        self.store.execute(Instant::from_millis(self.now_ms), &op);
        if what % 3 == 2 {
            self.sessions.push(to.to_string());
        }
        while self.store.notice().is_some() {}
        if notice {
            self.notice(&id, what, &to);
        }
    }

    fn notice(&mut self, id: &str, kind: u8, to: &str) {
        let notice = match kind % 3 {
            0 => Notice::Deleted,
            1 => Notice::Expired,
            _ => Notice::Renamed { to },
        };
        self.turn(|hub, now| hub.handle(now, Event::Notice { session: id, notice }));
    }

    pub(super) fn store_notices(&mut self) {
        if !self.setup.external {
            return;
        }
        self.store.tick(Instant::from_millis(self.now_ms));
        while let Some((id, expired)) = self.store.notice() {
            if self.notices {
                let notice = if expired { Notice::Expired } else { Notice::Deleted };
                let now = self.now();
                self.hub.handle(now, Event::Notice { session: &id, notice });
            }
        }
    }

    // --- the application

    fn log_in(&mut self, user: u8) {
        if self.busy {
            return;
        }
        let Some(at) = self.open(0, false) else { return };
        self.receive(at, &peer::request(4, None, 1), 0);
        self.respond(at, 204, 3, user);
        self.hang_up(at);
    }

    fn respond(&mut self, at: usize, status: u16, change: u8, user: u8) {
        let socket = self.sockets[at].id;
        self.handed.remove(&socket.to_raw());
        let mut http = if status.is_multiple_of(2) {
            http::Response::new(status)
        } else {
            http::Response::text(status, "what was asked for")
        };
        if change & 4 == 4 {
            http.close();
        }
        let session = match change % 4 {
            0 | 1 => Change::Keep,
            2 => Change::End,
            _ => Change::Login {
                principal: Arc::from(name(user)),
                attributes: vec![("a".into(), bytes::Bytes::from_static(b"value"))],
            },
        };
        self.turn(|hub, now| hub.respond(now, socket, Response { http, session }));
    }

    fn publish(&mut self, to: To<'_>, body: &[u8]) {
        let message = Message { content_type: Some("text/plain"), headers: &[("a", "b:c\n")], body };
        let message = if body.len() > 200 { Message { body, ..Message::default() } } else { message };
        self.turn(|hub, now| {
            hub.publish(now, to, &message);
        });
    }

    fn end(&mut self, who: u8, index: u8, cause: u8) {
        let cause = [Cause::LoggedOut, Cause::Revoked, Cause::Drain, Cause::StoreLost][usize::from(cause) % 4];
        let id = self.session(index).unwrap_or_else(|| "unheard-of".to_owned());
        let client = pick(&self.clients, index).map(|client| client.id);
        let who = match who % 4 {
            0 => match client {
                Some(client) => Who::Client(client),
                None => return,
            },
            1 => Who::Session(&id),
            2 => Who::User(name(index)),
            _ => Who::UserExcept { principal: name(index / 2), session: &id },
        };
        self.turn(|hub, now| {
            hub.end(now, who, cause);
        });
    }
}

fn name(user: u8) -> &'static str {
    ["rob", "luke", "a/b:c", ""][usize::from(user) % 4]
}

fn body(blocks: u8, binary: bool) -> Vec<u8> {
    let block: &[u8] = if binary { b"\xffix\0een bytes..." } else { "s\u{ef}xteen bytes..".as_bytes() };
    block.repeat(usize::from(blocks) % 80)
}

fn id_of(op: &session::Op) -> &str {
    match op {
        session::Op::Load { id } | session::Op::Check { id } | session::Op::Touch { id, .. } => id,
        session::Op::Rename { to: id, .. } | session::Op::Create { id, .. } | session::Op::End { id } => id,
        _ => "",
    }
}

/// An answer that is not what the store would say.
fn wrong(how: u8, id: &str) -> Answer {
    let record = |user: Option<&str>| {
        let id = Arc::from(id);
        Some(Box::new(Record { id, principal: user.map(Arc::from), attributes: Vec::new() }))
    };
    match how % 8 {
        0 | 4 => Answer::Gone,
        1 | 5 => Answer::Lost,
        2 => Answer::Alive { ttl_ms: Some(0), record: None },
        3 => Answer::Alive { ttl_ms: None, record: record(None) },
        6 => Answer::Alive { ttl_ms: Some(1_500), record: record(Some("luke")) },
        _ => Answer::Alive { ttl_ms: Some(u64::MAX), record: None },
    }
}
