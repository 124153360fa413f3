//! Option 159, Port Parameters (RFC 7618 section 9): the ports of a shared address.
//!
//! As text: the offset, the port set identifier and its bits, `6 52/8`.

use super::structure::{Structure, exactly, number};
use crate::reader::Reader;

/// Bits of a port.
const PORT_BITS: u32 = 16;
/// The most that the offset may be.
const OFFSET_MAX: u32 = 15;

pub(crate) static PORT_PARAMETERS: Structure = Structure {
    wanted: "an offset and a port set such as `6 52/8`",
    is_list: false,
    read: |value| {
        let mut reader = Reader::new(value);
        let [offset, len] = [u32::from(reader.u8()?), u32::from(reader.u8()?)];
        let field = u32::from(reader.u16()?);
        if !reader.is_empty() || offset > OFFSET_MAX || offset + len > PORT_BITS {
            return None;
        }
        // The identifier is on the left; what is right of it is zero.
        let psid = field >> (PORT_BITS - len);
        (psid << (PORT_BITS - len) == field).then(|| vec![format!("{offset} {psid}/{len}")])
    },
    write: |_, text, out| {
        let [offset, set] = exactly::<2>(text)?;
        let (psid, len) = set.split_once('/')?;
        let [offset, psid, len] = [number(offset)?, number(psid)?, number(len)?];
        if offset > OFFSET_MAX || len > PORT_BITS - offset || psid >> len != 0 {
            return None;
        }
        // None of them is above 16, nor the shifted one above 16 bits.
        out.extend([offset as u8, len as u8]);
        out.extend(((psid << (PORT_BITS - len)) as u16).to_be_bytes());
        Some(())
    },
};
