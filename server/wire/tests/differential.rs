//! The same octets read by this crate and by `dhcproto`, which somebody else wrote.
//!
//! Only valid messages without overload and without options in separated parts are compared:
//! those `dhcproto` does not handle. What it decodes wrongly is not asked: 37 (taken for 23), 94
//! and others with values it restricts.

use dhcproto::v4::{
    self, DhcpOption, Flags, HType, Opcode, OptionCode as TheirCode, UnknownOption, relay,
};
use dhcproto::{Decodable, Decoder, Encodable};
use proptest::collection::vec;
use proptest::prelude::*;
use server_wire::{Header, Message, MessageType, MessageWriter, Op, OptionCode, OptionSet};

/// Values that both sides accept and that `dhcproto` writes back as it read them.
fn option() -> impl Strategy<Value = (u8, Vec<u8>)> {
    let address =
        prop_oneof![Just(1u8), Just(16), Just(28), Just(32), Just(50), Just(54), Just(118)];
    let number = prop_oneof![Just(2u8), Just(24), Just(35), Just(38), Just(51), Just(58), Just(59)];
    let query = prop_oneof![Just(91u8), Just(152), Just(153), Just(154), Just(155)];
    let list = prop_oneof![3..=11u8, Just(41), Just(42), Just(44), 69..=76u8, Just(92)];
    let text = prop_oneof![Just(12u8), Just(14), Just(15), Just(17), Just(40), Just(56)];
    let octets = prop_oneof![Just(43u8), Just(60), Just(61), Just(66), Just(67), Just(77)];
    prop_oneof![
        (address, vec(any::<u8>(), 4)),
        (number, vec(any::<u8>(), 4)),
        (query, vec(any::<u8>(), 4)),
        (list, vec(any::<[u8; 4]>(), 1..5).prop_map(|addresses| addresses.concat())),
        (text, vec(b'a'..=b'z', 1..40)),
        (octets, vec(any::<u8>(), 1..300)),
        (prop_oneof![Just(13u8), Just(22), Just(26), Just(57)], vec(any::<u8>(), 2)),
        (Just(53u8), (1..=18u8).prop_map(|message_type| vec![message_type])),
        (Just(55u8), vec(1..=254u8, 1..30)),
        (Just(80u8), Just(vec![])),
        (230..=249u8, vec(any::<u8>(), 0..60)).prop_filter("routes", |(code, _)| *code != 249),
    ]
}

fn header() -> impl Strategy<Value = Header> {
    let numbers = (any::<bool>(), 0..=16u8, any::<u8>(), any::<u32>(), any::<u16>(), any::<u16>());
    (numbers, any::<[u32; 4]>(), any::<[u8; 16]>()).prop_map(
        |((reply, hlen, hops, xid, secs, flags), [ciaddr, yiaddr, siaddr, giaddr], chaddr)| {
            Header {
                op: if reply { Op::BootReply } else { Op::BootRequest },
                htype: 1,
                hlen,
                hops,
                xid,
                secs,
                flags,
                ciaddr: ciaddr.into(),
                yiaddr: yiaddr.into(),
                siaddr: siaddr.into(),
                giaddr: giaddr.into(),
                chaddr_field: chaddr,
            }
        },
    )
}

fn same_header(ours: &Header, theirs: &v4::Message) {
    assert_eq!(ours.op as u8, u8::from(theirs.opcode()));
    assert_eq!((ours.htype, ours.hlen), (u8::from(theirs.htype()), theirs.hlen()));
    assert_eq!((ours.hops, ours.xid, ours.secs), (theirs.hops(), theirs.xid(), theirs.secs()));
    assert_eq!(ours.flags, u16::from(theirs.flags()));
    assert_eq!(ours.broadcast(), theirs.flags().broadcast());
    assert_eq!((ours.ciaddr, ours.yiaddr), (theirs.ciaddr(), theirs.yiaddr()));
    assert_eq!((ours.siaddr, ours.giaddr), (theirs.siaddr(), theirs.giaddr()));
    assert_eq!(ours.chaddr(), theirs.chaddr());
}

/// The value that `dhcproto` read, as it would write it.
fn value_of(option: &DhcpOption) -> Vec<u8> {
    let octets = option.to_vec().expect("it was read");
    let mut value = Vec::new();
    let mut rest = &octets[..];
    while let [_, len, after @ ..] = rest {
        let (part, after) = after.split_at(usize::from(*len));
        value.extend_from_slice(part);
        rest = after;
    }
    value
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..Default::default() })]

    #[test]
    fn what_we_write_they_read_as_we_do(header in header(), options in vec(option(), 0..20)) {
        let mut seen = OptionSet::default();
        let mut buffer = Vec::new();
        let mut writer = MessageWriter::new(&mut buffer, 65_535);
        writer.header(&header);
        for (code, value) in &options {
            if seen.insert(OptionCode(*code)) {
                prop_assert_eq!(writer.option(OptionCode(*code), value), Ok(()));
            }
        }
        writer.finish();
        let ours = Message::decode(&buffer).expect("own messages are valid");
        let theirs = v4::Message::decode(&mut Decoder::new(&buffer)).expect("valid for them too");
        same_header(&ours.header, &theirs);
        prop_assert_eq!(ours.options().len(), theirs.opts().len());
        for (code, value) in ours.options().iter() {
            let read = theirs.opts().get(TheirCode::from(code.0)).expect("they read it");
            prop_assert_eq!(value_of(read), value, "{}", code);
        }
    }

    #[test]
    fn what_they_write_we_read_as_they_meant(
        xid in any::<u32>(),
        chaddr in vec(any::<u8>(), 6),
        broadcast in any::<bool>(),
        lease in any::<u32>(),
        addresses in any::<[u32; 3]>(),
        circuit in vec(any::<u8>(), 0..60),
        remote in vec(any::<u8>(), 0..60),
        // Their encoder leaves an empty unknown option out.
        unknown in vec(any::<u8>(), 1..600),
    ) {
        let [requested, server, link] = addresses.map(std::net::Ipv4Addr::from);
        let mut theirs = v4::Message::default();
        let flags = if broadcast { Flags::default().set_broadcast() } else { Flags::default() };
        theirs.set_opcode(Opcode::BootRequest).set_htype(HType::Eth).set_xid(xid);
        theirs.set_chaddr(&chaddr).set_flags(flags).set_giaddr(server);
        let mut relay_agent = relay::RelayAgentInformation::default();
        relay_agent.insert(relay::RelayInfo::AgentCircuitId(circuit.clone()));
        relay_agent.insert(relay::RelayInfo::AgentRemoteId(remote.clone()));
        relay_agent.insert(relay::RelayInfo::LinkSelection(link));
        let options = theirs.opts_mut();
        options.insert(DhcpOption::MessageType(v4::MessageType::Request));
        options.insert(DhcpOption::AddressLeaseTime(lease));
        options.insert(DhcpOption::RequestedIpAddress(requested));
        options.insert(DhcpOption::ServerIdentifier(server));
        options.insert(DhcpOption::RelayAgentInformation(relay_agent));
        let code = TheirCode::from(231);
        options.insert(DhcpOption::Unknown(UnknownOption::new(code, unknown.clone())));
        let octets = theirs.to_vec().expect("they write it");

        let ours = Message::decode(&octets).expect("valid");
        same_header(&ours.header, &theirs);
        prop_assert_eq!(ours.header.broadcast(), broadcast);
        prop_assert_eq!(ours.message_type(), Some(MessageType::Request));
        prop_assert_eq!(ours.lease_time_seconds(), Some(lease));
        prop_assert_eq!(ours.requested_ip_address(), Some(requested));
        prop_assert_eq!(ours.server_identifier(), Some(server));
        prop_assert_eq!(ours.option(OptionCode(231)), Some(&unknown[..]));
        let relay_agent = ours.relay_agent_information().expect("present");
        prop_assert_eq!(relay_agent.circuit_id(), Some(&circuit[..]));
        prop_assert_eq!(relay_agent.remote_id(), Some(&remote[..]));
        prop_assert_eq!(relay_agent.link_selection(), Some(link));
    }
}
