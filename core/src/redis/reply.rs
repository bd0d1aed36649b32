//! What came back: a value, a list of values, an error, or nothing at all.

/// The reply to a command. Flat on purpose: any client library can give it.
///
/// Simple strings such as `OK` count as [`Bulk`](Self::Bulk). What RESP3 gives as a map, a set, a boolean or a number
/// counts as the RESP2 reply to the same command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reply<'a> {
    /// Nothing is there.
    Nil,
    /// A number.
    Int(i64),
    /// A string of bytes.
    Bulk(&'a [u8]),
    /// A list without lists in it.
    List(&'a [Item<'a>]),
    /// Redis refused: the text, which begins with a word such as `WRONGTYPE`.
    Error(&'a [u8]),
    /// No reply came: the connection was lost or there was none, it took too long, or it was not understood.
    Lost,
}

/// A value in a [`Reply::List`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Item<'a> {
    /// Nothing is there.
    Nil,
    /// A number.
    Int(i64),
    /// A string of bytes.
    Bulk(&'a [u8]),
    /// Redis refused this one command of a transaction.
    Error(&'a [u8]),
}

impl<'a> Item<'a> {
    /// As bytes.
    pub fn bytes(self) -> Option<&'a [u8]> {
        match self {
            Self::Bulk(bytes) => Some(bytes),
            Self::Nil | Self::Int(_) | Self::Error(_) => None,
        }
    }

    /// As a number, also if it is written in digits.
    pub fn int(self) -> Option<i64> {
        match self {
            Self::Int(number) => Some(number),
            Self::Bulk(digits) => int(digits),
            Self::Nil | Self::Error(_) => None,
        }
    }
}

impl<'a> Reply<'a> {
    /// As a number, also if it is written in digits.
    pub fn int(self) -> Option<i64> {
        match self {
            Self::Int(number) => Some(number),
            Self::Bulk(digits) => int(digits),
            Self::Nil | Self::List(_) | Self::Error(_) | Self::Lost => None,
        }
    }

    /// As a list.
    pub fn list(self) -> Option<&'a [Item<'a>]> {
        match self {
            Self::List(items) => Some(items),
            Self::Nil | Self::Int(_) | Self::Bulk(_) | Self::Error(_) | Self::Lost => None,
        }
    }
}

/// Digits, with a minus before them or not.
fn int(digits: &[u8]) -> Option<i64> {
    let plain = digits.strip_prefix(b"-").unwrap_or(digits);
    if plain.is_empty() || !plain.iter().all(u8::is_ascii_digit) {
        return None;
    }
    core::str::from_utf8(digits).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_may_be_written_in_digits() {
        assert_eq!(Reply::Int(-2).int(), Some(-2));
        assert_eq!(Reply::Bulk(b"-2").int(), Some(-2));
        assert_eq!(Item::Bulk(b"1769000000").int(), Some(1_769_000_000));
        for odd in [&b""[..], b"-", b"+1", b" 1", b"1.0", b"9223372036854775808", b"\xff"] {
            assert_eq!((Reply::Bulk(odd).int(), Item::Bulk(odd).int()), (None, None), "{odd:?}");
        }
        assert_eq!((Reply::Nil.int(), Reply::Error(b"1").int(), Reply::Lost.int()), (None, None, None));
        assert_eq!((Item::Nil.int(), Item::Error(b"1").int(), Item::Int(1).bytes()), (None, None, None));
    }
}
