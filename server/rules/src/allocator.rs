//! Which address a DHCPDISCOVER is offered.

use crate::admission;
use crate::identity;
use crate::offers::Offers;
use crate::request::{Request, Situation};
use crate::subnet_selection::Link;
use replication_ledger::may_bind;
use replication_ledger::{
    Allocation, Binding, BindingState, Holder, LedgerView, Reservation, Subnet, VpnAddress,
    VpnRange,
};
use std::net::Ipv4Addr;

/// The most free addresses looked at in one pool for one client: only held ones make it look on.
const SEARCH_STEPS_MAX: usize = 256;

/// How many free addresses are compared to find the one that was used the longest time ago. They lie behind the one given last, so
/// they had their turn before all others.
const CANDIDATES_LEN_MAX: usize = 32;

/// An address that this member may offer to the client.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Choice<'a> {
    pub(crate) address: VpnAddress,
    pub(crate) subnet: &'a Subnet,
    /// The reservation that gives it to the client.
    pub(crate) reservation: Option<&'a Reservation>,
}

/// The address for this client, none if there is none to give.
// [H-32] A reservation is the administrator's word and comes first; then the order of RFC 2131 section 4.3.1.
pub(crate) fn choose<'a, V: LedgerView>(
    request: &Request<'_>,
    link: Link<'a>,
    situation: &Situation<'a, V>,
    offers: &mut Offers,
) -> Option<Choice<'a>> {
    let search = Search { request, link, situation };
    search
        .reserved(offers)
        .or_else(|| search.bound(offers, |state| state == BindingState::Active))
        .or_else(|| search.bound(offers, |state| state != BindingState::Active))
        .or_else(|| search.offered(offers))
        .or_else(|| search.usable(request.message.requested_ip_address()?, offers))
        .or_else(|| search.new_address(offers))
}

/// What a reply about this address may say: its subnet on the link, and the reservation if it means the client.
pub(crate) fn reservation_at<'a>(
    request: &Request<'_>,
    subnet: &'a Subnet,
    address: Ipv4Addr,
    relay: &crate::request::RelayWords<'_>,
) -> Option<&'a Reservation> {
    subnet.reservation_of(address).filter(|found| identity::is_meant(found, request, relay))
}

struct Search<'s, 'r, 'a, V> {
    request: &'s Request<'r>,
    link: Link<'a>,
    situation: &'s Situation<'a, V>,
}

impl<'a, V: LedgerView> Search<'_, '_, 'a, V> {
    fn reserved(&self, offers: &Offers) -> Option<Choice<'a>> {
        let request = self.request;
        self.situation
            .index
            .reservations(self.situation.settings(), self.link.positions, request, &request.relay)
            .find_map(|reservation| self.usable(reservation.address, offers))
    }

    /// The address of the client's newest record in such a state that it may still have.
    fn bound(&self, offers: &Offers, wanted: impl Fn(BindingState) -> bool) -> Option<Choice<'a>> {
        let records = self.situation.view.bindings_of_client(&self.request.client);
        let usable = records
            // What the client has in another VPN, or who calls itself so there, is of no interest here.
            .filter(|binding: &&Binding| {
                binding.address.vpn == self.link.vpn && wanted(binding.state)
            })
            .filter_map(|binding| Some((binding.cltt, self.usable(binding.address.ip, offers)?)));
        usable.max_by_key(|(cltt, _)| *cltt).map(|(_, choice)| choice)
    }

    fn offered(&self, offers: &Offers) -> Option<Choice<'a>> {
        let offered = offers.offered_to(self.link.vpn, &self.request.client, self.situation.now)?;
        self.usable(offered.ip, offers)
    }

    /// The address of the client's link, if the ledger would let this client have it from this member and nobody else was offered it.
    fn usable(&self, ip: Ipv4Addr, offers: &Offers) -> Option<Choice<'a>> {
        let Situation { view, me, now, .. } = *self.situation;
        let request = self.request;
        let subnet = self.link.subnet_of(ip)?;
        let reservation = reservation_at(request, subnet, ip, &request.relay);
        let rules = subnet.pool_rules_of(ip);
        let address = subnet.at(ip);
        if reservation.is_none() && !(self.serves(subnet) && request.facts.classes.may_use(rules)) {
            return None;
        }
        may_bind(view, me.id, address, &request.client, reservation.map(|r| &r.key)).ok()?;
        if !view.may_offer(address, &request.client, now) {
            return None;
        }
        let owned = view.is_free(address)
            && view.globals().holders.holder(address) == Some(Holder::Owned(me.id));
        let leaves = || offers.leaving_with(address, now).is_some();
        if owned && (view.globals().gives_away(me.id) || leaves()) {
            // Only what was on offer before is kept back while the rest moves.
            let offered = offers.offered_to(address.vpn, &request.client, now);
            (offered == Some(address)).then_some(())?;
        }
        let held = offers.is_held_for_another(address, &request.client, now);
        (!held).then_some(Choice { address, subnet, reservation })
    }

    fn serves(&self, subnet: &Subnet) -> bool {
        admission::serves(subnet, self.request, &self.request.relay, self.situation)
    }

    /// A free address of this member's own.
    fn new_address(&self, offers: &mut Offers) -> Option<Choice<'a>> {
        if self.situation.globals().gives_away(self.situation.me.id) {
            return None;
        }
        let classes = self.request.facts.classes;
        for subnet in self.link.subnets().filter(|subnet| self.serves(subnet)) {
            // What is set aside for its classes first, so that it leaves the rest to those who have nothing else.
            for set_aside in [true, false] {
                for pool in subnet.pool_ranges() {
                    let rules = subnet.pool_rules_of(pool.first);
                    let is_set_aside = rules.is_some_and(|rules| !rules.classes.is_empty());
                    if is_set_aside != set_aside || !classes.may_use(rules) {
                        continue;
                    }
                    let allocation = rules.map_or(subnet.allocation, |rules| rules.allocation);
                    if let Some(address) = self.unheld(pool, allocation, offers) {
                        return Some(Choice { address, subnet, reservation: None });
                    }
                }
            }
        }
        None
    }

    /// An address of the pool that is free and on offer to nobody.
    fn unheld(
        &self,
        pool: VpnRange,
        allocation: Allocation,
        offers: &mut Offers,
    ) -> Option<VpnAddress> {
        let (first, addresses) = (pool.first, pool.addresses());
        let cursor = pool.first_address();
        let after_last = || Some(offers.cursor(cursor)).filter(|next| addresses.contains(*next));
        let address = match allocation {
            Allocation::Sequential => self.free_from(pool, first, offers).next(),
            Allocation::Random => {
                // Below the size of a range of addresses, so 32 bits are enough.
                let drawn = (offers.draw() % pool.size()) as u32;
                return self.free_from(pool, (u32::from(first) + drawn).into(), offers).next();
            }
            Allocation::Rotating => {
                self.free_from(pool, after_last().unwrap_or(first), offers).next()
            }
            Allocation::LeastRecentlyUsed => {
                let candidates = self.free_from(pool, after_last().unwrap_or(first), offers);
                // Without a record it was never used, and none is before all moments.
                let free_since = |address: &VpnAddress| {
                    self.situation.view.binding(*address).map(|binding| binding.state_since)
                };
                candidates.take(CANDIDATES_LEN_MAX).min_by_key(free_since)
            }
        }?;
        let next = u32::from(address.ip).wrapping_add(1).into();
        offers.set_cursor(cursor, if addresses.contains(next) { next } else { first });
        Some(address)
    }

    /// The free addresses of a pool that this member may offer, from `start` on and around.
    fn free_from<'s>(
        &'s self,
        pool: VpnRange,
        start: Ipv4Addr,
        offers: &'s Offers,
    ) -> impl Iterator<Item = VpnAddress> + 's {
        let Situation { view, me, now, .. } = *self.situation;
        let before = u32::from(start).checked_sub(1).map(Ipv4Addr::from);
        let before = before.filter(|last| pool.addresses().contains(*last));
        let parts =
            [Some(pool.part(start, pool.last)), before.map(|last| pool.part(pool.first, last))];
        let mut parts = parts.into_iter().flatten();
        let mut rest = parts.next();
        let mut steps = 0;
        std::iter::from_fn(move || {
            while let Some(part) = rest
                && steps < SEARCH_STEPS_MAX
            {
                steps += 1;
                let Some(address) = view.next_free(me.id, part) else {
                    rest = parts.next();
                    continue;
                };
                let leaving = offers.leaving_with(address, now);
                let passed = leaving.map_or(address.ip, |range| range.last);
                rest = match passed < part.last {
                    // Below the last one, so there is a next one.
                    true => Some(part.part((u32::from(passed) + 1).into(), part.last)),
                    false => parts.next(),
                };
                if leaving.is_none() && !offers.is_held(address, now) {
                    return Some(address);
                }
            }
            None
        })
    }
}
