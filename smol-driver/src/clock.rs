//! The only place that reads clocks.

use std::time::{Duration, Instant, SystemTime};

use tethered_core::time::{self, Now, UnixMillis};

/// Tells the time as the machine wants it: in milliseconds since this clock was made, and since 1970.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    origin: Instant,
}

impl Clock {
    /// A clock that begins now, at 0.
    #[expect(clippy::disallowed_methods, reason = "this is the place")]
    pub fn start() -> Self {
        Self { origin: Instant::now() }
    }

    /// Both clocks, read together.
    #[expect(clippy::disallowed_methods, reason = "this is the place")]
    pub fn now(&self) -> Now {
        let mono = self.origin.elapsed().as_millis();
        let wall = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_millis();
        Now {
            mono: time::Instant::from_millis(u64::try_from(mono).unwrap_or(u64::MAX)),
            wall: UnixMillis::from_millis(u64::try_from(wall).unwrap_or(u64::MAX)),
        }
    }

    /// When a moment of the machine comes, for a timer; `None` if that is too far away.
    pub(crate) fn at(&self, moment: time::Instant) -> Option<Instant> {
        self.origin.checked_add(Duration::from_millis(moment.as_millis()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn goes_forward_from_zero() {
        let clock = Clock::start();
        let first = clock.now();
        assert!(first.mono.as_millis() < 1_000);
        std::thread::sleep(Duration::from_millis(3));
        let second = clock.now();
        assert!(second.mono.since(first.mono) >= 2, "{first:?} {second:?}");
        assert!(second.wall.as_millis() > 1_700_000_000_000);
    }

    #[test]
    fn a_moment_comes_when_the_clock_shows_it() {
        let clock = Clock::start();
        let moment = clock.now().mono.after(5);
        let at = clock.at(moment).expect("five milliseconds are not the end of time");
        std::thread::sleep(at.saturating_duration_since(clock.origin));
        assert!(clock.now().mono >= moment);
    }
}
