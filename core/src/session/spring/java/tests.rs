use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;

use super::super::fixtures::{CONTEXT, CSRF};
use super::super::values::{Form, push_java_text, write_integer, write_long, write_text};
use super::*;

const PRINCIPAL: [&str; 2] = ["authentication", "principal"];
const NAMES: [&str; 2] = ["username", "name"];

fn decoded(base64: &str) -> Vec<u8> {
    STANDARD.decode(base64).expect("a fixture")
}

/// A stream written by hand.
struct Stream(Vec<u8>);

impl Stream {
    fn new() -> Self {
        Self(STREAM.to_vec())
    }

    fn utf(mut self, text: &str) -> Self {
        self.0.extend((text.len() as u16).to_be_bytes());
        self.0.extend(text.bytes());
        self
    }

    fn raw(mut self, bytes: &[u8]) -> Self {
        self.0.extend(bytes);
        self
    }

    fn text(mut self, text: &str) -> Self {
        push_java_text(&mut self.0, text);
        self
    }

    /// A class with these flags and fields of type String or Object; no parent unless `parent` says so.
    fn class(mut self, name: &str, flags: u8, fields: &[&str]) -> Self {
        self = self.raw(&[CLASS_DESCRIPTION]).utf(name).raw(&[0; 8]).raw(&[flags]);
        self = self.raw(&(fields.len() as u16).to_be_bytes());
        for field in fields {
            self = self.raw(b"L").utf(field).text("Ljava/lang/Object;");
        }
        self.raw(&[END])
    }

    fn object(self, name: &str, fields: &[&str]) -> Self {
        self.raw(&[OBJECT]).class(name, SERIALIZABLE, fields).raw(&[NULL])
    }

    fn principal(&self) -> Option<String> {
        find(&self.0, &PRINCIPAL, &NAMES)
    }

    fn context() -> Self {
        Self::new().object("Context", &["authentication"]).object("Token", &["details", "principal"])
    }
}

#[test]
fn the_principal_of_a_security_context() {
    assert_eq!(find(&decoded(CONTEXT), &PRINCIPAL, &NAMES).as_deref(), Some("rob"));
    assert_eq!(
        find(&decoded(CONTEXT), &["authentication", "details"], &["sessionId"]).as_deref(),
        Some("96761f1d-b350-4b80-80f3-b1f8d07104b8")
    );
    assert_eq!(find(&decoded(CONTEXT), &["authentication", "principal"], &["password"]), None);
    assert_eq!(find(&decoded(CONTEXT), &["authentication", "nobody"], &NAMES), None);
}

#[test]
fn the_token_and_a_plain_text() {
    assert_eq!(find(&decoded(CSRF), &[], &["token"]).as_deref(), Some("e5168837-f7e0-4880-b1e2-44bca4621b9b"));
    assert_eq!(find(&write_text(Form::Java, "blue"), &[], &["token"]).as_deref(), Some("blue"));
    assert_eq!(find(&write_text(Form::Java, &"x".repeat(70_000)), &[], &[]).map(|text| text.len()), Some(70_000));
    assert_eq!(find(&write_long(Form::Java, 7), &[], &["value"]), None);
    assert_eq!(find(&write_integer(Form::Java, 7), &[], &["value"]), None);
}

#[test]
fn every_cut_of_a_value_is_opaque() {
    let value = decoded(CONTEXT);
    for len in 0..value.len() {
        assert_eq!(find(&value[..len], &PRINCIPAL, &NAMES), None, "{len}");
    }
}

#[test]
fn a_principal_may_be_a_text_or_of_any_class() {
    assert_eq!(Stream::context().raw(&[NULL]).text("luke").principal().as_deref(), Some("luke"));
    let own = Stream::context().raw(&[NULL]).object("com.example.Me", &["mail", "name"]).text("l@x").text("luke");
    assert_eq!(own.principal().as_deref(), Some("luke"));
    let nameless = Stream::context().raw(&[NULL]).object("com.example.Me", &["mail"]).text("l@x");
    assert_eq!(nameless.principal(), None);
    assert_eq!(Stream::context().raw(&[NULL, NULL]).principal(), None);
}

#[test]
fn back_references_are_followed() {
    // Things in order: Context, its type, the context, Token, two types, the token, then the text of `details`.
    let stream = Stream::context().text("luke").raw(&[REFERENCE]).raw(&(FIRST_REFERENCE + 7).to_be_bytes());
    assert_eq!(stream.principal().as_deref(), Some("luke"));
    for bad in [8, 9_999, u32::MAX - FIRST_REFERENCE] {
        let number = FIRST_REFERENCE.wrapping_add(bad);
        assert_eq!(Stream::context().text("luke").raw(&[REFERENCE]).raw(&number.to_be_bytes()).principal(), None);
    }
    assert_eq!(Stream::context().text("luke").raw(&[REFERENCE, 0, 0, 0, 0]).principal(), None);
}

#[test]
fn a_cycle_is_not_followed_for_ever() {
    // The principal is the authentication itself, whose fields hold no name.
    let stream = Stream::context().raw(&[NULL, REFERENCE]).raw(&(FIRST_REFERENCE + 6).to_be_bytes());
    assert_eq!(stream.principal(), None);
}

#[test]
fn what_classes_write_themselves_is_passed_over() {
    let stream = Stream::context()
        .raw(&[OBJECT])
        .class("List", SERIALIZABLE | WRITES_ITSELF, &["x"])
        .raw(&[NULL, NULL, BLOCK, 2, 0x78, 0x74])
        .text("username")
        .raw(&[LONG_BLOCK, 0, 0, 0, 1, 0x78, END])
        .text("luke");
    assert_eq!(stream.principal().as_deref(), Some("luke"));
    let external = Stream::context()
        .raw(&[OBJECT])
        .class("Ser", EXTERNALIZABLE | IN_BLOCKS, &[])
        .raw(&[NULL, BLOCK, 1, 9, END])
        .text("luke");
    assert_eq!(external.principal().as_deref(), Some("luke"));
    let unknown = Stream::context().raw(&[OBJECT]).class("Ser", EXTERNALIZABLE, &[]).raw(&[NULL, 9]).text("luke");
    assert_eq!(unknown.principal(), None);
}

#[test]
fn arrays_constants_classes_and_proxies_are_passed_over() {
    for other in [
        [&[ARRAY, CLASS_DESCRIPTION, 0, 2][..], b"[I", &[0; 8], &[2, 0, 0, END, NULL, 0, 0, 0, 2], &[0x78; 8]].concat(),
        [&[ARRAY, CLASS_DESCRIPTION, 0, 2][..], b"[L", &[0; 8], &[2, 0, 0, END, NULL, 0, 0, 0, 2, NULL, NULL]].concat(),
        [&[ARRAY, CLASS_DESCRIPTION, 0, 2][..], b"[[", &[0; 8], &[2, 0, 0, END, NULL, 0, 0, 0, 0]].concat(),
        [&[ENUM, CLASS_DESCRIPTION, 0, 1][..], b"E", &[0; 8], &[0x12, 0, 0, END, NULL, STRING, 0, 1, b'A']].concat(),
        [&[CLASS, CLASS_DESCRIPTION, 0, 1][..], b"C", &[0; 8], &[2, 0, 0, END, NULL]].concat(),
        [&[OBJECT, PROXY_DESCRIPTION, 0, 0, 0, 1, 0, 1][..], b"P", &[END, NULL]].concat(),
    ] {
        let stream = Stream::context().raw(&other).text("luke");
        assert_eq!(stream.principal().as_deref(), Some("luke"), "{other:x?}");
    }
}

#[test]
fn the_field_of_the_lowest_class_counts_unless_it_is_not_set() {
    let me = |lower: &[u8]| {
        let parent = Stream::new().class("Parent", SERIALIZABLE, &["name"]).raw(&[NULL]).0;
        Stream::context()
            .raw(&[NULL, OBJECT])
            .class("Me", SERIALIZABLE, &["name"])
            .raw(&parent[4..])
            .text("upper")
            .raw(lower)
            .principal()
    };
    assert_eq!(me(b"t\0\x05lower").as_deref(), Some("lower"));
    assert_eq!(me(&[NULL]).as_deref(), Some("upper"));
}

#[test]
fn c17_absurd_lengths_are_opaque() {
    for hostile in [
        &[STRING, 0xff, 0xff][..],
        &[LONG_STRING, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
        &[LONG_STRING, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
        &[LONG_BLOCK, 0x7f, 0xff, 0xff, 0xff],
        &[LONG_BLOCK, 0xff, 0xff, 0xff, 0xff],
        &[BLOCK, 0xff],
        &[0x79],
        &[0x7b],
        &[END],
        &[0x00],
    ] {
        assert_eq!(Stream::context().raw(&[NULL]).raw(hostile).principal(), None, "{hostile:x?}");
    }
    for count in [[0x7f, 0xff, 0xff, 0xff], [0xff; 4]] {
        let array = [&[ARRAY, CLASS_DESCRIPTION, 0, 2][..], b"[J", &[0; 8], &[2, 0, 0, END, NULL], &count].concat();
        assert_eq!(Stream::context().raw(&array).text("luke").principal(), None);
        let array = [&[ARRAY, CLASS_DESCRIPTION, 0, 2][..], b"[L", &[0; 8], &[2, 0, 0, END, NULL], &count].concat();
        assert_eq!(Stream::context().raw(&array).text("luke").principal(), None);
    }
}

#[test]
fn c17_depth_is_64_and_not_one_more() {
    // The context and the token are two; each list in a list is one more, its class another one while it is described.
    let nested = |depth: usize| {
        let list = Stream::new().raw(&[OBJECT]).class("L", SERIALIZABLE, &["x"]).raw(&[NULL]).0;
        let stream = (0..depth).fold(Stream::context(), |stream, _| stream.raw(&list[4..]));
        stream.raw(&[NULL]).text("luke").principal()
    };
    assert_eq!(nested(61).as_deref(), Some("luke"));
    assert_eq!(nested(62), None);
    assert_eq!(nested(10_000), None);
}

#[test]
fn c17_handles_are_10_000_and_not_one_more() {
    let many = |count: usize| {
        let mut stream = Stream::context().raw(&[ARRAY, CLASS_DESCRIPTION, 0, 2]).raw(b"[L").raw(&[0; 8]);
        stream = stream.raw(&[2, 0, 0, END, NULL]).raw(&(count as u32).to_be_bytes());
        for _ in 0..count {
            stream = stream.text("x");
        }
        stream.text("luke").principal()
    };
    // Context 3, token 4, the array 2, the name 1.
    assert_eq!(many(THINGS - 10).as_deref(), Some("luke"));
    assert_eq!(many(THINGS - 9), None);
}

#[test]
fn c17_a_value_is_1_mib_and_not_a_byte_more() {
    let value = |len: usize| write_text(Form::Java, &"x".repeat(len - 13));
    assert!(find(&value(VALUE_BYTES), &[], &[]).is_some());
    assert!(find(&value(VALUE_BYTES + 1), &[], &[]).is_none());
}

#[test]
fn c17_a_class_is_not_its_own_parent() {
    let itself = Stream::new()
        .raw(&[OBJECT, CLASS_DESCRIPTION])
        .utf("A")
        .raw(&[0; 8])
        .raw(&[SERIALIZABLE, 0, 0, END, REFERENCE])
        .raw(&FIRST_REFERENCE.to_be_bytes());
    assert_eq!(find(&itself.0, &[], &["name"]), None);
    // A long line of parents costs its depth at each object.
    let mut line = Stream::new().raw(&[OBJECT]);
    for _ in 0..70 {
        line = line.class("A", SERIALIZABLE, &[]);
    }
    assert_eq!(find(&line.raw(&[NULL]).0, &[], &["name"]), None);
}

#[test]
fn c19_a_text_is_read_as_java_reads_it_or_not_at_all() {
    for (bytes, text) in [
        (&b"a"[..], Some("a")),
        (b"\xc0\x80", Some("\0")),
        (b"\0", Some("\0")),
        (b"\xc1\x81", Some("A")),
        (b"\xc3\xa9\xe2\x82\xac", Some("\u{e9}\u{20ac}")),
        (b"\xed\xa0\xbd\xed\xb8\x80", Some("\u{1f600}")),
        (b"\xed\xa0\xbd", None),
        (b"\xed\xb8\x80\xed\xa0\xbd", None),
        (b"\xf0\x9f\x98\x80", None),
        (b"\x80", None),
        (b"\xc3", None),
        (b"\xc3\x41", None),
        (b"\xe2\x82", None),
        (b"\xff", None),
    ] {
        assert_eq!(decode(bytes).as_deref(), text, "{bytes:x?}");
    }
}

proptest! {
    #[test]
    fn texts_come_back(text: String) {
        prop_assert_eq!(find(&write_text(Form::Java, &text), &[], &[]), Some(text));
    }

    #[test]
    fn no_value_is_too_odd(value: Vec<u8>) {
        let _ = find(&[&STREAM[..], &value].concat(), &PRINCIPAL, &NAMES);
    }

    #[test]
    fn no_change_of_a_value_is_too_odd(changes in proptest::collection::vec((any::<usize>(), any::<u8>()), 1..8)) {
        let mut value = decoded(CONTEXT);
        for (at, byte) in changes {
            let at = at % value.len();
            value[at] = byte;
        }
        let _ = find(&value, &PRINCIPAL, &NAMES);
    }

    #[test]
    fn no_row_of_tags_is_too_odd(tags in proptest::collection::vec(prop_oneof![0x70..=0x7e_u8, 0..4_u8], 0..400)) {
        let _ = find(&[&STREAM[..], &tags].concat(), &PRINCIPAL, &NAMES);
    }
}

#[test]
fn work_is_linear_in_the_bytes() {
    // A mebibyte of what costs most: objects of a class at the end of a long line, two bytes of content each.
    let mut value =
        Stream::new().raw(&[ARRAY, CLASS_DESCRIPTION, 0, 2]).raw(b"[L").raw(&[0; 8]).raw(&[2, 0, 0, END, NULL]);
    value = value.raw(&9_000_u32.to_be_bytes()).raw(&[OBJECT]);
    for _ in 0..60 {
        value = value.class("A", SERIALIZABLE, &[]);
    }
    let mut bytes = value.raw(&[NULL]).0;
    for _ in 1..9_000 {
        bytes.extend([OBJECT, REFERENCE]);
        bytes.extend((FIRST_REFERENCE + 2).to_be_bytes());
    }
    assert!(is_whole(&bytes));
}
