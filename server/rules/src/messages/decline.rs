//! DHCPDECLINE (RFC 2131 section 4.3.3).

use super::Decided;
use crate::intent::{DropReason, Intent};
use crate::offers::Offers;
use crate::request::{Request, Situation};
use crate::responsibility::{self, Addressee};
use replication_ledger::{BindingState, ClientRules, Command, LedgerView};
use std::net::Ipv4Addr;

/// How long nobody may have the address: what its subnet says, or the usual time if it is in none any more.
fn quarantine_seconds<V: LedgerView>(address: Ipv4Addr, situation: &Situation<'_, V>) -> u32 {
    let subnet = situation.settings().subnet_of(address);
    subnet.map_or(ClientRules::default().quarantine_seconds, |s| s.clients.quarantine_seconds)
}

/// Puts the address into quarantine. No reply.
// [H-53] The address is in option 50 and option 54 is ours.
pub(super) fn decline<'m, V: LedgerView>(
    request: Request<'m>,
    situation: &Situation<'m, V>,
    offers: &mut Offers,
) -> Decided<'m> {
    let message = request.message;
    let address = message.requested_ip_address().ok_or(DropReason::NoRequestedAddress)?;
    let named = message.server_identifier().ok_or(DropReason::OtherServer)?;
    match responsibility::addressee(named, &request, situation) {
        Addressee::Other => return Err(DropReason::OtherServer),
        Addressee::Several if !responsibility::answers(message, situation) => {
            return Err(DropReason::NotMyBucket);
        }
        Addressee::Several | Addressee::Me => {}
    }
    let binding = situation.view.binding(address).filter(|binding| {
        binding.client == request.client && binding.state == BindingState::Active
    });
    let base_index = binding.ok_or(DropReason::UnknownClient)?.changed_index;
    offers.release(&request.client);
    Ok(Intent::Record(Command::Decline {
        address,
        client: request.client,
        base_index,
        quarantine_seconds: quarantine_seconds(address, situation),
    }))
}
