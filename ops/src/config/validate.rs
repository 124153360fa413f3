//! What must fit together between the parts of network.toml.

use super::limits::EXPRESSION_RESERVATIONS_MAX;
use super::network::SubnetDraft;
use super::section::Item;
use replication_ledger::{AddressRange, Prefix, ReservationKey, VpnAddress, VpnNumber};
use std::collections::BTreeMap;
use std::net::Ipv4Addr;

/// A subnet with a longer prefix than this has no network and broadcast address of its own (RFC 3021).
const LEN_WITH_BROADCAST_MAX: u8 = 30;

/// Sorts subnets, pools and reservations as the settings want them, and notes everything that clashes.
pub(super) fn subnets(drafts: &mut [SubnetDraft<'_>]) {
    drafts.sort_by_key(|draft| (draft.vpn.number(), draft.prefix));
    let mut widest: Option<(Prefix, &Item<'_>)> = None;
    let mut vpn = VpnNumber::GLOBAL;
    for draft in drafts.iter() {
        if vpn != draft.vpn.number() {
            // The same address may be leased in several VPNs (RFC 6607 section 7).
            (vpn, widest) = (draft.vpn.number(), None);
        }
        if let Some((prefix, item)) = widest
            && prefix.contains(draft.prefix.address)
        {
            draft.item.fail(format!(
                "{} overlaps {prefix} of {}; every address must lie in one subnet only",
                draft.prefix, item.path
            ));
        } else {
            widest = Some((draft.prefix, &draft.item));
        }
    }
    relays(drafts);
    vpns(drafts);
    pings(drafts);
    for draft in drafts.iter_mut() {
        pools(draft);
        reservations(draft);
    }
}

/// The subnets of one link are in one VPN: a client's messages name one.
fn vpns(drafts: &[SubnetDraft<'_>]) {
    let mut first_of: BTreeMap<&str, &SubnetDraft<'_>> = BTreeMap::new();
    for draft in drafts {
        let Some(network) = draft.network.as_deref() else { continue };
        let first = *first_of.entry(network).or_insert(draft);
        if first.vpn != draft.vpn {
            draft.item.fail(format!(
                "{} of network {network} is in another VPN than {}; give both the same vpn or \
                 separate networks",
                draft.prefix, first.prefix
            ));
        }
    }
}

/// A member has no way of its own into a VPN: who answers its pings lives in the global one.
fn pings(drafts: &[SubnetDraft<'_>]) {
    let in_vpns = drafts.iter().filter(|draft| draft.vpn.number() != VpnNumber::GLOBAL);
    for draft in in_vpns.filter(|draft| draft.clients.ping_check_millis > 0) {
        draft.item.fail(format!(
            "{} is in a VPN, where ping_check can not look; write clients = {{ ping_check = \"0s\" }} \
             in it or its network",
            draft.prefix
        ));
    }
}

fn pools(draft: &mut SubnetDraft<'_>) {
    draft.pools.ranges.sort_by_key(|(pool, _)| *pool);
    let prefix = draft.prefix;
    let whole = prefix.range();
    let mut before: Option<&(AddressRange, Item<'_>)> = None;
    for entry in &draft.pools.ranges {
        let (pool, item) = entry;
        if pool.intersection(&whole) != Some(*pool) {
            item.fail(format!("{pool} is not inside {prefix}; {}", inside(prefix)));
        } else if prefix.len <= LEN_WITH_BROADCAST_MAX
            && (pool.contains(whole.first) || pool.contains(whole.last))
        {
            let network_or_broadcast = match pool.contains(whole.first) {
                true => format!("{} is the network address", whole.first),
                false => format!("{} is the broadcast address", whole.last),
            };
            item.fail(format!("{network_or_broadcast} of {prefix}; {}", inside(prefix)));
        }
        if let Some((other, place)) = before
            && other.intersection(pool).is_some()
        {
            item.fail(format!("{pool} overlaps {other} of {}; join the two", place.path));
        }
        if before.is_none_or(|(other, _)| other.last < pool.last) {
            before = Some(entry);
        }
    }
    draft.pools.excluded.sort_by_key(|(range, _)| *range);
    for (range, item) in &draft.pools.excluded {
        let mut pools = draft.pools.ranges.iter();
        if !pools.any(|(pool, _)| pool.intersection(range).is_some()) {
            item.fail(format!("{range} is in no pool of {prefix}; remove it"));
        }
    }
}

fn inside(prefix: Prefix) -> String {
    let AddressRange { first, last } = prefix.range();
    match prefix.len <= LEN_WITH_BROADCAST_MAX {
        // Four addresses or more, so both neighbours exist.
        true => {
            let (first, last) = (u32::from(first) + 1, u32::from(last) - 1);
            format!("use {}-{}", Ipv4Addr::from(first), Ipv4Addr::from(last))
        }
        false => format!("use {first}-{last}"),
    }
}

fn reservations(draft: &mut SubnetDraft<'_>) {
    let prefix = draft.prefix;
    let mut by_address: BTreeMap<Ipv4Addr, &Item<'_>> = BTreeMap::new();
    let mut by_key: BTreeMap<&ReservationKey, &Item<'_>> = BTreeMap::new();
    for (reservation, item) in &draft.reservations {
        let address = reservation.address;
        if !prefix.contains(address) {
            item.fail(format!("{address} is not inside {prefix}; {}", inside(prefix)));
        }
        if let Some(first) = by_address.get(&address) {
            item.fail(format!("{address} is already reserved by {}; remove one", first.path));
        } else {
            by_address.insert(address, item);
        }
        if let Some(first) = by_key.get(&reservation.key) {
            item.fail(format!(
                "{} already has a reservation in this subnet, {}; remove one",
                reservation.key, first.path
            ));
        } else {
            by_key.insert(&reservation.key, item);
        }
    }
    let mut by_expression = draft.reservations.iter().filter(|(r, _)| r.condition.is_some());
    if let Some((_, item)) = by_expression.nth(EXPRESSION_RESERVATIONS_MAX) {
        item.fail(format!(
            "is one reservation by expression too many; a subnet may have \
             {EXPRESSION_RESERVATIONS_MAX}"
        ));
    }
    draft.reservations.sort_by_key(|(reservation, _)| reservation.address);
}

/// A relay must lead to one link of its VPN, whichever rule finds it.
fn relays(drafts: &[SubnetDraft<'_>]) {
    let same_link = |one: &SubnetDraft<'_>, other: &SubnetDraft<'_>| {
        let (vpn, other_vpn) = (one.vpn.number(), other.vpn.number());
        (vpn, one.prefix) == (other_vpn, other.prefix)
            || (one.network.is_some() && one.network == other.network)
    };
    let mut seen: BTreeMap<VpnAddress, (&SubnetDraft<'_>, &Item<'_>)> = BTreeMap::new();
    for draft in drafts {
        let vpn = draft.vpn.number();
        for (relay, item) in &draft.relays {
            if let Some((other, place)) = seen.get(&VpnAddress { vpn, ip: *relay }) {
                if !same_link(draft, other) {
                    item.fail(format!(
                        "{relay} is also a relay of another link, {}; remove one or give both \
                         subnets the same network",
                        place.path
                    ));
                }
                continue;
            }
            seen.insert(VpnAddress { vpn, ip: *relay }, (draft, item));
            // They are sorted by VPN and prefix; overlapping ones were noted.
            let before = |other: &SubnetDraft<'_>| {
                (other.vpn.number(), other.prefix.address) <= (vpn, *relay)
            };
            let around = drafts.partition_point(before).checked_sub(1).map(|at| &drafts[at]);
            let holds = |around: &&SubnetDraft<'_>| {
                around.vpn.number() == vpn && around.prefix.contains(*relay)
            };
            let around = around.filter(holds);
            if let Some(around) = around.filter(|around| !same_link(draft, around)) {
                item.fail(format!(
                    "{relay} lies in {} of {}, which is another link; give both subnets the same \
                     network or remove it",
                    around.prefix, around.item.path
                ));
            }
        }
    }
}
