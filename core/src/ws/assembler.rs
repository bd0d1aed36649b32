//! Messages out of frames: RFC 6455 sections 5.4 to 5.6.

use alloc::vec::Vec;
use core::mem;

use super::decoder::take_front;
use super::mask::append_masked;
use super::text::{unmask_piece, unmask_whole};
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

/// A message that is all there: its payload is at `start..end` of the input.
pub(super) struct Whole {
    pub(super) opcode: Opcode,
    pub(super) key: [u8; 4],
    pub(super) start: usize,
    pub(super) end: usize,
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
        if self.lent {
            partial.truncate(self.kept);
        }
        self.settle();
        if let Some(whole) = self.find_whole(limits, input)
            && let Some(frame) = input.split_off_mut(..whole.end)
        {
            return self.finish(whole.opcode, frame.split_at_mut(whole.start).1, whole.key).map(Some);
        }
        // Behind a variable of its own: the caller's `input` can then stay in registers on the short way.
        let mut rest = mem::take(input);
        let outcome = self.gather(limits, &mut rest, partial);
        *input = rest;
        outcome
    }

    pub(super) const fn decoder(&self) -> &Decoder {
        &self.decoder
    }

    /// Bytes still to come of the frame under way, if it is a binary message's.
    pub(super) fn binary_left(&self) -> u64 {
        if self.message == Some(Opcode::Binary) { self.decoder.left() } else { 0 }
    }

    /// Bytes of the unfinished message.
    pub(super) const fn kept(&self) -> usize {
        self.kept
    }

    /// Forgets what was lent out by the call before.
    #[inline]
    pub(super) fn settle(&mut self) {
        if !self.fresh {
            self.lent = false;
            self.fresh = self.message.is_none() && !self.closed && self.decoder.is_between_frames();
        }
    }

    /// The short way, for the most frequent thing: a message of one frame that is all there, and nothing unfinished
    /// before it. Anything else is left to the long way, violations in a head too.
    #[inline]
    pub(super) fn find_whole(&self, limits: &Limits, input: &[u8]) -> Option<Whole> {
        if !self.fresh {
            return None;
        }
        let (head, start) = Head::parse_message(self.decoder.role(), input)?;
        if head.len > limits.frame_bytes || head.len > limits.message_bytes {
            return None;
        }
        let end = usize::try_from(head.len).ok()?.checked_add(start)?;
        (end <= input.len()).then_some(Whole { opcode: head.opcode, key: head.key, start, end })
    }

    /// The long way, for everything.
    #[expect(single_use_lifetimes, reason = "as in `next`")]
    fn gather<'a, 'b: 'a>(
        &mut self,
        limits: &Limits,
        input: &mut &'b mut [u8],
        partial: &'a mut Vec<u8>,
    ) -> Result<Option<Incoming<'a>>, Violation> {
        while let Some((mut chunk, key)) = self.next_chunk(limits, input)? {
            let (opcode, whole, done) = (chunk.opcode, chunk.first && chunk.left == 0, chunk.left == 0);
            if opcode.is_control() {
                mask(chunk.payload, key);
                if whole {
                    return self.control(opcode, chunk.payload).map(Some);
                }
                partial.extend_from_slice(chunk.payload);
                if done {
                    return self.control(opcode, partial.get(self.kept..).unwrap_or_default()).map(Some);
                }
            } else if whole && is_unfragmented(&chunk) {
                self.message = None;
                return self.finish(opcode, chunk.payload, key).map(Some);
            } else {
                let end = done && chunk.fin;
                self.append(&mut chunk, key, partial)?;
                if end {
                    return self.lend(partial).map(Some);
                }
            }
        }
        Ok(None)
    }

    /// The next piece of a frame that is allowed where it stands, still masked by the key that is given with it.
    pub(super) fn next_chunk<'b>(
        &mut self,
        limits: &Limits,
        input: &mut &'b mut [u8],
    ) -> Result<Option<(Chunk<'b>, [u8; 4])>, Violation> {
        self.fresh = false;
        if self.closed {
            take_front(input, usize::MAX);
            return Ok(None);
        }
        let next = self.decoder.next_masked(input)?;
        if let Some((chunk, _)) = &next
            && chunk.first
        {
            self.admit(limits, chunk).map_err(|violation| self.fail(violation))?;
        }
        Ok(next)
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
    #[inline(always)]
    pub(super) fn finish<'b>(
        &mut self,
        opcode: Opcode,
        payload: &'b mut [u8],
        key: [u8; 4],
    ) -> Result<Incoming<'b>, Violation> {
        if opcode != Opcode::Text {
            mask(payload, key);
            Ok(Incoming::Binary(payload))
        } else if unmask_whole(payload, key) {
            Ok(Incoming::Text(payload))
        } else {
            Err(self.fail(Violation::NotUtf8))
        }
    }

    /// Unmasks a piece of the unfinished message where it lies, and checks it as far as it can be judged. `before`: the
    /// message as far as it has come.
    pub(super) fn judge(&mut self, before: &[u8], piece: &mut [u8], key: [u8; 4]) -> Result<(), Violation> {
        self.kept = before.len() + piece.len();
        if self.message != Some(Opcode::Text) {
            mask(piece, key);
            return Ok(());
        }
        let begun = before.len().saturating_sub(usize::from(self.pending));
        let pending = before.get(begun..).and_then(|begun| unmask_piece(begun, piece, key));
        self.pending = pending.ok_or_else(|| self.fail(Violation::NotUtf8))?;
        Ok(())
    }

    /// Adds a piece to the unfinished message. Text goes a little at a time: what was judged is still near when it is copied.
    fn append(&mut self, chunk: &mut Chunk<'_>, key: [u8; 4], partial: &mut Vec<u8>) -> Result<(), Violation> {
        reserve(partial, chunk);
        if self.message == Some(Opcode::Text) {
            for block in chunk.payload.chunks_mut(BLOCK) {
                self.judge(partial, block, key)?;
                partial.extend_from_slice(block);
            }
        } else {
            append_masked(partial, chunk.payload, key);
            self.kept = partial.len();
        }
        Ok(())
    }

    /// Lends the message that is now whole.
    pub(super) fn lend<'a>(&mut self, message: &'a [u8]) -> Result<Incoming<'a>, Violation> {
        if self.pending != 0 {
            return Err(self.fail(Violation::NotUtf8));
        }
        (self.kept, self.lent) = (0, true);
        Ok(if self.message.take() == Some(Opcode::Text) { Incoming::Text(message) } else { Incoming::Binary(message) })
    }

    fn fail(&mut self, violation: Violation) -> Violation {
        self.fresh = false;
        self.decoder.fail(violation)
    }

    pub(super) fn control<'a>(&mut self, opcode: Opcode, payload: &'a [u8]) -> Result<Incoming<'a>, Violation> {
        self.lent = true;
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

/// Makes room for a piece. For the last frame of a message it is known how much is to come: as much again as has come is
/// made room for, but no more than that, as anybody can announce anything.
fn reserve(partial: &mut Vec<u8>, chunk: &Chunk<'_>) {
    let len = chunk.payload.len();
    if !chunk.fin {
        partial.reserve(len);
    } else if partial.capacity() - partial.len() < len {
        let more = usize::try_from(chunk.left).unwrap_or(usize::MAX).min(partial.len() + len);
        partial.reserve_exact(len + more);
    }
}

fn is_unfragmented(chunk: &Chunk<'_>) -> bool {
    chunk.fin && chunk.opcode != Opcode::Continuation
}

/// Bytes of a piece that are looked at before they are copied. A multiple of the key's length, and few enough for a plain
/// loop: longer copies are left to the processor's own string move by many C libraries (glibc from 2,112 bytes on), which
/// takes four times as long where the target lies, within its page, just behind the source.
const BLOCK: usize = 2 << 10;

#[cfg(test)]
mod tests;
