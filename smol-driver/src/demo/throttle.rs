//! How often a login may fail: per name and address, per address, per name, each in a minute; in bounded memory.
//!
//! An attempt counts when it begins, so that many at once gain nothing, and is forgiven when it succeeds. When the table
//! is full, its oldest entry gives way.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::IpAddr;

use tethered_core::time::Instant;

/// Failed logins of the last minute.
#[derive(Debug)]
pub(super) struct Throttle {
    seed: [u8; 16],
    entries: BTreeMap<u64, Entry>,
    under_way: u32,
}

/// An attempt that is under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Attempt([u64; 3]);

#[derive(Debug, Clone, Copy)]
struct Entry {
    since: Instant,
    failures: u32,
}

impl Throttle {
    pub(super) fn new(seed: [u8; 16]) -> Self {
        Self { seed, entries: BTreeMap::new(), under_way: 0 }
    }

    /// Lets an attempt begin, or says in how many seconds it may.
    pub(super) fn begin(&mut self, now: Instant, name: &str, address: Option<IpAddr>) -> Result<Attempt, u64> {
        let network = address.map(network);
        let keys = [self.key(&(0, name, network)), self.key(&(1, network)), self.key(&(2, name))];
        for (key, most) in keys.iter().zip(FAILURES_MAX) {
            if let Some(entry) = self.entries.get(key).filter(|e| now.since(e.since) < WINDOW_MS && e.failures >= most)
            {
                return Err((WINDOW_MS - now.since(entry.since)).div_ceil(1_000));
            }
        }
        if self.under_way >= UNDER_WAY_MAX {
            return Err(1);
        }
        self.under_way += 1;
        for key in keys {
            self.count(now, key);
        }
        Ok(Attempt(keys))
    }

    /// The attempt is over; one that succeeded never was.
    pub(super) fn end(&mut self, attempt: Attempt, succeeded: bool) {
        self.under_way = self.under_way.saturating_sub(1);
        if !succeeded {
            return;
        }
        let [pair, ..] = attempt.0;
        self.entries.remove(&pair);
        for key in attempt.0 {
            if let Some(entry) = self.entries.get_mut(&key) {
                entry.failures = entry.failures.saturating_sub(1);
                if entry.failures == 0 {
                    self.entries.remove(&key);
                }
            }
        }
    }

    fn count(&mut self, now: Instant, key: u64) {
        if let Some(entry) = self.entries.get_mut(&key) {
            if now.since(entry.since) >= WINDOW_MS {
                *entry = Entry { since: now, failures: 0 };
            }
            entry.failures = entry.failures.saturating_add(1);
            return;
        }
        if self.entries.len() >= ENTRIES_MAX {
            self.entries.retain(|_, entry| now.since(entry.since) < WINDOW_MS);
        }
        if self.entries.len() >= ENTRIES_MAX {
            let oldest = self.entries.iter().min_by_key(|(_, entry)| entry.since).map(|(key, _)| *key);
            oldest.and_then(|key| self.entries.remove(&key));
        }
        self.entries.insert(key, Entry { since: now, failures: 1 });
    }

    fn key(&self, of: &impl Hash) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.seed.hash(&mut hasher);
        of.hash(&mut hasher);
        hasher.finish()
    }
}

/// One household or customer: an IPv4 address, or the first 64 bits of an IPv6 address.
fn network(address: IpAddr) -> u64 {
    match address {
        IpAddr::V4(four) => u64::from(four.to_bits()),
        IpAddr::V6(six) => {
            six.to_ipv4_mapped().map_or_else(|| (six.to_bits() >> 64) as u64, |four| u64::from(four.to_bits()))
        }
    }
}

const WINDOW_MS: u64 = 60_000;
/// For a name from an address, for an address, for a name from anywhere.
const FAILURES_MAX: [u32; 3] = [5, 30, 60];
/// Passwords being checked at a time: each takes 7 MiB and a thread.
const UNDER_WAY_MAX: u32 = 8;
const ENTRIES_MAX: usize = 4_096;

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Instant {
        Instant::from_millis(ms)
    }

    fn fail(throttle: &mut Throttle, now: Instant, name: &str, address: &str) -> bool {
        let attempt = throttle.begin(now, name, Some(address.parse().unwrap()));
        attempt.map(|attempt| throttle.end(attempt, false)).is_ok()
    }

    #[test]
    fn a_name_from_an_address_fails_5_times_a_minute() {
        let mut throttle = Throttle::new([1; 16]);
        for i in 0..5 {
            assert!(fail(&mut throttle, at(i * 1_000), "rob", "10.0.0.1"));
        }
        assert_eq!(throttle.begin(at(5_000), "rob", Some("10.0.0.1".parse().unwrap())), Err(55));
        assert!(fail(&mut throttle, at(5_000), "rob", "10.0.0.2"), "rob himself gets in from elsewhere");
        assert!(fail(&mut throttle, at(5_000), "luke", "10.0.0.1"));
        assert_eq!(throttle.begin(at(59_999), "rob", Some("10.0.0.1".parse().unwrap())), Err(1));
        assert!(fail(&mut throttle, at(60_000), "rob", "10.0.0.1"));
    }

    #[test]
    fn an_address_fails_30_times_and_a_name_60_times() {
        let mut throttle = Throttle::new([1; 16]);
        assert!((0..30).all(|i| fail(&mut throttle, at(0), &format!("user{i}"), "10.0.0.1")));
        assert!(!fail(&mut throttle, at(0), "another", "10.0.0.1"));
        let mut throttle = Throttle::new([1; 16]);
        assert!((0..60).all(|i| fail(&mut throttle, at(0), "rob", &format!("10.0.0.{i}"))));
        assert!(!fail(&mut throttle, at(0), "rob", "10.0.1.1"));
    }

    #[test]
    fn an_ipv6_customer_is_one_address() {
        let mut throttle = Throttle::new([1; 16]);
        assert!((0..5).all(|i| fail(&mut throttle, at(0), "rob", &format!("2001:db8::{i:x}"))));
        assert!(!fail(&mut throttle, at(0), "rob", "2001:db8::ffff"));
        assert!(fail(&mut throttle, at(0), "rob", "2001:db8:0:1::1"));
        assert_eq!(network("::ffff:10.0.0.1".parse().unwrap()), network("10.0.0.1".parse().unwrap()));
    }

    #[test]
    fn success_forgives() {
        let mut throttle = Throttle::new([1; 16]);
        let address = Some("10.0.0.1".parse().unwrap());
        for _ in 0..200 {
            assert!((0..4).all(|_| fail(&mut throttle, at(0), "rob", "10.0.0.1")) || throttle.entries.len() < 10);
            if let Ok(attempt) = throttle.begin(at(0), "rob", address) {
                throttle.end(attempt, true);
            }
        }
        let mut throttle = Throttle::new([1; 16]);
        for _ in 0..1_000 {
            let attempt = throttle.begin(at(0), "rob", address).unwrap();
            throttle.end(attempt, true);
        }
        assert!(throttle.entries.is_empty());
    }

    #[test]
    fn only_8_are_checked_at_a_time() {
        let mut throttle = Throttle::new([1; 16]);
        let attempts: Vec<_> = (0..8).map(|i| throttle.begin(at(0), &format!("user{i}"), None).unwrap()).collect();
        assert_eq!(throttle.begin(at(0), "one more", None), Err(1));
        throttle.end(attempts[0], false);
        assert!(throttle.begin(at(0), "one more", None).is_ok());
    }

    #[test]
    fn memory_is_bounded() {
        let mut throttle = Throttle::new([1; 16]);
        for i in 0..3_000_u32 {
            let address = IpAddr::V4(i.to_be().into());
            if let Ok(attempt) = throttle.begin(at(u64::from(i)), &i.to_string(), Some(address)) {
                throttle.end(attempt, false);
            }
            assert!(throttle.entries.len() <= ENTRIES_MAX);
        }
    }
}
