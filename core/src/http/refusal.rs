//! Why a request is not served.

use alloc::vec::Vec;

use super::request::Exchange;
use super::response::Response;
use crate::time::UnixMillis;

/// Why a request is not served. Its text is the answer's body; nothing of the request is in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// 400: the head is not that of an HTTP/1.1 request.
    #[error("This is not a well-formed HTTP/1.1 request.")]
    Malformed,
    /// 505: a version of HTTP other than 1.0 and 1.1.
    #[error("Only HTTP/1.0 and HTTP/1.1 are spoken here.")]
    Version,
    /// 400: `Host` is absent, there twice, or not a host.
    #[error("A request needs exactly one valid Host.")]
    Host,
    /// 400: the end of the body cannot be told for certain, or an upgrade has a body.
    #[error("The length of the body is not given in one unmistakable way.")]
    Framing,
    /// 404: a target that means different things to different readers.
    #[error("There is no such path.")]
    Path,
    /// 431: HEAD_BYTES.
    #[error("The head of the request is too large.")]
    HeadBytes,
    /// 431: HEAD_LINES.
    #[error("The request has too many header lines.")]
    HeadLines,
    /// 431: COOKIE_BYTES or COOKIE_PAIRS.
    #[error("The request has too many cookies, or too large ones.")]
    Cookies,
    /// 414: TARGET_BYTES.
    #[error("The request target is too long.")]
    TargetBytes,
    /// 408: the head did not come in time.
    #[error("The head of the request did not arrive in time.")]
    HeadTime,
    /// 408: the body did not come in time.
    #[error("The body of the request did not arrive in time.")]
    BodyTime,
    /// 413: the body is larger than allowed.
    #[error("The body of the request is too large.")]
    BodyBytes,
    /// 400: `Forwarded` and `X-Forwarded-*` contradict each other.
    #[error("The proxy's headers contradict each other.")]
    Forwarded,
    /// 403: a foreign `Origin`.
    #[error("This origin may not connect here.")]
    Origin,
    /// 401: no live session.
    #[error("A login is needed first.")]
    NoSession,
    /// 403: whatever else is not allowed.
    #[error("This is not allowed.")]
    Forbidden,
    /// 404: nothing is served at this path.
    #[error("There is nothing here.")]
    NotFound,
    /// 405: an upgrade by another method than GET.
    #[error("A WebSocket is opened with GET.")]
    Method,
    /// 400: an upgrade by HTTP/1.0.
    #[error("A WebSocket is opened with HTTP/1.1.")]
    UpgradeHttp10,
    /// 400: no `Upgrade` to websocket.
    #[error("Upgrade must name websocket.")]
    UpgradeHeader,
    /// 400: `Connection` does not name upgrade.
    #[error("Connection must name upgrade.")]
    ConnectionHeader,
    /// 400: `Sec-WebSocket-Key` is absent, there twice, or not 16 bytes in base64.
    #[error("Sec-WebSocket-Key must be there once and hold 16 bytes in base64.")]
    Key,
    /// 426: a WebSocket version other than 13.
    #[error("Sec-WebSocket-Version must be 13.")]
    WebSocketVersion,
    /// 429: too many connections of one session or address.
    #[error("There are too many connections already; try again later.")]
    TooMany,
    /// 503: the session store cannot be asked, or the server is full or shutting down.
    #[error("The server cannot tell just now; try again later.")]
    Unavailable,
    /// 504: ANSWER_TIME; the application did not answer.
    #[error("The application did not answer in time.")]
    AnswerTime,
}

impl Refusal {
    /// The status code.
    pub const fn status(self) -> u16 {
        match self {
            Self::Malformed
            | Self::Host
            | Self::Framing
            | Self::Forwarded
            | Self::UpgradeHttp10
            | Self::UpgradeHeader
            | Self::ConnectionHeader
            | Self::Key => 400,
            Self::NoSession => 401,
            Self::Origin | Self::Forbidden => 403,
            Self::Path | Self::NotFound => 404,
            Self::Method => 405,
            Self::HeadTime | Self::BodyTime => 408,
            Self::BodyBytes => 413,
            Self::TargetBytes => 414,
            Self::WebSocketVersion => 426,
            Self::TooMany => 429,
            Self::HeadBytes | Self::HeadLines | Self::Cookies => 431,
            Self::Unavailable => 503,
            Self::AnswerTime => 504,
            Self::Version => 505,
        }
    }

    /// Whether the connection must be closed after the answer, since nobody can tell where the next request begins, or
    /// since this peer has shown what it thinks of the protocol. A kept connection is fit for the next request only if
    /// the refused one had no body, or that was read.
    pub const fn closes(self) -> bool {
        !matches!(
            self,
            Self::NoSession
                | Self::Origin
                | Self::Forbidden
                | Self::NotFound
                | Self::Method
                | Self::WebSocketVersion
                | Self::TooMany
                | Self::Unavailable
        )
    }

    /// The header that goes with the status.
    pub const fn extra_header(self) -> Option<(&'static str, &'static str)> {
        match self {
            // RFC 9110 section 15.5.2 asks for a challenge; no registered scheme means "log in at the login page".
            Self::NoSession => Some(("WWW-Authenticate", "Cookie")),
            Self::Method => Some(("Allow", "GET")),
            Self::WebSocketVersion => Some(("Sec-WebSocket-Version", "13")),
            Self::TooMany | Self::Unavailable => Some(("Retry-After", RETRY_SECONDS)),
            _ => None,
        }
    }

    /// Appends the whole answer to `out`.
    pub fn write(self, out: &mut Vec<u8>, exchange: Exchange, date: Option<UnixMillis>) {
        Response::from(self).write(out, exchange, date);
    }
}

/// As long as the longest pause before the store is tried again.
const RETRY_SECONDS: &str = "5";

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::{String, ToString};

    fn written(refusal: Refusal, exchange: Exchange) -> String {
        let mut out = Vec::new();
        refusal.write(&mut out, exchange, None);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn h11_h14_carry_their_headers() {
        let kept = Exchange { keep_alive: true, ..Exchange::default() };
        let sentence = Refusal::WebSocketVersion.to_string();
        assert_eq!(
            written(Refusal::WebSocketVersion, kept),
            alloc::format!(
                "HTTP/1.1 426 Upgrade Required\r\nSec-WebSocket-Version: 13\r\n\
                 Content-Type: text/plain;charset=UTF-8\r\nContent-Length: {}\r\n\r\n{sentence}\n",
                sentence.len() + 1
            )
        );
        assert!(written(Refusal::Method, kept).contains("\r\nAllow: GET\r\n"));
        assert!(written(Refusal::Unavailable, kept).contains("\r\nRetry-After: 5\r\n"));
        assert!(written(Refusal::TooMany, kept).contains("\r\nRetry-After: 5\r\n"));
        assert!(written(Refusal::NoSession, kept).starts_with("HTTP/1.1 401 Unauthorized\r\n"));
    }

    #[test]
    fn closes_where_the_next_request_cannot_be_told() {
        let kept = Exchange { keep_alive: true, ..Exchange::default() };
        for refusal in [Refusal::Malformed, Refusal::HeadBytes, Refusal::BodyBytes, Refusal::Path, Refusal::HeadTime] {
            assert!(written(refusal, kept).contains("\r\nConnection: close\r\n"), "{refusal:?}");
        }
        for refusal in [Refusal::NoSession, Refusal::Origin, Refusal::WebSocketVersion, Refusal::NotFound] {
            assert!(!written(refusal, kept).contains("Connection"), "{refusal:?}");
        }
    }
}
