//! For when an object's timers are armed in the wheel, which cannot cancel.

use crate::time::Instant;

/// The entries that an object has in the wheel: the next one, and one behind it that was armed before. Without the
/// second, each earlier due would leave an entry behind, and a busy object would gather thousands of them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Armed {
    next: Instant,
    later: Instant,
}

impl Armed {
    pub(super) const NONE: Self = Self { next: Instant::NEVER, later: Instant::NEVER };

    /// When the next entry fires; [`Instant::NEVER`] if there is none.
    pub(super) fn next(self) -> Instant {
        self.next
    }

    /// Whether an entry for `due` has to be added: if none fires by then.
    pub(super) fn lower(&mut self, due: Instant) -> bool {
        let lower = due < self.next;
        if lower {
            self.later = self.later.min(self.next);
            self.next = due;
        }
        lower
    }

    /// An entry fired at `now`; false if it was none of these.
    pub(super) fn fired(&mut self, now: Instant) -> bool {
        if self.next > now {
            return false;
        }
        self.next = core::mem::replace(&mut self.later, Instant::NEVER);
        if self.next <= now {
            self.next = Instant::NEVER;
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Instant {
        Instant::from_millis(ms)
    }

    #[test]
    fn the_entry_behind_is_used_again() {
        let mut armed = Armed::NONE;
        assert!(armed.lower(at(1_000)));
        for burst in 0..50 {
            assert!(armed.lower(at(burst * 10 + 5)), "a new entry for an earlier due");
            assert!(!armed.lower(at(burst * 10 + 7)));
            assert!(armed.fired(at(burst * 10 + 5)));
            assert_eq!(armed.next(), at(1_000));
            assert!(!armed.lower(at(5_000)), "the one behind fires before that");
        }
        assert!(!armed.fired(at(999)));
        assert!(armed.fired(at(1_000)));
        assert_eq!(armed.next(), Instant::NEVER);
    }

    #[test]
    fn late_entries_go_together() {
        let mut armed = Armed::NONE;
        assert!(armed.lower(at(20)) && armed.lower(at(10)));
        assert!(armed.fired(at(30)));
        assert_eq!(armed.next(), Instant::NEVER);
        assert!(armed.lower(at(40)));
    }
}
