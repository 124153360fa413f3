//! Option 83, iSNS (RFC 4174 section 2).
//!
//! As text: functions, access, administrative flags and security bitmap as numbers, then addresses,
//! the heartbeat's first: `0x0007 0x0007 0x0001 0x00000001 192.0.2.1 192.0.2.2`.

use super::structure::{Structure, addresses, number, push_addresses};
use crate::reader::Reader;

/// Administrative flags, section 2.3: they are valid, and the first address is the heartbeat's.
const ENABLED_HEARTBEAT: u16 = 0x0003;

pub(crate) static ISNS: Structure = Structure {
    wanted: "three numbers of 16 bits, one of 32, and addresses",
    is_list: false,
    read: |value| {
        let mut reader = Reader::new(value);
        let [functions, access, administrative] = [reader.u16()?, reader.u16()?, reader.u16()?];
        let security = reader.u32()?;
        let servers = addresses(reader.rest())?;
        Some(vec![format!(
            "{functions:#06x} {access:#06x} {administrative:#06x} {security:#010x} {servers}"
        )])
    },
    write: |_, text, out| {
        let mut words = text.split_whitespace();
        let mut flags = 0;
        for _ in 0..3 {
            // The last one are the administrative flags.
            flags = u16::try_from(number(words.next()?)?).ok()?;
            out.extend(flags.to_be_bytes());
        }
        out.extend(number(words.next()?)?.to_be_bytes());
        let is_heartbeat = flags & ENABLED_HEARTBEAT == ENABLED_HEARTBEAT;
        if is_heartbeat {
            // A server's has to follow (section 2).
            push_addresses(words.next().into_iter(), out)?;
        }
        push_addresses(words, out)
    },
};
