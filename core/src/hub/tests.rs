//! What only the inside can tell.

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use bytes::{Bytes, BytesMut};

use super::*;
use crate::http;
use crate::stomp::{Command, Encoder, Version};
use crate::time::UnixMillis;
use crate::ws;

fn at(ms: u64) -> Now {
    Now { mono: Instant::from_millis(ms), wall: UnixMillis::from_millis(ms) }
}

fn settle(hub: &mut Hub, now: Now) {
    while let Some(action) = hub.poll() {
        match action {
            Action::Write { socket, .. } => hub.handle(now, Event::Sent { socket, len: usize::MAX }),
            Action::Request { socket, .. } => {
                let attributes = vec![("csrf".into(), Bytes::from_static(b"secret"))];
                let session = Change::Login { principal: "rob".into(), attributes };
                hub.respond(now, socket, Response { http: http::Response::new(204), session });
                let head: Vec<u8> = hub.output(socket).flatten().copied().collect();
                hub.handle(now, Event::Sent { socket, len: usize::MAX });
                let head = String::from_utf8(head).expect("a head");
                let cookie = head.split("SESSION=").nth(1).and_then(|rest| rest.split(';').next()).expect("a cookie");
                let handshake = alloc::format!(
                    "GET /stomp HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
                     Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nCookie: SESSION={cookie}\r\n\r\n"
                );
                hub.handle(now, Event::Received { socket, bytes: &mut handshake.into_bytes() });
            }
            _ => {}
        }
    }
}

fn say(hub: &mut Hub, now: Now, socket: SocketId, command: Command, headers: &[(&str, &str)]) {
    let (mut frame, mut bytes) = (BytesMut::new(), Vec::new());
    Encoder::new(Version::V1_2).frame(&mut frame, command, headers.iter().copied(), b"");
    ws::write_masked_frame(&mut bytes, true, ws::Opcode::Text, [1, 2, 3, 4], &frame);
    hub.handle(now, Event::Received { socket, bytes: &mut bytes });
    settle(hub, now);
}

#[test]
fn what_is_kept_for_every_client_is_small() {
    assert_eq!((size_of::<Option<Socket>>(), size_of::<Option<Client>>()), (64, 36));
    assert_eq!(size_of::<Option<sessions::Bound>>(), 72);
}

#[test]
fn a_busy_client_leaves_no_timers_behind() {
    let mut hub = Hub::new(Config::default(), [9; 16], at(0)).expect("a valid configuration");
    let socket = hub.open(at(0), Open { token: 0, address: None, secure: false }).expect("room");
    let login = &mut b"GET / HTTP/1.1\r\nHost: h\r\n\r\n".to_owned();
    hub.handle(at(0), Event::Received { socket, bytes: login });
    settle(&mut hub, at(0));
    say(&mut hub, at(0), socket, Command::Connect, &[("accept-version", "1.2"), ("host", "h")]);
    say(&mut hub, at(0), socket, Command::Subscribe, &[("id", "0"), ("destination", "/topic/x")]);
    let mut most = 0;
    for step in 1..3_000 {
        let now = at(step * 300);
        hub.handle(now, Event::Tick);
        say(&mut hub, now, socket, Command::Send, &[("destination", "/topic/x")]);
        most = most.max(hub.wheel.len());
    }
    assert_eq!(hub.stats().clients, 1);
    assert!(most <= 8, "{most} timers for one client");
}

#[test]
fn the_token_of_connect_is_held_until_then_and_no_longer() {
    let token = crate::config::ConnectToken { header: "token".to_owned(), attributes: vec!["csrf".to_owned()] };
    for last in ["connect", "close", "hang up"] {
        let mut config = Config::default();
        config.session.connect_token = Some(token.clone());
        let mut hub = Hub::new(config, [9; 16], at(0)).expect("a valid configuration");
        let socket = hub.open(at(0), Open { token: 0, address: None, secure: false }).expect("room");
        let login = &mut b"GET / HTTP/1.1\r\nHost: h\r\n\r\n".to_owned();
        hub.handle(at(0), Event::Received { socket, bytes: login });
        settle(&mut hub, at(0));
        let holds = |hub: &Hub| hub.sockets.slot(socket.slot()).and_then(|it| it.cold.as_ref()).is_some();
        assert!(holds(&hub));
        match last {
            "connect" => {
                let masked = crate::session::csrf::mask(b"secret", b"random");
                let headers = [("accept-version", "1.2"), ("token", &*masked)];
                say(&mut hub, at(0), socket, Command::Connect, &headers);
                assert_eq!(hub.stats().violations, 0);
                assert!(hub.clients.slot(0).is_some_and(|client| client.phase == socket::Phase::Joined));
            }
            "close" => {
                let mut close = Vec::new();
                ws::write_masked_frame(&mut close, true, ws::Opcode::Close, [1, 2, 3, 4], b"");
                hub.handle(at(0), Event::Received { socket, bytes: &mut close });
                settle(&mut hub, at(0));
            }
            _ => {
                hub.handle(at(0), Event::Closed { socket });
                assert!(hub.pool.iter().all(|cold| cold.token.is_none()));
            }
        }
        assert!(!holds(&hub), "after {last}");
    }
}

fn logged_in(hub: &mut Hub, token: u64) -> SocketId {
    let socket = hub.open(at(0), Open { token, address: None, secure: false }).expect("room");
    let login = &mut b"GET / HTTP/1.1\r\nHost: h\r\n\r\n".to_owned();
    hub.handle(at(0), Event::Received { socket, bytes: login });
    settle(hub, at(0));
    say(hub, at(0), socket, Command::Connect, &[("accept-version", "1.2"), ("host", "h")]);
    say(hub, at(0), socket, Command::Subscribe, &[("id", "0"), ("destination", "/topic/x")]);
    socket
}

#[test]
fn a_publisher_waits_while_much_is_to_be_handed_out_and_nothing_is_lost() {
    let mut hub = Hub::new(Config::default(), [9; 16], at(0)).expect("a valid configuration");
    let sockets: Vec<SocketId> = (0..40).map(|token| logged_in(&mut hub, token)).collect();
    let (mut frame, mut bytes) = (BytesMut::new(), Vec::new());
    Encoder::new(Version::V1_2).frame(&mut frame, Command::Send, [("destination", "/topic/x")], b"");
    ws::write_masked_frame(&mut bytes, true, ws::Opcode::Text, [1, 2, 3, 4], &frame);
    let before = hub.stats().delivered;
    let (mut sent, mut off) = (0, false);
    // Two reads: the first fills the backlog, the second has to wait.
    for _ in 0..2 {
        hub.handle(at(1), Event::Received { socket: sockets[0], bytes: &mut bytes.repeat(300) });
        sent += 300;
    }
    assert!(hub.jobs.len() <= 300, "{} publications wait", hub.jobs.len());
    while let Some(action) = hub.poll() {
        off |= matches!(action, Action::Reading { socket, on: false, .. } if socket == sockets[0]);
    }
    assert!(off, "the publisher must no longer be read");
    while hub.next_deadline().is_some_and(|(due, _)| due <= at(1).mono) {
        hub.handle(at(1), Event::Tick);
        while let Some(action) = hub.poll() {
            match action {
                Action::Reading { on, .. } => off = !on,
                Action::Write { socket, .. } => hub.handle(at(1), Event::Sent { socket, len: usize::MAX }),
                _ => {}
            }
        }
    }
    assert!(!off, "and is read again once that is done");
    assert_eq!(hub.stats().delivered - before, sent * 40);
}

#[test]
fn slow_readers_of_many_frames_leave_no_room_behind_in_the_pool() {
    let mut hub = Hub::new(Config::default(), [9; 16], at(0)).expect("a valid configuration");
    let sockets: Vec<SocketId> = (0..8).map(|token| logged_in(&mut hub, token)).collect();
    let pooled = |hub: &Hub| hub.pool.iter().map(|cold| cold.output.room()).sum::<usize>();
    let before = pooled(&hub);
    for _ in 0..2_000 {
        let message = Message { content_type: None, headers: &[], body: b"x" };
        assert_eq!(hub.publish(at(0), To::Destination("/topic/x"), &message), sockets.len());
    }
    let cold = |socket: &SocketId| hub.sockets.slot(socket.slot()).and_then(|it| it.cold.as_ref());
    let busy: usize = sockets.iter().filter_map(cold).map(|cold| cold.output.room()).sum();
    settle(&mut hub, at(0));
    assert_eq!((hub.stats().buffered_bytes, hub.stats().slow), (0, 0));
    assert!(hub.pool.len() >= sockets.len());
    assert!(busy > sockets.len() * 64 * 1024, "{busy} bytes while they were slow");
    let more = pooled(&hub) - before;
    assert!(more <= sockets.len() * 4 * 1024, "{more} bytes more, of {busy}");
}

#[test]
fn what_a_wide_message_needed_is_kept_for_a_while_and_then_given_up() {
    let mut hub = Hub::new(Config::default(), [9; 16], at(0)).expect("a valid configuration");
    let count = 1_100;
    (0..count).for_each(|token| _ = logged_in(&mut hub, token));
    let few = hub.pool.len();
    let message = Message { content_type: None, headers: &[], body: b"x" };
    hub.publish(at(1), To::Destination("/topic/x"), &message);
    while hub.jobs.has_work() {
        hub.handle(at(1), Event::Tick);
    }
    settle(&mut hub, at(1));
    let many = hub.pool.len();
    assert!(few < 100 && many >= count as usize, "{few} before it, {many} behind it");
    // What it needed was needed within the first minute, and not in the second.
    hub.handle(at(60_001), Event::Tick);
    assert!(hub.pool.len() >= 1_050, "{}", hub.pool.len());
    settle(&mut hub, at(60_001));
    hub.handle(at(120_001), Event::Tick);
    assert!(hub.pool.len() <= 1_024, "{}", hub.pool.len());
}
