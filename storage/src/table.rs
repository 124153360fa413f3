//! # The ledger in memory
//!
//! **Problem.** A million bindings must be found by address, client and hardware address within a microsecond, renewed tens of
//! thousands of times a second, and fit in a few hundred megabytes.
//!
//! **Model.** Records lie in a slab and never move. Pages of 1,024 addresses lead from an address to its slot and have a bitmap of
//! taken addresses, so that the next free address is found by words. Two hash tables of slot numbers lead from clients,
//! ordered sets from Remote-IDs or circuits and from the newest change (see `orders`). A wheel of seconds says when to look at a promise again; it is lazy: a renewal does not touch it, the
//! old entry moves itself on when its second comes.
//!
//! **Rules.** Only `apply` writes (through [`LedgerTable`]). Before every change stands [`Table::keep`], after it [`Table::reindex`].
//!
//! **Absent on purpose.** No disk: which records the next image needs is all that is known of it here (see `imaging`).

pub(crate) use self::imaging::Replaces;
use self::imaging::{Imaging, Listing};
use self::orders::{Orders, REMOTE_ID, Standing};
use self::pages::{PAGE_LEN, Page, place};
use self::slots_by_hash::SlotsByHash;
use replication_ledger::{
    Binding, BindingState, ClassNumber, ClientKey, Globals, HardwareAddress, Holder, LedgerTable,
    LedgerView, MemberId, NameEntry, NameTable, Stamp, Timestamp, VpnAddress, VpnRange,
};
use std::collections::{BTreeMap, BTreeSet};
use std::hash::{BuildHasher, RandomState};
use std::net::Ipv4Addr;

mod imaging;
mod orders;
mod pages;
mod slots_by_hash;

/// Records in one block of the slab.
const BLOCK_LEN: usize = 4096;
/// No slot, no second.
const NONE: u32 = u32::MAX;
/// No end that is waited for. No log reaches that index.
const NOT_ENDED: u64 = u64::MAX;

/// The production ledger.
#[derive(Default)]
pub struct Table {
    globals: Globals,
    /// Blocks of equal length that never grow, so records never move.
    slab: Vec<Vec<Slot>>,
    pages: BTreeMap<u64, Box<Page>>,
    by_client: SlotsByHash,
    by_hardware: SlotsByHash,
    hasher: RandomState,
    wheel: BTreeMap<u32, Vec<u32>>,
    /// Slots whose second has come: due now or within a second.
    near_due: BTreeSet<VpnAddress>,
    ended: BTreeSet<(u64, VpnAddress)>,
    orders: Orders,
    /// Running promises by the classes that they count for.
    in_classes: BTreeMap<ClassNumber, u64>,
    names: NameTable,
    imaging: Imaging,
}

struct Slot {
    binding: Binding,
    /// The second at which the wheel looks at it; [`NONE`] if it does not.
    wheel_second: u32,
    /// Where it stands among the ended ones; [`NOT_ENDED`] if it does not.
    ended_index: u64,
    standing: Standing,
    listing: Listing,
    near_due: bool,
}

impl Table {
    /// How many records there are.
    pub fn bindings_len(&self) -> usize {
        self.slab.len().saturating_sub(1) * BLOCK_LEN + self.slab.last().map_or(0, Vec::len)
    }

    fn slot(&self, slot: u32) -> &Slot {
        &self.slab[slot as usize / BLOCK_LEN][slot as usize % BLOCK_LEN]
    }

    fn slot_mut(&mut self, slot: u32) -> &mut Slot {
        &mut self.slab[slot as usize / BLOCK_LEN][slot as usize % BLOCK_LEN]
    }

    fn slot_of(&self, address: VpnAddress) -> Option<u32> {
        let (page, offset) = place(address);
        let slot = self.pages.get(&page)?.slots[offset];
        (slot != NONE).then_some(slot)
    }

    fn hash_client(&self, client: &ClientKey) -> u64 {
        self.hasher.hash_one(client.octets())
    }

    fn hash_hardware(&self, hardware: &HardwareAddress) -> u64 {
        self.hasher.hash_one(hardware)
    }

    /// Puts a slot into the tables of clients.
    fn index_client(&mut self, slot: u32) {
        let binding = &self.slot(slot).binding;
        let client = self.hash_client(&binding.client);
        let hardware = self.hash_hardware(&binding.hardware);
        let Table { by_client, by_hardware, slab, hasher, .. } = self;
        let binding_at = |slot: u32| &slab[slot as usize / BLOCK_LEN][slot as usize % BLOCK_LEN];
        by_client
            .insert(client, slot, |slot| hasher.hash_one(binding_at(slot).binding.client.octets()));
        by_hardware
            .insert(hardware, slot, |slot| hasher.hash_one(binding_at(slot).binding.hardware));
    }

    /// Takes a slot out of the tables of clients, by the record that it still has.
    fn unindex_client(&mut self, slot: u32) {
        let binding = &self.slot(slot).binding;
        let client = self.hash_client(&binding.client);
        let hardware = self.hash_hardware(&binding.hardware);
        self.by_client.remove(client, slot);
        self.by_hardware.remove(hardware, slot);
    }

    /// Brings everything but the tables of clients up to date with a slot's record.
    fn reindex(&mut self, slot: u32) {
        let Table { slab, orders, .. } = self;
        let place = &mut slab[slot as usize / BLOCK_LEN][slot as usize % BLOCK_LEN];
        if orders.update(&mut place.standing, &place.binding) {
            place.listing.keys_changed();
        }
        let now = self.globals.stamp.earliest;
        let Slot { binding, wheel_second, ended_index, near_due, .. } = self.slot(slot);
        let (address, state, until) = (binding.address, binding.state, binding.until);
        let (wheel_second, was_ended, was_near) = (*wheel_second, *ended_index, *near_due);
        let is_ended = if state.is_ended() { binding.end_index } else { NOT_ENDED };

        self.count_in_classes(slot, 1);
        self.list_changed(slot);
        self.set_taken(address, state != BindingState::Free);
        if was_ended != is_ended {
            self.ended.remove(&(was_ended, address));
            if is_ended != NOT_ENDED {
                self.ended.insert((is_ended, address));
            }
            self.slot_mut(slot).ended_index = is_ended;
        }
        let wanted = match state {
            BindingState::Active | BindingState::Declined => wheel_second_of(until),
            _ => NONE,
        };
        if was_near && wanted > wheel_second_of(now) {
            self.near_due.remove(&address);
            self.slot_mut(slot).near_due = false;
        }
        self.schedule(slot, wanted, wheel_second);
    }

    /// Adds a slot's record to its classes if it is a running promise, or takes it away before it changes.
    fn count_in_classes(&mut self, slot: u32, change: i64) {
        let Table { slab, in_classes, .. } = self;
        let binding = &slab[slot as usize / BLOCK_LEN][slot as usize % BLOCK_LEN].binding;
        if binding.state != BindingState::Active {
            return;
        }
        for class in binding.classes.numbers() {
            let count = in_classes.entry(*class).or_default();
            *count = count.saturating_add_signed(change);
            if *count == 0 {
                in_classes.remove(class);
            }
        }
    }

    /// Sees to it that the wheel looks at this slot at `wanted` or before; `present` is when it will anyway.
    fn schedule(&mut self, slot: u32, wanted: u32, present: u32) {
        let near = self.slot(slot).near_due;
        if wanted == NONE || near {
            return;
        }
        if wanted <= wheel_second_of(self.globals.stamp.earliest) {
            let address = self.slot(slot).binding.address;
            self.near_due.insert(address);
            let slot = self.slot_mut(slot);
            slot.near_due = true;
            slot.wheel_second = NONE;
        } else if wanted < present {
            self.wheel.entry(wanted).or_default().push(slot);
            self.slot_mut(slot).wheel_second = wanted;
        }
    }

    /// Looks at every slot whose second has come.
    fn turn_wheel(&mut self) {
        let now = wheel_second_of(self.globals.stamp.earliest);
        while let Some(entry) = self.wheel.first_entry() {
            let second = *entry.key();
            if second > now {
                return;
            }
            for number in entry.remove() {
                let slot = self.slot_mut(number);
                // An entry that was superseded by an earlier one.
                if slot.wheel_second != second {
                    continue;
                }
                slot.wheel_second = NONE;
                let (state, until) = (slot.binding.state, slot.binding.until);
                if matches!(state, BindingState::Active | BindingState::Declined) {
                    self.schedule(number, wheel_second_of(until), NONE);
                }
            }
        }
    }

    fn set_taken(&mut self, address: VpnAddress, taken: bool) {
        let (page, offset) = place(address);
        if let Some(page) = self.pages.get_mut(&page) {
            page.set_taken(offset, taken);
        }
    }

    /// The lowest address of `range` that no binding takes.
    fn first_untaken(&self, range: VpnRange) -> Option<VpnAddress> {
        let (mut next, last) = (range.first_address().to_bits(), range.last_address().to_bits());
        loop {
            let page_last = next | (PAGE_LEN - 1);
            let end = page_last.min(last);
            match self.pages.get(&(next / PAGE_LEN)) {
                None => return Some(VpnAddress::from_bits(next)),
                Some(page) => {
                    if let Some(offset) = page.first_untaken(next % PAGE_LEN, end % PAGE_LEN) {
                        return Some(VpnAddress::from_bits(next - next % PAGE_LEN + offset));
                    }
                }
            }
            if page_last >= last {
                return None;
            }
            next = page_last + 1;
        }
    }

    /// How many addresses of `range` bindings take.
    fn taken_count(&self, range: VpnRange) -> u64 {
        let (first, last) = (range.first_address().to_bits(), range.last_address().to_bits());
        let pages = self.pages.range(first / PAGE_LEN..=last / PAGE_LEN);
        let counts = pages.map(|(number, page)| {
            let begin = number * PAGE_LEN;
            let from = first.max(begin) - begin;
            let to = last.min(begin | (PAGE_LEN - 1)) - begin;
            page.taken_count(from, to)
        });
        counts.sum()
    }

    fn owned<'a>(
        &'a self,
        owner: MemberId,
        range: VpnRange,
    ) -> impl Iterator<Item = VpnRange> + 'a {
        self.globals
            .holders
            .within(range)
            .filter(move |(_, holder)| *holder == Holder::Owned(owner))
            .map(|(part, _)| part)
    }
}

impl LedgerView for Table {
    fn globals(&self) -> &Globals {
        &self.globals
    }

    fn binding(&self, address: VpnAddress) -> Option<&Binding> {
        Some(&self.slot(self.slot_of(address)?).binding)
    }

    fn bindings_of_client<'a>(
        &'a self,
        client: &'a ClientKey,
    ) -> impl Iterator<Item = &'a Binding> + 'a {
        let slots = self.by_client.find(self.hash_client(client));
        slots.map(|slot| &self.slot(slot).binding).filter(move |b| b.client == *client)
    }

    fn bindings_of_hardware<'a>(
        &'a self,
        hardware: &'a HardwareAddress,
    ) -> impl Iterator<Item = &'a Binding> + 'a {
        let slots = self.by_hardware.find(self.hash_hardware(hardware));
        slots.map(|slot| &self.slot(slot).binding).filter(move |b| b.hardware == *hardware)
    }

    fn bindings_of_remote_id<'a>(
        &'a self,
        remote_id: &'a [u8],
    ) -> impl Iterator<Item = &'a Binding> + 'a {
        let found = self.orders.addresses_of_remote_id(remote_id);
        found
            .filter_map(|address| self.binding(address))
            .filter(move |b| b.relay_sub_option(REMOTE_ID) == Some(remote_id))
    }

    fn bindings_of_circuit<'a>(
        &'a self,
        giaddr: Ipv4Addr,
        circuit_id: &'a [u8],
    ) -> impl Iterator<Item = &'a Binding> + 'a {
        let found = self.orders.addresses_of_circuit(giaddr, circuit_id);
        found
            .filter_map(|address| self.binding(address))
            .filter(move |binding| binding.circuit() == Some((giaddr, circuit_id)))
    }

    fn bindings_changed_after(
        &self,
        after: (u64, VpnAddress),
    ) -> impl Iterator<Item = &Binding> + '_ {
        self.orders.addresses_changed_after(after).filter_map(|address| self.binding(address))
    }

    fn bindings_from(&self, first: VpnAddress) -> impl Iterator<Item = &Binding> + '_ {
        let first = first.to_bits();
        self.pages.range(first / PAGE_LEN..).flat_map(move |(number, page)| {
            let skipped = first.saturating_sub(number * PAGE_LEN) as usize;
            let slots = page.slots.iter().skip(skipped).filter(|slot| **slot != NONE);
            slots.map(|slot| &self.slot(*slot).binding)
        })
    }

    fn held_in_class(&self, class: ClassNumber) -> u64 {
        self.in_classes.get(&class).copied().unwrap_or(0)
    }

    fn next_free(&self, owner: MemberId, range: VpnRange) -> Option<VpnAddress> {
        self.owned(owner, range).find_map(|part| self.first_untaken(part))
    }

    fn free_count(&self, owner: MemberId, range: VpnRange) -> u64 {
        self.owned(owner, range).map(|part| part.size() - self.taken_count(part)).sum()
    }

    fn due(&self, limit: usize) -> Vec<VpnAddress> {
        let now = self.globals.stamp.earliest;
        let is_due = |address: &VpnAddress| {
            self.binding(*address).is_some_and(|b| {
                matches!(b.state, BindingState::Active | BindingState::Declined) && b.until <= now
            })
        };
        self.near_due.iter().copied().filter(is_due).take(limit).collect()
    }

    fn ended(&self, limit: usize) -> Vec<VpnAddress> {
        self.ended.iter().take(limit).map(|(_, address)| *address).collect()
    }

    fn names(&self) -> &NameTable {
        &self.names
    }
}

impl LedgerTable for Table {
    fn globals_mut(&mut self) -> &mut Globals {
        self.imaging.globals_changed();
        &mut self.globals
    }

    fn put(&mut self, binding: Binding) {
        let address = binding.address;
        let slot = match self.slot_of(address) {
            Some(slot) => {
                self.keep(slot);
                self.count_in_classes(slot, -1);
                self.unindex_client(slot);
                let place = self.slot_mut(slot);
                place.binding = binding;
                place.listing.keys_changed();
                slot
            }
            None => self.new_slot(binding),
        };
        self.index_client(slot);
        self.reindex(slot);
    }

    fn amend<R>(
        &mut self,
        address: VpnAddress,
        change: impl FnOnce(&mut Binding) -> R,
    ) -> Option<R> {
        let slot = self.slot_of(address)?;
        self.keep(slot);
        self.count_in_classes(slot, -1);
        let answer = change(&mut self.slot_mut(slot).binding);
        self.reindex(slot);
        Some(answer)
    }

    fn set_names(&mut self, address: VpnAddress, entry: Option<NameEntry>) {
        self.imaging.names_changed(address);
        self.names.set(address, entry);
    }

    fn advance(&mut self, index: u64, stamp: Stamp) {
        self.globals.applied_index = index;
        self.globals.stamp = stamp;
        self.turn_wheel();
    }
}

impl Table {
    fn new_slot(&mut self, binding: Binding) -> u32 {
        let (page, offset) = place(binding.address);
        if self.slab.last().is_none_or(|block| block.len() == BLOCK_LEN) {
            self.slab.push(Vec::with_capacity(BLOCK_LEN));
        }
        let slot = u32::try_from(self.bindings_len())
            .expect("2^32 records are more than any memory holds");
        let block = self.slab.last_mut().expect("a block was pushed above");
        block.push(Slot {
            binding,
            wheel_second: NONE,
            ended_index: NOT_ENDED,
            standing: Standing::NOWHERE,
            listing: Listing::NEW,
            near_due: false,
        });
        self.pages.entry(page).or_insert_with(Page::empty).slots[offset] = slot;
        slot
    }
}

/// The second at which to look at a promise that ends then; the last second of all stands for never.
fn wheel_second_of(until: Timestamp) -> u32 {
    u32::try_from(until.seconds()).unwrap_or(NONE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use replication_ledger::VpnNumber;
    use replication_ledger::view::contract;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(60))]
        #[test]
        fn the_fast_table_answers_as_the_plain_one(seed in any::<u64>()) {
            contract::check(Table::default(), seed);
        }
    }

    #[test]
    fn a_pool_is_searched_by_pages_and_words() {
        let mut table = Table::default();
        let owner = MemberId(1);
        let first = u32::from(Ipv4Addr::new(10, 0, 0, 0)) + 100;
        let pool_of = |vpn: u32| VpnRange {
            vpn: VpnNumber(vpn),
            first: first.into(),
            last: (first + 5000).into(),
        };
        let (pool, twin) = (pool_of(7), pool_of(8));
        let at = |offset: u32| pool.at((first + offset).into());
        let mut held = contract::sample();
        held.state = BindingState::Active;
        // Only `apply` writes holders in production; here a change of settings stands for it.
        for offset in 0..4000 {
            held.address = at(offset);
            table.put(held.clone());
        }
        assert_eq!(table.taken_count(pool), 4000);
        assert_eq!(table.first_untaken(pool), Some(at(4000)));
        table.amend(at(70), |binding| binding.state = BindingState::Free);
        assert_eq!(table.first_untaken(pool), Some(at(70)));
        assert_eq!(table.next_free(owner, pool), None);
        assert_eq!(
            (table.taken_count(twin), table.first_untaken(twin)),
            (0, Some(twin.first_address()))
        );
        // The last addresses of one VPN and the first of the next.
        for address in [VpnAddress::LAST, pool.at(Ipv4Addr::BROADCAST)] {
            held.address = address;
            table.put(held.clone());
            let end =
                VpnRange { first: Ipv4Addr::new(255, 255, 255, 254), ..VpnRange::one(address) };
            assert_eq!(table.first_untaken(VpnRange::one(address)), None);
            assert_eq!(table.first_untaken(end), Some(end.first_address()));
            assert_eq!(table.taken_count(end), 1);
        }
        let after: Vec<_> =
            table.bindings_from(pool.at(Ipv4Addr::BROADCAST)).map(|b| b.address).collect();
        assert_eq!(after, [pool.at(Ipv4Addr::BROADCAST), VpnAddress::LAST]);
    }
}
