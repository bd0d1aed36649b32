//! Requests that the embedder's own HTTP server has parsed: in as parts, out as parts, and what follows a 101 as frames.

use alloc::boxed::Box;
use alloc::format;
use core::net::IpAddr;

use super::socket::{Mark, Socket};
use super::{Action, Full, Hub};
use crate::http;
use crate::ids::SocketId;
use crate::time::Now;

/// A request that somebody else has parsed; given to [`Hub::ask`].
#[derive(Debug, Clone, Copy)]
pub struct Ask<'a> {
    /// What the embedder wants to be given back with each action.
    pub token: u64,
    /// The peer's address, if it has one.
    pub address: Option<IpAddr>,
    /// Whether it came over TLS.
    pub secure: bool,
    /// The method, such as `GET`.
    pub method: &'a str,
    /// The target, such as `/stomp?a=b`.
    pub target: &'a str,
    /// The headers as they came, `Host` among them (HTTP/2 and later call it `:authority`). What frames the body
    /// (`Content-Length`, `Transfer-Encoding`, `Expect`) is left out of account.
    pub headers: &'a [(&'a str, &'a [u8])],
    /// The whole body.
    pub body: &'a [u8],
}

/// What comes behind an [`Action::Response`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Follows {
    /// Nothing: the response holds its whole body. [`Action::Close`] is next.
    Nothing,
    /// The body, piece by piece, as [`Hub::output`] gives it: without chunks or any other framing. With
    /// [`Action::Shutdown`] it is whole; an [`Action::Close`] without one cuts it off.
    Body,
    /// It is a 101: from now on the socket is as one of [`Hub::open`], and what it carries are WebSocket frames.
    Frames,
}

impl Hub {
    /// A request came in at the embedder's own HTTP server: a WebSocket handshake, or anything else that the hub is to
    /// answer. It meets the same checks as one that comes as bytes. The answer is an [`Action::Response`].
    ///
    /// Until a response with [`Follows::Frames`] nothing may be handed in for this socket but
    /// [`Event::Sent`](super::Event::Sent), and [`Event::Closed`](super::Event::Closed) if the peer has gone.
    ///
    /// # Errors
    /// [`Full`], as for [`Hub::open`]: answer 503.
    pub fn ask(&mut self, now: Now, ask: &Ask<'_>) -> Result<SocketId, Full> {
        self.begin(now);
        let socket = self.parsed(ask.token, ask.address, ask.secure, Mark::Asked);
        self.recording(|record| record.ask(now, ask, socket.as_ref().ok().copied()));
        let socket = socket?;
        let length = (!ask.body.is_empty()).then(|| format!("{}", ask.body.len()));
        let length = length.as_ref().map(|length| ("Content-Length", length.as_bytes()));
        let headers = ask.headers.iter().copied().filter(|(name, _)| !frames_body(name)).chain(length);
        let request =
            http::Request::from_parts(ask.method, ask.target, http::Version::Http11, headers, &self.config.limits.http);
        match request {
            Ok(request) => self.request(socket.slot(), request, ask.body),
            Err(refusal) => self.refuse(socket.slot(), refusal),
        }
        self.finish();
        Ok(socket)
    }

    /// A socket whose requests somebody else parses.
    pub(super) fn parsed(
        &mut self,
        token: u64,
        address: Option<IpAddr>,
        secure: bool,
        mark: Mark,
    ) -> Result<SocketId, Full> {
        let limits = &self.config.limits;
        if self.draining || self.sockets.len() >= limits.total as usize + limits.half_open as usize {
            self.stats.refused += 1;
            return Err(Full);
        }
        let address = self.addresses.enter(address);
        let mut socket = Socket::new(token, address, secure, self.now.mono);
        socket.marks.set(Mark::HalfOpen, false);
        socket.marks.set(mark, true);
        let (slot, generation) = self.sockets.insert(socket);
        self.stats.opened += 1;
        Ok(SocketId::new(slot, generation))
    }

    /// Whether answers on this socket are actions rather than bytes.
    pub(super) fn is_asked(&self, slot: u32) -> bool {
        self.sockets.slot(slot).is_some_and(|socket| socket.marks.has(Mark::Asked))
    }

    /// Gives a whole answer out.
    pub(super) fn give_response(&mut self, slot: u32, response: &http::Response, exchange: http::Exchange) {
        if self.is_asked(slot) {
            let body = if exchange.head_only { bytes::Bytes::new() } else { response.body().clone() };
            self.give_head(slot, response.clone().with_body(body), Follows::Nothing);
        } else {
            let date = Some(self.now.wall);
            self.write(slot, |bytes| response.write(bytes, exchange, date));
        }
    }

    /// Gives the answer to a handshake out: frames follow.
    pub(super) fn switch_protocols(&mut self, slot: u32, accept: &[u8], protocol: Option<&str>) {
        if self.is_asked(slot) {
            self.give_head(slot, http::Response::switching_protocols(accept, protocol), Follows::Frames);
            if let Some(socket) = self.sockets.slot_mut(slot) {
                socket.marks.set(Mark::Asked, false);
            }
        } else {
            self.write(slot, |bytes| http::write_switching_protocols(bytes, accept, protocol));
        }
    }

    fn give_head(&mut self, slot: u32, response: http::Response, follows: Follows) {
        let Some(token) = self.sockets.slot(slot).map(|socket| socket.token) else { return };
        let socket = self.socket_id(slot);
        self.actions.push_back(Action::Response { socket, token, response: Box::new(response), follows });
    }
}

/// Whether a header tells how a body is framed, which is over once it was read.
pub(super) fn frames_body(name: &str) -> bool {
    ["content-length", "transfer-encoding", "expect"].iter().any(|own| own.eq_ignore_ascii_case(name))
}
