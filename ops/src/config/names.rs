//! `dns` inside `[clients]`: whose names are told to DNS, layer over layer.

use super::section::Section;
use super::value;
use replication_ledger::NameRules;

/// What the time to live is thousandths of.
const WHOLE_PERMILLE: f64 = 1000.0;
/// Octets of the longest prefix of a generated name: with the longest address it is a label.
const PREFIX_LEN_MAX: usize = 48;

/// Rules for names as far as a section gives them.
#[derive(Clone, Default)]
pub(super) struct NameKeys {
    updates: Option<bool>,
    without_fqdn: Option<bool>,
    client_updates: Option<bool>,
    client_refuses: Option<bool>,
    client_domain: Option<bool>,
    generated: Option<String>,
    ttl_permille: Option<u16>,
    ttl_min_seconds: Option<u32>,
    ttl_max_seconds: Option<u32>,
}

impl NameKeys {
    pub(super) fn read(mut section: Section<'_>) -> NameKeys {
        let mut boolean = |key| section.take(key).and_then(|item| item.boolean());
        let updates = boolean("updates");
        let without_fqdn = boolean("without_fqdn");
        let client_updates = boolean("client_updates");
        let client_refuses = boolean("client_refuses");
        let client_domain = boolean("client_domain");
        let generated = section.take("generated").and_then(|item| item.parse(prefix));
        let ttl_permille = section
            .take("ttl")
            .and_then(|item| item.fraction())
            // Between 0 and 1, so the product fits.
            .map(|part| (part * WHOLE_PERMILLE).round() as u16);
        let (min, max) = (section.take("ttl_min"), section.take("ttl_max"));
        let ttl_min_seconds = min.and_then(|item| item.parse(value::duration));
        let ttl_max_seconds = max.as_ref().and_then(|item| item.parse(value::duration));
        if let (Some(min), Some(max), Some(item)) = (ttl_min_seconds, ttl_max_seconds, max)
            && min > max
        {
            item.fail("is below ttl_min; write a longer one");
        }
        section.finish();
        NameKeys {
            updates,
            without_fqdn,
            client_updates,
            client_refuses,
            client_domain,
            generated,
            ttl_permille,
            ttl_min_seconds,
            ttl_max_seconds,
        }
    }

    /// These keys, and those of `outer` where these are silent.
    pub(super) fn within(self, outer: &NameKeys) -> NameKeys {
        NameKeys {
            updates: self.updates.or(outer.updates),
            without_fqdn: self.without_fqdn.or(outer.without_fqdn),
            client_updates: self.client_updates.or(outer.client_updates),
            client_refuses: self.client_refuses.or(outer.client_refuses),
            client_domain: self.client_domain.or(outer.client_domain),
            generated: self.generated.or_else(|| outer.generated.clone()),
            ttl_permille: self.ttl_permille.or(outer.ttl_permille),
            ttl_min_seconds: self.ttl_min_seconds.or(outer.ttl_min_seconds),
            ttl_max_seconds: self.ttl_max_seconds.or(outer.ttl_max_seconds),
        }
    }

    /// The rules in force.
    pub(super) fn rules(&self) -> NameRules {
        let usual = NameRules::default();
        NameRules {
            updates: self.updates.unwrap_or(usual.updates),
            without_fqdn: self.without_fqdn.unwrap_or(usual.without_fqdn),
            client_updates: self.client_updates.unwrap_or(usual.client_updates),
            client_refuses: self.client_refuses.unwrap_or(usual.client_refuses),
            client_domain: self.client_domain.unwrap_or(usual.client_domain),
            generated_prefix: self.generated.clone().unwrap_or_default(),
            ttl_permille: self.ttl_permille.unwrap_or(usual.ttl_permille),
            ttl_min_seconds: self.ttl_min_seconds.unwrap_or(usual.ttl_min_seconds),
            ttl_max_seconds: self.ttl_max_seconds.unwrap_or(usual.ttl_max_seconds),
        }
    }
}

/// The beginning of a label.
fn prefix(text: &str) -> Result<String, String> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let begins = text.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit());
    match text.is_empty() || begins && text.chars().all(plain) && text.len() <= PREFIX_LEN_MAX {
        true => Ok(text.to_owned()),
        false => Err(format!(
            "`{text}` does not begin a name; write at most {PREFIX_LEN_MAX} lower-case letters, \
             digits and hyphens, such as \"dhcp-\""
        )),
    }
}
