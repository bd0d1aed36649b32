//! Bytes that go out: queued, counted, and held back where a session is in doubt.

use alloc::vec::Vec;

use bytes::Bytes;

use super::Hub;
use super::closing::Code;
use super::socket::{Mark, Role};
use crate::session::Cause;
use crate::time::Instant;
use crate::ws;

impl Hub {
    /// Queues bytes of this socket alone.
    pub(super) fn write(&mut self, slot: u32, write: impl FnOnce(&mut Vec<u8>)) {
        let now = self.now.mono;
        let Some(cold) = self.cold(slot) else { return };
        self.buffered += cold.output.own(now, write);
        self.queued(slot);
    }

    /// Queues bytes that other sockets get too.
    pub(super) fn write_shared(&mut self, slot: u32, parts: &[&Bytes]) {
        let now = self.now.mono;
        let Some(cold) = self.cold(slot) else { return };
        let mut len = 0;
        for part in parts {
            cold.output.shared(now, part);
            len += part.len();
        }
        self.buffered += len;
        self.queued(slot);
    }

    /// Queues bytes for a client whose socket takes them now.
    pub(super) fn write_client(&mut self, client: u32, write: impl FnOnce(&mut Vec<u8>)) {
        let now = self.now.mono;
        let Some(it) = self.clients.slot_mut(client) else { return };
        it.tell(now);
        let socket = it.socket;
        if let Some(slot) = self.live(socket)
            && self.sockets.slot(slot).is_some_and(|socket| !socket.gated)
        {
            self.write(slot, write);
        }
    }

    pub(super) fn queued(&mut self, slot: u32) {
        let Some(socket) = self.sockets.slot(slot) else { return };
        let most = self.most_unsent(socket.endpoint);
        let speaks = match socket.role {
            Role::Ws => !socket.gated,
            Role::Receiver => !self.is_cut(socket.channel()),
            _ => false,
        };
        if speaks && (socket.unsent() > most || self.buffered > self.config.limits.memory) {
            self.stats.slow += 1;
            return self.close_client_of(slot, Cause::Slow, Code::Slow);
        }
        if !self.wheel.is_armed_by(slot, self.now.mono.after(self.config.limits.send_time_ms)) {
            self.arm_socket(slot);
        }
        self.raise_write(slot);
    }

    /// How many bytes may wait for one peer at this endpoint.
    pub(super) fn most_unsent(&self, endpoint: u8) -> usize {
        let endpoint = self.config.endpoints.get(usize::from(endpoint));
        endpoint.and_then(|endpoint| endpoint.out_bytes).unwrap_or(self.config.limits.out_bytes)
    }

    /// Says once that there is something to write.
    pub(super) fn raise_write(&mut self, slot: u32) {
        let Some(socket) = self.sockets.slot(slot) else { return };
        if socket.write_raised || socket.unsent() == 0 || self.held(socket) {
            return;
        }
        let (id, token) = (self.socket_id(slot), socket.token);
        if let Some(socket) = self.sockets.slot_mut(slot) {
            socket.write_raised = true;
        }
        self.actions.push_write(id, token);
    }

    /// The output of this client is held: whoever was told to write finds nothing, and has to be told again.
    pub(super) fn lower_write(&mut self, client: u32) {
        if let Some(slot) = self.socket_of(client)
            && let Some(socket) = self.sockets.slot_mut(slot)
            && matches!(socket.role, Role::Ws | Role::Receiver | Role::Lingering)
        {
            socket.write_raised = false;
        }
    }

    /// The socket took some of its output: only the count. Returns whether that was all.
    pub(super) fn took(&mut self, slot: u32, now: Instant, len: usize) -> bool {
        let Some(socket) = self.sockets.slot_mut(slot) else { return false };
        let Some(cold) = &mut socket.cold else { return false };
        let taken = cold.output.advance(now, len);
        let left = cold.output.len();
        self.buffered = self.buffered.saturating_sub(taken);
        self.stats.sent_bytes += taken as u64;
        socket.marks.set(Mark::Blocked, left > 0);
        socket.write_raised &= left > 0;
        left == 0
    }

    /// What comes of it that the socket took all, unless there is more by now.
    pub(super) fn took_all(&mut self, slot: u32) {
        let now = self.now.mono;
        let Some(socket) = self.sockets.slot_mut(slot) else { return };
        let Some(cold) = socket.cold.as_mut().filter(|cold| cold.output.is_empty()) else { return };
        if let Some(pong) = cold.pong.take() {
            self.write(slot, |bytes| ws::write_frame(bytes, true, ws::Opcode::Pong, &pong));
            return;
        }
        if socket.role == Role::Receiver {
            return self.receiver_took_all(slot);
        }
        if matches!(socket.role, Role::Head | Role::Lingering) {
            if socket.marks.has(Mark::Ended) {
                return self.hang_up(slot);
            }
            if !socket.close_sent {
                socket.since = now;
            }
            // Its session has nothing left to drop.
            self.leave_of(slot, Cause::Peer);
            self.shut_if_empty(slot);
            self.arm_socket(slot);
        }
        self.cool(slot);
    }
}
