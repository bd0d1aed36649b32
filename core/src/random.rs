//! The machine's only source of chance: a stream cipher keyed by the embedder's seed.

use alloc::string::String;
use alloc::sync::Arc;

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

/// Unguessable as long as the seed is; the same for the same seed.
#[derive(Debug)]
pub(crate) struct Random(ChaCha20Rng);

impl Random {
    pub(crate) fn new(seed: [u8; 16]) -> Self {
        let mut key = [0; 32];
        key[..16].copy_from_slice(&seed);
        key[16..].copy_from_slice(b"tethered.random.");
        Self(ChaCha20Rng::from_seed(key))
    }

    /// A session id as Spring makes them: a random UUID (RFC 9562 version 4: 122 random bits) in lower case.
    pub(crate) fn session_id(&mut self) -> Arc<str> {
        let mut bytes = [0; 16];
        self.0.fill_bytes(&mut bytes);
        bytes[6] = bytes[6] & 0x0f | 0x40;
        bytes[8] = bytes[8] & 0x3f | 0x80;
        let mut text = String::with_capacity(36);
        for (i, byte) in bytes.iter().enumerate() {
            if matches!(i, 4 | 6 | 8 | 10) {
                text.push('-');
            }
            text.push(char::from(HEX[usize::from(byte >> 4)]));
            text.push(char::from(HEX[usize::from(byte & 15)]));
        }
        Arc::from(text)
    }

    /// 32 random bits.
    pub(crate) fn entropy(&mut self) -> u32 {
        self.0.next_u32()
    }

    /// Eight random hex digits: tells one run of a server from another.
    pub(crate) fn run(&mut self) -> String {
        alloc::format!("{:08x}", self.0.next_u32())
    }
}

const HEX: &[u8; 16] = b"0123456789abcdef";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn session_ids_are_uuids_and_differ() {
        let mut random = Random::new([7; 16]);
        let (a, b) = (random.session_id(), random.session_id());
        assert_ne!(a, b);
        for id in [&a, &b] {
            let parts: alloc::vec::Vec<usize> = id.split('-').map(str::len).collect();
            assert_eq!(parts, [8, 4, 4, 4, 12]);
            assert_eq!(&id[14..15], "4");
            assert!("89ab".contains(&id[19..20]));
            assert!(id.bytes().all(|b| b == b'-' || b.is_ascii_digit() || (b'a'..=b'f').contains(&b)));
        }
        assert_eq!(Random::new([7; 16]).session_id(), a);
        assert_ne!(Random::new([8; 16]).session_id(), a);
    }
}
