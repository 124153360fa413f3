//! The ledger's image in RocksDB: records, their index entries, and how they are written.
//!
//! No write-ahead log: what an image loses in a crash, the Raft log still has. All column families are flushed together.

use crate::ledger_store::Head;
use crate::schema::ledger as schema;
use crate::table::Replaces;
use crate::{IndexKey, StorageError, encoding};
use replication_ledger::{Binding, BindingKey, Globals, NameEntry, NameTable, Version, VpnAddress};
use rocksdb::{ColumnFamily, DB, IteratorMode, WriteBatch, WriteOptions};
use std::path::Path;
use std::sync::Arc;

pub(crate) const DATABASE: &str = "ledger";

/// One changed record on its way into the image.
pub(crate) struct Record {
    address: VpnAddress,
    value: Vec<u8>,
    index_keys: Vec<(IndexKey, Vec<u8>)>,
    replaces: Replaces,
}

impl Record {
    pub(crate) fn of(version: Version, binding: &Binding, replaces: Replaces) -> Record {
        Record {
            address: binding.address,
            value: encoding::encode_binding(version, binding),
            index_keys: match replaces {
                Replaces::SameKeys => Vec::new(),
                Replaces::Nothing | Replaces::OtherKeys => index_keys(binding),
            },
            replaces,
        }
    }

    pub(crate) fn write(&self, db: &DB, batch: &mut WriteBatch) -> Result<(), StorageError> {
        let bindings = column_family(db, schema::BINDINGS)?;
        let mut standing = Vec::new();
        if self.replaces == Replaces::OtherKeys {
            let old = db
                .get_pinned_cf(bindings, address_key(self.address))
                .map_err(|e| StorageError::read(DATABASE, "a binding", e))?
                .ok_or(StorageError::Corrupt { what: "a binding that the image should have" })?;
            standing = index_keys(&encoding::decode_binding(&old)?);
        }
        for (index, key) in standing.iter().filter(|entry| !self.index_keys.contains(entry)) {
            batch.delete_cf(column_family(db, index.column_family())?, key);
        }
        for (index, key) in self.index_keys.iter().filter(|entry| !standing.contains(entry)) {
            batch.put_cf(column_family(db, index.column_family())?, key, []);
        }
        batch.put_cf(bindings, address_key(self.address), &self.value);
        Ok(())
    }
}

pub(crate) fn index_keys(binding: &Binding) -> Vec<(IndexKey, Vec<u8>)> {
    IndexKey::ALL
        .iter()
        .filter_map(|index| Some((*index, index_key_of(*index, binding)?)))
        .collect()
}

pub(crate) fn index_key_of(index: IndexKey, binding: &Binding) -> Option<Vec<u8>> {
    let mut key = schema::index_prefix(&index.value_of(binding)?);
    key.extend_from_slice(&address_key(binding.address));
    Some(key)
}

/// Remembers identifiers that are not remembered yet.
pub(crate) fn write_identifiers<'a>(
    db: &DB,
    batch: &mut WriteBatch,
    keys: impl IntoIterator<Item = &'a BindingKey>,
) -> Result<(), StorageError> {
    let identifiers = column_family(db, schema::IDENTIFIERS)?;
    for key in keys.into_iter().filter_map(schema::identifier_key) {
        let known = db
            .get_pinned_cf(identifiers, &key)
            .map_err(|e| StorageError::read(DATABASE, "an identifier", e))?;
        if known.is_none() {
            batch.put_cf(identifiers, key, []);
        }
    }
    Ok(())
}

/// Puts the names of addresses in the place of what was there, or nothing.
pub(crate) fn write_names(
    version: Version,
    db: &DB,
    batch: &mut WriteBatch,
    names: &[(VpnAddress, Option<Arc<NameEntry>>)],
) -> Result<(), StorageError> {
    let family = column_family(db, schema::NAMES)?;
    for (address, entry) in names {
        match entry {
            Some(entry) => {
                batch.put_cf(family, address_key(*address), encoding::encode_names(version, entry));
            }
            None => batch.delete_cf(family, address_key(*address)),
        }
    }
    Ok(())
}

/// Hands over all names of the image, in order of address.
pub(crate) fn read_names(db: &DB, mut take: impl FnMut(NameEntry)) -> Result<(), StorageError> {
    for record in db.iterator_cf(column_family(db, schema::NAMES)?, IteratorMode::Start) {
        let (_, value) =
            record.map_err(|e| StorageError::read(DATABASE, "names of an address", e))?;
        take(encoding::decode_names(&value)?);
    }
    Ok(())
}

/// Compares the names of the image with those in memory.
pub(crate) fn audit_names(db: &DB, names: &NameTable) -> Result<(), StorageError> {
    let mut in_memory = names.from(VpnAddress::FIRST);
    let mut same = true;
    read_names(db, |entry| same &= in_memory.next().is_some_and(|known| **known == entry))?;
    match same && in_memory.next().is_none() {
        true => Ok(()),
        false => Err(StorageError::Corrupt { what: "names that differ from memory" }),
    }
}

pub(crate) fn write_meta(
    db: &DB,
    batch: &mut WriteBatch,
    head: &Head,
    globals: Option<&[u8]>,
    settings: Option<&[u8]>,
) -> Result<(), StorageError> {
    let meta = column_family(db, schema::META)?;
    batch.put_cf(meta, schema::HEAD, encoding::encode(head));
    if let Some(globals) = globals {
        batch.put_cf(meta, schema::GLOBALS, globals);
    }
    if let Some(settings) = settings {
        batch.put_cf(meta, schema::SETTINGS, settings);
    }
    Ok(())
}

/// What [`write_meta`] wrote last; none if it never did.
pub(crate) fn read_meta(db: &DB) -> Result<Option<(Head, Globals)>, StorageError> {
    let meta = column_family(db, schema::META)?;
    let value = |key: &[u8]| {
        db.get_cf(meta, key).map_err(|e| StorageError::read(DATABASE, "the head of the image", e))
    };
    let Some(head) = value(schema::HEAD)? else { return Ok(None) };
    let head: Head = encoding::decode(&head, "the head of the image")?;
    let mut globals = match value(schema::GLOBALS)? {
        Some(globals) => encoding::decode_globals(&globals)?,
        None => Globals::default(),
    };
    if let Some(settings) = value(schema::SETTINGS)? {
        globals.settings = encoding::decode(&settings, "network configuration")?;
    }
    // They move with every entry and are kept in the head, the rest of the globals only when it changes.
    globals.applied_index = head.ledger_index;
    globals.stamp = head.stamp;
    Ok(Some((head, globals)))
}

/// Octets that are ordered as addresses are.
pub(crate) fn address_key(address: VpnAddress) -> [u8; 8] {
    address.to_bits().to_be_bytes()
}

/// The inverse of [`address_key`].
pub(crate) fn address_of(octets: &[u8]) -> Result<VpnAddress, StorageError> {
    <[u8; 8]>::try_from(octets)
        .map(|octets| VpnAddress::from_bits(u64::from_be_bytes(octets)))
        .map_err(|_| StorageError::Corrupt { what: "an address in an index" })
}

pub(crate) fn column_family<'a>(
    db: &'a DB,
    name: &'static str,
) -> Result<&'a ColumnFamily, StorageError> {
    db.cf_handle(name).ok_or(StorageError::Corrupt { what: "the set of column families" })
}

pub(crate) fn flush_database(db: &DB) -> Result<(), StorageError> {
    let families: Vec<&ColumnFamily> =
        schema::all_names().map(|name| column_family(db, name)).collect::<Result<_, _>>()?;
    let mut options = rocksdb::FlushOptions::default();
    options.set_wait(true);
    db.flush_cfs_opt(&families, &options)
        .map_err(|source| StorageError::write(DATABASE, "flush", source))
}

/// What an image loses in a crash, the log still has.
pub(crate) fn without_wal() -> WriteOptions {
    let mut options = WriteOptions::default();
    options.disable_wal(true);
    options
}

pub(crate) fn open_database(path: &Path) -> Result<DB, StorageError> {
    let options = schema::database_options();
    let db =
        DB::open_cf_descriptors(&options, path, schema::column_families()).map_err(|source| {
            StorageError::Open {
                database: DATABASE,
                path: path.to_owned(),
                source: Arc::new(source),
            }
        })?;
    let meta = column_family(&db, schema::META)?;
    let format = db
        .get_cf(meta, schema::FORMAT)
        .map_err(|e| StorageError::read(DATABASE, "the format version", e))?;
    match format {
        None => {
            db.put_cf_opt(
                meta,
                schema::FORMAT,
                schema::FORMAT_VERSION.to_be_bytes(),
                &without_wal(),
            )
            .map_err(|source| StorageError::write(DATABASE, "format version", source))?;
            flush_database(&db)?;
        }
        Some(found) if found == schema::FORMAT_VERSION.to_be_bytes() => {}
        Some(found) => {
            return Err(StorageError::ForeignFormat {
                database: DATABASE,
                path: path.to_owned(),
                found,
                expected: schema::FORMAT_VERSION,
            });
        }
    }
    Ok(db)
}
