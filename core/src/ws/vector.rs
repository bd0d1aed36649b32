//! Unmasking, and checking text in the same pass, with the widest vectors that this processor has.
//!
//! What the compiler may take for granted on x86-64 are vectors of 16 bytes. With the feature `std` it is found out at run
//! time whether there are wider ones. Where there are none every function here does nothing, or the same in small steps.

/// Runs `work` as it is compiled for this processor's vectors. It has to be a closure that is always inlined, and so has
/// everything that it calls.
#[cfg(all(feature = "std", target_arch = "x86_64"))]
#[inline(always)]
pub(super) fn widest<R>(work: impl FnOnce() -> R) -> R {
    match fearless_simd::Level::new().as_avx2() {
        Some(avx2) => fearless_simd::Simd::vectorize(avx2, work),
        None => work(),
    }
}

#[cfg(not(all(feature = "std", target_arch = "x86_64")))]
#[inline(always)]
pub(super) fn widest<R>(work: impl FnOnce() -> R) -> R {
    work()
}

/// What a text was found to be while it was unmasked.
#[derive(Debug, Clone, Copy)]
#[cfg_attr(
    not(all(feature = "std", target_arch = "x86_64")),
    expect(dead_code, reason = "without vectors nothing is seen")
)]
pub(super) enum Seen {
    /// ASCII.
    Ascii,
    /// UTF-8, but the last character may be cut off: that remains to be judged.
    Text,
    /// Neither.
    Fault,
}

/// As [`unmask_text`].
#[cfg(test)]
pub(super) type Unmask = fn(&mut [u8], [u8; 4]) -> Option<Seen>;

/// Texts of fewer bytes are no work for vectors.
pub(super) const SHORT: usize = 64;

/// Unmasks text of at least [`SHORT`] bytes that begins with a character. `None` where there are no vectors: nothing was
/// done.
#[cfg(not(all(feature = "std", target_arch = "x86_64")))]
pub(super) fn unmask_text(_: &mut [u8], _: [u8; 4]) -> Option<Seen> {
    None
}

#[cfg(all(feature = "std", target_arch = "x86_64"))]
pub(super) use wide::unmask_text;

#[cfg(all(test, feature = "std", target_arch = "x86_64"))]
pub(super) use wide::each_kind;

#[cfg(all(test, not(all(feature = "std", target_arch = "x86_64"))))]
pub(super) fn each_kind() -> &'static [Unmask] {
    &[]
}

#[cfg(all(feature = "std", target_arch = "x86_64"))]
mod wide {
    use fearless_simd::{Level, Simd, prelude::*, u8x32};

    use super::Seen;
    use crate::ws::mask::turn;

    /// Unmasks text of at least [`SHORT`] bytes that begins with a character. `None` where there are no vectors: nothing was
    /// done.
    #[inline(never)]
    pub(in crate::ws) fn unmask_text(payload: &mut [u8], key: [u8; 4]) -> Option<Seen> {
        let level = Level::new();
        with(level.as_avx512(), payload, key).or_else(|| with(level.as_avx2(), payload, key))
    }

    #[inline(always)]
    fn with<S: Simd>(vectors: Option<S>, payload: &mut [u8], key: [u8; 4]) -> Option<Seen> {
        let simd = vectors?;
        Some(simd.vectorize(
            #[inline(always)]
            || check(simd, payload, key),
        ))
    }

    #[cfg(test)]
    pub(in crate::ws) fn each_kind() -> &'static [super::Unmask] {
        &[
            |payload, key| with(Level::new().as_avx512(), payload, key),
            |payload, key| with(Level::new().as_avx2(), payload, key),
        ]
    }

    /// The method is that of Keiser and Lemire, "Validating UTF-8 in less than one instruction per byte" (2020): each pair
    /// of neighbours is looked up by three of its four half-bytes, every table tells which faults that half would allow,
    /// and what all three allow is one. Only third and fourth bytes of a character need more than their neighbour.
    struct Check<S: Simd> {
        simd: S,
        /// By the high half of a pair's first byte, by its low half, by the high half of the second.
        tables: [u8x32<S>; 3],
        /// What came before.
        last: u8x32<S>,
        /// What the first two tables say of that.
        allowed: u8x32<S>,
        faults: u8x32<S>,
    }

    #[inline(always)]
    fn check<S: Simd>(simd: S, payload: &mut [u8], key: [u8; 4]) -> Seen {
        // What is left over by the vectors is seen through a window that ends with it, and another for what comes before.
        // They are taken now, while all is masked.
        let mut ends = None;
        if let Some(end) = payload.last_chunk::<BLOCK>()
            && !payload.len().is_multiple_of(VECTOR)
        {
            let key = repeat(simd, turn(key, payload.len()));
            ends = Some([&end[..VECTOR], &end[VECTOR..]].map(|end| u8x32::from_slice(simd, end) ^ key));
        }
        let key = repeat(simd, key);
        let (blocks, rest) = payload.as_chunks_mut::<BLOCK>();
        let mut blocks = blocks.iter_mut();
        let first = loop {
            let Some(block) = blocks.next() else { break None };
            let block = unmask_block(simd, block, key);
            if !is_ascii(simd, block[0] | block[1]) {
                break Some(block);
            }
        };
        let rest = rest.first_chunk_mut::<VECTOR>().map(|rest| unmask(simd, rest, key));
        if first.is_none() && rest.into_iter().chain(ends.map(|[_, end]| end)).all(|rest| is_ascii(simd, rest)) {
            if let Some([_, end]) = ends
                && let Some(last) = payload.last_chunk_mut::<VECTOR>()
            {
                end.store_slice(last);
            }
            return Seen::Ascii;
        }
        let mut check = Check::new(simd);
        if let Some([first, second]) = first {
            check.judge(first);
            check.judge(second);
        }
        for block in blocks {
            check.block(unmask_block(simd, block, key));
        }
        if let Some(rest) = rest {
            check.judge(rest);
        }
        if let Some([before, end]) = ends {
            check.follow(before);
            check.judge(end);
            if let Some(last) = payload.last_chunk_mut::<VECTOR>() {
                end.store_slice(last);
            }
        }
        if check.faults.simd_eq(u8x32::splat(simd, 0)).all_true() { Seen::Text } else { Seen::Fault }
    }

    #[inline(always)]
    fn unmask_block<S: Simd>(simd: S, block: &mut [u8; BLOCK], key: u8x32<S>) -> [u8x32<S>; 2] {
        let plain = [&block[..VECTOR], &block[VECTOR..]].map(|half| u8x32::from_slice(simd, half) ^ key);
        plain[0].store_slice(&mut block[..VECTOR]);
        plain[1].store_slice(&mut block[VECTOR..]);
        plain
    }

    #[inline(always)]
    fn unmask<S: Simd>(simd: S, bytes: &mut [u8; VECTOR], key: u8x32<S>) -> u8x32<S> {
        let plain = u8x32::from_slice(simd, bytes) ^ key;
        plain.store_slice(bytes);
        plain
    }

    #[inline(always)]
    fn is_ascii<S: Simd>(simd: S, bytes: u8x32<S>) -> bool {
        bytes.simd_lt(u8x32::splat(simd, 0x80)).all_true()
    }

    impl<S: Simd> Check<S> {
        #[inline(always)]
        fn new(simd: S) -> Self {
            let table = |table: &[u8; 16]| {
                let mut twice = [0; VECTOR];
                twice.as_chunks_mut().0.fill(*table);
                u8x32::from_slice(simd, &twice)
            };
            let [zero, ascii] = [0, TOO_LONG].map(|byte| u8x32::splat(simd, byte));
            let tables = [table(&FIRST_HIGH), table(&FIRST_LOW), table(&SECOND_HIGH)];
            Self { simd, tables, last: zero, allowed: ascii, faults: zero }
        }

        /// Two vectors; where they are ASCII it is enough that nothing before is cut off by them.
        #[inline(always)]
        fn block(&mut self, [first, second]: [u8x32<S>; 2]) {
            if is_ascii(self.simd, first | second) {
                self.faults |= self.last.saturating_sub(u8x32::from_slice(self.simd, &CUT_OFF));
                (self.last, self.allowed) = (second, u8x32::splat(self.simd, TOO_LONG));
            } else {
                self.judge(first);
                self.judge(second);
            }
        }

        #[inline(always)]
        fn judge(&mut self, bytes: u8x32<S>) {
            let splat = |byte| u8x32::splat(self.simd, byte);
            let second = self.tables[2].swizzle_dyn_within_blocks(bytes >> 4);
            let allowed = self.allowed(bytes);
            let pairs = self.allowed.slide::<{ VECTOR - 1 }>(allowed) & second;
            let third = self.last.slide::<{ VECTOR - 2 }>(bytes).saturating_sub(splat(0xE0 - 0x80));
            let fourth = self.last.slide::<{ VECTOR - 3 }>(bytes).saturating_sub(splat(0xF0 - 0x80));
            // Two continuations in a row are a fault just where no third or fourth byte is due: both have the top bit.
            self.faults |= (third | fourth) & splat(0x80) ^ pairs;
            (self.last, self.allowed) = (bytes, allowed);
        }

        /// As if these bytes had been judged.
        #[inline(always)]
        fn follow(&mut self, bytes: u8x32<S>) {
            (self.last, self.allowed) = (bytes, self.allowed(bytes));
        }

        #[inline(always)]
        fn allowed(&self, bytes: u8x32<S>) -> u8x32<S> {
            let low = bytes & u8x32::splat(self.simd, 0x0F);
            self.tables[0].swizzle_dyn_within_blocks(bytes >> 4) & self.tables[1].swizzle_dyn_within_blocks(low)
        }
    }

    #[inline(always)]
    fn repeat<S: Simd>(simd: S, key: [u8; 4]) -> u8x32<S> {
        let mut keys = [0; VECTOR];
        keys.as_chunks_mut().0.fill(key);
        u8x32::from_slice(simd, &keys)
    }

    /// Bytes of a vector.
    const VECTOR: usize = 32;
    /// Bytes that are looked at together.
    const BLOCK: usize = 2 * VECTOR;

    /// A first byte without its continuation.
    const TOO_SHORT: u8 = 1 << 0;
    /// ASCII with a continuation.
    const TOO_LONG: u8 = 1 << 1;
    const OVERLONG_3: u8 = 1 << 2;
    /// Above U+10FFFF, as `F4 90` and `F5`.
    const TOO_LARGE: u8 = 1 << 3;
    const SURROGATE: u8 = 1 << 4;
    const OVERLONG_2: u8 = 1 << 5;
    /// Too large in another way, `F5 80`, and overlong, `F0 80`: they have the same second byte.
    const TOO_LARGE_80: u8 = 1 << 6;
    const OVERLONG_4: u8 = 1 << 6;
    /// No fault by itself. The top bit, as it is set against what third and fourth bytes are due.
    const TWO_CONTINUATIONS: u8 = 1 << 7;
    /// What the low half of the first byte does not decide.
    const ANY_LOW: u8 = TOO_SHORT | TOO_LONG | TWO_CONTINUATIONS;

    const FIRST_HIGH: [u8; 16] = {
        let mut table = [TOO_LONG; 16];
        [table[0x8], table[0x9], table[0xA], table[0xB]] = [TWO_CONTINUATIONS; 4];
        table[0xC] = TOO_SHORT | OVERLONG_2;
        table[0xD] = TOO_SHORT;
        table[0xE] = TOO_SHORT | OVERLONG_3 | SURROGATE;
        table[0xF] = TOO_SHORT | TOO_LARGE | TOO_LARGE_80 | OVERLONG_4;
        table
    };
    const FIRST_LOW: [u8; 16] = {
        let mut table = [ANY_LOW | TOO_LARGE | TOO_LARGE_80; 16];
        table[0x0] = ANY_LOW | OVERLONG_2 | OVERLONG_3 | OVERLONG_4;
        table[0x1] = ANY_LOW | OVERLONG_2;
        [table[0x2], table[0x3]] = [ANY_LOW; 2];
        table[0x4] = ANY_LOW | TOO_LARGE;
        table[0xD] |= SURROGATE;
        table
    };
    const SECOND_HIGH: [u8; 16] = {
        let mut table = [TOO_SHORT; 16];
        let any = TOO_LONG | OVERLONG_2 | TWO_CONTINUATIONS;
        table[0x8] = any | OVERLONG_3 | TOO_LARGE_80 | OVERLONG_4;
        table[0x9] = any | OVERLONG_3 | TOO_LARGE;
        [table[0xA], table[0xB]] = [any | SURROGATE | TOO_LARGE; 2];
        table
    };
    /// What each byte of a vector may be at most, so that no character goes on behind it.
    const CUT_OFF: [u8; VECTOR] = {
        let mut most = [0xFF; VECTOR];
        [most[VECTOR - 3], most[VECTOR - 2], most[VECTOR - 1]] = [0xF0 - 1, 0xE0 - 1, 0xC0 - 1];
        most
    };
}
