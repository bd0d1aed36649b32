//! The asking side: many connections, one thread, one epoll, and as little work of its own as possible.

use std::io::{self, ErrorKind, Read, Write};
use std::mem::MaybeUninit;
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use tethered_core::ws::{Opcode, write_frame, write_masked_frame};
use tethered_smol::Clock;

/// What each connection sends over and over, each time all of it has come back.
#[derive(Debug)]
pub struct Burst {
    /// Masked frames.
    asked: Vec<u8>,
    /// The same frames as a server writes them.
    answered: Vec<u8>,
    messages: u64,
}

/// Connections that speak WebSocket with an echo.
#[derive(Debug)]
pub struct Load {
    epoll: rustix::fd::OwnedFd,
    connections: Vec<Connection>,
    burst: Burst,
    buffer: Vec<u8>,
    /// Messages that came back.
    messages: u64,
}

#[derive(Debug)]
struct Connection {
    stream: TcpStream,
    written: usize,
    read: usize,
}

impl Burst {
    /// So many binary messages of so many bytes at once.
    pub fn new(messages: usize, bytes: usize) -> Self {
        let payload = vec![0x61; bytes];
        let (mut asked, mut answered) = (Vec::new(), Vec::new());
        for i in 0..messages {
            write_masked_frame(&mut asked, true, Opcode::Binary, [i as u8, 2, 3, 4], &payload);
            write_frame(&mut answered, true, Opcode::Binary, &payload);
        }
        Self { asked, answered, messages: messages as u64 }
    }
}

impl Load {
    /// Connects so many times, one after another.
    ///
    /// # Errors
    /// What the system says.
    ///
    /// # Panics
    /// If the server does not answer with 101.
    pub fn connect(server: SocketAddr, connections: usize, burst: Burst) -> io::Result<Self> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        let mut all = Vec::with_capacity(connections);
        for token in 0..connections {
            let stream = open(server, PATH, "")?;
            stream.set_nonblocking(true)?;
            epoll::add(
                &epoll,
                &stream,
                EventData::new_u64(token as u64),
                EventFlags::IN | EventFlags::OUT | EventFlags::ET,
            )?;
            all.push(Connection { stream, written: 0, read: 0 });
        }
        Ok(Self { epoll, connections: all, burst, buffer: vec![0; 256 * 1024], messages: 0 })
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
        for token in 0..self.connections.len() {
            self.write(token)?;
        }
        while u128::from(clock.now().mono.as_millis()) < time.as_millis() {
            let mut space = [const { MaybeUninit::uninit() }; 256];
            let timeout = Timespec { tv_sec: 0, tv_nsec: 10_000_000 };
            let (events, _) = epoll::wait(&self.epoll, &mut space, Some(&timeout))?;
            for event in events {
                let (flags, data) = (event.flags, event.data);
                if flags.intersects(EventFlags::IN) {
                    self.read(data.u64() as usize)?;
                } else {
                    self.write(data.u64() as usize)?;
                }
            }
        }
        Ok(self.messages - from)
    }

    fn read(&mut self, token: usize) -> io::Result<()> {
        loop {
            let it = &mut self.connections[token];
            match it.stream.read(&mut self.buffer) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(len) => {
                    let wanted = self.burst.answered.get(it.read..it.read + len);
                    let came = &self.buffer[..len];
                    assert!(
                        wanted == Some(came),
                        "what came back must be what was sent: {:?}",
                        came.get(..64).unwrap_or(came)
                    );
                    it.read += len;
                    if it.read == self.burst.answered.len() {
                        (it.read, it.written) = (0, 0);
                        self.messages += self.burst.messages;
                    }
                    self.write(token)?;
                    if len < self.buffer.len() {
                        return Ok(());
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
    }

    fn write(&mut self, token: usize) -> io::Result<()> {
        let it = &mut self.connections[token];
        while it.written < self.burst.asked.len() {
            match it.stream.write(&self.burst.asked[it.written..]) {
                Ok(len) => it.written += len,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// Opens a WebSocket, with further headers.
///
/// # Errors
/// What the system says.
///
/// # Panics
/// If the server does not answer with 101.
pub fn open(server: SocketAddr, path: &str, headers: &str) -> io::Result<TcpStream> {
    let mut stream = TcpStream::connect(server)?;
    stream.set_nodelay(true)?;
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: {server}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n{headers}\r\n"
    );
    stream.write_all(request.as_bytes())?;
    let head = head(&mut stream)?;
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    Ok(stream)
}

/// Reads the head of an answer.
///
/// # Errors
/// What the system says.
pub fn head(stream: &mut TcpStream) -> io::Result<String> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte)?;
        head.extend(byte);
    }
    String::from_utf8(head).map_err(|_| ErrorKind::InvalidData.into())
}

/// Where the echo is.
pub const PATH: &str = "/";
