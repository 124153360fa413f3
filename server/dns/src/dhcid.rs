//! The DHCID record: whose name it is (RFC 4701).

use replication_ledger::ClientKey;
use sha2::{Digest, Sha256};

/// Octets of its data: type of identifier, type of digest, digest.
pub const DHCID_LEN: usize = 2 + 1 + 32;

/// Digest type 1 (RFC 4701 section 3.4).
const SHA_256: u8 = 1;
/// The type octet of a client identifier that holds an IAID and a DUID (RFC 4361 section 6.1).
const NODE_SPECIFIC: u8 = 255;
/// Octets before the DUID: the type and the IAID.
const BEFORE_DUID_LEN: usize = 1 + 4;

/// The data of the DHCID record of a client at a name, which is in canonical wire format.
// [O-62] The DUID of an identifier that has one, else the identifier, else htype and chaddr, and the name behind it.
pub fn dhcid(client: &ClientKey, name: &[u8]) -> [u8; DHCID_LEN] {
    let (identifier_type, identifier): (u16, &[u8]) = match client.identifier() {
        Some([NODE_SPECIFIC, rest @ ..]) if rest.len() >= BEFORE_DUID_LEN => {
            (2, &rest[BEFORE_DUID_LEN - 1..])
        }
        Some(identifier) => (1, identifier),
        // Behind its tag a key by hardware is htype and chaddr.
        None => (0, client.octets().get(1..).unwrap_or_default()),
    };
    let mut digest = Sha256::new();
    digest.update(identifier);
    digest.update(name);
    let mut data = [0; DHCID_LEN];
    data[..2].copy_from_slice(&identifier_type.to_be_bytes());
    data[2] = SHA_256;
    data[3..].copy_from_slice(&digest.finalize());
    data
}

#[cfg(test)]
mod tests {
    use super::*;
    use replication_ledger::HardwareAddress;

    // proves [O-62]
    #[test]
    fn the_examples_of_rfc_4701_section_3_6() {
        let check = |client: ClientKey, name: &[u8], expected: &str| {
            let data: String =
                dhcid(&client, name).iter().map(|octet| format!("{octet:02x}")).collect();
            assert_eq!(data, expected, "{client:?}");
        };
        let duid = [0, 1, 0, 6, 0x41, 0x2d, 0xf1, 0x66, 1, 2, 3, 4, 5, 6];
        check(
            ClientKey::from_identifier(&[&[255, 9, 9, 9, 9], &duid[..]].concat()),
            b"\x04chi6\x07example\x03com\0",
            "000201636fc0b8271c82825bb1ac5c41cf5351aa69b4febd94e8f17cdb95000da48c40",
        );
        check(
            ClientKey::from_identifier(&[1, 7, 8, 9, 10, 11, 12]),
            b"\x03chi\x07example\x03com\0",
            "0001013920fe5d1dceb3fd0ba3379756a70d73b17009f41d58bddbfcd6a2503956d8da",
        );
        check(
            ClientKey::from_hardware(&HardwareAddress::new(1, &[1, 2, 3, 4, 5, 6])),
            b"\x06client\x07example\x03com\0",
            "000001c4b9a5b249651343158dde7bcc77169841f7a4243a572b5c283fffedeb3f75e6",
        );
    }

    #[test]
    fn an_identifier_that_only_begins_like_a_node_specific_one_is_taken_whole() {
        let of =
            |identifier: &[u8]| dhcid(&ClientKey::from_identifier(identifier), b"\0")[..2].to_vec();
        assert_eq!(of(&[255, 1, 2, 3, 4]), [0, 1]);
        assert_eq!(of(&[255, 1, 2, 3, 4, 5]), [0, 2]);
        assert_eq!(of(&[]), [0, 1]);
    }
}
