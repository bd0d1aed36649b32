//! Plays a recording: sends what was sent, when it was sent, and puts what comes beside what came.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use tethered_core::ws::Opcode;

use crate::common::spring::REFERENCE;
use crate::common::web::{Browser, now};
use crate::wire::{Answer, Exchange, Socket, header};

/// A message of the chat from Rob to himself, without what is another each time.
const MESSAGE: &str = r#"MESSAGE\ndestination:/user/queue/messages\ncontent-type:application/json\nsubscription:sub-0\nmessage-id:*\ncontent-length:*\n\n{\"to\":\"rob\",\"from\":\"rob\",\"message\":\"hi\",\"created\":\"*\"}\u0000"#;
/// What is behind the number in the messages that fill a stream.
const FILLER: &str = "<125 x 'x'>";
/// Stands for a page.
const PAGE: &str = "(a page)";
/// Beyond the time at which something came: the machine may be busy.
const GRACE: Duration = Duration::from_secs(4);

/// A place in a recording: what was asked, what it led to, and what it leads to here.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Step {
    pub(crate) what: String,
    pub(crate) theirs: String,
    pub(crate) ours: String,
}

/// The folder with the recordings.
pub(crate) fn folder() -> PathBuf {
    let folder = std::env::var_os(REFERENCE).map(PathBuf::from);
    let folder = folder.unwrap_or_else(|| panic!("set {REFERENCE} to the folder with the recordings"));
    folder.join("recordings")
}

/// The lines of a recording, but for its title.
pub(crate) fn lines(name: &str) -> Vec<Value> {
    let path = folder().join(format!("{name}.jsonl"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect("it is JSON")).collect();
    assert!(lines.len() > 1, "{name} has something to play");
    lines[1..].to_vec()
}

/// A text of a line; bytes that are no text come as Base64.
pub(crate) fn text(line: &Value, name: &str) -> String {
    match &line[name] {
        Value::String(text) => text.clone(),
        Value::Object(coded) => {
            let bytes = STANDARD.decode(coded["base64"].as_str().expect("Base64")).expect("Base64");
            bytes.into_iter().map(char::from).collect()
        }
        _ => String::new(),
    }
}

struct Asked {
    what: String,
    who: String,
    session: String,
    exchange: Exchange,
    /// The body that was recorded, as far as it came.
    theirs: String,
}

struct Player {
    server: SocketAddr,
    began: Instant,
    /// What this server has for cookies and entity tags of the recording.
    names: BTreeMap<String, String>,
    asked: Vec<Asked>,
    sockets: BTreeMap<String, Socket>,
    /// What was recorded of each socket since it was last looked at, and after what.
    received: BTreeMap<String, (String, Vec<String>)>,
    /// Messages that somebody has sent, by SockJS session: the services echo.
    sent: BTreeSet<(String, String)>,
    /// The session of the last stream.
    last_stream: String,
    steps: Vec<Step>,
}

/// Plays it against this server. Its cookies stand for logins of `rob` and then `luke`.
pub(crate) fn play(name: &str, server: SocketAddr) -> Vec<Step> {
    let lines = lines(name);
    let mut player = Player {
        server,
        began: now(),
        names: BTreeMap::new(),
        asked: Vec::new(),
        sockets: BTreeMap::new(),
        received: BTreeMap::new(),
        sent: BTreeSet::new(),
        last_stream: String::new(),
        steps: Vec::new(),
    };
    player.log_in(&lines);
    player.began = now();
    for (at, line) in lines.iter().enumerate() {
        player.line(line, &lines[at + 1..]);
    }
    let end = lines.last().map_or(0.0, |line| line["at"].as_f64().unwrap_or(0.0));
    player.wait(end + 0.3);
    player.look();
    assert!(player.asked.is_empty(), "each request has an end");
    player.steps
}

impl Player {
    /// Gives each cookie of the recording a login here.
    fn log_in(&mut self, lines: &[Value]) {
        let mut people = ["rob", "luke"].into_iter();
        for line in lines {
            let request = [text(line, "bytes"), text(line, "request")].concat();
            let Some(cookie) = header(&request, "cookie").and_then(|value| value.strip_prefix("SESSION=")) else {
                continue;
            };
            if !self.names.contains_key(cookie) {
                let here = Browser::log_in(self.server, people.next().expect("two are enough"));
                self.names.insert(cookie.to_owned(), here.session_cookie().to_owned());
            }
        }
    }

    /// Waits until so much of the recording's time has passed.
    fn wait(&self, at: f64) {
        let left = (self.began + Duration::from_secs_f64(at.max(0.0))).saturating_duration_since(now());
        std::thread::sleep(left);
    }

    fn line(&mut self, line: &Value, later: &[Value]) {
        let at = line["at"].as_f64().expect("each line has its time");
        match line["what"].as_str().expect("each line says what it is") {
            "request" => self.request(line, later, at),
            "chunk" => self.chunk(&text(line, "who"), &text(line, "bytes")),
            "response" | "no response" | "response ended" => self.ended(line, at),
            "handshake" => {
                self.wait(at);
                self.look_at(&text(line, "who"));
                let (who, request) = (text(line, "who"), self.here(&text(line, "request")));
                self.sockets.remove(&who);
                let what = plain(request.lines().next().unwrap_or_default().trim_end_matches(" HTTP/1.1"));
                let ours = match Socket::open(self.server, request.as_bytes()) {
                    Ok(socket) => {
                        self.sockets.insert(who.clone(), socket);
                        101
                    }
                    Err(status) => status,
                };
                self.received.insert(who, (what.clone(), Vec::new()));
                self.steps.push(Step { what, theirs: line["status"].to_string(), ours: ours.to_string() });
            }
            "send" => {
                self.wait(at);
                let who = text(line, "who");
                if !self.sockets.contains_key(&who) {
                    // The handshake and its `o` were not recorded.
                    let mut socket = self.unrecorded();
                    socket.look(1, GRACE);
                    self.sockets.insert(who.clone(), socket);
                }
                let payload = text(line, "payload");
                let socket = self.sockets.get_mut(&who).expect("it is open");
                match line["opcode"].as_str() {
                    Some("text") => socket.send(Opcode::Text, payload.as_bytes()),
                    Some("ping") => socket.send(Opcode::Ping, payload.as_bytes()),
                    Some("binary") => socket.send(Opcode::Binary, payload.as_bytes()),
                    Some("close") => {
                        let bytes: Vec<u8> =
                            payload.chars().map(|c| u8::try_from(u32::from(c)).expect("a byte")).collect();
                        socket.send(Opcode::Close, &bytes);
                    }
                    other => panic!("{other:?}"),
                }
                let (what, _) = self.received.entry(who).or_default();
                if !what.is_empty() {
                    what.push_str(" ; ");
                }
                what.push_str(&payload);
            }
            "receive" => {
                let who = text(line, "who");
                if !self.sockets.contains_key(&who) {
                    let socket = self.unrecorded();
                    self.sockets.insert(who.clone(), socket);
                }
                let what = match line["opcode"].as_str() {
                    Some("close") => format!("close {} {}", line["code"], text(line, "reason")),
                    Some(opcode) => format!("{opcode} {}", text(line, "payload")),
                    None => panic!("{line}"),
                };
                self.received.entry(who).or_default().1.push(what);
            }
            "end of stream" => self.received.entry(text(line, "who")).or_default().1.push("end of stream".to_owned()),
            "note" => {
                let note = text(line, "text");
                if let Some(rest) = note.strip_prefix("xhr_send answers 404 ") {
                    let seconds: f64 = rest.split(' ').next().and_then(|n| n.parse().ok()).expect("a number");
                    self.gone(seconds);
                    return;
                }
                self.wait(at);
                self.look();
                if note.starts_with("---") {
                    self.sockets.clear();
                }
            }
            other => panic!("{other}"),
        }
    }

    /// A request as it is sent here: with this server's cookies and entity tags.
    fn here(&self, request: &str) -> String {
        self.names.iter().fold(request.to_owned(), |request, (theirs, ours)| request.replace(theirs, ours))
    }

    fn request(&mut self, line: &Value, later: &[Value], at: f64) {
        let request = text(line, "bytes");
        let label = text(line, "label");
        let target = request.split(' ').nth(1).expect("a target").to_owned();
        let (session, who) = target.rsplit_once('/').map(|(a, b)| (a.to_owned(), b.to_owned())).expect("a path");
        // The poll that opens was not recorded.
        if label.starts_with("content-type ") {
            self.quiet("POST", &format!("{session}/xhr"), "");
        }
        if let Some(ago) = label.strip_prefix("xhr_send ").and_then(|rest| rest.split_once(" s after the opening poll"))
        {
            self.wait(at - ago.0.parse::<f64>().expect("a number"));
            self.quiet("POST", &format!("{session}/xhr"), "");
        }
        // What nobody has sent by a recorded request, and is there as soon as it is asked for, was sent before.
        if self.sent.iter().any(|(known, _)| *known == session) {
            for line in later.iter().take_while(|line| line["what"] != "request") {
                if line["what"] == "chunk" && text(line, "who") == who {
                    self.send_unsent(&session, &text(line, "bytes"));
                }
            }
        }
        self.wait(at);
        if who == "xhr_send" {
            let body = request.split_once("\r\n\r\n").map_or("", |(_, body)| body);
            for message in serde_json::from_str::<Vec<String>>(body).unwrap_or_default() {
                self.sent.insert((session.clone(), message));
            }
        }
        let exchange = Exchange::begin(self.server, self.here(&request).as_bytes());
        let mut what = plain(request.lines().next().unwrap_or_default().trim_end_matches(" HTTP/1.1"));
        if !label.is_empty() {
            what += &format!(" ({label})");
        }
        self.asked.push(Asked { what, who, session, exchange, theirs: String::new() });
    }

    fn chunk(&mut self, who: &str, bytes: &str) {
        let asked = self.asked.iter().rposition(|asked| asked.who == who).expect("it was asked for");
        let session = self.asked[asked].session.clone();
        self.asked[asked].theirs.push_str(bytes);
        self.last_stream.clone_from(&session);
        self.send_unsent(&session, bytes);
    }

    /// Sends the messages in this that no recorded request has sent: their requests were not recorded.
    fn send_unsent(&mut self, session: &str, bytes: &str) {
        for message in messages(bytes) {
            if self.sent.insert((session.to_owned(), message.clone())) {
                let body = serde_json::to_string(&[message]).expect("it is JSON");
                self.quiet("POST", &format!("{session}/xhr_send"), &body);
            }
        }
    }

    fn quiet(&self, method: &str, path: &str, body: &str) -> u16 {
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nContent-Length: {}\r\n\r\n{body}",
            self.server,
            body.len()
        );
        let answer = Exchange::begin(self.server, request.as_bytes()).whole();
        answer.head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0)
    }

    fn unrecorded(&self) -> Socket {
        let request = format!(
            "GET /echo/000/{:x}/websocket HTTP/1.1\r\nHost: {}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
            now().duration_since(self.began).as_nanos(),
            self.server
        );
        Socket::open(self.server, request.as_bytes()).unwrap_or_else(|status| panic!("refused with {status}"))
    }

    /// The end of an answer, or of the time it was waited for.
    fn ended(&mut self, line: &Value, at: f64) {
        let who = text(line, "who");
        let is = |asked: &Asked| who.is_empty() || asked.who == who;
        // Where two are open, the later one is refused, in one piece.
        let asked = if who.is_empty() || line["body"].is_string() {
            self.asked.iter().rposition(is)
        } else {
            self.asked.iter().position(is)
        };
        let asked = self.asked.remove(asked.expect("it was asked for"));
        let theirs_ended = line["why"].is_null() && line["ended"].as_str() != Some("still open");
        let body = if line["body"].is_string() { text(line, "body") } else { asked.theirs.clone() };
        // The recorder has put it so where it has shown the page before.
        let body = if body.ends_with(" bytes)") { PAGE.to_owned() } else { body };
        self.wait(at);
        let came = |answer: &Answer| answer.ended || (!theirs_ended && shorten(&answer.body).len() >= body.len());
        let ours = asked.exchange.until(GRACE, came);
        if let (Some(theirs), Some(ours)) = (header(&text(line, "head"), "etag"), header(&ours.head, "etag")) {
            self.names.insert(theirs.to_owned(), ours.to_owned());
        }
        let theirs = shown(&text(line, "head"), &shorten(body.as_bytes()), theirs_ended);
        let ours = shown(&ours.head, &shorten(&ours.body), ours.ended);
        // Of an answer that nobody waited for, no head was recorded.
        let bare = |shown: String| shown.split_once('\n').map_or(shown.clone(), |(_, body)| body.to_owned());
        let ours = if line["head"].is_string() { ours } else { bare(ours) };
        let theirs = if line["head"].is_string() { theirs } else { bare(theirs) };
        self.steps.push(Step { what: asked.what, theirs, ours });
    }

    /// Looks at what has come over the WebSockets.
    fn look(&mut self) {
        for who in self.sockets.keys().cloned().collect::<Vec<_>>() {
            self.look_at(&who);
        }
    }

    fn look_at(&mut self, who: &str) {
        let Some(socket) = self.sockets.get_mut(who) else { return };
        let (what, theirs) = self.received.remove(who).unwrap_or_default();
        let ours = socket.look(theirs.len(), GRACE);
        let all = |events: &[String]| events.iter().map(|event| mask(event)).collect::<Vec<_>>().join("\n");
        if !(theirs.is_empty() && ours.is_empty() && what.is_empty()) {
            self.steps.push(Step { what, theirs: all(&theirs), ours: all(&ours) });
        }
    }

    /// Sends into the last stream's session until that is gone.
    fn gone(&mut self, theirs: f64) {
        let session = self.last_stream.clone();
        let began = now();
        while self.quiet("POST", &format!("{session}/xhr_send"), "[\"x\"]") != 404 {
            assert!(now().duration_since(began) < Duration::from_secs(20), "it is gone one day");
            std::thread::sleep(Duration::from_millis(100));
        }
        let within = |seconds: f64| format!("gone within {} s", if seconds < 2.0 { 2 } else { 10 });
        let ours = now().duration_since(began).as_secs_f64();
        self.steps.push(Step { what: "a stream is cut".to_owned(), theirs: within(theirs), ours: within(ours) });
    }
}

/// A request line without its SockJS session, which is random and says nothing.
fn plain(line: &str) -> String {
    let is_random = |part: &str| part.len() == 8 && part.bytes().all(|byte| byte.is_ascii_hexdigit());
    line.split('/').map(|part| if is_random(part) { "*" } else { part }).collect::<Vec<_>>().join("/")
}

/// The messages in the frames of an answer.
fn messages(bytes: &str) -> Vec<String> {
    let script = bytes.split_once("p(\"a[").and_then(|(_, rest)| rest.split_once("\");"));
    let frame = match script {
        // `\'` is JavaScript only.
        Some((inside, _)) => serde_json::from_str(&format!("\"a[{}\"", inside.replace("\\'", "'"))).expect("a string"),
        None => bytes.trim_start_matches("data: ").trim_end().to_owned(),
    };
    frame.strip_prefix('a').and_then(|array| serde_json::from_str(array).ok()).unwrap_or_default()
}

/// Long runs of what only fills, as the recorder wrote them.
pub(crate) fn shorten(body: &[u8]) -> String {
    let body = String::from_utf8_lossy(body);
    let mut short = String::new();
    let mut rest = &*body;
    while let Some(first) = rest.chars().next() {
        let run = rest.len() - rest.trim_start_matches(first).len();
        if run >= 100 {
            short += &format!("<{run} x '{first}'>");
        } else {
            short += &rest[..run];
        }
        rest = &rest[run..];
    }
    short
}

/// The parts of an answer that are compared: its status, type, who may read it, cookie, and frames. The words of an error
/// or of a page are each server's own.
fn shown(head: &str, body: &str, ended: bool) -> String {
    if head.is_empty() {
        return "no answer".to_owned();
    }
    let status = head.split(' ').nth(1).unwrap_or_default();
    let mut shown = status.to_owned();
    if let Some(kind) = header(head, "Content-Type").filter(|_| status == "200" && !body.is_empty()) {
        shown += &format!(
            " {}",
            kind.to_ascii_lowercase().trim_end_matches(";charset=utf-8").trim_end_matches("; charset=utf-8")
        );
    }
    if let Some(origin) = header(head, "Access-Control-Allow-Origin") {
        let credentials = header(head, "Access-Control-Allow-Credentials") == Some("true");
        shown += &format!(" for {origin}{}", if credentials { " with credentials" } else { "" });
    }
    if header(head, "Set-Cookie").is_some() {
        shown += " with a cookie";
    }
    if status == "200" && !body.is_empty() {
        shown += &format!("\n{}", frames(body).trim_end());
    }
    if !ended {
        shown += "\n(goes on)";
    }
    shown
}

/// The body of an answer without what is another each time, or of no meaning.
pub(crate) fn frames(body: &str) -> String {
    if let Ok(mut info) = serde_json::from_str::<Value>(body).map(|info| info.as_object().cloned().unwrap_or_default())
        && info.contains_key("entropy")
    {
        let entropy = info.remove("entropy").is_some_and(|entropy| entropy.is_number());
        // In the order of their names.
        let info: BTreeMap<String, Value> = info.into_iter().collect();
        return format!("{info:?}, entropy a number: {entropy}");
    }
    let mut body = mask(body);
    if let Some(from) = body.find("<!DOCTYPE html>") {
        let filled = body.find(" x ' '>").map(|at| at + " x ' '>".len());
        let to = filled.or_else(|| body.find("</html>").map(|at| at + "</html>".len())).unwrap_or(body.len());
        let lines = body[to..].len() - body[to..].trim_start().len();
        let page = body[from..to + lines].to_owned();
        // The name that the client asked for is the one that is called.
        let calls = page.split_once("parent.").map(|(_, rest)| rest.split([';', '\n']).next().unwrap_or_default());
        let stands = calls.map_or(PAGE.to_owned(), |calls| format!("(a page that calls {calls})\n"));
        body = body.replace(&page, &stands);
    }
    count(&body)
}

/// The same with all frames whose messages only fill a stream told in one line.
fn count(body: &str) -> String {
    let mut numbers: Vec<&str> = Vec::new();
    let is_filler = |frame: &str| frame.contains(FILLER);
    let mut kept = String::new();
    for frame in body.split_inclusive(if body.contains("<script>") { "</script>\r\n" } else { "\n" }) {
        if is_filler(frame) {
            numbers.extend(frame.match_indices(FILLER).map(|(at, _)| &frame[at - 3..at]));
        } else if !frame.trim().is_empty() || numbers.is_empty() {
            kept.push_str(frame);
        }
    }
    if let (Some(first), Some(last)) = (numbers.first(), numbers.last()) {
        assert!(
            numbers.is_sorted() && numbers.len() == number(last) - number(first) + 1,
            "in their order: {numbers:?}"
        );
        kept += &format!("(messages {first} to {last} of 128 characters)");
    }
    kept
}

fn number(digits: &str) -> usize {
    digits.parse().expect("a number")
}

/// What is another each time, or another way to write the same.
pub(crate) fn mask(text: &str) -> String {
    // Within JSON within a script, a backslash is two.
    let mut text = text.replace("\\u0026", "&");
    for (before, end) in [("message-id:", '\\'), ("created\\\":\\\"", '\\'), ("content-length:", '\\')] {
        let mut from = 0;
        while let Some(at) = text[from..].find(before) {
            let at = from + at + before.len();
            let len = text[at..].find(end).unwrap_or(0);
            text.replace_range(at..at + len, "*");
            from = at + 1;
        }
    }
    let mut from = 0;
    while let Some(at) = text[from..].find("\\u") {
        from += at + 2;
        if let Some(digits) = text.get(from..from + 4) {
            let digits = digits.to_ascii_lowercase();
            text.replace_range(from..from + 4, &digits);
        }
    }
    text.replace(MESSAGE, "(the message)")
}
