//! Messages out of one buffer that is read into.

use alloc::vec::Vec;

use super::assembler::{Assembler, Whole};
use super::{Incoming, Limits, Role, Violation, mask};

/// Reads whole messages and control frames as an [`Assembler`] does, for a connection with a buffer of its own: bytes are
/// read into it, and a message is lent from where its bytes were read to, however many reads it took. That saves copying
/// what is longer than a read; in exchange the buffer stays while the connection is idle, unless it is
/// [given back](Self::release).
///
/// ```
/// use tethered_core::ws::{Incoming, Limits, Reader, Role};
/// # use std::io::Read;
/// # let mut socket = &b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"[..];
///
/// let (mut reader, limits) = (Reader::new(Role::Server), Limits::default());
/// let len = socket.read(reader.room(16 * 1024))?;
/// reader.filled(len);
/// while let Some(incoming) = reader.next(&limits).expect("no violation") {
///     assert_eq!(incoming, Incoming::Text(b"Hello"));
/// }
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct Reader {
    assembler: Assembler,
    /// Up to `end` what was read, behind it whatever was there before.
    buffer: Vec<u8>,
    /// Where the unfinished message begins. It is without gaps: what a later frame adds is moved up to it.
    message: usize,
    /// Where the payload of an unfinished control frame begins.
    control: usize,
    /// The first byte that was not looked at.
    at: usize,
    end: usize,
}

impl Reader {
    /// At the beginning of a connection, behind the handshake. It has no buffer until [`room`](Self::room) is asked for.
    pub const fn new(role: Role) -> Self {
        Self { assembler: Assembler::new(role), buffer: Vec::new(), message: 0, control: 0, at: 0, end: 0 }
    }

    /// Where the next bytes are to be read to, once [`next`](Self::next) has given `None`; then tell it
    /// [how many](Self::filled).
    ///
    /// It is `most` bytes, but less where a long message ends sooner: the next one can then begin at the front of the
    /// buffer, and need not be moved there. The buffer grows by half to what it holds and `most`, never
    /// by what was announced; with what it holds bounded by [`Limits::message_bytes`] and 125 more.
    pub fn room(&mut self, most: usize) -> &mut [u8] {
        let most = most.max(1);
        if self.first() == self.end {
            let front = front(&self.buffer);
            (self.message, self.control, self.at, self.end) = (front, front, front, front);
        }
        let held = self.end - self.first();
        let left = usize::try_from(self.assembler.decoder().left()).unwrap_or(usize::MAX);
        let left = left.saturating_sub(self.end - self.at);
        let wanted = if held > most / LONG && left > 0 { left.min(most) } else { most };
        if self.buffer.len() < self.end + wanted {
            self.make_room(wanted);
        }
        self.buffer.get_mut(self.end..self.end + wanted).unwrap_or_default()
    }

    /// Where what is held begins: all of it is unfinished, or was not looked at.
    fn first(&self) -> usize {
        if self.assembler.kept() > 0 {
            self.message
        } else if self.assembler.decoder().is_in_control() {
            self.control
        } else {
            self.at
        }
    }

    /// Makes room for so many bytes behind what is held. It is moved to the front if that frees more than is moved, else
    /// the buffer grows.
    fn make_room(&mut self, wanted: usize) {
        let first = self.first();
        if first > self.end - first {
            self.buffer.copy_within(first..self.end, 0);
            for place in [&mut self.message, &mut self.control, &mut self.at, &mut self.end] {
                *place = place.saturating_sub(first);
            }
        }
        let least = self.end + wanted;
        if self.buffer.len() < least {
            let len = least.max(self.buffer.len() + self.buffer.len() / 2);
            self.buffer.reserve_exact(len - self.buffer.len());
            self.buffer.resize(len, 0);
        }
    }

    /// The first so many bytes of the [room](Self::room) were read to. More than it has are not counted.
    pub fn filled(&mut self, len: usize) {
        self.end = self.end.saturating_add(len).min(self.buffer.len());
    }

    /// Whether nothing of a message, and nothing of a frame, waits for more.
    pub fn is_fresh(&self) -> bool {
        self.at == self.end && self.assembler.is_fresh()
    }

    /// Gives the buffer back, if it holds nothing. The next [`room`](Self::room) makes a new one.
    pub fn release(&mut self) {
        if self.is_fresh() {
            *self = Self { assembler: Assembler::new(self.assembler.decoder().role()), ..Self::new(Role::Server) };
        }
    }

    /// The next message or control frame of what was read. `None` once all is used up: read more.
    ///
    /// # Errors
    /// The peer's violation; the same one for ever after. Close the connection with its [code](Violation::code).
    #[inline]
    pub fn next(&mut self, limits: &Limits) -> Result<Option<Incoming<'_>>, Violation> {
        self.assembler.settle();
        let input = self.buffer.get(self.at..self.end).unwrap_or_default();
        if input.len() < WORTHWHILE && self.assembler.binary_left() > input.len() as u64 {
            return Ok(None);
        }
        let Some(Whole { opcode, key, start, end }) = self.assembler.find_whole(limits, input) else {
            return self.gather(limits);
        };
        let payload = self.buffer.get_mut(self.at + start..self.at + end).unwrap_or_default();
        self.at += end;
        self.assembler.finish(opcode, payload, key).map(Some)
    }

    /// The long way, for everything.
    fn gather(&mut self, limits: &Limits) -> Result<Option<Incoming<'_>>, Violation> {
        let (message, kept) = loop {
            let mut input = self.buffer.get_mut(self.at..self.end).unwrap_or_default();
            let Some((chunk, key)) = self.assembler.next_chunk(limits, &mut input)? else {
                self.at = self.end;
                return Ok(None);
            };
            self.at = self.end - input.len();
            let (stop, len, done) = (self.at, chunk.payload.len(), chunk.left == 0);
            let start = stop - len;
            if chunk.opcode.is_control() {
                mask(chunk.payload, key);
                if chunk.first {
                    self.control = start;
                }
                if done {
                    let (opcode, payload) = (chunk.opcode, self.control..stop);
                    return self.assembler.control(opcode, self.buffer.get(payload).unwrap_or_default()).map(Some);
                }
                continue;
            }
            let end = done && chunk.fin;
            let kept = self.assembler.kept();
            if kept == 0 {
                self.message = start;
            }
            let behind = self.message + kept;
            if start != behind {
                self.buffer.copy_within(start..stop, behind);
            }
            let message = self.buffer.get_mut(self.message..behind + len).unwrap_or_default();
            let (before, piece) = message.split_at_mut(kept);
            self.assembler.judge(before, piece, key)?;
            if end {
                break (self.message, kept + len);
            }
        };
        self.assembler.lend(self.buffer.get(message..message + kept).unwrap_or_default()).map(Some)
    }
}

/// Where in a buffer to begin: copies to where a cache line begins are faster. In a large one it is where a page begins:
/// processors copy many bytes very slowly to a place that lies, within its page, just behind their source, and what the
/// system has received begins anywhere in a page but seldom at its end.
fn front(buffer: &[u8]) -> usize {
    let align = if buffer.len() < LARGE { LINE } else { PAGE };
    buffer.as_ptr().align_offset(align).min(buffer.len())
}

const LINE: usize = 64;
const PAGE: usize = 4 << 10;
const LARGE: usize = 32 << 10;

/// What is held is long once it is more than one part of so many of a read.
const LONG: usize = 4;
/// Bytes of a binary frame that is not all there from which on it is looked at: there is nothing to be found in it.
const WORTHWHILE: usize = 64 << 10;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ws::{Opcode, encode_masked_head, write_masked_frame};

    const LIMITS: Limits = Limits { frame_bytes: 1 << 40, message_bytes: 1 << 40, fragments: 5 };

    fn read(reader: &mut Reader, mut bytes: &[u8], most: usize) -> Vec<Vec<u8>> {
        let mut messages = Vec::new();
        while !bytes.is_empty() {
            let room = reader.room(most);
            let len = room.len().min(bytes.len());
            room[..len].copy_from_slice(&bytes[..len]);
            bytes = &bytes[len..];
            reader.filled(len);
            while let Some(incoming) = reader.next(&LIMITS).unwrap() {
                if let Incoming::Text(message) | Incoming::Binary(message) = incoming {
                    messages.push(message.to_vec());
                }
            }
        }
        messages
    }

    fn frames(count: usize, bytes: usize) -> Vec<u8> {
        let mut out = Vec::new();
        for i in 0..count {
            write_masked_frame(&mut out, true, Opcode::Binary, [1, 2, 3, i as u8], &alloc::vec![i as u8; bytes]);
        }
        out
    }

    #[test]
    fn f07_an_announced_length_reserves_nothing() {
        let mut reader = Reader::new(Role::Server);
        read(&mut reader, &encode_masked_head(true, Opcode::Binary, 1 << 40, [0; 4]), 100);
        read(&mut reader, b"abc", 100);
        assert_eq!(reader.room(100).len(), 100);
        assert!(reader.buffer.capacity() <= (100 + LINE) * 3 / 2, "{}", reader.buffer.capacity());
    }

    #[test]
    fn a_long_message_is_read_to_its_end_and_no_further() {
        let (mut reader, bytes) = (Reader::new(Role::Server), frames(3, 1_000));
        read(&mut reader, &bytes[..900], 1_000);
        assert_eq!(reader.room(1_000).len(), 108);
        read(&mut reader, &bytes[900..950], 1_000);
        assert_eq!(reader.assembler.kept(), 892, "what is binary can wait until it is worthwhile");
        assert_eq!(reader.room(1_000).len(), 58);
        assert_eq!(read(&mut reader, &bytes[950..1_008], 1_000).len(), 1);
        assert_eq!(reader.room(1_000).len(), 1_000);
        assert_eq!(reader.end, front(&reader.buffer));
    }

    #[test]
    fn the_buffer_stays_as_large_as_what_it_holds_and_a_read() {
        for (bytes, most) in [(10, 64), (100, 64), (1_000, 64), (1_000, 1_000), (100_000, 40_000)] {
            let mut reader = Reader::new(Role::Server);
            for _ in 0..5 {
                let messages = read(&mut reader, &frames(20, bytes), most);
                assert_eq!(messages.len(), 20);
                assert!(messages.iter().enumerate().all(|(i, message)| *message == alloc::vec![i as u8; bytes]));
            }
            let largest = (bytes + most + front(&reader.buffer)) * 3 / 2;
            assert!(reader.buffer.len() <= largest, "{} of {bytes} in reads of {most}", reader.buffer.len());
        }
    }

    #[test]
    fn the_buffer_is_given_back_once_nothing_is_unfinished() {
        let (mut reader, bytes) = (Reader::new(Role::Server), frames(1, 100));
        read(&mut reader, &bytes[..50], 64);
        reader.release();
        assert!(!reader.is_fresh() && !reader.buffer.is_empty());
        assert_eq!(read(&mut reader, &bytes[50..], 64).len(), 1);
        reader.release();
        assert!(reader.is_fresh() && reader.buffer.capacity() == 0);
        assert_eq!(read(&mut reader, &bytes, 64).len(), 1);
    }

    #[test]
    fn more_than_there_is_room_for_is_not_counted() {
        let mut reader = Reader::new(Role::Server);
        reader.room(10);
        reader.filled(usize::MAX);
        assert_eq!(reader.end, reader.buffer.len());
    }
}
