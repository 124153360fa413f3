//! Pages of neighbouring addresses: which slot each has, and which of them are taken.

use super::NONE;
use replication_ledger::VpnAddress;

/// Addresses in one page; a power of two.
pub(super) const PAGE_LEN: u64 = 1024;
const PAGE_WORDS: usize = PAGE_LEN as usize / 64;

pub(super) struct Page {
    pub(super) slots: [u32; PAGE_LEN as usize],
    taken: [u64; PAGE_WORDS],
}

impl Page {
    pub(super) fn empty() -> Box<Page> {
        Box::new(Page { slots: [NONE; PAGE_LEN as usize], taken: [0; PAGE_WORDS] })
    }

    pub(super) fn set_taken(&mut self, offset: usize, taken: bool) {
        let (word, bit) = (offset / 64, 1u64 << (offset % 64));
        match taken {
            true => self.taken[word] |= bit,
            false => self.taken[word] &= !bit,
        }
    }

    /// The first offset in `from..=to` that is not taken.
    pub(super) fn first_untaken(&self, from: u64, to: u64) -> Option<u64> {
        (from / 64..=to / 64).find_map(|word| {
            let free = !self.taken[word as usize] & bits_between(word * 64, from, to);
            (free != 0).then(|| word * 64 + u64::from(free.trailing_zeros()))
        })
    }

    pub(super) fn taken_count(&self, from: u64, to: u64) -> u64 {
        let counts = (from / 64..=to / 64).map(|word| {
            (self.taken[word as usize] & bits_between(word * 64, from, to)).count_ones()
        });
        counts.map(u64::from).sum()
    }
}

/// The bits of the word that begins at offset `begin` which lie in `from..=to`; the word and the range overlap.
fn bits_between(begin: u64, from: u64, to: u64) -> u64 {
    let low = from.saturating_sub(begin);
    let high = (to - begin).min(63);
    (u64::MAX << low) & (u64::MAX >> (63 - high))
}

/// The page of an address and its offset there. Pages are numbered by the bits of their addresses, so none is of two VPNs.
pub(super) fn place(address: VpnAddress) -> (u64, usize) {
    let bits = address.to_bits();
    (bits / PAGE_LEN, (bits % PAGE_LEN) as usize)
}
