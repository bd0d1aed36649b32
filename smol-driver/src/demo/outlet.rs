//! What the chat says to clients, apart from the hub that carries it.

use tethered_core::hub::{Hub, Message, Payload, To};
use tethered_core::ids::ClientId;
use tethered_core::time::Now;

/// Where the chat's messages go.
pub(super) trait Outlet {
    fn publish(&mut self, to: To<'_>, message: &Message<'_>);
    fn answer(&mut self, client: ClientId, destination: &str, subscription: &str, message: &Message<'_>);
    fn send(&mut self, client: ClientId, payload: Payload<'_>);
    fn announce(&mut self, body: &[u8]);
}

pub(super) struct HubOutlet<'a> {
    pub(super) hub: &'a mut Hub,
    pub(super) now: Now,
}

impl Outlet for HubOutlet<'_> {
    fn publish(&mut self, to: To<'_>, message: &Message<'_>) {
        self.hub.publish(self.now, to, message);
    }

    fn answer(&mut self, client: ClientId, destination: &str, subscription: &str, message: &Message<'_>) {
        self.hub.answer(self.now, client, destination, subscription, message);
    }

    fn send(&mut self, client: ClientId, payload: Payload<'_>) {
        self.hub.send(self.now, client, payload);
    }

    fn announce(&mut self, body: &[u8]) {
        self.hub.announce(self.now, body);
    }
}
