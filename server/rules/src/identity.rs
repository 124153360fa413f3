//! Who the client is, and whether a reservation means it.

use crate::request::{RelayWords, Request};
use replication_ledger::{ClientKey, HardwareAddress, Reservation, ReservationKey, bucket_of};
use server_wire::Message;

/// The client's key and hardware address, none if it said neither.
// [H-29] [O-24] The client identifier if it sent one, chaddr only if not; opaque either way.
pub(crate) fn client_of(message: &Message<'_>) -> Option<(ClientKey, HardwareAddress)> {
    let hardware = HardwareAddress::new(message.header.htype, message.header.chaddr());
    match message.client_identifier() {
        Some(identifier) => Some((ClientKey::from_identifier(identifier.as_octets()), hardware)),
        None if hardware.octets().is_empty() => None,
        None => Some((ClientKey::from_hardware(&hardware), hardware)),
    }
}

/// The client's bucket.
// [O-37] [O-38] Over the client identifier, or chaddr without its type; `bucket_of` cuts to 16 octets.
pub(crate) fn bucket(message: &Message<'_>) -> u8 {
    match message.client_identifier() {
        Some(identifier) => bucket_of(identifier.as_octets()),
        None => bucket_of(message.header.chaddr()),
    }
}

/// True if a reservation is for this client behind this relay.
// [O-06] Circuit and remote identifiers are opaque and compared exactly. A circuit identifier is local to its relay:
// reservations are looked up on the link that the relay stands for, which qualifies it.
pub(crate) fn is_meant(
    reservation: &Reservation,
    request: &Request<'_>,
    relay: &RelayWords<'_>,
) -> bool {
    match &reservation.key {
        key @ (ReservationKey::Hardware(_) | ReservationKey::ClientIdentifier(_)) => {
            key.names_client(&request.client, &request.hardware)
        }
        ReservationKey::CircuitId(reserved) => relay.circuit_id == Some(&reserved[..]),
        ReservationKey::RemoteId(reserved) => relay.remote_id == Some(&reserved[..]),
        ReservationKey::SubscriberId(reserved) => relay.subscriber_id == Some(&reserved[..]),
        ReservationKey::RelayId(reserved) => relay.relay_id == Some(&reserved[..]),
        ReservationKey::Matching(_) => matches(reservation, request),
    }
}

/// True if the reservation is by an expression that holds for the client.
pub(crate) fn matches(reservation: &Reservation, request: &Request<'_>) -> bool {
    reservation.condition.as_deref().is_some_and(|condition| request.facts.satisfies(condition))
}
