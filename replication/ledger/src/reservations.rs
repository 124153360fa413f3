//! Addresses set aside for known clients.

use crate::{Binding, Boot, ClientKey, Condition, HardwareAddress, Octets, OptionValue};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::Ipv4Addr;

/// How a reservation knows its client.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum ReservationKey {
    /// By htype and chaddr.
    Hardware(HardwareAddress),
    /// By client identifier (option 61).
    ClientIdentifier(Octets),
    /// By Agent Circuit ID (RFC 3046 §3.1).
    CircuitId(Octets),
    /// By Agent Remote ID (RFC 3046 §3.2).
    RemoteId(Octets),
    /// By Subscriber-ID (RFC 3993).
    SubscriberId(Octets),
    /// By Relay Agent Identifier (RFC 6925): a relay behind which there is one client.
    RelayId(Octets),
    /// By an expression, which this is the text of.
    Matching(Octets),
}

impl ReservationKey {
    /// What a client is known by, without its relay's words: the keys that name this client alone.
    pub fn names_client(&self, client: &ClientKey, hardware: &HardwareAddress) -> bool {
        match self {
            ReservationKey::Hardware(reserved) => reserved == hardware,
            ReservationKey::ClientIdentifier(reserved) => {
                client.identifier() == Some(&reserved[..])
            }
            ReservationKey::CircuitId(_)
            | ReservationKey::RemoteId(_)
            | ReservationKey::SubscriberId(_)
            | ReservationKey::RelayId(_)
            | ReservationKey::Matching(_) => false,
        }
    }
}

impl fmt::Display for ReservationKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ReservationKey::Hardware(hardware) => write!(f, "mac {hardware}"),
            ReservationKey::ClientIdentifier(octets) => write!(f, "client-id {octets}"),
            ReservationKey::CircuitId(octets) => write!(f, "circuit-id {octets}"),
            ReservationKey::RemoteId(octets) => write!(f, "remote-id {octets}"),
            ReservationKey::SubscriberId(octets) => write!(f, "subscriber-id {octets}"),
            ReservationKey::RelayId(octets) => write!(f, "relay-id {octets}"),
            ReservationKey::Matching(text) => {
                write!(f, "match {}", String::from_utf8_lossy(text))
            }
        }
    }
}

/// One address for one client.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reservation {
    /// For whom.
    pub key: ReservationKey,
    /// Which address; inside the subnet, inside or outside its pools.
    pub address: Ipv4Addr,
    /// Option 12 for this client.
    pub host_name: Option<String>,
    /// Options for this client, before those of its subnet.
    pub options: Vec<OptionValue>,
    /// From whom this client loads its system, before what its subnet says.
    pub boot: Boot,
    /// What the text of a key by expression means; none for other keys.
    pub condition: Option<Box<Condition>>,
}

impl Reservation {
    /// An address for a client, and nothing else.
    pub fn new(key: ReservationKey, address: Ipv4Addr) -> Reservation {
        Reservation {
            key,
            address,
            host_name: None,
            options: Vec::new(),
            boot: Boot::default(),
            condition: None,
        }
    }

    /// True if whoever holds this binding is whom the reservation is for, whatever it calls itself: firmware and the
    /// system that it starts send different client identifiers from one network card, and the operator said that the card is
    /// the client.
    pub(crate) fn names_holder(&self, binding: &Binding) -> bool {
        match &self.key {
            ReservationKey::Hardware(reserved) => *reserved == binding.hardware,
            key => key.names_client(&binding.client, &binding.hardware),
        }
    }
}
