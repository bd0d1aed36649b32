//! How long after its end a session's sockets may still be open.

use super::{Config, Store};

/// How long after the end of a session the closing of its sockets begins, at the latest, in milliseconds: the promise.
///
/// It counts from the moment in which the store holds the session for ended, for an embedder that calls when it is asked
/// to. Nothing crosses the sockets after the deadline that was last known in any case: that is not awaited. Closes of very
/// many sockets are paced by CLOSE_RATE, which comes on top.
///
/// With `r` = REPLY ([`Session::reply_ms`](super::Session::reply_ms)), the steps are: a question that was under way when
/// the end came is answered (`r`), a check is answered (`r`); in the indexed layout of Spring Session a key that is missing
/// is looked for again after 50 ms (50 + `r`); and what is gone is confirmed by an echo on the notices' connection
/// (`r`). `chain` = 4 `r` + 50, and a timer is up to 16 ms late: [`announced_ms`](Self::announced_ms).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct CloseBound {
    /// Healthy: notices come in, and the end was announced or its time had come. `chain + 16`. With the store in memory
    /// 16: it answers at once.
    pub announced_ms: u64,
    /// Healthy, but of what nobody announces: FLUSHALL, SWAPDB, a key that was overwritten. A look per `sweep_interval_ms`
    /// on top: `sweep_interval_ms + chain + 16`.
    pub unannounced_ms: u64,
    /// Notices are missing. A look per `check_interval_ms` (or per `sweep_interval_ms` if that is shorter), after what was
    /// missed is looked for within 4 s or that interval: `2 * min(check_interval_ms, sweep_interval_ms) + chain + 16`.
    pub unnoticed_ms: u64,
    /// The store is away, counted from its last answer about the session: after `blind_ms` and as long as one more
    /// question may take its sockets are closed with 1013, but not before a look has found it away:
    /// `max(blind_ms, sweep_interval_ms + r + 16) + r + 32`.
    pub away_ms: u64,
    /// The store was away and is back, counted from then: it is asked within a second, `1000 + chain + 16`, if no
    /// more sessions wait than it can answer meanwhile.
    pub back_ms: u64,
}

impl Config {
    /// The promise that follows from the times of this configuration.
    pub fn close_bound(&self) -> CloseBound {
        let session = &self.session;
        let reply = match self.store {
            Store::Memory => 0,
            Store::External | Store::Spring(_) => session.reply_ms,
        };
        let again = if matches!(self.store, Store::Spring(_)) { AGAIN_MS } else { 0 };
        let announced_ms = reply.saturating_mul(4).saturating_add(again + TIMER_MS);
        let check = session.check_interval_ms.min(session.sweep_interval_ms);
        let found_ms = session.sweep_interval_ms.saturating_add(reply).saturating_add(TIMER_MS);
        CloseBound {
            announced_ms,
            unannounced_ms: announced_ms.saturating_add(session.sweep_interval_ms),
            unnoticed_ms: announced_ms.saturating_add(check.saturating_mul(2)),
            away_ms: session.blind_ms.max(found_ms).saturating_add(reply).saturating_add(2 * TIMER_MS),
            back_ms: announced_ms.saturating_add(RETRY_MS),
        }
    }
}

/// A missing key of the indexed layout is looked for again after this, in milliseconds.
const AGAIN_MS: u64 = 50;
/// How late a timer may be, in milliseconds.
const TIMER_MS: u64 = 16;
/// A store that was away is asked again after this, in milliseconds.
const RETRY_MS: u64 = 1_000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::spring;

    #[test]
    fn the_promise_of_the_defaults() {
        let memory = Config::default();
        assert_eq!(memory.close_bound().announced_ms, 16);
        let spring = Config { store: Store::Spring(spring::Config::default()), ..Config::default() };
        assert_eq!(
            spring.close_bound(),
            CloseBound {
                announced_ms: 8_066,
                unannounced_ms: 68_066,
                unnoticed_ms: 18_066,
                away_ms: 302_032,
                back_ms: 9_066
            }
        );
    }

    #[test]
    fn a_store_is_given_up_only_once_it_was_found_away() {
        let mut config = Config { store: Store::External, ..Config::default() };
        config.session.blind_ms = 10;
        assert_eq!(config.close_bound().away_ms, 60_000 + 2_000 + 16 + 2_000 + 32);
    }

    #[test]
    fn absurd_times_do_not_overflow() {
        let mut config = Config { store: Store::External, ..Config::default() };
        config.session.reply_ms = u64::MAX;
        config.session.blind_ms = u64::MAX;
        assert_eq!(config.close_bound().away_ms, u64::MAX);
    }
}
