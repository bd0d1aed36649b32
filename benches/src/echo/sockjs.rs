//! The asking side of SockJS: many clients of one transport, each with a few messages under way, on one thread.

use std::io::{self, ErrorKind, Read, Write};
use std::mem::MaybeUninit;
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use tethered_core::ws::{Opcode, write_frame, write_masked_frame};
use tethered_smol::Clock;

use super::load;

/// How a client receives. What it sends goes the same way over a WebSocket, else with `xhr_send`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// `websocket`
    WebSocket,
    /// `xhr_streaming`
    XhrStreaming,
    /// `xhr`
    Xhr,
}

impl Transport {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::WebSocket, Self::XhrStreaming, Self::Xhr];

    /// As the protocol calls it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::WebSocket => "websocket",
            Self::XhrStreaming => "xhr_streaming",
            Self::Xhr => "xhr",
        }
    }
}

/// Clients of an echo.
#[derive(Debug)]
pub struct Load {
    epoll: rustix::fd::OwnedFd,
    clients: Vec<Client>,
    transport: Transport,
    messages: u64,
    /// How many each client sends at a time, as sockjs-client does with what has come together.
    in_flight: usize,
    /// What a client sends: frames of a WebSocket, or the body of an `xhr_send`.
    sent: Vec<u8>,
}

#[derive(Debug)]
struct Client {
    path: String,
    sender: Connection,
    receiver: Option<Connection>,
    /// The request that brought the message is answered.
    answered: bool,
    /// How many messages are not back yet.
    waits: usize,
}

#[derive(Debug)]
struct Connection {
    stream: TcpStream,
    came: Vec<u8>,
}

impl Load {
    /// Clients, one after the other, by this transport, each with so many messages under way.
    ///
    /// # Errors
    /// What the system says.
    ///
    /// # Panics
    /// If the server answers something else than an echo by SockJS would.
    pub fn connect(server: SocketAddr, transport: Transport, clients: usize, in_flight: usize) -> io::Result<Self> {
        let mut sent = Vec::new();
        match transport {
            Transport::WebSocket => (0..in_flight).for_each(|_| {
                write_masked_frame(&mut sent, true, Opcode::Text, [1, 2, 3, 4], format!("[{MESSAGE}]").as_bytes());
            }),
            _ => sent.extend(format!("[{}]", vec![MESSAGE; in_flight].join(",")).into_bytes()),
        }
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        let mut all = Vec::with_capacity(clients);
        for n in 0..clients {
            let client = Client::connect(server, transport, n)?;
            let sender = (2 * n, &client.sender);
            let receiver = client.receiver.as_ref().map(|it| (2 * n + 1, it));
            for (token, connection) in [Some(sender), receiver].into_iter().flatten() {
                connection.stream.set_nonblocking(true)?;
                epoll::add(&epoll, &connection.stream, EventData::new_u64(token as u64), EventFlags::IN)?;
            }
            all.push(client);
        }
        let mut load = Self { epoll, clients: all, transport, messages: 0, in_flight, sent };
        (0..clients).try_for_each(|n| load.send(n))?;
        Ok(load)
    }

    /// Sends and receives for so long. Returns how many messages came back.
    ///
    /// # Errors
    /// What the system says, and a connection that ends.
    ///
    /// # Panics
    /// If what comes back is not what was sent.
    #[allow(clippy::disallowed_methods, reason = "a load generator goes by the clock")]
    pub fn run(&mut self, time: Duration) -> io::Result<u64> {
        let (from, clock) = (self.messages, Clock::start());
        while u128::from(clock.now().mono.as_millis()) < time.as_millis() {
            let mut space = [const { MaybeUninit::uninit() }; 256];
            let timeout = Timespec { tv_sec: 0, tv_nsec: 10_000_000 };
            let (events, _) = epoll::wait(&self.epoll, &mut space, Some(&timeout))?;
            for event in events {
                let data = event.data;
                let token = data.u64() as usize;
                self.read(token / 2, token % 2 == 1)?;
            }
        }
        Ok(self.messages - from)
    }

    fn send(&mut self, n: usize) -> io::Result<()> {
        let client = &mut self.clients[n];
        (client.answered, client.waits) = (self.transport == Transport::WebSocket, self.in_flight);
        match self.transport {
            Transport::WebSocket => client.sender.stream.write_all(&self.sent),
            _ => client.sender.post(&client.path, "xhr_send", &self.sent),
        }
    }

    fn read(&mut self, n: usize, receives: bool) -> io::Result<()> {
        let client = &mut self.clients[n];
        let connection = match &mut client.receiver {
            Some(receiver) if receives => receiver,
            _ => &mut client.sender,
        };
        connection.fill()?;
        let came = &mut connection.came;
        match self.transport {
            Transport::WebSocket => client.waits -= take_messages(came),
            _ if !receives => {
                if came.ends_with(b"\r\n\r\n") {
                    assert!(came.starts_with(b"HTTP/1.1 204 "), "{}", shown(came));
                    came.clear();
                    client.answered = true;
                }
            }
            Transport::XhrStreaming => {
                client.waits -= take_messages(came);
                if came.ends_with(LAST_CHUNK) {
                    came.clear();
                    connection.post(&client.path, "xhr_streaming", b"")?;
                }
            }
            Transport::Xhr => {
                if whole(came).is_some() {
                    let messages = take_messages(came);
                    assert!(messages > 0, "{}", shown(came));
                    client.waits -= messages;
                    came.clear();
                    connection.post(&client.path, "xhr", b"")?;
                }
            }
        }
        if client.answered && client.waits == 0 {
            self.messages += self.in_flight as u64;
            self.send(n)?;
        }
        Ok(())
    }
}

impl Client {
    fn connect(server: SocketAddr, transport: Transport, n: usize) -> io::Result<Self> {
        let path = format!("{PREFIX}/000/client{n}");
        if transport == Transport::WebSocket {
            let mut sender = Connection::new(load::open(server, &format!("{path}/websocket"), "")?);
            let mut open = Vec::new();
            write_frame(&mut open, true, Opcode::Text, b"o");
            sender.wait(|came| came == open)?;
            return Ok(Self { path, sender, receiver: None, answered: false, waits: 0 });
        }
        let mut receiver = Connection::new(TcpStream::connect(server)?);
        receiver.post(&path, transport.name(), b"")?;
        match transport {
            Transport::XhrStreaming => receiver.wait(|came| find(came, b"\no\n").is_some())?,
            _ => {
                receiver.wait(|came| whole(came).is_some_and(|body| find(body, b"o\n").is_some()))?;
                receiver.post(&path, transport.name(), b"")?;
            }
        }
        let sender = Connection::new(TcpStream::connect(server)?);
        Ok(Self { path, sender, receiver: Some(receiver), answered: false, waits: 0 })
    }
}

impl Connection {
    fn new(stream: TcpStream) -> Self {
        let _ = stream.set_nodelay(true);
        Self { stream, came: Vec::new() }
    }

    fn post(&mut self, path: &str, what: &str, body: &[u8]) -> io::Result<()> {
        self.stream.write_all(&request(path, what, body))
    }

    fn fill(&mut self) -> io::Result<()> {
        let mut buffer = [0; 16 * 1024];
        match self.stream.read(&mut buffer) {
            Ok(0) => Err(ErrorKind::UnexpectedEof.into()),
            Ok(len) => {
                self.came.extend_from_slice(&buffer[..len]);
                Ok(())
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Reads until all is there, and forgets it.
    fn wait(&mut self, done: impl Fn(&[u8]) -> bool) -> io::Result<()> {
        while !done(&self.came) {
            self.fill()?;
        }
        self.came.clear();
        Ok(())
    }
}

/// A request to a transport.
pub(crate) fn request(path: &str, what: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "POST {path}/{what} HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

/// Takes the messages that have come, and what stands before them.
fn take_messages(came: &mut Vec<u8>) -> usize {
    let (mut messages, mut end) = (0, 0);
    while let Some(at) = find(&came[end..], MESSAGE.as_bytes()) {
        messages += 1;
        end += at + MESSAGE.len();
    }
    came.drain(..end);
    messages
}

/// The body of an answer, once it is whole.
fn whole(came: &[u8]) -> Option<&[u8]> {
    let at = find(came, b"\r\n\r\n")? + 4;
    let (head, body) = (str::from_utf8(&came[..at]).ok()?, &came[at..]);
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
    });
    let is_whole = length.map_or_else(|| body.ends_with(LAST_CHUNK), |length| body.len() >= length);
    is_whole.then_some(body)
}

fn find(all: &[u8], part: &[u8]) -> Option<usize> {
    all.windows(part.len()).position(|window| window == part)
}

fn shown(came: &[u8]) -> String {
    String::from_utf8_lossy(&came[..came.len().min(500)]).into_owned()
}

/// Where the service is.
pub const PREFIX: &str = "/sockjs";
const MESSAGE: &str = r#""abcdefghijklmnop""#;
const LAST_CHUNK: &[u8] = b"0\r\n\r\n";
