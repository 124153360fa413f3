//! Which bindings a query is about.

use super::query::{Finding, Lease, Query};
use super::told::is_leased;
use crate::network_index::NetworkIndex;
use replication_ledger::{
    Binding, LedgerView, Reservation, Settings, Subnet, Timestamp, VpnAddress, VpnNumber,
};

/// Finds the answer of RFC 4388 and RFC 6148 in this state at this time, in one VPN: leases that run.
// [Q-16] [L-04] Reading only: not even the client-last-transaction-time moves.
pub fn select<'v, V: LedgerView>(
    view: &'v V,
    query: &Query<'_>,
    vpn: VpnNumber,
    now: Timestamp,
) -> Finding<'v> {
    if let Query::Address(ip) = query {
        return by_address(view, VpnAddress { vpn, ip: *ip }, now);
    }
    // [Q-20] [M-04] No lease is UNKNOWN: UNASSIGNED is only for an address.
    let lease =
        newest(view, query, |binding| binding.address.vpn == vpn && is_leased(binding, now));
    lease.map_or(Finding::Unknown, Finding::Active)
}

/// Finds the answer of draft-ietf-dhc-leasequery-01: the last client of an address, the last addresses of a client,
/// whether they are leased or not, and what is set aside for them if `reservations` are asked for.
// [L-25] KNOWN for what a client accessed last, or what is managed here. [L-26] UNKNOWN for the rest.
pub(crate) fn select_last<'v, V: LedgerView>(
    view: &'v V,
    index: &NetworkIndex,
    query: &Query<'_>,
    vpn: VpnNumber,
    reservations: bool,
    now: Timestamp,
) -> Finding<'v> {
    let settings = &view.globals().settings;
    // An address that has left the configuration is told of only while its lease runs: after that it is another's.
    let counts = |binding: &Binding| {
        let is_here = is_leased(binding, now) || is_managed(settings, binding.address);
        binding.address.vpn == vpn && is_here
    };
    let lease = match query {
        Query::Address(ip) => {
            let address = VpnAddress { vpn, ip: *ip };
            let binding = view.binding(address).filter(|binding| counts(binding));
            binding.map(|binding| Lease { binding, associated: Vec::new() })
        }
        _ => newest(view, query, counts),
    };
    match lease {
        Some(lease) if is_leased(lease.binding, now) => Finding::Active(lease),
        Some(lease) => Finding::Past(lease),
        // [L-30] Without R there is nothing to tell of an address or a client that never met.
        None if !reservations => Finding::Unknown,
        // [L-31] [L-33] With R there is, if it is set aside and nothing says how it was used.
        None => reserved(settings, index, query, vpn)
            .map_or(Finding::Unknown, |(subnet, reserved)| Finding::Reserved(subnet, reserved)),
    }
}

fn by_address<V: LedgerView>(view: &V, address: VpnAddress, now: Timestamp) -> Finding<'_> {
    if let Some(binding) = view.binding(address).filter(|binding| is_leased(binding, now)) {
        // Currently leased.
        return Finding::Active(Lease { binding, associated: Vec::new() });
    }
    // Managed here and without a lease, or not managed here.
    if is_managed(&view.globals().settings, address) {
        Finding::Unassigned(address)
    } else {
        Finding::Unknown
    }
}

fn is_managed(settings: &Settings, address: VpnAddress) -> bool {
    settings.in_pool(address) || settings.reservation_of(address).is_some()
}

/// The binding of the newest transaction among those of a client that count, with the addresses of all of them.
fn newest<'v, V: LedgerView>(
    view: &'v V,
    query: &Query<'_>,
    counts: impl Fn(&Binding) -> bool,
) -> Option<Lease<'v>> {
    match query {
        Query::Address(_) => None,
        Query::Hardware(hardware) => {
            let found = view.bindings_of_hardware(hardware).filter(|binding| counts(binding));
            newest_of(view, found.map(|binding| binding.address))
        }
        Query::ClientIdentifier(client) => {
            let found = view.bindings_of_client(client).filter(|binding| counts(binding));
            newest_of(view, found.map(|binding| binding.address))
        }
        Query::HardwareAndClientIdentifier(hardware, client) => {
            // [L-23] Both, for each address.
            let both = |binding: &&Binding| binding.hardware == *hardware && counts(binding);
            let found = view.bindings_of_client(client).filter(both);
            newest_of(view, found.map(|binding| binding.address))
        }
        Query::RemoteId(remote_id) => {
            // [M-11] Found by an index.
            let found = view.bindings_of_remote_id(remote_id).filter(|binding| counts(binding));
            newest_of(view, found.map(|binding| binding.address))
        }
    }
}

/// The binding of the newest transaction among these addresses, and all of them if they are several.
// [Q-22] [Q-23] [M-06] [L-35] The latest client-last-transaction-time counts; the highest address among equals, so that
// all members agree.
fn newest_of<V: LedgerView>(
    view: &V,
    mut addresses: impl Iterator<Item = VpnAddress>,
) -> Option<Lease<'_>> {
    let first = addresses.find_map(|address| view.binding(address))?;
    // Nearly every client has one address: no memory is taken for it.
    let mut others: Vec<&Binding> = addresses.filter_map(|address| view.binding(address)).collect();
    if others.is_empty() {
        return Some(Lease { binding: first, associated: Vec::new() });
    }
    others.push(first);
    others.sort_by_key(|binding| std::cmp::Reverse((binding.cltt, binding.address)));
    // [Q-28] [M-07] Several addresses: all of them.
    let associated = others.iter().map(|binding| binding.address).collect();
    Some(Lease { binding: others[0], associated })
}

/// What is set aside in this VPN: the reservation of the address, or the one of the lowest address for the client.
fn reserved<'v>(
    settings: &'v Settings,
    index: &NetworkIndex,
    query: &Query<'_>,
    vpn: VpnNumber,
) -> Option<(&'v Subnet, &'v Reservation)> {
    match query {
        Query::Address(ip) => {
            let subnet = settings.subnet_of(VpnAddress { vpn, ip: *ip })?;
            Some((subnet, subnet.reservation_of(*ip)?))
        }
        Query::Hardware(hardware) => index.reservation_of_hardware(settings, vpn, hardware),
        Query::ClientIdentifier(client) => {
            index.reservation_of_client_identifier(settings, vpn, client.identifier()?)
        }
        // A reservation has one key, and both must match. The draft knows no Remote-ID.
        Query::HardwareAndClientIdentifier(..) | Query::RemoteId(_) => None,
    }
}
