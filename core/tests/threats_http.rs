//! What hostile HTTP leads to, case by case: H01 to H10, H22 to H24. The handshake is in `threats_upgrade.rs`.

mod harness;

use std::net::{IpAddr, Ipv4Addr};

use harness::wire::{self, Answer};
use harness::{Server, config, get, handshake};
use tethered_core::config::Store;
use tethered_core::http::Response;
use tethered_core::hub::{Action, Change, Event};
use tethered_core::session::{Answer as Stored, Op, Record};

#[test]
fn h01_one_header_of_20_mb() {
    let mut server = Server::default();
    let socket = server.open();
    server.send(socket, b"GET / HTTP/1.1\r\nHost: localhost\r\nX: ");
    let piece = [b'x'; 4_096];
    for _ in 0..20 * 256 {
        server.send(socket, &piece);
        assert!(server.hub.stats().buffered_bytes <= 16 * 1024 + 4_096);
    }
    let answer = server.answer(socket);
    assert_eq!((answer.status, answer.closes()), (431, true));
    server.wait(5_016);
    assert!(server.is_closed(socket));
    assert_eq!(server.hub.stats().buffered_bytes, 0);
}

#[test]
fn h01_head_bytes_at_the_limit_and_one_beyond() {
    let mut server = Server::default();
    let head = |len: usize| {
        let without = get("/", "X: \r\n").len();
        get("/", &format!("X: {}\r\n", "x".repeat(len - without)))
    };
    let socket = server.open();
    server.send(socket, head(16 * 1024).as_bytes());
    assert_eq!(server.request().0, socket);
    for step in [1, 100, 4_096, usize::MAX] {
        let socket = server.open();
        for piece in head(16 * 1024 + 1).as_bytes().chunks(step.min(20_000)) {
            server.send(socket, piece);
        }
        assert_eq!(server.answer(socket).status, 431, "in pieces of {step}");
    }
}

#[test]
fn h02_thousands_of_header_lines() {
    let mut server = Server::default();
    let socket = server.open();
    server.send(socket, get("/", &"A: b\r\n".repeat(99)).as_bytes());
    assert_eq!(server.request().0, socket);
    server.assert_refused_for_good(get("/", &"A: b\r\n".repeat(100)).as_bytes(), 431);
    // Before the head has ended: nobody waits for the last of the lines.
    server.assert_refused_for_good(get("/", &"A: b\r\n".repeat(2_000)).trim_end().as_bytes(), 431);
}

#[test]
fn h03_target_too_long() {
    let mut server = Server::default();
    let socket = server.open();
    server.send(socket, get(&format!("/{}", "a".repeat(8 * 1024 - 1)), "").as_bytes());
    assert_eq!(server.request().0, socket);
    server.assert_refused_for_good(get(&format!("/{}", "a".repeat(8 * 1024)), "").as_bytes(), 414);
}

#[test]
fn h04_head_sent_a_byte_at_a_time() {
    let mut server = Server::default();
    let socket = server.open();
    for byte in get("/", "").bytes().take(9) {
        server.wait(1_000);
        server.send(socket, &[byte]);
    }
    server.wait(999);
    assert_eq!(server.output(socket), b"", "after 9.999 s");
    server.wait(17);
    let answer = server.answer(socket);
    assert_eq!((answer.status, answer.closes()), (408, true));
    server.wait(5_016);
    assert!(server.is_closed(socket));
}

#[test]
fn h04_nothing_sent_at_all() {
    let mut server = Server::default();
    let socket = server.open();
    server.wait(9_999);
    assert_eq!(server.output(socket), b"");
    server.wait(17);
    assert_eq!(server.answer(socket).status, 408);
    server.wait(5_016);
    assert!(server.is_closed(socket));
}

#[test]
fn h04_body_sent_a_byte_at_a_time() {
    let mut server = Server::default();
    let socket = server.open();
    server.send(socket, b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n");
    for _ in 0..9 {
        server.wait(1_000);
        server.send(socket, b"x");
    }
    server.wait(999);
    assert_eq!(server.output(socket), b"");
    server.wait(17);
    assert_eq!(server.answer(socket).status, 408);
}

#[test]
fn answer_time_at_the_limit_and_one_beyond() {
    let mut server = Server::default();
    let cookie = server.log_in("rob");
    let lines = format!("Cookie: {cookie}\r\nContent-Length: 1\r\n");
    // The time begins once the request is whole, and handed on.
    let ask = |server: &mut Server| {
        let socket = server.open();
        server.send(socket, format!("POST / HTTP/1.1\r\nHost: localhost\r\n{lines}\r\n").as_bytes());
        server.wait(5_003);
        server.send(socket, b"x");
        assert_eq!(server.request().0, socket);
        socket
    };
    let socket = ask(&mut server);
    server.wait(60_000 - 1);
    assert_eq!(server.output(socket), b"", "after 59.999 s");
    server.respond(socket, Response::text(200, "at the last moment"), Change::Keep);
    assert_eq!(server.answer(socket).status, 200);

    let socket = ask(&mut server);
    server.wait(60_000 + 16);
    let answer = server.answer(socket);
    assert_eq!((answer.status, answer.closes()), (504, true));
    assert!(server.is_shut(socket));
    // What comes too late changes nothing, nor does the next request of this connection get it.
    server.send(socket, get("/next", "").as_bytes());
    server.respond(socket, Response::text(200, "too late"), Change::End);
    assert_eq!(server.output(socket), b"");
    assert!(!server.has_request());
    assert_eq!(server.ask(&handshake("/stomp", &format!("Cookie: {cookie}\r\n"))).status, 101);
    server.wait(5_016);
    assert!(server.is_closed(socket));
}

#[test]
fn answer_time_counts_for_each_request_of_a_connection() {
    let mut server = Server::with(|config| config.limits.answer_time_ms = 7_000);
    let socket = server.open();
    for _ in 0..3 {
        server.send(socket, get("/", "").as_bytes());
        server.request();
        server.wait(6_999);
        server.respond(socket, Response::text(200, "slow"), Change::Keep);
        assert_eq!(server.answer(socket).status, 200);
    }
    // Nor is a peer that has ended its half waited for any longer.
    server.send(socket, get("/", "").as_bytes());
    server.request();
    server.hang_up(socket);
    server.wait(7_016);
    assert_eq!(server.answer(socket).status, 504);
    assert!(server.is_closed(socket));
}

#[test]
fn h04_kept_alive_without_a_next_request() {
    let mut server = Server::default();
    let socket = server.open();
    server.send(socket, get("/", "").as_bytes());
    let (asking, _) = server.request();
    server.respond(asking, Response::text(200, "page"), Change::Keep);
    assert_eq!(server.answer(socket).status, 200);
    server.wait(9_999);
    assert!(!server.is_closed(socket));
    server.wait(17);
    assert!(server.is_closed(socket));
    assert_eq!(server.output(socket), b"", "nobody asked, so nobody is told");
}

#[test]
fn h04_an_answer_that_is_read_slowly_is_not_cut_off() {
    let mut server = Server::default();
    for lines in ["", "Connection: close\r\n"] {
        let socket = server.open();
        server.stall(socket, 0);
        server.send(socket, get("/", lines).as_bytes());
        server.respond(socket, Response::text(200, vec![b'x'; 100_000]), Change::Keep);
        for _ in 0..20 {
            server.wait(5_000);
            server.let_through(socket, 4_000);
        }
        assert!(!server.is_closed(socket));
        server.unstall(socket);
        assert_eq!(server.answer(socket).body.len(), 100_000);
        server.wait(10_016);
        assert!(server.is_closed(socket));
    }
}

#[test]
fn h04_an_answer_that_is_not_read_at_all() {
    let mut server = Server::default();
    for lines in ["", "Connection: close\r\n"] {
        let socket = server.open();
        server.stall(socket, 1_000);
        server.send(socket, get("/", lines).as_bytes());
        server.respond(socket, Response::text(200, vec![b'x'; 100_000]), Change::Keep);
        server.wait(9_900);
        assert!(!server.is_closed(socket));
        server.wait(400);
        assert!(server.is_closed(socket), "SEND_TIME");
    }
}

#[test]
fn h05_10_000_silent_connections() {
    let mut server = Server::default();
    let sockets: Vec<_> = (0..10_000_u32)
        .map(|i| {
            let address = IpAddr::V4(Ipv4Addr::from(0x0a00_0000 + i));
            server.open_from(address)
        })
        .collect();
    let (first, last) = sockets.split_at(10_000 - 1_024);
    assert!(first.iter().all(|socket| server.is_closed(*socket)), "the oldest are dropped");
    assert!(last.iter().all(|socket| !server.is_closed(*socket)), "the newest 1,024 stay");
    server.assert_serves();
}

#[test]
fn h05_half_open_per_address() {
    let mut server = Server::default();
    let sockets: Vec<_> = (0..33).map(|_| server.open()).collect();
    assert!(server.is_closed(sockets[0]));
    assert!(sockets[1..].iter().all(|socket| !server.is_closed(*socket)));
    // Who has sent a head is no longer half open, and not dropped for others.
    let socket = sockets[1];
    server.send(socket, get("/", "").as_bytes());
    for _ in 0..100 {
        server.open();
    }
    assert!(!server.is_closed(socket));
    assert!(server.is_closed(sockets[2]));
}

#[test]
fn h05_a_listed_proxy_is_not_counted() {
    let mut server = Server::with(|config| config.proxies.add("203.0.113.0/24").expect("a network"));
    let sockets: Vec<_> = (0..500).map(|_| server.open()).collect();
    assert!(sockets.iter().all(|socket| !server.is_closed(*socket)));
}

#[test]
fn h06_heads_that_others_read_differently() {
    let mut server = Server::default();
    for bad in [
        "GET / HTTP/1.1\nHost: localhost\n\n",
        "GET / HTTP/1.1\r\nHost: localhost\n\r\n",
        "GET / HTTP/1.1\r\nHost: localhost\rX: y\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: localhost\r\nX: a\r\n b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: localhost\r\nX: a\r\n\tb\r\n\r\n",
        "GET / HTTP/1.1\r\n X: a\r\nHost: localhost\r\n\r\n",
        "GET / HTTP/1.1\r\nHost : localhost\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: localhost\r\n: empty\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: localhost\r\nnothing\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: localhost\r\nX: a\0b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: localhost\r\nX: a\x7fb\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: localhost\r\nX\0: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: localhost\r\nX\x7f: a\r\n\r\n",
        "G\0T / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "GET  / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    ] {
        server.assert_refused_for_good(bad.as_bytes(), 400);
    }
}

#[test]
fn h07_a_body_on_an_upgrade() {
    let mut server = Server::default();
    let cookie = server.log_in("rob");
    for bad in [
        "Transfer-Encoding: chunked\r\n",
        "Transfer-Encoding: identity\r\n",
        "Content-Length: 5\r\n",
        "Content-Length: 00\r\n",
        "Content-Length: +0\r\n",
        "Content-Length: 0\r\nContent-Length: 0\r\n",
        "Content-Length: 0, 0\r\n",
        "Content-Length: \r\n",
    ] {
        let head = handshake("/stomp", &format!("Cookie: {cookie}\r\n{bad}"));
        server.assert_refused_for_good(head.as_bytes(), 400);
    }
    let socket = server.open();
    server.send(socket, handshake("/stomp", &format!("Cookie: {cookie}\r\nContent-Length: 0\r\n")).as_bytes());
    assert_eq!(server.answer(socket).status, 101);
}

#[test]
fn h08_bodies_whose_end_cannot_be_told() {
    let mut server = Server::default();
    let post = |lines: &str, body: &str| format!("POST / HTTP/1.1\r\nHost: localhost\r\n{lines}\r\n{body}");
    for (lines, body) in [
        ("Content-Length: 3\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"),
        ("Content-Length: 3\r\nContent-Length: 4\r\n", "abcd"),
        ("Content-Length: +3\r\n", "abc"),
        ("Content-Length: -3\r\n", "abc"),
        ("Content-Length: 3, 3\r\n", "abc"),
        ("Content-Length: 0x3\r\n", "abc"),
        ("Transfer-Encoding: chunked, chunked\r\n", "0\r\n\r\n"),
        ("Transfer-Encoding: gzip\r\n", "0\r\n\r\n"),
        ("Transfer-Encoding: xchunked\r\n", "0\r\n\r\n"),
        ("Transfer-Encoding: chunked\r\n", "ffffffffffffffff1\r\n"),
        ("Transfer-Encoding: chunked\r\n", "-1\r\n"),
        ("Transfer-Encoding: chunked\r\n", "3\nabc\r\n0\r\n\r\n"),
        ("Transfer-Encoding: chunked\r\n", "3\r\nabcX\r\n0\r\n\r\n"),
        ("Transfer-Encoding: chunked\r\n", "3\r\nabc\n0\r\n\r\n"),
    ] {
        server.assert_refused_for_good(post(lines, body).as_bytes(), 400);
    }
    let socket = server.open();
    server.send_bytewise(socket, post("Transfer-Encoding: chunked\r\n", "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n").as_bytes());
    assert_eq!(server.request().1.http.body(), b"abcde");
}

#[test]
fn h08_a_body_over_the_limit() {
    let mut server = Server::default();
    let limit = config().limits.http.body_bytes;
    let post = |len: usize| format!("POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len}\r\n\r\n");
    // Before a byte of it was read.
    server.assert_refused_for_good(post(limit + 1).as_bytes(), 413);
    server.assert_refused_for_good(post(usize::MAX).as_bytes(), 413);
    let socket = server.open();
    server.send(socket, post(limit).as_bytes());
    for _ in 0..limit / 1_024 {
        server.send(socket, &[b'x'; 1_024]);
    }
    assert_eq!(server.request().1.http.body().len(), limit);
    let chunks = format!("{:x}\r\n{}\r\n1\r\n", limit, "x".repeat(limit));
    let socket = server.open();
    server.send(socket, b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n");
    server.send(socket, chunks.as_bytes());
    assert_eq!(server.answer(socket).status, 413);
}

#[test]
fn h09_bytes_behind_a_refused_upgrade() {
    let mut server = Server::default();
    // No cookie: 401, and the connection is kept. What follows is the next request, however the bytes were cut.
    let behind = get("/next", "");
    let both = [handshake("/stomp", ""), behind.clone()].concat();
    for cut in 0..both.len() {
        let socket = server.open();
        server.send(socket, &both.as_bytes()[..cut]);
        server.send(socket, &both.as_bytes()[cut..]);
        assert_eq!(server.answer(socket).status, 401);
        let (asking, request) = server.request();
        assert_eq!((asking, request.http.path()), (socket, "/next"), "cut at {cut}");
        server.hang_up(socket);
        server.hang_up(socket);
    }
    // Frames behind it are no frames: they are no request either.
    let socket = server.open();
    server.send(socket, &[handshake("/stomp", "").into_bytes(), wire::text("smuggled")].concat());
    let bytes = server.output(socket);
    let (first, rest) = Answer::parse(&bytes).expect("an answer");
    let (second, rest) = Answer::parse(rest).expect("another");
    assert_eq!((first.status, second.status, second.closes(), rest.len()), (401, 400, true, 0));
    assert_eq!(server.delivered(), []);
}

#[test]
fn h10_frames_in_the_same_segment_as_the_head() {
    let mut server = Server::default();
    let frames = [wire::text("one"), wire::ping(b"two"), wire::binary(b"three")].concat();
    let all = [handshake("/echo", "").into_bytes(), frames].concat();
    for cut in 0..all.len() {
        let socket = server.open();
        server.send(socket, &all[..cut]);
        server.send(socket, &all[cut..]);
        let bytes = server.output(socket);
        let (answer, rest) = Answer::parse(&bytes).expect("an answer");
        assert_eq!(answer.status, 101);
        let pongs: Vec<_> = wire::frames(rest).into_iter().map(|frame| (frame.first, frame.payload)).collect();
        assert_eq!(pongs, [(0x8a, b"two".to_vec())]);
        let expected = [("/echo".to_owned(), b"one".to_vec()), ("/echo".to_owned(), b"three".to_vec())];
        assert_eq!(server.delivered(), expected, "cut at {cut}");
        server.hang_up(socket);
    }
}

#[test]
fn h22_targets() {
    let mut server = Server::default();
    let guarded = ["/stomp", "/%73tomp", "/stom%70", "http://localhost/stomp", "/stomp?a=b", "/stomp/x", "/stomp/%2e"];
    for target in guarded {
        let socket = server.open();
        server.send(socket, handshake(target, "").as_bytes());
        let status = server.answer(socket).status;
        assert!(matches!(status, 401 | 404), "{target}: {status}");
        assert!(!server.has_request(), "{target} is not handed on without a login");
    }
    assert_eq!(server.ask(&handshake("/%73tomp", "")).status, 401, "decoded once");
    assert_eq!(server.ask(&handshake("http://localhost/stomp", "")).status, 401, "absolute form");
    for bad in ["/%00", "/a%00b", "/%2e%2e/stomp", "/a/../stomp", "/a/%2e%2e/stomp", "/a#b", "/stomp#x", "/%zz", "/%"] {
        let socket = server.open();
        server.send(socket, get(bad, "").as_bytes());
        assert_eq!(server.answer(socket).status, 404, "{bad}");
    }
    for handed in ["/stomp;x=1", "/%2573tomp", "/stompx", "/STOMP", "/café", "/caf%C3%A9"] {
        let socket = server.open();
        server.send(socket, get(handed, "").as_bytes());
        assert_eq!(server.request().0, socket, "{handed} is a path like any other");
    }
    let socket = server.open();
    server.send(socket, b"GET /caf\xe9 HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert_eq!(server.answer(socket).status, 404);
}

#[test]
fn h23_the_peer_resets_between_head_and_101() {
    let mut server = Server::with(|config| config.store = Store::External);
    let socket = server.open();
    server.send(socket, handshake("/stomp", "Cookie: SESSION=MTIz\r\n").as_bytes());
    let seen = server.seen();
    let [Action::Session { call: Some(call), op: Op::Load { id } }] = &seen[..] else { panic!("{seen:?}") };
    assert_eq!(&**id, "123");
    server.hang_up(socket);
    server.hang_up(socket);
    assert!(server.is_closed(socket));
    let now = server.now();
    server.hub.handle(now, Event::Answer { call: *call, answer: Stored::Alive { ttl_ms: None, record: None } });
    server.work();
    assert!(server.seen().is_empty());
    server.assert_forgets();
    server.serves_nobody_after();
}

#[test]
fn h23_half_closed_before_the_101() {
    let mut server = Server::with(|config| config.store = Store::External);
    let socket = server.open();
    server.send(socket, handshake("/stomp", "Cookie: SESSION=MTIz\r\n").as_bytes());
    let seen = server.seen();
    let [Action::Session { call: Some(call), .. }] = &seen[..] else { panic!("{seen:?}") };
    server.hang_up(socket);
    let record = Record { id: "123".into(), principal: Some("rob".into()), attributes: Vec::new() };
    let answer = Stored::Alive { ttl_ms: Some(60_000), record: Some(Box::new(record)) };
    let now = server.now();
    server.hub.handle(now, Event::Answer { call: *call, answer });
    server.work();
    assert!(server.is_closed(socket), "nobody is there to speak a WebSocket with");
    server.assert_forgets();
    server.serves_nobody_after();
}

#[test]
fn h23_half_closed_before_the_answer() {
    let mut server = Server::default();
    for (lines, stays) in [("Connection: close\r\n", false), ("", true)] {
        let socket = server.open();
        server.send(socket, get("/", lines).as_bytes());
        server.hang_up(socket);
        assert!(!server.is_closed(socket), "it may still read");
        server.respond(socket, Response::text(200, "page"), Change::Keep);
        let answer = server.answer(socket);
        assert_eq!((answer.status, answer.closes()), (200, !stays));
        assert!(server.is_closed(socket), "{lines:?}");
    }
}

#[test]
fn h24_what_is_no_http() {
    let mut server = Server::default();
    let noise: Vec<u8> = (0..300_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8 | 0x80).collect();
    for bytes in [
        &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..],
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"\0\0\0\0",
        b"EHLO example.com\r\n",
        b"<policy-file-request/>\0",
        &noise,
    ] {
        let socket = server.open();
        server.send(socket, bytes);
        let answer = server.answer(socket);
        assert_eq!((answer.status, answer.closes()), (400, true), "{}", bytes.escape_ascii());
        assert_eq!(answer.body, b"This is not a well-formed HTTP/1.1 request.\n", "fixed words");
    }
}
