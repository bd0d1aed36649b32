//! tethered on smol.
#![forbid(unsafe_code)]

pub mod demo;
pub mod settings;
