//! How a hub is set up: [`Config`], [`Limits`] and what may be wrong with them.

mod bound;
pub mod named;
mod sockjs;

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use crate::broker::access::Rules;
use crate::http;
use crate::session::spring;
use crate::stomp;
use crate::ws;

pub use self::bound::CloseBound;
pub use self::sockjs::SockJs;

/// How a [`Hub`](crate::hub::Hub) is set up. Start from [`Config::default`] and change what differs.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where WebSockets are taken. Default: STOMP at `/stomp`, with login.
    pub endpoints: Vec<Endpoint>,
    /// Paths below which a request without a live session is answered 401 instead of being handed on.
    pub guarded: Vec<String>,
    /// Where sessions live.
    pub store: Store,
    /// Cookie, renewal and the times of the session machine.
    pub session: Session,
    /// Who may connect from where.
    pub origin: http::OriginRules,
    /// Addresses of proxies whose `Forwarded` and `X-Forwarded-*` headers are believed.
    pub proxies: http::Proxies,
    /// Prefix of destinations that go to the application. Default `/app`.
    pub application_prefix: String,
    /// Who may SEND and SUBSCRIBE where.
    pub rules: Rules,
    /// Whether there are other hubs that get what is published here, and the other way round:
    /// [`Action::Relay`](crate::hub::Action::Relay). Default no.
    pub relay: bool,
    /// Whether the embedder has a say in each handshake whose session is alive:
    /// [`Action::Decide`](crate::hub::Action::Decide). Default no: the session decides.
    pub decide: bool,
    /// What the server offers: it can send every `.0` ms, and wants something every `.1` ms. Default `(0, 0)`: none.
    pub heart_beat_ms: (u32, u32),
    /// What a stranger may send, hold and cost.
    pub limits: Limits,
}

/// A path at which WebSockets are taken.
#[derive(Debug, Clone)]
pub struct Endpoint {
    /// The exact path, such as `/stomp`. With [`sockjs`](Self::sockjs): the prefix, such as `/messages`, below which all of
    /// it is; plain WebSockets are then taken at `/messages/websocket`.
    pub path: String,
    /// What is spoken there.
    pub protocol: Protocol,
    /// Whether a live session with a principal is needed.
    pub login: Login,
    /// Largest message over a plain WebSocket, in bytes, if it differs from [`ws::Limits`] of [`Limits`].
    pub message_bytes: Option<u64>,
    /// Most unsent bytes of a plain WebSocket, if it differs from [`Limits::out_bytes`].
    pub out_bytes: Option<usize>,
    /// Whether any `Origin` is let in. Only ever for endpoints that read no cookie.
    pub any_origin: bool,
    /// Whether it is a SockJS service, and how it is set up. Default no.
    pub sockjs: Option<SockJs>,
}

/// What is spoken at an [`Endpoint`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// STOMP 1.0 to 1.2.
    Stomp,
    /// Messages of the embedder's own.
    Raw,
}

/// Whether an [`Endpoint`] asks for a login.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Login {
    /// A live session with a principal; anything else is answered 401.
    Required,
    /// No cookie is read, nobody is bound.
    None,
}

/// Where sessions live.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(clippy::large_enum_variant, reason = "one exists")]
pub enum Store {
    /// In the hub's own memory: [`session::memory`](crate::session::memory).
    Memory,
    /// Elsewhere: the hub asks with [`Action::Session`](crate::hub::Action::Session).
    External,
    /// On a Redis, where Spring Session keeps them: the hub gives commands with
    /// [`Action::Redis`](crate::hub::Action::Redis).
    Spring(spring::Config),
}

/// Cookie, renewal and the times of the session machine.
#[derive(Debug, Clone)]
pub struct Session {
    /// The cookie's name. Default `SESSION`.
    pub cookie: String,
    /// How the id is written in the cookie. Default [`http::Encoding::Base64`], as Spring Session.
    pub encoding: http::Encoding,
    /// How long a session of the store in memory lives without activity, in milliseconds. Default 30 minutes.
    pub timeout_ms: u64,
    /// At most one touch per session in this many milliseconds; 0: one per message. Default 1,000.
    pub touch_interval_ms: u64,
    /// How often a session is checked while notices are missing, in milliseconds. Default 5,000.
    pub check_interval_ms: u64,
    /// How often every bound session is checked in any case, in milliseconds. Default 60,000.
    pub sweep_interval_ms: u64,
    /// How long the store may be away before sockets it has not vouched for are closed, in milliseconds. Default 300,000.
    pub blind_ms: u64,
    /// REPLY: how long an external store or a Redis may take for an answer, in milliseconds; after that it counts as
    /// lost. Default 2,000.
    pub reply_ms: u64,
    /// Which messages renew.
    pub renew: Renew,
    /// What a STOMP CONNECT under a session must carry besides the cookie. Default `None`: nothing, since the check of the
    /// `Origin` keeps foreign pages out.
    pub connect_token: Option<ConnectToken>,
}

/// A token of the session that its pages know and nobody else's do. CONNECT must carry it, masked as
/// [`session::csrf`](crate::session::csrf) does and Spring Security's `XorCsrfChannelInterceptor` expects it; without it,
/// or with another one, the answer is ERROR. The token is the one that the session has at the handshake. A session that
/// has none cannot CONNECT.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectToken {
    /// The header of CONNECT that carries it, in this case. Spring's is `X-CSRF-TOKEN`.
    pub header: String,
    /// The attributes of the session that may hold it, as plain text; the first that is there does.
    pub attributes: Vec<String>,
}

/// Which messages of a user renew the session. What is sent *to* a user never does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Renew {
    /// The WebSocket handshake, the request that opens a SockJS session, and HTTP requests that are none of SockJS's.
    /// Default yes.
    pub request: bool,
    /// Other requests of SockJS, whether or not they carry a message: polls, `/info`, empty bodies. Spring renews with
    /// them, so that a tab left open never logs out. Default no.
    pub poll: bool,
    /// STOMP CONNECT. Default yes.
    pub connect: bool,
    /// STOMP SEND. Default yes.
    pub send: bool,
    /// STOMP SUBSCRIBE. Default yes.
    pub subscribe: bool,
    /// STOMP UNSUBSCRIBE. Default yes.
    pub unsubscribe: bool,
    /// STOMP DISCONNECT. Default no.
    pub disconnect: bool,
    /// STOMP heart-beats. Default no.
    pub heart_beat: bool,
    /// WebSocket pings and pongs. Default no.
    pub ping: bool,
    /// Messages on raw endpoints. Default yes.
    pub message: bool,
}

/// What a stranger may send, hold and cost. Every one is on by default.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// HTTP heads, cookies and bodies.
    pub http: http::Limits,
    /// Frames and messages.
    pub ws: ws::Limits,
    /// STOMP frames.
    pub stomp: stomp::Limits,
    /// HEAD_TIME: a request's head has to be whole within this many ms of the accept. Default 10,000.
    pub head_time_ms: u64,
    /// BODY_TIME: and its body within this many ms more. Default 10,000.
    pub body_time_ms: u64,
    /// ANSWER_TIME: ms for the embedder to answer a request that it was handed. Default 60,000.
    pub answer_time_ms: u64,
    /// HALF_OPEN: connections without a whole head, in all. Default 1,024.
    pub half_open: u32,
    /// HALF_OPEN per address. Default 32.
    pub half_open_address: u32,
    /// CTRL_RATE: pings and pongs from a peer in 10 s; 65,535 and more: no limit. Default 100.
    pub control_rate: u32,
    /// MSG_RATE: messages from a peer in one second; 0, and 65,535 and more: no limit. Default 0.
    pub message_rate: u32,
    /// OUT_BYTES: bytes that wait for a slow reader. Default 512 KiB.
    pub out_bytes: usize,
    /// SEND_TIME: ms for a write to move. Default 10,000.
    pub send_time_ms: u64,
    /// CLOSE_TIME: ms for the peer to answer a Close. Default 5,000.
    pub close_time_ms: u64,
    /// CLOSE_RATE: closes per second when many sessions end together. Default 25,000.
    pub close_rate: u32,
    /// FIRST_MSG: ms for the first message on a STOMP endpoint. Default 60,000.
    pub first_message_ms: u64,
    /// PING_EVERY: ms of silence after which a ping is sent. Default 25,000.
    pub ping_every_ms: u64,
    /// PONG_TIME: ms after that ping until the peer is taken for gone. Default 20,000.
    pub pong_time_ms: u64,
    /// SUBS: subscriptions of one client. Default 128.
    pub subscriptions: u32,
    /// PATTERNS: different patterns that are subscribed to, in all. Default 1,024.
    pub patterns: u32,
    /// DEST: bytes of a destination. Default 512.
    pub destination_bytes: usize,
    /// DEST: segments of a destination. Default 32.
    pub destination_segments: usize,
    /// BEAT: the shortest STOMP heart-beat, in ms; shorter ones are raised to it. Default 1,000.
    pub beat_floor_ms: u32,
    /// BEAT: how many may be missed. Default 3.
    pub beats_missed: u32,
    /// PER_SESSION: sockets of one session. Default 64.
    pub per_session: u32,
    /// PER_ADDR: sockets of one address. Default 1,024.
    pub per_address: u32,
    /// TOTAL: sockets. Default 18,000.
    pub total: u32,
    /// SJ_SESS: SockJS sessions by other means than WebSockets, of one login. Default 16.
    pub channels_per_session: u32,
    /// SJ_ADDR: the same of one address, where no login is asked for. Default 64.
    pub channels_per_address: u32,
    /// SJ_TOTAL: the same in all, those included that have ended and tell so. Default 65,536.
    pub channels: u32,
    /// SJ_QUEUE: messages that wait for such a session's next request. Default 100.
    pub channel_messages: usize,
    /// SJ_BYTES: their bytes. Default 512 KiB.
    pub channel_bytes: usize,
    /// MEMORY: bytes over all buffers; a payload that many wait for counts for each of them. Default 1 GiB.
    pub memory: usize,
    /// Sessions in the store in memory. Default 1,000,000.
    pub sessions: u32,
    /// INFLIGHT: answers that are awaited from the store at a time. Beyond that an external one counts as lost, and
    /// questions to a Redis wait, up to 32 times as many. Default 4,096.
    pub inflight: u32,
    /// BULK: bytes of one value in a reply of Redis. Default 1 MiB.
    pub bulk: usize,
    /// ARRAY: items in a reply of Redis. Default 65,536.
    pub array: usize,
    /// TOUCH_RATE: touches per second while a Redis that was away is told what it missed. Default 5,000.
    pub touch_rate: u32,
}

/// What is wrong with a [`Config`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// An endpoint's path.
    #[error("an endpoint's path must begin with / and hold no ?, # or spaces")]
    EndpointPath,
    /// Two endpoints at one path.
    #[error("two endpoints have the same path")]
    EndpointTwice,
    /// What is set up for SockJS.
    #[error(
        "a SockJS service needs a path that does not end with /, nothing else at or below it, stream_bytes of at least 1, \
         times of at least 1 ms, and a client_url without control characters"
    )]
    SockJs,
    /// Too many endpoints.
    #[error("at most 255 endpoints are possible")]
    TooManyEndpoints,
    /// The cookie's name.
    #[error("the session cookie's name must be a token of RFC 6265")]
    CookieName,
    /// A time of the session machine.
    #[error("session.timeout_ms must be from 1 to 10 years")]
    Timeout,
    /// An interval of the session machine.
    #[error("session.check_interval_ms, sweep_interval_ms and blind_ms must be at least 10")]
    Interval,
    /// A name in [`ConnectToken`].
    #[error(
        "connect_token needs the name of an attribute, none of them empty, and of a header without colon, line end or space"
    )]
    ConnectToken,
    /// The prefix of application destinations.
    #[error("application_prefix must begin with / and must not end with it")]
    ApplicationPrefix,
    /// A limit of 0.
    #[error("a limit must be at least 1: {0}")]
    LimitZero(&'static str),
}

impl Default for Config {
    fn default() -> Self {
        Self {
            endpoints: vec![Endpoint::stomp("/stomp")],
            guarded: vec!["/stomp".to_owned()],
            store: Store::Memory,
            session: Session::default(),
            origin: http::OriginRules::default(),
            proxies: http::Proxies::default(),
            application_prefix: "/app".to_owned(),
            rules: Rules::open(),
            relay: false,
            decide: false,
            heart_beat_ms: (0, 0),
            limits: Limits::default(),
        }
    }
}

impl Endpoint {
    /// A STOMP endpoint that asks for a login.
    pub fn stomp(path: &str) -> Self {
        Self {
            path: path.to_owned(),
            protocol: Protocol::Stomp,
            login: Login::Required,
            message_bytes: None,
            out_bytes: None,
            any_origin: false,
            sockjs: None,
        }
    }

    /// The same as a SockJS service: `path` is its prefix.
    pub fn with_sockjs(self, sockjs: SockJs) -> Self {
        Self { sockjs: Some(sockjs), ..self }
    }

    /// An endpoint of raw messages that asks for no login.
    pub fn raw(path: &str) -> Self {
        Self { protocol: Protocol::Raw, login: Login::None, ..Self::stomp(path) }
    }
}

/// Spring Security's header, and the attributes that its applications and [`session::csrf`](crate::session::csrf) keep it
/// in.
impl Default for ConnectToken {
    fn default() -> Self {
        Self { header: "X-CSRF-TOKEN".to_owned(), attributes: vec!["csrf".to_owned(), spring::CSRF_TOKEN.to_owned()] }
    }
}

impl Default for Session {
    fn default() -> Self {
        Self {
            cookie: "SESSION".to_owned(),
            encoding: http::Encoding::Base64,
            timeout_ms: 30 * 60_000,
            touch_interval_ms: 1_000,
            check_interval_ms: 5_000,
            sweep_interval_ms: 60_000,
            blind_ms: 300_000,
            reply_ms: 2_000,
            renew: Renew::default(),
            connect_token: None,
        }
    }
}

impl Default for Renew {
    fn default() -> Self {
        Self {
            request: true,
            poll: false,
            connect: true,
            send: true,
            subscribe: true,
            unsubscribe: true,
            disconnect: false,
            heart_beat: false,
            ping: false,
            message: true,
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            http: http::Limits::default(),
            ws: ws::Limits::default(),
            stomp: stomp::Limits::default(),
            head_time_ms: 10_000,
            body_time_ms: 10_000,
            answer_time_ms: 60_000,
            half_open: 1_024,
            half_open_address: 32,
            control_rate: 100,
            message_rate: 0,
            out_bytes: 512 * 1024,
            send_time_ms: 10_000,
            close_time_ms: 5_000,
            close_rate: 25_000,
            first_message_ms: 60_000,
            ping_every_ms: 25_000,
            pong_time_ms: 20_000,
            subscriptions: 128,
            patterns: 1_024,
            destination_bytes: 512,
            destination_segments: 32,
            beat_floor_ms: 1_000,
            beats_missed: 3,
            per_session: 64,
            per_address: 1_024,
            total: 18_000,
            channels_per_session: 16,
            channels_per_address: 64,
            channels: 65_536,
            channel_messages: 100,
            channel_bytes: 512 * 1024,
            memory: 1 << 30,
            sessions: 1_000_000,
            inflight: 4_096,
            bulk: 1 << 20,
            array: 65_536,
            touch_rate: 5_000,
        }
    }
}

impl Config {
    /// Looks for what can be found wrong before anything runs.
    ///
    /// # Errors
    /// The first thing found.
    pub fn validate(&self) -> Result<(), ConfigError> {
        if self.endpoints.len() > usize::from(u8::MAX) {
            return Err(ConfigError::TooManyEndpoints);
        }
        for (i, endpoint) in self.endpoints.iter().enumerate() {
            if !endpoint.path.starts_with('/') || endpoint.path.contains(['?', '#', ' ']) {
                return Err(ConfigError::EndpointPath);
            }
            if self.endpoints[..i].iter().any(|other| other.path == endpoint.path) {
                return Err(ConfigError::EndpointTwice);
            }
            if let Some(sockjs) = &endpoint.sockjs {
                let below = |other: &Endpoint| {
                    other.path.strip_prefix(&endpoint.path).is_some_and(|rest| rest.starts_with('/'))
                };
                if endpoint.path.ends_with('/') || self.endpoints.iter().any(below) || !sockjs.is_valid() {
                    return Err(ConfigError::SockJs);
                }
            }
        }
        let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
        if self.session.cookie.is_empty() || !self.session.cookie.bytes().all(token) {
            return Err(ConfigError::CookieName);
        }
        if let Some(ConnectToken { header, attributes }) = &self.session.connect_token
            && (attributes.is_empty()
                || attributes.iter().any(String::is_empty)
                || header.is_empty()
                || !header.bytes().all(|b| b.is_ascii_graphic() && b != b':'))
        {
            return Err(ConfigError::ConnectToken);
        }
        if self.session.timeout_ms == 0 || self.session.timeout_ms > 10 * 366 * 86_400_000 {
            return Err(ConfigError::Timeout);
        }
        if [self.session.check_interval_ms, self.session.sweep_interval_ms, self.session.blind_ms]
            .iter()
            .any(|&ms| ms < 10)
        {
            return Err(ConfigError::Interval);
        }
        if !self.application_prefix.starts_with('/') || self.application_prefix.ends_with('/') {
            return Err(ConfigError::ApplicationPrefix);
        }
        let l = &self.limits;
        let named: [(&'static str, u64); 22] = [
            ("HEAD_TIME", l.head_time_ms),
            ("ANSWER_TIME", l.answer_time_ms),
            ("HALF_OPEN", u64::from(l.half_open.min(l.half_open_address))),
            ("CTRL_RATE", u64::from(l.control_rate)),
            ("OUT_BYTES", l.out_bytes as u64),
            ("SEND_TIME", l.send_time_ms),
            ("CLOSE_TIME", l.close_time_ms),
            ("CLOSE_RATE", u64::from(l.close_rate)),
            ("FIRST_MSG", l.first_message_ms),
            ("PER_SESSION", u64::from(l.per_session)),
            ("PER_ADDR", u64::from(l.per_address)),
            ("TOTAL", u64::from(l.total)),
            ("SJ_SESS", u64::from(l.channels_per_session)),
            ("SJ_ADDR", u64::from(l.channels_per_address)),
            ("SJ_TOTAL", u64::from(l.channels)),
            ("SJ_QUEUE", l.channel_messages as u64),
            ("SJ_BYTES", l.channel_bytes as u64),
            ("MEMORY", l.memory as u64),
            ("INFLIGHT", u64::from(l.inflight)),
            ("BULK", l.bulk as u64),
            ("ARRAY", l.array as u64),
            ("TOUCH_RATE", u64::from(l.touch_rate)),
        ];
        named.iter().find(|(_, value)| *value == 0).map_or(Ok(()), |(name, _)| Err(ConfigError::LimitZero(name)))
    }
}
