//! Stores that fail on purpose, for tests and simulation.

use crate::StorageError;
use crate::log_store::{DurableListener, JournalBounds, LogBounds, LogStore, OnDurable};
use bytes::Bytes;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// A log store that passes everything on until it is told to fail.
pub struct FaultyLogStore {
    inner: Arc<dyn LogStore>,
    writes_left: AtomicU64,
    syncs_fail: Arc<AtomicBool>,
}

impl FaultyLogStore {
    /// In front of `inner`, not failing yet.
    pub fn new(inner: Arc<dyn LogStore>) -> FaultyLogStore {
        FaultyLogStore {
            inner,
            writes_left: AtomicU64::new(u64::MAX),
            syncs_fail: Arc::new(AtomicBool::new(false)),
        }
    }

    /// After `writes` more writes, every write is refused, as on a full disk.
    pub fn fail_after(&self, writes: u64) {
        self.writes_left.store(writes, Ordering::SeqCst);
    }

    /// From now on writes are taken and their syncs fail.
    pub fn fail_syncs(&self) {
        self.syncs_fail.store(true, Ordering::SeqCst);
    }

    fn admit(&self, operation: &'static str) -> Result<(), StorageError> {
        let left = self
            .writes_left
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        match left {
            Ok(_) => Ok(()),
            Err(_) => Err(failure(operation)),
        }
    }

    fn wrap(&self, on_durable: OnDurable) -> OnDurable {
        let syncs_fail = Arc::clone(&self.syncs_fail);
        Box::new(move |outcome| {
            let failed = syncs_fail.load(Ordering::SeqCst);
            on_durable(if failed { Err(failure("sync")) } else { outcome });
        })
    }
}

fn failure(operation: &'static str) -> StorageError {
    StorageError::write("log", operation, std::io::Error::other("failed on purpose"))
}

impl LogStore for FaultyLogStore {
    fn append(
        &self,
        entries: Vec<(u64, Bytes)>,
        on_durable: OnDurable,
    ) -> Result<(), StorageError> {
        self.admit("append")?;
        self.inner.append(entries, self.wrap(on_durable))
    }

    fn truncate_after(&self, last_kept: Option<u64>) -> Result<(), StorageError> {
        self.admit("truncate")?;
        self.inner.truncate_after(last_kept)
    }

    fn purge(&self, through: u64, note: Bytes) -> Result<(), StorageError> {
        self.admit("purge")?;
        self.inner.purge(through, note)
    }

    fn read(&self, range: Range<u64>) -> Result<Vec<(u64, Bytes)>, StorageError> {
        self.inner.read(range)
    }

    fn bounds(&self) -> LogBounds {
        self.inner.bounds()
    }

    fn save_vote(&self, vote: Bytes, on_durable: OnDurable) -> Result<(), StorageError> {
        self.admit("vote")?;
        self.inner.save_vote(vote, self.wrap(on_durable))
    }

    fn vote(&self) -> Option<Bytes> {
        self.inner.vote()
    }

    fn put_mark(
        &self,
        key: &str,
        value: Bytes,
        on_durable: Option<OnDurable>,
    ) -> Result<(), StorageError> {
        self.admit("mark")?;
        self.inner.put_mark(key, value, on_durable.map(|on_durable| self.wrap(on_durable)))
    }

    fn mark(&self, key: &str) -> Result<Option<Bytes>, StorageError> {
        self.inner.mark(key)
    }

    fn append_journal(
        &self,
        records: Vec<(u64, Bytes)>,
        on_durable: OnDurable,
    ) -> Result<(), StorageError> {
        self.admit("journal append")?;
        self.inner.append_journal(records, self.wrap(on_durable))
    }

    fn read_journal(&self, from: u64, limit: usize) -> Result<Vec<(u64, Bytes)>, StorageError> {
        self.inner.read_journal(from, limit)
    }

    fn forget_journal(&self, through: u64) -> Result<(), StorageError> {
        self.admit("journal forget")?;
        self.inner.forget_journal(through)
    }

    fn replace_journal(
        &self,
        records: Vec<(u64, Bytes)>,
        on_durable: OnDurable,
    ) -> Result<(), StorageError> {
        self.admit("journal replace")?;
        self.inner.replace_journal(records, self.wrap(on_durable))
    }

    fn journal_bounds(&self) -> JournalBounds {
        self.inner.journal_bounds()
    }

    fn durable_index(&self) -> Option<u64> {
        if self.syncs_fail.load(Ordering::SeqCst) { None } else { self.inner.durable_index() }
    }

    fn listen_durable(&self, listener: DurableListener) {
        self.inner.listen_durable(listener);
    }

    fn syncs_total(&self) -> u64 {
        self.inner.syncs_total()
    }
}
