//! The serving sides: the same echo, each written as its own documentation would.

use std::error::Error;
use std::io;
use std::net::TcpListener;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::Command;

use tethered_core::config::{Config, Endpoint, Limits, Login, SockJs};
use tethered_core::http;
use tethered_core::hub::{Change, Delivery, DeliveryKind, Hub, Payload, Request, Response};
use tethered_core::ids::{ClientId, SocketId};
use tethered_smol::{Application, Clock, Context, Level, Log, Server};

use super::fan::OPEN;
use super::load::PATH;
use super::sockjs::PREFIX;

/// Serves, at an address that it writes to the standard output first.
pub type Serve = fn() -> Result<(), Box<dyn Error>>;

/// The servers there are in this build, ours first.
pub const SERVERS: &[(&str, Serve)] = &[
    ("tethered", tethered),
    #[cfg(feature = "peers")]
    ("tethered in C on epoll", crate::peers::c::tethered),
    #[cfg(feature = "peers")]
    ("wslay on epoll", crate::peers::c::wslay),
    #[cfg(feature = "peers")]
    ("libwebsockets", crate::peers::c::libwebsockets),
    #[cfg(feature = "peers")]
    ("fastwebsockets", crate::peers::echo::fastwebsockets),
    #[cfg(feature = "peers")]
    ("async-tungstenite", crate::peers::echo::async_tungstenite),
];

/// The servers there are for SockJS, ours first. The other is sockjs-node, where `npm --prefix benches/sockjs-node ci` has
/// installed it.
pub const SOCKJS_SERVERS: &[(&str, Serve)] = &[("tethered", tethered), ("sockjs-node", sockjs_node)];

/// Beside the echo, a STOMP endpoint with login: `GET /login/NAME` logs in.
struct Echo;

impl Application for Echo {
    fn request(&mut self, _: &mut Context<'_, Self>, _: SocketId, request: Request) -> Option<Response> {
        let name = request.http.path().strip_prefix("/login/");
        let session =
            name.map_or(Change::Keep, |name| Change::Login { principal: name.into(), attributes: Vec::new() });
        Some(Response { http: http::Response::new(204), session })
    }

    fn deliver(&mut self, cx: &mut Context<'_, Self>, client: ClientId, delivery: Delivery) {
        match (delivery.kind, str::from_utf8(&delivery.body)) {
            (DeliveryKind::Text, Ok(text)) => cx.send(client, Payload::Text(text)),
            _ => cx.send(client, Payload::Binary(&delivery.body)),
        }
    }
}

/// A listener, whose address is written to the standard output.
///
/// # Errors
/// What the system says.
pub fn listen() -> io::Result<TcpListener> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    rustix::net::listen(&listener, 4_096)?;
    println!("{}", listener.local_addr()?);
    Ok(listener)
}

fn tethered() -> Result<(), Box<dyn Error>> {
    let listener = listen()?;
    listener.set_nonblocking(true)?;
    let echo = Endpoint { any_origin: true, ..Endpoint::raw(PATH) };
    let open = Endpoint { login: Login::None, ..Endpoint::stomp(OPEN) };
    let sockjs = Endpoint::raw(PREFIX).with_sockjs(SockJs { counted: false, ..SockJs::default() });
    let stomp = Endpoint { login: Login::Required, ..Endpoint::stomp("/stomp") };
    let limits = Limits { per_address: 20_000, half_open_address: 1_024, ..Limits::default() };
    let config = Config { endpoints: vec![echo, sockjs, open, stomp], limits, ..Config::default() };
    let clock = Clock::start();
    let hub = Hub::new(config, [7; 16], clock.now())?;
    let server = Server::new(hub, Echo, clock, listener.into(), Log::new(Level::Warn))?;
    smol::block_on(server.run())?;
    Ok(())
}

/// Becomes Node, which listens at the same socket.
fn sockjs_node() -> Result<(), Box<dyn Error>> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/sockjs-node/server.mjs");
    let listener = OwnedFd::from(listen()?);
    rustix::io::fcntl_setfd(&listener, rustix::io::FdFlags::empty())?;
    let error = Command::new("node").args([script, &listener.as_raw_fd().to_string()]).exec();
    drop(listener);
    Err(error.into())
}
