//! What the hub costs, in processor time and bytes: `cargo run --release -p tethered-benches --bin hub -- [fanout|touch|memory]`.

use std::time::Duration;

use tethered_benches::crowd::Crowd;
use tethered_benches::meter::{Counting, cpu_time, live_bytes};
use tethered_core::hub::{Event, Message, To};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn main() {
    let what = std::env::args().nth(1);
    let wanted = |name: &str| what.as_deref().is_none_or(|what| what == name);
    if wanted("fanout") {
        fanout();
    }
    if wanted("touch") {
        touch();
    }
    if wanted("memory") {
        memory();
    }
}

/// One publish to so many: from the call to the last queued frame, and on to where everything is taken.
fn fanout() {
    println!("| receivers | subscription ids | body | ns a receiver, queued | ns a receiver, with the drain |");
    println!("| ---: | ---: | ---: | ---: | ---: |");
    for (receivers, ids, body) in [(1, 1, 128), (100, 3, 128), (10_000, 3, 128), (10_000, 3, 4_096), (10_000, 32, 128)]
    {
        let mut crowd = Crowd::new(receivers, ids, "/topic/news");
        let body = vec![b'x'; body];
        let message = Message { content_type: Some("text/plain"), headers: &[], body: &body };
        let times = (200_000 / receivers).max(5);
        let (mut queued, mut whole) = (Duration::MAX, Duration::MAX);
        for _ in 0..times {
            let start = cpu_time();
            let reached = crowd.hub.publish(crowd.now, To::Destination("/topic/news"), &message);
            let middle = cpu_time();
            crowd.settle();
            let end = cpu_time();
            assert_eq!(reached, receivers);
            queued = queued.min(middle - start);
            whole = whole.min(end - start);
        }
        let each = |time: Duration| time.as_nanos() as f64 / receivers as f64;
        println!("| {receivers} | {ids} | {} B | {:.0} | {:.0} |", body.len(), each(queued), each(whole));
    }
}

/// Messages that renew, over a million bound sessions; then all of their deadlines.
fn touch() {
    const ALL: usize = 1_000_000;
    const HOT: usize = 1_000;
    let mut crowd = Crowd::new(ALL, 3, "/topic/news");
    let run = |crowd: &mut Crowd, order: &mut dyn Iterator<Item = usize>| -> (Duration, usize) {
        let (start, mut count) = (cpu_time(), 0);
        for n in order {
            let Some(client) = crowd.clients[n].client else { continue };
            crowd.hub.handle(crowd.now, Event::Activity { client });
            count += 1;
        }
        (cpu_time() - start, count)
    };
    println!("| {ALL} sessions | ns a message that renews |");
    println!("| --- | ---: |");
    for (name, spread) in
        [("1,000 of them hot, touched within the interval", false), ("all, in random order, each touch sent", true)]
    {
        crowd.pass(10_000);
        crowd.settle();
        let mut best = f64::INFINITY;
        for round in 0..5_u64 {
            if spread {
                crowd.pass(1_500);
            } else {
                crowd.pass(1);
            }
            let mut order = (0..if spread { ALL / 4 } else { ALL / 2 })
                .map(|i| if spread { (i * 7_368_787 + round as usize * 31) % ALL } else { i % HOT });
            let (time, count) = run(&mut crowd, &mut order);
            best = best.min(time.as_nanos() as f64 / count as f64);
            crowd.settle();
        }
        println!("| {name} | {best:.0} |");
    }
    let before = crowd.hub.stats();
    let (mut worst, mut total, start) = (Duration::ZERO, Duration::ZERO, crowd.now.mono);
    while crowd.hub.stats().sessions > 0 && crowd.now.mono.since(start) < 3_600_000 {
        let Some((at, _)) = crowd.hub.next_deadline() else { break };
        crowd.pass(at.since(crowd.now.mono));
        let begin = cpu_time();
        crowd.hub.handle(crowd.now, Event::Tick);
        let turn = cpu_time() - begin;
        worst = worst.max(turn);
        total += turn;
        while crowd.hub.poll().is_some() {}
    }
    let ended = before.sessions - crowd.hub.stats().sessions;
    println!(
        "| each of {ended} deadlines, its socket's Close included | {:.0} |",
        total.as_nanos() as f64 / ended as f64
    );
    println!("| longest turn of the machine meanwhile | {:.1} ms |", worst.as_secs_f64() * 1e3);
}

/// Bytes that the hub holds for an idle client with a session of its own and two subscriptions.
fn memory() {
    println!("| clients | bytes each |");
    println!("| ---: | ---: |");
    for count in [10_000, 100_000, 1_000_000] {
        let before = live_bytes();
        let crowd = Crowd::new(count, 3, "/topic/news");
        let held = live_bytes() - before - crowd.clients.capacity() * size_of_val(&crowd.clients[0]);
        println!("| {count} | {:.0} |", held as f64 / count as f64);
    }
}
