//! A question under way: how far it has come, and what was replied so far.

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::errors;
use super::facts::{Facts, Kind, Values};
use super::keys::is_id;
use super::record::Found;
use super::values::{self, Form};
use crate::redis::{Item, Reply};
use crate::session::Op;
use crate::time::Instant;

/// A question under way. Stale ones are noticed, as with any handle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Id {
    pub(super) slot: u32,
    pub(super) generation: u32,
}

#[derive(Debug)]
pub(super) struct Work {
    pub(super) token: Option<u64>,
    pub(super) op: Op,
    pub(super) asked: Instant,
    /// Until when what it waits for may take.
    pub(super) due: Instant,
    pub(super) stage: Stage,
    /// When it entered that: when what it waits for was sent.
    pub(super) entered: Instant,
    /// Replies that are still to come.
    pub(super) waits: u32,
    /// Replies to an earlier turn are void.
    pub(super) turn: u32,
    /// It has looked again already.
    pub(super) second: bool,
    /// The layout could not be told; it goes on as if it were the indexed one.
    pub(super) forced: bool,
    /// The script's text is sent, not its digest.
    pub(super) with_text: bool,
    /// Transactions that were in vain, since somebody else changed something.
    pub(super) tries: u8,
    pub(super) facts: Facts,
    pub(super) found: Found,
    /// How members of the sorted set are written, if it has any.
    pub(super) sorted: Option<Form>,
    /// Nothing is stored under the name that is to be given.
    pub(super) free: bool,
    /// The number that the last step gave.
    pub(super) result: Option<i64>,
    /// How long it is going to live, if it succeeds.
    pub(super) left: Option<u64>,
    /// The position, among the writes of a transaction, of the one that sets `lastAccessedTime`.
    pub(super) marked: Option<usize>,
    /// A hash that is being copied: fields and values in turn.
    pub(super) copy: Vec<Box<[u8]>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// It waits for room.
    Queued,
    /// The layout is being found out.
    Detect,
    /// The same, for a session that is not there yet: from others.
    Survey,
    /// The facts are being read.
    Look,
    /// The time is being read.
    Clock,
    /// A script is writing.
    Write,
    /// It waits before it looks again.
    Pause,
    /// It waits for the echo.
    Echo,
    /// It waits for its turn on the connection for transactions.
    Turn,
    /// The facts are being read, under WATCH.
    Watch,
    /// The transaction is being carried out.
    Exec,
    /// On a Cluster: the key that runs out is being raised.
    Raise,
    /// On a Cluster: the hash is being read as a whole.
    Copy,
    /// On a Cluster: the hash that was copied is being taken away.
    Take,
    /// On a Cluster: the hash is written, the other keys are being.
    Rest,
}

/// What a reply is to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// [`Script::Look`](super::Script::Look).
    Look,
    Time,
    Type,
    /// The three values, and the attributes that are wanted.
    Values,
    HashTtl,
    ShadowTtl,
    /// The first member of the sorted set.
    Sorted,
    /// The type of what is stored under the name that is to be given.
    Free,
    /// A script that gives facts, and perhaps how long the session lives then.
    Script,
    /// A script that gives a number.
    Number,
    Exec,
    /// HGETALL.
    All,
    /// All that counts is that it was done.
    Done,
}

/// Why a reply is of no use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Useless<'r> {
    Error(&'r [u8]),
    Lost,
    Shape,
}

impl Id {
    #[cfg(test)]
    pub(super) fn for_tests(slot: u32) -> Self {
        Self { slot, generation: 1 }
    }
}

impl Work {
    pub(super) fn new(token: Option<u64>, op: Op, now: Instant, due: Instant) -> Self {
        Self {
            token,
            op,
            asked: now,
            due,
            stage: Stage::Queued,
            entered: now,
            waits: 0,
            turn: 0,
            second: false,
            forced: false,
            with_text: false,
            tries: 0,
            facts: Facts::NONE,
            found: Found::default(),
            sorted: None,
            free: true,
            result: None,
            left: None,
            marked: None,
            copy: Vec::new(),
        }
    }

    /// How long ago the activity was when the step was sent whose replies are there. Redis took its own time somewhere
    /// between then and now: against that, what the replies took does not make the activity any older.
    pub(super) fn age_when_sent_ms(&self) -> i64 {
        self.age_ms(self.entered)
    }

    /// How long ago the activity was that a touch tells of.
    pub(super) fn age_ms(&self, now: Instant) -> i64 {
        let Op::Touch { age_ms, .. } = self.op else { return 0 };
        i64::try_from(age_ms.saturating_add(now.since(self.asked))).unwrap_or(i64::MAX)
    }

    /// Takes a reply in. What is given back are the values of the attributes that were asked for.
    pub(super) fn take<'r, 'i>(&mut self, part: Part, reply: Reply<'i>) -> Result<Option<&'r [Item<'i>]>, Useless<'i>>
    where
        'i: 'r,
    {
        match (part, reply) {
            (_, Reply::Lost) => return Err(Useless::Lost),
            // That it is no hash is known, and no error.
            (Part::Values, Reply::Error(_)) if self.facts.kind == Kind::Other => {}
            // There is no such set, as far as entries go.
            (Part::Sorted, Reply::Error(text)) if !errors::is_forbidden(text) => self.sorted = None,
            (_, Reply::Error(text)) => return Err(Useless::Error(text)),
            (Part::Look, Reply::List(items)) => {
                let (facts, rest) = Facts::from_script(items).ok_or(Useless::Shape)?;
                self.take_facts(facts);
                return Ok((facts.kind == Kind::Hash && wants_record(&self.op)).then_some(rest));
            }
            (Part::Script, Reply::List(items)) => {
                let (facts, rest) = Facts::from_script(items).ok_or(Useless::Shape)?;
                self.take_facts(facts);
                self.result = match rest {
                    [] => None,
                    [left] => Some(left.int().filter(|left| *left >= -1).ok_or(Useless::Shape)?),
                    _ => return Err(Useless::Shape),
                };
            }
            (Part::Number, reply) => self.result = Some(reply.int().ok_or(Useless::Shape)?),
            (Part::Time, Reply::List([seconds, micros])) => {
                let (seconds, micros) = (seconds.int().ok_or(Useless::Shape)?, micros.int().ok_or(Useless::Shape)?);
                self.facts.now = seconds.saturating_mul(1_000).saturating_add(micros / 1_000);
            }
            (Part::Type, Reply::Bulk(word)) => self.facts.kind = Kind::from_type(word),
            (Part::Free, Reply::Bulk(word)) => self.free = word == b"none",
            (Part::Values, Reply::List(items)) => {
                let (stored, rest) = items.split_first_chunk::<3>().ok_or(Useless::Shape)?;
                self.facts.values = Values::from_items(stored);
                return Ok(wants_record(&self.op).then_some(rest));
            }
            (Part::HashTtl, reply) => self.facts.hash_ttl = reply.int().ok_or(Useless::Shape)?,
            (Part::ShadowTtl, reply) => self.facts.shadow_ttl = reply.int().ok_or(Useless::Shape)?,
            (Part::Sorted, Reply::List(items)) => {
                let first = items.first().and_then(|item| item.bytes());
                self.sorted = first.map(values::form_of_member);
            }
            (Part::Exec, Reply::Nil) => self.result = None,
            (Part::Exec, Reply::List(items)) => {
                if let Some(text) = items.iter().find_map(|item| match item {
                    Item::Error(text) => Some(*text),
                    Item::Nil | Item::Int(_) | Item::Bulk(_) => None,
                }) {
                    return Err(Useless::Error(text));
                }
                let added = self.marked.and_then(|at| items.get(at)?.int());
                self.result = Some(added.unwrap_or(0));
            }
            (Part::All, Reply::List(items)) => {
                let pieces = items.iter().map(|item| item.bytes().map(Box::from));
                self.copy = pieces.collect::<Option<_>>().ok_or(Useless::Shape)?;
            }
            (Part::Done, _) => {}
            _ => return Err(Useless::Shape),
        }
        Ok(None)
    }

    /// The other key may have been asked for apart.
    fn take_facts(&mut self, facts: Facts) {
        let apart = self.facts.shadow_ttl;
        self.facts = facts;
        if facts.shadow_ttl == NOT_ASKED {
            self.facts.shadow_ttl = apart;
        }
    }
}

/// The session that a question is about, by the id it has now.
pub(super) fn session(op: &Op) -> &str {
    match op {
        Op::Load { id } | Op::Check { id } | Op::Touch { id, .. } | Op::Create { id, .. } | Op::End { id } => id,
        Op::Rename { from, .. } => from,
    }
}

/// Whether it only reads.
pub(super) fn reads(op: &Op) -> bool {
    matches!(op, Op::Load { .. } | Op::Check { .. })
}

/// Whether it has to know who is logged in.
pub(super) fn wants_record(op: &Op) -> bool {
    matches!(op, Op::Load { .. } | Op::Rename { .. } | Op::End { .. })
}

/// Whether its ids can be ids.
pub(super) fn is_sound(op: &Op) -> bool {
    is_id(session(op)) && !matches!(op, Op::Rename { to, .. } if !is_id(to))
}

/// What stands for the TTL of a key that was not asked for.
const NOT_ASKED: i64 = -3;
