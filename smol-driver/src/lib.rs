//! tethered on smol.
#![forbid(unsafe_code)]

mod application;
mod clock;
mod connection;
pub mod demo;
mod handle;
mod listen;
mod log;
mod ready;
mod server;
pub mod settings;
mod signal;

pub use self::application::{Application, Context};
pub use self::clock::Clock;
pub use self::handle::{CALLS, Handle, NotTaken, Whose};
pub use self::listen::{ListenError, Listeners};
pub use self::log::{LINES_A_SECOND, Level, Log};
pub use self::server::{End, Server};
pub use self::signal::end_on_signals;
