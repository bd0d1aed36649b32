//! SockJS servers from end to end under one load: processor time a message, by transport. Prints Markdown.
//!
//! `npm --prefix benches/sockjs-node ci && cargo bench -p tethered-benches --bench sockjs_echo`. Each server is a process on
//! the first processor, the load is this process on the second one. Words after `--` choose transports.

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
    for in_flight in IN_FLIGHT {
        println!("\n{in_flight} in flight, {CLIENTS} clients:\n");
        println!("| transport | server | CPU, ns a message | times ours | messages a second |");
        println!("| --- | --- | ---: | ---: | ---: |");
        for transport in Transport::ALL {
            if words.is_empty() || words.iter().any(|word| word == transport.name()) {
                compare(program, transport, in_flight)?;
            }
        }
    }
    Ok(())
}

struct Pair {
    server: Server,
    load: Load,
    cpu_ns: f64,
    rate: f64,
}

fn compare(program: &Path, transport: Transport, in_flight: usize) -> io::Result<()> {
    let pair = |(name, _): &(&str, _)| {
        let server = Server::start(program, name)?;
        let load = Load::connect(server.address, transport, CLIENTS, in_flight)?;
        Ok(Pair { server, load, cpu_ns: f64::MAX, rate: 0.0 })
    };
    let mut pairs = SOCKJS_SERVERS.iter().map(pair).collect::<io::Result<Vec<_>>>()?;
    for _ in 0..TURNS {
        for pair in &mut pairs {
            let cpu = pair.server.cpu_time()?;
            let messages = pair.load.run(TURN)? as f64;
            let cpu_ns = (pair.server.cpu_time()? - cpu).as_nanos() as f64 / messages;
            pair.cpu_ns = pair.cpu_ns.min(cpu_ns);
            pair.rate = pair.rate.max(messages / TURN.as_secs_f64());
        }
    }
    for ((name, _), pair) in SOCKJS_SERVERS.iter().zip(&pairs) {
        let times = pair.cpu_ns / pairs[0].cpu_ns;
        println!("| {} | {name} | {:.0} | {times:.2} | {:.0} |", transport.name(), pair.cpu_ns, pair.rate);
    }
    Ok(())
}

const CLIENTS: usize = 100;
/// A client that writes now and then, and one that writes much: what comes together goes in one request.
const IN_FLIGHT: [usize; 2] = [1, 16];
/// Each server has so many turns, in alternation; its best counts.
const TURNS: usize = 15;
const TURN: Duration = Duration::from_millis(400);
