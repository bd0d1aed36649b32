//! The limits by name: what a stranger may send, hold and cost.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::{String, ToString};

use super::nearest::nearest;
use super::{Refused, value};
use crate::config::Limits;

/// A limit as it can be set: one of a hub's [`Limits`], or of what an embedder has besides.
#[derive(Debug)]
pub struct Limit<L: 'static = Limits> {
    /// Its name, in capitals.
    pub name: &'static str,
    /// What it counts.
    pub unit: Unit,
    /// What it limits.
    pub help: &'static str,
    /// Whether `off` is what one starts from, and safe.
    pub may_be_off: bool,
    read: fn(&L) -> u64,
    write: fn(&mut L, u64),
}

/// What a limit counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Bytes: 512, 64KiB, 16MiB.
    Bytes,
    /// A time: 500ms, 10s.
    Time,
    /// Pieces.
    Count,
}

/// No limit.
pub const OFF: u64 = u64::MAX;

/// Sets one by its name.
///
/// # Errors
/// [`Refused`]: the sentence names the limit, or the nearest one that there is.
pub fn set_limit(limits: &mut Limits, name: &str, text: &str) -> Result<(), Refused> {
    let limit = LIMITS.iter().find(|limit| limit.name == name).ok_or_else(|| {
        let near = nearest(name, LIMITS.iter().map(|limit| limit.name));
        let hint = near.map_or_else(String::new, |near| format!("; did you mean {near}?"));
        Refused(format!("there is no limit \"{}\"{hint}", name.escape_debug()))
    })?;
    let value = limit.parse(text)?;
    limit.put(limits, value);
    Ok(())
}

impl<L: Default> Limit<L> {
    /// A limit of an embedder's own. `write` puts the largest value that it can hold where it is given a larger one.
    pub const fn new(
        name: &'static str,
        unit: Unit,
        help: &'static str,
        read: fn(&L) -> u64,
        write: fn(&mut L, u64),
    ) -> Self {
        Self { name, unit, help, may_be_off: false, read, write }
    }

    /// Its value; [`OFF`] if there is none.
    pub fn get(&self, limits: &L) -> u64 {
        match (self.read)(limits) {
            0 if self.may_be_off => OFF,
            // The largest that fits a narrow number is how it holds "off".
            value if value > self.max() => OFF,
            value => value,
        }
    }

    /// Sets it; to [`OFF`], and to anything above [`max`](Self::max): no limit.
    pub fn put(&self, limits: &mut L, value: u64) {
        let none = if self.may_be_off { 0 } else { OFF };
        (self.write)(limits, if value == OFF { none } else { value });
    }

    /// A value as it is written.
    pub fn show(&self, value: u64) -> String {
        show(self.unit, value)
    }

    /// Reads what was written.
    ///
    /// # Errors
    /// [`Refused`] for what it cannot be.
    pub fn parse(&self, text: &str) -> Result<u64, Refused> {
        parse(self.name, self.unit, self.may_be_off, self.max(), text)
    }

    /// The largest value that the hub can hold; one less where that is how it writes "off".
    pub fn max(&self) -> u64 {
        let mut limits = L::default();
        (self.write)(&mut limits, u64::MAX);
        (self.read)(&limits) - 1
    }
}

/// A value of this unit as it is written.
pub(super) fn show(unit: Unit, value: u64) -> String {
    match unit {
        _ if value == OFF => "off".to_owned(),
        Unit::Bytes => value::show_size(value),
        Unit::Time => value::show_duration(value),
        Unit::Count => value.to_string(),
    }
}

/// Reads a value of this unit.
fn parse(name: &str, unit: Unit, may_be_off: bool, max: u64, text: &str) -> Result<u64, Refused> {
    if text == "off" {
        return Ok(OFF);
    }
    let read = match unit {
        Unit::Bytes => value::size_bytes,
        Unit::Time => value::duration_ms,
        Unit::Count => value::count,
    };
    match read(text).map_err(|Refused(why)| Refused(format!("{name}: {why}")))? {
        0 if may_be_off => Ok(OFF),
        0 => Err(Refused(format!("{name}: must be at least 1; write off for no limit at all"))),
        value if value > max => {
            Err(Refused(format!("{name}: is at most {}; write off for no limit at all", show(unit, max))))
        }
        value => Ok(value),
    }
}

fn set<T: TryFrom<u64> + core::ops::Not<Output = T> + Default>(field: &mut T, value: u64) {
    *field = T::try_from(value).unwrap_or_else(|_| !T::default());
}

macro_rules! limits {
    ($($name:ident $unit:ident $($field:ident).+ $(& $($also:ident).+)? $(, $off:ident)? : $help:literal)*) => {
        /// Every limit that can be set, in the order of `--help`.
        pub const LIMITS: &[Limit] = &[$(Limit {
            name: stringify!($name),
            unit: Unit::$unit,
            help: $help,
            may_be_off: limits!(@off $($off)?),
            read: |limits| limits.$($field).+ as u64,
            write: |limits, value| {
                set(&mut limits.$($field).+, value);
                $(set(&mut limits.$($also).+, value);)?
            },
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
    MSG_BYTES Bytes ws.message_bytes & stomp.frame_bytes: "a message, or a STOMP frame over several messages"
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
    INFLIGHT Count inflight: "questions that are under way to Redis"
    TOUCH_RATE Count touch_rate: "renewals in 1 s that an absence of Redis has left over"
    BULK Bytes bulk: "a string in a reply of Redis"
    ARRAY Count array: "a reply's elements"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_name_sets_its_own_field_and_no_other() {
        let before = Limits::default();
        for (i, limit) in LIMITS.iter().enumerate() {
            let mut after = Limits::default();
            set_limit(&mut after, limit.name, "7").unwrap();
            let wanted = if limit.unit == Unit::Time { 7_000 } else { 7 };
            for (j, other) in LIMITS.iter().enumerate() {
                let expected = if i == j { wanted } else { other.get(&before) };
                assert_eq!(other.get(&after), expected, "{} after {}=7", other.name, limit.name);
            }
        }
    }

    #[test]
    fn what_is_shown_is_read_back_up_to_the_largest() {
        for limit in LIMITS {
            for value in [1, limit.max(), OFF] {
                let mut limits = Limits::default();
                set_limit(&mut limits, limit.name, &limit.show(value)).unwrap();
                assert_eq!(limit.get(&limits), value, "{}", limit.name);
            }
            if limit.max() < u64::MAX - 1 {
                let Refused(why) = limit.parse(&limit.show(limit.max() + 1)).expect_err(limit.name);
                assert!(why.contains("is at most"), "{why}");
            }
        }
    }

    #[test]
    fn what_does_not_fit_is_refused_in_text_and_no_limit_as_a_number() {
        for limit in LIMITS.iter().filter(|limit| limit.max() < u64::MAX - 1) {
            let mut limits = Limits::default();
            limit.put(&mut limits, limit.max());
            assert_eq!(limit.get(&limits), limit.max(), "{}", limit.name);
            for beyond in [limit.max() + 1, limit.max() + 2, limit.max() + 9, u64::MAX - 1] {
                limit.put(&mut limits, beyond);
                assert_eq!(limit.get(&limits), OFF, "{} {beyond}", limit.name);
            }
            for beyond in ["4294967295", "4294967296", "18446744073709551615"] {
                let before = limits.clone();
                let refused = set_limit(&mut limits, limit.name, beyond).is_err();
                assert!(refused && limits == before || limit.max() > 0xffff_ffff, "{} {beyond}", limit.name);
            }
        }
    }

    #[test]
    fn off_is_no_limit() {
        let mut limits = Limits::default();
        set_limit(&mut limits, "OUT_BYTES", "off").unwrap();
        set_limit(&mut limits, "MSG_RATE", "1000").unwrap();
        assert_eq!((limits.out_bytes, limits.message_rate), (usize::MAX, 1_000));
        for off in ["off", "0"] {
            set_limit(&mut limits, "MSG_RATE", off).unwrap();
            assert_eq!(limits.message_rate, 0);
        }
        set_limit(&mut limits, "MSG_BYTES", "1MiB").unwrap();
        assert_eq!((limits.ws.message_bytes, limits.stomp.frame_bytes), (1 << 20, 1 << 20));
    }

    #[test]
    fn mistakes_are_named() {
        for (name, text, why) in [
            ("HEAD_BYTE", "1", "there is no limit \"HEAD_BYTE\"; did you mean HEAD_BYTES?"),
            ("out-bytes", "1", "there is no limit \"out-bytes\"; did you mean OUT_BYTES?"),
            ("COLOUR", "1", "there is no limit \"COLOUR\""),
            ("SUBS", "many", "SUBS: \"many\" is no number; write digits only, such as 1024"),
            ("MSG_BYTES", "64KB", "MSG_BYTES: \"64KB\" is no size; write 512, 64KiB, 16MiB or 1GiB"),
            ("SUBS", "0", "SUBS: must be at least 1; write off for no limit at all"),
        ] {
            assert_eq!(set_limit(&mut Limits::default(), name, text), Err(Refused(why.to_owned())));
        }
    }
}
