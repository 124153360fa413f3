//! `[clients]` and `[boot]`: what clients may do and from whom they load their systems, layer over layer.

use super::section::Section;
use super::value;
use replication_ledger::{Authoritative, Boot, BootpService, ClientRules};

/// The most addresses that `addresses_per_remote_id` can say.
const ADDRESSES_PER_REMOTE_ID_MAX: u64 = 65_535;
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
}

impl ClientKeys {
    /// Takes its keys; the section may have others.
    pub(super) fn take(section: &mut Section<'_>) -> ClientKeys {
        let mut boolean = |key| section.take(key).and_then(|item| item.boolean());
        let rapid_commit = boolean("rapid_commit");
        let known_only = boolean("known_only");
        let auto_configure = boolean("auto_configure");
        let bootp = section.take("bootp").and_then(|item| item.parse(bootp));
        let authoritative =
            section.take("authoritative").and_then(|item| item.parse(authoritative));
        let addresses_per_remote_id = section
            .take("addresses_per_remote_id")
            .and_then(|item| item.integer(1..=ADDRESSES_PER_REMOTE_ID_MAX))
            // The bounds are those of 16 bits.
            .map(|number| number as u32);
        ClientKeys {
            rapid_commit,
            bootp,
            authoritative,
            known_only,
            auto_configure,
            addresses_per_remote_id,
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
        }
    }
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
