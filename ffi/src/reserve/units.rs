//! Which units of the reserve are taken: a bit each.

/// `WORDS` times 64 units.
#[derive(Debug)]
pub(super) struct Units<const WORDS: usize> {
    taken: [u64; WORDS],
    /// No unit below it is free.
    first: usize,
    count: usize,
}

const BITS: usize = u64::BITS as usize;

impl<const WORDS: usize> Units<WORDS> {
    const ALL: usize = WORDS * BITS;

    pub(super) const fn new() -> Self {
        Self { taken: [0; WORDS], first: 0, count: 0 }
    }

    /// How many are taken.
    pub(super) const fn count(&self) -> usize {
        self.count
    }

    /// Takes the first `count` free units in a row that begin at a multiple of `align`, a power of two. Answers where.
    pub(super) fn take(&mut self, count: usize, align: usize) -> Option<usize> {
        let mut at = self.first.next_multiple_of(align);
        while count <= Self::ALL.checked_sub(at)? {
            let Some(last) = self.last_taken(at, at + count) else {
                self.mark(at, at + count, true);
                self.count += count;
                if at <= self.first {
                    self.first = at + count;
                }
                return Some(at);
            };
            at = (last + 1).next_multiple_of(align);
        }
        None
    }

    /// Frees `count` units from `at` on.
    pub(super) fn free(&mut self, at: usize, count: usize) {
        self.mark(at, at + count, false);
        self.count -= count;
        self.first = self.first.min(at);
    }

    fn last_taken(&self, from: usize, to: usize) -> Option<usize> {
        words(from, to).rev().find_map(|(word, mask)| {
            let taken = self.taken.get(word)? & mask;
            (taken != 0).then(|| word * BITS + taken.ilog2() as usize)
        })
    }

    fn mark(&mut self, from: usize, to: usize, taken: bool) {
        for (word, mask) in words(from, to) {
            let Some(word) = self.taken.get_mut(word) else { return };
            *word = if taken { *word | mask } else { *word & !mask };
        }
    }
}

/// The words that these units lie in, and which bits of each.
fn words(from: usize, to: usize) -> impl DoubleEndedIterator<Item = (usize, u64)> {
    (from / BITS..to.div_ceil(BITS)).map(move |word| {
        let below = from.saturating_sub(word * BITS);
        let above = ((word + 1) * BITS).saturating_sub(to);
        (word, u64::MAX << below & u64::MAX >> above)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_what_fits_and_no_more() {
        let mut units = Units::<2>::new();
        assert_eq!(units.take(129, 1), None);
        assert_eq!(units.take(128, 1), Some(0));
        assert_eq!(units.take(1, 1), None);
        units.free(63, 2);
        assert_eq!(units.take(3, 1), None);
        assert_eq!(units.take(2, 1), Some(63));
        units.free(0, 128);
        assert_eq!(units.take(1, 1), Some(0));
        assert_eq!(units.take(1, 64), Some(64));
        assert_eq!(units.take(1, 64), None);
        assert_eq!(units.take(63, 1), Some(1));
    }

    /// Beside an array of booleans, with a random choice of what is taken and freed.
    #[test]
    fn never_gives_a_unit_twice_and_finds_the_first_row() {
        let mut units = Units::<4>::new();
        let mut model = [false; 256];
        let mut held: Vec<(usize, usize)> = Vec::new();
        let mut chance = 7_u64;
        let mut below = |limit: usize| {
            chance = chance.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
            (chance >> 40) as usize % limit
        };
        let (mut refused, mut across) = (0, 0);
        for _ in 0..20_000 {
            if below(2) == 0 && !held.is_empty() {
                let (at, count) = held.swap_remove(below(held.len()));
                units.free(at, count);
                model[at..at + count].fill(false);
            } else {
                assert_eq!(units.count(), model.iter().filter(|taken| **taken).count());
                let (count, align) = (1 + below(90), 1 << below(4));
                let expected = (0..=256 - count).step_by(align).find(|&at| !model[at..at + count].contains(&true));
                assert_eq!(units.take(count, align), expected);
                let Some(at) = expected else {
                    refused += 1;
                    continue;
                };
                across += usize::from(at / 64 != (at + count - 1) / 64);
                model[at..at + count].fill(true);
                held.push((at, count));
            }
        }
        assert!(refused > 100 && across > 100, "{refused} {across}");
    }
}
