//! The words of a line: written so that nothing is lost, and read so that nothing is believed.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;

use crate::time::UnixMillis;

/// A line that is none, or was changed by hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("column {column}: {expected} was expected")]
pub struct BadLine {
    /// Where, in bytes from 1.
    pub column: usize,
    /// What should have been there.
    pub expected: &'static str,
}

/// Appends a space and a word that needs no quotes.
pub(super) fn push_word(out: &mut String, word: impl core::fmt::Display) {
    // A String takes every write.
    let _ = write!(out, " {word}");
}

/// Appends a space and a text in quotes.
pub(super) fn push_text(out: &mut String, text: &str) {
    out.push(' ');
    push_quoted(out, text.as_bytes());
}

/// Appends a space and bytes: in quotes, or behind `=` in Base64 without padding where that would double them.
pub(super) fn push_bytes(out: &mut String, bytes: &[u8]) {
    out.push(' ');
    let quoted: usize = bytes.iter().map(|&byte| usize::from(WIDTHS[usize::from(byte)])).sum();
    if quoted <= 2 * bytes.len() {
        push_quoted(out, bytes);
    } else {
        out.push('=');
        STANDARD_NO_PAD.encode_string(bytes, out);
    }
}

/// Appends a space and a text in quotes, or `-`.
pub(super) fn push_option(out: &mut String, text: Option<&str>) {
    match text {
        Some(text) => push_text(out, text),
        None => out.push_str(" -"),
    }
}

fn push_quoted(out: &mut String, bytes: &[u8]) {
    out.push('"');
    for &byte in bytes {
        match (WIDTHS[usize::from(byte)], escape(byte)) {
            (1, _) => out.push(char::from(byte)),
            (_, Some(letter)) => out.extend(['\\', letter]),
            (_, None) => {
                out.push_str("\\x");
                out.extend([byte >> 4, byte & 15].map(|digit| char::from(HEX[usize::from(digit)])));
            }
        }
    }
    out.push('"');
}

/// The letter behind the backslash.
const fn escape(byte: u8) -> Option<char> {
    Some(match byte {
        b'"' => '"',
        b'\\' => '\\',
        b'\r' => 'r',
        b'\n' => 'n',
        b'\t' => 't',
        0 => '0',
        _ => return None,
    })
}

/// What stands behind the backslash, but for hex digits.
const fn unescape(letter: u8) -> Option<u8> {
    Some(match letter {
        b'"' | b'\\' => letter,
        b'r' => b'\r',
        b'n' => b'\n',
        b't' => b'\t',
        b'0' => 0,
        _ => return None,
    })
}

/// How many characters a byte takes in quotes.
const WIDTHS: [u8; 256] = {
    let (mut widths, mut byte) = ([0; 256], 0);
    while byte < widths.len() {
        widths[byte] = match (byte as u8, escape(byte as u8)) {
            (_, Some(_)) => 2,
            (b' '..=b'~', None) => 1,
            (_, None) => 4,
        };
        byte += 1;
    }
    widths
};
const HEX: &[u8; 16] = b"0123456789abcdef";

/// Appends a time as RFC 3339 writes it, such as `2026-11-22T14:44:07.747Z`; beyond the year 9999 as `@` and milliseconds.
pub(super) fn push_stamp(out: &mut String, time: UnixMillis) {
    let ms = time.as_millis();
    let (days, of_day) = (ms / DAY_MS, ms % DAY_MS);
    let (year, month, day) = crate::http::civil(days);
    if year > 9_999 {
        let _ = write!(out, "@{ms}");
        return;
    }
    push_digits(out, year, 4);
    for (before, number) in
        [('-', month), ('-', day), ('T', of_day / 3_600_000), (':', of_day / 60_000 % 60), (':', of_day / 1_000 % 60)]
    {
        out.push(before);
        push_digits(out, number, 2);
    }
    out.push('.');
    push_digits(out, of_day % 1_000, 3);
    out.push('Z');
}

/// The last so many digits of a number.
fn push_digits(out: &mut String, number: u64, digits: u32) {
    out.extend((0..digits).rev().map(|digit| char::from(b'0' + (number / 10_u64.pow(digit) % 10) as u8)));
}

/// The words of a line, one after the other.
#[derive(Debug, Clone)]
pub(super) struct Words<'a> {
    line: &'a str,
    at: usize,
}

impl<'a> Words<'a> {
    pub(super) fn new(line: &'a str) -> Self {
        Self { line: line.trim_end_matches(['\r', '\n']), at: 0 }
    }

    /// An error about the next word.
    pub(super) fn bad<T>(&self, expected: &'static str) -> Result<T, BadLine> {
        Err(BadLine { column: self.at + 1, expected })
    }

    /// The next word, up to a space.
    pub(super) fn word(&mut self, expected: &'static str) -> Result<&'a str, BadLine> {
        let rest = self.rest();
        let word = rest.split(' ').next().unwrap_or_default();
        if word.is_empty() {
            return self.bad(expected);
        }
        self.take(word.len());
        Ok(word)
    }

    /// The next word, which `read` has to understand.
    pub(super) fn map<T>(
        &mut self,
        expected: &'static str,
        read: impl FnOnce(&'a str) -> Option<T>,
    ) -> Result<T, BadLine> {
        let before = self.at;
        let word = self.word(expected)?;
        read(word).ok_or(BadLine { column: before + 1, expected })
    }

    /// What follows `prefix`, if the next word begins with it.
    pub(super) fn option(&mut self, prefix: &str) -> Option<&'a str> {
        let found = self.rest().split(' ').next()?.strip_prefix(prefix)?;
        self.take(prefix.len() + found.len());
        Some(found)
    }

    pub(super) fn number(&mut self, expected: &'static str) -> Result<u64, BadLine> {
        self.map(expected, number)
    }

    /// The word behind `prefix`, a number.
    pub(super) fn named(&mut self, prefix: &str, expected: &'static str) -> Result<u64, BadLine> {
        self.map(expected, |word| number(word.strip_prefix(prefix)?))
    }

    /// An id: slot and generation with a dot between them.
    pub(super) fn id(&mut self, expected: &'static str) -> Result<u64, BadLine> {
        self.map(expected, id)
    }

    pub(super) fn bytes(&mut self) -> Result<Vec<u8>, BadLine> {
        const BYTES: &str = "bytes: \"…\", or = and Base64";
        if !self.rest().starts_with('=') {
            return self.quoted(BYTES);
        }
        self.map(BYTES, |word| STANDARD_NO_PAD.decode(word.get(1..)?).ok())
    }

    pub(super) fn text(&mut self) -> Result<String, BadLine> {
        const TEXT: &str = "a text: \"…\" in UTF-8";
        let column = self.at + 1;
        let bytes = self.quoted(TEXT)?;
        String::from_utf8(bytes).map_err(|_| BadLine { column, expected: TEXT })
    }

    /// A text, or `-`.
    pub(super) fn text_or_none(&mut self) -> Result<Option<String>, BadLine> {
        if self.option("-").is_some_and(str::is_empty) { Ok(None) } else { self.text().map(Some) }
    }

    pub(super) fn stamp(&mut self) -> Result<UnixMillis, BadLine> {
        self.map("a time such as 2026-11-22T14:44:07.747Z", stamp)
    }

    /// The line ends here.
    pub(super) fn end(&self) -> Result<(), BadLine> {
        if self.rest().is_empty() { Ok(()) } else { self.bad("the end of the line") }
    }

    fn quoted(&mut self, expected: &'static str) -> Result<Vec<u8>, BadLine> {
        let bad = BadLine { column: self.at + 1, expected };
        let inner = self.rest().strip_prefix('"').ok_or(bad)?;
        let (mut bytes, mut rest) = (Vec::new(), inner.as_bytes());
        loop {
            let wrong = BadLine { column: self.line.len() - rest.len() + 1, expected };
            match rest {
                [b'"', ..] => break,
                [b'\\', b'x', high, low, ..] => {
                    let digits = [*high, *low];
                    bytes.push(core::str::from_utf8(&digits).ok().and_then(byte).ok_or(wrong)?);
                    rest = &rest[4..];
                }
                [b'\\', letter, ..] => {
                    bytes.push(unescape(*letter).ok_or(wrong)?);
                    rest = &rest[2..];
                }
                [plain @ b' '..=b'~', ..] if *plain != b'\\' => {
                    bytes.push(*plain);
                    rest = &rest[1..];
                }
                _ => return Err(wrong),
            }
        }
        self.take(inner.len() - rest.len() + 2);
        Ok(bytes)
    }

    fn rest(&self) -> &'a str {
        self.line.get(self.at..).unwrap_or_default()
    }

    /// Goes on behind so many bytes, and behind the space that follows.
    fn take(&mut self, len: usize) {
        self.at += len;
        if self.rest().starts_with(' ') {
            self.at += 1;
        }
    }
}

/// Digits only, without the sign that `parse` would take.
fn number(word: &str) -> Option<u64> {
    if word.bytes().all(|b| b.is_ascii_digit()) { word.parse().ok() } else { None }
}

/// An id in the notation of a recording, such as `7.1`.
pub(super) fn id(word: &str) -> Option<u64> {
    let (slot, generation) = word.split_once('.')?;
    let part = |text| number(text).and_then(|number| u32::try_from(number).ok()).map(u64::from);
    Some(part(generation)? << 32 | part(slot)?)
}

/// Two hex digits.
fn byte(digits: &str) -> Option<u8> {
    if digits.bytes().all(|b| b.is_ascii_hexdigit()) { u8::from_str_radix(digits, 16).ok() } else { None }
}

fn stamp(word: &str) -> Option<UnixMillis> {
    if let Some(ms) = word.strip_prefix('@') {
        return number(ms).map(UnixMillis::from_millis);
    }
    let shape: bool = word.len() == SHAPE.len()
        && word
            .bytes()
            .zip(SHAPE.bytes())
            .all(|(b, shape)| if shape == b'0' { b.is_ascii_digit() } else { b == shape });
    if !shape {
        return None;
    }
    let part = |from: usize, to: usize| word.get(from..to).and_then(number);
    let (year, month, day) = (part(0, 4)?, part(5, 7)?, part(8, 10)?);
    let days = days(year, month, day)?;
    let (hour, minute, second, ms) = (part(11, 13)?, part(14, 16)?, part(17, 19)?, part(20, 23)?);
    let real = crate::http::civil(days) == (year, month, day) && hour < 24 && minute < 60 && second < 60;
    let of_day = hour * 3_600_000 + minute * 60_000 + second * 1_000 + ms;
    real.then(|| UnixMillis::from_millis(days * DAY_MS + of_day))
}

/// Days from 1970 to a date: the way back from [`civil`](crate::http::civil), in years that begin in March.
fn days(year: u64, month: u64, day: u64) -> Option<u64> {
    let (year, from_march) = if month > 2 { (year, month - 3) } else { (year.checked_sub(1)?, month + 9) };
    let (era, of_era) = (year / 400, year % 400);
    let of_year = (153 * from_march + 2) / 5 + day.checked_sub(1)?;
    (era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year).checked_sub(719_468)
}

const SHAPE: &str = "0000-00-00T00:00:00.000Z";
const DAY_MS: u64 = 86_400_000;

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use proptest::prelude::*;

    use super::*;

    fn written(write: impl FnOnce(&mut String)) -> String {
        let mut line = String::new();
        write(&mut line);
        line.strip_prefix(' ').unwrap_or(&line).into()
    }

    #[test]
    fn bytes_can_be_read_unless_that_would_double_them() {
        for (bytes, text) in [
            (&b""[..], r#""""#),
            (b"GET / HTTP/1.1\r\n\r\n", r#""GET / HTTP/1.1\r\n\r\n""#),
            (b"say \"\\\"\0", r#""say \"\\\"\0""#),
            (b"{\"to\":\"luke\"}", r#""{\"to\":\"luke\"}""#),
            (b"one odd \xff byte among others", r#""one odd \xff byte among others""#),
            (b"\x81\x85\x37\xfa\x21\x3d", "=gYU3+iE9"),
        ] {
            assert_eq!(written(|line| push_bytes(line, bytes)), text);
            assert_eq!(Words::new(text).bytes().unwrap(), bytes);
        }
    }

    #[test]
    fn what_is_wrong_is_said_and_where() {
        for (line, column) in [
            ("", 1),
            ("abc", 1),
            ("\"abc", 5),
            ("\"a\\qc\"", 3),
            ("\"a\\x0g\"", 3),
            ("\"a\\x+1\"", 3),
            ("\"a\\x1\"", 3),
            ("\"a\u{e4}\"", 3),
            ("\"a\\", 3),
            ("=!", 1),
            ("=A", 1),
        ] {
            assert_eq!(Words::new(line).bytes().map_err(|bad| bad.column), Err(column), "{line}");
        }
        let mut words = Words::new("12 +3");
        assert_eq!(words.number("a number"), Ok(12));
        assert_eq!(words.number("a number").unwrap_err().to_string(), "column 4: a number was expected");
        assert!(Words::new("\"\\xff\"").text().is_err());
        assert!(Words::new("1.2.3").id("an id").is_err() && Words::new("4294967296.1").id("an id").is_err());
    }

    #[test]
    fn a_day_that_never_was_is_none() {
        for text in ["2026-02-29T00:00:00.000Z", "2026-13-01T00:00:00.000Z", "2026-00-01T00:00:00.000Z"] {
            assert!(stamp(text).is_none(), "{text}");
        }
        for text in ["1969-12-31T00:00:00.000Z", "0000-01-01T00:00:00.000Z", "2026-01-01T24:00:00.000Z", "@", "@1x"] {
            assert!(stamp(text).is_none(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn all_that_is_written_is_read(bytes: Vec<u8>, text: String, ms: u64, near in 0..300_000_000_000_000_u64) {
            let line = written(|line| {
                push_bytes(line, &bytes);
                push_text(line, &text);
                push_option(line, None);
                push_option(line, Some(&text));
                for ms in [ms, near] {
                    line.push(' ');
                    push_stamp(line, UnixMillis::from_millis(ms));
                }
            });
            prop_assert!(line.bytes().all(|b| (b' '..=b'~').contains(&b)), "{}", line);
            let mut words = Words::new(&line);
            prop_assert_eq!(words.bytes(), Ok(bytes));
            prop_assert_eq!(words.text(), Ok(text.clone()));
            prop_assert_eq!(words.text_or_none(), Ok(None));
            prop_assert_eq!(words.text_or_none(), Ok(Some(text)));
            prop_assert_eq!(words.stamp(), Ok(UnixMillis::from_millis(ms)));
            prop_assert_eq!(words.stamp(), Ok(UnixMillis::from_millis(near)));
            prop_assert_eq!(words.end(), Ok(()));
        }

        #[test]
        fn no_line_is_too_odd(line in "[ -~\\n\u{e4}]{0,40}", at in 0..6_usize) {
            let mut words = Words::new(&line);
            for _ in 0..at {
                let _ = words.word("a word");
            }
            let _ = (words.clone().bytes(), words.clone().text(), words.clone().stamp(), words.clone().id(""));
        }
    }
}
