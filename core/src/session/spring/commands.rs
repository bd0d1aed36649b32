//! Commands that ask and write, from a question and the names of its keys.

use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use bytes::Bytes;

use super::config::{Expirations, Layout, Serializer};
use super::created::{New, field};
use super::facts::Read;
use super::keys::{Digits, on_key};
use super::record;
use super::values::{self, Form};
use super::work::{Part, Work, session};
use super::{Script, Spring};
use crate::redis::Command;
use crate::session::Op;
use crate::time::Instant;

/// A field and its value.
type Pair<'w> = (Cow<'w, [u8]>, Cow<'w, [u8]>);
/// An argument, in parts.
type Parts<'a> = [&'a [u8]; 3];

impl Spring {
    /// Asks for the facts, and for the attributes that tell who is logged in.
    pub(super) fn look_command(&self, name: &str, both: bool, fields: bool, with_text: bool) -> Command {
        let keys = [self.keys.hash(name), self.keys.shadow(name)];
        let limit = Digits::from(self.limits.bulk as u64);
        let mut args = vec![one(limit.as_bytes())];
        if fields {
            args.extend(record::wanted(&self.config).map(|name| [b"sessionAttr:", name.as_bytes(), b""]));
        }
        self.call(Script::Look, with_text, keys.get(..1 + usize::from(both)).unwrap_or_default(), &args)
    }

    pub(super) fn shadow_ttl_command(&self, name: &str) -> Command {
        on_key("PTTL", self.keys.shadow(name), &[])
    }

    /// The first member of the sorted set tells the form of all; `None` if the set is not to be used.
    pub(super) fn sorted_command(&self) -> Option<Command> {
        let used = self.config.expirations != Expirations::MinuteSets;
        used.then(|| Command::new(&[b"ZRANGE", self.keys.sorted.as_bytes(), b"0", b"0"]))
    }

    /// Asks for the facts command by command.
    pub(super) fn read_commands(&self, name: &str, shadow: bool, fields: bool) -> Vec<(Part, Command)> {
        let hash = self.keys.hash(name);
        let names: Vec<String> = if fields { record::wanted(&self.config).map(field).collect() } else { Vec::new() };
        let mut wanted: Vec<&[u8]> = VALUES.map(str::as_bytes).to_vec();
        wanted.extend(names.iter().map(|name| name.as_bytes()));
        let mut commands = vec![
            (Part::Time, Command::new(&[b"TIME"])),
            (Part::Type, on_key("TYPE", hash, &[])),
            (Part::Values, on_key("HMGET", hash, &wanted)),
            (Part::HashTtl, on_key("PTTL", hash, &[])),
        ];
        if shadow {
            commands.push((Part::ShadowTtl, self.shadow_ttl_command(name)));
        }
        commands
    }

    /// The script that carries the question out; `None` if what is to be written cannot be.
    pub(super) fn write_command(&self, work: &Work, now: Instant) -> Option<Command> {
        match &work.op {
            Op::Touch { id, .. } => {
                let age = Digits::from(work.age_ms(now));
                let args = [&self.head(id)[..], &[one(age.as_bytes())]].concat();
                Some(self.call(Script::Touch, work.with_text, &self.session_keys(id), &args))
            }
            Op::Create { id, principal, attributes } => {
                let new = self.new_session(work.facts.now, principal.as_deref(), attributes)?;
                let fields = new.fields();
                let (body, index) = (new.announcement(), self.index_key(principal.as_deref()));
                let channel = self.keys.created(id).concat();
                let pairs = fields.iter().map(|(name, value)| (&name[..], &value[..]));
                let ttl = self.lifetime_ms();
                Some(self.creation(work, id, new.form, ttl, &index, [&channel, &body], pairs))
            }
            // On a Cluster: a copy under the new name.
            Op::Rename { to, principal, attributes, .. } if self.config.cluster => {
                let read = work.facts.whole()?;
                let pairs = self.copied(work, read, principal.as_deref(), attributes)?;
                let grace = if self.layout == Layout::Plain { 0 } else { GRACE_MS };
                // It is persisted later if it never ends.
                let ttl = (read.max * 1_000).max(work.facts.hash_ttl - grace).max(1_000);
                let pairs = pairs.iter().map(|(name, value)| (&name[..], &value[..]));
                Some(self.creation(work, to, read.form, ttl.unsigned_abs(), b"", [b"", b""], pairs))
            }
            Op::Rename { from, to, principal, attributes } => {
                let read = work.facts.whole()?;
                let pairs = self.changed(work, read.form, principal.as_deref(), attributes)?;
                let (leaves, enters) = self.indexes(work, principal.as_deref());
                let mut args = self.head(from).to_vec();
                args.extend([one(to.as_bytes()), one(&leaves), one(&enters)]);
                args.extend(pairs.iter().flat_map(|(name, value)| [one(name), one(value)]));
                let hashes = [self.keys.hash(from), self.keys.hash(to)];
                let others = [self.keys.shadow(from), self.keys.shadow(to), one(self.keys.sorted.as_bytes())];
                let others = if self.layout == Layout::Plain { &[][..] } else { &others };
                Some(self.call(Script::Rename, work.with_text, &[&hashes[..], others].concat(), &args))
            }
            Op::End { id } => {
                let index = self.index_key(work.found.indexed.as_deref());
                let args = [&self.head(id)[..], &[one(&index)]].concat();
                Some(self.call(Script::End, work.with_text, &self.session_keys(id), &args))
            }
            Op::Load { .. } | Op::Check { .. } => None,
        }
    }

    /// On a Cluster: takes away a hash that was copied, and tells what was in it.
    pub(super) fn take_command(&self, work: &Work) -> Command {
        let name = session(&work.op);
        let args = [one(b"plain"), one(b"sets"), one(b""), one(name.as_bytes()), one(b"")];
        self.call(Script::End, work.with_text, &[self.keys.hash(name)], &args)
    }

    #[allow(clippy::too_many_arguments, reason = "the script has as many")]
    fn creation<'p>(
        &self,
        work: &Work,
        id: &str,
        form: Form,
        ttl: u64,
        index: &[u8],
        [channel, body]: [&[u8]; 2],
        pairs: impl Iterator<Item = (&'p [u8], &'p [u8])>,
    ) -> Command {
        let due = work.facts.now.saturating_add(i64::try_from(ttl).unwrap_or(i64::MAX));
        let (ttl, due) = (Digits::from(ttl), Digits::from(due));
        let form: &[u8] = if form == Form::Java { b"java" } else { b"json" };
        let mut args = self.head(id).to_vec();
        args.extend([form, ttl.as_bytes(), due.as_bytes(), index, channel, body].map(one));
        args.extend(pairs.flat_map(|(name, value)| [one(name), one(value)]));
        self.call(Script::Create, work.with_text, &self.session_keys(id), &args)
    }

    /// A session that is to be made.
    pub(super) fn new_session<'s>(
        &'s self,
        now: i64,
        principal: Option<&'s str>,
        attributes: &'s [(Box<str>, Bytes)],
    ) -> Option<New<'s>> {
        let form = if self.config.serializer == Serializer::Java { Form::Java } else { Form::Json };
        let max = i32::try_from(self.lifetime_ms() / 1_000).ok()?;
        let mut texts: Vec<(&str, &str)> = Vec::new();
        texts.extend(principal.map(|principal| (self.config.principal_attribute.as_str(), principal)));
        for (name, value) in attributes {
            texts.push((name, core::str::from_utf8(value).ok()?));
        }
        Some(New { form, now, max, attributes: texts })
    }

    /// The fields that a login changes: who it is, what is to be set; and the context of somebody else is taken out.
    pub(super) fn changed(
        &self,
        work: &Work,
        form: Form,
        principal: Option<&str>,
        attributes: &[(Box<str>, Bytes)],
    ) -> Option<Vec<(Vec<u8>, Vec<u8>)>> {
        let text = |text| values::write_text(form, text);
        let name = |attribute: &str| field(attribute).into_bytes();
        let mut pairs = vec![(name(&self.config.principal_attribute), principal.map_or_else(Vec::new, text))];
        if work.found.principal.as_deref() != principal {
            pairs.push((name(&self.config.context_attribute), Vec::new()));
        }
        for (attribute, value) in attributes {
            pairs.push((name(attribute), text(core::str::from_utf8(value).ok()?)));
        }
        Some(pairs)
    }

    /// All fields of a hash that is copied, as a login leaves them.
    fn copied<'w>(
        &self,
        work: &'w Work,
        read: Read,
        principal: Option<&str>,
        attributes: &[(Box<str>, Bytes)],
    ) -> Option<Vec<Pair<'w>>> {
        let mut changed = self.changed(work, read.form, principal, attributes)?;
        changed.push((b"lastAccessedTime".to_vec(), values::write_long(read.form, work.facts.now)));
        let kept = work.copy.chunks_exact(2).filter_map(|pair| {
            let [name, value] = pair else { return None };
            let stays = changed.iter().all(|(other, _)| **other != **name);
            stays.then_some((Cow::Borrowed(&**name), Cow::Borrowed(&**value)))
        });
        let mut all: Vec<_> = kept.collect();
        all.extend(changed.into_iter().map(|(name, value)| (Cow::Owned(name), Cow::Owned(value))));
        Some(all)
    }

    /// The keys of the indexes that a login leaves and enters; nothing where there are none.
    pub(super) fn indexes(&self, work: &Work, principal: Option<&str>) -> (Vec<u8>, Vec<u8>) {
        (self.index_key(work.found.indexed.as_deref()), self.index_key(principal))
    }

    /// The key of a principal's index; nothing where there is none.
    pub(super) fn index_key(&self, principal: Option<&str>) -> Vec<u8> {
        match principal {
            Some(principal) if self.layout != Layout::Plain => self.keys.index(principal).concat(),
            _ => Vec::new(),
        }
    }

    /// What the arguments of every script begin with that writes.
    fn head<'s>(&'s self, id: &'s str) -> [Parts<'s>; 4] {
        let layout: &[u8] = match self.layout {
            Layout::Plain => b"plain",
            Layout::Indexed | Layout::Detect if self.config.cluster => b"hash",
            Layout::Indexed | Layout::Detect => b"indexed",
        };
        let mode: &[u8] = match self.config.expirations {
            Expirations::Detect => b"detect",
            Expirations::MinuteSets => b"sets",
            Expirations::SortedSet => b"sorted",
        };
        [one(layout), one(mode), one(self.keys.minutes.as_bytes()), one(id.as_bytes())]
    }

    /// The keys of a session that lie together.
    fn session_keys<'s>(&'s self, id: &'s str) -> Vec<Parts<'s>> {
        let mut keys = vec![self.keys.hash(id)];
        if self.layout != Layout::Plain && !self.config.cluster {
            keys.extend([self.keys.shadow(id), one(self.keys.sorted.as_bytes())]);
        }
        keys
    }

    /// EVALSHA, or EVAL with the text.
    pub(super) fn call(&self, script: Script, with_text: bool, keys: &[Parts<'_>], args: &[Parts<'_>]) -> Command {
        let sha = Script::ALL.iter().zip(&self.shas).find(|(of, _)| **of == script).map_or("", |(_, sha)| sha);
        let (name, body) = if with_text { ("EVAL", script.text()) } else { ("EVALSHA", sha) };
        let count = Digits::from(keys.len() as u64);
        let head = [one(name.as_bytes()), one(body.as_bytes()), one(count.as_bytes())];
        Command::build(head.into_iter().chain(keys.iter().copied()).chain(args.iter().copied()))
    }
}

fn one(arg: &[u8]) -> Parts<'_> {
    [arg, b"", b""]
}

/// How much longer than its session a hash of the indexed layout is kept, in milliseconds.
pub(super) const GRACE_MS: i64 = 300_000;
/// The fields without which there is no session.
pub(super) const VALUES: [&str; 3] = ["creationTime", "lastAccessedTime", "maxInactiveInterval"];
