//! What session stores say, as C gives it.

use std::sync::Arc;

use tethered_core::hub::{Event, Notice};
use tethered_core::ids::CallId;
use tethered_core::redis::{Item, Reply};
use tethered_core::session::{Answer, Record};
use tethered_core::time::Now;

use super::Machine;
use crate::kinds::tethered_reply_kind::{self, *};
use crate::status::{Outcome, wrong};

/// A reply as it came.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Replied<'a> {
    pub(crate) kind: tethered_reply_kind,
    pub(crate) value: i64,
    pub(crate) items: &'a [Item<'a>],
}

impl<'a> Replied<'a> {
    /// As a Redis gives it.
    fn of_redis(self) -> Outcome<Reply<'a>> {
        Ok(match self.kind {
            TETHERED_REPLY_NIL => Reply::Nil,
            TETHERED_REPLY_INT => Reply::Int(self.value),
            TETHERED_REPLY_BULK => Reply::Bulk(self.only()?),
            TETHERED_REPLY_ERROR => Reply::Error(self.only()?),
            TETHERED_REPLY_LIST => Reply::List(self.items),
            TETHERED_REPLY_LOST => Reply::Lost,
        })
    }

    /// As a store outside answers.
    fn of_store(self) -> Outcome<Answer> {
        let ttl_ms = u64::try_from(self.value).ok();
        Ok(match self.kind {
            TETHERED_REPLY_NIL => Answer::Gone,
            TETHERED_REPLY_INT => Answer::Alive { ttl_ms, record: None },
            TETHERED_REPLY_LIST => Answer::Alive { ttl_ms, record: Some(Box::new(self.record()?)) },
            TETHERED_REPLY_BULK => {
                return Err(wrong("items: a session is answered with NIL, INT, LIST, ERROR or LOST"));
            }
            TETHERED_REPLY_ERROR | TETHERED_REPLY_LOST => Answer::Lost,
        })
    }

    /// The id, the principal, and attributes in turn.
    fn record(self) -> Outcome<Record> {
        let text = |item: &Item<'a>| item.bytes().and_then(|bytes| str::from_utf8(bytes).ok());
        let bad = || wrong("items: id, principal, then names and values of attributes in turn, names and ids in UTF-8");
        let [id, principal, attributes @ ..] = self.items else { return Err(bad()) };
        let id = text(id).filter(|id| !id.is_empty()).ok_or_else(bad)?;
        let principal = text(principal).ok_or_else(bad)?;
        let (pairs, rest) = attributes.as_chunks::<2>();
        if !rest.is_empty() {
            return Err(bad());
        }
        let mut record = Record {
            id: Arc::from(id),
            principal: (!principal.is_empty()).then(|| Arc::from(principal)),
            attributes: Vec::with_capacity(pairs.len()),
        };
        for [name, value] in pairs {
            let (name, value) = (text(name).ok_or_else(bad)?, value.bytes().ok_or_else(bad)?);
            record.attributes.push((Box::from(name), bytes::Bytes::copy_from_slice(value)));
        }
        Ok(record)
    }

    fn only(self) -> Outcome<&'a [u8]> {
        match self.items {
            [item] => item.bytes().ok_or_else(|| wrong("items: the one item has to be a TETHERED_REPLY_BULK")),
            _ => Err(wrong("items: a reply of one value has one item")),
        }
    }
}

impl Machine {
    pub(crate) fn reply(&mut self, now: Now, call: u64, replied: Replied<'_>) -> Outcome<()> {
        let call = CallId::from_raw(call);
        if self.hub.spring().is_some() {
            let reply = replied.of_redis()?;
            self.event(now, Event::Reply { call, reply });
        } else {
            let answer = replied.of_store()?;
            self.event(now, Event::Answer { call, answer });
        }
        Ok(())
    }

    pub(crate) fn fate(&mut self, now: Now, session: &str, notice: Notice<'_>) {
        self.event(now, Event::Notice { session, notice });
    }
}
