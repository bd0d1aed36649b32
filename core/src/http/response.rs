//! Answers.

use alloc::borrow::Cow;
use alloc::format;
use alloc::vec::Vec;

use bytes::Bytes;

use super::date::push_date;
use super::grammar::{is_field_value, is_token};
use super::refusal::Refusal;
use super::request::{Exchange, Version};
use crate::time::UnixMillis;

/// An answer to a request. What decides where it ends (`Content-Length`, `Transfer-Encoding`, `Connection`) is written
/// when it is sent and cannot be set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    status: u16,
    /// Header lines as they are sent.
    headers: Cow<'static, [u8]>,
    body: Bytes,
    close: bool,
}

/// A header that cannot be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BadHeader {
    /// The name.
    #[error("a header's name must be a token of RFC 9110")]
    Name,
    /// The value.
    #[error("a header's value must hold no line end, no other control character and no space at its ends")]
    Value,
    /// A header that is written by the server itself.
    #[error("this header is written when the answer is sent: set the body, or close()")]
    Reserved,
}

impl Response {
    /// An answer without headers and body. A status outside of 200 to 599 becomes 500: what is below is no final answer.
    pub fn new(status: u16) -> Self {
        let status = if (200..=599).contains(&status) { status } else { 500 };
        Self { status, headers: Cow::Borrowed(&[]), body: Bytes::new(), close: false }
    }

    /// An answer that begins with these header lines, which are in order.
    pub(crate) fn with_lines(status: u16, lines: &'static str) -> Self {
        Self { headers: Cow::Borrowed(lines.as_bytes()), ..Self::new(status) }
    }

    /// Makes room for so many bytes of headers more.
    pub(crate) fn reserve(&mut self, bytes: usize) {
        let mut headers = Vec::with_capacity(self.headers.len() + bytes);
        headers.extend_from_slice(&self.headers);
        self.headers = Cow::Owned(headers);
    }

    /// An answer of plain text.
    pub fn text(status: u16, body: impl Into<Bytes>) -> Self {
        Self::typed(status, b"text/plain;charset=UTF-8", body)
    }

    /// An answer of HTML.
    pub fn html(status: u16, body: impl Into<Bytes>) -> Self {
        Self::typed(status, b"text/html;charset=UTF-8", body)
    }

    /// An answer of JSON.
    pub fn json(status: u16, body: impl Into<Bytes>) -> Self {
        Self::typed(status, b"application/json", body)
    }

    /// Sends the browser on with 302.
    ///
    /// # Errors
    /// [`BadHeader::Value`] if the location is no header value.
    pub fn redirect(location: &str) -> Result<Self, BadHeader> {
        let mut response = Self::new(302);
        response.header("Location", location)?;
        Ok(response)
    }

    /// The answer to a successful upgrade, as [`write_switching_protocols`] writes it.
    pub(crate) fn switching_protocols(accept: &[u8], protocol: Option<&str>) -> Self {
        let mut headers = Vec::new();
        push_field(&mut headers, b"Upgrade", b"websocket");
        push_field(&mut headers, b"Connection", b"upgrade");
        push_field(&mut headers, b"Sec-WebSocket-Accept", accept);
        if let Some(protocol) = protocol {
            push_field(&mut headers, b"Sec-WebSocket-Protocol", protocol.as_bytes());
        }
        Self { status: 101, headers: Cow::Owned(headers), body: Bytes::new(), close: false }
    }

    fn typed(status: u16, content_type: &[u8], body: impl Into<Bytes>) -> Self {
        let mut response = Self::new(status);
        push_field(response.headers.to_mut(), b"Content-Type", content_type);
        response.with_body(body)
    }

    /// Appends a header; one of the same name stays.
    ///
    /// # Errors
    /// [`BadHeader`]; nothing is appended then.
    pub fn header(&mut self, name: &str, value: impl AsRef<[u8]>) -> Result<&mut Self, BadHeader> {
        if !is_token(name.as_bytes()) {
            return Err(BadHeader::Name);
        }
        if RESERVED.iter().any(|reserved| reserved.eq_ignore_ascii_case(name)) {
            return Err(BadHeader::Reserved);
        }
        if !is_field_value(value.as_ref()) {
            return Err(BadHeader::Value);
        }
        push_field(self.headers.to_mut(), name.as_bytes(), value.as_ref());
        Ok(self)
    }

    /// The headers that were appended, names as they were written.
    pub fn headers(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.headers.split(|&byte| byte == b'\n').filter_map(|line| {
            let line = line.strip_suffix(b"\r")?;
            let colon = memchr::memchr(b':', line)?;
            Some((core::str::from_utf8(line.get(..colon)?).ok()?, line.get(colon + 2..)?))
        })
    }

    /// Sets the body.
    #[must_use]
    pub fn with_body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    /// Has the connection closed after it.
    pub fn close(&mut self) -> &mut Self {
        self.close = true;
        self
    }

    /// Whether the connection is closed after it, whatever the request wanted.
    pub fn closes(&self) -> bool {
        self.close
    }

    /// The status code.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// The body.
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// Appends the whole answer to `out`. Without `date` it has no `Date`.
    pub fn write(&self, out: &mut Vec<u8>, exchange: Exchange, date: Option<UnixMillis>) {
        if self.write_head(out, exchange, date) {
            out.extend_from_slice(&self.body);
        }
    }

    /// Appends the head to `out`. Whether [`body`](Self::body) is to be sent behind it: not to HEAD, and not with a status
    /// that has none.
    pub fn write_head(&self, out: &mut Vec<u8>, exchange: Exchange, date: Option<UnixMillis>) -> bool {
        self.write_fields(out, date);
        let has_body = self.has_body();
        if has_body {
            push_length(out, self.body.len());
        }
        push_connection(out, exchange.version, exchange.keep_alive && !self.close);
        out.extend_from_slice(b"\r\n");
        has_body && !exchange.head_only && !self.body.is_empty()
    }

    /// Appends the whole answer with this body instead of its own.
    pub(crate) fn write_with(&self, out: &mut Vec<u8>, exchange: Exchange, date: Option<UnixMillis>, body: &[u8]) {
        self.write_fields(out, date);
        push_length(out, body.len());
        push_connection(out, exchange.version, exchange.keep_alive && !self.close);
        out.extend_from_slice(b"\r\n");
        out.extend_from_slice(body);
    }

    /// Status line and headers, without those that tell the end of the body.
    pub(super) fn write_fields(&self, out: &mut Vec<u8>, date: Option<UnixMillis>) {
        let reason = reason(self.status);
        out.reserve(STATUS_LINE.len() + 3 + reason.len() + self.headers.len() + OWN_BYTES);
        out.extend_from_slice(STATUS_LINE);
        push_number(out, self.status.into());
        out.push(b' ');
        out.extend_from_slice(reason.as_bytes());
        out.extend_from_slice(b"\r\n");
        out.extend_from_slice(&self.headers);
        if let Some(time) = date {
            out.extend_from_slice(b"Date: ");
            push_date(out, time);
            out.extend_from_slice(b"\r\n");
        }
    }

    /// RFC 9110 section 6.4.1: these statuses have no body, and no length of one.
    pub(super) fn has_body(&self) -> bool {
        !matches!(self.status, 204 | 304)
    }
}

impl From<Refusal> for Response {
    fn from(refusal: Refusal) -> Self {
        let mut response = Self::new(refusal.status());
        if let Some((name, value)) = refusal.extra_header() {
            push_field(response.headers.to_mut(), name.as_bytes(), value.as_bytes());
        }
        push_field(response.headers.to_mut(), b"Content-Type", b"text/plain;charset=UTF-8");
        response.close = refusal.closes();
        response.with_body(format!("{refusal}\n"))
    }
}

/// Appends the answer to a successful upgrade: 101 with the accept key, and the sub-protocol if there is one.
///
/// Both have to be the server's own; what is no token of RFC 9110 or no base64 is left out rather than sent.
pub fn write_switching_protocols(out: &mut Vec<u8>, accept: &[u8], protocol: Option<&str>) {
    out.extend_from_slice(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n");
    if is_field_value(accept) {
        push_field(out, b"Sec-WebSocket-Accept", accept);
    }
    if let Some(protocol) = protocol.filter(|name| is_token(name.as_bytes())) {
        push_field(out, b"Sec-WebSocket-Protocol", protocol.as_bytes());
    }
    out.extend_from_slice(b"\r\n");
}

/// The reason phrase of a status: RFC 9110 section 15. Empty for those it does not know.
pub const fn reason(status: u16) -> &'static str {
    match status {
        101 => "Switching Protocols",
        200 => "OK",
        201 => "Created",
        202 => "Accepted",
        204 => "No Content",
        206 => "Partial Content",
        301 => "Moved Permanently",
        302 => "Found",
        303 => "See Other",
        304 => "Not Modified",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        406 => "Not Acceptable",
        408 => "Request Timeout",
        409 => "Conflict",
        410 => "Gone",
        411 => "Length Required",
        413 => "Content Too Large",
        414 => "URI Too Long",
        415 => "Unsupported Media Type",
        417 => "Expectation Failed",
        422 => "Unprocessable Content",
        426 => "Upgrade Required",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        505 => "HTTP Version Not Supported",
        _ => "",
    }
}

/// Says whether the connection stays, where the version alone does not: RFC 9112 section 9.3.
pub(super) fn push_connection(out: &mut Vec<u8>, version: Version, keep_alive: bool) {
    match (version, keep_alive) {
        (_, false) => push_field(out, b"Connection", b"close"),
        (Version::Http10, true) => push_field(out, b"Connection", b"keep-alive"),
        (Version::Http11, true) => {}
    }
}

pub(super) fn push_field(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    out.reserve(name.len() + value.len() + 4);
    for part in [name, b": ", value, b"\r\n"] {
        out.extend_from_slice(part);
    }
}

fn push_length(out: &mut Vec<u8>, len: usize) {
    out.extend_from_slice(b"Content-Length: ");
    push_number(out, len);
    out.extend_from_slice(b"\r\n");
}

fn push_number(out: &mut Vec<u8>, number: usize) {
    let mut digits = [0; 20];
    let (mut at, mut left) = (digits.len(), number);
    loop {
        at -= 1;
        digits[at] = b'0' + (left % 10) as u8;
        left /= 10;
        if left == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

const STATUS_LINE: &[u8] = b"HTTP/1.1 ";
/// Room for what is written beside the headers that were set: `Date`, the length, the connection.
const OWN_BYTES: usize = 128;

/// What only the server writes, since it tells where an answer ends and what comes after it.
const RESERVED: [&str; 8] =
    ["Content-Length", "Transfer-Encoding", "Connection", "Date", "Keep-Alive", "Upgrade", "Trailer", "TE"];

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::String;
    use proptest::prelude::*;

    fn written(response: &Response, exchange: Exchange) -> String {
        let mut out = Vec::new();
        response.write(&mut out, exchange, None);
        String::from_utf8(out).unwrap()
    }

    const KEPT: Exchange = Exchange { version: Version::Http11, head_only: false, keep_alive: true };

    #[test]
    fn writes_a_whole_answer() {
        let mut response = Response::html(200, "<p>");
        response.header("Cache-Control", "no-store").unwrap().header("Set-Cookie", "a=b").unwrap();
        let mut out = Vec::new();
        response.write(&mut out, KEPT, Some(UnixMillis::from_millis(784_111_777_000)));
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "HTTP/1.1 200 OK\r\nContent-Type: text/html;charset=UTF-8\r\nCache-Control: no-store\r\nSet-Cookie: a=b\r\n\
             Date: Sun, 06 Nov 1994 08:49:37 GMT\r\nContent-Length: 3\r\n\r\n<p>"
        );
    }

    #[test]
    fn says_whether_the_connection_stays() {
        let mut response = Response::new(200);
        assert_eq!(written(&response, KEPT), "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
        let old = Exchange { version: Version::Http10, ..KEPT };
        assert_eq!(written(&response, old), "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: keep-alive\r\n\r\n");
        assert!(written(&response, Exchange { keep_alive: false, ..KEPT }).contains("\r\nConnection: close\r\n"));
        response.close();
        assert!(response.closes());
        assert!(written(&response, KEPT).contains("\r\nConnection: close\r\n"));
    }

    #[test]
    fn has_a_body_where_one_is_due() {
        let head = Exchange { head_only: true, ..KEPT };
        assert!(written(&Response::text(200, "abc"), head).ends_with("\r\nContent-Length: 3\r\n\r\n"));
        for status in [204, 304] {
            let sent = written(&Response::new(status).with_body("abc"), KEPT);
            assert!(sent.ends_with("\r\n\r\n") && !sent.contains("Content-Length"), "{sent}");
        }
        assert!(written(&Response::new(205), KEPT).contains("Content-Length: 0"));
    }

    #[test]
    fn h20_lets_no_line_end_pass() {
        let mut response = Response::new(200);
        for bad in ["a\r\nX: y", "a\n", "a\rb", "a\0", "a\x7f", " a", "a "] {
            assert_eq!(response.header("X", bad).err(), Some(BadHeader::Value), "{bad:?}");
            assert_eq!(response.header(bad, "x").err(), Some(BadHeader::Name), "{bad:?}");
        }
        for reserved in ["content-length", "Transfer-Encoding", "CONNECTION", "Date", "Upgrade"] {
            assert_eq!(response.header(reserved, "x").err(), Some(BadHeader::Reserved));
        }
        assert!(Response::redirect("/a\r\nSet-Cookie: x=y").is_err());
        assert_eq!(response, Response::new(200));
    }

    #[test]
    fn knows_final_statuses_only() {
        for (asked, got) in [(101, 500), (199, 500), (200, 200), (599, 599), (600, 500), (0, 500)] {
            assert_eq!(Response::new(asked).status(), got);
        }
        assert!(written(&Response::new(299), KEPT).starts_with("HTTP/1.1 299 \r\n"));
    }

    #[test]
    fn switches_protocols() {
        let mut out = Vec::new();
        write_switching_protocols(&mut out, b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", Some("v12.stomp"));
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\
             Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Protocol: v12.stomp\r\n\r\n"
        );
        let mut out = Vec::new();
        write_switching_protocols(&mut out, b"k", Some("a\r\nX: y"));
        assert!(out.ends_with(b"Sec-WebSocket-Accept: k\r\n\r\n"), "H20");
    }

    proptest! {
        #[test]
        fn h20_others_read_what_was_written(
            status in 200..=599_u16,
            headers in proptest::collection::vec((any_text(), any_text()), 0..8),
            body in proptest::collection::vec(any::<u8>(), 0..40),
            keep_alive in any::<bool>(),
        ) {
            let mut response = Response::new(status).with_body(body.clone());
            let sent: Vec<_> = headers.iter().filter(|(name, value)| response.header(name, value).is_ok()).collect();
            let given: Vec<_> = sent.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
            prop_assert_eq!(response.headers().collect::<Vec<_>>(), given);
            let mut out = Vec::new();
            response.write(&mut out, Exchange { keep_alive, ..KEPT }, None);

            let mut fields = [httparse::EMPTY_HEADER; 12];
            let mut read = httparse::Response::new(&mut fields);
            let len = read.parse(&out).unwrap().unwrap();
            prop_assert_eq!(read.code, Some(status));
            for ((name, value), field) in sent.iter().zip(read.headers.iter()) {
                prop_assert_eq!((name.as_str(), value.as_bytes()), (field.name, field.value));
            }
            let own = usize::from(!keep_alive) + usize::from(response.has_body());
            prop_assert_eq!(read.headers.len(), sent.len() + own);
            prop_assert_eq!(&out[len..], if response.has_body() { &body[..] } else { b"" });
        }
    }

    /// Mostly what a header may hold, and some of what it may not.
    fn any_text() -> impl Strategy<Value = String> {
        "[A-Za-z-]{1,8}|[ -~]{0,8}|Connection|[a\r\n: \t\\x00\\x7fé]{0,4}"
    }
}
