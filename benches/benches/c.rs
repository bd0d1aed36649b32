//! What the C interface costs beside Rust's own door and beside wslay, in memory:
//! `cargo bench -p tethered-benches --features peers --bench c`. Prints Markdown; with words behind `--` only the tables
//! whose title has one of them.

use std::time::Duration;

use tethered_benches::feed::Feed;
use tethered_benches::meter::cpu_time;
use tethered_benches::peers::{c, wslay};
use tethered_benches::wire::{Case, Kind};
use tethered_benches::{Reads, ours, readers};

fn main() {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let wanted = |title: &str| words.is_empty() || words.iter().any(|word| title.contains(word.as_str()));
    for chunk in CHUNKS.into_iter().filter(|_| wanted("Decode")) {
        println!("\nDecode, reads of {} KiB:\n", chunk >> 10);
        head();
        for case in cases() {
            let wire = case.wire();
            let take = |name: &str| {
                let found = readers(case, chunk).into_iter().find(|(it, _)| *it == name);
                found.map(|(_, reader)| reader).expect("one of the readers")
            };
            let through_c = Box::new(c::Reader::new(Feed::new(&wire, chunk)));
            row(case, [take("tethered, one buffer for all"), through_c, take("wslay")], wire.tally.bytes);
        }
    }
    for (title, echoes) in [("From bytes to actions", false), ("Echo", true)].into_iter().filter(|it| wanted(it.0)) {
        for chunk in CHUNKS {
            println!("\n{title}, reads of {} KiB:\n", chunk >> 10);
            head();
            for case in cases() {
                let wire = case.wire();
                let feed = || Feed::new(&wire, chunk);
                let (ours, c) = (ours::Door::new(feed(), echoes), c::Door::new(feed(), echoes));
                let wslay: Box<dyn Reads> =
                    if echoes { Box::new(wslay::Echo::new(feed())) } else { Box::new(wslay::Reader::new(feed())) };
                let bytes = if echoes { wire.tally.messages * case.frame_bytes() } else { wire.tally.bytes };
                row(case, [Box::new(ours), Box::new(c), wslay], bytes);
            }
        }
    }
}

fn cases() -> impl Iterator<Item = Case> {
    [16, 128, 1_024, 16_384].into_iter().flat_map(|size| [Kind::Binary, Kind::Ascii].map(|kind| Case { kind, size }))
}

fn head() {
    println!("| message | through Rust | through C | C over Rust | wslay |");
    println!("| --- | ---: | ---: | ---: | ---: |");
}

/// Nanoseconds a message of each, what C adds, and how many times C the other is.
fn row(case: Case, mut all: [Box<dyn Reads>; 3], bytes: u64) {
    let mut best = [f64::INFINITY; 3];
    for reader in &mut all {
        let tally = reader.read();
        assert_eq!((tally.messages, tally.bytes), (case.messages() as u64, bytes), "what was read is what was written");
    }
    for _ in 0..ROUNDS {
        for (reader, best) in all.iter_mut().zip(&mut best) {
            *best = best.min(turn(&mut **reader) / case.messages() as f64);
        }
    }
    let [rust, c, wslay] = best;
    let kind = case.kind.name();
    println!("| {} B {kind} | {rust:.1} | {c:.1} | {:+.1} | {wslay:.0} ({:.1}×) |", case.size, c - rust, wslay / c);
}

/// Nanoseconds of one run, measured over enough of them.
fn turn(reader: &mut dyn Reads) -> f64 {
    let (start, mut runs) = (cpu_time(), 0_u32);
    loop {
        for _ in 0..4 {
            std::hint::black_box(reader.read());
        }
        runs += 4;
        let spent = cpu_time() - start;
        if spent >= TURN {
            return spent.as_nanos() as f64 / f64::from(runs);
        }
    }
}

const CHUNKS: [usize; 2] = [4 << 10, 64 << 10];
/// In each round all take their turn, and of all rounds the best counts.
const ROUNDS: usize = 15;
/// Processor time of one turn.
const TURN: Duration = Duration::from_millis(4);
