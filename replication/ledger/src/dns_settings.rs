//! Where names of clients go: zones, their servers and keys, and whose names.

use crate::{Octets, Prefix, VpnAddress, VpnNumber};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::SocketAddr;

/// How updates of a zone are signed (RFC 8945 section 6). HMAC-MD5 is not among them: it is no longer to be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum DnsKeyAlgorithm {
    /// hmac-sha1.
    HmacSha1,
    /// hmac-sha256.
    HmacSha256,
    /// hmac-sha384.
    HmacSha384,
    /// hmac-sha512.
    HmacSha512,
}

impl DnsKeyAlgorithm {
    /// Every algorithm.
    pub const ALL: [DnsKeyAlgorithm; 4] = [
        DnsKeyAlgorithm::HmacSha1,
        DnsKeyAlgorithm::HmacSha256,
        DnsKeyAlgorithm::HmacSha384,
        DnsKeyAlgorithm::HmacSha512,
    ];

    /// Its name in DNS and in network.toml.
    pub fn as_str(self) -> &'static str {
        match self {
            DnsKeyAlgorithm::HmacSha1 => "hmac-sha1",
            DnsKeyAlgorithm::HmacSha256 => "hmac-sha256",
            DnsKeyAlgorithm::HmacSha384 => "hmac-sha384",
            DnsKeyAlgorithm::HmacSha512 => "hmac-sha512",
        }
    }
}

/// A secret shared with a DNS server (TSIG, RFC 8945).
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DnsKey {
    /// Its name, which the server knows too; canonical wire format.
    pub name: Octets,
    /// How it is used.
    pub algorithm: DnsKeyAlgorithm,
    /// The secret itself.
    pub secret: Octets,
}

/// Everything but the secret.
impl fmt::Debug for DnsKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DnsKey {{ {} of name {} }}", self.algorithm.as_str(), self.name)
    }
}

/// A zone that takes updates.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DnsZone {
    /// The VPN whose addresses it is for: those of others never come into it.
    pub vpn: VpnNumber,
    /// Its name in canonical wire format (RFC 4034 section 6.2).
    pub name: Octets,
    /// Servers that take its updates, tried in this order.
    pub servers: Vec<SocketAddr>,
    /// Which of [`DnsSettings::keys`] signs them; none if they go unsigned.
    pub key: Option<u16>,
}

/// Dynamic updates of DNS.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DnsSettings {
    /// Zones in which names of clients lie, sorted by VPN and by the octets of their names.
    pub forward: Vec<DnsZone>,
    /// Zones of addresses (in-addr.arpa) with what they cover, sorted by VPN and prefix.
    pub reverse: Vec<(Prefix, DnsZone)>,
    /// Keys that zones use.
    pub keys: Vec<DnsKey>,
    /// When a name that is somebody else's is tried again, in seconds.
    pub conflict_retry_seconds: u32,
}

/// Prefix lengths at which zones of addresses are cut.
const REVERSE_LENS: [u8; 4] = [24, 16, 8, 0];

impl DnsSettings {
    /// The zone of this VPN that this name lies in: the one with the longest name. A zone's own name does not lie in it, because it is no client's.
    /// `name` is in canonical wire format.
    pub fn forward_zone(&self, vpn: VpnNumber, name: &[u8]) -> Option<&DnsZone> {
        let mut rest = name;
        while let [len @ 1..=63, tail @ ..] = rest {
            rest = tail.get(usize::from(*len)..)?;
            let place = |zone: &DnsZone| (zone.vpn, &zone.name[..]).cmp(&(vpn, rest));
            if let Ok(found) = self.forward.binary_search_by(place) {
                return self.forward.get(found);
            }
        }
        None
    }

    /// The smallest zone of addresses of its VPN that covers this one.
    pub fn reverse_zone(&self, address: VpnAddress) -> Option<&DnsZone> {
        REVERSE_LENS.iter().find_map(|len| {
            let mask = Prefix { address: address.ip, len: *len }.mask();
            let place = (address.vpn, Prefix { address: address.ip & mask, len: *len });
            let found =
                self.reverse.binary_search_by_key(&place, |(covered, zone)| (zone.vpn, *covered));
            let found = found.ok()?;
            self.reverse.get(found).map(|(_, zone)| zone)
        })
    }
}

/// Whose names are told to DNS, and how.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NameRules {
    /// Names of these clients are told to DNS at all.
    pub updates: bool,
    /// Also of clients that did not send option 81 (RFC 4702 section 4.1).
    pub without_fqdn: bool,
    /// A client that wants to update its A record itself may (RFC 4702 section 3.2); else it is done for it.
    pub client_updates: bool,
    /// A client that wants no updates gets none (RFC 4702 section 3.4).
    pub client_refuses: bool,
    /// A client may name its own domain. If not, only the first label of what it says counts.
    pub client_domain: bool,
    /// What the name of a client begins with that has none, before its address; empty if it gets none.
    pub generated_prefix: String,
    /// Time to live as thousandths of the lease time (RFC 4702 section 5).
    pub ttl_permille: u16,
    /// The shortest time to live, in seconds.
    pub ttl_min_seconds: u32,
    /// The longest time to live, in seconds.
    pub ttl_max_seconds: u32,
}

impl Default for NameRules {
    fn default() -> Self {
        NameRules {
            updates: true,
            without_fqdn: true,
            client_updates: true,
            client_refuses: true,
            client_domain: true,
            generated_prefix: String::new(),
            ttl_permille: 333,
            ttl_min_seconds: 600,
            ttl_max_seconds: 24 * 3600,
        }
    }
}

impl NameRules {
    /// The time to live of records for a promise of this length, in seconds.
    // [O-70] A third of the lease at most, but no less than ten minutes, and all of it for the operator to say.
    pub fn ttl_seconds(&self, lease_seconds: u32) -> u32 {
        let part = u64::from(lease_seconds) * u64::from(self.ttl_permille) / 1000;
        // Below the 32 bits that it is a part of.
        let part = u32::try_from(part).unwrap_or(u32::MAX);
        part.min(self.ttl_max_seconds).max(self.ttl_min_seconds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RED: VpnNumber = VpnNumber(7);

    fn wire(name: &str) -> Octets {
        let mut octets = Vec::new();
        for label in name.split('.').filter(|label| !label.is_empty()) {
            octets.push(label.len() as u8);
            octets.extend_from_slice(label.as_bytes());
        }
        octets.push(0);
        octets.into()
    }

    fn settings() -> DnsSettings {
        let of = |vpn, name: &str| DnsZone { vpn, name: wire(name), servers: vec![], key: None };
        let zone = |name: &str| of(VpnNumber::GLOBAL, name);
        let mut forward = ["example.net", "lab.example.net", "test"].map(zone).to_vec();
        forward.extend(["example.net", "red.test"].map(|name| of(RED, name)));
        forward.sort_by(|a, b| (a.vpn, &a.name).cmp(&(b.vpn, &b.name)));
        let prefix = |a: [u8; 4], len| Prefix { address: a.into(), len };
        let mut reverse = vec![
            (prefix([10, 0, 0, 0], 8), zone("10.in-addr.arpa")),
            (prefix([10, 1, 2, 0], 24), zone("2.1.10.in-addr.arpa")),
            (prefix([192, 0, 2, 0], 24), zone("2.0.192.in-addr.arpa")),
        ];
        reverse.push((prefix([10, 1, 0, 0], 16), of(RED, "1.10.in-addr.arpa")));
        reverse.sort_by_key(|(prefix, zone)| (zone.vpn, *prefix));
        DnsSettings { forward, reverse, keys: Vec::new(), conflict_retry_seconds: 3600 }
    }

    #[test]
    fn a_name_lies_in_the_longest_zone_and_no_zone_in_itself() {
        let settings = settings();
        let check = |name: &str, zone: Option<&str>| {
            let found =
                settings.forward_zone(VpnNumber::GLOBAL, &wire(name)).map(|zone| &zone.name);
            assert_eq!(found, zone.map(wire).as_ref(), "{name}");
        };
        check("a.example.net", Some("example.net"));
        check("a.b.example.net", Some("example.net"));
        check("a.lab.example.net", Some("lab.example.net"));
        check("lab.example.net", Some("example.net"));
        check("example.net", None);
        check("a.test", Some("test"));
        check("a.nexample.net", None);
        check("a", None);
        check("", None);
        assert_eq!(settings.forward_zone(VpnNumber::GLOBAL, &[9, b'a']), None, "cut short");
        assert_eq!(settings.forward_zone(VpnNumber::GLOBAL, &[]), None);
    }

    #[test]
    fn names_and_addresses_of_a_vpn_lie_in_its_zones_alone() {
        let settings = settings();
        let check = |vpn, name: &str, zone: Option<&str>| {
            let found = settings.forward_zone(vpn, &wire(name)).map(|zone| &zone.name);
            assert_eq!(found, zone.map(wire).as_ref(), "{name}");
        };
        check(RED, "a.lab.example.net", Some("example.net"));
        check(RED, "a.red.test", Some("red.test"));
        check(RED, "a.test", None);
        check(VpnNumber::GLOBAL, "a.red.test", Some("test"));
        check(VpnNumber(8), "a.example.net", None);
        let check = |vpn, address: [u8; 4], zone: Option<&str>| {
            let found = settings.reverse_zone(VpnAddress { vpn, ip: address.into() });
            assert_eq!(found.map(|zone| &zone.name), zone.map(wire).as_ref(), "{address:?}");
        };
        check(RED, [10, 1, 2, 3], Some("1.10.in-addr.arpa"));
        check(RED, [10, 2, 2, 3], None);
        check(VpnNumber(8), [10, 1, 2, 3], None);
    }

    #[test]
    fn an_address_lies_in_the_smallest_zone() {
        let settings = settings();
        let check = |address: [u8; 4], zone: Option<&str>| {
            let found =
                settings.reverse_zone(VpnAddress::global(address.into())).map(|zone| &zone.name);
            assert_eq!(found, zone.map(wire).as_ref(), "{address:?}");
        };
        check([10, 1, 2, 3], Some("2.1.10.in-addr.arpa"));
        check([10, 1, 3, 3], Some("10.in-addr.arpa"));
        check([192, 0, 2, 255], Some("2.0.192.in-addr.arpa"));
        check([192, 0, 3, 0], None);
    }

    // proves [O-70]
    #[test]
    fn records_live_for_a_third_of_the_lease_within_bounds() {
        let check = |rules: &NameRules, lease: u32, ttl: u32| {
            assert_eq!(rules.ttl_seconds(lease), ttl, "{lease}");
        };
        let usual = NameRules::default();
        check(&usual, 3600, 1198);
        check(&usual, 43_200, 14_385);
        check(&usual, 600, 600);
        check(&usual, 60, 600);
        check(&usual, u32::MAX, 86_400);
        let fixed = NameRules { ttl_min_seconds: 300, ttl_max_seconds: 300, ..usual };
        check(&fixed, 60, 300);
        check(&fixed, u32::MAX, 300);
    }

    #[test]
    fn a_key_is_never_printed() {
        let key = DnsKey {
            name: wire("k"),
            algorithm: DnsKeyAlgorithm::HmacSha256,
            secret: b"hidden".as_slice().into(),
        };
        let printed = format!("{key:?}");
        assert!(!printed.contains(&key.secret.to_string()) && printed.contains("hmac-sha256"));
    }
}
