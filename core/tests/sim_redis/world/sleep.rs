//! A process that does nothing for a while: stopped, swapped out, or on a machine that slept.

use super::{Happening, World};

impl World {
    /// The process of a hub goes to sleep.
    pub(super) fn sleep(&mut self, hub: usize) {
        let longest = if self.rng.chance(20) { 12_000 } else { 3 * self.plan.reply_ms };
        let until = self.now + self.rng.range(1, longest);
        self.note(|| format!("hub {hub} sleeps until {until}"));
        self.nodes[hub].asleep_until = self.nodes[hub].asleep_until.max(until);
        self.judge.sleeps(hub, self.now, until);
    }

    /// Until when this has to wait, if it is for a hub that sleeps: then it finds everything at once, in the order in which
    /// it came.
    pub(super) fn slept_past(&mut self, happening: Happening) -> Option<u64> {
        let hub = match happening {
            Happening::Arrive(n)
            | Happening::Upload(n)
            | Happening::Read(n)
            | Happening::Vanish(n)
            | Happening::Return(n) => self.clients[n].hub,
            Happening::Tick(hub)
            | Happening::Publish(hub)
            | Happening::Connect { hub, .. }
            | Happening::Down { hub, .. } => hub,
            Happening::Reply(answered) => self.hub_of_reply(answered),
            Happening::Notify(note) => self.hub_of_note(note),
            Happening::OpenPage(page) | Happening::Respond(page) => self.pages[page].hub(),
            Happening::Act(_)
            | Happening::Execute(_)
            | Happening::Spring(_)
            | Happening::Request(_)
            | Happening::Cycle
            | Happening::Fault(_)
            | Happening::Failover
            | Happening::Back => return None,
        };
        let node = &mut self.nodes[hub];
        if node.asleep_until <= self.now {
            return None;
        }
        if happening == Happening::Tick(hub) && node.tick == Some(self.now) {
            node.tick = Some(node.asleep_until);
        }
        Some(node.asleep_until)
    }
}
