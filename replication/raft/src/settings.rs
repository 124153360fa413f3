//! openraft's settings, each where its default is wrong for leases; docs/decisions/0005 has the reasons.

use crate::error::ReplicationError;
use crate::limits;
use openraft::SnapshotPolicy;

/// What openraft runs with.
pub(crate) fn raft_config() -> Result<openraft::Config, ReplicationError> {
    let config = openraft::Config {
        cluster_name: "leasehold".to_owned(),
        heartbeat_interval: limits::HEARTBEAT_INTERVAL_MS,
        election_timeout_min: limits::ELECTION_TIMEOUT_MIN_MS,
        election_timeout_max: limits::ELECTION_TIMEOUT_MAX_MS,
        enable_pre_vote: Some(true),
        // openraft restores a restarted leader by default. That is unsafe here: followers may have committed an entry that the
        // leader's own disk lost with the power, and it would write another one under the same term and index.
        enable_leader_restore: Some(false),
        // Heartbeats of a leader that lost its quorum must not keep others from electing one.
        quorum_loss_probe_interval: Some(limits::ELECTION_TIMEOUT_MAX_MS * 2),
        broadcast_submitted_on_append: Some(true),
        max_payload_entries: 64,
        max_append_entries: Some(4096),
        api_batch_linger_ms: 0,
        // The image is flushed by `flush_images`, not by a count of entries.
        snapshot_policy: SnapshotPolicy::Never,
        replication_lag_threshold: 500_000,
        max_in_snapshot_log_to_keep: limits::KEPT_ENTRIES,
        purge_batch_size: 1024,
        backoff: "20ms 50ms 100ms ...400ms".to_owned(),
        install_snapshot_timeout: 60_000,
        ..openraft::Config::default()
    };
    config.validate().map_err(|error| ReplicationError::Settings { reason: error.to_string() })
}
