//! What the C interface costs beside Rust's own door and beside wslay, in memory:
//! `cargo bench -p tethered-benches --features reserve --bench c`. Prints Markdown; with words behind `--` only the tables
//! whose title has one of them.

use std::fmt::{self, Display, Formatter};
use std::process::{Command, ExitCode};
use std::time::Duration;

use tethered_benches::feed::Feed;
use tethered_benches::meter::cpu_time;
use tethered_benches::peers::{c, wslay};
use tethered_benches::wire::{Case, Kind, Tally, Wire};
use tethered_benches::{Reads, ours};

fn main() -> ExitCode {
    // Which pages of memory a process gets is luck too, and with as much as is read here decides over more than what is
    // measured: with large pages there is less of it. glibc has to know before the process starts.
    if std::env::var_os(TUNABLES).is_none() {
        let arguments = std::env::args_os().skip(1);
        let program = std::env::current_exe().expect("there is a program");
        let mut again = Command::new(program);
        let status = again.args(arguments).env(TUNABLES, LARGE_PAGES).status().expect("it runs once more");
        return if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    }
    let words: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let wanted = |title: &str| words.is_empty() || words.iter().any(|word| title.contains(word.as_str()));
    for read in READS.into_iter().filter(|_| wanted("Decode")) {
        head("Decode", read);
        for case in cases() {
            let (wire, chunk) = read.of(case);
            let feed = || Feed::new(&wire, chunk);
            let ends: Ends =
                [&|| Box::new(ours::SharedReader::new(feed())), &|| Box::new(c::Reader::new(feed())), &|| {
                    Box::new(wslay::Reader::new(feed()))
                }];
            row(case, &wire, false, ends);
        }
    }
    for (title, echoes) in [("From bytes to actions", false), ("Echo", true)].into_iter().filter(|it| wanted(it.0)) {
        for read in READS {
            head(title, read);
            for case in cases() {
                let (wire, chunk) = read.of(case);
                let feed = || Feed::new(&wire, chunk);
                let ends: Ends = [
                    &|| Box::new(ours::Door::new(feed(), echoes)),
                    &|| Box::new(c::Door::new(feed(), echoes)),
                    if echoes {
                        &|| Box::new(wslay::Echo::new(feed()))
                    } else {
                        &|| Box::new(wslay::Reader::new(feed()))
                    },
                ];
                row(case, &wire, echoes, ends);
            }
        }
    }
    ExitCode::SUCCESS
}

/// How much comes in at a time.
#[derive(Clone, Copy)]
enum Read {
    /// So many KiB, as a server reads.
    KiB(usize),
    /// So many messages, whatever their size.
    Messages(usize),
}

impl Read {
    /// The frames of a case, and how many bytes of them one read gives.
    fn of(self, case: Case) -> (Wire, usize) {
        match self {
            Self::KiB(kib) => (case.wire(), kib << 10),
            Self::Messages(count) => {
                let wire = case.wire_of(count);
                let chunk = wire.bytes.len();
                (wire, chunk)
            }
        }
    }
}

impl Display for Read {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::KiB(kib) => write!(f, "{kib} KiB"),
            Self::Messages(count) => write!(f, "{count} messages"),
        }
    }
}

fn cases() -> impl Iterator<Item = Case> {
    [16, 128, 1_024, 16_384].into_iter().flat_map(|size| [Kind::Binary, Kind::Ascii].map(|kind| Case { kind, size }))
}

fn head(title: &str, read: Read) {
    println!("\n{title}, reads of {read}:\n");
    println!("| message | through Rust | through C | C over Rust | wslay |");
    println!("| --- | ---: | ---: | ---: | ---: |");
}

/// Makes what reads through Rust, what does through C, and wslay.
type Ends<'a> = [&'a dyn Fn() -> Box<dyn Reads>; 3];

/// Nanoseconds a message of each, what C adds, and how many times C the other is. Of each the best turn is told; what C adds
/// is the median over pairs of turns that follow each other, since what disturbs one disturbs the other.
fn row(case: Case, wire: &Wire, echoes: bool, ends: Ends<'_>) {
    let Tally { messages, bytes } = wire.tally;
    let bytes = if echoes { messages * case.frame_bytes() } else { bytes };
    let (mut best, mut added) = ([f64::INFINITY; 3], Vec::new());
    for place in 0..PLACES {
        // Where buffers come to lie, each by itself and towards the others, is luck, and can make a difference of more than
        // what is measured.
        let (mut all, mut others): ([Option<Box<dyn Reads>>; 3], _) = ([None, None, None], Vec::new());
        let order = if place % 2 == 0 { [0, 1, 2] } else { [1, 0, 2] };
        for at in order {
            all[at] = Some(ends[at]());
            others.push(vec![0_u8; (place * 5 + at) % 16 * 1_040]);
        }
        let mut all = all.map(|end| end.expect("each was made"));
        for at in order {
            // What is read is copied to memory that is taken now. Whether that lies a little behind a multiple of 4,096 bytes
            // from where it comes from decides over a tenth of the time, so it has to lie everywhere in turn.
            others.push(vec![0_u8; 100_000 - (place * 37 + at * 29) % 64 * 64]);
            assert_eq!(all[at].read(), Tally { messages, bytes }, "what was read is what was written");
            others.push(vec![0_u8; (place * 11 + at) % 16 * 272]);
        }
        for round in 0..ROUNDS {
            let mut turns = [0.0; 3];
            // Who goes first has what the others have left in the caches: they take turns at that, too.
            for at in if round % 2 == 0 { [0, 1, 2] } else { [1, 0, 2] } {
                turns[at] = turn(&mut *all[at]) / messages as f64;
                best[at] = best[at].min(turns[at]);
            }
            added.push(turns[1] - turns[0]);
        }
        drop(others);
    }
    added.sort_by(f64::total_cmp);
    let ([rust, c, wslay], added, kind) = (best, added[added.len() / 2], case.kind.name());
    println!("| {} B {kind} | {rust:.1} | {c:.1} | {added:+.1} | {wslay:.0} ({:.1}×) |", case.size, wslay / c);
}

/// Nanoseconds of one run, measured over enough of them.
fn turn(reader: &mut dyn Reads) -> f64 {
    let (start, mut runs) = (cpu_time(), 0_u32);
    loop {
        for _ in 0..4 {
            std::hint::black_box(reader.read());
        }
        runs += 4;
        let spent = cpu_time() - start;
        if spent >= TURN {
            return spent.as_nanos() as f64 / f64::from(runs);
        }
    }
}

/// What glibc's malloc is told, if nobody has told it anything.
const TUNABLES: &str = "GLIBC_TUNABLES";
const LARGE_PAGES: &str = "glibc.malloc.hugetlb=1";
const READS: [Read; 4] = [Read::KiB(4), Read::KiB(64), Read::Messages(16), Read::Messages(64)];
/// So many times all are made anew.
const PLACES: usize = 64;
/// In each round of a place all take their turn.
const ROUNDS: usize = 6;
/// Processor time of one turn.
const TURN: Duration = Duration::from_millis(2);
