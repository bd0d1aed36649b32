//! How receivers are answered. Most of a service's receivers are answered alike, so each form is kept once.

use alloc::boxed::Box;
use alloc::vec::Vec;

use crate::config::SockJs;
use crate::http::{self, Exchange, cookie};
use crate::hub::Hub;
use crate::hub::socket::NONE;
use crate::index::Index;
use crate::slab::Arena;
use crate::sockjs::{self, Transport};

/// How a receiver is answered.
#[derive(Debug)]
pub(super) struct Form {
    key: Box<[u8]>,
    pub(super) transport: Transport,
    pub(super) exchange: Exchange,
    /// Status and headers, but for those that tell the end of the body.
    pub(super) response: http::Response,
    pub(super) callback: Box<str>,
    count: u32,
}

#[derive(Debug)]
pub(in crate::hub) struct Forms {
    index: Index,
    forms: Arena<Form>,
}

impl Forms {
    pub(super) fn new(seed: &[u8; 16]) -> Self {
        Self { index: Index::new(seed), forms: Arena::new() }
    }

    pub(super) fn get(&self, form: u32) -> Option<&Form> {
        self.forms.get(form)
    }

    pub(super) fn release(&mut self, form: u32) {
        let Some(it) = self.forms.get_mut(form) else { return };
        it.count -= 1;
        if it.count == 0 {
            let hash = self.index.hash(&it.key);
            self.index.remove(hash, form);
            self.forms.remove(form);
        }
    }

    /// The form with this key, with one more use of it.
    fn intern(&mut self, key: &[u8], make: impl FnOnce(Box<[u8]>) -> Form) -> u32 {
        let hash = self.index.hash(key);
        if let Some(form) = self.index.find(hash, |form| self.forms.get(form).is_some_and(|it| *it.key == *key)) {
            if let Some(it) = self.forms.get_mut(form) {
                it.count += 1;
            }
            return form;
        }
        let form = self.forms.insert(make(key.into()));
        let forms = &self.forms;
        self.index.insert(hash, form, |form| [forms.get(form).map_or(&[], |it| &*it.key)]);
        form
    }
}

impl Hub {
    /// How the request on this socket is answered, if it receives by this transport.
    pub(super) fn form_of(&mut self, slot: u32, transport: Transport) -> u32 {
        let (draining, asked) = (self.draining, self.is_asked(slot));
        let Some(sockjs) = self.sockjs_of(slot) else { return NONE };
        let Some(pending) = self.pending(slot) else { return NONE };
        let request = &pending.request;
        let mut exchange = request.exchange();
        // HTTP/1.0 knows no chunks: the end of the connection is the end of what streams.
        exchange.keep_alive &= !draining && (exchange.version == http::Version::Http11 || !transport.streams());
        let callback = if transport.calls_back() {
            sockjs::callback(request.query()).unwrap_or_default()
        } else {
            Default::default()
        };
        let cookie = jsessionid(sockjs, request);
        let origin = origin(request);
        let tag = [
            transport as u8,
            u8::from(exchange.version == http::Version::Http10)
                | u8::from(exchange.keep_alive) << 1
                | u8::from(asked) << 2,
            u8::from(origin.is_some()) | u8::from(cookie.is_some()) << 1,
        ];
        let key = [
            &tag,
            origin.unwrap_or_default(),
            b"\0",
            cookie.unwrap_or_default().as_bytes(),
            b"\0",
            callback.as_bytes(),
        ]
        .concat();
        let response = answer(200, transport, origin, cookie);
        self.channels.forms.intern(&key, |key| Form {
            key,
            transport,
            exchange,
            response,
            callback: callback.into_boxed_str(),
            count: 1,
        })
    }

    /// The service that the request on this socket is for.
    pub(super) fn sockjs_of(&self, slot: u32) -> Option<&SockJs> {
        let endpoint = self.sockets.slot(slot)?.endpoint;
        self.config.endpoints.get(usize::from(endpoint))?.sockjs.as_ref()
    }

    /// The head of an answer of a transport to the request on this socket.
    pub(super) fn head_of(&self, slot: u32, status: u16, transport: Transport) -> http::Response {
        let request = self.pending(slot).map(|pending| &pending.request);
        let cookie = request.zip(self.sockjs_of(slot)).and_then(|(request, sockjs)| jsessionid(sockjs, request));
        answer(status, transport, request.and_then(origin), cookie)
    }
}

/// Status and headers of an answer of a transport.
fn answer(status: u16, transport: Transport, origin: Option<&[u8]>, cookie: Option<&str>) -> http::Response {
    let mut response = http::Response::with_lines(status, transport.lines());
    if origin.is_some() || cookie.is_some() {
        response.reserve(TOLD_BYTES + origin.map_or(0, <[u8]>::len) + cookie.map_or(0, str::len));
    }
    allow(&mut response, origin);
    if let Some(value) = cookie {
        put(&mut response, "Set-Cookie", [b"JSESSIONID=", value.as_bytes(), b"; Path=/"].concat());
    }
    response
}

/// Lets a page of this origin read the answer, with cookies.
pub(super) fn allow(response: &mut http::Response, origin: Option<&[u8]>) {
    if let Some(origin) = origin {
        put(response, "Access-Control-Allow-Origin", origin);
        put(response, "Access-Control-Allow-Credentials", "true");
        put(response, "Vary", "Origin");
    }
}

/// The origin of a request, fit to be told back. Whether it is let in was checked before.
pub(super) fn origin(request: &http::Request) -> Option<&[u8]> {
    let mut origins = request.headers("origin");
    let origin = origins.next()?;
    (origins.next().is_none() && sockjs::is_origin(origin)).then_some(origin)
}

/// The value of the cookie for load balancers, if the service sets it.
fn jsessionid<'a>(sockjs: &SockJs, request: &'a http::Request) -> Option<&'a str> {
    let sent = || cookie::pairs(request).find(|(name, _)| *name == b"JSESSIONID").map(|(_, value)| value);
    sockjs.jsessionid.then(|| sockjs::jsessionid(sent()))
}

/// Appends a header whose name and value are in order.
pub(super) fn put(response: &mut http::Response, name: &str, value: impl AsRef<[u8]>) {
    let put = response.header(name, value);
    debug_assert!(put.is_ok(), "{name} is no header");
}

/// A piece of a streamed body, as chunks or as it is.
pub(super) fn push_piece(out: &mut Vec<u8>, chunked: bool, piece: &[u8]) {
    if !chunked {
        return out.extend_from_slice(piece);
    }
    let mut digits = [0; 16];
    let (mut at, mut left) = (digits.len(), piece.len());
    while left > 0 {
        at -= 1;
        digits[at] = HEX[left & 15];
        left >>= 4;
    }
    out.extend_from_slice(&digits[at..]);
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(piece);
    out.extend_from_slice(b"\r\n");
}

/// What is written around an origin and a cookie that are told back.
const TOLD_BYTES: usize = 128;
const HEX: &[u8; 16] = b"0123456789abcdef";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn h20_the_lines_of_each_transport_are_headers_in_order() {
        for transport in Transport::ALL {
            let lines = answer(204, transport, None, None);
            let mut headers = http::Response::new(204);
            for (name, value) in lines.headers() {
                headers.header(name, value).expect("a header that may be set");
            }
            assert_eq!(headers, lines, "nothing but headers: {}", transport.name());
            let has = |name: &str, value: &str| lines.headers().any(|it| it == (name, value.as_bytes()));
            assert!(has("Cache-Control", sockjs::NO_CACHE));
            assert!(lines.headers().next().is_some_and(|(name, _)| name == "Content-Type"));
            assert_eq!(has("X-Accel-Buffering", "no"), transport.streams(), "{}", transport.name());
            assert_eq!(has("X-Content-Type-Options", "nosniff"), transport.calls_back(), "{}", transport.name());
        }
        let told = answer(200, Transport::Xhr, Some(b"http://a"), Some("b"));
        let names: Vec<&str> = told.headers().map(|(name, _)| name).skip(2).collect();
        let cors = ["Access-Control-Allow-Origin", "Access-Control-Allow-Credentials", "Vary", "Set-Cookie"];
        assert_eq!(names, cors);
    }
}
