//! tethered's own reader and writer.

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
