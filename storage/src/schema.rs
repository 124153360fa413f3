//! # What lies where on disk
//!
//! Two databases in one data directory. Keys are big-endian, so that their order is the order of numbers.

/// The log's database: entries, the journal, and the marks beside them.
pub(crate) mod log {
    use crate::StorageError;
    use bytes::Bytes;
    use rocksdb::{ColumnFamilyDescriptor, DBCompressionType, Options};

    /// Version of this layout and of what it holds; another one is refused.
    pub(crate) const FORMAT_VERSION: u32 = 5;

    /// Column family: index (u64) → entry.
    pub(crate) const ENTRIES: &str = "entries";
    /// Column family: number (u64) → record of the journal.
    pub(crate) const JOURNAL: &str = "journal";
    /// Column family: fixed keys and the callers' marks.
    pub(crate) const MARKS: &str = "marks";

    /// Key in [`MARKS`]: [`FORMAT_VERSION`] as u32.
    pub(crate) const FORMAT: &[u8] = b"format";
    /// Key in [`MARKS`]: the vote.
    pub(crate) const VOTE: &[u8] = b"vote";
    /// Key in [`MARKS`]: see [`purged_value`].
    pub(crate) const PURGED: &[u8] = b"purged";
    /// Key in [`MARKS`]: see [`journal_value`].
    pub(crate) const JOURNAL_MARK: &[u8] = b"journal";

    /// Purged entries and forgotten records are deleted in blocks of at least so many.
    pub(crate) const PURGE_BLOCK_ENTRIES: u64 = 1024;
    /// The newest entries up to so many bytes are kept in memory for replication.
    pub(crate) const RECENT_BYTES_MAX: usize = 16 << 20;

    const MEMTABLE_BYTES: usize = 16 << 20;
    const WAL_BYTES_MAX: u64 = 128 << 20;
    const RECYCLED_WAL_FILES: usize = 4;

    pub(crate) fn entry_key(index: u64) -> [u8; 8] {
        index.to_be_bytes()
    }

    pub(crate) fn entry_index(key: &[u8]) -> Result<u64, StorageError> {
        let key = key.try_into().map_err(|_| StorageError::Corrupt { what: "log entry key" })?;
        Ok(u64::from_be_bytes(key))
    }

    /// Marks of callers live under a prefix, apart from the fixed keys.
    pub(crate) fn mark_key(key: &str) -> Vec<u8> {
        [b"mark/", key.as_bytes()].concat()
    }

    /// The last purged index (u64) and the caller's note.
    pub(crate) fn purged_value(through: u64, note: &[u8]) -> Vec<u8> {
        [&through.to_be_bytes(), note].concat()
    }

    pub(crate) fn purged_parts(value: &[u8]) -> Result<(u64, Bytes), StorageError> {
        let (index, note) =
            value.split_first_chunk().ok_or(StorageError::Corrupt { what: "log purge mark" })?;
        Ok((u64::from_be_bytes(*index), Bytes::copy_from_slice(note)))
    }

    pub(crate) fn journal_key(number: u64) -> [u8; 8] {
        number.to_be_bytes()
    }

    pub(crate) fn journal_number(key: &[u8]) -> Result<u64, StorageError> {
        let key = key.try_into().map_err(|_| StorageError::Corrupt { what: "journal key" })?;
        Ok(u64::from_be_bytes(key))
    }

    /// The last forgotten number (u64), and the newest that was ever used (u64) or what it was when this was written.
    pub(crate) fn journal_value(forgotten: u64, last_used: u64) -> [u8; 16] {
        (u128::from(forgotten) << 64 | u128::from(last_used)).to_be_bytes()
    }

    pub(crate) fn journal_parts(value: &[u8]) -> Result<(u64, u64), StorageError> {
        let corrupt = StorageError::Corrupt { what: "journal mark" };
        let Some((forgotten, rest)) = value.split_first_chunk() else { return Err(corrupt) };
        let Ok(last_used) = rest.try_into() else { return Err(corrupt) };
        Ok((u64::from_be_bytes(*forgotten), u64::from_be_bytes(last_used)))
    }

    pub(crate) fn database_options() -> Options {
        let mut options = Options::default();
        options.create_if_missing(true);
        options.create_missing_column_families(true);
        // The write-ahead log stays in this process until the flusher writes and syncs it.
        options.set_manual_wal_flush(true);
        // A recycled file has its blocks already, so that a sync needs no metadata write.
        options.set_recycle_log_file_num(RECYCLED_WAL_FILES);
        options.set_max_total_wal_size(WAL_BYTES_MAX);
        options.set_max_background_jobs(2);
        options.set_keep_log_file_num(4);
        options
    }

    pub(crate) fn column_families() -> Vec<ColumnFamilyDescriptor> {
        let mut entries = Options::default();
        entries.set_compression_type(DBCompressionType::None);
        entries.set_write_buffer_size(MEMTABLE_BYTES);
        let mut journal = Options::default();
        journal.set_compression_type(DBCompressionType::None);
        journal.set_write_buffer_size(MEMTABLE_BYTES);
        let mut marks = Options::default();
        marks.set_compression_type(DBCompressionType::None);
        marks.set_write_buffer_size(1 << 20);
        vec![
            ColumnFamilyDescriptor::new("default", Options::default()),
            ColumnFamilyDescriptor::new(ENTRIES, entries),
            ColumnFamilyDescriptor::new(JOURNAL, journal),
            ColumnFamilyDescriptor::new(MARKS, marks),
        ]
    }
}

/// The ledger's database: an image of the applied state, and the indexes that only listings and bulk queries need.
pub(crate) mod ledger {
    use replication_ledger::{Binding, BindingKey};
    use rocksdb::{BlockBasedOptions, Cache, ColumnFamilyDescriptor, DBCompressionType, Options};

    /// Version of this layout and of what it holds; another one is refused.
    pub(crate) const FORMAT_VERSION: u32 = 5;

    /// Column family: address (see [`crate::image::address_key`]) → binding.
    pub(crate) const BINDINGS: &str = "bindings";
    /// Column family: see [`identifier_key`] → nothing. What is here stays for ever.
    pub(crate) const IDENTIFIERS: &str = "identifiers";
    /// Column family: address (see [`crate::image::address_key`]) → names.
    pub(crate) const NAMES: &str = "names";
    /// Column family: fixed keys.
    pub(crate) const META: &str = "meta";

    /// Key in [`META`]: [`FORMAT_VERSION`] as u32.
    pub(crate) const FORMAT: &[u8] = b"format";
    /// Key in [`META`]: the network configuration, if there ever was one.
    pub(crate) const SETTINGS: &[u8] = b"settings";
    /// Key in [`META`]: members, ownership; not the settings.
    pub(crate) const GLOBALS: &[u8] = b"globals";
    /// Key in [`META`]: how far the log is applied, at what time, and with which membership.
    pub(crate) const HEAD: &[u8] = b"head";

    /// What bindings can be found by on disk; their ends and newest changes are in order in memory only, because every renewal
    /// would write both. Each is a column family of keys `length (2), value, address (8)`
    /// without values; the length keeps one value from being the beginning of another.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum IndexKey {
        /// Hardware type and address.
        Hardware,
        /// Client identifier (option 61).
        ClientIdentifier,
        /// Agent Circuit ID (RFC 3046 §3.1).
        CircuitId,
        /// Agent Remote ID (RFC 3046 §3.2).
        RemoteId,
        /// Subscriber-ID (RFC 3993).
        SubscriberId,
        /// Relay-ID (RFC 6925).
        RelayId,
    }

    impl IndexKey {
        /// Every index.
        pub const ALL: [IndexKey; 6] = [
            IndexKey::Hardware,
            IndexKey::ClientIdentifier,
            IndexKey::CircuitId,
            IndexKey::RemoteId,
            IndexKey::SubscriberId,
            IndexKey::RelayId,
        ];

        /// Its column family.
        pub(crate) fn column_family(self) -> &'static str {
            match self {
                IndexKey::Hardware => "by-hardware",
                IndexKey::ClientIdentifier => "by-client-identifier",
                IndexKey::CircuitId => "by-circuit-id",
                IndexKey::RemoteId => "by-remote-id",
                IndexKey::SubscriberId => "by-subscriber-id",
                IndexKey::RelayId => "by-relay-id",
            }
        }

        /// The value under which a binding stands in this index; none if it does not.
        pub fn value_of(self, binding: &Binding) -> Option<Vec<u8>> {
            let sub_option = |code| binding.relay_sub_option(code).map(<[u8]>::to_vec);
            match self {
                IndexKey::Hardware => {
                    let hardware = &binding.hardware;
                    Some([&[hardware.htype()], hardware.octets()].concat())
                }
                IndexKey::ClientIdentifier => binding.client.identifier().map(<[u8]>::to_vec),
                IndexKey::CircuitId => sub_option(1),
                IndexKey::RemoteId => sub_option(2),
                IndexKey::SubscriberId => sub_option(6),
                IndexKey::RelayId => sub_option(12),
            }
        }
    }

    /// The beginning of every key of one value.
    pub(crate) fn index_prefix(value: &[u8]) -> Vec<u8> {
        // Option values are at most 65,535 octets even when joined from a datagram.
        let len = u16::try_from(value.len()).unwrap_or(u16::MAX);
        [&len.to_be_bytes()[..], value].concat()
    }

    /// Where a key of bindings is found: which index, and the value there.
    pub(crate) fn index_value(key: &BindingKey) -> (IndexKey, Vec<u8>) {
        match key {
            BindingKey::Hardware(hardware) => {
                (IndexKey::Hardware, [&[hardware.htype()], hardware.octets()].concat())
            }
            BindingKey::ClientIdentifier(value) => (IndexKey::ClientIdentifier, value.to_vec()),
            BindingKey::RemoteId(value) => (IndexKey::RemoteId, value.to_vec()),
            BindingKey::RelayId(value) => (IndexKey::RelayId, value.to_vec()),
        }
    }

    /// Sub-option code of option 82 (1), value. None for what is not remembered.
    pub(crate) fn identifier_key(key: &BindingKey) -> Option<Vec<u8>> {
        match key {
            BindingKey::RemoteId(value) => Some([&[2], &value[..]].concat()),
            BindingKey::RelayId(value) => Some([&[12], &value[..]].concat()),
            BindingKey::Hardware(_) | BindingKey::ClientIdentifier(_) => None,
        }
    }

    pub(crate) fn database_options() -> Options {
        let mut options = Options::default();
        options.create_if_missing(true);
        options.create_missing_column_families(true);
        // All column families reach the disk together, so that the image is of one moment.
        options.set_atomic_flush(true);
        options.set_max_background_jobs(2);
        options.set_keep_log_file_num(4);
        options.set_db_write_buffer_size(64 << 20);
        options
    }

    /// Every column family that is used.
    pub(crate) fn all_names() -> impl Iterator<Item = &'static str> {
        let indexes = IndexKey::ALL.iter().map(|index| index.column_family());
        [BINDINGS, IDENTIFIERS, NAMES, META].into_iter().chain(indexes)
    }

    pub(crate) fn column_families() -> Vec<ColumnFamilyDescriptor> {
        let cache = Cache::new_lru_cache(32 << 20);
        let of = |name: &str| {
            let mut blocks = BlockBasedOptions::default();
            blocks.set_block_cache(&cache);
            if name == IDENTIFIERS {
                // Mostly asked whether it has what it does not have.
                blocks.set_bloom_filter(10.0, false);
            }
            let mut options = Options::default();
            options.set_block_based_table_factory(&blocks);
            options.set_compression_type(DBCompressionType::Lz4);
            options.set_write_buffer_size(16 << 20);
            ColumnFamilyDescriptor::new(name, options)
        };
        std::iter::once("default").chain(all_names()).map(of).collect()
    }
}
