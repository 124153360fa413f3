//! DHCPLEASEQUERY over UDP as RFC 4388 has it.

use super::access;
use super::query::{Finding, Lease, Query};
use super::select::select;
use super::told::{self, Ends, OF_THE_LEASE, Telling, ToldOptions};
use crate::intent::DropReason;
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
    let told = ToldOptions::of(&plan.settings.leasequery);
    let telling = Telling::new(plan.settings, told, Ends::OfLeases, lease.binding, plan.now);
    let mut requested = plan.message.parameter_request_list().peekable();
    let is_asked_for = |wanted| plan.message.parameter_request_list().any(|code| code == wanted);
    let anything = requested.peek().is_none();
    if anything || is_asked_for(OptionCode::RELAY_AGENT_INFORMATION) {
        told::write_option(writer, &telling, OptionCode::RELAY_AGENT_INFORMATION);
    }
    let number = plan.message_type() as u8 + 1;
    let _ = writer.option_u8(OptionCode::DHCP_MESSAGE_TYPE, number);
    let _ = writer.option_address(OptionCode::SERVER_IDENTIFIER, plan.server_identifier);
    write_associated(writer, &lease.associated);
    if anything {
        // Nothing in particular: what the client has been told, and what is known of its lease.
        OF_THE_LEASE.into_iter().chain(told.iter()).for_each(|code| {
            told::write_option(writer, &telling, code);
        });
    } else {
        requested.for_each(|code| told::write_option(writer, &telling, code));
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
