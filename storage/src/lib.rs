//! # Storage: what lies on a member's disk
//!
//! The only crate that knows RocksDB. Two databases in one data directory: the log, synced in groups by one flusher,
//! and the ledger, which is rebuilt from its last flushed image and the log after a crash.

mod backup;
pub mod checkpoint;
pub mod encoding;
mod error;
pub mod faults;
mod generations;
mod image;
mod ledger_store;
mod log_flusher;
mod log_format;
mod log_journal;
mod log_state;
pub mod log_store;
pub mod memory;
pub mod metrics;
mod past;
mod schema;
mod table;

pub use backup::{BackupOrigin, BackupSummary, check_backup};
pub use checkpoint::{SnapshotSummary, snapshot_summary};
pub use error::{Cause, StorageError};
pub use ledger_store::{CommittedEntry, EntryContent, LedgerStore, ParcelOutcome};
pub use log_store::{
    DurableListener, JournalBounds, LogBounds, LogStore, OnDurable, RocksLogStore,
};
pub use past::Past;
pub use schema::ledger::IndexKey;
pub use table::Table;
