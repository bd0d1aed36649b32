//! What is recorded can be played again, and tells why somebody was thrown out.

mod harness;

use harness::{Server, config, get, wire};
use tethered_core::config::{Config, Store};
use tethered_core::http;
use tethered_core::hub::record::{Explainer, Line, Overview, Played, ReplayError, TooLate, parse_id, show_id};
use tethered_core::hub::{Action, Change, Event, Hub, Message, Notice, Payload, Response, To, Who};
use tethered_core::ids::{CallId, SocketId};
use tethered_core::session::{Answer, Cause, Op, Record};

#[test]
fn thrown_out_since_the_session_ran_out() {
    let mut server = recorded(minute);
    let cookie = server.log_in("rob");
    let rob = server.stomp(&cookie);
    for _ in 0..3 {
        server.wait(20_000);
        server.say(rob, "SEND", &[("destination", "/app/im")], "still here");
    }
    server.wait(50_000);
    // What is only received, and a heart-beat, do not renew.
    server.hub.publish(server.now(), To::Destination("/topic/news"), &Message::default());
    server.send(rob, &wire::text("\n"));
    server.wait(10_000);
    server.hang_up(rob);

    let (story, why) = explain(minute, &server.hub.take_record(), rob);
    assert_eq!(
        story,
        "\
2024-01-01T00:16:40.000Z  opened from 203.0.113.7, token 101
2024-01-01T00:16:40.000Z  it asks: GET /stomp HTTP/1.1
2024-01-01T00:16:40.000Z  its cookie names session: 25bfef
2024-01-01T00:16:40.000Z  it is answered: 101 Switching Protocols
2024-01-01T00:16:40.000Z  it is a WebSocket at /stomp now, for user \"rob\"; unless it is renewed, the session ends at 2024-01-01T00:17:40.000Z
2024-01-01T00:16:40.000Z  messages that came from it: 1; 1 renewed its session, the last at 2024-01-01T00:16:40.000Z; unless it is renewed, the session ends at 2024-01-01T00:17:40.000Z
2024-01-01T00:16:40.000Z  its client has joined
2024-01-01T00:17:40.000Z  messages that came from it: 3; 3 renewed its session, the last at 2024-01-01T00:17:40.000Z; unless it is renewed, the session ends at 2024-01-01T00:18:40.000Z
2024-01-01T00:18:40.000Z  it is sent Close 1008 \"This connection was established under an authenticated HTTP Session that has expired\"
2024-01-01T00:18:40.000Z  its client has left: expired
2024-01-01T00:18:40.000Z  session 25bfef has ended: expired, found by notice, 0 ms late; sockets under it: 1
2024-01-01T00:18:40.000Z  all is sent that will be
2024-01-01T00:18:40.000Z  the peer ended its side, or the connection broke
2024-01-01T00:18:40.000Z  it is closed
"
    );
    assert_eq!(
        why,
        "its session ran out at 2024-01-01T00:18:40.000Z; it had last been renewed at 2024-01-01T00:17:40.000Z. \
         The end of session 25bfef was found by notice, 0 ms late. Close 1008 \"This connection was established under \
         an authenticated HTTP Session that has expired\"."
    );
}

#[test]
fn thrown_out_by_a_logout_elsewhere() {
    let mut server = recorded(minute);
    let cookie = server.log_in("rob");
    let rob = server.stomp(&cookie);
    server.wait(5_000);
    server.log_out(&cookie);
    let (story, why) = explain(minute, &server.hub.take_record(), rob);
    assert!(story.contains("00:16:45.000Z  its client has left: logged-out\n"), "{story}");
    assert!(story.contains("has ended: logged-out, found by local, 0 ms late; sockets under it: 1\n"), "{story}");
    let by = "its session was logged out by a logout, POST \"/logout\" on socket 1.1. The end of session 25bfef was";
    assert!(why.starts_with(by), "{why}");
}

#[test]
fn thrown_out_for_not_reading() {
    let limits = |config: &mut Config| config.limits.out_bytes = 10_000;
    let mut server = recorded(limits);
    let rob = server.talk("rob", "1.2");
    server.say(rob, "SUBSCRIBE", &[("id", "0"), ("destination", "/topic/news")], "");
    server.stall(rob, 700);
    for _ in 0..12 {
        server.wait(500);
        let message = Message { body: &[b'x'; 900], ..Message::default() };
        server.hub.publish(server.now(), To::Destination("/topic/news"), &message);
        server.work();
    }
    server.wait(20_000);
    let (story, why) = explain(limits, &server.hub.take_record(), rob);
    assert!(story.contains("its client has left: slow\n"), "{story}");
    assert!(why.starts_with("it was too slow: 9"), "{why}");
    assert!(why.contains(" bytes waited for it, and it had taken none since 2024-01-01T00:16:40.500Z."), "{why}");
    assert!(why.ends_with("Close 4500 \"Too slow: what was sent is not read\"."), "{why}");
}

#[test]
fn who_asked_the_store_and_what_it_said() {
    let external = |config: &mut Config| config.store = Store::External;
    let mut server = recorded(external).serves_nobody_after();
    let rob = server.open();
    server.send(rob, harness::handshake("/stomp", "Cookie: SESSION=YWJj\r\n").as_bytes());
    let alive = |record| Answer::Alive { ttl_ms: Some(30_000), record };
    let record = Record { id: "abc".into(), principal: Some("rob".into()), attributes: Vec::new() };
    let call = asked(&mut server);
    answer(&mut server, call, alive(Some(Box::new(record))));
    let call = asked(&mut server);
    answer(&mut server, call, alive(None));
    server.wait(1_234);
    server.hub.handle(server.now(), Event::Notice { session: "abc", notice: Notice::Deleted });
    server.work();
    let call = asked(&mut server);
    server.wait(10);
    answer(&mut server, call, Answer::Gone);
    server.hang_up(rob);
    let (story, why) = explain(external, &server.hub.take_record(), rob);
    for line in [
        "00:16:40.000Z  its cookie names session: a9993e",
        "00:16:40.000Z  the store is asked about session a9993e: who it is, and whether it is alive",
        "00:16:40.000Z  the store answers: alive for 30000 ms",
        "00:16:40.000Z  the store is asked about session a9993e: to renew it",
        "00:16:41.234Z  the store tells: its session was deleted",
        "00:16:41.234Z  its session is in doubt: nothing crosses until the store has answered",
        "00:16:41.234Z  the store is asked about session a9993e: whether it is alive",
        "00:16:41.244Z  the store answers: there is no such session",
        "00:16:41.244Z  session a9993e has ended: deleted, found by notice, 10 ms late; sockets under it: 1",
    ] {
        assert!(story.contains(&format!("2024-01-01T{line}\n")), "{line}\n\n{story}");
    }
    let end =
        "its session was deleted in the store. The end of session a9993e was found by notice, 10 ms late. Close 1008";
    assert!(why.starts_with(end), "{why}");
}

#[test]
fn all_inputs_come_out_as_they_went_in() {
    let mut server = recorded(minute).serves_nobody_after();
    let (recording, sockets) = everything(&mut server);
    let lines = lines(&recording);
    let mut hub = Hub::from_record(with(minute), &lines[0]).expect("the same configuration");
    hub.record(true).expect("nothing has come in");
    let mut written = Vec::new();
    for line in &lines[1..] {
        let see = |_: &Hub, played| match played {
            Played::Written { socket, bytes } if socket == sockets[0] => written.extend(bytes),
            _ => {}
        };
        hub.replay(line, see).expect("the same inputs");
    }
    assert_eq!(hub.take_record(), recording);
    assert_eq!(hub.stats(), server.hub.stats());
    let seen = server.output(sockets[0]);
    assert!(!seen.is_empty() && written.ends_with(&seen), "{}", written.escape_ascii());
    // Each kind of input was among them.
    for kind in [
        "open",
        "open full",
        "received",
        "took",
        "sent",
        "closed",
        "activity",
        "notice",
        "notices on",
        "notices lost",
        "tick",
        "respond",
        "publish to",
        "publish user",
        "answer",
        "end user-except",
        "end session",
        "end client",
        "drain",
    ] {
        assert!(recording.contains(&format!(" {kind}")), "{kind}\n{recording}");
    }
}

#[test]
fn the_overview_names_everybody() {
    let mut server = recorded(minute);
    let cookie = server.log_in("rob");
    let rob = server.stomp(&cookie);
    let luke = server.talk("luke", "1.1");
    server.wait(1_000);
    server.log_out(&cookie);
    server.hang_up(rob);
    let recording = server.hub.take_record();
    let lines = lines(&recording);
    let mut hub = Hub::from_record(with(minute), &lines[0]).expect("the same configuration");
    let mut overview = Overview::new();
    for line in &lines[1..] {
        overview.play(&mut hub, line).expect("the same inputs");
    }
    overview.finish(&mut hub);
    let text = overview.text();
    let id = show_id(rob);
    let line = format!(
        "2024-01-01T00:16:40.000Z  2024-01-01T00:16:41.000Z  socket {id}  user \"rob\"  session 25bfef  logged-out\n"
    );
    assert!(text.contains(&line), "{line}{text}");
    assert!(text.contains(&format!("still open                socket {}  user \"luke\"", show_id(luke))), "{text}");
    assert_eq!(overview.under(*b"25bfef"), [rob]);
}

#[test]
fn a_recording_is_whole_or_none() {
    let mut server = Server::default();
    assert_eq!(server.hub.take_record(), "");
    server.open();
    assert_eq!(server.hub.record(true), Err(TooLate));
    let mut server = recorded(|_| {});
    server.hub.record(true).expect("still nothing has come in");
    server.open();
    server.hub.record(false).expect("ending is always possible");
    assert_eq!(server.hub.take_record(), "");
    assert_eq!(server.hub.record(true), Err(TooLate), "there would be a gap");
}

#[test]
fn only_the_same_hub_plays_it() {
    let mut server = recorded(|_| {});
    server.log_in("rob");
    let recording = server.hub.take_record();
    let lines = lines(&recording);
    let other = Hub::from_record(with(minute), &lines[0]).err();
    assert_eq!(other, Some(ReplayError::Config));
    assert_eq!(Hub::from_record(config(), &lines[1]).err(), Some(ReplayError::Begin));
    let later =
        Line::parse(&recording.lines().next().expect("a line").replace(" begin 1 ", " begin 2 ")).expect("a line");
    let error = Hub::from_record(config(), &later).err().map(|error| error.to_string());
    assert_eq!(error.as_deref(), Some("the recording has another format: version 2, and this is version 1"));

    let mut hub = Hub::from_record(config(), &lines[0]).expect("the same");
    hub.replay(&lines[1], |_, _| {}).expect("the same");
    assert_eq!(hub.replay(&lines[0], |_, _| {}), Err(ReplayError::Begin));
    assert_eq!(hub.replay(&lines[1], |_, _| {}), Err(ReplayError::Apart), "another socket gets another id");
    let taken = Line::parse("@1 2 taken=18446744073709551615 tick").expect("a line");
    assert_eq!(hub.replay(&taken, |_, _| {}), Err(ReplayError::Apart));
}

#[test]
fn ids_are_read_in_both_notations() {
    let id = SocketId::from_raw(3 << 32 | 7);
    assert_eq!(show_id(id).to_string(), "7.3");
    assert_eq!((parse_id("7.3"), parse_id("12884901895")), (Some(id), Some(id)));
    assert_eq!((parse_id("7"), parse_id("7."), parse_id("-7.3"), parse_id("x")), (parse_id("7.0"), None, None, None));
}

/// Uses every input there is; returns the recording, and sockets.
fn everything(server: &mut Server) -> (String, Vec<SocketId>) {
    let now = |server: &Server| server.now();
    let cookie = server.log_in("rob");
    let rob = server.stomp(&cookie);
    server.say(rob, "SUBSCRIBE", &[("id", "a\u{e4}:\\"), ("destination", "/app/list"), ("receipt", "r")], "");
    server.say(rob, "SUBSCRIBE", &[("id", "b"), ("destination", "/user/queue/m")], "");
    let client = server.seen().into_iter().find_map(|action| match action {
        Action::Joined { client, .. } => Some(client),
        _ => None,
    });
    let client = client.expect("it has joined");
    let message = Message { content_type: Some("text/plain"), headers: &[("n", "v\r\n\"")], body: b"b\0\xff" };
    server.hub.answer(now(server), client, "/app/list", "a\u{e4}:\\", &message);
    server.hub.publish(now(server), To::User { principal: "rob", destination: "/queue/m" }, &message);
    server.hub.publish(now(server), To::Destination("/topic/x"), &Message::default());
    server.hub.announce(now(server), b"to \xff others");
    server.hub.handle(now(server), Event::Relayed { publication: b"\x01\x02\0\0\0\0from another" });
    server.hub.handle(now(server), Event::Activity { client });
    server.work();
    let page = server.open();
    server.send(page, get("/page", "").as_bytes());
    server.request_of(page);
    let mut response = http::Response::text(404, "nothing \"here\"");
    response.header("X-A", "b").expect("a header").close();
    server.hub.respond(now(server), page, Response { http: response, session: Change::Keep });
    let raw = server.ws("/echo", "");
    server.hub.send(now(server), client, Payload::Text("for raw clients"));
    server.hub.send(now(server), client, Payload::Binary(b"\xff"));
    let both = [rob, raw].map(|socket| (socket, server.hub.output(socket).map(<[u8]>::len).sum()));
    server.hub.sent(now(server), &both);
    server.hub.handle(now(server), Event::NoticesLost);
    server.hub.handle(now(server), Event::NoticesOn);
    for notice in [Notice::Expired, Notice::Deleted, Notice::Renamed { to: "x" }] {
        server.hub.handle(now(server), Event::Notice { session: "unknown", notice });
    }
    server.hub.handle(now(server), Event::Answer { call: CallId::from_raw(5), answer: Answer::Lost });
    server.wait(2_000);
    server.hub.end(now(server), Who::UserExcept { principal: "rob", session: "x" }, Cause::Revoked);
    server.hub.end(now(server), Who::User("nobody"), Cause::Revoked);
    server.hub.end(now(server), Who::Session("nothing"), Cause::LoggedOut);
    server.hub.end(now(server), Who::Client(client), Cause::Drain);
    server.work();
    server.hub.drain(now(server));
    server.work();
    assert!(server.try_open(harness::ADDRESS).is_none());
    for socket in [rob, page, raw] {
        server.hang_up(socket);
    }
    (server.hub.take_record(), vec![raw, rob])
}

/// A server that records.
fn recorded(change: impl FnOnce(&mut Config)) -> Server {
    let mut server = Server::with(change);
    server.hub.record(true).expect("nothing has come in");
    server
}

fn minute(config: &mut Config) {
    config.session.timeout_ms = 60_000;
}

fn with(change: impl FnOnce(&mut Config)) -> Config {
    let mut config = config();
    change(&mut config);
    config
}

fn lines(recording: &str) -> Vec<Line> {
    recording.lines().map(|line| Line::parse(line).unwrap_or_else(|bad| panic!("{bad}: {line}"))).collect()
}

/// The story of a socket, and why it ended.
fn explain(change: impl FnOnce(&mut Config), recording: &str, socket: SocketId) -> (String, String) {
    let lines = lines(recording);
    let mut hub = Hub::from_record(with(change), &lines[0]).expect("the same configuration");
    let (mut explainer, mut story) = (Explainer::new(socket), String::new());
    for line in &lines[1..] {
        explainer.play(&mut hub, line).expect("the same inputs");
        story.push_str(&explainer.take());
    }
    explainer.finish(&mut hub);
    story.push_str(&explainer.take());
    (story, explainer.why())
}

/// The question that the store is asked.
fn asked(server: &mut Server) -> CallId {
    let asked = server.seen().into_iter().find_map(|action| match action {
        Action::Session { call: Some(call), op: Op::Load { .. } | Op::Check { .. } | Op::Touch { .. } } => Some(call),
        _ => None,
    });
    asked.expect("a question")
}

fn answer(server: &mut Server, call: CallId, answer: Answer) {
    server.hub.handle(server.now(), Event::Answer { call, answer });
    server.work();
}
