//! BOOTREQUEST without option 53 (RFC 951, RFC 1534 section 2).
//!
//! A BOOTP client hears one reply and believes it for ever: there is no lease, no second message and no refusal. So the
//! promise is infinite, is committed before the reply leaves, and is not made by a member without a quorum.

use super::{Decided, Grant, promise, server_identifier};
use crate::allocator::{self, Choice};
use crate::answer::RequestState;
use crate::intent::{DropReason, Intent};
use crate::lease_terms::INFINITE_SECONDS;
use crate::offers::{Device, Offers};
use crate::parameters::Parameters;
use crate::reply::ReplyPlan;
use crate::request::{Request, Situation};
use crate::subnet_selection::Link;
use crate::{admission, probe, responsibility, subnet_selection};
use replication_ledger::{Binding, BindingState, BootpService, LedgerView, Timestamp};
use std::net::Ipv4Addr;

/// Gives the client its address for ever, or tells one that has an address what else it needs.
pub(super) fn bootp<'m, V: LedgerView>(
    mut request: Request<'m>,
    situation: &Situation<'m, V>,
    offers: &mut Offers,
) -> Decided<'m> {
    let link = subnet_selection::select(&request, situation).ok_or(DropReason::NoSubnet)?;
    // [H-56] Not configured for it: silently discarded.
    if link.subnets().all(|subnet| subnet.clients.bootp == BootpService::Refused) {
        return Err(DropReason::Bootp);
    }
    if !responsibility::answers(request.message, situation) {
        return Err(DropReason::NotMyBucket);
    }
    request.facts.locate(situation, link.subnets().next());
    if !request.message.header.ciaddr.is_unspecified() {
        return tell(&request, link, situation);
    }
    let choice =
        allocator::choose(&request, link, situation, offers).ok_or(DropReason::NoAddress)?;
    let Choice { address, subnet, reservation } = choice;
    let settings = situation.settings();
    let parameters = Parameters::for_request(&request, settings, subnet, reservation, address.ip);
    is_wanted(&request, &parameters)?;
    admission::within_limit(subnet, &request, &request.relay, situation)?;
    if situation.view.lease_limit_seconds().is_some() {
        // [AV-I4] A promise without a quorum is short, and this one can not be. One that stands is repeated.
        let stands = |b: &&Binding| b.client == request.client && is_for_ever(b);
        situation.view.binding(address).filter(stands).ok_or(DropReason::NoPermanentPromise)?;
        return Ok(reply(&request, address.ip, parameters, situation));
    }
    let device = Device::of(subnet.at(request.message.header.giaddr), &request.relay);
    offers.hold(address, &request.client, device, situation.now);
    if let Some(probe) = probe::needed(&choice, &request, situation, offers)? {
        return Ok(Intent::Probe(probe));
    }
    let relay = request.relay;
    // [H-57] For ever: it never expires, and only an operator ends it.
    let grant = Grant {
        state: RequestState::Bootp,
        address,
        lease_seconds: INFINITE_SECONDS,
        subnet,
        reservation,
        relay,
        shared_identifier: false,
    };
    Ok(promise(request, grant, situation))
}

fn is_for_ever(binding: &Binding) -> bool {
    binding.state == BindingState::Active && binding.until == Timestamp::NEVER
}

/// The client has an address and wants to know from whom to load its system.
fn tell<'m, V: LedgerView>(
    request: &Request<'m>,
    link: Link<'m>,
    situation: &Situation<'m, V>,
) -> Decided<'m> {
    let own = link.subnet_of(request.message.header.ciaddr);
    let subnet = own.or_else(|| link.subnets().next()).ok_or(DropReason::NoSubnet)?;
    if !admission::serves(subnet, request, &request.relay, situation) {
        return Err(DropReason::Bootp);
    }
    let address = request.message.header.ciaddr;
    let reservation = allocator::reservation_at(request, subnet, address, &request.relay);
    let settings = situation.settings();
    let parameters = Parameters::for_request(request, settings, subnet, reservation, address);
    is_wanted(request, &parameters)?;
    Ok(reply(request, Ipv4Addr::UNSPECIFIED, parameters, situation))
}

// [H-58] A BOOTREPLY: no message type, and no times of a lease.
fn reply<'m, V: LedgerView>(
    request: &Request<'m>,
    yiaddr: Ipv4Addr,
    parameters: Parameters<'m>,
    situation: &Situation<'m, V>,
) -> Intent<'m> {
    Intent::Reply(ReplyPlan {
        message: request.message,
        message_type: None,
        yiaddr,
        server_identifier: server_identifier(&request.relay, situation),
        terms: None,
        parameters: Some(parameters),
        explanation: "",
        rapid_commit: false,
        settings: situation.settings(),
    })
}

/// RFC 951 section 7.3: a client may want one server by its name.
fn is_wanted(request: &Request<'_>, from: &Parameters<'_>) -> Result<(), DropReason> {
    let ours = from.server_name();
    let wanted = request.message.sname();
    match wanted.is_empty() || ours.is_empty() || wanted.eq_ignore_ascii_case(ours.as_bytes()) {
        true => Ok(()),
        false => Err(DropReason::OtherServer),
    }
}
