//! What the log store knows of its log without asking the database: bounds, vote, and the newest entries.

use crate::StorageError;
use crate::log_journal::JournalState;
use crate::log_store::LogBounds;
use crate::schema::log as schema;
use bytes::Bytes;
use std::collections::VecDeque;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};

/// What is known without asking the database. Held while the database is written, so that both change in one order.
#[derive(Default)]
pub(crate) struct State {
    pub(crate) bounds: LogBounds,
    pub(crate) vote: Option<Bytes>,
    pub(crate) journal: JournalState,
    pub(crate) recent: VecDeque<(u64, Bytes)>,
    pub(crate) recent_bytes: usize,
    /// Where the range deletions of purged entries have got to (exclusive).
    pub(crate) deleted_before: u64,
}

impl State {
    pub(crate) fn next_index(&self) -> Option<u64> {
        let after_purge = self.bounds.purged.as_ref().map(|(index, _)| index + 1);
        self.bounds.last.map(|last| last + 1).or(after_purge)
    }

    pub(crate) fn push(&mut self, index: u64, bytes: Bytes) {
        self.bounds.first.get_or_insert(index);
        self.bounds.last = Some(index);
        self.recent_bytes += bytes.len();
        self.recent.push_back((index, bytes));
        while self.recent_bytes > schema::RECENT_BYTES_MAX && self.recent.len() > 1 {
            self.recent_bytes -= self.recent.pop_front().map_or(0, |(_, bytes)| bytes.len());
        }
    }

    pub(crate) fn truncate(&mut self, last_kept: Option<u64>) {
        while self.recent.back().is_some_and(|(index, _)| Some(*index) > last_kept) {
            self.recent_bytes -= self.recent.pop_back().map_or(0, |(_, bytes)| bytes.len());
        }
        self.bounds.last = last_kept.filter(|last| self.bounds.first <= Some(*last));
        if self.bounds.last.is_none() {
            self.bounds.first = None;
        }
    }

    pub(crate) fn purge(&mut self, through: u64, note: Bytes) {
        while self.recent.front().is_some_and(|(index, _)| *index <= through) {
            self.recent_bytes -= self.recent.pop_front().map_or(0, |(_, bytes)| bytes.len());
        }
        self.bounds.purged = Some((through, note));
        self.bounds.last = self.bounds.last.filter(|last| *last > through);
        self.bounds.first = self.bounds.last.and(self.bounds.first.max(Some(through + 1)));
    }

    /// The part of a range that the log holds, if any.
    pub(crate) fn clip(&self, range: Range<u64>) -> Option<Range<u64>> {
        let start = range.start.max(self.bounds.first?);
        let end = range.end.min(self.bounds.last? + 1);
        (start < end).then_some(start..end)
    }

    /// The entries of a clipped range if all of them are still in memory.
    pub(crate) fn recent_in(&self, range: &Range<u64>) -> Option<Vec<(u64, Bytes)>> {
        let (first, _) = self.recent.front()?;
        let skip = usize::try_from(range.start.checked_sub(*first)?).ok()?;
        let take = usize::try_from(range.end - range.start).ok()?;
        Some(self.recent.iter().skip(skip).take(take).cloned().collect())
    }
}

/// Checks that nothing between the ends of `range` is missing.
pub(crate) fn complete(
    found: Vec<(u64, Bytes)>,
    range: Range<u64>,
) -> Result<Vec<(u64, Bytes)>, StorageError> {
    let mut expected = range.clone();
    let gap = found.iter().map(|(index, _)| *index).find(|index| expected.next() != Some(*index));
    match gap.or_else(|| expected.next()) {
        Some(index) => Err(StorageError::LogGap { index }),
        None => Ok(found),
    }
}

/// An `Option<u64>` in one atomic word: 0 is nothing, else the index plus one.
#[derive(Default)]
pub(crate) struct DurableIndex(AtomicU64);

impl DurableIndex {
    pub(crate) fn load(&self) -> Option<u64> {
        self.0.load(Ordering::Acquire).checked_sub(1)
    }

    pub(crate) fn store(&self, index: Option<u64>) {
        self.0.store(index.map_or(0, |index| index + 1), Ordering::Release);
    }

    pub(crate) fn lower_to(&self, index: Option<u64>) {
        self.0.fetch_min(index.map_or(0, |index| index + 1), Ordering::AcqRel);
    }
}
