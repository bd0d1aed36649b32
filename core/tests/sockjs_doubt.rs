//! SockJS while the store is asked: what comes waits in its order, and crosses or does not by what the store says.

mod harness;

use std::sync::Arc;

use harness::Server;
use harness::sockjs::{ENDED, MINE, answered, array, config, cookie};
use harness::store::{alive, answer_touches, asked, base64, question, reply};
use harness::wire;
use tethered_core::config::{Config, Store};
use tethered_core::hub::{Event, Message, Notice, To};
use tethered_core::ids::SocketId;
use tethered_core::session::{Answer, Cause, Op};

const TTL_MS: Option<u64> = Some(1_800_000);

fn login() -> String {
    format!("SESSION={}", base64("abc"))
}

fn server() -> Server {
    Server::new(Config { store: Store::External, ..config() }).serves_nobody_after()
}

/// A session over requests that is bound and connected, and has subscribed.
fn bound(server: &mut Server) {
    let first = begin(server, "xhr", "");
    let (call, op) = question(server);
    assert_eq!((op, server.output(first)), (Op::Load { id: Arc::from("abc") }, vec![]));
    reply(server, call, alive("abc", Some("rob"), TTL_MS));
    assert_eq!(answered(server, first), "o");
    answer_touches(server, TTL_MS);
    let connect = array(&wire::stomp("CONNECT", &[("accept-version", "1.2")], b""));
    server.post(MINE, &login(), &connect);
    server.post(MINE, &login(), &array(&wire::stomp("SUBSCRIBE", &[("id", "0"), ("destination", "/topic/x")], b"")));
    assert!(server.poll(MINE, &login()).contains("CONNECTED"));
    server.wait(1_100);
    answer_touches(server, TTL_MS);
    server.seen();
}

fn begin(server: &mut Server, transport: &str, body: &str) -> SocketId {
    server.begin("POST", &format!("{MINE}/{transport}"), &cookie(&login()), body)
}

fn send(server: &mut Server, body: &str) -> SocketId {
    begin(server, "xhr_send", &array(&wire::stomp("SEND", &[("destination", "/app/x")], body.as_bytes())))
}

fn publish(server: &mut Server, body: &str) {
    let message = Message { body: body.as_bytes(), ..Message::default() };
    server.hub.publish(server.now(), To::Destination("/topic/x"), &message);
    server.work();
}

fn doubt(server: &mut Server) {
    let now = server.now();
    server.hub.handle(now, Event::Notice { session: "abc", notice: Notice::Expired });
    server.work();
}

#[test]
fn in_doubt_nothing_crosses_and_then_all_of_it_in_order() {
    for transport in ["xhr", "xhr_streaming"] {
        let mut server = server();
        bound(&mut server);
        let receiver = begin(&mut server, transport, "");
        server.output(receiver);
        doubt(&mut server);
        let (call, _) = question(&mut server);
        let senders = ["one", "two", "three"].map(|body| send(&mut server, body));
        publish(&mut server, "news");
        server.wait(900);
        assert_eq!(server.output(receiver), b"");
        assert!(senders.iter().all(|sender| server.output(*sender).is_empty()));
        assert_eq!(server.delivered(), []);
        // One of them does not wait for it.
        server.hang_up(senders[1]);
        server.hang_up(senders[1]);
        reply(&mut server, call, Answer::Alive { ttl_ms: TTL_MS, record: None });
        let delivered: Vec<_> = server.delivered().into_iter().map(|(_, body)| body).collect();
        assert_eq!(delivered, [b"one".to_vec(), b"three".to_vec()]);
        for sender in [senders[0], senders[2]] {
            assert_eq!(server.answer(sender).status, 204);
        }
        let (frames, whole) = server.streamed(receiver);
        assert!(frames.concat().contains("news") && whole == (transport == "xhr"), "{frames:?}");
        server.hang_up(receiver);
        server.wait(5_016);
    }
}

#[test]
fn what_ends_in_doubt_hears_and_is_heard_no_more() {
    for transport in ["xhr", "xhr_streaming"] {
        let mut server = server();
        bound(&mut server);
        let receiver = begin(&mut server, transport, "");
        server.output(receiver);
        doubt(&mut server);
        let (call, _) = question(&mut server);
        let sender = send(&mut server, "late");
        publish(&mut server, "news");
        reply(&mut server, call, Answer::Gone);
        for (call, op) in asked(&mut server) {
            assert!(matches!(op, Op::Check { .. } | Op::Load { .. }), "{op:?}");
            reply(&mut server, call.expect("an answer is wanted"), Answer::Gone);
        }
        assert_eq!(server.streamed(receiver), (vec![ENDED.to_owned()], true));
        assert_eq!(server.answer(sender).status, 404);
        assert_eq!(server.poll(MINE, ""), ENDED);
        let seen = server.seen();
        assert!(!seen.iter().any(|action| matches!(action, tethered_core::hub::Action::Deliver { .. })), "{seen:?}");
    }
}

/// In doubt nobody can read, so nobody is slow: the time to take the rest of a frame, and the close frame, begins with the
/// end.
#[test]
fn what_was_half_read_when_the_doubt_began_is_read_after_the_end() {
    for transport in ["xhr", "xhr_streaming"] {
        let mut server = server();
        bound(&mut server);
        let receiver = begin(&mut server, transport, "");
        let mut bytes = server.output(receiver);
        server.stall(receiver, if transport == "xhr" { 150 } else { 10 });
        publish(&mut server, "news");
        doubt(&mut server);
        let mut call = question(&mut server).0;
        // For longer than a write may take to move.
        for _ in 0..13 {
            server.wait(1_000);
            for (asked, _) in asked(&mut server) {
                call = asked.expect("an answer is wanted");
            }
        }
        reply(&mut server, call, Answer::Gone);
        server.wait(0);
        for (call, _) in asked(&mut server) {
            reply(&mut server, call.expect("an answer is wanted"), Answer::Gone);
        }
        server.wait(9_000);
        server.unstall(receiver);
        bytes.extend(server.output(receiver));
        let text = String::from_utf8(bytes).expect("text");
        assert!(text.contains("news"), "{transport}: {text}");
        assert!(transport == "xhr" || text.contains(ENDED), "{transport}: {text}");
        assert_eq!(server.poll(MINE, ""), ENDED);
        server.wait(5_016);
    }
}

#[test]
fn whoever_comes_first_opens_it_once() {
    let mut server = server();
    let first = begin(&mut server, "xhr", "");
    let second = begin(&mut server, "xhr", "");
    let (call, _) = question(&mut server);
    reply(&mut server, call, alive("abc", Some("rob"), TTL_MS));
    // Who joins while a question is under way has it asked again.
    let (call, _) = question(&mut server);
    reply(&mut server, call, alive("abc", Some("rob"), TTL_MS));
    let (mut one, mut two) = (server.streamed(first).0, server.streamed(second).0);
    one.append(&mut two);
    assert_eq!(one, ["o"], "one is opened with, the other waits");
    assert_eq!((server.hub.stats().channels, server.hub.stats().clients), (1, 1));
}

#[test]
fn who_goes_while_the_store_is_asked_leaves_nothing() {
    let mut server = server();
    let first = begin(&mut server, "xhr", "");
    let (call, _) = question(&mut server);
    server.hang_up(first);
    server.hang_up(first);
    reply(&mut server, call, alive("abc", Some("rob"), TTL_MS));
    let stats = server.hub.stats();
    assert_eq!((stats.channels, stats.clients, stats.sessions), (0, 0, 0));
}

#[test]
fn without_the_store_nobody_gets_in_and_without_a_principal_neither() {
    let mut server = server();
    for (answer, status) in [(Answer::Lost, 503), (Answer::Gone, 401), (alive("abc", None, TTL_MS), 401)] {
        let first = begin(&mut server, "xhr", "");
        let (call, _) = question(&mut server);
        reply(&mut server, call, answer.clone());
        for (call, _) in asked(&mut server) {
            if let Some(call) = call {
                reply(&mut server, call, Answer::Gone);
            }
        }
        assert_eq!(server.answer(first).status, status, "{answer:?}");
        server.wait(10);
    }
}

#[test]
fn given_up_it_is_told_so() {
    let mut server = server();
    bound(&mut server);
    let mut receiver = begin(&mut server, "xhr", "");
    let mut told = String::new();
    for _ in 0..400 {
        server.wait(5_000);
        for (call, _) in asked(&mut server) {
            if let Some(call) = call {
                reply(&mut server, call, Answer::Lost);
            }
        }
        let (frames, whole) = server.streamed(receiver);
        if whole && !frames.is_empty() {
            told = frames.concat();
            if told.starts_with('c') {
                break;
            }
            receiver = begin(&mut server, "xhr", "");
        }
    }
    assert_eq!(told, "c[1013,\"The session store cannot be reached\"]");
    assert_eq!(server.left(), [Cause::StoreLost]);
}
