//! DHCPDECLINE (RFC 2131 section 4.3.3).

use super::Decided;
use crate::intent::{DropReason, Intent};
use crate::limits::{DECLINED_BY_CLIENT_MAX, DECLINED_BY_DEVICE_MAX};
use crate::offers::Offers;
use crate::request::{Request, Situation};
use crate::responsibility::{self, Addressee};
use crate::subnet_selection;
use replication_ledger::{
    Binding, BindingState, ClientRules, Command, LedgerView, VpnAddress, VpnNumber,
};
use server_wire::SubOptionCode;

/// How long nobody may have the address: what its subnet says, or the usual time if it is in none any more.
pub(crate) fn quarantine_seconds<V: LedgerView>(
    address: VpnAddress,
    situation: &Situation<'_, V>,
) -> u32 {
    let subnet = situation.settings().subnet_of(address);
    subnet.map_or(ClientRules::default().quarantine_seconds, |s| s.clients.quarantine_seconds)
}

/// Lets the client put one address more into quarantine, or says why not: it keeps this one then, and is offered no other.
///
/// Without the limit one device takes every address of a pool away from everybody, by taking, declining and asking anew.
fn within_limits<V: LedgerView>(
    binding: &Binding,
    situation: &Situation<'_, V>,
) -> Result<(), DropReason> {
    let view = situation.view;
    let vpn = binding.address.vpn;
    let by_client = is_full(view.bindings_of_client(&binding.client), vpn, DECLINED_BY_CLIENT_MAX);
    let max = DECLINED_BY_DEVICE_MAX;
    // What the relay said when the address was taken. Its Agent Remote ID may name the device, or itself and the Agent
    // Circuit ID the device's port.
    let circuit = binding.relay_sub_option(SubOptionCode::CIRCUIT_ID.0);
    let by_device = match (binding.relay_sub_option(SubOptionCode::REMOTE_ID.0), binding.circuit())
    {
        (Some(remote), _) => {
            let of_device =
                |b: &&Binding| b.relay_sub_option(SubOptionCode::CIRCUIT_ID.0) == circuit;
            is_full(view.bindings_of_remote_id(remote).filter(of_device), vpn, max)
        }
        (None, Some((giaddr, circuit))) => {
            is_full(view.bindings_of_circuit(giaddr, circuit), vpn, max)
        }
        (None, None) => false,
    };
    match by_client || by_device {
        true => Err(DropReason::DeclineLimit),
        false => Ok(()),
    }
}

/// True if so many of these, in this VPN, are in quarantine.
fn is_full<'b>(bindings: impl Iterator<Item = &'b Binding>, vpn: VpnNumber, max: usize) -> bool {
    let declined = bindings
        .filter(|binding| binding.state == BindingState::Declined && binding.address.vpn == vpn);
    declined.take(max).count() >= max
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
    let vpn = subnet_selection::vpn_of_holder(&request, address, situation);
    let address = VpnAddress { vpn: vpn.ok_or(DropReason::NoSubnet)?, ip: address };
    let binding = situation.view.binding(address).filter(|binding| {
        binding.client == request.client && binding.state == BindingState::Active
    });
    let binding = binding.ok_or(DropReason::UnknownClient)?;
    within_limits(binding, situation)?;
    let base_index = binding.changed_index;
    offers.release(address.vpn, &request.client);
    Ok(Intent::Record(Command::Decline {
        address,
        client: request.client,
        base_index,
        quarantine_seconds: quarantine_seconds(address, situation),
    }))
}
