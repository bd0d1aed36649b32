//! SockJS: what the paths below a service's prefix lead to, and the clients that speak through requests.

mod book;
mod end;
mod fanout;
mod form;
mod pages;
mod receive;
mod send;
mod sort;
mod websocket;

use super::Hub;
use super::request::below;
use super::socket::NONE;
use crate::config::Endpoint;
use crate::sockjs::{Route, Transport};

pub(super) use self::book::Channels;
pub(super) use self::fanout::{Wrapping, json};

/// What a request asks of SockJS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Errand {
    Greeting,
    Iframe,
    Info,
    /// A WebSocket that carries frames of SockJS.
    WebSocket,
    /// To receive or to send through requests, for the session of this name.
    Channel(Transport, Name),
}

/// Where a request names its session: a range of its path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Name {
    start: u32,
    end: u32,
}

impl Name {
    /// Of the session of a [`Route::Session`], which is the end of this path.
    fn at(path: &str, session: &str, transport: Transport) -> Self {
        let end = path.len().saturating_sub(1 + transport.name().len());
        // A head has no more than 2^30 bytes.
        Self { start: end.saturating_sub(session.len()) as u32, end: end as u32 }
    }

    fn of(self, path: &str) -> Option<&str> {
        path.get(self.start as usize..self.end as usize)
    }
}

/// The service that a path belongs to.
pub(super) fn service(endpoints: &[Endpoint], path: &str) -> Option<usize> {
    endpoints.iter().position(|endpoint| endpoint.sockjs.is_some() && below(path, &endpoint.path))
}

/// The endpoint that a WebSocket at this path comes to, and what it asks of SockJS.
pub(super) fn websocket(endpoints: &[Endpoint], path: &str) -> Option<(usize, Option<Errand>)> {
    let Some(at) = service(endpoints, path) else {
        return Some((endpoints.iter().position(|endpoint| endpoint.path == path)?, None));
    };
    let endpoint = endpoints.get(at)?;
    endpoint.sockjs.as_ref().filter(|sockjs| sockjs.websocket)?;
    match Route::of(path.get(endpoint.path.len()..)?)? {
        Route::RawWebSocket => Some((at, None)),
        Route::Session { transport: Transport::WebSocket, .. } => Some((at, Some(Errand::WebSocket))),
        _ => None,
    }
}

impl Hub {
    /// The channel of a client, if it has one.
    pub(super) fn channel_of(&self, client: u32) -> Option<u32> {
        self.clients.slot(client).map(|client| client.channel()).filter(|channel| *channel != NONE)
    }

    /// The socket over which a client is spoken with just now: its own, or that of its channel's receiver.
    pub(super) fn socket_of(&self, client: u32) -> Option<u32> {
        let it = self.clients.slot(client)?;
        match self.channel_of(client) {
            Some(channel) => self.receiver_of(channel),
            None => self.live(it.socket),
        }
    }

    /// The socket of a channel's receiver, as long as it is one.
    fn receiver_of(&self, channel: u32) -> Option<u32> {
        let receiver = self.channels.get(channel)?.channel.receiver()?;
        let slot = self.live(receiver)?;
        (self.sockets.slot(slot)?.channel() == channel).then_some(slot)
    }

    /// Whether nothing but the close frame of this channel is to be sent any more.
    pub(super) fn is_cut(&self, channel: u32) -> bool {
        self.channels.get(channel).is_none_or(|it| it.channel.is_over())
    }
}
