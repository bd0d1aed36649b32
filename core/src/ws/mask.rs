//! Masking: RFC 6455 section 5.3. Masking and unmasking are the same.

/// XORs `payload` with `key`, repeated, from the key's first byte on.
#[inline]
pub fn mask(payload: &mut [u8], key: [u8; 4]) {
    mask_and_scan(payload, key);
}

/// As [`mask`]; tells whether every byte it leaves is ASCII, which costs next to nothing while the bytes are in hand.
#[inline]
pub(super) fn mask_and_scan(payload: &mut [u8], key: [u8; 4]) -> bool {
    let key = u32::from_ne_bytes(key);
    let key = u64::from(key) << 32 | u64::from(key);
    let mut seen = 0;
    let (words, tail) = payload.as_chunks_mut::<8>();
    for word in words {
        let plain = u64::from_ne_bytes(*word) ^ key;
        seen |= plain;
        *word = plain.to_ne_bytes();
    }
    for (byte, key) in tail.iter_mut().zip(key.to_ne_bytes()) {
        *byte ^= key;
        seen |= u64::from(*byte);
    }
    seen & NOT_ASCII == 0
}

const NOT_ASCII: u64 = 0x8080_8080_8080_8080;

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    const KEY: [u8; 4] = [0x12, 0x34, 0xD6, 0x78];

    fn naive(payload: &[u8], key: [u8; 4]) -> Vec<u8> {
        payload.iter().enumerate().map(|(i, b)| b ^ key[i % 4]).collect()
    }

    #[test]
    fn equals_the_naive_form_at_every_length_and_alignment() {
        let source: Vec<u8> = (0..300_u32).map(|i| (i * 7) as u8).collect();
        for start in 0..9 {
            for end in start..source.len() {
                let mut bytes = source.clone();
                mask(&mut bytes[start..end], KEY);
                assert_eq!(bytes[start..end], naive(&source[start..end], KEY));
                assert_eq!((&bytes[..start], &bytes[end..]), (&source[..start], &source[end..]));
            }
        }
    }

    #[test]
    fn one_byte_that_is_not_ascii_is_seen_at_every_place() {
        for len in 0..140 {
            let mut plain = alloc::vec![b'a'; len];
            assert!(mask_and_scan(&mut naive(&plain, KEY), KEY), "{len}");
            for at in 0..len {
                plain[at] = 0x80;
                assert!(!mask_and_scan(&mut naive(&plain, KEY), KEY), "{len} at {at}");
                plain[at] = b'a';
            }
        }
    }
}
