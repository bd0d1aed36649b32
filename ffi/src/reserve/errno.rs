//! `errno`, which an allocation that fails sets, and this library leaves alone.

use core::ffi::c_int;

unsafe extern "C" {
    #[cfg_attr(any(target_os = "linux", target_os = "emscripten"), link_name = "__errno_location")]
    #[cfg_attr(any(target_vendor = "apple", target_os = "freebsd"), link_name = "__error")]
    #[cfg_attr(any(target_os = "android", target_os = "netbsd", target_os = "openbsd"), link_name = "__errno")]
    safe fn errno_location() -> *mut c_int;
}

/// What `errno` was.
pub(super) struct Errno(c_int);

impl Errno {
    pub(super) fn keep() -> Self {
        // SAFETY: a C library answers where this thread's errno is.
        Self(unsafe { *errno_location() })
    }

    pub(super) fn put_back(self) {
        // SAFETY: as above.
        unsafe { *errno_location() = self.0 };
    }
}
