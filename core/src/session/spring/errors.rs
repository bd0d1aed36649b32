//! What an error of Redis means. None of them ever means that a session is missing.

use memchr::memmem;

use super::alarm::AlarmKind;

/// What an error means for a question that is under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trouble {
    /// The script's text has to be sent again.
    TextNeeded,
    /// Scripts cannot be used here.
    NoScripts,
    /// The store could not be asked.
    Lost(AlarmKind),
}

/// Reads an error. Within a script's error that of its command is looked for, wherever the version of Redis puts it.
pub(super) fn trouble(text: &[u8]) -> Trouble {
    if word(text, b"NOSCRIPT") {
        return Trouble::TextNeeded;
    }
    let lower = text.to_ascii_lowercase();
    let says = |what: &[u8]| memmem::find(&lower, what).is_some();
    let forbidden = word(text, b"NOPERM") || says(b"unknown command");
    if says(b"non deterministic commands") || forbidden && (says(b"'eval") || says(b"`eval")) {
        return Trouble::NoScripts;
    }
    let known = WORDS.iter().find(|(words, _)| words.iter().any(|known| word(text, known)));
    Trouble::Lost(known.map_or(AlarmKind::Refused, |(_, kind)| *kind))
}

/// Whether a command itself is not there or not allowed.
pub(super) fn is_forbidden(text: &[u8]) -> bool {
    word(text, b"NOPERM") || memmem::find(&text.to_ascii_lowercase(), b"unknown").is_some()
}

/// Whether a word is in the text, by itself.
fn word(text: &[u8], word: &[u8]) -> bool {
    memmem::find_iter(text, word).any(|at| {
        let before = at.checked_sub(1).and_then(|before| text.get(before));
        let after = text.get(at + word.len());
        [before, after].into_iter().flatten().all(|byte| !byte.is_ascii_alphanumeric() && *byte != b'_')
    })
}

const WORDS: [(&[&[u8]], AlarmKind); 7] = [
    (&[b"LOADING", b"MASTERDOWN", b"TRYAGAIN"], AlarmKind::NotReady),
    (&[b"BUSY"], AlarmKind::Busy),
    (&[b"READONLY", b"NOREPLICAS"], AlarmKind::ReadOnly),
    (&[b"OOM", b"MISCONF"], AlarmKind::Full),
    (&[b"NOAUTH", b"NOPERM", b"WRONGPASS"], AlarmKind::Forbidden),
    (&[b"WRONGTYPE"], AlarmKind::WrongType),
    (&[b"MOVED", b"ASK", b"CROSSSLOT", b"CLUSTERDOWN"], AlarmKind::Moved),
];

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use proptest::prelude::*;

    use super::*;

    /// As Redis 7 says it, and where that differs Redis 6.
    #[test]
    fn r14_errors_are_known_and_never_a_missing_session() {
        use AlarmKind::*;
        for (text, expected) in [
            ("NOSCRIPT No matching script. Please use EVAL.", Trouble::TextNeeded),
            ("ERR unknown command 'EVALSHA', with args beginning with: 'x' ", Trouble::NoScripts),
            ("ERR unknown command `EVAL`, with args beginning with: ", Trouble::NoScripts),
            ("NOPERM User app has no permissions to run the 'evalsha' command", Trouble::NoScripts),
            ("NOPERM this user has no permissions to run the 'eval' command or its subcommand", Trouble::NoScripts),
            (
                "ERR Error running script (call to f_0): @user_script:2: @user_script: 2: Write commands not allowed after \
                 non deterministic commands. Call redis.replicate_commands() at the start of your script",
                Trouble::NoScripts,
            ),
            ("LOADING Redis is loading the dataset in memory", Trouble::Lost(NotReady)),
            (
                "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
                Trouble::Lost(NotReady),
            ),
            (
                "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.",
                Trouble::Lost(Busy),
            ),
            ("READONLY You can't write against a read only replica.", Trouble::Lost(ReadOnly)),
            (
                "READONLY You can't write against a read only replica. script: 0e, on @user_script:2.",
                Trouble::Lost(ReadOnly),
            ),
            (
                "ERR Error running script (call to f_0e): @user_script:2: @user_script: 2: -READONLY You can't write \
                 against a read only replica. ",
                Trouble::Lost(ReadOnly),
            ),
            (
                "OOM command not allowed when used memory > 'maxmemory'. script: 0e, on @user_script:2.",
                Trouble::Lost(Full),
            ),
            (
                "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk.",
                Trouble::Lost(Full),
            ),
            ("NOAUTH Authentication required.", Trouble::Lost(Forbidden)),
            (
                "NOPERM User app has no permissions to access one of the keys used as arguments",
                Trouble::Lost(Forbidden),
            ),
            (
                "NOPERM User app has no permissions to run the 'hset' command script: 0e, on @user_script:9.",
                Trouble::Lost(Forbidden),
            ),
            ("WRONGTYPE Operation against a key holding the wrong kind of value", Trouble::Lost(WrongType)),
            ("MOVED 3999 127.0.0.1:6381", Trouble::Lost(Moved)),
            ("ASK 3999 127.0.0.1:6381", Trouble::Lost(Moved)),
            ("CROSSSLOT Keys in request don't hash to the same slot", Trouble::Lost(Moved)),
            ("EXECABORT Transaction discarded because of previous errors.", Trouble::Lost(Refused)),
            ("BUSYKEY Target key name already exists.", Trouble::Lost(Refused)),
            ("ERR something else", Trouble::Lost(Refused)),
            ("", Trouble::Lost(Refused)),
        ] {
            assert_eq!(trouble(text.as_bytes()), expected, "{text}");
        }
        assert!(is_forbidden(b"ERR unknown command 'CONFIG', with args beginning with: 'GET'"));
        assert!(is_forbidden(b"NOPERM User app has no permissions to run the 'config|set' command"));
        assert!(!is_forbidden(b"ERR CONFIG SET failed"));
    }

    proptest! {
        #[test]
        fn no_error_is_too_odd(text: Vec<u8>) {
            let _ = (trouble(&text), is_forbidden(&text));
        }
    }
}
