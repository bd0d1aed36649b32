//! The session store outside, played by the test: it is asked, and answers what the test says.

use std::sync::Arc;

use tethered_core::config::Store;
use tethered_core::http::{Encoding, cookie};
use tethered_core::hub::Event;
use tethered_core::ids::{CallId, SocketId};
use tethered_core::session::{Answer, Op, Record};

use super::{SESSION_ENDED, Server, handshake, wire};

pub fn base64(id: &str) -> String {
    cookie::encode_value(id, Encoding::Base64)
}

/// A server whose sessions live elsewhere: the test is the store.
pub fn external() -> Server {
    Server::with(|config| config.store = Store::External).serves_nobody_after()
}

/// The questions to the store since the last time.
pub fn asked(server: &mut Server) -> Vec<(Option<CallId>, Op)> {
    server.questions()
}

/// The one question to the store since the last time, which wants an answer.
pub fn question(server: &mut Server) -> (CallId, Op) {
    match &asked(server)[..] {
        [(Some(call), op)] => (*call, op.clone()),
        asked => panic!("{asked:?}"),
    }
}

pub fn reply(server: &mut Server, call: CallId, answer: Answer) {
    let now = server.now();
    server.hub.handle(now, Event::Answer { call, answer });
    server.work();
}

pub fn alive(id: &str, principal: Option<&str>, ttl_ms: Option<u64>) -> Answer {
    let record = Record { id: Arc::from(id), principal: principal.map(Arc::from), attributes: Vec::new() };
    Answer::Alive { ttl_ms, record: Some(Box::new(record)) }
}

/// An open STOMP conversation of rob under an external session, its first touch answered.
pub fn bound(server: &mut Server, id: &str, ttl_ms: Option<u64>) -> SocketId {
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

pub fn answer_touches(server: &mut Server, ttl_ms: Option<u64>) {
    for (call, op) in asked(server) {
        assert!(matches!(op, Op::Touch { .. }), "{op:?}");
        reply(server, call.expect("an answer is wanted"), Answer::Alive { ttl_ms, record: None });
    }
}

/// Everybody behind these sockets was cut off, with exactly the words of the reference.
pub fn assert_ended(server: &mut Server, sockets: &[SocketId]) {
    for socket in sockets {
        assert_eq!(server.close_frame(*socket), Some((1008, SESSION_ENDED.to_owned())));
        assert!(server.is_shut(*socket));
        server.send(*socket, &wire::text(wire::stomp("SEND", &[("destination", "/app/late")], b"late")));
        assert_eq!(server.output(*socket), b"");
    }
    assert_eq!(server.delivered(), []);
}
