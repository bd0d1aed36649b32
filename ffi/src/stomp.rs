//! The STOMP codec alone: no hub, no clock.

use bytes::BytesMut;
use tethered_core::stomp::{Command, Decoder, Encoder, Item, Limits, Version};

use crate::boundary::{self, Headers, Plain, tethered_stomp_decoder};
use crate::doors::text_headers;
use crate::kinds::tethered_role::*;
use crate::kinds::tethered_stomp_command::{self, *};
use crate::status::tethered_status_code::*;
use crate::status::{Outcome, status, tethered_status, wrong};
use crate::types::{tethered_header, tethered_slice};

/// A STOMP frame, or what comes between frames.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct tethered_stomp_frame {
    /// One of tethered_stomp_command.
    pub command: u32,
    /// 0.
    pub flags: u32,
    /// n_headers headers, unescaped, in their order and with repeats, of which the first counts. Lent until the next call
    /// with this decoder.
    pub headers: *const tethered_header,
    /// How many there are.
    pub n_headers: usize,
    /// The body. After TETHERED_E_PROTOCOL a sentence for an ERROR frame. Lent until the next call with this decoder, or
    /// until the bytes that were given are changed.
    pub body: tethered_slice,
}

// SAFETY: integers and pointers without padding: 4 + 4 + 8 + 8 + 16 bytes.
unsafe impl Plain for tethered_stomp_frame {}
#[cfg(target_pointer_width = "64")]
const _: () = assert!(size_of::<tethered_stomp_frame>() == 40);

/// What a decoder's handle stands for.
#[derive(Debug)]
pub(crate) struct StompDecoder {
    decoder: Decoder,
    limits: Limits,
    /// An unfinished frame. INVARIANT: what of it is lent stays where it is until the next call.
    partial: Vec<u8>,
    /// The headers that are lent, and the names and values they point to.
    lent: Option<Headers>,
    texts: Vec<(String, String)>,
}

impl StompDecoder {
    fn new(role: u32, max_frame: u64) -> Outcome<Self> {
        let mut limits = Limits::default();
        if max_frame != 0 {
            limits.frame_bytes = usize::try_from(max_frame).map_err(|_| wrong("max_frame is too large"))?;
        }
        let decoder = match role {
            role if role == TETHERED_SERVER as u32 => Decoder::server(),
            role if role == TETHERED_CLIENT as u32 => Decoder::client(),
            _ => return Err(wrong("role is none of tethered_role")),
        };
        Ok(Self { decoder, limits, partial: Vec::new(), lent: None, texts: Vec::new() })
    }

    /// The next thing, and how much of `bytes` it took. `None`: all of it is used up.
    fn next(&mut self, bytes: &[u8]) -> (usize, Result<Option<tethered_stomp_frame>, tethered_stomp_frame>) {
        let Self { decoder, limits, partial, lent, texts } = self;
        (*lent, *texts) = (None, Vec::new());
        let mut input = bytes;
        let found = decoder.next(limits, &mut input, partial);
        let mut frame = tethered_stomp_frame {
            command: TETHERED_STOMP_HEART_BEAT as u32,
            flags: 0,
            headers: core::ptr::null(),
            n_headers: 0,
            body: tethered_slice::EMPTY,
        };
        let found = match found {
            Ok(None) => Ok(None),
            Ok(Some(Item::HeartBeat)) => Ok(Some(frame)),
            Ok(Some(Item::Frame(found))) => {
                *texts = found.headers().map(|(name, value)| (name.into_owned(), value.into_owned())).collect();
                let pairs = texts.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes()));
                let headers = lent.insert(Headers::new(pairs, b""));
                frame.command = command_number(found.command()) as u32;
                frame.headers = headers.pointer();
                frame.n_headers = headers.count();
                frame.body = tethered_slice::lend(found.body());
                Ok(Some(frame))
            }
            Err(malformed) => {
                frame.command = TETHERED_STOMP_ERROR as u32;
                frame.body = tethered_slice::lend(malformed.message().as_bytes());
                Err(frame)
            }
        };
        (bytes.len() - input.len(), found)
    }
}

/// Makes a decoder for one side of one connection.
///
/// role: one of tethered_role: who reads. max_frame: most bytes of a frame; 0: 65,536.
/// out: where it is put; it is yours, until you give it to tethered_stomp_decoder_free.
///
/// Fails with TETHERED_E_ARGUMENT and TETHERED_E_MEMORY; *out is then left as it was.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tethered_stomp_decoder_new(
    role: u32,
    max_frame: u64,
    out: *mut *mut tethered_stomp_decoder,
) -> tethered_status {
    status(boundary::catch(|| {
        boundary::afford(0)?;
        boundary::present(out, "out")?;
        let decoder = StompDecoder::new(role, max_frame)?;
        // SAFETY: the header asks for a place for a pointer at `out`.
        unsafe { boundary::put(out, boundary::give(decoder)) };
        Ok(TETHERED_OK)
    }))
}

/// Takes the next frame or heart-beat off bytes.
///
/// version: what was agreed upon: 10, 11 or 12; 10 until then. It holds for frames that begin in these bytes.
/// bytes, len: what came, cut anywhere. used: where it is put how many of them were taken; go on with the rest. out: where
/// the frame is put; size: sizeof *out as you know it.
///
/// Gives TETHERED_MORE if all is used up: nothing is put at out then. Fails with TETHERED_E_PROTOCOL, for ever after the
/// first time: out then tells the message of an ERROR frame; TETHERED_E_ARGUMENT; and TETHERED_E_MEMORY: nothing was taken then.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tethered_stomp_decode(
    decoder: *mut tethered_stomp_decoder,
    version: u32,
    bytes: *const u8,
    len: usize,
    used: *mut usize,
    out: *mut tethered_stomp_frame,
    size: usize,
) -> tethered_status {
    // SAFETY: the header asks for a decoder, `len` bytes at `bytes`, a place for a number at `used`, and `size` bytes at
    // `out`.
    status(unsafe {
        boundary::enter(decoder, "tethered_stomp_decode", |decoder| {
            boundary::afford(len)?;
            boundary::present(used, "used")?;
            boundary::checked_size(out, size, "out")?;
            let version = read_version(version)?;
            let bytes = boundary::bytes(tethered_slice { ptr: bytes, len }, "bytes")?;
            decoder.decoder.set_version(version);
            let (taken, found) = decoder.next(bytes);
            boundary::put(used, taken);
            match found {
                Ok(None) => Ok(TETHERED_MORE),
                Ok(Some(frame)) => boundary::put_sized(out, size, frame).map(|()| TETHERED_OK),
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
pub unsafe extern "C" fn tethered_stomp_decoder_free(decoder: *mut tethered_stomp_decoder) {
    // SAFETY: the header asks for a decoder of tethered_stomp_decoder_new's that has not been freed, or NULL.
    unsafe { boundary::free(decoder) };
}

/// Writes a frame: these headers in this order, escaped as the version does, and content-length if there is a body. A header
/// that the version has no way to write is left out.
///
/// version: 10, 11 or 12. command: one of tethered_stomp_command. headers: n_headers of them, in UTF-8, content-length not
/// among them.
/// out, capacity: room for the frame. len: where it is put how many bytes it has.
///
/// Gives TETHERED_MORE if the room is too small: nothing is written then, and *len is what is needed; fails with
/// TETHERED_E_ARGUMENT and TETHERED_E_MEMORY.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tethered_stomp_encode(
    version: u32,
    command: u32,
    headers: *const tethered_header,
    n_headers: usize,
    body: tethered_slice,
    out: *mut u8,
    capacity: usize,
    len: *mut usize,
) -> tethered_status {
    status(boundary::catch(|| {
        boundary::afford(body.len)?;
        boundary::present(len, "len")?;
        // SAFETY: the header asks for all that the arguments point to, and for room for `capacity` bytes at `out`.
        let (fields, body, room) = unsafe {
            (
                text_headers(headers, n_headers, "headers")?,
                boundary::bytes(body, "body")?,
                boundary::room(out, capacity, "out")?,
            )
        };
        let command = COMMANDS.iter().find(|(known, _)| *known as u32 == command).map(|(_, command)| *command);
        let command = command.ok_or_else(|| wrong("command is none of tethered_stomp_command that has a frame"))?;
        let mut frame = BytesMut::new();
        Encoder::new(read_version(version)?).frame(&mut frame, command, fields, body);
        // SAFETY: the header asks for a place for a number at `len`.
        unsafe { boundary::put(len, frame.len()) };
        let Some(room) = room.get_mut(..frame.len()) else { return Ok(TETHERED_MORE) };
        for (place, byte) in room.iter_mut().zip(&frame[..]) {
            place.write(*byte);
        }
        Ok(TETHERED_OK)
    }))
}

fn read_version(version: u32) -> Outcome<Version> {
    match version {
        10 => Ok(Version::V1_0),
        11 => Ok(Version::V1_1),
        12 => Ok(Version::V1_2),
        _ => Err(wrong("version is none of 10, 11 and 12")),
    }
}

fn command_number(command: Command) -> tethered_stomp_command {
    COMMANDS.iter().find(|(_, known)| *known == command).map_or(TETHERED_STOMP_ERROR, |(number, _)| *number)
}

const COMMANDS: [(tethered_stomp_command, Command); 15] = [
    (TETHERED_STOMP_CONNECT, Command::Connect),
    (TETHERED_STOMP_STOMP, Command::Stomp),
    (TETHERED_STOMP_SEND, Command::Send),
    (TETHERED_STOMP_SUBSCRIBE, Command::Subscribe),
    (TETHERED_STOMP_UNSUBSCRIBE, Command::Unsubscribe),
    (TETHERED_STOMP_ACK, Command::Ack),
    (TETHERED_STOMP_NACK, Command::Nack),
    (TETHERED_STOMP_BEGIN, Command::Begin),
    (TETHERED_STOMP_COMMIT, Command::Commit),
    (TETHERED_STOMP_ABORT, Command::Abort),
    (TETHERED_STOMP_DISCONNECT, Command::Disconnect),
    (TETHERED_STOMP_CONNECTED, Command::Connected),
    (TETHERED_STOMP_MESSAGE, Command::Message),
    (TETHERED_STOMP_RECEIPT, Command::Receipt),
    (TETHERED_STOMP_ERROR, Command::Error),
];
