//! Options of the configuration: by name through the codec's table, or by code.

use super::section::{Item, Section};
use super::value;
use replication_ledger::OptionValue;
use server_wire::OptionCode;

/// Reads a table of options. Wrong ones are noted and left out. The result is sorted by code.
pub(super) fn read(section: &Section<'_>) -> Vec<OptionValue> {
    let mut found: Vec<(OptionValue, Item<'_>)> = Vec::new();
    for (name, item) in section.entries() {
        let option = match item.is_table() {
            true => by_code(&item),
            false => by_name(name, &item),
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

/// These options, and those of `outer` with other codes. Both are sorted by code, and so is the result.
pub(super) fn within(mut own: Vec<OptionValue>, outer: &[OptionValue]) -> Vec<OptionValue> {
    let mut inherited = outer.to_vec();
    inherited.retain(|option| own.iter().all(|given| given.code != option.code));
    own.append(&mut inherited);
    own.sort_by_key(|option| option.code);
    own
}

fn by_name(name: &str, item: &Item<'_>) -> Option<OptionValue> {
    let Some(code) = OptionCode::by_name(name) else {
        item.fail(format!(
            "unknown option; write {name} = {{ code = N, value = \"0x…\" }} if you know its code"
        ));
        return None;
    };
    refuse_set_by_server(code, item)?;
    Some(OptionValue { code: code.0, data: encode(code, item)?.into() })
}

fn by_code(item: &Item<'_>) -> Option<OptionValue> {
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
        None => given.text()?.as_bytes().into(),
    };
    Some(OptionValue { code: code.0, data })
}

fn encode(code: OptionCode, item: &Item<'_>) -> Option<Vec<u8>> {
    let texts = item.texts()?;
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    match code.definition()?.format.parse_text(&texts) {
        Ok(octets) => Some(octets),
        Err(error) => {
            item.fail(format!("not a value of option {code}: {error}"));
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
