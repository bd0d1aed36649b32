//! The book of channels: SockJS sessions that outlive their requests.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::net::IpAddr;

use bytes::Bytes;

use super::form::Forms;
use crate::hub::socket::{NONE, UnfinishedStomp};
use crate::ids::SocketId;
use crate::index::{Index, Interner};
use crate::slab::Slab;
use crate::sockjs::Channel;
use crate::time::Instant;
use crate::wheel::Wheel;

/// One SockJS session.
#[derive(Debug)]
pub(in crate::hub) struct Seat {
    pub(super) channel: Channel<SocketId>,
    /// The name that its client gave it.
    pub(super) name: Box<str>,
    /// Who speaks through it; [`NONE`] once that is over.
    pub(super) client: u32,
    /// How its receiver is answered; [`NONE`] if there is none.
    pub(super) form: u32,
    /// Where its client is, if that is all that is known of it; else [`NONE`].
    pub(super) address: u32,
    /// When the client last said something, or came.
    pub(super) heard: Instant,
    /// When its last receiver went, or somebody last asked for it after its end.
    pub(super) last: Instant,
    /// Since when messages are counted, in ms that wrap around.
    pub(super) messages_since: u32,
    pub(super) messages: u16,
    pub(super) endpoint: u8,
    /// A message came.
    pub(super) spoke: bool,
    pub(super) busy: Option<Box<Busy>>,
}

/// What only a busy one needs.
#[derive(Debug, Default)]
pub(super) struct Busy {
    /// Requests that bring messages, and wait until those may be heard.
    pub(super) senders: VecDeque<SocketId>,
    /// A request that is to receive once the answer to the one before it was taken.
    pub(super) next: Option<SocketId>,
    /// A STOMP frame of which more is to come.
    pub(super) stomp: UnfinishedStomp,
    /// The token that CONNECT, which has not come yet, must carry.
    pub(super) token: Option<Bytes>,
}

/// All channels.
#[derive(Debug)]
pub(in crate::hub) struct Channels {
    seats: Slab<Seat>,
    /// By endpoint and name.
    index: Index,
    wheel: Wheel,
    pub(super) forms: Forms,
    /// Addresses with channels that belong to no login.
    addresses: Interner,
    /// Channels whose senders wait for a fan-out to end.
    stalled: VecDeque<(u32, u32)>,
    /// Buffers that are kept for the next use.
    pub(super) frame: Vec<u8>,
    pub(super) wrapped: Vec<u8>,
    pub(super) text: Vec<u8>,
}

impl Channels {
    pub(in crate::hub) fn new(seed: &[u8; 16], now: Instant) -> Self {
        Self {
            seats: Slab::new(),
            index: Index::new(seed),
            wheel: Wheel::new(now),
            forms: Forms::new(seed),
            addresses: Interner::new(seed),
            stalled: VecDeque::new(),
            frame: Vec::new(),
            wrapped: Vec::new(),
            text: Vec::new(),
        }
    }

    /// How many there are, ended ones included.
    pub(in crate::hub) fn len(&self) -> usize {
        self.seats.len()
    }

    pub(in crate::hub) fn capacity(&self) -> u32 {
        self.seats.capacity()
    }

    pub(super) fn get(&self, slot: u32) -> Option<&Seat> {
        self.seats.slot(slot)
    }

    pub(super) fn get_mut(&mut self, slot: u32) -> Option<&mut Seat> {
        self.seats.slot_mut(slot)
    }

    /// Who speaks through it.
    pub(in crate::hub) fn client(&self, slot: u32) -> u32 {
        self.seats.slot(slot).map_or(NONE, |seat| seat.client)
    }

    pub(super) fn find(&self, endpoint: u8, name: &str) -> Option<u32> {
        let hash = self.index.hash_parts(&[&[endpoint], name.as_bytes()]);
        self.index.find(hash, |slot| {
            self.seats.slot(slot).is_some_and(|seat| seat.endpoint == endpoint && &*seat.name == name)
        })
    }

    pub(super) fn insert(&mut self, seat: Seat) -> u32 {
        let hash = self.index.hash_parts(&[&[seat.endpoint], seat.name.as_bytes()]);
        let (slot, _) = self.seats.insert(seat);
        let seats = &self.seats;
        self.index.insert(hash, slot, |slot| match seats.slot(slot) {
            Some(seat) => [core::slice::from_ref(&seat.endpoint), seat.name.as_bytes()],
            None => [&[], &[]],
        });
        slot
    }

    pub(super) fn remove(&mut self, slot: u32) {
        if let Some(seat) = self.seats.remove_slot(slot) {
            self.index.remove(self.index.hash_parts(&[&[seat.endpoint], seat.name.as_bytes()]), slot);
            self.forms.release(seat.form);
            if seat.address != NONE {
                self.addresses.release(seat.address);
            }
        }
    }

    /// One more channel of this address.
    pub(super) fn enter_address(&mut self, address: Option<IpAddr>) -> u32 {
        lend(address, |bytes| self.addresses.intern(bytes))
    }

    /// How many channels there are of this address; 0 for those without one.
    pub(super) fn count_address(&self, address: Option<IpAddr>) -> u32 {
        let key = lend(address, |bytes| self.addresses.find(bytes).filter(|_| !bytes.is_empty()));
        key.map_or(0, |key| self.addresses.count(key))
    }

    /// Whether a channel that belongs to no login is of this address.
    pub(super) fn is_of_address(&self, seat: &Seat, address: Option<IpAddr>) -> bool {
        lend(address, |bytes| self.addresses.get(seat.address) == bytes)
    }

    /// The token that CONNECT must carry, which is asked for once.
    pub(in crate::hub) fn take_token(&mut self, slot: u32) -> Option<Bytes> {
        let busy = self.seats.slot_mut(slot)?.busy.as_mut()?;
        let token = busy.token.take();
        self.cool(slot);
        token
    }

    /// Its busy part.
    pub(super) fn busy(&mut self, slot: u32) -> Option<&mut Busy> {
        Some(self.seats.slot_mut(slot)?.busy.get_or_insert_default())
    }

    /// Drops its busy part if nothing is in it.
    pub(super) fn cool(&mut self, slot: u32) {
        if let Some(seat) = self.seats.slot_mut(slot) {
            seat.busy.take_if(|busy| busy.is_idle());
        }
    }

    /// Arms its timer.
    pub(super) fn arm(&mut self, slot: u32, due: Instant) {
        self.wheel.arm(slot, due);
    }

    /// The next one whose timer fires.
    pub(in crate::hub) fn pop_due(&mut self, now: Instant, budget: &mut usize) -> Option<u32> {
        self.wheel.pop(now, budget)
    }

    pub(in crate::hub) fn next_deadline(&self) -> Option<Instant> {
        self.wheel.next_deadline()
    }

    /// The senders of this channel wait until less is to be handed out.
    pub(super) fn stall(&mut self, slot: u32) {
        if let Some(generation) = self.seats.generation(slot)
            && self.stalled.back() != Some(&(slot, generation))
        {
            self.stalled.push_back((slot, generation));
        }
    }

    pub(in crate::hub) fn has_stalled(&self) -> bool {
        !self.stalled.is_empty()
    }

    /// The next channel whose senders waited for that.
    pub(super) fn pop_stalled(&mut self) -> Option<u32> {
        loop {
            let (slot, generation) = self.stalled.pop_front()?;
            if self.seats.get(slot, generation).is_some() {
                return Some(slot);
            }
        }
    }
}

impl Busy {
    fn is_idle(&self) -> bool {
        self.senders.is_empty() && self.next.is_none() && self.token.is_none() && self.stomp.is_idle()
    }
}

/// An address as bytes; none for who has none.
fn lend<T>(address: Option<IpAddr>, with: impl FnOnce(&[u8]) -> T) -> T {
    match address {
        None => with(&[]),
        Some(IpAddr::V4(v4)) => with(&v4.octets()),
        Some(IpAddr::V6(v6)) => match v6.to_ipv4_mapped() {
            Some(v4) => with(&v4.octets()),
            None => with(&v6.octets()),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_idle_channel_is_small() {
        assert!(size_of::<Option<Seat>>() <= 192, "{}", size_of::<Option<Seat>>());
    }
}
