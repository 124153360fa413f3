//! A leasequery over UDP, from its message to its answer: whose dialect it is, whether it may be asked, what is found.

use super::access::Requestor;
use super::authentication::Seal;
use super::query::{Finding, Query};
use super::scope::Scope;
use super::select::{select, select_last};
use super::told::code_points;
use super::{udp_lq01, udp_rfc4388};
use crate::intent::DropReason;
use crate::request::{Arrival, Situation};
use replication_ledger::{
    LeasequeryDialect, LeasequerySettings, LedgerView, Settings, Timestamp, VpnAddress, VpnNumber,
};
use server_wire::{
    Header, Message, MessageType, MessageWriter, Op, OptionCode, OptionSet, Written,
};
use std::net::Ipv4Addr;

/// The document that a query and its answer follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UdpDialect {
    /// RFC 4388.
    Rfc4388,
    /// RFC 6148, query by Remote-ID.
    Rfc6148,
    /// draft-ietf-dhc-leasequery-01.
    Lq01,
}

impl UdpDialect {
    /// The lower-case label used in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            UdpDialect::Rfc4388 => "rfc4388",
            UdpDialect::Rfc6148 => "rfc6148",
            UdpDialect::Lq01 => "lq01",
        }
    }
}

/// An answer to be encoded.
#[derive(Clone, Debug)]
pub struct AnswerPlan<'m> {
    /// The query's message.
    pub message: &'m Message<'m>,
    /// What it speaks.
    pub dialect: UdpDialect,
    /// What was asked.
    pub query: Query<'m>,
    /// What was found.
    pub finding: Finding<'m>,
    /// The value of option 221 of the answer: the VPN in which was searched, if it was named and is configured.
    pub(super) vpn: Option<&'m [u8]>,
    /// Who asked.
    pub(super) requestor: Requestor<'m>,
    pub(super) settings: &'m Settings,
    pub(super) server_identifier: Ipv4Addr,
    pub(super) now: Timestamp,
    /// How the answer is authenticated, if it is.
    pub(super) seal: Option<Seal<'m>>,
}

impl<'m> AnswerPlan<'m> {
    /// The type of the answer.
    pub fn message_type(&self) -> MessageType {
        match (self.dialect, &self.finding) {
            (UdpDialect::Lq01, Finding::Unknown | Finding::Unassigned(_)) => {
                MessageType::DraftUnknown
            }
            (UdpDialect::Lq01, _) => MessageType::DraftKnown,
            (_, Finding::Unassigned(_)) => MessageType::LeaseUnassigned,
            (_, Finding::Active(_)) => MessageType::LeaseActive,
            // What is past or only set aside is found for the draft alone.
            (_, Finding::Unknown | Finding::Past(_) | Finding::Reserved(..)) => {
                MessageType::LeaseUnknown
            }
        }
    }

    /// The configuration of leasequery.
    pub(super) fn leasequery(&self) -> &'m LeasequerySettings {
        &self.settings.leasequery
    }

    /// The fixed fields of an answer that says nothing: those of the query that an answer keeps.
    // ciaddr and the hardware address as asked, until a lease says more.
    pub(super) fn header(&self) -> Header {
        let asked = &self.message.header;
        Header {
            xid: asked.xid,
            flags: asked.flags,
            giaddr: asked.giaddr,
            ciaddr: asked.ciaddr,
            htype: asked.htype,
            hlen: asked.hlen,
            chaddr_field: asked.chaddr_field,
            ..Header::new(Op::BootReply)
        }
    }

    /// Begins a message: fixed fields, option 53, option 90 if the answer is authenticated, and the VPN. These come first, so
    /// that there is room for them whatever the others take.
    pub(super) fn begin<'b>(&self, buffer: &'b mut Vec<u8>, header: &Header) -> MessageWriter<'b> {
        let mut writer = MessageWriter::new(buffer, self.message.reply_len_max());
        writer.header(header);
        // A type of the draft has the number that is configured for it.
        let number = code_points(&self.leasequery().numbers).number(self.message_type());
        let _ = writer.option_u8(OptionCode::DHCP_MESSAGE_TYPE, number);
        if let Some(seal) = &self.seal {
            seal.write(&mut writer);
        }
        // RFC 6607 section 7.1: as it came, if it was used.
        if let Some(vpn) = self.vpn {
            let _ = writer.option(OptionCode::VSS, vpn);
        }
        writer
    }

    pub(super) fn is_asked_for(&self, wanted: OptionCode) -> bool {
        self.message.parameter_request_list().any(|code| code == wanted)
    }
}

/// Reads the query, checks that its sender may ask, and finds the answer. [`authenticate`](super::authenticate) comes
/// before [`encode`] where [`AnswerPlan::needs_authentication`] says so.
///
/// # Errors
/// Why there is no answer.
pub(crate) fn decide<'m, V: LedgerView>(
    message: &'m Message<'m>,
    message_type: MessageType,
    arrival: Arrival,
    situation: &Situation<'m, V>,
) -> Result<AnswerPlan<'m>, DropReason> {
    let settings = situation.settings();
    let leasequery = &settings.leasequery;
    let address = match message.header.giaddr {
        // [Q-11] [L-19] The answer would have nowhere to go, unless the operator wants it sent to the source.
        giaddr if giaddr.is_unspecified() && !leasequery.without_giaddr => {
            return Err(DropReason::QueryWithoutGiaddr);
        }
        giaddr if giaddr.is_unspecified() => arrival.source,
        // [Q-14] [L-20] It is for nothing else.
        giaddr => giaddr,
    };
    let requestor = Requestor::of(leasequery, address).ok_or(DropReason::QueryNotPermitted)?;
    let family = match message_type {
        // A message type of its own selects the draft; where it shares RFC 4388's, the requestor's entry decides.
        MessageType::DraftLeaseQuery => LeasequeryDialect::Draft,
        _ => requestor.dialect(),
    };
    let (dialect, query) = match family {
        // [L-29] A dialect that is switched off is answered nothing.
        LeasequeryDialect::Draft if !leasequery.draft => return Err(DropReason::QueryDialect),
        LeasequeryDialect::Draft => (UdpDialect::Lq01, udp_lq01::read(message)),
        // [Q-15] [M-05] Nor is this one.
        LeasequeryDialect::Rfc if !leasequery.rfc => return Err(DropReason::QueryDialect),
        LeasequeryDialect::Rfc => udp_rfc4388::read(message),
    };
    let query = query.ok_or(DropReason::QueryKeys)?;
    if !requestor.may_ask(&query) {
        return Err(DropReason::QueryNotPermitted);
    }
    // Over UDP there is one answer, about one VPN.
    let Some(Scope::Vpn(vpn)) = Scope::of(message) else { return Err(DropReason::QueryVpn) };
    let (view, now) = (situation.view, situation.now);
    let named = message.option(OptionCode::VSS);
    let used = named.filter(|_| vpn == VpnNumber::GLOBAL || settings.vpn(vpn).is_some());
    let finding = match dialect {
        UdpDialect::Lq01 => {
            let reservations = udp_lq01::wants_reservations(leasequery, message);
            select_last(view, situation.index, &query, vpn, reservations, now)
        }
        UdpDialect::Rfc4388 | UdpDialect::Rfc6148 => select(view, &query, vpn, now),
    };
    let server_identifier = situation.me.server_identifier;
    Ok(AnswerPlan {
        message,
        dialect,
        query,
        finding,
        vpn: used,
        requestor,
        settings,
        server_identifier,
        now,
        seal: None,
    })
}

/// Writes the answer at the end of `buffer`. What is returned names the options for which there was no room.
pub fn encode(plan: &AnswerPlan<'_>, buffer: &mut Vec<u8>) -> OptionSet {
    let start = buffer.len();
    let Written { left_out, .. } = match plan.dialect {
        UdpDialect::Rfc4388 | UdpDialect::Rfc6148 => udp_rfc4388::write(plan, buffer),
        UdpDialect::Lq01 => udp_lq01::write(plan, buffer),
    };
    if let Some(seal) = &plan.seal {
        seal.close(&mut buffer[start..]);
    }
    left_out
}

/// Writes the client's addresses as an option with this code.
// Whole addresses, one at least. As many as one option can carry: 63.
pub(super) fn write_associated(
    writer: &mut MessageWriter<'_>,
    plan: &AnswerPlan<'_>,
    ciaddr: VpnAddress,
    associated: &[VpnAddress],
    code: OptionCode,
) {
    let all = plan.leasequery().associated_ip_with_ciaddr;
    let listed = associated.iter().filter(|address| all || **address != ciaddr);
    let mut octets = [0; 252];
    let mut len = 0;
    for (place, address) in octets.chunks_exact_mut(4).zip(listed) {
        place.copy_from_slice(&address.ip.octets());
        len += 4;
    }
    if len > 0 {
        let _ = writer.option(code, &octets[..len]);
    }
}
