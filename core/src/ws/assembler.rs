//! Messages out of frames: RFC 6455 sections 5.4 to 5.6.

use alloc::vec::Vec;
use core::mem;

use super::decoder::take_front;
use super::mask::{append_and_scan, mask_and_scan};
use super::utf8::{check_unfinished, is_utf8};
use super::{Chunk, CloseFrame, Decoder, Head, Limits, Opcode, Role, Violation, mask};

/// Reads whole messages and control frames from bytes that arrive in any pieces. It keeps 56 bytes; the bytes of a
/// message that is split over inputs or frames it gathers in a buffer of the caller's.
#[derive(Debug)]
pub struct Assembler {
    decoder: Decoder,
    /// Bytes of the unfinished message at the front of `partial`. Behind them an unfinished control frame gathers.
    kept: usize,
    /// Fragments of this message that were small.
    fragments: u32,
    /// What the unfinished message is: Text or Binary.
    message: Option<Opcode>,
    /// Bytes at the end of an unfinished text that begin a character.
    pending: u8,
    /// What stands in `partial` behind `kept` was lent out and goes at the next call.
    lent: bool,
    /// A Close came: what follows is discarded.
    closed: bool,
    /// INVARIANT: if set, no frame and no message is unfinished, nothing is lent from `partial`, and reading goes on.
    fresh: bool,
}

/// What the peer sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Incoming<'a> {
    /// A text message. It was found to be UTF-8.
    Text(&'a [u8]),
    /// A binary message.
    Binary(&'a [u8]),
    /// A ping, to be answered by a pong with the same bytes; at most 125.
    Ping(&'a [u8]),
    /// A pong; at most 125 bytes.
    Pong(&'a [u8]),
    /// A Close, and its body if there was one. It is the last: whatever follows is discarded (section 5.5.1).
    Close(Option<CloseFrame<'a>>),
}

impl Assembler {
    /// Whether it holds nothing that a new one would not: no frame and no message is unfinished. It can then be forgotten
    /// and made anew for the next bytes, so that an idle connection keeps none.
    pub fn is_fresh(&self) -> bool {
        self.fresh || !self.lent && self.message.is_none() && !self.closed && self.decoder.is_between_frames()
    }

    /// At the beginning of a connection, behind the handshake.
    pub const fn new(role: Role) -> Self {
        Self {
            decoder: Decoder::new(role),
            kept: 0,
            fragments: 0,
            message: None,
            pending: 0,
            lent: false,
            closed: false,
            fresh: true,
        }
    }

    /// Takes the next message or control frame off the front of `input`. `None` once `input` is used up: go on with the
    /// bytes that come next.
    ///
    /// `partial` is this connection's own. Leave what is in it as it is; it is empty whenever `None` is returned and
    /// nothing is unfinished, and may then be dropped or lent to another connection. It grows by the bytes that came,
    /// never by what was announced, and holds at most [`Limits::message_bytes`] and 125 more.
    ///
    /// # Errors
    /// The peer's violation; the same one for ever after. Close the connection with its [code](Violation::code).
    #[inline]
    #[expect(single_use_lifetimes, reason = "`partial` must be free again while `input` is still lent")]
    pub fn next<'a, 'b: 'a>(
        &mut self,
        limits: &Limits,
        input: &mut &'b mut [u8],
        partial: &'a mut Vec<u8>,
    ) -> Result<Option<Incoming<'a>>, Violation> {
        if !self.fresh {
            self.settle(partial);
        }
        if self.fresh
            && let Some(message) = self.next_whole(limits, input)?
        {
            return Ok(Some(message));
        }
        // Behind a variable of its own: the caller's `input` can then stay in registers on the short way.
        let mut rest = mem::take(input);
        let outcome = self.gather(limits, &mut rest, partial);
        *input = rest;
        outcome
    }

    /// Forgets what was lent out of `partial` by the call before.
    fn settle(&mut self, partial: &mut Vec<u8>) {
        if self.lent {
            partial.truncate(self.kept);
            self.lent = false;
        }
        self.fresh = self.message.is_none() && !self.closed && self.decoder.is_between_frames();
    }

    /// The short way, for the most frequent thing: a message of one frame that is all there. Anything else it leaves
    /// untouched, violations in a head too.
    #[inline]
    fn next_whole<'b>(&mut self, limits: &Limits, input: &mut &'b mut [u8]) -> Result<Option<Incoming<'b>>, Violation> {
        let Some((head, size)) = Head::parse_message(self.decoder.role(), input) else { return Ok(None) };
        if head.len > limits.frame_bytes || head.len > limits.message_bytes {
            return Ok(None);
        }
        let end = usize::try_from(head.len).ok().and_then(|len| len.checked_add(size));
        let Some(frame) = end.and_then(|end| input.split_off_mut(..end)) else { return Ok(None) };
        let (_, payload) = frame.split_at_mut(size);
        self.finish(head.opcode, payload, head.key).map(Some)
    }

    /// The long way, for everything.
    #[expect(single_use_lifetimes, reason = "as in `next`")]
    fn gather<'a, 'b: 'a>(
        &mut self,
        limits: &Limits,
        input: &mut &'b mut [u8],
        partial: &'a mut Vec<u8>,
    ) -> Result<Option<Incoming<'a>>, Violation> {
        self.fresh = false;
        if self.closed {
            take_front(input, usize::MAX);
            return Ok(None);
        }
        while let Some((chunk, key)) = self.decoder.next_masked(input)? {
            if chunk.first {
                self.admit(limits, &chunk).map_err(|violation| self.fail(violation))?;
            }
            let (opcode, whole, done) = (chunk.opcode, chunk.first && chunk.left == 0, chunk.left == 0);
            if opcode.is_control() {
                mask(chunk.payload, key);
                if whole {
                    return self.control(opcode, chunk.payload).map(Some);
                }
                partial.extend_from_slice(chunk.payload);
                if done {
                    self.lent = true;
                    return self.control(opcode, partial.get(self.kept..).unwrap_or_default()).map(Some);
                }
            } else if whole && is_unfragmented(&chunk) {
                self.message = None;
                return self.finish(opcode, chunk.payload, key).map(Some);
            } else {
                let end = done && chunk.fin;
                self.append(chunk.payload, key, end, partial)?;
                if end {
                    return Ok(Some(self.lend(partial)));
                }
            }
        }
        Ok(None)
    }

    /// Judges a data frame by its head: its length, its place in the message, what the message grows to.
    fn admit(&mut self, limits: &Limits, chunk: &Chunk<'_>) -> Result<(), Violation> {
        if chunk.opcode.is_control() {
            return Ok(());
        }
        let len = chunk.left.saturating_add(chunk.payload.len() as u64);
        if len > limits.frame_bytes {
            return Err(Violation::FrameTooBig);
        }
        match (chunk.opcode, self.message) {
            (Opcode::Continuation, None) => return Err(Violation::ContinuationOfNothing),
            (Opcode::Continuation, Some(_)) => {}
            (_, Some(_)) => return Err(Violation::MessageInterrupted),
            (opcode, None) => {
                (self.message, self.fragments, self.pending) = (Some(opcode), 0, 0);
            }
        }
        if len.checked_add(self.kept as u64).is_none_or(|sum| sum > limits.message_bytes) {
            return Err(Violation::MessageTooBig);
        }
        if !is_unfragmented(chunk) && len < Limits::SMALL_FRAGMENT {
            if self.fragments >= limits.fragments {
                return Err(Violation::TooManyFragments);
            }
            self.fragments += 1;
        }
        Ok(())
    }

    /// Unmasks a message of one piece where it lies, and checks it.
    #[inline]
    fn finish<'b>(&mut self, opcode: Opcode, payload: &'b mut [u8], key: [u8; 4]) -> Result<Incoming<'b>, Violation> {
        let ascii = mask_and_scan(payload, key);
        if opcode != Opcode::Text {
            return Ok(Incoming::Binary(payload));
        }
        if ascii || is_utf8(payload) { Ok(Incoming::Text(payload)) } else { Err(self.fail(Violation::NotUtf8)) }
    }

    /// Adds a piece to the unfinished message, and checks it as far as it can be judged.
    fn append(&mut self, payload: &mut [u8], key: [u8; 4], end: bool, partial: &mut Vec<u8>) -> Result<(), Violation> {
        let unchecked = partial.len().saturating_sub(usize::from(self.pending));
        let ascii = append_and_scan(partial, payload, key) && self.pending == 0;
        self.kept = partial.len();
        if self.message != Some(Opcode::Text) {
            return Ok(());
        }
        if !ascii {
            let pending = partial.get(unchecked..).and_then(check_unfinished);
            self.pending = pending.ok_or_else(|| self.fail(Violation::NotUtf8))?;
        }
        if end && self.pending != 0 { Err(self.fail(Violation::NotUtf8)) } else { Ok(()) }
    }

    /// Lends the message that is now whole.
    fn lend<'a>(&mut self, partial: &'a [u8]) -> Incoming<'a> {
        (self.kept, self.lent) = (0, true);
        if self.message.take() == Some(Opcode::Text) { Incoming::Text(partial) } else { Incoming::Binary(partial) }
    }

    fn fail(&mut self, violation: Violation) -> Violation {
        self.fresh = false;
        self.decoder.fail(violation)
    }

    fn control<'a>(&mut self, opcode: Opcode, payload: &'a [u8]) -> Result<Incoming<'a>, Violation> {
        match opcode {
            Opcode::Ping => Ok(Incoming::Ping(payload)),
            Opcode::Pong => Ok(Incoming::Pong(payload)),
            _ => {
                let frame = CloseFrame::parse(payload).map_err(|violation| self.fail(violation))?;
                self.closed = true;
                Ok(Incoming::Close(frame))
            }
        }
    }
}

fn is_unfragmented(chunk: &Chunk<'_>) -> bool {
    chunk.fin && chunk.opcode != Opcode::Continuation
}

#[cfg(test)]
mod tests;
