//! [`HeartBeat`]: signs of life both ways.

use super::{Frame, Malformed};

/// A `heart-beat` header: what a side can do, or, [negotiated](Self::negotiate), what it has to do. 0 means none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct HeartBeat {
    /// Something is sent at least every so many milliseconds.
    pub send_ms: u32,
    /// Something is to be received at least every so many milliseconds.
    pub receive_ms: u32,
}

impl HeartBeat {
    /// None in either direction: what a missing header means.
    pub const NONE: Self = Self { send_ms: 0, receive_ms: 0 };

    /// Reads `x,y`: two plain decimal numbers of up to 4,294,967,295 ms, and nothing else.
    ///
    /// # Errors
    /// [`Malformed::HeartBeatInvalid`] for anything else: a sign, a blank, one number or three, too large a number.
    pub fn parse(text: &str) -> Result<Self, Malformed> {
        let (send, receive) = text.split_once(',').ok_or(Malformed::HeartBeatInvalid)?;
        Ok(Self { send_ms: millis(send)?, receive_ms: millis(receive)? })
    }

    /// What a CONNECT or CONNECTED says; [`NONE`](Self::NONE) if it says nothing.
    ///
    /// # Errors
    /// As [`parse`](Self::parse).
    pub fn of(frame: &Frame<'_>) -> Result<Self, Malformed> {
        frame.header("heart-beat").map_or(Ok(Self::NONE), |text| Self::parse(&text))
    }

    /// What this side has to do, `self` being its own words: the slower of the two counts, and 0 on either side means none
    /// (STOMP 1.2, *Heart-beating*). Nobody can ask for beats faster than one in `floor_ms` milliseconds.
    pub fn negotiate(self, theirs: Self, floor_ms: u32) -> Self {
        let slower = |can: u32, wants: u32| if can == 0 || wants == 0 { 0 } else { can.max(wants).max(floor_ms) };
        Self { send_ms: slower(self.send_ms, theirs.receive_ms), receive_ms: slower(theirs.send_ms, self.receive_ms) }
    }
}

fn millis(digits: &str) -> Result<u32, Malformed> {
    // `parse` alone would take a plus sign.
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Malformed::HeartBeatInvalid);
    }
    digits.parse().map_err(|_| Malformed::HeartBeatInvalid)
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn beat(send_ms: u32, receive_ms: u32) -> HeartBeat {
        HeartBeat { send_ms, receive_ms }
    }

    #[test]
    fn s10_plain_numbers() {
        assert_eq!(HeartBeat::parse("0,0"), Ok(HeartBeat::NONE));
        assert_eq!(HeartBeat::parse("1000,02000"), Ok(beat(1000, 2000)));
        assert_eq!(HeartBeat::parse("4294967295,0"), Ok(beat(u32::MAX, 0)));
    }

    #[test]
    fn s10_anything_else_is_malformed() {
        for bad in [
            "",
            ",",
            "abc",
            "1",
            "1,",
            ",1",
            "-1,0",
            "0,-1",
            "+1,0",
            "1,2,3",
            "0, 0",
            "0,0 ",
            "0, 0x",
            "1.5,2",
            "1;2",
            "4294967296,0",
            "0,99999999999999999999999",
            "١,0",
        ] {
            assert_eq!(HeartBeat::parse(bad), Err(Malformed::HeartBeatInvalid), "{bad:?}");
        }
    }

    #[test]
    fn s10_the_slower_counts_and_the_floor_is_kept() {
        let server = beat(1000, 2000);
        assert_eq!(server.negotiate(HeartBeat::NONE, 1000), HeartBeat::NONE);
        assert_eq!(server.negotiate(beat(0, 1), 1000), beat(1000, 0));
        assert_eq!(server.negotiate(beat(0, 3000), 1000), beat(3000, 0));
        assert_eq!(server.negotiate(beat(1, 0), 1000), beat(0, 2000));
        assert_eq!(server.negotiate(beat(8000, 1000), 1000), beat(1000, 8000));
        assert_eq!(HeartBeat::NONE.negotiate(beat(5, 5), 1000), HeartBeat::NONE);
        assert_eq!(beat(10, 10).negotiate(beat(10, 999), 1000), beat(1000, 1000));
        assert_eq!(beat(10, 10).negotiate(beat(1001, 1000), 1000), beat(1000, 1001));
        assert_eq!(beat(10, 10).negotiate(beat(u32::MAX, u32::MAX), 1000), beat(u32::MAX, u32::MAX));
    }

    #[test]
    fn both_sides_come_to_the_same_numbers() {
        let (one, other) = (beat(1000, 2500), beat(4000, 500));
        let (ours, theirs) = (one.negotiate(other, 0), other.negotiate(one, 0));
        assert_eq!((ours.send_ms, ours.receive_ms), (theirs.receive_ms, theirs.send_ms));
    }
}
