//! The Lua scripts: each is one atomic step on the keys of one session. Redis' own clock decides in all of them.

use alloc::string::String;

use sha1::{Digest, Sha1};

/// A script. Its text is sent once; from then on its digest names it.
///
/// # What they have in common
/// *Forms.* A time is a `java.lang.Long` of epoch milliseconds, an interval a `java.lang.Integer` of seconds, both in Java's
/// serialization: the exact 74 or 77 bytes of its head, and 8 or 4 big-endian ones; or decimal digits, at most 15 characters
/// with a minus (JSON). Anything else is unreadable. A written time has the form of the stored one. The text of a member of a
/// set is `aced0005 74`, two bytes of length and the characters, where `lastAccessedTime` is Java's; else it stands in quotes.
///
/// *Facts.* `[now, type, hash-ttl, shadow-ttl]` and, if the type is `hash`, `creationTime, lastAccessedTime,
/// maxInactiveInterval` as stored (nil where there is none), all as they were **before** the script changed anything. `now`
/// is TIME in ms, rounded down; `type` what TYPE says; the others what PTTL says; `shadow-ttl` is -3 where no such key was
/// given. A *whole* session has all three values, `creationTime` not empty, the others readable, `lastAccessedTime` from 0 to
/// `now` + 31,622,400,000 ms (366 days), the interval within 32 bits.
///
/// *Layouts.* `indexed`, `plain`, or `hash`: only the hash of the indexed layout, on a Cluster. `grace` is 300,000 ms, in the
/// plain layout 0.
///
/// A whole session *lives* if its interval (`max`, in seconds) is negative, or if it is positive and the deciding TTL, that of
/// the shadow (of the hash in the plain layout), is above 0, or is -1 and `lastAccessedTime + max * 1000 > now`. In the layout
/// `hash` every interval but 0 lives: the shadow was looked at before.
///
/// *Raise* a key to a TTL: PEXPIRE if its PTTL is -1 or from 0 to below that TTL; its result is the PTTL then (-2 if the key
/// is not there, which it never makes).
///
/// *File* a session that is due at a time: if the sorted set is to be used, ZADD its id with the due time; else SADD
/// `expires:` and its id to `minutes` followed by the next whole minute (a time on the minute goes to the next), and PEXPIRE
/// that set to `max * 1000 + 300000`: all in it are due by its minute, so that is not too short for any. *Unfile* it: ZREM from the sorted set, if that is used, and, for an interval above 0,
/// SREM from the set of `lastAccessedTime + max * 1000`. Errors of these are passed over: an entry is not worth a session.
/// `mode` says whether the sorted set is used: `sorted` always, `sets` never, `detect` if it has a member. Its members have
/// the form of the first one there is (`ac` at its beginning: Java's, `"`: JSON, else the bare id), or that of the session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Script {
    /// Looks at a session and changes nothing. KEYS: hash, and in the indexed layout on one node its shadow. ARGV: the limit
    /// of a value, names of fields. Gives the facts (whole or not), followed by the values of those fields if the type is
    /// `hash`. Instead of a value longer than the limit its length is given, as a number.
    Look,
    /// Renews a session. KEYS: hash; in the layout `indexed` also shadow, sorted set. ARGV: layout, mode, minutes, id, age in
    /// ms.
    ///
    /// With `at` = now - age: nothing changes unless the session lives, `at` is later than its `lastAccessedTime`, and, for
    /// an interval above 0, `ttl` = max * 1000 - age is above 0. Then `lastAccessedTime` becomes `at`. With a negative
    /// interval the hash is persisted. Else the hash is raised to `ttl + grace` and, `indexed`, the shadow to `ttl`; if the
    /// sorted set is not used and the minute has changed, it is unfiled; it is filed as due at `at + max * 1000`.
    ///
    /// Gives the facts and, only if something changed, how long the session lives from now on in ms: what the deciding key
    /// was raised to (`hash`: `ttl`), -1 for ever.
    Touch,
    /// Makes a session. KEYS as for [`Touch`](Self::Touch). ARGV: layout, mode, minutes, id, form (`java`, `json`), lifetime
    /// in ms, due time, key of the principal's index or nothing, channel and body of the announcement, then fields and values.
    ///
    /// If the hash exists: gives 0. Else sets the fields, and the hash's TTL to the lifetime + grace. `indexed`: SET of the
    /// shadow to nothing with the lifetime, filed, its id added to the index, the announcement published. Gives 1.
    Create,
    /// Gives a living session another id, as a login does. KEYS: hash, new hash; `indexed` also shadow, new shadow, sorted
    /// set. ARGV: layout, mode, minutes, id, new id, key of the index it leaves or nothing, of the one it enters or nothing,
    /// then fields and values to be set, at least one.
    ///
    /// Unless it lives, or if the new hash exists: nothing changes. Else RENAMENX of the hash; `lastAccessedTime` becomes
    /// now; the fields are set; with a negative interval the new hash is persisted, else raised to `max * 1000 + grace`.
    /// `indexed`: the shadow, if it exists, is renamed; it is unfiled under the old id; with a positive interval the new shadow
    /// is raised to `max * 1000` and it is filed under the new id as due at now + that; its old id leaves the one index, its
    /// new one enters the other. Gives the facts and, only if done, how long it lives, as [`Touch`](Self::Touch) does.
    Rename,
    /// Ends a session. KEYS as for [`Touch`](Self::Touch). ARGV: layout, mode, minutes, id, key of the index it leaves or
    /// nothing.
    ///
    /// In the plain layout, or if it is not whole, DEL of the hash. Else, unless it is 0 already, `maxInactiveInterval`
    /// becomes 0 and the hash's TTL 300,000 ms (not only raised). `indexed`: if it was whole, it is unfiled and leaves the
    /// index; in any case DEL of the shadow. Gives the facts.
    End,
    /// Raises a key. KEYS: it. ARGV: a TTL in ms. Gives the result. Only on a Cluster.
    Raise,
    /// SADD to a set, and PEXPIRE of it. KEYS: it. ARGV: member, TTL in ms. Gives 1. Only on a Cluster.
    Enter,
    /// Whether scripts may be used, and may write after they have read the clock (Redis 5). KEYS: a key that never exists.
    /// TIME, then DEL of it; gives 0.
    Probe,
}

impl Script {
    /// All of them.
    pub const ALL: [Self; 8] =
        [Self::Look, Self::Touch, Self::Create, Self::Rename, Self::End, Self::Raise, Self::Enter, Self::Probe];

    /// A word for tests and logs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Look => "look",
            Self::Touch => "touch",
            Self::Create => "create",
            Self::Rename => "rename",
            Self::End => "end",
            Self::Raise => "raise",
            Self::Enter => "enter",
            Self::Probe => "probe",
        }
    }

    /// Its text.
    pub const fn text(self) -> &'static str {
        macro_rules! with_session {
            ($name:literal) => {
                concat!(include_str!("scripts/session.lua"), include_str!(concat!("scripts/", $name, ".lua")))
            };
        }
        match self {
            Self::Look => include_str!("scripts/look.lua"),
            Self::Touch => with_session!("touch"),
            Self::Create => with_session!("create"),
            Self::Rename => with_session!("rename"),
            Self::End => with_session!("end"),
            Self::Raise => with_session!("raise"),
            Self::Enter => include_str!("scripts/enter.lua"),
            Self::Probe => include_str!("scripts/probe.lua"),
        }
    }

    /// The SHA-1 of its text in hex, by which EVALSHA calls it.
    pub fn sha(self) -> String {
        Sha1::digest(self.text().as_bytes()).iter().map(|byte| alloc::format!("{byte:02x}")).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::values::{INTEGER, LONG};
    use super::*;

    /// What a Lua string literal stands for.
    fn unescaped(literal: &str) -> alloc::vec::Vec<u8> {
        let (mut bytes, mut rest) = (alloc::vec::Vec::new(), literal);
        while let Some(character) = rest.chars().next() {
            rest = &rest[1..];
            if character != '\\' {
                bytes.push(character as u8);
                continue;
            }
            let digits = rest.bytes().take(3).take_while(u8::is_ascii_digit).count();
            bytes.push(rest[..digits].parse().expect("a decimal escape"));
            rest = &rest[digits..];
        }
        bytes
    }

    #[test]
    fn the_scripts_know_the_same_heads() {
        for (name, head) in [("LONG", &LONG[..]), ("INTEGER", INTEGER)] {
            let (_, rest) = Script::Touch.text().split_once(&alloc::format!("local {name} = '")).expect("there");
            assert_eq!(unescaped(rest.split_once('\'').expect("its end").0), head);
        }
    }

    #[test]
    fn each_has_its_name_and_digest_and_is_plain_text() {
        for (i, script) in Script::ALL.into_iter().enumerate() {
            assert!(Script::ALL[..i].iter().all(|other| other.name() != script.name() && other.sha() != script.sha()));
            assert_eq!(script.sha().len(), 40);
            assert!(script.text().is_ascii());
        }
    }
}
