//! Group J of what strangers and faults do: SockJS. Each test names the lines it plays.

mod harness;

use harness::sockjs::{array, config, cookie, request, string};
use harness::{SESSION_ENDED, Server, handshake, wire};
use tethered_core::config::{Config, SockJs};
use tethered_core::hub::{Action, Payload};
use tethered_core::ids::{ClientId, SocketId};
use tethered_core::session::Cause;

const OPEN: &str = "/open/000/abc";
const MINE: &str = "/messages/000/abc";
const ENDED: &str = "c[1008,\"This connection was established under an authenticated HTTP Session that has expired\"]";
const INTERRUPTED: &str = "c[1002,\"Connection interrupted\"]";
const STILL_OPEN: &str = "c[2010,\"Another connection still open\"]";

fn server() -> Server {
    Server::new(config())
}

fn with(change: impl FnOnce(&mut Config)) -> Server {
    let mut config = config();
    change(&mut config);
    Server::new(config)
}

fn sockjs(config: &mut Config) -> impl Iterator<Item = &mut SockJs> {
    config.endpoints.iter_mut().filter_map(|endpoint| endpoint.sockjs.as_mut())
}

/// Who has joined since the last time.
fn joined(server: &mut Server) -> Vec<ClientId> {
    let joined = server.seen().into_iter().filter_map(|action| match action {
        Action::Joined { client, .. } => Some(client),
        _ => None,
    });
    joined.collect()
}

/// A session at the service without a login; its client.
fn open(server: &mut Server, path: &str) -> ClientId {
    assert_eq!(server.poll(path, ""), "o");
    joined(server).pop().expect("a client")
}

fn say(server: &mut Server, client: ClientId, text: &str) {
    server.hub.send(server.now(), client, Payload::Text(text));
    server.work();
}

/// A session over requests that speaks STOMP; who joined for it is not told.
fn connect(server: &mut Server, path: &str, login: &str) {
    assert_eq!(server.poll(path, login), "o");
    server.post(path, login, &array(&wire::stomp("CONNECT", &[("accept-version", "1.2")], b"")));
    assert!(server.poll(path, login).starts_with("a[\"CONNECTED\\n"));
    server.seen();
}

fn subscribe(server: &mut Server, path: &str, login: &str, destination: &str) {
    let frame = wire::stomp("SUBSCRIBE", &[("id", "0"), ("destination", destination)], b"");
    server.post(path, login, &array(&frame));
}

/// A poll that waits.
fn wait_for(server: &mut Server, path: &str, login: &str) -> SocketId {
    let socket = server.begin("POST", &format!("{path}/xhr"), &cookie(login), "");
    assert_eq!(server.output(socket), b"");
    socket
}

/// What a poll that waited was answered with.
fn answered(server: &mut Server, socket: SocketId) -> String {
    let (frames, whole) = server.streamed(socket);
    assert!(whole);
    frames.concat()
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
fn j15_the_end_of_the_login_ends_each_and_each_is_told() {
    let mut server = server();
    let login = server.log_in("rob");
    let path = |n: u32| format!("/messages/0/{n}");
    for n in 0..6 {
        connect(&mut server, &path(n), &login);
        subscribe(&mut server, &path(n), &login, "/topic/x");
    }
    let waiting = wait_for(&mut server, &path(0), &login);
    let streaming = server.begin("POST", &format!("{}/xhr_streaming", path(1)), &cookie(&login), "");
    let events = server.begin("GET", &format!("{}/eventsource", path(2)), &cookie(&login), "");
    let page = server.begin("GET", &format!("{}/htmlfile?c=cb", path(3)), &cookie(&login), "");
    server.streamed(streaming);
    server.output(events);
    server.output(page);
    let ws = server.framed(&path(9), &login);
    server.log_out(&login);
    assert_eq!(answered(&mut server, waiting), ENDED);
    assert_eq!(server.streamed(streaming), (vec![ENDED.to_owned()], true));
    let escaped = ENDED.replace('"', "\\\"");
    let body = |bytes: Vec<u8>| {
        let (body, whole) = harness::sockjs::dechunk(&bytes);
        assert!(whole);
        String::from_utf8(body).expect("text")
    };
    assert_eq!(body(server.output(events)), format!("data: {ENDED}\r\n\r\n"));
    assert_eq!(body(server.output(page)), format!("<script>\np(\"{escaped}\");\n</script>\r\n"));
    let frames = server.frames(ws);
    assert_eq!(frames[0].payload, ENDED.as_bytes());
    assert_eq!(frames[1].close(), Some((1008, SESSION_ENDED.to_owned())));
    // Nobody asked for it at that moment: it is told at the next poll, to whoever comes, since the cookie is gone.
    assert_eq!(server.poll(&path(4), ""), ENDED);
    assert_eq!(server.poll(&path(5), &login), ENDED);
    assert_eq!(server.left(), [Cause::LoggedOut; 6]);
    server.wait(5_016);
    assert_eq!(server.fetch("POST", &format!("{}/xhr", path(4)), &cookie(&login), "").status, 401);
}

#[test]
fn j15_what_waits_is_dropped_but_for_what_is_half_written() {
    for taken in [0, 1, 100, 280] {
        let mut server = server();
        let login = server.log_in("rob");
        connect(&mut server, MINE, &login);
        subscribe(&mut server, MINE, &login, "/topic/x");
        let socket = server.begin("POST", &format!("{MINE}/xhr_streaming"), &cookie(&login), "");
        assert_eq!(server.streamed(socket), (vec![], false));
        server.stall(socket, taken);
        let publish = |server: &mut Server, body: &str| {
            let message = tethered_core::hub::Message { body: body.as_bytes(), ..Default::default() };
            server.hub.publish(server.now(), tethered_core::hub::To::Destination("/topic/x"), &message);
            server.work();
        };
        publish(&mut server, &"first".repeat(50));
        publish(&mut server, "second");
        server.log_out(&login);
        server.unstall(socket);
        let (frames, whole) = server.streamed(socket);
        assert!(whole, "after {taken}: {frames:?}");
        assert_eq!(frames.iter().filter(|frame| frame.contains("firstfirst")).count(), usize::from(taken > 0));
        assert!(!frames.iter().any(|frame| frame.contains("second")), "{frames:?}");
        assert_eq!(frames.last().map(String::as_str), Some(ENDED));
        server.wait(5_016);
    }
}

#[test]
fn j15_an_answer_of_which_nothing_was_written_is_another_one() {
    for taken in [0, 20] {
        let mut server = server();
        let login = server.log_in("rob");
        connect(&mut server, MINE, &login);
        subscribe(&mut server, MINE, &login, "/topic/x");
        let socket = wait_for(&mut server, MINE, &login);
        server.stall(socket, taken);
        let message = tethered_core::hub::Message { body: b"a secret", ..Default::default() };
        server.hub.publish(server.now(), tethered_core::hub::To::Destination("/topic/x"), &message);
        server.work();
        server.log_out(&login);
        server.unstall(socket);
        let answer = answered(&mut server, socket);
        if taken == 0 {
            assert_eq!(answer, ENDED);
        } else {
            assert!(answer.contains("a secret"), "it was begun");
            assert_eq!(server.poll(MINE, ""), ENDED);
        }
        server.wait(5_016);
    }
}

#[test]
fn c13_polls_do_not_keep_a_login_alive_and_messages_do() {
    let mut server = with(|config| config.session.timeout_ms = 60_000);
    let login = server.log_in("rob");
    connect(&mut server, MINE, &login);
    // One poll after another, for a minute; heart-beats end them.
    for _ in 0..2 {
        let socket = wait_for(&mut server, MINE, &login);
        server.wait(25_016);
        assert_eq!(answered(&mut server, socket), "h");
    }
    server.fetch("GET", "/messages/info", &cookie(&login), "");
    server.fetch("POST", &format!("{MINE}/xhr_send"), &cookie(&login), "[]");
    server.fetch("POST", &format!("{MINE}/xhr_send"), &cookie(&login), "[\"\\n\"]");
    let socket = wait_for(&mut server, MINE, &login);
    server.wait(10_000);
    assert_eq!(answered(&mut server, socket), ENDED, "a minute after CONNECT");
    assert_eq!(server.left(), [Cause::Expired]);
    server.wait(5_016);

    let login = server.log_in("rob");
    connect(&mut server, MINE, &login);
    for _ in 0..4 {
        let socket = wait_for(&mut server, MINE, &login);
        server.wait(24_000);
        server.post(MINE, &login, &array(&wire::stomp("SEND", &[("destination", "/topic/x")], b"")));
        server.wait(1_016);
        assert_eq!(answered(&mut server, socket), "h");
    }
    assert_eq!(server.left(), []);
    server.wait(5_016);
}

#[test]
fn c13_as_spring_has_it_each_request_keeps_alive() {
    let mut server = with(|config| {
        config.session.timeout_ms = 60_000;
        config.session.renew.poll = true;
    });
    let login = server.log_in("rob");
    connect(&mut server, MINE, &login);
    for _ in 0..6 {
        let socket = wait_for(&mut server, MINE, &login);
        server.wait(25_016);
        assert_eq!(answered(&mut server, socket), "h");
    }
    assert_eq!(server.left(), []);
    server.wait(5_016);
}

#[test]
fn h25_without_a_cookie_nothing_is_told() {
    let mut server = server();
    for (method, path) in [
        ("GET", "/messages"),
        ("GET", "/messages/info"),
        ("GET", "/messages/iframe.html"),
        ("GET", "/messages/nothing"),
        ("POST", "/messages/info"),
        ("POST", "/messages/0/a/xhr"),
        ("POST", "/messages/0/a/nothing"),
        ("GET", "/messages/0/a/websocket"),
        ("GET", "/messages/websocket"),
    ] {
        assert_eq!(server.fetch(method, path, "", "").status, 401, "{method} {path}");
        // A cookie of no session is as good as none, but the form of the request is looked at first.
        let answer = server.fetch(method, path, "Cookie: SESSION=bm9ib2R5\r\n", "");
        assert!(matches!(answer.status, 401 | 404 | 405 | 400), "{method} {path}: {}", answer.status);
    }
    let login = server.log_in("rob");
    for (method, path, status) in [
        ("GET", "/messages", 200),
        ("HEAD", "/messages/info", 200),
        ("GET", "/messages/iframe-1.html", 200),
        ("GET", "/messages/nothing", 404),
        ("POST", "/messages/info", 405),
        ("PUT", "/messages/0/a/xhr", 405),
        ("HEAD", "/messages/0/a/eventsource", 405),
    ] {
        let socket = server.begin(method, path, &cookie(&login), "");
        let head = String::from_utf8(server.output(socket)).expect("text");
        assert!(head.starts_with(&format!("HTTP/1.1 {status}")), "{method} {path}: {head}");
    }
}

#[test]
fn e02_who_opens_and_says_nothing_is_closed() {
    let mut server = server();
    let login = server.log_in("rob");
    assert_eq!(server.poll(MINE, &login), "o");
    for _ in 0..2 {
        let socket = wait_for(&mut server, MINE, &login);
        server.wait(25_016);
        assert_eq!(answered(&mut server, socket), "h");
    }
    let socket = wait_for(&mut server, MINE, &login);
    server.wait(10_016);
    assert!(answered(&mut server, socket).starts_with("c[4500,"));
    server.wait(5_016);
}

#[test]
fn e01_a_stream_that_is_not_read_ends() {
    let mut server = with(|config| sockjs(config).for_each(|it| it.stream_bytes = 10 << 20));
    let client = open(&mut server, OPEN);
    let socket = server.begin("POST", &format!("{OPEN}/xhr_streaming"), "", "");
    server.output(socket);
    server.stall(socket, 1_000);
    let message = "x".repeat(10_000);
    for n in 0..60 {
        say(&mut server, client, &message);
        if n < 50 {
            assert_eq!(server.left(), [], "{n}");
        }
    }
    assert_eq!(server.left(), [Cause::Slow]);
    assert!(server.hub.stats().buffered_bytes < 20_000);
    server.wait(10_300);
    assert!(server.is_closed(socket));
    server.wait(5_016);

    let client = open(&mut server, OPEN);
    let socket = server.begin("POST", &format!("{OPEN}/xhr_streaming"), "", "");
    server.output(socket);
    server.stall(socket, 10);
    say(&mut server, client, "does not move");
    server.wait(9_900);
    assert_eq!(server.left(), []);
    server.wait(400);
    assert_eq!(server.left(), [Cause::Slow]);
    assert!(server.is_closed(socket));
    assert!(server.poll(OPEN, "").starts_with("c[4500,"));
    server.wait(5_016);
}

#[test]
fn s20_an_error_is_told_before_the_end() {
    let mut server = server();
    let login = server.log_in("rob");
    connect(&mut server, MINE, &login);
    server.post(MINE, &login, &array(&wire::stomp("NONSENSE", &[], b"")));
    assert_eq!(server.left(), [Cause::Violation]);
    assert!(server.poll(MINE, &login).starts_with("a[\"ERROR\\n"));
    assert_eq!(server.poll(MINE, &login), "c[1002,\"\"]");
    assert_eq!(server.poll(MINE, ""), "c[1002,\"\"]");
    server.wait(5_016);
    // If the login ends before that was asked for, it is not told any more.
    connect(&mut server, MINE, &login);
    server.post(MINE, &login, &array(&wire::stomp("NONSENSE", &[], b"")));
    assert_eq!(server.fetch("POST", &format!("{MINE}/xhr"), "", "").status, 404, "the ERROR is not for everybody");
    server.log_out(&login);
    assert_eq!(server.poll(MINE, ""), "c[1002,\"\"]");
    server.wait(5_016);
}

#[test]
fn o01_going_down_is_told_to_each() {
    let mut server = server().serves_nobody_after();
    open(&mut server, OPEN);
    open(&mut server, "/open/0/other");
    let waiting = wait_for(&mut server, OPEN, "");
    server.hub.drain(server.now());
    server.work();
    assert_eq!(answered(&mut server, waiting), "c[1001,\"The server is going down\"]");
    assert_eq!(server.left(), [Cause::Drain; 2]);
    assert!(server.is_shut(waiting));
}

#[test]
fn s09_a_frame_may_come_in_many_messages() {
    let mut server = server();
    let login = server.log_in("rob");
    connect(&mut server, MINE, &login);
    subscribe(&mut server, MINE, &login, "/topic/x");
    let frame = wire::stomp("SEND", &[("destination", "/topic/x")], "gr\u{fc}\u{df}e \u{2713} \u{1f600}".as_bytes());
    let frame = String::from_utf8(frame).expect("text");
    for c in frame.chars() {
        server.post(MINE, &login, &format!("[{}]", string(c.to_string().as_bytes())));
    }
    let got = server.poll(MINE, &login);
    assert!(got.contains("gr\u{fc}\u{df}e \u{2713} \\ud83d\\ude00"), "{got}");
    server.wait(5_016);
}
