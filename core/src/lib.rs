//! WebSockets tied to a login, as one state machine without sockets, threads or a clock.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(any(feature = "std", test))]
extern crate std;

pub mod broker;
pub mod config;
pub(crate) mod heap;
pub mod http;
pub mod hub;
pub mod ids;
mod index;
mod queue;
mod random;
pub mod redis;
pub mod session;
mod slab;
pub mod sockjs;
pub mod stomp;
pub mod time;
mod wheel;
pub mod ws;
