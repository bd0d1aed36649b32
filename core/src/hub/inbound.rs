//! Bytes that come in: from frames to messages, as long as the gate is open.

use alloc::boxed::Box;
use alloc::string::ToString;
use alloc::sync::Arc;

use bytes::Bytes;

use super::closing::Code;
use super::socket::{Mark, NONE, Phase, Role, Unfinished, UnfinishedStomp};
use super::{Action, Delivery, DeliveryKind, Hub};
use crate::config::Protocol;
use crate::ids::SocketId;
use crate::session::Cause;
use crate::time::Instant;
use crate::ws::{self, Incoming};

/// Input of which more is to come, taken out while that is handled.
pub(super) struct Opened {
    pub(super) unfinished: Unfinished,
    /// Bytes of it that were kept before.
    before: usize,
}

impl Hub {
    pub(super) fn received(&mut self, slot: u32, bytes: &mut [u8]) {
        let now = self.now.mono;
        let Some(socket) = self.sockets.slot_mut(slot) else { return };
        self.stats.received_bytes += bytes.len() as u64;
        if socket.role == Role::Lingering || socket.gated {
            return;
        }
        socket.hear(now);
        match socket.role {
            Role::Head => self.head(slot, bytes),
            Role::Body => self.body(slot, bytes),
            Role::Waiting | Role::Receiver => self.keep(slot, bytes),
            Role::Ws => {
                let waiting =
                    self.sockets.slot(slot).and_then(|s| s.cold.as_ref()).is_some_and(|c| !c.inbox.is_empty());
                if !self.may_pass(slot) {
                    self.keep(slot, bytes);
                    return self.resume_later(slot);
                }
                if waiting {
                    self.keep(slot, bytes);
                    return self.resume(slot);
                }
                self.frames(slot, bytes);
            }
            Role::Lingering => {}
        }
    }

    /// Whether what this socket sends may be handled now. A deadline that has passed counts, whether or not its timer
    /// has fired.
    pub(super) fn may_pass(&self, slot: u32) -> bool {
        let Some(socket) = self.sockets.slot(slot) else { return false };
        if socket.client == NONE {
            return true;
        }
        !self.jobs.is_full() && self.registry.passes(self.under(socket.client), self.now.mono)
    }

    /// Keeps input that cannot be handled yet, up to one message, and has reading stopped.
    pub(super) fn keep(&mut self, slot: u32, bytes: &[u8]) {
        // Behind a request that was parsed elsewhere nothing can come.
        if bytes.is_empty() || self.is_asked(slot) {
            return;
        }
        let most = self.message_limits(slot).message_bytes.saturating_add(KEPT_HEADS) as usize;
        let most = most.max(self.config.limits.http.head_bytes);
        let id = self.socket_id(slot);
        let Some(cold) = self.cold(slot) else { return };
        if cold.inbox.len() + bytes.len() > most {
            return self.violated(slot, ws::Violation::MessageTooBig);
        }
        cold.inbox.extend_from_slice(bytes);
        self.buffered += bytes.len();
        if let Some(socket) = self.sockets.slot_mut(slot)
            && !socket.marks.set(Mark::ReadingOff, true)
        {
            self.actions.push_back(Action::Reading { socket: id, token: socket.token, on: false });
        }
    }

    /// Handles what was kept, now that it can be.
    pub(super) fn resume(&mut self, slot: u32) {
        if let Some(cold) = self.sockets.slot_mut(slot).and_then(|socket| socket.cold.as_mut())
            && !cold.inbox.is_empty()
        {
            let mut kept = core::mem::take(&mut cold.inbox);
            self.buffered = self.buffered.saturating_sub(kept.len());
            self.received(slot, &mut kept);
            kept.clear();
            if let Some(cold) = self.sockets.slot_mut(slot).and_then(|socket| socket.cold.as_mut())
                && cold.inbox.capacity() == 0
            {
                cold.inbox = kept;
            }
        }
        let waits = |socket: &super::socket::Socket| matches!(socket.role, Role::Waiting);
        let open = self.sockets.slot(slot).is_some_and(|socket| !waits(socket)) && self.may_pass(slot);
        if open {
            self.read_on(slot);
        } else {
            self.resume_later(slot);
        }
        self.cool(slot);
    }

    /// Where it is a fan-out that input waits for, it is handled once that is done.
    fn resume_later(&mut self, slot: u32) {
        if self.jobs.is_full() {
            let socket = self.socket_id(slot);
            self.jobs.wait(socket);
        }
    }

    pub(super) fn read_on(&mut self, slot: u32) {
        let id = self.socket_id(slot);
        if let Some(socket) = self.sockets.slot_mut(slot)
            && socket.marks.set(Mark::ReadingOff, false)
        {
            self.actions.push_back(Action::Reading { socket: id, token: socket.token, on: true });
        }
    }

    /// The session of this client is no longer in doubt.
    pub(super) fn resume_client(&mut self, client: u32) {
        if let Some(channel) = self.channel_of(client) {
            return self.resume_channel(channel);
        }
        let Some(socket) = self.clients.slot(client).map(|client| client.socket) else { return };
        let Some(slot) = self.live(socket) else { return };
        let now = self.now.mono;
        let socket = self.sockets.slot_mut(slot);
        if let Some(socket) = socket.filter(|socket| matches!(socket.role, Role::Ws | Role::Lingering)) {
            // What it said in the meantime was not read, and no ping was sent.
            socket.hear(now);
            // An embedder that came for the output meanwhile found none, and the peer had no chance to read.
            socket.write_raised = false;
            if let Some(cold) = &mut socket.cold {
                cold.output.move_on(now);
            }
            self.raise_write(slot);
            self.resume(slot);
            self.arm_socket(slot);
        }
    }

    fn frames(&mut self, slot: u32, bytes: &mut [u8]) {
        let limits = self.message_limits(slot);
        let id = self.socket_id(slot);
        let mut opened = self.open_unfinished(slot);
        let Unfinished { assembler, partial, stomp } = &mut opened.unfinished;
        let mut input = bytes;
        let mut violation = None;
        loop {
            match assembler.next(&limits, &mut input, partial) {
                Ok(Some(incoming)) => {
                    self.incoming(slot, incoming, stomp);
                    if !self.is_open(id) {
                        return self.unkeep(opened.before);
                    }
                }
                Ok(None) => break,
                Err(found) => {
                    violation = Some(found);
                    break;
                }
            }
        }
        if let Some(found) = violation {
            self.unkeep(opened.before);
            return self.violated(slot, found);
        }
        self.put_back(slot, opened);
    }

    /// Takes out what of this socket's input is not finished.
    pub(super) fn open_unfinished(&mut self, slot: u32) -> Opened {
        let cold = self.sockets.slot_mut(slot).and_then(|socket| socket.cold.as_mut());
        let unfinished = cold.map(|cold| core::mem::take(&mut cold.unfinished)).unwrap_or_default();
        Opened { before: unfinished.len(), unfinished }
    }

    /// Puts it back, if the socket may still say something.
    pub(super) fn close_unfinished(&mut self, socket: SocketId, opened: Opened) {
        if self.is_open(socket) {
            self.put_back(socket.slot(), opened);
        } else {
            self.unkeep(opened.before);
        }
    }

    fn put_back(&mut self, slot: u32, Opened { before, unfinished }: Opened) {
        self.buffered = (self.buffered + unfinished.len()).saturating_sub(before);
        let cold = self.sockets.slot(slot).is_some_and(|socket| socket.cold.is_some());
        if cold || !unfinished.is_empty() {
            if let Some(cold) = self.cold(slot) {
                cold.unfinished = unfinished;
            }
            self.cool(slot);
        }
    }

    /// Whether what it says is still handled.
    fn is_open(&self, socket: SocketId) -> bool {
        self.live(socket).and_then(|slot| self.sockets.slot(slot)).is_some_and(|socket| !socket.gated)
    }

    fn unkeep(&mut self, bytes: usize) {
        self.buffered = self.buffered.saturating_sub(bytes);
    }

    pub(super) fn incoming(&mut self, slot: u32, incoming: Incoming<'_>, stomp: &mut UnfinishedStomp) {
        self.stats.messages_in += 1;
        match incoming {
            Incoming::Text(bytes) | Incoming::Binary(bytes)
                if self.sockets.slot(slot).is_some_and(|socket| socket.marks.has(Mark::Framed)) =>
            {
                self.framed(slot, bytes, stomp);
            }
            Incoming::Text(text) => self.message(slot, text, DeliveryKind::Text, stomp),
            Incoming::Binary(bytes) => self.message(slot, bytes, DeliveryKind::Binary, stomp),
            Incoming::Ping(payload) => {
                if self.control(slot) {
                    self.pong(slot, payload);
                }
            }
            Incoming::Pong(_) => {
                self.control(slot);
            }
            Incoming::Close(frame) => {
                let code = frame.map_or(Code::Empty, |frame| Code::Echo(frame.code));
                if let Some(socket) = self.sockets.slot_mut(slot) {
                    socket.marks.set(Mark::CloseReceived, true);
                }
                self.close_client_of(slot, Cause::Peer, code);
            }
        }
    }

    pub(super) fn message(&mut self, slot: u32, bytes: &[u8], kind: DeliveryKind, stomp: &mut UnfinishedStomp) {
        if !self.counts_message(slot) {
            return;
        }
        let Some(socket) = self.sockets.slot_mut(slot) else { return };
        socket.spoke = true;
        let client = socket.client;
        if client != NONE {
            self.spoken(client, bytes, kind, stomp);
        }
    }

    /// A whole message came from a client.
    pub(super) fn spoken(&mut self, client: u32, bytes: &[u8], kind: DeliveryKind, stomp: &mut UnfinishedStomp) {
        let Some(endpoint) = self.clients.slot(client).map(|client| usize::from(client.endpoint)) else { return };
        match self.config.endpoints.get(endpoint).map(|endpoint| endpoint.protocol) {
            Some(Protocol::Stomp) => self.stomp_bytes(client, bytes, stomp),
            Some(Protocol::Raw) => {
                if self.config.session.renew.message {
                    self.renew_client(client);
                }
                let body = self.copied(bytes);
                let destination = self.endpoint_path(endpoint);
                let principal = self.principal(client);
                let id = self.client_id(client);
                let delivery = Delivery { kind, principal, destination, content_type: None, body };
                let token = self.token_of(client);
                self.actions.push_back(Action::Deliver { client: id, token, delivery });
            }
            None => {}
        }
    }

    /// A copy in the hub's arena, which is recycled once nobody holds it.
    pub(super) fn copied(&mut self, bytes: &[u8]) -> Bytes {
        if bytes.is_empty() {
            return Bytes::new();
        }
        if self.arena.capacity() < bytes.len() {
            self.arena.reserve(bytes.len().max(ARENA_BYTES));
        }
        self.arena.extend_from_slice(bytes);
        self.arena.split().freeze()
    }

    pub(super) fn renew_client(&mut self, client: u32) {
        self.activity(self.under(client));
    }

    /// Its path; empty for one that there is not.
    pub(super) fn endpoint_path(&self, endpoint: usize) -> Arc<str> {
        self.paths.get(endpoint).cloned().unwrap_or_else(|| Arc::from(""))
    }

    /// Counts a ping or pong; false, and the socket is closed, beyond CTRL_RATE.
    fn control(&mut self, slot: u32) -> bool {
        let (now, rate) = (self.now.mono, self.config.limits.control_rate);
        if self.config.session.renew.ping
            && let Some(client) = self.sockets.slot(slot).map(|socket| socket.client)
        {
            self.renew_client(client);
        }
        let Some(socket) = self.sockets.slot_mut(slot) else { return false };
        if u32::from(socket.count_control(wrapped(now), CONTROL_WINDOW_MS)) > rate {
            self.stats.violations += 1;
            self.close_client_of(slot, Cause::Violation, Code::ControlRate);
            return false;
        }
        true
    }

    /// Counts a message; false, and the socket is closed, beyond MSG_RATE.
    fn counts_message(&mut self, slot: u32) -> bool {
        let (now, rate) = (self.now.mono, self.config.limits.message_rate);
        if rate == 0 {
            return true;
        }
        let Some(socket) = self.sockets.slot_mut(slot) else { return false };
        if wrapped(now).wrapping_sub(socket.messages_since) >= 1_000 || socket.messages == 0 {
            socket.messages_since = wrapped(now);
            socket.messages = 0;
        }
        socket.messages = socket.messages.saturating_add(1);
        if u32::from(socket.messages) > rate {
            self.stats.violations += 1;
            self.close_client_of(slot, Cause::Violation, Code::MessageRate);
            return false;
        }
        true
    }

    /// While output is blocked only the newest ping is answered, so that one pong waits at most.
    fn pong(&mut self, slot: u32, payload: &[u8]) {
        let blocked = self.sockets.slot(slot).is_some_and(|socket| socket.marks.has(Mark::Blocked));
        if blocked {
            if let Some(cold) = self.cold(slot) {
                cold.pong = Some(Box::from(payload));
            }
            return;
        }
        self.write(slot, |bytes| ws::write_frame(bytes, true, ws::Opcode::Pong, payload));
    }

    /// The peer broke RFC 6455 or a limit.
    pub(super) fn violated(&mut self, slot: u32, violation: ws::Violation) {
        self.stats.violations += 1;
        self.close_client_of(slot, Cause::Violation, Code::Violation(violation));
        let asks = |socket: &super::socket::Socket| {
            matches!(socket.role, Role::Waiting | Role::Head | Role::Body | Role::Receiver)
        };
        if self.sockets.slot(slot).is_some_and(asks) {
            if self.is_elsewhere(slot) {
                return self.part_from(slot, violation.code(), violation.to_string().into_boxed_str());
            }
            self.hang_up(slot);
        }
    }

    pub(super) fn message_limits(&self, slot: u32) -> ws::Limits {
        let mut limits = self.config.limits.ws;
        let plain = self.sockets.slot(slot).filter(|socket| socket.role == Role::Ws && !socket.marks.has(Mark::Framed));
        let endpoint = plain.and_then(|socket| self.config.endpoints.get(usize::from(socket.endpoint)));
        if let Some(most) = endpoint.and_then(|endpoint| endpoint.message_bytes) {
            limits.message_bytes = most;
            limits.frame_bytes = most;
        }
        limits
    }

    /// Whether this client has joined, for who needs a phase without the borrow.
    pub(super) fn phase(&self, client: u32) -> Option<Phase> {
        self.clients.slot(client).map(|client| client.phase)
    }
}

/// Milliseconds that wrap around after 49 days: enough to tell short spans by.
fn wrapped(now: Instant) -> u32 {
    now.as_millis() as u32
}

const CONTROL_WINDOW_MS: u32 = 10_000;
/// Room for frame heads around one kept message, in bytes.
const KEPT_HEADS: u64 = 1_024;
/// Messages to the application are lent from buffers of this size, in bytes.
const ARENA_BYTES: usize = 64 * 1024;
