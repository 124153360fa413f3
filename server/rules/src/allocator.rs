//! Which address a DHCPDISCOVER is offered.

use crate::admission;
use crate::identity;
use crate::offers::Offers;
use crate::request::{Request, Situation};
use crate::subnet_selection::Link;
use replication_ledger::may_bind;
use replication_ledger::{
    AddressRange, Binding, BindingState, Holder, LedgerView, Reservation, Subnet,
};
use std::net::Ipv4Addr;

/// The most free addresses looked at in one pool for one client: only held ones make it look on.
const SEARCH_STEPS_MAX: usize = 256;

/// An address that this member may offer to the client.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Choice<'a> {
    pub(crate) address: Ipv4Addr,
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
        .or_else(|| search.usable(offers.offered_to(&request.client, situation.now)?, offers))
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
    subnet
        .reservation_of(address)
        .filter(|r| identity::is_meant(&r.key, &request.client, &request.hardware, relay))
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
            .reservations(
                self.situation.settings(),
                self.link.positions,
                &request.client,
                &request.hardware,
                &request.relay,
            )
            .find_map(|reservation| self.usable(reservation.address, offers))
    }

    /// The address of the client's newest record in such a state that it may still have.
    fn bound(&self, offers: &Offers, wanted: impl Fn(BindingState) -> bool) -> Option<Choice<'a>> {
        let records = self.situation.view.bindings_of_client(&self.request.client);
        let usable = records
            .filter(|binding: &&Binding| wanted(binding.state))
            .filter_map(|binding| Some((binding.cltt, self.usable(binding.address, offers)?)));
        usable.max_by_key(|(cltt, _)| *cltt).map(|(_, choice)| choice)
    }

    /// The address, if the ledger would let this client have it from this member and nobody else was offered it.
    fn usable(&self, address: Ipv4Addr, offers: &Offers) -> Option<Choice<'a>> {
        let Situation { view, me, now, .. } = *self.situation;
        let request = self.request;
        let subnet = self.link.subnet_of(address)?;
        let reservation = reservation_at(request, subnet, address, &request.relay);
        if reservation.is_none() && !self.serves(subnet) {
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
            (offers.offered_to(&request.client, now) == Some(address)).then_some(())?;
        }
        let held = offers.is_held_for_another(address, &request.client, now);
        (!held).then_some(Choice { address, subnet, reservation })
    }

    fn serves(&self, subnet: &Subnet) -> bool {
        admission::serves(subnet, self.request, &self.request.relay, self.situation)
    }

    /// A free address of this member's own, from where the last search of the pool ended.
    fn new_address(&self, offers: &mut Offers) -> Option<Choice<'a>> {
        if self.situation.globals().gives_away(self.situation.me.id) {
            return None;
        }
        for subnet in self.link.subnets().filter(|subnet| self.serves(subnet)) {
            for pool in &subnet.pools {
                if let Some(address) = self.unheld(*pool, offers) {
                    let next = u32::from(address).wrapping_add(1).into();
                    offers.set_cursor(
                        pool.first,
                        if pool.contains(next) { next } else { pool.first },
                    );
                    return Some(Choice { address, subnet, reservation: None });
                }
            }
        }
        None
    }

    fn unheld(&self, pool: AddressRange, offers: &Offers) -> Option<Ipv4Addr> {
        let cursor = Some(offers.cursor(pool.first)).filter(|cursor| pool.contains(*cursor));
        let start = cursor.unwrap_or(pool.first);
        let before = u32::from(start).checked_sub(1).map(Ipv4Addr::from);
        let wrapped = before.filter(|last| pool.contains(*last));
        let mut steps = 0;
        let parts = [
            Some(AddressRange { first: start, last: pool.last }),
            wrapped.map(|last| AddressRange { first: pool.first, last }),
        ];
        for mut part in parts.into_iter().flatten() {
            while let Some(address) = self.situation.view.next_free(self.situation.me.id, part) {
                let now = self.situation.now;
                let leaving = offers.leaving_with(address, now);
                if leaving.is_none() && !offers.is_held(address, now) {
                    return Some(address);
                }
                steps += 1;
                let passed = leaving.map_or(address, |range| range.last);
                if passed >= part.last || steps >= SEARCH_STEPS_MAX {
                    break;
                }
                // Below `part.last`, so there is a next one.
                part.first = (u32::from(passed) + 1).into();
            }
        }
        None
    }
}
