//! The WebSocket codec alone: no hub, no clock.

use core::ffi::c_char;

use tethered_core::ws::{
    self, Assembler, CloseFrame, Head, Incoming, Limits, Opcode, Role, Violation, encode_head, encode_masked_head,
};

use crate::boundary::{self, Plain, tethered_ws_decoder};
use crate::kinds::tethered_role::*;
use crate::kinds::tethered_ws_kind::*;
use crate::status::tethered_status_code::*;
use crate::status::{Outcome, status, tethered_status, wrong};
use crate::types::tethered_slice;

/// The head of a WebSocket frame: RFC 6455 section 5.2.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct tethered_ws_head {
    /// Bytes of the payload.
    pub payload_len: u64,
    /// Bytes of this head. Not for tethered_ws_write_head.
    pub head_len: u32,
    /// 0: it continues a message; else one of tethered_ws_kind.
    pub opcode: u8,
    /// 1: the frame ends its message.
    pub fin: u8,
    /// 0.
    pub rsv: u8,
    /// 1: the payload is masked.
    pub masked: u8,
    /// The masking key.
    pub mask: [u8; 4],
    /// 0.
    pub reserved: [u8; 4],
}

// SAFETY: integers without padding: 8 + 4 + 4 + 4 + 4 bytes.
unsafe impl Plain for tethered_ws_head {}
const _: () = assert!(size_of::<tethered_ws_head>() == 24);

/// A whole message, or a control frame.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct tethered_ws_message {
    /// One of tethered_ws_kind.
    pub kind: u32,
    /// Of a Close: its code, 0 if it has none. After TETHERED_E_PROTOCOL: the code to close the connection with.
    pub code: u32,
    /// The payload; of a Close its reason; after TETHERED_E_PROTOCOL a sentence. Lent until the next call with this
    /// decoder, or until the bytes that were given are changed.
    pub data: tethered_slice,
}

// SAFETY: integers and pointers without padding: 4 + 4 + 16 bytes.
unsafe impl Plain for tethered_ws_message {}
#[cfg(target_pointer_width = "64")]
const _: () = assert!(size_of::<tethered_ws_message>() == 24);

/// What a decoder's handle stands for.
#[derive(Debug)]
pub(crate) struct WsDecoder {
    assembler: Assembler,
    limits: Limits,
    /// An unfinished message. INVARIANT: what of it is lent stays where it is until the next call.
    partial: Vec<u8>,
    /// What was wrong, for C to read.
    sentence: String,
}

impl WsDecoder {
    pub(crate) fn new(role: u32, max_message: u64) -> Outcome<Self> {
        let message_bytes = if max_message == 0 { Limits::default().message_bytes } else { max_message };
        let limits = Limits { message_bytes, frame_bytes: message_bytes, ..Limits::default() };
        let assembler = Assembler::new(read_role(role)?);
        Ok(Self { assembler, limits, partial: Vec::new(), sentence: String::new() })
    }

    /// The next thing, and how much of `bytes` it took. `None`: all of it is used up.
    fn next(&mut self, bytes: &mut [u8]) -> (usize, Result<Option<tethered_ws_message>, tethered_ws_message>) {
        let Self { assembler, limits, partial, sentence } = self;
        let given = bytes.len();
        let mut input = bytes;
        let found = assembler.next(limits, &mut input, partial).map(|found| found.map(shown));
        let used = given - input.len();
        (used, found.map_err(|violation| fault(violation, sentence)))
    }
}

/// Reads the head that bytes begin with.
///
/// bytes, len: what there is. flags: one of tethered_role: who reads. out: where the head is put.
///
/// Gives TETHERED_MORE if it is not whole yet. Fails with TETHERED_E_PROTOCOL for whatever RFC 6455 forbids in a head, and
/// TETHERED_E_ARGUMENT; *out is left as it was by all of these.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tethered_ws_parse_head(
    bytes: *const u8,
    len: usize,
    flags: u32,
    out: *mut tethered_ws_head,
) -> tethered_status {
    status(boundary::catch(|| {
        boundary::present(out, "out")?;
        // SAFETY: the header asks for `len` bytes at `bytes`.
        let bytes = unsafe { boundary::bytes(tethered_slice { ptr: bytes, len }, "bytes")? };
        let role = read_role(flags)?;
        let Some((head, size)) = Head::parse(role, bytes).map_err(|_| TETHERED_E_PROTOCOL)? else {
            return Ok(TETHERED_MORE);
        };
        let masked = role == Role::Server;
        let head = tethered_ws_head {
            payload_len: head.len,
            head_len: size as u32,
            opcode: head.opcode as u8,
            fin: head.fin.into(),
            rsv: 0,
            masked: masked.into(),
            mask: head.key,
            reserved: [0; 4],
        };
        // SAFETY: the header asks for a place for a head at `out`.
        unsafe { boundary::put(out, head) };
        Ok(TETHERED_OK)
    }))
}

/// Writes a head; the payload goes behind it, masked by tethered_ws_mask if the head says so.
///
/// head: opcode, fin, masked, mask and payload_len; the rest is 0. out14: room for 14 bytes.
///
/// Returns how many bytes were written, 2 to 14; 0 if an argument is NULL, or the head is none that may be sent.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tethered_ws_write_head(head: *const tethered_ws_head, out14: *mut u8) -> usize {
    let written = boundary::catch(|| {
        boundary::present(out14, "out14")?;
        // SAFETY: the header asks for a head.
        let head = unsafe { boundary::sized(head, size_of::<tethered_ws_head>(), "head")? };
        let opcode = read_opcode(head.opcode).ok_or_else(|| wrong("head.opcode"))?;
        let control_fits = !opcode.is_control() || (head.fin == 1 && head.payload_len <= Head::CONTROL_BYTES);
        if head.fin > 1 || head.masked > 1 || head.rsv != 0 || head.payload_len >> 63 != 0 || !control_fits {
            return Err(wrong("head"));
        }
        let encoded = if head.masked == 1 {
            encode_masked_head(head.fin == 1, opcode, head.payload_len, head.mask)
        } else {
            encode_head(head.fin == 1, opcode, head.payload_len)
        };
        // SAFETY: the header asks for room for 14 bytes, and no head is longer.
        let room = unsafe { boundary::room(out14, encoded.len(), "out14")? };
        for (place, byte) in room.iter_mut().zip(encoded.iter()) {
            place.write(*byte);
        }
        Ok(encoded.len())
    });
    written.unwrap_or(0)
}

/// Masks a payload, or unmasks it: it is the same.
///
/// bytes, len: changed in place; (NULL, 0) is fine. key4: the 4 bytes of the key. offset: where in the payload these bytes
/// begin.
///
/// Nothing happens if a pointer is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tethered_ws_mask(bytes: *mut u8, len: usize, key4: *const u8, offset: u64) {
    let _ = boundary::catch(|| {
        // SAFETY: the header asks for `len` bytes at `bytes` that are the caller's own, and 4 at `key4`.
        let (bytes, key) = unsafe {
            let key = boundary::bytes(tethered_slice { ptr: key4, len: 4 }, "key4")?;
            (boundary::bytes_mut(bytes, len, "bytes")?, key)
        };
        let turned = core::array::from_fn(|at| key[(at + (offset % 4) as usize) % 4]);
        ws::mask(bytes, turned);
        Ok(())
    });
}

/// The value of Sec-WebSocket-Accept for a Sec-WebSocket-Key.
///
/// key, len: the 24 characters of the key. out29: room for 28 characters and a NUL.
///
/// Fails with TETHERED_E_PROTOCOL (the key is not 16 bytes in Base64) and TETHERED_E_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tethered_ws_accept_key(key: *const c_char, len: usize, out29: *mut c_char) -> tethered_status {
    status(boundary::catch(|| {
        boundary::present(out29, "out29")?;
        // SAFETY: the header asks for `len` bytes at `key`.
        let key = unsafe { boundary::bytes(tethered_slice { ptr: key.cast(), len }, "key")? };
        if !ws::is_valid_key(key) {
            return Err(TETHERED_E_PROTOCOL.into());
        }
        let accept = ws::accept_key(key);
        // SAFETY: the header asks for room for 29 bytes at `out29`.
        unsafe { boundary::put_text(out29, accept.len() + 1, str::from_utf8(&accept).unwrap_or_default()) };
        Ok(TETHERED_OK)
    }))
}

/// Makes a decoder for one side of one connection, behind the handshake.
///
/// role: one of tethered_role: who reads. max_message: most bytes of a message, and of a frame; 0: 65,536.
/// out: where it is put; it is yours, until you give it to tethered_ws_decoder_free.
///
/// Fails with TETHERED_E_ARGUMENT and TETHERED_E_MEMORY; *out is then left as it was.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tethered_ws_decoder_new(
    role: u32,
    max_message: u64,
    out: *mut *mut tethered_ws_decoder,
) -> tethered_status {
    status(boundary::catch(|| {
        boundary::afford(0)?;
        boundary::present(out, "out")?;
        let decoder = WsDecoder::new(role, max_message)?;
        // SAFETY: the header asks for a place for a pointer at `out`.
        unsafe { boundary::put(out, boundary::give(decoder)) };
        Ok(TETHERED_OK)
    }))
}

/// Takes the next message or control frame off bytes. Fragments are put together, text is found to be UTF-8, and Closes to
/// have a code that may be.
///
/// bytes, len: what came, cut anywhere; changed in place (unmasked). used: where it is put how many of them were taken; go
/// on with the rest. out: where the message is put; size: sizeof *out as you know it.
///
/// Gives TETHERED_MORE if all is used up: nothing is put at out then. Fails with TETHERED_E_PROTOCOL, for ever after the
/// first time: out then tells the code and the reason to close the connection with; TETHERED_E_ARGUMENT; and
/// TETHERED_E_MEMORY: nothing was taken then.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tethered_ws_decode(
    decoder: *mut tethered_ws_decoder,
    bytes: *mut u8,
    len: usize,
    used: *mut usize,
    out: *mut tethered_ws_message,
    size: usize,
) -> tethered_status {
    // SAFETY: the header asks for a decoder, `len` bytes at `bytes` that are the caller's own to write, a place for a number
    // at `used`, and `size` bytes at `out`.
    status(unsafe {
        boundary::enter(decoder, "tethered_ws_decode", |decoder| {
            boundary::afford(len)?;
            boundary::present(used, "used")?;
            boundary::checked_size(out, size, "out")?;
            let bytes = boundary::bytes_mut(bytes, len, "bytes")?;
            let (taken, found) = decoder.next(bytes);
            boundary::put(used, taken);
            match found {
                Ok(None) => Ok(TETHERED_MORE),
                Ok(Some(message)) => boundary::put_sized(out, size, message).map(|()| TETHERED_OK),
                Err(fault) => {
                    boundary::put_sized(out, size, fault)?;
                    Err(TETHERED_E_PROTOCOL.into())
                }
            }
        })
    })
}

/// Frees a decoder and what it has lent. NULL is fine. The pointer must not be used again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tethered_ws_decoder_free(decoder: *mut tethered_ws_decoder) {
    // SAFETY: the header asks for a decoder of tethered_ws_decoder_new's that has not been freed, or NULL.
    unsafe { boundary::free(decoder) };
}

fn shown(incoming: Incoming<'_>) -> tethered_ws_message {
    let (kind, code, data) = match incoming {
        Incoming::Text(data) => (TETHERED_WS_TEXT, 0, data),
        Incoming::Binary(data) => (TETHERED_WS_BINARY, 0, data),
        Incoming::Ping(data) => (TETHERED_WS_PING, 0, data),
        Incoming::Pong(data) => (TETHERED_WS_PONG, 0, data),
        Incoming::Close(Some(CloseFrame { code, reason })) => (TETHERED_WS_CLOSE, code, reason.as_bytes()),
        Incoming::Close(None) => (TETHERED_WS_CLOSE, 0, &[][..]),
    };
    tethered_ws_message { kind: kind as u32, code: code.into(), data: tethered_slice::lend(data) }
}

fn fault(violation: Violation, sentence: &mut String) -> tethered_ws_message {
    *sentence = violation.to_string();
    let data = tethered_slice::lend(sentence.as_bytes());
    tethered_ws_message { kind: TETHERED_WS_CLOSE as u32, code: violation.code().into(), data }
}

fn read_role(role: u32) -> Outcome<Role> {
    match role {
        role if role == TETHERED_SERVER as u32 => Ok(Role::Server),
        role if role == TETHERED_CLIENT as u32 => Ok(Role::Client),
        _ => Err(wrong("role is none of tethered_role")),
    }
}

fn read_opcode(opcode: u8) -> Option<Opcode> {
    let known = [Opcode::Continuation, Opcode::Text, Opcode::Binary, Opcode::Close, Opcode::Ping, Opcode::Pong];
    known.into_iter().find(|known| *known as u8 == opcode)
}
