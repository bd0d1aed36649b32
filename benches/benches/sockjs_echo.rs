//! SockJS servers from end to end under one load: processor time a message, by transport. Prints Markdown.
//!
//! `npm --prefix benches/sockjs-node ci && cargo bench -p tethered-benches --bench sockjs_echo`. Each server is a process on
//! the first processor, the load is this process on the second one. Words after `--` choose transports; a WebSocket is
//! measured beside them.

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
    /// Nanoseconds a message, of each turn.
    turns: Vec<f64>,
    rate: f64,
}

impl Pair {
    fn turn(&mut self) -> io::Result<()> {
        let cpu = self.server.cpu_time()?;
        let messages = self.load.run(TURN)? as f64;
        self.turns.push((self.server.cpu_time()? - cpu).as_nanos() as f64 / messages);
        self.rate = self.rate.max(messages / TURN.as_secs_f64());
        Ok(())
    }

    /// The median over the turns, each beside the other's of the same round: the machine is not equally quick at all times.
    fn times(&self, other: &Self) -> f64 {
        let mut all: Vec<f64> = self.turns.iter().zip(&other.turns).map(|(one, other)| one / other).collect();
        all.sort_by(f64::total_cmp);
        all[all.len() / 2]
    }
}

fn compare(program: &Path, transports: &[Transport], in_flight: usize) -> io::Result<()> {
    let pair = |(name, transport): (&str, Transport)| {
        let server = Server::start(program, name)?;
        let load = Load::connect(server.address, transport, CLIENTS, in_flight)?;
        Ok(Pair { server, load, turns: Vec::new(), rate: 0.0 })
    };
    let count = SOCKJS_SERVERS.len();
    let all = transports.iter().flat_map(|transport| SOCKJS_SERVERS.iter().map(|(name, _)| (*name, *transport)));
    let mut pairs = all.clone().map(pair).collect::<io::Result<Vec<_>>>()?;
    for _ in 0..TURNS {
        pairs.iter_mut().try_for_each(Pair::turn)?;
    }
    for (at, (pair, (name, transport))) in pairs.iter().zip(all).enumerate() {
        let (ours, websocket) = (pair.times(&pairs[at - at % count]), pair.times(&pairs[at % count]));
        let best = pair.turns.iter().copied().fold(f64::MAX, f64::min);
        let (transport, rate) = (transport.name(), pair.rate);
        println!("| {transport} | {name} | {best:.0} | {ours:.2} | {websocket:.2} | {rate:.0} |");
    }
    Ok(())
}

const CLIENTS: usize = 100;
/// A client that writes now and then, and one that writes much: what comes together goes in one request.
const IN_FLIGHT: [usize; 2] = [1, 16];
/// Each server has so many turns with each transport, in alternation.
const TURNS: usize = 25;
const TURN: Duration = Duration::from_millis(400);
