//! The book of subscriptions: who gets what is published where.
//!
//! It knows clients as numbers and nothing of bytes or frames. A *destination* is a name that is published to, such as
//! `/topic/news`; a *pattern* is subscribed to and stands for many destinations; a *user destination* is what
//! `/user/queue/messages` means for one principal, on all of that principal's sockets.

pub mod access;
pub mod destination;
mod fanout;
mod receivers;
mod subscriptions;

#[allow(unused_imports, reason = "the hub is where they meet")]
pub(crate) use self::fanout::Fanout;
#[allow(unused_imports, reason = "the hub is where they meet")]
pub(crate) use self::receivers::Receiver;
#[allow(unused_imports, reason = "the hub is where they meet")]
pub(crate) use self::subscriptions::{Broker, PATTERNS, Refused, Subscribed, Target};
