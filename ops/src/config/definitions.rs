//! `[[option_definition]]`: options and vendor sub-options that the codec's table does not know, with a declared format.

use super::section::{Item, Section};
use server_wire::{Format, OptionCode};

/// Formats by their names in the file.
const FORMATS: &[(&str, Format)] = &[
    ("address", Format::Address),
    ("addresses", Format::AddressList),
    ("address-pairs", Format::AddressPairs),
    ("boolean", Format::Boolean),
    ("domain-name", Format::DomainName),
    ("domain-names", Format::DomainList),
    ("flag", Format::Flag),
    ("hex", Format::Opaque),
    ("i32", Format::I32),
    ("ipv6-address", Format::Ipv6Address),
    ("routes", Format::Routes),
    ("text", Format::Text),
    ("u16", Format::U16),
    ("u16s", Format::U16List),
    ("u32", Format::U32),
    ("u8", Format::U8),
    ("u8s", Format::U8List),
];

/// Whose numbers a definition speaks of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Space {
    /// Options.
    Options,
    /// What option 43 encapsulates (RFC 2132 section 8.4).
    Vendor,
    /// What option 125 holds for this enterprise number (RFC 3925 section 4).
    Enterprise(u32),
}

/// What one option is.
#[derive(Clone, Debug)]
pub(super) struct Definition {
    pub(super) name: String,
    pub(super) space: Space,
    pub(super) code: u8,
    pub(super) format: Format,
}

/// All that the file defines.
#[derive(Clone, Debug, Default)]
pub(super) struct Definitions(Vec<Definition>);

impl Definitions {
    /// Reads the list. What clashes with another definition or with the codec's table is noted and left out.
    pub(super) fn read(root: &mut Section<'_>) -> Definitions {
        let mut definitions = Definitions::default();
        for item in root.take("option_definition").map(|item| item.items()).unwrap_or_default() {
            if let Some(definition) = read(&item).filter(|new| definitions.admits(new, &item)) {
                definitions.0.push(definition);
            }
        }
        definitions
    }

    pub(super) fn by_name(&self, space: Space, name: &str) -> Option<&Definition> {
        self.0.iter().find(|known| known.space == space && known.name == name)
    }

    pub(super) fn by_code(&self, space: Space, code: u8) -> Option<&Definition> {
        self.0.iter().find(|known| known.space == space && known.code == code)
    }

    fn admits(&self, new: &Definition, item: &Item<'_>) -> bool {
        let known = self.by_name(new.space, &new.name).or(self.by_code(new.space, new.code));
        if let Some(known) = known {
            item.fail(format!("{} {} is already defined; remove one", known.name, known.code));
            return false;
        }
        if new.space == Space::Options {
            if let Some(known) = OptionCode(new.code).name() {
                item.fail(format!("option {} is known as {known}; use that name", new.code));
                return false;
            }
            if OptionCode::by_name(&new.name).is_some() {
                item.fail(format!("{} is the name of another option; choose another", new.name));
                return false;
            }
        }
        true
    }
}

fn read(item: &Item<'_>) -> Option<Definition> {
    let mut section = item.section()?;
    let name = section.need("name", "write the name that tables of options use").and_then(|item| {
        let name = item.text()?;
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if !name.starts_with(|c: char| c.is_ascii_lowercase()) || !name.chars().all(plain) {
            item.fail("must be lower case letters, digits and hyphens, a letter first");
            return None;
        }
        Some(name.to_owned())
    });
    let code = section.need("code", "write the number of the option, 1 to 254");
    let code = code.and_then(|item| item.integer(1..=254));
    let format = section
        .need("format", "write for example \"text\" or \"addresses\"")
        .and_then(|item| item.parse(format));
    let enterprise = section.take("enterprise");
    let vendor = section.take("vendor").and_then(|item| item.boolean()).unwrap_or_default();
    section.finish();
    let space = match enterprise {
        Some(item) if vendor => {
            item.fail("option 43 has no enterprise numbers; write vendor or enterprise, not both");
            return None;
        }
        // The bounds are those of 32 bits.
        Some(item) => Space::Enterprise(item.integer(0..=u32::MAX.into())? as u32),
        None if vendor => Space::Vendor,
        None => Space::Options,
    };
    // The bounds are those of an octet.
    Some(Definition { name: name?, space, code: code? as u8, format: format? })
}

fn format(text: &str) -> Result<Format, String> {
    let found = FORMATS.iter().find(|(name, _)| *name == text).map(|(_, format)| *format);
    found.ok_or_else(|| {
        let known: Vec<&str> = FORMATS.iter().map(|(name, _)| *name).collect();
        format!("`{text}` is not a format; known are {}", known.join(", "))
    })
}
