//! # The one view that the packet path and leasequery look at
//!
//! **Problem.** Most of the time a member answers from its applied state, and alone from that under its journal (AV-I6). Whoever
//! decides on packets should not have to know which.
//!
//! **Model.** [`MemberView`] is one type for both. Without isolation every question goes to the applied state, at the cost of a branch:
//! nothing is allocated and nothing is looked up twice.
//!
//! **Absent on purpose.** When isolation begins and ends, and locks: whoever makes the view holds both states still.

use crate::isolated::IsolatedView;
use crate::view::LedgerView;
use crate::{
    Alone, Binding, ClassNumber, ClientKey, Globals, HardwareAddress, MemberId, NameTable,
    Timestamp, VpnAddress, VpnRange,
};
use std::net::Ipv4Addr;

/// A member's view of the ledger: its applied state, under its journal while it is isolated.
#[derive(Debug)]
pub struct MemberView<'a, V> {
    applied: &'a V,
    isolated: Option<IsolatedView<'a, V>>,
}

impl<'a, V: LedgerView> MemberView<'a, V> {
    /// The applied state, with what the member knows alone on top if it is isolated.
    pub fn new(applied: &'a V, alone: Option<&'a Alone>) -> MemberView<'a, V> {
        MemberView { applied, isolated: alone.map(|alone| IsolatedView::new(applied, alone)) }
    }

    /// The records that stand in the journal and are shown instead of what is applied, ascending by address.
    pub fn journaled(&self) -> impl Iterator<Item = &Binding> + '_ {
        self.isolated.iter().flat_map(|isolated| isolated.journaled())
    }
}

impl<V: LedgerView> LedgerView for MemberView<'_, V> {
    fn globals(&self) -> &Globals {
        match &self.isolated {
            None => self.applied.globals(),
            Some(isolated) => isolated.globals(),
        }
    }

    fn binding(&self, address: VpnAddress) -> Option<&Binding> {
        match &self.isolated {
            None => self.applied.binding(address),
            Some(isolated) => isolated.binding(address),
        }
    }

    fn bindings_of_client<'a>(
        &'a self,
        client: &'a ClientKey,
    ) -> impl Iterator<Item = &'a Binding> + 'a {
        match &self.isolated {
            None => Records::Applied(self.applied.bindings_of_client(client)),
            Some(isolated) => Records::Isolated(isolated.bindings_of_client(client)),
        }
    }

    fn bindings_of_hardware<'a>(
        &'a self,
        hardware: &'a HardwareAddress,
    ) -> impl Iterator<Item = &'a Binding> + 'a {
        match &self.isolated {
            None => Records::Applied(self.applied.bindings_of_hardware(hardware)),
            Some(isolated) => Records::Isolated(isolated.bindings_of_hardware(hardware)),
        }
    }

    fn bindings_of_remote_id<'a>(
        &'a self,
        remote_id: &'a [u8],
    ) -> impl Iterator<Item = &'a Binding> + 'a {
        match &self.isolated {
            None => Records::Applied(self.applied.bindings_of_remote_id(remote_id)),
            Some(isolated) => Records::Isolated(isolated.bindings_of_remote_id(remote_id)),
        }
    }

    fn bindings_of_circuit<'a>(
        &'a self,
        giaddr: Ipv4Addr,
        circuit_id: &'a [u8],
    ) -> impl Iterator<Item = &'a Binding> + 'a {
        match &self.isolated {
            None => Records::Applied(self.applied.bindings_of_circuit(giaddr, circuit_id)),
            Some(isolated) => Records::Isolated(isolated.bindings_of_circuit(giaddr, circuit_id)),
        }
    }

    fn bindings_changed_after(
        &self,
        after: (u64, VpnAddress),
    ) -> impl Iterator<Item = &Binding> + '_ {
        match &self.isolated {
            None => Records::Applied(self.applied.bindings_changed_after(after)),
            Some(isolated) => Records::Isolated(isolated.bindings_changed_after(after)),
        }
    }

    fn bindings_from(&self, first: VpnAddress) -> impl Iterator<Item = &Binding> + '_ {
        match &self.isolated {
            None => Records::Applied(self.applied.bindings_from(first)),
            Some(isolated) => Records::Isolated(isolated.bindings_from(first)),
        }
    }

    fn held_in_class(&self, class: ClassNumber) -> u64 {
        match &self.isolated {
            None => self.applied.held_in_class(class),
            Some(isolated) => isolated.held_in_class(class),
        }
    }

    fn next_free(&self, owner: MemberId, range: VpnRange) -> Option<VpnAddress> {
        match &self.isolated {
            None => self.applied.next_free(owner, range),
            Some(isolated) => isolated.next_free(owner, range),
        }
    }

    fn free_count(&self, owner: MemberId, range: VpnRange) -> u64 {
        match &self.isolated {
            None => self.applied.free_count(owner, range),
            Some(isolated) => isolated.free_count(owner, range),
        }
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
        match &self.isolated {
            None => self.applied.lease_limit_seconds(),
            Some(isolated) => isolated.lease_limit_seconds(),
        }
    }

    fn may_offer(&self, address: VpnAddress, client: &ClientKey, now: Timestamp) -> bool {
        match &self.isolated {
            None => self.applied.may_offer(address, client, now),
            Some(isolated) => isolated.may_offer(address, client, now),
        }
    }

    fn awaits_settling(&self) -> bool {
        match &self.isolated {
            None => self.applied.awaits_settling(),
            Some(isolated) => isolated.awaits_settling(),
        }
    }

    fn is_free(&self, address: VpnAddress) -> bool {
        match &self.isolated {
            None => self.applied.is_free(address),
            Some(isolated) => isolated.is_free(address),
        }
    }
}

/// Records from one of the two, without a box around them.
enum Records<A, I> {
    Applied(A),
    Isolated(I),
}

impl<'a, A, I> Iterator for Records<A, I>
where
    A: Iterator<Item = &'a Binding>,
    I: Iterator<Item = &'a Binding>,
{
    type Item = &'a Binding;

    #[inline]
    fn next(&mut self) -> Option<&'a Binding> {
        match self {
            Records::Applied(applied) => applied.next(),
            Records::Isolated(isolated) => isolated.next(),
        }
    }

    #[inline]
    fn size_hint(&self) -> (usize, Option<usize>) {
        match self {
            Records::Applied(applied) => applied.size_hint(),
            Records::Isolated(isolated) => isolated.size_hint(),
        }
    }
}
