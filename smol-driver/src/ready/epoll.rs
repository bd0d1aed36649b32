//! One edge-triggered epoll for all sockets.

use std::fmt;
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::task::{Context, Poll};

use rustix::buffer::spare_capacity;
use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use smol::Async;

use super::Change;

/// Holds the sockets. A socket leaves by being closed.
pub(crate) struct Ready {
    /// The epoll; a `File` only since that is what async-io takes.
    epoll: Async<File>,
    events: Vec<epoll::Event>,
}

/// A socket that is watched.
#[derive(Debug)]
pub(crate) struct Watched<T>(T);

impl Ready {
    pub(crate) fn new() -> io::Result<Self> {
        let epoll = File::from(epoll::create(CreateFlags::CLOEXEC)?);
        Ok(Self { epoll: Async::new_nonblocking(epoll)?, events: Vec::with_capacity(EVENTS) })
    }

    /// Watches a socket, which has to be non-blocking, from now until it is dropped.
    pub(crate) fn watch<T: AsFd>(&mut self, token: usize, socket: T) -> io::Result<Watched<T>> {
        let flags = EventFlags::IN | EventFlags::OUT | EventFlags::RDHUP | EventFlags::ET;
        epoll::add(self.epoll.get_ref(), &socket, EventData::new_u64(token as u64), flags)?;
        Ok(Watched(socket))
    }

    /// Tells what is new, without waiting; not more than some at a time.
    pub(crate) fn changes(&mut self, mut each: impl FnMut(Change)) -> io::Result<usize> {
        self.events.clear();
        match epoll::wait(self.epoll.get_ref(), spare_capacity(&mut self.events), Some(&NOW)) {
            Err(rustix::io::Errno::INTR) => {}
            result => drop(result?),
        }
        for event in &self.events {
            let (flags, data) = (event.flags, event.data);
            let ending = flags.intersects(EventFlags::RDHUP | EventFlags::HUP);
            each(Change {
                token: data.u64() as usize,
                readable: flags.intersects(EventFlags::IN | EventFlags::RDHUP | EventFlags::HUP | EventFlags::ERR),
                writable: flags.intersects(EventFlags::OUT | EventFlags::HUP | EventFlags::ERR),
                ending,
                failed: flags.intersects(EventFlags::ERR),
            });
        }
        Ok(self.events.len())
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

const EVENTS: usize = 1_024;
const NOW: Timespec = Timespec { tv_sec: 0, tv_nsec: 0 };
