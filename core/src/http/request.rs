//! A parsed request.

use alloc::boxed::Box;
use core::fmt;
use core::net::IpAddr;

use bytes::Bytes;

use super::forwarded::{self, Proxies, Seen};
use super::framing::Framing;
use super::grammar::elements;
use super::refusal::Refusal;

/// A version of HTTP that is spoken here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// HTTP/1.0: no upgrade, no chunks.
    Http10,
    /// HTTP/1.1.
    Http11,
}

/// How the client reached the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// `http` and `ws`.
    Http,
    /// `https` and `wss`.
    Https,
}

/// A parsed request: owned, so that it can be handed to whoever answers it.
#[derive(Clone)]
pub struct Request {
    line: Line,
    version: Version,
    /// The head, of which `fields` are spans.
    head: Box<[u8]>,
    fields: Box<[Field]>,
    /// Which lengths the names in `fields` have: most of those that are asked for are not there.
    lengths: Lengths,
    framing: Framing,
    body: Bytes,
    client: Option<IpAddr>,
    scheme: Scheme,
    /// The host that a listed proxy told.
    told_host: Option<Box<str>>,
}

/// Method, target and decoded path in one string.
#[derive(Clone)]
pub(super) struct Line {
    pub(super) text: Box<str>,
    pub(super) method: Span,
    pub(super) target: Span,
    pub(super) authority: Option<Span>,
    pub(super) path: Span,
    pub(super) query: Option<Span>,
}

#[derive(Clone, Copy)]
pub(super) struct Field {
    pub(super) name: Span,
    pub(super) value: Span,
}

/// A piece of a head. INVARIANT: heads are cut off at [`HEAD_MAX`], so that offsets fit.
#[derive(Clone, Copy)]
pub(super) struct Span {
    start: u32,
    end: u32,
}

/// What of a request decides how its answer is written. The default serves for refusals of what could not be parsed:
/// HTTP/1.1, with a body, and the connection closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exchange {
    /// Whether chunks are understood.
    pub version: Version,
    /// The request was HEAD: the answer has no body.
    pub head_only: bool,
    /// Whether another request may follow on the connection.
    pub keep_alive: bool,
}

impl Request {
    pub(super) fn new(line: Line, version: Version, head: Box<[u8]>, fields: Box<[Field]>) -> Self {
        let mut lengths = Lengths(0);
        fields.iter().for_each(|field| lengths.add(field.name.len()));
        Self {
            line,
            version,
            head,
            fields,
            lengths,
            framing: Framing::None,
            body: Bytes::new(),
            client: None,
            scheme: Scheme::Http,
            told_host: None,
        }
    }

    /// The method, in the case it was sent in: methods are case-sensitive.
    pub fn method(&self) -> &str {
        self.line.get(self.line.method)
    }

    /// The target as it was sent.
    pub fn target(&self) -> &str {
        self.line.get(self.line.target)
    }

    /// The path, decoded once: begins with a slash, holds no segment `.` or `..` and no control character. `*` for
    /// `OPTIONS *`.
    pub fn path(&self) -> &str {
        self.line.get(self.line.path)
    }

    /// What stands behind the question mark, not decoded.
    pub fn query(&self) -> Option<&str> {
        self.line.query.map(|span| self.line.get(span))
    }

    /// The version it was sent in.
    pub fn version(&self) -> Version {
        self.version
    }

    /// The value of the first header of this name, which is compared ignoring case. It holds no control character but
    /// tabs, and has no white space around it.
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        self.asked(name).iter().find(|field| self.is_named(field, name)).map(|field| self.get(field.value))
    }

    /// The same, if it is UTF-8.
    pub fn text(&self, name: &str) -> Option<&str> {
        core::str::from_utf8(self.header(name)?).ok()
    }

    /// The values of all headers of this name, in the order they came.
    pub fn headers<'a>(&'a self, name: &'a str) -> impl DoubleEndedIterator<Item = &'a [u8]> {
        self.asked(name).iter().filter(move |field| self.is_named(field, name)).map(|field| self.get(field.value))
    }

    /// All headers, names in the case they were sent in.
    pub fn all_headers(&self) -> impl DoubleEndedIterator<Item = (&str, &[u8])> {
        let name = |field: &Field| core::str::from_utf8(self.get(field.name)).unwrap_or_default();
        self.fields.iter().map(move |field| (name(field), self.get(field.value)))
    }

    /// Whether a header that is a comma-separated list names `token` on any of its lines, in any case.
    pub fn has_token(&self, name: &str, token: &str) -> bool {
        self.headers(name).flat_map(elements).any(|element| element.eq_ignore_ascii_case(token.as_bytes()))
    }

    /// Whether a body follows. Who answers without reading it has to close the connection.
    pub fn has_body(&self) -> bool {
        !matches!(self.framing, Framing::None | Framing::Length(0))
    }

    /// Whether the client waits for [`CONTINUE`](super::CONTINUE) before it sends the body: RFC 9110 section 10.1.1.
    pub fn expects_continue(&self) -> bool {
        self.has_body() && self.version == Version::Http11 && self.has_token("expect", "100-continue")
    }

    /// The body, once it was set.
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// Sets the body that was read.
    pub fn set_body(&mut self, body: Bytes) {
        self.body = body;
    }

    /// Takes the body out.
    pub fn take_body(&mut self) -> Bytes {
        core::mem::take(&mut self.body)
    }

    /// Whether the client means to go on with this connection: RFC 9112 section 9.3.
    pub fn keep_alive(&self) -> bool {
        let kept = self.version == Version::Http11 || self.has_token("connection", "keep-alive");
        kept && !self.has_token("connection", "close")
    }

    /// What decides how the answer is written.
    pub fn exchange(&self) -> Exchange {
        Exchange { version: self.version, head_only: self.method() == "HEAD", keep_alive: self.keep_alive() }
    }

    /// Tells the request where it came from: the peer of its connection, and whether that is encrypted. Where the peer
    /// is one of the `proxies`, what its headers say takes precedence.
    ///
    /// # Errors
    /// [`Refusal::Forwarded`] if those headers contradict each other.
    pub fn locate(&mut self, proxies: &Proxies, peer: Option<IpAddr>, secure: bool) -> Result<(), Refusal> {
        let Seen { address, scheme, host } = forwarded::read(self, proxies, peer)?;
        self.told_host = host.map(Box::from);
        self.client = address.or(peer.map(|address| address.to_canonical()));
        self.scheme = scheme.unwrap_or(if secure { Scheme::Https } else { Scheme::Http });
        Ok(())
    }

    /// The address of the client, once [`locate`](Self::locate) was called.
    pub fn client(&self) -> Option<IpAddr> {
        self.client
    }

    /// How the client reached the server; `Http` until [`locate`](Self::locate) was called.
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// The host the client meant, with its port if it is not the scheme's own: from a listed proxy, from an absolute
    /// target, or from `Host`, in this order. Always there in HTTP/1.1.
    pub fn host(&self) -> Option<&str> {
        match (&self.told_host, self.line.authority) {
            (Some(host), _) => Some(host),
            (None, Some(span)) => Some(self.line.get(span)),
            (None, None) => self.text("host"),
        }
    }

    pub(super) fn framing(&self) -> Framing {
        self.framing
    }

    pub(super) fn set_framing(&mut self, framing: Framing) {
        self.framing = framing;
    }

    /// The fields among which those of this name are.
    fn asked(&self, name: &str) -> &[Field] {
        if self.lengths.has(name.len()) { &self.fields } else { &[] }
    }

    fn is_named(&self, field: &Field, name: &str) -> bool {
        self.get(field.name).eq_ignore_ascii_case(name.as_bytes())
    }

    fn get(&self, span: Span) -> &[u8] {
        self.head.get(span.start as usize..span.end as usize).unwrap_or_default()
    }
}

impl Line {
    fn get(&self, span: Span) -> &str {
        self.text.get(span.start as usize..span.end as usize).unwrap_or_default()
    }
}

/// Largest head in bytes, whatever the limits say: target and decoded path together stay below 4 GiB.
pub(super) const HEAD_MAX: usize = 1 << 30;

impl Span {
    pub(super) fn new(start: usize, end: usize) -> Self {
        Self { start: start as u32, end: end as u32 }
    }

    fn len(self) -> usize {
        (self.end - self.start) as usize
    }
}

/// A set of lengths, in which all from 63 on count as the same.
#[derive(Debug, Clone, Copy)]
struct Lengths(u64);

impl Lengths {
    fn add(&mut self, len: usize) {
        self.0 |= Self::bit(len);
    }

    /// False only if this length was not added.
    fn has(self, len: usize) -> bool {
        self.0 & Self::bit(len) != 0
    }

    fn bit(len: usize) -> u64 {
        1 << len.min(63)
    }
}

impl Default for Exchange {
    fn default() -> Self {
        Self { version: Version::Http11, head_only: false, keep_alive: false }
    }
}

/// Names no value of a header: some of them are as good as a password.
impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("method", &self.method())
            .field("path", &self.path())
            .field("version", &self.version)
            .field("headers", &self.fields.len())
            .field("framing", &self.framing)
            .field("client", &self.client)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::Limits;
    use alloc::string::String;
    use alloc::vec::Vec;

    fn request(version: Version, headers: &[(&str, &str)]) -> Request {
        let headers = [("Host", "a")].iter().chain(headers).map(|&(name, value)| (name, value.as_bytes()));
        Request::from_parts("GET", "/", version, headers, &Limits::default()).unwrap()
    }

    #[test]
    fn knows_whether_the_connection_is_kept() {
        let of = |version, value| request(version, &[("Connection", value)]).keep_alive();
        assert!(request(Version::Http11, &[]).keep_alive());
        assert!(!request(Version::Http10, &[]).keep_alive());
        assert!(of(Version::Http10, "Keep-Alive"));
        assert!(!of(Version::Http11, "upgrade, CLOSE"));
        assert!(!of(Version::Http10, "keep-alive, close"));
        assert!(of(Version::Http11, "closed"));
    }

    #[test]
    fn finds_tokens_over_several_lines() {
        let request = request(Version::Http11, &[("Connection", "keep-alive ,x"), ("connection", "\t,Upgrade")]);
        assert!(request.has_token("CONNECTION", "upgrade") && request.has_token("connection", "X"));
        assert!(!request.has_token("connection", "keep") && !request.has_token("upgrade", "upgrade"));
    }

    #[test]
    fn knows_whether_a_body_follows() {
        let of = |headers: &[(&str, &str)]| {
            let request = request(Version::Http11, headers);
            (request.has_body(), request.expects_continue())
        };
        assert_eq!(of(&[]), (false, false));
        assert_eq!(of(&[("Content-Length", "0"), ("Expect", "100-continue")]), (false, false));
        assert_eq!(of(&[("Content-Length", "1")]), (true, false));
        assert_eq!(of(&[("Transfer-Encoding", "chunked"), ("Expect", "100-Continue")]), (true, true));
    }

    #[test]
    fn finds_names_of_any_length() {
        let names: Vec<String> = (1..200).map(|len| "n".repeat(len)).collect();
        for len in [1, 4, 5, 62, 63, 64, 65, 127, 128, 199] {
            let request = request(Version::Http11, &[(&names[len - 1], "x")]);
            for name in names.iter().filter(|name| name.len() != 4) {
                let there = name.len() == len;
                assert_eq!(request.header(name).is_some(), there, "{} of {len}", name.len());
                assert_eq!(request.headers(&name.to_uppercase()).count(), usize::from(there));
            }
            assert_eq!(request.header("HOST"), Some(&b"a"[..]));
        }
    }

    #[test]
    fn hands_its_body_out() {
        let mut request = request(Version::Http11, &[]);
        request.set_body(Bytes::from_static(b"abc"));
        assert_eq!(request.body(), b"abc");
        assert_eq!(request.take_body(), "abc");
        assert_eq!(request.body(), b"");
    }

    #[test]
    fn is_located_by_its_connection() {
        let mut request = request(Version::Http11, &[]);
        request.locate(&Proxies::default(), Some("::ffff:1.2.3.4".parse().unwrap()), true).unwrap();
        assert_eq!((request.client(), request.scheme()), (Some("1.2.3.4".parse().unwrap()), Scheme::Https));
        assert_eq!(request.exchange(), Exchange { version: Version::Http11, head_only: false, keep_alive: true });
    }
}
