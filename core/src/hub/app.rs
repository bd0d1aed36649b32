//! What the application does: publish, answer, send, end, drain.

use alloc::string::String;

use super::Hub;
use super::closing::Code;
use super::socket::{NONE, Phase, Role};
use super::stomp::USER;
use crate::ids::ClientId;
use crate::session::{Cause, Detector, Op};
use crate::stomp::{self, Encoder};
use crate::time::Now;
use crate::ws::{self, Opcode};

/// Where a message goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum To<'a> {
    /// Everybody who subscribed to this destination, such as `/topic/news`.
    Destination(&'a str),
    /// All sockets of one user that subscribed to `/user` + `destination`.
    User {
        /// The user's name, as it is: nothing in it is special.
        principal: &'a str,
        /// The destination without its `/user`, such as `/queue/messages`.
        destination: &'a str,
    },
}

/// The contents of a STOMP MESSAGE.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Message<'a> {
    /// `content-type`. With `application/octet-stream`, or where the body is not UTF-8, it travels as a binary message.
    pub content_type: Option<&'a str>,
    /// Further headers, unescaped. Those that belong to the server are left out.
    pub headers: &'a [(&'a str, &'a str)],
    /// The body.
    pub body: &'a [u8],
}

/// A raw message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Payload<'a> {
    /// A text message.
    Text(&'a str),
    /// A binary message.
    Binary(&'a [u8]),
}

/// Whose clients [`Hub::end`] ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who<'a> {
    /// One client. Its session lives on.
    Client(ClientId),
    /// A session, which is ended in the store too.
    Session(&'a str),
    /// All sessions of a user that have clients here.
    User(&'a str),
    /// The same but for one session, which is kept: "log out everywhere else".
    UserExcept {
        /// The user's name.
        principal: &'a str,
        /// The session that is kept.
        session: &'a str,
    },
}

impl Hub {
    /// Sends a STOMP MESSAGE to all who subscribed. Returns how many they are (0 while it waits behind a wide fan-out).
    pub fn publish(&mut self, now: Now, to: To<'_>, message: &Message<'_>) -> usize {
        self.recording(|record| record.publish(now, to, message));
        self.begin(now);
        let id = self.message_id();
        let shown;
        let (principal, destination, named) = match to {
            To::Destination(destination) => (None, destination, destination),
            To::User { principal, destination } => {
                shown = alloc::format!("{USER}{destination}");
                (Some(principal), destination, &*shown)
            }
        };
        let receivers = self.fan_out(principal, destination, &message.encode(named, &id));
        self.finish();
        receivers
    }

    /// Answers a SUBSCRIBE to an application destination with one MESSAGE.
    pub fn answer(&mut self, now: Now, client: ClientId, destination: &str, subscription: &str, message: &Message<'_>) {
        self.recording(|record| record.answer(now, client, destination, subscription, message));
        self.begin(now);
        if let Some(it) = self.clients.get(client.slot(), client.generation())
            && it.phase == Phase::Joined
        {
            let version = it.version;
            let id = self.message_id();
            let mut out = core::mem::take(&mut self.scratch);
            Encoder::new(version).message(&mut out, &message.encode(destination, &id), Some(subscription));
            let opcode = if ws::is_utf8(message.body) { Opcode::Text } else { Opcode::Binary };
            self.give_in_turn(client.slot(), opcode, &out);
            self.recycle(out);
        }
        self.finish();
    }

    /// Sends a message to a client of a raw endpoint.
    pub fn send(&mut self, now: Now, client: ClientId, payload: Payload<'_>) {
        self.recording(|record| record.send(now, client, payload));
        self.begin(now);
        if self.clients.get(client.slot(), client.generation()).is_some_and(|it| it.phase == Phase::Joined) {
            match payload {
                Payload::Text(text) => self.give(client.slot(), Opcode::Text, text.as_bytes()),
                Payload::Binary(bytes) => self.give(client.slot(), Opcode::Binary, bytes),
            }
        }
        self.finish();
    }

    /// Whether more than half of the bytes that may wait for this client do: OUT_BYTES. At all of them it is closed.
    pub fn is_pressed(&self, client: ClientId) -> bool {
        // Asked after each send: where all together have no more, nobody has.
        if self.buffered <= self.least_unsent / 2 {
            return false;
        }
        let Some(it) = self.clients.get(client.slot(), client.generation()) else { return false };
        let unsent = self.live(it.socket).and_then(|slot| self.sockets.slot(slot)).map_or(0, |at| at.unsent());
        unsent > self.most_unsent(it.endpoint) / 2
    }

    /// Ends clients at once: nothing more crosses, their sockets are closed with 1008 (1001 for [`Cause::Drain`]).
    /// Returns how many.
    pub fn end(&mut self, now: Now, who: Who<'_>, cause: Cause) -> usize {
        self.recording(|record| record.end(now, who, cause));
        self.begin(now);
        let ended = match who {
            Who::Client(client) => {
                let there =
                    self.clients.get(client.slot(), client.generation()).is_some_and(|it| it.phase != Phase::Pending);
                if there {
                    let principal = self.principal(client.slot());
                    self.leave(client.slot(), cause, principal);
                }
                usize::from(there)
            }
            Who::Session(id) => {
                let id = alloc::sync::Arc::from(id);
                let ended = self.registry.find(&id).map_or(0, |slot| self.end_bound(slot, cause));
                self.tell(Op::End { id });
                ended
            }
            Who::User(principal) => self.end_user(principal, None, cause),
            Who::UserExcept { principal, session } => self.end_user(principal, Some(session), cause),
        };
        self.finish();
        ended
    }

    /// Closes a client with a code and a reason of the application's own, behind what is queued for it: one of 1000 to 4999
    /// that RFC 6455 lets a Close frame have, and at most 123 bytes; another code becomes 1000, and a longer reason is cut.
    /// Its session lives on. False if there is no such client.
    pub fn close_client(&mut self, now: Now, client: ClientId, code: u16, reason: &str) -> bool {
        self.recording(|record| record.close(now, client, code, reason));
        self.begin(now);
        let id = client;
        let there = self
            .clients
            .get(id.slot(), id.generation())
            .is_some_and(|it| matches!(it.phase, Phase::Open | Phase::Joined));
        if there {
            let code = if ws::is_close_code(code) { code } else { 1000 };
            let reason = &reason[..reason.floor_char_boundary(ws::close::REASON_BYTES)];
            match self.channel_of(id.slot()) {
                Some(channel) => self.finish_channel(channel, Cause::Revoked, code, reason),
                None => self.finish_saying(id.slot(), code, reason),
            }
        }
        self.finish();
        there
    }

    fn end_user(&mut self, principal: &str, except: Option<&str>, cause: Cause) -> usize {
        let mut ended = 0;
        for slot in 0..self.registry.capacity() {
            if self.registry.is_of(slot, principal)
                && let Some(id) = self.registry.id(slot).filter(|id| except != Some(&**id)).cloned()
            {
                ended += self.end_bound(slot, cause);
                self.tell(Op::End { id });
            }
        }
        ended
    }

    fn end_bound(&mut self, slot: u32, cause: Cause) -> usize {
        let mut clients = 0;
        self.each_client(slot, |hub, client| {
            clients += usize::from(matches!(hub.phase(client), Some(Phase::Open | Phase::Joined)));
        });
        self.end_session(slot, cause, Detector::Local, 0);
        clients
    }

    /// The server is going down: no more sockets are taken, each client gets 1001, requests under way are answered.
    pub fn drain(&mut self, now: Now) {
        self.recording(|record| record.drain(now));
        self.begin(now);
        self.draining = true;
        self.drained = Some(0);
        self.finish();
    }

    /// Drains some more sockets.
    pub(super) fn drain_some(&mut self) {
        let Some(from) = self.drained else { return };
        let sockets = self.sockets.capacity();
        let all = sockets.saturating_add(self.channels.capacity());
        let end = from.saturating_add(DRAINED_A_TURN).min(all);
        for slot in from..end {
            if let Some(channel) = slot.checked_sub(sockets) {
                self.drain_channel(channel);
                continue;
            }
            let Some(socket) = self.sockets.slot(slot) else { continue };
            match socket.role {
                Role::Ws if socket.client != NONE => {
                    let client = socket.client;
                    let principal = self.principal(client);
                    self.leave(client, Cause::Drain, principal);
                }
                Role::Ws => self.close(slot, Code::Drain),
                Role::Head if socket.unsent() > 0 => self.linger(slot),
                Role::Head => self.hang_up(slot),
                Role::Receiver => self.drain_channel(socket.channel()),
                Role::Body | Role::Waiting | Role::Lingering => {}
            }
        }
        self.drained = (end < all).then_some(end);
    }
}

impl<'a> Message<'a> {
    fn encode<'m>(
        &self,
        destination: &'m str,
        id: &'m String,
    ) -> stomp::Message<'m, impl Iterator<Item = (&'m str, &'m str)> + Clone>
    where
        'a: 'm,
    {
        stomp::Message {
            destination,
            content_type: self.content_type,
            headers: self.headers.iter().copied(),
            message_id: id,
            body: self.body,
        }
    }
}

/// How many sockets one turn drains.
const DRAINED_A_TURN: u32 = 1_024;
