//! Host and port, as `Host`, `Origin` and absolute targets have them: RFC 3986 section 3.2.

use core::net::Ipv6Addr;

/// A host and perhaps a port. User information is none of it: where it stands, parsing fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Authority<'a> {
    host: Host<'a>,
    port: Option<u16>,
}

#[derive(Debug, Clone, Copy)]
enum Host<'a> {
    Name(&'a str),
    V6(Ipv6Addr),
}

impl<'a> Authority<'a> {
    pub(super) fn parse(text: &'a str) -> Option<Self> {
        if let Some(rest) = text.strip_prefix('[') {
            let (address, rest) = rest.split_once(']')?;
            let port = if rest.is_empty() { None } else { Some(parse_port(rest.strip_prefix(':')?)?) };
            return Some(Self { host: Host::V6(address.parse().ok()?), port });
        }
        let (name, port) = match memchr::memchr(b':', text.as_bytes()) {
            Some(colon) => (text.get(..colon)?, Some(parse_port(text.get(colon + 1..)?)?)),
            None => (text, None),
        };
        let named = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_');
        let fits = (1..=NAME_BYTES).contains(&name.len()) && name.bytes().all(named);
        fits.then_some(Self { host: Host::Name(name), port })
    }

    /// Whether both mean the same host and port, where `default` stands for a port that is left out.
    pub(super) fn is_same(&self, other: &Self, default: Option<u16>) -> bool {
        self.host == other.host && self.port.or(default) == other.port.or(default)
    }
}

impl PartialEq for Host<'_> {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Name(a), Self::Name(b)) => a.eq_ignore_ascii_case(b),
            (Self::V6(a), Self::V6(b)) => a == b,
            _ => false,
        }
    }
}

impl Eq for Host<'_> {}

fn parse_port(text: &str) -> Option<u16> {
    let plain = (1..=5).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit()) && !text.starts_with('0');
    if plain { text.parse().ok() } else { None }
}

/// The longest name that the domain name system has.
const NAME_BYTES: usize = 255;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_hosts() {
        for good in ["example.com", "a_b.example.com:8080", "127.0.0.1:1", "[::1]", "[::1]:65535", "localhost", "a."] {
            assert!(Authority::parse(good).is_some(), "{good}");
        }
        for bad in [
            "",
            ":80",
            "a:",
            "a:0",
            "a:080",
            "a:65536",
            "a:123456",
            "a:+80",
            "a:80:80",
            "u@a",
            "a/b",
            "a b",
            "a,b",
            "[::1",
            "[::1]80",
            "[::1]:",
            "[a]",
            "::1",
            "é.com",
            "a%41",
            "a\\b",
            "a?b",
            "a#b",
            "[::1%eth0]",
        ] {
            assert!(Authority::parse(bad).is_none(), "{bad}");
        }
        let longest = "a".repeat(255);
        assert!(Authority::parse(&longest).is_some());
        assert!(Authority::parse(&(longest + "a")).is_none());
    }

    #[test]
    fn compares_hosts() {
        let same = |a, b, default| Authority::parse(a).unwrap().is_same(&Authority::parse(b).unwrap(), default);
        assert!(same("Example.COM", "example.com:80", Some(80)));
        assert!(!same("example.com", "example.com:80", Some(443)));
        assert!(!same("example.com", "example.com:80", None));
        assert!(same("[::1]:8080", "[0:0:0:0:0:0:0:1]:8080", Some(80)));
        assert!(!same("example.com.", "example.com", Some(80)));
        assert!(!same("example.com", "example.com.evil", Some(80)));
    }
}
