//! The JSON shapes of partner-down and of joining.

use super::dto::Cluster;
use serde::{Deserialize, Serialize};

/// Answer of `POST /v1/cluster/join`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Joined {
    /// The cluster as the member sees it now.
    pub cluster: Cluster,
    /// Set if the member was superseded by a newer epoch: it has not joined, but handed over what it promised.
    pub handed_over: Option<HandedOver>,
}

/// What came of handing over the promises of a superseded member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HandedOver {
    /// Records that the newer epoch has now.
    pub records: u64,
    /// Those that could not stand, because the address is promised to another client there.
    pub conflicts: u64,
}

impl HandedOver {
    /// From what replication says.
    pub fn of(handed: &replication_raft::HandedOver) -> HandedOver {
        HandedOver { records: handed.records, conflicts: handed.conflicts }
    }
}

/// Answer of `GET` and `POST /v1/cluster/partner-down`: what asserting that the others are down means.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartnerDownCase {
    /// The epoch that begins.
    pub epoch: u64,
    /// Who is asserted to be down.
    pub others: Vec<Unheard>,
    /// The member may lack promises of the others: the cluster is more than a pair.
    pub lossy: bool,
    /// The member's own authority had run out.
    pub authority_over: bool,
    /// Log entries that the others were last known to have and the member has not.
    pub entries_behind: u64,
    /// How long what the others owned or may have extended stays unused, in seconds.
    pub wait_seconds: u64,
}

/// A member that is not heard.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unheard {
    /// Its id.
    pub id: u64,
    /// How long ago it was last heard, in seconds; null if never since the start.
    pub heard_seconds_ago: Option<u64>,
}

impl PartnerDownCase {
    /// From what replication says.
    pub fn of(case: &replication_raft::PartnerDownCase) -> PartnerDownCase {
        let others = case.others.iter().map(|(id, heard_ago)| Unheard {
            id: id.0,
            heard_seconds_ago: heard_ago.map(|ago| ago.as_secs()),
        });
        PartnerDownCase {
            epoch: case.epoch,
            others: others.collect(),
            lossy: case.lossy,
            authority_over: case.authority_over,
            entries_behind: case.entries_behind,
            wait_seconds: case.wait_seconds,
        }
    }
}

/// Body of `POST /v1/cluster/partner-down`: the case that was shown and is confirmed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PartnerDown {
    /// The epoch that shall begin.
    pub epoch: u64,
    /// As shown.
    pub lossy: bool,
    /// As shown.
    pub entries_behind: u64,
}
