//! The JSON shapes of the admin API. They are a promise to scripts: fields are added, never renamed.

use crate::config::vpn_of_number;
use crate::replica::{MemberStatus, Status};
use replication_ledger::{Binding, BindingState, Globals, MemberId, Mode, Octets, Timestamp};
use replication_raft::DrainProgress;
use serde::{Deserialize, Serialize};
use std::net::Ipv4Addr;

pub use super::dto_conflicts::{Conflict, Conflicts, Standing};
pub use super::dto_epoch::{HandedOver, Joined, PartnerDown, PartnerDownCase, Unheard};
pub use super::dto_names::{Name, NamePage};

/// One binding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// The address.
    pub ip: Ipv4Addr,
    /// Its VPN as network.toml names it, or `%` and the number of one whose name nobody knows; null for the global one.
    pub vpn: Option<String>,
    /// active, expired, released, declined, reset or free.
    pub state: String,
    /// The client identifier in hexadecimal; null if the client sent none.
    pub client_id: Option<String>,
    /// The hardware address.
    pub mac: String,
    /// The name that the client gave; null if it gave none.
    pub hostname: Option<String>,
    /// When the promise ends, in seconds since 1970; null if never.
    pub expires: Option<u64>,
    /// When the state was entered, in seconds since 1970.
    pub starts: u64,
    /// client-last-transaction-time (RFC 4388), in seconds since 1970.
    pub cltt: u64,
    /// Seconds until the promise ends, 0 if it is over; null if it never ends.
    pub remaining: Option<u64>,
    /// The relay; null if the client was on a link of a member.
    pub giaddr: Option<Ipv4Addr>,
    /// Option 82 in hexadecimal; null if there was none.
    pub relay_agent_information: Option<String>,
    /// Its circuit-id in hexadecimal.
    pub circuit_id: Option<String>,
    /// Its remote-id in hexadecimal.
    pub remote_id: Option<String>,
    /// Its subscriber-id in hexadecimal.
    pub subscriber_id: Option<String>,
    /// Its relay-id in hexadecimal.
    pub relay_id: Option<String>,
    /// The member that made the newest promise.
    pub member: u64,
    /// The subnet that holds the address; null if none does any more.
    pub subnet: Option<String>,
}

impl Lease {
    /// What a binding looks like at a moment.
    pub fn of(binding: &Binding, globals: &Globals, now: Timestamp) -> Lease {
        let sub_option = |code| binding.relay_sub_option(code).map(hex);
        let mortal = binding.until != Timestamp::NEVER;
        let remaining = match binding.state {
            BindingState::Active | BindingState::Declined => {
                binding.until.seconds().saturating_sub(now.seconds())
            }
            _ => 0,
        };
        Lease {
            ip: binding.address.ip,
            vpn: vpn_of_number(globals, binding.address.vpn),
            state: binding.state.as_str().to_owned(),
            client_id: binding.client.identifier().map(hex),
            mac: binding.hardware.to_string(),
            hostname: text(&binding.host_name),
            expires: mortal.then(|| binding.until.seconds()),
            starts: binding.state_since.seconds(),
            cltt: binding.cltt.seconds(),
            remaining: (mortal || remaining == 0).then_some(remaining),
            giaddr: Some(binding.giaddr).filter(|giaddr| !giaddr.is_unspecified()),
            relay_agent_information: Some(&binding.relay_agent_information)
                .filter(|octets| !octets.is_empty())
                .map(Octets::to_string),
            circuit_id: sub_option(1),
            remote_id: sub_option(2),
            subscriber_id: sub_option(6),
            relay_id: sub_option(12),
            member: binding.maker.0,
            subnet: globals.settings.subnet_of(binding.address).map(|s| s.prefix.to_string()),
        }
    }
}

pub(super) fn hex(octets: &[u8]) -> String {
    Octets::from(octets).to_string()
}

/// Text from a client: whatever is no plain character is shown as an escape.
fn text(octets: &[u8]) -> Option<String> {
    (!octets.is_empty()).then(|| octets.escape_ascii().to_string())
}

/// One page of bindings in order of address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeasePage {
    /// The bindings.
    pub leases: Vec<Lease>,
    /// What to send as `after` for the next page; null on the last one.
    pub next: Option<String>,
}

/// The cluster as one member sees it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Cluster {
    /// The cluster's name; null before `cluster init` or `cluster join`.
    pub cluster: Option<String>,
    /// The member that answers.
    pub member: u64,
    /// quorum, isolated, silent or sole.
    pub mode: String,
    /// Why it is silent; null if it is not.
    pub reason: Option<String>,
    /// The leader; null if there is none.
    pub leader: Option<u64>,
    /// The leader's term.
    pub term: u64,
    /// The newest entry of the log.
    pub last_log_index: u64,
    /// The newest committed entry.
    pub committed_index: u64,
    /// The newest applied entry.
    pub applied_index: u64,
    /// How far this member's durable log matches the leader's.
    pub settled_index: u64,
    /// The revision of the configuration in force.
    pub config_revision: u64,
    /// The version in which members write; it rises when all of them read a higher one.
    pub version: u8,
    /// Addresses that new clients can get, over all pools.
    pub free_addresses: u64,
    /// Addresses that were ever found promised to two clients; `GET /v1/conflicts` lists the newest.
    pub conflicts: u64,
    /// Every member.
    pub members: Vec<Member>,
    /// Servers that were removed and may still have promises out.
    pub removed: Vec<Removed>,
}

/// A server that was removed: what it may have promised is waited for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Removed {
    /// Its id, which nobody gets again.
    pub id: u64,
    /// Its name.
    pub name: String,
    /// When it was removed, in seconds since 1970.
    pub removed: u64,
    /// From when on its addresses may go to others, in seconds since 1970.
    pub waits_until: u64,
}

/// One member.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Member {
    /// Its id.
    pub id: u64,
    /// Its name.
    pub name: String,
    /// server or witness.
    pub role: String,
    /// Where the others reach it.
    pub address: String,
    /// It leads.
    pub leader: bool,
    /// It votes.
    pub voter: bool,
    /// It answers the member that was asked.
    pub contact: bool,
    /// How far its durable log matches the leader's.
    pub settled_index: u64,
    /// Entries that it lacks; null if the member that was asked does not lead.
    pub lag_entries: Option<u64>,
    /// Its clock minus the one of the member that was asked, in seconds.
    pub clock_skew_seconds: Option<f64>,
    /// There and back, in seconds.
    pub round_trip_seconds: Option<f64>,
    /// Addresses that it can give to new clients.
    pub free_addresses: u64,
    /// What it may do now, as it says itself: quorum, isolated, silent or sole; null if it is not heard.
    pub mode: Option<String>,
    /// Why it is silent; null if it is not.
    pub reason: Option<String>,
    /// How many of the 256 shares of the clients it answers.
    pub buckets: u64,
    /// The last version that its program reads; null if it is not heard.
    pub reads_version: Option<u8>,
    /// How far its drain has come; null if it is not drained.
    pub drain: Option<Drain>,
}

/// How far a drain has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drain {
    /// The member can be stopped and nobody misses it.
    pub done: bool,
    /// It still leads.
    pub leads: bool,
    /// Shares of the clients that are still its own.
    pub buckets: u64,
    /// Addresses that are still its own.
    pub owned_addresses: u64,
    /// Addresses that nobody has been granted yet.
    pub moving_addresses: u64,
    /// Other servers that do not know everything yet.
    pub unsettled_members: u64,
    /// Without its vote the others in contact are no quorum.
    pub vote_needed: bool,
}

impl Drain {
    fn of(progress: DrainProgress) -> Drain {
        Drain {
            done: progress.is_done(),
            leads: progress.leads,
            buckets: progress.left.buckets as u64,
            owned_addresses: progress.left.owned,
            moving_addresses: progress.left.moving,
            unsettled_members: progress.left.unsettled as u64,
            vote_needed: progress.vote_needed,
        }
    }
}

impl Removed {
    /// The removed servers whose time is not over.
    fn all(globals: &Globals) -> Vec<Removed> {
        let wait =
            globals.settings.mclt_max_seconds.saturating_add(globals.settings.margin_seconds);
        let waited_for = globals.servers().filter_map(|(id, member)| {
            let at = member.lost.filter(|_| member.removed)?.at;
            let waits_until = at.plus_seconds(wait);
            (waits_until > globals.stamp.earliest).then(|| Removed {
                id: id.0,
                name: member.name.clone(),
                removed: at.seconds(),
                waits_until: waits_until.seconds(),
            })
        });
        waited_for.collect()
    }
}

fn reason_of(mode: Mode) -> Option<String> {
    match mode {
        Mode::Silent(reason) => Some(reason.as_str().to_owned()),
        _ => None,
    }
}

impl Cluster {
    /// From what the replica says; `free` counts a member's free addresses.
    pub fn of(status: &Status, globals: &Globals, free: impl Fn(u64) -> u64) -> Cluster {
        let buckets = |member: MemberId| {
            let owners = globals.buckets.owners().iter();
            owners.filter(|owner| **owner == member).count() as u64
        };
        let member = |seen: &MemberStatus| Member {
            id: seen.id.0,
            name: seen.name.clone(),
            role: seen.role.as_str().to_owned(),
            address: seen.address.clone(),
            leader: status.leader == Some(seen.id),
            voter: seen.voter,
            contact: seen.contact,
            settled_index: seen.settled_index,
            lag_entries: seen.lag_entries,
            clock_skew_seconds: seen.clock_skew_seconds,
            round_trip_seconds: seen.round_trip_seconds,
            free_addresses: free(seen.id.0),
            mode: seen.mode.map(|mode| mode.as_str().to_owned()),
            reason: seen.mode.and_then(reason_of),
            buckets: buckets(seen.id),
            reads_version: seen.newest.map(|version| version.0),
            drain: seen.drain.map(Drain::of),
        };
        let members: Vec<Member> = status.members.iter().map(member).collect();
        Cluster {
            cluster: status.cluster.clone(),
            member: status.member.0,
            mode: status.mode.as_str().to_owned(),
            reason: reason_of(status.mode),
            leader: status.leader.map(|id| id.0),
            term: status.term,
            last_log_index: status.last_log_index,
            committed_index: status.committed_index,
            applied_index: status.applied_index,
            settled_index: status.settled_index,
            config_revision: globals.settings.revision,
            version: globals.version.0,
            free_addresses: members.iter().map(|member| member.free_addresses).sum(),
            conflicts: globals.conflicts,
            members,
            removed: Removed::all(globals),
        }
    }
}

/// How much of every pool is used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subnet {
    /// Its VPN as network.toml names it; null for the global one.
    pub vpn: Option<String>,
    /// Its prefix.
    pub prefix: String,
    /// The link that it shares; null if it has one of its own.
    pub network: Option<String>,
    /// Addresses set aside for known clients.
    pub reservations: u64,
    /// Its pools.
    pub pools: Vec<Pool>,
}

/// One pool.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pool {
    /// First and last address.
    pub range: String,
    /// Addresses in it.
    pub size: u64,
    /// Bindings by state.
    pub states: std::collections::BTreeMap<String, u64>,
    /// Addresses that each server can give to new clients, by member id.
    pub free: std::collections::BTreeMap<String, u64>,
}

/// The configuration in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Config {
    /// How often it was changed.
    pub revision: u64,
    /// network.toml as the operator wrote it.
    pub source: String,
}

/// What came of a new configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfigOutcome {
    /// The revision in force after the call.
    pub revision: u64,
    /// False if it was only checked.
    pub applied: bool,
}

/// Body of `POST /v1/cluster/join`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Join {
    /// The peer address of a member.
    pub peer: String,
    /// A token from `cluster token`.
    pub token: String,
}

/// Body of `POST /v1/cluster/transfer`, `drain`, `undrain` (member may be null there) and `remove`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Whom {
    /// Which member.
    pub member: Option<u64>,
}

/// Answer of `POST /v1/cluster/token`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JoinToken {
    /// Good for one member, once.
    pub token: String,
}

/// Answer of `POST /v1/cluster/transfer`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transferred {
    /// Who leads now.
    pub leader: u64,
}

/// RFC 9457.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProblemDocument {
    /// Stable: scripts compare it.
    #[serde(rename = "type")]
    pub kind: String,
    /// The type for people.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What happened and what to do.
    pub detail: String,
    /// Who leads, if only the leader can do it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leader: Option<u64>,
    /// What is wrong with a configuration.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<ProblemLine>,
}

/// One problem of a configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProblemLine {
    /// From 1.
    pub line: usize,
    /// The key as a path.
    pub key: String,
    /// What is wrong and what to do.
    pub reason: String,
}
