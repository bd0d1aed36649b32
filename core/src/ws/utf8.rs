//! UTF-8, whole and cut anywhere: RFC 6455 section 8.1, RFC 3629.

/// Whether the bytes are UTF-8.
#[inline]
pub fn is_utf8(bytes: &[u8]) -> bool {
    if (PADDED_MIN..VECTORS).contains(&bytes.len()) {
        return is_utf8_padded(bytes);
    }
    simdutf8::basic::from_utf8(bytes).is_ok()
}

/// For what is too short for vectors and long for a loop: NULs behind it change neither answer.
#[inline(never)]
fn is_utf8_padded(bytes: &[u8]) -> bool {
    let mut padded = [0; VECTORS];
    padded[..bytes.len()].copy_from_slice(bytes);
    simdutf8::basic::from_utf8(&padded).is_ok()
}

/// Bytes from which on simdutf8 uses vectors.
const VECTORS: usize = 64;
/// Bytes from which on padding pays.
const PADDED_MIN: usize = 32;

/// Judges text of which more is to come: `None` once it holds a byte that no continuation could make right, else the
/// number of bytes at its end (0 to 3) that begin a character and must be shown again with what follows.
#[inline]
pub(super) fn check_unfinished(bytes: &[u8]) -> Option<u8> {
    let pending = unfinished(bytes);
    is_utf8(&bytes[..bytes.len() - usize::from(pending)]).then_some(pending)
}

/// Length of the character that begins with this byte; 1 for what begins none.
pub(super) fn length(first: u8) -> usize {
    match first {
        0xC2..=0xDF => 2,
        0xE0..=0xEF => 3,
        0xF0..=0xF4 => 4,
        _ => 1,
    }
}

/// Length of the incomplete character at the end. One that cannot be completed counts as 0, which leaves it to the check.
pub(super) fn unfinished(bytes: &[u8]) -> u8 {
    match *bytes {
        [.., 0xC2..=0xF4] => 1,
        [.., 0xE0, 0xA0..=0xBF]
        | [.., 0xE1..=0xEC | 0xEE..=0xEF, 0x80..=0xBF]
        | [.., 0xED, 0x80..=0x9F]
        | [.., 0xF0, 0x90..=0xBF]
        | [.., 0xF1..=0xF3, 0x80..=0xBF]
        | [.., 0xF4, 0x80..=0x8F] => 2,
        [.., 0xF0, 0x90..=0xBF, 0x80..=0xBF]
        | [.., 0xF1..=0xF3, 0x80..=0xBF, 0x80..=0xBF]
        | [.., 0xF4, 0x80..=0x8F, 0x80..=0xBF] => 3,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What the standard library says of the same question.
    fn reference(bytes: &[u8]) -> Option<u8> {
        match str::from_utf8(bytes) {
            Ok(_) => Some(0),
            Err(e) if e.error_len().is_none() => Some((bytes.len() - e.valid_up_to()) as u8),
            Err(_) => None,
        }
    }

    #[test]
    fn every_one_two_and_three_byte_text_is_judged_as_the_standard_library_does() {
        for a in 0..=255 {
            assert_eq!(check_unfinished(&[a]), reference(&[a]));
            for b in 0..=255 {
                assert_eq!(check_unfinished(&[a, b]), reference(&[a, b]), "{a:x} {b:x}");
                for c in (0..=255).step_by(if a < 0xC0 { 51 } else { 1 }) {
                    assert_eq!(check_unfinished(&[a, b, c]), reference(&[a, b, c]), "{a:x} {b:x} {c:x}");
                }
            }
        }
    }

    #[test]
    fn f12_each_kind_of_impossible_text_is_refused_at_its_first_byte() {
        for (valid, bad) in [
            (&b"a"[..], 0x80), // a continuation of nothing
            (b"a", 0xC0),      // overlong
            (b"a", 0xC1),
            (b"\xE0", 0x9F),
            (b"\xF0", 0x8F),
            (b"\xED", 0xA0), // a surrogate
            (b"\xF4", 0x90), // above 10FFFF
            (b"a", 0xF5),
            (b"a", 0xFF),
            (b"\xE2\x82", b'a'), // cut off inside
            (b"\xF0\x9D\x84", 0xC3),
        ] {
            assert!(check_unfinished(valid).is_some());
            assert_eq!(check_unfinished(&[valid, &[bad]].concat()), None, "{} {bad:x}", valid.escape_ascii());
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_judged_as_the_standard_library_does(bytes: alloc::vec::Vec<u8>) {
            prop_assert_eq!(check_unfinished(&bytes), reference(&bytes));
        }

        #[test]
        fn any_cut_of_a_text_leaves_what_the_standard_library_says(text: alloc::string::String, cut: usize) {
            let bytes = &text.as_bytes()[..cut % (text.len() + 1)];
            prop_assert_eq!(check_unfinished(bytes), reference(bytes));
        }
    }
}
