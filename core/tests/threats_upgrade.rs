//! What hostile WebSocket handshakes lead to, case by case: H11 to H21 and H25. Nothing is compressed here, so what a compressed message could do (D01 to D10) ends where one is offered or sent.

mod harness;

use harness::wire::Answer;
use harness::{Server, config, get, handshake, wire};
use tethered_core::config::Store;
use tethered_core::http::{Encoding, Response, cookie};
use tethered_core::hub::{Action, Change};

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
    server.assert_refused_for_good(handshake("/echo", "").replace("HTTP/1.1", "HTTP/1.0").as_bytes(), 400);
    server.assert_refused_for_good(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400);
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
        server.assert_refused_for_good(format!("GET / HTTP/1.1\r\n{bad}\r\n").as_bytes(), 400);
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

/// With no offer accepted there is nothing to inflate.
#[test]
fn d06_no_offer_of_compression_is_accepted_in_whatever_form() {
    let mut server = Server::default();
    for offer in [
        "permessage-deflate; client_max_window_bits",
        "permessage-deflate; server_max_window_bits=7, permessage-deflate; server_max_window_bits=16",
        "permessage-deflate; server_max_window_bits=+9; client_max_window_bits=09",
        "permessage-deflate; server_no_context_takeover=1; server_no_context_takeover",
        "permessage-deflate; unknown=\"\\\"\", permessage-deflate",
        "x-webkit-deflate-frame, permessage-bzip2",
    ] {
        let answer = server.ask(&handshake("/echo", &format!("Sec-WebSocket-Extensions: {offer}\r\n")));
        assert_eq!((answer.status, answer.header("sec-websocket-extensions")), (101, None), "{offer}");
    }
}

/// D01 to D05, D07, D08: the bit that says "compressed" is one that nobody has agreed on, on each kind of frame, however
/// large what it would inflate to.
#[test]
fn d01_to_d08_a_compressed_frame_is_1002_before_anything_is_inflated() {
    let bomb = [&[0x62, 0x60][..], &[0; 60_000]].concat();
    for opcode in [0x0, 0x1, 0x2, 0x8, 0x9, 0xa] {
        for fin in [0x80, 0] {
            let payload = if opcode < 8 { &bomb[..] } else { &bomb[..100] };
            let mut server = Server::default();
            let socket = server.ws("/echo", "");
            let before = server.hub.stats().buffered_bytes;
            server.send(socket, &wire::frame(fin | 0x40 | opcode, payload));
            assert_eq!(server.close_code(socket), Some(1002), "{fin:x} {opcode:x}");
            assert!(server.hub.stats().buffered_bytes <= before + 1_024, "{fin:x} {opcode:x}");
        }
    }
}

/// D09 and D10: nothing that goes out is compressed, so there is no state of a compressor, and no secret shows in a length.
#[test]
fn d09_and_d10_nothing_that_goes_out_is_compressed() {
    let mut server = Server::default();
    let socket = server.open();
    let head = handshake("/echo", "Sec-WebSocket-Extensions: permessage-deflate\r\n");
    server.send(socket, head.as_bytes());
    assert_eq!(server.answer(socket).status, 101);
    server.send(socket, &wire::text("a".repeat(10_000)));
    let mut frames = server.frames(socket);
    if frames.is_empty() {
        // An application has to send it back.
        let now = server.now();
        let client = server.seen().into_iter().find_map(|action| match action {
            Action::Deliver { client, .. } => Some(client),
            _ => None,
        });
        let text = "a".repeat(10_000);
        server.hub.send(now, client.expect("it was delivered"), tethered_core::hub::Payload::Text(&text));
        server.work();
        frames = server.frames(socket);
    }
    assert!(matches!(&frames[..], [frame] if frame.first == 0x81 && frame.payload.len() == 10_000));
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
