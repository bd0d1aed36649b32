//! WebSockets that are the embedder's own: whole messages in, whole messages out, and the same gate.
//!
//! Such a client has a socket like any other, with everything that hangs on it, but for the bytes: what is queued for it
//! are the frames that would be written, and each comes out as an action of its own when its turn has come.

use alloc::boxed::Box;
use alloc::string::ToString;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::IpAddr;

use bytes::Bytes;

use super::ask::frames_body;
use super::socket::{Mark, NONE, Pending, Role};
use super::{Action, Hub};
use crate::config::Login;
use crate::http::{self, Refusal, cookie};
use crate::ids::{ClientId, SocketId};
use crate::time::Now;
use crate::ws::{self, Incoming};

/// A WebSocket that was opened elsewhere; given to [`Hub::join`].
#[derive(Debug, Clone, Copy)]
pub struct Join<'a> {
    /// What the embedder wants to be given back with each action.
    pub token: u64,
    /// The peer's address, if it has one.
    pub address: Option<IpAddr>,
    /// Whether it came over TLS.
    pub secure: bool,
    /// The target of its handshake: its path has to be that of an [`Endpoint`](crate::config::Endpoint), or below it one
    /// of SockJS for WebSockets, with its frames or without.
    pub target: &'a str,
    /// The headers of its handshake: of interest are `Cookie`, `Origin` with `Host`, and what proxies add. None are needed
    /// where `session` is given.
    pub headers: &'a [(&'a str, &'a [u8])],
    /// The id of its session, if the embedder has read it already; `None`: it is read from the cookie.
    pub session: Option<&'a str>,
}

/// Who has joined: see [`Hub::join`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Joined {
    /// What actions name it by, and [`Event::Closed`](super::Event::Closed).
    pub socket: SocketId,
    /// What [`Event::Message`](super::Event::Message), [`Event::Activity`](super::Event::Activity) and the application
    /// name it by.
    pub client: ClientId,
}

/// How a message travels in a WebSocket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// As text.
    Text,
    /// As bytes.
    Binary,
}

impl Hub {
    /// A WebSocket was opened by the embedder's own server. It is bound to its session as one of [`Hub::open`] would be;
    /// until that is done, messages wait. What it says comes in with [`Event::Message`](super::Event::Message), what is
    /// said to it goes out with [`Action::Message`]; whoever speaks another protocol than STOMP under a session says no
    /// more than [`Event::Activity`](super::Event::Activity). [`Action::Disconnect`] is its last action, and comes
    /// once. Pings are the embedder's, and so is the patience with one who does not read.
    ///
    /// # Errors
    /// Why it does not get in: close its WebSocket (with 1013 for [`Refusal::Unavailable`], else with 1008); no action
    /// comes for it.
    pub fn join(&mut self, now: Now, join: &Join<'_>) -> Result<Joined, Refusal> {
        self.begin(now);
        let joined = self.admit(join);
        self.recording(|record| record.join(now, join, joined.ok()));
        if joined.is_err() {
            self.stats.refusals += 1;
        }
        self.finish();
        joined
    }

    fn admit(&mut self, join: &Join<'_>) -> Result<Joined, Refusal> {
        if self.clients.len() >= self.config.limits.total as usize + self.channels.len()
            || self.buffered > self.config.limits.memory
        {
            return Err(Refusal::Unavailable);
        }
        let host = join.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host"));
        let host = (!host).then_some(("Host", &NO_HOST[..]));
        let headers = join.headers.iter().copied().filter(|(name, _)| !frames_body(name)).chain(host);
        let request =
            http::Request::from_parts("GET", join.target, http::Version::Http11, headers, &self.config.limits.http)?;
        let socket = self.parsed(join.token, join.address, join.secure, Mark::Elsewhere);
        let socket = socket.map_err(|super::Full| Refusal::Unavailable)?;
        let slot = socket.slot();
        match self.endpoint_of(slot, request, join.session) {
            Ok(endpoint) => {
                self.enter_endpoint(slot, endpoint);
                let client = self.sockets.get(slot, socket.generation()).map_or(NONE, |socket| socket.client);
                Ok(Joined { socket, client: self.client_id(client) })
            }
            Err(refusal) => {
                self.forget_socket(slot);
                Err(refusal)
            }
        }
    }

    /// The checks of a handshake, but for those of what has been done already: the upgrade.
    fn endpoint_of(&mut self, slot: u32, mut request: http::Request, session: Option<&str>) -> Result<usize, Refusal> {
        let now = self.now.mono;
        let Some(socket) = self.sockets.slot_mut(slot) else { return Err(Refusal::Unavailable) };
        socket.role = Role::Waiting;
        socket.since = now;
        let (secure, peer) = (socket.marks.has(Mark::Secure), self.addresses.get(socket.address));
        request.locate(&self.config.proxies, peer, secure)?;
        let found = super::sockjs::websocket(&self.config.endpoints, request.path());
        let (endpoint, errand) = found.ok_or(Refusal::NotFound)?;
        let Some(at) = self.config.endpoints.get(endpoint) else { return Err(Refusal::NotFound) };
        if !at.any_origin {
            self.config.origin.check(&request)?;
        }
        let mut ids: Vec<Arc<str>> = Vec::new();
        if at.login == Login::Required {
            match session {
                Some(id) => ids.push(Arc::from(id)),
                None => {
                    let session = &self.config.session;
                    ids = cookie::session_ids(&request, &session.cookie, session.encoding, &self.config.limits.http);
                    ids.reverse();
                }
            }
            if ids.is_empty() {
                return Err(Refusal::NoSession);
            }
        }
        let Some(cold) = self.cold(slot) else { return Err(Refusal::Unavailable) };
        cold.request = Some(Box::new(Pending { ids, errand, ..Pending::new(request) }));
        self.count_client(slot);
        if self.over_address(slot) { Err(Refusal::TooMany) } else { Ok(endpoint) }
    }

    /// Whether the WebSocket of this socket is the embedder's.
    pub(super) fn is_elsewhere(&self, slot: u32) -> bool {
        self.sockets.slot(slot).is_some_and(|socket| socket.marks.has(Mark::Elsewhere))
    }

    /// A whole message came in at the embedder's own WebSocket.
    pub(super) fn spoke(&mut self, client: ClientId, kind: Kind, bytes: &[u8]) {
        let Some(it) = self.clients.get(client.slot(), client.generation()) else { return };
        let socket = it.socket;
        let Some(slot) = self.live(socket).filter(|slot| self.is_elsewhere(*slot)) else { return };
        let (now, limits) = (self.now.mono, self.message_limits(slot));
        let Some(at) = self.sockets.slot_mut(slot) else { return };
        self.stats.received_bytes += bytes.len() as u64;
        if at.role == Role::Lingering || at.gated {
            return;
        }
        at.hear(now);
        let waits = at.role != Role::Ws || at.cold.as_ref().is_some_and(|cold| !cold.inbox.is_empty());
        if bytes.len() as u64 > limits.message_bytes {
            return self.violated(slot, ws::Violation::MessageTooBig);
        }
        if kind == Kind::Text && !ws::is_utf8(bytes) {
            return self.violated(slot, ws::Violation::NotUtf8);
        }
        if waits || !self.may_pass(slot) {
            let ready = !waits || self.sockets.slot(slot).is_some_and(|at| at.role == Role::Ws);
            self.keep_message(slot, kind, bytes);
            if ready {
                self.resume(slot);
            }
            return;
        }
        let mut opened = self.open_unfinished(slot);
        let incoming = match kind {
            Kind::Text => Incoming::Text(bytes),
            Kind::Binary => Incoming::Binary(bytes),
        };
        self.incoming(slot, incoming, &mut opened.unfinished.stomp);
        self.close_unfinished(socket, opened);
    }

    /// Keeps a message until it may be handled, as the frame that it would have come in.
    fn keep_message(&mut self, slot: u32, kind: Kind, bytes: &[u8]) {
        let opcode = match kind {
            Kind::Text => ws::Opcode::Text,
            Kind::Binary => ws::Opcode::Binary,
        };
        let mut frame = Vec::with_capacity(bytes.len() + ws::Head::MAX_BYTES);
        ws::write_masked_frame(&mut frame, true, opcode, [0; 4], bytes);
        self.keep(slot, &frame);
    }

    /// What it means that there is output: where the WebSocket is the embedder's it is handed out message by message.
    pub(super) fn carried(&mut self, socket: SocketId, token: u64) -> Option<Action> {
        if self.is_handed_out(socket) {
            return self.next_message(socket, token);
        }
        Some(Action::Write { socket, token })
    }

    /// Whether its output is not for [`output`](Self::output).
    pub(super) fn is_handed_out(&self, socket: SocketId) -> bool {
        self.live(socket).is_none_or(|slot| self.is_elsewhere(slot))
    }

    pub(super) fn next_message(&mut self, socket: SocketId, token: u64) -> Option<Action> {
        let slot = self.live(socket)?;
        let at = self.sockets.slot(slot).filter(|at| !self.held(at))?;
        let frame = at.cold.as_ref()?.output.iter().next()?;
        let (head, size) = ws::Head::parse(ws::Role::Client, frame).ok()??;
        let len = size.saturating_add(usize::try_from(head.len).ok()?);
        let payload = frame.get(size..len)?;
        if head.opcode == ws::Opcode::Close {
            let close = ws::CloseFrame::parse(payload).ok().flatten();
            let (code, reason) = close.map_or((0, Box::default()), |close| (close.code, Box::from(close.reason)));
            self.part_from(slot, code, reason);
            return None;
        }
        let payload = Bytes::copy_from_slice(payload);
        if self.took(slot, self.now.mono, len) {
            self.took_all(slot);
        }
        if self.sockets.get(slot, socket.generation()).is_some_and(|at| at.unsent() > 0) {
            self.actions.push_write_front(socket, token);
        }
        let kind = match head.opcode {
            ws::Opcode::Text => Kind::Text,
            ws::Opcode::Binary => Kind::Binary,
            _ => return None,
        };
        Some(Action::Message { socket, token, kind, payload })
    }

    /// The session store, or the embedder, does not let somebody in who waits for it.
    pub(super) fn dismiss(&mut self, slot: u32, refusal: Refusal) {
        self.stats.refusals += 1;
        let code = match refusal {
            Refusal::Unavailable | Refusal::AnswerTime => ws::close::code::TRY_LATER,
            _ => ws::close::code::POLICY,
        };
        self.part_from(slot, code, refusal.to_string().into_boxed_str());
    }

    /// Ends a WebSocket that is the embedder's: its last action.
    pub(super) fn part_from(&mut self, slot: u32, code: u16, reason: Box<str>) {
        let Some((socket, token)) = self.sockets.slot(slot).map(|at| (self.socket_id(slot), at.token)) else { return };
        // Nothing of it is to be announced any more.
        if let Some(cold) = self.sockets.slot_mut(slot).and_then(|at| at.cold.as_mut()) {
            self.buffered = self.buffered.saturating_sub(cold.output.clear());
        }
        self.leave_of(slot, crate::session::Cause::Peer);
        self.forget_socket(slot);
        self.actions.push_back(Action::Disconnect { socket, token, code, reason });
    }
}

/// The host of a handshake that came without one: no page has that origin.
const NO_HOST: [u8; 14] = *b"joined.invalid";
