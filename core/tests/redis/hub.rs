//! A hub beside whoever else changes its sessions: what happens to its sockets, and when.

use base64::Engine;
use tethered_core::hub::Change;
use tethered_core::hub::record::Line;
use tethered_core::ids::SocketId;
use tethered_core::session::spring::{Config, Layout};
use tethered_core::session::{Cause, Detector};

use super::node::Node;
use super::resp::{Client, Server};
use super::truth::store;
use super::values::Form;
use super::wire;

const A: &str = "11111111-1111-4111-8111-111111111111";
const B: &str = "22222222-2222-4222-8222-222222222222";
const NS: &str = "spring:session:sessions:";

pub(crate) fn indexed() -> Config {
    Config { layout: Layout::Indexed, ..Config::default() }
}

/// As Spring leaves a session that somebody logged in to just now.
pub(crate) fn log_in(client: &mut Client, id: &str, seconds: i32) {
    store(client, id, Form::Java, 0, seconds);
    client.run(&format!("PEXPIRE {NS}{id} {}", seconds * 1_000 + 300_000));
    let ttl = (seconds * 1_000).to_string();
    client.call(&[b"SET", format!("{NS}expires:{id}").as_bytes(), b"", b"PX", ttl.as_bytes()]);
}

/// In effect what Spring does at a logout.
fn log_out(client: &mut Client, id: &str) {
    let none = super::values::integer(Form::Java, 0);
    client.call(&[b"HSET", format!("{NS}{id}").as_bytes(), b"maxInactiveInterval", &none]);
    client.run(&format!("DEL {NS}expires:{id}"));
    client.run(&format!("PEXPIRE {NS}{id} 300000"));
}

pub(crate) fn shake(node: &mut Node, id: &str) -> SocketId {
    let socket = node.open();
    let cookie = base64::engine::general_purpose::STANDARD.encode(id);
    let head = format!(
        "GET /stomp HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nCookie: SESSION={cookie}\r\n\r\n"
    );
    node.send(socket, head.as_bytes());
    socket
}

fn status(node: &mut Node, socket: SocketId) -> u16 {
    let bytes = node.take(socket);
    wire::Answer::parse(&bytes).map_or(0, |(answer, _)| answer.status)
}

/// An open STOMP conversation under this session.
pub(crate) fn talk(node: &mut Node, id: &str) -> SocketId {
    let socket = shake(node, id);
    assert_eq!(status(node, socket), 101);
    node.send(socket, &wire::text(wire::stomp("CONNECT", &[("accept-version", "1.2"), ("host", "x")], b"")));
    let frames = wire::frames(&node.take(socket));
    assert!(frames[0].payload.starts_with(b"CONNECTED"), "{frames:?}");
    socket
}

pub(crate) fn speak(node: &mut Node, socket: SocketId) {
    node.send(socket, &wire::text(wire::stomp("SEND", &[("destination", "/app/a")], b"x")));
}

/// The code of the Close that came.
pub(crate) fn code(node: &mut Node, socket: SocketId) -> Option<u16> {
    wire::frames(&node.take(socket)).last().and_then(|frame| frame.close()).map(|(code, _)| code)
}

pub(crate) fn has_out(node: &Node, socket: SocketId) -> bool {
    node.out.contains_key(&socket.to_raw())
}

#[test]
fn a_logout_elsewhere_closes_at_once_and_is_put_down_to_its_notice() {
    let server = Server::start();
    let client = &mut server.connect();
    for scripts in [true, false] {
        client.run("FLUSHALL");
        let mut node = Node::new(&server, Config { scripts, ..indexed() });
        log_in(client, A, 60);
        let socket = talk(&mut node, A);
        log_out(client, A);
        let took = node.until(1_000, |node| has_out(node, socket));
        assert_eq!(code(&mut node, socket), Some(1008));
        let [ended] = &node.ended[..] else { panic!("{:?}", node.ended) };
        assert_eq!((ended.cause, ended.detector, ended.sockets), (Cause::Deleted, Detector::Notice, 1));
        // 100 ms is the promise on an idle machine; 50 of them are the second look.
        println!("closed after {took} ms");
        assert_eq!(node.alarms, Vec::<String>::new());
    }
}

#[test]
fn what_is_sent_renews_and_what_is_received_does_not() {
    let server = Server::start();
    let client = &mut server.connect();
    log_in(client, A, 60);
    let mut node = Node::with(&server, indexed(), |config| config.session.touch_interval_ms = 0);
    let socket = talk(&mut node, A);
    client.run(&format!("PEXPIRE {NS}expires:{A} 30000"));
    node.send(socket, &wire::ping(b""));
    node.send(socket, &wire::text("\n"));
    assert!(client.int(&format!("PTTL {NS}expires:{A}")) <= 30_000);
    node.pass(5);
    speak(&mut node, socket);
    node.pass(20);
    assert!(client.int(&format!("PTTL {NS}expires:{A}")) > 59_000);
    // Many, as fast as they come: each is a touch at most, and the session stays whole.
    let before = node.sent.len();
    for _ in 0..2_000 {
        speak(&mut node, socket);
    }
    assert!(node.sent.len() > before);
    assert_eq!(client.int(&format!("HLEN {NS}{A}")), 4);
    assert_eq!(node.delivered, 2_001);
    assert_eq!(node.alarms, Vec::<String>::new());
}

/// Redis does not expire by itself, and announces nothing: the own deadline finds it.
#[test]
fn r04_an_expiry_that_nobody_announces_is_found_within_a_second() {
    let server = Server::start();
    let client = &mut server.connect();
    client.run("DEBUG SET-ACTIVE-EXPIRE 0");
    for layout in [Layout::Indexed, Layout::Plain] {
        client.run("FLUSHALL");
        let mut node = Node::new(&server, Config { layout, ..Config::default() });
        store(client, A, Form::Java, 0, 1);
        client.run(&format!("PEXPIRE {NS}{A} {}", if layout == Layout::Plain { 1_000 } else { 301_000 }));
        if layout == Layout::Indexed {
            client.call(&[b"SET", format!("{NS}expires:{A}").as_bytes(), b"", b"PX", b"1000"]);
        }
        // The handshake renews it: it ends a second from now.
        let socket = talk(&mut node, A);
        node.take(socket);
        let took = node.until(2_500, |node| has_out(node, socket));
        assert_eq!(code(&mut node, socket), Some(1008));
        assert_eq!(node.ended.pop().map(|ended| ended.cause), Some(Cause::Expired), "after {took} ms");
    }
}

#[test]
fn who_renames_is_followed() {
    let server = Server::start();
    let client = &mut server.connect();
    log_in(client, A, 60);
    let mut node = Node::new(&server, indexed());
    let socket = talk(&mut node, A);
    client.run(&format!("RENAME {NS}{A} {NS}{B}"));
    client.run(&format!("RENAME {NS}expires:{A} {NS}expires:{B}"));
    node.pass(1_500);
    assert!(node.ended.is_empty(), "{:?}", node.ended);
    client.run(&format!("PEXPIRE {NS}expires:{B} 30000"));
    speak(&mut node, socket);
    node.pass(1_100);
    assert!(client.int(&format!("PTTL {NS}expires:{B}")) > 58_000);
    assert_eq!(client.int(&format!("EXISTS {NS}{A} {NS}expires:{A}")), 0);
    log_out(client, B);
    node.until(1_000, |node| has_out(node, socket));
    assert_eq!(code(&mut node, socket), Some(1008));
}

/// A login at Spring: the browser has the new cookie, and uses it, before we hear of the rename.
#[test]
fn who_renames_is_followed_also_if_the_new_id_is_known_by_then() {
    let server = Server::start();
    let client = &mut server.connect();
    for scripts in [true, false] {
        client.run("FLUSHALL");
        log_in(client, A, 60);
        let mut node = Node::new(&server, Config { scripts, ..indexed() });
        let first = talk(&mut node, A);
        client.run(&format!("RENAME {NS}{A} {NS}{B}"));
        client.run(&format!("RENAME {NS}expires:{A} {NS}expires:{B}"));
        let second = talk(&mut node, B);
        node.pass(1_500);
        assert!(node.ended.is_empty(), "{:?}", node.ended);
        assert_eq!(node.hub.stats().sessions, 1);
        client.run(&format!("PEXPIRE {NS}expires:{B} 30000"));
        speak(&mut node, first);
        node.pass(1_100);
        assert!(client.int(&format!("PTTL {NS}expires:{B}")) > 58_000);
        log_out(client, B);
        node.until(1_000, |node| has_out(node, first) && has_out(node, second));
        assert_eq!((code(&mut node, first), code(&mut node, second)), (Some(1008), Some(1008)));
    }
}

/// Nobody hears of it: it is found by the look, and cannot be told from an end.
#[test]
fn a_rename_that_is_not_heard_of_closes() {
    let server = Server::start();
    let client = &mut server.connect();
    log_in(client, A, 60);
    let mut node = Node::new(&server, indexed());
    let socket = talk(&mut node, A);
    node.go_deaf();
    node.pass(20);
    client.run(&format!("RENAME {NS}{A} {NS}{B}"));
    node.ahead_ms += 10_100;
    node.until(3_000, |node| has_out(node, socket));
    assert_eq!(code(&mut node, socket), Some(1008));
    assert_eq!(node.ended[0].cause, Cause::Rotated);
}

/// No notice exists of these: the look finds them.
#[test]
fn r05_what_nobody_announces_is_found_by_the_look() {
    let server = Server::start();
    for done in ["FLUSHALL", "SWAPDB 0 1", "SET spring:session:sessions:11111111-1111-4111-8111-111111111111 x"] {
        let client = &mut server.connect();
        client.run("FLUSHALL");
        log_in(client, A, 600);
        let mut node = Node::new(&server, indexed());
        let socket = talk(&mut node, A);
        // All that it said has been told.
        node.pass(1_200);
        client.run(done);
        node.pass(100);
        assert!(node.ended.is_empty(), "{done}");
        node.ahead_ms += 60_000;
        node.until(3_000, |node| has_out(node, socket));
        assert_eq!(code(&mut node, socket), Some(1008), "{done}");
        assert_eq!(node.ended[0].detector, Detector::Sweep, "{done}");
    }
}

/// Spring deletes the key of a session that never ends, at each save.
#[test]
fn c12_a_session_that_never_ends_is_never_closed() {
    let server = Server::start();
    let client = &mut server.connect();
    log_in(client, A, 60);
    let mut node = Node::new(&server, indexed());
    let socket = talk(&mut node, A);
    store(client, A, Form::Java, 0, -1);
    for _ in 0..5 {
        client.run(&format!("SET {NS}expires:{A} x"));
        client.run(&format!("PEXPIRE {NS}expires:{A} -1000"));
        node.pass(100);
    }
    node.ahead_ms += 3_600_000;
    node.pass(200);
    assert!(node.ended.is_empty() && !has_out(&node, socket), "{:?}", node.ended);
    speak(&mut node, socket);
    node.pass(1_100);
    assert_eq!(client.int(&format!("PTTL {NS}{A}")), -1);
    assert_eq!(node.delivered, 1);
}

/// Forged, stale and doubled notices of a living session.
#[test]
fn r06_notices_are_no_proof() {
    let server = Server::start();
    let client = &mut server.connect();
    log_in(client, A, 60);
    let mut node = Node::new(&server, indexed());
    let socket = talk(&mut node, A);
    for _ in 0..20 {
        for event in ["expired", "del", "evicted", "rename_from"] {
            client.run(&format!("PUBLISH __keyevent@0__:{event} {NS}expires:{A}"));
            client.run(&format!("PUBLISH __keyevent@0__:{event} {NS}{A}"));
        }
        node.pass(2);
    }
    node.pass(100);
    assert!(node.ended.is_empty(), "{:?}", node.ended);
    speak(&mut node, socket);
    assert_eq!(node.delivered, 1);
}

/// Others' sessions end: not one command.
#[test]
fn sessions_of_others_cost_no_command() {
    let server = Server::start();
    let client = &mut server.connect();
    log_in(client, A, 60);
    let mut node = Node::new(&server, indexed());
    talk(&mut node, A);
    node.pass(50);
    let before = node.sent.len();
    for i in 0..500 {
        log_in(client, &format!("other-{i}"), 60);
        log_out(client, &format!("other-{i}"));
    }
    node.pass(100);
    assert_eq!(node.sent[before..], Vec::<String>::new());
    assert!(node.hub.stats().notices >= 500);
}

/// Away and back: what ended meanwhile is closed, what lives is not; handshakes meanwhile are told to come again.
#[test]
fn r01_what_ended_while_the_store_was_away_is_closed_when_it_is_back() {
    let server = Server::start();
    let client = &mut server.connect();
    log_in(client, A, 60);
    log_in(client, B, 60);
    let mut node = Node::new(&server, indexed());
    let (gone, stays) = (talk(&mut node, A), talk(&mut node, B));
    node.disconnect();
    let refused = shake(&mut node, B);
    assert_eq!(status(&mut node, refused), 503);
    log_out(client, A);
    speak(&mut node, stays);
    node.pass(100);
    assert!(node.ended.is_empty());
    assert_eq!(node.delivered, 1);
    node.connect(&server);
    let took = node.until(6_000, |node| has_out(node, gone));
    assert_eq!(code(&mut node, gone), Some(1008), "after {took} ms");
    node.pass(2_000);
    assert_eq!(node.ended.len(), 1);
    speak(&mut node, stays);
    assert_eq!(node.delivered, 2);
}

/// Nothing crosses after the deadline that was last known; after `blind` it is given up, and not as ended.
#[test]
fn r11_away_for_too_long() {
    let server = Server::start();
    let client = &mut server.connect();
    log_in(client, A, 60);
    let mut node = Node::new(&server, indexed());
    let socket = talk(&mut node, A);
    node.pass(20);
    node.disconnect();
    node.ahead_ms += 61_000;
    node.tick();
    speak(&mut node, socket);
    assert_eq!(node.delivered, 0);
    node.ahead_ms += 240_000;
    node.pass(50);
    assert_eq!(code(&mut node, socket), Some(1013));
    assert_eq!(node.ended[0].cause, Cause::StoreLost);
}

/// What is done at the hub is seen in Redis, and the other way round.
#[test]
fn login_and_logout_at_the_hub() {
    let server = Server::start();
    let client = &mut server.connect();
    let mut node = Node::new(&server, indexed());
    node.change = Change::Login { principal: "rob".into(), attributes: vec![] };
    let page = node.open();
    node.send(page, b"GET /login HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let bytes = node.take(page);
    let (answer, _) = wire::Answer::parse(&bytes).expect("an answer");
    let cookie = answer.header("set-cookie").expect("a cookie").strip_prefix("SESSION=").expect("its name");
    let cookie = cookie.split(';').next().expect("its value").to_owned();
    let id =
        String::from_utf8(base64::engine::general_purpose::STANDARD.decode(&cookie).expect("Base64")).expect("an id");
    assert_eq!(client.int(&format!("EXISTS {NS}{id} {NS}expires:{id}")), 2);
    let socket = talk(&mut node, &id);
    node.change = Change::End;
    node.send(page, format!("GET /logout HTTP/1.1\r\nHost: localhost\r\nCookie: SESSION={cookie}\r\n\r\n").as_bytes());
    assert_eq!(code(&mut node, socket), Some(1008));
    assert_eq!(client.int(&format!("EXISTS {NS}expires:{id}")), 0);
    assert_eq!(node.ended[0].cause, Cause::LoggedOut);
    assert_eq!(node.alarms, Vec::<String>::new());
}

/// Handshakes against logouts: no socket is left open.
#[test]
fn a_handshake_racing_a_logout_leaves_nobody_behind() {
    let server = Server::start();
    let client = &mut server.connect();
    let mut node = Node::new(&server, indexed());
    for round in 0..2_000 {
        let id = format!("race-{round}");
        log_in(client, &id, 60);
        let socket = if round % 2 == 0 {
            log_out(client, &id);
            shake(&mut node, &id)
        } else {
            let socket = shake(&mut node, &id);
            log_out(client, &id);
            socket
        };
        if round % 3 == 0 {
            node.tick();
        }
        let _ = socket;
    }
    node.pass(500);
    assert_eq!((node.hub.stats().clients, node.hub.stats().sessions), (0, 0));
}

/// The recording of all that is played again to the same end.
#[test]
fn a_recording_with_a_redis_in_it_is_played_again() {
    let server = Server::start();
    let client = &mut server.connect();
    log_in(client, A, 60);
    let mut node = Node::new(&server, indexed());
    let socket = talk(&mut node, A);
    speak(&mut node, socket);
    node.go_deaf();
    node.pass(10);
    log_out(client, A);
    node.ahead_ms += 10_100;
    node.until(3_000, |node| has_out(node, socket));
    let text = node.hub.take_record();
    let mut lines = text.lines().map(|line| Line::parse(line).expect("a line"));
    let mut config = tethered_core::config::Config {
        store: tethered_core::config::Store::Spring(indexed()),
        ..tethered_core::config::Config::default()
    };
    config.limits.ping_every_ms = 86_400_000;
    config.limits.per_session = 100_000;
    config.limits.per_address = 100_000;
    let mut again =
        tethered_core::hub::Hub::from_record(config, &lines.next().expect("a first line")).expect("the same");
    for line in lines {
        again.replay(&line, |_, _| {}).expect("the same hub");
    }
    assert_eq!(again.stats(), node.hub.stats());
    for word in ["connected commands", "disconnected notices", "notification 0", "reply "] {
        assert!(text.contains(word), "{word}");
    }
}
