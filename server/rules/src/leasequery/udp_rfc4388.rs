//! DHCPLEASEQUERY over UDP as RFC 4388 has it.

use super::access;
use super::query::{Finding, Lease, Query};
use super::select::select;
use crate::intent::DropReason;
use crate::lease_terms::LeaseTerms;
use crate::reply_options::Parameters;
use crate::request::Situation;
use replication_ledger::{ClientKey, HardwareAddress, LedgerView, Settings, Timestamp};
use server_wire::{Header, Message, MessageType, MessageWriter, Op, OptionCode, OptionSet};
use std::net::Ipv4Addr;

/// An answer to be encoded.
#[derive(Clone, Debug)]
pub struct AnswerPlan<'m> {
    /// The query's message.
    pub message: &'m Message<'m>,
    /// What was asked.
    pub query: Query,
    /// What was found.
    pub finding: Finding<'m>,
    settings: &'m Settings,
    server_identifier: Ipv4Addr,
    now: Timestamp,
}

impl AnswerPlan<'_> {
    /// The type of the answer.
    pub fn message_type(&self) -> MessageType {
        match &self.finding {
            Finding::Unknown => MessageType::LeaseUnknown,
            Finding::Unassigned(_) => MessageType::LeaseUnassigned,
            Finding::Active(_) => MessageType::LeaseActive,
        }
    }
}

/// Configured and stored options that are told to requestors; what is not here is not told even if asked for.
// RFC 4388 section 6.4.2 calls them the non-sensitive options.
const NON_SENSITIVE: [OptionCode; 12] = [
    OptionCode::SUBNET_MASK,
    OptionCode::ROUTERS,
    OptionCode::DOMAIN_NAME_SERVERS,
    OptionCode::HOST_NAME,
    OptionCode::DOMAIN_NAME,
    OptionCode::INTERFACE_MTU,
    OptionCode::BROADCAST_ADDRESS,
    OptionCode::STATIC_ROUTES,
    OptionCode::NTP_SERVERS,
    OptionCode::VENDOR_CLASS_IDENTIFIER,
    OptionCode::TFTP_SERVER_NAME,
    OptionCode::CLASSLESS_STATIC_ROUTES,
];

/// What is told about the lease itself.
const OF_THE_LEASE: [OptionCode; 6] = [
    OptionCode::IP_ADDRESS_LEASE_TIME,
    OptionCode::RENEWAL_TIME,
    OptionCode::REBINDING_TIME,
    OptionCode::CLIENT_LAST_TRANSACTION_TIME,
    OptionCode::CLIENT_IDENTIFIER,
    OptionCode::RELAY_AGENT_INFORMATION,
];

/// Reads the query, checks that its sender may ask, and finds the answer.
///
/// # Errors
/// Why there is no answer.
pub fn decide<'m, V: LedgerView>(
    message: &'m Message<'m>,
    situation: &Situation<'m, V>,
) -> Result<AnswerPlan<'m>, DropReason> {
    let settings = situation.settings();
    // The answer would have nowhere to go. It is for nothing else.
    let requestor = message.header.giaddr;
    if requestor.is_unspecified() {
        return Err(DropReason::QueryWithoutGiaddr);
    }
    if !access::is_permitted(settings, requestor) {
        return Err(DropReason::QueryNotPermitted);
    }
    let query = read(message)?;
    let finding = select(situation.view, &query, situation.now);
    let server_identifier = situation.me.server_identifier;
    Ok(AnswerPlan { message, query, finding, settings, server_identifier, now: situation.now })
}

/// Exactly one of the three keys.
// None or several is no query of this document: dropped and counted.
fn read(message: &Message<'_>) -> Result<Query, DropReason> {
    let header = &message.header;
    let by_address = !header.ciaddr.is_unspecified();
    let by_hardware = header.hlen != 0;
    match (by_address, by_hardware, message.client_identifier()) {
        (true, false, None) => Ok(Query::Address(header.ciaddr)),
        (false, true, None) => {
            Ok(Query::Hardware(HardwareAddress::new(header.htype, header.chaddr())))
        }
        (false, false, Some(identifier)) => {
            Ok(Query::ClientIdentifier(ClientKey::from_identifier(identifier.as_octets())))
        }
        _ => Err(DropReason::QueryKeys),
    }
}

/// Writes the answer at the end of `buffer`. What is returned names the options for which there was no room.
pub fn encode(plan: &AnswerPlan<'_>, buffer: &mut Vec<u8>) -> OptionSet {
    let asked = &plan.message.header;
    // ciaddr and the hardware address as asked, until a lease says more.
    let mut header = Header {
        xid: asked.xid,
        flags: asked.flags,
        giaddr: asked.giaddr,
        ciaddr: asked.ciaddr,
        htype: asked.htype,
        hlen: asked.hlen,
        chaddr_field: asked.chaddr_field,
        ..Header::new(Op::BootReply)
    };
    let lease = match &plan.finding {
        Finding::Unknown => return encode_bare(&header, plan.message_type(), buffer),
        Finding::Unassigned(address) => {
            header.ciaddr = *address;
            return encode_bare(&header, plan.message_type(), buffer);
        }
        Finding::Active(lease) => lease,
    };
    // The client of this address.
    header.ciaddr = lease.binding.address;
    header.set_chaddr(lease.binding.hardware.htype(), lease.binding.hardware.octets());
    let mut writer = MessageWriter::new(buffer, plan.message.reply_len_max());
    writer.header(&header);
    write_lease(&mut writer, plan, lease);
    writer.finish().left_out
}

/// A message of a type and nothing else.
// No options besides.
fn encode_bare(header: &Header, message_type: MessageType, buffer: &mut Vec<u8>) -> OptionSet {
    let mut writer = MessageWriter::new(buffer, 0);
    writer.header(header);
    let _ = writer.option_u8(OptionCode::DHCP_MESSAGE_TYPE, message_type as u8 + 1);
    writer.finish().left_out
}

// What does not fit is named when the message is finished.
fn write_lease<'b>(writer: &mut MessageWriter<'b>, plan: &'b AnswerPlan<'_>, lease: &'b Lease<'_>) {
    let relay_agent_information = &lease.binding.relay_agent_information;
    let mut requested = plan.message.parameter_request_list().peekable();
    let is_asked_for = |wanted| plan.message.parameter_request_list().any(|code| code == wanted);
    let anything = requested.peek().is_none();
    if (anything || is_asked_for(OptionCode::RELAY_AGENT_INFORMATION))
        && !relay_agent_information.is_empty()
    {
        // The newest that was received, whole, at the end.
        let _ = writer.relay_agent_information(relay_agent_information);
    }
    let number = plan.message_type() as u8 + 1;
    let _ = writer.option_u8(OptionCode::DHCP_MESSAGE_TYPE, number);
    let _ = writer.option_address(OptionCode::SERVER_IDENTIFIER, plan.server_identifier);
    write_associated(writer, &lease.associated);
    if anything {
        // Nothing in particular: what the client has been told, and what is known of its lease.
        OF_THE_LEASE.into_iter().chain(NON_SENSITIVE).for_each(|code| {
            write_one(writer, plan, lease, code);
        });
    } else {
        requested.for_each(|code| write_one(writer, plan, lease, code));
    }
}

// Whole addresses, one at least. As many as one option can carry: 63.
fn write_associated(writer: &mut MessageWriter<'_>, addresses: &[Ipv4Addr]) {
    let mut octets = [0; 252];
    let mut len = 0;
    for (place, address) in octets.chunks_exact_mut(4).zip(addresses) {
        place.copy_from_slice(&address.octets());
        len += 4;
    }
    if len > 0 {
        let _ = writer.option(OptionCode::ASSOCIATED_IP, &octets[..len]);
    }
}

fn write_one(
    writer: &mut MessageWriter<'_>,
    plan: &AnswerPlan<'_>,
    lease: &Lease<'_>,
    code: OptionCode,
) {
    let binding = lease.binding;
    let seconds = match code {
        // What is left of it.
        OptionCode::IP_ADDRESS_LEASE_TIME => Some(binding.until.seconds_since(plan.now)),
        OptionCode::RENEWAL_TIME | OptionCode::REBINDING_TIME => {
            match time_left(plan, lease, code) {
                Some(seconds) => Some(seconds),
                None => return,
            }
        }
        // Seconds in the past, from the moment of answering.
        OptionCode::CLIENT_LAST_TRANSACTION_TIME => Some(plan.now.seconds_since(binding.cltt)),
        _ => None,
    };
    if let Some(seconds) = seconds {
        let _ = writer.option_u32(code, seconds);
        return;
    }
    if code == OptionCode::CLIENT_IDENTIFIER {
        // If it has one.
        if let Some(identifier) = binding.client.identifier() {
            let _ = writer.option(code, identifier);
        }
    } else if NON_SENSITIVE.contains(&code) {
        write_parameter(writer, plan, lease, code);
    }
}

/// Seconds until T1 or T2, none if it is past or the lease has none.
// Reckoned from the last transaction, as the client does.
fn time_left(plan: &AnswerPlan<'_>, lease: &Lease<'_>, code: OptionCode) -> Option<u32> {
    let binding = lease.binding;
    let times = &plan.settings.subnet_of(binding.address)?.lease;
    let terms = LeaseTerms::of(times, binding.until.seconds_since(binding.cltt));
    let after = match code {
        OptionCode::RENEWAL_TIME => terms.renewal_seconds?,
        _ => terms.rebinding_seconds?,
    };
    let left = binding.cltt.plus_seconds(after).seconds_since(plan.now);
    (left > 0).then_some(left)
}

// What was sent to the client comes first, then what the client sent.
// The reservation is found by the address, so whatever option 82 had decided decides again.
fn write_parameter(
    writer: &mut MessageWriter<'_>,
    plan: &AnswerPlan<'_>,
    lease: &Lease<'_>,
    code: OptionCode,
) {
    let binding = lease.binding;
    let Some(subnet) = plan.settings.subnet_of(binding.address) else { return };
    let reservation = subnet.reservation_of(binding.address);
    let parameters = Parameters { settings: plan.settings, subnet, reservation };
    // Acceptable by the list, so it is told.
    parameters.write(writer, code);
    let from_client = match code {
        OptionCode::HOST_NAME => &binding.host_name,
        OptionCode::VENDOR_CLASS_IDENTIFIER => &binding.vendor_class_identifier,
        _ => return,
    };
    if !from_client.is_empty() {
        // Refused as a duplicate if the configuration had one.
        let _ = writer.option(code, from_client);
    }
}
