//! Names of members and of clients.

use crate::Octets;
use serde::{Deserialize, Serialize};
use std::fmt;

/// A member of the cluster. Unique and never given to another member, even after a removal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct MemberId(pub u64);

impl fmt::Display for MemberId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The number of one isolation (or start) of one member, drawn and stored by the member itself.
/// A command from an earlier session of its sender is refused [AV-Q3].
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Session(pub u64);

/// A hardware address: htype and up to 16 octets of chaddr (RFC 2131 §2).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Default)]
pub struct HardwareAddress {
    htype: u8,
    hlen: u8,
    chaddr: [u8; 16],
}

impl HardwareAddress {
    /// From the header's htype and the first hlen octets of chaddr; more than 16 octets are cut, which the codec
    /// rules out before.
    pub fn new(htype: u8, octets: &[u8]) -> HardwareAddress {
        let hlen = octets.len().min(16);
        let mut chaddr = [0; 16];
        chaddr[..hlen].copy_from_slice(&octets[..hlen]);
        // hlen <= 16 fits in an octet.
        HardwareAddress { htype, hlen: hlen as u8, chaddr }
    }

    /// The hardware type (1 = Ethernet).
    pub fn htype(&self) -> u8 {
        self.htype
    }

    /// The address without padding.
    pub fn octets(&self) -> &[u8] {
        &self.chaddr[..usize::from(self.hlen)]
    }
}

impl fmt::Debug for HardwareAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{self}", self.htype)
    }
}

/// Octets in hexadecimal, separated by colons.
impl fmt::Display for HardwareAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, octet) in self.octets().iter().enumerate() {
            let separator = if position == 0 { "" } else { ":" };
            write!(f, "{separator}{octet:02x}")?;
        }
        Ok(())
    }
}

/// What tells one client from another: its client identifier if it sent one, else htype and chaddr
/// ([H-29], RFC 2131 §4.2). Opaque, compared octet by octet.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ClientKey(Octets);

const BY_HARDWARE: u8 = 0;
const BY_IDENTIFIER: u8 = 1;

impl ClientKey {
    /// A client that sent option 61: its value, whole.
    pub fn from_identifier(identifier: &[u8]) -> ClientKey {
        ClientKey::tagged(BY_IDENTIFIER, &[], identifier)
    }

    /// A client that sent none.
    pub fn from_hardware(hardware: &HardwareAddress) -> ClientKey {
        ClientKey::tagged(BY_HARDWARE, &[hardware.htype], hardware.octets())
    }

    fn tagged(tag: u8, prefix: &[u8], octets: &[u8]) -> ClientKey {
        let mut key = Vec::with_capacity(1 + prefix.len() + octets.len());
        key.push(tag);
        key.extend_from_slice(prefix);
        key.extend_from_slice(octets);
        ClientKey(key.into())
    }

    /// The client identifier, if that is what identifies this client.
    pub fn identifier(&self) -> Option<&[u8]> {
        match self.0.split_first() {
            Some((&BY_IDENTIFIER, identifier)) => Some(identifier),
            _ => None,
        }
    }

    /// The whole key with its tag: unequal clients have unequal octets.
    pub fn octets(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for ClientKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // proves [H-29]
    #[test]
    fn an_identifier_is_never_taken_for_a_hardware_address() {
        let hardware = HardwareAddress::new(1, &[2, 0, 0, 0, 0, 1]);
        let by_hardware = ClientKey::from_hardware(&hardware);
        let by_identifier = ClientKey::from_identifier(&[1, 2, 0, 0, 0, 0, 1]);
        assert_ne!(by_hardware, by_identifier);
        assert_eq!(by_hardware.identifier(), None);
        assert_eq!(by_identifier.identifier(), Some(&[1, 2, 0, 0, 0, 0, 1][..]));
    }

    #[test]
    fn hardware_addresses_print_as_people_write_them() {
        assert_eq!(
            HardwareAddress::new(1, &[2, 0, 0, 0, 0, 0xab]).to_string(),
            "02:00:00:00:00:ab"
        );
        assert_eq!(HardwareAddress::new(1, &[9; 20]).octets().len(), 16);
    }
}
