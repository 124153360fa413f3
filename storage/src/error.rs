//! What can go wrong between this crate and the disk.

use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;

/// A cause that several callers may hold.
pub type Cause = Arc<dyn Error + Send + Sync>;

/// Why a store failed. After any of these except the two gaps the member must stop serving: what is on its disk
/// is unknown until it has been opened again.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StorageError {
    /// The database cannot be opened: wrong directory, no permission, or in use by another process.
    #[error("cannot open the {database} database in {}", path.display())]
    Open {
        /// Which of the two.
        database: &'static str,
        /// Its directory.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: Cause,
    },
    /// The directory holds a layout of another version.
    #[error("the {database} database in {} has format {found:?}, this program needs {expected}", path.display())]
    ForeignFormat {
        /// Which of the two.
        database: &'static str,
        /// Its directory.
        path: PathBuf,
        /// The bytes found as its version.
        found: Vec<u8>,
        /// The version that this program reads.
        expected: u32,
    },
    /// A write or a sync failed.
    #[error("cannot write to the {database} database during {operation}")]
    Write {
        /// Which of the two.
        database: &'static str,
        /// What was being done.
        operation: &'static str,
        /// What the system said.
        #[source]
        source: Cause,
    },
    /// A read failed.
    #[error("cannot read {what} from the {database} database")]
    Read {
        /// Which of the two.
        database: &'static str,
        /// What was being read.
        what: &'static str,
        /// What the system said.
        #[source]
        source: Cause,
    },
    /// Bytes on disk are not what was written.
    #[error("{what} on disk cannot be understood")]
    Corrupt {
        /// What they should have been.
        what: &'static str,
    },
    /// Bytes on disk, or from another member, are those of another version of this program.
    #[error(
        "{what} is written in version {found}, and this program reads versions {oldest} to {newest}: run the release that wrote it, \
         or a later one"
    )]
    ForeignEncoding {
        /// What they are.
        what: &'static str,
        /// Their version.
        found: u8,
        /// The first version that this program reads.
        oldest: u8,
        /// The last one.
        newest: u8,
    },
    /// An entry that would leave a hole in the log, or one that is missing from it.
    #[error("the log has no place for, or does not hold, entry {index}")]
    LogGap {
        /// Which.
        index: u64,
    },
    /// A record that would leave a hole in the journal or use a number again, or one that is missing from it.
    #[error("the journal has no place for, or does not hold, record {number}")]
    JournalGap {
        /// Which.
        number: u64,
    },
    /// The store was closed, or stands for one that crashed.
    #[error("the store is closed")]
    Closed,
}

impl StorageError {
    pub(crate) fn write(
        database: &'static str,
        operation: &'static str,
        source: impl Error + Send + Sync + 'static,
    ) -> StorageError {
        StorageError::Write { database, operation, source: Arc::new(source) }
    }

    pub(crate) fn read(
        database: &'static str,
        what: &'static str,
        source: impl Error + Send + Sync + 'static,
    ) -> StorageError {
        StorageError::Read { database, what, source: Arc::new(source) }
    }
}
