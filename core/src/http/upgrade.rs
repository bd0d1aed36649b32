//! The client's side of the WebSocket opening handshake: RFC 6455 section 4.2.1.

use super::grammar::elements;
use super::refusal::Refusal;
use super::request::{Request, Version};

/// An opening handshake that was found in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Upgrade {
    key: [u8; KEY_BYTES],
    protocol: Option<usize>,
}

/// The sub-protocols of a STOMP endpoint. They do not bind the version that STOMP itself then agrees on.
pub const STOMP_PROTOCOLS: [&str; 3] = ["v10.stomp", "v11.stomp", "v12.stomp"];

/// Whether a request asks for a WebSocket, well or badly.
pub fn is_asked(request: &Request) -> bool {
    request.has_token("upgrade", "websocket")
}

/// Checks method, version, `Upgrade`, `Connection`, `Sec-WebSocket-Version` and `Sec-WebSocket-Key`, and chooses among
/// `protocols` the first one that the client names, ignoring case. Extensions are declined by being ignored, whatever
/// they look like.
///
/// That there is no body was checked by [`parse`](super::parse); `Origin` is a matter of
/// [`OriginRules`](super::OriginRules).
///
/// # Errors
/// [`Refusal::Method`], [`Refusal::UpgradeHttp10`], [`Refusal::UpgradeHeader`], [`Refusal::ConnectionHeader`],
/// [`Refusal::Key`] or [`Refusal::WebSocketVersion`].
pub fn check<S: AsRef<str>>(request: &Request, protocols: &[S]) -> Result<Upgrade, Refusal> {
    if request.method() != "GET" {
        return Err(Refusal::Method);
    }
    if request.version() == Version::Http10 {
        return Err(Refusal::UpgradeHttp10);
    }
    if !is_asked(request) {
        return Err(Refusal::UpgradeHeader);
    }
    if !request.has_token("connection", "upgrade") {
        return Err(Refusal::ConnectionHeader);
    }
    let key = only(request, "sec-websocket-key").ok_or(Refusal::Key)?;
    if only(request, "sec-websocket-version") != Some(b"13") {
        return Err(Refusal::WebSocketVersion);
    }
    Ok(Upgrade { key: parse_key(key).ok_or(Refusal::Key)?, protocol: choose(request, protocols) })
}

impl Upgrade {
    /// The key, in base64 as it was sent.
    pub fn key(&self) -> &[u8; 24] {
        &self.key
    }

    /// The sub-protocol, in the server's own spelling. `offered` has to be the list that [`check`] was given.
    pub fn protocol<'p, S: AsRef<str>>(&self, offered: &'p [S]) -> Option<&'p str> {
        offered.get(self.protocol?).map(AsRef::as_ref)
    }
}

/// The value of a header that has to be there exactly once.
fn only<'a>(request: &'a Request, name: &'a str) -> Option<&'a [u8]> {
    let mut values = request.headers(name);
    let value = values.next()?;
    if values.next().is_none() { Some(value) } else { None }
}

/// Base64 of 16 bytes. The four bits that the last digit has too many may be set: clients exist that set them.
fn parse_key(value: &[u8]) -> Option<[u8; KEY_BYTES]> {
    let key: [u8; KEY_BYTES] = value.try_into().ok()?;
    let (digits, padding) = key.split_at(KEY_BYTES - 2);
    let is_digit = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/');
    (padding == b"==" && digits.iter().all(is_digit)).then_some(key)
}

fn choose<S: AsRef<str>>(request: &Request, protocols: &[S]) -> Option<usize> {
    let index = |name: &[u8]| protocols.iter().position(|own| own.as_ref().as_bytes().eq_ignore_ascii_case(name));
    request.headers("sec-websocket-protocol").flat_map(elements).find_map(index)
}

const KEY_BYTES: usize = 24;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::Limits;
    use alloc::vec::Vec;

    const GOOD: [(&str, &str); 5] = [
        ("Host", "a"),
        ("Upgrade", "websocket"),
        ("Connection", "Upgrade"),
        ("Sec-WebSocket-Version", "13"),
        ("Sec-WebSocket-Key", KEY),
    ];
    const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

    fn checked(method: &str, version: Version, headers: &[(&str, &str)]) -> Result<Upgrade, Refusal> {
        let headers = headers.iter().map(|&(name, value)| (name, value.as_bytes()));
        check(&Request::from_parts(method, "/stomp", version, headers, &Limits::default())?, &STOMP_PROTOCOLS)
    }

    /// The good handshake with all headers of this name replaced by these.
    fn with(name: &str, values: &[&str]) -> Result<Upgrade, Refusal> {
        let mut headers: Vec<_> = GOOD.into_iter().filter(|(of, _)| *of != name).collect();
        headers.extend(values.iter().map(|&value| (name, value)));
        checked("GET", Version::Http11, &headers)
    }

    fn protocol(values: &[&str]) -> Option<&'static str> {
        with("Sec-WebSocket-Protocol", values).unwrap().protocol(&STOMP_PROTOCOLS)
    }

    #[test]
    fn takes_the_handshake_of_the_rfc() {
        let upgrade = checked("GET", Version::Http11, &GOOD).unwrap();
        assert_eq!((upgrade.key(), upgrade.protocol(&STOMP_PROTOCOLS)), (KEY.as_bytes().try_into().unwrap(), None));
    }

    #[test]
    fn h07_has_no_body() {
        assert!(with("Content-Length", &["0"]).is_ok());
        for (name, value) in [("Content-Length", "5"), ("Transfer-Encoding", "chunked")] {
            assert_eq!(with(name, &[value]), Err(Refusal::Framing));
        }
    }

    #[test]
    fn h11_speaks_version_13_only() {
        for bad in [&[][..], &[""], &["8"], &["12"], &["14"], &["013"], &["13.0"], &["13, 8"], &["13", "13"], &["x"]] {
            assert_eq!(with("Sec-WebSocket-Version", bad), Err(Refusal::WebSocketVersion), "{bad:?}");
        }
        assert_eq!(Refusal::WebSocketVersion.status(), 426);
    }

    #[test]
    fn h12_wants_both_upgrade_headers() {
        for good in [&["WebSocket"][..], &["h2c, websocket"], &["h2c", "WEBSOCKET"]] {
            assert!(with("Upgrade", good).is_ok(), "{good:?}");
        }
        for bad in [&[][..], &[""], &["websockets"], &["web socket"], &["websocket/13"], &["h2c"], &["\"websocket\""]] {
            assert_eq!(with("Upgrade", bad), Err(Refusal::UpgradeHeader), "{bad:?}");
        }
        for good in [&["upgrade"][..], &["keep-alive, UPGRADE"], &["Upgrade , close-not"], &["keep-alive", "upgrade"]] {
            assert!(with("Connection", good).is_ok(), "{good:?}");
        }
        for bad in [&[][..], &[""], &["close"], &["keep-alive"], &["upgraded"], &["up grade"]] {
            assert_eq!(with("Connection", bad), Err(Refusal::ConnectionHeader), "{bad:?}");
        }
    }

    #[test]
    fn h13_wants_one_key_of_16_bytes() {
        assert!(with("Sec-WebSocket-Key", &["AAAAAAAAAAAAAAAAAAAAAA=="]).is_ok());
        assert!(with("Sec-WebSocket-Key", &["AAAAAAAAAAAAAAAAAAAAAB=="]).is_ok(), "set trailing bits");
        assert!(with("Sec-WebSocket-Key", &["++++++++++//////////+/=="]).is_ok());
        for bad in [
            &[][..],
            &[""],
            &[KEY, KEY],
            &["AAAAAAAAAAAAAAAAAAAAA==="],
            &["AAAAAAAAAAAAAAAAAAAAAA"],
            &["AAAAAAAAAAAAAAAAAAAAAAA="],
            &["AAAAAAAAAAAAAAAAAAAAAAAA"],
            &["AAAAAAAAAAAAAAAAAAAA=="],
            &["AAAAAAAAAAAAAAAAAAAAA-=="],
            &["AAAAAAAAAA AAAAAAAAAAA=="],
            &["dGhlIHNhbXBsZSBub25jZQ==, dGhlIHNhbXBsZSBub25jZQ=="],
        ] {
            assert_eq!(with("Sec-WebSocket-Key", bad), Err(Refusal::Key), "{bad:?}");
        }
    }

    #[test]
    fn h14_is_a_get_of_http_11() {
        for method in ["POST", "HEAD", "PUT", "OPTIONS", "get"] {
            assert_eq!(checked(method, Version::Http11, &GOOD), Err(Refusal::Method), "{method}");
        }
        assert_eq!(Refusal::Method.extra_header(), Some(("Allow", "GET")));
        assert_eq!(checked("GET", Version::Http10, &GOOD), Err(Refusal::UpgradeHttp10));
        assert_eq!(Refusal::UpgradeHttp10.status(), 400);
    }

    #[test]
    fn h19_answers_what_was_offered_and_is_known() {
        assert_eq!(protocol(&["v12.stomp, v10.stomp"]), Some("v12.stomp"), "the client's order");
        assert_eq!(protocol(&["soap", "x,V11.STOMP"]), Some("v11.stomp"), "our own spelling");
        for none in [&[][..], &[""], &["soap"], &["v12.stomp2"], &["v12 stomp"], &["\"v12.stomp\""]] {
            assert_eq!(protocol(none), None, "{none:?}");
        }
        assert_eq!(protocol(&[&[&"x,".repeat(5_000), "v12.stomp"].concat()]), Some("v12.stomp"));
        assert_eq!(protocol(&[&" ,".repeat(7_500)]), None);
        assert_eq!(checked("GET", Version::Http11, &GOOD).unwrap().protocol::<&str>(&[]), None);
    }

    #[test]
    fn h20_control_characters_do_not_get_here() {
        for name in ["Sec-WebSocket-Protocol", "Sec-WebSocket-Extensions"] {
            for bad in ["v12.stomp\x01", "v12.stomp\0", "v12.stomp\r\nSet-Cookie: a=b", "v12.stomp\x7f"] {
                assert_eq!(with(name, &[bad]), Err(Refusal::Malformed), "{bad:?}");
            }
        }
    }

    #[test]
    fn h21_extensions_are_declined_whatever_they_look_like() {
        for offer in ["permessage-deflate; client_max_window_bits", "x-unknown", ";;=,\"", "a; b=\"", ""] {
            assert!(with("Sec-WebSocket-Extensions", &[offer]).is_ok(), "{offer}");
        }
    }
}
