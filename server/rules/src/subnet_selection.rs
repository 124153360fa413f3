//! Which link a client is on: RFC 3527, RFC 3011, giaddr, in this order.

use crate::network_index::SubnetPosition;
use crate::request::{Request, Situation};
use replication_ledger::{LedgerView, Settings, Subnet};
use server_wire::{Message, OptionCode};
use std::net::Ipv4Addr;

/// Virtual subnet selection of the global VPN (RFC 6607 section 3.5).
const GLOBAL_VPN: &[u8] = &[255];

/// The subnets of one link, the one that the message named first.
#[derive(Clone, Copy, Debug)]
pub struct Link<'a> {
    settings: &'a Settings,
    pub(crate) positions: &'a [SubnetPosition],
}

impl<'a> Link<'a> {
    /// Its subnets, the one that the message named first.
    pub fn subnets(self) -> impl Iterator<Item = &'a Subnet> {
        self.positions.iter().filter_map(move |position| self.settings.subnets.get(*position))
    }

    /// The subnet of this link in which the address lies.
    pub fn subnet_of(self, address: Ipv4Addr) -> Option<&'a Subnet> {
        self.subnets().find(|subnet| subnet.prefix.contains(address))
    }
}

/// The link that the client is on, none if no subnet is configured for it.
pub(crate) fn select<'a, V: LedgerView>(
    request: &Request<'_>,
    situation: &Situation<'a, V>,
) -> Option<Link<'a>> {
    let settings = situation.settings();
    let header = &request.message.header;
    let by_option = settings.reception.subnet_selection;
    // [O-10] [O-11] Sub-option 5 beats everything. An unknown subnet there is no subnet: offering elsewhere is forbidden.
    let position = if let Some(subnet) = request.relay.link_selection {
        position_of(settings, subnet)
    // [O-13] Option 118 comes next and is as binding.
    } else if let Some(subnet) = request.message.subnet_selection().filter(|_| by_option) {
        position_of(settings, subnet)
    } else if request.is_relayed() {
        situation
            .index
            .subnet_of_relay(header.giaddr)
            .or_else(|| position_of(settings, header.giaddr))
    } else if let Some(link) = request.arrival.link {
        position_of(settings, link)
    } else {
        // Unicast without a relay: the client has an address, and it can only be used on its own link.
        position_of(settings, header.ciaddr)
    };
    // [H-33] giaddr chooses a link, not only its subnet.
    let link = Link { settings, positions: situation.index.link(position?) };
    let first = link.subnets().next()?;
    is_in_vpn(request, first, settings).then_some(link)
}

/// Which address of an interface stands for the link of a client that broadcast its message there; none if it has none.
///
/// Several addresses may be of several links to the configuration, if their subnets share no `network`. Then it is the link of the address
/// that the client speaks of, so that it is not told that its address is wrong; a client that names none is on the first that is
/// configured.
pub fn address_of_link<V: LedgerView>(
    message: &Message<'_>,
    addresses: impl Iterator<Item = Ipv4Addr> + Clone,
    situation: &Situation<'_, V>,
) -> Option<Ipv4Addr> {
    let settings = situation.settings();
    let named = Some(message.header.ciaddr).filter(|ciaddr| !ciaddr.is_unspecified());
    let named = named.or_else(|| message.requested_ip_address());
    let position = |address: &Ipv4Addr| position_of(settings, *address);
    let has_named = |address: &Ipv4Addr| {
        named.zip(position(address)).is_some_and(|(named, position)| {
            let link = Link { settings, positions: situation.index.link(position) };
            link.subnet_of(named).is_some()
        })
    };
    let mut all = addresses.clone();
    let of_named = addresses.clone().find(has_named);
    of_named.or_else(|| addresses.clone().find(|a| position(a).is_some())).or_else(|| all.next())
}

/// True if the subnet, and with it its link, is in the VPN that the message names. In an unknown VPN there is no subnet.
// [O-48] An address is allocated in the VPN named, or not at all.
// [O-51] With VSS-Control beside it or without.
// [O-55] What is in a VPN is not for who does not name it: the relay would take the address for a global one.
pub(crate) fn is_in_vpn(request: &Request<'_>, subnet: &Subnet, settings: &Settings) -> bool {
    if !settings.reception.vss {
        return true;
    }
    let named = vpn_named(request.message, request.relay.vss).filter(|raw| *raw != GLOBAL_VPN);
    named == subnet.vpn.as_deref()
}

/// The VPN of option 221 or of sub-option 151.
// [O-54] The relay is nearer and knows better.
pub(crate) fn vpn_named<'a>(
    message: &'a Message<'_>,
    by_relay: Option<&'a [u8]>,
) -> Option<&'a [u8]> {
    by_relay.or_else(|| message.option(OptionCode::VSS))
}

/// The position of the subnet whose prefix holds the address.
pub(crate) fn position_of(settings: &Settings, address: Ipv4Addr) -> Option<SubnetPosition> {
    let after = settings.subnets.partition_point(|subnet| subnet.prefix.address <= address);
    let position = after.checked_sub(1)?;
    settings.subnets[position].prefix.contains(address).then_some(position)
}
