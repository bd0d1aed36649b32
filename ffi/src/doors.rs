//! The entries for hosts with an HTTP server, a WebSocket server or a protocol of their own.

use bytes::Bytes;
use tethered_core::http::Response;
use tethered_core::hub::{self as core_hub, Ask, Change, Join, Kind, Verdict};

use crate::boundary::{self, tethered_hub};
use crate::hub::{address, secure};
use crate::kinds::tethered_change::*;
use crate::kinds::tethered_message_kind::*;
use crate::kinds::tethered_verdict::*;
use crate::status::tethered_status_code::*;
use crate::status::{Outcome, status, tethered_status, wrong};
use crate::types::{tethered_header, tethered_now, tethered_request, tethered_response, tethered_slice};

/// A request came in at your own HTTP server: a WebSocket handshake, or anything else that the hub is to answer. It meets
/// the same checks as one that comes as bytes. The answer is a TETHERED_RESPONSE.
///
/// request: token, flags, method, target, headers, body and address; copied. size: sizeof *request as you know it.
/// socket: where its id is put, as for tethered_open. Until a TETHERED_RESPONSE with TETHERED_FOLLOWS_FRAMES nothing may be
/// received for it; say tethered_closed if the peer has gone.
///
/// Whatever a peer asks, this does not fail. Fails with TETHERED_E_LIMIT (there are too many, or the hub drains: answer
/// 503 yourself; likewise with TETHERED_E_MEMORY), TETHERED_E_ARGUMENT and TETHERED_E_VERSION; *socket is then left as it was.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tethered_ask(
    hub: *mut tethered_hub,
    now: tethered_now,
    request: *const tethered_request,
    size: usize,
    socket: *mut u64,
) -> tethered_status {
    // SAFETY: the header asks for a hub, `size` bytes at `request`, all that it points to, and a place for an id at `socket`.
    status(unsafe {
        boundary::enter(hub, "tethered_ask", |machine| {
            boundary::present(socket, "socket")?;
            let given = boundary::sized(request, size, "request")?;
            boundary::afford(given.body.len)?;
            let headers = headers(given.headers, given.n_headers, "request.headers")?;
            let ask = Ask {
                token: given.token,
                address: address(boundary::bytes(given.address, "request.address")?)?,
                secure: secure(given.flags, "request.flags")?,
                method: boundary::text(given.method, "request.method")?,
                target: boundary::text(given.target, "request.target")?,
                headers: &headers,
                body: boundary::bytes(given.body, "request.body")?,
            };
            let id = machine.ask(now.into(), &ask)?;
            boundary::put(socket, id);
            Ok(TETHERED_OK)
        })
    })
}

/// A WebSocket was opened by your own server. It is bound to its session as one of tethered_open would be; until that is
/// done, messages wait. What comes in goes to tethered_message, and what goes out comes as TETHERED_MESSAGE; or, if the
/// protocol is your own too, no more than tethered_activity is said, and its endpoint is a TETHERED_ENDPOINT_RAW. Pings are
/// yours, and so is the patience with one who does not read.
///
/// request: token, flags, target (the path of an endpoint), headers, session and address; copied. size: sizeof *request as
/// you know it.
/// socket: where the id is put that actions name it by, as for tethered_open. client: where the id is put that messages,
/// activity and the application name it by.
///
/// Gives TETHERED_REFUSED if it does not get in (no session, a foreign Origin, no such path; the log says which): close
/// your WebSocket with 1008, no action comes for it. Fails with TETHERED_E_LIMIT (there are too many, or the hub
/// drains: close it with 1013; likewise with TETHERED_E_MEMORY), TETHERED_E_ARGUMENT and TETHERED_E_VERSION. *socket and
/// *client are then left as they were.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tethered_join(
    hub: *mut tethered_hub,
    now: tethered_now,
    request: *const tethered_request,
    size: usize,
    socket: *mut u64,
    client: *mut u64,
) -> tethered_status {
    // SAFETY: the header asks for a hub, `size` bytes at `request`, all that it points to, and places for two ids.
    status(unsafe {
        boundary::enter(hub, "tethered_join", |machine| {
            boundary::afford(0)?;
            boundary::present(socket, "socket")?;
            boundary::present(client, "client")?;
            let given = boundary::sized(request, size, "request")?;
            let headers = headers(given.headers, given.n_headers, "request.headers")?;
            let session = boundary::text(given.session, "request.session")?;
            let join = Join {
                token: given.token,
                address: address(boundary::bytes(given.address, "request.address")?)?,
                secure: secure(given.flags, "request.flags")?,
                target: boundary::text(given.target, "request.target")?,
                headers: &headers,
                session: (!session.is_empty()).then_some(session),
            };
            let Some((id, who)) = machine.join(now.into(), &join)? else { return Ok(TETHERED_REFUSED) };
            boundary::put(socket, id);
            boundary::put(client, who);
            Ok(TETHERED_OK)
        })
    })
}

/// A whole message came in at a WebSocket of your own.
///
/// client: the id that tethered_join gave. flags: TETHERED_TEXT or TETHERED_BINARY. data: the message; copied as far as it
/// is needed. Text that is not UTF-8 is the peer's fault: it is closed with 1007.
///
/// Whatever a peer sends, this does not fail. Gives TETHERED_STALE if the client is gone, and TETHERED_PRESSURE as
/// tethered_received does; fails with TETHERED_E_ARGUMENT, and with TETHERED_E_MEMORY: hand it in again later, before
/// any that follow.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tethered_message(
    hub: *mut tethered_hub,
    now: tethered_now,
    client: u64,
    flags: u32,
    data: tethered_slice,
) -> tethered_status {
    // SAFETY: the header asks for a hub, and `data.len` bytes at `data.ptr` that nobody writes meanwhile.
    status(unsafe {
        boundary::enter(hub, "tethered_message", |machine| {
            boundary::afford(data.len)?;
            let kind = match flags {
                kind if kind == TETHERED_TEXT as u32 => Kind::Text,
                kind if kind == TETHERED_BINARY as u32 => Kind::Binary,
                _ => return Err(wrong("flags is neither TETHERED_TEXT nor TETHERED_BINARY")),
            };
            Ok(machine.message(now.into(), client, kind, boundary::bytes(data, "data")?))
        })
    })
}

/// A client spoke in a protocol of your own: its session is renewed. Cheap enough for each message.
///
/// kind: 0; there are no others yet.
///
/// Gives TETHERED_STALE if the client is gone; fails with TETHERED_E_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tethered_activity(
    hub: *mut tethered_hub,
    now: tethered_now,
    client: u64,
    kind: u32,
) -> tethered_status {
    // SAFETY: the header asks for a hub.
    status(unsafe {
        boundary::enter(hub, "tethered_activity", |machine| {
            if kind != 0 {
                return Err(wrong("kind is not 0"));
            }
            Ok(machine.activity(now.into(), client))
        })
    })
}

/// Answers a TETHERED_REQUEST. Its change to the session is carried out first; where that fails since the store is away, the
/// answer is 503 instead.
///
/// socket: of the request. response: copied. size: sizeof *response as you know it.
///
/// Gives TETHERED_STALE if the socket has ended. Ignored if nothing was asked, or was answered in the meantime: there are
/// 60 seconds for it. Fails with TETHERED_E_ARGUMENT (a header that cannot be sent, among others), TETHERED_E_VERSION and
/// TETHERED_E_MEMORY (try again within that time).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tethered_respond(
    hub: *mut tethered_hub,
    now: tethered_now,
    socket: u64,
    response: *const tethered_response,
    size: usize,
) -> tethered_status {
    // SAFETY: the header asks for a hub, `size` bytes at `response`, and all that it points to.
    status(unsafe {
        boundary::enter(hub, "tethered_respond", |machine| {
            let given = boundary::sized(response, size, "response")?;
            boundary::afford(given.body.len)?;
            Ok(machine.respond(now.into(), socket, read_response(&given)?))
        })
    })
}

/// Lets a handshake in, or not: the answer to a TETHERED_DECIDE.
///
/// client: its id. verdict: one of tethered_verdict.
/// principal: the name that the principal of its session goes by here, whatever the store says; empty: as the store says.
///
/// Gives TETHERED_STALE if the client is gone. Ignored if nothing was asked. Fails with TETHERED_E_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tethered_decide(
    hub: *mut tethered_hub,
    now: tethered_now,
    client: u64,
    verdict: u32,
    principal: tethered_slice,
) -> tethered_status {
    // SAFETY: the header asks for a hub, and the bytes of `principal`.
    status(unsafe {
        boundary::enter(hub, "tethered_decide", |machine| {
            let name = boundary::text(principal, "principal")?;
            let verdict = match verdict {
                verdict if verdict == TETHERED_REFUSE as u32 => Verdict::Refuse,
                verdict if verdict == TETHERED_ENTER as u32 && name.is_empty() => Verdict::Enter,
                verdict if verdict == TETHERED_ENTER as u32 => Verdict::As(name),
                _ => return Err(wrong("verdict is none of tethered_verdict")),
            };
            Ok(machine.decide(now.into(), client, verdict))
        })
    })
}

/// What is known of an action besides.
///
/// details: that member of the action. out: where it is put; size: sizeof *out as you know it. What it points to is lent
/// as long as the action.
///
/// Gives TETHERED_STALE if there is no such action among those of the last poll; fails with TETHERED_E_ARGUMENT. *out is
/// then left as it was.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tethered_details(
    hub: *const tethered_hub,
    details: u64,
    out: *mut tethered_request,
    size: usize,
) -> tethered_status {
    // SAFETY: the header asks for a hub, and `size` bytes at `out` that are the caller's own to write.
    status(unsafe {
        boundary::enter(hub, "tethered_details", |machine| {
            let Some(request) = machine.details(details) else { return Ok(TETHERED_STALE) };
            boundary::put_sized(out, size, request)?;
            Ok(TETHERED_OK)
        })
    })
}

/// # Safety
/// What the response points to is readable.
unsafe fn read_response(given: &tethered_response) -> Outcome<core_hub::Response> {
    let status = u16::try_from(given.status).ok().filter(|status| (200..600).contains(status));
    let mut http = Response::new(status.ok_or_else(|| wrong("response.status is not from 200 to 599"))?);
    // SAFETY: the caller promises as much.
    let (fields, body) = unsafe {
        let fields = headers(given.headers, given.n_headers, "response.headers")?;
        (fields, boundary::bytes(given.body, "response.body")?)
    };
    for (name, value) in fields {
        let shown = name.escape_debug();
        http.header(name, value).map_err(|error| wrong(format!("response.headers: \"{shown}\": {error}")))?;
    }
    let session = match given.change {
        change if change == TETHERED_CHANGE_KEEP as u32 => Change::Keep,
        change if change == TETHERED_CHANGE_LOGOUT as u32 => Change::End,
        change if change == TETHERED_CHANGE_LOGIN as u32 => {
            // SAFETY: the caller promises as much.
            let (principal, attributes) = unsafe {
                let attributes = headers(given.attributes, given.n_attributes, "response.attributes")?;
                (boundary::text(given.principal, "response.principal")?, attributes)
            };
            if principal.is_empty() {
                return Err(wrong("response.principal is empty: who has logged in?"));
            }
            let attributes = attributes.iter().map(|(name, value)| (Box::from(*name), Bytes::copy_from_slice(value)));
            Change::Login { principal: principal.into(), attributes: attributes.collect() }
        }
        _ => return Err(wrong("response.change is none of tethered_change")),
    };
    Ok(core_hub::Response { http: http.with_body(Bytes::copy_from_slice(body)), session })
}

/// Headers with text for names.
///
/// # Safety
/// `count` headers are readable at `first`, and all that they point to.
pub(crate) unsafe fn headers<'a>(
    first: *const tethered_header,
    count: usize,
    what: &str,
) -> Outcome<Vec<(&'a str, &'a [u8])>> {
    // SAFETY: the caller promises as much.
    let all = unsafe { boundary::array(first, count, what)? };
    // SAFETY: and as much of what they point to.
    all.iter()
        .map(|header| unsafe { Ok((boundary::text(header.name, what)?, boundary::bytes(header.value, what)?)) })
        .collect()
}

/// Headers that are text throughout.
///
/// # Safety
/// As for [`headers`].
pub(crate) unsafe fn text_headers<'a>(
    first: *const tethered_header,
    count: usize,
    what: &str,
) -> Outcome<Vec<(&'a str, &'a str)>> {
    // SAFETY: the same promise.
    let all = unsafe { headers(first, count, what)? };
    let text = |(name, value): (&'a str, &'a [u8])| {
        str::from_utf8(value).map(|value| (name, value)).map_err(|_| wrong(format!("{what}: a value is not UTF-8")))
    };
    all.into_iter().map(text).collect()
}
