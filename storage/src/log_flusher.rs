//! The flusher of the log store: takes all that waits, syncs once, and reports everything it took, in order.

use crate::StorageError;
use crate::log_state::{DurableIndex, State};
use crate::log_store::{DurableListener, OnDurable};
use crate::metrics;
use parking_lot::{Condvar, Mutex, RwLock};
use rocksdb::DB;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// What the store and its flusher share.
pub(crate) struct Shared {
    pub(crate) db: DB,
    pub(crate) state: RwLock<State>,
    pub(crate) queue: Mutex<Queue>,
    pub(crate) wake: Condvar,
    pub(crate) durable: DurableIndex,
    pub(crate) listeners: RwLock<Vec<DurableListener>>,
    pub(crate) syncs_total: AtomicU64,
}

/// What waits for the flusher.
#[derive(Default)]
pub(crate) struct Queue {
    pub(crate) waiting: Vec<Waiting>,
    /// A truncation while a group was being synced: what that group wrote after this index is gone.
    pub(crate) cut_in_flight: Option<Option<u64>>,
    pub(crate) stopping: bool,
    pub(crate) failed: Option<StorageError>,
}

/// One operation that waits for its sync.
pub(crate) struct Waiting {
    /// The last index of the log after this operation.
    pub(crate) last: Option<u64>,
    pub(crate) on_durable: OnDurable,
}

pub(crate) fn sync(shared: &Shared) -> Result<(), StorageError> {
    let started = Instant::now();
    shared.db.flush_wal(true).map_err(|source| StorageError::write("log", "sync", source))?;
    shared.syncs_total.fetch_add(1, Ordering::Relaxed);
    metrics::log_synced(started.elapsed());
    Ok(())
}

pub(crate) fn flush_until_stopped(shared: &Shared) {
    while let Some(taken) = take_waiting(shared) {
        let failed_before = shared.queue.lock().failed.clone();
        let outcome = match failed_before {
            Some(failure) => Err(failure),
            None => sync(shared),
        };
        match &outcome {
            Ok(()) => {
                metrics::log_group(taken.len());
                publish_durable(shared, &taken);
            }
            Err(failure) => shared.queue.lock().failed = Some(failure.clone()),
        }
        for waiting in taken {
            (waiting.on_durable)(outcome.clone());
        }
    }
}

/// Waits for work; `None` when the store is closed and nothing waits.
fn take_waiting(shared: &Shared) -> Option<Vec<Waiting>> {
    let mut queue = shared.queue.lock();
    while queue.waiting.is_empty() {
        if queue.stopping {
            return None;
        }
        shared.wake.wait(&mut queue);
    }
    queue.cut_in_flight = None;
    Some(std::mem::take(&mut queue.waiting))
}

/// The durable index moves before any callback runs, so whoever is called sees it.
fn publish_durable(shared: &Shared, taken: &[Waiting]) {
    let Some(last) = taken.last().and_then(|waiting| waiting.last) else { return };
    let durable = {
        let queue = shared.queue.lock();
        let durable = queue.cut_in_flight.map_or(Some(last), |cut| Some(last).min(cut));
        shared.durable.store(durable);
        durable
    };
    if let Some(durable) = durable {
        for listener in shared.listeners.read().iter() {
            listener(durable);
        }
    }
}
