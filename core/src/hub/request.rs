//! HTTP: from the first byte of a head to the answer.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::Hub;
use super::action::{Action, Change, Request, Response};
use super::sessions::Asked;
use super::socket::{Mark, Pending, Role, Stage};
use crate::config::{Endpoint, Login};
use crate::http::{self, BodyDecoder, Exchange, Refusal, cookie};
use crate::ids::SocketId;
use crate::session::{Answer, Cause, Detector, Op, Record};

impl Hub {
    /// Bytes of a request's head, and what follows it.
    pub(super) fn head(&mut self, slot: u32, bytes: &[u8]) {
        let limits = self.config.limits.http;
        let drip =
            self.sockets.slot(slot).and_then(|socket| socket.cold.as_ref()).is_some_and(|cold| !cold.inbox.is_empty());
        if drip {
            let Some(cold) = self.cold(slot) else { return };
            cold.inbox.extend_from_slice(bytes);
            let found = cold.search.find(&cold.inbox, &limits);
            match found {
                Ok(None) => self.buffered += bytes.len(),
                Ok(Some(end)) => {
                    let whole = core::mem::take(&mut cold.inbox);
                    let search = core::mem::take(&mut cold.search);
                    self.buffered = (self.buffered + bytes.len()).saturating_sub(whole.len());
                    let (head, rest) = whole.split_at(end);
                    self.headed(slot, head, &search, rest);
                }
                Err(refusal) => {
                    let before = cold.inbox.len() - bytes.len();
                    cold.inbox = Vec::new();
                    self.buffered = self.buffered.saturating_sub(before);
                    self.refuse(slot, refusal);
                }
            }
            return;
        }
        let mut search = http::HeadSearch::default();
        match search.find(bytes, &limits) {
            Ok(Some(end)) => {
                let (head, rest) = bytes.split_at(end);
                self.headed(slot, head, &search, rest);
            }
            Ok(None) => {
                let Some(cold) = self.cold(slot) else { return };
                cold.search = search;
                cold.inbox.extend_from_slice(bytes);
                self.buffered += bytes.len();
            }
            Err(refusal) => self.refuse(slot, refusal),
        }
    }

    fn headed(&mut self, slot: u32, head: &[u8], search: &http::HeadSearch, rest: &[u8]) {
        self.not_half_open(slot);
        match http::parse_found(head, search, &self.config.limits.http) {
            Ok(request) => self.request(slot, request, rest),
            Err(refusal) => self.refuse(slot, refusal),
        }
    }

    /// The order of the checks: form, Origin, a cookie at all, path, method, upgrade headers, and last the store.
    pub(super) fn request(&mut self, slot: u32, request: http::Request, rest: &[u8]) {
        let mut pending = Box::new(Pending::new(request));
        let now = self.now.mono;
        let Some(socket) = self.sockets.slot_mut(slot) else { return };
        socket.role = Role::Waiting;
        socket.since = now;
        socket.spoke = true;
        let (secure, peer) = (socket.marks.has(Mark::Secure), self.addresses.get(socket.address));
        let located = pending.request.locate(&self.config.proxies, peer, secure);
        let id = self.socket_id(slot);
        let Some(cold) = self.cold(slot) else { return };
        cold.request = Some(pending);
        if let Err(refusal) = located {
            return self.refuse(slot, refusal);
        }
        self.count_client(slot);
        let verdict = if self.over_address(slot) { Err(Refusal::TooMany) } else { self.sort(slot) };
        match verdict {
            Err(refusal) => {
                // What follows a refused request is the next one, never frames.
                self.keep(slot, rest);
                self.refuse(slot, refusal);
            }
            Ok(Sorted::Endpoint(endpoint)) => {
                self.keep(slot, rest);
                self.enter_endpoint(slot, endpoint);
            }
            Ok(Sorted::Answer(response)) => {
                self.keep(slot, rest);
                self.answer_request(slot, &response);
            }
            Ok(Sorted::Page { body_bytes }) => match self.begin_body(slot, body_bytes) {
                Err(refusal) => self.refuse(slot, refusal),
                Ok(true) => {
                    if let Some(socket) = self.sockets.slot_mut(slot) {
                        socket.role = Role::Body;
                    }
                    self.body(slot, rest);
                }
                Ok(false) => {
                    self.keep(slot, rest);
                    self.identify(slot);
                }
            },
        }
        if let Some(slot) = self.live(id) {
            self.arm_socket(slot);
        }
    }

    /// Behind a listed proxy a socket counts for the address that the proxy tells.
    pub(super) fn count_client(&mut self, slot: u32) {
        let Some(client) = self.pending(slot).and_then(|pending| pending.request.client()) else { return };
        let Some(socket) = self.sockets.slot(slot) else { return };
        let before = socket.address;
        if self.addresses.get(before) != Some(client) {
            let address = self.addresses.enter(Some(client));
            self.addresses.leave(before);
            if let Some(socket) = self.sockets.slot_mut(slot) {
                socket.address = address;
            }
        }
    }

    pub(super) fn over_address(&self, slot: u32) -> bool {
        let Some(address) = self.sockets.slot(slot).map(|socket| socket.address) else { return false };
        let listed = self.addresses.get(address).is_some_and(|peer| self.config.proxies.contains(peer));
        !listed && self.addresses.count(address) > self.config.limits.per_address
    }

    fn sort(&mut self, slot: u32) -> Result<Sorted, Refusal> {
        let Self { config, sockets, .. } = self;
        let pending = sockets
            .slot_mut(slot)
            .and_then(|socket| socket.cold.as_mut())
            .and_then(|cold| cold.request.as_mut())
            .ok_or(Refusal::Malformed)?;
        let request = &pending.request;
        let path = request.path();
        if let Some(at) = super::sockjs::service(&config.endpoints, path) {
            return self.sort_sockjs(slot, at);
        }
        let endpoint = config.endpoints.iter().position(|endpoint| endpoint.path == path);
        let guarded = config.guarded.iter().any(|prefix| below(path, prefix));
        let login = match endpoint {
            Some(at) => config.endpoints[at].login == Login::Required,
            None => guarded,
        };
        if endpoint.is_none() && !guarded {
            pending.ids =
                cookie::session_ids(request, &config.session.cookie, config.session.encoding, &config.limits.http);
            pending.ids.reverse();
            return Ok(Sorted::Page { body_bytes: config.limits.http.body_bytes });
        }
        let open = endpoint.is_some_and(|at| config.endpoints[at].any_origin);
        if !open {
            config.origin.check(request)?;
        }
        if login {
            pending.ids =
                cookie::session_ids(request, &config.session.cookie, config.session.encoding, &config.limits.http);
            pending.ids.reverse();
            if pending.ids.is_empty() {
                return Err(Refusal::NoSession);
            }
        }
        let at = endpoint.ok_or(Refusal::NotFound)?;
        pending.upgrade = Some(http::upgrade::check(request, protocols(&config.endpoints[at]))?);
        if request.has_body() {
            return Err(Refusal::Framing);
        }
        Ok(Sorted::Endpoint(at))
    }

    fn begin_body(&mut self, slot: u32, limit: usize) -> Result<bool, Refusal> {
        let Some(pending) = self.pending_mut(slot) else { return Ok(false) };
        pending.body = BodyDecoder::new(&pending.request, limit)?;
        let waits = pending.body.is_some();
        if waits && pending.request.expects_continue() {
            self.write(slot, |bytes| bytes.extend_from_slice(http::CONTINUE));
        }
        Ok(waits)
    }

    /// Bytes of a request's body, and what follows it.
    pub(super) fn body(&mut self, slot: u32, bytes: &[u8]) {
        let Some(pending) = self.pending_mut(slot) else { return };
        let Some(body) = &mut pending.body else { return };
        match body.feed(bytes) {
            Err(refusal) => self.refuse(slot, refusal),
            Ok(taken) if body.is_complete() => {
                if let Some(body) = pending.body.take() {
                    pending.request.set_body(body.into_body());
                    pending.read = true;
                }
                let now = self.now.mono;
                if let Some(socket) = self.sockets.slot_mut(slot) {
                    socket.role = Role::Waiting;
                    socket.since = now;
                }
                self.keep(slot, bytes.get(taken..).unwrap_or_default());
                self.identify(slot);
            }
            Ok(_) => {}
        }
    }

    /// Asks the store for the next session that the request names; without one it is handed on as it is.
    pub(super) fn identify(&mut self, slot: u32) {
        let socket = self.socket_id(slot);
        let Some(pending) = self.pending_mut(slot) else { return };
        if let Some(errand) = pending.errand
            && pending.stage == Stage::Asking
            && self.run_errand(slot, errand)
        {
            return;
        }
        let Some(pending) = self.pending_mut(slot) else { return };
        match pending.ids.pop() {
            Some(id) => {
                pending.stage = Stage::Asking;
                self.ask_store(Asked::Request { socket }, Op::Load { id });
            }
            None => self.hand_on(slot, None),
        }
    }

    pub(super) fn request_answered(&mut self, socket: SocketId, answer: &Answer) {
        let Some(slot) = self.live(socket) else { return };
        match answer {
            Answer::Alive { record: Some(record), .. } => {
                let renew = self.config.session.renew;
                let errand = self.pending(slot).and_then(|pending| pending.errand);
                if if errand.is_some() { renew.poll } else { renew.request } {
                    self.renew(&record.id);
                }
                match errand {
                    Some(errand) => self.tell_about(slot, errand),
                    None => self.hand_on(slot, Some((**record).clone())),
                }
            }
            Answer::Gone | Answer::Vanished => self.identify(slot),
            Answer::Alive { record: None, .. } | Answer::Lost => self.refuse(slot, Refusal::Unavailable),
        }
    }

    fn hand_on(&mut self, slot: u32, session: Option<Record>) {
        if self.pending(slot).is_some_and(|pending| pending.errand.is_some()) {
            return self.refuse(slot, Refusal::NoSession);
        }
        let (socket, now) = (self.socket_id(slot), self.now.mono);
        let Some(it) = self.sockets.slot_mut(slot) else { return };
        it.since = now;
        let token = it.token;
        let Some(pending) = self.pending_mut(slot) else { return };
        pending.stage = Stage::Handed;
        pending.session = session.as_ref().map(|record| record.id.clone());
        let http = pending.request.clone();
        self.actions.push_back(Action::Request { socket, token, request: Box::new(Request { http, session }) });
        self.arm_socket(slot);
    }

    /// The embedder's answer to an [`Action::Request`]. Its change to the session is carried out first; where that
    /// fails since the store is away, the answer is 503 instead. Ignored if the socket is gone, nothing was asked, or
    /// ANSWER_TIME is over: whoever has to be sure that a session ends then ends it with [`Hub::end`].
    pub fn respond(&mut self, now: crate::time::Now, socket: SocketId, response: Response) {
        self.recording(|record| record.respond(now, socket, &response));
        self.begin(now);
        if let Some(slot) = self.live(socket)
            && let Some(pending) = self.pending_mut(slot)
            && pending.stage == Stage::Handed
        {
            pending.stage = Stage::Asking;
            let session = pending.session.clone();
            self.change(slot, session, response);
        }
        self.finish();
    }

    fn change(&mut self, slot: u32, session: Option<Arc<str>>, response: Response) {
        let socket = self.socket_id(slot);
        let op = match (&response.session, session) {
            (Change::Keep, _) | (Change::End, None) => return self.answer_request(slot, &response.http),
            (Change::Login { principal, attributes }, session) => {
                let (principal, attributes, id) =
                    (Some(principal.clone()), attributes.clone(), self.random.session_id());
                match session {
                    Some(from) => Op::Rename { from, to: id, principal, attributes },
                    None => Op::Create { id, principal, attributes },
                }
            }
            (Change::End, Some(id)) => {
                // The gate falls first; the store is told in the same step.
                if let Some(slot) = self.registry.find(&id) {
                    self.end_session(slot, Cause::LoggedOut, Detector::Local, 0);
                }
                Op::End { id }
            }
        };
        self.ask_store(Asked::Change { socket, response: Box::new(response) }, op);
    }

    /// The store has carried out what an answer does to the session.
    pub(super) fn changed(&mut self, socket: SocketId, mut response: Response, answer: &Answer) {
        let slot = self.live(socket);
        let from = slot.and_then(|slot| self.pending(slot)).and_then(|pending| pending.session.clone());
        let name = self.config.session.cookie.clone();
        let secure =
            slot.and_then(|slot| self.pending(slot)).is_some_and(|p| p.request.scheme() == http::Scheme::Https);
        let attributes = cookie::Attributes { secure, ..cookie::Attributes::default() };
        let ends = response.session == Change::End;
        let cookie = match answer {
            Answer::Alive { record: Some(record), .. } => {
                if let Some(from) = &from {
                    self.renamed(from, record);
                }
                cookie::set(&name, &cookie::encode_value(&record.id, self.config.session.encoding), &attributes)
            }
            Answer::Gone | Answer::Vanished if ends => cookie::delete(&name, &attributes),
            // The session ended between the request and its answer: a login then begins a new one.
            Answer::Gone | Answer::Vanished => {
                if let Some(slot) = slot {
                    if let Some(pending) = self.pending_mut(slot) {
                        pending.session = None;
                    }
                    self.change(slot, None, response);
                }
                return;
            }
            Answer::Alive { record: None, .. } | Answer::Lost => {
                if let Some(slot) = slot {
                    self.refuse(slot, Refusal::Unavailable);
                }
                return;
            }
        };
        if let Ok(cookie) = cookie {
            let _ = response.http.header("Set-Cookie", cookie);
        }
        if let Some(slot) = slot {
            self.answer_request(slot, &response.http);
        }
    }

    pub(super) fn answer_request(&mut self, slot: u32, response: &http::Response) {
        let Some(pending) = self.pending(slot) else { return };
        let mut exchange = pending.request.exchange();
        exchange.keep_alive &= !self.draining && (!pending.request.has_body() || pending.read);
        let stays = exchange.keep_alive && !response.closes();
        self.give_response(slot, response, exchange);
        self.answered_request(slot, stays);
    }

    /// Answers with an error of our own.
    pub(super) fn refuse(&mut self, slot: u32, refusal: Refusal) {
        if self.is_elsewhere(slot) {
            return self.dismiss(slot, refusal);
        }
        self.stats.refusals += 1;
        self.not_half_open(slot);
        let exchange = match self.pending(slot) {
            Some(pending) => {
                let mut exchange = pending.request.exchange();
                exchange.keep_alive &= !self.draining && (!pending.request.has_body() || pending.read);
                exchange
            }
            None => Exchange::default(),
        };
        let stays = exchange.keep_alive && !refusal.closes();
        self.give_response(slot, &http::Response::from(refusal), exchange);
        self.answered_request(slot, stays);
    }

    pub(super) fn answered_request(&mut self, slot: u32, stays: bool) {
        let now = self.now.mono;
        if let Some(cold) = self.sockets.slot_mut(slot).and_then(|socket| socket.cold.as_mut()) {
            cold.request = None;
        }
        if self.is_asked(slot) {
            return self.hang_up(slot);
        }
        if !stays {
            return self.linger(slot);
        }
        let Some(socket) = self.sockets.slot_mut(slot) else { return };
        socket.role = Role::Head;
        socket.since = now;
        if socket.marks.has(Mark::Ended) {
            return self.linger(slot);
        }
        self.arm_socket(slot);
        self.resume(slot);
    }

    pub(super) fn pending(&self, slot: u32) -> Option<&Pending> {
        self.sockets.slot(slot)?.cold.as_ref()?.request.as_deref()
    }

    pub(super) fn pending_mut(&mut self, slot: u32) -> Option<&mut Pending> {
        self.sockets.slot_mut(slot)?.cold.as_mut()?.request.as_deref_mut()
    }
}

pub(super) enum Sorted {
    Endpoint(usize),
    /// It is answered at once, whatever its body.
    Answer(http::Response),
    /// Its body is read, up to so many bytes.
    Page {
        body_bytes: usize,
    },
}

impl Pending {
    pub(super) fn new(request: http::Request) -> Self {
        Self {
            request,
            body: None,
            read: false,
            ids: Vec::new(),
            upgrade: None,
            session: None,
            stage: Stage::Asking,
            errand: None,
        }
    }
}

/// Whether `path` is `prefix` or lies below it.
pub(super) fn below(path: &str, prefix: &str) -> bool {
    path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// The sub-protocols that an endpoint speaks.
pub(super) fn protocols(endpoint: &Endpoint) -> &'static [&'static str] {
    match endpoint.protocol {
        crate::config::Protocol::Stomp => &http::upgrade::STOMP_PROTOCOLS,
        crate::config::Protocol::Raw => &[],
    }
}
