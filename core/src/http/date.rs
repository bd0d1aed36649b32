//! Dates as HTTP writes them: RFC 9110 section 5.6.7.

use alloc::vec::Vec;

use crate::time::UnixMillis;

/// Appends an IMF-fixdate, such as `Sun, 06 Nov 1994 08:49:37 GMT`. Years beyond 9999 are told as 9999.
pub(crate) fn push_date(out: &mut Vec<u8>, time: UnixMillis) {
    let seconds = (time.as_millis() / 1_000).min(LAST_SECOND);
    // All below is less than 2^32, and quicker to divide so.
    let (days, seconds) = ((seconds / 86_400) as u32, (seconds % 86_400) as u32);
    let (year, month, day) = civil(days.into());
    let mut date = *b"Thu, 01 Jan 1970 00:00:00 GMT";
    // 1970 began with a Thursday.
    date[..3].copy_from_slice(WEEKDAYS[(days % 7) as usize]);
    date[8..11].copy_from_slice(MONTHS[(month - 1) as usize]);
    let (year, day) = (year as u32, day as u32);
    let numbers = [day, year / 100, year % 100, seconds / 3_600, seconds / 60 % 60, seconds % 60];
    for (at, number) in [5, 12, 14, 17, 20, 23].into_iter().zip(numbers) {
        date[at] = b'0' + (number / 10) as u8;
        date[at + 1] = b'0' + (number % 10) as u8;
    }
    out.extend_from_slice(&date);
}

/// Year, month from 1, day from 1 of a day since 1970, by Hinnant's algorithm on years that begin in March.
pub(crate) fn civil(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let (era, of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

/// The last second of 9999.
const LAST_SECOND: u64 = 253_402_300_799;

const WEEKDAYS: [&[u8; 3]; 7] = [b"Thu", b"Fri", b"Sat", b"Sun", b"Mon", b"Tue", b"Wed"];

const MONTHS: [&[u8; 3]; 12] =
    [b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec"];

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::String;

    fn date(seconds: u64) -> String {
        let mut out = Vec::new();
        push_date(&mut out, UnixMillis::from_millis(seconds.saturating_mul(1_000).saturating_add(999)));
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn writes_dates() {
        assert_eq!(date(0), "Thu, 01 Jan 1970 00:00:00 GMT");
        assert_eq!(date(784_111_777), "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(date(951_827_696), "Tue, 29 Feb 2000 12:34:56 GMT");
        assert_eq!(date(4_107_542_399), "Sun, 28 Feb 2100 23:59:59 GMT");
        assert_eq!(date(4_107_542_400), "Mon, 01 Mar 2100 00:00:00 GMT");
        assert_eq!(date(u64::MAX), "Fri, 31 Dec 9999 23:59:59 GMT");
    }
}
