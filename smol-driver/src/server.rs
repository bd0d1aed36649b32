//! The event loop around one hub.

use std::future::poll_fn;
use std::io;
use std::net::TcpListener;
use std::pin::Pin;
use std::task::{Context as TaskContext, Poll};
use std::time::{Duration, Instant};

use smol::channel::Receiver;
use smol::future::FutureExt;
use smol::stream::Stream;
use smol::{Timer, future};
use tethered_core::hub::record::TooLate;
use tethered_core::hub::{Action, Event, Hub, Open};
use tethered_core::time::{self, Now};

use crate::application::{Application, Context};
use crate::clock::Clock;
use crate::connection::Connections;
use crate::handle::{Call, Handle, channel};
use crate::listen::Listeners;
use crate::log::{Level, Log};
use crate::ready::{Ready, Watched};
use crate::record::{Recording, Stopped};
use crate::redis::{Redis, RedisOptions};

/// One [`Hub`] with sockets: it accepts, reads, writes and keeps time until it is told to stop.
#[derive(Debug)]
pub struct Server<A: Application> {
    hub: Hub,
    app: A,
    clock: Clock,
    log: Log,
    handle: Handle<A>,
    calls: Pin<Box<Receiver<Call<A>>>>,
    ready: Ready,
    listeners: Vec<Listener>,
    connections: Connections,
    /// Until when no connection is accepted, since there was no room for one.
    paused: Option<time::Instant>,
    /// By when the drain that is under way is over.
    drained: Option<time::Instant>,
    timer: Option<(Instant, Timer)>,
    /// Something came soon after the last time that there was nothing to do.
    dense: bool,
    recording: Option<Recording>,
    redis: Option<Redis>,
    /// What the log said last: ends of sessions are announced.
    notices: bool,
}

/// How a [`Server`] came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// After a drain: every client was told, and all sockets are closed.
    Drained,
    /// After a drain that some sockets outlived.
    Late {
        /// How many.
        sockets: usize,
    },
    /// At once, as it was told.
    Stopped,
}

/// What is known to be left to do after a turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum More {
    Nothing,
    /// The sockets that something was new about may have more.
    Sockets,
    Certainly,
}

#[derive(Debug)]
struct Listener {
    socket: Watched<TcpListener>,
    /// There may be somebody to accept.
    readable: bool,
}

impl<A: Application> Server<A> {
    /// A server for this hub, which must have been made with the time of this clock.
    ///
    /// # Errors
    /// Where the operating system has no means left to watch sockets.
    pub fn new(hub: Hub, app: A, clock: Clock, listeners: Listeners, log: Log) -> io::Result<Self> {
        let mut ready = Ready::new()?;
        let sockets = listeners.sockets.into_iter().enumerate();
        let listeners = sockets
            .map(|(i, socket)| Ok(Listener { socket: ready.watch(LISTENERS + i, socket)?, readable: true }))
            .collect::<io::Result<_>>()?;
        let (handle, calls) = channel();
        Ok(Self {
            hub,
            app,
            clock,
            log,
            handle,
            calls: Box::pin(calls),
            ready,
            listeners,
            connections: Connections::new(),
            paused: None,
            drained: None,
            timer: None,
            dense: false,
            recording: None,
            redis: None,
            notices: false,
        })
    }

    /// Connects to this Redis while it runs: for a hub with [`Store::Spring`](tethered_core::config::Store::Spring).
    ///
    /// # Errors
    /// Where certificates cannot be read. That Redis is not there is none: the log says so, and it is looked for again.
    pub fn redis(&mut self, options: &RedisOptions) -> io::Result<()> {
        self.redis = Some(Redis::start(options, self.clock, &self.log)?);
        Ok(())
    }

    /// Has everything that comes in written to this file from now on.
    ///
    /// # Errors
    /// [`TooLate`], if the hub has been told of anything already.
    pub fn record(&mut self, mut recording: Recording) -> Result<(), TooLate> {
        recording.begin(&mut self.hub)?;
        self.recording = Some(recording);
        Ok(())
    }

    /// The way in from other threads and tasks.
    pub fn handle(&self) -> Handle<A> {
        self.handle.clone()
    }

    /// Serves until [`Handle::drain`] or [`Handle::stop`], and gives the application back.
    ///
    /// It keeps its thread busy: while what comes in is dense and there is no Redis it waits for sockets without giving the
    /// thread back, up to 1 ms at a time, and gives others their turn after 25 ms. Tasks that cannot wait so long belong on
    /// other threads.
    ///
    /// # Errors
    /// Where the operating system fails to tell about sockets at all; what happens on one socket ends that socket only.
    pub async fn run(self) -> io::Result<(End, A)> {
        match self.redis.as_ref().map(Redis::executor) {
            Some(executor) => executor.run(self.serve()).await,
            None => self.serve().await,
        }
    }

    async fn serve(mut self) -> io::Result<(End, A)> {
        let (mut turns, mut lingers) = (0, false);
        let mut began = self.clock.now().mono;
        loop {
            self.ready.look(if lingers { self.linger() } else { Duration::ZERO })?;
            let now = self.clock.now();
            let more = self.turn(now);
            if let Some(end) = self.end(now) {
                self.write_recording(now);
                return Ok((end, self.app));
            }
            if more == More::Nothing {
                turns = 0;
                self.write_recording(now);
                self.wait(now).await?;
                began = self.clock.now().mono;
                // Where the next one comes soon it is cheaper to wait for it here than to have the reactor woken.
                self.dense = began.since(now.mono) <= LINGER_MS;
            } else if self.redis.is_some() && turns == TURNS_AT_A_STRETCH || now.mono.since(began) >= STRETCH_MS {
                turns = 0;
                self.write_recording(now);
                future::yield_now().await;
                began = self.clock.now().mono;
            } else {
                turns += 1;
            }
            // What Redis answers is a matter of other tasks on this thread.
            lingers = more == More::Sockets && self.dense && self.redis.is_none();
        }
    }

    /// How long to wait for sockets only, with all else waiting.
    fn linger(&self) -> Duration {
        let now = self.clock.now().mono;
        let due = self.due().map_or(LINGER_MS, |due| due.since(now));
        Duration::from_millis(due.min(LINGER_MS))
    }

    /// Does what there is to do, so much of it.
    fn turn(&mut self, now: Now) -> More {
        let Self { ready, connections, listeners, hub, .. } = self;
        let changes = ready.changes(|change| match change.token.checked_sub(LISTENERS) {
            None => connections.changed(hub, now, change),
            Some(i) => {
                if let Some(listener) = listeners.get_mut(i) {
                    listener.readable = true;
                }
            }
        });
        let heard = self.redis.as_ref().is_some_and(|redis| redis.hear(&mut self.hub, now));
        let called = self.take_calls(now);
        let accepting = self.accept(now);
        self.connections.read(&mut self.hub, now);
        let due = self.hub.next_deadline().is_some_and(|(at, _)| at <= now.mono);
        if due {
            self.hub.handle(now, Event::Tick);
        }
        self.carry_out(now);
        if let Some(redis) = &self.redis {
            redis.flush();
        }
        self.log.tell_suppressed(now);
        let left = self.hub.next_deadline().is_some_and(|(at, _)| at <= now.mono);
        if heard || called || accepting || left || self.connections.is_busy() {
            More::Certainly
        } else if changes > 0 {
            More::Sockets
        } else {
            More::Nothing
        }
    }

    fn write_recording(&mut self, now: Now) {
        let Some(recording) = &mut self.recording else { return };
        let why = match recording.take(&mut self.hub) {
            Ok(()) => return,
            Err(Stopped::Full) => "it has reached its limit (--record-limit)".to_owned(),
            Err(Stopped::Failed(error)) => error.to_string(),
        };
        self.recording = None;
        // Ending is always possible.
        let _ = self.hub.record(false);
        self.log.write(now, Level::Warn, "recording ended", &[("why", &why)]);
    }

    fn take_calls(&mut self, now: Now) -> bool {
        for _ in 0..CALLS_A_TURN {
            match self.calls.try_recv() {
                Ok(Call::Run(run)) => {
                    run(&mut self.app, &mut Context { hub: &mut self.hub, now, handle: &self.handle });
                }
                Ok(Call::Drain) => self.drain(now),
                Err(_) => return false,
            }
        }
        true
    }

    fn drain(&mut self, now: Now) {
        if self.drained.is_none() {
            let sockets = self.connections.len();
            self.log.write(now, Level::Info, "draining", &[("sockets", &sockets)]);
            self.listeners.clear();
            self.drained = Some(now.mono.after(DRAIN_MS));
            self.hub.drain(now);
        }
    }

    fn end(&self, now: Now) -> Option<End> {
        if self.calls.is_closed() {
            return Some(End::Stopped);
        }
        let by = self.drained?;
        match self.connections.len() {
            0 => Some(End::Drained),
            sockets if by <= now.mono => Some(End::Late { sockets }),
            _ => None,
        }
    }

    /// Accepts some of those who wait. Returns whether there may be more.
    fn accept(&mut self, now: Now) -> bool {
        if self.paused.is_some_and(|until| now.mono < until) {
            return false;
        }
        self.paused = None;
        let mut left = ACCEPTS_A_TURN;
        for i in 0..self.listeners.len() {
            while left > 0 && self.paused.is_none() && self.listeners.get(i).is_some_and(|listener| listener.readable) {
                left -= 1;
                self.accept_one(now, i);
            }
        }
        self.paused.is_none() && self.listeners.iter().any(|listener| listener.readable)
    }

    fn accept_one(&mut self, now: Now, listener: usize) {
        let Some(listener) = self.listeners.get_mut(listener) else { return };
        match listener.socket.get().accept() {
            Ok((stream, address)) => {
                // A socket that fails here is gone already: its end is found by the first read.
                let _ = stream.set_nonblocking(true).and_then(|()| stream.set_nodelay(true));
                let token = self.connections.next_token();
                let open = Open { token: token as u64, address: Some(address.ip()), secure: false };
                let Ok(id) = self.hub.open(now, open) else {
                    return self.log.write(
                        now,
                        Level::Warn,
                        "connection refused",
                        &[("why", &"too many sockets (TOTAL)")],
                    );
                };
                self.log.write(now, Level::Debug, "socket opened", &[("socket", &token), ("peer", &address)]);
                if let Err(error) = self.connections.enter(&mut self.ready, stream, id) {
                    self.log.write(now, Level::Error, "socket not watched", &[("error", &error)]);
                    self.hub.handle(now, Event::Closed { socket: id });
                }
            }
            Err(error) => match error.kind() {
                io::ErrorKind::WouldBlock => {
                    listener.readable = false;
                    listener.socket.drained();
                }
                // Whoever waited gave up.
                io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::Interrupted => {}
                _ => {
                    // No descriptors or no memory: those who wait go on waiting, those who are in are served.
                    self.paused = Some(now.mono.after(PAUSE_MS));
                    self.log.write(now, Level::Error, "accepting pauses", &[("error", &error), ("ms", &PAUSE_MS)]);
                }
            },
        }
    }

    /// Carries out what the hub wants done, and writes what there is to be written, until nothing is left.
    fn carry_out(&mut self, now: Now) {
        loop {
            while let Some(action) = self.hub.poll() {
                self.act(now, action);
            }
            if !self.connections.write(&mut self.hub, now) {
                break;
            }
        }
        self.tell_of_notices(now);
    }

    /// One line when the ends of sessions begin or cease to be announced.
    fn tell_of_notices(&mut self, now: Now) {
        let Some(spring) = self.hub.spring() else { return };
        let missing = spring.notices_missing();
        if self.notices == missing.is_none() {
            return;
        }
        self.notices = missing.is_none();
        match missing {
            None => self.log.write(now, Level::Info, "redis announces ends of sessions", &[]),
            Some(why) => {
                let what = "sessions are looked at in intervals";
                self.log.write(now, Level::Warn, "redis notices lost", &[("why", &why), ("what", &what)]);
            }
        }
    }

    fn act(&mut self, now: Now, action: Action) {
        let Self { hub, app, handle, connections, .. } = self;
        let mut cx = Context { hub, now, handle };
        match action {
            Action::Write { token, .. } => connections.set_dirty(token as usize),
            Action::Reading { socket, token, on } => connections.set_reading(token as usize, socket, on),
            Action::Shutdown { socket, token } => connections.shut(token as usize, socket),
            Action::Close { socket, token } => {
                connections.close(token as usize, socket);
                self.log.write(now, Level::Debug, "socket closed", &[("socket", &token)]);
            }
            Action::Redis { call, connection, command } => {
                if let Some(redis) = &self.redis {
                    redis.send(now.mono, call, connection, &command);
                }
            }
            Action::Relay { publication } => {
                if let Some(redis) = &self.redis {
                    redis.relay(now.mono, &publication);
                }
            }
            Action::Announced { hub: from, body } => app.announced(&mut cx, &from, &body),
            Action::Alarm(alarm) => {
                let kind = alarm.kind.as_str();
                self.log.write(now, Level::Warn, "redis alarm", &[("kind", &kind), ("what", &alarm)]);
            }
            Action::Session { call, op } => app.session(&mut cx, call, op),
            Action::Deliver { client, delivery, .. } => app.deliver(&mut cx, client, delivery),
            Action::Request { socket, request, .. } => {
                if let Some(response) = app.request(&mut cx, socket, *request) {
                    cx.respond(socket, response);
                }
            }
            Action::Joined { client, principal, .. } => app.joined(&mut cx, client, principal),
            Action::Left { client, cause, principal, .. } => app.left(&mut cx, client, cause, principal),
            Action::Ended(ended) => {
                app.ended(&mut cx, &ended);
                self.log.ended(now, &ended);
            }
            _ => {}
        }
    }

    /// Sleeps until something happens or is due.
    async fn wait(&mut self, now: Now) -> io::Result<()> {
        self.set_timer(now, self.due());
        poll_fn(|cx| self.poll_anything(cx)).await
    }

    fn due(&self) -> Option<time::Instant> {
        let hub = self.hub.next_deadline().map(|(at, _)| at);
        [hub, self.paused, self.drained, self.log.next_deadline()].into_iter().flatten().min()
    }

    fn poll_anything(&mut self, cx: &mut TaskContext<'_>) -> Poll<io::Result<()>> {
        if let Some((_, timer)) = &mut self.timer
            && timer.poll(cx).is_ready()
        {
            self.timer = None;
            return Poll::Ready(Ok(()));
        }
        match self.calls.as_mut().poll_next(cx) {
            Poll::Ready(Some(call)) => {
                let now = self.clock.now();
                match call {
                    Call::Run(run) => {
                        run(&mut self.app, &mut Context { hub: &mut self.hub, now, handle: &self.handle });
                    }
                    Call::Drain => self.drain(now),
                }
                return Poll::Ready(Ok(()));
            }
            Poll::Ready(None) => return Poll::Ready(Ok(())),
            Poll::Pending => {}
        }
        if self.redis.as_ref().is_some_and(|redis| redis.poll(cx).is_ready()) {
            return Poll::Ready(Ok(()));
        }
        self.ready.poll(cx)
    }

    /// Sets the timer, unless it is set for earlier: then it fires in vain once, which is cheaper than setting it anew
    /// for each message.
    fn set_timer(&mut self, _now: Now, due: Option<time::Instant>) {
        let Some(at) = due.and_then(|due| self.clock.at(due)) else { return };
        if self.timer.as_ref().is_none_or(|(set, _)| at < *set) {
            self.timer = Some((at, Timer::at(at)));
        }
    }
}

/// Tokens from here on are listeners.
const LISTENERS: usize = usize::MAX / 2;
/// How many connections are accepted in one turn.
const ACCEPTS_A_TURN: usize = 64;
/// How many calls from outside are taken in one turn.
const CALLS_A_TURN: usize = 64;
/// With Redis, whose answers other tasks bring, these get their turn after so many of ours without a pause.
const TURNS_AT_A_STRETCH: u32 = 16;
/// After so long without a pause other tasks get their turn in any case. Not much less: async-io's own thread, which stands in
/// for one that blocks, looks after it again and again until it has seen nothing of it for 20 ms; that was a twentieth of
/// the processor time of a busy server.
const STRETCH_MS: u64 = 25;
/// How long the thread waits for sockets alone, where they are busy.
const LINGER_MS: u64 = 1;
/// How long accepting pauses where there is no room.
const PAUSE_MS: u64 = 100;
/// How long a drain may take.
const DRAIN_MS: u64 = 30_000;
