//! The request target: RFC 9112 section 3.2.

use alloc::string::String;
use alloc::vec::Vec;
use core::ops::Range;

use super::authority::Authority;
use super::refusal::Refusal;

/// What a request target consists of, as ranges of it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Target {
    /// Of an absolute target.
    pub(super) authority: Option<Range<usize>>,
    pub(super) path: Range<usize>,
    /// The path, where it is not what stands in `path`.
    pub(super) decoded: Option<String>,
    /// Behind the question mark.
    pub(super) query: Option<Range<usize>>,
}

impl Target {
    /// # Errors
    /// [`Refusal::Malformed`] for what is no target of this method, [`Refusal::Path`] for what is one, but with a path
    /// that two readers may take for two different ones.
    pub(super) fn parse(method: &str, target: &str) -> Result<Self, Refusal> {
        // Most targets hold nothing but a plain path: one look at each byte tells.
        let seen = target.bytes().fold(0, |seen, byte| seen | KINDS[usize::from(byte)]);
        if seen & HASH != 0 {
            return Err(Refusal::Path);
        }
        if method == "OPTIONS" && target == "*" {
            return Ok(Self { authority: None, path: 0..1, decoded: None, query: None });
        }
        let authority = if target.starts_with('/') { None } else { Some(absolute(target).ok_or(Refusal::Malformed)?) };
        let start = match &authority {
            Some(authority) => {
                let text = target.get(authority.clone()).unwrap_or_default();
                Authority::parse(text).ok_or(Refusal::Malformed)?;
                authority.end
            }
            None => 0,
        };
        let rest = target.get(start..).unwrap_or_default();
        let mark = if seen & MARK == 0 { None } else { rest.find('?') };
        let (path, query) = match mark {
            Some(mark) => (start..start + mark, Some(start + mark + 1..target.len())),
            None => (start..target.len(), None),
        };
        let raw = target.get(path.clone()).unwrap_or_default();
        // Only an absolute target may have no path: RFC 9110 section 4.2.3.
        let decoded = match raw {
            "" => Some("/".into()),
            _ if seen & ODD == 0 => None,
            _ => decode(raw)?,
        };
        Ok(Self { authority, path, decoded, query })
    }
}

/// Where the authority of an absolute target stands.
fn absolute(target: &str) -> Option<Range<usize>> {
    let colon = target.find("://")?;
    let scheme = target.get(..colon)?;
    if !["http", "https", "ws", "wss"].iter().any(|known| scheme.eq_ignore_ascii_case(known)) {
        return None;
    }
    let start = colon + 3;
    let len = target.get(start..)?.find(['/', '?']).unwrap_or(target.len() - start);
    Some(start..start + len)
}

/// Decodes a path once; `None`: there is nothing to decode. Refused are segments `.` and `..`, an encoded slash, control
/// characters and what is not UTF-8 afterwards: each has been a way around somebody's guard.
fn decode(raw: &str) -> Result<Option<String>, Refusal> {
    let decoded = if raw.contains('%') { Some(decode_escapes(raw)?) } else { None };
    let path = decoded.as_deref().unwrap_or(raw);
    let hostile = path.bytes().any(|b| b.is_ascii_control()) || path.split('/').any(|s| s == "." || s == "..");
    if hostile { Err(Refusal::Path) } else { Ok(decoded) }
}

fn decode_escapes(raw: &str) -> Result<String, Refusal> {
    let mut bytes = Vec::with_capacity(raw.len());
    let mut rest = raw.as_bytes();
    while let [byte, behind @ ..] = rest {
        rest = behind;
        if *byte != b'%' {
            bytes.push(*byte);
            continue;
        }
        let [high, low, behind @ ..] = rest else { return Err(Refusal::Path) };
        rest = behind;
        match (hex(*high), hex(*low)) {
            (Some(high), Some(low)) if high << 4 | low != b'/' => bytes.push(high << 4 | low),
            _ => return Err(Refusal::Path),
        }
    }
    String::from_utf8(bytes).map_err(|_| Refusal::Path)
}

const fn hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

const HASH: u8 = 1;
const MARK: u8 = 2;
/// What a path has to be looked at for: escapes, segments of dots, control characters.
const ODD: u8 = 4;

/// What each byte of a target may mean.
const KINDS: [u8; 256] = {
    let mut kinds = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        kinds[byte] = match byte as u8 {
            b'#' => HASH,
            b'?' => MARK,
            b'%' | b'.' => ODD,
            other if other.is_ascii_control() => ODD,
            _ => 0,
        };
        byte += 1;
    }
    kinds
};

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::ToString;

    fn path(target: &str) -> Result<(String, Option<&str>), Refusal> {
        let parsed = Target::parse("GET", target)?;
        let path = parsed.decoded.unwrap_or_else(|| target[parsed.path].to_string());
        Ok((path, parsed.query.map(|range| &target[range])))
    }

    #[test]
    fn h22_decodes_once() {
        assert_eq!(path("/stomp"), Ok(("/stomp".into(), None)));
        assert_eq!(path("/st%6fmp?a=%62#".trim_end_matches('#')), Ok(("/stomp".into(), Some("a=%62"))));
        assert_eq!(path("/%252e%252e/x"), Ok(("/%2e%2e/x".into(), None)));
        assert_eq!(path("/a;x=1/b"), Ok(("/a;x=1/b".into(), None)));
        assert_eq!(path("/%c3%a9/é"), Ok(("/é/é".into(), None)));
        assert_eq!(path("/?"), Ok(("/".into(), Some(""))));
        assert_eq!(path("/a/...//b"), Ok(("/a/...//b".into(), None)));
    }

    #[test]
    fn h22_refuses_what_reads_two_ways() {
        for hostile in [
            "/%00",
            "/a/%2e%2e/b",
            "/a/../b",
            "/.",
            "/a/%2E",
            "/a%2fb",
            "/a%2Fb",
            "/%0d%0aX:",
            "/%7f",
            "/%",
            "/%4",
            "/%zz",
            "/%+1",
            "/%ff",
            "/%c0%af",
            "/a#b",
            "/a?b#c",
        ] {
            assert_eq!(path(hostile), Err(Refusal::Path), "{hostile}");
        }
    }

    #[test]
    fn h22_takes_the_path_of_an_absolute_target() {
        assert_eq!(path("HTTP://example.com:8080/a?b"), Ok(("/a".into(), Some("b"))));
        assert_eq!(path("ws://example.com"), Ok(("/".into(), None)));
        assert_eq!(path("http://example.com?x://y/"), Ok(("/".into(), Some("x://y/"))));
        assert_eq!(Target::parse("GET", "http://[::1]:80/").unwrap().authority, Some(7..15));
        for bad in
            ["http:///a", "http://u@example.com/", "ftp://example.com/", "http://", "a", "example.com:443", "*", "?"]
        {
            assert_eq!(path(bad), Err(Refusal::Malformed), "{bad}");
        }
        assert_eq!(path("/a://b/c"), Ok(("/a://b/c".into(), None)));
        assert!(Target::parse("OPTIONS", "*").is_ok());
    }
}
