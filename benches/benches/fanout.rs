//! One publish to so many STOMP clients, until everything is taken: `cargo bench -p tethered-benches --bench fanout`.
#![allow(missing_docs, reason = "criterion's macros make undocumented items")]

use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use tethered_benches::crowd::Crowd;
use tethered_core::config::Store;
use tethered_core::hub::{Message, To};

const TOPIC: &str = "/topic/news";

fn fanout(c: &mut Criterion) {
    let mut group = c.benchmark_group("fanout");
    for (receivers, ids, bytes) in [(1, 1, 128), (100, 3, 128), (10_000, 3, 128), (10_000, 3, 4_096), (10_000, 32, 128)]
    {
        let mut crowd = Crowd::new(receivers, ids, TOPIC, Store::Memory);
        let body = vec![b'x'; bytes];
        let message = Message { content_type: Some("text/plain"), headers: &[], body: &body };
        group.throughput(Throughput::Elements(receivers as u64));
        let name = format!("{receivers} receivers, {ids} subscription ids, {bytes} B");
        group.bench_function(BenchmarkId::from_parameter(name), |b| {
            b.iter(|| {
                let reached = crowd.hub.publish(crowd.now, To::Destination(TOPIC), &message);
                assert_eq!(reached, receivers, "everybody is reached");
                crowd.settle()
            });
        });
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_secs(1));
    targets = fanout
}
criterion_main!(benches);
