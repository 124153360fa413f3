//! What must hold for any octets whatever that come as an IPv4 packet, or leave in one. The fuzz target
//! and the tests of `server/net` share these functions; each panics when something does not hold.

use super::{read, write};
use std::net::{Ipv4Addr, SocketAddrV4};

/// Who a broadcast is for.
const SERVERS: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::BROADCAST, 67);

/// As it came, and again with the checksums that hide the rest from chance.
pub(crate) fn frame(octets: &[u8]) {
    arrives(octets);
    arrives(&mended(octets));
    leaves(octets);
}

/// What is taken of a packet is a part of it, and comes back the same from a packet of our own.
fn arrives(packet: &[u8]) {
    let Some(datagram) = read(packet) else { return };
    assert!(
        packet.as_ptr_range().contains(&datagram.octets.as_ptr()) || datagram.octets.is_empty()
    );
    assert!(datagram.octets.len() + 28 <= packet.len());
    let mut again = Vec::new();
    assert!(write(&mut again, datagram.source, SERVERS, datagram.octets));
    let read_again = read(&again).expect("an own packet is valid");
    assert_eq!((read_again.octets, read_again.source), (datagram.octets, datagram.source));
}

/// Any payload arrives as it left.
fn leaves(payload: &[u8]) {
    let source = SocketAddrV4::new(Ipv4Addr::new(10, 0, 0, 1), 68);
    let mut packet = Vec::new();
    assert!(write(&mut packet, source, SERVERS, payload));
    assert_eq!(read(&packet).map(|datagram| datagram.octets), Some(payload));
}

/// The same packet with the checksum of its IP header right and none of UDP (RFC 768).
fn mended(packet: &[u8]) -> Vec<u8> {
    let mut packet = packet.to_vec();
    let header_len = packet.first().map_or(0, |first| usize::from(first & 0x0f) * 4);
    if header_len < 20 || packet.len() < header_len + 8 {
        return packet;
    }
    packet[10..12].fill(0);
    let words =
        packet[..header_len].chunks(2).map(|pair| u64::from(pair[0]) << 8 | u64::from(pair[1]));
    // RFC 1071: the sum modulo 2^16 - 1; a header of zeros alone has none, and is not version 4.
    let sum = words.sum::<u64>() % 0xffff;
    packet[10..12].copy_from_slice(&(!(sum as u16)).to_be_bytes());
    packet[header_len + 6..header_len + 8].fill(0);
    packet
}
