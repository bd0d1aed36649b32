//! Which layout a namespace has, before the first session is made here: what is written there tells, page by page.
//!
//! Where nothing tells, the indexed layout is assumed, and given up as soon as a session proves the plain one: that one was
//! written by somebody who knows.

use alloc::vec::Vec;

use super::Spring;
use super::alarm::AlarmKind;
use super::config::Layout;
use super::errors::{Trouble, trouble};
use super::facts::{Facts, Kind, Values};
use super::keys::Digits;
use super::work::{Id, Stage};
use super::{Purpose, Reply};
use crate::redis::{Command, Connection, Item};
use crate::time::Instant;

/// How far the looking around is.
#[derive(Debug, Default)]
pub(super) struct Survey {
    /// A page is being looked at.
    running: bool,
    pages: u32,
    /// New sessions that wait for it.
    waiting: Vec<Id>,
    /// The layout is one that nobody has proved.
    pub(super) assumed: bool,
}

impl Spring {
    /// A new session waits until the layout is known.
    pub(super) fn survey(&mut self, now: Instant, id: Id) {
        self.enter(now, id, Stage::Survey);
        self.survey.waiting.push(id);
        if self.survey.running {
            return;
        }
        // Without scripts there is no command whose reply is flat, and a Cluster has a page on each node.
        if !self.scripts || self.config.cluster {
            return self.assume(now, b"it cannot be looked for without scripts, nor on a Cluster");
        }
        self.survey.pages = 0;
        self.look_at_page(now, b"0");
    }

    fn look_at_page(&mut self, now: Instant, cursor: &[u8]) {
        self.survey.running = true;
        self.survey.pages += 1;
        let due = now.after(self.times.reply_ms);
        for at in 0..self.survey.waiting.len() {
            if let Some(id) = self.survey.waiting.get(at).copied() {
                self.wait_until(id, due);
            }
        }
        let prefix = self.keys.hash("").concat();
        let pattern = pattern(&prefix);
        let size = Digits::from(PAGE);
        let args = [b"EVAL", TEXT.as_bytes(), b"1", &prefix, cursor, &pattern, size.as_bytes()];
        self.send(Connection::Commands, Command::new(&args), Some(Purpose::Survey));
    }

    /// What the script has found.
    pub(super) fn surveyed(&mut self, now: Instant, reply: Reply<'_>) {
        self.survey.running = false;
        if reply == Reply::Lost {
            return self.give_up(now);
        }
        if self.layout != Layout::Detect {
            return self.begin_waiting(now);
        }
        let (cursor, found) = match reply {
            Reply::List([Item::Bulk(cursor), clock, found @ ..]) => (*cursor, told(clock, found)),
            Reply::Error(text) => {
                match trouble(text) {
                    Trouble::NoScripts if self.scripts => self.no_scripts(now, text),
                    Trouble::NoScripts | Trouble::TextNeeded => {}
                    Trouble::Lost(kind) => self.alarm(now, kind, text),
                }
                return self.assume(now, text);
            }
            _ => return self.give_up(now),
        };
        match found {
            Some(layout) => {
                self.layout = layout;
                self.begin_waiting(now);
            }
            None if cursor == b"0" => {
                self.layout = Layout::Indexed;
                self.survey.assumed = true;
                self.begin_waiting(now);
            }
            None if self.survey.pages < PAGES => self.look_at_page(now, cursor),
            None => self.assume(now, b"a million keys were looked at"),
        }
    }

    /// Nothing tells, and there may be something that would.
    fn assume(&mut self, now: Instant, why: &[u8]) {
        self.alarm(now, AlarmKind::LayoutAssumed, why);
        self.layout = Layout::Indexed;
        self.survey.assumed = true;
        self.begin_waiting(now);
    }

    fn begin_waiting(&mut self, now: Instant) {
        for id in core::mem::take(&mut self.survey.waiting) {
            if self.works.get(id.slot, id.generation).is_some_and(|work| work.stage == Stage::Survey) {
                self.begin(now, id);
            }
        }
    }

    /// The store could not be asked.
    fn give_up(&mut self, now: Instant) {
        for id in core::mem::take(&mut self.survey.waiting) {
            if self.works.get(id.slot, id.generation).is_some_and(|work| work.stage == Stage::Survey) {
                self.finish(now, id, crate::session::Answer::Lost);
            }
        }
    }

    /// A session whose key is missing, in the indexed layout. Whether the layout is another one after all.
    pub(super) fn is_plain_after_all(&mut self, now: Instant, facts: &Facts) -> bool {
        if self.layout != Layout::Indexed || facts.layout() != Some(Layout::Plain) {
            return false;
        }
        if !self.survey.assumed {
            self.alarm(now, AlarmKind::LayoutMixed, b"it is taken for ended");
            return false;
        }
        self.alarm(now, AlarmKind::LayoutMixed, b"the plain layout is used from now on");
        self.layout = Layout::Plain;
        self.survey.assumed = false;
        true
    }
}

/// The layout that the sessions of a page prove. Only an application writes the plain one before it is known here.
fn told(clock: &Item<'_>, found: &[Item<'_>]) -> Option<Layout> {
    let now = clock.int()?;
    let layouts = found.as_chunks::<5>().0.iter().filter_map(|[hash_ttl, shadow_ttl, values @ ..]| {
        let (hash_ttl, shadow_ttl) = (hash_ttl.int()?, shadow_ttl.int()?);
        Facts { now, kind: Kind::Hash, hash_ttl, shadow_ttl, values: Values::from_items(values) }.layout()
    });
    layouts.max_by_key(|layout| *layout == Layout::Plain)
}

/// What SCAN finds this prefix by, whatever is in it.
fn pattern(prefix: &[u8]) -> Vec<u8> {
    let mut pattern = Vec::new();
    for byte in prefix {
        if b"*?[]^\\".contains(byte) {
            pattern.push(b'\\');
        }
        pattern.push(*byte);
    }
    pattern.push(b'*');
    pattern
}

/// Looks through a page of the database. KEYS: what the sessions' keys begin with. ARGV: cursor, pattern, size of the page.
/// Gives the next cursor, Redis' clock in ms and, for each of at most 40 sessions, the PTTL of its hash and of its other key,
/// and its three values, each empty if it is none.
const TEXT: &str = include_str!("scripts/survey.lua");
/// Keys of a page.
const PAGE: u64 = 1_000;
/// How many pages are looked at.
const PAGES: u32 = 1_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn c01_a_namespace_is_no_pattern() {
        assert_eq!(pattern(b"a:sessions:"), b"a:sessions:*");
        assert_eq!(pattern(b"a*[b]?\\:"), b"a\\*\\[b\\]\\?\\\\:*");
    }
}
