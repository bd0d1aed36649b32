//! The session store inside the process: the same questions, the same sliding lifetime, the same notices.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::sync::Arc;

use bytes::Bytes;

use super::{Answer, Op, Record};
use crate::heap::Upkeep;
use crate::index::Index;
use crate::slab::Slab;
use crate::time::Instant;
use crate::wheel::Wheel;

/// Sessions in memory. Ids are never taken from a client: only [`Op::Create`] and [`Op::Rename`] make them.
///
/// Each question is answered at once. A session ends `timeout_ms` after its last renewal, to the millisecond for who
/// asks, and within 16 ms of that with a [notice](Memory::notice) for who does not.
#[derive(Debug)]
pub struct Memory {
    sessions: Slab<Session>,
    index: Index,
    wheel: Wheel,
    notices: VecDeque<(Arc<str>, bool)>,
    timeout_ms: u64,
    limit: usize,
    upkeep: Upkeep,
}

#[derive(Debug)]
struct Session {
    id: Arc<str>,
    principal: Option<Arc<str>>,
    attributes: Box<[(Box<str>, Bytes)]>,
    accessed: Instant,
}

impl Memory {
    /// A store of at most `limit` sessions that live `timeout_ms` milliseconds without activity.
    pub fn new(seed: [u8; 16], timeout_ms: u64, limit: u32, now: Instant) -> Self {
        Self {
            sessions: Slab::new(),
            index: Index::new(&seed),
            wheel: Wheel::new(now),
            notices: VecDeque::new(),
            timeout_ms,
            limit: limit as usize,
            upkeep: Upkeep::default(),
        }
    }

    /// How many sessions there are.
    pub fn len(&self) -> usize {
        self.sessions.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.sessions.is_empty()
    }

    /// Answers a question. A store that is full answers [`Op::Create`] with [`Answer::Lost`].
    pub fn execute(&mut self, now: Instant, op: &Op) -> Answer {
        match op {
            Op::Load { id } => self.find(id, now).map_or(Answer::Gone, |slot| self.alive(slot, now, true)),
            Op::Check { id } => self.find(id, now).map_or(Answer::Gone, |slot| self.alive(slot, now, false)),
            Op::Touch { id, age_ms } => {
                let Some(slot) = self.find(id, now) else { return Answer::Gone };
                if let Some(session) = self.sessions.slot_mut(slot) {
                    session.accessed = session.accessed.max(now.before(*age_ms));
                }
                self.alive(slot, now, false)
            }
            Op::Create { id, principal, attributes } => {
                if self.sessions.len() >= self.limit || self.find(id, now).is_some() {
                    return Answer::Lost;
                }
                let slot = self.enter(Session {
                    id: id.clone(),
                    principal: principal.clone(),
                    attributes: attributes.as_slice().into(),
                    accessed: now,
                });
                self.alive(slot, now, true)
            }
            Op::Rename { from, to, principal, attributes } => {
                let Some(mut session) = self.find(from, now).and_then(|slot| self.leave(slot)) else {
                    return Answer::Gone;
                };
                session.id = to.clone();
                session.principal.clone_from(principal);
                session.accessed = now;
                let mut all = session.attributes.into_vec();
                for (name, value) in attributes {
                    all.retain(|(other, _)| other != name);
                    all.push((name.clone(), value.clone()));
                }
                session.attributes = all.into();
                let slot = self.enter(session);
                self.alive(slot, now, true)
            }
            Op::End { id } => {
                if let Some(session) = self.find(id, now).and_then(|slot| self.leave(slot)) {
                    self.notices.push_back((session.id, false));
                }
                Answer::Gone
            }
        }
    }

    /// For how long a session is going to live from `now` on, in milliseconds; `None` if there is none. Changes nothing.
    pub fn ttl_ms(&self, id: &str, now: Instant) -> Option<u64> {
        let slot = self.lookup(id)?;
        let ttl = self.sessions.slot(slot)?.accessed.after(self.timeout_ms).since(now);
        (ttl > 0).then_some(ttl)
    }

    /// Ends what has run out by `now`, a bounded number at a time.
    pub fn tick(&mut self, now: Instant) {
        let mut budget = EXPIRIES_A_TURN;
        while let Some(slot) = self.wheel.pop(now, &mut budget) {
            let Some(session) = self.sessions.slot(slot) else { continue };
            if session.accessed.after(self.timeout_ms) <= now {
                self.expire(slot);
            } else {
                self.arm(slot);
            }
        }
    }

    /// When [`tick`](Self::tick) has something to do.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.wheel.next_deadline()
    }

    /// The next notice: a session's id, and whether it ran out (or was ended).
    pub fn notice(&mut self) -> Option<(Arc<str>, bool)> {
        self.notices.pop_front()
    }

    fn find(&mut self, id: &str, now: Instant) -> Option<u32> {
        let slot = self.lookup(id)?;
        if self.sessions.slot(slot)?.accessed.after(self.timeout_ms) <= now {
            self.expire(slot);
            return None;
        }
        Some(slot)
    }

    fn lookup(&self, id: &str) -> Option<u32> {
        // Whoever asks about a bound session mostly shares its text.
        let is = |known: &str| core::ptr::eq(known, id) || known == id;
        let hash = self.index.hash(id.as_bytes());
        self.index.find(hash, |slot| self.sessions.slot(slot).is_some_and(|session| is(&session.id)))
    }

    fn alive(&self, slot: u32, now: Instant, whole: bool) -> Answer {
        let Some(session) = self.sessions.slot(slot) else { return Answer::Gone };
        let record = whole.then(|| {
            Box::new(Record {
                id: session.id.clone(),
                principal: session.principal.clone(),
                attributes: session.attributes.to_vec(),
            })
        });
        Answer::Alive { ttl_ms: Some(session.accessed.after(self.timeout_ms).since(now)), record }
    }

    fn enter(&mut self, session: Session) -> u32 {
        let hash = self.index.hash(session.id.as_bytes());
        let (slot, _) = self.sessions.insert(session);
        let Self { sessions, index, .. } = self;
        index.insert(hash, slot, |slot| [sessions.slot(slot).map_or(&[], |session| session.id.as_bytes())]);
        self.arm(slot);
        slot
    }

    fn leave(&mut self, slot: u32) -> Option<Session> {
        let session = self.sessions.remove_slot(slot)?;
        self.upkeep.freed();
        self.index.remove(self.index.hash(session.id.as_bytes()), slot);
        Some(session)
    }

    fn expire(&mut self, slot: u32) {
        if let Some(session) = self.leave(slot) {
            self.notices.push_back((session.id, true));
        }
    }

    fn arm(&mut self, slot: u32) {
        if let Some(session) = self.sessions.slot(slot) {
            self.wheel.arm(slot, session.accessed.after(self.timeout_ms));
        }
    }
}

/// How many timers one turn fires.
const EXPIRIES_A_TURN: usize = 256;

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;

    fn at(ms: u64) -> Instant {
        Instant::from_millis(ms)
    }

    fn store() -> Memory {
        let mut store = Memory::new([1; 16], 1_000, 2, at(0));
        let answer = store.execute(
            at(0),
            &Op::Create {
                id: "a".into(),
                principal: Some("rob".into()),
                attributes: vec![("csrf".into(), Bytes::from_static(b"t"))],
            },
        );
        assert!(matches!(answer, Answer::Alive { ttl_ms: Some(1_000), .. }));
        store
    }

    #[test]
    fn slides_with_touches_only() {
        let mut store = store();
        assert!(matches!(
            store.execute(at(900), &Op::Load { id: "a".into() }),
            Answer::Alive { ttl_ms: Some(100), .. }
        ));
        assert!(matches!(
            store.execute(at(900), &Op::Check { id: "a".into() }),
            Answer::Alive { ttl_ms: Some(100), record: None }
        ));
        let touch = Op::Touch { id: "a".into(), age_ms: 100 };
        assert_eq!(store.execute(at(900), &touch), Answer::Alive { ttl_ms: Some(900), record: None });
        assert!(matches!(
            store.execute(at(1_799), &Op::Check { id: "a".into() }),
            Answer::Alive { ttl_ms: Some(1), .. }
        ));
        assert_eq!(store.execute(at(1_800), &Op::Check { id: "a".into() }), Answer::Gone);
        assert_eq!(store.notice(), Some(("a".into(), true)));
    }

    #[test]
    fn a_touch_never_goes_back_and_never_brings_back() {
        let mut store = store();
        let touch = |age_ms| Op::Touch { id: "a".into(), age_ms };
        assert!(matches!(store.execute(at(500), &touch(0)), Answer::Alive { ttl_ms: Some(1_000), .. }));
        assert!(matches!(store.execute(at(600), &touch(400)), Answer::Alive { ttl_ms: Some(900), .. }));
        assert_eq!(store.execute(at(1_500), &touch(900)), Answer::Gone);
        assert_eq!(store.execute(at(1_501), &touch(0)), Answer::Gone);
        assert!(store.is_empty());
    }

    #[test]
    fn ends_by_itself_within_a_tick() {
        let mut store = store();
        let due = store.next_deadline().expect("a session is there");
        assert!(due <= at(1_016));
        store.tick(at(999));
        assert_eq!(store.notice(), None);
        store.tick(at(1_016));
        assert_eq!(store.notice(), Some(("a".into(), true)));
        assert!(store.is_empty());
    }

    #[test]
    fn rename_moves_everything_and_leaves_nothing() {
        let mut store = store();
        let rename = Op::Rename {
            from: "a".into(),
            to: "b".into(),
            principal: Some("luke".into()),
            attributes: vec![("csrf".into(), Bytes::from_static(b"u"))],
        };
        let Answer::Alive { record: Some(record), .. } = store.execute(at(10), &rename) else { panic!("alive") };
        assert_eq!(
            (&*record.id, record.principal.as_deref(), record.attribute("csrf")),
            ("b", Some("luke"), Some(&b"u"[..]))
        );
        assert_eq!(store.execute(at(10), &Op::Check { id: "a".into() }), Answer::Gone);
        assert_eq!(store.execute(at(10), &rename), Answer::Gone);
        assert_eq!(store.notice(), None);
    }

    #[test]
    fn end_says_so_once() {
        let mut store = store();
        assert_eq!(store.execute(at(1), &Op::End { id: "a".into() }), Answer::Gone);
        assert_eq!(store.notice(), Some(("a".into(), false)));
        assert_eq!(store.execute(at(1), &Op::End { id: "a".into() }), Answer::Gone);
        assert_eq!(store.notice(), None);
    }

    #[test]
    fn takes_its_limit_and_not_one_more() {
        let mut store = store();
        let create = |id: &str| Op::Create { id: id.into(), principal: None, attributes: vec![] };
        assert!(matches!(store.execute(at(0), &create("b")), Answer::Alive { .. }));
        assert_eq!(store.execute(at(0), &create("c")), Answer::Lost);
        assert_eq!(store.len(), 2);
    }
}
