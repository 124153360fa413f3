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

use crate::teeth::{Tooth, is_broken};
use crate::{MemberId, VpnAddress, VpnNumber, VpnRange};
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
    /// By first address: last address of the same VPN and holder. Disjoint; neighbours with equal holders are joined.
    ranges: BTreeMap<VpnAddress, (Ipv4Addr, Holder)>,
}

impl Holders {
    /// The holder of an address, none if it is neither in a pool nor reserved.
    pub fn holder(&self, mut address: VpnAddress) -> Option<Holder> {
        // The same address of another VPN has a holder of its own.
        if is_broken(Tooth::VpnOfHolderIgnored) {
            address.vpn = VpnNumber::GLOBAL;
        }
        let (range, holder) = self.ranges.range(..=address).next_back().map(range_of)?;
        range.contains(address).then_some(holder)
    }

    /// The parts of `range` that have a holder, in order, cut to it.
    pub fn within(&self, range: VpnRange) -> impl Iterator<Item = (VpnRange, Holder)> + '_ {
        let first = range.first_address();
        let spanning = self.ranges.range(..=first).next_back().map(range_of);
        let spanning = spanning.filter(|(before, _)| before.contains(first));
        let start = spanning.map_or(first, |(before, _)| before.first_address());
        let near = self.ranges.range(start..=range.last_address()).map(range_of);
        near.map(move |(part, holder)| {
            (range.part(part.first.max(range.first), part.last.min(range.last)), holder)
        })
    }

    /// Every range with its holder, in order.
    pub fn iter(&self) -> impl Iterator<Item = (VpnRange, Holder)> + '_ {
        self.ranges.iter().map(range_of)
    }

    /// Gives a range a holder, or none.
    pub(crate) fn set(&mut self, range: VpnRange, holder: Option<Holder>) {
        let VpnRange { vpn, mut first, mut last } = range;
        self.cut_before(vpn, first);
        if let Some(after) = next(last) {
            self.cut_before(vpn, after);
        }
        let inside = self.ranges.range(range.first_address()..=range.last_address());
        let inside: Vec<VpnAddress> = inside.map(|(start, _)| *start).collect();
        for start in inside {
            self.ranges.remove(&start);
        }
        let Some(holder) = holder else { return };
        if let Some(before) = first.to_bits().checked_sub(1).map(Ipv4Addr::from)
            && let Some((left, same)) =
                self.ranges.range(..=range.at(before)).next_back().map(range_of)
            && left.last_address() == range.at(before)
            && same == holder
        {
            first = left.first;
        }
        if let Some(after) = next(last).map(|after| range.at(after))
            && let Some((end, same)) = self.ranges.get(&after).copied()
            && same == holder
        {
            self.ranges.remove(&after);
            last = end;
        }
        self.ranges.insert(range.at(first), (last, holder));
    }

    /// Splits the range that spans `ip` of this VPN, so that one begins there.
    fn cut_before(&mut self, vpn: VpnNumber, ip: Ipv4Addr) {
        let at = VpnAddress { vpn, ip };
        let before = self.ranges.range(..at).next_back().map(range_of);
        if let Some((range, holder)) = before.filter(|(range, _)| range.contains(at)) {
            // It begins before `ip`, which therefore is not the first address of all.
            let end = Ipv4Addr::from(ip.to_bits() - 1);
            self.ranges.insert(range.first_address(), (end, holder));
            self.ranges.insert(at, (range.last, holder));
        }
    }
}

fn range_of((first, (last, holder)): (&VpnAddress, &(Ipv4Addr, Holder))) -> (VpnRange, Holder) {
    (VpnRange { vpn: first.vpn, first: first.ip, last: *last }, *holder)
}

fn next(ip: Ipv4Addr) -> Option<Ipv4Addr> {
    ip.to_bits().checked_add(1).map(Ipv4Addr::from)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn range(vpn: VpnNumber, first: u32, last: u32) -> VpnRange {
        VpnRange { vpn, first: first.into(), last: last.into() }
    }

    fn at(vpn: VpnNumber, ip: u32) -> VpnAddress {
        VpnAddress { vpn, ip: ip.into() }
    }

    const A: Option<Holder> = Some(Holder::Owned(MemberId(1)));
    const B: Option<Holder> = Some(Holder::Owned(MemberId(2)));

    #[test]
    fn ranges_split_and_join() {
        for vpn in [VpnNumber::GLOBAL, VpnNumber(7)] {
            let mut holders = Holders::default();
            holders.set(range(vpn, 10, 19), A);
            holders.set(range(vpn, 20, 29), A);
            assert_eq!(holders.iter().count(), 1);
            holders.set(range(vpn, 15, 15), B);
            assert_eq!(holders.iter().count(), 3);
            assert_eq!(holders.holder(at(vpn, 14)), A);
            assert_eq!(holders.holder(at(vpn, 15)), B);
            assert_eq!(holders.holder(at(vpn, 30)), None);
            holders.set(range(vpn, 15, 15), A);
            assert_eq!(holders.iter().count(), 1);
            holders.set(range(vpn, 0, u32::MAX), None);
            assert_eq!(holders, Holders::default());
        }
    }

    #[test]
    fn ranges_of_neighbouring_vpns_are_never_joined_or_cut_together() {
        let [below, middle, above] = [VpnNumber(6), VpnNumber(7), VpnNumber(8)];
        let all = |vpn| range(vpn, 0, u32::MAX);
        let mut holders = Holders::default();
        for vpn in [middle, above, below] {
            holders.set(all(vpn), A);
        }
        let expected = [below, middle, above].map(|vpn| (all(vpn), Holder::Owned(MemberId(1))));
        assert!(holders.iter().eq(expected), "{holders:?}");
        assert!(holders.within(all(middle)).eq(expected[1..2].iter().copied()));
        holders.set(range(middle, 5, 5), None);
        assert_eq!(holders.holder(at(middle, 5)), None);
        assert_eq!((holders.holder(at(below, 5)), holders.holder(at(above, 5))), (A, A));
        holders.set(all(middle), None);
        assert_eq!(holders.within(all(middle)).count(), 0);
        assert_eq!(holders.iter().count(), 2);
    }

    /// Tables of this many addresses from each end of a VPN's addresses.
    const END_LEN: u32 = 32;
    /// Next to each other, so that the end of one borders on the beginning of the next.
    const VPNS: [VpnNumber; 3] = [VpnNumber(0), VpnNumber(1), VpnNumber(2)];

    /// The lowest and the highest addresses; what lies between is never cut.
    fn end_address(position: u32) -> u32 {
        if position < END_LEN { position } else { u32::MAX - (2 * END_LEN - 1 - position) }
    }

    proptest! {
        /// Against arrays: what a plain table of addresses would say, one for each VPN.
        #[test]
        fn ranges_agree_with_a_plain_table(
            steps in prop::collection::vec((0usize..3, 0u32..64, 0u32..64, 0usize..4), 0..60),
            probe in (0usize..3, 0u32..64, 0u32..64),
        ) {
            let choices = [None, A, B, Some(Holder::Reserved)];
            let mut tables = [[None; 2 * END_LEN as usize]; 3];
            let mut holders = Holders::default();
            let between = |vpn: usize, one: u32, other: u32| {
                let (first, last) = (one.min(other), one.max(other));
                let range = range(VPNS[vpn], end_address(first), end_address(last));
                (range, first as usize..=last as usize)
            };
            for (vpn, one, other, choice) in steps {
                let (range, positions) = between(vpn, one, other);
                tables[vpn][positions].fill(choices[choice]);
                holders.set(range, choices[choice]);
            }
            for (vpn, table) in VPNS.into_iter().zip(&tables) {
                for (position, expected) in (0..).zip(table) {
                    prop_assert_eq!(holders.holder(at(vpn, end_address(position))), *expected);
                }
            }
            let parts: Vec<_> = holders.iter().collect();
            for pair in parts.windows(2) {
                let (left, right) = (pair[0].0, pair[1].0);
                let touching = left.vpn == right.vpn && next(left.last) == Some(right.first);
                prop_assert!(left.last_address() < right.first_address());
                prop_assert!(!(touching && pair[0].1 == pair[1].1), "not joined: {:?}", pair);
            }
            let (probed, positions) = between(probe.0, probe.1, probe.2);
            let mut seen = [None; 2 * END_LEN as usize];
            for (part, holder) in holders.within(probed) {
                prop_assert_eq!(part.intersection(&probed), Some(part), "not cut");
                for (position, seen) in (0..).zip(&mut seen) {
                    if part.contains(at(probed.vpn, end_address(position))) {
                        *seen = Some(holder);
                    }
                }
            }
            for (position, seen) in seen.into_iter().enumerate() {
                let expected = tables[probe.0][position].filter(|_| positions.contains(&position));
                prop_assert_eq!(seen, expected);
            }
        }
    }
}
