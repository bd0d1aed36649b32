//! One command: its name and its arguments, in one allocation.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;

/// A command for a Redis: its name and arguments as byte strings, to be sent as they are.
#[derive(Clone, PartialEq, Eq)]
pub struct Command {
    /// The arguments in a row, and behind them where each one ends, 4 bytes little-endian.
    bytes: Box<[u8]>,
    count: u32,
}

impl Command {
    /// A command of these arguments, the name among them.
    pub fn new(args: &[&[u8]]) -> Self {
        Self::build(args.iter().map(|arg| [*arg]))
    }

    /// A command whose arguments are put together from parts, such as a key from its prefix and an id.
    pub fn of_parts(args: &[&[&[u8]]]) -> Self {
        Self::build(args.iter().copied())
    }

    /// A command from parts, where their number is not known before.
    ///
    /// Together they have less than 4 GiB: whatever is written into a session came in under a limit far below.
    pub(crate) fn build<'p, P: AsRef<[&'p [u8]]>>(args: impl Iterator<Item = P> + Clone) -> Self {
        let (mut count, mut len) = (0, 0);
        for arg in args.clone() {
            count += 1;
            len += arg.as_ref().iter().map(|part| part.len()).sum::<usize>();
        }
        let mut bytes = Vec::with_capacity(len + count * END);
        for arg in args.clone() {
            for part in arg.as_ref() {
                bytes.extend_from_slice(part);
            }
        }
        let mut end = 0_usize;
        for arg in args {
            end += arg.as_ref().iter().map(|part| part.len()).sum::<usize>();
            bytes.extend_from_slice(&(end as u32).to_le_bytes());
        }
        Self { bytes: bytes.into_boxed_slice(), count: count as u32 }
    }

    /// Name and arguments, in order.
    pub fn args(&self) -> Args<'_> {
        Args { command: self, at: 0, start: 0 }
    }
}

/// The arguments of a [`Command`].
#[derive(Debug, Clone)]
pub struct Args<'c> {
    command: &'c Command,
    at: u32,
    start: usize,
}

impl<'c> Iterator for Args<'c> {
    type Item = &'c [u8];

    fn next(&mut self) -> Option<&'c [u8]> {
        let Command { bytes, count } = self.command;
        if self.at == *count {
            return None;
        }
        let table = bytes.len() - *count as usize * END;
        let entry = table + self.at as usize * END;
        let end = bytes.get(entry..entry + END)?.first_chunk().copied().map(u32::from_le_bytes)? as usize;
        let arg = bytes.get(self.start..end)?;
        self.at += 1;
        self.start = end;
        Some(arg)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = (self.command.count - self.at) as usize;
        (left, Some(left))
    }
}

impl ExactSizeIterator for Args<'_> {}

/// As one would type it, bytes that are not printable escaped.
impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.args().map(<[u8]>::escape_ascii).map(Escaped)).finish()
    }
}

struct Escaped<'a>(core::slice::EscapeAscii<'a>);

impl fmt::Debug for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0)
    }
}

/// Bytes of an end in the table.
const END: usize = 4;

#[cfg(test)]
mod tests {
    use alloc::format;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn parts_are_put_together() {
        let command = Command::of_parts(&[&[b"GET"], &[b"spring:session:", b"sessions:", b"a"], &[]]);
        let args: Vec<&[u8]> = command.args().collect();
        assert_eq!(args, [&b"GET"[..], b"spring:session:sessions:a", b""]);
        assert_eq!(command.args().len(), 3);
        assert_eq!(format!("{command:?}"), r#"["GET", "spring:session:sessions:a", ""]"#);
        assert_eq!(command, Command::new(&args));
    }

    proptest! {
        #[test]
        fn what_goes_in_comes_out(args: Vec<Vec<u8>>) {
            let lent: Vec<&[u8]> = args.iter().map(|arg| &arg[..]).collect();
            let command = Command::new(&lent);
            prop_assert_eq!(command.args().len(), args.len());
            prop_assert_eq!(command.args().collect::<Vec<_>>(), lent);
        }
    }
}
