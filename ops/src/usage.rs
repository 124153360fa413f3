//! How much of every pool is used, counted from the applied state.

use crate::config::vpn_text;
use crate::replica::Replica;
use replication_ledger::{BindingState, LedgerView, MemberId, Prefix, VpnAddress, VpnRange};
use std::collections::BTreeMap;

/// Bindings read under one lock. Applying waits for that long, so it is little.
pub(crate) const SCAN_LEN: usize = 2048;

/// The use of one pool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PoolUsage {
    /// The VPN of its subnet as network.toml names it; none for the global one.
    pub(crate) vpn: Option<String>,
    /// The prefix of its subnet.
    pub(crate) subnet: Prefix,
    /// The pool.
    pub(crate) pool: VpnRange,
    /// Bindings in each state, in the order of [`BindingState::ALL`].
    pub(crate) states: [u64; BindingState::ALL.len()],
    /// Addresses that each server can give to new clients.
    pub(crate) free: BTreeMap<MemberId, u64>,
}

/// Counts every pool. Takes long with many bindings: not for a serving task.
pub(crate) fn usage<R: Replica>(replica: &R) -> Vec<PoolUsage> {
    let mut pools = replica.read(|view| {
        let globals = view.globals();
        let servers: Vec<MemberId> =
            globals.servers().filter(|(_, member)| !member.removed).map(|(id, _)| id).collect();
        let mut pools = Vec::new();
        for subnet in &globals.settings.subnets {
            for pool in subnet.pool_ranges() {
                let free = servers.iter().map(|id| (*id, view.free_count(*id, pool))).collect();
                let states = [0; BindingState::ALL.len()];
                let (vpn, subnet) = (vpn_text(&subnet.vpn), subnet.prefix);
                pools.push(PoolUsage { vpn, subnet, pool, states, free });
            }
        }
        pools
    });
    for pool in &mut pools {
        count(replica, pool);
    }
    pools
}

fn count<R: Replica>(replica: &R, usage: &mut PoolUsage) {
    let mut next = Some(usage.pool.first_address());
    let end = usage.pool.last_address();
    while let Some(first) = next {
        next = replica.read(|view| {
            let mut last = None;
            let inside = view.bindings_from(first).take_while(|b| b.address <= end);
            for (position, binding) in inside.take(SCAN_LEN).enumerate() {
                let state = BindingState::ALL.iter().position(|state| *state == binding.state);
                // ALL names every state.
                usage.states[state.unwrap_or_default()] += 1;
                last = (position + 1 == SCAN_LEN).then_some(binding.address);
            }
            last.and_then(following)
        });
    }
}

/// The address after this one, if need be the first one of the next VPN.
pub(crate) fn following(address: VpnAddress) -> Option<VpnAddress> {
    address.to_bits().checked_add(1).map(VpnAddress::from_bits)
}
