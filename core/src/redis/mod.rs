//! What is said to a Redis and what it says, without a connection: argument vectors out, flat replies in, notices.
//!
//! A [`Command`] is a list of byte strings, as every client library takes it. A [`Reply`] is what came back, never deeper
//! than a list: commands are chosen so that no more is needed. [`keyevent`] reads the channels on which Redis announces
//! what befalls its keys.

mod command;
mod keyevent;
mod reply;

pub use command::{Args, Command};
pub use keyevent::{Keyevent, keyevent, keyevent_channel};
pub use reply::{Item, Reply};

/// Which of the embedder's connections a command goes out on. On each, the order of sending is the order of execution.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Connection {
    /// Where most commands go. On a Cluster, to the node that holds the first key.
    Commands,
    /// Where channels are subscribed to; nothing but SUBSCRIBE is ever sent here. On a Cluster, to every primary: each
    /// announces its own keys only.
    Notices,
    /// Where WATCH, MULTI and EXEC go, which must not be mixed with anybody else's commands. Used only where scripts
    /// cannot be: an embedder may connect it when the first command for it comes.
    Transactions,
}

impl Connection {
    /// A word for logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Commands => "commands",
            Self::Notices => "notices",
            Self::Transactions => "transactions",
        }
    }
}
