//! Which program may open a log.

use crate::StorageError;
use crate::log_store::column_family;
use crate::schema::log as schema;
use rocksdb::{DB, Options};
use std::path::Path;
use std::sync::Arc;

/// Refuses the log of another format while it is untouched: opening it for writing would add column families, and then the
/// program that it belongs to could not open it either.
///
/// # Errors
/// [`StorageError::ForeignFormat`], or if it can not be read.
pub(crate) fn refuse_foreign(directory: &Path) -> Result<(), StorageError> {
    let options = Options::default();
    // Where nothing can be listed there is no log yet, or opening it says what is wrong.
    let Ok(names) = DB::list_cf(&options, directory) else { return Ok(()) };
    let has = |name: &str| names.iter().any(|found| found == name);
    if has(schema::JOURNAL) || !has(schema::MARKS) {
        return Ok(());
    }
    let db = DB::open_cf_for_read_only(&options, directory, [schema::MARKS], false);
    let db = db.map_err(|source| StorageError::Open {
        database: "log",
        path: directory.to_owned(),
        source: Arc::new(source),
    })?;
    is_marked(&db, directory).map(|_| ())
}

/// Marks a log that was just made; refuses one of another format.
///
/// # Errors
/// [`StorageError::ForeignFormat`], or if the disk failed.
pub(crate) fn mark(db: &DB, directory: &Path) -> Result<(), StorageError> {
    if is_marked(db, directory)? {
        return Ok(());
    }
    let marks = column_family(db, schema::MARKS);
    db.put_cf(marks, schema::FORMAT, schema::FORMAT_VERSION.to_be_bytes())
        .map_err(|source| StorageError::write("log", "format", source))
}

/// True if it has this program's mark, false if it has none.
fn is_marked(db: &DB, directory: &Path) -> Result<bool, StorageError> {
    let found = db.get_cf(column_family(db, schema::MARKS), schema::FORMAT);
    match found.map_err(|source| StorageError::read("log", "format", source))? {
        None => Ok(false),
        Some(found) if found == schema::FORMAT_VERSION.to_be_bytes() => Ok(true),
        Some(found) => Err(StorageError::ForeignFormat {
            database: "log",
            path: directory.to_owned(),
            found,
            expected: schema::FORMAT_VERSION,
        }),
    }
}
