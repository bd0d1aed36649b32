//! Request bodies.

use alloc::vec::Vec;

use bytes::Bytes;

use super::dechunk::Dechunker;
use super::framing::Framing;
use super::refusal::Refusal;
use super::request::Request;

/// What a client that [waits for it](Request::expects_continue) is sent before its body is read.
pub const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// Collects the body of a request from the bytes behind its head, up to a limit. What it holds grows with what came, not
/// with what was announced.
#[derive(Debug)]
pub struct BodyDecoder {
    body: Vec<u8>,
    limit_bytes: usize,
    rest: Rest,
}

/// What is still to come.
#[derive(Debug)]
enum Rest {
    Bytes(usize),
    Chunks(Dechunker),
}

impl BodyDecoder {
    /// Begins with the body of `request`; `None` if it has none.
    ///
    /// # Errors
    /// [`Refusal::BodyBytes`] if it announces more than `limit_bytes`.
    pub fn new(request: &Request, limit_bytes: usize) -> Result<Option<Self>, Refusal> {
        let rest = match request.framing() {
            Framing::None | Framing::Length(0) => return Ok(None),
            Framing::Chunked => Rest::Chunks(Dechunker::default()),
            Framing::Length(len) => match usize::try_from(len) {
                Ok(len) if len <= limit_bytes => Rest::Bytes(len),
                _ => return Err(Refusal::BodyBytes),
            },
        };
        Ok(Some(Self { body: Vec::new(), limit_bytes, rest }))
    }

    /// Takes from `input` what belongs to the body; the answer is how many bytes that were. Once the body is
    /// [complete](Self::is_complete) it takes none: what follows is the next request.
    ///
    /// # Errors
    /// [`Refusal::Framing`] if the chunks are broken, [`Refusal::BodyBytes`] as soon as a chunk is announced that passes
    /// the limit. The connection has to be closed then: where the next request begins cannot be told.
    pub fn feed(&mut self, input: &[u8]) -> Result<usize, Refusal> {
        match &mut self.rest {
            Rest::Bytes(left) => {
                let taken = input.get(..*left).unwrap_or(input);
                self.body.extend_from_slice(taken);
                *left -= taken.len();
                Ok(taken.len())
            }
            Rest::Chunks(chunks) => chunks.feed(input, &mut self.body, self.limit_bytes),
        }
    }

    /// Whether the whole body is there.
    pub fn is_complete(&self) -> bool {
        match &self.rest {
            Rest::Bytes(left) => *left == 0,
            Rest::Chunks(chunks) => chunks.is_complete(),
        }
    }

    /// What was collected.
    pub fn into_body(self) -> Bytes {
        self.body.into()
    }
}
