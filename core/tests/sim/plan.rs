//! What a run of the world is like, by its seed.

use crate::rng::Rng;

/// What a run is like.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) hubs: usize,
    /// Sessions live in the hub's own memory, and there is one hub.
    pub(crate) memory: bool,
    pub(crate) timeout_ms: u64,
    pub(crate) touch_interval_ms: u64,
    pub(crate) sessions: usize,
    pub(crate) clients: usize,
    pub(crate) length_ms: u64,
    /// In a hundred: replies that never come, notices that never come, notices that come twice or to no end.
    pub(crate) lost_replies: u64,
    pub(crate) lost_notices: u64,
    pub(crate) forged_notices: u64,
    /// The store is away at times.
    pub(crate) outages: bool,
    /// The store does not end sessions by itself until asked for them, as a busy Redis.
    pub(crate) lazy_store: bool,
    /// The application publishes this often.
    pub(crate) chatter_ms: u64,
    /// In a hundred messages of a client: those that make it part from the server, with DISCONNECT or by a fault.
    pub(crate) partings: u64,
    /// Clients that poll, beside those with WebSockets.
    pub(crate) pollers: usize,
    /// SockJS sends a heart-beat after so long.
    pub(crate) beat_ms: u64,
}

impl Plan {
    pub(crate) fn of(seed: u64) -> Self {
        let mut rng = Rng::new(seed ^ 0xabcdef);
        let memory = rng.chance(40);
        let calm = rng.chance(30);
        Self {
            hubs: if memory { 1 } else { rng.range(1, 3) as usize },
            memory,
            timeout_ms: rng.range(2_000, 15_000),
            touch_interval_ms: [0, 100, 1_000, 1_000, 3_000][rng.range(0, 4) as usize],
            sessions: rng.range(1, 4) as usize,
            clients: rng.range(2, 8) as usize,
            length_ms: 60_000,
            lost_replies: if calm { 0 } else { rng.range(0, 10) },
            lost_notices: if calm { 0 } else { rng.range(0, 60) },
            forged_notices: if calm { 0 } else { rng.range(0, 30) },
            outages: !calm && rng.chance(30),
            lazy_store: !calm && rng.chance(50),
            chatter_ms: rng.range(100, 2_000),
            partings: rng.range(0, 10),
            pollers: rng.range(0, 4) as usize,
            beat_ms: rng.range(500, 25_000),
        }
    }
}
