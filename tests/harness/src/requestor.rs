//! A leasequery requestor over UDP (RFC 4388 §6.2): the relay agent that asks about its clients.

use std::net::Ipv4Addr;

use crate::packet::{Packet, kind, option};

/// What is asked about.
#[derive(Clone, Debug)]
pub enum Key {
    /// Who has this address?
    Ip(Ipv4Addr),
    /// What has this hardware address?
    Mac([u8; 6]),
    /// What has this client identifier?
    ClientId(Vec<u8>),
}

/// A DHCPLEASEQUERY; send it with [`crate::client::Relay::exchange`], which fills in giaddr.
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
    let packet = Packet::new(kind::LEASEQUERY, [0; 6]).with(option::PARAMETERS, wanted);
    let nobody = Packet { htype: 0, hlen: 0, ..packet };
    match key {
        Key::Ip(address) => Packet { ciaddr: *address, ..nobody },
        Key::Mac(mac) => {
            let mut packet = Packet { htype: 1, hlen: 6, ..nobody };
            packet.chaddr[..6].copy_from_slice(mac);
            packet
        }
        Key::ClientId(client_id) => nobody.with(option::CLIENT_ID, client_id.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_gives_exactly_one_key() {
        let check = |key: Key, ciaddr: [u8; 4], hlen: u8, client_id: Option<Vec<u8>>| {
            let packet = query(&key);
            assert_eq!(packet.ciaddr.octets(), ciaddr, "{key:?}");
            assert_eq!((packet.hlen, packet.htype), (hlen, u8::from(hlen > 0)), "{key:?}");
            assert_eq!(packet.option(option::CLIENT_ID), client_id, "{key:?}");
        };
        check(Key::Ip(Ipv4Addr::new(10, 0, 0, 9)), [10, 0, 0, 9], 0, None);
        check(Key::Mac([2, 0, 0, 0, 0, 1]), [0; 4], 6, None);
        check(Key::ClientId(vec![1, 2]), [0; 4], 0, Some(vec![1, 2]));
    }
}
