//! Option 90 as a requestor makes and checks it (RFC 3118), with an HMAC-MD5 of the tests' own
//! (RFC 2104, RFC 1321): the server's must not judge itself.

use crate::packet::option;

/// Where options begin in a message.
const OPTIONS_AT: usize = 240;
/// Where in option 90's value the MAC of delayed authentication stands: behind protocol, algorithm,
/// RDM (3), replay detection (8) and secret ID (4).
const MAC_AT: usize = 15;

/// The value of option 90 that asks for delayed authentication and proves nothing (RFC 3118 §5.2,
/// first figure).
pub fn request(replay: u64) -> Vec<u8> {
    [&[1, 1, 0][..], &replay.to_be_bytes()].concat()
}

/// The value of option 90 with a configuration token (RFC 3118 §4).
pub fn token(replay: u64, token: &[u8]) -> Vec<u8> {
    [&[0, 0, 0][..], &replay.to_be_bytes(), token].concat()
}

/// The value of option 90 with a MAC that [`sign`] fills in (RFC 3118 §5.2, second figure).
pub fn unsigned(replay: u64, secret_id: u32) -> Vec<u8> {
    [&request(replay)[..], &secret_id.to_be_bytes(), &[0; 16]].concat()
}

/// Fills the MAC into a message that has option 90, in one part or in several.
pub fn sign(octets: &mut [u8], key: &[u8]) {
    let mac = mac_of(octets, key);
    let at = authentication_octets(octets);
    for (at, octet) in at.into_iter().skip(MAC_AT).zip(mac) {
        octets[at] = octet;
    }
}

/// Whether a message carries the MAC that this key makes (RFC 3118 §5.3).
pub fn verifies(octets: &[u8], key: &[u8]) -> bool {
    let at = authentication_octets(octets);
    let found: Vec<u8> = at.into_iter().skip(MAC_AT).map(|at| octets[at]).collect();
    found == mac_of(octets, key)
}

/// RFC 3118 §3 and §5.3: the whole message with hops, giaddr and the MAC zero, without option 82.
fn mac_of(octets: &[u8], key: &[u8]) -> [u8; 16] {
    let mut message = octets.to_vec();
    message[3] = 0;
    message[24..28].fill(0);
    for at in authentication_octets(octets).into_iter().skip(MAC_AT) {
        message[at] = 0;
    }
    let relayed = options(octets).into_iter().find(|(code, ..)| *code == option::RELAY_AGENT);
    if let Some((_, at, length)) = relayed {
        message.drain(at - 2..at + length);
    }
    hmac_md5(key, &message)
}

/// Code, place of the value and its length, of every option up to End.
fn options(octets: &[u8]) -> Vec<(u8, usize, usize)> {
    let (mut at, mut options) = (OPTIONS_AT, Vec::new());
    while let Some(&code) = octets.get(at).filter(|code| **code != 255) {
        if code == 0 {
            at += 1;
            continue;
        }
        let Some(&length) = octets.get(at + 1) else { break };
        options.push((code, at + 2, usize::from(length)));
        at += 2 + usize::from(length);
    }
    options
}

/// The places of option 90's octets, all of its parts in order (RFC 3396 §9).
fn authentication_octets(octets: &[u8]) -> Vec<usize> {
    let parts = options(octets).into_iter().filter(|(code, ..)| *code == option::AUTHENTICATION);
    parts.flat_map(|(_, at, length)| at..at + length).filter(|at| *at < octets.len()).collect()
}

/// RFC 2104 with MD5.
fn hmac_md5(key: &[u8], message: &[u8]) -> [u8; 16] {
    let mut block = [0u8; 64];
    match key.len() {
        0..=64 => block[..key.len()].copy_from_slice(key),
        _ => block[..16].copy_from_slice(&md5(key)),
    }
    let padded = |pad: u8| block.map(|octet| octet ^ pad).to_vec();
    let inner = md5(&[padded(0x36), message.to_vec()].concat());
    md5(&[padded(0x5c), inner.to_vec()].concat())
}

/// RFC 1321 §3.4: how far each step rotates.
const ROTATIONS: [[u32; 4]; 4] =
    [[7, 12, 17, 22], [5, 9, 14, 20], [4, 11, 16, 23], [6, 10, 15, 21]];

/// RFC 1321.
fn md5(message: &[u8]) -> [u8; 16] {
    let mut padded = message.to_vec();
    padded.push(0x80);
    padded.resize(padded.len().next_multiple_of(64), 0);
    if padded.len() - message.len() < 9 {
        padded.resize(padded.len() + 64, 0);
    }
    let end = padded.len();
    padded[end - 8..].copy_from_slice(&(message.len() as u64 * 8).to_le_bytes());
    let mut state: [u32; 4] = [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476];
    for block in padded.chunks_exact(64) {
        let words: Vec<u32> = block
            .chunks_exact(4)
            .map(|word| u32::from_le_bytes([word[0], word[1], word[2], word[3]]))
            .collect();
        let [mut a, mut b, mut c, mut d] = state;
        for step in 0..64 {
            let (mixed, word) = match step / 16 {
                0 => ((b & c) | (!b & d), step),
                1 => ((d & b) | (!d & c), (5 * step + 1) % 16),
                2 => (b ^ c ^ d, (3 * step + 5) % 16),
                _ => (c ^ (b | !d), 7 * step % 16),
            };
            // §3.4: the integer part of 2^32 times abs(sin(i)), i in radians.
            let constant = (((step + 1) as f64).sin().abs() * 4_294_967_296.0) as u32;
            let sum = a.wrapping_add(mixed).wrapping_add(constant).wrapping_add(words[word]);
            let rotated = sum.rotate_left(ROTATIONS[step / 16][step % 4]);
            (a, d, c, b) = (d, c, b, b.wrapping_add(rotated));
        }
        for (sum, part) in state.iter_mut().zip([a, b, c, d]) {
            *sum = sum.wrapping_add(part);
        }
    }
    let mut digest = [0; 16];
    for (octets, word) in digest.chunks_exact_mut(4).zip(state) {
        octets.copy_from_slice(&word.to_le_bytes());
    }
    digest
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::{Packet, kind};

    fn hex(octets: &[u8]) -> String {
        octets.iter().map(|octet| format!("{octet:02x}")).collect()
    }

    #[test]
    fn md5_gives_what_rfc_1321_appendix_a_5_lists() {
        let check = |text: &str, expected: &str| assert_eq!(hex(&md5(text.as_bytes())), expected);
        check("", "d41d8cd98f00b204e9800998ecf8427e");
        check("abc", "900150983cd24fb0d6963f7d28e17f72");
        check("message digest", "f96b697d7cb7938d525a2f31aaf161d0");
        check(
            "12345678901234567890123456789012345678901234567890123456789012345678901234567890",
            "57edf4a22be3c955ac49da2e2107b67a",
        );
    }

    #[test]
    fn hmac_md5_gives_what_rfc_2202_section_2_lists() {
        let check = |key: &[u8], data: &[u8], expected: &str| {
            assert_eq!(hex(&hmac_md5(key, data)), expected);
        };
        check(&[0x0b; 16], b"Hi There", "9294727a3638bb1c13f48ef8158bfc9d");
        check(b"Jefe", b"what do ya want for nothing?", "750c783e6ab0b503eaa86e310a5db738");
        let long = b"Test Using Larger Than Block-Size Key - Hash Key First";
        check(&[0xaa; 80], long, "6b1ab7fe4bd7bf8f0b62e6ce61b9d0cd");
    }

    #[test]
    fn what_relay_agents_change_is_not_signed_and_everything_else_is() {
        let packet = Packet::new(kind::LEASEQUERY, [0; 6])
            .with(option::AUTHENTICATION, unsigned(1, 5))
            .with(option::RELAY_AGENT, [2, 1, 9]);
        let mut octets = packet.encode();
        sign(&mut octets, b"key");
        assert!(verifies(&octets, b"key") && !verifies(&octets, b"other"));
        let changed = |at: usize| {
            let mut changed = octets.clone();
            changed[at] ^= 1;
            verifies(&changed, b"key")
        };
        let option_82_at = options(&octets).last().expect("option 82").1;
        assert!(changed(3) && changed(24) && changed(option_82_at));
        assert!(!changed(4) && !changed(12) && !changed(MAC_AT + 240));
    }
}
