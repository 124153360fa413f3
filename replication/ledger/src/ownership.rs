//! # Ownership: who may give out a free address [AV-Q3, AV-Q5]
//!
//! **Problem.** Every server must be able to offer addresses without asking anybody, and no two may offer the same.
//!
//! **Model.** Every address that is in a pool or reserved (or was, until everybody knows that it no longer is) has a
//! [`Holder`]. It is kept in ranges, so a pool of a million costs a few entries; granularity is the address.
//! The holder counts only while the address is free: a binding that is not `Free` comes first. Space
//! moves in two steps: `Owned` → `Disowned` → (settled) → `Owned` by somebody else.
//!
//! **Absent on purpose.** Who should own how much: that is planning, and may change without touching safety.

use crate::{AddressRange, MemberId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::Ipv4Addr;

/// To whom a free address belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Holder {
    /// Only this server may give it out.
    Owned(MemberId),
    /// Nobody may give it out, until `last` (every server, if it is none) has settled the index.
    Disowned {
        /// The owner that let go; none if any server might have given it out (a reservation that ended).
        last: Option<MemberId>,
        /// The log index of the letting go.
        index: u64,
    },
    /// Reserved: any server may give it to the client it is reserved for, and to nobody else.
    Reserved,
}

/// The holder of every address that has one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holders {
    /// By first address: last address and holder. Disjoint; neighbours with equal holders are joined.
    ranges: BTreeMap<u32, (u32, Holder)>,
}

impl Holders {
    /// The holder of an address, none if it is neither in a pool nor reserved.
    pub fn holder(&self, address: Ipv4Addr) -> Option<Holder> {
        let address = u32::from(address);
        let (_, (last, holder)) = self.ranges.range(..=address).next_back()?;
        (address <= *last).then_some(*holder)
    }

    /// The parts of `range` that have a holder, in order, cut to it.
    pub fn within(&self, range: AddressRange) -> impl Iterator<Item = (AddressRange, Holder)> + '_ {
        let (first, last) = (u32::from(range.first), u32::from(range.last));
        let start = self
            .ranges
            .range(..=first)
            .next_back()
            .filter(|(_, (end, _))| *end >= first)
            .map_or(first, |(start, _)| *start);
        self.ranges.range(start..=last).map(move |(begin, (end, holder))| {
            let part =
                AddressRange { first: first.max(*begin).into(), last: last.min(*end).into() };
            (part, *holder)
        })
    }

    /// Every range with its holder, in order.
    pub fn iter(&self) -> impl Iterator<Item = (AddressRange, Holder)> + '_ {
        self.ranges.iter().map(|(first, (last, holder))| {
            (AddressRange { first: (*first).into(), last: (*last).into() }, *holder)
        })
    }

    /// Gives a range a holder, or none.
    pub(crate) fn set(&mut self, range: AddressRange, holder: Option<Holder>) {
        let (mut first, mut last) = (u32::from(range.first), u32::from(range.last));
        self.cut_before(first);
        if let Some(after) = last.checked_add(1) {
            self.cut_before(after);
        }
        let inside: Vec<u32> = self.ranges.range(first..=last).map(|(start, _)| *start).collect();
        for start in inside {
            self.ranges.remove(&start);
        }
        let Some(holder) = holder else { return };
        if let Some(before) = first.checked_sub(1)
            && let Some((start, (end, same))) = self.ranges.range(..=before).next_back()
            && *end == before
            && *same == holder
        {
            first = *start;
        }
        if let Some(after) = last.checked_add(1)
            && let Some((end, same)) = self.ranges.get(&after).copied()
            && same == holder
        {
            self.ranges.remove(&after);
            last = end;
        }
        self.ranges.insert(first, (last, holder));
    }

    /// Splits the range that spans `address`, so that one begins there.
    fn cut_before(&mut self, address: u32) {
        if let Some((start, (end, holder))) = self.ranges.range(..address).next_back() {
            let (start, end, holder) = (*start, *end, *holder);
            if end >= address {
                self.ranges.insert(start, (address - 1, holder));
                self.ranges.insert(address, (end, holder));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn range(first: u32, last: u32) -> AddressRange {
        AddressRange { first: first.into(), last: last.into() }
    }

    const A: Option<Holder> = Some(Holder::Owned(MemberId(1)));
    const B: Option<Holder> = Some(Holder::Owned(MemberId(2)));

    #[test]
    fn ranges_split_and_join() {
        let mut holders = Holders::default();
        holders.set(range(10, 19), A);
        holders.set(range(20, 29), A);
        assert_eq!(holders.iter().count(), 1);
        holders.set(range(15, 15), B);
        assert_eq!(holders.iter().count(), 3);
        assert_eq!(holders.holder(14.into()), A);
        assert_eq!(holders.holder(15.into()), B);
        assert_eq!(holders.holder(30.into()), None);
        holders.set(range(15, 15), A);
        assert_eq!(holders.iter().count(), 1);
        holders.set(range(0, u32::MAX), None);
        assert_eq!(holders, Holders::default());
    }

    proptest! {
        /// Against an array: what a plain table of addresses would say.
        #[test]
        fn ranges_agree_with_a_plain_table(
            steps in prop::collection::vec((0u32..64, 0u32..64, 0usize..4), 0..40),
            probe in (0u32..64, 0u32..64),
        ) {
            let choices = [None, A, B, Some(Holder::Reserved)];
            let mut table = [None; 64];
            let mut holders = Holders::default();
            for (one, other, choice) in steps {
                let (first, last) = (one.min(other), one.max(other));
                table[first as usize..=last as usize].fill(choices[choice]);
                holders.set(range(first, last), choices[choice]);
            }
            for (address, expected) in table.iter().enumerate() {
                prop_assert_eq!(holders.holder((address as u32).into()), *expected);
            }
            let parts: Vec<_> = holders.iter().collect();
            for pair in parts.windows(2) {
                let touching = u32::from(pair[0].0.last) + 1 == u32::from(pair[1].0.first);
                prop_assert!(!(touching && pair[0].1 == pair[1].1), "not joined: {:?}", pair);
            }
            let (first, last) = (probe.0.min(probe.1), probe.0.max(probe.1));
            let mut seen = [None; 64];
            for (part, holder) in holders.within(range(first, last)) {
                seen[u32::from(part.first) as usize..=u32::from(part.last) as usize]
                    .fill(Some(holder));
            }
            for address in 0..64usize {
                let inside = (first as usize..=last as usize).contains(&address);
                prop_assert_eq!(seen[address], if inside { table[address] } else { None });
            }
        }
    }
}
