//! The only reader of clocks, and of the system's randomness. Everything else is handed what these traits say.

use crate::error::Malformed;
use parking_lot::Mutex;
use replication_ledger::{BootTime, Moment, Timestamp};
use std::io::Read;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// A member's clocks.
pub trait Clock: Send + Sync + 'static {
    /// Nanoseconds since 1970 UTC. May be wrong, may be stepped.
    fn wall_nanos(&self) -> u64;

    /// Nanoseconds since the machine started, counting suspend. Never goes back, is never stepped.
    fn boot_nanos(&self) -> u64;

    /// Names the present run of the boot clock: readings of two runs have nothing to do with one another.
    fn boot_id(&self) -> u128;
}

/// Where secrets and names are drawn from.
pub trait Entropy: Send + Sync + 'static {
    /// 128 bits that nobody can guess.
    ///
    /// # Errors
    /// If the system gives none.
    fn draw(&self) -> std::io::Result<u128>;
}

/// The machine's own clocks and randomness.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn wall_nanos(&self) -> u64 {
        read(nix::time::ClockId::CLOCK_REALTIME)
    }

    fn boot_nanos(&self) -> u64 {
        read(nix::time::ClockId::CLOCK_BOOTTIME)
    }

    fn boot_id(&self) -> u128 {
        static BOOT_ID: OnceLock<u128> = OnceLock::new();
        *BOOT_ID.get_or_init(|| {
            let told = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok();
            let told = told.and_then(|text| parse_hex_u128(&text.trim().replace('-', "")).ok());
            // If the system does not say, every start is taken for a reboot: then wall time decides, and less is promised.
            told.unwrap_or_else(|| SystemClock.draw().unwrap_or(0))
        })
    }
}

fn read(clock: nix::time::ClockId) -> u64 {
    // Both clocks exist on every Linux that this program runs on; a failure would show as the year 1970, and as clock skew.
    clock.now().map_or(0, |now| Duration::from(now).as_nanos().try_into().unwrap_or(u64::MAX))
}

impl Entropy for SystemClock {
    fn draw(&self) -> std::io::Result<u128> {
        let mut octets = [0; 16];
        std::fs::File::open("/dev/urandom")?.read_exact(&mut octets)?;
        Ok(u128::from_be_bytes(octets))
    }
}

/// # Wall time without steps
///
/// The wall clock is read once and then follows the boot clock, so that a step (an operator, a bad NTP server, a
/// restored virtual machine) does not reach a stamp [AV-Q6]. Small differences are taken over slowly, as NTP slewing would: by at most
/// one part in 2,000. A large one is reported, and stays until the member is restarted or is told.
pub struct SteadyClock {
    clock: Arc<dyn Clock>,
    state: Mutex<Steady>,
}

struct Steady {
    boot_nanos: u64,
    wall_nanos: u64,
}

/// A wall clock that jumped against the boot clock by this much has been stepped.
const STEP: u64 = 500_000_000;
/// Slewing: nanoseconds of difference taken over per nanosecond that passes, as a divisor.
const SLEW_DIVISOR: u64 = 2_000;

impl SteadyClock {
    /// Starts at what the wall clock says now.
    pub fn new(clock: Arc<dyn Clock>) -> SteadyClock {
        let state = Steady { boot_nanos: clock.boot_nanos(), wall_nanos: clock.wall_nanos() };
        SteadyClock { clock, state: Mutex::new(state) }
    }

    /// Nanoseconds since 1970, never stepped and never going back.
    // [AV-Q6] A step of the wall clock is noticed against the boot clock and does not reach a stamp.
    pub fn wall_nanos(&self) -> u64 {
        let mut state = self.state.lock();
        let boot_nanos = self.clock.boot_nanos();
        let passed = boot_nanos.saturating_sub(state.boot_nanos);
        let expected = state.wall_nanos.saturating_add(passed);
        let wall = self.clock.wall_nanos();
        let slew = passed / SLEW_DIVISOR;
        let steady = if wall.abs_diff(expected) > STEP {
            expected
        } else if wall > expected {
            expected.saturating_add(slew.min(wall - expected))
        } else {
            expected - slew.min(expected - wall)
        };
        // Readings closer together than the divisor would never slew: keep the base until enough has passed.
        if passed >= SLEW_DIVISOR {
            *state = Steady { boot_nanos, wall_nanos: steady };
        }
        steady
    }

    /// Nanoseconds since the machine started.
    pub fn boot_nanos(&self) -> u64 {
        self.clock.boot_nanos()
    }

    /// The same, as the ledger counts it.
    pub fn boot_time(&self) -> BootTime {
        // Three hundred million years fit.
        BootTime(i64::try_from(self.clock.boot_nanos() / 1_000_000).unwrap_or(i64::MAX))
    }

    /// Both clocks now.
    pub fn moment(&self) -> Moment {
        Moment { wall: Timestamp(self.wall_nanos() / 1_000_000), boot: self.boot_time() }
    }

    /// Which run of the boot clock this is.
    pub fn boot_id(&self) -> u128 {
        self.clock.boot_id()
    }

    /// The wall clock as the machine shows it, with all its steps.
    pub fn machine_wall(&self) -> Timestamp {
        Timestamp(self.clock.wall_nanos() / 1_000_000)
    }

    /// By how much the wall clock has been stepped since the start (positive: it is ahead of the steady time).
    pub fn stepped_by_nanos(&self) -> i64 {
        let steady = i128::from(self.wall_nanos());
        let difference = i128::from(self.clock.wall_nanos()) - steady;
        // Centuries would not fit; nobody needs to know more exactly.
        i64::try_from(difference).unwrap_or(if difference > 0 { i64::MAX } else { i64::MIN })
    }
}

/// Clocks that a test or a simulation moves by hand.
#[derive(Debug, Default)]
pub struct ManualClock {
    nanos: Mutex<(u64, u64)>,
}

impl ManualClock {
    /// Wall and boot clock in nanoseconds.
    pub fn at(wall_nanos: u64, boot_nanos: u64) -> ManualClock {
        ManualClock { nanos: Mutex::new((wall_nanos, boot_nanos)) }
    }

    /// Time passes.
    pub fn advance(&self, nanos: u64) {
        let mut now = self.nanos.lock();
        *now = (now.0 + nanos, now.1 + nanos);
    }

    /// Somebody sets the wall clock.
    pub fn set_wall_nanos(&self, nanos: u64) {
        self.nanos.lock().0 = nanos;
    }
}

impl Clock for ManualClock {
    fn wall_nanos(&self) -> u64 {
        self.nanos.lock().0
    }

    fn boot_nanos(&self) -> u64 {
        self.nanos.lock().1
    }

    fn boot_id(&self) -> u128 {
        1
    }
}

/// 32 hexadecimal digits, as tokens and cluster ids are written.
pub(crate) fn parse_hex_u128(text: &str) -> Result<u128, Malformed> {
    let malformed = Malformed { what: "hexadecimal number" };
    if text.len() != 32 || !text.bytes().all(|octet| octet.is_ascii_hexdigit()) {
        return Err(malformed);
    }
    u128::from_str_radix(text, 16).map_err(|_| malformed)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;
    const HOUR: u64 = 3600 * SECOND;

    // proves [AV-Q6]
    #[test]
    fn a_step_of_the_wall_clock_does_not_reach_the_steady_time() {
        let check = |new_wall: u64, expected_step: i64| {
            let manual = Arc::new(ManualClock::at(10 * HOUR, 5 * SECOND));
            let steady = SteadyClock::new(Arc::clone(&manual) as Arc<dyn Clock>);
            manual.advance(SECOND);
            manual.set_wall_nanos(new_wall);
            assert_eq!(steady.wall_nanos(), 10 * HOUR + SECOND);
            assert_eq!(steady.stepped_by_nanos(), expected_step);
            manual.advance(SECOND);
            assert_eq!(steady.wall_nanos(), 10 * HOUR + 2 * SECOND);
        };
        check(11 * HOUR + SECOND, HOUR as i64);
        check(9 * HOUR + SECOND, -(HOUR as i64));
    }

    #[test]
    fn a_small_difference_is_taken_over_slowly() {
        let manual = Arc::new(ManualClock::at(10 * HOUR, 0));
        let steady = SteadyClock::new(Arc::clone(&manual) as Arc<dyn Clock>);
        manual.set_wall_nanos(10 * HOUR + SECOND / 10);
        manual.advance(SECOND);
        assert_eq!(steady.wall_nanos(), 10 * HOUR + SECOND + SECOND / 2000);
        let mut previous = 0;
        for _ in 0..400 {
            manual.advance(SECOND);
            let now = steady.wall_nanos();
            assert!(now > previous);
            previous = now;
        }
        assert_eq!(steady.stepped_by_nanos(), 0, "the whole difference is taken over");
    }

    #[test]
    fn the_machines_clocks_run() {
        let (wall, boot) = (SystemClock.wall_nanos(), SystemClock.boot_nanos());
        assert!(wall > 1_600_000_000 * SECOND && boot > 0);
        let (first, second) = (SystemClock.draw(), SystemClock.draw());
        assert_ne!(first.expect("draws"), second.expect("draws"));
    }
}
