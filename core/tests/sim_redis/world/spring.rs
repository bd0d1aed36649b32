//! Spring nodes: what they send to Redis, command by command, with their faults.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::redis::{Entry, Redis, Stored};
use crate::values::{self, CONTEXT, Form, INDEX, MINUTES, Names, SORTED};

/// What somebody has a Spring node do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Errand {
    Create,
    /// Any request: it renews.
    Save,
    /// The session gets a new id, and perhaps another principal.
    Login {
        to: Arc<str>,
    },
    Logout,
    /// The application sets the timeout, in seconds; -1: never.
    Timeout(i32),
}

/// How a namespace is kept.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Style {
    pub(crate) form: Form,
    pub(crate) plain: bool,
    pub(crate) sorted: bool,
    pub(crate) cluster: bool,
}

#[derive(Debug)]
enum Step {
    Load,
    Fields(Vec<(Vec<u8>, Vec<u8>)>),
    Created,
    Append,
    ShadowFor(i64),
    HashFor(i64),
    /// PEXPIREAT.
    HashUntil(i64),
    PersistShadow,
    PersistHash,
    Leave(i64),
    MinuteFor(i64, i64),
    Enter(i64),
    Score(i64),
    MoveHash,
    MoveShadow,
    DropShadow,
    DropHash,
    EnterIndex,
    LeaveIndex,
}

/// One errand under way.
#[derive(Debug)]
pub(crate) struct Task {
    pub(crate) session: usize,
    pub(crate) errand: Errand,
    pub(crate) id: Arc<str>,
    pub(crate) principal: &'static str,
    style: Style,
    names: Names,
    to: Option<Names>,
    timeout_s: i32,
    /// By how much its node's clock is wrong, in milliseconds.
    skew_ms: i64,
    steps: VecDeque<Step>,
}

/// How an errand goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Progress {
    More,
    /// Its principal has just been written.
    Named,
    Done,
    /// There is no such session.
    Nothing,
}

impl Task {
    pub(crate) fn new(
        session: usize,
        errand: Errand,
        id: &Arc<str>,
        principal: &'static str,
        style: Style,
        timeout_s: i32,
        skew_ms: i64,
    ) -> Self {
        let to = match &errand {
            Errand::Login { to } => Some(Names::of(to)),
            _ => None,
        };
        let names = Names::of(id);
        let id = id.clone();
        let mut task =
            Self { session, errand, id, principal, style, names, to, timeout_s, skew_ms, steps: VecDeque::new() };
        task.steps.push_back(Step::Load);
        task
    }

    /// One command.
    pub(crate) fn step(&mut self, redis: &mut Redis) -> Progress {
        let Some(step) = self.steps.pop_front() else { return Progress::Done };
        let mut named = false;
        let Names { hash, shadow } = &self.names;
        match step {
            Step::Load => {
                if !self.load(redis) {
                    return Progress::Nothing;
                }
            }
            Step::Fields(fields) => {
                let pairs: Vec<(&[u8], &[u8])> = fields.iter().map(|(name, value)| (&name[..], &value[..])).collect();
                if redis.set_fields(hash, &pairs).is_none() {
                    return Progress::Nothing;
                }
                named = fields.iter().any(|(name, _)| name == CONTEXT);
            }
            Step::Created => redis.publish(b"spring:session:event:0:created:", b""),
            Step::Append => redis.append_nothing(shadow),
            Step::ShadowFor(ms) => drop(redis.expire_in(shadow, ms)),
            Step::HashFor(ms) => drop(redis.expire_in(hash, ms)),
            Step::HashUntil(at) => drop(redis.expire_in(hash, at - redis.clock)),
            Step::PersistShadow => redis.persist(shadow),
            Step::PersistHash => redis.persist(hash),
            Step::Leave(minute) => redis.remove(&set(minute), &self.member()),
            Step::MinuteFor(minute, ms) => drop(redis.expire_in(&set(minute), ms)),
            Step::Enter(minute) => redis.add(&set(minute), &self.member()),
            Step::Score(due) => redis.add_scored(SORTED, due, &values::text(self.style.form, self.text_id())),
            Step::MoveHash => {
                let to = self.to.clone().expect("a login");
                if !self.shift(redis, &hash.clone(), &to.hash) {
                    return Progress::Nothing;
                }
                if self.style.plain {
                    self.names = to;
                }
            }
            Step::MoveShadow => {
                let to = self.to.clone().expect("a login");
                self.shift(redis, &shadow.clone(), &to.shadow);
                self.names = to;
            }
            Step::DropShadow => drop(redis.delete(shadow)),
            Step::DropHash => drop(redis.delete(hash)),
            Step::EnterIndex => redis.add(&self.index(), &values::text(self.style.form, self.text_id())),
            Step::LeaveIndex => redis.remove(&self.index(), &values::text(self.style.form, self.text_id())),
        }
        match self.steps.is_empty() {
            true => Progress::Done,
            false if named => Progress::Named,
            false => Progress::More,
        }
    }

    /// RENAME; on a Cluster a copy, and then the deletion.
    fn shift(&self, redis: &mut Redis, from: &[u8], to: &[u8]) -> bool {
        if !self.style.cluster {
            return redis.rename(from, to);
        }
        let Some(entry) = redis.live(from).cloned() else { return false };
        redis.put(to, entry);
        redis.delete(from)
    }

    /// Reads the session, and decides what is to be done; false if there is none.
    fn load(&mut self, redis: &mut Redis) -> bool {
        let now = redis.clock + self.skew_ms;
        let Style { form, plain, .. } = self.style;
        let last = || (b"lastAccessedTime".to_vec(), values::long(form, now));
        let context = (CONTEXT.to_vec(), context(form, self.principal));
        if self.errand == Errand::Create {
            self.steps.push_back(Step::Fields(vec![
                (b"creationTime".to_vec(), values::long(form, now)),
                last(),
                (b"maxInactiveInterval".to_vec(), values::integer(form, self.timeout_s)),
                context,
            ]));
            if !plain {
                self.steps.push_back(Step::Created);
            }
            self.save(now, None, i64::from(self.timeout_s));
            self.steps.extend((!plain).then_some(Step::EnterIndex));
            return true;
        }
        let Some((before, max)) = read(redis, &self.names.hash) else { return false };
        if max >= 0 && now - max * 1_000 >= before {
            return false;
        }
        let due = (max > 0).then_some(before + max * 1_000);
        match self.errand.clone() {
            Errand::Create => {}
            Errand::Save => {
                self.steps.push_back(Step::Fields(vec![last()]));
                self.save(now, due, max);
            }
            Errand::Timeout(max) => {
                let max_field = (b"maxInactiveInterval".to_vec(), values::integer(form, max));
                self.steps.push_back(Step::Fields(vec![last(), max_field]));
                // The entry of the time that was due before stays.
                self.save(now, None, i64::from(max));
            }
            Errand::Login { .. } => {
                self.steps.push_back(Step::MoveHash);
                if !plain {
                    self.steps.push_back(Step::MoveShadow);
                }
                self.steps.push_back(Step::Fields(vec![last(), context]));
                self.save(now, None, max);
                self.steps.extend((!plain).then_some(Step::EnterIndex));
            }
            Errand::Logout => {
                self.steps.push_back(Step::Fields(vec![last()]));
                self.save(now, due, max);
                if plain {
                    self.steps.push_back(Step::DropHash);
                    return true;
                }
                let ended = (b"maxInactiveInterval".to_vec(), values::integer(form, 0));
                self.steps.push_back(Step::LeaveIndex);
                if !self.style.sorted {
                    self.steps.push_back(Step::Leave(values::minute(now + max * 1_000)));
                }
                self.steps.push_back(Step::DropShadow);
                self.steps.push_back(Step::Fields(vec![ended]));
                self.steps.push_back(Step::DropShadow);
                self.steps.push_back(Step::HashFor(300_000));
                self.file(values::minute(now), 300_000, now);
            }
        }
        true
    }

    /// The block that every save ends with.
    fn save(&mut self, now: i64, due_before: Option<i64>, max: i64) {
        let ms = max * 1_000;
        if self.style.plain {
            self.steps.push_back(if max < 0 { Step::PersistHash } else { Step::HashUntil(now + ms) });
            return;
        }
        self.steps.push_back(Step::Append);
        if max < 0 {
            // So that the session is deleted for all who listen, though it never ends.
            self.steps.extend([
                Step::PersistShadow,
                Step::PersistHash,
                Step::Append,
                Step::ShadowFor(ms),
                Step::HashFor(ms + 300_000),
            ]);
            return;
        }
        self.steps.extend([Step::ShadowFor(ms), Step::HashFor(ms + 300_000)]);
        let minute = values::minute(now + ms);
        if let Some(before) = due_before.map(values::minute).filter(|before| *before != minute && !self.style.sorted) {
            self.steps.push_back(Step::Leave(before));
        }
        self.file(minute, ms + 300_000, now + ms);
    }

    fn file(&mut self, minute: i64, ms: i64, due: i64) {
        if self.style.sorted {
            self.steps.push_back(Step::Score(due));
        } else {
            self.steps.extend([Step::MinuteFor(minute, ms), Step::Enter(minute)]);
        }
    }

    fn text_id(&self) -> &str {
        values::id_in(&self.names.hash).expect("the name of a hash")
    }

    fn member(&self) -> Vec<u8> {
        values::text(self.style.form, &format!("expires:{}", self.text_id()))
    }

    fn index(&self) -> Vec<u8> {
        format!("{INDEX}{}", self.principal).into_bytes()
    }
}

/// The cleanup job at a full minute.
pub(crate) fn clean(redis: &mut Redis) {
    let key = set(redis.clock.div_euclid(60_000) * 60_000);
    let members = redis.members(&key);
    redis.delete(&key);
    for member in members {
        let text = String::from_utf8_lossy(&member);
        if let Some((_, id)) = text.trim_matches('"').split_once("expires:") {
            redis.expire(&Names::of(id).shadow);
        }
    }
}

/// A security context of this user.
fn context(form: Form, name: &str) -> Vec<u8> {
    if form == Form::Json {
        return format!("{{\"authentication\":{{\"principal\":{{\"username\":\"{name}\"}}}}}}").into_bytes();
    }
    let object = |class: &[u8], field: &[u8], value: &[u8]| {
        let len = |text: &[u8]| (text.len() as u16).to_be_bytes();
        let of: &[u8] = b"Ljava/lang/Object;";
        [b"sr", &len(class)[..], class, &[0; 8], b"\x02\0\x01L", &len(field), field, b"t", &len(of), of, b"xp", value]
            .concat()
    };
    let token = object(b"Token", b"principal", &values::text(form, name)[4..]);
    [&b"\xac\xed\0\x05"[..], &object(b"Context", b"authentication", &token)].concat()
}

/// Its last access and its interval, in milliseconds and seconds.
fn read(redis: &mut Redis, hash: &[u8]) -> Option<(i64, i64)> {
    let Entry { stored: Stored::Hash(fields), .. } = redis.live(hash)? else { return None };
    let value = |name: &[u8]| fields.iter().find(|(known, _)| known == name).map(|(_, value)| &value[..]);
    value(b"creationTime")?;
    Some((values::read_long_in(value(b"lastAccessedTime")?)?.0, values::read_integer(value(b"maxInactiveInterval")?)?))
}

fn set(minute: i64) -> Vec<u8> {
    format!("{MINUTES}{minute}").into_bytes()
}
