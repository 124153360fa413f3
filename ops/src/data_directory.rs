//! The data directory: whose it is, and that nobody else uses it.
//!
//! The file `identity` says that the directory is ours, in which format, and which member's. It is written and synced
//! before anything else is, so a directory without it is either empty or somebody else's.

use crate::error::ServeError;
use replication_ledger::MemberId;
use std::fs::{self, File, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// The newest format of a data directory that this program knows.
const FORMAT: u64 = 1;
const IDENTITY: &str = "identity";
const LOCK: &str = "lock";

/// A data directory that this process has for itself until it is dropped.
#[derive(Debug)]
pub struct DataDirectory {
    path: PathBuf,
    /// Held, not read: the lock is given back when the file is closed, also by a crash.
    _lock: File,
}

impl DataDirectory {
    /// Opens it for one member, making it if it is not there.
    ///
    /// # Errors
    /// It cannot be read or written, is in use, holds something else, or is another member's or of a newer format.
    pub fn open(path: &Path, member: MemberId) -> Result<DataDirectory, ServeError> {
        let failed = |source| ServeError::DataDirectory { path: path.to_owned(), source };
        fs::create_dir_all(path).map_err(failed)?;
        let identity = match fs::read_to_string(path.join(IDENTITY)) {
            Ok(text) => Some(text),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(failed(error)),
        };
        if identity.is_none() {
            refuse_foreign(path)?;
        }
        let lock = lock(path)?;
        match identity {
            Some(text) => check_identity(path, &text, member)?,
            None => write_identity(path, member).map_err(failed)?,
        }
        Ok(DataDirectory { path: path.to_owned(), _lock: lock })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

fn lock(path: &Path) -> Result<File, ServeError> {
    let failed = |source| ServeError::DataDirectory { path: path.to_owned(), source };
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path.join(LOCK))
        .map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(ServeError::InUse { path: path.to_owned() }),
        Err(TryLockError::Error(error)) => Err(failed(error)),
    }
}

/// A crash between locking and writing the identity leaves the lock file alone, which is not foreign.
fn refuse_foreign(path: &Path) -> Result<(), ServeError> {
    let failed = |source| ServeError::DataDirectory { path: path.to_owned(), source };
    for entry in fs::read_dir(path).map_err(failed)? {
        let name = entry.map_err(failed)?.file_name();
        if name != LOCK && name.to_str() != Some(&new_identity()) && name != "lost+found" {
            let found = name.to_string_lossy().into_owned();
            return Err(ServeError::ForeignDirectory { path: path.to_owned(), found });
        }
    }
    Ok(())
}

fn new_identity() -> String {
    format!("{IDENTITY}.new")
}

fn write_identity(path: &Path, member: MemberId) -> io::Result<()> {
    let new = path.join(new_identity());
    let mut file = File::create(&new)?;
    writeln!(file, "leasehold data {FORMAT} member {member}")?;
    file.sync_all()?;
    fs::rename(&new, path.join(IDENTITY))?;
    File::open(path)?.sync_all()
}

fn check_identity(path: &Path, text: &str, member: MemberId) -> Result<(), ServeError> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let parsed = match words[..] {
        ["leasehold", "data", format, "member", found] => {
            format.parse().ok().zip(found.parse().ok().map(MemberId))
        }
        _ => None,
    };
    match parsed {
        Some((found, _)) if found > FORMAT => {
            Err(ServeError::NewerFormat { path: path.to_owned(), found, known: FORMAT })
        }
        Some((_, found)) if found != member => {
            Err(ServeError::OtherMember { path: path.to_owned(), found, configured: member })
        }
        Some(_) => Ok(()),
        None => {
            let found = IDENTITY.to_owned();
            Err(ServeError::ForeignDirectory { path: path.to_owned(), found })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(path: &Path, member: u64) -> String {
        let error = DataDirectory::open(path, MemberId(member)).expect_err("it must be refused");
        error.to_string().replace(&path.display().to_string(), "DIR")
    }

    #[test]
    fn a_directory_stays_with_its_member() {
        let parent = tempfile::tempdir().expect("a temporary directory");
        let path = parent.path().join("data");
        let open = DataDirectory::open(&path, MemberId(1)).expect("it is new");
        assert_eq!(refused(&path, 1), "DIR is in use by another process; stop that one first");
        drop(open);
        let again = DataDirectory::open(&path, MemberId(1)).expect("it is ours");
        drop(again);
        assert_eq!(
            refused(&path, 2),
            "DIR is the data directory of member 1, but `member.id` is 2; set one of the two \
             right, an id is never given to another member"
        );
    }

    #[test]
    fn other_directories_are_left_alone() {
        let check = |name: &str, text: &str, expected: &str| {
            let directory = tempfile::tempdir().expect("a temporary directory");
            fs::write(directory.path().join(name), text).expect("it is writable");
            assert_eq!(refused(directory.path(), 1), expected);
            let left = fs::read_to_string(directory.path().join(name)).expect("it is there");
            assert_eq!(left, text);
        };
        check(
            "letters.txt",
            "dear",
            "DIR is not a data directory of leasehold: it holds \"letters.txt\"; set \
             `member.data_dir` to an empty or new directory",
        );
        check(
            IDENTITY,
            "something else",
            "DIR is not a data directory of leasehold: it holds \"identity\"; set \
             `member.data_dir` to an empty or new directory",
        );
        check(
            IDENTITY,
            "leasehold data 2 member 1",
            "DIR has format 2, this program knows formats up to 1; run the version that wrote it \
             or a newer one",
        );
    }

    #[test]
    fn a_file_in_place_of_the_directory_is_named() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join("file");
        fs::write(&path, "").expect("it is writable");
        assert_eq!(
            refused(&path, 1),
            "cannot use the data directory DIR; check `member.data_dir` and its rights"
        );
    }
}
