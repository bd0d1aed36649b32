//! Integers with names.

/// What is spoken at an endpoint.
#[repr(u32)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum tethered_endpoint_kind {
    /// WebSocket messages of your own, which come as TETHERED_DELIVER. Whoever connects gets in, without a login, unless
    /// its flags say otherwise.
    TETHERED_ENDPOINT_RAW = 1,
    /// STOMP 1.0 to 1.2, for those who are logged in, unless its flags say otherwise.
    TETHERED_ENDPOINT_STOMP = 2,
}

/// Who gets in at an endpoint.
#[repr(u32)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum tethered_endpoint_flags {
    /// A live session with a principal is needed; anything else is answered 401.
    TETHERED_ENDPOINT_LOGIN = 1,
    /// No cookie is read, nobody is bound to a session.
    TETHERED_ENDPOINT_NO_LOGIN = 2,
    /// Any Origin is let in. Only ever for endpoints that read no cookie.
    TETHERED_ENDPOINT_ANY_ORIGIN = 4,
    /// It is a SockJS service: path is its prefix, plain WebSockets are taken at path + "/websocket", and the transports of
    /// SockJS 0.3.3 below path.
    TETHERED_ENDPOINT_SOCKJS = 8,
}

/// What the host takes part in.
#[repr(u32)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum tethered_config_flags {
    /// HTTP requests that are no handshake of an endpoint come as TETHERED_REQUEST. Without it they are answered 404.
    TETHERED_CONFIG_REQUESTS = 1,
    /// Each handshake whose session is alive comes as TETHERED_DECIDE. Without it the session decides.
    TETHERED_CONFIG_DECIDE = 2,
    /// There are other hubs: what is published comes as TETHERED_RELAY as well.
    TETHERED_CONFIG_RELAY = 4,
}

/// Where sessions live.
#[repr(u32)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum tethered_store {
    /// In the hub's own memory; or where the toml of the configuration says.
    TETHERED_STORE_MEMORY = 0,
    /// On a Redis, where Spring Session keeps them: TETHERED_REDIS.
    TETHERED_STORE_REDIS = 1,
    /// Elsewhere: TETHERED_SESSION.
    TETHERED_STORE_EXTERNAL = 2,
}

/// What is known of a connection when it is accepted.
#[repr(u32)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum tethered_peer_flags {
    /// It came over TLS (which you have already taken off).
    TETHERED_PEER_SECURE = 1,
}

/// What an action asks for. Expect, and skip, kinds that are not listed here.
#[repr(u32)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum tethered_action_kind {
    /// There is output to be written for this socket (token): take it with tethered_output. Said once until all of it is
    /// written, so wait for the socket to become writable if it takes only a part.
    TETHERED_WRITE = 1,
    /// Stop (flags 0) or resume (flags 1) reading from this socket (token). What is read nevertheless is kept, up to the
    /// size of one message.
    TETHERED_READING = 2,
    /// Shut the write half of this socket down (token) and go on reading: to close it now would make the kernel reset it,
    /// and the peer could lose what was sent last. The output is empty when this comes. Of what came through
    /// tethered_ask: the body of its response is whole.
    TETHERED_SHUTDOWN = 3,
    /// Close this socket (token) and forget it. Each one gets exactly one, and it is its last action, also after
    /// tethered_closed: free what hangs on the token here, and nowhere else. Of what came through tethered_join: close
    /// your WebSocket with the code in flags (0: it is over, or needs none) and the reason in data.
    TETHERED_CLOSE = 4,
    /// A client (id) sent something to the application: data, of the kind that flags tell (tethered_message_kind), to
    /// name: the destination, or the path of its endpoint. Details: the content-type as a header, principal and session.
    TETHERED_DELIVER = 5,
    /// Send data on the WebSocket (socket, token) that came through tethered_join, of the kind that flags tell
    /// (tethered_message_kind).
    TETHERED_MESSAGE = 6,
    /// Answer the request (socket, token) that came through tethered_ask: its status is in id, its body in data, its
    /// headers in the details. What comes next is what flags tell (tethered_follows).
    TETHERED_RESPONSE = 7,
    /// A request (socket, token) that is no handshake: its body in data, its target in name, all of it in the details.
    /// Answer it with tethered_respond; until then its connection waits.
    TETHERED_REQUEST = 8,
    /// A handshake (socket, token, client id) whose session is alive: the target in data, the session's id in name, all of
    /// it in the details. Answer it with tethered_decide; until then it waits.
    TETHERED_DECIDE = 9,
    /// A client (id, token) is there: its STOMP CONNECT was accepted, or its raw WebSocket is open. Its principal is in
    /// name, the path of its endpoint in data. As in all that is about a client, token is 0 for one of SockJS that has no
    /// request open to read by.
    TETHERED_JOINED = 10,
    /// A client (id, token) that had joined is gone; its id is stale from now on. Why is in flags (tethered_cause), and as
    /// a word in data; its principal is in name.
    TETHERED_LEFT = 11,
    /// Send this command (argc, argv, argvlen) to Redis, on the connection that flags tell (tethered_connection), in the
    /// order in which they come. The reply to it goes to tethered_reply with this id; if that is 0 none is wanted.
    TETHERED_REDIS = 12,
    /// Ask your session store (argc, argv, argvlen). The answer goes to tethered_reply with this id; if that is 0 none is
    /// wanted. The verbs, and how each is answered:
    ///
    /// LOAD id: who is it, and is it alive? TETHERED_REPLY_LIST, with the milliseconds it lives unless renewed (negative:
    /// for ever) as the value, and as items its id, its principal (empty: nobody), then names and values of its attributes
    /// in turn; or TETHERED_REPLY_NIL: there is no such session. CHECK id: is it alive? TETHERED_REPLY_INT with those
    /// milliseconds, or NIL. TOUCH id age: renew it, as of age milliseconds ago, if it is alive and that is later than what
    /// the store holds; answered as CHECK. CREATE id principal name value...: make a new session; answered as LOAD.
    /// RENAME from to principal name value...: give a live session another id and principal, and set attributes; answered
    /// as LOAD. END id: end it; NIL. TETHERED_REPLY_LOST: the store could not be asked.
    TETHERED_SESSION = 13,
    /// Pass data on to all other hubs, in order, to be handed in there with tethered_relayed.
    TETHERED_RELAY = 14,
    /// The application of another hub (name) said this (data), with tethered_announce.
    TETHERED_ANNOUNCED = 15,
}

/// What comes behind a TETHERED_RESPONSE.
#[repr(u32)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum tethered_follows {
    /// Nothing: data is the whole body. TETHERED_CLOSE is next.
    TETHERED_FOLLOWS_NOTHING = 0,
    /// The body, piece by piece, through TETHERED_WRITE and tethered_output, not chunked or framed in any other way. With
    /// TETHERED_SHUTDOWN it is whole; a TETHERED_CLOSE without one cuts it off.
    TETHERED_FOLLOWS_BODY = 1,
    /// It is a 101: from now on the socket is as one of tethered_open, and what it carries are WebSocket frames.
    TETHERED_FOLLOWS_FRAMES = 2,
}

/// How a message travels.
#[repr(u32)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum tethered_message_kind {
    /// As text: UTF-8.
    TETHERED_TEXT = 1,
    /// As bytes.
    TETHERED_BINARY = 2,
    /// A STOMP SEND to a destination of the application. Only told.
    TETHERED_SEND = 3,
    /// A STOMP SUBSCRIBE to a destination of the application; data is the subscription's id. Answer it once, with
    /// tethered_answer. Only told.
    TETHERED_SUBSCRIBE = 4,
}

/// What an answer does to the session of its request. It is done before the answer is sent, which then carries the cookie.
#[repr(u32)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum tethered_change {
    /// Nothing.
    TETHERED_CHANGE_KEEP = 0,
    /// A login: the session gets a new id (a new session if there was none), this principal and these attributes.
    TETHERED_CHANGE_LOGIN = 1,
    /// A logout: the session ends, and every socket under it.
    TETHERED_CHANGE_LOGOUT = 2,
}

/// What the host thinks of a handshake.
#[repr(u32)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum tethered_verdict {
    /// It is refused with 403.
    TETHERED_REFUSE = 0,
    /// It gets in.
    TETHERED_ENTER = 1,
}

/// Whose clients tethered_end ends.
#[repr(u32)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum tethered_who {
    /// One client: who is its id, the 8 bytes of a uint64_t. Its session lives on.
    TETHERED_WHO_CLIENT = 1,
    /// A session, which is ended in the store too.
    TETHERED_WHO_SESSION = 2,
    /// All sessions of a user that have clients here.
    TETHERED_WHO_USER = 3,
}

/// Why a client left.
#[repr(u32)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum tethered_cause {
    /// Its session's time ran out. Close code 1008.
    TETHERED_CAUSE_EXPIRED = 1,
    /// Its session was deleted elsewhere. Close code 1008.
    TETHERED_CAUSE_DELETED = 2,
    /// Its session was ended here, by a logout. Close code 1008.
    TETHERED_CAUSE_LOGGED_OUT = 3,
    /// The host ended it. Close code 1008.
    TETHERED_CAUSE_REVOKED = 4,
    /// Its session got another id, or another user, and could not be followed. Close code 1008.
    TETHERED_CAUSE_ROTATED = 5,
    /// The session store was away for too long to vouch for it. Close code 1013.
    TETHERED_CAUSE_STORE_LOST = 6,
    /// It did not read what it was sent. Close code 4500.
    TETHERED_CAUSE_SLOW = 7,
    /// It said nothing when it should have. Close code 4500 or 1002.
    TETHERED_CAUSE_IDLE = 8,
    /// It broke the protocol or a limit. Close code 1002, 1007, 1008 or 1009.
    TETHERED_CAUSE_VIOLATION = 9,
    /// The server is going down. Close code 1001.
    TETHERED_CAUSE_DRAIN = 10,
    /// The peer closed it.
    TETHERED_CAUSE_PEER = 11,
}

/// A connection to Redis.
#[repr(u32)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum tethered_connection {
    /// Where most commands go.
    TETHERED_COMMANDS = 0,
    /// Where channels are subscribed to; nothing but SUBSCRIBE is ever sent here.
    TETHERED_NOTICES = 1,
    /// Where WATCH, MULTI and EXEC go, which must not be mixed with anybody else's commands. Used only where scripts
    /// cannot be: it may be connected when the first command for it comes.
    TETHERED_TRANSACTIONS = 2,
}

/// What a store replied.
#[repr(u32)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum tethered_reply_kind {
    /// Nothing is there.
    TETHERED_REPLY_NIL = 0,
    /// A number.
    TETHERED_REPLY_INT = 1,
    /// A string of bytes; a status such as OK too.
    TETHERED_REPLY_BULK = 2,
    /// The store refused: the text.
    TETHERED_REPLY_ERROR = 3,
    /// A list without lists in it.
    TETHERED_REPLY_LIST = 4,
    /// No reply came: the connection was lost or there was none, or it took too long.
    TETHERED_REPLY_LOST = 5,
}

/// What a store outside says of a session.
#[repr(u32)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum tethered_fate {
    /// Its time ran out.
    TETHERED_FATE_EXPIRED = 1,
    /// It was deleted.
    TETHERED_FATE_DELETED = 2,
    /// It goes by another id now.
    TETHERED_FATE_RENAMED = 3,
}

/// How much a line of the log matters.
#[repr(u32)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum tethered_level {
    /// Something is broken.
    TETHERED_LEVEL_ERROR = 1,
    /// Something deserves a look; an argument that was wrong, among others.
    TETHERED_LEVEL_WARN = 2,
    /// Something happened: a session with clients has ended.
    TETHERED_LEVEL_INFO = 3,
}

/// Which end of a connection a codec is.
#[repr(u32)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum tethered_role {
    /// The server: what it reads is masked, what it writes is not.
    TETHERED_SERVER = 0,
    /// The client: the other way round.
    TETHERED_CLIENT = 1,
}

/// What a WebSocket decoder found: opcodes of RFC 6455.
#[repr(u32)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum tethered_ws_kind {
    /// A text message, which is UTF-8.
    TETHERED_WS_TEXT = 1,
    /// A binary message.
    TETHERED_WS_BINARY = 2,
    /// A Close: the last thing that comes.
    TETHERED_WS_CLOSE = 8,
    /// A ping, to be answered by a pong with the same bytes.
    TETHERED_WS_PING = 9,
    /// A pong.
    TETHERED_WS_PONG = 10,
}

/// Frames of a SockJS server.
#[repr(u32)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum tethered_sockjs_frame {
    /// The first one: o.
    TETHERED_SOCKJS_OPEN = 1,
    /// The server is there: h.
    TETHERED_SOCKJS_HEART_BEAT = 2,
    /// Messages: a["one","two"].
    TETHERED_SOCKJS_MESSAGES = 3,
    /// The last one: c[code,"reason"].
    TETHERED_SOCKJS_CLOSE = 4,
}

/// Commands of STOMP, and what comes between frames.
#[repr(u32)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum tethered_stomp_command {
    /// A line end between frames.
    TETHERED_STOMP_HEART_BEAT = 0,
    /// CONNECT.
    TETHERED_STOMP_CONNECT = 1,
    /// STOMP: CONNECT under its name since 1.1.
    TETHERED_STOMP_STOMP = 2,
    /// SEND.
    TETHERED_STOMP_SEND = 3,
    /// SUBSCRIBE.
    TETHERED_STOMP_SUBSCRIBE = 4,
    /// UNSUBSCRIBE.
    TETHERED_STOMP_UNSUBSCRIBE = 5,
    /// ACK.
    TETHERED_STOMP_ACK = 6,
    /// NACK.
    TETHERED_STOMP_NACK = 7,
    /// BEGIN.
    TETHERED_STOMP_BEGIN = 8,
    /// COMMIT.
    TETHERED_STOMP_COMMIT = 9,
    /// ABORT.
    TETHERED_STOMP_ABORT = 10,
    /// DISCONNECT.
    TETHERED_STOMP_DISCONNECT = 11,
    /// CONNECTED.
    TETHERED_STOMP_CONNECTED = 12,
    /// MESSAGE.
    TETHERED_STOMP_MESSAGE = 13,
    /// RECEIPT.
    TETHERED_STOMP_RECEIPT = 14,
    /// ERROR.
    TETHERED_STOMP_ERROR = 15,
}
