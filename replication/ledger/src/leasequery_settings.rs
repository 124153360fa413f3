//! What leasequery requestors may ask and get, as values. Its file format belongs to `ops`.

use crate::{Octets, Prefix};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::Ipv4Addr;

/// Everything that is configured about leasequery. The defaults are those of the documents.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeasequerySettings {
    /// Requestors by address; empty means nobody but those of `requestors`.
    pub permitted: Vec<Prefix>,
    /// What differs for some of them; the longest prefix that holds a requestor's address counts.
    pub requestors: Vec<RequestorSettings>,
    /// RFC 4388, 6148, 6926 and 7724 are spoken.
    pub rfc: bool,
    /// The drafts of 2001 and 2008 are spoken.
    pub draft: bool,
    /// A UDP query whose giaddr is zero is answered to its source address. RFC 4388 §6.4.3 says no.
    pub without_giaddr: bool,
    /// Codes of the configured and stored options that may be told (RFC 4388 §6.4.2: non-sensitive); none is the
    /// documented default list.
    pub told_options: Option<Vec<u8>>,
    /// An address that a lq-01 or RFC 4388 associated-ip lists includes the one in ciaddr.
    pub associated_ip_with_ciaddr: bool,
    /// Connections at a time: BULK_LQ_MAX_CONNS (RFC 6926 §6.3, draft-dtv §7.5).
    pub connections_max: u32,
    /// Connections at a time of one source address.
    pub connections_per_requestor_max: u32,
    /// Queries that one connection has answered at a time.
    pub queries_per_connection_max: u32,
    /// BULK_LQ_DATA_TIMEOUT of RFC 6926 §6.3, in seconds: blocked reading or sending, or idle after an answer.
    pub rfc_data_timeout_seconds: u32,
    /// BULK_LQ_DATA_TIMEOUT of draft-dtv §7.5, in seconds.
    pub draft_data_timeout_seconds: u32,
    /// A new connection has to send its first query within so many seconds.
    pub first_query_timeout_seconds: u32,
    /// Active leasequery.
    pub active: ActiveLeasequerySettings,
    /// Secrets of RFC 3118.
    pub secrets: Vec<LeasequerySecret>,
    /// UDP queries without a valid option 90 are dropped.
    pub authentication_required: bool,
    /// The numbers that the drafts left open.
    pub numbers: DraftNumbers,
}

/// Active leasequery (RFC 7724).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActiveLeasequerySettings {
    /// It is served at all (RFC 7724 §8.1: never by default).
    pub enabled: bool,
    /// Connections without TLS may ask (RFC 7724 §8.1: a separate step).
    pub insecure: bool,
    /// ACTIVE_LQ_IDLE_TIMEOUT, in seconds.
    pub idle_timeout_seconds: u32,
    /// ACTIVE_LQ_SEND_TIMEOUT, in seconds.
    pub send_timeout_seconds: u32,
    /// How far back a query-start-time may reach, in seconds; further back is DataMissing.
    pub history_seconds: u32,
}

/// What differs for some requestors.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestorSettings {
    /// Who they are: giaddr over UDP, the source address over TCP.
    pub prefix: Prefix,
    /// The dialect of their DHCPLEASEQUERY (10) over UDP and of their TCP connections; none is told from the octets.
    pub dialect: Option<LeasequeryDialect>,
    /// What they may ask; none is everything.
    pub queries: Option<Vec<LeasequeryKind>>,
    /// Secret IDs that they must use; empty is any.
    pub secret_ids: Vec<u32>,
    /// A name (subject alternative name, DNS) that their certificate must have; none is any that the authority signed.
    pub certificate_name: Option<String>,
}

/// Which family of documents a requestor speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum LeasequeryDialect {
    /// RFC 4388, 6148, 6926, 7724.
    Rfc,
    /// draft-ietf-dhc-leasequery-01 and draft-dtv-dhc-dhcpv4-bulk-leasequery-00.
    Draft,
}

/// What can be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum LeasequeryKind {
    /// Query by IP address.
    Ip,
    /// Query by MAC address.
    Mac,
    /// Query by client identifier.
    ClientId,
    /// Query by Remote-ID.
    RemoteId,
    /// Query by Relay-ID.
    RelayId,
    /// All configured addresses.
    All,
    /// Active leasequery.
    Active,
}

/// A secret that this cluster shares with requestors (RFC 3118).
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeasequerySecret {
    /// Secret ID of delayed authentication (RFC 3118 §5.2); unique.
    pub id: u32,
    /// How it is used.
    pub protocol: AuthenticationProtocol,
    /// Key or configuration token.
    pub secret: Octets,
}

/// A secret is never written anywhere by accident.
impl fmt::Debug for LeasequerySecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let LeasequerySecret { id, protocol, .. } = self;
        f.debug_struct("LeasequerySecret").field("id", id).field("protocol", protocol).finish()
    }
}

/// Protocols of RFC 3118.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AuthenticationProtocol {
    /// Protocol 0, §4.
    ConfigurationToken,
    /// Protocol 1, §5, with HMAC-MD5.
    Delayed,
}

/// The numbers that both drafts left open (draft-dtv §11, draft-ietf-dhc-leasequery-01 §6.1). The defaults keep clear of
/// everything IANA assigned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DraftNumbers {
    /// Message type DHCPLEASEDATA.
    pub lease_data: u8,
    /// Message type DHCPLEASEDONE.
    pub lease_done: u8,
    /// Message type DHCPLEASEQUERYFAIL.
    pub lease_query_fail: u8,
    /// Message type DHCPLEASEQUERY of the draft of 2001.
    pub lease_query: u8,
    /// Message type DHCPKNOWN.
    pub known: u8,
    /// Message type DHCPUNKNOWN.
    pub unknown: u8,
    /// The RESERVATION bit of `flags`.
    pub flag_reservation: u16,
    /// Option client-last-transaction-time.
    pub client_last_transaction_time: u8,
    /// Option associated-ip.
    pub associated_ip: u8,
    /// Option client-requested-host-name.
    pub client_requested_host_name: u8,
    /// Option STATUS_CODE of the draft of 2008.
    pub status_code: u8,
}

impl Default for LeasequerySettings {
    fn default() -> Self {
        LeasequerySettings {
            permitted: Vec::new(),
            requestors: Vec::new(),
            rfc: true,
            draft: true,
            without_giaddr: false,
            told_options: None,
            associated_ip_with_ciaddr: true,
            connections_max: 10,
            connections_per_requestor_max: 10,
            queries_per_connection_max: 4,
            rfc_data_timeout_seconds: 300,
            draft_data_timeout_seconds: 30,
            first_query_timeout_seconds: 30,
            active: ActiveLeasequerySettings::default(),
            secrets: Vec::new(),
            authentication_required: false,
            numbers: DraftNumbers::default(),
        }
    }
}

impl Default for ActiveLeasequerySettings {
    fn default() -> Self {
        ActiveLeasequerySettings {
            enabled: false,
            insecure: false,
            idle_timeout_seconds: 60,
            send_timeout_seconds: 120,
            history_seconds: 7 * 24 * 3600,
        }
    }
}

impl Default for DraftNumbers {
    fn default() -> Self {
        DraftNumbers {
            lease_data: 230,
            lease_done: 231,
            lease_query_fail: 232,
            lease_query: 233,
            known: 234,
            unknown: 235,
            flag_reservation: 0x4000,
            client_last_transaction_time: 91,
            associated_ip: 92,
            client_requested_host_name: 233,
            status_code: 234,
        }
    }
}

impl LeasequerySettings {
    /// What differs for the requestor with this address, if anything does.
    pub fn requestor(&self, address: Ipv4Addr) -> Option<&RequestorSettings> {
        let holding = self.requestors.iter().filter(|requestor| requestor.prefix.contains(address));
        holding.max_by_key(|requestor| requestor.prefix.len)
    }

    /// True if the requestor with this address may ask at all.
    pub fn permits(&self, address: Ipv4Addr) -> bool {
        self.permitted.iter().any(|prefix| prefix.contains(address))
            || self.requestor(address).is_some()
    }
}

impl LeasequeryKind {
    /// The lower-case name used in metrics and configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            LeasequeryKind::Ip => "ip",
            LeasequeryKind::Mac => "mac",
            LeasequeryKind::ClientId => "client_id",
            LeasequeryKind::RemoteId => "remote_id",
            LeasequeryKind::RelayId => "relay_id",
            LeasequeryKind::All => "all",
            LeasequeryKind::Active => "active",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_prefix_says_what_differs() {
        let of = |len| RequestorSettings {
            prefix: Prefix { address: Ipv4Addr::new(10, 0, 0, 0), len },
            dialect: (len == 24).then_some(LeasequeryDialect::Draft),
            queries: None,
            secret_ids: Vec::new(),
            certificate_name: None,
        };
        let settings = LeasequerySettings { requestors: vec![of(24), of(8)], ..Default::default() };
        let check = |address: [u8; 4], expected: Option<u8>| {
            let address = Ipv4Addr::from(address);
            assert_eq!(settings.requestor(address).map(|found| found.prefix.len), expected);
            assert_eq!(settings.permits(address), expected.is_some());
        };
        check([10, 0, 0, 9], Some(24));
        check([10, 1, 0, 9], Some(8));
        check([11, 0, 0, 9], None);
    }
}
