//! Handles that C keeps: what they stand for, who may be inside, and where a panic stops.

use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicU64, Ordering, compiler_fence};
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::alone::alone;
use super::panic;
use crate::log::{Level, Log};
use crate::machine::Machine;
use crate::status::tethered_status_code::*;
use crate::status::{Fault, Outcome};
use crate::stomp::StompDecoder;
use crate::ws::WsDecoder;

/// A handle: a mark that says what it is and whether somebody is inside, and what it stands for.
///
/// # Safety
/// `state` and `inside` belong to one handle of one kind, whose mark no other kind has.
pub(crate) unsafe trait Handle: Sized {
    /// What it stands for.
    type Inside;
    /// Upper 48 bits of its state.
    const MARK: u64;

    fn make(state: AtomicU64, inside: UnsafeCell<Self::Inside>) -> Self;

    /// The mark, which is the first thing in a handle.
    ///
    /// # Safety
    /// `handle` points to 8 readable bytes that are aligned.
    unsafe fn state<'a>(handle: *const Self) -> &'a AtomicU64;

    /// # Safety
    /// `handle` points to a handle of this kind.
    unsafe fn inside(handle: *const Self) -> *mut Self::Inside;

    /// Where a sentence about what went wrong is kept, if anywhere.
    fn log(inside: &mut Self::Inside) -> Option<&mut Log>;
}

/// What every handle is. The mark comes first, so that of what is no handle no more than that is looked at.
#[repr(C)]
struct Guarded<T> {
    /// One of the states below under the mark of its kind; anything else, and this is none.
    state: AtomicU64,
    inside: UnsafeCell<T>,
}

/// A whole server as one state machine, without sockets, threads or a clock of its own. Made by tethered_hub_new, freed by
/// tethered_hub_free; one thread at a time may be inside.
pub struct tethered_hub(Guarded<Machine>);

/// Reads the WebSocket frames of one side of one connection. Made by tethered_ws_decoder_new, freed by
/// tethered_ws_decoder_free; one thread at a time may be inside.
pub struct tethered_ws_decoder(Guarded<WsDecoder>);

/// Reads the STOMP frames of one side of one connection. Made by tethered_stomp_decoder_new, freed by
/// tethered_stomp_decoder_free; one thread at a time may be inside.
pub struct tethered_stomp_decoder(Guarded<StompDecoder>);

macro_rules! handle {
    ($name:ident, $inside:ty, $mark:literal, $log:expr) => {
        // SAFETY: both are fields of the handle, and each mark is written once in this file.
        unsafe impl Handle for $name {
            type Inside = $inside;
            const MARK: u64 = $mark << 16;

            fn make(state: AtomicU64, inside: UnsafeCell<$inside>) -> Self {
                Self(Guarded { state, inside })
            }

            unsafe fn state<'a>(handle: *const Self) -> &'a AtomicU64 {
                // SAFETY: readable and aligned as the caller promises; any integer is an AtomicU64.
                unsafe { &(*handle).0.state }
            }

            unsafe fn inside(handle: *const Self) -> *mut $inside {
                // SAFETY: in bounds as the caller promises; nothing is read.
                UnsafeCell::raw_get(unsafe { &raw const (*handle).0.inside })
            }

            fn log(inside: &mut $inside) -> Option<&mut Log> {
                let find: fn(&mut $inside) -> Option<&mut Log> = $log;
                find(inside)
            }
        }

        const _: () = assert!(core::mem::offset_of!($name, 0.state) == 0);
    };
}

handle!(tethered_hub, Machine, 0x7465_7468_4875, |machine| Some(machine.log()));
handle!(tethered_ws_decoder, WsDecoder, 0x7465_7468_5773, |_| None);
handle!(tethered_stomp_decoder, StompDecoder, 0x7465_7468_5374, |_| None);

const IDLE: u64 = 1;
const BUSY: u64 = 2;
const POISONED: u64 = 3;
const FREED: u64 = 4;

/// A handle for C to keep.
pub(crate) fn give<H: Handle>(inside: H::Inside) -> *mut H {
    Box::into_raw(Box::new(H::make(AtomicU64::new(H::MARK | IDLE), UnsafeCell::new(inside))))
}

/// The guard of every entry that takes a handle: what is no such handle, one that somebody is in and a poisoned one are
/// turned away; a panic in `work` poisons. What went wrong is told to the log of the handle, if it has one, together with
/// the name of the `entry`.
///
/// # Safety
/// `handle` is NULL, or points to 8 readable bytes; if they hold the mark of its kind it is one that [`give`] made and
/// [`free`] has not got.
pub(crate) unsafe fn enter<H: Handle, T>(
    handle: *const H,
    entry: &str,
    work: impl FnOnce(&mut H::Inside) -> Outcome<T>,
) -> Outcome<T> {
    // SAFETY: the same promise.
    unsafe { guarded(handle, entry, &[IDLE], work) }
}

/// The same for what may also be done with a poisoned handle: looking at its log.
///
/// # Safety
/// As for [`enter`].
pub(crate) unsafe fn enter_poisoned<H: Handle, T>(
    handle: *const H,
    entry: &str,
    work: impl FnOnce(&mut H::Inside) -> Outcome<T>,
) -> Outcome<T> {
    // SAFETY: the same promise.
    unsafe { guarded(handle, entry, &[IDLE, POISONED], work) }
}

/// # Safety
/// As for [`enter`].
unsafe fn guarded<H: Handle, T>(
    handle: *const H,
    entry: &str,
    from: &[u64],
    work: impl FnOnce(&mut H::Inside) -> Outcome<T>,
) -> Outcome<T> {
    // SAFETY: the same promise.
    let state = unsafe { state(handle) }.ok_or(TETHERED_E_ARGUMENT)?;
    let before = take::<H>(state, from, BUSY)?;
    // SAFETY: the mark says what it is, and the state became busy just now, so nobody else is inside.
    let inside = unsafe { &mut *H::inside(handle) };
    let outcome = catch(|| work(inside));
    let mut after = before;
    if let Err(fault) = &outcome {
        if fault.code == TETHERED_E_PANIC {
            after = POISONED;
        }
        // What has panicked may be half changed; its log is only ever written here and read whole.
        let _ = catch(|| {
            if let (Some(log), Some(what)) = (H::log(inside), &fault.what) {
                let level = if fault.code == TETHERED_E_PANIC { Level::Error } else { Level::Warn };
                log.push(level, format!("{entry}: {what}"));
            }
            Ok(())
        });
    }
    state.store(H::MARK | after, Ordering::Release);
    outcome
}

/// Frees a handle; what is none, or has somebody in it, is left alone.
///
/// # Safety
/// As for [`enter`].
pub(crate) unsafe fn free<H: Handle>(handle: *mut H) {
    // SAFETY: the same promise.
    let Some(state) = (unsafe { state(handle.cast_const()) }) else { return };
    if take::<H>(state, &[IDLE, POISONED], FREED).is_ok() {
        // SAFETY: the mark says that it came out of `give`'s box, and the state that nobody got here before.
        let handle = unsafe { Box::from_raw(handle) };
        let _ = catch(|| {
            drop(handle);
            Ok(())
        });
    }
}

/// Runs what might panic, in spite of all care.
pub(crate) fn catch<T>(work: impl FnOnce() -> Outcome<T>) -> Outcome<T> {
    let _quiet = panic::quiet();
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|payload| {
        // Whatever it holds is not worth a second panic.
        core::mem::forget(payload);
        Err(Fault { code: TETHERED_E_PANIC, what: Some(panic::said().into()) })
    })
}

/// # Safety
/// As for [`enter`].
unsafe fn state<'a, H: Handle>(handle: *const H) -> Option<&'a AtomicU64> {
    if handle.is_null() || !handle.is_aligned() {
        return None;
    }
    // SAFETY: it is aligned, and readable as the caller promises.
    Some(unsafe { H::state(handle) })
}

/// Answers which of `from` it was.
fn take<H: Handle>(state: &AtomicU64, from: &[u64], to: u64) -> Outcome<u64> {
    // Looked at before it is swapped, for what is no handle may lie in memory that is not to be written.
    let mut seen = state.load(Ordering::Relaxed);
    if let Some(&before) = from.iter().find(|&&known| seen == H::MARK | known) {
        if alone() {
            state.store(H::MARK | to, Ordering::Relaxed);
            // For a signal that comes while somebody is inside.
            compiler_fence(Ordering::SeqCst);
            return Ok(before);
        }
        match state.compare_exchange(seen, H::MARK | to, Ordering::Acquire, Ordering::Relaxed) {
            Ok(_) => return Ok(before),
            Err(now) => seen = now,
        }
    }
    Err(match seen ^ H::MARK {
        IDLE | BUSY => TETHERED_E_BUSY,
        POISONED => TETHERED_E_POISONED,
        _ => TETHERED_E_ARGUMENT,
    }
    .into())
}

#[cfg(test)]
mod tests {
    use core::ptr;

    use tethered_core::config::Config;
    use tethered_core::hub::Open;
    use tethered_core::time::Now;

    use super::*;
    use crate::machine::Choices;

    fn hub() -> *mut tethered_hub {
        give(Machine::new(Config::default(), Choices::default(), [1; 16], Now::default()).unwrap())
    }

    fn idle(hub: *const tethered_hub) -> Result<(), crate::status::tethered_status_code> {
        // SAFETY: made by `hub` and not freed.
        unsafe { enter(hub, "idle", |_| Ok(())) }.map_err(|fault| fault.code)
    }

    #[test]
    fn a05_a_hub_that_somebody_is_in_is_busy() {
        let hub = hub();
        // SAFETY: made above and not freed.
        let inner = unsafe {
            enter(hub, "outer", |_| {
                free(hub);
                Ok(idle(hub))
            })
        };
        assert_eq!(inner.unwrap(), Err(TETHERED_E_BUSY));
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
                        let open = |machine: &mut Machine| {
                            machine.open(Now::default(), Open { token: 0, address: None, secure: false })
                        };
                        // SAFETY: made above and not freed.
                        let busy = |outcome: Outcome<u64>| outcome.is_err_and(|fault| fault.code == TETHERED_E_BUSY);
                        // SAFETY: made above and not freed.
                        (0..2_000).filter(|_| !busy(unsafe { enter(shared.0, "open", open) })).count() as u64
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
    fn a06_a_panic_poisons_its_hub_and_no_other_and_is_told_by_its_log() {
        let (hub, other) = (hub(), hub());
        // SAFETY: made above and not freed.
        let outcome: Outcome<()> = unsafe { enter(hub, "some_entry", |_| panic!("planted by a test: {}", 7)) };
        assert_eq!(outcome.unwrap_err().code, TETHERED_E_PANIC);
        assert_eq!(idle(hub), Err(TETHERED_E_POISONED));
        assert_eq!(idle(other), Ok(()));
        // SAFETY: made above and not freed.
        let line = unsafe { enter_poisoned(hub, "log", |machine| Ok(machine.log().next().unwrap().text.to_owned())) };
        let line = line.unwrap();
        assert!(line.starts_with("some_entry: planted by a test: 7, at "), "{line}");
        assert!(line.contains("handle.rs:"), "{line}");
        assert_eq!(idle(hub), Err(TETHERED_E_POISONED));
        // SAFETY: made above and not freed.
        unsafe {
            free(hub);
            free(other);
        }
    }

    #[test]
    fn a01_what_is_no_hub_is_turned_away() {
        let zeros = [0_u64; 1];
        let hub = zeros.as_ptr().cast::<tethered_hub>();
        assert_eq!(idle(ptr::null()), Err(TETHERED_E_ARGUMENT));
        assert_eq!(idle(hub), Err(TETHERED_E_ARGUMENT));
        assert_eq!(idle(hub.wrapping_byte_add(1)), Err(TETHERED_E_ARGUMENT));
        let decoder = give::<tethered_ws_decoder>(WsDecoder::new(0, 1).unwrap());
        assert_eq!(idle(decoder.cast()), Err(TETHERED_E_ARGUMENT), "another kind of handle");
        // SAFETY: NULL, readable memory without a hub's mark, and a decoder that was made above.
        unsafe {
            free(ptr::null_mut::<tethered_hub>());
            free(hub.cast_mut());
            free(decoder);
        }
    }
}
