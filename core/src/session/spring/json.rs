//! Looks for one text in a JSON value, as far as it must be read for that.
//!
//! Bounded like its neighbour [`java`](super::java), and without recursion: what is not on the way is passed over.

use alloc::string::String;
use alloc::vec::Vec;

use super::java::VALUE_BYTES;

/// The text at the end of `path`, a way through members by their names: a string itself, or of an object there the first of
/// the members `ends` that is a string. Jackson's notation of types, `["a.Class", value]`, is seen through. `None` if there
/// is none, or if the value is over a limit or broken on the way. Of members of the same name the first counts.
pub(super) fn find(value: &[u8], path: &[&str], ends: &[&str]) -> Option<String> {
    if value.len() > VALUE_BYTES {
        return None;
    }
    let mut reader = Reader { bytes: value, at: 0 };
    reader.see_through()?;
    for name in path {
        reader.enter(name)?;
    }
    if reader.peek()? == b'"' {
        return reader.text();
    }
    let object = reader.at;
    ends.iter().find_map(|end| {
        reader.at = object;
        reader.enter(end)?;
        reader.text()
    })
}

struct Reader<'v> {
    bytes: &'v [u8],
    at: usize,
}

impl Reader<'_> {
    /// Goes to the value of a member of the object that is next.
    fn enter(&mut self, name: &str) -> Option<()> {
        self.expect(b'{')?;
        while self.peek()? != b'}' {
            let found = self.text()? == name;
            self.expect(b':')?;
            if found {
                return self.see_through();
            }
            self.skip()?;
            if self.peek()? != b',' {
                return None;
            }
            self.at += 1;
        }
        None
    }

    /// Goes to the value in a pair of a type and a value.
    fn see_through(&mut self) -> Option<()> {
        if self.peek()? == b'[' {
            self.at += 1;
            self.text()?;
            self.expect(b',')?;
        }
        self.peek().map(|_| ())
    }

    /// Passes over a value.
    fn skip(&mut self) -> Option<()> {
        // One bit for each open bracket: whether it is that of an object.
        let (mut open, mut depth) = (0_u64, 0_u32);
        loop {
            match self.peek()? {
                b'"' => self.pass_text()?,
                bracket @ (b'{' | b'[') => {
                    if depth == DEPTH {
                        return None;
                    }
                    depth += 1;
                    open = open << 1 | u64::from(bracket == b'{');
                    self.at += 1;
                }
                bracket @ (b'}' | b']') => {
                    if depth == 0 || (open & 1 == 1) != (bracket == b'}') {
                        return None;
                    }
                    depth -= 1;
                    open >>= 1;
                    self.at += 1;
                }
                b',' | b':' if depth > 0 => {
                    self.at += 1;
                    continue;
                }
                byte if byte.is_ascii_alphanumeric() || byte == b'-' => {
                    let word = |byte: &u8| byte.is_ascii_alphanumeric() || b"+-.".contains(byte);
                    let rest = self.bytes.get(self.at..)?;
                    self.at += rest.iter().position(|byte| !word(byte)).unwrap_or(rest.len());
                }
                _ => return None,
            }
            if depth == 0 {
                return Some(());
            }
        }
    }

    /// Reads a string.
    fn text(&mut self) -> Option<String> {
        self.peek()?;
        let start = self.at + 1;
        self.pass_text()?;
        let inner = self.bytes.get(start..self.at - 1)?;
        if inner.iter().any(|byte| *byte < b' ') {
            return None;
        }
        if !inner.contains(&b'\\') {
            return core::str::from_utf8(inner).ok().map(String::from);
        }
        let mut text = Vec::with_capacity(inner.len());
        let mut rest = inner;
        while let Some((byte, after)) = rest.split_first() {
            if *byte != b'\\' {
                text.push(*byte);
                rest = after;
                continue;
            }
            let (letter, after) = after.split_first()?;
            rest = after;
            let plain = match letter {
                b'"' | b'\\' | b'/' => *letter,
                b'b' => 8,
                b'f' => 12,
                b'n' => b'\n',
                b'r' => b'\r',
                b't' => b'\t',
                b'u' => {
                    let mut unit = unit(&mut rest)?;
                    if (0xd800..0xdc00).contains(&unit) {
                        rest = rest.strip_prefix(b"\\u")?;
                        let low = self::unit(&mut rest)?.checked_sub(0xdc00).filter(|low| *low < 0x400)?;
                        unit = 0x1_0000 + (unit - 0xd800) * 0x400 + low;
                    }
                    text.extend(char::from_u32(unit)?.encode_utf8(&mut [0; 4]).bytes());
                    continue;
                }
                _ => return None,
            };
            text.push(plain);
        }
        String::from_utf8(text).ok()
    }

    /// Passes over a string.
    fn pass_text(&mut self) -> Option<()> {
        self.expect(b'"')?;
        loop {
            let rest = self.bytes.get(self.at..)?;
            let end = memchr::memchr2(b'"', b'\\', rest)?;
            self.at += end + 1;
            if rest.get(end) == Some(&b'"') {
                return Some(());
            }
            self.at += 1;
        }
    }

    fn expect(&mut self, byte: u8) -> Option<()> {
        (self.peek()? == byte).then(|| self.at += 1)
    }

    /// The next byte that is no white space.
    fn peek(&mut self) -> Option<u8> {
        while self.bytes.get(self.at).is_some_and(|byte| b" \t\r\n".contains(byte)) {
            self.at += 1;
        }
        self.bytes.get(self.at).copied()
    }
}

/// Four hex digits.
fn unit(rest: &mut &[u8]) -> Option<u32> {
    let (digits, after) = rest.split_first_chunk::<4>()?;
    *rest = after;
    let all = digits.iter().all(u8::is_ascii_hexdigit);
    u32::from_str_radix(core::str::from_utf8(digits).ok().filter(|_| all)?, 16).ok()
}

/// Brackets within brackets of what is passed over.
const DEPTH: u32 = 64;

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use proptest::prelude::*;

    use super::super::values::{Form, write_text};
    use super::*;

    const PRINCIPAL: [&str; 2] = ["authentication", "principal"];
    const NAMES: [&str; 2] = ["username", "name"];

    /// As a Spring application wrote it.
    const CONTEXT: &str = r#"{"@class":"org.springframework.security.core.context.SecurityContextImpl","authentication":{"@class":"org.springframework.security.authentication.UsernamePasswordAuthenticationToken","authenticated":true,"authorities":["java.util.Collections$UnmodifiableRandomAccessList",[{"@class":"org.springframework.security.core.authority.SimpleGrantedAuthority","authority":"ROLE_USER"},{"@class":"org.springframework.security.core.authority.FactorGrantedAuthority","authority":"FACTOR_PASSWORD","issuedAt":1795359100.451264436}]],"credentials":null,"details":{"@class":"org.springframework.security.web.authentication.WebAuthenticationDetails","remoteAddress":"127.0.0.1","sessionId":"a17274da-365b-499b-9370-f7d30df8f150"},"principal":{"@class":"org.springframework.security.core.userdetails.User","accountNonExpired":true,"accountNonLocked":true,"authorities":["java.util.Collections$UnmodifiableSet",[{"@class":"org.springframework.security.core.authority.SimpleGrantedAuthority","authority":"ROLE_USER"}]],"credentialsNonExpired":true,"enabled":true,"password":null,"username":"rob"}}}"#;

    fn principal(value: &str) -> Option<String> {
        find(value.as_bytes(), &PRINCIPAL, &NAMES)
    }

    #[test]
    fn the_principal_of_a_security_context() {
        assert_eq!(principal(CONTEXT).as_deref(), Some("rob"));
        for len in 0..CONTEXT.len() - 3 {
            assert_eq!(find(&CONTEXT.as_bytes()[..len], &PRINCIPAL, &NAMES), None, "{len}");
        }
    }

    #[test]
    fn a_principal_may_be_a_text_or_an_object_or_have_its_type_beside_it() {
        for (value, name) in [
            (r#"{"authentication":{"principal":"luke"}}"#, Some("luke")),
            (
                r#" { "x" : [ { } , -1.5e+3 , "}" ] , "authentication" : { "principal" : { "name" : "luke" } } } "#,
                Some("luke"),
            ),
            (r#"["a.B",{"authentication":["a.C",{"principal":["a.D",{"username":"luke"}]}]}]"#, Some("luke")),
            (r#"{"authentication":{"principal":{"name":"a","username":"luke"}}}"#, Some("luke")),
            (r#"{"authentication":{"principal":{"name":"luke","username":null}}}"#, Some("luke")),
            (r#"{"authentication":{"principal":"\u006c\u0075\"\ud83d\ude00\n"}}"#, Some("lu\"\u{1f600}\n")),
            (r#"{"auth\u0065ntication":{"principal":"luke"}}"#, Some("luke")),
            (r#"{"authentication":{"principal":7}}"#, None),
            (r#"{"authentication":{"principal":null}}"#, None),
            (r#"{"authentication":null}"#, None),
            (r#"{"details":{"authentication":{"principal":"luke"}}}"#, None),
            (r#"{"authentication":{"principal":"\ud83d"}}"#, None),
            (r#"{"authentication":{"principal":"\ude00\ud83d"}}"#, None),
            (r#"{"authentication":{"principal":"\u+06c"}}"#, None),
            (r#"{"authentication":{"principal":"\x"}}"#, None),
            ("{\"authentication\":{\"principal\":\"a\nb\"}}", None),
            (r#"{"x":[}],"authentication":{"principal":"luke"}}"#, None),
            (r#"{"x":1 "authentication":{"principal":"luke"}}"#, None),
            (r#"{"x":,"authentication":{"principal":"luke"}}"#, None),
            ("[]", None),
            ("", None),
        ] {
            assert_eq!(principal(value).as_deref(), name, "{value}");
        }
        assert_eq!(find(b"\"\xff\"", &[], &[]), None);
        assert_eq!(find(b"\"blue\"", &[], &[]).as_deref(), Some("blue"));
        assert_eq!(find(br#"{"@class":"x","token":"t"}"#, &[], &["token"]).as_deref(), Some("t"));
    }

    #[test]
    fn c17_depth_is_64_and_not_one_more() {
        let nested = |depth: usize| {
            let (open, close) = ("[".repeat(depth), "]".repeat(depth));
            principal(&alloc::format!(r#"{{"x":{open}{close},"authentication":{{"principal":"luke"}}}}"#))
        };
        assert_eq!(nested(64).as_deref(), Some("luke"));
        assert_eq!(nested(65), None);
        assert_eq!(nested(100_000), None);
    }

    #[test]
    fn c17_a_value_is_1_mib_and_not_a_byte_more() {
        let text = |len: usize| alloc::format!("\"{}\"", "x".repeat(len - 2));
        assert!(find(text(VALUE_BYTES).as_bytes(), &[], &[]).is_some());
        assert!(find(text(VALUE_BYTES + 1).as_bytes(), &[], &[]).is_none());
    }

    proptest! {
        #[test]
        fn texts_come_back(text: String) {
            prop_assert_eq!(find(&write_text(Form::Json, &text), &[], &[]), Some(text));
        }

        #[test]
        fn no_value_is_too_odd(value: Vec<u8>, near in "[\\[\\]{}\",:\\\\u0-9a-d ]{0,60}") {
            let _ = (find(&value, &PRINCIPAL, &NAMES), find(near.as_bytes(), &["a"], &["b"]));
        }

        #[test]
        fn no_change_of_a_value_is_too_odd(changes in proptest::collection::vec((any::<usize>(), any::<u8>()), 1..8)) {
            let mut value = CONTEXT.to_string().into_bytes();
            for (at, byte) in changes {
                let at = at % value.len();
                value[at] = byte;
            }
            let _ = find(&value, &PRINCIPAL, &NAMES);
        }
    }
}
