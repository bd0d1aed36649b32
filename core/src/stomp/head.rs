//! A frame's head, from its command to its blank line, read and checked in one go.

use core::str;

use alloc::string::String;

use super::{Command, Malformed, Version, escape};

/// Which side's frames are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// A server reads what clients say.
    Server,
    /// A client reads what a server says.
    Client,
}

/// A head that keeps all rules.
#[derive(Debug, Clone, Copy)]
pub(super) struct Head<'a> {
    pub(super) command: Command,
    /// The header lines with their line ends, without command and blank line.
    pub(super) lines: &'a str,
    /// `content-length` in bytes; above `u32::MAX` it is `u32::MAX`.
    pub(super) content_length: Option<u32>,
}

impl<'a> Head<'a> {
    /// Reads a whole head: lines that end in LF or CRLF, the last of them blank. Line ends, NULs and sizes were seen to before.
    pub(super) fn parse(bytes: &'a [u8], role: Role, version: Version) -> Result<Self, Malformed> {
        let (word, lines) = split(bytes);
        let command = Command::parse(word).ok_or(Malformed::CommandUnknown)?;
        if command.is_server() != (role == Role::Client) {
            return Err(Malformed::CommandNotYours);
        }
        let lines = simdutf8::basic::from_utf8(lines).map_err(|_| Malformed::NotUtf8)?;
        let escapes = command.escapes(version);
        let mut known = Known::default();
        for line in (Lines { rest: lines }) {
            let (name, value) = line.split_once(':').ok_or(Malformed::HeaderWithoutColon)?;
            if name.is_empty() {
                return Err(Malformed::HeaderWithoutName);
            }
            escape::check(escapes, name)?;
            escape::check(escapes, value)?;
            known.note(name, value);
        }
        let content_length = known.content_length.map(length).transpose()?;
        if command == Command::Send && known.content_type.is_some_and(|kind| !kind.contains('/')) {
            return Err(Malformed::ContentTypeInvalid);
        }
        known.require(command, version)?;
        Ok(Self { command, lines, content_length })
    }
}

/// The header lines of a head that [`Head::parse`] took.
pub(super) fn checked_lines(head: &[u8]) -> &str {
    str::from_utf8(split(head).1).expect("the head was UTF-8 when it became whole")
}

/// The value of `receipt` in a head that broke a rule, as far as it came: an ERROR names the frame it answers (STOMP 1.2, *ERROR*).
pub(super) fn receipt(head: &[u8], version: Version) -> Option<String> {
    let whole = &head[..=memchr::memrchr(b'\n', head)?];
    let (word, _) = split(whole);
    let escapes = Command::parse(word).map_or(version, |command| command.escapes(version));
    let raw = whole.split(|&byte| byte == b'\n').skip(1).find_map(|line| line.strip_prefix(b"receipt:"))?;
    let raw = str::from_utf8(raw.strip_suffix(b"\r").unwrap_or(raw)).ok()?;
    escape::check(escapes, raw).ok()?;
    Some(escape::unescape(escapes, raw).into_owned())
}

/// Lines without their line ends, up to a blank one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lines<'a> {
    pub(super) rest: &'a str,
}

impl<'a> Iterator for Lines<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let (line, rest) = self.rest.split_at_checked(memchr::memchr(b'\n', self.rest.as_bytes())?)?;
        self.rest = rest.get(1..)?;
        Some(line.strip_suffix('\r').unwrap_or(line)).filter(|line| !line.is_empty())
    }
}

/// Headers that the rules ask about; of each the first counts (S06). None of these names can be written with an escape.
#[derive(Default)]
struct Known<'a> {
    content_length: Option<&'a str>,
    content_type: Option<&'a str>,
    destination: bool,
    id: bool,
    message_id: bool,
    subscription: bool,
    transaction: bool,
    receipt_id: bool,
}

impl<'a> Known<'a> {
    fn note(&mut self, name: &str, value: &'a str) {
        match name {
            "content-length" => _ = self.content_length.get_or_insert(value),
            "content-type" => _ = self.content_type.get_or_insert(value),
            "destination" => self.destination = true,
            "id" => self.id = true,
            "message-id" => self.message_id = true,
            "subscription" => self.subscription = true,
            "transaction" => self.transaction = true,
            "receipt-id" => self.receipt_id = true,
            _ => {}
        }
    }

    /// STOMP 1.0 to 1.2, *Client Frames* and *Server Frames*.
    fn require(&self, command: Command, version: Version) -> Result<(), Malformed> {
        let since_11 = version >= Version::V1_1;
        match command {
            Command::Send => need(self.destination, Malformed::DestinationMissing),
            Command::Subscribe => {
                need(self.destination, Malformed::DestinationMissing)?;
                need(self.id || !since_11, Malformed::IdMissing)
            }
            Command::Unsubscribe => need(self.id || (self.destination && !since_11), Malformed::IdMissing),
            Command::Ack | Command::Nack if version == Version::V1_2 => need(self.id, Malformed::IdMissing),
            Command::Ack | Command::Nack => {
                need(self.message_id, Malformed::MessageIdMissing)?;
                need(self.subscription || !since_11, Malformed::SubscriptionMissing)
            }
            Command::Begin | Command::Commit | Command::Abort => need(self.transaction, Malformed::TransactionMissing),
            Command::Message => {
                need(self.destination, Malformed::DestinationMissing)?;
                need(self.message_id, Malformed::MessageIdMissing)?;
                need(self.subscription || !since_11, Malformed::SubscriptionMissing)
            }
            Command::Receipt => need(self.receipt_id, Malformed::ReceiptIdMissing),
            Command::Connect | Command::Stomp | Command::Disconnect | Command::Connected | Command::Error => Ok(()),
        }
    }
}

fn need(present: bool, missing: Malformed) -> Result<(), Malformed> {
    if present { Ok(()) } else { Err(missing) }
}

/// The command's word, and the lines behind it.
fn split(head: &[u8]) -> (&[u8], &[u8]) {
    let at = memchr::memchr(b'\n', head).unwrap_or(head.len());
    let word = &head[..at];
    (word.strip_suffix(b"\r").unwrap_or(word), head.get(at + 1..).unwrap_or_default())
}

fn length(digits: &str) -> Result<u32, Malformed> {
    if digits.is_empty() {
        return Err(Malformed::ContentLengthInvalid);
    }
    digits.bytes().try_fold(0_u32, |sum, byte| match byte {
        b'0'..=b'9' => Ok(sum.saturating_mul(10).saturating_add(u32::from(byte - b'0'))),
        _ => Err(Malformed::ContentLengthInvalid),
    })
}
