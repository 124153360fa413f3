//! Which bindings a query is about.

use super::query::{Finding, Lease, Query};
use super::told::is_leased;
use replication_ledger::{Binding, LedgerView, Timestamp};
use std::net::Ipv4Addr;

/// Finds the answer in this state at this time.
// Reading only: not even the client-last-transaction-time moves.
pub fn select<'v, V: LedgerView>(view: &'v V, query: &Query, now: Timestamp) -> Finding<'v> {
    match query {
        Query::Address(address) => by_address(view, *address, now),
        Query::Hardware(hardware) => {
            newest(view.bindings_of_hardware(hardware).map(|found| found.address), view, now)
        }
        Query::ClientIdentifier(client) => {
            newest(view.bindings_of_client(client).map(|found| found.address), view, now)
        }
    }
}

fn by_address<V: LedgerView>(view: &V, address: Ipv4Addr, now: Timestamp) -> Finding<'_> {
    if let Some(binding) = view.binding(address).filter(|binding| is_leased(binding, now)) {
        // Currently leased.
        return Finding::Active(Lease { binding, associated: Vec::new() });
    }
    // Managed here and without a lease, or not managed here.
    let settings = &view.globals().settings;
    if settings.in_pool(address) || settings.reservation_of(address).is_some() {
        Finding::Unassigned(address)
    } else {
        Finding::Unknown
    }
}

/// The lease of the newest transaction among these addresses, with all of them.
// No lease is UNKNOWN: UNASSIGNED is only for an address.
// The latest client-last-transaction-time counts; the highest address among equals, so that all members agree.
fn newest<'v, V: LedgerView>(
    addresses: impl Iterator<Item = Ipv4Addr>,
    view: &'v V,
    now: Timestamp,
) -> Finding<'v> {
    let leased = addresses.filter_map(|address| view.binding(address));
    let mut leased: Vec<&Binding> = leased.filter(|binding| is_leased(binding, now)).collect();
    leased.sort_by_key(|binding| std::cmp::Reverse((binding.cltt, binding.address)));
    let Some(binding) = leased.first().copied() else { return Finding::Unknown };
    // Several addresses: all of them, the one in ciaddr included.
    let associated = match leased.len() {
        1 => Vec::new(),
        _ => leased.iter().map(|binding| binding.address).collect(),
    };
    Finding::Active(Lease { binding, associated })
}
