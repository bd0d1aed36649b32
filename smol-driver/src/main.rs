//! The reference server: settings, hub, sockets and the demo, put together.
#![forbid(unsafe_code)]

use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Write};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tethered_core::hub::{Delivery, Hub, Request, Response};
use tethered_core::ids::{ClientId, SocketId};
use tethered_core::session::Cause;
use tethered_smol::demo::{BEAT_MS, Demo, Reply};
use tethered_smol::settings::{self, Command, Machine, PASSWORD_BYTES_MAX, Replay, Settings, Source};
use tethered_smol::{
    Application, Clock, Context, End, Handle, Level, Listeners, Log, NotTaken, Recording, Server, end_on_signals,
};

/// The demo with what it must be given from outside: randomness, and threads for slow work.
struct Served(Demo);

impl Application for Served {
    fn request(&mut self, cx: &mut Context<'_, Self>, socket: SocketId, request: Request) -> Option<Response> {
        let verify = match self.0.request(cx.now(), &mut random, &request) {
            Reply::Ready(response) => return Some(*response),
            Reply::Verify(verify) => verify,
        };
        let handle = cx.handle().clone();
        smol::unblock(move || {
            let verified = verify.run();
            // Where the server has stopped meanwhile, nobody waits for it.
            let _ = handle.answer(move |app: &mut Self, cx| {
                let response = app.0.verified(&mut random, verified);
                cx.respond(socket, response);
            });
        })
        .detach();
        None
    }

    fn deliver(&mut self, cx: &mut Context<'_, Self>, client: ClientId, delivery: Delivery) {
        let now = cx.now();
        self.0.deliver(cx.hub(), now, client, &delivery);
    }

    fn joined(&mut self, cx: &mut Context<'_, Self>, client: ClientId, principal: Option<Arc<str>>) {
        let now = cx.now();
        self.0.joined(cx.hub(), now, client, principal.as_ref());
    }

    fn left(&mut self, cx: &mut Context<'_, Self>, _client: ClientId, _cause: Cause, principal: Option<Arc<str>>) {
        let now = cx.now();
        self.0.left(cx.hub(), now, principal.as_ref());
    }

    fn announced(&mut self, cx: &mut Context<'_, Self>, from: &str, body: &[u8]) {
        let now = cx.now();
        self.0.announced(cx.hub(), now, from, body);
    }
}

fn main() -> ExitCode {
    raise_file_limit();
    let source = Source {
        arguments: std::env::args_os().skip(1),
        variables: std::env::vars_os(),
        read: |path: &Path| std::fs::read_to_string(path),
        machine: Machine::of_this_process(),
    };
    let done = match settings::command(source) {
        Ok(Command::Print(text)) => std::io::stdout().write_all(text.as_bytes()).map_err(Into::into),
        Ok(Command::HashPassword) => hash_password(),
        Ok(Command::Replay(what)) => replay(&what),
        Ok(Command::Serve(settings)) => serve(&settings),
        Ok(_) => Ok(()),
        Err(error) => Err(error.into()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tethered: {error}");
            ExitCode::FAILURE
        }
    }
}

type Failure = Box<dyn std::error::Error>;

/// As many open files as this process may have without asking anybody.
fn raise_file_limit() {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    // Where that fails, what there is has to do.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
}

fn hash_password() -> Result<(), Failure> {
    let mut line = Vec::new();
    let most = u64::try_from(PASSWORD_BYTES_MAX)? + 2;
    std::io::stdin().take(most).read_to_end(&mut line)?;
    let mut salt = [0; 16];
    getrandom::fill(&mut salt)?;
    println!("{}", settings::hash_line(&line, salt)?);
    Ok(())
}

fn replay(what: &Replay) -> Result<(), Failure> {
    let open = || File::open(&what.file).map(BufReader::new);
    let mut out = BufWriter::new(std::io::stdout().lock());
    let told = tethered_smol::replay::replay(&what.file, open, what.of, &mut out);
    out.flush()?;
    told.map_err(|error| format!("{}: {error}", what.file.display()).into())
}

fn serve(settings: &Settings) -> Result<(), Failure> {
    let clock = Clock::start();
    let log = Log::new(settings.log);
    let (mut seed, mut key) = ([0; 16], [0; 16]);
    getrandom::fill(&mut seed)?;
    getrandom::fill(&mut key)?;
    let hub = Hub::new(settings.hub_config(), seed, clock.now())?;
    let mut listeners: Option<Listeners> = None;
    for listen in &settings.listen {
        let bound = Listeners::bind_all(listen.addresses()?)?;
        listeners = Some(match listeners {
            Some(others) => others.and(bound),
            None => bound,
        });
    }
    let listeners = listeners.ok_or("nothing to listen on: --listen HOST:PORT")?;
    for warning in settings.warnings() {
        log.write(clock.now(), Level::Warn, "warning", &[("what", &warning)]);
    }
    log.write(clock.now(), Level::Info, "limits", &[("limits", &settings.limits_line())]);
    let addresses = listeners.addresses();
    let mut server = Server::new(hub, Served(Demo::new(settings, key)), clock, listeners, log.clone())?;
    if let Some(redis) = settings.redis_options()? {
        server.redis(&redis).map_err(|error| format!("--redis {}: {error}", redis.url))?;
    }
    if let Some(file) = &settings.record {
        let recording = Recording::open(Path::new(file), settings.record_limit, &settings.for_recording());
        server.record(recording.map_err(|error| format!("--record {file}: {error}"))?)?;
    }
    let executor = smol::LocalExecutor::new();
    executor.spawn(end_on_signals(server.handle())?).detach();
    if settings.redis.url.is_some() {
        executor.spawn(beat(server.handle())).detach();
    }
    // From here on a signal ends it in order.
    for address in addresses {
        let url = format!("http://{address}/");
        log.write(clock.now(), Level::Info, "listening", &[("address", &url)]);
    }
    let (end, _) = smol::block_on(executor.run(server.run()))?;
    let how = match end {
        End::Drained => "drained".to_owned(),
        End::Late { sockets } => format!("drained, but for {sockets} sockets that did not end in time"),
        End::Stopped => "stopped at once".to_owned(),
    };
    log.write(clock.now(), Level::Info, "end", &[("how", &how)]);
    Ok(())
}

/// Tells the other nodes from time to time who is here.
async fn beat(handle: Handle<Served>) {
    loop {
        smol::Timer::after(Duration::from_millis(BEAT_MS)).await;
        let beat = |app: &mut Served, cx: &mut Context<'_, Served>| {
            let now = cx.now();
            app.0.beat(cx.hub(), now);
        };
        if handle.call(beat) == Err(NotTaken::Stopped) {
            return;
        }
    }
}

/// Bytes from the system's random source. Without it nothing here is safe, so the process ends.
fn random(bytes: &mut [u8]) {
    if let Err(error) = getrandom::fill(bytes) {
        eprintln!("tethered: the system gives no random bytes: {error}");
        std::process::abort();
    }
}
