//! How values are written: Java's serialization or JSON, told apart by the bytes that are stored.
//!
//! Of Java's, only what Spring Session itself writes is read and written here: `Long`, `Integer`, `String`. What
//! applications put into a session is looked through by [`java`](super::java).

use alloc::vec::Vec;

use super::keys::Digits;

/// How a value is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Java,
    Json,
    /// As the bytes are; only ever met in the sorted set of due times.
    Plain,
}

/// A `java.lang.Long` up to its eight bytes: epoch milliseconds.
pub(super) const LONG: &[u8; 74] = b"\xac\xed\x00\x05sr\x00\x0ejava.lang.Long;\x8b\xe4\x90\xcc\x8f#\xdf\x02\x00\x01J\
    \x00\x05valuexr\x00\x10java.lang.Number\x86\xac\x95\x1d\x0b\x94\xe0\x8b\x02\x00\x00xp";
/// A `java.lang.Integer` up to its four bytes: seconds.
pub(super) const INTEGER: &[u8; 77] = b"\xac\xed\x00\x05sr\x00\x11java.lang.Integer\x12\xe2\xa0\xa4\xf7\x81\x878\x02\
    \x00\x01I\x00\x05valuexr\x00\x10java.lang.Number\x86\xac\x95\x1d\x0b\x94\xe0\x8b\x02\x00\x00xp";
/// What every value of Java's serialization begins with.
pub(super) const STREAM: &[u8; 4] = b"\xac\xed\x00\x05";

/// Reads a time: epoch milliseconds, as a Long or in digits.
pub(super) fn read_long(value: &[u8]) -> Option<(i64, Form)> {
    match value.strip_prefix(LONG) {
        Some(bytes) => Some((i64::from_be_bytes(bytes.try_into().ok()?), Form::Java)),
        None => Some((read_digits(value)?, Form::Json)),
    }
}

/// Reads an interval: seconds, as an Integer or in digits.
pub(super) fn read_integer(value: &[u8]) -> Option<i64> {
    match value.strip_prefix(INTEGER) {
        Some(bytes) => Some(i64::from(i32::from_be_bytes(bytes.try_into().ok()?))),
        None => read_digits(value),
    }
}

/// At most 15 digits, so that a script, which knows floating point only, reads the same number.
fn read_digits(value: &[u8]) -> Option<i64> {
    let digits = value.strip_prefix(b"-").unwrap_or(value);
    if digits.is_empty() || value.len() > 15 || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    core::str::from_utf8(value).ok()?.parse().ok()
}

pub(super) fn write_long(form: Form, number: i64) -> Vec<u8> {
    match form {
        Form::Java => [&LONG[..], &number.to_be_bytes()].concat(),
        Form::Json | Form::Plain => Digits::from(number).as_bytes().to_vec(),
    }
}

pub(super) fn write_integer(form: Form, number: i32) -> Vec<u8> {
    match form {
        Form::Java => [&INTEGER[..], &number.to_be_bytes()].concat(),
        Form::Json | Form::Plain => Digits::from(i64::from(number)).as_bytes().to_vec(),
    }
}

/// Writes a text.
pub(super) fn write_text(form: Form, text: &str) -> Vec<u8> {
    let mut value = Vec::with_capacity(text.len() + 16);
    match form {
        Form::Java => {
            value.extend_from_slice(STREAM);
            push_java_text(&mut value, text);
        }
        Form::Json => push_json_text(&mut value, text),
        Form::Plain => value.extend_from_slice(text.as_bytes()),
    }
    value
}

/// A text within a stream: length and modified UTF-8, where NUL is two bytes and what is beyond U+FFFF two surrogates.
pub(super) fn push_java_text(out: &mut Vec<u8>, text: &str) {
    let len: usize = text.encode_utf16().map(width).sum();
    match u16::try_from(len) {
        Ok(len) => {
            out.push(0x74);
            out.extend_from_slice(&len.to_be_bytes());
        }
        Err(_) => {
            out.push(0x7c);
            out.extend_from_slice(&(len as u64).to_be_bytes());
        }
    }
    push_modified(out, text);
}

/// The characters alone.
pub(super) fn push_modified(out: &mut Vec<u8>, text: &str) {
    for unit in text.encode_utf16() {
        let continued = |shift: u16| 0x80 | (unit >> shift & 0x3f) as u8;
        match width(unit) {
            1 => out.push(unit as u8),
            2 => out.extend([0xc0 | (unit >> 6) as u8, continued(0)]),
            _ => out.extend([0xe0 | (unit >> 12) as u8, continued(6), continued(0)]),
        }
    }
}

fn width(unit: u16) -> usize {
    match unit {
        1..=0x7f => 1,
        0 | 0x80..=0x7ff => 2,
        0x800.. => 3,
    }
}

/// A text in quotes.
pub(super) fn push_json_text(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    for byte in text.bytes() {
        match byte {
            b'"' | b'\\' => out.extend([b'\\', byte]),
            0..=0x1f => out.extend(alloc::format!("\\u{byte:04x}").bytes()),
            _ => out.push(byte),
        }
    }
    out.push(b'"');
}

/// How a member of the sorted set is written.
pub(super) fn form_of_member(member: &[u8]) -> Form {
    match member.first() {
        Some(0xac) => Form::Java,
        Some(b'"') => Form::Json,
        _ => Form::Plain,
    }
}

/// The text of a member of a set: `ID` or `expires:ID`.
pub(super) fn read_member(member: &[u8]) -> Option<(&str, Form)> {
    let (text, form) = if let Some(rest) = member.strip_prefix(STREAM) {
        let (len, text) = rest.strip_prefix(b"\x74")?.split_at_checked(2)?;
        if usize::from(u16::from_be_bytes(len.try_into().ok()?)) != text.len() {
            return None;
        }
        (text, Form::Java)
    } else if let Some(rest) = member.strip_prefix(b"\"") {
        (rest.strip_suffix(b"\"")?, Form::Json)
    } else {
        (member, Form::Plain)
    };
    Some((core::str::from_utf8(text).ok()?, form))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn hex(bytes: &[u8]) -> alloc::string::String {
        bytes.iter().map(|byte| alloc::format!("{byte:02x}")).collect()
    }

    /// As they were seen on the wire.
    #[test]
    fn numbers_are_springs_byte_for_byte() {
        assert_eq!(
            hex(&write_long(Form::Java, 0x0000_01a2_03bf_ad68)),
            "aced00057372000e6a6176612e6c616e672e4c6f6e673b8be490cc8f23df0200014a000576616c7565787200106a6176612e6c616e67\
             2e4e756d62657286ac951d0b94e08b0200007870000001a203bfad68"
        );
        assert_eq!(
            hex(&write_integer(Form::Java, 60)),
            "aced0005737200116a6176612e6c616e672e496e746567657212e2a0a4f781873802000149000576616c7565787200106a6176612e6c\
             616e672e4e756d62657286ac951d0b94e08b02000078700000003c"
        );
        assert_eq!(write_integer(Form::Java, -1).len(), 81);
        assert_eq!(
            (&*write_long(Form::Json, 1_795_359_102_560), &*write_integer(Form::Json, 1_800)),
            (&b"1795359102560"[..], &b"1800"[..])
        );
    }

    #[test]
    fn members_are_springs_byte_for_byte() {
        let id = "56e60609-053a-4dc5-8005-6f243e4aa9a2";
        assert_eq!(write_text(Form::Java, id), [&b"\xac\xed\x00\x05t\x00\x24"[..], id.as_bytes()].concat());
        let due = alloc::format!("expires:{id}");
        assert_eq!(write_text(Form::Java, &due), [&b"\xac\xed\x00\x05t\x00\x2c"[..], due.as_bytes()].concat());
        assert_eq!(write_text(Form::Json, &due), alloc::format!("\"{due}\"").as_bytes());
        for form in [Form::Java, Form::Json, Form::Plain] {
            assert_eq!(read_member(&write_text(form, &due)), Some((&*due, form)));
        }
        for odd in [&b"\xac\xed\x00\x05"[..], b"\xac\xed\x00\x05t\x00\x03ab", b"\"ab", b"\xff"] {
            assert_eq!(read_member(odd), None, "{odd:?}");
        }
    }

    #[test]
    fn c18_numbers_of_the_wrong_type_are_none() {
        let long = write_long(Form::Java, 5);
        assert_eq!(read_long(&long), Some((5, Form::Java)));
        assert_eq!(read_integer(&long), None);
        assert_eq!(read_long(&write_integer(Form::Java, 5)), None);
        assert_eq!(read_long(&long[..81]), None);
        assert_eq!(read_long(&[&long[..], b"\0"].concat()), None);
        for odd in [&b""[..], b"-", b"+1", b"1e3", b"1.0", b" 1", b"\"1\"", b"[1]", b"1234567890123456", b"null"] {
            assert_eq!((read_long(odd), read_integer(odd)), (None, None), "{odd:?}");
        }
        assert_eq!(read_integer(b"-1"), Some(-1));
    }

    #[test]
    fn c19_modified_utf_8_is_javas() {
        assert_eq!(
            write_text(Form::Java, "a\0\u{e9}\u{20ac}\u{1f600}")[4..],
            *b"t\x00\x0ea\xc0\x80\xc3\xa9\xe2\x82\xac\xed\xa0\xbd\xed\xb8\x80"
        );
        let long = write_text(Form::Java, &"x".repeat(65_536));
        assert_eq!(long[..13], *b"\xac\xed\x00\x05\x7c\0\0\0\0\0\x01\0\0");
        assert_eq!(long.len(), 13 + 65_536);
        assert_eq!(write_text(Form::Java, &"x".repeat(65_535))[4], 0x74);
        assert_eq!(write_text(Form::Json, "a\"\\\n\u{e9}"), "\"a\\\"\\\\\\u000a\u{e9}\"".as_bytes());
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(long: i64, integer: i32, id in "[A-Za-z0-9._-]{1,128}") {
            prop_assert_eq!(read_long(&write_long(Form::Java, long)), Some((long, Form::Java)));
            prop_assert_eq!(read_integer(&write_integer(Form::Java, integer)), Some(i64::from(integer)));
            prop_assert_eq!(read_integer(&write_integer(Form::Json, integer)), Some(i64::from(integer)));
            for form in [Form::Java, Form::Json, Form::Plain] {
                let value = write_text(form, &id);
                prop_assert_eq!(read_member(&value), Some((&*id, form)));
            }
        }

        #[test]
        fn no_value_is_too_odd(value: Vec<u8>) {
            let _ = (read_long(&value), read_integer(&value), read_member(&value));
        }
    }
}
