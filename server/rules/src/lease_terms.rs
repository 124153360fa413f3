//! # For how long: lease time, T1, T2 (RFC 2131 sections 3.3, 4.3.1, 4.4.5)
//!
//! **Problem.** Clients that were switched on together renew together, and again with every renewal after. The standard wants
//! some random "fuzz" on T1 and T2. But a leasequery tells what is left until T1 and T2, at any member and long after.
//!
//! **Model.** The fuzz is drawn once for each client, by a hash of what identifies it. Clients are spread as if by chance, and
//! as each keeps its own period they drift further apart with every renewal. Every member computes the same.
//!
//! **Rules.** T1 < T2 < lease time, whatever the configured shares and the fuzz come to.

use replication_ledger::{ClientKey, LeaseTimes, Timestamp};

/// Infinity on the wire (RFC 2131 section 3.3).
pub(crate) const INFINITE_SECONDS: u32 = u32::MAX;

/// How far T1 and T2 may be moved, up or down, in thousandths of themselves.
const FUZZ_PERMILLE: u64 = 30;

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
    /// The terms of a lease of this many seconds for this client.
    // [H-52] T1 < T2 < lease, and fuzz around both.
    pub(crate) fn of(times: &LeaseTimes, lease_seconds: u32, client: &ClientKey) -> LeaseTerms {
        if lease_seconds == INFINITE_SECONDS || lease_seconds < 3 {
            return LeaseTerms { lease_seconds, renewal_seconds: None, rebinding_seconds: None };
        }
        // A share of at most 65.535 times a u32, in thousandths and fuzzed by thousandths, fits in u64 (58 bits); the minimum
        // below brings it back into u32.
        let share = |permille: u16, fuzz: u64| {
            u64::from(lease_seconds) * u64::from(permille) * (1000 - FUZZ_PERMILLE + fuzz)
                / 1_000_000
        };
        let below = |limit: u32, wanted: u64| u32::try_from(wanted).unwrap_or(limit).min(limit - 1);
        let (renewal_fuzz, rebinding_fuzz) = fuzz(client);
        let rebinding = below(lease_seconds, share(times.rebind_permille, rebinding_fuzz)).max(2);
        let renewal = below(rebinding, share(times.renew_permille, renewal_fuzz)).max(1);
        LeaseTerms {
            lease_seconds,
            renewal_seconds: Some(renewal),
            rebinding_seconds: Some(rebinding),
        }
    }
}

/// Two draws from 0 to twice [`FUZZ_PERMILLE`], the same for a client at every member and at any time.
fn fuzz(client: &ClientKey) -> (u64, u64) {
    // FNV-1a with a last mixing: keys differ in few bits at their end, and each must reach all bits of the draws.
    let absorb = |hash: u64, octet: &u8| (hash ^ u64::from(*octet)).wrapping_mul(0x0100_0000_01b3);
    let hash = client.octets().iter().fold(0xcbf2_9ce4_8422_2325, absorb);
    let mixed = (hash ^ hash >> 32).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    // The remainder prefers nobody that matters: 61 values from 32 bits.
    let draw = |half: u64| half % (2 * FUZZ_PERMILLE + 1);
    (draw(mixed >> 32), draw(mixed & u64::from(u32::MAX)))
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
    use proptest::prelude::*;
    use replication_ledger::HardwareAddress;

    const TIMES: LeaseTimes = LeaseTimes {
        default_seconds: 3600,
        min_seconds: 60,
        max_seconds: 7200,
        renew_permille: 500,
        rebind_permille: 875,
    };

    fn client(number: u32) -> ClientKey {
        let [a, b, c, d] = number.to_be_bytes();
        ClientKey::from_hardware(&HardwareAddress::new(1, &[2, 0, a, b, c, d]))
    }

    // proves [H-52]
    #[test]
    fn a_lease_that_is_infinite_or_too_short_has_no_t1_and_t2() {
        let check = |renew, rebind, lease, expected: Option<(u32, u32)>| {
            let times = LeaseTimes { renew_permille: renew, rebind_permille: rebind, ..TIMES };
            let terms = LeaseTerms::of(&times, lease, &client(1));
            assert_eq!(terms.renewal_seconds.zip(terms.rebinding_seconds), expected);
        };
        check(500, 875, 2, None);
        check(500, 875, u32::MAX, None);
        check(500, 875, 3, Some((1, 2)));
        check(0, 0, 1000, Some((1, 2)));
        check(u16::MAX, u16::MAX, u32::MAX - 1, Some((u32::MAX - 3, u32::MAX - 2)));
    }

    proptest! {
        // proves [H-52]
        #[test]
        fn t1_is_before_t2_and_t2_before_the_end(
            renew: u16, rebind: u16, lease in 3..u32::MAX, number: u32,
        ) {
            let times = LeaseTimes { renew_permille: renew, rebind_permille: rebind, ..TIMES };
            let terms = LeaseTerms::of(&times, lease, &client(number));
            let (t1, t2) = terms.renewal_seconds.zip(terms.rebinding_seconds).expect("both");
            prop_assert!(0 < t1 && t1 < t2 && t2 < lease, "{terms:?}");
            prop_assert_eq!(terms, LeaseTerms::of(&times, lease, &client(number)));
        }

        // proves [H-52]
        #[test]
        fn the_fuzz_is_small(lease in 1000u32..10_000_000, number: u32) {
            let terms = LeaseTerms::of(&TIMES, lease, &client(number));
            let near = |told: Option<u32>, permille: u64| {
                let exact = u64::from(lease) * permille / 1000;
                u64::from(told.expect("told")).abs_diff(exact) <= exact * FUZZ_PERMILLE / 1000 + 1
            };
            prop_assert!(near(terms.renewal_seconds, 500), "{terms:?}");
            prop_assert!(near(terms.rebinding_seconds, 875), "{terms:?}");
        }
    }

    // proves [H-52]
    #[test]
    fn clients_with_consecutive_addresses_are_spread_evenly() {
        let (mut renewals, mut rebindings) = ([0u32; 61], [0u32; 61]);
        for number in 0..61_000 {
            let (renewal, rebinding) = fuzz(&client(number));
            renewals[renewal as usize] += 1;
            rebindings[rebinding as usize] += 1;
        }
        for counts in [renewals, rebindings] {
            // A thousand each, give or take six standard deviations.
            assert!(counts.iter().all(|count| (810..=1190).contains(count)), "{counts:?}");
        }
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
