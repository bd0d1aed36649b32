//! Frames of SockJS over a WebSocket.

use crate::hub::closing::Code;
use crate::hub::socket::{Mark, NONE, UnfinishedStomp};
use crate::hub::{DeliveryKind, Hub};
use crate::session::Cause;
use crate::sockjs::{self, BadJson, Messages};
use crate::time::Instant;
use crate::ws;

impl Hub {
    /// A message with frames of SockJS in it came: an array of messages, or nothing at all.
    pub(in crate::hub) fn framed(&mut self, slot: u32, bytes: &[u8], stomp: &mut UnfinishedStomp) {
        if bytes.is_empty() {
            return;
        }
        let id = self.socket_id(slot);
        let mut messages = match Messages::of(bytes) {
            Ok(messages) => messages,
            Err(BadJson) => {
                self.stats.violations += 1;
                return self.close_client_of(slot, Cause::Violation, Code::BadJson);
            }
        };
        let mut text = core::mem::take(&mut self.channels.text);
        while let Some(message) = messages.next(&mut text) {
            self.message(slot, message, DeliveryKind::Text, stomp);
            let open = self.live(id).and_then(|slot| self.sockets.slot(slot)).is_some_and(|socket| !socket.gated);
            if !open {
                break;
            }
        }
        self.keep_text(text);
    }

    /// Writes the close frame of SockJS.
    pub(in crate::hub) fn write_close_frame(&mut self, slot: u32, code: u16, reason: &str) {
        let mut frame = core::mem::take(&mut self.channels.frame);
        frame.clear();
        sockjs::push_close(&mut frame, code, reason);
        self.write(slot, |bytes| ws::write_frame(bytes, true, ws::Opcode::Text, &frame));
        self.channels.frame = frame;
    }

    /// When a frame is due that says that the server is there.
    pub(in crate::hub) fn frame_due(&self, slot: u32) -> Instant {
        match self.sockets.slot(slot) {
            Some(socket) if socket.marks.has(Mark::Framed) && socket.client != NONE => {
                self.framed_beat_due(socket.client, socket.endpoint)
            }
            _ => Instant::NEVER,
        }
    }

    /// Sends such a frame if it is due.
    pub(in crate::hub) fn keep_framed_alive(&mut self, slot: u32) {
        if self.frame_due(slot) > self.now.mono {
            return;
        }
        let Some(client) = self.sockets.slot(slot).map(|socket| socket.client) else { return };
        match self.clients.slot(client).map(|client| client.beat_out_ms) {
            Some(0) => {
                self.write_client(client, |bytes| ws::write_frame(bytes, true, ws::Opcode::Text, sockjs::HEART_BEAT));
            }
            Some(_) if self.may_pass(slot) => self.give(client, ws::Opcode::Text, b"\n"),
            Some(_) => {
                if let Some(client) = self.clients.slot_mut(client) {
                    client.tell(self.now.mono);
                }
            }
            None => {}
        }
    }

    /// The last message to the client of a socket is queued: what is queued is still written, then comes this Close.
    pub(in crate::hub) fn finish_saying(&mut self, client: u32, code: u16, reason: &str) {
        let Some(slot) = self.socket_of(client) else { return };
        self.leave_kept(slot, Cause::Revoked);
        self.close_saying(slot, Some((code, reason)), true);
    }
}
