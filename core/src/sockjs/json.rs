//! JSON, as far as SockJS needs it: arrays of strings.

use alloc::vec::Vec;

use super::form::digit;

/// The messages of an array of strings, in order. The whole of it is checked before the first one is told, so that nothing
/// is handled of what is broken.
///
/// ```
/// use tethered_core::sockjs::Messages;
///
/// let mut messages = Messages::of(br#" [ "one", "t\u0077o" ] "#)?;
/// let mut scratch = Vec::new();
/// assert_eq!(messages.next(&mut scratch), Some(&b"one"[..]));
/// assert_eq!(messages.next(&mut scratch), Some(&b"two"[..]));
/// assert_eq!(messages.next(&mut scratch), None);
/// # Ok::<(), tethered_core::sockjs::BadJson>(())
/// ```
#[derive(Debug, Clone)]
pub struct Messages<'a> {
    rest: &'a [u8],
}

/// Anything but an array of strings: RFC 8259, in UTF-8, without lone surrogates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("Broken JSON encoding.")]
pub struct BadJson;

impl<'a> Messages<'a> {
    /// Checks an array. It takes time in proportion to its length and no memory.
    ///
    /// # Errors
    /// [`BadJson`].
    pub fn of(json: &'a [u8]) -> Result<Self, BadJson> {
        let rest = space(json).strip_prefix(b"[").ok_or(BadJson)?;
        let mut at = space(rest);
        if let Some(behind) = at.strip_prefix(b"]") {
            return if space(behind).is_empty() { Ok(Self { rest: &[] }) } else { Err(BadJson) };
        }
        loop {
            let inside = at.strip_prefix(b"\"").ok_or(BadJson)?;
            at = space(check(inside)?);
            match at.split_first() {
                Some((b',', behind)) => at = space(behind),
                Some((b']', behind)) if space(behind).is_empty() => return Ok(Self { rest }),
                _ => return Err(BadJson),
            }
        }
    }

    /// The next message, in UTF-8. One that has escapes is put together in `scratch`.
    pub fn next<'s>(&mut self, scratch: &'s mut Vec<u8>) -> Option<&'s [u8]>
    where
        'a: 's,
    {
        let start = self.rest.iter().position(|b| *b == b'"')?;
        let mut rest = self.rest.get(start + 1..)?;
        let end = rest.iter().position(|b| matches!(b, b'"' | b'\\'))?;
        let (plain, behind) = rest.split_at(end);
        if let [b'"', behind @ ..] = behind {
            self.rest = behind;
            return Some(plain);
        }
        scratch.clear();
        loop {
            let end = rest.iter().position(|b| matches!(b, b'"' | b'\\')).unwrap_or(rest.len());
            let (plain, behind) = rest.split_at(end);
            scratch.extend_from_slice(plain);
            match behind {
                [b'\\', b'u', behind @ ..] => {
                    let (character, behind) = unit(behind)?;
                    scratch.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
                    rest = behind;
                }
                [b'\\', escape, behind @ ..] => {
                    scratch.push(short(*escape)?);
                    rest = behind;
                }
                [_, behind @ ..] => {
                    self.rest = behind;
                    return Some(scratch);
                }
                [] => return None,
            }
        }
    }
}

/// Checks a string from behind its opening quote; what follows its closing one.
fn check(inside: &[u8]) -> Result<&[u8], BadJson> {
    let mut rest = inside;
    loop {
        let end = rest.iter().position(|b| matches!(b, b'"' | b'\\' | 0..=0x1f)).ok_or(BadJson)?;
        let (plain, behind) = rest.split_at(end);
        if core::str::from_utf8(plain).is_err() {
            return Err(BadJson);
        }
        rest = match behind {
            [b'"', behind @ ..] => return Ok(behind),
            [b'\\', b'u', behind @ ..] => unit(behind).ok_or(BadJson)?.1,
            [b'\\', escape, behind @ ..] if short(*escape).is_some() => behind,
            _ => return Err(BadJson),
        };
    }
}

/// The character of an escape from behind its `\u`, which takes two of them outside of the basic plane.
fn unit(digits: &[u8]) -> Option<(char, &[u8])> {
    let (high, rest) = four(digits)?;
    if let Some(character) = char::from_u32(high) {
        return Some((character, rest));
    }
    let (low, rest) = four(rest.strip_prefix(b"\\u")?)?;
    if high > 0xdbff || !(0xdc00..=0xdfff).contains(&low) {
        return None;
    }
    Some((char::from_u32(0x1_0000 + ((high & 0x3ff) << 10 | low & 0x3ff))?, rest))
}

fn four(digits: &[u8]) -> Option<(u32, &[u8])> {
    let (four, rest) = digits.split_first_chunk::<4>()?;
    let number = |number, byte: &u8| number << 4 | u32::from(digit(*byte));
    four.iter().all(u8::is_ascii_hexdigit).then(|| (four.iter().fold(0, number), rest))
}

const fn short(escape: u8) -> Option<u8> {
    Some(match escape {
        b'"' | b'\\' | b'/' => escape,
        b'b' => 0x08,
        b'f' => 0x0c,
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        _ => return None,
    })
}

fn space(json: &[u8]) -> &[u8] {
    let end = json.iter().position(|b| !matches!(b, b' ' | b'\t' | b'\n' | b'\r')).unwrap_or(json.len());
    json.get(end..).unwrap_or_default()
}

/// Appends text as a JSON string. Escaped is what JSON asks for and what browsers, proxies or old engines are known to
/// mangle: controls, U+0600 to U+0604, U+070F, U+17B4, U+17B5, U+200C to U+200F, U+2028 to U+202F, U+2060 to U+206F,
/// U+FEFF, U+FFF0 to U+FFFF and everything outside of the basic plane. What is not UTF-8 becomes U+FFFD.
pub fn push_string(out: &mut Vec<u8>, text: &[u8]) {
    out.reserve(text.len() + 2);
    out.push(b'"');
    match core::str::from_utf8(text) {
        // Nearly always, and found out many bytes at a time.
        Ok(text) => push_valid(out, text),
        Err(_) => {
            for chunk in text.utf8_chunks() {
                push_valid(out, chunk.valid());
                if !chunk.invalid().is_empty() {
                    push_unit(out, 0xfffd);
                }
            }
        }
    }
    out.push(b'"');
}

fn push_valid(out: &mut Vec<u8>, text: &str) {
    let bytes = text.as_bytes();
    let (mut from, mut at) = (0, 0);
    while let Some(&byte) = bytes.get(at) {
        if !SPECIAL[usize::from(byte)] {
            at += 1;
            continue;
        }
        let Some(character) = text.get(at..).and_then(|rest| rest.chars().next()) else { return };
        let len = character.len_utf8();
        if is_escaped(character) {
            out.extend_from_slice(bytes.get(from..at).unwrap_or_default());
            push_escaped(out, character);
            from = at + len;
        }
        at += len;
    }
    out.extend_from_slice(bytes.get(from..).unwrap_or_default());
}

/// Whether a byte may begin something that is escaped.
const SPECIAL: [bool; 256] = {
    let mut special = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        special[byte] =
            byte < 0x20 || matches!(byte as u8, b'"' | b'\\' | 0xd8 | 0xdc | 0xe1 | 0xe2 | 0xef | 0xf0..=0xff);
        byte += 1;
    }
    special
};

const fn is_escaped(character: char) -> bool {
    matches!(character,
        '\0'..='\u{1f}' | '"' | '\\' | '\u{600}'..='\u{604}' | '\u{70f}' | '\u{17b4}' | '\u{17b5}'
        | '\u{200c}'..='\u{200f}' | '\u{2028}'..='\u{202f}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
        | '\u{fff0}'..=char::MAX)
}

fn push_escaped(out: &mut Vec<u8>, character: char) {
    match character {
        '"' | '\\' => out.extend_from_slice(&[b'\\', character as u8]),
        '\u{8}' => out.extend_from_slice(b"\\b"),
        '\t' => out.extend_from_slice(b"\\t"),
        '\n' => out.extend_from_slice(b"\\n"),
        '\u{c}' => out.extend_from_slice(b"\\f"),
        '\r' => out.extend_from_slice(b"\\r"),
        _ => character.encode_utf16(&mut [0; 2]).iter().for_each(|unit| push_unit(out, *unit)),
    }
}

fn push_unit(out: &mut Vec<u8>, unit: u16) {
    let hex = |shift: u16| HEX[usize::from(unit >> shift & 15)];
    out.extend_from_slice(&[b'\\', b'u', hex(12), hex(8), hex(4), hex(0)]);
}

const HEX: &[u8; 16] = b"0123456789abcdef";

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::borrow::ToOwned;
    use alloc::string::String;
    use proptest::prelude::*;

    fn read(json: &[u8]) -> Result<Vec<String>, BadJson> {
        let (mut messages, mut scratch, mut all) = (Messages::of(json)?, Vec::new(), Vec::new());
        while let Some(message) = messages.next(&mut scratch) {
            all.push(String::from_utf8(message.to_owned()).expect("a message is UTF-8"));
        }
        Ok(all)
    }

    fn written(text: &[u8]) -> String {
        let mut out = Vec::new();
        push_string(&mut out, text);
        String::from_utf8(out).expect("what is written is UTF-8")
    }

    #[test]
    fn reads_arrays_of_strings() {
        for (json, messages) in [
            ("[]", &[][..]),
            (" [ ] ", &[]),
            (r#"["x"]"#, &["x"]),
            (" [ \"x\" ,\r\n\t\"y\" ] ", &["x", "y"]),
            (r#"["",""]"#, &["", ""]),
            (r#"["a\"b\\c\/d\b\f\n\r\t"]"#, &["a\"b\\c/d\u{8}\u{c}\n\r\t"]),
            (r#"["\u0000\u2028\ufeff\uFFFF\u00e9é"]"#, &["\0\u{2028}\u{feff}\u{ffff}éé"]),
            (r#"["\ud83d\ude00\uD800\uDC00\udbff\udfff"]"#, &["\u{1f600}\u{10000}\u{10ffff}"]),
            ("[\"\u{7f}\u{80}]\",\"[,\"]", &["\u{7f}\u{80}]", "[,"]),
        ] {
            assert_eq!(
                read(json.as_bytes()).as_deref(),
                Ok(&messages.iter().map(|m| (*m).into()).collect::<Vec<_>>()[..])
            );
        }
    }

    #[test]
    fn j07_j08_j09_reads_nothing_else() {
        for json in [
            "",
            " ",
            "[",
            "]",
            "[\"x",
            "[\"x\"",
            "x",
            "[\"x\"]]",
            "['x']",
            "[\"\\u12\"]",
            "[1,",
            "{\"a\":",
            "[1]",
            "[null]",
            "[[\"x\"]]",
            "[\"x\",]",
            "[,\"x\"]",
            "[\"x\" \"y\"]",
            "\"x\"",
            "[\"\\x\"]",
            "[\"\\\"]",
            "[\"a\nb\"]",
            "[\"a\0\"]",
            "[\"\\ud800\"]",
            "[\"\\udfff\"]",
            "[\"\\ud83dx\"]",
            "[\"\\ude00\\ud83d\"]",
            "[\"\\ud800\\ud800\"]",
            "[\"\\ud800\\u0041\"]",
            "[\"\\u+123\"]",
            "\u{feff}[]",
            "[\"x\"]\0",
            "[true]",
            "[\"x\": \"y\"]",
        ] {
            assert_eq!(read(json.as_bytes()), Err(BadJson), "{json}");
        }
        for json in [&b"[\"\xff\xfe\"]"[..], b"[\"\xed\xa0\x80\"]", b"[\"\xc0\x80\"]", b"[\"\xe2\x82\"]"] {
            assert_eq!(read(json), Err(BadJson));
        }
        assert_eq!(read(&b"[".repeat(100_000)), Err(BadJson));
        assert_eq!(read(&[b"[", &b"9".repeat(100_000)[..], b"]"].concat()), Err(BadJson));
    }

    #[test]
    fn writes_what_others_mangle_as_escapes() {
        assert_eq!(written("\0\u{1}\u{8}\t\n\u{b}\u{c}\r\u{1f}".as_bytes()), r#""\u0000\u0001\b\t\n\u000b\f\r\u001f""#);
        assert_eq!(written("\"\\/'<é\u{20ac}".as_bytes()), "\"\\\"\\\\/'<é\u{20ac}\"");
        assert_eq!(written("\u{600}\u{604}\u{70f}\u{17b4}\u{17b5}".as_bytes()), r#""\u0600\u0604\u070f\u17b4\u17b5""#);
        assert_eq!(
            written("\u{5ff}\u{605}\u{70e}\u{17b3}\u{200b}\u{2010}".as_bytes()),
            "\"\u{5ff}\u{605}\u{70e}\u{17b3}\u{200b}\u{2010}\""
        );
        assert_eq!(written("\u{feff}\u{fff0}\u{ffff}\u{1f600}".as_bytes()), r#""\ufeff\ufff0\uffff\ud83d\ude00""#);
        assert_eq!(written(b"a\xffb\xe2\x82"), r#""a\ufffdb\ufffd""#);
        for (low, high) in [(0x200c_u32, 0x200f), (0x2028, 0x202f), (0x2060, 0x206f), (0xfff0, 0xffff)] {
            let text: String = (low..=high).filter_map(char::from_u32).collect();
            let escapes: String = (low..=high).map(|unit| alloc::format!("\\u{unit:04x}")).collect();
            assert_eq!(written(text.as_bytes()), alloc::format!("\"{escapes}\""));
        }
    }

    #[test]
    fn no_character_is_missed_by_the_table() {
        for character in (0..=0x10_ffff).filter_map(char::from_u32).filter(|c| is_escaped(*c)) {
            assert!(SPECIAL[usize::from(character.encode_utf8(&mut [0; 4]).as_bytes()[0])], "{character:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(texts in proptest::collection::vec(any::<String>(), 0..5)) {
            let json = [b"[", &texts.iter().map(|text| written(text.as_bytes()).into_bytes()).collect::<Vec<_>>().join(&b","[..])[..], b"]"].concat();
            prop_assert_eq!(read(&json), Ok(texts));
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            let _ = read(&bytes);
            let _ = written(&bytes);
        }
    }
}
