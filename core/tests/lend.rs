//! Actions that are lent, and not moved, are the same in the same order as those that are polled.

mod harness;

use harness::{ADDRESS, START_MS, config, wire};
use tethered_core::config::{Endpoint, Login};
use tethered_core::hub::{Action, Event, Hub, Join, Joined, Kind, Loan, Message, Open, Payload, To};
use tethered_core::time::{Instant, Now, UnixMillis};

/// How a host comes for its actions: what it saw of each, as text.
type Take = fn(&mut Hub, usize) -> Vec<String>;

fn polled(hub: &mut Hub, _: usize) -> Vec<String> {
    std::iter::from_fn(|| hub.poll()).map(|action| format!("{action:?}")).collect()
}

/// So many at a time, all of which are looked at again before they are taken back.
fn lent(hub: &mut Hub, most: usize) -> Vec<String> {
    let mut seen = Vec::new();
    loop {
        let (mut batch, mut numbers) = (Vec::new(), Vec::new());
        while batch.len() < most {
            match hub.lend() {
                Some(Loan::Lent(at, action)) => {
                    numbers.push((batch.len(), at));
                    batch.push(format!("{action:?}"));
                }
                Some(Loan::Write { socket, token }) => batch.push(format!("{:?}", Action::Write { socket, token })),
                Some(Loan::Given(action)) => {
                    assert!(matches!(action, Action::Message { .. }), "{action:?}");
                    batch.push(format!("{action:?}"));
                }
                None => break,
            }
        }
        // What else happens meanwhile does not change what is lent.
        hub.handle(now(), Event::Tick);
        for (nth, at) in &numbers {
            assert_eq!(hub.lent(*at).map(|action| format!("{action:?}")).as_ref(), batch.get(*nth));
        }
        assert_eq!(hub.all_lent().count(), numbers.len());
        hub.take_back();
        assert_eq!(hub.all_lent().count(), 0);
        assert!(hub.lent(0).is_none());
        if batch.is_empty() {
            return seen;
        }
        seen.append(&mut batch);
    }
}

fn now() -> Now {
    Now { mono: Instant::from_millis(START_MS), wall: UnixMillis::from_millis(1_700_000_000_000) }
}

fn hub() -> Hub {
    let mut config = config();
    config.endpoints.push(Endpoint { login: Login::None, ..Endpoint::stomp("/open") });
    Hub::new(config, [3; 16], now()).expect("a configuration")
}

fn join(hub: &mut Hub, token: u64) -> Joined {
    let headers = [("Host", &b"h"[..])];
    let join = Join { token, address: Some(ADDRESS), secure: false, target: "/open", headers: &headers, session: None };
    hub.join(now(), &join).expect("no login is asked for")
}

fn say(hub: &mut Hub, who: Joined, bytes: &[u8]) {
    hub.handle(now(), Event::Message { client: who.client, kind: Kind::Text, bytes });
}

/// WebSockets of the host's own with several messages each, receipts between what is for the application, raw bytes, and
/// sockets that end while there is something for them.
fn story(take: Take, most: usize) -> Vec<String> {
    let mut hub = hub();
    let mut seen = Vec::new();
    let all = [1, 2, 3].map(|token| join(&mut hub, token));
    for who in all {
        say(&mut hub, who, &wire::stomp("CONNECT", &[("accept-version", "1.2"), ("host", "h")], b""));
        say(&mut hub, who, &wire::stomp("SUBSCRIBE", &[("id", "0"), ("destination", "/topic/a")], b""));
    }
    seen.extend(take(&mut hub, most));
    for body in ["one", "two", "three", "four"] {
        let message = Message { body: body.as_bytes(), ..Message::default() };
        assert_eq!(hub.publish(now(), To::Destination("/topic/a"), &message), 3);
        for who in all {
            let head = [("destination", "/app/x"), ("receipt", body)];
            say(&mut hub, who, &wire::stomp("SEND", &head, body.as_bytes()));
        }
    }
    seen.extend(take(&mut hub, most));
    let socket = hub.open(now(), Open { token: 9, address: None, secure: false }).expect("there is room");
    let mut asks = UPGRADE.as_bytes().to_vec();
    hub.handle(now(), Event::Received { socket, bytes: &mut asks });
    seen.extend(take(&mut hub, most));
    let mut frames: Vec<u8> = (0..9).flat_map(|n| wire::binary(&[n; 3])).collect();
    hub.handle(now(), Event::Received { socket, bytes: &mut frames });
    hub.publish(now(), To::Destination("/topic/a"), &Message { body: b"last", ..Message::default() });
    hub.send(now(), all[0].client, Payload::Text("not STOMP's"));
    hub.handle(now(), Event::Closed { socket: all[1].socket });
    hub.handle(now(), Event::Closed { socket });
    say(&mut hub, all[2], &wire::stomp("DISCONNECT", &[("receipt", "r")], b""));
    seen.extend(take(&mut hub, most));
    assert_eq!(hub.waiting(), 0);
    seen
}

#[test]
fn what_is_lent_is_what_would_have_been_polled() {
    let expected = story(polled, 0);
    for word in ["Deliver", "Message", "RECEIPT", "Write", "Close", "Disconnect", "Left"] {
        assert!(expected.iter().any(|action| action.contains(word)), "{word} in {expected:#?}");
    }
    for most in [1, 2, 3, 7, 64, 1_000] {
        assert_eq!(story(lent, most), expected, "{most} at a time");
    }
}

#[test]
fn who_polls_takes_back_what_was_lent() {
    let mut hub = hub();
    let one = join(&mut hub, 1);
    say(&mut hub, one, &wire::stomp("CONNECT", &[("accept-version", "1.2"), ("host", "h")], b""));
    for n in ["1", "2", "3"] {
        say(&mut hub, one, &wire::stomp("SEND", &[("destination", "/app/x")], n.as_bytes()));
    }
    let first = hub.lend().map(|loan| matches!(loan, Loan::Given(_)));
    assert_eq!(first, Some(true), "CONNECTED is a message of the host's socket");
    assert!(matches!(hub.lend(), Some(Loan::Lent(0, Action::Joined { .. }))));
    assert!(matches!(hub.lend(), Some(Loan::Lent(1, Action::Deliver { delivery, .. })) if delivery.body == "1"));
    assert_eq!(hub.waiting(), 2);
    assert!(matches!(hub.poll(), Some(Action::Deliver { delivery, .. }) if delivery.body == "2"));
    assert_eq!((hub.all_lent().count(), hub.waiting()), (0, 1));
    assert!(matches!(hub.lend(), Some(Loan::Lent(0, Action::Deliver { delivery, .. })) if delivery.body == "3"));
    assert!(hub.lend().is_none() && hub.poll().is_none());
}

#[test]
fn a_receipt_does_not_wait_for_what_the_application_was_lent() {
    let mut hub = hub();
    let socket = hub.open(now(), Open { token: 9, address: None, secure: false }).expect("there is room");
    let receives = |hub: &mut Hub, mut bytes: Vec<u8>| hub.handle(now(), Event::Received { socket, bytes: &mut bytes });
    receives(&mut hub, UPGRADE.replace("/echo", "/open").into_bytes());
    receives(&mut hub, wire::text(wire::stomp("CONNECT", &[("accept-version", "1.2"), ("host", "h")], b"")));
    receives(&mut hub, wire::text(wire::stomp("SEND", &[("destination", "/app/x")], b"1")));
    let lent = std::iter::from_fn(|| hub.lend().map(|loan| format!("{loan:?}"))).last();
    assert!(lent.as_ref().is_some_and(|last| last.contains("Deliver")), "{lent:?}");
    // The last action that lies in the hub is this delivery, but the host has it: the receipt is written at once.
    receives(&mut hub, wire::text(wire::stomp("SEND", &[("destination", "/topic/a"), ("receipt", "r")], b"2")));
    let output: Vec<u8> = hub.output(socket).flatten().copied().collect();
    assert!(String::from_utf8_lossy(&output).contains("RECEIPT"), "{:?}", String::from_utf8_lossy(&output));
}

#[test]
fn once_a_receipt_was_given_on_the_way_the_next_one_does_not_wait() {
    let mut hub = hub();
    let socket = hub.open(now(), Open { token: 9, address: None, secure: false }).expect("there is room");
    let receives = |hub: &mut Hub, mut bytes: Vec<u8>| hub.handle(now(), Event::Received { socket, bytes: &mut bytes });
    receives(&mut hub, UPGRADE.replace("/echo", "/open").into_bytes());
    receives(&mut hub, wire::text(wire::stomp("CONNECT", &[("accept-version", "1.2"), ("host", "h")], b"")));
    receives(&mut hub, wire::text(wire::stomp("SEND", &[("destination", "/app/x"), ("receipt", "first")], b"1")));
    while hub.lend().is_some() {}
    receives(&mut hub, wire::text(wire::stomp("SEND", &[("destination", "/topic/a"), ("receipt", "second")], b"2")));
    let output: Vec<u8> = hub.output(socket).flatten().copied().collect();
    let output = String::from_utf8_lossy(&output);
    assert!(output.contains("receipt-id:first") && output.contains("receipt-id:second"), "{output:?}");
}

/// Opens a WebSocket for raw messages.
const UPGRADE: &str = "GET /echo HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
