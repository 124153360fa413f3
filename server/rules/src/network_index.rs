//! Lookups over the settings that every packet needs, built once per revision.
//!
//! Places are positions in `Settings::subnets` and `Subnet::reservations`, so the index borrows nothing and can be
//! kept beside the view; it is valid for the revision it was built from and for no other.

use crate::identity;
use crate::request::{RelayWords, Request};
use replication_ledger::{
    HardwareAddress, Reservation, ReservationKey, Settings, Subnet, VpnAddress, VpnNumber,
};
use std::collections::BTreeMap;

/// A position in `Settings::subnets`.
pub(crate) type SubnetPosition = usize;

/// Where a reservation stands: its subnet and its position there.
type Place = (SubnetPosition, usize);

/// Places of reservations by the octets of their key.
type ByOctets = BTreeMap<Box<[u8]>, Vec<Place>>;

/// The index of one revision of the settings.
#[derive(Clone, Debug, Default)]
pub struct NetworkIndex {
    revision: u64,
    relays: BTreeMap<VpnAddress, SubnetPosition>,
    /// For each subnet, the subnets of its link: itself first, then the others in order.
    links: Vec<Vec<SubnetPosition>>,
    by_hardware: BTreeMap<HardwareAddress, Vec<Place>>,
    by_client_identifier: ByOctets,
    by_circuit_id: ByOctets,
    by_remote_id: ByOctets,
    by_subscriber_id: ByOctets,
    by_relay_id: ByOctets,
    /// Reservations by expression, of each subnet that has any.
    by_expression: BTreeMap<SubnetPosition, Vec<usize>>,
}

impl NetworkIndex {
    /// Builds the index.
    pub fn new(settings: &Settings) -> NetworkIndex {
        let mut index = NetworkIndex { revision: settings.revision, ..NetworkIndex::default() };
        let mut networks: BTreeMap<&str, Vec<SubnetPosition>> = BTreeMap::new();
        for (position, subnet) in settings.subnets.iter().enumerate() {
            for relay in &subnet.relays {
                // A relay named by several subnets of one link stands for the first.
                index.relays.entry(subnet.at(*relay)).or_insert(position);
            }
            if let Some(network) = &subnet.network {
                networks.entry(network).or_default().push(position);
            }
            for (place, reservation) in subnet.reservations.iter().enumerate() {
                index.add(&reservation.key, (position, place));
            }
        }
        index.links = settings
            .subnets
            .iter()
            .enumerate()
            .map(|(position, subnet)| {
                let siblings = subnet.network.as_deref().and_then(|name| networks.get(name));
                let others = siblings.into_iter().flatten().copied().filter(|p| *p != position);
                std::iter::once(position).chain(others).collect()
            })
            .collect();
        index
    }

    /// The revision of the settings it was built from.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// True if some reservation is by expression.
    pub(crate) fn has_expressions(&self) -> bool {
        !self.by_expression.is_empty()
    }

    /// The subnet whose `relays` name this giaddr.
    pub(crate) fn subnet_of_relay(&self, giaddr: VpnAddress) -> Option<SubnetPosition> {
        self.relays.get(&giaddr).copied()
    }

    /// The subnets that share a link with this one, itself first.
    pub(crate) fn link(&self, subnet: SubnetPosition) -> &[SubnetPosition] {
        self.links.get(subnet).map_or(&[], Vec::as_slice)
    }

    /// The reservations made for this client on these subnets: by client identifier, hardware address, then by what
    /// the relay says, then by expression.
    pub(crate) fn reservations<'a>(
        &'a self,
        settings: &'a Settings,
        link: &'a [SubnetPosition],
        request: &Request<'_>,
        relay: &RelayWords<'_>,
    ) -> impl Iterator<Item = &'a Reservation> {
        let found = [
            places(&self.by_client_identifier, request.client.identifier()),
            self.by_hardware.get(&request.hardware),
            places(&self.by_circuit_id, relay.circuit_id),
            places(&self.by_remote_id, relay.remote_id),
            places(&self.by_subscriber_id, relay.subscriber_id),
            places(&self.by_relay_id, relay.relay_id),
        ];
        let by_key = found.into_iter().flatten().flatten().copied();
        let by_key = by_key.filter(move |(subnet, _)| link.contains(subnet));
        let at = |(subnet, place): Place| settings.subnets.get(subnet)?.reservations.get(place);
        by_key.filter_map(at).chain(self.matching(settings, link, request))
    }

    /// The reservations on these subnets whose expressions hold for the client.
    fn matching<'a>(
        &'a self,
        settings: &'a Settings,
        link: &'a [SubnetPosition],
        request: &Request<'_>,
    ) -> impl Iterator<Item = &'a Reservation> {
        let link = if self.by_expression.is_empty() { &[][..] } else { link };
        let places = link.iter().flat_map(|subnet| {
            let places = self.by_expression.get(subnet).into_iter().flatten();
            places.map(|place| (*subnet, *place))
        });
        places
            .filter_map(|(subnet, place)| settings.subnets.get(subnet)?.reservations.get(place))
            .filter(|reservation| identity::matches(reservation, request))
    }

    /// The reservation of the lowest address of this VPN for this hardware address, and its subnet, on whatever link.
    pub(crate) fn reservation_of_hardware<'a>(
        &self,
        settings: &'a Settings,
        vpn: VpnNumber,
        hardware: &HardwareAddress,
    ) -> Option<(&'a Subnet, &'a Reservation)> {
        lowest(settings, vpn, self.by_hardware.get(hardware)?)
    }

    /// The reservation of the lowest address of this VPN for this client identifier, and its subnet, on whatever link.
    pub(crate) fn reservation_of_client_identifier<'a>(
        &self,
        settings: &'a Settings,
        vpn: VpnNumber,
        identifier: &[u8],
    ) -> Option<(&'a Subnet, &'a Reservation)> {
        lowest(settings, vpn, self.by_client_identifier.get(identifier)?)
    }

    fn add(&mut self, key: &ReservationKey, place: Place) {
        let (map, octets) = match key {
            ReservationKey::Hardware(hardware) => {
                self.by_hardware.entry(*hardware).or_default().push(place);
                return;
            }
            ReservationKey::ClientIdentifier(octets) => (&mut self.by_client_identifier, octets),
            ReservationKey::CircuitId(octets) => (&mut self.by_circuit_id, octets),
            ReservationKey::RemoteId(octets) => (&mut self.by_remote_id, octets),
            ReservationKey::SubscriberId(octets) => (&mut self.by_subscriber_id, octets),
            ReservationKey::RelayId(octets) => (&mut self.by_relay_id, octets),
            ReservationKey::Matching(_) => {
                let (subnet, place) = place;
                self.by_expression.entry(subnet).or_default().push(place);
                return;
            }
        };
        map.entry(Box::from(&octets[..])).or_default().push(place);
    }
}

fn lowest<'a>(
    settings: &'a Settings,
    vpn: VpnNumber,
    places: &[Place],
) -> Option<(&'a Subnet, &'a Reservation)> {
    let found = places.iter().filter_map(|(subnet, place)| {
        let subnet = settings.subnets.get(*subnet).filter(|subnet| subnet.vpn.number() == vpn)?;
        Some((subnet, subnet.reservations.get(*place)?))
    });
    found.min_by_key(|(_, reservation)| reservation.address)
}

fn places<'a>(map: &'a ByOctets, octets: Option<&[u8]>) -> Option<&'a Vec<Place>> {
    map.get(octets?)
}
