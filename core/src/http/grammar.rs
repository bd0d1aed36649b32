//! The character classes and lists of RFC 9110 section 5.6.

/// A character of a token: section 5.6.2.
pub(super) const fn is_tchar(byte: u8) -> bool {
    TCHARS[byte as usize]
}

const TCHARS: [bool; 256] = {
    let mut tchars = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        tchars[byte] = (byte as u8).is_ascii_alphanumeric()
            || matches!(
                byte as u8,
                b'!' | b'#' | b'$' | b'%' | b'&' | b'\'' | b'*' | b'+' | b'-' | b'.' | b'^' | b'_' | b'`' | b'|' | b'~'
            );
        byte += 1;
    }
    tchars
};

pub(super) fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().all(|&b| is_tchar(b))
}

/// Any byte a field value may hold: no control character but the tab, no DEL.
pub(super) const fn is_field_byte(byte: u8) -> bool {
    byte == b'\t' || (byte >= b' ' && byte != 0x7f)
}

/// A field value as section 5.5 has it: without white space around it.
pub(super) fn is_field_value(bytes: &[u8]) -> bool {
    bytes.iter().all(|&b| is_field_byte(b)) && trim(bytes).len() == bytes.len()
}

/// Without the optional white space (OWS) around it.
pub(super) fn trim(mut bytes: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] = bytes {
        bytes = rest;
    }
    while let [rest @ .., b' ' | b'\t'] = bytes {
        bytes = rest;
    }
    bytes
}

/// The elements of a comma-separated list, trimmed, without empty ones: section 5.6.1.2. It knows no quotes, so that
/// none that is left open can hide what comes behind it.
pub(super) fn elements(list: &[u8]) -> impl DoubleEndedIterator<Item = &[u8]> {
    list.split(|&b| b == b',').map(trim).filter(|element| !element.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    #[test]
    fn tells_tokens_and_values_apart() {
        assert!(is_token(b"Sec-WebSocket-Key"));
        for bad in [&b""[..], b"a b", b"a:b", b"a\r", b"a\"", b"\xc3\xa9", b"a/b"] {
            assert!(!is_token(bad), "{bad:?}");
        }
        assert!(is_field_value(b"") && is_field_value(b"a b\tc\xff"));
        for bad in [&b" a"[..], b"a ", b"a\t", b"a\rb", b"a\nb", b"a\0b", b"a\x7fb"] {
            assert!(!is_field_value(bad), "{bad:?}");
        }
    }

    #[test]
    fn splits_lists() {
        let split: Vec<_> = elements(b" ,a ,\tb c,, \"d, e\"").collect();
        assert_eq!(split, [&b"a"[..], b"b c", b"\"d", b"e\""]);
        assert_eq!(elements(b"a,b").next_back(), Some(&b"b"[..]));
        assert_eq!(elements(b"").count(), 0);
    }
}
