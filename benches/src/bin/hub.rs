//! What the hub costs, in processor time and bytes: `cargo run --release -p tethered-benches --bin hub -- [fanout|touch|memory]`.

use std::time::Duration;

use tethered_benches::crowd::Crowd;
use tethered_benches::meter::{Counting, cpu_time, live_bytes};
use tethered_core::hub::{Event, Message, To};
use tethered_core::ids::ClientId;
use tethered_core::session::Op;
use tethered_core::session::memory::Memory;
use tethered_core::time::Instant;

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

/// Activity that renews, over a million bound sessions; then what their deadlines cost.
fn touch() {
    const ALL: usize = 1_000_000;
    const HOT: usize = 1_000;
    let mut crowd = Crowd::new(ALL, 3, "/topic/news");
    println!("| {ALL} bound sessions, the store in memory | ns each |");
    println!("| --- | ---: |");
    let hot = |i: usize| i % HOT;
    let random = |i: usize| i * 7_368_787 % ALL;
    crowd.pass(10_000);
    crowd.settle();
    row("activity of 1,000 hot ones", best(&mut crowd, ALL / 2, hot, 1));
    crowd.pass(2_000);
    active(&mut crowd, ALL, &random);
    crowd.settle();
    row("activity of all in random order, within the touch interval", best(&mut crowd, ALL / 4, random, 1));
    row("activity of all in random order, each told to the store", best(&mut crowd, ALL / 4, random, 1_500));
    let due = 1_000 + 10_000 + 30 * 60_000;
    let start = cpu_time();
    let worst = tick_until(&mut crowd, due);
    row("timer of a session that lives on", (cpu_time() - start).as_nanos() as f64 / ALL as f64);
    println!("| longest turn meanwhile | {:.1} ms |", worst.as_secs_f64() * 1e3);
    let before = crowd.hub.stats().sessions;
    let start = cpu_time();
    let worst = tick_until(&mut crowd, due + 3_600_000);
    let ended = before - crowd.hub.stats().sessions;
    row("end of a session, its socket's Close included", (cpu_time() - start).as_nanos() as f64 / ended as f64);
    println!("| longest turn meanwhile | {:.1} ms |", worst.as_secs_f64() * 1e3);
    assert_eq!(ended, before, "every session must have ended");
}

fn row(name: &str, ns: f64) {
    println!("| {name} | {ns:.0} |");
}

fn active(crowd: &mut Crowd, count: usize, order: &impl Fn(usize) -> usize) -> Duration {
    let clients: Vec<ClientId> = (0..count).filter_map(|i| crowd.clients[order(i)].client).collect();
    let start = cpu_time();
    for client in clients {
        crowd.hub.handle(crowd.now, Event::Activity { client });
    }
    cpu_time() - start
}

/// The best of five rounds that are `pause_ms` apart.
fn best(crowd: &mut Crowd, count: usize, order: impl Fn(usize) -> usize, pause_ms: u64) -> f64 {
    let mut best = f64::INFINITY;
    for _ in 0..5 {
        crowd.pass(pause_ms);
        best = best.min(active(crowd, count, &order).as_nanos() as f64 / count as f64);
        crowd.settle();
    }
    best
}

/// Lets time pass from deadline to deadline; the longest turn.
fn tick_until(crowd: &mut Crowd, end_ms: u64) -> Duration {
    let mut worst = Duration::ZERO;
    while let Some((at, _)) = crowd.hub.next_deadline() {
        if at.as_millis() > end_ms || crowd.hub.stats().sessions == 0 {
            break;
        }
        crowd.pass(at.since(crowd.now.mono));
        let begin = cpu_time();
        crowd.hub.handle(crowd.now, Event::Tick);
        worst = worst.max(cpu_time() - begin);
        // What comes of it is none of the clients' business here: they answer no ping.
        while crowd.hub.poll().is_some() {}
    }
    worst
}

/// Bytes that the hub holds for an idle client with a session of its own and two subscriptions.
fn memory() {
    println!("| clients | bytes each | of which its session in the store in memory |");
    println!("| ---: | ---: | ---: |");
    for count in [10_000, 100_000, 1_000_000] {
        let before = live_bytes();
        let mut crowd = Crowd::new(count, 3, "/topic/news");
        // The timers of the logins are over then, and no ping is due.
        crowd.pass(15_000);
        crowd.settle();
        let held = live_bytes() - before - crowd.clients.capacity() * size_of_val(&crowd.clients[0]);
        drop(crowd);
        let before = live_bytes();
        let mut store = Memory::new([1; 16], 1_800_000, u32::MAX, Instant::default());
        for n in 0..count {
            let id = format!("{n:036}").into();
            let op = Op::Create { id, principal: Some(format!("user-{n}").into()), attributes: vec![] };
            store.execute(Instant::default(), &op);
        }
        let store = live_bytes() - before;
        println!("| {count} | {:.0} | {:.0} |", held as f64 / count as f64, store as f64 / count as f64);
    }
}
