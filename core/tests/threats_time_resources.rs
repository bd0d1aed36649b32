//! What time and want of resources lead to, case by case: T01 to T06, E01 to E08, and O01 as far as it is the hub's.

mod harness;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::net::{IpAddr, Ipv4Addr};

use harness::wire::{self, Answer, Frame};
use harness::{SESSION_ENDED, START_MS, Server, config, handshake};
use tethered_core::config::Config;
use tethered_core::http::Response;
use tethered_core::hub::{Action, Change, Message, Payload, To, Who};
use tethered_core::ids::SocketId;
use tethered_core::session::Cause;

/// Counts the bytes that this thread holds: a test has a thread of its own.
struct Counting;

thread_local! {
    static HELD: Cell<isize> = const { Cell::new(0) };
}

// SAFETY: every call goes to the system's allocator unchanged; counting touches a thread-local integer only.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let _ = HELD.try_with(|held| held.set(held.get() + layout.size() as isize));
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        let _ = HELD.try_with(|held| held.set(held.get() - layout.size() as isize));
        // SAFETY: `at` came from `alloc` above with this layout.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

fn held() -> isize {
    HELD.with(Cell::get)
}

fn sixty_seconds() -> Server {
    Server::with(|config| config.session.timeout_ms = 60_000)
}

/// Room for a crowd from one address.
fn crowd(config: &mut Config) {
    config.limits.per_session = u32::MAX;
    config.limits.per_address = u32::MAX;
    config.limits.total = 200_000;
}

fn subscribe(server: &mut Server, socket: SocketId) {
    server.say(socket, "SUBSCRIBE", &[("id", "0"), ("destination", "/topic/a"), ("receipt", "r")], "");
    assert_eq!(server.heard(socket).len(), 1);
}

fn publish(server: &mut Server, body: &[u8]) -> usize {
    let now = server.now();
    server.hub.publish(now, To::Destination("/topic/a"), &Message { body, ..Message::default() })
}

fn closed_with(server: &mut Server, socket: SocketId) -> Option<u16> {
    server.frames(socket).iter().find_map(Frame::close).map(|(code, _)| code)
}

// --- T

#[test]
fn t01_the_wall_clock_jumps() {
    const MONTH_MS: u64 = 30 * 86_400_000;
    let mut server = sixty_seconds();
    let cookie = server.log_in("rob");
    let socket = server.stomp(&cookie);
    let ahead = 1_704_067_200_000;
    for (i, wall) in
        [ahead + 3_600_000, ahead - 3_600_000, ahead + MONTH_MS, ahead - MONTH_MS, 0, u64::MAX].iter().enumerate()
    {
        server.set_wall_ms(*wall);
        server.wait(9_000);
        assert_eq!(closed_with(&mut server, socket), None, "nothing closed, jump {i}");
    }
    server.wait(5_999);
    assert_eq!(closed_with(&mut server, socket), None);
    server.wait(17);
    assert_eq!(closed_with(&mut server, socket), Some(1008), "nothing kept");
    server.set_wall_ms(ahead);
}

#[test]
fn t03_the_driver_sleeps() {
    let mut server = sixty_seconds();
    let first = server.log_in("first");
    let first = server.stomp(&first);
    server.wait(10_000);
    let second = server.log_in("second");
    let second = server.stomp(&second);
    server.wait(2_000);
    let silent = server.open();
    server.seen();
    // All of it is due: the head, both sessions.
    server.jump_to(START_MS + 100_000);
    server.tick();
    while let Some((due, _)) = server.hub.next_deadline()
        && due.as_millis() <= START_MS + 100_000
    {
        server.tick();
    }
    let ended: Vec<_> = server.ended().into_iter().map(|end| (end.principal, end.late_ms)).collect();
    assert_eq!(ended.len(), 2);
    assert_eq!(ended[0].0.as_deref(), Some("first"), "in order");
    assert_eq!(ended[1].0.as_deref(), Some("second"));
    assert_eq!((closed_with(&mut server, first), closed_with(&mut server, second)), (Some(1008), Some(1008)));
    assert_eq!(server.answer(silent).status, 408);
}

#[test]
fn t03_a_peer_is_not_taken_for_gone_since_the_driver_slept() {
    let mut server = Server::default();
    let socket = server.ws("/echo", "");
    server.leave_pings(socket);
    server.jump_to(START_MS + 300_000);
    server.tick();
    assert_eq!(server.output(socket), b"\x89\x00", "it is asked first");
    server.wait(19_000);
    assert!(!server.is_closed(socket));
    server.send(socket, &wire::pong(b""));
    server.wait(20_000);
    assert!(!server.is_closed(socket));
}

#[test]
fn t03_time_handed_in_backwards() {
    let mut server = sixty_seconds();
    let cookie = server.log_in("rob");
    let socket = server.stomp(&cookie);
    server.wait(50_000);
    server.jump_to(START_MS - 900_000);
    for _ in 0..10 {
        server.tick();
        server.say(socket, "SUBSCRIBE", &[("id", "0"), ("destination", "/topic/a")], "");
    }
    // It was renewed at 50 s, which is what the clock stands at until it gets there again.
    server.jump_to(START_MS + 50_000);
    server.wait(59_999);
    assert_eq!(closed_with(&mut server, socket), None);
    server.wait(17);
    assert_eq!(closed_with(&mut server, socket), Some(1008));
}

#[test]
fn t04_times_near_the_end_of_the_clock() {
    // Until the clock stands still everything is as ever.
    let mut server = Server::starting_at(u64::MAX - 10_000_000, config());
    let cookie = server.log_in("rob");
    let socket = server.stomp(&cookie);
    subscribe(&mut server, socket);
    server.wait(1_000_000);
    assert_eq!(publish(&mut server, b"x"), 1);
    server.work();
    assert_eq!(server.heard(socket).len(), 1);
    server.log_out(&cookie);
    assert_eq!(closed_with(&mut server, socket), Some(1008));
    // Where it does, times saturate, and nothing panics or goes round in circles.
    for before_the_end in [0, 1, 15, 16, 17, 10_000, 59_999, 100_000] {
        let mut server = Server::starting_at(u64::MAX - before_the_end, config());
        let cookie = server.log_in("rob");
        for head in [handshake("/stomp", &format!("Cookie: {cookie}\r\n")), handshake("/echo", "")] {
            let socket = server.open();
            server.send(socket, head.as_bytes());
            server.send(socket, &wire::text(wire::stomp("CONNECT", &[("heart-beat", "1000,1000")], b"")));
        }
        server.open();
        server.wait(before_the_end / 2);
        publish(&mut server, b"x");
        server.wait(u64::MAX);
        let now = server.now();
        server.hub.drain(now);
        server.serves_nobody_after();
    }
}

#[test]
fn t05_a_message_at_the_very_deadline() {
    for (before, lives) in [(1, true), (0, false)] {
        let mut server = sixty_seconds();
        let cookie = server.log_in("rob");
        let socket = server.stomp(&cookie);
        server.seen();
        server.jump_to(START_MS + 60_000 - before);
        server.say(socket, "SEND", &[("destination", "/app/a")], "x");
        let delivered = server.delivered().len();
        server.wait(16);
        let closed = closed_with(&mut server, socket);
        assert_eq!((delivered, closed), if lives { (1, None) } else { (0, Some(1008)) }, "{before} ms before it");
    }
}

#[test]
fn t06_10_000_deadlines_in_one_millisecond() {
    let mut server = Server::with(|config| {
        crowd(config);
        config.session.timeout_ms = 50_000;
    });
    let sockets: Vec<_> = (0..10_000)
        .map(|_| {
            let cookie = server.log_in("rob");
            server.ws("/stomp", &cookie)
        })
        .collect();
    server.seen();
    server.jump_to(START_MS + 49_999);
    server.tick();
    // Every one of them is cut off at once; a turn takes some thousands and asks to be called again.
    server.jump_to(START_MS + 50_016);
    server.pause();
    let mut turns = 0;
    while server.hub.stats().sessions > 0 {
        turns += 1;
        let before = server.hub.stats().sessions;
        server.tick();
        let now = before - server.hub.stats().sessions;
        assert!(now <= 4_096 + 4_096, "{now} in one turn");
        assert!(turns < 1_000, "too many turns");
        let again = server.hub.next_deadline().is_some_and(|(due, _)| due <= server.now().mono);
        assert!(again || server.hub.stats().sessions == 0, "what is left over must be asked for");
    }
    assert!(turns > 1);
    server.resume();
    assert_eq!(server.ended().len(), 10_000);
    for socket in &sockets {
        server.send(*socket, &wire::text(wire::stomp("CONNECT", &[("accept-version", "1.2")], b"")));
    }
    assert!(server.seen().is_empty(), "none of them is heard any more");
    // The Close frames go out at the pace of CLOSE_RATE, 25 in a millisecond, after what may go at once.
    let mut closes = 0;
    let mut count = |server: &mut Server| {
        let new = sockets.iter().filter(|socket| closed_with(server, **socket) == Some(1008)).count();
        closes += new;
        (new, closes)
    };
    let (at_once, _) = count(&mut server);
    assert!(at_once <= 2_500, "{at_once}");
    server.wait(100);
    let (soon, _) = count(&mut server);
    assert!((2_000..=2_500).contains(&soon), "{soon}");
    server.wait(300);
    assert_eq!(count(&mut server).1, 10_000, "all of them within half a second");
}

#[test]
fn t06_a_close_that_waits_its_turn_is_announced() {
    let mut server = Server::with(|config| config.limits.close_rate = 10);
    let cookie = server.log_in("rob");
    let sockets: Vec<_> = (0..5).map(|_| server.stomp(&cookie)).collect();
    for socket in &sockets {
        subscribe(&mut server, *socket);
    }
    // A message is announced, and dropped before the embedder came for it.
    server.pause();
    publish(&mut server, b"never seen");
    let now = server.now();
    server.hub.end(now, Who::User("rob"), Cause::Revoked);
    server.resume();
    server.wait(1_000);
    for socket in sockets {
        assert_eq!(server.close_frame(socket), Some((1008, SESSION_ENDED.to_owned())));
        assert_eq!(server.frames(socket), []);
    }
}

// --- E

#[test]
fn e01_a_slow_reader() {
    let mut server = Server::default();
    let cookie = server.log_in("rob");
    let socket = server.stomp(&cookie);
    subscribe(&mut server, socket);
    server.seen();
    publish(&mut server, &[b'x'; 10_000]);
    server.work();
    let one = server.output(socket).len();
    server.stall(socket, 0);
    let mut sent = 0;
    while server.left().is_empty() {
        publish(&mut server, &[b'x'; 10_000]);
        server.work();
        sent += 1;
        assert!(sent < 100, "OUT_BYTES");
    }
    assert_eq!(sent, 512 * 1024 / one + 1, "at the first byte beyond 512 KiB");
    assert!(server.hub.stats().buffered_bytes < 1_000, "what waited is dropped");
    server.let_through(socket, 10_000);
    assert_eq!(closed_with(&mut server, socket), Some(4500));
    server.wait(5_016);
    assert!(server.is_closed(socket), "and aborted");
}

#[test]
fn e01_a_write_that_does_not_move() {
    let mut server = Server::default();
    let cookie = server.log_in("rob");
    let socket = server.stomp(&cookie);
    subscribe(&mut server, socket);
    server.seen();
    server.stall(socket, 5);
    publish(&mut server, b"hello");
    server.work();
    // As long as it moves, however little, it is not cut off.
    for _ in 0..3 {
        server.wait(9_000);
        server.let_through(socket, 5);
    }
    assert_eq!(server.left(), []);
    server.wait(9_700);
    assert_eq!(server.left(), []);
    server.wait(600);
    assert_eq!(server.left(), [Cause::Slow], "SEND_TIME");
    server.unstall(socket);
    let frames = server.frames(socket);
    assert_eq!(frames.last().and_then(Frame::close).map(|(code, _)| code), Some(4500));
}

#[test]
fn e02_no_message_after_the_upgrade() {
    let mut server = Server::default();
    let cookie = server.log_in("rob");
    let silent = server.ws("/stomp", &cookie);
    let pinging = server.ws("/stomp", &cookie);
    for _ in 0..11 {
        server.wait(5_000);
        server.send(pinging, &wire::ping(b"p"));
    }
    server.wait(4_900);
    assert_eq!(closed_with(&mut server, silent), None);
    server.wait(400);
    assert_eq!(server.close_code(silent), Some(4500), "nobody else had to connect for it");
    assert_eq!(server.close_code(pinging), Some(4500), "a ping is no message");
    // An endpoint of raw messages may be one where only the server speaks.
    let raw = server.ws("/echo", "");
    server.wait(200_000);
    assert_eq!(closed_with(&mut server, raw), None);
}

#[test]
fn e04_total() {
    let mut server = Server::with(|config| {
        config.limits.total = 10;
        config.limits.half_open = 5;
    });
    let sockets: Vec<_> = (0..10).map(|_| server.ws("/echo", "")).collect();
    let answer = server.ask(&handshake("/echo", ""));
    assert_eq!((answer.status, answer.header("retry-after").is_some()), (503, true));
    // There is room for some more that are only told so, and then for none.
    let opened = (0..10).filter(|_| server.try_open(IpAddr::V4(Ipv4Addr::LOCALHOST)).is_some()).count();
    assert!(opened >= 4, "{opened}");
    assert!(sockets.iter().all(|socket| !server.is_closed(*socket)), "those who are in stay in");
    server.hang_up(sockets[0]);
    server.assert_forgets();
}

#[test]
fn e04_per_address() {
    let mut server = Server::default();
    for _ in 0..1_024 {
        server.ws("/echo", "");
    }
    let answer = server.ask(&handshake("/echo", ""));
    assert_eq!((answer.status, answer.header("retry-after").is_some()), (429, true));
    let elsewhere = server.open_from(IpAddr::V4(Ipv4Addr::new(198, 51, 100, 1)));
    server.send(elsewhere, handshake("/echo", "").as_bytes());
    assert_eq!(server.answer(elsewhere).status, 101);
}

#[test]
fn e04_memory() {
    let mut server = Server::with(|config| config.limits.memory = 100_000);
    // Messages that are begun and never ended fill it as well as what nobody reads.
    let sockets = [server.ws("/echo", ""), server.ws("/echo", "")];
    let begun = wire::binary(&[0; 65_536]);
    for socket in sockets {
        assert_eq!(server.ask(&handshake("/echo", "")).status, 101);
        server.send(socket, &begun[..60_000]);
    }
    assert!(server.hub.stats().buffered_bytes > 100_000);
    let answer = server.ask(&handshake("/echo", ""));
    assert_eq!((answer.status, answer.header("retry-after").is_some()), (503, true));
    server.send(sockets[0], &begun[60_000..]);
    assert_eq!(server.ask(&handshake("/echo", "")).status, 101, "room again");
}

#[test]
fn e04_memory_is_full_of_what_nobody_reads() {
    let mut server = Server::with(|config| config.limits.memory = 100_000);
    let mut clients = Vec::new();
    for _ in 0..3 {
        server.seen();
        let socket = server.ws("/echo", "");
        let joined = server.seen();
        let [Action::Joined { client, .. }] = joined[..] else { panic!("{joined:?}") };
        server.stall(socket, 0);
        clients.push((socket, client));
    }
    let now = server.now();
    for (_, client) in &clients {
        server.hub.send(now, *client, Payload::Binary(&[0; 40_000]));
    }
    server.work();
    assert_eq!(server.left(), [Cause::Slow], "the one that would have been too much");
    assert!(server.hub.stats().buffered_bytes < 100_000);
}

#[test]
fn e04_sessions() {
    let mut server = Server::with(|config| config.limits.sessions = 2);
    let cookies = [server.log_in("rob"), server.log_in("luke")];
    let socket = server.open();
    server.send(socket, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    let login = Change::Login { principal: "leia".into(), attributes: Vec::new() };
    server.respond(socket, Response::new(204), login);
    let answer = server.answer(socket);
    assert_eq!((answer.status, answer.header("retry-after").is_some(), answer.header("set-cookie")), (503, true, None));
    server.stomp(&cookies[1]);
    server.log_out(&cookies[0]);
    server.log_in("leia");
    server.log_out(&cookies[1]);
}

#[test]
fn e04_messages_a_second() {
    let mut server = Server::with(|config| config.limits.message_rate = 100);
    let socket = server.ws("/echo", "");
    for _ in 0..2 {
        for _ in 0..100 {
            server.send(socket, &wire::text("x"));
        }
        assert_eq!(closed_with(&mut server, socket), None);
        server.wait(1_000);
    }
    for _ in 0..101 {
        server.send(socket, &wire::text("x"));
    }
    assert_eq!(server.close_code(socket), Some(1008));
}

#[test]
fn e05_connects_and_closes() {
    let mut server = Server::with(crowd);
    let mut number = 0_u32;
    let mut round = |server: &mut Server| {
        // As they come, each from an address of its own and with names of its own: some say nothing, some half a head,
        // some ask, some talk and some break the rules.
        let cookie = server.log_in(&format!("rob {number}"));
        let head = handshake("/stomp", &format!("Cookie: {cookie}\r\n"));
        let mut sockets = Vec::new();
        for _ in 0..1_000 {
            number += 1;
            let socket = server.open_from(IpAddr::V4(Ipv4Addr::from(0x0a00_0000 + number)));
            let (id, topic) = (format!("sub-{number}"), format!("/topic/{number}"));
            let all = [
                head.clone().into_bytes(),
                wire::text(wire::stomp("CONNECT", &[("accept-version", "1.2")], b"")),
                wire::text(wire::stomp("SUBSCRIBE", &[("id", &id), ("destination", &topic)], b"")),
                wire::text(wire::stomp("SEND", &[("destination", &topic)], &[b'x'; 500])),
                wire::frame(0x83, b""),
            ]
            .concat();
            server.send(socket, &all[..all.len() * (number as usize % 11) / 10]);
            sockets.push(socket);
            if sockets.len() > 20 {
                server.hang_up(sockets.remove(0));
            }
        }
        for socket in sockets {
            server.hang_up(socket);
        }
        server.log_out(&cookie);
        server.wait(61_000);
        server.assert_forgets();
        server.forget_sockets();
        held()
    };
    round(&mut server);
    let before = round(&mut server);
    for _ in 0..8 {
        round(&mut server);
    }
    let after = round(&mut server);
    assert!(after - before <= before / 20, "{before} bytes before, {after} after 10 times as many connections");
}

#[test]
fn e06_one_message_to_5_000_subscribers() {
    let mut server = Server::with(crowd);
    let cookie = server.log_in("rob");
    let sockets: Vec<_> = (0..5_000)
        .map(|_| {
            let socket = server.stomp(&cookie);
            server.say(socket, "SUBSCRIBE", &[("id", "0"), ("destination", "/topic/a")], "");
            server.stall(socket, 0);
            socket
        })
        .collect();
    server.seen();
    server.pause();
    let body = vec![b'x'; 32 * 1024];
    let before = held();
    assert_eq!(publish(&mut server, &body), 5_000);
    let grown = held() - before;
    assert!(grown < 5_000 * 1_024, "{grown} bytes for 5,000 times 32 KiB: the body is there once");
    assert_eq!(server.hub.stats().delivered, 5_000);
    server.resume();
    for socket in sockets.iter().step_by(100) {
        server.unstall(*socket);
        assert_eq!(server.heard(*socket)[0].body, body);
    }
}

#[test]
fn e06_a_turn_of_a_wide_fan_out_is_bounded() {
    let mut server = Server::with(crowd);
    let cookie = server.log_in("rob");
    let sockets: Vec<_> = (0..400).map(|_| server.stomp(&cookie)).collect();
    for socket in &sockets {
        for id in 0..128 {
            server.say(*socket, "SUBSCRIBE", &[("id", &id.to_string()), ("destination", "/topic/a")], "");
        }
    }
    server.pause();
    assert_eq!(publish(&mut server, b"first"), 51_200);
    let once = server.hub.stats().delivered;
    assert!(once <= 40_000, "{once}");
    assert!(server.hub.next_deadline().is_some_and(|(due, _)| due <= server.now().mono), "the rest is wanted at once");
    // What is said meanwhile comes after it, for everybody.
    publish(&mut server, b"second");
    let mut turns = 0;
    while server.hub.stats().delivered < 2 * 51_200 {
        turns += 1;
        assert!(turns < 10);
        let before = server.hub.stats().delivered;
        server.tick();
        assert!(server.hub.stats().delivered - before <= 40_000);
    }
    server.resume();
    for socket in sockets {
        let bodies: Vec<_> = server.heard(socket).into_iter().map(|frame| frame.body).collect();
        let (first, second) = bodies.split_at(128);
        assert!(first.iter().all(|body| body == b"first") && second.iter().all(|body| body == b"second"));
        assert_eq!(second.len(), 128);
    }
}

#[test]
fn e08_counters_are_exact() {
    let mut server = Server::default();
    for _ in 0..500 {
        assert_eq!(server.ask("GET /stomp HTTP/1.1\r\nHost: a\r\n\r\n").status, 401);
    }
    for _ in 0..50 {
        let socket = server.ws("/echo", "");
        server.send(socket, &wire::frame(0x83, b""));
    }
    let stats = server.hub.stats();
    assert_eq!((stats.refusals, stats.violations, stats.opened), (500, 50, 550));
}

// --- O

#[test]
fn o01_a_drain() {
    let mut server = Server::default();
    let cookie = server.log_in("rob");
    let stomp = server.stomp(&cookie);
    let raw = server.ws("/echo", "");
    let asking = server.open();
    server.send(asking, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    let reading = server.open();
    server.send(reading, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    server.stall(reading, 10);
    server.respond(reading, Response::text(200, "a page"), Change::Keep);
    let idle = server.open();
    let now = server.now();
    server.hub.drain(now);
    server.work();
    assert_eq!((server.close_code(stomp), server.close_code(raw)), (Some(1001), Some(1001)));
    assert!(server.is_closed(idle));
    assert!(server.try_open(harness::ADDRESS).is_none(), "no more are taken");
    server.respond(asking, Response::text(200, "a page"), Change::Keep);
    let answer = server.answer(asking);
    assert_eq!((answer.status, answer.closes()), (200, true), "requests under way are answered");
    server.unstall(reading);
    let bytes = server.output(reading);
    assert_eq!(Answer::parse(&bytes).map(|(answer, _)| answer.body), Some(b"a page".to_vec()), "to the end");
    server.wait(10_016);
    assert_eq!(server.hub.stats().sockets, 0);
    server.serves_nobody_after();
}

#[test]
fn o01_a_session_that_ends_during_a_drain() {
    let mut server = sixty_seconds();
    let cookie = server.log_in("rob");
    let socket = server.stomp(&cookie);
    server.stall(socket, 0);
    server.log_out(&cookie);
    let now = server.now();
    server.hub.drain(now);
    server.unstall(socket);
    assert_eq!(server.close_frame(socket), Some((1008, SESSION_ENDED.to_owned())), "one Close, and the first one");
    server.serves_nobody_after();
}
