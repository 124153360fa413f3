//! The plain ledger: ordered maps and full scans. Slow, obvious, and what the fast one is compared with.

use crate::view::{LedgerTable, LedgerView};
use crate::{
    Binding, BindingKey, BindingState, ClassNumber, ClientKey, Globals, HardwareAddress, Holder,
    MemberId, NameEntry, NameTable, PastLost, PastView, Stamp, VpnAddress, VpnRange,
};
use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::ops::Bound::{Excluded, Unbounded};

/// A ledger in ordered maps.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MapTable {
    globals: Globals,
    bindings: BTreeMap<VpnAddress, Binding>,
    names: NameTable,
    /// Remote-IDs and Relay-IDs that a record has or ever had.
    remembered: BTreeSet<BindingKey>,
}

/// A copy of the plain ledger that nobody changes any more.
#[derive(Clone, Debug)]
pub struct MapPast(MapTable);

impl LedgerView for MapTable {
    fn globals(&self) -> &Globals {
        &self.globals
    }

    fn binding(&self, address: VpnAddress) -> Option<&Binding> {
        self.bindings.get(&address)
    }

    fn bindings_of_client<'a>(
        &'a self,
        client: &'a ClientKey,
    ) -> impl Iterator<Item = &'a Binding> + 'a {
        self.bindings.values().filter(move |b| b.client == *client)
    }

    fn bindings_of_hardware<'a>(
        &'a self,
        hardware: &'a HardwareAddress,
    ) -> impl Iterator<Item = &'a Binding> + 'a {
        self.bindings.values().filter(move |b| b.hardware == *hardware)
    }

    fn bindings_of_remote_id<'a>(
        &'a self,
        remote_id: &'a [u8],
    ) -> impl Iterator<Item = &'a Binding> + 'a {
        self.bindings.values().filter(move |b| b.relay_sub_option(2) == Some(remote_id))
    }

    fn bindings_of_circuit<'a>(
        &'a self,
        giaddr: Ipv4Addr,
        circuit_id: &'a [u8],
    ) -> impl Iterator<Item = &'a Binding> + 'a {
        self.bindings.values().filter(move |b| b.circuit() == Some((giaddr, circuit_id)))
    }

    fn bindings_changed_after(
        &self,
        after: (u64, VpnAddress),
    ) -> impl Iterator<Item = &Binding> + '_ {
        let mut changed: Vec<_> = self.bindings.values().collect();
        changed.sort_by_key(|b| (b.changed_index, b.address));
        changed.into_iter().filter(move |b| (b.changed_index, b.address) > after)
    }

    fn bindings_from(&self, first: VpnAddress) -> impl Iterator<Item = &Binding> + '_ {
        self.bindings.range(first..).map(|(_, binding)| binding)
    }

    fn held_in_class(&self, class: ClassNumber) -> u64 {
        let counts = |b: &&Binding| b.state == BindingState::Active && b.classes.contains(class);
        self.bindings.values().filter(counts).count() as u64
    }

    fn next_free(&self, owner: MemberId, range: VpnRange) -> Option<VpnAddress> {
        self.free(owner, range).next()
    }

    fn free_count(&self, owner: MemberId, range: VpnRange) -> u64 {
        self.free(owner, range).count() as u64
    }

    fn due(&self, limit: usize) -> Vec<VpnAddress> {
        let now = self.globals.stamp.earliest;
        let is_due = |b: &&Binding| {
            matches!(b.state, BindingState::Active | BindingState::Declined) && b.until <= now
        };
        self.bindings.values().filter(is_due).map(|b| b.address).take(limit).collect()
    }

    fn ended(&self, limit: usize) -> Vec<VpnAddress> {
        let ended = self.bindings.values().filter(|b| b.state.is_ended());
        let mut ended: Vec<_> = ended.map(|b| (b.end_index, b.address)).collect();
        ended.sort();
        ended.into_iter().map(|(_, address)| address).take(limit).collect()
    }

    fn names(&self) -> &NameTable {
        &self.names
    }
}

impl LedgerTable for MapTable {
    fn globals_mut(&mut self) -> &mut Globals {
        &mut self.globals
    }

    fn put(&mut self, binding: Binding) {
        self.remembered.extend(BindingKey::remembered_of(&binding));
        self.bindings.insert(binding.address, binding);
    }

    fn amend<R>(
        &mut self,
        address: VpnAddress,
        change: impl FnOnce(&mut Binding) -> R,
    ) -> Option<R> {
        let binding = self.bindings.get_mut(&address)?;
        let answer = change(binding);
        self.remembered.extend(BindingKey::remembered_of(binding));
        Some(answer)
    }

    fn set_names(&mut self, address: VpnAddress, entry: Option<NameEntry>) {
        self.names.set(address, entry);
    }

    fn advance(&mut self, index: u64, stamp: Stamp) {
        self.globals.applied_index = index;
        self.globals.stamp = stamp;
    }
}

impl PastView for MapPast {
    fn index(&self) -> u64 {
        self.0.globals.applied_index
    }

    fn binding(&self, address: VpnAddress) -> Result<Option<Binding>, PastLost> {
        Ok(self.0.bindings.get(&address).cloned())
    }

    fn addresses(
        &self,
        key: &BindingKey,
        after: Option<VpnAddress>,
        limit: usize,
    ) -> Result<Vec<VpnAddress>, PastLost> {
        let first = after.map_or(Unbounded, Excluded);
        let found = self.0.bindings.range((first, Unbounded)).filter(|(_, b)| key.matches(b));
        Ok(found.map(|(address, _)| *address).take(limit).collect())
    }

    fn knows(&self, key: &BindingKey) -> Result<bool, PastLost> {
        Ok(self.0.remembered.contains(key) || self.0.bindings.values().any(|b| key.matches(b)))
    }
}

impl MapTable {
    /// The state as it is now, to be read later.
    pub fn past(&self) -> MapPast {
        MapPast(self.clone())
    }

    /// Remote-IDs and Relay-IDs that a record has or ever had, ascending.
    pub fn remembered(&self) -> impl Iterator<Item = &BindingKey> {
        self.remembered.iter()
    }

    /// Takes over what another table remembered: records alone do not tell.
    pub fn remember(&mut self, keys: impl IntoIterator<Item = BindingKey>) {
        self.remembered.extend(keys);
    }

    fn free(&self, owner: MemberId, range: VpnRange) -> impl Iterator<Item = VpnAddress> + '_ {
        self.globals
            .holders
            .within(range)
            .filter(move |(_, holder)| *holder == Holder::Owned(owner))
            .flat_map(|(part, _)| {
                (u32::from(part.first)..=u32::from(part.last)).map(move |ip| part.at(ip.into()))
            })
            .filter(|address| self.is_free(*address))
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_plain_table_keeps_its_own_contract() {
        crate::view::contract::check(super::MapTable::default(), 1);
    }
}
