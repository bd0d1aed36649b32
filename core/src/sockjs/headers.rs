//! What headers of answers say. Everything of a request that comes back in one is checked here first.

use alloc::string::String;
use alloc::vec::Vec;

macro_rules! no_cache {
    () => {
        "no-store, no-cache, no-transform, must-revalidate, max-age=0"
    };
}

/// Header lines of an answer of this type that must be asked for each time, and these behind them.
macro_rules! lines {
    ($type:literal $(, $more:literal)*) => {
        concat!(
            "Content-Type: ", $type, ";charset=UTF-8\r\nCache-Control: ", $crate::sockjs::headers::no_cache!(), "\r\n"
            $(, $more, "\r\n")*
        )
    };
}

pub(super) use {lines, no_cache};

/// `Cache-Control` of what must be asked for each time.
pub const NO_CACHE: &str = no_cache!();
/// How long preflights and the iframe page are good for, in seconds: a year.
pub const AGE_SECONDS: u64 = 31_536_000;

/// `Cache-Control` of what is good for [`AGE_SECONDS`].
pub const fn long_lived() -> &'static str {
    "public, max-age=31536000"
}

/// Whether an `Origin` is fit to be told back in `Access-Control-Allow-Origin`: 1 to 256 of what URLs are made of.
pub fn is_origin(origin: &[u8]) -> bool {
    (1..=ORIGIN_BYTES).contains(&origin.len())
        && origin.iter().all(|b| b.is_ascii_alphanumeric() || b"-._~:/[]%+".contains(b))
}

/// `Access-Control-Allow-Headers` for what `Access-Control-Request-Headers` asks: the same names. `None` where it asks for
/// none, or for what is no name.
pub fn requested_headers(asked: &[u8]) -> Option<String> {
    let is_name = |name: &&[u8]| {
        !name.is_empty() && name.iter().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(b))
    };
    if asked.len() > ORIGIN_BYTES * 4 {
        return None;
    }
    let names: Vec<&[u8]> = asked.split(|b| *b == b',').map(<[u8]>::trim_ascii).collect();
    if !names.iter().all(is_name) {
        return None;
    }
    String::from_utf8(names.join(&b", "[..])).ok()
}

/// The value of the cookie `JSESSIONID`, which load balancers look at to keep a client at one server: what the client has,
/// or else `dummy`.
pub fn jsessionid(sent: Option<&[u8]>) -> &str {
    let is_octet = |b: &u8| matches!(b, 0x21 | 0x23..=0x2b | 0x2d..=0x3a | 0x3c..=0x5b | 0x5d..=0x7e);
    sent.filter(|value| (1..=ORIGIN_BYTES).contains(&value.len()) && value.iter().all(is_octet))
        .and_then(|value| core::str::from_utf8(value).ok())
        .unwrap_or("dummy")
}

const ORIGIN_BYTES: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn h20_tells_back_what_is_harmless() {
        for origin in ["http://app.example", "https://app.example:8443", "null", "test", "http://[::1]:80"] {
            assert!(is_origin(origin.as_bytes()), "{origin}");
        }
        for origin in ["", "a b", "a\r\nX: y", "a,b", "a;b", "é", "\"a\"", "<a>"] {
            assert!(!is_origin(origin.as_bytes()), "{origin}");
        }
        assert!(is_origin(&[b'x'; 256]) && !is_origin(&[b'x'; 257]));
    }

    #[test]
    fn h20_grants_names_only() {
        let granted = |asked: &str| requested_headers(asked.as_bytes());
        assert_eq!(granted("X-One").as_deref(), Some("X-One"));
        assert_eq!(granted("a,b ,  c").as_deref(), Some("a, b, c"));
        for asked in ["", " ", "a,,b", "a b", "a\r\nX: y", "a:b", "é"] {
            assert_eq!(granted(asked), None, "{asked}");
        }
        assert_eq!(granted(&"a".repeat(1_025)), None);
    }

    #[test]
    fn a_cookie_comes_back_as_it_is_or_not_at_all() {
        assert_eq!(jsessionid(None), "dummy");
        assert_eq!(jsessionid(Some(b"abcdef")), "abcdef");
        assert_eq!(jsessionid(Some(b"x%0d%0aX-Evil:1")), "x%0d%0aX-Evil:1");
        for bad in [&b""[..], b"a b", b"a;b", b"a,b", b"a\"b", b"a\\b", b"\xff", &[b'x'; 257]] {
            assert_eq!(jsessionid(Some(bad)), "dummy");
        }
    }
}
