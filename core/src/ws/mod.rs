//! The WebSocket language of RFC 6455: bytes to messages and back, with no sockets and no clock.
//!
//! [`Assembler`] is what a server or client wants: it gives whole messages and control frames, checked and under
//! [`Limits`]. [`Decoder`] below it gives the frames as they trickle in, for who wants no message buffer.
//! [`write_frame`] and its neighbours write; [`accept_key`] and [`is_valid_key`] serve the opening handshake.
//!
//! Received bytes are unmasked where they lie. A message that lies whole in one input is lent from there, without a
//! copy or an allocation; one that is split is gathered in a buffer of the caller's, which an idle connection does not need.
//! [`Reader`] is for connections that have a buffer each: nothing is copied there, however long.
//!
//! ```
//! use tethered_core::ws::{Assembler, Incoming, Limits, Role};
//!
//! let mut assembler = Assembler::new(Role::Server);
//! let (limits, mut partial) = (Limits::default(), Vec::new());
//!
//! let mut received = *b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"; // RFC 6455 section 5.7: "Hello", masked
//! let mut input = &mut received[..];
//! assert_eq!(assembler.next(&limits, &mut input, &mut partial), Ok(Some(Incoming::Text(b"Hello"))));
//! assert_eq!(assembler.next(&limits, &mut input, &mut partial), Ok(None)); // send more
//! ```
//!
//! Departures from the RFC, all of them stricter where it leaves a choice: a length that is not in its shortest form is a
//! violation (section 5.2 says it must be, many readers let it pass), and so are close codes that nobody registered.
//! No extension is known here: every reserved bit is a violation.

mod assembler;
pub mod close;
mod decoder;
mod encode;
mod handshake;
mod head;
mod limits;
mod mask;
mod reader;
mod text;
mod utf8;
mod vector;
mod violation;

pub use assembler::{Assembler, Incoming};
pub use close::{CloseFrame, ClosePayload, close_payload, is_close_code};
pub use decoder::{Chunk, Decoder};
pub use encode::{EncodedHead, encode_head, encode_masked_head, write_frame, write_masked_frame};
pub use handshake::{accept_key, is_valid_key};
pub use head::{Head, Opcode, Role};
pub use limits::Limits;
pub use mask::mask;
pub use reader::Reader;
pub use utf8::is_utf8;
pub use violation::Violation;
