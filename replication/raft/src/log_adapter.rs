//! openraft's log traits on a [`LogStore`]: integers and opaque batches become records, nothing more.

use crate::codec::{self, Reader};
use crate::types::{Entry, LogId, Types, Vote};
use bytes::Bytes;
use openraft::storage::{IOFlushed, LogState, RaftLogStorage};
use openraft::{AsyncRuntime, OptionalSend, RaftLogReader};
use std::fmt::Debug;
use std::io;
use std::marker::PhantomData;
use std::ops::{Bound, RangeBounds};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use storage::{LogStore, OnDurable};
use tokio::sync::oneshot;

/// Mark: the committed log id, unsynced, so that a restart replays what was applied before [AV-Q1].
const COMMITTED: &str = "committed";

/// One AppendEntries message carries at most about so many bytes of entries, far below the largest frame.
const READ_BYTES_MAX: usize = 1 << 20;

/// The log as openraft sees it. Clones share one store.
pub(crate) struct LogAdapter<RT> {
    store: Arc<dyn LogStore>,
    /// Counts changes of the end of the log, for whoever draws conclusions from it.
    changes: Arc<AtomicU64>,
    runtime: PhantomData<fn() -> RT>,
}

impl<RT> Clone for LogAdapter<RT> {
    fn clone(&self) -> Self {
        LogAdapter {
            store: Arc::clone(&self.store),
            changes: Arc::clone(&self.changes),
            runtime: PhantomData,
        }
    }
}

impl<RT> LogAdapter<RT> {
    pub(crate) fn new(store: Arc<dyn LogStore>, changes: Arc<AtomicU64>) -> LogAdapter<RT> {
        LogAdapter { store, changes, runtime: PhantomData }
    }

    fn read(&self, range: impl RangeBounds<u64>) -> io::Result<Vec<(u64, Bytes)>> {
        let start = match range.start_bound() {
            Bound::Included(start) => *start,
            Bound::Excluded(before) => before.saturating_add(1),
            Bound::Unbounded => 0,
        };
        let end = match range.end_bound() {
            Bound::Included(last) => last.saturating_add(1),
            Bound::Excluded(end) => *end,
            Bound::Unbounded => u64::MAX,
        };
        self.store.read(start..end).map_err(io::Error::other)
    }
}

fn decode_entries(records: Vec<(u64, Bytes)>) -> io::Result<Vec<Entry>> {
    let entries = records.into_iter().map(|(index, record)| codec::entry_of_record(index, record));
    entries.collect::<Result<_, _>>().map_err(io::Error::other)
}

/// A callback and the future that completes with it.
fn durable() -> (OnDurable, impl Future<Output = io::Result<()>> + Send) {
    let (sender, receiver) = oneshot::channel();
    let on_durable: OnDurable = Box::new(move |outcome| {
        // The caller may have been cancelled; the write stands all the same.
        drop(sender.send(outcome));
    });
    let wait = async move {
        match receiver.await {
            Ok(outcome) => outcome.map_err(io::Error::other),
            Err(_) => Err(io::Error::other(storage::StorageError::Closed)),
        }
    };
    (on_durable, wait)
}

impl<RT: AsyncRuntime> RaftLogReader<Types<RT>> for LogAdapter<RT> {
    async fn try_get_log_entries<RB: RangeBounds<u64> + Clone + Debug + OptionalSend>(
        &mut self,
        range: RB,
    ) -> Result<Vec<Entry>, io::Error> {
        decode_entries(self.read(range)?)
    }

    async fn limited_get_log_entries(
        &mut self,
        start: u64,
        end: u64,
    ) -> Result<Vec<Entry>, io::Error> {
        let mut records = self.read(start..end)?;
        let mut bytes = 0;
        let mut fits = |(_, record): &(u64, Bytes)| {
            bytes += record.len();
            bytes <= READ_BYTES_MAX
        };
        let count = records.iter().take_while(|record| fits(record)).count();
        // openraft needs at least one, however large.
        records.truncate(count.max(1));
        decode_entries(records)
    }

    async fn read_vote(&mut self) -> Result<Option<Vote>, io::Error> {
        let Some(bytes) = self.store.vote() else { return Ok(None) };
        let mut reader = Reader::new("vote", bytes);
        let vote = reader.vote().map_err(io::Error::other)?;
        reader.finish(Some(vote)).map_err(io::Error::other)
    }
}

impl<RT: AsyncRuntime> RaftLogStorage<Types<RT>> for LogAdapter<RT> {
    type LogReader = Self;

    async fn get_log_state(&mut self) -> Result<LogState<Types<RT>>, io::Error> {
        let bounds = self.store.bounds();
        let last_purged_log_id =
            bounds.purged.map(|(_, note)| codec::decode_log_id(note)).transpose();
        let last_purged_log_id = last_purged_log_id.map_err(io::Error::other)?;
        let last = match bounds.last {
            Some(last) => self.read(last..=last)?.pop(),
            None => None,
        };
        let last_log_id = match last {
            Some((index, record)) => {
                Some(codec::log_id_of_record(index, &record).map_err(io::Error::other)?)
            }
            None => last_purged_log_id,
        };
        Ok(LogState { last_purged_log_id, last_log_id })
    }

    async fn get_log_reader(&mut self) -> Self {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &Vote) -> Result<(), io::Error> {
        let (on_durable, durable) = durable();
        let bytes = codec::encode(|writer| {
            writer.vote(vote);
        });
        self.store.save_vote(bytes, on_durable).map_err(io::Error::other)?;
        durable.await
    }

    async fn save_committed(&mut self, committed: Option<LogId>) -> Result<(), io::Error> {
        let Some(committed) = committed else { return Ok(()) };
        self.store
            .put_mark(COMMITTED, codec::encode_log_id(&committed), None)
            .map_err(io::Error::other)
    }

    async fn read_committed(&mut self) -> Result<Option<LogId>, io::Error> {
        let mark = self.store.mark(COMMITTED).map_err(io::Error::other)?;
        mark.map(codec::decode_log_id).transpose().map_err(io::Error::other)
    }

    async fn append<I>(
        &mut self,
        entries: I,
        callback: IOFlushed<Types<RT>>,
    ) -> Result<(), io::Error>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let records: Vec<(u64, Bytes)> = entries
            .into_iter()
            .map(|entry| (entry.log_id.index, codec::record_of_entry(&entry)))
            .collect();
        let on_durable: OnDurable =
            Box::new(move |outcome| callback.io_completed(outcome.map_err(io::Error::other)));
        let appended = self.store.append(records, on_durable).map_err(io::Error::other);
        self.changes.fetch_add(1, Ordering::AcqRel);
        appended
    }

    async fn truncate_after(&mut self, last_log_id: Option<LogId>) -> Result<(), io::Error> {
        let truncated = self.store.truncate_after(last_log_id.map(|id| id.index));
        self.changes.fetch_add(1, Ordering::AcqRel);
        truncated.map_err(io::Error::other)
    }

    async fn purge(&mut self, log_id: LogId) -> Result<(), io::Error> {
        self.store.purge(log_id.index, codec::encode_log_id(&log_id)).map_err(io::Error::other)
    }
}
