//! What hostile STOMP leads to, case by case: S01 to S22.

mod harness;

use harness::wire::{self, Frame, Stomp};
use harness::{Server, config};
use tethered_core::broker::access::Rules;
use tethered_core::config::Config;
use tethered_core::hub::{Action, Message, To};
use tethered_core::ids::SocketId;
use tethered_core::session::Cause;

/// A conversation of a user of its own, in this version.
fn talk(server: &mut Server, user: &str, version: &str) -> SocketId {
    let cookie = server.log_in(user);
    let socket = server.ws("/stomp", &cookie);
    server.say(socket, "CONNECT", &[("accept-version", version)], "");
    assert_eq!(server.heard(socket)[0].header("version"), Some(version));
    server.seen();
    socket
}

fn rob(server: &mut Server) -> SocketId {
    talk(server, "rob", "1.2")
}

/// These bytes, as the text of one message, are answered with ERROR and Close 1002: as one message, and cut into two at
/// each place. Returns what the ERROR says.
fn assert_fault_after_connect(server: &mut Server, bytes: &[u8]) -> String {
    let mut said = None;
    let step = (bytes.len() / 40).max(1);
    for cut in (0..=bytes.len()).step_by(step) {
        let socket = rob(server);
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

/// The frames are in order: nothing but what is in `heard` comes back.
fn assert_heard(server: &mut Server, socket: SocketId, commands: &[&str]) -> Vec<Stomp> {
    let heard = server.heard(socket);
    assert_eq!(heard.iter().map(|frame| frame.command.as_str()).collect::<Vec<_>>(), commands, "{heard:?}");
    heard
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
        let socket = rob(&mut server);
        server.say(socket, command, &[("accept-version", "1.2")], "");
        assert!(server.fault(socket).message().starts_with("Already connected"));
    }
}

#[test]
fn s01_after_disconnect_nothing_is_handled() {
    let mut server = Server::default();
    let socket = rob(&mut server);
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
        let socket = rob(&mut server);
        server.say(socket, command, headers, "");
        assert!(!server.fault(socket).message().is_empty(), "{command}");
    }
}

#[test]
fn s04_headers_at_the_limit_and_one_beyond() {
    let mut server = Server::default();
    let send = |headers: usize| format!("SEND\ndestination:/app/a\n{}\n\0", "a:b\n".repeat(headers - 1));
    let socket = rob(&mut server);
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
    let socket = talk(&mut server, "rob", "1.0");
    server.say(socket, "SUBSCRIBE", &[("destination", "/topic/a"), ("receipt", "1")], "");
    server.say(socket, "SEND", &[("destination", "/topic/a")], "x");
    server.say(socket, "UNSUBSCRIBE", &[("destination", "/topic/a"), ("receipt", "2")], "");
    server.say(socket, "SEND", &[("destination", "/topic/a"), ("receipt", "3")], "y");
    assert_heard(&mut server, socket, &["RECEIPT", "MESSAGE", "RECEIPT", "RECEIPT"]);
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
        let socket = talk(&mut server, "rob", version);
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
        assert_heard(&mut server, socket, &["CONNECTED", "RECEIPT"]);
    }
}

#[test]
fn s06_the_first_of_repeated_headers_counts() {
    let mut server = Server::default();
    let socket = rob(&mut server);
    let twice = [("destination", "/app/first"), ("destination", "/app/second"), ("receipt", "1"), ("receipt", "2")];
    server.say(socket, "SEND", &twice, "");
    assert_eq!(server.delivered()[0].0, "/app/first");
    let heard = assert_heard(&mut server, socket, &["RECEIPT"]);
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
    let socket = rob(&mut server);
    server.send(socket, &wire::text("SEND\ndestination:/topic/a\ncontent-length:60000\n\n"));
    assert!(server.hub.stats().buffered_bytes < 100);
    // It may hold NULs, and is trusted to the byte.
    let socket = rob(&mut server);
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
    let socket = rob(&mut server);
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

#[test]
fn s11_a_selector() {
    let mut server = Server::default();
    let socket = rob(&mut server);
    let evil = [("id", "0"), ("destination", "/topic/a"), ("selector", "T(java.lang.Runtime).getRuntime().exec('id')")];
    server.say(socket, "SUBSCRIBE", &evil, "");
    assert_eq!(server.fault(socket).message(), "Selectors are not offered");
}

#[test]
fn s12_patterns_built_to_backtrack() {
    let mut server = Server::default();
    let mut taken = 0;
    for pattern in [
        "/topic/**/a/**/a/**/a/**/a/**/a/**/a/**/a/**/b",
        "/topic/*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*b",
        "/topic/{x}*{y}*{z}*b",
        "/topic/?*?*?*?*?*?*?*b",
    ] {
        let socket = rob(&mut server);
        server.say(socket, "SUBSCRIBE", &[("id", "0"), ("destination", pattern), ("receipt", "r")], "");
        if server.heard(socket)[0].command == "ERROR" {
            continue;
        }
        taken += 1;
        let a = "a".repeat(480);
        server.say(socket, "SEND", &[("destination", &format!("/topic/{a}"))], "");
        server.say(socket, "SEND", &[("destination", &format!("/topic{}", "/a".repeat(31)))], "");
        assert_eq!(server.heard(socket), [], "{pattern} matches none, and that was found out at once");
    }
    assert!(taken >= 2, "{taken}");
}

#[test]
fn s12_destinations_at_the_limit_and_one_beyond() {
    let mut server = Server::default();
    let long = |bytes: usize| format!("/topic/{}", "a".repeat(bytes - 7));
    let deep = |segments: usize| format!("/topic{}", "/a".repeat(segments - 1));
    for (fits, over) in [
        (long(512), long(513)),
        (deep(32), deep(33)),
        (format!("/topic/{}*", "a".repeat(504)), format!("/topic/{}*", "a".repeat(505))),
    ] {
        let socket = rob(&mut server);
        server.say(socket, "SUBSCRIBE", &[("id", "0"), ("destination", &fits), ("receipt", "r")], "");
        assert_heard(&mut server, socket, &["RECEIPT"]);
        server.say(socket, "SUBSCRIBE", &[("id", "1"), ("destination", &over)], "");
        server.fault(socket);
        let socket = rob(&mut server);
        server.say(socket, "SEND", &[("destination", &over)], "");
        server.fault(socket);
    }
}

#[test]
fn s13_patterns_that_would_cover_private_queues() {
    let sample = |config: &mut Config| config.rules = Rules::sample();
    for pattern in ["/queue/**", "/queue/*", "/**", "/topic/**", "/queue/messages-user*", "/queue/{any}"] {
        let mut server = Server::with(sample);
        let socket = rob(&mut server);
        server.say(socket, "SUBSCRIBE", &[("id", "0"), ("destination", pattern)], "");
        server.fault(socket);
        server.serves_nobody_after();
    }
    // What is a user's own is reached by no pattern at all, whatever the rules allow.
    let mut server = Server::default();
    let luke = talk(&mut server, "luke", "1.2");
    for (i, pattern) in ["/queue/**", "/topic/**"].iter().enumerate() {
        server.say(luke, "SUBSCRIBE", &[("id", &i.to_string()), ("destination", pattern), ("receipt", "r")], "");
    }
    assert_heard(&mut server, luke, &["RECEIPT", "RECEIPT"]);
    let rob = rob(&mut server);
    server.say(rob, "SUBSCRIBE", &[("id", "0"), ("destination", "/user/queue/messages")], "");
    let now = server.now();
    let to = To::User { principal: "rob", destination: "/queue/messages" };
    assert_eq!(server.hub.publish(now, to, &Message { body: b"private", ..Message::default() }), 1);
    server.work();
    assert_heard(&mut server, rob, &["MESSAGE"]);
    assert_heard(&mut server, luke, &[]);
    for pattern in ["/user/**", "/user/*/queue/messages", "/user/queue/*"] {
        let socket = talk(&mut server, "luke", "1.2");
        server.say(socket, "SUBSCRIBE", &[("id", "0"), ("destination", pattern)], "");
        server.fault(socket);
    }
}

#[test]
fn s14_user_names_with_separators() {
    let mut server = Server::default();
    let names = ["rob", "rob/queue", "rob%2Fqueue", "rob:queue", "/rob", "rob/", "../rob", "*", "**", "{x}"];
    let sockets: Vec<_> = names
        .iter()
        .map(|name| {
            let socket = talk(&mut server, name, "1.2");
            for (i, suffix) in ["/queue/m", "/m", "/queue/queue/m", "//m"].iter().enumerate() {
                let destination = format!("/user{suffix}");
                server.say(
                    socket,
                    "SUBSCRIBE",
                    &[("id", &i.to_string()), ("destination", &destination), ("receipt", "r")],
                    "",
                );
            }
            assert_heard(&mut server, socket, &["RECEIPT"; 4]);
            socket
        })
        .collect();
    for (name, own) in names.iter().zip(&sockets) {
        let now = server.now();
        let to = To::User { principal: name, destination: "/queue/m" };
        assert_eq!(server.hub.publish(now, to, &Message { body: b"own", ..Message::default() }), 1, "{name}");
        server.work();
        for socket in &sockets {
            let expected: &[&str] = if socket == own { &["MESSAGE"] } else { &[] };
            assert_heard(&mut server, *socket, expected);
        }
    }
    // By a client's SEND only a name without a separator can be said: it reaches that user's and nobody else's.
    let luke = talk(&mut server, "luke", "1.2");
    server.say(luke, "SEND", &[("destination", "/user/rob/queue/m")], "to rob");
    assert_heard(&mut server, sockets[0], &["MESSAGE"]);
    for other in &sockets[1..] {
        assert_heard(&mut server, *other, &[]);
    }
}

#[test]
fn s15_send_straight_to_the_broker() {
    for (rules, allowed) in [(Rules::open(), true), (Rules::sample(), false)] {
        let mut server = Server::with(|config| config.rules = rules);
        for destination in ["/topic/a", "/queue/a", "/user/luke/queue/messages"] {
            let socket = rob(&mut server);
            server.say(socket, "SEND", &[("destination", destination), ("receipt", "r")], "");
            if allowed {
                assert_heard(&mut server, socket, &["RECEIPT"]);
            } else {
                assert_eq!(server.fault(socket).message(), "Access to this destination is denied", "{destination}");
            }
        }
        if !allowed {
            let socket = rob(&mut server);
            server.say(socket, "SEND", &[("destination", "/app/im"), ("receipt", "r")], "");
            assert_heard(&mut server, socket, &["RECEIPT"]);
        }
        server.serves_nobody_after();
    }
}

#[test]
fn s16_headers_that_belong_to_the_server() {
    let mut server = Server::default();
    let luke = talk(&mut server, "luke", "1.2");
    server.say(luke, "SUBSCRIBE", &[("id", "own"), ("destination", "/topic/a")], "");
    let rob = rob(&mut server);
    let owned =
        ["message-id", "subscription", "user-name", "session", "ack", "receipt-id", "receipt", "heart-beat", "version"];
    let mut headers = vec![("destination", "/topic/a"), ("kept", "yes")];
    headers.extend(
        owned
            .iter()
            .filter(|name| !matches!(**name, "receipt-id" | "heart-beat" | "version"))
            .map(|name| (*name, "forged")),
    );
    server.say(rob, "SEND", &headers, "x");
    let heard = assert_heard(&mut server, luke, &["MESSAGE"]);
    let message = &heard[0];
    assert_eq!((message.header("subscription"), message.header("kept")), (Some("own"), Some("yes")));
    assert!(message.headers.iter().all(|(_, value)| value != "forged"), "{message:?}");
    assert_eq!(message.headers.iter().filter(|(name, _)| name == "message-id").count(), 1);
}

#[test]
fn s17_subscriptions_at_the_limit_and_one_beyond() {
    let mut server = Server::default();
    let socket = rob(&mut server);
    let subscribe = |server: &mut Server, id: &str, destination: &str| {
        server.say(socket, "SUBSCRIBE", &[("id", id), ("destination", destination), ("receipt", "r")], "");
    };
    for i in 0..128 {
        subscribe(&mut server, &i.to_string(), &format!("/topic/{i}"));
    }
    // The same once more changes nothing: it is not counted, and nothing arrives twice.
    subscribe(&mut server, "0", "/topic/0");
    assert_heard(&mut server, socket, &["RECEIPT"; 129]);
    server.say(socket, "SEND", &[("destination", "/topic/0")], "x");
    assert_heard(&mut server, socket, &["MESSAGE"]);
    server.say(socket, "UNSUBSCRIBE", &[("id", "0")], "");
    subscribe(&mut server, "128", "/topic/128");
    assert_heard(&mut server, socket, &["RECEIPT"]);
    subscribe(&mut server, "129", "/topic/129");
    assert!(server.fault(socket).message().starts_with("Too many subscriptions"));
}

#[test]
fn s17_an_id_that_is_in_use() {
    let mut server = Server::default();
    let socket = rob(&mut server);
    server.say(socket, "SUBSCRIBE", &[("id", "0"), ("destination", "/topic/a")], "");
    server.say(socket, "SUBSCRIBE", &[("id", "0"), ("destination", "/topic/b")], "");
    assert!(server.fault(socket).message().contains("in use"));
}

#[test]
fn s18_unsubscribe_of_an_unknown_id() {
    let mut server = Server::default();
    let socket = rob(&mut server);
    server.say(socket, "UNSUBSCRIBE", &[("id", "nobody"), ("receipt", "r")], "");
    assert_heard(&mut server, socket, &["RECEIPT"]);
}

#[test]
fn s19_a_receipt_only_after_the_effect() {
    let mut server = Server::default();
    let socket = rob(&mut server);
    server.say(socket, "SUBSCRIBE", &[("id", "0"), ("destination", "/topic/a")], "");
    server.say(socket, "SEND", &[("destination", "/topic/a"), ("receipt", "r")], "x");
    assert_heard(&mut server, socket, &["MESSAGE", "RECEIPT"]);
    // A message to the application has had its effect when the application comes for what is next.
    server.pause();
    server.say(socket, "SEND", &[("destination", "/app/a"), ("receipt", "r")], "x");
    let now = server.now();
    while let Some(action) = server.hub.poll() {
        if matches!(action, Action::Deliver { .. }) {
            let waits: usize = server.hub.output(socket).map(<[u8]>::len).sum();
            assert_eq!(waits, 0, "no receipt before the application has seen the message");
            server.hub.publish(now, To::Destination("/topic/a"), &Message { body: b"effect", ..Message::default() });
        }
    }
    server.resume();
    let bytes: Vec<u8> = server.hub.output(socket).flatten().copied().collect();
    let commands: Vec<_> = wire::frames(&bytes)
        .iter()
        .filter_map(|frame| Stomp::parse(&frame.payload))
        .map(|frame| frame.command)
        .collect();
    assert_eq!(commands, ["MESSAGE", "RECEIPT"]);
}

#[test]
fn s19_values_are_escaped_again_on_the_way_out() {
    let mut server = Server::default();
    let receivers: Vec<_> = ["1.0", "1.1", "1.2"]
        .iter()
        .map(|version| {
            let socket = talk(&mut server, "luke", version);
            server.say(socket, "SUBSCRIBE", &[("id", "0"), ("destination", "/topic/a")], "");
            (socket, *version)
        })
        .collect();
    let rob = rob(&mut server);
    let headers = [
        ("destination", "/topic/a"),
        ("colon", "a\\cb"),
        ("lf", "a\\nmessage-id:forged"),
        ("cr", "a\\rb"),
        ("back", "a\\\\b"),
        ("receipt", "r\\c\\n\\r"),
    ];
    server.say(rob, "SEND", &headers, "x");
    for (socket, version) in receivers {
        let heard = assert_heard(&mut server, socket, &["MESSAGE"]);
        let message = &heard[0];
        let get = |name| message.header(name);
        match version {
            "1.0" => {
                let expected = (Some("a:b"), None, None, Some("a\\b"));
                assert_eq!((get("colon"), get("lf"), get("cr"), get("back")), expected);
            }
            "1.1" => {
                let expected = (Some("a\\cb"), Some("a\\nmessage-id\\cforged"), None, Some("a\\\\b"));
                assert_eq!((get("colon"), get("lf"), get("cr"), get("back")), expected);
            }
            _ => {
                let expected = (Some("a\\cb"), Some("a\\nmessage-id\\cforged"), Some("a\\rb"), Some("a\\\\b"));
                assert_eq!((get("colon"), get("lf"), get("cr"), get("back")), expected);
            }
        }
        assert!(message.headers.iter().all(|(_, value)| !value.contains('\r')), "{message:?}");
    }
    let heard = assert_heard(&mut server, rob, &["RECEIPT"]);
    assert_eq!(heard[0].header("receipt-id"), Some("r\\c\\n\\r"));
}

#[test]
fn s20_an_error_never_quotes() {
    let mut server = Server::default();
    for frame in [
        "zzMARKzz\n\n\0",
        "SEND\ndestination:zzMARKzz\n\nzzMARKzz\0",
        "SEND\ndestination:/zzMARKzz/x\nzzMARKzz:zzMARKzz\n\n\0",
        "SUBSCRIBE\nid:zzMARKzz\ndestination:/topic/a\nselector:zzMARKzz\n\n\0",
        "SUBSCRIBE\nid:zzMARKzz\ndestination:/topic/a\nack:zzMARKzz\n\n\0",
        "ACK\nid:zzMARKzz\n\n\0",
        "SEND\nzzMARKzz\n\n\0",
    ] {
        let socket = rob(&mut server);
        server.send(socket, &wire::text(frame));
        let frames = server.frames(socket);
        assert!(frames.iter().all(|frame| !frame.payload.windows(8).any(|eight| eight == b"zzMARKzz")), "{frame:?}");
        assert_eq!(frames.last().and_then(Frame::close), Some((1002, String::new())));
    }
    // Only the receipt's id is given back, as STOMP asks.
    let socket = rob(&mut server);
    server.send(socket, &wire::text("SEND\nreceipt:mine\ndestination:nowhere\n\n\0"));
    assert_eq!(server.fault(socket).header("receipt-id"), Some("mine"));
}

#[test]
fn s21_one_subscriber_does_not_read() {
    let mut server = Server::with(|config| config.limits.out_bytes = 10_000);
    let slow = talk(&mut server, "luke", "1.2");
    let others: Vec<_> = (0..3).map(|_| talk(&mut server, "luke", "1.2")).collect();
    for socket in others.iter().chain([&slow]) {
        server.say(*socket, "SUBSCRIBE", &[("id", "0"), ("destination", "/topic/a")], "");
    }
    server.stall(slow, 30);
    let sender = rob(&mut server);
    for i in 0..100 {
        server.say(sender, "SEND", &[("destination", "/topic/a")], &format!("{i:0200}"));
        assert!(server.hub.stats().buffered_bytes < 11_000);
    }
    for socket in &others {
        assert_eq!(server.heard(*socket).len(), 100, "all others got everything");
    }
    assert_eq!(server.left(), [Cause::Slow]);
    server.unstall(slow);
    let frames = server.frames(slow);
    assert_eq!((frames.len(), frames.last().and_then(Frame::close).map(|(code, _)| code)), (2, Some(4500)));
}

#[test]
fn s22_a_socket_dies_without_disconnect() {
    let mut server = Server::new(config());
    let luke = talk(&mut server, "luke", "1.2");
    server.say(luke, "SUBSCRIBE", &[("id", "0"), ("destination", "/topic/a")], "");
    server.say(luke, "SUBSCRIBE", &[("id", "1"), ("destination", "/topic/*")], "");
    server.say(luke, "SUBSCRIBE", &[("id", "2"), ("destination", "/user/queue/m")], "");
    server.hang_up(luke);
    assert_eq!(server.left(), [Cause::Peer]);
    let now = server.now();
    let message = Message { body: b"x", ..Message::default() };
    assert_eq!(server.hub.publish(now, To::Destination("/topic/a"), &message), 0);
    assert_eq!(server.hub.publish(now, To::User { principal: "luke", destination: "/queue/m" }, &message), 0);
    assert_eq!((server.hub.stats().clients, server.hub.stats().sessions), (0, 0));
}
