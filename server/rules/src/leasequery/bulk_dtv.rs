//! Bulk leasequery as draft-dtv-dhc-dhcpv4-bulk-leasequery-00 has it.
//!
//! **Model.** The first binding makes a DHCPLEASEACTIVE, each further one a DHCPLEASEDATA, and only an answer that had one
//! ends with DHCPLEASEDONE. An answer without any is one message: what is known instead, or what went wrong.

use super::asked::{Failure, Keys, Question, RelayWords, Target, Window};
use super::bulk_message::{Desk, Form, Heading, Remark};
use super::cursor::Found;
use super::scope::Scope;
use super::told::is_leased;
use replication_ledger::{DraftNumbers, LeasequeryKind, VpnAddress};
use server_wire::{DraftStatus, DraftStatusCode, Message, MessageType, OptionCode};

/// What stands in for an answer when there is no binding to tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Instead {
    /// DHCPLEASEUNASSIGNED.
    Unassigned,
    /// DHCPLEASEUNKNOWN.
    Unknown,
}

/// Reads a DHCPLEASEQUERY that came over TCP.
///
/// # Errors
/// What is wrong with it.
// [D-10] [D-11] Five kinds of query; giaddr matters for none, since the answer goes back on the connection.
pub(crate) fn read(message: &Message<'_>) -> Result<Question, Failure> {
    let mut keys = Keys::of(message);
    let ciaddr = message.header.ciaddr;
    if !ciaddr.is_unspecified() {
        keys.found.push((LeasequeryKind::Ip, Target::Address(VpnAddress::global(ciaddr))));
    }
    // [D-22] Two keys, half a key, or an option 82 that holds more than its key.
    if keys.broken_hardware || keys.found.len() > 1 || keys.relay == RelayWords::Other {
        return Err(Failure::Malformed);
    }
    match keys.found.pop() {
        // The draft knows no VPN but the global one.
        Some((kind, target)) => {
            Ok(Question { kind, target, scope: Scope::GLOBAL, window: Window::default() })
        }
        // One sub-option that is no key: a kind of query that some other document may know.
        None if keys.relay == RelayWords::One => Err(Failure::UnknownQueryType),
        None => Err(Failure::Malformed),
    }
}

/// Tells of one address if it is leased; says whether it did.
// [D-18] Active leases only.
pub(crate) fn tell(
    out: &mut Vec<u8>,
    form: &Form,
    desk: &Desk<'_>,
    numbers: &DraftNumbers,
    found: &Found<'_>,
    is_first: bool,
) -> bool {
    let Some(binding) = found.binding.filter(|binding| is_leased(binding, desk.now)) else {
        return false;
    };
    // [D-24] The first is ACTIVE and names the server, what follows [D-25] [D-26] is DATA and [D-28] does not.
    let number = if is_first { number(MessageType::LeaseActive) } else { numbers.lease_data };
    let heading = Heading { number, server_identifier: is_first };
    // [D-29] Otherwise they are alike. [D-33] An address of each, no list of them.
    form.about(out, desk, heading, (found.address, Some(binding)), None);
    true
}

/// Ends an answer that had bindings.
// [D-30] Once, also after one binding alone. [D-32] With nothing in it.
pub(crate) fn done(out: &mut Vec<u8>, form: &Form, desk: &Desk<'_>, numbers: &DraftNumbers) {
    let heading = Heading { number: numbers.lease_done, server_identifier: false };
    form.remark(out, desk, heading, Remark::default());
}

/// Answers that there is no binding.
// [D-23] [D-31] This message is the whole answer. It has no options and echoes the key, as RFC 4388 section 6.4 says.
pub(crate) fn instead(out: &mut Vec<u8>, form: &Form, desk: &Desk<'_>, instead: Instead) {
    let message_type = match instead {
        Instead::Unassigned => MessageType::LeaseUnassigned,
        Instead::Unknown => MessageType::LeaseUnknown,
    };
    let heading = Heading { number: number(message_type), server_identifier: false };
    form.remark(out, desk, heading, Remark { echoes_keys: true, ..Remark::default() });
}

/// Says that there will be no answer, or no more of it.
// [D-34] In the place of everything that was still to come.
pub(crate) fn fail(
    out: &mut Vec<u8>,
    form: &Form,
    desk: &Desk<'_>,
    numbers: &DraftNumbers,
    (failure, message): (Failure, &str),
) {
    let code = match failure {
        Failure::Unspecified => DraftStatusCode::UnspecFail,
        Failure::UnknownQueryType => DraftStatusCode::UnknownQueryType,
        Failure::Malformed | Failure::SeveralKeys => DraftStatusCode::MalformedQuery,
        Failure::NotAllowed => DraftStatusCode::NotAllowed,
        // [D-39] With its reason.
        Failure::Terminated => DraftStatusCode::QueryTerminated,
    };
    let mut value = Vec::new();
    DraftStatus { code: code as u16, message }.encode(&mut value);
    let heading = Heading { number: numbers.lease_query_fail, server_identifier: false };
    let status = (OptionCode(numbers.status_code), &value[..]);
    form.remark(out, desk, heading, Remark { status: Some(status), ..Remark::default() });
}

// The discriminants of the assigned types are their numbers less one.
fn number(message_type: MessageType) -> u8 {
    message_type as u8 + 1
}
