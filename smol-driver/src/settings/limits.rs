//! The limits by name: what a stranger may send, hold and cost.

use std::ops::{Deref, DerefMut};

use tethered_core::config::Limits;

use super::machine::Machine;
use super::nearest::nearest;
use super::value::{self, Refused};

/// A limit as it can be set.
pub(super) struct Limit {
    pub(super) name: &'static str,
    pub(super) unit: Unit,
    pub(super) help: &'static str,
    /// Whether `off` is what one starts from, and safe.
    pub(super) may_be_off: bool,
    read: fn(&All) -> u64,
    write: fn(&mut All, u64),
}

/// What a limit counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unit {
    Bytes,
    Time,
    Count,
}

/// The value of each limit, in bytes, milliseconds or pieces; [`OFF`] is none at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Values([u64; LIMITS.len()]);

/// All of them: the hub's, and those of the connections to Redis.
#[derive(Debug, Clone)]
pub(super) struct All {
    pub(super) core: Limits,
    pub(super) redis: OfRedis,
}

/// Limits of the connections to Redis that the hub does not know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct OfRedis {
    pub(super) connect_ms: u64,
    pub(super) reply_ms: u64,
    pub(super) silent_ms: u64,
    pub(super) depth: usize,
}

impl Default for All {
    fn default() -> Self {
        let redis = OfRedis { connect_ms: 1_000, reply_ms: 2_000, silent_ms: 10_000, depth: 8 };
        Self { core: Limits::default(), redis }
    }
}

impl Deref for All {
    type Target = Limits;

    fn deref(&self) -> &Limits {
        &self.core
    }
}

impl DerefMut for All {
    fn deref_mut(&mut self) -> &mut Limits {
        &mut self.core
    }
}

/// No limit.
pub(super) const OFF: u64 = u64::MAX;

impl Values {
    /// What holds unless it is set.
    pub(super) fn of(machine: Machine) -> Self {
        let mut defaults = All::default();
        set(&mut defaults.total, machine.total());
        set(&mut defaults.memory, machine.memory());
        Self(std::array::from_fn(|i| match (LIMITS[i].read)(&defaults) {
            0 if LIMITS[i].may_be_off => OFF,
            value => value,
        }))
    }

    /// Sets one by its name.
    pub(super) fn set(&mut self, name: &str, text: &str) -> Result<(), Refused> {
        let (i, limit) = find(name)?;
        self.0[i] = limit.parse(text)?;
        Ok(())
    }

    /// Each limit with its value.
    pub(super) fn each(&self) -> impl Iterator<Item = (&'static Limit, u64)> {
        LIMITS.iter().zip(self.0)
    }

    /// What the hub and the connections to Redis are given.
    pub(super) fn to_all(&self) -> All {
        let mut limits = All::default();
        for (limit, value) in self.each() {
            let none = if limit.may_be_off { 0 } else { OFF };
            (limit.write)(&mut limits, if value == OFF { none } else { value });
        }
        // MSG_BYTES is one limit for a message and for a STOMP frame that comes in several.
        limits.stomp.frame_bytes = usize::try_from(limits.ws.message_bytes).unwrap_or(usize::MAX);
        limits
    }
}

impl Limit {
    /// A value as it is written.
    pub(super) fn show(&self, value: u64) -> String {
        match self.unit {
            _ if value == OFF => "off".to_owned(),
            Unit::Bytes => value::show_size(value),
            Unit::Time => value::show_duration(value),
            Unit::Count => value.to_string(),
        }
    }

    fn parse(&self, text: &str) -> Result<u64, Refused> {
        if text == "off" {
            return Ok(OFF);
        }
        let parse = match self.unit {
            Unit::Bytes => value::size_bytes,
            Unit::Time => value::duration_ms,
            Unit::Count => value::count,
        };
        let value = parse(text).map_err(|Refused(why)| Refused(format!("{}: {why}", self.name)))?;
        match value {
            0 if self.may_be_off => Ok(OFF),
            0 => Err(Refused(format!("{}: must be at least 1; write off for no limit at all", self.name))),
            value if value > self.max() => Err(Refused(format!(
                "{}: is at most {}; write off for no limit at all",
                self.name,
                self.show(self.max())
            ))),
            value => Ok(value),
        }
    }

    /// The largest value that the hub can hold; one less where that is how it writes "off".
    fn max(&self) -> u64 {
        let mut limits = All::default();
        (self.write)(&mut limits, u64::MAX);
        (self.read)(&limits) - 1
    }
}

fn find(name: &str) -> Result<(usize, &'static Limit), Refused> {
    LIMITS.iter().enumerate().find(|(_, limit)| limit.name == name).ok_or_else(|| {
        let near = nearest(name, LIMITS.iter().map(|limit| limit.name));
        let hint = near.map_or_else(|| "see tethered --help".to_owned(), |near| format!("did you mean {near}?"));
        Refused(format!("there is no limit \"{}\"; {hint}", name.escape_debug()))
    })
}

fn set<T: TryFrom<u64> + std::ops::Not<Output = T> + Default>(field: &mut T, value: u64) {
    *field = T::try_from(value).unwrap_or_else(|_| !T::default());
}

macro_rules! limits {
    ($($name:ident $unit:ident $($field:ident).+ $(, $off:ident)? : $help:literal)*) => {
        /// Every limit that can be set, in the order of `--help`.
        pub(super) const LIMITS: &[Limit] = &[$(Limit {
            name: stringify!($name),
            unit: Unit::$unit,
            help: $help,
            may_be_off: limits!(@off $($off)?),
            read: |limits| limits.$($field).+ as u64,
            write: |limits, value| set(&mut limits.$($field).+, value),
        }),*];
    };
    (@off) => { false };
    (@off off) => { true };
}

limits! {
    HEAD_BYTES Bytes http.head_bytes: "an HTTP request's head"
    HEAD_LINES Count http.head_lines: "its header lines"
    TARGET_BYTES Bytes http.target_bytes: "its target: path and query"
    HEAD_TIME Time head_time_ms: "from the accept until the head is whole"
    HALF_OPEN Count half_open: "connections without a whole head, in all"
    HALF_OPEN_ADDR Count half_open_address: "and of one address"
    BODY Bytes http.body_bytes: "an HTTP request's body"
    BODY_TIME Time body_time_ms: "from the head until the body is whole"
    ANSWER_TIME Time answer_time_ms: "for the application to answer a request"
    COOKIE_BYTES Bytes http.cookie_bytes: "a request's cookies"
    COOKIE_PAIRS Count http.cookie_pairs: "and how many of them"
    ID_TRIES Count http.id_tries: "session cookies of one request that are looked up"
    FRAME_BYTES Bytes ws.frame_bytes: "a WebSocket frame"
    MSG_BYTES Bytes ws.message_bytes: "a message, or a STOMP frame over several messages"
    FRAGMENTS Count ws.fragments: "fragments under 64 B of one message"
    CTRL_RATE Count control_rate: "pings and pongs from one peer in 10 s"
    MSG_RATE Count message_rate, off: "messages from one peer in 1 s; 1000 is fair in public"
    OUT_BYTES Bytes out_bytes: "what waits for one slow reader"
    SEND_TIME Time send_time_ms: "for a write to move"
    CLOSE_TIME Time close_time_ms: "for the peer to answer a Close"
    CLOSE_RATE Count close_rate: "closes in 1 s when many sessions end together"
    FIRST_MSG Time first_message_ms: "for the first message after the handshake"
    PING_EVERY Time ping_every_ms: "of silence until the peer is pinged"
    PONG_TIME Time pong_time_ms: "for its answer"
    COMMAND Bytes stomp.command_bytes: "a STOMP command"
    HEADERS Count stomp.headers: "headers of a STOMP frame"
    HEADER_BYTES Bytes stomp.header_bytes: "all of them together"
    SUBS Count subscriptions: "subscriptions of one client"
    PATTERNS Count patterns: "different patterns that are subscribed to, in all"
    DEST Bytes destination_bytes: "a destination"
    SEGMENTS Count destination_segments: "its segments"
    BEAT Time beat_floor_ms: "shortest STOMP heart-beat; shorter ones are raised to it"
    BEATS_MISSED Count beats_missed: "heart-beats that may fail to come"
    PER_SESSION Count per_session: "sockets of one session"
    PER_ADDR Count per_address: "sockets of one address"
    TOTAL Count total: "sockets; default 90 % of the file limit"
    SJ_SESS Count channels_per_session: "SockJS sessions of one login that stream or poll"
    SJ_ADDR Count channels_per_address: "of one address, where no login is asked for"
    SJ_TOTAL Count channels: "and in all"
    SJ_QUEUE Count channel_messages: "messages that wait for such a session's next poll"
    SJ_BYTES Bytes channel_bytes: "their bytes"
    MEMORY Bytes memory: "all buffers together; default 50 % of the memory"
    SESSIONS Count sessions: "sessions in the embedded store"
    CONNECT Time redis.connect_ms: "for a connection to Redis"
    REPLY Time redis.reply_ms: "for a reply of Redis"
    SUB_SILENT Time redis.silent_ms: "of Redis' silence until it is asked whether it is there"
    INFLIGHT Count inflight: "questions that are under way to Redis"
    TOUCH_RATE Count touch_rate: "renewals in 1 s that an absence of Redis has left over"
    BULK Bytes bulk: "a string in a reply of Redis"
    ARRAY Count array: "a reply's elements"
    DEPTH Count redis.depth: "lists within its lists"
}

#[cfg(test)]
mod tests {
    use super::*;

    const MACHINE: Machine = Machine { files: 20_000, memory_bytes: 4 << 30 };

    #[test]
    fn defaults_are_those_of_the_hub_and_of_the_machine() {
        let values = Values::of(MACHINE);
        let shown: Vec<_> =
            values.each().map(|(limit, value)| format!("{}={}", limit.name, limit.show(value))).collect();
        for wanted in [
            "HEAD_BYTES=16KiB",
            "HEAD_LINES=100",
            "TARGET_BYTES=8KiB",
            "HEAD_TIME=10s",
            "HALF_OPEN=1024",
            "HALF_OPEN_ADDR=32",
            "BODY_TIME=10s",
            "ANSWER_TIME=1m",
            "COOKIE_BYTES=8KiB",
            "COOKIE_PAIRS=64",
            "ID_TRIES=4",
            "FRAME_BYTES=64KiB",
            "MSG_BYTES=64KiB",
            "FRAGMENTS=4096",
            "CTRL_RATE=100",
            "MSG_RATE=off",
            "OUT_BYTES=512KiB",
            "SEND_TIME=10s",
            "CLOSE_TIME=5s",
            "CLOSE_RATE=25000",
            "FIRST_MSG=1m",
            "PING_EVERY=25s",
            "PONG_TIME=20s",
            "COMMAND=16B",
            "HEADERS=64",
            "HEADER_BYTES=16KiB",
            "SUBS=128",
            "DEST=512B",
            "SEGMENTS=32",
            "BEAT=1s",
            "BEATS_MISSED=3",
            "PER_SESSION=64",
            "PER_ADDR=1024",
            "TOTAL=18000",
            "SJ_SESS=16",
            "SJ_ADDR=64",
            "SJ_TOTAL=65536",
            "SJ_QUEUE=100",
            "SJ_BYTES=512KiB",
            "MEMORY=2GiB",
            "SESSIONS=1000000",
        ] {
            assert!(shown.iter().any(|s| s == wanted), "{wanted} in {shown:?}");
        }
    }

    #[test]
    fn each_name_sets_its_own_field_and_no_other() {
        let before = Values::of(MACHINE).to_all();
        for (i, limit) in LIMITS.iter().enumerate() {
            let mut values = Values::of(MACHINE);
            values.set(limit.name, "7").unwrap();
            let after = values.to_all();
            let wanted = if limit.unit == Unit::Time { 7_000 } else { 7 };
            for (j, other) in LIMITS.iter().enumerate() {
                let expected = if i == j { wanted } else { (other.read)(&before) };
                assert_eq!((other.read)(&after), expected, "{} after {}=7", other.name, limit.name);
            }
        }
    }

    #[test]
    fn what_is_shown_is_read_back_up_to_the_largest() {
        for limit in LIMITS {
            for value in [1, limit.max(), OFF] {
                let mut values = Values::of(MACHINE);
                values.set(limit.name, &limit.show(value)).unwrap();
                assert!(values.each().any(|(l, v)| l.name == limit.name && v == value), "{} {value}", limit.name);
            }
            let mut values = Values::of(MACHINE);
            if limit.max() < u64::MAX - 1 {
                let Refused(why) = values.set(limit.name, &limit.show(limit.max() + 1)).expect_err(limit.name);
                assert!(why.contains("is at most"), "{why}");
            }
        }
    }

    #[test]
    fn off_is_no_limit() {
        let mut values = Values::of(MACHINE);
        values.set("OUT_BYTES", "off").unwrap();
        values.set("MSG_RATE", "1000").unwrap();
        assert_eq!((values.to_all().out_bytes, values.to_all().message_rate), (usize::MAX, 1_000));
        values.set("MSG_RATE", "off").unwrap();
        assert_eq!(values.to_all().message_rate, 0);
        values.set("MSG_RATE", "0").unwrap();
        assert_eq!(values.to_all().message_rate, 0);
    }

    #[test]
    fn mistakes_are_named() {
        let mut values = Values::of(MACHINE);
        for (name, text, why) in [
            ("HEAD_BYTE", "1", "there is no limit \"HEAD_BYTE\"; did you mean HEAD_BYTES?"),
            ("out-bytes", "1", "there is no limit \"out-bytes\"; did you mean OUT_BYTES?"),
            ("COLOUR", "1", "there is no limit \"COLOUR\"; see tethered --help"),
            ("SUBS", "many", "SUBS: \"many\" is no number; write digits only, such as 1024"),
            ("MSG_BYTES", "64KB", "MSG_BYTES: \"64KB\" is no size; write 512, 64KiB, 16MiB or 1GiB"),
            (
                "HEAD_TIME",
                "soon",
                "HEAD_TIME: \"soon\" is no duration; write 500ms, 60s, 30m, 12h or 7d (a bare number is seconds)",
            ),
            ("SUBS", "0", "SUBS: must be at least 1; write off for no limit at all"),
        ] {
            assert_eq!(values.set(name, text), Err(Refused(why.to_owned())));
        }
    }
}
