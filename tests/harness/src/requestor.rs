//! What leasequery requestors send: the queries of RFC 4388, 6148, 6926 and 7724 and of the two
//! drafts, each as its document forms it.

use std::net::Ipv4Addr;

use crate::packet::{Packet, kind, option};

/// What is asked about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Key {
    /// Who has this address?
    Ip(Ipv4Addr),
    /// What has this hardware address?
    Mac([u8; 6]),
    /// What has this client identifier?
    ClientId(Vec<u8>),
    /// What is behind this device (option 82, sub-option 2)?
    RemoteId(Vec<u8>),
    /// What is behind this relay agent (option 82, sub-option 12)?
    RelayId(Vec<u8>),
    /// Every configured address (RFC 6926 §7.2); over UDP and for the drafts: no key at all.
    All,
}

/// Sub-option 2 of option 82 (RFC 3046 §3.2).
pub const REMOTE_ID: u8 = 2;
/// Sub-option 12 of option 82 (RFC 6925 §4).
pub const RELAY_ID: u8 = 12;

/// One sub-option of option 82, as its value or as a part of it.
pub fn sub_option(code: u8, value: &[u8]) -> Vec<u8> {
    let mut out = vec![code, value.len() as u8];
    out.extend(value);
    out
}

/// A DHCPLEASEQUERY over UDP (RFC 4388 §6.2, RFC 6148 §4.1); send it with
/// [`crate::client::Relay::exchange`], which fills in giaddr.
pub fn query(key: &Key) -> Packet {
    let wanted = [
        option::LEASE_TIME,
        option::T1,
        option::T2,
        option::CLIENT_ID,
        option::RELAY_AGENT,
        option::LAST_TRANSACTION,
        option::ASSOCIATED_IP,
    ];
    with_key(about_nobody(kind::LEASEQUERY).with(option::PARAMETERS, wanted), key)
}

/// A DHCPLEASEQUERY of draft-ietf-dhc-leasequery-01 §6.2, with the message type that the
/// configuration gives it and the options that the draft's requestor asks for.
pub fn draft_query(key: &Key) -> Packet {
    let wanted = [
        option::LEASE_TIME,
        option::T1,
        option::T2,
        option::CLIENT_ID,
        option::HOST_NAME,
        option::RELAY_AGENT,
        option::LAST_TRANSACTION,
        option::CLIENT_REQUESTED_HOST_NAME,
    ];
    with_key(about_nobody(kind::DRAFT_LEASEQUERY).with(option::PARAMETERS, wanted), key)
}

/// What a requestor of RFC 6926 §7.2 asks for.
pub const BULK_WANTED: [u8; 9] = [
    option::LEASE_TIME,
    option::CLIENT_ID,
    option::RELAY_AGENT,
    option::LAST_TRANSACTION,
    option::BASE_TIME,
    option::START_TIME_OF_STATE,
    option::DHCP_STATE,
    option::DATA_SOURCE,
    option::VENDOR_CLASS,
];

/// A DHCPBULKLEASEQUERY (RFC 6926 §7.2); qualifiers are appended with [`Packet::with`].
pub fn bulk_query(key: &Key) -> Packet {
    with_key(about_nobody(kind::BULKLEASEQUERY).with(option::PARAMETERS, BULK_WANTED), key)
}

/// A DHCPLEASEQUERY over TCP (draft-dtv-dhc-dhcpv4-bulk-leasequery-00 §7.3).
pub fn draft_bulk_query(key: &Key) -> Packet {
    let wanted =
        [option::LEASE_TIME, option::CLIENT_ID, option::RELAY_AGENT, option::LAST_TRANSACTION];
    with_key(about_nobody(kind::LEASEQUERY).with(option::PARAMETERS, wanted), key)
}

/// A DHCPACTIVELEASEQUERY (RFC 7724 §7.3).
pub fn active_query() -> Packet {
    about_nobody(kind::ACTIVELEASEQUERY).with(option::PARAMETERS, BULK_WANTED)
}

/// A DHCPTLS (RFC 7724 §7.2).
pub fn tls_request() -> Packet {
    about_nobody(kind::TLS)
}

fn about_nobody(message_type: u8) -> Packet {
    Packet { htype: 0, hlen: 0, ..Packet::new(message_type, [0; 6]) }
}

fn with_key(packet: Packet, key: &Key) -> Packet {
    match key {
        Key::Ip(address) => Packet { ciaddr: *address, ..packet },
        Key::Mac(mac) => {
            let mut packet = Packet { htype: 1, hlen: 6, ..packet };
            packet.chaddr[..6].copy_from_slice(mac);
            packet
        }
        Key::ClientId(client_id) => packet.with(option::CLIENT_ID, client_id.clone()),
        Key::RemoteId(id) => packet.with(option::RELAY_AGENT, sub_option(REMOTE_ID, id)),
        Key::RelayId(id) => packet.with(option::RELAY_AGENT, sub_option(RELAY_ID, id)),
        Key::All => packet,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_gives_exactly_one_key() {
        let check = |key: Key, ciaddr: [u8; 4], hlen: u8, client_id: Option<Vec<u8>>| {
            for packet in [query(&key), bulk_query(&key), draft_bulk_query(&key)] {
                assert_eq!(packet.ciaddr.octets(), ciaddr, "{key:?}");
                assert_eq!((packet.hlen, packet.htype), (hlen, u8::from(hlen > 0)), "{key:?}");
                assert_eq!(packet.option(option::CLIENT_ID), client_id, "{key:?}");
            }
        };
        check(Key::Ip(Ipv4Addr::new(10, 0, 0, 9)), [10, 0, 0, 9], 0, None);
        check(Key::Mac([2, 0, 0, 0, 0, 1]), [0; 4], 6, None);
        check(Key::ClientId(vec![1, 2]), [0; 4], 0, Some(vec![1, 2]));
        check(Key::RemoteId(vec![9]), [0; 4], 0, None);
        check(Key::All, [0; 4], 0, None);
    }

    #[test]
    fn identifiers_of_relay_agents_are_sub_options() {
        let option_82 = |key| bulk_query(&key).option(option::RELAY_AGENT);
        assert_eq!(option_82(Key::RemoteId(vec![7, 8])), Some(vec![2, 2, 7, 8]));
        assert_eq!(option_82(Key::RelayId(vec![9])), Some(vec![12, 1, 9]));
        assert_eq!(option_82(Key::All), None);
    }
}
