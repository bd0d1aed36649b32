//! [`Frame`]: a borrowed view of one frame.

use alloc::borrow::Cow;
use core::fmt;

use super::head::Lines;
use super::{Command, Version, escape};

/// One frame, lent out of the bytes it came in. Every rule was checked when it was decoded, so nothing here can fail.
#[derive(Clone, Copy)]
pub struct Frame<'a> {
    lines: &'a str,
    body: &'a [u8],
    command: Command,
    escapes: Version,
}

impl<'a> Frame<'a> {
    pub(super) const fn new(command: Command, escapes: Version, lines: &'a str, body: &'a [u8]) -> Self {
        Self { lines, body, command, escapes }
    }

    /// What it asks or tells.
    pub const fn command(&self) -> Command {
        self.command
    }

    /// The value of a header, unescaped; borrowed unless an escape was in it. Of repeated headers the first counts (STOMP 1.2,
    /// *Repeated Header Entries*). Names mind case. Costs a pass over the head.
    pub fn header(&self, name: &str) -> Option<Cow<'a, str>> {
        let value = if name.contains([':', '\\', '\n', '\r']) {
            self.raw().find(|(raw, _)| escape::unescape(self.escapes, raw) == name)?.1
        } else {
            // Such a name is written in one way only.
            Lines { rest: self.lines }.find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?
        };
        Some(escape::unescape(self.escapes, value))
    }

    /// All headers, unescaped, in their order and with repeats.
    pub const fn headers(&self) -> Headers<'a> {
        Headers { lines: Lines { rest: self.lines }, escapes: self.escapes }
    }

    /// What follows the blank line, without the NUL that ends it.
    pub const fn body(&self) -> &'a [u8] {
        self.body
    }

    fn raw(&self) -> impl Iterator<Item = (&'a str, &'a str)> {
        Lines { rest: self.lines }.filter_map(|line| line.split_once(':'))
    }
}

/// Values are left out: a CONNECT may carry a passcode.
impl fmt::Debug for Frame<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Frame")
            .field("command", &self.command)
            .field("headers", &self.raw().count())
            .field("body_bytes", &self.body.len())
            .finish()
    }
}

/// The headers of a [`Frame`]: see [`Frame::headers`].
#[derive(Clone)]
pub struct Headers<'a> {
    lines: Lines<'a>,
    escapes: Version,
}

impl<'a> Iterator for Headers<'a> {
    type Item = (Cow<'a, str>, Cow<'a, str>);

    fn next(&mut self) -> Option<Self::Item> {
        let (name, value) = self.lines.next()?.split_once(':')?;
        Some((escape::unescape(self.escapes, name), escape::unescape(self.escapes, value)))
    }
}

impl fmt::Debug for Headers<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Headers").field("left", &self.lines.count()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_compared_unescaped() {
        let lines = "foobar:0\na:b:c\nfoo:1\\n\nx\\cy:2\r\nfoo:3\n\n";
        let v10 = Frame::new(Command::Send, Version::V1_0, lines, b"");
        let v12 = Frame::new(Command::Send, Version::V1_2, lines, b"");
        for (name, in_v10, in_v12) in [
            ("foo", Some("1\\n"), Some("1\n")),
            ("a", Some("b:c"), Some("b:c")),
            ("a:b", None, None),
            ("x:y", None, Some("2")),
            ("x\\cy", Some("2"), None),
            ("fo", None, None),
            ("", None, None),
        ] {
            assert_eq!(v10.header(name).as_deref(), in_v10, "{name:?}");
            assert_eq!(v12.header(name).as_deref(), in_v12, "{name:?}");
        }
    }
}
