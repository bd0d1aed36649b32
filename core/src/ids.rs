//! Handles that the embedder keeps: integers with a generation, so that a stale one is noticed and never followed.

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name {
            slot: u32,
            generation: u32,
        }

        impl $name {
            pub(crate) const fn new(slot: u32, generation: u32) -> Self {
                Self { slot, generation }
            }

            pub(crate) const fn slot(self) -> u32 {
                self.slot
            }

            pub(crate) const fn generation(self) -> u32 {
                self.generation
            }

            /// The id as one integer, for C and for logs. Never 0.
            pub const fn to_raw(self) -> u64 {
                (self.generation as u64) << 32 | self.slot as u64
            }

            /// Back from [`to_raw`](Self::to_raw). Any integer is safe: one that names nothing is stale.
            pub const fn from_raw(raw: u64) -> Self {
                Self { slot: raw as u32, generation: (raw >> 32) as u32 }
            }
        }
    };
}

id! {
    /// One byte stream: an accepted connection.
    SocketId
}
id! {
    /// One who speaks: a WebSocket's peer. Under SockJS it outlives its sockets.
    ClientId
}
id! {
    /// One question to the session store that waits for its answer.
    CallId
}
