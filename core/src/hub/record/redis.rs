//! What comes from a Redis: its replies, its messages, its comings and goings.

use alloc::string::String;
use alloc::vec::Vec;

use super::text::{BadLine, Words, push_bytes, push_word};
use crate::redis::{Connection, Item, Reply};

/// A reply, kept.
#[derive(Debug)]
pub(super) enum Kept {
    Nil,
    Int(i64),
    Bulk(Vec<u8>),
    List(Vec<KeptItem>),
    Error(Vec<u8>),
    Lost,
}

#[derive(Debug, Clone)]
pub(super) enum KeptItem {
    Nil,
    Int(i64),
    Bulk(Vec<u8>),
    Error(Vec<u8>),
}

impl Kept {
    pub(super) fn lend<T>(&self, give: impl FnOnce(Reply<'_>) -> T) -> T {
        match self {
            Self::Nil => give(Reply::Nil),
            Self::Int(number) => give(Reply::Int(*number)),
            Self::Bulk(bytes) => give(Reply::Bulk(bytes)),
            Self::Error(text) => give(Reply::Error(text)),
            Self::Lost => give(Reply::Lost),
            Self::List(items) => {
                let items: Vec<Item<'_>> = items.iter().map(KeptItem::lend).collect();
                give(Reply::List(&items))
            }
        }
    }

    pub(super) fn read(words: &mut Words<'_>) -> Result<Self, BadLine> {
        const REPLY: &str = "a reply: nil, int=, bulk, list=, error or lost";
        if words.clone().option("int=").is_some() {
            return Ok(Self::Int(int(words, REPLY)?));
        }
        if words.clone().option("list=").is_some() {
            let count = words.named("list=", REPLY)?;
            let mut items = Vec::new();
            for _ in 0..count {
                items.push(KeptItem::read(words)?);
            }
            return Ok(Self::List(items));
        }
        let kind = words.clone();
        Ok(match words.word(REPLY)? {
            "nil" => Self::Nil,
            "lost" => Self::Lost,
            "bulk" => Self::Bulk(words.bytes()?),
            "error" => Self::Error(words.bytes()?),
            _ => return kind.bad(REPLY),
        })
    }
}

impl KeptItem {
    fn lend(&self) -> Item<'_> {
        match self {
            Self::Nil => Item::Nil,
            Self::Int(number) => Item::Int(*number),
            Self::Bulk(bytes) => Item::Bulk(bytes),
            Self::Error(text) => Item::Error(text),
        }
    }

    fn read(words: &mut Words<'_>) -> Result<Self, BadLine> {
        const ITEM: &str = "an item: nil, int=, bulk or error";
        if words.clone().option("int=").is_some() {
            return Ok(Self::Int(int(words, ITEM)?));
        }
        let kind = words.clone();
        Ok(match words.word(ITEM)? {
            "nil" => Self::Nil,
            "bulk" => Self::Bulk(words.bytes()?),
            "error" => Self::Error(words.bytes()?),
            _ => return kind.bad(ITEM),
        })
    }
}

pub(super) fn push_reply(line: &mut String, reply: Reply<'_>) {
    match reply {
        Reply::Nil => push_word(line, "nil"),
        Reply::Lost => push_word(line, "lost"),
        Reply::Int(number) => push_word(line, format_args!("int={number}")),
        Reply::Bulk(bytes) => push_named(line, "bulk", bytes),
        Reply::Error(text) => push_named(line, "error", text),
        Reply::List(items) => {
            push_word(line, format_args!("list={}", items.len()));
            for item in items {
                match *item {
                    Item::Nil => push_word(line, "nil"),
                    Item::Int(number) => push_word(line, format_args!("int={number}")),
                    Item::Bulk(bytes) => push_named(line, "bulk", bytes),
                    Item::Error(text) => push_named(line, "error", text),
                }
            }
        }
    }
}

fn push_named(line: &mut String, kind: &str, bytes: &[u8]) {
    push_word(line, kind);
    push_bytes(line, bytes);
}

pub(super) fn connection(words: &mut Words<'_>) -> Result<Connection, BadLine> {
    const ALL: [Connection; 3] = [Connection::Commands, Connection::Notices, Connection::Transactions];
    words.map("commands, notices or transactions", |word| ALL.into_iter().find(|known| known.as_str() == word))
}

/// A number behind `int=`, with or without a minus.
fn int(words: &mut Words<'_>, expected: &'static str) -> Result<i64, BadLine> {
    words.map(expected, |word| {
        let digits = word.strip_prefix("int=")?;
        let plain = digits.strip_prefix('-').unwrap_or(digits);
        if plain.bytes().all(|b| b.is_ascii_digit()) { digits.parse().ok() } else { None }
    })
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use proptest::prelude::*;

    use super::*;

    fn item() -> impl Strategy<Value = KeptItem> {
        prop_oneof![
            Just(KeptItem::Nil),
            any::<i64>().prop_map(KeptItem::Int),
            any::<Vec<u8>>().prop_map(KeptItem::Bulk),
            any::<Vec<u8>>().prop_map(KeptItem::Error),
        ]
    }

    proptest! {
        #[test]
        fn every_reply_is_read_as_it_was(number: i64, bytes: Vec<u8>, items in proptest::collection::vec(item(), 0..9)) {
            for reply in [Kept::Nil, Kept::Lost, Kept::Int(number), Kept::Bulk(bytes.clone()), Kept::Error(bytes),
                Kept::List(items)] {
                let mut line = String::new();
                reply.lend(|reply| push_reply(&mut line, reply));
                let line = line.trim_start();
                let mut words = Words::new(line);
                let again = Kept::read(&mut words).expect("what was written");
                prop_assert_eq!(words.end(), Ok(()));
                let same = reply.lend(|reply| again.lend(|again| reply == again));
                prop_assert!(same, "{}", line);
            }
        }
    }

    #[test]
    fn what_is_none_is_said() {
        for (line, message) in [
            ("full", "column 1: a reply: nil, int=, bulk, list=, error or lost was expected"),
            ("int=+1", "column 1: a reply: nil, int=, bulk, list=, error or lost was expected"),
            ("list=2 nil", "column 11: an item: nil, int=, bulk or error was expected"),
            ("list=1 list=1 nil", "column 8: an item: nil, int=, bulk or error was expected"),
        ] {
            assert_eq!(Kept::read(&mut Words::new(line)).unwrap_err().to_string(), message);
        }
        assert!(connection(&mut Words::new("command")).is_err());
    }
}
