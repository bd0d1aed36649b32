//! Which sockets there are in a recording, and what became of each.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::line::{Input, Line};
use super::show::{Hex, Stamp};
use super::view::View;
use super::{Played, ReplayError, show_id};
use crate::hub::sessions::fingerprint;
use crate::hub::{Action, Hub, Joined};
use crate::ids::{ClientId, SocketId};
use crate::session::Cause;
use crate::time::UnixMillis;

/// Plays a recording and lists its sockets.
#[derive(Debug, Default)]
pub struct Overview {
    sockets: BTreeMap<u64, Entry>,
    clients: BTreeMap<ClientId, SocketId>,
    /// The time of the line before.
    last: UnixMillis,
}

#[derive(Debug, Default)]
struct Entry {
    opened: UnixMillis,
    closed: Option<UnixMillis>,
    principal: Option<Arc<str>>,
    sessions: Vec<[u8; 6]>,
    cause: Option<Cause>,
}

impl Overview {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Plays the next line.
    ///
    /// # Errors
    /// As [`Hub::replay`].
    pub fn play(&mut self, hub: &mut Hub, line: &Line) -> Result<(), ReplayError> {
        hub.replay(line, |hub, played| {
            if let Played::Action(action) = played {
                self.took(hub, action);
            }
        })?;
        self.last = line.now.wall;
        if let Input::Open { socket: Some(socket), .. }
        | Input::Ask { socket: Some(socket), .. }
        | Input::Join { joined: Some(Joined { socket, .. }), .. } = &line.input
        {
            self.sockets.insert(socket.to_raw(), Entry { opened: line.now.wall, ..Entry::default() });
        }
        Ok(())
    }

    /// The recording is over: takes the actions that are left.
    pub fn finish(&mut self, hub: &mut Hub) {
        while let Some(action) = hub.poll() {
            self.took(hub, action);
        }
    }

    /// The sockets that were ever under the session with this [fingerprint](crate::hub::Ended::session), in the order of their ids.
    pub fn under(&self, session: [u8; 6]) -> Vec<SocketId> {
        let under = self.sockets.iter().filter(|(_, entry)| entry.sessions.contains(&session));
        under.map(|(raw, _)| SocketId::from_raw(*raw)).collect()
    }

    /// A line for each socket, in the order in which they were opened.
    pub fn text(&self) -> String {
        let mut entries: Vec<_> = self.sockets.iter().collect();
        entries.sort_by_key(|(_, entry)| entry.opened);
        let lines = entries.into_iter().map(|(raw, entry)| entry.line(SocketId::from_raw(*raw)));
        lines.collect()
    }

    fn took(&mut self, hub: &Hub, action: Action) {
        match action {
            // The answer to a handshake is written while its client is there.
            Action::Write { socket, .. } | Action::Message { socket, .. } => self.look(hub, socket),
            Action::Left { client, cause, principal, .. } => {
                if let Some(entry) =
                    self.clients.remove(&client).and_then(|socket| self.sockets.get_mut(&socket.to_raw()))
                {
                    entry.cause = Some(cause);
                    entry.principal = principal.or(entry.principal.take());
                }
            }
            Action::Close { socket, .. } | Action::Disconnect { socket, .. } => {
                if let Some(entry) = self.sockets.get_mut(&socket.to_raw()) {
                    entry.closed = Some(self.last);
                }
            }
            _ => {}
        }
    }

    fn look(&mut self, hub: &Hub, socket: SocketId) {
        let Some(view) = View::of(hub, socket) else { return };
        let Some(entry) = self.sockets.get_mut(&socket.to_raw()) else { return };
        if let Some(client) = view.client {
            self.clients.insert(client, socket);
        }
        entry.principal = view.principal.or(entry.principal.take());
        if let Some(session) = view.session.map(|id| fingerprint(&id))
            && !entry.sessions.contains(&session)
        {
            entry.sessions.push(session);
        }
    }
}

impl Entry {
    fn line(&self, socket: SocketId) -> String {
        let closed = self.closed.map_or(String::from("still open              "), |at| format!("{}", Stamp(at)));
        let mut line = format!("{}  {closed}  socket {}", Stamp(self.opened), show_id(socket));
        if let Some(principal) = &self.principal {
            line.push_str(&format!("  user {principal:?}"));
        }
        for session in &self.sessions {
            line.push_str(&format!("  session {}", Hex(*session)));
        }
        if let Some(cause) = self.cause {
            line.push_str("  ");
            line.push_str(cause.as_str());
        }
        line.push('\n');
        line
    }
}
