//! The JSON shapes of names in DNS.

use crate::config::vpn_of_number;
use replication_ledger::{ClientNaming, Globals, NameEntry, Octets};
use serde::{Deserialize, Serialize};
use std::net::Ipv4Addr;

/// Answer of `GET /v1/names`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamePage {
    /// Addresses that have names in DNS, or are to have, or had and are to lose.
    pub total: u64,
    /// Those of them where something is left to be done.
    pub waiting: u64,
    /// By address.
    pub names: Vec<Name>,
    /// What to send as `after` for the next page; null on the last one.
    pub next: Option<String>,
}

/// What DNS should say of one address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Name {
    /// The address.
    pub ip: Ipv4Addr,
    /// Its VPN, as in a lease; null for the global one.
    pub vpn: Option<String>,
    /// Its name; null if it is to have none.
    pub name: Option<String>,
    /// The name is to lead to the address.
    pub forward: bool,
    /// The address is to lead to the name.
    pub reverse: bool,
    /// Time to live of the records, in seconds; null without a name.
    pub ttl: Option<u32>,
    /// Names that are to go.
    pub removing: Vec<String>,
    /// Something is left to be done.
    pub waiting: bool,
    /// What came of the newest attempt: done, conflict, no_zone or denied; null before the first.
    pub result: Option<String>,
    /// When the next attempt is due, in seconds since 1970; null if it is due now or nothing is.
    pub retry: Option<u64>,
}

impl Name {
    /// From the ledger's entry.
    pub fn of(entry: &NameEntry, globals: &Globals) -> Name {
        let wanted = entry.wanted.as_ref().map(|wanted| &wanted.naming);
        let removing: Vec<String> = entry.to_remove().map(name_of).collect();
        Name {
            ip: entry.address.ip,
            vpn: vpn_of_number(globals, entry.address.vpn),
            name: wanted.map(|wanted| text(&wanted.name)),
            forward: wanted.is_some_and(|wanted| wanted.forward),
            reverse: wanted.is_some_and(|wanted| wanted.reverse),
            ttl: wanted.map(|wanted| wanted.ttl_seconds),
            removing,
            waiting: entry.due.is_some(),
            result: entry.verdict.map(|verdict| verdict.as_str().to_owned()),
            retry: entry.due.map(|due| due.seconds()).filter(|due| *due > 0),
        }
    }
}

fn name_of(naming: &ClientNaming) -> String {
    text(&naming.naming.name)
}

/// A name in wire format as people write it. Names in the ledger consist of letters, digits and hyphens.
fn text(wire: &Octets) -> String {
    let (mut rest, mut labels) = (&wire[..], Vec::new());
    while let [len @ 1..=63, tail @ ..] = rest {
        let Some((label, after)) = tail.split_at_checked(usize::from(*len)) else { break };
        labels.push(String::from_utf8_lossy(label));
        rest = after;
    }
    labels.join(".")
}
