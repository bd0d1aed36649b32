//! What the embedder must do: the outputs of the machine.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;

use bytes::Bytes;

use super::{Follows, Handshake, Kind, Publication};
use crate::http;
use crate::ids::{CallId, ClientId, SocketId};
use crate::redis::{Command, Connection};
use crate::session::spring::Alarm;
use crate::session::{Cause, Detector, Op, Record};

/// Something to be done; taken with [`Hub::poll`](super::Hub::poll), in order, before the next wait.
///
/// `token` is what the embedder gave to [`Hub::open`](super::Hub::open), so that it needs no map.
#[derive(Debug)]
#[non_exhaustive]
pub enum Action {
    /// [`Hub::output`](super::Hub::output) is no longer empty. Said once until it has been emptied.
    Write {
        /// The socket.
        socket: SocketId,
        /// The embedder's token.
        token: u64,
    },
    /// Stop or resume reading. Bytes that are on their way nevertheless are kept, up to one message.
    Reading {
        /// The socket.
        socket: SocketId,
        /// The embedder's token.
        token: u64,
        /// Whether to read.
        on: bool,
    },
    /// Shut the write half down once the output is empty, and go on reading: unread input would make the kernel reset
    /// the connection, and the peer would lose what was sent last.
    Shutdown {
        /// The socket.
        socket: SocketId,
        /// The embedder's token.
        token: u64,
    },
    /// Close the socket. Exactly once for each, and its last action, also after [`Event::Closed`](super::Event::Closed).
    Close {
        /// The socket.
        socket: SocketId,
        /// The embedder's token.
        token: u64,
    },
    /// Ask the session store, and answer with [`Event::Answer`](super::Event::Answer). Only with
    /// [`Store::External`](crate::config::Store::External).
    Session {
        /// To be given back with the answer; `None` if no answer is wanted.
        call: Option<CallId>,
        /// The question.
        op: Op,
    },
    /// Send a command to Redis, and answer with [`Event::Reply`](super::Event::Reply). On each connection, in the order
    /// of these actions; those of one turn are best sent together, without waiting in between. Only with
    /// [`Store::Spring`](crate::config::Store::Spring).
    Redis {
        /// To be given back with the reply; `None` if no reply is wanted.
        call: Option<CallId>,
        /// On which connection. One that is not up answers [`Reply::Lost`](crate::redis::Reply::Lost).
        connection: Connection,
        /// The command.
        command: Command,
    },
    /// Pass this on to all other hubs, in order, to be handed in there with [`Event::Relayed`](super::Event::Relayed).
    /// Only with [`Config::relay`](crate::config::Config::relay).
    Relay {
        /// What to pass on.
        publication: Publication,
    },
    /// The application of another hub said something: [`Hub::announce`](super::Hub::announce).
    Announced {
        /// The name of that hub. Each time it starts it has another.
        hub: Box<str>,
        /// What was said.
        body: Bytes,
    },
    /// Something about the session store that an operator should know: for the log.
    Alarm(Alarm),
    /// A client sent something to the application. Answer with [`Hub::publish`](super::Hub::publish),
    /// [`Hub::send`](super::Hub::send) or not at all.
    Deliver {
        /// Who sent it.
        client: ClientId,
        /// The embedder's token of its socket; 0 for a client of SockJS that has no request open to read by.
        token: u64,
        /// What was sent.
        delivery: Delivery,
    },
    /// An HTTP request that is no handshake of an endpoint. Answer with [`Hub::respond`](super::Hub::respond); until
    /// then the connection waits, for ANSWER_TIME at the most: then the answer is 504, and the connection ends.
    Request {
        /// Where to answer.
        socket: SocketId,
        /// The embedder's token.
        token: u64,
        /// What was asked, and by whom.
        request: Box<Request>,
    },
    /// The answer to what came through [`Hub::ask`](super::Hub::ask). What is next for this socket is what `follows` says.
    Response {
        /// Whose answer it is.
        socket: SocketId,
        /// The embedder's token.
        token: u64,
        /// Status and headers, and the body unless that follows. `Date`, and what frames the body, are the embedder's to
        /// add.
        response: Box<http::Response>,
        /// What comes behind it.
        follows: Follows,
    },
    /// Send this message on a WebSocket of the embedder's own: [`Hub::join`](super::Hub::join).
    Message {
        /// Whose it is.
        socket: SocketId,
        /// The embedder's token.
        token: u64,
        /// How to send it.
        kind: Kind,
        /// The message.
        payload: Bytes,
    },
    /// Close a WebSocket of the embedder's own. Exactly once for each [`Hub::join`](super::Hub::join), and its last
    /// action, also after [`Event::Closed`](super::Event::Closed).
    Disconnect {
        /// Whose it is.
        socket: SocketId,
        /// The embedder's token.
        token: u64,
        /// The code to close it with; 0: it is over already, or says none.
        code: u16,
        /// The reason to close it with.
        reason: Box<str>,
    },
    /// A handshake is in order, and its session alive: does it get in? Answer with [`Hub::decide`](super::Hub::decide), in
    /// ANSWER_TIME at the most: then the answer is 504. Only with [`Config::decide`](crate::config::Config::decide).
    Decide {
        /// Its socket.
        socket: SocketId,
        /// Who it would be.
        client: ClientId,
        /// The embedder's token of its socket.
        token: u64,
        /// What was asked, and by whom.
        handshake: Box<Handshake>,
    },
    /// A client is there: its STOMP CONNECT was accepted, or its raw WebSocket is open.
    Joined {
        /// The client.
        client: ClientId,
        /// The embedder's token of its socket; 0 for a client of SockJS that has no request open to read by.
        token: u64,
        /// Who it is; `None` on an endpoint without login.
        principal: Option<Arc<str>>,
        /// The path of the endpoint that it came to, without what follows it in the target.
        path: Arc<str>,
    },
    /// A client that had joined is gone.
    Left {
        /// The client; its id is stale from now on.
        client: ClientId,
        /// The embedder's token of its socket; 0 for a client of SockJS that has no request open to read by.
        token: u64,
        /// Why.
        cause: Cause,
        /// Who it was.
        principal: Option<Arc<str>>,
    },
    /// A session that had sockets has ended: one line for the log. Its sockets are being closed.
    Ended(Box<Ended>),
}

/// The end of a session, for a log line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// First six hex digits of the SHA-1 of the session's id: enough to follow it through a log, useless to a thief.
    pub session: [u8; 6],
    /// Whose session it was.
    pub principal: Option<Arc<str>>,
    /// Why it ended.
    pub cause: Cause,
    /// What found it.
    pub detector: Detector,
    /// How long after its end it was found, in milliseconds.
    pub late_ms: u64,
    /// How many sockets are being closed.
    pub sockets: u32,
}

/// An HTTP request together with the session it belongs to.
#[derive(Debug)]
pub struct Request {
    /// The request, body included.
    pub http: http::Request,
    /// The session that its cookie names, if it is alive.
    pub session: Option<Record>,
}

/// The answer to a [`Request`].
#[derive(Debug)]
pub struct Response {
    /// Status, headers, body.
    pub http: http::Response,
    /// What becomes of the session. It is carried out before the answer is sent, which then carries the cookie.
    pub session: Change,
}

/// What an HTTP answer does to the session of its request.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Change {
    /// Nothing.
    #[default]
    Keep,
    /// A login: the session gets a new id (a new session if there was none), this principal and these attributes.
    Login {
        /// The principal's name.
        principal: Arc<str>,
        /// Attributes to be set.
        attributes: Vec<(Box<str>, Bytes)>,
    },
    /// A logout: the session ends, and every socket under it.
    End,
}

/// What a client sent to the application.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// How it was sent.
    pub kind: DeliveryKind,
    /// Who sent it.
    pub principal: Option<Arc<str>>,
    /// The destination in full, such as `/app/im`; the endpoint's path for raw messages.
    pub destination: Arc<str>,
    /// STOMP `content-type`, if there was one.
    pub content_type: Option<Box<str>>,
    /// The body of a SEND, or the payload of a raw message. It shares one allocation with its neighbours: copy it to
    /// keep it for long.
    pub body: Bytes,
}

/// How a [`Delivery`] was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeliveryKind {
    /// A STOMP SEND to an application destination.
    Send,
    /// A STOMP SUBSCRIBE to an application destination; answer once, with [`Hub::answer`](super::Hub::answer).
    Subscribe {
        /// The client's subscription id, to be given back.
        id: Box<str>,
    },
    /// A text message on a raw endpoint.
    Text,
    /// A binary message on a raw endpoint.
    Binary,
}
