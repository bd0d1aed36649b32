//! What may be subscribed to, and what it is called in the index.

use alloc::boxed::Box;

use super::destination::Pattern;

/// What is subscribed to. The three kinds have names of their own: none can be taken for another (S14).
#[derive(Debug)]
pub(crate) enum Target<'a> {
    /// Exactly this destination.
    Destination(&'a str),
    /// Every destination that matches. Never a user's.
    Pattern(Pattern),
    /// What is sent to this user, on whichever socket: `suffix` is what follows `/user`, such as `/queue/messages`.
    User { principal: &'a str, suffix: &'a str },
}

/// What a target is called in the index: its kind, then for a user the principal's length, then its texts. No two
/// targets have the same, whatever characters are in them (S14).
pub(super) struct Key<'a> {
    kind: [u8; 1],
    length: [u8; 4],
    texts: [&'a str; 2],
}

impl<'a> Key<'a> {
    pub(super) fn of(target: &'a Target<'_>) -> Self {
        match target {
            Target::Destination(text) => Self::destination(text),
            Target::Pattern(pattern) => Self { kind: [PATTERN], length: [0; 4], texts: [pattern.as_str(), ""] },
            Target::User { principal, suffix } => Self::user(principal, suffix),
        }
    }

    pub(super) fn destination(text: &'a str) -> Self {
        Self { kind: [DESTINATION], length: [0; 4], texts: [text, ""] }
    }

    pub(super) fn user(principal: &'a str, suffix: &'a str) -> Self {
        Self { kind: [USER], length: (principal.len() as u32).to_le_bytes(), texts: [principal, suffix] }
    }

    pub(super) fn parts(&self) -> [&[u8]; 4] {
        let length: &[u8] = if self.kind == [USER] { &self.length } else { &[] };
        let [first, second] = self.texts;
        [&self.kind, length, first.as_bytes(), second.as_bytes()]
    }

    pub(super) fn name(&self) -> Box<[u8]> {
        self.parts().concat().into()
    }
}

/// Whether `whole` is exactly these parts in a row.
pub(super) fn is_row_of(whole: &[u8], parts: &[&[u8]]) -> bool {
    parts.iter().try_fold(whole, |rest, part| rest.strip_prefix(*part)).is_some_and(<[u8]>::is_empty)
}

const DESTINATION: u8 = b'd';
pub(super) const PATTERN: u8 = b'p';
const USER: u8 = b'u';

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s14_a_name_is_its_own_parts_in_a_row_and_no_others() {
        let key = Key::user("rob", "/queue/m");
        assert_eq!(&*key.name(), b"u\x03\0\0\0rob/queue/m");
        assert_eq!(&*Key::destination("/topic/a").name(), b"d/topic/a");
        assert!(is_row_of(&key.name(), &key.parts()));
        for other in [
            Key::user("ro", "b/queue/m"),
            Key::user("rob/", "queue/m"),
            Key::user("rob", "/queue/"),
            Key::user("rob", "/queue/mm"),
            Key::destination("\x03\0\0\0rob/queue/m"),
        ] {
            assert!(!is_row_of(&key.name(), &other.parts()));
        }
    }
}
