//! ICMP echo (RFC 792): the octets of a request, and what a reply answers. Pure.

use crate::frame::internet_checksum;

/// Octets of a request: a header and some data.
pub(crate) const REQUEST_LEN: usize = 16;

const TYPE_REPLY: u8 = 0;
const TYPE_REQUEST: u8 = 8;
/// So that whoever looks at a capture knows whose it is.
const DATA: [u8; 8] = *b"DHCP chk";

/// An echo request.
pub(crate) fn request(identifier: u16, sequence: u16) -> [u8; REQUEST_LEN] {
    let mut octets = [0; REQUEST_LEN];
    octets[0] = TYPE_REQUEST;
    octets[4..6].copy_from_slice(&identifier.to_be_bytes());
    octets[6..8].copy_from_slice(&sequence.to_be_bytes());
    octets[8..].copy_from_slice(&DATA);
    let checksum = internet_checksum(&octets);
    octets[2..4].copy_from_slice(&checksum.to_be_bytes());
    octets
}

/// The identifier and the sequence number that this message replies to, none if it is no echo reply with our data.
pub(crate) fn replied_to(message: &[u8]) -> Option<(u16, u16)> {
    let message = message.first_chunk::<REQUEST_LEN>()?;
    let is_reply = message[0] == TYPE_REPLY && message[1] == 0 && message[8..] == DATA;
    let number = |at: usize| u16::from_be_bytes([message[at], message[at + 1]]);
    (is_reply && internet_checksum(message) == 0).then(|| (number(4), number(6)))
}

/// The ICMP message in an IPv4 packet, as a raw socket gives it.
pub(crate) fn behind_ip_header(packet: &[u8]) -> Option<&[u8]> {
    packet.get(usize::from(packet.first()? & 0x0f) * 4..)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_is_known_by_its_numbers_and_data() {
        let mut reply = request(0x1234, 0xfffe);
        assert_eq!(replied_to(&reply), None, "a request");
        reply[0] = TYPE_REPLY;
        assert_eq!(replied_to(&reply), None, "its checksum is a request's");
        reply[2..4].fill(0);
        let checksum = internet_checksum(&reply);
        reply[2..4].copy_from_slice(&checksum.to_be_bytes());
        assert_eq!(replied_to(&reply), Some((0x1234, 0xfffe)));
        assert_eq!(replied_to(&reply[..15]), None);
        let packet = [&[0x46; 24][..], &reply].concat();
        assert_eq!(behind_ip_header(&packet).and_then(replied_to), Some((0x1234, 0xfffe)));
        assert_eq!(behind_ip_header(&[]), None);
        assert_eq!(behind_ip_header(&[0x46; 20]), None);
        reply[9] ^= 1;
        assert_eq!(replied_to(&reply), None);
    }
}
