//! # Backups: the whole ledger in one file, to be kept elsewhere
//!
//! A line that says what it is, a frame that says where it is from, and then a snapshot as in [`crate::checkpoint`]. Every frame has
//! its checksum and the last one the number of records, so a damaged, cut or lengthened file is refused whole.

use crate::checkpoint::{SnapshotReader, read_frame, write_frame};
use crate::ledger_store::LedgerStore;
use crate::{SnapshotSummary, StorageError, encoding};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{BufReader, Read, Write};
use std::path::Path;

/// The first octets of a backup; the number is the format's version.
const MAGIC: &[u8] = b"leasehold backup 1\n";
const ORIGIN: u8 = 7;
const DAMAGED: StorageError = StorageError::Corrupt { what: "a backup" };

/// Where a backup is from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackupOrigin {
    /// The cluster's name.
    pub cluster: u128,
    /// The member that wrote it.
    pub member: u64,
    /// When, in seconds since 1970.
    pub taken_at_seconds: u64,
    /// The version of the program that wrote it.
    pub program: String,
}

/// What a whole backup holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackupSummary {
    /// Where it is from.
    pub origin: BackupOrigin,
    /// The log index that it ends with.
    pub index: u64,
    /// Bindings and remembered identifiers in it.
    pub records: u64,
}

impl LedgerStore {
    /// Writes the present state to a new file, synced when this returns. Blocks for as long as that takes; applying goes on.
    ///
    /// # Errors
    /// [`StorageError::Read`] or [`StorageError::Write`].
    pub fn write_backup(
        &self,
        path: &Path,
        origin: &BackupOrigin,
    ) -> Result<SnapshotSummary, StorageError> {
        let failed = |source| StorageError::write("ledger", "backup", source);
        let mut file = File::create(path).map_err(failed)?;
        file.write_all(MAGIC).map_err(failed)?;
        write_frame(&mut file, ORIGIN, &encoding::encode(origin)).map_err(failed)?;
        self.write_snapshot(file)
    }

    /// Replaces the whole state by that of a backup. Durable when it returns.
    ///
    /// # Errors
    /// [`StorageError::Corrupt`] if the file is damaged (nothing has changed then), or a failed read or write.
    pub fn restore_backup(&self, path: &Path) -> Result<SnapshotSummary, StorageError> {
        check_backup(path)?;
        let (_, file) = open(path)?;
        self.restore_from(SnapshotReader::read(file)?)
    }
}

/// Reads a backup from its beginning to its end.
///
/// # Errors
/// [`StorageError::Corrupt`] if it is no backup or not whole, [`StorageError::ForeignEncoding`] if another version wrote it, or a
/// failed read.
pub fn check_backup(path: &Path) -> Result<BackupSummary, StorageError> {
    let (origin, file) = open(path)?;
    let mut reader = SnapshotReader::read(file)?;
    let index = reader.index();
    let mut records = 0;
    for record in &mut reader {
        record?;
        records += 1;
    }
    if !reader.is_at_end() {
        return Err(DAMAGED);
    }
    Ok(BackupSummary { origin, index, records })
}

/// Reads what stands before the snapshot.
fn open(path: &Path) -> Result<(BackupOrigin, BufReader<File>), StorageError> {
    let file = File::open(path).map_err(|e| StorageError::read("ledger", "a backup", e))?;
    let mut file = BufReader::new(file);
    let mut magic = [0; MAGIC.len()];
    file.read_exact(&mut magic).map_err(|_| DAMAGED)?;
    if magic != MAGIC {
        return Err(DAMAGED);
    }
    match read_frame(&mut file)? {
        (ORIGIN, origin) => Ok((encoding::decode(&origin, "the origin of a backup")?, file)),
        _ => Err(DAMAGED),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger_store::{CommittedEntry, EntryContent};
    use replication_ledger::{
        Batch, Command, LedgerView, MemberId, Parcel, Role, Session, Stamp, Timestamp, Version,
    };

    fn origin() -> BackupOrigin {
        BackupOrigin { cluster: 7, member: 1, taken_at_seconds: 9, program: "0.1.0".to_owned() }
    }

    /// A store with one member in it.
    fn filled(directory: &Path) -> LedgerStore {
        let store = LedgerStore::open(directory).expect("opens");
        let enroll = Command::Enroll {
            member: MemberId(5),
            name: "a".to_owned(),
            role: Role::Server,
            server_identifier: None,
        };
        let parcel = Parcel {
            member: MemberId(5),
            session: Session(0),
            sequence: 1,
            commands: vec![enroll],
        };
        let stamp = Stamp::of(Timestamp::from_seconds(3));
        let batch = encoding::encode_batch(Version::FIRST, &Batch { stamp, parcels: vec![parcel] });
        let content = EntryContent::Batch(batch.into());
        let entry = CommittedEntry { index: 4, position: vec![4], content };
        store.apply_all(vec![entry]).expect("applies");
        store
    }

    #[test]
    fn a_backup_comes_back_as_it_was() {
        let directories = [(); 2].map(|()| tempfile::tempdir().expect("a temporary directory"));
        let store = filled(directories[0].path());
        let file = directories[0].path().join("backup");
        store.write_backup(&file, &origin()).expect("written");
        let summary = check_backup(&file).expect("whole");
        assert_eq!(summary, BackupSummary { origin: origin(), index: 4, records: 0 });
        let other = LedgerStore::open(directories[1].path()).expect("opens");
        other.restore_backup(&file).expect("restored");
        assert_eq!(other.view().globals(), store.view().globals());
        assert_eq!(other.position(), Some(vec![4]));
    }

    #[test]
    fn a_file_that_is_not_whole_is_refused() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let store = filled(directory.path());
        let file = directory.path().join("backup");
        store.write_backup(&file, &origin()).expect("written");
        let whole = std::fs::read(&file).expect("it is there");
        let check = |what: &str, bytes: &[u8]| {
            std::fs::write(&file, bytes).expect("writable");
            assert!(check_backup(&file).is_err(), "{what}");
            assert!(store.restore_backup(&file).is_err(), "{what}");
        };
        check("cut", &whole[..whole.len() - 1]);
        check("longer", &[&whole[..], b"x"].concat());
        check("nothing", b"");
        for position in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[position] ^= 0x40;
            check(&format!("octet {position}"), &damaged);
        }
    }
}
