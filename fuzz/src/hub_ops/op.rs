//! The operations, and the bytes they are made from: one for the kind, then its fields. Any bytes are operations.

use super::setup::Setup;

/// Something that is read from the fuzzer's bytes, and written as a seed.
pub trait Coded: Sized {
    /// The next one; `None` where the bytes end.
    fn read(input: &mut &[u8]) -> Option<Self>;
    /// Appends it.
    fn write(&self, out: &mut Vec<u8>);
}

/// Bytes with their length, at most 255, in front.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bytes(pub Vec<u8>);

macro_rules! coded {
    ($(#[$doc:meta])* pub enum $name:ident { $($(#[$about:meta])* $variant:ident { $($field:ident: $type:ty),* },)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub enum $name {
            $($(#[$about])* $variant { $(#[allow(missing_docs)] $field: $type),* },)*
        }

        impl Coded for $name {
            fn read(input: &mut &[u8]) -> Option<Self> {
                let readers: &[fn(&mut &[u8]) -> Option<Self>] =
                    &[$(|_input| Some(Self::$variant { $($field: Coded::read(_input)?),* })),*];
                let kind = usize::from(u8::read(input)?);
                readers[kind % readers.len()](input)
            }

            fn write(&self, out: &mut Vec<u8>) {
                let mut _kind = 0;
                $(
                    if let Self::$variant { $($field),* } = self {
                        out.push(_kind);
                        $($field.write(out);)*
                        return;
                    }
                    _kind += 1;
                )*
            }
        }
    };
}

coded! {
    /// One thing that happens. Sockets, clients, sessions and the like are picked by number, modulo how many there are;
    /// high numbers may name a socket that is gone.
    pub enum Op {
        /// A connection is accepted.
        Open { address: u8, secure: bool },
        /// A whole login on a connection of its own.
        Login { user: u8 },
        /// A connection is accepted and sends a handshake in order.
        Enter { address: u8, endpoint: u8, session: u8 },
        /// A handshake, perhaps with a flaw.
        Handshake { socket: u8, endpoint: u8, session: u8, flaw: u8, cut: u8 },
        /// Any other request.
        Request { socket: u8, page: u8, session: u8, body: u8, cut: u8 },
        /// A STOMP frame in a message of its own.
        Say { socket: u8, frame: Stomp, cut: u8 },
        /// A WebSocket frame with this first byte.
        Frame { socket: u8, first: u8, payload: Bytes, cut: u8 },
        /// A message of so many times 16 bytes.
        Bulk { socket: u8, blocks: u8, binary: bool, cut: u8 },
        /// Any bytes.
        Raw { socket: u8, bytes: Bytes, cut: u8 },
        /// The peer stops reading; so many times 16 bytes more fit into the kernel.
        Stall { socket: u8, blocks: u8 },
        /// The peer reads on.
        Unstall { socket: u8 },
        /// More was taken than there is.
        Exaggerate { socket: u8 },
        /// The peer ends its half.
        HangUp { socket: u8 },
        /// Time passes, and the hub is told whenever it asked to be.
        Wait { ms: u16 },
        /// Time passes, and the hub is told once.
        Jump { ms: u16 },
        /// A call with a time that goes back.
        GoBack { ms: u16 },
        /// The embedder stops to take actions, or resumes.
        Busy { on: bool },
        /// It takes some.
        Poll { count: u8 },
        /// The store answers on its own, or waits to be told to.
        Slow { on: bool },
        /// The store answers an open question: rightly or wrongly.
        Answer { call: u8, how: u8 },
        /// An answer to a question that is not open.
        Stale { raw: u8, how: u8 },
        /// Something befalls a session in the store, with or without a notice.
        Befall { session: u8, what: u8, notice: bool },
        /// A notice of something that may not have happened.
        Notice { session: u8, kind: u8, to: u8 },
        /// Notices come in, or do not.
        Notices { on: bool },
        /// The application publishes to a destination.
        Publish { destination: u8, blocks: u8, binary: bool },
        /// The application publishes to a user.
        PublishUser { user: u8, destination: u8, blocks: u8 },
        /// It answers a subscription.
        Reply { client: u8, destination: u8, blocks: u8 },
        /// It sends a raw message.
        Send { client: u8, blocks: u8, binary: bool },
        /// A client spoke in a protocol of the application's own.
        Activity { client: u8 },
        /// It answers a request.
        Respond { socket: u8, status: u8, change: u8, user: u8 },
        /// It ends clients.
        End { who: u8, index: u8, cause: u8 },
        /// The server goes down.
        Drain {},
    }
}

coded! {
    /// A STOMP frame of a client.
    pub enum Stomp {
        /// CONNECT.
        Connect { version: u8, beat: u8 },
        /// SEND.
        Send { destination: u8, blocks: u8, receipt: u8 },
        /// SUBSCRIBE.
        Subscribe { id: u8, destination: u8, receipt: u8 },
        /// UNSUBSCRIBE.
        Unsubscribe { id: u8, receipt: u8 },
        /// DISCONNECT.
        Disconnect { receipt: u8 },
        /// A line end.
        HeartBeat {},
        /// Any command, with any header and body.
        Odd { command: u8, header: Bytes, body: Bytes },
        /// A part of a frame: the rest comes with the next message.
        Part { bytes: Bytes },
    }
}

impl Coded for u8 {
    fn read(input: &mut &[u8]) -> Option<Self> {
        let (first, rest) = input.split_first()?;
        *input = rest;
        Some(*first)
    }

    fn write(&self, out: &mut Vec<u8>) {
        out.push(*self);
    }
}

impl Coded for bool {
    fn read(input: &mut &[u8]) -> Option<Self> {
        u8::read(input).map(|byte| byte & 1 == 1)
    }

    fn write(&self, out: &mut Vec<u8>) {
        out.push(u8::from(*self));
    }
}

impl Coded for u16 {
    fn read(input: &mut &[u8]) -> Option<Self> {
        Some(Self::from_le_bytes([u8::read(input)?, u8::read(input)?]))
    }

    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.to_le_bytes());
    }
}

impl Coded for Bytes {
    fn read(input: &mut &[u8]) -> Option<Self> {
        let len = usize::from(u8::read(input)?).min(input.len());
        let (bytes, rest) = input.split_at(len);
        *input = rest;
        Some(Self(bytes.to_vec()))
    }

    fn write(&self, out: &mut Vec<u8>) {
        let len = self.0.len().min(255);
        out.push(len as u8);
        out.extend_from_slice(&self.0[..len]);
    }
}

/// The input that is these operations.
pub fn encode(setup: &Setup, ops: &[Op]) -> Vec<u8> {
    let mut out = Vec::new();
    setup.write(&mut out);
    for op in ops {
        op.write(&mut out);
    }
    out
}
