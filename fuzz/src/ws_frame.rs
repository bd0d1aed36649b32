//! Target `ws_frame`: a peer's bytes. Byte 0 steers role and limits, byte 1 the size of the pieces, the rest is the stream.

use tethered_core::ws::{
    Assembler, CloseFrame, Decoder, Head, Incoming, Limits, Opcode, Reader, Role, Violation, close_payload,
    is_close_code, write_frame, write_masked_frame,
};

/// Runs one input; panics where an invariant breaks.
pub fn run(data: &[u8]) {
    let [steer, size, stream @ ..] = data else { return };
    let role = if steer & 1 == 0 { Role::Server } else { Role::Client };
    let limits =
        if steer & 2 == 0 { Limits::default() } else { Limits { frame_bytes: 100, message_bytes: 200, fragments: 3 } };
    let whole = events(role, &limits, stream, stream.len().max(1));
    assert_eq!(whole, model(role, &limits, stream), "against the model");
    assert_eq!(whole, events(role, &limits, stream, usize::from(*size) + 1), "in pieces");
    assert_eq!(whole, events(role, &limits, stream, 1), "byte by byte");
    assert_eq!(whole, read(role, &limits, stream, usize::from(*size) + 1), "read in pieces");
    assert_eq!(whole, read(role, &limits, stream, stream.len().max(1)), "read");
    let frames = decoded(role, stream, stream.len().max(1));
    assert_eq!(frames, decoded(role, stream, usize::from(*size) + 1), "frames in pieces");
    assert_eq!(frames, decoded(role, stream, 1), "frames byte by byte");
    round_trip(role, stream, usize::from(*size) + 1);
    closes(stream);
}

#[derive(Debug, PartialEq, Eq)]
enum Seen {
    Text(String),
    Binary(Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(Option<(u16, String)>),
    Violation(Violation),
}

/// What the assembler makes of the stream when it comes in pieces of `size` bytes.
fn events(role: Role, limits: &Limits, stream: &[u8], size: usize) -> Vec<Seen> {
    let (mut assembler, mut partial, mut seen) = (Assembler::new(role), Vec::new(), Vec::new());
    for piece in stream.chunks(size) {
        let mut bytes = piece.to_vec();
        let mut input = &mut bytes[..];
        loop {
            match assembler.next(limits, &mut input, &mut partial) {
                Ok(Some(incoming)) => seen.push(owned(incoming)),
                Ok(None) => break,
                Err(violation) => {
                    assert_eq!(assembler.next(limits, &mut input, &mut partial), Err(violation), "it lasts");
                    seen.push(Seen::Violation(violation));
                    return seen;
                }
            }
        }
        assert!(input.is_empty());
        assert!(partial.len() as u64 <= limits.message_bytes.saturating_add(Head::CONTROL_BYTES));
    }
    seen
}

/// What a reader makes of the stream when at most `size` bytes are read at a time.
fn read(role: Role, limits: &Limits, mut stream: &[u8], size: usize) -> Vec<Seen> {
    let (mut reader, mut seen) = (Reader::new(role), Vec::new());
    while !stream.is_empty() {
        let room = reader.room(size);
        let len = room.len().min(stream.len());
        room[..len].copy_from_slice(&stream[..len]);
        stream = &stream[len..];
        reader.filled(len);
        loop {
            match reader.next(limits) {
                Ok(Some(incoming)) => seen.push(owned(incoming)),
                Ok(None) => break,
                Err(violation) => {
                    assert_eq!(reader.next(limits), Err(violation), "it lasts");
                    seen.push(Seen::Violation(violation));
                    return seen;
                }
            }
        }
        if len % 3 == 0 {
            reader.release();
        }
    }
    seen
}

fn owned(incoming: Incoming<'_>) -> Seen {
    match incoming {
        Incoming::Text(bytes) => Seen::Text(String::from_utf8(bytes.to_vec()).expect("a text is UTF-8")),
        Incoming::Binary(bytes) => Seen::Binary(bytes.to_vec()),
        Incoming::Ping(bytes) => Seen::Ping(bytes.to_vec()),
        Incoming::Pong(bytes) => Seen::Pong(bytes.to_vec()),
        Incoming::Close(frame) => Seen::Close(frame.map(|f| (f.code, f.reason.to_owned()))),
    }
}

/// The same by the letter of the RFC, slowly: nothing here is shared with what it checks.
fn model(role: Role, limits: &Limits, mut stream: &[u8]) -> Vec<Seen> {
    let (mut seen, mut message, mut small) = (Vec::new(), None::<(bool, Vec<u8>)>, 0);
    loop {
        let (fin, opcode, len, key) = match model_head(role, &mut stream) {
            Some(Ok(head)) => head,
            Some(Err(violation)) => {
                seen.push(Seen::Violation(violation));
                return seen;
            }
            None => return seen,
        };
        let there = usize::try_from(len).map_or(stream.len(), |len| len.min(stream.len()));
        let payload: Vec<u8> = stream[..there].iter().zip(key.iter().cycle()).map(|(b, k)| b ^ k).collect();
        stream = &stream[there..];
        let complete = there as u64 == len;
        if opcode >= 8 {
            if !complete {
                return seen;
            }
            seen.push(match opcode {
                9 => Seen::Ping(payload),
                10 => Seen::Pong(payload),
                _ => model_close(&payload),
            });
            if opcode == 8 {
                return seen;
            }
            continue;
        }
        let begun = message.is_some();
        let already = message.as_ref().map_or(0, |(_, bytes)| bytes.len() as u64);
        if !begun {
            small = 0;
        }
        small += u32::from(len < 64 && (begun || !fin));
        let violation = if len > limits.frame_bytes {
            Some(Violation::FrameTooBig)
        } else if opcode == 0 && !begun {
            Some(Violation::ContinuationOfNothing)
        } else if opcode != 0 && begun {
            Some(Violation::MessageInterrupted)
        } else if already + len > limits.message_bytes {
            Some(Violation::MessageTooBig)
        } else {
            (small > limits.fragments).then_some(Violation::TooManyFragments)
        };
        if let Some(violation) = violation {
            seen.push(Seen::Violation(violation));
            return seen;
        }
        let (text, mut bytes) = message.take().unwrap_or((opcode == 1, Vec::new()));
        bytes.extend(payload);
        let ends = fin && complete;
        if text && str::from_utf8(&bytes).is_err_and(|e| ends || e.error_len().is_some()) {
            seen.push(Seen::Violation(Violation::NotUtf8));
            return seen;
        }
        if ends {
            seen.push(if text { Seen::Text(String::from_utf8(bytes).expect("checked")) } else { Seen::Binary(bytes) });
        } else {
            message = Some((text, bytes));
        }
        if !complete {
            return seen;
        }
    }
}

type ModelHead = (bool, u8, u64, [u8; 4]);

fn model_head(role: Role, stream: &mut &[u8]) -> Option<Result<ModelHead, Violation>> {
    let (first, second) = (*stream.first()?, *stream.get(1)?);
    let (fin, opcode, masked, short) = (first >= 128, first % 16, second >= 128, second % 128);
    let violation = if first & 0b0111_0000 != 0 {
        Some(Violation::ReservedBit)
    } else if matches!(opcode, 3..=7 | 11..=15) {
        Some(Violation::ReservedOpcode)
    } else if role == Role::Server && !masked {
        Some(Violation::Unmasked)
    } else if role == Role::Client && masked {
        Some(Violation::Masked)
    } else if opcode >= 8 && !fin {
        Some(Violation::ControlFragmented)
    } else {
        (opcode >= 8 && short > 125).then_some(Violation::ControlTooLong)
    };
    if let Some(violation) = violation {
        return Some(Err(violation));
    }
    let length_bytes = match short {
        126 => 2,
        127 => 8,
        _ => 0,
    };
    let key_at = 2 + length_bytes;
    let end = key_at + if masked { 4 } else { 0 };
    let head = stream.get(..end)?;
    *stream = &stream[end..];
    let long = head[2..key_at].iter().fold(0, |len: u64, &byte| len << 8 | u64::from(byte));
    let (len, least) = match short {
        126 => (long, 126),
        127 => (long, 65_536),
        short => (u64::from(short), 0),
    };
    if len >= 1 << 63 {
        return Some(Err(Violation::LengthTopBit));
    }
    if len < least {
        return Some(Err(Violation::LengthNotShortest));
    }
    let key = <[u8; 4]>::try_from(&head[key_at..]).unwrap_or_default();
    Some(Ok((fin, opcode, len, key)))
}

fn model_close(body: &[u8]) -> Seen {
    match body {
        [] => Seen::Close(None),
        [_] => Seen::Violation(Violation::CloseTooShort),
        [high, low, reason @ ..] => match (u16::from_be_bytes([*high, *low]), str::from_utf8(reason)) {
            (code, _) if !is_close_code(code) => Seen::Violation(Violation::CloseCode),
            (_, Err(_)) => Seen::Violation(Violation::CloseReasonNotUtf8),
            (code, Ok(reason)) => Seen::Close(Some((code, reason.to_owned()))),
        },
    }
}

type Frame = (bool, Opcode, Vec<u8>, u64);

/// What the decoder alone makes of it: each frame's payload so far, and how much is still to come.
fn decoded(role: Role, stream: &[u8], size: usize) -> (Vec<Frame>, Option<Violation>) {
    let (mut decoder, mut frames) = (Decoder::new(role), Vec::<Frame>::new());
    for piece in stream.chunks(size) {
        let mut bytes = piece.to_vec();
        let mut input = &mut bytes[..];
        loop {
            match decoder.next(&mut input) {
                Ok(Some(chunk)) => {
                    if chunk.first {
                        frames.push((chunk.fin, chunk.opcode, Vec::new(), 0));
                    }
                    let frame = frames.last_mut().expect("a first chunk comes first");
                    frame.2.extend_from_slice(chunk.payload);
                    frame.3 = chunk.left;
                }
                Ok(None) => break,
                Err(violation) => return (frames, Some(violation)),
            }
        }
        assert!(input.is_empty());
    }
    (frames, None)
}

/// The stream as a message of ours, in fragments of `size` bytes with pings between: it must come back.
fn round_trip(role: Role, message: &[u8], size: usize) {
    let text = str::from_utf8(message).ok();
    let mut opcode = if text.is_some() { Opcode::Text } else { Opcode::Binary };
    let mut wire = Vec::new();
    let mut write = |fin, opcode, payload: &[u8]| match role {
        Role::Server => write_masked_frame(&mut wire, fin, opcode, [0xA1, size as u8, 0, 0x7F], payload),
        Role::Client => write_frame(&mut wire, fin, opcode, payload),
    };
    let mut pings = Vec::new();
    for fragment in message.chunks(size) {
        write(false, opcode, fragment);
        let ping = &fragment[..fragment.len().min(125)];
        write(true, Opcode::Ping, ping);
        pings.push(Seen::Ping(ping.to_vec()));
        opcode = Opcode::Continuation;
    }
    write(true, opcode, b"");
    let limits = Limits { frame_bytes: u64::MAX, message_bytes: u64::MAX, fragments: u32::MAX };
    let mut want = pings;
    want.push(text.map_or_else(|| Seen::Binary(message.to_vec()), |text| Seen::Text(text.to_owned())));
    assert_eq!(events(role, &limits, &wire, wire.len()), want);
}

/// The stream as a close code and a reason: what we write is what a peer may read.
fn closes(stream: &[u8]) {
    let Some((code, reason)) = stream.split_first_chunk() else { return };
    let (code, reason) = (u16::from_be_bytes(*code), String::from_utf8_lossy(reason));
    let payload = close_payload(code, &reason);
    match CloseFrame::parse(&payload) {
        Ok(None) => assert!(!is_close_code(code)),
        Ok(Some(frame)) => {
            assert!(frame.code == code && reason.starts_with(frame.reason));
            assert!(frame.reason.len() == reason.len() || frame.reason.len() > 119);
        }
        Err(violation) => panic!("we wrote {violation}"),
    }
}
