//! DHCPINFORM (RFC 2131 sections 3.4 and 4.3.5).

use super::{Decided, server_identifier};
use crate::intent::{DropReason, Intent};
use crate::offers::Offers;
use crate::parameters::Parameters;
use crate::reply::ReplyPlan;
use crate::request::{Request, Situation};
use crate::{responsibility, subnet_selection};
use replication_ledger::LedgerView;
use server_wire::MessageType;
use std::net::Ipv4Addr;

/// Tells a client that has an address from elsewhere its parameters.
// [H-55] No lease is made, looked for or timed: no terms, no yiaddr.
pub(super) fn inform<'m, V: LedgerView>(
    mut request: Request<'m>,
    situation: &Situation<'m, V>,
    _offers: &mut Offers,
) -> Decided<'m> {
    let message = request.message;
    if request.came_to_several() && !responsibility::answers(message, situation) {
        return Err(DropReason::NotMyBucket);
    }
    let link = subnet_selection::select(&request, situation).ok_or(DropReason::NoSubnet)?;
    let settings = situation.settings();
    request.facts.locate(situation, link.subnets().next());
    let own = link.subnet_of(message.header.ciaddr);
    let subnet = own.or_else(|| link.subnets().next()).ok_or(DropReason::NoSubnet)?;
    let reservation =
        situation.index.reservations(settings, link.positions, &request, &request.relay).next();
    let address = message.header.ciaddr;
    Ok(Intent::Reply(ReplyPlan {
        message,
        message_type: Some(MessageType::Ack),
        yiaddr: Ipv4Addr::UNSPECIFIED,
        server_identifier: server_identifier(&request.relay, situation),
        terms: None,
        parameters: Some(Parameters::for_request(&request, settings, subnet, reservation, address)),
        explanation: "",
        rapid_commit: false,
        settings,
    }))
}
