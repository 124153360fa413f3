//! Points in time as leasequery has them: whole seconds since 1970 that fit four octets.

use jiff::Timestamp;
use serde::{Serialize, Serializer};
use std::fmt;
use std::num::NonZeroU32;

/// Whole seconds since 1970 by the clock of whoever is spoken of; RFC 6926 section 6.2.3 has four octets for it.
/// A missing moment costs no octet more in a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment(NonZeroU32);

impl Moment {
    /// The end of a lease without one.
    pub const NEVER: Moment = Moment(NonZeroU32::MAX);
    /// The first second after the beginning of 1970.
    const FIRST: Moment = Moment(NonZeroU32::MIN);

    /// The nearest moment that four octets hold; never [`Moment::NEVER`].
    pub fn from_unix(seconds: i64) -> Moment {
        let held = seconds.clamp(1, i64::from(u32::MAX) - 1);
        // The range was just made to fit.
        u32::try_from(held).ok().and_then(NonZeroU32::new).map_or(Moment::FIRST, Moment)
    }

    /// Seconds since 1970.
    pub fn unix(self) -> u32 {
        self.0.get()
    }

    /// So many seconds later, or earlier if negative.
    pub fn plus(self, seconds: i64) -> Moment {
        match self {
            Moment::NEVER => Moment::NEVER,
            _ => Moment::from_unix(i64::from(self.unix()) + seconds),
        }
    }

    /// Seconds from `other` to this; negative if this comes first.
    pub fn seconds_since(self, other: Moment) -> i64 {
        i64::from(self.unix()) - i64::from(other.unix())
    }

    /// What an operator writes: RFC 3339, seconds since 1970, or how long ago such as "1h30m".
    ///
    /// # Errors
    /// What is wrong with it, for the operator.
    pub fn parse(text: &str, now: Moment) -> Result<Moment, String> {
        if let Ok(seconds) = text.parse::<u32>() {
            return Ok(Moment::from_unix(seconds.into()));
        }
        if let Ok(timestamp) = text.parse::<Timestamp>() {
            return Ok(Moment::from_unix(timestamp.as_second()));
        }
        let ago = crate::config::value::duration(text).map_err(|_| {
            format!(
                "`{text}` is not a time; write for example \"2026-05-01T12:00:00Z\", seconds since \
                 1970, or \"1h\" for an hour ago"
            )
        })?;
        Ok(now.plus(-i64::from(ago)))
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (*self, Timestamp::from_second(self.unix().into())) {
            (Moment::NEVER, _) => f.write_str("never"),
            (_, Ok(timestamp)) => timestamp.fmt(f),
            // jiff reaches to the year 9999, four octets to 2106.
            (_, Err(_)) => self.unix().fmt(f),
        }
    }
}

impl Serialize for Moment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_read_in_three_forms_and_written_in_one() {
        let now = Moment::from_unix(1_000_000_000);
        let check = |text: &str, expected: Option<&str>| {
            let found = Moment::parse(text, now).ok().map(|moment| moment.to_string());
            assert_eq!(found.as_deref(), expected, "{text}");
        };
        check("1000000000", Some("2001-09-09T01:46:40Z"));
        check("2001-09-09T03:46:40+02:00", Some("2001-09-09T01:46:40Z"));
        check("1h", Some("2001-09-09T00:46:40Z"));
        check("0s", Some("2001-09-09T01:46:40Z"));
        check("yesterday", None);
        check("", None);
        check("5000000000", None);
        assert_eq!(Moment::NEVER.to_string(), "never");
    }

    #[test]
    fn moments_stay_within_four_octets() {
        assert_eq!(Moment::from_unix(-5).unix(), 1);
        assert_eq!(Moment::from_unix(i64::MAX).unix(), u32::MAX - 1);
        assert_eq!(Moment::NEVER.plus(-1), Moment::NEVER);
        assert_eq!(Moment::from_unix(10).plus(-3).seconds_since(Moment::from_unix(9)), -2);
        assert_eq!(size_of::<Option<Moment>>(), 4);
    }
}
