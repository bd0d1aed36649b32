//! The end of a connection: RFC 6455 sections 5.5.1 and 7.4.

use core::ops::Deref;

use super::Violation;

/// Close codes that this crate sends or names (section 7.4.1 and the IANA registry).
pub mod code {
    /// The purpose is fulfilled.
    pub const NORMAL: u16 = 1000;
    /// A server goes down or a page is left.
    pub const GOING_AWAY: u16 = 1001;
    /// The peer broke the protocol.
    pub const PROTOCOL: u16 = 1002;
    /// A kind of data that is not taken here.
    pub const UNSUPPORTED: u16 = 1003;
    /// Stands for a Close without a code; never sent.
    pub const NO_STATUS: u16 = 1005;
    /// Stands for a connection lost without a Close; never sent.
    pub const ABNORMAL: u16 = 1006;
    /// Data that is not what its type says, such as text that is not UTF-8.
    pub const INVALID_DATA: u16 = 1007;
    /// The peer broke a rule of ours.
    pub const POLICY: u16 = 1008;
    /// A message over the limit.
    pub const TOO_BIG: u16 = 1009;
    /// The server failed.
    pub const INTERNAL: u16 = 1011;
    /// The server restarts; come back.
    pub const RESTART: u16 = 1012;
    /// The server is overloaded; come back later.
    pub const TRY_LATER: u16 = 1013;
}

/// What a Close said that had a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CloseFrame<'a> {
    /// Why; one of [`is_close_code`].
    pub code: u16,
    /// The reason in words, at most 123 bytes; often empty.
    pub reason: &'a str,
}

/// The body of a Close to be sent: at most 125 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClosePayload {
    bytes: [u8; 125],
    len: u8,
}

/// Whether a code may stand in a Close: 1000 to 1003, 1007 to 1014 (registered) and 3000 to 4999 (for libraries and
/// applications), by section 7.4.
pub const fn is_close_code(code: u16) -> bool {
    matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999)
}

/// The body of a Close with this code and reason. A reason over [`REASON_BYTES`] is cut there, at a character.
/// A code that must not be sent ([`is_close_code`]), such as [`code::NO_STATUS`], gives an empty body.
pub fn close_payload(code: u16, reason: &str) -> ClosePayload {
    let mut payload = ClosePayload { bytes: [0; 125], len: 0 };
    if is_close_code(code) {
        let reason = &reason.as_bytes()[..reason.floor_char_boundary(REASON_BYTES)];
        payload.bytes[..2].copy_from_slice(&code.to_be_bytes());
        payload.bytes[2..2 + reason.len()].copy_from_slice(reason);
        payload.len = 2 + reason.len() as u8;
    }
    payload
}

/// Most bytes of a reason: what two bytes of code leave of a control frame.
pub const REASON_BYTES: usize = 123;

impl<'a> CloseFrame<'a> {
    /// Reads the body of a Close; `None` for an empty one.
    ///
    /// # Errors
    /// A body of one byte, a code that must not be sent, a reason that is not UTF-8.
    pub fn parse(body: &'a [u8]) -> Result<Option<Self>, Violation> {
        let Some((code, reason)) = body.split_first_chunk() else {
            return if body.is_empty() { Ok(None) } else { Err(Violation::CloseTooShort) };
        };
        let code = u16::from_be_bytes(*code);
        if !is_close_code(code) {
            return Err(Violation::CloseCode);
        }
        let reason = str::from_utf8(reason).map_err(|_| Violation::CloseReasonNotUtf8)?;
        Ok(Some(Self { code, reason }))
    }
}

impl Deref for ClosePayload {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}

impl AsRef<[u8]> for ClosePayload {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::String;

    #[test]
    fn f13_codes_on_the_wire() {
        for code in 0..=u16::MAX {
            let allowed = (1000..=1003).contains(&code)
                || (1007..=1014).contains(&code)
                || (3000..=3999).contains(&code)
                || (4000..=4999).contains(&code);
            let body = code.to_be_bytes();
            let want = if allowed { Ok(Some(CloseFrame { code, reason: "" })) } else { Err(Violation::CloseCode) };
            assert_eq!(CloseFrame::parse(&body), want);
            assert_eq!(close_payload(code, "").is_empty(), !allowed);
        }
        assert_eq!(Violation::CloseCode.code(), 1002);
    }

    #[test]
    fn f13_bodies() {
        assert_eq!(CloseFrame::parse(b""), Ok(None));
        assert_eq!(CloseFrame::parse(b"\x03"), Err(Violation::CloseTooShort));
        assert_eq!(CloseFrame::parse(b"\x03\xe8bye"), Ok(Some(CloseFrame { code: 1000, reason: "bye" })));
        assert_eq!(CloseFrame::parse(b"\x03\xe8\xc3"), Err(Violation::CloseReasonNotUtf8));
        assert_eq!(Violation::CloseTooShort.code(), 1002);
        assert_eq!(Violation::CloseReasonNotUtf8.code(), 1007);
    }

    #[test]
    fn f23_a_reason_is_cut_at_123_bytes_on_a_character() {
        for (reason, kept) in
            [("x".repeat(123), 123), ("x".repeat(124), 123), ("é".repeat(62), 122), ("€".repeat(42), 123)]
        {
            let payload = close_payload(1008, &reason);
            assert_eq!(CloseFrame::parse(&payload), Ok(Some(CloseFrame { code: 1008, reason: &reason[..kept] })));
        }
        for width in 0..4 {
            let reason = String::from("abcd")[..width].to_owned() + &"𝄞".repeat(40);
            let payload = close_payload(4500, &reason);
            assert!(payload.len() <= 125 && payload.len() > 125 - 4);
            let Ok(Some(frame)) = CloseFrame::parse(&payload) else { panic!("the cut is on a character") };
            assert!(reason.starts_with(frame.reason));
        }
    }

    use alloc::borrow::ToOwned;
}
