//! Making a data directory from a backup.
//!
//! The directory is filled beside its place and renamed into it, so that a crash leaves either nothing or all of it.

use crate::config::MemberConfig;
use crate::data_directory::DataDirectory;
use crate::error::ServeError;
use replication_ledger::{Role, Timestamp};
use replication_raft::{Entropy, Restoration, Restored, SystemClock};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// Whether a member could be restored with this configuration.
///
/// # Errors
/// The member is a witness, or its data directory is in use, not empty or not readable.
pub(crate) fn check_target(config: &MemberConfig) -> Result<(), ServeError> {
    let path = &config.data_dir;
    if config.role != Role::Server {
        return Err(ServeError::RestoredWitness);
    }
    match fs::read_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(source) => Err(ServeError::DataDirectory { path: path.clone(), source }),
        Ok(mut entries) => match entries.next() {
            None => Ok(()),
            Some(_) => Err(ServeError::NotEmpty { path: path.clone() }),
        },
    }
}

/// Restores a backup into the data directory of a member that never was.
///
/// # Errors
/// As [`check_target`] and [`replication_raft::restore`].
pub(crate) fn restore(
    config: &MemberConfig,
    backup: &Path,
    lease_seconds_max: u32,
    renew_known: bool,
) -> Result<Restored, ServeError> {
    check_target(config)?;
    let failed = |source| ServeError::DataDirectory { path: config.data_dir.clone(), source };
    let restoration = Restoration {
        member: config.id,
        name: config.name.clone(),
        address: config.peer.advertise.to_string(),
        server_identifier: config.dhcp.as_ref().map(|dhcp| dhcp.server_id),
        now: now(),
        lease_seconds_max,
        renew_known,
        draw: SystemClock.draw().map_err(failed)?,
    };
    let beside = beside(&config.data_dir);
    let cleared = fs::remove_dir_all(&beside);
    if let Err(error) = cleared
        && error.kind() != io::ErrorKind::NotFound
    {
        return Err(failed(error));
    }
    let directory = DataDirectory::open(&beside, config.id)?;
    let restored = replication_raft::restore(directory.path(), backup, &restoration);
    drop(directory);
    let restored = restored.inspect_err(|_| {
        // It is cleared at the next attempt anyway.
        let _ = fs::remove_dir_all(&beside);
    })?;
    fs::rename(&beside, &config.data_dir).map_err(failed)?;
    let parent = config.data_dir.parent().filter(|parent| !parent.as_os_str().is_empty());
    File::open(parent.unwrap_or(Path::new("."))).and_then(|dir| dir.sync_all()).map_err(failed)?;
    Ok(restored)
}

/// The wall clock.
pub(crate) fn now() -> Timestamp {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    // 64 bits of milliseconds last for half a thousand million years.
    Timestamp(since_1970.as_millis() as u64)
}

fn beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".restoring");
    name.into()
}
