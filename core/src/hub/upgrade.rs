//! From a handshake in order to an open WebSocket: who is it, and is the login alive?

use alloc::sync::Arc;

use super::request::protocols;
use super::socket::{Client, Mark, NONE, Phase, Role, Under, Wire};
use super::{Action, Hub};
use crate::config::{Login, Protocol};
use crate::http::Refusal;
use crate::ids::ClientId;
use crate::session::Record;
use crate::ws;

impl Hub {
    /// A handshake that is in order came to this endpoint.
    pub(super) fn enter_endpoint(&mut self, slot: u32, endpoint: usize) {
        if self.draining
            || self.clients.len() >= self.config.limits.total as usize + self.channels.len()
            || self.buffered > self.config.limits.memory
        {
            return self.refuse(slot, Refusal::Unavailable);
        }
        self.enter(slot, endpoint);
    }

    /// Somebody comes to this endpoint, by whatever means.
    pub(super) fn enter(&mut self, slot: u32, endpoint: usize) {
        let Some(at) = self.config.endpoints.get(endpoint) else { return };
        let login = at.login;
        let socket = self.socket_id(slot);
        let (client, _) = self.clients.insert(Client::new(socket, endpoint as u8, self.now.mono));
        if let Some(socket) = self.sockets.slot_mut(slot) {
            socket.client = client;
            socket.endpoint = endpoint as u8;
        }
        match login {
            Login::None => self.admit_client(client),
            Login::Required => self.claim_next(client),
        }
    }

    /// Tries the next session that the handshake names.
    fn claim_next(&mut self, client: u32) {
        let Some(slot) = self.clients.slot(client).and_then(|client| self.live(client.socket)) else { return };
        let next = self.pending_mut(slot).and_then(|pending| {
            pending.session = pending.ids.pop();
            pending.session.clone()
        });
        match next {
            Some(id) => self.claim(client, &id),
            None => self.turn_away(client, Refusal::NoSession),
        }
    }

    /// The store vouched for the session of this client, and told what is in it.
    pub(super) fn bound(&mut self, client: u32, record: Option<&Record>) {
        let session = self.under(client);
        // The store may vouch for it once more while the embedder is asked.
        if self.is_with_embedder(client) {
            return;
        }
        if !self.registry.has_principal(session) && !self.config.decide {
            self.release(client);
            return self.claim_next(client);
        }
        if self.registry.count(session) > self.config.limits.per_session {
            return self.turn_away(client, Refusal::TooMany);
        }
        if self.config.session.renew.request {
            self.activity(session);
        }
        self.expect_token(client, record);
        self.admit_client(client);
    }

    /// Keeps what CONNECT has to carry until it comes. Not told is as good as none: nothing matches it.
    fn expect_token(&mut self, client: u32, record: Option<&Record>) {
        let wanted = self.config.session.connect_token.as_ref();
        let token =
            wanted.and_then(|wanted| wanted.attributes.iter().find_map(|name| record?.shared_attribute(name))).cloned();
        let Some(it) = self.clients.slot(client).filter(|_| token.is_some()) else { return };
        let protocol = self.config.endpoints.get(usize::from(it.endpoint)).map(|at| at.protocol);
        if protocol == Some(Protocol::Stomp)
            && let Some(slot) = self.live(it.socket)
            && let Some(cold) = self.cold(slot)
        {
            cold.token = token;
        }
    }

    /// The session that this client named is over.
    pub(super) fn unbound(&mut self, client: u32) {
        self.claim_next(client);
    }

    /// Nobody can say whether the session of this client is alive.
    pub(super) fn store_away(&mut self, client: u32) {
        self.turn_away(client, Refusal::Unavailable);
    }

    pub(super) fn turn_away(&mut self, client: u32, refusal: Refusal) {
        let Some(slot) = self.clients.slot(client).and_then(|client| self.live(client.socket)) else { return };
        self.forget_pending(client);
        self.refuse(slot, refusal);
    }

    /// A client that never got in is gone without a word.
    pub(super) fn forget_pending(&mut self, client: u32) {
        let socket = self.clients.slot(client).map(|client| client.socket);
        self.release(client);
        self.clients.remove_slot(client);
        if let Some(socket) = socket.and_then(|socket| self.live(socket)).and_then(|slot| self.sockets.slot_mut(slot)) {
            socket.client = NONE;
        }
    }

    /// 101: from here on the bytes are frames.
    pub(super) fn accept(&mut self, client: u32) {
        let now = self.now.mono;
        let Some((id, endpoint)) = self.clients.slot(client).map(|client| (client.socket, client.endpoint)) else {
            return;
        };
        let Some(slot) = self.live(id) else { return };
        let framed = match self.pending(slot).and_then(|pending| pending.errand) {
            None => false,
            Some(super::sockjs::Errand::WebSocket) => true,
            Some(_) => return self.open_channel(client, slot),
        };
        let Some(at) = self.config.endpoints.get(usize::from(endpoint)) else { return };
        let raw = at.protocol == Protocol::Raw;
        if !self.is_elsewhere(slot) {
            let Some(upgrade) = self.pending(slot).and_then(|pending| pending.upgrade) else { return };
            let (protocol, accept) = (upgrade.protocol(protocols(at)), ws::accept_key(upgrade.key()));
            self.switch_protocols(slot, &accept, protocol);
        }
        let Some(socket) = self.sockets.slot_mut(slot) else { return };
        socket.role = Role::Ws;
        socket.since = now;
        socket.spoke = false;
        socket.heard = now;
        let token = socket.token;
        if let Some(cold) = &mut socket.cold {
            cold.request = None;
            cold.output.seal();
        }
        if let Some(it) = self.clients.slot_mut(client) {
            it.phase = if raw { Phase::Joined } else { Phase::Open };
            it.wire = if framed { Wire::Framed } else { Wire::Plain };
            it.tell(now);
        }
        if framed {
            if let Some(socket) = self.sockets.slot_mut(slot) {
                socket.marks.set(Mark::Framed, true);
            }
            self.write(slot, |bytes| ws::write_frame(bytes, true, ws::Opcode::Text, crate::sockjs::OPEN));
        }
        if raw {
            self.tell_joined(client, token);
        }
        self.arm_socket(slot);
        self.resume(slot);
        if self.live(id) == Some(slot) && self.sockets.slot(slot).is_some_and(|socket| socket.marks.has(Mark::Ended)) {
            self.hang_up(slot);
        }
    }

    /// A client is there.
    pub(super) fn tell_joined(&mut self, client: u32, token: u64) {
        let endpoint = self.clients.slot(client).map_or(usize::MAX, |it| usize::from(it.endpoint));
        let (principal, path) = (self.principal(client), self.endpoint_path(endpoint));
        self.actions.push_back(Action::Joined { client: self.client_id(client), token, principal, path });
    }

    /// The path of the endpoint that a client came to.
    pub fn path_of(&self, client: ClientId) -> Option<&Arc<str>> {
        let it = self.clients.get(client.slot(), client.generation())?;
        self.paths.get(usize::from(it.endpoint))
    }

    /// Whose session a client is under, and its id.
    pub fn session_of(&self, client: ClientId) -> Option<(Arc<str>, Arc<str>)> {
        let Under(session) = self.clients.hot_of(client.slot(), client.generation())?;
        Some((self.registry.id(session)?.clone(), self.registry.principal(session)?))
    }
}
