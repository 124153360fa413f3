//! The fixed fields of replies: RFC 2131 table 3.

use crate::reply::ReplyPlan;
use server_wire::{FLAG_BROADCAST, Header, MessageType, Op};
use std::net::Ipv4Addr;

/// The header of the reply.
pub(crate) fn header(plan: &ReplyPlan<'_>) -> Header {
    let request = &plan.message.header;
    if plan.message_type == Some(MessageType::Nak) {
        return nak_header(request);
    }
    Header {
        // [H-22] 0 in an offer; in a DHCPACK what the client said.
        ciaddr: match plan.message_type {
            Some(MessageType::Offer) => Ipv4Addr::UNSPECIFIED,
            _ => request.ciaddr,
        },
        // [H-23] The address given.
        yiaddr: plan.yiaddr,
        // [H-24] The next server for this client, else of the subnet.
        siaddr: plan.parameters.map_or(Ipv4Addr::UNSPECIFIED, |from| from.next_server()),
        ..copied(request)
    }
}

/// The header of a DHCPNAK to this request, or in place of this DHCPACK: no addresses.
// [H-17] Through a relay with the BROADCAST bit, because the client may have no usable address.
pub(crate) fn nak_header(request: &Header) -> Header {
    let relayed = !request.giaddr.is_unspecified();
    let flags = request.flags | if relayed { FLAG_BROADCAST } else { 0 };
    Header { flags, ..copied(request) }
}

// [H-21] Copied from the request: xid, flags, giaddr, htype, hlen, chaddr; hops and secs are 0.
fn copied(request: &Header) -> Header {
    Header {
        htype: request.htype,
        hlen: request.hlen,
        xid: request.xid,
        flags: request.flags,
        giaddr: request.giaddr,
        chaddr_field: request.chaddr_field,
        ..Header::new(Op::BootReply)
    }
}
