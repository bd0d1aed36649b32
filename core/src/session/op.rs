//! The questions a session store is asked, and its answers.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;

use bytes::Bytes;

/// A question to the session store. Each is one atomic step there.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Op {
    /// Who is this, and is it alive? Renews nothing. Answer: [`Answer::Alive`] with its record, or [`Answer::Gone`].
    Load {
        /// The session's id.
        id: Arc<str>,
    },
    /// Is it alive? Renews nothing. Answer: [`Answer::Alive`] without a record, or [`Answer::Gone`].
    Check {
        /// The session's id.
        id: Arc<str>,
    },
    /// Renew it, if it is alive and if that is later than what the store holds: nothing is brought back, no time goes
    /// back. Answer: as for [`Op::Check`].
    Touch {
        /// The session's id.
        id: Arc<str>,
        /// How long ago the activity was, in milliseconds: clocks need not agree.
        age_ms: u64,
    },
    /// Make a new session. Answer: [`Answer::Alive`] with its record.
    Create {
        /// The new id: one that nobody can guess.
        id: Arc<str>,
        /// Who it belongs to.
        principal: Option<Arc<str>>,
        /// Attributes from the start.
        attributes: Vec<(Box<str>, Bytes)>,
    },
    /// Give a live session another id and principal, as a login does. Answer: [`Answer::Alive`] with its record under
    /// the new id, or [`Answer::Gone`].
    Rename {
        /// The id so far.
        from: Arc<str>,
        /// The new id: one that nobody can guess.
        to: Arc<str>,
        /// Who it belongs to from now on.
        principal: Option<Arc<str>>,
        /// Attributes to be set; others stay.
        attributes: Vec<(Box<str>, Bytes)>,
    },
    /// End it. Answer: [`Answer::Gone`].
    End {
        /// The session's id.
        id: Arc<str>,
    },
}

/// What the store answers.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Answer {
    /// The session is alive.
    Alive {
        /// For how long from now unless it is renewed, in milliseconds; `None` if it never ends.
        ttl_ms: Option<u64>,
        /// Its contents, where the question asked for them.
        record: Option<Box<Record>>,
    },
    /// There is no such session, or it has ended.
    Gone,
    /// It is not there any more. Whether it has ended or goes by another id now, nobody can tell.
    Vanished,
    /// The store could not be asked, or did not answer in time. Never taken for [`Answer::Gone`].
    Lost,
}

/// What the store holds of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Its id.
    pub id: Arc<str>,
    /// The principal's name, if somebody is logged in.
    pub principal: Option<Arc<str>>,
    /// Attributes by name.
    pub attributes: Vec<(Box<str>, Bytes)>,
}

impl Record {
    /// The value of an attribute.
    pub fn attribute(&self, name: &str) -> Option<&[u8]> {
        self.shared_attribute(name).map(|value| &value[..])
    }

    /// The same, to be kept without a copy.
    pub(crate) fn shared_attribute(&self, name: &str) -> Option<&Bytes> {
        self.attributes.iter().find(|(n, _)| &**n == name).map(|(_, value)| value)
    }
}

/// Why a client was closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Cause {
    /// Its session's time ran out. Close code 1008.
    Expired,
    /// Its session was deleted elsewhere. Close code 1008.
    Deleted,
    /// Its session was ended here, by a logout. Close code 1008.
    LoggedOut,
    /// The embedder ended it. Close code 1008.
    Revoked,
    /// Its session got another id, or another user, and could not be followed. Close code 1008.
    Rotated,
    /// The session store was away for too long to vouch for it. Close code 1013.
    StoreLost,
    /// It did not read what it was sent: too many bytes queued, or a write that did not move. Close code 4500.
    Slow,
    /// It said nothing when it should have: no first message, no pong, no heart-beat. Close code 4500 or 1002.
    Idle,
    /// It broke the protocol or a limit. Close code 1002, 1007, 1008 or 1009.
    Violation,
    /// The server is going down. Close code 1001.
    Drain,
    /// The peer closed it.
    Peer,
}

impl Cause {
    /// A word for logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Expired => "expired",
            Self::Deleted => "deleted",
            Self::LoggedOut => "logged-out",
            Self::Revoked => "revoked",
            Self::Rotated => "rotated",
            Self::StoreLost => "store-lost",
            Self::Slow => "slow",
            Self::Idle => "idle",
            Self::Violation => "violation",
            Self::Drain => "drain",
            Self::Peer => "peer",
        }
    }
}

/// What found the end of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Detector {
    /// A notice of the store.
    Notice,
    /// The session's own deadline.
    Deadline,
    /// The regular look at every bound session.
    Sweep,
    /// A touch that found nothing to renew.
    Touch,
    /// This machine ended it itself.
    Local,
}

impl Detector {
    /// A word for logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Notice => "notice",
            Self::Deadline => "deadline",
            Self::Sweep => "sweep",
            Self::Touch => "touch",
            Self::Local => "local",
        }
    }
}
