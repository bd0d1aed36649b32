//! Several connections that are one to the hub: on a cluster each primary announces what befalls its own keys only.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use redis::Value;
use tethered_core::ids::CallId;
use tethered_core::redis::{Command, Connection};
use tethered_core::time::Instant;

use super::inbox::{Inbox, Incoming};
use super::lane::{Lane, NotSent};

/// The connections for notices: one, or one for each primary.
#[derive(Debug)]
pub(crate) struct Group {
    inbox: Arc<Inbox>,
    members: Mutex<Members>,
}

#[derive(Debug, Default)]
struct Members {
    lanes: BTreeMap<u32, Member>,
    /// All that there have to be are known.
    complete: bool,
    /// What the hub was told last.
    up: bool,
    /// Commands that some members have not answered.
    open: BTreeMap<u64, Open>,
}

#[derive(Debug)]
struct Member {
    lane: Arc<Lane>,
    up: bool,
}

#[derive(Debug)]
struct Open {
    left: usize,
    refusal: Option<Value>,
}

impl Group {
    /// Nobody yet; `complete` says whether those who will be added are all.
    pub(crate) fn new(inbox: Arc<Inbox>) -> Self {
        Self { inbox, members: Mutex::default() }
    }

    /// Takes a member in.
    pub(crate) fn add(&self, lane: Arc<Lane>) {
        self.lock().lanes.insert(lane.node, Member { lane, up: false });
    }

    /// A member is none any more.
    pub(crate) fn remove(&self, node: u32) {
        let mut members = self.lock();
        if members.lanes.remove(&node).is_some() {
            members.fall(&self.inbox);
        }
    }

    /// All that there have to be are known.
    pub(crate) fn complete(&self) {
        let mut members = self.lock();
        members.complete = true;
        if !members.up && members.are_up() {
            members.rise(&self.inbox);
        }
    }

    /// A member's connection came or went.
    pub(crate) fn set(&self, node: u32, up: bool) {
        let mut members = self.lock();
        let Some(member) = members.lanes.get_mut(&node) else { return };
        member.up = up;
        if !up {
            members.fall(&self.inbox);
        } else if members.are_up() {
            // Also where the hub knows them as up: one of them is new and has not been told anything.
            members.rise(&self.inbox);
        }
    }

    /// Sends a command to all of them. It is answered once all have, with the first error if there is one.
    pub(crate) fn send(&self, now: Instant, call: Option<CallId>, command: &Command) -> Result<(), NotSent> {
        let mut members = self.lock();
        if !members.up {
            return Err(NotSent);
        }
        let mut sent = 0;
        for member in members.lanes.values() {
            sent += usize::from(member.lane.send(now, call, command).is_ok());
        }
        if sent < members.lanes.len() {
            return Err(NotSent);
        }
        if let Some(call) = call {
            members.open.insert(call.to_raw(), Open { left: sent, refusal: None });
        }
        Ok(())
    }

    pub(crate) fn flush(&self) {
        for member in self.lock().lanes.values() {
            member.lane.flush();
        }
    }

    /// Leaves what the hub is to hear of what one member heard.
    pub(crate) fn sift(&self, node: u32, incoming: Vec<Incoming>) -> Vec<Incoming> {
        let mut members = self.lock();
        let first = members.lanes.keys().next() == Some(&node);
        let mut kept = Vec::with_capacity(incoming.len());
        for incoming in incoming {
            match incoming {
                Incoming::Reply { call, value } => kept.extend(members.answer(call, value)),
                // What is published on a cluster comes from each of its nodes.
                Incoming::Relayed { .. } if !first => {}
                incoming => kept.push(incoming),
            }
        }
        kept
    }

    fn lock(&self) -> MutexGuard<'_, Members> {
        self.members.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Members {
    fn are_up(&self) -> bool {
        self.complete && !self.lanes.is_empty() && self.lanes.values().all(|member| member.up)
    }

    fn rise(&mut self, inbox: &Inbox) {
        self.up = true;
        inbox.push([Incoming::Up(Connection::Notices)]);
    }

    fn fall(&mut self, inbox: &Inbox) {
        self.open.clear();
        // Also where the hub knows them as down: it may wait for a first one.
        self.up = false;
        inbox.push([Incoming::Down(Connection::Notices)]);
    }

    fn answer(&mut self, call: CallId, value: Option<Value>) -> Option<Incoming> {
        let open = self.open.get_mut(&call.to_raw())?;
        open.left -= 1;
        if open.refusal.is_none() {
            open.refusal = value.as_ref().filter(|value| matches!(value, Value::ServerError(_))).cloned();
        }
        if open.left > 0 {
            return None;
        }
        let refusal = self.open.remove(&call.to_raw())?.refusal;
        Some(Incoming::Reply { call, value: refusal.or(value) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(nodes: &[u32]) -> (Group, Arc<Inbox>, Vec<Arc<Lane>>) {
        let inbox = Arc::new(Inbox::default());
        let group = Group::new(inbox.clone());
        let lanes: Vec<_> =
            nodes.iter().map(|&node| Arc::new(Lane::new(Connection::Notices, node, 10, 2_000))).collect();
        for lane in &lanes {
            group.add(lane.clone());
        }
        (group, inbox, lanes)
    }

    fn told(inbox: &Inbox) -> String {
        let all = std::iter::from_fn(|| inbox.pop());
        all.map(|incoming| match incoming {
            Incoming::Up(_) => 'u',
            Incoming::Down(_) => 'd',
            _ => '?',
        })
        .collect()
    }

    fn rise(group: &Group, lane: &Lane) {
        lane.rise(Instant::default());
        group.set(lane.node, true);
    }

    #[test]
    fn it_is_up_when_all_are_and_down_with_the_first() {
        let (group, inbox, lanes) = group(&[0, 1]);
        rise(&group, &lanes[0]);
        rise(&group, &lanes[1]);
        assert_eq!(told(&inbox), "", "there may be more");
        group.complete();
        assert_eq!(told(&inbox), "u");
        group.set(1, false);
        assert_eq!(told(&inbox), "d");
        rise(&group, &lanes[1]);
        assert_eq!(told(&inbox), "u");
        // One that joins is told of as soon as it is up.
        let third = Arc::new(Lane::new(Connection::Notices, 2, 10, 2_000));
        group.add(third.clone());
        rise(&group, &third);
        assert_eq!(told(&inbox), "u");
        group.remove(0);
        group.remove(7);
        assert_eq!(told(&inbox), "d");
    }

    #[test]
    fn a_command_is_answered_when_all_have() {
        let (group, inbox, lanes) = group(&[0, 1]);
        let (now, call) = (Instant::default(), CallId::from_raw(7));
        let command = Command::new(&[b"SUBSCRIBE", b"a"]);
        assert_eq!(group.send(now, Some(call), &command), Err(NotSent));
        group.complete();
        rise(&group, &lanes[0]);
        rise(&group, &lanes[1]);
        assert_eq!(told(&inbox), "u");
        group.send(now, Some(call), &command).expect("all are up");
        let reply = |value| vec![Incoming::Reply { call, value: Some(value) }];
        let error = redis::parse_redis_value(b"-NOPERM\r\n").expect("a value");
        assert!(group.sift(0, reply(error)).is_empty());
        let answered = group.sift(1, reply(Value::Okay));
        assert!(matches!(&answered[..], [Incoming::Reply { value: Some(Value::ServerError(_)), .. }]), "{answered:?}");
        assert!(group.sift(1, reply(Value::Okay)).is_empty());
    }

    #[test]
    fn what_nodes_tell_each_other_is_heard_once_and_notices_of_each() {
        let (group, _, _) = group(&[3, 5]);
        let heard = |node| {
            let notice = Incoming::Notice { node, channel: Vec::new(), payload: Vec::new() };
            group.sift(node, vec![Incoming::Relayed { publication: Vec::new() }, notice]).len()
        };
        assert_eq!((heard(3), heard(5)), (2, 1));
    }
}
