//! `[clients]` and `[boot]`: what clients may do and from whom they load their systems, layer over layer.

use super::names::NameKeys;
use super::section::Section;
use super::value;
use replication_ledger::{Authoritative, Boot, BootpService, ClientRules};
use server_wire::Format;

/// The most that a limit on addresses can say.
const ADDRESSES_MAX: u64 = 65_535;
/// Octets of the fields `sname` and `file`, with the NUL that ends a text (RFC 2131 section 2).
const SNAME_LEN: usize = 64;
const FILE_LEN: usize = 128;

/// Rules for clients as far as a section gives them.
#[derive(Clone, Default)]
pub(super) struct ClientKeys {
    rapid_commit: Option<bool>,
    bootp: Option<BootpService>,
    authoritative: Option<Authoritative>,
    known_only: Option<bool>,
    auto_configure: Option<bool>,
    addresses_per_remote_id: Option<u32>,
    addresses_per_circuit_id: Option<u32>,
    fqdn: Option<bool>,
    name_suffix: Option<String>,
    ping_check_millis: Option<u16>,
    names: NameKeys,
}

impl ClientKeys {
    /// Takes its keys; the section may have others.
    pub(super) fn take(section: &mut Section<'_>) -> ClientKeys {
        let mut boolean = |key| section.take(key).and_then(|item| item.boolean());
        let rapid_commit = boolean("rapid_commit");
        let known_only = boolean("known_only");
        let auto_configure = boolean("auto_configure");
        let fqdn = boolean("fqdn");
        let name_suffix = section.take("name_suffix").and_then(|item| item.parse(domain_name));
        let ping_check_millis =
            section.take("ping_check").and_then(|item| item.parse(value::short_wait_millis));
        let names = section.section("dns").map(NameKeys::read).unwrap_or_default();
        let bootp = section.take("bootp").and_then(|item| item.parse(bootp));
        let authoritative =
            section.take("authoritative").and_then(|item| item.parse(authoritative));
        let addresses_per_remote_id = addresses(section, "addresses_per_remote_id");
        let addresses_per_circuit_id = addresses(section, "addresses_per_circuit_id");
        ClientKeys {
            rapid_commit,
            bootp,
            authoritative,
            known_only,
            auto_configure,
            addresses_per_remote_id,
            addresses_per_circuit_id,
            fqdn,
            name_suffix,
            ping_check_millis,
            names,
        }
    }

    /// Reads a section that has no other keys.
    pub(super) fn read(mut section: Section<'_>) -> ClientKeys {
        let keys = ClientKeys::take(&mut section);
        section.finish();
        keys
    }

    /// These keys, and those of `outer` where these are silent.
    pub(super) fn within(self, outer: &ClientKeys) -> ClientKeys {
        ClientKeys {
            rapid_commit: self.rapid_commit.or(outer.rapid_commit),
            bootp: self.bootp.or(outer.bootp),
            authoritative: self.authoritative.or(outer.authoritative),
            known_only: self.known_only.or(outer.known_only),
            auto_configure: self.auto_configure.or(outer.auto_configure),
            addresses_per_remote_id: self.addresses_per_remote_id.or(outer.addresses_per_remote_id),
            addresses_per_circuit_id: self
                .addresses_per_circuit_id
                .or(outer.addresses_per_circuit_id),
            fqdn: self.fqdn.or(outer.fqdn),
            name_suffix: self.name_suffix.or_else(|| outer.name_suffix.clone()),
            ping_check_millis: self.ping_check_millis.or(outer.ping_check_millis),
            names: self.names.within(&outer.names),
        }
    }

    /// The rules in force. `quarantine_seconds` is written among the lease times.
    pub(super) fn rules(&self, quarantine_seconds: Option<u32>) -> ClientRules {
        let usual = ClientRules::default();
        ClientRules {
            rapid_commit: self.rapid_commit.unwrap_or(usual.rapid_commit),
            bootp: self.bootp.unwrap_or(usual.bootp),
            authoritative: self.authoritative.unwrap_or(usual.authoritative),
            known_only: self.known_only.unwrap_or(usual.known_only),
            quarantine_seconds: quarantine_seconds.unwrap_or(usual.quarantine_seconds),
            auto_configure: self.auto_configure.unwrap_or(usual.auto_configure),
            addresses_per_remote_id_max: self.addresses_per_remote_id,
            addresses_per_circuit_id_max: self.addresses_per_circuit_id,
            fqdn: self.fqdn.unwrap_or(usual.fqdn),
            name_suffix: self.name_suffix.clone().unwrap_or_default(),
            ping_check_millis: self.ping_check_millis.unwrap_or(usual.ping_check_millis),
            names: self.names.rules(),
        }
    }
}

/// A limit on addresses, if it is given.
pub(super) fn addresses(section: &mut Section<'_>, key: &'static str) -> Option<u32> {
    let number = section.take(key)?.integer(1..=ADDRESSES_MAX)?;
    // The bounds are those of 16 bits.
    Some(number as u32)
}

/// A name of DNS such as "example.net"; empty says that there is none.
fn domain_name(text: &str) -> Result<String, String> {
    let wrong = || format!("`{text}` is not a name of DNS; write for example \"example.net\"");
    // An escape is a matter of the text form; the suffix is used label by label.
    if text.contains('\\') || !text.is_ascii() {
        return Err(wrong());
    }
    if !text.is_empty() {
        Format::DomainList.parse_text(&[text]).map_err(|_| wrong())?;
    }
    Ok(text.trim_end_matches('.').to_owned())
}

fn bootp(text: &str) -> Result<BootpService, String> {
    match text {
        "no" => Ok(BootpService::Refused),
        "reserved" => Ok(BootpService::Reserved),
        "automatic" => Ok(BootpService::Automatic),
        _ => Err(format!("`{text}` is unknown; write \"no\", \"reserved\" or \"automatic\"")),
    }
}

fn authoritative(text: &str) -> Result<Authoritative, String> {
    match text {
        "no" => Ok(Authoritative::Nothing),
        "link" => Ok(Authoritative::Link),
        "clients" => Ok(Authoritative::Clients),
        _ => Err(format!("`{text}` is unknown; write \"no\", \"link\" or \"clients\"")),
    }
}

/// Reads `next_server`, `server_name` and `file`; what is silent stays as in `outer`.
pub(super) fn boot(mut section: Section<'_>, outer: &Boot) -> Boot {
    let next_server = section.take("next_server").and_then(|item| item.parse(value::address));
    let mut text = |key, field_len: usize| {
        let item = section.take(key)?;
        let text = item.text()?;
        if text.len() >= field_len || text.contains('\0') {
            item.fail(format!("must have at most {} octets and no NUL", field_len - 1));
            return None;
        }
        Some(text.to_owned())
    };
    let (server_name, file) = (text("server_name", SNAME_LEN), text("file", FILE_LEN));
    section.finish();
    Boot {
        next_server: next_server.unwrap_or(outer.next_server),
        server_name: server_name.unwrap_or_else(|| outer.server_name.clone()),
        file: file.unwrap_or_else(|| outer.file.clone()),
    }
}
