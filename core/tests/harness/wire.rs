//! What is on the wire, written and read independently of the code under test.

use std::fmt;

/// The key that test clients mask with: not zero, so that unmasking is seen to happen.
const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// A masked frame with this first byte (FIN, reserved bits, opcode).
pub fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    frame_with(first, payload, Some(KEY))
}

pub fn frame_with(first: u8, payload: &[u8], key: Option<[u8; 4]>) -> Vec<u8> {
    let mut bytes = head(first, payload.len() as u64, key.is_some());
    let Some(key) = key else { return [bytes, payload.to_vec()].concat() };
    bytes.extend_from_slice(&key);
    bytes.extend(payload.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key));
    bytes
}

/// A frame's head without its key: the length in its shortest form.
pub fn head(first: u8, len: u64, masked: bool) -> Vec<u8> {
    let bit = if masked { 0x80 } else { 0 };
    match len {
        0..126 => vec![first, bit | len as u8],
        126..0x1_0000 => [&[first, bit | 126][..], &(len as u16).to_be_bytes()].concat(),
        _ => [&[first, bit | 127][..], &len.to_be_bytes()].concat(),
    }
}

pub fn text(payload: impl AsRef<[u8]>) -> Vec<u8> {
    frame(0x81, payload.as_ref())
}

pub fn binary(payload: &[u8]) -> Vec<u8> {
    frame(0x82, payload)
}

pub fn ping(payload: &[u8]) -> Vec<u8> {
    frame(0x89, payload)
}

pub fn pong(payload: &[u8]) -> Vec<u8> {
    frame(0x8a, payload)
}

pub fn close(code: u16, reason: &str) -> Vec<u8> {
    frame(0x88, &[&code.to_be_bytes()[..], reason.as_bytes()].concat())
}

/// A frame that the server sent.
#[derive(Clone, PartialEq, Eq)]
pub struct Frame {
    pub first: u8,
    pub payload: Vec<u8>,
}

impl Frame {
    /// The code and reason of a Close frame that has them.
    pub fn close(&self) -> Option<(u16, String)> {
        match (self.first, &self.payload[..]) {
            (0x88, [high, low, reason @ ..]) => {
                let reason = std::str::from_utf8(reason).expect("a reason is UTF-8").to_owned();
                Some((u16::from_be_bytes([*high, *low]), reason))
            }
            _ => None,
        }
    }

    pub fn is_message(&self) -> bool {
        matches!(self.first, 0x81 | 0x82)
    }
}

impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02x} {}", self.first, self.payload.escape_ascii())
    }
}

/// Whole frames as a server has to send them (F23): not masked, no reserved bit, one piece, nothing behind a Close.
pub fn frames(mut bytes: &[u8]) -> Vec<Frame> {
    let mut frames: Vec<Frame> = Vec::new();
    while !bytes.is_empty() {
        let (frame, rest) = split(bytes).unwrap_or_else(|| panic!("not a whole frame: {}", bytes.escape_ascii()));
        assert!(frames.last().is_none_or(|last| last.first != 0x88), "{frame:?} behind a Close");
        assert!(matches!(frame.first, 0x81 | 0x82 | 0x88 | 0x89 | 0x8a), "{frame:?}");
        assert!(frame.first < 0x88 || frame.payload.len() <= 125, "{frame:?}");
        frames.push(frame);
        bytes = rest;
    }
    frames
}

/// The first frame of some bytes, if it is whole, and what follows it.
pub fn split(bytes: &[u8]) -> Option<(Frame, &[u8])> {
    let (&first, &second) = (bytes.first()?, bytes.get(1)?);
    assert_eq!(second & 0x80, 0, "a server does not mask");
    let (len, at) = match second {
        126 => (u64::from(u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?)), 4),
        127 => (u64::from_be_bytes(bytes.get(2..10)?.try_into().ok()?), 10),
        len => (u64::from(len), 2),
    };
    assert_eq!(head(first, len, false), bytes[..at], "the shortest form of the length");
    let end = at + usize::try_from(len).ok()?;
    Some((Frame { first, payload: bytes.get(at..end)?.to_vec() }, &bytes[end..]))
}

/// A STOMP frame as a client writes it; headers are written as they are.
pub fn stomp(command: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut bytes = format!("{command}\n").into_bytes();
    for (name, value) in headers {
        bytes.extend_from_slice(format!("{name}:{value}\n").as_bytes());
    }
    bytes.push(b'\n');
    bytes.extend_from_slice(body);
    bytes.push(0);
    bytes
}

/// A STOMP frame that the server sent, its headers as they are on the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stomp {
    pub command: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Stomp {
    /// `None`: a heart-beat.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        if bytes == b"\n" {
            return None;
        }
        let end = bytes.windows(2).position(|two| two == b"\n\n").expect("a blank line");
        let head = std::str::from_utf8(&bytes[..end]).expect("a head is UTF-8");
        let mut lines = head.split('\n');
        let command = lines.next().expect("a command").to_owned();
        let headers: Vec<_> = lines
            .map(|line| line.split_once(':').expect("a colon"))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        let (nul, body) = bytes[end + 2..].split_last().expect("a NUL");
        assert_eq!(*nul, 0, "a frame ends with NUL");
        Some(Self { command, headers, body: body.to_vec() })
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    /// What an ERROR says.
    pub fn message(&self) -> &str {
        self.header("message").unwrap_or_default()
    }
}

/// An HTTP answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Answer {
    /// The first answer of some bytes, and what follows it.
    pub fn parse(bytes: &[u8]) -> Option<(Self, &[u8])> {
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
        let head = std::str::from_utf8(&bytes[..end]).expect("a head in ASCII");
        let mut lines = head.split("\r\n");
        let status = lines.next()?.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok()?;
        let headers: Vec<(String, String)> = lines
            .map(|line| line.split_once(": ").unwrap_or_else(|| panic!("no header: {line:?}")))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
            .collect();
        let mut answer = Self { status, headers, body: Vec::new() };
        let rest = &bytes[end + 4..];
        let len = answer.header("content-length").map_or(0, |len| len.parse().expect("a number"));
        answer.body = rest.get(..len)?.to_vec();
        Some((answer, &rest[len..]))
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    /// Whether it says that the connection ends with it.
    pub fn closes(&self) -> bool {
        self.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"))
    }
}
