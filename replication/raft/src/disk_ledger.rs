//! The production ledger behind [`StateMachineStore`]: snapshots travel as files.

use crate::state_machine::{SnapshotSpool, StateMachineStore};
use crate::types::{AppliedMark, SnapshotChunks, SnapshotData};
use bytes::Bytes;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use storage::{
    BackupOrigin, CommittedEntry, LedgerStore, ParcelOutcome, Past, StorageError, Table,
    snapshot_summary,
};

/// Bytes of one chunk of a snapshot.
const CHUNK_BYTES: usize = 256 << 10;

/// The ledger of a data directory. Clones share it.
#[derive(Clone)]
pub struct DiskLedger {
    store: LedgerStore,
    spool_dir: Arc<PathBuf>,
    next_file: Arc<AtomicU64>,
}

impl DiskLedger {
    /// Opens the ledger of a data directory. Snapshots that a crash left half-way are removed.
    ///
    /// # Errors
    /// See [`LedgerStore::open`].
    pub fn open(data_dir: &Path) -> Result<DiskLedger, StorageError> {
        let store = LedgerStore::open(data_dir)?;
        let spool_dir = data_dir.join("snapshots");
        // Nothing in there outlives the process that wrote it. If it cannot be made, the first snapshot says so.
        drop(fs::remove_dir_all(&spool_dir));
        drop(fs::create_dir_all(&spool_dir));
        Ok(DiskLedger { store, spool_dir: Arc::new(spool_dir), next_file: Arc::default() })
    }

    /// The store itself: indexes, audit.
    pub fn store(&self) -> &LedgerStore {
        &self.store
    }

    /// The present state as a backup, to be read from its beginning. The file goes with its reader. Blocks.
    ///
    /// # Errors
    /// If the disk fails.
    pub fn backup(&self, origin: &BackupOrigin) -> Result<File, StorageError> {
        let file = self.new_file();
        self.store.write_backup(&file.0, origin)?;
        let read = |source| StorageError::Read {
            database: "ledger",
            what: "a backup",
            source: Arc::new(source),
        };
        // Open, it outlives its name.
        File::open(&file.0).map_err(read)
    }

    fn new_file(&self) -> SpoolFile {
        let number = self.next_file.fetch_add(1, Ordering::Relaxed);
        SpoolFile(self.spool_dir.join(format!("{number}.snapshot")))
    }
}

impl Deref for DiskLedger {
    type Target = LedgerStore;

    fn deref(&self) -> &LedgerStore {
        &self.store
    }
}

/// A file that goes with its last user.
struct SpoolFile(PathBuf);

impl Drop for SpoolFile {
    fn drop(&mut self) {
        // It may never have been written.
        drop(fs::remove_file(&self.0));
    }
}

impl StateMachineStore for DiskLedger {
    type Table = Table;
    type Past = Past;

    fn view(&self) -> impl Deref<Target = Table> {
        self.store.view()
    }

    fn past(&self) -> Result<Past, StorageError> {
        self.store.past()
    }

    fn mark(&self) -> AppliedMark {
        // In this order: a membership newer than the position does no harm, an older one would lose a change.
        let position = self.store.position();
        AppliedMark { position, membership: self.store.membership() }
    }

    fn apply_all(
        &self,
        entries: Vec<CommittedEntry>,
    ) -> Result<Vec<Vec<ParcelOutcome>>, StorageError> {
        self.store.apply_all(entries)
    }

    fn flush(&self) -> Result<(), StorageError> {
        self.store.flush().map(drop)
    }

    fn snapshot(&self) -> SnapshotData {
        let file = self.new_file();
        Box::new(FileSnapshot { build: Some(self.store.clone()), file, reader: None })
    }

    fn spool(&self) -> io::Result<Box<dyn SnapshotSpool>> {
        let file = self.new_file();
        let writer = File::create(&file.0)?;
        Ok(Box::new(FileSpool { file, writer }))
    }

    fn restore(&self, snapshot: SnapshotData) -> Result<(), StorageError> {
        let failed = |error| StorageError::Write {
            database: "ledger",
            operation: "snapshot",
            source: Arc::new(error),
        };
        let mut snapshot = snapshot;
        snapshot.prepare().map_err(failed)?;
        let mut spool = FileSpool::create(self.new_file()).map_err(failed)?;
        while let Some(chunk) = snapshot.next_chunk().map_err(failed)? {
            spool.write(chunk).map_err(failed)?;
        }
        self.store.restore_snapshot(&spool.file.0).map(drop)
    }
}

/// A snapshot that is written to a file when it is first asked for, or has arrived in one.
struct FileSnapshot {
    build: Option<LedgerStore>,
    file: SpoolFile,
    reader: Option<File>,
}

impl SnapshotChunks for FileSnapshot {
    fn prepare(&mut self) -> io::Result<AppliedMark> {
        let summary = match self.build.take() {
            Some(store) => store.build_snapshot(&self.file.0),
            None => snapshot_summary(&self.file.0),
        };
        let summary = summary.map_err(io::Error::other)?;
        self.reader = Some(File::open(&self.file.0)?);
        Ok(AppliedMark { position: summary.position, membership: summary.membership })
    }

    fn next_chunk(&mut self) -> io::Result<Option<Bytes>> {
        let Some(reader) = &mut self.reader else {
            return Err(io::Error::other("a snapshot is prepared before it is read"));
        };
        let mut chunk = Vec::with_capacity(CHUNK_BYTES);
        reader.take(CHUNK_BYTES as u64).read_to_end(&mut chunk)?;
        Ok((!chunk.is_empty()).then(|| chunk.into()))
    }
}

struct FileSpool {
    file: SpoolFile,
    writer: File,
}

impl FileSpool {
    fn create(file: SpoolFile) -> io::Result<FileSpool> {
        let writer = File::create(&file.0)?;
        Ok(FileSpool { file, writer })
    }
}

impl SnapshotSpool for FileSpool {
    fn write(&mut self, chunk: Bytes) -> io::Result<()> {
        self.writer.write_all(&chunk)
    }

    fn finish(self: Box<Self>) -> io::Result<SnapshotData> {
        Ok(Box::new(FileSnapshot { build: None, file: self.file, reader: None }))
    }
}
