//! Which sockets can be read or written: one interface, two ways.
//!
//! [`epoll`]: on Linux, an edge-triggered epoll of our own holds the sockets, and its descriptor is the one source that
//! async-io watches: no task, no source and no re-arming per socket. rustix is used for it since `polling` can only be
//! told of a socket by unsafe code.
//!
//! [`reactor`]: elsewhere, or with the feature `portable`, each socket is a source of async-io's reactor.

#[cfg(all(target_os = "linux", not(feature = "portable")))]
mod epoll;
#[cfg(not(all(target_os = "linux", not(feature = "portable"))))]
mod reactor;

#[cfg(all(target_os = "linux", not(feature = "portable")))]
pub(crate) use self::epoll::{Ready, Watched};
#[cfg(not(all(target_os = "linux", not(feature = "portable"))))]
pub(crate) use self::reactor::{Ready, Watched};

/// What is new about a socket. Said once: what is not used up has to be remembered.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Change {
    pub(crate) token: usize,
    pub(crate) readable: bool,
    pub(crate) writable: bool,
    /// The peer has ended its half: after what can be read comes the end.
    pub(crate) ending: bool,
    /// The connection has failed.
    pub(crate) failed: bool,
}
