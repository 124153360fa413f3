//! What holds for every message: decode ∘ encode is identity, and no octets make decoding panic.

use std::net::Ipv4Addr;

use proptest::collection::vec;
use proptest::prelude::*;
use server_wire::options::format::hexadecimal;
use server_wire::options::registry::definitions;
use server_wire::{Header, Message, MessageWriter, Op, OptionCode, OptionSet};

#[path = "../../../tests/fuzz/wire_checks.rs"]
mod wire_checks;

fn header() -> impl Strategy<Value = Header> {
    let numbers = (any::<u8>(), 0..=16u8, any::<u8>(), any::<u32>(), any::<u16>(), any::<u16>());
    let rest = (any::<bool>(), any::<[u32; 4]>(), any::<[u8; 16]>());
    (numbers, rest).prop_map(
        |((htype, hlen, hops, xid, secs, flags), (reply, addresses, chaddr))| {
            let [ciaddr, yiaddr, siaddr, giaddr] = addresses.map(Ipv4Addr::from);
            Header {
                op: if reply { Op::BootReply } else { Op::BootRequest },
                htype,
                hlen,
                hops,
                xid,
                secs,
                flags,
                ciaddr,
                yiaddr,
                siaddr,
                giaddr,
                chaddr_field: chaddr,
            }
        },
    )
}

/// Sub-options that are legal whatever their value, and two that are checked.
fn relay_agent_information() -> impl Strategy<Value = Vec<u8>> {
    let sub_option = prop_oneof![
        (
            prop_oneof![Just(1u8), Just(2), Just(7), 20..150u8, Just(0), Just(255)],
            vec(any::<u8>(), 0..200)
        ),
        (Just(5u8), vec(any::<u8>(), 4)),
        (Just(12u8), vec(any::<u8>(), 1..60)),
    ];
    vec(sub_option, 1..6).prop_map(|sub_options| {
        let encode = |(code, value): (u8, Vec<u8>)| [vec![code, value.len() as u8], value].concat();
        sub_options.into_iter().flat_map(encode).collect()
    })
}

/// Options that a decoder accepts: each code once, of a length its format allows.
fn options() -> impl Strategy<Value = Vec<(OptionCode, Vec<u8>)>> {
    let fixed = (1..=254u8, vec(any::<u8>(), 0..40));
    let long =
        (prop_oneof![Just(43u8), Just(12), Just(125), 200..208u8], vec(any::<u8>(), 200..600));
    let relay_agent = (Just(82u8), relay_agent_information());
    let option = prop_oneof![8 => fixed, 1 => long, 1 => relay_agent];
    vec(option, 0..30).prop_map(|options| {
        let mut seen = OptionSet::default();
        options
            .into_iter()
            .map(|(code, value)| (OptionCode(code), value))
            .filter(|(code, value)| acceptable(*code, value) && seen.insert(*code))
            .collect()
    })
}

fn acceptable(code: OptionCode, value: &[u8]) -> bool {
    if code == OptionCode::OPTION_OVERLOAD {
        return false;
    }
    let mut octets = vec![0; 236];
    octets[0] = 1;
    octets.extend_from_slice(&[99, 130, 83, 99]);
    if value.is_empty() {
        octets.extend_from_slice(&[code.0, 0]);
    }
    for part in value.chunks(255) {
        octets.extend_from_slice(&[code.0, part.len() as u8]);
        octets.extend_from_slice(part);
    }
    Message::decode(&octets).is_ok()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..Default::default() })]

    #[test]
    fn decoding_what_was_written_gives_it_back(
        header in header(),
        options in options(),
        len_max in 200..2000usize,
        sname in vec(1..=255u8, 0..70),
        file in vec(1..=255u8, 0..140),
    ) {
        let mut buffer = Vec::new();
        let mut writer = MessageWriter::new(&mut buffer, len_max);
        writer.header(&header);
        let sname_written = writer.sname(&sname).is_ok();
        let file_written = writer.file(&file).is_ok();
        prop_assert_eq!((sname_written, file_written), (sname.len() < 64, file.len() < 128));
        let relay_agent =
            options.iter().find(|(code, _)| *code == OptionCode::RELAY_AGENT_INFORMATION);
        if let Some((_, raw)) = relay_agent {
            let _ = writer.relay_agent_information(raw);
        }
        for (code, value) in &options {
            if *code != OptionCode::RELAY_AGENT_INFORMATION {
                let _ = writer.option(*code, value);
            }
        }
        let written = writer.finish();
        let left_out = written.left_out;
        prop_assert!(written.octets.len() <= len_max.max(300));

        let message = Message::decode(&buffer).expect("own messages are valid");
        prop_assert_eq!(message.header, header);
        prop_assert_eq!(message.sname(), if sname_written { &sname[..] } else { &[] });
        prop_assert_eq!(message.file(), if file_written { &file[..] } else { &[] });
        for (code, value) in &options {
            let expected = (!left_out.contains(*code)).then_some(&value[..]);
            prop_assert_eq!(message.option(*code), expected, "option {}", code);
        }
        prop_assert_eq!(message.options().len() + left_out.iter().count(), options.len());
        // proves [O-02]: option 82 is the last of those in the options field.
        if let (Some((_, raw)), false) =
            (relay_agent, left_out.contains(OptionCode::RELAY_AGENT_INFORMATION))
        {
            let end = buffer.iter().rposition(|octet| *octet == 255).expect("End");
            let last_part = &raw[(raw.len() - 1) / 255 * 255..];
            prop_assert!(buffer[..end].ends_with(last_part));
        }
    }

    #[test]
    fn encoding_a_decoded_message_and_decoding_it_again_changes_nothing(
        header in header(), options in options(),
    ) {
        let mut first = Vec::new();
        let mut writer = MessageWriter::new(&mut first, 400);
        writer.header(&header);
        for (code, value) in &options {
            let _ = writer.option(*code, value);
        }
        writer.finish();
        wire_checks::decode(&first);
        prop_assert!(Message::decode(&first).is_ok());
    }

    #[test]
    fn arbitrary_octets_never_panic(octets in vec(any::<u8>(), 0..1500)) {
        wire_checks::decode(&octets);
        let mut octets = octets;
        if octets.len() >= 240 {
            // Most random octets end at op, hlen or the cookie.
            octets[0] = 1;
            octets[2] %= 17;
            octets[236..240].copy_from_slice(&[99, 130, 83, 99]);
            wire_checks::decode(&octets);
        }
    }

    #[test]
    fn arbitrary_values_of_known_options_never_panic(code in 0..=255u8, value in vec(any::<u8>(), 0..80)) {
        wire_checks::option82(&value);
        if let Some(definition) = OptionCode(code).definition() {
            let shown = definition.format.print_text(&value);
            let shown: Vec<&str> = shown.iter().map(String::as_str).collect();
            let _ = definition.format.parse_text(&shown);
        }
    }

    #[test]
    fn valid_messages_with_octets_changed_never_panic(
        header in header(),
        options in options(),
        changes in vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut octets = Vec::new();
        let mut writer = MessageWriter::new(&mut octets, 700);
        writer.header(&header);
        for (code, value) in &options {
            let _ = writer.option(*code, value);
        }
        writer.finish();
        for (at, value) in &changes {
            let at = at.index(octets.len());
            octets[at] = *value;
        }
        wire_checks::decode(&octets);
        wire_checks::decode(&octets[..cut.index(octets.len())]);
    }

    #[test]
    fn arbitrary_streams_give_the_same_frames_however_they_are_cut(
        octets in vec(any::<u8>(), 0..3000),
    ) {
        wire_checks::framing(&octets);
    }
}

/// Octets as a length-driven format may have them: small numbers are likely, so that parts often fit.
fn value_of_parts() -> impl Strategy<Value = Vec<u8>> {
    vec(prop_oneof![2 => 0..8u8, 1 => any::<u8>(), 1 => b'a'..=b'z'], 0..64)
}

/// Options with parts of their own: they are shown as text only if that is sent as the same octets.
const HAVE_PARTS: [u8; 15] =
    [78, 79, 83, 99, 122, 123, 139, 140, 143, 144, 146, 158, 159, 162, 212];

proptest! {
    #[test]
    fn what_is_shown_of_any_value_is_read_back_or_refused(value in value_of_parts()) {
        for row in definitions() {
            let shown = row.format.print_text(&value);
            if shown == [hexadecimal(&value)] {
                // Not of this format, and shown as it is.
                continue;
            }
            let words: Vec<&str> = shown.iter().map(String::as_str).collect();
            if HAVE_PARTS.contains(&row.code.0) {
                prop_assert_eq!(row.format.parse_text(&words), Ok(value.clone()), "{}", row.name);
            }
            // What can not be written again is refused; what can be is the same to whoever looks.
            if let Ok(octets) = row.format.parse_text(&words) {
                prop_assert_eq!(row.format.print_text(&octets), shown, "{}", row.name);
            }
        }
    }

    #[test]
    fn no_text_makes_a_format_panic(text in ".{0,40}", words in "[0-9a-z./ =,:-]{0,40}") {
        for row in definitions() {
            for values in [&[&text[..]][..], &[&words], &[&text, &words], &[&words, &words]] {
                let _ = row.format.parse_text(values);
            }
        }
    }
}
