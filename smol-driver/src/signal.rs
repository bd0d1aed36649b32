//! The signals that end a server.

use std::io;

use async_signal::{Signal, Signals};
use smol::stream::StreamExt;

use crate::application::Application;
use crate::handle::Handle;

/// Catches SIGTERM and SIGINT from now on. What it returns is to be run beside the server: it drains the server at the
/// first signal and stops it at the second.
///
/// # Errors
/// Where the signals cannot be caught.
pub fn end_on_signals<A: Application>(handle: Handle<A>) -> io::Result<impl Future<Output = io::Result<()>>> {
    let mut signals = Signals::new([Signal::Term, Signal::Int])?;
    Ok(async move {
        signals.next().await.transpose()?;
        // Where it has stopped already, that was what is wanted.
        let _ = handle.drain();
        signals.next().await.transpose()?;
        handle.stop();
        Ok(())
    })
}
