//! Options 78 and 79, Service Location Protocol (RFC 2610 sections 3 and 4): whether what follows
//! replaces what the client knows, then addresses or a list of scopes.
//!
//! As text: `mandatory` first or not, then the addresses, or the scopes with commas between them.

use super::format::{escape_text, unescape_text};
use super::structure::{Structure, addresses, push_addresses};

/// Option 78.
pub(crate) static DIRECTORY_AGENT: Structure = Structure {
    wanted: "an address, or `mandatory` before all of them",
    is_list: true,
    read: |value| {
        let (mut texts, rest) = read_mandatory(value)?;
        texts.extend(addresses(rest)?.split(' ').map(str::to_owned));
        Some(texts)
    },
    write: |place, text, out| {
        if !write_mandatory(place, text, out) {
            push_addresses(std::iter::once(text), out)?;
        }
        Some(())
    },
};

/// Option 79.
pub(crate) static SERVICE_SCOPE: Structure = Structure {
    wanted: "a list of scopes such as `east,west`, or `mandatory` before it",
    is_list: true,
    read: |value| {
        let (mut texts, rest) = read_mandatory(value)?;
        if !rest.is_empty() {
            texts.push(escape_text(rest));
        }
        (!texts.is_empty()).then_some(texts)
    },
    write: |place, text, out| {
        let is_only = place == 0 || (place == 1 && out == &[MANDATORY]);
        if !write_mandatory(place, text, out) {
            is_only.then_some(())?;
            out.extend(unescape_text(text)?);
        }
        Some(())
    },
};

const MANDATORY: u8 = 1;
const WORD: &str = "mandatory";

fn read_mandatory(value: &[u8]) -> Option<(Vec<String>, &[u8])> {
    match value.split_first()? {
        (&0, rest) => Some((Vec::new(), rest)),
        (&MANDATORY, rest) => Some((vec![WORD.to_owned()], rest)),
        _ => None,
    }
}

/// Writes the octet in front of everything; answers whether the text is used up by it.
fn write_mandatory(place: usize, text: &str, out: &mut Vec<u8>) -> bool {
    let is_word = place == 0 && text == WORD;
    if place == 0 {
        out.push(is_word.into());
    }
    is_word
}
