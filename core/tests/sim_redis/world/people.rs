//! Browser tabs: they come with the cookie of their session, speak STOMP, and read at their own pace.

use tethered_core::hub::{Event, Message, Open, To};
use tethered_core::stomp::Command;
use tethered_core::ws::Opcode;

use super::{Happening, World};
use crate::client::{Client, Seen};

impl World {
    pub(super) fn client(&mut self, hub: usize, session: usize) -> Client {
        let pace = if self.rng.chance(10) { self.rng.range(200, 2_000) } else { self.rng.range(0, 30) };
        let piece = if self.rng.chance(20) { self.rng.range(20, 200) } else { 4_096 } as usize;
        let polite = self.rng.chance(85);
        Client::new(hub, session, pace, piece, polite)
    }

    pub(super) fn arrive(&mut self, n: usize) {
        let (hub, session) = (self.clients[n].hub, self.clients[n].session);
        let Some(id) = self.sessions[session].id.clone() else {
            let at = self.now + self.rng.range(100, 1_000);
            return self.at(at, Happening::Arrive(n));
        };
        let number = self.judge.number(&id);
        self.judge.arrived(self.now, n, hub, number);
        self.asked[n] = None;
        let open = Open { token: n as u64, address: None, secure: false };
        let socket = self.with_hub(hub, |hub, now| hub.open(now, open)).expect("room for a few");
        let client = &mut self.clients[n];
        client.socket = Some(socket);
        client.handshake(&id);
        self.note(|| format!("client {n} arrives at hub {hub} with {id}"));
        self.at(self.now, Happening::Upload(n));
    }

    /// Bytes of a client reach the hub, in pieces.
    pub(super) fn upload(&mut self, n: usize) {
        let client = &mut self.clients[n];
        let (Some(socket), false) = (client.socket, client.outbox.is_empty() || client.closed) else { return };
        if client.reading_off && self.rng.chance(90) {
            return;
        }
        if client.renews {
            self.judge.speaks(self.now, n);
        }
        let len = client.piece.min(client.outbox.len());
        let mut bytes: Vec<u8> = client.outbox.drain(..len).collect();
        let (hub, more) = (client.hub, !client.outbox.is_empty());
        client.renews &= more;
        if !more && !client.open {
            self.asked[n] = Some(self.now);
            self.judge.seats[n].asked = self.now;
        }
        self.with_hub(hub, |hub, now| hub.handle(now, Event::Received { socket, bytes: &mut bytes }));
        if more {
            let at = self.now + self.rng.range(0, 5);
            self.at(at, Happening::Upload(n));
        }
    }

    pub(super) fn read_later(&mut self, n: usize) {
        self.reads[n] += 1;
        let at = self.now + self.clients[n].pace;
        self.at(at, Happening::Read(n));
    }

    /// A client reads some of what waits for it.
    pub(super) fn read(&mut self, n: usize) {
        let hub = self.clients[n].hub;
        // What may be lent is what may cross by now.
        self.with_hub(hub, |hub, now| hub.handle(now, Event::Tick));
        self.reads[n] -= 1;
        let client = &self.clients[n];
        let (Some(socket), false) = (client.socket, client.closed) else { return };
        let all = self.nodes[hub].hub.output(socket).collect::<Vec<_>>().concat();
        let len = client.piece.min(all.len());
        // Whoever reads slowly is being answered, and comes for more when it likes.
        if let Some(asked) = &mut self.asked[n] {
            *asked = self.now;
        }
        if len == 0 {
            return;
        }
        let client = &mut self.clients[n];
        self.judge.lent(self.now, n, client.within_frame());
        self.trace.mix(&all[..len]);
        let seen = client.read(&all[..len]);
        if all.len() > len {
            self.read_later(n);
        }
        self.with_hub(hub, |hub, now| hub.handle(now, Event::Sent { socket, len }));
        for seen in seen {
            self.seen(n, &seen);
        }
    }

    fn seen(&mut self, n: usize, seen: &Seen) {
        self.note(|| format!("client {n} reads {seen:?}"));
        self.judge.seen(self.now, n, seen);
        match seen {
            Seen::Open => {
                let client = &mut self.clients[n];
                client.say(Command::Connect, &[("accept-version", "1.2"), ("host", "h")], b"");
                self.at(self.now, Happening::Upload(n));
            }
            Seen::Connected => {
                let client = &mut self.clients[n];
                client.connected = true;
                client.say(Command::Subscribe, &[("id", "0"), ("destination", "/topic/talk")], b"");
                self.at(self.now, Happening::Upload(n));
                let at = self.now + self.rng.range(0, 2_000);
                self.at(at, Happening::Act(n));
            }
            Seen::Close { .. } if self.clients[n].polite => {
                let at = self.now + self.rng.range(0, 200);
                self.at(at, Happening::Vanish(n));
            }
            Seen::Refused(_) => self.end_connection(n),
            _ => {}
        }
    }

    pub(super) fn act(&mut self, n: usize) {
        let (parts, goes) = (self.rng.chance(2), self.rng.chance(3));
        if goes {
            return self.end_connection(n);
        }
        let client = &mut self.clients[n];
        if client.closed || !client.connected || client.parted {
            return;
        }
        if parts {
            client.parted = true;
            self.judge.seats[n].parted = true;
            match self.rng.range(0, 1) {
                0 => client.say(Command::Disconnect, &[("receipt", "bye")], b""),
                _ => client.say(Command::Begin, &[("transaction", "t")], b""),
            }
            return self.at(self.now, Happening::Upload(n));
        }
        client.sent += 1;
        let body = format!("{n}:{}", client.sent);
        match self.rng.range(0, 9) {
            0..=4 => client.say(Command::Send, &[("destination", "/app/x")], body.as_bytes()),
            5..=7 => client.say(Command::Send, &[("destination", "/topic/talk")], body.as_bytes()),
            _ => client.message(Opcode::Text, b"\n"),
        }
        self.at(self.now, Happening::Upload(n));
        let timeout = self.plan.timeout_s * 1_000;
        let pause = match self.rng.range(0, 9) {
            // Just when the session may be over.
            0..=1 => timeout.saturating_sub(20) + self.rng.range(0, 40),
            2..=5 => self.rng.range(1, 600),
            _ => self.rng.range(1, timeout * 3 / 2),
        };
        self.at(self.now + pause, Happening::Act(n));
    }

    /// Whoever has logged in loads the page anew: with the new cookie it may be faster than word of it.
    pub(super) fn reload(&mut self, session: usize) {
        let open: Vec<usize> = (0..self.clients.len())
            .filter(|&n| self.clients[n].session == session && self.clients[n].open && !self.clients[n].closed)
            .collect();
        if open.len() < 2 || !self.rng.chance(50) {
            return;
        }
        let n = open[self.rng.range(0, open.len() as u64 - 1) as usize];
        self.hurries[n] = true;
        self.end_connection(n);
    }

    pub(super) fn end_connection(&mut self, n: usize) {
        let client = &mut self.clients[n];
        if client.closed {
            return;
        }
        if let Some(socket) = client.socket {
            let hub = client.hub;
            self.with_hub(hub, |hub, now| hub.handle(now, Event::Closed { socket }));
        }
    }

    /// The application publishes.
    pub(super) fn publish(&mut self, hub: usize) {
        self.published += 1;
        let body = format!("app:{}", self.published);
        let message = Message { body: body.as_bytes(), ..Message::default() };
        self.with_hub(hub, |hub, now| hub.publish(now, To::Destination("/topic/talk"), &message));
    }
}
