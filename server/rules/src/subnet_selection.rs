//! Which link a client is on: RFC 3527, RFC 3011, giaddr, in this order.

use crate::network_index::SubnetPosition;
use crate::request::{Request, Situation};
use replication_ledger::{BindingState, LedgerView, Settings, Subnet, Vpn, VpnAddress, VpnNumber};
use server_wire::{Message, OptionCode};
use std::net::Ipv4Addr;

/// Virtual subnet selection of the global VPN (RFC 6607 section 3.5).
const GLOBAL_VPN: &[u8] = &[255];

/// The subnets of one link, the one that the message named first.
#[derive(Clone, Copy, Debug)]
pub struct Link<'a> {
    settings: &'a Settings,
    /// The VPN that it is in.
    pub(crate) vpn: VpnNumber,
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
    // Whatever names the link names it in the client's VPN, where the same address may be another link's.
    let vpn = request.vpn?;
    let position_of = |ip| settings.subnet_position(VpnAddress { vpn, ip });
    // [O-10] [O-11] Sub-option 5 beats everything. An unknown subnet there is no subnet: offering elsewhere is forbidden.
    let position = if let Some(subnet) = request.relay.link_selection {
        position_of(subnet)
    // [O-13] Option 118 comes next and is as binding.
    } else if let Some(subnet) = request.message.subnet_selection().filter(|_| by_option) {
        position_of(subnet)
    } else if request.is_relayed() {
        let by_relay = situation.index.subnet_of_relay(VpnAddress { vpn, ip: header.giaddr });
        by_relay.or_else(|| position_of(header.giaddr))
    } else if let Some(link) = request.arrival.link {
        position_of(link)
    } else {
        // Unicast without a relay: the client has an address, and it can only be used on its own link.
        position_of(header.ciaddr)
    };
    // [H-33] giaddr chooses a link, not only its subnet.
    Some(Link { settings, vpn, positions: situation.index.link(position?) })
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
    // Of a VPN that is not configured no address is: the first one stands for the link, and the message is dropped later.
    let Some(vpn) = vpn_of(message, None, settings) else {
        return addresses.clone().next();
    };
    let position = |ip: &Ipv4Addr| settings.subnet_position(VpnAddress { vpn, ip: *ip });
    let has_named = |address: &Ipv4Addr| {
        named.zip(position(address)).is_some_and(|(named, position)| {
            let link = Link { settings, vpn, positions: situation.index.link(position) };
            link.subnet_of(named).is_some()
        })
    };
    let mut all = addresses.clone();
    let of_named = addresses.clone().find(has_named);
    of_named.or_else(|| addresses.clone().find(|a| position(a).is_some())).or_else(|| all.next())
}

/// The VPN that the message names: the global one if it names none, or if VPNs are not configured; none if it names one that is not
/// configured. `by_relay` is its sub-option 151.
// [O-48] An address is allocated in the VPN named, or not at all.
// [O-51] With VSS-Control beside it or without.
// [O-55] What is in a VPN is not for who does not name it: the relay would take the address for a global one.
pub(crate) fn vpn_of(
    message: &Message<'_>,
    by_relay: Option<&[u8]>,
    settings: &Settings,
) -> Option<VpnNumber> {
    if !settings.reception.vss {
        return Some(VpnNumber::GLOBAL);
    }
    match vpn_named(message, by_relay, settings).filter(|raw| *raw != GLOBAL_VPN) {
        None => Some(VpnNumber::GLOBAL),
        Some(identifier) => settings.vpn_named(identifier).map(Vpn::number),
    }
}

/// The VPN of a client that speaks of its own address without its relay, which would have named it.
///
/// That is the global one if this address is one of its; else the one in which the client holds the address. If there are several
/// it is not known which is meant: the client is heard through its relay later.
pub(crate) fn vpn_of_holder<V: LedgerView>(
    request: &Request<'_>,
    address: Ipv4Addr,
    situation: &Situation<'_, V>,
) -> Option<VpnNumber> {
    let settings = situation.settings();
    let is_named = request.vpn != Some(VpnNumber::GLOBAL)
        || vpn_named(request.message, request.relay.vss, settings).is_some();
    if !settings.reception.vss || request.is_relayed() || is_named {
        return request.vpn;
    }
    if settings.subnet_of(VpnAddress::global(address)).is_some() {
        return Some(VpnNumber::GLOBAL);
    }
    let records = situation.view.bindings_of_client(&request.client);
    let mut held = records
        .filter(|binding| binding.address.ip == address && binding.state == BindingState::Active);
    match (held.next(), held.next()) {
        (Some(binding), None) => Some(binding.address.vpn),
        _ => None,
    }
}

/// The VPN of sub-option 151, or of option 221 where a client may choose this one.
// [O-54] The relay is nearer and knows better.
pub(crate) fn vpn_named<'a>(
    message: &'a Message<'_>,
    by_relay: Option<&'a [u8]>,
    settings: &Settings,
) -> Option<&'a [u8]> {
    // RFC 6607 section 9: or else anybody could exhaust the pools of any VPN.
    let may_choose = |identifier: &&[u8]| {
        let named = settings.vpn_named(identifier).map(Vpn::number);
        let listed = |number| settings.reception.vpn_option.binary_search(&number).is_ok();
        *identifier == GLOBAL_VPN || named.is_some_and(listed)
    };
    by_relay.or_else(|| message.option(OptionCode::VSS).filter(may_choose))
}
