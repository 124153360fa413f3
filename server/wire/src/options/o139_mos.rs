//! Options 139 and 140, servers of mobility services (RFC 5678 sections 2 and 3): addresses or names by
//! service.
//!
//! As text: the service, `is`, `cs` or `es` (information, command, event), and its servers:
//! `is 192.0.2.1 192.0.2.2`, `es events.example`. A service alone, `cs`, has no server; only option 139
//! can say so.

use super::o119_domain_search::encode_name;
use super::structure::{Structure, addresses, names, parts, push_addresses, push_counted};

/// By sub-option, from 1.
const SERVICES: [&str; 3] = ["is", "cs", "es"];

/// Option 139.
pub(crate) static MOS_ADDRESSES: Structure = Structure {
    wanted: "a service with addresses, such as `is 192.0.2.1`",
    is_list: true,
    read: |value| read(value, |list| list.is_empty().then(String::new).or_else(|| addresses(list))),
    write: |_, text, out| {
        let servers = write_service(text, out)?;
        push_counted(out, |out| match servers {
            "" => Some(()),
            servers => push_addresses(servers.split_whitespace(), out),
        })
    },
};

/// Option 140.
pub(crate) static MOS_NAMES: Structure = Structure {
    wanted: "a service with domain names, such as `is mos.example`",
    is_list: true,
    read: |value| read(value, names),
    write: |_, text, out| {
        let servers = write_service(text, out)?;
        push_counted(out, |out| {
            servers.split_whitespace().try_for_each(|name| encode_name(name, out))
        })
    },
};

fn read(value: &[u8], show: fn(&[u8]) -> Option<String>) -> Option<Vec<String>> {
    parts(value, |reader| {
        let [code, len] = [reader.u8()?, reader.u8()?];
        let service = SERVICES.get(usize::from(code).checked_sub(1)?)?;
        let servers = show(reader.take(len.into())?)?;
        Some(format!("{service} {servers}").trim_end().to_owned())
    })
}

/// Appends the number of the service; answers with its servers.
fn write_service<'t>(text: &'t str, out: &mut Vec<u8>) -> Option<&'t str> {
    let (service, servers) = text.split_once(' ').unwrap_or((text, ""));
    let place = SERVICES.iter().position(|name| *name == service)?;
    // There are three of them.
    out.push(place as u8 + 1);
    Some(servers)
}
