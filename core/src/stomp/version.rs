//! [`Version`] and its negotiation.

use super::Malformed;

/// A version of the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Version {
    /// No escapes, no heart-beats.
    V1_0,
    /// Escapes for `\`, LF and `:`.
    V1_1,
    /// One more escape, for CR.
    V1_2,
}

impl Version {
    /// All of them as the `version` header of an ERROR lists them.
    pub const SUPPORTED: &str = "1.0,1.1,1.2";

    /// As the headers `version` and `accept-version` write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::V1_0 => "1.0",
            Self::V1_1 => "1.1",
            Self::V1_2 => "1.2",
        }
    }

    /// Its WebSocket sub-protocol (IANA, *WebSocket Subprotocol Name Registry*).
    pub const fn subprotocol(self) -> &'static str {
        match self {
            Self::V1_0 => "v10.stomp",
            Self::V1_1 => "v11.stomp",
            Self::V1_2 => "v12.stomp",
        }
    }

    /// The highest version that both sides know, by the value of a CONNECT's `accept-version`: versions between commas, in any
    /// order, blanks around them allowed. Without the header it is 1.0 (STOMP 1.2, *Protocol Negotiation*).
    ///
    /// # Errors
    /// [`Malformed::NoCommonVersion`]; its ERROR has to name [`SUPPORTED`](Self::SUPPORTED).
    pub fn negotiate(accept_version: Option<&str>) -> Result<Self, Malformed> {
        let Some(list) = accept_version else { return Ok(Self::V1_0) };
        list.split(',').filter_map(|word| Self::parse(word.trim_matches(' '))).max().ok_or(Malformed::NoCommonVersion)
    }

    fn parse(word: &str) -> Option<Self> {
        [Self::V1_0, Self::V1_1, Self::V1_2].into_iter().find(|version| version.as_str() == word)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s02_highest_common() {
        for (accept, wanted) in [
            (None, Version::V1_0),
            (Some("1.0"), Version::V1_0),
            (Some("1.1"), Version::V1_1),
            (Some("1.2"), Version::V1_2),
            (Some("1.0,1.1"), Version::V1_1),
            (Some("1.2,1.1,1.0"), Version::V1_2),
            (Some("1.0, 1.2"), Version::V1_2),
            (Some("1.1,9.9"), Version::V1_1),
            (Some("1.2,2.0,3.1"), Version::V1_2),
            (Some(",,1.0,"), Version::V1_0),
        ] {
            assert_eq!(Version::negotiate(accept), Ok(wanted), "{accept:?}");
        }
    }

    #[test]
    fn s02_none_in_common() {
        for accept in
            ["", ",", "9.9", "2.0,3.0", "1.3", "abc", "12", "1.20", "1.2.0", "01.2", "1,2", "1.2;1.1", "\t1.2"]
        {
            assert_eq!(Version::negotiate(Some(accept)), Err(Malformed::NoCommonVersion), "{accept:?}");
        }
        for version in Version::SUPPORTED.split(',') {
            assert_eq!(Version::negotiate(Some(version)).map(Version::as_str), Ok(version));
        }
    }
}
