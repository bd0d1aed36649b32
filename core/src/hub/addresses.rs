//! Who connects from where: counts per address.

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::Hub;
use super::socket::Mark;
use crate::ids::SocketId;
use crate::index::Interner;

/// Addresses with sockets, and the sockets that have not sent a whole head yet.
#[derive(Debug)]
pub(super) struct Addresses {
    names: Interner,
    /// Half-open sockets by address.
    half_open: Vec<u32>,
    /// Half-open sockets by age; some of them are no longer half open.
    queue: VecDeque<(SocketId, u32)>,
    /// How many really are.
    total: u32,
}

impl Addresses {
    pub(super) fn new(seed: &[u8; 16]) -> Self {
        Self { names: Interner::new(seed), half_open: Vec::new(), queue: VecDeque::new(), total: 0 }
    }

    /// One more socket of this address.
    pub(super) fn enter(&mut self, address: Option<IpAddr>) -> u32 {
        match address {
            None => self.names.intern(b""),
            Some(IpAddr::V4(v4)) => self.names.intern(&v4.octets()),
            Some(IpAddr::V6(v6)) => match v6.to_ipv4_mapped() {
                Some(v4) => self.names.intern(&v4.octets()),
                None => self.names.intern(&v6.octets()),
            },
        }
    }

    pub(super) fn leave(&mut self, key: u32) {
        self.names.release(key);
    }

    pub(super) fn get(&self, key: u32) -> Option<IpAddr> {
        let bytes = self.names.get(key);
        <[u8; 4]>::try_from(bytes)
            .map(|v4| IpAddr::V4(Ipv4Addr::from(v4)))
            .or_else(|_| <[u8; 16]>::try_from(bytes).map(|v6| IpAddr::V6(Ipv6Addr::from(v6))))
            .ok()
    }

    /// Sockets of this address; 0 where there is no address to count by.
    pub(super) fn count(&self, key: u32) -> u32 {
        if self.names.get(key).is_empty() { 0 } else { self.names.count(key) }
    }

    fn half_open_of(&mut self, key: u32) -> &mut u32 {
        let at = key as usize;
        if self.half_open.len() <= at {
            self.half_open.resize(at + 1, 0);
        }
        &mut self.half_open[at]
    }
}

impl Hub {
    /// A socket begins without a head; where there are too many of those, the oldest goes.
    pub(super) fn half_open(&mut self, socket: SocketId, address: u32) {
        self.addresses.queue.push_back((socket, address));
        self.addresses.total += 1;
        *self.addresses.half_open_of(address) += 1;
        let limits = &self.config.limits;
        let (all, each) = (limits.half_open, limits.half_open_address);
        let peer = self.addresses.get(address);
        let counted = peer.is_some_and(|peer| !self.config.proxies.contains(peer));
        if self.addresses.total > all {
            self.drop_oldest(None);
        } else if counted && *self.addresses.half_open_of(address) > each {
            self.drop_oldest(Some(address));
        }
        // So many entries that say nothing any more are swept out that looking through the rest stays cheap.
        if self.addresses.queue.len() > 2 * self.addresses.total as usize + SWEPT_FROM {
            let mut queue = core::mem::take(&mut self.addresses.queue);
            queue.retain(|(socket, _)| self.is_half_open(*socket));
            self.addresses.queue = queue;
        }
    }

    /// A head came, or the socket is gone.
    pub(super) fn not_half_open(&mut self, slot: u32) {
        let Some(socket) = self.sockets.slot_mut(slot) else { return };
        if socket.marks.set(Mark::HalfOpen, false) {
            let address = socket.address;
            self.addresses.total = self.addresses.total.saturating_sub(1);
            let of = self.addresses.half_open_of(address);
            *of = of.saturating_sub(1);
        }
    }

    fn is_half_open(&self, socket: SocketId) -> bool {
        self.sockets.get(socket.slot(), socket.generation()).is_some_and(|socket| socket.marks.has(Mark::HalfOpen))
    }

    fn drop_oldest(&mut self, address: Option<u32>) {
        let oldest = self
            .addresses
            .queue
            .iter()
            .find(|(socket, of)| address.is_none_or(|wanted| wanted == *of) && self.is_half_open(*socket))
            .map(|(socket, _)| socket.slot());
        if let Some(slot) = oldest {
            self.stats.half_open_dropped += 1;
            self.hang_up(slot);
        }
    }
}

/// A queue of fewer entries than this is not worth sweeping.
const SWEPT_FROM: usize = 64;
