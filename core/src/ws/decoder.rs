//! Frames out of bytes as they trickle in: RFC 6455 section 5.2.

use super::mask::turn;
use super::{Head, Opcode, Role, Violation, mask};

/// Reads frames from bytes that arrive in any pieces, and unmasks them where they lie. It keeps 32 bytes and no payload.
///
/// It judges each head by itself; the order of frames, UTF-8 and limits are the [`Assembler`](super::Assembler)'s.
#[derive(Debug)]
pub struct Decoder {
    /// Payload bytes of the current frame that have not come yet.
    left: u64,
    /// The masking key, turned so that its first byte is the next one's.
    key: [u8; 4],
    /// An unfinished head: its first `head_len` bytes.
    head: [u8; Head::MAX_BYTES],
    head_len: u8,
    opcode: Opcode,
    fin: bool,
    role: Role,
    violation: Option<Violation>,
}

/// A piece of one frame's payload, or all of it.
#[derive(Debug, PartialEq, Eq)]
pub struct Chunk<'b> {
    /// What the frame is.
    pub opcode: Opcode,
    /// The frame ends its message; the message is there once `left` is 0 too.
    pub fin: bool,
    /// The first piece of its frame. It may be empty: a head is told as soon as it is read, so that a frame can be
    /// refused by its length, which is `payload.len()` and `left` together.
    pub first: bool,
    /// Payload bytes of this frame still to come, as announced; reserve nothing from it.
    pub left: u64,
    /// The bytes, unmasked.
    pub payload: &'b mut [u8],
}

impl Decoder {
    /// At the beginning of a connection, behind the handshake.
    pub const fn new(role: Role) -> Self {
        Self {
            left: 0,
            key: [0; 4],
            head: [0; Head::MAX_BYTES],
            head_len: 0,
            opcode: Opcode::Continuation,
            fin: false,
            role,
            violation: None,
        }
    }

    /// Takes the next piece of payload off the front of `input`. `None` once `input` is used up.
    ///
    /// # Errors
    /// The violation that [`Head::parse`] found; the same one for ever after.
    pub fn next<'b>(&mut self, input: &mut &'b mut [u8]) -> Result<Option<Chunk<'b>>, Violation> {
        let Some((chunk, key)) = self.next_masked(input)? else { return Ok(None) };
        mask(chunk.payload, key);
        Ok(Some(chunk))
    }

    /// As [`next`](Self::next), the payload still masked by the key that is given with it.
    pub(super) fn next_masked<'b>(
        &mut self,
        input: &mut &'b mut [u8],
    ) -> Result<Option<(Chunk<'b>, [u8; 4])>, Violation> {
        if let Some(violation) = self.violation {
            return Err(violation);
        }
        let first = self.left == 0;
        if first {
            let Some(head) = self.read_head(input)? else { return Ok(None) };
            Head { fin: self.fin, opcode: self.opcode, len: self.left, key: self.key } = head;
        } else if input.is_empty() {
            return Ok(None);
        }
        let len = usize::try_from(self.left).map_or(input.len(), |left| left.min(input.len()));
        let payload = take_front(input, len);
        let key = self.key;
        self.left -= len as u64;
        self.key = turn(key, len);
        Ok(Some((Chunk { opcode: self.opcode, fin: self.fin, first, left: self.left, payload }, key)))
    }

    /// Ends it: every later call gives `violation`.
    pub(super) fn fail(&mut self, violation: Violation) -> Violation {
        (self.violation, self.left) = (Some(violation), 0);
        violation
    }

    /// Nothing of a frame was read yet, and reading goes on.
    pub(super) const fn is_between_frames(&self) -> bool {
        self.left == 0 && self.head_len == 0 && self.violation.is_none()
    }

    /// Payload bytes of the frame under way that are still to come.
    pub(super) const fn left(&self) -> u64 {
        self.left
    }

    /// The frame under way is a control frame.
    pub(super) const fn is_in_control(&self) -> bool {
        self.left > 0 && self.opcode.is_control()
    }

    pub(super) const fn role(&self) -> Role {
        self.role
    }

    fn read_head(&mut self, input: &mut &mut [u8]) -> Result<Option<Head>, Violation> {
        if self.head_len == 0 {
            match Head::parse(self.role, input) {
                Ok(Some((head, size))) => {
                    take_front(input, size);
                    return Ok(Some(head));
                }
                Ok(None) => {}
                Err(violation) => return Err(self.fail(violation)),
            }
        }
        let before = usize::from(self.head_len);
        let room = &mut self.head[before..];
        let more = room.len().min(input.len());
        room[..more].copy_from_slice(&input[..more]);
        match Head::parse(self.role, &self.head[..before + more]) {
            Ok(Some((head, size))) => {
                // INVARIANT: `before` bytes were not a whole head, so `size` is greater.
                take_front(input, size.saturating_sub(before));
                self.head_len = 0;
                Ok(Some(head))
            }
            Ok(None) => {
                // INVARIANT: no head is longer than the room, so `input` ended first and `more` is all of it.
                take_front(input, more);
                self.head_len += more as u8;
                Ok(None)
            }
            Err(violation) => Err(self.fail(violation)),
        }
    }
}

/// Takes `len` bytes, or all there are, off the front.
#[inline]
pub(super) fn take_front<'b>(input: &mut &'b mut [u8], len: usize) -> &'b mut [u8] {
    let len = len.min(input.len());
    input.split_off_mut(..len).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ws::{write_frame, write_masked_frame};
    use alloc::vec::Vec;
    use proptest::prelude::*;

    #[test]
    fn keeps_32_bytes() {
        assert!(size_of::<Decoder>() <= 32);
    }

    /// Frames as (fin, opcode, payload), glued from chunks, with the chunks' own promises checked on the way.
    fn decode(decoder: &mut Decoder, input: &[u8], frames: &mut Vec<(bool, Opcode, Vec<u8>)>) -> Result<(), Violation> {
        let mut input = input.to_vec();
        let mut rest = &mut input[..];
        while let Some(chunk) = decoder.next(&mut rest)? {
            if chunk.first {
                frames.push((chunk.fin, chunk.opcode, Vec::new()));
            }
            let frame = frames.last_mut().expect("a first chunk comes first");
            assert_eq!((frame.0, frame.1), (chunk.fin, chunk.opcode));
            frame.2.extend_from_slice(chunk.payload);
        }
        assert!(rest.is_empty());
        Ok(())
    }

    fn some_frames() -> Vec<(bool, Opcode, Vec<u8>)> {
        [
            (true, Opcode::Text, 5),
            (false, Opcode::Binary, 0),
            (true, Opcode::Continuation, 130),
            (true, Opcode::Ping, 7),
        ]
        .map(|(fin, opcode, len)| (fin, opcode, (0..len).collect()))
        .to_vec()
    }

    fn encode(role: Role, frames: &[(bool, Opcode, Vec<u8>)]) -> Vec<u8> {
        let mut out = Vec::new();
        for (i, (fin, opcode, payload)) in frames.iter().enumerate() {
            match role {
                Role::Server => write_masked_frame(&mut out, *fin, *opcode, [i as u8, 0xA5, 7, 0], payload),
                Role::Client => write_frame(&mut out, *fin, *opcode, payload),
            }
        }
        out
    }

    /// F19.
    #[test]
    fn f19_the_same_frames_at_every_split_and_byte_by_byte() {
        let want = some_frames();
        for role in [Role::Server, Role::Client] {
            let bytes = encode(role, &want);
            for cut in 0..=bytes.len() {
                let (mut decoder, mut frames) = (Decoder::new(role), Vec::new());
                decode(&mut decoder, &bytes[..cut], &mut frames).unwrap();
                decode(&mut decoder, &bytes[cut..], &mut frames).unwrap();
                assert_eq!(frames, want, "cut at {cut}");
            }
            let (mut decoder, mut frames) = (Decoder::new(role), Vec::new());
            for byte in bytes {
                decode(&mut decoder, &[byte], &mut frames).unwrap();
            }
            assert_eq!(frames, want);
        }
    }

    #[test]
    fn f07_a_head_is_told_before_its_payload_and_reserves_nothing() {
        let mut bytes = *b"\x82\xFF\x7F\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01\x02\x03\x04";
        let mut input = &mut bytes[..];
        let chunk = Decoder::new(Role::Server).next(&mut input).unwrap().unwrap();
        assert_eq!((chunk.first, chunk.left, chunk.payload.len()), (true, u64::MAX >> 1, 0));
    }

    #[test]
    fn a_violation_lasts() {
        let mut decoder = Decoder::new(Role::Server);
        for mut bytes in [*b"\x81\x05", *b"\x81\x80"] {
            assert_eq!(decoder.next(&mut &mut bytes[..]), Err(Violation::Unmasked));
        }
    }

    proptest! {
        #[test]
        fn f19_any_frames_at_any_splits(
            frames in prop::collection::vec((any::<bool>(), prop::collection::vec(any::<u8>(), 0..300)), 1..5),
            cuts in prop::collection::vec(1_usize..40, 1..8),
        ) {
            let want: Vec<_> = frames.into_iter().map(|(fin, payload)| (fin, Opcode::Binary, payload)).collect();
            let bytes = encode(Role::Server, &want);
            let (mut decoder, mut frames, mut at) = (Decoder::new(Role::Server), Vec::new(), 0);
            for cut in cuts.into_iter().cycle() {
                if at >= bytes.len() {
                    break;
                }
                let end = bytes.len().min(at + cut);
                decode(&mut decoder, &bytes[at..end], &mut frames).unwrap();
                at = end;
            }
            prop_assert_eq!(frames, want);
        }
    }
}
