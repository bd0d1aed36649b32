//! What came from Redis and waits for the server's next turn.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use redis::Value;
use tethered_core::ids::CallId;
use tethered_core::redis::Connection;

/// Something that happened at Redis' end.
#[derive(Debug)]
pub(crate) enum Incoming {
    /// A connection can be used.
    Up(Connection),
    /// It cannot any more: whatever was asked on it stays without a reply.
    Down(Connection),
    /// A reply; `None` for one that will not come.
    Reply { call: CallId, value: Option<Value> },
    /// A message of a channel that is subscribed to, from this primary.
    Notice { node: u32, channel: Vec<u8>, payload: Vec<u8> },
    /// What another node passed on.
    Relayed { publication: Vec<u8> },
}

impl Incoming {
    /// Whether it comes unasked, as often as others please.
    fn is_unasked(&self) -> bool {
        matches!(self, Self::Notice { .. } | Self::Relayed { .. })
    }
}

/// A queue from the tasks that talk to Redis to the server.
#[derive(Debug, Default)]
pub(crate) struct Inbox(Mutex<Queue>);

#[derive(Debug, Default)]
struct Queue {
    incoming: VecDeque<Incoming>,
    unasked: usize,
    waker: Option<Waker>,
}

impl Inbox {
    /// Adds what came in, and wakes the server.
    pub(crate) fn push(&self, incoming: impl IntoIterator<Item = Incoming>) {
        let mut queue = self.lock();
        for incoming in incoming {
            queue.unasked += usize::from(incoming.is_unasked());
            queue.incoming.push_back(incoming);
        }
        if !queue.incoming.is_empty()
            && let Some(waker) = queue.waker.take()
        {
            drop(queue);
            waker.wake();
        }
    }

    pub(crate) fn pop(&self) -> Option<Incoming> {
        let mut queue = self.lock();
        let incoming = queue.incoming.pop_front()?;
        queue.unasked -= usize::from(incoming.is_unasked());
        Some(incoming)
    }

    /// Whether the server is so far behind that it had better look at every session anew.
    pub(crate) fn is_full(&self) -> bool {
        self.lock().unasked >= UNASKED
    }

    /// Waits until something came in.
    pub(crate) fn poll(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut queue = self.lock();
        if !queue.incoming.is_empty() {
            return Poll::Ready(());
        }
        queue.waker = Some(cx.waker().clone());
        Poll::Pending
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How many notices and publications may wait for the server. A notice is some 200 bytes.
const UNASKED: usize = 65_536;
