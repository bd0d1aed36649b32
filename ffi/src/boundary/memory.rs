//! Foreign memory: what is read from it and written to it.

use core::ffi::c_char;
use core::marker::PhantomData;
use core::mem::MaybeUninit;
use core::{ptr, slice};

use tethered_core::ws;

use crate::status::tethered_status_code::*;
use crate::status::{Fault, Outcome, wrong};
use crate::types::{tethered_action, tethered_slice};

/// Bytes to be read; `what` names them where they cannot be.
///
/// # Safety
/// If `slice` has a length that can be and a pointer, that many bytes are readable there, and nobody writes them while the
/// result lives.
pub(crate) unsafe fn bytes<'a>(slice: tethered_slice, what: &str) -> Outcome<&'a [u8]> {
    if !fits(slice.ptr, slice.len, what)? {
        return Ok(&[]);
    }
    // SAFETY: not NULL, no longer than a slice can be, and readable as the caller promises.
    Ok(unsafe { slice::from_raw_parts(slice.ptr, slice.len) })
}

/// Bytes to be read as text.
///
/// # Safety
/// As for [`bytes`].
pub(crate) unsafe fn text<'a>(slice: tethered_slice, what: &str) -> Outcome<&'a str> {
    // SAFETY: the same promise.
    let bytes = unsafe { bytes(slice, what)? };
    if !ws::is_utf8(bytes) {
        return Err(wrong(format!("{what} is not UTF-8")));
    }
    // SAFETY: checked in the line above.
    Ok(unsafe { str::from_utf8_unchecked(bytes) })
}

/// Bytes to be changed.
///
/// # Safety
/// If the length can be and the pointer is not NULL, that many bytes are readable and writable there, and nobody else
/// touches them while the result lives.
pub(crate) unsafe fn bytes_mut<'a>(ptr: *mut u8, len: usize, what: &str) -> Outcome<&'a mut [u8]> {
    if !fits(ptr, len, what)? {
        return Ok(&mut []);
    }
    // SAFETY: not NULL, no longer than a slice can be, and the caller's alone as the caller promises.
    Ok(unsafe { slice::from_raw_parts_mut(ptr, len) })
}

/// Room for bytes; its contents are not looked at.
///
/// # Safety
/// If the length can be and the pointer is not NULL, that many bytes are writable there, and nobody else touches them while
/// the result lives.
pub(crate) unsafe fn room<'a>(ptr: *mut u8, len: usize, what: &str) -> Outcome<&'a mut [MaybeUninit<u8>]> {
    if !fits(ptr, len, what)? {
        return Ok(&mut []);
    }
    // SAFETY: not NULL, no longer than a slice can be, the caller's alone; what may be uninitialised is said to be.
    Ok(unsafe { slice::from_raw_parts_mut(ptr.cast(), len) })
}

/// Room for numbers; its contents are not looked at.
///
/// # Safety
/// If the length can be and the pointer is not NULL, that many numbers are writable there, and nobody else touches them
/// while the result lives.
pub(crate) unsafe fn numbers<'a>(ptr: *mut usize, len: usize, what: &str) -> Outcome<&'a mut [MaybeUninit<usize>]> {
    if !fits(ptr, len, what)? {
        return Ok(&mut []);
    }
    if !ptr.is_aligned() {
        return Err(wrong(format!("{what} is not aligned")));
    }
    // SAFETY: not NULL, aligned, no longer than a slice can be, the caller's alone; what may be uninitialised is said to be.
    Ok(unsafe { slice::from_raw_parts_mut(ptr.cast(), len) })
}

/// The caller's array of slices to be filled; its contents are not looked at.
///
/// # Safety
/// If the length can be and the pointer is not NULL, that many slices are writable there, and nobody else touches them
/// while the result lives.
pub(crate) unsafe fn slices_out<'a>(
    ptr: *mut tethered_slice,
    len: usize,
) -> Outcome<&'a mut [MaybeUninit<tethered_slice>]> {
    if !fits(ptr, len, "out")? {
        return Ok(&mut []);
    }
    if !ptr.is_aligned() {
        return Err(wrong("out is not aligned"));
    }
    // SAFETY: not NULL, aligned, no longer than a slice can be, the caller's alone; what may be uninitialised is said to be.
    Ok(unsafe { slice::from_raw_parts_mut(ptr.cast(), len) })
}

/// The caller's array of structs whose layout never changes.
///
/// # Safety
/// If the count can be and the pointer is not NULL, that many are readable there, and nobody writes them while the result
/// lives.
pub(crate) unsafe fn array<'a, T: Plain>(ptr: *const T, count: usize, what: &str) -> Outcome<&'a [T]> {
    if !fits(ptr, count, what)? {
        return Ok(&[]);
    }
    if !ptr.is_aligned() {
        return Err(wrong(format!("{what} is not aligned")));
    }
    // SAFETY: not NULL, aligned, no longer than a slice can be, and readable as the caller promises; the trait says that any
    // bytes are a T.
    Ok(unsafe { slice::from_raw_parts(ptr, count) })
}

/// A pointer to a result, which is written last and only on success.
pub(crate) fn present<T>(out: *mut T, what: &str) -> Outcome<()> {
    if out.is_null() { Err(wrong(format!("{what} is NULL"))) } else { Ok(()) }
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

/// Writes a struct as far as the caller knows it; what the caller knows beyond it becomes 0.
///
/// # Safety
/// `out` is NULL, or `size` bytes can be written there.
pub(crate) unsafe fn put_sized<T: Plain>(out: *mut T, size: usize, value: T) -> Outcome<()> {
    checked_size(out, size, "out")?;
    let known = size.min(size_of::<T>());
    // SAFETY: `known` is at most the size of either side, and the rest lies within `size`, writable as the caller promises.
    unsafe {
        ptr::copy_nonoverlapping((&raw const value).cast::<u8>(), out.cast::<u8>(), known);
        out.cast::<u8>().add(known).write_bytes(0, size - known);
    }
    Ok(())
}

/// Writes a sentence with a NUL at its end, cut off where the room ends.
///
/// # Safety
/// `out` is NULL, or `capacity` bytes can be written there.
pub(crate) unsafe fn put_text(out: *mut c_char, capacity: usize, text: &str) {
    let Some(most) = capacity.checked_sub(1).filter(|_| !out.is_null()) else { return };
    let mut len = text.len().min(most);
    while !text.is_char_boundary(len) {
        len -= 1;
    }
    // SAFETY: `len` and one more are at most `capacity`, writable as the caller promises.
    unsafe {
        ptr::copy_nonoverlapping(text.as_ptr(), out.cast::<u8>(), len);
        out.add(len).write(0);
    }
}

/// The 16 bytes of a seed.
///
/// # Safety
/// `seed` is NULL, or 16 bytes are readable there.
pub(crate) unsafe fn seed(seed: *const u8) -> Outcome<[u8; 16]> {
    if seed.is_null() {
        return Err(wrong("seed16 is NULL"));
    }
    // SAFETY: not NULL, and readable as the caller promises.
    Ok(unsafe { seed.cast::<[u8; 16]>().read() })
}

/// A struct of the caller's, which may be of another age: what is missing at its end is 0, what is there beyond the end
/// that is known here must be 0.
///
/// # Safety
/// If `ptr` is not NULL, `size` bytes are readable there.
pub(crate) unsafe fn sized<T: Plain>(ptr: *const T, size: usize, what: &str) -> Outcome<T> {
    // An age before the first member is one, too.
    if size > 0 || ptr.is_null() {
        checked_size(ptr, size, what)?;
    }
    // SAFETY: not NULL, and readable as the caller promises.
    let given = unsafe { slice::from_raw_parts(ptr.cast::<u8>(), size) };
    let known = size.min(size_of::<T>());
    if given[known..].iter().any(|&byte| byte != 0) {
        let what = format!("{what} has members that this library does not know: use the library of your tethered.h");
        return Err(Fault { code: TETHERED_E_VERSION, what: Some(what.into()) });
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
pub(crate) unsafe fn sized_array<T: Plain>(ptr: *const T, count: usize, size: usize, what: &str) -> Outcome<Vec<T>> {
    if count > MOST_STRUCTS {
        return Err(wrong(format!("{what}: there are more than {MOST_STRUCTS}")));
    }
    if ptr.is_null() && count > 0 {
        return Err(wrong(format!("{what} is NULL")));
    }
    // SAFETY: the array is so large as the caller promises.
    (0..count).map(|at| unsafe { sized(ptr.byte_add(at * size), size, what) }).collect()
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
        if stride < size_of::<tethered_action>() || stride > MOST_STRUCT_BYTES {
            return Err(wrong("stride is not sizeof(tethered_action)"));
        }
        if first.is_null() && capacity > 0 {
            return Err(wrong("out is NULL"));
        }
        Ok(Self { first, stride, capacity: capacity.min(MOST_ROWS) })
    }

    /// How many actions it has room for.
    pub(crate) fn capacity(&self) -> usize {
        self.capacity
    }

    /// The row of the `at`-th action, which is below the capacity.
    #[inline]
    pub(crate) fn row(&mut self, at: usize) -> Row<'_> {
        let at = at.min(self.capacity.saturating_sub(1));
        // In bounds of the array, as `new` was promised.
        Row { row: self.first.wrapping_byte_add(at * self.stride), stride: self.stride, of: PhantomData }
    }
}

/// Room for one action. INVARIANT: a row of the array of [`Rows`], which is nobody else's meanwhile.
pub(crate) struct Row<'a> {
    row: *mut tethered_action,
    stride: usize,
    of: PhantomData<&'a mut Rows>,
}

impl Row<'_> {
    /// Fills it; what it holds beyond an action as it is known here becomes 0.
    #[inline(always)]
    pub(crate) fn write(self, action: tethered_action) {
        // SAFETY: it is `stride` bytes long, which is at least an action, and writable, as the invariant says. It need not
        // be aligned.
        unsafe {
            self.row.write_unaligned(action);
            let rest = self.stride - size_of::<tethered_action>();
            if rest > 0 {
                self.row.add(1).cast::<u8>().write_bytes(0, rest);
            }
        }
    }
}

/// Structs that any bytes are one of.
///
/// # Safety
/// Integers and pointers only, and no padding.
pub(crate) unsafe trait Plain: Copy {}

/// Whether there is anything; an error if that cannot be.
fn fits<T>(ptr: *const T, len: usize, what: &str) -> Outcome<bool> {
    if len > isize::MAX as usize / size_of::<T>() {
        return Err(wrong(format!("{what} has a length that cannot be")));
    }
    if ptr.is_null() && len > 0 {
        return Err(wrong(format!("{what} is NULL and has a length")));
    }
    Ok(len > 0)
}

/// Whether a struct of this size can be there.
pub(crate) fn checked_size<T>(ptr: *const T, size: usize, what: &str) -> Outcome<()> {
    if ptr.is_null() {
        return Err(wrong(format!("{what} is NULL")));
    }
    if size == 0 || size > MOST_STRUCT_BYTES || !size.is_multiple_of(8) {
        return Err(wrong(format!("{what}: its size is no sizeof")));
    }
    Ok(())
}

/// No struct will ever be larger; a size beyond it is a slip.
const MOST_STRUCT_BYTES: usize = 4_096;
/// No array of structs that may grow is longer.
const MOST_STRUCTS: usize = 255;
/// The most actions of one poll, so that their number fits into an int32_t and their bytes into memory.
const MOST_ROWS: usize = 65_536;
