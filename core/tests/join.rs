//! The doors for embedders with a WebSocket server of their own: whole messages, or only that somebody spoke.

mod harness;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use harness::{ADDRESS, SESSION_ENDED, Server, config, wire};
use tethered_core::config::{Config, Endpoint, Login, Store};
use tethered_core::http::Refusal;
use tethered_core::hub::record::{Explainer, Line, Played};
use tethered_core::hub::{Action, Event, Hub, Join, Joined, Kind, Message, Payload, To, Who};
use tethered_core::ids::CallId;
use tethered_core::session::{Answer, Cause, Op, Record};

const TOKEN: u64 = 55;

fn join(server: &mut Server, target: &str, headers: &[(&str, &str)], session: Option<&str>) -> Result<Joined, Refusal> {
    let headers: Vec<(&str, &[u8])> = headers.iter().map(|(name, value)| (*name, value.as_bytes())).collect();
    let join = Join { token: TOKEN, address: Some(ADDRESS), secure: false, target, headers: &headers, session };
    server.hub.join(server.now(), &join)
}

fn say(server: &mut Server, who: Joined, bytes: &[u8]) {
    server.hub.handle(server.now(), Event::Message { client: who.client, kind: Kind::Text, bytes });
}

/// Everything that is to be done.
fn all(hub: &mut Hub) -> Vec<Action> {
    std::iter::from_fn(|| hub.poll()).collect()
}

/// The messages to this client, as text.
fn messages(hub: &mut Hub, who: Joined) -> Vec<String> {
    let texts = all(hub).into_iter().filter_map(|action| match action {
        Action::Message { socket, token: TOKEN, payload, .. } if socket == who.socket => {
            Some(String::from_utf8(payload.to_vec()).expect("text"))
        }
        _ => None,
    });
    texts.collect()
}

/// The only thing left to do is to close it like this.
fn disconnected(actions: &[Action], who: Joined) -> (u16, &str) {
    let closes = actions.iter().filter(|action| matches!(action, Action::Disconnect { .. }));
    assert_eq!(closes.count(), 1, "{actions:?}");
    match actions.last() {
        Some(Action::Disconnect { socket, token: TOKEN, code, reason }) if *socket == who.socket => (*code, reason),
        _ => panic!("{actions:?} do not end with a close"),
    }
}

/// A session, its cookie, and an open raw endpoint under it.
fn session_only(config: &mut Config) {
    config.endpoints.push(Endpoint { login: Login::Required, ..Endpoint::raw("/own") });
}

/// Somebody logs in: the cookie, and the id in it.
fn log_in(server: &mut Server, name: &str) -> (String, String) {
    let cookie = server.log_in(name);
    let id = STANDARD.decode(cookie.strip_prefix("SESSION=").expect("the cookie")).expect("base64");
    (cookie, String::from_utf8(id).expect("text"))
}

#[test]
fn stomp_over_somebody_else_s_websocket() {
    let mut server = Server::default();
    let (cookie, _) = log_in(&mut server, "rob");
    let rob = join(&mut server, "/stomp", &[("Host", "h"), ("Cookie", &cookie)], None).expect("he is logged in");
    say(&mut server, rob, &wire::stomp("CONNECT", &[("accept-version", "1.2"), ("host", "h")], b""));
    let told = all(&mut server.hub);
    assert!(
        matches!(&told[..], [Action::Message { payload, kind: Kind::Text, .. }, Action::Joined { principal: Some(name), .. }]
            if payload.starts_with(b"CONNECTED\n") && &**name == "rob"),
        "{told:?}"
    );
    say(&mut server, rob, &wire::stomp("SUBSCRIBE", &[("id", "0"), ("destination", "/topic/a")], b""));
    for body in ["one", "two"] {
        let message = Message { body: body.as_bytes(), ..Message::default() };
        assert_eq!(server.hub.publish(server.now(), To::Destination("/topic/a"), &message), 1);
    }
    let told = messages(&mut server.hub, rob);
    assert!(told[0].ends_with("one\0") && told[1].ends_with("two\0") && told.len() == 2, "{told:?}");
    say(&mut server, rob, &wire::stomp("SEND", &[("destination", "/app/x")], b"hello"));
    assert!(
        matches!(&all(&mut server.hub)[..], [Action::Deliver { token: TOKEN, delivery, .. }] if delivery.body == "hello")
    );
    say(&mut server, rob, &wire::stomp("DISCONNECT", &[("receipt", "r")], b""));
    let told = all(&mut server.hub);
    assert!(matches!(&told[0], Action::Message { payload, .. } if payload.starts_with(b"RECEIPT\n")), "{told:?}");
    assert!(matches!(&told[1], Action::Left { cause: Cause::Peer, .. }), "{told:?}");
    assert_eq!(disconnected(&told, rob), (1000, ""));
}

#[test]
fn who_does_not_get_in_is_told_at_once_why() {
    let mut server = Server::with(|config| config.limits.per_session = 1);
    let (cookie, id) = log_in(&mut server, "rob");
    let cookie = ("Cookie", cookie.as_str());
    for (target, headers, refusal) in [
        ("/stomp", &[("Host", "h")][..], Refusal::NoSession),
        ("/nowhere", &[("Host", "h"), cookie], Refusal::NotFound),
        ("/stomp", &[("Host", "h"), cookie, ("Origin", "https://elsewhere.example")], Refusal::Origin),
        ("/stomp", &[cookie, ("Origin", "https://joined.example")], Refusal::Origin),
        ("/stomp", &[("Host", "h\r\nX: y"), cookie], Refusal::Malformed),
    ] {
        assert_eq!(join(&mut server, target, headers, None), Err(refusal), "{target} {headers:?}");
        assert!(server.hub.poll().is_none());
    }
    // The store has the last word, and gives it as an action.
    let nobody = join(&mut server, "/stomp", &[], Some("nobody's")).expect("the store is asked");
    assert_eq!(disconnected(&all(&mut server.hub), nobody), (1008, "A login is needed first."));
    let rob = join(&mut server, "/stomp", &[], Some(&id)).expect("he is logged in");
    let again = join(&mut server, "/stomp", &[], Some(&id)).expect("the store is asked");
    assert_eq!(disconnected(&all(&mut server.hub), again).0, 1008);
    server.hub.handle(server.now(), Event::Closed { socket: rob.socket });
    assert_eq!(disconnected(&all(&mut server.hub), rob), (0, ""));
    server.hub.handle(server.now(), Event::Closed { socket: rob.socket });
    assert!(server.hub.poll().is_none());
}

#[test]
fn t09_as_many_as_total_and_no_more() {
    let mut server = Server::with(|config| config.limits.total = 2);
    let joined = [(); 2].map(|()| join(&mut server, "/echo", &[], None).expect("there is room"));
    assert_eq!(join(&mut server, "/echo", &[], None), Err(Refusal::Unavailable));
    for who in joined {
        server.hub.handle(server.now(), Event::Closed { socket: who.socket });
    }
    all(&mut server.hub);
    server.hub.drain(server.now());
    assert_eq!(join(&mut server, "/echo", &[], None), Err(Refusal::Unavailable));
    std::mem::forget(server);
}

#[test]
fn a_session_alone_is_renewed_by_activity_and_ends_its_sockets() {
    let mut server = Server::with(session_only);
    let (_, id) = log_in(&mut server, "rob");
    let own = join(&mut server, "/own", &[], Some(&id)).expect("he is logged in");
    assert!(matches!(&all(&mut server.hub)[..], [Action::Joined { principal: Some(name), .. }] if &**name == "rob"));
    for _ in 0..8 {
        server.wait(20 * 60_000);
        server.hub.handle(server.now(), Event::Activity { client: own.client });
        assert!(server.seen().is_empty() && server.hub.poll().is_none(), "nothing is sent to it, no ping either");
    }
    server.jump_to(server.now().mono.as_millis() + 30 * 60_000);
    server.hub.handle(server.now(), Event::Tick);
    let told = all(&mut server.hub);
    assert!(matches!(&told[0], Action::Left { cause: Cause::Expired, .. }), "{told:?}");
    assert_eq!(disconnected(&told, own), (1008, SESSION_ENDED));
}

#[test]
fn who_has_gone_again_before_it_is_told_that_he_came_is_told_with_his_endpoint() {
    let mut server = Server::with(session_only);
    let (_, id) = log_in(&mut server, "rob");
    let own = join(&mut server, "/own?a=b", &[], Some(&id)).expect("he is logged in");
    server.hub.handle(server.now(), Event::Closed { socket: own.socket });
    assert_eq!(server.hub.path_of(own.client), None);
    let told = all(&mut server.hub);
    let [Action::Joined { client, path, .. }, Action::Left { client: gone, .. }, Action::Disconnect { .. }] = &told[..]
    else {
        panic!("{told:?}")
    };
    assert_eq!((*client, *gone, &**path), (own.client, own.client, "/own"));
}

#[test]
fn what_waits_for_one_whose_session_ends_is_not_handed_out() {
    let mut server = Server::with(session_only);
    let (_, id) = log_in(&mut server, "rob");
    let own = join(&mut server, "/own", &[], Some(&id)).expect("he is logged in");
    all(&mut server.hub);
    for text in ["one", "two"] {
        server.hub.send(server.now(), own.client, Payload::Text(text));
    }
    // The first is out, the second is still to be polled when the session ends.
    assert!(matches!(server.hub.poll(), Some(Action::Message { payload, .. }) if payload == "one"));
    server.hub.end(server.now(), Who::Session(&id), Cause::Revoked);
    let told = all(&mut server.hub);
    assert!(!told.iter().any(|action| matches!(action, Action::Message { .. })), "{told:?}");
    assert_eq!(disconnected(&told, own), (1008, SESSION_ENDED));
    say(&mut server, own, b"late");
    assert!(server.hub.poll().is_none());
}

fn asked(hub: &mut Hub) -> CallId {
    match &all(hub)[..] {
        [Action::Session { call: Some(call), op: Op::Load { .. } | Op::Check { .. } | Op::Touch { .. } }] => *call,
        other => panic!("{other:?} is no question"),
    }
}

fn answer(server: &mut Server, call: CallId) {
    let record = Record { id: "abc".into(), principal: Some("rob".into()), attributes: Vec::new() };
    let answer = Answer::Alive { ttl_ms: Some(30_000), record: Some(Box::new(record)) };
    server.hub.handle(server.now(), Event::Answer { call, answer });
}

#[test]
fn messages_wait_for_the_store_and_no_more_than_one() {
    let external = |config: &mut Config| {
        session_only(config);
        config.store = Store::External;
        config.limits.ws.message_bytes = 1_000;
        config.limits.http.head_bytes = 2_000;
    };
    let mut server = Server::with(external).serves_nobody_after();
    let own = join(&mut server, "/own", &[], Some("abc")).expect("the store is asked");
    let call = asked(&mut server.hub);
    say(&mut server, own, b"first");
    server.hub.handle(server.now(), Event::Message { client: own.client, kind: Kind::Binary, bytes: b"\xff" });
    assert!(matches!(&all(&mut server.hub)[..], [Action::Reading { token: TOKEN, on: false, .. }]));
    answer(&mut server, call);
    let told = all(&mut server.hub);
    let bodies: Vec<&[u8]> = told
        .iter()
        .filter_map(|action| match action {
            Action::Deliver { delivery, .. } => Some(&delivery.body[..]),
            _ => None,
        })
        .collect();
    assert_eq!(bodies, [&b"first"[..], b"\xff"], "{told:?}");
    assert!(told.iter().any(|action| matches!(action, Action::Reading { on: true, .. })), "{told:?}");
    server.hub.handle(server.now(), Event::Closed { socket: own.socket });
    assert_eq!(disconnected(&all(&mut server.hub), own), (0, ""));

    let flood = join(&mut server, "/own", &[], Some("abc")).expect("the store is asked");
    all(&mut server.hub);
    for _ in 0..3 {
        say(&mut server, flood, &[b'x'; 1_000]);
    }
    assert_eq!(disconnected(&all(&mut server.hub), flood), (1009, "a message is longer than the limit"));
}

#[test]
fn f18_f25_what_breaks_the_rules_is_closed_as_through_the_door_for_bytes() {
    let limit = |config: &mut Config| config.limits.ws.message_bytes = 1_000;
    for (kind, bytes, code) in [
        (Kind::Text, vec![b'x'; 1_000], None),
        (Kind::Text, vec![b'x'; 1_001], Some(1009)),
        (Kind::Binary, vec![0xff; 1_001], Some(1009)),
        (Kind::Text, vec![0xed, 0xa0, 0x80], Some(1007)),
        (Kind::Binary, vec![0xed, 0xa0, 0x80], None),
    ] {
        let mut server = Server::with(limit).serves_nobody_after();
        let who = join(&mut server, "/echo", &[], None).expect("there is room");
        all(&mut server.hub);
        server.hub.handle(server.now(), Event::Message { client: who.client, kind, bytes: &bytes });
        let told = all(&mut server.hub);
        match code {
            None => {
                assert!(matches!(&told[..], [Action::Deliver { .. }]), "{told:?}");
                server.hub.handle(server.now(), Event::Closed { socket: who.socket });
                assert_eq!(disconnected(&all(&mut server.hub), who), (0, ""));
            }
            Some(code) => {
                assert_eq!(disconnected(&told, who).0, code);
                assert!(matches!(told[0], Action::Left { cause: Cause::Violation, .. }), "{told:?}");
            }
        }
    }
}

/// One conversation through both doors: the same deliveries, and the same messages back.
#[test]
fn both_doors_say_the_same() {
    let talk: Vec<Vec<u8>> = vec![
        wire::stomp("CONNECT", &[("accept-version", "1.1,1.2"), ("host", "h"), ("heart-beat", "0,0")], b""),
        wire::stomp("SUBSCRIBE", &[("id", "s"), ("destination", "/topic/a"), ("receipt", "1")], b""),
        [wire::stomp("SEND", &[("destination", "/topic/a")], b"to all"), b"\n\n".to_vec()].concat(),
        wire::stomp("SEND", &[("destination", "/app/b"), ("receipt", "2")], b"to the application"),
        b"SEND\ndestination:/topic/a\n\nin two".to_vec(),
        b" parts\0".to_vec(),
        wire::stomp("SEND", &[("destination", "/nowhere")], b"x"),
    ];
    let mut bytes = Server::default();
    let cookie = bytes.log_in("rob");
    let rob = bytes.ws("/stomp", &cookie);
    let mut through_bytes = Vec::new();
    for message in &talk {
        bytes.send(rob, &wire::text(message));
    }
    for frame in wire::frames(&bytes.output(rob)) {
        match frame.close() {
            Some((code, reason)) => through_bytes.push(format!("{code} {reason}")),
            None => through_bytes.push(String::from_utf8(frame.payload).expect("text")),
        }
    }
    bytes.hang_up(rob);
    let delivered = bytes.delivered();

    let mut messages = Server::default();
    let (cookie, _) = log_in(&mut messages, "rob");
    let rob = join(&mut messages, "/stomp", &[("Host", "h"), ("Cookie", &cookie)], None).expect("he is logged in");
    let (mut through_messages, mut told) = (Vec::new(), Vec::new());
    for message in &talk {
        say(&mut messages, rob, message);
        for action in all(&mut messages.hub) {
            match action {
                Action::Message { payload, .. } => {
                    through_messages.push(String::from_utf8(payload.to_vec()).expect("text"));
                }
                Action::Disconnect { code, reason, .. } => through_messages.push(format!("{code} {reason}")),
                Action::Deliver { delivery, .. } => {
                    told.push((delivery.destination.to_string(), delivery.body.to_vec()));
                }
                _ => {}
            }
        }
    }
    assert_eq!(through_messages, through_bytes);
    assert_eq!(told, delivered);
    assert!(told.len() == 1 && through_bytes.len() == 7, "{through_bytes:?}");
}

#[test]
fn who_has_joined_is_recorded_and_played_again() {
    let mut server = Server::with(session_only).serves_nobody_after();
    server.hub.record(true).expect("nothing came in yet");
    let mut told: Vec<String> = Vec::new();
    let mut take = |hub: &mut Hub| told.extend(all(hub).iter().map(|action| format!("{action:?}")));
    assert_eq!(join(&mut server, "/own", &[("Host", "h"), ("X", "\u{e9}")], None), Err(Refusal::NoSession));
    let echo = join(&mut server, "/echo", &[("Host", "h")], None).expect("there is room");
    let own = join(&mut server, "/own", &[], Some("nobody's \"")).expect("the store is asked");
    take(&mut server.hub);
    server.hub.handle(server.now(), Event::Message { client: echo.client, kind: Kind::Binary, bytes: b"\0\xff" });
    server.hub.send(server.now(), echo.client, Payload::Text("back"));
    take(&mut server.hub);
    server.hub.handle(server.now(), Event::Closed { socket: echo.socket });
    take(&mut server.hub);
    server.hub.handle(server.now(), Event::Tick);

    let recording = server.hub.take_record();
    let mut lines = recording.lines().map(|line| Line::parse(line).expect(line));
    let mut same = config();
    session_only(&mut same);
    let mut again = Hub::from_record(same.clone(), &lines.next().expect("it begins")).expect("the same");
    let mut played = Vec::new();
    for line in lines {
        let see = |_: &Hub, it| {
            if let Played::Action(action) = it {
                played.push(format!("{action:?}"));
            }
        };
        again.replay(&line, see).expect("it goes as it went");
    }
    assert_eq!(played, told);

    let mut lines = recording.lines().map(|line| Line::parse(line).expect(line));
    let mut again = Hub::from_record(same, &lines.next().expect("it begins")).expect("the same");
    let mut explainers = [Explainer::new(echo.socket), Explainer::new(own.socket)];
    for line in lines {
        Explainer::play_all(&mut explainers, &mut again, &line).expect("it goes as it went");
    }
    let [echo, own] = explainers.map(|mut explainer| explainer.take());
    assert!(echo.contains("it was read elsewhere: a WebSocket at /echo\n"), "{echo}");
    assert!(echo.contains("its client has left: peer\n") && echo.contains("it is closed\n"), "{echo}");
    assert!(own.contains("it is closed with 1008 \"A login is needed first.\"\n"), "{own}");
}
