//! A hub together with what it has lent, in safe Rust.

mod shown;
mod store;
mod watched;

use tethered_core::config::Config;
use tethered_core::http::{Refusal, Response};
use tethered_core::hub::{
    self as core_hub, Action, Ask, Change, Event, Full, Hub, Join, Joined, Kind, Loan, Message, Open, Payload, To,
    Verdict, Who,
};
use tethered_core::ids::{ClientId, SocketId};
use tethered_core::session::Cause;
use tethered_core::time::Now;

use crate::boundary::{self, Rows};
use crate::log::{Level, Log};
use crate::machine::shown::Lent;
use crate::machine::watched::Watched;
use crate::status::Outcome;
use crate::status::tethered_status_code::{self, *};
use crate::status::wrong;
use crate::types::{tethered_request, tethered_slice, tethered_stats, tethered_taken};

pub(crate) use store::Replied;

/// What the host takes part in.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Choices {
    /// It answers requests that are no handshakes.
    pub(crate) requests: bool,
}

/// What a handle stands for.
#[derive(Debug)]
pub(crate) struct Machine {
    hub: Watched,
    choices: Choices,
    /// The time of the last call that told it.
    now: Now,
    /// What was made for what the last poll handed out. INVARIANT: neither this nor what the hub has lent is dropped before
    /// the next poll, for C holds pointers to what they point to.
    lent: Lent,
    /// Room for what several sockets took.
    taken: Vec<(SocketId, usize)>,
    /// How many actions were handed out.
    handed: u64,
    /// MEMORY.
    memory: usize,
    /// Bytes that came in since a poll left nothing behind: what the actions that wait hold, at most.
    unpolled: usize,
    log: Log,
}

/// A hub moves between threads (of which one at a time is inside).
const _: fn() = || {
    fn moves<T: Send>() {}
    moves::<Machine>();
};

impl Machine {
    pub(crate) fn new(config: Config, choices: Choices, seed: [u8; 16], now: Now) -> Outcome<Self> {
        let memory = config.limits.memory;
        let hub = Hub::new(config, seed, now).map_err(|error| wrong(error.to_string()))?;
        Ok(Self {
            hub: Watched::new(hub),
            choices,
            now,
            lent: Lent::default(),
            taken: Vec::new(),
            handed: 0,
            memory,
            unpolled: 0,
            log: Log::default(),
        })
    }

    pub(crate) fn log(&mut self) -> &mut Log {
        &mut self.log
    }

    // --- the world

    pub(crate) fn open(&mut self, now: Now, open: Open) -> Outcome<u64> {
        self.now = now;
        self.hub.open(now, open).map(SocketId::to_raw).map_err(|Full| TETHERED_E_LIMIT.into())
    }

    pub(crate) fn ask(&mut self, now: Now, ask: &Ask<'_>) -> Outcome<u64> {
        self.now = now;
        self.hub.ask(now, ask).map(SocketId::to_raw).map_err(|Full| TETHERED_E_LIMIT.into())
    }

    /// The socket and the client; `None`: it does not get in.
    pub(crate) fn join(&mut self, now: Now, join: &Join<'_>) -> Outcome<Option<(u64, u64)>> {
        self.now = now;
        match self.hub.join(now, join) {
            Ok(Joined { socket, client }) => Ok(Some((socket.to_raw(), client.to_raw()))),
            Err(Refusal::Unavailable) => Err(TETHERED_E_LIMIT.into()),
            Err(refusal) => {
                self.log.push(Level::Info, format!("tethered_join: {refusal}"));
                Ok(None)
            }
        }
    }

    pub(crate) fn received(&mut self, now: Now, socket: u64, bytes: &mut [u8]) -> tethered_status_code {
        let len = bytes.len();
        match self.on_socket(now, socket, |socket| Event::Received { socket, bytes }) {
            TETHERED_OK => self.taken(len, |hub| hub.handle(now, Event::Closed { socket: SocketId::from_raw(socket) })),
            status => status,
        }
    }

    pub(crate) fn sent(&mut self, now: Now, socket: u64, len: usize) -> tethered_status_code {
        self.on_socket(now, socket, |socket| Event::Sent { socket, len })
    }

    pub(crate) fn sent_many(&mut self, now: Now, taken: &[tethered_taken]) -> tethered_status_code {
        self.now = now;
        let mut all = core::mem::take(&mut self.taken);
        all.clear();
        all.extend(taken.iter().map(|it| (SocketId::from_raw(it.socket), it.len)));
        let there = all.iter().all(|(socket, _)| self.hub.has_socket(*socket));
        self.hub.sent(now, &all);
        if all.capacity() <= MOST_TAKEN {
            self.taken = all;
        }
        if there { TETHERED_OK } else { TETHERED_STALE }
    }

    pub(crate) fn closed(&mut self, now: Now, socket: u64) -> tethered_status_code {
        self.on_socket(now, socket, |socket| Event::Closed { socket })
    }

    pub(crate) fn message(&mut self, now: Now, client: u64, kind: Kind, bytes: &[u8]) -> tethered_status_code {
        match self.on_client(now, client, |client| Event::Message { client, kind, bytes }) {
            TETHERED_OK => self.taken(bytes.len(), |hub| {
                hub.close_client(now, ClientId::from_raw(client), 1013, "");
            }),
            status => status,
        }
    }

    /// A peer's bytes were taken. Where the host does not poll, what they lead to waits: up to MEMORY (A11).
    fn taken(&mut self, len: usize, close: impl FnOnce(&mut Hub)) -> tethered_status_code {
        let waiting = self.hub.waiting();
        self.unpolled = if waiting == 0 { 0 } else { self.unpolled.saturating_add(len) };
        if self.unpolled > self.memory {
            self.log.push(
                Level::Warn,
                "actions that wait for tethered_poll hold more than MEMORY: a peer is closed".to_owned(),
            );
            close(&mut self.hub);
        } else if waiting < MANY_ACTIONS {
            return TETHERED_OK;
        }
        TETHERED_PRESSURE
    }

    pub(crate) fn activity(&mut self, now: Now, client: u64) -> tethered_status_code {
        self.on_client(now, client, |client| Event::Activity { client })
    }

    pub(crate) fn tick(&mut self, now: Now) {
        self.event(now, Event::Tick);
    }

    pub(crate) fn output(&self, socket: u64) -> impl Iterator<Item = tethered_slice> {
        self.hub.output(SocketId::from_raw(socket)).map(tethered_slice::lend)
    }

    /// Takes back what was lent, and lends the next actions in these rows. Answers how many.
    pub(crate) fn poll(&mut self, rows: &mut Rows) -> usize {
        self.lent.clear();
        self.hub.take_back();
        if self.hub.is_quiet() {
            self.unpolled = 0;
            return 0;
        }
        let mut filled = 0;
        while filled < rows.capacity() {
            let Some(loan) = self.hub.lend() else {
                self.unpolled = 0;
                break;
            };
            match loan {
                Loan::Lent(_, Action::Request { socket, .. }) if !self.choices.requests => {
                    let socket = *socket;
                    self.not_found(socket);
                    continue;
                }
                Loan::Lent(_, action @ (Action::Ended(_) | Action::Alarm(_))) => {
                    note(&mut self.log, action);
                    continue;
                }
                Loan::Lent(at, action) => {
                    if matches!(action, Action::Close { .. }) {
                        boundary::relieve();
                    }
                    self.lent.show(at, action, rows.row(filled));
                }
                Loan::Write { socket, token } => rows.row(filled).write(shown::write(socket, token)),
                Loan::Given(action) => self.lent.keep(action, rows.row(filled)),
            }
            filled += 1;
        }
        self.handed += filled as u64;
        filled
    }

    /// When the next tick is due, in milliseconds; after a poll that gave `full`, its whole array, at once.
    pub(crate) fn deadline_ms(&mut self, full: bool) -> u64 {
        if full {
            return self.now.mono.as_millis();
        }
        self.hub.deadline_ms()
    }

    /// What is known of a lent action besides.
    pub(crate) fn details(&mut self, details: u64) -> Option<tethered_request> {
        let at = usize::try_from(details).ok()?.checked_sub(1)?;
        let Self { lent, hub, .. } = self;
        lent.details(hub, at)
    }

    // --- the application

    pub(crate) fn respond(&mut self, now: Now, socket: u64, response: core_hub::Response) -> tethered_status_code {
        self.now = now;
        let socket = SocketId::from_raw(socket);
        let there = self.hub.has_socket(socket);
        self.hub.respond(now, socket, response);
        if there { TETHERED_OK } else { TETHERED_STALE }
    }

    pub(crate) fn decide(&mut self, now: Now, client: u64, verdict: Verdict<'_>) -> tethered_status_code {
        let (client, there) = self.client(now, client);
        self.hub.decide(now, client, verdict);
        there
    }

    pub(crate) fn send(&mut self, now: Now, client: u64, payload: Payload<'_>) -> tethered_status_code {
        let (client, there) = self.client(now, client);
        self.hub.send(now, client, payload);
        if there == TETHERED_OK && self.hub.is_pressed(client) { TETHERED_PRESSURE } else { there }
    }

    pub(crate) fn answer(
        &mut self,
        now: Now,
        client: u64,
        destination: &str,
        subscription: &str,
        message: &Message<'_>,
    ) -> tethered_status_code {
        let (client, there) = self.client(now, client);
        self.hub.answer(now, client, destination, subscription, message);
        there
    }

    pub(crate) fn publish(&mut self, now: Now, to: To<'_>, message: &Message<'_>) -> u64 {
        self.now = now;
        self.hub.publish(now, to, message) as u64
    }

    pub(crate) fn end(&mut self, now: Now, who: Who<'_>, cause: Cause) -> u64 {
        self.now = now;
        self.hub.end(now, who, cause) as u64
    }

    pub(crate) fn close_client(&mut self, now: Now, client: u64, code: u16, reason: &str) -> tethered_status_code {
        self.now = now;
        let there = self.hub.close_client(now, ClientId::from_raw(client), code, reason);
        if there { TETHERED_OK } else { TETHERED_STALE }
    }

    pub(crate) fn drain(&mut self, now: Now) {
        self.now = now;
        self.hub.drain(now);
    }

    pub(crate) fn stats(&self) -> tethered_stats {
        let stats = self.hub.stats();
        tethered_stats {
            sockets: stats.sockets,
            clients: stats.clients,
            sessions: stats.sessions,
            buffered_bytes: stats.buffered_bytes,
            lent_bytes: self.lent.bytes(&self.hub) as u64,
            actions: self.handed,
            opened: stats.opened,
            closed: stats.closed,
            received_bytes: stats.received_bytes,
            sent_bytes: stats.sent_bytes,
            messages_in: stats.messages_in,
            frames_in: stats.frames_in,
            delivered: stats.delivered,
            asked: stats.asked,
            touches: stats.touches,
            calls_lost: stats.calls_lost,
            notices: stats.notices,
            violations: stats.violations,
            slow: stats.slow,
            refused: stats.refused + stats.refusals,
        }
    }

    // --- what they share

    pub(crate) fn event(&mut self, now: Now, event: Event<'_>) {
        self.now = now;
        self.hub.handle(now, event);
    }

    pub(crate) fn announce(&mut self, now: Now, body: &[u8]) {
        self.now = now;
        self.hub.announce(now, body);
    }

    fn on_socket<'a>(
        &mut self,
        now: Now,
        socket: u64,
        event: impl FnOnce(SocketId) -> Event<'a>,
    ) -> tethered_status_code {
        let socket = SocketId::from_raw(socket);
        let there = self.hub.has_socket(socket);
        self.event(now, event(socket));
        if there { TETHERED_OK } else { TETHERED_STALE }
    }

    fn on_client<'a>(
        &mut self,
        now: Now,
        client: u64,
        event: impl FnOnce(ClientId) -> Event<'a>,
    ) -> tethered_status_code {
        let (client, there) = self.client(now, client);
        self.hub.handle(now, event(client));
        there
    }

    fn client(&mut self, now: Now, client: u64) -> (ClientId, tethered_status_code) {
        self.now = now;
        let client = ClientId::from_raw(client);
        (client, if self.hub.has_client(client) { TETHERED_OK } else { TETHERED_STALE })
    }

    /// A request that no host has asked to see: one that is handed to a host that skips it would never be answered.
    #[cold]
    fn not_found(&mut self, socket: SocketId) {
        let response = core_hub::Response { http: Response::from(Refusal::NotFound), session: Change::Keep };
        self.hub.respond(self.now, socket, response);
    }
}

/// Writes a line of the log for what is one, and no more.
#[cold]
fn note(log: &mut Log, action: &Action) {
    match action {
        Action::Ended(ended) => {
            let session = str::from_utf8(&ended.session).unwrap_or_default();
            let (cause, detector) = (ended.cause.as_str(), ended.detector.as_str());
            let (late, sockets) = (ended.late_ms, ended.sockets);
            let line =
                format!("session {session} ended: {cause}, found by {detector} {late} ms late, {sockets} sockets");
            log.push(Level::Info, line);
        }
        Action::Alarm(alarm) => log.push(Level::Warn, alarm.to_string()),
        _ => {}
    }
}

/// Room for so many is kept.
const MOST_TAKEN: usize = 1_024;
/// So many actions wait that a peer should not be read before they are polled.
const MANY_ACTIONS: usize = 1_024;
