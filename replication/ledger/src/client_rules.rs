//! What an operator decides about clients where the documents leave the choice to the site.

use crate::{NameRules, Octets, OptionValue, VpnNumber};
use serde::{Deserialize, Serialize};
use std::net::Ipv4Addr;

/// Who is served without option 53 (RFC 1534 section 2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum BootpService {
    /// Nobody: a BOOTREQUEST is silently discarded.
    #[default]
    Refused,
    /// Clients with a reservation get its address (static addresses).
    Reserved,
    /// Anybody gets an address of the pools for ever (automatic addresses).
    Automatic,
}

/// What may be said to a client about addresses that this cluster did not give it (RFC 2131 section 4.3.2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Authoritative {
    /// Nothing: other servers on the link may know addresses that are not configured here.
    Nothing,
    /// That an address does not belong on the link.
    #[default]
    Link,
    /// Also that a client without a record here has no address: there is no other server.
    Clients,
}

/// Rules for the clients of one subnet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientRules {
    /// A DHCPDISCOVER with option 80 is answered with a DHCPACK (RFC 4039).
    pub rapid_commit: bool,
    /// BOOTP clients.
    pub bootp: BootpService,
    /// DHCPNAKs. About its addresses a link says nothing as soon as one of its subnets does.
    pub authoritative: Authoritative,
    /// Only clients with a reservation are served (RFC 2131 section 4.2, administrative policy).
    pub known_only: bool,
    /// How long a declined address is left alone, in seconds.
    pub quarantine_seconds: u32,
    /// A new address is offered after nobody answered there to an ICMP echo for so long, in milliseconds; 0 asks nobody
    /// (RFC 2131 section 2.2).
    pub ping_check_millis: u16,
    /// A client that gets no address may choose a link-local one (RFC 2563 section 2.3).
    pub auto_configure: bool,
    /// The most addresses that clients behind one Agent Remote ID have at a time (RFC 3046 section 4.0).
    pub addresses_per_remote_id_max: Option<u32>,
    /// The most addresses that clients of one circuit have at a time: behind one Agent Circuit ID of one relay.
    pub addresses_per_circuit_id_max: Option<u32>,
    /// Option 81 of a client is answered (RFC 4702 section 4).
    pub fqdn: bool,
    /// What completes a name that is not fully qualified, such as "example.net"; empty if nothing does.
    pub name_suffix: String,
    /// Their names in DNS.
    pub names: NameRules,
}

impl Default for ClientRules {
    fn default() -> Self {
        ClientRules {
            rapid_commit: false,
            bootp: BootpService::default(),
            authoritative: Authoritative::default(),
            known_only: false,
            quarantine_seconds: 24 * 3600,
            ping_check_millis: 0,
            auto_configure: true,
            addresses_per_remote_id_max: None,
            addresses_per_circuit_id_max: None,
            fqdn: true,
            name_suffix: String::new(),
            names: NameRules::default(),
        }
    }
}

/// From whom a client loads its system: fields of RFC 2131 section 2. Empty and 0.0.0.0 say nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Boot {
    /// siaddr, the next server.
    pub next_server: Ipv4Addr,
    /// sname, its name; at most 63 octets.
    pub server_name: String,
    /// file, the boot file; at most 127 octets.
    pub file: String,
}

impl Default for Boot {
    fn default() -> Self {
        Boot { next_server: Ipv4Addr::UNSPECIFIED, server_name: String::new(), file: String::new() }
    }
}

/// What clients of one vendor class are told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VendorClass {
    /// Option 60 of its clients, compared exactly (RFC 2131 section 4.3.1).
    pub identifier: Octets,
    /// Their options, before those of their subnet.
    pub options: Vec<OptionValue>,
}

/// What is decided about a message before its subnet is known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reception {
    /// Messages below 300 octets are answered too (RFC 1542 section 2.1 wants them discarded).
    pub short_messages: bool,
    /// Option 118 chooses the subnet (RFC 3011 section 2).
    pub subnet_selection: bool,
    /// Some subnet is in a VPN of its own, so virtual subnet selection is supported (RFC 6607 section 7).
    pub vss: bool,
    /// VPNs that a client may choose by option 221 where its relay names none; ascending. Of others the option says nothing.
    pub vpn_option: Vec<VpnNumber>,
}

impl Default for Reception {
    fn default() -> Self {
        Reception {
            short_messages: true,
            subnet_selection: true,
            vss: false,
            vpn_option: Vec::new(),
        }
    }
}
