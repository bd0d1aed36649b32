//! A server on a thread of its own, and a client that blocks.
#![allow(dead_code, missing_docs, unreachable_pub, reason = "each file of tests uses its own part")]

pub mod keys;
pub mod process;
pub mod redis;
pub mod spring;
pub mod web;

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use tethered_core::config::{Config, Endpoint};
use tethered_core::http;
use tethered_core::hub::{Change, Delivery, DeliveryKind, Hub, Payload, Request, Response};
use tethered_core::ids::{CallId, ClientId, SocketId};
use tethered_core::session::{Cause, Op};
use tethered_core::ws::{Opcode, write_masked_frame};
use tethered_smol::{Application, Clock, Context, End, Handle, Level, Listeners, Log, RedisOptions, Server};

pub const PATH: &str = "/echo/websocket";

/// What the application was told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    Joined,
    Left(Cause),
    Message(Vec<u8>),
    Asked(Option<CallId>, Op),
}

/// Echoes, and tells the test what it was told.
pub struct Echo {
    told: Sender<Told>,
}

impl Application for Echo {
    fn request(&mut self, _: &mut Context<'_, Self>, _: SocketId, request: Request) -> Option<Response> {
        let http = http::Response::text(200, request.http.path().to_owned());
        (request.http.path() != "/later").then_some(Response { http, session: Change::Keep })
    }

    fn deliver(&mut self, cx: &mut Context<'_, Self>, client: ClientId, delivery: Delivery) {
        let _ = self.told.send(Told::Message(delivery.body.get(..32).unwrap_or(&delivery.body).to_vec()));
        match (delivery.kind, std::str::from_utf8(&delivery.body)) {
            (DeliveryKind::Text, Ok(text)) => cx.send(client, Payload::Text(text)),
            _ => cx.send(client, Payload::Binary(&delivery.body)),
        }
    }

    fn joined(&mut self, _: &mut Context<'_, Self>, _: ClientId, _: Option<Arc<str>>) {
        let _ = self.told.send(Told::Joined);
    }

    fn left(&mut self, _: &mut Context<'_, Self>, _: ClientId, cause: Cause, _: Option<Arc<str>>) {
        let _ = self.told.send(Told::Left(cause));
    }

    fn session(&mut self, _: &mut Context<'_, Self>, call: Option<CallId>, op: Op) {
        let _ = self.told.send(Told::Asked(call, op));
    }
}

/// A server on a thread of its own; it is stopped when this is dropped.
pub struct Running {
    pub address: SocketAddr,
    pub handle: Handle<Echo>,
    pub told: Receiver<Told>,
    thread: Option<JoinHandle<End>>,
}

/// A server that is about to run: connections to it wait already.
pub struct Prepared {
    pub address: SocketAddr,
    server: Server<Echo>,
    told: Receiver<Told>,
}

pub fn config() -> Config {
    Config {
        endpoints: vec![Endpoint {
            message_bytes: Some(16 << 20),
            out_bytes: Some(32 << 20),
            any_origin: true,
            ..Endpoint::raw(PATH)
        }],
        ..Config::default()
    }
}

pub fn start(config: Config) -> Running {
    prepare(config).run()
}

pub fn prepare(config: Config) -> Prepared {
    let clock = Clock::start();
    // No two are alike: hubs tell each other apart by it.
    static SEED: AtomicU8 = AtomicU8::new(1);
    let seed = [SEED.fetch_add(1, Ordering::Relaxed); 16];
    let hub = Hub::new(config, seed, clock.now()).expect("the configuration is sound");
    let listeners = Listeners::bind("127.0.0.1:0").expect("a port is free");
    let address = listeners.addresses()[0];
    let (sender, told) = channel();
    let server = Server::new(hub, Echo { told: sender }, clock, listeners, Log::new(Level::Warn)).expect("epoll");
    Prepared { address, server, told }
}

impl Prepared {
    /// Connects it to a Redis once it runs.
    pub fn with_redis(mut self, options: &RedisOptions) -> Self {
        self.server.redis(options).expect("no certificates are needed");
        self
    }

    pub fn run(self) -> Running {
        let Self { address, server, told } = self;
        let handle = server.handle();
        let thread = std::thread::spawn(|| smol::block_on(server.run()).expect("the server runs").0);
        Running { address, handle, told, thread: Some(thread) }
    }
}

impl Running {
    pub fn next(&self) -> Told {
        self.told.recv_timeout(PATIENCE).expect("the application is told something in time")
    }

    /// How the server came to its end.
    pub fn end(mut self) -> End {
        self.thread.take().expect("it runs").join().expect("the server does not panic")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.handle.stop();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// A client that blocks.
pub struct Client {
    pub stream: TcpStream,
}

impl Client {
    pub fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).expect("somebody listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
        stream.set_nodelay(true).expect("a socket option can be set");
        Self { stream }
    }

    /// Connects, and is a WebSocket client of the echo.
    pub fn echo(address: SocketAddr) -> Self {
        let mut client = Self::connect(address);
        client.write(&handshake(""));
        client.read_head("101");
        client
    }

    pub fn write(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).expect("the server reads");
    }

    pub fn send(&mut self, opcode: Opcode, payload: &[u8]) {
        self.write(&frame(opcode, payload));
    }

    /// Reads the head of an answer, with this status.
    pub fn read_head(&mut self, status: &str) -> String {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.extend(self.read::<1>());
        }
        let head = String::from_utf8(head).expect("an answer's head is ASCII");
        assert_eq!(head.split(' ').nth(1), Some(status), "{head}");
        head
    }

    pub fn read<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.stream.read_exact(&mut bytes).expect("the server writes");
        bytes
    }

    /// Reads one frame: its opcode and payload.
    pub fn receive(&mut self) -> (u8, Vec<u8>) {
        let [first, second] = self.read();
        assert_eq!((first & 0xF0, second & 0x80), (0x80, 0), "whole frames, not masked");
        let len = match second {
            126 => usize::from(u16::from_be_bytes(self.read())),
            127 => u64::from_be_bytes(self.read()) as usize,
            short => usize::from(short),
        };
        let mut payload = vec![0; len];
        self.stream.read_exact(&mut payload).expect("the server writes");
        (first & 0x0F, payload)
    }

    /// Reads a Close frame, answers it, and sees the server end the connection.
    pub fn closed_with(&mut self) -> u16 {
        let code = loop {
            match self.receive() {
                (8, payload) => break u16::from_be_bytes([payload[0], payload[1]]),
                (1 | 2 | 9 | 10, _) => {}
                other => panic!("{other:?}"),
            }
        };
        self.send(Opcode::Close, &code.to_be_bytes());
        assert!(self.is_over());
        code
    }

    /// Waits for the server to end the connection without another byte.
    pub fn is_over(&mut self) -> bool {
        match self.stream.read(&mut [0]) {
            Ok(0) => true,
            Err(error) if error.kind() == ErrorKind::ConnectionReset => true,
            Ok(_) => false,
            Err(error) => panic!("{error}"),
        }
    }
}

pub fn handshake(headers: &str) -> Vec<u8> {
    format!(
        "GET {PATH} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n{headers}\r\n"
    )
    .into_bytes()
}

pub fn frame(opcode: Opcode, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    write_masked_frame(&mut bytes, true, opcode, [1, 2, 3, 4], payload);
    bytes
}

/// How long a test waits for what must come.
pub const PATIENCE: Duration = Duration::from_secs(20);
