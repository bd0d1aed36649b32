//! A client: a browser tab that logs in nowhere, speaks STOMP over a WebSocket, and reads at its own pace.

use bytes::BytesMut;
use tethered_core::http::{Encoding, cookie};
use tethered_core::ids::SocketId;
use tethered_core::stomp::{Command, Decoder, Encoder, Item, Limits as StompLimits, Version};
use tethered_core::ws::{self, Assembler, Incoming, Limits, Opcode, Role};

/// What a client has read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Seen {
    Refused(u16),
    Open,
    Connected,
    Message { body: String },
    Receipt,
    Error,
    Close { code: u16, reason: String },
}

pub(crate) struct Client {
    pub(crate) hub: usize,
    pub(crate) socket: Option<SocketId>,
    pub(crate) session: usize,
    /// Bytes on their way to the hub.
    pub(crate) outbox: Vec<u8>,
    /// Something is among them that may renew the session.
    pub(crate) renews: bool,
    /// The hub wants no more.
    pub(crate) reading_off: bool,
    /// Milliseconds between two reads; a slow reader has many.
    pub(crate) pace: u64,
    /// Largest piece in either direction.
    pub(crate) piece: usize,
    pub(crate) open: bool,
    pub(crate) connected: bool,
    pub(crate) closed: bool,
    /// It has said its last word: DISCONNECT, or what the server answers with ERROR.
    pub(crate) parted: bool,
    pub(crate) refused: bool,
    /// It has read a Close.
    pub(crate) over: bool,
    /// The hub has shut its half.
    pub(crate) shut: bool,
    /// Whether it ever answers a Close or ends the connection by itself.
    pub(crate) polite: bool,
    pub(crate) sent: u32,
    head: Vec<u8>,
    assembler: Assembler,
    partial: Vec<u8>,
    decoder: Decoder,
    frame: Vec<u8>,
}

impl Client {
    pub(crate) fn new(hub: usize, session: usize, pace: u64, piece: usize, polite: bool) -> Self {
        Self {
            hub,
            socket: None,
            session,
            outbox: Vec::new(),
            renews: false,
            reading_off: false,
            pace,
            piece,
            open: false,
            connected: false,
            closed: false,
            parted: false,
            refused: false,
            over: false,
            shut: false,
            polite,
            sent: 0,
            head: Vec::new(),
            assembler: Assembler::new(Role::Client),
            partial: Vec::new(),
            decoder: Decoder::client(),
            frame: Vec::new(),
        }
    }

    pub(crate) fn handshake(&mut self, id: &str) {
        let cookie = cookie::encode_value(id, Encoding::Base64);
        self.renews = true;
        self.outbox.extend_from_slice(
            format!(
                "GET /stomp HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                 Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nCookie: SESSION={cookie}\r\n\r\n"
            )
            .as_bytes(),
        );
    }

    pub(crate) fn login(&mut self, user: &str) {
        self.outbox.extend_from_slice(format!("GET /login?{user} HTTP/1.1\r\nHost: h\r\n\r\n").as_bytes());
    }

    pub(crate) fn say(&mut self, command: Command, headers: &[(&str, &str)], body: &[u8]) {
        self.renews = true;
        let mut out = BytesMut::new();
        Encoder::new(Version::V1_2).frame(&mut out, command, headers.iter().copied(), body);
        self.message(Opcode::Text, &out);
    }

    pub(crate) fn message(&mut self, opcode: Opcode, payload: &[u8]) {
        ws::write_masked_frame(&mut self.outbox, true, opcode, [7, 1, 250, 64], payload);
    }

    /// Whether it has read a part of a frame, and not the rest.
    pub(crate) fn within_frame(&self) -> bool {
        !self.assembler.is_fresh()
    }

    /// Reads what the server wrote.
    pub(crate) fn read(&mut self, bytes: &[u8]) -> Vec<Seen> {
        assert!(!self.over, "behind a Close: {}", bytes.escape_ascii());
        let mut seen = Vec::new();
        if self.refused {
            return seen;
        }
        let mut owned;
        let bytes = if self.open {
            bytes
        } else {
            self.head.extend_from_slice(bytes);
            let Some(end) = self.head.windows(4).position(|w| w == b"\r\n\r\n").map(|at| at + 4) else { return seen };
            let status = std::str::from_utf8(&self.head[9..12]).ok().and_then(|s| s.parse().ok()).expect("a status");
            if status != 101 {
                seen.push(Seen::Refused(status));
                self.refused = true;
                return seen;
            }
            self.open = true;
            seen.push(Seen::Open);
            owned = self.head.split_off(end);
            &owned.split_off(0)
        };
        let mut input = bytes.to_vec();
        let mut input = &mut input[..];
        let mut partial = std::mem::take(&mut self.partial);
        let limits = Limits::default();
        while let Some(incoming) =
            self.assembler.next(&limits, &mut input, &mut partial).expect("the server writes valid frames")
        {
            match incoming {
                Incoming::Text(text) | Incoming::Binary(text) => {
                    let mut input = text;
                    let limits = StompLimits::default();
                    let mut frame = std::mem::take(&mut self.frame);
                    while let Some(item) =
                        self.decoder.next(&limits, &mut input, &mut frame).expect("the server writes valid STOMP")
                    {
                        let Item::Frame(frame) = item else { continue };
                        seen.push(match frame.command() {
                            Command::Connected => Seen::Connected,
                            Command::Message => {
                                Seen::Message { body: String::from_utf8(frame.body().to_vec()).expect("what was sent") }
                            }
                            Command::Receipt => Seen::Receipt,
                            Command::Error => Seen::Error,
                            other => panic!("the server sent {other:?}"),
                        });
                        self.decoder.set_version(Version::V1_2);
                    }
                    self.frame = frame;
                }
                Incoming::Ping(_) => {
                    if self.polite {
                        let payload = [];
                        ws::write_masked_frame(&mut self.outbox, true, Opcode::Pong, [1, 2, 3, 4], &payload);
                    }
                }
                Incoming::Pong(_) => {}
                Incoming::Close(close) => {
                    assert!(input.is_empty(), "behind a Close: {}", input.escape_ascii());
                    self.over = true;
                    let close = close.map_or((1005, String::new()), |c| (c.code, c.reason.to_owned()));
                    seen.push(Seen::Close { code: close.0, reason: close.1 });
                }
            }
        }
        self.partial = partial;
        seen
    }
}
