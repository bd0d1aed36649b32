//! The head of a frame: RFC 6455 section 5.2.

use super::Violation;

/// Which end we are. A server reads masked frames and writes plain ones, a client the reverse (section 5.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// The end that answered the handshake.
    Server,
    /// The end that asked.
    Client,
}

/// What a frame is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Opcode {
    /// More of an unfinished message.
    Continuation = 0x0,
    /// A text message, or its first fragment.
    Text = 0x1,
    /// A binary message, or its first fragment.
    Binary = 0x2,
    /// The end of the connection.
    Close = 0x8,
    /// A question for a pong.
    Ping = 0x9,
    /// The answer to a ping, or a sign of life.
    Pong = 0xA,
}

/// The head of one frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// The frame ends its message.
    pub fin: bool,
    /// What it is.
    pub opcode: Opcode,
    /// Payload bytes that follow, as announced; reserve nothing from it.
    pub len: u64,
    /// The masking key, or zeros in a frame that is not masked, where it has the same effect.
    pub key: [u8; 4],
}

impl Opcode {
    /// Of a control frame: short, never fragmented, allowed inside a fragmented message (section 5.5).
    pub const fn is_control(self) -> bool {
        self as u8 & 0x8 != 0
    }

    const fn from_bits(bits: u8) -> Option<Self> {
        Some(match bits {
            0x0 => Self::Continuation,
            0x1 => Self::Text,
            0x2 => Self::Binary,
            0x8 => Self::Close,
            0x9 => Self::Ping,
            0xA => Self::Pong,
            _ => return None,
        })
    }
}

impl Head {
    /// Bytes of the longest head: two, a 64-bit length, a masking key.
    pub const MAX_BYTES: usize = 14;
    /// Most payload bytes of a control frame (section 5.5).
    pub const CONTROL_BYTES: u64 = 125;

    /// Reads the head that `bytes` begin with, as the end `role` must: the head and its own size in bytes.
    /// `None` until the head is there as a whole; its first two bytes are judged once both are there.
    ///
    /// # Errors
    /// Whatever section 5.2 or 5.5 forbids in a head. Limits and the order of frames are not judged here.
    #[inline]
    pub fn parse(role: Role, bytes: &[u8]) -> Result<Option<(Self, usize)>, Violation> {
        let [first, second, ..] = *bytes else { return Ok(None) };
        let (opcode, masked) = judge(role, first, second)?;
        let (len, len_end) = match second & LENGTH_BITS {
            LENGTH_16 => {
                let Some(len) = field(bytes, 2) else { return Ok(None) };
                (u64::from(u16::from_be_bytes(len)), 4)
            }
            LENGTH_64 => {
                let Some(len) = field(bytes, 2) else { return Ok(None) };
                (u64::from_be_bytes(len), 10)
            }
            short => (u64::from(short), 2),
        };
        let (key, size) = if masked {
            let Some(key) = field(bytes, len_end) else { return Ok(None) };
            (key, len_end + 4)
        } else {
            ([0; 4], len_end)
        };
        if len >> 63 != 0 {
            return Err(Violation::LengthTopBit);
        }
        if (len_end == 4 && len <= SHORT_MAX) || (len_end == 10 && len <= MEDIUM_MAX) {
            return Err(Violation::LengthNotShortest);
        }
        Ok(Some((Self { fin: first & FIN != 0, opcode, len, key }, size)))
    }

    /// The short way for the most frequent head: a message in one frame. `None` for any other, for one that is not there
    /// as a whole and for a violation: all those are [`parse`](Self::parse)'s. Also gives the head's size in bytes.
    #[inline]
    pub(super) fn parse_message(role: Role, bytes: &[u8]) -> Option<(Self, usize)> {
        let opcode = match *bytes.first()? {
            TEXT_WHOLE => Opcode::Text,
            BINARY_WHOLE => Opcode::Binary,
            _ => return None,
        };
        let masked = match role {
            Role::Server => MASKED,
            Role::Client => 0,
        };
        // The masking bit is gone if it is as it must be; else it makes the length impossible.
        let (len, len_end) = match *bytes.get(1)? ^ masked {
            LENGTH_16 => (u64::from(u16::from_be_bytes(field(bytes, 2)?)), 4),
            LENGTH_64 => (u64::from_be_bytes(field(bytes, 2)?), 10),
            short if u64::from(short) <= SHORT_MAX => (u64::from(short), 2),
            _ => return None,
        };
        if (len_end == 4 && len <= SHORT_MAX) || (len_end == 10 && len <= MEDIUM_MAX) {
            return None;
        }
        let (key, size) = match role {
            Role::Server => (field(bytes, len_end)?, len_end + 4),
            Role::Client => ([0; 4], len_end),
        };
        Some((Self { fin: true, opcode, len, key }, size))
    }
}

#[inline]
fn field<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk().copied()
}

/// What the first two bytes alone allow: the opcode, and whether a masking key follows.
#[inline]
fn judge(role: Role, first: u8, second: u8) -> Result<(Opcode, bool), Violation> {
    if first & RESERVED_BITS != 0 {
        return Err(Violation::ReservedBit);
    }
    let opcode = Opcode::from_bits(first & OPCODE_BITS).ok_or(Violation::ReservedOpcode)?;
    let masked = second & MASKED != 0;
    match role {
        Role::Server if !masked => return Err(Violation::Unmasked),
        Role::Client if masked => return Err(Violation::Masked),
        Role::Server | Role::Client => {}
    }
    if opcode.is_control() {
        if first & FIN == 0 {
            return Err(Violation::ControlFragmented);
        }
        if second & LENGTH_BITS >= LENGTH_16 {
            return Err(Violation::ControlTooLong);
        }
    }
    Ok((opcode, masked))
}

pub(super) const FIN: u8 = 0x80;
pub(super) const MASKED: u8 = 0x80;
pub(super) const LENGTH_16: u8 = 126;
pub(super) const LENGTH_64: u8 = 127;
/// Greatest length that fits the second byte, and greatest that fits 16 bits.
pub(super) const SHORT_MAX: u64 = 125;
pub(super) const MEDIUM_MAX: u64 = 0xFFFF;
const TEXT_WHOLE: u8 = FIN | Opcode::Text as u8;
const BINARY_WHOLE: u8 = FIN | Opcode::Binary as u8;
const RESERVED_BITS: u8 = 0x70;
const OPCODE_BITS: u8 = 0x0F;
const LENGTH_BITS: u8 = 0x7F;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ws::{encode_head, encode_masked_head};

    const KEY: [u8; 4] = [1, 2, 3, 4];

    fn parse(bytes: &[u8]) -> Result<Option<(Head, usize)>, Violation> {
        Head::parse(Role::Server, bytes)
    }

    #[test]
    fn reads_what_encode_wrote_at_every_length_form_and_needs_all_of_it() {
        for len in [0, 1, 125, 126, 127, 65_535, 65_536, u64::MAX >> 1] {
            for (opcode, fin) in [(Opcode::Text, true), (Opcode::Binary, false), (Opcode::Continuation, true)] {
                let masked = encode_masked_head(fin, opcode, len, KEY);
                let plain = encode_head(fin, opcode, len);
                for (role, bytes, key) in [(Role::Server, &masked[..], KEY), (Role::Client, &plain[..], [0; 4])] {
                    let want = Head { fin, opcode, len, key };
                    assert_eq!(Head::parse(role, bytes), Ok(Some((want, bytes.len()))));
                    for cut in 0..bytes.len() {
                        assert_eq!(Head::parse(role, &bytes[..cut]), Ok(None), "{len} cut at {cut}");
                    }
                }
            }
        }
    }

    /// Over all first and second bytes, and lengths around each border: it says what `parse` says, or nothing.
    #[test]
    fn the_short_way_agrees_with_the_long_one() {
        for (first, second) in (0..=u16::MAX).map(|pair| (pair as u8, (pair >> 8) as u8)) {
            for len in [0_u64, 125, 126, 65_535, 65_536, 1 << 63] {
                let bytes = match second & LENGTH_BITS {
                    LENGTH_16 => [&[first, second][..], &(len as u16).to_be_bytes(), &KEY].concat(),
                    _ => [&[first, second][..], &len.to_be_bytes(), &KEY].concat(),
                };
                for role in [Role::Server, Role::Client] {
                    let parsed = Head::parse(role, &bytes).ok().flatten();
                    let message = parsed.filter(|(head, _)| head.fin && matches!(first & OPCODE_BITS, 1 | 2));
                    let short = Head::parse_message(role, &bytes).filter(|(head, _)| head.len >> 63 == 0);
                    assert_eq!(short, message, "{}", bytes.escape_ascii());
                }
            }
        }
    }

    #[test]
    fn f01_masking_follows_the_role() {
        assert_eq!(parse(b"\x81\x05"), Err(Violation::Unmasked));
        assert_eq!(Head::parse(Role::Client, b"\x81\x85"), Err(Violation::Masked));
    }

    #[test]
    fn f02_f03_reserved_bits_and_opcodes() {
        for bit in [0x40, 0x20, 0x10] {
            assert_eq!(parse(&[0x81 | bit, 0x80]), Err(Violation::ReservedBit));
        }
        for opcode in 0..16 {
            let known = matches!(opcode, 0 | 1 | 2 | 8 | 9 | 10);
            assert_eq!(parse(&[0x80 | opcode, 0x80]) == Err(Violation::ReservedOpcode), !known, "{opcode}");
        }
    }

    #[test]
    fn f04_control_frames_are_short_and_whole() {
        for opcode in [8, 9, 10] {
            assert!(matches!(parse(&[0x80 | opcode, 0x80 | 125, 0, 0, 0, 0]), Ok(Some(_))));
            assert_eq!(parse(&[0x80 | opcode, 0x80 | 126]), Err(Violation::ControlTooLong));
            assert_eq!(parse(&[0x80 | opcode, 0x80 | 127]), Err(Violation::ControlTooLong));
            assert_eq!(parse(&[opcode, 0x80]), Err(Violation::ControlFragmented));
        }
    }

    #[test]
    fn f05_the_top_bit_of_a_length_is_refused() {
        let head = |len: u64| [&[0x82, 0xFF][..], &len.to_be_bytes(), &KEY].concat();
        assert!(matches!(parse(&head(u64::MAX >> 1)), Ok(Some(_))));
        assert_eq!(parse(&head(1 << 63)), Err(Violation::LengthTopBit));
        assert_eq!(parse(&head(u64::MAX)), Err(Violation::LengthTopBit));
    }

    #[test]
    fn f08_a_length_has_its_shortest_form() {
        let medium = |len: u16| [&[0x82, 0xFE][..], &len.to_be_bytes(), &KEY].concat();
        let long = |len: u64| [&[0x82, 0xFF][..], &len.to_be_bytes(), &KEY].concat();
        assert_eq!(parse(&medium(125)), Err(Violation::LengthNotShortest));
        assert!(matches!(parse(&medium(126)), Ok(Some(_))));
        assert_eq!(parse(&long(65_535)), Err(Violation::LengthNotShortest));
        assert!(matches!(parse(&long(65_536)), Ok(Some(_))));
    }
}
