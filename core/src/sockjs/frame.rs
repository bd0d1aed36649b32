//! Frames.

use alloc::vec::Vec;

use super::json::push_string;

/// The first frame to each client.
pub const OPEN: &[u8] = b"o";
/// A frame that only says that the server is there.
pub const HEART_BEAT: &[u8] = b"h";
/// What a receiver is told while another one waits: code 2010.
pub const STILL_OPEN: &[u8] = b"c[2010,\"Another connection still open\"]";
/// How a channel ends whose receiver vanished: code 1002.
pub const CONNECTION_INTERRUPTED: &[u8] = b"c[1002,\"Connection interrupted\"]";

/// Appends the last frame to a client: `c[code,"reason"]`.
pub fn push_close(out: &mut Vec<u8>, code: u16, reason: &str) {
    out.extend_from_slice(b"c[");
    let mut digits = [b'0'; 5];
    let (mut at, mut left) = (digits.len(), code);
    loop {
        at -= 1;
        digits[at] += (left % 10) as u8;
        left /= 10;
        if left == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
    out.push(b',');
    push_string(out, reason.as_bytes());
    out.push(b']');
}

/// Appends one frame of any number of messages, each a JSON string such as [`push_string`] writes: `a["one","two"]`.
pub fn push_messages<M: AsRef<[u8]>>(out: &mut Vec<u8>, messages: impl IntoIterator<Item = M>) {
    out.extend_from_slice(b"a[");
    for (i, message) in messages.into_iter().enumerate() {
        if i > 0 {
            out.push(b',');
        }
        out.extend_from_slice(message.as_ref());
    }
    out.push(b']');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_frames() {
        let mut out = Vec::new();
        push_close(&mut out, 3000, "Go \"away\"!");
        assert_eq!(out, br#"c[3000,"Go \"away\"!"]"#);
        for (code, text) in [(0, "c[0,\"\"]"), (7, "c[7,\"\"]"), (65_535, "c[65535,\"\"]")] {
            out.clear();
            push_close(&mut out, code, "");
            assert_eq!(out, text.as_bytes());
        }
        out.clear();
        push_messages(&mut out, [&b"\"a\""[..], b"\"b\""]);
        assert_eq!(out, br#"a["a","b"]"#);
        for (constant, code, reason) in [
            (STILL_OPEN, 2010, "Another connection still open"),
            (CONNECTION_INTERRUPTED, 1002, "Connection interrupted"),
        ] {
            out.clear();
            push_close(&mut out, code, reason);
            assert_eq!(out, constant);
        }
    }
}
