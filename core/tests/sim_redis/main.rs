//! A seeded, deterministic world that attacks the promise where sessions are on a Redis: hubs, clients, Spring nodes, and a
//! Redis that carries out the very commands and scripts that the hubs send, with all that may go wrong; virtual time.
//!
//! `SIM_SEED=n` runs one seed and prints what happened; `SIM_SEEDS=from..to` runs a range. The long run is
//! `cargo test -p tethered-core --release --test sim_redis -- --ignored`.

#[path = "../sim/client.rs"]
#[allow(dead_code, reason = "the other world uses all of it")]
mod client;
mod judge;
mod plan;
mod redis;
#[path = "../sim/rng.rs"]
mod rng;
mod values;
mod world;

use std::panic;

use plan::Plan;
use world::World;

fn run(seed: u64, log: bool) -> u64 {
    World::new(seed, Plan::of(seed), log).run()
}

/// Runs a seed twice. A fault is told, and what it was is given back.
fn run_twice(seed: u64) -> Option<u64> {
    let both = panic::catch_unwind(|| {
        assert_eq!(run(seed, false), run(seed, false), "two runs of one seed differ");
    });
    both.is_err().then(|| {
        eprintln!("seed {seed} failed; SIM_SEED={seed} shows what happened. {:?}", Plan::of(seed));
        seed
    })
}

fn run_all(seeds: impl Iterator<Item = u64>) {
    let failed: Vec<u64> = seeds.filter_map(run_twice).take(FAULTS).collect();
    assert!(failed.is_empty(), "seeds that failed: {failed:?}");
}

fn range(default: std::ops::Range<u64>) -> std::ops::Range<u64> {
    let Ok(text) = std::env::var("SIM_SEEDS") else { return default };
    let (from, to) = text.split_once("..").expect("SIM_SEEDS=from..to");
    from.parse().expect("a number")..to.parse().expect("a number")
}

#[test]
fn seeds() {
    if let Ok(seed) = std::env::var("SIM_SEED") {
        let seed = seed.parse().expect("a number");
        println!("{:?}", Plan::of(seed));
        run(seed, true);
        return;
    }
    run_all(range(0..500));
}

/// Worlds that found a fault once.
#[test]
fn named_seeds() {
    run_all(NAMED.into_iter());
}

#[test]
#[ignore = "the long run: 100,000 seeds"]
fn long_run() {
    let all = range(0..100_000);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for thread in 0..threads {
            let mine = all.clone().skip(thread).step_by(threads);
            scope.spawn(move || run_all(mine));
        }
    });
}

/// After so many seeds that failed no more are tried.
const FAULTS: usize = 20;

/// Each fails without the mend of what it found.
const NAMED: [u64; 4] = [
    // By transactions a touch that took its time moved the last access, and raised the TTLs by too little.
    392, // What was said while a session was held was noted and never told.
    1_084,
    // Who followed to an id that nobody had vouched for was asked for without a pause while Redis was away.
    10_483, // On a Cluster a touch was short by the time that the reply before it took, or was dropped.
    66_253,
];
