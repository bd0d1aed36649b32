//! SockJS in the hub: one message to 10,000 subscribers by every transport, what an idle client that polls holds, and a
//! message that is sent back: `cargo bench -p tethered-benches --bench sockjs`.
//!
//! Processor time a receiver, from the call until each has its frame queued, and until each has been drained; the polls that
//! follow are not in it. Bytes are counted by the allocator, with the connection that waits. Prints Markdown.

use std::time::Duration;

use tethered_benches::echo::sockjs::Transport;
use tethered_benches::meter::{Counting, allocations, cpu_time, live_bytes};
use tethered_benches::mixed::{Mixed, WAYS, Way};
use tethered_benches::talk::Talk;

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
    println!("\n| echo by | ns a message, without the system's share | allocations a message |");
    println!("| --- | ---: | ---: |");
    Transport::ALL.into_iter().for_each(echo);
}

fn echo(transport: Transport) {
    let mut talk = Talk::new(transport, 100);
    let (mut best, mut messages) = (Duration::MAX, 0);
    for _ in 0..TURNS {
        let start = cpu_time();
        messages = talk.echo(100);
        best = best.min(cpu_time() - start);
    }
    let count = allocations(|| messages = talk.echo(100));
    let each = |of: f64| of / messages as f64;
    println!("| {} | {:.0} | {:.2} |", transport.name(), each(best.as_nanos() as f64), each(count as f64));
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
