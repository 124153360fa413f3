//! For how long: lease time, T1, T2 (RFC 2131 sections 3.3, 4.3.1, 4.4.5).

use replication_ledger::{LeaseTimes, Timestamp};

/// Infinity on the wire (RFC 2131 section 3.3).
pub(crate) const INFINITE_SECONDS: u32 = u32::MAX;

/// The times of one lease, in seconds from now on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaseTerms {
    /// Option 51; 0xffffffff is infinity.
    pub lease_seconds: u32,
    /// Option 58; none if the lease is infinite or too short to have one.
    pub renewal_seconds: Option<u32>,
    /// Option 59; none if the lease is infinite or too short to have one.
    pub rebinding_seconds: Option<u32>,
}

impl LeaseTerms {
    /// The terms of a lease of this many seconds.
    // [H-52] T1 < T2 < lease, whatever the configured shares come to.
    pub(crate) fn of(times: &LeaseTimes, lease_seconds: u32) -> LeaseTerms {
        let share = |permille: u16| {
            // A share of at most 65.535 times a u32 fits in u64; the minimum below brings it back into u32.
            u64::from(lease_seconds) * u64::from(permille) / 1000
        };
        if lease_seconds == INFINITE_SECONDS || lease_seconds < 3 {
            return LeaseTerms { lease_seconds, renewal_seconds: None, rebinding_seconds: None };
        }
        let below = |limit: u32, wanted: u64| u32::try_from(wanted).unwrap_or(limit).min(limit - 1);
        let rebinding = below(lease_seconds, share(times.rebind_permille)).max(2);
        let renewal = below(rebinding, share(times.renew_permille)).max(1);
        LeaseTerms {
            lease_seconds,
            renewal_seconds: Some(renewal),
            rebinding_seconds: Some(rebinding),
        }
    }
}

/// How long a client may have an address that it has no time left on.
// [H-36] What it asks for within what policy allows; the default if it asks for nothing.
pub(crate) fn granted(times: &LeaseTimes, asked_seconds: Option<u32>) -> u32 {
    match asked_seconds {
        // Not `clamp`: settings with min > max must not stop the member.
        Some(asked) => asked.max(times.min_seconds).min(times.max_seconds),
        None => times.default_seconds,
    }
}

/// How long for a client that starts over while its promise still runs: without asking it gets what is left of it,
/// but no lease shorter than policy allows.
// [H-36] The existing expiry is returned, not extended, if the client did not ask.
pub(crate) fn granted_again(
    times: &LeaseTimes,
    asked_seconds: Option<u32>,
    until: Timestamp,
    now: Timestamp,
) -> u32 {
    match asked_seconds {
        Some(_) => granted(times, asked_seconds),
        None => until.seconds_since(now).max(times.min_seconds),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMES: LeaseTimes = LeaseTimes {
        default_seconds: 3600,
        min_seconds: 60,
        max_seconds: 7200,
        renew_permille: 500,
        rebind_permille: 875,
    };

    // proves [H-52]
    #[test]
    fn t1_is_before_t2_and_t2_before_the_end() {
        let check = |renew, rebind, lease, expected: Option<(u32, u32)>| {
            let times = LeaseTimes { renew_permille: renew, rebind_permille: rebind, ..TIMES };
            let terms = LeaseTerms::of(&times, lease);
            assert_eq!(terms.renewal_seconds.zip(terms.rebinding_seconds), expected);
        };
        check(500, 875, 3600, Some((1800, 3150)));
        check(500, 875, 3, Some((1, 2)));
        check(500, 875, 2, None);
        check(500, 875, u32::MAX, None);
        check(900, 100, 1000, Some((99, 100)));
        check(0, 0, 1000, Some((1, 2)));
        check(u16::MAX, u16::MAX, u32::MAX - 1, Some((u32::MAX - 3, u32::MAX - 2)));
    }

    // proves [H-36]
    #[test]
    fn a_client_gets_what_it_asks_within_policy() {
        assert_eq!(granted(&TIMES, None), 3600);
        assert_eq!(granted(&TIMES, Some(600)), 600);
        assert_eq!(granted(&TIMES, Some(1)), 60);
        assert_eq!(granted(&TIMES, Some(u32::MAX)), 7200);
        let now = Timestamp::from_seconds(1000);
        let again =
            |asked, until| granted_again(&TIMES, asked, Timestamp::from_seconds(until), now);
        assert_eq!(again(None, 1500), 500);
        assert_eq!(again(None, 1010), 60);
        assert_eq!(again(Some(900), 1500), 900);
        assert_eq!(granted_again(&TIMES, None, Timestamp::NEVER, now), u32::MAX);
    }
}
