//! What the server's application is asked.

use std::sync::Arc;

use tethered_core::hub::{Delivery, Ended, Hub, Message, Payload, Request, Response, To, Who};
use tethered_core::ids::{CallId, ClientId, SocketId};
use tethered_core::session::{Cause, Op};
use tethered_core::time::Now;

use crate::handle::Handle;

/// What a [`Server`](crate::Server) serves. All of it runs on the server's thread, between reading and writing: what
/// takes more than a few milliseconds belongs on another thread, from where [`Context::handle`] leads back.
pub trait Application: Sized + 'static {
    /// An HTTP request that is no handshake of an endpoint. `None`: it is answered later, with [`Hub::respond`] through
    /// the [`Handle`]; the connection waits until then.
    fn request(&mut self, cx: &mut Context<'_, Self>, socket: SocketId, request: Request) -> Option<Response>;

    /// A client sent something to the application.
    fn deliver(&mut self, cx: &mut Context<'_, Self>, client: ClientId, delivery: Delivery);

    /// A client is there: its STOMP CONNECT was accepted, or its raw WebSocket is open.
    fn joined(&mut self, _cx: &mut Context<'_, Self>, _client: ClientId, _principal: Option<Arc<str>>) {}

    /// A client that had joined is gone.
    fn left(&mut self, _cx: &mut Context<'_, Self>, _client: ClientId, _cause: Cause, _principal: Option<Arc<str>>) {}

    /// The application of another node said something, with [`Context::announce`]. `from` is what that node goes by until
    /// it is started anew.
    fn announced(&mut self, _cx: &mut Context<'_, Self>, _from: &str, _body: &[u8]) {}

    /// A session that had sockets has ended. The server has logged it.
    fn ended(&mut self, _cx: &mut Context<'_, Self>, _ended: &Ended) {}

    /// A question to the session store, with [`Store::External`](tethered_core::config::Store::External) only. To be
    /// answered with [`Event::Answer`](tethered_core::hub::Event::Answer) through the [`Handle`] if there is a call.
    fn session(&mut self, _cx: &mut Context<'_, Self>, _call: Option<CallId>, _op: Op) {}
}

/// What an [`Application`] can do while it is asked.
#[derive(Debug)]
pub struct Context<'a, A> {
    pub(crate) hub: &'a mut Hub,
    pub(crate) now: Now,
    pub(crate) handle: &'a Handle<A>,
}

impl<A: Application> Context<'_, A> {
    /// The time that this turn of the server began.
    pub fn now(&self) -> Now {
        self.now
    }

    /// The hub itself.
    pub fn hub(&mut self) -> &mut Hub {
        self.hub
    }

    /// The way back from other threads.
    pub fn handle(&self) -> &Handle<A> {
        self.handle
    }

    /// [`Hub::publish`].
    pub fn publish(&mut self, to: To<'_>, message: &Message<'_>) -> usize {
        self.hub.publish(self.now, to, message)
    }

    /// [`Hub::announce`].
    pub fn announce(&mut self, body: &[u8]) {
        self.hub.announce(self.now, body);
    }

    /// [`Hub::answer`].
    pub fn answer(&mut self, client: ClientId, destination: &str, subscription: &str, message: &Message<'_>) {
        self.hub.answer(self.now, client, destination, subscription, message);
    }

    /// [`Hub::send`].
    pub fn send(&mut self, client: ClientId, payload: Payload<'_>) {
        self.hub.send(self.now, client, payload);
    }

    /// [`Hub::respond`].
    pub fn respond(&mut self, socket: SocketId, response: Response) {
        self.hub.respond(self.now, socket, response);
    }

    /// [`Hub::end`].
    pub fn end(&mut self, who: Who<'_>, cause: Cause) -> usize {
        self.hub.end(self.now, who, cause)
    }
}
