//! Option 146, RDNSS Selection (RFC 6731 section 4.3): name servers for some names.
//!
//! As text: preference, primary and secondary server (0.0.0.0 if there is none), then names, `.` for all:
//! `high 192.0.2.1 0.0.0.0 corp.example 2.0.192.in-addr.arpa`.

use super::o119_domain_search::{self, encode_name};
use super::structure::Structure;
use crate::reader::Reader;
use std::net::Ipv4Addr;

/// By value, RFC 4191 section 2.1; 2 is reserved.
const PREFERENCES: [(u8, &str); 3] = [(0, "medium"), (1, "high"), (3, "low")];

pub(crate) static RDNSS_SELECTION: Structure = Structure {
    wanted: "a selection such as `high 192.0.2.1 0.0.0.0 corp.example`",
    is_list: false,
    read: |value| {
        let mut reader = Reader::new(value);
        let preference = reader.u8()?;
        let (_, word) = PREFERENCES.iter().find(|(number, _)| *number == preference)?;
        let [primary, secondary] = [reader.address()?, reader.address()?];
        let names = o119_domain_search::decode(reader.rest()).ok()?;
        let names = names.iter().map(|name| if name.is_empty() { "." } else { &name[..] });
        let names: Vec<&str> = names.collect();
        Some(vec![format!("{word} {primary} {secondary} {}", names.join(" "))])
    },
    write: |_, text, out| {
        let mut words = text.split_whitespace();
        let word = words.next()?;
        out.push(PREFERENCES.iter().find(|(_, name)| *name == word)?.0);
        for _ in 0..2 {
            out.extend(words.next()?.parse::<Ipv4Addr>().ok()?.octets());
        }
        let mut names = words.peekable();
        names.peek()?;
        names.try_for_each(|name| match name {
            "." => {
                out.push(0);
                Some(())
            }
            name => encode_name(name, out),
        })
    },
};
