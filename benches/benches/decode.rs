//! Nanoseconds for a feed of masked client frames, UTF-8 checked: `cargo bench -p tethered-benches --features peers --bench decode`.
#![allow(missing_docs, reason = "criterion's macros make undocumented items")]

use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use tethered_benches::meter::{Counting, allocations};
use tethered_benches::readers;
use tethered_benches::wire::{CHUNKS, Case, SIZES};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn decode(c: &mut Criterion) {
    for chunk in CHUNKS {
        for case in Case::all(&SIZES) {
            let mut group =
                c.benchmark_group(format!("decode/{}/{}/{} KiB reads", case.kind.name(), case.size, chunk >> 10));
            group.throughput(Throughput::Elements(case.messages() as u64));
            for (name, mut reader) in readers(case, chunk) {
                if name == "tethered" {
                    reader.read();
                    let made = allocations(|| {
                        reader.read();
                    });
                    assert_eq!(made, 0, "no allocation once the buffers have grown");
                }
                group.bench_function(BenchmarkId::from_parameter(name), |b| b.iter(|| reader.read()));
            }
            group.finish();
        }
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(50))
        .measurement_time(Duration::from_millis(250));
    targets = decode
}
criterion_main!(benches);
