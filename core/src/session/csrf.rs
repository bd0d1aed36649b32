//! Tokens that prove that a page was handed out under a session, masked as Spring Security does
//! (`XorCsrfTokenRequestAttributeHandler`, `XorCsrfChannelInterceptor`).
//!
//! What travels is the Base64URL of as many random bytes as the token has and of the token XORed with them: other text
//! each time, so that nobody can guess it by how well a page compresses (BREACH).

use alloc::string::String;
use alloc::vec::Vec;

use base64::Engine;
use base64::engine::general_purpose::{URL_SAFE, URL_SAFE_NO_PAD};
use subtle::ConstantTimeEq;

/// A token as a page carries it. `random` is as long as the token, and fresh from the system's random source.
///
/// # Panics
/// If the two are not of one length, which is the caller's mistake.
pub fn mask(token: &[u8], random: &[u8]) -> String {
    assert_eq!(token.len(), random.len(), "as many random bytes as the token has");
    let mut bytes = Vec::with_capacity(2 * token.len());
    bytes.extend_from_slice(random);
    bytes.extend(token.iter().zip(random).map(|(token, random)| token ^ random));
    URL_SAFE.encode(bytes)
}

/// Whether what a page carried is this token, masked. In constant time for a given length (C15). The bare token is not,
/// and no token at all is matched by nothing.
pub fn matches(masked: &str, token: &[u8]) -> bool {
    let text = masked.trim_end_matches('=');
    if token.is_empty() || Some(text.len()) != base64::encoded_len(2 * token.len(), false) {
        return false;
    }
    let Ok(bytes) = URL_SAFE_NO_PAD.decode(text) else { return false };
    let (random, masked) = bytes.split_at(bytes.len() / 2);
    let plain: Vec<u8> = random.iter().zip(masked).map(|(random, masked)| random ^ masked).collect();
    is_same_secret(&plain, token)
}

/// Whether these two secrets, tokens or session ids, are one. How long it takes depends on their length only, not on
/// where they differ, so that nobody can guess one byte by byte (C15).
pub(crate) fn is_same_secret(one: &[u8], other: &[u8]) -> bool {
    one.ct_eq(other).into()
}

#[cfg(test)]
mod tests {
    use alloc::format;

    use super::*;

    #[test]
    #[allow(clippy::disallowed_methods, reason = "a time is measured")]
    fn c15_secrets_are_compared_in_constant_time() {
        let secret = alloc::vec![7; 1 << 20];
        let differs_at = |at: usize| {
            let mut other = secret.clone();
            other[at] = 8;
            let time = |_| {
                let since = std::time::Instant::now();
                assert!(!is_same_secret(core::hint::black_box(&secret), core::hint::black_box(&other)), "{at}");
                since.elapsed()
            };
            (0..9).map(time).min().expect("nine of them")
        };
        // Where the first difference ends it, one takes less than a thousandth of the other.
        let (first, last) = (differs_at(0), differs_at(secret.len() - 1));
        assert!(first * 4 > last && last * 4 > first, "{first:?} {last:?}");
        assert!(is_same_secret(&secret, &secret.clone()) && !is_same_secret(&secret, &secret[1..]));
    }

    const TOKEN: &[u8] = b"6fa3cf18-3f31-4a0c-9f3e-0a8b4e5d2c17";

    #[test]
    fn a_mask_differs_each_time_and_hides_one_token() {
        let masked = [[7; 36], [8; 36], [0xff; 36]].map(|random| mask(TOKEN, &random));
        assert!(masked[0] != masked[1] && masked[1] != masked[2]);
        for masked in &masked {
            assert_eq!(masked.len(), 96, "72 bytes");
            assert!(matches(masked, TOKEN));
            assert!(!matches(masked, b"6fa3cf18-3f31-4a0c-9f3e-0a8b4e5d2c18"));
        }
    }

    #[test]
    fn tokens_of_any_length_with_or_without_padding() {
        for len in 1..100 {
            let token = &[b'x'; 100][..len];
            let masked = mask(token, &[9; 100][..len]);
            assert!(matches(&masked, token), "{len}");
            assert!(matches(masked.trim_end_matches('='), token), "{len}");
            assert!(!matches(&masked, &[b'x'; 101][..len + 1]), "{len}");
            assert!(!matches(&masked, &token[..len - 1]), "{len}");
        }
    }

    #[test]
    fn what_is_no_masked_token_matches_nothing() {
        let masked = mask(TOKEN, &[0x5a; 36]);
        let bare = core::str::from_utf8(TOKEN).expect("ASCII");
        let changed = format!("A{}", &masked[1..]);
        let standard = masked.replace(['-', '_'], "+");
        let longer = format!("{masked}AAAA");
        for bad in ["", "=", "*", bare, &masked[..95], &masked[..92], &longer, &changed, &format!(" {masked}")] {
            assert!(!matches(bad, TOKEN), "{bad}");
        }
        assert!(standard == masked || !matches(&standard, TOKEN), "not the alphabet");
        assert!(!matches(&masked, b"") && !matches("", b"") && !matches(&mask(b"", b""), b""));
    }

    #[test]
    fn a_token_masked_elsewhere_by_the_same_rule_matches() {
        let masked = format!("{}{}", "A".repeat(48), URL_SAFE.encode(TOKEN));
        assert!(matches(&masked, TOKEN));
        // As Spring Security 6 handed it out, twice, for one session.
        for masked in [
            "nih5c35b_0vI8wFW3QHrNrtJ1RN5HkD7bjpa3soFXlindyXM-hxJS0tomn3lwTdv6SzfVYN7-CobLCHWDww57P40bDzGFRKt",
            "wrT4dOSkqFsQwFJLfNcQngWQQ2x9GornnVuf4DWOpFphW6japoDITNGXzW098mRySPok_T2iblUfKOvK_G380gG_lj4AOZ-7",
        ] {
            assert!(matches(masked, b"d40853e6-2694-4c82-9b2a-a6c2412dab7a"));
        }
    }
}
