//! Metrics of replication.

use crate::error::{HandshakeRefusal, ProposeError};
use crate::limits;
use replication_ledger::{MemberId, Merged, Mode};
use std::time::Duration;

/// Names and help texts of every metric that this crate emits, for the exporter's registry.
pub const METRICS: &[(&str, &str)] = &[
    ("leasehold_mode", "1 for the mode that this member is in, 0 for the others"),
    ("leasehold_leader", "1 if this member leads"),
    ("leasehold_raft_term", "Term of the Raft group"),
    ("leasehold_raft_last_log_index", "Index of the last entry in this member's log"),
    ("leasehold_raft_committed_index", "Index of the last entry known to be committed"),
    ("leasehold_raft_applied_index", "Index of the last applied entry"),
    ("leasehold_raft_settled_index", "Index up to which this member has settled"),
    ("leasehold_peer_contact", "1 if the peer answered within the isolation delay"),
    ("leasehold_peer_lag_entries", "Entries that the peer has not applied yet"),
    ("leasehold_peer_round_trip_seconds", "Round trip to the peer"),
    ("leasehold_peer_clock_skew_seconds", "The peer's clock minus this member's"),
    ("leasehold_peer_refusals_total", "Connections of peers that were refused, by reason"),
    (
        "leasehold_peer_heartbeat_delay_seconds",
        "How much later than due a heartbeat of the leader was read, one interval after the one before",
    ),
    ("leasehold_commit_seconds", "From a proposal to its durable outcome on this member"),
    ("leasehold_commit_batch_size", "Commands in one log entry"),
    ("leasehold_proposals_failed_total", "Proposals without outcome, by reason"),
    ("leasehold_journal_entries", "Promises made without a quorum that are not merged yet"),
    (
        "leasehold_authority_seconds",
        "For how much longer this member may promise without a quorum; infinite in a plain pair",
    ),
    (
        "leasehold_merge_total",
        "Journal records of this member that came into the log, by what came of them",
    ),
    ("leasehold_clock_stepped_seconds", "By how much the wall clock was stepped since the start"),
];

/// What a member shows of its own replication.
pub(crate) struct Gauges {
    pub(crate) mode: Mode,
    pub(crate) leads: bool,
    pub(crate) term: u64,
    pub(crate) last_log_index: u64,
    pub(crate) committed_index: u64,
    pub(crate) applied_index: u64,
    pub(crate) settled_index: u64,
    pub(crate) clock_stepped_nanos: i64,
    pub(crate) journal_entries: u64,
    pub(crate) authority_seconds: f64,
}

pub(crate) fn show(gauges: &Gauges) {
    for mode in ["quorum", "isolated", "silent", "sole"] {
        let value = if gauges.mode.as_str() == mode { 1.0 } else { 0.0 };
        metrics::gauge!("leasehold_mode", "mode" => mode).set(value);
    }
    metrics::gauge!("leasehold_leader").set(f64::from(u8::from(gauges.leads)));
    metrics::gauge!("leasehold_raft_term").set(gauges.term as f64);
    metrics::gauge!("leasehold_raft_last_log_index").set(gauges.last_log_index as f64);
    metrics::gauge!("leasehold_raft_committed_index").set(gauges.committed_index as f64);
    metrics::gauge!("leasehold_raft_applied_index").set(gauges.applied_index as f64);
    metrics::gauge!("leasehold_raft_settled_index").set(gauges.settled_index as f64);
    metrics::gauge!("leasehold_journal_entries").set(gauges.journal_entries as f64);
    metrics::gauge!("leasehold_authority_seconds").set(gauges.authority_seconds);
    let stepped = gauges.clock_stepped_nanos as f64 / 1e9;
    metrics::gauge!("leasehold_clock_stepped_seconds").set(stepped);
}

pub(crate) fn peer(
    peer: MemberId,
    in_contact: bool,
    lag_entries: u64,
    round_trip: Duration,
    skew_nanos: i64,
) {
    let label = peer.to_string();
    metrics::gauge!("leasehold_peer_contact", "peer" => label.clone())
        .set(f64::from(u8::from(in_contact)));
    metrics::gauge!("leasehold_peer_lag_entries", "peer" => label.clone()).set(lag_entries as f64);
    metrics::gauge!("leasehold_peer_round_trip_seconds", "peer" => label.clone())
        .set(round_trip.as_secs_f64());
    metrics::gauge!("leasehold_peer_clock_skew_seconds", "peer" => label)
        .set(skew_nanos as f64 / 1e9);
}

pub(crate) fn peer_refused(refusal: HandshakeRefusal) {
    metrics::counter!("leasehold_peer_refusals_total", "reason" => refusal.as_str()).increment(1);
}

/// A heartbeat of the leader came so long after the one before on its connection.
pub(crate) fn heartbeat_after(gap: Duration) {
    let late = gap.saturating_sub(Duration::from_millis(limits::HEARTBEAT_INTERVAL_MS));
    metrics::histogram!("leasehold_peer_heartbeat_delay_seconds").record(late.as_secs_f64());
}

pub(crate) fn committed(took: Duration) {
    metrics::histogram!("leasehold_commit_seconds").record(took.as_secs_f64());
}

pub(crate) fn merged(merged: Merged) {
    metrics::counter!("leasehold_merge_total", "outcome" => merged.as_str()).increment(1);
}

pub(crate) fn entry_packed(commands: usize) {
    metrics::histogram!("leasehold_commit_batch_size").record(commands as f64);
}

pub(crate) fn proposal_failed(error: ProposeError) {
    let reason = match error {
        ProposeError::Overloaded => "overloaded",
        ProposeError::NoQuorum => "no_quorum",
        ProposeError::Stopping => "stopping",
    };
    metrics::counter!("leasehold_proposals_failed_total", "reason" => reason).increment(1);
}
