//! Escapes in header names and values (STOMP 1.1 and 1.2, *Value Encoding*).
//!
//! 1.0 has none, 1.1 has `\n`, `\c` and `\\`, and 1.2 adds `\r`. Any other backslash is fatal in 1.1 and 1.2.

use alloc::borrow::Cow;
use alloc::string::String;

use bytes::{BufMut, BytesMut};

use super::{Malformed, Version};

/// Whether each escape in `text` is one that the version defines.
pub(super) fn check(version: Version, text: &str) -> Result<(), Malformed> {
    if version == Version::V1_0 {
        return Ok(());
    }
    let mut rest = text.as_bytes();
    while let Some(at) = memchr::memchr(b'\\', rest) {
        let Some(&letter) = rest.get(at + 1) else { return Err(Malformed::EscapeUndefined) };
        meaning(version, letter).ok_or(Malformed::EscapeUndefined)?;
        rest = &rest[at + 2..];
    }
    Ok(())
}

/// What `text` means; borrowed if it holds no escape. An escape that [`check`] would refuse is left as it is.
pub(super) fn unescape(version: Version, text: &str) -> Cow<'_, str> {
    if version == Version::V1_0 || memchr::memchr(b'\\', text.as_bytes()).is_none() {
        return Cow::Borrowed(text);
    }
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\\') {
        plain.push_str(before);
        match after.bytes().next().and_then(|letter| meaning(version, letter)) {
            Some(meant) => {
                plain.push(char::from(meant));
                rest = &after[1..];
            }
            None => {
                plain.push('\\');
                rest = after;
            }
        }
    }
    plain.push_str(rest);
    Cow::Owned(plain)
}

/// Whether the version has a way to write this header (S19). NUL cannot be written in any, CR not before 1.2, LF not before 1.1,
/// and in 1.0 a name ends at its first colon.
pub(super) fn writable(version: Version, name: &str, value: &str) -> bool {
    let fits = |text: &str| {
        text.bytes().all(|byte| match byte {
            0 => false,
            b'\r' => version >= Version::V1_2,
            b'\n' => version >= Version::V1_1,
            _ => true,
        })
    };
    let named = !name.is_empty() && (version >= Version::V1_1 || memchr::memchr(b':', name.as_bytes()).is_none());
    named && fits(name) && fits(value)
}

/// Writes `text`, which has to be [`writable`], with the version's escapes.
pub(super) fn write(version: Version, out: &mut BytesMut, text: &str) {
    let mut rest = text.as_bytes();
    if version != Version::V1_0 {
        while let Some((at, escape)) = rest.iter().enumerate().find_map(|(at, &byte)| Some((at, escape(byte)?))) {
            out.put_slice(&rest[..at]);
            out.put_slice(escape);
            rest = &rest[at + 1..];
        }
    }
    out.put_slice(rest);
}

const fn meaning(version: Version, letter: u8) -> Option<u8> {
    match (letter, version) {
        (b'n', _) => Some(b'\n'),
        (b'c', _) => Some(b':'),
        (b'\\', _) => Some(b'\\'),
        (b'r', Version::V1_2) => Some(b'\r'),
        _ => None,
    }
}

const fn escape(byte: u8) -> Option<&'static [u8]> {
    match byte {
        b'\n' => Some(b"\\n"),
        b':' => Some(b"\\c"),
        b'\\' => Some(b"\\\\"),
        b'\r' => Some(b"\\r"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(version: Version, text: &str) -> String {
        let mut out = BytesMut::new();
        write(version, &mut out, text);
        String::from_utf8(out.to_vec()).expect("escapes keep UTF-8")
    }

    #[test]
    fn s05_undefined_escapes() {
        for bad in ["\\t", "a\\", "\\", "\\0", "\\N", "\\ ", "\\x41", "\\\\\\", "\\é"] {
            assert_eq!(check(Version::V1_0, bad), Ok(()), "{bad:?}");
            assert_eq!(check(Version::V1_1, bad), Err(Malformed::EscapeUndefined), "{bad:?}");
            assert_eq!(check(Version::V1_2, bad), Err(Malformed::EscapeUndefined), "{bad:?}");
        }
        assert_eq!(check(Version::V1_1, "a\\rb"), Err(Malformed::EscapeUndefined));
        assert_eq!(check(Version::V1_2, "a\\rb"), Ok(()));
    }

    #[test]
    fn meanings() {
        assert_eq!(unescape(Version::V1_2, "\\\\\\c\\n\\r\\\\n"), "\\:\n\r\\n");
        assert_eq!(unescape(Version::V1_1, "\\\\n\\c"), "\\n:");
        assert_eq!(unescape(Version::V1_0, "a\\nb"), "a\\nb");
        assert!(matches!(unescape(Version::V1_2, "plain: text"), Cow::Borrowed(_)));
    }

    #[test]
    fn s19_what_a_version_cannot_write() {
        for (name, value, since) in [
            ("foo", "plain: \\ text", Some(Version::V1_0)),
            ("a:b", "x", Some(Version::V1_1)),
            ("foo", "a\nb", Some(Version::V1_1)),
            ("fo\no", "x", Some(Version::V1_1)),
            ("foo", "a\rb", Some(Version::V1_2)),
            ("fo\ro", "x", Some(Version::V1_2)),
            ("foo", "a\0b", None),
            ("fo\0o", "x", None),
            ("", "x", None),
        ] {
            for version in [Version::V1_0, Version::V1_1, Version::V1_2] {
                assert_eq!(
                    writable(version, name, value),
                    since.is_some_and(|s| version >= s),
                    "{name:?} {value:?} {version:?}"
                );
            }
        }
    }

    proptest! {
        #[test]
        fn s19_what_is_written_is_one_line_and_means_the_same(text in "[a:\\\\\n\r é]{0,12}") {
            for version in [Version::V1_0, Version::V1_1, Version::V1_2] {
                if !writable(version, "name", &text) {
                    continue;
                }
                let line = written(version, &text);
                prop_assert!(!line.contains(['\r', '\n']));
                prop_assert_eq!(check(version, &line), Ok(()));
                prop_assert_eq!(unescape(version, &line), text.as_str());
            }
        }
    }
}
