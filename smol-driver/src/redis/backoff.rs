//! How long to wait before one more try.

/// Full jitter: any time up to a span that doubles with each failure, so that those who lost a server together do not
/// come back together.
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    failures: u32,
}

impl Backoff {
    /// The next try failed. How long to wait, in milliseconds; `random` is any number.
    pub(crate) fn failed(&mut self, random: u64) -> u64 {
        let span = (LEAST_MS << self.failures.min(16)).min(MOST_MS);
        self.failures += 1;
        random % (span + 1)
    }

    /// All is well again.
    pub(crate) fn reset(&mut self) {
        self.failures = 0;
    }

    /// How many tries have failed since.
    pub(crate) fn failures(&self) -> u32 {
        self.failures
    }
}

/// BACKOFF.
const LEAST_MS: u64 = 50;
const MOST_MS: u64 = 5_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_double_up_to_five_seconds_and_jitter_is_full() {
        let mut backoff = Backoff::default();
        for span in [50, 100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000] {
            assert_eq!(Backoff { failures: backoff.failures }.failed(span), span);
            assert_eq!(Backoff { failures: backoff.failures }.failed(span + 1), 0);
            assert!(backoff.failed(u64::MAX) <= span);
        }
        for _ in 0..100 {
            assert!(backoff.failed(u64::MAX - 7) <= 5_000);
        }
        assert_eq!(backoff.failures(), 109);
        backoff.reset();
        assert_eq!(backoff.failed(50), 50);
    }
}
