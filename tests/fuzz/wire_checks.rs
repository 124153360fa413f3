//! What must hold for any octets whatever. The fuzz targets and the tests of `server/wire` share
//! these functions; each panics when something does not hold.

use server_wire::{
    DecodeReason, FrameError, Framer, Framing, MESSAGE_LEN_MAX, Message, RelayAgentInformation,
    SubOptionWriter,
};

/// A datagram is refused with an offset within it, or can be asked everything and comes back the
/// same when it is encoded and decoded again.
pub(crate) fn decode(octets: &[u8]) {
    match Message::decode(octets) {
        Err(error) => {
            assert!(error.offset <= octets.len());
            assert!(DecodeReason::ALL.contains(&error.reason));
        }
        Ok(message) => {
            ask_everything(&message);
            same_after_encoding(&message);
        }
    }
}

/// Option 82 is refused with an offset within it, or its sub-options written one by one give the
/// same octets.
pub(crate) fn option82(raw: &[u8]) {
    match RelayAgentInformation::decode(raw) {
        Err(error) => assert!(error.offset <= raw.len()),
        Ok(information) => {
            assert_eq!(information.raw(), raw);
            let mut written = Vec::new();
            let mut writer = SubOptionWriter::new(&mut written);
            for (code, value) in information.iter() {
                assert_eq!(writer.put(code, value), Some(()));
                assert!(information.get(code).is_some());
            }
            assert_eq!(written, raw);
            written.clear();
            information.raw_without(&[], &mut written);
            assert_eq!(written, raw);
            ask_relay_agent(&information);
        }
    }
}

/// A stream gives the same frames however it is cut. The first octet chooses framing and cut.
pub(crate) fn framing(octets: &[u8]) {
    let Some((choice, stream)) = octets.split_first() else { return };
    let framing = if choice & 1 == 0 { Framing::TwoOctet } else { Framing::FourOctet };
    let whole = frames(framing, stream, stream.len().max(1));
    let cut = frames(framing, stream, usize::from(*choice).max(1));
    assert_eq!(whole, cut);
    let (frames, end) = whole;
    let mut again = Vec::new();
    for frame in &frames {
        let written = framing.frame(&mut again, |out| out.extend_from_slice(frame));
        assert_eq!(written, Ok(()));
    }
    if let Ok(pending_len) = end {
        assert_eq!(again.len() + pending_len, stream.len());
    }
}

/// The frames of a stream that comes in parts of `step` octets; then what is pending, or why the
/// stream was given up.
fn frames(
    framing: Framing,
    stream: &[u8],
    step: usize,
) -> (Vec<Vec<u8>>, Result<usize, FrameError>) {
    let mut framer = Framer::new(framing, 4096);
    let mut found = Vec::new();
    for part in stream.chunks(step) {
        framer.push(part);
        loop {
            match framer.next_frame() {
                Ok(Some(frame)) => found.push(frame.to_vec()),
                Ok(None) => break,
                Err(error) => return (found, Err(error)),
            }
        }
    }
    (found, Ok(framer.pending_len()))
}

fn ask_everything(message: &Message<'_>) {
    assert!(message.header.chaddr().len() <= 16);
    assert!(message.reply_len_max() >= 548);
    let _ = (message.message_type(), message.requested_ip_address(), message.server_identifier());
    let _ = (message.lease_time_seconds(), message.host_name(), message.vss());
    let _ = (message.sname(), message.file(), message.parameter_request_list().count());
    let _ = message.client_identifier().and_then(|identifier| identifier.iaid_and_duid());
    let _ = message.client_fqdn().and_then(|fqdn| fqdn.labels());
    if let Some(information) = message.relay_agent_information() {
        ask_relay_agent(&information);
    }
    for (code, value) in message.options().iter() {
        assert_eq!(message.option(code), Some(value));
        if let Some(definition) = code.definition() {
            let shown = definition.format.print_text(value);
            let shown: Vec<&str> = shown.iter().map(String::as_str).collect();
            let _ = definition.format.parse_text(&shown);
        }
    }
}

fn ask_relay_agent(information: &RelayAgentInformation<'_>) {
    let _ = (information.vss(), information.authentication(), information.flags());
    let _ = (information.link_selection(), information.server_identifier_override());
    let _ = information.radius_attributes().count();
    let _ = information.vendor_specific().map(|blocks| blocks.count());
}

fn same_after_encoding(before: &Message<'_>) {
    let mut buffer = Vec::new();
    let left_out = before.encode(&mut buffer, MESSAGE_LEN_MAX);
    // A message may hold more than 65535 octets when parts of 255 are written again as parts of
    // 255 but others, that were not, are moved out of file and sname.
    if !left_out.is_empty() {
        assert!(buffer.len() > MESSAGE_LEN_MAX - 1024);
        return;
    }
    let after = Message::decode(&buffer).expect("own messages are valid");
    assert_eq!(before.header, after.header);
    assert_eq!((before.sname(), before.file()), (after.sname(), after.file()));
    let areas = [before, &after].map(|message| message.vendor_area().unwrap_or_default());
    // Padding may have made it longer.
    assert!(areas[1].starts_with(areas[0]));
    assert_eq!(before.options().len(), after.options().len());
    for (code, value) in before.options().iter() {
        assert_eq!(after.option(code), Some(value), "{code}");
    }
}
