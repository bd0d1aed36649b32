//! An echo server on blocking sockets: two threads a connection, and one hub in the middle.
//!
//! `cargo run -p tethered-core --example echo_std -- 127.0.0.1:8080`, then open `ws://127.0.0.1:8080/echo`.
#![allow(clippy::disallowed_methods, reason = "outside the machine somebody has to read the clock")]

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::mpsc::{Sender, SyncSender, channel, sync_channel};
use std::time::{self, Duration, SystemTime};
use std::{collections::HashMap, error::Error, sync::LazyLock, thread};

use tethered_core::config::{Config, Endpoint};
use tethered_core::hub::{Action, Change, DeliveryKind, Event, Hub, Open, Payload, Response};
use tethered_core::time::{Instant, Now, UnixMillis};
use tethered_core::{http, ids::SocketId};

enum Input {
    Accepted(TcpStream),
    /// No bytes: the end.
    Read(u64, Vec<u8>),
    Written(u64),
}

struct Peer {
    socket: SocketId,
    stream: TcpStream,
    /// No bytes: the end.
    writer: Sender<Vec<u8>>,
    writing: bool,
}

fn main() -> Result<(), Box<dyn Error>> {
    let listener = TcpListener::bind(std::env::args().nth(1).as_deref().unwrap_or("127.0.0.1:8080"))?;
    println!("ws://{}/echo", listener.local_addr()?);
    let (inputs, queue) = sync_channel(1_024);
    let accepted = inputs.clone();
    thread::spawn(move || listener.incoming().flatten().try_for_each(|stream| accepted.send(Input::Accepted(stream))));
    let mut seed = [0; 16];
    getrandom::fill(&mut seed)?;
    let mut hub = Hub::new(Config { endpoints: vec![Endpoint::raw("/echo")], ..Config::default() }, seed, now())?;
    let mut peers: HashMap<u64, Peer> = HashMap::new();
    for next in 0.. {
        let wait = hub.next_deadline().map_or(60_000, |(at, _)| at.since(now().mono));
        match queue.recv_timeout(Duration::from_millis(wait)) {
            Ok(Input::Accepted(stream)) => {
                let address = stream.peer_addr().ok().map(|address| address.ip());
                if let Ok(socket) = hub.open(now(), Open { token: next, address, secure: false }) {
                    peers.insert(next, Peer { socket, writer: spawn(next, &stream, &inputs)?, stream, writing: false });
                }
            }
            Ok(Input::Read(token, mut bytes)) => {
                let Some(&Peer { socket, .. }) = peers.get(&token) else { continue };
                let (over, bytes) = (bytes.is_empty(), &mut bytes[..]);
                hub.handle(now(), if over { Event::Closed { socket } } else { Event::Received { socket, bytes } });
            }
            Ok(Input::Written(token)) => {
                let Some(it) = peers.get_mut(&token) else { continue };
                it.writing = false;
                write(it, &mut hub);
            }
            Err(_) => hub.handle(now(), Event::Tick),
        }
        while let Some(action) = hub.poll() {
            match action {
                Action::Write { token, .. } => peers.get_mut(&token).into_iter().for_each(|it| write(it, &mut hub)),
                Action::Shutdown { token, .. } => drop(peers.get(&token).map(|it| it.writer.send(Vec::new()))),
                Action::Close { token, .. } => drop(peers.remove(&token).map(|it| it.stream.shutdown(Shutdown::Both))),
                Action::Request { socket, .. } => {
                    let http = http::Response::text(404, "The echo is at /echo.\n");
                    hub.respond(now(), socket, Response { http, session: Change::Keep });
                }
                Action::Deliver { client, delivery, .. } => match (delivery.kind, str::from_utf8(&delivery.body)) {
                    (DeliveryKind::Text, Ok(text)) => hub.send(now(), client, Payload::Text(text)),
                    _ => hub.send(now(), client, Payload::Binary(&delivery.body)),
                },
                // Reading on and off matters where a store outside is asked: here every question is answered at once.
                _ => {}
            }
        }
    }
    Ok(())
}

fn write(it: &mut Peer, hub: &mut Hub) {
    let bytes = if it.writing { Vec::new() } else { hub.output(it.socket).collect::<Vec<_>>().concat() };
    if !bytes.is_empty() {
        // What is taken counts as sent: it cannot be had back.
        hub.handle(now(), Event::Sent { socket: it.socket, len: bytes.len() });
        it.writing = it.writer.send(bytes).is_ok();
    }
}

fn spawn(token: u64, stream: &TcpStream, inputs: &SyncSender<Input>) -> io::Result<Sender<Vec<u8>>> {
    let (mut source, mut sink) = (stream.try_clone()?, stream.try_clone()?);
    let (read, written) = (inputs.clone(), inputs.clone());
    let (writer, output) = channel::<Vec<u8>>();
    thread::spawn(move || {
        let mut buffer = [0; 16 * 1024];
        while let Ok(len @ 1..) = source.read(&mut buffer) {
            read.send(Input::Read(token, buffer[..len].to_vec()))?;
        }
        read.send(Input::Read(token, Vec::new()))
    });
    thread::spawn(move || {
        output.iter().try_for_each(|bytes| {
            // A write that fails needs no word: the reader tells.
            let _ = if bytes.is_empty() { sink.shutdown(Shutdown::Write) } else { sink.write_all(&bytes) };
            written.send(Input::Written(token))
        })
    });
    Ok(writer)
}

fn now() -> Now {
    static START: LazyLock<time::Instant> = LazyLock::new(time::Instant::now);
    let mono = Instant::from_millis(START.elapsed().as_millis() as u64);
    let wall = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
    Now { mono, wall: UnixMillis::from_millis(wall.as_millis() as u64) }
}
