//! What the benches share: the bytes they feed, the ends that read and write them, and two meters, of allocations and of
//! processor time.

pub mod crowd;
pub mod echo;
pub mod feed;
pub mod meter;
pub mod mixed;
pub mod ours;
#[cfg(feature = "peers")]
pub mod peers;
pub mod talk;
pub mod wire;

use feed::Feed;
use wire::{Case, Tally};

/// One implementation that reads frames from a [`Feed`].
pub trait Reads {
    /// Reads all that the feed holds from its beginning: what it saw, which must be what was written.
    fn read(&mut self) -> Tally;
}

/// One implementation that writes frames.
pub trait Writes {
    /// Writes one message so many times, and flushes: bytes that reached the socket.
    fn write(&mut self, times: usize) -> u64;
}

/// An implementation by its name.
pub type Named<T> = (&'static str, Box<T>);

/// All readers there are in this build, ours first, each with a feed of its own.
pub fn readers(case: Case, chunk: usize) -> Vec<Named<dyn Reads>> {
    let wire = case.wire();
    let feed = || Feed::new(&wire, chunk);
    let mut all: Vec<Named<dyn Reads>> = vec![
        ("tethered", Box::new(ours::Reader::new(feed()))),
        ("tethered, one buffer for all", Box::new(ours::SharedReader::new(feed()))),
    ];
    #[cfg(feature = "peers")]
    all.extend(peers::readers(feed));
    all.iter_mut()
        .for_each(|(name, reader)| assert_eq!(reader.read(), wire.tally, "{name} must read what was written"));
    all
}

/// All writers there are in this build, ours first.
pub fn writers(case: Case) -> Vec<Named<dyn Writes>> {
    let mut all: Vec<Named<dyn Writes>> = vec![
        ("tethered", Box::new(ours::Writer::new(case))),
        ("tethered, payload lent", Box::new(ours::LendingWriter::new(case))),
    ];
    #[cfg(feature = "peers")]
    all.extend(peers::writers(case));
    for (name, writer) in &mut all {
        assert_eq!(writer.write(3), 3 * case.frame_bytes(), "{name} must write what it was given");
    }
    all
}
