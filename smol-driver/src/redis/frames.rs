//! Where each reply ends: found before anything is built from what a reply claims to be.
//!
//! The `redis` crate reads a value once it is whole. Until then only its lengths are looked at, each byte once, and each
//! length is held against a limit, so that a hostile or broken server costs a connection and not the memory.

use redis::Value;

/// What a reply may be. Beyond it the connection is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ReplyLimits {
    /// BULK: bytes of one string.
    pub(crate) bulk: usize,
    /// ARRAY: elements of one array.
    pub(crate) array: usize,
    /// DEPTH: arrays within arrays.
    pub(crate) depth: usize,
}

/// What came is no reply, or more than one may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Broken {
    #[error("a reply holds a string over the limit BULK")]
    Bulk,
    #[error("a reply holds an array over the limit ARRAY")]
    Array,
    #[error("a reply's arrays are nested deeper than the limit DEPTH")]
    Depth,
    #[error("a reply is over {REPLY_BYTES} bytes")]
    Reply,
    #[error("what came is not the protocol of Redis")]
    Form,
}

/// Bytes as they came in, and how far they were looked at.
#[derive(Debug)]
pub(crate) struct Frames {
    limits: ReplyLimits,
    buffer: Vec<u8>,
    /// Where the reply begins that is being received.
    start: usize,
    /// Where its next part begins.
    at: usize,
    /// Up to here no line ends.
    looked: usize,
    /// Until so many bytes are there, nothing is to be looked at.
    need: usize,
    /// How many elements are still to come, of each array that is open.
    open: Vec<usize>,
    /// How many elements this reply has announced.
    elements: usize,
}

impl Frames {
    pub(crate) fn new(limits: ReplyLimits) -> Self {
        Self { limits, buffer: Vec::new(), start: 0, at: 0, looked: 0, need: 0, open: Vec::new(), elements: 0 }
    }

    /// Takes in what was read.
    pub(crate) fn feed(&mut self, bytes: &[u8]) {
        if self.start == self.buffer.len() {
            if self.buffer.capacity() > KEEP_BYTES {
                self.buffer = Vec::new();
            }
            self.buffer.clear();
            (self.start, self.at, self.looked, self.need) = (0, 0, 0, 0);
        } else if self.start >= COMPACT_BYTES {
            self.buffer.drain(..self.start);
            self.at -= self.start;
            self.looked -= self.start;
            self.need = self.need.saturating_sub(self.start);
            self.start = 0;
        }
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole reply, if there is one. After an error the connection is of no use.
    pub(crate) fn next(&mut self) -> Result<Option<Value>, Broken> {
        if !self.is_whole()? {
            let waiting = self.buffer.len() - self.start;
            return if waiting > REPLY_BYTES { Err(Broken::Reply) } else { Ok(None) };
        }
        let value = redis::parse_redis_value(&self.buffer[self.start..self.at]).map_err(|_| Broken::Form)?;
        self.start = self.at;
        self.elements = 0;
        Ok(Some(value))
    }

    /// Looks at what is new, until a reply ends at `at`.
    fn is_whole(&mut self) -> Result<bool, Broken> {
        while self.buffer.len() >= self.need
            && let Some(line_end) = self.line_end()?
        {
            let [kind, text @ ..] = &self.buffer[self.at..line_end - 2] else { return Err(Broken::Form) };
            let end = match kind {
                b'+' | b'-' => line_end,
                b':' => number(text).map(|_| line_end)?,
                b'$' => match length(text)? {
                    Some(len) if len > self.limits.bulk => return Err(Broken::Bulk),
                    Some(len) => line_end + len + 2,
                    None => line_end,
                },
                b'*' => match length(text)? {
                    Some(len) if self.elements.saturating_add(len) > self.limits.array => return Err(Broken::Array),
                    Some(_) if self.open.len() >= self.limits.depth => return Err(Broken::Depth),
                    Some(len @ 1..) => {
                        self.elements += len;
                        self.open.push(len);
                        self.advance(line_end);
                        continue;
                    }
                    Some(0) | None => line_end,
                },
                _ => return Err(Broken::Form),
            };
            if self.buffer.len() < end {
                self.need = end;
                return Ok(false);
            }
            if !self.buffer[..end].ends_with(b"\r\n") {
                return Err(Broken::Form);
            }
            self.advance(end);
            if self.close() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn advance(&mut self, to: usize) {
        (self.at, self.looked, self.need) = (to, to, to + 1);
    }

    /// One value is over. Whether the whole reply is.
    fn close(&mut self) -> bool {
        while let Some(left) = self.open.last_mut() {
            *left -= 1;
            if *left > 0 {
                return false;
            }
            self.open.pop();
        }
        true
    }

    /// Where the line at `at` ends, its CR LF included.
    fn line_end(&mut self) -> Result<Option<usize>, Broken> {
        let Some(i) = self.buffer[self.looked..].iter().position(|&b| b == b'\n') else {
            self.looked = self.buffer.len();
            return if self.looked - self.at > LINE_BYTES { Err(Broken::Form) } else { Ok(None) };
        };
        let end = self.looked + i + 1;
        if end - self.at > LINE_BYTES || !self.buffer[self.at..end].ends_with(b"\r\n") {
            return Err(Broken::Form);
        }
        // Should it be looked for again, while its string is still to come.
        self.looked = end - 1;
        Ok(Some(end))
    }
}

/// A length; `None` is Redis' -1, for what is not there.
fn length(text: &[u8]) -> Result<Option<usize>, Broken> {
    match number(text)? {
        -1 => Ok(None),
        len => usize::try_from(len).map(Some).map_err(|_| Broken::Form),
    }
}

/// A length, or an integer.
fn number(text: &[u8]) -> Result<i64, Broken> {
    let text = std::str::from_utf8(text).map_err(|_| Broken::Form)?;
    let digits = text.strip_prefix('-').unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(Broken::Form);
    }
    text.parse().map_err(|_| Broken::Form)
}

/// Bytes of a line: an error's text is the longest.
const LINE_BYTES: usize = 4 * 1024;
/// Bytes of a reply. What is asked for is far below.
const REPLY_BYTES: usize = 16 << 20;
/// So many bytes that were read are dropped at a time.
const COMPACT_BYTES: usize = 64 * 1024;
/// A larger buffer is not kept.
const KEEP_BYTES: usize = 256 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: ReplyLimits = ReplyLimits { bulk: 10, array: 6, depth: 3 };

    fn all(bytes: &[u8], chunk: usize) -> Result<Vec<Value>, Broken> {
        let mut frames = Frames::new(LIMITS);
        let mut values = Vec::new();
        for chunk in bytes.chunks(chunk) {
            frames.feed(chunk);
            while let Some(value) = frames.next()? {
                values.push(value);
            }
        }
        Ok(values)
    }

    fn bulk(text: &str) -> Value {
        Value::BulkString(text.into())
    }

    #[test]
    fn replies_are_found_however_they_are_cut() {
        let bytes = b"+OK\r\n:-7\r\n$3\r\na\r\n\r\n$-1\r\n*-1\r\n*0\r\n*2\r\n$0\r\n\r\n*2\r\n:1\r\n-ERR no\r\n$10\r\n0123456789\r\n";
        let whole = all(bytes, bytes.len()).expect("well-formed");
        assert_eq!(whole.len(), 8);
        assert_eq!(whole[..4], [Value::Okay, Value::Int(-7), bulk("a\r\n"), Value::Nil]);
        let Value::Array(outer) = &whole[6] else { panic!("{whole:?}") };
        assert!(matches!(&outer[1], Value::Array(inner) if matches!(inner[1], Value::ServerError(_))), "{outer:?}");
        assert_eq!(whole[7], bulk("0123456789"));
        for chunk in 1..bytes.len() {
            assert_eq!(all(bytes, chunk), Ok(whole.clone()), "in pieces of {chunk}");
        }
    }

    #[test]
    fn r17_each_limit_holds_and_one_below_passes() {
        for (bytes, outcome) in [
            (&b"$10\r\n"[..], None),
            (b"$11\r\n", Some(Broken::Bulk)),
            (b"$4611686018427387904\r\n", Some(Broken::Bulk)),
            (b"*6\r\n", None),
            (b"*7\r\n", Some(Broken::Array)),
            (b"*4611686018427387904\r\n", Some(Broken::Array)),
            // Elements count over the whole reply.
            (b"*3\r\n*3\r\n", None),
            (b"*3\r\n*4\r\n", Some(Broken::Array)),
            (b"*1\r\n*1\r\n*1\r\n", None),
            (b"*1\r\n*1\r\n*1\r\n*1\r\n", Some(Broken::Depth)),
        ] {
            let shown = String::from_utf8_lossy(bytes);
            assert_eq!(all(bytes, bytes.len()).err(), outcome, "{shown}");
            assert_eq!(all(bytes, 1).err(), outcome, "{shown}");
        }
    }

    #[test]
    fn r17_what_is_no_reply_is_refused_at_once() {
        for bytes in [
            &b"HTTP/1.1 400 Bad Request\r\n"[..],
            b"\r\n",
            b"\n",
            b"$-2\r\n",
            b"*-2\r\n",
            b"$1a\r\n",
            b"$+1\r\n",
            b"$\r\n",
            b":\r\n",
            b":1.5\r\n",
            b":99999999999999999999\r\n",
            b"$18446744073709551616\r\n",
            b"+OK\n",
            b"$1\r\nabc",
            b"%1\r\n",
            b">2\r\n",
        ] {
            let shown = String::from_utf8_lossy(bytes);
            assert_eq!(all(bytes, bytes.len()), Err(Broken::Form), "{shown}");
            assert_eq!(all(bytes, 1), Err(Broken::Form), "{shown}");
        }
        assert_eq!(all(&[b'+'; LINE_BYTES + 2], 100), Err(Broken::Form), "a line without an end");
    }

    #[test]
    fn a_reply_as_a_whole_is_bounded() {
        let limits = ReplyLimits { bulk: 1 << 20, array: 65_536, depth: 8 };
        let mut frames = Frames::new(limits);
        frames.feed(b"*100\r\n");
        let element = [b"$1048576\r\n".as_slice(), &vec![b'x'; 1 << 20], b"\r\n"].concat();
        let fed = (0..100).take_while(|_| {
            frames.feed(&element);
            frames.next() == Ok(None)
        });
        assert_eq!(fed.count(), REPLY_BYTES / element.len());
    }

    #[test]
    fn what_was_read_is_dropped() {
        let limits = ReplyLimits { bulk: 1 << 20, array: 6, depth: 3 };
        let mut frames = Frames::new(limits);
        let one = [b"$100000\r\n".as_slice(), &[b'x'; 100_000], b"\r\n"].concat();
        let many = one.repeat(50);
        let mut values = 0;
        for chunk in many.chunks(70_000) {
            frames.feed(chunk);
            while let Some(value) = frames.next().expect("well-formed") {
                assert!(matches!(value, Value::BulkString(text) if text.len() == 100_000));
                values += 1;
            }
        }
        assert_eq!(values, 50);
        assert!(frames.buffer.len() < 500_000, "{}", frames.buffer.len());
    }
}
