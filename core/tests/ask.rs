//! The door for embedders with an HTTP server of their own: what it answers is what the door for bytes answers.

mod harness;

use std::collections::BTreeMap;

use harness::{ADDRESS, Server, config, wire};
use tethered_core::config::Config;
use tethered_core::http;
use tethered_core::hub::record::Line;
use tethered_core::hub::{Action, Ask, Change, Event, Follows, Full, Hub, Response};
use tethered_core::ids::SocketId;

const UPGRADE: [(&str, &str); 5] = [
    ("Host", "h"),
    ("Upgrade", "websocket"),
    ("Connection", "Upgrade"),
    ("Sec-WebSocket-Version", "13"),
    ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
];
const TOKEN: u64 = 77;

fn ask(server: &mut Server, method: &str, target: &str, headers: &[(&str, &str)], body: &[u8]) -> SocketId {
    let headers: Vec<(&str, &[u8])> = headers.iter().map(|(name, value)| (*name, value.as_bytes())).collect();
    let ask = Ask { token: TOKEN, address: Some(ADDRESS), secure: false, method, target, headers: &headers, body };
    server.hub.ask(server.now(), &ask).expect("there is room")
}

/// What is to be done next.
fn next(hub: &mut Hub) -> Action {
    hub.poll().expect("something is to be done")
}

fn response(hub: &mut Hub, asked: SocketId) -> (http::Response, Follows) {
    match next(hub) {
        Action::Response { socket, token, response, follows } => {
            assert_eq!((socket, token), (asked, TOKEN));
            (*response, follows)
        }
        other => panic!("{other:?} is no response"),
    }
}

fn closed(hub: &mut Hub, asked: SocketId) {
    assert!(matches!(next(hub), Action::Close { socket, token: TOKEN } if socket == asked));
    assert!(hub.poll().is_none());
    assert!(!hub.has_socket(asked));
}

/// The peers go.
fn gone(server: &mut Server, asked: &[SocketId]) {
    for socket in asked {
        server.hub.handle(server.now(), Event::Closed { socket: *socket });
    }
    while server.hub.poll().is_some() {}
}

/// The answer as somebody would write it, without what is the writer's business.
fn told(status: u16, headers: &[(String, Vec<u8>)], body: &[u8]) -> (u16, BTreeMap<String, Vec<u8>>, Vec<u8>) {
    let own = ["date", "content-length", "connection", "transfer-encoding"];
    let headers = headers.iter().map(|(name, value)| (name.to_ascii_lowercase(), value.clone()));
    (status, headers.filter(|(name, _)| !own.contains(&&**name)).collect(), body.to_vec())
}

#[test]
fn whatever_is_asked_is_answered_as_through_the_door_for_bytes() {
    let cookie = ("Cookie", "SESSION=bm9ib2R5");
    let with = |more: &[(&'static str, &'static str)]| [&UPGRADE[..], more].concat();
    let without = |name: &str| UPGRADE.into_iter().filter(|(own, _)| *own != name).collect::<Vec<_>>();
    let long = "a".repeat(20_000);
    let body = vec![b'x'; config().limits.http.body_bytes + 1];
    type Case<'a> = (&'a str, &'a str, Vec<(&'a str, &'a str)>, &'a [u8]);
    let cases: Vec<Case<'_>> = vec![
        ("GET", "/stomp", with(&[]), b""),
        ("GET", "/stomp", with(&[cookie]), b""),
        ("GET", "/stomp", with(&[("Origin", "https://elsewhere.example")]), b""),
        ("GET", "/stomp", vec![("Host", "h"), cookie], b""),
        ("POST", "/echo", with(&[]), b""),
        ("GET", "/echo", with(&[]), b"a body"),
        ("GET", "/echo", without("Host"), b""),
        ("GET", "/echo", without("Sec-WebSocket-Key"), b""),
        ("GET", "/echo", without("Sec-WebSocket-Version"), b""),
        ("GET", "/echo", without("Connection"), b""),
        ("GET", "/stomp/nothing", vec![("Host", "h"), cookie], b""),
        ("GET", "/../etc", vec![("Host", "h")], b""),
        ("GET", "/", vec![("Host", "h"), ("X", &long)], b""),
        ("POST", "/", vec![("Host", "h")], &body),
        ("G T", "/", vec![("Host", "h")], b""),
    ];
    for (method, target, headers, body) in cases {
        let mut asked = Server::default().serves_nobody_after();
        let mut bytes = Server::default().serves_nobody_after();
        let case = format!("{method} {target} {:?}", &headers[..headers.len().min(7)]);

        let socket = ask(&mut asked, method, target, &headers, body);
        let (response, follows) = response(&mut asked.hub, socket);
        assert_eq!(follows, Follows::Nothing, "{case}");
        closed(&mut asked.hub, socket);

        let mut request = format!("{method} {target} HTTP/1.1\r\n");
        for (name, value) in &headers {
            request += &format!("{name}: {value}\r\n");
        }
        if !body.is_empty() {
            request += &format!("Content-Length: {}\r\n", body.len());
        }
        let socket = bytes.open();
        bytes.send(socket, &[request.as_bytes(), b"\r\n", body].concat());
        let answer = wire::Answer::parse(&bytes.output(socket)).expect("an answer").0;
        let of: Vec<(String, Vec<u8>)> =
            response.headers().map(|(name, value)| (name.to_owned(), value.to_vec())).collect();
        let ours = told(response.status(), &of, response.body());
        let headers: Vec<(String, Vec<u8>)> =
            answer.headers.iter().map(|(name, value)| (name.clone(), value.clone().into_bytes())).collect();
        assert_eq!(ours, told(answer.status, &headers, &answer.body), "{case}");
    }
}

#[test]
fn a_part_cannot_smuggle_another_one_in() {
    for (method, target, name, value) in [
        ("GET", "/echo HTTP/1.1\r\nX: y", "Host", "h"),
        ("GET / HTTP/1.1\r\nX:", "/", "Host", "h"),
        ("GET", "/", "Host", "h\r\nX: y"),
        ("GET", "/", "X: y\r\nHost", "h"),
        ("GET", "/", "A: b", "h"),
    ] {
        let mut server = Server::default().serves_nobody_after();
        let asked = ask(&mut server, method, target, &[(name, value)], b"");
        let (response, _) = response(&mut server.hub, asked);
        assert_eq!(response.status(), 400, "{method:?} {target:?} {name:?} {value:?}");
        closed(&mut server.hub, asked);
    }
}

#[test]
fn behind_a_101_it_is_a_socket_like_any_other() {
    let mut server = Server::default().serves_nobody_after();
    let asked = ask(&mut server, "GET", "/echo", &UPGRADE, b"");
    let (response, follows) = response(&mut server.hub, asked);
    assert_eq!((response.status(), follows), (101, Follows::Frames));
    let headers: Vec<(&str, &[u8])> = response.headers().collect();
    assert!(headers.contains(&("Sec-WebSocket-Accept", b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")), "{headers:?}");
    assert!(matches!(next(&mut server.hub), Action::Joined { token: TOKEN, .. }));
    let now = server.now();
    server.hub.handle(now, Event::Received { socket: asked, bytes: &mut wire::text("hello") });
    assert!(matches!(next(&mut server.hub), Action::Deliver { delivery, .. } if delivery.body == "hello"));
    server.hub.handle(now, Event::Received { socket: asked, bytes: &mut wire::close(1000, "") });
    assert!(matches!(next(&mut server.hub), Action::Left { .. }));
    assert!(matches!(next(&mut server.hub), Action::Write { .. }));
    let written: Vec<u8> = server.hub.output(asked).flatten().copied().collect();
    assert_eq!(wire::frames(&written)[0].close(), Some((1000, String::new())));
    server.hub.handle(now, Event::Sent { socket: asked, len: written.len() });
    assert!(matches!(next(&mut server.hub), Action::Shutdown { .. }));
    server.hub.handle(now, Event::Closed { socket: asked });
    closed(&mut server.hub, asked);
}

#[test]
fn a_login_and_its_upgrade_come_as_parts() {
    let mut server = Server::default().serves_nobody_after();
    let asked = ask(&mut server, "POST", "/login", &[("Host", "h"), ("Content-Length", "99")], b"name=rob");
    let Action::Request { socket, request, .. } = next(&mut server.hub) else { panic!("a request") };
    assert_eq!((socket, request.http.body(), request.session.is_none()), (asked, &b"name=rob"[..], true));
    let login = Change::Login { principal: "rob".into(), attributes: Vec::new() };
    server.hub.respond(server.now(), asked, Response { http: http::Response::text(200, "in"), session: login });
    let (answer, follows) = response(&mut server.hub, asked);
    assert_eq!((answer.status(), follows, &answer.body()[..]), (200, Follows::Nothing, &b"in"[..]));
    let cookie = answer.headers().find(|(name, _)| *name == "Set-Cookie").expect("a cookie").1;
    let cookie = std::str::from_utf8(cookie).unwrap().split(';').next().unwrap().to_owned();
    closed(&mut server.hub, asked);

    let asked = ask(&mut server, "GET", "/stomp", &[&UPGRADE[..], &[("Cookie", &cookie)]].concat(), b"");
    let (answer, follows) = response(&mut server.hub, asked);
    assert_eq!((answer.status(), follows), (101, Follows::Frames));
    gone(&mut server, &[asked]);
}

#[test]
fn an_answer_to_head_has_no_body() {
    let mut server = Server::default().serves_nobody_after();
    let asked = ask(&mut server, "HEAD", "/page", &[("Host", "h")], b"");
    assert!(matches!(next(&mut server.hub), Action::Request { .. }));
    let page = Response { http: http::Response::text(200, "a page"), session: Change::Keep };
    server.hub.respond(server.now(), asked, page);
    let (answer, follows) = response(&mut server.hub, asked);
    assert_eq!((answer.status(), follows, answer.body().len()), (200, Follows::Nothing, 0));
    closed(&mut server.hub, asked);
}

#[test]
fn a_peer_that_goes_before_its_answer_is_closed_once() {
    let mut server = Server::default().serves_nobody_after();
    let asked = ask(&mut server, "GET", "/page", &[("Host", "h")], b"");
    assert!(matches!(next(&mut server.hub), Action::Request { .. }));
    server.hub.handle(server.now(), Event::Closed { socket: asked });
    closed(&mut server.hub, asked);
    let late = Response { http: http::Response::new(204), session: Change::Keep };
    server.hub.respond(server.now(), asked, late);
    server.hub.handle(server.now(), Event::Closed { socket: asked });
    assert!(server.hub.poll().is_none());
}

#[test]
fn bytes_before_a_101_are_nobody_s() {
    let mut server = Server::default().serves_nobody_after();
    let asked = ask(&mut server, "GET", "/page", &[("Host", "h")], b"");
    assert!(matches!(next(&mut server.hub), Action::Request { .. }));
    server.hub.handle(server.now(), Event::Received { socket: asked, bytes: &mut wire::text("early") });
    assert!(server.hub.poll().is_none());
    assert_eq!(server.hub.stats().buffered_bytes, 0);
    gone(&mut server, &[asked]);
}

#[test]
fn nobody_answers_in_time() {
    let mut server = Server::default().serves_nobody_after();
    let asked = ask(&mut server, "GET", "/page", &[("Host", "h")], b"");
    assert!(matches!(next(&mut server.hub), Action::Request { .. }));
    server.jump_to(harness::START_MS + config().limits.answer_time_ms);
    server.hub.handle(server.now(), Event::Tick);
    assert_eq!(response(&mut server.hub, asked).0.status(), 504);
    closed(&mut server.hub, asked);
}

#[test]
fn t09_as_many_as_total_and_no_more() {
    let limits = |config: &mut Config| (config.limits.total, config.limits.half_open) = (2, 1);
    let mut server = Server::with(limits).serves_nobody_after();
    let asked = [(); 3].map(|()| ask(&mut server, "GET", "/page", &[("Host", "h")], b""));
    let ask = Ask { token: 1, address: None, secure: false, method: "GET", target: "/", headers: &[], body: b"" };
    assert_eq!(server.hub.ask(server.now(), &ask), Err(Full));
    assert_eq!(server.hub.stats().refused, 1);
    gone(&mut server, &asked);
}

#[test]
fn what_was_asked_is_recorded_and_played_again() {
    let mut server = Server::with(|config| config.limits.total = 8).serves_nobody_after();
    server.hub.record(true).expect("nothing came in yet");
    let headers = [&UPGRADE[..], &[("X", "\u{e9}\"\\")]].concat();
    let (mut told, mut sockets) = (Vec::new(), Vec::new());
    for (method, target) in [("GET", "/echo"), ("POST", "/\""), ("GET", "/page")] {
        sockets.push(ask(&mut server, method, target, &headers, b""));
        while let Some(action) = server.hub.poll() {
            told.push(format!("{action:?}"));
        }
    }
    server.hub.handle(server.now(), Event::Tick);
    let recording = server.hub.take_record();
    let mut lines = recording.lines().map(|line| Line::parse(line).expect(line));
    let mut config = config();
    config.limits.total = 8;
    let mut again = Hub::from_record(config, &lines.next().expect("it begins")).expect("the same");
    let mut played = Vec::new();
    for line in lines {
        again
            .replay(&line, |_, it| {
                if let tethered_core::hub::record::Played::Action(action) = it {
                    played.push(format!("{action:?}"));
                }
            })
            .expect("it goes as it went");
    }
    assert_eq!(played, told);
    assert_eq!(told.len(), 4, "{told:?}");
    gone(&mut server, &sockets);
}
