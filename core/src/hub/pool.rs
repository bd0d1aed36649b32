//! Busy parts of sockets that nobody needs now, kept for who needs one next.

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::socket::Cold;
use crate::time::Instant;

/// A message to many makes all of them busy for a moment. To make a part for each anew costs more than all else that is
/// done for a receiver, so many are kept; but what was not needed for a while is given up.
#[derive(Debug)]
pub(super) struct Pool {
    #[expect(clippy::vec_box, reason = "sockets hold them boxed, and a part never moves")]
    parts: Vec<Box<Cold>>,
    /// The fewest that there were since the last look: nobody needed those.
    least: usize,
    looked: Instant,
}

impl Pool {
    pub(super) fn new(now: Instant) -> Self {
        Self { parts: Vec::new(), least: 0, looked: now }
    }

    pub(super) fn take(&mut self) -> Box<Cold> {
        let part = self.parts.pop().unwrap_or_default();
        self.least = self.least.min(self.parts.len());
        part
    }

    pub(super) fn give(&mut self, mut part: Box<Cold>) {
        let len = self.parts.len();
        if len < MOST {
            part.reset();
            if len >= WITH_BUFFERS {
                part.shed();
            }
            self.parts.push(part);
        }
    }

    /// Gives up what was not needed since the last look, if that was long ago.
    #[inline]
    pub(super) fn look(&mut self, now: Instant) {
        if now >= self.looked.after(KEPT_MS) {
            self.give_up(now);
        }
    }

    #[cold]
    fn give_up(&mut self, now: Instant) {
        let len = self.parts.len();
        let kept = len.saturating_sub(self.least).max(len.min(WITH_BUFFERS));
        self.parts.truncate(kept);
        self.parts.shrink_to(kept * 2);
        self.least = kept;
        self.looked = now;
    }
}

#[cfg(test)]
impl Pool {
    pub(super) fn iter(&self) -> impl Iterator<Item = &Cold> {
        self.parts.iter().map(|part| &**part)
    }

    pub(super) fn len(&self) -> usize {
        self.parts.len()
    }
}

/// How many are kept at the most: with what is in them some 9 MB.
const MOST: usize = 16 * 1024;
/// So many are kept with their buffers, and for good; those above without them.
const WITH_BUFFERS: usize = 1_024;
/// What nobody needed for so long is given up, in milliseconds.
const KEPT_MS: u64 = 60_000;

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(ms: u64) -> Instant {
        Instant::from_millis(ms)
    }

    fn busy() -> Box<Cold> {
        let mut part = Box::<Cold>::default();
        part.inbox = Vec::with_capacity(1_000);
        part.output.own(at(0), |bytes| bytes.extend([0; 1_000]));
        part.output.advance(at(0), 1_000);
        part
    }

    fn all_busy(pool: &mut Pool, count: usize) {
        let parts: Vec<_> = (0..count).map(|_| pool.take()).collect();
        parts.into_iter().for_each(|part| pool.give(part));
    }

    #[test]
    fn no_more_than_most_are_kept_and_few_with_their_buffers() {
        let mut pool = Pool::new(at(0));
        (0..MOST + 1).for_each(|_| pool.give(busy()));
        assert_eq!(pool.len(), MOST);
        for (nth, part) in pool.iter().enumerate() {
            assert_eq!(part.inbox.capacity() > 0, nth < WITH_BUFFERS, "{nth}");
            assert_eq!(part.output.room() >= 1_000, nth < WITH_BUFFERS, "{nth}");
        }
    }

    #[test]
    fn what_is_needed_again_and_again_is_kept_and_what_is_not_is_given_up() {
        let mut pool = Pool::new(at(0));
        all_busy(&mut pool, 10_000);
        for round in 1..5 {
            all_busy(&mut pool, 10_000);
            pool.look(at(round * KEPT_MS));
            assert_eq!(pool.len(), 10_000, "round {round}");
        }
        all_busy(&mut pool, 3_000);
        pool.look(at(5 * KEPT_MS - 1));
        assert_eq!(pool.len(), 10_000, "not yet");
        pool.look(at(5 * KEPT_MS));
        assert_eq!(pool.len(), 3_000);
        assert!(pool.parts.capacity() <= 6_000);
        pool.look(at(6 * KEPT_MS));
        assert_eq!(pool.len(), WITH_BUFFERS);
        pool.look(at(7 * KEPT_MS));
        assert_eq!(pool.len(), WITH_BUFFERS);
    }

    #[test]
    fn few_are_never_given_up() {
        let mut pool = Pool::new(at(0));
        all_busy(&mut pool, 5);
        pool.look(at(KEPT_MS));
        pool.look(at(2 * KEPT_MS));
        assert_eq!(pool.len(), 5);
    }
}
