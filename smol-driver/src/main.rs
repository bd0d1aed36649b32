//! The reference server.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use tethered_core::config::{Config, Endpoint};
use tethered_core::http;
use tethered_core::hub::{Change, Delivery, DeliveryKind, Hub, Payload, Request, Response};
use tethered_core::ids::{ClientId, SocketId};
use tethered_smol::{Application, Clock, Context, Level, Listeners, Log, Server, end_on_signals};

struct Echo;

impl Application for Echo {
    fn request(&mut self, _cx: &mut Context<'_, Self>, _socket: SocketId, _request: Request) -> Option<Response> {
        Some(Response { http: http::Response::text(404, "There is nothing here.\n"), session: Change::Keep })
    }

    fn deliver(&mut self, cx: &mut Context<'_, Self>, client: ClientId, delivery: Delivery) {
        match (delivery.kind, std::str::from_utf8(&delivery.body)) {
            (DeliveryKind::Text, Ok(text)) => cx.send(client, Payload::Text(text)),
            _ => cx.send(client, Payload::Binary(&delivery.body)),
        }
    }
}

fn main() -> ExitCode {
    match serve() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tethered: {error}");
            ExitCode::FAILURE
        }
    }
}

fn serve() -> Result<(), Box<dyn std::error::Error>> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "localhost:8080".to_owned());
    let clock = Clock::start();
    let log = Log::new(Level::Info);
    let config = Config {
        endpoints: vec![Endpoint {
            message_bytes: Some(16 << 20),
            out_bytes: Some(32 << 20),
            any_origin: true,
            ..Endpoint::raw("/echo/websocket")
        }],
        ..Config::default()
    };
    let hub = Hub::new(config, [7; 16], clock.now())?;
    let listeners = Listeners::bind(&address)?;
    let server = Server::new(hub, Echo, clock, listeners, log)?;
    let handle = server.handle();
    let executor = smol::LocalExecutor::new();
    executor.spawn(async move { end_on_signals(&handle).await }).detach();
    smol::block_on(executor.run(server.run()))?;
    Ok(())
}
