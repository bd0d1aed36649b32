//! Forms: `application/x-www-form-urlencoded`, as the URL standard reads it.

use alloc::borrow::Cow;
use alloc::vec::Vec;

/// What a body says, once its form is taken off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Payload<'a> {
    /// Nothing at all.
    Nothing,
    /// An array of messages, or what should be one.
    Json(Cow<'a, [u8]>),
}

/// The payload of a `jsonp_send`: the field `d` of a form, or the body itself where the content type is another.
pub fn payload<'a>(body: &'a [u8], content_type: Option<&[u8]>) -> Payload<'a> {
    let kind = content_type.and_then(|kind| kind.split(|b| *b == b';').next()).unwrap_or_default().trim_ascii();
    let json = if kind.eq_ignore_ascii_case(b"application/x-www-form-urlencoded") {
        let Some((_, value)) = pairs(body).find(|(name, _)| *name == b"d") else { return Payload::Nothing };
        let mut json = Vec::with_capacity(value.len());
        decode(value, &mut json);
        Cow::Owned(json)
    } else {
        Cow::Borrowed(body)
    };
    if json.is_empty() { Payload::Nothing } else { Payload::Json(json) }
}

/// Names and values, not decoded. What has no equals sign has no value.
pub(super) fn pairs(form: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    form.split(|b| *b == b'&').filter_map(|pair| {
        let equals = pair.iter().position(|b| *b == b'=')?;
        Some((pair.get(..equals)?, pair.get(equals + 1..)?))
    })
}

/// Appends a value, decoded. A percent sign without two digits stands for itself.
pub(super) fn decode(value: &[u8], out: &mut Vec<u8>) {
    let mut rest = value;
    while let [byte, behind @ ..] = rest {
        rest = behind;
        match (byte, behind) {
            (b'+', _) => out.push(b' '),
            (b'%', [high, low, behind @ ..]) if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                out.push(digit(*high) << 4 | digit(*low));
                rest = behind;
            }
            _ => out.push(*byte),
        }
    }
}

/// The value of a hexadecimal digit.
pub(super) const fn digit(byte: u8) -> u8 {
    match byte {
        b'0'..=b'9' => byte - b'0',
        b'a'..=b'f' => byte - b'a' + 10,
        _ => byte.wrapping_sub(b'A').wrapping_add(10),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FORM: Option<&[u8]> = Some(b"application/x-www-form-urlencoded; charset=UTF-8");

    fn json(body: &str, kind: Option<&[u8]>) -> Option<Vec<u8>> {
        match payload(body.as_bytes(), kind) {
            Payload::Nothing => None,
            Payload::Json(json) => Some(json.into_owned()),
        }
    }

    #[test]
    fn a_form_is_decoded_and_nothing_else() {
        assert_eq!(json("d=%5B%22a+b%2Bc%26%3D%22%5D", FORM), Some(b"[\"a b+c&=\"]".to_vec()));
        assert_eq!(json("x=1&d=%c3%A9", FORM), Some("é".as_bytes().to_vec()));
        assert_eq!(json("[\"%61+b\"]", Some(b"text/plain")), Some(b"[\"%61+b\"]".to_vec()));
        assert_eq!(json("d=x", None), Some(b"d=x".to_vec()));
        assert_eq!(json("d=%", FORM), Some(b"%".to_vec()));
        assert_eq!(json("d=%4", FORM), Some(b"%4".to_vec()));
    }

    #[test]
    fn nothing_is_nothing() {
        for body in ["", "d=", "p=p", "d", "dd=x"] {
            assert_eq!(json(body, FORM), None, "{body}");
        }
        assert_eq!(json("", Some(b"text/plain")), None);
    }
}
