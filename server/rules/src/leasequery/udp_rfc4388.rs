//! The wording of RFC 4388, and of RFC 6148, which adds a key to it.

use super::query::{Finding, Lease, Query};
use super::told::{self, Ends, OF_THE_LEASE, Telling, ToldOptions};
use super::udp::{AnswerPlan, UdpDialect, write_associated};
use replication_ledger::{ClientKey, HardwareAddress};
use server_wire::{Message, MessageWriter, OptionCode, SubOptionCode, Written};

/// Exactly one of the keys; none if the message is no query of these documents.
// None or several of RFC 4388's three is not one of its queries: dropped and counted.
// [M-10] With one of them option 82 says nothing; with none it is the key.
pub(super) fn read<'m>(message: &'m Message<'m>) -> (UdpDialect, Option<Query<'m>>) {
    let header = &message.header;
    let by_address = !header.ciaddr.is_unspecified();
    let by_hardware = header.hlen != 0;
    let query = match (by_address, by_hardware, message.client_identifier()) {
        (true, false, None) => Some(Query::Address(header.ciaddr)),
        (false, true, None) => {
            Some(Query::Hardware(HardwareAddress::new(header.htype, header.chaddr())))
        }
        (false, false, Some(identifier)) => {
            Some(Query::ClientIdentifier(ClientKey::from_identifier(identifier.as_octets())))
        }
        (false, false, None) => {
            return (UdpDialect::Rfc6148, remote_id(message).map(Query::RemoteId));
        }
        _ => None,
    };
    (UdpDialect::Rfc4388, query)
}

/// The Agent Remote ID, if it is all that option 82 holds.
// RFC 6148 section 4.1: no other sub-option.
fn remote_id<'m>(message: &'m Message<'m>) -> Option<&'m [u8]> {
    let words = message.relay_agent_information()?;
    let mut sub_options = words.iter();
    match (sub_options.next()?, sub_options.next()) {
        ((SubOptionCode::REMOTE_ID, value), None) => Some(value),
        _ => None,
    }
}

/// Writes the answer at the end of `buffer`.
pub(super) fn write<'b>(plan: &'b AnswerPlan<'_>, buffer: &'b mut Vec<u8>) -> Written<'b> {
    let mut header = plan.header();
    let lease = match &plan.finding {
        Finding::Active(lease) => lease,
        // No options besides the type.
        _ => {
            let mut writer = plan.begin(buffer, &header);
            let asked = plan.message.option(OptionCode::RELAY_AGENT_INFORMATION);
            if let (UdpDialect::Rfc6148, Some(asked)) = (plan.dialect, asked) {
                // [M-08] But for the key, which has no place in the header. It came in one message, so it fits in one.
                let _ = writer.relay_agent_information(asked);
            }
            return writer.finish();
        }
    };
    // The client of this address.
    header.ciaddr = lease.binding.address.ip;
    header.set_chaddr(lease.binding.hardware.htype(), lease.binding.hardware.octets());
    let mut writer = plan.begin(buffer, &header);
    write_lease(&mut writer, plan, lease);
    writer.finish()
}

// What does not fit is named when the message is finished.
// [M-09] By Remote-ID as by the other keys.
fn write_lease<'b>(writer: &mut MessageWriter<'b>, plan: &'b AnswerPlan<'_>, lease: &'b Lease<'_>) {
    let told = ToldOptions::of(plan.leasequery());
    let telling = Telling::new(plan.settings, told, Ends::OfLeases, lease.binding, plan.now);
    let mut requested = plan.message.parameter_request_list().peekable();
    let anything = requested.peek().is_none();
    if anything || plan.is_asked_for(OptionCode::RELAY_AGENT_INFORMATION) {
        told::write_option(writer, &telling, OptionCode::RELAY_AGENT_INFORMATION);
    }
    let _ = writer.option_address(OptionCode::SERVER_IDENTIFIER, plan.server_identifier);
    let (ciaddr, associated) = (lease.binding.address, &lease.associated);
    write_associated(writer, plan, ciaddr, associated, OptionCode::ASSOCIATED_IP);
    if anything {
        // Nothing in particular: what the client has been told, and what is known of its lease.
        OF_THE_LEASE.into_iter().chain(told.iter()).for_each(|code| {
            told::write_option(writer, &telling, code);
        });
    } else {
        requested.for_each(|code| told::write_option(writer, &telling, code));
    }
}
