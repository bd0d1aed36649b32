//! What a browser does, blocking: pages, forms, cookies, and STOMP over a WebSocket.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tethered_core::ws::Opcode;

use super::{Client, PATIENCE};

/// The answer to a request.
#[derive(Debug)]
pub struct Page {
    pub status: u16,
    pub head: String,
    pub body: String,
}

/// Somebody with a cookie jar that holds one session.
#[derive(Debug, Clone)]
pub struct Browser {
    pub server: SocketAddr,
    /// All cookies, by name.
    pub cookies: Vec<(String, String)>,
}

impl Page {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers(name).next()
    }

    pub fn headers<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a str> {
        self.head.lines().filter_map(move |line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }
}

impl Browser {
    pub fn new(server: SocketAddr) -> Self {
        Self { server, cookies: Vec::new() }
    }

    /// Logs in through the page that asks for it.
    pub fn log_in(server: SocketAddr, name: &str) -> Self {
        let mut browser = Self::new(server);
        browser.log_in_as(name);
        browser
    }

    /// Also where somebody is logged in already: with the form of a page that was left open.
    pub fn log_in_as(&mut self, name: &str) {
        let mut stranger = Self::new(self.server);
        let form = stranger.get("/login");
        assert_eq!(form.status, 200, "{form:?}");
        self.cookies.retain(|(name, _)| stranger.cookies.iter().all(|(other, _)| other != name));
        self.cookies.append(&mut stranger.cookies);
        let token = token_in(&form.body);
        let answer = self.post("/login", &[("username", name), ("password", "password"), ("_csrf", &token)]);
        assert_eq!(answer.status, 302, "{answer:?}");
        assert!(!answer.header("location").unwrap_or_default().contains("error"), "{answer:?}");
    }

    pub fn log_out(&mut self) {
        let page = self.get("/csrf");
        let token = field(&page.body, "token");
        let answer = self.post("/logout", &[("_csrf", &token)]);
        assert_eq!(answer.status, 302, "{answer:?}");
    }

    /// The same cookies at another server.
    pub fn at(&self, server: SocketAddr) -> Self {
        Self { server, cookies: self.cookies.clone() }
    }

    pub fn session_cookie(&self) -> &str {
        &self.cookies.iter().find(|(name, _)| name == "SESSION").expect("there is a session").1
    }

    /// The id of the session that it has.
    pub fn session(&self) -> String {
        String::from_utf8(STANDARD.decode(self.session_cookie()).expect("Base64")).expect("text")
    }

    pub fn get(&mut self, path: &str) -> Page {
        self.request("GET", path, "", "")
    }

    pub fn post(&mut self, path: &str, fields: &[(&str, &str)]) -> Page {
        let body: String = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        self.request("POST", path, "Content-Type: application/x-www-form-urlencoded\r\n", &body)
    }

    /// A POST with the session's token, which Spring wants with each.
    pub fn post_with_token(&mut self, path: &str, fields: &[(&str, &str)]) -> Page {
        let token = field(&self.get("/csrf").body, "token");
        let fields = [fields, &[("_csrf", token.as_str())]].concat();
        self.post(path, &fields)
    }

    fn request(&mut self, method: &str, path: &str, headers: &str, body: &str) -> Page {
        let page = self.try_request(method, path, headers, body).expect("the server answers");
        for cookie in page.headers("set-cookie") {
            let (name, value) = cookie.split(';').next().unwrap_or_default().split_once('=').expect("a cookie");
            self.cookies.retain(|(known, _)| known != name);
            if !value.is_empty() {
                self.cookies.push((name.to_owned(), value.to_owned()));
            }
        }
        page
    }

    /// The same, for a server that may not answer.
    pub fn try_request(&self, method: &str, path: &str, headers: &str, body: &str) -> std::io::Result<Page> {
        let mut stream = TcpStream::connect(self.server)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let mut request = format!("{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n", self.server);
        request += headers;
        request += &self.cookie_line();
        if method == "POST" {
            request += &format!("Content-Length: {}\r\n", body.len());
        }
        request += "\r\n";
        request += body;
        stream.write_all(request.as_bytes())?;
        let mut answer = Vec::new();
        match stream.read_to_end(&mut answer) {
            Err(error) if error.kind() != ErrorKind::ConnectionReset => return Err(error),
            _ => {}
        }
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
        Ok(Page { status, head: head.to_owned(), body: body.to_owned() })
    }

    fn cookie_line(&self) -> String {
        let pairs: Vec<String> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        if pairs.is_empty() { String::new() } else { format!("Cookie: {}\r\n", pairs.join("; ")) }
    }

    /// Asks for a WebSocket; its status, and the socket if there is one.
    pub fn handshake(&self) -> (u16, Client, String) {
        let mut client = Client::connect(self.server);
        client.write(
            format!(
                "GET /stomp HTTP/1.1\r\nHost: {}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                 Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\
                 Sec-WebSocket-Protocol: v12.stomp\r\n{}\r\n",
                self.server,
                self.cookie_line()
            )
            .as_bytes(),
        );
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            match client.stream.read(&mut byte) {
                Ok(1) => head.push(byte[0]),
                _ => break,
            }
        }
        let head = String::from_utf8_lossy(&head).into_owned();
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
        (status, client, head)
    }

    /// A WebSocket under this session, on which STOMP is connected.
    pub fn stomp(&self) -> Stomp {
        let (status, client, head) = self.handshake();
        assert_eq!(status, 101, "{head}");
        let mut stomp = Stomp { client, user: None };
        stomp.send("CONNECT", &[("accept-version", "1.2"), ("host", "h")], "");
        let connected = stomp.next();
        assert!(connected.starts_with("CONNECTED\n"), "{connected}");
        stomp.user = connected.lines().find_map(|line| line.strip_prefix("user-name:")).map(str::to_owned);
        stomp
    }
}

/// STOMP over a WebSocket.
pub struct Stomp {
    pub client: Client,
    /// `user-name` of CONNECTED.
    pub user: Option<String>,
}

impl Stomp {
    pub fn send(&mut self, command: &str, headers: &[(&str, &str)], body: &str) {
        let headers: String = headers.iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
        self.client.send(Opcode::Text, format!("{command}\n{headers}\n{body}\0").as_bytes());
    }

    /// Sends a frame that is handled for certain once this returns.
    pub fn done(&mut self, command: &str, headers: &[(&str, &str)], body: &str) {
        self.send(command, &[headers, &[("receipt", "r")]].concat(), body);
        let receipt = self.next();
        assert!(receipt.starts_with("RECEIPT\n"), "{receipt}");
    }

    pub fn subscribe(&mut self, id: &str, destination: &str) {
        self.done("SUBSCRIBE", &[("id", id), ("destination", destination)], "");
    }

    /// The next STOMP frame.
    pub fn next(&mut self) -> String {
        loop {
            match self.client.receive() {
                (1 | 2, bytes) if bytes != b"\n" => return String::from_utf8_lossy(&bytes).into_owned(),
                (1 | 2 | 10, _) => {}
                (9, payload) => self.client.send(Opcode::Pong, &payload),
                (8, payload) => panic!("closed with {:?}", payload.escape_ascii().to_string()),
                other => panic!("{other:?}"),
            }
        }
    }

    /// Waits for the Close frame: its code and reason, and when it came.
    pub fn closed(&mut self) -> (u16, String, Instant) {
        loop {
            if let (8, payload) = self.client.receive() {
                let at = now();
                let code = u16::from_be_bytes([payload[0], payload[1]]);
                let reason = String::from_utf8_lossy(&payload[2..]).into_owned();
                self.client.send(Opcode::Close, &payload);
                return (code, reason, at);
            }
        }
    }

    /// Nothing but control frames and messages comes for so long: it is not closed.
    pub fn stays_open(&mut self, time: Duration) {
        let until = now() + time;
        loop {
            let left = until.saturating_duration_since(now());
            if left.is_zero() {
                break;
            }
            self.client.stream.set_read_timeout(Some(left)).expect("a timeout");
            let mut byte = [0];
            match self.client.stream.peek(&mut byte) {
                Ok(0) => panic!("the connection ended"),
                Ok(_) => {
                    self.client.stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
                    let (opcode, payload) = self.client.receive();
                    assert_ne!(opcode, 8, "closed with {}", payload.escape_ascii());
                    if opcode == 9 {
                        self.client.send(Opcode::Pong, &payload);
                    }
                }
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => break,
                Err(error) => panic!("{error}"),
            }
        }
        self.client.stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    }
}

/// What stands in the hidden field of a login form.
fn token_in(page: &str) -> String {
    let at = page.find("name=\"_csrf\"").expect("the form has a token");
    let before = page[..at].rfind('<').expect("it is in a tag");
    let value = page[before..].split("value=\"").nth(1).and_then(|rest| rest.split('"').next());
    value.expect("it has a value").to_owned()
}

/// A text of a flat JSON object.
pub fn field(json: &str, name: &str) -> String {
    let rest = json.split(&format!("\"{name}\":\"")).nth(1).unwrap_or_else(|| panic!("{name} in {json}"));
    rest.split('"').next().unwrap_or_default().to_owned()
}

/// The time.
#[allow(clippy::disallowed_methods, reason = "tests measure real time")]
pub fn now() -> Instant {
    Instant::now()
}
