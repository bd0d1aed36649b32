//! How a call went.

use core::ffi::{CStr, c_char};

/// How a call went: one of tethered_status_code, or one of a newer library: 0 is success, what is positive was a success
/// with a remark, what is negative changed nothing (but for TETHERED_E_PANIC).
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
    /// An argument that can never be right: NULL where it may not be, a pointer that is no hub, a length that cannot be, an
    /// unknown flag, text that is not UTF-8, a configuration that makes no sense.
    TETHERED_E_ARGUMENT = -1,
    /// Another thread is inside this hub. Use a hub on one thread at a time.
    TETHERED_E_BUSY = -3,
    /// The caller's struct has members that this library does not know, and they are not zero: the library is older than
    /// the header.
    TETHERED_E_VERSION = -5,
    /// Too many sockets: close the new one at once.
    TETHERED_E_LIMIT = -6,
    /// A bug in tethered, caught; what it was is on standard error. The hub is of no use any more: close its sockets and
    /// free it. Other hubs go on.
    TETHERED_E_PANIC = -8,
    /// An earlier call on this hub came back with TETHERED_E_PANIC.
    TETHERED_E_POISONED = -9,
}

/// What a fallible step gives.
pub(crate) type Outcome<T> = Result<T, tethered_status_code>;

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
        (TETHERED_E_ARGUMENT, c"an argument can never be right: see what tethered.h says of this function"),
        (TETHERED_E_BUSY, c"another thread is inside this hub: use a hub on one thread at a time"),
        (
            TETHERED_E_VERSION,
            c"the struct has members that this library does not know: use the library of your tethered.h",
        ),
        (TETHERED_E_LIMIT, c"too many sockets: close this one at once, or raise max_sockets"),
        (
            TETHERED_E_PANIC,
            c"a bug in tethered was caught: close the sockets of this hub and free it; please report it",
        ),
        (TETHERED_E_POISONED, c"an earlier call on this hub met a bug in tethered: close its sockets and free it"),
    ];
    let found = known.iter().find(|(code, _)| *code as i32 == status);
    found.map_or(c"a status that this library does not know", |(_, sentence)| sentence)
}
