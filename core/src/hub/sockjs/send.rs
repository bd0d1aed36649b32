//! Requests that bring messages, and messages to channels.

use alloc::vec::Vec;

use bytes::Bytes;

use crate::hub::closing::Code;
use crate::hub::socket::{NONE, UnfinishedStomp, Wire};
use crate::hub::{DeliveryKind, Hub};
use crate::session::Cause;
use crate::sockjs::{self, BadJson, Messages, Payload, Transport};
use crate::{http, ws};

impl Hub {
    /// The request on this socket brings messages for this channel.
    pub(super) fn bring(&mut self, slot: u32, channel: u32, transport: Transport) {
        let socket = self.socket_id(slot);
        if self.holds_senders(channel) {
            if let Some(busy) = self.channels.busy(channel) {
                busy.senders.push_back(socket);
            }
            return self.stall_senders(channel);
        }
        self.send_now(slot, channel, transport);
    }

    /// Whether messages that come have to wait: while the session is in doubt, for a fan-out, or behind others.
    fn holds_senders(&self, channel: u32) -> bool {
        let Some(it) = self.channels.get(channel) else { return false };
        it.busy.as_ref().is_some_and(|busy| !busy.senders.is_empty()) || !self.hears_channel(channel)
    }

    fn hears_channel(&self, channel: u32) -> bool {
        let session = self.under(self.channels.client(channel));
        !self.jobs.is_full() && self.registry.passes(session, self.now.mono)
    }

    fn stall_senders(&mut self, channel: u32) {
        if self.jobs.is_full() {
            self.channels.stall(channel);
        }
    }

    /// Hears the requests that had to wait, in order.
    pub(super) fn hear_senders(&mut self, channel: u32) {
        while self.hears_channel(channel) {
            let next = self
                .channels
                .get_mut(channel)
                .and_then(|it| it.busy.as_mut())
                .and_then(|busy| busy.senders.pop_front());
            let Some(socket) = next else { return self.channels.cool(channel) };
            let Some(slot) = self.live(socket) else { continue };
            if let Some(super::Errand::Channel(transport, _)) = self.pending(slot).and_then(|pending| pending.errand) {
                self.send_now(slot, channel, transport);
            }
        }
        self.stall_senders(channel);
    }

    /// Hears those again who had to wait for a fan-out.
    pub(in crate::hub) fn hear_stalled(&mut self) {
        for _ in 0..HEARD_A_TURN {
            if self.jobs.is_full() {
                break;
            }
            let Some(channel) = self.channels.pop_stalled() else { break };
            self.hear_senders(channel);
        }
    }

    fn send_now(&mut self, slot: u32, channel: u32, transport: Transport) {
        let Some(pending) = self.pending_mut(slot) else { return };
        let body = pending.request.take_body();
        let payload = match transport {
            Transport::JsonpSend => sockjs::payload(&body, pending.request.header("content-type")),
            _ if body.is_empty() => Payload::Nothing,
            _ => Payload::Json((&body[..]).into()),
        };
        let told = match payload {
            Payload::Nothing => Err("Payload expected.\n"),
            Payload::Json(json) => match Messages::of(&json) {
                Ok(messages) => {
                    self.hear(channel, messages);
                    Ok(())
                }
                Err(BadJson) => Err("Broken JSON encoding.\n"),
            },
        };
        let response = match told {
            Err(why) => self.head_of(slot, 500, transport).with_body(why),
            Ok(()) if transport == Transport::JsonpSend => self.head_of(slot, 200, transport).with_body("ok"),
            Ok(()) => self.head_of(slot, 204, transport),
        };
        self.answer_request(slot, &response);
    }

    /// Messages came for this channel.
    fn hear(&mut self, channel: u32, mut messages: Messages<'_>) {
        let now = self.now.mono;
        let client = self.channels.client(channel);
        let id = self.client_id(client);
        let mut stomp = match self.channels.get_mut(channel).and_then(|it| it.busy.as_mut()) {
            Some(busy) => core::mem::take(&mut busy.stomp),
            None => UnfinishedStomp::default(),
        };
        let before = stomp.frame.len();
        let mut text = core::mem::take(&mut self.channels.text);
        while let Some(message) = messages.next(&mut text) {
            if !self.counts_message_of(channel) {
                break;
            }
            self.stats.messages_in += 1;
            if let Some(it) = self.channels.get_mut(channel) {
                it.heard = now;
                it.spoke = true;
            }
            self.spoken(client, message, DeliveryKind::Text, &mut stomp);
            if self.clients.get(id.slot(), id.generation()).is_none() {
                break;
            }
        }
        self.keep_text(text);
        self.buffered = self.buffered.saturating_sub(before);
        if self.clients.get(id.slot(), id.generation()).is_none() {
            return;
        }
        self.buffered += stomp.frame.len();
        if !stomp.is_idle()
            && let Some(busy) = self.channels.busy(channel)
        {
            busy.stomp = stomp;
        }
        self.channels.cool(channel);
    }

    pub(super) fn keep_text(&mut self, text: Vec<u8>) {
        if text.capacity() <= KEPT_BYTES {
            self.channels.text = text;
        }
    }

    /// Counts a message; false, and the channel is over, beyond MSG_RATE.
    fn counts_message_of(&mut self, channel: u32) -> bool {
        let (now, rate) = (self.now.mono.as_millis() as u32, self.config.limits.message_rate);
        let Some(it) = self.channels.get_mut(channel) else { return false };
        if now.wrapping_sub(it.messages_since) >= 1_000 || it.messages == 0 {
            it.messages_since = now;
            it.messages = 0;
        }
        it.messages = it.messages.saturating_add(1);
        if rate == 0 || u32::from(it.messages) <= rate {
            return true;
        }
        self.stats.violations += 1;
        self.end_channel(channel, Cause::Violation, Code::MessageRate);
        false
    }

    /// Queues one message for a client that frames are sent to.
    pub(in crate::hub) fn give_framed(&mut self, client: u32, payload: &[u8]) {
        let Some(it) = self.clients.slot(client) else { return };
        let (wire, channel) = (it.wire, it.channel());
        let mut json = core::mem::take(&mut self.channels.text);
        json.clear();
        if wire == Wire::Framed {
            json.extend_from_slice(b"a[");
            sockjs::push_string(&mut json, payload);
            json.push(b']');
            self.write_client(client, |bytes| ws::write_frame(bytes, true, ws::Opcode::Text, &json));
        } else if self.channels.get(channel).is_some_and(|it| it.channel.is_direct()) {
            json.extend_from_slice(b"a[");
            sockjs::push_string(&mut json, payload);
            json.push(b']');
            if let Some(it) = self.clients.slot_mut(client) {
                it.tell(self.now.mono);
            }
            self.send_frame_to_receiver(channel, &json);
        } else if channel != NONE {
            sockjs::push_string(&mut json, payload);
            self.queue_message(channel, Bytes::copy_from_slice(&json));
        }
        self.keep_text(json);
    }

    /// A message, as a JSON string, waits for the next receiver of this channel.
    pub(super) fn queue_message(&mut self, channel: u32, message: Bytes) {
        let limits = &self.config.limits;
        let (most, most_bytes) = (limits.channel_messages, limits.channel_bytes);
        let len = message.len();
        let full = self.buffered > limits.memory;
        let Some(it) = self.channels.get_mut(channel) else { return };
        if full || it.channel.push(message, most, most_bytes).is_err() {
            self.stats.slow += 1;
            return self.end_channel(channel, Cause::Slow, Code::Slow);
        }
        if !it.channel.is_closing() {
            self.buffered += len;
        }
        self.pump(channel);
    }

    /// Answers those who brought messages for a channel that is over.
    pub(super) fn refuse_senders(&mut self, channel: u32) {
        let busy = self.channels.get_mut(channel).and_then(|it| it.busy.take());
        let Some(busy) = busy else { return };
        if busy.next.is_some()
            && let Some(fresh) = self.channels.busy(channel)
        {
            fresh.next = busy.next;
        }
        self.buffered = self.buffered.saturating_sub(busy.stomp.frame.len());
        for socket in busy.senders {
            if let Some(slot) = self.live(socket) {
                self.refuse(slot, http::Refusal::NotFound);
            }
        }
    }
}

/// How many channels are heard again in one turn.
const HEARD_A_TURN: usize = 64;
/// A buffer of up to this many bytes is kept for the next message.
const KEPT_BYTES: usize = 64 * 1024;
