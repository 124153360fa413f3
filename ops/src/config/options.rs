//! Options of the configuration: by name through the codec's table, or by code.

use super::definitions::{Definitions, Space};
use super::section::{Item, Section};
use super::value;
use replication_ledger::OptionValue;
use server_wire::{Format, OptionCode, PART_LEN_MAX, VendorBlocks};
use std::collections::BTreeMap;

/// Reads a table of options. Wrong ones are noted and left out. The result is sorted by code.
pub(super) fn read(section: &Section<'_>, definitions: &Definitions) -> Vec<OptionValue> {
    let mut found: Vec<(OptionValue, Item<'_>)> = Vec::new();
    for (name, item) in section.entries() {
        let option = match (item.is_table(), OptionCode::by_name(name)) {
            (true, Some(VENDOR)) => {
                let vendor = |space| Some(sub_options(&space, Space::Vendor, definitions));
                item.section().and_then(vendor).and_then(|data| finish(VENDOR, data, &item))
            }
            (true, Some(ENTERPRISES)) => item
                .section()
                .and_then(|space| enterprises(&space, definitions))
                .and_then(|data| finish(ENTERPRISES, data, &item)),
            (true, _) => by_code(&item, definitions),
            (false, _) => by_name(name, &item, definitions),
        };
        let Some(option) = option else { continue };
        if let Some((first, place)) = found.iter().find(|(other, _)| other.code == option.code) {
            item.fail(format!("option {} is already given by {}", first.code, place.path));
            continue;
        }
        found.push((option, item));
    }
    found.sort_by_key(|(option, _)| option.code);
    found.into_iter().map(|(option, _)| option).collect()
}

const VENDOR: OptionCode = OptionCode::VENDOR_SPECIFIC_INFORMATION;
const ENTERPRISES: OptionCode = OptionCode::VI_VENDOR_SPECIFIC;

fn finish(code: OptionCode, data: Vec<u8>, item: &Item<'_>) -> Option<OptionValue> {
    if data.is_empty() {
        item.fail("must not be empty");
        return None;
    }
    Some(OptionValue { code: code.0, data: data.into() })
}

/// The blocks of option 125: by enterprise number, sub-options each.
fn enterprises(section: &Section<'_>, definitions: &Definitions) -> Option<Vec<u8>> {
    let mut data = Vec::new();
    for (number, item) in section.entries() {
        let Ok(enterprise) = number.parse() else {
            item.fail(format!("`{number}` is not an enterprise number; write for example 4491"));
            continue;
        };
        let Some(space) = item.section() else { continue };
        let block = sub_options(&space, Space::Enterprise(enterprise), definitions);
        if VendorBlocks::encode_block(enterprise, &block, &mut data).is_none() {
            item.fail(format!("{} octets are too many; an enterprise has 255", block.len()));
        }
    }
    Some(data)
}

/// Sub-options by the names of their definitions, or by number as text or hexadecimal after "0x"; in order of code.
fn sub_options(section: &Section<'_>, space: Space, definitions: &Definitions) -> Vec<u8> {
    let mut found: BTreeMap<u8, Vec<u8>> = BTreeMap::new();
    for (name, item) in section.entries() {
        let number = name.parse::<u8>().ok().filter(|code| (1..=254).contains(code));
        let known = definitions
            .by_name(space, name)
            .or_else(|| number.and_then(|code| definitions.by_code(space, code)));
        let (code, value) = match (known, number) {
            (Some(known), _) => (known.code, encode_as(known.format, name, &item)),
            (None, Some(code)) => (code, item.parse(value::identifier).map(|v| v.to_vec())),
            (None, None) => {
                item.fail(format!(
                    "unknown here; write its number, or an [[option_definition]] of {name}"
                ));
                continue;
            }
        };
        let Some(value) = value else { continue };
        if value.len() > PART_LEN_MAX {
            item.fail(format!("{} octets are too many; a sub-option has 255", value.len()));
        } else if found.insert(code, value).is_some() {
            item.fail(format!("sub-option {code} is given twice; remove one"));
        }
    }
    // Not above 255, so the length fits.
    found
        .iter()
        .flat_map(|(code, value)| [&[*code, value.len() as u8], &value[..]].concat())
        .collect()
}

/// These options, and those of `outer` with other codes. Both are sorted by code, and so is the result.
pub(super) fn within(mut own: Vec<OptionValue>, outer: &[OptionValue]) -> Vec<OptionValue> {
    let mut inherited = outer.to_vec();
    inherited.retain(|option| own.iter().all(|given| given.code != option.code));
    own.append(&mut inherited);
    own.sort_by_key(|option| option.code);
    own
}

fn by_name(name: &str, item: &Item<'_>, definitions: &Definitions) -> Option<OptionValue> {
    if let Some(own) = definitions.by_name(Space::Options, name) {
        let data = encode_as(own.format, name, item)?.into();
        return Some(OptionValue { code: own.code, data });
    }
    let Some(code) = OptionCode::by_name(name) else {
        item.fail(format!(
            "unknown option; write {name} = {{ code = N, value = \"0x…\" }} if you know its code"
        ));
        return None;
    };
    refuse_set_by_server(code, item)?;
    Some(OptionValue { code: code.0, data: encode(code, item)?.into() })
}

fn by_code(item: &Item<'_>, definitions: &Definitions) -> Option<OptionValue> {
    let mut section = item.section()?;
    let code = section.need("code", "write the number of the option, 1 to 254");
    let given = section.need("value", "write text, or hexadecimal after \"0x\"");
    section.finish();
    // The bounds are those of an octet.
    let code = OptionCode(code.and_then(|item| item.integer(1..=254))? as u8);
    let given = given?;
    refuse_set_by_server(code, item)?;
    let raw = given.texts().filter(|texts| texts.len() == 1 && texts[0].starts_with("0x"));
    let data = match raw {
        Some(texts) => match value::hex(&texts[0][2..]) {
            Ok(octets) => octets,
            Err(reason) => {
                given.fail(reason);
                return None;
            }
        },
        None if code.definition().is_some() => encode(code, &given)?.into(),
        None => match definitions.by_code(Space::Options, code.0) {
            Some(own) => encode_as(own.format, &own.name, &given)?.into(),
            None => given.text()?.as_bytes().into(),
        },
    };
    Some(OptionValue { code: code.0, data })
}

fn encode(code: OptionCode, item: &Item<'_>) -> Option<Vec<u8>> {
    encode_as(code.definition()?.format, &code.to_string(), item)
}

fn encode_as(format: Format, name: &str, item: &Item<'_>) -> Option<Vec<u8>> {
    let texts = item.texts()?;
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    // That a flag is there is all that it says.
    let values = if format == Format::Flag && texts == ["true"] { &[][..] } else { &texts[..] };
    match format.parse_text(values) {
        Ok(octets) => Some(octets),
        Err(error) => {
            item.fail(format!("not a value of option {name}: {error}"));
            None
        }
    }
}

/// Options that the server or the client writes are no business of the file.
fn refuse_set_by_server(code: OptionCode, item: &Item<'_>) -> Option<()> {
    let instead = match code.0 {
        51 | 58 | 59 => "use the section lease",
        54 => "it is server_id of member.toml",
        12 => "use the key hostname of a reservation",
        50 | 52 | 53 | 55 | 57 | 61 | 82 | 90 | 91 | 92 | 118 | 151..=157 | 221 => {
            "it is written by the protocol itself; remove it"
        }
        _ => return Some(()),
    };
    item.fail(format!("option {code} cannot be configured; {instead}"));
    None
}
