//! HTTP sessions and who is bound to them.
//!
//! *Session* always means the HTTP session: a login that slides. This module knows the questions a store is asked
//! ([`Op`], [`Answer`]), the store inside the process ([`memory`]), Spring Session's on a Redis ([`spring`]), the tokens that
//! prove a page to be a session's own ([`csrf`]), and the book of sessions that have clients.

pub mod csrf;
pub(crate) mod life;
pub mod memory;
mod op;
pub(crate) mod pulse;
pub mod spring;

pub use op::{Answer, Cause, Detector, Op, Record};
