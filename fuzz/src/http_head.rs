//! Target `http_head`: the first byte chooses limits and how the rest is cut into reads; the rest is what a client sends.

use tethered_core::http::{
    BodyDecoder, Encoding, Exchange, HeadSearch, Limits, OriginRules, Proxies, Refusal, Request, Response, Version,
    cookie, parse, upgrade,
};

/// Runs one input; panics where an invariant breaks.
pub fn run(data: &[u8]) {
    let Some((&first, bytes)) = data.split_first() else { return };
    let step = usize::from(first % 23) + 1;
    let tight = Limits {
        head_bytes: 300,
        head_lines: 6,
        target_bytes: 40,
        cookie_bytes: 60,
        cookie_pairs: 4,
        ..Limits::default()
    };
    let limits = if first >= 128 { tight } else { Limits::default() };

    let whole = HeadSearch::default().find(bytes, &limits);
    assert_eq!(found_in_steps(bytes, step, &limits), whole, "cut into reads of {step} bytes");
    assert_eq!(found_in_steps(bytes, 1, &limits), whole, "byte by byte");
    let Ok(Some(len)) = whole else { return };
    let (head, behind) = bytes.split_at(len);
    assert!(head.ends_with(b"\r\n\r\n") && len <= limits.head_bytes);
    match parse(head, &limits) {
        Ok(request) => check_request(request, behind, step, &limits),
        Err(refusal) => {
            assert!(refusal.closes(), "what comes behind a head that cannot be read is no request");
            check_answer(&Response::from(refusal));
        }
    }
}

fn found_in_steps(bytes: &[u8], step: usize, limits: &Limits) -> Result<Option<usize>, Refusal> {
    let mut search = HeadSearch::default();
    for end in (step..bytes.len()).step_by(step).chain([bytes.len()]) {
        match search.find(&bytes[..end], limits) {
            Ok(None) => {}
            found => return found,
        }
    }
    Ok(None)
}

fn check_request(mut request: Request, behind: &[u8], step: usize, limits: &Limits) {
    assert!(request.path().starts_with('/') || (request.path() == "*" && request.method() == "OPTIONS"));
    assert!(!request.path().chars().any(|c| c.is_ascii_control()));
    assert!(!request.path().split('/').any(|segment| segment == ".." || segment == "."));
    assert!(request.target().len() <= limits.target_bytes);
    assert!(request.host().is_some() || request.version() == Version::Http10);
    assert!(request.all_headers().count() <= limits.head_lines);
    for (name, value) in request.all_headers() {
        assert!(request.headers(name).any(|one| one == value));
        assert_eq!(request.headers(name).next(), request.header(name));
        assert!(value.iter().all(|&b| b == b'\t' || (b >= b' ' && b != 0x7f)));
        assert!(!value.starts_with(b" ") && !value.ends_with(b"\t"));
    }
    check_parts(&request);
    check_security(&mut request, limits);
    check_body(&request, behind, step);
    check_reflection(&request);
}

/// A request built from the parts of another is the same request.
fn check_parts(request: &Request) {
    let (method, target, version) = (request.method(), request.target(), request.version());
    let again = Request::from_parts(method, target, version, request.all_headers(), &Limits::default());
    let again = again.expect("parts that were parsed are good");
    assert_eq!((again.path(), again.query(), again.host()), (request.path(), request.query(), request.host()));
    assert!(again.all_headers().eq(request.all_headers()));
    assert_eq!((again.exchange(), again.has_body()), (request.exchange(), request.has_body()));
}

fn check_security(request: &mut Request, limits: &Limits) {
    for encoding in [Encoding::Base64, Encoding::Plain] {
        let ids = cookie::session_ids(request, "SESSION", encoding, limits);
        assert!(ids.len() <= limits.id_tries);
        for id in ids {
            assert!(cookie::is_session_id(id.as_bytes()));
            let set = cookie::set("SESSION", &cookie::encode_value(&id, encoding), &cookie::Attributes::default());
            assert!(set.is_ok_and(|set| set.starts_with("SESSION=")));
        }
    }
    assert!(cookie::pairs(request).count() <= limits.cookie_pairs);
    if let Ok(upgrade) = upgrade::check(request, &upgrade::STOMP_PROTOCOLS) {
        assert!(!request.has_body(), "H07");
        assert!(request.headers("sec-websocket-key").eq([&upgrade.key()[..]]), "H13");
        if let Some(protocol) = upgrade.protocol(&upgrade::STOMP_PROTOCOLS) {
            assert!(request.has_token("sec-websocket-protocol", protocol), "H19");
        }
    }

    let strangers = OriginRules::default().check(request);
    let peer = "10.0.0.1".parse().ok();
    assert_eq!(request.locate(&Proxies::default(), peer, false), Ok(()), "H18: nobody is believed");
    assert_eq!((request.client(), OriginRules::default().check(request)), (peer, strangers));
    let mut proxies = Proxies::default();
    proxies.add("10.0.0.0/8").expect("a network");
    match request.locate(&proxies, peer, false) {
        Ok(()) => assert!(request.client().is_some()),
        Err(refusal) => assert_eq!(refusal, Refusal::Forwarded),
    }
    let _ = OriginRules::default().check(request);
    assert!(OriginRules::any().check(request).is_ok() || OriginRules::default().check(request).is_err());
}

fn check_body(request: &Request, behind: &[u8], step: usize) {
    const LIMIT: usize = 200;
    let collect = |step: usize| {
        let Some(mut decoder) = BodyDecoder::new(request, LIMIT)? else { return Ok(None) };
        let mut used = 0;
        for piece in behind.chunks(step) {
            let taken = decoder.feed(piece)?;
            assert!(taken == piece.len() || decoder.is_complete());
            used += taken;
        }
        let complete = decoder.is_complete();
        let body = decoder.into_body();
        assert!(body.len() <= LIMIT);
        Ok::<_, Refusal>(Some((complete, used, body)))
    };
    let whole = collect(behind.len().max(1));
    assert_eq!(collect(step), whole, "cut into reads of {step} bytes");
    assert_eq!(collect(1), whole, "byte by byte");
    assert_eq!(matches!(whole, Ok(None)), !request.has_body());
}

/// Whatever a request holds may be put into an answer: it is refused, or others read it as it was written.
fn check_reflection(request: &Request) {
    let mut response = Response::text(200, "body");
    for (name, value) in request.all_headers() {
        let _ = response.header(name, value);
    }
    let _ = response.header("X-Path", request.path());
    let _ = response.header(request.path(), request.target());
    check_answer(&response);
}

/// Reads the header lines of an answer as those of a request.
fn check_answer(response: &Response) {
    let mut written = Vec::new();
    response.write(&mut written, Exchange::default(), None);
    let text = written.strip_suffix(&response.body()[..]).expect("the body is at the end");
    let lines = text.iter().position(|&b| b == b'\n').expect("a status line") + 1;
    let fields = text[lines..].split_inclusive(|&b| b == b'\n').filter(|line| !is_for_requests(line));
    let head = [b"GET / HTTP/1.1\r\nHost: a\r\n".to_vec(), fields.collect::<Vec<_>>().concat()].concat();
    // The answer has some lines of its own beside those of a request that may have had as many as it could.
    let limits = Limits { head_bytes: usize::MAX, head_lines: usize::MAX, ..Limits::default() };
    let request = parse(&head, &limits).expect("well-formed lines");
    assert_eq!(request.header("connection"), Some(&b"close"[..]));
    assert_eq!(request.headers("content-length").count(), 1);
}

/// Lines that mean something else, or too much, in a request.
fn is_for_requests(line: &[u8]) -> bool {
    [&b"host:"[..], b"cookie:", b"upgrade:"]
        .iter()
        .any(|name| line.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name)))
}
