//! DHCPINFORM (RFC 2131 sections 3.4 and 4.3.5).

use super::{Decided, server_identifier};
use crate::intent::{DropReason, Intent};
use crate::offers::Offers;
use crate::reply::ReplyPlan;
use crate::reply_options::Parameters;
use crate::request::{Request, Situation};
use crate::{responsibility, subnet_selection};
use replication_ledger::LedgerView;
use server_wire::MessageType;
use std::net::Ipv4Addr;

/// Tells a client that has an address from elsewhere its parameters.
// [H-55] No lease is made, looked for or timed: no terms, no yiaddr.
pub(super) fn inform<'m, V: LedgerView>(
    request: Request<'m>,
    situation: &Situation<'m, V>,
    _offers: &mut Offers,
) -> Decided<'m> {
    let message = request.message;
    if request.came_to_several() && !responsibility::answers(message, situation) {
        return Err(DropReason::NotMyBucket);
    }
    let link = subnet_selection::select(&request, situation).ok_or(DropReason::NoSubnet)?;
    let own = link.subnet_of(message.header.ciaddr);
    let subnet = own.or_else(|| link.subnets().next()).ok_or(DropReason::NoSubnet)?;
    let reservation = situation
        .index
        .reservations(
            situation.settings(),
            link.positions,
            &request.client,
            &request.hardware,
            &request.relay,
        )
        .next();
    Ok(Intent::Reply(ReplyPlan {
        message,
        message_type: Some(MessageType::Ack),
        yiaddr: Ipv4Addr::UNSPECIFIED,
        server_identifier: server_identifier(&request.relay, situation),
        terms: None,
        parameters: Some(Parameters::of(
            message.vendor_class_identifier(),
            situation.settings(),
            subnet,
            reservation,
        )),
        explanation: "",
        rapid_commit: false,
        settings: situation.settings(),
    }))
}
