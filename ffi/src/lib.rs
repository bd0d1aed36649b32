//! tethered through a C ABI: include/tethered.h is made from this crate, and is its documentation.
//!
//! - `boundary`: the handle, the guard around every entry that takes one, and every cast of a foreign pointer;
//! - `hub`, `version`: the entries, in the order of the header;
//! - `types`, `status`: what crosses;
//! - `machine`: the hub and what is lent of it.
#![deny(unsafe_op_in_unsafe_fn, clippy::undocumented_unsafe_blocks)]
#![allow(non_camel_case_types, reason = "a name is the same in C and here")]
#![allow(clippy::missing_safety_doc, reason = "what a caller must keep stands in the header, in the words of C")]

mod boundary;
mod hub;
mod machine;
mod status;
mod types;
mod version;

pub use boundary::tethered_hub;
pub use hub::{
    tethered_closed, tethered_hub_free, tethered_hub_new, tethered_open, tethered_output, tethered_poll,
    tethered_received, tethered_send, tethered_sent, tethered_tick,
};
pub use status::{tethered_status, tethered_status_code, tethered_strerror};
pub use types::{
    tethered_action, tethered_action_kind, tethered_config, tethered_endpoint, tethered_endpoint_kind,
    tethered_message_kind, tethered_now, tethered_peer, tethered_peer_flags, tethered_slice,
};
pub use version::{TETHERED_ABI, tethered_abi, tethered_version, tethered_version_num};
