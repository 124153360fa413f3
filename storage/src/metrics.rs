//! Metrics of the stores.

use std::time::Duration;

/// Names and help texts of every metric that this crate emits, for the exporter's registry.
pub const METRICS: &[(&str, &str)] = &[
    ("leasehold_log_fsync_total", "Times the log was synced to disk"),
    ("leasehold_log_fsync_seconds", "How long one sync of the log took"),
    ("leasehold_log_fsync_group_size", "Operations that became durable with one sync of the log"),
];

pub(crate) fn log_synced(took: Duration) {
    metrics::counter!("leasehold_log_fsync_total").increment(1);
    metrics::histogram!("leasehold_log_fsync_seconds").record(took.as_secs_f64());
}

pub(crate) fn log_group(operations: usize) {
    metrics::histogram!("leasehold_log_fsync_group_size").record(operations as f64);
}
