//! What may be subscribed to, and what it is called in the index.

use alloc::sync::Arc;

use super::destination::Pattern;
use crate::index::Interner;
use crate::slab::NONE;

/// What is subscribed to. The three kinds have names of their own: none can be taken for another (S14).
#[derive(Debug)]
pub(crate) enum Target<'a> {
    /// Exactly this destination.
    Destination(&'a str),
    /// Every destination that matches. Never a user's.
    Pattern(Pattern),
    /// What is sent to this user, on whichever socket: `suffix` is what follows `/user`, such as `/queue/messages`.
    User { principal: &'a Arc<str>, suffix: &'a str },
}

/// What a target is called: its kind, and its text or, for a user, the principal and the suffix.
pub(super) struct Key<'a> {
    kind: &'static [u8; 1],
    text: &'a str,
    suffix: Option<&'a str>,
}

impl<'a> Key<'a> {
    pub(super) fn of(target: &'a Target<'_>) -> Self {
        match target {
            Target::Destination(text) => Self::destination(text),
            Target::Pattern(pattern) => Self { kind: b"p", text: pattern.as_str(), suffix: None },
            Target::User { principal, suffix } => Self::user(principal, suffix),
        }
    }

    pub(super) fn destination(text: &'a str) -> Self {
        Self { kind: b"d", text, suffix: None }
    }

    pub(super) fn user(principal: &'a str, suffix: &'a str) -> Self {
        Self { kind: b"u", text: principal, suffix: Some(suffix) }
    }

    /// In the index: no two targets are the same parts in a row, whatever characters are in them (S14), since the byte
    /// between principal and suffix is in no text.
    pub(super) fn parts(&self) -> [&'a [u8]; 4] {
        let (between, suffix): (&[u8], _) = self.suffix.map_or((&[], ""), |suffix| (&[0xff], suffix));
        [self.kind, self.text.as_bytes(), between, suffix.as_bytes()]
    }
}

/// A target's name as it is kept, in two parts that lie apart so that they fill no gaps: see [`Name::keep`].
#[derive(Debug, Clone, Copy)]
pub(super) struct Name<'n> {
    pub(super) text: &'n str,
    pub(super) suffix: u32,
}

/// No suffix has a key as high as these: each costs more than 16 bytes.
const PLAIN: u32 = NONE;
const PATTERN: u32 = NONE - 1;

impl<'n> Name<'n> {
    /// What is to be kept of a target: its text or the principal's, which is not copied; and the key of its suffix, or
    /// [`PLAIN`] or [`PATTERN`]. Suffixes are few, and are kept once each.
    pub(super) fn keep(target: &Target<'_>, suffixes: &mut Interner) -> (Arc<str>, u32) {
        match target {
            Target::Destination(text) => (Arc::from(*text), PLAIN),
            Target::Pattern(pattern) => (Arc::from(pattern.as_str()), PATTERN),
            Target::User { principal, suffix } => (Arc::clone(principal), suffixes.intern(suffix.as_bytes())),
        }
    }

    pub(super) fn is_pattern(self) -> bool {
        self.suffix == PATTERN
    }

    /// Whether it is what this key says.
    pub(super) fn is(self, key: &Key<'_>, suffixes: &Interner) -> bool {
        let same = match (self.suffix, key.suffix) {
            (PLAIN, None) => key.kind == b"d",
            (PATTERN, None) => key.kind == b"p",
            (PLAIN | PATTERN, Some(_)) | (_, None) => false,
            (known, Some(suffix)) => suffixes.get(known) == suffix.as_bytes(),
        };
        same && *self.text == *key.text
    }

    /// As [`Key::parts`].
    pub(super) fn parts(self, suffixes: &'n Interner) -> [&'n [u8]; 4] {
        let text = self.text.as_bytes();
        match self.suffix {
            PLAIN => [b"d", text, &[], &[]],
            PATTERN => [b"p", text, &[], &[]],
            suffix => [b"u", text, &[0xff], suffixes.get(suffix)],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    #[test]
    fn s14_a_name_is_what_its_own_key_says_and_no_other() {
        let mut suffixes = Interner::new(&[7; 16]);
        let principals: [Arc<str>; 4] = ["rob".into(), "ro".into(), "rob/".into(), "/topic/a".into()];
        let users = [(0, "/queue/m"), (1, "b/queue/m"), (2, "queue/m"), (0, "/queue/"), (0, "/queue/mm"), (3, "")];
        let pattern = |text| Target::Pattern(Pattern::parse(text, 512, 32).expect("in order"));
        let targets: Vec<Target<'_>> = users
            .into_iter()
            .map(|(principal, suffix)| Target::User { principal: &principals[principal], suffix })
            .chain([Target::Destination("/topic/a"), Target::Destination("rob/queue/m"), pattern("/topic/a")])
            .collect();
        let kept: Vec<(Arc<str>, u32)> = targets.iter().map(|target| Name::keep(target, &mut suffixes)).collect();
        let names: Vec<Name<'_>> = kept.iter().map(|(text, suffix)| Name { text, suffix: *suffix }).collect();
        for (at, name) in names.iter().enumerate() {
            for (other, target) in targets.iter().enumerate() {
                let key = Key::of(target);
                assert_eq!(name.is(&key, &suffixes), at == other, "{name:?} and {target:?}");
                assert_eq!(name.parts(&suffixes).concat() == key.parts().concat(), at == other);
            }
        }
        assert_eq!(names[0].parts(&suffixes).concat(), b"urob\xff/queue/m");
        assert_eq!(names.iter().filter(|name| name.is_pattern()).count(), 1);
        assert!(Arc::ptr_eq(&kept[0].0, &principals[0]), "not copied");
        assert_eq!(suffixes.len(), 6);
    }
}
