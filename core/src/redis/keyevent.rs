//! Keyspace events: the channels on which Redis announces what befalls its keys.

use alloc::string::String;

/// What befell a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Keyevent {
    /// Its time ran out.
    Expired,
    /// It was deleted: DEL, UNLINK, or an expiry in the past.
    Del,
    /// It was thrown out for lack of memory.
    Evicted,
    /// It was renamed: the name so far.
    RenameFrom,
    /// It was renamed: the new name. Follows its [`RenameFrom`](Self::RenameFrom) at once.
    RenameTo,
}

impl Keyevent {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Expired, Self::Del, Self::Evicted, Self::RenameFrom, Self::RenameTo];

    /// As Redis writes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Expired => "expired",
            Self::Del => "del",
            Self::Evicted => "evicted",
            Self::RenameFrom => "rename_from",
            Self::RenameTo => "rename_to",
        }
    }
}

/// The channel of an event in a database, such as `__keyevent@0__:expired`.
pub fn keyevent_channel(database: u32, event: Keyevent) -> String {
    alloc::format!("{PREFIX}{database}__:{}", event.as_str())
}

/// Reads such a channel: the database and the event. `None` for any other channel.
pub fn keyevent(channel: &[u8]) -> Option<(u32, Keyevent)> {
    let rest = channel.strip_prefix(PREFIX.as_bytes())?;
    let digits = rest.iter().position(|byte| !byte.is_ascii_digit())?;
    let (database, event) = rest.split_at_checked(digits)?;
    let event = event.strip_prefix(b"__:")?;
    let database = core::str::from_utf8(database).ok()?.parse().ok()?;
    let event = Keyevent::ALL.into_iter().find(|known| known.as_str().as_bytes() == event)?;
    Some((database, event))
}

const PREFIX: &str = "__keyevent@";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channels_are_read_as_they_are_written() {
        for database in [0, 7, u32::MAX] {
            for event in Keyevent::ALL {
                assert_eq!(keyevent(keyevent_channel(database, event).as_bytes()), Some((database, event)));
            }
        }
    }

    #[test]
    fn any_other_channel_is_none() {
        for channel in [
            "",
            "__keyevent@",
            "__keyevent@0",
            "__keyevent@0__:",
            "__keyevent@0__:set",
            "__keyevent@0__:expired ",
            "__keyevent@__:expired",
            "__keyevent@-1__:expired",
            "__keyevent@4294967296__:expired",
            "__keyspace@0__:expired",
            "x__keyevent@0__:expired",
            "spring:session:event:0:created:a",
        ] {
            assert_eq!(keyevent(channel.as_bytes()), None, "{channel}");
        }
    }
}
