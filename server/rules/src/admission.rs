//! Whether a client may have an address at all, whatever addresses there are: the operator's word.

use crate::intent::DropReason;
use crate::request::{RelayWords, Request, Situation};
use replication_ledger::{Binding, BindingState, BootpService, Class, LedgerView, Subnet};
use server_wire::SubOptionCode;

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
    let at = subnet.at(subnet.prefix.address);
    let Some(position) = settings.subnet_position(at) else { return false };
    let link = situation.index.link(position);
    situation.index.reservations(settings, link, request, relay).next().is_some()
}

/// Lets the client have one address more in its classes, behind its relay's Agent Remote ID and on its circuit, or says why not. What it
/// has already counts for nothing.
///
/// Two clients whose promises cross on the way to the log may pass the limit together.
// [O-08] A device that forges hardware addresses takes no more than its share of the pool.
pub(crate) fn within_limit<V: LedgerView>(
    subnet: &Subnet,
    request: &Request<'_>,
    relay: &RelayWords<'_>,
    situation: &Situation<'_, V>,
) -> Result<(), DropReason> {
    let classes = request.facts.classes;
    if classes.of(situation.settings()).any(|class| is_class_full(class, request, situation)) {
        return Err(DropReason::ClassLimit);
    }
    let of_class = |max: fn(&Class) -> Option<u32>| classes.of(situation.settings()).find_map(max);
    let rules = &subnet.clients;
    let max = of_class(|class| class.addresses_per_remote_id_max);
    if let Some(max) = max.or(rules.addresses_per_remote_id_max)
        && let Some(remote_id) = relay.remote_id
        && is_full(situation.view.bindings_of_remote_id(remote_id), max, subnet, request)
    {
        return Err(DropReason::RemoteIdLimit);
    }
    let max = of_class(|class| class.addresses_per_circuit_id_max);
    if let (Some(max), Some(circuit_id)) =
        (max.or(rules.addresses_per_circuit_id_max), relay.circuit_id)
    {
        // The words of one relay: its Agent Remote ID names it, else its address does.
        let full = match relay.remote_id {
            Some(remote_id) => {
                let of_circuit =
                    |b: &&Binding| b.relay_sub_option(AGENT_CIRCUIT_ID) == Some(circuit_id);
                let of_relay = situation.view.bindings_of_remote_id(remote_id);
                is_full(of_relay.filter(of_circuit), max, subnet, request)
            }
            None => {
                let giaddr = request.message.header.giaddr;
                let of_circuit = situation.view.bindings_of_circuit(giaddr, circuit_id);
                is_full(of_circuit, max, subnet, request)
            }
        };
        if full {
            return Err(DropReason::CircuitIdLimit);
        }
    }
    Ok(())
}

/// True if other clients of the class hold as many addresses as all of them may.
///
/// The count is of the whole cluster as this member knows it; members that do not hear one another count for themselves.
fn is_class_full<V: LedgerView>(
    class: &Class,
    request: &Request<'_>,
    situation: &Situation<'_, V>,
) -> bool {
    let (Some(number), Some(max)) = (class.limited(), class.addresses_max) else { return false };
    let view = situation.view;
    let held = view.held_in_class(number);
    if held < u64::from(max) {
        return false;
    }
    let own = view.bindings_of_client(&request.client).filter(|binding| {
        binding.state == BindingState::Active && binding.classes.contains(number)
    });
    // Alone, the two counts may be of different moments.
    held.saturating_sub(own.count() as u64) >= u64::from(max)
}

/// Agent Circuit ID, as a number.
const AGENT_CIRCUIT_ID: u8 = SubOptionCode::CIRCUIT_ID.0;

/// True if other clients hold as many of these as there may be. A relay of another VPN may have the same address and the same words.
fn is_full<'b>(
    bindings: impl Iterator<Item = &'b Binding>,
    max: u32,
    subnet: &Subnet,
    request: &Request<'_>,
) -> bool {
    let vpn = subnet.vpn.number();
    let others = bindings.filter(|binding| {
        binding.state == BindingState::Active
            && binding.address.vpn == vpn
            && binding.client != request.client
    });
    // One more than the most is never looked at: the device may have had thousands of addresses.
    others.take(max as usize).count() >= max as usize
}
