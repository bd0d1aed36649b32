//! What a service tells of itself, and where requests to its channels go.

use super::Errand;
use super::form::{allow, origin, put};
use crate::config::Login;
use crate::http::{self, Refusal};
use crate::hub::Hub;
use crate::session::csrf::is_same_secret;
use crate::sockjs::{self, Transport};

impl Hub {
    /// Does what a request asks of SockJS. False: the store has to be asked first.
    pub(in crate::hub) fn run_errand(&mut self, slot: u32, errand: Errand) -> bool {
        match errand {
            Errand::Channel(transport, _) => self.go_to_channel(slot, transport),
            Errand::WebSocket => {}
            Errand::Greeting | Errand::Iframe | Errand::Info => {
                let endpoint = self.sockets.slot(slot).map(|socket| usize::from(socket.endpoint));
                let login = endpoint.and_then(|endpoint| self.config.endpoints.get(endpoint)).map(|at| at.login);
                if login == Some(Login::Required) {
                    return false;
                }
                self.tell_about(slot, errand);
            }
        }
        true
    }

    /// Answers with what the service tells of itself.
    pub(in crate::hub) fn tell_about(&mut self, slot: u32, errand: Errand) {
        let Some(endpoint) = self.sockets.slot(slot).map(|socket| usize::from(socket.endpoint)) else { return };
        let entropy = if errand == Errand::Info { self.random.entropy() } else { 0 };
        let Some(at) = self.config.endpoints.get(endpoint) else { return };
        let Some(sockjs) = &at.sockjs else { return };
        let Some(pending) = self.pending(slot) else { return };
        let request = &pending.request;
        let response = match errand {
            Errand::Info => {
                let cookies = sockjs.jsessionid || at.login == Login::Required;
                let body = sockjs::info(sockjs.websocket, cookies, entropy);
                let mut response = http::Response::new(200).with_body(body);
                put(&mut response, "Content-Type", "application/json;charset=UTF-8");
                put(&mut response, "Cache-Control", sockjs::NO_CACHE);
                allow(&mut response, origin(request));
                response
            }
            Errand::Iframe => {
                let (page, tag) = sockjs::iframe(&sockjs.client_url);
                let known = request.headers("if-none-match").flat_map(|value| value.split(|b| *b == b','));
                let same = known
                    .map(<[u8]>::trim_ascii)
                    .any(|known| known == b"*" || known.strip_prefix(b"W/").unwrap_or(known) == tag.as_bytes());
                let mut response = if same { http::Response::new(304) } else { http::Response::html(200, page) };
                put(&mut response, "ETag", tag);
                self.put_age(&mut response);
                response
            }
            _ => http::Response::text(200, sockjs::WELCOME),
        };
        self.answer_request(slot, &response);
    }

    /// The channel that the request on this socket names, if there is one.
    pub(super) fn channel_named(&self, slot: u32) -> Option<u32> {
        let endpoint = self.sockets.slot(slot)?.endpoint;
        self.with_name(slot, |name| self.channels.find(endpoint, name))?
    }

    /// The name of the session that the request on this socket names.
    pub(super) fn with_name<T>(&self, slot: u32, with: impl FnOnce(&str) -> T) -> Option<T> {
        let pending = self.pending(slot)?;
        match pending.errand? {
            Errand::Channel(_, name) => name.of(pending.request.path()).map(with),
            _ => None,
        }
    }

    /// A whole request of a transport.
    pub(super) fn go_to_channel(&mut self, slot: u32, transport: Transport) {
        let Some(channel) = self.channel_named(slot) else {
            return if transport.sends() { self.refuse_kept(slot, transport) } else { self.come(slot) };
        };
        let over = self.is_cut(channel);
        if over && let Some(it) = self.channels.get_mut(channel) {
            it.last = self.now.mono;
        }
        // The close frame of a channel that is over is for everybody: who logged out has no cookie any more.
        if over && transport.sends() || !over && !self.is_same_login(slot, channel) {
            return self.refuse_kept(slot, transport);
        }
        if self.config.session.renew.poll {
            self.renew_client(self.channels.client(channel));
        }
        if transport.sends() { self.bring(slot, channel, transport) } else { self.receive(slot, channel, transport) }
    }

    /// There is no such session, for whoever asks: 404, in which a page of another origin can read it.
    fn refuse_kept(&mut self, slot: u32, transport: Transport) {
        self.stats.refusals += 1;
        let mut response = self.head_of(slot, Refusal::NotFound.status(), transport);
        response = response.with_body(alloc::format!("{}\n", Refusal::NotFound));
        self.answer_request(slot, &response);
    }

    /// Whether the request on this socket comes from whoever opened this channel: with the same login, or, where none is
    /// asked for, from the same address. Its name alone is no proof.
    fn is_same_login(&self, slot: u32, channel: u32) -> bool {
        let Some(it) = self.channels.get(channel) else { return false };
        let Some(pending) = self.pending(slot) else { return false };
        match self.config.endpoints.get(usize::from(it.endpoint)).map(|at| at.login) {
            Some(Login::Required) => {
                let session = self.registry.id(self.under(it.client));
                session.is_some_and(|id| pending.ids.iter().any(|own| is_same_secret(own.as_bytes(), id.as_bytes())))
            }
            Some(Login::None) => self.channels.is_of_address(it, pending.request.client()),
            None => false,
        }
    }
}
