//! A hub together with what it has lent, in safe Rust.

use core::net::IpAddr;

use tethered_core::config::{Config, Endpoint};
use tethered_core::http::{Refusal, Response};
use tethered_core::hub::{self as core_hub};
use tethered_core::hub::{Action, Change, Delivery, DeliveryKind, Event, Hub, Open, Payload};
use tethered_core::ids::{ClientId, SocketId};
use tethered_core::time::Now;

use crate::status::Outcome;
use crate::status::tethered_status_code::{self, *};
use crate::types::tethered_action_kind::*;
use crate::types::tethered_endpoint_kind::TETHERED_ENDPOINT_RAW;
use crate::types::tethered_message_kind::*;
use crate::types::{tethered_action, tethered_endpoint, tethered_slice};

/// What a handle stands for.
#[derive(Debug)]
pub(crate) struct Machine {
    hub: Hub,
    /// The time of the last call that told it.
    now: Now,
    /// What the last poll handed out. INVARIANT: neither moved nor dropped before the next poll, for C holds pointers into
    /// it.
    lent: Vec<Action>,
}

/// A hub moves between threads (of which one at a time is inside).
const _: fn() = || {
    fn moves<T: Send>() {}
    moves::<Machine>();
};

impl Machine {
    pub(crate) fn new(config: Config, seed: [u8; 16], now: Now) -> Outcome<Self> {
        let hub = Hub::new(config, seed, now).map_err(|_| TETHERED_E_ARGUMENT)?;
        Ok(Self { hub, now, lent: Vec::new() })
    }

    pub(crate) fn open(&mut self, now: Now, token: u64, address: Option<IpAddr>, secure: bool) -> Outcome<u64> {
        self.now = now;
        let opened = self.hub.open(now, Open { token, address, secure });
        opened.map(SocketId::to_raw).map_err(|core_hub::Full| TETHERED_E_LIMIT)
    }

    pub(crate) fn received(&mut self, now: Now, socket: u64, bytes: &mut [u8]) -> tethered_status_code {
        self.on(now, socket, |socket| Event::Received { socket, bytes })
    }

    pub(crate) fn sent(&mut self, now: Now, socket: u64, len: usize) -> tethered_status_code {
        self.on(now, socket, |socket| Event::Sent { socket, len })
    }

    pub(crate) fn closed(&mut self, now: Now, socket: u64) -> tethered_status_code {
        self.on(now, socket, |socket| Event::Closed { socket })
    }

    pub(crate) fn tick(&mut self, now: Now) {
        self.now = now;
        self.hub.handle(now, Event::Tick);
    }

    pub(crate) fn output(&self, socket: u64) -> impl Iterator<Item = tethered_slice> {
        self.hub.output(SocketId::from_raw(socket)).map(tethered_slice::lend)
    }

    pub(crate) fn send(&mut self, now: Now, client: u64, payload: Payload<'_>) -> tethered_status_code {
        self.now = now;
        let client = ClientId::from_raw(client);
        let there = self.hub.has_client(client);
        self.hub.send(now, client, payload);
        if there { TETHERED_OK } else { TETHERED_STALE }
    }

    /// Takes back what was lent and lends the next actions, `most` of them.
    pub(crate) fn poll(&mut self, most: usize) -> impl ExactSizeIterator<Item = tethered_action> {
        self.lent.clear();
        while self.lent.len() < most {
            match self.hub.poll() {
                Some(Action::Request { socket, .. }) => self.not_found(socket),
                Some(action) if shown(&action).is_some() => self.lent.push(action),
                Some(_) => {}
                None => break,
            }
        }
        self.lent.iter().map(|action| shown(action).unwrap_or(tethered_action::NOTHING))
    }

    /// When the next tick is due, in milliseconds; after a poll that gave `full`, its whole array, at once.
    pub(crate) fn deadline_ms(&self, full: bool) -> u64 {
        if full {
            return self.now.mono.as_millis();
        }
        self.hub.next_deadline().map_or(u64::MAX, |(at, _)| at.as_millis())
    }

    fn on<'a>(&mut self, now: Now, socket: u64, event: impl FnOnce(SocketId) -> Event<'a>) -> tethered_status_code {
        self.now = now;
        let socket = SocketId::from_raw(socket);
        let there = self.hub.has_socket(socket);
        self.hub.handle(now, event(socket));
        if there { TETHERED_OK } else { TETHERED_STALE }
    }

    /// A request that no host has asked to see: one that is handed to a host that skips it would never be answered.
    fn not_found(&mut self, socket: SocketId) {
        let response = core_hub::Response { http: Response::from(Refusal::NotFound), session: Change::Keep };
        self.hub.respond(self.now, socket, response);
    }
}

/// An endpoint as the hub wants it.
pub(crate) fn endpoint(given: &tethered_endpoint, path: &str) -> Outcome<Endpoint> {
    if given.kind != TETHERED_ENDPOINT_RAW as u32 || given.flags != 0 {
        return Err(TETHERED_E_ARGUMENT);
    }
    let mut endpoint = Endpoint::raw(path);
    if given.max_message != 0 {
        endpoint.message_bytes = Some(given.max_message);
    }
    if given.max_unsent != 0 {
        endpoint.out_bytes = Some(usize::try_from(given.max_unsent).map_err(|_| TETHERED_E_ARGUMENT)?);
    }
    Ok(endpoint)
}

/// The action as C sees it, if there is anything for C to do.
fn shown(action: &Action) -> Option<tethered_action> {
    let about = |kind, socket: &SocketId, token: &u64| tethered_action {
        kind: kind as u32,
        socket: socket.to_raw(),
        token: *token,
        ..tethered_action::NOTHING
    };
    Some(match action {
        Action::Write { socket, token } => about(TETHERED_WRITE, socket, token),
        Action::Reading { socket, token, on } => {
            tethered_action { flags: u32::from(*on), ..about(TETHERED_READING, socket, token) }
        }
        Action::Shutdown { socket, token } => about(TETHERED_SHUTDOWN, socket, token),
        Action::Close { socket, token } => about(TETHERED_CLOSE, socket, token),
        Action::Deliver { client, token, delivery } => tethered_action {
            kind: TETHERED_DELIVER as u32,
            token: *token,
            flags: message_kind(delivery)? as u32,
            id: client.to_raw(),
            data: tethered_slice::lend(&delivery.body),
            name: tethered_slice::lend(delivery.destination.as_bytes()),
            ..tethered_action::NOTHING
        },
        _ => return None,
    })
}

fn message_kind(delivery: &Delivery) -> Option<crate::types::tethered_message_kind> {
    match delivery.kind {
        DeliveryKind::Text => Some(TETHERED_TEXT),
        DeliveryKind::Binary => Some(TETHERED_BINARY),
        DeliveryKind::Send | DeliveryKind::Subscribe { .. } => None,
    }
}
