//! Time as the embedder tells it; nothing in this crate reads a clock.

/// Milliseconds on a clock that never goes back, from an origin of the embedder's choice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Instant(u64);

/// Milliseconds since 1970-01-01T00:00:00Z: what a session store writes down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct UnixMillis(u64);

/// Both clocks, read together. Every call that can depend on time takes one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Now {
    /// The monotonic clock: every timer of the machine runs by it.
    pub mono: Instant,
    /// The wall clock: only ever shown or stored, never compared with the monotonic one.
    pub wall: UnixMillis,
}

impl Instant {
    /// The farthest instant: a timer that never fires.
    pub const NEVER: Self = Self(u64::MAX);

    /// An instant of so many milliseconds.
    pub const fn from_millis(ms: u64) -> Self {
        Self(ms)
    }

    /// Its milliseconds.
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// Later by `ms` milliseconds; saturates at [`Instant::NEVER`].
    #[must_use]
    pub const fn after(self, ms: u64) -> Self {
        Self(self.0.saturating_add(ms))
    }

    /// Earlier by `ms` milliseconds; saturates at the origin.
    #[must_use]
    pub const fn before(self, ms: u64) -> Self {
        Self(self.0.saturating_sub(ms))
    }

    /// Milliseconds since `earlier`; 0 if that is later.
    pub const fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// The earlier of two of which either may not be. Asked on each turn of a loop, so not by way of iterators.
pub(crate) fn earlier(one: Option<Instant>, other: Option<Instant>) -> Option<Instant> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

impl UnixMillis {
    /// A wall time of so many milliseconds since 1970.
    pub const fn from_millis(ms: u64) -> Self {
        Self(ms)
    }

    /// Its milliseconds.
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// Later by `ms` milliseconds; saturates.
    #[must_use]
    pub const fn after(self, ms: u64) -> Self {
        Self(self.0.saturating_add(ms))
    }

    /// Earlier by `ms` milliseconds; saturates at 1970.
    #[must_use]
    pub const fn before(self, ms: u64) -> Self {
        Self(self.0.saturating_sub(ms))
    }
}
