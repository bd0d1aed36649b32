//! The settings of the server: from flags, `TETHERED_*` variables, a TOML file and defaults, in this order of precedence.
//!
//! One table (`table`) says which there are; parsing, `--help` and `--print-config` follow it. Nothing here opens a
//! socket or reads a clock.

mod error;
mod file;
mod help;
mod hub;
mod limits;
mod load;
mod machine;
mod password;
mod print;
mod redis;
mod replay;
mod sockjs;
mod table;
#[cfg(test)]
pub(crate) mod tests;
mod value;

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use tethered_core::http::Encoding;

use crate::log::Level;

pub(crate) use self::hub::{CLOSE, CSRF_ATTRIBUTES, CSRF_HEADER, ECHOES};

pub use self::error::{Place, SettingsError};
pub use self::load::{Command, Source, command};
pub use self::machine::Machine;
pub use self::password::{Hash, MEMORY_KIB_MAX, PASSES_MAX, PASSWORD_BYTES_MAX, PasswordError, hash_line};
pub use self::redis::{Keys, OnRedis};
pub use self::replay::{Of, Replay};
pub use self::sockjs::OnSockJs;
pub use self::value::Listen;

/// What the server was told to do. Made by [`command`].
#[derive(Clone, PartialEq, Eq)]
pub struct Settings {
    /// Where to listen; at least one.
    pub listen: Vec<Listen>,
    /// How much to log.
    pub log: Level,
    /// The file that everything that comes in is appended to.
    pub record: Option<String>,
    /// How large that file may become, in bytes.
    pub record_limit: u64,
    /// How long a session lives without activity, in milliseconds.
    pub session_timeout_ms: u64,
    /// At most one renewal of a session in this many milliseconds.
    pub touch_interval_ms: u64,
    /// The session cookie's name.
    pub cookie: String,
    /// How a session's id is written in the cookie.
    pub cookie_encoding: Encoding,
    /// Origins that are let in beside the server's own; `*` is any.
    pub origins: Vec<String>,
    /// Whether WebSockets without an `Origin` are refused.
    pub require_origin: bool,
    /// Whether a STOMP CONNECT must carry the session's CSRF token.
    pub connect_csrf: bool,
    /// Believed proxies: addresses and networks in CIDR form.
    pub proxies: Vec<String>,
    /// Whether to start with settings that let strangers in.
    pub allow_unsafe: bool,
    /// STOMP heart-beats offered and wanted, in milliseconds; 0 is none.
    pub heart_beat_ms: (u32, u32),
    /// How SockJS is served.
    pub sockjs: OnSockJs,
    /// Whether what the conformance suites need is there.
    pub conformance: bool,
    /// Who may log in, by name.
    pub users: BTreeMap<String, Hash>,
    /// Sessions on a Redis.
    pub redis: OnRedis,
    limits: limits::All,
}

impl Settings {
    /// Whether somebody can log in with a password that is printed in the README.
    pub fn has_demo_users(&self) -> bool {
        DEMO_USERS.iter().any(|(name, hash)| self.users.get(*name).is_some_and(|own| own.as_str() == *hash))
    }

    /// What deserves a warning at the start, one sentence each.
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        if self.has_demo_users() && !self.listen.iter().all(Listen::is_loopback) {
            warnings.push(
                "the demo users rob and luke can log in from the network with the password \"password\"; \
                 set [users] in a --config file"
                    .to_owned(),
            );
        }
        if self.conformance {
            warnings.push(
                "--conformance: anybody of any origin may use /echo, /disabled_websocket_echo, /cookie_needed_echo and \
                 /close, with 16 MiB messages at /echo/websocket, and clients may SEND to /topic/conformance.* and \
                 /queue/conformance.*"
                    .to_owned(),
            );
        }
        if self.sockjs.jsonp {
            warnings.push(
                "--sockjs-jsonp: a script tag of any site can read what is sent to its visitors by the transport jsonp, \
                 unless their browsers keep the cookie from it"
                    .to_owned(),
            );
        }
        if let Some(file) = &self.record {
            warnings.push(format!(
                "--record: cookies, everything that is sent, and what session ids are made from go to {file}; who reads \
                 it can take over every session"
            ));
        }
        warnings.extend(self.unsafe_points().into_iter().map(|point| format!("--allow-unsafe: {point}")));
        warnings
    }

    /// The settings in effect, but for the users, as a file that [`of_recording`](Self::of_recording) reads.
    pub fn for_recording(&self) -> String {
        print::without_users(self)
    }

    /// The settings that a recording was made with; `path` is for messages only.
    ///
    /// # Errors
    /// The first mistake in them.
    pub fn of_recording(path: &Path, text: &str) -> Result<Self, SettingsError> {
        // What the machine has makes no difference: every limit stands in the text.
        let mut settings = Self::defaults(Machine { files: 0, memory_bytes: 0 });
        file::apply(&mut settings, path, text)?;
        Ok(settings)
    }

    /// The limits in effect as one line, such as `HEAD_BYTES=16KiB HEAD_LINES=100 …`.
    pub fn limits_line(&self) -> String {
        let each = self.limits.each().map(|limit| format!("{}={}", limit.name, limit.shown));
        each.collect::<Vec<_>>().join(" ")
    }

    /// What only starts with `--allow-unsafe`.
    fn unsafe_points(&self) -> Vec<String> {
        let mut points = Vec::new();
        if self.origins.iter().any(|origin| origin == "*") {
            points.push("origin * lets any page on the web use its visitors' logins".to_owned());
        }
        if self.proxies.iter().any(|network| network.ends_with("/0")) {
            points.push("a proxy network of /0 lets anybody forge their address".to_owned());
        }
        for limit in self.limits.each().filter(|limit| limit.unsafe_off) {
            points.push(format!("the limit {} is off", limit.name));
        }
        points
    }
}

/// Shows no hashes.
impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("listen", &self.listen)
            .field("users", &self.users.keys())
            .finish_non_exhaustive()
    }
}

/// The users if none are configured; the password of both is `password`.
const DEMO_USERS: [(&str, &str); 2] = [
    ("luke", "$argon2id$v=19$m=7168,t=5,p=1$ZGVtbyBzYWx0LCBsdWtlIQ$iF0t/xbjHNLw/LMLl0tpZ2XFu19wjR6d/i+dzJRH2SE"),
    ("rob", "$argon2id$v=19$m=7168,t=5,p=1$ZGVtbyBzYWx0IG9mIHJvYg$eYCyUJk0dtk4en48l6tv6r+Oj/NXnVhh8JCZOvr6vp0"),
];
