//! What the clients that poll do.

use std::sync::Arc;

use tethered_core::config::SockJs;
use tethered_core::hub::{Action, Event, Open};
use tethered_core::stomp::Command;

use super::{Happening, World};
use crate::client::Seen;
use crate::poller::{DELAY_MS, Errand, Frame, Poller, Request, array};

/// Tokens from here on are requests of pollers.
pub(super) const REQUESTS: u64 = 1 << 32;
/// The judge's seats from here on are theirs.
const SEATS: usize = 1_000;

/// How their service is set up.
pub(super) fn service(beat_ms: u64) -> SockJs {
    SockJs { heart_beat_ms: beat_ms, disconnect_delay_ms: DELAY_MS, stream_bytes: 2_000, ..SockJs::default() }
}

impl World {
    pub(super) fn populate_pollers(&mut self) {
        for n in 0..self.plan.pollers {
            let session = n % self.plan.sessions;
            let hub = self.rng.range(0, self.hubs.len() as u64 - 1) as usize;
            let poller = self.life(hub, session);
            self.pollers.push(poller);
            let at = self.rng.range(0, 8_000);
            self.at(at, Happening::Poll(n));
        }
    }

    /// One more life of somebody who polls.
    fn life(&mut self, hub: usize, session: usize) -> Poller {
        let seat = SEATS + self.lives;
        self.lives += 1;
        let mut poller = Poller::new(hub, session, seat, self.sessions[session].id.clone());
        poller.streams = self.rng.chance(40);
        poller.quiet = self.rng.chance(30);
        poller.pace = if self.rng.chance(20) { self.rng.range(100, 800) } else { self.rng.range(0, 20) };
        poller.piece = self.rng.range(20, 3_000) as usize;
        self.judge.arrived(seat, hub);
        poller
    }

    /// It is over, one way or the other: another life, later.
    fn live_again(&mut self, n: usize, pause: u64) {
        let Poller { hub, session, sent, .. } = self.pollers[n];
        if self.plan.memory && !self.is_alive(&self.sessions[session].id.clone()) {
            self.sessions[session].id = "".into();
        }
        self.pollers[n] = self.life(hub, session);
        self.pollers[n].sent = sent;
        self.at(self.now + pause, Happening::Poll(n));
    }

    /// The id that the login of this one has by now.
    fn id_of(&self, n: usize) -> Arc<str> {
        let poller = &self.pollers[n];
        if self.plan.memory { poller.id.clone() } else { self.sessions[poller.session].id.clone() }
    }

    fn begin(&mut self, n: usize, errand: Errand, bytes: Vec<u8>, renews: bool) -> usize {
        let (hub, seat) = (self.pollers[n].hub, self.pollers[n].seat);
        let i = self.requests.len();
        let open = Open { token: REQUESTS + i as u64, address: None, secure: false };
        let socket = self.with_hub(hub, |hub, now| hub.open(now, open)).expect("room for a few");
        let mut request = Request::new(n, seat, errand, socket, bytes);
        request.renews = renews;
        request.under = self.id_of(n);
        self.requests.push(request);
        self.at(self.now, Happening::Bring(i));
        i
    }

    /// It asks for what there is.
    pub(super) fn poll(&mut self, n: usize) {
        if self.pollers[n].receiving.is_some() {
            return;
        }
        if !self.pollers[n].open && self.pollers[n].closes == 0 {
            self.pollers[n].id = self.sessions[self.pollers[n].session].id.clone();
        }
        let id = self.id_of(n);
        if id.is_empty() {
            let name = self.sessions[self.pollers[n].session].name.clone();
            let i =
                self.begin(n, Errand::LogIn, format!("GET /login?{name} HTTP/1.1\r\nHost: h\r\n\r\n").into(), false);
            self.pollers[n].receiving = Some(i);
            return;
        }
        let poller = &self.pollers[n];
        let transport = if poller.streams { "xhr_streaming" } else { "xhr" };
        // Where it was forgotten, or never was, it opens a session, which counts.
        let renews = !poller.open || self.now + 100 >= poller.last + DELAY_MS;
        let bytes = poller.request(transport, &id, "");
        let i = self.begin(n, Errand::Receive, bytes, renews);
        self.pollers[n].receiving = Some(i);
        if self.rng.chance(4) {
            let at = self.now + self.rng.range(1, 3_000);
            self.at(at, Happening::HangUp(i));
        }
    }

    /// It says something.
    pub(super) fn say(&mut self, n: usize) {
        let parts = self.rng.chance(self.plan.partings);
        let poller = &mut self.pollers[n];
        if !poller.connected || poller.parted || poller.closes > 0 {
            return;
        }
        let pause =
            if self.rng.chance(50) { self.rng.range(1, 400) } else { self.rng.range(1, self.plan.timeout_ms * 3 / 2) };
        self.at(self.now + pause, Happening::Say(n));
        let poller = &mut self.pollers[n];
        if poller.sending {
            return;
        }
        if parts {
            poller.parted = true;
            self.judge.parted(poller.seat);
            let last = match self.rng.range(0, 2) {
                0 => array(Command::Disconnect, &[("receipt", "bye")], ""),
                1 => array(Command::Disconnect, &[], ""),
                _ => array(Command::Begin, &[("transaction", "t")], ""),
            };
            return self.bring(n, &last, false, true);
        }
        if poller.quiet {
            return self.bring(n, if self.now.is_multiple_of(2) { "\"\\n\"" } else { "" }, false, false);
        }
        self.said += 1;
        poller.sent += 1;
        let body = format!("{}:{}", SEATS + n, poller.sent);
        let message = match self.rng.range(0, 9) {
            0..=5 => array(Command::Send, &[("destination", "/topic/talk")], &body),
            6 => array(Command::Send, &[("destination", "/user/rob/queue/mine"), ("receipt", "r")], &body),
            7 => array(Command::Send, &[("destination", "/app/x")], &body),
            8 => return self.bring(n, "\"\\n\"", false, false),
            _ => return self.bring(n, "", false, false),
        };
        self.bring(n, &message, false, true);
    }

    /// It sends these messages.
    fn bring(&mut self, n: usize, messages: &str, subscribes: bool, renews: bool) {
        let id = self.id_of(n);
        let poller = &mut self.pollers[n];
        poller.sending = true;
        let bytes = poller.request("xhr_send", &id, &format!("[{messages}]"));
        self.begin(n, Errand::Send { subscribes }, bytes, renews);
    }

    /// Bytes of a request reach the hub, in pieces.
    pub(super) fn bring_bytes(&mut self, i: usize) {
        let request = &mut self.requests[i];
        if request.outbox.is_empty() || request.closed || request.reading_off {
            return;
        }
        let (n, socket, seat) = (request.poller, request.socket, request.seat);
        let hub = self.pollers[n].hub;
        let piece = self.pollers[n].piece as u64;
        let len = (self.rng.range(1, piece) as usize).min(self.requests[i].outbox.len());
        let request = &mut self.requests[i];
        let mut bytes: Vec<u8> = request.outbox.drain(..len).collect();
        let more = !request.outbox.is_empty();
        let receives = request.errand == Errand::Receive;
        if !more {
            let late = self.pollers[n].seat == seat && self.forgot(n, self.now);
            self.requests[i].late = late;
            if receives {
                self.pollers[n].asked = self.said;
            }
            if late && receives {
                // Perhaps it is somebody new to the server: it only listens from now on.
                let poller = &mut self.pollers[n];
                (poller.connected, poller.subscribed) = (false, false);
                poller.owed.clear();
                self.judge.comes_anew(seat);
            }
            self.requests[i].asked = Some(self.now);
        }
        let request = &self.requests[i];
        if request.renews {
            let id = self.id_of(n);
            self.judge.active(self.now, &id);
        }
        if receives && !more {
            // One that crosses a change of the id comes under none that is known, and is sent away.
            let sent_away = self.requests[i].under != self.id_of(n);
            self.requests[i].sent_away = sent_away;
            self.judge.may_go(seat, sent_away.then_some(self.pollers[n].last + DELAY_MS));
        }
        self.note(|| format!("poller {n} asks {}", bytes.escape_ascii()));
        self.with_hub(hub, |hub, now| hub.handle(now, Event::Received { socket, bytes: &mut bytes }));
        if more {
            let at = self.now + self.rng.range(0, 5);
            self.at(at, Happening::Bring(i));
        }
    }

    /// Some of an answer is read.
    pub(super) fn take(&mut self, i: usize) {
        let n = self.requests[i].poller;
        let hub = self.pollers[n].hub;
        self.with_hub(hub, |hub, now| hub.handle(now, Event::Tick));
        let request = &mut self.requests[i];
        request.reads -= 1;
        if request.closed || request.whole {
            return;
        }
        let (socket, seat) = (request.socket, request.seat);
        let all = self.hubs[hub].output(socket).collect::<Vec<_>>().concat();
        let piece = self.pollers[n].piece as u64;
        let len = (self.rng.range(1, piece) as usize).min(all.len());
        if len == 0 {
            return;
        }
        if self.requests[i].errand == Errand::Receive {
            let alive = self.judge.session_of(seat).is_none_or(|id| self.is_alive(&id));
            self.judge.lent(self.now, seat, self.requests[i].within_frame(), alive);
        }
        let frames = self.requests[i].read(&all[..len]);
        if all.len() > len {
            self.read_request_later(i);
        }
        let mut connected = false;
        for frame in &frames {
            if let Frame::Messages(messages) = frame
                && self.pollers[n].seat == seat
            {
                self.judge.framed(self.now, seat);
                for message in messages {
                    connected |= self.hear(n, message);
                }
            }
        }
        if self.requests[i].whole {
            self.answered(i);
        }
        self.with_hub(hub, |hub, now| hub.handle(now, Event::Sent { socket, len }));
        if connected {
            self.connected(n);
        }
        for frame in frames {
            self.note(|| format!("poller {n} sees {frame:?}"));
            self.framed(i, frame);
        }
        if self.requests[i].whole {
            let at = self.now + self.rng.range(0, 50);
            self.at(at, Happening::HangUp(i));
        }
    }

    /// The whole of an answer was read.
    fn answered(&mut self, i: usize) {
        let Request { poller: n, seat, errand, .. } = self.requests[i];
        if self.pollers[n].seat != seat {
            return;
        }
        if let Errand::Send { .. } = errand {
            self.pollers[n].sending = false;
            return;
        }
        self.pollers[n].receiving = None;
        if !self.requests[i].sent_away {
            self.pollers[n].last = self.now;
        }
        if errand == Errand::Receive {
            let last = self.pollers[n].last;
            self.judge.may_go(seat, Some(last + DELAY_MS));
            let pause = match self.rng.range(0, 19) {
                0 => self.rng.range(4_900, 7_000),
                1..=3 => self.rng.range(500, 4_500),
                _ => self.rng.range(0, 100),
            };
            self.at(self.now + pause, Happening::Poll(n));
        }
    }

    fn framed(&mut self, i: usize, frame: Frame) {
        let Request { poller: n, seat, errand, late, .. } = self.requests[i];
        if self.pollers[n].seat != seat {
            return;
        }
        match (errand, frame) {
            (Errand::LogIn, Frame::Status(status)) => {
                assert_eq!(status, 302, "the answer to a login");
                let at = self.now + self.rng.range(1, 500);
                self.at(at, Happening::Poll(n));
            }
            (Errand::Send { subscribes }, Frame::Status(status)) => {
                let over = self.judge.has_left(seat)
                    || !self.judge.has_joined(seat)
                    || self.pollers[n].closes > 0
                    || late
                    || self.forgot(n, self.now);
                let over = over || self.crossed_rename(n);
                assert!(status == 204 || status == 404 && over, "poller {n} sends and gets {status} at {}", self.now);
                self.pollers[n].subscribed |= subscribes && status == 204;
                if status == 404 && self.pollers[n].receiving.is_none() {
                    self.at(self.now, Happening::Poll(n));
                }
            }
            (_, Frame::Status(404)) if self.crossed_rename(n) => {}
            (_, Frame::Status(status)) => {
                assert!(matches!(status, 401 | 503), "poller {n} is refused with {status}");
                // Of one that never joined nobody is told when it ended.
                let kept = self.pollers[n].open && !late && self.judge.has_joined(seat);
                assert!(!kept, "poller {n} is refused with {status} at {}, though its session is there", self.now);
                let pause = self.rng.range(100, 4_000);
                self.live_again(n, pause);
            }
            (_, Frame::Open) => {
                assert!(!self.pollers[n].open || late, "poller {n} is opened again at {}", self.now);
                assert!(self.pollers[n].closes == 0 || late, "poller {n} is opened after its end");
                if self.pollers[n].open {
                    // It was forgotten: this is somebody new to the server, and is left alone.
                    self.judge.arrived(seat, self.pollers[n].hub);
                    let pause = self.rng.range(1, 500);
                    return self.live_again(n, pause);
                }
                self.pollers[n].open = true;
                let connect = array(Command::Connect, &[("accept-version", "1.2"), ("host", "h")], "");
                self.bring(n, &connect, false, true);
            }
            (_, Frame::Beat | Frame::Messages(_)) => {}
            (_, Frame::Close { .. }) if late => {
                // Perhaps it was forgotten, and what it has opened instead is over by now.
                self.judge.arrived(seat, self.pollers[n].hub);
                let pause = self.rng.range(1, 3_000);
                self.live_again(n, pause);
            }
            (_, Frame::Close { code, reason }) => {
                let id = self.id_of(n);
                let store = self.hubs[self.pollers[n].hub].memory().unwrap_or(&self.store);
                let over = store.ttl_ms(&id, self.mono()).is_none();
                let poller = &mut self.pollers[n];
                self.judge.told(self.now, seat, code, &reason, poller.broken.is_some(), over);
                // What waited comes before its last word; the end of the session takes it away.
                if poller.parted && poller.broken.is_none() && !over && self.judge.has_parted(seat) {
                    assert!(poller.owed.is_empty(), "poller {n} did not get {:?}", poller.owed);
                }
                poller.closes += 1;
                // It is kept for as long again from when it was asked for, not from when that is read.
                poller.last = self.requests[i].asked.unwrap_or(0).max(self.judge.left_at(seat));
                // It asks once more, to be told the same.
                let pause = self.rng.range(1, 3_000);
                if self.pollers[n].closes > 1 {
                    self.live_again(n, pause);
                } else {
                    self.at(self.now + pause, Happening::Poll(n));
                }
            }
        }
    }

    /// Whether its login may have got another id while a request with the old one was under way.
    fn crossed_rename(&self, n: usize) -> bool {
        self.sessions[self.pollers[n].session].id.starts_with("renamed")
    }

    /// Whether its session may have been forgotten when it asked.
    fn forgot(&self, n: usize, asked: u64) -> bool {
        let poller = &self.pollers[n];
        let attached = poller.receiving.is_some_and(|i| self.requests[i].is_attached());
        // One that ended before that is remembered for as long again.
        let left = self.judge.left_at(poller.seat);
        let since = if left < poller.last + DELAY_MS { poller.last.max(left) } else { poller.last };
        !attached && asked >= since + DELAY_MS
    }

    /// Reads a message of SockJS; whether it says that STOMP is connected.
    fn hear(&mut self, n: usize, message: &[u8]) -> bool {
        let seat = self.pollers[n].seat;
        // Since then more has come, that waits while it reads.
        self.pollers[n].heard = self.pollers[n].asked;
        let mut connected = false;
        for seen in self.pollers[n].hear(message) {
            self.judge.heard(self.now, seat, &seen);
            connected |= seen == Seen::Connected;
            let Seen::Message { body } = seen else { continue };
            let Some(number) = body.strip_prefix("app:").and_then(|number| number.parse().ok()) else { continue };
            let owed = &mut self.pollers[n].owed;
            if owed.contains(&number) {
                assert_eq!(owed.pop_front(), Some(number), "poller {n} lost a message before {body}");
            }
        }
        connected
    }

    /// One that does not fetch what waits for it may be given up, but not before much does.
    pub(super) fn given_up(&self, seat: usize) {
        let Some(poller) = self.pollers.iter().find(|poller| poller.seat == seat) else { return };
        // Each thing that is said leads to one message, and to a receipt.
        let most = 2 * (self.said - poller.heard);
        assert!(most >= 100, "{seat} was given up with no more than {most} messages that wait, at {}", self.now);
    }

    fn connected(&mut self, n: usize) {
        self.pollers[n].connected = true;
        let all = [
            array(Command::Subscribe, &[("id", "0"), ("destination", "/topic/talk")], ""),
            array(Command::Subscribe, &[("id", "1"), ("destination", "/user/queue/mine")], ""),
        ];
        self.bring(n, &all.join(","), true, true);
        let at = self.now + self.rng.range(0, 3_000);
        self.at(at, Happening::Say(n));
    }

    /// It ends a connection: once it has the whole answer, or since it will not wait any longer.
    pub(super) fn hang_up(&mut self, i: usize) {
        let request = &mut self.requests[i];
        if request.closed {
            return;
        }
        let Request { poller: n, seat, socket, whole, errand, asked, late, .. } = *request;
        let mine = self.pollers[n].seat == seat && errand == Errand::Receive && !whole;
        let hub = self.pollers[n].hub;
        let waits = mine && self.pollers[n].open && asked.is_some() && self.must_pass(seat);
        if mine {
            self.note(|| format!("poller {n} hangs up"));
            self.judge.may_go(seat, Some(self.now));
        }
        self.requests[i].hung_up = true;
        self.with_hub(hub, |hub, now| hub.handle(now, Event::Closed { socket }));
        if !mine {
            return;
        }
        self.requests[i].whole = true;
        let poller = &mut self.pollers[n];
        poller.receiving = None;
        // One that is over is kept from when it was asked for.
        let left = self.judge.left_at(seat);
        match asked {
            Some(asked) if left > 0 => poller.last = asked.max(left),
            Some(_) => poller.last = self.now,
            // The hub has never heard of it.
            None => {}
        }
        poller.broken = Some(waits);
        if waits {
            assert!(self.judge.has_left(seat), "poller {n} has gone and nobody noticed, at {}", self.now);
        }
        let pause = self.rng.range(1, 4_000);
        if self.pollers[n].open && !late {
            self.at(self.now + pause, Happening::Poll(n));
        } else {
            self.live_again(n, pause);
        }
    }

    pub(super) fn read_request_later(&mut self, i: usize) {
        self.requests[i].reads += 1;
        let at = self.now + self.pollers[self.requests[i].poller].pace;
        self.at(at, Happening::Take(i));
    }

    /// Which seat and which of the sessions a token belongs to.
    pub(super) fn owner(&self, token: u64) -> (usize, usize) {
        match token.checked_sub(REQUESTS) {
            None => (token as usize - 1, self.clients[token as usize - 1].session),
            Some(i) => {
                let request = &self.requests[i as usize];
                (request.seat, self.pollers[request.poller].session)
            }
        }
    }

    /// Does what is asked for about a request's socket; whether it is one.
    pub(super) fn perform_request(&mut self, hub: usize, action: &Action) -> bool {
        let (Action::Write { token, .. }
        | Action::Reading { token, .. }
        | Action::Shutdown { token, .. }
        | Action::Close { token, .. }) = action
        else {
            return false;
        };
        let Some(i) = token.checked_sub(REQUESTS) else { return false };
        let i = i as usize;
        match action {
            Action::Write { .. } => {
                if let Some((client, id)) = self.nameless.take() {
                    self.seat(hub, client, self.requests[i].seat, &id);
                }
                self.read_request_later(i);
            }
            Action::Reading { on, .. } => {
                self.requests[i].reading_off = !on;
                if *on {
                    self.at(self.now, Happening::Bring(i));
                }
            }
            Action::Close { socket, .. } => {
                assert!(!self.requests[i].closed, "closed twice");
                self.requests[i].closed = true;
                self.judge.closed(self.now, hub, *socket);
                let Request { whole, hung_up, .. } = self.requests[i];
                assert!(whole || hung_up, "request {i} is not answered at {}", self.now);
            }
            _ => {}
        }
        true
    }

    /// Publications that those have to read who have subscribed, and whom nothing holds back.
    pub(super) fn owe(&mut self, hub: usize, to_rob: bool) {
        let owing: Vec<usize> = (0..self.pollers.len())
            .filter(|n| {
                let poller = &self.pollers[*n];
                let addressed = !to_rob || self.sessions[poller.session].name == "rob";
                poller.hub == hub && poller.subscribed && !poller.parted && poller.closes == 0 && addressed
            })
            .filter(|n| self.must_pass(self.pollers[*n].seat))
            .collect();
        for n in owing {
            self.pollers[n].owed.push_back(self.published);
        }
    }

    /// How many of their requests a hub has.
    pub(super) fn requests_at(&self, hub: usize) -> u64 {
        let open = self.requests.iter().filter(|request| !request.closed && self.pollers[request.poller].hub == hub);
        open.count() as u64
    }

    /// Nobody who waits is forgotten.
    pub(super) fn look_at_pollers(&self, hub: usize) {
        for (n, poller) in self.pollers.iter().enumerate().filter(|(_, poller)| poller.hub == hub) {
            let Some(i) = poller.receiving else { continue };
            let request = &self.requests[i];
            if request.closed || request.whole || request.asked.is_none() || request.errand != Errand::Receive {
                continue;
            }
            let silent = request.reads == 0 && self.hubs[hub].output(request.socket).count() == 0;
            let waits = request.reads == 0 && !silent;
            assert!(!waits, "poller {n} was not told of its output at {}", self.now);
            let owed = silent && poller.open && self.must_pass(poller.seat) && !poller.owed.is_empty();
            assert!(!owed, "poller {n} waits and does not get {:?} at {}", poller.owed, self.now);
            let alive = self.judge.session_of(poller.seat).is_none_or(|id| self.is_alive(&id));
            let untold = silent && poller.open && !request.late && self.judge.must_know(self.now, poller.seat, alive);
            assert!(!untold, "poller {n} waits and is not told its end at {}", self.now);
        }
    }
}
