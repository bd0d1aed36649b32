//! Who is subscribed to what: [`Broker`], by client and by destination.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::num::NonZeroU32;

use super::destination::Pattern;
use super::fanout::Walk;
use super::receivers::{Receiver, Receivers};
use super::target::{Key, Name, Target};
use crate::heap::Upkeep;
use crate::index::{Index, Interner};
use crate::slab::{Arena, NONE};

#[cfg(test)]
/// Distinct patterns that may be subscribed to at a time, hub-wide: each publication is matched against all of them.
pub(crate) const PATTERNS: u32 = 1_024;

/// What a SUBSCRIBE led to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Subscribed {
    /// A subscription more.
    New,
    /// The same id and target again: nothing changed (S17).
    Already,
}

/// Why a SUBSCRIBE is not taken (S17).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refused {
    #[error("the subscription id is in use for another destination: UNSUBSCRIBE it first")]
    IdInUse,
    #[error("too many subscriptions: UNSUBSCRIBE one first")]
    TooManySubscriptions,
    #[error("too many patterns are subscribed to: name the destinations")]
    TooManyPatterns,
}

/// The book. A client's subscriptions are a list whose head is kept with the client ([`NONE`] at first); a
/// destination's are an array, so every change takes the same time however many there are.
///
/// What it costs, in bytes: 16 for a subscription and 12 for its place at the destination; for a destination 40, its name
/// (but for a user's), and an entry of the index.
#[derive(Debug)]
pub(crate) struct Broker {
    index: Index,
    pub(super) destinations: Arena<Destination>,
    subscriptions: Arena<Subscription>,
    ids: Interner,
    /// What comes behind `/user` in user destinations.
    suffixes: Interner,
    /// In the order in which they were first subscribed to, each with its slot in `destinations`.
    pub(super) patterns: Vec<(Pattern, u32)>,
    pub(super) walks: Arena<Walk>,
    /// For [`leave`](Self::leave): walks to be adjusted.
    affected: Vec<(u32, u32)>,
    most_subscriptions: u32,
    most_patterns: u32,
    upkeep: Upkeep,
}

impl Broker {
    /// At most so many `subscriptions` of one client and distinct `patterns` of all ([`PATTERNS`]).
    pub(crate) fn new(seed: &[u8; 16], subscriptions: u32, patterns: u32) -> Self {
        Self {
            index: Index::new(seed),
            destinations: Arena::new(),
            subscriptions: Arena::new(),
            ids: Interner::new(seed),
            suffixes: Interner::new(seed),
            patterns: Vec::new(),
            walks: Arena::new(),
            affected: Vec::new(),
            most_subscriptions: subscriptions,
            most_patterns: patterns,
            upkeep: Upkeep::default(),
        }
    }

    #[cfg(test)]
    /// Subscriptions of all clients.
    pub(crate) fn len(&self) -> usize {
        self.subscriptions.len()
    }

    #[cfg(test)]
    /// Destinations, patterns and user destinations that somebody is subscribed to.
    pub(crate) fn destinations(&self) -> usize {
        self.destinations.len()
    }

    /// A client subscribes under an id of its choice. An empty `id` is for a subscription without one (STOMP 1.0):
    /// there may be several, one for each target.
    pub(crate) fn subscribe(
        &mut self,
        client: u32,
        head: &mut u32,
        id: &str,
        target: Target<'_>,
    ) -> Result<Subscribed, Refused> {
        let key = Key::of(&target);
        let known = self.find(&key);
        let known_id = self.ids.find(id.as_bytes());
        let mut count = 0;
        let mut at = *head;
        while let Some(subscription) = self.subscriptions.get(at) {
            if known_id == Some(subscription.id()) {
                if known == Some(subscription.destination) {
                    return Ok(Subscribed::Already);
                }
                if !id.is_empty() {
                    return Err(Refused::IdInUse);
                }
            }
            count += 1;
            at = subscription.next;
        }
        if count >= self.most_subscriptions {
            return Err(Refused::TooManySubscriptions);
        }
        let destination = match known {
            Some(known) => known,
            None => self.add_destination(target)?,
        };
        self.enter(client, head, id, destination);
        Ok(Subscribed::New)
    }

    /// Ends what the client subscribed to under `id`; answers how many that were: 0 if none (S18).
    pub(crate) fn unsubscribe(&mut self, head: &mut u32, id: &str) -> usize {
        let Some(id) = self.ids.find(id.as_bytes()) else { return 0 };
        self.remove_if(head, |subscription| subscription.id() == id)
    }

    /// Ends all that the client subscribed to with this target, as STOMP 1.0 may ask by `destination`.
    pub(crate) fn unsubscribe_target(&mut self, head: &mut u32, target: &Target<'_>) -> usize {
        let Some(destination) = self.find(&Key::of(target)) else { return 0 };
        self.remove_if(head, |subscription| subscription.destination == destination)
    }

    /// Ends all subscriptions of a client (S22). To be called before its slot is given to another.
    pub(crate) fn remove(&mut self, head: &mut u32) -> usize {
        self.remove_if(head, |_| true)
    }

    /// The id behind a [`Receiver::subscription`]; `None` if it was subscribed to without one.
    pub(crate) fn subscription_id(&self, key: u32) -> Option<&str> {
        str::from_utf8(self.ids.get(key)).ok().filter(|id| !id.is_empty())
    }

    /// The slot of a target that somebody is subscribed to.
    pub(super) fn find(&self, key: &Key<'_>) -> Option<u32> {
        self.index.find(self.index.hash_parts(&key.parts()), |slot| {
            self.destinations.get(slot).is_some_and(|destination| destination.name().is(key, &self.suffixes))
        })
    }

    fn add_destination(&mut self, target: Target<'_>) -> Result<u32, Refused> {
        if matches!(target, Target::Pattern(_)) && self.patterns.len() >= self.most_patterns as usize {
            return Err(Refused::TooManyPatterns);
        }
        let (text, suffix) = Name::keep(&target, &mut self.suffixes);
        let destination = Destination { text, suffix, receivers: Receivers::new(), walks: NONE };
        let hash = self.index.hash_parts(&destination.name().parts(&self.suffixes));
        let slot = self.destinations.insert(destination);
        let Self { destinations, suffixes, .. } = self;
        self.index.insert(hash, slot, |slot| {
            destinations.get(slot).map_or([&[][..]; 4], |destination| destination.name().parts(suffixes))
        });
        if let Target::Pattern(pattern) = target {
            self.patterns.push((pattern, slot));
        }
        Ok(slot)
    }

    fn enter(&mut self, client: u32, head: &mut u32, id: &str, destination: u32) {
        let id = self.ids.intern(id.as_bytes());
        let record = self.subscriptions.insert(Subscription::new(*head, destination, id));
        *head = record;
        let Some(destination) = self.destinations.get_mut(destination) else { return };
        let position = destination.receivers.push(Receiver { client, subscription: id, record });
        if let Some(subscription) = self.subscriptions.get_mut(record) {
            subscription.position = position;
        }
    }

    fn remove_if(&mut self, head: &mut u32, doomed: impl Fn(&Subscription) -> bool) -> usize {
        let (mut previous, mut at, mut removed) = (NONE, *head, 0);
        while let Some(subscription) = self.subscriptions.get(at) {
            let next = subscription.next;
            if doomed(subscription) {
                match self.subscriptions.get_mut(previous) {
                    Some(previous) => previous.next = next,
                    None => *head = next,
                }
                if let Some(subscription) = self.subscriptions.remove(at) {
                    self.ids.release(subscription.id());
                    self.leave(subscription.destination, subscription.position);
                }
                removed += 1;
            } else {
                previous = at;
            }
            at = next;
        }
        removed
    }

    /// Takes the receiver at `position` out of a destination, and frees that with its last one.
    ///
    /// The last receiver fills the gap. But an open walk has the positions from its own on behind it: if the gap lies
    /// before that, the receiver that the walk would come to next fills it, the walk comes one nearer, and the gap is
    /// now behind it. So on through all walks, nearest first.
    fn leave(&mut self, slot: u32, position: u32) {
        let Self { destinations, subscriptions, walks, affected, .. } = self;
        let Some(destination) = destinations.get_mut(slot) else { return };
        affected.clear();
        let mut at = destination.walks;
        while let Some(walk) = walks.get(at) {
            if walk.left > position {
                affected.push((walk.left, at));
            }
            at = walk.beside;
        }
        affected.sort_unstable();
        let mut gap = position;
        let receivers = &mut destination.receivers;
        let mut fill = |receivers: &mut Receivers, from: u32, gap: &mut u32| {
            if let Some(receiver) = receivers.get(from).filter(|_| from != *gap) {
                receivers.set(*gap, receiver);
                if let Some(subscription) = subscriptions.get_mut(receiver.record) {
                    subscription.position = *gap;
                }
                *gap = from;
            }
        };
        for (left, at) in affected.iter() {
            fill(receivers, left - 1, &mut gap);
            if let Some(walk) = walks.get_mut(*at) {
                walk.left = left - 1;
            }
        }
        let last = receivers.len().saturating_sub(1);
        fill(receivers, last, &mut gap);
        receivers.pop();
        if receivers.len() == 0 {
            self.remove_destination(slot);
        }
    }

    fn remove_destination(&mut self, slot: u32) {
        let Some(destination) = self.destinations.remove(slot) else { return };
        self.upkeep.freed();
        let name = destination.name();
        self.index.remove(self.index.hash_parts(&name.parts(&self.suffixes)), slot);
        self.suffixes.release(name.suffix);
        if name.is_pattern() {
            self.patterns.retain(|(_, of)| *of != slot);
        }
        let mut at = destination.walks;
        while let Some(walk) = self.walks.get_mut(at) {
            walk.destination = NONE;
            at = walk.beside;
        }
    }
}

/// What somebody is subscribed to.
#[derive(Debug)]
pub(super) struct Destination {
    /// See [`Name::keep`].
    text: Arc<str>,
    suffix: u32,
    pub(super) receivers: Receivers,
    /// Fan-outs that are under way here: a list through [`Walk::beside`].
    pub(super) walks: u32,
}

impl Destination {
    fn name(&self) -> Name<'_> {
        Name { text: &self.text, suffix: self.suffix }
    }
}

#[derive(Debug)]
struct Subscription {
    /// The client's next one.
    next: u32,
    destination: u32,
    /// Where it is among the destination's receivers.
    position: u32,
    /// The key of its id plus 1: the niche saves 4 bytes for each.
    id: NonZeroU32,
}

impl Subscription {
    fn new(next: u32, destination: u32, id: u32) -> Self {
        Self { next, destination, position: NONE, id: NonZeroU32::MIN.saturating_add(id) }
    }

    fn id(&self) -> u32 {
        self.id.get() - 1
    }
}

#[cfg(test)]
mod tests {
    use super::super::fanout::Fanout;
    use super::*;
    use alloc::boxed::Box;
    use alloc::string::String;
    use alloc::{format, vec};
    use core::ops::RangeInclusive;

    const SEED: [u8; 16] = *b"sixteen byte key";

    fn broker() -> Broker {
        Broker::new(&SEED, 128, PATTERNS)
    }

    fn exact(text: &str) -> Target<'_> {
        Target::Destination(text)
    }

    fn pattern(text: &str) -> Target<'_> {
        Target::Pattern(Pattern::parse(text, 512, 32).expect("in order"))
    }

    fn user<'a>(principal: &str, suffix: &'a str) -> Target<'a> {
        Target::User { principal: Box::leak(Box::new(principal.into())), suffix }
    }

    fn clients(broker: &mut Broker, destination: &str) -> Vec<u32> {
        let fanout = broker.publish(destination);
        walk(broker, fanout)
    }

    fn walk(broker: &mut Broker, mut fanout: Fanout) -> Vec<u32> {
        core::iter::from_fn(|| broker.next(&mut fanout)).map(|receiver| receiver.client).collect()
    }

    #[test]
    fn records_are_as_small_as_they_are_said_to_be() {
        assert_eq!(size_of::<Option<Subscription>>(), 16);
        assert_eq!(size_of::<Receiver>(), 12);
        assert_eq!(size_of::<Option<Destination>>(), 40);
    }

    #[test]
    fn s17_the_same_id_and_target_again_changes_nothing_another_target_is_refused() {
        let (mut broker, mut head) = (broker(), NONE);
        assert_eq!(broker.subscribe(1, &mut head, "sub-0", exact("/topic/a")), Ok(Subscribed::New));
        assert_eq!(broker.subscribe(1, &mut head, "sub-0", exact("/topic/a")), Ok(Subscribed::Already));
        for target in [exact("/topic/b"), pattern("/topic/a"), user("", "/topic/a"), user("/topic/a", "")] {
            assert_eq!(broker.subscribe(1, &mut head, "sub-0", target), Err(Refused::IdInUse));
        }
        assert_eq!((broker.len(), broker.destinations()), (1, 1));
        assert_eq!(broker.subscribe(1, &mut head, "sub-1", exact("/topic/a")), Ok(Subscribed::New));
        assert_eq!(clients(&mut broker, "/topic/a"), [1, 1]);
        let mut other = NONE;
        assert_eq!(broker.subscribe(2, &mut other, "sub-0", exact("/topic/b")), Ok(Subscribed::New));
    }

    #[test]
    fn s17_subs_at_the_limit_and_one_beyond() {
        let (mut broker, mut head) = (Broker::new(&SEED, 3, PATTERNS), NONE);
        for n in 0..3 {
            assert_eq!(broker.subscribe(1, &mut head, &format!("{n}"), exact("/t")), Ok(Subscribed::New));
        }
        assert_eq!(broker.subscribe(1, &mut head, "3", exact("/t")), Err(Refused::TooManySubscriptions));
        assert_eq!(broker.subscribe(1, &mut head, "2", exact("/t")), Ok(Subscribed::Already));
        assert_eq!(broker.unsubscribe(&mut head, "1"), 1);
        assert_eq!(broker.subscribe(1, &mut head, "3", exact("/t")), Ok(Subscribed::New));
    }

    #[test]
    fn patterns_at_the_limit_and_one_beyond() {
        let (mut broker, mut head) = (Broker::new(&SEED, 128, 2), NONE);
        assert_eq!(broker.subscribe(1, &mut head, "0", pattern("/a/*")), Ok(Subscribed::New));
        assert_eq!(broker.subscribe(1, &mut head, "1", pattern("/b/*")), Ok(Subscribed::New));
        assert_eq!(broker.subscribe(1, &mut head, "2", pattern("/c/*")), Err(Refused::TooManyPatterns));
        assert_eq!(broker.subscribe(2, &mut NONE.clone(), "0", pattern("/b/*")), Ok(Subscribed::New));
        assert_eq!(broker.subscribe(1, &mut head, "2", exact("/c/*")), Ok(Subscribed::New));
        assert_eq!(broker.unsubscribe(&mut head, "0"), 1);
        assert_eq!(broker.subscribe(1, &mut head, "0", pattern("/c/*")), Ok(Subscribed::New));
        assert_eq!(broker.patterns.len(), 2);
    }

    #[test]
    fn s18_unsubscribe_of_an_unknown_id_does_nothing() {
        let (mut broker, mut head, mut other) = (broker(), NONE, NONE);
        broker.subscribe(1, &mut head, "sub-0", exact("/topic/a")).expect("the first");
        broker.subscribe(2, &mut other, "sub-1", exact("/topic/a")).expect("the first");
        assert_eq!(broker.unsubscribe(&mut head, "sub-1"), 0);
        assert_eq!(broker.unsubscribe(&mut head, "sub-2"), 0);
        assert_eq!(broker.unsubscribe(&mut head, ""), 0);
        assert_eq!(broker.unsubscribe_target(&mut head, &exact("/topic/b")), 0);
        assert_eq!(broker.len(), 2);
    }

    #[test]
    fn s22_nothing_is_left_of_a_client_that_is_gone() {
        let (mut broker, mut head) = (broker(), NONE);
        for n in 0..100 {
            let (id, text) = (format!("sub-{n}"), format!("/topic/{n}"));
            let target = match n % 3 {
                0 => exact(&text),
                1 => pattern(&text),
                _ => user("rob", &text),
            };
            broker.subscribe(1, &mut head, &id, target).expect("below the limit");
        }
        assert_eq!(broker.remove(&mut head), 100);
        assert_eq!((head, broker.len(), broker.destinations()), (NONE, 0, 0));
        assert_eq!((broker.ids.len(), broker.patterns.len(), broker.index.len()), (0, 0, 0));
        assert_eq!(broker.remove(&mut head), 0);
    }

    #[test]
    fn s14_a_user_destination_is_its_users_alone() {
        let mut broker = broker();
        let names = ["rob", "ro", "", "rob/queue", "rob\0", "rob\0/queue", "%2Frob", "rob:"];
        let suffixes = ["/queue/m", "b/queue/m", "rob/queue/m", "/m", "/queue/m\0", "\0/queue/m", "", ":/queue/m"];
        let pairs: Vec<_> = names.iter().flat_map(|name| suffixes.iter().map(move |suffix| (*name, *suffix))).collect();
        for (client, (name, suffix)) in (0..).zip(&pairs) {
            assert_eq!(broker.subscribe(client, &mut NONE.clone(), "0", user(name, suffix)), Ok(Subscribed::New));
        }
        assert_eq!(broker.destinations(), pairs.len());
        for (client, (name, suffix)) in (0..).zip(&pairs) {
            let fanout = broker.publish_to_user(name, suffix);
            assert_eq!(fanout.receivers(), 1);
            assert_eq!(walk(&mut broker, fanout), [client]);
            assert_eq!(clients(&mut broker, &format!("{name}{suffix}")), []);
        }
    }

    #[test]
    fn s13_a_pattern_does_not_reach_user_destinations() {
        let mut broker = broker();
        broker.subscribe(1, &mut NONE.clone(), "0", pattern("/**")).expect("the first");
        broker.subscribe(2, &mut NONE.clone(), "0", user("rob", "/queue/m")).expect("the first");
        let fanout = broker.publish_to_user("rob", "/queue/m");
        assert_eq!(walk(&mut broker, fanout), [2]);
        assert_eq!(clients(&mut broker, "/queue/m"), [1]);
    }

    #[test]
    fn exact_subscribers_come_before_those_of_patterns() {
        let mut broker = broker();
        broker.subscribe(1, &mut NONE.clone(), "0", pattern("/topic/*")).expect("new");
        broker.subscribe(2, &mut NONE.clone(), "0", pattern("/queue/*")).expect("new");
        broker.subscribe(3, &mut NONE.clone(), "0", pattern("/**")).expect("new");
        broker.subscribe(4, &mut NONE.clone(), "0", exact("/topic/a")).expect("new");
        broker.subscribe(5, &mut NONE.clone(), "0", exact("/topic/*")).expect("new");
        assert_eq!(clients(&mut broker, "/topic/a"), [4, 1, 3]);
        assert_eq!(clients(&mut broker, "/topic/b"), [1, 3]);
    }

    #[test]
    fn stomp_1_0_subscribes_without_an_id() {
        let (mut broker, mut head) = (broker(), NONE);
        assert_eq!(broker.subscribe(1, &mut head, "", exact("/a")), Ok(Subscribed::New));
        assert_eq!(broker.subscribe(1, &mut head, "", exact("/b")), Ok(Subscribed::New));
        assert_eq!(broker.subscribe(1, &mut head, "", exact("/b")), Ok(Subscribed::Already));
        assert_eq!(broker.subscribe(1, &mut head, "x", exact("/b")), Ok(Subscribed::New));
        let mut fanout = broker.publish("/a");
        let receiver = broker.next(&mut fanout).expect("one");
        assert_eq!(broker.subscription_id(receiver.subscription), None);
        broker.cancel(fanout);
        assert_eq!(broker.unsubscribe_target(&mut head, &exact("/b")), 2);
        assert_eq!(broker.unsubscribe(&mut head, ""), 1);
        assert_eq!((head, broker.len()), (NONE, 0));
    }

    #[test]
    fn ids_are_kept_once_and_found_by_key() {
        let mut broker = broker();
        for client in 0..10 {
            broker.subscribe(client, &mut NONE.clone(), "sub-0", exact("/a")).expect("new");
        }
        assert_eq!(broker.ids.len(), 1);
        let mut fanout = broker.publish("/a");
        while let Some(receiver) = broker.next(&mut fanout) {
            assert_eq!(broker.subscription_id(receiver.subscription), Some("sub-0"));
        }
        assert_eq!(broker.subscription_id(NONE), None);
    }

    /// What the book says, against a plain list, after each of many random changes.
    #[test]
    fn a_book_is_a_list_of_who_and_what() {
        let names: Vec<String> = (0..6).map(|n| format!("/t/{n}")).collect();
        let mut random = 1_u64;
        let mut pick = |range: RangeInclusive<u64>| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            range.start() + (random >> 33) % (range.end() - range.start() + 1)
        };
        let mut broker = Broker::new(&SEED, 4, PATTERNS);
        let (mut heads, mut model) = (vec![NONE; 8], Vec::<(u32, String, usize)>::new());
        for _ in 0..20_000 {
            let (client, id, name) = (pick(0..=7) as u32, format!("{}", pick(0..=4)), pick(0..=5) as usize);
            let head = &mut heads[client as usize];
            match pick(0..=9) {
                0..=5 => {
                    let same = model.iter().find(|(who, what, _)| *who == client && *what == id);
                    let expected = match same {
                        Some((_, _, target)) if *target == name => Ok(Subscribed::Already),
                        Some(_) => Err(Refused::IdInUse),
                        None if model.iter().filter(|(who, ..)| *who == client).count() == 4 => {
                            Err(Refused::TooManySubscriptions)
                        }
                        None => Ok(Subscribed::New),
                    };
                    assert_eq!(broker.subscribe(client, head, &id, exact(&names[name])), expected);
                    if expected == Ok(Subscribed::New) {
                        model.push((client, id, name));
                    }
                }
                6..=7 => {
                    let before = model.len();
                    model.retain(|(who, what, _)| (*who, what) != (client, &id));
                    assert_eq!(broker.unsubscribe(head, &id), before - model.len());
                }
                8 => {
                    let before = model.len();
                    model.retain(|(who, _, target)| (*who, *target) != (client, name));
                    assert_eq!(broker.unsubscribe_target(head, &exact(&names[name])), before - model.len());
                }
                _ => {
                    let before = model.len();
                    model.retain(|(who, ..)| *who != client);
                    assert_eq!(broker.remove(head), before - model.len());
                }
            }
            assert_eq!(broker.len(), model.len());
            let mut expected: Vec<u32> = model.iter().filter(|(_, _, to)| *to == name).map(|(who, ..)| *who).collect();
            let mut met = clients(&mut broker, &names[name]);
            expected.sort_unstable();
            met.sort_unstable();
            assert_eq!(met, expected);
        }
    }
}
