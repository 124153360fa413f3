//! Decoding: header, cookie, options in their three fields, typed accessors.

use super::*;
use crate::error::DecodeReason as R;

/// A BOOTREQUEST from an Ethernet client with these octets after the cookie.
pub(crate) fn datagram(options: &[u8]) -> Vec<u8> {
    let mut octets = vec![0; HEADER_LEN];
    octets[..3].copy_from_slice(&[1, 1, 6]);
    octets[28..34].copy_from_slice(&[2, 0, 0, 0, 0, 7]);
    octets.extend_from_slice(&COOKIE);
    octets.extend_from_slice(options);
    octets
}

fn put(octets: &mut [u8], at: usize, value: &[u8]) {
    octets[at..at + value.len()].copy_from_slice(value);
}

fn refused(octets: &[u8], offset: usize, reason: R) {
    let error = Message::decode(octets).expect_err("must be refused");
    assert_eq!((error.offset, error.reason), (offset, reason), "{error}");
}

fn options_of(octets: &[u8]) -> Vec<(u8, Vec<u8>)> {
    let message = Message::decode(octets).expect("must be decoded");
    message.options().iter().map(|(code, value)| (code.0, value.to_vec())).collect()
}

#[test]
fn fields_stand_where_figure_1_of_rfc_2131_draws_them() {
    let mut octets: Vec<u8> = vec![2, 1, 6, 3];
    octets.extend_from_slice(&[0xde, 0xad, 0xbe, 0xef, 0x01, 0x02, 0x80, 0x01]);
    for last in 1..=4 {
        octets.extend_from_slice(&[10, 0, 0, last]);
    }
    octets.extend(1..=16);
    octets.extend_from_slice(&[b's'; 64]);
    octets.extend_from_slice(&[b'f'; 5]);
    octets.extend_from_slice(&[0; 123]);
    octets.extend_from_slice(&[99, 130, 83, 99, 53, 1, 5, 255]);
    let message = Message::decode(&octets).expect("valid");
    let header = message.header;
    assert_eq!((header.op, header.htype, header.hlen, header.hops), (Op::BootReply, 1, 6, 3));
    assert_eq!((header.xid, header.secs, header.flags), (0xdead_beef, 0x0102, 0x8001));
    assert_eq!(header.ciaddr, Ipv4Addr::new(10, 0, 0, 1));
    assert_eq!(header.yiaddr, Ipv4Addr::new(10, 0, 0, 2));
    assert_eq!(header.siaddr, Ipv4Addr::new(10, 0, 0, 3));
    assert_eq!(header.giaddr, Ipv4Addr::new(10, 0, 0, 4));
    assert_eq!(header.chaddr(), [1, 2, 3, 4, 5, 6]);
    assert_eq!(header.chaddr_field[15], 16);
    assert_eq!(message.sname(), [b's'; 64]);
    assert_eq!(message.file(), b"fffff");
    assert_eq!(message.message_type(), Some(MessageType::Ack));
    // proves [H-01]
    assert_eq!(octets[236..240], COOKIE);
}

#[test]
fn only_the_leftmost_flag_is_broadcast() {
    // proves [H-02]
    for (flags, broadcast) in [(0x8000, true), (0xffff, true), (0x7fff, false), (0, false)] {
        let header = Header { flags, ..Header::new(Op::BootRequest) };
        assert_eq!(header.broadcast(), broadcast, "{flags:#x}");
    }
}

#[test]
fn a_datagram_without_a_whole_header_and_cookie_is_refused() {
    let whole = datagram(&[]);
    for len in 0..whole.len() {
        refused(&whole[..len], len, R::Truncated);
    }
    assert!(Message::decode(&whole).is_ok());
    refused(&vec![0; MESSAGE_LEN_MAX + 1], MESSAGE_LEN_MAX, R::TooLong);
}

#[test]
fn hostile_header_fields_are_refused() {
    for hlen in 0..=u8::MAX {
        let mut octets = datagram(&[255]);
        octets[2] = hlen;
        match hlen {
            0..=16 => {
                let message = Message::decode(&octets).expect("legal length");
                assert_eq!(message.header.chaddr().len(), usize::from(hlen));
            }
            _ => refused(&octets, 2, R::HardwareLength),
        }
    }
    for op in [0, 3, 255] {
        let mut octets = datagram(&[255]);
        octets[0] = op;
        refused(&octets, 0, R::InvalidOp);
    }
}

#[test]
fn a_header_made_by_hand_can_not_show_more_than_its_field() {
    let header = Header { hlen: 255, ..Header::new(Op::BootRequest) };
    assert_eq!(header.chaddr().len(), 16);
    let mut header = Header::new(Op::BootRequest);
    header.set_chaddr(1, &[9; 20]);
    assert_eq!((header.htype, header.chaddr()), (1, &[9; 16][..]));
    header.set_chaddr(1, &[1, 2]);
    assert_eq!((header.chaddr(), header.chaddr_field[2]), (&[1, 2][..], 0));
}

#[test]
fn a_zero_cookie_is_bootp_without_options_and_another_is_refused() {
    let mut octets = datagram(&[53, 1, 1, 255]);
    put(&mut octets, HEADER_LEN, &[0; 4]);
    let message = Message::decode(&octets).expect("RFC 951");
    assert_eq!(message.vendor_area(), Some(&octets[HEADER_LEN..]));
    assert!(message.options().is_empty() && message.is_bootp());
    assert_eq!(message.message_type(), None);
    put(&mut octets, HEADER_LEN, b"CMU\0");
    refused(&octets, HEADER_LEN, R::UnknownCookie);
}

#[test]
fn a_message_without_type_is_bootp_and_one_with_an_unknown_type_is_not() {
    let bootp = datagram(&[12, 1, b'a', 255]);
    assert!(Message::decode(&bootp).expect("valid").is_bootp());
    let unknown = datagram(&[53, 1, 230, 255]);
    let message = Message::decode(&unknown).expect("valid");
    assert!(!message.is_bootp());
    assert_eq!((message.message_type(), message.message_type_number()), (None, Some(230)));
    let code_points = CodePoints::default();
    assert_eq!(message.message_type_with(&code_points), Some(MessageType::DraftLeaseData));
}

#[test]
fn pads_are_skipped_and_what_follows_end_is_not_read() {
    let expected = vec![(53, vec![1]), (200, vec![])];
    assert_eq!(options_of(&datagram(&[0, 53, 1, 1, 0, 0, 200, 0, 255])), expected);
    assert_eq!(options_of(&datagram(&[53, 1, 1, 200, 0, 255, 12])), expected);
    // A full field needs no End.
    assert_eq!(options_of(&datagram(&[53, 1, 1, 200, 0])), expected);
}

#[test]
fn an_option_past_its_field_is_refused_where_it_starts() {
    refused(&datagram(&[53, 1, 1, 200]), 243, R::OptionTruncated);
    refused(&datagram(&[53, 1, 1, 200, 2, 9]), 243, R::OptionTruncated);
    refused(&datagram(&[53, 1, 1, 0, 0, 200, 255, 9, 255]), 245, R::OptionTruncated);
    let mut octets = datagram(&[52, 1, 1, 255]);
    put(&mut octets, FILE_OFFSET + 126, &[200, 1]);
    // An option may not reach from file into what follows it.
    put(&mut octets, FILE_OFFSET, &[201, 124]);
    refused(&octets, FILE_OFFSET + 126, R::OptionTruncated);
}

#[test]
fn a_known_option_of_illegal_length_refuses_the_message() {
    let rows: [&[u8]; 17] = [
        &[53, 0],
        &[53, 2, 1, 1],
        &[51, 2, 0, 1],
        &[50, 5, 1, 2, 3, 4, 5],
        &[54, 3, 1, 2, 3],
        &[55, 0],
        &[57, 1, 9],
        &[61, 0],
        &[80, 1, 1],
        &[81, 2, 0, 0],
        &[82, 0],
        &[90, 2, 0, 0],
        &[91, 3, 0, 0, 0],
        &[92, 0],
        &[118, 8, 1, 2, 3, 4, 5, 6, 7, 8],
        &[221, 2, 255, 0],
        &[125, 4, 0, 0, 0, 9],
    ];
    for option in rows {
        let octets = datagram(&[&[12, 1, b'a'], option, &[255]].concat());
        let error = Message::decode(&octets).expect_err("illegal length");
        assert_eq!((error.offset, error.reason), (243, R::OptionLength), "{option:?}");
        assert_eq!(error.option, Some(OptionCode(option[0])));
    }
    refused(&datagram(&[82, 3, 1, 2, 9, 255]), 240, R::SubOptionTruncated);
    refused(&datagram(&[82, 4, 5, 2, 9, 9, 255]), 240, R::SubOptionLength);
    refused(&datagram(&[82, 4, 151, 2, 255, 9, 255]), 240, R::SubOptionValue);
    refused(&datagram(&[151, 2, 0, 0, 255]), 240, R::OptionValue);
}

#[test]
fn unknown_options_and_empty_texts_are_kept() {
    let octets = datagram(&[12, 0, 77, 0, 230, 3, 1, 2, 3, 60, 0, 255]);
    let message = Message::decode(&octets).expect("valid");
    assert_eq!(message.option(OptionCode(230)), Some(&[1, 2, 3][..]));
    assert_eq!(message.option(OptionCode::HOST_NAME), Some(&[][..]));
    assert_eq!((message.host_name(), message.user_class()), (None, None));
    assert_eq!(message.vendor_class_identifier(), None);
}

#[test]
fn overload_is_read_as_options_then_file_then_sname() {
    // proves [H-05] [H-06] [O-33]
    let mut octets = datagram(&[67, 2, b'a', b'b', 52, 1, 3, 255]);
    put(&mut octets, SNAME_OFFSET, &[67, 1, b'e', 255]);
    put(&mut octets, FILE_OFFSET, &[0, 67, 2, b'c', b'd', 200, 0, 255, 67, 1, b'x']);
    assert_eq!(options_of(&octets), [(67, b"abcde".to_vec()), (200, vec![])]);
    let message = Message::decode(&octets).expect("valid");
    assert!(message.sname().is_empty() && message.file().is_empty());
    assert_eq!(message.option(OptionCode::OPTION_OVERLOAD), None);

    for (overload, joined) in [(1, &b"abcd"[..]), (2, &b"abe"[..])] {
        octets[FIXED_LEN + 6] = overload;
        let message = Message::decode(&octets).expect("valid");
        assert_eq!(message.option(OptionCode::BOOTFILE_NAME), Some(joined));
        assert_eq!(message.sname().is_empty(), overload == 2);
        assert!(message.file().is_empty());
    }
}

#[test]
fn a_faulty_overload_is_refused() {
    refused(&datagram(&[52, 1, 0, 255]), 240, R::OptionOverload);
    refused(&datagram(&[52, 1, 4, 255]), 240, R::OptionOverload);
    refused(&datagram(&[52, 2, 1, 1, 255]), 240, R::OptionLength);
    refused(&datagram(&[52, 1, 1, 52, 1, 2, 255]), 243, R::OptionOverload);
    let mut octets = datagram(&[52, 1, 1, 255]);
    put(&mut octets, FILE_OFFSET, &[52, 1, 2, 255]);
    refused(&octets, FILE_OFFSET, R::OptionOverload);
}

#[test]
fn the_example_of_rfc_3396_is_one_bootfile_name() {
    let mut options = vec![67, 7];
    options.extend_from_slice(b"/diskle");
    options.extend_from_slice(&[53, 1, 5, 67, 6]);
    options.extend_from_slice(b"ss/foo\xff");
    let expected = vec![(67, b"/diskless/foo".to_vec()), (53, vec![5])];
    assert_eq!(options_of(&datagram(&options)), expected);
}

#[test]
fn several_options_in_parts_do_not_mix() {
    let options = [61, 1, 1, 82, 3, 1, 1, 9, 61, 2, 2, 3, 200, 0, 82, 2, 2, 0, 61, 1, 4, 255];
    let expected = vec![(61, vec![1, 2, 3, 4]), (82, vec![1, 1, 9, 2, 0]), (200, vec![])];
    assert_eq!(options_of(&datagram(&options)), expected);
}

#[test]
fn a_part_more_can_make_the_whole_illegal() {
    refused(&datagram(&[53, 1, 1, 12, 1, b'a', 53, 1, 1, 255]), 240, R::OptionLength);
}

#[test]
fn every_code_at_once_is_indexed() {
    let codes: Vec<u8> =
        (1..=254).filter(|code| OptionCode(*code).definition().is_none()).collect();
    assert!(codes.len() > 100, "more than are indexed without memory");
    let options: Vec<u8> = codes.iter().flat_map(|code| [*code, 1, !*code]).collect();
    let twice = [options.clone(), options.clone()].concat();
    for (options, times) in [(options, 1), (twice, 2)] {
        let octets = datagram(&options);
        let message = Message::decode(&octets).expect("valid");
        assert_eq!(message.options().len(), codes.len());
        for code in &codes {
            assert_eq!(message.option(OptionCode(*code)), Some(&vec![!*code; times][..]));
        }
    }
}

#[test]
fn the_largest_hostile_message_is_decoded() {
    let mut octets = datagram(&[]);
    while octets.len() + 3 <= MESSAGE_LEN_MAX {
        octets.extend_from_slice(&[200, 1, 7]);
    }
    let message = Message::decode(&octets).expect("valid");
    let len = (MESSAGE_LEN_MAX - FIXED_LEN) / 3;
    assert_eq!(message.option(OptionCode(200)), Some(&vec![7; len][..]));
}

#[test]
fn typed_accessors_read_their_options() {
    let options = [
        &[53, 1, 3, 50, 4, 10, 0, 0, 9, 51, 4, 0xff, 0xff, 0xff, 0xff, 54, 4, 192, 0, 2, 1][..],
        &[55, 3, 1, 3, 6, 57, 2, 0x05, 0xdc, 61, 2, 1, 9, 118, 4, 10, 1, 0, 0, 80, 0],
        &[12, 3, b'p', b'c', 0, 60, 1, b'v', 77, 2, 1, b'u', 81, 4, 0, 0, 0, b'h', 221, 1, 255],
        &[82, 3, 1, 1, 7, 255],
    ];
    let octets = datagram(&options.concat());
    let message = Message::decode(&octets).expect("valid");
    assert_eq!(message.message_type(), Some(MessageType::Request));
    assert_eq!(message.requested_ip_address(), Some(Ipv4Addr::new(10, 0, 0, 9)));
    // proves [H-08]
    assert_eq!(message.lease_time_seconds(), Some(u32::MAX));
    assert_eq!(message.server_identifier(), Some(Ipv4Addr::new(192, 0, 2, 1)));
    let requested: Vec<u8> = message.parameter_request_list().map(|code| code.0).collect();
    assert_eq!(requested, [1, 3, 6]);
    assert_eq!(message.client_identifier().map(ClientIdentifier::as_octets), Some(&[1, 9][..]));
    assert_eq!(message.subnet_selection(), Some(Ipv4Addr::new(10, 1, 0, 0)));
    assert_eq!(message.host_name(), Some(&b"pc"[..]));
    assert_eq!(message.vendor_class_identifier(), Some(&b"v"[..]));
    assert_eq!(message.user_class(), Some(&[1, b'u'][..]));
    assert_eq!(message.client_fqdn().map(|fqdn| fqdn.domain_name), Some(&b"h"[..]));
    assert_eq!(message.vss(), Some(Vss::Global));
    assert!(message.rapid_commit());
    let relay_agent = message.relay_agent_information().expect("present");
    assert_eq!((relay_agent.circuit_id(), relay_agent.raw()), (Some(&[7][..]), &[1, 1, 7][..]));
    let expected = (Some(1500), 1472);
    assert_eq!((message.maximum_message_size(), message.reply_len_max()), expected);
}

#[test]
fn the_reply_limit_is_never_under_a_datagram_of_576_octets() {
    // proves [H-07]
    for (options, len_max) in [
        (&[255][..], 548),
        (&[57, 2, 0, 1, 255], 548),
        (&[57, 2, 0x02, 0x40, 255], 548),
        (&[57, 2, 0x02, 0x41, 255], 549),
        (&[57, 2, 0xff, 0xff, 255], 65507),
    ] {
        let octets = datagram(options);
        assert_eq!(Message::decode(&octets).expect("valid").reply_len_max(), len_max);
    }
}
