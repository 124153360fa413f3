//! How a ledger is read and written: the two traits, and the suite that every implementation must pass.
//!
//! `apply` is written once against [`LedgerTable`]; [`crate::MapTable`] is the plain implementation that simulation and unit
//! tests use, and the storage crate has the one that carries a million subscribers. [`contract::check`] holds
//! both to the same answers.

use crate::{
    Binding, ClassNumber, ClientKey, Globals, HardwareAddress, LimitedClasses, MemberId, NameEntry,
    NameTable, Stamp, Timestamp, VpnAddress, VpnNumber, VpnRange,
};
use std::net::Ipv4Addr;

/// A consistent state to read.
pub trait LedgerView {
    /// Members, settings, buckets, holders.
    fn globals(&self) -> &Globals;

    /// The record of an address, if it was ever given out.
    fn binding(&self, address: VpnAddress) -> Option<&Binding>;

    /// Every record whose client is this one, in no particular order.
    fn bindings_of_client<'a>(
        &'a self,
        client: &'a ClientKey,
    ) -> impl Iterator<Item = &'a Binding> + 'a;

    /// Every record with this hardware address, in no particular order.
    fn bindings_of_hardware<'a>(
        &'a self,
        hardware: &'a HardwareAddress,
    ) -> impl Iterator<Item = &'a Binding> + 'a;

    /// Every record whose stored option 82 has this Agent Remote ID, ascending by address.
    fn bindings_of_remote_id<'a>(
        &'a self,
        remote_id: &'a [u8],
    ) -> impl Iterator<Item = &'a Binding> + 'a;

    /// Every record of this circuit (see [`Binding::circuit`]), ascending by address.
    fn bindings_of_circuit<'a>(
        &'a self,
        giaddr: Ipv4Addr,
        circuit_id: &'a [u8],
    ) -> impl Iterator<Item = &'a Binding> + 'a;

    /// Records in order of their newest change and address, from just after `after`.
    fn bindings_changed_after(
        &self,
        after: (u64, VpnAddress),
    ) -> impl Iterator<Item = &Binding> + '_;

    /// Records in order of address, from `first` on.
    fn bindings_from(&self, first: VpnAddress) -> impl Iterator<Item = &Binding> + '_;

    /// How many promises run that count for this class, as committed.
    fn held_in_class(&self, class: ClassNumber) -> u64;

    /// The lowest address of `range` that `owner` may give to a new client: it owns it, and no binding holds it.
    fn next_free(&self, owner: MemberId, range: VpnRange) -> Option<VpnAddress>;

    /// How many addresses of `range` `owner` may give to new clients.
    fn free_count(&self, owner: MemberId, range: VpnRange) -> u64;

    /// Promises and quarantines that are over by the log's time and not yet committed as ended, at most `limit`.
    fn due(&self, limit: usize) -> Vec<VpnAddress>;

    /// Ended bindings that wait to become free, oldest end first, at most `limit`.
    fn ended(&self, limit: usize) -> Vec<VpnAddress>;

    /// What DNS should say and may say. Never of what a member promised alone: that is told once it is merged.
    fn names(&self) -> &NameTable;

    /// The longest lease that may be promised by this view, in seconds; none if only policy limits it.
    fn lease_limit_seconds(&self) -> Option<u32> {
        None
    }

    /// False if this view knows that a promise of the address to this client would be refused for a reason that [`crate::may_bind`] does
    /// not see: another address is the better offer.
    fn may_offer(&self, _address: VpnAddress, _client: &ClientKey, _now: Timestamp) -> bool {
        true
    }

    /// True if an end or a letting go waits for members to settle it.
    fn awaits_settling(&self) -> bool {
        !self.ended(1).is_empty()
            || self
                .globals()
                .holders
                .iter()
                .any(|(_, holder)| matches!(holder, crate::Holder::Disowned { .. }))
    }

    /// True if no binding keeps a new client from having this address.
    fn is_free(&self, address: VpnAddress) -> bool {
        self.binding(address).is_none_or(|b| b.state == crate::BindingState::Free)
    }
}

/// A state that `apply` may change. Nobody else writes it.
pub trait LedgerTable: LedgerView {
    /// Members, settings, buckets, holders.
    fn globals_mut(&mut self) -> &mut Globals;

    /// Stores a record, replacing what the address had.
    fn put(&mut self, binding: Binding);

    /// Changes a record in place. The address, the client and the hardware address must stay as they are: indexes
    /// hang on them. Returns none if there is no record.
    fn amend<R>(
        &mut self,
        address: VpnAddress,
        change: impl FnOnce(&mut Binding) -> R,
    ) -> Option<R>;

    /// Stores the names of an address, or that there are none.
    fn set_names(&mut self, address: VpnAddress, entry: Option<NameEntry>);

    /// The log moved on to this entry and this time.
    fn advance(&mut self, index: u64, stamp: Stamp);
}

/// What every implementation of [`LedgerTable`] must do, as one function for their tests.
pub mod contract {
    use super::*;
    use crate::{BindingState, Holder, MapTable, MemberView};

    /// Drives `table`, which must be empty, and the plain table through the same steps, drawn from `seed`, and compares
    /// every answer.
    ///
    /// # Panics
    /// When an answer differs: it is a test.
    pub fn check(mut table: impl LedgerTable, seed: u64) {
        let mut model = MapTable::default();
        let mut random = Draws(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        for step in 1..1500u64 {
            let address = random.address();
            match random.below(10) {
                0..=3 => {
                    let binding = random.binding(address, step);
                    table.put(binding.clone());
                    model.put(binding);
                }
                4..=6 => {
                    let state = BindingState::ALL[random.below(6)];
                    let until = Timestamp(random.below(2000) as u64);
                    let relay_agent_information = random.relay_agent_information();
                    let giaddr = Ipv4Addr::from(random.below(2) as u32);
                    let classes = random.classes();
                    let change = |binding: &mut Binding| {
                        binding.state = state;
                        binding.until = until;
                        binding.end_index = step;
                        binding.changed_index = step;
                        binding.relay_agent_information = relay_agent_information.clone();
                        binding.giaddr = giaddr;
                        binding.classes = classes.clone();
                    };
                    let found = table.amend(address, change);
                    assert_eq!(found, model.amend(address, change));
                }
                7 => {
                    let range = random.range_from(address, 40);
                    let holder = match random.below(4) {
                        0 => None,
                        1 => Some(Holder::Reserved),
                        owner => Some(Holder::Owned(MemberId(owner as u64))),
                    };
                    table.globals_mut().holders.set(range, holder);
                    model.globals_mut().holders.set(range, holder);
                }
                _ => {
                    let stamp = Stamp::of(Timestamp(step * 3));
                    table.advance(step, stamp);
                    model.advance(step, stamp);
                }
            }
            compare(&table, &model, &mut random);
            // What holds for a table holds for the view of a member that is not isolated.
            compare(&MemberView::new(&table, None), &model, &mut random);
        }
    }

    fn compare(table: &impl LedgerView, model: &MapTable, random: &mut Draws) {
        assert_eq!(table.globals(), model.globals());
        let address = random.address();
        assert_eq!(table.binding(address), model.binding(address));
        let sample = random.binding(address, 0);
        let sorted = |mut found: Vec<VpnAddress>| {
            found.sort();
            found
        };
        let client = &sample.client;
        assert_eq!(
            sorted(table.bindings_of_client(client).map(|b| b.address).collect()),
            sorted(model.bindings_of_client(client).map(|b| b.address).collect()),
        );
        let hardware = &sample.hardware;
        assert_eq!(
            sorted(table.bindings_of_hardware(hardware).map(|b| b.address).collect()),
            sorted(model.bindings_of_hardware(hardware).map(|b| b.address).collect()),
        );
        assert!(table.bindings_from(address).eq(model.bindings_from(address)));
        let remote_id = [random.below(9) as u8];
        assert!(
            table.bindings_of_remote_id(&remote_id).eq(model.bindings_of_remote_id(&remote_id))
        );
        let relay = Ipv4Addr::from(random.below(2) as u32);
        assert!(
            table
                .bindings_of_circuit(relay, &remote_id)
                .eq(model.bindings_of_circuit(relay, &remote_id))
        );
        let after = (random.below(600) as u64, address);
        assert!(table.bindings_changed_after(after).eq(model.bindings_changed_after(after)));
        let range = random.range_from(address, 200);
        for class in [1, 2, 3].map(ClassNumber) {
            assert_eq!(table.held_in_class(class), model.held_in_class(class));
        }
        for owner in [MemberId(2), MemberId(3)] {
            assert_eq!(table.next_free(owner, range), model.next_free(owner, range));
            assert_eq!(table.free_count(owner, range), model.free_count(owner, range));
        }
        assert_eq!(sorted(table.due(usize::MAX)), sorted(model.due(usize::MAX)));
        assert_eq!(table.ended(usize::MAX), model.ended(usize::MAX));
        assert_eq!(table.awaits_settling(), model.awaits_settling());
    }

    /// A record like those that [`check`] draws, for tests that need one.
    pub fn sample() -> Binding {
        Draws(1).binding(VpnAddress::global([10, 0, 0, 1].into()), 1)
    }

    /// xorshift: the seed decides everything.
    struct Draws(u64);

    impl Draws {
        fn below(&mut self, end: usize) -> usize {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            (self.0 % end as u64) as usize
        }

        /// Each of two classes or not.
        fn classes(&mut self) -> LimitedClasses {
            let drawn = self.below(4) as u32;
            [1, 2].into_iter().filter(|bit| drawn & bit != 0).map(ClassNumber).collect()
        }

        /// Of 300 addresses in each of three VPNs.
        fn address(&mut self) -> VpnAddress {
            let ip = Ipv4Addr::from(0x0a00_0000 + self.below(300) as u32);
            VpnAddress { vpn: VpnNumber([0, 1, u32::MAX][self.below(3)]), ip }
        }

        fn range_from(&mut self, first: VpnAddress, size_max: usize) -> VpnRange {
            let last = u32::from(first.ip) + self.below(size_max) as u32;
            VpnRange { vpn: first.vpn, first: first.ip, last: last.into() }
        }

        /// Circuit, remote and relay identifiers; the last two are missing now and then.
        fn relay_agent_information(&mut self) -> crate::Octets {
            let mut octets = vec![1, 1, self.below(9) as u8];
            for code in [2, 12] {
                if self.below(4) > 0 {
                    octets.extend([code, 1, self.below(9) as u8]);
                }
            }
            octets.into()
        }

        fn binding(&mut self, address: VpnAddress, step: u64) -> Binding {
            let hardware = HardwareAddress::new(1, &[2, 0, 0, 0, 0, self.below(20) as u8]);
            let client = match self.below(2) {
                0 => ClientKey::from_hardware(&hardware),
                _ => ClientKey::from_identifier(&[self.below(20) as u8; 9]),
            };
            let state = BindingState::ALL[self.below(6)];
            Binding {
                address,
                state,
                client,
                hardware,
                state_since: Timestamp(step),
                until: Timestamp(self.below(2000) as u64),
                cltt: Timestamp(step),
                end_index: if state.is_ended() { step } else { 0 },
                changed_index: step,
                maker: MemberId(1),
                giaddr: Ipv4Addr::UNSPECIFIED,
                relay_agent_information: self.relay_agent_information(),
                host_name: Vec::new().into(),
                vendor_class_identifier: Vec::new().into(),
                classes: self.classes(),
            }
        }
    }
}
