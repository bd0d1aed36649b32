//! Lines for whoever looks after the server: logfmt, to the standard error stream.

use std::collections::BTreeMap;
use std::fmt::{self, Display, Write as _};
#[cfg(not(test))]
use std::io::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tethered_core::hub::Ended;
use tethered_core::time::{Instant, Now, UnixMillis};

/// How much a line matters, and from where on lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// No line has this level: nothing is written.
    Off,
    /// Something does not work.
    Error,
    /// Something may soon not work.
    Warn,
    /// What an operator wants to find later.
    Info,
    /// Each socket.
    Debug,
}

/// Writes lines such as
/// `ts=2025-03-01T14:03:07.250Z level=info msg="session ended" cause=expired late_ms=3`.
///
/// At most [`LINES_A_SECOND`] of one kind (that is, with one `msg`) are written in a second, of the ends of sessions
/// [`ENDS_A_SECOND`]. Those beyond are counted, and the exact count is told once the second is over. Whatever comes from
/// clients is escaped: a line is a line.
#[derive(Debug, Clone)]
pub struct Log(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    level: Level,
    kinds: Mutex<Kinds>,
    /// When the next suppressed lines are to be told, in milliseconds; [`u64::MAX`]: there are none.
    due: AtomicU64,
}

#[derive(Debug, Default)]
struct Kinds {
    kinds: BTreeMap<&'static str, Kind>,
    /// Lines go here instead of the standard error stream.
    #[cfg(test)]
    kept: String,
}

#[derive(Debug)]
struct Kind {
    level: Level,
    /// When the second began that lines are counted in.
    since: Instant,
    lines: u32,
    suppressed: u64,
}

impl Level {
    /// The word in a line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
        }
    }
}

impl Log {
    /// A log that writes lines of this level and of those that matter more.
    pub fn new(level: Level) -> Self {
        Self(Arc::new(Shared { level, kinds: Mutex::default(), due: AtomicU64::new(u64::MAX) }))
    }

    /// Whether lines of this level are written.
    pub fn writes(&self, level: Level) -> bool {
        level <= self.0.level
    }

    /// Writes a line, unless too many of its kind were written within a second.
    pub fn write(&self, now: Now, level: Level, msg: &'static str, fields: &[(&str, &dyn Display)]) {
        self.write_up_to(LINES_A_SECOND, now, level, msg, fields);
    }

    fn write_up_to(&self, most: u32, now: Now, level: Level, msg: &'static str, fields: &[(&str, &dyn Display)]) {
        if !self.writes(level) {
            return;
        }
        let mut kinds = self.0.kinds.lock().unwrap_or_else(PoisonError::into_inner);
        let kind = kinds.kinds.entry(msg).or_insert(Kind { level, since: now.mono, lines: 0, suppressed: 0 });
        if now.mono.since(kind.since) >= SECOND_MS && kind.suppressed == 0 {
            kind.since = now.mono;
            kind.lines = 0;
        }
        if kind.lines >= most {
            kind.suppressed += 1;
            let due = kind.since.after(SECOND_MS);
            self.0.due.fetch_min(due.as_millis(), Ordering::Relaxed);
            return;
        }
        kind.lines += 1;
        kinds.put(&line(now.wall, level, msg, fields));
    }

    /// Takes the lines that were written so far.
    #[cfg(test)]
    pub(crate) fn kept(&self) -> String {
        self.0.kinds.lock().unwrap_or_else(PoisonError::into_inner).kept.clone()
    }

    /// The line for the end of a session: why, what found it, how late, how many sockets.
    pub(crate) fn ended(&self, now: Now, ended: &Ended) {
        let session = str::from_utf8(&ended.session).unwrap_or_default();
        self.write_up_to(
            ENDS_A_SECOND,
            now,
            Level::Info,
            "session ended",
            &[
                ("cause", &ended.cause.as_str()),
                ("detector", &ended.detector.as_str()),
                ("late_ms", &ended.late_ms),
                ("sockets", &ended.sockets),
                ("session", &session),
                ("user", &ended.principal.as_deref().unwrap_or_default()),
            ],
        );
    }

    /// When [`tell_suppressed`](Self::tell_suppressed) has something to tell.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        let due = self.0.due.load(Ordering::Relaxed);
        (due < u64::MAX).then(|| Instant::from_millis(due))
    }

    /// Tells how many lines were suppressed in the seconds that are over.
    pub(crate) fn tell_suppressed(&self, now: Now) {
        if self.0.due.load(Ordering::Relaxed) > now.mono.as_millis() {
            return;
        }
        let mut kinds = self.0.kinds.lock().unwrap_or_else(PoisonError::into_inner);
        let mut due = u64::MAX;
        let mut lines = String::new();
        for (msg, kind) in kinds.kinds.iter_mut().filter(|(_, kind)| kind.suppressed > 0) {
            if kind.since.after(SECOND_MS) > now.mono {
                due = due.min(kind.since.after(SECOND_MS).as_millis());
                continue;
            }
            lines += &line(now.wall, kind.level, "lines suppressed", &[("of", msg), ("lines", &kind.suppressed)]);
            *kind = Kind { level: kind.level, since: now.mono, lines: 0, suppressed: 0 };
        }
        self.0.due.store(due, Ordering::Relaxed);
        kinds.put(&lines);
    }
}

impl Kinds {
    #[cfg(not(test))]
    #[expect(clippy::unused_self, reason = "tests keep the lines here")]
    fn put(&mut self, lines: &str) {
        // There is nowhere to complain to.
        let _ = std::io::stderr().write_all(lines.as_bytes());
    }

    #[cfg(test)]
    fn put(&mut self, lines: &str) {
        self.kept.push_str(lines);
    }
}

fn line(wall: UnixMillis, level: Level, msg: &str, fields: &[(&str, &dyn Display)]) -> String {
    let mut line = format!("ts={} level={} msg={}", Timestamp(wall), level.as_str(), Value(msg));
    for (key, value) in fields {
        // A String takes everything.
        let _ = write!(line, " {key}={}", Value(&value.to_string()));
    }
    line.push('\n');
    line
}

/// A value as logfmt has it: bare if it is plain, else quoted and escaped.
struct Value<'a>(&'a str);

impl Display for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plain = |b: u8| b.is_ascii_graphic() && !matches!(b, b'"' | b'=' | b'\\');
        if !self.0.is_empty() && self.0.bytes().all(plain) {
            return f.write_str(self.0);
        }
        f.write_char('"')?;
        for c in self.0.chars() {
            match c {
                '\'' => f.write_char(c)?,
                _ => write!(f, "{}", c.escape_debug())?,
            }
        }
        f.write_char('"')
    }
}

/// RFC 3339, in UTC, with milliseconds.
struct Timestamp(UnixMillis);

impl Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = self.0.as_millis();
        let (seconds, ms) = (ms / 1_000, ms % 1_000);
        let (days, seconds) = (seconds / 86_400, seconds % 86_400);
        // Years begin on 1 March here, so that the day that comes and goes is the last one; 719,468 days lie between
        // 0000-03-01 and 1970-01-01, and 146,097 are 400 years.
        let days = days + 719_468;
        let (era, day) = (days / 146_097, days % 146_097);
        let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
        let day = day - (365 * year + year / 4 - year / 100);
        let month = (5 * day + 2) / 153;
        let day = day - (153 * month + 2) / 5 + 1;
        let (month, next) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
        let year = era * 400 + year + next;
        let (hour, minute, second) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{ms:03}Z")
    }
}

/// E08: how many lines of one kind are written in a second.
pub const LINES_A_SECOND: u32 = 10;

/// How many lines for ends of sessions are written in a second. They answer the question why somebody was thrown out,
/// and each one cost a login, so that more of them are written than of what a stranger can cause.
pub const ENDS_A_SECOND: u32 = 1_000;
const SECOND_MS: u64 = 1_000;

#[cfg(test)]
mod tests {
    use tethered_core::session::{Cause, Detector};

    use super::*;

    fn at(ms: u64) -> Now {
        Now { mono: Instant::from_millis(ms), wall: UnixMillis::from_millis(1_740_837_787_250 + ms) }
    }

    fn kept(log: &Log) -> String {
        std::mem::take(&mut log.0.kinds.lock().expect("no test panics inside").kept)
    }

    #[test]
    fn a_line_is_logfmt() {
        let log = Log::new(Level::Info);
        log.write(at(0), Level::Info, "session ended", &[("cause", &"expired"), ("late_ms", &3), ("user", &"")]);
        assert_eq!(
            kept(&log),
            "ts=2025-03-01T14:03:07.250Z level=info msg=\"session ended\" cause=expired late_ms=3 user=\"\"\n"
        );
    }

    #[test]
    fn the_end_of_a_session_is_one_line() {
        let log = Log::new(Level::Info);
        let ended = Ended {
            session: *b"0a1b2c",
            principal: Some("rob".into()),
            cause: Cause::Expired,
            detector: Detector::Deadline,
            late_ms: 3,
            sockets: 2,
        };
        log.ended(at(0), &ended);
        let fields = "cause=expired detector=deadline late_ms=3 sockets=2 session=0a1b2c user=rob\n";
        assert_eq!(kept(&log), format!("ts=2025-03-01T14:03:07.250Z level=info msg=\"session ended\" {fields}"));
    }

    #[test]
    fn levels_are_kept_to() {
        let log = Log::new(Level::Warn);
        log.write(at(0), Level::Info, "hidden", &[]);
        log.write(at(0), Level::Warn, "shown", &[]);
        assert_eq!(kept(&log).matches("msg=").count(), 1);
        let off = Log::new(Level::Off);
        off.write(at(0), Level::Error, "hidden", &[]);
        assert_eq!(kept(&off), "");
    }

    #[test]
    fn c14_what_clients_send_cannot_make_lines_or_move_the_cursor() {
        let log = Log::new(Level::Info);
        let name = "rob\r\nlevel=error msg=forged\u{1b}[2J\u{9b}1m\u{2028}\u{202e}\0\"\\ é";
        log.write(at(0), Level::Info, "login", &[("user", &name)]);
        let line = kept(&log);
        assert_eq!(line.lines().count(), 1);
        let value = line.split(" user=").nth(1).expect("the field is there").trim_end();
        assert_eq!(value, r#""rob\r\nlevel=error msg=forged\u{1b}[2J\u{9b}1m\u{2028}\u{202e}\0\"\\ é""#);
    }

    #[test]
    fn e08_ten_lines_a_second_of_a_kind_and_exact_counts() {
        let log = Log::new(Level::Info);
        for i in 0..1_000 {
            log.write(at(i / 2), Level::Info, "flood", &[("i", &i)]);
        }
        log.write(at(500), Level::Info, "other", &[]);
        let lines = kept(&log);
        assert_eq!(lines.matches("msg=flood").count(), 10);
        assert_eq!(lines.matches("msg=other").count(), 1);
        assert_eq!(log.next_deadline(), Some(Instant::from_millis(1_000)));
        log.tell_suppressed(at(999));
        assert_eq!(kept(&log), "");
        log.tell_suppressed(at(1_000));
        assert!(kept(&log).ends_with("level=info msg=\"lines suppressed\" of=flood lines=990\n"));
        assert_eq!(log.next_deadline(), None);
        log.write(at(1_001), Level::Info, "flood", &[]);
        assert_eq!(kept(&log).lines().count(), 1);
    }

    #[test]
    fn each_of_a_thousand_ends_in_a_second_has_its_line() {
        let log = Log::new(Level::Info);
        let ended = Ended {
            session: *b"0a1b2c",
            principal: None,
            cause: Cause::Deleted,
            detector: Detector::Notice,
            late_ms: 0,
            sockets: 1,
        };
        for _ in 0..=ENDS_A_SECOND {
            log.ended(at(0), &ended);
        }
        log.tell_suppressed(at(1_000));
        let lines = kept(&log);
        assert_eq!(lines.matches("msg=\"session ended\"").count(), 1_000);
        assert!(lines.ends_with("msg=\"lines suppressed\" of=\"session ended\" lines=1\n"));
    }

    #[test]
    fn dates_are_right() {
        for (ms, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_399_999, "2000-02-28T23:59:59.999Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (951_868_800_000, "2000-03-01T00:00:00.000Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
            (1_798_761_599_000, "2026-12-31T23:59:59.000Z"),
        ] {
            assert_eq!(Timestamp(UnixMillis::from_millis(ms)).to_string(), text);
        }
    }
}
