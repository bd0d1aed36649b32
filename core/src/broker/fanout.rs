//! One publication's way through its receivers: [`Fanout`], which may be broken off and resumed while the book changes.

use super::receivers::Receiver;
use super::subscriptions::Broker;
use super::target::Key;
use crate::slab::NONE;

/// A publication under way. Between two calls of [`Broker::next`] the book may change as it likes: who unsubscribed is
/// skipped, nobody is met twice under one subscription, and who subscribes after the start is not met.
///
/// It is made of walks, one for each destination, pattern and user destination concerned. A walk goes down the
/// positions, so newcomers are behind it; where a receiver leaves, the broker moves the walk along with those it has
/// still before it.
///
/// Walk it to the end or give it to [`Broker::cancel`]. Start it when its turn comes: as long as it is open, everyone
/// who leaves one of its destinations pays for it.
#[derive(Debug)]
#[must_use = "it stays in the book until it is walked to its end or cancelled"]
pub(crate) struct Fanout {
    walk: u32,
    receivers: usize,
}

impl Fanout {
    /// How many receivers there were at the start.
    pub(crate) fn receivers(&self) -> usize {
        self.receivers
    }
}

/// A fan-out's way through one destination.
#[derive(Debug)]
pub(super) struct Walk {
    /// [`NONE`] once nobody is left there.
    pub(super) destination: u32,
    /// The receivers before this position are still to be met.
    pub(super) left: u32,
    /// The next walk of the same destination.
    pub(super) beside: u32,
    /// The next walk of the same fan-out.
    next: u32,
}

impl Broker {
    /// Starts on the way to all who are subscribed to `destination`, first those who named it, then those with a pattern
    /// that matches.
    pub(crate) fn publish(&mut self, destination: &str) -> Fanout {
        let mut fanout = Fanout { walk: NONE, receivers: 0 };
        for at in (0..self.patterns.len()).rev() {
            if let Some((pattern, slot)) = self.patterns.get(at)
                && pattern.matches(destination)
            {
                self.prepend_walk(&mut fanout, *slot);
            }
        }
        if let Some(slot) = self.find(&Key::destination(destination)) {
            self.prepend_walk(&mut fanout, slot);
        }
        fanout
    }

    /// Starts on the way to all sockets of this user that are subscribed to `/user` + `suffix`.
    pub(crate) fn publish_to_user(&mut self, principal: &str, suffix: &str) -> Fanout {
        let mut fanout = Fanout { walk: NONE, receivers: 0 };
        if let Some(slot) = self.find(&Key::user(principal, suffix)) {
            self.prepend_walk(&mut fanout, slot);
        }
        fanout
    }

    /// The next receiver; `None` at the end.
    pub(crate) fn next(&mut self, fanout: &mut Fanout) -> Option<Receiver> {
        while let Some(walk) = self.walks.get_mut(fanout.walk) {
            if let Some(left) = walk.left.checked_sub(1) {
                walk.left = left;
                let destination = self.destinations.get(walk.destination);
                if let Some(receiver) = destination.and_then(|destination| destination.receivers.get(left)) {
                    return Some(receiver);
                }
            } else {
                self.end_walk(fanout);
            }
        }
        None
    }

    #[cfg(test)]
    /// Breaks it off for good.
    #[allow(clippy::needless_pass_by_value, reason = "it is over")]
    pub(crate) fn cancel(&mut self, mut fanout: Fanout) {
        while fanout.walk != NONE {
            self.end_walk(&mut fanout);
        }
    }

    fn prepend_walk(&mut self, fanout: &mut Fanout, slot: u32) {
        let Some(destination) = self.destinations.get_mut(slot) else { return };
        let left = destination.receivers.len();
        let walk = Walk { destination: slot, left, beside: destination.walks, next: fanout.walk };
        fanout.walk = self.walks.insert(walk);
        fanout.receivers += left as usize;
        destination.walks = fanout.walk;
    }

    /// Ends the walk that the fan-out is at, and goes on to its next one.
    fn end_walk(&mut self, fanout: &mut Fanout) {
        let ended = core::mem::replace(&mut fanout.walk, NONE);
        let Some(walk) = self.walks.remove(ended) else { return };
        fanout.walk = walk.next;
        let Some(destination) = self.destinations.get_mut(walk.destination) else { return };
        if destination.walks == ended {
            destination.walks = walk.beside;
            return;
        }
        let mut at = destination.walks;
        while let Some(other) = self.walks.get_mut(at) {
            if other.beside == ended {
                other.beside = walk.beside;
                return;
            }
            at = other.beside;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::destination::Pattern;
    use super::super::subscriptions::PATTERNS;
    use super::super::target::Target;
    use super::*;
    use alloc::collections::{BTreeMap, BTreeSet};
    use alloc::format;
    use alloc::vec;
    use alloc::vec::Vec;
    use proptest::prelude::*;

    fn broker() -> Broker {
        Broker::new(b"sixteen byte key", 128, PATTERNS)
    }

    fn subscribe(broker: &mut Broker, client: u32, head: &mut u32, id: &str, text: &str) {
        let target = if text.contains('*') {
            Target::Pattern(Pattern::parse(text, 512, 32).expect("in order"))
        } else {
            Target::Destination(text)
        };
        broker.subscribe(client, head, id, target).expect("within the limits");
    }

    #[test]
    fn nobody_is_met_twice_and_nobody_who_left_or_came_late() {
        let (mut broker, mut heads) = (broker(), [NONE; 6]);
        for client in 0..5 {
            subscribe(&mut broker, client, &mut heads[client as usize], "s", "/t");
        }
        let mut fanout = broker.publish("/t");
        assert_eq!(fanout.receivers(), 5);
        let mut met = vec![];
        for _ in 0..2 {
            met.push(broker.next(&mut fanout).expect("two of five").client);
        }
        let (visited, waiting): (Vec<u32>, Vec<u32>) = (0..5).partition(|client| met.contains(client));
        broker.remove(&mut heads[visited[0] as usize]);
        broker.remove(&mut heads[waiting[0] as usize]);
        subscribe(&mut broker, 5, &mut heads[5], "s", "/t");
        subscribe(&mut broker, visited[0], &mut heads[visited[0] as usize], "s", "/t");
        let rest: BTreeSet<u32> = core::iter::from_fn(|| broker.next(&mut fanout)).map(|r| r.client).collect();
        assert_eq!(rest, waiting[1..].iter().copied().collect());
        assert_eq!((broker.walks.len(), broker.next(&mut fanout)), (0, None));
    }

    #[test]
    fn a_destination_that_goes_and_comes_back_is_another_one() {
        let (mut broker, mut head) = (broker(), NONE);
        subscribe(&mut broker, 1, &mut head, "s", "/t");
        let mut fanout = broker.publish("/t");
        broker.remove(&mut head);
        assert!(broker.walks.get(fanout.walk).is_some_and(|walk| walk.destination == NONE));
        subscribe(&mut broker, 2, &mut head, "s", "/t");
        assert_eq!(broker.next(&mut fanout), None);
        assert_eq!(broker.walks.len(), 0);
    }

    #[test]
    fn nobody_there_is_an_end_at_once() {
        let mut broker = broker();
        let mut fanout = broker.publish("/t");
        assert_eq!((fanout.receivers(), broker.next(&mut fanout)), (0, None));
        let fanout = broker.publish_to_user("rob", "/queue/m");
        broker.cancel(fanout);
        assert_eq!(broker.walks.len(), 0);
    }

    #[test]
    fn e06_the_way_through_100_000_may_be_cut_anywhere() {
        let mut broker = broker();
        let mut heads = vec![NONE; 100_000];
        for (client, head) in (0..).zip(&mut heads) {
            subscribe(&mut broker, client, head, "s", "/t");
        }
        let mut fanout = broker.publish("/t");
        let (mut met, mut left) = (BTreeSet::new(), BTreeSet::new());
        while let Some(Receiver { client, .. }) = broker.next(&mut fanout) {
            assert!(met.insert(client) && !left.contains(&client));
            if client % 1_000 == 500 {
                let other = (client + 50_250) % 100_000;
                broker.remove(&mut heads[other as usize]);
                left.insert(other);
            }
        }
        assert!((0..100_000).all(|client| met.contains(&client) || left.contains(&client)));
        assert!(left.len() == 100 && met.len() < 100_000);
    }

    #[derive(Debug, Clone)]
    enum Op {
        Subscribe { client: u8, id: u8, to: u8 },
        Unsubscribe { client: u8, id: u8 },
        Remove { client: u8 },
        Publish { to: u8 },
        Next { fanout: u8, times: u8 },
        Cancel { fanout: u8 },
    }

    fn op() -> impl Strategy<Value = Op> {
        prop_oneof![
            6 => (0..12_u8, 0..3_u8, 0..5_u8).prop_map(|(client, id, to)| Op::Subscribe { client, id, to }),
            3 => (0..12_u8, 0..3_u8).prop_map(|(client, id)| Op::Unsubscribe { client, id }),
            1 => (0..12_u8).prop_map(|client| Op::Remove { client }),
            2 => (0..2_u8).prop_map(|to| Op::Publish { to }),
            4 => (any::<u8>(), 1..6_u8).prop_map(|(fanout, times)| Op::Next { fanout, times }),
            1 => any::<u8>().prop_map(|fanout| Op::Cancel { fanout }),
        ]
    }

    const TEXTS: [&str; 5] = ["/t/0", "/t/1", "/t/*", "/**", "/u/*"];

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1_000))]
        /// Many fan-outs at once, each against the set of those who were there at its start and have not left since.
        #[test]
        fn any_changes_while_fan_outs_are_open(ops in proptest::collection::vec(op(), 0..200)) {
            let (mut broker, mut heads) = (broker(), [NONE; 12]);
            // (client, id) -> what it is subscribed to, and since when.
            let mut model = BTreeMap::<(u32, u8), (u8, usize)>::new();
            // Each fan-out with whom it still has to meet.
            let mut open = Vec::<(Fanout, BTreeSet<(u32, u8, usize)>)>::new();
            for (step, op) in ops.into_iter().enumerate() {
                match op {
                    Op::Subscribe { client, id, to } => {
                        let target = match to {
                            0..2 => Target::Destination(TEXTS[to as usize]),
                            _ => Target::Pattern(Pattern::parse(TEXTS[to as usize], 512, 32).expect("in order")),
                        };
                        let head = &mut heads[client as usize];
                        let taken = broker.subscribe(client.into(), head, &format!("{id}"), target);
                        let entry = model.entry((client.into(), id)).or_insert((to, step));
                        prop_assert_eq!(taken.is_ok(), entry.0 == to);
                    }
                    Op::Unsubscribe { client, id } => {
                        let count = broker.unsubscribe(&mut heads[client as usize], &format!("{id}"));
                        prop_assert_eq!(count, model.remove(&(client.into(), id)).iter().count());
                    }
                    Op::Remove { client } => {
                        broker.remove(&mut heads[client as usize]);
                        model.retain(|(who, _), _| *who != u32::from(client));
                    }
                    Op::Publish { to } => {
                        let reached = model.iter().filter(|(_, (what, _))| *what == to || (2..4).contains(what));
                        let reached: BTreeSet<_> = reached.map(|((who, id), (_, since))| (*who, *id, *since)).collect();
                        let fanout = broker.publish(TEXTS[to as usize]);
                        prop_assert_eq!(fanout.receivers(), reached.len());
                        open.push((fanout, reached));
                    }
                    Op::Next { fanout, times } if !open.is_empty() => {
                        let at = fanout as usize % open.len();
                        for _ in 0..times {
                            let (fanout, waiting) = &mut open[at];
                            let Some(receiver) = broker.next(fanout) else {
                                prop_assert!(waiting.is_empty());
                                drop(open.swap_remove(at));
                                break;
                            };
                            let id = broker.subscription_id(receiver.subscription).expect("it has one");
                            let id = id.parse().expect("a number");
                            let since = model.get(&(receiver.client, id)).expect("it is subscribed").1;
                            prop_assert!(waiting.remove(&(receiver.client, id, since)));
                        }
                    }
                    Op::Cancel { fanout } if !open.is_empty() => {
                        broker.cancel(open.swap_remove(fanout as usize % open.len()).0);
                    }
                    Op::Next { .. } | Op::Cancel { .. } => {}
                }
                for (_, waiting) in &mut open {
                    waiting.retain(|(who, id, since)| model.get(&(*who, *id)).is_some_and(|(_, now)| now == since));
                }
            }
            for (mut fanout, waiting) in open {
                prop_assert_eq!(core::iter::from_fn(|| broker.next(&mut fanout)).count(), waiting.len());
            }
            prop_assert_eq!((broker.walks.len(), broker.len()), (0, model.len()));
            for head in &mut heads {
                broker.remove(head);
            }
            prop_assert_eq!(broker.destinations(), 0);
        }
    }
}
