//! Actions as C sees them.

use core::net::IpAddr;

use tethered_core::http::{self, Scheme};
use tethered_core::hub::{Action, Delivery, DeliveryKind, Follows, Hub, Kind};
use tethered_core::ids::{CallId, ClientId, SocketId};
use tethered_core::redis::Connection;
use tethered_core::session::{Cause, Op};

use crate::boundary::{Arguments, Headers, Row};
use crate::kinds::tethered_action_kind::{self, *};
use crate::kinds::tethered_cause::{self, *};
use crate::kinds::tethered_connection::*;
use crate::kinds::tethered_follows::*;
use crate::kinds::tethered_message_kind::*;
use crate::kinds::tethered_peer_flags::TETHERED_PEER_SECURE;
use crate::types::{tethered_action, tethered_request, tethered_slice};

/// What was made for the actions that C has, which themselves lie in the hub.
#[derive(Debug, Default)]
pub(super) struct Lent {
    /// Those that are nowhere else.
    given: Vec<Action>,
    /// By the action's number, in order. There is none for most.
    made: Vec<(usize, Made)>,
}

#[derive(Debug, Default)]
struct Made {
    arguments: Arguments,
    /// For each time that its details were asked for, and its attributes.
    headers: Vec<Headers>,
}

impl Made {
    #[cold]
    fn of(action: &Action) -> Option<Self> {
        let arguments = match action {
            Action::Redis { command, .. } => Arguments::of(command),
            Action::Session { op, .. } => Arguments::own(question(op)),
            _ => return None,
        };
        Some(Self { arguments, headers: Vec::new() })
    }
}

impl Lent {
    /// Drops all of it.
    #[inline]
    pub(super) fn clear(&mut self) {
        // Mostly there is nothing, which is seen without a call.
        if !self.given.is_empty() {
            self.given.clear();
        }
        if !self.made.is_empty() {
            self.made.clear();
        }
    }

    fn made(&self, at: usize) -> Option<&Made> {
        let found = self.made.binary_search_by_key(&at, |(at, _)| *at).ok()?;
        self.made.get(found).map(|(_, made)| made)
    }

    /// Bytes that are lent.
    pub(super) fn bytes(&self, hub: &Hub) -> usize {
        let actions = hub.all_lent().chain(&self.given).map(|action| size_of::<Action>() + data_bytes(action));
        let made = self.made.iter().map(|(_, made)| size_of::<(usize, Made)>() + made.arguments.bytes());
        actions.sum::<usize>() + made.sum::<usize>()
    }

    /// Shows an action that the hub lends in its row. What there is very much of is made where it goes: to be moved there
    /// costs as much again.
    #[inline]
    pub(super) fn show(&mut self, at: usize, action: &Action, row: Row<'_>) {
        match action {
            Action::Deliver { client, token, delivery } if !matches!(delivery.kind, DeliveryKind::Subscribe { .. }) => {
                row.write(tethered_action {
                    flags: delivery_kind(delivery) as u32,
                    data: tethered_slice::lend(&delivery.body),
                    name: lend(&delivery.destination),
                    details: at as u64 + 1,
                    ..of_client(TETHERED_DELIVER, *client, *token)
                });
            }
            _ => self.show_other(at, action, row),
        }
    }

    #[inline(never)]
    fn show_other(&mut self, at: usize, action: &Action, row: Row<'_>) {
        if let Some(made) = Made::of(action) {
            self.made.push((at, made));
        }
        row.write(self.shown(at, action));
    }

    /// Shows an action that the hub has given away, and keeps it. It has no details.
    pub(super) fn keep(&mut self, action: Action, row: Row<'_>) {
        row.write(tethered_action { details: 0, ..self.shown(usize::MAX, &action) });
        self.given.push(action);
    }

    /// The one of this number.
    fn shown(&self, at: usize, action: &Action) -> tethered_action {
        let details = (at as u64).wrapping_add(1);
        let text =
            |text: &Option<_>| text.as_ref().map_or(tethered_slice::EMPTY, |text: &std::sync::Arc<str>| lend(text));
        let called = |kind: tethered_action_kind, call: Option<CallId>, flags: u32| {
            let id = call.map_or(0, CallId::to_raw);
            let called = tethered_action { kind: kind as u32, flags, id, ..tethered_action::NOTHING };
            self.made(at).map_or(called, |made| tethered_action {
                argc: made.arguments.count(),
                argv: made.arguments.pointers(),
                argvlen: made.arguments.lengths(),
                ..called
            })
        };
        match action {
            Action::Write { socket, token } => write(*socket, *token),
            Action::Reading { socket, token, on } => {
                tethered_action { flags: u32::from(*on), ..about(TETHERED_READING, *socket, *token) }
            }
            Action::Shutdown { socket, token } => about(TETHERED_SHUTDOWN, *socket, *token),
            Action::Close { socket, token } => about(TETHERED_CLOSE, *socket, *token),
            Action::Disconnect { socket, token, code, reason } => tethered_action {
                flags: u32::from(*code),
                data: lend(reason),
                ..about(TETHERED_CLOSE, *socket, *token)
            },
            Action::Deliver { client, token, delivery } => tethered_action {
                flags: delivery_kind(delivery) as u32,
                data: match &delivery.kind {
                    DeliveryKind::Subscribe { id } => lend(id),
                    _ => tethered_slice::lend(&delivery.body),
                },
                name: lend(&delivery.destination),
                details,
                ..of_client(TETHERED_DELIVER, *client, *token)
            },
            Action::Message { socket, token, kind, payload } => tethered_action {
                flags: match kind {
                    Kind::Text => TETHERED_TEXT,
                    Kind::Binary => TETHERED_BINARY,
                } as u32,
                data: tethered_slice::lend(payload),
                ..about(TETHERED_MESSAGE, *socket, *token)
            },
            Action::Response { socket, token, response, follows } => tethered_action {
                flags: match follows {
                    Follows::Nothing => TETHERED_FOLLOWS_NOTHING,
                    Follows::Body => TETHERED_FOLLOWS_BODY,
                    Follows::Frames => TETHERED_FOLLOWS_FRAMES,
                } as u32,
                id: response.status().into(),
                data: tethered_slice::lend(response.body()),
                details,
                ..about(TETHERED_RESPONSE, *socket, *token)
            },
            Action::Request { socket, token, request } => tethered_action {
                data: tethered_slice::lend(request.http.body()),
                name: lend(request.http.target()),
                details,
                ..about(TETHERED_REQUEST, *socket, *token)
            },
            Action::Decide { socket, client, token, handshake } => tethered_action {
                socket: socket.to_raw(),
                data: lend(handshake.http.target()),
                name: text(&handshake.session),
                details,
                ..of_client(TETHERED_DECIDE, *client, *token)
            },
            Action::Joined { client, token, principal, path } => {
                let joined = of_client(TETHERED_JOINED, *client, *token);
                tethered_action { data: lend(path), name: text(principal), ..joined }
            }
            Action::Left { client, token, cause, principal } => tethered_action {
                flags: cause_of(*cause) as u32,
                data: lend(cause.as_str()),
                name: text(principal),
                ..of_client(TETHERED_LEFT, *client, *token)
            },
            Action::Redis { call, connection, .. } => {
                let connection = match connection {
                    Connection::Commands => TETHERED_COMMANDS,
                    Connection::Notices => TETHERED_NOTICES,
                    Connection::Transactions => TETHERED_TRANSACTIONS,
                };
                called(TETHERED_REDIS, *call, connection as u32)
            }
            Action::Session { call, .. } => called(TETHERED_SESSION, *call, 0),
            Action::Relay { publication } => tethered_action {
                kind: TETHERED_RELAY as u32,
                data: tethered_slice::lend(publication.as_bytes()),
                ..tethered_action::NOTHING
            },
            Action::Announced { hub, body } => tethered_action {
                kind: TETHERED_ANNOUNCED as u32,
                data: tethered_slice::lend(body),
                name: lend(hub),
                ..tethered_action::NOTHING
            },
            // What is noted in the log does not get here, and of what is not known yet there is nothing to show.
            _ => tethered_action::NOTHING,
        }
    }

    /// All that is known of the one of this number, if there is one. What is lent for that lives as long as the action.
    pub(super) fn details(&mut self, hub: &Hub, at: usize) -> Option<tethered_request> {
        let action = hub.lent(at)?;
        let mut attributes = None;
        let (mut shown, headers) = match action {
            Action::Request { token, request, .. } => {
                let session = request.session.as_ref();
                let all = session.into_iter().flat_map(|session| &session.attributes);
                attributes = Some(Headers::new(all.map(|(name, value)| (name.as_bytes(), &value[..])), b""));
                let shown = tethered_request {
                    token: *token,
                    session: session.map_or(tethered_slice::EMPTY, |session| lend(&session.id)),
                    principal: session
                        .and_then(|session| session.principal.as_deref())
                        .map_or(tethered_slice::EMPTY, lend),
                    ..asked(&request.http)
                };
                (shown, of_request(&request.http))
            }
            Action::Decide { token, handshake, .. } => {
                let shown = tethered_request {
                    token: *token,
                    session: handshake.session.as_deref().map_or(tethered_slice::EMPTY, lend),
                    principal: handshake.principal.as_deref().map_or(tethered_slice::EMPTY, lend),
                    ..asked(&handshake.http)
                };
                (shown, of_request(&handshake.http))
            }
            Action::Response { token, response, .. } => {
                let shown = tethered_request {
                    token: *token,
                    status: response.status().into(),
                    body: tethered_slice::lend(response.body()),
                    ..tethered_request::NOTHING
                };
                let headers = response.headers().map(|(name, value)| (name.as_bytes(), value));
                (shown, Headers::new(headers, b""))
            }
            Action::Deliver { client, token, delivery } => {
                let session = hub.session_of(*client).map(|(id, _)| id);
                let content_type = delivery.content_type.as_deref();
                let headers = content_type.map(|value| (&b"content-type"[..], value.as_bytes()));
                let headers = Headers::new(headers.into_iter(), session.as_deref().unwrap_or_default().as_bytes());
                let shown = tethered_request {
                    token: *token,
                    target: lend(&delivery.destination),
                    body: tethered_slice::lend(&delivery.body),
                    session: headers.own(),
                    principal: delivery.principal.as_deref().map_or(tethered_slice::EMPTY, lend),
                    ..tethered_request::NOTHING
                };
                (shown, headers)
            }
            _ => return Some(tethered_request::NOTHING),
        };
        shown.headers = headers.pointer();
        shown.n_headers = headers.count();
        if let Some(attributes) = &attributes {
            shown.attributes = attributes.pointer();
            shown.n_attributes = attributes.count();
        }
        if matches!(action, Action::Request { .. } | Action::Decide { .. }) {
            shown.address = headers.own();
        }
        let made = match self.made.binary_search_by_key(&at, |(at, _)| *at) {
            Ok(found) => found,
            Err(missing) => {
                self.made.insert(missing, (at, Made::default()));
                missing
            }
        };
        if let Some((_, made)) = self.made.get_mut(made) {
            made.headers.push(headers);
            made.headers.extend(attributes);
        }
        Some(shown)
    }
}

/// Bytes that an action holds besides itself.
fn data_bytes(action: &Action) -> usize {
    match action {
        Action::Deliver { delivery, .. } => delivery.body.len(),
        Action::Message { payload, .. } => payload.len(),
        Action::Request { request, .. } => request.http.body().len(),
        Action::Response { response, .. } => response.body().len(),
        Action::Announced { body, .. } => body.len(),
        _ => 0,
    }
}

fn asked(http: &http::Request) -> tethered_request {
    tethered_request {
        flags: if http.scheme() == Scheme::Https { TETHERED_PEER_SECURE as u32 } else { 0 },
        method: lend(http.method()),
        target: lend(http.target()),
        body: tethered_slice::lend(http.body()),
        ..tethered_request::NOTHING
    }
}

fn of_request(http: &http::Request) -> Headers {
    let headers = http.all_headers().map(|(name, value)| (name.as_bytes(), value));
    match http.client() {
        Some(IpAddr::V4(address)) => Headers::new(headers, &address.octets()),
        Some(IpAddr::V6(address)) => Headers::new(headers, &address.octets()),
        None => Headers::new(headers, b""),
    }
}

/// [`Action::Write`], of which nothing is to be kept.
#[inline]
pub(super) fn write(socket: SocketId, token: u64) -> tethered_action {
    about(TETHERED_WRITE, socket, token)
}

fn about(kind: tethered_action_kind, socket: SocketId, token: u64) -> tethered_action {
    tethered_action { kind: kind as u32, socket: socket.to_raw(), token, ..tethered_action::NOTHING }
}

fn of_client(kind: tethered_action_kind, client: ClientId, token: u64) -> tethered_action {
    tethered_action { kind: kind as u32, id: client.to_raw(), token, ..tethered_action::NOTHING }
}

fn lend(text: &str) -> tethered_slice {
    tethered_slice::lend(text.as_bytes())
}

fn delivery_kind(delivery: &Delivery) -> crate::kinds::tethered_message_kind {
    match delivery.kind {
        DeliveryKind::Text => TETHERED_TEXT,
        DeliveryKind::Binary => TETHERED_BINARY,
        DeliveryKind::Send => TETHERED_SEND,
        DeliveryKind::Subscribe { .. } => TETHERED_SUBSCRIBE,
    }
}

fn cause_of(cause: Cause) -> tethered_cause {
    match cause {
        Cause::Expired => TETHERED_CAUSE_EXPIRED,
        Cause::Deleted => TETHERED_CAUSE_DELETED,
        Cause::LoggedOut => TETHERED_CAUSE_LOGGED_OUT,
        Cause::Rotated => TETHERED_CAUSE_ROTATED,
        Cause::StoreLost => TETHERED_CAUSE_STORE_LOST,
        Cause::Slow => TETHERED_CAUSE_SLOW,
        Cause::Idle => TETHERED_CAUSE_IDLE,
        Cause::Violation => TETHERED_CAUSE_VIOLATION,
        Cause::Drain => TETHERED_CAUSE_DRAIN,
        Cause::Peer => TETHERED_CAUSE_PEER,
        _ => TETHERED_CAUSE_REVOKED,
    }
}

/// A question to a store outside: a verb and what it is about.
fn question(op: &Op) -> Vec<Box<[u8]>> {
    let named = |verb: &str, words: &[&str]| -> Vec<Box<[u8]>> {
        std::iter::once(&verb).chain(words).map(|word| Box::from(word.as_bytes())).collect()
    };
    let with = |mut words: Vec<Box<[u8]>>, attributes: &[(Box<str>, _)]| {
        for (name, value) in attributes {
            let value: &[u8] = AsRef::<[u8]>::as_ref(value);
            words.extend([Box::from(name.as_bytes()), Box::from(value)]);
        }
        words
    };
    match op {
        Op::Load { id } => named("LOAD", &[id]),
        Op::Check { id } => named("CHECK", &[id]),
        Op::Touch { id, age_ms } => named("TOUCH", &[id, &age_ms.to_string()]),
        Op::Create { id, principal, attributes } => {
            with(named("CREATE", &[id, principal.as_deref().unwrap_or_default()]), attributes)
        }
        Op::Rename { from, to, principal, attributes } => {
            with(named("RENAME", &[from, to, principal.as_deref().unwrap_or_default()]), attributes)
        }
        Op::End { id } => named("END", &[id]),
        // Not known yet, so nothing answers it and it counts as lost.
        _ => named("NOTHING", &[]),
    }
}
