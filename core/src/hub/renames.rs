//! Sessions that get another id, or another user: who follows, who is closed, and who has to claim anew.

use alloc::sync::Arc;

use super::Hub;
use super::sessions::Adopted;
use super::socket::Under;
use crate::session::{Cause, Detector, Record};

impl Hub {
    /// The session goes by another id now, and somebody else has seen to it: who is bound follows.
    ///
    /// Who has only claimed it follows if its old id was good for the principal that is known; else the old id is good
    /// for nothing any more, least of all for whoever logs in just now (C06, C07).
    pub(super) fn follow(&mut self, slot: u32, to: &str) {
        if !self.registry.has_principal(slot) {
            return self.each_pending(slot, |hub, client| {
                hub.release(client);
                hub.unbound(client);
            });
        }
        // Spring writes who it is after the new id.
        self.move_session(slot, &Arc::from(to), true, Detector::Notice);
    }

    /// A session got another id by our own doing: its clients follow, unless it is somebody else's now.
    pub(super) fn renamed(&mut self, from: &Arc<str>, record: &Record) {
        let Some(slot) = self.registry.find(from) else { return };
        if self.registry.told_principal(slot) != record.principal {
            return self.end_session(slot, Cause::Rotated, Detector::Local, 0);
        }
        self.move_session(slot, &record.id, false, Detector::Local);
    }

    /// Files a session, whose principal is known, under another id; `unsure`: it may turn out to be another user's.
    fn move_session(&mut self, slot: u32, to: &Arc<str>, unsure: bool, detector: Detector) {
        let now = self.now.mono;
        // Somebody with the new cookie may be faster than word of it.
        let other = self.registry.find(to).filter(|other| *other != slot);
        let moved = match other {
            Some(other) if self.registry.principal(other).is_none_or(|of| self.registry.is_of(slot, &of)) => other,
            None if self.registry.rename(slot, to.clone()) => slot,
            _ => return self.end_session(slot, Cause::Rotated, detector, 0),
        };
        if unsure {
            self.registry.doubt_owner(moved, now.after(UNSURE_MS));
        }
        if moved != slot {
            return self.merge(slot, moved);
        }
        let ask = self.registry.live(slot, |life, pulse, _| life.renamed(now, pulse));
        self.ask_session(slot, ask.flatten());
    }

    /// Two sessions turn out to be one: the clients of the one move to the other, and with them what they said that the
    /// store has not confirmed. Those who wait claim anew.
    fn merge(&mut self, slot: u32, into: u32) {
        let now = self.now.mono;
        let (held, holds) = (!self.registry.passes(slot, now), !self.registry.passes(into, now));
        let Some(Adopted { first, behind }) = self.registry.adopt(slot, into) else { return };
        let (mut client, mut last) = (first, first);
        while let Some((it, under)) = self.clients.whole_mut(client) {
            *under = Under(into);
            last = client;
            client = it.next;
        }
        if let Some(last) = self.clients.slot_mut(last) {
            last.next = behind;
        }
        if let Some(behind) = self.clients.slot_mut(behind) {
            behind.previous = last;
        }
        let said = self.registry.live(slot, |life, pulse, _| life.unconfirmed(pulse)).flatten();
        let left = self.registry.leave(slot);
        if held != holds {
            let mut client = first;
            while let Some(next) = self.clients.slot(client).filter(|_| client != behind).map(|it| it.next) {
                if holds {
                    self.lower_write(client);
                } else {
                    self.resume_client(client);
                }
                client = next;
            }
        }
        let ask = self.registry.live(into, |life, pulse, _| {
            if let Some(left) = &left {
                life.adopt(now, left.life());
            }
            if let Some(at) = said {
                pulse.heard(at);
            }
            life.join(now, pulse)
        });
        self.ask_session(into, ask.flatten());
    }

    /// The store says that somebody else is logged in, or nobody: who was bound is closed, who has only claimed it claims
    /// it anew, if that is of any use. Who has claimed the id that it had before is no better off than without one: that
    /// one was not given to whoever is logged in now (C06).
    pub(super) fn belongs_to_another(&mut self, slot: u32, somebody: bool) {
        let Some(id) = self.registry.id(slot).cloned() else { return };
        self.each_pending(slot, |hub, client| {
            let socket = hub.clients.slot(client).and_then(|client| hub.live(client.socket));
            if somebody
                && let Some(pending) = socket.and_then(|socket| hub.pending_mut(socket))
                && pending.session.as_ref() == Some(&id)
            {
                pending.ids.push(id.clone());
            }
        });
        self.end_session(slot, Cause::Rotated, Detector::Sweep, 0);
    }
}

/// For so long after a rename it is asked again whose session it is, in milliseconds.
const UNSURE_MS: u64 = 1_000;
