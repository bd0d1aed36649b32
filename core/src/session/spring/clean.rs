//! The cleanup job: at second 00 of each minute Redis is had look at the sessions that were due, so that it notices which
//! have ended, and tells. What was due while nobody ran is made up for. Who has ended leaves the index of his name, as far
//! as the name stands in an attribute of its own: a Spring application does that too, where one runs.
//!
//! In batches, one after the other, and read before removed: whoever is broken off leaves the rest for the next. Several
//! nodes and Spring applications may do it at once.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec;
use alloc::vec::Vec;

use super::commands::VALUES;
use super::config::{Expirations, Layout};
use super::created::field;
use super::errors::{Trouble, trouble};
use super::facts::{Facts, Values};
use super::keys::{Digits, MINUTE_MS, is_id, on_key};
use super::values::{read_member, write_text};
use super::{Purpose, Spring, record};
use crate::redis::{Command, Connection, Item, Reply};
use crate::time::{Instant, earlier};

/// How far the job is.
#[derive(Debug, Default)]
pub(super) struct Cleaner {
    /// When it begins next.
    next: Option<Instant>,
    run: Option<Run>,
    /// The last minute that is done, in epoch milliseconds.
    done: Option<i64>,
    /// Whose values are asked for, in that order, each with its number.
    asked: VecDeque<(u64, Box<str>)>,
    count: u64,
}

#[derive(Debug)]
struct Run {
    at: At,
    /// Redis' clock at its beginning.
    now: i64,
    /// A reply has to come by then.
    due: Instant,
}

/// Where due times are looked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    /// The set of this minute.
    Minute(i64),
    Sorted,
}

/// What a command of this module was for.
#[derive(Debug, Clone, Copy)]
pub(super) enum Step {
    Clock,
    Members,
    /// Of the session with this number.
    Values(u64),
    Removed,
}

impl Cleaner {
    pub(super) fn due(&self) -> Option<Instant> {
        earlier(self.next, self.run.as_ref().map(|run| run.due))
    }
}

impl Spring {
    /// Asks for the time; the job follows from it.
    pub(super) fn start_cleaning(&mut self, now: Instant) {
        if !self.config.cleanup {
            return;
        }
        self.cleaner.next = Some(now.after(MINUTE_MS as u64));
        if self.up && self.layout != Layout::Plain {
            self.send(Connection::Commands, Command::new(&[b"TIME"]), Some(Purpose::Clean(Step::Clock)));
        }
    }

    pub(super) fn clean_due(&mut self, now: Instant) {
        if self.cleaner.run.as_ref().is_some_and(|run| run.due <= now) {
            self.cleaner.run = None;
        }
        if self.cleaner.next.is_some_and(|next| next <= now) {
            self.start_cleaning(now);
        }
    }

    pub(super) fn clean_replied(&mut self, now: Instant, step: Step, reply: Reply<'_>) {
        match (step, reply) {
            (Step::Clock, Reply::List([seconds, micros])) => {
                if let (Some(seconds), Some(micros)) = (seconds.int(), micros.int()) {
                    self.begin_cleaning(now, seconds.saturating_mul(1_000).saturating_add(micros / 1_000));
                }
            }
            (Step::Members, Reply::List(members)) if !members.is_empty() => self.look_at(now, members),
            (Step::Members, Reply::List(_) | Reply::Nil) => self.go_to_next(now),
            (Step::Values(number), Reply::List(items)) => self.leave_index(number, items),
            (Step::Removed, Reply::Int(_)) => self.ask_members(now),
            (_, reply) => {
                // The rest is for the next minute.
                self.cleaner.run = None;
                if let Reply::Error(text) = reply
                    && let Trouble::Lost(kind) = trouble(text)
                {
                    self.alarm(now, kind, text);
                }
            }
        }
    }

    fn begin_cleaning(&mut self, now: Instant, time: i64) {
        let minute = time.div_euclid(MINUTE_MS).saturating_mul(MINUTE_MS);
        let left = u64::try_from(minute.saturating_add(MINUTE_MS).saturating_sub(time)).unwrap_or(0);
        self.cleaner.next = Some(now.after(left));
        if self.cleaner.run.is_some() {
            return;
        }
        let back = minute.saturating_sub(BACK_MS);
        let first = self.cleaner.done.map_or(back, |done| done.saturating_add(MINUTE_MS).max(back));
        let at = if first <= minute { At::Minute(first) } else { At::Sorted };
        self.cleaner.run = Some(Run { at, now: time, due: now });
        self.ask_members(now);
    }

    fn ask_members(&mut self, now: Instant) {
        let due = now.after(self.times.reply_ms);
        let Some(run) = &mut self.cleaner.run else { return };
        run.due = due;
        let command = match run.at {
            At::Minute(minute) => {
                let digits = Digits::from(minute);
                on_key("SRANDMEMBER", self.keys.minute(&digits), &[BATCH])
            }
            At::Sorted => {
                let (key, now) = (self.keys.sorted.as_bytes(), Digits::from(run.now));
                Command::new(&[b"ZRANGEBYSCORE", key, b"-inf", now.as_bytes(), b"LIMIT", b"0", BATCH])
            }
        };
        self.send(Connection::Commands, command, Some(Purpose::Clean(Step::Members)));
    }

    /// Has Redis look at the keys of these, and takes them out.
    fn look_at(&mut self, now: Instant, members: &[Item<'_>]) {
        let due = now.after(self.times.reply_ms);
        let Some(run) = &mut self.cleaner.run else { return };
        run.due = due;
        let at = run.at;
        let members: Vec<&[u8]> = members.iter().filter_map(|member| member.bytes()).collect();
        let ids = members.iter().filter_map(|member| {
            let (text, _) = read_member(member)?;
            let id = if at == At::Sorted { text } else { text.strip_prefix("expires:")? };
            is_id(id).then(|| Box::from(id))
        });
        let ids: Vec<Box<str>> = ids.collect();
        let shadows: Vec<Vec<u8>> = ids.iter().map(|id| self.keys.shadow(id).concat()).collect();
        let together = if self.config.cluster { 1 } else { shadows.len().max(1) };
        for some in shadows.chunks(together) {
            let mut args: Vec<&[u8]> = vec![b"EXISTS"];
            args.extend(some.iter().map(|key| &key[..]));
            self.send(Connection::Commands, Command::new(&args), Some(Purpose::Nothing));
        }
        for id in ids {
            self.ask_values(id);
        }
        let (name, key) = match at {
            At::Minute(minute) => ("SREM", self.keys.minute(&Digits::from(minute)).concat()),
            At::Sorted => ("ZREM", self.keys.sorted.as_bytes().to_vec()),
        };
        let command = on_key(name, [&key, b"", b""], &members);
        self.send(Connection::Commands, command, Some(Purpose::Clean(Step::Removed)));
    }

    /// Asks what is still known of a session that was due: its hash is kept longer than it lives.
    fn ask_values(&mut self, id: Box<str>) {
        let name = field(&self.config.principal_attribute);
        let [created, last, max] = VALUES.map(str::as_bytes);
        let command = on_key("HMGET", self.keys.hash(&id), &[created, last, max, name.as_bytes()]);
        self.cleaner.count = self.cleaner.count.wrapping_add(1);
        self.cleaner.asked.push_back((self.cleaner.count, id));
        self.send(Connection::Commands, command, Some(Purpose::Clean(Step::Values(self.cleaner.count))));
    }

    /// Who has ended by his own times leaves the index. At a logout he has left already.
    fn leave_index(&mut self, number: u64, items: &[Item<'_>]) {
        // Questions that were lost have no reply.
        while self.cleaner.asked.front().is_some_and(|(asked, _)| *asked != number) {
            self.cleaner.asked.pop_front();
        }
        let Some((_, id)) = self.cleaner.asked.pop_front() else { return };
        let (Some(run), Some((values, [name]))) = (&self.cleaner.run, items.split_first_chunk::<3>()) else { return };
        let facts = Facts { now: run.now, values: Values::from_items(values), ..Facts::NONE };
        if let Some(read) = facts.whole()
            && read.max > 0
            && facts.left(read) <= 0
            && let Some(name) = record::name(name)
        {
            let command = on_key("SREM", self.keys.index(&name), &[&write_text(read.form, &id)]);
            self.send(Connection::Commands, command, Some(Purpose::Nothing));
        }
    }

    /// This minute is done: the next one that has come, then the sorted set.
    fn go_to_next(&mut self, now: Instant) {
        let Some(run) = &mut self.cleaner.run else { return };
        match run.at {
            At::Minute(minute) => {
                self.cleaner.done = Some(minute);
                let next = minute.saturating_add(MINUTE_MS);
                if next <= run.now {
                    run.at = At::Minute(next);
                } else if self.config.expirations == Expirations::MinuteSets {
                    self.cleaner.run = None;
                    return;
                } else {
                    run.at = At::Sorted;
                }
                self.ask_members(now);
            }
            At::Sorted => self.cleaner.run = None,
        }
    }

    /// For logs and tests: the last minute that was cleaned, in epoch milliseconds.
    pub fn cleaned_until(&self) -> Option<i64> {
        self.cleaner.done
    }
}

/// How many sessions are looked at together.
const BATCH: &[u8] = b"500";
/// How far back minutes are made up for: a day.
const BACK_MS: i64 = 86_400_000;
