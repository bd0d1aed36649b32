//! What waits to be written to one socket.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use bytes::Bytes;

use crate::time::Instant;
use crate::ws;

/// A queue of encoded bytes. Payloads that many sockets share are kept as [`Bytes`]; what only this socket gets is
/// gathered in one buffer, so that a burst of small frames is one slice.
///
/// INVARIANT: on a socket that speaks WebSocket every segment behind the [seal](Output::seal) consists of whole frames.
#[derive(Debug, Default)]
pub(crate) struct Output {
    segments: VecDeque<Segment>,
    /// Bytes of the first segment that are written.
    written: usize,
    /// Bytes that wait.
    len: usize,
    /// Bytes that wait and are sealed: at an edge of segments.
    sealed: usize,
    /// When it last moved, or began to wait.
    moved: Instant,
    /// An emptied buffer, kept for the next burst.
    spare: Vec<u8>,
    /// Where the units of the segments of units end, in order, each within its segment.
    ends: VecDeque<u32>,
}

#[derive(Debug)]
enum Segment {
    Own(Vec<u8>),
    /// Whole units, so many.
    Units(Vec<u8>, u32),
    Shared(Bytes),
}

impl Segment {
    fn as_slice(&self) -> &[u8] {
        match self {
            Self::Own(bytes) | Self::Units(bytes, _) => bytes,
            Self::Shared(bytes) => bytes,
        }
    }
}

impl Output {
    /// Bytes that wait.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// When the oldest byte began to wait, or the last one was taken.
    pub(crate) fn moved(&self) -> Instant {
        self.moved
    }

    /// The time to move begins now, if anything waits.
    pub(crate) fn move_on(&mut self, now: Instant) {
        self.moved = now;
    }

    /// Lets `write` append bytes of this socket alone.
    pub(crate) fn own(&mut self, now: Instant, write: impl FnOnce(&mut Vec<u8>)) -> usize {
        if self.len == 0 {
            self.moved = now;
        }
        let fits = (self.len == 0 || self.sealed < self.len)
            && matches!(self.segments.back(), Some(Segment::Own(bytes)) if bytes.len() < SEGMENT_BYTES);
        if !fits {
            self.segments.push_back(Segment::Own(core::mem::take(&mut self.spare)));
        }
        let Some(Segment::Own(bytes)) = self.segments.back_mut() else { return 0 };
        let before = bytes.len();
        write(bytes);
        let added = bytes.len() - before;
        self.len += added;
        added
    }

    /// The same, but the bytes are a unit, which is dropped or written as a whole.
    pub(crate) fn unit(&mut self, now: Instant, write: impl FnOnce(&mut Vec<u8>)) -> usize {
        if self.len == 0 {
            self.moved = now;
        }
        let fits = (self.len == 0 || self.sealed < self.len)
            && matches!(self.segments.back(), Some(Segment::Units(bytes, _)) if bytes.len() < SEGMENT_BYTES);
        if !fits {
            self.segments.push_back(Segment::Units(core::mem::take(&mut self.spare), 0));
        }
        let Some(Segment::Units(bytes, count)) = self.segments.back_mut() else { return 0 };
        let before = bytes.len();
        write(bytes);
        *count += 1;
        // A unit is a message at most, and those are limited to 4 GiB.
        self.ends.push_back(u32::try_from(bytes.len()).unwrap_or(u32::MAX));
        let added = bytes.len() - before;
        self.len += added;
        added
    }

    /// Appends bytes that other sockets get too.
    pub(crate) fn shared(&mut self, now: Instant, bytes: &Bytes) {
        if self.len == 0 {
            self.moved = now;
        }
        self.len += bytes.len();
        self.segments.push_back(Segment::Shared(bytes.clone()));
    }

    /// What waits now is no frames, but the answer that comes before them: it is never dropped.
    pub(crate) fn seal(&mut self) {
        self.sealed = self.len;
    }

    /// What waits, oldest first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let mut skip = self.written;
        self.segments.iter().filter_map(move |segment| {
            let slice = segment.as_slice().get(core::mem::take(&mut skip)..).unwrap_or_default();
            (!slice.is_empty()).then_some(slice)
        })
    }

    /// The last frame that waits, also if it is written in part. For a socket that speaks WebSocket.
    pub(crate) fn last_frame(&self) -> Option<&[u8]> {
        let mut rest = self.segments.back()?.as_slice();
        loop {
            let len = frame_len(rest)?;
            match rest.get(len..) {
                Some([]) | None => return Some(rest),
                Some(behind) => rest = behind,
            }
        }
    }

    /// The first `len` bytes are written. Returns how many there were.
    pub(crate) fn advance(&mut self, now: Instant, len: usize) -> usize {
        let len = len.min(self.len);
        let mut left = len;
        while let Some(first) = self.segments.front() {
            let rest = first.as_slice().len() - self.written;
            if left < rest {
                break;
            }
            left -= rest;
            self.written = 0;
            match self.segments.pop_front() {
                Some(Segment::Own(bytes)) => self.keep(bytes),
                Some(Segment::Units(bytes, count)) => {
                    self.ends.drain(..self.ends.len().min(count as usize));
                    self.keep(bytes);
                }
                Some(Segment::Shared(_)) | None => {}
            }
        }
        self.written += left;
        self.len -= len;
        self.sealed = self.sealed.saturating_sub(len);
        if len > 0 {
            self.moved = now;
        }
        len
    }

    /// Drops the units that no byte of is written, for a socket that speaks HTTP. Returns how many bytes were dropped.
    pub(crate) fn drop_unstarted_units(&mut self) -> usize {
        if self.sealed > 0 {
            return self.drop_unstarted();
        }
        let started = usize::from(self.written > 0);
        self.segments.truncate(started);
        match self.segments.front_mut() {
            Some(Segment::Units(bytes, count)) => {
                let units = self.ends.iter().take(*count as usize);
                let whole = units.take_while(|end| (**end as usize) < self.written).count();
                self.ends.truncate(whole + 1);
                *count = self.ends.len() as u32;
                bytes.truncate(self.ends.back().map_or(0, |end| *end as usize));
            }
            _ => self.ends.clear(),
        }
        let left = self.segments.front().map_or(0, |first| first.as_slice().len() - self.written);
        if left == 0 {
            self.segments.clear();
            self.ends.clear();
            self.written = 0;
        }
        core::mem::replace(&mut self.len, left) - left
    }

    /// Drops the frames that no byte of is written. Returns how many bytes were dropped.
    pub(crate) fn drop_unstarted(&mut self) -> usize {
        if self.sealed > 0 {
            let mut rest = self.sealed + self.written;
            let sealed = self.segments.iter().take_while(|segment| {
                let before = rest;
                rest = rest.saturating_sub(segment.as_slice().len());
                before > 0
            });
            let count = sealed.count();
            self.segments.truncate(count);
            let units = self.segments.iter().map(|segment| match segment {
                Segment::Units(_, count) => *count as usize,
                Segment::Own(_) | Segment::Shared(_) => 0,
            });
            self.ends.truncate(units.sum());
            return core::mem::replace(&mut self.len, self.sealed) - self.sealed;
        }
        let started = if self.written == 0 { None } else { self.segments.pop_front() };
        self.segments.clear();
        self.ends.clear();
        let before = core::mem::take(&mut self.len);
        if let Some(segment) = started {
            let end = frame_end(segment.as_slice(), self.written);
            if end > self.written {
                self.len = end - self.written;
                self.segments.push_back(match segment {
                    Segment::Own(mut bytes) | Segment::Units(mut bytes, _) => {
                        bytes.truncate(end);
                        Segment::Own(bytes)
                    }
                    Segment::Shared(bytes) => Segment::Shared(bytes.slice(..end)),
                });
            } else {
                self.written = 0;
            }
        }
        before - self.len
    }

    /// The same, but the last frame stays, begun or not: a Close is said whatever becomes of what waits before it.
    pub(crate) fn drop_all_but_last(&mut self) -> usize {
        let Some(last) = self.last_frame().filter(|last| last.len() < self.len).map(<[u8]>::to_vec) else { return 0 };
        let dropped = self.drop_unstarted();
        dropped - self.own(self.moved, |bytes| bytes.extend_from_slice(&last))
    }

    /// Drops everything.
    pub(crate) fn clear(&mut self) -> usize {
        self.segments.clear();
        self.ends.clear();
        self.written = 0;
        self.sealed = 0;
        core::mem::take(&mut self.len)
    }

    /// Gives back room for many segments or units, which only who reads slowly needs.
    pub(crate) fn trim(&mut self) {
        if self.segments.capacity() > KEPT_SEGMENTS || self.ends.capacity() > KEPT_ENDS {
            self.shrink();
        }
    }

    #[cold]
    fn shrink(&mut self) {
        self.segments.shrink_to(KEPT_SEGMENTS);
        self.ends.shrink_to(KEPT_ENDS);
    }

    /// Gives up its buffers, but for room for a few segments. Nothing may wait.
    pub(crate) fn shed(&mut self) {
        self.spare = Vec::new();
        self.ends = VecDeque::new();
        self.segments.shrink_to(FEW_SEGMENTS);
    }

    /// Bytes that it holds while nothing waits.
    #[cfg(test)]
    pub(crate) fn room(&self) -> usize {
        self.segments.capacity() * size_of::<Segment>()
            + self.ends.capacity() * size_of::<u32>()
            + self.spare.capacity()
    }

    fn keep(&mut self, mut bytes: Vec<u8>) {
        if bytes.capacity() <= SPARE_BYTES && bytes.capacity() > self.spare.capacity() {
            bytes.clear();
            self.spare = bytes;
        }
    }
}

/// Where the frame ends that byte `at` (already written up to there) is within; `at` itself at a frame's edge.
fn frame_end(frames: &[u8], at: usize) -> usize {
    let mut end = 0;
    while end < at {
        let Some(len) = frames.get(end..).and_then(frame_len) else { return frames.len() };
        end = end.saturating_add(len);
    }
    end.min(frames.len())
}

/// Bytes of the whole frame at the start of `frames`, as a server writes them.
fn frame_len(frames: &[u8]) -> Option<usize> {
    let (head, len) = ws::Head::parse(ws::Role::Client, frames).ok()??;
    usize::try_from(head.len).ok()?.checked_add(len)
}

/// A buffer of one socket's own frames takes no more once it holds this many bytes.
const SEGMENT_BYTES: usize = 16 * 1024;
/// The largest emptied buffer that is kept.
const SPARE_BYTES: usize = 4 * 1024;
/// Room for so many segments, and for so many units, is kept.
const KEPT_SEGMENTS: usize = SPARE_BYTES / size_of::<Segment>();
const KEPT_ENDS: usize = SPARE_BYTES / size_of::<u32>();
/// A queue of segments has room for so many when it is first needed.
const FEW_SEGMENTS: usize = 4;

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;

    const NOW: Instant = Instant::from_millis(5);

    fn frame(len: u8) -> Vec<u8> {
        let mut bytes = vec![0x82, len];
        bytes.extend((0..len).map(|i| i ^ len));
        bytes
    }

    fn all(output: &Output) -> Vec<u8> {
        output.iter().flatten().copied().collect()
    }

    #[test]
    fn small_frames_of_one_socket_are_one_slice() {
        let mut output = Output::default();
        for len in 1..10 {
            output.own(NOW, |bytes| bytes.extend(frame(len)));
        }
        assert_eq!(output.iter().count(), 1);
        assert_eq!(output.len(), all(&output).len());
    }

    #[test]
    fn advance_by_any_step_gives_the_same_bytes() {
        for step in 1..40 {
            let mut output = Output::default();
            output.own(NOW, |bytes| bytes.extend(frame(5)));
            output.shared(NOW, &Bytes::from(frame(9)));
            output.own(NOW, |bytes| bytes.extend(frame(3)));
            let whole = all(&output);
            let mut seen = Vec::new();
            while !output.is_empty() {
                let take: Vec<u8> = all(&output).into_iter().take(step).collect();
                assert_eq!(output.advance(NOW, step), take.len());
                seen.extend(take);
            }
            assert_eq!(seen, whole);
            assert_eq!(output.iter().count(), 0);
        }
    }

    #[test]
    fn the_answer_before_the_frames_survives() {
        let answers = b"HTTP/1.1 404 Not Found\r\n\r\nHTTP/1.1 101 Switching Protocols\r\n\r\n";
        for written in 0..answers.len() + 10 {
            let mut output = Output::default();
            output.own(NOW, |bytes| bytes.extend(answers));
            output.seal();
            output.own(NOW, |bytes| bytes.extend(frame(4)));
            output.shared(NOW, &Bytes::from(frame(12)));
            let whole = all(&output);
            output.advance(NOW, written);
            let dropped = output.drop_unstarted();
            let edges = [0, 6, 20].map(|edge| answers.len() + edge);
            let end = edges.into_iter().find(|&edge| edge >= written).unwrap_or(whole.len());
            assert_eq!(all(&output), whole[written..end], "after {written}");
            assert_eq!((output.len(), dropped), (end - written, whole.len() - end));
            output.own(NOW, |bytes| bytes.extend(frame(1)));
            assert_eq!(all(&output).len(), end - written + 3);
        }
    }

    #[test]
    fn only_the_started_frame_survives() {
        for written in 0..30 {
            let mut output = Output::default();
            output.own(NOW, |bytes| {
                bytes.extend(frame(4));
                bytes.extend(frame(7));
            });
            output.shared(NOW, &Bytes::from(frame(12)));
            let whole = all(&output);
            output.advance(NOW, written);
            output.drop_unstarted();
            let edges = [0, 6, 15, 29];
            let end = edges.into_iter().find(|&e| e >= written).unwrap_or(29);
            assert_eq!(all(&output), whole[written.min(29)..end], "after {written}");
            assert_eq!(output.len(), end - written.min(29));
            output.own(NOW, |bytes| bytes.extend(frame(2)));
            assert_eq!(output.last_frame(), Some(&frame(2)[..]));
        }
    }

    #[test]
    fn only_the_started_unit_survives() {
        for sealed in [0, 7] {
            for written in 0..=sealed + 30 {
                let mut output = Output::default();
                if sealed > 0 {
                    output.own(NOW, |bytes| bytes.extend_from_slice(&vec![b's'; sealed]));
                    output.seal();
                }
                for (n, len) in [4, 5, 10, 6, 5].into_iter().enumerate() {
                    let piece = vec![b'a' + n as u8; len];
                    if n == 2 {
                        output.shared(NOW, &Bytes::from(piece));
                    } else {
                        output.unit(NOW, |bytes| bytes.extend_from_slice(&piece));
                    }
                }
                let whole = all(&output);
                output.advance(NOW, written);
                let dropped = output.drop_unstarted_units();
                let edges = [0, 4, 9, 19, 25, 30].map(|edge| sealed + edge);
                let end = edges.into_iter().find(|&edge| edge >= written).unwrap_or(whole.len());
                assert_eq!(all(&output), whole[written..end], "after {written}");
                assert_eq!((output.len(), dropped), (end - written, whole.len() - end));
                output.unit(NOW, |bytes| bytes.push(b'x'));
                assert_eq!(all(&output).len(), end - written + 1);
            }
        }
    }

    #[test]
    fn what_many_units_took_is_given_back() {
        let mut output = Output::default();
        for n in 0..100_000 {
            output.unit(NOW, |bytes| bytes.push(n as u8));
            output.shared(NOW, &Bytes::from_static(b"x"));
        }
        assert!(output.room() > 1 << 20);
        output.trim();
        let whole = all(&output);
        assert_eq!(output.len(), 200_000, "what waits stays");
        output.advance(NOW, 100_000);
        assert_eq!(all(&output), whole[100_000..]);
        output.advance(NOW, 100_000);
        assert!(output.room() > 1 << 20);
        output.trim();
        assert!(output.room() <= 3 * SPARE_BYTES, "{} bytes", output.room());
        output.unit(NOW, |bytes| bytes.push(1));
        assert_eq!(all(&output), [1]);
    }

    /// What is sealed may be units, of an answer before.
    #[test]
    fn units_that_are_sealed_stay_and_are_counted() {
        for written in 0..=40 {
            let mut output = Output::default();
            let unit = |output: &mut Output, byte: u8, len: usize| {
                output.unit(NOW, |bytes| bytes.extend_from_slice(&vec![byte; len]));
            };
            unit(&mut output, b'a', 5);
            unit(&mut output, b'b', 6);
            output.seal();
            unit(&mut output, b'c', 7);
            unit(&mut output, b'd', 8);
            output.advance(NOW, written.min(26));
            output.drop_unstarted_units();
            let edges = [11, 18, 26];
            let end = edges.into_iter().find(|&edge| edge >= written).unwrap_or(26);
            assert_eq!(output.len(), end - written.min(26), "after {written}");
            // What comes then is as of a fresh one.
            let left = output.len();
            output.advance(NOW, left);
            unit(&mut output, b'e', 3);
            unit(&mut output, b'f', 4);
            output.advance(NOW, 1);
            output.drop_unstarted_units();
            assert_eq!(all(&output), b"ee", "after {written}");
        }
    }

    #[test]
    fn only_the_started_frame_and_the_last_one_survive() {
        let head = b"HTTP/1.1 101 Switching Protocols\r\n\r\n";
        for sealed in [&b""[..], head] {
            for shared in [true, false] {
                for written in 0..=sealed.len() + 33 {
                    let mut output = Output::default();
                    if !sealed.is_empty() {
                        output.own(NOW, |bytes| bytes.extend(sealed));
                        output.seal();
                    }
                    output.own(NOW, |bytes| {
                        bytes.extend(frame(4));
                        bytes.extend(frame(7));
                    });
                    if shared {
                        output.shared(NOW, &Bytes::from(frame(12)));
                    } else {
                        output.own(NOW, |bytes| bytes.extend(frame(12)));
                    }
                    output.own(NOW, |bytes| bytes.extend(frame(2)));
                    let whole = all(&output);
                    output.advance(NOW, written);
                    let dropped = output.drop_all_but_last();
                    let edges = [0, 6, 15, 29, 33].map(|edge| sealed.len() + edge);
                    // Nothing of the answer before the frames is dropped, written or not.
                    let begun = edges.into_iter().find(|&edge| edge >= written).unwrap_or(whole.len());
                    let last = edges[3].max(written);
                    let expected = [&whole[written..begun.min(last)], &whole[last..]].concat();
                    assert_eq!(all(&output), expected, "after {written}");
                    assert_eq!((output.len(), dropped), (expected.len(), whole.len() - written - expected.len()));
                }
            }
        }
    }
}
