//! Values as Spring writes them, and back: written apart from the library, so that both are seen to agree.

const LONG: &[u8] =
    b"\xac\xed\x00\x05sr\x00\x0ejava.lang.Long;\x8b\xe4\x90\xcc\x8f#\xdf\x02\x00\x01J\x00\x05valuexr\x00\
\x10java.lang.Number\x86\xac\x95\x1d\x0b\x94\xe0\x8b\x02\x00\x00xp";
const INTEGER: &[u8] =
    b"\xac\xed\x00\x05sr\x00\x11java.lang.Integer\x12\xe2\xa0\xa4\xf7\x81\x878\x02\x00\x01I\x00\x05val\
uexr\x00\x10java.lang.Number\x86\xac\x95\x1d\x0b\x94\xe0\x8b\x02\x00\x00xp";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Java,
    Json,
}

pub(crate) fn long(form: Form, number: i64) -> Vec<u8> {
    match form {
        Form::Java => [LONG, &number.to_be_bytes()].concat(),
        Form::Json => number.to_string().into_bytes(),
    }
}

pub(crate) fn integer(form: Form, number: i32) -> Vec<u8> {
    match form {
        Form::Java => [INTEGER, &number.to_be_bytes()].concat(),
        Form::Json => number.to_string().into_bytes(),
    }
}

pub(crate) fn text(form: Form, text: &str) -> Vec<u8> {
    match form {
        Form::Java => [b"\xac\xed\0\x05t", &(text.len() as u16).to_be_bytes()[..], text.as_bytes()].concat(),
        Form::Json => format!("\"{text}\"").into_bytes(),
    }
}

/// The time that a value is, if it is one.
pub(crate) fn read_long(value: &[u8]) -> Option<i64> {
    if let Some(bytes) = value.strip_prefix(LONG) {
        return Some(i64::from_be_bytes(bytes.try_into().ok()?));
    }
    std::str::from_utf8(value).ok()?.parse().ok()
}
