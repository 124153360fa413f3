//! What the packet path and leasequeries see of an isolated member.

use super::{Alone, newer};
use crate::view::LedgerView;
use crate::{
    Binding, BindingState, ClassNumber, ClientKey, Globals, HardwareAddress, Holder, MemberId,
    NameTable, Timestamp, VpnAddress, VpnRange,
};
use std::net::Ipv4Addr;

/// An isolated member's view: its applied state under its journal.
#[derive(Debug)]
pub(crate) struct IsolatedView<'a, V> {
    applied: &'a V,
    alone: &'a Alone,
}

impl<'a, V: LedgerView> IsolatedView<'a, V> {
    pub(crate) fn new(applied: &'a V, alone: &'a Alone) -> IsolatedView<'a, V> {
        IsolatedView { applied, alone }
    }
}

impl<V: LedgerView> IsolatedView<'_, V> {
    fn shown<'a>(&'a self, applied: &'a Binding) -> Option<&'a Binding> {
        match self.alone.overlay.get(&applied.address) {
            Some(journaled) if journaled.cltt >= applied.cltt => None,
            _ => Some(applied),
        }
    }

    /// What the journal shows instead of the applied state, ascending by address.
    pub(crate) fn journaled(&self) -> impl Iterator<Item = &Binding> + '_ {
        self.alone.overlay.values().filter(|journaled| {
            let applied = self.applied.binding(journaled.address);
            applied.is_none_or(|applied| journaled.cltt >= applied.cltt)
        })
    }
}

impl<V: LedgerView> LedgerView for IsolatedView<'_, V> {
    fn globals(&self) -> &Globals {
        &self.alone.globals
    }

    fn binding(&self, address: VpnAddress) -> Option<&Binding> {
        self.alone.binding_in(self.applied, address)
    }

    fn bindings_of_client<'a>(
        &'a self,
        client: &'a ClientKey,
    ) -> impl Iterator<Item = &'a Binding> + 'a {
        let applied = self.applied.bindings_of_client(client);
        let journaled = self.journaled().filter(move |binding| binding.client == *client);
        applied.filter_map(|binding| self.shown(binding)).chain(journaled)
    }

    fn bindings_of_hardware<'a>(
        &'a self,
        hardware: &'a HardwareAddress,
    ) -> impl Iterator<Item = &'a Binding> + 'a {
        let applied = self.applied.bindings_of_hardware(hardware);
        let journaled = self.journaled().filter(move |binding| binding.hardware == *hardware);
        applied.filter_map(|binding| self.shown(binding)).chain(journaled)
    }

    fn bindings_of_remote_id<'a>(
        &'a self,
        remote_id: &'a [u8],
    ) -> impl Iterator<Item = &'a Binding> + 'a {
        let applied = self.applied.bindings_of_remote_id(remote_id);
        let journaled = self.journaled().filter(move |b| b.relay_sub_option(2) == Some(remote_id));
        let mut found: Vec<_> =
            applied.filter_map(|binding| self.shown(binding)).chain(journaled).collect();
        found.sort_by_key(|binding| binding.address);
        found.into_iter()
    }

    fn bindings_of_circuit<'a>(
        &'a self,
        giaddr: Ipv4Addr,
        circuit_id: &'a [u8],
    ) -> impl Iterator<Item = &'a Binding> + 'a {
        let applied = self.applied.bindings_of_circuit(giaddr, circuit_id);
        let wanted = Some((giaddr, circuit_id));
        let journaled = self.journaled().filter(move |binding| binding.circuit() == wanted);
        let mut found: Vec<_> =
            applied.filter_map(|binding| self.shown(binding)).chain(journaled).collect();
        found.sort_by_key(|binding| binding.address);
        found.into_iter()
    }

    fn bindings_changed_after(
        &self,
        after: (u64, VpnAddress),
    ) -> impl Iterator<Item = &Binding> + '_ {
        // A journaled change has no log index of its own: it shows where the record that it changed stands.
        let applied = self.applied.bindings_changed_after(after);
        let journaled = self.journaled();
        let journaled = journaled.filter(move |b| (b.changed_index, b.address) > after);
        let mut found: Vec<_> =
            applied.filter_map(|binding| self.shown(binding)).chain(journaled).collect();
        found.sort_by_key(|binding| (binding.changed_index, binding.address));
        found.into_iter()
    }

    fn bindings_from(&self, first: VpnAddress) -> impl Iterator<Item = &Binding> + '_ {
        let mut applied = self.applied.bindings_from(first).peekable();
        let mut journaled =
            self.alone.overlay.range(first..).map(|(_, binding)| binding).peekable();
        std::iter::from_fn(move || {
            let (left, right) = (applied.peek().copied(), journaled.peek().copied());
            let next = left.map(|b| b.address).into_iter().chain(right.map(|b| b.address)).min()?;
            let left = left.filter(|b| b.address == next).and_then(|_| applied.next());
            let right = right.filter(|b| b.address == next).and_then(|_| journaled.next());
            newer(right, left)
        })
    }

    fn held_in_class(&self, class: ClassNumber) -> u64 {
        let change = self.alone.in_classes.get(&class).copied().unwrap_or(0);
        self.applied.held_in_class(class).saturating_add_signed(change)
    }

    fn next_free(&self, owner: MemberId, range: VpnRange) -> Option<VpnAddress> {
        self.free(owner, range).next()
    }

    fn free_count(&self, owner: MemberId, range: VpnRange) -> u64 {
        self.free(owner, range).count() as u64
    }

    fn due(&self, limit: usize) -> Vec<VpnAddress> {
        self.applied.due(limit)
    }

    fn ended(&self, limit: usize) -> Vec<VpnAddress> {
        self.applied.ended(limit)
    }

    fn names(&self) -> &NameTable {
        self.applied.names()
    }

    fn lease_limit_seconds(&self) -> Option<u32> {
        self.alone.lease_limit_seconds
    }

    fn may_offer(&self, address: VpnAddress, client: &ClientKey, now: Timestamp) -> bool {
        let settings = &self.applied.globals().settings;
        let bounded = self.alone.bounded;
        let usable = |binding: &Binding| match binding.state {
            BindingState::Active => !(bounded && binding.until <= now),
            state => !state.is_ended(),
        };
        self.alone.narrowing.allows(address, client, settings)
            && self.binding(address).is_none_or(usable)
    }
}

impl<V: LedgerView> IsolatedView<'_, V> {
    /// Free addresses of this owner in what may be offered, from the applied state's own index.
    fn free(&self, owner: MemberId, range: VpnRange) -> impl Iterator<Item = VpnAddress> + '_ {
        let parts = self.alone.globals.holders.within(range);
        let owned = parts.filter(move |(_, holder)| *holder == Holder::Owned(owner));
        owned.flat_map(move |(part, _)| {
            let mut next = Some(part.first);
            std::iter::from_fn(move || {
                let found = self.applied.next_free(owner, part.part(next?, part.last));
                next = found
                    .filter(|found| found.ip < part.last)
                    .map(|found| Ipv4Addr::from(u32::from(found.ip) + 1));
                found
            })
            .filter(|address| self.is_free(*address))
        })
    }
}
