//! Tokens that prove a form is ours.
//!
//! A token is the text of a random UUID. What a page carries is masked afresh each time, as Spring Security does against
//! guessing through compression (BREACH): the Base64URL of 36 random bytes and of the token XORed with them.

use base64::Engine;
use base64::engine::general_purpose::{URL_SAFE, URL_SAFE_NO_PAD};
use serde::Serialize;
use subtle::ConstantTimeEq;
use tethered_core::http;

use super::{Random, pages};

/// The form field with the token.
pub(super) const FIELD: &str = "_csrf";
/// The header with the token, for scripts.
pub(super) const HEADER: &str = "X-CSRF-TOKEN";
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
    let mut bytes = [0; 2 * LEN];
    let (mask, masked) = bytes.split_at_mut(LEN);
    random(mask);
    for ((out, mask), byte) in masked.iter_mut().zip(mask.iter()).zip(token) {
        *out = byte ^ mask;
    }
    URL_SAFE.encode(bytes)
}

/// Whether a page's masked token is that one. In constant time (C15).
pub(super) fn matches(masked: &str, token: &[u8]) -> bool {
    let Ok(bytes) = URL_SAFE_NO_PAD.decode(masked.trim_end_matches('=')) else { return false };
    if bytes.len() != 2 * LEN || token.len() != LEN {
        return false;
    }
    let (mask, masked) = bytes.split_at(LEN);
    let plain: Vec<u8> = mask.iter().zip(masked).map(|(a, b)| a ^ b).collect();
    plain.ct_eq(token).into()
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

    #[test]
    fn what_is_no_masked_token_matches_nothing() {
        let mut random = counting();
        let one = token(&mut random);
        let masked = mask(one.as_bytes(), &mut random);
        let changed = format!("A{}", &masked[1..]);
        for bad in ["", "=", "*", &one, &masked[..95], &masked[..92], &format!("{masked}AAAA"), &changed] {
            assert!(!matches(bad, one.as_bytes()), "{bad}");
        }
        assert!(!matches(&masked, b""));
        assert!(!matches("", b""));
    }

    #[test]
    fn a_token_masked_elsewhere_by_the_same_rule_matches() {
        let zeros = [b'A'; 48];
        let token = b"6fa3cf18-3f31-4a0c-9f3e-0a8b4e5d2c17";
        let masked = format!("{}{}", std::str::from_utf8(&zeros).unwrap(), URL_SAFE.encode(token));
        assert!(matches(&masked, token));
    }
}
