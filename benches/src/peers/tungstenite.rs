//! tungstenite, blocking.

use tungstenite::protocol::{Role, WebSocketConfig};
use tungstenite::{Error, Message, Utf8Bytes, WebSocket};

use super::asynchronous::Socket;
use super::{Case, Feed, Reads, Sink, Writes};
use crate::wire::{Kind, MESSAGE_MAX, Tally};

pub(super) struct Reader {
    feed: Feed,
    socket: WebSocket<Socket>,
}

pub(super) struct Writer {
    message: Message,
    sink: Sink,
    socket: WebSocket<Socket>,
}

fn config() -> WebSocketConfig {
    WebSocketConfig::default().max_message_size(Some(MESSAGE_MAX)).max_frame_size(Some(MESSAGE_MAX))
}

impl Reader {
    pub(super) fn new(feed: Feed) -> Self {
        let socket = Socket::reading(feed.clone());
        Self { feed, socket: WebSocket::from_raw_socket(socket, Role::Server, Some(config())) }
    }
}

impl Reads for Reader {
    fn read(&mut self) -> Tally {
        self.feed.rewind();
        let mut tally = Tally::default();
        loop {
            match self.socket.read() {
                Ok(Message::Text(text)) => tally.add(text.as_bytes()),
                Ok(Message::Binary(bytes)) => tally.add(&bytes),
                Err(Error::Io(e)) if e.kind() == std::io::ErrorKind::WouldBlock => return tally,
                other => panic!("{other:?}"),
            }
        }
    }
}

impl Writer {
    pub(super) fn new(case: Case) -> Self {
        let payload = bytes::Bytes::from(case.payload());
        let message = match case.kind {
            Kind::Binary => Message::Binary(payload),
            Kind::Ascii | Kind::NonAscii => Message::Text(Utf8Bytes::try_from(payload).expect("text")),
        };
        let sink = Sink::default();
        let socket = WebSocket::from_raw_socket(Socket::writing(sink.clone()), Role::Server, Some(config()));
        Self { message, sink, socket }
    }
}

impl Writes for Writer {
    fn write(&mut self, times: usize) -> u64 {
        for _ in 0..times {
            self.socket.write(self.message.clone()).expect("a sink takes all");
        }
        self.socket.flush().expect("a sink takes all");
        self.sink.counted()
    }
}
