//! The network configuration that all members share, as values. Its file format belongs to `ops`.

use crate::{
    Allocation, Boot, Class, ClientRules, DnsSettings, LeasequerySettings, Octets, PoolRules,
    Reception, Reservation, VendorClass, Vpn, VpnAddress, VpnNumber, VpnRange,
};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::Ipv4Addr;

/// An inclusive range of addresses; `first <= last`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct AddressRange {
    /// First address.
    pub first: Ipv4Addr,
    /// Last address.
    pub last: Ipv4Addr,
}

impl AddressRange {
    /// True if the address lies in it.
    pub fn contains(&self, address: Ipv4Addr) -> bool {
        self.first <= address && address <= self.last
    }

    /// The same range in this VPN.
    pub fn within(self, vpn: VpnNumber) -> VpnRange {
        VpnRange { vpn, first: self.first, last: self.last }
    }

    /// How many addresses it has.
    pub fn size(&self) -> u64 {
        u64::from(u32::from(self.last)) - u64::from(u32::from(self.first)) + 1
    }

    /// The part that both have, if any.
    pub fn intersection(&self, other: &AddressRange) -> Option<AddressRange> {
        let common =
            AddressRange { first: self.first.max(other.first), last: self.last.min(other.last) };
        (common.first <= common.last).then_some(common)
    }
}

impl fmt::Display for AddressRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.first, self.last)
    }
}

/// A network prefix; bits after `len` are zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Prefix {
    /// Network address.
    pub address: Ipv4Addr,
    /// Number of leading bits, 0 to 32.
    pub len: u8,
}

impl Prefix {
    /// The netmask (option 1).
    pub fn mask(&self) -> Ipv4Addr {
        Ipv4Addr::from(u32::MAX.checked_shl(32 - u32::from(self.len)).unwrap_or(0))
    }

    /// All of its addresses.
    pub fn range(&self) -> AddressRange {
        let first = u32::from(self.address);
        AddressRange { first: self.address, last: (first | !u32::from(self.mask())).into() }
    }

    /// True if the address lies in it.
    pub fn contains(&self, address: Ipv4Addr) -> bool {
        self.range().contains(address)
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.len)
    }
}

/// An option to send: its code and its value as it goes on the wire.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OptionValue {
    /// Option code, 1 to 254.
    pub code: u8,
    /// The value without code and length.
    pub data: Octets,
}

/// Lease times in force for a subnet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaseTimes {
    /// What a client gets that asks for no particular time, in seconds.
    pub default_seconds: u32,
    /// The shortest time granted, in seconds.
    pub min_seconds: u32,
    /// The longest time granted, in seconds.
    pub max_seconds: u32,
    /// T1 as thousandths of the lease time (RFC 2131 §4.4.5: 500).
    pub renew_permille: u16,
    /// T2 as thousandths of the lease time (RFC 2131 §4.4.5: 875).
    pub rebind_permille: u16,
}

impl Default for LeaseTimes {
    fn default() -> Self {
        LeaseTimes {
            default_seconds: 12 * 3600,
            min_seconds: 60,
            max_seconds: 24 * 3600,
            renew_permille: 500,
            rebind_permille: 875,
        }
    }
}

/// One subnet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subnet {
    /// Its prefix.
    pub prefix: Prefix,
    /// Subnets with the same name share a link.
    pub network: Option<String>,
    /// Where dynamic addresses come from; sorted, disjoint, inside the prefix, what is excluded left out.
    pub pools: Vec<AddressRange>,
    /// What is said about single pools; sorted, disjoint.
    pub pool_rules: Vec<PoolRules>,
    /// How a new address is chosen where a pool says nothing else.
    pub allocation: Allocation,
    /// Relays (giaddr) outside the prefix that belong here.
    pub relays: Vec<Ipv4Addr>,
    /// Options for this subnet, before those for everybody.
    pub options: Vec<OptionValue>,
    /// Lease times, already merged with those for everybody.
    pub lease: LeaseTimes,
    /// From whom its clients load their systems.
    pub boot: Boot,
    /// Addresses for known clients.
    pub reservations: Vec<Reservation>,
    /// What its clients may do and are told.
    pub clients: ClientRules,
    /// The VPN that it is in (RFC 6607).
    pub vpn: Vpn,
}

/// Everything that all members agree on besides bindings and members.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// Counts the changes; 0 before the first one.
    pub revision: u64,
    /// The file as the operator wrote it.
    pub source: String,
    /// Maximum client lead time, in seconds.
    pub mclt_seconds: u32,
    /// The longest MCLT that a member may still hold: the largest of this and former revisions, in seconds.
    pub mclt_max_seconds: u32,
    /// Added to every wait for another member's authority, in seconds.
    pub margin_seconds: u32,
    /// A server that is not a client's own answers it from this many seconds of `secs` on [AV-Q7].
    pub takeover_secs: u16,
    /// After so long alone, in seconds, the survivor of a plain pair asserts by itself that the other is down; none: only an operator does.
    pub auto_partner_down_seconds: Option<u32>,
    /// Options for everybody.
    pub options: Vec<OptionValue>,
    /// Sorted by the number of their VPN and by prefix; those of one VPN are disjoint.
    pub subnets: Vec<Subnet>,
    /// Leasequery.
    pub leasequery: LeasequerySettings,
    /// What is decided before a subnet is known.
    pub reception: Reception,
    /// What clients of some vendor classes are told; sorted by identifier.
    pub vendor_classes: Vec<VendorClass>,
    /// Classes by expression, in the order of the file: each may ask for those before it.
    pub classes: Vec<Class>,
    /// Dynamic updates of DNS; none if there are none.
    pub dns: Option<Box<DnsSettings>>,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            revision: 0,
            source: String::new(),
            mclt_seconds: 3600,
            mclt_max_seconds: 3600,
            margin_seconds: 10,
            takeover_secs: 3,
            auto_partner_down_seconds: None,
            options: Vec::new(),
            subnets: Vec::new(),
            leasequery: LeasequerySettings::default(),
            reception: Reception::default(),
            vendor_classes: Vec::new(),
            classes: Vec::new(),
            dns: None,
        }
    }
}

impl Settings {
    /// The position in [`Settings::subnets`] of the subnet whose prefix holds the address.
    pub fn subnet_position(&self, address: VpnAddress) -> Option<usize> {
        let after = self.subnets.partition_point(|subnet| subnet.first_address() <= address);
        let position = after.checked_sub(1)?;
        self.subnets.get(position)?.range().contains(address).then_some(position)
    }

    /// The subnet whose prefix holds the address.
    pub fn subnet_of(&self, address: VpnAddress) -> Option<&Subnet> {
        self.subnets.get(self.subnet_position(address)?)
    }

    /// The VPN with this number, if it is configured; the global one always is.
    pub fn vpn(&self, number: VpnNumber) -> Option<&Vpn> {
        static GLOBAL: Vpn = Vpn::GLOBAL;
        if number == VpnNumber::GLOBAL {
            return Some(&GLOBAL);
        }
        let position = self.subnets.partition_point(|subnet| subnet.vpn.number() < number);
        self.subnets.get(position).map(|subnet| &subnet.vpn).filter(|vpn| vpn.number() == number)
    }

    /// The VPN that this value of option 221 names, if it is configured.
    pub fn vpn_named(&self, identifier: &[u8]) -> Option<&Vpn> {
        let vpn = self.vpn(VpnNumber::of(identifier))?;
        (vpn.identifier() == Some(identifier)).then_some(vpn)
    }

    /// The class with this identifier.
    pub fn vendor_class(&self, identifier: &[u8]) -> Option<&VendorClass> {
        let by = |class: &VendorClass| class.identifier[..].cmp(identifier);
        let position = self.vendor_classes.binary_search_by(by).ok()?;
        self.vendor_classes.get(position)
    }

    /// True if the address can be given out dynamically.
    pub fn in_pool(&self, address: VpnAddress) -> bool {
        self.subnet_of(address).is_some_and(|subnet| subnet.pool_of(address.ip).is_some())
    }

    /// The reservation of this very address.
    pub fn reservation_of(&self, address: VpnAddress) -> Option<&Reservation> {
        self.subnet_of(address)?.reservation_of(address.ip)
    }

    /// The subnets that have addresses of this range, in order.
    fn subnets_near(&self, range: VpnRange) -> impl Iterator<Item = &Subnet> + '_ {
        let (first, last) = (range.first_address(), range.last_address());
        let after = self.subnets.partition_point(|s| s.range().last_address() < first);
        self.subnets[after..].iter().take_while(move |subnet| subnet.first_address() <= last)
    }

    /// The pools that have addresses of this range, in order of address.
    pub fn pools_near(&self, range: VpnRange) -> impl Iterator<Item = VpnRange> + '_ {
        self.subnets_near(range)
            .flat_map(Subnet::pool_ranges)
            .filter(move |pool| pool.intersection(&range).is_some())
    }

    /// The addresses of this range that are reserved, ascending.
    pub fn reserved_in(&self, range: VpnRange) -> impl Iterator<Item = VpnAddress> + '_ {
        // Subnets are sorted by prefix and disjoint, reservations by address: the walk is in order.
        self.subnets_near(range)
            .flat_map(move |subnet| {
                let from = subnet.reservations.partition_point(|r| r.address < range.first);
                subnet.reservations[from..].iter().map(|r| subnet.at(r.address))
            })
            .take_while(move |address| *address <= range.last_address())
    }

    /// Every pool of every subnet, in order of address.
    pub fn pools(&self) -> impl Iterator<Item = VpnRange> + '_ {
        self.subnets.iter().flat_map(Subnet::pool_ranges)
    }

    /// Every reservation and its address.
    pub fn reservations(&self) -> impl Iterator<Item = (VpnAddress, &Reservation)> {
        self.subnets.iter().flat_map(|subnet| {
            subnet.reservations.iter().map(|reserved| (subnet.at(reserved.address), reserved))
        })
    }
}

impl Subnet {
    /// A subnet of which nothing is configured but its prefix.
    pub fn new(prefix: Prefix) -> Subnet {
        Subnet {
            prefix,
            network: None,
            pools: Vec::new(),
            pool_rules: Vec::new(),
            allocation: Allocation::default(),
            relays: Vec::new(),
            options: Vec::new(),
            lease: LeaseTimes::default(),
            boot: Boot::default(),
            reservations: Vec::new(),
            clients: ClientRules::default(),
            vpn: Vpn::default(),
        }
    }

    /// The address of this name in the subnet's VPN.
    pub fn at(&self, ip: Ipv4Addr) -> VpnAddress {
        VpnAddress { vpn: self.vpn.number(), ip }
    }

    /// All of its addresses.
    pub fn range(&self) -> VpnRange {
        self.prefix.range().within(self.vpn.number())
    }

    fn first_address(&self) -> VpnAddress {
        self.at(self.prefix.address)
    }

    /// Its pools, in order of address.
    pub fn pool_ranges(&self) -> impl Iterator<Item = VpnRange> + '_ {
        self.pools.iter().map(|pool| pool.within(self.vpn.number()))
    }

    /// The pool with this address in it.
    pub fn pool_of(&self, address: Ipv4Addr) -> Option<AddressRange> {
        let after = self.pools.partition_point(|pool| pool.first <= address);
        let pool = self.pools.get(after.checked_sub(1)?)?;
        pool.contains(address).then_some(*pool)
    }

    /// What is said about the pool with this address in it.
    pub fn pool_rules_of(&self, address: Ipv4Addr) -> Option<&PoolRules> {
        let after = self.pool_rules.partition_point(|rules| rules.range.first <= address);
        let rules = self.pool_rules.get(after.checked_sub(1)?)?;
        rules.range.contains(address).then_some(rules)
    }

    /// The reservation of this very address. They are sorted by address.
    pub fn reservation_of(&self, address: Ipv4Addr) -> Option<&Reservation> {
        let position = self.reservations.binary_search_by_key(&address, |r| r.address).ok()?;
        self.reservations.get(position)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn prefixes_have_masks_and_ranges() {
        let check = |len: u8, mask: &str, last: &str| {
            let prefix = Prefix { address: Ipv4Addr::new(10, 0, 0, 0), len };
            assert_eq!(prefix.mask().to_string(), mask);
            assert_eq!(prefix.range().last.to_string(), last);
        };
        check(8, "255.0.0.0", "10.255.255.255");
        check(31, "255.255.255.254", "10.0.0.1");
        check(32, "255.255.255.255", "10.0.0.0");
        let all = Prefix { address: Ipv4Addr::UNSPECIFIED, len: 0 };
        assert_eq!(all.mask(), Ipv4Addr::UNSPECIFIED);
        assert_eq!(all.range().size(), 1 << 32);
    }

    fn at(place: u32) -> Ipv4Addr {
        Ipv4Addr::from(0x0a00_0000 + place)
    }

    /// The global VPN and two others, in order of their numbers.
    fn vpns() -> [Vpn; 3] {
        let mut vpns = [&b"\0red"[..], b"\0blue"].map(|id| Vpn::named(id.into()));
        vpns.sort_by_key(Vpn::number);
        let [one, other] = vpns;
        [Vpn::GLOBAL, one, other]
    }

    #[test]
    fn a_vpn_is_known_while_a_subnet_is_in_it() {
        let [_, one, other] = vpns();
        let prefix = Prefix { address: at(0), len: 28 };
        let subnet = Subnet { vpn: one.clone(), ..Subnet::new(prefix) };
        let settings = Settings { subnets: vec![subnet], ..Settings::default() };
        assert_eq!(settings.vpn(VpnNumber::GLOBAL), Some(&Vpn::GLOBAL));
        assert_eq!(settings.vpn(one.number()), Some(&one));
        assert_eq!(settings.vpn(other.number()), None);
    }

    proptest! {
        /// What is found by search is what a walk through everything finds.
        #[test]
        fn pools_and_reservations_of_a_range_are_those_of_a_walk(
            subnets in prop::collection::btree_map(
                (0usize..3, 0u32..6),
                (0u32..8, 0u32..8, prop::collection::btree_set(0u32..16, 0..5)),
                0..14,
            ),
            probe in (0usize..3, 0u32..100, 0u32..100),
        ) {
            let subnets = subnets.into_iter().map(|((vpn, place), (one, other, reserved))| {
                let base = place * 16;
                let pool = |first: u32, last: u32| AddressRange { first: at(first), last: at(last) };
                let by_circuit = |address: u32| {
                    let key = crate::ReservationKey::CircuitId(vec![1].into());
                    Reservation::new(key, at(base + address))
                };
                Subnet {
                    pools: vec![
                        pool(base + one.min(other), base + one.max(other)),
                        pool(base + 9, base + 12),
                    ],
                    reservations: reserved.into_iter().map(by_circuit).collect(),
                    vpn: vpns()[vpn].clone(),
                    ..Subnet::new(Prefix { address: at(base), len: 28 })
                }
            });
            let settings = Settings { subnets: subnets.collect(), ..Settings::default() };
            let (vpn, first, last) = (probe.0, probe.1.min(probe.2), probe.1.max(probe.2));
            let range = VpnRange { vpn: vpns()[vpn].number(), first: at(first), last: at(last) };
            let pools: Vec<_> = settings.pools_near(range).collect();
            let met = |pool: &VpnRange| pool.intersection(&range).is_some();
            prop_assert_eq!(pools, settings.pools().filter(met).collect::<Vec<_>>());
            let reserved: Vec<_> = settings.reserved_in(range).collect();
            let all = settings.reservations().map(|(address, _)| address);
            prop_assert_eq!(reserved, all.filter(|a| range.contains(*a)).collect::<Vec<_>>());
            for address in (0..100).map(|place| range.at(at(place))) {
                let holds = |pool: &VpnRange| pool.contains(address);
                prop_assert_eq!(settings.in_pool(address), settings.pools().any(|p| holds(&p)));
                let holds = |subnet: &&Subnet| subnet.range().contains(address);
                prop_assert_eq!(settings.subnet_of(address), settings.subnets.iter().find(holds));
            }
        }
    }
}
