//! Those who are subscribed to one destination, side by side, so that a fan-out walks over memory in a line.

use alloc::boxed::Box;

use crate::slab::Pages;

/// One subscription, as a fan-out needs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Receiver {
    /// The client's slot.
    pub(crate) client: u32,
    /// Key of the subscription's id, for [`subscription_id`](super::Broker::subscription_id). It may come to stand for
    /// another id after the next `subscribe`.
    pub(crate) subscription: u32,
    /// Slot of its record, which holds the position here.
    pub(super) record: u32,
}

/// 16 bytes, and nothing more for the one receiver that a private queue has.
#[derive(Debug)]
pub(super) enum Receivers {
    None,
    One(Receiver),
    Many(Box<Pages<Receiver>>),
}

impl Receivers {
    pub(super) const fn new() -> Self {
        Self::None
    }

    pub(super) fn len(&self) -> u32 {
        match self {
            Self::None => 0,
            Self::One(_) => 1,
            Self::Many(pages) => pages.len(),
        }
    }

    pub(super) fn get(&self, at: u32) -> Option<Receiver> {
        match self {
            Self::None => None,
            Self::One(receiver) => (at == 0).then_some(*receiver),
            Self::Many(pages) => pages.get(at).copied(),
        }
    }

    pub(super) fn set(&mut self, at: u32, receiver: Receiver) {
        let place = match self {
            Self::None => None,
            Self::One(receiver) => (at == 0).then_some(receiver),
            Self::Many(pages) => pages.get_mut(at),
        };
        if let Some(place) = place {
            *place = receiver;
        }
    }

    /// Appends; answers where.
    pub(super) fn push(&mut self, receiver: Receiver) -> u32 {
        match self {
            Self::None => {
                *self = Self::One(receiver);
                0
            }
            Self::Many(pages) => pages.push(receiver),
            Self::One(first) => {
                let mut pages = Pages::new();
                pages.push(*first);
                let at = pages.push(receiver);
                *self = Self::Many(Box::new(pages));
                at
            }
        }
    }

    pub(super) fn pop(&mut self) -> Option<Receiver> {
        match self {
            Self::None => None,
            Self::One(receiver) => {
                let receiver = *receiver;
                *self = Self::None;
                Some(receiver)
            }
            Self::Many(pages) => {
                let last = pages.pop()?;
                if let (1, Some(only)) = (pages.len(), pages.get(0)) {
                    *self = Self::One(*only);
                }
                Some(last)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn receiver(client: u32) -> Receiver {
        Receiver { client, subscription: 0, record: client }
    }

    #[test]
    fn receivers_are_a_stack_of_any_height() {
        let mut receivers = Receivers::new();
        assert_eq!((receivers.len(), receivers.get(0), receivers.pop()), (0, None, None));
        for height in [1, 2, 3, 1_025] {
            for at in 0..height {
                assert_eq!(receivers.push(receiver(at)), at);
            }
            assert_eq!((receivers.len(), receivers.get(height)), (height, None));
            receivers.set(height - 1, receiver(9_999));
            receivers.set(height, receiver(0));
            assert_eq!(receivers.pop(), Some(receiver(9_999)));
            for at in (0..height - 1).rev() {
                assert_eq!(receivers.get(at), Some(receiver(at)));
                assert_eq!(receivers.pop(), Some(receiver(at)));
            }
            assert_eq!(receivers.len(), 0);
        }
    }

    #[test]
    fn the_only_receiver_costs_no_allocation() {
        assert_eq!(size_of::<Receivers>(), 16);
        let mut receivers = Receivers::new();
        receivers.push(receiver(1));
        receivers.push(receiver(2));
        receivers.pop();
        assert!(matches!(receivers, Receivers::One(_)));
    }
}
