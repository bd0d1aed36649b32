//! One connection at work: commands out, replies and notices in, and a watch over whether Redis is still there.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use redis::Value;
use smol::Timer;
use smol::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tethered_core::redis::Connection;
use tethered_core::time::Instant;

use super::frames::{Broken, Frames};
use super::group::Group;
use super::inbox::{Inbox, Incoming};
use super::lane::{Lane, Unasked, pack};
use super::stream::Stream;
use crate::clock::Clock;

/// Why a connection ended, or could not be made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("Redis closed the connection")]
    Ended,
    #[error("no connection within {0} ms (limit CONNECT)")]
    NotInTime(u64),
    #[error("no reply within {0} ms (limit REPLY)")]
    Late(u64),
    #[error("{0}")]
    Broken(#[from] Broken),
    #[error("a reply came that nobody had asked for")]
    Unasked,
    #[error("Redis says: {0}")]
    Refused(String),
    #[error("it is a replica, which takes no writes and may not know the latest sessions")]
    Replica,
    #[error("notices come faster than they are handled")]
    Behind,
    #[error("a sentinel says: {0}")]
    RefusedBySentinel(String),
    #[error("the sentinels name no primary \"{0}\"")]
    NoPrimary(String),
    #[error("there is a new primary")]
    NewPrimary,
}

/// One established connection, until it ends.
pub(crate) struct Link<'a> {
    lane: &'a Lane,
    inbox: &'a Inbox,
    /// Those who are one to the hub together with this one.
    group: Option<&'a Group>,
    clock: Clock,
    silent_ms: u64,
    reply_ms: u64,
    stream: Box<dyn Stream>,
    frames: Frames,
    out: Vec<u8>,
    written: usize,
    buffer: Box<[u8]>,
    values: Vec<Value>,
    sorted: Vec<Incoming>,
    /// When something came last.
    heard: Instant,
    /// Redis was asked whether it is there, and nothing has come since.
    pinged: bool,
    timer: Option<(Instant, Timer)>,
    /// Until then nothing is read: more is on its way.
    rest: Option<Timer>,
}

impl<'a> Link<'a> {
    /// Takes over a stream on which everything that was asked is answered.
    pub(crate) fn new(
        lane: &'a Arc<Lane>,
        inbox: &'a Arc<Inbox>,
        group: Option<&'a Group>,
        clock: Clock,
        (silent_ms, reply_ms): (u64, u64),
        stream: Box<dyn Stream>,
        frames: Frames,
    ) -> Self {
        Self {
            lane,
            inbox,
            group,
            clock,
            silent_ms,
            reply_ms,
            stream,
            frames,
            out: Vec::new(),
            written: 0,
            buffer: vec![0; READ_BYTES].into_boxed_slice(),
            values: Vec::new(),
            sorted: Vec::new(),
            heard: clock.now().mono,
            pinged: false,
            timer: None,
            rest: None,
        }
    }

    fn write(&mut self, cx: &mut Context<'_>) -> Result<(), Failure> {
        loop {
            if self.written == self.out.len() {
                self.out.clear();
                self.written = 0;
                self.lane.take(&mut self.out);
                if self.out.is_empty() {
                    break;
                }
            }
            match Pin::new(&mut self.stream).poll_write(cx, &self.out[self.written..]) {
                Poll::Ready(Ok(0)) => return Err(Failure::Ended),
                Poll::Ready(Ok(len)) => self.written += len,
                Poll::Ready(Err(error)) => return Err(error.into()),
                Poll::Pending => return Ok(()),
            }
        }
        match Pin::new(&mut self.stream).poll_flush(cx) {
            Poll::Ready(Err(error)) => Err(error.into()),
            Poll::Ready(Ok(())) | Poll::Pending => Ok(()),
        }
    }

    fn read(&mut self, cx: &mut Context<'_>) -> Result<(), Failure> {
        for _ in 0..READS_AT_A_STRETCH {
            if let Some(rest) = &mut self.rest {
                if Pin::new(rest).poll(cx).is_pending() {
                    return Ok(());
                }
                self.rest = None;
            }
            match Pin::new(&mut self.stream).poll_read(cx, &mut self.buffer) {
                Poll::Pending => return Ok(()),
                Poll::Ready(Ok(0)) => return Err(Failure::Ended),
                Poll::Ready(Ok(len)) => self.take_in(len)?,
                Poll::Ready(Err(error)) => return Err(error.into()),
            }
        }
        cx.waker().wake_by_ref();
        Ok(())
    }

    fn take_in(&mut self, len: usize) -> Result<(), Failure> {
        let now = self.clock.now().mono;
        if self.lane.connection == Connection::Notices && now.since(self.heard) <= BUSY_MS && len < READ_BYTES {
            self.rest = Some(Timer::after(REST));
        }
        self.heard = now;
        self.pinged = false;
        self.frames.feed(&self.buffer[..len]);
        let mut replica = false;
        let broken = loop {
            match self.frames.next() {
                Ok(Some(value)) => {
                    replica |= matches!(&value, Value::ServerError(error) if is_read_only(error));
                    self.values.push(value);
                }
                Ok(None) => break Ok(()),
                Err(error) => break Err(error),
            }
        };
        let asked = self.lane.sort(self.values.drain(..), &mut self.sorted);
        match self.group {
            Some(group) => self.inbox.push(group.sift(self.lane.node, std::mem::take(&mut self.sorted))),
            None => self.inbox.push(self.sorted.drain(..)),
        }
        broken?;
        asked.map_err(|Unasked| Failure::Unasked)?;
        if replica {
            return Err(Failure::Replica);
        }
        if self.lane.connection == Connection::Notices && self.inbox.is_full() {
            return Err(Failure::Behind);
        }
        Ok(())
    }

    /// Holds replies to their time, and asks one who is silent whether he is there.
    fn watch(&mut self, cx: &mut Context<'_>) -> Result<(), Failure> {
        loop {
            let now = self.clock.now().mono;
            let silence_ends = self.heard.after(self.silent_ms);
            let due = match self.lane.due() {
                Some(due) if due <= now => return Err(Failure::Late(self.reply_ms)),
                Some(due) => due,
                None if silence_ends <= now && !self.pinged => {
                    self.pinged = true;
                    self.lane.ping(now);
                    self.write(cx)?;
                    continue;
                }
                None => silence_ends,
            };
            // A timer that is set for earlier fires in vain once, which is cheaper than to set it for each command.
            if self.timer.as_ref().is_none_or(|(at, _)| due < *at) {
                let Some(at) = self.clock.at(due) else { return Ok(()) };
                self.timer = Some((due, Timer::at(at)));
            }
            if let Some((_, timer)) = &mut self.timer {
                if Pin::new(timer).poll(cx).is_pending() {
                    return Ok(());
                }
                self.timer = None;
            }
        }
    }
}

impl Future for Link<'_> {
    type Output = Failure;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Failure> {
        let this = self.get_mut();
        this.lane.register(cx.waker());
        match this.write(cx).and_then(|()| this.read(cx)).and_then(|()| this.watch(cx)) {
            Ok(()) => Poll::Pending,
            Err(failure) => Poll::Ready(failure),
        }
    }
}

/// Sends commands on a fresh stream and reads the reply to each.
pub(crate) async fn ask(
    stream: &mut Box<dyn Stream>,
    frames: &mut Frames,
    commands: &[Vec<&[u8]>],
) -> Result<Vec<Value>, Failure> {
    let mut out = Vec::new();
    for command in commands {
        pack(&mut out, command.iter().copied());
    }
    stream.write_all(&out).await?;
    stream.flush().await?;
    let mut values = Vec::new();
    let mut buffer = [0; 4_096];
    while values.len() < commands.len() {
        if let Some(value) = frames.next()? {
            values.push(value);
            continue;
        }
        match stream.read(&mut buffer).await? {
            0 => return Err(Failure::Ended),
            len => frames.feed(&buffer[..len]),
        }
    }
    Ok(values)
}

/// Whether it was a replica that refused; before Redis 7 a script's error has the other within it.
fn is_read_only(error: &redis::ServerError) -> bool {
    error.code() == "READONLY" || error.details().is_some_and(|text| text.contains("-READONLY"))
}

/// An error's text as Redis wrote it.
pub(crate) fn error_text(error: &redis::ServerError) -> String {
    match error.details() {
        Some(details) => format!("{} {details}", error.code()),
        None => error.code().to_owned(),
    }
}

/// Notices that follow each other so closely are read several at a time: each read costs more than a notice.
const BUSY_MS: u64 = 6;
const REST: Duration = Duration::from_millis(5);
const READ_BYTES: usize = 64 * 1024;
/// After so many reads others get their turn.
const READS_AT_A_STRETCH: usize = 16;
