//! How each transport carries frames.

use alloc::vec::Vec;

use super::headers::lines;
use super::route::Method;

/// How a client speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Transport {
    /// Frames as text messages of a WebSocket. There is no channel: one name may be open any number of times.
    WebSocket,
    /// One frame for each request.
    Xhr,
    /// Frames in one long answer, a line each.
    XhrStreaming,
    /// The same as server-sent events.
    EventSource,
    /// The same as scripts in a page that never ends, for an `<iframe>`.
    HtmlFile,
    /// One frame for each request, as a script that calls back.
    Jsonp,
    /// Messages to the server.
    XhrSend,
    /// The same as a form.
    JsonpSend,
}

impl Transport {
    /// All there are.
    pub const ALL: [Self; 8] = [
        Self::WebSocket,
        Self::Xhr,
        Self::XhrStreaming,
        Self::EventSource,
        Self::HtmlFile,
        Self::Jsonp,
        Self::XhrSend,
        Self::JsonpSend,
    ];

    /// The transport of this name, as it stands in a path.
    pub fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|transport| transport.name() == name)
    }

    /// Its name in a path.
    pub const fn name(self) -> &'static str {
        match self {
            Self::WebSocket => "websocket",
            Self::Xhr => "xhr",
            Self::XhrStreaming => "xhr_streaming",
            Self::EventSource => "eventsource",
            Self::HtmlFile => "htmlfile",
            Self::Jsonp => "jsonp",
            Self::XhrSend => "xhr_send",
            Self::JsonpSend => "jsonp_send",
        }
    }

    /// The methods that it may be asked for with.
    pub const fn methods(self) -> &'static [Method] {
        match self {
            Self::WebSocket | Self::EventSource | Self::HtmlFile | Self::Jsonp => &[Method::Get],
            Self::Xhr | Self::XhrStreaming | Self::XhrSend => &[Method::Post, Method::Options],
            Self::JsonpSend => &[Method::Post],
        }
    }

    /// Whether it brings messages to the server.
    pub const fn sends(self) -> bool {
        matches!(self, Self::XhrSend | Self::JsonpSend)
    }

    /// Whether its answer goes on after a frame.
    pub const fn streams(self) -> bool {
        matches!(self, Self::XhrStreaming | Self::EventSource | Self::HtmlFile)
    }

    /// Whether the request has to name a callback.
    pub const fn calls_back(self) -> bool {
        matches!(self, Self::HtmlFile | Self::Jsonp)
    }

    /// The header lines of its answers that are the same for everybody.
    pub const fn lines(self) -> &'static str {
        match self {
            Self::WebSocket | Self::XhrSend | Self::JsonpSend => lines!("text/plain"),
            Self::Xhr => lines!("application/javascript"),
            Self::Jsonp => lines!("application/javascript", "X-Content-Type-Options: nosniff"),
            // nginx would keep what streams until it is whole.
            Self::XhrStreaming => lines!("application/javascript", "X-Accel-Buffering: no"),
            Self::EventSource => lines!("text/event-stream", "X-Accel-Buffering: no"),
            Self::HtmlFile => lines!("text/html", "X-Content-Type-Options: nosniff", "X-Accel-Buffering: no"),
        }
    }

    /// Appends what its answer begins with; `callback` is the one that was checked, if it calls back.
    pub fn begin(self, out: &mut Vec<u8>, callback: &str) {
        match self {
            // So much has to be there before some browsers show a page what came.
            Self::XhrStreaming => {
                out.resize(out.len() + PRELUDE_BYTES, b'h');
                out.push(b'\n');
            }
            Self::EventSource => out.extend_from_slice(b"\r\n"),
            Self::HtmlFile => html(out, callback),
            Self::WebSocket | Self::Xhr | Self::Jsonp | Self::XhrSend | Self::JsonpSend => {}
        }
    }

    /// Appends a frame as its answer carries it.
    pub fn wrap(self, out: &mut Vec<u8>, callback: &str, frame: &[u8]) {
        match self {
            Self::Xhr | Self::XhrStreaming => {
                out.extend_from_slice(frame);
                out.push(b'\n');
            }
            Self::EventSource => {
                out.extend_from_slice(b"data: ");
                out.extend_from_slice(frame);
                out.extend_from_slice(b"\r\n\r\n");
            }
            Self::HtmlFile => {
                out.extend_from_slice(b"<script>\np(\"");
                push_script(out, frame);
                out.extend_from_slice(b"\");\n</script>\r\n");
            }
            Self::Jsonp => {
                // Whatever the callback is called, the answer does not begin with it: it could be read as something else
                // than a script.
                out.extend_from_slice(b"/**/");
                out.extend_from_slice(callback.as_bytes());
                out.extend_from_slice(b"(\"");
                push_script(out, frame);
                out.extend_from_slice(b"\");\r\n");
            }
            Self::WebSocket | Self::XhrSend | Self::JsonpSend => out.extend_from_slice(frame),
        }
    }
}

/// The page that an `<iframe>` shows, up to the first script with a frame; padded so that browsers begin to run it.
fn html(out: &mut Vec<u8>, callback: &str) {
    let start = out.len();
    for part in [
        "<!DOCTYPE html>\n<html>\n<head>\n<meta http-equiv=\"X-UA-Compatible\" content=\"IE=edge\" />\n\
         <meta http-equiv=\"Content-Type\" content=\"text/html; charset=UTF-8\" />\n</head>\n<body>\n\
         <h2>Don't panic!</h2>\n<script>\ndocument.domain = document.domain;\nvar c = parent.",
        callback,
        ";\nc.start();\nfunction p(d) {c.message(d);};\nwindow.onload = function() {c.stop();};\n</script>\n",
    ] {
        out.extend_from_slice(part.as_bytes());
    }
    let len = out.len() - start;
    out.resize(start + len.max(HTML_BYTES), b' ');
    out.extend_from_slice(b"\r\n\r\n");
}

/// Appends a frame as the inside of a string in a script in a page. What a frame holds beyond ASCII is no danger to either:
/// line ends and the like are escaped in it already.
fn push_script(out: &mut Vec<u8>, frame: &[u8]) {
    let mut rest = frame;
    while let Some(at) = rest.iter().position(|b| matches!(b, b'"' | b'\\' | b'<' | b'>' | b'&' | b'/' | b'\'')) {
        let (before, behind) = rest.split_at(at);
        out.extend_from_slice(before);
        let Some((&byte, behind)) = behind.split_first() else { return };
        match byte {
            b'<' => out.extend_from_slice(b"\\u003C"),
            b'>' => out.extend_from_slice(b"\\u003E"),
            b'&' => out.extend_from_slice(b"\\u0026"),
            _ => out.extend_from_slice(&[b'\\', byte]),
        }
        rest = behind;
    }
    out.extend_from_slice(rest);
}

const PRELUDE_BYTES: usize = 2_048;
const HTML_BYTES: usize = 1_024;

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::String;

    fn wrapped(transport: Transport, frame: &str) -> String {
        let mut out = Vec::new();
        transport.wrap(&mut out, "cb", frame.as_bytes());
        String::from_utf8(out).expect("text")
    }

    #[test]
    fn wraps_as_the_protocol_says() {
        assert_eq!(wrapped(Transport::Xhr, "o"), "o\n");
        assert_eq!(wrapped(Transport::XhrStreaming, "a[\"x\"]"), "a[\"x\"]\n");
        assert_eq!(wrapped(Transport::EventSource, "h"), "data: h\r\n\r\n");
        assert_eq!(wrapped(Transport::WebSocket, "o"), "o");
        assert_eq!(wrapped(Transport::HtmlFile, "a[\"x\"]"), "<script>\np(\"a[\\\"x\\\"]\");\n</script>\r\n");
        assert_eq!(wrapped(Transport::Jsonp, "a[\"x\"]"), "/**/cb(\"a[\\\"x\\\"]\");\r\n");
    }

    #[test]
    fn j10_no_frame_ends_its_script() {
        for transport in [Transport::HtmlFile, Transport::Jsonp] {
            let out = wrapped(transport, "a[\"</script><!--&'\\\\\"]");
            assert!(out.contains("a[\\\"\\u003C\\/script\\u003E\\u003C!--\\u0026\\'\\\\\\\\\\\"]"), "{out}");
        }
    }

    #[test]
    fn begins_as_the_protocol_says() {
        let begun = |transport: Transport| {
            let mut out = Vec::new();
            transport.begin(&mut out, "a.b");
            String::from_utf8(out).expect("text")
        };
        let streaming = begun(Transport::XhrStreaming);
        assert!(streaming.len() == 2_049 && streaming.trim_end_matches('\n').bytes().all(|b| b == b'h'));
        assert_eq!(begun(Transport::EventSource), "\r\n");
        let page = begun(Transport::HtmlFile);
        assert!(page.len() > 1_024 && page.contains("var c = parent.a.b;\n"));
        for transport in [Transport::Xhr, Transport::Jsonp, Transport::XhrSend, Transport::WebSocket] {
            assert_eq!(begun(transport), "");
        }
    }
}
