//! What must hold for any text that is given as an expression of a class, and for any message that is
//! judged by it. The fuzz target and the tests of `ops` share this; it panics when something does not hold.

use replication_ledger::{Condition, FAILS, HOLDS};
use server_rules::holds;
use server_wire::{Header, Message, MessageWriter, Op};

/// Octets until the options: the header and the cookie (RFC 2131 section 2).
const OPTIONS_AT: usize = 240;

/// A text up to the first octet that is zero, then the options of a message: the text is refused, or it
/// leads forward only and has the same answer twice.
pub(crate) fn expression(octets: &[u8], parse: impl FnOnce(&str) -> Option<Condition>) {
    let text_len = octets.iter().position(|octet| *octet == 0).unwrap_or(octets.len());
    let (text, rest) = octets.split_at(text_len);
    let Some(condition) = std::str::from_utf8(text).ok().and_then(parse) else { return };
    for (place, step) in condition.steps.iter().enumerate() {
        for way in [step.yes, step.no] {
            let forward = usize::from(way) > place && usize::from(way) < condition.steps.len();
            assert!(forward || [HOLDS, FAILS].contains(&way), "{place} to {way}");
        }
    }
    let mut datagram = Vec::new();
    let mut writer = MessageWriter::new(&mut datagram, 1500);
    writer.header(&Header::new(Op::BootRequest));
    writer.finish();
    datagram.truncate(OPTIONS_AT);
    datagram.extend(rest.get(1..).unwrap_or_default());
    if let Ok(message) = Message::decode(&datagram) {
        assert_eq!(holds(&condition, &message), holds(&condition, &message));
    }
}
