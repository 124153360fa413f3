//! A reply as a plan that borrows everything, and its encoding into a buffer of the caller.

use crate::lease_terms::LeaseTerms;
use crate::limits::DIRECT_REPLY_LEN_MAX;
use crate::parameters::Parameters;
use crate::reply_fields;
use crate::reply_options;
use replication_ledger::Settings;
use server_wire::{
    Header, MESSAGE_LEN_MIN_BOOTP, MINIMUM_DATAGRAM_LEN, Message, MessageType, MessageWriter,
    OptionCode, OptionSet, PART_LEN_MAX,
};
use std::borrow::Cow;
use std::net::Ipv4Addr;

/// Octets of UDP payload in the smallest datagram that every client takes (RFC 2131 section 2).
const REPLY_LEN_DEFAULT: usize = MINIMUM_DATAGRAM_LEN as usize - 28;

/// A DHCPOFFER, DHCPACK, DHCPNAK or BOOTREPLY to be encoded.
#[derive(Clone, Copy, Debug)]
pub struct ReplyPlan<'m> {
    /// The request that it answers.
    pub message: &'m Message<'m>,
    /// What it is, none for a BOOTREPLY to a BOOTP client.
    pub message_type: Option<MessageType>,
    /// "Your" address; 0.0.0.0 in a DHCPNAK and in the answer to a DHCPINFORM.
    pub yiaddr: Ipv4Addr,
    /// Option 54.
    pub server_identifier: Ipv4Addr,
    /// Options 51, 58 and 59; none in a DHCPNAK and in the answer to a DHCPINFORM.
    pub terms: Option<LeaseTerms>,
    /// Where configured options come from; none in a DHCPNAK.
    pub(crate) parameters: Option<Parameters<'m>>,
    /// Option 56 of a DHCPNAK.
    pub(crate) explanation: &'static str,
    /// This DHCPACK answers a DHCPDISCOVER (RFC 4039).
    pub(crate) rapid_commit: bool,
    /// What is in force.
    pub(crate) settings: &'m Settings,
}

impl<'m> ReplyPlan<'m> {
    /// A DHCPNAK that says why.
    pub(crate) fn nak(
        message: &'m Message<'m>,
        settings: &'m Settings,
        server_identifier: Ipv4Addr,
        explanation: &'static str,
    ) -> ReplyPlan<'m> {
        ReplyPlan {
            message,
            message_type: Some(MessageType::Nak),
            yiaddr: Ipv4Addr::UNSPECIFIED,
            server_identifier,
            terms: None,
            parameters: None,
            explanation,
            rapid_commit: false,
            settings,
        }
    }
}

/// Writes the reply at the end of `buffer`. The answer names the options for which there was no room;
/// if option 82 is among them the caller counts it (RFC 3046 section 2.2).
pub fn encode_reply(plan: &ReplyPlan<'_>, buffer: &mut Vec<u8>) -> OptionSet {
    let message = plan.message;
    let header = reply_fields::header(plan);
    if plan.message_type == Some(MessageType::Nak) {
        let nak = Nak {
            header,
            server_identifier: plan.server_identifier,
            explanation: plan.explanation,
            client_identifier: message.option(OptionCode::CLIENT_IDENTIFIER),
            relay_agent_information: reply_options::words_for_relay(message, plan.settings),
        };
        return encode_nak(nak, buffer);
    }
    // [H-07] No longer than the client takes.
    let mut writer = match plan.message_type {
        Some(_) => MessageWriter::new(buffer, reply_len_max(message)),
        None => bootreply_writer(message, buffer),
    };
    writer.header(&header);
    if let Some(parameters) = plan.parameters {
        // Both fit: the configuration was checked.
        let _ = writer.sname(parameters.server_name().as_bytes());
        let _ = writer.file(parameters.file().as_bytes());
    }
    reply_options::relay_agent_information(&mut writer, message, plan.settings);
    reply_options::write(&mut writer, plan);
    writer.finish().left_out
}

/// How long a reply to this message may be, in octets.
///
/// Who has no address yet can not be expected to put fragments together, whatever size it says that it takes: what the client asked for
/// last is left out instead.
fn reply_len_max(message: &Message<'_>) -> usize {
    let header = &message.header;
    let is_direct = header.giaddr.is_unspecified() && header.ciaddr.is_unspecified();
    let of_link = if is_direct { DIRECT_REPLY_LEN_MAX } else { usize::MAX };
    message.reply_len_max().min(of_link)
}

/// For a BOOTP client: 300 octets and what the relay takes out again, and nothing in `file` and `sname` but their own texts.
/// A client that sent no cookie knows of no options (RFC 951 section 3).
fn bootreply_writer<'b>(message: &Message<'_>, buffer: &'b mut Vec<u8>) -> MessageWriter<'b> {
    let words = message.option(OptionCode::RELAY_AGENT_INFORMATION);
    // Beside the value, code and length of each part.
    let words_len = words.map_or(0, |raw| raw.len() + 2 * raw.len().div_ceil(PART_LEN_MAX));
    let writer = MessageWriter::new(buffer, MESSAGE_LEN_MIN_BOOTP + words_len).without_overload();
    match message.vendor_area() {
        Some(_) => writer.without_options(),
        None => writer,
    }
}

/// The DHCPNAK that takes the place of this DHCPACK, at the end of `buffer`. Nothing is written if `ack` is none.
pub(crate) fn nak_instead_of(ack: &[u8], explanation: &'static str, buffer: &mut Vec<u8>) {
    // Our own encoding a moment ago: it decodes. If it did not there would be nothing to send.
    let Ok(ack) = Message::decode(ack) else { return };
    let Some(server_identifier) = ack.server_identifier() else { return };
    let nak = Nak {
        header: reply_fields::nak_header(&ack.header),
        server_identifier,
        explanation,
        client_identifier: ack.option(OptionCode::CLIENT_IDENTIFIER),
        // As it is in the DHCPACK.
        relay_agent_information: ack.option(OptionCode::RELAY_AGENT_INFORMATION).map(Cow::from),
    };
    encode_nak(nak, buffer);
}

struct Nak<'n> {
    header: Header,
    server_identifier: Ipv4Addr,
    explanation: &'static str,
    client_identifier: Option<&'n [u8]>,
    relay_agent_information: Option<Cow<'n, [u8]>>,
}

// [H-26] Nothing but 53, 54, 56, 61 and 82, and no overload.
fn encode_nak(nak: Nak<'_>, buffer: &mut Vec<u8>) -> OptionSet {
    let mut writer = MessageWriter::new(buffer, REPLY_LEN_DEFAULT).without_overload();
    writer.header(&nak.header);
    // What does not fit is named in the answer.
    if let Some(raw) = nak.relay_agent_information {
        let _ = writer.relay_agent_information(raw);
    }
    let _ = writer.option_u8(OptionCode::DHCP_MESSAGE_TYPE, MessageType::Nak as u8 + 1);
    let _ = writer.option_address(OptionCode::SERVER_IDENTIFIER, nak.server_identifier);
    if let Some(identifier) = nak.client_identifier {
        let _ = writer.option(OptionCode::CLIENT_IDENTIFIER, identifier);
    }
    // [H-27] [H-51] A text for whoever looks at the client.
    let _ = writer.option(OptionCode::MESSAGE, nak.explanation.as_bytes());
    writer.finish().left_out
}

#[cfg(test)]
#[path = "reply_tests.rs"]
mod tests;
