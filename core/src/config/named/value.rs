//! Values as people write them: durations, sizes, counts, pairs and words.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;

use super::Refused;
use super::nearest::nearest;
use crate::http::{OriginRules, Proxies};

/// A duration in milliseconds: `500ms`, `60s`, `30m`, `12h`, `7d`; a bare number is seconds.
///
/// # Errors
/// [`Refused`] for anything else.
pub fn duration_ms(text: &str) -> Result<u64, Refused> {
    let wrong = || Refused::new(text, "is no duration; write 500ms, 60s, 30m, 12h or 7d (a bare number is seconds)");
    let (number, unit) = split_unit(text).ok_or_else(wrong)?;
    let scale = match unit {
        "" => 1_000,
        unit => DURATIONS.iter().find(|(name, _)| *name == unit).ok_or_else(wrong)?.1,
    };
    number.checked_mul(scale).ok_or_else(|| Refused::new(text, "is too long a duration"))
}

/// A duration in the largest unit that it is a whole number of.
pub fn show_duration(ms: u64) -> String {
    show_unit(ms, &DURATIONS)
}

/// A size in bytes: `512`, `512B`, `64KiB`, `16MiB`, `1GiB`.
///
/// # Errors
/// [`Refused`] for anything else.
pub fn size_bytes(text: &str) -> Result<u64, Refused> {
    let wrong = || Refused::new(text, "is no size; write 512, 64KiB, 16MiB or 1GiB");
    let (number, unit) = split_unit(text).ok_or_else(wrong)?;
    let scale = match unit {
        "" => 1,
        unit => SIZES.iter().find(|(name, _)| *name == unit).ok_or_else(wrong)?.1,
    };
    number.checked_mul(scale).ok_or_else(|| Refused::new(text, "is too large a size"))
}

/// A size in the largest unit that it is a whole number of.
pub fn show_size(bytes: u64) -> String {
    show_unit(bytes, &SIZES)
}

/// A plain number.
///
/// # Errors
/// [`Refused`] for anything else.
pub fn count(text: &str) -> Result<u64, Refused> {
    match split_unit(text) {
        Some((number, "")) => Ok(number),
        _ => Err(Refused::new(text, "is no number; write digits only, such as 1024")),
    }
}

/// Two numbers with a comma between them.
///
/// # Errors
/// [`Refused`] for anything else.
pub fn pair(text: &str) -> Result<(u32, u32), Refused> {
    let number = |part: &str| count(part.trim()).ok().and_then(|n| u32::try_from(n).ok());
    text.split_once(',')
        .and_then(|(a, b)| Some((number(a)?, number(b)?)))
        .ok_or_else(|| Refused::new(text, "is no pair; write two numbers of milliseconds such as 10000,10000"))
}

/// `true` or `false`.
///
/// # Errors
/// [`Refused`] for anything else.
pub fn switch(text: &str) -> Result<bool, Refused> {
    Ok(word(text, &["true", "false"])? == "true")
}

/// One of these words.
///
/// # Errors
/// [`Refused`] for anything else.
pub fn word(text: &str, words: &[&'static str]) -> Result<&'static str, Refused> {
    words.iter().find(|word| **word == text).copied().ok_or_else(|| {
        let hint = nearest(text, words.iter().copied()).map_or(String::new(), |near| format!("; did you mean {near}?"));
        Refused::new(text, &format!("is none of {}{hint}", words.join(", ")))
    })
}

/// A cookie's name: a token (RFC 6265 §4.1.1).
///
/// # Errors
/// [`Refused`] for anything else.
pub fn cookie_name(text: &str) -> Result<String, Refused> {
    let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    if text.is_empty() || text.len() > 64 || !text.bytes().all(token) {
        return Err(Refused::new(text, "is no cookie name; write 1 to 64 letters, digits, - and _, such as SESSION"));
    }
    Ok(text.to_owned())
}

/// An origin such as `https://example.org:8443`, or `*`, as the hub takes it.
///
/// # Errors
/// [`Refused`] for anything else.
pub fn origin(text: &str) -> Result<String, Refused> {
    let why = OriginRules::default().allow(text).map_err(|why| Refused::new(text, &format!("is none: {why}")));
    why.map(|()| text.to_ascii_lowercase())
}

/// An IP address or a network such as `10.0.0.0/8`, as the hub takes it.
///
/// # Errors
/// [`Refused`] for anything else.
pub fn network(text: &str) -> Result<String, Refused> {
    let why = Proxies::default().add(text).map_err(|why| Refused::new(text, &format!("is none: {why}")));
    why.map(|()| text.to_ascii_lowercase())
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

const DURATIONS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];
const SIZES: [(&str, u64); 4] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];

/// The last value of those that were written.
///
/// # Errors
/// [`Refused`] if there is none, or `parse` refuses it.
pub fn one<T>(values: &[&str], parse: impl FnOnce(&str) -> Result<T, Refused>) -> Result<T, Refused> {
    match values {
        [.., last] => parse(last),
        [] => Err(Refused("its value is missing".to_owned())),
    }
}

/// What keys in a Redis begin with: `spring.session.data.redis.namespace`.
///
/// # Errors
/// [`Refused`] for what could be mistaken for a pattern, or is too long.
pub fn namespace(text: &str) -> Result<String, Refused> {
    let plain = |b: u8| b.is_ascii_graphic() && !b"*?[]\\{}".contains(&b);
    if text.is_empty() || text.len() > 256 || !text.bytes().all(plain) || text.ends_with(':') {
        return Err(Refused::new(
            text,
            "is no namespace; write it as spring.session.data.redis.namespace has it, such as spring:session, \
             without a colon at its end and without * ? [ ] { } \\",
        ));
    }
    Ok(text.to_owned())
}

/// How long a session lives without activity, in milliseconds: up to ten years.
///
/// # Errors
/// [`Refused`] for anything else.
pub fn timeout_ms(text: &str) -> Result<u64, Refused> {
    match duration_ms(text)? {
        0 | TIMEOUT_MS_ABOVE.. => Err(Refused("must be from 1ms to 3650d".to_owned())),
        ms => Ok(ms),
    }
}

const TIMEOUT_MS_ABOVE: u64 = 3_650 * 86_400_000 + 1;

/// A time that is not 0, in milliseconds.
///
/// # Errors
/// [`Refused`] for anything else.
pub fn at_least_1_ms(text: &str) -> Result<u64, Refused> {
    match duration_ms(text)? {
        0 => Err(Refused("must be at least 1ms".to_owned())),
        ms => Ok(ms),
    }
}

/// A size that is not 0, in bytes.
///
/// # Errors
/// [`Refused`] for anything else.
pub fn at_least_1_byte(text: &str) -> Result<u64, Refused> {
    match size_bytes(text)? {
        0 => Err(Refused("must be at least 1B".to_owned())),
        bytes => Ok(bytes),
    }
}

/// Where a page finds a script: a path, or a URL.
///
/// # Errors
/// [`Refused`] for anything else.
pub fn script_url(text: &str) -> Result<String, Refused> {
    let begins = ["/", "https://", "http://"].iter().any(|start| text.starts_with(start));
    if begins && !text.chars().any(char::is_control) {
        Ok(text.to_owned())
    } else {
        Err(Refused("must be a path or an http:// or https:// URL".to_owned()))
    }
}

/// The name of a session's attribute.
///
/// # Errors
/// [`Refused`] for control characters, or what is too long.
pub fn attribute(text: &str) -> Result<String, Refused> {
    if text.is_empty() || text.len() > 256 || text.chars().any(char::is_control) {
        return Err(Refused::new(text, "is no attribute's name; it has 1 to 256 bytes and no control characters"));
    }
    Ok(text.to_owned())
}

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
