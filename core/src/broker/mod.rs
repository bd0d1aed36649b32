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
mod target;

pub(crate) use self::fanout::Fanout;
pub(crate) use self::subscriptions::{Broker, Refused};
pub(crate) use self::target::Target;
