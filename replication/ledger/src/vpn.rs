//! # Addresses of several VPNs
//!
//! **Problem.** The same address may be leased in several VPNs at once (RFC 6607 section 7), so an address alone does not name a promise.
//!
//! **Model.** What names a promise is a [`VpnAddress`]: the address with the number of its VPN in front, ordered by both. The number is 0
//! for the global VPN, which most sites have alone, and otherwise follows from the VPN's identifier by a fixed function: nobody hands
//! numbers out, so none can be handed out twice, and it is the same in every revision of the configuration and on every member.
//!
//! **Hazards.** Two identifiers may have one number. With 32 bits that is rare, and a configuration with two such VPNs is refused
//! ([`Vpn::number`] is compared there). What is left of a VPN that was configured before counts as of the new one then: its clients
//! keep their addresses until they are over, which is what happens to every promise whose pool is gone.
//!
//! **Absent on purpose.** What a VPN is: routing, tunnels. A relay knows, and says which one it means.

use crate::stable_hash::stable_hash;
use crate::{AddressRange, Octets};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::cmp::Ordering;
use std::fmt;
use std::net::Ipv4Addr;

/// The number of a VPN.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct VpnNumber(pub u32);

impl VpnNumber {
    /// The global VPN: addresses that are in no other (RFC 6607 section 3.5, type 255).
    pub const GLOBAL: VpnNumber = VpnNumber(0);

    /// The number that belongs to this value of option 221.
    pub(crate) fn of(identifier: &[u8]) -> VpnNumber {
        // 0 is taken.
        VpnNumber(stable_hash(identifier).max(1))
    }
}

/// A VPN: its identifier, and the number that follows from it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Vpn {
    identifier: Option<Octets>,
    number: VpnNumber,
}

impl Vpn {
    /// The one of all addresses that are in no other.
    pub const GLOBAL: Vpn = Vpn { identifier: None, number: VpnNumber::GLOBAL };

    /// The VPN that this value of option 221 names: type and information (RFC 6607 section 3.5), of type 0 or 1.
    pub fn named(identifier: Octets) -> Vpn {
        Vpn { number: VpnNumber::of(&identifier), identifier: Some(identifier) }
    }

    /// The value of option 221 that names it; none for the global one.
    pub fn identifier(&self) -> Option<&[u8]> {
        self.identifier.as_deref()
    }

    /// Its number.
    pub fn number(&self) -> VpnNumber {
        self.number
    }
}

/// The identifier alone: the number follows from it.
impl Serialize for Vpn {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.identifier.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Vpn {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let identifier = Option::<Octets>::deserialize(deserializer)?;
        Ok(identifier.map_or_else(Vpn::default, Vpn::named))
    }
}

/// An address in its VPN: the name of a promise.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct VpnAddress {
    /// The number of its VPN.
    pub vpn: VpnNumber,
    /// The address.
    pub ip: Ipv4Addr,
}

impl VpnAddress {
    /// Before every other.
    pub const FIRST: VpnAddress = VpnAddress { vpn: VpnNumber::GLOBAL, ip: Ipv4Addr::UNSPECIFIED };
    /// After every other.
    pub const LAST: VpnAddress = VpnAddress { vpn: VpnNumber(u32::MAX), ip: Ipv4Addr::BROADCAST };

    /// An address of the global VPN.
    pub const fn global(ip: Ipv4Addr) -> VpnAddress {
        VpnAddress { vpn: VpnNumber::GLOBAL, ip }
    }

    /// The VPN's number in the upper 32 bits, the address in the lower ones: numbers are ordered as addresses are.
    pub fn to_bits(self) -> u64 {
        u64::from(self.vpn.0) << 32 | u64::from(self.ip.to_bits())
    }

    /// The inverse of [`VpnAddress::to_bits`].
    pub fn from_bits(bits: u64) -> VpnAddress {
        // Cut on purpose: the two halves are the whole.
        VpnAddress { vpn: VpnNumber((bits >> 32) as u32), ip: Ipv4Addr::from_bits(bits as u32) }
    }
}

/// By VPN and address, as one number: every ordered set of the ledger compares these, and what is derived goes octet by octet.
impl Ord for VpnAddress {
    fn cmp(&self, other: &VpnAddress) -> Ordering {
        self.to_bits().cmp(&other.to_bits())
    }
}

impl PartialOrd for VpnAddress {
    fn partial_cmp(&self, other: &VpnAddress) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// The address; outside of the global VPN with the VPN's number in hexadecimal digits behind it.
impl fmt::Display for VpnAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.ip, f)?;
        match self.vpn {
            VpnNumber::GLOBAL => Ok(()),
            VpnNumber(number) => write!(f, "%{number:08x}"),
        }
    }
}

impl fmt::Debug for VpnAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// An inclusive range of addresses of one VPN; `first <= last`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct VpnRange {
    /// The number of its VPN.
    pub vpn: VpnNumber,
    /// First address.
    pub first: Ipv4Addr,
    /// Last address.
    pub last: Ipv4Addr,
}

impl VpnRange {
    /// One address alone.
    pub fn one(address: VpnAddress) -> VpnRange {
        VpnRange { vpn: address.vpn, first: address.ip, last: address.ip }
    }

    /// A range of the global VPN.
    pub fn global(range: AddressRange) -> VpnRange {
        range.within(VpnNumber::GLOBAL)
    }

    /// The same range without its VPN.
    pub fn addresses(&self) -> AddressRange {
        AddressRange { first: self.first, last: self.last }
    }

    /// The address of this VPN.
    pub fn at(&self, ip: Ipv4Addr) -> VpnAddress {
        VpnAddress { vpn: self.vpn, ip }
    }

    /// Other addresses of the same VPN, both ends included; `first <= last`.
    pub fn part(&self, first: Ipv4Addr, last: Ipv4Addr) -> VpnRange {
        VpnRange { vpn: self.vpn, first, last }
    }

    /// The lowest of its addresses.
    pub fn first_address(&self) -> VpnAddress {
        self.at(self.first)
    }

    /// The highest of its addresses.
    pub fn last_address(&self) -> VpnAddress {
        self.at(self.last)
    }

    /// True if the address lies in it.
    pub fn contains(&self, address: VpnAddress) -> bool {
        self.vpn == address.vpn && self.addresses().contains(address.ip)
    }

    /// How many addresses it has.
    pub fn size(&self) -> u64 {
        self.addresses().size()
    }

    /// The part that both have, if any.
    pub fn intersection(&self, other: &VpnRange) -> Option<VpnRange> {
        let same = (self.vpn == other.vpn).then(|| other.addresses())?;
        self.addresses().intersection(&same).map(|common| common.within(self.vpn))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_follow_from_identifiers_and_none_is_the_global_one() {
        let check = |identifier: &[u8], number: u32| {
            assert_eq!(Vpn::named(identifier.into()).number(), VpnNumber(number));
        };
        check(b"a", 0xe40c_292c);
        check(b"foobar", 0xbf9c_f968);
        check(b"\0red", 0x94c1_7bd6);
        assert_eq!(Vpn::default().number(), VpnNumber::GLOBAL);
        // An identifier whose hash is 0.
        check(&[0xcc, 0x24, 0x31, 0xc4], 1);
    }

    #[test]
    fn addresses_are_ordered_by_vpn_and_tell_theirs() {
        let red = Vpn::named(b"\0red"[..].into()).number();
        let low = VpnAddress { vpn: red, ip: Ipv4Addr::new(10, 0, 0, 1) };
        let global = VpnAddress::global(Ipv4Addr::new(192, 0, 2, 1));
        assert!(VpnAddress::FIRST < global && global < low && low < VpnAddress::LAST);
        assert_eq!((global.to_string(), low.ip), ("192.0.2.1".to_owned(), [10, 0, 0, 1].into()));
        assert_eq!(low.to_string(), format!("10.0.0.1%{:08x}", red.0));
        assert_eq!(low.to_bits(), 0x94c1_7bd6_0a00_0001);
        for address in [VpnAddress::FIRST, global, low, VpnAddress::LAST] {
            assert_eq!(VpnAddress::from_bits(address.to_bits()), address);
        }
        let range = VpnRange { vpn: red, first: low.ip, last: low.ip };
        assert!(range.contains(low) && !range.contains(VpnAddress::global(low.ip)));
        assert_eq!(range.intersection(&VpnRange::global(range.addresses())), None);
        assert_eq!(range.intersection(&range), Some(range));
    }
}
