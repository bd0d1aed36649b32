//! Connections whose answers are read in the background, so that what has come can be looked at, at any time.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tethered_core::ws::{Opcode, write_masked_frame};

use crate::common::PATIENCE;
use crate::common::web::now;

/// An answer as far as it has come.
#[derive(Debug, Clone, Default)]
pub(crate) struct Answer {
    /// The status line and the header lines; empty until they are whole.
    pub(crate) head: String,
    /// The body without its framing.
    pub(crate) body: Vec<u8>,
    /// Nothing more belongs to it.
    pub(crate) ended: bool,
}

/// A request and its answer.
pub(crate) struct Exchange {
    stream: TcpStream,
    answer: Arc<Mutex<Answer>>,
}

impl Exchange {
    /// Sends the request.
    pub(crate) fn begin(server: SocketAddr, request: &[u8]) -> Self {
        let mut stream = TcpStream::connect(server).expect("somebody listens");
        stream.write_all(request).expect("the server reads");
        let answer = Arc::new(Mutex::new(Answer::default()));
        let (mut reading, kept) = (stream.try_clone().expect("a descriptor is free"), answer.clone());
        std::thread::spawn(move || {
            let (mut all, mut buffer) = (Vec::new(), [0; 4_096]);
            loop {
                let over = match reading.read(&mut buffer) {
                    Ok(0) | Err(_) => true,
                    Ok(len) => {
                        all.extend_from_slice(&buffer[..len]);
                        false
                    }
                };
                let mut answer = parse(&all);
                answer.ended |= over;
                let ended = answer.ended;
                *kept.lock().expect("no panic inside") = answer;
                if ended {
                    break;
                }
            }
        });
        Self { stream, answer }
    }

    /// What has come by now.
    pub(crate) fn answer(&self) -> Answer {
        self.answer.lock().expect("no panic inside").clone()
    }

    /// Waits until this holds of what has come, or for so long; what has come then.
    pub(crate) fn until(&self, patience: Duration, mut holds: impl FnMut(&Answer) -> bool) -> Answer {
        let end = now() + patience;
        loop {
            let answer = self.answer();
            if holds(&answer) || now() >= end {
                return answer;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// The whole answer.
    pub(crate) fn whole(&self) -> Answer {
        self.until(PATIENCE, |answer| answer.ended)
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        let _ = self.stream.shutdown(Shutdown::Both);
    }
}

/// What an answer is that began with these bytes.
fn parse(bytes: &[u8]) -> Answer {
    let Some(at) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else { return Answer::default() };
    let head = String::from_utf8_lossy(&bytes[..at]).into_owned();
    let rest = &bytes[at + 4..];
    let is = |line: &str| head.lines().any(|each| each.eq_ignore_ascii_case(line));
    let (body, ended) = if is("transfer-encoding: chunked") {
        dechunk(rest)
    } else {
        let length = header(&head, "content-length").and_then(|value| value.parse().ok());
        let status = head.split(' ').nth(1);
        match length {
            _ if matches!(status, Some("204" | "304")) => (Vec::new(), true),
            Some(length) if rest.len() >= length => (rest[..length].to_vec(), true),
            _ => (rest.to_vec(), false),
        }
    };
    Answer { head, body, ended }
}

/// The chunks as far as they are there, and whether the last one is.
fn dechunk(mut rest: &[u8]) -> (Vec<u8>, bool) {
    let mut body = Vec::new();
    loop {
        let Some(at) = rest.windows(2).position(|two| two == b"\r\n") else { return (body, false) };
        let line = std::str::from_utf8(&rest[..at]).expect("a chunk's size is ASCII");
        let len = usize::from_str_radix(line, 16).expect("a chunk's size is a number");
        rest = &rest[at + 2..];
        if len == 0 {
            return (body, true);
        }
        if rest.len() < len + 2 {
            return (body, false);
        }
        body.extend_from_slice(&rest[..len]);
        rest = &rest[len + 2..];
    }
}

/// The value of a header line.
pub(crate) fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().find_map(|line| {
        let (found, value) = line.split_once(':')?;
        found.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

/// A WebSocket, and what has come over it.
pub(crate) struct Socket {
    stream: TcpStream,
    seen: Arc<Mutex<Vec<String>>>,
    /// How much of that was looked at.
    looked: usize,
}

impl Socket {
    /// Shakes hands; the status where that is refused.
    pub(crate) fn open(server: SocketAddr, request: &[u8]) -> Result<Self, u16> {
        let mut stream = TcpStream::connect(server).expect("somebody listens");
        stream.write_all(request).expect("the server reads");
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).expect("the server answers");
            head.push(byte[0]);
        }
        let head = String::from_utf8_lossy(&head).into_owned();
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
        if status != 101 {
            return Err(status);
        }
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (mut reading, kept) = (stream.try_clone().expect("a descriptor is free"), seen.clone());
        std::thread::spawn(move || {
            loop {
                let frame = read_frame(&mut reading);
                let (what, over) = match &frame {
                    Some((1, text)) => (format!("text {}", String::from_utf8_lossy(text)), false),
                    Some((8, payload)) => (format!("close {}", close(payload)), false),
                    Some((9, payload)) => {
                        let mut bytes = Vec::new();
                        write_masked_frame(&mut bytes, true, Opcode::Pong, [1, 2, 3, 4], payload);
                        let _ = reading.write_all(&bytes);
                        continue;
                    }
                    Some((10, payload)) => (format!("pong {}", String::from_utf8_lossy(payload)), false),
                    Some((opcode, _)) => (format!("opcode {opcode}"), false),
                    None => ("end of stream".to_owned(), true),
                };
                // A close is answered, so that the server need not wait for it.
                if let Some((8, payload)) = &frame {
                    let mut bytes = Vec::new();
                    write_masked_frame(&mut bytes, true, Opcode::Close, [1, 2, 3, 4], payload);
                    let _ = reading.write_all(&bytes);
                }
                kept.lock().expect("no panic inside").push(what);
                if over {
                    break;
                }
            }
        });
        Ok(Self { stream, seen, looked: 0 })
    }

    pub(crate) fn send(&mut self, opcode: Opcode, payload: &[u8]) {
        let mut bytes = Vec::new();
        write_masked_frame(&mut bytes, true, opcode, [1, 2, 3, 4], payload);
        // Where the server has ended it meanwhile, that is seen in what has come.
        let _ = self.stream.write_all(&bytes);
    }

    /// What has come since the last call, at least so much unless it does not come.
    pub(crate) fn look(&mut self, least: usize, patience: Duration) -> Vec<String> {
        let end = now() + patience;
        loop {
            let seen = self.seen.lock().expect("no panic inside").clone();
            if seen.len() >= self.looked + least || now() >= end {
                let new = seen[self.looked..].to_vec();
                self.looked = seen.len();
                return new;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        let _ = self.stream.shutdown(Shutdown::Both);
    }
}

fn close(payload: &[u8]) -> String {
    match payload {
        [high, low, reason @ ..] => {
            format!("{} {}", u16::from_be_bytes([*high, *low]), String::from_utf8_lossy(reason))
        }
        _ => "without a code".to_owned(),
    }
}

fn read_frame(stream: &mut TcpStream) -> Option<(u8, Vec<u8>)> {
    let mut head = [0; 2];
    stream.read_exact(&mut head).ok()?;
    let len = match head[1] {
        126 => {
            let mut len = [0; 2];
            stream.read_exact(&mut len).ok()?;
            usize::from(u16::from_be_bytes(len))
        }
        len => usize::from(len),
    };
    let mut payload = vec![0; len];
    stream.read_exact(&mut payload).ok()?;
    Some((head[0] & 0x0F, payload))
}
