//! The wording of draft-ietf-dhc-leasequery-01, the dialect that came before RFC 4388.
//!
//! It differs in what it knows: DHCPKNOWN tells of an address whether it is leased or not, and the presence of option 51
//! says which. An address or a client that never met may be answered from the reservations, if the R flag asks for it.
//!
//! Absent on purpose: an option 82 made up from the configuration for devices without DHCP (L-41), which the draft
//! allows; nothing in the configuration says where such a device is attached.

use super::query::{Finding, Lease, Query};
use super::told::{self, Ends, OF_THE_LEASE, Telling, ToldOptions};
use super::udp::{AnswerPlan, write_associated};
use crate::parameters::Parameters;
use replication_ledger::{
    ClientKey, HardwareAddress, LeasequerySettings, Reservation, ReservationKey, Subnet,
};
use server_wire::{Header, Message, MessageWriter, OptionCode, Written};

/// One or more of the keys; none if there is no key.
// [L-21] [L-22] One at least, and ciaddr before the others. [L-24] All of them are implemented.
pub(super) fn read<'m>(message: &Message<'_>) -> Option<Query<'m>> {
    let header = &message.header;
    if !header.ciaddr.is_unspecified() {
        return Some(Query::Address(header.ciaddr));
    }
    let client = message
        .client_identifier()
        .map(|identifier| ClientKey::from_identifier(identifier.as_octets()));
    let hardware = (header.hlen != 0).then(|| HardwareAddress::new(header.htype, header.chaddr()));
    match (hardware, client) {
        (Some(hardware), Some(client)) => {
            Some(Query::HardwareAndClientIdentifier(hardware, client))
        }
        (Some(hardware), None) => Some(Query::Hardware(hardware)),
        (None, Some(client)) => Some(Query::ClientIdentifier(client)),
        (None, None) => None,
    }
}

/// True if the R flag is set.
pub(super) fn wants_reservations(settings: &LeasequerySettings, message: &Message<'_>) -> bool {
    message.header.flags & settings.numbers.flag_reservation != 0
}

/// Writes the answer at the end of `buffer`.
// [L-28] There is always one, once the query is understood.
pub(super) fn write<'b>(plan: &'b AnswerPlan<'_>, buffer: &'b mut Vec<u8>) -> Written<'b> {
    let mut header = plan.header();
    let flag_reservation = plan.leasequery().numbers.flag_reservation;
    header.flags &= !flag_reservation;
    match &plan.finding {
        // [L-27] No options besides the type.
        Finding::Unknown | Finding::Unassigned(_) => plan.begin(buffer, &header).finish(),
        Finding::Active(lease) | Finding::Past(lease) => {
            // [L-34] [L-39] The address, and the last device that had it: while a lease runs, its owner.
            header.ciaddr = lease.binding.address.ip;
            header.set_chaddr(lease.binding.hardware.htype(), lease.binding.hardware.octets());
            let mut writer = plan.begin(buffer, &header);
            write_lease(&mut writer, plan, lease);
            writer.finish()
        }
        Finding::Reserved(subnet, reservation) => {
            // [L-32] The main information is a reservation's.
            header.flags |= flag_reservation;
            write_reservation(plan, (*subnet, *reservation), header, buffer)
        }
    }
}

// What does not fit is named when the message is finished.
fn write_lease<'b>(writer: &mut MessageWriter<'b>, plan: &'b AnswerPlan<'_>, lease: &'b Lease<'_>) {
    let numbers = &plan.leasequery().numbers;
    let told = ToldOptions::of(plan.leasequery());
    let telling = Telling::new(plan.settings, told, Ends::OfLeases, lease.binding, plan.now);
    let mut requested = plan.message.parameter_request_list().peekable();
    let anything = requested.peek().is_none();
    if anything || plan.is_asked_for(OptionCode::RELAY_AGENT_INFORMATION) {
        // [L-40] The newest that was saved, leased or not.
        told::write_option(writer, &telling, OptionCode::RELAY_AGENT_INFORMATION);
    }
    let _ = writer.option_address(OptionCode::SERVER_IDENTIFIER, plan.server_identifier);
    let mut write = |code: OptionCode| {
        if code.0 == numbers.associated_ip {
            // [L-36] Newest first.
            let (ciaddr, associated) = (lease.binding.address, &lease.associated);
            write_associated(writer, plan, ciaddr, associated, code);
        } else if code.0 == numbers.client_last_transaction_time {
            // [L-43] Seconds in the past.
            let _ = writer.option_u32(code, plan.now.seconds_since(lease.binding.cltt));
        } else if code.0 == numbers.client_requested_host_name {
            write_requested_host_name(writer, lease, code);
        } else {
            // [L-37] [L-38] [L-42] Times while a lease runs, and what else is known.
            told::write_option(writer, &telling, code);
        }
    };
    if anything {
        // The draft does not say what is told to who names nothing: the same as by RFC 4388. Associated-ip is not,
        // for it is told only to who asks for it.
        let times = [numbers.client_last_transaction_time, numbers.client_requested_host_name];
        let of_draft = times.into_iter().map(OptionCode);
        OF_THE_LEASE.into_iter().chain(of_draft).chain(told.iter()).for_each(&mut write);
    } else {
        requested.for_each(&mut write);
    }
}

// [L-44] As the client asked for it; the name that it was given is option 12.
fn write_requested_host_name(writer: &mut MessageWriter<'_>, lease: &Lease<'_>, code: OptionCode) {
    if !lease.binding.host_name.is_empty() {
        let _ = writer.option(code, &lease.binding.host_name);
    }
}

/// What is known of an address that nobody has had: for whom it is set aside, and what that client would be told.
fn write_reservation<'b>(
    plan: &AnswerPlan<'_>,
    (subnet, reservation): (&Subnet, &Reservation),
    mut header: Header,
    buffer: &'b mut Vec<u8>,
) -> Written<'b> {
    header.ciaddr = reservation.address;
    match &reservation.key {
        ReservationKey::Hardware(hardware) => {
            header.set_chaddr(hardware.htype(), hardware.octets());
        }
        // No device is known.
        _ => header.set_chaddr(0, &[]),
    }
    let told = ToldOptions::of(plan.leasequery());
    let parameters =
        Parameters::of(None, plan.settings, subnet, Some(reservation), reservation.address);
    let mut writer = plan.begin(buffer, &header);
    let _ = writer.option_address(OptionCode::SERVER_IDENTIFIER, plan.server_identifier);
    let mut write = |code: OptionCode| match &reservation.key {
        ReservationKey::ClientIdentifier(identifier) if code == OptionCode::CLIENT_IDENTIFIER => {
            let _ = writer.option(code, identifier);
        }
        _ if told.contains(code) => parameters.write(&mut writer, code),
        _ => {}
    };
    let mut requested = plan.message.parameter_request_list().peekable();
    match requested.peek() {
        Some(_) => requested.for_each(&mut write),
        None => {
            std::iter::once(OptionCode::CLIENT_IDENTIFIER).chain(told.iter()).for_each(&mut write);
        }
    }
    writer.finish()
}
