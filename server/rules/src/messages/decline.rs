//! DHCPDECLINE (RFC 2131 section 4.3.3).

use super::Decided;
use crate::intent::{DropReason, Intent};
use crate::limits::{DECLINED_BY_CLIENT_MAX, DECLINED_BY_DEVICE_MAX};
use crate::offers::Offers;
use crate::request::{RelayWords, Request, Situation};
use crate::responsibility::{self, Addressee};
use replication_ledger::{Binding, BindingState, ClientRules, Command, LedgerView};
use std::net::Ipv4Addr;

/// How long nobody may have the address: what its subnet says, or the usual time if it is in none any more.
fn quarantine_seconds<V: LedgerView>(address: Ipv4Addr, situation: &Situation<'_, V>) -> u32 {
    let subnet = situation.settings().subnet_of(address);
    subnet.map_or(ClientRules::default().quarantine_seconds, |s| s.clients.quarantine_seconds)
}

/// Lets the client put one address more into quarantine, or says why not: it keeps this one then, and is offered no other.
///
/// Without the limit one device takes every address of a pool away from everybody, by taking, declining and asking anew.
fn within_limits<V: LedgerView>(
    request: &Request<'_>,
    binding: &Binding,
    situation: &Situation<'_, V>,
) -> Result<(), DropReason> {
    let view = situation.view;
    let is_full = |declined: &mut dyn Iterator<Item = &Binding>, max: usize| {
        let quarantined = declined.filter(|binding| binding.state == BindingState::Declined);
        quarantined.take(max).count() >= max
    };
    // What the relay says, or said when it was heard last.
    let stored = RelayWords::stored(&binding.relay_agent_information);
    let device = request.relay.remote_id.or(stored.remote_id);
    let by_client = is_full(&mut view.bindings_of_client(&request.client), DECLINED_BY_CLIENT_MAX);
    let by_device = device.is_some_and(|device| {
        is_full(&mut view.bindings_of_remote_id(device), DECLINED_BY_DEVICE_MAX)
    });
    match by_client || by_device {
        true => Err(DropReason::DeclineLimit),
        false => Ok(()),
    }
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
    let binding = binding.ok_or(DropReason::UnknownClient)?;
    within_limits(&request, binding, situation)?;
    let base_index = binding.changed_index;
    offers.release(&request.client);
    Ok(Intent::Record(Command::Decline {
        address,
        client: request.client,
        base_index,
        quarantine_seconds: quarantine_seconds(address, situation),
    }))
}
