//! Whether a client may have an address at all, whatever addresses there are: the operator's word.

use crate::intent::DropReason;
use crate::request::{RelayWords, Request, Situation};
use crate::subnet_selection::position_of;
use replication_ledger::{BindingState, BootpService, LedgerView, Subnet};

/// True if this subnet serves the client. `relay` is what the relay says, or said when it was heard last.
// [H-31] Administrative policy: where only known clients are served, the others are ignored.
pub(crate) fn serves<V: LedgerView>(
    subnet: &Subnet,
    request: &Request<'_>,
    relay: &RelayWords<'_>,
    situation: &Situation<'_, V>,
) -> bool {
    let rules = &subnet.clients;
    let reserved_only = match (request.message.is_bootp(), rules.bootp) {
        (true, BootpService::Refused) => return false,
        // [H-57] Automatic addresses are behind a switch of their own.
        (true, BootpService::Reserved) => true,
        (true, BootpService::Automatic) | (false, _) => rules.known_only,
    };
    !reserved_only || is_known(subnet, request, relay, situation)
}

/// True if anything on the subnet's link is reserved for the client.
fn is_known<V: LedgerView>(
    subnet: &Subnet,
    request: &Request<'_>,
    relay: &RelayWords<'_>,
    situation: &Situation<'_, V>,
) -> bool {
    let settings = situation.settings();
    let Some(position) = position_of(settings, subnet.prefix.address) else { return false };
    let link = situation.index.link(position);
    let (client, hardware) = (&request.client, &request.hardware);
    situation.index.reservations(settings, link, client, hardware, relay).next().is_some()
}

/// Lets the client have one address more behind its relay's Agent Remote ID, or says why not. What it has already counts
/// for nothing.
///
/// Two clients whose promises cross on the way to the log may pass the limit together.
// [O-08] A device that forges hardware addresses takes no more than its share of the pool.
pub(crate) fn within_limit<V: LedgerView>(
    subnet: &Subnet,
    request: &Request<'_>,
    relay: &RelayWords<'_>,
    situation: &Situation<'_, V>,
) -> Result<(), DropReason> {
    let (Some(max), Some(remote_id)) =
        (subnet.clients.addresses_per_remote_id_max, relay.remote_id)
    else {
        return Ok(());
    };
    let others = situation.view.bindings_of_remote_id(remote_id).filter(|binding| {
        binding.state == BindingState::Active && binding.client != request.client
    });
    // One more than the most is never looked at: the device may have had thousands of addresses.
    match others.take(max as usize).count() < max as usize {
        true => Ok(()),
        false => Err(DropReason::RemoteIdLimit),
    }
}
