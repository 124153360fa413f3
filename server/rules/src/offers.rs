//! # Offers: short local holds
//!
//! **Problem.** Between DHCPOFFER and DHCPREQUEST an address must not be offered to somebody else.
//!
//! **Model.** A hold joins one address and one client until a moment that is the same distance away for all, so the
//! order of making is the order of running out. Holds live in memory of the member that owns the address and are
//! told to nobody [AV-Q2]. The allocator's place in each pool lives here too.
//!
//! **Hazards.** A restart forgets all holds; the ledger then refuses the slower of two clients. A flood of DHCPDISCOVERs
//! fills the table: then the oldest hold gives way. A device that plays many clients would have a whole pool held: of
//! what its relay says is one circuit only so many are held, and its own oldest hold gives way.
//!
//! **Absent on purpose.** Any promise. The clock: every call brings the time.

use crate::limits::{OFFER_SECONDS, OFFERS_MAX, OFFERS_OF_DEVICE_MAX};
use crate::request::RelayWords;
use replication_ledger::{ClientKey, Timestamp, VpnAddress, VpnNumber, VpnRange};
use std::collections::{BTreeMap, VecDeque};
use std::net::Ipv4Addr;

/// A proposal to let go of a range is in the ledger or given up after this.
const LEAVING_SECONDS: u32 = 3;

/// How long and how many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OfferLimits {
    /// How long an address is held for a client that was offered it, in seconds.
    pub hold_seconds: u32,
    /// The most addresses held at one time.
    pub holds_len_max: usize,
}

impl Default for OfferLimits {
    fn default() -> Self {
        OfferLimits { hold_seconds: OFFER_SECONDS, holds_len_max: OFFERS_MAX }
    }
}

/// The addresses that this member has offered and not yet promised.
// [AV-Q2] In memory of this member only, for a short time.
#[derive(Debug, Default)]
pub struct Offers {
    limits: OfferLimits,
    by_address: BTreeMap<VpnAddress, Hold>,
    /// A client has one in each VPN: the same device, or others that call themselves alike.
    by_client: BTreeMap<VpnNumber, BTreeMap<ClientKey, VpnAddress>>,
    /// Addresses in the order in which their holds run out; one that was renewed or dropped meanwhile
    /// is recognised by its time.
    ending: VecDeque<(Timestamp, VpnAddress)>,
    /// The addresses held for each device, the oldest first.
    by_device: BTreeMap<Device, VecDeque<VpnAddress>>,
    /// What this member is about to let go of, and until when nothing of it is offered.
    leaving: Vec<(VpnRange, Timestamp)>,
    /// By first address of a pool: where the allocator looks next.
    cursors: BTreeMap<VpnAddress, Ipv4Addr>,
    /// From which random choices are drawn.
    drawn: u64,
}

#[derive(Debug)]
struct Hold {
    client: ClientKey,
    until: Timestamp,
    device: Option<Device>,
    probe: ProbeState,
}

/// What is known of a probe of the address for the client that it is held for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum ProbeState {
    /// Nothing was asked.
    #[default]
    NotMade,
    /// The answer is awaited.
    UnderWay,
    /// Nobody answered, or nobody shall be asked.
    Done,
}

/// What a relay says is one circuit, as a number: VPN, giaddr, Agent Circuit ID and Agent Remote ID. Two devices that share one
/// only share their limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Device(u64);

impl Device {
    /// None if the relay names no circuit.
    pub(crate) fn of(giaddr: VpnAddress, relay: &RelayWords<'_>) -> Option<Device> {
        if relay.circuit_id.is_none() && relay.remote_id.is_none() {
            return None;
        }
        let circuit = relay.circuit_id.unwrap_or_default();
        let remote = relay.remote_id.unwrap_or_default();
        // FNV-1a. The length keeps the two identifiers apart.
        let len = (circuit.len() as u64).to_be_bytes();
        let octets = giaddr.vpn.0.to_be_bytes().into_iter().chain(giaddr.ip.octets()).chain(len);
        let octets = octets.chain(circuit.iter().copied()).chain(remote.iter().copied());
        Some(Device(octets.fold(0xcbf2_9ce4_8422_2325, |hash: u64, octet| {
            (hash ^ u64::from(octet)).wrapping_mul(0x0100_0000_01b3)
        })))
    }
}

impl Offers {
    /// No offers yet.
    pub fn new(limits: OfferLimits) -> Offers {
        Offers { limits, ..Offers::default() }
    }

    /// The same, with what random choices are drawn from: they are as random as this is.
    pub fn seeded(self, seed: u64) -> Offers {
        Offers { drawn: seed, ..self }
    }

    /// A number that the seed decides, another one each time.
    pub(crate) fn draw(&mut self) -> u64 {
        // splitmix64: every seed has the whole period.
        self.drawn = self.drawn.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.drawn ^ self.drawn >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    /// How many addresses are held.
    pub fn len(&self) -> usize {
        self.by_address.len()
    }

    /// True if nothing is held.
    pub fn is_empty(&self) -> bool {
        self.by_address.is_empty()
    }

    /// The addresses of a range that are held now, ascending. Who moves free space to another member asks this first [AV-Q5].
    pub fn held_in(
        &self,
        range: VpnRange,
        now: Timestamp,
    ) -> impl Iterator<Item = VpnAddress> + '_ {
        let held = self.by_address.range(range.first_address()..=range.last_address());
        held.filter(move |(_, hold)| hold.until > now).map(|(address, _)| *address)
    }

    /// As [`Offers::held_in`], for a range that this member lets go of now: besides what it says nothing of it is offered until the
    /// ledger knows, or a client would choose an offer that is overtaken.
    pub fn let_go(&mut self, range: VpnRange, now: Timestamp) -> Vec<VpnAddress> {
        self.leaving.retain(|(_, until)| *until > now);
        self.leaving.push((range, now.plus_seconds(LEAVING_SECONDS)));
        self.held_in(range, now).collect()
    }

    /// The range that is being let go of and has this address in it.
    pub(crate) fn leaving_with(&self, address: VpnAddress, now: Timestamp) -> Option<VpnRange> {
        let leaving = self.leaving.iter().filter(|(_, until)| *until > now);
        leaving.map(|(range, _)| *range).find(|range| range.contains(address))
    }

    /// True if the address is held for any client now.
    pub fn is_held(&self, address: VpnAddress, now: Timestamp) -> bool {
        self.by_address.get(&address).is_some_and(|hold| hold.until > now)
    }

    /// True if the address is held for somebody else than this client.
    pub(crate) fn is_held_for_another(
        &self,
        address: VpnAddress,
        client: &ClientKey,
        now: Timestamp,
    ) -> bool {
        self.by_address.get(&address).is_some_and(|hold| hold.until > now && hold.client != *client)
    }

    /// The address of this VPN that is held for this client.
    pub(crate) fn offered_to(
        &self,
        vpn: VpnNumber,
        client: &ClientKey,
        now: Timestamp,
    ) -> Option<VpnAddress> {
        self.held_for(vpn, client).filter(|address| self.is_held(*address, now))
    }

    fn held_for(&self, vpn: VpnNumber, client: &ClientKey) -> Option<VpnAddress> {
        self.by_client.get(&vpn)?.get(client).copied()
    }

    /// Holds an address for a client behind this device, in place of what was held for it in this VPN.
    // [H-35] Nobody else is offered the address before the client had time to answer; then it is free again.
    pub(crate) fn hold(
        &mut self,
        address: VpnAddress,
        client: &ClientKey,
        device: Option<Device>,
        now: Timestamp,
    ) {
        self.expire(now);
        if let Some(held) = self.held_for(address.vpn, client)
            && held != address
        {
            self.settle(held);
        }
        while self.by_address.len() >= self.limits.holds_len_max.max(1)
            && !self.by_address.contains_key(&address)
        {
            // Every hold has an entry here, so the table shrinks before the queue is empty.
            let Some((until, oldest)) = self.ending.pop_front() else { break };
            self.drop_if(oldest, until);
        }
        let until = now.plus_seconds(self.limits.hold_seconds);
        match self.by_address.get_mut(&address) {
            // A client that repeats itself must not fill the queue: less than a second is not worth an entry.
            Some(hold) if hold.client == *client && until < hold.until.plus_seconds(1) => return,
            Some(hold) if hold.client == *client => hold.until = until,
            _ => {
                self.settle(address);
                let hold =
                    Hold { client: client.clone(), until, device, probe: ProbeState::NotMade };
                self.by_address.insert(address, hold);
                self.by_client.entry(address.vpn).or_default().insert(client.clone(), address);
                self.count_for(device, address);
            }
        }
        self.ending.push_back((until, address));
    }

    /// Nobody answered at the address, or no probe could be made: it may be offered to whom it is held for.
    pub fn probed(&mut self, address: VpnAddress) {
        self.set_probe(address, ProbeState::Done);
    }

    /// What is known of an address that is held.
    pub(crate) fn probe_of(&self, address: VpnAddress) -> ProbeState {
        self.by_address.get(&address).map_or(ProbeState::NotMade, |hold| hold.probe)
    }

    pub(crate) fn set_probe(&mut self, address: VpnAddress, state: ProbeState) {
        if let Some(hold) = self.by_address.get_mut(&address) {
            hold.probe = state;
        }
    }

    /// The client took another server's offer, or its promise stands: its hold is no longer needed.
    pub fn release(&mut self, vpn: VpnNumber, client: &ClientKey) {
        if let Some(address) = self.held_for(vpn, client) {
            self.settle(address);
        }
    }

    /// Like [`Offers::release`], by address: after the commit of a promise only that is known.
    pub fn settle(&mut self, address: VpnAddress) {
        let Some(hold) = self.by_address.remove(&address) else { return };
        if let Some(clients) = self.by_client.get_mut(&address.vpn) {
            clients.remove(&hold.client);
            if clients.is_empty() {
                self.by_client.remove(&address.vpn);
            }
        }
        let Some(device) = hold.device else { return };
        if let Some(held) = self.by_device.get_mut(&device) {
            held.retain(|each| *each != address);
            if held.is_empty() {
                self.by_device.remove(&device);
            }
        }
    }

    /// The address is held for a client of this device: if it has too many its oldest is given up.
    fn count_for(&mut self, device: Option<Device>, address: VpnAddress) {
        let Some(device) = device else { return };
        let held = self.by_device.entry(device).or_default();
        held.push_back(address);
        if held.len() > OFFERS_OF_DEVICE_MAX
            && let Some(oldest) = held.front().copied()
        {
            self.settle(oldest);
        }
    }

    /// Forgets what has run out.
    pub fn expire(&mut self, now: Timestamp) {
        while let Some((until, address)) = self.ending.front().copied()
            && until <= now
        {
            self.ending.pop_front();
            self.drop_if(address, until);
        }
    }

    /// Where the allocator looks next in the pool that starts at `first`.
    pub(crate) fn cursor(&self, first: VpnAddress) -> Ipv4Addr {
        self.cursors.get(&first).copied().unwrap_or(first.ip)
    }

    pub(crate) fn set_cursor(&mut self, first: VpnAddress, next: Ipv4Addr) {
        self.cursors.insert(first, next);
    }

    fn drop_if(&mut self, address: VpnAddress, until: Timestamp) {
        if self.by_address.get(&address).is_some_and(|hold| hold.until == until) {
            self.settle(address);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(number: u8) -> ClientKey {
        ClientKey::from_identifier(&[number])
    }

    const GLOBAL: VpnNumber = VpnNumber::GLOBAL;

    fn address(number: u8) -> VpnAddress {
        VpnAddress::global(Ipv4Addr::new(10, 0, 0, number))
    }

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_seconds(seconds)
    }

    // proves [AV-Q2] [H-35]
    #[test]
    fn a_hold_lasts_its_time_and_is_for_one_client() {
        let mut offers = Offers::new(OfferLimits { hold_seconds: 10, holds_len_max: 100 });
        offers.hold(address(1), &client(1), None, at(0));
        assert!(offers.is_held(address(1), at(9)));
        assert!(offers.is_held_for_another(address(1), &client(2), at(9)));
        assert!(!offers.is_held_for_another(address(1), &client(1), at(9)));
        assert_eq!(offers.offered_to(GLOBAL, &client(1), at(9)), Some(address(1)));
        let all = VpnRange::one(address(0)).part(address(0).ip, address(9).ip);
        assert!(offers.held_in(all, at(9)).eq([address(1)]));
        assert_eq!(offers.held_in(all, at(10)).count(), 0);
        assert_eq!(offers.let_go(all, at(9)), [address(1)]);
        assert_eq!(offers.leaving_with(address(2), at(11)), Some(all));
        assert_eq!(offers.leaving_with(address(2), at(12)), None);
        assert!(!offers.is_held(address(1), at(10)));
        assert_eq!(offers.offered_to(GLOBAL, &client(1), at(10)), None);
    }

    #[test]
    fn a_client_has_one_address_held_in_each_vpn() {
        let mut offers = Offers::new(OfferLimits { hold_seconds: 10, holds_len_max: 100 });
        let red = VpnNumber(7);
        let there = VpnAddress { vpn: red, ip: address(1).ip };
        offers.hold(address(1), &client(1), None, at(0));
        offers.hold(there, &client(1), None, at(0));
        assert_eq!(offers.offered_to(GLOBAL, &client(1), at(1)), Some(address(1)));
        assert_eq!(offers.offered_to(red, &client(1), at(1)), Some(there));
        assert!(offers.held_in(VpnRange::one(there), at(1)).eq([there]));
        offers.release(red, &client(1));
        assert!(offers.is_held(address(1), at(1)) && !offers.is_held(there, at(1)));
        let words = RelayWords { circuit_id: Some(b"port"), ..RelayWords::default() };
        assert_ne!(Device::of(address(1), &words), Device::of(there, &words));
    }

    #[test]
    fn a_second_offer_to_a_client_replaces_the_first() {
        let mut offers = Offers::new(OfferLimits { hold_seconds: 10, holds_len_max: 100 });
        offers.hold(address(1), &client(1), None, at(0));
        offers.hold(address(2), &client(1), None, at(5));
        assert!(!offers.is_held(address(1), at(5)));
        assert_eq!(offers.offered_to(GLOBAL, &client(1), at(5)), Some(address(2)));
        offers.hold(address(2), &client(1), None, at(8));
        offers.expire(at(16));
        assert_eq!(offers.len(), 1, "renewed at 8");
        offers.expire(at(18));
        assert!(offers.is_empty());
    }

    #[test]
    fn a_client_that_repeats_itself_takes_no_more_room() {
        let mut offers = Offers::new(OfferLimits { hold_seconds: 10, holds_len_max: 100 });
        for repeat in 0..10_000 {
            offers.hold(address(1), &client(1), None, Timestamp(repeat));
        }
        assert_eq!((offers.len(), offers.ending.len()), (1, 10));
        assert!(offers.is_held(address(1), Timestamp(18_999)));
        assert!(!offers.is_held(address(1), Timestamp(19_000)));
    }

    #[test]
    fn a_device_that_plays_many_clients_has_few_addresses_held() {
        let mut offers = Offers::new(OfferLimits { hold_seconds: 10, holds_len_max: 1000 });
        let device = |octets: &[u8]| {
            Device::of(
                address(1),
                &RelayWords { circuit_id: Some(octets), ..RelayWords::default() },
            )
        };
        let held = |offers: &Offers, numbers: std::ops::Range<u8>| {
            numbers.filter(|number| offers.is_held(address(*number), at(0))).count()
        };
        offers.hold(address(250), &client(250), device(b"other"), at(0));
        offers.hold(address(251), &client(251), None, at(0));
        for number in 0..200 {
            offers.hold(address(number), &client(number), device(b"port"), at(0));
            assert!(offers.is_held(address(number), at(0)), "the newest");
        }
        assert_eq!(held(&offers, 0..200), OFFERS_OF_DEVICE_MAX);
        assert_eq!(held(&offers, 250..252), 2, "of others");
        assert_eq!(offers.offered_to(GLOBAL, &client(0), at(0)), None);
        // What is taken or runs out makes room, and nothing is kept of who has nothing held.
        offers.release(GLOBAL, &client(199));
        offers.hold(address(200), &client(200), device(b"port"), at(0));
        assert_eq!(held(&offers, 0..201), OFFERS_OF_DEVICE_MAX);
        offers.expire(at(10));
        assert!(offers.is_empty() && offers.by_device.is_empty());
        assert_eq!(device(b"port"), device(b"port"));
        assert_ne!(device(b"port"), device(b"other"));
        let remote = RelayWords { remote_id: Some(b"port"), ..RelayWords::default() };
        assert_ne!(device(b"port"), Device::of(address(1), &remote));
        assert_eq!(Device::of(address(1), &RelayWords::default()), None);
    }

    #[test]
    fn a_full_table_gives_up_its_oldest_hold() {
        let mut offers = Offers::new(OfferLimits { hold_seconds: 10, holds_len_max: 3 });
        for number in 1..=5 {
            offers.hold(address(number), &client(number), None, at(u64::from(number)));
        }
        assert_eq!(offers.len(), 3);
        assert_eq!(offers.by_client[&GLOBAL].len(), 3);
        assert!(!offers.is_held(address(2), at(5)));
        assert!(offers.is_held(address(3), at(5)));
    }
}
