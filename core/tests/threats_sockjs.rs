//! Group J of what strangers and faults do: SockJS. Each test names the lines it plays.

mod harness;

use harness::sockjs::{
    INTERRUPTED, MINE, OPEN, STILL_OPEN, answered, config, connect, cookie, joined, open, request, say, sockjs,
    subscribe, wait_for,
};
use harness::{Server, handshake, wire};
use tethered_core::config::Config;
use tethered_core::session::Cause;

fn server() -> Server {
    Server::new(config())
}

fn with(change: impl FnOnce(&mut Config)) -> Server {
    let mut config = config();
    change(&mut config);
    Server::new(config)
}

#[test]
fn j01_callbacks_are_names() {
    let mut server = server();
    for transport in ["htmlfile", "jsonp"] {
        for (query, why) in [
            ("", "\"callback\" parameter required\n"),
            ("?c=", "\"callback\" parameter required\n"),
            ("?x=1", "\"callback\" parameter required\n"),
            ("?c=a%3Cscript%3E", "invalid \"callback\" parameter\n"),
            ("?c=a%0d%0aX:y", "invalid \"callback\" parameter\n"),
            ("?c=%C3%A9", "invalid \"callback\" parameter\n"),
        ] {
            let answer = server.fetch("GET", &format!("{OPEN}/{transport}{query}"), "", "");
            assert_eq!((answer.status, &*String::from_utf8_lossy(&answer.body)), (500, why), "{query}");
            assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
        }
        for (len, status) in [(64, 200), (65, 500)] {
            let path = format!("/open/0/{transport}{len}/{transport}?c={}", "x".repeat(len));
            let socket = server.begin("GET", &path, "", "");
            let head = server.output(socket);
            assert!(head.starts_with(format!("HTTP/1.1 {status}").as_bytes()));
            server.hang_up(socket);
        }
    }
    server.wait(5_016);
}

#[test]
fn j02_no_websocket_where_there_is_none() {
    let mut server = server();
    for path in ["/open", "/open/", "/open/info", "/open/iframe.html"] {
        let socket = server.open();
        server.send(socket, handshake(path, "").as_bytes());
        assert_eq!(server.answer(socket).status, 400, "{path}");
    }
}

#[test]
fn j03_paths_that_lead_nowhere() {
    let mut server = server();
    for path in [
        "/open//abc/xhr",
        "/open/0//xhr",
        "/open/a.b/abc/xhr",
        "/open/0/a.b/xhr",
        "/open/0/a%2Eb/xhr",
        "/open/0/a%2Fb/xhr",
        "/open/0/a%01b/xhr",
        "/open/0/abc/nosuch",
        "/open/0/abc",
        "/open/0/abc/xhr/x",
        "/open/0/abc/xhr/",
    ] {
        assert_eq!(server.fetch("POST", path, "", "").status, 404, "{path}");
    }
    for (len, status) in [(256, 200), (257, 404)] {
        let path = format!("/open/0/{}/xhr", "x".repeat(len));
        assert_eq!(server.fetch("POST", &path, "", "").status, status);
        let path = format!("/open/{}/{len}/xhr", "x".repeat(len));
        assert_eq!(server.fetch("POST", &path, "", "").status, status);
    }
    assert_eq!(server.poll("/open/0/%E2%82%AC%20", ""), "o");
    server.wait(5_016);
}

#[test]
fn j04_nobody_is_sent_to_who_is_not_there() {
    let mut server = server();
    assert_eq!(server.fetch("POST", &format!("{OPEN}/xhr_send"), "", "[\"x\"]").status, 404);
    assert_eq!(server.fetch("POST", &format!("{OPEN}/jsonp_send"), "", "[\"x\"]").status, 404);
    let rob = server.log_in("rob");
    assert_eq!(server.fetch("POST", &format!("{MINE}/xhr_send"), &cookie(&rob), "[\"x\"]").status, 404);
    // Without a cookie nobody is told what there is.
    assert_eq!(server.fetch("POST", &format!("{MINE}/xhr_send"), "", "[\"x\"]").status, 401);
    assert_eq!(server.poll(OPEN, ""), "o", "and sending opened none");
    server.wait(5_016);
}

#[test]
fn j05_a_name_is_no_proof() {
    let mut server = server();
    let (rob, luke) = (server.log_in("rob"), server.log_in("luke"));
    connect(&mut server, MINE, &rob);
    for login in ["", luke.as_str(), "SESSION=bm9ib2R5"] {
        for transport in ["xhr", "xhr_send", "xhr_streaming"] {
            let answer = server.fetch("POST", &format!("{MINE}/{transport}"), &cookie(login), "[\"x\"]");
            assert_eq!(answer.status, 404, "{transport} as {login:?}");
        }
        for transport in ["eventsource", "htmlfile?c=c"] {
            assert_eq!(server.fetch("GET", &format!("{MINE}/{transport}"), &cookie(login), "").status, 404);
        }
    }
    // Another login of the same user is another login.
    let again = server.log_in("rob");
    assert_eq!(server.fetch("POST", &format!("{MINE}/xhr"), &cookie(&again), "").status, 404);
    subscribe(&mut server, MINE, &rob, "/topic/x");
    assert_eq!(server.left(), []);
    server.wait(5_016);
}

#[test]
fn j05_addresses_tell_those_apart_who_have_no_login() {
    let mut server = server();
    open(&mut server, OPEN);
    let elsewhere = "198.51.100.9".parse().expect("an address");
    for transport in ["xhr", "xhr_send"] {
        let socket = server.open_from(elsewhere);
        server.send(socket, &request("POST", &format!("{OPEN}/{transport}"), "", "[\"x\"]"));
        assert_eq!(server.answer(socket).status, 404, "{transport}");
    }
    // Each request from another port, even from another proxy, is the same client.
    server.post(OPEN, "", "[\"x\"]");
    assert_eq!(server.delivered(), [("/open".to_owned(), b"x".to_vec())]);
    server.wait(5_016);
}

#[test]
fn j05_behind_a_proxy_it_is_the_address_that_the_proxy_tells() {
    let mut server = with(|config| config.proxies.add("203.0.113.0/24").expect("a network"));
    let line = |address: &str| format!("X-Forwarded-For: {address}\r\n");
    let path = format!("{OPEN}/xhr");
    assert_eq!(server.fetch("POST", &path, &line("192.0.2.1"), "").status, 200);
    assert_eq!(server.fetch("POST", &path, &line("192.0.2.2"), "").status, 404);
    let other = server.open_from("203.0.113.200".parse().expect("an address"));
    server.send(other, &request("POST", &format!("{OPEN}/xhr_send"), &line("192.0.2.1"), "[\"x\"]"));
    assert_eq!(server.answer(other).status, 204);
    server.wait(5_016);
}

#[test]
fn j06_a_second_receiver_is_turned_away_and_the_first_does_not_notice() {
    let mut server = server();
    let client = open(&mut server, OPEN);
    let first = wait_for(&mut server, OPEN, "");
    for (method, transport, body) in [
        ("POST", "xhr", format!("{STILL_OPEN}\n")),
        ("GET", "eventsource", format!("\r\ndata: {STILL_OPEN}\r\n\r\n")),
        ("GET", "jsonp?c=cb", "/**/cb(\"c[2010,\\\"Another connection still open\\\"]\");\r\n".to_owned()),
    ] {
        let answer = server.fetch(method, &format!("{OPEN}/{transport}"), "", "");
        assert_eq!((answer.status, String::from_utf8_lossy(&answer.body)), (200, body.into()));
    }
    say(&mut server, client, "still here");
    assert_eq!(answered(&mut server, first), "a[\"still here\"]");
    server.wait(5_016);
}

#[test]
fn j06_whose_receiver_vanishes_is_over() {
    for transport in ["xhr", "xhr_streaming"] {
        let mut server = server();
        let client = open(&mut server, OPEN);
        let first = server.begin("POST", &format!("{OPEN}/{transport}"), "", "");
        server.hang_up(first);
        assert!(server.is_closed(first), "at once");
        assert_eq!(server.left(), [Cause::Peer]);
        say(&mut server, client, "to nobody");
        assert_eq!(server.poll(OPEN, ""), INTERRUPTED);
        assert_eq!(server.fetch("POST", &format!("{OPEN}/xhr_send"), "", "[\"x\"]").status, 404);
        server.wait(4_000);
        assert_eq!(server.poll(OPEN, ""), INTERRUPTED, "each request that asks makes it last");
        server.wait(4_900);
        assert_eq!(server.poll(OPEN, ""), INTERRUPTED);
        server.wait(5_016);
        assert_eq!(server.poll(OPEN, ""), "o", "and then it opens anew");
        server.wait(5_016);
    }
}

#[test]
fn j06_an_answer_that_was_not_taken_is_not_delivered() {
    for (taken, vanishes) in [(0, true), (40, true), (usize::MAX, false)] {
        let mut server = server();
        let client = open(&mut server, OPEN);
        let socket = wait_for(&mut server, OPEN, "");
        server.stall(socket, taken);
        say(&mut server, client, "lost with its connection");
        server.hang_up(socket);
        if vanishes {
            assert_eq!(server.left(), [Cause::Peer], "after {taken} bytes");
            assert_eq!(server.poll(OPEN, ""), INTERRUPTED);
        } else {
            assert_eq!(server.left(), []);
            say(&mut server, client, "next");
            assert_eq!(server.poll(OPEN, ""), "a[\"next\"]");
        }
        server.wait(5_016);
        assert_eq!(server.hub.stats().channels, 0);
    }
}

#[test]
fn j06_the_next_poll_may_come_before_it_is_known_that_the_answer_was_taken() {
    let mut server = server();
    let client = open(&mut server, OPEN);
    let first = wait_for(&mut server, OPEN, "");
    server.stall(first, 0);
    say(&mut server, client, "one");
    let second = wait_for(&mut server, OPEN, "");
    server.unstall(first);
    assert_eq!(answered(&mut server, first), "a[\"one\"]");
    say(&mut server, client, "two");
    assert_eq!(answered(&mut server, second), "a[\"two\"]");
    server.wait(5_016);
}

#[test]
fn j07_bodies_that_cannot_be_read_change_nothing() {
    let mut server = server();
    open(&mut server, OPEN);
    let path = format!("{OPEN}/xhr_send");
    for (body, why) in [
        ("", "Payload expected.\n"),
        ("[\"x", "Broken JSON encoding.\n"),
        ("x", "Broken JSON encoding.\n"),
        ("{\"a\":1}", "Broken JSON encoding.\n"),
        ("[1,2]", "Broken JSON encoding.\n"),
        ("[\"good\",\"\\ud800\"]", "Broken JSON encoding.\n"),
    ] {
        let answer = server.fetch("POST", &path, "Origin: http://localhost\r\n", body);
        assert_eq!((answer.status, &*String::from_utf8_lossy(&answer.body)), (500, why), "{body}");
        assert_eq!(answer.header("access-control-allow-origin"), Some("http://localhost"));
    }
    assert_eq!(server.delivered(), [], "nothing of what is broken was heard");
    server.post(OPEN, "", "[\"fine\"]");
    assert_eq!(server.delivered().len(), 1);
    server.wait(5_016);
}

#[test]
fn j07_a_body_has_an_end() {
    let most = 64 * 1024 + 1_024;
    let mut server = server();
    open(&mut server, OPEN);
    let body = |len: usize| format!("[\"{}\"]", "x".repeat(len - 4));
    server.post(OPEN, "", &body(most));
    assert_eq!(server.delivered()[0].1.len(), most - 4);
    let socket = server.open();
    let head = format!("POST {OPEN}/xhr_send HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n", most + 1);
    server.send(socket, head.as_bytes());
    assert_eq!(server.answer(socket).status, 413, "before it is read");
    let socket = server.open();
    let head =
        format!("POST {OPEN}/xhr_send HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n{most:x}\r\n");
    server.send(socket, head.as_bytes());
    server.send(socket, body(most).as_bytes());
    server.send(socket, b"\r\n1\r\n");
    assert_eq!(server.answer(socket).status, 413);
    server.wait(5_016);
}

#[test]
fn j07_a_body_does_not_take_for_ever() {
    let mut server = with(|config| sockjs(config).for_each(|it| it.disconnect_delay_ms = 60_000));
    open(&mut server, OPEN);
    let socket = server.open();
    let head = format!("POST {OPEN}/xhr_send HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\n");
    server.send(socket, head.as_bytes());
    for byte in b"[\"x\"" {
        server.wait(2_000);
        server.send(socket, &[*byte]);
    }
    server.wait(2_016);
    assert_eq!(server.answer(socket).status, 408);
    server.post(OPEN, "", "[\"the session lives on\"]");
    server.wait(60_016);
}

#[test]
fn j07_over_a_websocket_what_is_broken_ends_it() {
    for (message, broken) in
        [("", false), ("[]", false), ("[\"x", true), ("x", true), ("[[\"x\"]]", true), ("[\"\\ud800\"]", true)]
    {
        let mut server = server();
        let socket = server.framed(OPEN, "");
        server.send(socket, &wire::text(message));
        server.send(socket, &wire::text("[\"next\"]"));
        let frames = server.frames(socket);
        if broken {
            assert_eq!(frames.len(), 1, "no frame of SockJS before the Close");
            assert_eq!(frames[0].close().map(|(code, _)| code), Some(1007), "{message}");
            assert_eq!(server.delivered(), []);
        } else {
            assert_eq!(frames.len(), 0);
            assert_eq!(server.delivered(), [("/open".to_owned(), b"next".to_vec())]);
        }
    }
}

#[test]
fn j08_nesting_and_numbers_are_read_in_a_line() {
    let mut server = server();
    open(&mut server, OPEN);
    let path = format!("{OPEN}/xhr_send");
    for body in ["[".repeat(60_000), format!("[{}]", "9".repeat(60_000)), "[\"x\",".repeat(10_000), "\\".repeat(60_000)]
    {
        assert_eq!(server.fetch("POST", &path, "", &body).status, 500);
    }
    server.wait(5_016);
}

#[test]
fn j10_what_ends_lines_and_scripts_is_escaped_on_each_transport() {
    let text = "\u{2028}\u{2029}\"\\</script>\r\n\0\u{feff}😀";
    for (method, transport) in [
        ("POST", "xhr"),
        ("POST", "xhr_streaming"),
        ("GET", "eventsource"),
        ("GET", "htmlfile?c=c"),
        ("GET", "jsonp?c=c"),
    ] {
        let mut server = server();
        let client = open(&mut server, OPEN);
        let socket = server.begin(method, &format!("{OPEN}/{transport}"), "", "");
        server.output(socket);
        say(&mut server, client, text);
        let bytes = String::from_utf8(server.output(socket)).expect("text");
        assert!(bytes.contains("u2028"), "{bytes}");
        for raw in ["\u{2028}", "\u{2029}", "\0", "\u{feff}", "😀"] {
            assert!(!bytes.contains(raw), "{raw:?} by {transport}");
        }
        if matches!(transport, "htmlfile?c=c" | "jsonp?c=c") {
            assert_eq!(bytes.matches("</script>").count(), usize::from(transport.starts_with("html")), "{bytes}");
        }
        server.hang_up(socket);
        server.wait(5_016);
    }
    let mut server = server();
    let socket = server.framed(OPEN, "");
    let client = joined(&mut server)[0];
    say(&mut server, client, text);
    assert_eq!(
        server.frames(socket)[0].payload,
        b"a[\"\\u2028\\u2029\\\"\\\\</script>\\r\\n\\u0000\\ufeff\\ud83d\\ude00\"]"
    );
}

#[test]
fn j11_a_stream_ends_and_nothing_is_lost_or_doubled() {
    for limit in [1, 10, 1_000] {
        let mut server = with(|config| sockjs(config).for_each(|it| it.stream_bytes = limit));
        let client = open(&mut server, OPEN);
        let (mut told, mut received, mut streams) = (0, Vec::new(), 0);
        while received.len() < 200 {
            let socket = server.begin("POST", &format!("{OPEN}/xhr_streaming"), "", "");
            streams += 1;
            loop {
                if told < 200 {
                    told += 1;
                    say(&mut server, client, &format!("{told}"));
                }
                let (frames, whole) = server.streamed(socket);
                received.extend(frames);
                if whole || received.len() >= 200 {
                    break;
                }
            }
            say(&mut server, client, "between");
            let (frames, _) = server.streamed(socket);
            received.extend(frames);
            server.hang_up(socket);
            if server.hub.stats().clients == 0 {
                break;
            }
            received.extend([server.poll(OPEN, "")]);
        }
        assert!(limit > 100 || streams > 3);
        let numbers: Vec<u32> = received
            .iter()
            .flat_map(|frame| frame.trim_start_matches("a[").trim_end_matches(']').split(','))
            .filter_map(|message| message.trim_matches('"').parse().ok())
            .collect();
        assert_eq!(numbers, (1..=told).collect::<Vec<_>>());
        server.wait(5_016);
    }
}

#[test]
fn j12_who_stays_away_is_forgotten() {
    let mut server = server();
    let login = server.log_in("rob");
    connect(&mut server, MINE, &login);
    open(&mut server, OPEN);
    assert_eq!(server.hub.stats().channels, 2);
    server.wait(4_980);
    assert_eq!(server.left(), []);
    server.wait(40);
    assert_eq!(server.left(), [Cause::Peer, Cause::Peer]);
    let stats = server.hub.stats();
    assert_eq!((stats.channels, stats.clients, stats.sessions), (0, 0, 0));
    assert_eq!(server.fetch("POST", &format!("{OPEN}/xhr_send"), "", "[\"x\"]").status, 404);
}

#[test]
fn j12_there_are_not_more_than_there_may_be() {
    let mut server = server();
    let login = server.log_in("rob");
    for n in 0..16 {
        assert_eq!(server.poll(&format!("/messages/0/{n}"), &login), "o");
    }
    assert_eq!(server.fetch("POST", "/messages/0/17/xhr", &cookie(&login), "").status, 429);
    let other = server.log_in("luke");
    assert_eq!(server.poll("/messages/0/17", &other), "o");
    for n in 0..64 {
        open(&mut server, &format!("/open/0/{n}"));
    }
    assert_eq!(server.fetch("POST", "/open/0/64/xhr", "", "").status, 429);
    let elsewhere = server.open_from("198.51.100.9".parse().expect("an address"));
    server.send(elsewhere, &request("POST", "/open/0/64/xhr", "", ""));
    assert_eq!(server.answer(elsewhere).status, 200);
    server.wait(5_016);
    assert_eq!(server.poll("/messages/0/17", &login), "o", "there is room again");
    server.wait(5_016);

    let mut server = with(|config| config.limits.channels = 3);
    for n in 0..3 {
        open(&mut server, &format!("/open/0/{n}"));
    }
    assert_eq!(server.fetch("POST", "/open/0/3/xhr", "", "").status, 503);
    server.wait(5_016);
    open(&mut server, "/open/0/3");
    server.wait(5_016);
}

#[test]
fn j12_ten_thousand_of_one_address_are_not_opened() {
    let mut server = server();
    let mut opened = 0;
    for n in 0..10_000 {
        let answer = server.fetch("POST", &format!("/open/0/{n}/xhr"), "", "");
        assert!(matches!(answer.status, 200 | 429));
        opened += u32::from(answer.status == 200);
        if n % 100 == 0 {
            server.forget_sockets();
        }
    }
    assert_eq!(opened, 64);
    server.wait(5_016);
}

#[test]
fn j13_a_queue_for_nobody_has_an_end() {
    let mut server = server();
    let client = open(&mut server, OPEN);
    for n in 0..100 {
        say(&mut server, client, &format!("{n}"));
    }
    assert_eq!(server.left(), []);
    say(&mut server, client, "one too many");
    assert_eq!(server.left(), [Cause::Slow]);
    assert_eq!(server.hub.stats().buffered_bytes, 0);
    assert!(server.poll(OPEN, "").starts_with("c[4500,"));
    server.wait(5_016);

    let client = open(&mut server, OPEN);
    let message = "x".repeat(64 * 1024 - 2);
    for _ in 0..8 {
        say(&mut server, client, &message);
    }
    assert_eq!((server.left(), server.hub.stats().buffered_bytes), (vec![], 512 * 1024));
    say(&mut server, client, "");
    assert_eq!(server.left(), [Cause::Slow]);
    server.wait(5_016);
}

#[test]
fn j14_only_who_is_let_in_may_read() {
    let mut server = with(|config| config.origin.allow("https://app.example").expect("an origin"));
    let login = server.log_in("rob");
    for (origin, status) in [
        ("https://app.example", 200),
        ("http://localhost", 200),
        ("https://app.example.org", 403),
        ("http://app.example", 403),
        ("null", 403),
    ] {
        let lines = format!("Origin: {origin}\r\n{}", cookie(&login));
        let answer = server.fetch("GET", "/messages/info", &lines, "");
        assert_eq!(answer.status, status, "{origin}");
        let allowed = (status == 200).then_some(origin);
        assert_eq!(answer.header("access-control-allow-origin"), allowed);
        assert_eq!(answer.header("access-control-allow-credentials"), allowed.map(|_| "true"));
        let lines = format!("Origin: {origin}\r\nAccess-Control-Request-Method: POST\r\n");
        let answer = server.fetch("OPTIONS", &format!("{MINE}/xhr"), &lines, "");
        assert_eq!(answer.status, if status == 200 { 204 } else { 403 }, "a preflight needs no cookie");
        assert_eq!(answer.header("access-control-allow-origin"), allowed);
    }
    // No header of an answer ever says *.
    assert_eq!(server.fetch("GET", "/messages/info", &cookie(&login), "").header("access-control-allow-origin"), None);
    // The transport that any site could read is not there unless it is asked for.
    assert_eq!(server.fetch("GET", &format!("{MINE}/jsonp?c=c"), &cookie(&login), "").status, 404);
    assert_eq!(server.fetch("POST", &format!("{MINE}/jsonp_send"), &cookie(&login), "[]").status, 404);
}

#[test]
fn j06_who_comes_next_waits_for_the_answer_before_to_be_taken_or_lost() {
    let mut server = server();
    let client = open(&mut server, OPEN);
    let first = wait_for(&mut server, OPEN, "");
    server.stall(first, 0);
    say(&mut server, client, "one");
    let second = wait_for(&mut server, OPEN, "");
    say(&mut server, client, "two");
    assert_eq!(server.output(second), b"", "it would overtake the first");
    assert_eq!(server.poll(OPEN, ""), STILL_OPEN);
    server.hang_up(first);
    assert_eq!(server.left(), [Cause::Peer]);
    assert_eq!(answered(&mut server, second), INTERRUPTED);
    server.wait(5_016);
}

#[test]
fn j15_the_end_of_a_login_reaches_an_answer_that_the_next_one_waits_for() {
    let mut server = server();
    let login = server.log_in("rob");
    connect(&mut server, MINE, &login);
    subscribe(&mut server, MINE, &login, "/topic/x");
    let first = wait_for(&mut server, MINE, &login);
    server.stall(first, 0);
    let message = tethered_core::hub::Message { body: b"a secret", ..Default::default() };
    server.hub.publish(server.now(), tethered_core::hub::To::Destination("/topic/x"), &message);
    server.work();
    let second = wait_for(&mut server, MINE, &login);
    server.log_out(&login);
    server.unstall(first);
    assert!(answered(&mut server, first).starts_with("c[1008,"));
    assert!(answered(&mut server, second).starts_with("c[1008,"));
    server.wait(5_016);
}
