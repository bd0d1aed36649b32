//! fastwebsockets, polled by hand.

use fastwebsockets::{Frame, OpCode, Payload, Role, WebSocket};

use super::asynchronous::{Socket, poll_once};
use super::{Case, Feed, Reads, Sink, Writes};
use crate::wire::{Kind, MESSAGE_MAX, Tally};

pub(super) struct Reader {
    feed: Feed,
    socket: WebSocket<Socket>,
}

pub(super) struct Writer {
    opcode: OpCode,
    payload: Vec<u8>,
    sink: Sink,
    socket: WebSocket<Socket>,
}

impl Reader {
    pub(super) fn new(feed: Feed) -> Self {
        let mut socket = WebSocket::after_handshake(Socket::reading(feed.clone()), Role::Server);
        socket.set_max_message_size(MESSAGE_MAX);
        Self { feed, socket }
    }
}

impl Reads for Reader {
    fn read(&mut self) -> Tally {
        self.feed.rewind();
        let mut tally = Tally::default();
        // Dropping the unfinished call loses nothing here: the feed ends between two frames.
        while let Some(frame) = poll_once(self.socket.read_frame()) {
            tally.add(&frame.expect("the frames are right").payload);
        }
        tally
    }
}

impl Writer {
    pub(super) fn new(case: Case) -> Self {
        let opcode = if case.kind == Kind::Binary { OpCode::Binary } else { OpCode::Text };
        let sink = Sink::default();
        let socket = WebSocket::after_handshake(Socket::writing(sink.clone()), Role::Server);
        Self { opcode, payload: case.payload(), sink, socket }
    }
}

impl Writes for Writer {
    fn write(&mut self, times: usize) -> u64 {
        for _ in 0..times {
            let frame = Frame::new(true, self.opcode, None, Payload::Borrowed(&self.payload));
            poll_once(self.socket.write_frame(frame)).expect("a sink is always ready").expect("a sink takes all");
        }
        poll_once(self.socket.flush()).expect("a sink is always ready").expect("a sink takes all");
        self.sink.counted()
    }
}
