//! How a call went.

use core::ffi::{CStr, c_char};
use std::borrow::Cow;

/// How a call went: one of tethered_status_code, or one of a newer library: 0 is success, what is positive was a success
/// with a remark, what is negative changed nothing (but for TETHERED_E_PANIC and TETHERED_E_PROTOCOL).
pub type tethered_status = i32;

/// The values of a tethered_status. They never change their meaning; expect ones that are not listed here.
#[repr(i32)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum tethered_status_code {
    /// Done.
    TETHERED_OK = 0,
    /// The id names something that has ended. Nothing was done, and nothing is wrong: between an action and the call that
    /// it leads to, a peer may go.
    TETHERED_STALE = 1,
    /// What was given is used up, or the room is too small: go on with more.
    TETHERED_MORE = 2,
    /// Done, but too much waits. Of tethered_send: for this peer, who reads slowly; send it less, for at twice as much it
    /// is closed. Of tethered_received and tethered_message: for tethered_poll, 1,024 actions or more; poll before you read
    /// on, for a peer whose bytes would be more than the limit MEMORY is closed.
    TETHERED_PRESSURE = 3,
    /// Done: this peer does not get in. Close its WebSocket; nothing more comes for it.
    TETHERED_REFUSED = 4,
    /// An argument that can never be right: NULL where it may not be, a pointer that is no such handle, a length that cannot
    /// be, an unknown flag, text that is not UTF-8, a configuration that makes no sense. The log says which.
    TETHERED_E_ARGUMENT = -1,
    /// Another thread is inside this handle. Use it on one thread at a time.
    TETHERED_E_BUSY = -3,
    /// There is no memory for it. Nothing was done, and nothing is lost: try again when something was freed, and read no
    /// more from this peer until then. What gives memory back, and what ends somebody, never comes back with this.
    TETHERED_E_MEMORY = -4,
    /// The caller's struct has members that this library does not know, and they are not zero: the library is older than
    /// the header.
    TETHERED_E_VERSION = -5,
    /// Too many sockets: close the new one at once.
    TETHERED_E_LIMIT = -6,
    /// A codec met bytes that its protocol does not allow. The connection is over.
    TETHERED_E_PROTOCOL = -7,
    /// A bug in tethered, caught; tethered_log_next tells what it was. The handle is of no use any more: free it, and close
    /// the sockets of a hub. Other handles go on.
    TETHERED_E_PANIC = -8,
    /// An earlier call on this handle came back with TETHERED_E_PANIC.
    TETHERED_E_POISONED = -9,
}

/// Why a step failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) code: tethered_status_code,
    /// A sentence for the log, in which the argument is named.
    pub(crate) what: Option<Cow<'static, str>>,
}

impl From<tethered_status_code> for Fault {
    fn from(code: tethered_status_code) -> Self {
        Self { code, what: None }
    }
}

/// An argument that can never be right.
pub(crate) fn wrong(what: impl Into<Cow<'static, str>>) -> Fault {
    Fault { code: tethered_status_code::TETHERED_E_ARGUMENT, what: Some(what.into()) }
}

/// What a fallible step gives.
pub(crate) type Outcome<T> = Result<T, Fault>;

/// The status of a call.
pub(crate) fn status(outcome: Outcome<tethered_status_code>) -> tethered_status {
    outcome.unwrap_or_else(|fault| fault.code) as tethered_status
}

/// One sentence on a status: what was wrong and what to do. Static; never NULL, whatever the number.
#[unsafe(no_mangle)]
pub extern "C" fn tethered_strerror(status: tethered_status) -> *const c_char {
    sentence(status).as_ptr()
}

fn sentence(status: tethered_status) -> &'static CStr {
    use tethered_status_code::*;
    let known = [
        (TETHERED_OK, c"done"),
        (TETHERED_STALE, c"the id names something that has ended; nothing to do"),
        (TETHERED_MORE, c"what was given is used up, or the room is too small: go on with more"),
        (
            TETHERED_PRESSURE,
            c"done, but too much waits, for this peer or for tethered_poll: send it less, and poll before you read on",
        ),
        (TETHERED_REFUSED, c"this peer does not get in: close its WebSocket"),
        (
            TETHERED_E_ARGUMENT,
            c"an argument can never be right: tethered_log_next says which, and tethered.h what may be",
        ),
        (TETHERED_E_BUSY, c"another thread is inside this handle: use it on one thread at a time"),
        (TETHERED_E_MEMORY, c"there is no memory for it, and nothing was done: try again when something was freed"),
        (
            TETHERED_E_VERSION,
            c"the struct has members that this library does not know: use the library of your tethered.h",
        ),
        (TETHERED_E_LIMIT, c"too many sockets: close this one at once, or raise max_sockets"),
        (TETHERED_E_PROTOCOL, c"these bytes are not allowed by their protocol: end the connection"),
        (
            TETHERED_E_PANIC,
            c"a bug in tethered was caught: close the sockets of this hub and free it; please report it",
        ),
        (TETHERED_E_POISONED, c"an earlier call on this handle met a bug in tethered: close its sockets and free it"),
    ];
    let found = known.iter().find(|(code, _)| *code as i32 == status);
    found.map_or(c"a status that this library does not know", |(_, sentence)| sentence)
}
