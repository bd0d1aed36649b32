//! How sessions of SockJS end, and what ends them: the tether on every transport. Each test names the lines of the threats
//! that it plays.

mod harness;

use harness::sockjs::{
    ENDED, MINE, OPEN, answered, array, config, connect, cookie, dechunk, open, say, sockjs, string, subscribe,
    wait_for,
};
use harness::{SESSION_ENDED, Server, wire};
use tethered_core::config::Config;
use tethered_core::hub::record::{Line, Played};
use tethered_core::hub::{Hub, Message, To};
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
        let (body, whole) = dechunk(&bytes);
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
            let message = Message { body: body.as_bytes(), ..Default::default() };
            server.hub.publish(server.now(), To::Destination("/topic/x"), &message);
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
        let message = Message { body: b"a secret", ..Default::default() };
        server.hub.publish(server.now(), To::Destination("/topic/x"), &message);
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
fn j15_the_last_word_waits_as_long_as_any_however_long_nobody_asked_before() {
    for (last, told) in [("DISCONNECT", "c[1000,\"\"]"), ("JUMP", "c[1002,\"\"]")] {
        let mut server = server();
        let login = server.log_in("rob");
        connect(&mut server, MINE, &login);
        // Nobody has asked for 4.9 s when it says its last word.
        server.wait(4_900);
        server.post(MINE, &login, &array(&wire::stomp(last, &[], b"")));
        server.wait(4_900);
        let mut answer = server.poll(MINE, &login);
        if answer.starts_with("a[\"ERROR") {
            answer = server.poll(MINE, &login);
        }
        assert_eq!(answer, told, "{last}");
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

#[test]
fn what_was_recorded_plays_again() {
    let mut server = Server::new(config());
    server.hub.record(true).expect("nothing has come in");
    let login = server.log_in("rob");
    connect(&mut server, MINE, &login);
    subscribe(&mut server, MINE, &login, "/topic/x");
    let stream = server.begin("POST", &format!("{MINE}/xhr_streaming"), &cookie(&login), "");
    server.post(MINE, &login, &array(&wire::stomp("SEND", &[("destination", "/topic/x")], b"hello")));
    assert_eq!(server.streamed(stream).0.len(), 1);
    let client = open(&mut server, OPEN);
    let now = server.now();
    assert!(server.hub.close_client(now, client, 3000, "Go \"away\"!"));
    server.work();
    assert_eq!(server.poll(OPEN, ""), "c[3000,\"Go \\\"away\\\"!\"]");
    server.log_out(&login);
    assert_eq!(server.poll(MINE, ""), ENDED);
    server.wait(5_016);
    let record = server.hub.take_record();
    let mut lines = record.lines().map(|line| Line::parse(line).expect("a line"));
    let mut hub = Hub::from_record(config(), &lines.next().expect("the first")).expect("it was made so");
    let mut written = 0;
    for line in lines {
        let see = |_: &Hub, played: Played| {
            if let Played::Written { bytes, .. } = played {
                written += bytes.len() as u64;
            }
        };
        hub.replay(&line, see).expect("it goes the same way");
    }
    assert_eq!((hub.stats(), written), (server.hub.stats(), server.hub.stats().sent_bytes));
    server.hub.record(false).expect("it ends");
}
