//! What a peer did wrong.

use super::close::code;

/// A breach of RFC 6455, or of a limit, by the peer. The connection is over: send Close with [`Violation::code`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Violation {
    /// Section 5.1: a client must mask every frame.
    #[error("a frame from a client is not masked")]
    Unmasked,
    /// Section 5.1: a server must not mask.
    #[error("a frame from a server is masked")]
    Masked,
    /// Section 5.2: RSV1 to RSV3 are 0 unless an extension gave them a meaning.
    #[error("a reserved bit is set that no extension uses")]
    ReservedBit,
    /// Section 5.2: opcodes 3 to 7 and 11 to 15 are reserved.
    #[error("the opcode is reserved")]
    ReservedOpcode,
    /// Section 5.5: control frames must not be fragmented.
    #[error("a control frame is fragmented")]
    ControlFragmented,
    /// Section 5.5: control frames have at most 125 payload bytes.
    #[error("a control frame is longer than 125 bytes")]
    ControlTooLong,
    /// Section 5.2: the most significant bit of a 64-bit length is 0.
    #[error("a 64-bit length has its top bit set")]
    LengthTopBit,
    /// Section 5.2: the minimal number of bytes must be used for the length.
    #[error("a length is not written in its shortest form")]
    LengthNotShortest,
    /// Section 5.4: a continuation continues a message.
    #[error("a continuation frame continues nothing")]
    ContinuationOfNothing,
    /// Section 5.4: fragments of two messages must not be interleaved.
    #[error("a new message begins inside an unfinished one")]
    MessageInterrupted,
    /// Sections 5.6 and 8.1: a text message is UTF-8.
    #[error("a text message is not UTF-8")]
    NotUtf8,
    /// Section 5.5.1: the body of a Close is empty or begins with a two-byte code.
    #[error("a close frame has a body of one byte")]
    CloseTooShort,
    /// Section 7.4: the code is reserved, never sent, or out of range.
    #[error("a close frame has a code that must not be sent")]
    CloseCode,
    /// Sections 5.5.1 and 8.1: the reason is UTF-8.
    #[error("the reason in a close frame is not UTF-8")]
    CloseReasonNotUtf8,
    /// Section 10.4: more than [`Limits::frame_bytes`](super::Limits::frame_bytes).
    #[error("a frame is longer than the limit")]
    FrameTooBig,
    /// Section 10.4: more than [`Limits::message_bytes`](super::Limits::message_bytes).
    #[error("a message is longer than the limit")]
    MessageTooBig,
    /// Section 10.4: more than [`Limits::fragments`](super::Limits::fragments).
    #[error("a message comes in too many small fragments")]
    TooManyFragments,
}

impl Violation {
    /// The code of the Close that answers it (section 7.4.1): 1002, 1007, 1008 or 1009.
    pub const fn code(self) -> u16 {
        match self {
            Self::NotUtf8 | Self::CloseReasonNotUtf8 => code::INVALID_DATA,
            Self::TooManyFragments => code::POLICY,
            Self::FrameTooBig | Self::MessageTooBig => code::TOO_BIG,
            Self::Unmasked
            | Self::Masked
            | Self::ReservedBit
            | Self::ReservedOpcode
            | Self::ControlFragmented
            | Self::ControlTooLong
            | Self::LengthTopBit
            | Self::LengthNotShortest
            | Self::ContinuationOfNothing
            | Self::MessageInterrupted
            | Self::CloseTooShort
            | Self::CloseCode => code::PROTOCOL,
        }
    }
}
