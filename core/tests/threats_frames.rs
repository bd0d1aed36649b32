//! What hostile WebSocket frames lead to, case by case: F01 to F23.

mod harness;

use harness::Server;
use harness::wire::{self, frame, frame_with, text};
use tethered_core::hub::Action;
use tethered_core::hub::Payload;
use tethered_core::ids::{ClientId, SocketId};
use tethered_core::session::Cause;

/// An open raw WebSocket.
fn raw(server: &mut Server) -> SocketId {
    server.ws("/echo", "none=none")
}

/// An open raw WebSocket and the client behind it.
fn client(server: &mut Server) -> (SocketId, ClientId) {
    server.seen();
    let socket = raw(server);
    match &server.seen()[..] {
        [Action::Joined { client, .. }] => (socket, *client),
        seen => panic!("{seen:?}"),
    }
}

/// These bytes are answered with this code, whole, byte by byte and cut in two at each place; nothing is delivered of
/// what comes after them, and the connection ends.
fn assert_closes(server: &mut Server, bytes: &[u8], code: u16) {
    let shown = bytes[..bytes.len().min(100)].escape_ascii().to_string();
    let cuts = if bytes.len() <= 300 { 0..=bytes.len() } else { 0..=1 };
    for cut in cuts {
        let socket = raw(server);
        server.seen();
        server.send(socket, &bytes[..cut]);
        server.send(socket, &bytes[cut..]);
        assert_over(server, socket, code, &format!("{shown} cut at {cut}"));
    }
    let socket = raw(server);
    server.seen();
    server.send_bytewise(socket, bytes);
    assert_over(server, socket, code, &format!("{shown} byte by byte"));
}

fn assert_over(server: &mut Server, socket: SocketId, code: u16, shown: &str) {
    assert_eq!(server.close_code(socket), Some(code), "{shown}");
    server.send(socket, &text("afterwards"));
    assert_eq!(server.output(socket), b"", "{shown}");
    let seen = server.seen();
    assert!(seen.iter().all(|action| !matches!(action, Action::Deliver { .. })), "{shown}: {seen:?}");
    assert!(matches!(seen[..], [Action::Left { cause: Cause::Violation, .. }]), "{shown}: {seen:?}");
    assert!(server.is_shut(socket), "{shown}");
    server.hang_up(socket);
    assert!(server.is_closed(socket), "{shown}");
}

/// These bytes are in order: they lead to these deliveries, however they are cut.
fn assert_delivers(server: &mut Server, bytes: &[u8], expected: &[&[u8]]) {
    let cuts = if bytes.len() <= 300 { 0..=bytes.len() } else { 0..=1 };
    for cut in cuts {
        let socket = raw(server);
        server.seen();
        server.send(socket, &bytes[..cut]);
        server.send(socket, &bytes[cut..]);
        let bodies: Vec<_> = server.delivered().into_iter().map(|(_, body)| body).collect();
        assert_eq!(bodies, expected, "cut at {cut}");
        server.hang_up(socket);
    }
}

#[test]
fn f01_unmasked_frames() {
    let mut server = Server::default();
    assert_closes(&mut server, &frame_with(0x81, b"hello", None), 1002);
    assert_closes(&mut server, &frame_with(0x88, b"\x03\xe8", None), 1002);
    assert_closes(&mut server, &frame_with(0x89, b"", None), 1002);
}

#[test]
fn f02_reserved_bits() {
    let mut server = Server::default();
    for bits in [0x40, 0x20, 0x10, 0x70] {
        for first in [0x81, 0x82, 0x01, 0x89, 0x88] {
            assert_closes(&mut server, &frame(first | bits, b""), 1002);
        }
    }
}

#[test]
fn f03_reserved_opcodes() {
    let mut server = Server::default();
    for opcode in [0x3, 0x4, 0x5, 0x6, 0x7, 0xb, 0xc, 0xd, 0xe, 0xf] {
        assert_closes(&mut server, &frame(0x80 | opcode, b""), 1002);
        assert_closes(&mut server, &frame(opcode, b""), 1002);
    }
}

#[test]
fn f04_long_or_split_control_frames() {
    let mut server = Server::default();
    for opcode in [0x8, 0x9, 0xa] {
        assert_closes(&mut server, &frame(0x80 | opcode, &[0; 126]), 1002);
        assert_closes(&mut server, &frame(opcode, b""), 1002);
    }
    let socket = raw(&mut server);
    server.send(socket, &wire::ping(&[b'p'; 125]));
    assert_eq!(server.frames(socket)[0].payload, [b'p'; 125]);
}

#[test]
fn f05_64_bit_length_with_the_top_bit() {
    let mut server = Server::default();
    for len in [1_u64 << 63, u64::MAX] {
        assert_closes(&mut server, &[&[0x82, 0xff][..], &len.to_be_bytes(), &[0; 4]].concat(), 1002);
    }
}

#[test]
fn f06_lengths_that_overflow_when_added() {
    let mut server = Server::default();
    for len in [u64::MAX >> 1, (u64::MAX >> 1) - 4, u64::from(u32::MAX), u64::from(u32::MAX) - 4] {
        let huge = [&wire::head(0x80, len, true)[..], &[0; 4]].concat();
        assert_closes(&mut server, &[frame(0x02, b"begun"), huge].concat(), 1009);
        let huge = [&wire::head(0x82, len, true)[..], &[0; 4]].concat();
        assert_closes(&mut server, &huge, 1009);
    }
}

#[test]
fn f07_announced_length_above_the_limit() {
    let mut server = Server::default();
    // The head alone: nothing of the payload came, and nothing is set aside for it.
    let head = |len| [wire::head(0x82, len, true), vec![0; 4]].concat();
    assert_closes(&mut server, &head(65_537), 1009);
    let socket = raw(&mut server);
    server.send(socket, &head(65_536));
    assert!(server.hub.stats().buffered_bytes < 32);
    assert_eq!(server.frames(socket), []);
    assert_delivers(&mut server, &frame(0x82, &[7; 65_536]), &[&[7; 65_536]]);
}

#[test]
fn f08_length_not_in_its_shortest_form() {
    let mut server = Server::default();
    for len in [0_u16, 1, 125] {
        let head = [&[0x82, 0xfe][..], &len.to_be_bytes(), &[0; 4]].concat();
        assert_closes(&mut server, &head, 1002);
    }
    for len in [0_u64, 125, 126, 65_535] {
        let head = [&[0x82, 0xff][..], &len.to_be_bytes(), &[0; 4]].concat();
        assert_closes(&mut server, &head, 1002);
    }
    assert_delivers(&mut server, &frame(0x82, &[7; 126]), &[&[7; 126]]);
}

#[test]
fn f09_fragments_that_together_exceed_the_limit() {
    let mut server = Server::default();
    let halves =
        |last: usize| [frame(0x02, &[7; 32_768]), frame(0x00, &[7; 16_384]), frame(0x80, &vec![7; last])].concat();
    assert_delivers(&mut server, &halves(16_384), &[&[7; 65_536]]);
    let socket = raw(&mut server);
    server.seen();
    server.send(socket, &halves(16_385));
    assert_over(&mut server, socket, 1009, "one byte beyond");
    // Told by the last head already.
    let socket = raw(&mut server);
    server.seen();
    let all = halves(16_385);
    server.send(socket, &all[..all.len() - 16_385]);
    assert_over(&mut server, socket, 1009, "by its head");
}

#[test]
fn f10_endless_small_fragments() {
    let mut server = Server::default();
    for payload in [&b""[..], b"x", &[b'x'; 15]] {
        let socket = raw(&mut server);
        server.seen();
        server.send(socket, &frame(0x01, payload));
        for _ in 1..4_096 {
            server.send(socket, &frame(0x00, payload));
        }
        assert_eq!(server.frames(socket), [], "4,096 are fine");
        server.send(socket, &frame(0x00, payload));
        assert_over(&mut server, socket, 1008, "4,097");
    }
    // Those of 64 B and more are counted in bytes only.
    let socket = raw(&mut server);
    server.seen();
    server.send(socket, &frame(0x02, &[7; 64]));
    for _ in 0..1_022 {
        server.send(socket, &frame(0x00, &[7; 64]));
    }
    server.send(socket, &frame(0x80, &[7; 64]));
    assert_eq!(server.delivered()[0].1.len(), 65_536);
}

#[test]
fn f11_continuation_of_nothing_and_a_message_inside_another() {
    let mut server = Server::default();
    assert_closes(&mut server, &frame(0x80, b"x"), 1002);
    assert_closes(&mut server, &frame(0x00, b"x"), 1002);
    assert_closes(&mut server, &[frame(0x01, b"x"), frame(0x81, b"y")].concat(), 1002);
    assert_closes(&mut server, &[frame(0x02, b"x"), frame(0x02, b"y")].concat(), 1002);
    let around = [frame(0x01, b"a"), wire::ping(b"p"), frame(0x00, b"b"), wire::pong(b""), frame(0x80, b"c")].concat();
    assert_delivers(&mut server, &around, &[b"abc"]);
    let two = [frame(0x81, b"one"), frame(0x80, b"x")].concat();
    let socket = raw(&mut server);
    server.send(socket, &two);
    assert_eq!(server.close_code(socket), Some(1002));
    assert_eq!(server.delivered().len(), 1, "what was in order came through");
}

#[test]
fn f12_text_that_is_not_utf8() {
    let mut server = Server::default();
    for bad in [
        &b"\xff"[..],
        b"\x80",
        b"ok\xc0\xaf",
        b"\xc1\xbf",
        b"\xe0\x9f\xbf",
        b"\xed\xa0\x80",
        b"\xf0\x8f\xbf\xbf",
        b"\xf4\x90\x80\x80",
        b"\xf5\x80\x80\x80",
        b"\xe2\x82A",
    ] {
        assert_closes(&mut server, &text(bad), 1007);
        // At the first impossible byte: neither the frame nor the message is over.
        let whole = frame(0x01, &[bad, &[b'x'; 50]].concat());
        assert_closes(&mut server, &whole[..whole.len() - 50], 1007);
    }
    // Cut off at FIN, in one frame or over fragments.
    for cut in [&b"\xe2\x82"[..], b"\xf0\x9f\x98", b"\xc3"] {
        assert_closes(&mut server, &text(cut), 1007);
        assert_closes(&mut server, &[frame(0x01, cut), frame(0x80, b"")].concat(), 1007);
    }
    // A character may lie across fragments.
    let smile = "😀".as_bytes();
    let parts = [frame(0x01, &smile[..1]), frame(0x00, &smile[1..3]), frame(0x80, &smile[3..])].concat();
    assert_delivers(&mut server, &parts, &[smile]);
    assert_delivers(&mut server, &frame(0x82, b"\xff\x80"), &[b"\xff\x80"]);
}

#[test]
fn f13_close_frames_that_are_not_in_order() {
    let mut server = Server::default();
    assert_closes(&mut server, &frame(0x88, b"\x03"), 1002);
    for code in 0..5_100_u16 {
        let allowed = matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999);
        let socket = raw(&mut server);
        server.send(socket, &wire::close(code, "why"));
        let answer = server.close_code(socket);
        assert_eq!(answer, Some(if allowed { code } else { 1002 }), "{code}");
        server.hang_up(socket);
    }
    assert_closes(&mut server, &wire::close(65_535, ""), 1002);
    assert_closes(&mut server, &frame(0x88, b"\x03\xe8\xff"), 1007);
    assert_closes(&mut server, &frame(0x88, b"\x03\xe8cut \xe2\x82"), 1007);
    let socket = raw(&mut server);
    server.send(socket, &wire::close(1000, &"x".repeat(123)));
    assert_eq!(server.close_code(socket), Some(1000));
}

#[test]
fn f14_a_valid_close() {
    let mut server = Server::default();
    for code in [1000, 1001, 3000, 4999] {
        let (socket, _) = client(&mut server);
        server.send(
            socket,
            &[wire::close(code, "bye"), text("afterwards"), wire::ping(b"p"), wire::close(1001, "")].concat(),
        );
        server.send(socket, &text("much later"));
        let frames = server.frames(socket);
        assert!(matches!(&frames[..], [only] if only.close().is_some_and(|(answer, _)| answer == code)), "{frames:?}");
        let seen = server.seen();
        assert!(matches!(seen[..], [Action::Left { cause: Cause::Peer, .. }]), "{seen:?}");
        assert!(server.is_shut(socket));
        server.wait(1_000);
        assert!(server.is_closed(socket), "within 1 s");
    }
    // One without a code is answered without a code.
    let socket = raw(&mut server);
    server.send(socket, &frame(0x88, b""));
    assert_eq!(server.output(socket), b"\x88\x00");
}

#[test]
fn f15_our_close_is_never_answered() {
    let mut server = Server::default();
    let socket = raw(&mut server);
    server.send(socket, &frame(0x83, b""));
    assert_eq!(server.close_code(socket), Some(1002));
    for _ in 0..49 {
        server.wait(100);
        server.send(socket, &text("going on as if nothing had happened"));
    }
    assert!(!server.is_closed(socket));
    server.wait(116);
    assert!(server.is_closed(socket), "CLOSE_TIME");
}

#[test]
fn f15_our_close_cannot_be_written() {
    let mut server = Server::default();
    let socket = raw(&mut server);
    server.stall(socket, 0);
    server.send(socket, &frame(0x83, b""));
    server.wait(5_016);
    assert!(server.is_closed(socket));
}

#[test]
fn f16_pings_are_answered_with_the_same_bytes() {
    let mut server = Server::default();
    let socket = raw(&mut server);
    let bytes: Vec<u8> = (0..125).collect();
    server.send(socket, &[wire::ping(b""), wire::ping(&bytes), wire::ping(b"third")].concat());
    let pongs: Vec<_> = server.frames(socket).into_iter().map(|frame| (frame.first, frame.payload)).collect();
    assert_eq!(pongs, [(0x8a, Vec::new()), (0x8a, bytes), (0x8a, b"third".to_vec())]);
}

#[test]
fn f16_only_the_newest_ping_while_output_is_blocked() {
    let mut server = Server::default();
    let (socket, to) = client(&mut server);
    server.stall(socket, 10);
    let now = server.now();
    server.hub.send(now, to, Payload::Text(&"x".repeat(100)));
    server.work();
    let before = server.hub.stats().buffered_bytes;
    for i in 0..50 {
        server.send(socket, &wire::ping(format!("{i}").as_bytes()));
    }
    assert_eq!(server.hub.stats().buffered_bytes, before, "one pong waits at most");
    server.unstall(socket);
    let frames = server.frames(socket);
    let [message, pong] = &frames[..] else { panic!("{frames:?}") };
    assert_eq!((message.payload.len(), &pong.payload[..]), (100, &b"49"[..]));
}

#[test]
fn f17_ping_or_pong_flood() {
    let mut server = Server::default();
    for control in [wire::ping(b"p"), wire::pong(b"p")] {
        let (socket, _) = client(&mut server);
        for _ in 0..100 {
            server.send(socket, &control);
        }
        assert!(server.frames(socket).iter().all(|frame| frame.first == 0x8a), "100 in 10 s are fine");
        server.wait(10_000);
        for _ in 0..100 {
            server.send(socket, &control);
        }
        assert!(server.frames(socket).iter().all(|frame| frame.first == 0x8a), "and 100 more in the next");
        server.send(socket, &control);
        assert_over(&mut server, socket, 1008, "101");
    }
}

#[test]
fn f18_a_pong_that_nobody_asked_for() {
    let mut server = Server::default();
    let socket = raw(&mut server);
    let before = server.hub.stats().buffered_bytes;
    for _ in 0..50 {
        server.send(socket, &wire::pong(&[b'x'; 125]));
    }
    assert_eq!(server.frames(socket), []);
    assert_eq!(server.hub.stats().buffered_bytes, before);
}

#[test]
fn f19_one_byte_per_segment() {
    let mut server = Server::default();
    let bytes = [text("one"), frame(0x01, b"tw"), wire::ping(b"p"), frame(0x80, b"o"), frame(0x82, &[3; 300])].concat();
    let whole = raw(&mut server);
    server.seen();
    server.send(whole, &bytes);
    let (delivered, frames) = (server.delivered(), server.frames(whole));
    let bytewise = raw(&mut server);
    server.seen();
    server.send_bytewise(bytewise, &bytes);
    assert_eq!((server.delivered(), server.frames(bytewise)), (delivered.clone(), frames));
    assert_eq!(delivered.len(), 3);
}

#[test]
fn f20_zero_mask_key_and_empty_messages() {
    let mut server = Server::default();
    let bytes = [
        frame_with(0x81, b"plain", Some([0; 4])),
        frame_with(0x81, b"", Some([0; 4])),
        frame(0x82, b""),
        frame(0x01, b""),
        frame(0x80, b""),
    ]
    .concat();
    assert_delivers(&mut server, &bytes, &[b"plain", b"", b"", b""]);
}

#[test]
fn f21_the_peer_is_gone_without_a_word() {
    let mut server = Server::default();
    let (socket, _) = client(&mut server);
    server.leave_pings(socket);
    server.wait(24_000);
    assert_eq!(server.frames(socket), []);
    server.wait(1_250);
    assert_eq!(server.output(socket), b"\x89\x00", "a ping after PING_EVERY");
    server.wait(19_000);
    assert!(!server.is_closed(socket));
    server.wait(1_250);
    assert!(server.is_closed(socket), "PONG_TIME later");
    assert_eq!(server.left(), [Cause::Idle]);
    // Whoever answers, stays; whatever it says counts.
    let socket = raw(&mut server);
    server.leave_pings(socket);
    for _ in 0..10 {
        server.wait(25_300);
        assert_eq!(server.output(socket), b"\x89\x00");
        server.send(socket, &wire::pong(b""));
    }
    for _ in 0..10 {
        server.wait(44_000);
        server.send(socket, &text("busy"));
    }
    assert!(!server.is_closed(socket));
}

#[test]
fn f22_half_close() {
    let mut server = Server::default();
    let (socket, _) = client(&mut server);
    server.send(socket, &[text("one"), text("two")].concat());
    server.hang_up(socket);
    assert!(server.is_closed(socket));
    let seen = server.seen();
    assert!(
        matches!(seen[..], [Action::Deliver { .. }, Action::Deliver { .. }, Action::Left { cause: Cause::Peer, .. }]),
        "{seen:?}"
    );
}

#[test]
fn f23_what_goes_out() {
    let mut server = Server::default();
    let (socket, to) = client(&mut server);
    for len in [0, 1, 125, 126, 65_535, 65_536] {
        let now = server.now();
        server.hub.send(now, to, Payload::Binary(&vec![7; len]));
        server.hub.send(now, to, Payload::Text(&"x".repeat(len)));
        server.work();
        // That no frame is masked, has a reserved bit or a longer head than needed is looked at in there.
        let lens: Vec<_> = server.frames(socket).into_iter().map(|frame| (frame.first, frame.payload.len())).collect();
        assert_eq!(lens, [(0x82, len), (0x81, len)]);
    }
}

#[test]
fn f23_no_data_after_our_close() {
    let mut server = Server::default();
    let (socket, to) = client(&mut server);
    // A frame half written, others behind it, and a ping that waits for its pong.
    server.stall(socket, 50);
    let now = server.now();
    server.hub.send(now, to, Payload::Text(&"x".repeat(100)));
    server.hub.send(now, to, Payload::Text("second"));
    server.work();
    server.send(socket, &wire::ping(b"late"));
    server.send(socket, &frame(0x83, b""));
    server.hub.send(now, to, Payload::Text("third"));
    server.unstall(socket);
    let frames = server.frames(socket);
    let [half_written, close] = &frames[..] else { panic!("{frames:?}") };
    assert_eq!((half_written.payload.len(), close.close().map(|(code, _)| code)), (100, Some(1002)));
    assert!(server.is_shut(socket));
}
