//! The implementations that tethered is measured against, each as its authors mean it to be used, on the same feed.
//!
//! The asynchronous ones are polled by hand with a waker that does nothing: no runtime is measured.

mod asynchronous;
pub mod c;
pub(crate) mod echo;
mod fastwebsockets;
mod soketto;
mod tokio_websockets;
mod tungstenite;
pub mod wslay;

use crate::feed::{Feed, Sink};
use crate::wire::Case;
use crate::{Named, Reads, Writes};

/// All of them, each with a feed of its own.
pub fn readers(feed: impl Fn() -> Feed) -> Vec<Named<dyn Reads>> {
    vec![
        ("tungstenite", Box::new(tungstenite::Reader::new(feed()))),
        ("fastwebsockets", Box::new(fastwebsockets::Reader::new(feed()))),
        ("tokio-websockets", Box::new(tokio_websockets::Reader::new(feed()))),
        ("soketto", Box::new(soketto::Reader::new(feed()))),
        ("wslay", Box::new(wslay::Reader::new(feed()))),
    ]
}

/// Those whose writing side is measured.
pub fn writers(case: Case) -> Vec<Named<dyn Writes>> {
    vec![
        ("tungstenite", Box::new(tungstenite::Writer::new(case))),
        ("fastwebsockets", Box::new(fastwebsockets::Writer::new(case))),
        ("tokio-websockets", Box::new(tokio_websockets::Writer::new(case))),
    ]
}
