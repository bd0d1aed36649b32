//! The chat: what people write to each other.

use serde::{Deserialize, Serialize};
use tethered_core::hub::{Delivery, DeliveryKind, Message, Payload, To};
use tethered_core::ids::ClientId;
use tethered_core::time::UnixMillis;

use super::Counters;
use super::outlet::Outlet;
use super::presence::Present;
use super::timestamp;

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
        (DeliveryKind::Text, path) if ECHOES.contains(&path) => {
            if let Ok(text) = std::str::from_utf8(&delivery.body) {
                outlet.send(client, Payload::Text(text));
            }
        }
        (DeliveryKind::Binary, path) if ECHOES.contains(&path) => outlet.send(client, Payload::Binary(&delivery.body)),
        (DeliveryKind::Text | DeliveryKind::Binary, _) => counters.unserved += 1,
    }
}

const ECHOES: [&str; 3] = crate::settings::ECHOES;

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

/// A message as this application sends it.
pub(super) fn message<'a>(body: &'a [u8], headers: &'a [(&'a str, &'a str)]) -> Message<'a> {
    Message { content_type: Some("application/json"), headers, body }
}

/// Anything of ours as JSON.
pub(super) fn json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("INVARIANT: strings in lists and structs are JSON")
}

fn is_json(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence == "application/json" || (essence.starts_with("application/") && essence.ends_with("+json"))
}

#[cfg(test)]
pub(super) mod tests {
    use bytes::Bytes;

    use super::*;

    /// What was said, one line each, and what was announced to other nodes.
    #[derive(Default)]
    pub(crate) struct Heard(Vec<String>, Vec<Vec<u8>>);

    impl Heard {
        fn note(&mut self, to: &str, message: &Message<'_>) {
            let headers: String = message.headers.iter().map(|(name, value)| format!(" {name}={value}")).collect();
            let body = std::str::from_utf8(message.body).unwrap();
            self.0.push(format!("{to} {}{headers} {body}", message.content_type.unwrap()));
        }

        pub(crate) fn announced(&mut self) -> Vec<Vec<u8>> {
            std::mem::take(&mut self.1)
        }

        pub(crate) fn take(&mut self) -> Vec<String> {
            std::mem::take(&mut self.0)
        }
    }

    impl Outlet for Heard {
        fn publish(&mut self, to: To<'_>, message: &Message<'_>) {
            match to {
                To::Destination(destination) => self.note(destination, message),
                To::User { principal, destination } => self.note(&format!("{principal}:{destination}"), message),
            }
        }

        fn answer(&mut self, client: ClientId, destination: &str, subscription: &str, message: &Message<'_>) {
            self.note(&format!("#{} {destination} {subscription}", client.to_raw()), message);
        }

        fn send(&mut self, client: ClientId, payload: Payload<'_>) {
            self.0.push(format!("#{} {payload:?}", client.to_raw()));
        }

        fn announce(&mut self, body: &[u8]) {
            self.1.push(body.to_vec());
        }
    }

    #[derive(Default)]
    struct World {
        present: Present,
        counters: Counters,
        heard: Heard,
    }

    impl World {
        fn deliver(
            &mut self,
            kind: DeliveryKind,
            destination: &str,
            content_type: Option<&str>,
            body: &[u8],
        ) -> Vec<String> {
            let delivery = Delivery {
                kind,
                principal: Some("rob".into()),
                destination: destination.into(),
                content_type: content_type.map(Into::into),
                body: Bytes::copy_from_slice(body),
            };
            let wall = UnixMillis::from_millis(1_795_358_647_747);
            deliver(&self.present, &mut self.counters, &mut self.heard, wall, ClientId::from_raw(7), &delivery);
            self.heard.take()
        }

        fn say(&mut self, content_type: Option<&str>, body: &str) -> Vec<String> {
            self.deliver(DeliveryKind::Send, "/app/im", content_type, body.as_bytes())
        }
    }

    #[test]
    fn a_message_goes_to_its_receiver_and_its_sender() {
        let mut world = World::default();
        let body = r#"{"to":"luke","from":"rob","message":"hello","created":"2026-11-22T14:44:07.747Z"}"#;
        let said = world.say(Some("application/json"), r#"{"to":"luke","message":"hello"}"#);
        assert_eq!(said, ["luke", "rob"].map(|name| format!("{name}:/queue/messages application/json {body}")));
        assert_eq!(world.counters.messages, 1);
    }

    #[test]
    fn a_message_to_oneself_comes_once_and_nobody_forges_a_sender() {
        let said =
            World::default().say(None, r#"{"created":"1","from":"luke","x":[1],"message":"h\u00e9 <b>","to":"rob"}"#);
        let body = r#"{"to":"rob","from":"rob","message":"hé <b>","created":"2026-11-22T14:44:07.747Z"}"#;
        assert_eq!(said, [format!("rob:/queue/messages application/json {body}")]);
    }

    #[test]
    fn what_is_no_message_is_counted_and_nothing_comes_back() {
        let mut world = World::default();
        let deep = "[".repeat(60_000);
        for body in [
            "",
            "hello",
            "{}",
            "[]",
            r#"{"to":"luke"}"#,
            r#"{"message":"x"}"#,
            r#"{"to":1,"message":"x"}"#,
            r#"{"to":"","message":"x"}"#,
            r#"{"to":"luke","message":"x"} x"#,
            &deep,
        ] {
            assert!(world.say(Some("application/json"), body).is_empty(), "{body}");
        }
        let good = r#"{"to":"luke","message":"x"}"#;
        for content_type in ["text/plain", "application/octet-stream", "text/json"] {
            assert!(world.say(Some(content_type), good).is_empty(), "{content_type}");
        }
        let latin1 = b"{\"to\":\"luke\",\"message\":\"\xff\"}";
        assert!(world.deliver(DeliveryKind::Send, "/app/im", None, latin1).is_empty());
        assert_eq!((world.counters.bad_messages, world.counters.messages), (14, 0));
        for content_type in ["application/json;charset=UTF-8", "Application/JSON", "application/vnd.x+json"] {
            assert_eq!(world.say(Some(content_type), good).len(), 2, "{content_type}");
        }
    }

    #[test]
    fn comings_and_goings_are_announced_each_and_the_list_is_distinct() {
        let mut world = World::default();
        let (rob, luke, ann) = ("rob".into(), "luke".into(), "ann".into());
        for name in [&rob, &luke, &luke, &ann] {
            world.present.came(&mut world.heard, name);
        }
        let said = world.heard.take();
        assert_eq!(said[1], r#"/topic/friends/signin application/json connections=1 ["luke"]"#);
        assert_eq!(said[2], r#"/topic/friends/signin application/json connections=2 ["luke"]"#);
        let ask =
            |world: &mut World| world.deliver(DeliveryKind::Subscribe { id: "s1".into() }, "/app/users", None, b"");
        assert_eq!(ask(&mut world), [r#"#7 /app/users s1 application/json ["ann","luke"]"#]);
        world.present.went(&mut world.heard, &luke);
        assert_eq!(world.heard.take(), [r#"/topic/friends/signout application/json connections=1 ["luke"]"#]);
        assert_eq!(ask(&mut world), [r#"#7 /app/users s1 application/json ["ann","luke"]"#]);
        world.present.went(&mut world.heard, &luke);
        assert_eq!(world.heard.take(), [r#"/topic/friends/signout application/json connections=0 ["luke"]"#]);
        assert_eq!(ask(&mut world), [r#"#7 /app/users s1 application/json ["ann"]"#]);
        world.present.went(&mut world.heard, &luke);
        assert!(world.heard.take().is_empty(), "nobody goes twice");
    }

    #[test]
    fn the_echo_gives_back_what_it_gets() {
        let mut world = World::default();
        assert_eq!(world.deliver(DeliveryKind::Text, ECHOES[0], None, "é".as_bytes()), ["#7 Text(\"é\")"]);
        assert_eq!(world.deliver(DeliveryKind::Text, ECHOES[0], None, b""), ["#7 Text(\"\")"]);
        assert_eq!(world.deliver(DeliveryKind::Binary, ECHOES[0], None, b"\xff"), ["#7 Binary([255])"]);
    }

    #[test]
    fn what_nobody_serves_is_counted() {
        let mut world = World::default();
        assert!(world.deliver(DeliveryKind::Send, "/app/users", None, b"").is_empty());
        assert!(world.deliver(DeliveryKind::Send, "/app/nothing", None, b"").is_empty());
        assert!(world.deliver(DeliveryKind::Subscribe { id: "1".into() }, "/app/im", None, b"").is_empty());
        assert!(world.deliver(DeliveryKind::Text, "/elsewhere", None, b"").is_empty());
        assert_eq!(world.counters.unserved, 4);
    }
}
