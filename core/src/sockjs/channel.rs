//! What outlives its requests: the state of one session over a transport that is no WebSocket.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec::Vec;

use bytes::Bytes;

use super::frame::{OPEN, push_messages};

/// The order of things for one client: an open frame, messages, a close frame. What is due goes to the receiver that is
/// there, or waits for one.
///
/// A receiver is a request that frames are sent in answer to; `R` tells one from another. It is there from
/// [`attach`](Self::attach) to [`detach`](Self::detach): until the whole of its answer was taken.
#[derive(Debug, Clone)]
pub struct Channel<R> {
    receiver: Option<Receiver<R>>,
    /// Messages that wait, each a JSON string.
    queue: VecDeque<Bytes>,
    queued: usize,
    opened: bool,
    /// The close frame, once there is one.
    close: Option<Box<[u8]>>,
}

#[derive(Debug, Clone, Copy)]
struct Receiver<R> {
    id: R,
    /// Bytes until its answer ends; a poll's ends with the first frame.
    left: usize,
    /// The end of its answer is due, or sent.
    over: bool,
}

/// Why a receiver is not attached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turned<'a> {
    /// Another one is there: it is told [`STILL_OPEN`](super::STILL_OPEN).
    StillOpen,
    /// The channel is over: it is told this frame.
    Over(&'a [u8]),
}

/// More messages wait than may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many messages wait for a receiver: SJ_QUEUE")]
pub struct Full;

impl<R: Copy + PartialEq> Channel<R> {
    /// One that nothing was said to yet.
    pub const fn new() -> Self {
        Self { receiver: None, queue: VecDeque::new(), queued: 0, opened: false, close: None }
    }

    /// Who receives, or did last and has not taken all of it.
    pub fn receiver(&self) -> Option<R> {
        self.receiver.map(|receiver| receiver.id)
    }

    /// Whether a frame would be sent at once.
    pub fn is_awaited(&self) -> bool {
        self.receiver.is_some_and(|receiver| !receiver.over)
    }

    /// Whether a message would be sent at once, with nothing before it.
    pub fn is_direct(&self) -> bool {
        self.is_awaited() && self.opened && self.queue.is_empty() && self.close.is_none()
    }

    /// Whether nothing but its close frame is left.
    pub fn is_over(&self) -> bool {
        self.close.is_some() && self.queue.is_empty()
    }

    /// Whether it takes no more messages.
    pub fn is_closing(&self) -> bool {
        self.close.is_some()
    }

    /// Bytes of the messages that wait.
    pub fn queued(&self) -> usize {
        self.queued
    }

    /// A receiver comes: a stream that ends after `limit` bytes, or a poll, which ends after one frame.
    ///
    /// # Errors
    /// [`Turned`]: its answer is another. One whose answer is over makes room for the next, which could not come if it had
    /// not been taken.
    pub fn attach(&mut self, id: R, limit: Option<usize>) -> Result<(), Turned<'_>> {
        if self.is_awaited() {
            return Err(Turned::StillOpen);
        }
        match &self.close {
            Some(close) if self.queue.is_empty() => Err(Turned::Over(close)),
            _ => {
                self.receiver = Some(Receiver { id, left: limit.unwrap_or(0), over: false });
                Ok(())
            }
        }
    }

    /// A message, as a JSON string. It waits behind those that do.
    ///
    /// # Errors
    /// [`Full`]: more than `most` messages or `most_bytes` would wait for a receiver. It is not taken then.
    pub fn push(&mut self, message: Bytes, most: usize, most_bytes: usize) -> Result<(), Full> {
        if self.queue.len() >= most || self.queued + message.len() > most_bytes {
            return Err(Full);
        }
        if self.close.is_none() {
            self.queued += message.len();
            self.queue.push_back(message);
        }
        Ok(())
    }

    /// Writes the next frame, if there is one and somebody to receive it: [`sent`](Self::sent) has to follow. All messages
    /// that wait are one frame.
    pub fn next(&mut self, frame: &mut Vec<u8>) -> bool {
        if !self.is_awaited() {
            return false;
        }
        if !core::mem::replace(&mut self.opened, true) {
            frame.extend_from_slice(OPEN);
        } else if !self.queue.is_empty() {
            push_messages(frame, self.queue.drain(..));
            self.queued = 0;
            if self.queue.capacity() > KEPT {
                self.queue = VecDeque::new();
            }
        } else if let Some(close) = &self.close {
            frame.extend_from_slice(close);
            if let Some(receiver) = &mut self.receiver {
                receiver.left = 0;
            }
        } else {
            return false;
        }
        true
    }

    /// A frame was sent, as so many bytes with what its transport adds. Whether the answer ends with it.
    pub fn sent(&mut self, len: usize) -> bool {
        let Some(receiver) = &mut self.receiver else { return true };
        receiver.left = receiver.left.saturating_sub(len);
        receiver.over = receiver.left == 0;
        receiver.over
    }

    /// What was sent to the receiver was dropped before it was taken, and the end of its answer with it: it is there again.
    /// For the close frame of a channel that was [cut](Self::cut).
    pub fn recall(&mut self) {
        if let Some(receiver) = &mut self.receiver {
            receiver.over = false;
            receiver.left = 0;
        }
    }

    /// The receiver is gone: its answer was whole and taken, or nobody is there to take it.
    pub fn detach(&mut self, id: R) {
        if self.receiver().is_some_and(|receiver| receiver == id) {
            self.receiver = None;
        }
    }

    /// No more messages: behind those that wait comes this frame. The first one counts.
    pub fn close(&mut self, frame: &[u8]) {
        if self.close.is_none() {
            self.close = Some(frame.into());
        }
    }

    /// The same, but what waits is dropped. How many bytes that was.
    pub fn cut(&mut self, frame: &[u8]) -> usize {
        self.queue = VecDeque::new();
        self.opened = true;
        self.close(frame);
        core::mem::take(&mut self.queued)
    }
}

impl<R: Copy + PartialEq> Default for Channel<R> {
    fn default() -> Self {
        Self::new()
    }
}

/// Room for so many messages is kept for the next ones.
const KEPT: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::String;
    use alloc::{format, vec};
    use proptest::prelude::*;

    fn message(n: u32) -> Bytes {
        Bytes::from(format!("\"{n}\""))
    }

    /// What the receiver gets now, and whether its answer ends.
    fn pump(channel: &mut Channel<u32>) -> (Vec<String>, bool) {
        let (mut frames, mut over) = (vec![], false);
        let mut frame = Vec::new();
        while channel.next(&mut frame) {
            over = channel.sent(frame.len() + 1);
            frames.push(String::from_utf8(core::mem::take(&mut frame)).expect("text"));
        }
        (frames, over)
    }

    #[test]
    fn a_poll_is_answered_with_one_frame() {
        let mut channel = Channel::new();
        channel.push(message(1), 10, 100).expect("room");
        channel.push(message(2), 10, 100).expect("room");
        for expected in ["o", "a[\"1\",\"2\"]"] {
            assert!(!channel.is_awaited());
            channel.attach(1, None).expect("nobody is there");
            assert_eq!(pump(&mut channel), (vec![expected.into()], true));
            assert_eq!((channel.receiver(), channel.is_awaited()), (Some(1), false));
            channel.detach(1);
        }
        channel.attach(2, None).expect("nobody is there");
        assert_eq!(pump(&mut channel), (vec![], false));
        assert!(channel.is_direct());
        assert_eq!(channel.attach(3, None), Err(Turned::StillOpen));
        assert_eq!(channel.receiver(), Some(2));
        assert!(channel.sent(5));
        channel.detach(3);
        assert_eq!(channel.receiver(), Some(2));
    }

    #[test]
    fn a_stream_ends_at_its_limit_or_with_the_close() {
        let mut channel = Channel::new();
        channel.attach(1, Some(10)).expect("nobody is there");
        assert_eq!(pump(&mut channel), (vec!["o".into()], false));
        channel.push(message(1), 10, 100).expect("room");
        assert_eq!(pump(&mut channel), (vec!["a[\"1\"]".into()], false));
        assert!(channel.sent(1), "2 + 7 + 1");
        channel.push(message(2), 10, 100).expect("room");
        channel.close(b"c[1,\"\"]");
        channel.close(b"c[2,\"\"]");
        channel.push(message(3), 10, 100).expect("it is ignored");
        assert_eq!(pump(&mut channel), (vec![], false));
        assert!(channel.is_closing() && !channel.is_over());
        channel.attach(2, Some(1_000)).expect("the first is over");
        assert_eq!(pump(&mut channel), (vec!["a[\"2\"]".into(), "c[1,\"\"]".into()], true));
        assert_eq!(channel.attach(3, Some(1_000)), Err(Turned::Over(b"c[1,\"\"]")));
    }

    #[test]
    fn j13_the_queue_has_an_end() {
        let mut channel = Channel::<u32>::new();
        for n in 0..3 {
            channel.push(message(n), 3, 100).expect("room");
        }
        assert_eq!(channel.push(message(3), 3, 100), Err(Full));
        let mut channel = Channel::<u32>::new();
        channel.push(message(0), 100, 6).expect("room");
        channel.push(message(1), 100, 6).expect("room for 6 bytes");
        assert_eq!(channel.push(Bytes::from_static(b"x"), 100, 6), Err(Full));
        assert_eq!(channel.queued(), 6);
        assert_eq!(channel.cut(b"c"), 6);
        assert!(channel.is_over());
        assert_eq!(channel.attach(1, None), Err(Turned::Over(b"c")));
    }

    #[test]
    fn what_was_dropped_is_made_up_for_by_the_close() {
        let mut channel = Channel::new();
        channel.attach(1, None).expect("nobody is there");
        assert_eq!(pump(&mut channel), (vec!["o".into()], true));
        channel.cut(b"c");
        channel.recall();
        assert_eq!(pump(&mut channel), (vec!["c".into()], true));
    }

    #[derive(Debug, Clone)]
    enum Op {
        Push,
        Poll,
        Stream(usize),
        Detach,
        Close,
    }

    fn op() -> impl Strategy<Value = Op> {
        prop_oneof![
            6 => Just(Op::Push),
            3 => Just(Op::Poll),
            2 => (1..40_usize).prop_map(Op::Stream),
            4 => Just(Op::Detach),
            1 => Just(Op::Close),
        ]
    }

    proptest! {
        /// No message is lost, doubled or told in another order, whoever receives, and nothing comes behind the close.
        #[test]
        fn everything_is_received_once(ops in proptest::collection::vec(op(), 0..120)) {
            let (mut channel, mut pushed, mut got, mut receivers) = (Channel::new(), 0, vec![], 0);
            let mut closed = false;
            let mut finish = false;
            for op in [Op::Poll, Op::Detach].into_iter().chain(ops).chain([Op::Close, Op::Detach, Op::Poll, Op::Detach, Op::Poll, Op::Detach, Op::Poll, Op::Detach]) {
                match op {
                    Op::Push if !closed => {
                        pushed += 1;
                        channel.push(message(pushed), 1_000, 100_000).expect("room");
                    }
                    Op::Push => {}
                    Op::Poll | Op::Stream(_) => {
                        let limit = if let Op::Stream(limit) = op { Some(limit) } else { None };
                        receivers += 1;
                        let awaited = channel.is_awaited();
                        match channel.attach(receivers, limit) {
                            Ok(()) => prop_assert!(!awaited),
                            Err(Turned::StillOpen) => prop_assert!(awaited),
                            Err(Turned::Over(close)) => {
                                prop_assert_eq!(close, b"c");
                                finish = true;
                            }
                        }
                    }
                    Op::Detach => {
                        if let Some(receiver) = channel.receiver() {
                            channel.detach(receiver);
                        }
                    }
                    Op::Close => {
                        closed = true;
                        channel.close(b"c");
                    }
                }
                got.extend(pump(&mut channel).0);
            }
            let mut numbers = vec![];
            let mut frames = got.into_iter();
            let first = frames.next();
            prop_assert_eq!(first.as_deref(), Some("o"));
            for frame in frames {
                if frame == "c" {
                    continue;
                }
                let inside = frame.strip_prefix("a[").and_then(|f| f.strip_suffix(']')).expect("a frame of messages");
                numbers.extend(inside.split(',').map(|n| n.trim_matches('"').parse::<u32>().expect("a number")));
            }
            prop_assert_eq!(numbers, (1..=pushed).collect::<Vec<_>>());
            prop_assert!(finish || channel.is_over());
        }
    }
}
