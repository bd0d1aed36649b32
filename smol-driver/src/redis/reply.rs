//! A value of the `redis` crate as the reply that the hub takes.

use redis::Value;
use tethered_core::redis::{Item, Reply};

use super::link::error_text;

/// Lends a value as a reply. What has no place in one, such as a list within a list, counts as not understood.
pub(crate) fn lend<R>(value: Option<&Value>, to: impl FnOnce(Reply<'_>) -> R) -> R {
    let Some(value) = value else { return to(Reply::Lost) };
    match value {
        Value::Nil => to(Reply::Nil),
        Value::Int(number) => to(Reply::Int(*number)),
        Value::BulkString(bytes) => to(Reply::Bulk(bytes)),
        Value::SimpleString(text) => to(Reply::Bulk(text.as_bytes())),
        Value::Okay => to(Reply::Bulk(b"OK")),
        Value::ServerError(error) => to(Reply::Error(error_text(error).as_bytes())),
        Value::Array(values) => {
            let errors: Vec<String> = values
                .iter()
                .filter_map(|value| match value {
                    Value::ServerError(error) => Some(error_text(error)),
                    _ => None,
                })
                .collect();
            let mut errors = errors.iter();
            let items: Option<Vec<Item<'_>>> = values
                .iter()
                .map(|value| match value {
                    Value::Nil => Some(Item::Nil),
                    Value::Int(number) => Some(Item::Int(*number)),
                    Value::BulkString(bytes) => Some(Item::Bulk(bytes)),
                    Value::SimpleString(text) => Some(Item::Bulk(text.as_bytes())),
                    Value::Okay => Some(Item::Bulk(b"OK")),
                    Value::ServerError(_) => errors.next().map(|text| Item::Error(text.as_bytes())),
                    _ => None,
                })
                .collect();
            to(items.as_deref().map_or(Reply::Lost, Reply::List))
        }
        _ => to(Reply::Lost),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(bytes: &[u8]) -> String {
        let value = redis::parse_redis_value(bytes).expect("a value");
        lend(Some(&value), |reply| format!("{reply:?}"))
    }

    fn debug(reply: &Reply<'_>) -> String {
        format!("{reply:?}")
    }

    #[test]
    fn values_become_replies() {
        assert_eq!(shown(b"$-1\r\n"), debug(&Reply::Nil));
        assert_eq!(shown(b"*-1\r\n"), debug(&Reply::Nil));
        assert_eq!(shown(b":-5\r\n"), debug(&Reply::Int(-5)));
        assert_eq!(shown(b"$2\r\n\xff\0\r\n"), debug(&Reply::Bulk(b"\xff\0")));
        assert_eq!(shown(b"+OK\r\n"), debug(&Reply::Bulk(b"OK")));
        assert_eq!(shown(b"+QUEUED\r\n"), debug(&Reply::Bulk(b"QUEUED")));
        for text in ["ERR no", "WRONGTYPE Operation against a key", "NOSCRIPT No matching", "OOM", "BUSY Redis is"] {
            assert_eq!(shown(format!("-{text}\r\n").as_bytes()), debug(&Reply::Error(text.as_bytes())));
        }
        assert_eq!(
            shown(b"*5\r\n:1\r\n$1\r\na\r\n$-1\r\n+OK\r\n-ERR no\r\n"),
            debug(&Reply::List(&[
                Item::Int(1),
                Item::Bulk(b"a"),
                Item::Nil,
                Item::Bulk(b"OK"),
                Item::Error(b"ERR no")
            ]))
        );
        assert_eq!(shown(b"*1\r\n*0\r\n"), debug(&Reply::Lost), "a list in a list");
        assert!(lend(None, |reply| reply == Reply::Lost));
    }
}
