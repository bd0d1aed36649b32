//! The accepted sockets, and what the driver has to remember of each.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, IoSlice, Write};
use std::net::{Shutdown, TcpStream};

#[cfg(target_os = "linux")]
use rustix::net::{RecvFlags, SendFlags};
use slab::Slab;
use tethered_core::hub::{Event, Hub};
use tethered_core::ids::SocketId;
use tethered_core::time::Now;

use crate::ready::{Change, Ready, Watched};

/// One accepted socket. There are as many as there are clients: it holds no buffer.
#[derive(Debug)]
struct Connection {
    stream: Watched<TcpStream>,
    id: SocketId,
    /// There may be something to read. Said once by the system, so it is kept until a read comes back empty.
    readable: bool,
    /// The peer has ended its half: a read that came back short was not the last.
    ending: bool,
    /// The hub wants to hear of it.
    reading: bool,
    /// The hub was told of its end; nothing is read after that.
    ended: bool,
    /// The last write came back short.
    blocked: bool,
    /// It waits for its turn to be read.
    in_line: bool,
    /// It has output to be written before the next wait.
    dirty: bool,
}

/// All accepted sockets.
#[derive(Debug)]
pub(crate) struct Connections {
    all: Slab<Connection>,
    /// Those that can be read, in the order of their turns. A slot in here may be somebody else's by now, which costs
    /// one look.
    line: VecDeque<usize>,
    dirty: Vec<usize>,
    buffer: Box<[u8]>,
    /// What was read into it, in that order, with the length; `None`: that is the end of the socket.
    came: Vec<(SocketId, Option<usize>)>,
    /// What was written, and is still to be told.
    taken: Vec<(SocketId, usize)>,
}

impl Connections {
    pub(crate) fn new() -> Self {
        Self {
            all: Slab::new(),
            line: VecDeque::new(),
            dirty: Vec::new(),
            buffer: vec![0; TURN_BYTES + BATCH_BYTES].into_boxed_slice(),
            came: Vec::with_capacity(AT_ONCE),
            taken: Vec::with_capacity(AT_ONCE),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.all.len()
    }

    /// Whether somebody waits for a turn.
    pub(crate) fn is_busy(&self) -> bool {
        !self.line.is_empty()
    }

    /// The token that the next socket will have.
    pub(crate) fn next_token(&self) -> usize {
        self.all.vacant_key()
    }

    /// Takes in a socket whose token is [`next_token`](Self::next_token).
    pub(crate) fn enter(&mut self, ready: &mut Ready, stream: TcpStream, id: SocketId) -> io::Result<()> {
        let token = self.all.vacant_key();
        let stream = ready.watch(token, stream)?;
        self.all.insert(Connection {
            stream,
            id,
            readable: false,
            ending: false,
            reading: true,
            ended: false,
            blocked: false,
            in_line: false,
            dirty: false,
        });
        Ok(())
    }

    /// Notes what is new about a socket.
    pub(crate) fn changed(&mut self, hub: &mut Hub, now: Now, change: Change) {
        let Some(it) = self.all.get_mut(change.token) else { return };
        it.ending |= change.ending;
        if change.writable && it.blocked {
            it.blocked = false;
            self.set_dirty(change.token);
            // The hub lends what may cross at the time that it knows, and perhaps nothing else tells it of this one.
            hub.handle(now, Event::Tick);
        }
        let Some(it) = self.all.get_mut(change.token) else { return };
        if change.failed && !it.reading && !it.ended {
            it.ended = true;
            hub.handle(now, Event::Closed { socket: it.id });
        }
        if change.readable {
            it.readable = true;
            self.line_up(change.token);
        }
    }

    /// Reads once from each socket whose turn it is, as long as that is not too much for one turn of the server. Some are
    /// read before what came is handled: each of the two then finds the processor's caches as it left them.
    pub(crate) fn read(&mut self, hub: &mut Hub, now: Now) {
        let (mut turns, mut left) = (self.line.len(), BATCH_BYTES);
        while turns > 0 && left > 0 {
            let mut filled = 0;
            while turns > 0 && filled + TURN_BYTES <= self.buffer.len() && self.came.len() < AT_ONCE {
                turns -= 1;
                let Some(token) = self.line.pop_front() else { break };
                filled += self.read_one(token, filled);
            }
            let mut rest = &mut *self.buffer;
            for (socket, came) in self.came.drain(..) {
                let Some(len) = came else {
                    hub.handle(now, Event::Closed { socket });
                    continue;
                };
                let (bytes, behind) = rest.split_at_mut(len);
                rest = behind;
                hub.handle(now, Event::Received { socket, bytes });
            }
            left = left.saturating_sub(filled);
        }
    }

    /// Reads from one socket to this place in the buffer. Returns how much.
    fn read_one(&mut self, token: usize, at: usize) -> usize {
        let Some(it) = self.all.get_mut(token) else { return 0 };
        it.in_line = false;
        if !it.readable || !it.reading || it.ended {
            return 0;
        }
        match receive(it.stream.get(), &mut self.buffer[at..at + TURN_BYTES]) {
            Ok(len @ 1..) => {
                self.came.push((it.id, Some(len)));
                if len == TURN_BYTES || it.ending {
                    self.line_up(token);
                } else {
                    // A short read: the next byte makes the socket readable anew (epoll(7), on edges).
                    it.readable = false;
                    it.stream.drained();
                }
                len
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                it.readable = false;
                it.stream.drained();
                0
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {
                self.line_up(token);
                0
            }
            Ok(0) | Err(_) => {
                it.ended = true;
                self.came.push((it.id, None));
                0
            }
        }
    }

    /// There is output for this socket.
    pub(crate) fn set_dirty(&mut self, token: usize) {
        if let Some(it) = self.all.get_mut(token)
            && !it.blocked
            && !std::mem::replace(&mut it.dirty, true)
        {
            self.dirty.push(token);
        }
    }

    /// Writes what there is for the sockets that have output. Returns whether there were any. As with reading, some are
    /// written to before the hub is told.
    pub(crate) fn write(&mut self, hub: &mut Hub, now: Now) -> bool {
        let any = !self.dirty.is_empty();
        let mut dirty = std::mem::take(&mut self.dirty);
        let mut failed = Vec::new();
        while !dirty.is_empty() {
            for tokens in dirty.chunks(AT_ONCE) {
                for &token in tokens {
                    let Some(it) = self.all.get_mut(token) else { continue };
                    it.dirty = false;
                    match write_some(it.stream.get(), hub, it.id) {
                        Wrote::Nothing => {}
                        Wrote::All { len } => self.taken.push((it.id, len)),
                        Wrote::Some { len } => {
                            self.taken.push((it.id, len));
                            it.dirty = true;
                            self.dirty.push(token);
                        }
                        Wrote::Short { len } => {
                            self.taken.push((it.id, len));
                            it.blocked = true;
                            it.stream.blocked();
                        }
                        Wrote::Failed => {
                            it.ended = true;
                            failed.push(it.id);
                        }
                    }
                }
                hub.sent(now, &self.taken);
                self.taken.clear();
                for socket in failed.drain(..) {
                    hub.handle(now, Event::Closed { socket });
                }
            }
            dirty.clear();
            std::mem::swap(&mut dirty, &mut self.dirty);
        }
        self.dirty = dirty;
        any
    }

    pub(crate) fn set_reading(&mut self, token: usize, socket: SocketId, on: bool) {
        if let Some(it) = self.of(token, socket) {
            it.reading = on;
            if on {
                self.line_up(token);
            }
        }
    }

    pub(crate) fn shut(&mut self, token: usize, socket: SocketId) {
        if let Some(it) = self.of(token, socket) {
            // It fails where the peer is gone, which the next read tells.
            let _ = it.stream.get().shutdown(Shutdown::Write);
        }
    }

    pub(crate) fn close(&mut self, token: usize, socket: SocketId) {
        if self.of(token, socket).is_some() {
            self.all.remove(token);
        }
    }

    fn of(&mut self, token: usize, socket: SocketId) -> Option<&mut Connection> {
        self.all.get_mut(token).filter(|it| it.id == socket)
    }

    fn line_up(&mut self, token: usize) {
        if let Some(it) = self.all.get_mut(token)
            && it.readable
            && it.reading
            && !it.ended
            && !std::mem::replace(&mut it.in_line, true)
        {
            self.line.push_back(token);
        }
    }
}

/// What came of a write.
enum Wrote {
    /// There was nothing to write.
    Nothing,
    All {
        len: usize,
    },
    /// As much as one write takes; more waits.
    Some {
        len: usize,
    },
    /// The system takes no more for now.
    Short {
        len: usize,
    },
    Failed,
}

fn write_some(mut stream: &TcpStream, hub: &Hub, socket: SocketId) -> Wrote {
    let mut output = hub.output(socket);
    let Some(first) = output.next() else { return Wrote::Nothing };
    let second = output.next();
    let (mut len, mut more) = (first.len(), false);
    let written = if let Some(second) = second {
        let mut slices = [IoSlice::new(&[]); SLICES];
        let mut count = 0;
        for (slice, bytes) in slices.iter_mut().zip([first, second].into_iter().chain(output)) {
            *slice = IoSlice::new(bytes);
            count += 1;
        }
        len = slices.iter().map(|slice| slice.len()).sum();
        more = count == SLICES;
        retry(|| stream.write_vectored(&slices[..count]))
    } else {
        retry(|| send(stream, first))
    };
    match written {
        Ok(written) if written < len => Wrote::Short { len: written },
        Ok(len) if more => Wrote::Some { len },
        Ok(len) => Wrote::All { len },
        Err(error) if error.kind() == ErrorKind::WouldBlock => Wrote::Short { len: 0 },
        Err(_) => Wrote::Failed,
    }
}

/// The C library's functions for these two may be cancelled, which costs a thirtieth of a message and nobody needs here.
#[cfg(target_os = "linux")]
fn receive(stream: &TcpStream, buffer: &mut [u8]) -> io::Result<usize> {
    let (len, _) = rustix::net::recv(stream, buffer, RecvFlags::empty())?;
    Ok(len)
}

#[cfg(target_os = "linux")]
fn send(stream: &TcpStream, bytes: &[u8]) -> io::Result<usize> {
    // A peer that has gone is an error of this write, not a signal to the process.
    Ok(rustix::net::send(stream, bytes, SendFlags::NOSIGNAL)?)
}

#[cfg(not(target_os = "linux"))]
fn receive(mut stream: &TcpStream, buffer: &mut [u8]) -> io::Result<usize> {
    io::Read::read(&mut stream, buffer)
}

#[cfg(not(target_os = "linux"))]
fn send(mut stream: &TcpStream, bytes: &[u8]) -> io::Result<usize> {
    stream.write(bytes)
}

fn retry(mut write: impl FnMut() -> io::Result<usize>) -> io::Result<usize> {
    loop {
        match write() {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

/// TURN: bytes of one socket that are read before the next one's turn.
const TURN_BYTES: usize = 64 * 1024;
/// Bytes that are read before what came of them is written.
const BATCH_BYTES: usize = 256 * 1024;
/// How many sockets are read before what came is handled, or written to before that is told.
const AT_ONCE: usize = 256;
/// Slices that one write takes.
const SLICES: usize = 64;

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use tethered_core::config::{Config, Endpoint, Login};
    use tethered_core::http;
    use tethered_core::hub::{self, Action, Open, Payload, Response};
    use tethered_core::ids::ClientId;
    use tethered_core::time::{Instant, UnixMillis};

    use super::*;

    #[test]
    fn a_connection_costs_a_few_bytes() {
        // A source of async-io's is counted without what lies behind it.
        let most = if cfg!(all(target_os = "linux", not(feature = "portable"))) { 24 } else { 48 };
        assert!(size_of::<Connection>() <= most, "{}", size_of::<Connection>());
    }

    #[test]
    fn what_can_be_written_at_last_may_have_to_stay() {
        for (at_ms, lent) in [(1_002, 1), (1_003, 0)] {
            let endpoint = Endpoint { login: Login::Required, ..Endpoint::raw("/ws") };
            let mut config = Config { endpoints: vec![endpoint], ..Config::default() };
            config.session.timeout_ms = 1_000;
            let mut hub = Hub::new(config, [7; 16], at(0)).expect("a configuration in order");
            let mut connections = Connections::new();
            let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
            let _peer = TcpStream::connect(listener.local_addr().expect("an address")).expect("it listens");
            let (stream, _) = listener.accept().expect("somebody waits");
            let id = hub.open(at(3), Open { token: 0, address: None, secure: false }).expect("there is room");
            connections.enter(&mut Ready::new().expect("a way to wait"), stream, id).expect("it is watched");
            let client = join(&mut hub, id);
            connections.all[0].blocked = true;
            hub.send(at(1_000), client, Payload::Text("queued while it could not be written"));
            assert_eq!(hub.output(id).count(), 1);
            let change = Change { token: 0, readable: false, writable: true, ending: false, failed: false };
            connections.changed(&mut hub, at(at_ms), change);
            assert_eq!(hub.output(id).count(), lent, "the session ended at 1,003, which a timer tells at 1,008");
        }
    }

    fn at(ms: u64) -> Now {
        Now { mono: Instant::from_millis(ms), wall: UnixMillis::from_millis(ms) }
    }

    /// Logs in and opens the WebSocket, all of it at 3 ms.
    fn join(hub: &mut Hub, socket: SocketId) -> ClientId {
        hub.handle(at(3), Event::Received { socket, bytes: &mut b"GET / HTTP/1.1\r\nHost: h\r\n\r\n".to_owned() });
        loop {
            match hub.poll().expect("something is to be done") {
                Action::Request { socket, .. } => {
                    let login = hub::Change::Login { principal: "rob".into(), attributes: Vec::new() };
                    hub.respond(at(3), socket, Response { http: http::Response::new(204), session: login });
                    let answer = String::from_utf8(hub.output(socket).flatten().copied().collect()).expect("a head");
                    hub.handle(at(3), Event::Sent { socket, len: answer.len() });
                    let cookie = answer.split_once("Set-Cookie: ").expect("a cookie").1.split(';').next();
                    let head = format!(
                        "GET /ws HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nCookie: {}\r\n\
                         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
                        cookie.expect("a pair")
                    );
                    hub.handle(at(3), Event::Received { socket, bytes: &mut head.into_bytes() });
                    hub.handle(at(3), Event::Sent { socket, len: usize::MAX });
                }
                Action::Joined { client, .. } => return client,
                _ => {}
            }
        }
    }
}
