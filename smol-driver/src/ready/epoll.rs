//! One edge-triggered epoll for all sockets.

use std::fmt;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::task::{Context, Poll};
use std::time::Duration;

use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::io::Errno;
use smol::Async;

use super::Change;

/// Holds the sockets. A socket leaves by being closed.
pub(crate) struct Ready {
    epoll: Async<OwnedFd>,
    /// What the last look found.
    changes: Vec<Change>,
}

/// A socket that is watched.
#[derive(Debug)]
pub(crate) struct Watched<T>(T);

impl Ready {
    pub(crate) fn new() -> io::Result<Self> {
        let epoll = Async::new_nonblocking(epoll::create(CreateFlags::CLOEXEC)?)?;
        Ok(Self { epoll, changes: Vec::with_capacity(EVENTS) })
    }

    /// Watches a socket, which has to be non-blocking, from now until it is dropped.
    pub(crate) fn watch<T: AsFd>(&mut self, token: usize, socket: T) -> io::Result<Watched<T>> {
        let flags = EventFlags::IN | EventFlags::OUT | EventFlags::RDHUP | EventFlags::ET;
        epoll::add(self.epoll.get_ref(), &socket, EventData::new_u64(token as u64), flags)?;
        Ok(Watched(socket))
    }

    /// Looks for what is new, not more than some at a time, and blocks the thread for it, not longer than this.
    pub(crate) fn look(&mut self, most: Duration) -> io::Result<()> {
        self.changes.clear();
        let mut space = [const { MaybeUninit::<Event>::uninit() }; EVENTS];
        let most = Timespec { tv_sec: 0, tv_nsec: most.subsec_nanos().into() };
        let events = match epoll::wait(self.epoll.get_ref(), &mut space, Some(&most)) {
            Err(Errno::INTR) => return Ok(()),
            result => result?.0,
        };
        for event in &*events {
            let (flags, data) = (event.flags, event.data);
            self.changes.push(Change {
                token: data.u64() as usize,
                readable: flags.intersects(EventFlags::IN | EventFlags::RDHUP | EventFlags::HUP | EventFlags::ERR),
                writable: flags.intersects(EventFlags::OUT | EventFlags::HUP | EventFlags::ERR),
                ending: flags.intersects(EventFlags::RDHUP | EventFlags::HUP),
                failed: flags.intersects(EventFlags::ERR),
            });
        }
        Ok(())
    }

    /// Tells what the last look found. Returns how much.
    pub(crate) fn changes(&mut self, mut each: impl FnMut(Change)) -> usize {
        let found = self.changes.len();
        for change in self.changes.drain(..) {
            each(change);
        }
        found
    }

    /// Waits until something is new.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.epoll.poll_readable(cx)
    }
}

impl fmt::Debug for Ready {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ready").field("epoll", &self.epoll).finish_non_exhaustive()
    }
}

impl<T> Watched<T> {
    pub(crate) fn get(&self) -> &T {
        &self.0
    }

    /// All that could be read was read.
    pub(crate) fn drained(&mut self) {}

    /// Nothing more can be written.
    pub(crate) fn blocked(&mut self) {}
}

const EVENTS: usize = 512;
