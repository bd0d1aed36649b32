//! How long a body is: RFC 9112 section 6.

use super::refusal::Refusal;
use super::request::{Request, Version};
use super::upgrade;

/// How the end of a body is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Framing {
    None,
    /// Bytes, as announced; nothing is to be reserved for them.
    Length(u64),
    Chunked,
}

impl Framing {
    /// Reads it from the headers. What the RFC lets a recipient mend (a length said twice, `Transfer-Encoding` beside
    /// `Content-Length`) is refused: that is how one request is smuggled inside another.
    pub(super) fn of(request: &Request) -> Result<Self, Refusal> {
        let mut codings = request.headers("transfer-encoding");
        let mut lengths = request.headers("content-length");
        let framing = match (codings.next(), lengths.next()) {
            (None, None) => Self::None,
            (Some(coding), None) if coding.eq_ignore_ascii_case(b"chunked") && request.version() == Version::Http11 => {
                Self::Chunked
            }
            (None, Some(length)) => Self::Length(parse_length(length).ok_or(Refusal::Framing)?),
            _ => return Err(Refusal::Framing),
        };
        if codings.next().is_some() || lengths.next().is_some() {
            return Err(Refusal::Framing);
        }
        let plain = || request.header("content-length").is_none_or(|length| length == b"0");
        if upgrade::is_asked(request) && (framing == Self::Chunked || !plain()) {
            return Err(Refusal::Framing);
        }
        Ok(framing)
    }
}

fn parse_length(value: &[u8]) -> Option<u64> {
    if value.is_empty() {
        return None;
    }
    value.iter().try_fold(0u64, |sum, &b| {
        let digit = b.is_ascii_digit().then(|| u64::from(b - b'0'))?;
        sum.checked_mul(10)?.checked_add(digit)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::Limits;

    fn framing(version: Version, headers: &[(&str, &str)]) -> Result<Framing, Refusal> {
        let headers = [("Host", "a")].iter().chain(headers).map(|&(name, value)| (name, value.as_bytes()));
        Request::from_parts("POST", "/", version, headers, &Limits::default()).map(|request| request.framing())
    }

    #[test]
    fn h08_tells_one_length_only() {
        let of = |headers: &[(&str, &str)]| framing(Version::Http11, headers);
        assert_eq!(of(&[]), Ok(Framing::None));
        assert_eq!(of(&[("Content-Length", "12")]), Ok(Framing::Length(12)));
        assert_eq!(of(&[("Content-Length", "18446744073709551615")]), Ok(Framing::Length(u64::MAX)));
        assert_eq!(of(&[("Transfer-Encoding", "Chunked")]), Ok(Framing::Chunked));
        for bad in
            ["18446744073709551616", "+1", "-1", "1,1", "1, 2", "0x1", "1 1", "", "1.0", "99999999999999999999999"]
        {
            assert_eq!(of(&[("Content-Length", bad)]), Err(Refusal::Framing), "{bad}");
        }
        for bad in ["gzip", "gzip, chunked", "chunked, chunked", "identity", "", "chunked;a", "xchunked"] {
            assert_eq!(of(&[("Transfer-Encoding", bad)]), Err(Refusal::Framing), "{bad}");
        }
        assert_eq!(of(&[("Content-Length", "1"), ("content-length", "2")]), Err(Refusal::Framing));
        assert_eq!(of(&[("Content-Length", "1"), ("Content-Length", "1")]), Err(Refusal::Framing));
        assert_eq!(of(&[("Content-Length", "1"), ("Transfer-Encoding", "chunked")]), Err(Refusal::Framing));
        assert_eq!(of(&[("Transfer-Encoding", "chunked"), ("Transfer-Encoding", "chunked")]), Err(Refusal::Framing));
        assert_eq!(framing(Version::Http10, &[("Transfer-Encoding", "chunked")]), Err(Refusal::Framing));
    }

    #[test]
    fn h07_lets_no_upgrade_have_a_body() {
        let of = |name, value| framing(Version::Http11, &[("Upgrade", "WebSocket"), (name, value)]);
        assert_eq!(of("Content-Length", "0"), Ok(Framing::Length(0)));
        for (name, value) in [("Content-Length", "00"), ("Content-Length", "1"), ("Transfer-Encoding", "chunked")] {
            assert_eq!(of(name, value), Err(Refusal::Framing), "{name}: {value}");
        }
        assert_eq!(
            framing(Version::Http11, &[("Upgrade", "h2c"), ("Content-Length", "1")]),
            Ok(Framing::Length(1)),
            "no upgrade that is taken here"
        );
    }
}
