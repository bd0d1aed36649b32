//! What crosses: structs of fixed layout without holes.

use core::ffi::c_char;
use core::ptr;

use tethered_core::time::{Instant, Now, UnixMillis};

use crate::boundary::Plain;

/// Both clocks, read together.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct tethered_now {
    /// Milliseconds on a clock that never goes back, such as CLOCK_MONOTONIC. Every timer runs by it; one that goes back
    /// is taken to stand still.
    pub mono_ms: u64,
    /// Milliseconds since 1970-01-01T00:00:00Z. Only shown and stored.
    pub wall_ms: u64,
}

/// Bytes that belong to somebody else, laid out as struct iovec. ptr may be NULL only where len is 0.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct tethered_slice {
    /// The first byte.
    pub ptr: *const u8,
    /// How many there are.
    pub len: usize,
}

/// A header of HTTP or STOMP.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct tethered_header {
    /// Its name.
    pub name: tethered_slice,
    /// Its value.
    pub value: tethered_slice,
}

/// A path at which WebSockets are taken. Zero it, then set what you need: 0 is the default of each member but kind.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct tethered_endpoint {
    /// One of tethered_endpoint_kind.
    pub kind: u32,
    /// Any of tethered_endpoint_flags.
    pub flags: u32,
    /// Largest message that is taken, in bytes; a larger one closes its socket with 1009. Default: that of the
    /// configuration.
    pub max_message: u64,
    /// Most bytes that may wait for a peer that does not read; more close its socket with 4500. An answer has to fit in,
    /// so an echo wants more than max_message. Default: send_buffer_bytes of the configuration.
    pub max_unsent: u64,
    /// The exact path, UTF-8, such as "/echo". It begins with / and holds no ?, # or space.
    pub path: tethered_slice,
}

/// How a hub is set up. tethered_config_init (or zeroing it) gives the default of each member; then set what you need.
/// What toml says comes first, the other members outweigh it. New members are added at the end.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct tethered_config {
    /// Any of tethered_config_flags.
    pub flags: u64,
    /// Most sockets that are served at a time. Default 18,000.
    pub max_sockets: u64,
    /// How long a session of the store in memory lives without activity, in milliseconds. Default 30 minutes.
    pub idle_ms: u64,
    /// A session is renewed in its store at most once in so many milliseconds. Default 1,000.
    pub touch_ms: u64,
    /// Largest WebSocket message and STOMP frame, in bytes. Default 65,536.
    pub max_message: u64,
    /// Most bytes that may wait for one peer that does not read. Default 524,288.
    pub send_buffer_bytes: u64,
    /// Where WebSockets are taken: n_endpoints of them, with different paths. Default: STOMP at "/stomp" for those who are
    /// logged in.
    pub endpoints: *const tethered_endpoint,
    /// How many there are, at most 255.
    pub n_endpoints: usize,
    /// sizeof(tethered_endpoint), as you know it.
    pub endpoint_size: usize,
    /// Where sessions live: one of tethered_store.
    pub store: u32,
    /// The number of Redis' database: the connections have to SELECT it. Default 0.
    pub redis_database: u32,
    /// The session cookie's name. Default "SESSION".
    pub cookie: tethered_slice,
    /// What keys in Redis begin with, without the colon behind it. Default "spring:session".
    pub redis_namespace: tethered_slice,
    /// Everything else, as text: see tethered_config_parse.
    pub toml: tethered_slice,
}

/// A connection that was accepted.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct tethered_peer {
    /// Yours; it comes back in each action for this socket: a pointer, a descriptor, an index.
    pub token: u64,
    /// Any of tethered_peer_flags.
    pub flags: u32,
    /// 0.
    pub listener: u32,
    /// The peer's address: 4 bytes (IPv4) or 16 (IPv6) in network order; empty if it has none.
    pub address: tethered_slice,
}

/// A request, or what belongs to an action. You fill it in for tethered_ask and tethered_join (zero it first);
/// tethered_details fills it in for you.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct tethered_request {
    /// Yours; it comes back in each action for this socket.
    pub token: u64,
    /// Any of tethered_peer_flags.
    pub flags: u32,
    /// Of a TETHERED_RESPONSE: its status, 101 to 599. Else 0.
    pub status: u32,
    /// The method, such as "GET". Not for tethered_join.
    pub method: tethered_slice,
    /// The target as it came, such as "/stomp?a=b".
    pub target: tethered_slice,
    /// The whole body. Not for tethered_join.
    pub body: tethered_slice,
    /// The id of its session. For tethered_join: empty, and it is read from the cookie. Not for tethered_ask.
    pub session: tethered_slice,
    /// Whose session it is. Only told.
    pub principal: tethered_slice,
    /// The peer's address: 4 bytes (IPv4) or 16 (IPv6) in network order; empty if it has none.
    pub address: tethered_slice,
    /// n_headers headers as they came, Host among them (which HTTP/2 and later call :authority). What frames a body is
    /// left out of account.
    pub headers: *const tethered_header,
    /// How many there are.
    pub n_headers: usize,
    /// Of a TETHERED_REQUEST: n_attributes attributes of its session, as bytes: all that the store in memory has; of a
    /// Redis those that redis-attributes names, by default the CSRF token of Spring Security. Only told; else NULL.
    pub attributes: *const tethered_header,
    /// How many there are.
    pub n_attributes: usize,
}

/// The answer to a TETHERED_REQUEST. Zero it, then set what you need.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct tethered_response {
    /// 200 to 599.
    pub status: u32,
    /// One of tethered_change: what becomes of the session.
    pub change: u32,
    /// n_headers headers. What frames the body, Connection, Date and the session cookie are added.
    pub headers: *const tethered_header,
    /// How many there are.
    pub n_headers: usize,
    /// The body.
    pub body: tethered_slice,
    /// With TETHERED_CHANGE_LOGIN: who has logged in.
    pub principal: tethered_slice,
    /// With TETHERED_CHANGE_LOGIN: n_attributes attributes that the session gets.
    pub attributes: *const tethered_header,
    /// How many there are.
    pub n_attributes: usize,
}

/// Something to be done, as tethered_poll hands it out. What its kind does not speak of is 0. What it points to is lent
/// until the next tethered_poll on this hub, and may be an argument of any other call until then.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct tethered_action {
    /// One of tethered_action_kind, or one of a newer library.
    pub kind: u32,
    /// Depends on the kind.
    pub flags: u32,
    /// The socket that it is about, or 0.
    pub socket: u64,
    /// The token of that socket.
    pub token: u64,
    /// The client or the call that it is about, or 0.
    pub id: u64,
    /// Depends on the kind. Lent.
    pub data: tethered_slice,
    /// Depends on the kind. Lent.
    pub name: tethered_slice,
    /// How many arguments there are.
    pub argc: usize,
    /// The arguments, as redisAsyncCommandArgv takes them: bytes, without a NUL at their ends. Lent.
    pub argv: *const *const c_char,
    /// Their lengths. Lent.
    pub argvlen: *const usize,
    /// More is known: give it to tethered_details. 0: that is all.
    pub details: u64,
}

/// What a socket took of its output.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct tethered_taken {
    /// The socket.
    pub socket: u64,
    /// How many bytes.
    pub len: usize,
}

/// A value in a reply, and a reply of one value.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct tethered_item {
    /// One of tethered_reply_kind; not TETHERED_REPLY_LIST.
    pub kind: u32,
    /// 0.
    pub reserved: u32,
    /// Of TETHERED_REPLY_INT.
    pub value: i64,
    /// Of TETHERED_REPLY_BULK and TETHERED_REPLY_ERROR.
    pub bytes: tethered_slice,
}

/// What a hub has and has done. The first five are how many there are now; the rest only grow.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct tethered_stats {
    /// Sockets.
    pub sockets: u64,
    /// Clients.
    pub clients: u64,
    /// Sessions that have clients.
    pub sessions: u64,
    /// Bytes in buffers: unfinished input and unsent output.
    pub buffered_bytes: u64,
    /// Bytes that are lent, and actions that wait.
    pub lent_bytes: u64,
    /// Actions handed out.
    pub actions: u64,
    /// Sockets opened.
    pub opened: u64,
    /// Sockets closed.
    pub closed: u64,
    /// Bytes received.
    pub received_bytes: u64,
    /// Bytes sent.
    pub sent_bytes: u64,
    /// WebSocket messages and control frames received.
    pub messages_in: u64,
    /// STOMP frames received.
    pub frames_in: u64,
    /// MESSAGE frames queued for receivers.
    pub delivered: u64,
    /// Questions to the session store.
    pub asked: u64,
    /// Touches among them.
    pub touches: u64,
    /// Questions without an answer in time.
    pub calls_lost: u64,
    /// Notices of the session store.
    pub notices: u64,
    /// Clients closed for breaking a protocol or a limit.
    pub violations: u64,
    /// Clients closed for not reading.
    pub slow: u64,
    /// Sockets and requests turned away.
    pub refused: u64,
}

/// A line of the log.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct tethered_log {
    /// One of tethered_level.
    pub level: u32,
    /// 0.
    pub reserved: u32,
    /// The line, UTF-8, without a line end. Lent until the next line is asked for.
    pub text: tethered_slice,
}

impl From<tethered_now> for Now {
    fn from(now: tethered_now) -> Self {
        Self { mono: Instant::from_millis(now.mono_ms), wall: UnixMillis::from_millis(now.wall_ms) }
    }
}

impl tethered_slice {
    pub(crate) const EMPTY: Self = Self { ptr: ptr::null(), len: 0 };

    /// These bytes, for as long as their owner keeps them.
    pub(crate) fn lend(bytes: &[u8]) -> Self {
        if bytes.is_empty() { Self::EMPTY } else { Self { ptr: bytes.as_ptr(), len: bytes.len() } }
    }
}

impl tethered_config {
    pub(crate) const DEFAULT: Self = Self {
        flags: 0,
        max_sockets: 0,
        idle_ms: 0,
        touch_ms: 0,
        max_message: 0,
        send_buffer_bytes: 0,
        endpoints: ptr::null(),
        n_endpoints: 0,
        endpoint_size: 0,
        store: 0,
        redis_database: 0,
        cookie: tethered_slice::EMPTY,
        redis_namespace: tethered_slice::EMPTY,
        toml: tethered_slice::EMPTY,
    };
}

impl tethered_action {
    pub(crate) const NOTHING: Self = Self {
        kind: 0,
        flags: 0,
        socket: 0,
        token: 0,
        id: 0,
        data: tethered_slice::EMPTY,
        name: tethered_slice::EMPTY,
        argc: 0,
        argv: ptr::null(),
        argvlen: ptr::null(),
        details: 0,
    };
}

impl tethered_request {
    pub(crate) const NOTHING: Self = Self {
        token: 0,
        flags: 0,
        status: 0,
        method: tethered_slice::EMPTY,
        target: tethered_slice::EMPTY,
        body: tethered_slice::EMPTY,
        session: tethered_slice::EMPTY,
        principal: tethered_slice::EMPTY,
        address: tethered_slice::EMPTY,
        headers: ptr::null(),
        n_headers: 0,
        attributes: ptr::null(),
        n_attributes: 0,
    };
}

macro_rules! plain {
    ($($name:ident $bytes:literal)*) => {
        $(
            // SAFETY: integers and pointers; the size below is the sum of the members' sizes.
            unsafe impl Plain for $name {}
            #[cfg(target_pointer_width = "64")]
            const _: () = assert!(size_of::<$name>() == $bytes);
        )*
    };
}

plain! {
    tethered_now 16
    tethered_slice 16
    tethered_header 32
    tethered_endpoint 40
    tethered_config 128
    tethered_peer 32
    tethered_request 144
    tethered_response 72
    tethered_action 96
    tethered_taken 16
    tethered_item 32
    tethered_stats 160
    tethered_log 24
}
