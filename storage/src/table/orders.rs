//! The two orders in which records are read besides that of addresses: by Remote-ID or circuit, and by newest change.
//!
//! **Problem.** Thousands of records may share one Remote-ID, so a hash table would chain them. Every renewal changes the
//! second order, and most leave option 82 as it was.
//!
//! **Model.** Ordered sets of a number and the address; for a Remote-ID the number is its hash. Records without one stand there by the
//! hash of their relay and circuit, so that a record has one entry at most. Twelve octets an entry there, sixteen in the order of changes.
//! Each slot keeps under which numbers it stands, so that a record may be changed in place before it is moved here.
//!
//! What a record had for a moment between two images must be remembered too (draft-dtv §7.3), so new identifiers are
//! gathered here, where every change passes.
//!
//! **Hazards.** Two Remote-IDs may have one hash, which is of 32 bits to keep entries small: whoever reads compares the values. That an
//! option 82 is another one is told from its hash alone; that one is of 64 bits. Both are keyed anew by every process.

use replication_ledger::{Binding, BindingKey, VpnAddress};
use std::collections::BTreeSet;
use std::hash::{BuildHasher, Hash, RandomState};
use std::net::Ipv4Addr;
use std::num::{NonZeroU32, NonZeroU64};
use std::ops::Bound::{Excluded, Unbounded};

/// Sub-option Agent Remote ID (RFC 3046 §3.2).
pub(super) const REMOTE_ID: u8 = 2;

/// Both orders, and which identifiers the next image has to remember.
#[derive(Default)]
pub(super) struct Orders {
    by_relay_words: BTreeSet<(NonZeroU32, VpnAddress)>,
    by_change: BTreeSet<(u64, VpnAddress)>,
    hasher: RandomState,
    fresh: BTreeSet<BindingKey>,
}

/// Where one record stands in them.
#[derive(Clone, Copy)]
pub(super) struct Standing {
    relay_words: Option<NonZeroU32>,
    /// The whole option 82, and the relay.
    information: Option<NonZeroU64>,
    changed_index: u64,
}

impl Standing {
    /// Of a slot that was not read yet. No log reaches that index.
    pub(super) const NOWHERE: Standing =
        Standing { relay_words: None, information: None, changed_index: u64::MAX };
}

impl Orders {
    /// Brings both up to date with a record that stood at `standing` before. True if its option 82 or its relay is another one.
    pub(super) fn update(&mut self, standing: &mut Standing, binding: &Binding) -> bool {
        let address = binding.address;
        let information = Some(self.hash((binding.giaddr, &binding.relay_agent_information)));
        let is_other = std::mem::replace(&mut standing.information, information) != information;
        if is_other {
            self.fresh.extend(BindingKey::remembered_of(binding));
            let remote_id = binding.relay_sub_option(REMOTE_ID).map(|value| self.short_hash(value));
            let words =
                remote_id.or_else(|| binding.circuit().map(|circuit| self.short_hash(circuit)));
            if let Some(hash) = std::mem::replace(&mut standing.relay_words, words) {
                self.by_relay_words.remove(&(hash, address));
            }
            if let Some(hash) = words {
                self.by_relay_words.insert((hash, address));
            }
        }
        let changed_index = binding.changed_index;
        if standing.changed_index != changed_index {
            self.by_change.remove(&(standing.changed_index, address));
            self.by_change.insert((changed_index, address));
        }
        standing.changed_index = changed_index;
        is_other
    }

    /// Addresses of records with this Remote-ID, ascending, and perhaps of a few others with the same hash.
    pub(super) fn addresses_of_remote_id(
        &self,
        remote_id: &[u8],
    ) -> impl Iterator<Item = VpnAddress> + '_ {
        self.addresses_by(self.short_hash(remote_id))
    }

    /// The same for a circuit of a relay.
    pub(super) fn addresses_of_circuit(
        &self,
        giaddr: Ipv4Addr,
        circuit_id: &[u8],
    ) -> impl Iterator<Item = VpnAddress> + '_ {
        self.addresses_by(self.short_hash((giaddr, circuit_id)))
    }

    fn addresses_by(&self, hash: NonZeroU32) -> impl Iterator<Item = VpnAddress> + '_ {
        let all = (hash, VpnAddress::FIRST)..=(hash, VpnAddress::LAST);
        self.by_relay_words.range(all).map(|(_, address)| *address)
    }

    /// Addresses in order of newest change and address.
    pub(super) fn addresses_changed_after(
        &self,
        after: (u64, VpnAddress),
    ) -> impl Iterator<Item = VpnAddress> + '_ {
        self.by_change.range((Excluded(after), Unbounded)).map(|(_, address)| *address)
    }

    /// Remote-IDs and Relay-IDs that records got since this was last asked. Most were known before.
    pub(super) fn take_fresh(&mut self) -> BTreeSet<BindingKey> {
        std::mem::take(&mut self.fresh)
    }

    fn hash(&self, value: impl Hash) -> NonZeroU64 {
        NonZeroU64::MIN | self.hasher.hash_one(value)
    }

    fn short_hash(&self, value: impl Hash) -> NonZeroU32 {
        // Cut on purpose.
        NonZeroU32::MIN | self.hasher.hash_one(value) as u32
    }
}
