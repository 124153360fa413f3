//! How answering requestors gives way to answering clients.
//!
//! **Problem.** An answer about everything is memory copied as fast as memory goes. A low priority does not help clients
//! against that: both need the ledger's lock, the caches and the kernel's path through the same processors.
//!
//! **Model.** Time is cut into slices for all connections together. While entries are being applied, answers are written
//! in the first part of a slice only; when none was applied for a while they are written all the time.

use crate::limits::{BUSY_FOR, SLICE, SLICE_OF_WORK};
use parking_lot::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// The slices of one thread.
#[derive(Debug)]
pub(crate) struct Pace {
    started: Instant,
    /// When something was applied last, in nanoseconds since `started`; 0 if nothing was.
    applied_nanos: AtomicU64,
    slice_began: Mutex<Instant>,
}

impl Pace {
    pub(crate) fn new(now: Instant) -> Pace {
        Pace { started: now, applied_nanos: AtomicU64::new(0), slice_began: Mutex::new(now) }
    }

    /// Something was applied.
    pub(crate) fn applied(&self, now: Instant) {
        // A member does not run for 584 years.
        let nanos = now.saturating_duration_since(self.started).as_nanos() as u64;
        self.applied_nanos.store(nanos, Ordering::Relaxed);
    }

    /// When the next part of an answer may be written; none is now.
    pub(crate) fn rest_until(&self, now: Instant) -> Option<Instant> {
        let mut slice_began = self.slice_began.lock();
        let elapsed = now.saturating_duration_since(*slice_began);
        if elapsed < SLICE_OF_WORK {
            return None;
        }
        if elapsed < SLICE && self.is_busy(now) {
            return Some(*slice_began + SLICE);
        }
        *slice_began = now;
        None
    }

    fn is_busy(&self, now: Instant) -> bool {
        let applied = self.applied_nanos.load(Ordering::Relaxed);
        let applied_at = self.started + Duration::from_nanos(applied);
        applied > 0 && now.saturating_duration_since(applied_at) < BUSY_FOR
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_rest_only_while_entries_are_applied() {
        let began = Instant::now();
        let pace = Pace::new(began);
        let check = |after: Duration, expected: Option<Duration>| {
            let rest = pace.rest_until(began + after);
            assert_eq!(rest.map(|rest| rest.duration_since(began)), expected, "after {after:?}");
        };
        let moment = Duration::from_micros(1);
        check(SLICE_OF_WORK - moment, None);
        // Nothing was applied: a new slice begins at once.
        check(SLICE_OF_WORK, None);
        pace.applied(began + SLICE_OF_WORK);
        check(2 * SLICE_OF_WORK - moment, None);
        check(2 * SLICE_OF_WORK, Some(SLICE_OF_WORK + SLICE));
        check(SLICE_OF_WORK + SLICE - moment, Some(SLICE_OF_WORK + SLICE));
        // The next slice begins when the rest is over.
        check(SLICE_OF_WORK + SLICE, None);
        // Nothing more was applied for a while.
        let later = SLICE_OF_WORK + BUSY_FOR;
        check(later, None);
        check(later + SLICE_OF_WORK, None);
    }
}
