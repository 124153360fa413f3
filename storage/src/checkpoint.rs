//! # Snapshots: the whole ledger as a file
//!
//! A member that lags behind the log's beginning gets one. Building it reads a consistent view of the database while entries
//! go on being applied; restoring it fills a new database beside the old one and then moves the pointer.
//!
//! The file is a run of frames `length u32, crc32c u32, kind u8, payload` (big-endian): one head, the globals, the settings, the bindings
//! the remembered identifiers and the names in groups, and an end with the number of both, so that a truncated or damaged file is refused whole.

use crate::image::{Record, address_key, column_family};
use crate::ledger_store::{Head, LedgerStore};
use crate::schema::ledger as schema;
use crate::table::Replaces;
use crate::{StorageError, encoding};
use replication_ledger::{Binding, Globals, NameEntry, Settings, Version};
use rocksdb::{DB, IteratorMode};
use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Write};
use std::path::Path;
use std::sync::Arc;

const HEAD: u8 = 1;
const GLOBALS: u8 = 2;
const BINDINGS: u8 = 3;
const END: u8 = 4;
const IDENTIFIERS: u8 = 5;
const SETTINGS: u8 = 6;
// 7 is what a backup begins with.
const NAMES: u8 = 8;
/// Records are gathered into frames of about this size, in octets.
const FRAME_LEN: usize = 64 << 10;
/// No frame is larger, in octets; settings with hundreds of thousands of reservations are the largest.
const FRAME_LEN_MAX: usize = 256 << 20;

/// What a snapshot file holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotSummary {
    /// The log index that it ends with.
    pub index: u64,
    /// That entry as replication names it.
    pub position: Option<Vec<u8>>,
    /// The membership in force, as replication wrote it.
    pub membership: Option<Vec<u8>>,
}

impl LedgerStore {
    /// Writes the present state to a new file, synced when this returns. Blocks for as long as that takes; applying goes on.
    ///
    /// # Errors
    /// [`StorageError::Read`] or [`StorageError::Write`].
    pub fn build_snapshot(&self, path: &Path) -> Result<SnapshotSummary, StorageError> {
        let file = File::create(path);
        self.write_snapshot(file.map_err(|e| StorageError::write("ledger", "snapshot file", e))?)
    }

    /// As [`LedgerStore::build_snapshot`], behind what stands in the file.
    pub(crate) fn write_snapshot(&self, file: File) -> Result<SnapshotSummary, StorageError> {
        let db = self.with_image(|db| Ok(Arc::clone(db)))?;
        let snapshot = db.snapshot();
        let meta = column_family(&db, schema::META)?;
        let value = |key: &[u8]| {
            let value = snapshot.get_cf(meta, key);
            value.map_err(|e| StorageError::read("ledger", "the head of the image", e))
        };
        let head = value(schema::HEAD)?;
        let head = head.ok_or(StorageError::Corrupt { what: "the head of the image" })?;
        let head: Head = encoding::decode(&head, "the head of the image")?;
        let globals = value(schema::GLOBALS)?;
        let globals = globals.unwrap_or_else(|| encoding::encode_globals(&Globals::default()));
        let settings = value(schema::SETTINGS)?;
        let settings = settings
            .unwrap_or_else(|| encoding::encode_settings(Version::FIRST, &Settings::default()));
        let all = |name| Ok(snapshot.iterator_cf(column_family(&db, name)?, IteratorMode::Start));
        let bindings = all(schema::BINDINGS)?.map(|record| match record {
            Ok((_, value)) => Ok(value),
            Err(source) => Err(StorageError::read("ledger", "a binding", source)),
        });
        let identifiers = all(schema::IDENTIFIERS)?.map(|record| match record {
            Ok((key, _)) => Ok(key),
            Err(source) => Err(StorageError::read("ledger", "an identifier", source)),
        });
        let names = all(schema::NAMES)?.map(|record| match record {
            Ok((_, value)) => Ok(value),
            Err(source) => Err(StorageError::read("ledger", "names of an address", source)),
        });
        write_file(file, &head, (&globals, &settings), bindings, identifiers, names)?;
        Ok(summary(&head))
    }

    /// Replaces the whole state by that of a snapshot file. Durable when it returns.
    ///
    /// # Errors
    /// [`StorageError::Corrupt`] if the file is damaged (nothing has changed then), or a failed read or write.
    pub fn restore_snapshot(&self, path: &Path) -> Result<SnapshotSummary, StorageError> {
        self.restore_from(SnapshotReader::open(path)?)
    }

    pub(crate) fn restore_from(
        &self,
        mut reader: SnapshotReader,
    ) -> Result<SnapshotSummary, StorageError> {
        let head = reader.head.clone();
        let globals = std::mem::take(&mut reader.globals);
        let settings = std::mem::take(&mut reader.settings);
        self.replace_database(&head, (&globals, &settings), &mut reader)?;
        Ok(summary(&head))
    }
}

/// Reads what a snapshot file says about itself.
///
/// # Errors
/// [`StorageError::Corrupt`] or a failed read.
pub fn snapshot_summary(path: &Path) -> Result<SnapshotSummary, StorageError> {
    SnapshotReader::open(path).map(|reader| summary(&reader.head))
}

fn summary(head: &Head) -> SnapshotSummary {
    SnapshotSummary {
        index: head.index,
        position: head.position.clone(),
        membership: head.membership.clone(),
    }
}

fn write_file(
    file: File,
    head: &Head,
    (globals, settings): (&[u8], &[u8]),
    bindings: impl Iterator<Item = Result<Box<[u8]>, StorageError>>,
    identifiers: impl Iterator<Item = Result<Box<[u8]>, StorageError>>,
    names: impl Iterator<Item = Result<Box<[u8]>, StorageError>>,
) -> Result<(), StorageError> {
    let failed = |source| StorageError::write("ledger", "snapshot file", source);
    let mut file = BufWriter::new(file);
    write_frame(&mut file, HEAD, &encoding::encode(head)).map_err(failed)?;
    write_frame(&mut file, GLOBALS, globals).map_err(failed)?;
    write_frame(&mut file, SETTINGS, settings).map_err(failed)?;
    let count = write_groups(&mut file, BINDINGS, bindings)?
        + write_groups(&mut file, IDENTIFIERS, identifiers)?
        + write_groups(&mut file, NAMES, names)?;
    write_frame(&mut file, END, &count.to_be_bytes()).map_err(failed)?;
    let file = file.into_inner().map_err(|error| failed(error.into_error()))?;
    file.sync_all().map_err(failed)
}

/// Returns how many records there were.
fn write_groups(
    file: &mut impl Write,
    kind: u8,
    records: impl Iterator<Item = Result<Box<[u8]>, StorageError>>,
) -> Result<u64, StorageError> {
    let failed = |source| StorageError::write("ledger", "snapshot file", source);
    let (mut group, mut count) = (Vec::with_capacity(FRAME_LEN * 2), 0u64);
    for record in records {
        let record = record?;
        // A record is a few hundred octets, bounded by what fits in a datagram.
        group.extend_from_slice(&(record.len() as u32).to_be_bytes());
        group.extend_from_slice(&record);
        count += 1;
        if group.len() >= FRAME_LEN {
            write_frame(file, kind, &group).map_err(failed)?;
            group.clear();
        }
    }
    if !group.is_empty() {
        write_frame(file, kind, &group).map_err(failed)?;
    }
    Ok(count)
}

pub(crate) fn write_frame(file: &mut impl Write, kind: u8, payload: &[u8]) -> std::io::Result<()> {
    let checksum = crc32c::crc32c_append(crc32c::crc32c(&[kind]), payload);
    // Settings are bounded by FRAME_LEN_MAX on reading; a larger length would be refused there.
    let len = u32::try_from(payload.len()).map_err(std::io::Error::other)?;
    file.write_all(&len.to_be_bytes())?;
    file.write_all(&checksum.to_be_bytes())?;
    file.write_all(&[kind])?;
    file.write_all(payload)
}

const DAMAGED: StorageError = StorageError::Corrupt { what: "a snapshot file" };

/// One of many in a snapshot file.
pub(crate) enum SnapshotRecord {
    Binding(Box<Binding>),
    /// A key of [`schema::IDENTIFIERS`].
    Identifier(Vec<u8>),
    Names(NameEntry),
}

/// Records of a snapshot file, one after the other; an item is an error if the file is damaged.
pub(crate) struct SnapshotReader {
    file: BufReader<File>,
    head: Head,
    globals: Vec<u8>,
    settings: Vec<u8>,
    /// What was in force when it was written.
    version: Version,
    kind: u8,
    group: Vec<u8>,
    next: usize,
    count: u64,
    ended: bool,
}

impl SnapshotReader {
    fn open(path: &Path) -> Result<SnapshotReader, StorageError> {
        let file = File::open(path).map_err(|e| StorageError::read("ledger", "a snapshot", e))?;
        SnapshotReader::read(BufReader::new(file))
    }

    /// Reads what stands before the records.
    pub(crate) fn read(mut file: BufReader<File>) -> Result<SnapshotReader, StorageError> {
        let (HEAD, head) = read_frame(&mut file)? else { return Err(DAMAGED) };
        let (GLOBALS, globals) = read_frame(&mut file)? else { return Err(DAMAGED) };
        let (SETTINGS, settings) = read_frame(&mut file)? else { return Err(DAMAGED) };
        let Globals { version, .. } = encoding::decode_globals(&globals)?;
        encoding::decode::<Settings>(&settings, "network configuration of a snapshot")?;
        let head = encoding::decode(&head, "the head of a snapshot")?;
        Ok(SnapshotReader {
            file,
            head,
            globals,
            settings,
            version,
            kind: BINDINGS,
            group: Vec::new(),
            next: 0,
            count: 0,
            ended: false,
        })
    }

    /// The log index that it ends with.
    pub(crate) fn index(&self) -> u64 {
        self.head.index
    }

    /// True if nothing stands behind the last record.
    pub(crate) fn is_at_end(&mut self) -> bool {
        self.ended && matches!(self.file.read(&mut [0]), Ok(0))
    }

    fn next_record(&mut self) -> Result<Option<SnapshotRecord>, StorageError> {
        while self.next == self.group.len() {
            if self.ended {
                return Ok(None);
            }
            match read_frame(&mut self.file)? {
                (kind @ (BINDINGS | IDENTIFIERS | NAMES), group) => {
                    (self.kind, self.group, self.next) = (kind, group, 0);
                }
                (END, count) if count == self.count.to_be_bytes() => self.ended = true,
                _ => return Err(DAMAGED),
            }
        }
        let rest = &self.group[self.next..];
        let (len, rest) = rest.split_first_chunk().ok_or(DAMAGED)?;
        let len = u32::from_be_bytes(*len) as usize;
        let record = rest.get(..len).ok_or(DAMAGED)?;
        let record = match self.kind {
            IDENTIFIERS => SnapshotRecord::Identifier(record.to_vec()),
            NAMES => SnapshotRecord::Names(encoding::decode_names(record)?),
            _ => SnapshotRecord::Binding(Box::new(encoding::decode_binding(record)?)),
        };
        self.next += 4 + len;
        self.count += 1;
        Ok(Some(record))
    }
}

impl Iterator for SnapshotReader {
    type Item = Result<SnapshotRecord, StorageError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_record().transpose()
    }
}

pub(crate) fn read_frame(file: &mut impl Read) -> Result<(u8, Vec<u8>), StorageError> {
    let mut header = [0; 9];
    file.read_exact(&mut header).map_err(|_| DAMAGED)?;
    let [l0, l1, l2, l3, c0, c1, c2, c3, kind] = header;
    let len = u32::from_be_bytes([l0, l1, l2, l3]) as usize;
    if len > FRAME_LEN_MAX {
        return Err(DAMAGED);
    }
    // Read through `take`, so that a damaged length costs no more memory than the file has.
    let mut payload = Vec::new();
    file.take(len as u64).read_to_end(&mut payload).map_err(|_| DAMAGED)?;
    let checksum = crc32c::crc32c_append(crc32c::crc32c(&[kind]), &payload);
    let whole = payload.len() == len && checksum == u32::from_be_bytes([c0, c1, c2, c3]);
    if whole { Ok((kind, payload)) } else { Err(DAMAGED) }
}

/// Fills an empty database from a snapshot.
pub(crate) fn fill(
    db: &DB,
    records: &mut SnapshotReader,
    write: impl Fn(rocksdb::WriteBatch) -> Result<(), StorageError>,
) -> Result<(), StorageError> {
    let mut batch = rocksdb::WriteBatch::default();
    let identifiers = column_family(db, schema::IDENTIFIERS)?;
    let version = records.version;
    let names = column_family(db, schema::NAMES)?;
    for record in records {
        match record? {
            SnapshotRecord::Binding(binding) => {
                Record::of(version, &binding, Replaces::Nothing).write(db, &mut batch)?;
            }
            SnapshotRecord::Identifier(key) => batch.put_cf(identifiers, key, []),
            SnapshotRecord::Names(entry) => {
                batch.put_cf(
                    names,
                    address_key(entry.address),
                    encoding::encode_names(version, &entry),
                );
            }
        }
        if batch.size_in_bytes() >= FRAME_LEN * 16 {
            write(std::mem::take(&mut batch))?;
        }
    }
    write(batch)
}
