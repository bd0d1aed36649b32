//! The recordings of a session's end: what each kind of connection is told, and when.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;
use tethered_core::ws::Opcode;

use crate::common::keys::{self, Layout};
use crate::common::process::Process;
use crate::common::redis::RedisServer;
use crate::common::web::{Browser, Stomp, now};
use crate::player::{Step, frames, lines, mask, shorten, text};
use crate::wire::{Exchange, Socket, header};
use crate::{Difference, compare};

const CONNECT: &str = "CONNECT\naccept-version:1.2\n\n\0";
const SUBSCRIBE: &str = "SUBSCRIBE\nid:s\ndestination:/user/queue/messages\n\n\0";
const PATIENCE: Duration = Duration::from_secs(4);
const LOST: &str = "who had no request open is told the true reason at the next one, whoever asks";
const ANYBODY: &str = "a session that has ended takes no messages, whoever sends them";

/// A node of its own on a Redis of its own.
fn on_redis() -> (RedisServer, Process) {
    let redis = RedisServer::start();
    let url = format!("--redis={}", redis.url());
    let node = Process::start(&["--conformance", &url]);
    node.says("msg=\"redis connected\" connection=commands");
    node.says("msg=\"redis connected\" connection=notices");
    (redis, node)
}

/// One session's connections by each transport.
struct Everywhere {
    browser: Browser,
    sockets: Vec<(&'static str, Socket)>,
    streams: Vec<(&'static str, Exchange)>,
    polled: String,
    idle: String,
}

fn array(message: &str) -> String {
    serde_json::to_string(&[message]).expect("it is JSON")
}

impl Everywhere {
    fn open(browser: Browser) -> Self {
        let [polled, idle] = ["/messages/0/polled", "/messages/0/idle"].map(str::to_owned);
        let mut all = Self { browser, sockets: Vec::new(), streams: Vec::new(), polled, idle };
        let (connect, subscribe) = (array(CONNECT), array(SUBSCRIBE));
        for (who, path, said) in [
            ("native, connected", "/stomp", &[CONNECT, SUBSCRIBE][..]),
            ("native, no CONNECT", "/stomp", &[]),
            ("SockJS websocket", "/messages/0/framed/websocket", &[&connect, &subscribe]),
            ("SockJS raw websocket", "/messages/websocket", &[CONNECT, SUBSCRIBE]),
        ] {
            let upgrade = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
                           Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
            let request = all.request("GET", path, upgrade, "");
            let mut socket = Socket::open(all.browser.server, request.as_bytes()).expect("it is logged in");
            for message in said {
                socket.send(Opcode::Text, message.as_bytes());
            }
            // What it is greeted with was not recorded.
            let greeting = usize::from(path.contains("framed")) + usize::from(!said.is_empty());
            assert_eq!(socket.look(greeting, PATIENCE).len(), greeting);
            all.sockets.push((who, socket));
        }
        for (who, method, path) in [
            ("xhr_streaming", "POST", "/messages/0/stream/xhr_streaming"),
            ("eventsource", "GET", "/messages/0/events/eventsource"),
            ("htmlfile", "GET", "/messages/0/frame/htmlfile?c=cb"),
        ] {
            let stream = all.begin(method, path, "");
            stream.until(PATIENCE, |answer| {
                answer.body.windows(2).any(|two| two == b"o\n" || two == b"o\r" || two == b"o\"")
            });
            let session = path.rsplit_once('/').expect("a path").0;
            assert_eq!(status(&all.begin("POST", &format!("{session}/xhr_send"), &connect).whole().head), "204");
            stream.until(PATIENCE, |answer| answer.body.windows(9).any(|nine| nine == b"CONNECTED"));
            all.streams.push((who, stream));
        }
        let (poll, idle) = (format!("{}/xhr", all.polled), format!("{}/xhr", all.idle));
        all.begin("POST", &poll, "").whole();
        all.begin("POST", &format!("{}/xhr_send", all.polled), &connect).whole();
        all.begin("POST", &poll, "").whole();
        all.begin("POST", &idle, "").whole();
        let waiting = all.begin("POST", &poll, "");
        all.streams.push(("xhr, a poll waiting", waiting));
        std::thread::sleep(Duration::from_millis(300));
        all
    }

    fn request(&self, method: &str, path: &str, lines: &str, body: &str) -> String {
        let length = if method == "POST" { format!("Content-Length: {}\r\n", body.len()) } else { String::new() };
        let (host, cookie) = (self.browser.server, self.browser.session_cookie());
        format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\nCookie: SESSION={cookie}\r\n{lines}{length}\r\n{body}")
    }

    fn begin(&self, method: &str, path: &str, body: &str) -> Exchange {
        Exchange::begin(self.browser.server, self.request(method, path, "", body).as_bytes())
    }

    /// What each has seen, and then what three requests with the old cookie are answered.
    fn told(&mut self, lines: &[Value]) -> Vec<Step> {
        let mut theirs: BTreeMap<String, String> = BTreeMap::new();
        for line in lines.iter().filter(|line| line["what"] == "seen") {
            let seen = theirs.entry(text(line, "who")).or_default();
            if line["text"].is_string() {
                *seen += &format!("text {}\n", text(line, "text"));
            } else if let Some(frame) = line["close_frame"].as_object() {
                *seen += &format!("close {} {}\n", frame["code"], frame["reason"].as_str().unwrap_or_default());
            } else if line["tcp"].is_string() {
                *seen += "end of stream\n";
            } else if line["response_ended"].is_string() {
                *seen += &format!("(ended {})", text(line, "response_ended"));
            } else if line["chunk"] != "(prelude)" {
                *seen += &text(line, "chunk");
            }
        }
        let mut steps = Vec::new();
        for (who, socket) in &mut self.sockets {
            let theirs = theirs.remove(*who).expect("it was seen");
            let ours = socket.look(theirs.lines().count(), PATIENCE).iter().map(|event| format!("{event}\n")).collect();
            steps.push(Step { what: (*who).to_owned(), theirs, ours });
        }
        for (who, stream) in &self.streams {
            let answer = stream.until(PATIENCE, |answer| answer.ended);
            let body = frames(&shorten(&answer.body));
            // What comes before the frames is compared elsewhere.
            let body = ["<2048 x 'h'>\n", "(a page that calls cb)\n"]
                .iter()
                .fold(body, |body, prelude| body.replace(prelude, ""));
            let ours = format!("{body}({})", if answer.ended { "ended cleanly" } else { "goes on" });
            let theirs = mask(&theirs.remove(*who).expect("it was seen"));
            steps.push(Step { what: (*who).to_owned(), theirs, ours });
        }
        assert!(theirs.is_empty(), "{theirs:?}");
        let requests = lines.iter().filter(|line| line["what"] == "request");
        let answers = lines.iter().filter(|line| line["what"] == "response");
        let ours = [
            self.begin("POST", &format!("{}/xhr", self.idle), ""),
            self.begin("POST", &format!("{}/xhr", self.polled), ""),
            self.begin("POST", &format!("{}/xhr_send", self.polled), "[\"\\n\"]"),
        ];
        for ((request, theirs), ours) in requests.zip(answers).zip(ours) {
            let theirs = format!(
                "{} {}",
                theirs["status"],
                if theirs["status"] == 200 { text(theirs, "body") } else { String::new() }
            );
            let ours = ours.whole();
            let body = if status(&ours.head) == "200" { shorten(&ours.body) } else { String::new() };
            let ours = format!("{} {body}", status(&ours.head));
            steps.push(Step { what: text(request, "label"), theirs, ours });
        }
        assert_eq!(steps.len(), 11, "each kind was looked at");
        steps
    }
}

fn status(head: &str) -> &str {
    head.split(' ').nth(1).unwrap_or_default()
}

const FRAME: &str =
    "200 c[1008,\"This connection was established under an authenticated HTTP Session that has expired\"]";

fn ended_by(name: &str, differences: &[Difference], act: impl FnOnce(&RedisServer, &mut Browser)) {
    let (redis, node) = on_redis();
    let mut browser = Browser::log_in(node.address, "rob");
    let mut all = Everywhere::open(browser.clone());
    act(&redis, &mut browser);
    compare(name, &all.told(&lines(name)), differences);
}

#[test]
#[ignore = "needs the recordings of the Spring reference application"]
fn logout() {
    let differences = [
        ("nobody was polling", "302 ", FRAME, LOST),
        ("xhr: next poll", "302 ", FRAME, LOST),
        ("xhr_send", "302 ", "404 ", ANYBODY),
    ];
    ended_by("end-logout", &differences, |_, browser| browser.log_out());
}

const GO_AWAY: &str = "200 c[3000,\"Go away!\"]";

#[test]
#[ignore = "needs the recordings of the Spring reference application"]
fn a_deleted_key() {
    let differences = [
        ("nobody was polling", GO_AWAY, FRAME, LOST),
        ("xhr: next poll", GO_AWAY, FRAME, LOST),
        ("xhr_send", "204 ", "404 ", ANYBODY),
    ];
    ended_by("end-del-key", &differences, |redis, browser| {
        redis.ask(&["DEL", &keys::expires(&browser.session())]);
    });
}

#[test]
#[ignore = "needs the recordings of the Spring reference application"]
fn a_key_that_runs_out() {
    let differences = [
        ("nobody was polling", GO_AWAY, FRAME, LOST),
        ("xhr: next poll", GO_AWAY, FRAME, LOST),
        ("xhr_send", "204 ", "404 ", ANYBODY),
    ];
    ended_by("end-expired-key", &differences, |redis, browser| {
        redis.ask(&["PEXPIRE", &keys::expires(&browser.session()), "300"]);
    });
}

/// What one connection was told, and what a connection here is told until it ends or so much time has passed.
fn until_closed(stomp: &mut Stomp, patience: Duration) -> Vec<String> {
    let end = now() + patience;
    let mut told = Vec::new();
    loop {
        let left = end.saturating_duration_since(now());
        if left.is_zero() {
            return told;
        }
        stomp.client.stream.set_read_timeout(Some(left)).expect("a timeout can be set");
        if stomp.client.stream.peek(&mut [0]).is_err() {
            return told;
        }
        stomp.client.stream.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
        match stomp.client.receive() {
            (8, payload) => {
                let code = u16::from_be_bytes([payload[0], payload[1]]);
                told.push(format!("close {code} {}", String::from_utf8_lossy(&payload[2..])));
                return told;
            }
            (1, bytes) if bytes != b"\n" => told.push(format!("text {}", String::from_utf8_lossy(&bytes))),
            (9, payload) => stomp.client.send(Opcode::Pong, &payload),
            _ => {}
        }
    }
}

/// The messages and the close of one connection as they were recorded; of a message its body.
fn recorded(lines: &[Value], who: &str) -> Vec<String> {
    let received = lines.iter().filter(|line| line["what"] == "receive" && line["who"] == who);
    let told = received.map(|line| match line["opcode"].as_str() {
        Some("close") => format!("close {} {}", line["code"], text(line, "reason")),
        _ => format!("text {}", text(line, "payload")),
    });
    told.map(|event| bare(&event)).collect()
}

/// A message's body without its time.
fn bare(event: &str) -> String {
    let body = event.split_once("\n\n").map_or(event, |(_, body)| body).trim_end_matches('\0');
    body.split(",\"created\"").next().unwrap_or_default().to_owned()
}

/// A tenth of the recorded time: rob, who only receives, is closed at the end of his login, which no message renews.
#[test]
#[ignore = "needs the recordings of the Spring reference application"]
fn receiving_only() {
    let server = Process::start(&["--session-timeout=6s"]);
    let lines = lines("end-receiving-only");
    let theirs = recorded(&lines, "rob");
    assert_eq!(theirs.len(), 7, "six messages, and a close");
    let (rob, luke) = (Browser::log_in(server.address, "rob"), Browser::log_in(server.address, "luke"));
    let (mut rob, mut luke) = (rob.stomp(), luke.stomp());
    rob.subscribe("s", "/user/queue/messages");
    let began = now();
    let sender = std::thread::spawn(move || {
        for n in 0..9 {
            let left = (began + Duration::from_secs(n)).saturating_duration_since(now());
            std::thread::sleep(left);
            let body = format!("{{\"to\":\"rob\",\"message\":\"{} s\"}}", n * 10);
            luke.send("SEND", &[("destination", "/app/im")], &body);
        }
        luke.stays_open(Duration::from_millis(100));
    });
    let ours: Vec<String> = until_closed(&mut rob, Duration::from_secs(9)).iter().map(|event| bare(event)).collect();
    let lived = began.elapsed();
    sender.join().expect("who sends stays");
    let all = |events: &[String]| events.join("\n");
    compare("end-receiving-only", &[Step { what: "rob".into(), theirs: all(&theirs), ours: all(&ours) }], &[]);
    assert!((5_500..7_500).contains(&lived.as_millis()), "{lived:?}");
}

/// A tenth of the recorded time.
#[test]
#[ignore = "needs the recordings of the Spring reference application"]
fn quiet_kinds() {
    let server = Process::start(&["--session-timeout=6s"]);
    let lines = lines("end-quiet-kinds");
    let say: [(&str, Option<(Opcode, &str)>); 6] = [
        ("heart-beats", Some((Opcode::Text, "\n"))),
        ("pings", Some((Opcode::Ping, "p"))),
        ("ACK", Some((Opcode::Text, "ACK\nid:1\n\n\0"))),
        ("BEGIN", Some((Opcode::Text, "BEGIN\ntransaction:1\n\n\0"))),
        // One of no prefix at all is refused here.
        ("SEND to nowhere", Some((Opcode::Text, "SEND\ndestination:/app/nowhere\n\nx\0"))),
        ("nothing", None),
    ];
    let ours = say.map(|(who, say)| {
        let browser = Browser::log_in(server.address, "rob");
        // Before its last activity, which is CONNECT.
        let began = now();
        let mut stomp = browser.stomp();
        std::thread::spawn(move || {
            while began.elapsed() < Duration::from_secs(10) {
                if let Some((opcode, payload)) = say {
                    stomp.client.send(opcode, payload.as_bytes());
                }
                let told = until_closed(&mut stomp, Duration::from_millis(1_500));
                if let Some(close) = told.last().and_then(|last| last.strip_prefix("close ")) {
                    let code = close.split(' ').next().unwrap_or_default();
                    return (who, format!("closed {code} after {} s", began.elapsed().as_secs() * 10));
                }
            }
            (who, "still open".to_owned())
        })
    });
    let ours: BTreeMap<&str, String> = ours.into_iter().map(|thread| thread.join().expect("it is told")).collect();
    let mut steps = Vec::new();
    for line in &lines {
        let who = text(line, "who");
        let theirs = match line["what"].as_str() {
            Some("closed") => {
                let tens = (line["after_s"].as_f64().expect("a number") / 10.0) as u64;
                format!("closed {} after {} s", line["code"], tens * 10)
            }
            other => other.expect("it says").to_owned(),
        };
        let ours = ours[&*who].clone();
        steps.push(Step { what: who, theirs, ours });
    }
    steps.sort_by(|one, other| one.what.cmp(&other.what));
    let why = "acknowledgement and transactions are answered with ERROR: what is not there is not taken";
    let differences = [
        ("ACK", "closed 1008 after 60 s", "closed 1002 after 0 s", why),
        ("BEGIN", "closed 1008 after 60 s", "closed 1002 after 0 s", why),
    ];
    compare("end-quiet-kinds", &steps, &differences);
}

/// A tenth of the recorded time: each is closed after its due time, and within a second of it.
#[test]
#[ignore = "needs the recordings of the Spring reference application"]
fn expiry_delay() {
    let server = Process::start(&["--session-timeout=6s"]);
    let threads: Vec<_> = lines("end-expiry-delay")
        .into_iter()
        .map(|line| {
            let address = server.address;
            std::thread::spawn(move || {
                std::thread::sleep(Duration::from_millis(370 * line["connection"].as_u64().expect("a number")));
                let mut stomp = Browser::log_in(address, "rob").stomp();
                stomp.done("SEND", &[("destination", "/app/nothing")], "x");
                let used = now();
                let (code, _, at) = stomp.closed();
                let late = at.duration_since(used).as_secs_f64() - 6.0;
                let shown =
                    |code: &str, late: f64| format!("{code}, late by less than 1 s: {}", (-0.1..1.0).contains(&late));
                let theirs = shown(&line["code"].to_string(), line["seconds_after_due"].as_f64().expect("a number"));
                Step {
                    what: format!("connection {}", line["connection"]),
                    theirs,
                    ours: shown(&code.to_string(), late),
                }
            })
        })
        .collect();
    let steps: Vec<Step> = threads.into_iter().map(|thread| thread.join().expect("it is closed")).collect();
    compare("end-expiry-delay", &steps, &[]);
}

/// Redis does not end by itself what has run out: there it goes on for most of a minute.
#[test]
#[ignore = "needs the recordings of the Spring reference application"]
fn expiry_held_back() {
    let (redis, node) = on_redis();
    let mut redis = redis.connect();
    redis.ask(&["DEBUG", "SET-ACTIVE-EXPIRE", "0"]);
    let lines = lines("end-expiry-held-back");
    let [mut rob, mut luke] = [("rob", 3), ("luke", 60)].map(|(name, seconds)| {
        let id = format!("5f0c7b06-0000-4000-8000-00000000000{seconds:02}", seconds = seconds % 10);
        let mut browser = Browser::new(node.address);
        browser.cookies.push(("SESSION".to_owned(), keys::write(&mut redis, Layout::Indexed, &id, name, seconds)));
        let mut stomp = browser.stomp();
        stomp.subscribe("s", "/user/queue/messages");
        (browser, stomp)
    });
    std::thread::sleep(Duration::from_secs(4));
    rob.1
        .client
        .send(Opcode::Text, b"SEND\ndestination:/app/im\n\n{\"to\": \"luke\", \"message\": \"sent after expiry\"}\0");
    luke.1.send("SEND", &[("destination", "/app/im")], "{\"to\": \"rob\", \"message\": \"to an expired session\"}");
    let ours = until_closed(&mut rob.1, PATIENCE);
    let heard = until_closed(&mut luke.1, Duration::from_millis(500));
    let handshake = lines.iter().find(|line| line["what"] == "handshake").expect("it was tried");
    let all = |events: Vec<String>| events.iter().map(|event| bare(event)).collect::<Vec<_>>().join("\n");
    let steps = [
        Step { what: "rob".into(), theirs: all(recorded(&lines, "rob")), ours: all(ours) },
        Step { what: "luke".into(), theirs: all(recorded(&lines, "luke")), ours: all(heard) },
        Step {
            what: "handshake".into(),
            theirs: handshake["status"].to_string(),
            ours: rob.0.handshake().0.to_string(),
        },
    ];
    let why = "a session is over when its time is, also where Redis has not noticed: nothing crosses after that";
    let differences = [
        (
            "rob",
            "{\"to\":\"luke\",\"from\":\"rob\",\"message\":\"sent after expiry\"\n{\"to\":\"rob\",\"from\":\"luke\",\
             \"message\":\"to an expired session\"\n[\"luke\"]",
            "",
            why,
        ),
        (
            "luke",
            "{\"to\":\"luke\",\"from\":\"rob\",\"message\":\"sent after expiry\"",
            "{\"to\":\"rob\",\"from\":\"luke\",\"message\":\"to an expired session\"",
            why,
        ),
        ("handshake", "302", "401", crate::LOGIN),
    ];
    compare("end-expiry-held-back", &steps, &differences);
}

/// The session gets another id while a socket is open, and then ends under that.
#[test]
#[ignore = "needs the recordings of the Spring reference application"]
fn id_change() {
    let (redis, node) = on_redis();
    let mut redis = redis.connect();
    let lines = lines("end-id-change");
    let (old, new) = ("5f0c7b06-0000-4000-8000-000000000001", "5f0c7b06-0000-4000-8000-000000000002");
    let mut browser = Browser::new(node.address);
    browser.cookies.push(("SESSION".to_owned(), keys::write(&mut redis, Layout::Indexed, old, "rob", 60)));
    let mut before = browser.stomp();
    redis.ask(&["RENAME", &keys::hash(old), &keys::hash(new)]);
    redis.ask(&["RENAME", &keys::expires(old), &keys::expires(new)]);
    std::thread::sleep(Duration::from_millis(500));
    browser.cookies = vec![("SESSION".to_owned(), keys::cookie(new))];
    before.send("SUBSCRIBE", &[("id", "u"), ("destination", "/app/users")], "");
    let mut told = until_closed(&mut before, Duration::from_millis(500));
    let mut after = browser.stomp();
    redis.ask(&["DEL", &keys::expires(new)]);
    let later = until_closed(&mut after, PATIENCE);
    told.extend(until_closed(&mut before, PATIENCE));
    let all = |events: Vec<String>| events.iter().map(|event| bare(event)).collect::<Vec<_>>().join("\n");
    let steps = [
        Step { what: "before".into(), theirs: all(recorded(&lines, "opened before the id change")), ours: all(told) },
        Step { what: "after".into(), theirs: all(recorded(&lines, "opened after the id change")), ours: all(later) },
    ];
    let closed = "close 1008 This connection was established under an authenticated HTTP Session that has expired";
    let why = "a socket follows its session to the new id, and ends with it";
    compare("end-id-change", &steps, &[("before", "[]", closed, why)]);
}

/// A socket that no login was needed for outlives the session whose cookie came with its handshake.
#[test]
#[ignore = "needs the recordings of the Spring reference application"]
fn anonymous() {
    let (redis, node) = on_redis();
    let browser = Browser::log_in(node.address, "rob");
    let lines = lines("end-anonymous");
    let theirs = lines.iter().any(|line| line["what"] == "note" && text(line, "text").ends_with("still open"));
    let request = lines.iter().find(|line| line["what"] == "handshake").map(|line| text(line, "request"));
    let request = request.expect("it was tried").replace("/stomp-open", "/echo/websocket");
    let cookie = header(&request, "cookie").expect("it had a cookie").to_owned();
    let request = request.replace(&cookie, &format!("SESSION={}", browser.session_cookie()));
    let mut socket = Socket::open(node.address, request.as_bytes()).expect("it is open to all");
    redis.ask(&["DEL", &keys::expires(&browser.session())]);
    socket.send(Opcode::Text, b"still there?");
    let ours = socket.look(2, Duration::from_secs(2)) == ["text still there?"];
    let shown = |open: bool| format!("still open: {open}");
    compare("end-anonymous", &[Step { what: "anonymous".into(), theirs: shown(theirs), ours: shown(ours) }], &[]);
}
