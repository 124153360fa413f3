//! What fields are called in expressions.

use super::super::definitions::{Definitions, Space};
use replication_ledger::{Field, Part};
use server_wire::{OptionCode, SubOptionCode};

/// What values of a field are compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Numbers.
    Number,
    /// Numbers and names of message types.
    MessageType,
    /// Addresses, ranges and prefixes.
    Address,
    /// Octets.
    Octets,
    /// Text.
    Text,
    /// Whatever its option means.
    Any,
}

const FIELDS: &[(&str, Field, Kind)] = &[
    ("chaddr", Field::HardwareAddress, Kind::Octets),
    ("htype", Field::HardwareType, Kind::Number),
    ("hlen", Field::HardwareLength, Kind::Number),
    ("hops", Field::Hops, Kind::Number),
    ("secs", Field::Seconds, Kind::Number),
    ("flags", Field::Flags, Kind::Number),
    ("xid", Field::TransactionId, Kind::Number),
    ("ciaddr", Field::ClientAddress, Kind::Address),
    ("giaddr", Field::RelayAddress, Kind::Address),
    ("sname", Field::ServerName, Kind::Text),
    ("file", Field::File, Kind::Text),
    ("message-type", Field::MessageType, Kind::MessageType),
    ("subnet", Field::Subnet, Kind::Address),
    ("network", Field::Network, Kind::Text),
];

/// Messages that a server gets, by their names and numbers.
pub(super) const MESSAGE_TYPES: &[(&str, u32)] =
    &[("discover", 1), ("request", 3), ("decline", 4), ("release", 7), ("inform", 8)];

/// What a part of a field is compared with. What is cut out of a number is octets again.
pub(super) fn kind(part: Part) -> Kind {
    let whole = part == Part::whole(part.field);
    let row = FIELDS.iter().find(|(_, field, _)| *field == part.field);
    match row {
        Some((_, _, kind)) if whole || matches!(kind, Kind::Octets | Kind::Text) => *kind,
        _ => Kind::Any,
    }
}

/// The field of this name.
///
/// # Errors
/// What would be one.
pub(super) fn field(word: &str, definitions: &Definitions) -> Result<Field, String> {
    if let Some((_, field, _)) = FIELDS.iter().find(|(name, ..)| *name == word) {
        return Ok(*field);
    }
    let mut words = word.split('.');
    let (space, name) = (words.next(), words.next());
    let (inner, innermost, more) = (words.next(), words.next(), words.next());
    match (space, name, inner, innermost, more) {
        (Some("relay"), Some(name), None, ..) => relay(name),
        (Some("option"), Some(name), inner, innermost, None) => {
            option(name, inner, innermost, definitions)
        }
        _ => {
            let known: Vec<&str> = FIELDS.iter().map(|(name, ..)| *name).collect();
            Err(format!("expected option.NAME, relay.NAME or one of {}", known.join(", ")))
        }
    }
}

fn code(name: &str) -> Option<u8> {
    name.parse().ok().filter(|code| (1..=254).contains(code))
}

fn relay(name: &str) -> Result<Field, String> {
    let known = SubOptionCode::by_name(name).map(|code| code.0);
    // Sub-options have no pad and no end, so every octet is a code.
    let found = known.or_else(|| name.parse().ok()).map(Field::RelaySubOption);
    found
        .ok_or_else(|| "expected relay. and the name or number of a sub-option of option 82".into())
}

fn option(
    name: &str,
    inner: Option<&str>,
    innermost: Option<&str>,
    definitions: &Definitions,
) -> Result<Field, String> {
    let defined = |space, name| definitions.by_name(space, name).map(|found| found.code);
    let known = OptionCode::by_name(name).map(|code| code.0);
    let Some(option) = known.or_else(|| defined(Space::Options, name)).or_else(|| code(name))
    else {
        return Err("expected option. and the name or number of an option".into());
    };
    let Some(inner) = inner else { return Ok(Field::Option(option)) };
    let by_enterprise = [OptionCode::VI_VENDOR_CLASS, OptionCode::VI_VENDOR_SPECIFIC];
    if !by_enterprise.contains(&OptionCode(option)) {
        let found = defined(Space::Vendor, inner).filter(|_| is_vendor(option));
        let found = found.or_else(|| code(inner)).filter(|_| innermost.is_none());
        let wanted = || "expected the number of a sub-option after the option".to_owned();
        return found.map(|sub| Field::SubOption(option, sub)).ok_or_else(wanted);
    }
    let Ok(enterprise) = inner.parse() else {
        return Err("expected an enterprise number after the option".into());
    };
    let Some(innermost) = innermost else { return Ok(Field::Enterprise(option, enterprise)) };
    let found = defined(Space::Enterprise(enterprise), innermost).or_else(|| code(innermost));
    let wanted = || "expected the number of a sub-option after the enterprise number".to_owned();
    found.map(|sub| Field::EnterpriseSubOption(option, enterprise, sub)).ok_or_else(wanted)
}

fn is_vendor(option: u8) -> bool {
    OptionCode(option) == OptionCode::VENDOR_SPECIFIC_INFORMATION
}
