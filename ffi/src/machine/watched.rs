//! A hub of which is known whether anything has changed since it was asked last.

use core::ops::{Deref, DerefMut};

use tethered_core::hub::Hub;

/// A hub, and when its next tick is due, as long as that is known. Hosts poll until nothing comes any more, and want to be
/// told the deadline each time: the last poll of a turn finds nothing, and need not work out again what the one before it
/// has said.
///
/// INVARIANT: whoever may change anything goes through [`DerefMut`], which forgets the deadline.
#[derive(Debug)]
pub(super) struct Watched {
    hub: Hub,
    deadline_ms: Option<u64>,
}

impl Watched {
    pub(super) fn new(hub: Hub) -> Self {
        Self { hub, deadline_ms: None }
    }

    /// Takes back what was lent, which changes nothing else.
    #[inline]
    pub(super) fn take_back(&mut self) {
        self.hub.take_back();
    }

    /// Whether nothing waits, and nothing has changed since the deadline was told.
    #[inline]
    pub(super) fn is_quiet(&self) -> bool {
        self.deadline_ms.is_some() && self.hub.waiting() == 0
    }

    /// When the next tick is due, in milliseconds.
    #[inline]
    pub(super) fn deadline_ms(&mut self) -> u64 {
        let Self { hub, deadline_ms } = self;
        *deadline_ms.get_or_insert_with(|| hub.next_deadline().map_or(u64::MAX, |(at, _)| at.as_millis()))
    }
}

impl Deref for Watched {
    type Target = Hub;

    #[inline]
    fn deref(&self) -> &Hub {
        &self.hub
    }
}

impl DerefMut for Watched {
    #[inline]
    fn deref_mut(&mut self) -> &mut Hub {
        self.deadline_ms = None;
        &mut self.hub
    }
}

#[cfg(test)]
mod tests {
    use tethered_core::config::Config;
    use tethered_core::hub::{Event, Open};
    use tethered_core::time::{Instant, Now, UnixMillis};

    use super::*;

    fn at(ms: u64) -> Now {
        Now { mono: Instant::from_millis(ms), wall: UnixMillis::from_millis(1_700_000_000_000) }
    }

    /// What is told is what a hub that is asked each time says, whatever happens in between.
    #[test]
    fn the_deadline_is_that_of_now() {
        let mut watched = Watched::new(Hub::new(Config::default(), [1; 16], at(0)).unwrap());
        let mut seen = Vec::new();
        let mut look = |watched: &mut Watched| {
            let fresh = watched.hub.next_deadline().map_or(u64::MAX, |(at, _)| at.as_millis());
            assert_eq!((watched.deadline_ms(), watched.deadline_ms()), (fresh, fresh));
            seen.push(fresh);
            fresh
        };
        look(&mut watched);
        let socket = watched.open(at(5), Open { token: 0, address: None, secure: false }).unwrap();
        assert!(!watched.is_quiet(), "the deadline is not known any more");
        let head = look(&mut watched);
        watched.handle(at(head), Event::Received { socket, bytes: &mut b"what?\r\n\r\n".to_owned() });
        look(&mut watched);
        assert!(!watched.is_quiet(), "an answer waits: 400");
        while watched.lend().is_some() {}
        look(&mut watched);
        assert!(watched.is_quiet());
        watched.take_back();
        assert!(watched.is_quiet(), "that changes nothing");
        watched.handle(at(head), Event::Closed { socket });
        look(&mut watched);
        while watched.lend().is_some() {}
        look(&mut watched);
        seen.dedup();
        assert!(seen.len() >= 3, "it was not the same all the time: {seen:?}");
    }
}
