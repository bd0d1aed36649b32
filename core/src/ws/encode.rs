//! Frames written: RFC 6455 section 5.2, always in the shortest form and without a reserved bit.

use bytes::BufMut;
use core::ops::Deref;

use super::head::{FIN, LENGTH_16, LENGTH_64, MASKED, MEDIUM_MAX, SHORT_MAX};
use super::{Head, Opcode, mask};

/// The bytes of one frame head: 2 to 14.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EncodedHead {
    bytes: [u8; Head::MAX_BYTES],
    len: u8,
}

/// The head of a frame that is not masked, as a server sends it. `len` is in payload bytes; no memory holds one that
/// would not fit the 63 bits of section 5.2.
pub fn encode_head(fin: bool, opcode: Opcode, len: u64) -> EncodedHead {
    EncodedHead::new(fin, opcode, len, 0)
}

/// The head of a masked frame, as a client sends it; the payload must then be passed through [`mask`].
/// Section 5.3: the key must be fresh for each frame and not to be foreseen.
pub fn encode_masked_head(fin: bool, opcode: Opcode, len: u64, key: [u8; 4]) -> EncodedHead {
    let mut head = EncodedHead::new(fin, opcode, len, MASKED);
    let end = usize::from(head.len);
    head.bytes[end..end + 4].copy_from_slice(&key);
    head.len += 4;
    head
}

/// Appends a frame as a server sends it.
///
/// # Panics
/// If `out` is of fixed capacity and too small; `Vec` and `BytesMut` grow.
pub fn write_frame(out: &mut impl BufMut, fin: bool, opcode: Opcode, payload: &[u8]) {
    out.put_slice(&encode_head(fin, opcode, payload.len() as u64));
    out.put_slice(payload);
}

/// Appends a frame as a client sends it, masked with `key` (see [`encode_masked_head`]).
///
/// # Panics
/// As [`write_frame`].
pub fn write_masked_frame(out: &mut impl BufMut, fin: bool, opcode: Opcode, key: [u8; 4], payload: &[u8]) {
    out.put_slice(&encode_masked_head(fin, opcode, payload.len() as u64, key));
    let mut block = [0; MASK_BLOCK];
    for part in payload.chunks(MASK_BLOCK) {
        let block = &mut block[..part.len()];
        block.copy_from_slice(part);
        mask(block, key);
        out.put_slice(block);
    }
}

/// A multiple of the key's length, so that each block starts with the key's first byte.
const MASK_BLOCK: usize = 512;

impl EncodedHead {
    fn new(fin: bool, opcode: Opcode, len: u64, masked: u8) -> Self {
        debug_assert!(len >> 63 == 0, "no payload is that long");
        let mut bytes = [0; Head::MAX_BYTES];
        bytes[0] = opcode as u8 | if fin { FIN } else { 0 };
        let size = if len <= SHORT_MAX {
            bytes[1] = masked | len as u8;
            2
        } else if len <= MEDIUM_MAX {
            bytes[1] = masked | LENGTH_16;
            bytes[2..4].copy_from_slice(&(len as u16).to_be_bytes());
            4
        } else {
            bytes[1] = masked | LENGTH_64;
            bytes[2..10].copy_from_slice(&len.to_be_bytes());
            10
        };
        Self { bytes, len: size }
    }
}

impl Deref for EncodedHead {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}

impl AsRef<[u8]> for EncodedHead {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;
    use bytes::BytesMut;

    /// The examples of section 5.7.
    #[test]
    fn writes_the_frames_of_the_rfc() {
        let mut out = Vec::new();
        write_frame(&mut out, true, Opcode::Text, b"Hello");
        assert_eq!(out, b"\x81\x05Hello");
        out.clear();
        write_masked_frame(&mut out, true, Opcode::Text, [0x37, 0xFA, 0x21, 0x3D], b"Hello");
        assert_eq!(out, b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58");
        assert_eq!(&*encode_head(false, Opcode::Text, 3), b"\x01\x03");
        assert_eq!(&*encode_head(true, Opcode::Binary, 256), b"\x82\x7E\x01\x00");
        assert_eq!(&*encode_head(true, Opcode::Binary, 65_536), b"\x82\x7F\x00\x00\x00\x00\x00\x01\x00\x00");
    }

    /// F23: nothing we send is masked or has a reserved bit, at any length form.
    #[test]
    fn f23_server_frames_are_plain() {
        for len in [0, 125, 126, 65_535, 65_536, 1 << 40] {
            let head = encode_head(true, Opcode::Binary, len);
            assert_eq!((head[0], head[1] & MASKED), (0x82, 0));
        }
    }

    #[test]
    fn masks_across_blocks_and_into_any_buffer() {
        let payload: Vec<u8> = (0..MASK_BLOCK * 2 + 3).map(|i| i as u8).collect();
        let mut out = BytesMut::new();
        write_masked_frame(&mut out, true, Opcode::Binary, [9, 8, 7, 6], &payload);
        let mut body = out[8..].to_vec();
        assert_ne!(body, payload);
        mask(&mut body, [9, 8, 7, 6]);
        assert_eq!(body, payload);
    }
}
