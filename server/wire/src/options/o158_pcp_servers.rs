//! Option 158, Port Control Protocol (RFC 7291 section 4.1): the addresses of each server, after the
//! length of the addresses alone.
//!
//! As text: one server each, `192.0.2.1 192.0.2.2`.

use super::structure::{Structure, addresses, parts, push_addresses, push_counted};

pub(crate) static PCP_SERVERS: Structure = Structure {
    wanted: "the addresses of one server, such as `192.0.2.1 192.0.2.2`",
    is_list: true,
    read: |value| {
        parts(value, |reader| {
            let len = reader.u8()?;
            addresses(reader.take(len.into())?)
        })
    },
    write: |_, text, out| push_counted(out, |out| push_addresses(text.split_whitespace(), out)),
};
