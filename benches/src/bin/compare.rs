//! Tables of processor time, steadier than a bench on a busy machine, and single runs for a profiler.
//!
//! `compare decode` and `compare encode` print Markdown, for the usual sizes or those that follow. `compare once NAME KIND SIZE CHUNK TIMES` reads one feed so
//! many times and nothing else: for `valgrind --tool=callgrind`.

use std::env;
use std::time::Duration;

use tethered_benches::meter::{Counting, allocations, cpu_time};
use tethered_benches::wire::{Case, KINDS, Kind, SIZES};
use tethered_benches::{readers, writers};

#[cfg_attr(not(feature = "reserve"), global_allocator)]
#[cfg_attr(feature = "reserve", expect(dead_code, reason = "the place is taken"))]
static ALLOCATOR: Counting = Counting;

/// A read that fits the nearest cache, one that fits it with what is made from it, and one that does not.
const CHUNKS_OF_TABLE: [usize; 3] = [4 << 10, 16 << 10, 64 << 10];
/// Rounds of a table; in each, all implementations take their turn, and of all rounds the best counts.
const ROUNDS: usize = 15;
/// Processor time of one turn.
const TURN: Duration = Duration::from_millis(4);

fn main() {
    if cfg!(feature = "reserve") {
        eprintln!(
            "built with the feature `reserve`, whose allocator has the place of the one that counts: build it without"
        );
        std::process::exit(2);
    }
    let args: Vec<String> = env::args().skip(1).collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["decode", ref sizes @ ..] => decode(&chosen(sizes)),
        ["encode", ref sizes @ ..] => encode(&chosen(sizes)),
        ["once", name, kind, size, chunk, times] => {
            let kind = KINDS.into_iter().find(|k| k.name() == kind).expect("binary, ascii or non-ascii");
            once(name, Case { kind, size: number(size) }, number(chunk), number(times));
        }
        _ => eprintln!("compare decode [SIZE...] | encode [SIZE...] | once NAME KIND SIZE CHUNK TIMES"),
    }
}

fn number(text: &str) -> usize {
    text.parse().expect("a number of bytes or times")
}

fn chosen(sizes: &[&str]) -> Vec<usize> {
    if sizes.is_empty() { SIZES.to_vec() } else { sizes.iter().map(|size| number(size)).collect() }
}

fn once(name: &str, case: Case, chunk: usize, times: usize) {
    let all = readers(case, chunk);
    let (_, mut reader) = all.into_iter().find(|(n, _)| *n == name).expect("one of the implementations");
    let messages: u64 = (0..times).map(|_| reader.read().messages).sum();
    println!("{messages} messages");
}

fn decode(sizes: &[usize]) {
    for chunk in CHUNKS_OF_TABLE {
        println!("\nReads of {} KiB:\n", chunk >> 10);
        let (mut names, mut rows) = (Vec::new(), Vec::new());
        for case in Case::all(sizes) {
            let tally = case.wire().tally;
            let (found, works) = readers(case, chunk)
                .into_iter()
                .map(|(name, mut reader)| (name, boxed(move || assert_eq!(reader.read(), tally))))
                .unzip::<_, _, Vec<_>, Vec<_>>();
            if names.is_empty() {
                names = found;
                head("message", &names);
            }
            rows.push(row(&format!("{} B {}", case.size, case.kind.name()), case, works));
        }
        foot(&names, &rows);
    }
}

fn encode(sizes: &[usize]) {
    let (mut names, mut rows) = (Vec::new(), Vec::new());
    for &size in sizes {
        let case = Case { kind: Kind::Binary, size };
        let times = case.messages();
        let bytes = times as u64 * case.frame_bytes();
        let (found, works) = writers(case)
            .into_iter()
            .map(|(name, mut writer)| (name, boxed(move || assert_eq!(writer.write(times), bytes))))
            .unzip::<_, _, Vec<_>, Vec<_>>();
        if names.is_empty() {
            names = found;
            head("message", &names);
        }
        rows.push(row(&format!("{size} B"), case, works));
    }
    foot(&names, &rows);
}

fn boxed(work: impl FnMut() + 'static) -> Box<dyn FnMut()> {
    Box::new(work)
}

fn head(first: &str, names: &[&str]) {
    println!("| {first} | {} |", names.join(" | "));
    println!("| --- |{}", " ---: |".repeat(names.len()));
}

/// Nanoseconds a message of ours, then of each other and how many times ours that is. Gives the allocations a message.
fn row(label: &str, case: Case, mut works: Vec<Box<dyn FnMut()>>) -> Vec<f64> {
    let messages = case.messages() as f64;
    let mut best = vec![f64::INFINITY; works.len()];
    for _ in 0..ROUNDS {
        for (work, best) in works.iter_mut().zip(&mut best) {
            *best = best.min(turn(work));
        }
    }
    let ours = best[0] / messages;
    let cells: Vec<String> =
        best[1..].iter().map(|b| format!("{:.0} ({:.1}×)", b / messages, b / messages / ours)).collect();
    println!("| {label} | {ours:.1} | {} |", cells.join(" | "));
    works.iter_mut().map(|work| allocations(&mut **work) as f64 / messages).collect()
}

/// The most allocations a message that each implementation made in any row, after its buffers had grown.
fn foot(names: &[&str], rows: &[Vec<f64>]) {
    let most = |i: usize| rows.iter().map(|row| row[i]).fold(0.0, f64::max);
    let made: Vec<String> = names.iter().enumerate().map(|(i, name)| format!("{name} {:.2}", most(i))).collect();
    println!("\nAllocations a message, at most: {}.", made.join(", "));
}

/// Nanoseconds of one run, measured over enough of them.
fn turn(work: &mut dyn FnMut()) -> f64 {
    let (start, mut runs) = (cpu_time(), 0_u32);
    loop {
        for _ in 0..4 {
            work();
        }
        runs += 4;
        let spent = cpu_time() - start;
        if spent >= TURN {
            return spent.as_nanos() as f64 / f64::from(runs);
        }
    }
}
