//! Between hubs: what is published here, for the others, and what they published, for here.
//!
//! A publication is encoded once. Every node matches it with its own subscriptions: a user's destination too is looked up
//! at each, since the user may be there as well. What one hub publishes reaches a client of another in the order in which
//! it was published; what several hubs publish comes in any order. It is sent once: a node that is cut off misses it.

use alloc::string::String;

use bytes::{BufMut, Bytes, BytesMut};

use super::publish::Jobs;
use super::stomp::USER;
use super::{Action, Hub};
use crate::stomp::Message;
use crate::time::Now;

/// What one hub tells the others, as bytes. To be handed to each of them whole, in order:
/// [`Event::Relayed`](super::Event::Relayed).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Publication(Bytes);

/// What a publication says.
#[derive(Debug)]
enum Said<'a> {
    Message { principal: Option<&'a str>, destination: &'a str, message: Message<'a, Headers<'a>> },
    Announcement { body: &'a [u8] },
}

/// The headers of a message that came from another hub.
#[derive(Debug, Clone, Copy)]
struct Headers<'a> {
    left: u32,
    rest: &'a [u8],
}

impl Publication {
    /// The bytes. They are shared: a copy of this value is cheap.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl From<Publication> for Bytes {
    fn from(publication: Publication) -> Self {
        publication.0
    }
}

impl Hub {
    /// Tells the applications of all other hubs something: [`Action::Announced`] there. Only with
    /// [`Config::relay`](crate::config::Config::relay).
    pub fn announce(&mut self, now: Now, body: &[u8]) {
        self.recording(|record| record.announce(now, body));
        self.begin(now);
        if self.config.relay {
            let mut out = self.heading(ANNOUNCEMENT, body.len());
            out.put_slice(body);
            self.hand_over(out);
        }
        self.finish();
    }

    /// Passes a message on, if there are others.
    pub(super) fn relay<H, N, V>(&mut self, principal: Option<&str>, destination: &str, message: &Message<'_, H>)
    where
        H: Iterator<Item = (N, V)> + Clone,
        N: AsRef<str>,
        V: AsRef<str>,
    {
        if !self.config.relay {
            return;
        }
        let mut out = self.heading(if principal.is_some() { TO_USER } else { TO_ALL }, message.body.len() + 256);
        if let Some(principal) = principal {
            put(&mut out, principal);
        }
        put(&mut out, destination);
        put(&mut out, message.message_id);
        out.put_u8(u8::from(message.content_type.is_some()));
        if let Some(content_type) = message.content_type {
            put(&mut out, content_type);
        }
        let count = message.headers.clone().count();
        out.put_u32_le(count as u32);
        for (name, value) in message.headers.clone() {
            put(&mut out, name.as_ref());
            put(&mut out, value.as_ref());
        }
        out.put_slice(message.body);
        self.hand_over(out);
    }

    /// Hears what another hub said. Bytes that are none of ours are counted and ignored.
    pub(super) fn relayed(&mut self, bytes: &[u8]) {
        match read(bytes) {
            None => self.stats.relay_refused += 1,
            // Some ways lead back to where they began.
            Some((from, _)) if from == self.name => {}
            Some((from, Said::Announcement { body })) => {
                self.stats.relayed_in += 1;
                self.actions.push_back(Action::Announced { hub: from.into(), body: Bytes::copy_from_slice(body) });
            }
            Some(_) if self.jobs.is_overfull() => self.stats.relay_refused += 1,
            Some((_, Said::Message { principal, destination, mut message })) => {
                self.stats.relayed_in += 1;
                let shown;
                if principal.is_some() {
                    shown = alloc::format!("{USER}{destination}");
                    message.destination = &shown;
                }
                self.fan_out_here(principal, destination, &message);
            }
        }
    }

    fn heading(&self, kind: u8, len: usize) -> BytesMut {
        let mut out = BytesMut::with_capacity(self.name.len() + 16 + len);
        out.put_slice(&[VERSION, kind]);
        put(&mut out, &self.name);
        out
    }

    fn hand_over(&mut self, out: BytesMut) {
        if out.len() > self.config.limits.bulk {
            self.stats.relay_refused += 1;
            return;
        }
        self.stats.relayed_out += 1;
        self.actions.push_back(Action::Relay { publication: Publication(out.freeze()) });
    }
}

impl Jobs {
    /// Whether so much waits that what others publish is left out: they cannot be asked to wait.
    fn is_overfull(&self) -> bool {
        self.len() >= RELAYED_BACKLOG
    }
}

impl<'a> Iterator for Headers<'a> {
    type Item = (&'a str, &'a str);

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let name = take(&mut self.rest)?;
        Some((name, take(&mut self.rest)?))
    }
}

/// A name for a hub that no other has.
pub(super) fn name(random: &mut crate::random::Random, relay: bool) -> String {
    if relay { alloc::format!("{}{}", random.run(), random.run()) } else { String::new() }
}

fn read(mut bytes: &[u8]) -> Option<(&str, Said<'_>)> {
    let [VERSION, kind, ..] = *bytes else { return None };
    bytes = bytes.get(2..)?;
    let from = take(&mut bytes)?;
    let principal = match kind {
        ANNOUNCEMENT => return Some((from, Said::Announcement { body: bytes })),
        TO_USER => Some(take(&mut bytes)?),
        TO_ALL => None,
        _ => return None,
    };
    let destination = take(&mut bytes)?;
    let message_id = take(&mut bytes)?;
    let (&typed, rest) = bytes.split_first()?;
    bytes = rest;
    let content_type = match typed {
        0 => None,
        1 => Some(take(&mut bytes)?),
        _ => return None,
    };
    let (count, rest) = bytes.split_first_chunk()?;
    let count = u32::from_le_bytes(*count);
    let headers = Headers { left: count, rest };
    let mut body = rest;
    for _ in 0..count {
        take(&mut body)?;
        take(&mut body)?;
    }
    let message = Message { destination, content_type, headers, message_id, body };
    Some((from, Said::Message { principal, destination, message }))
}

fn put(out: &mut BytesMut, text: &str) {
    out.put_u32_le(text.len() as u32);
    out.put_slice(text.as_bytes());
}

fn take<'a>(bytes: &mut &'a [u8]) -> Option<&'a str> {
    let (len, rest) = bytes.split_first_chunk()?;
    let (text, rest) = rest.split_at_checked(u32::from_le_bytes(*len) as usize)?;
    *bytes = rest;
    core::str::from_utf8(text).ok()
}

const VERSION: u8 = 1;
const TO_ALL: u8 = 0;
const TO_USER: u8 = 1;
const ANNOUNCEMENT: u8 = 2;
/// So many publications may wait behind a wide fan-out before those of other hubs are left out.
const RELAYED_BACKLOG: usize = 4 * super::publish::BACKLOG;

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;
    use crate::config::Config;
    use crate::hub::{self, Event, To};
    use crate::time::{Instant, UnixMillis};

    fn at(ms: u64) -> Now {
        Now { mono: Instant::from_millis(ms), wall: UnixMillis::from_millis(ms) }
    }

    fn hub(seed: u8) -> Hub {
        Hub::new(Config { relay: true, ..Config::default() }, [seed; 16], at(0)).expect("a valid configuration")
    }

    fn relayed(hub: &mut Hub) -> Vec<Publication> {
        core::iter::from_fn(|| hub.poll())
            .filter_map(|action| match action {
                Action::Relay { publication } => Some(publication),
                _ => None,
            })
            .collect()
    }

    #[test]
    fn what_is_written_is_read() {
        let mut one = hub(1);
        let message =
            hub::Message { content_type: Some("text/plain"), headers: &[("a", "1"), ("", "")], body: b"x\0y" };
        one.publish(at(0), To::Destination("/topic/a"), &message);
        let message = hub::Message { body: b"", ..hub::Message::default() };
        one.publish(at(0), To::User { principal: "rob", destination: "/queue/b" }, &message);
        one.announce(at(0), b"here");
        let all = relayed(&mut one);
        let (from, Said::Message { principal: None, destination: "/topic/a", message }) =
            read(all[0].as_bytes()).expect("ours")
        else {
            panic!("{all:?}")
        };
        assert_eq!((from, message.content_type, message.body), (&*one.name, Some("text/plain"), &b"x\0y"[..]));
        assert_eq!(message.headers.collect::<Vec<_>>(), [("a", "1"), ("", "")]);
        let (_, Said::Message { principal: Some("rob"), destination: "/queue/b", message }) =
            read(all[1].as_bytes()).expect("ours")
        else {
            panic!("{all:?}")
        };
        assert_eq!((message.content_type, message.body, message.headers.count()), (None, &b""[..], 0));
        assert!(matches!(read(all[2].as_bytes()), Some((_, Said::Announcement { body: b"here" }))));
        assert_eq!(one.stats().relayed_out, 3);
    }

    #[test]
    fn ones_own_are_not_heard_and_others_are_not_passed_on() {
        let (mut one, mut two) = (hub(1), hub(2));
        one.announce(at(0), b"here");
        one.publish(at(0), To::Destination("/topic/a"), &hub::Message::default());
        for publication in relayed(&mut one) {
            one.handle(at(0), Event::Relayed { publication: publication.as_bytes() });
            two.handle(at(0), Event::Relayed { publication: publication.as_bytes() });
        }
        assert!(one.poll().is_none());
        assert!(matches!(two.poll(), Some(Action::Announced { hub, body }) if *hub == *one.name && body == "here"[..]));
        assert!(two.poll().is_none());
        assert_eq!((one.stats().relayed_in, two.stats().relayed_in, two.stats().relayed_out), (0, 2, 0));
    }

    #[test]
    fn nothing_is_relayed_unless_it_is_asked_for_and_nothing_that_no_reply_may_be() {
        let mut alone = Hub::new(Config::default(), [1; 16], at(0)).expect("a valid configuration");
        alone.publish(at(0), To::Destination("/topic/a"), &hub::Message::default());
        alone.announce(at(0), b"here");
        assert!(alone.poll().is_none());
        let mut config = Config { relay: true, ..Config::default() };
        config.limits.bulk = 100;
        let mut one = Hub::new(config, [1; 16], at(0)).expect("a valid configuration");
        let heading = 2 + 4 + one.name.len();
        for (len, sent) in [(100 - heading, 1), (101 - heading, 0)] {
            one.announce(at(0), &alloc::vec![b'x'; len]);
            assert_eq!(relayed(&mut one).len(), sent);
        }
        assert_eq!((one.stats().relayed_out, one.stats().relay_refused), (1, 1));
    }

    #[test]
    fn bytes_of_others_are_counted_and_change_nothing() {
        let (mut one, mut two) = (hub(1), hub(2));
        let message = hub::Message { content_type: Some("text/plain"), headers: &[("name", "value")], body: b"" };
        one.publish(at(0), To::User { principal: "rob", destination: "/queue/b" }, &message);
        let whole = relayed(&mut one).remove(0);
        let whole = whole.as_bytes();
        let mut refused = 0;
        let mut hear = |bytes: &[u8]| {
            refused += 1;
            two.handle(at(0), Event::Relayed { publication: bytes });
            assert!(two.poll().is_none());
            assert_eq!((two.stats().relay_refused, two.stats().relayed_in), (refused, 0), "{bytes:?}");
        };
        for len in 0..whole.len() {
            hear(&whole[..len]);
        }
        for (i, byte) in [(0, 2), (1, 3), (2, 255), (5, 255), (6, 0xFF), (whole.len() - 1, 0xFF)] {
            let mut bytes = whole.to_vec();
            bytes[i] = byte;
            hear(&bytes);
        }
    }
}
