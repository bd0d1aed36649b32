//! The way into a running server from other threads and tasks.

use std::fmt;

use smol::channel::{Receiver, Sender, unbounded};
use tethered_core::hub::{Message, To, Who};
use tethered_core::ids::ClientId;
use tethered_core::session::Cause;

use crate::application::{Application, Context};

/// The way into a running [`Server`](crate::Server) from other threads and tasks. Nothing here waits; calls are carried
/// out in order.
pub struct Handle<A> {
    sender: Sender<Call<A>>,
}

/// A call was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotTaken {
    /// Too many calls wait already: [`CALLS`].
    #[error("{CALLS} calls wait for the server already: try again later")]
    Busy,
    /// The server has stopped.
    #[error("the server has stopped")]
    Stopped,
}

/// Whose clients [`Handle::end`] ends; as [`Who`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Whose {
    /// One client. Its session lives on.
    Client(ClientId),
    /// A session, by its id.
    Session(String),
    /// All sessions of a user.
    User(String),
    /// The same but for one session.
    UserExcept {
        /// The user's name.
        principal: String,
        /// The session that is kept.
        session: String,
    },
}

impl<A: Application> Handle<A> {
    /// Runs this on the server's thread, between reading and writing.
    ///
    /// # Errors
    /// [`NotTaken`].
    pub fn call(&self, call: impl FnOnce(&mut A, &mut Context<'_, A>) + Send + 'static) -> Result<(), NotTaken> {
        if self.sender.len() >= CALLS {
            return Err(NotTaken::Busy);
        }
        self.give(Call::Run(Box::new(call)))
    }

    /// The same, however many calls wait: for the answer to something that the application itself had asked for, of which
    /// there are no more than it asked.
    ///
    /// # Errors
    /// [`NotTaken::Stopped`].
    pub fn answer(&self, answer: impl FnOnce(&mut A, &mut Context<'_, A>) + Send + 'static) -> Result<(), NotTaken> {
        self.give(Call::Run(Box::new(answer)))
    }

    /// Sends a message to all who subscribed to a destination.
    ///
    /// # Errors
    /// [`NotTaken`].
    pub fn publish(
        &self,
        destination: impl Into<String>,
        content_type: Option<&'static str>,
        body: impl Into<Vec<u8>>,
    ) -> Result<(), NotTaken> {
        let (destination, body) = (destination.into(), body.into());
        self.call(move |_, cx| {
            cx.publish(To::Destination(&destination), &Message { content_type, headers: &[], body: &body });
        })
    }

    /// Sends a message to all sockets of a user that subscribed to `/user` + `destination`.
    ///
    /// # Errors
    /// [`NotTaken`].
    pub fn publish_to_user(
        &self,
        principal: impl Into<String>,
        destination: impl Into<String>,
        content_type: Option<&'static str>,
        body: impl Into<Vec<u8>>,
    ) -> Result<(), NotTaken> {
        let (principal, destination, body) = (principal.into(), destination.into(), body.into());
        self.call(move |_, cx| {
            let to = To::User { principal: &principal, destination: &destination };
            cx.publish(to, &Message { content_type, headers: &[], body: &body });
        })
    }

    /// Ends clients at once: nothing more crosses, and their sockets are closed with 1008.
    ///
    /// # Errors
    /// [`NotTaken`].
    pub fn end(&self, whose: Whose, cause: Cause) -> Result<(), NotTaken> {
        self.call(move |_, cx| {
            let who = match &whose {
                Whose::Client(client) => Who::Client(*client),
                Whose::Session(id) => Who::Session(id),
                Whose::User(principal) => Who::User(principal),
                Whose::UserExcept { principal, session } => Who::UserExcept { principal, session },
            };
            cx.end(who, cause);
        })
    }

    /// Ends the server in order: it takes no more connections, tells each client with 1001, and stops once all sockets
    /// are closed, or after 30 seconds.
    ///
    /// # Errors
    /// [`NotTaken::Stopped`].
    pub fn drain(&self) -> Result<(), NotTaken> {
        self.give(Call::Drain)
    }

    /// Ends the server at once, whatever is under way.
    pub fn stop(&self) {
        self.sender.close();
    }

    fn give(&self, call: Call<A>) -> Result<(), NotTaken> {
        self.sender.try_send(call).map_err(|_| NotTaken::Stopped)
    }
}

impl<A> Clone for Handle<A> {
    fn clone(&self) -> Self {
        Self { sender: self.sender.clone() }
    }
}

impl<A> fmt::Debug for Handle<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle").field("waiting", &self.sender.len()).finish()
    }
}

type Run<A> = Box<dyn FnOnce(&mut A, &mut Context<'_, A>) + Send>;

pub(crate) enum Call<A> {
    Run(Run<A>),
    Drain,
}

pub(crate) fn channel<A>() -> (Handle<A>, Receiver<Call<A>>) {
    let (sender, receiver) = unbounded();
    (Handle { sender }, receiver)
}

/// How many calls may wait for the server.
pub const CALLS: usize = 4_096;
