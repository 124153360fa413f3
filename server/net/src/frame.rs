//! # Frames: IPv4 and UDP as they lie in a packet, without the kernel
//!
//! **Problem.** A client without an address can neither be reached through the kernel's sockets nor be heard by one that is bound to
//! an address: it sends from 0.0.0.0 to everybody, and wants its answer at an address that nobody answers for yet.
//!
//! **Model.** [`read`] takes the IPv4 packet of a broadcast apart, [`write`] puts one together (RFC 791, RFC 768). What lies below, the
//! Ethernet header, is the kernel's: a packet socket of type `SOCK_DGRAM` strips it, VLAN tag included, and writes it from a
//! hardware address; so VLANs, bridges and bonds are as any other interface.
//!
//! **Rules.** [`read`] takes what a socket bound to a unicast address never sees, and nothing else: datagrams to 255.255.255.255. So
//! no message comes in twice.
//!
//! **Hazards.** A client on the same machine (a container, a virtual host) leaves its UDP checksum to a network card that is not
//! there: its field then holds the sum of the pseudo header alone. Lengths of the two headers may contradict each other.
//!
//! **Absent on purpose.** Fragments, in either direction: a client without an address can not be expected to put them together.

use crate::dispatch::Datagram;
use server_wire::BOOTP_PORT_SERVER;
use std::net::{Ipv4Addr, SocketAddrV4};

/// Octets of an IPv4 header without options (RFC 791 section 3.1).
const IP_HEADER_LEN: usize = 20;
/// Octets of a UDP header (RFC 768).
const UDP_HEADER_LEN: usize = 8;
/// UDP in the field `protocol`.
const PROTOCOL_UDP: u8 = 17;
/// Version 4 and a header of five words.
const VERSION_AND_LEN: u8 = 0x45;
/// In the field of flags and fragment offset: "don't fragment".
const DO_NOT_FRAGMENT: u16 = 0x4000;
/// More fragments, or an offset: part of a datagram.
const IS_FRAGMENT: u16 = 0x3fff;
/// The usual distance in hops; the client is on the link.
const TIME_TO_LIVE: u8 = 64;
/// What a checksum over data that includes it comes to.
const SUM_OF_INTACT: u16 = 0xffff;

/// The broadcast in this packet to the port of servers, none if it is anything else or damaged.
// From 0.0.0.0 as well (RFC 1542 section 5.1), and to no other port.
pub(crate) fn read(packet: &[u8]) -> Option<Datagram<'_>> {
    let header_len = usize::from(*packet.first()? & 0x0f) * 4;
    let total_len = usize::from(number(packet, 2)?);
    let is_version_4 = packet[0] >> 4 == 4;
    if !is_version_4 || header_len < IP_HEADER_LEN || total_len < header_len + UDP_HEADER_LEN {
        return None;
    }
    // A short Ethernet frame is padded: what is beyond the length is not ours.
    let packet = packet.get(..total_len)?;
    let (header, udp) = packet.split_at(header_len);
    let is_whole = number(header, 6)? & IS_FRAGMENT == 0;
    let intact = fold(sum(header)) == SUM_OF_INTACT;
    let to_all = address(header, 16)? == Ipv4Addr::BROADCAST;
    if header[9] != PROTOCOL_UDP || !is_whole || !intact || !to_all {
        return None;
    }
    let udp_len = usize::from(number(udp, 4)?);
    if udp_len < UDP_HEADER_LEN || number(udp, 2)? != BOOTP_PORT_SERVER {
        return None;
    }
    let udp = udp.get(..udp_len)?;
    let source = address(header, 12)?;
    if !checksum_is_right(source, Ipv4Addr::BROADCAST, udp) {
        return None;
    }
    let source = SocketAddrV4::new(source, number(udp, 0)?);
    Some(Datagram { octets: &udp[UDP_HEADER_LEN..], source, probes: 0 })
}

/// Writes the packet that carries this payload at the end of `buffer`. False, with nothing written, if it is too long for one.
pub(crate) fn write(
    buffer: &mut Vec<u8>,
    from: SocketAddrV4,
    to: SocketAddrV4,
    payload: &[u8],
) -> bool {
    let Ok(total_len) = u16::try_from(IP_HEADER_LEN + UDP_HEADER_LEN + payload.len()) else {
        return false;
    };
    let start = buffer.len();
    buffer.extend([VERSION_AND_LEN, 0]);
    buffer.extend(total_len.to_be_bytes());
    // RFC 6864 section 4.1: what is never fragmented needs no identification.
    buffer.extend([0, 0]);
    buffer.extend(DO_NOT_FRAGMENT.to_be_bytes());
    buffer.extend([TIME_TO_LIVE, PROTOCOL_UDP, 0, 0]);
    buffer.extend(from.ip().octets());
    buffer.extend(to.ip().octets());
    let checksum = !fold(sum(&buffer[start..]));
    buffer[start + 10..start + 12].copy_from_slice(&checksum.to_be_bytes());
    let udp = start + IP_HEADER_LEN;
    buffer.extend(from.port().to_be_bytes());
    buffer.extend(to.port().to_be_bytes());
    buffer.extend((total_len - IP_HEADER_LEN as u16).to_be_bytes());
    buffer.extend([0, 0]);
    buffer.extend_from_slice(payload);
    let pseudo = pseudo_header_sum(*from.ip(), *to.ip(), buffer.len() - udp);
    let checksum = match !fold(pseudo + sum(&buffer[udp..])) {
        // RFC 768: a computed zero is sent as ones, zero means none.
        0 => u16::MAX,
        checksum => checksum,
    };
    buffer[udp + 6..udp + 8].copy_from_slice(&checksum.to_be_bytes());
    true
}

/// The checksum of RFC 1071 for a message whose own field is zero; zero for an intact message with its checksum.
pub(crate) fn internet_checksum(message: &[u8]) -> u16 {
    !fold(sum(message))
}

/// None, right, or left to a card: then it is the sum of the pseudo header, as the kernel prepares it.
fn checksum_is_right(from: Ipv4Addr, to: Ipv4Addr, udp: &[u8]) -> bool {
    let pseudo = pseudo_header_sum(from, to, udp.len());
    let field = u16::from_be_bytes([udp[6], udp[7]]);
    field == 0 || field == fold(pseudo) || fold(pseudo + sum(udp)) == SUM_OF_INTACT
}

fn pseudo_header_sum(from: Ipv4Addr, to: Ipv4Addr, udp_len: usize) -> u32 {
    // A datagram's length fits in 16 bits.
    sum(&from.octets()) + sum(&to.octets()) + u32::from(PROTOCOL_UDP) + udp_len as u32
}

/// The words of at most 65,535 octets added up: at most 2^15 words below 2^16 each.
fn sum(octets: &[u8]) -> u32 {
    let word = |pair: &[u8]| u32::from(pair[0]) << 8 | pair.get(1).map_or(0, |low| u32::from(*low));
    octets.chunks(2).map(word).sum()
}

/// Carries are added again until there are none.
fn fold(sum: u32) -> u16 {
    let once = (sum & 0xffff) + (sum >> 16);
    // After the second time nothing is left above 16 bits.
    ((once & 0xffff) + (once >> 16)) as u16
}

fn number(octets: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes([*octets.get(at)?, *octets.get(at + 1)?]))
}

fn address(octets: &[u8], at: usize) -> Option<Ipv4Addr> {
    let octets: [u8; 4] = octets.get(at..at + 4)?.try_into().ok()?;
    Some(Ipv4Addr::from(octets))
}

#[cfg(test)]
#[path = "../../../tests/fuzz/frame_checks.rs"]
mod frame_checks;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SERVER: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(10, 0, 0, 1), 67);
    const CLIENT: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 68);
    const ALL: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::BROADCAST, 67);

    fn packet(from: SocketAddrV4, to: SocketAddrV4, payload: &[u8]) -> Vec<u8> {
        let mut buffer = vec![0xee];
        assert!(write(&mut buffer, from, to, payload));
        buffer.split_off(1)
    }

    fn taken(packet: &[u8]) -> Option<(Vec<u8>, SocketAddrV4)> {
        read(packet).map(|datagram| (datagram.octets.to_vec(), datagram.source))
    }

    #[test]
    fn a_reply_is_these_octets() {
        let to = SocketAddrV4::new(Ipv4Addr::new(10, 0, 0, 9), 68);
        // The checksums were reckoned by hand.
        let expected = [
            0x45, 0, 0, 31, 0, 0, 0x40, 0, 64, 17, 0x26, 0xc5, 10, 0, 0, 1, 10, 0, 0, 9, 0, 67, 0,
            68, 0, 11, 0x86, 0xe5, 0x61, 0x62, 0x03,
        ];
        assert_eq!(packet(SERVER, to, &[0x61, 0x62, 0x03]), expected);
    }

    #[test]
    fn a_packet_that_would_be_too_long_is_not_written() {
        let mut buffer = vec![1];
        assert!(!write(&mut buffer, SERVER, ALL, &[0; 65_508]));
        assert_eq!(buffer, [1]);
        assert!(write(&mut buffer, SERVER, ALL, &[0xff; 65_507]));
        assert_eq!(read(&buffer[1..]).map(|datagram| datagram.octets.len()), Some(65_507));
    }

    // proves [H-11]
    #[test]
    fn broadcasts_to_the_port_of_servers_are_taken_and_nothing_else() {
        let here = SocketAddrV4::new(Ipv4Addr::new(10, 0, 0, 9), 1068);
        let check = |from, to, expected: bool| {
            let expected = expected.then(|| (b"abc".to_vec(), from));
            assert_eq!(taken(&packet(from, to, b"abc")), expected, "{from} {to}");
        };
        check(CLIENT, ALL, true);
        check(here, ALL, true);
        // The kernel's sockets have these: taken here too they would be answered twice.
        check(here, SERVER, false);
        check(CLIENT, SocketAddrV4::new(Ipv4Addr::new(10, 0, 0, 255), 67), false);
        check(CLIENT, SocketAddrV4::new(Ipv4Addr::BROADCAST, 68), false);
    }

    #[test]
    fn damaged_and_foreign_packets_are_not_taken() {
        let intact = packet(CLIENT, ALL, b"abcd");
        let check = |what: &str, change: fn(&mut Vec<u8>), expected: bool| {
            let mut packet = intact.clone();
            change(&mut packet);
            assert_eq!(taken(&packet).is_some(), expected, "{what}");
        };
        /// Makes the checksum of the IP header right again.
        fn seal(packet: &mut [u8]) {
            packet[10..12].fill(0);
            let checksum = !fold(sum(&packet[..20]));
            packet[10..12].copy_from_slice(&checksum.to_be_bytes());
        }
        check("as it was", |_| {}, true);
        check("padded by Ethernet", |packet| packet.extend([0; 18]), true);
        check("an octet of the payload", |packet| packet[30] ^= 1, false);
        check("an octet of the IP header", |packet| packet[8] ^= 1, false);
        check("without checksum", |packet| packet[26..28].fill(0), true);
        check("cut off", |packet| packet.truncate(31), false);
        check("IPv6", |packet| packet[0] = 0x65, false);
        check("a header too short", |packet| packet[0] = 0x44, false);
        check("TCP", |packet| (packet[9] = 6, seal(packet)).1, false);
        check("a first fragment", |packet| (packet[6] = 0x20, seal(packet)).1, false);
        check("a later fragment", |packet| (packet[7] = 1, seal(packet)).1, false);
        check("UDP longer than IP", |packet| packet[25] = 13, false);
        check("UDP shorter than its header", |packet| packet[25] = 7, false);
        for len in 0..intact.len() {
            assert_eq!(taken(&intact[..len]), None, "{len}");
        }
    }

    #[test]
    fn a_checksum_that_was_left_to_a_card_is_none() {
        let mut packet = packet(CLIENT, ALL, b"abcd");
        let pseudo = fold(pseudo_header_sum(*CLIENT.ip(), *ALL.ip(), 12));
        packet[26..28].copy_from_slice(&pseudo.to_be_bytes());
        assert_eq!(taken(&packet), Some((b"abcd".to_vec(), CLIENT)));
        packet[27] ^= 1;
        assert_eq!(taken(&packet), None);
    }

    #[test]
    fn options_of_the_ip_header_are_passed_over() {
        let mut packet = packet(CLIENT, ALL, b"abcd");
        packet.splice(20..20, [1, 1, 1, 0]);
        packet[0] = 0x46;
        packet[3] += 4;
        packet[10..12].fill(0);
        let checksum = !fold(sum(&packet[..24]));
        packet[10..12].copy_from_slice(&checksum.to_be_bytes());
        assert_eq!(taken(&packet), Some((b"abcd".to_vec(), CLIENT)));
    }

    proptest! {
        #[test]
        fn no_octets_make_a_packet_that_is_read_otherwise_than_it_is_written(
            octets in prop::collection::vec(any::<u8>(), 0..100),
            changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
            extra in prop::collection::vec(any::<u8>(), 0..20),
        ) {
            frame_checks::frame(&octets);
            let mut packet = packet(CLIENT, ALL, &octets);
            packet.extend(extra);
            for (place, octet) in changes {
                let place = place.index(packet.len());
                packet[place] = octet;
            }
            frame_checks::frame(&packet);
        }
    }

    #[test]
    fn packets_of_the_fuzz_targets_corpus_hold() {
        let corpus = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fuzz/corpus/frame");
        let mut seeds = 0;
        for entry in std::fs::read_dir(corpus).expect("the corpus is checked in") {
            let path = entry.expect("a readable directory").path();
            let octets = std::fs::read(&path).expect("a readable file");
            frame_checks::frame(&octets);
            let name = path.file_name().unwrap_or_default().display().to_string();
            let is_foreign = name.starts_with("hostile_") || name.starts_with("to_");
            assert_eq!(read(&octets).is_none(), is_foreign, "{name}");
            seeds += 1;
        }
        assert!(seeds >= 15);
    }
}
