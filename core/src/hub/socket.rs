//! What the hub knows of one byte stream, and of one who speaks over it.

use alloc::boxed::Box;
use alloc::vec::Vec;

use bytes::Bytes;

use super::output::Output;
use crate::http;
use crate::ids::SocketId;
pub(super) use crate::slab::NONE;
use crate::stomp;
use crate::time::Instant;
use crate::ws;

/// What a socket is for just now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// Collecting the head of a request.
    Head,
    /// Collecting its body.
    Body,
    /// A request waits for the store, or for the embedder.
    Waiting,
    /// WebSocket frames.
    Ws,
    /// A request of SockJS that frames are sent in answer to: it waits for them, or for its answer to be taken.
    Receiver,
    /// Everything is said; input is thrown away until the peer ends it.
    Lingering,
}

#[derive(Debug)]
pub(super) struct Socket {
    pub(super) token: u64,
    /// Who speaks here, once it is a WebSocket (or about to become one).
    pub(super) client: u32,
    /// Slot in the book of addresses.
    pub(super) address: u32,
    /// When something last came in.
    pub(super) heard: Instant,
    /// When this role began.
    pub(super) since: Instant,
    /// How long after that something last came in a ping was sent that nothing has come in since, or [`NOT_PINGED`].
    pinged_ms: u32,
    /// Since when control frames are counted, in ms that wrap around. Of a receiver: the slot of its channel.
    controls_since: u32,
    /// Since when messages are counted, likewise.
    pub(super) messages_since: u32,
    /// Of a receiver: whether the connection stays after its answer.
    controls: u16,
    pub(super) messages: u16,
    pub(super) role: Role,
    pub(super) endpoint: u8,
    /// An [`Action::Write`](super::Action::Write) was given and its output has not been emptied since.
    pub(super) write_raised: bool,
    /// Our Close frame is queued; of a receiver: the end of its answer.
    pub(super) close_sent: bool,
    /// A whole message came.
    pub(super) spoke: bool,
    /// Nothing but the Close may go out.
    pub(super) gated: bool,
    pub(super) marks: Marks,
    pub(super) cold: Option<Box<Cold>>,
}

/// What only a busy socket needs.
#[derive(Debug, Default)]
pub(super) struct Cold {
    /// A request's head so far, or input that came while nothing could be handled.
    pub(super) inbox: Vec<u8>,
    /// How far the head was searched for its end.
    pub(super) search: http::HeadSearch,
    /// An unfinished message or frame.
    pub(super) unfinished: Unfinished,
    /// What waits to be written.
    pub(super) output: Output,
    /// The newest ping's payload, while output is blocked.
    pub(super) pong: Option<Box<[u8]>>,
    /// The request that is being answered.
    pub(super) request: Option<Box<Pending>>,
    /// The token that CONNECT, which has not come yet, must carry.
    pub(super) token: Option<Bytes>,
}

impl Cold {
    pub(super) fn is_idle(&self) -> bool {
        self.inbox.is_empty()
            && self.unfinished.is_empty()
            && self.output.is_empty()
            && self.pong.is_none()
            && self.request.is_none()
            && self.token.is_none()
    }

    /// Forgets everything but its small buffers.
    pub(super) fn reset(&mut self) {
        if self.inbox.capacity() > KEEP_BYTES {
            self.inbox = Vec::new();
        }
        self.inbox.clear();
        self.output.trim();
        self.unfinished = Unfinished::default();
        self.search = http::HeadSearch::default();
        self.pong = None;
        self.request = None;
        self.token = None;
    }

    /// Gives up its buffers, but for room for a message or two that others get too.
    pub(super) fn shed(&mut self) {
        self.inbox = Vec::new();
        self.output.shed();
    }
}

/// Input of which more is to come.
#[derive(Debug)]
pub(super) struct Unfinished {
    pub(super) assembler: ws::Assembler,
    /// An unfinished message.
    pub(super) partial: Vec<u8>,
    pub(super) stomp: UnfinishedStomp,
}

/// A STOMP frame of which more is to come.
#[derive(Debug, Default)]
pub(super) struct UnfinishedStomp {
    pub(super) decoder: stomp::Decoder,
    pub(super) frame: Vec<u8>,
}

impl UnfinishedStomp {
    pub(super) fn is_idle(&self) -> bool {
        self.frame.is_empty() && self.decoder.is_between_frames()
    }
}

impl Default for Unfinished {
    fn default() -> Self {
        let stomp = UnfinishedStomp::default();
        Self { assembler: ws::Assembler::new(ws::Role::Server), partial: Vec::new(), stomp }
    }
}

impl Unfinished {
    /// Bytes that are kept.
    pub(super) fn len(&self) -> usize {
        self.partial.len() + self.stomp.frame.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0 && self.assembler.is_fresh() && self.stomp.decoder.is_between_frames()
    }
}

/// A request on its way.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) request: http::Request,
    pub(super) body: Option<http::BodyDecoder>,
    /// Its body, if it has one, was read whole.
    pub(super) read: bool,
    /// Session ids that are still to be tried, the next one last.
    pub(super) ids: Vec<alloc::sync::Arc<str>>,
    /// The handshake that was found in order, if it is one.
    pub(super) upgrade: Option<http::Upgrade>,
    /// The session that a handshake claims, or that another request was found to belong to.
    pub(super) session: Option<alloc::sync::Arc<str>>,
    pub(super) stage: Stage,
    /// What it asks of SockJS, if it does.
    pub(super) errand: Option<super::sockjs::Errand>,
}

/// Whom a request waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// The store.
    Asking,
    /// The embedder.
    Handed,
}

impl Socket {
    pub(super) fn new(token: u64, address: u32, secure: bool, now: Instant) -> Self {
        Self {
            token,
            client: NONE,
            address,
            heard: now,
            since: now,
            pinged_ms: NOT_PINGED,
            controls_since: 0,
            messages_since: 0,
            controls: 0,
            messages: 0,
            role: Role::Head,
            endpoint: 0,
            write_raised: false,
            close_sent: false,
            spoke: false,
            gated: false,
            marks: Marks(Mark::HalfOpen as u16 | if secure { Mark::Secure as u16 } else { 0 }),
            cold: None,
        }
    }

    /// Something came in.
    pub(super) fn hear(&mut self, now: Instant) {
        self.heard = now;
        self.pinged_ms = NOT_PINGED;
    }

    pub(super) fn ping(&mut self, now: Instant) {
        self.pinged_ms = now.since(self.heard).min(u64::from(NOT_PINGED - 1)) as u32;
    }

    /// When a ping was sent that nothing has come in since; [`Instant::NEVER`]: none was.
    pub(super) fn pinged(&self) -> Instant {
        if self.pinged_ms == NOT_PINGED { Instant::NEVER } else { self.heard.after(self.pinged_ms.into()) }
    }

    /// It receives for this channel from now on.
    pub(super) fn receive(&mut self, channel: u32, stays: bool) {
        self.role = Role::Receiver;
        self.close_sent = false;
        self.controls_since = channel;
        self.controls = stays.into();
    }

    /// The slot of the channel that it receives for; [`NONE`]: it is no receiver.
    pub(super) fn channel(&self) -> u32 {
        if self.role == Role::Receiver { self.controls_since } else { NONE }
    }

    /// Whether the connection stays after a receiver's answer.
    pub(super) fn stays(&self) -> bool {
        self.controls != 0
    }

    /// Counts a control frame; how many there were in this window.
    pub(super) fn count_control(&mut self, now: u32, window_ms: u32) -> u16 {
        if now.wrapping_sub(self.controls_since) >= window_ms || self.controls == 0 {
            self.controls_since = now;
            self.controls = 0;
        }
        self.controls = self.controls.saturating_add(1);
        self.controls
    }

    pub(super) fn unsent(&self) -> usize {
        self.cold.as_ref().map_or(0, |cold| cold.output.len())
    }
}

/// What is so or not, one bit each.
#[derive(Debug, Clone, Copy)]
pub(super) struct Marks(u16);

#[derive(Debug, Clone, Copy)]
pub(super) enum Mark {
    /// It came over TLS.
    Secure = 1,
    /// The embedder was told to stop reading.
    ReadingOff = 2,
    /// The peer's Close frame came.
    CloseReceived = 4,
    /// The write half is to be shut once the output is empty.
    Shutdown = 8,
    /// The last write came back short.
    Blocked = 16,
    /// It has not sent a whole head yet, since it was accepted.
    HalfOpen = 32,
    /// The embedder parses its requests, and writes the answers that it gets as parts.
    Asked = 64,
    /// The WebSocket is the embedder's: no byte is read or written here.
    Elsewhere = 128,
    /// What the WebSocket carries are frames of SockJS.
    Framed = 256,
    /// The peer's half is over.
    Ended = 512,
}

impl Marks {
    pub(super) fn has(self, mark: Mark) -> bool {
        self.0 & mark as u16 != 0
    }

    /// Answers how it was before.
    pub(super) fn set(&mut self, mark: Mark, on: bool) -> bool {
        let before = self.has(mark);
        self.0 = self.0 & !(mark as u16) | if on { mark as u16 } else { 0 };
        before
    }
}

/// How far a client's conversation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// Its session is being asked for; the handshake is not answered.
    Pending,
    /// The WebSocket is open; STOMP waits for CONNECT.
    Open,
    /// It has joined.
    Joined,
    /// Nothing it says is handled any more, and no id names it; what was queued for it before its Close is still written.
    Over,
}

/// How a client is spoken with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wire {
    /// Messages of a WebSocket.
    Plain,
    /// Frames of SockJS in them.
    Framed,
    /// Frames of SockJS in answers to requests.
    Channel,
}

/// One who speaks. Under SockJS it may outlive its sockets, so nothing of the byte stream is kept here.
#[derive(Debug)]
pub(super) struct Client {
    /// Its socket; with [`Wire::Channel`] the slot of its channel, in an id that no socket has.
    pub(super) socket: SocketId,
    /// Its neighbours under the same session.
    pub(super) next: u32,
    pub(super) previous: u32,
    /// Head of its list of subscriptions.
    pub(super) subscriptions: u32,
    /// STOMP heart-beats: what was agreed on, in ms; 0: none.
    pub(super) beat_out_ms: u32,
    pub(super) beat_in_ms: u32,
    /// When something was last sent to it, in ms that wrap around.
    told: u32,
    pub(super) version: stomp::Version,
    pub(super) phase: Phase,
    pub(super) endpoint: u8,
    pub(super) wire: Wire,
}

impl Client {
    pub(super) fn new(socket: SocketId, endpoint: u8, now: Instant) -> Self {
        Self {
            socket,
            next: NONE,
            previous: NONE,
            subscriptions: NONE,
            beat_out_ms: 0,
            beat_in_ms: 0,
            told: now.as_millis() as u32,
            version: stomp::Version::V1_0,
            phase: Phase::Pending,
            endpoint,
            wire: Wire::Plain,
        }
    }

    /// From now on it is spoken with through this channel.
    pub(super) fn move_to(&mut self, channel: u32) {
        self.socket = SocketId::new(channel, NO_GENERATION);
        self.wire = Wire::Channel;
    }

    /// The slot of its channel; [`NONE`] if it has a socket.
    pub(super) fn channel(&self) -> u32 {
        if self.wire == Wire::Channel { self.socket.slot() } else { NONE }
    }

    /// Something was sent to it.
    pub(super) fn tell(&mut self, now: Instant) {
        self.told = now.as_millis() as u32;
    }

    /// For how long nothing was sent to it, as long as that is less than 49 days: than any heart-beat's interval.
    pub(super) fn untold_ms(&self, now: Instant) -> u64 {
        (now.as_millis() as u32).wrapping_sub(self.told).into()
    }
}

/// Slot of the session that a client is under. It lies beside the client's generation, since each message asks for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Under(pub(super) u32);

impl Default for Under {
    fn default() -> Self {
        Self(NONE)
    }
}

/// A generation that no slot ever has.
const NO_GENERATION: u32 = 0;
/// No ping was sent since something last came in.
const NOT_PINGED: u32 = u32::MAX;
/// A peer that says nothing is pinged after this long at the latest, 49 days: what is kept of the time is no longer.
pub(super) const PING_EVERY_MS: u64 = NOT_PINGED as u64 - 1;
/// Buffers of up to this many bytes are kept for the next use.
const KEEP_BYTES: usize = 4 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Instant {
        Instant::from_millis(ms)
    }

    #[test]
    fn each_mark_is_its_own() {
        use Mark::{Asked, Blocked, CloseReceived, Elsewhere, Ended, Framed, HalfOpen, ReadingOff, Secure, Shutdown};
        let all = [Secure, ReadingOff, CloseReceived, Shutdown, Blocked, HalfOpen, Asked, Elsewhere, Framed, Ended];
        let mut marks = Marks(0);
        for (n, mark) in all.into_iter().enumerate() {
            assert!(!marks.set(mark, true) && marks.set(mark, true));
            let set: Vec<bool> = all.iter().map(|other| marks.has(*other)).collect();
            assert_eq!(set, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9].map(|other| other <= n));
        }
        for mark in all {
            assert!(marks.set(mark, false) && !marks.set(mark, false) && !marks.has(mark));
        }
        let made = |secure| Socket::new(0, NONE, secure, at(0)).marks;
        assert!(made(true).has(Secure) && !made(false).has(Secure) && made(false).has(HalfOpen));
    }

    #[test]
    fn a_ping_is_forgotten_when_something_comes_in() {
        let mut socket = Socket::new(0, NONE, false, at(1_000));
        assert_eq!(socket.pinged(), Instant::NEVER);
        socket.ping(at(26_000));
        assert_eq!((socket.heard, socket.pinged()), (at(1_000), at(26_000)));
        socket.hear(at(26_100));
        assert_eq!((socket.heard, socket.pinged()), (at(26_100), Instant::NEVER));
        socket.ping(at(26_100));
        assert_eq!(socket.pinged(), at(26_100));
        // Longer than anybody may be silent: it counts as long ago, but as sent.
        socket.ping(at(u64::MAX - 1));
        assert_eq!(socket.pinged(), at(26_100 + PING_EVERY_MS));
    }

    #[test]
    fn what_was_last_sent_is_told_across_the_wrap() {
        const WRAP: u64 = 1 << 32;
        for told in [0, 5, WRAP - 1, WRAP, 7 * WRAP - 3, u64::MAX - 40_000] {
            let mut client = Client::new(SocketId::from_raw(1), 0, at(0));
            client.tell(at(told));
            for silence in [0, 1, 30_000] {
                assert_eq!(client.untold_ms(at(told + silence)), silence);
            }
        }
    }
}
