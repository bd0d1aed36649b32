//! Keeping the system's allocator from putting its work off.

use alloc::vec::Vec;
use core::hint::black_box;

/// For owners of many small blocks, to be told of each one that they free.
///
/// glibc only sets small blocks aside when they are freed, and merges all of them at the next request of a kilobyte or
/// more, whoever makes it: after a million sessions have ended, that is a turn of half a second. So such a request is made
/// every few hundred blocks; it costs other allocators next to nothing.
#[derive(Debug, Default)]
pub(crate) struct Upkeep {
    freed: u32,
}

impl Upkeep {
    /// A value of a few small blocks is being freed. Whether it was time for a large request.
    pub(crate) fn freed(&mut self) -> bool {
        self.freed += 1;
        let due = self.freed >= EVERY;
        if due {
            self.freed = 0;
            // Hidden from the compiler, which may leave out a block that nobody looks into.
            drop(black_box(Vec::<u8>::with_capacity(LARGE)));
        }
        due
    }
}

/// Merging the blocks of so many values takes far less than a millisecond.
const EVERY: u32 = 128;
/// More than glibc serves from what it has set aside, in bytes.
const LARGE: usize = 2_048;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_request_once_in_a_while() {
        let mut upkeep = Upkeep::default();
        let asked = (1..=1_000).filter(|_| upkeep.freed()).count();
        assert_eq!(asked, 1_000 / EVERY as usize);
    }
}
