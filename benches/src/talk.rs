//! A hub whose clients are sent back what they say, by a transport of SockJS, without sockets.

use tethered_core::config::{Config, Endpoint, SockJs};
use tethered_core::hub::{Action, Event, Hub, Open, Payload};
use tethered_core::ids::SocketId;
use tethered_core::time::{Instant, Now, UnixMillis};
use tethered_core::ws::{Opcode, write_masked_frame};

use crate::echo::sockjs::{PREFIX, Transport, request};

/// Such clients, each with one message under way at a time.
#[derive(Debug)]
pub struct Talk {
    hub: Hub,
    transport: Transport,
    clients: Vec<Client>,
    dirty: Vec<SocketId>,
    sent: Vec<(SocketId, usize)>,
    came: Vec<u8>,
    delivered: usize,
    written: usize,
}

#[derive(Debug)]
struct Client {
    sender: SocketId,
    receiver: SocketId,
    /// What brings a message.
    say: Vec<u8>,
    /// What asks for the next one; empty: nothing has to.
    poll: Vec<u8>,
}

impl Talk {
    /// So many clients, by this transport. What they send is what the load of `sockjs_echo` sends.
    ///
    /// # Panics
    /// If the hub does not take them.
    pub fn new(transport: Transport, clients: usize) -> Self {
        let sockjs = SockJs { counted: false, stream_bytes: 1 << 40, ..SockJs::default() };
        let endpoints = vec![
            Endpoint { any_origin: true, ..Endpoint::raw("/echo") },
            Endpoint::raw(PREFIX).with_sockjs(sockjs),
            Endpoint::stomp("/stomp"),
        ];
        let mut config = Config { endpoints, ..Config::default() };
        let most = u32::try_from(clients).expect("a number of clients") * 2;
        (config.limits.per_address, config.limits.half_open_address) = (most, most);
        let mut talk = Self {
            hub: Hub::new(config, [7; 16], now()).expect("a valid configuration"),
            transport,
            clients: Vec::new(),
            dirty: Vec::new(),
            sent: Vec::new(),
            came: Vec::new(),
            delivered: 0,
            written: 0,
        };
        (0..clients).for_each(|n| talk.enter(n));
        talk
    }

    fn enter(&mut self, n: usize) {
        let path = format!("{PREFIX}/000/client{n}");
        let sender = self.open();
        if self.transport == Transport::WebSocket {
            let handshake = format!(
                "GET {path}/websocket HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                 Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
            );
            self.receive(sender, handshake.as_bytes());
            let mut say = Vec::new();
            write_masked_frame(&mut say, true, Opcode::Text, [1, 2, 3, 4], ARRAY);
            self.clients.push(Client { sender, receiver: sender, say, poll: Vec::new() });
        } else {
            let receiver = self.open();
            let ask = request(&path, self.transport.name(), b"");
            self.receive(receiver, &ask);
            let say = request(&path, "xhr_send", ARRAY);
            let poll = if self.transport == Transport::Xhr { ask } else { Vec::new() };
            if !poll.is_empty() {
                self.settle();
                self.receive(receiver, &poll);
            }
            self.clients.push(Client { sender, receiver, say, poll });
        }
        self.settle();
    }

    fn open(&mut self) -> SocketId {
        let address = Some([127, 0, 0, 1].into());
        self.hub.open(now(), Open { token: 0, address, secure: false }).expect("room")
    }

    fn receive(&mut self, socket: SocketId, bytes: &[u8]) {
        self.came.clear();
        self.came.extend_from_slice(bytes);
        self.hub.handle(now(), Event::Received { socket, bytes: &mut self.came });
    }

    /// Does what the server's loop does, but for the system calls.
    fn settle(&mut self) {
        loop {
            while let Some(action) = self.hub.poll() {
                match action {
                    Action::Write { socket, .. } => self.dirty.push(socket),
                    Action::Deliver { client, delivery, .. } => {
                        self.delivered += 1;
                        let text = str::from_utf8(&delivery.body).expect("it was checked");
                        self.hub.send(now(), client, Payload::Text(text));
                    }
                    _ => {}
                }
            }
            if self.dirty.is_empty() {
                return;
            }
            for socket in self.dirty.drain(..) {
                let len = self.hub.output(socket).map(<[u8]>::len).sum();
                self.written += len;
                self.sent.push((socket, len));
            }
            self.hub.sent(now(), &self.sent);
            self.sent.clear();
        }
    }

    /// Everybody says something so many times, some at a time, and gets it back. Returns how many messages that were.
    ///
    /// # Panics
    /// If something does not come back.
    #[inline(never)]
    pub fn echo(&mut self, times: usize) -> usize {
        let before = (self.delivered, self.written);
        let mut clients = std::mem::take(&mut self.clients);
        for _ in 0..times {
            for some in clients.chunks_mut(AT_ONCE) {
                for client in &*some {
                    self.receive(client.sender, &client.say);
                }
                self.settle();
                for client in some.iter().filter(|client| !client.poll.is_empty()) {
                    self.receive(client.receiver, &client.poll);
                }
            }
        }
        self.settle();
        let messages = clients.len() * times;
        self.clients = clients;
        assert_eq!(self.delivered - before.0, messages);
        assert!(self.written - before.1 >= messages * ARRAY.len(), "it comes back");
        messages
    }
}

/// The time, which stands still.
fn now() -> Now {
    Now { mono: Instant::from_millis(1), wall: UnixMillis::from_millis(1_700_000_000_000) }
}

const ARRAY: &[u8] = br#"["abcdefghijklmnop"]"#;
/// How many clients speak in one turn of the loop.
const AT_ONCE: usize = 10;
