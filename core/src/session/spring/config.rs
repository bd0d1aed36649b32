//! How a namespace of Spring Session on a Redis is set up.

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

/// Where and how Spring Session keeps its sessions in a Redis. The defaults are Spring's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// What keys begin with, without the colon behind it: `spring.session.data.redis.namespace`. Default
    /// `spring:session`.
    pub namespace: String,
    /// The number of the database, which is part of the channels' names: `spring.data.redis.database`. The connections
    /// have to SELECT it. Default 0.
    pub database: u32,
    /// Which keys make up a session: `spring.session.data.redis.repository-type`. Default [`Layout::Detect`].
    pub layout: Layout,
    /// Where the indexed layout notes when sessions are due. Default [`Expirations::Detect`].
    pub expirations: Expirations,
    /// How values of new sessions are written. What exists keeps its own form. Default [`Serializer::Java`].
    pub serializer: Serializer,
    /// Whether this is a Redis Cluster: a session's keys then lie on several nodes, so that a step is one key, and a
    /// rename cannot be followed. Default no.
    pub cluster: bool,
    /// Whether Lua scripts are used where Redis allows them; else WATCH, MULTI and EXEC. Default yes.
    pub scripts: bool,
    /// Whether the cleanup job of the indexed layout is run: at second 00 of each minute it has Redis look at the
    /// sessions that were due, as each Spring application does. Default no.
    pub cleanup: bool,
    /// The attribute whose text is the principal's name; new sessions carry it. Default
    /// `org.springframework.session.FindByIndexNameSessionRepository.PRINCIPAL_NAME_INDEX_NAME`: under that name Spring finds
    /// a user's sessions, and who is logged in is told by the security context, where that names somebody. Any other
    /// attribute wins over the context.
    pub principal_attribute: String,
    /// The attribute that holds Spring Security's context. Default `SPRING_SECURITY_CONTEXT`.
    pub context_attribute: String,
    /// In which field of the principal its name is, where that is an object and not a text; the first that is there and
    /// a text. Default `username`, `name`.
    pub principal_fields: Vec<String>,
    /// Further attributes that a loaded record has. A text comes as its characters, a CSRF token of Spring Security as
    /// its token, anything else as it is stored. Default: the attribute with that token.
    pub attributes: Vec<String>,
}

/// Which keys make up a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// Found out from the first session that tells, and kept.
    Detect,
    /// `indexed`: a hash, a key that runs out with the session, entries by due time and by principal.
    Indexed,
    /// `default`: only the hash, which runs out itself.
    Plain,
}

/// Where the indexed layout notes when sessions are due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expirations {
    /// In the sorted set if there is one, else in the sets; looked at anew each time.
    Detect,
    /// In a set per minute, as Spring does by default.
    MinuteSets,
    /// In one sorted set: `SortedSetRedisSessionExpirationStore` of Spring Session 3.4 and later.
    SortedSet,
}

/// How values are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Serializer {
    /// Java's own serialization: Spring's default.
    Java,
    /// JSON, as Spring Session's documentation sets it up.
    Json,
}

/// Times of the machine, in milliseconds; see [`config::Session`](crate::session::spring#times).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Times {
    /// How long a new session lives without activity; Spring keeps whole seconds, so it is rounded up to one.
    pub timeout_ms: u64,
    /// REPLY: how long a reply may take; after that it counts as lost.
    pub reply_ms: u64,
    /// How often the flags of the keyspace events are looked at.
    pub sweep_interval_ms: u64,
}

/// What a Redis may send and cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// INFLIGHT: questions under way at a time; more of them wait.
    pub inflight: u32,
    /// BULK: bytes of one value in a reply.
    pub bulk: usize,
    /// ARRAY: items of one reply.
    pub array: usize,
    /// TOUCH_RATE: touches in a second while what piled up during an outage is told.
    pub touch_rate: u32,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            namespace: "spring:session".to_owned(),
            database: 0,
            layout: Layout::Detect,
            expirations: Expirations::Detect,
            serializer: Serializer::Java,
            cluster: false,
            scripts: true,
            cleanup: false,
            principal_attribute: PRINCIPAL_NAME.to_owned(),
            context_attribute: "SPRING_SECURITY_CONTEXT".to_owned(),
            principal_fields: vec!["username".to_owned(), "name".to_owned()],
            attributes: vec![CSRF_TOKEN.to_owned()],
        }
    }
}

/// The attribute with the principal's name, and the index of them.
pub(crate) const PRINCIPAL_NAME: &str =
    "org.springframework.session.FindByIndexNameSessionRepository.PRINCIPAL_NAME_INDEX_NAME";
/// The attribute with Spring Security's CSRF token.
pub const CSRF_TOKEN: &str = "org.springframework.security.web.csrf.HttpSessionCsrfTokenRepository.CSRF_TOKEN";
