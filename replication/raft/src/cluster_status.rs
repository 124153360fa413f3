//! The cluster as one member sees it, as values.

use crate::drain::DrainProgress;
use crate::error::ClusterId;
use replication_ledger::{MemberId, Mode, Role, Version};
use std::time::Duration;

/// What `cluster status` shows.
#[derive(Clone, Debug)]
pub struct ClusterStatus {
    /// The cluster that this member belongs to, if any.
    pub cluster: Option<ClusterId>,
    /// The epoch of its lineage.
    pub epoch: u64,
    /// This member.
    pub me: MemberId,
    /// Its mode.
    pub mode: Mode,
    /// The leader, if one is known.
    pub leader: Option<MemberId>,
    /// The Raft term.
    pub term: u64,
    /// The first entry that is still in this member's log; earlier ones are in its ledger's image.
    pub first_log_index: u64,
    /// The last entry in this member's log.
    pub last_log_index: u64,
    /// The last entry that it knows to be committed.
    pub committed_index: u64,
    /// The last entry that is durable in its log.
    pub durable_index: u64,
    /// How often its log was synced since the start.
    pub log_syncs_total: u64,
    /// By how much its wall clock was stepped since the start, in nanoseconds.
    pub clock_stepped_nanos: i64,
    /// Every member of the membership, this one included, ascending.
    pub members: Vec<MemberStatus>,
}

/// One member as another sees it.
#[derive(Clone, Debug)]
pub struct MemberStatus {
    /// Its id.
    pub id: MemberId,
    /// Its name.
    pub name: String,
    /// Its role.
    pub role: Role,
    /// Where its peer port is.
    pub address: String,
    /// True if it votes; false while it catches up.
    pub voter: bool,
    /// True if it is believed to lead.
    pub leader: bool,
    /// True if it was heard within the isolation delay (always for this member).
    pub in_contact: bool,
    /// Its mode by its own word, if it was ever heard.
    pub mode: Option<Mode>,
    /// The last entry that it has applied.
    pub applied_index: u64,
    /// Up to which index it has settled.
    pub settled_index: u64,
    /// How many entries it is behind this member's log.
    pub lag_entries: u64,
    /// Its clock minus this member's, in nanoseconds.
    pub clock_skew_nanos: i64,
    /// How long its last answer took.
    pub round_trip: Duration,
    /// How long ago it was heard.
    pub heard_ago: Option<Duration>,
    /// The last version that its program reads (docs/decisions/0007), if it is in contact.
    pub newest: Option<Version>,
    /// How far its drain has come; none if it is not drained.
    pub drain: Option<DrainProgress>,
}
