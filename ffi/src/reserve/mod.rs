//! What is left when there is no memory: a call that has begun is finished out of a reserve, and as it is used up, who would
//! need more is turned away with `TETHERED_E_MEMORY` before it begins, until there is memory again.
//!
//! The core allocates as Rust programs do, where an allocation that fails ends the process. So the allocator of this library
//! never lets a small one fail: what `malloc` has not, the reserve has. It lies where zeros lie that no page was given for
//! yet (`.bss`), and costs address space only while it is not needed. It is one for the whole process, as `malloc` is.

mod errno;
mod units;

use core::alloc::{GlobalAlloc, Layout};
use core::cell::UnsafeCell;
use core::mem::MaybeUninit;
use core::ptr;
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::alloc::System;

use crate::status::Outcome;
use crate::status::tethered_status_code::TETHERED_E_MEMORY;
use errno::Errno;
use units::Units;

/// Bytes in the reserve: more than any one call takes within the default limits, a message to 10,000 subscribers
/// included.
const SIZE: usize = 8 << 20;
/// Bytes in a unit of it.
const UNIT: usize = 64;
/// There is memory again when so many bytes can be had.
const ENOUGH: usize = 64 << 10;
/// Bytes of the reserve that may be used up before calls are turned away.
const STEP: usize = 1 << 20;
/// What is beyond stays for the calls that are under way, and for what is never turned away.
const MOST: usize = SIZE * 3 / 8;
/// Who brings more bytes than these is asked to wait even if no allocation has failed yet: what is copied of them takes up
/// to twice as much, and the reserve would not last. To try whether there is memory takes system calls.
const MANY: usize = 2 << 20;
/// Who brings more than these is to wait once an allocation has failed: empty frames lead to sixty times their bytes, and what
/// is beyond `MOST` has to last for them.
const FEW: usize = 64 << 10;

/// Where this library's memory comes from.
#[global_allocator]
static RESERVE: Reserve = Reserve {
    short: AtomicBool::new(false),
    allowed: AtomicUsize::new(0),
    locked: AtomicBool::new(false),
    units: UnsafeCell::new(Units::new()),
    bytes: Bytes(UnsafeCell::new(MaybeUninit::uninit())),
};

/// Whether a call may begin that needs memory, and copies so many bytes of the caller's. That there can be so many is not
/// looked at here.
pub(crate) fn afford(bytes: usize) -> Outcome<()> {
    if RESERVE.short.load(Ordering::Relaxed) || bytes > MANY { RESERVE.look(bytes) } else { Ok(()) }
}

/// A socket has ended, and its place in the books is free for another, though `malloc` may know nothing of that.
pub(crate) fn relieve() {
    if RESERVE.short.load(Ordering::Relaxed) {
        RESERVE.allow();
    }
}

struct Reserve {
    /// `malloc` has failed, and was not seen to succeed since.
    short: AtomicBool,
    /// While it is short: how many bytes of the reserve may be in use for a call to begin.
    allowed: AtomicUsize,
    /// Somebody is at `units`.
    locked: AtomicBool,
    units: UnsafeCell<Units<{ SIZE / UNIT / 64 }>>,
    bytes: Bytes,
}

#[repr(C, align(4096))]
struct Bytes(UnsafeCell<MaybeUninit<[u8; SIZE]>>);

// SAFETY: `units` is reached through `locked` only; of `bytes` each unit belongs to whom it was given to.
unsafe impl Sync for Reserve {}

impl Reserve {
    #[cold]
    fn look(&self, bytes: usize) -> Outcome<()> {
        if bytes > isize::MAX as usize {
            return Ok(());
        }
        if self.has(bytes) {
            self.short.store(false, Ordering::Relaxed);
            return Ok(());
        }
        let lasts =
            bytes <= FEW && self.with_units(|units| units.count()) * UNIT <= self.allowed.load(Ordering::Relaxed);
        if lasts { Ok(()) } else { Err(TETHERED_E_MEMORY.into()) }
    }

    /// Whether `malloc` has so many bytes, and some more.
    fn has(&self, bytes: usize) -> bool {
        let Ok(layout) = Layout::array::<u8>(bytes.saturating_add(ENOUGH)) else { return false };
        let errno = Errno::keep();
        // What is allocated and freed again the compiler would take for had; it is to be tried.
        // SAFETY: not of size 0.
        let found = core::hint::black_box(unsafe { System.alloc(layout) });
        if found.is_null() {
            errno.put_back();
            return false;
        }
        // SAFETY: allocated above with this layout.
        unsafe { System.dealloc(found, layout) };
        true
    }

    /// From now on, so much more may be used up.
    #[cold]
    fn allow(&self) {
        let used = self.with_units(|units| units.count()) * UNIT;
        self.allowed.store((used + STEP).min(MOST), Ordering::Relaxed);
    }

    /// Runs with the units, which nobody else is at meanwhile.
    fn with_units<T>(&self, work: impl FnOnce(&mut Units<{ SIZE / UNIT / 64 }>) -> T) -> T {
        while self.locked.swap(true, Ordering::Acquire) {
            std::thread::yield_now();
        }
        // SAFETY: the lock was free and is taken, so this is the only reference until it is given back.
        let result = work(unsafe { &mut *self.units.get() });
        self.locked.store(false, Ordering::Release);
        result
    }

    fn base(&self) -> *mut u8 {
        self.bytes.0.get().cast()
    }

    /// Which unit this pointer is to; `None`: it came from `malloc`.
    fn unit(&self, ptr: *mut u8) -> Option<usize> {
        let offset = ptr.addr().wrapping_sub(self.base().addr());
        (offset < SIZE).then_some(offset / UNIT)
    }

    /// Bytes out of the reserve; NULL if it has not so many either.
    #[cold]
    fn take(&self, layout: Layout) -> *mut u8 {
        if !self.short.swap(true, Ordering::Relaxed) {
            self.allow();
        }
        let align = layout.align().div_ceil(UNIT);
        // The reserve itself is aligned to no more.
        if layout.align() > align_of::<Bytes>() {
            return ptr::null_mut();
        }
        let taken = self.with_units(|units| units.take(count(layout.size()), align));
        // SAFETY: the units lie within the bytes.
        taken.map_or(ptr::null_mut(), |at| unsafe { self.base().add(at * UNIT) })
    }
}

/// How many units so many bytes take.
fn count(size: usize) -> usize {
    size.div_ceil(UNIT)
}

// SAFETY: what is allocated is the system's, or units that nobody else has until they are given back; nothing unwinds.
unsafe impl GlobalAlloc for Reserve {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let errno = Errno::keep();
        // SAFETY: the same promise.
        let found = unsafe { System.alloc(layout) };
        if !found.is_null() {
            return found;
        }
        errno.put_back();
        self.take(layout)
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        let errno = Errno::keep();
        // SAFETY: the same promise.
        let found = unsafe { System.alloc_zeroed(layout) };
        if !found.is_null() {
            return found;
        }
        errno.put_back();
        let taken = self.take(layout);
        if !taken.is_null() {
            // SAFETY: so many bytes were taken just now.
            unsafe { taken.write_bytes(0, layout.size()) };
        }
        taken
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        match self.unit(ptr) {
            Some(at) => self.with_units(|units| units.free(at, count(layout.size()))),
            // SAFETY: the same promise, and it is none of the reserve's.
            None => unsafe { System.dealloc(ptr, layout) },
        }
    }

    unsafe fn realloc(&self, ptr: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        let held = self.unit(ptr);
        if held.is_none() {
            let errno = Errno::keep();
            // SAFETY: the same promise, and it is none of the reserve's.
            let found = unsafe { System.realloc(ptr, layout, new_size) };
            if !found.is_null() {
                return found;
            }
            errno.put_back();
        }
        // SAFETY: the caller promises that the new size is one that a layout can have.
        let new = unsafe { Layout::from_size_align_unchecked(new_size, layout.align()) };
        // Out of the reserve as soon as there is memory again.
        // SAFETY: the new size is not 0, as the caller promises.
        let moved = unsafe { if held.is_some() { self.alloc(new) } else { self.take(new) } };
        if !moved.is_null() {
            // SAFETY: both have so many bytes, and the new ones are nobody else's; the old ones came from this allocator
            // with this layout.
            unsafe {
                moved.copy_from_nonoverlapping(ptr, layout.size().min(new_size));
                self.dealloc(ptr, layout);
            }
        }
        moved
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(size: usize, align: usize) -> Layout {
        Layout::from_size_align(size, align).unwrap()
    }

    /// The reserve is one for all tests: none takes much, or for long.
    fn bytes(layout: Layout) -> *mut u8 {
        let taken = RESERVE.take(layout);
        assert!(RESERVE.unit(taken).is_some());
        taken
    }

    #[test]
    fn what_is_taken_is_aligned_and_goes_back() {
        for align in [1, 64, 128, 4096] {
            let layout = layout(100, align);
            let taken = bytes(layout);
            assert!(taken.addr().is_multiple_of(align));
            // SAFETY: taken above with this layout, and not used after.
            unsafe { RESERVE.dealloc(taken, layout) };
        }
        assert!(RESERVE.take(layout(1, 8192)).is_null(), "more than the reserve itself is aligned to");
        assert!(RESERVE.take(layout(SIZE + 1, 1)).is_null(), "more than there is");
    }

    #[test]
    fn what_grows_leaves_the_reserve_as_soon_as_there_is_memory() {
        let (small, large) = (layout(3, 1), layout(200, 1));
        let taken = bytes(small);
        // SAFETY: taken above with this layout; what it grows to is freed with the layout it grew to.
        unsafe {
            taken.copy_from_nonoverlapping(b"abc".as_ptr(), 3);
            let grown = RESERVE.realloc(taken, small, large.size());
            assert_eq!(RESERVE.unit(grown), None);
            assert_eq!(core::slice::from_raw_parts(grown, 3), b"abc");
            RESERVE.dealloc(grown, large);
        }
    }

    #[test]
    fn two_threads_never_get_the_same() {
        std::thread::scope(|scope| {
            for mark in 1..=2_u8 {
                scope.spawn(move || {
                    for round in 0..2_000 {
                        let layout = layout(64 * (1 + round % 5), 1);
                        let taken = bytes(layout);
                        // SAFETY: taken above with this layout, and not used after.
                        unsafe {
                            taken.write_bytes(mark, layout.size());
                            std::thread::yield_now();
                            assert!(core::slice::from_raw_parts(taken, layout.size()).iter().all(|byte| *byte == mark));
                            RESERVE.dealloc(taken, layout);
                        }
                    }
                });
            }
        });
    }

    #[test]
    fn a_length_that_cannot_be_is_left_to_who_looks_at_arguments() {
        assert_eq!(afford(usize::MAX), Ok(()));
        assert_eq!(afford(0), Ok(()));
        assert_eq!(afford(2 << 20), Ok(()));
        assert_eq!(afford(isize::MAX as usize).unwrap_err().code, TETHERED_E_MEMORY);
    }
}
