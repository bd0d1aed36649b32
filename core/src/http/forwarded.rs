//! What proxies tell of the client: RFC 7239 and the `X-Forwarded-*` headers before it.

use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};

use super::authority::Authority;
use super::grammar::{elements, is_token, trim};
use super::network::{BadNetwork, Network};
use super::refusal::Refusal;
use super::request::{Request, Scheme};

/// Whose `Forwarded` and `X-Forwarded-*` headers are believed. By default nobody's: a client can write them as well.
///
/// The addresses in such a header are walked from the right, where the proxy next to the server wrote, past every one
/// that is itself listed; the first that is not is the client. What stands left of it is hearsay.
#[derive(Debug, Clone, Default)]
pub struct Proxies {
    /// Which headers the proxies write. They have to write them always, or to remove what a client sent.
    pub style: ForwardedStyle,
    networks: Vec<Network>,
}

/// Which headers proxies write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ForwardedStyle {
    /// Either. A request in which the two contradict each other is refused, since one was then written by the client.
    #[default]
    Either,
    /// `Forwarded`; the others are ignored.
    Forwarded,
    /// `X-Forwarded-For`, `-Proto` and `-Host`; `Forwarded` is ignored.
    XForwarded,
}

/// What was told.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Seen<'a> {
    pub(super) address: Option<IpAddr>,
    pub(super) scheme: Option<Scheme>,
    pub(super) host: Option<&'a str>,
}

impl Proxies {
    /// Lists an address (`::1`) or a network (`10.0.0.0/8`).
    ///
    /// # Errors
    /// [`BadNetwork`] if it is neither.
    pub fn add(&mut self, network: &str) -> Result<(), BadNetwork> {
        self.networks.push(Network::parse(network)?);
        Ok(())
    }

    /// Whether an address is listed.
    pub fn contains(&self, address: IpAddr) -> bool {
        self.networks.iter().any(|network| network.contains(address))
    }
}

/// What the listed proxies tell; nothing, if the peer is none of them.
pub(super) fn read<'a>(request: &'a Request, proxies: &Proxies, peer: Option<IpAddr>) -> Result<Seen<'a>, Refusal> {
    if !peer.is_some_and(|peer| proxies.contains(peer)) {
        return Ok(Seen::default());
    }
    match proxies.style {
        ForwardedStyle::Forwarded => Ok(forwarded(request, proxies)),
        ForwardedStyle::XForwarded => Ok(x_forwarded(request, proxies)),
        ForwardedStyle::Either => {
            let (one, other) = (forwarded(request, proxies), x_forwarded(request, proxies));
            Ok(Seen {
                address: agreed(one.address, other.address, IpAddr::eq)?,
                scheme: agreed(one.scheme, other.scheme, Scheme::eq)?,
                host: agreed(one.host, other.host, |a, b| a.eq_ignore_ascii_case(b))?,
            })
        }
    }
}

fn agreed<T: Copy>(one: Option<T>, other: Option<T>, same: impl Fn(&T, &T) -> bool) -> Result<Option<T>, Refusal> {
    match (&one, &other) {
        (Some(a), Some(b)) if !same(a, b) => Err(Refusal::Forwarded),
        _ => Ok(one.or(other)),
    }
}

fn forwarded<'a>(request: &'a Request, proxies: &Proxies) -> Seen<'a> {
    let mut seen = Seen::default();
    for element in from_the_right(request, "forwarded") {
        let Some(hop) = Hop::parse(element) else { break };
        let Some(address) = hop.client.and_then(parse_node) else { break };
        seen = Seen {
            address: Some(address),
            scheme: hop.scheme.and_then(parse_scheme),
            host: hop.host.and_then(parse_host),
        };
        if !proxies.contains(address) {
            break;
        }
    }
    seen
}

fn x_forwarded<'a>(request: &'a Request, proxies: &Proxies) -> Seen<'a> {
    let mut address = None;
    let mut hops = 0;
    for node in from_the_right(request, "x-forwarded-for").map_while(parse_node) {
        hops += usize::from(address.is_some());
        address = Some(node);
        if !proxies.contains(node) {
            break;
        }
    }
    // Proxies add to these two, or write them anew: the element of the client's hop, or else the oldest one.
    let at_hop = |name| from_the_right(request, name).take(hops + 1).last();
    Seen {
        address,
        scheme: at_hop("x-forwarded-proto").and_then(parse_scheme),
        host: at_hop("x-forwarded-host").and_then(parse_host),
    }
}

/// The elements of a list header, the one that was added last first.
fn from_the_right<'a>(request: &'a Request, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
    request.headers(name).rev().flat_map(|line| elements(line).rev())
}

/// One element of `Forwarded`: RFC 7239 section 4.
struct Hop<'a> {
    client: Option<&'a [u8]>,
    scheme: Option<&'a [u8]>,
    host: Option<&'a [u8]>,
}

impl<'a> Hop<'a> {
    fn parse(element: &'a [u8]) -> Option<Self> {
        let mut hop = Self { client: None, scheme: None, host: None };
        for pair in element.split(|&b| b == b';').map(trim).filter(|pair| !pair.is_empty()) {
            let equals = pair.iter().position(|&b| b == b'=')?;
            let (name, value) = (pair.get(..equals)?, unquoted(pair.get(equals + 1..)?)?);
            let slot = match name {
                _ if name.eq_ignore_ascii_case(b"for") => &mut hop.client,
                _ if name.eq_ignore_ascii_case(b"proto") => &mut hop.scheme,
                _ if name.eq_ignore_ascii_case(b"host") => &mut hop.host,
                _ if is_token(name) => continue,
                _ => return None,
            };
            if slot.replace(value).is_some() {
                return None;
            }
        }
        Some(hop)
    }
}

/// A token, or what is between quotes. No host and no address needs a backslash.
fn unquoted(value: &[u8]) -> Option<&[u8]> {
    match value {
        [b'"', inner @ .., b'"'] if !inner.iter().any(|b| matches!(b, b'"' | b'\\')) => Some(inner),
        _ => is_token(value).then_some(value),
    }
}

/// An address with or without a port; `None` for `unknown` and obfuscated names.
fn parse_node(node: &[u8]) -> Option<IpAddr> {
    let text = core::str::from_utf8(node).ok()?;
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    let address = bare.parse().ok().or_else(|| text.parse().ok().map(|with_port: SocketAddr| with_port.ip()));
    address.map(|address: IpAddr| address.to_canonical())
}

fn parse_scheme(scheme: &[u8]) -> Option<Scheme> {
    let is = |names: [&str; 2]| names.iter().any(|name| scheme.eq_ignore_ascii_case(name.as_bytes()));
    if is(["https", "wss"]) {
        Some(Scheme::Https)
    } else if is(["http", "ws"]) {
        Some(Scheme::Http)
    } else {
        None
    }
}

fn parse_host(host: &[u8]) -> Option<&str> {
    let text = core::str::from_utf8(host).ok()?;
    Authority::parse(text).map(|_| text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::{Limits, Version};

    fn located(style: ForwardedStyle, peer: &str, headers: &[(&str, &str)]) -> Result<Request, Refusal> {
        let mut proxies = Proxies { style, ..Proxies::default() };
        proxies.add("10.0.0.0/8").unwrap();
        proxies.add("fd00::/8").unwrap();
        let headers = [("Host", "inner:8080")].iter().chain(headers).map(|&(name, value)| (name, value.as_bytes()));
        let mut request = Request::from_parts("GET", "/", Version::Http11, headers, &Limits::default()).unwrap();
        request.locate(&proxies, Some(peer.parse().unwrap()), false)?;
        Ok(request)
    }

    fn story(request: &Request) -> (alloc::string::String, Scheme, &str) {
        (request.client().unwrap().to_string(), request.scheme(), request.host().unwrap())
    }

    use std::string::ToString;

    const X: &[(&str, &str)] =
        &[("X-Forwarded-For", "1.2.3.4"), ("X-Forwarded-Proto", "https"), ("X-Forwarded-Host", "example.com")];

    #[test]
    fn h18_strangers_are_not_believed() {
        let request = located(ForwardedStyle::Either, "9.9.9.9", X).unwrap();
        assert_eq!(story(&request), ("9.9.9.9".into(), Scheme::Http, "inner:8080"));
        let standard = [("Forwarded", "for=1.2.3.4;proto=https;host=example.com")];
        let request = located(ForwardedStyle::Either, "9.9.9.9", &standard).unwrap();
        assert_eq!(story(&request), ("9.9.9.9".into(), Scheme::Http, "inner:8080"));
    }

    #[test]
    fn h18_listed_proxies_are() {
        for peer in ["10.0.0.1", "::ffff:10.0.0.1", "fd00::1"] {
            let request = located(ForwardedStyle::Either, peer, X).unwrap();
            assert_eq!(story(&request), ("1.2.3.4".into(), Scheme::Https, "example.com"));
            let standard = [("Forwarded", "For=\"1.2.3.4:99\"; Proto=https;by=_x;host=\"example.com\"")];
            let request = located(ForwardedStyle::Either, peer, &standard).unwrap();
            assert_eq!(story(&request), ("1.2.3.4".into(), Scheme::Https, "example.com"));
        }
    }

    #[test]
    fn h18_walks_past_listed_proxies_only() {
        let of = |headers: &[(&str, &str)]| located(ForwardedStyle::Either, "10.0.0.1", headers).unwrap();
        let chain = [("X-Forwarded-For", "6.6.6.6, 1.2.3.4"), ("x-forwarded-for", "10.0.0.9 ,10.0.0.8")];
        assert_eq!(of(&chain).client(), Some("1.2.3.4".parse().unwrap()));
        let proto = [chain[0], chain[1], ("X-Forwarded-Proto", "http, https, http, http")];
        assert_eq!(of(&proto).scheme(), Scheme::Https);
        let single = [chain[0], chain[1], ("X-Forwarded-Proto", "https")];
        assert_eq!(of(&single).scheme(), Scheme::Https);
        let spoofed = [("X-Forwarded-For", "6.6.6.6, 1.2.3.4"), ("X-Forwarded-Proto", "https, http")];
        assert_eq!(of(&spoofed).scheme(), Scheme::Http, "the client's own claim stands further left");
        let standard =
            [("Forwarded", "for=6.6.6.6;proto=https, for=1.2.3.4;proto=http, for=\"[fd00::7]\";proto=https")];
        assert_eq!(story(&of(&standard)), ("1.2.3.4".into(), Scheme::Http, "inner:8080"));
        let all_listed = [("X-Forwarded-For", "10.0.0.3, 10.0.0.2")];
        assert_eq!(of(&all_listed).client(), Some("10.0.0.3".parse().unwrap()));
    }

    #[test]
    fn h18_stops_at_what_is_no_address() {
        let of = |name, value| located(ForwardedStyle::Either, "10.0.0.1", &[(name, value)]).unwrap();
        for (name, value) in [
            ("X-Forwarded-For", "1.2.3.4, unknown"),
            ("X-Forwarded-For", "1.2.3.4, 1.2.3"),
            ("Forwarded", "for=1.2.3.4, for=unknown"),
            ("Forwarded", "for=1.2.3.4, for=_hidden"),
            ("Forwarded", "for=1.2.3.4, for=1.2.3.4;for=5.6.7.8"),
            ("Forwarded", "for=1.2.3.4, for=\"1.2.3.4"),
            ("Forwarded", "for=1.2.3.4, for=\"1.2.\\3.4\""),
            ("Forwarded", "for=1.2.3.4, nonsense"),
        ] {
            assert_eq!(of(name, value).client(), Some("10.0.0.1".parse().unwrap()), "{value}");
        }
        // A quote that the client leaves open hides nothing of what the proxy adds behind it.
        let swallow = of("Forwarded", "for=\"6.6.6.6, for=1.2.3.4;host=\"bad host\";proto=gopher");
        assert_eq!(story(&swallow), ("1.2.3.4".into(), Scheme::Http, "inner:8080"));
    }

    #[test]
    fn h18_contradictions_are_refused() {
        let forged = [("X-Forwarded-For", "1.2.3.4"), ("Forwarded", "for=5.6.7.8")];
        assert_eq!(located(ForwardedStyle::Either, "10.0.0.1", &forged).err(), Some(Refusal::Forwarded));
        let x = located(ForwardedStyle::XForwarded, "10.0.0.1", &forged).unwrap();
        assert_eq!(x.client(), Some("1.2.3.4".parse().unwrap()));
        let standard = located(ForwardedStyle::Forwarded, "10.0.0.1", &forged).unwrap();
        assert_eq!(standard.client(), Some("5.6.7.8".parse().unwrap()));
        let alike = [X[0], X[1], X[2], ("Forwarded", "for=1.2.3.4;proto=HTTPS;host=Example.com")];
        assert!(located(ForwardedStyle::Either, "10.0.0.1", &alike).is_ok());
        assert!(located(ForwardedStyle::Either, "9.9.9.9", &forged).is_ok(), "nobody reads them");
    }
}
