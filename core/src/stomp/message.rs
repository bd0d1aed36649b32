//! MESSAGE, and how one encoding of it serves many receivers.

use bytes::{BufMut, Bytes, BytesMut};

use super::encoder::{content_length, finish, header, start};
use super::{Command, Encoder};

/// What a MESSAGE is made of, but for the subscription.
#[derive(Debug, Clone)]
pub struct Message<'a, H> {
    /// The destination that was subscribed to.
    pub destination: &'a str,
    /// The sender's `content-type`.
    pub content_type: Option<&'a str>,
    /// The sender's headers, such as [`Frame::headers`](super::Frame::headers). Those that are the server's to set, or were the
    /// sender's talk with it, are not handed on (S16); neither are the ones above a second time. Repeats are.
    pub headers: H,
    /// The server's number for the message.
    pub message_id: &'a str,
    /// The body, which may hold NULs.
    pub body: &'a [u8],
}

/// A MESSAGE encoded for all receivers of one version: what differs for each, the line with its subscription, goes between the two halves.
/// They share one allocation.
#[derive(Debug, Clone)]
pub struct EncodedMessage {
    /// From the command to the last of the sender's headers.
    pub head: Bytes,
    /// From `message-id` to the NUL.
    pub tail: Bytes,
}

impl EncodedMessage {
    /// The whole frame for one receiver, whose version `encoder` has to have. A 1.0 receiver may have no subscription id.
    pub fn write(&self, out: &mut BytesMut, encoder: Encoder, subscription: Option<&str>) {
        out.reserve(self.len() + subscription.map_or(0, |id| SUBSCRIPTION_BYTES + id.len()));
        out.put_slice(&self.head);
        if let Some(id) = subscription {
            encoder.subscription(out, id);
        }
        out.put_slice(&self.tail);
    }

    /// Bytes of both halves.
    pub const fn len(&self) -> usize {
        self.head.len() + self.tail.len()
    }

    /// Never: a frame has at least a command and a NUL.
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Encoder {
    /// A whole MESSAGE for one receiver: `destination`, `content-type`, the sender's other headers, `subscription`, `message-id`,
    /// `content-length`. A 1.0 receiver may have no subscription id.
    pub fn message<N, V, H>(self, out: &mut BytesMut, message: &Message<'_, H>, subscription: Option<&str>)
    where
        N: AsRef<str>,
        V: AsRef<str>,
        H: Iterator<Item = (N, V)> + Clone,
    {
        out.reserve(message.size_hint() + subscription.map_or(0, |id| SUBSCRIPTION_BYTES + id.len()));
        self.head(out, message);
        if let Some(id) = subscription {
            self.subscription(out, id);
        }
        self.tail(out, message.message_id, message.body);
    }

    /// The same for all receivers of this version.
    pub fn shared<N, V, H>(self, message: &Message<'_, H>) -> EncodedMessage
    where
        N: AsRef<str>,
        V: AsRef<str>,
        H: Iterator<Item = (N, V)> + Clone,
    {
        let mut out = BytesMut::with_capacity(message.size_hint());
        self.head(&mut out, message);
        let head = out.len();
        self.tail(&mut out, message.message_id, message.body);
        let mut tail = out.freeze();
        EncodedMessage { head: tail.split_to(head), tail }
    }

    fn head<N, V, H>(self, out: &mut BytesMut, message: &Message<'_, H>)
    where
        N: AsRef<str>,
        V: AsRef<str>,
        H: Iterator<Item = (N, V)> + Clone,
    {
        start(out, Command::Message);
        header(self.version(), out, "destination", message.destination);
        if let Some(kind) = message.content_type {
            header(self.version(), out, "content-type", kind);
        }
        for (name, value) in message.headers.clone().filter(|(name, _)| is_senders(name.as_ref())) {
            header(self.version(), out, name.as_ref(), value.as_ref());
        }
    }

    fn tail(self, out: &mut BytesMut, message_id: &str, body: &[u8]) {
        header(self.version(), out, "message-id", message_id);
        content_length(out, body);
        finish(out, body);
    }
}

impl<N, V, H> Message<'_, H>
where
    N: AsRef<str>,
    V: AsRef<str>,
    H: Iterator<Item = (N, V)> + Clone,
{
    /// Bytes of the frame without subscription and escapes, or a few more: enough for one allocation in nearly every case.
    fn size_hint(&self) -> usize {
        let others: usize =
            self.headers.clone().map(|(name, value)| name.as_ref().len() + value.as_ref().len() + 2).sum();
        let own = self.destination.len() + self.content_type.map_or(0, str::len) + self.message_id.len();
        FIXED_BYTES + own + others + self.body.len()
    }
}

/// Whether a header of a SEND goes on to the receivers as it is (S16).
fn is_senders(name: &str) -> bool {
    !matches!(
        name,
        "destination"
            | "content-type"
            | "content-length"
            | "message-id"
            | "subscription"
            | "user-name"
            | "session"
            | "ack"
            | "receipt"
            | "transaction"
    )
}

/// `subscription:` and a line end.
const SUBSCRIPTION_BYTES: usize = 14;

/// Command, names of the headers that every MESSAGE has, the digits of a length, line ends and NUL.
const FIXED_BYTES: usize = 96;

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use proptest::prelude::*;

    use super::*;
    use crate::stomp::{Decoder, Frame, Item, Limits, Version};

    const VERSIONS: [Version; 3] = [Version::V1_0, Version::V1_1, Version::V1_2];

    fn encoded(version: Version, headers: &[(&str, &str)], subscription: Option<&str>) -> BytesMut {
        let message = Message {
            destination: "/user/queue/messages",
            content_type: Some("application/json"),
            headers: headers.iter().copied(),
            message_id: "9c5b-1",
            body: b"{}",
        };
        let encoder = Encoder::new(version);
        let mut out = BytesMut::new();
        encoder.message(&mut out, &message, subscription);
        let mut shared = BytesMut::new();
        encoder.shared(&message).write(&mut shared, encoder, subscription);
        assert_eq!(out, shared);
        out
    }

    fn decode<T>(version: Version, mut bytes: &[u8], look: impl FnOnce(Frame<'_>) -> T) -> T {
        let mut decoder = Decoder::client();
        decoder.set_version(version);
        match decoder.next(&Limits::default(), &mut bytes, &mut Vec::new()) {
            Ok(Some(Item::Frame(frame))) => {
                assert!(bytes.is_empty());
                look(frame)
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn headers_in_the_order_of_the_reference() {
        assert_eq!(
            encoded(Version::V1_2, &[("foo", "a:b"), ("bar", "")], Some("sub-0")),
            "MESSAGE\ndestination:/user/queue/messages\ncontent-type:application/json\nfoo:a\\cb\nbar:\nsubscription:sub-0\n\
             message-id:9c5b-1\ncontent-length:2\n\n{}\0"
        );
    }

    #[test]
    fn s06_repeats_are_handed_on_in_order() {
        let out = encoded(Version::V1_2, &[("foo", "1"), ("foo", "2")], Some("s"));
        decode(Version::V1_2, &out, |frame| {
            assert_eq!(frame.header("foo").as_deref(), Some("1"));
            assert_eq!(frame.headers().filter(|(name, _)| name == "foo").count(), 2);
        });
    }

    #[test]
    fn s16_what_is_the_servers_is_not_the_senders() {
        let forged = [
            ("destination", "/elsewhere"),
            ("content-type", "text/forged"),
            ("content-length", "99"),
            ("message-id", "forged"),
            ("subscription", "forged"),
            ("user-name", "forged"),
            ("session", "forged"),
            ("ack", "forged"),
            ("receipt", "forged"),
            ("transaction", "forged"),
        ];
        for version in VERSIONS {
            assert_eq!(encoded(version, &forged, Some("s")), encoded(version, &[], Some("s")));
        }
    }

    #[test]
    fn s19_a_receiver_gets_what_its_version_can_write() {
        let headers =
            [("colon", "a:b"), ("lf", "a\nb"), ("cr", "a\rb"), ("na:me", "x"), ("nul", "a\0b"), ("slash", "\\n")];
        for (version, wanted) in [
            (Version::V1_0, &["colon", "slash"][..]),
            (Version::V1_1, &["colon", "lf", "na:me", "slash"]),
            (Version::V1_2, &["colon", "lf", "cr", "na:me", "slash"]),
        ] {
            let out = encoded(version, &headers, Some("s"));
            assert!(!out.contains(&b'\r'));
            decode(version, &out, |frame| {
                let got: Vec<_> = frame.headers().filter(|(name, _)| headers.iter().any(|(n, _)| n == name)).collect();
                assert_eq!(got.iter().map(|(name, _)| name.as_ref()).collect::<Vec<_>>(), wanted, "{version:?}");
                for (name, value) in got {
                    assert!(headers.contains(&(&name, &value)));
                }
            });
        }
    }

    #[test]
    fn without_a_subscription_there_is_no_such_line() {
        decode(Version::V1_0, &encoded(Version::V1_0, &[], None), |frame| {
            assert_eq!(frame.header("subscription"), None);
        });
    }

    #[test]
    fn one_allocation_serves_both_halves() {
        let message = Message {
            destination: "/topic/a",
            content_type: None,
            headers: [("a", "b")].into_iter(),
            message_id: "1",
            body: &[7; 500],
        };
        assert!(message.size_hint() >= Encoder::new(Version::V1_2).shared(&message).len());
        let EncodedMessage { head, tail } = Encoder::new(Version::V1_2).shared(&message);
        assert_eq!(head.as_ptr() as usize + head.len(), tail.as_ptr() as usize);
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded_again(
            destination in "/[a-z:\\\\/é]{0,20}",
            headers in prop::collection::vec(("[a-z:\\\\\n\r]{1,6}", "[ -~\n\ré]{0,12}"), 0..8),
            subscription in "[ -~]{0,8}",
            body in prop::collection::vec(any::<u8>(), 0..64),
        ) {
            for version in VERSIONS {
                let length = alloc::format!("{}", body.len());
                let headers = headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
                let message = Message { destination: &destination, content_type: None, headers: headers.clone(), message_id: "1:2", body: &body };
                let mut out = BytesMut::new();
                Encoder::new(version).message(&mut out, &message, Some(&subscription));
                decode(version, &out, |frame| {
                    let mut wanted = alloc::vec![("destination", destination.as_str())];
                    wanted.extend(headers.filter(|(n, v)| is_senders(n) && crate::stomp::escape::writable(version, n, v)));
                    wanted.extend([("subscription", subscription.as_str()), ("message-id", "1:2"), ("content-length", length.as_str())]);
                    let got: Vec<_> = frame.headers().collect();
                    assert_eq!(got.iter().map(|(n, v)| (n.as_ref(), v.as_ref())).collect::<Vec<_>>(), wanted);
                    assert_eq!(frame.body(), &body[..]);
                });
            }
        }
    }
}
