//! Why a socket was closed, in a sentence.

use alloc::format;
use alloc::string::String;

use super::show::{Hex, Stamp, wall};
use super::view::View;
use crate::hub::Ended;
use crate::session::Cause;
use crate::time::{Instant, Now, UnixMillis};

/// What is known of a socket's end.
#[derive(Debug, Default)]
pub(super) struct End {
    pub(super) cause: Option<Cause>,
    ended: Option<Ended>,
    /// Code and reason of the Close frame.
    pub(super) close: Option<(u16, String)>,
    /// The last answer over HTTP.
    pub(super) status: Option<u16>,
    /// The peer went first.
    pub(super) peer: bool,
    pub(super) closed: bool,
    /// When its client was gone.
    at: Option<Instant>,
    /// Whose doing it was.
    doing: Option<String>,
    /// When its session was last renewed, and when it was to end.
    renewed: Option<UnixMillis>,
    deadline: Option<UnixMillis>,
    /// Bytes that waited, and since when none of them was taken.
    unsent: Option<(usize, UnixMillis)>,
}

impl End {
    /// Its client is gone; `before` is how it was just before that.
    pub(super) fn gone(&mut self, now: Now, before: &View, doing: Option<&str>) {
        self.at = Some(now.mono);
        self.doing = doing.map(String::from);
        self.renewed = before.activity.and_then(|activity| wall(now, activity));
        self.deadline = before.deadline.and_then(|deadline| wall(now, deadline));
        self.unsent = wall(now, before.moved).filter(|_| before.unsent > 0).map(|since| (before.unsent, since));
    }

    /// Its session has ended. Where its client is gone with it, that is why, whether or not it had joined.
    pub(super) fn session_ended(&mut self, now: Now, ended: &Ended) {
        if self.at == Some(now.mono) {
            self.cause.get_or_insert(ended.cause);
            self.ended.get_or_insert_with(|| ended.clone());
        }
    }

    pub(super) fn why(&self) -> String {
        let close = match &self.close {
            Some((code, reason)) => format!(" Close {code} {reason:?}."),
            None => String::new(),
        };
        match self.cause {
            Some(cause) => format!("{}.{}{close}", self.because(cause), self.found()),
            None if self.close.is_some() => format!("it was closed before its client had joined.{close}"),
            None => match (self.peer, self.status, self.closed) {
                (true, _, _) => String::from("the peer ended the connection."),
                (false, Some(status), true) => format!("it was closed after an answer of {status}."),
                (false, None, true) => String::from("it was closed without an answer."),
                (false, _, false) => String::from("it is still open."),
            },
        }
    }

    fn because(&self, cause: Cause) -> String {
        let doing = self.doing.as_deref();
        match cause {
            Cause::Expired => {
                let mut text = String::from("its session ran out");
                if let Some(deadline) = self.deadline {
                    text.push_str(&format!(" at {}", Stamp(deadline)));
                }
                if let Some(renewed) = self.renewed {
                    text.push_str(&format!("; it had last been renewed at {}", Stamp(renewed)));
                }
                text
            }
            Cause::Deleted => String::from("its session was deleted in the store"),
            Cause::LoggedOut => format!("its session was logged out by {}", doing.unwrap_or("the application")),
            Cause::Revoked => format!("it was ended by {}", doing.unwrap_or("the application")),
            Cause::Rotated => match doing {
                Some(doing) => format!("its session belongs to somebody else now, by {doing}"),
                None => String::from("its session got another id or user, and could not be followed"),
            },
            Cause::StoreLost => String::from("the session store was away for too long to vouch for its session"),
            Cause::Slow => match self.unsent {
                Some((bytes, since)) => {
                    format!(
                        "it was too slow: {bytes} bytes waited for it, and it had taken none since {}",
                        Stamp(since)
                    )
                }
                None => String::from("it was too slow: more was sent to it at once than may wait"),
            },
            Cause::Idle => String::from("it was silent for too long"),
            Cause::Violation => String::from("it broke the protocol or a limit"),
            Cause::Drain => String::from("the server was going down"),
            Cause::Peer => String::from("the peer ended the conversation"),
        }
    }

    fn found(&self) -> String {
        match &self.ended {
            Some(ended) => {
                let (id, detector, late_ms) = (Hex(ended.session), ended.detector.as_str(), ended.late_ms);
                format!(" The end of session {id} was found by {detector}, {late_ms} ms late.")
            }
            None => String::new(),
        }
    }
}
