//! `tethered replay`: plays a recording, and tells what became of whom.

use std::io::{self, BufRead, Write};
use std::path::Path;

use tethered_core::hub::Hub;
use tethered_core::hub::record::{BadLine, Explainer, Line, Overview, ReplayError, show_id};
use tethered_core::ids::SocketId;

use crate::settings::{Of, Settings, SettingsError};

/// Why a recording could not be played to its end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// It could not be read, or what there is to tell could not be written.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// A line of it is broken.
    #[error("line {line}: {bad}")]
    Line {
        /// Which one, from 1.
        line: u64,
        /// What is wrong with it.
        bad: BadLine,
    },
    /// It does not lead to what it led to then.
    #[error("line {line}: {why}")]
    Replay {
        /// Where that was noticed, from 1.
        line: u64,
        /// What was noticed.
        why: ReplayError,
    },
    /// The settings in it.
    #[error("the settings in the recording: {0}")]
    Settings(#[from] SettingsError),
    /// There is nothing in it.
    #[error("there is nothing in the recording")]
    Empty,
    /// What was asked for is not in it.
    #[error("there is no such {0} in the recording; tethered replay FILE lists what there is")]
    Unknown(&'static str),
}

/// Plays the recording that `open` opens, as often as it takes, and writes to `out` what there is to tell.
///
/// # Errors
/// [`Failure`]; what was found out before that is written.
pub fn replay<R: BufRead>(
    path: &Path,
    open: impl Fn() -> io::Result<R>,
    of: Of,
    out: &mut impl Write,
) -> Result<(), Failure> {
    match of {
        Of::All => {
            let mut runs = Runs::new(path, open()?);
            let mut any = false;
            while let Some(mut run) = runs.next_run()? {
                any = true;
                let mut overview = Overview::new();
                let played = run.play(&mut runs, |hub, line| overview.play(hub, line));
                overview.finish(&mut run.hub);
                out.write_all(overview.text().as_bytes())?;
                played?;
            }
            if any { Ok(()) } else { Err(Failure::Empty) }
        }
        Of::Socket(socket) => tell(path, open, |_| vec![socket], "socket", out),
        Of::Session(session) => {
            let mut under = Vec::new();
            let mut runs = Runs::new(path, open()?);
            while let Some(mut run) = runs.next_run()? {
                let mut overview = Overview::new();
                run.play(&mut runs, |hub, line| overview.play(hub, line))?;
                overview.finish(&mut run.hub);
                under.push(overview.under(session));
            }
            tell(path, open, |run| under.get(run).cloned().unwrap_or_default(), "session", out)
        }
    }
}

/// Tells the story of some sockets of each run.
fn tell<R: BufRead>(
    path: &Path,
    open: impl Fn() -> io::Result<R>,
    sockets: impl Fn(usize) -> Vec<SocketId>,
    what: &'static str,
    out: &mut impl Write,
) -> Result<(), Failure> {
    let mut runs = Runs::new(path, open()?);
    let (mut number, mut any) = (0, false);
    while let Some(mut run) = runs.next_run()? {
        let sockets = sockets(number);
        number += 1;
        let mut explainers: Vec<Explainer> = sockets.iter().map(|socket| Explainer::new(*socket)).collect();
        let played = run.play(&mut runs, |hub, line| Explainer::play_all(&mut explainers, hub, line));
        Explainer::finish_all(&mut explainers, &mut run.hub);
        for (socket, explainer) in sockets.iter().zip(&mut explainers) {
            let story = explainer.take();
            if story.is_empty() {
                continue;
            }
            any = true;
            writeln!(out, "Socket {}\n{story}Why: {}\n", show_id(*socket), explainer.why())?;
        }
        played?;
    }
    if any { Ok(()) } else { Err(Failure::Unknown(what)) }
}

/// A file may hold several recordings, one for each time that the server was started.
struct Runs<R> {
    path: std::path::PathBuf,
    input: R,
    line: u64,
    text: String,
    /// The first line of the next run.
    begin: Option<Line>,
    /// The settings that were found before it.
    settings: String,
}

struct Run {
    hub: Hub,
}

impl<R: BufRead> Runs<R> {
    fn new(path: &Path, input: R) -> Self {
        Self { path: path.to_owned(), input, line: 0, text: String::new(), begin: None, settings: String::new() }
    }

    fn next_run(&mut self) -> Result<Option<Run>, Failure> {
        let begin = match self.begin.take() {
            Some(begin) => begin,
            None => match self.next_line()? {
                Some(line) => line,
                None => return Ok(None),
            },
        };
        let settings = Settings::of_recording(&self.path, &std::mem::take(&mut self.settings))?;
        let hub = Hub::from_record(settings.hub_config(), &begin);
        let hub = hub.map_err(|why| Failure::Replay { line: self.line, why })?;
        Ok(Some(Run { hub }))
    }

    /// The next line that is none of the notes.
    fn next_line(&mut self) -> Result<Option<Line>, Failure> {
        loop {
            self.text.clear();
            if self.input.read_line(&mut self.text)? == 0 {
                return Ok(None);
            }
            self.line += 1;
            match self.text.strip_prefix('#') {
                Some(note) => self.settings.push_str(note),
                // Where the server was killed the last line may be cut off.
                None if !self.text.ends_with('\n') => return Ok(None),
                None => {
                    let line = Line::parse(&self.text);
                    return line.map(Some).map_err(|bad| Failure::Line { line: self.line, bad });
                }
            }
        }
    }
}

impl Run {
    /// Plays up to the end of this run.
    fn play<R: BufRead>(
        &mut self,
        runs: &mut Runs<R>,
        mut each: impl FnMut(&mut Hub, &Line) -> Result<(), ReplayError>,
    ) -> Result<(), Failure> {
        while let Some(line) = runs.next_line()? {
            if line.is_begin() {
                runs.begin = Some(line);
                break;
            }
            each(&mut self.hub, &line).map_err(|why| Failure::Replay { line: runs.line, why })?;
        }
        Ok(())
    }
}
