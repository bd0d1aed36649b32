//! The reference server: the settings, one hub, and the demo.
#![forbid(unsafe_code)]

mod reference;

use std::error::Error;
use std::io::Write as _;
use std::process::ExitCode;
use std::{env, fs, io};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tethered_core::hub::Hub;
use tethered_smol::demo::Demo;
use tethered_smol::settings::{self, Command, LogLevel, Machine, Settings, Source};
use tethered_smol::{Clock, Level, Listeners, Log, Server, end_on_signals};

use self::reference::Reference;

fn main() -> ExitCode {
    raise_file_limit();
    let source = Source {
        arguments: env::args_os().skip(1),
        variables: env::vars_os(),
        read: |path: &std::path::Path| fs::read_to_string(path),
        machine: Machine::of_this_process(),
    };
    let command = match settings::command(source) {
        Ok(command) => command,
        Err(error) => return failed(USAGE, &error),
    };
    let result = match command {
        Command::Serve(settings) => serve(&settings),
        Command::Print(text) => io::stdout().write_all(text.as_bytes()).map_err(Into::into),
        Command::HashPassword => hash_password(),
        _ => Ok(()),
    };
    result.map_or_else(|error| failed(FAILURE, &*error), |()| ExitCode::SUCCESS)
}

fn serve(settings: &Settings) -> Result<(), Box<dyn Error>> {
    let clock = Clock::start();
    let log = Log::new(level(settings.log));
    for warning in settings.warnings() {
        log.write(clock.now(), Level::Warn, "take care", &[("of", &warning)]);
    }
    log.write(clock.now(), Level::Info, "limits", &[("values", &settings.limits_line())]);
    let hub = Hub::new(settings.hub_config(), seed()?, clock.now())?;
    let mut listeners: Option<Listeners> = None;
    for listen in &settings.listen {
        let addresses = listen.addresses().map_err(|error| format!("{listen}: {error}"))?;
        let bound = Listeners::bind_all(addresses)?;
        listeners = Some(match listeners {
            Some(listeners) => listeners.and(bound),
            None => bound,
        });
    }
    let listeners = listeners.ok_or("there is no address to listen at")?;
    let addresses = listeners.addresses();
    let reference = Reference::new(Demo::new(settings, seed()?));
    let server = Server::new(hub, reference, clock, listeners, log.clone())?;
    let executor = smol::LocalExecutor::new();
    let signals = executor.spawn(end_on_signals(server.handle())?);
    for address in addresses {
        log.write(
            clock.now(),
            Level::Info,
            "listening",
            &[("address", &address), ("url", &format!("http://{address}/"))],
        );
    }
    let (end, _) = smol::block_on(executor.run(server.run()))?;
    log.write(clock.now(), Level::Info, "stopped", &[("how", &format!("{end:?}"))]);
    drop(signals);
    Ok(())
}

fn hash_password() -> Result<(), Box<dyn Error>> {
    let mut line = Vec::new();
    io::BufRead::read_until(&mut io::stdin().lock(), b'\n', &mut line)?;
    println!("{}", settings::hash_line(&line, seed()?)?);
    Ok(())
}

/// As many open files as this process may have without asking anybody.
fn raise_file_limit() {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    // Where that fails, what there is has to do.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
}

fn seed() -> Result<[u8; 16], Box<dyn Error>> {
    let mut seed = [0; 16];
    getrandom::fill(&mut seed).map_err(|error| format!("the system's random source fails: {error}"))?;
    Ok(seed)
}

const fn level(level: LogLevel) -> Level {
    match level {
        LogLevel::Off => Level::Off,
        LogLevel::Error => Level::Error,
        LogLevel::Warn => Level::Warn,
        LogLevel::Info => Level::Info,
        LogLevel::Debug => Level::Debug,
    }
}

fn failed(code: u8, error: &dyn Error) -> ExitCode {
    eprintln!("tethered: {error}");
    ExitCode::from(code)
}

/// The exit code where the settings are wrong.
const USAGE: u8 = 2;
/// The exit code where it cannot serve.
const FAILURE: u8 = 1;
