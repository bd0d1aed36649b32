//! Whether this thread is the only one of the process, as glibc knows since 2.32 (`__libc_single_threaded`). For who is alone,
//! a load and a store are as good as an atomic exchange, and cheaper: a call takes some 5 ns less. A signal that comes between
//! the two is no danger: what its handler begins, it has ended when the two go on.

/// `false` if it is not known: with another C library, or on a machine whose pointers have not 64 bits.
#[inline]
pub(super) fn alone() -> bool {
    known::flag().is_some_and(|flag| flag.load(core::sync::atomic::Ordering::Relaxed) != 0)
}

#[cfg(all(target_os = "linux", target_env = "gnu", target_pointer_width = "64"))]
mod known {
    use core::sync::atomic::AtomicU8;

    // A word that holds where glibc's flag is, and zero where there is none, which only an assembler can ask for: a weak
    // reference.
    core::arch::global_asm!(
        ".pushsection .data.rel.ro.tethered_alone, \"aw\", %progbits",
        ".balign 8",
        ".weak __libc_single_threaded",
        ".hidden tethered_alone",
        ".globl tethered_alone",
        ".type tethered_alone, %object",
        "tethered_alone: .quad __libc_single_threaded",
        ".size tethered_alone, 8",
        ".popsection",
    );

    unsafe extern "C" {
        static tethered_alone: *const AtomicU8;
    }

    #[inline]
    pub(super) fn flag() -> Option<&'static AtomicU8> {
        // SAFETY: the word above, which nobody writes once the program is loaded. It holds NULL or points to a `char` of
        // glibc's that is there as long as the process; glibc writes it when no other thread is there that could look.
        unsafe { tethered_alone.as_ref() }
    }
}

#[cfg(not(all(target_os = "linux", target_env = "gnu", target_pointer_width = "64")))]
mod known {
    pub(super) fn flag() -> Option<&'static core::sync::atomic::AtomicU8> {
        None
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn nobody_is_alone_while_there_are_two() {
        std::thread::scope(|scope| {
            let (end, until) = std::sync::mpsc::channel::<()>();
            scope.spawn(move || until.recv());
            assert!(!super::alone());
            drop(end);
        });
    }
}
