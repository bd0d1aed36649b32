//! What Redis said of one session, and what follows from it: the truth table.

use super::commands::GRACE_MS;
use super::config::Layout;
use super::values::{self, Form};
use crate::redis::Item;

/// What Redis said of one session, at one moment or, where scripts are not used, within one round trip.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Facts {
    /// Redis' clock, in epoch milliseconds.
    pub(super) now: i64,
    pub(super) kind: Kind,
    /// What PTTL says of the hash: -1 without an end, -2 if it is not there.
    pub(super) hash_ttl: i64,
    /// And of the key that runs out with the session; -3 if it was not asked for.
    pub(super) shadow_ttl: i64,
    pub(super) values: Values,
}

/// What is stored under the name of the hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Nothing,
    Hash,
    Other,
}

/// The three values without which there is no session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Values {
    /// None is there. Where the facts are read one by one, the hash may have gone in between.
    Nothing,
    /// One is not there.
    Missing,
    /// One is there and was not understood.
    Unreadable,
    Read(Read),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Read {
    /// `lastAccessedTime`, epoch milliseconds.
    pub(super) last: i64,
    /// `maxInactiveInterval`, seconds.
    pub(super) max: i64,
    pub(super) form: Form,
}

/// What the facts amount to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// For so many milliseconds; `None` if it never ends.
    Alive(Option<u64>),
    /// The key that runs out with it is not there: it has ended, or is just being made or renamed.
    Absent,
    /// Nothing is there: it has ended, or goes by another name.
    Gone,
    /// It has ended, or never was one.
    Over(Over),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Over {
    Ended,
    Half,
    Foreign,
    Unreadable,
}

impl Facts {
    /// Before anything was said.
    pub(super) const NONE: Self =
        Self { now: 0, kind: Kind::Nothing, hash_ttl: -2, shadow_ttl: -3, values: Values::Nothing };

    /// Reads what [`Script::Look`](super::Script::Look) gives; also what follows the facts.
    pub(super) fn from_script<'r, 'i>(items: &'r [Item<'i>]) -> Option<(Self, &'r [Item<'i>])> {
        let (head, rest) = items.split_first_chunk::<4>()?;
        let [now, kind, hash_ttl, shadow_ttl] = *head;
        let mut facts = Self {
            now: now.int()?,
            kind: Kind::from_type(kind.bytes()?),
            hash_ttl: hash_ttl.int()?,
            shadow_ttl: shadow_ttl.int()?,
            values: Values::Nothing,
        };
        if facts.kind != Kind::Hash {
            return rest.is_empty().then_some((facts, rest));
        }
        let (stored, rest) = rest.split_first_chunk::<3>()?;
        facts.values = Values::from_items(stored);
        Some((facts, rest))
    }

    /// The values of a session that is whole by Redis' clock.
    pub(super) fn whole(&self) -> Option<Read> {
        match self.values {
            Values::Read(read) if read.last >= 0 && read.last <= self.now.saturating_add(FAR_MS) => Some(read),
            _ => None,
        }
    }

    /// For how long the session still lives by its times, in milliseconds; not above 0 if it has ended.
    pub(super) fn left(&self, read: Read) -> i64 {
        read.last.saturating_add(read.max.saturating_mul(1_000)).saturating_sub(self.now)
    }

    pub(super) fn judge(&self, layout: Layout) -> Verdict {
        match self.kind {
            Kind::Nothing => return Verdict::Gone,
            Kind::Other => return Verdict::Over(Over::Foreign),
            Kind::Hash => {}
        }
        if self.values == Values::Nothing {
            return Verdict::Gone;
        }
        let Some(read) = self.whole() else {
            return Verdict::Over(if self.values == Values::Missing { Over::Half } else { Over::Unreadable });
        };
        if read.max <= 0 {
            return if read.max < 0 { Verdict::Alive(None) } else { Verdict::Over(Over::Ended) };
        }
        let left = match layout {
            Layout::Plain => self.hash_ttl,
            Layout::Indexed => self.shadow_ttl,
            // By its times it has to live too: the hash of the indexed layout outlives its session.
            Layout::Detect if self.hash_ttl > 0 => self.hash_ttl.min(self.left(read).max(0)),
            Layout::Detect => self.hash_ttl,
        };
        match (left, u64::try_from(left)) {
            (-1, _) => match u64::try_from(self.left(read)) {
                Ok(left @ 1..) => Verdict::Alive(Some(left)),
                _ => Verdict::Over(Over::Ended),
            },
            (_, Ok(left @ 1..)) => Verdict::Alive(Some(left)),
            _ if layout == Layout::Plain => Verdict::Gone,
            _ if layout == Layout::Detect => Verdict::Over(Over::Ended),
            _ => Verdict::Absent,
        }
    }

    /// The layout that these facts prove.
    ///
    /// A shadow makes the indexed one. Without a shadow the TTL of the hash tells: in the plain layout it is exactly what
    /// the session's times say; in the indexed one it is 300 s more. Anything else tells nothing: Spring writes the times
    /// and the TTL one after the other, and a hand may have been at work.
    pub(super) fn layout(&self) -> Option<Layout> {
        let read = self.whole().filter(|read| read.max > 0)?;
        if self.shadow_ttl >= -1 {
            return Some(Layout::Indexed);
        }
        if self.hash_ttl < 0 {
            return None;
        }
        let more = self.hash_ttl.saturating_sub(self.left(read));
        let about = |ms: i64| more.saturating_sub(ms).saturating_abs() <= SLACK_MS;
        match (about(0), about(GRACE_MS)) {
            (true, _) => Some(Layout::Plain),
            (_, true) => Some(Layout::Indexed),
            _ => None,
        }
    }
}

impl Kind {
    /// What TYPE says.
    pub(super) fn from_type(word: &[u8]) -> Self {
        match word {
            b"none" => Self::Nothing,
            b"hash" => Self::Hash,
            _ => Self::Other,
        }
    }
}

impl Values {
    /// `creationTime`, `lastAccessedTime`, `maxInactiveInterval` as HMGET gives them. A number is the length of a value that
    /// is too long.
    pub(super) fn from_items(items: &[Item<'_>; 3]) -> Self {
        let [created, last, max] = *items;
        if *items == [Item::Nil; 3] {
            return Self::Nothing;
        }
        if [created, last, max].contains(&Item::Nil) || created == Item::Bulk(b"") {
            return Self::Missing;
        }
        let read = |created: Item<'_>| {
            created.bytes()?;
            let (last, form) = values::read_long(last.bytes()?)?;
            let max = values::read_integer(max.bytes()?).filter(|max| i32::try_from(*max).is_ok())?;
            Some(Read { last, max, form })
        };
        read(created).map_or(Self::Unreadable, Self::Read)
    }
}

/// A `lastAccessedTime` further ahead than a leap year is none.
const FAR_MS: i64 = 31_622_400_000;
/// How far the TTL of a hash of the plain layout may be from what its times say.
const SLACK_MS: i64 = 1_000;

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_795_359_300_000;

    fn facts(last: i64, max: i64, hash_ttl: i64, shadow_ttl: i64) -> Facts {
        let values = Values::Read(Read { last, max, form: Form::Java });
        Facts { now: NOW, kind: Kind::Hash, hash_ttl, shadow_ttl, values }
    }

    /// Row by row.
    #[test]
    fn the_truth_table() {
        use Layout::{Indexed, Plain};
        let ended = Verdict::Over(Over::Ended);
        for (facts, layout, verdict) in [
            (Facts::NONE, Indexed, Verdict::Gone),
            (Facts { shadow_ttl: 5, ..Facts::NONE }, Indexed, Verdict::Gone),
            (Facts::NONE, Plain, Verdict::Gone),
            (facts(NOW, 0, 300_000, -2), Indexed, ended),
            (facts(NOW, 0, 300_000, 9), Indexed, ended),
            (facts(NOW, 0, 300_000, -2), Plain, ended),
            (Facts { values: Values::Nothing, ..facts(0, 0, 9, 9) }, Indexed, Verdict::Gone),
            (Facts { values: Values::Missing, ..facts(0, 0, 9, 9) }, Indexed, Verdict::Over(Over::Half)),
            (Facts { values: Values::Missing, ..facts(0, 0, 9, 9) }, Plain, Verdict::Over(Over::Half)),
            (Facts { kind: Kind::Other, ..facts(NOW, 60, 9, 9) }, Indexed, Verdict::Over(Over::Foreign)),
            (facts(NOW, -1, 299_000, -2), Indexed, Verdict::Alive(None)),
            (facts(0, -1, -1, -1), Plain, Verdict::Alive(None)),
            (facts(NOW, 60, 360_000, 1), Indexed, Verdict::Alive(Some(1))),
            (facts(0, 60, 360_000, 60_000), Indexed, Verdict::Alive(Some(60_000))),
            (facts(NOW - 10_000, 60, 360_000, -1), Indexed, Verdict::Alive(Some(50_000))),
            (facts(NOW - 59_999, 60, 360_000, -1), Indexed, Verdict::Alive(Some(1))),
            (facts(NOW - 60_000, 60, 360_000, -1), Indexed, ended),
            (facts(NOW, 60, 360_000, -2), Indexed, Verdict::Absent),
            (facts(NOW, 60, 360_000, 0), Indexed, Verdict::Absent),
            (facts(NOW, 60, 7, -2), Plain, Verdict::Alive(Some(7))),
            (facts(NOW - 1_000, 60, -1, -3), Plain, Verdict::Alive(Some(59_000))),
            (facts(NOW - 60_000, 60, -1, -3), Plain, ended),
            (facts(NOW, 60, 0, -3), Plain, Verdict::Gone),
            (facts(NOW, 60, -2, -3), Plain, Verdict::Gone),
            (facts(NOW, 60, 20_000, -2), Layout::Detect, Verdict::Alive(Some(20_000))),
            (facts(NOW - 50_000, 60, 300_000, -2), Layout::Detect, Verdict::Alive(Some(10_000))),
            (facts(NOW - 60_000, 60, 300_000, -2), Layout::Detect, ended),
            (facts(NOW, 60, -1, -2), Layout::Detect, Verdict::Alive(Some(60_000))),
        ] {
            assert_eq!(facts.judge(layout), verdict, "{facts:?} {layout:?}");
        }
    }

    #[test]
    fn c18_negative_and_far_future_times_are_unreadable() {
        let unreadable = Verdict::Over(Over::Unreadable);
        for last in [-1, i64::MIN, NOW + FAR_MS + 1, i64::MAX] {
            assert_eq!(facts(last, 60, 9, 9).judge(Layout::Indexed), unreadable, "{last}");
        }
        for last in [0, NOW + 600_000, NOW + FAR_MS] {
            assert_eq!(facts(last, 60, 9, 9).judge(Layout::Indexed), Verdict::Alive(Some(9)), "{last}");
        }
        assert_eq!(
            facts(0, i64::from(i32::MAX), 9, -1).judge(Layout::Indexed),
            Verdict::Alive(Some(2_147_483_647_000 - NOW as u64))
        );
    }

    #[test]
    fn the_layout_is_proved_or_not_told() {
        use Layout::{Indexed, Plain};
        for (facts, layout) in [
            (facts(NOW, 60, 360_000, 60_000), Some(Indexed)),
            (facts(NOW, 60, 360_000, -1), Some(Indexed)),
            (facts(NOW, 60, 60_000, -2), Some(Plain)),
            (facts(NOW - 30_000, 60, 30_001, -2), Some(Plain)),
            // Ended: the shadow has run out, the hash has not. A living plain session would look like it but for its times.
            (facts(NOW - 60_000, 60, 300_000, -2), Some(Indexed)),
            (facts(NOW - 60_000, 1_800, 2_040_000, -2), Some(Indexed)),
            (facts(NOW - 359_000, 60, 1_000, -2), Some(Indexed)),
            // On a Spring node whose clock is ten minutes behind.
            (facts(NOW - 600_000, 1_800, 1_200_000, -2), Some(Plain)),
            // Between HMSET and PEXPIREAT of the plain layout; a TTL changed by hand; an indexed one of a skewed clock.
            (facts(NOW, 60, 30_000, -2), None),
            (facts(NOW, 1_800, 60_000, -2), None),
            (facts(NOW - 100_000, 60, 300_000, -2), None),
            (facts(NOW, 60, -1, -2), None),
            (facts(NOW, -1, 299_000, -2), None),
            (facts(NOW, 0, 300_000, -2), None),
            (Facts::NONE, None),
            (Facts { values: Values::Missing, ..facts(0, 0, 9, 9) }, None),
        ] {
            assert_eq!(facts.layout(), layout, "{facts:?}");
        }
    }

    #[test]
    fn what_a_script_gives_is_read_or_refused() {
        let (long, int) = (values::write_long(Form::Java, 7), values::write_integer(Form::Java, 60));
        let bulk = |bytes| Item::Bulk(bytes);
        let head = [Item::Int(9), bulk(b"hash"), Item::Int(1), Item::Int(-2)];
        let all = [&head[..], &[bulk(&long), bulk(&long), bulk(&int), Item::Nil]].concat();
        let (facts, rest) = Facts::from_script(&all).expect("whole");
        assert_eq!((facts.now, facts.hash_ttl, facts.shadow_ttl, rest), (9, 1, -2, &[Item::Nil][..]));
        assert_eq!(facts.whole(), Some(Read { last: 7, max: 60, form: Form::Java }));
        assert_eq!(
            Facts::from_script(&[Item::Int(9), bulk(b"none"), Item::Int(-2), Item::Int(-2)]).map(|(f, _)| f.kind),
            Some(Kind::Nothing)
        );
        for values in [
            [Item::Nil, bulk(&long), bulk(&int)],
            [bulk(b""), bulk(&long), bulk(&int)],
            [bulk(&long), Item::Nil, bulk(&int)],
            [bulk(&long), bulk(&long), Item::Nil],
        ] {
            assert_eq!(Values::from_items(&values), Values::Missing);
        }
        for values in [
            [Item::Int(9_999_999), bulk(&long), bulk(&int)],
            [bulk(&long), bulk(b""), bulk(&int)],
            [bulk(&long), bulk(&long), bulk(&long)],
            [bulk(&long), bulk(&int), bulk(&int)],
            [bulk(&long), bulk(b"5"), bulk(b"2147483648")],
        ] {
            assert_eq!(Values::from_items(&values), Values::Unreadable);
        }
        for odd in [&all[..3], &all[..6], &[], &[Item::Nil; 7]] {
            assert!(Facts::from_script(odd).is_none(), "{odd:?}");
        }
        let odd = [&head[..1], &[bulk(b"none")], &head[2..], &[Item::Nil]].concat();
        assert!(Facts::from_script(&odd).is_none());
    }
}
