//! tethered's own reader and writer.

use std::hint::black_box;

use tethered_core::config::{Config, Endpoint};
use tethered_core::hub::{Action, DeliveryKind, Event, Hub, Open, Payload};
use tethered_core::ids::SocketId;
use tethered_core::time::{Instant, Now, UnixMillis};
use tethered_core::ws::{self, Assembler, Incoming, Limits, Role, encode_head, write_frame};

use crate::feed::{Feed, Sink};
use crate::wire::{Case, MESSAGE_MAX, Tally};
use crate::{Reads, Writes};

/// A [`ws::Reader`], for a connection with a buffer of its own.
pub struct Reader {
    feed: Feed,
    reader: ws::Reader,
    limits: Limits,
}

/// An [`Assembler`] behind one buffer that all connections share, as in a server with many of them.
pub struct SharedReader {
    feed: Feed,
    assembler: Assembler,
    limits: Limits,
    buffer: Vec<u8>,
    partial: Vec<u8>,
}

/// [`write_frame`] into one buffer that is kept.
pub struct Writer {
    case: Case,
    payload: Vec<u8>,
    buffer: Vec<u8>,
    sink: Sink,
}

/// A head for each frame and the payload as it lies, as for `writev`: what many receivers of one message share.
pub struct LendingWriter(Writer);

/// As large as any implementation must take.
fn limits() -> Limits {
    Limits { frame_bytes: MESSAGE_MAX as u64, message_bytes: MESSAGE_MAX as u64, ..Limits::default() }
}

impl Reader {
    /// Reads from `feed`.
    pub fn new(feed: Feed) -> Self {
        Self { feed, reader: ws::Reader::new(Role::Server), limits: limits() }
    }
}

impl Reads for Reader {
    fn read(&mut self) -> Tally {
        self.feed.rewind();
        let mut tally = Tally::default();
        loop {
            let len = self.feed.read(self.reader.room(self.feed.chunk()));
            if len == 0 {
                return tally;
            }
            self.reader.filled(len);
            while let Some(incoming) = self.reader.next(&self.limits).expect("the frames are right") {
                if let Incoming::Text(bytes) | Incoming::Binary(bytes) = incoming {
                    tally.add(bytes);
                }
            }
        }
    }
}

impl SharedReader {
    /// Reads from `feed`, into a buffer of its chunk size.
    pub fn new(feed: Feed) -> Self {
        let buffer = vec![0; feed.chunk()];
        Self { feed, assembler: Assembler::new(Role::Server), limits: limits(), buffer, partial: Vec::new() }
    }
}

impl Reads for SharedReader {
    fn read(&mut self) -> Tally {
        self.feed.rewind();
        let mut tally = Tally::default();
        loop {
            let len = self.feed.read(&mut self.buffer);
            if len == 0 {
                return tally;
            }
            let mut input = &mut self.buffer[..len];
            while let Some(incoming) =
                self.assembler.next(&self.limits, &mut input, &mut self.partial).expect("the frames are right")
            {
                if let Incoming::Text(bytes) | Incoming::Binary(bytes) = incoming {
                    tally.add(bytes);
                }
            }
        }
    }
}

impl Writer {
    /// Writes messages of this kind and size.
    pub fn new(case: Case) -> Self {
        Self { case, payload: case.payload(), buffer: Vec::new(), sink: Sink::default() }
    }
}

impl Writes for Writer {
    fn write(&mut self, times: usize) -> u64 {
        self.buffer.clear();
        for _ in 0..times {
            write_frame(&mut self.buffer, true, self.case.kind.opcode(), &self.payload);
        }
        self.sink.take(&self.buffer);
        self.sink.counted()
    }
}

impl LendingWriter {
    /// Writes messages of this kind and size.
    pub fn new(case: Case) -> Self {
        Self(Writer::new(case))
    }
}

impl Writes for LendingWriter {
    fn write(&mut self, times: usize) -> u64 {
        let Self(Writer { case, payload, sink, .. }) = self;
        for _ in 0..times {
            sink.take(&encode_head(true, case.kind.opcode(), payload.len() as u64));
            sink.take(payload);
        }
        sink.counted()
    }
}

/// A whole hub with one socket on which a feed comes in. Its messages are sent back if it `echoes`.
#[derive(Debug)]
pub struct Door {
    echoes: bool,
    feed: Feed,
    hub: Hub,
    socket: SocketId,
    buffer: Vec<u8>,
}

impl Door {
    /// Reads from `feed`, behind a handshake.
    ///
    /// # Panics
    /// If the hub cannot be set up like this.
    pub fn new(feed: Feed, echoes: bool) -> Self {
        let endpoint =
            Endpoint { message_bytes: Some(MESSAGE_MAX as u64), out_bytes: Some(MESSAGE_MAX), ..Endpoint::raw("/") };
        let config = Config { endpoints: vec![endpoint], ..Config::default() };
        let mut hub = Hub::new(config, [7; 16], now()).expect("a configuration");
        let socket = hub.open(now(), Open { token: 0, address: None, secure: false }).expect("room");
        let buffer = vec![0; feed.chunk()];
        let mut door = Self { echoes: true, feed, hub, socket, buffer };
        let mut tally = Tally::default();
        door.take(&mut HANDSHAKE.to_vec(), &mut tally);
        assert!(tally.bytes > 100 && tally.messages == 0, "it opens: {tally:?}");
        door.echoes = echoes;
        door
    }

    fn take(&mut self, bytes: &mut [u8], tally: &mut Tally) {
        self.hub.handle(now(), Event::Received { socket: self.socket, bytes });
        while let Some(action) = self.hub.poll() {
            match action {
                Action::Deliver { delivery, .. } if !self.echoes => tally.add(&delivery.body),
                Action::Deliver { client, delivery, .. } => {
                    tally.messages += 1;
                    let payload = match delivery.kind {
                        DeliveryKind::Text => Payload::Text(str::from_utf8(&delivery.body).expect("it was checked")),
                        _ => Payload::Binary(&delivery.body),
                    };
                    self.hub.send(now(), client, payload);
                }
                Action::Write { socket, .. } => {
                    let len = self.hub.output(socket).map(<[u8]>::len).sum();
                    self.hub.handle(now(), Event::Sent { socket, len });
                    tally.bytes += len as u64;
                }
                _ => {}
            }
        }
        // As each turn of a loop asks it; in C the poll says it.
        black_box(self.hub.next_deadline());
    }
}

impl Reads for Door {
    /// The messages, and the bytes that come in, or that go out.
    fn read(&mut self) -> Tally {
        self.feed.rewind();
        let mut tally = Tally::default();
        let mut buffer = std::mem::take(&mut self.buffer);
        loop {
            let len = self.feed.read(&mut buffer);
            if len == 0 {
                self.buffer = buffer;
                return tally;
            }
            self.take(&mut buffer[..len], &mut tally);
        }
    }
}

/// The time, which stands still.
fn now() -> Now {
    Now { mono: Instant::from_millis(1), wall: UnixMillis::from_millis(1_700_000_000_000) }
}

/// Opens a WebSocket at `/`.
pub const HANDSHAKE: &[u8] = b"GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
