//! Masking: RFC 6455 section 5.3. Masking and unmasking are the same.

use alloc::vec::Vec;

use super::vector::widest;

/// XORs `payload` with `key`, repeated, from the key's first byte on.
#[inline]
pub fn mask(payload: &mut [u8], key: [u8; 4]) {
    mask_and_scan(payload, key);
}

/// As [`mask`]; tells whether every byte it leaves is ASCII, which costs next to nothing while the bytes are in hand.
#[inline]
pub(super) fn mask_and_scan(payload: &mut [u8], key: [u8; 4]) -> bool {
    if payload.len() < LONG { mask_words(payload, key) } else { mask_long(payload, key) }
}

#[inline(never)]
fn mask_long(payload: &mut [u8], key: [u8; 4]) -> bool {
    // A vector over the seam of two cache lines is read and written twice.
    let (start, rest) = payload.split_at_mut(payload.as_ptr().align_offset(BLOCK).min(payload.len()));
    let rest_key = turn(key, start.len());
    let ascii = mask_words(start, key);
    ascii
        & widest(
            #[inline(always)]
            || mask_words(rest, rest_key),
        )
}

#[inline(always)]
fn mask_words(payload: &mut [u8], key: [u8; 4]) -> bool {
    let word_key = repeat(key);
    let mut seen = 0;
    let Some(last) = payload.last_chunk::<8>() else {
        for (byte, key) in payload.iter_mut().zip(word_key.to_ne_bytes()) {
            *byte ^= key;
            seen |= *byte;
        }
        return seen.is_ascii();
    };
    // The last word is made from what was there before the loop, and overlaps the one before: no tail of single bytes.
    let last = u64::from_ne_bytes(*last) ^ repeat(turn(key, payload.len()));
    let mut seen = last;
    for word in payload.as_chunks_mut::<8>().0 {
        let plain = u64::from_ne_bytes(*word) ^ word_key;
        seen |= plain;
        *word = plain.to_ne_bytes();
    }
    if let Some(end) = payload.last_chunk_mut::<8>() {
        *end = last.to_ne_bytes();
    }
    seen & NOT_ASCII == 0
}

/// The key for what comes `by` bytes later.
#[inline]
pub(super) fn turn(key: [u8; 4], by: usize) -> [u8; 4] {
    u32::from_le_bytes(key).rotate_right(8 * (by % 4) as u32).to_le_bytes()
}

fn repeat(key: [u8; 4]) -> u64 {
    let key = u32::from_ne_bytes(key);
    u64::from(key) << 32 | u64::from(key)
}

/// As [`mask`], the result appended to `out`: masked on the way, in one pass. `payload` is used up.
pub(super) fn append_masked(out: &mut Vec<u8>, payload: &mut [u8], key: [u8; 4]) {
    let mut keys = [0; BLOCK];
    keys.as_chunks_mut().0.fill(key);
    let (blocks, tail) = payload.as_chunks_mut::<BLOCK>();
    // The standard library knows the length of a flat map to arrays beforehand: this reserves once and then only stores.
    out.extend(blocks.iter().flat_map(|block| {
        let mut plain = *block;
        for (byte, key) in plain.iter_mut().zip(keys) {
            *byte ^= key;
        }
        plain
    }));
    mask(tail, key);
    out.extend_from_slice(tail);
}

/// Bytes that the processor's vectors take at once, and a multiple of the key's length.
const BLOCK: usize = 32;
/// Bytes from which on wider vectors pay.
const LONG: usize = 192;
const NOT_ASCII: u64 = 0x8080_8080_8080_8080;

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: [u8; 4] = [0x12, 0x34, 0xD6, 0x78];

    fn naive(payload: &[u8], key: [u8; 4]) -> Vec<u8> {
        payload.iter().enumerate().map(|(i, b)| b ^ key[i % 4]).collect()
    }

    #[test]
    fn equals_the_naive_form_at_every_length_and_alignment() {
        let source: Vec<u8> = (0..500_u32).map(|i| (i * 7) as u8).collect();
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
    fn a_turned_key_goes_on_where_the_payload_was_cut() {
        let source: Vec<u8> = (0..40).collect();
        for cut in 0..source.len() {
            let mut bytes = source.clone();
            mask(&mut bytes[..cut], KEY);
            mask(&mut bytes[cut..], turn(KEY, cut));
            assert_eq!(bytes, naive(&source, KEY));
        }
    }

    #[test]
    fn appending_equals_the_naive_form_at_every_length() {
        let source: Vec<u8> = (0..300_u32).map(|i| (i * 7) as u8).collect();
        for len in 0..source.len() {
            let (mut out, mut bytes) = (b"before".to_vec(), source[..len].to_vec());
            append_masked(&mut out, &mut bytes, KEY);
            assert_eq!(out, [&b"before"[..], &naive(&source[..len], KEY)].concat());
        }
    }

    #[test]
    fn one_byte_that_is_not_ascii_is_seen_at_every_place() {
        let scan = |plain: &[u8]| mask_and_scan(&mut naive(plain, KEY), KEY);
        for len in 0..300 {
            let mut plain = alloc::vec![b'a'; len];
            assert!(scan(&plain), "{len}");
            for at in 0..len {
                plain[at] = 0x80;
                assert!(!scan(&plain), "{len} at {at}");
                plain[at] = b'a';
            }
        }
    }
}
