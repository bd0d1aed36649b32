//! SockJS in the hub: one message to 10,000 subscribers by every transport, and what an idle client that polls holds:
//! `cargo bench -p tethered-benches --bench sockjs`.
//!
//! Time is that of publishing until everything is taken, per receiver; the polls that follow are not in it. Bytes are
//! counted by the allocator, with the connection that waits.

use tethered_benches::meter::{Counting, live_bytes};
use tethered_benches::mixed::{Mixed, WAYS, Way};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn main() {
    fan_out("all transports", &WAYS);
    for way in WAYS {
        fan_out(&format!("{way:?}"), &[way]);
    }
    let before = live_bytes();
    let count = 10_000;
    let mixed = Mixed::new(count, &[Way::Requests { request: ("POST", "xhr"), streams: false }]);
    let held = live_bytes() - before;
    println!("an idle client that polls: {} B", held / count);
    drop(mixed);
}

fn fan_out(name: &str, ways: &[Way]) {
    let receivers = 10_000;
    let mut mixed = Mixed::new(receivers, ways);
    let body = [b'x'; 128];
    let mut best = u128::MAX;
    let mut times = Vec::new();
    for _ in 0..15 {
        let took = mixed.publish(&body).as_nanos() / receivers as u128;
        best = best.min(took);
        times.push(took);
        mixed.poll_again();
    }
    times.sort_unstable();
    println!("fan-out to {receivers}, {name}: {} ns a receiver (best {best})", times[times.len() / 2]);
}
