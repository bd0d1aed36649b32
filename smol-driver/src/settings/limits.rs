//! The limits by name: what a stranger may send, hold and cost.

use tethered_core::config::Limits;
use tethered_core::config::named::{LIMITS, Limit, OFF, Refused, Unit, nearest};

use super::machine::Machine;

/// All of them: the hub's, and those of the connections to Redis.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
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

impl Default for OfRedis {
    fn default() -> Self {
        Self { connect_ms: 1_000, reply_ms: 2_000, silent_ms: 10_000, depth: 8 }
    }
}

/// A limit as it stands.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) name: &'static str,
    pub(super) help: &'static str,
    /// As it is written.
    pub(super) shown: String,
    /// Whether it is off, though what one starts from is not.
    pub(super) unsafe_off: bool,
}

impl All {
    /// What holds unless it is set.
    pub(super) fn of(machine: Machine) -> Self {
        let core = Limits {
            total: u32::try_from(machine.total()).unwrap_or(u32::MAX),
            memory: usize::try_from(machine.memory()).unwrap_or(usize::MAX),
            ..Limits::default()
        };
        Self { core, ..Self::default() }
    }

    /// Sets one by its name.
    pub(super) fn set(&mut self, name: &str, text: &str) -> Result<(), Refused> {
        if let Some(limit) = LIMITS.iter().find(|limit| limit.name == name) {
            limit.put(&mut self.core, limit.parse(text)?);
        } else if let Some(limit) = OF_REDIS.iter().find(|limit| limit.name == name) {
            limit.put(&mut self.redis, limit.parse(text)?);
        } else {
            let names = LIMITS.iter().map(|limit| limit.name).chain(OF_REDIS.iter().map(|limit| limit.name));
            let near = nearest(name, names);
            let hint = near.map_or_else(|| "see tethered --help".to_owned(), |near| format!("did you mean {near}?"));
            return Err(Refused(format!("there is no limit \"{}\"; {hint}", name.escape_debug())));
        }
        Ok(())
    }

    /// Each limit as it stands, in the order of `--help`.
    pub(super) fn each(&self) -> impl Iterator<Item = Row> {
        LIMITS.iter().map(|limit| row(limit, &self.core)).chain(OF_REDIS.iter().map(|limit| row(limit, &self.redis)))
    }
}

fn row<L: Default>(limit: &Limit<L>, limits: &L) -> Row {
    let value = limit.get(limits);
    Row { name: limit.name, help: limit.help, shown: limit.show(value), unsafe_off: value == OFF && !limit.may_be_off }
}

/// Those that the hub does not know.
const OF_REDIS: &[Limit<OfRedis>] = &[
    Limit::new("CONNECT", Unit::Time, "for a connection to Redis", |r| r.connect_ms, |r, v| r.connect_ms = v),
    Limit::new("REPLY", Unit::Time, "for a reply of Redis", |r| r.reply_ms, |r, v| r.reply_ms = v),
    Limit::new(
        "SUB_SILENT",
        Unit::Time,
        "of Redis' silence until it is asked whether it is there",
        |r| r.silent_ms,
        |r, v| r.silent_ms = v,
    ),
    Limit::new(
        "DEPTH",
        Unit::Count,
        "lists within its lists",
        |r| r.depth as u64,
        |r, v| r.depth = usize::try_from(v).unwrap_or(usize::MAX),
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    const MACHINE: Machine = Machine { files: 20_000, memory_bytes: 4 << 30 };

    #[test]
    fn defaults_are_those_of_the_hub_and_of_the_machine() {
        let values = All::of(MACHINE);
        let shown: Vec<_> = values.each().map(|row| format!("{}={}", row.name, row.shown)).collect();
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
    fn each_name_sets_its_own_and_no_other_and_is_read_back() {
        let before = All::of(MACHINE);
        for (i, limit) in before.each().enumerate() {
            for text in ["7", "off"] {
                let mut after = before.clone();
                after.set(limit.name, text).unwrap();
                for (j, (was, is)) in before.each().zip(after.each()).enumerate() {
                    assert!(i == j || was.shown == is.shown, "{} after {}={text}", is.name, limit.name);
                    assert!(i != j || text == "7" && is.shown.starts_with('7') || is.shown == text, "{is:?}");
                }
                let mut again = before.clone();
                after.each().for_each(|row| again.set(row.name, &row.shown).unwrap());
                assert_eq!(again, after);
            }
        }
    }

    #[test]
    fn mistakes_are_named() {
        let mut values = All::of(MACHINE);
        for (name, text, why) in [
            ("HEAD_BYTE", "1", "there is no limit \"HEAD_BYTE\"; did you mean HEAD_BYTES?"),
            ("REPLYY", "1", "there is no limit \"REPLYY\"; did you mean REPLY?"),
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
