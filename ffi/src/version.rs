//! Which library is this?

use core::ffi::{CStr, c_char};

/// Number of the binary interface this header belongs to. What it names is never removed or changed, only added to.
/// While it is 0 the interface may still change with each 0.y.
pub const TETHERED_ABI: u32 = 0;

/// The version of the library that runs, such as "0.1.0". Static; never NULL.
#[unsafe(no_mangle)]
pub extern "C" fn tethered_version() -> *const c_char {
    VERSION.as_ptr()
}

/// The version of the library that runs as 0xMMmmpp; compare it with TETHERED_VERSION_NUM of the header.
#[unsafe(no_mangle)]
pub extern "C" fn tethered_version_num() -> u32 {
    VERSION_NUM
}

/// TETHERED_ABI of the library that runs.
#[unsafe(no_mangle)]
pub extern "C" fn tethered_abi() -> u32 {
    TETHERED_ABI
}

const VERSION: &CStr = match CStr::from_bytes_with_nul(concat!(env!("CARGO_PKG_VERSION"), "\0").as_bytes()) {
    Ok(version) => version,
    Err(_) => panic!("a version holds no NUL"),
};
const VERSION_NUM: u32 = number(env!("CARGO_PKG_VERSION_MAJOR")) << 16
    | number(env!("CARGO_PKG_VERSION_MINOR")) << 8
    | number(env!("CARGO_PKG_VERSION_PATCH"));

const fn number(digits: &str) -> u32 {
    match u32::from_str_radix(digits, 10) {
        Ok(number) if number < 256 => number,
        _ => panic!("each part of a version has to fit into a byte"),
    }
}
