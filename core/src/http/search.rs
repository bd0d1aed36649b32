//! Finding the end of a head as its bytes come in.

use memchr::memchr;

use super::grammar::is_tchar;
use super::limits::Limits;
use super::refusal::Refusal;

/// Looks for the blank line that ends a head and remembers how far it looked, so that a head that comes in one byte at
/// a time costs no more than one that comes whole.
///
/// What can be refused early is refused early: a peer that speaks something else (a TLS hello, an SSH banner) has not to
/// be waited for, and no limit is passed before it is noticed. One search serves one head.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HeadSearch {
    /// Bytes that need not be looked at again.
    searched: usize,
    /// Where the present line begins.
    line: usize,
    /// Lines that count for HEAD_LINES.
    lines: usize,
    part: Part,
    method: usize,
    target: usize,
    version: usize,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Part {
    /// Before the request line, where empty lines are let pass: RFC 9112 section 2.2.
    #[default]
    Start,
    /// After the CR of such a line.
    StartCr,
    Method,
    Target,
    Version,
    /// The request line is whole.
    Fields,
}

impl HeadSearch {
    /// Looks on. `bytes` is everything that came since the first byte of this head; the answer is the length of the
    /// head, blank line included, once that is there.
    ///
    /// # Errors
    /// [`Refusal::Malformed`], [`Refusal::Version`], [`Refusal::HeadBytes`], [`Refusal::HeadLines`] or
    /// [`Refusal::TargetBytes`], with the first byte that makes it certain. The search is of no further use then.
    pub fn find(&mut self, bytes: &[u8], limits: &Limits) -> Result<Option<usize>, Refusal> {
        let within = bytes.get(..limits.head_bytes).unwrap_or(bytes);
        while self.part != Part::Fields {
            if self.part == Part::Target {
                self.skip_target(within, limits);
            } else if self.part == Part::Version && self.skip_version(within) {
                break;
            }
            let Some(&byte) = within.get(self.searched) else { break };
            self.request_line(byte, within, limits)?;
            self.searched += 1;
        }
        if self.part == Part::Fields
            && let Some(end) = self.fields(within, limits)?
        {
            return Ok(Some(end));
        }
        if bytes.len() >= limits.head_bytes { Err(Refusal::HeadBytes) } else { Ok(None) }
    }

    /// Header lines, without and with those before the request line, that were found.
    pub(super) fn lines(&self) -> usize {
        self.lines
    }

    /// Where method, target and version begin, once the request line is whole.
    pub(super) fn parts(&self) -> (usize, usize, usize) {
        (self.method, self.target, self.version)
    }

    /// Goes to the first byte that may end the target, or pass its limit.
    fn skip_target(&mut self, bytes: &[u8], limits: &Limits) {
        let end = bytes.len().min(self.target.saturating_add(limits.target_bytes));
        let Some(rest) = bytes.get(self.searched..end) else { return };
        let run = rest.get(..memchr(b' ', rest).unwrap_or(rest.len())).unwrap_or(rest);
        // The whole run is looked at, which is quicker than to stop where it is found to be no target.
        let fits = run.iter().fold(true, |fits, &byte| fits & is_target_byte(byte));
        self.searched += if fits { run.len() } else { run.iter().take_while(|byte| is_target_byte(**byte)).count() };
    }

    /// Goes behind the version that nearly every request has.
    fn skip_version(&mut self, bytes: &[u8]) -> bool {
        let skips = self.searched == self.version
            && bytes.get(self.searched..).is_some_and(|rest| rest.starts_with(b"HTTP/1.1\r\n"));
        if skips {
            self.searched += VERSION.len();
            self.line = self.searched;
            self.part = Part::Fields;
        }
        skips
    }

    fn request_line(&mut self, byte: u8, bytes: &[u8], limits: &Limits) -> Result<(), Refusal> {
        let at = self.searched;
        self.part = match (self.part, byte) {
            (Part::Start, b'\r') => Part::StartCr,
            (Part::StartCr, b'\n') => {
                self.count_line(limits)?;
                Part::Start
            }
            (Part::Start, _) if is_tchar(byte) => {
                self.method = at;
                Part::Method
            }
            (Part::Method, b' ') => {
                self.target = at + 1;
                Part::Target
            }
            (Part::Method, _) if is_tchar(byte) && at - self.method < METHOD_BYTES => Part::Method,
            (Part::Target, b' ') if at > self.target => {
                self.version = at + 1;
                Part::Version
            }
            (Part::Target, _) if is_target_byte(byte) => {
                if at - self.target >= limits.target_bytes {
                    return Err(Refusal::TargetBytes);
                }
                Part::Target
            }
            (Part::Version, _) => self.version_byte(byte, bytes)?,
            _ => return Err(Refusal::Malformed),
        };
        Ok(())
    }

    fn version_byte(&mut self, byte: u8, bytes: &[u8]) -> Result<Part, Refusal> {
        match (VERSION.get(self.searched - self.version), byte) {
            (Some(b'd'), b'0'..=b'9') => Ok(Part::Version),
            (Some(b'\n'), b'\n') => {
                self.line = self.searched + 1;
                match bytes.get(self.method..self.searched) {
                    Some([.., b'1', b'.', b'0' | b'1', b'\r']) => Ok(Part::Fields),
                    // The preface of HTTP/2, RFC 9113 section 3.4, was made to be refused as malformed.
                    Some(b"PRI * HTTP/2.0\r") => Err(Refusal::Malformed),
                    _ => Err(Refusal::Version),
                }
            }
            (Some(&expected), _) if expected != b'd' && expected == byte => Ok(Part::Version),
            _ => Err(Refusal::Malformed),
        }
    }

    fn fields(&mut self, within: &[u8], limits: &Limits) -> Result<Option<usize>, Refusal> {
        while let Some(found) = within.get(self.searched..).and_then(|rest| memchr(b'\n', rest)) {
            let end = self.searched + found;
            // RFC 9112 section 2.2 lets a recipient take a bare LF; not every one on the way does, so it is refused.
            let Some([line @ .., b'\r']) = within.get(self.line..end) else { return Err(Refusal::Malformed) };
            self.searched = end + 1;
            self.line = end + 1;
            if line.is_empty() {
                return Ok(Some(end + 1));
            }
            self.count_line(limits)?;
        }
        self.searched = self.searched.max(within.len());
        Ok(None)
    }

    fn count_line(&mut self, limits: &Limits) -> Result<(), Refusal> {
        self.lines += 1;
        if self.lines > limits.head_lines { Err(Refusal::HeadLines) } else { Ok(()) }
    }
}

/// What a target may consist of, as far as the end of the line is concerned.
const fn is_target_byte(byte: u8) -> bool {
    byte > b' ' && byte != 0x7f
}

/// No registered method is longer than UPDATEREDIRECTREF.
const METHOD_BYTES: usize = 32;

/// What the end of a request line looks like; `d` is a digit.
const VERSION: &[u8] = b"HTTP/d.d\r\n";

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;
    use proptest::prelude::*;

    type Found = Result<Option<usize>, Refusal>;

    /// As `find` answers when the bytes come in pieces that end at `cuts`.
    fn fed(bytes: &[u8], cuts: impl IntoIterator<Item = usize>, limits: &Limits) -> Found {
        let mut search = HeadSearch::default();
        for cut in cuts.into_iter().chain([bytes.len()]) {
            match search.find(&bytes[..cut.min(bytes.len())], limits) {
                Ok(None) => {}
                found => return found,
            }
        }
        Ok(None)
    }

    fn find(bytes: &[u8]) -> Found {
        let whole = fed(bytes, [], &Limits::default());
        assert_eq!(fed(bytes, 0..bytes.len(), &Limits::default()), whole, "byte by byte");
        whole
    }

    /// A head of exactly so many bytes.
    fn head_of(bytes: usize) -> Vec<u8> {
        let mut head = b"GET / HTTP/1.1\r\nHost: a\r\nX: ".to_vec();
        head.resize(bytes - 4, b'x');
        head.extend_from_slice(b"\r\n\r\n");
        head
    }

    #[test]
    fn finds_the_end() {
        assert_eq!(find(b"GET / HTTP/1.1\r\n\r\n"), Ok(Some(18)));
        assert_eq!(find(b"GET / HTTP/1.0\r\nHost: a\r\n\r\n\x81\x80frames"), Ok(Some(27)), "H10");
        assert_eq!(find(b"\r\n\r\nGET / HTTP/1.1\r\n\r\n"), Ok(Some(22)));
        assert_eq!(find(b""), Ok(None));
        assert_eq!(find(b"GET / HTTP/1.1\r\n\r"), Ok(None));
    }

    #[test]
    fn h01_bounds_the_bytes_of_a_head() {
        let limits = Limits::default();
        let fits = head_of(limits.head_bytes);
        let over = head_of(limits.head_bytes + 1);
        assert_eq!(fed(&fits, [], &limits), Ok(Some(fits.len())));
        assert_eq!(fed(&over, [], &limits), Err(Refusal::HeadBytes));
        assert_eq!(fed(&over, 0..over.len(), &limits), Err(Refusal::HeadBytes));
        // Noticed when the limit is reached, not when the blank line comes at last.
        assert_eq!(fed(&over[..limits.head_bytes - 1], [], &limits), Ok(None));
        assert_eq!(fed(&over[..limits.head_bytes], [], &limits), Err(Refusal::HeadBytes));
    }

    #[test]
    fn h02_bounds_the_lines_of_a_head() {
        let limits = Limits { head_lines: 3, ..Limits::default() };
        let head = |before: &str, lines| [before, "GET / HTTP/1.1\r\n", &"a:\r\n".repeat(lines), "\r\n"].concat();
        assert!(matches!(fed(head("", 3).as_bytes(), [], &limits), Ok(Some(_))));
        assert_eq!(fed(head("", 4).as_bytes(), [], &limits), Err(Refusal::HeadLines));
        assert!(matches!(fed(head("\r\n", 2).as_bytes(), [], &limits), Ok(Some(_))));
        assert_eq!(fed(head("\r\n", 3).as_bytes(), [], &limits), Err(Refusal::HeadLines));
        assert_eq!(fed("\r\n".repeat(4).as_bytes(), [], &limits), Err(Refusal::HeadLines));
        let early = "GET / HTTP/1.1\r\na:\r\na:\r\na:\r\na:\r\n";
        assert_eq!(fed(early.as_bytes(), [], &limits), Err(Refusal::HeadLines), "before the head ends");
    }

    #[test]
    fn h03_bounds_the_target() {
        let limits = Limits::default();
        let line = |len| ["GET /", &"a".repeat(len - 1), " HTTP/1.1\r\n\r\n"].concat();
        assert!(matches!(fed(line(limits.target_bytes).as_bytes(), [], &limits), Ok(Some(_))));
        let over = line(limits.target_bytes + 1);
        assert_eq!(fed(over.as_bytes(), [], &limits), Err(Refusal::TargetBytes));
        let first = "GET ".len() + limits.target_bytes + 1;
        assert_eq!(
            fed(&over.as_bytes()[..first], [], &limits),
            Err(Refusal::TargetBytes),
            "at the first byte too many"
        );
        assert_eq!(fed(&over.as_bytes()[..first - 1], [], &limits), Ok(None));
    }

    /// A search that began anew with each byte would look at 16 KiB / 2 * 16 KiB bytes.
    #[test]
    fn h04_looks_at_each_byte_once() {
        let head = head_of(Limits::default().head_bytes);
        let mut search = HeadSearch::default();
        for end in 1..head.len() {
            let before = search.searched;
            assert_eq!(search.find(&head[..end], &Limits::default()), Ok(None));
            assert_eq!((before, search.searched), (end - 1, end));
        }
    }

    #[test]
    fn h06_refuses_bare_line_ends_at_once() {
        for bad in ["\n", "\rG", "GET / HTTP/1.1\n", "GET / HTTP/1.1\r\n\n", "GET / HTTP/1.1\r\na: b\n", "GET /\n"] {
            assert_eq!(find(bad.as_bytes()), Err(Refusal::Malformed), "{bad:?}");
        }
    }

    #[test]
    fn h14_h24_refuses_what_is_no_request_line() {
        for bad in [
            &b"PRI * HTTP/2.0\r\n"[..],
            b"\x16\x03\x01\x02\x00\x01",
            b"SSH-2.0-OpenSSH_9.6\r\n",
            b"\0",
            b" ",
            b"GET  / HTTP/1.1\r\n",
            b"GET /\r\n",
            b"GET / \r\n",
            b"GET / HTTP/1.1 \r\n",
            b"GET / HTTP/1.11\r\n",
            b"GET / HTTP/d.d\r\n",
            b"GET / http/1.1\r\n",
            b"GET /\x7f",
            b"GET /\t",
            b"GET(",
            b"\xff",
        ] {
            assert_eq!(find(bad), Err(Refusal::Malformed), "{}", bad.escape_ascii());
        }
        for (line, expected) in
            [("HTTP/2.0", Refusal::Version), ("HTTP/1.2", Refusal::Version), ("HTTP/0.9", Refusal::Version)]
        {
            assert_eq!(find(["GET / ", line, "\r\n"].concat().as_bytes()), Err(expected));
        }
        assert_eq!(find(&b"A".repeat(METHOD_BYTES)), Ok(None));
        assert_eq!(find(&b"A".repeat(METHOD_BYTES + 1)), Err(Refusal::Malformed));
    }

    proptest! {
        #[test]
        fn any_split_finds_the_same(bytes in any_head(), cuts in proptest::collection::vec(0..400_usize, 0..6)) {
            let limits = Limits { head_bytes: 200, head_lines: 4, target_bytes: 20, ..Limits::default() };
            let whole = fed(&bytes, [], &limits);
            let mut cuts = cuts;
            cuts.sort_unstable();
            prop_assert_eq!(fed(&bytes, cuts, &limits), whole);
            prop_assert_eq!(fed(&bytes, 0..bytes.len(), &limits), whole);
        }
    }

    /// Pieces of heads, well and badly put together.
    fn any_head() -> impl Strategy<Value = Vec<u8>> {
        let pieces = proptest::sample::select(
            &[
                "GET ",
                "/",
                "/abcdefghij",
                " HTTP/1.1\r\n",
                " HTTP/1.0\r\n",
                "\r\n",
                "Host: a\r\n",
                "\r",
                "\n",
                "a: b",
                ":",
                "\0",
                "é",
            ][..],
        );
        (any::<bool>(), proptest::collection::vec(pieces, 0..24)).prop_map(|(good, pieces)| {
            [if good { "GET / HTTP/1.1\r\n" } else { "" }, &pieces.concat()].concat().into_bytes()
        })
    }
}
