//! The HTTP/1.1 of a server that takes WebSocket upgrades and hands every other request to its embedder.
//!
//! RFC 9110 and RFC 9112 as far as such a server needs them, RFC 6455 section 4.2 (the opening handshake, but for the
//! accept key), RFC 6454 (origins), RFC 6265 (cookies) and RFC 7239 (`Forwarded`). Where those leave a choice between
//! lenient and strict, this is strict: what two parsers may read in two ways is refused.
//!
//! The way of a request: [`HeadSearch::find`], [`parse`], [`Request::locate`], [`OriginRules::check`],
//! [`cookie::session_ids`], then [`upgrade::check`] or a [`BodyDecoder`]; back goes a [`Response`], a [`Chunked`] stream,
//! a [`Refusal`] or [`write_switching_protocols`].

mod authority;
mod body;
mod chunked;
pub mod cookie;
mod date;
mod dechunk;
mod forwarded;
mod framing;
mod grammar;
mod head;
mod limits;
mod network;
mod origin;
mod refusal;
mod request;
mod response;
mod search;
mod target;
pub mod upgrade;

pub use body::{BodyDecoder, CONTINUE};
pub use chunked::Chunked;
pub use cookie::Encoding;
pub(crate) use date::{civil, push_date};
pub use forwarded::{ForwardedStyle, Proxies};
pub use head::parse;
pub(crate) use head::parse_found;
pub use limits::Limits;
pub use network::BadNetwork;
pub use origin::{BadOrigin, OriginRules};
pub use refusal::Refusal;
pub use request::{Exchange, Request, Scheme, Version};
pub use response::{BadHeader, Response, reason, write_switching_protocols};
pub use search::HeadSearch;
pub use upgrade::Upgrade;
