//! Which directory holds the ledger database in force.
//!
//! A restored snapshot is filled into a new directory, `ledger-<generation>`; one small file names the one that counts, and
//! is replaced by a rename. A crash leaves either the old or the new one in force, whole. The old one's directory goes when
//! nobody reads it any more.

use crate::StorageError;
use crate::image::DATABASE;
use rocksdb::DB;
use std::io::Write;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

/// An open database with its directory. Whoever holds it reads on after another one has come into force.
pub(crate) struct OpenDatabase {
    // In this order: the database is closed before its directory goes.
    db: DB,
    dir: Directory,
}

struct Directory {
    path: PathBuf,
    superseded: AtomicBool,
}

impl OpenDatabase {
    pub(crate) fn new(db: DB, path: PathBuf) -> OpenDatabase {
        OpenDatabase { db, dir: Directory { path, superseded: AtomicBool::new(false) } }
    }

    /// Another one is in force: this one's directory goes with its last user.
    pub(crate) fn supersede(&self) {
        self.dir.superseded.store(true, Ordering::Release);
    }
}

impl Deref for OpenDatabase {
    type Target = DB;

    fn deref(&self) -> &DB {
        &self.db
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        if *self.superseded.get_mut() {
            // Best effort: what is left is removed at the next start.
            let _ = std::fs::remove_dir_all(&self.path);
        }
    }
}

/// Names the generation in force.
const POINTER: &str = "ledger-current";

pub(crate) fn generation_dir(data_dir: &Path, generation: u64) -> PathBuf {
    data_dir.join(format!("ledger-{generation}"))
}

pub(crate) fn current_generation(data_dir: &Path) -> Result<u64, StorageError> {
    match std::fs::read_to_string(data_dir.join(POINTER)) {
        Ok(text) => text
            .trim()
            .parse()
            .map_err(|_| StorageError::Corrupt { what: "the file ledger-current" }),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(1),
        Err(error) => Err(StorageError::read(DATABASE, "the file ledger-current", error)),
    }
}

/// Durable when it returns: the directory is synced after the rename.
pub(crate) fn point_to(data_dir: &Path, generation: u64) -> Result<(), StorageError> {
    let write = || {
        let temporary = data_dir.join("ledger-current.new");
        let mut file = std::fs::File::create(&temporary)?;
        file.write_all(generation.to_string().as_bytes())?;
        file.sync_all()?;
        std::fs::rename(&temporary, data_dir.join(POINTER))?;
        std::fs::File::open(data_dir)?.sync_all()
    };
    write().map_err(|source| StorageError::write(DATABASE, "the file ledger-current", source))
}

/// What an interrupted or finished restore left behind. Best effort: it only takes up space.
pub(crate) fn remove_other_generations(data_dir: &Path, current: u64) {
    let Ok(entries) = std::fs::read_dir(data_dir) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let generation =
            name.to_str().and_then(|n| n.strip_prefix("ledger-")).and_then(|n| n.parse().ok());
        if generation.is_some_and(|generation: u64| generation != current) {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}
