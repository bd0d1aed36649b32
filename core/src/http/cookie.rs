//! Cookies: RFC 6265, and the session cookie as Spring Session writes it.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::grammar::{is_token, trim};
use super::limits::Limits;
use super::refusal::Refusal;
use super::request::Request;
use super::response::BadHeader;

/// How a session id is written in its cookie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// Standard Base64 with padding: the default of Spring Session.
    Base64,
    /// As it is.
    Plain,
}

/// What a cookie says of itself. The default is that of Spring's session cookie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attributes<'a> {
    /// Below which path the browser sends it back.
    pub path: &'a str,
    /// Only over HTTPS. To be set on every request that came over HTTPS.
    pub secure: bool,
    /// Not to be read by scripts.
    pub http_only: bool,
    /// Whether it goes along with requests that another site causes; `None`: as the browser likes.
    pub same_site: Option<SameSite>,
}

/// Whether a cookie goes along with requests that another site causes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SameSite {
    /// With followed links only.
    Lax,
    /// Never.
    Strict,
    /// Always.
    None,
}

impl Default for Attributes<'_> {
    fn default() -> Self {
        Self { path: "/", secure: false, http_only: true, same_site: Some(SameSite::Lax) }
    }
}

/// All cookies of a request, in order: name and value, as they stand. By RFC 6265 only a semicolon separates them; quotes,
/// commas and `$Version` mean nothing, so that no cookie can swallow its neighbour.
pub fn pairs(request: &Request) -> impl Iterator<Item = (&[u8], &[u8])> {
    request.headers("cookie").flat_map(pieces).filter_map(|piece| {
        let equals = piece.iter().position(|&b| b == b'=')?;
        Some((trim(piece.get(..equals)?), trim(piece.get(equals + 1..)?)))
    })
}

/// The session ids that a request offers, in the order they are to be tried: first those in `X-Auth-Token`, which only a
/// client of one's own writes, then those of all cookies of this name. What is no session id, or there already, is left
/// out; at most [`Limits::id_tries`] remain.
pub fn session_ids(request: &Request, name: &str, encoding: Encoding, limits: &Limits) -> Vec<Arc<str>> {
    let tokens = request.headers("x-auth-token").filter_map(checked);
    let cookies =
        pairs(request).filter(|(of, _)| *of == name.as_bytes()).filter_map(|(_, value)| decode(value, encoding));
    let mut ids = Vec::new();
    for id in tokens.chain(cookies) {
        if ids.len() >= limits.id_tries {
            break;
        }
        if !ids.contains(&id) {
            ids.push(id);
        }
    }
    ids
}

/// Whether a decoded session id is one: 1 to 128 of `A-Z a-z 0-9 . _ -`. Anything else is no id, and could be more than
/// that in a key or a log line.
pub fn is_session_id(id: &[u8]) -> bool {
    (1..=ID_BYTES).contains(&id.len())
        && id.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
}

/// A session id as the value of its cookie.
pub fn encode_value(id: &str, encoding: Encoding) -> String {
    match encoding {
        Encoding::Base64 => STANDARD.encode(id),
        Encoding::Plain => id.to_string(),
    }
}

/// The value of a `Set-Cookie` header, in the order in which Spring writes its parts.
///
/// # Errors
/// [`BadHeader`] if name, value or path hold what RFC 6265 section 4.1.1 does not let them.
pub fn set(name: &str, value: &str, attributes: &Attributes<'_>) -> Result<String, BadHeader> {
    write(name, value, "", attributes)
}

/// The value of a `Set-Cookie` header that makes the browser forget a cookie. The attributes have to be those it was set
/// with.
///
/// # Errors
/// As [`set`].
pub fn delete(name: &str, attributes: &Attributes<'_>) -> Result<String, BadHeader> {
    write(name, "", "; Max-Age=0; Expires=Thu, 1 Jan 1970 00:00:00 GMT", attributes)
}

/// COOKIE_BYTES and COOKIE_PAIRS.
pub(super) fn check(request: &Request, limits: &Limits) -> Result<(), Refusal> {
    let bytes: usize = request.headers("cookie").map(<[u8]>::len).sum();
    let pairs = request.headers("cookie").flat_map(pieces).count();
    if bytes > limits.cookie_bytes || pairs > limits.cookie_pairs { Err(Refusal::Cookies) } else { Ok(()) }
}

fn pieces(header: &[u8]) -> impl Iterator<Item = &[u8]> {
    header.split(|&b| b == b';').map(trim).filter(|piece| !piece.is_empty())
}

fn write(name: &str, value: &str, lifetime: &str, attributes: &Attributes<'_>) -> Result<String, BadHeader> {
    if !is_token(name.as_bytes()) {
        return Err(BadHeader::Name);
    }
    let is_octet = |b: u8| b.is_ascii_graphic() && !matches!(b, b'"' | b',' | b';' | b'\\');
    let is_path = |b: u8| b == b' ' || (b.is_ascii_graphic() && b != b';');
    if !value.bytes().all(is_octet) || !attributes.path.bytes().all(is_path) {
        return Err(BadHeader::Value);
    }
    let mut text = format!("{name}={value}{lifetime}");
    if !attributes.path.is_empty() {
        write!(text, "; Path={}", attributes.path).expect("a string takes everything");
    }
    text.push_str(if attributes.secure { "; Secure" } else { "" });
    text.push_str(if attributes.http_only { "; HttpOnly" } else { "" });
    text.push_str(match attributes.same_site {
        Some(SameSite::Lax) => "; SameSite=Lax",
        Some(SameSite::Strict) => "; SameSite=Strict",
        Some(SameSite::None) => "; SameSite=None",
        None => "",
    });
    Ok(text)
}

fn decode(value: &[u8], encoding: Encoding) -> Option<Arc<str>> {
    match encoding {
        Encoding::Plain => checked(value),
        Encoding::Base64 => {
            let mut id = [0; ID_BYTES + 3];
            let len =
                if value.len() <= ENCODED_BYTES { STANDARD.decode_slice(value, &mut id).ok()? } else { return None };
            checked(id.get(..len)?)
        }
    }
}

fn checked(id: &[u8]) -> Option<Arc<str>> {
    if is_session_id(id) { core::str::from_utf8(id).ok().map(Arc::from) } else { None }
}

/// ID: bytes of a decoded session id.
const ID_BYTES: usize = 128;

/// What these are in Base64.
const ENCODED_BYTES: usize = ID_BYTES.div_ceil(3) * 4;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::Version;

    fn request(headers: &[(&str, &str)], limits: &Limits) -> Result<Request, Refusal> {
        let headers = [("Host", "a")].iter().chain(headers).map(|&(name, value)| (name, value.as_bytes()));
        Request::from_parts("GET", "/", Version::Http11, headers, limits)
    }

    fn ids(headers: &[(&str, &str)], encoding: Encoding) -> Vec<Arc<str>> {
        let limits = Limits::default();
        session_ids(&request(headers, &limits).unwrap(), "SESSION", encoding, &limits)
    }

    fn base64(cookie: &str) -> Vec<Arc<str>> {
        ids(&[("Cookie", cookie)], Encoding::Base64)
    }

    const UUID: &str = "9c5b1df9-5678-40e3-b046-7a54f0c2c5a5";

    #[test]
    fn reads_what_spring_writes() {
        let value = encode_value(UUID, Encoding::Base64);
        assert_eq!(value, "OWM1YjFkZjktNTY3OC00MGUzLWIwNDYtN2E1NGYwYzJjNWE1");
        assert_eq!(*base64(&format!("a=b; SESSION={value}; c=d")), [UUID.into()]);
        assert_eq!(*ids(&[("cookie", &format!("SESSION={UUID}"))], Encoding::Plain), [UUID.into()]);
        assert_eq!(*ids(&[("X-Auth-Token", UUID)], Encoding::Base64), [UUID.into()]);
        assert_eq!(encode_value("a", Encoding::Base64), "YQ==");
        assert_eq!(encode_value(UUID, Encoding::Plain), UUID);
    }

    #[test]
    fn c01_ids_keep_to_their_alphabet_and_length() {
        for hostile in ["", "expires:a", "a*", "{a}", "a b", "a\rb", "a\nb", "a\0", "é", "a/b", "a=b", "a\x7f"] {
            let value = encode_value(hostile, Encoding::Base64);
            assert!(base64(&format!("SESSION={value}")).is_empty(), "{hostile:?}");
        }
        let longest = "a".repeat(128);
        assert_eq!(
            *base64(&format!("SESSION={}", encode_value(&longest, Encoding::Base64))),
            [longest.as_str().into()]
        );
        for long in ["a".repeat(129), "a".repeat(130), "a".repeat(5_000)] {
            assert!(base64(&format!("SESSION={}", encode_value(&long, Encoding::Base64))).is_empty());
            assert!(ids(&[("Cookie", &format!("SESSION={long}"))], Encoding::Plain).is_empty());
            assert!(ids(&[("X-Auth-Token", &long)], Encoding::Base64).is_empty());
        }
        assert!(ids(&[("X-Auth-Token", "expires:a")], Encoding::Base64).is_empty());
    }

    #[test]
    fn c02_broken_base64_and_bare_ids_are_no_ids() {
        for broken in [UUID, "YQ", "YQ=", "YQ===", "YR==", "Y Q=", "YQ==YQ==", "_-__", "%59%51%3d%3d", "\"YQ==\"", "="]
        {
            assert!(base64(&format!("SESSION={broken}")).is_empty(), "{broken}");
        }
    }

    #[test]
    fn c03_tries_the_first_four() {
        let cookies: Vec<String> = ["a", "b", "c", "d", "e"]
            .iter()
            .map(|id| format!("SESSION={}", encode_value(id, Encoding::Base64)))
            .collect();
        let four = ["a", "b", "c", "d"].map(Arc::from);
        assert_eq!(*base64(&cookies[..4].join("; ")), four);
        assert_eq!(*base64(&cookies.join("; ")), four);
        let doubled = format!("SESSION=x; {0}; {0}; {1}; session={2}", cookies[0], cookies[1], "Yw==");
        assert_eq!(
            *base64(&doubled),
            ["a", "b"].map(Arc::from),
            "broken and doubled ones cost no try; names have a case"
        );
        let lines = [("Cookie", cookies[1].as_str()), ("Cookie", cookies[0].as_str()), ("X-Auth-Token", "z")];
        assert_eq!(*ids(&lines, Encoding::Base64), ["z", "b", "a"].map(Arc::from));
    }

    #[test]
    fn c04_only_semicolons_separate() {
        let of = |cookie: &str| {
            let request = request(&[("Cookie", cookie)], &Limits::default()).unwrap();
            pairs(&request).map(|(n, v)| format!("{}|{}", n.escape_ascii(), v.escape_ascii())).collect::<Vec<_>>()
        };
        assert_eq!(
            of("$Version=1; SESSION=\"a; b=c\"; $Path=/"),
            ["$Version|1", "SESSION|\\\"a", "b|c\\\"", "$Path|/"]
        );
        assert_eq!(of("a=b, SESSION=c"), ["a|b, SESSION=c"]);
        assert_eq!(of(";; a = b ;c;=d; e=f=g"), ["a|b", "|d", "e|f=g"]);
        assert!(base64("x=\"; SESSION=YQ==; y=\"").contains(&"a".into()), "a quote swallows nothing");
        assert!(base64("a=b,SESSION=YQ==").is_empty());
    }

    #[test]
    fn c05_cookies_have_limits() {
        let limits = Limits { cookie_bytes: 20, cookie_pairs: 3, ..Limits::default() };
        let of = |headers: &[(&str, &str)]| request(headers, &limits).map(|_| ());
        assert_eq!(of(&[("Cookie", "a=12345678"), ("Cookie", "b=12345678")]), Ok(()));
        assert_eq!(of(&[("Cookie", "a=12345678"), ("Cookie", "b=123456789")]), Err(Refusal::Cookies));
        assert_eq!(of(&[("Cookie", "a=1; b=2; c;")]), Ok(()));
        assert_eq!(of(&[("Cookie", "a=1; b=2; c; d")]), Err(Refusal::Cookies));
        assert_eq!(of(&[("Cookie", "a=1; b=2"), ("Cookie", "c=3; d=4")]), Err(Refusal::Cookies));
        assert_eq!(Refusal::Cookies.status(), 431);
    }

    #[test]
    fn writes_what_spring_writes() {
        let value = encode_value(UUID, Encoding::Base64);
        let plain = Attributes::default();
        let secure = Attributes { secure: true, ..plain };
        assert_eq!(set("SESSION", &value, &plain).unwrap(), format!("SESSION={value}; Path=/; HttpOnly; SameSite=Lax"));
        assert_eq!(
            set("SESSION", &value, &secure).unwrap(),
            format!("SESSION={value}; Path=/; Secure; HttpOnly; SameSite=Lax")
        );
        assert_eq!(
            delete("SESSION", &plain).unwrap(),
            "SESSION=; Max-Age=0; Expires=Thu, 1 Jan 1970 00:00:00 GMT; Path=/; HttpOnly; SameSite=Lax"
        );
        let bare = Attributes { path: "", secure: false, http_only: false, same_site: None };
        assert_eq!(set("a", "b", &bare).unwrap(), "a=b");
    }

    #[test]
    fn h20_writes_no_line_end() {
        let plain = Attributes::default();
        for bad in ["a\r\nb", "a;b", "a b", "a,b", "\"a\"", "a\\b", "é", "a\0"] {
            assert_eq!(set("SESSION", bad, &plain), Err(BadHeader::Value), "{bad:?}");
            assert_eq!(set(bad, "a", &plain), Err(BadHeader::Name), "{bad:?}");
        }
        for bad in ["/;a", "/\r\n", "/é"] {
            assert_eq!(delete("a", &Attributes { path: bad, ..plain }), Err(BadHeader::Value), "{bad:?}");
        }
        assert_eq!(set("", "a", &plain), Err(BadHeader::Name));
    }
}
