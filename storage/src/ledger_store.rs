//! # The ledger store: applied state in memory, its image on disk
//!
//! **Problem.** The packet path must never wait for a disk to read, applying an entry must never wait for a disk to write, and
//! after a crash the state must be exactly that of some log index, with everything after it still in the log.
//!
//! **Model.** [`Table`] in memory is the state. An *image* of it goes to RocksDB in the background: every
//! write of an image is one atomic batch of what changed since the one before, with the log position it belongs to. The
//! database has no write-ahead log; all column families are flushed together, so what is found after a crash is
//! some image, whole. The log replays the rest, and may be purged only up to what [`LedgerStore::flush`] returned.
//!
//! **Who may change what.** `apply_all` (one caller, replication) changes the table. The image thread and `flush` write the database,
//! one at a time. `restore_snapshot` replaces both: it fills a new directory and then moves one pointer file.
//!
//! **Hazards.** Crash while an image is written: the older image and the log. Crash while restoring: the pointer still
//! names the old directory, the half-filled one is removed at the next start. A failing disk: the error is kept and every
//! later `apply_all` returns it, so the member stops serving.
//!
//! **Absent on purpose.** No fsync on the way to a reply: that is the log's.

use crate::checkpoint::{self, SnapshotReader};
use crate::generations::{
    OpenDatabase, current_generation, generation_dir, point_to, remove_other_generations,
};
use crate::image::{
    DATABASE, Record, address_of, audit_names, column_family, flush_database, index_key_of,
    open_database, read_meta, read_names, without_wal, write_identifiers, write_meta, write_names,
};
use crate::schema::ledger as schema;
use crate::table::Table;
use crate::{IndexKey, StorageError, encoding};
use bytes::Bytes;
use parking_lot::{Condvar, MappedRwLockReadGuard, Mutex, RwLock, RwLockReadGuard};
use replication_ledger::{BindingKey, LedgerView, MemberId, Outcome, Stamp, VpnAddress};
use rocksdb::{DB, IteratorMode, WriteBatch};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// An image is written when so many records changed …
const IMAGE_CHANGED_LEN: usize = 2048;
/// … or when so much time has passed.
const IMAGE_PERIOD: Duration = Duration::from_millis(200);
/// Records that an image copies under one lock: some ten microseconds.
const IMAGE_PORTION_LEN: usize = 128;
/// Entries applied under one lock, so that readers get their turn while a long log is replayed.
const APPLY_CHUNK_LEN: usize = 64;

/// One committed log entry on its way into the ledger.
#[derive(Clone, Debug)]
pub struct CommittedEntry {
    /// Its log index.
    pub index: u64,
    /// How replication names it; given back by [`LedgerStore::position`] after a restart.
    pub position: Vec<u8>,
    /// What it holds.
    pub content: EntryContent,
}

/// What a log entry holds, as far as the ledger cares.
#[derive(Clone, Debug)]
pub enum EntryContent {
    /// An encoded [`replication_ledger::Batch`].
    Batch(Bytes),
    /// A membership as replication wrote it.
    Membership(Vec<u8>),
    /// Nothing.
    Blank,
}

/// What became of one parcel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParcelOutcome {
    /// Who sent it.
    pub member: MemberId,
    /// The sender's count.
    pub sequence: u64,
    /// One per command.
    pub outcomes: Vec<Outcome>,
}

/// The applied state of one member.
#[derive(Clone)]
pub struct LedgerStore {
    inner: Arc<Inner>,
}

struct Inner {
    data_dir: PathBuf,
    state: RwLock<State>,
    /// Held by whoever writes the database, for as long as it does.
    database: Mutex<Database>,
    flushed_index: AtomicU64,
    failure: Mutex<Option<StorageError>>,
    signal: Arc<Signal>,
}

/// Tells the image thread that there is enough to write.
#[derive(Default)]
struct Signal {
    raised: Mutex<bool>,
    changed: Condvar,
}

impl Signal {
    fn raise(&self) {
        *self.raised.lock() = true;
        self.changed.notify_one();
    }

    /// Until it is raised or [`IMAGE_PERIOD`] has passed.
    fn wait(&self) {
        let mut raised = self.raised.lock();
        if !*raised {
            self.changed.wait_for(&mut raised, IMAGE_PERIOD);
        }
        *raised = false;
    }
}

#[derive(Default)]
struct State {
    table: Table,
    position: Option<Vec<u8>>,
    membership: Option<Vec<u8>>,
    index: u64,
}

pub(crate) struct Database {
    pub(crate) db: Arc<OpenDatabase>,
    generation: u64,
}

/// What the small part of an image says; also the head of a snapshot.
#[derive(Clone, serde::Serialize, serde::Deserialize)]
pub(crate) struct Head {
    pub(crate) index: u64,
    pub(crate) ledger_index: u64,
    pub(crate) stamp: Stamp,
    pub(crate) position: Option<Vec<u8>>,
    pub(crate) membership: Option<Vec<u8>>,
}

impl LedgerStore {
    /// Opens the ledger of a data directory, creating it if there is none, and loads it into memory.
    ///
    /// # Errors
    /// [`StorageError::Open`], [`StorageError::ForeignFormat`], [`StorageError::Corrupt`] or a failed read.
    pub fn open(data_dir: &Path) -> Result<LedgerStore, StorageError> {
        let generation = current_generation(data_dir)?;
        remove_other_generations(data_dir, generation);
        let path = generation_dir(data_dir, generation);
        let db = Arc::new(OpenDatabase::new(open_database(&path)?, path));
        if generation == 1 {
            point_to(data_dir, generation)?;
        }
        let state = load(&db)?;
        let flushed_index = AtomicU64::new(state.index);
        let inner = Arc::new(Inner {
            data_dir: data_dir.to_owned(),
            state: RwLock::new(state),
            database: Mutex::new(Database { db, generation }),
            flushed_index,
            failure: Mutex::new(None),
            signal: Arc::default(),
        });
        let store = LedgerStore { inner };
        store.start_image_thread()?;
        Ok(store)
    }

    /// Applies committed entries, in order of index and without holes. One list of parcels per entry.
    ///
    /// # Errors
    /// [`StorageError::Corrupt`] if an entry cannot be read, or the error with which an image failed earlier. The member must
    /// stop serving then.
    pub fn apply_all(
        &self,
        entries: Vec<CommittedEntry>,
    ) -> Result<Vec<Vec<ParcelOutcome>>, StorageError> {
        if let Some(failure) = self.inner.failure.lock().clone() {
            return Err(failure);
        }
        let mut outcomes = Vec::with_capacity(entries.len());
        let mut entries = entries.into_iter().peekable();
        while entries.peek().is_some() {
            let chunk = entries.by_ref().take(APPLY_CHUNK_LEN);
            let chunk: Vec<Decoded> = chunk.map(decode_entry).collect::<Result<_, _>>()?;
            let mut state = self.inner.state.write();
            outcomes.extend(chunk.into_iter().map(|entry| state.apply(entry)));
            let changed_len = state.table.changed_len();
            drop(state);
            if changed_len >= IMAGE_CHANGED_LEN {
                self.wake_image_thread();
            }
        }
        Ok(outcomes)
    }

    /// The applied state, to read for a short while: nothing is applied meanwhile.
    pub fn view(&self) -> MappedRwLockReadGuard<'_, Table> {
        RwLockReadGuard::map(self.inner.state.read(), |state| &state.table)
    }

    /// The last applied entry as replication named it.
    pub fn position(&self) -> Option<Vec<u8>> {
        self.inner.state.read().position.clone()
    }

    /// The last applied membership as replication wrote it.
    pub fn membership(&self) -> Option<Vec<u8>> {
        self.inner.state.read().membership.clone()
    }

    /// Up to which log index the state would be found after a crash now.
    pub fn flushed_index(&self) -> u64 {
        self.inner.flushed_index.load(Ordering::Acquire)
    }

    /// Puts the present state on the disk for good and returns its log index. Blocks for as long as that takes, readers and
    /// `apply_all` go on.
    ///
    /// # Errors
    /// [`StorageError::Write`]; the member must stop serving.
    pub fn flush(&self) -> Result<u64, StorageError> {
        let (db, index) = {
            let database = self.inner.database.lock();
            let index = self.write_image(&database)?;
            (Arc::clone(&database.db), index)
        };
        // Without the lock: a flush after a long load takes many seconds, and whoever wants the past would wait for it.
        // Images written meanwhile are on the disk whole or not at all, and none is older than `index`.
        flush_database(&db).map_err(|error| self.failed(error))?;
        self.inner.flushed_index.fetch_max(index, Ordering::AcqRel);
        Ok(index)
    }

    /// The addresses of all bindings with this value, ascending, as of now.
    ///
    /// # Errors
    /// [`StorageError::Write`] or [`StorageError::Read`].
    pub fn addresses_by(
        &self,
        index: IndexKey,
        value: &[u8],
    ) -> Result<Vec<VpnAddress>, StorageError> {
        let db = self.with_image(|db| Ok(Arc::clone(db)))?;
        let prefix = schema::index_prefix(value);
        let family = column_family(&db, index.column_family())?;
        let mode = IteratorMode::From(&prefix, rocksdb::Direction::Forward);
        let mut addresses = Vec::new();
        for entry in db.iterator_cf(family, mode) {
            let (key, _) = entry.map_err(|e| StorageError::read(DATABASE, "an index", e))?;
            let Some(address) = key.strip_prefix(&prefix[..]) else { break };
            addresses.push(address_of(address)?);
        }
        // Entries applied since the image may have changed a record: memory has the last word.
        let view = self.view();
        let still = |address: &VpnAddress| {
            view.binding(*address).and_then(|b| index.value_of(b)).as_deref() == Some(value)
        };
        Ok(addresses.into_iter().filter(still).collect())
    }

    /// Compares every record on disk with every index and with memory. For tests and for an operator in doubt.
    ///
    /// # Errors
    /// [`StorageError::Corrupt`] names what does not agree.
    pub fn audit(&self) -> Result<(), StorageError> {
        let database = self.inner.database.lock();
        self.write_image(&database)?;
        let view = self.view();
        let db = &database.db;
        let identifiers = column_family(db, schema::IDENTIFIERS)?;
        let mut expected: Vec<Vec<Vec<u8>>> = vec![Vec::new(); IndexKey::ALL.len()];
        let mut records = 0;
        let family = column_family(db, schema::BINDINGS)?;
        for record in db.iterator_cf(family, IteratorMode::Start) {
            let (_, value) = record.map_err(|e| StorageError::read(DATABASE, "a binding", e))?;
            let binding = encoding::decode_binding(&value)?;
            if view.binding(binding.address) != Some(&binding) {
                return Err(StorageError::Corrupt { what: "a binding that differs from memory" });
            }
            for (keys, index) in expected.iter_mut().zip(IndexKey::ALL) {
                keys.extend(index_key_of(index, &binding));
            }
            for key in
                BindingKey::remembered_of(&binding).filter_map(|k| schema::identifier_key(&k))
            {
                if !matches!(db.get_pinned_cf(identifiers, key), Ok(Some(_))) {
                    return Err(StorageError::Corrupt { what: "an identifier that was forgotten" });
                }
            }
            records += 1;
        }
        if records != view.bindings_len() {
            return Err(StorageError::Corrupt { what: "the number of bindings" });
        }
        audit_names(db, view.names())?;
        for (keys, index) in expected.iter_mut().zip(IndexKey::ALL) {
            keys.sort();
            let family = column_family(db, index.column_family())?;
            let found = db.iterator_cf(family, IteratorMode::Start);
            let found: Result<Vec<Vec<u8>>, _> =
                found.map(|entry| entry.map(|(key, _)| key.into_vec())).collect();
            if found.map_err(|e| StorageError::read(DATABASE, "an index", e))? != *keys {
                return Err(StorageError::Corrupt {
                    what: "an index that differs from its records",
                });
            }
        }
        Ok(())
    }

    /// Reads the database with everything applied so far in it, before another image is written.
    pub(crate) fn with_image<R>(
        &self,
        read: impl FnOnce(&Arc<OpenDatabase>) -> Result<R, StorageError>,
    ) -> Result<R, StorageError> {
        let database = self.inner.database.lock();
        self.write_image(&database)?;
        read(&database.db)
    }

    /// Puts a snapshot in the place of everything.
    pub(crate) fn replace_database(
        &self,
        head: &Head,
        (globals, settings): (&[u8], &[u8]),
        records: &mut SnapshotReader,
    ) -> Result<(), StorageError> {
        let mut database = self.inner.database.lock();
        let generation = database.generation + 1;
        let path = generation_dir(&self.inner.data_dir, generation);
        let _ = std::fs::remove_dir_all(&path);
        let db = Arc::new(OpenDatabase::new(open_database(&path)?, path));
        let write = |batch| {
            db.write_opt(batch, &without_wal())
                .map_err(|source| StorageError::write(DATABASE, "snapshot", source))
        };
        checkpoint::fill(&db, records, write)?;
        let mut batch = WriteBatch::default();
        write_meta(&db, &mut batch, head, Some(globals), Some(settings))?;
        write(batch)?;
        flush_database(&db)?;
        let state = load(&db)?;
        // Durable, then in force: a crash before this line leaves the old state, after it the new one.
        point_to(&self.inner.data_dir, generation)?;
        self.inner.flushed_index.store(state.index, Ordering::Release);
        *self.inner.state.write() = state;
        let old = std::mem::replace(&mut *database, Database { db, generation });
        old.db.supersede();
        Ok(())
    }

    /// Writes what changed since the last image, as one atomic batch. The caller holds the database.
    fn write_image(&self, database: &Database) -> Result<u64, StorageError> {
        // Once begun, the table counts its records as written: if it fails, so does the whole member.
        self.try_write_image(&database.db).map_err(|error| self.failed(error))
    }

    fn try_write_image(&self, db: &DB) -> Result<u64, StorageError> {
        let (head, beginning) = {
            let mut state = self.inner.state.write();
            (state.head(), state.table.begin_image())
        };
        let mut batch = WriteBatch::default();
        write_identifiers(db, &mut batch, &beginning.identifiers)?;
        write_names(beginning.version, db, &mut batch, &beginning.names)?;
        let (globals, settings) = (beginning.globals.as_deref(), beginning.settings.as_deref());
        write_meta(db, &mut batch, &head, globals, settings)?;
        loop {
            // Locked for this line only: entries are applied while records are encoded.
            let records = self.inner.state.write().table.take_imaged(IMAGE_PORTION_LEN);
            if records.is_empty() {
                break;
            }
            for record in records {
                Record::of(beginning.version, &record.binding, record.replaces)
                    .write(db, &mut batch)?;
            }
        }
        db.write_opt(batch, &without_wal())
            .map_err(|source| StorageError::write(DATABASE, "image", source))?;
        Ok(head.index)
    }

    fn failed(&self, error: StorageError) -> StorageError {
        self.inner.failure.lock().get_or_insert_with(|| error.clone());
        error
    }

    fn wake_image_thread(&self) {
        self.inner.signal.raise();
    }

    fn start_image_thread(&self) -> Result<(), StorageError> {
        // Weak, so that the thread ends soon after the last handle is gone. It holds the signal, not the store, while
        // it waits.
        let (inner, signal) = (Arc::downgrade(&self.inner), Arc::clone(&self.inner.signal));
        let thread = move || {
            loop {
                signal.wait();
                let Some(inner) = inner.upgrade() else { return };
                if (LedgerStore { inner }).image().is_err() {
                    return;
                }
            }
        };
        std::thread::Builder::new()
            .name("ledger-image".into())
            .spawn(thread)
            .map(drop)
            .map_err(|source| StorageError::write(DATABASE, "start of the image thread", source))
    }

    fn image(&self) -> Result<(), StorageError> {
        let database = self.inner.database.lock();
        self.write_image(&database).map(drop)
    }
}

impl State {
    fn apply(&mut self, entry: Decoded) -> Vec<ParcelOutcome> {
        self.index = entry.index;
        self.position = Some(entry.position);
        let batch = match entry.content {
            DecodedContent::Blank => return Vec::new(),
            DecodedContent::Membership(membership) => {
                self.membership = Some(membership);
                return Vec::new();
            }
            DecodedContent::Batch(batch) => batch,
        };
        let senders: Vec<_> = batch.parcels.iter().map(|p| (p.member, p.sequence)).collect();
        let outcomes = replication_ledger::apply(&mut self.table, entry.index, batch);
        let parcels = senders.into_iter().zip(outcomes);
        parcels
            .map(|((member, sequence), outcomes)| ParcelOutcome { member, sequence, outcomes })
            .collect()
    }

    fn head(&self) -> Head {
        Head {
            index: self.index,
            ledger_index: self.table.globals().applied_index,
            stamp: self.table.globals().stamp,
            position: self.position.clone(),
            membership: self.membership.clone(),
        }
    }
}

struct Decoded {
    index: u64,
    position: Vec<u8>,
    content: DecodedContent,
}

enum DecodedContent {
    Batch(replication_ledger::Batch),
    Membership(Vec<u8>),
    Blank,
}

fn decode_entry(entry: CommittedEntry) -> Result<Decoded, StorageError> {
    let content = match entry.content {
        EntryContent::Batch(bytes) => DecodedContent::Batch(encoding::decode_batch(&bytes)?),
        EntryContent::Membership(membership) => DecodedContent::Membership(membership),
        EntryContent::Blank => DecodedContent::Blank,
    };
    Ok(Decoded { index: entry.index, position: entry.position, content })
}

fn load(db: &DB) -> Result<State, StorageError> {
    let Some((head, globals)) = read_meta(db)? else { return Ok(State::default()) };
    let mut failure = None;
    let records = db.iterator_cf(column_family(db, schema::BINDINGS)?, IteratorMode::Start);
    let bindings = records.map_while(|record| {
        let binding = record
            .map_err(|e| StorageError::read(DATABASE, "a binding", e))
            .and_then(|(_, value)| encoding::decode_binding(&value));
        binding.map_err(|error| failure = Some(error)).ok()
    });
    let mut table = Table::from_image(globals, bindings);
    read_names(db, |entry| table.load_names(entry))?;
    let Head { position, membership, index, .. } = head;
    failure.map_or(Ok(State { table, position, membership, index }), Err)
}

#[cfg(test)]
#[path = "ledger_store_tests.rs"]
pub(crate) mod tests;
