//! The fuzz targets as plain functions: `fuzz_targets/` hands them to libFuzzer, `tests/replay.rs` replays the corpus on stable Rust.
#![forbid(unsafe_code)]

pub mod http_head;
pub mod hub_ops;
pub mod sockjs_body;
pub mod sockjs_channel;
pub mod stomp_frame;
pub mod ws_frame;
