//! Times, sessions and the like, as they are told.

use alloc::string::String;
use core::fmt::{self, Write};

use super::text::push_stamp;
use crate::time::{Instant, Now, UnixMillis};

/// What the wall clock showed, or will show, at an instant, by both clocks at another one.
pub(super) fn wall(now: Now, at: Instant) -> Option<UnixMillis> {
    (at != Instant::NEVER).then(|| now.wall.before(now.mono.since(at)).after(at.since(now.mono)))
}

/// A time as a recording writes it.
pub(super) struct Stamp(pub(super) UnixMillis);

impl fmt::Display for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::new();
        push_stamp(&mut text, self.0);
        f.write_str(&text)
    }
}

/// When a session ends, if that is known.
pub(super) struct Until(pub(super) Option<UnixMillis>);

impl fmt::Display for Until {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(until) => write!(f, "; unless it is renewed, the session ends at {}", Stamp(until)),
            None => Ok(()),
        }
    }
}

/// The fingerprint of a session.
pub(super) struct Hex(pub(super) [u8; 6]);

impl fmt::Display for Hex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|&digit| f.write_char(char::from(digit)))
    }
}
