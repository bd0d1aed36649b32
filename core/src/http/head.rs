//! From the bytes of a head to a [`Request`].

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec;

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
    if head.len() > HEAD_MAX {
        return Err(Refusal::HeadBytes);
    }
    let (method, start, version) = search.parts();
    let method = text(head, method, start).ok_or(Refusal::Malformed)?;
    // httparse calls a target that is not UTF-8 malformed; here it is a path that nothing is served at.
    let target = text(head, start, version).ok_or(Refusal::Path)?;

    let mut headers = vec![httparse::EMPTY_HEADER; search.lines()];
    let mut parsed = httparse::Request::new(&mut headers);
    match parsed.parse(head) {
        Ok(httparse::Status::Complete(len)) if len == head.len() => {}
        Err(httparse::Error::TooManyHeaders) => return Err(Refusal::HeadLines),
        _ => return Err(Refusal::Malformed),
    }
    let version = if parsed.version == Some(0) { Version::Http10 } else { Version::Http11 };
    let fields: Option<Box<[Field]>> = parsed
        .headers
        .iter()
        .map(|header| Some(Field { name: span(head, header.name.as_bytes())?, value: span(head, header.value)? }))
        .collect();

    let request = Request::new(line(method, target)?, version, head.into(), fields.ok_or(Refusal::Malformed)?);
    checked(request, limits)
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
        let mut fits = whole(method.as_bytes()) && whole(target.as_bytes()) && !method.contains(' ');
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
fn checked(mut request: Request, limits: &Limits) -> Result<Request, Refusal> {
    check_host(&request)?;
    let framing = Framing::of(&request)?;
    request.set_framing(framing);
    cookie::check(&request, limits)?;
    Ok(request)
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
fn line(method: &str, target: &str) -> Result<Line, Refusal> {
    let parsed = Target::parse(method, target)?;
    let decoded = parsed.decoded.as_deref().unwrap_or_default();
    let text: String = [method, target, decoded].concat();
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

/// What stands from `start` up to the space before `next`.
fn text(head: &[u8], start: usize, next: usize) -> Option<&str> {
    core::str::from_utf8(head.get(start..next.checked_sub(1)?)?).ok()
}

/// Where in `whole` its own piece `part` lies.
fn span(whole: &[u8], part: &[u8]) -> Option<Span> {
    let start = (part.as_ptr() as usize).checked_sub(whole.as_ptr() as usize)?;
    let end = start.checked_add(part.len())?;
    (end <= whole.len()).then(|| Span::new(start, end))
}
