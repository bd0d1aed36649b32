//! What hostile cookies and the ends of sessions lead to, case by case: C01 to C16, and the promise itself.

mod harness;

use std::sync::Arc;

use harness::store::{alive, asked, assert_ended, base64, bound, external, question, reply};
use harness::{SESSION_ENDED, Server, handshake, wire};
use tethered_core::config::Store;
use tethered_core::http::{Encoding, Response};
use tethered_core::hub::{Action, Change, Event, Message, Notice, To, Who};
use tethered_core::ids::SocketId;
use tethered_core::session::{Answer, Cause, Detector, Op};

fn publish(server: &mut Server) -> usize {
    let now = server.now();
    let receivers = server.hub.publish(now, To::Destination("/topic/a"), &Message { body: b"x", ..Message::default() });
    server.work();
    receivers
}

// --- the promise, on the embedded store

fn sixty_seconds() -> Server {
    Server::with(|config| config.session.timeout_ms = 60_000)
}

fn subscribed(server: &mut Server, cookie: &str) -> SocketId {
    let socket = server.stomp(cookie);
    server.say(socket, "SUBSCRIBE", &[("id", "0"), ("destination", "/topic/a"), ("receipt", "r")], "");
    assert_eq!(server.heard(socket).len(), 1);
    socket
}

#[test]
fn nobody_types_for_60_s_and_both_are_out() {
    let mut server = sixty_seconds();
    let (rob, luke) = (server.log_in("rob"), server.log_in("luke"));
    let sockets = [subscribed(&mut server, &rob), subscribed(&mut server, &luke)];
    server.seen();
    server.wait(59_999);
    assert!(sockets.iter().all(|socket| server.close_code(*socket).is_none()));
    server.wait(17);
    assert!(server.passed_ms() <= 60_016);
    let ended = server.ended();
    assert_eq!(ended.len(), 2);
    for end in &ended {
        assert_eq!((end.cause, end.detector, end.sockets), (Cause::Expired, Detector::Notice, 1));
        assert!(end.late_ms <= 16, "{end:?}");
    }
    assert_ended(&mut server, &sockets);
}

#[test]
fn one_message_each_30_s_and_still_in() {
    let mut server = sixty_seconds();
    let cookie = server.log_in("rob");
    let socket = subscribed(&mut server, &cookie);
    for _ in 0..6 {
        server.wait(30_000);
        server.say(socket, "SEND", &[("destination", "/topic/a")], "still here");
        assert_eq!(server.heard(socket).len(), 1);
    }
    // And out a timeout after the last of them, to the tick.
    server.wait(59_999);
    assert_eq!(server.heard(socket), []);
    server.wait(17);
    assert_ended(&mut server, &[socket]);
}

#[test]
fn a_burst_of_messages_winds_up_to_the_last_of_them() {
    let mut server = sixty_seconds();
    let cookie = server.log_in("rob");
    let socket = subscribed(&mut server, &cookie);
    server.wait(10_000);
    for _ in 0..10 {
        server.wait(70);
        server.say(socket, "SEND", &[("destination", "/app/a")], "x");
    }
    server.wait(59_999);
    assert_eq!(server.frames(socket).iter().filter(|frame| frame.first == 0x88).count(), 0);
    server.wait(17);
    assert_eq!(server.close_code(socket), Some(1008));
}

#[test]
fn only_receiving_and_out_after_60_s() {
    let mut server = sixty_seconds();
    let (rob, luke) = (server.log_in("rob"), server.log_in("luke"));
    let (sender, receiver) = (subscribed(&mut server, &rob), subscribed(&mut server, &luke));
    for second in 1..60 {
        server.wait(1_000);
        server.say(sender, "SEND", &[("destination", "/topic/a")], "for luke");
        assert_eq!(server.heard(receiver).len(), 1, "after {second} s");
    }
    server.wait(1_016);
    assert_ended(&mut server, &[receiver]);
    assert_eq!(publish(&mut server), 1, "rob is still in");
}

#[test]
fn logout_closes_each_socket_of_that_session_and_no_other() {
    let mut server = Server::default();
    let (here, elsewhere, luke) = (server.log_in("rob"), server.log_in("rob"), server.log_in("luke"));
    let own = [subscribed(&mut server, &here), subscribed(&mut server, &here)];
    let kept = [subscribed(&mut server, &elsewhere), subscribed(&mut server, &luke)];
    server.seen();
    server.log_out(&here);
    let ended = server.ended();
    assert_eq!(ended.len(), 1);
    assert_eq!((ended[0].cause, ended[0].late_ms, ended[0].sockets), (Cause::LoggedOut, 0, 2));
    assert_ended(&mut server, &own);
    assert_eq!(publish(&mut server), 2);
    for socket in kept {
        assert_eq!(server.heard(socket)[0].command, "MESSAGE");
    }
    assert_eq!(server.ask(&handshake("/stomp", &format!("Cookie: {here}\r\n"))).status, 401);
}

#[test]
fn log_out_everywhere_else() {
    let mut server = Server::default();
    let cookies = [server.log_in("rob"), server.log_in("rob"), server.log_in("rob"), server.log_in("luke")];
    let sockets = cookies.clone().map(|cookie| subscribed(&mut server, &cookie));
    let (now, first) = (server.now(), client_of(&mut server, "rob"));
    let (id, _) = server.hub.session_of(first).expect("a session");
    let ended = server.hub.end(now, Who::UserExcept { principal: "rob", session: &id }, Cause::Revoked);
    server.work();
    assert_eq!(ended, 2);
    let closed: Vec<_> = sockets.map(|socket| server.close_code(socket)).into_iter().flatten().collect();
    assert_eq!(closed, [1008, 1008]);
    assert_eq!(publish(&mut server), 2);
}

/// The first client of a user that has joined.
fn client_of(server: &mut Server, user: &str) -> tethered_core::ids::ClientId {
    let joined = server.seen().into_iter().find_map(|action| match action {
        Action::Joined { client, principal: Some(principal), .. } if &*principal == user => Some(client),
        _ => None,
    });
    joined.expect("somebody of that name")
}

#[test]
fn nothing_crosses_after_the_end_not_even_what_was_in_flight() {
    let mut server = Server::default();
    let (rob, luke) = (server.log_in("rob"), server.log_in("luke"));
    let (own, other) = (subscribed(&mut server, &rob), subscribed(&mut server, &luke));
    // Half a frame is out; others are queued; half a message is in.
    server.stall(own, 20);
    publish(&mut server);
    publish(&mut server);
    let half = wire::text(wire::stomp("SEND", &[("destination", "/app/late")], b"in flight"));
    server.send(own, &half[..half.len() - 3]);
    server.log_out(&rob);
    server.seen();
    server.send(own, &half[half.len() - 3..]);
    assert_eq!(publish(&mut server), 1);
    server.unstall(own);
    let frames = server.frames(own);
    assert_eq!(frames.len(), 2, "the frame that was begun, and the Close: {frames:?}");
    assert_eq!(frames[1].close(), Some((1008, SESSION_ENDED.to_owned())));
    assert_eq!(server.delivered(), []);
    assert_eq!(server.heard(other).len(), 3);
}

#[test]
fn the_deadline_counts_even_before_the_timer_fires() {
    let mut server = sixty_seconds();
    let cookie = server.log_in("rob");
    let socket = subscribed(&mut server, &cookie);
    server.seen();
    let deadline = harness::START_MS + 60_000;
    server.jump_to(deadline - 1);
    server.say(socket, "SEND", &[("destination", "/app/a")], "in time");
    assert_eq!(server.delivered().len(), 1);
    let deadline = deadline - 1 + 60_000;
    server.jump_to(deadline);
    server.say(socket, "SEND", &[("destination", "/app/a")], "too late");
    assert_eq!(server.delivered(), []);
    server.wait(16);
    assert_eq!(server.close_frame(socket), Some((1008, SESSION_ENDED.to_owned())));
}

// --- C

#[test]
fn c01_ids_that_leave_the_alphabet_or_the_length() {
    let mut server = external();
    let long = "x".repeat(129);
    for id in ["expires:1", "a:b", "*", "{a}", "a b", "a\r\nb", "a\0b", "../a", "a/b", "é", "", &long] {
        let socket = server.open();
        server.send(socket, handshake("/stomp", &format!("Cookie: SESSION={}\r\n", base64(id))).as_bytes());
        assert_eq!(server.answer(socket).status, 401, "{id:?}");
        server.send(
            socket,
            format!("GET / HTTP/1.1\r\nHost: localhost\r\nCookie: SESSION={}\r\n\r\n", base64(id)).as_bytes(),
        );
        assert!(server.request_of(socket).session.is_none(), "{id:?}");
        assert_eq!(asked(&mut server), [], "{id:?}");
    }
    let longest = "x".repeat(128);
    let socket = server.open();
    server.send(socket, handshake("/stomp", &format!("Cookie: SESSION={}\r\n", base64(&longest))).as_bytes());
    assert_eq!(question(&mut server).1, Op::Load { id: Arc::from(longest) });
}

#[test]
fn c02_broken_base64_and_the_bare_id() {
    let mut server = external();
    for value in ["MTIz=", "MTI", "M", "MT Iz", "MTIz!", "=", "0d6a2ab5-5f1b-4a48-9b10-7a4a1a0b6f5c", "%4dTIz"] {
        let answer = server.ask(&handshake("/stomp", &format!("Cookie: SESSION={value}\r\n")));
        assert_eq!((answer.status, asked(&mut server)), (401, vec![]), "{value}");
    }
    let mut plain = Server::with(|config| {
        config.store = Store::External;
        config.session.encoding = Encoding::Plain;
    })
    .serves_nobody_after();
    let socket = plain.open();
    plain.send(socket, handshake("/stomp", "Cookie: SESSION=0d6a2ab5\r\n").as_bytes());
    assert_eq!(question(&mut plain).1, Op::Load { id: "0d6a2ab5".into() });
}

#[test]
fn c03_the_first_live_one_of_the_first_four() {
    let mut server = Server::default();
    let live = server.log_in("rob");
    let value = live.strip_prefix("SESSION=").expect("its name").to_owned();
    for place in 0..6 {
        let mut values: Vec<_> = (0..6).map(|i| base64(&format!("dead-{i}"))).collect();
        values[place].clone_from(&value);
        let cookies: Vec<_> = values.iter().map(|value| format!("SESSION={value}")).collect();
        let status = server.ask(&handshake("/stomp", &format!("Cookie: {}\r\n", cookies.join("; ")))).status;
        assert_eq!(status, if place < 4 { 101 } else { 401 }, "in place {place}");
        // The same for a request that is no handshake.
        let socket = server.open();
        server.send(socket, format!("GET / HTTP/1.1\r\nHost: a\r\nCookie: {}\r\n\r\n", cookies.join("; ")).as_bytes());
        assert_eq!(server.request_of(socket).session.is_some(), place < 4, "in place {place}");
    }
}

#[test]
fn c04_quotes_and_versions_mean_nothing() {
    let mut server = Server::default();
    let live = server.log_in("rob");
    for (cookies, status) in [
        (format!("$Version=1; {live}; $Path=/"), 101),
        (format!("a=\"x; {live}; b=y\""), 101),
        (format!("a=\"; {live}"), 101),
        (live.replace('=', "=\"") + "\"", 401),
        (format!("a=b, {live}"), 401),
        (format!("x{live}"), 401),
        (live.to_lowercase(), 401),
    ] {
        assert_eq!(server.ask(&handshake("/stomp", &format!("Cookie: {cookies}\r\n"))).status, status, "{cookies}");
    }
}

#[test]
fn c05_cookies_too_large_or_too_many() {
    let mut server = Server::default();
    let live = server.log_in("rob");
    let sized = |bytes: usize| format!("{live}; a={}", "x".repeat(bytes - live.len() - 4));
    let many = |pairs: usize| format!("{live}{}", "; a=b".repeat(pairs - 1));
    for (cookies, status) in [(sized(8_192), 101), (sized(8_193), 431), (many(64), 101), (many(65), 431)] {
        let answer = server.ask(&handshake("/stomp", &format!("Cookie: {cookies}\r\n")));
        assert_eq!(answer.status, status, "{} bytes", cookies.len());
    }
    // Over several headers they count together.
    let halves = format!("Cookie: {}\r\nCookie: {}\r\n", many(33), "a=b; ".repeat(32));
    assert_eq!(server.ask(&handshake("/stomp", &halves)).status, 431);
}

#[test]
fn c06_an_id_from_a_client_is_never_created() {
    let mut server = Server::default();
    let fixed = format!("SESSION={}", base64("fixed-by-an-attacker"));
    assert_eq!(server.ask(&handshake("/stomp", &format!("Cookie: {fixed}\r\n"))).status, 401);
    let mut seen = Vec::new();
    for _ in 0..100 {
        let fresh = server.log_in_with("rob", &format!("Cookie: {fixed}\r\n"));
        assert!(fresh != fixed && !seen.contains(&fresh), "{fresh}");
        seen.push(fresh);
    }
    assert_eq!(server.ask(&handshake("/stomp", &format!("Cookie: {fixed}\r\n"))).status, 401, "still nobody's");
}

#[test]
fn c07_the_id_changes_at_login() {
    let mut server = Server::default();
    let before = server.log_in("rob");
    let socket = subscribed(&mut server, &before);
    // The same user again: the socket follows the new id.
    let after = server.log_in_with("rob", &format!("Cookie: {before}\r\n"));
    assert_ne!(before, after);
    assert_eq!(
        server.ask(&handshake("/stomp", &format!("Cookie: {before}\r\n"))).status,
        401,
        "the old id is nobody's"
    );
    server.say(socket, "SEND", &[("destination", "/topic/a")], "x");
    assert_eq!(server.heard(socket)[0].command, "MESSAGE");
    server.log_out(&after);
    assert_ended(&mut server, &[socket]);
    // Another user: what was opened as the first one is not the second one's.
    let rob = server.log_in("rob");
    let socket = subscribed(&mut server, &rob);
    server.seen();
    server.log_in_with("luke", &format!("Cookie: {rob}\r\n"));
    assert_eq!(server.left(), [Cause::Rotated]);
    assert_ended(&mut server, &[socket]);
}

#[test]
fn c08_the_session_ends_while_the_upgrade_is_under_way() {
    let mut server = external();
    let socket = server.open();
    server.send(socket, handshake("/stomp", &format!("Cookie: SESSION={}\r\n", base64("s"))).as_bytes());
    let (call, _) = question(&mut server);
    let now = server.now();
    server.hub.handle(now, Event::Notice { session: "s", notice: Notice::Deleted });
    // The answer was on its way before the end: it is not believed.
    reply(&mut server, call, alive("s", Some("rob"), Some(60_000)));
    assert_eq!(server.output(socket), b"");
    let (call, op) = question(&mut server);
    assert_eq!(op, Op::Load { id: "s".into() });
    reply(&mut server, call, Answer::Gone);
    assert_eq!(server.answer(socket).status, 401);
}

#[test]
fn c08_the_session_ends_right_after_the_upgrade() {
    let mut server = external();
    let socket = bound(&mut server, "s", Some(60_000));
    let now = server.now();
    server.hub.handle(now, Event::Notice { session: "s", notice: Notice::Deleted });
    server.work();
    let (call, _) = question(&mut server);
    // Until the store has spoken nothing crosses.
    server.say(socket, "SEND", &[("destination", "/app/a")], "x");
    publish(&mut server);
    assert_eq!(server.output(socket), b"");
    reply(&mut server, call, Answer::Gone);
    let frames = server.frames(socket);
    assert!(matches!(&frames[..], [close] if close.close() == Some((1008, SESSION_ENDED.to_owned()))), "{frames:?}");
    assert_eq!(server.delivered(), []);
}

#[test]
fn c08_what_waited_while_the_store_was_asked_goes_on() {
    // The message is announced before the doubt, or comes during it; the store takes a moment, or very long.
    for (before, wait_ms) in [(true, 0), (false, 0), (true, 1_900), (true, 30_000), (false, 30_000)] {
        let mut server = external();
        let socket = bound(&mut server, "s", Some(600_000));
        server.pause();
        if before {
            publish(&mut server);
        }
        let now = server.now();
        server.hub.handle(now, Event::Notice { session: "s", notice: Notice::Deleted });
        if !before {
            publish(&mut server);
        }
        server.resume();
        assert_eq!(server.output(socket), b"", "held");
        server.say(socket, "SEND", &[("destination", "/app/a")], "held too");
        // The store is asked again and again until it has something to say.
        let mut left_ms = wait_ms;
        while left_ms > 0 {
            let step = left_ms.min(500);
            server.wait(step);
            left_ms -= step;
        }
        let mut open = asked(&mut server);
        if wait_ms > 2_000 {
            open.clear();
        }
        while open.is_empty() {
            server.wait(100);
            open = asked(&mut server);
        }
        let (call, _) = open.pop().expect("a question");
        reply(&mut server, call.expect("an answer is wanted"), Answer::Alive { ttl_ms: Some(600_000), record: None });
        let frames = server.frames(socket);
        assert!(matches!(&frames[..], [message] if message.is_message()), "{before} {wait_ms}: {frames:?}");
        assert_eq!(server.delivered().len(), 1, "{before} {wait_ms}");
    }
}

#[test]
fn c09_the_touch_finds_that_it_is_gone() {
    let mut server = external();
    let socket = bound(&mut server, "s", Some(60_000));
    server.wait(5_000);
    server.seen();
    server.say(socket, "SEND", &[("destination", "/app/a")], "before anybody knew");
    let seen = server.seen();
    let call = seen.iter().find_map(|action| match action {
        Action::Session { call: Some(call), op: Op::Touch { .. } } => Some(*call),
        _ => None,
    });
    reply(&mut server, call.expect("a touch, at once"), Answer::Gone);
    let ended = server.ended();
    assert_eq!((ended[0].cause, ended[0].detector), (Cause::Deleted, Detector::Touch));
    assert_ended(&mut server, &[socket]);
}

#[test]
fn c09_no_notice_and_no_message_either() {
    let mut server = external();
    let socket = bound(&mut server, "s", None);
    server.wait(5_100);
    let (call, op) = question(&mut server);
    assert_eq!(op, Op::Check { id: "s".into() });
    reply(&mut server, call, Answer::Gone);
    assert_eq!(server.ended()[0].detector, Detector::Sweep);
    assert_eq!(server.close_code(socket), Some(1008));
}

#[test]
fn c10_a_session_never_comes_back() {
    let mut server = Server::default();
    let cookie = server.log_in("rob");
    let socket = subscribed(&mut server, &cookie);
    server.say(socket, "SEND", &[("destination", "/topic/a")], "a touch that waits is dropped with its session");
    server.log_out(&cookie);
    server.say(socket, "SEND", &[("destination", "/topic/a")], "x");
    server.wait(5_000);
    assert_eq!(server.hub.memory().map(tethered_core::session::memory::Memory::len), Some(0));
    // A request with the cookie of a dead session renews nothing either.
    let other = server.open();
    server.send(other, format!("GET / HTTP/1.1\r\nHost: a\r\nCookie: {cookie}\r\n\r\n").as_bytes());
    assert!(server.request_of(other).session.is_none());
    assert_eq!(server.hub.memory().map(tethered_core::session::memory::Memory::len), Some(0));
}

#[test]
fn c10_a_logout_answered_by_a_page_that_was_asked_for_before() {
    let mut server = Server::default();
    let cookie = server.log_in("rob");
    // Two requests of one session are under way; the first ends it, the second logs in.
    let (one, two) = (server.open(), server.open());
    for socket in [one, two] {
        server.send(socket, format!("GET / HTTP/1.1\r\nHost: a\r\nCookie: {cookie}\r\n\r\n").as_bytes());
    }
    server.respond(one, Response::new(204), Change::End);
    server.respond(two, Response::new(204), Change::Login { principal: "rob".into(), attributes: Vec::new() });
    assert!(server.answer(one).header("set-cookie").is_some_and(|cookie| cookie.contains("Max-Age=0")));
    let fresh = server.answer(two);
    let fresh = fresh.header("set-cookie").and_then(|cookie| cookie.split(';').next()).expect("a cookie");
    assert_ne!(fresh, cookie);
    assert_eq!(server.ask(&handshake("/stomp", &format!("Cookie: {fresh}\r\n"))).status, 101);
    assert_eq!(server.ask(&handshake("/stomp", &format!("Cookie: {cookie}\r\n"))).status, 401);
}

#[test]
fn c11_a_session_without_a_principal() {
    let mut server = external();
    let socket = server.open();
    server.send(socket, handshake("/stomp", &format!("Cookie: SESSION={}\r\n", base64("s"))).as_bytes());
    let (call, _) = question(&mut server);
    reply(&mut server, call, alive("s", None, Some(60_000)));
    assert_eq!(server.answer(socket).status, 401);
    // One that loses it, or becomes another's, while sockets are bound.
    for principal in [None, Some("luke")] {
        let socket = bound(&mut server, "t", Some(60_000));
        let other = server.open();
        server.send(other, handshake("/stomp", &format!("Cookie: SESSION={}\r\n", base64("t"))).as_bytes());
        let (call, op) = question(&mut server);
        assert_eq!(op, Op::Load { id: "t".into() });
        reply(&mut server, call, alive("t", principal, Some(60_000)));
        assert_eq!(server.close_frame(socket), Some((1008, SESSION_ENDED.to_owned())), "{principal:?}");
        // Whose it is now is let in; his cookie is as good as the first one's was.
        let status = if principal.is_some() { 101 } else { 401 };
        for (call, _) in asked(&mut server) {
            reply(&mut server, call.expect("an answer is wanted"), alive("t", principal, Some(60_000)));
        }
        assert_eq!(server.answer(other).status, status);
        server.hang_up(other);
    }
}

#[test]
fn c12_no_time_at_all_and_no_end_at_all() {
    let mut server = external();
    let socket = bound(&mut server, "for-ever", None);
    for _ in 0..60 {
        server.wait(86_400_000 / 60);
        for (call, op) in asked(&mut server) {
            assert!(matches!(op, Op::Check { .. }), "{op:?}");
            reply(&mut server, call.expect("an answer is wanted"), Answer::Alive { ttl_ms: None, record: None });
        }
    }
    server.frames(socket);
    let other = server.open();
    server.send(other, handshake("/stomp", &format!("Cookie: SESSION={}\r\n", base64("zero"))).as_bytes());
    let (call, _) = question(&mut server);
    reply(&mut server, call, Answer::Gone);
    assert_eq!(server.answer(other).status, 401);
}

#[test]
fn c13_what_renews_and_what_does_not() {
    let ping = wire::ping(b"p");
    let pong = wire::pong(b"p");
    let beat = wire::text("\n");
    let frame = |command: &str, headers: &[(&str, &str)]| wire::text(wire::stomp(command, headers, b""));
    for (what, bytes, renews) in [
        ("a ping", ping, false),
        ("a pong", pong, false),
        ("a heart-beat", beat, false),
        ("SEND", frame("SEND", &[("destination", "/app/a")]), true),
        ("SUBSCRIBE", frame("SUBSCRIBE", &[("id", "0"), ("destination", "/topic/a")]), true),
        ("UNSUBSCRIBE", frame("UNSUBSCRIBE", &[("id", "0")]), true),
    ] {
        let mut server = sixty_seconds();
        let cookie = server.log_in("rob");
        let socket = server.stomp(&cookie);
        for _ in 0..8 {
            server.wait(15_000);
            server.send(socket, &bytes);
        }
        let closed = server.frames(socket).iter().any(|frame| frame.first == 0x88);
        assert_eq!(closed, !renews, "{what}");
    }
    // CONNECT renews, and so does the handshake; DISCONNECT does not.
    let mut server = sixty_seconds();
    let cookie = server.log_in("rob");
    server.wait(50_000);
    let socket = server.ws("/stomp", &cookie);
    server.wait(50_000);
    server.say(socket, "CONNECT", &[("accept-version", "1.2")], "");
    server.wait(50_000);
    assert_eq!(server.heard(socket).len(), 1);
    server.say(socket, "DISCONNECT", &[], "");
    server.wait(10_016);
    assert_eq!(server.ask(&handshake("/stomp", &format!("Cookie: {cookie}\r\n"))).status, 401);
}

#[test]
fn c14_ids_in_what_logs_are_made_of() {
    let mut server = Server::default();
    let cookie = server.log_in("rob");
    let socket = subscribed(&mut server, &cookie);
    let now = server.now();
    let client = client_of(&mut server, "rob");
    let (id, _) = server.hub.session_of(client).expect("a session");
    server.hub.end(now, Who::Session(&id), Cause::Revoked);
    server.work();
    let ended = server.ended();
    assert!(ended[0].session.iter().all(u8::is_ascii_hexdigit), "{ended:?}");
    let shown = String::from_utf8_lossy(&ended[0].session).into_owned();
    assert!(!id.contains(&shown), "no part of the id: {shown} of {id}");
    assert!(!format!("{ended:?}").contains(&*id));
    assert_eq!(server.close_code(socket), Some(1008));
}

#[test]
fn c16_sockets_of_one_session_at_the_limit_and_one_beyond() {
    let mut server = Server::default();
    let (rob, luke) = (server.log_in("rob"), server.log_in("rob"));
    let head = handshake("/stomp", &format!("Cookie: {rob}\r\n"));
    let sockets: Vec<_> = (0..64).map(|_| server.ws("/stomp", &rob)).collect();
    let answer = server.ask(&head);
    assert_eq!((answer.status, answer.header("retry-after").is_some()), (429, true));
    assert_eq!(
        server.ask(&handshake("/stomp", &format!("Cookie: {luke}\r\n"))).status,
        101,
        "another session has its own"
    );
    server.hang_up(sockets[7]);
    assert_eq!(server.ask(&head).status, 101);
    assert_eq!(server.ask(&head).status, 429);
}
