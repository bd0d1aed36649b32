//! Text, unmasked and checked in one go: RFC 6455 sections 5.3, 5.6 and 8.1.

use super::mask::{mask_and_scan, turn};
use super::utf8::{check_unfinished, is_utf8, length, unfinished};
use super::vector::{self, SHORT, Seen};

/// Unmasks a text where it lies. Whether it is UTF-8.
#[inline]
pub(super) fn unmask_whole(payload: &mut [u8], key: [u8; 4]) -> bool {
    whole_by(vector::unmask_text, payload, key)
}

#[inline(always)]
fn whole_by(vectors: impl Vectors, payload: &mut [u8], key: [u8; 4]) -> bool {
    if payload.len() < SHORT {
        return mask_and_scan(payload, key) || is_utf8(payload);
    }
    match vectors(payload, key) {
        Some(Seen::Ascii) => true,
        Some(Seen::Text) => !is_cut_off(payload),
        Some(Seen::Fault) => false,
        None => mask_and_scan(payload, key) || is_utf8(payload),
    }
}

/// Unmasks a piece of a text where it lies, and judges it. `begun`: the bytes before it that begin a character, as
/// the answer for the piece before said.
///
/// `None` once no continuation could make it right, else the number of bytes at the end of `begun` and `piece` together
/// (0 to 3) that begin a character.
pub(super) fn unmask_piece(begun: &[u8], piece: &mut [u8], key: [u8; 4]) -> Option<u8> {
    piece_by(vector::unmask_text, begun, piece, key)
}

#[inline(always)]
fn piece_by(vectors: impl Vectors, begun: &[u8], mut piece: &mut [u8], mut key: [u8; 4]) -> Option<u8> {
    if let Some(first) = begun.first() {
        let mut character = [0; 4];
        let lacking = length(*first).saturating_sub(begun.len()).min(piece.len());
        let (end, rest) = piece.split_at_mut(lacking);
        mask_and_scan(end, key);
        let known = begun.iter().chain(&*end);
        let count = character.iter_mut().zip(known).map(|(byte, known)| *byte = *known).count();
        let pending = check_unfinished(character.get(..count)?)?;
        if rest.is_empty() {
            return Some(pending);
        }
        (piece, key) = (rest, turn(key, lacking));
    }
    let seen = if piece.len() < SHORT { None } else { vectors(piece, key) };
    match seen {
        Some(Seen::Ascii) => Some(0),
        Some(Seen::Text) => {
            let pending = unfinished(piece);
            (pending != 0 || !is_cut_off(piece)).then_some(pending)
        }
        Some(Seen::Fault) => None,
        None if mask_and_scan(piece, key) => Some(0),
        None => check_unfinished(piece),
    }
}

/// Whether the last character is not all there, or never can be. Nothing else at the end is judged.
fn is_cut_off(bytes: &[u8]) -> bool {
    matches!(bytes, [.., 0xC0..=0xFF] | [.., 0xE0..=0xFF, _] | [.., 0xF0..=0xFF, _, _])
}

/// As [`vector::unmask_text`].
trait Vectors: Fn(&mut [u8], [u8; 4]) -> Option<Seen> {}

impl<F: Fn(&mut [u8], [u8; 4]) -> Option<Seen>> Vectors for F {}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::{string::String, vec::Vec};
    use proptest::prelude::*;

    const KEY: [u8; 4] = [0x12, 0x34, 0xD6, 0x78];
    /// Lengths that fill vectors and blocks of them, or miss by one.
    const LENGTHS: [usize; 9] = [31, 64, 65, 96, 97, 128, 129, 160, 191];

    fn masked(plain: &[u8]) -> Vec<u8> {
        plain.iter().zip(KEY.iter().cycle()).map(|(byte, key)| byte ^ key).collect()
    }

    /// What the standard library says of the same question.
    fn reference(bytes: &[u8]) -> Option<u8> {
        match str::from_utf8(bytes) {
            Ok(_) => Some(0),
            Err(e) if e.error_len().is_none() => Some((bytes.len() - e.valid_up_to()) as u8),
            Err(_) => None,
        }
    }

    /// With each kind of vectors that this processor has, and with none.
    fn each_way(judge: impl Fn(vector::Unmask)) {
        [vector::each_kind(), &[|_, _| None]].concat().into_iter().for_each(judge);
    }

    fn judge(plain: &[u8]) {
        each_way(|vectors| {
            let mut bytes = masked(plain);
            let told = whole_by(vectors, &mut bytes, KEY);
            assert_eq!(told, str::from_utf8(plain).is_ok(), "{}", plain.escape_ascii());
            assert_eq!(bytes, plain);
            let mut bytes = masked(plain);
            let told = piece_by(vectors, b"", &mut bytes, KEY);
            assert_eq!(told, reference(plain), "{}", plain.escape_ascii());
            assert_eq!(bytes, plain);
        });
    }

    /// Each of the sequences at each place of texts of each length, so that it lies in every vector and over every seam.
    fn at_every_place(sequences: &[&[u8]], fillers: &[&str]) {
        for (len, filler) in LENGTHS.into_iter().flat_map(|len| fillers.iter().map(move |filler| (len, filler))) {
            let filled = filler.repeat(len);
            for sequence in sequences {
                for at in 0..=len.saturating_sub(sequence.len()) {
                    let before = &filled[..filled.floor_char_boundary(at)];
                    let behind = len.saturating_sub(before.len() + sequence.len());
                    let behind = &filled[..filled.floor_char_boundary(behind)];
                    judge(&[before.as_bytes(), sequence, behind.as_bytes()].concat());
                }
            }
        }
    }

    #[test]
    fn f12_each_kind_of_impossible_text_at_every_place() {
        at_every_place(
            &[
                b"\x80",
                b"\xBF\xBF",
                b"\xC0\x80",
                b"\xC1\xBF",
                b"\xC2",
                b"\xC2\xC2",
                b"\xDF\x80\x80",
                b"\xE0\x80\x80",
                b"\xE0\x9F\xBF",
                b"\xE2\x82",
                b"\xE2\xE2\x82",
                b"\xED\xA0\x80",
                b"\xED\xBF\xBF",
                b"\xEF\xBF\xBF\xBF",
                b"\xF0\x80\x80\x80",
                b"\xF0\x8F\xBF\xBF",
                b"\xF0\x9D\x84",
                b"\xF4\x90\x80\x80",
                b"\xF4\x8F\xBF\xBF\xBF",
                b"\xF5\x80\x80\x80",
                b"\xF8\x88\x80\x80\x80",
                b"\xFF",
            ],
            &["a", "é", "𝄞a"],
        );
    }

    #[test]
    fn the_first_and_last_character_of_each_length_at_every_place() {
        let edges = ["\0", "\u{7F}", "\u{80}", "\u{7FF}", "\u{800}", "\u{D7FF}", "\u{E000}", "\u{FFFF}"];
        let edges: Vec<&[u8]> = edges.iter().chain(&["\u{10000}", "\u{10FFFF}"]).map(|edge| edge.as_bytes()).collect();
        at_every_place(&edges, &["a", "ж", "漢", "😀"]);
    }

    /// Every pair of bytes that is not ASCII, over the seam of two vectors and inside of one.
    #[test]
    fn every_pair_of_bytes_is_judged_as_the_standard_library_does() {
        let mut plain = [b'a'; 96];
        for (at, first, second) in [31, 40]
            .into_iter()
            .flat_map(|at| (0x7F..=0xFF).flat_map(move |first| (0..=0xFF).map(move |second| (at, first, second))))
        {
            for rest in [b"aa", b"\x80a", b"\x80\x80"] {
                [plain[at], plain[at + 1], plain[at + 2], plain[at + 3]] = [first, second, rest[0], rest[1]];
                let right = str::from_utf8(&plain).is_ok();
                each_way(|vectors| {
                    assert_eq!(whole_by(vectors, &mut masked(&plain), KEY), right, "{first:x} {second:x} {rest:x?}");
                });
            }
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_judged_as_the_standard_library_does(
            before in "\\PC{0,60}", bytes in prop::collection::vec(any::<u8>(), 0..6), behind in "\\PC{0,60}",
        ) {
            judge(&[before.as_bytes(), &bytes, behind.as_bytes()].concat());
        }

        #[test]
        fn pieces_are_judged_as_the_whole_is(
            text: String, rest in prop::collection::vec(any::<u8>(), 0..4), size in 1_usize..150,
        ) {
            let plain = [text.as_bytes(), &rest, text.as_bytes()].concat();
            let (mut seen, mut pending) = (Vec::new(), 0);
            for piece in plain.chunks(size) {
                let begun = seen[seen.len() - usize::from(pending)..].to_vec();
                let mut bytes = masked(piece);
                let told = unmask_piece(&begun, &mut bytes, KEY);
                seen.extend_from_slice(piece);
                prop_assert_eq!(told, reference(&seen));
                let Some(now) = told else { break };
                prop_assert_eq!(&bytes, piece);
                pending = now;
            }
        }
    }
}
