//! The JSON shapes of conflicts.

use super::dto::hex;
use crate::config::vpn_of_number;
use replication_ledger::{Globals, StandingBinding, Timestamp};
use serde::{Deserialize, Serialize};
use std::net::Ipv4Addr;

/// Answer of `GET /v1/conflicts`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Conflicts {
    /// How many there ever were.
    pub total: u64,
    /// The newest, newest first.
    pub conflicts: Vec<Conflict>,
}

/// One address that was promised to two clients. What is committed stands; the other promise does not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Conflict {
    /// The address.
    pub ip: Ipv4Addr,
    /// Its VPN, as in a lease; null for the global one.
    pub vpn: Option<String>,
    /// When it was found, in seconds since 1970.
    pub found: u64,
    /// The log entry in which it was found.
    pub log_index: u64,
    /// The member that made the promise which does not stand.
    pub member: u64,
    /// In which of its times without contact.
    pub session: u64,
    /// The number of its record.
    pub sequence: u64,
    /// The client identifier to which it was made, in hexadecimal; null if the client sent none.
    pub client_id: Option<String>,
    /// Its hardware address.
    pub mac: String,
    /// When that promise ends, in seconds since 1970; null if never.
    pub expires: Option<u64>,
    /// client-last-transaction-time of that promise, in seconds since 1970.
    pub cltt: u64,
    /// What stands; null if the address was nobody's.
    pub standing: Option<Standing>,
}

/// The binding that stands against a conflict.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// The client identifier in hexadecimal; null if the client sent none.
    pub client_id: Option<String>,
    /// The hardware address.
    pub mac: String,
    /// active, expired, released, declined, reset or free.
    pub state: String,
    /// When the promise ends, in seconds since 1970; null if never.
    pub expires: Option<u64>,
    /// The member that made it.
    pub member: u64,
}

impl Conflict {
    /// What a conflict looks like.
    pub fn of(conflict: &replication_ledger::Conflict, globals: &Globals) -> Conflict {
        Conflict {
            ip: conflict.address.ip,
            vpn: vpn_of_number(globals, conflict.address.vpn),
            found: conflict.at.seconds(),
            log_index: conflict.index,
            member: conflict.member.0,
            session: conflict.session.0,
            sequence: conflict.sequence,
            client_id: conflict.client.identifier().map(hex),
            mac: conflict.hardware.to_string(),
            expires: end_of(conflict.until),
            cltt: conflict.cltt.seconds(),
            standing: conflict.standing.as_ref().map(Standing::of),
        }
    }
}

impl Standing {
    fn of(standing: &StandingBinding) -> Standing {
        Standing {
            client_id: standing.client.identifier().map(hex),
            mac: standing.hardware.to_string(),
            state: standing.state.as_str().to_owned(),
            expires: end_of(standing.until),
            member: standing.maker.0,
        }
    }
}

fn end_of(until: Timestamp) -> Option<u64> {
    (until != Timestamp::NEVER).then(|| until.seconds())
}
