//! How channels end, and what time alone leads to.

use alloc::sync::Arc;

use crate::config::Protocol;
use crate::hub::closing::Code;
use crate::hub::socket::{NONE, Phase};
use crate::hub::{Action, Hub};
use crate::session::Cause;
use crate::sockjs::{self, CONNECTION_INTERRUPTED};
use crate::time::Instant;
use crate::ws;

impl Hub {
    /// Ends a client that speaks through requests: nothing more crosses, and what waits is dropped. Returns the socket that
    /// is to be told of it, if somebody receives; `None` if the client has a socket of its own.
    pub(in crate::hub) fn cut_channel_of(
        &mut self,
        client: u32,
        cause: Cause,
        principal: Option<Arc<str>>,
        code: Code,
    ) -> Option<Option<u32>> {
        let channel = self.channel_of(client)?;
        let mut frame = alloc::vec::Vec::new();
        sockjs::push_close(&mut frame, code.code().unwrap_or(1000), &code.reason());
        Some(self.cut_channel(channel, cause, principal, &frame))
    }

    /// Ends a channel at once, and tells its receiver.
    pub(in crate::hub) fn end_channel(&mut self, channel: u32, cause: Cause, code: Code) {
        let client = self.channels.client(channel);
        let principal = self.principal(client);
        if let Some(Some(slot)) = self.cut_channel_of(client, cause, principal, code) {
            self.receiver_closes(slot);
        }
    }

    /// The client is gone from every book, what waits is dropped but for what is half written, and from now on there is
    /// only the close frame.
    fn cut_channel(&mut self, channel: u32, cause: Cause, principal: Option<Arc<str>>, frame: &[u8]) -> Option<u32> {
        let now = self.now.mono;
        let held = self.channels.client(channel) != NONE
            && !self.registry.passes(self.under(self.channels.client(channel)), now);
        let token = self.receiver_of(channel).and_then(|slot| self.sockets.slot(slot)).map_or(0, |socket| socket.token);
        self.remove_speaker(channel, cause, principal, token);
        let it = self.channels.get_mut(channel)?;
        it.last = now;
        let mut freed = it.channel.cut(frame);
        self.refuse_senders(channel);
        let slot = self.receiver_of(channel);
        if let Some(slot) = slot
            && let Some(socket) = self.sockets.slot_mut(slot)
            && let Some(cold) = &mut socket.cold
        {
            let dropped = cold.output.drop_unstarted_units();
            // Nothing may have been able to move until now: the session may have been in doubt for long.
            cold.output.move_on(now);
            socket.write_raised &= !cold.output.is_empty() && !held;
            if dropped > 0
                && core::mem::replace(&mut socket.close_sent, false)
                && let Some(it) = self.channels.get_mut(channel)
            {
                it.channel.recall();
            }
            freed += dropped;
        }
        self.buffered = self.buffered.saturating_sub(freed);
        if let Some(slot) = slot {
            self.raise_write(slot);
        }
        self.arm_channel(channel);
        slot
    }

    /// The client of a channel is gone from every book.
    fn remove_speaker(&mut self, channel: u32, cause: Cause, principal: Option<Arc<str>>, token: u64) {
        let Some(it) = self.channels.get_mut(channel) else { return };
        let client = core::mem::replace(&mut it.client, NONE);
        let id = self.client_id(client);
        let Some(it) = self.clients.slot_mut(client) else { return };
        let phase = it.phase;
        self.broker.remove(&mut it.subscriptions);
        self.release(client);
        self.clients.remove_slot(client);
        if phase == Phase::Joined {
            self.actions.push_back(Action::Left { client: id, token, cause, principal });
        }
    }

    /// The last message to the client of a channel is queued: what is queued is still sent, then comes the close frame.
    pub(in crate::hub) fn finish_channel(&mut self, channel: u32, cause: Cause, code: u16, reason: &str) {
        let mut frame = alloc::vec::Vec::new();
        sockjs::push_close(&mut frame, code, reason);
        let client = self.channels.client(channel);
        let (id, principal, token) = (self.client_id(client), self.principal(client), self.token_of(client));
        let Some(it) = self.clients.slot_mut(client) else { return };
        let joined = core::mem::replace(&mut it.phase, Phase::Over) == Phase::Joined;
        self.broker.remove(&mut it.subscriptions);
        if joined {
            self.actions.push_back(Action::Left { client: id, token, cause, principal });
        }
        // As nobody that an id names: the end of its session still has to reach what waits.
        let renewed = self.clients.renew(client);
        self.refuse_senders(channel);
        let now = self.now.mono;
        if let Some(it) = self.channels.get_mut(channel) {
            it.channel.close(&frame);
            // Its last word is kept for as long as anybody's, however long ago somebody asked.
            it.last = now;
        }
        self.pump(channel);
        if !renewed {
            self.end_channel(channel, cause, Code::Normal);
        }
        self.settle(channel);
        self.arm_channel(channel);
    }

    /// Whether anything is left for a client that is over: else it is forgotten.
    pub(super) fn settle(&mut self, channel: u32) {
        let Some(it) = self.channels.get(channel) else { return };
        let client = it.client;
        let over = self.clients.slot(client).is_some_and(|client| client.phase == Phase::Over);
        let unsent =
            self.receiver_of(channel).and_then(|slot| self.sockets.slot(slot)).is_some_and(|it| it.unsent() > 0);
        if over && it.channel.is_over() && !unsent {
            self.remove_speaker(channel, Cause::Peer, None, 0);
        }
    }

    /// The connection of a receiver ended before its answer was whole and taken.
    pub(in crate::hub) fn receiver_gone(&mut self, slot: u32, cause: Cause) {
        let id = self.socket_id(slot);
        let Some(socket) = self.sockets.slot(slot) else { return };
        let channel = socket.channel();
        let Some(it) = self.channels.get(channel).filter(|it| it.channel.receiver() == Some(id)) else { return };
        let client = it.client;
        if client != NONE {
            let principal = self.principal(client);
            if cause == Cause::Slow {
                self.cut_channel_of(client, cause, principal, Code::Slow);
            } else {
                self.cut_channel(channel, cause, principal, CONNECTION_INTERRUPTED);
            }
        }
        if let Some(it) = self.channels.get_mut(channel) {
            it.channel.detach(id);
            let form = core::mem::replace(&mut it.form, NONE);
            self.channels.forms.release(form);
        }
        self.arm_channel(channel);
        self.call_next(channel);
    }

    /// The server is going down.
    pub(in crate::hub) fn drain_channel(&mut self, channel: u32) {
        let client = self.channels.client(channel);
        if client != NONE {
            let principal = self.principal(client);
            self.leave(client, Cause::Drain, principal);
        }
    }

    /// The session of this channel's client is no longer in doubt.
    pub(in crate::hub) fn resume_channel(&mut self, channel: u32) {
        let now = self.now.mono;
        if let Some(it) = self.channels.get_mut(channel) {
            it.heard = now;
        }
        if let Some(slot) = self.receiver_of(channel) {
            if let Some(socket) = self.sockets.slot_mut(slot) {
                socket.write_raised = false;
                if let Some(cold) = &mut socket.cold {
                    cold.output.move_on(now);
                }
            }
            self.raise_write(slot);
            self.arm_socket(slot);
        }
        self.hear_senders(channel);
        self.arm_channel(channel);
    }

    /// Arms the channel's timer for the next thing that may become due.
    pub(in crate::hub) fn arm_channel(&mut self, channel: u32) {
        let due = self.channel_is_due(channel);
        self.channels.arm(channel, due);
    }

    /// A channel's timer fired.
    pub(in crate::hub) fn channel_due(&mut self, channel: u32) {
        if self.channels.get(channel).is_none() {
            return;
        }
        if self.channel_is_due(channel) <= self.now.mono {
            self.channel_overdue(channel);
        }
        self.arm_channel(channel);
    }

    /// When this channel is over for want of a receiver.
    fn forgotten_at(&self, channel: u32) -> Instant {
        let Some(it) = self.channels.get(channel) else { return Instant::NEVER };
        let delay = self.sockjs_at(it.endpoint).map_or(0, |sockjs| sockjs.disconnect_delay_ms);
        if it.channel.receiver().is_some() { Instant::NEVER } else { it.last.after(delay) }
    }

    fn channel_is_due(&self, channel: u32) -> Instant {
        let forgotten = self.forgotten_at(channel);
        let Some(it) = self.channels.get(channel) else { return Instant::NEVER };
        let Some(client) = self.clients.slot(it.client).filter(|client| client.phase != Phase::Over) else {
            return forgotten;
        };
        // Nobody is heard or told anything while a session is in doubt: nobody can be late.
        if !self.registry.passes(self.under(it.client), self.now.mono) {
            return forgotten;
        }
        let first = if it.spoke || !self.speaks_stomp(it.endpoint) {
            Instant::NEVER
        } else {
            it.heard.after(self.config.limits.first_message_ms)
        };
        let missed = u64::from(client.beat_in_ms) * u64::from(self.config.limits.beats_missed);
        let inward = if client.beat_in_ms == 0 { Instant::NEVER } else { it.heard.after(missed) };
        let frame = if it.channel.is_direct() { self.framed_beat_due(it.client, it.endpoint) } else { Instant::NEVER };
        forgotten.min(first).min(inward).min(frame)
    }

    fn channel_overdue(&mut self, channel: u32) {
        let now = self.now.mono;
        let Some(it) = self.channels.get(channel) else { return };
        if self.forgotten_at(channel) <= now {
            let client = it.client;
            if client != NONE {
                let principal = self.principal(client);
                self.cut_channel(channel, Cause::Peer, principal, CONNECTION_INTERRUPTED);
            }
            return self.channels.remove(channel);
        }
        let client = it.client;
        if !it.spoke && self.speaks_stomp(it.endpoint) && it.heard.after(self.config.limits.first_message_ms) <= now {
            return self.end_channel(channel, Cause::Idle, Code::FirstMessage);
        }
        let (heard, endpoint) = (it.heard, it.endpoint);
        let Some(it) = self.clients.slot(client) else { return };
        let missed = u64::from(it.beat_in_ms) * u64::from(self.config.limits.beats_missed);
        if it.beat_in_ms > 0 && heard.after(missed) <= now {
            return self.stomp_error(client, "Session closed.", None, Cause::Idle);
        }
        if self.framed_beat_due(client, endpoint) <= now {
            self.beat_channel(channel, client);
        }
    }

    /// A frame that says that the server is there.
    fn beat_channel(&mut self, channel: u32, client: u32) {
        let Some(it) = self.clients.slot_mut(client) else { return };
        it.tell(self.now.mono);
        if it.beat_out_ms > 0 {
            self.give(client, ws::Opcode::Text, b"\n");
        } else if self.channels.get(channel).is_some_and(|it| it.channel.is_direct()) {
            self.send_frame_to_receiver(channel, sockjs::HEART_BEAT);
        }
    }

    /// When a frame is due to a client that frames are sent to. Where heart-beats of STOMP were agreed on, they serve: both
    /// are as frequent as the shorter interval.
    pub(super) fn framed_beat_due(&self, client: u32, endpoint: u8) -> Instant {
        let Some(it) = self.clients.slot(client) else { return Instant::NEVER };
        let Some(sockjs) = self.sockjs_at(endpoint) else { return Instant::NEVER };
        let every = match it.beat_out_ms {
            0 => sockjs.heart_beat_ms,
            beat => sockjs.heart_beat_ms.min(beat.into()),
        };
        self.now.mono.before(it.untold_ms(self.now.mono)).after(every)
    }

    pub(super) fn sockjs_at(&self, endpoint: u8) -> Option<&crate::config::SockJs> {
        self.config.endpoints.get(usize::from(endpoint))?.sockjs.as_ref()
    }

    fn speaks_stomp(&self, endpoint: u8) -> bool {
        self.config.endpoints.get(usize::from(endpoint)).is_some_and(|at| at.protocol == Protocol::Stomp)
    }
}
