//! What is known of one client.

use std::sync::Arc;

use tethered_core::session::Cause;

#[derive(Debug, Clone, Default)]
pub(crate) struct Seat {
    pub(crate) hub: usize,
    /// The session that its cookie names.
    pub(crate) claimed: usize,
    pub(crate) arrived: u64,
    /// When it has said all of its handshake.
    pub(crate) asked: u64,
    /// It has read 101.
    pub(crate) open: bool,
    pub(crate) refused: bool,
    pub(crate) joined: bool,
    /// The session by the id that the hub knows.
    pub(crate) id: Option<usize>,
    pub(crate) principal: Option<Arc<str>>,
    pub(crate) left: Option<(u64, Cause)>,
    /// It has said its last word by itself.
    pub(crate) parted: bool,
    /// When the application last heard something of it.
    pub(crate) said: Option<u64>,
    /// What it said may be held, and count when it is heard, by the last of so many answers.
    pub(crate) unheard: u8,
    /// Since when nothing may cross, for a notice.
    pub(crate) doubted: Option<u64>,
    /// That notice was of another id, and of nothing else.
    pub(crate) renamed: bool,
    /// Nothing may be lent to it but the rest of a frame that was begun, and a Close: how many more messages it may
    /// come to read by that.
    pub(crate) barred: Option<u32>,
    /// It has read a Close.
    pub(crate) closed: bool,
}
