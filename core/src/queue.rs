//! A queue that may grow to a million entries without ever copying them.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

/// First in, first out, in pages: growth allocates one page and moves nothing.
#[derive(Debug)]
pub(crate) struct Queue<T> {
    /// Full pages between the two.
    pages: VecDeque<Vec<T>>,
    /// The page that is being filled.
    last: Vec<T>,
    /// The page that is being emptied, turned around.
    first: Vec<T>,
}

impl<T> Queue<T> {
    pub(crate) const fn new() -> Self {
        Self { pages: VecDeque::new(), last: Vec::new(), first: Vec::new() }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.first.is_empty() && self.last.is_empty() && self.pages.is_empty()
    }

    pub(crate) fn push_back(&mut self, value: T) {
        if self.last.len() == PAGE {
            self.pages.push_back(core::mem::take(&mut self.last));
        }
        self.last.push(value);
    }

    pub(crate) fn front(&self) -> Option<&T> {
        // The page that is being emptied is turned around, the others are not.
        self.first.last().or_else(|| self.pages.front().unwrap_or(&self.last).first())
    }

    pub(crate) fn pop_front(&mut self) -> Option<T> {
        if self.first.is_empty() {
            self.first = self.pages.pop_front().unwrap_or_else(|| core::mem::take(&mut self.last));
            self.first.reverse();
        }
        self.first.pop()
    }
}

/// Entries of a page.
const PAGE: usize = 1_024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_in_first_out_across_pages() {
        let (mut queue, mut model) = (Queue::new(), VecDeque::new());
        let mut next = 0;
        for round in 0..50_usize {
            for _ in 0..round * 97 % 1_500 {
                queue.push_back(next);
                model.push_back(next);
                next += 1;
            }
            for _ in 0..round * 89 % 1_700 {
                assert_eq!(queue.is_empty(), model.is_empty());
                assert_eq!(queue.front(), model.front());
                assert_eq!(queue.pop_front(), model.pop_front());
            }
        }
        while let Some(value) = model.pop_front() {
            assert_eq!(queue.pop_front(), Some(value));
        }
        assert_eq!(queue.pop_front(), None);
    }
}
