//! Time as the log knows it [AV-Q6].

use serde::{Deserialize, Serialize};

/// Milliseconds since 1970-01-01 00:00:00 UTC.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Timestamp(pub u64);

impl Timestamp {
    /// A moment that never comes: the end of a lease of 0xffffffff seconds (RFC 2131 §3.3, infinity).
    pub const NEVER: Timestamp = Timestamp(u64::MAX);

    /// From whole seconds since 1970.
    pub fn from_seconds(seconds: u64) -> Timestamp {
        Timestamp(seconds.saturating_mul(1000))
    }

    /// Whole seconds since 1970, rounded down.
    pub fn seconds(self) -> u64 {
        self.0 / 1000
    }

    /// This moment and `seconds` more. 0xffffffff seconds are infinity ([H-08]).
    pub fn plus_seconds(self, seconds: u32) -> Timestamp {
        if seconds == u32::MAX {
            return Timestamp::NEVER;
        }
        Timestamp(self.0.saturating_add(u64::from(seconds) * 1000))
    }

    /// Whole seconds from `earlier` to this moment, 0 if it is not earlier, capped below infinity.
    pub fn seconds_since(self, earlier: Timestamp) -> u32 {
        if self == Timestamp::NEVER {
            return u32::MAX;
        }
        let seconds = self.0.saturating_sub(earlier.0) / 1000;
        u32::try_from(seconds).unwrap_or(u32::MAX - 1).min(u32::MAX - 1)
    }
}

/// The time of one log entry, given by the leader that proposed it and never going back.
///
/// Two readings, because the members' clocks differ a little: what is *granted* counts from the fastest clock
/// in contact and what *ends* is judged by the slowest, so skew makes reservations longer and never shorter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stamp {
    /// The slowest clock among the members in contact with the leader.
    pub earliest: Timestamp,
    /// The fastest clock among the members in contact with the leader.
    pub latest: Timestamp,
}

impl Stamp {
    /// A stamp of one clock alone.
    pub fn of(now: Timestamp) -> Stamp {
        Stamp { earliest: now, latest: now }
    }

    /// This stamp, moved up to where the log already was. A new leader with a slower clock must not turn time back.
    // [AV-Q6] Each reading is monotonic by itself; `latest` is never before `earliest`.
    pub fn not_before(self, previous: Stamp) -> Stamp {
        let earliest = self.earliest.max(previous.earliest);
        Stamp { earliest, latest: self.latest.max(previous.latest).max(earliest) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamp(earliest: u64, latest: u64) -> Stamp {
        Stamp { earliest: Timestamp(earliest), latest: Timestamp(latest) }
    }

    // proves [AV-Q6]
    #[test]
    fn a_stamp_never_goes_back() {
        let check = |new: Stamp, old: Stamp, expected: Stamp| {
            assert_eq!(new.not_before(old), expected, "{new:?} after {old:?}");
        };
        check(stamp(5, 7), stamp(1, 2), stamp(5, 7));
        check(stamp(1, 2), stamp(5, 7), stamp(5, 7));
        check(stamp(6, 6), stamp(5, 7), stamp(6, 7));
        check(stamp(9, 3), stamp(5, 7), stamp(9, 9));
    }

    // proves [H-08]
    #[test]
    fn infinity_is_never_and_stays_infinite() {
        assert_eq!(Timestamp(5).plus_seconds(u32::MAX), Timestamp::NEVER);
        assert_eq!(Timestamp::NEVER.seconds_since(Timestamp(5)), u32::MAX);
        assert_eq!(Timestamp(5000).plus_seconds(10).seconds_since(Timestamp(5000)), 10);
        assert_eq!(Timestamp(1).seconds_since(Timestamp(5000)), 0);
    }
}
