//! [`Decoder`]: bytes to frames.

use alloc::vec::Vec;

use super::head::{self, Head, Role};
use super::{Command, Frame, Limits, Malformed, Version};

/// What [`Decoder::next`] found.
#[derive(Debug, Clone, Copy)]
pub enum Item<'a> {
    /// A whole frame.
    Frame(Frame<'a>),
    /// One line end between frames. Also the one that many clients write behind a frame.
    HeartBeat,
}

/// Reads frames out of the bytes of one conversation, however these are cut up. Each byte is searched once.
///
/// It keeps its place, and no bytes: those of an unfinished frame are in a buffer of the caller's, which an idle client does not need.
///
/// ```
/// use tethered_core::stomp::{Command, Decoder, Item, Limits, Version};
///
/// let (mut decoder, limits, mut partial) = (Decoder::server(), Limits::default(), Vec::new());
/// for mut input in [&b"CONNECT\naccept-version:1.2\n\n\0SEND\ndesti"[..], b"nation:/topic/a\n\nhello\0\n"] {
///     while let Some(item) = decoder.next(&limits, &mut input, &mut partial)? {
///         match item {
///             Item::Frame(frame) if frame.command().is_connect() => decoder.set_version(Version::V1_2),
///             Item::Frame(frame) => {
///                 assert_eq!(frame.command(), Command::Send);
///                 assert_eq!(frame.header("destination").as_deref(), Some("/topic/a"));
///                 assert_eq!(frame.body(), b"hello");
///             }
///             Item::HeartBeat => {}
///         }
///     }
/// }
/// assert_eq!(partial.capacity(), 0);
/// # Ok::<(), tethered_core::stomp::Malformed>(())
/// ```
#[derive(Debug)]
pub struct Decoder {
    /// Bytes of the unfinished frame that were searched; 0 between frames.
    seen: u32,
    /// Bytes of its head with the blank line, once that was found.
    head: u32,
    /// Bytes of the whole frame, where a `content-length` tells; else 0.
    end: u32,
    /// Whole lines of the head: the command, then headers.
    lines: u32,
    /// Bytes of the line that is being read, without its line end.
    line: u32,
    /// Of the unfinished frame, once its head was found.
    command: Command,
    version: Version,
    role: Role,
    /// The last byte was a CR, so that this one has to be an LF.
    cr: bool,
    /// `partial` holds the frame that was handed out last.
    lent: bool,
    /// `partial` holds the receipt of the frame that was malformed.
    receipt: bool,
    malformed: Option<Malformed>,
}

const _: () = assert!(size_of::<Decoder>() <= 32);

impl Decoder {
    /// For a server: takes the commands of clients.
    pub const fn server() -> Self {
        Self::new(Role::Server)
    }

    /// For a client: takes the commands of servers.
    pub const fn client() -> Self {
        Self::new(Role::Client)
    }

    const fn new(role: Role) -> Self {
        Self {
            seen: 0,
            head: 0,
            end: 0,
            lines: 0,
            line: 0,
            command: Command::Connect,
            version: Version::V1_0,
            role,
            cr: false,
            lent: false,
            receipt: false,
            malformed: None,
        }
    }

    /// Whether it holds nothing that a new one of the same version would not: it can then be forgotten and made anew for
    /// the next bytes, so that an idle client keeps none.
    pub const fn is_between_frames(&self) -> bool {
        self.seen == 0 && !self.cr && !self.receipt && self.malformed.is_none()
    }

    /// The version that was agreed upon; holds for the next frame on. Until then 1.0 is spoken, as a CONNECT always is.
    pub const fn set_version(&mut self, version: Version) {
        self.version = version;
    }

    /// The version that frames are read by.
    pub const fn version(&self) -> Version {
        self.version
    }

    /// The next frame or heart-beat of `input`, which is moved on behind it; `None` once `input` is used up.
    ///
    /// A frame that lies in `input` whole is lent from there. Of one that does not, the bytes so far go into `partial`: at most
    /// [`Limits::frame_bytes`], and no more is ever reserved. `partial` belongs to this decoder alone and starts out empty; after `None` it is
    /// empty and without capacity unless a frame is unfinished.
    ///
    /// # Errors
    /// [`Malformed`], by the byte that breaks a rule or, for rules on lines of the head, as soon as the head is whole. It is final: the same
    /// error is all that comes from then on, and [`receipt`](Self::receipt) tells which frame it was.
    #[expect(
        single_use_lifetimes,
        reason = "with one lifetime `partial` would be borrowed for as long as the input lives"
    )]
    pub fn next<'a, 'b: 'a>(
        &mut self,
        limits: &Limits,
        input: &mut &'b [u8],
        partial: &'a mut Vec<u8>,
    ) -> Result<Option<Item<'a>>, Malformed> {
        if let Some(malformed) = self.malformed {
            return Err(malformed);
        }
        if self.lent {
            self.lent = false;
            partial.clear();
        }
        if self.seen == 0 {
            match self.line_end(input) {
                Ok(true) => return Ok(Some(Item::HeartBeat)),
                Ok(false) if input.is_empty() => {
                    *partial = Vec::new();
                    return Ok(None);
                }
                Ok(false) => {}
                Err(malformed) => return Err(self.fail(malformed, &[], 0, partial)),
            }
        }
        let (data, before) = (*input, partial.len());
        debug_assert_eq!(before, self.seen as usize, "`partial` is of another decoder");
        match self.scan(limits, data, partial) {
            Ok(Search::Unfinished) => {
                gather(limits, partial, &data[partial.len() - before..]);
                *input = &[];
                Ok(None)
            }
            Ok(Search::Whole(lines)) => {
                let (used, rest) = data.split_at(self.seen as usize - before);
                *input = rest;
                let frame = if before == 0 {
                    used
                } else {
                    gather(limits, partial, &used[partial.len() - before..]);
                    self.lent = true;
                    &partial[..]
                };
                Ok(Some(Item::Frame(self.finish(frame, lines))))
            }
            Err(malformed) => Err(self.fail(malformed, data, before, partial)),
        }
    }

    /// After [`Malformed`]: the `receipt` header of the frame that was malformed, if it came that far. `partial` has to be the buffer that
    /// [`next`](Self::next) was last given.
    pub fn receipt<'p>(&self, partial: &'p [u8]) -> Option<&'p str> {
        if self.receipt { core::str::from_utf8(partial).ok() } else { None }
    }

    /// Takes one line end between frames. A CR that waits for its LF is remembered, not kept.
    fn line_end(&mut self, input: &mut &[u8]) -> Result<bool, Malformed> {
        while let Some((&byte, rest)) = input.split_first() {
            match byte {
                b'\n' => {
                    self.cr = false;
                    *input = rest;
                    return Ok(true);
                }
                _ if self.cr => return Err(Malformed::BareCarriageReturn),
                b'\r' => {
                    self.cr = true;
                    *input = rest;
                }
                _ => break,
            }
        }
        Ok(false)
    }

    /// Searches `data`, which follows `seen` bytes of the frame. Those are in `partial`, if there are any.
    fn scan<'b>(&mut self, limits: &Limits, data: &'b [u8], partial: &mut Vec<u8>) -> Result<Search<'b>, Malformed> {
        let before = self.seen as usize;
        let mut lines = None;
        if self.head == 0 {
            if !self.scan_head(limits, data)? {
                return Ok(Search::Unfinished);
            }
            let used = &data[..self.seen as usize - before];
            let head = if before == 0 {
                let head = Head::parse(used, self.role, self.version)?;
                lines = Some(head.lines);
                head
            } else {
                gather(limits, partial, used);
                Head::parse(partial, self.role, self.version)?
            };
            self.head = self.seen;
            self.command = head.command;
            self.announce(limits, head.content_length)?;
        }
        let body = &data[self.seen as usize - before..];
        Ok(if self.scan_body(limits, body)? { Search::Whole(lines) } else { Search::Unfinished })
    }

    /// Goes on to the end of the blank line, if that is in `data`.
    fn scan_head(&mut self, limits: &Limits, mut data: &[u8]) -> Result<bool, Malformed> {
        while !data.is_empty() {
            let room = limits.header_bytes.min(frame_bytes(limits)).saturating_sub(self.seen as usize);
            if room == 0 {
                let frame_first = frame_bytes(limits) <= limits.header_bytes;
                return Err(if frame_first { Malformed::FrameTooLarge } else { Malformed::HeadTooLarge });
            }
            let window = &data[..data.len().min(room)];
            let found = memchr::memchr3(b'\n', b'\r', 0, window);
            let text = found.unwrap_or(window.len());
            if self.cr && found.is_none_or(|at| at > 0 || window[at] != b'\n') {
                return Err(Malformed::BareCarriageReturn);
            }
            if self.lines == 0 && self.line as usize + text > limits.command_bytes {
                return Err(Malformed::CommandUnknown);
            }
            self.seen += text as u32;
            self.line += text as u32;
            data = &data[text..];
            let Some((&byte, rest)) = data.split_first().filter(|_| found.is_some()) else { continue };
            match byte {
                0 => return Err(Malformed::NulInHead),
                b'\r' => self.cr = true,
                _ if self.line == 0 => {
                    self.seen += 1;
                    return Ok(true);
                }
                _ => {
                    self.cr = false;
                    self.line = 0;
                    self.lines += 1;
                }
            }
            self.seen += 1;
            data = rest;
            if self.lines as usize > limits.headers.saturating_add(1) {
                return Err(Malformed::HeadersTooMany);
            }
        }
        Ok(false)
    }

    /// Holds what the head says of the body against the rules, before any of it is read.
    fn announce(&mut self, limits: &Limits, content_length: Option<u32>) -> Result<(), Malformed> {
        let Some(length) = content_length else { return Ok(()) };
        if length > 0 && !self.command.has_body() {
            return Err(Malformed::BodyNotAllowed);
        }
        let end = u64::from(self.head) + u64::from(length) + 1;
        if end > frame_bytes(limits) as u64 {
            return Err(Malformed::FrameTooLarge);
        }
        self.end = end as u32;
        Ok(())
    }

    /// Goes on to the NUL that ends the frame, if that is in `data`.
    fn scan_body(&mut self, limits: &Limits, data: &[u8]) -> Result<bool, Malformed> {
        let Some(&first) = data.first() else { return Ok(false) };
        if self.end > 0 {
            let last = (self.end - self.seen) as usize - 1;
            let nul = data.get(last).copied();
            self.seen += data.len().min(last) as u32;
            return match nul {
                None => Ok(false),
                Some(0) => {
                    self.seen = self.end;
                    Ok(true)
                }
                Some(_) => Err(Malformed::ContentLengthWrong),
            };
        }
        if first != 0 && !self.command.has_body() {
            return Err(Malformed::BodyNotAllowed);
        }
        let room = frame_bytes(limits) - self.seen as usize;
        let window = &data[..data.len().min(room)];
        let nul = memchr::memchr(0, window);
        self.seen += nul.map_or(window.len(), |at| at + 1) as u32;
        if nul.is_none() && data.len() > room { Err(Malformed::FrameTooLarge) } else { Ok(nul.is_some()) }
    }

    /// The frame, all of whose bytes are `frame`; ready for the next one.
    fn finish<'a>(&mut self, frame: &'a [u8], lines: Option<&'a str>) -> Frame<'a> {
        let (head, body) = frame.split_at(self.head as usize);
        let lines = lines.unwrap_or_else(|| head::checked_lines(head));
        (self.seen, self.head, self.end, self.lines, self.line, self.cr) = (0, 0, 0, 0, 0, false);
        Frame::new(self.command, self.command.escapes(self.version), lines, &body[..body.len() - 1])
    }

    /// Ends it all, but for the receipt of the frame that broke a rule: it is looked for in as much of the head as came before that, so that
    /// it is found or not whichever way the bytes were cut up.
    fn fail(&mut self, malformed: Malformed, data: &[u8], before: usize, partial: &mut Vec<u8>) -> Malformed {
        self.malformed = Some(malformed);
        if before > 0 && self.head == 0 {
            partial.extend_from_slice(&data[partial.len() - before..self.seen as usize - before]);
        }
        let so_far = if before > 0 { &partial[..] } else { &data[..self.seen as usize] };
        let head = if self.head > 0 { &so_far[..self.head as usize] } else { so_far };
        let receipt = if self.role == Role::Server { head::receipt(head, self.version) } else { None };
        self.receipt = receipt.is_some();
        *partial = receipt.unwrap_or_default().into_bytes();
        malformed
    }
}

impl Default for Decoder {
    fn default() -> Self {
        Self::server()
    }
}

/// Where a search came to.
enum Search<'b> {
    Unfinished,
    /// At the frame's end; with its header lines, if these were found in the same input.
    Whole(Option<&'b str>),
}

/// The limit, as `u32` can hold it.
fn frame_bytes(limits: &Limits) -> usize {
    limits.frame_bytes.min(u32::MAX as usize)
}

/// Appends, doubling the buffer as a `Vec` does but never beyond what a frame may measure.
fn gather(limits: &Limits, partial: &mut Vec<u8>, bytes: &[u8]) {
    let needed = partial.len() + bytes.len();
    if needed > partial.capacity() {
        let capacity = needed.next_power_of_two().min(frame_bytes(limits)).max(needed);
        partial.reserve_exact(capacity - partial.len());
    }
    partial.extend_from_slice(bytes);
}

#[cfg(test)]
mod tests;
