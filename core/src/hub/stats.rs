//! The hub's counters.

use crate::session::{Cause, Detector};

/// What a hub has and has done. The first five are how many there are; the rest only grow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Stats {
    /// Sockets.
    pub sockets: u64,
    /// Clients.
    pub clients: u64,
    /// Sessions that have clients.
    pub sessions: u64,
    /// SockJS sessions by other means than WebSockets, those included that have ended and tell so.
    pub channels: u64,
    /// Bytes in buffers: unfinished input and unsent output.
    pub buffered_bytes: u64,
    /// Sockets opened.
    pub opened: u64,
    /// Sockets closed.
    pub closed: u64,
    /// Sockets turned away at the door: TOTAL.
    pub refused: u64,
    /// Requests answered with an error before anybody else saw them.
    pub refusals: u64,
    /// Half-open sockets dropped for newer ones: HALF_OPEN.
    pub half_open_dropped: u64,
    /// Bytes received.
    pub received_bytes: u64,
    /// Bytes sent.
    pub sent_bytes: u64,
    /// WebSocket messages and control frames received.
    pub messages_in: u64,
    /// STOMP frames received.
    pub frames_in: u64,
    /// MESSAGE frames queued for receivers.
    pub delivered: u64,
    /// Publications and announcements given out for other hubs.
    pub relayed_out: u64,
    /// Those that came from other hubs.
    pub relayed_in: u64,
    /// Those that were left out: over BULK, not understood, or behind too many others.
    pub relay_refused: u64,
    /// Questions to the session store.
    pub asked: u64,
    /// Touches among them.
    pub touches: u64,
    /// Questions without an answer in time.
    pub calls_lost: u64,
    /// Notices of the session store.
    pub notices: u64,
    /// Clients closed for breaking a protocol or a limit.
    pub violations: u64,
    /// Clients closed for not reading.
    pub slow: u64,
    /// Ends of sessions found by a notice.
    pub found_by_notice: u64,
    /// Ends of sessions found by their deadline.
    pub found_by_deadline: u64,
    /// Ends of sessions found by the regular look: a close that nothing announced.
    pub found_by_sweep: u64,
    /// Ends of sessions found by a touch.
    pub found_by_touch: u64,
    /// Sessions ended here.
    pub ended_here: u64,
    /// Sessions given up since their store was away for too long.
    pub store_lost: u64,
}

impl Stats {
    pub(super) fn count_end(&mut self, cause: Cause, detector: Detector) {
        if cause == Cause::StoreLost {
            self.store_lost += 1;
            return;
        }
        match detector {
            Detector::Notice => self.found_by_notice += 1,
            Detector::Deadline => self.found_by_deadline += 1,
            Detector::Sweep => self.found_by_sweep += 1,
            Detector::Touch => self.found_by_touch += 1,
            Detector::Local => self.ended_here += 1,
        }
    }
}
