//! Cluster suite: real processes, real sockets, real kills. Few tests, each about something that
//! only whole processes can show; they wait on conditions, never on time.

mod backup;
mod bulk_truth;
mod clock_skew;
mod demo;
mod formation;
mod maintenance;
mod mutual_tls;
mod names;
mod packets;
mod reconciliation;
mod restart_alone;
mod takeover;
mod truth;
mod upgrade;
mod vpns;

use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// Tests that measure time have the machine to themselves; the others share it.
static MACHINE: RwLock<()> = RwLock::new(());

/// For a test whose result does not depend on how fast things go.
fn machine_shared() -> RwLockReadGuard<'static, ()> {
    MACHINE.read().unwrap_or_else(PoisonError::into_inner)
}

/// For a test with a bound on time.
fn machine_alone() -> RwLockWriteGuard<'static, ()> {
    MACHINE.write().unwrap_or_else(PoisonError::into_inner)
}
