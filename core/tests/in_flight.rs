//! What is queued when a session ends does not cross, whatever its socket was doing; and no socket is written to from
//! the millisecond on in which its session's time is over.

mod harness;

use harness::{SESSION_ENDED, START_MS, Server, handshake, wire};
use tethered_core::config::Store;
use tethered_core::hub::{Action, Event, Message, Notice, Payload, To, Who};
use tethered_core::ids::{CallId, ClientId, SocketId};
use tethered_core::session::{Answer, Cause, Op, Record};

const TIMEOUT_MS: u64 = 60_000;
/// When a session that begins at once and is never renewed ends: 13 ms before the timer that tells so.
const DEADLINE_MS: u64 = START_MS + 3 + TIMEOUT_MS;

fn server() -> Server {
    let mut server = Server::with(|config| config.session.timeout_ms = TIMEOUT_MS);
    server.wait(3);
    server
}

/// The clock goes to so many ms before the deadline.
fn near(server: &mut Server, before_ms: u64) {
    server.wait(TIMEOUT_MS - before_ms - server.passed_ms() + 3);
}

fn publish(server: &mut Server) -> usize {
    let now = server.now();
    let receivers = server.hub.publish(now, To::Destination("/topic/a"), &Message { body: b"x", ..Message::default() });
    server.work();
    receivers
}

fn subscribed(server: &mut Server, cookie: &str) -> SocketId {
    let socket = server.stomp(cookie);
    server.say(socket, "SUBSCRIBE", &[("id", "0"), ("destination", "/topic/a")], "");
    socket
}

fn client_of(server: &mut Server) -> ClientId {
    let joined = server.seen().into_iter().find_map(|action| match action {
        Action::Joined { client, .. } => Some(client),
        _ => None,
    });
    joined.expect("somebody joined")
}

type Closing = (&'static str, &'static [(&'static str, &'static str)], u16);

/// How a socket comes to be closing while its session lives: what is said, and the code of the Close that follows.
const CLOSINGS: [Closing; 4] = [
    ("DISCONNECT", &[("receipt", "bye")], 1000),
    ("DISCONNECT", &[], 1000),
    ("SEND", &[], 1002),
    ("BEGIN", &[("transaction", "t"), ("receipt", "r")], 1002),
];

// --- a socket that is closing for another reason

#[test]
fn what_a_closing_socket_has_queued_ends_with_the_session() {
    for (command, headers, code) in CLOSINGS {
        let mut server = server();
        let cookie = server.log_in("rob");
        let socket = subscribed(&mut server, &cookie);
        let client = client_of(&mut server);
        // Half a frame is out, another is queued behind it.
        server.stall(socket, 20);
        publish(&mut server);
        publish(&mut server);
        server.say(socket, command, headers, "");
        assert_eq!(server.left().len(), 1, "{command}");
        server.log_out(&cookie);
        assert_eq!((server.left(), server.ended()), (vec![], vec![]), "it was told once, by {command}");
        assert!(!server.hub.has_client(client));
        server.unstall(socket);
        let frames = server.frames(socket);
        assert!(
            matches!(&frames[..], [begun, close] if begun.is_message()
            && close.close() == Some((code, String::new()))),
            "{command}: {frames:?}"
        );
        assert!(server.is_shut(socket));
    }
}

#[test]
fn a_frame_that_was_not_begun_is_not_begun_any_more() {
    for (command, headers, code) in CLOSINGS {
        let mut server = server();
        let cookie = server.log_in("rob");
        let socket = subscribed(&mut server, &cookie);
        server.stall(socket, 0);
        publish(&mut server);
        server.say(socket, command, headers, "");
        server.log_out(&cookie);
        server.unstall(socket);
        let frames = server.frames(socket);
        assert!(
            matches!(&frames[..], [close] if close.close() == Some((code, String::new()))),
            "{command}: {frames:?}"
        );
    }
}

#[test]
fn a_close_is_said_once_however_much_of_it_is_out() {
    let mut server = server();
    let mut farewell = |written: Option<usize>| {
        let cookie = server.log_in("rob");
        let socket = server.stomp(&cookie);
        if let Some(written) = written {
            server.stall(socket, written);
        }
        server.say(socket, "DISCONNECT", &[("receipt", "bye")], "");
        server.log_out(&cookie);
        server.unstall(socket);
        let output = server.output(socket);
        server.hang_up(socket);
        output
    };
    let whole = farewell(None);
    let close = whole.len() - 4;
    assert_eq!(whole[close..], [0x88, 2, 0x03, 0xe8]);
    for written in 0..=whole.len() {
        // RECEIPT, if it was begun, and Close 1000.
        let expected = if written == 0 { &whole[close..] } else { &whole[..] };
        assert_eq!(farewell(Some(written)), expected, "{written} bytes were out");
    }
}

#[test]
fn what_a_closing_socket_has_queued_ends_with_the_time_of_the_session() {
    let mut server = server();
    let cookie = server.log_in("rob");
    let socket = subscribed(&mut server, &cookie);
    near(&mut server, 1);
    server.stall(socket, 20);
    publish(&mut server);
    publish(&mut server);
    server.say(socket, "DISCONNECT", &[("receipt", "bye")], "");
    server.jump_to(DEADLINE_MS);
    server.tick();
    server.unstall(socket);
    assert_eq!(server.output(socket).len(), 20, "held, since nobody knows yet");
    server.wait(17);
    assert!(server.is_shut(socket));
}

#[test]
fn a_closing_socket_that_is_read_in_time_gets_all_of_it() {
    let mut server = server();
    let cookie = server.log_in("rob");
    let socket = subscribed(&mut server, &cookie);
    server.stall(socket, 20);
    publish(&mut server);
    publish(&mut server);
    server.say(socket, "DISCONNECT", &[("receipt", "bye")], "");
    assert_eq!(publish(&mut server), 0, "its subscriptions are gone");
    server.let_through(socket, 40);
    assert_eq!(server.hub.stats().sessions, 1, "it is still under its session");
    server.unstall(socket);
    assert_eq!(server.hub.stats().sessions, 0, "and no longer");
    server.log_out(&cookie);
    let frames = server.frames(socket);
    assert!(
        matches!(&frames[..], [one, two, receipt, close] if one.is_message() && two.is_message()
        && receipt.is_message() && close.close() == Some((1000, String::new()))),
        "{frames:?}"
    );
    assert!(server.is_shut(socket));
}

#[test]
fn who_is_closing_is_nobody_to_the_application() {
    let mut server = server();
    let cookie = server.log_in("rob");
    let socket = subscribed(&mut server, &cookie);
    let client = client_of(&mut server);
    server.stall(socket, 0);
    publish(&mut server);
    server.say(socket, "DISCONNECT", &[], "");
    assert_eq!(server.left(), [Cause::Peer]);
    let now = server.now();
    assert!(!server.hub.has_client(client) && server.hub.session_of(client).is_none());
    server.hub.send(now, client, Payload::Text("x"));
    server.hub.answer(now, client, "/app/a", "0", &Message::default());
    server.hub.handle(now, Event::Activity { client });
    assert_eq!(server.hub.end(now, Who::Client(client), Cause::Revoked), 0);
    assert_eq!(server.hub.end(now, Who::User("rob"), Cause::Revoked), 0, "nobody there, but the session ends");
    server.work();
    assert_eq!(server.left(), []);
    server.unstall(socket);
    let frames = server.frames(socket);
    assert!(matches!(&frames[..], [close] if close.close() == Some((1000, String::new()))), "{frames:?}");
}

// --- to the millisecond

#[test]
fn a_publish_at_the_deadline_does_not_reach_the_socket() {
    for early_ms in [1, 0] {
        let mut server = server();
        let rob = server.log_in("rob");
        let own = subscribed(&mut server, &rob);
        near(&mut server, 30_000);
        let luke = server.log_in("luke");
        let other = subscribed(&mut server, &luke);
        near(&mut server, 10);
        server.jump_to(DEADLINE_MS - early_ms);
        publish(&mut server);
        assert_eq!(server.heard(own).len() as u64, early_ms, "{early_ms} ms before the deadline");
        assert_eq!(server.heard(other).len(), 1);
        server.wait(13 + early_ms);
        assert_eq!(server.close_frame(own), Some((1008, SESSION_ENDED.to_owned())));
    }
}

#[test]
fn what_was_announced_before_the_deadline_is_not_lent_after_it() {
    for (late_ms, lent) in [(0, true), (1, false), (2, false)] {
        let mut server = server();
        let cookie = server.log_in("rob");
        let socket = subscribed(&mut server, &cookie);
        near(&mut server, 1);
        server.stall(socket, 0);
        publish(&mut server);
        server.jump_to(DEADLINE_MS - 1 + late_ms);
        server.tick();
        assert_eq!(server.hub.output(socket).count() > 0, lent, "{late_ms} ms later");
        server.unstall(socket);
        assert_eq!(server.heard(socket).len(), usize::from(lent));
    }
}

#[test]
fn what_was_queued_after_the_deadline_is_announced_once_it_may_pass() {
    // A question is open when the deadline passes, and its answer is there before the timer.
    for open in ["touch", "join"] {
        let (mut server, socket) = bound(10);
        let deadline = server.now().mono.as_millis() + 10;
        assert_eq!(deadline % 16, 6, "the timer is 10 ms later");
        if open == "touch" {
            server.say(socket, "SEND", &[("destination", "/app/a")], "");
        } else {
            let other = server.open();
            server.send(other, handshake("/stomp", COOKIE).as_bytes());
        }
        server.jump_to(deadline);
        server.pause();
        publish(&mut server);
        let told = |action| matches!(action, Action::Write { socket: of, .. } if of == socket);
        assert!(!std::iter::from_fn(|| server.hub.poll()).any(told), "nobody is told to write what is not lent");
        server.resume();
        server.say(socket, "SEND", &[("destination", "/topic/a")], "held too");
        assert_eq!(server.output(socket), b"", "{open}: held");
        answer_all(&mut server, TIMEOUT_MS);
        server.say(socket, "SEND", &[("destination", "/topic/a")], "later");
        let heard: Vec<_> = server.heard(socket).into_iter().map(|frame| frame.body).collect();
        assert_eq!(heard, [&b"x"[..], b"held too", b"later"], "{open}");
    }
}

#[test]
fn who_came_in_vain_after_the_deadline_is_told_of_what_is_left() {
    // The socket can be written again after the deadline, and before the answer that ends the session, or before it is
    // closed since too much waits for it.
    for (slow, code) in [(false, 1008), (true, 4500)] {
        let (mut server, socket) = bound(10);
        server.say(socket, "SEND", &[("destination", "/app/a")], "");
        let calls = asked(&mut server);
        server.stall(socket, 20);
        publish(&mut server);
        server.jump_to(server.now().mono.as_millis() + 11);
        server.tick();
        server.unstall(socket);
        let begun = server.output(socket);
        assert_eq!(begun.len(), 20, "held");
        if slow {
            let body = vec![b'x'; 512 * 1024];
            let message = Message { body: &body, ..Message::default() };
            server.hub.publish(server.now(), To::Destination("/topic/a"), &message);
            server.work();
        } else {
            answer(&mut server, calls[0], Answer::Gone);
        }
        let frames = wire::frames(&[begun, server.output(socket)].concat());
        assert!(
            matches!(&frames[..], [begun, close] if begun.is_message()
            && close.close().is_some_and(|(is, _)| is == code)),
            "{frames:?}"
        );
        assert!(server.is_shut(socket));
    }
}

#[test]
fn a_closing_socket_is_held_in_doubt_and_goes_on_after_it() {
    for alive in [true, false] {
        let (mut server, socket) = bound(TIMEOUT_MS);
        server.stall(socket, 0);
        publish(&mut server);
        server.say(socket, "DISCONNECT", &[("receipt", "bye")], "");
        server.hub.handle(server.now(), Event::Notice { session: "abc", notice: Notice::Deleted });
        server.work();
        server.unstall(socket);
        assert_eq!(server.output(socket), b"", "held");
        if alive {
            answer_all(&mut server, TIMEOUT_MS);
        } else {
            let call = asked(&mut server).pop().expect("it is checked");
            answer(&mut server, call, Answer::Gone);
        }
        let frames = server.frames(socket);
        assert_eq!(frames.len(), if alive { 3 } else { 1 }, "{frames:?}");
        assert_eq!(frames.last().and_then(wire::Frame::close), Some((1000, String::new())));
        assert!(server.is_shut(socket));
    }
}

/// A server whose store is elsewhere, and rob's STOMP conversation under a session that has just been vouched for.
fn bound(ttl_ms: u64) -> (Server, SocketId) {
    let mut server = Server::with(|config| config.store = Store::External).serves_nobody_after();
    let rob = server.open();
    server.send(rob, handshake("/stomp", COOKIE).as_bytes());
    answer_all(&mut server, TIMEOUT_MS);
    assert_eq!(server.answer(rob).status, 101);
    server.answer_pings(rob);
    server.say(rob, "CONNECT", &[("accept-version", "1.2")], "");
    server.say(rob, "SUBSCRIBE", &[("id", "0"), ("destination", "/topic/a")], "");
    assert_eq!(server.heard(rob).len(), 1);
    server.wait(1_100);
    answer_all(&mut server, ttl_ms);
    (server, rob)
}

/// The store answers that the session is alive, until it is asked nothing more.
fn answer_all(server: &mut Server, ttl_ms: u64) {
    loop {
        let calls = asked(server);
        if calls.is_empty() {
            return;
        }
        for call in calls {
            let record = Record { id: "abc".into(), principal: Some("rob".into()), attributes: Vec::new() };
            answer(server, call, Answer::Alive { ttl_ms: Some(ttl_ms), record: Some(Box::new(record)) });
        }
    }
}

fn answer(server: &mut Server, call: CallId, answer: Answer) {
    server.hub.handle(server.now(), Event::Answer { call, answer });
    server.work();
}

/// The questions that the store was asked since the last time.
fn asked(server: &mut Server) -> Vec<CallId> {
    let call = |action| match action {
        Action::Session { call, op: Op::Load { .. } | Op::Check { .. } | Op::Touch { .. } } => call,
        _ => None,
    };
    server.seen().into_iter().filter_map(call).collect()
}

const COOKIE: &str = "Cookie: SESSION=YWJj\r\n";

// --- what was written when something was due

#[test]
fn who_takes_something_when_it_would_be_too_late_is_in_time() {
    for part in [1, 7, usize::MAX] {
        let mut server = Server::default();
        let cookie = server.log_in("rob");
        let socket = subscribed(&mut server, &cookie);
        server.frames(socket);
        server.stall(socket, 0);
        publish(&mut server);
        // SEND_TIME is over while the embedder writes, and nobody has told the hub yet.
        let waiting: Vec<u8> = server.hub.output(socket).flatten().copied().collect();
        let len = part.min(waiting.len());
        server.jump_to(server.passed_ms() + START_MS + 10_020);
        let now = server.now();
        server.hub.handle(now, Event::Sent { socket, len });
        server.unstall(socket);
        let frames = wire::frames(&[&waiting[..len], &server.output(socket)].concat());
        assert!(matches!(&frames[..], [message] if message.is_message()), "{len} of {}: {frames:?}", waiting.len());
        assert!(!server.is_closed(socket));
    }
}

#[test]
fn what_was_taken_is_not_taken_from_the_close_that_is_due() {
    let mut server = Server::with(|config| config.limits.first_message_ms = 30_000);
    let cookie = server.log_in("rob");
    let socket = server.ws("/stomp", &cookie);
    server.leave_pings(socket);
    server.stall(socket, 0);
    server.wait(26_000);
    let ping: Vec<u8> = server.hub.output(socket).flatten().copied().collect();
    assert_eq!(ping, b"\x89\x00");
    // FIRST_MSG.
    server.jump_to(server.passed_ms() + START_MS + 6_000);
    let now = server.now();
    server.hub.handle(now, Event::Sent { socket, len: ping.len() });
    server.unstall(socket);
    let frames = server.frames(socket);
    assert!(matches!(&frames[..], [close] if close.close().is_some()), "{frames:?}");
}

#[test]
fn what_several_sockets_took_is_noted_before_anything_comes_of_it() {
    let mut server = server();
    let cookie = server.log_in("rob");
    let sockets = [(); 3].map(|()| subscribed(&mut server, &cookie));
    near(&mut server, 1);
    for socket in sockets {
        server.frames(socket);
        // It is looked at from the middle of a frame on.
        server.leave_pings(socket);
        server.stall(socket, 0);
    }
    assert_eq!(publish(&mut server), 3);
    let waiting = sockets.map(|socket| server.hub.output(socket).flatten().copied().collect::<Vec<u8>>());
    let sent: Vec<_> = sockets.into_iter().zip(&waiting).map(|(socket, bytes)| (socket, bytes.len() - 1)).collect();
    server.jump_to(DEADLINE_MS + 20);
    let now = server.now();
    server.hub.sent(now, &sent);
    for ((socket, len), waiting) in sent.into_iter().zip(&waiting) {
        server.unstall(socket);
        let frames = wire::frames(&[&waiting[..len], &server.output(socket)].concat());
        assert!(
            matches!(&frames[..], [message, close] if message.is_message()
                && close.close() == Some((1008, SESSION_ENDED.to_owned()))),
            "{frames:?}"
        );
    }
}
