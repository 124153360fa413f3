//! DHCPDISCOVER (RFC 2131 section 4.3.1).

use super::{Decided, Grant, limited, promise, server_identifier};
use crate::allocator::{self, Choice};
use crate::answer::RequestState;
use crate::intent::{DropReason, Intent};
use crate::lease_terms::{LeaseTerms, granted, granted_again};
use crate::offers::{Device, Offers};
use crate::parameters::Parameters;
use crate::reply::ReplyPlan;
use crate::reply_options::prevents_auto_configuration;
use crate::request::{Request, Situation};
use crate::subnet_selection::Link;
use crate::{admission, probe, responsibility, subnet_selection};
use replication_ledger::{BindingState, LedgerView, VpnAddress};
use server_wire::{Message, MessageType, OptionCode};
use std::net::Ipv4Addr;

/// Offers an address and holds it, or gives it at once.
pub(super) fn discover<'m, V: LedgerView>(
    mut request: Request<'m>,
    situation: &Situation<'m, V>,
    offers: &mut Offers,
) -> Decided<'m> {
    let message = request.message;
    if !responsibility::answers(message, situation) {
        return Err(DropReason::NotMyBucket);
    }
    let link = subnet_selection::select(&request, situation).ok_or(DropReason::NoSubnet)?;
    request.facts.locate(situation, link.subnets().next());
    if let Some(parameters) = ipv6_mostly(&request, link, situation) {
        return Ok(offer_nothing(&request, parameters, situation));
    }
    let Some(choice) = allocator::choose(&request, link, situation, offers) else {
        return without_address(&request, link, situation);
    };
    let Choice { address, subnet, reservation } = choice;
    admission::within_limit(subnet, &request, &request.relay, situation)?;
    let settings = situation.settings();
    let parameters = Parameters::for_request(&request, settings, subnet, reservation, address.ip);
    let device = Device::of(subnet.at(message.header.giaddr), &request.relay);
    offers.hold(address, &request.client, device, situation.now);
    if let Some(probe) = probe::needed(&choice, &request, situation, offers)? {
        return Ok(Intent::Probe(probe));
    }
    let lease_seconds = offered_seconds(&request, &parameters, address, situation);
    if commits_at_once(message, &parameters, situation) {
        let relay = request.relay;
        let grant = Grant {
            state: RequestState::Init,
            address,
            lease_seconds,
            subnet,
            reservation,
            relay,
            shared_identifier: false,
        };
        return Ok(promise(request, grant, situation));
    }
    let lease_seconds = limited(lease_seconds, situation);
    Ok(Intent::Reply(ReplyPlan {
        message,
        message_type: Some(MessageType::Offer),
        yiaddr: address.ip,
        server_identifier: server_identifier(&request.relay, situation),
        terms: Some(LeaseTerms::of(&subnet.lease, lease_seconds, &request.client)),
        parameters: Some(parameters),
        explanation: "",
        rapid_commit: false,
        settings: situation.settings(),
    }))
}

/// Where the client gets its parameters from, if it wants option 108 and is on a link where it gets it.
// [O-59] Such a client is offered no address and none is held for it; if it asks for one all the same it gets it.
fn ipv6_mostly<'m, V: LedgerView>(
    request: &Request<'m>,
    link: Link<'m>,
    situation: &Situation<'m, V>,
) -> Option<Parameters<'m>> {
    let wanted = OptionCode::IPV6_ONLY_PREFERRED;
    request.message.parameter_request_list().find(|code| *code == wanted)?;
    let parameters = place_of(request, link, situation)?;
    parameters.prefers_ipv6(request.message).then_some(parameters)
}

/// Without an address to give: silence, but for a client that would make one of its own where it must not.
fn without_address<'m, V: LedgerView>(
    request: &Request<'m>,
    link: Link<'m>,
    situation: &Situation<'m, V>,
) -> Decided<'m> {
    let parameters = place_of(request, link, situation).ok_or(DropReason::NoAddress)?;
    match prevents_auto_configuration(request.message, parameters.subnet) {
        true => Ok(offer_nothing(request, parameters, situation)),
        false => Err(DropReason::NoAddress),
    }
}

/// The client's reservation and its subnet, else the first subnet of the link that has pools.
fn place_of<'m, V: LedgerView>(
    request: &Request<'m>,
    link: Link<'m>,
    situation: &Situation<'m, V>,
) -> Option<Parameters<'m>> {
    let settings = situation.settings();
    let relay = &request.relay;
    let reservation = situation.index.reservations(settings, link.positions, request, relay).next();
    let reserved = reservation.and_then(|reservation| link.subnet_of(reservation.address));
    let with_pools = || link.subnets().find(|subnet| !subnet.pools.is_empty());
    let subnet = reserved.or_else(with_pools).or_else(|| link.subnets().next())?;
    let nowhere = Ipv4Addr::UNSPECIFIED;
    Some(Parameters::for_request(request, settings, subnet, reservation, nowhere))
}

/// A DHCPOFFER of 0.0.0.0.
fn offer_nothing<'m, V: LedgerView>(
    request: &Request<'m>,
    parameters: Parameters<'m>,
    situation: &Situation<'m, V>,
) -> Intent<'m> {
    let times = &parameters.lease_times();
    Intent::Reply(ReplyPlan {
        message: request.message,
        message_type: Some(MessageType::Offer),
        yiaddr: Ipv4Addr::UNSPECIFIED,
        server_identifier: server_identifier(&request.relay, situation),
        terms: Some(LeaseTerms::of(times, times.default_seconds, &request.client)),
        parameters: Some(parameters),
        explanation: "",
        rapid_commit: false,
        settings: situation.settings(),
    })
}

/// True if this DHCPDISCOVER is answered with a DHCPACK.
// [O-27] If both the client and the operator of its subnet want that; the promise is committed first, as any.
// [O-30] Only by the member whose share the client is in: another that answers because nobody did so far would bind the client
// a second address.
// [O-31] A client that prefers IPv6 will not use the address.
fn commits_at_once<V: LedgerView>(
    message: &Message<'_>,
    parameters: &Parameters<'_>,
    situation: &Situation<'_, V>,
) -> bool {
    message.rapid_commit()
        && parameters.subnet.clients.rapid_commit
        && responsibility::owns(message, situation)
        && !parameters.prefers_ipv6(message)
}

fn offered_seconds<V: LedgerView>(
    request: &Request<'_>,
    parameters: &Parameters<'_>,
    address: VpnAddress,
    situation: &Situation<'_, V>,
) -> u32 {
    let (times, asked) = (&parameters.lease_times(), request.message.lease_time_seconds());
    match situation.view.binding(address) {
        Some(binding)
            if binding.state == BindingState::Active && binding.client == request.client =>
        {
            granted_again(times, asked, binding.until, situation.now)
        }
        _ => granted(times, asked),
    }
}
