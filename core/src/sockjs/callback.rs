//! The name of a function in a client's page.

use alloc::string::String;
use alloc::vec::Vec;

use super::form::{decode, pairs};

/// Why a callback is not called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadCallback {
    /// None is named.
    #[error("\"callback\" parameter required")]
    Missing,
    /// It is not 1 to 64 of `0-9 A-Z a-z _ . -`.
    #[error("invalid \"callback\" parameter")]
    Invalid,
}

/// The callback that a query names: `c`, or else `callback`.
///
/// # Errors
/// [`BadCallback`]. Anything but a plain name could be a script of somebody else's.
pub fn callback(query: Option<&str>) -> Result<String, BadCallback> {
    let value = |wanted: &[u8]| pairs(query.unwrap_or_default().as_bytes()).find(|(name, _)| *name == wanted);
    let (_, value) = value(b"c").or_else(|| value(b"callback")).ok_or(BadCallback::Missing)?;
    let mut name = Vec::new();
    decode(value, &mut name);
    let plain = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-');
    match name.len() {
        0 => Err(BadCallback::Missing),
        1..=CALLBACK_BYTES if name.iter().all(plain) => String::from_utf8(name).map_err(|_| BadCallback::Invalid),
        _ => Err(BadCallback::Invalid),
    }
}

const CALLBACK_BYTES: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn j01_names_only() {
        for (query, name) in [
            ("c=cb", "cb"),
            ("c=%63b", "cb"),
            ("x=1&c=_jp.x", "_jp.x"),
            ("callback=a-b", "a-b"),
            ("callback=one&c=two", "two"),
        ] {
            assert_eq!(callback(Some(query)).as_deref(), Ok(name), "{query}");
        }
        let longest = "x".repeat(CALLBACK_BYTES);
        assert_eq!(callback(Some(&alloc::format!("c={longest}"))).as_deref(), Ok(&*longest));
        assert_eq!(callback(Some(&alloc::format!("c={longest}x"))), Err(BadCallback::Invalid));
        for query in [None, Some(""), Some("x=1"), Some("c"), Some("c="), Some("C=a")] {
            assert_eq!(callback(query), Err(BadCallback::Missing), "{query:?}");
        }
        for query in
            ["c=%20", "c=*", "c=abc(", "c=abc%28", "c=a;b", "c=a%0Ab", "c=a%3Cb", "c=%C3%A9", "c=a+b", "c=%", "c=%zz"]
        {
            assert_eq!(callback(Some(query)), Err(BadCallback::Invalid), "{query}");
        }
    }
}
