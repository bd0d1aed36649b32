//! The SockJS codec alone: frames of the server, messages of a client.

use tethered_core::sockjs::{HEART_BEAT, Messages, OPEN, push_close, push_messages, push_string};

use crate::boundary;
use crate::kinds::tethered_sockjs_frame::*;
use crate::status::tethered_status_code::*;
use crate::status::{Outcome, status, tethered_status, wrong};
use crate::types::tethered_slice;

/// Writes a frame of a SockJS server: what goes out as a WebSocket message, or is wrapped by another transport.
///
/// frame: one of tethered_sockjs_frame. messages: n_messages texts for TETHERED_SOCKJS_MESSAGES; the one reason for
/// TETHERED_SOCKJS_CLOSE, else none. What is not UTF-8 in them becomes U+FFFD. code: of TETHERED_SOCKJS_CLOSE.
/// out, capacity: room for the frame. len: where it is put how many bytes it has.
///
/// Gives TETHERED_MORE if the room is too small: nothing is written then, and *len is what is needed; fails with
/// TETHERED_E_ARGUMENT and TETHERED_E_MEMORY.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tethered_sockjs_encode(
    frame: u32,
    messages: *const tethered_slice,
    n_messages: usize,
    code: u32,
    out: *mut u8,
    capacity: usize,
    len: *mut usize,
) -> tethered_status {
    status(boundary::catch(|| {
        boundary::present(len, "len")?;
        boundary::afford(0)?;
        // SAFETY: the header asks for `n_messages` texts, and for room for `capacity` bytes at `out`.
        let (texts, room) = unsafe {
            let texts = boundary::array(messages, n_messages, "messages")?.iter();
            let texts: Outcome<Vec<&[u8]>> = texts.map(|text| boundary::bytes(*text, "messages")).collect();
            (texts?, boundary::room(out, capacity, "out")?)
        };
        boundary::afford(texts.iter().map(|text| text.len()).sum())?;
        let bytes = encoded(frame, &texts, code)?;
        // SAFETY: the header asks for a place for a number at `len`.
        unsafe { boundary::put(len, bytes.len()) };
        let Some(room) = room.get_mut(..bytes.len()) else { return Ok(TETHERED_MORE) };
        for (place, byte) in room.iter_mut().zip(&bytes) {
            place.write(*byte);
        }
        Ok(TETHERED_OK)
    }))
}

/// Reads what a SockJS client sends: an array of strings in JSON.
///
/// bytes, len: all of it. out: room for len bytes, where the texts are put one behind the other. ends: room for capacity
/// numbers: where each text ends in out, and the next one begins. count: where it is put how many texts there are.
///
/// Gives TETHERED_MORE if there are more than capacity: *count is what is needed. Fails with TETHERED_E_PROTOCOL (no array
/// of strings, or one with a lone surrogate), TETHERED_E_ARGUMENT and TETHERED_E_MEMORY.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tethered_sockjs_decode(
    bytes: *const u8,
    len: usize,
    out: *mut u8,
    ends: *mut usize,
    capacity: usize,
    count: *mut usize,
) -> tethered_status {
    status(boundary::catch(|| {
        boundary::afford(len)?;
        boundary::present(count, "count")?;
        // SAFETY: the header asks for `len` bytes at `bytes`.
        let json = unsafe { boundary::bytes(tethered_slice { ptr: bytes, len }, "bytes")? };
        let found = || Messages::of(json).map_err(|_| TETHERED_E_PROTOCOL);
        let (mut messages, mut scratch, mut needed) = (found()?, Vec::new(), 0);
        while messages.next(&mut scratch).is_some() {
            needed += 1;
        }
        if needed > capacity {
            // SAFETY: the header asks for a place for a number at `count`.
            unsafe { boundary::put(count, needed) };
            return Ok(TETHERED_MORE);
        }
        // SAFETY: the header asks for room for `len` bytes at `out` and for `capacity` numbers at `ends`.
        let (room, ends) = unsafe { (boundary::room(out, len, "out")?, boundary::numbers(ends, capacity, "ends")?) };
        let (mut messages, mut at) = (found()?, 0);
        for end in ends.iter_mut().take(needed) {
            let Some(message) = messages.next(&mut scratch) else { break };
            // A text is never longer than what it was written as.
            for (place, byte) in room.iter_mut().skip(at).zip(message) {
                place.write(*byte);
            }
            at += message.len();
            end.write(at);
        }
        // SAFETY: the header asks for a place for a number at `count`.
        unsafe { boundary::put(count, needed) };
        Ok(TETHERED_OK)
    }))
}

fn encoded(frame: u32, texts: &[&[u8]], code: u32) -> Outcome<Vec<u8>> {
    let mut out = Vec::new();
    match frame {
        frame if frame == TETHERED_SOCKJS_OPEN as u32 && texts.is_empty() => out.extend_from_slice(OPEN),
        frame if frame == TETHERED_SOCKJS_HEART_BEAT as u32 && texts.is_empty() => out.extend_from_slice(HEART_BEAT),
        frame if frame == TETHERED_SOCKJS_MESSAGES as u32 => {
            let strings = texts.iter().map(|text| {
                let mut string = Vec::new();
                push_string(&mut string, text);
                string
            });
            push_messages(&mut out, strings);
        }
        frame if frame == TETHERED_SOCKJS_CLOSE as u32 && texts.len() <= 1 => {
            let code = u16::try_from(code).map_err(|_| wrong("code is above 65535"))?;
            let reason = str::from_utf8(texts.first().copied().unwrap_or_default());
            push_close(&mut out, code, reason.map_err(|_| wrong("messages: the reason is not UTF-8"))?);
        }
        _ => return Err(wrong("frame is none of tethered_sockjs_frame, or has messages that it cannot have")),
    }
    Ok(out)
}
