//! soketto, polled by hand. It leaves the check of UTF-8 to its caller, so the reader here makes it.

use std::cell::Cell;
use std::pin::Pin;
use std::rc::Rc;

use soketto::connection::{Builder, Receiver};
use soketto::{Data, Mode};

use super::asynchronous::{Socket, poll_once};
use super::{Feed, Reads};
use crate::wire::{MESSAGE_MAX, Tally};

/// Its calls must not be dropped unfinished, so one future reads for ever and waits at the end of the feed.
pub(super) struct Reader {
    feed: Feed,
    tally: Rc<Cell<Tally>>,
    reading: Pin<Box<dyn Future<Output = ()>>>,
}

impl Reader {
    pub(super) fn new(feed: Feed) -> Self {
        let mut builder = Builder::new(Socket::reading(feed.clone()), Mode::Server);
        builder.set_max_message_size(MESSAGE_MAX);
        builder.set_max_frame_size(MESSAGE_MAX);
        let (_, receiver) = builder.finish();
        let tally = Rc::new(Cell::new(Tally::default()));
        let reading = Box::pin(read_for_ever(receiver, tally.clone()));
        Self { feed, tally, reading }
    }
}

async fn read_for_ever(mut receiver: Receiver<Socket>, seen: Rc<Cell<Tally>>) {
    let mut message = Vec::new();
    loop {
        message.clear();
        let data = receiver.receive_data(&mut message).await.expect("the frames are right");
        let mut tally = seen.get();
        match data {
            Data::Text(_) => tally.add(str::from_utf8(&message).expect("the text is UTF-8").as_bytes()),
            Data::Binary(_) => tally.add(&message),
        }
        seen.set(tally);
    }
}

impl Reads for Reader {
    fn read(&mut self) -> Tally {
        self.feed.rewind();
        self.tally.take();
        assert!(poll_once(self.reading.as_mut()).is_none());
        self.tally.get()
    }
}
