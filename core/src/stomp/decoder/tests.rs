use alloc::borrow::ToOwned;
use alloc::string::{String, ToString};
use alloc::{format, vec};

use bytes::BytesMut;
use proptest::prelude::*;

use super::*;
use crate::stomp::Encoder;

const VERSIONS: [Version; 3] = [Version::V1_0, Version::V1_1, Version::V1_2];

/// All that a conversation came to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Heard {
    items: Vec<Owned>,
    malformed: Option<Malformed>,
    receipt: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Owned {
    Frame(Command, Vec<(String, String)>, Vec<u8>),
    HeartBeat,
}

fn frame(command: Command, headers: &[(&str, &str)], body: &[u8]) -> Owned {
    Owned::Frame(command, headers.iter().map(|&(n, v)| (n.to_owned(), v.to_owned())).collect(), body.to_owned())
}

fn listen<'p, I: IntoIterator<Item = &'p [u8]>>(mut decoder: Decoder, limits: &Limits, pieces: I) -> Heard {
    let (mut heard, mut partial) = (Heard::default(), Vec::new());
    for mut piece in pieces {
        loop {
            match decoder.next(limits, &mut piece, &mut partial) {
                Ok(Some(Item::HeartBeat)) => heard.items.push(Owned::HeartBeat),
                Ok(Some(Item::Frame(frame))) => {
                    let headers =
                        frame.headers().map(|(name, value)| (name.into_owned(), value.into_owned())).collect();
                    heard.items.push(Owned::Frame(frame.command(), headers, frame.body().to_owned()));
                }
                Ok(None) => break,
                Err(malformed) => {
                    heard.malformed = Some(malformed);
                    heard.receipt = decoder.receipt(&partial).map(str::to_owned);
                    return heard;
                }
            }
        }
        assert!(piece.is_empty());
        assert!(partial.capacity() <= limits.frame_bytes);
        if decoder.seen == 0 {
            assert_eq!(partial.capacity(), 0, "an idle client holds nothing");
        }
    }
    heard
}

/// What is heard of `bytes`, which has to be the same whole, byte by byte and cut in two anywhere.
fn every_way(make: impl Fn() -> Decoder, limits: &Limits, bytes: &[u8]) -> Heard {
    let whole = listen(make(), limits, [bytes]);
    assert_eq!(listen(make(), limits, bytes.chunks(1)), whole, "byte by byte");
    let middle = if bytes.len() > 2048 { 1024..bytes.len() - 1024 } else { 0..0 };
    for at in (0..bytes.len()).filter(|at| !middle.contains(at)) {
        let (one, two) = bytes.split_at(at);
        assert_eq!(listen(make(), limits, [one, two]), whole, "cut at {at}");
    }
    whole
}

fn speaking(version: Version) -> impl Fn() -> Decoder {
    move || {
        let mut decoder = Decoder::server();
        decoder.set_version(version);
        decoder
    }
}

fn items(version: Version, bytes: impl AsRef<[u8]>) -> Vec<Owned> {
    let heard = every_way(speaking(version), &Limits::default(), bytes.as_ref());
    assert_eq!(heard.malformed, None, "{}", String::from_utf8_lossy(bytes.as_ref()));
    heard.items
}

fn refused(version: Version, bytes: impl AsRef<[u8]>) -> Malformed {
    let heard = every_way(speaking(version), &Limits::default(), bytes.as_ref());
    heard.malformed.unwrap_or_else(|| panic!("taken: {}", String::from_utf8_lossy(bytes.as_ref())))
}

fn send(headers: &[(&str, &str)], body: &[u8]) -> Owned {
    let mut all = vec![("destination", "/topic/x")];
    all.extend(headers);
    frame(Command::Send, &all, body)
}

#[test]
fn a_frame_of_each_version() {
    for version in VERSIONS {
        assert_eq!(
            items(version, "SEND\ndestination:/topic/x\nfoo: bar \n\nhello\n\0"),
            [send(&[("foo", " bar ")], b"hello\n")]
        );
    }
    assert!(every_way(Decoder::server, &Limits::default(), b"").items.is_empty());
}

#[test]
fn many_frames_and_heart_beats_in_one_message() {
    let one = "SEND\ndestination:/topic/x\n\n1\0";
    let bytes = format!("\n{one}{one}\r\n\n{one}\nSEND\ndesti");
    let (sent, beat) = (send(&[], b"1"), Owned::HeartBeat);
    assert_eq!(
        items(Version::V1_2, bytes),
        [beat.clone(), sent.clone(), sent.clone(), beat.clone(), beat.clone(), sent, beat]
    );
}

#[test]
fn the_version_may_change_between_two_frames_of_one_message() {
    let mut input = &b"CONNECT\npasscode:\\t\n\n\0SUBSCRIBE\nid:a\\cb\ndestination:/topic/x\n\n\0"[..];
    let (mut decoder, limits, mut partial) = (Decoder::default(), Limits::default(), Vec::new());
    let first = decoder.next(&limits, &mut input, &mut partial);
    assert!(matches!(first, Ok(Some(Item::Frame(frame))) if frame.header("passcode").as_deref() == Some("\\t")));
    decoder.set_version(Version::V1_2);
    assert_eq!(decoder.version(), Version::V1_2);
    let second = decoder.next(&limits, &mut input, &mut partial);
    assert!(matches!(second, Ok(Some(Item::Frame(frame))) if frame.header("id").as_deref() == Some("a:b")));
}

#[test]
fn a_whole_frame_is_lent_from_the_input() {
    let bytes = b"\nSEND\ndestination:/topic/x\n\nbody\0rest";
    let (mut input, mut partial) = (&bytes[..], Vec::new());
    let (mut decoder, limits) = (Decoder::server(), Limits::default());
    assert!(matches!(decoder.next(&limits, &mut input, &mut partial), Ok(Some(Item::HeartBeat))));
    let Ok(Some(Item::Frame(frame))) = decoder.next(&limits, &mut input, &mut partial) else { panic!("no frame") };
    assert_eq!(frame.body().as_ptr(), bytes[28..].as_ptr());
    assert_eq!(input, b"rest");
    assert_eq!(partial.capacity(), 0);
}

#[test]
fn s03_commands() {
    for word in
        ["FOO", "send", "Send", "SEND ", "MESSAGES", "GET / HTTP/1.1", "NONSENSE", "SENDSENDSENDSEND", "\u{fffd}"]
    {
        assert_eq!(
            refused(Version::V1_2, format!("{word}\ndestination:/topic/x\n\nx\0")),
            Malformed::CommandUnknown,
            "{word}"
        );
    }
    for word in ["CONNECTED", "MESSAGE", "RECEIPT", "ERROR"] {
        let bytes = format!("{word}\ndestination:/a\nmessage-id:1\nsubscription:1\nreceipt-id:1\n\n\0");
        assert_eq!(refused(Version::V1_2, bytes), Malformed::CommandNotYours);
    }
    let client = every_way(Decoder::client, &Limits::default(), b"SEND\ndestination:/a\n\n\0");
    assert_eq!(client.malformed, Some(Malformed::CommandNotYours));
}

#[test]
fn s03_command_at_its_limit_and_beyond() {
    let limits = Limits { command_bytes: 4, ..Limits::default() };
    for line_end in ["\n", "\r\n"] {
        let bytes = format!("SEND{line_end}destination:/topic/x{line_end}{line_end}\0");
        let heard = every_way(speaking(Version::V1_2), &limits, bytes.as_bytes());
        assert_eq!(heard.items, [send(&[], b"")]);
    }
    // At once, without a line end.
    assert_eq!(every_way(speaking(Version::V1_2), &limits, b"SENDS").malformed, Some(Malformed::CommandUnknown));
    assert_eq!(every_way(speaking(Version::V1_2), &Limits::default(), &[b'A'; 16]).malformed, None);
    assert_eq!(
        every_way(speaking(Version::V1_2), &Limits::default(), &[b'A'; 17]).malformed,
        Some(Malformed::CommandUnknown)
    );
}

#[test]
fn s04_number_of_headers() {
    let with = |count: usize| format!("SEND\ndestination:/topic/x\n{}\n\0", "a:b\n".repeat(count - 1));
    assert_eq!(items(Version::V1_2, with(64)).len(), 1);
    assert_eq!(refused(Version::V1_2, with(65)), Malformed::HeadersTooMany);
}

#[test]
fn s04_bytes_of_the_head() {
    let with = |bytes: usize| {
        let rest = "SEND\ndestination:/topic/x\nfoo:\n\n".len();
        format!("SEND\ndestination:/topic/x\nfoo:{}\n\nbody\0", "v".repeat(bytes - rest))
    };
    assert_eq!(items(Version::V1_2, with(16 * 1024)).len(), 1);
    assert_eq!(refused(Version::V1_2, with(16 * 1024 + 1)), Malformed::HeadTooLarge);
    assert_eq!(refused(Version::V1_2, format!("SEND\nh:{}", "v".repeat(16 * 1024))), Malformed::HeadTooLarge);
}

#[test]
fn s04_headers_that_a_command_needs() {
    use Malformed::*;
    for (command, headers, v10, v11, v12) in [
        ("SEND", "", Some(DestinationMissing), Some(DestinationMissing), Some(DestinationMissing)),
        ("SEND", "Destination:/a\n", Some(DestinationMissing), Some(DestinationMissing), Some(DestinationMissing)),
        ("SEND", "destination:/a\n", None, None, None),
        ("SUBSCRIBE", "id:1\n", Some(DestinationMissing), Some(DestinationMissing), Some(DestinationMissing)),
        ("SUBSCRIBE", "destination:/a\n", None, Some(IdMissing), Some(IdMissing)),
        ("SUBSCRIBE", "destination:/a\nid:1\n", None, None, None),
        ("UNSUBSCRIBE", "", Some(IdMissing), Some(IdMissing), Some(IdMissing)),
        ("UNSUBSCRIBE", "destination:/a\n", None, Some(IdMissing), Some(IdMissing)),
        ("UNSUBSCRIBE", "id:1\n", None, None, None),
        ("ACK", "", Some(MessageIdMissing), Some(MessageIdMissing), Some(IdMissing)),
        ("ACK", "id:1\n", Some(MessageIdMissing), Some(MessageIdMissing), None),
        ("NACK", "message-id:1\n", None, Some(SubscriptionMissing), Some(IdMissing)),
        ("NACK", "message-id:1\nsubscription:1\n", None, None, Some(IdMissing)),
        ("BEGIN", "", Some(TransactionMissing), Some(TransactionMissing), Some(TransactionMissing)),
        ("COMMIT", "", Some(TransactionMissing), Some(TransactionMissing), Some(TransactionMissing)),
        ("ABORT", "", Some(TransactionMissing), Some(TransactionMissing), Some(TransactionMissing)),
        ("ABORT", "transaction:1\n", None, None, None),
        ("CONNECT", "", None, None, None),
        ("STOMP", "", None, None, None),
        ("DISCONNECT", "", None, None, None),
    ] {
        for (version, wanted) in VERSIONS.into_iter().zip([v10, v11, v12]) {
            let bytes = format!("{command}\n{headers}\n\0");
            let heard = every_way(speaking(version), &Limits::default(), bytes.as_bytes());
            assert_eq!(heard.malformed, wanted, "{bytes:?} in {version:?}");
        }
    }
}

#[test]
fn s04_what_a_client_needs_of_a_server() {
    use Malformed::*;
    for (bytes, v10, v12) in [
        ("CONNECTED\n\n\0", None, None),
        ("ERROR\n\nwhy\0", None, None),
        ("RECEIPT\n\n\0", Some(ReceiptIdMissing), Some(ReceiptIdMissing)),
        ("RECEIPT\nreceipt-id:1\n\n\0", None, None),
        ("MESSAGE\nmessage-id:1\n\n\0", Some(DestinationMissing), Some(DestinationMissing)),
        ("MESSAGE\ndestination:/a\n\n\0", Some(MessageIdMissing), Some(MessageIdMissing)),
        ("MESSAGE\ndestination:/a\nmessage-id:1\n\nx\0", None, Some(SubscriptionMissing)),
        ("MESSAGE\ndestination:/a\nmessage-id:1\nsubscription:1\n\nx\0", None, None),
    ] {
        for (version, wanted) in [(Version::V1_0, v10), (Version::V1_2, v12)] {
            let make = || {
                let mut decoder = Decoder::client();
                decoder.set_version(version);
                decoder
            };
            assert_eq!(
                every_way(make, &Limits::default(), bytes.as_bytes()).malformed,
                wanted,
                "{bytes:?} in {version:?}"
            );
        }
    }
}

#[test]
fn s05_line_ends() {
    for version in VERSIONS {
        assert_eq!(
            items(version, "SEND\r\ndestination:/topic/x\nfoo:1\r\nbar:2\n\r\nbody\r\0\r\n"),
            [send(&[("foo", "1"), ("bar", "2")], b"body\r"), Owned::HeartBeat]
        );
        for bytes in [
            "SEND\rdestination:/topic/x\n\nx\0",
            "SEND\ndestination:/top\ric/x\n\nx\0",
            "SEND\ndestination:/topic/x\r\r\n\nx\0",
            "SEND\ndestination:/topic/x\n\rx\0",
            "SEND\ndestination:/topic/x\r\0",
            "\rSEND",
            "\r\r\n",
            "SEND\ndestination:/topic/x\n\n\0\r\0",
        ] {
            assert_eq!(refused(version, bytes), Malformed::BareCarriageReturn, "{bytes:?}");
        }
    }
}

#[test]
fn s05_lines_that_are_no_headers() {
    for version in VERSIONS {
        for line in ["nocolon", "destination", " "] {
            let bytes = format!("SEND\ndestination:/topic/x\n{line}\n\nx\0");
            assert_eq!(refused(version, bytes), Malformed::HeaderWithoutColon);
        }
        assert_eq!(refused(version, "SEND\ndestination:/topic/x\n:value\n\nx\0"), Malformed::HeaderWithoutName);
        for bytes in
            ["SEND\ndestination:/topic/x\0", "SEND\ndest\0ination:/topic/x\n\n\0", "hello there\0", "\0", "\n\0"]
        {
            assert_eq!(refused(version, bytes), Malformed::NulInHead, "{bytes:?}");
        }
        for bad in [&b"\xff"[..], b"\xc3", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xc0\x80"] {
            let bytes = [b"SEND\ndestination:/topic/x\nfoo:", bad, b"\n\nx\0"].concat();
            assert_eq!(refused(version, bytes), Malformed::NotUtf8, "{bad:?}");
        }
    }
    // A command in no encoding is no command first of all; a body may hold any bytes.
    assert_eq!(refused(Version::V1_2, b"\x16\x03\x01\n\n\0"), Malformed::CommandUnknown);
    assert_eq!(items(Version::V1_2, b"SEND\ndestination:/topic/x\n\n\xff\xfe\0"), [send(&[], b"\xff\xfe")]);
}

#[test]
fn s05_escapes() {
    let foo = |name: &str, value: &str| format!("SEND\ndestination:/topic/x\n{name}:{value}\n\n\0");
    for bad in ["\\t", "a\\", "\\0", "\\N", "\\ ", "\\x41"] {
        assert_eq!(items(Version::V1_0, foo("foo", bad)), [send(&[("foo", bad)], b"")]);
        for version in [Version::V1_1, Version::V1_2] {
            assert_eq!(refused(version, foo("foo", bad)), Malformed::EscapeUndefined, "{bad:?}");
            assert_eq!(refused(version, foo(bad, "foo")), Malformed::EscapeUndefined, "{bad:?}");
        }
    }
    assert_eq!(items(Version::V1_0, foo("a\\cb", "\\n:\\c\\\\")), [send(&[("a\\cb", "\\n:\\c\\\\")], b"")]);
    assert_eq!(items(Version::V1_1, foo("a\\cb", "\\n:\\c\\\\")), [send(&[("a:b", "\n::\\")], b"")]);
    assert_eq!(refused(Version::V1_1, foo("foo", "a\\rb")), Malformed::EscapeUndefined);
    assert_eq!(items(Version::V1_2, foo("\\r\\n", "\\r\\n")), [send(&[("\r\n", "\r\n")], b"")]);
}

#[test]
fn s05_a_backslash_in_connect_is_a_backslash() {
    for version in VERSIONS {
        for word in ["CONNECT", "STOMP"] {
            let bytes = format!("{word}\npasscode:back\\slash \\t \\\nlogin:some:thing\n\n\0");
            let Some(Owned::Frame(_, headers, _)) = items(version, bytes).pop() else { panic!("no frame") };
            assert_eq!(headers[0].1, "back\\slash \\t \\");
            assert_eq!(headers[1].1, "some:thing");
        }
    }
    let connected = every_way(Decoder::client, &Limits::default(), b"CONNECTED\nuser-name:a\\c\\\n\n\0");
    assert_eq!(connected.items, [frame(Command::Connected, &[("user-name", "a\\c\\")], b"")]);
}

#[test]
fn s06_the_first_of_repeated_headers_counts() {
    let bytes = b"SEND\nfoo:1\ndestination:/one\nfoo:2\ncontent-length:1\ndestination:/two\ncontent-length:x\n\nx\0";
    assert_eq!(items(Version::V1_2, bytes).len(), 1);
    let mut input = &bytes[..];
    let (mut decoder, mut partial) = (Decoder::server(), Vec::new());
    let Ok(Some(Item::Frame(frame))) = decoder.next(&Limits::default(), &mut input, &mut partial) else {
        panic!("no frame")
    };
    assert_eq!(frame.header("foo").as_deref(), Some("1"));
    assert_eq!(frame.header("destination").as_deref(), Some("/one"));
    assert_eq!(frame.header("Foo"), None);
    assert_eq!(
        frame.headers().filter(|(name, _)| name == "foo").map(|(_, value)| value).collect::<Vec<_>>(),
        ["1", "2"]
    );
}

#[test]
fn s07_content_length() {
    let with = |length: &str, body: &str| format!("SEND\ndestination:/topic/x\ncontent-length:{length}\n\n{body}\0");
    for body in ["", "x", "a\0b", "\0", "\0\0\0", "x\0", "\0x\n\0"] {
        let length = body.len().to_string();
        for version in VERSIONS {
            assert_eq!(items(version, with(&length, body)), [send(&[("content-length", &length)], body.as_bytes())]);
        }
    }
    assert_eq!(items(Version::V1_2, with("0003", "abc")), [send(&[("content-length", "0003")], b"abc")]);
    for bad in ["", "x", "-1", "+1", "1.5", "0x10", "1 2", " 1", "1 ", "1,0", "١"] {
        assert_eq!(refused(Version::V1_2, with(bad, "x")), Malformed::ContentLengthInvalid, "{bad:?}");
        assert_eq!(
            refused(Version::V1_2, format!("DISCONNECT\ncontent-length:{bad}\n\n\0")),
            Malformed::ContentLengthInvalid
        );
    }
    for huge in ["65536", "2147483647", "4294967295", "4294967296", "18446744073709551616", "99999999999999999999999"] {
        assert_eq!(refused(Version::V1_2, with(huge, "x")), Malformed::FrameTooLarge, "{huge}");
    }
    assert_eq!(refused(Version::V1_2, with("3", "longer than three")), Malformed::ContentLengthWrong);
    assert_eq!(refused(Version::V1_2, with("0", "x")), Malformed::ContentLengthWrong);
}

#[test]
fn s07_longer_waits_and_reserves_nothing() {
    let (mut decoder, limits, mut partial) = (Decoder::server(), Limits::default(), Vec::new());
    let mut input = &b"SEND\ndestination:/topic/x\ncontent-length:60000\n\n12345\0"[..];
    let length = input.len();
    assert!(matches!(decoder.next(&limits, &mut input, &mut partial), Ok(None)));
    assert!(partial.capacity() <= length.next_power_of_two());
    assert_eq!(
        items(Version::V1_2, "SEND\ndestination:/topic/x\ncontent-length:10\n\n12345\x007890\0"),
        [send(&[("content-length", "10")], b"12345\x007890")]
    );
}

#[test]
fn s08_a_body_where_none_may_be() {
    let all = "id:1\ndestination:/a\nmessage-id:1\nsubscription:1\ntransaction:1\n";
    for word in
        ["CONNECT", "STOMP", "SUBSCRIBE", "UNSUBSCRIBE", "ACK", "NACK", "BEGIN", "COMMIT", "ABORT", "DISCONNECT"]
    {
        assert_eq!(items(Version::V1_2, format!("{word}\n{all}\n\0")).len(), 1);
        assert_eq!(items(Version::V1_2, format!("{word}\n{all}content-length:0\n\n\0")).len(), 1);
        assert_eq!(refused(Version::V1_2, format!("{word}\n{all}\nb")), Malformed::BodyNotAllowed);
        assert_eq!(refused(Version::V1_2, format!("{word}\n{all}\n\n\0")), Malformed::BodyNotAllowed);
        assert_eq!(refused(Version::V1_2, format!("{word}\n{all}content-length:1\n\n")), Malformed::BodyNotAllowed);
        assert_eq!(
            refused(Version::V1_2, format!("{word}\n{all}content-length:0\n\nb\0")),
            Malformed::ContentLengthWrong
        );
    }
    let client = every_way(Decoder::client, &Limits::default(), b"RECEIPT\nreceipt-id:1\n\nbody\0");
    assert_eq!(client.malformed, Some(Malformed::BodyNotAllowed));
}

#[test]
fn content_type_has_a_slash() {
    for good in ["text/plain", "application/json;charset=utf-8", "/"] {
        assert_eq!(items(Version::V1_2, format!("SEND\ndestination:/topic/x\ncontent-type:{good}\n\n\0")).len(), 1);
    }
    for bad in ["", "text", "no slash"] {
        let bytes = format!("SEND\ndestination:/topic/x\ncontent-type:{bad}\n\n\0");
        assert_eq!(refused(Version::V1_2, bytes), Malformed::ContentTypeInvalid);
    }
}

#[test]
fn s09_a_frame_at_its_limit_and_beyond() {
    let with = |bytes: usize, length: bool| {
        let head = if length {
            "SEND\ndestination:/topic/x\ncontent-length:65000\n\n"
        } else {
            "SEND\ndestination:/topic/x\n\n"
        };
        let body = bytes - head.len() - 1;
        format!("{}{}\0", head.replace("65000", &body.to_string()), "b".repeat(body))
    };
    for length in [false, true] {
        assert_eq!(with(65_536, length).len(), 65_536);
        assert_eq!(items(Version::V1_2, with(65_536, length)).len(), 1);
        assert_eq!(refused(Version::V1_2, with(65_537, length)), Malformed::FrameTooLarge);
        // The limit is a frame's, not a message's.
        assert_eq!(items(Version::V1_2, with(65_536, length).repeat(2)).len(), 2);
    }
    let endless = with(65_537, false);
    assert_eq!(refused(Version::V1_2, &endless[..65_536 + 1]), Malformed::FrameTooLarge);
    let announced = format!("{}x", with(70_000, true).split_at(50).0);
    assert_eq!(refused(Version::V1_2, announced), Malformed::FrameTooLarge);
    let small = Limits { frame_bytes: 8, ..Limits::default() };
    assert_eq!(every_way(Decoder::server, &small, b"CONNECT\n\n\0").malformed, Some(Malformed::FrameTooLarge));
    let small = Limits { frame_bytes: 9, ..Limits::default() };
    assert_eq!(every_way(Decoder::server, &small, b"CONNECT\n\n\0").malformed, Some(Malformed::FrameTooLarge));
    let small = Limits { frame_bytes: 10, ..Limits::default() };
    assert_eq!(every_way(Decoder::server, &small, b"CONNECT\n\n\0").items.len(), 1);
}

/// With work that grows by the square this would take hours.
#[test]
fn s09_each_byte_is_searched_once() {
    let limits = Limits { header_bytes: 4 << 20, frame_bytes: 8 << 20, ..Limits::default() };
    let bytes =
        [&b"SEND\ndestination:/topic/x\nfoo:"[..], &vec![b'v'; 2 << 20], b"\n\n", &vec![b'b'; 2 << 20], b"\0"].concat();
    assert_eq!(listen(Decoder::server(), &limits, bytes.chunks(1)).items.len(), 1);
}

#[test]
fn s20_only_the_receipt_is_given_back_whichever_way_the_bytes_came() {
    for (bytes, malformed, receipt) in [
        ("FOO\nreceipt:r-77\n\n\0", Malformed::CommandUnknown, Some("r-77")),
        ("FOO\r\nreceipt:r\\c77\r\nreceipt:second\r\n\r\n\0", Malformed::CommandUnknown, Some("r:77")),
        ("SEND\nreceipt:1\n\n\0", Malformed::DestinationMissing, Some("1")),
        ("SEND\nreceipt:\n\n\0", Malformed::DestinationMissing, Some("")),
        ("SEND\nreceipt:bad\\t\n\n\0", Malformed::EscapeUndefined, None),
        ("SEND\nreceipt:1\nfoo:bad\\t\n\n\0", Malformed::EscapeUndefined, Some("1")),
        ("SEND\nfoo:\0\nreceipt:1\n\n\0", Malformed::NulInHead, None),
        ("SEND\nreceipt:1\nfoo:\0", Malformed::NulInHead, Some("1")),
        ("SEND\nreceipt:1\0", Malformed::NulInHead, None),
        ("SEND\nreceipt:1\nfoo:\rx", Malformed::BareCarriageReturn, Some("1")),
        ("SUBSCRIBE\nid:1\ndestination:/a\nreceipt:1\n\nbody", Malformed::BodyNotAllowed, Some("1")),
        ("SEND\ndestination:/a\ncontent-length:1\nreceipt:1\n\nbo\0", Malformed::ContentLengthWrong, Some("1")),
        ("SEND\ndestination:/a\ncontent-length:1\n\nb\nreceipt:1\n", Malformed::ContentLengthWrong, None),
        ("CONNECT\nreceipt:a\\cb\n\nbody", Malformed::BodyNotAllowed, Some("a\\cb")),
        ("receipt:FOO\nfoo:bar\n\n\0", Malformed::CommandUnknown, None),
        ("SEND\nno-receipt:1\n\n\0", Malformed::DestinationMissing, None),
    ] {
        let heard = every_way(speaking(Version::V1_2), &Limits::default(), bytes.as_bytes());
        assert_eq!((heard.malformed, heard.receipt.as_deref()), (Some(malformed), receipt), "{bytes:?}");
    }
    let not_utf8 = every_way(speaking(Version::V1_2), &Limits::default(), b"SEND\nreceipt:\xff\n\n\0");
    assert_eq!((not_utf8.malformed, not_utf8.receipt), (Some(Malformed::NotUtf8), None));
}

#[test]
fn nothing_is_read_after_an_error() {
    let (mut decoder, limits, mut partial) = (Decoder::server(), Limits::default(), Vec::new());
    let mut input = &b"NONSENSE\n\n\0SEND\ndestination:/topic/x\n\nafter\0"[..];
    for _ in 0..3 {
        let next = decoder.next(&limits, &mut input, &mut partial);
        assert!(matches!(next, Err(Malformed::CommandUnknown)));
    }
    let mut input = &b"\n"[..];
    assert!(decoder.next(&limits, &mut input, &mut partial).is_err());
}

#[test]
fn debug_shows_no_values() {
    let mut input = &b"CONNECT\npasscode:secret\n\n\0"[..];
    let (mut decoder, mut partial) = (Decoder::server(), Vec::new());
    let item = decoder.next(&Limits::default(), &mut input, &mut partial);
    assert_eq!(format!("{item:?}"), "Ok(Some(Frame(Frame { command: Connect, headers: 1, body_bytes: 0 })))");
}

/// Pieces that make up much of what can go right or wrong.
fn soup() -> impl Strategy<Value = Vec<u8>> {
    let word = prop::sample::select(vec![
        &b"SEND"[..],
        b"CONNECT",
        b"SUBSCRIBE",
        b"ACK",
        b"FOO",
        b"\n",
        b"\n",
        b"\n\n",
        b"\r\n",
        b"\r",
        b"\0",
        b"\0",
        b"destination:/a\n",
        b"id:1\n",
        b"receipt:7\n",
        b"content-length:",
        b"2",
        b"11",
        b"x",
        b":",
        b"\\",
        b"\\n",
        b"\\t",
        b"\xff",
        "é".as_bytes(),
        b"body",
        b"SEND\ndestination:/a\n\nhello\0",
        b"SEND\ndestination:/a\ncontent-length:3\n\n\0\0\0\0",
    ]);
    prop::collection::vec(word, 0..24).prop_map(|words| words.concat())
}

fn headers() -> impl Strategy<Value = Vec<(String, String)>> {
    prop::collection::vec(("[a-z:\\\\\n\ré]{1,8}", "[ -~\n\ré✓]{0,16}"), 0..10)
}

proptest! {
    #[test]
    fn any_cut_gives_the_same(bytes in soup(), cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6), tight: bool, v: u8) {
        let limits = if tight { Limits { command_bytes: 6, headers: 2, header_bytes: 30, frame_bytes: 40 } } else { Limits::default() };
        let make = speaking(VERSIONS[usize::from(v % 3)]);
        let whole = listen(make(), &limits, [&bytes[..]]);
        prop_assert_eq!(&listen(make(), &limits, bytes.chunks(1)), &whole);
        let mut at: Vec<_> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
        at.sort_unstable();
        let (mut pieces, mut rest, mut done) = (Vec::new(), &bytes[..], 0);
        for at in at {
            let (piece, after) = rest.split_at(at - done);
            pieces.push(piece);
            (rest, done) = (after, at);
        }
        pieces.push(rest);
        prop_assert_eq!(listen(make(), &limits, pieces), whole);
    }

    #[test]
    fn what_a_client_encodes_a_server_decodes(headers in headers(), body in prop::collection::vec(any::<u8>(), 0..40), crumbs in 1_usize..9) {
        for version in VERSIONS {
            let wanted: Vec<_> = [("destination".to_owned(), "/topic/x".to_owned())]
                .into_iter()
                .chain(headers.iter().filter(|(name, value)| crate::stomp::escape::writable(version, name, value)).cloned())
                .collect();
            let mut out = BytesMut::new();
            let destination = ("destination", "/topic/x");
            let all = headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
            Encoder::new(version).frame(&mut out, Command::Send, [destination].into_iter().chain(all), &body);
            let mut heard = listen(speaking(version)(), &Limits::default(), out.chunks(crumbs));
            prop_assert_eq!(heard.malformed, None);
            let Some(Owned::Frame(Command::Send, mut got, got_body)) = heard.items.pop() else { panic!("no frame") };
            if !body.is_empty() {
                prop_assert_eq!(got.pop(), Some(("content-length".to_owned(), body.len().to_string())));
            }
            prop_assert_eq!(got, wanted);
            prop_assert_eq!(got_body, body.clone());
        }
    }
}
