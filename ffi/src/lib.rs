//! tethered through a C ABI: include/tethered.h is made from this crate, and is its documentation.
//!
//! - `boundary`: the handles, the guard around every entry that takes one, and every cast of a foreign pointer;
//! - `version`, `status`, `config`, `hub`, `doors`, `app`, `redis`, `ws`, `stomp`, `sockjs`, `csrf`: the entries;
//! - `types`, `kinds`: what crosses;
//! - `machine`: the hub and what is lent of it; `log`: what it has to say; `toml`: its configuration as text;
//! - `reserve`: the allocator, and what happens when there is no memory.
#![deny(unsafe_op_in_unsafe_fn, clippy::undocumented_unsafe_blocks)]
#![allow(non_camel_case_types, reason = "a name is the same in C and here")]
#![allow(clippy::missing_safety_doc, reason = "what a caller must keep stands in the header, in the words of C")]
#![allow(clippy::too_many_arguments, reason = "a function of C has no others to put them in")]

mod app;
mod boundary;
mod config;
mod csrf;
mod doors;
mod hub;
mod kinds;
mod log;
mod machine;
mod redis;
#[cfg(feature = "reserve")]
mod reserve;
mod sockjs;
mod status;
mod stomp;
mod toml;
mod types;
mod version;
mod ws;

pub use app::{
    tethered_answer, tethered_close_client, tethered_drain, tethered_end, tethered_log_next, tethered_publish,
    tethered_send, tethered_stats_get,
};
pub use boundary::{tethered_hub, tethered_stomp_decoder, tethered_ws_decoder};
pub use config::{tethered_config_check, tethered_config_init, tethered_config_parse};
pub use csrf::{tethered_csrf_mask, tethered_csrf_matches};
pub use doors::{
    tethered_activity, tethered_ask, tethered_decide, tethered_details, tethered_join, tethered_message,
    tethered_respond,
};
pub use hub::{
    tethered_closed, tethered_hub_free, tethered_hub_new, tethered_open, tethered_output, tethered_poll,
    tethered_received, tethered_sent, tethered_sent_many, tethered_tick,
};
pub use kinds::{
    tethered_action_kind, tethered_cause, tethered_change, tethered_config_flags, tethered_connection,
    tethered_endpoint_flags, tethered_endpoint_kind, tethered_fate, tethered_follows, tethered_level,
    tethered_message_kind, tethered_peer_flags, tethered_reply_kind, tethered_role, tethered_sockjs_frame,
    tethered_stomp_command, tethered_store, tethered_verdict, tethered_who, tethered_ws_kind,
};
pub use redis::{
    tethered_announce, tethered_connected, tethered_disconnected, tethered_notice, tethered_notices, tethered_relayed,
    tethered_reply, tethered_session_notice,
};
pub use sockjs::{tethered_sockjs_decode, tethered_sockjs_encode};
pub use status::{tethered_status, tethered_status_code, tethered_strerror};
pub use stomp::{
    tethered_stomp_decode, tethered_stomp_decoder_free, tethered_stomp_decoder_new, tethered_stomp_encode,
    tethered_stomp_frame,
};
pub use types::{
    tethered_action, tethered_config, tethered_endpoint, tethered_header, tethered_item, tethered_log, tethered_now,
    tethered_peer, tethered_request, tethered_response, tethered_slice, tethered_stats, tethered_taken,
};
pub use version::{TETHERED_ABI, tethered_abi, tethered_version, tethered_version_num};
pub use ws::{
    tethered_ws_accept_key, tethered_ws_decode, tethered_ws_decoder_free, tethered_ws_decoder_new, tethered_ws_head,
    tethered_ws_mask, tethered_ws_message, tethered_ws_parse_head, tethered_ws_write_head,
};
