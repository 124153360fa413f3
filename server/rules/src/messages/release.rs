//! DHCPRELEASE (RFC 2131 section 4.3.4).

use super::Decided;
use crate::intent::{DropReason, Intent};
use crate::offers::Offers;
use crate::request::{Request, Situation};
use crate::responsibility::{self, Addressee};
use crate::subnet_selection;
use replication_ledger::{BindingState, Command, LedgerView, VpnAddress};

/// Ends the promise. No reply; the record keeps the client for when it comes back.
// [H-54] The address is in ciaddr; the identifier must match the lease's.
pub(super) fn release<'m, V: LedgerView>(
    request: Request<'m>,
    situation: &Situation<'m, V>,
    offers: &mut Offers,
) -> Decided<'m> {
    let message = request.message;
    let address = message.header.ciaddr;
    if address.is_unspecified() {
        return Err(DropReason::NoRequestedAddress);
    }
    // Option 54 is a must (table 5), but the unicast without it was sent to us by somebody who meant us.
    let named = message.server_identifier().unwrap_or(request.arrival.local);
    match responsibility::addressee(named, &request, situation) {
        Addressee::Other => return Err(DropReason::OtherServer),
        // A relay may hand one message to every member: one of them records it.
        Addressee::Several
            if request.came_to_several() && !responsibility::answers(message, situation) =>
        {
            return Err(DropReason::NotMyBucket);
        }
        Addressee::Several | Addressee::Me => {}
    }
    // Unicast, as a rule without a relay that would name the VPN.
    let vpn = subnet_selection::vpn_of_holder(&request, address, situation);
    let address = VpnAddress { vpn: vpn.ok_or(DropReason::NoSubnet)?, ip: address };
    let binding = situation.view.binding(address).filter(|binding| {
        binding.client == request.client && binding.state == BindingState::Active
    });
    let base_index = binding.ok_or(DropReason::UnknownClient)?.changed_index;
    offers.release(address.vpn, &request.client);
    Ok(Intent::Record(Command::Release { address, client: request.client, base_index }))
}
