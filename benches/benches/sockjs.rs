//! SockJS in the hub: one message to 10,000 subscribers by every transport, and what an idle client that polls holds:
//! `cargo bench -p tethered-benches --bench sockjs`.
//!
//! Processor time a receiver, from the call until each has its frame queued, and until each has been drained; the polls that
//! follow are not in it. Bytes are counted by the allocator, with the connection that waits. Prints Markdown.

use std::time::Duration;

use tethered_benches::meter::{Counting, live_bytes};
use tethered_benches::mixed::{Mixed, WAYS, Way};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn main() {
    println!("| 10,000 subscribers by | ns a receiver, queued | ns a receiver, with the drain |");
    println!("| --- | ---: | ---: |");
    fan_out("all of these in turn", &WAYS);
    for way in WAYS {
        fan_out(way.name(), &[way]);
    }
    let before = live_bytes();
    let count = 10_000;
    let mixed = Mixed::new(count, &[Way::Requests { request: ("POST", "xhr"), streams: false }]);
    let held = live_bytes() - before;
    println!("\nAn idle client that polls: {} B", held / count);
    drop(mixed);
}

fn fan_out(name: &str, ways: &[Way]) {
    let receivers = 10_000;
    let mut mixed = Mixed::new(receivers, ways);
    let body = [b'x'; 128];
    let (mut queued, mut whole) = (Duration::MAX, Duration::MAX);
    for _ in 0..TURNS {
        let (one, both) = mixed.publish(&body);
        (queued, whole) = (queued.min(one), whole.min(both));
        mixed.poll_again();
    }
    let each = |time: Duration| time.as_nanos() as f64 / receivers as f64;
    println!("| {name} | {:.0} | {:.0} |", each(queued), each(whole));
}

/// The best of so many counts, since others use this machine too.
const TURNS: usize = 25;
