//! Answers whose end is not known when they begin: RFC 9112 section 7.1.

use alloc::format;
use alloc::vec::Vec;

use super::request::{Exchange, Version};
use super::response::{Response, push_connection, push_field};
use crate::time::UnixMillis;

/// An answer that is sent in pieces: in chunks, or, to HTTP/1.0, as it is and up to the end of the connection.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "an answer that was begun has to be ended"]
pub struct Chunked {
    form: Form,
    close: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Chunks,
    Plain,
    /// An answer to HEAD, or a status that has no body.
    Nothing,
}

impl Chunked {
    /// Begins: appends the head of `response`, whose body is ignored, to `out`.
    pub fn start(response: &Response, out: &mut Vec<u8>, exchange: Exchange, date: Option<UnixMillis>) -> Self {
        let bodiless = exchange.head_only || !response.has_body();
        let form = match exchange.version {
            _ if bodiless => Form::Nothing,
            Version::Http10 => Form::Plain,
            Version::Http11 => Form::Chunks,
        };
        let close = form == Form::Plain || response.closes() || !exchange.keep_alive;
        response.write_fields(out, date);
        if exchange.version == Version::Http11 && response.has_body() {
            push_field(out, b"Transfer-Encoding", b"chunked");
        }
        push_connection(out, exchange.version, !close);
        out.extend_from_slice(b"\r\n");
        Self { form, close }
    }

    /// Appends a piece of the body to `out`. An empty one adds nothing: as a chunk it would be the end.
    pub fn chunk(&self, out: &mut Vec<u8>, data: &[u8]) {
        match self.form {
            _ if data.is_empty() => {}
            Form::Nothing => {}
            Form::Plain => out.extend_from_slice(data),
            Form::Chunks => {
                out.extend_from_slice(format!("{:x}\r\n", data.len()).as_bytes());
                out.extend_from_slice(data);
                out.extend_from_slice(b"\r\n");
            }
        }
    }

    /// Ends: appends what is due to `out`. Whether the connection is to be closed now.
    pub fn end(self, out: &mut Vec<u8>) -> bool {
        if self.form == Form::Chunks {
            out.extend_from_slice(b"0\r\n\r\n");
        }
        self.close
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::String;

    fn streamed(response: &Response, exchange: Exchange) -> (String, bool) {
        let mut out = Vec::new();
        let stream = Chunked::start(response, &mut out, exchange, None);
        for piece in [&b"hello"[..], b"", b"0123456789abcdef"] {
            stream.chunk(&mut out, piece);
        }
        let close = stream.end(&mut out);
        (String::from_utf8(out).unwrap(), close)
    }

    const KEPT: Exchange = Exchange { version: Version::Http11, head_only: false, keep_alive: true };

    #[test]
    fn writes_chunks() {
        let expected =
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n10\r\n0123456789abcdef\r\n0\r\n\r\n";
        assert_eq!(streamed(&Response::new(200), KEPT), (expected.into(), false));
        let (text, close) = streamed(&Response::new(200), Exchange { keep_alive: false, ..KEPT });
        assert!(close && text.contains("\r\nConnection: close\r\n"));
    }

    #[test]
    fn h14_sends_no_chunks_to_http_10() {
        let old = Exchange { version: Version::Http10, ..KEPT };
        let expected = "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhello0123456789abcdef";
        assert_eq!(streamed(&Response::new(200), old), (expected.into(), true));
    }

    #[test]
    fn sends_nothing_where_nothing_is_due() {
        let head = Exchange { head_only: true, ..KEPT };
        let expected = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        assert_eq!(streamed(&Response::new(200), head), (expected.into(), false));
        assert_eq!(streamed(&Response::new(204), KEPT), ("HTTP/1.1 204 No Content\r\n\r\n".into(), false));
    }
}
