//! A session gets another id, or another user, by somebody else's doing: C06 and C07.

mod harness;

use std::sync::Arc;

use harness::{SESSION_ENDED, Server, handshake, wire};
use tethered_core::config::Store;
use tethered_core::http::{Encoding, cookie};
use tethered_core::hub::{Action, Event, Notice};
use tethered_core::ids::{CallId, SocketId};
use tethered_core::session::{Answer, Cause, Op, Record};

fn base64(id: &str) -> String {
    cookie::encode_value(id, Encoding::Base64)
}

/// A server whose sessions live elsewhere: the test is the store.
fn external() -> Server {
    Server::with(|config| config.store = Store::External).serves_nobody_after()
}

/// The questions to the store since the last time.
fn asked(server: &mut Server) -> Vec<(Option<CallId>, Op)> {
    let asked = server.seen().into_iter().filter_map(|action| match action {
        Action::Session { call, op } => Some((call, op)),
        _ => None,
    });
    asked.collect()
}

/// The one question to the store since the last time, which wants an answer.
fn question(server: &mut Server) -> (CallId, Op) {
    match &asked(server)[..] {
        [(Some(call), op)] => (*call, op.clone()),
        asked => panic!("{asked:?}"),
    }
}

fn reply(server: &mut Server, call: CallId, answer: Answer) {
    let now = server.now();
    server.hub.handle(now, Event::Answer { call, answer });
    server.work();
}

fn alive(id: &str, principal: Option<&str>, ttl_ms: Option<u64>) -> Answer {
    let record = Record { id: Arc::from(id), principal: principal.map(Arc::from), attributes: Vec::new() };
    Answer::Alive { ttl_ms, record: Some(Box::new(record)) }
}

/// An open STOMP conversation of rob under an external session, its first touch answered.
fn bound(server: &mut Server, id: &str, ttl_ms: Option<u64>) -> SocketId {
    let socket = server.open();
    server.send(socket, handshake("/stomp", &format!("Cookie: SESSION={}\r\n", base64(id))).as_bytes());
    let (call, op) = question(server);
    assert_eq!(op, Op::Load { id: Arc::from(id) });
    reply(server, call, alive(id, Some("rob"), ttl_ms));
    assert_eq!(server.answer(socket).status, 101);
    server.answer_pings(socket);
    answer_touches(server, ttl_ms);
    server.say(socket, "CONNECT", &[("accept-version", "1.2")], "");
    server.say(socket, "SUBSCRIBE", &[("id", "0"), ("destination", "/topic/a")], "");
    assert_eq!(server.heard(socket)[0].command, "CONNECTED");
    server.wait(1_100);
    answer_touches(server, ttl_ms);
    socket
}

fn answer_touches(server: &mut Server, ttl_ms: Option<u64>) {
    for (call, op) in asked(server) {
        assert!(matches!(op, Op::Touch { .. }), "{op:?}");
        reply(server, call.expect("an answer is wanted"), Answer::Alive { ttl_ms, record: None });
    }
}

/// Everybody behind these sockets was cut off, with exactly the words of the reference.
fn assert_ended(server: &mut Server, sockets: &[SocketId]) {
    for socket in sockets {
        assert_eq!(server.close_frame(*socket), Some((1008, SESSION_ENDED.to_owned())));
        assert!(server.is_shut(*socket));
        server.send(*socket, &wire::text(wire::stomp("SEND", &[("destination", "/app/late")], b"late")));
        assert_eq!(server.output(*socket), b"");
    }
    assert_eq!(server.delivered(), []);
}

fn renamed(server: &mut Server, from: &str, to: &str) {
    let now = server.now();
    server.hub.handle(now, Event::Notice { session: from, notice: Notice::Renamed { to } });
    server.work();
}

/// Somebody who knows the id from before the login shakes hands just as the session is given another one: that one is not
/// his.
#[test]
fn c06_an_id_that_was_changed_is_not_followed_by_who_has_only_claimed_it() {
    let mut server = external();
    let socket = server.open();
    server.send(socket, handshake("/stomp", &format!("Cookie: SESSION={}\r\n", base64("fixed"))).as_bytes());
    let (call, _) = question(&mut server);
    renamed(&mut server, "fixed", "secret");
    assert_eq!(server.answer(socket).status, 401);
    reply(&mut server, call, alive("fixed", Some("rob"), Some(60_000)));
    assert_eq!(asked(&mut server), []);
    assert_eq!(server.output(socket), b"");
}

#[test]
fn c07_who_is_bound_follows_a_new_id() {
    let mut server = external();
    let socket = bound(&mut server, "a", Some(60_000));
    renamed(&mut server, "a", "b");
    let (call, op) = question(&mut server);
    assert_eq!(op, Op::Load { id: "b".into() });
    reply(&mut server, call, alive("b", Some("rob"), Some(60_000)));
    // Once more a moment later: who it is may have been written after the new id.
    server.wait(1_016);
    let (call, op) = question(&mut server);
    assert_eq!(op, Op::Load { id: "b".into() });
    reply(&mut server, call, alive("b", Some("rob"), Some(60_000)));
    server.wait(3_000);
    assert_eq!(asked(&mut server), []);
    server.say(socket, "SEND", &[("destination", "/app/a")], "x");
    let (call, op) = question(&mut server);
    assert_eq!(op, Op::Touch { id: "b".into(), age_ms: 0 });
    reply(&mut server, call, Answer::Gone);
    assert_ended(&mut server, &[socket]);
}

#[test]
fn c07_somebody_else_logs_in_over_a_session() {
    // He is written at once, or a moment after the new id.
    for at_once in [true, false] {
        let mut server = external();
        let socket = bound(&mut server, "a", Some(60_000));
        renamed(&mut server, "a", "b");
        let (call, _) = question(&mut server);
        reply(&mut server, call, alive("b", Some(if at_once { "luke" } else { "rob" }), Some(60_000)));
        if !at_once {
            server.wait(1_016);
            let (call, _) = question(&mut server);
            reply(&mut server, call, alive("b", Some("luke"), Some(60_000)));
        }
        assert_eq!(server.left(), [Cause::Rotated]);
        assert_ended(&mut server, &[socket]);
    }
}

/// His own handshake finds it out, and is let in nevertheless: its cookie is good.
#[test]
fn c07_the_handshake_of_somebody_else_is_let_in_and_the_others_are_closed() {
    let mut server = external();
    let socket = bound(&mut server, "a", Some(60_000));
    let second = server.open();
    server.send(second, handshake("/stomp", &format!("Cookie: SESSION={}\r\n", base64("a"))).as_bytes());
    let (call, _) = question(&mut server);
    reply(&mut server, call, alive("a", Some("luke"), Some(60_000)));
    let (call, op) = question(&mut server);
    assert_eq!(op, Op::Load { id: "a".into() });
    reply(&mut server, call, alive("a", Some("luke"), Some(60_000)));
    assert_eq!(server.answer(second).status, 101);
    assert_ended(&mut server, &[socket]);
}
