//! One transcript: its lines in, its lines with what happened out.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use tethered_core::broker::access::Rules;
use tethered_core::config::Config;
use tethered_core::http;
use tethered_core::hub::{Action, Change, DeliveryKind, Event, Hub, Message, Open, Response, To, Who};
use tethered_core::ids::{ClientId, SocketId};
use tethered_core::session::Cause;
use tethered_core::time::{Instant, Now, UnixMillis};

use crate::harness::{self, wire};

pub(crate) struct Play {
    name: String,
    hub: Hub,
    now_ms: u64,
    peers: BTreeMap<String, Peer>,
    clients: BTreeMap<ClientId, String>,
    out: String,
}

struct Peer {
    socket: SocketId,
    token: u64,
    /// How many bytes more the peer takes; `None`: any number.
    room: Option<usize>,
    /// It was told 101.
    upgraded: bool,
    /// The end of a frame that is not whole yet.
    begun: Vec<u8>,
    cookie: String,
}

impl Play {
    /// The transcript as it happens now.
    pub(crate) fn of(name: &str, text: &str) -> String {
        let (settings, _) = text.split_once("\n> ").unwrap_or((text, ""));
        let mut config = harness::config();
        for line in settings.lines().filter_map(|line| line.strip_prefix("set ")) {
            set(&mut config, line).unwrap_or_else(|| panic!("{name}: set {line}"));
        }
        let hub = Hub::new(config, *b"transcripts seed", now(0)).expect("the configuration is in order");
        let mut play = Self {
            name: name.to_owned(),
            hub,
            now_ms: 0,
            peers: BTreeMap::new(),
            clients: BTreeMap::new(),
            out: String::new(),
        };
        let mut lines = text.lines().filter(|line| !line.starts_with('<')).peekable();
        while let Some(line) = lines.next() {
            play.line(line);
            let mut head = Vec::new();
            while let Some(field) = lines.next_if(|line| line.starts_with(">\t")) {
                play.line(field);
                head.push(&field[2..]);
            }
            play.happen(line, &head);
        }
        play.out
    }

    fn line(&mut self, line: &str) {
        self.out.push_str(line);
        self.out.push('\n');
    }

    fn happen(&mut self, line: &str, fields: &[&str]) {
        if let Some(time) = line.strip_prefix('@') {
            self.wait_until(time.trim().parse().unwrap_or_else(|_| panic!("{}: {line}", self.name)));
        } else if let Some(said) = line.strip_prefix("> ") {
            let words = words(said);
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            self.said(&words, fields).unwrap_or_else(|| panic!("{}: {line}", self.name));
            self.work("");
        }
    }

    fn now(&self) -> Now {
        now(self.now_ms)
    }

    fn wait_until(&mut self, ms: u64) {
        while let Some((due, _)) = self.hub.next_deadline()
            && due.as_millis() <= ms
        {
            self.now_ms = self.now_ms.max(due.as_millis());
            self.hub.handle(self.now(), Event::Tick);
            self.work(&format!("@{} ", self.now_ms));
        }
        self.now_ms = ms;
        self.hub.handle(self.now(), Event::Tick);
        self.work(&format!("@{ms} "));
    }

    fn said(&mut self, words: &[&str], fields: &[&str]) -> Option<()> {
        let now = self.now();
        match words {
            [name, "open"] => {
                let token = self.peers.len() as u64;
                let socket = self.hub.open(now, Open { token, address: Some(harness::ADDRESS), secure: false }).ok()?;
                let peer =
                    Peer { socket, token, room: None, upgraded: false, begun: Vec::new(), cookie: String::new() };
                self.peers.insert((*name).to_owned(), peer);
            }
            ["publish", "to", principal, destination, body] => {
                self.hub.publish(now, To::User { principal, destination }, &message(body));
            }
            ["publish", destination, body] => {
                self.hub.publish(now, To::Destination(destination), &message(body));
            }
            ["end", "user", name] => _ = self.hub.end(now, Who::User(name), Cause::Revoked),
            ["drain"] => self.hub.drain(now),
            [name, "answer", status, body, change @ ..] => {
                let change = match change {
                    [] => Change::Keep,
                    ["login", user] => Change::Login { principal: Arc::from(*user), attributes: Vec::new() },
                    ["logout"] => Change::End,
                    _ => return None,
                };
                let http = http::Response::text(status.parse().ok()?, bytes(body));
                self.hub.respond(now, self.peers.get(*name)?.socket, Response { http, session: change });
            }
            [name, "stalls"] => self.peers.get_mut(*name)?.room = Some(0),
            [name, "reads", more @ ..] => {
                self.peers.get_mut(*name)?.room = more.first().map(|more| more.parse()).transpose().ok()?;
                self.write(name, "");
            }
            [name, "hangs", "up"] => {
                let socket = self.peers.get(*name)?.socket;
                self.hub.handle(now, Event::Closed { socket });
            }
            [name, said @ ..] => {
                let mut bytes = self.bytes_of(said, fields)?;
                let socket = self.peers.get(*name)?.socket;
                self.hub.handle(now, Event::Received { socket, bytes: &mut bytes });
            }
            [] => return None,
        }
        Some(())
    }

    fn bytes_of(&self, said: &[&str], fields: &[&str]) -> Option<Vec<u8>> {
        Some(match said {
            ["bytes", text] => bytes(text),
            ["bytes", text, times, again] => [bytes(text), bytes(again).repeat(times.parse().ok()?)].concat(),
            ["head", method, target, version] => {
                let mut head = format!("{method} {target} {version}\r\n");
                for field in fields {
                    head.push_str(field);
                    head.push_str("\r\n");
                }
                head.push_str("\r\n");
                for (name, peer) in &self.peers {
                    head = head.replace(&format!("{{{name}}}"), &peer.cookie);
                }
                head.into_bytes()
            }
            ["text", text] => wire::text(bytes(text)),
            ["binary", text] => wire::binary(&bytes(text)),
            ["ping", text] => wire::ping(&bytes(text)),
            ["pong", text] => wire::pong(&bytes(text)),
            ["frame", first, text] => wire::frame(u8::from_str_radix(first, 16).ok()?, &bytes(text)),
            ["close"] => wire::frame(0x88, b""),
            ["close", code, reason] => wire::close(code.parse().ok()?, reason),
            ["stomp", command, headers @ .., body] => {
                let headers: Option<Vec<_>> = headers.iter().map(|header| header.split_once(':')).collect();
                wire::text(wire::stomp(command, &headers?, &bytes(body)))
            }
            _ => return None,
        })
    }

    fn work(&mut self, at: &str) {
        while let Some(action) = self.hub.poll() {
            match action {
                Action::Write { socket, .. } => {
                    let name = self.name_of(socket);
                    self.write(&name, at);
                }
                Action::Reading { socket, on, .. } => {
                    let name = self.name_of(socket);
                    self.tell(at, &name, if on { "read on" } else { "stop reading" });
                }
                Action::Shutdown { socket, .. } => {
                    let name = self.name_of(socket);
                    self.tell(at, &name, "shut down");
                }
                Action::Close { socket, .. } => {
                    let name = self.name_of(socket);
                    self.tell(at, &name, "closed");
                }
                Action::Request { socket, request, .. } => {
                    let name = self.name_of(socket);
                    let who = request.session.and_then(|session| session.principal);
                    let who = who.map_or_else(|| "nobody".to_owned(), |who| format!("{who:?}"));
                    let told = format!("request {} {} of {who}", request.http.method(), request.http.target());
                    self.tell(at, &name, &told);
                }
                Action::Deliver { client, delivery, .. } => {
                    let name = self.clients.get(&client).cloned().unwrap_or_default();
                    let kind = match delivery.kind {
                        DeliveryKind::Send => "SEND".to_owned(),
                        DeliveryKind::Subscribe { id } => format!("SUBSCRIBE {id}"),
                        DeliveryKind::Text => "text".to_owned(),
                        DeliveryKind::Binary => "binary".to_owned(),
                    };
                    let who = delivery.principal.map_or_else(|| "nobody".to_owned(), |who| format!("{who:?}"));
                    let told = format!("deliver {kind} {} of {who} {}", delivery.destination, quoted(&delivery.body));
                    self.tell(at, &name, &told);
                }
                Action::Joined { client, token, principal, .. } => {
                    let name = self.peers.iter().find(|(_, peer)| peer.token == token).map(|(name, _)| name.clone());
                    let name = name.expect("a peer");
                    self.clients.insert(client, name.clone());
                    let who = principal.map_or_else(|| "nobody".to_owned(), |who| format!("{who:?}"));
                    self.tell(at, &name, &format!("joined as {who}"));
                }
                Action::Left { client, cause, .. } => {
                    let name = self.clients.remove(&client).unwrap_or_default();
                    self.tell(at, &name, &format!("left: {}", cause.as_str()));
                }
                Action::Ended(end) => {
                    let session = String::from_utf8_lossy(&end.session).into_owned();
                    let told = format!(
                        "< {at}session {session} of {:?} ended: {}, found by {}, {} ms late, {} sockets",
                        end.principal.as_deref().unwrap_or_default(),
                        end.cause.as_str(),
                        end.detector.as_str(),
                        end.late_ms,
                        end.sockets
                    );
                    self.line(&told);
                }
                other => panic!("{}: {other:?}", self.name),
            }
        }
    }

    fn name_of(&self, socket: SocketId) -> String {
        self.peers.iter().find(|(_, peer)| peer.socket == socket).map(|(name, _)| name.clone()).expect("a peer")
    }

    fn tell(&mut self, at: &str, name: &str, what: &str) {
        self.line(&format!("< {at}{name} {what}"));
    }

    /// Takes what the hub has to write and shows it: an answer line by line, frames one by one.
    fn write(&mut self, name: &str, at: &str) {
        let Some(peer) = self.peers.get(name) else { return };
        let (socket, room) = (peer.socket, peer.room);
        let waiting: Vec<u8> = self.hub.output(socket).flatten().copied().collect();
        let len = waiting.len().min(room.unwrap_or(usize::MAX));
        if let Some(peer) = self.peers.get_mut(name) {
            peer.room = room.map(|room| room - len);
        }
        self.show(name, at, &waiting[..len]);
        if !waiting.is_empty() {
            self.hub.handle(self.now(), Event::Sent { socket, len });
        }
    }

    fn show(&mut self, name: &str, at: &str, new: &[u8]) {
        let Some(peer) = self.peers.get_mut(name) else { return };
        let mut bytes = std::mem::take(&mut peer.begun);
        bytes.extend_from_slice(new);
        let mut shown = Vec::new();
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            if peer.upgraded {
                let Some((frame, behind)) = wire::split(rest) else { break };
                shown.push(frame_line(&frame));
                rest = behind;
            } else {
                let Some((answer, behind)) = wire::Answer::parse(rest) else { break };
                let head = &rest[..rest.len() - behind.len() - answer.body.len()];
                shown.extend(String::from_utf8_lossy(head).trim_end().split("\r\n").map(str::to_owned));
                if !answer.body.is_empty() {
                    shown.push(quoted(&answer.body));
                }
                peer.upgraded = answer.status == 101;
                if let Some(cookie) = answer.header("set-cookie").and_then(|cookie| cookie.split(';').next()) {
                    cookie.clone_into(&mut peer.cookie);
                }
                rest = behind;
            }
        }
        if !rest.is_empty() {
            shown.push(format!("{} bytes of more", rest.len()));
        }
        peer.begun = rest.to_vec();
        for line in shown {
            self.tell(at, name, &line);
        }
    }
}

fn now(ms: u64) -> Now {
    Now { mono: Instant::from_millis(ms), wall: UnixMillis::from_millis(1_704_067_200_000 + ms) }
}

fn set(config: &mut Config, line: &str) -> Option<()> {
    match *words(line).iter().map(String::as_str).collect::<Vec<_>>() {
        ["timeout", time] => config.session.timeout_ms = time.strip_suffix('s')?.parse::<u64>().ok()? * 1_000,
        ["out_bytes", bytes] => config.limits.out_bytes = bytes.parse().ok()?,
        ["rules", "sample"] => config.rules = Rules::sample(),
        ["heart_beat", pair] => {
            let (out, inward) = pair.split_once(',')?;
            config.heart_beat_ms = (out.parse().ok()?, inward.parse().ok()?);
        }
        _ => return None,
    }
    Some(())
}

fn message(body: &str) -> Message<'_> {
    Message { content_type: Some("text/plain"), headers: &[], body: body.as_bytes() }
}

fn frame_line(frame: &wire::Frame) -> String {
    let mut line = String::new();
    match (frame.first, frame.close()) {
        (0x88, Some((code, reason))) => write!(line, "close {code} {reason:?}"),
        (0x88, None) => write!(line, "close"),
        (first, _) => {
            let kind = match first {
                0x81 => "text",
                0x82 => "binary",
                0x89 => "ping",
                _ => "pong",
            };
            write!(line, "{kind} {}", quoted(&frame.payload))
        }
    }
    .expect("INVARIANT: a String takes every write");
    line
}

/// Bytes in quotes, as Rust writes them.
fn quoted(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => format!("{text:?}"),
        Err(_) => format!("\"{}\"", bytes.escape_ascii()),
    }
}

/// Words apart by spaces; what is in quotes is one, without them.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut rest = line.trim();
    while !rest.is_empty() {
        let quotes = rest.strip_prefix('"').and_then(|text| {
            let end = text
                .match_indices('"')
                .map(|(at, _)| at)
                .find(|at| !text[..*at].ends_with('\\') || text[..*at].ends_with("\\\\"))?;
            Some(text.split_at(end))
        });
        let (word, behind) = match quotes {
            Some((word, behind)) => (word.to_owned(), &behind[1..]),
            None => {
                let end = rest.find(' ').unwrap_or(rest.len());
                (rest[..end].to_owned(), &rest[end..])
            }
        };
        words.push(word);
        rest = behind.trim_start();
    }
    words
}

/// The bytes that a text with escapes stands for.
fn bytes(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text;
    while let Some((plain, escape)) = rest.split_once('\\') {
        bytes.extend_from_slice(plain.as_bytes());
        let (byte, len) = match escape.as_bytes() {
            [b'n', ..] => (b'\n', 1),
            [b'r', ..] => (b'\r', 1),
            [b't', ..] => (b'\t', 1),
            [b'0', ..] => (0, 1),
            [b'"', ..] => (b'"', 1),
            [b'\\', ..] => (b'\\', 1),
            [b'x', ..] => (u8::from_str_radix(&escape[1..3], 16).unwrap_or_else(|_| panic!("{text}")), 3),
            _ => panic!("an unknown escape in {text}"),
        };
        bytes.push(byte);
        rest = &escape[len..];
    }
    bytes.extend_from_slice(rest.as_bytes());
    bytes
}
