//! # The log on disk
//!
//! **Problem.** A promise may be told to a client only when it survives a power failure, and a disk makes a few hundred
//! to a few thousand such points a second, far fewer than there are promises.
//!
//! **Model.** Entries, the journal, the vote and small marks, all opaque bytes. [`LogStore::append`] makes entries readable at once
//! and durable later: *one* flusher takes all that waits, syncs once, and then reports everything it took, in order.
//! Whoever adds while a sync runs is part of the next one, so the load sets the size of the group.
//!
//! **Rules.** Operations become durable in the order in which they were called: durability is a watermark. A reader
//! sees an entry as soon as `append` returns. An index is never skipped.
//!
//! **Hazards.** A failed sync says nothing about what reached the disk, so the store refuses everything after one
//! instead of trying again. Unsynced bytes wait in this process: a crash of the process loses them as a
//! power failure does, which is harmless because nobody was told about them.
//!
//! **Absent on purpose.** What entries mean (`replication-raft` knows), retries, and any wait in `append`.

use crate::log_flusher::{Shared, Waiting, flush_until_stopped, sync};
use crate::log_state::{DurableIndex, State, complete};
use crate::schema::log as schema;
use crate::{StorageError, log_format, log_journal};
use bytes::Bytes;
use parking_lot::{Condvar, Mutex, RwLock};
use rocksdb::{ColumnFamily, DB, IteratorMode, WriteBatch, WriteOptions};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;

/// Called once when an operation is durable, or with the reason why it will never be known to be. It runs on the flusher: it
/// must be short and must not call the store.
pub type OnDurable = Box<dyn FnOnce(Result<(), StorageError>) + Send>;

/// Called on the flusher with the new durable index whenever it has moved; short, and must not call the store.
pub type DurableListener = Arc<dyn Fn(u64) + Send + Sync>;

/// What a log holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogBounds {
    /// The first index that can be read, if there is any entry.
    pub first: Option<u64>,
    /// The last index that can be read, if there is any entry.
    pub last: Option<u64>,
    /// The last purge: up to which index, and the caller's note about it.
    pub purged: Option<(u64, Bytes)>,
}

/// What the journal holds: every number from `first` to `last_used`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct JournalBounds {
    /// The first record that can be read, if there is any.
    pub first: Option<u64>,
    /// The newest number that was ever used, kept when records are forgotten; 0: none.
    pub last_used: u64,
}

/// A log of opaque entries with a journal, a vote and marks: the boundary at which a disk can fail.
///
/// Durability order: what was called first is durable first. `Err` from any method or callback means that the store
/// has stopped for good.
pub trait LogStore: Send + Sync + 'static {
    /// Adds consecutive entries after the last one. They can be read when this returns.
    ///
    /// # Errors
    /// [`StorageError::LogGap`] if the first index is not the one after the last, or if the disk failed.
    fn append(&self, entries: Vec<(u64, Bytes)>, on_durable: OnDurable)
    -> Result<(), StorageError>;

    /// Drops every entry after `last_kept`; all of them if `None`.
    ///
    /// # Errors
    /// If the disk failed.
    fn truncate_after(&self, last_kept: Option<u64>) -> Result<(), StorageError>;

    /// Drops every entry up to and with `through`, and keeps `note` about it. The bytes go in blocks, later.
    ///
    /// # Errors
    /// If the disk failed.
    fn purge(&self, through: u64, note: Bytes) -> Result<(), StorageError>;

    /// The entries of `range` that the log holds.
    ///
    /// # Errors
    /// [`StorageError::LogGap`] if an entry between the first and the last is missing, or if the disk failed.
    fn read(&self, range: Range<u64>) -> Result<Vec<(u64, Bytes)>, StorageError>;

    /// What the log holds.
    fn bounds(&self) -> LogBounds;

    /// Stores the vote; `on_durable` tells when.
    ///
    /// # Errors
    /// If the disk failed.
    fn save_vote(&self, vote: Bytes, on_durable: OnDurable) -> Result<(), StorageError>;

    /// The last vote saved.
    fn vote(&self) -> Option<Bytes>;

    /// Stores a mark under a key. With `on_durable` it is synced with the next group, without it some day.
    ///
    /// # Errors
    /// If the disk failed.
    fn put_mark(
        &self,
        key: &str,
        value: Bytes,
        on_durable: Option<OnDurable>,
    ) -> Result<(), StorageError>;

    /// The last mark stored under a key.
    ///
    /// # Errors
    /// If the disk failed.
    fn mark(&self, key: &str) -> Result<Option<Bytes>, StorageError>;

    /// Adds records to the journal; they can be read when this returns. The first number follows
    /// [`JournalBounds::last_used`], and each the one before it.
    ///
    /// # Errors
    /// [`StorageError::JournalGap`] if a number does not follow, and then nothing is added; or if the disk failed.
    fn append_journal(
        &self,
        records: Vec<(u64, Bytes)>,
        on_durable: OnDurable,
    ) -> Result<(), StorageError>;

    /// The records from number `from` on, ascending, at most `limit`.
    ///
    /// # Errors
    /// [`StorageError::JournalGap`] if one that should be there is missing, or if the disk failed.
    fn read_journal(&self, from: u64, limit: usize) -> Result<Vec<(u64, Bytes)>, StorageError>;

    /// Drops the records up to and with `through`. Their numbers count as used, also those that this journal never
    /// had: so a member that lost its disk goes on after what is merged of it.
    ///
    /// # Errors
    /// If the disk failed.
    fn forget_journal(&self, through: u64) -> Result<(), StorageError>;

    /// Drops every record and puts these in, both or neither. Their numbers may be lower than what was used: they are those
    /// of another epoch. The last of them becomes [`JournalBounds::last_used`], which stays if there are none.
    ///
    /// # Errors
    /// [`StorageError::JournalGap`] if they are not consecutive numbers from 1 or later, or if the disk failed.
    fn replace_journal(
        &self,
        records: Vec<(u64, Bytes)>,
        on_durable: OnDurable,
    ) -> Result<(), StorageError>;

    /// What the journal holds.
    fn journal_bounds(&self) -> JournalBounds;

    /// The highest index up to which every entry is durable.
    fn durable_index(&self) -> Option<u64>;

    /// Calls `listener` whenever [`LogStore::durable_index`] has moved up.
    fn listen_durable(&self, listener: DurableListener);

    /// How many times the disk was synced since this store was opened.
    fn syncs_total(&self) -> u64;
}

/// The log in a RocksDB database of its own.
pub struct RocksLogStore {
    pub(crate) shared: Arc<Shared>,
    flusher: Mutex<Option<JoinHandle<()>>>,
}

impl RocksLogStore {
    /// Opens or creates the log in `directory` and starts its flusher.
    ///
    /// # Errors
    /// If the directory cannot be opened, belongs to another running member, or holds a newer format.
    pub fn open(directory: &Path) -> Result<RocksLogStore, StorageError> {
        let open_error = |source: rocksdb::Error| StorageError::Open {
            database: "log",
            path: directory.to_owned(),
            source: Arc::new(source),
        };
        std::fs::create_dir_all(directory).map_err(|source| StorageError::Open {
            database: "log",
            path: directory.to_owned(),
            source: Arc::new(source),
        })?;
        log_format::refuse_foreign(directory)?;
        let db = DB::open_cf_descriptors(
            &schema::database_options(),
            directory,
            schema::column_families(),
        )
        .map_err(open_error)?;
        log_format::mark(&db, directory)?;
        let state = load(&db)?;
        let shared = Arc::new(Shared {
            db,
            durable: DurableIndex::default(),
            state: RwLock::new(state),
            queue: Mutex::default(),
            wake: Condvar::new(),
            listeners: RwLock::default(),
            syncs_total: AtomicU64::new(0),
        });
        // What was recovered was read from files, but their last bytes may not have been synced before the crash.
        sync(&shared)?;
        shared.durable.store(shared.state.read().bounds.last);
        let flusher = std::thread::Builder::new()
            .name("log-flusher".into())
            .spawn({
                let shared = Arc::clone(&shared);
                move || flush_until_stopped(&shared)
            })
            .map_err(|source| StorageError::Open {
                database: "log",
                path: directory.to_owned(),
                source: Arc::new(source),
            })?;
        Ok(RocksLogStore { shared, flusher: Mutex::new(Some(flusher)) })
    }

    pub(crate) fn column_family(&self, name: &'static str) -> &ColumnFamily {
        column_family(&self.shared.db, name)
    }

    pub(crate) fn write(
        &self,
        operation: &'static str,
        batch: WriteBatch,
    ) -> Result<(), StorageError> {
        if let Some(failed) = &self.shared.queue.lock().failed {
            return Err(failed.clone());
        }
        self.shared
            .db
            .write_opt(batch, &WriteOptions::default())
            .map_err(|source| StorageError::write("log", operation, source))
    }

    /// Must be called with the state locked, so that the queue's order is the order of the writes.
    pub(crate) fn enqueue(&self, last: Option<u64>, on_durable: OnDurable) {
        let mut queue = self.shared.queue.lock();
        queue.waiting.push(Waiting { last, on_durable });
        self.shared.wake.notify_one();
    }

    /// Entries after `last_kept` may come back with other contents: what was written before must not vouch for them.
    fn cut(&self, last_kept: Option<u64>) {
        let mut queue = self.shared.queue.lock();
        for waiting in &mut queue.waiting {
            waiting.last = waiting.last.min(last_kept);
        }
        let cut = queue.cut_in_flight.map_or(last_kept, |earlier| earlier.min(last_kept));
        queue.cut_in_flight = Some(cut);
        self.shared.durable.lower_to(last_kept);
    }

    fn read_from_database(&self, range: Range<u64>) -> Result<Vec<(u64, Bytes)>, StorageError> {
        let entries = self.column_family(schema::ENTRIES);
        let from = schema::entry_key(range.start);
        let mut found = Vec::new();
        let mode = IteratorMode::From(&from, rocksdb::Direction::Forward);
        for item in self.shared.db.iterator_cf(entries, mode) {
            let (key, value) =
                item.map_err(|source| StorageError::read("log", "entries", source))?;
            let index = schema::entry_index(&key)?;
            if index >= range.end {
                break;
            }
            found.push((index, Bytes::from(value.into_vec())));
        }
        Ok(found)
    }
}

impl LogStore for RocksLogStore {
    fn append(
        &self,
        entries: Vec<(u64, Bytes)>,
        on_durable: OnDurable,
    ) -> Result<(), StorageError> {
        let mut state = self.shared.state.write();
        let column_family = self.column_family(schema::ENTRIES);
        let mut batch = WriteBatch::default();
        let mut next = state.next_index();
        for (index, bytes) in &entries {
            if next.is_some_and(|next| next != *index) {
                return Err(StorageError::LogGap { index: *index });
            }
            next = Some(index + 1);
            batch.put_cf(column_family, schema::entry_key(*index), bytes);
        }
        self.write("append", batch)?;
        for (index, bytes) in entries {
            state.push(index, bytes);
        }
        self.enqueue(state.bounds.last, on_durable);
        Ok(())
    }

    fn truncate_after(&self, last_kept: Option<u64>) -> Result<(), StorageError> {
        let mut state = self.shared.state.write();
        let from = last_kept.map_or(0, |index| index + 1);
        let Some(last) = state.bounds.last.filter(|last| *last >= from) else { return Ok(()) };
        let column_family = self.column_family(schema::ENTRIES);
        let mut batch = WriteBatch::default();
        // A conflicting suffix is short, and single deletions leave no range tombstone at the end of the log.
        for index in from..=last {
            batch.delete_cf(column_family, schema::entry_key(index));
        }
        self.write("truncate", batch)?;
        state.truncate(last_kept);
        self.cut(last_kept);
        self.enqueue(state.bounds.last, Box::new(|_| ()));
        Ok(())
    }

    fn purge(&self, through: u64, note: Bytes) -> Result<(), StorageError> {
        let mut state = self.shared.state.write();
        if state.bounds.purged.as_ref().is_some_and(|(purged, _)| *purged > through) {
            return Ok(());
        }
        let marks = self.column_family(schema::MARKS);
        let entries = self.column_family(schema::ENTRIES);
        let mut batch = WriteBatch::default();
        batch.put_cf(marks, schema::PURGED, schema::purged_value(through, &note));
        // Each range deletion leaves a tombstone that readers step over, so there are few and large ones.
        let delete =
            through + 1 >= state.deleted_before.saturating_add(schema::PURGE_BLOCK_ENTRIES);
        if delete {
            let from = schema::entry_key(state.deleted_before);
            batch.delete_range_cf(entries, from, schema::entry_key(through + 1));
        }
        self.write("purge", batch)?;
        if delete {
            let from = schema::entry_key(state.deleted_before);
            state.deleted_before = through + 1;
            // Whole files go at once; what it leaves, compaction removes.
            self.shared
                .db
                .delete_file_in_range_cf(entries, from, schema::entry_key(through))
                .map_err(|source| StorageError::write("log", "purge", source))?;
        }
        state.purge(through, note);
        self.enqueue(state.bounds.last, Box::new(|_| ()));
        Ok(())
    }

    fn read(&self, range: Range<u64>) -> Result<Vec<(u64, Bytes)>, StorageError> {
        let state = self.shared.state.read();
        let Some(range) = state.clip(range) else { return Ok(Vec::new()) };
        if let Some(found) = state.recent_in(&range) {
            return Ok(found);
        }
        // The lock is kept: a truncation in between would make the result a mixture.
        let found = self.read_from_database(range.clone())?;
        complete(found, range)
    }

    fn bounds(&self) -> LogBounds {
        self.shared.state.read().bounds.clone()
    }

    fn save_vote(&self, vote: Bytes, on_durable: OnDurable) -> Result<(), StorageError> {
        let mut state = self.shared.state.write();
        let mut batch = WriteBatch::default();
        batch.put_cf(self.column_family(schema::MARKS), schema::VOTE, &vote);
        self.write("vote", batch)?;
        state.vote = Some(vote);
        self.enqueue(state.bounds.last, on_durable);
        Ok(())
    }

    fn vote(&self) -> Option<Bytes> {
        self.shared.state.read().vote.clone()
    }

    fn put_mark(
        &self,
        key: &str,
        value: Bytes,
        on_durable: Option<OnDurable>,
    ) -> Result<(), StorageError> {
        let state = self.shared.state.write();
        let mut batch = WriteBatch::default();
        batch.put_cf(self.column_family(schema::MARKS), schema::mark_key(key), value);
        self.write("mark", batch)?;
        if let Some(on_durable) = on_durable {
            self.enqueue(state.bounds.last, on_durable);
        }
        Ok(())
    }

    fn mark(&self, key: &str) -> Result<Option<Bytes>, StorageError> {
        let value = self
            .shared
            .db
            .get_cf(self.column_family(schema::MARKS), schema::mark_key(key))
            .map_err(|source| StorageError::read("log", "mark", source))?;
        Ok(value.map(Bytes::from))
    }

    fn append_journal(
        &self,
        records: Vec<(u64, Bytes)>,
        on_durable: OnDurable,
    ) -> Result<(), StorageError> {
        self.append_records(&records, on_durable)
    }

    fn read_journal(&self, from: u64, limit: usize) -> Result<Vec<(u64, Bytes)>, StorageError> {
        self.read_records(from, limit)
    }

    fn forget_journal(&self, through: u64) -> Result<(), StorageError> {
        self.forget_records(through)
    }

    fn replace_journal(
        &self,
        records: Vec<(u64, Bytes)>,
        on_durable: OnDurable,
    ) -> Result<(), StorageError> {
        self.replace_records(&records, on_durable)
    }

    fn journal_bounds(&self) -> JournalBounds {
        self.records_bounds()
    }

    fn durable_index(&self) -> Option<u64> {
        self.shared.durable.load()
    }

    fn listen_durable(&self, listener: DurableListener) {
        self.shared.listeners.write().push(listener);
    }

    fn syncs_total(&self) -> u64 {
        self.shared.syncs_total.load(Ordering::Relaxed)
    }
}

impl Drop for RocksLogStore {
    /// Syncs what waits and stops the flusher.
    fn drop(&mut self) {
        self.shared.queue.lock().stopping = true;
        self.shared.wake.notify_one();
        if let Some(flusher) = self.flusher.lock().take() {
            // The flusher does not panic; if a callback did, its panic was already reported by its thread.
            drop(flusher.join());
        }
    }
}

pub(crate) fn column_family<'a>(db: &'a DB, name: &'static str) -> &'a ColumnFamily {
    // Every name was passed to the open call, which creates what is missing.
    db.cf_handle(name).expect("column family opened with the database")
}

fn load(db: &DB) -> Result<State, StorageError> {
    let marks = column_family(db, schema::MARKS);
    let get = |key: &'static [u8]| {
        db.get_cf(marks, key).map_err(|source| StorageError::read("log", "marks", source))
    };
    let purged = get(schema::PURGED)?.map(|value| schema::purged_parts(&value)).transpose()?;
    let after_purge = purged.as_ref().map_or(0, |(index, _)| index + 1);
    let entries = column_family(db, schema::ENTRIES);
    let at = |mode| -> Result<Option<u64>, StorageError> {
        let Some(item) = db.iterator_cf(entries, mode).next() else { return Ok(None) };
        let (key, _) = item.map_err(|source| StorageError::read("log", "entries", source))?;
        schema::entry_index(&key).map(Some)
    };
    let from = schema::entry_key(after_purge);
    let first = at(IteratorMode::From(&from, rocksdb::Direction::Forward))?;
    let last = if first.is_some() { at(IteratorMode::End)? } else { None };
    Ok(State {
        bounds: LogBounds { first, last, purged },
        journal: log_journal::load(db)?,
        vote: get(schema::VOTE)?.map(Bytes::from),
        // The block before the last purge may not have been deleted: the next deletion takes it too.
        deleted_before: 0,
        ..State::default()
    })
}

#[cfg(test)]
#[path = "log_store_tests.rs"]
mod tests;
