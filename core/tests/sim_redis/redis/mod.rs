//! A Redis, as far as sessions need one: its keys and when they run out, what it announces, and the commands and scripts
//! that come in.
//!
//! It has no clock, no connections and no patience: the world sets the time, and says when it carries out what.

mod commands;
mod scripts;
mod value;

use std::collections::BTreeMap;

use tethered_core::redis::Keyevent;

pub(crate) use commands::Transaction;
pub(crate) use scripts::{call, is_touch};
pub(crate) use value::Value;

/// What a key holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Stored {
    Text(Vec<u8>),
    Hash(Vec<(Vec<u8>, Vec<u8>)>),
    Set(Vec<Vec<u8>>),
    /// Scores and members.
    Sorted(Vec<(i64, Vec<u8>)>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) stored: Stored,
    /// By Redis' own clock, in epoch milliseconds.
    pub(crate) ends: Option<i64>,
}

/// What is told to those who have subscribed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) channel: Channel,
    pub(crate) payload: Vec<u8>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Channel {
    Event(Keyevent),
    Named(Vec<u8>),
}

pub(crate) struct Redis {
    /// Its clock, in epoch milliseconds.
    pub(crate) clock: i64,
    keys: BTreeMap<Vec<u8>, Entry>,
    /// How often each key has changed that somebody may be watching.
    changes: BTreeMap<Vec<u8>, u64>,
    pub(crate) flags: Vec<u8>,
    pub(crate) may_config: bool,
    pub(crate) may_script: bool,
    /// Whether it knows each script by its digest.
    loaded: [bool; scripts::COUNT],
    /// What has been published and not been sent on.
    messages: Vec<Message>,
    /// What was renamed since somebody asked.
    renames: Vec<(Vec<u8>, Vec<u8>)>,
    /// Any number: which members are drawn from a set.
    pub(crate) lot: u64,
}

impl Redis {
    pub(crate) fn new(flags: &[u8], may_config: bool, may_script: bool) -> Self {
        Self {
            clock: 0,
            keys: BTreeMap::new(),
            changes: BTreeMap::new(),
            flags: flags.to_vec(),
            may_config,
            may_script,
            loaded: [false; scripts::COUNT],
            messages: Vec::new(),
            renames: Vec::new(),
            lot: 0,
        }
    }

    /// What is stored, without touching it: nothing if its time is over.
    pub(crate) fn peek(&self, key: &[u8]) -> Option<&Entry> {
        self.keys.get(key).filter(|entry| !is_over(entry, self.clock))
    }

    /// What is stored. What has run out is deleted and announced, as by any access.
    pub(crate) fn live(&mut self, key: &[u8]) -> Option<&mut Entry> {
        if self.keys.get(key).is_some_and(|entry| is_over(entry, self.clock)) {
            self.keys.remove(key);
            self.touched(key);
            self.announce(Keyevent::Expired, key);
        }
        self.keys.get_mut(key)
    }

    /// Looks whether a key has run out, as Redis does by itself now and then.
    pub(crate) fn expire(&mut self, key: &[u8]) {
        self.live(key);
    }

    /// Keys whose time is over, and that nobody has looked at since; when it was.
    pub(crate) fn run_out(&self) -> impl Iterator<Item = (&[u8], i64)> {
        let ends = |(key, entry): (_, &Entry)| entry.ends.map(|ends| (key, ends));
        let clock = self.clock;
        self.keys.iter().map(|(key, entry)| (&key[..], entry)).filter_map(ends).filter(move |(_, ends)| clock > *ends)
    }

    fn keys_below(&self, prefix: &[u8]) -> Vec<Vec<u8>> {
        let after = self.keys.range(prefix.to_vec()..);
        after.map(|(key, _)| key).take_while(|key| key.starts_with(prefix)).cloned().collect()
    }

    /// What has been published since this was last asked.
    pub(crate) fn take_messages(&mut self) -> Vec<Message> {
        std::mem::take(&mut self.messages)
    }

    /// What was renamed since this was last asked: from, to.
    pub(crate) fn take_renames(&mut self) -> Vec<(Vec<u8>, Vec<u8>)> {
        std::mem::take(&mut self.renames)
    }

    /// PTTL.
    pub(crate) fn left(&mut self, key: &[u8]) -> i64 {
        let clock = self.clock;
        self.live(key).map_or(-2, |entry| entry.ends.map_or(-1, |ends| ends - clock))
    }

    pub(crate) fn put(&mut self, key: &[u8], entry: Entry) {
        self.keys.insert(key.to_vec(), entry);
        self.touched(key);
    }

    pub(crate) fn delete(&mut self, key: &[u8]) -> bool {
        let there = self.live(key).is_some();
        if there {
            self.keys.remove(key);
            self.touched(key);
            self.announce(Keyevent::Del, key);
        }
        there
    }

    /// It is gone for lack of memory.
    pub(crate) fn evict(&mut self, key: &[u8]) {
        if self.live(key).is_some() {
            self.keys.remove(key);
            self.touched(key);
            self.announce(Keyevent::Evicted, key);
        }
    }

    /// False if there is nothing under the old name.
    pub(crate) fn rename(&mut self, from: &[u8], to: &[u8]) -> bool {
        if self.live(from).is_none() {
            return false;
        }
        self.live(to);
        if let Some(entry) = self.keys.remove(from) {
            self.keys.insert(to.to_vec(), entry);
        }
        self.touched(from);
        self.touched(to);
        self.renames.push((from.to_vec(), to.to_vec()));
        self.announce(Keyevent::RenameFrom, from);
        self.announce(Keyevent::RenameTo, to);
        true
    }

    /// PEXPIRE: a time that is over deletes.
    pub(crate) fn expire_in(&mut self, key: &[u8], ms: i64) -> bool {
        let ends = self.clock + ms;
        let Some(entry) = self.live(key) else { return false };
        if ms <= 0 {
            return self.delete(key);
        }
        entry.ends = Some(ends);
        self.touched(key);
        true
    }

    pub(crate) fn persist(&mut self, key: &[u8]) {
        if let Some(entry) = self.live(key) {
            entry.ends = None;
            self.touched(key);
        }
    }

    /// HSET; how many fields are new. `None` if something else is stored there.
    pub(crate) fn set_fields(&mut self, key: &[u8], pairs: &[(&[u8], &[u8])]) -> Option<i64> {
        if self.live(key).is_none() {
            self.keys.insert(key.to_vec(), Entry { stored: Stored::Hash(Vec::new()), ends: None });
        }
        let Some(Entry { stored: Stored::Hash(fields), .. }) = self.keys.get_mut(key) else { return None };
        let mut new = 0;
        for (name, value) in pairs {
            match fields.iter_mut().find(|(known, _)| known == name) {
                Some((_, known)) => {
                    known.clear();
                    known.extend_from_slice(value);
                }
                None => {
                    fields.push((name.to_vec(), value.to_vec()));
                    new += 1;
                }
            }
        }
        self.touched(key);
        Some(new)
    }

    /// APPEND of nothing: the key is there from then on.
    pub(crate) fn append_nothing(&mut self, key: &[u8]) {
        if self.live(key).is_none() {
            self.put(key, Entry { stored: Stored::Text(Vec::new()), ends: None });
        }
    }

    pub(crate) fn add(&mut self, key: &[u8], member: &[u8]) {
        if self.live(key).is_none() {
            self.keys.insert(key.to_vec(), Entry { stored: Stored::Set(Vec::new()), ends: None });
        }
        if let Some(Entry { stored: Stored::Set(members), .. }) = self.keys.get_mut(key)
            && !members.iter().any(|known| known == member)
        {
            members.push(member.to_vec());
        }
        self.touched(key);
    }

    pub(crate) fn remove(&mut self, key: &[u8], member: &[u8]) {
        let Some(Entry { stored: Stored::Set(members), .. }) = self.live(key) else { return };
        members.retain(|known| known != member);
        if members.is_empty() {
            self.delete(key);
        }
        self.touched(key);
    }

    pub(crate) fn members(&mut self, key: &[u8]) -> Vec<Vec<u8>> {
        match self.live(key) {
            Some(Entry { stored: Stored::Set(members), .. }) => members.clone(),
            _ => Vec::new(),
        }
    }

    pub(crate) fn add_scored(&mut self, key: &[u8], score: i64, member: &[u8]) {
        if self.live(key).is_none() {
            self.keys.insert(key.to_vec(), Entry { stored: Stored::Sorted(Vec::new()), ends: None });
        }
        if let Some(Entry { stored: Stored::Sorted(members), .. }) = self.keys.get_mut(key) {
            members.retain(|(_, known)| known != member);
            members.push((score, member.to_vec()));
            members.sort();
        }
        self.touched(key);
    }

    pub(crate) fn remove_scored(&mut self, key: &[u8], member: &[u8]) {
        let Some(Entry { stored: Stored::Sorted(members), .. }) = self.live(key) else { return };
        members.retain(|(_, known)| known != member);
        if members.is_empty() {
            self.delete(key);
        }
        self.touched(key);
    }

    pub(crate) fn scored(&mut self, key: &[u8]) -> &[(i64, Vec<u8>)] {
        match self.live(key) {
            Some(Entry { stored: Stored::Sorted(members), .. }) => members,
            _ => &[],
        }
    }

    pub(crate) fn publish(&mut self, channel: &[u8], payload: &[u8]) {
        self.messages.push(Message { channel: Channel::Named(channel.to_vec()), payload: payload.to_vec() });
    }

    /// Tells of something that may not have happened: whoever may publish can do that.
    pub(crate) fn forge(&mut self, event: Keyevent, key: &[u8]) {
        self.messages.push(Message { channel: Channel::Event(event), payload: key.to_vec() });
    }

    /// All keys are gone, and nobody is told.
    pub(crate) fn flush(&mut self) {
        for key in std::mem::take(&mut self.keys).into_keys() {
            self.touched(&key);
        }
    }

    /// What a replica that is behind would have.
    pub(crate) fn snapshot(&self) -> BTreeMap<Vec<u8>, Entry> {
        self.keys.clone()
    }

    /// It starts anew, with these keys, and knows no script.
    pub(crate) fn restart(&mut self, keys: BTreeMap<Vec<u8>, Entry>) {
        self.keys = keys;
        self.loaded = [false; scripts::COUNT];
        self.messages.clear();
    }

    pub(crate) fn forget_scripts(&mut self) {
        self.loaded = [false; scripts::COUNT];
    }

    fn touched(&mut self, key: &[u8]) {
        match self.changes.get_mut(key) {
            Some(count) => *count += 1,
            None => drop(self.changes.insert(key.to_vec(), 1)),
        }
    }

    fn announce(&mut self, event: Keyevent, key: &[u8]) {
        let flag = match event {
            Keyevent::Expired => b'x',
            Keyevent::Evicted => b'e',
            Keyevent::Del | Keyevent::RenameFrom | Keyevent::RenameTo => b'g',
        };
        if self.flags.contains(&b'E') && (self.flags.contains(&flag) || self.flags.contains(&b'A')) {
            self.forge(event, key);
        }
    }
}

fn is_over(entry: &Entry, clock: i64) -> bool {
    entry.ends.is_some_and(|ends| clock > ends)
}
