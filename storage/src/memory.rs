//! # Stores without a disk, for tests and simulation
//!
//! [`MemoryLogStore`] keeps two copies: what was written and what a power failure would leave. Nothing becomes durable by
//! itself unless the store was made so: a test or a simulation calls [`MemoryLogStore::sync`] when its disk would be done.

use crate::log_journal::JournalState;
use crate::log_state::DurableIndex;
use crate::log_store::{DurableListener, JournalBounds, LogBounds, LogStore, OnDurable};
use crate::{StorageError, log_store};
use bytes::Bytes;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Called by the store when something waits for a sync.
pub type SyncWanted = Arc<dyn Fn() + Send + Sync>;

/// A log in memory, with the failure behaviour of a disk.
pub struct MemoryLogStore {
    inner: Mutex<Inner>,
    durable: DurableIndex,
    listeners: Mutex<Vec<DurableListener>>,
    syncs_total: AtomicU64,
    sync_wanted: Option<SyncWanted>,
}

#[derive(Clone, Default)]
struct Contents {
    entries: BTreeMap<u64, Bytes>,
    purged: Option<(u64, Bytes)>,
    vote: Option<Bytes>,
    marks: BTreeMap<String, Bytes>,
    journal: BTreeMap<u64, Bytes>,
    journal_last_used: u64,
}

#[derive(Default)]
struct Inner {
    written: Contents,
    durable: Contents,
    /// What makes `written` of `durable`.
    unsynced: Vec<Change>,
    waiting: Vec<OnDurable>,
    crashed: bool,
}

#[derive(Clone)]
enum Change {
    Append(u64, Bytes),
    TruncateAfter(Option<u64>),
    Purge(u64, Bytes),
    Vote(Bytes),
    Mark(String, Bytes),
    AppendJournal(Vec<(u64, Bytes)>),
    ForgetJournal(u64),
    ReplaceJournal(Vec<(u64, Bytes)>),
}

impl MemoryLogStore {
    /// An empty log on which everything is durable at once.
    pub fn synchronous() -> MemoryLogStore {
        MemoryLogStore::with(Contents::default(), None)
    }

    /// An empty log that calls `sync_wanted` whenever an operation waits for [`MemoryLogStore::sync`].
    pub fn manual(sync_wanted: SyncWanted) -> MemoryLogStore {
        MemoryLogStore::with(Contents::default(), Some(sync_wanted))
    }

    fn with(contents: Contents, sync_wanted: Option<SyncWanted>) -> MemoryLogStore {
        let store = MemoryLogStore {
            durable: DurableIndex::default(),
            inner: Mutex::new(Inner {
                written: contents.clone(),
                durable: contents,
                ..Inner::default()
            }),
            listeners: Mutex::default(),
            syncs_total: AtomicU64::new(0),
            sync_wanted,
        };
        let last = store.bounds().last;
        store.durable.store(last);
        store
    }

    /// Makes everything written so far durable and reports it, as one fsync would.
    pub fn sync(&self) {
        let (waiting, last) = {
            let mut inner = self.inner.lock();
            if inner.crashed {
                return;
            }
            let unsynced = std::mem::take(&mut inner.unsynced);
            for change in unsynced {
                inner.durable.change(change);
            }
            let last = inner.written.bounds().last;
            (std::mem::take(&mut inner.waiting), last)
        };
        self.syncs_total.fetch_add(1, Ordering::Relaxed);
        self.durable.store(last);
        if let Some(last) = last {
            for listener in self.listeners.lock().iter() {
                listener(last);
            }
        }
        for on_durable in waiting {
            on_durable(Ok(()));
        }
    }

    /// Power failure: the store that a restart finds. This one is dead from here on, and nobody who waited is told anything.
    pub fn crash(&self, sync_wanted: Option<SyncWanted>) -> MemoryLogStore {
        let contents = {
            let mut inner = self.inner.lock();
            inner.crashed = true;
            inner.waiting.clear();
            inner.durable.clone()
        };
        MemoryLogStore::with(contents, sync_wanted)
    }

    fn change(
        &self,
        on_durable: Option<OnDurable>,
        changes: Vec<Change>,
    ) -> Result<(), StorageError> {
        {
            let mut inner = self.inner.lock();
            if inner.crashed {
                return Err(StorageError::Closed);
            }
            for change in changes {
                inner.written.check(&change)?;
                inner.written.change(change.clone());
                inner.unsynced.push(change);
            }
            inner.waiting.extend(on_durable);
        }
        match &self.sync_wanted {
            Some(sync_wanted) => sync_wanted(),
            None => self.sync(),
        }
        Ok(())
    }
}

impl Contents {
    fn bounds(&self) -> LogBounds {
        LogBounds {
            first: self.entries.keys().next().copied(),
            last: self.entries.keys().next_back().copied(),
            purged: self.purged.clone(),
        }
    }

    fn check(&self, change: &Change) -> Result<(), StorageError> {
        match change {
            Change::Append(index, _) => self.check_append(*index),
            Change::AppendJournal(records) => {
                JournalState::follow(self.journal_last_used, records).map(|_| ())
            }
            Change::ReplaceJournal(records) => {
                let before = JournalState::before(self.journal_last_used, records)?;
                JournalState::follow(before, records).map(|_| ())
            }
            _ => Ok(()),
        }
    }

    fn check_append(&self, index: u64) -> Result<(), StorageError> {
        let bounds = self.bounds();
        let last = bounds.last.or(bounds.purged.map(|(through, _)| through));
        if last.is_some_and(|last| last + 1 != index) {
            return Err(StorageError::LogGap { index });
        }
        Ok(())
    }

    fn change(&mut self, change: Change) {
        match change {
            Change::Append(index, bytes) => {
                self.entries.insert(index, bytes);
            }
            Change::TruncateAfter(last_kept) => {
                drop(self.entries.split_off(&last_kept.map_or(0, |index| index + 1)));
            }
            Change::Purge(through, note) => {
                self.entries = self.entries.split_off(&(through + 1));
                self.purged = Some((through, note));
            }
            Change::Vote(vote) => self.vote = Some(vote),
            Change::Mark(key, value) => {
                self.marks.insert(key, value);
            }
            Change::AppendJournal(records) => self.put_records(records),
            Change::ForgetJournal(through) => {
                self.journal.retain(|number, _| *number > through);
                self.journal_last_used = self.journal_last_used.max(through);
            }
            Change::ReplaceJournal(records) => {
                self.journal.clear();
                self.put_records(records);
            }
        }
    }
}

impl Contents {
    fn put_records(&mut self, records: Vec<(u64, Bytes)>) {
        if let Some((last, _)) = records.last() {
            self.journal_last_used = *last;
        }
        self.journal.extend(records);
    }
}

impl LogStore for MemoryLogStore {
    fn append(
        &self,
        entries: Vec<(u64, Bytes)>,
        on_durable: OnDurable,
    ) -> Result<(), StorageError> {
        let changes = entries.into_iter().map(|(index, bytes)| Change::Append(index, bytes));
        self.change(Some(on_durable), changes.collect())
    }

    fn truncate_after(&self, last_kept: Option<u64>) -> Result<(), StorageError> {
        self.durable.lower_to(last_kept);
        self.change(None, vec![Change::TruncateAfter(last_kept)])
    }

    fn purge(&self, through: u64, note: Bytes) -> Result<(), StorageError> {
        self.change(None, vec![Change::Purge(through, note)])
    }

    fn read(&self, range: Range<u64>) -> Result<Vec<(u64, Bytes)>, StorageError> {
        if range.is_empty() {
            return Ok(Vec::new());
        }
        let inner = self.inner.lock();
        let found = inner.written.entries.range(range);
        Ok(found.map(|(index, bytes)| (*index, bytes.clone())).collect())
    }

    fn bounds(&self) -> LogBounds {
        self.inner.lock().written.bounds()
    }

    fn save_vote(&self, vote: Bytes, on_durable: OnDurable) -> Result<(), StorageError> {
        self.change(Some(on_durable), vec![Change::Vote(vote)])
    }

    fn vote(&self) -> Option<Bytes> {
        self.inner.lock().written.vote.clone()
    }

    fn put_mark(
        &self,
        key: &str,
        value: Bytes,
        on_durable: Option<OnDurable>,
    ) -> Result<(), StorageError> {
        self.change(on_durable, vec![Change::Mark(key.to_owned(), value)])
    }

    fn mark(&self, key: &str) -> Result<Option<Bytes>, StorageError> {
        Ok(self.inner.lock().written.marks.get(key).cloned())
    }

    fn append_journal(
        &self,
        records: Vec<(u64, Bytes)>,
        on_durable: OnDurable,
    ) -> Result<(), StorageError> {
        self.change(Some(on_durable), vec![Change::AppendJournal(records)])
    }

    fn read_journal(&self, from: u64, limit: usize) -> Result<Vec<(u64, Bytes)>, StorageError> {
        let inner = self.inner.lock();
        let found = inner.written.journal.range(from..).take(limit);
        Ok(found.map(|(number, bytes)| (*number, bytes.clone())).collect())
    }

    fn forget_journal(&self, through: u64) -> Result<(), StorageError> {
        self.change(None, vec![Change::ForgetJournal(through)])
    }

    fn replace_journal(
        &self,
        records: Vec<(u64, Bytes)>,
        on_durable: OnDurable,
    ) -> Result<(), StorageError> {
        self.change(Some(on_durable), vec![Change::ReplaceJournal(records)])
    }

    fn journal_bounds(&self) -> JournalBounds {
        let inner = self.inner.lock();
        let first = inner.written.journal.keys().next().copied();
        JournalBounds { first, last_used: inner.written.journal_last_used }
    }

    fn durable_index(&self) -> Option<u64> {
        self.durable.load()
    }

    fn listen_durable(&self, listener: log_store::DurableListener) {
        self.listeners.lock().push(listener);
    }

    fn syncs_total(&self) -> u64 {
        self.syncs_total.load(Ordering::Relaxed)
    }
}
