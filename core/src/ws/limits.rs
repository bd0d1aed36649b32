//! What a peer may make us hold.

/// Limits on what a peer sends. They are passed to each call, so that a million connections share one copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Payload bytes of one frame; more is [`FrameTooBig`](super::Violation::FrameTooBig), told from its head alone.
    pub frame_bytes: u64,
    /// Bytes of one message over all its frames; more is [`MessageTooBig`](super::Violation::MessageTooBig).
    pub message_bytes: u64,
    /// Fragments of under [`Limits::SMALL_FRAGMENT`] bytes in one message; more is
    /// [`TooManyFragments`](super::Violation::TooManyFragments). Larger ones are `message_bytes`' business.
    pub fragments: u32,
}

impl Limits {
    /// Bytes from which on a fragment is no longer counted: the message limit bounds those.
    pub const SMALL_FRAGMENT: u64 = 64;
}

impl Default for Limits {
    /// 64 KiB a frame, 64 KiB a message, 4,096 small fragments.
    fn default() -> Self {
        Self { frame_bytes: 65_536, message_bytes: 65_536, fragments: 4_096 }
    }
}
