//! Writing: placement, overload, splitting, option 82, limits.

use super::*;
use crate::message::Message;

/// The smallest limit that a writer accepts; leaves 60 octets for options.
const SMALL: usize = MESSAGE_LEN_MIN_BOOTP;

fn write(len_max: usize, options: &[(u8, usize)]) -> (Vec<u8>, OptionSet) {
    let mut buffer = Vec::new();
    let mut writer = MessageWriter::new(&mut buffer, len_max);
    writer.header(&Header::new(Op::BootReply));
    for (code, len) in options {
        let _ = writer.option(OptionCode(*code), &vec![*code; *len]);
    }
    let left_out = writer.finish().left_out;
    assert!(buffer.len() <= len_max.max(SMALL));
    (buffer, left_out)
}

/// Writes options and expects each to be read back, but for those left out.
fn check(len_max: usize, options: &[(u8, usize)], left_out: &[u8]) -> Vec<u8> {
    let (octets, reported) = write(len_max, options);
    let expected: OptionSet = left_out.iter().copied().map(OptionCode).collect();
    assert_eq!(reported, expected);
    let message = Message::decode(&octets).expect("own messages are valid");
    for (code, len) in options {
        let value = vec![*code; *len];
        let expected = (!left_out.contains(code)).then_some(&value[..]);
        assert_eq!(message.option(OptionCode(*code)), expected, "option {code}");
    }
    octets
}

#[test]
fn a_message_ends_with_end_and_is_padded_to_300_octets() {
    // proves [H-01]
    let octets = check(1400, &[(200, 3)], &[]);
    assert_eq!(octets.len(), 300);
    assert_eq!(octets[236..246], [99, 130, 83, 99, 200, 3, 200, 200, 200, 255]);
    assert!(octets[246..].iter().all(|octet| *octet == 0));
    let mut buffer = vec![1, 2];
    let writer = MessageWriter::new(&mut buffer, 1400).without_padding();
    assert_eq!(writer.finish().octets.len(), 241);
    assert_eq!((buffer.len(), buffer[0], buffer[242]), (243, 1, 255));
}

#[test]
fn options_that_fit_leave_file_and_sname_alone() {
    // 60 octets: 56 of option, 3 kept for option 52, and End. Of the 160 octets of the others, the
    // 3 for option 52 are given up for options that neither file nor sname could hold.
    for (len_max, len) in [(SMALL, 54), (400, 154), (400, 155), (400, 157)] {
        let octets = check(len_max, &[(200, len)], &[]);
        let message = Message::decode(&octets).expect("valid");
        assert!(!message.options().overloads_file() && !message.options().overloads_sname());
    }
    check(400, &[(200, 158)], &[200]);
}

#[test]
fn options_spill_into_file_and_then_sname() {
    // proves [H-03] [H-04]
    let octets = check(SMALL, &[(200, 50), (201, 100), (202, 40), (203, 2)], &[]);
    let options = &octets[240..];
    assert_eq!(options[52..60], [203, 2, 203, 203, 52, 1, 3, 255]);
    assert_eq!(octets[108..110], [201, 100]);
    assert_eq!(octets[108 + 102], 255);
    assert!(octets[108 + 103..236].iter().all(|octet| *octet == 0));
    assert_eq!(octets[44..46], [202, 40]);
    assert_eq!(octets[44 + 42], 255);

    let octets = check(SMALL, &[(200, 50), (201, 61)], &[]);
    assert_eq!(octets[240 + 52..240 + 56], [52, 1, 1, 255]);
}

#[test]
fn a_field_is_filled_up_to_its_end_option() {
    let octets = check(SMALL, &[(200, 50), (201, 125), (202, 61)], &[]);
    assert_eq!((octets[235], octets[107]), (255, 255));
    check(SMALL, &[(200, 50), (201, 125), (202, 62)], &[202]);
    check(SMALL, &[(200, 50), (201, 126)], &[201]);
}

#[test]
fn what_does_not_fit_is_left_out_whole_and_named() {
    check(SMALL, &[(200, 50), (201, 130), (202, 20), (203, 255)], &[201, 203]);
}

#[test]
fn header_texts_keep_options_out_of_their_fields() {
    let mut buffer = Vec::new();
    let mut writer = MessageWriter::new(&mut buffer, SMALL);
    assert_eq!(writer.file(&[b'f'; 127]), Ok(()));
    assert_eq!(writer.sname(&[b's'; 64]), Err(NotWritten::FieldTooLong));
    assert_eq!(writer.option(OptionCode(200), &[1; 58]), Ok(()));
    assert_eq!(writer.option(OptionCode(201), &[2; 70]), Err(NotWritten::NoRoom));
    assert_eq!(writer.sname(b"late"), Err(NotWritten::FieldTaken));
    let octets = writer.finish().octets;
    let message = Message::decode(octets).expect("valid");
    assert_eq!(message.file(), [b'f'; 127]);
    assert!(message.options().overloads_sname() && !message.options().overloads_file());
    assert_eq!(message.option(OptionCode(200)), Some(&[1; 58][..]));
}

#[test]
fn without_overload_nothing_spills() {
    let mut buffer = Vec::new();
    let mut writer = MessageWriter::new(&mut buffer, SMALL).without_overload();
    assert_eq!(writer.option(OptionCode(200), &[0; 58]), Err(NotWritten::NoRoom));
    assert_eq!(writer.option(OptionCode(200), &[0; 57]), Ok(()));
    let written = writer.finish();
    assert!(written.left_out.is_empty(), "the second attempt succeeded");
    assert_eq!(written.octets.len(), 300);
}

#[test]
fn long_values_are_split_in_the_aggregate_order_and_short_ones_never() {
    // proves [O-32] [O-34]
    let octets = check(1400, &[(200, 600)], &[]);
    assert_eq!(octets[240..242], [200, 255]);
    assert_eq!(octets[240 + 257..240 + 259], [200, 255]);
    assert_eq!(octets[240 + 514..240 + 516], [200, 90]);

    // 54 octets in options, 125 in file, 61 in sname: together 240.
    check(SMALL, &[(201, 241)], &[201]);
    let octets = check(400, &[(201, 256)], &[]);
    assert_eq!(octets[240..242], [201, 154]);
    assert_eq!(octets[108..110], [201, 102]);
    assert_eq!(octets[240 + 156..240 + 160], [52, 1, 1, 255]);
    // The same room would hold 255 octets in parts, which is not done.
    check(400, &[(201, 255)], &[201]);
    check(400, &[(201, 340)], &[]);
    check(400, &[(201, 341)], &[201]);
}

#[test]
fn a_long_value_may_find_the_options_field_full() {
    let octets = check(448, &[(1, 4), (200, 190), (201, 5)], &[]);
    assert_eq!(octets[240 + 6], 200);
    let (octets, left_out) = write(448, &[(200, 202), (201, 256)]);
    assert_eq!(left_out.iter().map(|code| code.0).collect::<Vec<_>>(), [201]);
    assert!(Message::decode(&octets).is_ok());
}

#[test]
fn option_82_comes_last_and_only_in_the_options_field() {
    // proves [O-02] [O-03]
    let raw = [&[1, 40][..], &[7; 40]].concat();
    let mut buffer = Vec::new();
    let mut writer = MessageWriter::new(&mut buffer, SMALL);
    assert_eq!(writer.relay_agent_information(&raw), Ok(()));
    assert_eq!(writer.relay_agent_information(&raw), Err(NotWritten::Duplicate));
    for code in 200..206 {
        assert_eq!(writer.option(OptionCode(code), &[code; 10]), Ok(()));
    }
    let octets = writer.finish().octets;
    assert_eq!(octets[240 + 12..240 + 17], [52, 1, 1, 82, 42]);
    assert_eq!(octets[240 + 17..240 + 59], raw);
    assert_eq!(octets[240 + 59], 255);
    let message = Message::decode(octets).expect("valid");
    assert_eq!(
        message.relay_agent_information().map(|information| information.raw()),
        Some(&raw[..])
    );
    assert_eq!(message.options().len(), 7);
}

#[test]
fn option_82_is_written_whole_or_not_at_all() {
    // proves [O-04]
    for (len, written) in [(57, true), (58, false)] {
        let raw = vec![0; len];
        let mut buffer = Vec::new();
        let mut writer = MessageWriter::new(&mut buffer, SMALL);
        assert_eq!(writer.relay_agent_information(&raw).is_ok(), written);
        let left_out = writer.finish().left_out;
        assert_eq!(left_out.contains(OptionCode::RELAY_AGENT_INFORMATION), !written);
        assert_eq!(buffer.len(), 300);
    }
}

#[test]
fn a_long_option_82_comes_back_to_the_octet() {
    let raw: Vec<u8> = [[2, 200].as_slice(), &[9; 200], &[1, 150], &[8; 150]].concat();
    let mut buffer = Vec::new();
    let mut writer = MessageWriter::new(&mut buffer, 1400);
    assert_eq!(writer.relay_agent_information(&raw), Ok(()));
    let octets = writer.finish().octets;
    let message = Message::decode(octets).expect("valid");
    assert_eq!(message.option(OptionCode::RELAY_AGENT_INFORMATION), Some(&raw[..]));
}

#[test]
fn the_writers_own_options_and_repetitions_are_refused() {
    let mut buffer = Vec::new();
    let mut writer = MessageWriter::new(&mut buffer, 1400);
    for code in [0, 255, 52, 82] {
        assert_eq!(writer.option(OptionCode(code), &[1]), Err(NotWritten::Reserved));
    }
    assert_eq!(writer.option_u16(OptionCode::INTERFACE_MTU, 1500), Ok(()));
    assert_eq!(writer.option_u16(OptionCode::INTERFACE_MTU, 1500), Err(NotWritten::Duplicate));
    assert_eq!(writer.option_u8(OptionCode::DHCP_MESSAGE_TYPE, 5), Ok(()));
    assert_eq!(writer.option_u32(OptionCode::RENEWAL_TIME, 7), Ok(()));
    assert_eq!(writer.option_address(OptionCode::SUBNET_MASK, Ipv4Addr::BROADCAST), Ok(()));
    let octets = writer.finish().octets;
    let message = Message::decode(octets).expect("valid");
    assert_eq!(message.u16_option(OptionCode::INTERFACE_MTU), Some(1500));
    assert_eq!(message.u32_option(OptionCode::RENEWAL_TIME), Some(7));
    assert_eq!(message.address_option(OptionCode::SUBNET_MASK), Some(Ipv4Addr::BROADCAST));
}

#[test]
fn every_limit_and_length_gives_a_message_within_the_limit() {
    for len_max in (0..700).step_by(7) {
        for len in 0..300 {
            let (octets, left_out) = write(len_max, &[(200, len), (201, 40), (202, 300), (203, 1)]);
            let message = Message::decode(&octets).expect("own messages are valid");
            assert_eq!(message.options().len() + left_out.iter().count(), 4);
        }
    }
}
