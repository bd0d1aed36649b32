//! Sessions as Spring Session writes them, by hand.

use super::redis::RedisClient;

pub const NAMESPACE: &str = "spring:session";
const LONG: &str = "aced00057372000e6a6176612e6c616e672e4c6f6e673b8be490cc8f23df0200014a000576616c7565787200106a617661\
                    2e6c616e672e4e756d62657286ac951d0b94e08b0200007870";
const INTEGER: &str = "aced0005737200116a6176612e6c616e672e496e746567657212e2a0a4f781873802000149000576616c756578720010\
                       6a6176612e6c616e672e4e756d62657286ac951d0b94e08b0200007870";
pub const PRINCIPAL: &str =
    "sessionAttr:org.springframework.session.FindByIndexNameSessionRepository.PRINCIPAL_NAME_INDEX_NAME";

pub fn hash(id: &str) -> String {
    format!("{NAMESPACE}:sessions:{id}")
}

pub fn expires(id: &str) -> String {
    format!("{NAMESPACE}:sessions:expires:{id}")
}

pub fn minute(at: u64) -> String {
    format!("{NAMESPACE}:expirations:{}", at / 60_000 * 60_000 + 60_000)
}

pub fn java_long(number: u64) -> Vec<u8> {
    [unhex(LONG), number.to_be_bytes().to_vec()].concat()
}

pub fn java_int(number: i32) -> Vec<u8> {
    [unhex(INTEGER), number.to_be_bytes().to_vec()].concat()
}

pub fn java_text(text: &str) -> Vec<u8> {
    [&[0xAC, 0xED, 0, 5, 0x74], &(text.len() as u16).to_be_bytes()[..], text.as_bytes()].concat()
}

/// The number in a value of either form.
pub fn number(value: &[u8]) -> Option<u64> {
    if value.starts_with(&[0xAC, 0xED]) {
        return Some(u64::from_be_bytes(*value.last_chunk()?));
    }
    std::str::from_utf8(value).ok()?.parse().ok()
}

/// When a session was last used, as its hash has it; `None` if there is none.
pub fn last_accessed(redis: &mut RedisClient, id: &str) -> Option<u64> {
    number(&redis.ask_bytes(&["HGET", &hash(id), "lastAccessedTime"]))
}

/// Redis' own time, in milliseconds.
pub fn redis_now(redis: &mut RedisClient) -> u64 {
    let time = redis.ask(&["TIME"]);
    let (seconds, micros) = time.split_once(' ').expect("two numbers");
    let number = |text: &str| text.parse::<u64>().expect("a number");
    number(seconds) * 1_000 + number(micros) / 1_000
}

/// How a session is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    Indexed,
    Plain,
}

/// Writes a session that is used now, as Spring does, and gives the value of its cookie.
pub fn write(redis: &mut RedisClient, layout: Layout, id: &str, user: &str, seconds: i32) -> String {
    let at = redis_now(redis);
    let fields: Vec<Vec<u8>> = vec![
        b"HMSET".to_vec(),
        hash(id).into_bytes(),
        b"creationTime".to_vec(),
        java_long(at),
        b"lastAccessedTime".to_vec(),
        java_long(at),
        b"maxInactiveInterval".to_vec(),
        java_int(seconds),
        PRINCIPAL.as_bytes().to_vec(),
        java_text(user),
    ];
    redis.ask(&fields);
    let millis = |seconds: i32| (u64::from(seconds.unsigned_abs()) * 1_000).to_string();
    if layout == Layout::Plain {
        if seconds > 0 {
            let due = at + u64::from(seconds.unsigned_abs()) * 1_000;
            redis.ask(&["PEXPIREAT", &hash(id), &due.to_string()]);
        }
        return cookie(id);
    }
    if seconds < 0 {
        // What Spring leaves of one that never ends: no key that runs out.
        redis.ask(&["PERSIST", &hash(id)]);
        return cookie(id);
    }
    redis.ask(&["APPEND", &expires(id), ""]);
    redis.ask(&["PEXPIRE", &expires(id), &millis(seconds)]);
    redis.ask(&["PEXPIRE", &hash(id), &millis(seconds + 300)]);
    let due = at + u64::from(seconds.unsigned_abs()) * 1_000;
    let member = java_text(&format!("expires:{id}"));
    redis.ask(&[b"SADD".to_vec(), minute(due).into_bytes(), member]);
    redis.ask(&["PEXPIRE", &minute(due), &millis(seconds + 300)]);
    cookie(id)
}

/// An id as its cookie has it.
pub fn cookie(id: &str) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(id)
}

fn unhex(text: &str) -> Vec<u8> {
    let digit = |b: u8| char::from(b).to_digit(16).expect("hex") as u8;
    text.as_bytes().chunks(2).map(|pair| digit(pair[0]) << 4 | digit(pair[1])).collect()
}
