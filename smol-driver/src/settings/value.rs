//! Values as people write them: durations, sizes, counts, addresses, pairs and words.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};

use tethered_core::http::{OriginRules, Proxies};

use super::nearest::nearest;
use crate::log::Level;

/// Why a value was refused, in words that follow the name of its setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refused(pub(super) String);

impl Refused {
    pub(super) fn new(value: &str, rest: &str) -> Self {
        Self(format!("\"{}\" {rest}", value.escape_debug()))
    }
}

/// An address to listen at: `HOST:PORT`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listen {
    host: Host,
    port: u16,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Host {
    Address(IpAddr),
    Name(String),
}

impl Listen {
    pub(super) fn parse(text: &str) -> Result<Self, Refused> {
        let wrong =
            || Refused::new(text, "is no address; write HOST:PORT such as localhost:8080, 0.0.0.0:80 or [::1]:8080");
        let (host, port) = text.rsplit_once(':').ok_or_else(wrong)?;
        if port.is_empty() || !port.bytes().all(|b| b.is_ascii_digit()) {
            return Err(wrong());
        }
        let port = port
            .parse()
            .map_err(|_| Refused::new(text, "has no such port; ports go from 0 (any free one) to 65535"))?;
        let host = match host.strip_prefix('[').map(|inner| inner.strip_suffix(']')) {
            Some(inner) => Host::Address(IpAddr::V6(inner.and_then(|a| a.parse().ok()).ok_or_else(wrong)?)),
            None => match host.parse::<Ipv4Addr>() {
                Ok(address) => Host::Address(IpAddr::V4(address)),
                Err(_) if is_host_name(host) => Host::Name(host.to_ascii_lowercase()),
                Err(_) => return Err(wrong()),
            },
        };
        Ok(Self { host, port })
    }

    /// Whether only programs on this machine can connect.
    pub fn is_loopback(&self) -> bool {
        match &self.host {
            Host::Address(address) => address.is_loopback(),
            Host::Name(name) => name == "localhost",
        }
    }

    /// The socket addresses to bind. `localhost` is both loopback addresses, whatever a resolver says; other names are
    /// looked up, which may block.
    ///
    /// # Errors
    /// What the resolver says of a name it does not know.
    pub fn addresses(&self) -> std::io::Result<Vec<SocketAddr>> {
        match &self.host {
            Host::Address(address) => Ok(vec![SocketAddr::new(*address, self.port)]),
            Host::Name(name) if name == "localhost" => Ok(vec![
                SocketAddr::new(Ipv4Addr::LOCALHOST.into(), self.port),
                SocketAddr::new(Ipv6Addr::LOCALHOST.into(), self.port),
            ]),
            Host::Name(name) => Ok((name.as_str(), self.port).to_socket_addrs()?.collect()),
        }
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            Host::Address(IpAddr::V6(address)) => write!(f, "[{address}]:{}", self.port),
            Host::Address(address) => write!(f, "{address}:{}", self.port),
            Host::Name(name) => write!(f, "{name}:{}", self.port),
        }
    }
}

/// A duration in milliseconds: `500ms`, `60s`, `30m`, `12h`, `7d`; a bare number is seconds.
pub(super) fn duration_ms(text: &str) -> Result<u64, Refused> {
    let wrong = || Refused::new(text, "is no duration; write 500ms, 60s, 30m, 12h or 7d (a bare number is seconds)");
    let (number, unit) = split_unit(text).ok_or_else(wrong)?;
    let scale = match unit {
        "" => 1_000,
        unit => DURATIONS.iter().find(|(name, _)| *name == unit).ok_or_else(wrong)?.1,
    };
    number.checked_mul(scale).ok_or_else(|| Refused::new(text, "is too long a duration"))
}

/// A duration in the largest unit that it is a whole number of.
pub(super) fn show_duration(ms: u64) -> String {
    show_unit(ms, &DURATIONS)
}

/// A size in bytes: `512`, `512B`, `64KiB`, `16MiB`, `1GiB`.
pub(super) fn size_bytes(text: &str) -> Result<u64, Refused> {
    let wrong = || Refused::new(text, "is no size; write 512, 64KiB, 16MiB or 1GiB");
    let (number, unit) = split_unit(text).ok_or_else(wrong)?;
    let scale = match unit {
        "" => 1,
        unit => SIZES.iter().find(|(name, _)| *name == unit).ok_or_else(wrong)?.1,
    };
    number.checked_mul(scale).ok_or_else(|| Refused::new(text, "is too large a size"))
}

/// A size in the largest unit that it is a whole number of.
pub(super) fn show_size(bytes: u64) -> String {
    show_unit(bytes, &SIZES)
}

/// A plain number.
pub(super) fn count(text: &str) -> Result<u64, Refused> {
    match split_unit(text) {
        Some((number, "")) => Ok(number),
        _ => Err(Refused::new(text, "is no number; write digits only, such as 1024")),
    }
}

/// Two numbers with a comma between them.
pub(super) fn pair(text: &str) -> Result<(u32, u32), Refused> {
    let number = |part: &str| count(part.trim()).ok().and_then(|n| u32::try_from(n).ok());
    text.split_once(',')
        .and_then(|(a, b)| Some((number(a)?, number(b)?)))
        .ok_or_else(|| Refused::new(text, "is no pair; write two numbers of milliseconds such as 10000,10000"))
}

/// `true` or `false`.
pub(super) fn switch(text: &str) -> Result<bool, Refused> {
    Ok(word(text, &["true", "false"])? == "true")
}

/// How much is logged, by the level's word.
pub(super) fn log_level(text: &str) -> Result<Level, Refused> {
    let word = word(text, &LEVELS.map(Level::as_str))?;
    Ok(LEVELS.into_iter().find(|level| level.as_str() == word).unwrap_or(Level::Info))
}

/// One of these words.
pub(super) fn word(text: &str, words: &[&'static str]) -> Result<&'static str, Refused> {
    words.iter().find(|word| **word == text).copied().ok_or_else(|| {
        let hint = nearest(text, words.iter().copied()).map_or(String::new(), |near| format!("; did you mean {near}?"));
        Refused::new(text, &format!("is none of {}{hint}", words.join(", ")))
    })
}

/// A cookie's name: a token (RFC 6265 §4.1.1).
pub(super) fn cookie_name(text: &str) -> Result<String, Refused> {
    let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    if text.is_empty() || text.len() > 64 || !text.bytes().all(token) {
        return Err(Refused::new(text, "is no cookie name; write 1 to 64 letters, digits, - and _, such as SESSION"));
    }
    Ok(text.to_owned())
}

/// An origin such as `https://example.org:8443`, or `*`, as the hub takes it.
pub(super) fn origin(text: &str) -> Result<String, Refused> {
    let why = OriginRules::default().allow(text).map_err(|why| Refused::new(text, &format!("is none: {why}")));
    why.map(|()| text.to_ascii_lowercase())
}

/// An IP address or a network such as `10.0.0.0/8`, as the hub takes it.
pub(super) fn network(text: &str) -> Result<String, Refused> {
    let why = Proxies::default().add(text).map_err(|why| Refused::new(text, &format!("is none: {why}")));
    why.map(|()| text.to_ascii_lowercase())
}

fn is_host_name(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 253
        && text.split('.').all(|label| {
            !label.is_empty()
                && label.len() <= 63
                && !label.starts_with('-')
                && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        })
}

fn split_unit(text: &str) -> Option<(u64, &str)> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    Some((number.parse().ok()?, unit))
}

fn show_unit(number: u64, units: &[(&str, u64)]) -> String {
    units
        .iter()
        .find(|(_, scale)| number >= *scale && number.is_multiple_of(*scale))
        .map_or_else(|| format!("0{}", units[units.len() - 1].0), |(unit, scale)| format!("{}{unit}", number / scale))
}

const LEVELS: [Level; 5] = [Level::Off, Level::Error, Level::Warn, Level::Info, Level::Debug];
const DURATIONS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];
const SIZES: [(&str, u64); 4] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_and_written() {
        for (text, ms) in
            [("500ms", 500), ("60s", 60_000), ("30m", 1_800_000), ("12h", 43_200_000), ("7d", 604_800_000)]
        {
            assert_eq!(duration_ms(text), Ok(ms));
        }
        assert_eq!(duration_ms("90"), Ok(90_000), "a bare number is seconds");
        assert_eq!(show_duration(1_800_000), "30m");
        assert_eq!(show_duration(90_000), "90s");
        assert_eq!(show_duration(1_500), "1500ms");
        assert_eq!(show_duration(0), "0ms");
        for bad in ["", "s", "-1s", "1.5h", "1 s", "60sec", "1H", "99999999999999999999s"] {
            let Refused(why) = duration_ms(bad).expect_err(bad);
            assert!(why.contains("is no duration; write 500ms"), "{why}");
        }
        assert_eq!(
            duration_ms("18446744073709551615d"),
            Err(Refused("\"18446744073709551615d\" is too long a duration".into()))
        );
    }

    #[test]
    fn sizes_are_read_and_written() {
        for (text, bytes) in [("512", 512), ("512B", 512), ("64KiB", 65_536), ("16MiB", 16 << 20), ("1GiB", 1 << 30)] {
            assert_eq!(size_bytes(text), Ok(bytes));
        }
        assert_eq!(show_size(65_536), "64KiB");
        assert_eq!(show_size(65_537), "65537B");
        for bad in ["64KB", "64k", "KiB", "1.5MiB", "-1"] {
            assert!(size_bytes(bad).expect_err(bad).0.contains("is no size; write 512, 64KiB"));
        }
        assert!(size_bytes("18446744073709551615GiB").unwrap_err().0.contains("too large"));
    }

    #[test]
    fn what_is_shown_is_read_back() {
        for n in [0, 1, 999, 1_000, 1_001, 60_000, 3_600_000, 65_536, 1 << 30, u64::MAX] {
            assert_eq!(duration_ms(&show_duration(n)), Ok(n));
            assert_eq!(size_bytes(&show_size(n)), Ok(n));
        }
    }

    #[test]
    fn addresses_to_listen_at() {
        for (text, shown, loopback) in [
            ("localhost:8080", "localhost:8080", true),
            ("LocalHost:80", "localhost:80", true),
            ("127.0.0.1:0", "127.0.0.1:0", true),
            ("0.0.0.0:80", "0.0.0.0:80", false),
            ("[::1]:8080", "[::1]:8080", true),
            ("[::]:8080", "[::]:8080", false),
            ("chat.example.org:443", "chat.example.org:443", false),
        ] {
            let listen = Listen::parse(text).expect(text);
            assert_eq!((listen.to_string().as_str(), listen.is_loopback()), (shown, loopback));
            assert_eq!(Listen::parse(shown), Ok(listen));
        }
        for bad in [
            "8080",
            ":8080",
            "localhost",
            "localhost:",
            "::1:8080",
            "[::1",
            "a b:1",
            "localhost:80a",
            "[zz]:1",
            "-a:1",
            "a..b:1",
        ] {
            assert!(Listen::parse(bad).expect_err(bad).0.contains("is no address; write HOST:PORT"), "{bad}");
        }
        assert!(Listen::parse("localhost:65536").unwrap_err().0.contains("ports go from 0"));
    }

    #[test]
    fn localhost_is_both_loopback_addresses() {
        let addresses = Listen::parse("localhost:81").unwrap().addresses().unwrap();
        assert_eq!(addresses, ["127.0.0.1:81".parse().unwrap(), "[::1]:81".parse().unwrap()]);
        assert_eq!(Listen::parse("0.0.0.0:81").unwrap().addresses().unwrap(), ["0.0.0.0:81".parse().unwrap()]);
    }

    #[test]
    fn pairs_words_and_names() {
        assert_eq!(pair("1000,2000"), Ok((1_000, 2_000)));
        assert_eq!(pair("0, 0"), Ok((0, 0)));
        for bad in ["1000", "1000,", "a,b", "1,2,3", "-1,0", "4294967296,0"] {
            assert!(pair(bad).expect_err(bad).0.contains("is no pair"));
        }
        assert_eq!(switch("true"), Ok(true));
        assert_eq!(switch("yes").unwrap_err().0, "\"yes\" is none of true, false");
        assert_eq!(
            word("plian", &["base64", "plain"]).unwrap_err().0,
            "\"plian\" is none of base64, plain; did you mean plain?"
        );
        assert!(cookie_name("SESSION").is_ok() && cookie_name("__Host-id").is_ok());
        for bad in ["", "a b", "a=b", "a;b", "ä"] {
            assert!(cookie_name(bad).is_err());
        }
    }

    #[test]
    fn origins() {
        for good in ["https://example.org", "http://localhost:8080", "https://[::1]:8443", "*"] {
            assert_eq!(origin(good).as_deref(), Ok(good));
        }
        assert_eq!(origin("HTTPS://Example.org").as_deref(), Ok("https://example.org"));
        for bad in ["example.org", "https://", "https://a/b", "https://u@a", "null", ""] {
            assert!(origin(bad).expect_err(bad).0.contains("an origin is scheme://host"), "{bad}");
        }
    }

    #[test]
    fn networks() {
        for good in ["10.0.0.7", "10.0.0.0/8", "fd00::/8", "0.0.0.0/0"] {
            assert_eq!(network(good).as_deref(), Ok(good));
        }
        for bad in ["10.0.0", "10.0.0.0/33", "10.0.0.0/", "10.0.0.7/8", "::/129", "proxy"] {
            assert!(network(bad).expect_err(bad).0.contains("a proxy is an IP address"), "{bad}");
        }
    }
}
