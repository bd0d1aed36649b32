//! Times as JSON carries them.

use tethered_core::time::UnixMillis;

/// A time by RFC 3339 in UTC, to the millisecond: `2026-11-22T14:44:07.747Z`. Years beyond 9999 have more digits.
pub(super) fn rfc3339(time: UnixMillis) -> String {
    let ms = time.as_millis();
    let (days, of_day) = (ms / DAY_MS, ms % DAY_MS);
    let (year, month, day) = civil(days);
    let (hour, minute, second) = (of_day / 3_600_000, of_day / 60_000 % 60, of_day / 1_000 % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{:03}Z", of_day % 1_000)
}

/// Year, month and day of a day since 1970 in the Gregorian calendar. Years are counted from 1 March, so that the leap
/// day is a year's last; 719,468 days lie between 0000-03-01 and 1970-01-01.
fn civil(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let (month, january) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    (era * 400 + year + january, month, day)
}

const DAY_MS: u64 = 86_400_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_times() {
        for (ms, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_399_999, "2000-02-28T23:59:59.999Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (951_868_800_000, "2000-03-01T00:00:00.000Z"),
            (1_795_358_647_747, "2026-11-22T14:44:07.747Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
            (253_402_300_799_999, "9999-12-31T23:59:59.999Z"),
        ] {
            assert_eq!(rfc3339(UnixMillis::from_millis(ms)), text);
        }
        assert!(rfc3339(UnixMillis::from_millis(u64::MAX)).ends_with('Z'));
    }

    #[test]
    fn each_day_follows_the_one_before() {
        let length = |y: u64, m: u64| match m {
            2 if y.is_multiple_of(4) && (!y.is_multiple_of(100) || y.is_multiple_of(400)) => 29,
            2 => 28,
            4 | 6 | 9 | 11 => 30,
            _ => 31,
        };
        let mut expected = (1970, 1, 1);
        for day in 0..200_000 {
            assert_eq!(civil(day), expected, "day {day}");
            let (y, m, d) = expected;
            expected = match (m, d) {
                (m, d) if d < length(y, m) => (y, m, d + 1),
                (12, _) => (y + 1, 1, 1),
                _ => (y, m + 1, 1),
            };
        }
    }
}
