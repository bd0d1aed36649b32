//! A CONNECT that has to carry the session's CSRF token.

mod harness;

use std::sync::Arc;

use harness::{Server, handshake, wire};
use tethered_core::config::{ConnectToken, Endpoint, Login, Store};
use tethered_core::http::Response;
use tethered_core::hub::{Action, Change, Event, Notice};
use tethered_core::ids::{CallId, SocketId};
use tethered_core::session::{Answer, Cause, Op, Record, csrf};

const TOKEN: &str = "6fa3cf18-3f31-4a0c-9f3e-0a8b4e5d2c17";
const OTHER: &str = "0d6a2ab5-5f1b-4a48-9b10-7a4a1a0b6f5c";
const HEADER: &str = "X-CSRF-TOKEN";

fn server() -> Server {
    Server::with(|config| {
        config.session.connect_token =
            Some(ConnectToken { header: HEADER.to_owned(), attributes: vec!["csrf".to_owned()] });
        config.endpoints.push(Endpoint { login: Login::None, ..Endpoint::stomp("/open") });
    })
    .serves_nobody_after()
}

fn masked(token: &str) -> String {
    csrf::mask(token.as_bytes(), &[0x5a; 36])
}

/// Logs in with a session that has this token; with what the `Cookie` header says then.
fn log_in(server: &mut Server, token: Option<&str>, cookie: &str) -> String {
    let socket = server.open();
    let head = format!("GET /login HTTP/1.1\r\nHost: localhost\r\nCookie: {cookie}\r\n\r\n");
    server.send(socket, head.as_bytes());
    server.request_of(socket);
    let attributes = token.map(|token| ("csrf".into(), token.to_owned().into())).into_iter().collect();
    server.respond(socket, Response::new(204), Change::Login { principal: "rob".into(), attributes });
    let answer = server.answer(socket);
    let cookie = answer.header("set-cookie").and_then(|value| value.split(';').next()).expect("a cookie").to_owned();
    server.hang_up(socket);
    cookie
}

/// What CONNECT with these headers is answered.
fn connect(server: &mut Server, cookie: &str, headers: &[(&str, &str)]) -> String {
    let socket = server.ws("/stomp", cookie);
    said(server, socket, headers)
}

fn said(server: &mut Server, socket: SocketId, headers: &[(&str, &str)]) -> String {
    let headers = [&[("accept-version", "1.2")], headers].concat();
    server.say(socket, "CONNECT", &headers, "");
    let heard = server.frames(socket);
    let first = wire::Stomp::parse(&heard[0].payload).expect("a frame").command;
    if first == "ERROR" {
        assert_eq!(heard[1].close(), Some((1002, String::new())));
    }
    first
}

#[test]
fn connect_carries_the_masked_token_of_its_session_and_nothing_else_will_do() {
    let mut server = server();
    let cookie = log_in(&mut server, Some(TOKEN), "");
    let (right, wrong) = (masked(TOKEN), masked(OTHER));
    let again = csrf::mask(TOKEN.as_bytes(), &[7; 36]);
    for (headers, answer) in [
        (&[][..], "ERROR"),
        (&[(HEADER, "")], "ERROR"),
        (&[(HEADER, "wrong")], "ERROR"),
        (&[(HEADER, &wrong)], "ERROR"),
        (&[(HEADER, TOKEN)], "ERROR"),
        (&[(HEADER, &right[..95])], "ERROR"),
        (&[(HEADER, &format!("{right}A"))], "ERROR"),
        (&[("x-csrf-token", &right)], "ERROR"),
        (&[("_csrf", &right)], "ERROR"),
        (&[("passcode", &right)], "ERROR"),
        (&[(HEADER, &right)], "CONNECTED"),
        (&[(HEADER, &again)], "CONNECTED"),
        // Of a header that is there twice the first counts.
        (&[(HEADER, &right), (HEADER, &wrong)], "CONNECTED"),
        (&[(HEADER, &wrong), (HEADER, &right)], "ERROR"),
        (&[(HEADER, ""), (HEADER, &right)], "ERROR"),
    ] {
        assert_eq!(connect(&mut server, &cookie, headers), answer, "{headers:?}");
    }
}

#[test]
fn the_token_is_the_sessions_own() {
    let mut server = server();
    let (rob, luke) = (log_in(&mut server, Some(TOKEN), ""), log_in(&mut server, Some(OTHER), ""));
    assert_eq!(connect(&mut server, &rob, &[(HEADER, &masked(OTHER))]), "ERROR");
    assert_eq!(connect(&mut server, &luke, &[(HEADER, &masked(OTHER))]), "CONNECTED");
    // A session without one lets nobody in, with no token either.
    let none = log_in(&mut server, None, "");
    for headers in [&[][..], &[(HEADER, "")], &[(HEADER, &masked(TOKEN))]] {
        assert_eq!(connect(&mut server, &none, headers), "ERROR", "{headers:?}");
    }
    let empty = log_in(&mut server, Some(""), "");
    assert_eq!(connect(&mut server, &empty, &[(HEADER, "")]), "ERROR");
}

#[test]
fn the_token_of_the_handshake_counts() {
    let mut server = server();
    let cookie = log_in(&mut server, Some(TOKEN), "");
    let socket = server.ws("/stomp", &cookie);
    let cookie = log_in(&mut server, Some(OTHER), &cookie);
    assert_eq!(said(&mut server, socket, &[(HEADER, &masked(TOKEN))]), "CONNECTED");
    assert_eq!(connect(&mut server, &cookie, &[(HEADER, &masked(TOKEN))]), "ERROR");
    assert_eq!(connect(&mut server, &cookie, &[(HEADER, &masked(OTHER))]), "CONNECTED");
}

#[test]
fn a_refused_connect_is_no_activity_and_no_client() {
    let mut server = server();
    let cookie = log_in(&mut server, Some(TOKEN), "");
    let socket = server.ws("/stomp", &cookie);
    let ttl = |server: &Server| {
        let memory = server.hub.memory().expect("the store in memory");
        let id = String::from_utf8(base64(cookie.strip_prefix("SESSION=").expect("its name"))).expect("an id");
        memory.ttl_ms(&id, server.now().mono)
    };
    server.wait(10_000);
    let before = ttl(&server);
    server.seen();
    assert_eq!(said(&mut server, socket, &[]), "ERROR");
    assert_eq!((server.left(), ttl(&server)), (vec![], before));
    let socket = server.ws("/stomp", &cookie);
    server.wait(10_000);
    assert_eq!(said(&mut server, socket, &[(HEADER, &masked(TOKEN))]), "CONNECTED");
    assert_eq!(ttl(&server), Some(30 * 60_000));
}

#[test]
fn who_has_no_session_needs_no_token_and_off_means_off() {
    let mut server = server();
    let socket = server.ws("/open", "");
    assert_eq!(said(&mut server, socket, &[]), "CONNECTED");
    let mut server = Server::default();
    let cookie = log_in(&mut server, Some(TOKEN), "");
    assert_eq!(connect(&mut server, &cookie, &[]), "CONNECTED");
    assert_eq!(connect(&mut server, &cookie, &[(HEADER, "wrong")]), "CONNECTED");
}

#[test]
fn a_handshake_during_another_question_is_told_the_token_too() {
    // A touch is open, or the session is being loaded for another, or only for this one; it gets another id meanwhile.
    for (open, renamed) in ["touch", "load", "nothing"].into_iter().flat_map(|open| [(open, false), (open, true)]) {
        let mut server = Server::with(|config| {
            config.store = Store::External;
            let token = ConnectToken { header: HEADER.to_owned(), attributes: vec!["csrf".to_owned()] };
            config.session.connect_token = Some(token);
        })
        .serves_nobody_after();
        let first = shake(&mut server);
        if open != "load" {
            answer_all(&mut server);
            assert_eq!(server.answer(first).status, 101);
            assert_eq!(said(&mut server, first, &[(HEADER, &masked(TOKEN))]), "CONNECTED");
            server.wait(1_500);
            answer_all(&mut server);
            server.wait(1_500);
        }
        if open == "touch" {
            server.say(first, "SEND", &[("destination", "/app/a")], "");
        }
        let second = shake(&mut server);
        if renamed {
            let now = server.now();
            server.hub.handle(now, Event::Notice { session: "abc", notice: Notice::Renamed { to: "new" } });
        }
        answer_all(&mut server);
        if renamed && open == "load" {
            // Nobody had been let in by the old id: it is good for nothing any more.
            assert_eq!(server.answer(second).status, 401);
            continue;
        }
        assert_eq!(server.answer(second).status, 101, "{open} {renamed}");
        let answer = said(&mut server, second, &[(HEADER, &masked(TOKEN))]);
        assert_eq!(answer, "CONNECTED", "{open} {renamed}");
    }
}

fn shake(server: &mut Server) -> SocketId {
    let socket = server.open();
    server.send(socket, handshake("/stomp", "Cookie: SESSION=YWJj\r\n").as_bytes());
    socket
}

/// The store answers each question as a store does: who it is only if that was asked.
fn answer_all(server: &mut Server) {
    loop {
        let asked = server.seen().into_iter().filter_map(|action| match action {
            Action::Session { call: Some(call), op: Op::Load { id } } => Some((call, Some(id))),
            Action::Session { call: Some(call), .. } => Some((call, None)),
            Action::Left { cause, .. } if cause != Cause::Peer => panic!("left: {cause:?}"),
            _ => None,
        });
        let asked: Vec<(CallId, Option<Arc<str>>)> = asked.collect();
        if asked.is_empty() {
            return;
        }
        for (call, id) in asked {
            let attributes = vec![("csrf".into(), TOKEN.into())];
            let record = id.map(|id| Box::new(Record { id, principal: Some("rob".into()), attributes }));
            let now = server.now();
            server.hub.handle(now, Event::Answer { call, answer: Answer::Alive { ttl_ms: Some(60_000), record } });
            server.work();
        }
    }
}

fn base64(text: &str) -> Vec<u8> {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.decode(text).expect("Base64")
}
