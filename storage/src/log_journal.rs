//! # The journal beside the log: what a member did without a quorum
//!
//! **Problem.** A promise made alone stands nowhere but here until it is merged, so it is durable before the reply leaves (AV-I5).
//!
//! **Model.** Records with numbers, in a column family of the log's database, written through the same queue: a journal write and
//! an append that wait together cost one sync. The records that are held are those after the last forgotten number up to the
//! last one used, without a hole.
//!
//! **Rules.** A number is used once: the last one used is kept when its record is forgotten, in the same write. Only
//! [`LogStore::replace_journal`](crate::LogStore::replace_journal) may set it back, because it numbers what is handed to another epoch.
//!
//! **Hazards.** Forgotten records are deleted in blocks, so their bytes may still lie there: the mark says what counts. Files are not
//! dropped whole as for entries: that could take a deletion away and leave an older record under it, to be found as the
//! last one when the journal is opened after it was replaced.
//!
//! **Absent on purpose.** What records say, and when they may be forgotten.

use crate::StorageError;
use crate::log_store::{JournalBounds, OnDurable, RocksLogStore, column_family};
use crate::schema::log as schema;
use bytes::Bytes;
use rocksdb::{DB, Direction, IteratorMode, WriteBatch};

/// What is known of the journal without asking the database.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct JournalState {
    /// Records up to this number do not count any more.
    pub(crate) forgotten: u64,
    /// The newest number that was ever used; a record that counts unless it is forgotten.
    pub(crate) last_used: u64,
    /// Where the range deletions of forgotten records have got to (exclusive).
    deleted_before: u64,
}

impl JournalState {
    /// Checks that these may follow `last_used`, and gives the last of them.
    pub(crate) fn follow(last_used: u64, records: &[(u64, Bytes)]) -> Result<u64, StorageError> {
        records.iter().try_fold(last_used, |last, (number, _)| {
            let follows = last.checked_add(1) == Some(*number);
            if follows { Ok(*number) } else { Err(StorageError::JournalGap { number: *number }) }
        })
    }

    /// Where the numbers of a replacing journal begin: after this one.
    pub(crate) fn before(last_used: u64, records: &[(u64, Bytes)]) -> Result<u64, StorageError> {
        let Some((first, _)) = records.first() else { return Ok(last_used) };
        first.checked_sub(1).ok_or(StorageError::JournalGap { number: *first })
    }

    fn bounds(&self) -> JournalBounds {
        let first = (self.forgotten < self.last_used).then_some(self.forgotten + 1);
        JournalBounds { first, last_used: self.last_used }
    }

    fn mark(&self) -> [u8; 16] {
        schema::journal_value(self.forgotten, self.last_used)
    }
}

/// What the journal in a database is.
pub(crate) fn load(db: &DB) -> Result<JournalState, StorageError> {
    let marks = column_family(db, schema::MARKS);
    let read_error = |source| StorageError::read("log", "journal", source);
    let mark = db.get_cf(marks, schema::JOURNAL_MARK).map_err(read_error)?;
    let mark = mark.map(|value| schema::journal_parts(&value)).transpose()?;
    let (forgotten, last_marked) = mark.unwrap_or_default();
    let records = column_family(db, schema::JOURNAL);
    let last_written = match db.iterator_cf(records, IteratorMode::End).next() {
        None => 0,
        Some(item) => schema::journal_number(&item.map_err(read_error)?.0)?,
    };
    // What lies before the mark may not have been deleted: the next deletion takes it too.
    Ok(JournalState { forgotten, last_used: last_marked.max(last_written), deleted_before: 0 })
}

impl RocksLogStore {
    pub(crate) fn append_records(
        &self,
        records: &[(u64, Bytes)],
        on_durable: OnDurable,
    ) -> Result<(), StorageError> {
        let mut state = self.shared.state.write();
        let last_used = JournalState::follow(state.journal.last_used, records)?;
        let mut batch = WriteBatch::default();
        self.put_records(&mut batch, records);
        self.write("journal append", batch)?;
        state.journal.last_used = last_used;
        self.enqueue(state.bounds.last, on_durable);
        Ok(())
    }

    pub(crate) fn read_records(
        &self,
        from: u64,
        limit: usize,
    ) -> Result<Vec<(u64, Bytes)>, StorageError> {
        // The lock is kept: a replacement in between would make the result a mixture.
        let state = self.shared.state.read();
        let bounds = state.journal.bounds();
        let Some(first) = bounds.first.map(|first| first.max(from)) else { return Ok(Vec::new()) };
        let key = schema::journal_key(first);
        let mode = IteratorMode::From(&key, Direction::Forward);
        let mut found = Vec::new();
        let records = self.shared.db.iterator_cf(self.column_family(schema::JOURNAL), mode);
        for (item, expected) in records.zip(first..=bounds.last_used).take(limit) {
            let (key, value) = item.map_err(|e| StorageError::read("log", "journal", e))?;
            if schema::journal_number(&key)? != expected {
                return Err(StorageError::JournalGap { number: expected });
            }
            found.push((expected, Bytes::from(value.into_vec())));
        }
        let expected_len = (first..=bounds.last_used).take(limit).count();
        match found.len() == expected_len {
            true => Ok(found),
            false => Err(StorageError::JournalGap { number: first + found.len() as u64 }),
        }
    }

    pub(crate) fn forget_records(&self, through: u64) -> Result<(), StorageError> {
        let mut state = self.shared.state.write();
        let mut journal = state.journal;
        if through <= journal.forgotten {
            return Ok(());
        }
        journal.forgotten = through;
        journal.last_used = journal.last_used.max(through);
        let mut batch = WriteBatch::default();
        // Few and large range deletions, as for entries; and one when nothing is left.
        let end = through.saturating_add(1);
        let block_end = journal.deleted_before.saturating_add(schema::PURGE_BLOCK_ENTRIES);
        if end >= block_end || journal.bounds().first.is_none() {
            let from = schema::journal_key(journal.deleted_before.min(end));
            let records = self.column_family(schema::JOURNAL);
            batch.delete_range_cf(records, from, schema::journal_key(end));
            journal.deleted_before = end;
        }
        batch.put_cf(self.column_family(schema::MARKS), schema::JOURNAL_MARK, journal.mark());
        self.write("journal forget", batch)?;
        state.journal = journal;
        self.enqueue(state.bounds.last, Box::new(|_| ()));
        Ok(())
    }

    pub(crate) fn replace_records(
        &self,
        records: &[(u64, Bytes)],
        on_durable: OnDurable,
    ) -> Result<(), StorageError> {
        let mut state = self.shared.state.write();
        let forgotten = JournalState::before(state.journal.last_used, records)?;
        let last_used = JournalState::follow(forgotten, records)?;
        let journal = JournalState { forgotten, last_used, deleted_before: 0 };
        let mut batch = WriteBatch::default();
        let end = schema::journal_key(state.journal.last_used.saturating_add(1));
        let family = self.column_family(schema::JOURNAL);
        // First out, then in: a batch counts in its order.
        batch.delete_range_cf(family, schema::journal_key(0), end);
        self.put_records(&mut batch, records);
        batch.put_cf(self.column_family(schema::MARKS), schema::JOURNAL_MARK, journal.mark());
        self.write("journal replace", batch)?;
        state.journal = journal;
        self.enqueue(state.bounds.last, on_durable);
        Ok(())
    }

    pub(crate) fn records_bounds(&self) -> JournalBounds {
        self.shared.state.read().journal.bounds()
    }

    fn put_records(&self, batch: &mut WriteBatch, records: &[(u64, Bytes)]) {
        let family = self.column_family(schema::JOURNAL);
        for (number, bytes) in records {
            batch.put_cf(family, schema::journal_key(*number), bytes);
        }
    }
}

#[cfg(test)]
#[path = "log_journal_tests.rs"]
mod tests;
