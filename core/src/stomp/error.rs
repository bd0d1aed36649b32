//! [`Malformed`]: what may be wrong with a peer's bytes.

/// A peer's frame broke the rules. The conversation is over: an ERROR with [`message`](Self::message), then the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[error("{}", self.message())]
#[non_exhaustive]
pub enum Malformed {
    /// The first line is no command, or one longer than [`Limits::command_bytes`](super::Limits::command_bytes).
    CommandUnknown,
    /// A command that is the other side's to say.
    CommandNotYours,
    /// More header lines than [`Limits::headers`](super::Limits::headers).
    HeadersTooMany,
    /// The head is longer than [`Limits::header_bytes`](super::Limits::header_bytes).
    HeadTooLarge,
    /// The frame is longer, or announced to be longer, than [`Limits::frame_bytes`](super::Limits::frame_bytes).
    FrameTooLarge,
    /// A CR with no LF behind it, in the head or between frames.
    BareCarriageReturn,
    /// A NUL before the blank line.
    NulInHead,
    /// The head is no UTF-8.
    NotUtf8,
    /// A header line without a colon.
    HeaderWithoutColon,
    /// A header line that begins with its colon.
    HeaderWithoutName,
    /// A backslash that begins none of the version's escapes.
    EscapeUndefined,
    /// A `content-length` that is no plain decimal number.
    ContentLengthInvalid,
    /// No NUL where `content-length` says that the body ends.
    ContentLengthWrong,
    /// A body behind a command that has none.
    BodyNotAllowed,
    /// A `content-type` without a slash.
    ContentTypeInvalid,
    /// No `destination`, where the command needs one.
    DestinationMissing,
    /// No `id`, where the command needs one.
    IdMissing,
    /// No `message-id`, where the command needs one.
    MessageIdMissing,
    /// No `subscription`, where the command needs one.
    SubscriptionMissing,
    /// No `transaction`, where the command needs one.
    TransactionMissing,
    /// No `receipt-id` in a RECEIPT.
    ReceiptIdMissing,
    /// A `heart-beat` that is not two plain numbers of milliseconds with a comma between.
    HeartBeatInvalid,
    /// No version of `accept-version` is known here.
    NoCommonVersion,
}

impl Malformed {
    /// The `message` header of the ERROR that answers it. Fixed words: nothing of the input is ever in it, and no character that
    /// any version would have to escape.
    pub const fn message(self) -> &'static str {
        match self {
            Self::CommandUnknown => "Unknown command",
            Self::CommandNotYours => "A command of the other side",
            Self::HeadersTooMany => "Too many headers",
            Self::HeadTooLarge => "The headers are too large",
            Self::FrameTooLarge => "The frame is too large",
            Self::BareCarriageReturn => "A carriage return must be followed by a line feed",
            Self::NulInHead => "A frame must have a blank line before its body",
            Self::NotUtf8 => "Headers must be UTF-8",
            Self::HeaderWithoutColon => "A header must have a colon",
            Self::HeaderWithoutName => "A header must have a name",
            Self::EscapeUndefined => "Undefined escape in a header",
            Self::ContentLengthInvalid => "The content-length is not a number",
            Self::ContentLengthWrong => "A frame must end with a NUL where its content-length says",
            Self::BodyNotAllowed => "This command must not have a body",
            Self::ContentTypeInvalid => "The content-type is not a media type",
            Self::DestinationMissing => "The destination header is missing",
            Self::IdMissing => "The id header is missing",
            Self::MessageIdMissing => "The message-id header is missing",
            Self::SubscriptionMissing => "The subscription header is missing",
            Self::TransactionMissing => "The transaction header is missing",
            Self::ReceiptIdMissing => "The receipt-id header is missing",
            Self::HeartBeatInvalid => "The heart-beat header must be two numbers with a comma between them",
            Self::NoCommonVersion => "No version in common",
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::collections::BTreeSet;
    use alloc::string::ToString;

    use super::Malformed::*;
    use super::*;

    const ALL: [Malformed; 23] = [
        CommandUnknown,
        CommandNotYours,
        HeadersTooMany,
        HeadTooLarge,
        FrameTooLarge,
        BareCarriageReturn,
        NulInHead,
        NotUtf8,
        HeaderWithoutColon,
        HeaderWithoutName,
        EscapeUndefined,
        ContentLengthInvalid,
        ContentLengthWrong,
        BodyNotAllowed,
        ContentTypeInvalid,
        DestinationMissing,
        IdMissing,
        MessageIdMissing,
        SubscriptionMissing,
        TransactionMissing,
        ReceiptIdMissing,
        HeartBeatInvalid,
        NoCommonVersion,
    ];

    #[test]
    fn s20_messages_are_fixed_words_that_need_no_escape() {
        for malformed in ALL {
            assert_eq!(malformed.to_string(), malformed.message());
            assert!(!malformed.message().contains([':', '\\', '\n', '\r', '\0']), "{malformed:?}");
        }
        assert_eq!(ALL.map(Malformed::message).into_iter().collect::<BTreeSet<_>>().len(), ALL.len());
    }
}
