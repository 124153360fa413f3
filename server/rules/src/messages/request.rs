//! # DHCPREQUEST (RFC 2131 section 4.3.2)
//!
//! **Problem.** One message has four meanings. Some of them are for this member alone, some for any, and a wrong
//! DHCPNAK takes a working address from a client.
//!
//! **Model.** First the state that the client shows, then whether this member is the one to answer, then whether the
//! address belongs on the client's link, then whether the client is known. What remains is proposed: the ledger
//! decides at the command's own place in the log, and [`crate::answer`] turns its refusal into a DHCPNAK or silence.
//!
//! **Hazards.** An offer forgotten by a restart: SELECTING is proposed all the same, the ledger knows whether this
//! member still owns the address. A view that lags: a client that was bound elsewhere a moment ago may look unknown,
//! and gets silence, not a DHCPNAK.

use super::{Decided, Grant, promise, server_identifier};
use crate::admission;
use crate::allocator;
use crate::answer::RequestState;
use crate::intent::{DropReason, Intent};
use crate::lease_terms::{granted, granted_again};
use crate::offers::Offers;
use crate::parameters::Parameters;
use crate::reply::ReplyPlan;
use crate::request::{RelayWords, Request, Situation};
use crate::responsibility::{self, Addressee};
use crate::subnet_selection;
use replication_ledger::{
    Authoritative, Binding, BindingState, Holder, LedgerView, Mode, Subnet, VpnAddress,
};
use std::net::Ipv4Addr;

const WRONG_NETWORK: &str = "the address is not on this network";
const WRONG_ADDRESS: &str = "the client has another address";
const UNKNOWN_CLIENT: &str = "the client has no address here";
const NOT_FOR_CLASS: &str = "the address is not for clients of this class";
const OFFER_OVER: &str = "the offer has run out";

/// Bit of sub-option 10: the relay received the message as unicast (RFC 5010 section 3).
const FLAG_UNICAST: u8 = 0x80;

pub(super) fn request<'m, V: LedgerView>(
    request: Request<'m>,
    situation: &Situation<'m, V>,
    offers: &mut Offers,
) -> Decided<'m> {
    let (state, address) = state_of(&request)?;
    if state == RequestState::Selecting {
        return select(request, address, situation, offers);
    }
    // [H-49] A renewal came to this very member: it answers, whoever's bucket it is. What others hear, too, is
    // answered by one.
    if request.came_to_several() && !responsibility::answers(request.message, situation) {
        return Err(DropReason::NotMyBucket);
    }
    verify(request, state, address, situation)
}

/// Table 4: the state and the address it is about.
fn state_of(request: &Request<'_>) -> Result<(RequestState, Ipv4Addr), DropReason> {
    let message = request.message;
    let ciaddr = message.header.ciaddr;
    if !ciaddr.is_unspecified() {
        let flags = message.relay_agent_information().and_then(|information| information.flags());
        // [O-17] Behind a relay the flag tells renewing from rebinding; its absence tells nothing. On our own link we heard a broadcast.
        let unicast =
            !request.came_to_several() || flags.is_some_and(|flags| flags & FLAG_UNICAST != 0);
        let state = if unicast { RequestState::Renewing } else { RequestState::Rebinding };
        return Ok((state, ciaddr));
    }
    let address = message.requested_ip_address().ok_or(DropReason::NoRequestedAddress)?;
    match message.server_identifier() {
        Some(_) => Ok((RequestState::Selecting, address)),
        None => Ok((RequestState::InitReboot, address)),
    }
}

/// SELECTING: the client took an offer, ours or another's.
fn select<'m, V: LedgerView>(
    mut request: Request<'m>,
    address: Ipv4Addr,
    situation: &Situation<'m, V>,
    offers: &mut Offers,
) -> Decided<'m> {
    let message = request.message;
    // `state_of` saw option 54.
    let named = message.server_identifier().ok_or(DropReason::OtherServer)?;
    let addressee = responsibility::addressee(named, &request, situation);
    let vpn = request.vpn.ok_or(DropReason::NoSubnet)?;
    let address = VpnAddress { vpn, ip: address };
    let ours = offers.offered_to(vpn, &request.client, situation.now) == Some(address);
    match addressee {
        Addressee::Other => {
            // [H-41] Another server's offer was taken: ours is free again.
            offers.release(vpn, &request.client);
            return Err(DropReason::OtherServer);
        }
        // Several members share the identifier: whoever made the offer answers, else whose bucket it is [AV-Q7].
        Addressee::Several if !ours && !responsibility::answers(message, situation) => {
            return Err(DropReason::NotMyBucket);
        }
        Addressee::Several | Addressee::Me => {}
    }
    let link = subnet_selection::select(&request, situation).ok_or(DropReason::NoSubnet)?;
    let settings = situation.settings();
    request.facts.locate(situation, link.subnets().next());
    let identifier = server_identifier(&request.relay, situation);
    let nak = |text| Ok(Intent::Reply(ReplyPlan::nak(message, settings, identifier, text)));
    let Some(subnet) = link.subnet_of(address.ip) else { return nak(WRONG_NETWORK) };
    let binding = binding_of(&request, address, situation);
    if binding.is_none() && offers.is_held_for_another(address, &request.client, situation.now) {
        return if situation.mode == Mode::Isolated {
            Err(DropReason::NoAddress)
        } else {
            nak(OFFER_OVER)
        };
    }
    let relay = request.relay;
    let reservation = allocator::reservation_at(&request, subnet, address.ip, &relay);
    if reservation.is_none() && !admission::serves(subnet, &request, &relay, situation) {
        return Err(DropReason::NotKnown);
    }
    if reservation.is_none() && !request.facts.classes.may_use(subnet.pool_rules_of(address.ip)) {
        return not_for_class(situation, nak);
    }
    let parameters = Parameters::for_request(&request, settings, subnet, reservation, address.ip);
    let (times, asked) = (&parameters.lease_times(), message.lease_time_seconds());
    let lease_seconds = match binding {
        // The same time as in the offer, so that the two do not conflict.
        Some(binding) if binding.state == BindingState::Active => {
            granted_again(times, asked, binding.until, situation.now)
        }
        _ => granted(times, asked),
    };
    if binding.is_none_or(|binding| binding.state != BindingState::Active) {
        admission::within_limit(subnet, &request, &relay, situation)?;
    }
    let grant = Grant {
        state: RequestState::Selecting,
        address,
        lease_seconds,
        subnet,
        reservation,
        relay,
        shared_identifier: addressee == Addressee::Several,
    };
    Ok(promise(request, grant, situation))
}

/// INIT-REBOOT, RENEWING, REBINDING: the client believes that it has this address.
fn verify<'m, V: LedgerView>(
    mut request: Request<'m>,
    state: RequestState,
    address: Ipv4Addr,
    situation: &Situation<'m, V>,
) -> Decided<'m> {
    let message = request.message;
    // Nor does who renews by unicast have to name its VPN: that is its relay's business, and the relay did not see this.
    let vpn = match state {
        RequestState::Renewing => subnet_selection::vpn_of_holder(&request, address, situation),
        _ => request.vpn,
    };
    let address = VpnAddress { vpn: vpn.ok_or(DropReason::NoSubnet)?, ip: address };
    let binding = binding_of(&request, address, situation);
    let relay = effective_relay(&request, binding);
    let identifier = server_identifier(&relay, situation);
    let settings = situation.settings();
    let nak = |text| Ok(Intent::Reply(ReplyPlan::nak(message, settings, identifier, text)));
    let subnet = match subnet_for(&request, state, address, situation)? {
        Some(subnet) => subnet,
        // [H-45] This needs no record of the client: the configuration says what is on the link. The other states, too,
        // must not go on with an address that can not work [H-50].
        None => return nak(WRONG_NETWORK),
    };
    let giaddr = match binding {
        Some(binding) if !request.is_relayed() => binding.giaddr,
        _ => message.header.giaddr,
    };
    request.facts.locate_behind(situation, subnet, relay, giaddr);
    let reservation = allocator::reservation_at(&request, subnet, address.ip, &relay);
    if reservation.is_none() && !admission::serves(subnet, &request, &relay, situation) {
        return Err(DropReason::NotKnown);
    }
    // The configuration says it, not a record: whoever has a quorum knows it.
    if reservation.is_none() && !request.facts.classes.may_use(subnet.pool_rules_of(address.ip)) {
        return not_for_class(situation, nak);
    }
    if binding.is_none() && reservation.is_none() {
        let knows = knows_all_about(address, situation);
        if knows && has_other_address(&request, address, situation) {
            // [H-46] A known client with another address.
            return nak(WRONG_ADDRESS);
        }
        if knows && subnet.clients.authoritative == Authoritative::Clients {
            // The operator says that there is no other server.
            return nak(UNKNOWN_CLIENT);
        }
        // [H-44] No record of the client: another server may know it.
        return Err(DropReason::UnknownClient);
    }
    let parameters = Parameters::for_request(&request, settings, subnet, reservation, address.ip);
    let grant = Grant {
        state,
        address,
        lease_seconds: granted(&parameters.lease_times(), message.lease_time_seconds()),
        subnet,
        reservation,
        relay,
        shared_identifier: false,
    };
    Ok(promise(request, grant, situation))
}

/// The subnet of the address on the client's link; none inside if it is not on it.
fn subnet_for<'m, V: LedgerView>(
    request: &Request<'m>,
    state: RequestState,
    address: VpnAddress,
    situation: &Situation<'m, V>,
) -> Result<Option<&'m Subnet>, DropReason> {
    if state == RequestState::Renewing {
        // ciaddr is trusted: the client is reachable by it.
        let subnet = situation.settings().subnet_of(address);
        return subnet.map(Some).ok_or(DropReason::NoSubnet);
    }
    let link = subnet_selection::select(request, situation).ok_or(DropReason::NoSubnet)?;
    let says_nothing = |s: &Subnet| s.clients.authoritative == Authoritative::Nothing;
    match link.subnet_of(address.ip) {
        // [H-47] Another server may have addresses on this link that are not configured here.
        None if link.subnets().any(says_nothing) => Err(DropReason::NotAuthoritative),
        found => Ok(found),
    }
}

/// The record of this address, if it is this client's.
// [H-30] A lease is an identifier together with an address; on another link the same client has another.
fn binding_of<'m, V: LedgerView>(
    request: &Request<'m>,
    address: VpnAddress,
    situation: &Situation<'m, V>,
) -> Option<&'m Binding> {
    situation.view.binding(address).filter(|binding| binding.client == request.client)
}

/// True if no other member can have promised the address without this one's knowledge.
// [AV-I3] Without a quorum a member knows what it promised, not what others did: only a wrong link is surely wrong. With
// one it still does not know what another promised of its own free space while it was alone and has not yet merged.
fn knows_all_about<V: LedgerView>(address: VpnAddress, situation: &Situation<'_, V>) -> bool {
    let others = match situation.globals().holders.holder(address) {
        Some(Holder::Owned(owner)) => owner != situation.me.id,
        Some(Holder::Disowned { .. }) => true,
        Some(Holder::Reserved) | None => false,
    };
    situation.mode != Mode::Isolated && !(others && situation.view.is_free(address))
}

/// A client whose classes do not let it have its address.
fn not_for_class<'m, V: LedgerView>(
    situation: &Situation<'_, V>,
    nak: impl FnOnce(&'static str) -> Decided<'m>,
) -> Decided<'m> {
    match knows_classes(situation) {
        true => nak(NOT_FOR_CLASS),
        false => Err(DropReason::NotForClass),
    }
}

/// True if the classes that this member knows are those in force. Alone, it may have missed the newest configuration, by which the
/// client's address is the right one.
fn knows_classes<V: LedgerView>(situation: &Situation<'_, V>) -> bool {
    situation.mode != Mode::Isolated
}

/// True if the client holds, or was the last to hold, another address on the same link.
fn has_other_address<V: LedgerView>(
    request: &Request<'_>,
    address: VpnAddress,
    situation: &Situation<'_, V>,
) -> bool {
    let settings = situation.settings();
    let network_of = |address| settings.subnet_of(address).map(|subnet| (subnet.range(), subnet));
    let Some((range, subnet)) = network_of(address) else { return false };
    situation.view.bindings_of_client(&request.client).any(|binding| {
        let same_link = network_of(binding.address).is_some_and(|(other_range, other)| {
            other_range == range || (other.network.is_some() && other.network == subnet.network)
        });
        // A record that is free by now is history, not knowledge.
        binding.state != BindingState::Free && binding.address != address && same_link
    })
}

/// What the relay says, or said when the client was last heard through it and now speaks without it.
fn effective_relay<'m>(request: &Request<'m>, binding: Option<&'m Binding>) -> RelayWords<'m> {
    match binding {
        Some(binding) if !request.is_relayed() && request.relay.raw.is_empty() => {
            RelayWords::stored(&binding.relay_agent_information)
        }
        _ => request.relay,
    }
}
