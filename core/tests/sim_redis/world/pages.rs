//! Pages of the hubs themselves: logins and logouts here.

use std::sync::Arc;

use tethered_core::http::{self, Encoding, cookie};
use tethered_core::hub::{Change, Event, Open, Request, Response};
use tethered_core::ids::SocketId;

use super::{Happening, World};

/// One request and its answer.
#[derive(Debug)]
pub(super) struct Page {
    hub: usize,
    session: usize,
    /// The id that its cookie names.
    id: Option<Arc<str>>,
    /// Who logs in; nobody: a logout.
    principal: Option<&'static str>,
    socket: Option<SocketId>,
    asked: u64,
    read: Vec<u8>,
}

impl Page {
    pub(super) fn hub(&self) -> usize {
        self.hub
    }

    /// Whether it asks a hub for this session.
    pub(super) fn asks(&self, hub: usize, id: &str) -> bool {
        self.hub == hub && self.socket.is_some() && self.id.as_deref() == Some(id)
    }
}

impl World {
    /// Somebody logs in at a hub, or out.
    pub(super) fn start_page(&mut self, session: usize) {
        let hub = self.rng.range(0, self.nodes.len() as u64 - 1) as usize;
        let Self { sessions, rng, .. } = self;
        let it = &sessions[session];
        let ends = it.id.is_some() && !it.coming && rng.chance(50);
        let principal = (!ends).then_some(it.principal);
        let page = Page { hub, session, id: it.id.clone(), principal, socket: None, asked: self.now, read: Vec::new() };
        self.pages.push(page);
        self.at(self.now, Happening::OpenPage(self.pages.len() - 1));
    }

    pub(super) fn open_page(&mut self, page: usize) {
        let hub = self.pages[page].hub;
        let open = Open { token: (FIRST_PAGE + page) as u64, address: None, secure: false };
        let socket = self.with_hub(hub, |hub, now| hub.open(now, open)).expect("room for a few");
        if let Some(id) = self.pages[page].id.clone() {
            let id = self.judge.number(&id);
            self.judge.active(self.now, hub, id);
        }
        let it = &mut self.pages[page];
        it.socket = Some(socket);
        let cookie = it
            .id
            .as_ref()
            .map_or(String::new(), |id| format!("Cookie: SESSION={}\r\n", cookie::encode_value(id, Encoding::Base64)));
        let mut head = format!("GET /login HTTP/1.1\r\nHost: h\r\nConnection: close\r\n{cookie}\r\n").into_bytes();
        self.with_hub(hub, |hub, now| hub.handle(now, Event::Received { socket, bytes: &mut head }));
    }

    pub(super) fn requested(&mut self, page: usize, request: &Request) {
        if let Some(id) = self.pages[page].id.clone() {
            let (hub, id) = (self.pages[page].hub, self.judge.number(&id));
            self.judge.active(self.now, hub, id);
        }
        self.pages[page].id = request.session.as_ref().map(|record| record.id.clone());
        let at = self.now + self.rng.range(0, 20);
        self.at(at, Happening::Respond(page));
    }

    pub(super) fn respond(&mut self, page: usize) {
        let it = &self.pages[page];
        let (hub, Some(socket)) = (it.hub, it.socket) else { return };
        if let (None, Some(id)) = (it.principal, &it.id) {
            let id = self.judge.number(&id.clone());
            self.judge.fates[id].logged_out_here = true;
        }
        let session = match it.principal {
            Some(principal) => Change::Login { principal: principal.into(), attributes: vec![] },
            None => Change::End,
        };
        let response = Response { http: http::Response::redirect("/").expect("a valid location"), session };
        self.with_hub(hub, |hub, now| hub.respond(now, socket, response));
    }

    /// There is something to be read on the socket of a page.
    pub(super) fn read_page(&mut self, page: usize, socket: SocketId) {
        let hub = self.pages[page].hub;
        let bytes: Vec<u8> = self.nodes[hub].hub.output(socket).flatten().copied().collect();
        self.with_hub(hub, |hub, now| hub.handle(now, Event::Sent { socket, len: bytes.len() }));
        let it = &mut self.pages[page];
        if it.socket.is_none() {
            return;
        }
        it.read.extend(bytes);
        let Some(head) = std::str::from_utf8(&it.read).ok().filter(|read| read.contains("\r\n\r\n")) else { return };
        let status: u16 = head[9..12].parse().expect("a status");
        let cookie = head.split("SESSION=").nth(1).and_then(|rest| rest.split(';').next());
        let id = cookie.filter(|cookie| !cookie.is_empty()).map(decode_base64);
        let (session, principal, asked) = (it.session, it.principal, it.asked);
        it.socket = None;
        self.sessions[session].coming = false;
        let waited = self.now - asked;
        assert!(
            waited <= 2 * self.judge.bound.announced_ms + 1_000 || self.judge.was_asleep(hub, asked),
            "a page was answered {status} after {waited} ms at {}",
            self.now
        );
        match (status, id, principal) {
            (302, Some(id), Some(principal)) => {
                let number = self.judge.number(&id);
                self.judge.fates[number].owned(self.now, principal);
                self.sessions[session].id = Some(id.into());
            }
            (302, None, None) => {}
            (503, None, _) => {
                assert!(
                    self.judge.was_troubled(hub, asked),
                    "a page is answered 503 at {}, though all is well",
                    self.now
                );
            }
            other => panic!("a page is answered {other:?}"),
        }
        self.with_hub(hub, |hub, now| hub.handle(now, Event::Closed { socket }));
    }

    pub(super) fn close_pages(&mut self) {
        for page in 0..self.pages.len() {
            if let Some(socket) = self.pages[page].socket.take() {
                let hub = self.pages[page].hub;
                // Half closed it may still be answered.
                for _ in 0..2 {
                    self.with_hub(hub, |hub, now| hub.handle(now, Event::Closed { socket }));
                }
            }
        }
    }
}

fn decode_base64(text: &str) -> String {
    use base64::Engine;
    let bytes = base64::engine::general_purpose::STANDARD.decode(text).expect("base64");
    String::from_utf8(bytes).expect("an id")
}

/// Tokens from here on are those of pages.
pub(super) const FIRST_PAGE: usize = 1_000;
