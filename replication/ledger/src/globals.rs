//! What the ledger knows besides bindings: small, read on every packet, stored whole.

use crate::{
    Assertion, BucketMap, Conflict, Holders, MemberId, Octets, Session, Settings, Stamp, Timestamp,
    Version, VpnNumber,
};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::Ipv4Addr;

/// What a member is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Role {
    /// Serves DHCP and holds all state.
    Server,
    /// Holds all state, votes, may lead; serves no DHCP and owns no addresses.
    Witness,
}

impl Role {
    /// The lower-case name used in member.toml and JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Role::Server => "server",
            Role::Witness => "witness",
        }
    }
}

/// That a member is out of contact or removed, as committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lost {
    /// By the fastest clock: at or after the member's last contact.
    pub at: Timestamp,
    /// The log index of the entry that says so.
    pub index: u64,
}

/// One member as the log knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// Its name.
    pub name: String,
    /// Server or witness.
    pub role: Role,
    /// Option 54 of its replies.
    pub server_identifier: Option<Ipv4Addr>,
    /// The session whose commands are taken; 0 until it has come into contact the first time.
    pub session: Session,
    /// The highest log index at which its own durable log is known to match the leader's.
    pub settled_index: u64,
    /// Set while it is out of contact, and for ever once it is removed.
    pub lost: Option<Lost>,
    /// It left for good; kept so that its id is never used again and its authority is waited for [AV-Q9].
    pub removed: bool,
    /// The newest of its journal records that is merged (isolated mode).
    pub merged_sequence: u64,
}

impl Member {
    /// True if it may be promised addresses to give out: a server in contact.
    pub fn serves(&self) -> bool {
        self.role == Role::Server && !self.removed && self.lost.is_none()
    }
}

/// Everything but the bindings.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Globals {
    /// The index of the newest applied entry.
    pub applied_index: u64,
    /// The time of that entry [AV-Q6].
    pub stamp: Stamp,
    /// Counts partner-down assertions; part of the lineage.
    pub epoch: u64,
    /// Every member there ever was.
    pub members: BTreeMap<MemberId, Member>,
    /// Who answers whom [AV-Q7].
    pub buckets: BucketMap,
    /// The network configuration.
    pub settings: Settings,
    /// Who owns the free addresses [AV-Q5].
    pub holders: Holders,
    /// Merges that found the address promised to somebody else; nothing else may ever count here.
    pub conflicts: u64,
    /// The newest of these, oldest first, at most [`crate::CONFLICTS_LEN_MAX`].
    pub conflict_events: VecDeque<Conflict>,
    /// The newest partner-down assertion.
    pub assertion: Option<Assertion>,
    /// Members that are to have neither buckets nor free space.
    pub draining: BTreeSet<MemberId>,
    /// In which version everything is written. It only ever rises.
    pub version: Version,
    /// The identifier of every VPN that is or was configured: what it left behind can still be named.
    pub vpns: BTreeMap<VpnNumber, Octets>,
}

impl Globals {
    /// The servers in contact, ascending.
    pub fn serving(&self) -> Vec<MemberId> {
        self.members.iter().filter(|(_, m)| m.serves()).map(|(id, _)| *id).collect()
    }

    /// The servers that buckets and free space are shared among, ascending: those in contact that are not being drained.
    pub fn sharing(&self) -> Vec<MemberId> {
        self.serving().into_iter().filter(|id| !self.draining.contains(id)).collect()
    }

    /// True if this member is being drained and answers for nobody any more: what it owns is on its way to the others, and it
    /// offers nothing of it to new clients.
    pub fn gives_away(&self, member: MemberId) -> bool {
        self.draining.contains(&member) && !self.buckets.owners().contains(&member)
    }

    /// The value of option 221 that names a VPN; none for the global one.
    pub fn vpn_identifier(&self, vpn: VpnNumber) -> Option<&[u8]> {
        self.vpns.get(&vpn).map(|identifier| &identifier[..])
    }

    /// Every server whose word counts when an address changes hands: all that are enrolled, and the lost and
    /// removed ones until their authority is over.
    pub fn servers(&self) -> impl Iterator<Item = (MemberId, &Member)> {
        self.members.iter().filter(|(_, m)| m.role == Role::Server).map(|(id, m)| (*id, m))
    }
}
