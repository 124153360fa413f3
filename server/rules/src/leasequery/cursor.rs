//! # The place that a bulk answer has reached
//!
//! **Problem.** An answer may hold a million bindings and its requestor may take minutes to read them, while bindings go
//! on changing. It must show one state, each address at most once, and cost next to nothing while nobody reads.
//!
//! **Model.** The past is held when the query comes; the cursor remembers which address comes next. Each step looks at
//! the present records from there on: one that has not changed since the query came is told at once, one that has is put
//! aside, read from the past between two steps, and told in the next.
//!
//! **Rules.** Records are never removed from a ledger, so every record of the past has one
//! in the present.
//!
//! **Hazards.** A look at the present makes the members' work wait: a step is bounded in records looked at, whether they
//! are told or not, and the disk is read between looks.
//!
//! **Absent on purpose.** Which records are worth telling, and how.

use super::dhcp_state::of_holder;
use super::scope::Scope;
use replication_ledger::{
    Binding, BindingKey, Globals, LedgerView, MemberId, PastLost, PastView, VpnAddress, VpnNumber,
    VpnRange,
};
use server_wire::DhcpState;
use std::net::Ipv4Addr;

/// Records looked at in one step.
pub(crate) const STEP_LEN: usize = 128;

/// A walk over one state.
#[derive(Debug)]
pub(crate) struct Cursor<P> {
    past: P,
    walk: Walk,
    /// Changed since the query came; to be read from the past.
    changed: Vec<(VpnAddress, DhcpState)>,
    /// Read from the past; to be told.
    recalled: Vec<(VpnAddress, DhcpState, Option<Binding>)>,
}

#[derive(Debug)]
enum Walk {
    /// Addresses of records with a key, some hundred of them at a time.
    Listed {
        /// Where more of them come from; none once there are no more.
        key: Option<BindingKey>,
        /// The newest that was listed.
        last: Option<VpnAddress>,
        /// Listed and not yet told, the next one at the end.
        ahead: Vec<VpnAddress>,
    },
    /// Every configured address.
    Configured(ConfiguredWalk),
}

#[derive(Debug)]
struct ConfiguredWalk {
    places: Vec<Place>,
    /// The place of `next` in `places`.
    place: usize,
    next: VpnAddress,
    /// Addresses without a record are passed over.
    only_records: bool,
}

/// Neighbouring configured addresses that are alike while nobody has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    range: VpnRange,
    free: DhcpState,
}

/// One address as it was when the query came.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Found<'a> {
    /// The address.
    pub(crate) address: VpnAddress,
    /// Its record, none if it had never been given out.
    pub(crate) binding: Option<&'a Binding>,
    /// What it is while nobody has it. Without meaning in a walk by key.
    pub(crate) free: DhcpState,
}

impl<P: PastView> Cursor<P> {
    /// About every record with this key.
    pub(crate) fn of_key(past: P, key: BindingKey) -> Cursor<P> {
        Cursor::new(past, Walk::Listed { key: Some(key), last: None, ahead: Vec::new() })
    }

    /// About every configured address; with `only_records` those that were given out some time.
    pub(crate) fn of_places(past: P, places: Vec<Place>, only_records: bool) -> Cursor<P> {
        Cursor::new(past, Walk::Configured(ConfiguredWalk::new(places, only_records)))
    }

    fn new(past: P, walk: Walk) -> Cursor<P> {
        Cursor { past, walk, changed: Vec::new(), recalled: Vec::new() }
    }

    /// The state that is told.
    pub(crate) fn past(&self) -> &P {
        &self.past
    }

    /// True when everything was told.
    pub(crate) fn is_at_end(&self) -> bool {
        let walked = match &self.walk {
            Walk::Listed { key, ahead, .. } => key.is_none() && ahead.is_empty(),
            Walk::Configured(walk) => walk.is_at_end(),
        };
        walked && self.changed.is_empty() && self.recalled.is_empty()
    }

    /// Reads from the past what the next step needs. Call it before each [`step`](Self::step), outside of a look.
    ///
    /// # Errors
    /// The past can not be read any more.
    pub(crate) fn recall(&mut self) -> Result<(), PastLost> {
        if let Walk::Listed { key, last, ahead } = &mut self.walk
            && ahead.is_empty()
            && let Some(wanted) = key
        {
            *ahead = self.past.addresses(wanted, *last, STEP_LEN)?;
            *last = ahead.last().copied().or(*last);
            if ahead.len() < STEP_LEN {
                *key = None;
            }
            ahead.reverse();
        }
        let only_records =
            matches!(&self.walk, Walk::Configured(ConfiguredWalk { only_records: true, .. }));
        while let Some((address, free)) = self.changed.last().copied() {
            let binding = self.past.binding(address)?;
            self.changed.pop();
            // Given out since for the first time: there was no record.
            if binding.is_some() || !only_records {
                self.recalled.push((address, free, binding));
            }
        }
        Ok(())
    }

    /// Tells what comes next, some [`STEP_LEN`] addresses, until `tell` says that it has no room for more.
    // [B-18] The walk passes an address once, and what it puts aside there is told once. [B-25] So what has changed comes a
    // little later than its neighbours.
    pub(crate) fn step<V: LedgerView>(
        &mut self,
        view: &V,
        tell: &mut impl FnMut(Found<'_>) -> bool,
    ) {
        while let Some((address, free, binding)) = self.recalled.pop() {
            if !tell(Found { address, binding: binding.as_ref(), free }) {
                return;
            }
        }
        let mut sieve = Sieve { index: self.past.index(), changed: &mut self.changed, tell };
        match &mut self.walk {
            Walk::Listed { ahead, .. } => walk_list(view, ahead, &mut sieve),
            Walk::Configured(walk) => walk.step(view, &mut sieve),
        }
    }
}

/// Lets through what is as it was, and puts aside what has changed.
struct Sieve<'c, F> {
    index: u64,
    changed: &'c mut Vec<(VpnAddress, DhcpState)>,
    tell: &'c mut F,
}

impl<F: FnMut(Found<'_>) -> bool> Sieve<'_, F> {
    /// True if there is room for more.
    fn pass(&mut self, found: Found<'_>) -> bool {
        if found.binding.is_some_and(|binding| binding.changed_index > self.index) {
            self.changed.push((found.address, found.free));
            return true;
        }
        (self.tell)(found)
    }
}

fn walk_list<V: LedgerView, F: FnMut(Found<'_>) -> bool>(
    view: &V,
    ahead: &mut Vec<VpnAddress>,
    sieve: &mut Sieve<'_, F>,
) {
    // A list has at most STEP_LEN addresses.
    while let Some(address) = ahead.pop() {
        let free = DhcpState::Available;
        if !sieve.pass(Found { address, binding: view.binding(address), free }) {
            return;
        }
    }
}

impl ConfiguredWalk {
    fn new(places: Vec<Place>, only_records: bool) -> ConfiguredWalk {
        let next = places.first().map_or(VpnAddress::FIRST, |place| place.range.first_address());
        ConfiguredWalk { places, place: 0, next, only_records }
    }

    fn is_at_end(&self) -> bool {
        self.place >= self.places.len()
    }

    fn step<V, F>(&mut self, view: &V, sieve: &mut Sieve<'_, F>)
    where
        V: LedgerView,
        F: FnMut(Found<'_>) -> bool,
    {
        let mut left = STEP_LEN;
        while let Some(Place { range, free }) = self.places.get(self.place).copied() {
            let here = self.place;
            let inside = |binding: &&Binding| binding.address <= range.last_address();
            let mut records = view.bindings_from(self.next).take_while(inside).peekable();
            while self.place == here {
                if left == 0 {
                    return;
                }
                left -= 1;
                let binding = if self.only_records {
                    records.next()
                } else {
                    records.next_if(|binding| binding.address == self.next)
                };
                let address = match binding {
                    Some(binding) => binding.address,
                    None if self.only_records => {
                        self.leave(range.last_address(), range);
                        break;
                    }
                    None => self.next,
                };
                self.leave(address, range);
                if !sieve.pass(Found { address, binding, free }) {
                    return;
                }
            }
        }
    }

    /// Goes on with what comes after this address of this place.
    fn leave(&mut self, address: VpnAddress, range: VpnRange) {
        if address < range.last_address() {
            self.next = range.at(Ipv4Addr::from(u32::from(address.ip) + 1));
            return;
        }
        self.place += 1;
        if let Some(entered) = self.places.get(self.place) {
            self.next = entered.range.first_address();
        }
    }
}

/// Every configured address of these VPNs, ascending, as member `me` sees it.
// [B-17] Pools and reservations; each address in one place.
pub(crate) fn configured_places(globals: &Globals, me: MemberId, scope: Scope) -> Vec<Place> {
    let settings = &globals.settings;
    let reserved = settings.reservations().map(|(address, _)| VpnRange::one(address));
    let ranges = settings.pools().chain(reserved).filter(|range| scope.holds(range.vpn));
    let mut ranges: Vec<VpnRange> = ranges.collect();
    ranges.sort_unstable();
    let mut places: Vec<Place> = Vec::with_capacity(ranges.len());
    let (mut vpn, mut next) = (VpnNumber::GLOBAL, 0u64);
    for range in ranges {
        let (first, last) = (u64::from(u32::from(range.first)), u64::from(u32::from(range.last)));
        // What an earlier range of the same VPN had already is not told again.
        next = if range.vpn == vpn { next.max(first) } else { first };
        vpn = range.vpn;
        if next > last {
            continue;
        }
        // Both are addresses again: `next` is at most `last`.
        let rest = range.part(Ipv4Addr::from(next as u32), range.last);
        for (part, holder) in globals.holders.within(rest) {
            let start = u64::from(u32::from(part.first));
            if next < start {
                let before = Ipv4Addr::from(start as u32 - 1);
                let gap = range.part(Ipv4Addr::from(next as u32), before);
                add(&mut places, gap, of_holder(None, me));
            }
            add(&mut places, part, of_holder(Some(holder), me));
            next = u64::from(u32::from(part.last)) + 1;
        }
        if next <= last {
            let tail = range.part(Ipv4Addr::from(next as u32), range.last);
            add(&mut places, tail, of_holder(None, me));
            next = last + 1;
        }
    }
    places
}

/// Joins neighbours that are alike.
fn add(places: &mut Vec<Place>, range: VpnRange, free: DhcpState) {
    if let Some(before) = places.last_mut()
        && (before.free, before.range.vpn) == (free, range.vpn)
        && u32::from(before.range.last).checked_add(1) == Some(u32::from(range.first))
    {
        before.range.last = range.last;
        return;
    }
    places.push(Place { range, free });
}

#[cfg(test)]
#[path = "cursor_tests.rs"]
mod tests;
