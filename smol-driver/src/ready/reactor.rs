//! Each socket as a source of async-io's reactor.

use std::io;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use smol::Async;

use super::Change;

/// Those sockets that the reactor has said something of.
#[derive(Debug, Default)]
pub(crate) struct Ready(Arc<Mutex<Told>>);

#[derive(Debug, Default)]
struct Told {
    sockets: Vec<Arc<Source>>,
    waker: Option<Waker>,
}

/// One socket, as its waker.
#[derive(Debug)]
struct Source {
    token: usize,
    /// It is among those that something was said of.
    listed: AtomicBool,
    all: Arc<Mutex<Told>>,
}

/// A socket that is watched.
#[derive(Debug)]
pub(crate) struct Watched<T> {
    socket: Async<T>,
    waker: Waker,
}

impl Ready {
    #[expect(clippy::unnecessary_wraps, reason = "the other way can fail")]
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self::default())
    }

    /// Watches a socket, which has to be non-blocking, from now until it is dropped.
    pub(crate) fn watch<T: AsFd>(&mut self, token: usize, socket: T) -> io::Result<Watched<T>> {
        let told = Source { token, listed: AtomicBool::new(false), all: self.0.clone() };
        let mut watched = Watched { socket: Async::new_nonblocking(socket)?, waker: Arc::new(told).into() };
        watched.drained();
        Ok(watched)
    }

    /// The reactor tells by itself, and is not waited for here.
    #[expect(clippy::unnecessary_wraps, clippy::unused_self, reason = "the other way can fail")]
    pub(crate) fn look(&mut self, _: Duration) -> io::Result<()> {
        Ok(())
    }

    /// Tells what is new. A socket may be told of in vain.
    pub(crate) fn changes(&mut self, mut each: impl FnMut(Change)) -> usize {
        let sockets = std::mem::take(&mut lock(&self.0).sockets);
        for socket in &sockets {
            socket.listed.store(false, Ordering::Release);
            each(Change { token: socket.token, readable: true, writable: true, ending: false, failed: false });
        }
        sockets.len()
    }

    /// Waits until something is new.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut told = lock(&self.0);
        if !told.sockets.is_empty() {
            return Poll::Ready(Ok(()));
        }
        told.waker = Some(cx.waker().clone());
        Poll::Pending
    }
}

impl Wake for Source {
    fn wake(self: Arc<Self>) {
        if self.listed.swap(true, Ordering::AcqRel) {
            return;
        }
        let mut told = lock(&self.all);
        let waker = told.waker.take();
        told.sockets.push(self.clone());
        drop(told);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl<T: AsFd> Watched<T> {
    pub(crate) fn get(&self) -> &T {
        self.socket.get_ref()
    }

    /// All that could be read was read.
    pub(crate) fn drained(&mut self) {
        self.register(|socket, cx| socket.poll_readable(cx));
    }

    /// Nothing more can be written.
    pub(crate) fn blocked(&mut self) {
        self.register(|socket, cx| socket.poll_writable(cx));
    }

    /// Wants to be told once. What the reactor said before is answered first.
    fn register(&mut self, poll: impl Fn(&Async<T>, &mut Context<'_>) -> Poll<io::Result<()>>) {
        let mut cx = Context::from_waker(&self.waker);
        for _ in 0..2 {
            match poll(&self.socket, &mut cx) {
                Poll::Pending => return,
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(_)) => break,
            }
        }
        // It could not be registered, or is ready anew: a look will tell.
        self.waker.wake_by_ref();
    }
}

fn lock(told: &Mutex<Told>) -> MutexGuard<'_, Told> {
    told.lock().unwrap_or_else(PoisonError::into_inner)
}
