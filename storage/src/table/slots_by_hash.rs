//! Hash tables of slots, cut into many small ones.
//!
//! One large table would grow in one step, and hash every record again while everybody waits: for a million records that is
//! longer than a member may be silent before another one wants to lead. Here a step is a thousandth of that.

use hashbrown::HashTable;

/// How many tables; a power of two.
const SHARDS_LEN: usize = 1024;

/// Slots by the hash of what they are found by.
pub(super) struct SlotsByHash {
    shards: Vec<HashTable<u32>>,
}

impl Default for SlotsByHash {
    fn default() -> SlotsByHash {
        SlotsByHash { shards: (0..SHARDS_LEN).map(|_| HashTable::new()).collect() }
    }
}

impl SlotsByHash {
    /// `rehash` hashes what is there already.
    pub(super) fn insert(&mut self, hash: u64, slot: u32, rehash: impl Fn(u32) -> u64) {
        self.shards[shard_of(hash)].insert_unique(hash, slot, |slot| rehash(*slot));
    }

    pub(super) fn remove(&mut self, hash: u64, slot: u32) {
        if let Ok(entry) = self.shards[shard_of(hash)].find_entry(hash, |other| *other == slot) {
            entry.remove();
        }
    }

    /// Slots with this hash, and perhaps a few others.
    pub(super) fn find(&self, hash: u64) -> impl Iterator<Item = u32> + '_ {
        self.shards[shard_of(hash)].iter_hash(hash).copied()
    }
}

/// By bits of the middle: a table of its own uses the lowest and the highest.
fn shard_of(hash: u64) -> usize {
    (hash >> 32) as usize % SHARDS_LEN
}
