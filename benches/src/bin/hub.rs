//! What the hub costs, in processor time and bytes: `cargo run --release -p tethered-benches --bin hub -- [fanout|touch|memory]`.

use std::ops::Range;
use std::time::Duration;

use tethered_benches::crowd::Crowd;
use tethered_benches::meter::{Counting, cpu_time, live_bytes};
use tethered_core::config::Store;
use tethered_core::hub::{Event, Message, To};
use tethered_core::ids::ClientId;
use tethered_core::session::Op;
use tethered_core::session::memory::Memory;
use tethered_core::time::Instant;

#[cfg_attr(not(feature = "reserve"), global_allocator)]
#[cfg_attr(feature = "reserve", expect(dead_code, reason = "the place is taken"))]
static ALLOCATOR: Counting = Counting;

fn main() {
    if cfg!(feature = "reserve") {
        eprintln!(
            "built with the feature `reserve`, whose allocator has the place of the one that counts: build it without"
        );
        std::process::exit(2);
    }
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
        let mut crowd = Crowd::new(receivers, ids, "/topic/news", Store::Memory);
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
    let mut crowd = Crowd::new(ALL, 3, "/topic/news", Store::Memory);
    let made = crowd.now.mono;
    println!("| {ALL} bound sessions, the store in memory | ns each |");
    println!("| --- | ---: |");
    let hot = |i: usize| i % HOT;
    let random = |i: usize| i * 7_368_787 % ALL;
    crowd.pass(10_000);
    crowd.settle();
    row("activity of 1,000 hot ones", best(&mut crowd, ALL / 2, hot, 1));
    crowd.pass(2_000);
    active(&mut crowd, 0..ALL, &random);
    crowd.settle();
    row("activity of all in random order, within the touch interval", best(&mut crowd, ALL / 4, random, 1));
    row("floor: reads 8 B of each in that order, and writes 16 B that they point at", floor(ALL, ALL / 4, random));
    row("activity of all in random order, each told to the store", best(&mut crowd, ALL / 4, random, 1_500));
    crowd.pass(2_000);
    crowd.settle();
    // Everybody speaks once more, and about each of those a timer has to look whether he spoke again.
    let start = cpu_time();
    for i in 0..ALL {
        crowd.pass(u64::from(i % 16 == 0));
        active(&mut crowd, i..i + 1, &random);
        crowd.settle();
    }
    row("a lone activity, told to the store, and the look at what came after it", per(cpu_time() - start, ALL));
    // All have renewed since, so that nobody's time is over when the timers of their logins fire.
    let span = made.after(30 * 60_000).since(crowd.now.mono);
    row("timer of a session that lives on", ticks(&mut crowd, span, ALL));
    row("end of a session, its socket's Close included", ticks(&mut crowd, 3_600_000, ALL));
    assert_eq!(crowd.hub.stats().sessions, 0, "every session must have ended");
}

fn row(name: &str, ns: f64) {
    println!("| {name} | {ns:.0} |");
}

/// What the memory of this machine asks for the same walk, in the best of five rounds.
fn floor(slots: usize, count: usize, order: impl Fn(usize) -> usize) -> f64 {
    const PAGE: usize = 1_024;
    let pages = 0..slots.div_ceil(PAGE);
    let links: Vec<Vec<[u32; 2]>> =
        pages.clone().map(|page| (0..PAGE).map(|at| [1, (page * PAGE + at) as u32]).collect()).collect();
    let mut notes: Vec<Vec<[u32; 4]>> = pages.map(|_| vec![[1; 4]; PAGE]).collect();
    let order: Vec<usize> = (0..count).map(order).collect();
    let mut best = Duration::MAX;
    for round in 0..5 {
        let start = cpu_time();
        for &at in &order {
            let [generation, to] = links[at / PAGE][at % PAGE];
            let note = &mut notes[to as usize / PAGE][to as usize % PAGE];
            if note[0] == generation {
                note[1] = round;
            }
        }
        best = best.min(cpu_time() - start);
    }
    std::hint::black_box(&notes);
    per(best, count)
}

fn per(time: Duration, count: usize) -> f64 {
    time.as_nanos() as f64 / count as f64
}

fn active(crowd: &mut Crowd, range: Range<usize>, order: &impl Fn(usize) -> usize) -> Duration {
    let clients: Vec<ClientId> = range.filter_map(|i| crowd.clients[order(i)].client).collect();
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
        best = best.min(per(active(crowd, 0..count, &order), count));
        crowd.settle();
    }
    best
}

/// Lets so much time pass from deadline to deadline; nanoseconds for each of `count`.
fn ticks(crowd: &mut Crowd, span_ms: u64, count: usize) -> f64 {
    let end = crowd.now.mono.after(span_ms);
    let (mut whole, mut worst, mut turns) = (Duration::ZERO, Duration::ZERO, 0);
    while let Some((at, _)) = crowd.hub.next_deadline() {
        if at > end || crowd.hub.stats().sessions == 0 {
            break;
        }
        crowd.pass(at.since(crowd.now.mono));
        let begin = cpu_time();
        crowd.hub.handle(crowd.now, Event::Tick);
        let turn = cpu_time() - begin;
        // What comes of it is none of the clients' business here: they answer no ping.
        while crowd.hub.poll().is_some() {}
        whole += turn;
        turns += 1;
        worst = worst.max(turn);
    }
    crowd.pass(end.since(crowd.now.mono));
    println!("| longest of the {turns} turns of the next line | {:.2} ms |", worst.as_secs_f64() * 1e3);
    per(whole, count)
}

/// Bytes that the hub holds for an idle client with a session of its own and two subscriptions.
fn memory() {
    println!("| clients | sessions in memory | of which in the store | sessions outside |");
    println!("| ---: | ---: | ---: | ---: |");
    for count in [10_000, 100_000, 1_000_000] {
        let [memory, external] = [Store::Memory, Store::External].map(|store| idle(count, store));
        let before = live_bytes();
        let mut store = Memory::new([1; 16], 1_800_000, u32::MAX, Instant::default());
        for n in 0..count {
            let id = format!("{n:036}").into();
            let op = Op::Create { id, principal: Some(format!("user-{n}").into()), attributes: vec![] };
            store.execute(Instant::default(), &op);
        }
        let store = (live_bytes() - before) as f64 / count as f64;
        println!("| {count} | {memory:.0} | {store:.0} | {external:.0} |");
    }
}

fn idle(count: usize, store: Store) -> f64 {
    let before = live_bytes();
    let mut crowd = Crowd::new(count, 3, "/topic/news", store);
    // The timers of the logins are over then, and no ping is due.
    crowd.pass(15_000);
    crowd.settle();
    let held = live_bytes() - before - crowd.clients.capacity() * size_of_val(&crowd.clients[0]);
    held as f64 / count as f64
}
