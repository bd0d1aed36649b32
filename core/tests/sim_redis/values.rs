//! Values and names as Spring writes them; the numbers are those of the tests on a real Redis.

#[path = "../redis/values.rs"]
mod written;

pub(crate) use written::{Form, integer, long, text};

/// The time that a value is, and how it is written.
pub(crate) fn read_long_in(value: &[u8]) -> Option<(i64, Form)> {
    let form = if value.first() == Some(&0xac) { Form::Java } else { Form::Json };
    Some((written::read_long(value)?, form))
}

/// The interval that a value is.
pub(crate) fn read_integer(value: &[u8]) -> Option<i64> {
    if value.first() != Some(&0xac) {
        return std::str::from_utf8(value).ok()?.parse().ok();
    }
    let number = i32::from_be_bytes(*value.last_chunk()?);
    (integer(Form::Java, number) == value).then_some(i64::from(number))
}

/// The minute in whose set a session stands that is due then.
pub(crate) fn minute(due: i64) -> i64 {
    due.div_euclid(60_000) * 60_000 + 60_000
}

/// The keys of a session.
#[derive(Clone)]
pub(crate) struct Names {
    pub(crate) hash: Vec<u8>,
    pub(crate) shadow: Vec<u8>,
}

impl Names {
    pub(crate) fn of(id: &str) -> Self {
        Self { hash: format!("{SESSIONS}{id}").into_bytes(), shadow: format!("{SESSIONS}expires:{id}").into_bytes() }
    }
}

impl std::fmt::Debug for Names {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(id_in(&self.hash).unwrap_or_default())
    }
}

/// The id in the name of one of a session's keys.
pub(crate) fn id_in(key: &[u8]) -> Option<&str> {
    let rest = std::str::from_utf8(key.strip_prefix(SESSIONS.as_bytes())?).ok()?;
    Some(rest.strip_prefix("expires:").unwrap_or(rest)).filter(|id| *id != "expirations")
}

pub(crate) const SESSIONS: &str = "spring:session:sessions:";
pub(crate) const MINUTES: &str = "spring:session:expirations:";
pub(crate) const SORTED: &[u8] = b"spring:session:sessions:expirations";
pub(crate) const INDEX: &str =
    "spring:session:index:org.springframework.session.FindByIndexNameSessionRepository.PRINCIPAL_NAME_INDEX_NAME:";
pub(crate) const CONTEXT: &[u8] = b"sessionAttr:SPRING_SECURITY_CONTEXT";
