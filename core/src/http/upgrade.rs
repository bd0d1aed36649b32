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
    pub fn key(&self) -> &[u8; KEY_BYTES] {
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
