//! tokio-websockets, polled by hand.

use futures::{SinkExt, StreamExt};
use tokio_websockets::{Limits, Message, Payload, ServerBuilder, WebSocketStream};

use super::asynchronous::{Socket, poll_once};
use super::{Case, Feed, Reads, Sink, Writes};
use crate::wire::{Kind, MESSAGE_MAX, Tally};

pub(super) struct Reader {
    feed: Feed,
    socket: WebSocketStream<Socket>,
}

pub(super) struct Writer {
    kind: Kind,
    payload: bytes::Bytes,
    sink: Sink,
    socket: WebSocketStream<Socket>,
}

fn serve(socket: Socket) -> WebSocketStream<Socket> {
    ServerBuilder::new().limits(Limits::default().max_payload_len(Some(MESSAGE_MAX))).serve(socket)
}

impl Reader {
    pub(super) fn new(feed: Feed) -> Self {
        let socket = serve(Socket::reading(feed.clone()));
        Self { feed, socket }
    }
}

impl Reads for Reader {
    fn read(&mut self) -> Tally {
        self.feed.rewind();
        let mut tally = Tally::default();
        while let Some(message) = poll_once(self.socket.next()) {
            tally.add(message.expect("the socket stays open").expect("the frames are right").as_payload());
        }
        tally
    }
}

impl Writer {
    pub(super) fn new(case: Case) -> Self {
        let sink = Sink::default();
        let socket = serve(Socket::writing(sink.clone()));
        Self { kind: case.kind, payload: case.payload().into(), sink, socket }
    }
}

impl Writes for Writer {
    fn write(&mut self, times: usize) -> u64 {
        for _ in 0..times {
            let payload = Payload::from(self.payload.clone());
            let message = if self.kind == Kind::Binary { Message::binary(payload) } else { Message::text(payload) };
            poll_once(self.socket.feed(message)).expect("a sink is always ready").expect("a sink takes all");
        }
        poll_once(self.socket.flush()).expect("a sink is always ready").expect("a sink takes all");
        self.sink.counted()
    }
}
