//! How clients leave and sockets end.

use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::string::ToString;
use alloc::sync::Arc;

use super::socket::{Mark, NONE, Phase, Role};
use super::{Action, Hub};
use crate::ids::SocketId;
use crate::queue::Queue;
use crate::session::Cause;
use crate::time::Instant;
use crate::ws;

/// What a Close frame that we send says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Code {
    /// The session is over.
    Ended,
    StoreLost,
    Slow,
    FirstMessage,
    Drain,
    Normal,
    /// STOMP ERROR was sent before.
    Protocol,
    Violation(ws::Violation),
    ControlRate,
    MessageRate,
    /// What the peer's Close said.
    Echo(u16),
    /// The peer's Close had no code.
    Empty,
    /// SockJS: what came is no array of strings.
    BadJson,
}

impl Code {
    pub(super) const fn code(self) -> Option<u16> {
        Some(match self {
            Self::Ended | Self::ControlRate | Self::MessageRate => 1008,
            Self::StoreLost => 1013,
            Self::Slow | Self::FirstMessage => 4500,
            Self::Drain => 1001,
            Self::Normal => 1000,
            Self::Protocol => 1002,
            Self::BadJson => 1007,
            Self::Violation(violation) => violation.code(),
            Self::Echo(code) => code,
            Self::Empty => return None,
        })
    }

    /// Whether it is more than an answer to what the peer did to RFC 6455 or to SockJS.
    const fn is_told(self) -> bool {
        !matches!(self, Self::Violation(_) | Self::BadJson | Self::Echo(_) | Self::Empty)
    }

    pub(super) fn reason(self) -> Cow<'static, str> {
        Cow::Borrowed(match self {
            Self::Ended => SESSION_ENDED,
            Self::StoreLost => "The session store cannot be reached",
            Self::Slow => "Too slow: what was sent is not read",
            Self::FirstMessage => "No message within the time for the first one",
            Self::Drain => "The server is going down",
            Self::ControlRate => "Too many pings and pongs: at most CTRL_RATE in 10 s",
            Self::MessageRate => "Too many messages: at most MSG_RATE a second",
            Self::Violation(violation) => return Cow::Owned(violation.to_string()),
            Self::BadJson => "Broken JSON encoding.",
            Self::Normal | Self::Protocol | Self::Echo(_) | Self::Empty => "",
        })
    }
}

/// What ends a login ends its sockets with; word for word Spring Session's (`WebSocketRegistryListener`).
pub(super) const SESSION_ENDED: &str =
    "This connection was established under an authenticated HTTP Session that has expired";

/// What becomes of the output that waits when a client is removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unsent {
    /// All but the frame that is half written.
    Dropped,
    Kept,
}

/// Spreads the Close frames of many sockets that end together.
#[derive(Debug)]
pub(super) struct Pacer {
    waiting: Queue<(SocketId, Code)>,
    rate: u64,
    /// Closes that may go out, in thousandths.
    tokens: u64,
    filled: Instant,
}

impl Pacer {
    pub(super) fn new(rate: u32, now: Instant) -> Self {
        let rate = u64::from(rate);
        Self { waiting: Queue::new(), rate, tokens: burst(rate), filled: now }
    }

    /// When the next one may go.
    pub(super) fn next(&self) -> Option<Instant> {
        let lacking = ONE.saturating_sub(self.tokens);
        (!self.waiting.is_empty()).then(|| self.filled.after(lacking.div_ceil(self.rate.max(1)).max(1)))
    }

    fn take(&mut self, now: Instant) -> bool {
        let fresh = now.since(self.filled).saturating_mul(self.rate);
        self.tokens = self.tokens.saturating_add(fresh).min(burst(self.rate));
        self.filled = now;
        let enough = self.tokens >= ONE;
        if enough {
            self.tokens -= ONE;
        }
        enough
    }
}

/// What may have gathered in a quiet time: at least one, however low the rate.
fn burst(rate: u64) -> u64 {
    BURST_MS.saturating_mul(rate).max(ONE)
}

impl Hub {
    /// The client is gone from every book; nothing it says is heard, and nothing more is said to it but a Close.
    /// Returns its socket.
    ///
    /// One whose output is kept stays under its session, as nobody that an id names, until that is written: the end of
    /// the session has to reach it too.
    fn remove_client(&mut self, client: u32, cause: Cause, principal: Option<Arc<str>>, unsent: Unsent) -> Option<u32> {
        let id = self.client_id(client);
        let bound = self.under(client) != NONE;
        let it = self.clients.slot_mut(client)?;
        let (socket, phase) = (it.socket, it.phase);
        self.broker.remove(&mut it.subscriptions);
        let slot = self.live(socket);
        let at = slot.and_then(|slot| self.sockets.slot(slot));
        let (waits, held) = at.map_or((false, false), |at| (at.unsent() > 0, self.held(at)));
        let stays = unsent == Unsent::Kept && bound && waits && self.clients.renew(client);
        if let Some(it) = self.clients.slot_mut(client).filter(|_| stays) {
            it.phase = Phase::Over;
        } else {
            self.release(client);
            self.clients.remove_slot(client);
        }
        let slot = slot?;
        let mut freed = 0;
        let at = self.sockets.slot_mut(slot)?;
        at.client = if stays { client } else { NONE };
        at.gated = true;
        let token = at.token;
        if let Some(cold) = &mut at.cold {
            freed = match unsent {
                _ if phase == Phase::Over => cold.output.drop_all_but_last(),
                Unsent::Kept if stays || !bound => 0,
                Unsent::Kept | Unsent::Dropped => cold.output.drop_unstarted(),
            };
            freed += cold.inbox.len() + cold.unfinished.len();
            cold.inbox.clear();
            cold.unfinished = super::socket::Unfinished::default();
            cold.pong = None;
            cold.token = None;
            // What comes next is to be announced anew: an embedder that comes for what was dropped finds nothing, as did
            // one that came while it was held.
            at.write_raised &= !cold.output.is_empty() && !held;
        }
        self.buffered = self.buffered.saturating_sub(freed);
        if phase == Phase::Joined {
            self.actions.push_back(Action::Left { client: id, token, cause, principal });
        }
        self.raise_write(slot);
        Some(slot)
    }

    /// Ends a client because of its session: its Close frame goes out at the pace of CLOSE_RATE.
    pub(super) fn leave(&mut self, client: u32, cause: Cause, principal: Option<Arc<str>>) {
        let code = match cause {
            Cause::StoreLost => Code::StoreLost,
            Cause::Drain => Code::Drain,
            _ => Code::Ended,
        };
        if let Some(receiver) = self.cut_channel_of(client, cause, principal.clone(), code) {
            return self.close_in_turn(receiver, code);
        }
        if let Some(slot) = self.remove_client(client, cause, principal, Unsent::Dropped) {
            self.close_in_turn(Some(slot), code);
        }
    }

    /// Sends a Close frame at the pace of CLOSE_RATE.
    fn close_in_turn(&mut self, slot: Option<u32>, code: Code) {
        let Some(slot) = slot else { return };
        let socket = self.socket_id(slot);
        if self.closing.waiting.is_empty() && self.closing.take(self.now.mono) {
            self.close(slot, code);
        } else {
            self.closing.waiting.push_back((socket, code));
        }
    }

    /// The session of a client that is over already has ended: of what waits for it only its Close is written.
    pub(super) fn leave_over(&mut self, client: u32) {
        if let Some(receiver) = self.cut_channel_of(client, Cause::Peer, None, Code::Ended) {
            return self.close_in_turn(receiver, Code::Ended);
        }
        self.remove_client(client, Cause::Peer, None, Unsent::Dropped);
    }

    /// Sends the Close frames that may go now.
    pub(super) fn pace_closes(&mut self) {
        for _ in 0..CLOSES_A_TURN {
            if self.closing.waiting.is_empty() || !self.closing.take(self.now.mono) {
                break;
            }
            if let Some((socket, code)) = self.closing.waiting.pop_front()
                && let Some(slot) = self.live(socket)
            {
                self.close(slot, code);
            }
        }
    }

    /// Ends the client of a socket, and the socket with this Close.
    pub(super) fn close_client_of(&mut self, slot: u32, cause: Cause, code: Code) {
        if let Some(socket) = self.sockets.slot(slot)
            && socket.role == Role::Receiver
        {
            return self.end_channel(socket.channel(), cause, code);
        }
        self.leave_of(slot, cause);
        self.close(slot, code);
    }

    /// Ends the client of a socket; the socket is the caller's to end.
    pub(super) fn leave_of(&mut self, slot: u32, cause: Cause) {
        if self.sockets.slot(slot).is_some_and(|socket| socket.role == Role::Receiver) {
            return self.receiver_gone(slot, cause);
        }
        if let Some(client) = self.sockets.slot(slot).map(|socket| socket.client)
            && client != NONE
        {
            let principal = self.principal(client);
            self.remove_client(client, cause, principal, Unsent::Dropped);
        }
    }

    /// The last message to the client of a socket is queued: what is queued is still written, then comes the Close.
    pub(super) fn finish_socket(&mut self, slot: u32, code: Code, cause: Cause) {
        self.leave_kept(slot, cause);
        self.close(slot, code);
    }

    /// Ends the client of a socket; what is queued for it is still written.
    pub(super) fn leave_kept(&mut self, slot: u32, cause: Cause) {
        if let Some(client) = self.sockets.slot(slot).map(|socket| socket.client)
            && client != NONE
        {
            let principal = self.principal(client);
            self.remove_client(client, cause, principal, Unsent::Kept);
        }
    }

    /// Sends a Close frame, once, and then only waits for the peer to end the connection.
    pub(super) fn close(&mut self, slot: u32, code: Code) {
        match code.code() {
            Some(number) => self.close_saying(slot, Some((number, &code.reason())), code.is_told()),
            None => self.close_saying(slot, None, false),
        }
    }

    /// The same with a code and a reason; `told` says whether a client of SockJS hears of it in a frame of its own, too.
    pub(super) fn close_saying(&mut self, slot: u32, close: Option<(u16, &str)>, told: bool) {
        let Some(socket) = self.sockets.slot_mut(slot) else { return };
        match socket.role {
            Role::Ws => {}
            Role::Receiver => return self.receiver_closes(slot),
            _ => return,
        }
        if !core::mem::replace(&mut socket.close_sent, true) {
            socket.gated = true;
            let framed = told && socket.marks.has(Mark::Framed);
            match close {
                Some((code, reason)) => {
                    if framed {
                        self.write_close_frame(slot, code, reason);
                    }
                    let payload = ws::close_payload(code, reason);
                    self.write(slot, |bytes| ws::write_frame(bytes, true, ws::Opcode::Close, &payload));
                }
                None => self.write(slot, |bytes| ws::write_frame(bytes, true, ws::Opcode::Close, b"")),
            }
        }
        self.linger(slot);
    }

    /// Everything is said: shuts the write half once the output is empty and throws away what still comes in, so that
    /// the kernel does not reset the connection and the peer gets what was sent last.
    pub(super) fn linger(&mut self, slot: u32) {
        let now = self.now.mono;
        let Some(socket) = self.sockets.slot_mut(slot) else { return };
        if socket.role != Role::Lingering {
            socket.role = Role::Lingering;
            socket.since = now;
        }
        socket.gated = true;
        if socket.marks.has(Mark::Ended) && socket.unsent() == 0 {
            return self.hang_up(slot);
        }
        self.read_on(slot);
        self.shut_if_empty(slot);
        self.arm_socket(slot);
    }

    /// Tells the embedder to shut the write half, once nothing is left to be written.
    pub(super) fn shut_if_empty(&mut self, slot: u32) {
        let id = self.socket_id(slot);
        let Some(socket) = self.sockets.slot_mut(slot).filter(|socket| !socket.marks.has(Mark::Elsewhere)) else {
            return;
        };
        if socket.role == Role::Lingering && socket.unsent() == 0 && !socket.marks.set(Mark::Shutdown, true) {
            self.actions.push_back(Action::Shutdown { socket: id, token: socket.token });
            if socket.marks.has(Mark::Asked) {
                self.hang_up(slot);
            }
        }
    }

    /// The peer's half is over: what came before it was handled.
    pub(super) fn peer_closed(&mut self, slot: u32) {
        let Some(socket) = self.sockets.slot_mut(slot) else { return };
        let twice = socket.marks.set(Mark::Ended, true);
        let answering = match socket.role {
            // Whoever reads for itself does not tell of half a stream.
            _ if socket.marks.has(Mark::Asked) || socket.marks.has(Mark::Elsewhere) => false,
            Role::Waiting => !twice,
            Role::Head | Role::Lingering => !twice && socket.unsent() > 0 && !socket.close_sent,
            Role::Body | Role::Ws | Role::Receiver => false,
        };
        if !answering {
            self.leave_of(slot, Cause::Peer);
            self.hang_up(slot);
        }
    }

    /// Closes the socket at once.
    pub(super) fn hang_up(&mut self, slot: u32) {
        if self.is_elsewhere(slot) {
            let (code, reason) = self.last_close(slot);
            return self.part_from(slot, code, reason);
        }
        self.leave_of(slot, Cause::Peer);
        if let Some((socket, token)) = self.forget_socket(slot) {
            self.actions.push_back(Action::Close { socket, token });
        }
    }

    /// Nothing is known of this socket any more: its id, and the embedder's token.
    pub(super) fn forget_socket(&mut self, slot: u32) -> Option<(SocketId, u64)> {
        self.not_half_open(slot);
        let id = self.socket_id(slot);
        let socket = self.sockets.remove(id.slot(), id.generation())?;
        if let Some(mut cold) = socket.cold {
            let freed = cold.output.clear() + cold.inbox.len() + cold.unfinished.len();
            self.buffered = self.buffered.saturating_sub(freed);
            self.pool.give(cold);
        }
        self.addresses.leave(socket.address);
        self.stats.closed += 1;
        Some((id, socket.token))
    }

    /// Code and reason of the Close frame that waits; 0 if none does.
    fn last_close(&self, slot: u32) -> (u16, Box<str>) {
        let close = self.sockets.slot(slot).and_then(|socket| {
            let frame = socket.cold.as_ref()?.output.last_frame()?;
            let (head, size) = ws::Head::parse(ws::Role::Client, frame).ok()??;
            let payload = frame.get(size..).filter(|_| head.opcode == ws::Opcode::Close)?;
            ws::CloseFrame::parse(payload).ok()?
        });
        close.map_or((0, Box::default()), |close| (close.code, Box::from(close.reason)))
    }
}

/// One close, in the thousandths that are gathered in each millisecond.
const ONE: u64 = 1_000;
/// Closes that may go out at once after a quiet time: those of so many milliseconds.
const BURST_MS: u64 = 100;
/// How many Close frames one turn sends.
const CLOSES_A_TURN: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_rate_is_kept() {
        for rate in [1, 3, 9, 10, 999, 25_000] {
            let mut pacer = Pacer::new(rate, Instant::default());
            let (mut now, mut taken) = (Instant::default(), 0);
            while pacer.take(now) {
                taken += 1;
            }
            assert_eq!(taken, (u64::from(rate) / 10).max(1), "{rate} a second, at once");
            pacer.waiting.push_back((SocketId::from_raw(0), Code::Ended));
            let (from, mut turns) = (taken, 0);
            while let Some(next) = pacer.next()
                && next <= Instant::from_millis(10_000)
            {
                assert!(next > now);
                now = next;
                turns += 1;
                while pacer.take(now) {
                    taken += 1;
                }
            }
            assert!((9 * u64::from(rate)..=10 * u64::from(rate)).contains(&(taken - from)), "{rate} a second: {taken}");
            assert!(turns <= 10_000);
        }
    }
}
