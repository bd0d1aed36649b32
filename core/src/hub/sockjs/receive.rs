//! Receivers: from the request that waits for frames to the end of its answer.

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::book::Seat;
use super::form::push_piece;
use crate::config::{Login, Protocol};
use crate::http::{self, Refusal};
use crate::hub::socket::{Mark, NONE, Phase, Role};
use crate::hub::{Action, Follows, Hub};
use crate::ids::SocketId;
use crate::sockjs::{self, Channel, Transport, Turned};

impl Hub {
    /// Somebody wants to receive who has no channel yet.
    pub(super) fn come(&mut self, slot: u32) {
        let limits = &self.config.limits;
        if self.draining || self.buffered > limits.memory || self.channels.len() >= limits.channels as usize {
            return self.refuse(slot, Refusal::Unavailable);
        }
        let Some(endpoint) = self.sockets.slot(slot).map(|socket| usize::from(socket.endpoint)) else { return };
        let open = self.config.endpoints.get(endpoint).is_some_and(|at| at.login == Login::None);
        let counted = self.sockjs_of(slot).is_some_and(|sockjs| sockjs.counted);
        let address = self.pending(slot).and_then(|pending| pending.request.client());
        if open && counted && self.channels.count_address(address) >= limits.channels_per_address {
            return self.refuse(slot, Refusal::TooMany);
        }
        self.enter(slot, endpoint);
    }

    /// The login of this client is alive, or none is asked for: its channel begins with the request that it came with.
    pub(in crate::hub) fn open_channel(&mut self, client: u32, slot: u32) {
        let (now, limits) = (self.now.mono, &self.config.limits);
        let Some(super::Errand::Channel(transport, _)) = self.pending(slot).and_then(|pending| pending.errand) else {
            return;
        };
        if self.channel_named(slot).is_some() {
            // Another request has opened it while this one waited for the store. What this one named was good for a login.
            let named = self.registry.id(self.under(client)).cloned();
            self.forget_pending(client);
            if let Some(pending) = self.pending_mut(slot) {
                pending.ids.extend(named);
            }
            return self.go_to_channel(slot, transport);
        }
        let session = self.under(client);
        if session != NONE {
            let (most, mut count) = (limits.channels_per_session, 0);
            self.each_client(session, |hub, client| count += u32::from(hub.channel_of(client).is_some()));
            if count >= most {
                return self.turn_away(client, Refusal::TooMany);
            }
        }
        let Some(name) = self.with_name(slot, |name| Box::from(name)) else { return };
        let address = match session {
            NONE => {
                let address = self.pending(slot).and_then(|pending| pending.request.client());
                self.channels.enter_address(address)
            }
            _ => NONE,
        };
        let Some(socket) = self.sockets.slot_mut(slot) else { return };
        socket.client = NONE;
        let endpoint = socket.endpoint;
        let token = socket.cold.as_mut().and_then(|cold| cold.token.take());
        let channel = self.channels.insert(Seat {
            channel: Channel::new(),
            name,
            client,
            form: NONE,
            address,
            heard: now,
            last: now,
            messages_since: 0,
            messages: 0,
            endpoint,
            spoke: false,
            busy: None,
        });
        if token.is_some()
            && let Some(busy) = self.channels.busy(channel)
        {
            busy.token = token;
        }
        let raw = self.config.endpoints.get(usize::from(endpoint)).is_some_and(|at| at.protocol == Protocol::Raw);
        if let Some(it) = self.clients.slot_mut(client) {
            it.move_to(channel);
            it.phase = if raw { Phase::Joined } else { Phase::Open };
            it.tell(now);
        }
        if raw {
            let token = self.sockets.slot(slot).map_or(0, |socket| socket.token);
            self.tell_joined(client, token);
        }
        self.receive(slot, channel, transport);
    }

    /// The request on this socket wants the frames of this channel.
    pub(super) fn receive(&mut self, slot: u32, channel: u32, transport: Transport) {
        let (now, id) = (self.now.mono, self.socket_id(slot));
        let Some(after) = self.comes_after(id, channel) else { return };
        let form = self.form_of(slot, transport);
        let Some(sockjs) = self.sockjs_of(slot) else { return };
        let limit = transport.streams().then_some(sockjs.stream_bytes);
        let Some(it) = self.channels.get_mut(channel) else { return };
        let attached = if after { Err(Turned::StillOpen) } else { it.channel.attach(id, limit) };
        let turned: Option<Vec<u8>> = match attached {
            Ok(()) => None,
            Err(Turned::StillOpen) => Some(sockjs::STILL_OPEN.into()),
            Err(Turned::Over(frame)) => Some(frame.into()),
        };
        if let Some(frame) = turned {
            self.answer_with(slot, form, &frame);
            self.channels.forms.release(form);
            return self.arm_channel(channel);
        }
        let before = core::mem::replace(&mut it.form, form);
        let client = it.client;
        self.channels.forms.release(before);
        // What a heart-beat of STOMP promises counts from what was sent last; one of SockJS from the request.
        if let Some(client) = self.clients.slot_mut(client)
            && client.beat_out_ms == 0
        {
            client.tell(now);
        }
        let stays = self.channels.forms.get(form).is_some_and(|form| form.exchange.keep_alive);
        let Some(socket) = self.sockets.slot_mut(slot) else { return };
        socket.receive(channel, stays);
        socket.since = now;
        let gone = socket.marks.has(Mark::Ended);
        if let Some(cold) = &mut socket.cold {
            cold.request = None;
            cold.output.seal();
        }
        if transport.streams() {
            self.begin_answer(slot, form);
        }
        if gone {
            // The peer has ended its half: nobody can say whether anybody is there.
            return self.hang_up(slot);
        }
        self.pump(channel);
        self.arm_channel(channel);
        self.arm_socket(slot);
        // As long as it is read, its end is noticed.
        if self.sockets.slot(slot).and_then(|socket| socket.cold.as_ref()).is_none_or(|cold| cold.inbox.is_empty()) {
            self.read_on(slot);
        }
        self.cool(slot);
    }

    /// Whether a receiver comes behind another one whose answer is written, but not taken: `None`, it waits until that is;
    /// or there is such a one already. If the first connection ends before, so does the channel: nobody counts as told.
    fn comes_after(&mut self, id: SocketId, channel: u32) -> Option<bool> {
        let it = self.channels.get(channel)?;
        if it.channel.receiver().is_none() || it.channel.is_awaited() || it.channel.is_over() {
            return Some(false);
        }
        let next = it.busy.as_ref().and_then(|busy| busy.next);
        if next.is_some_and(|next| self.live(next).is_some()) {
            return Some(true);
        }
        self.channels.busy(channel)?.next = Some(id);
        None
    }

    /// The receiver of this channel is gone: the one that waits is next.
    pub(super) fn call_next(&mut self, channel: u32) {
        let next = self.channels.get_mut(channel).and_then(|it| it.busy.as_mut()).and_then(|busy| busy.next.take());
        self.channels.cool(channel);
        if let Some(slot) = next.and_then(|next| self.live(next))
            && let Some(super::Errand::Channel(transport, _)) = self.pending(slot).and_then(|pending| pending.errand)
        {
            self.go_to_channel(slot, transport);
        }
    }

    /// Answers the request on this socket with one frame, whatever its transport.
    fn answer_with(&mut self, slot: u32, form: u32, frame: &[u8]) {
        let Some(form) = self.channels.forms.get(form) else { return };
        let mut body = Vec::new();
        form.transport.begin(&mut body, &form.callback);
        form.transport.wrap(&mut body, &form.callback, frame);
        let response = form.response.clone().with_body(body);
        self.answer_request(slot, &response);
    }

    /// Begins an answer that streams.
    fn begin_answer(&mut self, slot: u32, form: u32) {
        let date = Some(self.now.wall);
        let asked = self.is_asked(slot);
        let (mut head, mut prelude) = (Vec::new(), Vec::new());
        let Some(form) = self.channels.forms.get(form) else { return };
        form.transport.begin(&mut prelude, &form.callback);
        if asked {
            let response = Box::new(form.response.clone());
            let Some(token) = self.sockets.slot(slot).map(|socket| socket.token) else { return };
            let socket = self.socket_id(slot);
            self.actions.push_back(Action::Response { socket, token, response, follows: Follows::Body });
            head = prelude;
        } else {
            let stream = http::Chunked::start(&form.response, &mut head, form.exchange, date);
            stream.chunk(&mut head, &prelude);
            // The end of it is written by `receiver_gets`.
            drop(stream);
        }
        self.write(slot, |bytes| bytes.extend_from_slice(&head));
        if let Some(cold) = self.cold(slot) {
            cold.output.seal();
        }
    }

    /// Sends what is due to the receiver of this channel, if there is one.
    pub(super) fn pump(&mut self, channel: u32) {
        let mut frame = core::mem::take(&mut self.channels.frame);
        loop {
            frame.clear();
            let Some(it) = self.channels.get_mut(channel) else { break };
            let before = it.channel.queued();
            if !it.channel.next(&mut frame) {
                break;
            }
            let freed = before - it.channel.queued();
            let client = it.client;
            self.buffered = self.buffered.saturating_sub(freed);
            if let Some(client) = self.clients.slot_mut(client) {
                client.tell(self.now.mono);
            }
            self.send_frame_to_receiver(channel, &frame);
        }
        self.channels.frame = frame;
    }

    /// Sends one frame to the receiver of this channel, which is there.
    pub(super) fn send_frame_to_receiver(&mut self, channel: u32, frame: &[u8]) {
        let mut wrapped = core::mem::take(&mut self.channels.wrapped);
        wrapped.clear();
        if let Some(it) = self.channels.get(channel)
            && let Some(form) = self.channels.forms.get(it.form)
        {
            form.transport.wrap(&mut wrapped, &form.callback, frame);
            self.receiver_gets(channel, &wrapped);
        }
        if wrapped.capacity() <= KEPT_BYTES {
            self.channels.wrapped = wrapped;
        }
    }

    /// Writes a wrapped frame to the receiver, and the end of its answer if that is due.
    fn receiver_gets(&mut self, channel: u32, wrapped: &[u8]) {
        let (now, wall) = (self.now.mono, self.now.wall);
        let Some(it) = self.channels.get_mut(channel) else { return };
        let over = it.channel.sent(wrapped.len());
        let form = it.form;
        let Some(slot) = self.receiver_of(channel) else { return };
        let asked = self.is_asked(slot);
        let Self { channels, sockets, pool, .. } = self;
        let Some(form) = channels.forms.get(form) else { return };
        if asked && !form.transport.streams() {
            let response = form.response.clone().with_body(wrapped.to_vec());
            let Some(token) = sockets.slot(slot).map(|socket| socket.token) else { return };
            let socket = self.socket_id(slot);
            let follows = Follows::Nothing;
            self.actions.push_back(Action::Response { socket, token, response: Box::new(response), follows });
            return self.receiver_took_all_of(slot, channel);
        }
        let chunked = !asked && form.exchange.version == http::Version::Http11;
        let Some(socket) = sockets.slot_mut(slot) else { return };
        socket.close_sent |= over;
        let cold = socket.cold.get_or_insert_with(|| pool.take());
        let added = cold.output.unit(now, |out| {
            if form.transport.streams() {
                push_piece(out, chunked, wrapped);
                if over && chunked {
                    out.extend_from_slice(LAST_CHUNK);
                }
            } else {
                form.response.write_with(out, form.exchange, Some(wall), wrapped);
            }
        });
        self.buffered += added;
        self.queued(slot);
    }

    /// All that was written for this receiver was taken.
    pub(in crate::hub) fn receiver_took_all(&mut self, slot: u32) {
        let Some(socket) = self.sockets.slot(slot) else { return };
        if socket.close_sent {
            let channel = socket.channel();
            self.receiver_took_all_of(slot, channel);
        } else {
            self.cool(slot);
        }
    }

    /// The whole answer of this receiver was taken: its connection may serve another request.
    fn receiver_took_all_of(&mut self, slot: u32, channel: u32) {
        let (now, id) = (self.now.mono, self.socket_id(slot));
        if let Some(it) = self.channels.get_mut(channel)
            && it.channel.receiver() == Some(id)
        {
            it.channel.detach(id);
            it.last = now;
            let form = core::mem::replace(&mut it.form, NONE);
            self.channels.forms.release(form);
            self.settle(channel);
            self.arm_channel(channel);
            self.call_next(channel);
        }
        let Some(socket) = self.sockets.slot_mut(slot) else { return };
        let stays = socket.stays() && !self.draining;
        let streamed = socket.marks.has(Mark::Asked) && socket.close_sent;
        socket.role = Role::Waiting;
        socket.close_sent = false;
        if streamed {
            // The embedder is told that the body is whole.
            return self.linger(slot);
        }
        self.answered_request(slot, stays);
    }

    /// A receiver is to be told how its channel ended.
    pub(in crate::hub) fn receiver_closes(&mut self, slot: u32) {
        if let Some(channel) = self.sockets.slot(slot).map(|socket| socket.channel()) {
            self.pump(channel);
        }
    }
}

const LAST_CHUNK: &[u8] = b"0\r\n\r\n";
/// A buffer of up to this many bytes is kept for the next frame.
const KEPT_BYTES: usize = 64 * 1024;
