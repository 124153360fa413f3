//! A load that runs beside a test.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use anyhow::{Result, anyhow};

use super::engine::run;
use super::options::LoadOptions;
use super::summary::Summary;
use crate::netns::Namespace;

/// A load that runs beside a test until it is told to stop.
pub struct Background {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Result<Summary>>,
}

impl Background {
    /// Starts the load, inside a namespace if one is named.
    pub fn start(options: LoadOptions, namespace: Option<Namespace>) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            if let Some(namespace) = namespace {
                namespace.enter()?;
            }
            run(&options, &seen)
        });
        Background { stop, thread }
    }

    /// Begins no more exchanges, waits for those under way as long as the options say, and says what
    /// was found.
    ///
    /// # Errors
    /// As [`super::run`].
    pub fn stop(self) -> Result<Summary> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().map_err(|_| anyhow!("the load generator panicked"))?
    }
}
