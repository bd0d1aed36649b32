//! The chat: who is there, and what they write to each other.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tethered_core::hub::{Delivery, DeliveryKind, Message, Payload, To};
use tethered_core::ids::ClientId;
use tethered_core::time::UnixMillis;

use super::Counters;
use super::outlet::Outlet;
use super::timestamp;

/// Who has a STOMP connection open, and how many.
#[derive(Debug, Default)]
pub(super) struct Present(BTreeMap<Arc<str>, u32>);

impl Present {
    /// Announces a coming. The header `connections` says how many the user has now.
    pub(super) fn came(&mut self, outlet: &mut impl Outlet, name: &Arc<str>) {
        let count = self.0.entry(name.clone()).or_default();
        *count = count.saturating_add(1);
        let count = *count;
        announce(outlet, "/topic/friends/signin", name, count);
    }

    /// Announces a going.
    pub(super) fn went(&mut self, outlet: &mut impl Outlet, name: &Arc<str>) {
        let Some(count) = self.0.get_mut(name) else { return };
        *count = count.saturating_sub(1);
        let count = *count;
        if count == 0 {
            self.0.remove(name);
        }
        announce(outlet, "/topic/friends/signout", name, count);
    }

    /// The others' names, sorted, as JSON.
    fn all_but(&self, name: Option<&str>) -> Vec<u8> {
        let others: Vec<&str> = self.0.keys().map(|other| &**other).filter(|other| Some(*other) != name).collect();
        json(&others)
    }
}

/// Handles what a client sent.
pub(super) fn deliver(
    present: &Present,
    counters: &mut Counters,
    outlet: &mut impl Outlet,
    wall: UnixMillis,
    client: ClientId,
    delivery: &Delivery,
) {
    match (&delivery.kind, &*delivery.destination) {
        (DeliveryKind::Send, "/app/im") => match instant_message(delivery, wall) {
            Some((to, from, body)) => {
                counters.messages += 1;
                pass_on(outlet, &to, from, &body);
            }
            None => counters.bad_messages += 1,
        },
        (DeliveryKind::Subscribe { id }, "/app/users") => {
            let body = present.all_but(delivery.principal.as_deref());
            outlet.answer(client, &delivery.destination, id, &message(&body, &[]));
        }
        (DeliveryKind::Send | DeliveryKind::Subscribe { .. }, _) => counters.unserved += 1,
        (DeliveryKind::Text, ECHO) => {
            if let Ok(text) = std::str::from_utf8(&delivery.body) {
                outlet.send(client, Payload::Text(text));
            }
        }
        (DeliveryKind::Binary, ECHO) => outlet.send(client, Payload::Binary(&delivery.body)),
        (DeliveryKind::Text | DeliveryKind::Binary, _) => counters.unserved += 1,
    }
}

const ECHO: &str = crate::settings::ECHO;

/// What `/app/im` takes; anything else in it is ignored, a `from` too.
#[derive(Deserialize)]
struct Incoming {
    to: String,
    message: String,
}

/// What `/user/queue/messages` gets, in this order.
#[derive(Serialize)]
struct Outgoing<'a> {
    to: &'a str,
    from: &'a str,
    message: &'a str,
    created: &'a str,
}

/// Receiver, sender and body of what is to be passed on.
fn instant_message(delivery: &Delivery, wall: UnixMillis) -> Option<(String, &str, Vec<u8>)> {
    if !delivery.content_type.as_deref().is_none_or(is_json) {
        return None;
    }
    let from = delivery.principal.as_deref()?;
    let Incoming { to, message } = serde_json::from_slice(&delivery.body).ok()?;
    if to.is_empty() {
        return None;
    }
    let body = json(&Outgoing { to: &to, from, message: &message, created: &timestamp::rfc3339(wall) });
    Some((to, from, body))
}

fn pass_on(outlet: &mut impl Outlet, to: &str, from: &str, body: &[u8]) {
    let inbox = |principal| To::User { principal, destination: "/queue/messages" };
    outlet.publish(inbox(to), &message(body, &[]));
    if to != from {
        outlet.publish(inbox(from), &message(body, &[]));
    }
}

fn announce(outlet: &mut impl Outlet, topic: &str, name: &str, connections: u32) {
    let connections = connections.to_string();
    outlet.publish(To::Destination(topic), &message(&json(&[name]), &[("connections", &connections)]));
}

fn message<'a>(body: &'a [u8], headers: &'a [(&'a str, &'a str)]) -> Message<'a> {
    Message { content_type: Some("application/json"), headers, body }
}

fn json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("INVARIANT: strings in lists and structs are JSON")
}

fn is_json(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence == "application/json" || (essence.starts_with("application/") && essence.ends_with("+json"))
}
