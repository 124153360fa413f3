//! What each message of a client means: RFC 2131 sections 4.3.1 to 4.3.5 and RFC 1534, one file each.

mod bootp;
mod decline;
mod discover;
mod inform;
mod release;
mod request;

pub(crate) use decline::quarantine_seconds;

use crate::answer::{PendingReply, RequestState};
use crate::intent::{DropReason, Intent};
use crate::lease_terms::LeaseTerms;
use crate::leasequery;
use crate::names;
use crate::offers::Offers;
use crate::parameters::Parameters;
use crate::reply::ReplyPlan;
use crate::request::{Arrival, RelayWords, Request, Situation, type_of};
use replication_ledger::{
    Bind, Class, Command, LedgerView, Mode, Octets, Reservation, Subnet, VpnAddress,
};
use server_wire::{MESSAGE_LEN_MIN_BOOTP, Message, MessageType};
use std::net::Ipv4Addr;

/// Decides what this member does about a message. Pure but for `offers`, in which holds are made and dropped.
pub fn decide<'m, V: LedgerView>(
    message: &'m Message<'m>,
    arrival: Arrival,
    situation: &Situation<'m, V>,
    offers: &mut Offers,
) -> Intent<'m> {
    let numbers = &situation.settings().leasequery.numbers;
    let intent = type_of(message, numbers).and_then(|message_type| match message_type {
        // A leasequery is answered in every mode and by every member [AV-Q7].
        Some(asks @ (MessageType::LeaseQuery | MessageType::DraftLeaseQuery)) => {
            leasequery::decide(message, asks, arrival, situation).map(Intent::Leasequery)
        }
        _ => decide_for_client(message, message_type, arrival, situation, offers),
    });
    intent.unwrap_or_else(Intent::Drop)
}

type Decided<'m> = Result<Intent<'m>, DropReason>;

fn decide_for_client<'m, V: LedgerView>(
    message: &'m Message<'m>,
    message_type: Option<MessageType>,
    arrival: Arrival,
    situation: &Situation<'m, V>,
    offers: &mut Offers,
) -> Decided<'m> {
    let handle = match message_type {
        None => bootp::bootp,
        Some(MessageType::Discover) => discover::discover,
        Some(MessageType::Request) => request::request,
        Some(MessageType::Decline) => decline::decline,
        Some(MessageType::Release) => release::release,
        Some(MessageType::Inform) => inform::inform,
        Some(_) => return Err(DropReason::UnexpectedType),
    };
    // [H-10] RFC 1542 wants these discarded; many clients of today send them.
    if message.len() < MESSAGE_LEN_MIN_BOOTP && !situation.settings().reception.short_messages {
        return Err(DropReason::TooShort);
    }
    if let Mode::Silent(reason) = situation.mode {
        return Err(DropReason::Silent(reason));
    }
    handle(Request::new(message, arrival, situation.settings())?, situation, offers)
}

/// Option 54 of a reply: what the relay wants there, else our own.
// [O-14] Sub-option 11 becomes option 54.
// [O-15] A client that speaks to us without its relay keeps seeing what the relay gave: `relay` is then the stored one.
fn server_identifier<V>(relay: &RelayWords<'_>, situation: &Situation<'_, V>) -> Ipv4Addr {
    relay.server_identifier_override.unwrap_or(situation.me.server_identifier)
}

/// An address on its way to a client.
struct Grant<'m> {
    state: RequestState,
    address: VpnAddress,
    lease_seconds: u32,
    subnet: &'m Subnet,
    reservation: Option<&'m Reservation>,
    relay: RelayWords<'m>,
    shared_identifier: bool,
}

/// A lease time within what this member may promise now.
// [AV-I4] Without a quorum a promise is short; the client is told what is promised.
fn limited<V: LedgerView>(lease_seconds: u32, situation: &Situation<'_, V>) -> u32 {
    situation.view.lease_limit_seconds().map_or(lease_seconds, |limit| lease_seconds.min(limit))
}

/// The proposal to promise an address, and the DHCPACK (or BOOTREPLY) for it.
fn promise<'m, V: LedgerView>(
    request: Request<'m>,
    grant: Grant<'m>,
    situation: &Situation<'m, V>,
) -> Intent<'m> {
    let Grant { address, subnet, reservation, .. } = grant;
    let lease_seconds = limited(grant.lease_seconds, situation);
    let (message, settings) = (request.message, situation.settings());
    let pending = PendingReply {
        state: grant.state,
        address,
        shared_identifier: grant.shared_identifier,
        isolated: situation.mode == Mode::Isolated,
    };
    let terms = LeaseTerms::of(&subnet.lease, lease_seconds, &request.client);
    let parameters = Parameters::for_request(&request, settings, subnet, reservation, address.ip);
    let ack = ReplyPlan {
        message,
        message_type: pending.reply_type(),
        yiaddr: address.ip,
        server_identifier: server_identifier(&grant.relay, situation),
        terms: (grant.state != RequestState::Bootp).then_some(terms),
        parameters: Some(parameters),
        explanation: "",
        rapid_commit: grant.state == RequestState::Init,
        settings,
    };
    // [Q-40] [L-45] Option 82 and option 60 are stored with the binding,
    // [Q-41] [L-46] by every member, as they come with the promise through the log;
    // [O-07] [O-19] what this message does not say (a renewal without its relay) stays as it was.
    let bind = Bind {
        address,
        client: request.client,
        hardware: request.hardware,
        lease_seconds,
        reservation: reservation.map(|reservation| reservation.key.clone()),
        giaddr: message.header.giaddr,
        relay_agent_information: request.relay.raw.into(),
        host_name: requested_host_name(message),
        vendor_class_identifier: message.vendor_class_identifier().unwrap_or_default().into(),
        classes: request.facts.classes.of(settings).filter_map(Class::limited).collect(),
        names: names::wish(message, &parameters, address.ip, lease_seconds),
    };
    Intent::Promise { command: Command::Bind(Box::new(bind)), ack, pending }
}

/// The name that the client asks for: that of option 81 as text, else option 12; empty if it names none.
// draft-ietf-dhc-leasequery-01 section 6.8.3 tells of both.
// [O-57] Beside option 81 a host name is ignored, unless 81 names nothing.
fn requested_host_name(message: &Message<'_>) -> Octets {
    let labels = message.client_fqdn().and_then(|fqdn| fqdn.labels());
    let name = labels.map(|labels| labels.join(&b"."[..])).filter(|name| !name.is_empty());
    name.map(Octets::from).or_else(|| message.host_name().map(Octets::from)).unwrap_or_default()
}

#[cfg(test)]
mod bootp_tests;
#[cfg(test)]
mod classes_tests;
#[cfg(test)]
mod direct_tests;
#[cfg(test)]
mod policy_tests;
#[cfg(test)]
mod probe_tests;
#[cfg(test)]
mod rapid_commit_tests;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod vss_tests;
#[cfg(test)]
mod without_ipv4_tests;
