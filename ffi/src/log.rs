//! What the library has to say, until somebody asks for it.

use std::collections::VecDeque;

/// How much a line matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Level {
    Error,
    Warn,
    Info,
}

/// A line that waits.
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) level: Level,
    pub(crate) text: String,
}

/// The lines that wait, oldest first: so many at most.
#[derive(Debug, Default)]
pub(crate) struct Log {
    waiting: VecDeque<Line>,
    /// Lines that were dropped, since nobody asked.
    dropped: u64,
    /// The line that was given out last. INVARIANT: neither moved nor dropped before the next one is asked for, for C holds
    /// pointers into it.
    lent: Option<Line>,
}

impl Log {
    pub(crate) fn push(&mut self, level: Level, text: String) {
        if self.waiting.len() == MOST_LINES {
            self.waiting.pop_front();
            self.dropped += 1;
        }
        self.waiting.push_back(Line { level, text });
    }

    /// The next line, lent until this is called again.
    pub(crate) fn next(&mut self) -> Option<&Line> {
        self.lent = match std::mem::take(&mut self.dropped) {
            0 => self.waiting.pop_front(),
            dropped => Some(Line {
                level: Level::Warn,
                text: format!("{dropped} lines were dropped: call tethered_log_next until it gives no more"),
            }),
        };
        self.lent.as_ref()
    }
}

const MOST_LINES: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_lines_go_and_are_counted() {
        let mut log = Log::default();
        assert!(log.next().is_none());
        for n in 0..MOST_LINES + 3 {
            log.push(Level::Info, n.to_string());
        }
        let first = log.next().unwrap();
        assert_eq!(first.level, Level::Warn);
        assert!(first.text.starts_with("3 lines were dropped"));
        for n in 3..MOST_LINES + 3 {
            assert_eq!(log.next().unwrap().text, n.to_string());
        }
        assert!(log.next().is_none());
    }
}
