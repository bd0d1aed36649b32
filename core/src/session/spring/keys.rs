//! The names of keys and channels, and the way back from a name to a session's id.

use alloc::string::String;

use super::config::{Config, PRINCIPAL_NAME};
use crate::redis::{Command, Keyevent, keyevent};

/// Names of one namespace.
#[derive(Debug)]
pub(super) struct Keys {
    /// The namespace with its colon, and `sessions:`.
    sessions: String,
    /// `sessions:expirations`: all due times in one sorted set.
    pub(super) sorted: String,
    /// What the keys of the minutes' sets begin with.
    pub(super) minutes: String,
    /// What the keys of the index of principals begin with.
    index: String,
    /// What the channels begin with on which new sessions are announced.
    created: String,
    /// Where this machine publishes to itself.
    pub(super) echo: String,
    /// A key that never exists.
    pub(super) probe: String,
    database: u32,
}

/// What a notification is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Event<'a> {
    pub(super) kind: Keyevent,
    /// The key that runs out with a session of the indexed layout, not the hash.
    pub(super) shadow: bool,
    pub(super) id: &'a str,
}

impl Keys {
    /// `run` tells this machine's own channel from that of others.
    pub(super) fn new(config: &Config, run: &str) -> Self {
        let Config { namespace, database, .. } = config;
        Self {
            sessions: alloc::format!("{namespace}:sessions:"),
            sorted: alloc::format!("{namespace}:sessions:expirations"),
            minutes: alloc::format!("{namespace}:expirations:"),
            index: alloc::format!("{namespace}:index:{PRINCIPAL_NAME}:"),
            created: alloc::format!("{namespace}:event:{database}:created:"),
            echo: alloc::format!("{namespace}:tethered:echo:{run}"),
            probe: alloc::format!("{namespace}:tethered:probe"),
            database: *database,
        }
    }

    /// The hash that is a session, in parts.
    pub(super) fn hash<'k>(&'k self, id: &'k str) -> [&'k [u8]; 3] {
        [self.sessions.as_bytes(), id.as_bytes(), b""]
    }

    /// The key that runs out with a session of the indexed layout, in parts.
    pub(super) fn shadow<'k>(&'k self, id: &'k str) -> [&'k [u8]; 3] {
        [self.sessions.as_bytes(), b"expires:", id.as_bytes()]
    }

    /// The set of sessions that are due in the minute before this one, in parts.
    pub(super) fn minute<'k>(&'k self, digits: &'k Digits) -> [&'k [u8]; 3] {
        [self.minutes.as_bytes(), digits.as_bytes(), b""]
    }

    /// The set of a principal's sessions, in parts.
    pub(super) fn index<'k>(&'k self, principal: &'k str) -> [&'k [u8]; 3] {
        [self.index.as_bytes(), principal.as_bytes(), b""]
    }

    /// The channel on which a new session is announced, in parts.
    pub(super) fn created<'k>(&'k self, id: &'k str) -> [&'k [u8]; 3] {
        [self.created.as_bytes(), id.as_bytes(), b""]
    }

    /// What a notification is about; `None` if that is no session of this namespace. Costs no allocation.
    pub(super) fn event<'a>(&self, channel: &[u8], key: &'a [u8]) -> Option<Event<'a>> {
        let rest = key.strip_prefix(self.sessions.as_bytes())?;
        let (shadow, id) = match rest.strip_prefix(b"expires:") {
            Some(id) => (true, id),
            None => (false, rest),
        };
        let (database, kind) = keyevent(channel)?;
        let id = core::str::from_utf8(id).ok().filter(|id| is_id(id))?;
        (database == self.database).then_some(Event { kind, shadow, id })
    }
}

/// Whether this can be a session's id: what it is made of, and how long it may be. Nothing else ever gets into a key.
pub(super) fn is_id(id: &str) -> bool {
    (1..=ID_BYTES).contains(&id.len())
        && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
}

/// The minute in whose set a session stands that is due at a time: the next whole one, also for a time on the minute.
pub(super) fn minute(due: i64) -> i64 {
    due.div_euclid(MINUTE_MS).saturating_add(1).saturating_mul(MINUTE_MS)
}

/// A number in digits, without an allocation.
#[derive(Debug, Clone, Copy)]
pub(super) struct Digits {
    bytes: [u8; 20],
    start: u8,
}

impl Digits {
    pub(super) fn as_bytes(&self) -> &[u8] {
        self.bytes.get(usize::from(self.start)..).unwrap_or_default()
    }
}

impl From<i64> for Digits {
    fn from(number: i64) -> Self {
        let (mut bytes, mut start, mut rest) = ([b'0'; 20], 20, number.unsigned_abs());
        loop {
            start -= 1;
            bytes[start] = b'0' + (rest % 10) as u8;
            rest /= 10;
            if rest == 0 {
                break;
            }
        }
        if number < 0 {
            start -= 1;
            bytes[start] = b'-';
        }
        Self { bytes, start: start as u8 }
    }
}

impl From<u64> for Digits {
    fn from(number: u64) -> Self {
        Self::from(i64::try_from(number).unwrap_or(i64::MAX))
    }
}

/// A command of one key.
pub(super) fn on_key(name: &str, key: [&[u8]; 3], args: &[&[u8]]) -> Command {
    let one = |arg| [arg, b"" as &[u8], b""];
    Command::build([one(name.as_bytes()), key].into_iter().chain(args.iter().map(|arg| one(arg))))
}

/// Bytes of an id.
const ID_BYTES: usize = 128;
pub(super) const MINUTE_MS: i64 = 60_000;

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use proptest::prelude::*;

    use super::*;

    fn keys() -> Keys {
        Keys::new(&Config::default(), "run")
    }

    #[test]
    fn the_names_are_springs() {
        let keys = keys();
        let id = "96761f1d-b350-4b80-80f3-b1f8d07104b8";
        assert_eq!(keys.hash(id).concat(), b"spring:session:sessions:96761f1d-b350-4b80-80f3-b1f8d07104b8");
        assert_eq!(keys.shadow(id).concat(), b"spring:session:sessions:expires:96761f1d-b350-4b80-80f3-b1f8d07104b8");
        assert_eq!(
            keys.minute(&Digits::from(1_795_359_300_000_i64)).concat(),
            b"spring:session:expirations:1795359300000"
        );
        assert_eq!(
            keys.index("rob").concat(),
            b"spring:session:index:org.springframework.session.FindByIndexNameSessionRepository.PRINCIPAL_NAME_INDEX_NAME:rob"
        );
        assert_eq!(keys.created(id).concat(), b"spring:session:event:0:created:96761f1d-b350-4b80-80f3-b1f8d07104b8");
        assert_eq!(keys.sorted, "spring:session:sessions:expirations");
    }

    #[test]
    fn a_time_on_the_minute_goes_to_the_next_one() {
        for (due, expected) in
            [(0, 60_000), (59_999, 60_000), (60_000, 120_000), (1_795_359_240_001, 1_795_359_300_000)]
        {
            assert_eq!(minute(due), expected);
        }
        assert!(minute(i64::MAX) > 0);
    }

    #[test]
    fn r18_a_notification_is_about_all_that_follows_the_exact_prefix() {
        let keys = keys();
        let about = |channel: &str, key: &'static str| {
            keys.event(channel.as_bytes(), key.as_bytes()).map(|event| (event.kind, event.shadow, event.id))
        };
        assert_eq!(
            about("__keyevent@0__:expired", "spring:session:sessions:expires:a-1"),
            Some((Keyevent::Expired, true, "a-1"))
        );
        assert_eq!(
            about("__keyevent@0__:rename_to", "spring:session:sessions:a-1"),
            Some((Keyevent::RenameTo, false, "a-1"))
        );
        for (channel, key) in [
            ("__keyevent@1__:expired", "spring:session:sessions:expires:a"),
            ("__keyevent@0__:set", "spring:session:sessions:expires:a"),
            ("__keyevent@0__:expired", "spring:session2:sessions:expires:a"),
            ("__keyevent@0__:expired", "xspring:session:sessions:a"),
            ("__keyevent@0__:expired", "spring:session:sessions:"),
            ("__keyevent@0__:expired", "spring:session:sessions:expires:"),
            ("__keyevent@0__:expired", "spring:session:sessions:x:a"),
            ("__keyevent@0__:expired", "spring:session:sessions:expires:x:a"),
            ("__keyevent@0__:expired", "spring:session:expirations:1795359300000"),
            ("__keyevent@0__:expired", "spring:session:sessions:a\r\n"),
            ("__keyevent@0__:expired", "spring:session:sessions:\u{e4}"),
            ("spring:session:event:0:created:a", "spring:session:sessions:a"),
        ] {
            assert_eq!(about(channel, key), None, "{channel} {key}");
        }
    }

    #[test]
    fn c01_ids_keep_to_their_alphabet_and_length() {
        for id in ["a", "0e-_.Z", &"a".repeat(128)] {
            assert!(is_id(id), "{id}");
        }
        for id in ["", "a:b", "*", "a b", "a\0", "{a}", "../a", "\u{e4}", &"a".repeat(129)] {
            assert!(!is_id(id), "{id}");
        }
    }

    #[test]
    fn one_key_and_its_arguments() {
        let keys = keys();
        let command = on_key("PEXPIRE", keys.hash("a"), &[Digits::from(5_i64).as_bytes()]);
        assert_eq!(command.args().collect::<Vec<_>>(), [&b"PEXPIRE"[..], b"spring:session:sessions:a", b"5"]);
    }

    proptest! {
        #[test]
        fn digits_are_a_number(number: i64) {
            let (digits, text) = (Digits::from(number), alloc::format!("{number}"));
            prop_assert_eq!(digits.as_bytes(), text.as_bytes());
        }
    }
}
