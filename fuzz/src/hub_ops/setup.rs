//! How the hub is set up: every limit is small, so that each is met.

use tethered_core::broker::access::Rules;
use tethered_core::config::{Config, Endpoint, Login, Renew, Store};
use tethered_core::http;

use super::op::Coded;

/// How the hub is set up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Setup {
    /// Sessions live outside.
    pub external: bool,
    /// MSG_RATE is on.
    pub rated: bool,
    /// Heart-beats are offered.
    pub beats: bool,
    /// Each message touches.
    pub touchy: bool,
    /// One close a second.
    pub paced: bool,
    /// Access rules as in the sample.
    pub sample: bool,
    /// Peers are listed proxies.
    pub proxied: bool,
    /// Everything renews.
    pub renews: bool,
    /// One socket more than this is too many.
    pub total: u8,
}

impl Coded for Setup {
    fn read(input: &mut &[u8]) -> Option<Self> {
        let (bits, total) = (u8::read(input)?, u8::read(input)?);
        let bit = |at: u8| bits >> at & 1 == 1;
        Some(Self {
            external: bit(0),
            rated: bit(1),
            beats: bit(2),
            touchy: bit(3),
            paced: bit(4),
            sample: bit(5),
            proxied: bit(6),
            renews: bit(7),
            total: total % 16,
        })
    }

    fn write(&self, out: &mut Vec<u8>) {
        let bits =
            [self.external, self.rated, self.beats, self.touchy, self.paced, self.sample, self.proxied, self.renews];
        out.push(bits.iter().rev().fold(0, |all, bit| all << 1 | u8::from(*bit)));
        out.push(self.total);
    }
}

/// What the hub is made with.
pub(super) fn config(setup: &Setup) -> Config {
    let private = Endpoint { login: Login::Required, ..Endpoint::raw("/private") };
    let open = Endpoint { login: Login::None, any_origin: true, ..Endpoint::stomp("/open") };
    let mut config = Config {
        endpoints: vec![Endpoint::stomp("/stomp"), Endpoint::raw("/raw"), private, open],
        guarded: vec!["/stomp".to_owned(), "/guard".to_owned()],
        store: if setup.external { Store::External } else { Store::Memory },
        rules: if setup.sample { Rules::sample() } else { Rules::open() },
        heart_beat_ms: if setup.beats { (600, 800) } else { (0, 0) },
        ..Config::default()
    };
    if setup.proxied {
        config.proxies.add("203.0.113.0/30").expect("a network");
    }
    let session = &mut config.session;
    session.encoding = http::Encoding::Plain;
    session.timeout_ms = TIMEOUT_MS;
    session.touch_interval_ms = if setup.touchy { 0 } else { 300 };
    session.check_interval_ms = 1_000;
    session.sweep_interval_ms = 3_000;
    session.blind_ms = 5_000;
    session.reply_ms = 400;
    if setup.renews {
        session.renew = Renew {
            request: true,
            poll: true,
            connect: true,
            send: true,
            subscribe: true,
            unsubscribe: true,
            disconnect: true,
            heart_beat: true,
            ping: true,
            message: true,
        };
    }
    let limits = &mut config.limits;
    limits.http.head_bytes = 1_024;
    limits.http.body_bytes = 300;
    limits.http.id_tries = 2;
    limits.ws.frame_bytes = 900;
    limits.ws.message_bytes = 1_000;
    limits.ws.fragments = 4;
    limits.stomp.headers = 6;
    limits.stomp.header_bytes = 200;
    limits.stomp.frame_bytes = 900;
    limits.head_time_ms = 1_000;
    limits.body_time_ms = 1_000;
    limits.answer_time_ms = 3_000;
    limits.half_open = 4;
    limits.half_open_address = 2;
    limits.control_rate = 6;
    limits.message_rate = if setup.rated { 5 } else { 0 };
    limits.out_bytes = 2_000;
    limits.send_time_ms = 2_000;
    limits.close_time_ms = 1_000;
    limits.close_rate = if setup.paced { 1 } else { 1_000 };
    limits.first_message_ms = 3_000;
    limits.ping_every_ms = 2_500;
    limits.pong_time_ms = 2_000;
    limits.subscriptions = 3;
    limits.patterns = 2;
    limits.destination_bytes = 24;
    limits.destination_segments = 5;
    limits.beat_floor_ms = 300;
    limits.beats_missed = 2;
    limits.per_session = 3;
    limits.per_address = 6;
    limits.total = u32::from(setup.total) + 1;
    limits.memory = 6_000;
    limits.sessions = 6;
    limits.inflight = 4;
    config
}

/// How long a session lives without activity.
pub(super) const TIMEOUT_MS: u64 = 4_000;
