//! One of the echo servers: `echo-server NAME [PROCESSOR]`. Writes its address to the standard output.

use std::error::Error;

use tethered_benches::echo::{process, serve};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let name = arguments.next().unwrap_or_default();
    let known = || serve::SERVERS.iter().chain(serve::SOCKJS_SERVERS);
    let (_, serve) = known().find(|(it, _)| *it == name).ok_or_else(|| {
        let names = known().map(|(name, _)| *name).collect::<Vec<_>>();
        format!("echo-server NAME [PROCESSOR], where NAME is one of: {}", names.join(", "))
    })?;
    if let Some(cpu) = arguments.next() {
        process::pin(cpu.parse()?)?;
    }
    serve()
}
