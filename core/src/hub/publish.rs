//! One message to many receivers: encoded once for each STOMP version and subscription id, and handed out in turns.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec::Vec;

use bytes::{BufMut, Bytes, BytesMut};

use super::Hub;
use super::sockjs::Wrapping;
use crate::broker::Fanout;
use crate::ids::{ClientId, SocketId};
use crate::stomp::{EncodedMessage, Encoder, Message, Version};
use crate::ws::{self, Opcode};

/// What is handed out in order. While a wide fan-out is under way everything else that is sent waits behind it, so that
/// each client gets its messages in the order in which they were published.
#[derive(Debug, Default)]
pub(super) struct Jobs {
    queue: VecDeque<Job>,
    /// Sockets whose input waits until less is to be handed out.
    waiting: Vec<SocketId>,
}

#[derive(Debug)]
enum Job {
    Publication(Box<Publication>),
    Frame { client: ClientId, opcode: Opcode, payload: Bytes },
}

#[derive(Debug)]
struct Publication {
    principal: Option<Box<str>>,
    destination: Box<str>,
    encoded: Encoded,
    fanout: Option<Fanout>,
}

/// One message in each version that a receiver needs.
#[derive(Debug)]
struct Encoded {
    opcode: Opcode,
    versions: [Option<EncodedMessage>; 3],
}

/// Frames that are the same for many receivers, by version, subscription id and how they are wrapped.
#[derive(Debug, Default)]
struct Cache {
    frames: Vec<(Version, Wrapping, u32, Bytes)>,
    next: usize,
}

impl Jobs {
    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.queue.len()
    }

    /// Whether another turn has something to do.
    pub(super) fn has_work(&self) -> bool {
        !self.queue.is_empty() || !self.waiting.is_empty()
    }

    /// Whether so much waits that nobody should be heard who might add to it.
    pub(super) fn is_full(&self) -> bool {
        self.queue.len() >= BACKLOG
    }

    /// This socket's input is to be handled once less waits.
    pub(super) fn wait(&mut self, socket: SocketId) {
        if self.waiting.last() != Some(&socket) {
            self.waiting.push(socket);
        }
    }
}

impl Hub {
    /// Publishes to the subscribers of a destination, or of a user's, here and at other hubs. Returns how many there are
    /// here; 0 where the message waits behind a fan-out that is under way.
    pub(super) fn fan_out<H, N, V>(
        &mut self,
        principal: Option<&str>,
        destination: &str,
        message: &Message<'_, H>,
    ) -> usize
    where
        H: Iterator<Item = (N, V)> + Clone,
        N: AsRef<str>,
        V: AsRef<str>,
    {
        self.relay(principal, destination, message);
        self.fan_out_here(principal, destination, message)
    }

    /// The same, but for nobody elsewhere.
    pub(super) fn fan_out_here<H, N, V>(
        &mut self,
        principal: Option<&str>,
        destination: &str,
        message: &Message<'_, H>,
    ) -> usize
    where
        H: Iterator<Item = (N, V)> + Clone,
        N: AsRef<str>,
        V: AsRef<str>,
    {
        let text = message.content_type != Some(OCTET_STREAM) && ws::is_utf8(message.body);
        let mut encoded =
            Encoded { opcode: if text { Opcode::Text } else { Opcode::Binary }, versions: [None, None, None] };
        if !self.jobs.is_empty() {
            encoded.all(message);
            let publication = Publication {
                principal: principal.map(Box::from),
                destination: Box::from(destination),
                encoded,
                fanout: None,
            };
            self.jobs.queue.push_back(Job::Publication(Box::new(publication)));
            return 0;
        }
        let mut fanout = self.start(principal, destination);
        let receivers = fanout.receivers();
        let mut budget = RECEIVERS_A_TURN;
        if self.walk(
            &mut fanout,
            &mut budget,
            |version, versions| {
                let slot = &mut versions[version as usize];
                slot.get_or_insert_with(|| Encoder::new(version).shared(message)).clone()
            },
            &mut encoded,
        ) {
            return receivers;
        }
        encoded.all(message);
        let publication = Publication {
            principal: principal.map(Box::from),
            destination: Box::from(destination),
            encoded,
            fanout: Some(fanout),
        };
        self.jobs.queue.push_back(Job::Publication(Box::new(publication)));
        receivers
    }

    /// Sends a STOMP frame to one client, behind what is still to be handed out.
    pub(super) fn give_in_turn(&mut self, client: u32, opcode: Opcode, payload: &[u8]) {
        if self.jobs.is_empty() {
            return self.give(client, opcode, payload);
        }
        let client = self.client_id(client);
        self.jobs.queue.push_back(Job::Frame { client, opcode, payload: Bytes::copy_from_slice(payload) });
    }

    /// Hands out what waits, so much a turn.
    pub(super) fn hand_out(&mut self) {
        let mut budget = RECEIVERS_A_TURN;
        while budget > 0
            && let Some(job) = self.jobs.queue.pop_front()
        {
            match job {
                Job::Frame { client, opcode, payload } => {
                    budget -= 1;
                    if self.clients.get(client.slot(), client.generation()).is_some() {
                        self.give(client.slot(), opcode, &payload);
                    }
                }
                Job::Publication(mut publication) => {
                    let mut fanout = match publication.fanout.take() {
                        Some(fanout) => fanout,
                        None => self.start(publication.principal.as_deref(), &publication.destination),
                    };
                    let over = self.walk(
                        &mut fanout,
                        &mut budget,
                        |version, versions| {
                            versions[version as usize]
                                .clone()
                                .unwrap_or_else(|| EncodedMessage { head: Bytes::new(), tail: Bytes::new() })
                        },
                        &mut publication.encoded,
                    );
                    if !over {
                        publication.fanout = Some(fanout);
                        self.jobs.queue.push_front(Job::Publication(publication));
                    }
                }
            }
        }
    }

    /// Hears those again who had to wait, some a turn.
    pub(super) fn hear_waiting(&mut self) {
        for _ in 0..HEARD_A_TURN {
            if self.jobs.is_full() {
                break;
            }
            let Some(socket) = self.jobs.waiting.pop() else { break };
            if let Some(slot) = self.live(socket) {
                self.resume(slot);
            }
        }
    }

    fn start(&mut self, principal: Option<&str>, destination: &str) -> Fanout {
        match principal {
            Some(principal) => self.broker.publish_to_user(principal, destination),
            None => self.broker.publish(destination),
        }
    }

    /// Hands a message to the next receivers; false if the budget ended before them.
    fn walk(
        &mut self,
        fanout: &mut Fanout,
        budget: &mut usize,
        mut encode: impl FnMut(Version, &mut [Option<EncodedMessage>; 3]) -> EncodedMessage,
        encoded: &mut Encoded,
    ) -> bool {
        let mut cache = Cache::default();
        while *budget > 0 {
            let Some(receiver) = self.broker.next(fanout) else { return true };
            *budget -= 1;
            let Some(client) = self.clients.slot_mut(receiver.client) else { continue };
            client.tell(self.now.mono);
            let version = client.version;
            let Some((place, wrapping)) = self.clients.slot(receiver.client).and_then(|client| self.place_of(client))
            else {
                continue;
            };
            self.stats.delivered += 1;
            let at = match cache.find(version, wrapping, receiver.subscription) {
                Some(at) => at,
                None => {
                    let message = encode(version, &mut encoded.versions);
                    let subscription = self.broker.subscription_id(receiver.subscription).unwrap_or_default();
                    let payload = payload_of(&message, version, subscription);
                    let json = (wrapping != Wrapping::Plain).then(|| {
                        cache.find(version, Wrapping::Json, receiver.subscription).unwrap_or_else(|| {
                            cache.keep(version, Wrapping::Json, receiver.subscription, super::sockjs::json(&payload))
                        })
                    });
                    match (wrapping, json) {
                        (Wrapping::Json, Some(at)) => at,
                        _ => {
                            let json = json.map_or(&b""[..], |at| cache.frame(at));
                            let frame = self.wrap(wrapping, &payload, encoded.opcode, json);
                            cache.keep(version, wrapping, receiver.subscription, frame)
                        }
                    }
                }
            };
            self.put(place, cache.frame(at));
        }
        false
    }
}

impl Encoded {
    fn all<H, N, V>(&mut self, message: &Message<'_, H>)
    where
        H: Iterator<Item = (N, V)> + Clone,
        N: AsRef<str>,
        V: AsRef<str>,
    {
        for version in [Version::V1_0, Version::V1_1, Version::V1_2] {
            self.versions[version as usize].get_or_insert_with(|| Encoder::new(version).shared(message));
        }
    }
}

impl Cache {
    /// Where it is, if it is kept.
    fn find(&self, version: Version, wrapping: Wrapping, subscription: u32) -> Option<usize> {
        self.frames.iter().position(|(v, w, s, _)| *s == subscription && *w == wrapping && *v == version)
    }

    /// Keeps a frame, in another's place if need be. Returns where.
    fn keep(&mut self, version: Version, wrapping: Wrapping, subscription: u32, frame: Bytes) -> usize {
        let frame = (version, wrapping, subscription, frame);
        if self.frames.len() < CACHED {
            self.frames.push(frame);
            return self.frames.len() - 1;
        }
        let at = self.next % CACHED;
        self.frames[at] = frame;
        self.next += 1;
        at
    }

    /// What is kept there. Each copy is an atomic operation more, which is dear where there are many receivers.
    fn frame(&self, at: usize) -> &Bytes {
        &self.frames[at].3
    }
}

/// A whole MESSAGE for one subscription.
fn payload_of(message: &EncodedMessage, version: Version, subscription: &str) -> Bytes {
    let mut payload = BytesMut::with_capacity(message.len() + subscription.len() + 32);
    payload.put_slice(&message.head);
    if !subscription.is_empty() {
        Encoder::new(version).subscription(&mut payload, subscription);
    }
    payload.put_slice(&message.tail);
    payload.freeze()
}

/// How many different frames of one message are kept at a time.
const CACHED: usize = 24;
/// How many receivers one turn serves: well under 10 ms of work.
#[cfg(not(test))]
const RECEIVERS_A_TURN: usize = 20_000;
/// Few, so that the tests see fan-outs that are cut into turns.
#[cfg(test)]
const RECEIVERS_A_TURN: usize = 16;
/// So many publications may wait behind a wide one before their publishers are no longer read.
pub(super) const BACKLOG: usize = 256;
/// How many of these are heard again in one turn.
const HEARD_A_TURN: usize = 64;
const OCTET_STREAM: &str = "application/octet-stream";
