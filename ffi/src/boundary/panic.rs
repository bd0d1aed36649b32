//! What a panic says is kept for the log of the handle, and not printed.

use std::cell::{Cell, RefCell};
use std::panic;
use std::sync::Once;

thread_local! {
    /// How many entries this thread is in.
    static INSIDE: Cell<u32> = const { Cell::new(0) };
    /// What the last panic in one of them said.
    static SAID: RefCell<String> = const { RefCell::new(String::new()) };
}

static HOOK: Once = Once::new();

/// While it lives, what a panic of this thread says is kept.
pub(super) struct Quiet(());

pub(super) fn quiet() -> Quiet {
    // A hook that holds nothing needs no memory of its own, so that none is left when the process ends.
    HOOK.call_once(|| {
        panic::set_hook(Box::new(|info| {
            if INSIDE.get() == 0 {
                eprintln!("{info}");
                return;
            }
            let what = info.payload_as_str().unwrap_or("a panic without words");
            let place = info.location().map(|at| format!(", at {}:{}", at.file(), at.line())).unwrap_or_default();
            SAID.with_borrow_mut(|said| *said = format!("{what}{place}"));
        }));
    });
    INSIDE.set(INSIDE.get() + 1);
    Quiet(())
}

/// What the last panic of this thread said.
pub(super) fn said() -> String {
    SAID.with_borrow_mut(std::mem::take)
}

impl Drop for Quiet {
    fn drop(&mut self) {
        INSIDE.set(INSIDE.get() - 1);
    }
}
