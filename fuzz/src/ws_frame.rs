//! Target `ws_frame`.

/// Runs one input; panics where an invariant breaks.
pub fn run(_data: &[u8]) {}
