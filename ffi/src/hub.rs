//! The entries that take a hub.

use core::net::IpAddr;

use tethered_core::config::Config;
use tethered_core::hub::Payload;

use crate::boundary::{self, Rows, tethered_hub};
use crate::machine::{self, Machine};
use crate::status::tethered_status_code::*;
use crate::status::{Outcome, tethered_status, tethered_status_code};
use crate::types::tethered_message_kind::*;
use crate::types::tethered_peer_flags::TETHERED_PEER_SECURE;
use crate::types::{tethered_action, tethered_config, tethered_now, tethered_peer, tethered_slice};

/// Makes a hub with nobody in it.
///
/// config: how it is set up; copied, so it may be freed at once. NULL: the default of everything.
/// size: sizeof *config as you know it, so that programs and libraries of different age fit together.
/// seed16: 16 bytes from the system's random source (getrandom); secrets are made from them. With the same seed, calls
/// and times a hub does the same, byte for byte.
/// out: where the hub is put; it is yours, until you give it to tethered_hub_free.
///
/// Fails with TETHERED_E_ARGUMENT (NULL seed16 or out, a size that cannot be, a configuration that makes no sense) and
/// TETHERED_E_VERSION; *out is then left as it was.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tethered_hub_new(
    config: *const tethered_config,
    size: usize,
    seed16: *const u8,
    now: tethered_now,
    out: *mut *mut tethered_hub,
) -> tethered_status {
    status(boundary::catch(|| {
        boundary::present(out)?;
        // SAFETY: the header asks for `size` bytes at `config`, 16 at `seed16`, and a place for a pointer at `out`.
        unsafe {
            let machine = Machine::new(read_config(config, size)?, boundary::seed(seed16)?, now.into())?;
            boundary::put(out, boundary::give(machine));
        }
        Ok(TETHERED_OK)
    }))
}

/// Frees a hub and all it has lent. Its sockets are yours to close. NULL is fine. Not while another thread is inside: then
/// nothing is freed. The pointer must not be used again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tethered_hub_free(hub: *mut tethered_hub) {
    // SAFETY: the header asks for a hub of tethered_hub_new's that has not been freed, or NULL.
    unsafe { boundary::free(hub) };
}

/// A connection was accepted. Its first bytes are expected to be HTTP/1.1 (take TLS off before).
///
/// peer: what is known of it; copied. size: sizeof *peer as you know it.
/// socket: where its id is put. The id is good until this socket's TETHERED_CLOSE, and never given again; it is never 0.
///
/// Fails with TETHERED_E_LIMIT (there are too many: close the connection at once; no action will come for it),
/// TETHERED_E_ARGUMENT and TETHERED_E_VERSION; *socket is then left as it was.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tethered_open(
    hub: *mut tethered_hub,
    now: tethered_now,
    peer: *const tethered_peer,
    size: usize,
    socket: *mut u64,
) -> tethered_status {
    // SAFETY: the header asks for a hub, `size` bytes at `peer`, the bytes of its address, and a place for an id at `socket`.
    status(unsafe {
        boundary::enter(hub, |machine| {
            boundary::present(socket)?;
            let peer = boundary::sized(peer, size)?;
            let secure = TETHERED_PEER_SECURE as u32;
            if peer.flags & !secure != 0 || peer.listener != 0 {
                return Err(TETHERED_E_ARGUMENT);
            }
            let address = address(boundary::bytes(peer.address)?)?;
            let id = machine.open(now.into(), peer.token, address, peer.flags & secure != 0)?;
            boundary::put(socket, id);
            Ok(TETHERED_OK)
        })
    })
}

/// Bytes were read from a socket. All of them are taken; what they lead to comes with tethered_poll.
///
/// bytes: len of them, cut anywhere. They are changed in place (unmasked) and not kept: one buffer for all sockets will
/// do. It has to be your own memory, not something lent. (NULL, 0) is fine.
///
/// Whatever a peer sends, this does not fail: it leads to actions. Gives TETHERED_STALE if the socket has ended; fails with
/// TETHERED_E_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tethered_received(
    hub: *mut tethered_hub,
    now: tethered_now,
    socket: u64,
    bytes: *mut u8,
    len: usize,
) -> tethered_status {
    // SAFETY: the header asks for a hub, and `len` bytes at `bytes` that are the caller's own to write.
    status(unsafe {
        boundary::enter(hub, |machine| {
            let bytes = boundary::bytes_mut(bytes, len)?;
            Ok(machine.received(now.into(), socket, bytes))
        })
    })
}

/// What waits to be written on a socket, oldest first. Write it, whole or in part, and say with tethered_sent how much
/// was taken; until then it stays. It is what may cross at the time of the last call: in a later millisecond, such as
/// for a socket that can be written at last, call tethered_tick first.
///
/// out: an array of capacity slices, laid out as struct iovec, so that it may be given to writev.
///
/// Returns how many slices were filled in; 0 if nothing waits, the socket has ended, or an argument is wrong. There may be
/// more than capacity: ask again once these are written. The slices are lent until the next call with this hub other than
/// tethered_output.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tethered_output(
    hub: *const tethered_hub,
    socket: u64,
    out: *mut tethered_slice,
    capacity: usize,
) -> usize {
    // SAFETY: the header asks for a hub, and `capacity` slices at `out` that are the caller's own to write.
    let filled = unsafe {
        boundary::enter(hub, |machine| {
            let out = boundary::slices_out(out, capacity)?;
            Ok(out.iter_mut().zip(machine.output(socket)).map(|(place, slice)| place.write(slice)).count())
        })
    };
    filled.unwrap_or(0)
}

/// The socket took the first len bytes of its output. More than there were counts as all of them.
///
/// Gives TETHERED_STALE if the socket has ended; fails with TETHERED_E_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tethered_sent(
    hub: *mut tethered_hub,
    now: tethered_now,
    socket: u64,
    len: usize,
) -> tethered_status {
    // SAFETY: the header asks for a hub.
    status(unsafe { boundary::enter(hub, |machine| Ok(machine.sent(now.into(), socket, len))) })
}

/// The peer has ended the stream (read gave 0), or the socket has failed. Do not close it here: its TETHERED_CLOSE follows,
/// behind whatever else is on its way for this token. Saying it twice does no harm.
///
/// Gives TETHERED_STALE if the socket has ended; fails with TETHERED_E_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tethered_closed(hub: *mut tethered_hub, now: tethered_now, socket: u64) -> tethered_status {
    // SAFETY: the header asks for a hub.
    status(unsafe { boundary::enter(hub, |machine| Ok(machine.closed(now.into(), socket))) })
}

/// Takes the next things that are to be done, in order. Carry them all out before you wait.
///
/// out: an array of capacity actions, stride bytes apart: sizeof(tethered_action) as you know it.
/// deadline_ms: where the time (mono_ms) is put at which tethered_tick is due; UINT64_MAX: none is. It may be NULL. It
/// counts once a poll has returned less than capacity; before, it says "at once".
///
/// Returns how many actions there are. If they are as many as capacity there may be more: poll again. What they point to
/// is lent until this function is called on this hub again, whatever else is called in between. Fails with
/// TETHERED_E_ARGUMENT (a stride below that of this header, NULL with a capacity); what was lent then stays lent.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tethered_poll(
    hub: *mut tethered_hub,
    out: *mut tethered_action,
    stride: usize,
    capacity: usize,
    deadline_ms: *mut u64,
) -> i32 {
    // SAFETY: the header asks for a hub, `capacity` rows of `stride` bytes at `out` and a place for a time at `deadline_ms`,
    // all the caller's own to write.
    let polled = unsafe {
        boundary::enter(hub, |machine| {
            let mut rows = Rows::new(out, stride, capacity)?;
            let filled = rows.fill(machine.poll(rows.capacity()));
            boundary::put(deadline_ms, machine.deadline_ms(filled == rows.capacity()));
            Ok(filled as i32)
        })
    };
    polled.unwrap_or_else(|code| code as i32)
}

/// Time has passed: to be called when the deadline that tethered_poll gave is reached. Too early does no harm, and any
/// other call that takes the time does the same on its way.
///
/// Fails with TETHERED_E_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tethered_tick(hub: *mut tethered_hub, now: tethered_now) -> tethered_status {
    // SAFETY: the header asks for a hub.
    status(unsafe {
        boundary::enter(hub, |machine| {
            machine.tick(now.into());
            Ok(TETHERED_OK)
        })
    })
}

/// Sends a message to a client (the id of a TETHERED_DELIVER).
///
/// flags: one of tethered_message_kind, such as the flags of that TETHERED_DELIVER.
/// data: copied; it may be what an action lends. As text it has to be UTF-8.
///
/// Gives TETHERED_STALE if the client is gone. Fails with TETHERED_E_ARGUMENT. A client that reads too slowly is closed, by
/// actions.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tethered_send(
    hub: *mut tethered_hub,
    now: tethered_now,
    client: u64,
    flags: u32,
    data: tethered_slice,
) -> tethered_status {
    // SAFETY: the header asks for a hub, and `data.len` bytes at `data.ptr` that nobody writes meanwhile. If they are lent
    // they lie in what the machine keeps for C, which it neither moves nor changes here.
    status(unsafe {
        boundary::enter(hub, |machine| {
            let data = boundary::bytes(data)?;
            let payload = match flags {
                kind if kind == TETHERED_TEXT as u32 => Payload::Text(boundary::text(data)?),
                kind if kind == TETHERED_BINARY as u32 => Payload::Binary(data),
                _ => return Err(TETHERED_E_ARGUMENT),
            };
            Ok(machine.send(now.into(), client, payload))
        })
    })
}

fn status(outcome: Outcome<tethered_status_code>) -> tethered_status {
    outcome.unwrap_or_else(|code| code) as tethered_status
}

/// # Safety
/// `config` is NULL, or `size` bytes are readable there, and what they point to is readable too.
unsafe fn read_config(config: *const tethered_config, size: usize) -> Outcome<Config> {
    let mut wanted = Config::default();
    if config.is_null() {
        return Ok(wanted);
    }
    // SAFETY: the caller promises as much.
    let (given, endpoints) = unsafe {
        let given = boundary::sized(config, size)?;
        (given, boundary::sized_array(given.endpoints, given.n_endpoints, given.endpoint_size)?)
    };
    if given.flags != 0 {
        return Err(TETHERED_E_ARGUMENT);
    }
    if given.max_sockets != 0 {
        wanted.limits.total = u32::try_from(given.max_sockets).map_err(|_| TETHERED_E_ARGUMENT)?;
    }
    if !endpoints.is_empty() {
        wanted.endpoints.clear();
        wanted.guarded.clear();
    }
    for endpoint in endpoints {
        // SAFETY: the caller promises as much.
        let path = unsafe { boundary::bytes(endpoint.path)? };
        wanted.endpoints.push(machine::endpoint(&endpoint, boundary::text(path)?)?);
    }
    Ok(wanted)
}

fn address(bytes: &[u8]) -> Outcome<Option<IpAddr>> {
    if bytes.is_empty() {
        return Ok(None);
    }
    if let Ok(v4) = <[u8; 4]>::try_from(bytes) {
        return Ok(Some(IpAddr::from(v4)));
    }
    let v6 = <[u8; 16]>::try_from(bytes).map_err(|_| TETHERED_E_ARGUMENT)?;
    // A socket that listens for both families shows an IPv4 peer as a mapped address; it is the same peer.
    Ok(Some(IpAddr::from(v6).to_canonical()))
}
