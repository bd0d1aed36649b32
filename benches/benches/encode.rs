//! Nanoseconds for server frames written: `cargo bench -p tethered-benches --features peers --bench encode`.
#![allow(missing_docs, reason = "criterion's macros make undocumented items")]

use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use tethered_benches::meter::{Counting, allocations};
use tethered_benches::wire::{Case, Kind, SIZES};
use tethered_benches::writers;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn encode(c: &mut Criterion) {
    for size in SIZES {
        let case = Case { kind: Kind::Binary, size };
        let times = case.messages();
        let mut group = c.benchmark_group(format!("encode/{size}"));
        group.throughput(Throughput::Elements(times as u64));
        for (name, mut writer) in writers(case) {
            if name == "tethered" {
                writer.write(times);
                let made = allocations(|| {
                    writer.write(times);
                });
                assert_eq!(made, 0, "no allocation once the buffer has grown");
            }
            group.bench_function(BenchmarkId::from_parameter(name), |b| b.iter(|| writer.write(times)));
        }
        group.finish();
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(50))
        .measurement_time(Duration::from_millis(250));
    targets = encode
}
criterion_main!(benches);
