//! While a session is in doubt nothing is read and nothing is written, so nobody can be late.

mod harness;

use harness::store::{self, external, question, reply};
use harness::{Server, handshake, wire};
use tethered_core::config::Store;
use tethered_core::hub::{Action, Event, Notice};
use tethered_core::ids::{CallId, SocketId};
use tethered_core::session::{Answer, Cause, Op, Record};

/// The session ends after 30 s unless it is renewed, and the store then stays away.
const TTL_MS: u64 = 30_000;

#[test]
fn r11_a_peer_that_cannot_be_heard_is_not_idle() {
    let (mut server, rob) = bound("heart-beat:10000,10000\n");
    // It says what it has to say; who would not be read would be taken for gone after 20 or 45 s.
    for _ in 0..32 {
        server.wait(9_000);
        server.send(rob, &wire::text("\n"));
        lose(&mut server);
    }
    assert!(!server.is_closed(rob));
    server.wait(20_000);
    assert_eq!(server.left(), [Cause::StoreLost]);
    assert_eq!(server.close_code(rob), Some(1013));
}

/// Who shakes hands while the store is away is told so, not that there is no such session.
#[test]
fn r11_a_handshake_that_waits_when_the_store_is_given_up_may_come_again() {
    let (mut server, rob) = bound("heart-beat:0,0\n");
    server.answer_pings(rob);
    server.wait(29_000);
    lose(&mut server);
    server.wait(270_500);
    lose(&mut server);
    assert!(!server.is_closed(rob));
    let second = server.open();
    server.send(second, handshake("/stomp", "Cookie: SESSION=YWJj\r\n").as_bytes());
    server.wait(10_000);
    assert_eq!(server.left(), [Cause::StoreLost]);
    let answer = server.answer(second);
    assert_eq!((answer.status, answer.header("retry-after").is_some()), (503, true));
}

#[test]
fn r10_it_is_heard_again_and_has_its_time_from_then_on() {
    let (mut server, rob) = bound("");
    server.answer_pings(rob);
    server.wait(TTL_MS);
    server.leave_pings(rob);
    for _ in 0..10 {
        lose(&mut server);
        server.wait(10_000);
    }
    let call = asked(&mut server).pop().expect("it is asked again and again");
    answer(&mut server, call, Answer::Alive { ttl_ms: Some(3_600_000), record: None });
    assert!(!server.is_closed(rob));
    server.wait(24_000);
    assert!(server.frames(rob).iter().all(|frame| frame.first != 0x89), "no ping is due");
    server.wait(22_000);
    assert!(server.is_closed(rob), "a peer that is silent now is gone");
    assert_eq!(server.left(), [Cause::Idle]);
}

/// A server whose store is outside, and a STOMP client that is bound to a session there.
fn bound(lines: &str) -> (Server, SocketId) {
    let mut server = Server::with(|config| {
        config.store = Store::External;
        config.heart_beat_ms = (10_000, 10_000);
    })
    .serves_nobody_after();
    let rob = server.open();
    server.send(rob, handshake("/stomp", "Cookie: SESSION=YWJj\r\n").as_bytes());
    let record = Record { id: "abc".into(), principal: Some("rob".into()), attributes: Vec::new() };
    let call = asked(&mut server).pop().expect("who it is");
    answer(&mut server, call, Answer::Alive { ttl_ms: Some(TTL_MS), record: Some(Box::new(record)) });
    let connect = format!("CONNECT\naccept-version:1.2\n{lines}\n\0");
    server.send(rob, &wire::text(connect));
    for call in asked(&mut server) {
        answer(&mut server, call, Answer::Alive { ttl_ms: Some(TTL_MS), record: None });
    }
    server.output(rob);
    (server, rob)
}

/// The questions that the store was asked; nobody has left meanwhile.
fn asked(server: &mut Server) -> Vec<CallId> {
    let call = |action| match action {
        Action::Session { call, .. } => call,
        Action::Left { cause, .. } => panic!("left: {cause:?}"),
        _ => None,
    };
    server.seen().into_iter().filter_map(call).collect()
}

fn answer(server: &mut Server, call: CallId, answer: Answer) {
    server.hub.handle(server.now(), Event::Answer { call, answer });
    server.work();
}

/// The store cannot be asked.
fn lose(server: &mut Server) {
    for call in asked(server) {
        answer(server, call, Answer::Lost);
    }
}

/// What came while it was held counts from when it is heard: it is told before the time is over.
#[test]
fn what_was_said_while_the_session_was_held_renews_it() {
    let mut server = external();
    let rob = store::bound(&mut server, "abc", Some(TTL_MS));
    server.wait(3_000);
    let now = server.now();
    server.hub.handle(now, Event::Notice { session: "abc", notice: Notice::Deleted });
    server.work();
    let (call, op) = question(&mut server);
    assert!(matches!(op, Op::Check { .. }), "{op:?}");
    server.say(rob, "SEND", &[("destination", "/app/x")], "while it is held");
    assert_eq!(server.delivered(), []);
    reply(&mut server, call, Answer::Alive { ttl_ms: Some(TTL_MS), record: None });
    let (_, op) = question(&mut server);
    assert!(matches!(op, Op::Touch { age_ms: 0, .. }), "{op:?}");
    assert_eq!(server.delivered().len(), 1);
}
