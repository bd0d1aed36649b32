//! Redis, as the hub sees it: three connections that come and go, commands out, replies and notices in.
//!
//! ```text
//! hub ── Action::Redis ──> lane (one write a turn) ──> link ──> Redis
//! hub <── Event::Reply, Notification, Connected, Disconnected ── inbox <── link
//! ```
//!
//! From the `redis` crate come addresses, the reading of values, and the whole of Cluster. Its single connections are not
//! used: they hold a reply of any size, and they cannot tell whether a notice came before a reply or after it.
//!
//! Each connection is a task of an executor that the server itself runs, on its own thread: no lock is ever waited for,
//! and what the hub wants sent in one turn leaves in one write.

mod backoff;
mod cluster;
mod frames;
mod group;
mod inbox;
mod keeper;
mod lane;
mod link;
mod reply;
mod sentinel;
#[cfg(test)]
#[path = "../../tests/common/redis.rs"]
mod server;
mod stream;
#[cfg(test)]
mod tests;
mod url;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::task::{Context, Poll};

use smol::Executor;
use tethered_core::hub::{Event, Hub, Publication};
use tethered_core::ids::CallId;
use tethered_core::redis::{Command, Connection};
use tethered_core::time::{Instant, Now};

use self::cluster::Cluster;
use self::frames::ReplyLimits;
use self::group::Group;
use self::inbox::{Inbox, Incoming};
use self::keeper::{Common, Keeper, Times};
use self::lane::{Lane, NotSent};
use self::stream::Tls;
use crate::clock::Clock;
use crate::log::Log;

pub use self::url::{RedisUrl, UrlError};

/// Where Redis is, and what it may take.
#[derive(Debug, Clone)]
pub struct RedisOptions {
    /// Its address.
    pub url: RedisUrl,
    /// A file of certificates, in PEM, of the authorities that are believed over `rediss://`; `None`: the system's.
    pub authorities: Option<PathBuf>,
    /// The files with our own certificate and with its key, in PEM, for a Redis that asks who we are over `rediss://`.
    pub identity: Option<(PathBuf, PathBuf)>,
    /// The channel through which nodes tell each other what they publish; for a hub with
    /// [`Config::relay`](tethered_core::config::Config::relay).
    pub relay: Option<String>,
    /// CONNECT: milliseconds until a connection can be used. Default 1,000.
    pub connect_ms: u64,
    /// REPLY: milliseconds until a reply is there. Default 2,000.
    pub reply_ms: u64,
    /// SUB_SILENT: milliseconds of silence until Redis is asked whether it is there. Default 10,000.
    pub silent_ms: u64,
    /// INFLIGHT: commands of one connection that wait for their replies. Default 4,096.
    pub inflight: usize,
    /// BULK: bytes of one string in a reply. Default 1 MiB.
    pub bulk_bytes: usize,
    /// ARRAY: elements of a reply. Default 65,536.
    pub array: usize,
    /// DEPTH: lists within lists of a reply. Default 8.
    pub depth: usize,
}

impl RedisOptions {
    /// All defaults for this address.
    pub fn new(url: RedisUrl) -> Self {
        Self {
            url,
            authorities: None,
            identity: None,
            relay: None,
            connect_ms: 1_000,
            reply_ms: 2_000,
            silent_ms: 10_000,
            inflight: 4_096,
            bulk_bytes: 1 << 20,
            array: 65_536,
            depth: 8,
        }
    }

    fn identity(&self) -> Option<(&Path, &Path)> {
        self.identity.as_ref().map(|(certificate, key)| (certificate.as_path(), key.as_path()))
    }

    /// Whether TLS is used.
    fn is_secure(&self) -> bool {
        self.url.nodes.iter().any(|node| matches!(node, url::Node::Tcp { tls: true, .. }))
    }
}

/// The connections to Redis.
#[derive(Debug)]
pub(crate) struct Redis {
    ways: Ways,
    relay: Option<String>,
    inbox: Arc<Inbox>,
    executor: Arc<Executor<'static>>,
}

/// Where commands go.
#[derive(Debug)]
enum Ways {
    Single { commands: Arc<Lane>, notices: Arc<Lane>, transactions: Arc<Lane> },
    Cluster { commands: Cluster, notices: Arc<Group> },
}

impl Redis {
    /// Begins to connect, once the executor runs.
    pub(crate) fn start(options: &RedisOptions, clock: Clock, log: &Log) -> io::Result<Self> {
        let tls =
            options.is_secure().then(|| Tls::new(options.authorities.as_deref(), options.identity())).transpose()?;
        let RedisOptions { connect_ms, reply_ms, silent_ms, inflight, .. } = *options;
        let limits = ReplyLimits { bulk: options.bulk_bytes, array: options.array, depth: options.depth };
        let inbox = Arc::new(Inbox::default());
        let common = Arc::new(Common {
            url: options.url.clone(),
            tls,
            limits,
            times: Times { connect_ms, reply_ms, silent_ms },
            clock,
            log: log.clone(),
            inbox: inbox.clone(),
        });
        let executor = Arc::new(Executor::new());
        let relay = options.relay.clone();
        let ways = if options.url.is_cluster() {
            let notices = Arc::new(Group::new(inbox.clone()));
            let (common_too, group, runner) = (common.clone(), notices.clone(), Arc::downgrade(&executor));
            let watch = cluster::watch_primaries(common_too, group, runner, inflight, relay.clone());
            executor.spawn(watch).detach();
            Ways::Cluster { commands: Cluster::start(options, &common, &executor)?, notices }
        } else {
            let lane = |connection| {
                let lane = Lane::new(connection, 0, inflight, reply_ms);
                let lane = Arc::new(match &relay {
                    Some(channel) if connection == Connection::Notices => lane.with_relay(channel),
                    _ => lane,
                });
                executor.spawn(Keeper::new(common.clone(), lane.clone()).keep()).detach();
                lane
            };
            Ways::Single {
                commands: lane(Connection::Commands),
                notices: lane(Connection::Notices),
                transactions: lane(Connection::Transactions),
            }
        };
        Ok(Self { ways, relay, inbox, executor })
    }

    /// What runs the connections, to be run beside the server.
    pub(crate) fn executor(&self) -> Arc<Executor<'static>> {
        self.executor.clone()
    }

    /// Tells the hub what came in, so much of it in a turn. Returns whether there may be more.
    pub(crate) fn hear(&self, hub: &mut Hub, now: Now) -> bool {
        for _ in 0..HEARD_A_TURN {
            let Some(incoming) = self.inbox.pop() else { return false };
            match incoming {
                Incoming::Up(connection) => hub.handle(now, Event::Connected { connection }),
                Incoming::Down(connection) => hub.handle(now, Event::Disconnected { connection }),
                Incoming::Reply { call, value } => {
                    reply::lend(value.as_ref(), |reply| hub.handle(now, Event::Reply { call, reply }));
                }
                Incoming::Relayed { publication } => {
                    hub.handle(now, Event::Relayed { publication: &publication });
                }
                Incoming::Notice { node, channel, payload } => {
                    hub.handle(now, Event::Notification { node, channel: &channel, payload: &payload });
                }
            }
        }
        true
    }

    /// Sends a command with the next [`flush`](Self::flush). Where there is no connection it is answered at once.
    pub(crate) fn send(&self, now: Instant, call: Option<CallId>, connection: Connection, command: &Command) {
        let sent = match (&self.ways, connection) {
            (Ways::Single { commands, .. }, Connection::Commands) => commands.send(now, call, command),
            (Ways::Single { notices, .. }, Connection::Notices) => notices.send(now, call, command),
            (Ways::Single { transactions, .. }, Connection::Transactions) => transactions.send(now, call, command),
            (Ways::Cluster { commands, .. }, Connection::Commands) => commands.send(call, command),
            (Ways::Cluster { notices, .. }, Connection::Notices) => notices.send(now, call, command),
            // A transaction would need a connection to the node of its keys; a cluster has scripts.
            (Ways::Cluster { .. }, Connection::Transactions) => Err(NotSent),
        };
        if let (Err(NotSent), Some(call)) = (sent, call) {
            self.inbox.push([Incoming::Reply { call, value: None }]);
        }
    }

    /// Passes something on to the other nodes. While Redis is away it reaches none.
    pub(crate) fn relay(&self, now: Instant, publication: &Publication) {
        if let Some(channel) = &self.relay {
            let command = Command::new(&[b"PUBLISH", channel.as_bytes(), publication.as_bytes()]);
            self.send(now, None, Connection::Commands, &command);
        }
    }

    /// The turn is over: what was to be sent leaves now.
    pub(crate) fn flush(&self) {
        match &self.ways {
            Ways::Single { commands, notices, transactions } => {
                commands.flush();
                notices.flush();
                transactions.flush();
            }
            Ways::Cluster { notices, .. } => notices.flush(),
        }
        for _ in 0..TASKS_A_TURN {
            if !self.executor.try_tick() {
                break;
            }
        }
    }

    /// Waits until something came in.
    pub(crate) fn poll(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.inbox.poll(cx)
    }
}

/// How much of what came in is told in one turn of the server. A reply can end a session with all of its sockets: more at
/// once would make others wait.
const HEARD_A_TURN: usize = 64;
/// How many times a task is run in one turn of the server.
const TASKS_A_TURN: usize = 8;
