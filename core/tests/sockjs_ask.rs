//! SockJS through the door for embedders with an HTTP server of their own: requests in as parts, answers out as parts.

mod harness;

use harness::sockjs::{MINE, OPEN, config, connect, cookie, joined, open, say, subscribe};
use harness::{ADDRESS, Server};
use tethered_core::http;
use tethered_core::hub::{Action, Ask, Event, Follows, Message, To};
use tethered_core::ids::SocketId;
use tethered_core::session::Cause;

fn ask(server: &mut Server, method: &str, target: &str, headers: &[(&str, &str)], body: &str) -> SocketId {
    let headers = [("Host", "localhost")].iter().chain(headers).map(|(name, value)| (*name, value.as_bytes()));
    let headers: Vec<(&str, &[u8])> = headers.collect();
    let (token, address, body) = (7, Some(ADDRESS), body.as_bytes());
    let ask = Ask { token, address, secure: false, method, target, headers: &headers, body };
    server.hub.ask(server.now(), &ask).expect("there is room")
}

/// The response, what follows it, and what is done about the socket after that.
fn response(server: &mut Server, asked: SocketId) -> (http::Response, Follows, Vec<Action>) {
    let mut rest = Vec::new();
    let mut response = None;
    while let Some(action) = server.hub.poll() {
        match action {
            Action::Response { socket, token: 7, response: it, follows } if socket == asked => {
                assert!(response.is_none());
                response = Some((*it, follows));
            }
            Action::Write { socket, .. } | Action::Shutdown { socket, .. } | Action::Close { socket, .. }
                if socket == asked =>
            {
                rest.push(action);
            }
            _ => {}
        }
    }
    let (response, follows) = response.expect("a response");
    (response, follows, rest)
}

/// The frame that a request is answered with at once.
fn fetch(server: &mut Server, method: &str, target: &str, headers: &[(&str, &str)], body: &str) -> (u16, String) {
    let asked = ask(server, method, target, headers, body);
    let (response, follows, rest) = response(server, asked);
    assert_eq!(follows, Follows::Nothing);
    assert!(matches!(rest[..], [Action::Close { .. }]), "{rest:?}");
    (response.status(), String::from_utf8(response.body().to_vec()).expect("text"))
}

/// What was written of a body, unframed.
fn output(server: &mut Server, asked: SocketId) -> String {
    let bytes: Vec<u8> = server.hub.output(asked).flatten().copied().collect();
    server.hub.handle(server.now(), Event::Sent { socket: asked, len: bytes.len() });
    String::from_utf8(bytes).expect("text")
}

#[test]
fn a_session_over_polls() {
    let mut server = Server::new(config());
    let path = format!("{OPEN}/xhr");
    assert_eq!(fetch(&mut server, "GET", "/open/info?t=1", &[], "").0, 200);
    assert_eq!(fetch(&mut server, "POST", &path, &[], ""), (200, "o\n".to_owned()));
    assert_eq!(fetch(&mut server, "POST", &format!("{OPEN}/xhr_send"), &[], "[\"x\"]"), (204, String::new()));
    assert_eq!(
        fetch(&mut server, "POST", &format!("{OPEN}/xhr_send"), &[], "[\"x\""),
        (500, "Broken JSON encoding.\n".into())
    );
    // One that waits is answered when something is there, by an action.
    let waiting = ask(&mut server, "POST", &path, &[], "");
    assert!(server.hub.poll().is_none());
    assert_eq!(fetch(&mut server, "POST", &path, &[], ""), (200, "c[2010,\"Another connection still open\"]\n".into()));
    // Through the other door it is the same session.
    assert_eq!(server.fetch("POST", &path, "", "").status, 200);
    server.post(OPEN, "", "[\"y\"]");
    server.seen();
    server.hub.handle(server.now(), Event::Closed { socket: waiting });
    let done: Vec<Action> = std::iter::from_fn(|| server.hub.poll()).collect();
    assert!(matches!(done[..], [Action::Left { cause: Cause::Peer, .. }, Action::Close { .. }]), "{done:?}");
    assert_eq!(fetch(&mut server, "POST", &path, &[], "").1, "c[1002,\"Connection interrupted\"]\n");
    server.wait(5_016);
}

#[test]
fn a_poll_that_waited_is_answered_by_an_action() {
    let mut server = Server::new(config());
    let client = open(&mut server, OPEN);
    let waiting = ask(&mut server, "POST", &format!("{OPEN}/xhr"), &[("Origin", "http://localhost")], "");
    let now = server.now();
    server.hub.send(now, client, tethered_core::hub::Payload::Text("hello"));
    let (response, follows, rest) = response(&mut server, waiting);
    assert_eq!((response.status(), &response.body()[..], follows), (200, &b"a[\"hello\"]\n"[..], Follows::Nothing));
    assert!(response.headers().any(|header| header == ("Access-Control-Allow-Origin", b"http://localhost")));
    assert!(matches!(rest[..], [Action::Close { .. }]));
    say(&mut server, client, "again");
    assert_eq!(server.poll(OPEN, ""), "a[\"again\"]");
    server.wait(5_016);
}

#[test]
fn a_stream_is_a_body_in_pieces() {
    for (method, transport, begin, frame, end) in [
        ("POST", "xhr_streaming", "h".repeat(2_048) + "\no\n", "a[\"x\"]\n", "c[3000,\"Go away!\"]\n"),
        (
            "GET",
            "eventsource",
            "\r\ndata: o\r\n\r\n".into(),
            "data: a[\"x\"]\r\n\r\n",
            "data: c[3000,\"Go away!\"]\r\n\r\n",
        ),
    ] {
        let mut server = Server::new(config());
        let asked = ask(&mut server, method, &format!("{OPEN}/{transport}"), &[], "");
        let mut seen = Vec::new();
        while let Some(action) = server.hub.poll() {
            seen.push(action);
        }
        let client = seen.iter().find_map(|action| match action {
            Action::Joined { client, .. } => Some(*client),
            _ => None,
        });
        let client = client.expect("it has joined");
        assert!(
            seen.iter().any(|action| matches!(action, Action::Response { follows: Follows::Body, .. })),
            "{seen:?}"
        );
        assert_eq!(output(&mut server, asked), begin);
        server.hub.send(server.now(), client, tethered_core::hub::Payload::Text("x"));
        assert!(matches!(server.hub.poll(), Some(Action::Write { socket, .. }) if socket == asked));
        assert_eq!(output(&mut server, asked), frame);
        let now = server.now();
        assert!(server.hub.close_client(now, client, 3000, "Go away!"));
        assert!(matches!(server.hub.poll(), Some(Action::Left { .. })));
        assert!(matches!(server.hub.poll(), Some(Action::Write { .. })));
        assert_eq!(output(&mut server, asked), end);
        assert!(matches!(server.hub.poll(), Some(Action::Shutdown { socket, .. }) if socket == asked), "it is whole");
        assert!(matches!(server.hub.poll(), Some(Action::Close { socket, .. }) if socket == asked));
        assert!(server.hub.poll().is_none());
        assert_eq!(server.poll(OPEN, ""), "c[3000,\"Go away!\"]");
        server.wait(5_016);
    }
}

#[test]
fn the_login_is_asked_for_and_its_end_is_told() {
    let mut server = Server::new(config());
    let login = server.log_in("rob");
    let path = format!("{MINE}/xhr");
    assert_eq!(fetch(&mut server, "POST", &path, &[], "").0, 401);
    assert_eq!(fetch(&mut server, "POST", &path, &[("Cookie", &login)], ""), (200, "o\n".into()));
    server.wait(5_016);
    connect(&mut server, MINE, &login);
    subscribe(&mut server, MINE, &login, "/topic/x");
    let waiting = ask(&mut server, "POST", &path, &[("Cookie", &login)], "");
    let message = Message { body: b"news", ..Message::default() };
    server.hub.publish(server.now(), To::Destination("/topic/x"), &message);
    assert!(String::from_utf8_lossy(response(&mut server, waiting).0.body()).contains("news"));
    let waiting = ask(&mut server, "POST", &path, &[("Cookie", &login)], "");
    assert_eq!(fetch(&mut server, "POST", &path, &[], "").0, 404);
    let socket = server.open();
    server.send(
        socket,
        format!("POST /logout HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n{}\r\n", cookie(&login)).as_bytes(),
    );
    server.request_of(socket);
    let end = tethered_core::hub::Response { http: http::Response::new(204), session: tethered_core::hub::Change::End };
    let now = server.now();
    server.hub.respond(now, socket, end);
    let (response, follows, _) = response(&mut server, waiting);
    let text = String::from_utf8(response.body().to_vec()).expect("text");
    assert_eq!((response.status(), follows), (200, Follows::Nothing));
    assert!(text.starts_with("c[1008,\"This connection was established"), "{text}");
    assert_eq!(joined(&mut server), []);
    server.hang_up(socket);
    server.wait(5_016);
}
