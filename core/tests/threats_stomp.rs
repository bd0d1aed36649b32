//! What hostile STOMP leads to, case by case: S01 to S10. What concerns destinations is in `threats_broker.rs`.

mod harness;

use harness::Server;
use harness::wire::{self, Stomp};
use tethered_core::hub::{Action, Message, To};
use tethered_core::session::Cause;

/// These bytes, as the text of one message, are answered with ERROR and Close 1002: as one message, and cut into two at
/// each place. Returns what the ERROR says.
fn assert_fault_after_connect(server: &mut Server, bytes: &[u8]) -> String {
    let mut said = None;
    let step = (bytes.len() / 40).max(1);
    for cut in (0..=bytes.len()).step_by(step) {
        let socket = server.talk("rob", "1.2");
        if cut > 0 {
            server.send(socket, &wire::binary(&bytes[..cut]));
        }
        server.send(socket, &wire::binary(&bytes[cut..]));
        let message = server.fault(socket).message().to_owned();
        assert!(said.as_ref().is_none_or(|said| *said == message), "{said:?}, but {message:?} when cut at {cut}");
        let seen = server.seen();
        assert!(matches!(seen[..], [Action::Left { cause: Cause::Violation, .. }]), "{seen:?}");
        said = Some(message);
        server.hang_up(socket);
    }
    said.expect("it was tried")
}

#[test]
fn s01_any_frame_before_connect() {
    let mut server = Server::default();
    let cookie = server.log_in("rob");
    for (command, headers) in [
        ("SEND", &[("destination", "/topic/a")][..]),
        ("SUBSCRIBE", &[("id", "0"), ("destination", "/topic/a")]),
        ("UNSUBSCRIBE", &[("id", "0"), ("destination", "/topic/a")]),
        ("DISCONNECT", &[("receipt", "r")]),
        ("ACK", &[("id", "0"), ("message-id", "m")]),
        ("BEGIN", &[("transaction", "t")]),
    ] {
        let socket = server.ws("/stomp", &cookie);
        server.say(socket, command, headers, "");
        assert!(server.fault(socket).message().starts_with("Not connected"), "{command}");
        assert!(server.seen().is_empty(), "{command}: nobody joined");
    }
}

#[test]
fn s01_a_second_connect() {
    let mut server = Server::default();
    for command in ["CONNECT", "STOMP"] {
        let socket = server.talk("rob", "1.2");
        server.say(socket, command, &[("accept-version", "1.2")], "");
        assert!(server.fault(socket).message().starts_with("Already connected"));
    }
}

#[test]
fn s01_after_disconnect_nothing_is_handled() {
    let mut server = Server::default();
    let socket = server.talk("rob", "1.2");
    let after = [
        wire::stomp("DISCONNECT", &[("receipt", "bye")], b""),
        wire::stomp("SEND", &[("destination", "/app/late")], b"too late"),
        b"GARBAGE\n\n\0".to_vec(),
        wire::stomp("CONNECT", &[("accept-version", "1.2")], b""),
    ];
    server.send(socket, &[wire::text(after.concat()), wire::text(&after[1]), wire::text(&after[2])].concat());
    let frames = server.frames(socket);
    let [receipt, close] = &frames[..] else { panic!("{frames:?}") };
    let receipt = Stomp::parse(&receipt.payload).expect("a frame");
    assert_eq!((receipt.command.as_str(), receipt.header("receipt-id")), ("RECEIPT", Some("bye")));
    assert_eq!(close.close(), Some((1000, String::new())));
    let seen = server.seen();
    assert!(matches!(seen[..], [Action::Left { cause: Cause::Peer, .. }]), "{seen:?}");
}

#[test]
fn s02_versions() {
    let mut server = Server::default();
    let cookie = server.log_in("rob");
    let connect = |server: &mut Server, headers: &[(&str, &str)]| {
        let socket = server.ws("/stomp", &cookie);
        server.seen();
        server.say(socket, "CONNECT", headers, "");
        socket
    };
    for (offered, chosen) in
        [("1.0", "1.0"), ("1.1", "1.1"), ("1.2", "1.2"), ("1.0,1.1,1.2", "1.2"), ("1.1,2.0", "1.1")]
    {
        let socket = connect(&mut server, &[("accept-version", offered)]);
        assert_eq!(server.heard(socket)[0].header("version"), Some(chosen), "{offered}");
    }
    let socket = connect(&mut server, &[]);
    assert_eq!(server.heard(socket)[0].header("version"), Some("1.0"), "none means 1.0");
    for none in ["2.0", "0.9,1.3", "", "x", "1.2.3"] {
        let socket = connect(&mut server, &[("accept-version", none)]);
        let error = server.fault(socket);
        assert_eq!(error.header("version"), Some("1.0,1.1,1.2"), "{none:?}");
        assert!(server.seen().is_empty(), "{none:?}: nobody joined");
    }
    // The sub-protocol does not bind the version.
    let socket = server.open();
    let lines = format!("Cookie: {cookie}\r\nSec-WebSocket-Protocol: v10.stomp\r\n");
    server.send(socket, harness::handshake("/stomp", &lines).as_bytes());
    assert_eq!(server.answer(socket).header("sec-websocket-protocol"), Some("v10.stomp"));
    server.say(socket, "CONNECT", &[("accept-version", "1.2")], "");
    assert_eq!(server.heard(socket)[0].header("version"), Some("1.2"));
}

#[test]
fn s02_absurd_connects_make_no_half_session() {
    let mut server = Server::default();
    let cookie = server.log_in("rob");
    for headers in [
        &[("accept-version", "1.2"), ("heart-beat", "x,y")][..],
        &[("accept-version", "1.2"), ("heart-beat", "1000")],
        &[("accept-version", "1.2"), ("heart-beat", "-1,0")],
        &[("accept-version", "1.2"), ("content-length", "x")],
        &[("accept-version", "1.2"), ("", "empty")],
    ] {
        let socket = server.ws("/stomp", &cookie);
        server.seen();
        server.say(socket, "CONNECT", headers, "");
        server.fault(socket);
        assert!(server.seen().is_empty(), "{headers:?}");
    }
}

#[test]
fn s03_commands() {
    let mut server = Server::default();
    for command in
        ["send", "Send", "SENDS", "SEN", "HELLO", "", " SEND", "SEND ", "S\0END", &"X".repeat(17), &"X".repeat(9_000)]
    {
        let said = assert_fault_after_connect(
            &mut server,
            format!("{command}\ndestination:/topic/a\n\n\0").trim_start_matches('\n').as_bytes(),
        );
        assert!(!said.is_empty());
    }
    for command in ["MESSAGE", "CONNECTED", "RECEIPT", "ERROR"] {
        let frame = format!("{command}\ndestination:/topic/a\nmessage-id:1\nsubscription:0\nreceipt-id:1\n\n\0");
        assert_fault_after_connect(&mut server, frame.as_bytes());
    }
    // Nobody waits for the end of an endless command.
    assert_fault_after_connect(&mut server, &[b'X'; 17]);
}

#[test]
fn s03_what_is_not_offered_is_said() {
    let mut server = Server::default();
    for (command, headers) in [
        ("ACK", &[("id", "1")][..]),
        ("NACK", &[("id", "1")]),
        ("BEGIN", &[("transaction", "t")]),
        ("COMMIT", &[("transaction", "t")]),
        ("ABORT", &[("transaction", "t")]),
        ("SEND", &[("destination", "/topic/a"), ("transaction", "t")]),
        ("SUBSCRIBE", &[("id", "0"), ("destination", "/topic/a"), ("ack", "client")]),
        ("SUBSCRIBE", &[("id", "0"), ("destination", "/topic/a"), ("ack", "client-individual")]),
        ("SUBSCRIBE", &[("id", "0"), ("destination", "/topic/a"), ("ack", "sometimes")]),
    ] {
        let socket = server.talk("rob", "1.2");
        server.say(socket, command, headers, "");
        assert!(!server.fault(socket).message().is_empty(), "{command}");
    }
}

#[test]
fn s04_headers_at_the_limit_and_one_beyond() {
    let mut server = Server::default();
    let send = |headers: usize| format!("SEND\ndestination:/app/a\n{}\n\0", "a:b\n".repeat(headers - 1));
    let socket = server.talk("rob", "1.2");
    server.send(socket, &wire::text(send(64)));
    assert_eq!(server.delivered().len(), 1);
    assert_fault_after_connect(&mut server, send(65).as_bytes());
    let sized = |bytes: usize| {
        let empty = "SEND\ndestination:/app/a\nx:\n\n".len();
        format!("SEND\ndestination:/app/a\nx:{}\n\n\0", "x".repeat(bytes - empty))
    };
    server.send(socket, &wire::text(sized(16 * 1024)));
    assert_eq!(server.delivered().len(), 1);
    assert_fault_after_connect(&mut server, sized(16 * 1024 + 1).as_bytes());
}

#[test]
fn s04_headers_that_a_command_needs() {
    let mut server = Server::default();
    for frame in [
        &b"SEND\n\nbody\0"[..],
        b"SEND\ndestination:\n\nbody\0",
        b"SUBSCRIBE\nid:0\n\n\0",
        b"SUBSCRIBE\ndestination:/topic/a\n\n\0",
        b"UNSUBSCRIBE\n\n\0",
        b"ACK\n\n\0",
        b"BEGIN\n\n\0",
    ] {
        assert_fault_after_connect(&mut server, frame);
    }
    // In 1.0 a subscription needs no id.
    let socket = server.talk("rob", "1.0");
    server.say(socket, "SUBSCRIBE", &[("destination", "/topic/a"), ("receipt", "1")], "");
    server.say(socket, "SEND", &[("destination", "/topic/a")], "x");
    server.say(socket, "UNSUBSCRIBE", &[("destination", "/topic/a"), ("receipt", "2")], "");
    server.say(socket, "SEND", &[("destination", "/topic/a"), ("receipt", "3")], "y");
    server.assert_heard(socket, &["RECEIPT", "MESSAGE", "RECEIPT", "RECEIPT"]);
}

#[test]
fn s05_heads_that_are_not_in_order() {
    let mut server = Server::default();
    for frame in [
        &b"SEND\ndestination\n\n\0"[..],
        b"SEND\n:/topic/a\ndestination:/topic/a\n\n\0",
        b"SEND\ndestination:/topic/a\rx:y\n\n\0",
        b"SEND\rdestination:/topic/a\n\n\0",
        b"SEND\ndestination:/topic/a\0\n\n\0",
        b"SEND\ndestination:/topic/\\t\n\n\0",
        b"SEND\ndestination:/topic/a\\\n\n\0",
        b"SEND\ndestination:/topic/a\nx\\q:y\n\n\0",
        b"SEND\ndestination:/topic/\xff\n\n\0",
    ] {
        assert_fault_after_connect(&mut server, frame);
    }
}

#[test]
fn s05_escapes_are_those_of_the_version() {
    let mut server = Server::default();
    for (version, raw, meant) in [
        ("1.0", "/app/a\\c\\n", Some("/app/a\\c\\n")),
        ("1.1", "/app/a\\cb\\\\", Some("/app/a:b\\")),
        ("1.1", "/app/a\\rb", None),
        ("1.2", "/app/a\\rb\\cc", Some("/app/a\rb:c")),
    ] {
        let socket = server.talk("rob", version);
        server.say(socket, "SEND", &[("destination", raw)], "");
        match meant {
            Some(meant) => assert_eq!(server.delivered(), [(meant.to_owned(), Vec::new())], "{version}"),
            None => _ = server.fault(socket),
        }
    }
    // A line may end with CRLF in each; in CONNECT a backslash is a backslash.
    let cookie = server.log_in("rob");
    for version in ["1.0", "1.1", "1.2"] {
        let socket = server.ws("/stomp", &cookie);
        server.send(socket, &wire::text(format!("CONNECT\r\naccept-version:{version}\r\nlogin:a\\qb\r\n\r\n\0\r\n")));
        server.send(socket, &wire::text("SEND\r\ndestination:/topic/a\r\nreceipt:1\r\n\r\n\0"));
        server.assert_heard(socket, &["CONNECTED", "RECEIPT"]);
    }
}

#[test]
fn s06_the_first_of_repeated_headers_counts() {
    let mut server = Server::default();
    let socket = server.talk("rob", "1.2");
    let twice = [("destination", "/app/first"), ("destination", "/app/second"), ("receipt", "1"), ("receipt", "2")];
    server.say(socket, "SEND", &twice, "");
    assert_eq!(server.delivered()[0].0, "/app/first");
    let heard = server.assert_heard(socket, &["RECEIPT"]);
    assert_eq!(heard[0].header("receipt-id"), Some("1"));
}

#[test]
fn s07_content_length() {
    let mut server = Server::default();
    for bad in ["x", "-1", "+1", "1.0", "0x1", "1 ", "", "99999999999999999999", "4294967296", "65537", "0", "4"] {
        let frame = format!("SEND\ndestination:/topic/a\ncontent-length:{bad}\n\nb\0\0\0x");
        assert_fault_after_connect(&mut server, frame.as_bytes());
    }
    // Announced, but nothing of it came: nothing is set aside.
    let socket = server.talk("rob", "1.2");
    server.send(socket, &wire::text("SEND\ndestination:/topic/a\ncontent-length:60000\n\n"));
    assert!(server.hub.stats().buffered_bytes < 100);
    // It may hold NULs, and is trusted to the byte.
    let socket = server.talk("rob", "1.2");
    server.send(socket, &wire::binary(b"SEND\ndestination:/app/a\ncontent-length:3\n\na\0b\0\n\n"));
    assert_eq!(server.delivered(), [("/app/a".to_owned(), b"a\0b".to_vec())]);
}

#[test]
fn s08_bodies_on_frames_that_have_none() {
    let mut server = Server::default();
    for frame in [
        &b"SUBSCRIBE\nid:0\ndestination:/topic/a\n\nbody\0"[..],
        b"UNSUBSCRIBE\nid:0\n\nb\0",
        b"DISCONNECT\n\nb\0",
        b"SUBSCRIBE\nid:0\ndestination:/topic/a\ncontent-length:1\n\nb\0",
    ] {
        assert_fault_after_connect(&mut server, frame);
    }
    let cookie = server.log_in("rob");
    let socket = server.ws("/stomp", &cookie);
    server.say(socket, "CONNECT", &[("accept-version", "1.2")], "body");
    server.fault(socket);
}

#[test]
fn s09_a_frame_trickled_in_over_many_messages() {
    let mut server = Server::default();
    let socket = server.talk("rob", "1.2");
    let frame = [b"SEND\ndestination:/app/a\n\n".to_vec(), vec![b'x'; 65_536 - 26], vec![0]].concat();
    assert_eq!(frame.len(), 65_536);
    for byte in &frame {
        server.send(socket, &wire::text([*byte]));
        assert!(server.hub.stats().buffered_bytes <= 65_536);
    }
    assert_eq!(server.delivered()[0].1.len(), 65_536 - 26);
    for byte in frame[..65_535].iter().chain(b"x") {
        server.send(socket, &wire::text([*byte]));
    }
    assert_eq!(server.heard(socket), [], "not before the limit");
    server.send(socket, &wire::text("x"));
    assert_eq!(server.fault(socket).message(), "The frame is too large");
}

#[test]
fn s10_heart_beats_malformed() {
    let mut server = Server::default();
    let cookie = server.log_in("rob");
    for bad in
        ["", "1", "1,", ",1", "-1,1", "1,-1", "+1,1", "1.5,1", "x,1", "1,2,3", "99999999999999999999,1", " 1,1 x"]
    {
        let socket = server.ws("/stomp", &cookie);
        server.say(socket, "CONNECT", &[("accept-version", "1.2"), ("heart-beat", bad)], "");
        server.fault(socket);
    }
}

#[test]
fn s10_heart_beats_shorter_than_the_floor() {
    let mut server = Server::with(|config| config.heart_beat_ms = (1, 1));
    let cookie = server.log_in("rob");
    let socket = server.ws("/stomp", &cookie);
    server.say(socket, "CONNECT", &[("accept-version", "1.2"), ("heart-beat", "1,1")], "");
    server.heard(socket);
    let mut beats = 0;
    for _ in 0..10 {
        server.send(socket, &wire::text("\n"));
        server.wait(1_000);
        beats += server.frames(socket).iter().filter(|frame| frame.payload == b"\n").count();
    }
    assert!((8..=10).contains(&beats), "one a second, not a thousand: {beats}");
    assert!(!server.is_closed(socket));
    server.serves_nobody_after();
}

#[test]
fn s10_heart_beats_missed() {
    let mut server = Server::with(|config| config.heart_beat_ms = (0, 2_000));
    let cookie = server.log_in("rob");
    let socket = server.ws("/stomp", &cookie);
    server.say(socket, "CONNECT", &[("accept-version", "1.2"), ("heart-beat", "2000,0")], "");
    server.say(socket, "SUBSCRIBE", &[("id", "0"), ("destination", "/topic/a")], "");
    server.heard(socket);
    server.seen();
    server.wait(5_900);
    assert_eq!(server.frames(socket), [], "three may be missed");
    server.wait(120);
    assert_eq!(server.fault(socket).message(), "Session closed.");
    assert_eq!(server.left(), [Cause::Idle]);
    let now = server.now();
    let sent = server.hub.publish(now, To::Destination("/topic/a"), &Message { body: b"x", ..Message::default() });
    assert_eq!(sent, 0, "its subscription is gone");
}
