//! STOMP 1.0, 1.1 and 1.2: bytes to frames and back.
//!
//! A [`Decoder`] lends [`Frame`]s out of the bytes it is given; an [`Encoder`] writes frames for one version. Neither knows of
//! sockets, sessions or subscriptions, so each may be used alone.
//!
//! Where this departs from the text of the specifications:
//! - CRLF ends a line in every version, a bare CR in none.
//! - A colon in the value of a header is taken as it is, also where 1.1 and 1.2 want it escaped. It is always sent escaped.
//! - NACK is understood in 1.0 too, and `heart-beat` and `user-name` are written into any CONNECTED: a 1.0 peer skips what it does not know.
//! - A CONNECT without `host` is fine: who a client is and what it may see is decided elsewhere.

mod command;
mod decoder;
mod encoder;
mod error;
mod escape;
mod frame;
mod head;
mod heartbeat;
mod message;
mod version;

pub use command::Command;
pub use decoder::{Decoder, Item};
pub use encoder::{Encoder, HEART_BEAT};
pub use error::Malformed;
pub use frame::{Frame, Headers};
pub use heartbeat::HeartBeat;
pub use message::{EncodedMessage, Message};
pub use version::Version;

/// What a frame may measure. Exactly at a limit is allowed, one beyond is [`Malformed`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// COMMAND: bytes of the command, without its line end. Default 16.
    pub command_bytes: usize,
    /// HEADERS: header lines of a frame. Default 64.
    pub headers: usize,
    /// HEADERS: bytes of the command, the headers and the blank line, line ends included. Default 16 KiB.
    pub header_bytes: usize,
    /// MSG_BYTES: bytes of a whole frame, from its command to its NUL. Default 64 KiB. Above 4 GiB it means 4 GiB.
    pub frame_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { command_bytes: 16, headers: 64, header_bytes: 16 * 1024, frame_bytes: 64 * 1024 }
    }
}
