//! The entries of the application: what it says, to whom, and what it wants to know.

use tethered_core::hub::{Message, Payload, To, Who};
use tethered_core::ids::ClientId;
use tethered_core::session::Cause;

use crate::boundary::{self, tethered_hub};
use crate::doors::text_headers;
use crate::kinds::tethered_cause::*;
use crate::kinds::tethered_level::*;
use crate::kinds::tethered_message_kind::*;
use crate::kinds::tethered_who::*;
use crate::log::Level;
use crate::status::tethered_status_code::*;
use crate::status::{Outcome, status, tethered_status, wrong};
use crate::types::{tethered_header, tethered_log, tethered_now, tethered_slice, tethered_stats};

/// Sends a message to a client of a raw endpoint (the id of a TETHERED_DELIVER or TETHERED_JOINED).
///
/// flags: TETHERED_TEXT or TETHERED_BINARY, such as the flags of that TETHERED_DELIVER.
/// data: copied; it may be what an action lends. As text it has to be UTF-8.
///
/// Gives TETHERED_PRESSURE if more than half of what may wait for this client does, and TETHERED_STALE if it is gone. Fails
/// with TETHERED_E_ARGUMENT and TETHERED_E_MEMORY. A client that reads too slowly is closed, by actions.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tethered_send(
    hub: *mut tethered_hub,
    now: tethered_now,
    client: u64,
    flags: u32,
    data: tethered_slice,
) -> tethered_status {
    // SAFETY: the header asks for a hub, and `data.len` bytes at `data.ptr` that nobody writes meanwhile. If they are lent
    // they lie behind actions that the hub has lent, and neither drops nor changes before the next poll.
    status(unsafe {
        boundary::enter(hub, "tethered_send", |machine| {
            boundary::afford(data.len)?;
            let payload = match flags {
                kind if kind == TETHERED_TEXT as u32 => Payload::Text(boundary::text(data, "data")?),
                kind if kind == TETHERED_BINARY as u32 => Payload::Binary(boundary::bytes(data, "data")?),
                _ => return Err(wrong("flags is neither TETHERED_TEXT nor TETHERED_BINARY")),
            };
            Ok(machine.send(now.into(), client, payload))
        })
    })
}

/// Sends a STOMP MESSAGE to all who subscribed to a destination, here and, through TETHERED_RELAY, at other hubs.
///
/// destination: such as "/topic/news"; or, where user is not empty, a destination of that user's without its /user, such as
/// "/queue/messages".
/// headers: n_headers further headers, not escaped; content-type may be among them: with application/octet-stream, or
/// where the body is not UTF-8, it travels as a binary message. Those that belong to the server are left out.
/// All arguments are copied, and may be what an action lends.
/// receivers: where it is put how many subscribers there are here (0 while it waits behind a wide fan-out). It may be NULL.
///
/// Fails with TETHERED_E_ARGUMENT and TETHERED_E_MEMORY.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tethered_publish(
    hub: *mut tethered_hub,
    now: tethered_now,
    user: tethered_slice,
    destination: tethered_slice,
    headers: *const tethered_header,
    n_headers: usize,
    body: tethered_slice,
    receivers: *mut u64,
) -> tethered_status {
    // SAFETY: the header asks for a hub, all that the arguments point to, and a place for a number at `receivers`, or NULL.
    status(unsafe {
        boundary::enter(hub, "tethered_publish", |machine| {
            boundary::afford(body.len)?;
            let (user, destination) = (boundary::text(user, "user")?, boundary::text(destination, "destination")?);
            let to =
                if user.is_empty() { To::Destination(destination) } else { To::User { principal: user, destination } };
            if !destination.starts_with('/') {
                return Err(wrong("destination does not begin with /"));
            }
            let fields = text_headers(headers, n_headers, "headers")?;
            let told = machine.publish(now.into(), to, &message(&fields, boundary::bytes(body, "body")?));
            boundary::put(receivers, told);
            Ok(TETHERED_OK)
        })
    })
}

/// Answers a STOMP SUBSCRIBE to a destination of the application (a TETHERED_DELIVER with TETHERED_SUBSCRIBE) with one
/// MESSAGE.
///
/// client, subscription, destination: the id, data and name of that action. headers, body: as for tethered_publish.
///
/// Gives TETHERED_STALE if the client is gone; fails with TETHERED_E_ARGUMENT and TETHERED_E_MEMORY.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tethered_answer(
    hub: *mut tethered_hub,
    now: tethered_now,
    client: u64,
    subscription: tethered_slice,
    destination: tethered_slice,
    headers: *const tethered_header,
    n_headers: usize,
    body: tethered_slice,
) -> tethered_status {
    // SAFETY: the header asks for a hub, and all that the arguments point to.
    status(unsafe {
        boundary::enter(hub, "tethered_answer", |machine| {
            boundary::afford(body.len)?;
            let destination = boundary::text(destination, "destination")?;
            let subscription = boundary::text(subscription, "subscription")?;
            let fields = text_headers(headers, n_headers, "headers")?;
            let message = message(&fields, boundary::bytes(body, "body")?);
            Ok(machine.answer(now.into(), client, destination, subscription, &message))
        })
    })
}

/// Ends clients at once: nothing more crosses, and their sockets are closed with 1008 (1001 for TETHERED_CAUSE_DRAIN).
///
/// who_kind: one of tethered_who; who: the 8 bytes of a client's id, a session's id, or a user's name.
/// except: with TETHERED_WHO_USER, the id of a session that is kept ("log out everywhere else"); else empty.
/// cause: one of tethered_cause, to be told with TETHERED_LEFT.
/// ended: where it is put how many there were. It may be NULL.
///
/// Fails with TETHERED_E_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tethered_end(
    hub: *mut tethered_hub,
    now: tethered_now,
    who_kind: u32,
    who: tethered_slice,
    except: tethered_slice,
    cause: u32,
    ended: *mut u64,
) -> tethered_status {
    // SAFETY: the header asks for a hub, all that the arguments point to, and a place for a number at `ended`, or NULL.
    status(unsafe {
        boundary::enter(hub, "tethered_end", |machine| {
            let except = boundary::text(except, "except")?;
            let cause = read_cause(cause)?;
            let who = match who_kind {
                kind if kind == TETHERED_WHO_CLIENT as u32 => {
                    let id = <[u8; 8]>::try_from(boundary::bytes(who, "who")?);
                    let id = id.map_err(|_| wrong("who has not the 8 bytes of a client's id"))?;
                    Who::Client(ClientId::from_raw(u64::from_ne_bytes(id)))
                }
                kind if kind == TETHERED_WHO_SESSION as u32 => Who::Session(boundary::text(who, "who")?),
                kind if kind == TETHERED_WHO_USER as u32 => {
                    let principal = boundary::text(who, "who")?;
                    if except.is_empty() {
                        Who::User(principal)
                    } else {
                        Who::UserExcept { principal, session: except }
                    }
                }
                _ => return Err(wrong("who_kind is none of tethered_who")),
            };
            let told = machine.end(now.into(), who, cause);
            boundary::put(ended, told);
            Ok(TETHERED_OK)
        })
    })
}

/// Closes one client with a code and a reason of your own, behind what is queued for it. Its session lives on.
///
/// code: 1000 to 4999, such as a Close frame may have; another becomes 1000. reason: UTF-8, at most 123 bytes; a longer one
/// is cut.
///
/// Gives TETHERED_STALE if the client is gone; fails with TETHERED_E_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tethered_close_client(
    hub: *mut tethered_hub,
    now: tethered_now,
    client: u64,
    code: u32,
    reason: tethered_slice,
) -> tethered_status {
    // SAFETY: the header asks for a hub, and the bytes of `reason`.
    status(unsafe {
        boundary::enter(hub, "tethered_close_client", |machine| {
            let reason = boundary::text(reason, "reason")?;
            Ok(machine.close_client(now.into(), client, u16::try_from(code).unwrap_or(0), reason))
        })
    })
}

/// The server is going down: no more sockets are taken, each client gets Close 1001, requests under way are answered. Go
/// on with the loop until stats say that no socket is left, or your patience ends.
///
/// Fails with TETHERED_E_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tethered_drain(hub: *mut tethered_hub, now: tethered_now) -> tethered_status {
    // SAFETY: the header asks for a hub.
    status(unsafe {
        boundary::enter(hub, "tethered_drain", |machine| {
            machine.drain(now.into());
            Ok(TETHERED_OK)
        })
    })
}

/// The hub's counters.
///
/// out: where they are put; size: sizeof *out as you know it.
///
/// Fails with TETHERED_E_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tethered_stats_get(
    hub: *const tethered_hub,
    out: *mut tethered_stats,
    size: usize,
) -> tethered_status {
    // SAFETY: the header asks for a hub, and `size` bytes at `out` that are the caller's own to write.
    status(unsafe {
        boundary::enter(hub, "tethered_stats_get", |machine| {
            boundary::put_sized(out, size, machine.stats())?;
            Ok(TETHERED_OK)
        })
    })
}

/// Takes the next line of the log: what was wrong with an argument, what a bug said, what an operator should know, and each
/// session with clients that ended. At most 256 wait; the oldest go first, and are counted.
///
/// out: where it is put; size: sizeof *out as you know it. Its text is lent until the next call of this function.
///
/// Returns 1 if there was one, else 0; after TETHERED_E_PANIC too. Fails with TETHERED_E_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tethered_log_next(hub: *mut tethered_hub, out: *mut tethered_log, size: usize) -> i32 {
    // SAFETY: the header asks for a hub, and `size` bytes at `out` that are the caller's own to write.
    let taken = unsafe {
        boundary::enter_poisoned(hub, "tethered_log_next", |machine| {
            boundary::checked_size(out, size, "out")?;
            let Some(line) = machine.log().next() else { return Ok(0) };
            let level = match line.level {
                Level::Error => TETHERED_LEVEL_ERROR,
                Level::Warn => TETHERED_LEVEL_WARN,
                Level::Info => TETHERED_LEVEL_INFO,
            };
            let text = tethered_slice::lend(line.text.as_bytes());
            boundary::put_sized(out, size, tethered_log { level: level as u32, reserved: 0, text })?;
            Ok(1)
        })
    };
    taken.unwrap_or_else(|fault| fault.code as i32)
}

fn message<'a>(headers: &'a [(&'a str, &'a str)], body: &'a [u8]) -> Message<'a> {
    let content_type = headers.iter().find(|(name, _)| *name == "content-type").map(|(_, value)| *value);
    Message { content_type, headers, body }
}

fn read_cause(cause: u32) -> Outcome<Cause> {
    let known = [
        (TETHERED_CAUSE_EXPIRED, Cause::Expired),
        (TETHERED_CAUSE_DELETED, Cause::Deleted),
        (TETHERED_CAUSE_LOGGED_OUT, Cause::LoggedOut),
        (TETHERED_CAUSE_REVOKED, Cause::Revoked),
        (TETHERED_CAUSE_ROTATED, Cause::Rotated),
        (TETHERED_CAUSE_STORE_LOST, Cause::StoreLost),
        (TETHERED_CAUSE_SLOW, Cause::Slow),
        (TETHERED_CAUSE_IDLE, Cause::Idle),
        (TETHERED_CAUSE_VIOLATION, Cause::Violation),
        (TETHERED_CAUSE_DRAIN, Cause::Drain),
        (TETHERED_CAUSE_PEER, Cause::Peer),
    ];
    let found = known.into_iter().find(|(code, _)| *code as u32 == cause).map(|(_, cause)| cause);
    found.ok_or_else(|| wrong("cause is none of tethered_cause"))
}
