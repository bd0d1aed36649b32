//! What hostile HTTP leads to, case by case: H01 to H25.

mod harness;

use std::net::{IpAddr, Ipv4Addr};

use harness::wire::{self, Answer};
use harness::{Server, config, handshake};
use tethered_core::config::Store;
use tethered_core::http::{Encoding, Response, cookie};
use tethered_core::hub::{Action, Change, Event};
use tethered_core::session::{Answer as Stored, Op, Record};

/// A head with these further lines.
fn get(path: &str, lines: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n{lines}\r\n")
}

/// Refused with this status, by an answer that ends the connection; and the hub does end it.
fn assert_refused_for_good(server: &mut Server, bytes: &[u8], status: u16) {
    let shown = bytes[..bytes.len().min(200)].escape_ascii();
    let socket = server.open();
    server.send(socket, bytes);
    let answer = server.answer(socket);
    assert_eq!((answer.status, answer.closes()), (status, true), "{shown}");
    assert!(server.is_shut(socket), "{shown}");
    // Whatever else comes is thrown away.
    server.send(socket, get("/", "").as_bytes());
    assert_eq!(server.output(socket), b"");
    assert!(!server.has_request(), "{shown}");
    server.wait(5_016);
    assert!(server.is_closed(socket), "{shown}");
}

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
    assert_refused_for_good(&mut server, get("/", &"A: b\r\n".repeat(100)).as_bytes(), 431);
    // Before the head has ended: nobody waits for the last of the lines.
    assert_refused_for_good(&mut server, get("/", &"A: b\r\n".repeat(2_000)).trim_end().as_bytes(), 431);
}

#[test]
fn h03_target_too_long() {
    let mut server = Server::default();
    let socket = server.open();
    server.send(socket, get(&format!("/{}", "a".repeat(8 * 1024 - 1)), "").as_bytes());
    assert_eq!(server.request().0, socket);
    assert_refused_for_good(&mut server, get(&format!("/{}", "a".repeat(8 * 1024)), "").as_bytes(), 414);
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
        assert_refused_for_good(&mut server, bad.as_bytes(), 400);
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
        assert_refused_for_good(&mut server, head.as_bytes(), 400);
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
        assert_refused_for_good(&mut server, post(lines, body).as_bytes(), 400);
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
    assert_refused_for_good(&mut server, post(limit + 1).as_bytes(), 413);
    assert_refused_for_good(&mut server, post(usize::MAX).as_bytes(), 413);
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
fn h11_any_version_but_13() {
    let mut server = Server::default();
    for version in ["8", "7", "0", "12", "14", "013", "13 ", "13, 8", "", "x", "4294967309"] {
        let head = handshake("/echo", "")
            .replace("Sec-WebSocket-Version: 13\r\n", &format!("Sec-WebSocket-Version: {version}\r\n"));
        let answer = server.ask(&head);
        if version == "13 " {
            assert_eq!(answer.status, 101, "white space around a value is not part of it");
        } else {
            assert_eq!((answer.status, answer.header("sec-websocket-version")), (426, Some("13")), "{version:?}");
        }
    }
    // Old versions get no softer checks: without a key they are not told about versions at all.
    let old = handshake("/echo", "").replace("Version: 13", "Version: 8").replace("Sec-WebSocket-Key", "X-Key");
    assert_eq!(server.ask(&old).status, 400);
}

#[test]
fn h12_upgrade_and_connection_headers() {
    let mut server = Server::default();
    let with = |upgrade: &str, connection: &str| {
        handshake("/echo", "").replace("Upgrade: websocket\r\n", upgrade).replace("Connection: Upgrade\r\n", connection)
    };
    for (upgrade, connection) in [
        ("Upgrade: WebSocket\r\n", "Connection: upgrade\r\n"),
        ("Upgrade: h2c, websocket\r\n", "Connection: keep-alive, Upgrade\r\n"),
        ("Upgrade: h2c\r\nUpgrade: websocket\r\n", "Connection: keep-alive\r\nConnection: Upgrade\r\n"),
    ] {
        assert_eq!(server.ask(&with(upgrade, connection)).status, 101, "{upgrade}{connection}");
    }
    for (upgrade, connection) in [
        ("", "Connection: Upgrade\r\n"),
        ("Upgrade: h2c\r\n", "Connection: Upgrade\r\n"),
        ("Upgrade: websockets\r\n", "Connection: Upgrade\r\n"),
        ("Upgrade: websocket\r\n", ""),
        ("Upgrade: websocket\r\n", "Connection: keep-alive\r\n"),
        ("Upgrade: websocket\r\n", "Connection: upgraded\r\n"),
    ] {
        assert_eq!(server.ask(&with(upgrade, connection)).status, 400, "{upgrade}{connection}");
    }
}

#[test]
fn h13_keys() {
    let mut server = Server::default();
    let with = |key: &str| handshake("/echo", "").replace("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", key);
    for bad in [
        "",
        "Sec-WebSocket-Key: \r\n",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ\r\n",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZ===\r\n",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZTE2\r\n",
        "Sec-WebSocket-Key: dGhl IHNhbXBsZSBub25jZQ==\r\n",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
    ] {
        assert_eq!(server.ask(&with(bad)).status, 400, "{bad:?}");
    }
    let answer = server.ask(&with("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZR==\r\n"));
    assert_eq!(answer.status, 101, "trailing bits that are set pass");
    let answer = server.ask(&handshake("/echo", ""));
    assert_eq!(answer.header("sec-websocket-accept"), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), "RFC 6455 section 1.3");
}

#[test]
fn h14_methods_and_old_versions() {
    let mut server = Server::default();
    for method in ["POST", "HEAD", "PUT", "OPTIONS", "CONNECT", "get"] {
        let target = if method == "CONNECT" { "localhost:80" } else { "/echo" };
        let socket = server.open();
        server.send(socket, handshake(target, "").replacen("GET", method, 1).as_bytes());
        let bytes = server.output(socket);
        let head = String::from_utf8_lossy(&bytes);
        if method == "CONNECT" {
            // Its target is no path: nothing is tunnelled.
            assert!(head.starts_with("HTTP/1.1 4"), "{head}");
        } else {
            assert!(head.starts_with("HTTP/1.1 405 ") && head.contains("\r\nAllow: GET\r\n"), "{method}: {head}");
        }
    }
    assert_refused_for_good(&mut server, handshake("/echo", "").replace("HTTP/1.1", "HTTP/1.0").as_bytes(), 400);
    assert_refused_for_good(&mut server, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400);
    // Plain requests of HTTP/1.0 are served.
    let socket = server.open();
    server.send(socket, b"GET / HTTP/1.0\r\n\r\n");
    let (asking, _) = server.request();
    server.respond(asking, Response::text(200, "page"), Change::Keep);
    let answer = server.answer(socket);
    assert_eq!((answer.status, answer.header("transfer-encoding"), &answer.body[..]), (200, None, &b"page"[..]));
    assert!(server.is_shut(socket));
}

#[test]
fn h15_host_absent_or_twice() {
    let mut server = Server::default();
    for bad in ["", "Host: localhost\r\nHost: localhost\r\n", "Host: local host\r\n", "Host: a@b\r\n", "Host: a/b\r\n"]
    {
        assert_refused_for_good(&mut server, format!("GET / HTTP/1.1\r\n{bad}\r\n").as_bytes(), 400);
    }
}

#[test]
fn h16_foreign_origins() {
    let mut server = Server::new({
        let mut config = config();
        config.origin.allow("https://app.example.com").expect("an origin");
        config.store = Store::External;
        config
    });
    let ask = |server: &mut Server, origin: &str| {
        let socket = server.open();
        // A session of its own for each: one that is being asked for already is not asked for twice.
        let id: String = origin.bytes().map(|byte| format!("{byte:02x}")).collect();
        let value = cookie::encode_value(&id, Encoding::Base64);
        let lines = format!("Cookie: SESSION={value}\r\nOrigin: {origin}\r\n");
        server.send(socket, handshake("/stomp", &lines).as_bytes());
        let looked_up = server.seen().iter().any(|action| matches!(action, Action::Session { .. }));
        let bytes = server.output(socket);
        (Answer::parse(&bytes).map(|(answer, _)| answer.status), looked_up)
    };
    for foreign in [
        "null",
        "http://evil.example",
        "https://localhost",
        "http://localhost:8080",
        "http://localhost.evil.example",
        "http://localhost@evil.example",
        "http://evil.example@localhost",
        "http://localhost/",
        "HTTP://LOCALHOST.",
        "file://",
        "https://app.example.com.",
        "https://APP.example.com:444",
    ] {
        assert_eq!(ask(&mut server, foreign), (Some(403), false), "{foreign}");
    }
    for own in ["http://localhost", "HTTP://LOCALHOST:80", "https://app.example.com", "https://APP.EXAMPLE.COM:443"] {
        assert_eq!(ask(&mut server, own), (None, true), "{own}: the store is asked");
    }
    server.serves_nobody_after();
}

#[test]
fn h17_origin_twice_or_absent() {
    let twice = "Origin: http://localhost\r\nOrigin: http://localhost\r\n";
    let mut server = Server::default();
    assert_eq!(server.ask(&handshake("/echo", twice)).status, 403);
    assert_eq!(server.ask(&handshake("/echo", "")).status, 101);
    let mut strict = Server::with(|config| config.origin.require = true);
    assert_eq!(strict.ask(&handshake("/echo", "")).status, 403);
    assert_eq!(strict.ask(&handshake("/echo", "Origin: http://localhost\r\n")).status, 101);
    strict.serves_nobody_after();
}

#[test]
fn h18_forwarded_headers_of_a_stranger() {
    let told = [
        "X-Forwarded-For: 198.51.100.1\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: app.example.com\r\n",
        "Forwarded: for=198.51.100.1;proto=https;host=app.example.com\r\n",
    ];
    for told in told {
        let origin = format!("{told}Origin: https://app.example.com\r\n");
        let mut server = Server::default();
        assert_eq!(server.ask(&handshake("/echo", &origin)).status, 403, "not believed");
        assert_eq!(server.ask(&handshake("/echo", &format!("{told}Origin: http://localhost\r\n"))).status, 101);
        let mut behind = Server::with(|config| config.proxies.add("203.0.113.0/24").expect("a network"));
        assert_eq!(behind.ask(&handshake("/echo", &origin)).status, 101, "believed of a listed proxy");
    }
    // A stranger cannot hide behind others' addresses either.
    let mut server = Server::with(|config| config.limits.per_address = 4);
    let statuses: Vec<_> = (0..6)
        .map(|i| server.ask(&handshake("/echo", &format!("X-Forwarded-For: 198.51.100.{i}\r\n"))).status)
        .collect();
    assert_eq!(statuses, [101, 101, 101, 101, 429, 429]);
    server.assert_forgets();
}

#[test]
fn h19_16_kb_of_sub_protocols() {
    let mut server = Server::default();
    let cookie = server.log_in("rob");
    let offer = |server: &mut Server, offer: &str| {
        let lines = format!("Cookie: {cookie}\r\nSec-WebSocket-Protocol: {offer}\r\n");
        let answer = server.ask(&handshake("/stomp", &lines));
        assert_eq!(answer.status, 101);
        answer.header("sec-websocket-protocol").map(str::to_owned)
    };
    assert_eq!(offer(&mut server, &format!("{}v12.stomp", "x,".repeat(7_900))), Some("v12.stomp".to_owned()));
    assert_eq!(offer(&mut server, &" ,".repeat(7_900)), None);
    assert_eq!(offer(&mut server, "v11.stomp, v12.stomp"), Some("v11.stomp".to_owned()));
    assert_eq!(offer(&mut server, "mqtt, v13.stomp"), None, "only what is known");
    let answer = server.ask(&handshake("/stomp", &format!("Cookie: {cookie}\r\n")));
    assert_eq!((answer.status, answer.header("sec-websocket-protocol")), (101, None), "only what was offered");
}

#[test]
fn h20_control_characters_in_reflected_values() {
    let mut server = Server::default();
    for name in ["Sec-WebSocket-Protocol", "Sec-WebSocket-Extensions", "Origin", "Sec-WebSocket-Key"] {
        for bad in ["v12.stomp\x01", "v12.stomp\0", "v12\rSet-Cookie: a=b", "v12.stomp\x7f", "v12\nSet-Cookie: a=b"] {
            let head = handshake("/echo", &format!("{name}: {bad}\r\n"));
            let socket = server.open();
            server.send(socket, head.as_bytes());
            let answer = server.answer(socket);
            assert_eq!((answer.status, answer.header("set-cookie")), (400, None), "{name}: {bad:?}");
        }
    }
}

#[test]
fn h21_extensions_are_declined() {
    let mut server = Server::default();
    for offer in
        ["permessage-deflate", "x-unknown; a=b", "permessage-deflate; client_max_window_bits=99", ";;,=,\"", ""]
    {
        let answer = server.ask(&handshake("/echo", &format!("Sec-WebSocket-Extensions: {offer}\r\n")));
        assert_eq!((answer.status, answer.header("sec-websocket-extensions")), (101, None), "{offer}");
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

#[test]
fn h25_the_order_of_the_checks() {
    let mut server = Server::default();
    let cookie = format!("Cookie: {}\r\n", server.log_in("rob"));
    let unknown = "Cookie: SESSION=bm9ib2R5\r\n";
    let foreign = "Origin: http://evil.example\r\n";
    let no_host = |head: String| head.replace("Host: localhost\r\n", "");
    let old = |head: String| head.replace("Version: 13", "Version: 8");
    let post = |head: String| head.replacen("GET", "POST", 1);
    for (head, status, why) in [
        (no_host(handshake("/stomp", foreign)), 400, "form before Origin"),
        (handshake("/stomp", foreign), 403, "Origin before cookie"),
        (handshake("/messages/nowhere", foreign), 403, "Origin before path"),
        (handshake("/messages/nowhere", ""), 401, "cookie before path"),
        (get("/messages/info", ""), 401, "cookie on every path below an endpoint"),
        (get("/stomp", ""), 401, "cookie before upgrade headers"),
        (post(handshake("/messages/nowhere", &cookie)), 404, "path before method"),
        (get("/messages", &cookie), 404, "a path that is only guarded"),
        (post(old(handshake("/stomp", &cookie))), 405, "method before upgrade headers"),
        (old(handshake("/stomp", unknown)), 426, "upgrade headers before the store"),
        (get("/stomp", unknown), 400, "upgrade headers before the store"),
        (handshake("/stomp", unknown), 401, "the store last"),
        (handshake("/stomp", &cookie), 101, "all in order"),
    ] {
        assert_eq!(server.ask(&head).status, status, "{why}");
    }
    assert!(!server.has_request());
}
