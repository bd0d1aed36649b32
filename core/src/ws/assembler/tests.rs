use super::*;
use crate::ws::{Reader, close_payload, encode_masked_head, write_frame, write_masked_frame};
use alloc::{borrow::ToOwned, string::String, vec};
use proptest::prelude::*;

/// An event as an owned value; a violation is the last one.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Seen {
    Text(Vec<u8>),
    Binary(Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(Option<(u16, String)>),
    Violation(Violation),
}

impl From<Incoming<'_>> for Seen {
    fn from(incoming: Incoming<'_>) -> Self {
        match incoming {
            Incoming::Text(b) => Self::Text(b.to_owned()),
            Incoming::Binary(b) => Self::Binary(b.to_owned()),
            Incoming::Ping(b) => Self::Ping(b.to_owned()),
            Incoming::Pong(b) => Self::Pong(b.to_owned()),
            Incoming::Close(frame) => Self::Close(frame.map(|f| (f.code, f.reason.to_owned()))),
        }
    }
}

/// A connection that is fed pieces. A [`Reader`] is fed the same, and must see the same.
struct Peer {
    role: Role,
    limits: Limits,
    assembler: Assembler,
    partial: Vec<u8>,
    seen: Vec<Seen>,
    reader: Reader,
    read: Vec<Seen>,
}

impl Peer {
    fn new(role: Role, limits: Limits) -> Self {
        let (assembler, partial, reader) = (Assembler::new(role), Vec::new(), Reader::new(role));
        Self { role, limits, assembler, partial, seen: Vec::new(), reader, read: Vec::new() }
    }

    fn feed(&mut self, piece: &[u8]) {
        self.assemble(piece);
        self.read(piece);
        assert_eq!(self.read, self.seen, "a reader sees the same");
    }

    fn read(&mut self, mut piece: &[u8]) {
        // An odd size, so that it is not in step with anything.
        while !piece.is_empty() {
            let room = self.reader.room(29);
            let len = room.len().min(piece.len());
            room[..len].copy_from_slice(&piece[..len]);
            piece = &piece[len..];
            self.reader.filled(len);
            loop {
                match self.reader.next(&self.limits) {
                    Ok(Some(incoming)) => self.read.push(incoming.into()),
                    Ok(None) => break,
                    Err(violation) => {
                        assert_eq!(self.reader.next(&self.limits), Err(violation), "a violation lasts");
                        if self.read.last() != Some(&Seen::Violation(violation)) {
                            self.read.push(Seen::Violation(violation));
                        }
                        return;
                    }
                }
            }
        }
    }

    fn assemble(&mut self, piece: &[u8]) {
        let mut bytes = piece.to_vec();
        let mut input = &mut bytes[..];
        loop {
            match self.assembler.next(&self.limits, &mut input, &mut self.partial) {
                Ok(Some(incoming)) => self.seen.push(incoming.into()),
                Ok(None) => return assert!(input.is_empty(), "all input is used up"),
                Err(violation) => {
                    let again = self.assembler.next(&self.limits, &mut input, &mut self.partial);
                    assert_eq!(again, Err(violation), "a violation lasts");
                    if self.seen.last() != Some(&Seen::Violation(violation)) {
                        self.seen.push(Seen::Violation(violation));
                    }
                    return;
                }
            }
        }
    }

    fn frame(&mut self, fin: bool, opcode: Opcode, payload: &[u8]) {
        let bytes = frame(self.role, fin, opcode, payload);
        self.feed(&bytes);
    }
}

const SMALL: Limits = Limits { frame_bytes: 1_000, message_bytes: 2_000, fragments: 5 };

fn frame(role: Role, fin: bool, opcode: Opcode, payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    match role {
        Role::Server => write_masked_frame(&mut out, fin, opcode, [0x5A, payload.len() as u8, 0xC3, 0x11], payload),
        Role::Client => write_frame(&mut out, fin, opcode, payload),
    }
    out
}

fn frames(role: Role, frames: &[(bool, Opcode, &[u8])]) -> Vec<u8> {
    frames.iter().flat_map(|&(fin, opcode, payload)| frame(role, fin, opcode, payload)).collect()
}

fn whole(role: Role, bytes: &[u8]) -> Vec<Seen> {
    let mut peer = Peer::new(role, SMALL);
    peer.feed(bytes);
    peer.seen
}

/// Feeds the bytes whole, at every split and byte by byte: the events must be `want` each time.
fn expect_at_every_split(role: Role, bytes: &[u8], want: &[Seen]) {
    assert_eq!(whole(role, bytes), want);
    for cut in 0..=bytes.len() {
        let mut peer = Peer::new(role, SMALL);
        peer.feed(&bytes[..cut]);
        peer.feed(&bytes[cut..]);
        assert_eq!(peer.seen, want, "cut at {cut} of {}", bytes.escape_ascii());
    }
    let mut peer = Peer::new(role, SMALL);
    bytes.iter().for_each(|&byte| peer.feed(&[byte]));
    assert_eq!(peer.seen, want, "byte by byte: {}", bytes.escape_ascii());
}

fn expect_violation(list: &[(bool, Opcode, &[u8])], want: Violation) {
    for role in [Role::Server, Role::Client] {
        expect_at_every_split(role, &frames(role, list), &[Seen::Violation(want)]);
    }
}

#[test]
fn keeps_at_most_64_bytes() {
    assert!(size_of::<Assembler>() <= 64);
}

/// F19, F20: empty messages, control frames inside a message, characters cut by frames.
#[test]
fn f19_f20_the_same_events_at_every_split() {
    let list: &[(bool, Opcode, &[u8])] = &[
        (true, Opcode::Text, b"hello"),
        (true, Opcode::Text, b""),
        (true, Opcode::Binary, &[0xFF; 130]),
        (false, Opcode::Text, b"a\xE2\x82"),
        (true, Opcode::Ping, b"inside"),
        (false, Opcode::Continuation, b""),
        (true, Opcode::Pong, b""),
        (true, Opcode::Continuation, b"\xACb"),
        (false, Opcode::Binary, b""),
        (true, Opcode::Continuation, b""),
        (true, Opcode::Text, "déjà vu".as_bytes()),
        (true, Opcode::Close, &close_payload(1000, "bye")),
        (true, Opcode::Text, b"never seen"),
    ];
    let want = [
        Seen::Text(b"hello".to_vec()),
        Seen::Text(vec![]),
        Seen::Binary(vec![0xFF; 130]),
        Seen::Ping(b"inside".to_vec()),
        Seen::Pong(vec![]),
        Seen::Text("a€b".into()),
        Seen::Binary(vec![]),
        Seen::Text("déjà vu".into()),
        Seen::Close(Some((1000, "bye".to_owned()))),
    ];
    for role in [Role::Server, Role::Client] {
        expect_at_every_split(role, &frames(role, list), &want);
    }
}

#[test]
fn f20_a_key_of_zeros_masks_nothing_and_is_legal() {
    let mut bytes = Vec::new();
    write_masked_frame(&mut bytes, true, Opcode::Text, [0; 4], b"plain");
    expect_at_every_split(Role::Server, &bytes, &[Seen::Text(b"plain".to_vec())]);
}

#[test]
fn f01_to_f05_f08_heads_are_judged_here_too() {
    for (role, bytes, want) in [
        (Role::Server, &b"\x81\x05Hello"[..], Violation::Unmasked),
        (Role::Client, b"\x81\x85\x01\x02\x03\x04Hello", Violation::Masked),
        (Role::Client, b"\xC1\x05Hello", Violation::ReservedBit),
        (Role::Client, b"\x83\x05Hello", Violation::ReservedOpcode),
        (Role::Client, b"\x89\x7E\x00\x7E", Violation::ControlTooLong),
        (Role::Client, b"\x09\x00", Violation::ControlFragmented),
        (Role::Client, b"\x82\x7F\x80\x00\x00\x00\x00\x00\x00\x00", Violation::LengthTopBit),
        (Role::Client, b"\x82\x7E\x00\x05Hello", Violation::LengthNotShortest),
    ] {
        assert_eq!(want.code(), 1002);
        expect_at_every_split(role, bytes, &[Seen::Violation(want)]);
    }
}

#[test]
fn f06_lengths_that_overflow_when_added() {
    let limits = Limits { frame_bytes: u64::MAX, message_bytes: u64::MAX >> 1, fragments: 5 };
    let mut peer = Peer::new(Role::Server, limits);
    peer.frame(false, Opcode::Binary, b"x");
    peer.feed(&encode_masked_head(true, Opcode::Continuation, u64::MAX >> 1, [0; 4]));
    assert_eq!(peer.seen, [Seen::Violation(Violation::MessageTooBig)]);
    assert_eq!(Violation::MessageTooBig.code(), 1009);
}

/// F07: at the limit, one beyond, and beyond without a byte of payload.
#[test]
fn f07_a_frame_over_the_limit_is_refused_by_its_head() {
    for opcode in [Opcode::Text, Opcode::Binary] {
        let mut peer = Peer::new(Role::Server, SMALL);
        peer.frame(true, opcode, &[b'x'; 1_000]);
        assert!(matches!(&peer.seen[..], [Seen::Text(m) | Seen::Binary(m)] if m.len() == 1_000));
        peer.feed(&encode_masked_head(true, opcode, 1_001, [0; 4]));
        assert_eq!(peer.seen.last(), Some(&Seen::Violation(Violation::FrameTooBig)));
        assert_eq!(peer.partial.capacity(), 0);
    }
    assert_eq!(Violation::FrameTooBig.code(), 1009);
}

#[test]
fn f07_an_announced_length_reserves_nothing() {
    let mut peer = Peer::new(Role::Server, Limits { frame_bytes: 1 << 40, message_bytes: 1 << 40, fragments: 5 });
    peer.feed(&encode_masked_head(true, Opcode::Binary, 1 << 40, [0; 4]));
    peer.feed(b"abc");
    assert!(peer.partial.capacity() <= 64, "{}", peer.partial.capacity());
}

#[test]
fn f09_fragments_together_are_held_to_the_message_limit() {
    let (half, bit) = ([b'x'; 1_000], [b'x'; 1]);
    let mut peer = Peer::new(Role::Server, SMALL);
    peer.frame(false, Opcode::Text, &half);
    peer.frame(true, Opcode::Continuation, &half);
    assert_eq!(peer.seen, [Seen::Text(vec![b'x'; 2_000])]);
    peer.frame(false, Opcode::Text, &half);
    peer.frame(false, Opcode::Continuation, &half);
    peer.feed(&frame(Role::Server, true, Opcode::Continuation, &bit)[..6]);
    assert_eq!(peer.seen.last(), Some(&Seen::Violation(Violation::MessageTooBig)));
    let tight = Limits { frame_bytes: 1_000, message_bytes: 999, fragments: 5 };
    let mut peer = Peer::new(Role::Server, tight);
    peer.frame(true, Opcode::Text, &half);
    assert_eq!(peer.seen, [Seen::Violation(Violation::MessageTooBig)]);
}

/// F10: five are allowed here; those of 64 bytes are not counted, nor are messages in one piece.
#[test]
fn f10_small_fragments_are_counted() {
    for (payload, counted) in [(&[b'x'; 0][..], true), (&[b'x'; 63], true), (&[b'x'; 64], false)] {
        let mut peer = Peer::new(Role::Server, SMALL);
        for _ in 0..2 {
            peer.frame(false, Opcode::Text, payload);
            (0..3).for_each(|_| peer.frame(false, Opcode::Continuation, payload));
            peer.frame(true, Opcode::Continuation, payload);
        }
        (0..10).for_each(|_| peer.frame(true, Opcode::Text, payload));
        assert_eq!(peer.seen.len(), 12);
        peer.frame(false, Opcode::Text, payload);
        (0..5).for_each(|_| peer.frame(false, Opcode::Continuation, payload));
        let flooded = peer.seen.last() == Some(&Seen::Violation(Violation::TooManyFragments));
        assert_eq!(flooded, counted, "{} bytes", payload.len());
    }
    assert_eq!(Violation::TooManyFragments.code(), 1008);
    assert_eq!(Limits::default().fragments, 4_096);
}

#[test]
fn f11_frames_in_an_impossible_order() {
    expect_violation(&[(true, Opcode::Continuation, b"x")], Violation::ContinuationOfNothing);
    expect_violation(&[(false, Opcode::Continuation, b"")], Violation::ContinuationOfNothing);
    for opcode in [Opcode::Text, Opcode::Binary] {
        expect_violation(&[(false, Opcode::Text, b"x"), (true, opcode, b"y")], Violation::MessageInterrupted);
    }
    assert_eq!((Violation::ContinuationOfNothing.code(), Violation::MessageInterrupted.code()), (1002, 1002));
}

#[test]
fn f12_text_that_is_not_utf8() {
    for bad in [
        &b"\xC0\xAF"[..],     // overlong
        b"\xE0\x80\xAF",      // overlong
        b"\xED\xA0\x80",      // a surrogate
        b"\xF4\x90\x80\x80",  // above 10FFFF
        b"abc\x80",           // a continuation of nothing
        b"cut off\xE2\x82",   // at FIN
        b"inside \xF0\x9D a", // cut off inside
    ] {
        expect_violation(&[(true, Opcode::Text, bad)], Violation::NotUtf8);
        expect_violation(&[(false, Opcode::Text, b""), (true, Opcode::Continuation, bad)], Violation::NotUtf8);
        assert!(matches!(whole(Role::Client, &frame(Role::Client, true, Opcode::Binary, bad))[..], [Seen::Binary(_)]));
    }
    assert_eq!(Violation::NotUtf8.code(), 1007);
}

/// F12: fed byte by byte, told with the byte that makes it impossible, and not before.
#[test]
fn f12_told_at_the_first_impossible_byte() {
    let bytes = frame(Role::Server, false, Opcode::Text, "é\u{FFFF}𝄞".as_bytes());
    let good = bytes.len();
    for (tail, at) in [(&b"\xF4\x90\x80\x80"[..], 2), (b"\xED\xBF\xBF", 2), (b"\xC1x", 1), (b"\xE2\x82x", 3)] {
        let mut peer = Peer::new(Role::Server, SMALL);
        let stream = [bytes.clone(), frame(Role::Server, true, Opcode::Continuation, tail)].concat();
        let told = stream.iter().position(|&byte| {
            peer.feed(&[byte]);
            !peer.seen.is_empty()
        });
        assert_eq!(told, Some(good + 6 + at - 1), "{}", tail.escape_ascii());
        assert_eq!(peer.seen, [Seen::Violation(Violation::NotUtf8)]);
    }
}

#[test]
fn f13_close_bodies() {
    for (body, want) in [
        (&b""[..], Seen::Close(None)),
        (b"\x03\xE9", Seen::Close(Some((1001, String::new())))),
        (b"\x03", Seen::Violation(Violation::CloseTooShort)),
        (b"\x03\xED", Seen::Violation(Violation::CloseCode)),
        (b"\x03\xE8\xFF", Seen::Violation(Violation::CloseReasonNotUtf8)),
    ] {
        for role in [Role::Server, Role::Client] {
            let list = [(true, Opcode::Close, body), (true, Opcode::Text, b"late")];
            expect_at_every_split(role, &frames(role, &list), core::slice::from_ref(&want));
        }
    }
}

#[test]
fn f18_a_pong_is_told_and_keeps_nothing() {
    let mut peer = Peer::new(Role::Server, SMALL);
    peer.frame(true, Opcode::Pong, b"nobody asked");
    assert_eq!((&peer.seen[..], peer.partial.capacity()), (&[Seen::Pong(b"nobody asked".to_vec())][..], 0));
}

#[test]
fn a_message_in_one_input_is_lent_from_there_and_partial_stays_unused() {
    let mut bytes = frames(Role::Server, &[(true, Opcode::Text, "mañana".as_bytes()), (true, Opcode::Ping, b"p")]);
    let range = bytes.as_ptr_range();
    let (mut assembler, mut partial, mut input) = (Assembler::new(Role::Server), Vec::new(), &mut bytes[..]);
    for _ in 0..2 {
        match assembler.next(&SMALL, &mut input, &mut partial) {
            Ok(Some(Incoming::Text(m) | Incoming::Ping(m))) => assert!(range.contains(&m.as_ptr())),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(partial.capacity(), 0);
}

#[test]
fn partial_is_empty_again_once_nothing_is_unfinished() {
    let mut peer = Peer::new(Role::Server, SMALL);
    let bytes = frames(Role::Server, &[(true, Opcode::Text, b"split here"), (true, Opcode::Ping, b"and here")]);
    for cut in 0..bytes.len() {
        peer.feed(&bytes[..cut]);
        peer.feed(&bytes[cut..]);
        assert!(peer.partial.is_empty());
    }
}

#[test]
fn a_violation_lasts_whatever_comes_after() {
    let mut peer = Peer::new(Role::Server, SMALL);
    peer.frame(true, Opcode::Text, b"\xFF");
    for _ in 0..2 {
        let mut bytes = frame(Role::Server, true, Opcode::Text, b"fine");
        let next = peer.assembler.next(&SMALL, &mut &mut bytes[..], &mut peer.partial);
        assert_eq!(next, Err(Violation::NotUtf8));
    }
}

fn any_frame() -> impl Strategy<Value = (bool, Opcode, Vec<u8>)> {
    use Opcode::{Binary, Close, Continuation, Ping, Pong, Text};
    let opcode = prop::sample::select(vec![Text, Text, Binary, Continuation, Continuation, Ping, Pong, Close]);
    let text = prop_oneof![
        ".{0,20}".prop_map(String::into_bytes),
        prop::collection::vec(any::<u8>(), 0..8),
        (0_usize..300).prop_map(|len| vec![b'x'; len]),
    ];
    (any::<bool>(), opcode, text).prop_map(|(fin, opcode, payload)| (fin || opcode.is_control(), opcode, payload))
}

proptest! {
    #[test]
    fn f19_any_frames_give_the_same_events_at_any_splits(
        list in prop::collection::vec(any_frame(), 1..12),
        sizes in prop::collection::vec(1_usize..60, 1..6),
    ) {
        for role in [Role::Server, Role::Client] {
            let bytes: Vec<u8> = list.iter().flat_map(|(fin, op, payload)| frame(role, *fin, *op, payload)).collect();
            let want = whole(role, &bytes);
            let (mut peer, mut rest) = (Peer::new(role, SMALL), &bytes[..]);
            for size in sizes.iter().cycle() {
                let (piece, more) = rest.split_at(rest.len().min(*size));
                peer.feed(piece);
                rest = more;
                if rest.is_empty() {
                    break;
                }
            }
            prop_assert_eq!(&peer.seen, &want);
        }
    }
}
