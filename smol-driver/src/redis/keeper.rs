//! Makes one connection, and makes it anew whenever it is lost.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use redis::Value;
use smol::Timer;
use smol::future::FutureExt;
use tethered_core::redis::Connection;

use super::backoff::Backoff;
use super::frames::{Frames, ReplyLimits};
use super::group::Group;
use super::inbox::{Inbox, Incoming};
use super::lane::{Lane, Phase};
use super::link::{Failure, Link, ask, error_text};
use super::sentinel;
use super::stream::{Stream, Tls, connect};
use super::url::{Node, RedisUrl, Topology};
use crate::clock::Clock;
use crate::log::{Level, Log};

/// What all connections have in common.
pub(crate) struct Common {
    pub(crate) url: RedisUrl,
    pub(crate) tls: Option<Tls>,
    pub(crate) limits: ReplyLimits,
    pub(crate) times: Times,
    pub(crate) clock: Clock,
    pub(crate) log: Log,
    pub(crate) inbox: Arc<Inbox>,
}

/// How long Redis may take, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Times {
    /// CONNECT.
    pub(crate) connect_ms: u64,
    /// REPLY.
    pub(crate) reply_ms: u64,
    /// SUB_SILENT: of silence, until it is asked whether it is there.
    pub(crate) silent_ms: u64,
}

/// Keeps one lane connected, for ever.
pub(crate) struct Keeper {
    common: Arc<Common>,
    lane: Arc<Lane>,
    /// Where to connect to, if that is not what the address says.
    node: Option<Node>,
    /// Those who are one to the hub together with this one.
    group: Option<Arc<Group>>,
    /// It is connected by the first command for it only.
    dormant: bool,
    backoff: Backoff,
    /// What was last said in the log of why there is no connection.
    told: Option<String>,
}

impl Keeper {
    pub(crate) fn new(common: Arc<Common>, lane: Arc<Lane>) -> Self {
        let dormant = lane.connection == Connection::Transactions;
        if dormant {
            lane.fall(Phase::Dormant);
        }
        Self { common, lane, node: None, group: None, dormant, backoff: Backoff::default(), told: None }
    }

    /// Connects to this node, whatever the address says.
    pub(crate) fn at(self, node: Node) -> Self {
        Self { node: Some(node), ..self }
    }

    /// Is one of several that are one to the hub.
    pub(crate) fn of_group(self, group: Arc<Group>) -> Self {
        Self { group: Some(group), ..self }
    }

    fn report(&self, up: bool) {
        let connection = self.lane.connection;
        match &self.group {
            Some(group) => group.set(self.lane.node, up),
            None if up => self.common.inbox.push([Incoming::Up(connection)]),
            None => self.common.inbox.push([Incoming::Down(connection)]),
        }
    }

    pub(crate) async fn keep(mut self) {
        loop {
            if self.dormant {
                self.wait_until_wanted().await;
            }
            let failure = match self.connect().await {
                Ok((node, stream, frames)) => self.serve(&node, stream, frames).await,
                Err(failure) => failure,
            };
            // What was asked meanwhile is not lost without a word.
            self.lane.fall(Phase::Away);
            self.report(false);
            self.tell(&failure);
            let wait = self.backoff.failed(random());
            Timer::after(Duration::from_millis(wait)).await;
            if self.dormant {
                self.lane.fall(Phase::Dormant);
            }
        }
    }

    async fn wait_until_wanted(&self) {
        poll_fn(|cx| {
            self.lane.register(cx.waker());
            if self.lane.phase() == Phase::Wanted { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }

    /// Makes a connection on which commands can be sent.
    async fn connect(&self) -> Result<(Node, Box<dyn Stream>, Frames), Failure> {
        let ms = self.common.times.connect_ms;
        let late = async {
            Timer::after(Duration::from_millis(ms)).await;
            Err(Failure::NotInTime(ms))
        };
        self.common.open(self.node.as_ref(), self.backoff.failures()).or(late).await
    }

    /// Uses a connection until it ends.
    async fn serve(&mut self, node: &Node, stream: Box<dyn Stream>, frames: Frames) -> Failure {
        let Common { inbox, clock, log, times, .. } = &*self.common;
        self.lane.rise(clock.now().mono);
        self.report(true);
        let connection = self.lane.connection.as_str();
        log.write(clock.now(), Level::Info, "redis connected", &[("connection", &connection), ("node", &node)]);
        self.told = None;
        let since = clock.now().mono;
        let link = Link::new(
            &self.lane,
            inbox,
            self.group.as_deref(),
            *clock,
            (times.silent_ms, times.reply_ms),
            stream,
            frames,
        );
        let failure = link.or(sentinel::watch(&self.common, node)).await;
        if clock.now().mono.since(since) >= STEADY_MS {
            self.backoff.reset();
        }
        failure
    }

    /// One line for each change.
    fn tell(&mut self, failure: &Failure) {
        let Common { clock, log, url, .. } = &*self.common;
        let why = failure.to_string();
        if self.told.as_ref() != Some(&why) {
            let connection = self.lane.connection.as_str();
            let fields: [(&str, &dyn std::fmt::Display); 3] =
                [("connection", &connection), ("redis", url), ("why", &why)];
            log.write(clock.now(), Level::Warn, "redis lost", &fields);
            self.told = Some(why);
        }
    }
}

impl Common {
    /// Opens a stream to where Redis is, and says who we are.
    async fn open(&self, node: Option<&Node>, turn: u32) -> Result<(Node, Box<dyn Stream>, Frames), Failure> {
        let node = match (node, &self.url.topology) {
            (Some(node), _) => node.clone(),
            (None, Topology::Sentinel { primary }) => sentinel::find(self, primary, turn as usize).await?,
            (None, Topology::Single | Topology::Cluster) => self.url.nodes[0].clone(),
        };
        let mut stream = connect(&node, self.tls.as_ref()).await?;
        let mut frames = Frames::new(self.limits);
        self.greet(&mut stream, &mut frames).await?;
        Ok((node, stream, frames))
    }

    /// Logs in, chooses the database, and sees that Redis is ready and no replica.
    pub(crate) async fn greet(&self, stream: &mut Box<dyn Stream>, frames: &mut Frames) -> Result<(), Failure> {
        let database = self.url.database.to_string();
        let mut commands: Vec<Vec<&[u8]>> = Vec::new();
        if let Some(password) = &self.url.password {
            let mut auth = vec![&b"AUTH"[..]];
            auth.extend(self.url.username.as_ref().map(String::as_bytes));
            auth.push(password.as_bytes());
            commands.push(auth);
        }
        if self.url.database != 0 {
            commands.push(vec![b"SELECT", database.as_bytes()]);
        }
        let needed = commands.len();
        commands.push(vec![b"PING"]);
        commands.push(vec![b"CLIENT", b"SETNAME", b"tethered"]);
        commands.push(vec![b"ROLE"]);
        let values = ask(stream, frames, &commands).await?;
        for (i, value) in values.iter().enumerate() {
            // Where an ACL forbids PING, a name or ROLE, all else may still be allowed.
            if let Value::ServerError(error) = value
                && (i < needed || NOT_READY.contains(&error.code()))
            {
                return Err(Failure::Refused(error_text(error)));
            }
        }
        // What a replica does not know, or not yet, is no reason to end a session.
        if let Some(Value::Array(role)) = values.last()
            && let Some(Value::BulkString(word)) = role.first()
            && word != b"master"
        {
            return Err(Failure::Replica);
        }
        Ok(())
    }
}

/// Any number.
pub(crate) fn random() -> u64 {
    let mut bytes = [0; 8];
    // Without randomness the jitter is gone, nothing else.
    let _ = getrandom::fill(&mut bytes);
    u64::from_le_bytes(bytes)
}

/// Errors that say: not now, or not you.
const NOT_READY: [&str; 4] = ["LOADING", "MASTERDOWN", "NOAUTH", "CLUSTERDOWN"];
/// A connection that lived so long was a good one.
const STEADY_MS: u64 = 5_000;
