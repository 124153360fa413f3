//! Numbers that others cannot foresee: transaction identifiers, and the spread of waiting times.

use rustls::crypto::SecureRandom;
use std::time::Duration;

/// A source of such numbers, from a seed that the caller drew: the same seed gives the same numbers, which tests use.
#[derive(Clone, Debug)]
pub struct Draw {
    state: u64,
}

impl Draw {
    /// From this seed.
    pub fn from_seed(seed: u64) -> Draw {
        Draw { state: seed }
    }

    /// From the randomness of the system.
    pub fn random() -> Draw {
        let mut seed = [0; 8];
        let source = rustls::crypto::aws_lc_rs::default_provider().secure_random;
        // A system without randomness still has a clock, and a process number.
        if SecureRandom::fill(source, &mut seed).is_err() {
            let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
            seed = (now.map_or(0, |since| since.as_nanos() as u64) ^ u64::from(std::process::id()))
                .to_le_bytes();
        }
        Draw::from_seed(u64::from_le_bytes(seed))
    }

    /// The next number: SplitMix64.
    pub fn next_u64(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A transaction identifier.
    pub fn xid(&mut self) -> u32 {
        (self.next_u64() >> 32) as u32
    }

    /// Another source, so that two tasks need not share one.
    pub fn split(&mut self) -> Draw {
        Draw::from_seed(self.next_u64())
    }

    /// This duration, or up to `spread` more or less.
    pub fn around(&mut self, middle: Duration, spread: Duration) -> Duration {
        let range = 2 * spread.as_millis() as u64 + 1;
        middle.saturating_sub(spread) + Duration::from_millis(self.next_u64() % range)
    }

    /// [D-42] The wait before the attempt after `failed` failed ones: 1 s, doubled each time up to `max`, less up to a
    /// tenth so that requestors that lost the same server do not return together.
    pub fn backoff(&mut self, failed: u32, max: Duration) -> Duration {
        let doubled = Duration::from_secs(1 << failed.saturating_sub(1).min(16));
        let middle = doubled.min(max);
        middle - (middle / 10).mul_f64((self.next_u64() >> 11) as f64 / (1u64 << 53) as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_cap() {
        // proves [D-42]
        let mut draw = Draw::from_seed(1);
        let cap = Duration::from_secs(60);
        for (failed, seconds) in
            [(1, 1), (2, 2), (3, 4), (6, 32), (7, 60), (40, 60), (u32::MAX, 60)]
        {
            let most = Duration::from_secs(seconds);
            let wait = draw.backoff(failed, cap);
            assert!(wait <= most && wait >= most * 9 / 10, "{failed}: {wait:?}");
        }
    }

    #[test]
    fn spread_stays_around_the_middle() {
        let mut draw = Draw::from_seed(2);
        let (middle, spread) = (Duration::from_secs(4), Duration::from_secs(1));
        let waits: Vec<_> = (0..200).map(|_| draw.around(middle, spread)).collect();
        assert!(waits.iter().all(|wait| (3000..=5000).contains(&wait.as_millis())));
        assert!(waits.iter().any(|wait| *wait < middle) && waits.iter().any(|wait| *wait > middle));
    }

    #[test]
    fn two_sources_draw_different_numbers() {
        assert_ne!(Draw::random().next_u64(), Draw::random().next_u64());
        let mut one = Draw::from_seed(3);
        assert_ne!(one.split().next_u64(), one.split().next_u64());
    }
}
