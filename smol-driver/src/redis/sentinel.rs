//! Sentinels: they know which Redis is the primary.

use std::time::Duration;

use redis::Value;
use smol::Timer;
use smol::future::FutureExt;

use super::frames::Frames;
use super::keeper::Common;
use super::link::{Failure, ask, error_text};
use super::stream::connect;
use super::url::{Node, Topology};

/// Asks the sentinels, one after the other from this one on, where the primary is.
pub(crate) async fn find(common: &Common, primary: &str, from: usize) -> Result<Node, Failure> {
    let sentinels = &common.url.nodes;
    let mut failure = Failure::NoPrimary(primary.to_owned());
    for i in 0..sentinels.len() {
        let sentinel = &sentinels[(from + i) % sentinels.len()];
        let patience = Duration::from_millis(common.times.connect_ms / 2);
        let late = async {
            Timer::after(patience).await;
            Err(Failure::NotInTime(common.times.connect_ms / 2))
        };
        match ask_one(common, sentinel, primary).or(late).await {
            Ok(node) => return Ok(node),
            Err(why) => failure = why,
        }
    }
    Err(failure)
}

/// Ends when the sentinels name another primary than this. Without sentinels it never ends.
pub(crate) async fn watch(common: &Common, node: &Node) -> Failure {
    let Topology::Sentinel { primary } = &common.url.topology else { return smol::future::pending().await };
    for turn in 0.. {
        Timer::after(LOOK_AGAIN).await;
        if find(common, primary, turn).await.is_ok_and(|found| found != *node) {
            break;
        }
    }
    Failure::NewPrimary
}

async fn ask_one(common: &Common, sentinel: &Node, primary: &str) -> Result<Node, Failure> {
    let mut stream = connect(sentinel, common.tls.as_ref()).await?;
    let mut frames = Frames::new(common.limits);
    let mut commands = Vec::new();
    if let Some((username, password)) = &common.url.sentinel_login {
        let mut auth = vec![&b"AUTH"[..]];
        auth.extend(username.as_ref().map(String::as_bytes));
        auth.push(password.as_bytes());
        commands.push(auth);
    }
    commands.push(vec![&b"SENTINEL"[..], b"get-master-addr-by-name", primary.as_bytes()]);
    let mut values = ask(&mut stream, &mut frames, &commands).await?;
    for value in &values {
        if let Value::ServerError(error) = value {
            return Err(Failure::RefusedBySentinel(error_text(error)));
        }
    }
    let unknown = || Failure::NoPrimary(primary.to_owned());
    let Some(Value::Array(parts)) = values.pop() else { return Err(unknown()) };
    let [Value::BulkString(host), Value::BulkString(port)] = parts.as_slice() else { return Err(unknown()) };
    let host = str::from_utf8(host).map_err(|_| unknown())?.to_owned();
    let port = str::from_utf8(port).ok().and_then(|port| port.parse().ok()).ok_or_else(unknown)?;
    let tls = matches!(sentinel, Node::Tcp { tls: true, .. });
    Ok(Node::Tcp { host, port, tls })
}

/// How often the sentinels are asked while all seems well.
const LOOK_AGAIN: Duration = Duration::from_secs(5);
