//! What a real Spring application was recorded to answer over SockJS and at the end of a session, beside what this server
//! answers to the same: the same frames, but for the differences that are listed here with their reasons.
//!
//! The recordings lie in the folder that SPRING_REFERENCE names; without it these tests cannot run.

#[path = "../common/mod.rs"]
mod common;
mod ends;
mod player;
mod wire;

use common::process::Process;
use player::Step;

/// What leads to another answer here: a part of what was asked, the lines that differ there and here, and why.
type Difference = (&'static str, &'static str, &'static str, &'static str);

const LOGIN: &str = "a script cannot show a login page, so it is told that a login is missing";
const OTHERS: &str = "a session of somebody else's login, or without one, is none: there is no page to go to";
const FIREWALL: &str = "an empty part of a path is no fault, but leads nowhere";
const SLASH: &str = "a path with a slash at its end is another path";
const JSONP: &str = "Spring has no jsonp any more; the services for tests have";
const PREFLIGHT: &str = "a preflight has no body to answer with";
const IFRAME: &str = "Spring has no iframe page where origins are configured; the services for tests are open to all";
const LIMIT: &str =
    "the limit is one of bytes written, so it counts the wrapping of a frame too, and fewer messages fit";
const OPENS: &str = "a session begins with its open frame, also if its end comes at once";
const PRELUDE: &str = "a stream begins with its prelude, also if it holds a close frame only";
const ENDED_SEND: &str = "who sends into a session that has ended learns that nobody takes it";
const VANISHED: &str =
    "a client that has gone is noticed at once: nothing is written to it, and its session ends with 1002";
const BROKEN: &str = "what is no array of strings ends the WebSocket, without a frame: the peer does not speak SockJS";
const STRINGS: &str = "messages are strings; a number or null in their place is a fault, never text";
const SURROGATE: &str = "half of a surrogate pair has no UTF-8: it is refused";
const ESCAPES: &str = "the protocol asks for these characters to be escaped, and Spring leaves them";
const ERROR_WORDS: &str = "the names of an application's classes are nobody's business";
const TRUE_CODE: &str = "what waits at the end is delivered, and the true code comes after it";
const ONCE: &str = "the chat delivers once to somebody who writes to himself";
const DELAY: &str = "a session is over 5 s after its last request that received, not with a look every 5 s";

/// The step's lines without those that both begin or end with.
fn differing(step: &Step) -> (String, String) {
    let (mut theirs, mut ours): (Vec<&str>, Vec<&str>) = (step.theirs.lines().collect(), step.ours.lines().collect());
    while !theirs.is_empty() && theirs.first() == ours.first() {
        theirs.remove(0);
        ours.remove(0);
    }
    while !theirs.is_empty() && theirs.last() == ours.last() {
        theirs.pop();
        ours.pop();
    }
    (theirs.join("\n"), ours.join("\n"))
}

/// Each step is the same, or differs as the next of these says; and all of these are met.
fn compare(name: &str, steps: &[Step], differences: &[Difference]) {
    assert!(!steps.is_empty(), "{name} was played");
    let mut expected = differences.iter();
    let mut wrong = String::new();
    for step in steps.iter().filter(|step| step.theirs != step.ours) {
        let (theirs, ours) = differing(step);
        match expected.next() {
            Some(&(what, t, o, why)) if step.what.contains(what) && theirs == t && ours == o => {
                println!("{name}: {what}: {why}");
            }
            other => {
                wrong += &format!("{}\n  there {theirs:?}\n  here  {ours:?}\n  expected {other:?}\n", step.what);
            }
        }
    }
    assert!(wrong.is_empty(), "{name} differs:\n{wrong}");
    assert_eq!(expected.next(), None, "{name}: this differs no more");
    println!("{name}: {} steps, {} differences", steps.len(), differences.len());
}

fn replay(name: &str, differences: &[Difference]) {
    let server = Process::start(&["--conformance"]);
    compare(name, &player::play(name, server.address), differences);
}

/// A recording that nobody plays would be forgotten.
#[test]
#[ignore = "needs the recordings of the Spring reference application"]
fn every_recording_is_played() {
    let entries = std::fs::read_dir(player::folder()).expect("the folder with the recordings");
    let names = entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned());
    let mut names: Vec<String> = names.filter(|name| name.starts_with("sockjs-") || name.starts_with("end-")).collect();
    names.sort();
    let source = [include_str!("main.rs"), include_str!("ends.rs")].concat();
    for name in &names {
        let name = name.trim_end_matches(".jsonl");
        assert!(source.contains(&format!("\"{name}\"")), "{name} is not played");
    }
    assert!(names.len() >= 22, "{names:?}");
}

#[test]
#[ignore = "needs the recordings of the Spring reference application"]
fn pages() {
    replay(
        "sockjs-pages",
        &[
            ("greeting without login", "302 with a cookie", "401", LOGIN),
            ("info without login", "302 with a cookie", "401", LOGIN),
            (
                "info, same origin",
                "200 application/json",
                "200 application/json for http://127.0.0.1:8091 with credentials",
                "a page of one's own may read what it may read anyway",
            ),
            ("echo greeting, POST", "200 text/plain\nWelcome to SockJS!", "405", "a greeting is read"),
            (
                "preflight",
                "200 for http://a.example with credentials",
                "204 for http://a.example with credentials",
                PREFLIGHT,
            ),
            ("echo iframe", "404", "200 text/html\n(a page)", IFRAME),
            ("open iframe, other origin", "403", "200 text/html\n(a page)", IFRAME),
        ],
    );
}

#[test]
#[ignore = "needs the recordings of the Spring reference application"]
fn not_found() {
    let info = "200 application/json\n{\"cookie_needed\": Bool(false), \"origins\": Array [String(\"*:*\")], \
                \"websocket\": Bool(true)}, entropy a number: true";
    replay(
        "sockjs-not-found",
        &[
            ("GET /echo// ", "302 with a cookie", "404", FIREWALL),
            ("GET /echo/// ", "302 with a cookie", "404", FIREWALL),
            ("GET /echo//a", "302 with a cookie", "404", FIREWALL),
            ("GET /echo//c/xhr", "302 with a cookie", "404", FIREWALL),
            ("GET /echo/a//xhr", "302 with a cookie", "404", FIREWALL),
            ("GET /echo/a/b/xhr/", "405", "404", SLASH),
            ("GET /echo/info/", info, "404", SLASH),
            ("GET /echo/abc/000/jsonp", "404", "500", JSONP),
            ("GET /echo/abc/000/jsonp?c=cb", "404", "200 application/javascript\n/**/cb(\"o\");", JSONP),
            ("GET /echo/abc/000/jsonp_send", "404", "405", JSONP),
        ],
    );
}

#[test]
#[ignore = "needs the recordings of the Spring reference application"]
fn websocket() {
    let (theirs, ours) = ("text c[1007,\"\"]\nclose 1007 ", "close 1007 Broken JSON encoding.");
    let ended = "close 1007 Broken JSON encoding.\nend of stream";
    replay(
        "sockjs-websocket",
        &[
            ("\"a\"", theirs, ours, BROKEN),
            ("[\"a", theirs, ours, BROKEN),
            ("{\"a\":1}", theirs, ours, BROKEN),
            ("[1,2]", "text a[\"1\"]\ntext a[\"2\"]", ended, STRINGS),
            ("[null]", "close 1011 ", ours, STRINGS),
            ("[[\"a\"]]", theirs, ours, BROKEN),
            ("x", theirs, ours, BROKEN),
            ("[\"a\"][\"b\"]", theirs, ours, BROKEN),
            (
                "bye",
                "close 3001 bye",
                "close 3001 ",
                "the code is sent back, the reason is known to whom it comes from",
            ),
            ("GET /close/000/*/websocket", "", "text o", OPENS),
            ("POST /echo/000/*/xhr", "404", "200 application/javascript\no", "a WebSocket has no session to join"),
            ("POST /echo/000/*/xhr_send", "404", "204", "a WebSocket has no session to join: this is that of the poll"),
        ],
    );
}

#[test]
#[ignore = "needs the recordings of the Spring reference application"]
fn raw_websocket() {
    let (theirs, ours) = ("close 1003 Binary messages not supported\nend of stream", "opcode 2");
    replay("sockjs-rawwebsocket", &[("hello", theirs, ours, "this echo takes every kind of message")]);
}

#[test]
#[ignore = "needs the recordings of the Spring reference application"]
fn xhr() {
    let preflight = ("200 for http://a.example with credentials", "204 for http://a.example with credentials");
    let still_open = "200 application/javascript\nc[2010,\"Another connection still open\"]";
    replay(
        "sockjs-xhr",
        &[
            ("(numbers)", "204", "500", STRINGS),
            ("(null inside)", "302 with a cookie", "500", STRINGS),
            (
                "(poll after those)",
                "a[\"a\",\"a\",\"b\",\"1\",\"2\",\"a\",\"b\"]",
                "a[\"a\",\"a\",\"b\",\"a\",\"b\"]",
                STRINGS,
            ),
            ("x-www-form-urlencoded", "500", "204", "the type of a body does not matter, not this one either"),
            ("(poll)", "no answer", "a[\"x\"]", "so there is a message to be had"),
            (
                "(poll afterwards)",
                "c[2010,\"Another connection still open\"]",
                "c[1002,\"Connection interrupted\"]",
                VANISHED,
            ),
            ("/xhr_send", "204", "404", VANISHED),
            ("(poll 1)", "no answer", "c[1002,\"Connection interrupted\"]", VANISHED),
            ("(poll 2)", &still_open[27..], "o", "5 s later the name is free"),
            ("preflight /xhr", preflight.0, preflight.1, PREFLIGHT),
            ("preflight /xhr_send", preflight.0, preflight.1, PREFLIGHT),
        ],
    );
}

#[test]
#[ignore = "needs the recordings of the Spring reference application"]
fn xhr_streaming() {
    let preflight = ("200 for http://a.example with credentials", "204 for http://a.example with credentials");
    let interrupted = "200 application/javascript\nc[1002,\"Connection interrupted\"]";
    replay(
        "sockjs-xhr-streaming",
        &[
            ("third while the second is open", "", "<2048 x 'h'>", PRELUDE),
            ("/xhr", "404", interrupted, VANISHED),
            ("preflight", preflight.0, preflight.1, PREFLIGHT),
        ],
    );
}

#[test]
#[ignore = "needs the recordings of the Spring reference application"]
fn eventsource() {
    let (theirs, ours) = ("(messages 000 to 030 of 128 characters)", "(messages 000 to 027 of 128 characters)");
    let rest = "(messages 028 to 030 of 128 characters)";
    replay("sockjs-eventsource", &[("", theirs, ours, LIMIT), ("(second stream)", "", rest, LIMIT)]);
}

#[test]
#[ignore = "needs the recordings of the Spring reference application"]
fn htmlfile() {
    let (theirs, ours) = ("(messages 000 to 030 of 128 characters)", "(messages 000 to 024 of 128 characters)");
    let hyphen = "200 text/html\n(a page that calls a-b)\n<script>\np(\"o\");\n</script>\n(goes on)";
    let callback = "200 text/html\n(a page that calls x)\n<script>\np(\"o\");\n</script>\n(goes on)";
    replay(
        "sockjs-htmlfile",
        &[
            ("callback", theirs, ours, LIMIT),
            ("query ?c=a-b", "500", hyphen, "the protocol allows a hyphen"),
            ("query ?c=a%25b", "302 with a cookie", "500", "a callback's name that is none, as the others"),
            ("query ?callback=x", "500", callback, "its name may be given by either word"),
            ("(jsonp)", "404", "200 application/javascript\n/**/x(\"o\");", JSONP),
        ],
    );
}

#[test]
#[ignore = "needs the recordings of the Spring reference application"]
fn close() {
    let away = "c[3000,\"Go away!\"]";
    let plain = "c[3000,\"Go away!\"]\n<2048 x 'h'>";
    let there = "<script>\np(\"c[3000,\\\"Go away!\\\"]\");\n</script>\n(a page that calls cb)";
    let here =
        "(a page that calls cb)\n<script>\np(\"o\");\n</script>\n<script>\np(\"c[3000,\\\"Go away!\\\"]\");\n</script>";
    replay(
        "sockjs-close",
        &[
            ("xhr poll 1", away, "o", OPENS),
            ("send into the closed session", "204", "404", ENDED_SEND),
            ("xhr poll 5.5 s later", away, "o", DELAY),
            ("xhr_streaming request 1", plain, "<2048 x 'h'>\no\nc[3000,\"Go away!\"]", OPENS),
            ("xhr_streaming request 2", "", "<2048 x 'h'>", PRELUDE),
            ("xhr_streaming request 3", "", "<2048 x 'h'>", PRELUDE),
            ("eventsource request 1", "", "\ndata: o\n", OPENS),
            // The prelude of this one is an empty line.
            ("eventsource request 2", "", "", PRELUDE),
            ("eventsource request 3", "", "", PRELUDE),
            ("htmlfile?c=cb request 1", there, here, OPENS),
            ("htmlfile?c=cb request 2", "", "(a page that calls cb)", PRELUDE),
            ("htmlfile?c=cb request 3", "", "(a page that calls cb)", PRELUDE),
            ("/websocket", "", "text o", OPENS),
        ],
    );
}

#[test]
#[ignore = "needs the recordings of the Spring reference application"]
fn timeouts() {
    replay(
        "sockjs-timeouts",
        &[
            ("xhr_send 8.0 s after", "204", "404", DELAY),
            ("poll after that", "a[\"x\"]", "o", DELAY),
            ("a stream is cut", "gone within 10 s", "gone within 2 s", VANISHED),
        ],
    );
}

#[test]
#[ignore = "needs the recordings of the Spring reference application"]
fn heart_beats() {
    replay("sockjs-heartbeat", &[]);
}

#[test]
#[ignore = "needs the recordings of the Spring reference application"]
fn escapes() {
    replay(
        "sockjs-escapes",
        &[
            (
                "\\u0600",
                "text a[\"\u{600}\u{604}\u{70f}\u{17b4}\u{17b5}\"]",
                "text a[\"\\u0600\\u0604\\u070f\\u17b4\\u17b5\"]",
                ESCAPES,
            ),
            (
                "\\ufeff",
                "text a[\"\u{feff}\\ufff0\\ufff1\\ufff2\\ufff3\\ufff4\\ufff5\\ufff6\\ufff7\\ufff8\\ufff9\\ufffa\\ufffb\\ufffc\\ufffd\\ufffe\\uffff\"]",
                "text a[\"\\ufeff\\ufff0\\ufff1\\ufff2\\ufff3\\ufff4\\ufff5\\ufff6\\ufff7\\ufff8\\ufff9\\ufffa\\ufffb\\ufffc\\ufffd\\ufffe\\uffff\"]",
                ESCAPES,
            ),
            ("\\ud800", "text a[\"\\ud800\"]", "close 1007 Broken JSON encoding.\nend of stream", SURROGATE),
            ("\\udfff\\ud800", "text a[\"\\udfff\\ud800\"]", "", "the WebSocket has ended with the one before"),
        ],
    );
}

#[test]
#[ignore = "needs the recordings of the Spring reference application"]
fn stomp() {
    let (theirs, ours) = (
        "text a[\"ERROR\\nmessage:No enum constant org.springframework.messaging.simp.stomp.StompCommand.JUMP\\ncontent-length:*\\n\\n\\u0000\"]",
        "text a[\"ERROR\\nmessage:Unknown command\\ncontent-length:*\\n\\n\\u0000\"]",
    );
    replay(
        "sockjs-stomp",
        &[
            (
                "DISCONNECT",
                "text a[\"(the message)\"]\ntext a[\"(the message)\"]\ntext a[\"RECEIPT\\nreceipt-id:r\\n\\n\\u0000\"]",
                "text a[\"RECEIPT\\nreceipt-id:r\\n\\n\\u0000\"]\ntext c[1000,\"\"]\nclose 1000 \nend of stream",
                ONCE,
            ),
            ("JUMP", theirs, ours, ERROR_WORDS),
            ("/xhr", "a[\"(the message)\",\"(the message)\"]", "a[\"(the message)\"]", ONCE),
            ("nobody polls", "302", "404", OTHERS),
            ("poll gets ERROR", "c[3000,\"Go away!\"]", &ours[5..], TRUE_CODE),
            ("poll gets the close", "c[3000,\"Go away!\"]", "c[1002,\"\"]", TRUE_CODE),
        ],
    );
}
