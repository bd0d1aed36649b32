//! A cluster: commands through the `redis` crate, which knows where each key is; notices from every primary.

use std::collections::BTreeMap;
use std::future::pending;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use redis::aio::ConnectionLike;
use redis::cluster::{ClusterClient, ClusterClientBuilder};
use redis::cluster_async::ClusterConnection;
use redis::{ClientTlsConfig, Cmd, ErrorKind, TlsCertificates, Value};
use smol::future::FutureExt;
use smol::{Executor, Task, Timer};
use tethered_core::ids::CallId;
use tethered_core::redis::{Command, Connection};

use super::RedisOptions;
use super::backoff::Backoff;
use super::frames::Frames;
use super::group::Group;
use super::inbox::Incoming;
use super::keeper::{Common, Keeper, random};
use super::lane::{Lane, NotSent};
use super::link::{Failure, ask};
use super::stream::connect;
use super::url::Node;
use crate::log::Level;

/// The connection for commands.
#[derive(Debug)]
pub(crate) struct Cluster {
    shared: Arc<Shared>,
}

struct Shared {
    common: Arc<Common>,
    /// It holds the tasks that hold this.
    executor: Weak<Executor<'static>>,
    /// `None` until it is connected. From then on the crate itself finds nodes again that were lost.
    connection: Mutex<Option<ClusterConnection>>,
    inflight: usize,
    open: AtomicUsize,
}

impl Cluster {
    /// Begins to connect.
    pub(crate) fn start(
        options: &RedisOptions,
        common: &Arc<Common>,
        executor: &Arc<Executor<'static>>,
    ) -> std::io::Result<Self> {
        let client = client(options)?;
        let shared = Arc::new(Shared {
            common: common.clone(),
            executor: Arc::downgrade(executor),
            connection: Mutex::new(None),
            inflight: options.inflight,
            open: AtomicUsize::new(0),
        });
        executor.spawn(shared.clone().connect(client)).detach();
        Ok(Self { shared })
    }

    /// Sends a command to the node that its first key is on.
    pub(crate) fn send(&self, call: Option<CallId>, command: &Command) -> Result<(), NotSent> {
        let shared = self.shared.clone();
        let connection = shared.connection.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut connection = connection.ok_or(NotSent)?;
        if shared.open.fetch_add(1, Ordering::Relaxed) >= shared.inflight {
            shared.open.fetch_sub(1, Ordering::Relaxed);
            return Err(NotSent);
        }
        let mut cmd = Cmd::new();
        for arg in command.args() {
            cmd.arg(arg);
        }
        let executor = shared.executor.upgrade().ok_or(NotSent)?;
        // Tasks begin in the order of their making, so that commands for one node leave in order.
        executor
            .spawn(async move {
                let patience = Duration::from_millis(shared.common.times.reply_ms);
                let late = async {
                    Timer::after(patience).await;
                    None
                };
                let reply = async { Some(connection.req_packed_command(&cmd).await) };
                let value = match reply.or(late).await {
                    Some(Ok(value)) => Some(value),
                    Some(Err(error)) => refusal(&error),
                    None => None,
                };
                shared.open.fetch_sub(1, Ordering::Relaxed);
                if let Some(call) = call {
                    shared.common.inbox.push([Incoming::Reply { call, value }]);
                }
            })
            .detach();
        Ok(())
    }
}

impl Shared {
    async fn connect(self: Arc<Self>, client: ClusterClient) {
        let Common { log, clock, inbox, url, .. } = &*self.common;
        let (mut backoff, mut told) = (Backoff::default(), None);
        let connection = loop {
            match client.get_async_connection().await {
                Ok(connection) => break connection,
                Err(error) => {
                    let why = error.to_string();
                    if told.as_ref() != Some(&why) {
                        let fields: [(&str, &dyn std::fmt::Display); 3] =
                            [("connection", &"commands"), ("redis", url), ("why", &why)];
                        log.write(clock.now(), Level::Warn, "redis lost", &fields);
                        told = Some(why);
                    }
                    inbox.push([Incoming::Down(Connection::Commands)]);
                    Timer::after(Duration::from_millis(backoff.failed(random()))).await;
                }
            }
        };
        *self.connection.lock().unwrap_or_else(PoisonError::into_inner) = Some(connection);
        let fields: [(&str, &dyn std::fmt::Display); 2] = [("connection", &"commands"), ("node", url)];
        log.write(clock.now(), Level::Info, "redis connected", &fields);
        inbox.push([Incoming::Up(Connection::Commands)]);
    }
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("open", &self.open).finish_non_exhaustive()
    }
}

/// Keeps a connection for notices to each primary, whichever they are.
pub(crate) async fn watch_primaries(
    common: Arc<Common>,
    group: Arc<Group>,
    executor: Weak<Executor<'static>>,
    inflight: usize,
    relay: Option<String>,
) {
    let mut known: BTreeMap<String, (Node, u32, Task<()>)> = BTreeMap::new();
    let (mut next, mut turn) = (0, 0);
    loop {
        turn += 1;
        let found = primaries(&common, known.values().map(|(node, ..)| node), turn).await;
        let Some(executor) = executor.upgrade() else { return };
        if let Ok(primaries) = found {
            let named: BTreeMap<String, Node> = primaries.into_iter().map(|node| (node.to_string(), node)).collect();
            known.retain(|name, (_, node, _)| {
                named.contains_key(name) || {
                    group.remove(*node);
                    false
                }
            });
            for (name, node) in named {
                if known.contains_key(&name) {
                    continue;
                }
                let lane = Lane::new(Connection::Notices, next, inflight, common.times.reply_ms);
                let lane = Arc::new(match &relay {
                    Some(channel) => lane.with_relay(channel),
                    None => lane,
                });
                group.add(lane.clone());
                let keeper = Keeper::new(common.clone(), lane).of_group(group.clone()).at(node.clone());
                known.insert(name, (node, next, executor.spawn(keeper.keep())));
                next += 1;
            }
            group.complete();
        }
        drop(executor);
        Timer::after(if known.is_empty() { SOON } else { LOOK_AGAIN }).await;
    }
}

/// Asks one of these nodes which primaries there are.
async fn primaries<'a>(
    common: &'a Common,
    known: impl Iterator<Item = &'a Node>,
    turn: usize,
) -> Result<Vec<Node>, Failure> {
    let nodes: Vec<&Node> = known.chain(&common.url.nodes).collect();
    let node = nodes[turn % nodes.len()];
    let ms = common.times.connect_ms;
    let late = async {
        Timer::after(Duration::from_millis(ms)).await;
        Err(Failure::NotInTime(ms))
    };
    let asked = async {
        let mut stream = connect(node, common.tls.as_ref()).await?;
        let mut frames = Frames::new(common.limits);
        common.greet(&mut stream, &mut frames).await?;
        ask(&mut stream, &mut frames, &[vec![b"CLUSTER", b"SLOTS"]]).await
    };
    let Some(Value::Array(ranges)) = asked.or(late).await?.pop() else { return Err(Failure::Unasked) };
    let (Node::Tcp { host: asked_at, tls, .. }, mut found) = (node, Vec::new()) else { return pending().await };
    for range in &ranges {
        let Value::Array(parts) = range else { continue };
        let Some(Value::Array(primary)) = parts.get(2) else { continue };
        let (Some(host), Some(Value::Int(port))) = (primary.first(), primary.get(1)) else { continue };
        let host = match host {
            Value::BulkString(host) if !host.is_empty() => String::from_utf8_lossy(host).into_owned(),
            // A node that does not know its own address.
            _ => asked_at.clone(),
        };
        let Ok(port) = u16::try_from(*port) else { continue };
        let node = Node::Tcp { host, port, tls: *tls };
        if !found.contains(&node) {
            found.push(node);
        }
    }
    if found.is_empty() { Err(Failure::Unasked) } else { Ok(found) }
}

fn client(options: &RedisOptions) -> std::io::Result<ClusterClient> {
    let scheme = if options.is_secure() { "rediss" } else { "redis" };
    let nodes: Vec<String> = options.url.nodes.iter().map(|node| format!("{scheme}://{node}")).collect();
    let mut builder = ClusterClientBuilder::new(nodes)
        .retries(RETRIES)
        .connection_timeout(Duration::from_millis(options.connect_ms))
        .response_timeout(Duration::from_millis(options.reply_ms));
    if let Some(username) = &options.url.username {
        builder = builder.username(username);
    }
    if let Some(password) = &options.url.password {
        builder = builder.password(password);
    }
    if options.authorities.is_some() || options.identity.is_some() {
        let root_cert = options.authorities.as_ref().map(std::fs::read).transpose()?;
        let client_tls = match &options.identity {
            Some((certificate, key)) => {
                Some(ClientTlsConfig { client_cert: std::fs::read(certificate)?, client_key: std::fs::read(key)? })
            }
            None => None,
        };
        builder = builder.certs(TlsCertificates { client_tls, root_cert });
    }
    builder.build().map_err(std::io::Error::other)
}

/// What Redis said, if it said something; `None` if no reply came.
fn refusal(error: &redis::RedisError) -> Option<Value> {
    if !matches!(error.kind(), ErrorKind::Server(_) | ErrorKind::Extension) {
        return None;
    }
    let text = format!("{} {}", error.code().unwrap_or("ERR"), error.detail().unwrap_or_default());
    let line: String = text.chars().filter(|c| !c.is_control()).collect();
    redis::parse_redis_value(format!("-{line}\r\n").as_bytes()).ok()
}

/// Redirections are followed so often.
const RETRIES: u32 = 3;
/// How often one looks which primaries there are (R15).
const LOOK_AGAIN: Duration = Duration::from_secs(5);
/// The same while none is known.
const SOON: Duration = Duration::from_millis(200);
