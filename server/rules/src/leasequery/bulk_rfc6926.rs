//! Bulk leasequery as RFC 6926 has it.
//!
//! **Hazards.** The absence of every key is a query for everything, so a message that another dialect calls malformed
//! is the largest query of this one: the dialect is settled before a message is read here.

use super::asked::{Failure, Keys, Question, Target, Window};
use super::bulk_message::{Desk, Form, Heading, Remark};
use super::cursor::Found;
use super::dhcp_state::Standing;
use super::scope::Scope;
use replication_ledger::{LeasequeryKind, Timestamp};
use server_wire::{DhcpState, Message, MessageType, OptionCode, Status, StatusCode};

/// Reads a DHCPBULKLEASEQUERY.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn read(message: &Message<'_>) -> Result<Question, Failure> {
    let header = &message.header;
    // [B-12] There is no query by address.
    let addresses = [header.ciaddr, header.yiaddr, header.siaddr];
    if addresses.iter().any(|address| !address.is_unspecified()) {
        return Err(Failure::Malformed);
    }
    let mut keys = Keys::of(message);
    if keys.broken_hardware {
        return Err(Failure::Malformed);
    }
    // [B-13] One primary query at most.
    if keys.found.len() > 1 {
        return Err(Failure::SeveralKeys);
    }
    // None of them is the query for all configured addresses.
    let (kind, target) = keys.found.pop().unwrap_or((LeasequeryKind::All, Target::Everything));
    let window = Window {
        start: message.u32_option(OptionCode::QUERY_START_TIME),
        end: message.u32_option(OptionCode::QUERY_END_TIME),
    };
    let scope = Scope::of(message).ok_or(Failure::Malformed)?;
    Ok(Question { kind, target, scope, window })
}

/// The moment that the times of a message count from: base-time has whole seconds, and every time is told so that it
/// comes out the same whichever message told it.
pub(crate) fn base_time(now: Timestamp) -> Timestamp {
    Timestamp::from_seconds(now.seconds())
}

/// Tells of one address if the query wants it; says whether it did.
pub(crate) fn tell(
    out: &mut Vec<u8>,
    form: &Form,
    desk: &Desk<'_>,
    question: &Question,
    found: &Found<'_>,
    is_first: bool,
) -> bool {
    let standing = Standing::of(found.binding, found.free, desk.me.id, desk.now);
    let is_leased = standing.state == DhcpState::Active;
    // [B-16] By a key only what is leased now.
    if question.target != Target::Everything && !is_leased {
        return false;
    }
    let in_window = found.binding.is_some_and(|it| question.window.holds(it, standing.since));
    if !question.window.is_open() && !in_window {
        return false;
    }
    about(out, form, desk, found, &standing, is_first);
    true
}

/// A message about one address.
pub(crate) fn about(
    out: &mut Vec<u8>,
    form: &Form,
    desk: &Desk<'_>,
    found: &Found<'_>,
    standing: &Standing,
    is_first: bool,
) {
    // [B-30] The type follows the state; the address is in ciaddr. [B-23] There is no third type.
    let message_type = match standing.state {
        DhcpState::Active => MessageType::LeaseActive,
        _ => MessageType::LeaseUnassigned,
    };
    let heading = heading(message_type, is_first);
    form.about(out, desk, heading, (found.address, found.binding), Some(standing));
}

/// The message that ends an answer, with the reason if it was not whole.
// [B-26] It always comes. [B-27] Alone if there was nothing to tell, which is success.
pub(crate) fn done(
    out: &mut Vec<u8>,
    form: &Form,
    desk: &Desk<'_>,
    is_first: bool,
    failure: Option<(Failure, &str)>,
) {
    let heading = heading(MessageType::LeaseQueryDone, is_first);
    // [B-28] A status only if something is wrong.
    let status = failure.map(|(failure, message)| status(code_of(failure), message));
    let status = status.as_deref().map(|value| (OptionCode::STATUS_CODE, value));
    form.remark(out, desk, heading, Remark { status, ..Remark::default() });
}

// [B-29] The server identifier is in the first message, whatever its type, and in no other.
pub(crate) fn heading(message_type: MessageType, is_first: bool) -> Heading {
    // The discriminants of the assigned types are their numbers less one.
    Heading { number: message_type as u8 + 1, server_identifier: is_first }
}

/// The value of a status-code option.
// [B-42] Without a NUL.
pub(crate) fn status(code: StatusCode, message: &str) -> Vec<u8> {
    let mut value = Vec::new();
    Status { code: code as u8, message }.encode(&mut value);
    value
}

// [B-15] Any failure has its code. RFC 6926 has none for a query that is not known: NotAllowed is the nearest.
pub(crate) fn code_of(failure: Failure) -> StatusCode {
    match failure {
        Failure::Unspecified => StatusCode::UnspecFail,
        Failure::Malformed => StatusCode::MalformedQuery,
        Failure::UnknownQueryType | Failure::SeveralKeys | Failure::NotAllowed => {
            StatusCode::NotAllowed
        }
        Failure::Terminated => StatusCode::QueryTerminated,
    }
}
