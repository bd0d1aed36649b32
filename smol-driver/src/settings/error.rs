//! What may be wrong with settings: which one, where it was written, and what to write instead.

use std::fmt;
use std::path::PathBuf;

use super::password::PasswordError;

/// Where a setting was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// On the command line; the flag with its dashes.
    Flag(String),
    /// In the environment; the variable's name.
    Variable(String),
    /// In the file.
    File {
        /// The file, as it was named.
        path: PathBuf,
        /// Its line, from 1.
        line: usize,
        /// The key; empty if it is the line that is wrong.
        key: String,
    },
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(name) | Self::Variable(name) => write!(f, "{name}"),
            Self::File { path, line, key } if key.is_empty() => write!(f, "{}:{line}", path.display()),
            Self::File { path, line, key } => write!(f, "{}:{line}: {key}", path.display()),
        }
    }
}

/// Why the settings cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SettingsError {
    /// Nothing goes by that name.
    #[error("{at}: there is no such {kind}{}", meant(.nearest.as_deref()))]
    Unknown {
        /// Where, name included.
        at: Place,
        /// What it would be: a flag, a setting.
        kind: &'static str,
        /// What may have been meant.
        nearest: Option<String>,
    },
    /// A word that is neither a flag nor a command.
    #[error("\"{word}\" is no command{}; see tethered --help", meant(.nearest.as_deref()))]
    Word {
        /// The word.
        word: String,
        /// What may have been meant.
        nearest: Option<String>,
    },
    /// A value that cannot be.
    #[error("{at}: {why}")]
    Value {
        /// Where.
        at: Place,
        /// What is wrong with it, and what to write.
        why: String,
    },
    /// A flag without its value.
    #[error("--{name}: its value is missing; write --{name} {placeholder}")]
    Missing {
        /// The flag's name.
        name: String,
        /// What its value looks like.
        placeholder: &'static str,
    },
    /// A user's entry. The text is not shown: it may be a password.
    #[error("{at}: {why}")]
    User {
        /// Where.
        at: Place,
        /// What is wrong with it.
        why: PasswordError,
    },
    /// The file cannot be read.
    #[error("{}: cannot be read: {why}", path.display())]
    File {
        /// The file, as it was named.
        path: PathBuf,
        /// What the operating system said.
        why: String,
    },
    /// The file is not TOML.
    #[error("{at}: {why}")]
    Toml {
        /// Where it ceases to be.
        at: Place,
        /// What the reader said.
        why: String,
    },
    /// An argument or a variable is not UTF-8.
    #[error("{0}: is not UTF-8")]
    NotUnicode(String),
    /// Settings that let strangers in, without the word that it is meant.
    #[error("unsafe: {}; add --allow-unsafe if this is meant", .0.join("; "))]
    Unsafe(Vec<String>),
    /// What the machine itself says of the settings taken together.
    #[error("{0}")]
    Config(tethered_core::config::ConfigError),
}

fn meant(nearest: Option<&str>) -> String {
    nearest.map_or_else(String::new, |near| format!("; did you mean {near}?"))
}
