//! One connection's queue of commands: what the server puts in, and the connection's task takes out.

use std::collections::VecDeque;
use std::io::Write;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::Waker;

use redis::Value;
use tethered_core::ids::CallId;
use tethered_core::redis::{Command, Connection};
use tethered_core::time::Instant;

use super::inbox::Incoming;

/// What the server and the task of one connection share.
#[derive(Debug)]
pub(crate) struct Lane {
    pub(crate) connection: Connection,
    /// Which primary it leads to.
    pub(crate) node: u32,
    /// INFLIGHT.
    inflight: usize,
    /// REPLY, in milliseconds.
    reply_ms: u64,
    /// The channel of what nodes tell each other, if this lane listens to it.
    relay: Option<Vec<u8>>,
    queue: Mutex<Queue>,
}

#[derive(Debug)]
struct Queue {
    phase: Phase,
    /// Commands as bytes, in order, that the task has not taken yet.
    out: Vec<u8>,
    /// Commands whose replies are to come, in order.
    pending: VecDeque<Pending>,
    /// The server has put something in since the task was last woken for it.
    fresh: bool,
    waker: Option<Waker>,
}

/// Whether commands are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// There is no connection.
    Away,
    /// There is none yet, and the first command is to make one.
    Dormant,
    /// Commands wait for the connection that is being made for them.
    Wanted,
    Up,
}

#[derive(Debug)]
struct Pending {
    call: Option<CallId>,
    /// How many replies there will be: a SUBSCRIBE is confirmed for each channel.
    replies: usize,
    due: Instant,
}

/// There is no connection, or too much is asked on it already: the command was not sent and never will be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NotSent;

/// A reply that nobody had asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Unasked;

impl Lane {
    pub(crate) fn new(connection: Connection, node: u32, inflight: usize, reply_ms: u64) -> Self {
        let queue = Queue { phase: Phase::Away, out: Vec::new(), pending: VecDeque::new(), fresh: false, waker: None };
        Self { connection, node, inflight, reply_ms, relay: None, queue: Mutex::new(queue) }
    }

    /// Listens to what other nodes pass on through this channel.
    pub(crate) fn with_relay(self, channel: &str) -> Self {
        Self { relay: Some(channel.into()), ..self }
    }

    /// Puts a command in. It leaves with all others of this turn of the server, in one write.
    pub(crate) fn send(&self, now: Instant, call: Option<CallId>, command: &Command) -> Result<(), NotSent> {
        let mut queue = self.lock();
        match queue.phase {
            Phase::Away => return Err(NotSent),
            Phase::Dormant => queue.phase = Phase::Wanted,
            Phase::Wanted | Phase::Up => {}
        }
        if queue.pending.len() >= self.inflight {
            return Err(NotSent);
        }
        pack(&mut queue.out, command.args());
        queue.pending.push_back(Pending { call, replies: replies(command), due: now.after(self.reply_ms) });
        queue.fresh = true;
        Ok(())
    }

    /// The turn is over: what was put in leaves now.
    pub(crate) fn flush(&self) {
        let mut queue = self.lock();
        if std::mem::take(&mut queue.fresh)
            && let Some(waker) = queue.waker.take()
        {
            drop(queue);
            waker.wake();
        }
    }

    /// The task wants to be woken by the next flush.
    pub(crate) fn register(&self, waker: &Waker) {
        let mut queue = self.lock();
        if queue.waker.as_ref().is_none_or(|known| !known.will_wake(waker)) {
            queue.waker = Some(waker.clone());
        }
    }

    pub(crate) fn phase(&self) -> Phase {
        self.lock().phase
    }

    /// There is a connection. What was put in for it beforehand is kept.
    pub(crate) fn rise(&self, now: Instant) {
        let mut queue = self.lock();
        queue.phase = Phase::Up;
        if let Some(channel) = &self.relay {
            pack(&mut queue.out, [&b"SUBSCRIBE"[..], channel].into_iter());
            queue.pending.push_back(Pending { call: None, replies: 1, due: now.after(self.reply_ms) });
        }
    }

    /// There is none any more; no command in it will be answered.
    pub(crate) fn fall(&self, phase: Phase) {
        let mut queue = self.lock();
        queue.phase = phase;
        queue.out.clear();
        queue.pending.clear();
    }

    /// Takes what is to be written, in exchange for an empty buffer.
    pub(crate) fn take(&self, buffer: &mut Vec<u8>) {
        debug_assert!(buffer.is_empty());
        let mut queue = self.lock();
        std::mem::swap(&mut queue.out, buffer);
        if queue.out.capacity() > KEEP_BYTES {
            queue.out = Vec::new();
        }
    }

    /// The task asks Redis whether it is there.
    pub(crate) fn ping(&self, now: Instant) {
        let mut queue = self.lock();
        queue.out.extend_from_slice(b"*1\r\n$4\r\nPING\r\n");
        queue.pending.push_back(Pending { call: None, replies: 1, due: now.after(self.reply_ms) });
    }

    /// By when the next reply has to be there.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.lock().pending.front().map(|pending| pending.due)
    }

    /// Finds what each value answers, in order, until `next` has no more.
    pub(crate) fn sort(
        &self,
        values: impl IntoIterator<Item = Value>,
        sorted: &mut Vec<Incoming>,
    ) -> Result<(), Unasked> {
        let mut queue = self.lock();
        for value in values {
            let value = match self.connection {
                Connection::Notices => match notice(value) {
                    Ok((channel, publication)) if self.relay.as_ref() == Some(&channel) => {
                        sorted.push(Incoming::Relayed { publication });
                        continue;
                    }
                    Ok((channel, payload)) => {
                        sorted.push(Incoming::Notice { node: self.node, channel, payload });
                        continue;
                    }
                    Err(value) => value,
                },
                Connection::Commands | Connection::Transactions => value,
            };
            let pending = queue.pending.front_mut().ok_or(Unasked)?;
            pending.replies -= 1;
            // An error is one reply, whatever was asked.
            if pending.replies == 0 || matches!(value, Value::ServerError(_)) {
                let call = pending.call;
                queue.pending.pop_front();
                sorted.extend(call.map(|call| Incoming::Reply { call, value: Some(value) }));
            }
        }
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Channel and payload of a message; anything else is given back.
fn notice(value: Value) -> Result<(Vec<u8>, Vec<u8>), Value> {
    match value {
        Value::Array(mut parts) => match parts.as_mut_slice() {
            [Value::BulkString(kind), Value::BulkString(channel), Value::BulkString(payload)] if kind == b"message" => {
                Ok((std::mem::take(channel), std::mem::take(payload)))
            }
            [Value::BulkString(kind), _, Value::BulkString(channel), Value::BulkString(payload)]
                if kind == b"pmessage" =>
            {
                Ok((std::mem::take(channel), std::mem::take(payload)))
            }
            _ => Err(Value::Array(parts)),
        },
        value => Err(value),
    }
}

fn replies(command: &Command) -> usize {
    let mut args = command.args();
    let name = args.next().unwrap_or_default();
    let subscribes = [&b"subscribe"[..], b"psubscribe", b"unsubscribe", b"punsubscribe"];
    if subscribes.iter().any(|known| name.eq_ignore_ascii_case(known)) { args.len().max(1) } else { 1 }
}

/// Writes a command as Redis reads it.
pub(crate) fn pack(out: &mut Vec<u8>, args: impl ExactSizeIterator<Item = impl AsRef<[u8]>>) {
    // A Vec takes every write.
    let _ = write!(out, "*{}\r\n", args.len());
    for arg in args {
        let arg = arg.as_ref();
        let _ = write!(out, "${}\r\n", arg.len());
        out.extend_from_slice(arg);
        out.extend_from_slice(b"\r\n");
    }
}

/// A larger buffer is not kept.
const KEEP_BYTES: usize = 256 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn bulk(text: &str) -> Value {
        Value::BulkString(text.into())
    }

    fn array(texts: &[&str]) -> Value {
        Value::Array(texts.iter().copied().map(bulk).collect())
    }

    fn error() -> Value {
        redis::parse_redis_value(b"-ERR no\r\n").expect("an error is a value")
    }

    fn call(n: u64) -> CallId {
        CallId::from_raw(n)
    }

    fn up(connection: Connection, inflight: usize) -> Lane {
        let lane = Lane::new(connection, 7, inflight, 2_000);
        lane.rise(Instant::default());
        lane
    }

    fn sorted(lane: &Lane, values: Vec<Value>) -> Result<Vec<String>, Unasked> {
        let mut sorted = Vec::new();
        lane.sort(values, &mut sorted)?;
        let shown = sorted.into_iter().map(|incoming| match incoming {
            Incoming::Reply { call, value } => format!("{} {:?}", call.to_raw(), value.expect("a reply")),
            Incoming::Notice { node, channel, payload } => {
                format!("{node} {} {}", channel.escape_ascii(), payload.escape_ascii())
            }
            other => format!("{other:?}"),
        });
        Ok(shown.collect())
    }

    #[test]
    fn commands_of_one_turn_are_one_write_and_replies_find_their_calls() {
        let lane = up(Connection::Commands, 10);
        let now = Instant::from_millis(5);
        for (n, arg) in [(Some(1), &b"a\r\n\0"[..]), (None, b""), (Some(3), b"c")] {
            lane.send(now, n.map(call), &Command::new(&[b"GET", arg])).expect("it is up");
        }
        let mut out = Vec::new();
        lane.take(&mut out);
        assert_eq!(
            out,
            b"*2\r\n$3\r\nGET\r\n$4\r\na\r\n\0\r\n*2\r\n$3\r\nGET\r\n$0\r\n\r\n*2\r\n$3\r\nGET\r\n$1\r\nc\r\n"
        );
        assert_eq!(lane.due(), Some(Instant::from_millis(2_005)));
        let shown = sorted(&lane, vec![bulk("x"), error(), error()]).expect("all were asked for");
        assert_eq!(shown.len(), 2, "an error is one command's, not the pipeline's: {shown:?}");
        assert!(shown[0].starts_with("1 ") && shown[1].starts_with("3 Server error"), "{shown:?}");
        assert_eq!(lane.due(), None);
        assert_eq!(sorted(&lane, vec![Value::Okay]), Err(Unasked));
    }

    #[test]
    fn inflight_is_a_limit() {
        let lane = up(Connection::Commands, 2);
        let command = Command::new(&[b"PING"]);
        let now = Instant::default();
        assert_eq!((1..=3).filter(|&n| lane.send(now, Some(call(n)), &command).is_ok()).count(), 2);
        sorted(&lane, vec![Value::Okay]).expect("asked");
        assert_eq!(lane.send(now, Some(call(4)), &command), Ok(()));
        assert_eq!(lane.send(now, Some(call(5)), &command), Err(NotSent));
    }

    #[test]
    fn nothing_is_sent_where_there_is_no_connection_and_nothing_outlives_one() {
        let lane = Lane::new(Connection::Commands, 0, 10, 2_000);
        let command = Command::new(&[b"PING"]);
        let now = Instant::default();
        assert_eq!(lane.send(now, Some(call(1)), &command), Err(NotSent));
        lane.rise(Instant::default());
        lane.send(now, Some(call(2)), &command).expect("it is up");
        lane.fall(Phase::Away);
        assert_eq!(lane.send(now, Some(call(3)), &command), Err(NotSent));
        lane.rise(Instant::default());
        let mut out = Vec::new();
        lane.take(&mut out);
        assert!(out.is_empty());
        assert_eq!(sorted(&lane, vec![Value::Okay]), Err(Unasked));
        // A dormant one keeps what is to make its connection.
        lane.fall(Phase::Dormant);
        lane.send(now, Some(call(4)), &command).expect("it is kept");
        assert_eq!(lane.phase(), Phase::Wanted);
        lane.rise(Instant::default());
        assert_eq!(sorted(&lane, vec![Value::Okay]).expect("asked").len(), 1);
    }

    #[test]
    fn notices_stand_between_replies_in_their_order() {
        let lane = up(Connection::Notices, 10);
        let now = Instant::default();
        lane.send(now, Some(call(1)), &Command::new(&[b"SUBSCRIBE", b"a", b"b"])).expect("it is up");
        lane.send(now, Some(call(2)), &Command::new(&[b"PSUBSCRIBE", b"c*"])).expect("it is up");
        lane.ping(now);
        let shown = sorted(
            &lane,
            vec![
                array(&["subscribe", "a"]),
                array(&["message", "a", "1"]),
                array(&["subscribe", "b"]),
                array(&["message", "b", "\n"]),
                error(),
                array(&["pmessage", "c*", "cd", "3"]),
                array(&["pong", ""]),
            ],
        )
        .expect("all were asked for");
        assert_eq!(shown.len(), 5, "{shown:?}");
        assert_eq!((&*shown[0], &*shown[2], &*shown[4]), ("7 a 1", "7 b \\n", "7 cd 3"));
        assert!(shown[1].starts_with("1 ") && shown[3].starts_with("2 Server error"), "{shown:?}");
        assert_eq!(lane.due(), None);
    }
}
