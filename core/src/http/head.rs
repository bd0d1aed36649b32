//! From the bytes of a head to a [`Request`].

use alloc::string::String;
use alloc::vec::Vec;
use core::mem::MaybeUninit;

use super::authority::Authority;
use super::cookie;
use super::framing::Framing;
use super::limits::Limits;
use super::refusal::Refusal;
use super::request::{Field, HEAD_MAX, Line, Request, Span, Version};
use super::search::HeadSearch;
use super::target::Target;

/// Parses a head: exactly the bytes that [`HeadSearch::find`] told, blank line included.
///
/// Everything about the form of a request is settled here: its lines, its `Host`, its target, how long its body is, that
/// an upgrade has none, and how many cookies there are.
///
/// # Errors
/// What is wrong first. No answer is owed to what comes behind such a head: all these errors close the connection.
pub fn parse(head: &[u8], limits: &Limits) -> Result<Request, Refusal> {
    let mut search = HeadSearch::default();
    if search.find(head, limits)? != Some(head.len()) {
        return Err(Refusal::Malformed);
    }
    parse_found(head, &search, limits)
}

/// The same, where the search that found this head is at hand.
pub(crate) fn parse_found(head: &[u8], search: &HeadSearch, limits: &Limits) -> Result<Request, Refusal> {
    if head.len() > HEAD_MAX {
        return Err(Refusal::HeadBytes);
    }
    let (method, start, version) = search.parts();
    // httparse calls a target that is not UTF-8 malformed; here it is a path that nothing is served at.
    let line = head.get(method..version.saturating_sub(1)).and_then(|line| core::str::from_utf8(line).ok());
    let line = line.ok_or(Refusal::Path)?;
    let (method, target) = line.split_at_checked(start.saturating_sub(method)).ok_or(Refusal::Malformed)?;
    let method = method.strip_suffix(' ').ok_or(Refusal::Malformed)?;

    // Most heads are short.
    let (mut few, mut many) = ([const { MaybeUninit::uninit() }; FEW_LINES], Vec::new());
    let headers = match few.get_mut(..search.lines()) {
        Some(headers) => headers,
        None => {
            many.resize_with(search.lines(), MaybeUninit::uninit);
            &mut many[..]
        }
    };
    let mut parsed = httparse::Request::new(&mut []);
    match parsed.parse_with_uninit_headers(head, headers) {
        Ok(httparse::Status::Complete(len)) if len == head.len() => {}
        Err(httparse::Error::TooManyHeaders) => return Err(Refusal::HeadLines),
        _ => return Err(Refusal::Malformed),
    }
    let version = if parsed.version == Some(0) { Version::Http10 } else { Version::Http11 };
    let mut fields = Vec::with_capacity(parsed.headers.len());
    for header in &*parsed.headers {
        let (name, value) = (span(head, header.name.as_bytes()), span(head, header.value));
        let (Some(name), Some(value)) = (name, value) else { return Err(Refusal::Malformed) };
        fields.push(Field { name, value });
    }
    let mut request = Request::new(first_line(method, target)?, version, head.into(), fields.into());
    check(&mut request, limits)?;
    Ok(request)
}

impl Request {
    /// A request that somebody else has parsed. It passes the same checks as one that comes in as bytes.
    ///
    /// # Errors
    /// As [`parse`].
    pub fn from_parts<'a>(
        method: &str,
        target: &str,
        version: Version,
        headers: impl IntoIterator<Item = (&'a str, &'a [u8])>,
        limits: &Limits,
    ) -> Result<Self, Refusal> {
        // With a line end inside, one part could become several.
        let whole = |part: &[u8]| !part.iter().any(|b| matches!(b, b'\r' | b'\n'));
        let version = if version == Version::Http10 { " HTTP/1.0\r\n" } else { " HTTP/1.1\r\n" };
        let mut head = [method, " ", target, version].concat().into_bytes();
        let mut fits = whole(method.as_bytes()) && whole(target.as_bytes());
        for (name, value) in headers {
            fits &= whole(name.as_bytes()) && whole(value) && !name.contains(':');
            if head.len() > limits.head_bytes {
                break;
            }
            head.extend_from_slice(&[name.as_bytes(), b": ", value, b"\r\n"].concat());
        }
        if !fits {
            return Err(Refusal::Malformed);
        }
        head.extend_from_slice(b"\r\n");
        parse(&head, limits)
    }
}

/// The checks that need the headers.
fn check(request: &mut Request, limits: &Limits) -> Result<(), Refusal> {
    check_host(request)?;
    let framing = Framing::of(request)?;
    request.set_framing(framing);
    cookie::check(request, limits)
}

/// RFC 9112 section 3.2: exactly one `Host`, also beside an absolute target, which then outweighs it.
fn check_host(request: &Request) -> Result<(), Refusal> {
    let mut hosts = request.headers("host");
    match (hosts.next(), hosts.next()) {
        (None, _) if request.version() == Version::Http10 => Ok(()),
        (Some(host), None) => {
            let host = core::str::from_utf8(host).ok().and_then(Authority::parse);
            host.map(|_| ()).ok_or(Refusal::Host)
        }
        _ => Err(Refusal::Host),
    }
}

/// Gathers method, target and decoded path in one string.
fn first_line(method: &str, target: &str) -> Result<Line, Refusal> {
    let parsed = Target::parse(method, target)?;
    let decoded = parsed.decoded.as_deref().unwrap_or_default();
    let mut text = String::with_capacity(method.len() + target.len() + decoded.len());
    [method, target, decoded].into_iter().for_each(|part| text.push_str(part));
    let start = method.len();
    let end = start + target.len();
    let shifted = |range: core::ops::Range<usize>| Span::new(start + range.start, start + range.end);
    Ok(Line {
        method: Span::new(0, start),
        target: Span::new(start, end),
        authority: parsed.authority.map(shifted),
        path: if parsed.decoded.is_some() { Span::new(end, text.len()) } else { shifted(parsed.path) },
        query: parsed.query.map(shifted),
        text: text.into_boxed_str(),
    })
}

/// Where in `whole` its own piece `part` lies.
fn span(whole: &[u8], part: &[u8]) -> Option<Span> {
    let start = (part.as_ptr() as usize).checked_sub(whole.as_ptr() as usize)?;
    let end = start.checked_add(part.len())?;
    (end <= whole.len()).then(|| Span::new(start, end))
}

/// Headers of up to so many lines are parsed without memory of their own.
const FEW_LINES: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::ToString;

    fn of(head: &str) -> Result<Request, Refusal> {
        parse(head.as_bytes(), &Limits::default())
    }

    /// A request whose header block is `Host: a` and these lines.
    fn with(lines: &str) -> Result<Request, Refusal> {
        of(&["GET / HTTP/1.1\r\nHost: a\r\n", lines, "\r\n"].concat())
    }

    #[test]
    fn parses_a_head() {
        let request =
            of("\r\nGET /a%20b?c=d HTTP/1.1\r\nhOst: example.com\r\nX:\t y\tz \r\nx: 2\r\nEmpty:\r\n\r\n").unwrap();
        assert_eq!((request.method(), request.target(), request.path()), ("GET", "/a%20b?c=d", "/a b"));
        assert_eq!((request.query(), request.version()), (Some("c=d"), Version::Http11));
        assert_eq!((request.header("HOST"), request.text("x")), (Some(&b"example.com"[..]), Some("y\tz")));
        assert_eq!(request.headers("X").collect::<Vec<_>>(), [&b"y\tz"[..], b"2"]);
        assert_eq!((request.header("empty"), request.header("absent")), (Some(&b""[..]), None));
        let names: Vec<_> = request.all_headers().map(|(name, _)| name).collect();
        assert_eq!(names, ["hOst", "X", "x", "Empty"]);
        assert_eq!(request.host(), Some("example.com"));
    }

    #[test]
    fn h06_refuses_whatever_readers_differ_about() {
        for bad in [
            "a: b\n",
            "a: b\rc\r\n",
            "a: b\r\n c\r\n",
            "a: b\r\n\tc\r\n",
            " a: b\r\n",
            "a : b\r\n",
            "a\t: b\r\n",
            ": b\r\n",
            "a\r\n",
            "a: b\0\r\n",
            "a: b\x7f\r\n",
            "a\0: b\r\n",
            "a\x7f: b\r\n",
            "a: b\x1b\r\n",
            "é: b\r\n",
            "a(: b\r\n",
            "a: b\r\r\n",
            "a:\r b\r\n",
            "a: \n b\r\n",
            "\"a\": b\r\n",
        ] {
            assert_eq!(with(bad).err(), Some(Refusal::Malformed), "{bad:?}");
        }
        let first = "GET / HTTP/1.1\r\n Host: a\r\n\r\n";
        assert_eq!(of(first).err(), Some(Refusal::Malformed), "folded behind the request line");
    }

    #[test]
    fn h15_wants_one_host() {
        assert_eq!(of("GET / HTTP/1.1\r\n\r\n").err(), Some(Refusal::Host));
        assert_eq!(with("host: a\r\n").err(), Some(Refusal::Host));
        assert_eq!(of("GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n").err(), Some(Refusal::Host));
        assert_eq!(of("GET / HTTP/1.0\r\n\r\n").unwrap().host(), None);
        for bad in ["", "a b", "a,b", "u@a", "a/b", "http://a", "a:x", "é"] {
            let head = ["GET / HTTP/1.1\r\nHost: ", bad, "\r\n\r\n"].concat();
            assert_eq!(of(&head).err(), Some(Refusal::Host), "{bad:?}");
        }
        assert_eq!(Refusal::Host.status(), 400);
    }

    #[test]
    fn h22_prefers_the_host_of_an_absolute_target() {
        let request = of("GET http://example.com/a?b HTTP/1.1\r\nHost: other\r\n\r\n").unwrap();
        assert_eq!((request.path(), request.query(), request.host()), ("/a", Some("b"), Some("example.com")));
        assert_eq!(
            of("GET http://example.com HTTP/1.1\r\n\r\n").err(),
            Some(Refusal::Host),
            "Host is due nevertheless"
        );
        let request = of("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
        assert_eq!(request.path(), "*");
    }

    #[test]
    fn h22_refuses_paths_that_read_two_ways() {
        for target in ["/%00", "/%2e%2e/a", "/a#b", "/%ff"] {
            let head = ["GET ", target, " HTTP/1.1\r\nHost: a\r\n\r\n"].concat();
            assert_eq!(of(&head).err(), Some(Refusal::Path), "{target}");
        }
        assert_eq!(parse(b"GET /\xff HTTP/1.1\r\nHost: a\r\n\r\n", &Limits::default()).err(), Some(Refusal::Path));
        assert_eq!(of("CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n").err(), Some(Refusal::Malformed));
        let head = "GET /é;x=1 HTTP/1.1\r\nHost: a\r\n\r\n";
        assert_eq!(of(head).unwrap().path(), "/é;x=1");
    }

    #[test]
    fn takes_exactly_one_head() {
        for bad in ["", "GET / HTTP/1.1\r\n", "GET / HTTP/1.1\r\nHost: a\r\n\r\nmore"] {
            assert_eq!(of(bad).err(), Some(Refusal::Malformed), "{bad:?}");
        }
    }

    #[test]
    fn builds_the_same_from_parts() {
        let headers = [("Host", &b"a"[..]), ("X", b" y "), ("Cookie", b"\xff=1")];
        let limits = Limits::default();
        let request = Request::from_parts("GET", "/%61?b", Version::Http10, headers, &limits).unwrap();
        assert_eq!((request.method(), request.path(), request.query()), ("GET", "/a", Some("b")));
        assert_eq!(
            (request.version(), request.header("x"), request.header("cookie")),
            (Version::Http10, Some(&b"y"[..]), Some(&b"\xff=1"[..]))
        );
    }

    #[test]
    fn h20_parts_cannot_become_several() {
        let limits = Limits::default();
        let of = |method, target, name, value: &str| {
            let headers = [("Host", &b"a"[..]), (name, value.as_bytes())];
            Request::from_parts(method, target, Version::Http11, headers, &limits).err()
        };
        assert_eq!(of("GET", "/", "X", "y"), None);
        for (method, target, name, value) in [
            ("GET", "/", "X", "y\r\nZ: 1"),
            ("GET", "/", "X", "y\n"),
            ("GET", "/", "X: y\r\nZ", "1"),
            ("GET", "/", "X:y", "1"),
            ("GET", "/", "", "1"),
            ("GET", "/ HTTP/1.1\r\nX:", "X", "y"),
            ("GET", "/a b", "X", "y"),
            ("GET", "", "X", "y"),
            ("", "/", "X", "y"),
            ("GET /", "/", "X", "y"),
            ("\r\nGET", "/", "X", "y"),
        ] {
            assert_eq!(of(method, target, name, value), Some(Refusal::Malformed), "{method} {target} {name} {value}");
        }
        let tiny = Limits { head_bytes: 64, head_lines: 2, ..limits };
        let many = |count| (0..count).map(|_| ("Host", &b"a"[..]));
        assert_eq!(Request::from_parts("GET", "/", Version::Http11, many(3), &tiny).err(), Some(Refusal::HeadLines));
        assert_eq!(
            Request::from_parts("GET", "/", Version::Http11, many(usize::MAX), &tiny).err(),
            Some(Refusal::HeadLines)
        );
    }

    #[test]
    fn keeps_secrets_out_of_debug_texts() {
        let text = alloc::format!("{:?}", with("Cookie: SESSION=secret\r\n").unwrap());
        assert!(text.contains("path: \"/\"") && !text.contains("secret"), "C14: {text}");
        fn assert_send<T: Send + 'static>(_: &T) {}
        assert_send(&with("").unwrap());
        assert_eq!(with("").unwrap().client().map(|a| a.to_string()), None);
    }
}
