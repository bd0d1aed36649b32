//! The SockJS protocol 0.3.3: what is asked for by which path, frames, how each transport wraps them, and the channel
//! that outlives its requests. It knows nothing of HTTP or of WebSockets: texts in, texts out.
//!
//! - [`Route`] tells what a path below a service's prefix asks for, [`Transport`] by what means;
//! - [`Messages`] reads what a client sends, [`push_string`] and its neighbours write frames;
//! - [`Transport::wrap`] writes a frame as its answer carries it;
//! - [`Channel`] keeps the order of open frame, messages and close frame over any number of receivers.
//!
//! Departures from other servers: a lone surrogate is no text and is refused (it could not be passed on in UTF-8), and only
//! arrays of strings are read.

mod callback;
mod channel;
mod form;
mod frame;
mod headers;
mod json;
mod page;
mod route;
mod transport;

pub use callback::{BadCallback, callback};
pub use channel::{Channel, Full, Turned};
pub use form::{Payload, payload};
pub use frame::{CONNECTION_INTERRUPTED, HEART_BEAT, OPEN, STILL_OPEN, push_close, push_messages};
pub use headers::{AGE_SECONDS, NO_CACHE, is_origin, jsessionid, long_lived, requested_headers};
pub use json::{BadJson, Messages, push_string};
pub use page::{WELCOME, iframe, info};
pub use route::{Method, NAME_BYTES, Route};
pub use transport::Transport;
