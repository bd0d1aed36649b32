//! The scripts, as their documentation says: each is one atomic step.

use std::sync::OnceLock;

use tethered_core::session::spring::Script;

use super::{Redis, Stored, Value};
use crate::values::{self, Form};

pub(super) const COUNT: usize = Script::ALL.len();
/// The one script that is sent as text only.
const SURVEY: &str = include_str!("../../../src/session/spring/scripts/survey.lua");
const GRACE: i64 = 300_000;
const FAR: i64 = 31_622_400_000;

/// Which script a command calls.
pub(crate) fn call(args: &[&[u8]]) -> Option<Script> {
    match args {
        [b"EVALSHA", sha, ..] => by_sha(sha),
        [b"EVAL", text, ..] => by_text(text),
        _ => None,
    }
}

/// Whether a command is a script that renews.
pub(crate) fn is_touch(args: &[&[u8]]) -> bool {
    call(args) == Some(Script::Touch)
}

fn shas() -> &'static [String; COUNT] {
    static SHAS: OnceLock<[String; COUNT]> = OnceLock::new();
    SHAS.get_or_init(|| Script::ALL.map(Script::sha))
}

fn by_sha(sha: &[u8]) -> Option<Script> {
    Script::ALL.into_iter().zip(shas()).find(|(_, known)| known.as_bytes() == sha).map(|(script, _)| script)
}

fn by_text(text: &[u8]) -> Option<Script> {
    Script::ALL.into_iter().find(|script| script.text().as_bytes() == text)
}

#[derive(Clone, Copy)]
struct Whole {
    last: i64,
    max: i64,
    form: Form,
}

struct Facts {
    items: Vec<Value>,
    is_hash: bool,
    whole: Option<Whole>,
    lives: bool,
    now: i64,
}

/// How members of the sorted set are written, and where due times are noted.
#[derive(Clone, Copy)]
enum Written {
    As(Form),
    Bare,
}

impl Redis {
    pub(super) fn script(&mut self, args: &[&[u8]]) -> Value {
        if !self.may_script {
            return Value::Error(match args[0] {
                b"EVAL" => "NOPERM User app has no permissions to run the 'eval' command",
                b"EVALSHA" => "NOPERM User app has no permissions to run the 'evalsha' command",
                _ => "NOPERM User app has no permissions to run the 'script|load' command",
            });
        }
        if args[0] == b"EVAL" && args[1] == SURVEY.as_bytes() {
            return self.survey(args[3]);
        }
        let script = match args[0] {
            b"SCRIPT" => by_text(args[2]),
            _ => call(args),
        };
        let script = script.expect("one of ours");
        let known = &mut self.loaded[Script::ALL.iter().position(|other| *other == script).expect("it is listed")];
        match args[0] {
            b"EVALSHA" if !*known => return Value::Error("NOSCRIPT No matching script. Please use EVAL."),
            _ => *known = true,
        }
        if args[0] == b"SCRIPT" {
            return Value::Bulk(Vec::new());
        }
        let count: usize = text(args[2]).parse().expect("a number of keys");
        let (keys, args) = args[3..].split_at(count);
        match script {
            Script::Look => self.look(keys, args),
            Script::Touch => self.touch(keys, args),
            Script::Create => self.create(keys, args),
            Script::Rename => self.rename_session(keys, args),
            Script::End => self.end(keys, args),
            Script::Raise => Value::Int(self.raise(keys[0], number(args[0]))),
            Script::Enter => {
                self.add(keys[0], args[0]);
                self.expire_in(keys[0], number(args[1]));
                Value::Int(1)
            }
            Script::Probe => Value::Int(0),
        }
    }

    fn facts(&mut self, hash: &[u8], shadow: Option<&[u8]>, layout: &[u8]) -> Facts {
        let now = self.clock;
        let hash_ttl = self.left(hash);
        let shadow_ttl = shadow.map_or(-3, |shadow| self.left(shadow));
        let kind = self.kind(hash);
        let items =
            vec![Value::Int(now), Value::Bulk(kind.as_bytes().to_vec()), Value::Int(hash_ttl), Value::Int(shadow_ttl)];
        let mut facts = Facts { items, is_hash: kind == "hash", whole: None, lives: false, now };
        let Some(Stored::Hash(fields)) = self.live(hash).map(|entry| &entry.stored) else { return facts };
        let stored = NEEDED.map(|name| field(fields, name));
        facts.items.extend(stored.map(Value::bytes));
        let [Some(created), Some(last), Some(max)] = stored else { return facts };
        let (Some((last, form)), Some(max)) = (values::read_long_in(last), values::read_integer(max)) else {
            return facts;
        };
        if created.is_empty() || last < 0 || last > now + FAR || i32::try_from(max).is_err() {
            return facts;
        }
        facts.whole = Some(Whole { last, max, form });
        let left = if layout == b"plain" { hash_ttl } else { shadow_ttl };
        facts.lives = match max {
            0 => false,
            i64::MIN..0 => true,
            _ => layout == b"hash" || left > 0 || left == -1 && last + max * 1_000 > now,
        };
        facts
    }

    fn look(&mut self, keys: &[&[u8]], args: &[&[u8]]) -> Value {
        let limit = number(args[0]) as usize;
        let mut facts = self.facts(keys[0], keys.get(1).copied(), b"");
        if let Some(Stored::Hash(fields)) = self.live(keys[0]).map(|entry| &entry.stored) {
            facts.items.extend(args[1..].iter().map(|name| Value::bytes(field(fields, name))));
        }
        for item in &mut facts.items[4..] {
            if let Value::Bulk(bytes) = item
                && bytes.len() > limit
            {
                *item = Value::Int(bytes.len() as i64);
            }
        }
        Value::List(facts.items)
    }

    /// Which sessions there are: all of them on one page.
    fn survey(&mut self, prefix: &[u8]) -> Value {
        let mut found = vec![Value::Bulk(b"0".to_vec()), Value::Int(self.clock)];
        for key in self.keys_below(prefix) {
            let id = key[prefix.len()..].to_vec();
            if id.contains(&b':') || self.kind(&key) != "hash" {
                continue;
            }
            found.push(Value::Int(self.left(&key)));
            found.push(Value::Int(self.left(&[prefix, b"expires:", &id].concat())));
            let Some(Stored::Hash(fields)) = self.live(&key).map(|entry| &entry.stored) else { continue };
            let values = NEEDED.map(|name| field(fields, name).filter(|value| value.len() <= 100));
            found.extend(values.map(|value| Value::Bulk(value.unwrap_or_default().to_vec())));
        }
        Value::List(found)
    }

    fn touch(&mut self, keys: &[&[u8]], args: &[&[u8]]) -> Value {
        let [layout, mode, minutes, id, age] = args else { panic!("{} arguments", args.len()) };
        let age = number(age);
        let facts = self.facts(keys[0], keys.get(1).copied(), layout);
        let at = facts.now - age;
        let Some(whole) = facts.whole.filter(|whole| facts.lives && at > whole.last) else {
            return Value::List(facts.items);
        };
        let ttl = whole.max * 1_000 - age;
        if whole.max > 0 && ttl <= 0 {
            return Value::List(facts.items);
        }
        self.set_fields(keys[0], &[(b"lastAccessedTime", &values::long(whole.form, at))]);
        let left = if whole.max < 0 {
            self.persist(keys[0]);
            -1
        } else if *layout == b"plain" {
            self.raise(keys[0], ttl)
        } else {
            self.raise(keys[0], ttl + GRACE);
            if *layout == b"indexed" {
                let left = self.raise(keys[1], ttl);
                let due = at + whole.max * 1_000;
                let member = self.written(keys[2], mode, whole.form);
                let before = whole.last + whole.max * 1_000;
                if member.is_none() && values::minute(before) != values::minute(due) {
                    self.unfile(&whole, keys[2], member, minutes, id);
                }
                self.file(whole.form, keys[2], member, minutes, id, due, whole.max * 1_000);
                left
            } else {
                ttl
            }
        };
        let mut items = facts.items;
        items.push(Value::Int(left));
        Value::List(items)
    }

    fn create(&mut self, keys: &[&[u8]], args: &[&[u8]]) -> Value {
        let [layout, mode, minutes, id, form, ttl, due, index, channel, body, pairs @ ..] = args else {
            panic!("{} arguments", args.len())
        };
        if self.live(keys[0]).is_some() {
            return Value::Int(0);
        }
        let form = if *form == b"java" { Form::Java } else { Form::Json };
        let (ttl, due) = (number(ttl), number(due));
        self.set_fields(keys[0], &self::pairs(pairs));
        self.expire_in(keys[0], if *layout == b"plain" { ttl } else { ttl + GRACE });
        if *layout == b"indexed" {
            self.put(keys[1], super::Entry { stored: Stored::Text(Vec::new()), ends: Some(self.clock + ttl) });
            let member = self.written(keys[2], mode, form);
            self.file(form, keys[2], member, minutes, id, due, ttl);
            if !index.is_empty() {
                self.add(index, &values::text(form, text(id)));
            }
            self.publish(channel, body);
        }
        Value::Int(1)
    }

    fn rename_session(&mut self, keys: &[&[u8]], args: &[&[u8]]) -> Value {
        let [layout, mode, minutes, from, to, leaves, enters, pairs @ ..] = args else {
            panic!("{} arguments", args.len())
        };
        let facts = self.facts(keys[0], keys.get(2).copied(), layout);
        let Some(whole) = facts.whole.filter(|_| facts.lives && self.peek(keys[1]).is_none()) else {
            return Value::List(facts.items);
        };
        self.rename(keys[0], keys[1]);
        let last = values::long(whole.form, facts.now);
        let mut fields = vec![(&b"lastAccessedTime"[..], &last[..])];
        fields.extend(self::pairs(pairs));
        self.set_fields(keys[1], &fields);
        let ttl = whole.max * 1_000;
        let mut left = -1;
        if whole.max < 0 {
            self.persist(keys[1]);
        } else {
            left = self.raise(keys[1], if *layout == b"plain" { ttl } else { ttl + GRACE });
        }
        if *layout == b"indexed" {
            self.rename(keys[2], keys[3]);
            let member = self.written(keys[4], mode, whole.form);
            self.unfile(&whole, keys[4], member, minutes, from);
            if whole.max > 0 {
                left = self.raise(keys[3], ttl);
                self.file(whole.form, keys[4], member, minutes, to, facts.now + ttl, ttl);
            }
            if !leaves.is_empty() {
                self.remove(leaves, &values::text(whole.form, text(from)));
            }
            if !enters.is_empty() {
                self.add(enters, &values::text(whole.form, text(to)));
            }
        }
        let mut items = facts.items;
        items.push(Value::Int(left));
        Value::List(items)
    }

    fn end(&mut self, keys: &[&[u8]], args: &[&[u8]]) -> Value {
        let [layout, mode, minutes, id, index] = args else { panic!("{} arguments", args.len()) };
        let facts = self.facts(keys[0], keys.get(1).copied(), layout);
        match facts.whole.filter(|_| *layout != b"plain") {
            _ if !facts.is_hash => {}
            None => drop(self.delete(keys[0])),
            Some(whole) if whole.max != 0 => {
                self.set_fields(keys[0], &[(b"maxInactiveInterval", &values::integer(whole.form, 0))]);
                self.expire_in(keys[0], GRACE);
            }
            Some(_) => {}
        }
        if *layout == b"indexed" {
            if let Some(whole) = facts.whole {
                let member = self.written(keys[2], mode, whole.form);
                self.unfile(&whole, keys[2], member, minutes, id);
                if !index.is_empty() {
                    self.remove(index, &values::text(whole.form, text(id)));
                }
            }
            self.delete(keys[1]);
        }
        Value::List(facts.items)
    }

    fn raise(&mut self, key: &[u8], ttl: i64) -> i64 {
        let left = self.left(key);
        if left == -1 || (0..ttl).contains(&left) {
            self.expire_in(key, ttl);
            return ttl;
        }
        left
    }

    /// How its members are written if the sorted set is to be used.
    fn written(&mut self, key: &[u8], mode: &[u8], form: Form) -> Option<Written> {
        if mode == b"sets" {
            return None;
        }
        match self.scored(key).first() {
            Some((_, member)) => Some(match member.first() {
                Some(0xac) => Written::As(Form::Java),
                Some(b'"') => Written::As(Form::Json),
                _ => Written::Bare,
            }),
            None => (mode == b"sorted").then_some(Written::As(form)),
        }
    }

    fn unfile(&mut self, whole: &Whole, sorted: &[u8], member: Option<Written>, minutes: &[u8], id: &[u8]) {
        if let Some(member) = member {
            self.remove_scored(sorted, &member.write(id));
        }
        if whole.max > 0 {
            let minute = values::minute(whole.last + whole.max * 1_000);
            let set = [minutes, minute.to_string().as_bytes()].concat();
            self.remove(&set, &values::text(whole.form, &format!("expires:{}", text(id))));
        }
    }

    #[allow(clippy::too_many_arguments, reason = "as the script has")]
    fn file(
        &mut self,
        form: Form,
        sorted: &[u8],
        member: Option<Written>,
        minutes: &[u8],
        id: &[u8],
        due: i64,
        ttl: i64,
    ) {
        if let Some(member) = member {
            return self.add_scored(sorted, due, &member.write(id));
        }
        let set = [minutes, values::minute(due).to_string().as_bytes()].concat();
        self.add(&set, &values::text(form, &format!("expires:{}", text(id))));
        self.expire_in(&set, ttl + GRACE);
    }
}

impl Written {
    fn write(self, id: &[u8]) -> Vec<u8> {
        match self {
            Self::As(form) => values::text(form, text(id)),
            Self::Bare => id.to_vec(),
        }
    }
}

pub(super) const NEEDED: [&[u8]; 3] = [b"creationTime", b"lastAccessedTime", b"maxInactiveInterval"];

pub(super) fn field<'f>(fields: &'f [(Vec<u8>, Vec<u8>)], name: &[u8]) -> Option<&'f [u8]> {
    fields.iter().find(|(known, _)| known == name).map(|(_, value)| &value[..])
}

pub(super) fn pairs<'a>(args: &[&'a [u8]]) -> Vec<(&'a [u8], &'a [u8])> {
    args.chunks_exact(2).map(|pair| (pair[0], pair[1])).collect()
}

pub(super) fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("text")
}

pub(super) fn number(bytes: &[u8]) -> i64 {
    text(bytes).parse().expect("a number")
}
