//! [`Encoder`]: frames to bytes.

use bytes::{BufMut, BytesMut};

use super::{Command, HeartBeat, Version, escape};

/// A heart-beat on the wire.
pub const HEART_BEAT: &[u8] = b"\n";

/// Writes frames for a peer of one version. A header that this version has no way to write is left out: no CR, LF or NUL ever passes raw.
///
/// Every method appends one whole frame, and allocates nothing but the room it needs in `out`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Encoder {
    version: Version,
}

impl Encoder {
    /// For a peer of this version. An ERROR may have to go out before there is one: 1.2 is the choice then.
    pub const fn new(version: Version) -> Self {
        Self { version }
    }

    /// The version that is written.
    pub const fn version(self) -> Version {
        self.version
    }

    /// CONNECTED: the headers `version`, `heart-beat` (this side's own words) and, if there is one, `user-name`.
    pub fn connected(self, out: &mut BytesMut, heart_beat: HeartBeat, user_name: Option<&str>) {
        out.reserve(64 + user_name.map_or(0, str::len));
        start(out, Command::Connected);
        header(Version::V1_0, out, "version", self.version.as_str());
        out.put_slice(b"heart-beat:");
        decimal(out, heart_beat.send_ms as usize);
        out.put_u8(b',');
        decimal(out, heart_beat.receive_ms as usize);
        out.put_u8(b'\n');
        if let Some(name) = user_name {
            header(Version::V1_0, out, "user-name", name);
        }
        finish(out, &[]);
    }

    /// RECEIPT for the frame that asked with this `receipt`.
    pub fn receipt(self, out: &mut BytesMut, id: &str) {
        out.reserve(32 + id.len());
        start(out, Command::Receipt);
        header(self.version, out, "receipt-id", id);
        finish(out, &[]);
    }

    /// ERROR without a body: `message`, `receipt-id` of the frame it answers, and, if `versions`, the ones known here (STOMP 1.2,
    /// *Protocol Negotiation*).
    pub fn error(self, out: &mut BytesMut, message: &str, receipt_id: Option<&str>, versions: bool) {
        out.reserve(96 + message.len() + receipt_id.map_or(0, str::len));
        start(out, Command::Error);
        header(self.version, out, "message", message);
        if let Some(id) = receipt_id {
            header(self.version, out, "receipt-id", id);
        }
        if versions {
            header(self.version, out, "version", Version::SUPPORTED);
        }
        out.put_slice(b"content-length:0\n");
        finish(out, &[]);
    }

    /// Any frame, of a client or a server: these headers in this order, and then `content-length` if there is a body. What the command needs is
    /// the caller's to know, and so is that `content-length` is not among `headers`.
    ///
    /// ```
    /// use bytes::BytesMut;
    /// use tethered_core::stomp::{Command, Encoder, Version};
    ///
    /// let mut out = BytesMut::new();
    /// Encoder::new(Version::V1_2).frame(&mut out, Command::Send, [("destination", "/topic/a"), ("when", "12:30")], b"hello");
    /// assert_eq!(&out[..], b"SEND\ndestination:/topic/a\nwhen:12\\c30\ncontent-length:5\n\nhello\0");
    /// ```
    pub fn frame<N: AsRef<str>, V: AsRef<str>>(
        self,
        out: &mut BytesMut,
        command: Command,
        headers: impl IntoIterator<Item = (N, V)>,
        body: &[u8],
    ) {
        start(out, command);
        let escapes = command.escapes(self.version);
        for (name, value) in headers {
            header(escapes, out, name.as_ref(), value.as_ref());
        }
        if !body.is_empty() {
            content_length(out, body);
        }
        finish(out, body);
    }

    /// `subscription:<id>` as a line: what goes between the two halves of an [`EncodedMessage`](super::EncodedMessage).
    pub fn subscription(self, out: &mut BytesMut, id: &str) {
        header(self.version, out, "subscription", id);
    }
}

/// The command's line.
pub(super) fn start(out: &mut BytesMut, command: Command) {
    out.put_slice(command.as_str().as_bytes());
    out.put_u8(b'\n');
}

/// A header's line, unless the version cannot write it (S19).
pub(super) fn header(escapes: Version, out: &mut BytesMut, name: &str, value: &str) {
    if escape::writable(escapes, name, value) {
        escape::write(escapes, out, name);
        out.put_u8(b':');
        escape::write(escapes, out, value);
        out.put_u8(b'\n');
    }
}

pub(super) fn content_length(out: &mut BytesMut, body: &[u8]) {
    out.put_slice(b"content-length:");
    decimal(out, body.len());
    out.put_u8(b'\n');
}

/// Blank line, body and NUL.
pub(super) fn finish(out: &mut BytesMut, body: &[u8]) {
    out.reserve(body.len() + 2);
    out.put_u8(b'\n');
    out.put_slice(body);
    out.put_u8(0);
}

fn decimal(out: &mut BytesMut, number: usize) {
    let mut digits = [b'0'; 20];
    let (mut at, mut left) = (digits.len(), number);
    loop {
        at -= 1;
        digits[at] += (left % 10) as u8;
        left /= 10;
        if left == 0 {
            break out.put_slice(&digits[at..]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(write: impl FnOnce(&mut BytesMut)) -> BytesMut {
        let mut out = BytesMut::new();
        write(&mut out);
        out
    }

    #[test]
    fn connected_as_the_reference_writes_it() {
        let none = HeartBeat::NONE;
        let beat = HeartBeat { send_ms: 10_000, receive_ms: u32::MAX };
        let v12 = Encoder::new(Version::V1_2);
        assert_eq!(
            bytes(|out| v12.connected(out, none, Some("rob"))),
            "CONNECTED\nversion:1.2\nheart-beat:0,0\nuser-name:rob\n\n\0"
        );
        assert_eq!(
            bytes(|out| Encoder::new(Version::V1_0).connected(out, beat, None)),
            "CONNECTED\nversion:1.0\nheart-beat:10000,4294967295\n\n\0"
        );
    }

    #[test]
    fn s19_a_user_name_with_a_line_end_is_left_out_and_nothing_in_connected_is_escaped() {
        let v12 = Encoder::new(Version::V1_2);
        for name in ["a\nadmin:yes", "a\rb", "a\0b"] {
            let out = bytes(|out| v12.connected(out, HeartBeat::NONE, Some(name)));
            assert_eq!(out, "CONNECTED\nversion:1.2\nheart-beat:0,0\n\n\0", "{name:?}");
        }
        let out = bytes(|out| v12.connected(out, HeartBeat::NONE, Some("a:b\\c")));
        assert_eq!(out, "CONNECTED\nversion:1.2\nheart-beat:0,0\nuser-name:a:b\\c\n\n\0");
    }

    #[test]
    fn s19_receipt_is_escaped_again() {
        assert_eq!(bytes(|out| Encoder::new(Version::V1_1).receipt(out, "77")), "RECEIPT\nreceipt-id:77\n\n\0");
        assert_eq!(
            bytes(|out| Encoder::new(Version::V1_2).receipt(out, "a:b\\c\nd\r")),
            "RECEIPT\nreceipt-id:a\\cb\\\\c\\nd\\r\n\n\0"
        );
        assert_eq!(bytes(|out| Encoder::new(Version::V1_0).receipt(out, "a:b\\n")), "RECEIPT\nreceipt-id:a:b\\n\n\n\0");
    }

    #[test]
    fn s20_error_with_and_without_receipt() {
        let v12 = Encoder::new(Version::V1_2);
        assert_eq!(
            bytes(|out| v12.error(out, "Session closed.", None, false)),
            "ERROR\nmessage:Session closed.\ncontent-length:0\n\n\0"
        );
        assert_eq!(
            bytes(|out| v12.error(out, "Unknown command", Some("r:7"), false)),
            "ERROR\nmessage:Unknown command\nreceipt-id:r\\c7\ncontent-length:0\n\n\0"
        );
    }

    #[test]
    fn s02_error_that_lists_the_versions() {
        assert_eq!(
            bytes(|out| Encoder::new(Version::V1_2).error(out, "No version in common", None, true)),
            "ERROR\nmessage:No version in common\nversion:1.0,1.1,1.2\ncontent-length:0\n\n\0"
        );
    }

    #[test]
    fn frames_of_a_client() {
        let v12 = Encoder::new(Version::V1_2);
        let connect =
            bytes(|out| v12.frame(out, Command::Connect, [("accept-version", "1.0,1.2"), ("passcode", "a:b\\")], b""));
        assert_eq!(connect, "CONNECT\naccept-version:1.0,1.2\npasscode:a:b\\\n\n\0");
        let send = bytes(|out| v12.frame(out, Command::Send, [("destination", "/app/a:b")], b"x\0y"));
        assert_eq!(&send[..], b"SEND\ndestination:/app/a\\cb\ncontent-length:3\n\nx\0y\0");
    }

    #[test]
    fn numbers() {
        for (number, text) in [(0, "0"), (9, "9"), (10, "10"), (65_536, "65536"), (u32::MAX as usize, "4294967295")] {
            assert_eq!(bytes(|out| decimal(out, number)), text);
        }
    }
}
