//! The embedder's say in a handshake, once its session was found to be alive.

use alloc::boxed::Box;
use alloc::sync::Arc;

use super::socket::{NONE, Phase, Stage};
use super::{Action, Hub};
use crate::config::Login;
use crate::http::{self, Refusal};
use crate::ids::ClientId;
use crate::time::Now;

/// A handshake that waits for [`Hub::decide`].
#[derive(Debug)]
pub struct Handshake {
    /// The request.
    pub http: http::Request,
    /// The session that it is bound to; `None` on an endpoint without login.
    pub session: Option<Arc<str>>,
    /// Whose session that is, as far as the store knows.
    pub principal: Option<Arc<str>>,
}

/// What the embedder thinks of a [`Handshake`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict<'a> {
    /// It gets in. On an endpoint with login that needs a session with a principal.
    Enter,
    /// It gets in, and the principal of its session goes by this name here, whatever the store says. Without a session
    /// there is nobody to be named: as [`Enter`](Self::Enter).
    As(&'a str),
    /// It is refused with 403.
    Refuse,
}

impl Hub {
    /// Everything is in order: the client gets in, or the embedder is asked whether it does.
    pub(super) fn admit_client(&mut self, client: u32) {
        if !self.config.decide {
            return self.accept(client);
        }
        let now = self.now.mono;
        let Some(socket) = self.clients.slot(client).map(|client| client.socket) else { return };
        let Some(slot) = self.live(socket) else { return };
        let session = self.registry.id(self.under(client)).cloned();
        let principal = self.principal(client);
        let Some(pending) = self.pending_mut(slot) else { return };
        pending.stage = Stage::Handed;
        let handshake = Box::new(Handshake { http: pending.request.clone(), session, principal });
        let client = self.client_id(client);
        let Some(at) = self.sockets.slot_mut(slot) else { return };
        at.since = now;
        let token = at.token;
        self.actions.push_back(Action::Decide { socket, client, token, handshake });
        self.arm_socket(slot);
    }

    /// Whether the embedder has been asked about this client.
    pub(super) fn is_with_embedder(&self, client: u32) -> bool {
        let slot = self.clients.slot(client).and_then(|client| self.live(client.socket));
        slot.and_then(|slot| self.pending(slot)).is_some_and(|pending| pending.stage == Stage::Handed)
    }

    /// The embedder's answer to an [`Action::Decide`]. Ignored if the client is gone, nothing was asked, or ANSWER_TIME is
    /// over.
    pub fn decide(&mut self, now: Now, client: ClientId, verdict: Verdict<'_>) {
        self.recording(|record| record.decide(now, client, verdict));
        self.begin(now);
        let slot = client.slot();
        let waits = self.clients.get(slot, client.generation()).is_some_and(|it| it.phase == Phase::Pending);
        if waits && self.is_with_embedder(slot) {
            self.decided(slot, verdict);
        }
        self.finish();
    }

    fn decided(&mut self, client: u32, verdict: Verdict<'_>) {
        let Some((socket, endpoint)) = self.clients.slot(client).map(|it| (it.socket, usize::from(it.endpoint))) else {
            return;
        };
        if let Some(pending) = self.live(socket).and_then(|slot| self.pending_mut(slot)) {
            pending.stage = Stage::Asking;
        }
        let session = self.under(client);
        match verdict {
            Verdict::Refuse => return self.turn_away(client, Refusal::Forbidden),
            Verdict::As(name) if session != NONE => self.registry.name(session, Arc::from(name)),
            Verdict::As(_) | Verdict::Enter => {}
        }
        let login = self.config.endpoints.get(endpoint).map(|endpoint| endpoint.login);
        if login == Some(Login::Required) && !self.registry.has_principal(session) {
            return self.turn_away(client, Refusal::NoSession);
        }
        self.accept(client);
    }
}
