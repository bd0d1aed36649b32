//! What an operator should know: said rarely, counted always.

use alloc::boxed::Box;
use alloc::string::String;
use core::fmt;

use crate::time::Instant;

/// Something about the session store that an operator should know.
///
/// The same kind is told at most once in ten seconds; what came between is in [`count`](Self::count).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alarm {
    /// What is wrong.
    pub kind: AlarmKind,
    /// How often it has happened so far.
    pub count: u64,
    /// What Redis said, or what was wrong with it; printable, at most 200 bytes.
    pub detail: Box<str>,
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident, $word:literal, $text:literal;)*) => {
        /// What is wrong with the session store.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum AlarmKind {
            $($(#[$doc])* $name,)*
        }

        impl AlarmKind {
            /// All of them.
            pub const ALL: [Self; [$($word),*].len()] = [$(Self::$name),*];

            /// A word for counters and logs.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $word,)*
                }
            }

            /// What is wrong, and what to do.
            pub const fn text(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }
        }
    };
}

kinds! {
    /// LOADING, MASTERDOWN: Redis is starting or has lost its primary.
    NotReady, "redis-not-ready", "Redis is up but cannot serve yet; it is asked again";
    /// BUSY: a script of somebody else does not end.
    Busy, "redis-busy", "Redis is held up by a script that does not end; see SCRIPT KILL";
    /// READONLY, NOREPLICAS: this Redis takes no writes.
    ReadOnly, "redis-read-only", "Redis takes no writes: a replica was given as address, or its primary is cut off";
    /// OOM, MISCONF: Redis cannot store.
    Full, "redis-full", "Redis takes no writes: its memory or its disk is full";
    /// NOAUTH, NOPERM, WRONGPASS: something is not allowed.
    Forbidden, "redis-forbidden", "Redis does not allow a command: see its ACL and the rules that the README lists";
    /// WRONGTYPE: a key of the namespace holds something else.
    WrongType, "redis-wrong-type", "a key of the namespace holds something that Spring Session does not write";
    /// MOVED, ASK, CROSSSLOT, CLUSTERDOWN: this is a Cluster.
    Moved, "redis-moved", "Redis redirects: this is a Cluster, to be configured as such, or its slots are moving";
    /// Another error.
    Refused, "redis-error", "Redis refused a command";
    /// A reply of another shape than was asked for, or over BULK or ARRAY.
    Shape, "redis-reply", "Redis replied something that was not understood";
    /// No reply came within REPLY.
    Silent, "redis-silent", "Redis did not reply in time";
    /// Values of a session could not be read.
    Unreadable, "session-unreadable", "a session's values are neither Java's serialization nor JSON; it is taken for none";
    /// Scripts cannot be used.
    NoScripts, "no-scripts", "Redis takes no scripts (they need Redis 5, and EVAL in its ACL): WATCH and MULTI are used";
    /// Scripts cannot be used on a Cluster, where nothing else can be.
    ScriptsNeeded, "scripts-needed",
        "a Cluster's sessions cannot be renewed without scripts: allow EVAL and EVALSHA, or keep all keys in one slot by a \
         namespace in braces";
    /// A session is made before the layout is known.
    LayoutAssumed, "layout-assumed",
        "which layout the namespace has could not be found out: the indexed one is used until a session proves the plain one; \
         better set it";
    /// A session of the plain layout where the indexed one is used.
    LayoutMixed, "layout-mixed",
        "a session of the plain layout is in a namespace of the indexed one: set the layout, or use two namespaces";
    /// An attribute cannot be written.
    Unwritable, "session-unwritable", "an attribute that is to be stored is no text in UTF-8";
    /// The flags of keyspace events are not set and may not be.
    NoNotices, "no-notices",
        "Redis announces no ends of sessions and CONFIG is not allowed; set notify-keyspace-events to gxeE. Until then \
         sessions are looked at in intervals";
    /// Evictions are not announced.
    NoEvictions, "no-eviction-notices", "Redis does not announce evictions: set notify-keyspace-events to gxeE";
    /// What was published did not come back in time.
    NoEcho, "no-echo", "the subscription to Redis' notices does not deliver; sessions are looked at in intervals";
    /// More questions than INFLIGHT and its queue hold.
    Overload, "redis-overload", "more questions wait for Redis than are kept (INFLIGHT); they count as lost";
}

impl fmt::Display for Alarm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind.text())?;
        if !self.detail.is_empty() {
            write!(f, ": {}", self.detail)?;
        }
        if self.count > 1 { write!(f, " (so far {} times)", self.count) } else { Ok(()) }
    }
}

/// How often what happened, and when it was told.
#[derive(Debug, Default)]
pub(super) struct Alarms {
    counts: [u64; AlarmKind::ALL.len()],
    told: [Option<Instant>; AlarmKind::ALL.len()],
}

impl Alarms {
    /// Counts; an alarm, if it is time for one.
    pub(super) fn raise(&mut self, now: Instant, kind: AlarmKind, detail: &[u8]) -> Option<Alarm> {
        let at = kind as usize;
        let (count, told) = (self.counts.get_mut(at)?, self.told.get_mut(at)?);
        *count += 1;
        if told.is_some_and(|told| now.since(told) < REPEAT_MS) {
            return None;
        }
        *told = Some(now);
        Some(Alarm { kind, count: *count, detail: printable(detail) })
    }

    pub(super) fn counts(&self) -> impl Iterator<Item = (AlarmKind, u64)> {
        AlarmKind::ALL.into_iter().zip(self.counts)
    }
}

/// What Redis said, fit for a log.
fn printable(text: &[u8]) -> Box<str> {
    let mut detail = String::new();
    for byte in text.iter().take(DETAIL) {
        detail.extend(core::ascii::escape_default(*byte).map(char::from));
        if detail.len() >= DETAIL {
            break;
        }
    }
    detail.truncate(DETAIL);
    detail.into_boxed_str()
}

/// The same is told once in so many milliseconds.
const REPEAT_MS: u64 = 10_000;
/// Bytes of what is told.
const DETAIL: usize = 200;

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;

    #[test]
    fn e08_the_same_is_told_once_in_ten_seconds_and_counted_exactly() {
        let mut alarms = Alarms::default();
        let mut told = alloc::vec::Vec::new();
        for ms in 0..25_000 {
            told.extend(alarms.raise(Instant::from_millis(ms), AlarmKind::Busy, b"BUSY Redis is busy"));
        }
        assert!(alarms.raise(Instant::from_millis(1), AlarmKind::Full, b"OOM").is_some());
        assert_eq!(told.iter().map(|alarm| alarm.count).collect::<alloc::vec::Vec<_>>(), [1, 10_001, 20_001]);
        assert!(alarms.counts().all(|(kind, count)| count
            == match kind {
                AlarmKind::Busy => 25_000,
                AlarmKind::Full => 1,
                _ => 0,
            }));
        assert!(told[1].to_string().ends_with("see SCRIPT KILL: BUSY Redis is busy (so far 10001 times)"));
    }

    #[test]
    fn c14_what_redis_said_is_printable_and_short() {
        let detail = printable(&[&b"\x1b[31m\r\n"[..], &[b'x'; 300]].concat());
        assert!(detail.starts_with("\\x1b[31m\\r\\nxxx") && detail.len() == 200);
    }

    #[test]
    fn each_kind_has_its_word() {
        for (i, kind) in AlarmKind::ALL.into_iter().enumerate() {
            assert!(AlarmKind::ALL[..i].iter().all(|other| other.as_str() != kind.as_str()));
            assert_eq!(kind as usize, i);
        }
    }
}
