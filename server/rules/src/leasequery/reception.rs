//! What a message that came over TCP wants of this server.

use super::active_rfc7724::{self, ActiveQuestion, Refused};
use super::asked::{Failure, Question};
use super::bulk_message::Form;
use super::intake::framing;
use super::told::ToldOptions;
use super::{bulk_dtv, bulk_rfc6926};
use replication_ledger::LeasequeryDialect;
use server_wire::{Message, MessageType, Op, OptionCode};

/// One message, understood as far as it can be.
#[derive(Debug)]
pub(crate) enum Heard {
    /// A bulk query.
    Bulk { form: Form, question: Result<Question, Failure> },
    /// An active leasequery, and what it asks.
    Active { form: Form, question: Result<ActiveQuestion, Refused> },
    /// A DHCPTLS.
    Tls { form: Form },
    /// Nothing that may travel on such a connection.
    Forbidden,
}

/// Reads a message.
pub(crate) fn hear(octets: &[u8], dialect: LeasequeryDialect, told: ToldOptions) -> Heard {
    match Message::decode(octets) {
        Ok(message) if message.header.op == Op::BootRequest => understand(&message, dialect, told),
        Ok(_) => Heard::Forbidden,
        Err(_) => excuse(octets, dialect),
    }
}

// [B-62] Option 90 is not looked at: what protects a connection is around it.
fn understand(message: &Message<'_>, dialect: LeasequeryDialect, told: ToldOptions) -> Heard {
    let form = Form::of(message, framing(dialect), told);
    match kind_of(message.message_type(), dialect) {
        Some(MessageType::LeaseQuery) => Heard::Bulk { form, question: bulk_dtv::read(message) },
        Some(MessageType::BulkLeaseQuery) => {
            Heard::Bulk { form, question: bulk_rfc6926::read(message) }
        }
        Some(MessageType::ActiveLeaseQuery) => {
            Heard::Active { form, question: active_rfc7724::read(message) }
        }
        Some(_) => Heard::Tls { form },
        None => Heard::Forbidden,
    }
}

/// The message type, if this dialect has it over TCP.
// [D-08] [D-09] [B-04] [B-05] Each dialect its own queries; anything else ends the connection.
fn kind_of(message_type: Option<MessageType>, dialect: LeasequeryDialect) -> Option<MessageType> {
    message_type.filter(|message_type| match dialect {
        LeasequeryDialect::Draft => *message_type == MessageType::LeaseQuery,
        LeasequeryDialect::Rfc => matches!(
            message_type,
            MessageType::BulkLeaseQuery | MessageType::ActiveLeaseQuery | MessageType::Tls
        ),
    })
}

/// A message with a fault in some option: if it is a query it is answered as malformed, which tells its sender more than
/// a closed connection.
fn excuse(octets: &[u8], dialect: LeasequeryDialect) -> Heard {
    let found = octets.get(4..8).and_then(|xid| xid.try_into().ok()).zip(type_in(octets));
    let Some((xid, number)) = found else { return Heard::Forbidden };
    let form = Form::of_xid(u32::from_be_bytes(xid), framing(dialect));
    match kind_of(MessageType::from_u8(number), dialect) {
        Some(MessageType::LeaseQuery | MessageType::BulkLeaseQuery) => {
            Heard::Bulk { form, question: Err(Failure::Malformed) }
        }
        Some(MessageType::ActiveLeaseQuery) => {
            Heard::Active { form, question: Err(Refused::MALFORMED) }
        }
        // Options of a DHCPTLS do not matter, right or wrong.
        Some(_) => Heard::Tls { form },
        None => Heard::Forbidden,
    }
}

/// Option 53 of a request that has a cookie, found without looking at anything else.
fn type_in(octets: &[u8]) -> Option<u8> {
    let is_request = octets.first() == Some(&(Op::BootRequest as u8));
    let mut rest = octets.get(236..)?.strip_prefix(&[99, 130, 83, 99]).filter(|_| is_request)?;
    loop {
        match rest {
            [0, tail @ ..] => rest = tail,
            [code, 1, number, ..] if *code == OptionCode::DHCP_MESSAGE_TYPE.0 => {
                return Some(*number);
            }
            [code, len, tail @ ..] if *code != OptionCode::END.0 => {
                rest = tail.get(usize::from(*len)..)?;
            }
            _ => return None,
        }
    }
}
