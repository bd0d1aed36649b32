//! What is told of a new session: its fields and values, as one map.

use alloc::string::String;
use alloc::vec::Vec;

use super::keys::Digits;
use super::values::{
    Form, INTEGER, LONG, STREAM, push_java_text, push_json_text, write_integer, write_long, write_text,
};

/// A session that is being made.
#[derive(Debug)]
pub(super) struct New<'s> {
    pub(super) form: Form,
    /// Epoch milliseconds.
    pub(super) now: i64,
    /// Seconds.
    pub(super) max: i32,
    /// Names, without `sessionAttr:`, and texts.
    pub(super) attributes: Vec<(&'s str, &'s str)>,
}

impl New<'_> {
    /// The fields of its hash, and their values.
    pub(super) fn fields(&self) -> Vec<(Vec<u8>, Vec<u8>)> {
        let now = write_long(self.form, self.now);
        let mut fields = alloc::vec![
            (b"lastAccessedTime".to_vec(), now.clone()),
            (b"maxInactiveInterval".to_vec(), write_integer(self.form, self.max)),
            (b"creationTime".to_vec(), now),
        ];
        fields
            .extend(self.attributes.iter().map(|(name, text)| (field(name).into_bytes(), write_text(self.form, text))));
        fields
    }

    /// The body of the message that announces it.
    pub(super) fn announcement(&self) -> Vec<u8> {
        if self.form == Form::Java { self.java() } else { self.json() }
    }

    /// A `java.util.HashMap`. Things are numbered as they come: class and map 0 and 1, a key 2, `Long` 3, `Number` 4.
    fn java(&self) -> Vec<u8> {
        let entries = 3 + self.attributes.len();
        let buckets = (entries * 4 / 3 + 1).next_power_of_two().max(16);
        let mut out = Vec::new();
        out.extend_from_slice(STREAM);
        out.extend_from_slice(
            b"sr\0\x11java.util.HashMap\x05\x07\xda\xc1\xc3\x16\x60\xd1\x03\0\x02F\0\x0aloadFactorI\0\x09thresholdxp",
        );
        out.extend_from_slice(&0.75_f32.to_be_bytes());
        out.extend_from_slice(&((buckets * 3 / 4) as u32).to_be_bytes());
        out.extend_from_slice(b"w\x08");
        out.extend_from_slice(&(buckets as u32).to_be_bytes());
        out.extend_from_slice(&(entries as u32).to_be_bytes());
        push_java_text(&mut out, "lastAccessedTime");
        out.extend_from_slice(&LONG[STREAM.len()..]);
        out.extend_from_slice(&self.now.to_be_bytes());
        push_java_text(&mut out, "maxInactiveInterval");
        // Its class is new, the class above it is not.
        out.extend_from_slice(&INTEGER[STREAM.len()..INTEGER.len() - NUMBER]);
        out.extend_from_slice(b"q\0\x7e\0\x04");
        out.extend_from_slice(&self.max.to_be_bytes());
        push_java_text(&mut out, "creationTime");
        out.extend_from_slice(b"sq\0\x7e\0\x03");
        out.extend_from_slice(&self.now.to_be_bytes());
        for (name, text) in &self.attributes {
            push_java_text(&mut out, &field(name));
            push_java_text(&mut out, text);
        }
        out.push(b'x');
        out
    }

    fn json(&self) -> Vec<u8> {
        let now = Digits::from(self.now);
        let mut out = Vec::new();
        for part in [
            b"{\"@class\":\"java.util.HashMap\",\"lastAccessedTime\":[\"java.lang.Long\",",
            now.as_bytes(),
            b"],\"maxInactiveInterval\":",
            Digits::from(i64::from(self.max)).as_bytes(),
            b",\"creationTime\":[\"java.lang.Long\",",
            now.as_bytes(),
            b"]",
        ] {
            out.extend_from_slice(part);
        }
        for (name, text) in &self.attributes {
            out.push(b',');
            push_json_text(&mut out, &field(name));
            out.push(b':');
            push_json_text(&mut out, text);
        }
        out.push(b'}');
        out
    }
}

/// The field of an attribute.
pub(super) fn field(attribute: &str) -> String {
    alloc::format!("sessionAttr:{attribute}")
}

/// Bytes of the description of `java.lang.Number`, at the end of those of `Integer`.
const NUMBER: usize = 32;

#[cfg(test)]
mod tests {
    use super::super::java;
    use super::*;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| alloc::format!("{byte:02x}")).collect()
    }

    /// As a Spring application told it, but for the number of entries, which is in one byte.
    #[test]
    fn the_announcement_is_springs_byte_for_byte() {
        let new = New { form: Form::Java, now: 0x0000_01a2_03bf_bee7, max: 60, attributes: alloc::vec![] };
        assert_eq!(
            hex(&new.announcement()),
            "aced0005737200116a6176612e7574696c2e486173684d61700507dac1c31660d103000246000a6c6f6164466163746f724900097468\
             726573686f6c6478703f4000000000000c770800000010000000037400106c617374416363657373656454696d657372000e6a617661\
             2e6c616e672e4c6f6e673b8be490cc8f23df0200014a000576616c7565787200106a6176612e6c616e672e4e756d62657286ac951d0b\
             94e08b0200007870000001a203bfbee77400136d6178496e616374697665496e74657276616c737200116a6176612e6c616e672e496e\
             746567657212e2a0a4f781873802000149000576616c75657871007e00040000003c74000c6372656174696f6e54696d657371007e00\
             03000001a203bfbee778"
        );
        let new = New {
            form: Form::Json,
            now: 1_795_359_100_137,
            max: 1_800,
            attributes: alloc::vec![("colour", "\"blue\"")],
        };
        assert_eq!(
            core::str::from_utf8(&new.announcement()),
            Ok("{\"@class\":\"java.util.HashMap\",\"lastAccessedTime\":[\"java.lang.Long\",1795359100137],\
                \"maxInactiveInterval\":1800,\"creationTime\":[\"java.lang.Long\",1795359100137],\
                \"sessionAttr:colour\":\"\\\"blue\\\"\"}")
        );
    }

    #[test]
    fn attributes_are_entries_of_a_stream_that_can_be_walked() {
        let names: Vec<String> = (0..30).map(|i| alloc::format!("name{i}")).collect();
        let attributes = names.iter().map(|name| (name.as_str(), "\u{e4}\0")).collect();
        let new = New { form: Form::Java, now: 1, max: 60, attributes };
        let body = new.announcement();
        assert_eq!(body.windows(8).filter(|at| *at == b"sessionA").count(), 30);
        assert!(java::is_whole(&body) && !java::is_whole(&body[..body.len() - 1]));
        assert_eq!(new.fields().len(), 33);
        assert_eq!(new.fields()[32].0, b"sessionAttr:name29");
    }
}
