//! The frames that are fed: made once, the same for every implementation.

use std::rc::Rc;
use tethered_core::ws::{Opcode, encode_head, write_masked_frame};

/// What the messages hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Random bytes.
    Binary,
    /// Text of one byte a character.
    Ascii,
    /// Text in several scripts, of one to four bytes a character.
    NonAscii,
}

/// Messages of one kind and size, in one masked frame each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Case {
    /// What they hold.
    pub kind: Kind,
    /// Payload bytes of each.
    pub size: usize,
}

/// What was read. Laid out as C has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[repr(C)]
pub struct Tally {
    /// Messages.
    pub messages: u64,
    /// Their payload bytes together.
    pub bytes: u64,
}

/// The bytes of many frames, and what they are.
#[derive(Debug, Clone)]
pub struct Wire {
    /// As a client sends them.
    pub bytes: Rc<[u8]>,
    /// What a server must read in them.
    pub tally: Tally,
}

/// The sizes that are measured, in payload bytes.
pub const SIZES: [usize; 5] = [16, 128, 1 << 10, 64 << 10, 1 << 20];
/// The sizes of the reads that are measured.
pub const CHUNKS: [usize; 2] = [4 << 10, 64 << 10];
/// The kinds that are measured.
pub const KINDS: [Kind; 3] = [Kind::Binary, Kind::Ascii, Kind::NonAscii];
/// The largest message that any implementation must take.
pub const MESSAGE_MAX: usize = 4 << 20;

impl Kind {
    /// For tables and command lines.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Binary => "binary",
            Self::Ascii => "ascii",
            Self::NonAscii => "non-ascii",
        }
    }

    /// Of its messages.
    pub const fn opcode(self) -> Opcode {
        match self {
            Self::Binary => Opcode::Binary,
            Self::Ascii | Self::NonAscii => Opcode::Text,
        }
    }
}

impl Case {
    /// Each kind at each of these sizes.
    pub fn all(sizes: &[usize]) -> impl Iterator<Item = Self> {
        sizes.iter().flat_map(|&size| KINDS.map(|kind| Self { kind, size }))
    }

    /// The payload of one message.
    pub fn payload(self) -> Vec<u8> {
        match self.kind {
            Kind::Binary => {
                let mut random = Lcg(7);
                (0..self.size).map(|_| random.next() as u8).collect()
            }
            Kind::Ascii => repeated("The quick brown fox jumps over the lazy dog; 0123456789. ", self.size),
            Kind::NonAscii => repeated("Zażółć gęślą jaźń – съешь ещё булок, いろはにほへと 漢字 😀🎈 ", self.size),
        }
    }

    /// Bytes of one frame as a server writes it.
    pub fn frame_bytes(self) -> u64 {
        let head = encode_head(true, self.kind.opcode(), self.size as u64);
        (head.len() + self.size) as u64
    }

    /// Enough messages that a reset of the feed does not count, few enough that they stay in the cache.
    pub fn messages(self) -> usize {
        ((128 << 10) / self.size).clamp(2, 2_000)
    }

    /// The frames as a client sends them.
    pub fn wire(self) -> Wire {
        self.wire_of(self.messages())
    }

    /// So many of them.
    pub fn wire_of(self, messages: usize) -> Wire {
        let (payload, mut random, mut bytes) = (self.payload(), Lcg(1), Vec::new());
        for _ in 0..messages {
            write_masked_frame(&mut bytes, true, self.kind.opcode(), random.next().to_ne_bytes(), &payload);
        }
        let messages = messages as u64;
        Wire { bytes: bytes.into(), tally: Tally { messages, bytes: messages * self.size as u64 } }
    }
}

impl Tally {
    /// Counts one message, and lets the compiler think that it is looked at.
    #[inline]
    pub fn add(&mut self, payload: &[u8]) {
        self.messages += 1;
        self.bytes += std::hint::black_box(payload).len() as u64;
    }
}

/// The phrase over and over, cut at a character and filled up with dots.
fn repeated(phrase: &str, size: usize) -> Vec<u8> {
    let text = phrase.repeat(size / phrase.len() + 1);
    let mut bytes = text.as_bytes()[..text.floor_char_boundary(size)].to_vec();
    bytes.resize(size, b'.');
    bytes
}

/// Numbers that are the same at each run.
struct Lcg(u64);

impl Lcg {
    fn next(&mut self) -> u32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 32) as u32
    }
}
