//! Tokens that prove a form is ours.
//!
//! A token is the text of a random UUID. What a page carries is masked afresh each time:
//! [`tethered_core::session::csrf`].

use serde::Serialize;
use tethered_core::http;
use tethered_core::session::csrf::mask as mask_with;
pub(super) use tethered_core::session::csrf::matches;

use super::{Random, pages};
pub(super) use crate::settings::CSRF_HEADER as HEADER;

/// The form field with the token.
pub(super) const FIELD: &str = "_csrf";
/// Bytes of a token's text.
const LEN: usize = 36;

/// A new token.
pub(super) fn token(random: &mut Random<'_>) -> String {
    let mut bytes = [0; 16];
    random(&mut bytes);
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let n = u128::from_be_bytes(bytes);
    format!(
        "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
        n >> 96,
        n >> 80 & 0xffff,
        n >> 64 & 0xffff,
        n >> 48 & 0xffff,
        n & 0xffff_ffff_ffff
    )
}

/// Whether this can be a token of ours.
pub(super) fn is_token(text: &[u8]) -> bool {
    text.len() == LEN && text.iter().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(b) || *b == b'-')
}

/// A token as a page carries it.
pub(super) fn mask(token: &[u8], random: &mut Random<'_>) -> String {
    let mut bytes = vec![0; token.len()];
    random(&mut bytes);
    mask_with(token, &bytes)
}

/// The answer to `GET /csrf`.
pub(super) fn json(masked: &str) -> http::Response {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Answer<'a> {
        header_name: &'a str,
        parameter_name: &'a str,
        token: &'a str,
    }
    let answer = Answer { header_name: HEADER, parameter_name: FIELD, token: masked };
    let body = serde_json::to_vec(&answer).expect("INVARIANT: strings in a struct are JSON");
    pages::private(http::Response::json(200, body))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes that differ each time, and are the same in each run.
    fn counting() -> impl FnMut(&mut [u8]) {
        let mut n = 0_u8;
        move |bytes| {
            for b in bytes {
                n = n.wrapping_mul(17).wrapping_add(43);
                *b = n;
            }
        }
    }

    #[test]
    fn a_token_is_a_random_uuid() {
        let text = token(&mut |bytes: &mut [u8]| bytes.fill(0xff));
        assert_eq!(text, "ffffffff-ffff-4fff-bfff-ffffffffffff");
        assert!(is_token(text.as_bytes()));
        assert_eq!(token(&mut |bytes: &mut [u8]| bytes.fill(0)), "00000000-0000-4000-8000-000000000000");
        for bad in [
            "",
            "ffffffff-ffff-4fff-bfff-fffffffffff",
            "FFFFFFFF-ffff-4fff-bfff-ffffffffffff",
            "ffffffff-ffff-4fff-bfff-ffffffffffff0",
        ] {
            assert!(!is_token(bad.as_bytes()), "{bad}");
        }
    }

    #[test]
    fn a_mask_differs_each_time_and_hides_one_token() {
        let mut random = counting();
        let (one, other) = (token(&mut random), token(&mut random));
        let masked: Vec<String> = (0..3).map(|_| mask(one.as_bytes(), &mut random)).collect();
        assert!(masked[0] != masked[1] && masked[1] != masked[2]);
        for masked in &masked {
            assert_eq!(masked.len(), 96, "72 bytes");
            assert!(matches(masked, one.as_bytes()));
            assert!(!matches(masked, other.as_bytes()));
            assert!(!masked.contains(&one));
        }
    }
}
