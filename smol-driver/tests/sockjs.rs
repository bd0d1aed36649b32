//! The server's SockJS over real sockets: one login in two tabs by three transports, and its end.
#![allow(clippy::disallowed_methods, reason = "tests measure real time")]

mod common;

use std::io::Read;
use std::time::{Duration, Instant};

use common::process::Process;
use common::web::Browser;
use common::{Client, PATIENCE};
use tethered_core::ws::Opcode;

const ENDED: &str = "c[1008,\"This connection was established under an authenticated HTTP Session that has expired\"]";
/// From the answer to the logout to the frame that tells of it.
const AT_MOST: Duration = Duration::from_millis(200);

/// Writes a request of this browser and leaves its answer to come.
fn begin(browser: &Browser, method: &str, path: &str, body: &str) -> Client {
    let mut client = Client::connect(browser.server);
    let cookie = format!("Cookie: SESSION={}\r\n", browser.session_cookie());
    let length = if method == "POST" { format!("Content-Length: {}\r\n", body.len()) } else { String::new() };
    let head = format!("{method} {path} HTTP/1.1\r\nHost: {}\r\n{cookie}{length}\r\n{body}", browser.server);
    client.write(head.as_bytes());
    client
}

/// Reads until this has come.
fn until(client: &mut Client, wanted: &str) -> String {
    let mut read = Vec::new();
    let mut buffer = [0; 4_096];
    while !String::from_utf8_lossy(&read).contains(wanted) {
        let len = client.stream.read(&mut buffer).expect("the server writes");
        assert_ne!(len, 0, "{wanted} did not come: {}", String::from_utf8_lossy(&read));
        read.extend_from_slice(&buffer[..len]);
    }
    String::from_utf8_lossy(&read).into_owned()
}

/// A session over requests that has connected; a poll of it that waits.
fn connect(browser: &Browser, name: &str) -> String {
    let path = format!("/messages/000/{name}");
    until(&mut begin(browser, "POST", &format!("{path}/xhr"), ""), "o\n");
    let frame = "[\"CONNECT\\naccept-version:1.2\\n\\n\\u0000\"]";
    until(&mut begin(browser, "POST", &format!("{path}/xhr_send"), frame), "204 No Content");
    until(&mut begin(browser, "POST", &format!("{path}/xhr"), ""), "CONNECTED");
    path
}

/// Two tabs of one login, with three transports in all: a logout in one ends all, each with the right frame.
fn logout_ends_all(browser: &mut Browser, round: usize) -> Duration {
    let [poll, stream, events, asleep] =
        ["poll", "stream", "events", "asleep"].map(|name| connect(browser, &format!("{name}-{round}")));
    let mut poll = begin(browser, "POST", &format!("{poll}/xhr"), "");
    let mut stream = begin(browser, "POST", &format!("{stream}/xhr_streaming"), "");
    until(&mut stream, "hhh\n");
    let mut events = begin(browser, "GET", &format!("{events}/eventsource"), "");
    until(&mut events, "\r\n\r\n");
    let mut ws = Client::connect(browser.server);
    ws.write(
        format!(
            "GET /messages/000/ws/websocket HTTP/1.1\r\nHost: {}\r\nCookie: SESSION={}\r\nUpgrade: websocket\r\n\
             Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
            browser.server,
            browser.session_cookie()
        )
        .as_bytes(),
    );
    ws.read_head("101");
    assert_eq!(ws.receive(), (1, b"o".to_vec()));
    ws.send(Opcode::Text, b"[\"CONNECT\\naccept-version:1.2\\n\\n\\u0000\"]");
    assert_eq!(ws.receive().0, 1);
    browser.log_out();
    let told = Instant::now();
    until(&mut poll, &format!("{ENDED}\n"));
    until(&mut stream, &format!("{ENDED}\n"));
    until(&mut events, &format!("data: {ENDED}\r\n\r\n"));
    assert_eq!(ws.receive(), (1, ENDED.as_bytes().to_vec()));
    let (opcode, payload) = ws.receive();
    assert_eq!((opcode, &payload[..2]), (8, &1008_u16.to_be_bytes()[..]));
    let took = told.elapsed();
    // Who had no request open then is told the true reason at the next one, though the cookie is gone.
    let mut stranger = Client::connect(browser.server);
    let head = format!("POST {asleep}/xhr HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n");
    stranger.write(head.as_bytes());
    until(&mut stranger, &format!("{ENDED}\n"));
    took
}

#[test]
fn a_logout_in_one_tab_ends_the_other_by_each_transport() {
    let server = Process::start(&[]);
    // The machine may be busy: once in five is proof that it is no timer that ends them.
    let best = (0..5).map(|round| logout_ends_all(&mut Browser::log_in(server.address, "rob"), round)).min();
    assert!(best.is_some_and(|best| best <= AT_MOST), "{best:?}");
}

#[test]
fn polls_alone_do_not_keep_a_login_alive() {
    let server = Process::start(&["--session-timeout", "2s", "--sockjs-heartbeat", "300ms"]);
    let browser = Browser::log_in(server.address, "rob");
    let path = connect(&browser, "poll");
    let (began, mut polls) = (Instant::now(), 0);
    loop {
        let answer = browser.try_request("POST", &format!("{path}/xhr"), "", "").expect("the server answers");
        if answer.body.trim_end() == ENDED {
            break;
        }
        assert_eq!((answer.status, &*answer.body), (200, "h\n"));
        polls += 1;
        assert!(began.elapsed() < PATIENCE);
        std::thread::sleep(Duration::from_millis(100));
    }
    let lived = began.elapsed();
    assert!(polls >= 2 && lived < Duration::from_secs(6), "{polls} polls, {lived:?}");
}
