//! A message that renews, over 1,000,000 bound sessions: `cargo bench -p tethered-benches --bench touch`.
//!
//! What their deadlines cost, and the longest turn of the hub: `cargo run --release -p tethered-benches --bin hub -- touch`.
#![allow(missing_docs, reason = "criterion's macros make undocumented items")]

use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use tethered_benches::crowd::Crowd;
use tethered_core::config::Store;
use tethered_core::hub::Event;
use tethered_core::ids::ClientId;

const ALL: usize = 1_000_000;
const HOT: usize = 1_000;

fn touch(c: &mut Criterion) {
    let mut crowd = Crowd::new(ALL, 3, "/topic/news", Store::Memory);
    let client = |i: usize| crowd.clients[i].client.expect("it has joined");
    let hot: Vec<ClientId> = (0..HOT).map(client).collect();
    let random: Vec<ClientId> = (0..ALL).map(|i| client(i * 7_368_787 % ALL)).collect();
    crowd.pass(2_000);
    for &client in &random {
        crowd.hub.handle(crowd.now, Event::Activity { client });
    }
    crowd.settle();
    let mut group = c.benchmark_group("touch");
    group.throughput(Throughput::Elements(1));
    for (name, clients) in [("1,000 hot ones", &hot), ("all, in random order", &random)] {
        let mut next = 0;
        group.bench_function(BenchmarkId::from_parameter(name), |b| {
            b.iter(|| {
                let client = clients[next];
                next = if next + 1 < clients.len() { next + 1 } else { 0 };
                crowd.hub.handle(crowd.now, Event::Activity { client });
            });
        });
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2));
    targets = touch
}
criterion_main!(benches);
