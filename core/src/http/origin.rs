//! Who may connect from which site: RFC 6454, RFC 6455 section 10.2.

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;

use super::authority::Authority;
use super::refusal::Refusal;
use super::request::{Request, Scheme};

/// Which values of `Origin` are let in. By default those of the request's own scheme, host and port, and its absence:
/// only browsers send it, and only they can be made to send a cookie by a foreign site.
#[derive(Debug, Clone, Default)]
pub struct OriginRules {
    /// Refuse requests without `Origin` too.
    pub require: bool,
    any: bool,
    allowed: Vec<String>,
}

/// A text that is no origin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an origin is scheme://host or scheme://host:port and nothing behind it, or * for any")]
pub struct BadOrigin;

impl OriginRules {
    /// Every origin, `null` included. Only ever for what reads no cookie: any page in the user's browser gets in.
    pub fn any() -> Self {
        Self { any: true, ..Self::default() }
    }

    /// Lets in one more origin, exactly: `https://app.example.com`, or `*` for [`any`](Self::any).
    ///
    /// # Errors
    /// [`BadOrigin`] if it is none. `null` is none: it is what every sandboxed frame sends, whoever made it.
    pub fn allow(&mut self, origin: &str) -> Result<(), BadOrigin> {
        if origin == "*" {
            self.any = true;
            return Ok(());
        }
        Origin::parse(origin).ok_or(BadOrigin)?;
        self.allowed.push(origin.to_owned());
        Ok(())
    }

    /// Checks a request that [was located](Request::locate).
    ///
    /// # Errors
    /// [`Refusal::Origin`].
    pub fn check(&self, request: &Request) -> Result<(), Refusal> {
        let mut origins = request.headers("origin");
        let allowed = match (origins.next(), origins.next()) {
            (None, _) => !self.require,
            (Some(origin), None) => core::str::from_utf8(origin).is_ok_and(|origin| self.allows(origin, request)),
            (Some(_), Some(_)) => false,
        };
        if allowed { Ok(()) } else { Err(Refusal::Origin) }
    }

    fn allows(&self, text: &str, request: &Request) -> bool {
        let Some(origin) = Origin::parse(text) else { return self.any && text == "null" };
        self.any
            || origin.is_of(request)
            || self.allowed.iter().filter_map(|text| Origin::parse(text)).any(|one| one.is_same(&origin))
    }
}

/// A serialized origin: RFC 6454 section 6.2.
#[derive(Debug)]
struct Origin<'a> {
    scheme: &'a str,
    authority: Authority<'a>,
}

impl<'a> Origin<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let (scheme, authority) = text.split_once("://")?;
        let named = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.');
        let fits = scheme.starts_with(|c: char| c.is_ascii_alphabetic()) && scheme.bytes().all(named);
        fits.then_some(Self { scheme, authority: Authority::parse(authority)? })
    }

    fn is_same(&self, other: &Self) -> bool {
        self.scheme.eq_ignore_ascii_case(other.scheme)
            && self.authority.is_same(&other.authority, default_port(self.scheme))
    }

    fn is_of(&self, request: &Request) -> bool {
        let scheme = match request.scheme() {
            Scheme::Http => "http",
            Scheme::Https => "https",
        };
        let own = request.host().and_then(Authority::parse).map(|authority| Origin { scheme, authority });
        own.is_some_and(|own| own.is_same(self))
    }
}

fn default_port(scheme: &str) -> Option<u16> {
    let is = |name: &str| scheme.eq_ignore_ascii_case(name);
    if is("http") || is("ws") {
        Some(80)
    } else if is("https") || is("wss") {
        Some(443)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::{Limits, Proxies, Version};

    fn request(host: &str, secure: bool, origins: &[&str]) -> Request {
        let headers = core::iter::once(("Host", host)).chain(origins.iter().map(|&origin| ("Origin", origin)));
        let headers = headers.map(|(name, value)| (name, value.as_bytes()));
        let mut request = Request::from_parts("GET", "/", Version::Http11, headers, &Limits::default()).unwrap();
        request.locate(&Proxies::default(), None, secure).unwrap();
        request
    }

    fn passes(rules: &OriginRules, host: &str, secure: bool, origin: &str) -> bool {
        rules.check(&request(host, secure, &[origin])).is_ok()
    }

    #[test]
    fn h16_lets_in_its_own_origin() {
        let own = OriginRules::default();
        assert!(passes(&own, "example.com", false, "http://example.com"));
        assert!(passes(&own, "example.com", false, "http://example.com:80"));
        assert!(passes(&own, "Example.com:80", false, "HTTP://EXAMPLE.COM"));
        assert!(passes(&own, "example.com", true, "https://example.com:443"));
        assert!(passes(&own, "localhost:8080", false, "http://localhost:8080"));
        assert!(passes(&own, "[::1]:8080", false, "http://[::1]:8080"));
    }

    #[test]
    fn h16_refuses_all_others() {
        let own = OriginRules::default();
        for foreign in [
            "null",
            "",
            "http://evil.com",
            "https://example.com",
            "http://example.com:8080",
            "http://example.com.evil.com",
            "http://evilexample.com",
            "http://example.com@evil.com",
            "http://evil.com@example.com",
            "http://example.com/",
            "http://example.com?",
            "http://example.com#",
            "http://example.com\\.evil.com",
            "http://example.com http://example.com",
            "http://example.com,http://evil.com",
            "example.com",
            "//example.com",
            "http:example.com",
            "http:/example.com",
            "ws://example.com",
            "http://example.com:",
            "http://example.com:080",
            "http://",
            "://example.com",
            "*",
            "http://*",
            "http://xn--exmple-cua.com",
            "http://example.com.",
            "file://",
            "http://exa%6dple.com",
        ] {
            assert!(!passes(&own, "example.com", false, foreign), "{foreign}");
        }
        assert!(!passes(&own, "example.com", true, "http://example.com"), "another scheme");
    }

    #[test]
    fn h16_lets_in_listed_origins_exactly() {
        let mut rules = OriginRules::default();
        rules.allow("https://app.example.com").unwrap();
        rules.allow("capacitor://localhost").unwrap();
        assert!(passes(&rules, "a", false, "https://app.example.com"));
        assert!(passes(&rules, "a", false, "https://app.example.com:443"));
        assert!(passes(&rules, "a", false, "capacitor://localhost"));
        for foreign in
            ["http://app.example.com", "https://example.com", "https://b.app.example.com", "null", "https://a"]
        {
            assert!(!passes(&rules, "a", false, foreign), "{foreign}");
        }
        for bad in ["null", "", "app.example.com", "https://app.example.com/", "https://*.example.com", "https://u@a"] {
            assert_eq!(rules.allow(bad), Err(BadOrigin), "{bad}");
        }
    }

    #[test]
    fn h16_any_is_a_rule_of_its_own() {
        let mut starred = OriginRules::default();
        starred.allow("*").unwrap();
        for rules in [starred, OriginRules::any()] {
            assert!(passes(&rules, "a", false, "https://evil.com") && passes(&rules, "a", false, "null"));
            assert!(!passes(&rules, "a", false, "<script>"));
            assert!(rules.check(&request("a", false, &["http://a", "http://a"])).is_err());
        }
    }

    #[test]
    fn h17_twice_is_refused_and_absent_is_a_matter_of_rules() {
        let mut rules = OriginRules::default();
        assert_eq!(rules.check(&request("a", false, &["http://a", "http://a"])), Err(Refusal::Origin));
        assert_eq!(rules.check(&request("a", false, &[])), Ok(()));
        rules.require = true;
        assert_eq!(rules.check(&request("a", false, &[])), Err(Refusal::Origin));
        assert_eq!(rules.check(&request("a", false, &["http://a"])), Ok(()));
    }

    #[test]
    fn h18_goes_by_what_a_listed_proxy_tells() {
        let mut proxies = Proxies::default();
        proxies.add("10.0.0.1").unwrap();
        let headers = [
            ("Host", &b"inner"[..]),
            ("X-Forwarded-Proto", b"https"),
            ("X-Forwarded-Host", b"example.com"),
            ("Origin", b"https://example.com"),
        ];
        let mut request = Request::from_parts("GET", "/", Version::Http11, headers, &Limits::default()).unwrap();
        request.locate(&proxies, Some("10.0.0.1".parse().unwrap()), false).unwrap();
        assert_eq!(OriginRules::default().check(&request), Ok(()));
        request.locate(&proxies, Some("10.0.0.2".parse().unwrap()), false).unwrap();
        assert_eq!(OriginRules::default().check(&request), Err(Refusal::Origin));
    }
}
