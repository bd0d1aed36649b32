//! What hostile destinations, subscriptions and messages lead to, case by case: S11 to S22.

mod harness;

use harness::wire::{self, Frame, Stomp};
use harness::{Server, config};
use tethered_core::broker::access::Rules;
use tethered_core::config::{Config, Endpoint, Login};
use tethered_core::hub::{Action, Message, To};
use tethered_core::session::Cause;

#[test]
fn s11_a_selector() {
    let mut server = Server::default();
    let socket = server.talk("rob", "1.2");
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
        let socket = server.talk("rob", "1.2");
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
fn s12_a_regular_expression_is_no_pattern_here() {
    let mut server = Server::default();
    for pattern in ["/topic/{id:[0-9]+}", "/topic/{id:(a+)+b}"] {
        let socket = server.talk("rob", "1.2");
        server.say(socket, "SUBSCRIBE", &[("id", "0"), ("destination", &pattern.replace(':', "\\c"))], "");
        assert!(server.fault(socket).message().contains("regular expression"), "{pattern}");
    }
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
        let socket = server.talk("rob", "1.2");
        server.say(socket, "SUBSCRIBE", &[("id", "0"), ("destination", &fits), ("receipt", "r")], "");
        server.assert_heard(socket, &["RECEIPT"]);
        server.say(socket, "SUBSCRIBE", &[("id", "1"), ("destination", &over)], "");
        server.fault(socket);
        let socket = server.talk("rob", "1.2");
        server.say(socket, "SEND", &[("destination", &over)], "");
        server.fault(socket);
    }
}

#[test]
fn s13_patterns_that_would_cover_private_queues() {
    let sample = |config: &mut Config| config.rules = Rules::sample();
    for pattern in ["/queue/**", "/queue/*", "/**", "/topic/**", "/queue/messages-user*", "/queue/{any}"] {
        let mut server = Server::with(sample);
        let socket = server.talk("rob", "1.2");
        server.say(socket, "SUBSCRIBE", &[("id", "0"), ("destination", pattern)], "");
        server.fault(socket);
        server.serves_nobody_after();
    }
    // What is a user's own is reached by no pattern at all, whatever the rules allow.
    let mut server = Server::default();
    let luke = server.talk("luke", "1.2");
    for (i, pattern) in ["/queue/**", "/topic/**"].iter().enumerate() {
        server.say(luke, "SUBSCRIBE", &[("id", &i.to_string()), ("destination", pattern), ("receipt", "r")], "");
    }
    server.assert_heard(luke, &["RECEIPT", "RECEIPT"]);
    let rob = server.talk("rob", "1.2");
    server.say(rob, "SUBSCRIBE", &[("id", "0"), ("destination", "/user/queue/messages")], "");
    let now = server.now();
    let to = To::User { principal: "rob", destination: "/queue/messages" };
    assert_eq!(server.hub.publish(now, to, &Message { body: b"private", ..Message::default() }), 1);
    server.work();
    server.assert_heard(rob, &["MESSAGE"]);
    server.assert_heard(luke, &[]);
    for pattern in ["/user/**", "/user/*/queue/messages", "/user/queue/*"] {
        let socket = server.talk("luke", "1.2");
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
            let socket = server.talk(name, "1.2");
            for (i, suffix) in ["/queue/m", "/m", "/queue/queue/m", "//m"].iter().enumerate() {
                let destination = format!("/user{suffix}");
                server.say(
                    socket,
                    "SUBSCRIBE",
                    &[("id", &i.to_string()), ("destination", &destination), ("receipt", "r")],
                    "",
                );
            }
            server.assert_heard(socket, &["RECEIPT"; 4]);
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
            server.assert_heard(*socket, expected);
        }
    }
    // By a client's SEND only a name without a separator can be said: it reaches that user's and nobody else's.
    let luke = server.talk("luke", "1.2");
    server.say(luke, "SEND", &[("destination", "/user/rob/queue/m")], "to rob");
    server.assert_heard(sockets[0], &["MESSAGE"]);
    for other in &sockets[1..] {
        server.assert_heard(*other, &[]);
    }
}

#[test]
fn s15_send_straight_to_the_broker() {
    for (rules, allowed) in [(Rules::open(), true), (Rules::sample(), false)] {
        let mut server = Server::with(|config| config.rules = rules);
        for destination in ["/topic/a", "/queue/a", "/user/luke/queue/messages"] {
            let socket = server.talk("rob", "1.2");
            server.say(socket, "SEND", &[("destination", destination), ("receipt", "r")], "");
            if allowed {
                server.assert_heard(socket, &["RECEIPT"]);
            } else {
                assert_eq!(server.fault(socket).message(), "Access to this destination is denied", "{destination}");
            }
        }
        if !allowed {
            let socket = server.talk("rob", "1.2");
            server.say(socket, "SEND", &[("destination", "/app/im"), ("receipt", "r")], "");
            server.assert_heard(socket, &["RECEIPT"]);
        }
        server.serves_nobody_after();
    }
}

#[test]
fn s16_headers_that_belong_to_the_server() {
    let mut server = Server::default();
    let luke = server.talk("luke", "1.2");
    server.say(luke, "SUBSCRIBE", &[("id", "own"), ("destination", "/topic/a")], "");
    let rob = server.talk("rob", "1.2");
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
    let heard = server.assert_heard(luke, &["MESSAGE"]);
    let message = &heard[0];
    assert_eq!((message.header("subscription"), message.header("kept")), (Some("own"), Some("yes")));
    assert!(message.headers.iter().all(|(_, value)| value != "forged"), "{message:?}");
    assert_eq!(message.headers.iter().filter(|(name, _)| name == "message-id").count(), 1);
}

#[test]
fn s17_subscriptions_at_the_limit_and_one_beyond() {
    let mut server = Server::default();
    let socket = server.talk("rob", "1.2");
    let subscribe = |server: &mut Server, id: &str, destination: &str| {
        server.say(socket, "SUBSCRIBE", &[("id", id), ("destination", destination), ("receipt", "r")], "");
    };
    for i in 0..128 {
        subscribe(&mut server, &i.to_string(), &format!("/topic/{i}"));
    }
    // The same once more changes nothing: it is not counted, and nothing arrives twice.
    subscribe(&mut server, "0", "/topic/0");
    server.assert_heard(socket, &["RECEIPT"; 129]);
    server.say(socket, "SEND", &[("destination", "/topic/0")], "x");
    server.assert_heard(socket, &["MESSAGE"]);
    server.say(socket, "UNSUBSCRIBE", &[("id", "0")], "");
    subscribe(&mut server, "128", "/topic/128");
    server.assert_heard(socket, &["RECEIPT"]);
    subscribe(&mut server, "129", "/topic/129");
    assert!(server.fault(socket).message().starts_with("Too many subscriptions"));
}

#[test]
fn s17_an_id_that_is_in_use() {
    let mut server = Server::default();
    let socket = server.talk("rob", "1.2");
    server.say(socket, "SUBSCRIBE", &[("id", "0"), ("destination", "/topic/a")], "");
    server.say(socket, "SUBSCRIBE", &[("id", "0"), ("destination", "/topic/b")], "");
    assert!(server.fault(socket).message().contains("in use"));
}

#[test]
fn s18_unsubscribe_of_an_unknown_id() {
    let mut server = Server::default();
    let socket = server.talk("rob", "1.2");
    server.say(socket, "UNSUBSCRIBE", &[("id", "nobody"), ("receipt", "r")], "");
    server.assert_heard(socket, &["RECEIPT"]);
}

#[test]
fn s18_what_was_subscribed_without_an_id_ends_by_its_destination() {
    let mut server = Server::with(|config| {
        let open = Endpoint { login: Login::None, ..Endpoint::stomp("/open") };
        config.endpoints.push(open);
    });
    let rob = server.talk("rob", "1.0");
    let nobody = server.ws("/open", "");
    server.say(nobody, "CONNECT", &[], "");
    server.heard(nobody);
    for socket in [rob, nobody] {
        for destination in ["/topic/a", "/topic/*", "/queue/{x}", "/user/queue/m"] {
            server.say(socket, "SUBSCRIBE", &[("destination", destination)], "");
        }
        server.say(socket, "SEND", &[("destination", "/topic/a")], "");
        server.say(socket, "SEND", &[("destination", "/queue/a")], "");
        server.assert_heard(socket, &["MESSAGE"; 3]);
        server.heard(rob);
        for destination in ["/topic/a", "/topic/*", "/queue/{x}", "/user/queue/m"] {
            server.say(socket, "UNSUBSCRIBE", &[("destination", destination)], "");
        }
        let now = server.now();
        let message = Message { body: b"x", ..Message::default() };
        let to = To::User { principal: "rob", destination: "/queue/m" };
        assert_eq!(server.hub.publish(now, to, &message), 0);
        server.say(socket, "SEND", &[("destination", "/topic/a")], "");
        server.say(socket, "SEND", &[("destination", "/queue/a")], "");
        server.assert_heard(socket, &[]);
    }
}

#[test]
fn s19_a_receipt_only_after_the_effect() {
    let mut server = Server::default();
    let socket = server.talk("rob", "1.2");
    server.say(socket, "SUBSCRIBE", &[("id", "0"), ("destination", "/topic/a")], "");
    server.say(socket, "SEND", &[("destination", "/topic/a"), ("receipt", "r")], "x");
    server.assert_heard(socket, &["MESSAGE", "RECEIPT"]);
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
            let socket = server.talk("luke", version);
            server.say(socket, "SUBSCRIBE", &[("id", "0"), ("destination", "/topic/a")], "");
            (socket, *version)
        })
        .collect();
    let rob = server.talk("rob", "1.2");
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
        let heard = server.assert_heard(socket, &["MESSAGE"]);
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
    let heard = server.assert_heard(rob, &["RECEIPT"]);
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
        let socket = server.talk("rob", "1.2");
        server.send(socket, &wire::text(frame));
        let frames = server.frames(socket);
        assert!(frames.iter().all(|frame| !frame.payload.windows(8).any(|eight| eight == b"zzMARKzz")), "{frame:?}");
        assert_eq!(frames.last().and_then(Frame::close), Some((1002, String::new())));
    }
    // Only the receipt's id is given back, as STOMP asks.
    let socket = server.talk("rob", "1.2");
    server.send(socket, &wire::text("SEND\nreceipt:mine\ndestination:nowhere\n\n\0"));
    assert_eq!(server.fault(socket).header("receipt-id"), Some("mine"));
}

#[test]
fn s21_one_subscriber_does_not_read() {
    let mut server = Server::with(|config| config.limits.out_bytes = 10_000);
    let slow = server.talk("luke", "1.2");
    let others: Vec<_> = (0..3).map(|_| server.talk("luke", "1.2")).collect();
    for socket in others.iter().chain([&slow]) {
        server.say(*socket, "SUBSCRIBE", &[("id", "0"), ("destination", "/topic/a")], "");
    }
    server.stall(slow, 30);
    let sender = server.talk("rob", "1.2");
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
    let luke = server.talk("luke", "1.2");
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
