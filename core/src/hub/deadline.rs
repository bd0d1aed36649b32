//! What time alone leads to. Timers are lazy: traffic only notes when it was, and a timer that fires looks at that.

use super::Hub;
use super::closing::Code;
use super::socket::{Mark, NONE, PING_EVERY_MS, Phase, Role, Stage};
use crate::config::Protocol;
use crate::http;
use crate::session::{Answer, Cause};
use crate::time::Instant;
use crate::ws;

impl Hub {
    /// Fires what is due, so much a turn.
    pub(super) fn fire_timers(&mut self) {
        while let Some(&(call, at)) = self.overdue.front() {
            if at > self.now.mono {
                break;
            }
            self.overdue.pop_front();
            if let Some(asked) = self.calls.remove(call.slot(), call.generation()) {
                self.stats.calls_lost += 1;
                self.answered(asked, &Answer::Lost);
            }
        }
        let mut budget = TIMERS_A_TURN;
        while let Some(session) = self.registry.pop_look(self.now.mono, &mut budget) {
            self.tick_session(session);
        }
        let mut budget = TIMERS_A_TURN;
        while let Some(session) = self.registry.pop_due(self.now.mono, &mut budget) {
            self.session_due(session);
        }
        let mut budget = TIMERS_A_TURN;
        while let Some(channel) = self.channels.pop_due(self.now.mono, &mut budget) {
            self.channel_due(channel);
        }
        let mut budget = TIMERS_A_TURN;
        while let Some(socket) = self.wheel.pop(self.now.mono, &mut budget) {
            self.socket_due(socket);
        }
    }

    /// Arms the socket's timer for the next thing that may become due, if none is armed for then.
    pub(super) fn arm_socket(&mut self, slot: u32) {
        if self.sockets.slot(slot).is_some() {
            self.wheel.arm(slot, self.due(slot));
        }
    }

    fn socket_due(&mut self, slot: u32) {
        if self.due(slot) <= self.now.mono {
            self.overdue(slot);
        }
        self.arm_socket(slot);
    }

    /// When something is next to be done about this socket, if nothing happens on it.
    fn due(&self, slot: u32) -> Instant {
        let Some(socket) = self.sockets.slot(slot) else { return Instant::NEVER };
        let limits = &self.config.limits;
        let unsent = if socket.unsent() > 0 { self.send_due(slot) } else { Instant::NEVER };
        match socket.role {
            // The time for the next head begins once the answer to the last one is out.
            Role::Head if socket.unsent() > 0 => unsent,
            Role::Head => socket.since.after(limits.head_time_ms),
            Role::Body => socket.since.after(limits.body_time_ms),
            Role::Waiting => unsent.min(self.answer_due(slot)),
            Role::Receiver if self.held(socket) => Instant::NEVER,
            Role::Receiver => unsent,
            Role::Lingering if socket.unsent() > 0 && !socket.close_sent => unsent,
            Role::Lingering => socket.since.after(self.linger_ms(slot)),
            // Nobody is read or written while a session is in doubt, or a Close waits for its turn: nobody can be late.
            Role::Ws if socket.gated || self.held(socket) => Instant::NEVER,
            Role::Ws => {
                let peer = match socket.pinged() {
                    // Whether such a peer is there its own WebSocket knows.
                    _ if socket.marks.has(Mark::Elsewhere) => Instant::NEVER,
                    Instant::NEVER => socket.heard.after(limits.ping_every_ms.min(PING_EVERY_MS)),
                    pinged => pinged.after(limits.pong_time_ms),
                };
                let stomp = self
                    .config
                    .endpoints
                    .get(usize::from(socket.endpoint))
                    .is_some_and(|e| e.protocol == Protocol::Stomp);
                let first =
                    if socket.spoke || !stomp { Instant::NEVER } else { socket.since.after(limits.first_message_ms) };
                coarse(peer.min(first)).min(self.beat_due(slot)).min(self.frame_due(slot)).min(unsent)
            }
        }
    }

    /// By when the embedder has to answer the request that it was handed.
    fn answer_due(&self, slot: u32) -> Instant {
        let handed = self.pending(slot).is_some_and(|pending| pending.stage == Stage::Handed);
        let since = self.sockets.slot(slot).filter(|_| handed).map(|socket| socket.since);
        since.map_or(Instant::NEVER, |since| since.after(self.config.limits.answer_time_ms))
    }

    fn send_due(&self, slot: u32) -> Instant {
        let moved = self.sockets.slot(slot).and_then(|socket| socket.cold.as_ref()).map(|cold| cold.output.moved());
        moved.map_or(Instant::NEVER, |moved| coarse(moved.after(self.config.limits.send_time_ms)))
    }

    fn linger_ms(&self, slot: u32) -> u64 {
        let answered =
            self.sockets.slot(slot).is_some_and(|socket| socket.marks.has(Mark::CloseReceived) && socket.unsent() == 0);
        if answered { self.config.limits.close_time_ms.min(ANSWERED_MS) } else { self.config.limits.close_time_ms }
    }

    /// When a STOMP heart-beat is due in either direction.
    fn beat_due(&self, slot: u32) -> Instant {
        let Some(socket) = self.sockets.slot(slot) else { return Instant::NEVER };
        let Some(client) = self.clients.slot(socket.client) else { return Instant::NEVER };
        let told = self.now.mono.before(client.untold_ms(self.now.mono));
        let out = if client.beat_out_ms == 0 { Instant::NEVER } else { told.after(u64::from(client.beat_out_ms)) };
        let missed = u64::from(client.beat_in_ms) * u64::from(self.config.limits.beats_missed);
        let inward = if client.beat_in_ms == 0 { Instant::NEVER } else { socket.heard.after(missed) };
        out.min(inward)
    }

    /// Something was due and nothing happened.
    fn overdue(&mut self, slot: u32) {
        let now = self.now.mono;
        let Some(socket) = self.sockets.slot(slot) else { return };
        let limits = &self.config.limits;
        match socket.role {
            Role::Head if socket.unsent() > 0 || (socket.spoke && socket.cold.is_none()) => self.hang_up(slot),
            Role::Head => self.refuse(slot, http::Refusal::HeadTime),
            Role::Body => self.refuse(slot, http::Refusal::BodyTime),
            Role::Waiting if self.answer_due(slot) <= now => self.refuse(slot, http::Refusal::AnswerTime),
            Role::Waiting => self.hang_up(slot),
            Role::Receiver => {
                self.stats.slow += 1;
                self.leave_of(slot, Cause::Slow);
                self.hang_up(slot);
            }
            Role::Lingering => self.hang_up(slot),
            Role::Ws => {
                let silent = now.since(socket.heard);
                if socket.unsent() > 0 && self.send_due(slot) <= now {
                    self.stats.slow += 1;
                    return self.close_client_of(slot, Cause::Slow, Code::Slow);
                }
                if !socket.spoke && self.first_message_due(slot) <= now {
                    return self.close_client_of(slot, Cause::Idle, Code::FirstMessage);
                }
                if socket.pinged().after(limits.pong_time_ms) <= now {
                    self.leave_of(slot, Cause::Idle);
                    return self.hang_up(slot);
                }
                let pinged_here = !socket.marks.has(Mark::Elsewhere);
                if pinged_here && socket.pinged() == Instant::NEVER && silent >= limits.ping_every_ms.min(PING_EVERY_MS)
                {
                    self.ping(slot);
                }
                self.beat(slot);
                self.keep_framed_alive(slot);
            }
        }
    }

    fn first_message_due(&self, slot: u32) -> Instant {
        let Some(socket) = self.sockets.slot(slot) else { return Instant::NEVER };
        let stomp =
            self.config.endpoints.get(usize::from(socket.endpoint)).is_some_and(|e| e.protocol == Protocol::Stomp);
        if stomp { socket.since.after(self.config.limits.first_message_ms) } else { Instant::NEVER }
    }

    fn ping(&mut self, slot: u32) {
        let now = self.now.mono;
        if let Some(socket) = self.sockets.slot_mut(slot) {
            socket.ping(now);
        }
        self.write(slot, |bytes| ws::write_frame(bytes, true, ws::Opcode::Ping, b""));
    }

    fn beat(&mut self, slot: u32) {
        let now = self.now.mono;
        let Some(socket) = self.sockets.slot(slot) else { return };
        let (heard, client) = (socket.heard, socket.client);
        let Some(it) = self.clients.slot(client) else { return };
        if it.phase != Phase::Joined || client == NONE {
            return;
        }
        let missed = u64::from(it.beat_in_ms) * u64::from(self.config.limits.beats_missed);
        let late = it.beat_in_ms > 0 && now.since(heard) >= missed;
        let due = it.beat_out_ms > 0 && it.untold_ms(now) >= u64::from(it.beat_out_ms);
        // The deadline of the session may have passed in the same moment, and its timer be the next to fire.
        match (late, due, self.may_pass(slot)) {
            (true, _, true) => self.stomp_error(client, "Session closed.", None, Cause::Idle),
            (true, _, false) => self.close_client_of(slot, Cause::Idle, Code::Protocol),
            (false, true, true) => self.give(client, ws::Opcode::Text, b"\n"),
            (false, true, false) => {
                if let Some(it) = self.clients.slot_mut(client) {
                    it.tell(now);
                }
            }
            (false, false, _) => {}
        }
    }
}

/// Up to the next quarter of a second: many sockets then share one wake-up.
pub(super) fn coarse(at: Instant) -> Instant {
    if at == Instant::NEVER {
        at
    } else {
        Instant::from_millis(at.as_millis().saturating_add(COARSE_MS - 1) / COARSE_MS * COARSE_MS)
    }
}

const COARSE_MS: u64 = 250;
/// How many timers of each kind one turn fires: well under 10 ms of work.
const TIMERS_A_TURN: usize = 256;
/// After both Close frames the peer has this long to end the connection, in milliseconds.
const ANSWERED_MS: u64 = 900;
