//! Waiting for a condition, not for a time: the one place of this crate that sleeps.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// How long a condition may take that normally takes milliseconds: tests share two slow cores.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Asks `condition` again and again until it answers `Some`.
///
/// # Errors
/// It did not within `patience`; `what` says what was waited for.
pub fn until<T>(
    what: &str,
    patience: Duration,
    mut condition: impl FnMut() -> Option<T>,
) -> Result<T> {
    let start = Instant::now();
    let mut pause = Duration::from_millis(2);
    loop {
        if let Some(value) = condition() {
            return Ok(value);
        }
        if start.elapsed() > patience {
            bail!("after {patience:?}: still no {what}");
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(50));
    }
}

/// Lets a fault last so long: the one wait that is about time itself.
pub fn hold(duration: Duration) {
    std::thread::sleep(duration);
}
