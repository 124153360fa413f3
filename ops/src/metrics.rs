//! The recorder of metrics, and the gauges that are computed when somebody asks.
//!
//! Counters and histograms are declared beside the code that counts, in the crates below. Here is what only the whole
//! member knows.

use crate::error::ServeError;
use crate::replica::Replica;
use crate::usage::usage;
use ::metrics::{Unit, counter, describe_counter, describe_gauge, gauge};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use replication_ledger::{BindingState, LedgerView};

/// Upper bounds of durations, in seconds: from a memory access to the patience of a client.
const SECONDS_BUCKETS: [f64; 18] = [
    0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5,
    1.0, 2.0, 4.0, 8.0, 16.0,
];
/// Upper bounds of numbers of things handled at once.
const SIZE_BUCKETS: [f64; 13] =
    [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0, 2048.0, 4096.0];

/// Installs the recorder. From now on everything that is counted is kept.
///
/// # Errors
/// If one was installed before in this process.
pub fn install() -> Result<PrometheusHandle, ServeError> {
    let twice = ServeError::InstalledTwice { what: "the recorder of metrics" };
    let builder = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS_BUCKETS)
        .and_then(|builder| {
            builder.set_buckets_for_metric(Matcher::Suffix("_size".to_owned()), &SIZE_BUCKETS)
        });
    // The only error is an empty list of buckets, and neither is empty.
    let Ok(builder) = builder else { return Err(twice) };
    let recorder = builder.build_recorder();
    let handle = recorder.handle();
    ::metrics::set_global_recorder(recorder).map_err(|_| twice)?;
    describe();
    Ok(handle)
}

fn describe() {
    let gauge = |name: &'static str, text: &'static str| describe_gauge!(name, Unit::Count, text);
    gauge("leasehold_build_info", "1, with the version as label.");
    gauge("leasehold_mode", "1 for the mode that the member is in, 0 for the others.");
    gauge("leasehold_leader", "1 if this member leads.");
    gauge("leasehold_raft_term", "The leader's term as this member knows it.");
    gauge("leasehold_raft_last_log_index", "The newest entry of this member's log.");
    gauge("leasehold_raft_committed_index", "The newest entry known to be committed.");
    gauge("leasehold_raft_applied_index", "The newest entry applied here.");
    gauge("leasehold_raft_settled_index", "How far the durable log matches the leader's.");
    gauge("leasehold_peer_contact", "1 if the member answers.");
    gauge("leasehold_peer_lag_entries", "Entries that the member lacks, on the leader only.");
    describe_gauge!(
        "leasehold_peer_round_trip_seconds",
        Unit::Seconds,
        "The time of a message to the member and back."
    );
    describe_gauge!(
        "leasehold_peer_clock_skew_seconds",
        Unit::Seconds,
        "The member's clock minus this one's."
    );
    describe_counter!(
        "leasehold_merge_conflicts_total",
        Unit::Count,
        "Addresses found promised to two clients, ever, by all members."
    );
    gauge("leasehold_drained", "1 for a member that is drained, as the cluster has it.");
    gauge("leasehold_addresses", "Bindings of a pool by state.");
    gauge("leasehold_free_addresses", "Addresses of a pool that a server can give out.");
}

/// Brings the gauges up to date. Takes long with many bindings: not for a serving task.
pub fn refresh<R: Replica>(replica: &R) {
    gauge!("leasehold_build_info", "version" => env!("CARGO_PKG_VERSION")).set(1.0);
    let status = replica.status();
    for mode in ["quorum", "isolated", "silent", "sole"] {
        gauge!("leasehold_mode", "mode" => mode).set(one_if(status.mode.as_str() == mode));
    }
    gauge!("leasehold_leader").set(one_if(status.leader == Some(status.member)));
    gauge!("leasehold_raft_term").set(status.term as f64);
    gauge!("leasehold_raft_last_log_index").set(status.last_log_index as f64);
    gauge!("leasehold_raft_committed_index").set(status.committed_index as f64);
    gauge!("leasehold_raft_applied_index").set(status.applied_index as f64);
    gauge!("leasehold_raft_settled_index").set(status.settled_index as f64);
    for member in &status.members {
        let drained = one_if(member.drain.is_some());
        gauge!("leasehold_drained", "member" => member.id.to_string()).set(drained);
    }
    for member in status.members.iter().filter(|member| member.id != status.member) {
        let peer = member.id.to_string();
        gauge!("leasehold_peer_contact", "peer" => peer.clone()).set(one_if(member.contact));
        let measured = [
            ("leasehold_peer_lag_entries", member.lag_entries.map(|entries| entries as f64)),
            ("leasehold_peer_round_trip_seconds", member.round_trip_seconds),
            ("leasehold_peer_clock_skew_seconds", member.clock_skew_seconds),
        ];
        for (name, value) in measured {
            // What is not known any more must not go on looking fresh.
            gauge!(name, "peer" => peer.clone()).set(value.unwrap_or(f64::NAN));
        }
    }
    // Committed, so every member says the same, after a restart too.
    let conflicts = replica.read(|view| view.globals().conflicts);
    counter!("leasehold_merge_conflicts_total").absolute(conflicts);
    for pool in usage(replica) {
        let (subnet, range) = (pool.subnet.to_string(), pool.pool.addresses().to_string());
        // An empty label is none to Prometheus: a site without VPNs sees no difference.
        let vpn = pool.vpn.unwrap_or_default();
        for (state, count) in BindingState::ALL.iter().zip(pool.states) {
            let state = state.to_string();
            let (vpn, subnet, range) = (vpn.clone(), subnet.clone(), range.clone());
            gauge!("leasehold_addresses", "vpn" => vpn, "subnet" => subnet, "pool" => range, "state" => state)
                .set(count as f64);
        }
        for (owner, count) in pool.free {
            let owner = owner.to_string();
            let (vpn, subnet, range) = (vpn.clone(), subnet.clone(), range.clone());
            gauge!("leasehold_free_addresses", "vpn" => vpn, "subnet" => subnet, "pool" => range, "owner" => owner)
                .set(count as f64);
        }
    }
}

fn one_if(holds: bool) -> f64 {
    f64::from(u8::from(holds))
}
