//! From arguments, variables and file to [`Settings`].

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use lexopt::Arg;
use tethered_core::config::named::nearest;

use super::error::{Place, SettingsError};
use super::machine::Machine;
use super::password::Hash;
use super::redis::OnRedis;
use super::replay::{REPLAY, Replay};
use super::sockjs::OnSockJs;
use super::table::{self, Arity, Role, Setting};
use super::value::Refused;
use super::{DEMO_USERS, Settings, file, help, limits, print};
use crate::log::Level;

/// What the command line asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Command {
    /// Serve with these settings.
    Serve(Box<Settings>),
    /// Write this to the standard output and end with success.
    Print(String),
    /// Play what was recorded.
    Replay(Replay),
    /// Read a password's line from the standard input and write its hash: [`hash_line`](super::hash_line).
    HashPassword,
}

/// Where settings come from.
#[derive(Debug)]
pub struct Source<A, V, R> {
    /// The arguments, without the program's name.
    pub arguments: A,
    /// The environment.
    pub variables: V,
    /// How to read the file.
    pub read: R,
    /// What the machine has.
    pub machine: Machine,
}

/// Reads what was asked for, and every setting.
///
/// # Errors
/// The first mistake: in the arguments, then the variables, then the file, then in all of it together.
pub fn command<A, V, R>(source: Source<A, V, R>) -> Result<Command, SettingsError>
where
    A: IntoIterator<Item = OsString>,
    V: IntoIterator<Item = (OsString, OsString)>,
    R: FnOnce(&Path) -> std::io::Result<String>,
{
    let flags = Flags::read(source.arguments)?;
    match flags.ask {
        Ask::Help => return Ok(Command::Print(help::text(source.machine))),
        Ask::Version => return Ok(Command::Print(help::version())),
        Ask::HashPassword => return Ok(Command::HashPassword),
        Ask::Replay(replay) => return Ok(Command::Replay(replay)),
        Ask::Serve | Ask::PrintConfig => {}
    }
    let variables = read_variables(source.variables)?;
    let path = flags.config.or_else(|| variables.config.clone());
    let mut settings = Settings::defaults(source.machine);
    if let Some(path) = path {
        let text = (source.read)(&path).map_err(|e| SettingsError::File { path: path.clone(), why: e.to_string() })?;
        file::apply(&mut settings, &path, &text)?;
    }
    for given in variables.given.iter().chain(&flags.given) {
        given.apply(&mut settings)?;
    }
    if settings.users.is_empty() {
        settings.users = demo_users();
    }
    let points = settings.unsafe_points();
    if !points.is_empty() && !settings.allow_unsafe {
        return Err(SettingsError::Unsafe(points));
    }
    settings.hub_config().validate().map_err(SettingsError::Config)?;
    match flags.ask {
        Ask::PrintConfig => Ok(Command::Print(print::toml(&settings))),
        _ => Ok(Command::Serve(Box::new(settings))),
    }
}

impl Settings {
    pub(super) fn defaults(machine: Machine) -> Self {
        let mut settings = Self {
            listen: Vec::new(),
            log: Level::Info,
            record: None,
            record_limit: 0,
            session_timeout_ms: 0,
            touch_interval_ms: 0,
            cookie: String::new(),
            cookie_encoding: tethered_core::http::Encoding::Base64,
            origins: Vec::new(),
            require_origin: false,
            connect_csrf: false,
            proxies: Vec::new(),
            allow_unsafe: false,
            heart_beat_ms: (0, 0),
            sockjs: OnSockJs::default(),
            conformance: false,
            users: BTreeMap::new(),
            redis: OnRedis::default(),
            limits: limits::All::of(machine),
        };
        for setting in table::all() {
            let values: &[&str] = if setting.default.is_empty() { &[] } else { &[setting.default] };
            if let Role::Set { apply, .. } = setting.role {
                apply(&mut settings, values).expect("INVARIANT: the table's defaults are values of their settings");
            }
        }
        settings
    }
}

/// Applies values to a setting; `at` is where they were written.
pub(super) fn apply(
    settings: &mut Settings,
    setting: &Setting,
    values: &[&str],
    at: &Place,
) -> Result<(), SettingsError> {
    let refused = |Refused(why)| SettingsError::Value { at: at.clone(), why };
    match setting.role {
        Role::Set { apply, .. } => apply(settings, values).map_err(refused),
        Role::Limit => values.iter().try_for_each(|value| {
            let (name, value) = value.split_once('=').ok_or_else(|| {
                refused(Refused(format!(
                    "\"{}\" is no limit; write NAME=VALUE such as MSG_BYTES=64KiB",
                    value.escape_debug()
                )))
            })?;
            settings.limits.set(name.trim(), value.trim()).map_err(refused)
        }),
        Role::ConfigFile | Role::Help | Role::Version | Role::PrintConfig => Ok(()),
    }
}

struct Given {
    setting: &'static Setting,
    values: Vec<String>,
    at: Place,
}

impl Given {
    fn apply(&self, settings: &mut Settings) -> Result<(), SettingsError> {
        let values: Vec<&str> = self.values.iter().map(String::as_str).collect();
        apply(settings, self.setting, &values, &self.at)
    }
}

#[derive(Clone, PartialEq, Eq)]
enum Ask {
    Serve,
    PrintConfig,
    Help,
    Version,
    HashPassword,
    Replay(Replay),
}

struct Flags {
    ask: Ask,
    config: Option<PathBuf>,
    given: Vec<Given>,
}

impl Flags {
    fn read(arguments: impl IntoIterator<Item = OsString>) -> Result<Self, SettingsError> {
        let mut parser = lexopt::Parser::from_args(arguments);
        let mut flags = Self { ask: Ask::Serve, config: None, given: Vec::new() };
        while let Some(argument) = parser.next().map_err(|e| stray_value(&e))? {
            let setting = match argument {
                Arg::Long(name) => table::all().find(|s| s.name == name).ok_or_else(|| unknown_flag(name))?,
                Arg::Short(short) => table::all()
                    .find(|s| s.short == Some(short))
                    .ok_or_else(|| unknown(Place::Flag(format!("-{short}")), "flag", None))?,
                Arg::Value(word) if flags.ask == Ask::Serve && word == REPLAY => {
                    return Ok(Self { ask: Ask::Replay(Replay::read(&mut parser)?), ..flags });
                }
                Arg::Value(word) => {
                    flags.word(&word)?;
                    continue;
                }
            };
            let value = flag_value(&mut parser, setting)?;
            match setting.role {
                Role::Help => return Ok(Self { ask: Ask::Help, ..flags }),
                Role::Version => return Ok(Self { ask: Ask::Version, ..flags }),
                Role::PrintConfig => flags.ask = Ask::PrintConfig,
                Role::ConfigFile => flags.config = Some(value.into()),
                Role::Set { .. } | Role::Limit => flags.add(setting, value),
            }
        }
        Ok(flags)
    }

    fn word(&mut self, word: &OsStr) -> Result<(), SettingsError> {
        if self.ask == Ask::Serve && word == HASH_PASSWORD {
            self.ask = Ask::HashPassword;
            return Ok(());
        }
        let word = word.to_string_lossy().escape_debug().to_string();
        let names = [HASH_PASSWORD.to_owned(), REPLAY.to_owned()]
            .into_iter()
            .chain(table::all().map(|s| format!("--{}", s.name)));
        let names: Vec<String> = names.collect();
        let near = nearest(&word, names.iter().map(String::as_str));
        Err(SettingsError::Word { nearest: near.map(str::to_owned), word })
    }

    fn add(&mut self, setting: &'static Setting, value: String) {
        match self.given.iter_mut().find(|given| given.setting.name == setting.name) {
            Some(given) => given.values.push(value),
            None => {
                let at = Place::Flag(format!("--{}", setting.name));
                self.given.push(Given { setting, values: vec![value], at });
            }
        }
    }
}

fn flag_value(parser: &mut lexopt::Parser, setting: &Setting) -> Result<String, SettingsError> {
    let value = match setting.arity {
        Arity::Switch => parser.optional_value().unwrap_or_else(|| "true".into()),
        Arity::One | Arity::Pair | Arity::Many => parser
            .value()
            .map_err(|_| SettingsError::Missing { name: setting.name.to_owned(), placeholder: setting.placeholder })?,
    };
    value.into_string().map_err(|_| SettingsError::NotUnicode(format!("--{}", setting.name)))
}

struct Variables {
    config: Option<PathBuf>,
    given: Vec<Given>,
}

/// An empty variable is as good as none: that is how container files leave one out.
fn read_variables(variables: impl IntoIterator<Item = (OsString, OsString)>) -> Result<Variables, SettingsError> {
    let mut read = Variables { config: None, given: Vec::new() };
    let mut ours: Vec<_> = variables
        .into_iter()
        .filter_map(|(name, value)| Some((name.into_string().ok().filter(|n| n.starts_with(PREFIX))?, value)))
        .filter(|(_, value)| !value.is_empty())
        .collect();
    ours.sort();
    for (name, value) in ours {
        let Some(setting) = table::all().find(|s| s.in_environment() && s.variable() == name) else {
            let all: Vec<String> = table::all().filter(|s| s.in_environment()).map(Setting::variable).collect();
            let near = nearest(&name, all.iter().map(String::as_str)).map(str::to_owned);
            return Err(unknown(Place::Variable(name), "setting", near));
        };
        let value = value.into_string().map_err(|_| SettingsError::NotUnicode(name.clone()))?;
        if matches!(setting.role, Role::ConfigFile) {
            read.config = Some(value.into());
            continue;
        }
        let values = match setting.arity {
            Arity::Many => value.split(',').map(|part| part.trim().to_owned()).collect(),
            Arity::Switch | Arity::One | Arity::Pair => vec![value],
        };
        read.given.push(Given { setting, values, at: Place::Variable(name) });
    }
    Ok(read)
}

fn unknown_flag(name: &str) -> SettingsError {
    let near = nearest(name, table::all().map(|s| s.name)).map(|near| format!("--{near}"));
    unknown(Place::Flag(format!("--{}", name.escape_debug())), "flag", near)
}

fn unknown(at: Place, kind: &'static str, nearest: Option<String>) -> SettingsError {
    SettingsError::Unknown { at, kind, nearest }
}

/// A value was given to a flag that takes none.
fn stray_value(error: &lexopt::Error) -> SettingsError {
    SettingsError::Word { word: error.to_string().escape_debug().to_string(), nearest: None }
}

fn demo_users() -> BTreeMap<String, Hash> {
    let parse = |hash| Hash::parse(hash).expect("INVARIANT: the demo users' hashes are well-formed");
    DEMO_USERS.iter().map(|(name, hash)| ((*name).to_owned(), parse(hash))).collect()
}

const PREFIX: &str = "TETHERED_";
const HASH_PASSWORD: &str = "hash-password";
