//! Option 99, GEOCONF_CIVIC (RFC 4776 section 3.1): a postal address in typed elements.
//!
//! As text: first whose address it is and the country, `client DE`, `network DE` or `server DE`; then
//! each element as its number and its text, `3 Munich`.

use super::format::{escape_text, unescape_text};
use super::structure::{Structure, push_counted};
use crate::reader::Reader;

/// By the value of `what`, RFC 4776 section 3.1.
const WHAT: [&str; 3] = ["server", "network", "client"];

pub(crate) static GEOCONF_CIVIC: Structure = Structure {
    wanted: "first such as `client DE`, then elements such as `3 Munich`",
    is_list: true,
    read: |value| {
        let mut reader = Reader::new(value);
        let what = WHAT.get(usize::from(reader.u8()?))?;
        let country = reader.take(2).filter(|code| code.iter().all(u8::is_ascii_alphabetic))?;
        let mut texts = vec![format!("{what} {}", escape_text(country))];
        while !reader.is_empty() {
            let [element, len] = [reader.u8()?, reader.u8()?];
            let text = reader.take(len.into()).filter(|text| !text.is_empty())?;
            texts.push(format!("{element} {}", escape_text(text)));
        }
        Some(texts)
    },
    write: |place, text, out| {
        let (first, rest) = text.split_once(' ')?;
        if place > 0 {
            out.push(first.parse().ok()?);
            // Values are UTF-8 (section 3.4).
            let value = unescape_text(rest).filter(|value| std::str::from_utf8(value).is_ok())?;
            return push_counted(out, |out| {
                out.extend(value);
                Some(())
            });
        }
        // There are three of them.
        out.push(WHAT.iter().position(|what| *what == first)? as u8);
        // In capital letters.
        let is_country = rest.len() == 2 && rest.bytes().all(|c| c.is_ascii_uppercase());
        out.extend(is_country.then_some(rest.as_bytes())?);
        Some(())
    },
};
