//! The table of settings: flags, keys of the file, variables, help and the printed configuration all come from it.

use tethered_core::http::Encoding;

use super::Settings;
use super::redis::REDIS;
use super::sockjs::SOCKJS;
use super::value::{self, Listen, Refused, one};

/// A setting, or something else that is asked for with a flag.
pub(super) struct Setting {
    /// The flag without dashes, and the key in the file.
    pub(super) name: &'static str,
    pub(super) short: Option<char>,
    pub(super) group: Group,
    pub(super) arity: Arity,
    /// What its value looks like in the help.
    pub(super) placeholder: &'static str,
    /// The default as one would write it; empty for none.
    pub(super) default: &'static str,
    pub(super) help: &'static [&'static str],
    pub(super) role: Role,
}

/// How many values it takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Arity {
    /// `true`, if it is named at all.
    Switch,
    One,
    /// Two numbers: `A,B`, in the file also `[A, B]`.
    Pair,
    /// Any number: the flag repeated, `A,B` in a variable, `["A", "B"]` in the file.
    Many,
}

/// What it is for.
#[derive(Clone, Copy)]
pub(super) enum Role {
    /// It changes the settings, wherever it is written.
    Set {
        apply: fn(&mut Settings, &[&str]) -> Result<(), Refused>,
        show: fn(&Settings) -> Shown,
    },
    /// Limits: flag and variable as `NAME=VALUE`, a table of its own in the file.
    Limit,
    /// The file: flag and variable only.
    ConfigFile,
    /// Flag only.
    Help,
    Version,
    PrintConfig,
}

/// A value for the printed configuration.
pub(super) enum Shown {
    Bool(bool),
    Text(String),
    List(Vec<String>),
}

/// A heading of the help.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Group {
    Server,
    Sessions,
    Redis,
    Access,
    Stomp,
    SockJs,
    Other,
}

impl Group {
    pub(super) const ALL: [Self; 7] =
        [Self::Server, Self::Sessions, Self::Redis, Self::Access, Self::Stomp, Self::SockJs, Self::Other];

    pub(super) const fn title(self) -> &'static str {
        match self {
            Self::Server => "Server",
            Self::Sessions => "Sessions",
            Self::Redis => "Sessions on a Redis",
            Self::Access => "Who may connect",
            Self::Stomp => "STOMP and limits",
            Self::SockJs => "SockJS",
            Self::Other => "Other",
        }
    }
}

impl Setting {
    /// The variable that sets it.
    pub(super) fn variable(&self) -> String {
        format!("TETHERED_{}", self.name.to_ascii_uppercase().replace('-', "_"))
    }

    /// Whether it may be written in a variable.
    pub(super) const fn in_environment(&self) -> bool {
        matches!(self.role, Role::Set { .. } | Role::Limit | Role::ConfigFile)
    }

    /// Whether it may be written in the file under its own name.
    pub(super) const fn in_file(&self) -> bool {
        matches!(self.role, Role::Set { .. })
    }
}

/// Every setting, in the order of the help as far as they stand under one heading.
pub(super) fn all() -> impl Iterator<Item = &'static Setting> {
    SETTINGS.iter().chain(REDIS).chain(SOCKJS)
}

const SETTINGS: &[Setting] = &[
    Setting {
        name: "listen",
        short: None,
        group: Group::Server,
        arity: Arity::Many,
        placeholder: "HOST:PORT",
        default: "localhost:8080",
        help: &[
            "Where to listen; repeat it for several addresses.",
            "0.0.0.0:8080 is open to the network, port 0 is any free one.",
        ],
        role: Role::Set {
            apply: |s, values| {
                s.listen = values.iter().map(|v| Listen::parse(v)).collect::<Result<_, _>>()?;
                if s.listen.is_empty() { Err(Refused("needs at least one HOST:PORT".to_owned())) } else { Ok(()) }
            },
            show: |s| Shown::List(s.listen.iter().map(ToString::to_string).collect()),
        },
    },
    Setting {
        name: "log",
        short: None,
        group: Group::Server,
        arity: Arity::One,
        placeholder: "LEVEL",
        default: "info",
        help: &["How much to say: off, error, warn, info or debug."],
        role: Role::Set {
            apply: |s, values| one(values, value::log_level).map(|v| s.log = v),
            show: |s| Shown::Text(s.log.as_str().to_owned()),
        },
    },
    Setting {
        name: "record",
        short: None,
        group: Group::Server,
        arity: Arity::One,
        placeholder: "FILE",
        default: "",
        help: &[
            "Append everything that comes in to this file, for tethered",
            "replay. It holds cookies and all that is sent: keep it secret.",
        ],
        role: Role::Set {
            apply: |s, values| {
                s.record = values.last().filter(|v| !v.is_empty()).map(|v| (*v).to_owned());
                Ok(())
            },
            show: |s| Shown::Text(s.record.clone().unwrap_or_default()),
        },
    },
    Setting {
        name: "record-limit",
        short: None,
        group: Group::Server,
        arity: Arity::One,
        placeholder: "SIZE",
        default: "1GiB",
        help: &["Stop recording before the file is larger: 64KiB, 100MiB."],
        role: Role::Set {
            apply: |s, values| one(values, value::size_bytes).map(|v| s.record_limit = v),
            show: |s| Shown::Text(value::show_size(s.record_limit)),
        },
    },
    Setting {
        name: "session-timeout",
        short: None,
        group: Group::Sessions,
        arity: Arity::One,
        placeholder: "DURATION",
        default: "30m",
        help: &["How long a login lasts without activity: 500ms, 60s, 30m,", "12h; a bare number is seconds."],
        role: Role::Set {
            apply: |s, values| one(values, value::timeout_ms).map(|v| s.session_timeout_ms = v),
            show: |s| Shown::Text(value::show_duration(s.session_timeout_ms)),
        },
    },
    Setting {
        name: "touch-interval",
        short: None,
        group: Group::Sessions,
        arity: Arity::One,
        placeholder: "DURATION",
        default: "1s",
        help: &["Renew a session in its store at most once in this time;", "0s: with each message."],
        role: Role::Set {
            apply: |s, values| one(values, value::duration_ms).map(|v| s.touch_interval_ms = v),
            show: |s| Shown::Text(value::show_duration(s.touch_interval_ms)),
        },
    },
    Setting {
        name: "cookie",
        short: None,
        group: Group::Sessions,
        arity: Arity::One,
        placeholder: "NAME",
        default: "SESSION",
        help: &["The session cookie's name."],
        role: Role::Set {
            apply: |s, values| one(values, value::cookie_name).map(|v| s.cookie = v),
            show: |s| Shown::Text(s.cookie.clone()),
        },
    },
    Setting {
        name: "cookie-encoding",
        short: None,
        group: Group::Sessions,
        arity: Arity::One,
        placeholder: "ENCODING",
        default: "base64",
        help: &["How the session's id is written in it: base64, as Spring", "Session does, or plain."],
        role: Role::Set {
            apply: |s, values| {
                let plain = one(values, |v| value::word(v, &["base64", "plain"]))? == "plain";
                s.cookie_encoding = if plain { Encoding::Plain } else { Encoding::Base64 };
                Ok(())
            },
            show: |s| Shown::Text(if s.cookie_encoding == Encoding::Plain { "plain" } else { "base64" }.to_owned()),
        },
    },
    Setting {
        name: "origin",
        short: None,
        group: Group::Access,
        arity: Arity::Many,
        placeholder: "ORIGIN",
        default: "",
        help: &["Let pages of this origin in too, such as", "https://app.example.org; default: the server's own only."],
        role: Role::Set {
            apply: |s, values| {
                s.origins = values.iter().map(|v| value::origin(v)).collect::<Result<_, _>>()?;
                Ok(())
            },
            show: |s| Shown::List(s.origins.clone()),
        },
    },
    Setting {
        name: "require-origin",
        short: None,
        group: Group::Access,
        arity: Arity::Switch,
        placeholder: "",
        default: "false",
        help: &["Refuse WebSockets without an Origin header, which only", "programs other than browsers leave out."],
        role: Role::Set {
            apply: |s, values| one(values, value::switch).map(|v| s.require_origin = v),
            show: |s| Shown::Bool(s.require_origin),
        },
    },
    Setting {
        name: "connect-csrf",
        short: None,
        group: Group::Access,
        arity: Arity::Switch,
        placeholder: "",
        default: "false",
        help: &[
            "Ask for the session's CSRF token in STOMP CONNECT too: in",
            "the header X-CSRF-TOKEN, as GET /csrf gives it.",
        ],
        role: Role::Set {
            apply: |s, values| one(values, value::switch).map(|v| s.connect_csrf = v),
            show: |s| Shown::Bool(s.connect_csrf),
        },
    },
    Setting {
        name: "proxy",
        short: None,
        group: Group::Access,
        arity: Arity::Many,
        placeholder: "ADDRESS",
        default: "",
        help: &[
            "Believe the Forwarded and X-Forwarded-* headers of this",
            "proxy: 10.0.0.7 or 10.0.0.0/8; default: of none.",
        ],
        role: Role::Set {
            apply: |s, values| {
                s.proxies = values.iter().map(|v| value::network(v)).collect::<Result<_, _>>()?;
                Ok(())
            },
            show: |s| Shown::List(s.proxies.clone()),
        },
    },
    Setting {
        name: "allow-unsafe",
        short: None,
        group: Group::Access,
        arity: Arity::Switch,
        placeholder: "",
        default: "false",
        help: &[
            "Start with settings that let strangers in: --origin '*',",
            "--proxy of everybody, a limit that is off.",
        ],
        role: Role::Set {
            apply: |s, values| one(values, value::switch).map(|v| s.allow_unsafe = v),
            show: |s| Shown::Bool(s.allow_unsafe),
        },
    },
    Setting {
        name: "stomp-heartbeat",
        short: None,
        group: Group::Stomp,
        arity: Arity::Pair,
        placeholder: "OUT,IN",
        default: "0,0",
        help: &["Offer to send a heart-beat every OUT milliseconds and ask", "for one every IN; 0: none."],
        role: Role::Set {
            apply: |s, values| one(values, value::pair).map(|v| s.heart_beat_ms = v),
            show: |s| Shown::Text(format!("{},{}", s.heart_beat_ms.0, s.heart_beat_ms.1)),
        },
    },
    Setting {
        name: "limit",
        short: None,
        group: Group::Stomp,
        arity: Arity::Many,
        placeholder: "NAME=VALUE",
        default: "",
        help: &[
            "Set one of the limits below; repeat it for several.",
            "In the file: a table [limits] with NAME = VALUE.",
        ],
        role: Role::Limit,
    },
    Setting {
        name: "conformance",
        short: None,
        group: Group::Stomp,
        arity: Arity::Switch,
        placeholder: "",
        default: "false",
        help: &[
            "For test suites only: adds the SockJS services /echo,",
            "/disabled_websocket_echo, /cookie_needed_echo and /close,",
            "without login and for any origin, with 16 MiB messages at",
            "/echo/websocket, and lets clients SEND to",
            "/topic/conformance.* and /queue/conformance.*.",
        ],
        role: Role::Set {
            apply: |s, values| one(values, value::switch).map(|v| s.conformance = v),
            show: |s| Shown::Bool(s.conformance),
        },
    },
    Setting {
        name: "config",
        short: Some('c'),
        group: Group::Other,
        arity: Arity::One,
        placeholder: "FILE",
        default: "",
        help: &["Read settings from this TOML file."],
        role: Role::ConfigFile,
    },
    Setting {
        name: "print-config",
        short: None,
        group: Group::Other,
        arity: Arity::Switch,
        placeholder: "",
        default: "",
        help: &["Print the settings in effect as such a file, and end."],
        role: Role::PrintConfig,
    },
    Setting {
        name: "help",
        short: Some('h'),
        group: Group::Other,
        arity: Arity::Switch,
        placeholder: "",
        default: "",
        help: &["Print this, and end."],
        role: Role::Help,
    },
    Setting {
        name: "version",
        short: Some('V'),
        group: Group::Other,
        arity: Arity::Switch,
        placeholder: "",
        default: "",
        help: &["Print the version, and end."],
        role: Role::Version,
    },
];

/// A word for the printed configuration.
pub(super) fn text(word: &str) -> Shown {
    Shown::Text(word.to_owned())
}
