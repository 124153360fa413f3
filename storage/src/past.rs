//! # The ledger as it was at one moment
//!
//! **Problem.** A bulk leasequery is answered from one state however slowly its requestor reads, while the present moves on.
//!
//! **Model.** An image is written up to now, and a snapshot of the database is taken before another image can be. RocksDB keeps
//! what the snapshot shows for as long as it is held; nothing is copied.
//!
//! **Rules.** What is held is the database that was in force then. A restored snapshot of another member comes into force
//! beside it; the old directory goes when its last [`Past`] goes.
//!
//! **Hazards.** A `Past` that is held for hours keeps old versions of records on disk, and the database open: a store cannot
//! be opened again in this directory before it is gone.

use crate::generations::OpenDatabase;
use crate::image::{DATABASE, address_key, address_of, column_family};
use crate::ledger_store::Head;
use crate::schema::ledger as schema;
use crate::{LedgerStore, StorageError, encoding};
use replication_ledger::{Binding, BindingKey, PastLost, PastView, VpnAddress};
use rocksdb::{Direction, IteratorMode, ReadOptions, Snapshot};
use std::error::Error;
use std::sync::Arc;

/// One state of the ledger on disk. Made by [`LedgerStore::past`].
pub struct Past {
    moment: Moment,
    index: u64,
}

self_cell::self_cell!(
    /// A snapshot together with the database that it borrows from.
    struct Moment {
        owner: Arc<OpenDatabase>,
        #[covariant]
        dependent: Snapshot,
    }
);

impl LedgerStore {
    /// The present state, to be read later. Blocks while it writes an image, for milliseconds under load; readers and
    /// `apply_all` go on.
    ///
    /// # Errors
    /// [`StorageError::Write`] or [`StorageError::Read`].
    pub fn past(&self) -> Result<Past, StorageError> {
        self.with_image(|db| {
            let moment = Moment::new(Arc::clone(db), |db| db.snapshot());
            let meta = column_family(db, schema::META)?;
            let head = moment.borrow_dependent().get_cf(meta, schema::HEAD);
            let head =
                head.map_err(|e| StorageError::read(DATABASE, "the head of the image", e))?;
            let head = head.ok_or(StorageError::Corrupt { what: "the head of the image" })?;
            let head: Head = encoding::decode(&head, "the head of the image")?;
            Ok(Past { moment, index: head.ledger_index })
        })
    }
}

impl Past {
    fn read_binding(&self, address: VpnAddress) -> Result<Option<Binding>, StorageError> {
        let (db, snapshot) = (self.moment.borrow_owner(), self.moment.borrow_dependent());
        let record = snapshot
            .get_pinned_cf(column_family(db, schema::BINDINGS)?, address_key(address))
            .map_err(|e| StorageError::read(DATABASE, "a binding", e))?;
        record.map(|record| encoding::decode_binding(&record)).transpose()
    }

    fn read_addresses(
        &self,
        key: &BindingKey,
        after: Option<VpnAddress>,
        limit: usize,
    ) -> Result<Vec<VpnAddress>, StorageError> {
        let (db, snapshot) = (self.moment.borrow_owner(), self.moment.borrow_dependent());
        let (index, value) = schema::index_value(key);
        let family = column_family(db, index.column_family())?;
        let prefix = schema::index_prefix(&value);
        let key_of = |address: VpnAddress| [&prefix[..], &address_key(address)].concat();
        let first = match after.map(|after| after.to_bits().checked_add(1)) {
            None => VpnAddress::FIRST,
            Some(Some(next)) => VpnAddress::from_bits(next),
            Some(None) => return Ok(Vec::new()),
        };
        // The end is no key: it follows the last address of this value.
        let end = [&key_of(VpnAddress::LAST)[..], &[0]].concat();
        let mut options = ReadOptions::default();
        options.set_iterate_upper_bound(end);
        let first = key_of(first);
        let mode = IteratorMode::From(&first, Direction::Forward);
        let entries = snapshot.iterator_cf_opt(family, options, mode).take(limit);
        let addresses = entries.map(|entry| {
            let (key, _) = entry.map_err(|e| StorageError::read(DATABASE, "an index", e))?;
            address_of(key.get(prefix.len()..).unwrap_or_default())
        });
        addresses.collect()
    }

    fn read_knows(&self, key: &BindingKey) -> Result<bool, StorageError> {
        let Some(identifier) = schema::identifier_key(key) else {
            return self.read_addresses(key, None, 1).map(|found| !found.is_empty());
        };
        let (db, snapshot) = (self.moment.borrow_owner(), self.moment.borrow_dependent());
        snapshot
            .get_pinned_cf(column_family(db, schema::IDENTIFIERS)?, identifier)
            .map(|found| found.is_some())
            .map_err(|e| StorageError::read(DATABASE, "an identifier", e))
    }
}

impl PastView for Past {
    fn index(&self) -> u64 {
        self.index
    }

    fn binding(&self, address: VpnAddress) -> Result<Option<Binding>, PastLost> {
        self.read_binding(address).map_err(PastLost::from)
    }

    fn addresses(
        &self,
        key: &BindingKey,
        after: Option<VpnAddress>,
        limit: usize,
    ) -> Result<Vec<VpnAddress>, PastLost> {
        self.read_addresses(key, after, limit).map_err(PastLost::from)
    }

    fn knows(&self, key: &BindingKey) -> Result<bool, PastLost> {
        self.read_knows(key).map_err(PastLost::from)
    }
}

/// With all its causes: the reason is one line of text.
impl From<StorageError> for PastLost {
    fn from(error: StorageError) -> PastLost {
        let mut reason = error.to_string();
        let mut cause = error.source();
        while let Some(source) = cause {
            reason.push_str(": ");
            reason.push_str(&source.to_string());
            cause = source.source();
        }
        PastLost { reason }
    }
}

#[cfg(test)]
#[path = "past_tests.rs"]
mod tests;
