//! One publisher, many subscribers, STOMP.

use std::io::{self, ErrorKind, Read, Write};
use std::mem::MaybeUninit;
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use tethered_core::ws::{Opcode, write_masked_frame};
use tethered_smol::Clock;

use super::load;

/// A publisher that sends a burst once all subscribers have the last one.
#[derive(Debug)]
pub struct Fan {
    epoll: rustix::fd::OwnedFd,
    subscribers: Vec<TcpStream>,
    publisher: TcpStream,
    burst: Vec<u8>,
    messages: u64,
    buffer: Vec<u8>,
}

impl Fan {
    /// Connects so many subscribers, and a publisher that sends so many messages of so many bytes at once.
    ///
    /// # Errors
    /// What the system says.
    pub fn connect(server: SocketAddr, subscribers: usize, messages: usize, bytes: usize) -> io::Result<Self> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        let mut all = Vec::with_capacity(subscribers);
        for token in 0..subscribers {
            let mut stream = stomp(server, OPEN, "")?;
            subscribe(&mut stream, "0", TOPIC)?;
            stream.set_nonblocking(true)?;
            epoll::add(&epoll, &stream, EventData::new_u64(token as u64), EventFlags::IN | EventFlags::ET)?;
            all.push(stream);
        }
        let mut body = vec![b'a'; bytes - 1];
        body.push(MARK);
        let frame = [format!("SEND\ndestination:{TOPIC}\n\n").as_bytes(), &body, b"\0"].concat();
        let mut burst = Vec::new();
        for i in 0..messages {
            write_masked_frame(&mut burst, true, Opcode::Text, [i as u8, 2, 3, 4], &frame);
        }
        let publisher = stomp(server, OPEN, "")?;
        let buffer = vec![0; 256 * 1024];
        Ok(Self { epoll, subscribers: all, publisher, burst, messages: messages as u64, buffer })
    }

    /// Publishes for so long. Returns how many deliveries there were.
    ///
    /// # Errors
    /// What the system says, and a connection that ends.
    pub fn run(&mut self, time: Duration) -> io::Result<u64> {
        let clock = Clock::start();
        let mut delivered = 0;
        while u128::from(clock.now().mono.as_millis()) < time.as_millis() {
            self.publisher.write_all(&self.burst)?;
            let wanted = self.messages * self.subscribers.len() as u64;
            let mut seen = 0;
            while seen < wanted {
                let mut space = [const { MaybeUninit::uninit() }; 256];
                let timeout = Timespec { tv_sec: 10, tv_nsec: 0 };
                let (events, _) = epoll::wait(&self.epoll, &mut space, Some(&timeout))?;
                if events.is_empty() {
                    return Err(ErrorKind::TimedOut.into());
                }
                for event in events {
                    let data = event.data;
                    seen += count(&mut self.subscribers[data.u64() as usize], &mut self.buffer)?;
                }
            }
            delivered += seen;
        }
        Ok(delivered)
    }
}

/// Counts the messages in what can be read: each has one mark, and nothing else here has that byte.
fn count(stream: &mut TcpStream, buffer: &mut [u8]) -> io::Result<u64> {
    let mut seen = 0;
    loop {
        match stream.read(buffer) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(len) => {
                seen += buffer[..len].iter().filter(|byte| **byte == MARK).count() as u64;
                if len < buffer.len() {
                    return Ok(seen);
                }
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(seen),
            Err(error) => return Err(error),
        }
    }
}

/// Opens a STOMP connection.
///
/// # Errors
/// What the system says.
pub fn stomp(server: SocketAddr, path: &str, headers: &str) -> io::Result<TcpStream> {
    let mut stream = load::open(server, path, headers)?;
    exchange(&mut stream, "CONNECT\naccept-version:1.2\nhost:localhost\n\n\0", "CONNECTED\n")?;
    Ok(stream)
}

/// Subscribes, and waits until that is so.
///
/// # Errors
/// What the system says.
pub fn subscribe(stream: &mut TcpStream, id: &str, destination: &str) -> io::Result<()> {
    exchange(stream, &format!("SUBSCRIBE\nid:{id}\ndestination:{destination}\nreceipt:r\n\n\0"), "RECEIPT\n")
}

fn exchange(stream: &mut TcpStream, frame: &str, answer: &str) -> io::Result<()> {
    let mut bytes = Vec::new();
    write_masked_frame(&mut bytes, true, Opcode::Text, [1, 2, 3, 4], frame.as_bytes());
    stream.write_all(&bytes)?;
    let mut head = [0; 2];
    stream.read_exact(&mut head)?;
    let mut body = vec![0; usize::from(head[1])];
    stream.read_exact(&mut body)?;
    let came = String::from_utf8_lossy(&body);
    if came.starts_with(answer) { Ok(()) } else { Err(io::Error::other(format!("{frame} was answered with {came}"))) }
}

/// A STOMP endpoint without login.
pub const OPEN: &str = "/open";
const TOPIC: &str = "/topic/fan";
/// Ends each body. Not the low byte of a frame's length as long as those are from 128 to 250 or from 256 to 379.
const MARK: u8 = b'|';
