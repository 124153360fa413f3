//! DHCPDISCOVER (RFC 2131 section 4.3.1).

use super::{Decided, limited, server_identifier};
use crate::allocator::{self, Choice};
use crate::intent::{DropReason, Intent};
use crate::lease_terms::{LeaseTerms, granted, granted_again};
use crate::offers::Offers;
use crate::reply::ReplyPlan;
use crate::reply_options::Parameters;
use crate::request::{Request, Situation};
use crate::{responsibility, subnet_selection};
use replication_ledger::{BindingState, LedgerView};
use server_wire::MessageType;

/// Offers an address and holds it.
pub(super) fn discover<'m, V: LedgerView>(
    request: Request<'m>,
    situation: &Situation<'m, V>,
    offers: &mut Offers,
) -> Decided<'m> {
    let message = request.message;
    if !responsibility::answers(message, situation) {
        return Err(DropReason::NotMyBucket);
    }
    let link = subnet_selection::select(&request, situation).ok_or(DropReason::NoSubnet)?;
    let choice =
        allocator::choose(&request, link, situation, offers).ok_or(DropReason::NoAddress)?;
    offers.hold(choice.address, &request.client, situation.now);
    let Choice { address, subnet, reservation } = choice;
    let lease_seconds = limited(offered_seconds(&request, &choice, situation), situation);
    Ok(Intent::Reply(ReplyPlan {
        message,
        message_type: MessageType::Offer,
        yiaddr: address,
        server_identifier: server_identifier(&request.relay, situation),
        terms: Some(LeaseTerms::of(&subnet.lease, lease_seconds, &request.client)),
        parameters: Some(Parameters { settings: situation.settings(), subnet, reservation }),
        explanation: "",
    }))
}

fn offered_seconds<V: LedgerView>(
    request: &Request<'_>,
    choice: &Choice<'_>,
    situation: &Situation<'_, V>,
) -> u32 {
    let (times, asked) = (&choice.subnet.lease, request.message.lease_time_seconds());
    match situation.view.binding(choice.address) {
        Some(binding)
            if binding.state == BindingState::Active && binding.client == request.client =>
        {
            granted_again(times, asked, binding.until, situation.now)
        }
        _ => granted(times, asked),
    }
}
