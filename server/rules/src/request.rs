//! One message with its identities resolved once, and the situation in which it is judged.

use crate::classes::Facts;
use crate::identity;
use crate::intent::DropReason;
use crate::network_index::NetworkIndex;
use crate::subnet_selection;
use replication_ledger::{
    ClientKey, DraftNumbers, Globals, HardwareAddress, LedgerView, MemberId, Mode,
};
use replication_ledger::{Settings, Timestamp, VpnNumber};
use server_wire::{Message, MessageType, Op, RelayAgentInformation, SubOptionCode};
use std::net::Ipv4Addr;

/// How a datagram came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// Its IP source address.
    pub source: Ipv4Addr,
    /// Its UDP source port.
    pub source_port: u16,
    /// The address of ours that it was sent to.
    pub local: Ipv4Addr,
    /// For a broadcast of a direct client: the address of the interface it came in by. None for unicast.
    pub link: Option<Ipv4Addr>,
}

/// What a member knows about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberFacts {
    /// Its id.
    pub id: MemberId,
    /// Option 54 of its replies; other members may use the same.
    pub server_identifier: Ipv4Addr,
    /// Its other addresses: any of them is accepted as option 54 of a request.
    pub addresses: Vec<Ipv4Addr>,
}

/// Everything but the message that a decision depends on.
#[derive(Debug)]
pub struct Situation<'a, V> {
    /// The ledger as applied here.
    pub view: &'a V,
    /// Built from the settings of this very view.
    pub index: &'a NetworkIndex,
    /// This member.
    pub me: &'a MemberFacts,
    /// What it may do.
    pub mode: Mode,
    /// Its clock.
    pub now: Timestamp,
    /// The other members that it knows to be there and to answer clients.
    pub serving: &'a [MemberId],
}

impl<'a, V: LedgerView> Situation<'a, V> {
    pub(crate) fn globals(&self) -> &'a Globals {
        self.view.globals()
    }

    pub(crate) fn settings(&self) -> &'a Settings {
        &self.view.globals().settings
    }
}

/// A message of a client, with what is asked of it again and again.
#[derive(Debug)]
pub(crate) struct Request<'m> {
    pub(crate) message: &'m Message<'m>,
    pub(crate) client: ClientKey,
    pub(crate) hardware: HardwareAddress,
    pub(crate) relay: RelayWords<'m>,
    pub(crate) arrival: Arrival,
    /// The VPN that the message names; none if it names one that is not configured.
    pub(crate) vpn: Option<VpnNumber>,
    /// What expressions ask about, and the classes that the client is in once its link is known.
    pub(crate) facts: Facts<'m>,
}

impl<'m> Request<'m> {
    pub(crate) fn new(
        message: &'m Message<'m>,
        arrival: Arrival,
        settings: &Settings,
    ) -> Result<Request<'m>, DropReason> {
        let (client, hardware) =
            identity::client_of(message).ok_or(DropReason::NoClientIdentity)?;
        let relay = message.relay_agent_information().map(RelayWords::of).unwrap_or_default();
        let facts = Facts::new(message, relay);
        let vpn = subnet_selection::vpn_of(message, relay.vss, settings);
        Ok(Request { message, client, hardware, relay, arrival, vpn, facts })
    }

    /// True if a relay stands between the client and this member.
    pub(crate) fn is_relayed(&self) -> bool {
        !self.message.header.giaddr.is_unspecified()
    }

    /// True if other members may have the same message: a relay forwards it to all, a broadcast is heard by all on the link.
    pub(crate) fn came_to_several(&self) -> bool {
        self.is_relayed() || self.arrival.link.is_some()
    }
}

/// The type of a request that a server may answer, none for BOOTP. `numbers` are those of the drafts.
pub(crate) fn type_of(
    message: &Message<'_>,
    numbers: &DraftNumbers,
) -> Result<Option<MessageType>, DropReason> {
    if message.header.op != Op::BootRequest {
        return Err(DropReason::NotRequest);
    }
    match (message.message_type(), message.message_type_number()) {
        (Some(assigned), _) => Ok(Some(assigned)),
        (None, None) if message.is_bootp() => Ok(None),
        (None, Some(number)) if number == numbers.lease_query => {
            Ok(Some(MessageType::DraftLeaseQuery))
        }
        _ => Err(DropReason::UnexpectedType),
    }
}

/// What the relay said in option 82, read once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct RelayWords<'a> {
    /// The whole value, verbatim; empty if there is none.
    pub(crate) raw: &'a [u8],
    pub(crate) circuit_id: Option<&'a [u8]>,
    pub(crate) remote_id: Option<&'a [u8]>,
    pub(crate) subscriber_id: Option<&'a [u8]>,
    pub(crate) relay_id: Option<&'a [u8]>,
    pub(crate) link_selection: Option<Ipv4Addr>,
    pub(crate) server_identifier_override: Option<Ipv4Addr>,
    /// The VPN, as RFC 6607 section 3.5 writes it.
    pub(crate) vss: Option<&'a [u8]>,
}

impl<'a> RelayWords<'a> {
    /// From what a binding remembers; nothing if it remembers nothing.
    pub(crate) fn stored(raw: &'a [u8]) -> RelayWords<'a> {
        RelayAgentInformation::decode(raw).map(RelayWords::of).unwrap_or_default()
    }

    pub(crate) fn of(information: RelayAgentInformation<'a>) -> RelayWords<'a> {
        let address = |octets: &[u8]| <[u8; 4]>::try_from(octets).ok().map(Ipv4Addr::from);
        let mut words = RelayWords { raw: information.raw(), ..RelayWords::default() };
        for (code, value) in information.iter() {
            // The first of each counts, as the codec has it.
            match code {
                SubOptionCode::CIRCUIT_ID => words.circuit_id = words.circuit_id.or(Some(value)),
                SubOptionCode::REMOTE_ID => words.remote_id = words.remote_id.or(Some(value)),
                SubOptionCode::SUBSCRIBER_ID => {
                    words.subscriber_id = words.subscriber_id.or(Some(value));
                }
                SubOptionCode::RELAY_ID => words.relay_id = words.relay_id.or(Some(value)),
                SubOptionCode::LINK_SELECTION => {
                    words.link_selection = words.link_selection.or_else(|| address(value));
                }
                SubOptionCode::SERVER_IDENTIFIER_OVERRIDE => {
                    words.server_identifier_override =
                        words.server_identifier_override.or_else(|| address(value));
                }
                SubOptionCode::VSS => words.vss = words.vss.or(Some(value)),
                _ => {}
            }
        }
        words
    }
}
