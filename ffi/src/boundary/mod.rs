//! Where foreign pointers become references, and where a panic stops. Nothing else in this crate casts.

mod handle;
mod lent;
mod memory;
mod panic;

pub(crate) use handle::{catch, enter, enter_poisoned, free, give};
pub use handle::{tethered_hub, tethered_stomp_decoder, tethered_ws_decoder};
pub(crate) use lent::{Arguments, Headers};
pub(crate) use memory::{
    Plain, Row, Rows, array, bytes, bytes_mut, checked_size, numbers, present, put, put_sized, put_text, room, seed,
    sized, sized_array, slices_out, text,
};
