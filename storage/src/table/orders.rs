//! The two orders in which records are read besides that of addresses: by Remote-ID or circuit, and by newest change.
//!
//! **Problem.** Thousands of records may share one Remote-ID, so a hash table would chain them. Every renewal changes the
//! second order, and most leave option 82 as it was.
//!
//! **Model.** Ordered sets of a number and the address; for a Remote-ID the number is its hash. Records without one stand there by the
//! hash of their relay and circuit, so that a record has one entry at most. Twelve octets an entry. Each
//! slot keeps under which numbers it stands, so that a record may be changed in place before it is moved here.
//!
//! What a record had for a moment between two images must be remembered too (draft-dtv §7.3), so new identifiers are
//! gathered here, where every change passes.
//!
//! **Hazards.** Two Remote-IDs may have one hash: whoever reads compares the values. That an option 82 is another one is
//! told from its hash alone; it is of 64 bits and keyed anew by every process.

use replication_ledger::{Binding, BindingKey};
use std::collections::BTreeSet;
use std::hash::{BuildHasher, Hash, RandomState};
use std::net::Ipv4Addr;
use std::num::NonZeroU64;
use std::ops::Bound::{Excluded, Included, Unbounded};

/// Sub-option Agent Remote ID (RFC 3046 §3.2).
pub(super) const REMOTE_ID: u8 = 2;

/// Both orders, and which identifiers the next image has to remember.
#[derive(Default)]
pub(super) struct Orders {
    by_relay_words: BTreeSet<Key>,
    by_change: BTreeSet<Key>,
    hasher: RandomState,
    fresh: BTreeSet<BindingKey>,
}

/// Where one record stands in them.
#[derive(Clone, Copy)]
pub(super) struct Standing {
    relay_words: Option<NonZeroU64>,
    /// The whole option 82, and the relay.
    information: Option<NonZeroU64>,
    changed_index: u64,
}

impl Standing {
    /// Of a slot that was not read yet. No log reaches that index.
    pub(super) const NOWHERE: Standing =
        Standing { relay_words: None, information: None, changed_index: u64::MAX };
}

/// A number and an address, in words of 32 bits because three of them need no padding.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    high: u32,
    low: u32,
    address: u32,
}

impl Key {
    fn new(number: u64, address: Ipv4Addr) -> Key {
        // Cut on purpose: the two halves are the whole.
        Key { high: (number >> 32) as u32, low: number as u32, address: address.into() }
    }

    fn address(self) -> Ipv4Addr {
        self.address.into()
    }
}

impl Orders {
    /// Brings both up to date with a record that stood at `standing` before. True if its option 82 or its relay is another one.
    pub(super) fn update(&mut self, standing: &mut Standing, binding: &Binding) -> bool {
        let address = binding.address;
        let information = Some(self.hash((binding.giaddr, &binding.relay_agent_information)));
        let is_other = std::mem::replace(&mut standing.information, information) != information;
        if is_other {
            self.fresh.extend(BindingKey::remembered_of(binding));
            let remote_id = binding.relay_sub_option(REMOTE_ID).map(|value| self.hash(value));
            let words = remote_id.or_else(|| binding.circuit().map(|circuit| self.hash(circuit)));
            if let Some(hash) = std::mem::replace(&mut standing.relay_words, words) {
                self.by_relay_words.remove(&Key::new(hash.get(), address));
            }
            if let Some(hash) = words {
                self.by_relay_words.insert(Key::new(hash.get(), address));
            }
        }
        let changed_index = binding.changed_index;
        if standing.changed_index != changed_index {
            self.by_change.remove(&Key::new(standing.changed_index, address));
            self.by_change.insert(Key::new(changed_index, address));
        }
        standing.changed_index = changed_index;
        is_other
    }

    /// Addresses of records with this Remote-ID, ascending, and perhaps of a few others with the same hash.
    pub(super) fn addresses_of_remote_id(
        &self,
        remote_id: &[u8],
    ) -> impl Iterator<Item = Ipv4Addr> + '_ {
        self.addresses_by(self.hash(remote_id))
    }

    /// The same for a circuit of a relay.
    pub(super) fn addresses_of_circuit(
        &self,
        giaddr: Ipv4Addr,
        circuit_id: &[u8],
    ) -> impl Iterator<Item = Ipv4Addr> + '_ {
        self.addresses_by(self.hash((giaddr, circuit_id)))
    }

    fn addresses_by(&self, hash: NonZeroU64) -> impl Iterator<Item = Ipv4Addr> + '_ {
        let first = Included(Key::new(hash.get(), Ipv4Addr::UNSPECIFIED));
        let last = Included(Key::new(hash.get(), Ipv4Addr::BROADCAST));
        self.by_relay_words.range((first, last)).map(|key| key.address())
    }

    /// Addresses in order of newest change and address.
    pub(super) fn addresses_changed_after(
        &self,
        (index, address): (u64, Ipv4Addr),
    ) -> impl Iterator<Item = Ipv4Addr> + '_ {
        let after = Excluded(Key::new(index, address));
        self.by_change.range((after, Unbounded)).map(|key| key.address())
    }

    /// Remote-IDs and Relay-IDs that records got since this was last asked. Most were known before.
    pub(super) fn take_fresh(&mut self) -> BTreeSet<BindingKey> {
        std::mem::take(&mut self.fresh)
    }

    fn hash(&self, value: impl Hash) -> NonZeroU64 {
        NonZeroU64::MIN | self.hasher.hash_one(value)
    }
}
