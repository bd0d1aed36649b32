//! Bytes of an idle client in the hub, counted by the allocator: `cargo bench -p tethered-benches --bench memory`.
//!
//! A client is logged in, has a session of its own and two subscriptions. Criterion measures bytes here, not time.
#![allow(missing_docs, reason = "criterion's macros make undocumented items")]

use std::time::Duration;

use criterion::measurement::{Measurement, ValueFormatter};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use tethered_benches::crowd::Crowd;
use tethered_benches::meter::{Counting, live_bytes};
use tethered_core::config::Store;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// What [`Counting`] counts.
struct Bytes;

impl Measurement for Bytes {
    type Intermediate = usize;
    type Value = usize;

    fn start(&self) -> usize {
        live_bytes()
    }

    fn end(&self, before: usize) -> usize {
        live_bytes().saturating_sub(before)
    }

    fn add(&self, one: &usize, other: &usize) -> usize {
        one + other
    }

    fn zero(&self) -> usize {
        0
    }

    fn to_f64(&self, bytes: &usize) -> f64 {
        *bytes as f64
    }

    fn formatter(&self) -> &dyn ValueFormatter {
        &Self
    }
}

impl ValueFormatter for Bytes {
    fn scale_values(&self, _: f64, _: &mut [f64]) -> &'static str {
        "B"
    }

    fn scale_throughputs(&self, _: f64, clients: &Throughput, values: &mut [f64]) -> &'static str {
        let clients = if let Throughput::Elements(clients) = clients { *clients as f64 } else { 1.0 };
        values.iter_mut().for_each(|bytes| *bytes /= clients);
        "B a client"
    }

    fn scale_for_machines(&self, _: &mut [f64]) -> &'static str {
        "B"
    }
}

fn memory(c: &mut Criterion<Bytes>) {
    let mut group = c.benchmark_group("memory");
    for count in [10_000, 100_000] {
        for (name, store) in [("sessions in memory", Store::Memory), ("sessions outside", Store::External)] {
            group.throughput(Throughput::Elements(count as u64));
            group.bench_function(BenchmarkId::new(name, count), |b| {
                b.iter_custom(|times| {
                    let held: usize = (0..times.min(1)).map(|_| idle(count, store.clone())).sum();
                    held * usize::try_from(times).unwrap_or(usize::MAX)
                });
            });
        }
    }
    group.finish();
}

/// Bytes that so many idle clients hold. They are the same each time: nothing here depends on the clock.
fn idle(count: usize, store: Store) -> usize {
    let before = live_bytes();
    let mut crowd = Crowd::new(count, 3, "/topic/news", store);
    // The timers of the logins are over then, and no ping is due.
    crowd.pass(15_000);
    crowd.settle();
    live_bytes() - before - crowd.clients.capacity() * size_of_val(&crowd.clients[0])
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .with_measurement(Bytes)
        .sample_size(10)
        .warm_up_time(Duration::from_millis(1))
        .measurement_time(Duration::from_millis(10));
    targets = memory
}
criterion_main!(benches);
