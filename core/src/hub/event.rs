//! What happened outside: the inputs of the machine.

use crate::ids::{CallId, ClientId, SocketId};
use crate::redis::{Connection, Reply};
use crate::session::Answer;

/// Something that happened outside; given to [`Hub::handle`](super::Hub::handle).
///
/// Ids that no longer name anything are ignored: between an action of the machine and an event of the world there is a
/// race that no embedder can avoid.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// Bytes came in on a socket. They are unmasked in place and never kept: the buffer may be reused at once.
    Received {
        /// The socket.
        socket: SocketId,
        /// What was read, in order; any cut is as good as any other.
        bytes: &'a mut [u8],
    },
    /// The socket took this many bytes of [`Hub::output`](super::Hub::output).
    Sent {
        /// The socket.
        socket: SocketId,
        /// Bytes taken; more than there were is taken for all there were.
        len: usize,
    },
    /// The peer ended the stream, or the socket failed. [`Action::Close`](super::Action::Close) follows, once.
    Closed {
        /// The socket.
        socket: SocketId,
    },
    /// A whole message came in at a WebSocket of the embedder's own: [`Hub::join`](super::Hub::join).
    Message {
        /// The client.
        client: ClientId,
        /// How it came.
        kind: super::Kind,
        /// The message. Text that is not UTF-8 is a violation of the peer's.
        bytes: &'a [u8],
    },
    /// A client spoke in a protocol of the embedder's own: its session is renewed.
    Activity {
        /// The client.
        client: ClientId,
    },
    /// The answer to an [`Action::Session`](super::Action::Session).
    Answer {
        /// The call that is answered.
        call: CallId,
        /// What the store said; [`Answer::Lost`] if it could not be asked or did not reply in time.
        answer: Answer,
    },
    /// The reply to an [`Action::Redis`](super::Action::Redis). That of a SUBSCRIBE is given once, when all its
    /// channels are confirmed.
    Reply {
        /// The call that is answered.
        call: CallId,
        /// What Redis replied, or [`Reply::Lost`].
        reply: Reply<'a>,
    },
    /// A message came in on a channel that was subscribed to on [`Connection::Notices`], as it came, in order.
    Notification {
        /// Which node it came from; 0 where there is only one.
        node: u32,
        /// The channel.
        channel: &'a [u8],
        /// The message.
        payload: &'a [u8],
    },
    /// A connection to Redis is up, authenticated, and in the right database. Nothing was sent on it yet; nothing will
    /// come from one before it. On a Cluster also for each node that joined, or whose connection was renewed.
    Connected {
        /// Which one.
        connection: Connection,
    },
    /// A connection to Redis is gone. Its open calls are answered by this: nothing more need be said of them.
    Disconnected {
        /// Which one.
        connection: Connection,
    },
    /// Another hub passed something on: the bytes of its [`Action::Relay`](super::Action::Relay), in order. A hub's own
    /// may come back to it: they are ignored.
    Relayed {
        /// [`Publication::as_bytes`](super::Publication::as_bytes), as they were sent.
        publication: &'a [u8],
    },
    /// The store says that something befell a session. It is checked before it is believed.
    Notice {
        /// The session's id.
        session: &'a str,
        /// What is said of it.
        notice: Notice<'a>,
    },
    /// The store's notices are coming in from now on. For an external store: a Redis is watched by the hub itself. Whatever was missed before is looked for at once.
    NoticesOn,
    /// The store's notices are no longer coming in.
    NoticesLost,
    /// Time has passed: to be sent when [`Hub::next_deadline`](super::Hub::next_deadline) is reached.
    Tick,
}

/// What a store's notice says of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Notice<'a> {
    /// Its time ran out.
    Expired,
    /// It was deleted: logout, or a hand at work.
    Deleted,
    /// It goes by another id now.
    Renamed {
        /// The new id.
        to: &'a str,
    },
}
