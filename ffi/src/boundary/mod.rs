//! Where foreign pointers become references, and where a panic stops. Nothing else in this crate casts.

mod alone;
mod handle;
mod lent;
mod memory;
mod panic;

#[cfg(feature = "reserve")]
pub(crate) use crate::reserve::{afford, relieve};
pub(crate) use handle::{catch, enter, enter_poisoned, free, give};
pub use handle::{tethered_hub, tethered_stomp_decoder, tethered_ws_decoder};
pub(crate) use lent::{Arguments, Headers};
pub(crate) use memory::{
    Plain, Row, Rows, array, bytes, bytes_mut, checked_size, numbers, present, put, put_sized, put_text, room, seed,
    sized, sized_array, slices_out, text,
};

/// Whether a call may begin that needs memory: without a reserve, always.
#[cfg(not(feature = "reserve"))]
#[expect(clippy::unnecessary_wraps, reason = "with a reserve it can fail")]
pub(crate) fn afford(_bytes: usize) -> crate::status::Outcome<()> {
    Ok(())
}

/// A socket has ended.
#[cfg(not(feature = "reserve"))]
pub(crate) fn relieve() {}
