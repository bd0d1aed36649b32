//! What has become of one session, by one of its ids.

use std::sync::Arc;

use super::Truth;
use crate::values::Names;

/// What has become of a session just now.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Turn {
    Same,
    /// It has come to life.
    Lives,
    /// Its time was over at that time.
    RunsOut {
        at: u64,
    },
}

#[derive(Debug, Clone)]
pub(crate) struct Fate {
    pub(crate) id: Arc<str>,
    pub(crate) names: Names,
    pub(crate) truth: Truth,
    /// Since when it is alive, or is not.
    since: u64,
    /// When it is over, as was last seen.
    until: Option<u64>,
    /// When it ended, if it has.
    pub(crate) ended: Option<u64>,
    /// Since when its hash is there without its shadow; the last time that was so.
    pub(crate) absent_since: Option<u64>,
    /// Where it was renamed to, and when.
    pub(crate) moved: Option<(usize, u64)>,
    pub(crate) came_from: Option<usize>,
    /// Whose it was, since when.
    pub(crate) owners: Vec<(u64, Arc<str>)>,
    pub(crate) logged_out_here: bool,
    /// The shortest timeout that it was given since it was made; `u64::MAX`: none.
    pub(crate) shortest_ms: u64,
}

impl Fate {
    pub(super) fn new(id: &str) -> Self {
        Self {
            id: id.into(),
            names: Names::of(id),
            truth: Truth::Gone,
            since: 0,
            until: None,
            ended: None,
            absent_since: None,
            moved: None,
            came_from: None,
            owners: Vec::new(),
            logged_out_here: false,
            shortest_ms: u64::MAX,
        }
    }

    /// Takes in what is true now.
    pub(super) fn turn(&mut self, now: u64, truth: Truth) -> Turn {
        let (was, is) = (self.truth.is_alive(), truth.is_alive());
        if truth == Truth::Absent && self.truth != Truth::Absent {
            let recent = self.absent_since.is_some_and(|since| now < since + RECENT_MS);
            if !recent {
                self.absent_since = Some(self.until.filter(|until| *until <= now).unwrap_or(now));
            }
        }
        self.truth = truth;
        match truth {
            Truth::Alive(ttl) => self.until = ttl.map(|ttl| now + ttl),
            _ if was => {
                let end = self.until.filter(|until| *until <= now).unwrap_or(now);
                self.ended = Some(end);
            }
            _ => {}
        }
        if was != is {
            self.since = if is { now } else { self.ended.unwrap_or(now) };
        }
        if is {
            self.ended = None;
        }
        match self.ended {
            _ if !was && is => Turn::Lives,
            Some(at) if was && !is && self.until == Some(at) => Turn::RunsOut { at },
            _ => Turn::Same,
        }
    }

    pub(crate) fn alive_since(&self) -> Option<u64> {
        self.truth.is_alive().then_some(self.since)
    }

    pub(crate) fn owned(&mut self, now: u64, principal: &str) {
        if self.owners.last().is_none_or(|(_, known)| &**known != principal) {
            self.owners.push((now, principal.into()));
        }
    }

    /// Whether it belonged to this principal at that time or since.
    pub(super) fn was_of(&self, principal: &str, since: u64) -> bool {
        let later = self.owners.iter().position(|(at, _)| *at > since).unwrap_or(self.owners.len());
        self.owners[later.saturating_sub(1)..].iter().any(|(_, name)| &**name == principal)
    }
}

/// A key that was missing before, and was looked for then, may be found missing again.
const RECENT_MS: u64 = 10_000;
