//! The entries for raw bytes: what every host needs.

use core::net::IpAddr;

use tethered_core::hub::Open;

use crate::boundary::{self, Rows, tethered_hub};
use crate::config::{self, Given};
use crate::kinds::tethered_peer_flags::TETHERED_PEER_SECURE;
use crate::machine::Machine;
use crate::status::tethered_status_code::*;
use crate::status::{Outcome, status, tethered_status, wrong};
use crate::types::{tethered_action, tethered_config, tethered_now, tethered_peer, tethered_slice, tethered_taken};

/// Makes a hub with nobody in it.
///
/// config: how it is set up; copied, with all that it points to. NULL: the default of everything.
/// size: sizeof *config as you know it, so that programs and libraries of different age fit together.
/// seed16: 16 bytes from the system's random source (getrandom); secrets are made from them. With the same seed, calls
/// and times a hub does the same, byte for byte.
/// out: where the hub is put; it is yours, until you give it to tethered_hub_free.
///
/// Fails with TETHERED_E_ARGUMENT (NULL seed16 or out, a size that cannot be, a configuration that makes no sense:
/// tethered_config_check says what is wrong with it), TETHERED_E_VERSION and TETHERED_E_MEMORY; *out is then left as it
/// was.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tethered_hub_new(
    config: *const tethered_config,
    size: usize,
    seed16: *const u8,
    now: tethered_now,
    out: *mut *mut tethered_hub,
) -> tethered_status {
    status(boundary::catch(|| {
        boundary::afford(0)?;
        boundary::present(out, "out")?;
        // SAFETY: the header asks for `size` bytes at `config`, 16 at `seed16`, and a place for a pointer at `out`.
        unsafe {
            let Given { config, choices } = config::read(config, size)?;
            let machine = Machine::new(config, choices, boundary::seed(seed16)?, now.into())?;
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
/// Fails with TETHERED_E_LIMIT (there are too many, or the hub drains: close the connection at once; no action will come
/// for it; likewise with TETHERED_E_MEMORY), TETHERED_E_ARGUMENT and TETHERED_E_VERSION; *socket is then left as it was.
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
        boundary::enter(hub, "tethered_open", |machine| {
            boundary::afford(0)?;
            boundary::present(socket, "socket")?;
            let peer = boundary::sized(peer, size, "peer")?;
            let secure = secure(peer.flags, "peer.flags")?;
            if peer.listener != 0 {
                return Err(wrong("peer.listener is not 0"));
            }
            let address = address(boundary::bytes(peer.address, "peer.address")?)?;
            let id = machine.open(now.into(), Open { token: peer.token, address, secure })?;
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
/// Whatever a peer sends, this does not fail: it leads to actions. Gives TETHERED_STALE if the socket has ended, and
/// TETHERED_PRESSURE if 1,024 actions or more wait: call tethered_poll before you read on, for a socket whose bytes would
/// have them hold more than the limit MEMORY is closed. Fails with TETHERED_E_ARGUMENT, and with TETHERED_E_MEMORY:
/// the bytes are as they were then; hand them in again later, before any that follow, or say tethered_closed.
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
        boundary::enter(hub, "tethered_received", |machine| {
            boundary::afford(len)?;
            let bytes = boundary::bytes_mut(bytes, len, "bytes")?;
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
        boundary::enter(hub, "tethered_output", |machine| {
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
    status(unsafe { boundary::enter(hub, "tethered_sent", |machine| Ok(machine.sent(now.into(), socket, len))) })
}

/// Several sockets took some of their output: as tethered_sent for each, in one call, which costs less. Whoever writes to
/// many sockets may write to all of them first; until they are told, nothing but tethered_output and tethered_poll may be
/// called with this hub.
///
/// taken: count of them; copied. A socket that has ended counts for nothing.
///
/// Gives TETHERED_STALE if one of the sockets has ended; fails with TETHERED_E_ARGUMENT, and none is told then.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tethered_sent_many(
    hub: *mut tethered_hub,
    now: tethered_now,
    taken: *const tethered_taken,
    count: usize,
) -> tethered_status {
    // SAFETY: the header asks for a hub, and `count` structs at `taken`.
    status(unsafe {
        boundary::enter(hub, "tethered_sent_many", |machine| {
            let taken = boundary::array(taken, count, "taken")?;
            Ok(machine.sent_many(now.into(), taken))
        })
    })
}

/// The peer has ended the stream (read gave 0), or the socket has failed; also for what came through tethered_ask and
/// tethered_join. Do not close it here: its TETHERED_CLOSE follows, behind whatever else is on its way for this token.
/// Saying it twice does no harm.
///
/// Gives TETHERED_STALE if the socket has ended; fails with TETHERED_E_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tethered_closed(hub: *mut tethered_hub, now: tethered_now, socket: u64) -> tethered_status {
    // SAFETY: the header asks for a hub.
    status(unsafe { boundary::enter(hub, "tethered_closed", |machine| Ok(machine.closed(now.into(), socket))) })
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
        boundary::enter(hub, "tethered_poll", |machine| {
            let mut rows = Rows::new(out, stride, capacity)?;
            let filled = machine.poll(&mut rows);
            if !deadline_ms.is_null() {
                boundary::put(deadline_ms, machine.deadline_ms(filled == rows.capacity()));
            }
            Ok(filled as i32)
        })
    };
    polled.unwrap_or_else(|fault| fault.code as i32)
}

/// Time has passed: to be called when the deadline that tethered_poll gave is reached. Too early does no harm, and any
/// other call that takes the time does the same on its way.
///
/// Fails with TETHERED_E_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tethered_tick(hub: *mut tethered_hub, now: tethered_now) -> tethered_status {
    // SAFETY: the header asks for a hub.
    status(unsafe {
        boundary::enter(hub, "tethered_tick", |machine| {
            machine.tick(now.into());
            Ok(TETHERED_OK)
        })
    })
}

/// Whether these flags of a peer say that it came over TLS.
pub(crate) fn secure(flags: u32, what: &str) -> Outcome<bool> {
    let secure = TETHERED_PEER_SECURE as u32;
    if flags & !secure != 0 {
        return Err(wrong(format!("{what} has a flag that this library does not know")));
    }
    Ok(flags & secure != 0)
}

pub(crate) fn address(bytes: &[u8]) -> Outcome<Option<IpAddr>> {
    if bytes.is_empty() {
        return Ok(None);
    }
    if let Ok(v4) = <[u8; 4]>::try_from(bytes) {
        return Ok(Some(IpAddr::from(v4)));
    }
    let v6 = <[u8; 16]>::try_from(bytes).map_err(|_| wrong("address has neither 0 nor 4 nor 16 bytes"))?;
    // A socket that listens for both families shows an IPv4 peer as a mapped address; it is the same peer.
    Ok(Some(IpAddr::from(v6).to_canonical()))
}
