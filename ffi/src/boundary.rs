//! Where foreign pointers become references, and where a panic stops. Nothing else in this crate casts.

use core::cell::UnsafeCell;
use core::mem::MaybeUninit;
use core::sync::atomic::{AtomicU64, Ordering};
use core::{ptr, slice};
use std::panic::{AssertUnwindSafe, catch_unwind};

use tethered_core::ws;

use crate::machine::Machine;
use crate::status::Outcome;
use crate::status::tethered_status_code::*;
use crate::types::{tethered_action, tethered_config, tethered_endpoint, tethered_peer, tethered_slice};

/// A whole server as one state machine, without sockets, threads or a clock of its own. Made by tethered_hub_new, freed by
/// tethered_hub_free; one thread at a time may be inside.
pub struct tethered_hub {
    /// One of the states below; anything else, and this is no hub.
    state: AtomicU64,
    machine: UnsafeCell<Machine>,
}

const IDLE: u64 = 0x7465_7468_6572_0001;
const BUSY: u64 = 0x7465_7468_6572_0002;
const POISONED: u64 = 0x7465_7468_6572_0003;
const FREED: u64 = 0x7465_7468_6572_0004;

/// A handle for C to keep.
pub(crate) fn give(machine: Machine) -> *mut tethered_hub {
    Box::into_raw(Box::new(tethered_hub { state: AtomicU64::new(IDLE), machine: UnsafeCell::new(machine) }))
}

/// The guard of every entry that takes a handle: what is no hub, a hub that somebody is in and a poisoned one are turned
/// away; a panic in `work` poisons.
///
/// # Safety
/// `hub` is NULL, or points to readable memory as large as a hub; if that holds a hub's mark it is one that
/// [`give`] made and [`free`] has not got.
pub(crate) unsafe fn enter<T>(hub: *const tethered_hub, work: impl FnOnce(&mut Machine) -> Outcome<T>) -> Outcome<T> {
    // SAFETY: the same promise.
    let state = unsafe { state(hub) }.ok_or(TETHERED_E_ARGUMENT)?;
    take(state, &[IDLE], BUSY)?;
    // SAFETY: the mark says that it is a hub, and the state went from idle to busy just now, so nobody else has the machine.
    let machine = unsafe { &mut *UnsafeCell::raw_get(&raw const (*hub).machine) };
    let outcome = catch(|| work(machine));
    let poisoned = matches!(outcome, Err(TETHERED_E_PANIC));
    state.store(if poisoned { POISONED } else { IDLE }, Ordering::Release);
    outcome
}

/// Frees a hub; what is none, or has somebody in it, is left alone.
///
/// # Safety
/// As for [`enter`].
pub(crate) unsafe fn free(hub: *mut tethered_hub) {
    // SAFETY: the same promise.
    let Some(state) = (unsafe { state(hub) }) else { return };
    if take(state, &[IDLE, POISONED], FREED).is_ok() {
        // SAFETY: the mark says that it came out of `give`'s box, and the state that nobody got here before.
        let hub = unsafe { Box::from_raw(hub) };
        let _ = catch(|| {
            drop(hub);
            Ok(())
        });
    }
}

/// Runs what might panic, in spite of all care.
pub(crate) fn catch<T>(work: impl FnOnce() -> Outcome<T>) -> Outcome<T> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or(Err(TETHERED_E_PANIC))
}

/// # Safety
/// As for [`enter`].
unsafe fn state<'a>(hub: *const tethered_hub) -> Option<&'a AtomicU64> {
    if hub.is_null() || !hub.is_aligned() {
        return None;
    }
    // SAFETY: it is aligned, and readable as the caller promises; any integer is an AtomicU64.
    Some(unsafe { &(*hub).state })
}

fn take(state: &AtomicU64, from: &[u64], to: u64) -> Outcome<()> {
    // Looked at before it is swapped, for what is no hub may lie in memory that is not to be written.
    let mut seen = state.load(Ordering::Relaxed);
    if from.contains(&seen) {
        match state.compare_exchange(seen, to, Ordering::Acquire, Ordering::Relaxed) {
            Ok(_) => return Ok(()),
            Err(now) => seen = now,
        }
    }
    Err(match seen {
        IDLE | BUSY => TETHERED_E_BUSY,
        POISONED => TETHERED_E_POISONED,
        _ => TETHERED_E_ARGUMENT,
    })
}

/// Bytes to be read.
///
/// # Safety
/// If `slice` has a length that can be and a pointer, that many bytes are readable there, and nobody writes them while the
/// result lives.
pub(crate) unsafe fn bytes<'a>(slice: tethered_slice) -> Outcome<&'a [u8]> {
    if !fits(slice.ptr, slice.len)? {
        return Ok(&[]);
    }
    // SAFETY: not NULL, no longer than a slice can be, and readable as the caller promises.
    Ok(unsafe { slice::from_raw_parts(slice.ptr, slice.len) })
}

/// Bytes to be changed.
///
/// # Safety
/// If the length can be and the pointer is not NULL, that many bytes are readable and writable there, and nobody else
/// touches them while the result lives.
pub(crate) unsafe fn bytes_mut<'a>(ptr: *mut u8, len: usize) -> Outcome<&'a mut [u8]> {
    if !fits(ptr, len)? {
        return Ok(&mut []);
    }
    // SAFETY: not NULL, no longer than a slice can be, and the caller's alone as the caller promises.
    Ok(unsafe { slice::from_raw_parts_mut(ptr, len) })
}

/// The caller's array to be filled; its contents are not looked at.
///
/// # Safety
/// If the length can be and the pointer is not NULL, that many slices are writable there, and nobody else touches them
/// while the result lives.
pub(crate) unsafe fn slices_out<'a>(
    ptr: *mut tethered_slice,
    len: usize,
) -> Outcome<&'a mut [MaybeUninit<tethered_slice>]> {
    if !fits(ptr, len)? {
        return Ok(&mut []);
    }
    if !ptr.is_aligned() {
        return Err(TETHERED_E_ARGUMENT);
    }
    // SAFETY: not NULL, aligned, no longer than a slice can be, the caller's alone; what may be uninitialised is said to be.
    Ok(unsafe { slice::from_raw_parts_mut(ptr.cast(), len) })
}

/// Text to be read.
pub(crate) fn text(bytes: &[u8]) -> Outcome<&str> {
    if !ws::is_utf8(bytes) {
        return Err(TETHERED_E_ARGUMENT);
    }
    // SAFETY: checked in the line above.
    Ok(unsafe { str::from_utf8_unchecked(bytes) })
}

/// A pointer to a result, which is written last and only on success.
pub(crate) fn present<T>(out: *mut T) -> Outcome<()> {
    if out.is_null() { Err(TETHERED_E_ARGUMENT) } else { Ok(()) }
}

/// Writes a result; nowhere if the pointer is NULL.
///
/// # Safety
/// `out` is NULL, or a T can be written there.
pub(crate) unsafe fn put<T>(out: *mut T, value: T) {
    if !out.is_null() {
        // SAFETY: not NULL, and writable as the caller promises.
        unsafe { out.write_unaligned(value) };
    }
}

/// The 16 bytes of a seed.
///
/// # Safety
/// `seed` is NULL, or 16 bytes are readable there.
pub(crate) unsafe fn seed(seed: *const u8) -> Outcome<[u8; 16]> {
    if seed.is_null() {
        return Err(TETHERED_E_ARGUMENT);
    }
    // SAFETY: not NULL, and readable as the caller promises.
    Ok(unsafe { seed.cast::<[u8; 16]>().read() })
}

/// A struct of the caller's, which may be of another age: what is missing at its end is 0, what is there beyond the end
/// that is known here must be 0.
///
/// # Safety
/// If `ptr` is not NULL, `size` bytes are readable there.
pub(crate) unsafe fn sized<T: Plain>(ptr: *const T, size: usize) -> Outcome<T> {
    if ptr.is_null() || size > MOST_STRUCT_BYTES || !size.is_multiple_of(8) {
        return Err(TETHERED_E_ARGUMENT);
    }
    // SAFETY: not NULL, and readable as the caller promises.
    let given = unsafe { slice::from_raw_parts(ptr.cast::<u8>(), size) };
    let known = size.min(size_of::<T>());
    if given[known..].iter().any(|&byte| byte != 0) {
        return Err(TETHERED_E_VERSION);
    }
    let mut value = MaybeUninit::<T>::zeroed();
    // SAFETY: `known` is at most the size of either side, and they do not overlap. Whatever the bytes are, they are a T:
    // the trait says so.
    unsafe {
        ptr::copy_nonoverlapping(given.as_ptr(), value.as_mut_ptr().cast::<u8>(), known);
        Ok(value.assume_init())
    }
}

/// The structs of an array whose stride is the caller's.
///
/// # Safety
/// If the count can be and the pointer is not NULL, `count * size` bytes are readable there.
pub(crate) unsafe fn sized_array<T: Plain>(ptr: *const T, count: usize, size: usize) -> Outcome<Vec<T>> {
    if count > MOST_STRUCTS || (ptr.is_null() && count > 0) {
        return Err(TETHERED_E_ARGUMENT);
    }
    // SAFETY: the array is so large as the caller promises.
    (0..count).map(|at| unsafe { sized(ptr.byte_add(at * size), size) }).collect()
}

/// The caller's array for actions.
pub(crate) struct Rows {
    first: *mut tethered_action,
    stride: usize,
    capacity: usize,
}

impl Rows {
    /// # Safety
    /// If the pointer is not NULL, `stride * capacity` bytes are writable there while the result lives.
    pub(crate) unsafe fn new(first: *mut tethered_action, stride: usize, capacity: usize) -> Outcome<Self> {
        if stride < size_of::<tethered_action>() || stride > MOST_STRUCT_BYTES || (first.is_null() && capacity > 0) {
            return Err(TETHERED_E_ARGUMENT);
        }
        Ok(Self { first, stride, capacity: capacity.min(MOST_ROWS) })
    }

    /// How many actions it has room for.
    pub(crate) fn capacity(&self) -> usize {
        self.capacity
    }

    /// Fills the rows from the first on; what they hold beyond an action as it is known here becomes 0. Returns how many.
    pub(crate) fn fill(&mut self, actions: impl Iterator<Item = tethered_action>) -> usize {
        let rest = self.stride - size_of::<tethered_action>();
        let mut filled = 0;
        for action in actions.take(self.capacity) {
            // SAFETY: the row lies in the array, for `filled` is below `capacity`, and it is `stride` bytes long, which
            // is at least an action. It need not be aligned.
            unsafe {
                let row = self.first.byte_add(filled * self.stride);
                row.write_unaligned(action);
                row.add(1).cast::<u8>().write_bytes(0, rest);
            }
            filled += 1;
        }
        filled
    }
}

/// Structs that any bytes are one of.
///
/// # Safety
/// Integers and pointers only.
pub(crate) unsafe trait Plain: Copy {}
// SAFETY: integers and pointers.
unsafe impl Plain for tethered_config {}
// SAFETY: integers and pointers.
unsafe impl Plain for tethered_endpoint {}
// SAFETY: integers and pointers.
unsafe impl Plain for tethered_peer {}

/// Whether there is anything; an error if that cannot be.
fn fits<T>(ptr: *const T, len: usize) -> Outcome<bool> {
    if len > isize::MAX as usize / size_of::<T>() || (ptr.is_null() && len > 0) {
        return Err(TETHERED_E_ARGUMENT);
    }
    Ok(len > 0)
}

/// No struct will ever be larger; a size beyond it is a slip.
const MOST_STRUCT_BYTES: usize = 4_096;
/// No array of structs of the caller's is longer.
const MOST_STRUCTS: usize = 255;
/// The most actions of one poll, so that their number fits into an int32_t and their bytes into memory.
const MOST_ROWS: usize = 65_536;

#[cfg(test)]
mod tests {
    use tethered_core::config::Config;
    use tethered_core::time::Now;

    use super::*;

    fn hub() -> *mut tethered_hub {
        give(Machine::new(Config::default(), [1; 16], Now::default()).unwrap())
    }

    fn idle(hub: *const tethered_hub) -> Outcome<()> {
        // SAFETY: made by `hub` and not freed.
        unsafe { enter(hub, |_| Ok(())) }
    }

    #[test]
    fn a05_a_hub_that_somebody_is_in_is_busy() {
        let hub = hub();
        // SAFETY: made above and not freed.
        let inner = unsafe {
            enter(hub, |_| {
                free(hub);
                Ok(idle(hub))
            })
        };
        assert_eq!(inner, Ok(Err(TETHERED_E_BUSY)));
        assert_eq!(idle(hub), Ok(()));
        // SAFETY: made above and not freed, for it was busy then.
        unsafe { free(hub) };
    }

    #[test]
    fn a05_two_threads_never_meet_inside() {
        struct Shared(*mut tethered_hub);
        // SAFETY: the guard is what is tested.
        unsafe impl Sync for Shared {}
        let shared = Shared(hub());
        let entered: Vec<u64> = std::thread::scope(|scope| {
            let shared = &shared;
            let threads: Vec<_> = (0..2)
                .map(|_| {
                    scope.spawn(move || {
                        let open = |machine: &mut Machine| machine.open(Now::default(), 0, None, false);
                        // SAFETY: made above and not freed.
                        (0..2_000).filter(|_| unsafe { enter(shared.0, open) } != Err(TETHERED_E_BUSY)).count() as u64
                    })
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(entered.iter().sum::<u64>() > 0);
        assert_eq!(idle(shared.0), Ok(()));
        // SAFETY: made above and not freed.
        unsafe { free(shared.0) };
    }

    #[test]
    fn a06_a_panic_poisons_its_hub_and_no_other() {
        let (hub, other) = (hub(), hub());
        // SAFETY: made above and not freed.
        let outcome: Outcome<()> = unsafe { enter(hub, |_| panic!("planted by a test")) };
        assert_eq!(outcome, Err(TETHERED_E_PANIC));
        assert_eq!(idle(hub), Err(TETHERED_E_POISONED));
        assert_eq!(idle(other), Ok(()));
        // SAFETY: made above and not freed.
        unsafe {
            free(hub);
            free(other);
        }
    }

    #[test]
    fn a01_what_is_no_hub_is_turned_away() {
        let zeros = [0_u64; 1_024];
        let hub = zeros.as_ptr().cast::<tethered_hub>();
        assert!(size_of::<tethered_hub>() <= size_of_val(&zeros));
        assert_eq!(idle(ptr::null()), Err(TETHERED_E_ARGUMENT));
        assert_eq!(idle(hub), Err(TETHERED_E_ARGUMENT));
        assert_eq!(idle(hub.wrapping_byte_add(1)), Err(TETHERED_E_ARGUMENT));
        // SAFETY: NULL, and readable memory without a hub's mark.
        unsafe {
            free(ptr::null_mut());
            free(hub.cast_mut());
        }
    }
}
