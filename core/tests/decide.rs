//! The embedder's say in a handshake.

mod harness;

use harness::{Server, handshake};
use tethered_core::config::{Config, Store};
use tethered_core::hub::{Action, Event, Handshake, Hub, Notice, Verdict, Who};
use tethered_core::ids::{CallId, ClientId};
use tethered_core::session::{Answer, Cause, Op, Record};

fn decides(config: &mut Config) {
    config.decide = true;
}

fn asked(server: &mut Server) -> (ClientId, Box<Handshake>) {
    let all = server.seen();
    match all.into_iter().find(|action| matches!(action, Action::Decide { .. })) {
        Some(Action::Decide { client, handshake, .. }) => (client, handshake),
        _ => panic!("nothing is asked"),
    }
}

fn decide(server: &mut Server, client: ClientId, verdict: Verdict<'_>) {
    server.hub.decide(server.now(), client, verdict);
    server.work();
}

#[test]
fn it_is_asked_once_the_session_is_known_to_be_alive() {
    let mut server = Server::with(decides).serves_nobody_after();
    let nobody = server.open();
    server.send(nobody, handshake("/stomp", "Cookie: SESSION=bm9ib2R5\r\n").as_bytes());
    assert!(server.output(nobody).starts_with(b"HTTP/1.1 401 "));
    server.hang_up(nobody);
    assert!(server.seen().is_empty(), "nothing is asked of one without a session");

    let cookie = server.log_in("rob");
    for (verdict, status) in [(Verdict::Enter, "101"), (Verdict::Refuse, "403"), (Verdict::As("bob"), "101")] {
        let rob = server.open();
        server.send(rob, handshake("/stomp", &format!("Cookie: {cookie}\r\n")).as_bytes());
        let (client, handshake) = asked(&mut server);
        assert_eq!((handshake.http.path(), handshake.principal.is_some()), ("/stomp", true));
        assert!(handshake.session.is_some());
        assert_eq!(server.output(rob), b"");
        decide(&mut server, client, verdict);
        assert!(server.output(rob).starts_with(format!("HTTP/1.1 {status} ").as_bytes()), "{verdict:?}");
        let name = server.hub.session_of(client).map(|(_, principal)| principal.to_string());
        let expected = match verdict {
            Verdict::Enter => Some("rob"),
            Verdict::As(name) => Some(name),
            Verdict::Refuse => None,
        };
        assert_eq!(name.as_deref(), expected);
        // Too late, or once more: ignored.
        decide(&mut server, client, Verdict::Refuse);
        assert_eq!(server.output(rob), b"");
        server.hang_up(rob);
        server.seen();
    }
}

#[test]
fn nobody_decides_in_time() {
    let mut server = Server::with(decides).serves_nobody_after();
    let echo = server.open();
    server.send(echo, handshake("/echo", "").as_bytes());
    let (client, _) = asked(&mut server);
    server.wait(60_000);
    assert!(server.output(echo).starts_with(b"HTTP/1.1 504 "));
    decide(&mut server, client, Verdict::Enter);
    assert_eq!(server.output(echo), b"");
    server.hang_up(echo);
}

fn call(hub: &mut Hub) -> (CallId, Op) {
    match hub.poll() {
        Some(Action::Session { call: Some(call), op }) => (call, op),
        other => panic!("{other:?} is no question"),
    }
}

fn alive(server: &mut Server, call: CallId, principal: Option<&str>) {
    let record = Record { id: "abc".into(), principal: principal.map(Into::into), attributes: Vec::new() };
    let answer = Answer::Alive { ttl_ms: Some(60_000), record: Some(Box::new(record)) };
    server.hub.handle(server.now(), Event::Answer { call, answer });
}

fn external(config: &mut Config) {
    decides(config);
    config.store = Store::External;
}

#[test]
fn a_session_without_a_principal_gets_one_and_keeps_it() {
    let mut server = Server::with(external).serves_nobody_after();
    server.pause();
    let rob = server.open();
    server.send(rob, handshake("/stomp", "Cookie: SESSION=YWJj\r\n").as_bytes());
    let (load, _) = call(&mut server.hub);
    alive(&mut server, load, None);
    let Some(Action::Session { call: Some(touch), .. }) = server.hub.poll() else { panic!("the handshake renews") };
    let Some(Action::Decide { client, handshake, .. }) = server.hub.poll() else { panic!("it is asked") };
    assert_eq!(handshake.principal, None);
    server.hub.handle(
        server.now(),
        Event::Answer { call: touch, answer: Answer::Alive { ttl_ms: Some(60_000), record: None } },
    );
    assert!(server.hub.poll().is_none(), "nothing is asked twice");
    server.hub.decide(server.now(), client, Verdict::As("rob"));
    assert_eq!(&*server.hub.session_of(client).expect("it is bound").1, "rob");
    // The store is asked again, and says what it said: that is no other user.
    server.hub.handle(server.now(), Event::Notice { session: "abc", notice: Notice::Renamed { to: "abd" } });
    while server.hub.poll().is_some_and(|action| !matches!(action, Action::Session { op: Op::Load { .. }, .. })) {}
    assert_eq!(&*server.hub.session_of(client).expect("it is bound").1, "rob");
    let ended = server.hub.end(server.now(), Who::User("rob"), Cause::Revoked);
    assert_eq!(ended, 1);
    server.hub.handle(server.now(), Event::Closed { socket: rob });
    server.resume();
}

#[test]
fn entering_needs_a_principal_where_a_login_is_asked_for() {
    let mut server = Server::with(external).serves_nobody_after();
    server.pause();
    let rob = server.open();
    server.send(rob, handshake("/stomp", "Cookie: SESSION=YWJj\r\n").as_bytes());
    let (load, _) = call(&mut server.hub);
    alive(&mut server, load, None);
    let client = loop {
        match server.hub.poll() {
            Some(Action::Decide { client, .. }) => break client,
            Some(_) => {}
            None => panic!("it is asked"),
        }
    };
    server.hub.decide(server.now(), client, Verdict::Enter);
    let said: Vec<u8> = server.hub.output(rob).flatten().copied().collect();
    assert!(said.starts_with(b"HTTP/1.1 401 "));
    server.hub.handle(server.now(), Event::Closed { socket: rob });
    server.resume();
}

#[test]
fn a_session_that_ends_while_it_is_asked_gets_nobody_in() {
    let mut server = Server::with(decides).serves_nobody_after();
    let cookie = server.log_in("rob");
    let rob = server.open();
    server.send(rob, handshake("/stomp", &format!("Cookie: {cookie}\r\n")).as_bytes());
    let (client, handshake) = asked(&mut server);
    server.hub.end(server.now(), Who::Session(&handshake.session.expect("it has one")), Cause::Revoked);
    server.work();
    assert!(server.output(rob).starts_with(b"HTTP/1.1 401 "));
    decide(&mut server, client, Verdict::Enter);
    assert_eq!(server.output(rob), b"");
    server.hang_up(rob);
}
