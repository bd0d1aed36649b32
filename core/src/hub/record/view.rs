//! A look at one socket between two inputs.

use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::config::Protocol;
use crate::hub::Hub;
use crate::hub::socket::{NONE, Phase, Role};
use crate::ids::{ClientId, SocketId};
use crate::time::Instant;
use crate::ws;

/// What the hub knows of a socket just now.
#[derive(Debug)]
pub(super) struct View {
    pub(super) role: Role,
    pub(super) close_sent: bool,
    /// Bytes that wait to be written, and when the last one was taken or the first one came.
    pub(super) unsent: usize,
    pub(super) moved: Instant,
    /// The path of its endpoint, and whether STOMP is spoken there.
    pub(super) path: Option<Arc<str>>,
    pub(super) stomp: bool,
    pub(super) client: Option<ClientId>,
    pub(super) principal: Option<Arc<str>>,
    /// The id of the session that its client is under.
    pub(super) session: Option<Arc<str>>,
    /// When that ends unless it is renewed, when it last was, and whether it is in doubt.
    pub(super) deadline: Option<Instant>,
    pub(super) activity: Option<Instant>,
    pub(super) holds: Option<bool>,
}

impl View {
    pub(super) fn of(hub: &Hub, socket: SocketId) -> Option<Self> {
        let at = hub.sockets.get(socket.slot(), socket.generation())?;
        let endpoint = usize::from(at.endpoint);
        let speaks = at.role == Role::Ws;
        let client = hub.clients.slot(at.client).filter(|client| client.phase != Phase::Over);
        let session = if client.is_some() { hub.under(at.client) } else { NONE };
        let life = hub.registry.life(session);
        let cold = at.cold.as_ref();
        Some(Self {
            role: at.role,
            close_sent: at.close_sent,
            unsent: at.unsent(),
            moved: cold.map_or(Instant::NEVER, |cold| cold.output.moved()),
            path: hub.paths.get(endpoint).filter(|_| speaks).cloned(),
            stomp: hub.config.endpoints.get(endpoint).is_some_and(|endpoint| endpoint.protocol == Protocol::Stomp),
            client: client.map(|_| hub.client_id(at.client)),
            principal: hub.registry.principal(session),
            session: hub.registry.id(session).cloned(),
            deadline: life.map(|(life, _)| life.deadline()),
            activity: life.map(|(_, pulse)| pulse.activity()),
            holds: life.map(|(life, _)| life.holds()),
        })
    }

    /// The last so many bytes that wait to be written, held or not.
    pub(super) fn newest(hub: &Hub, socket: SocketId, len: usize) -> Vec<u8> {
        let cold = hub.sockets.get(socket.slot(), socket.generation()).and_then(|socket| socket.cold.as_ref());
        let all: Vec<u8> = cold.into_iter().flat_map(|cold| cold.output.iter()).flatten().copied().collect();
        all.get(all.len().saturating_sub(len)..).unwrap_or_default().to_vec()
    }

    /// Code and reason of the Close frame that waits last.
    pub(super) fn close_frame(hub: &Hub, socket: SocketId) -> Option<(u16, String)> {
        let cold = hub.sockets.get(socket.slot(), socket.generation())?.cold.as_ref()?;
        let frame = cold.output.last_frame()?;
        let (_, head) = ws::Head::parse(ws::Role::Client, frame).ok()??;
        let close = ws::CloseFrame::parse(frame.get(head..)?).ok()??;
        Some((close.code, close.reason.to_string()))
    }
}
