//! The entries of session stores: replies, notices, and what other hubs say.

use tethered_core::hub::{Event, Notice};
use tethered_core::redis::{Connection, Item};

use crate::boundary::{self, tethered_hub};
use crate::kinds::tethered_connection::*;
use crate::kinds::tethered_fate::*;
use crate::kinds::tethered_reply_kind::{self, *};
use crate::machine::Replied;
use crate::status::tethered_status_code::*;
use crate::status::{Outcome, status, tethered_status, wrong};
use crate::types::{tethered_item, tethered_now, tethered_slice};

/// The reply to a TETHERED_REDIS or a TETHERED_SESSION.
///
/// call: the id of that action. An id that nothing waits for is ignored; so is every other after the first reply. That of a
/// SUBSCRIBE is given once, when all its channels are confirmed.
/// kind: one of tethered_reply_kind. value: of TETHERED_REPLY_INT, and of a TETHERED_SESSION's list.
/// items: count of them; the one of TETHERED_REPLY_BULK and TETHERED_REPLY_ERROR, all of TETHERED_REPLY_LIST, else none.
/// They are not kept.
///
/// Whatever a store replies, this does not fail. Fails with TETHERED_E_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tethered_reply(
    hub: *mut tethered_hub,
    now: tethered_now,
    call: u64,
    kind: u32,
    value: i64,
    items: *const tethered_item,
    count: usize,
) -> tethered_status {
    // SAFETY: the header asks for a hub, `count` items at `items`, and all that they point to.
    status(unsafe {
        boundary::enter(hub, "tethered_reply", |machine| {
            let items = boundary::array(items, count, "items")?;
            let items = items.iter().map(|item| read_item(item)).collect::<Outcome<Vec<Item<'_>>>>()?;
            let kind = reply_kind(kind).ok_or_else(|| wrong("kind is none of tethered_reply_kind"))?;
            machine.reply(now.into(), call, Replied { kind, value, items: &items })?;
            Ok(TETHERED_OK)
        })
    })
}

/// A message came in on a channel that was subscribed to on TETHERED_NOTICES, as it came, in order.
///
/// node: which node it came from; 0 where there is only one. channel, payload: not kept.
///
/// Whatever they say, this does not fail. Fails with TETHERED_E_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tethered_notice(
    hub: *mut tethered_hub,
    now: tethered_now,
    node: u32,
    channel: tethered_slice,
    payload: tethered_slice,
) -> tethered_status {
    // SAFETY: the header asks for a hub, and the bytes of both.
    status(unsafe {
        boundary::enter(hub, "tethered_notice", |machine| {
            let (channel, payload) = (boundary::bytes(channel, "channel")?, boundary::bytes(payload, "payload")?);
            machine.event(now.into(), Event::Notification { node, channel, payload });
            Ok(TETHERED_OK)
        })
    })
}

/// A connection to Redis is up, authenticated, and in the right database. Nothing was sent on it yet, and nothing will come
/// from one before it.
///
/// connection: one of tethered_connection.
///
/// Fails with TETHERED_E_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tethered_connected(
    hub: *mut tethered_hub,
    now: tethered_now,
    connection: u32,
) -> tethered_status {
    // SAFETY: the header asks for a hub.
    status(unsafe {
        boundary::enter(hub, "tethered_connected", |machine| {
            machine.event(now.into(), Event::Connected { connection: read_connection(connection)? });
            Ok(TETHERED_OK)
        })
    })
}

/// A connection to Redis is gone, or could not be made. Its open calls are answered by this: nothing more need be said of
/// them. Commands that come for it later want TETHERED_REPLY_LOST.
///
/// connection: one of tethered_connection.
///
/// Fails with TETHERED_E_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tethered_disconnected(
    hub: *mut tethered_hub,
    now: tethered_now,
    connection: u32,
) -> tethered_status {
    // SAFETY: the header asks for a hub.
    status(unsafe {
        boundary::enter(hub, "tethered_disconnected", |machine| {
            machine.event(now.into(), Event::Disconnected { connection: read_connection(connection)? });
            Ok(TETHERED_OK)
        })
    })
}

/// A store outside (TETHERED_STORE_EXTERNAL) says that something befell a session. It is checked before it is believed.
///
/// session: its id. fate: one of tethered_fate. to: with TETHERED_FATE_RENAMED its new id; else empty.
///
/// Fails with TETHERED_E_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tethered_session_notice(
    hub: *mut tethered_hub,
    now: tethered_now,
    session: tethered_slice,
    fate: u32,
    to: tethered_slice,
) -> tethered_status {
    // SAFETY: the header asks for a hub, and the bytes of both ids.
    status(unsafe {
        boundary::enter(hub, "tethered_session_notice", |machine| {
            let (session, to) = (boundary::text(session, "session")?, boundary::text(to, "to")?);
            let notice = match fate {
                fate if fate == TETHERED_FATE_EXPIRED as u32 => Notice::Expired,
                fate if fate == TETHERED_FATE_DELETED as u32 => Notice::Deleted,
                fate if fate == TETHERED_FATE_RENAMED as u32 && !to.is_empty() => Notice::Renamed { to },
                fate if fate == TETHERED_FATE_RENAMED as u32 => return Err(wrong("to is empty: which id has it now?")),
                _ => return Err(wrong("fate is none of tethered_fate")),
            };
            machine.fate(now.into(), session, notice);
            Ok(TETHERED_OK)
        })
    })
}

/// The notices of a store outside come in from now on (on 1), or no longer do (0). While they do not, sessions are asked for
/// more often. A Redis is watched by the hub itself.
///
/// Fails with TETHERED_E_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tethered_notices(hub: *mut tethered_hub, now: tethered_now, on: u32) -> tethered_status {
    // SAFETY: the header asks for a hub.
    status(unsafe {
        boundary::enter(hub, "tethered_notices", |machine| {
            let event = match on {
                0 => Event::NoticesLost,
                1 => Event::NoticesOn,
                _ => return Err(wrong("on is neither 0 nor 1")),
            };
            machine.event(now.into(), event);
            Ok(TETHERED_OK)
        })
    })
}

/// Another hub passed something on: the data of its TETHERED_RELAY, in order. A hub's own may come back to it: they are
/// ignored. Not kept.
///
/// Whatever it says, this does not fail. Fails with TETHERED_E_ARGUMENT and TETHERED_E_MEMORY.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tethered_relayed(
    hub: *mut tethered_hub,
    now: tethered_now,
    data: tethered_slice,
) -> tethered_status {
    // SAFETY: the header asks for a hub, and the bytes of `data`.
    status(unsafe {
        boundary::enter(hub, "tethered_relayed", |machine| {
            boundary::afford(data.len)?;
            machine.event(now.into(), Event::Relayed { publication: boundary::bytes(data, "data")? });
            Ok(TETHERED_OK)
        })
    })
}

/// Tells the applications of all other hubs something: TETHERED_ANNOUNCED there. Only with TETHERED_CONFIG_RELAY.
///
/// Fails with TETHERED_E_ARGUMENT and TETHERED_E_MEMORY.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tethered_announce(
    hub: *mut tethered_hub,
    now: tethered_now,
    data: tethered_slice,
) -> tethered_status {
    // SAFETY: the header asks for a hub, and the bytes of `data`.
    status(unsafe {
        boundary::enter(hub, "tethered_announce", |machine| {
            boundary::afford(data.len)?;
            machine.announce(now.into(), boundary::bytes(data, "data")?);
            Ok(TETHERED_OK)
        })
    })
}

/// # Safety
/// What the item points to is readable.
unsafe fn read_item<'a>(item: &tethered_item) -> Outcome<Item<'a>> {
    // SAFETY: the caller promises as much.
    let bytes = unsafe { boundary::bytes(item.bytes, "items")? };
    Ok(match reply_kind(item.kind) {
        Some(TETHERED_REPLY_NIL) => Item::Nil,
        Some(TETHERED_REPLY_INT) => Item::Int(item.value),
        Some(TETHERED_REPLY_BULK) => Item::Bulk(bytes),
        Some(TETHERED_REPLY_ERROR) => Item::Error(bytes),
        _ => return Err(wrong("items: a kind that no item has")),
    })
}

fn reply_kind(kind: u32) -> Option<tethered_reply_kind> {
    let known = [
        TETHERED_REPLY_NIL,
        TETHERED_REPLY_INT,
        TETHERED_REPLY_BULK,
        TETHERED_REPLY_ERROR,
        TETHERED_REPLY_LIST,
        TETHERED_REPLY_LOST,
    ];
    known.into_iter().find(|known| *known as u32 == kind)
}

fn read_connection(connection: u32) -> Outcome<Connection> {
    let known = [
        (TETHERED_COMMANDS, Connection::Commands),
        (TETHERED_NOTICES, Connection::Notices),
        (TETHERED_TRANSACTIONS, Connection::Transactions),
    ];
    let found = known.into_iter().find(|(code, _)| *code as u32 == connection).map(|(_, connection)| connection);
    found.ok_or_else(|| wrong("connection is none of tethered_connection"))
}
