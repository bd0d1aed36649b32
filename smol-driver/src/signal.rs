//! The signals that end a server.

use std::io;

use async_signal::{Signal, Signals};
use smol::stream::StreamExt;

use crate::application::Application;
use crate::handle::Handle;

/// Drains the server at the first SIGTERM or SIGINT, and stops it at the second. Does not return before that.
///
/// # Errors
/// Where the signals cannot be caught.
pub async fn end_on_signals<A: Application>(handle: &Handle<A>) -> io::Result<()> {
    let mut signals = Signals::new([Signal::Term, Signal::Int])?;
    signals.next().await.transpose()?;
    // Where it has stopped already, that was what is wanted.
    let _ = handle.drain();
    signals.next().await.transpose()?;
    handle.stop();
    Ok(())
}
