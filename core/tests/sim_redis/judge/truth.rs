//! What is true of a session, by the store alone: the truth table, read from the keys themselves.

use crate::redis::{Redis, Stored};
use crate::values::{self, Names};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Truth {
    /// No hash.
    Gone,
    /// A hash that says that it is over, or is none.
    Over,
    /// A hash whose shadow is not there.
    Absent,
    /// For so many milliseconds; `None`: for ever.
    Alive(Option<u64>),
}

impl Truth {
    pub(crate) fn of(redis: &Redis, names: &Names, plain: bool) -> Self {
        let Some(entry) = redis.peek(&names.hash) else { return Self::Gone };
        let Stored::Hash(fields) = &entry.stored else { return Self::Over };
        let value = |name: &[u8]| fields.iter().find(|(known, _)| known == name).map(|(_, value)| &value[..]);
        let (Some(_), Some(last), Some(max)) =
            (value(b"creationTime"), value(b"lastAccessedTime"), value(b"maxInactiveInterval"))
        else {
            return Self::Over;
        };
        let (Some((last, _)), Some(max)) = (values::read_long_in(last), values::read_integer(max)) else {
            return Self::Over;
        };
        match max {
            0 => return Self::Over,
            i64::MIN..0 => return Self::Alive(None),
            _ => {}
        }
        let ends = if plain {
            entry.ends
        } else {
            match redis.peek(&names.shadow) {
                None => return Self::Absent,
                Some(shadow) => shadow.ends,
            }
        };
        let left = ends.unwrap_or(last + max * 1_000) - redis.clock;
        match u64::try_from(left) {
            Ok(left @ 1..) => Self::Alive(Some(left)),
            _ if ends.is_none() => Self::Over,
            _ if plain => Self::Gone,
            _ => Self::Absent,
        }
    }

    pub(crate) fn is_alive(self) -> bool {
        matches!(self, Self::Alive(_))
    }
}

/// What a touch must not change for the worse.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Shape {
    /// Fields that are there of those without which there is no session, when the hash runs out, and its last access.
    hash: Option<(usize, i64, i64)>,
    shadow: Option<i64>,
}

impl Shape {
    pub(crate) fn of(redis: &Redis, names: &Names) -> Self {
        let ends = |ends: Option<i64>| ends.unwrap_or(i64::MAX);
        let hash = redis.peek(&names.hash).map(|entry| match &entry.stored {
            Stored::Hash(fields) => {
                let needed = [&b"creationTime"[..], b"lastAccessedTime", b"maxInactiveInterval"];
                let count = fields.iter().filter(|(name, _)| needed.contains(&&name[..])).count();
                let last = fields.iter().find(|(name, _)| name == b"lastAccessedTime");
                let last = last.and_then(|(_, value)| values::read_long_in(value)).map_or(0, |(last, _)| last);
                (count, ends(entry.ends), last)
            }
            _ => (3, ends(entry.ends), 0),
        });
        Self { hash, shadow: redis.peek(&names.shadow).map(|entry| ends(entry.ends)) }
    }

    /// The last access, if it is another one than before.
    pub(crate) fn moved_to(&self, after: &Self) -> Option<i64> {
        let (Some((.., before)), Some((.., last))) = (self.hash, after.hash) else { return None };
        (last != before).then_some(last)
    }

    pub(crate) fn is_half(&self) -> bool {
        self.hash.is_some_and(|(count, ..)| count < 3)
    }

    /// Why a touch must not lead from this to that.
    pub(crate) fn forbids(&self, after: &Self) -> Option<&'static str> {
        match (self.hash, after.hash) {
            (None, Some(_)) => return Some("it brings the hash back"),
            (Some(_), None) => return Some("it deletes the hash"),
            (Some((_, ends, last)), Some((_, ends_then, last_then))) => {
                if last_then < last {
                    return Some("it turns the last access back");
                }
                if ends_then < ends && ends != i64::MAX {
                    return Some("it shortens the hash's time");
                }
            }
            (None, None) => {}
        }
        match (self.shadow, after.shadow) {
            (None, Some(_)) => Some("it brings the shadow back"),
            (Some(_), None) => Some("it deletes the shadow"),
            (Some(ends), Some(then)) if then < ends && ends != i64::MAX => Some("it shortens the shadow's time"),
            _ => None,
        }
    }
}
