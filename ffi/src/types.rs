//! What crosses: structs of fixed layout without holes, and integers with names.

use core::ffi::c_char;
use core::ptr;

use tethered_core::time::{Instant, Now, UnixMillis};

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

/// What is spoken at an endpoint.
#[repr(u32)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum tethered_endpoint_kind {
    /// WebSocket messages of your own, which come as TETHERED_DELIVER. Whoever connects gets in, without a login.
    TETHERED_ENDPOINT_RAW = 1,
}

/// A path at which WebSockets are taken. Zero it, then set what you need: 0 is the default of each member but kind.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct tethered_endpoint {
    /// One of tethered_endpoint_kind.
    pub kind: u32,
    /// 0: there are none yet.
    pub flags: u32,
    /// Largest message that is taken, in bytes; a larger one closes its socket with 1009. Default 65,536.
    pub max_message: u64,
    /// Most bytes that may wait for a peer that does not read; more close its socket with 4500. An answer has to fit in,
    /// so an echo wants more than max_message. Default 524,288.
    pub max_unsent: u64,
    /// The exact path, UTF-8, such as "/echo". It begins with / and holds no ?, # or space.
    pub path: tethered_slice,
}

/// How a hub is set up. Zero it, then set what you need: 0 is the default of each member. New members are added at the
/// end.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct tethered_config {
    /// 0: there are none yet.
    pub flags: u64,
    /// Most sockets that are served at a time. Default 18,000.
    pub max_sockets: u64,
    /// Where WebSockets are taken: n_endpoints of them, with different paths. Default: STOMP at "/stomp" for those who are
    /// logged in, which nobody can be before a later version lets C log in, so that it answers 401.
    pub endpoints: *const tethered_endpoint,
    /// How many there are, at most 255.
    pub n_endpoints: usize,
    /// sizeof(tethered_endpoint), as you know it.
    pub endpoint_size: usize,
}

/// What is known of a connection when it is accepted.
#[repr(u32)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum tethered_peer_flags {
    /// It came over TLS (which you have already taken off).
    TETHERED_PEER_SECURE = 1,
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
    /// and the peer could lose what was sent last. The output is empty when this comes.
    TETHERED_SHUTDOWN = 3,
    /// Close this socket (token) and forget it. Each socket gets exactly one, and it is its last action, also after
    /// tethered_closed: free what hangs on the token here, and nowhere else.
    TETHERED_CLOSE = 4,
    /// A client (id) sent a message: data, of the kind that flags tell (tethered_message_kind), to name, the path of its
    /// endpoint.
    TETHERED_DELIVER = 5,
}

/// How a message travels.
#[repr(u32)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum tethered_message_kind {
    /// As text: UTF-8.
    TETHERED_TEXT = 1,
    /// As bytes.
    TETHERED_BINARY = 2,
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
    /// The client that it is about, or 0.
    pub id: u64,
    /// Depends on the kind. Lent.
    pub data: tethered_slice,
    /// Depends on the kind. Lent.
    pub name: tethered_slice,
    /// For kinds to come.
    pub argc: usize,
    /// For kinds to come.
    pub argv: *const *const c_char,
    /// For kinds to come.
    pub argvlen: *const usize,
    /// 0.
    pub reserved: u64,
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
        reserved: 0,
    };
}

#[cfg(target_pointer_width = "64")]
const _: () = {
    assert!(size_of::<tethered_now>() == 16);
    assert!(size_of::<tethered_slice>() == 16);
    assert!(size_of::<tethered_endpoint>() == 40);
    assert!(size_of::<tethered_config>() == 40);
    assert!(size_of::<tethered_peer>() == 32);
    assert!(size_of::<tethered_action>() == 96);
};
