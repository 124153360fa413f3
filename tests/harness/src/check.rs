//! # Check: what clients were promised against what the members hold
//!
//! Problem. After a member was killed, partitioned or restarted: is every promise still known, to
//! every member, and was no address promised twice?
//! Model.   Two kinds of evidence, neither made by the other: the generator's ACK file, and each
//! member's `lease list --output json` taken once the load has ended.
//! Rules.   No lost promise: the binding is there, active, for that client, with that relay
//! information, and does not end before the promise does. One holder: an address goes to a second
//! client only when the first one's promise is over or given back.
//! Hazards. A member may know *more* than the file: an ACK that was sent and never arrived, so an
//! expiry later than the file's is right. A RELEASE may have been lost: a released binding may
//! be active or not, and proves nothing either way. An ACK that is read after its client's RELEASE
//! was sent before that came.
//! Absent.  No clock: the caller says what time it is.

use std::collections::BTreeMap;
use std::fmt;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::load::{Ack, AckKind};

/// How far a member's clock may be from the generator's, in seconds: times are compared with this
/// tolerance, and one second more for rounding down.
pub const CLOCK_TOLERANCE_SECONDS: u64 = 1;

/// One object of `leasehold lease list --output json`, as far as the checker reads it.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
pub struct Lease {
    /// The address.
    pub ip: Ipv4Addr,
    /// Its VPN; none for the global one.
    #[serde(default)]
    pub vpn: Option<String>,
    /// `active`, `expired`, `released`, `declined`, `reset`, `free` or `disowned`.
    pub state: String,
    /// The client identifier (option 61), hexadecimal without separators.
    #[serde(default)]
    pub client_id: Option<String>,
    /// The hardware address, colon-separated.
    #[serde(default)]
    pub mac: Option<String>,
    /// When the promise ends, seconds since 1970.
    #[serde(default)]
    pub expires: Option<u64>,
    /// Client-last-transaction-time, seconds since 1970.
    #[serde(default)]
    pub cltt: Option<u64>,
    /// The relay agent's circuit identifier, hexadecimal.
    #[serde(default)]
    pub circuit_id: Option<String>,
    /// The relay agent's remote identifier, hexadecimal.
    #[serde(default)]
    pub remote_id: Option<String>,
}

/// What one member holds.
#[derive(Clone, Debug)]
pub struct Listing {
    /// What to call the member in a violation: its file's name, mostly.
    pub member: String,
    /// Its leases.
    pub leases: Vec<Lease>,
}

impl Listing {
    /// Reads a listing from a JSON file.
    ///
    /// # Errors
    /// The file cannot be read or is not a JSON array of leases.
    pub fn read(path: &Path) -> Result<Self> {
        let shown = path.display().to_string();
        let text = std::fs::read(path).with_context(|| format!("cannot read {shown}"))?;
        let leases = serde_json::from_slice(&text)
            .with_context(|| format!("{shown}: not a JSON array of leases"))?;
        Ok(Listing { member: shown, leases })
    }
}

/// One broken promise.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Violation {
    /// An address was promised to two clients at once.
    TwoHolders {
        /// The address.
        address: Ipv4Addr,
        /// The hardware address of the client that was promised it first.
        first: String,
        /// The hardware address of the client that was promised it as well.
        second: String,
    },
    /// A member lists one address twice.
    ListedTwice {
        /// The member.
        member: String,
        /// The address.
        address: Ipv4Addr,
    },
    /// A member does not know a promise, or knows it otherwise.
    Lost {
        /// The member.
        member: String,
        /// The address.
        address: Ipv4Addr,
        /// The hardware address of the client that was promised it.
        client: String,
        /// What is wrong.
        how: String,
    },
    /// Two members tell different things about one promise.
    Disagreement {
        /// The address.
        address: Ipv4Addr,
        /// The two members and what each says.
        how: String,
    },
}

impl fmt::Display for Violation {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Violation::TwoHolders { address, first, second } => {
                write!(out, "{address}: promised to {first} and, before that ended, to {second}")
            }
            Violation::ListedTwice { member, address } => {
                write!(out, "{address}: listed twice by {member}")
            }
            Violation::Lost { member, address, client, how } => {
                write!(out, "{address}: promised to {client}, but {member} {how}")
            }
            Violation::Disagreement { address, how } => write!(out, "{address}: {how}"),
        }
    }
}

/// What was compared, for the reader of a result without violations.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checked {
    /// Lines of the ACK file.
    pub acks: usize,
    /// Promises that had not ended and were looked for on every member.
    pub promises: usize,
    /// Every broken promise.
    pub violations: Vec<Violation>,
}

/// Compares the ACK file with each member's listing, taken at `now` (seconds since 1970).
pub fn check(acks: &[Ack], listings: &[Listing], now: u64) -> Checked {
    let mut violations = Vec::new();
    let promises = promises(acks, &mut violations);
    let standing: Vec<&Ack> = promises
        .into_values()
        .filter(|ack| ack.kind != AckKind::Release)
        .filter(|ack| ack.expires() > now + CLOCK_TOLERANCE_SECONDS + 1)
        .collect();
    let maps: Vec<(&str, BTreeMap<Ipv4Addr, &Lease>)> = listings
        .iter()
        .map(|listing| (listing.member.as_str(), by_address(listing, &mut violations)))
        .collect();
    for ack in &standing {
        let mut first: Option<(&str, &Lease)> = None;
        for (member, leases) in &maps {
            let lease = leases.get(&ack.address).copied();
            if let Some(how) = fault(ack, lease) {
                violations.push(Violation::Lost {
                    member: (*member).to_owned(),
                    address: ack.address,
                    client: mac_text(ack.mac),
                    how,
                });
            }
            match (first, lease) {
                (None, Some(lease)) => first = Some((member, lease)),
                (Some((other, one)), Some(two)) => {
                    if let Some(how) = disagreement(other, one, member, two) {
                        violations.push(Violation::Disagreement { address: ack.address, how });
                    }
                }
                (_, None) => {}
            }
        }
    }
    Checked { acks: acks.len(), promises: standing.len(), violations }
}

/// The last promise of each address, or its release; notes second holders.
fn promises<'a>(acks: &'a [Ack], violations: &mut Vec<Violation>) -> BTreeMap<Ipv4Addr, &'a Ack> {
    let mut last: BTreeMap<Ipv4Addr, &Ack> = BTreeMap::new();
    for ack in acks.iter().filter(|ack| ack.kind != AckKind::Refused) {
        let before = last.get(&ack.address).copied();
        let given_back = before.is_some_and(|before| before.kind == AckKind::Release);
        let same_client = before.is_some_and(|before| before.mac == ack.mac);
        if ack.kind == AckKind::Late && given_back && same_client {
            continue;
        }
        if let Some(before) = before
            && ack.kind != AckKind::Release
            && !given_back
            && !same_client
            && before.expires() > ack.wall_us / 1_000_000 + CLOCK_TOLERANCE_SECONDS
        {
            violations.push(Violation::TwoHolders {
                address: ack.address,
                first: mac_text(before.mac),
                second: mac_text(ack.mac),
            });
        }
        last.insert(ack.address, ack);
    }
    last
}

fn by_address<'a>(
    listing: &'a Listing,
    violations: &mut Vec<Violation>,
) -> BTreeMap<Ipv4Addr, &'a Lease> {
    let mut map = BTreeMap::new();
    // The generator's clients are in no VPN, where the same address is another one.
    for lease in listing.leases.iter().filter(|lease| lease.vpn.is_none()) {
        if map.insert(lease.ip, lease).is_some() {
            let member = listing.member.clone();
            violations.push(Violation::ListedTwice { member, address: lease.ip });
        }
    }
    map
}

/// What is wrong with a member's lease, given the promise; `None` if it keeps it.
fn fault(ack: &Ack, lease: Option<&Lease>) -> Option<String> {
    let Some(lease) = lease else { return Some("does not list it".to_owned()) };
    if lease.state != "active" {
        return Some(format!("says {}", lease.state));
    }
    let holder = lease.mac.as_deref().unwrap_or("nobody");
    if !holder.eq_ignore_ascii_case(&mac_text(ack.mac)) {
        return Some(format!("says {holder} holds it"));
    }
    let texts = [
        ("client identifier", &ack.client_id, &lease.client_id),
        ("circuit identifier", &ack.circuit_id, &lease.circuit_id),
        ("remote identifier", &ack.remote_id, &lease.remote_id),
    ];
    for (what, sent, listed) in texts {
        let Some(sent) = sent else { continue };
        let listed = listed.as_deref().unwrap_or("none");
        if !listed.eq_ignore_ascii_case(&hex_text(sent)) {
            return Some(format!("has {what} {listed}, not {}", hex_text(sent)));
        }
    }
    let promised = ack.expires();
    match lease.expires {
        None => Some("gives no end".to_owned()),
        Some(ends) if ends + CLOCK_TOLERANCE_SECONDS + 1 < promised => {
            Some(format!("ends it {} s before the promise", promised - ends))
        }
        Some(_) => None,
    }
}

/// How two members differ about one lease, beyond one second; `None` if they agree.
fn disagreement(one_member: &str, one: &Lease, two_member: &str, two: &Lease) -> Option<String> {
    let apart = |one: Option<u64>, two: Option<u64>| match (one, two) {
        (Some(one), Some(two)) => one.abs_diff(two) > 1,
        (one, two) => one.is_some() != two.is_some(),
    };
    let same = one.state == two.state
        && one.client_id == two.client_id
        && one.mac == two.mac
        && one.circuit_id == two.circuit_id
        && one.remote_id == two.remote_id
        && !apart(one.expires, two.expires)
        && !apart(one.cltt, two.cltt);
    (!same).then(|| format!("{one_member} says {one:?}, {two_member} says {two:?}"))
}

fn mac_text(mac: [u8; 6]) -> String {
    mac.map(|octet| format!("{octet:02x}")).join(":")
}

fn hex_text(bytes: &[u8]) -> String {
    bytes.iter().map(|octet| format!("{octet:02x}")).collect()
}

/// Reads the listings of several members.
///
/// # Errors
/// As [`Listing::read`].
pub fn read_listings(paths: &[PathBuf]) -> Result<Vec<Listing>> {
    paths.iter().map(|path| Listing::read(path)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::{circuit_id_of, client_id_of, mac_of, remote_id_of};

    const WALL: u64 = 1_795_300_000;

    fn ack(client: u32, last_octet: u8, at: u64, kind: AckKind) -> Ack {
        Ack {
            monotonic_us: at * 1_000_000,
            wall_us: (WALL + at) * 1_000_000,
            kind,
            address: Ipv4Addr::new(10, 16, 1, last_octet),
            mac: mac_of(client),
            client_id: Some(client_id_of(client).to_vec()),
            lease_seconds: if kind == AckKind::Release { 0 } else { 3600 },
            server: Ipv4Addr::new(192, 0, 2, 1),
            circuit_id: Some(circuit_id_of(client).to_vec()),
            remote_id: Some(remote_id_of(client).to_vec()),
            option_82_echoed: Some(true),
        }
    }

    fn lease_of(ack: &Ack) -> Lease {
        Lease {
            ip: ack.address,
            vpn: None,
            state: "active".to_owned(),
            client_id: ack.client_id.as_deref().map(hex_text),
            mac: Some(mac_text(ack.mac)),
            expires: Some(ack.expires()),
            cltt: Some(ack.wall_us / 1_000_000),
            circuit_id: ack.circuit_id.as_deref().map(hex_text),
            remote_id: ack.remote_id.as_deref().map(hex_text),
        }
    }

    fn listing(member: &str, leases: Vec<Lease>) -> Listing {
        Listing { member: member.to_owned(), leases }
    }

    /// Two members, the second of which tells of client 1's lease what `change` makes of it.
    fn violations_when(change: impl FnOnce(&mut Vec<Lease>)) -> Vec<Violation> {
        let acks = [ack(1, 1, 0, AckKind::Dora), ack(2, 2, 1, AckKind::Dora)];
        let kept: Vec<Lease> = acks.iter().map(lease_of).collect();
        let mut changed = kept.clone();
        change(&mut changed);
        let listings = [listing("a", kept), listing("b", changed)];
        check(&acks, &listings, WALL + 10).violations
    }

    #[test]
    fn promises_kept_by_every_member_are_no_violation() {
        assert_eq!(violations_when(|_| {}), []);
    }

    #[test]
    fn every_way_to_lose_a_promise_is_found() {
        type Change = fn(&mut Vec<Lease>);
        let changes: [(&str, Change); 10] = [
            ("does not list it", |leases| drop(leases.remove(0))),
            ("says expired", |leases| leases[0].state = "expired".to_owned()),
            ("holds it", |leases| leases[0].mac = Some("02:5a:00:00:00:09".to_owned())),
            ("client identifier", |leases| leases[0].client_id = None),
            ("circuit identifier", |leases| leases[0].circuit_id = Some("00".to_owned())),
            ("remote identifier", |leases| leases[0].remote_id = None),
            ("gives no end", |leases| leases[0].expires = None),
            ("before the promise", |leases| leases[0].expires = Some(WALL + 100)),
            ("does not list it", |leases| leases[0].vpn = Some("red".to_owned())),
            ("listed twice", |leases| leases.push(leases[0].clone())),
        ];
        for (expected, change) in changes {
            let violations = violations_when(change);
            let found = violations.iter().any(|violation| violation.to_string().contains(expected));
            assert!(found, "{expected}: {violations:?}");
        }
    }

    #[test]
    fn members_may_differ_by_a_second_and_no_more() {
        let later = |seconds| {
            violations_when(move |leases| {
                leases[0].expires = leases[0].expires.map(|at| at + seconds)
            })
        };
        assert_eq!(later(1), []);
        assert!(matches!(later(5)[..], [Violation::Disagreement { .. }]), "{:?}", later(5));
    }

    #[test]
    fn a_second_holder_is_a_violation_only_while_the_first_promise_stands() {
        let two_holders = |acks: &[Ack]| check(acks, &[], WALL + 10).violations.len();
        let dora = |client, at| ack(client, 1, at, AckKind::Dora);
        assert_eq!(two_holders(&[dora(1, 0), dora(2, 5)]), 1);
        assert_eq!(two_holders(&[dora(1, 0), dora(1, 5)]), 0, "the same client again");
        assert_eq!(two_holders(&[dora(1, 0), dora(2, 3601)]), 0, "after its end");
        let released = [dora(1, 0), ack(1, 1, 2, AckKind::Release), dora(2, 5)];
        assert_eq!(two_holders(&released), 0, "after its release");
    }

    #[test]
    fn a_late_ack_is_a_promise_unless_its_client_gave_the_address_back() {
        let late = |client, at| ack(client, 1, at, AckKind::Late);
        let released = ack(1, 1, 2, AckKind::Release);
        let dora = ack(1, 1, 0, AckKind::Dora);
        let found = |acks: &[Ack]| check(acks, &[listing("a", Vec::new())], WALL + 10);
        let lost = found(&[late(1, 0)]);
        assert!(matches!(lost.violations[..], [Violation::Lost { .. }]), "{lost:?}");
        let second = found(&[dora.clone(), late(2, 5)]);
        assert!(matches!(second.violations[0], Violation::TwoHolders { .. }), "{second:?}");
        let after = found(&[dora, released, late(1, 3)]);
        assert_eq!((after.promises, after.violations), (0, Vec::new()));
    }

    #[test]
    fn what_was_released_or_has_ended_is_not_looked_for() {
        let acks = [
            ack(1, 1, 0, AckKind::Dora),
            ack(1, 1, 1, AckKind::Release),
            Ack { lease_seconds: 5, ..ack(2, 2, 0, AckKind::Dora) },
        ];
        let checked = check(&acks, &[listing("a", Vec::new())], WALL + 10);
        assert_eq!((checked.promises, checked.violations), (0, Vec::new()));
    }
}
