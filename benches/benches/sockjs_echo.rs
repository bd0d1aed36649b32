//! SockJS servers from end to end under one load: processor time a message, by transport. Prints Markdown.
//!
//! `npm --prefix benches/sockjs-node ci && cargo bench -p tethered-benches --bench sockjs_echo`. Each server is a process on
//! the first processor, the load is this process on the second one. Words after `--` choose transports; a WebSocket is
//! measured beside them.

use std::fmt::{self, Display, Formatter};
use std::io;
use std::path::Path;
use std::time::Duration;

use tethered_benches::echo::process::{self, Server};
use tethered_benches::echo::serve::SOCKJS_SERVERS;
use tethered_benches::echo::sockjs::{Load, Transport};

fn main() -> io::Result<()> {
    let program = Path::new(env!("CARGO_BIN_EXE_echo-server"));
    process::pin(1)?;
    let words: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let wanted = |transport: &Transport| {
        let named = words.is_empty() || words.iter().any(|word| word == transport.name());
        named || *transport == Transport::WebSocket
    };
    let transports: Vec<Transport> = Transport::ALL.into_iter().filter(wanted).collect();
    for in_flight in IN_FLIGHT {
        println!("\n{in_flight} in flight, {CLIENTS} clients:\n");
        println!("| transport | server | CPU, ns a message | times ours | times its WebSocket | messages a second |");
        println!("| --- | --- | ---: | ---: | ---: | ---: |");
        compare(program, &transports, in_flight)?;
    }
    Ok(())
}

/// A server and those who ask it by one transport.
struct Pair {
    server: Server,
    load: Load,
}

impl Pair {
    /// What a message takes of the server's processor, in nanoseconds, and messages a second.
    fn turn(&mut self) -> io::Result<(f64, f64)> {
        let cpu = self.server.cpu_time()?;
        let messages = self.load.run(TURN)? as f64;
        let spent = (self.server.cpu_time()? - cpu).as_nanos() as f64;
        Ok((spent / messages, messages / TURN.as_secs_f64()))
    }
}

/// What came of one server's turns by one transport.
#[derive(Default)]
struct Turns {
    /// Nanoseconds a message, of each turn of each start.
    cpu: [Vec<f64>; STARTS],
    rate: f64,
}

impl Turns {
    fn best(&self) -> f64 {
        self.cpu.iter().flatten().copied().fold(f64::MAX, f64::min)
    }

    /// How many times another's: the median over the starts, the least and the most. Of a start it is the median over turns,
    /// each beside the other's of the same round, for the machine is not equally quick at all times; and a process is not as
    /// quick as another of the same program.
    fn times(&self, other: &Self) -> Times {
        let mut all: Vec<f64> = self.cpu.iter().zip(&other.cpu).map(|(one, other)| median_ratio(one, other)).collect();
        all.sort_by(f64::total_cmp);
        Times { median: all[all.len() / 2], least: all[0], most: all[all.len() - 1] }
    }
}

fn median_ratio(one: &[f64], other: &[f64]) -> f64 {
    let mut all: Vec<f64> = one.iter().zip(other).map(|(one, other)| one / other).collect();
    all.sort_by(f64::total_cmp);
    all[all.len() / 2]
}

struct Times {
    median: f64,
    least: f64,
    most: f64,
}

impl Display for Times {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{:.2} ({:.2} to {:.2})", self.median, self.least, self.most)
    }
}

fn compare(program: &Path, transports: &[Transport], in_flight: usize) -> io::Result<()> {
    let count = SOCKJS_SERVERS.len();
    let all = transports.iter().flat_map(|transport| SOCKJS_SERVERS.iter().map(|(name, _)| (*name, *transport)));
    let mut turns: Vec<Turns> = all.clone().map(|_| Turns::default()).collect();
    for start in 0..STARTS {
        let pair = |(name, transport): (&str, Transport)| {
            let server = Server::start(program, name)?;
            let load = Load::connect(server.address, transport, CLIENTS, in_flight)?;
            Ok(Pair { server, load })
        };
        let mut pairs = all.clone().map(pair).collect::<io::Result<Vec<_>>>()?;
        for turn in 0..=TURNS {
            for (pair, turns) in pairs.iter_mut().zip(&mut turns) {
                let (cpu, rate) = pair.turn()?;
                // In the first one a server in JavaScript is still compiled.
                if turn > 0 {
                    turns.cpu[start].push(cpu);
                    turns.rate = turns.rate.max(rate);
                }
            }
        }
    }
    for (at, (it, (name, transport))) in turns.iter().zip(all).enumerate() {
        let (ours, websocket) = (it.times(&turns[at - at % count]), it.times(&turns[at % count]));
        let (best, rate, transport) = (it.best(), it.rate, transport.name());
        println!("| {transport} | {name} | {best:.0} | {ours} | {websocket} | {rate:.0} |");
    }
    Ok(())
}

const CLIENTS: usize = 100;
/// A client that writes now and then, and one that writes much: what comes together goes in one request.
const IN_FLIGHT: [usize; 2] = [1, 16];
/// So many times all servers are started anew.
const STARTS: usize = 5;
/// So many turns each server has with each transport then, in alternation.
const TURNS: usize = 7;
const TURN: Duration = Duration::from_millis(400);
