//! # The state machine: committed entries on their way into the ledger
//!
//! **Model.** openraft hands over committed entries in order; the ledger's store decodes and applies them. The outcomes
//! of this member's own parcels go to its proposer. What the store has on disk is an image of some earlier moment;
//! after a crash the log brings it up to date.
//!
//! **Rules.** The log is purged only up to the image on disk. A snapshot for a lagging member is made beside
//! `apply`, never in its way.
//!
//! **Hazards.** Before openraft runs, the snapshot that it is shown must be the *image*, not the replayed state, or it
//! would purge what only memory holds. A failure here ends the member: an entry must never be skipped.

use crate::codec;
use crate::types::{
    AppliedMark, Entry, LogId, Payload, Snapshot, SnapshotData, SnapshotMeta, StoredMembership,
    Types,
};
use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use openraft::storage::{ApplyResponder, EntryResponder, RaftSnapshotBuilder, RaftStateMachine};
use openraft::{AsyncRuntime, OptionalSend};
use parking_lot::{Mutex, RwLock};
use replication_ledger::{LedgerView, PastView};
use std::io;
use std::marker::PhantomData;
use std::ops::Deref;
use std::sync::Arc;
use storage::{CommittedEntry, EntryContent, ParcelOutcome, StorageError};

/// Entries that are handed to the ledger's store at once, at most.
const APPLY_ENTRIES_MAX: usize = 64;

/// Where the ledger lives: what this crate asks of storage.
pub trait StateMachineStore: Send + Sync + 'static {
    /// How the state is read.
    type Table: LedgerView;
    /// How the state of one moment is read later.
    type Past: PastView;

    /// The state as applied now. Nothing is applied while it is held.
    fn view(&self) -> impl Deref<Target = Self::Table>;

    /// The present state, to be read later. Blocks for as long as the disk needs to take it; `apply_all` goes on.
    ///
    /// # Errors
    /// If the disk failed.
    fn past(&self) -> Result<Self::Past, StorageError>;

    /// How far the state is.
    fn mark(&self) -> AppliedMark;

    /// Applies entries, in order of index and without holes. One list of parcels per entry.
    ///
    /// # Errors
    /// If the state cannot be changed; the member must stop.
    fn apply_all(
        &self,
        entries: Vec<CommittedEntry>,
    ) -> Result<Vec<Vec<ParcelOutcome>>, StorageError>;

    /// Brings the image on disk up to the present state. Blocks for as long as the disk needs; `apply_all` goes on.
    ///
    /// # Errors
    /// If the disk failed.
    fn flush(&self) -> Result<(), StorageError>;

    /// A snapshot of the state at the moment when it is first read.
    fn snapshot(&self) -> SnapshotData;

    /// A place for the bytes of a snapshot that arrives.
    ///
    /// # Errors
    /// If there is no room.
    fn spool(&self) -> io::Result<Box<dyn SnapshotSpool>>;

    /// Replaces the whole state, on disk too, before it returns.
    ///
    /// # Errors
    /// If the bytes are damaged, or the disk failed.
    fn restore(&self, snapshot: SnapshotData) -> Result<(), StorageError>;
}

/// A snapshot on its way in.
pub trait SnapshotSpool: Send {
    /// Keeps the next chunk.
    ///
    /// # Errors
    /// If there is no room.
    fn write(&mut self, chunk: Bytes) -> io::Result<()>;

    /// The whole snapshot.
    ///
    /// # Errors
    /// If it cannot be read back.
    fn finish(self: Box<Self>) -> io::Result<SnapshotData>;
}

/// Hears what is applied, on the task that applies: it must be quick.
pub(crate) trait AppliedListener: Send + Sync + 'static {
    fn applied(&self, index: u64, parcels: Vec<ParcelOutcome>);
}

/// Called after entries were applied here, or a snapshot was; never with a lock of the ledger held. It runs on the task that
/// applies: it must be quick and must not block.
pub type ChangeListener = Box<dyn Fn() + Send + Sync>;

/// Everybody who wants to look at the state again after it changed.
#[derive(Default)]
pub(crate) struct ChangeListeners(RwLock<Vec<ChangeListener>>);

impl ChangeListeners {
    pub(crate) fn add(&self, listener: ChangeListener) {
        self.0.write().push(listener);
    }

    fn changed(&self) {
        self.0.read().iter().for_each(|listener| listener());
    }
}

/// The state machine as openraft sees it.
pub(crate) struct StateMachine<RT, S> {
    store: Arc<S>,
    listener: Arc<dyn AppliedListener>,
    change_listeners: Arc<ChangeListeners>,
    applied: Arc<Mutex<SnapshotMeta>>,
    /// The image that was found at the start, until openraft runs.
    image_at_start: Arc<Mutex<Option<SnapshotMeta>>>,
    runtime: PhantomData<fn() -> RT>,
}

/// Tells the state machine that openraft has read its initial state.
pub(crate) struct Started(Arc<Mutex<Option<SnapshotMeta>>>);

impl Started {
    pub(crate) fn started(self) {
        *self.0.lock() = None;
    }
}

type Responder<RT> = Option<ApplyResponder<Types<RT>>>;

impl<RT: AsyncRuntime, S: StateMachineStore> StateMachine<RT, S> {
    /// Begins at the image on disk.
    pub(crate) fn open(
        store: Arc<S>,
        listener: Arc<dyn AppliedListener>,
        change_listeners: Arc<ChangeListeners>,
    ) -> io::Result<(StateMachine<RT, S>, Started)> {
        let image = codec::decode_mark(store.mark()).map_err(io::Error::other)?;
        let image_at_start = Arc::new(Mutex::new(Some(image.clone())));
        let started = Started(Arc::clone(&image_at_start));
        let applied = Arc::new(Mutex::new(image));
        let state_machine = StateMachine {
            store,
            listener,
            change_listeners,
            applied,
            image_at_start,
            runtime: PhantomData,
        };
        Ok((state_machine, started))
    }

    fn apply_group(
        &mut self,
        entries: Vec<CommittedEntry>,
        responders: Vec<Responder<RT>>,
    ) -> io::Result<()> {
        let indexes: Vec<u64> = entries.iter().map(|entry| entry.index).collect();
        let outcomes = self.store.apply_all(entries).map_err(io::Error::other)?;
        for (index, parcels) in indexes.into_iter().zip(outcomes) {
            self.listener.applied(index, parcels);
        }
        self.change_listeners.changed();
        for responder in responders.into_iter().flatten() {
            responder.send(());
        }
        Ok(())
    }

    fn committed_entry(&mut self, entry: Entry) -> CommittedEntry {
        let log_id = entry.log_id;
        let mut applied = self.applied.lock();
        applied.last_log_id = Some(log_id);
        let content = match entry.payload {
            Payload::Blank => EntryContent::Blank,
            Payload::Normal(batch) => EntryContent::Batch(batch.0),
            Payload::Membership(membership) => {
                applied.last_membership = StoredMembership::new(Some(log_id), membership);
                let encoded = codec::encode_membership(&applied.last_membership);
                EntryContent::Membership(encoded.to_vec())
            }
        };
        let position = codec::encode_log_id(&log_id).to_vec();
        CommittedEntry { index: log_id.index, position, content }
    }
}

impl<RT: AsyncRuntime, S: StateMachineStore> RaftStateMachine<Types<RT>> for StateMachine<RT, S> {
    type SnapshotData = SnapshotData;
    type SnapshotBuilder = ImageBuilder<RT, S>;

    async fn applied_state(&mut self) -> Result<(Option<LogId>, StoredMembership), io::Error> {
        let applied = self.applied.lock();
        Ok((applied.last_log_id, applied.last_membership.clone()))
    }

    async fn apply<Strm>(&mut self, entries: Strm) -> Result<(), io::Error>
    where
        Strm: Stream<Item = Result<EntryResponder<Types<RT>>, io::Error>> + Unpin + OptionalSend,
    {
        let mut groups = entries.ready_chunks(APPLY_ENTRIES_MAX);
        while let Some(group) = groups.next().await {
            let mut entries = Vec::with_capacity(group.len());
            let mut responders = Vec::with_capacity(group.len());
            for item in group {
                let (entry, responder) = item?;
                entries.push(self.committed_entry(entry));
                responders.push(responder);
            }
            self.apply_group(entries, responders)?;
        }
        Ok(())
    }

    async fn get_snapshot_builder(&mut self) -> Self::SnapshotBuilder {
        let (store, applied) = (Arc::clone(&self.store), Arc::clone(&self.applied));
        ImageBuilder { store, applied, runtime: PhantomData }
    }

    async fn install_snapshot(
        &mut self,
        meta: &SnapshotMeta,
        snapshot: SnapshotData,
    ) -> Result<(), io::Error> {
        self.store.restore(snapshot).map_err(io::Error::other)?;
        *self.applied.lock() = meta.clone();
        self.change_listeners.changed();
        Ok(())
    }

    async fn get_current_snapshot(&mut self) -> Result<Option<Snapshot>, io::Error> {
        let image_at_start = self.image_at_start.lock().clone();
        let meta = image_at_start.unwrap_or_else(|| self.applied.lock().clone());
        if meta.last_log_id.is_none() {
            return Ok(None);
        }
        // What is read from it later ends at `meta` or after it, and says so itself.
        Ok(Some(Snapshot { meta, snapshot: self.store.snapshot() }))
    }
}

/// "Builds a snapshot" in openraft's words: flushes the image, so that the log may be purged up to it.
pub(crate) struct ImageBuilder<RT, S> {
    store: Arc<S>,
    applied: Arc<Mutex<SnapshotMeta>>,
    runtime: PhantomData<fn() -> RT>,
}

impl<RT: AsyncRuntime, S: StateMachineStore> RaftSnapshotBuilder<Types<RT>>
    for ImageBuilder<RT, S>
{
    type SnapshotData = SnapshotData;

    async fn build_snapshot(&mut self) -> Result<Snapshot, io::Error> {
        // An entry in `applied` may still be on its way into the store.
        let applied = self.applied.lock().clone();
        let stored = codec::decode_mark(self.store.mark()).map_err(io::Error::other)?;
        let meta = if stored.last_log_id < applied.last_log_id { stored } else { applied };
        let store = Arc::clone(&self.store);
        blocking::<RT, _>(move || store.flush()).await?.map_err(io::Error::other)?;
        // The image is at `meta` or after it.
        Ok(Snapshot { meta, snapshot: self.store.snapshot() })
    }
}

/// Runs what blocks beside the tasks. A simulated runtime has no threads, and its disks do not block.
pub(crate) async fn blocking<RT: AsyncRuntime, T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> io::Result<T> {
    let work = Arc::new(Mutex::new(Some(work)));
    let take = {
        let work = Arc::clone(&work);
        move || work.lock().take().map(|work| work())
    };
    let done = match RT::spawn_blocking(take).await {
        Err(error) if error.kind() == io::ErrorKind::Unsupported => {
            let work = work.lock().take();
            work.map(|work| work())
        }
        done => done?,
    };
    done.ok_or_else(|| io::Error::other("blocking work was taken twice"))
}

#[cfg(test)]
#[path = "suite_tests.rs"]
mod tests;
