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
            (Part::Target, _) if byte > b' ' && byte != 0x7f => {
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

/// No registered method is longer than UPDATEREDIRECTREF.
const METHOD_BYTES: usize = 32;

/// What the end of a request line looks like; `d` is a digit.
const VERSION: &[u8] = b"HTTP/d.d\r\n";
