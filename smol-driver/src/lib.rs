//! tethered on smol: one [`Hub`] with sockets, timers and signals, on one thread.
//!
//! [`Server`] is the event loop and nothing more: what is spoken on the sockets, who may, and when a login ends is the
//! hub's business; what the messages mean is the [`Application`]'s. A [`Handle`] leads back in from other threads.
//!
//! ```
//! use tethered_core::config::{Config, Endpoint};
//! use tethered_core::hub::{Change, Delivery, Hub, Payload, Request, Response};
//! use tethered_core::http;
//! use tethered_core::ids::{ClientId, SocketId};
//! use tethered_smol::{Application, Clock, Context, Level, Listeners, Log, Server};
//!
//! struct Echo;
//!
//! impl Application for Echo {
//!     fn request(&mut self, _: &mut Context<'_, Self>, _: SocketId, _: Request) -> Option<Response> {
//!         Some(Response { http: http::Response::text(404, "There is nothing here.\n"), session: Change::Keep })
//!     }
//!
//!     fn deliver(&mut self, cx: &mut Context<'_, Self>, client: ClientId, delivery: Delivery) {
//!         cx.send(client, Payload::Binary(&delivery.body));
//!     }
//! }
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let clock = Clock::start();
//! let config = Config { endpoints: vec![Endpoint::raw("/echo")], ..Config::default() };
//! let seed = [7; 16]; // sixteen bytes from the system's random source: session ids are made from them
//! let hub = Hub::new(config, seed, clock.now())?;
//! let listeners = Listeners::bind("127.0.0.1:0")?;
//! println!("listening on {:?}", listeners.addresses());
//!
//! let server = Server::new(hub, Echo, clock, listeners, Log::new(Level::Info))?;
//! let handle = server.handle();
//! # let _ = handle.drain();
//! std::thread::spawn(move || handle.publish("/topic/news", Some("text/plain"), "hello"));
//! smol::block_on(server.run())?;
//! # Ok(())
//! # }
//! ```
//!
//! Beside it live the parts of the reference server, the program `tethered`: its [`settings`], its [`demo`], and the
//! [`replay`] of what it recorded.
//!
//! It runs on Linux, where sockets are watched by an edge-triggered epoll of its own, and on other Unix systems, where
//! async-io watches each of them.
//!
//! [`Hub`]: tethered_core::hub::Hub
#![forbid(unsafe_code)]

mod application;
mod clock;
mod connection;
pub mod demo;
mod handle;
mod listen;
mod log;
mod ready;
mod record;
mod redis;
pub mod replay;
mod server;
pub mod settings;
mod signal;

pub use self::application::{Application, Context};
pub use self::clock::Clock;
pub use self::handle::{CALLS, Handle, NotTaken, Whose};
pub use self::listen::{ListenError, Listeners};
pub use self::log::{ENDS_A_SECOND, LINES_A_SECOND, Level, Log};
pub use self::record::Recording;
pub use self::redis::{RedisOptions, RedisUrl, UrlError};
pub use self::server::{End, Server};
pub use self::signal::end_on_signals;
