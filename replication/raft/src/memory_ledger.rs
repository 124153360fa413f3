//! A ledger in memory behind [`StateMachineStore`], for tests and simulation. Its "disk" is a copy that only `flush` changes.

use crate::state_machine::{SnapshotSpool, StateMachineStore};
use crate::types::{AppliedMark, SnapshotChunks, SnapshotData};
use bytes::Bytes;
use parking_lot::{MappedRwLockReadGuard, RwLock, RwLockReadGuard};
use replication_ledger::{
    Binding, BindingKey, Globals, LedgerTable, LedgerView, MapPast, MapTable, NameEntry, Octets,
    VpnAddress,
};
use std::io;
use std::ops::Deref;
use std::sync::Arc;
use storage::{CommittedEntry, EntryContent, ParcelOutcome, StorageError, encoding};

/// Bytes of one chunk of a snapshot.
const CHUNK_BYTES: usize = 64 << 10;

/// The plain ledger table with what replication needs around it. Clones share it.
#[derive(Clone, Default)]
pub struct MemoryLedger {
    inner: Arc<Inner>,
}

#[derive(Default)]
struct Inner {
    state: RwLock<State>,
    image: RwLock<Bytes>,
}

#[derive(Default)]
struct State {
    table: MapTable,
    mark: AppliedMark,
}

type Encoded =
    (Option<Vec<u8>>, Option<Vec<u8>>, Globals, Vec<Binding>, Vec<Identifier>, Vec<NameEntry>);
/// A Remote-ID (true) or a Relay-ID.
type Identifier = (bool, Octets);

impl MemoryLedger {
    /// Power failure: the ledger that a restart finds, as last flushed.
    ///
    /// # Errors
    /// Never, unless this program contradicts itself.
    pub fn crash(&self) -> Result<MemoryLedger, StorageError> {
        let image = self.inner.image.read().clone();
        let recovered = MemoryLedger::default();
        if !image.is_empty() {
            *recovered.inner.state.write() = State::decode(&image)?;
            *recovered.inner.image.write() = image;
        }
        Ok(recovered)
    }

    fn encoded(&self) -> Bytes {
        self.inner.state.read().encode()
    }
}

impl State {
    fn encode(&self) -> Bytes {
        let bindings: Vec<Binding> = self.table.bindings_from(VpnAddress::FIRST).cloned().collect();
        let (position, membership) = (self.mark.position.clone(), self.mark.membership.clone());
        let globals = self.table.globals().clone();
        let remembered = self.table.remembered().filter_map(|key| match key {
            BindingKey::RemoteId(value) => Some((true, value.clone())),
            BindingKey::RelayId(value) => Some((false, value.clone())),
            BindingKey::Hardware(_) | BindingKey::ClientIdentifier(_) => None,
        });
        let names = self.table.names().from(VpnAddress::FIRST);
        let names = names.map(|entry| NameEntry::clone(entry)).collect();
        let encoded: Encoded =
            (position, membership, globals, bindings, remembered.collect(), names);
        encoding::encode(&encoded).into()
    }

    fn decode(bytes: &[u8]) -> Result<State, StorageError> {
        let (position, membership, globals, bindings, remembered, names): Encoded =
            encoding::decode(bytes, "ledger snapshot")?;
        let mut table = MapTable::default();
        for binding in bindings {
            table.put(binding);
        }
        *table.globals_mut() = globals;
        for entry in names {
            table.set_names(entry.address, Some(entry));
        }
        table.remember(remembered.into_iter().map(|(is_remote_id, value)| match is_remote_id {
            true => BindingKey::RemoteId(value),
            false => BindingKey::RelayId(value),
        }));
        Ok(State { table, mark: AppliedMark { position, membership } })
    }

    fn apply(&mut self, entry: CommittedEntry) -> Result<Vec<ParcelOutcome>, StorageError> {
        self.mark.position = Some(entry.position);
        let batch = match entry.content {
            EntryContent::Blank => return Ok(Vec::new()),
            EntryContent::Membership(membership) => {
                self.mark.membership = Some(membership);
                return Ok(Vec::new());
            }
            EntryContent::Batch(bytes) => encoding::decode_batch(&bytes)?,
        };
        let senders: Vec<_> = batch.parcels.iter().map(|p| (p.member, p.sequence)).collect();
        let outcomes = replication_ledger::apply(&mut self.table, entry.index, batch);
        let parcels = senders.into_iter().zip(outcomes);
        Ok(parcels
            .map(|((member, sequence), outcomes)| ParcelOutcome { member, sequence, outcomes })
            .collect())
    }
}

impl StateMachineStore for MemoryLedger {
    type Table = MapTable;
    type Past = MapPast;

    fn view(&self) -> impl Deref<Target = MapTable> {
        let guard: MappedRwLockReadGuard<'_, MapTable> =
            RwLockReadGuard::map(self.inner.state.read(), |state| &state.table);
        guard
    }

    fn past(&self) -> Result<MapPast, StorageError> {
        Ok(self.inner.state.read().table.past())
    }

    fn mark(&self) -> AppliedMark {
        self.inner.state.read().mark.clone()
    }

    fn apply_all(
        &self,
        entries: Vec<CommittedEntry>,
    ) -> Result<Vec<Vec<ParcelOutcome>>, StorageError> {
        let mut state = self.inner.state.write();
        entries.into_iter().map(|entry| state.apply(entry)).collect()
    }

    fn flush(&self) -> Result<(), StorageError> {
        *self.inner.image.write() = self.encoded();
        Ok(())
    }

    fn snapshot(&self) -> SnapshotData {
        Box::new(MemorySnapshot { ledger: Some(self.clone()), bytes: Bytes::new() })
    }

    fn spool(&self) -> io::Result<Box<dyn SnapshotSpool>> {
        Ok(Box::new(MemorySpool(Vec::new())))
    }

    fn restore(&self, mut snapshot: SnapshotData) -> Result<(), StorageError> {
        let read = |error| StorageError::Read {
            database: "ledger",
            what: "snapshot",
            source: Arc::new(error),
        };
        snapshot.prepare().map_err(read)?;
        let mut bytes = Vec::new();
        while let Some(chunk) = snapshot.next_chunk().map_err(read)? {
            bytes.extend_from_slice(&chunk);
        }
        *self.inner.state.write() = State::decode(&bytes)?;
        *self.inner.image.write() = bytes.into();
        Ok(())
    }
}

/// The bytes of a snapshot: of a ledger until it is asked for, then its own.
struct MemorySnapshot {
    ledger: Option<MemoryLedger>,
    bytes: Bytes,
}

impl SnapshotChunks for MemorySnapshot {
    fn prepare(&mut self) -> io::Result<AppliedMark> {
        if let Some(ledger) = self.ledger.take() {
            self.bytes = ledger.encoded();
        }
        let state = State::decode(&self.bytes).map_err(io::Error::other)?;
        Ok(state.mark)
    }

    fn next_chunk(&mut self) -> io::Result<Option<Bytes>> {
        let chunk = self.bytes.split_to(self.bytes.len().min(CHUNK_BYTES));
        Ok((!chunk.is_empty()).then_some(chunk))
    }
}

struct MemorySpool(Vec<u8>);

impl SnapshotSpool for MemorySpool {
    fn write(&mut self, chunk: Bytes) -> io::Result<()> {
        self.0.extend_from_slice(&chunk);
        Ok(())
    }

    fn finish(self: Box<Self>) -> io::Result<SnapshotData> {
        Ok(Box::new(MemorySnapshot { ledger: None, bytes: self.0.into() }))
    }
}
