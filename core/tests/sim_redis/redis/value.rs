//! What Redis replies.

use tethered_core::redis::{Item, Reply};

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Value {
    Nil,
    Int(i64),
    Bulk(Vec<u8>),
    List(Vec<Self>),
    Error(&'static str),
}

impl Value {
    pub(crate) fn ok() -> Self {
        Self::Bulk(b"OK".to_vec())
    }

    pub(crate) fn bytes(value: Option<&[u8]>) -> Self {
        value.map_or(Self::Nil, |bytes| Self::Bulk(bytes.to_vec()))
    }

    pub(crate) fn lend<T>(&self, give: impl FnOnce(Reply<'_>) -> T) -> T {
        match self {
            Self::Nil => give(Reply::Nil),
            Self::Int(number) => give(Reply::Int(*number)),
            Self::Bulk(bytes) => give(Reply::Bulk(bytes)),
            Self::Error(text) => give(Reply::Error(text.as_bytes())),
            Self::List(values) => {
                let items: Vec<Item<'_>> = values.iter().map(Self::item).collect();
                give(Reply::List(&items))
            }
        }
    }

    fn item(&self) -> Item<'_> {
        match self {
            Self::Nil => Item::Nil,
            Self::Int(number) => Item::Int(*number),
            Self::Bulk(bytes) => Item::Bulk(bytes),
            Self::Error(text) => Item::Error(text.as_bytes()),
            Self::List(_) => panic!("a list within a list"),
        }
    }
}
