//! How SockJS is served.

use tethered_core::config::SockJs;

use super::table::{Arity, Group, Role, Setting, Shown};
use super::value::{self, one};

/// How SockJS is served at `/messages`, and in conformance mode at the services for tests.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OnSockJs {
    /// Milliseconds without a frame after which a heart-beat is sent.
    pub heart_beat_ms: u64,
    /// Milliseconds without a request that receives after which a session is over.
    pub disconnect_delay_ms: u64,
    /// Bytes after which an answer that streams ends.
    pub stream_bytes: u64,
    /// Whether the transport `jsonp` is there.
    pub jsonp: bool,
    /// Where the iframe page finds sockjs-client; empty: where it is by default.
    pub client_url: String,
}

impl OnSockJs {
    /// What the hub is told.
    pub(super) fn to_core(&self) -> SockJs {
        let defaults = SockJs::default();
        SockJs {
            jsonp: self.jsonp,
            stream_bytes: usize::try_from(self.stream_bytes).unwrap_or(usize::MAX),
            heart_beat_ms: self.heart_beat_ms,
            disconnect_delay_ms: self.disconnect_delay_ms,
            client_url: if self.client_url.is_empty() { defaults.client_url.clone() } else { self.client_url.clone() },
            ..defaults
        }
    }
}

/// The settings of SockJS.
pub(super) const SOCKJS: &[Setting] = &[
    Setting {
        name: "sockjs-heartbeat",
        short: None,
        group: Group::SockJs,
        arity: Arity::One,
        placeholder: "DURATION",
        default: "25s",
        help: &["Send a frame after so long without one, so that no proxy", "takes the connection for dead."],
        role: Role::Set {
            apply: |s, values| one(values, value::at_least_1_ms).map(|v| s.sockjs.heart_beat_ms = v),
            show: |s| Shown::Text(value::show_duration(s.sockjs.heart_beat_ms)),
        },
    },
    Setting {
        name: "sockjs-disconnect-delay",
        short: None,
        group: Group::SockJs,
        arity: Arity::One,
        placeholder: "DURATION",
        default: "5s",
        help: &["A client that polls has left after so long without a poll."],
        role: Role::Set {
            apply: |s, values| one(values, value::at_least_1_ms).map(|v| s.sockjs.disconnect_delay_ms = v),
            show: |s| Shown::Text(value::show_duration(s.sockjs.disconnect_delay_ms)),
        },
    },
    Setting {
        name: "sockjs-stream",
        short: None,
        group: Group::SockJs,
        arity: Arity::One,
        placeholder: "SIZE",
        default: "128KiB",
        help: &[
            "End an answer that streams after so much; the client asks",
            "again. Browsers keep all of it until then.",
        ],
        role: Role::Set {
            apply: |s, values| one(values, value::at_least_1_byte).map(|v| s.sockjs.stream_bytes = v),
            show: |s| Shown::Text(value::show_size(s.sockjs.stream_bytes)),
        },
    },
    Setting {
        name: "sockjs-jsonp",
        short: None,
        group: Group::SockJs,
        arity: Arity::Switch,
        placeholder: "",
        default: "false",
        help: &[
            "Serve the transport jsonp, for browsers that can do nothing",
            "else. A script tag of any site can read its answers.",
        ],
        role: Role::Set {
            apply: |s, values| one(values, value::switch).map(|v| s.sockjs.jsonp = v),
            show: |s| Shown::Bool(s.sockjs.jsonp),
        },
    },
    Setting {
        name: "sockjs-client-url",
        short: None,
        group: Group::SockJs,
        arity: Arity::One,
        placeholder: "URL",
        default: "",
        help: &["Where the page /messages/iframe.html finds sockjs-client;", "default: its 1.6.1 at jsDelivr."],
        role: Role::Set {
            apply: |s, values| {
                let url = values.last().filter(|url| !url.is_empty()).map(|url| value::script_url(url));
                s.sockjs.client_url = url.transpose()?.unwrap_or_default();
                Ok(())
            },
            show: |s| Shown::Text(s.sockjs.client_url.clone()),
        },
    },
];
