//! stand-in
use alloc::boxed::Box;
/// p
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern(Box<str>);
/// e
#[derive(Debug)]
pub struct PatternError;
/// p
pub fn is_pattern(text: &str) -> bool {
    text.contains(['*', '?', '{'])
}
impl Pattern {
    /// p
    pub fn parse(text: &str, max: usize, _segments: usize) -> Result<Self, PatternError> {
        if text.len() > max { Err(PatternError) } else { Ok(Self(text.into())) }
    }
    /// p
    pub fn as_str(&self) -> &str {
        &self.0
    }
    /// p
    pub fn matches(&self, destination: &str) -> bool {
        glob(self.0.as_bytes(), destination.as_bytes(), false)
    }
    /// p
    pub fn overlaps(&self, other: &Self) -> bool {
        glob(self.0.as_bytes(), other.0.as_bytes(), true)
    }
}
fn glob(a: &[u8], b: &[u8], both: bool) -> bool {
    if a.is_empty() && b.is_empty() {
        return true;
    }
    if a == b"/**" || both && b == b"/**" {
        return true;
    }
    if let Some((b'*', rest)) = a.split_first() {
        return glob(rest, b, both) || b.split_first().is_some_and(|(c, r)| *c != b'/' && glob(a, r, both));
    }
    if both && let Some((b'*', rest)) = b.split_first() {
        return glob(a, rest, both) || a.split_first().is_some_and(|(c, r)| *c != b'/' && glob(r, b, both));
    }
    match (a.split_first(), b.split_first()) {
        (Some((x, a)), Some((y, b))) => x == y && glob(a, b, both),
        _ => false,
    }
}
