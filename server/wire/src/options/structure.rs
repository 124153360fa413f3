//! Options with parts of their own that only servers send: how such a value is written as text in the
//! configuration and shown again.
//!
//! A client that sends one of them says nothing by it, so a received one is not looked at.

use super::o119_domain_search;
use crate::reader::Reader;
use std::net::Ipv4Addr;

/// The text form of one option's value.
#[derive(Debug)]
pub(crate) struct Structure {
    /// What a text that is refused should have been, with its article.
    pub(crate) wanted: &'static str,
    /// Whether the value is made of several texts.
    pub(crate) is_list: bool,
    /// The texts of a value; `None` if it is not of this structure.
    pub(crate) read: fn(&[u8]) -> Option<Vec<String>>,
    /// Appends what the text at this place of the list stands for; `None` if it stands for nothing.
    pub(crate) write: fn(usize, &str, &mut Vec<u8>) -> Option<()>,
}

/// Calls `part` until the value is used up; `None` if it ends within a part, or is empty.
pub(crate) fn parts(
    value: &[u8],
    mut part: impl FnMut(&mut Reader<'_>) -> Option<String>,
) -> Option<Vec<String>> {
    let mut reader = Reader::new(value);
    let mut texts = vec![part(&mut reader)?];
    while !reader.is_empty() {
        texts.push(part(&mut reader)?);
    }
    Some(texts)
}

/// The addresses that fill the octets, with a blank between two; `None` if there are none.
pub(crate) fn addresses(octets: &[u8]) -> Option<String> {
    let (list, rest) = octets.as_chunks::<4>();
    if list.is_empty() || !rest.is_empty() {
        return None;
    }
    let texts: Vec<String> = list.iter().map(|each| Ipv4Addr::from(*each).to_string()).collect();
    Some(texts.join(" "))
}

/// Appends the addresses of a text, one at least.
pub(crate) fn push_addresses<'t>(
    mut words: impl Iterator<Item = &'t str>,
    out: &mut Vec<u8>,
) -> Option<()> {
    let first: Ipv4Addr = words.next()?.parse().ok()?;
    out.extend(first.octets());
    words.try_for_each(|word| {
        out.extend(word.parse::<Ipv4Addr>().ok()?.octets());
        Some(())
    })
}

/// The domain names that fill the octets, with a blank between two; `None` if there are none.
pub(crate) fn names(octets: &[u8]) -> Option<String> {
    Some(o119_domain_search::decode(octets).ok()?.join(" "))
}

/// The only domain name of the octets.
pub(crate) fn single_name(octets: &[u8]) -> Option<String> {
    let mut names = o119_domain_search::decode(octets).ok()?;
    let name = names.pop().filter(|name| !name.is_empty())?;
    names.is_empty().then_some(name)
}

/// Appends what `write` makes of it, after its length in one octet.
pub(crate) fn push_counted(
    out: &mut Vec<u8>,
    write: impl FnOnce(&mut Vec<u8>) -> Option<()>,
) -> Option<()> {
    let mut octets = Vec::new();
    write(&mut octets)?;
    out.push(u8::try_from(octets.len()).ok()?);
    out.extend(octets);
    Some(())
}

/// The words of a text that must be neither fewer nor more.
pub(crate) fn exactly<const N: usize>(text: &str) -> Option<[&str; N]> {
    text.split_whitespace().collect::<Vec<_>>().try_into().ok()
}

/// A number, decimal or hexadecimal after `0x`.
pub(crate) fn number(text: &str) -> Option<u32> {
    match text.strip_prefix("0x") {
        Some(digits) => u32::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

#[cfg(test)]
#[path = "structure_tests.rs"]
mod tests;
