//! Where a reply goes: RFC 2131 section 4.1, RFC 8357, RFC 4388. Pure.

use crate::packet_socket::EthernetAddress;
use server_wire::{BOOTP_PORT_CLIENT, BOOTP_PORT_SERVER, Header, Message, MessageType};
use std::net::{Ipv4Addr, SocketAddrV4};

/// The ports that replies go to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ports {
    /// Relay agents and requestors.
    pub(crate) relay: u16,
    /// Clients.
    pub(crate) client: u16,
}

/// Ethernet in the field `htype` (RFC 1700).
const HTYPE_ETHERNET: u8 = 1;

impl Ports {
    /// Those of RFC 2131 section 4.1.
    pub(crate) const DHCP: Ports = Ports { relay: BOOTP_PORT_SERVER, client: BOOTP_PORT_CLIENT };

    /// Those of a server that listens on this port: 67 and 68 for 67; for another port, which only tests and
    /// demonstrations use, relays have the same and clients the next.
    pub(crate) fn beside(listening: u16) -> Ports {
        match listening {
            BOOTP_PORT_SERVER => Ports::DHCP,
            other => Ports { relay: other, client: other.saturating_add(1) },
        }
    }
}

/// Where a reply goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ReplyAddress {
    /// By IP to one host.
    Unicast(SocketAddrV4),
    /// To everybody on the client's link.
    Broadcast {
        /// At this port.
        port: u16,
        /// The client's address, which tells its link if it is not known otherwise; 0.0.0.0 if it has none.
        near: Ipv4Addr,
    },
    /// By IP to an address that the client may not have yet, and on the link to its hardware address.
    Hardware(SocketAddrV4, EthernetAddress),
}

/// Where the reply of this type (none for a BOOTREPLY) to this request goes. `source_port` is the UDP port that the request came from.
pub(crate) fn reply_address(
    request: &Message<'_>,
    reply_type: Option<MessageType>,
    yiaddr: Ipv4Addr,
    source_port: u16,
    ports: Ports,
) -> ReplyAddress {
    let header = &request.header;
    let to_client = |address| ReplyAddress::Unicast(SocketAddrV4::new(address, ports.client));
    let informs = request.message_type() == Some(MessageType::Inform);
    if informs && reply_type == Some(MessageType::Ack) && !header.ciaddr.is_unspecified() {
        // [H-18] The client has this address and can be reached by it, relay or not.
        return to_client(header.ciaddr);
    }
    if request.is_bootp() && !header.ciaddr.is_unspecified() {
        // [H-19] For BOOTP ciaddr comes before giaddr.
        return to_client(header.ciaddr);
    }
    if !header.giaddr.is_unspecified() {
        // [H-12] [O-12] To giaddr, whatever else chose the subnet.
        let port = relay_port(request, source_port, ports);
        return ReplyAddress::Unicast(SocketAddrV4::new(header.giaddr, port));
    }
    let broadcast = ReplyAddress::Broadcast { port: ports.client, near: header.ciaddr };
    if reply_type == Some(MessageType::Nak) {
        // [H-16] Even if ciaddr is set: the client must not use it.
        return broadcast;
    }
    if !header.ciaddr.is_unspecified() {
        // [H-13] The client answers for this address.
        return to_client(header.ciaddr);
    }
    match ethernet_of(header) {
        // [H-15] To an address that nobody answers for yet.
        Some(hardware) if !header.broadcast() && !yiaddr.is_unspecified() => {
            ReplyAddress::Hardware(SocketAddrV4::new(yiaddr, ports.client), hardware)
        }
        // [H-14] The client can not take unicast yet, or can not be told from others on the link.
        _ => broadcast,
    }
}

/// The same for a client on a link of ours that broadcast its request: what goes to its address goes as a frame, so that neither routes
/// nor address resolution can lead it astray.
pub(crate) fn on_link(address: ReplyAddress, request: &Message<'_>) -> ReplyAddress {
    match (address, ethernet_of(&request.header)) {
        (ReplyAddress::Unicast(to), Some(hardware)) if request.header.giaddr.is_unspecified() => {
            ReplyAddress::Hardware(to, hardware)
        }
        _ => address,
    }
}

/// `chaddr`, if that is an address of one host on an Ethernet.
fn ethernet_of(header: &Header) -> Option<EthernetAddress> {
    let octets: EthernetAddress = header.chaddr().try_into().ok()?;
    let is_of_one_host = octets[0] & 1 == 0 && octets != [0; 6];
    (header.htype == HTYPE_ETHERNET && is_of_one_host).then_some(octets)
}

/// Where the answer to a leasequery goes. `source` is where it came from.
pub(crate) fn answer_address(
    query: &Message<'_>,
    source: SocketAddrV4,
    ports: Ports,
) -> SocketAddrV4 {
    match query.header.giaddr {
        // It is answered only if the operator wants its source answered.
        giaddr if giaddr.is_unspecified() => source,
        // Whatever the source is.
        giaddr => SocketAddrV4::new(giaddr, relay_port(query, source.port(), ports)),
    }
}

/// The port where a relay or a requestor listens.
fn relay_port(request: &Message<'_>, source_port: u16, ports: Ports) -> u16 {
    // [O-21] It may say that it listens where it sends from.
    match request.relay_agent_information() {
        Some(words) if words.source_port() => source_port,
        _ => ports.relay,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use server_wire::{FLAG_BROADCAST, Header, MessageWriter, Op, OptionCode};

    const RELAY: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
    const CLIENT: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 9);
    const GIVEN: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 10);
    const NONE: Ipv4Addr = Ipv4Addr::UNSPECIFIED;
    const MAC: EthernetAddress = [2, 0, 0, 0, 0, 9];
    const ALL_ON_LINK: ReplyAddress = ReplyAddress::Broadcast { port: 68, near: NONE };

    /// Of a client on an Ethernet.
    fn header(giaddr: Ipv4Addr, ciaddr: Ipv4Addr, flags: u16) -> Header {
        let mut header = Header { giaddr, ciaddr, flags, ..Header::new(Op::BootRequest) };
        header.set_chaddr(1, &MAC);
        header
    }

    fn message(message_type: u8, giaddr: Ipv4Addr, ciaddr: Ipv4Addr, flags: u16) -> Vec<u8> {
        let mut octets = Vec::new();
        let mut writer = MessageWriter::new(&mut octets, 548);
        writer.header(&header(giaddr, ciaddr, flags));
        writer.option_u8(OptionCode::DHCP_MESSAGE_TYPE, message_type).expect("room");
        writer.finish();
        octets
    }

    fn address_for(octets: &[u8], reply: MessageType, listening: u16) -> ReplyAddress {
        let request = Message::decode(octets).expect("tests write messages correctly");
        reply_address(&request, Some(reply), GIVEN, 5555, Ports::beside(listening))
    }

    // proves [H-12] [H-13] [H-14] [H-15] [H-16] [H-18] [O-12]
    #[test]
    fn replies_go_where_their_receiver_listens() {
        let to = |ip, port| ReplyAddress::Unicast(SocketAddrV4::new(ip, port));
        let check = |request: u8, giaddr, ciaddr, flags, reply, expected| {
            let octets = message(request, giaddr, ciaddr, flags);
            assert_eq!(address_for(&octets, reply, 67), expected, "{request} {giaddr} {ciaddr}");
        };
        use MessageType::{Ack, Nak, Offer};
        let (discover, request, inform) = (1, 3, 8);
        check(discover, RELAY, NONE, 0, Offer, to(RELAY, 67));
        check(discover, RELAY, NONE, FLAG_BROADCAST, Offer, to(RELAY, 67));
        check(request, RELAY, CLIENT, 0, Ack, to(RELAY, 67));
        check(request, RELAY, CLIENT, 0, Nak, to(RELAY, 67));
        check(request, NONE, CLIENT, 0, Ack, to(CLIENT, 68));
        check(request, NONE, CLIENT, FLAG_BROADCAST, Ack, to(CLIENT, 68));
        check(request, NONE, CLIENT, 0, Nak, ReplyAddress::Broadcast { port: 68, near: CLIENT });
        check(discover, NONE, NONE, FLAG_BROADCAST, Offer, ALL_ON_LINK);
        let hardware = ReplyAddress::Hardware(SocketAddrV4::new(GIVEN, 68), MAC);
        check(discover, NONE, NONE, 0, Offer, hardware);
        check(inform, RELAY, CLIENT, 0, Ack, to(CLIENT, 68));
        check(inform, NONE, CLIENT, 0, Ack, to(CLIENT, 68));
        check(inform, RELAY, NONE, 0, Ack, to(RELAY, 67));
    }

    // proves [H-14] [H-15]
    #[test]
    fn a_client_that_can_not_be_told_from_others_on_the_link_is_answered_by_broadcast() {
        let check = |htype, chaddr: &[u8], yiaddr, expected| {
            let mut octets = Vec::new();
            let mut writer = MessageWriter::new(&mut octets, 548);
            let mut header = Header::new(Op::BootRequest);
            header.set_chaddr(htype, chaddr);
            writer.header(&header);
            writer.option_u8(OptionCode::DHCP_MESSAGE_TYPE, 1).expect("room");
            writer.finish();
            let request = Message::decode(&octets).expect("tests write messages correctly");
            let offer = Some(MessageType::Offer);
            let address = reply_address(&request, offer, yiaddr, 68, Ports::DHCP);
            assert_eq!(address, expected, "{htype} {chaddr:?}");
        };
        check(1, &MAC, GIVEN, ReplyAddress::Hardware(SocketAddrV4::new(GIVEN, 68), MAC));
        check(32, &MAC, GIVEN, ALL_ON_LINK);
        check(1, &MAC[..5], GIVEN, ALL_ON_LINK);
        check(1, &[0; 6], GIVEN, ALL_ON_LINK);
        check(1, &[0xff; 6], GIVEN, ALL_ON_LINK);
        // An offer of no address (RFC 8925).
        check(1, &MAC, NONE, ALL_ON_LINK);
    }

    #[test]
    fn on_its_own_link_a_client_that_has_an_address_is_answered_by_a_frame() {
        let check = |octets: &[u8], reply, expected| {
            let request = Message::decode(octets).expect("tests write messages correctly");
            let address = reply_address(&request, Some(reply), GIVEN, 68, Ports::DHCP);
            assert_eq!(on_link(address, &request), expected);
        };
        use MessageType::{Ack, Nak};
        let frame = ReplyAddress::Hardware(SocketAddrV4::new(CLIENT, 68), MAC);
        check(&message(3, NONE, CLIENT, 0), Ack, frame);
        check(&message(8, NONE, CLIENT, 0), Ack, frame);
        let near = ReplyAddress::Broadcast { port: 68, near: CLIENT };
        check(&message(3, NONE, CLIENT, 0), Nak, near);
        // A relay that broadcasts is answered as any.
        let relay = ReplyAddress::Unicast(SocketAddrV4::new(RELAY, 67));
        check(&message(3, RELAY, CLIENT, 0), Ack, relay);
    }

    // proves [H-19]
    #[test]
    fn a_bootp_client_that_has_an_address_is_answered_there_and_others_as_usual() {
        let to = |ip, port| ReplyAddress::Unicast(SocketAddrV4::new(ip, port));
        let check = |giaddr, ciaddr, flags, expected| {
            let mut octets = Vec::new();
            let mut writer = MessageWriter::new(&mut octets, 300);
            writer.header(&header(giaddr, ciaddr, flags));
            writer.finish();
            let request = Message::decode(&octets).expect("tests write messages correctly");
            let address = reply_address(&request, None, GIVEN, 68, Ports::beside(67));
            assert_eq!(address, expected, "{giaddr} {ciaddr} {flags}");
        };
        check(RELAY, CLIENT, FLAG_BROADCAST, to(CLIENT, 68));
        check(NONE, CLIENT, 0, to(CLIENT, 68));
        check(RELAY, NONE, 0, to(RELAY, 67));
        check(NONE, NONE, FLAG_BROADCAST, ALL_ON_LINK);
        check(NONE, NONE, 0, ReplyAddress::Hardware(SocketAddrV4::new(GIVEN, 68), MAC));
    }

    // proves
    #[test]
    fn a_leasequery_is_answered_to_giaddr_or_to_its_source() {
        let source = SocketAddrV4::new(Ipv4Addr::new(192, 0, 2, 7), 4000);
        let check = |giaddr, expected| {
            let octets = message(10, giaddr, CLIENT, 0);
            let query = Message::decode(&octets).expect("tests write messages correctly");
            assert_eq!(answer_address(&query, source, Ports::beside(67)), expected);
        };
        check(RELAY, SocketAddrV4::new(RELAY, 67));
        check(NONE, source);
    }

    // proves [O-21]
    #[test]
    fn a_relay_that_says_so_is_answered_at_its_source_port() {
        let mut octets = Vec::new();
        let mut writer = MessageWriter::new(&mut octets, 548);
        writer.header(&Header { giaddr: RELAY, ..Header::new(Op::BootRequest) });
        writer.relay_agent_information(&[19, 0]).expect("room");
        writer.option_u8(OptionCode::DHCP_MESSAGE_TYPE, 1).expect("room");
        writer.finish();
        let expected = ReplyAddress::Unicast(SocketAddrV4::new(RELAY, 5555));
        assert_eq!(address_for(&octets, MessageType::Offer, 67), expected);
        let query = Message::decode(&octets).expect("tests write messages correctly");
        let source = SocketAddrV4::new(CLIENT, 5555);
        let expected = SocketAddrV4::new(RELAY, 5555);
        assert_eq!(answer_address(&query, source, Ports::beside(67)), expected);
    }

    #[test]
    fn an_unprivileged_server_answers_beside_its_own_port() {
        let octets = message(1, RELAY, NONE, 0);
        let expected = ReplyAddress::Unicast(SocketAddrV4::new(RELAY, 1067));
        assert_eq!(address_for(&octets, MessageType::Offer, 1067), expected);
        let octets = message(3, NONE, CLIENT, 0);
        let expected = ReplyAddress::Unicast(SocketAddrV4::new(CLIENT, 1068));
        assert_eq!(address_for(&octets, MessageType::Ack, 1067), expected);
    }
}
