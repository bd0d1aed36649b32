//! A chat server on tokio: STOMP for those who are logged in, cut off when they log out.
//!
//! `cargo run -p tethered-core --example chat_tokio -- 127.0.0.1:8080`, then open `http://127.0.0.1:8080/` in two tabs.
#![allow(clippy::disallowed_methods, reason = "outside the machine somebody has to read the clock")]

use std::time::{self, Duration, SystemTime};
use std::{collections::HashMap, error::Error, sync::LazyLock};

use tethered_core::hub::{Action, Change, Event, Hub, Message, Open, Response, To};
use tethered_core::time::{Instant, Now, UnixMillis};
use tethered_core::{broker::access::Rules, config::Config, http, ids::SocketId};
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::{io::AsyncReadExt, io::AsyncWriteExt, net::TcpListener, net::TcpStream, task::JoinHandle};

enum Input {
    /// No bytes: the end.
    Read(u64, Vec<u8>),
    Written(u64),
}

struct Peer {
    socket: SocketId,
    task: JoinHandle<()>,
    /// No bytes: the end.
    writer: Sender<Vec<u8>>,
    writing: bool,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let listener = TcpListener::bind(std::env::args().nth(1).unwrap_or("127.0.0.1:8080".to_owned())).await?;
    println!("http://{}/", listener.local_addr()?);
    let mut seed = [0; 16];
    getrandom::fill(&mut seed)?;
    let mut hub = Hub::new(Config { rules: Rules::sample(), ..Config::default() }, seed, now())?;
    let mut peers: HashMap<u64, Peer> = HashMap::new();
    let (inputs, mut queue) = channel(1_024);
    for next in 0.. {
        let wait = hub.next_deadline().map_or(60_000, |(at, _)| at.since(now().mono));
        tokio::select! {
            Ok((stream, address)) = listener.accept() => {
                if let Ok(socket) = hub.open(now(), Open { token: next, address: Some(address.ip()), secure: false }) {
                    let (writer, output) = channel(2);
                    let task = tokio::spawn(serve(next, stream, inputs.clone(), output));
                    peers.insert(next, Peer { socket, task, writer, writing: false });
                }
            }
            Some(input) = queue.recv() => match input {
                Input::Read(token, mut bytes) => {
                    let Some(&Peer { socket, .. }) = peers.get(&token) else { continue };
                    let (over, bytes) = (bytes.is_empty(), &mut bytes[..]);
                    hub.handle(now(), if over { Event::Closed { socket } } else { Event::Received { socket, bytes } });
                }
                Input::Written(token) => {
                    let Some(it) = peers.get_mut(&token) else { continue };
                    it.writing = false;
                    write(it, &mut hub);
                }
            },
            () = tokio::time::sleep(Duration::from_millis(wait)) => hub.handle(now(), Event::Tick),
        }
        while let Some(action) = hub.poll() {
            match action {
                Action::Write { token, .. } => peers.get_mut(&token).into_iter().for_each(|it| write(it, &mut hub)),
                Action::Shutdown { token, .. } => drop(peers.get(&token).map(|it| it.writer.try_send(Vec::new()))),
                Action::Close { token, .. } => drop(peers.remove(&token).map(|it| it.task.abort())),
                Action::Request { socket, request, .. } => {
                    let path = if request.http.method() == "POST" { request.http.path() } else { "/" };
                    let login = |name: &str| Change::Login { principal: name.into(), attributes: Vec::new() };
                    let other = if path == "/logout" { Change::End } else { Change::Keep };
                    let session = path.strip_prefix("/login/").map_or(other, login);
                    let http = http::Response::html(200, include_str!("chat.html"));
                    hub.respond(now(), socket, Response { http, session });
                }
                Action::Deliver { delivery, .. } => {
                    let body = [delivery.principal.unwrap_or_default().as_bytes(), b": ", &delivery.body].concat();
                    hub.publish(now(), To::Destination("/topic/chat"), &Message { body: &body, ..Message::default() });
                }
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
        it.writing = it.writer.try_send(bytes).is_ok();
    }
}

async fn serve(token: u64, mut stream: TcpStream, inputs: Sender<Input>, mut output: Receiver<Vec<u8>>) {
    let (mut source, mut sink) = stream.split();
    let read = async {
        let mut buffer = [0; 16 * 1024];
        while let Ok(len @ 1..) = source.read(&mut buffer).await {
            let _ = inputs.send(Input::Read(token, buffer[..len].to_vec())).await;
        }
        let _ = inputs.send(Input::Read(token, Vec::new())).await;
    };
    let write = async {
        while let Some(bytes) = output.recv().await {
            let _ = if bytes.is_empty() { sink.shutdown().await } else { sink.write_all(&bytes).await };
            let _ = inputs.send(Input::Written(token)).await;
        }
    };
    tokio::join!(read, write);
}

fn now() -> Now {
    static START: LazyLock<time::Instant> = LazyLock::new(time::Instant::now);
    let mono = Instant::from_millis(START.elapsed().as_millis() as u64);
    let wall = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
    Now { mono, wall: UnixMillis::from_millis(wall.as_millis() as u64) }
}
