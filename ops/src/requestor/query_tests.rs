use super::*;
use server_wire::{Message, MessageType};

const ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 9);
const GIADDR: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 9);

fn form(dialect: Dialect) -> Form {
    Form { dialect, giaddr: GIADDR, ..Form::default() }
}

fn hardware() -> Hardware {
    Hardware { htype: 1, octets: vec![2, 0, 0, 0, 0, 7] }
}

fn by_client(hardware: Option<Hardware>) -> Key {
    Key::ClientIdentifier { identifier: vec![1, 2, 3], hardware }
}

/// The message of a query, without its frame.
fn written(query: &Query, exchange: Exchange, form: &Form) -> Vec<u8> {
    let mut octets = Vec::new();
    query.write(exchange, form, 77, &mut octets).expect("it can be asked");
    match exchange {
        Exchange::Udp => octets,
        _ => octets.split_off(form.framing().prefix_len()),
    }
}

#[test]
fn each_key_fills_its_own_field_and_no_other() {
    // proves [Q-03] [L-08] [L-09] [L-10] [D-12] [D-13] [M-01] [B-07]
    let check = |exchange, dialect, key: Key, fields: (bool, bool, bool, Option<&[u8]>)| {
        let octets = written(&key.clone().into(), exchange, &form(dialect));
        let message = Message::decode(&octets).expect("well formed");
        let header = &message.header;
        let found = (
            header.ciaddr == ADDRESS,
            (header.htype, header.chaddr()) == (1, &hardware().octets[..]),
            message.client_identifier().map(|id| id.as_octets()) == Some(&[1, 2, 3]),
            message.option(OptionCode::RELAY_AGENT_INFORMATION),
        );
        assert_eq!(found, fields, "{exchange:?} {dialect:?} {key:?}");
        assert_eq!(header.ciaddr.is_unspecified(), !fields.0, "{key:?}");
        assert_eq!((header.htype, header.hlen) == (0, 0), !fields.1, "{key:?}");
        assert_eq!(message.client_identifier().is_some(), fields.2, "{key:?}");
        assert_eq!(header.xid, 77);
    };
    let mac = || Key::Hardware(hardware());
    let remote = || Key::RemoteId(b"r".to_vec());
    let relay = || Key::RelayId(b"y".to_vec());
    let remote_option = Some(&[2, 1, b'r'][..]);
    let relay_option = Some(&[12, 1, b'y'][..]);
    use Dialect::{Draft, Rfc};
    for (exchange, dialect) in
        [(Exchange::Udp, Rfc), (Exchange::Udp, Draft), (Exchange::Bulk, Draft)]
    {
        check(exchange, dialect, Key::Address(ADDRESS), (true, false, false, None));
    }
    for exchange in [Exchange::Udp, Exchange::Bulk] {
        for dialect in [Rfc, Draft] {
            check(exchange, dialect, mac(), (false, true, false, None));
            check(exchange, dialect, by_client(None), (false, false, true, None));
        }
    }
    check(Exchange::Udp, Draft, by_client(Some(hardware())), (false, true, true, None));
    check(Exchange::Udp, Rfc, remote(), (false, false, false, remote_option));
    for dialect in [Rfc, Draft] {
        check(Exchange::Bulk, dialect, remote(), (false, false, false, remote_option));
        check(Exchange::Bulk, dialect, relay(), (false, false, false, relay_option));
    }
    check(Exchange::Bulk, Rfc, Key::Everything, (false, false, false, None));
}

#[test]
fn types_and_frames_are_those_of_the_document() {
    // proves [B-03]
    let check = |exchange, dialect, key: Key, message_type: MessageType, prefix: &[u8]| {
        let mut octets = Vec::new();
        Query::from(key).write(exchange, &form(dialect), 1, &mut octets).expect("askable");
        let (found, message) = octets.split_at(prefix.len());
        let message = Message::decode(message).expect("well formed");
        assert_eq!(message.message_type_with(&CodePoints::default()), Some(message_type));
        assert_eq!(found.get(2..), prefix.get(2..));
        if let Some(size) = found.first_chunk::<2>() {
            assert_eq!(usize::from(u16::from_be_bytes(*size)), octets.len() - prefix.len());
        }
    };
    let mac = || Key::Hardware(hardware());
    check(Exchange::Udp, Dialect::Rfc, mac(), MessageType::LeaseQuery, &[]);
    check(Exchange::Udp, Dialect::Draft, mac(), MessageType::DraftLeaseQuery, &[]);
    check(Exchange::Bulk, Dialect::Rfc, mac(), MessageType::BulkLeaseQuery, &[0, 0]);
    check(Exchange::Bulk, Dialect::Draft, mac(), MessageType::LeaseQuery, &[0; 4]);
    let everything = Key::Everything;
    check(Exchange::Active, Dialect::Rfc, everything, MessageType::ActiveLeaseQuery, &[0, 0]);
}

#[test]
fn answers_over_udp_go_to_giaddr_and_the_wanted_options_are_named() {
    // proves [Q-01] [Q-02] [L-05] [L-06] [M-02] [B-09]
    let check = |exchange, dialect, giaddr: Ipv4Addr, wanted: &[u8]| {
        let octets = written(&Key::Hardware(hardware()).into(), exchange, &form(dialect));
        let message = Message::decode(&octets).expect("well formed");
        assert_eq!(message.header.giaddr, giaddr, "{exchange:?}");
        for code in wanted {
            let named = message.parameter_request_list().any(|found| found.0 == *code);
            assert!(named, "{exchange:?} {dialect:?} {code}");
        }
    };
    let none = Ipv4Addr::UNSPECIFIED;
    check(Exchange::Udp, Dialect::Rfc, GIADDR, &[51, 60, 61, 82, 91, 92]);
    check(Exchange::Udp, Dialect::Draft, GIADDR, &[51, 82, 91, 92, 233]);
    check(Exchange::Bulk, Dialect::Draft, none, &[51, 61, 82, 91]);
    check(Exchange::Bulk, Dialect::Rfc, none, &[51, 91, 152, 153, 156, 157]);
}

#[test]
fn qualifiers_stand_in_their_options() {
    // proves [B-08] [B-10] [B-11] [L-07] [A-12]
    let everything = Query::from(Key::Everything);
    let query = Query {
        start_time: Some(5),
        end_time: Some(9),
        vpn: Vpn::Name(b"red".to_vec()),
        more_options: vec![OptionCode::DOMAIN_NAME, OptionCode::BASE_TIME],
        ..everything.clone()
    };
    let octets = written(&query, Exchange::Bulk, &form(Dialect::Rfc));
    let message = Message::decode(&octets).expect("well formed");
    assert_eq!(message.u32_option(OptionCode::QUERY_START_TIME), Some(5));
    assert_eq!(message.u32_option(OptionCode::QUERY_END_TIME), Some(9));
    assert_eq!(message.vss(), Some(Vss::Name(b"red")));
    assert_eq!(message.parameter_request_list().filter(|code| code.0 == 152).count(), 1);
    assert_eq!(message.parameter_request_list().filter(|code| code.0 == 15).count(), 1);

    let all = Query { vpn: Vpn::All, ..everything.clone() };
    let octets = written(&all, Exchange::Bulk, &form(Dialect::Rfc));
    assert_eq!(Message::decode(&octets).expect("well formed").vss(), Some(Vss::All));

    let active = Query { start_time: Some(7), ..everything };
    let octets = written(&active, Exchange::Active, &form(Dialect::Rfc));
    let message = Message::decode(&octets).expect("well formed");
    assert_eq!(message.u32_option(OptionCode::QUERY_START_TIME), Some(7));

    let in_red = Query { vpn: Vpn::Name(b"red".to_vec()), ..Query::from(Key::Address(ADDRESS)) };
    for dialect in [Dialect::Rfc, Dialect::Draft] {
        let octets = written(&in_red, Exchange::Udp, &form(dialect));
        let message = Message::decode(&octets).expect("well formed");
        assert_eq!(message.vss(), Some(Vss::Name(b"red")), "{dialect:?}");
    }

    let reserved = Query { reservations: true, ..Query::from(Key::Address(ADDRESS)) };
    let octets = written(&reserved, Exchange::Udp, &form(Dialect::Draft));
    let message = Message::decode(&octets).expect("well formed");
    assert_eq!(message.header.flags, CodePoints::default().flag_reservation);
}

#[test]
fn what_no_document_has_is_not_asked() {
    // proves [A-11] [B-07]
    let check = |exchange, dialect, query: Query, expected: Unaskable| {
        let mut octets = vec![9];
        let found = query.write(exchange, &form(dialect), 1, &mut octets);
        assert_eq!(found, Err(expected), "{exchange:?} {dialect:?} {query:?}");
        assert_eq!(octets, [9], "nothing is written");
    };
    use Dialect::{Draft, Rfc};
    use Exchange::{Active, Bulk, Udp};
    let address = || Query::from(Key::Address(ADDRESS));
    let everything = || Query::from(Key::Everything);
    let remote = |len| Query::from(Key::RemoteId(vec![1; len]));
    check(Bulk, Rfc, address(), Unaskable::AddressInBulk);
    check(Udp, Rfc, everything(), Unaskable::OverUdp);
    check(Udp, Draft, Key::RelayId(vec![1]).into(), Unaskable::OverUdp);
    check(Udp, Draft, remote(1), Unaskable::RemoteIdInDraft);
    check(Bulk, Draft, everything(), Unaskable::EverythingInDraft);
    check(Active, Draft, everything(), Unaskable::ActiveInDraft);
    check(Active, Rfc, address(), Unaskable::KeyOfActive);
    check(Active, Rfc, Key::Hardware(hardware()).into(), Unaskable::KeyOfActive);
    check(Active, Rfc, by_client(None).into(), Unaskable::KeyOfActive);
    let ended = Query { end_time: Some(1), ..everything() };
    check(Active, Rfc, ended, Unaskable::EndOfActive);
    for (exchange, dialect) in [(Udp, Rfc), (Bulk, Rfc), (Bulk, Draft)] {
        check(exchange, dialect, by_client(Some(hardware())).into(), Unaskable::TwoKeys);
        let reservations = Query { reservations: true, ..by_client(None).into() };
        check(exchange, dialect, reservations, Unaskable::Reservations);
    }
    let timed = Query { start_time: Some(1), ..address() };
    check(Udp, Rfc, timed.clone(), Unaskable::Qualified);
    check(Bulk, Draft, timed, Unaskable::Qualified);
    for vpn in [Vpn::All, Vpn::Name(b"red".to_vec())] {
        check(Bulk, Draft, Query { vpn, ..address() }, Unaskable::VpnInDraft);
    }
    for dialect in [Rfc, Draft] {
        check(Udp, dialect, Query { vpn: Vpn::All, ..address() }, Unaskable::AllVpnsOverUdp);
    }
    check(Bulk, Rfc, remote(256), Unaskable::TooLong);
    check(
        Bulk,
        Rfc,
        Query::from(Key::ClientIdentifier { identifier: vec![1; 65_500], hardware: None }),
        Unaskable::TooLong,
    );
}

#[test]
fn a_port_of_ones_own_is_told_with_the_sub_option_source_port() {
    let own_port = Form { answer_to_source_port: true, ..form(Dialect::Rfc) };
    let octets = written(&Key::Address(ADDRESS).into(), Exchange::Udp, &own_port);
    let message = Message::decode(&octets).expect("well formed");
    assert_eq!(message.option(OptionCode::RELAY_AGENT_INFORMATION), Some(&[19, 0][..]));
    let remote = Query::from(Key::RemoteId(vec![1]));
    let octets = written(&remote, Exchange::Udp, &own_port);
    let message = Message::decode(&octets).expect("well formed");
    let alone = Some(&[2, 1, 1][..]);
    assert_eq!(message.option(OptionCode::RELAY_AGENT_INFORMATION), alone, "nothing beside it");
}
