//! A socket in memory: reads give at most so many bytes of the wire at a time, writes are counted.

use std::{cell::Cell, rc::Rc};

use crate::wire::Wire;

/// The reading end. Clones share their place, so that one can be handed to an implementation and the other rewind it.
#[derive(Debug, Clone)]
pub struct Feed {
    wire: Rc<[u8]>,
    at: Rc<Cell<usize>>,
    chunk: usize,
}

/// The writing end. It drops what it is given, and says how much that was.
#[derive(Debug, Clone, Default)]
pub struct Sink {
    taken: Rc<Cell<u64>>,
}

impl Feed {
    /// At the beginning of the wire.
    pub fn new(wire: &Wire, chunk: usize) -> Self {
        Self { wire: wire.bytes.clone(), at: Rc::new(Cell::new(0)), chunk }
    }

    /// Most bytes of one read.
    pub fn chunk(&self) -> usize {
        self.chunk
    }

    /// Back to the beginning.
    pub fn rewind(&self) {
        self.at.set(0);
    }

    /// Passes over what comes next, at most `room` bytes, and gives it; nothing at the end.
    #[inline]
    pub fn next(&self, room: usize) -> &[u8] {
        let at = self.at.get();
        let len = (self.wire.len() - at).min(self.chunk).min(room);
        self.at.set(at + len);
        &self.wire[at..at + len]
    }

    /// Copies what comes next, as a system call would: bytes copied, 0 at the end.
    #[inline]
    pub fn read(&self, buffer: &mut [u8]) -> usize {
        let bytes = self.next(buffer.len());
        buffer[..bytes.len()].copy_from_slice(bytes);
        bytes.len()
    }
}

impl Sink {
    /// Takes the bytes.
    #[inline]
    pub fn take(&self, bytes: &[u8]) -> usize {
        self.taken.set(self.taken.get() + std::hint::black_box(bytes).len() as u64);
        bytes.len()
    }

    /// Bytes taken since it was last asked.
    pub fn counted(&self) -> u64 {
        self.taken.replace(0)
    }
}
