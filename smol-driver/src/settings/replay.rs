//! The arguments of `tethered replay`.

use std::path::PathBuf;

use lexopt::{Arg, Parser};
use tethered_core::config::named::nearest;
use tethered_core::hub::record::parse_id;
use tethered_core::ids::SocketId;

use super::error::{Place, SettingsError};

/// What is to be played, and what is to be told of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replay {
    /// The recording.
    pub file: PathBuf,
    /// Whose story is told.
    pub of: Of,
}

/// Whose story a [`Replay`] tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Of {
    /// A line about every socket.
    All,
    /// One socket.
    Socket(SocketId),
    /// Each socket that was under the session with this fingerprint: six hex digits, as logs show them.
    Session([u8; 6]),
}

impl Replay {
    /// Reads what follows the word `replay`.
    pub(super) fn read(parser: &mut Parser) -> Result<Self, SettingsError> {
        let (mut file, mut of) = (None, Of::All);
        while let Some(argument) = parser.next().map_err(|error| wrong("replay", &error.to_string()))? {
            match argument {
                Arg::Value(path) if file.is_none() => file = Some(PathBuf::from(path)),
                Arg::Value(word) => {
                    let word = word.to_string_lossy().escape_debug().to_string();
                    return Err(SettingsError::Word { word, nearest: None });
                }
                Arg::Long(SOCKET) => of = Of::Socket(value(parser, SOCKET, "ID", SOCKET_WRONG, parse_id)?),
                Arg::Long(SESSION) => {
                    of = Of::Session(value(parser, SESSION, "FINGERPRINT", SESSION_WRONG, fingerprint)?);
                }
                Arg::Long(name) => {
                    let near = nearest(name, [SOCKET, SESSION].into_iter()).map(|near| format!("--{near}"));
                    let at = Place::Flag(format!("--{}", name.escape_debug()));
                    return Err(SettingsError::Unknown { at, kind: "flag of replay", nearest: near });
                }
                Arg::Short(short) => {
                    let at = Place::Flag(format!("-{}", short.escape_debug()));
                    return Err(SettingsError::Unknown { at, kind: "flag of replay", nearest: None });
                }
            }
        }
        let file =
            file.ok_or_else(|| wrong("replay", "the name of the recording is missing; write tethered replay FILE"))?;
        Ok(Self { file, of })
    }
}

fn value<T>(
    parser: &mut Parser,
    name: &str,
    placeholder: &'static str,
    expected: &str,
    read: impl FnOnce(&str) -> Option<T>,
) -> Result<T, SettingsError> {
    let value = parser.value().map_err(|_| SettingsError::Missing { name: name.to_owned(), placeholder })?;
    let text = value.to_string_lossy();
    read(&text).ok_or_else(|| wrong(&format!("--{name}"), &format!("\"{}\" {expected}", text.escape_debug())))
}

fn fingerprint(text: &str) -> Option<[u8; 6]> {
    let hex = text.bytes().all(|byte| byte.is_ascii_hexdigit());
    <[u8; 6]>::try_from(text.to_ascii_lowercase().as_bytes()).ok().filter(|_| hex)
}

fn wrong(flag: &str, why: &str) -> SettingsError {
    SettingsError::Value { at: Place::Flag(flag.to_owned()), why: why.to_owned() }
}

/// The word on the command line.
pub(super) const REPLAY: &str = "replay";
const SOCKET: &str = "socket";
const SESSION: &str = "session";
const SOCKET_WRONG: &str = "is no id of a socket; write one that tethered replay FILE lists, such as 7.1";
const SESSION_WRONG: &str = "is no fingerprint of a session; write the six hex digits that the log shows";
