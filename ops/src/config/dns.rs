//! `[dns]`: zones, their servers and keys.

use super::section::{Item, Section};
use super::value;
use super::vpns::Vpns;
use replication_ledger::{
    DnsKey, DnsKeyAlgorithm, DnsSettings, DnsZone, Octets, Prefix, VpnNumber,
};
use server_wire::Format;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// The port of DNS.
const DNS_PORT: u16 = 53;
/// The labels under which zones of addresses lie, in wire format.
const REVERSE_ROOT: &[u8] = b"\x07in-addr\x04arpa\0";
/// When a name that is somebody else's is tried again if the file does not say, in seconds.
const CONFLICT_RETRY_SECONDS: u32 = 3600;

/// Reads the section. `vpns` are those that the file has named so far.
pub(super) fn read<'a>(mut section: Section<'a>, vpns: &Vpns<'a>) -> DnsSettings {
    let mut settings = DnsSettings {
        forward: Vec::new(),
        reverse: Vec::new(),
        keys: Vec::new(),
        conflict_retry_seconds: CONFLICT_RETRY_SECONDS,
    };
    if let Some(item) = section.take("conflict_retry")
        && let Some(seconds) = item.parse(value::duration)
    {
        if seconds == 0 {
            item.fail("must not be 0");
        }
        settings.conflict_retry_seconds = seconds;
    }
    let names = read_keys(section.take("key"), &mut settings);
    let zones = section.need("zone", "write [[dns.zone]] with name and servers");
    let mut seen: Vec<(DnsZone, Item<'_>)> = Vec::new();
    for item in zones.map(|zones| zones.items()).unwrap_or_default() {
        let Some(zone) = read_zone(&item, &names, vpns) else { continue };
        let mut clashes = seen.iter().filter(|(known, _)| *known.name == *zone.name);
        if let Some(said) = clashes.find_map(|(known, first)| clash(&zone, known, &first.path)) {
            item.fail(said);
            continue;
        }
        seen.push((zone.clone(), item.clone()));
        match zone.name.strip_suffix(REVERSE_ROOT) {
            None => settings.forward.push(zone),
            Some(labels) => match covered(labels) {
                Some(prefix) => settings.reverse.push((prefix, zone)),
                None => item.fail(
                    "covers no addresses as whole octets; write for example \
                     \"2.0.192.in-addr.arpa\"",
                ),
            },
        }
    }
    settings.forward.sort_by(|one, other| (one.vpn, &one.name).cmp(&(other.vpn, &other.name)));
    settings.reverse.sort_by_key(|(prefix, zone)| (zone.vpn, *prefix));
    section.finish();
    settings
}

/// What is wrong with two zones of one name. A server tells two such zones apart by the key of an update, if at all: what is one zone
/// to it may not be two here, because the same address leads to one name only.
fn clash(zone: &DnsZone, known: &DnsZone, place: &str) -> Option<String> {
    if zone.vpn == known.vpn {
        return Some(format!("is the same zone as {place}; join the two"));
    }
    let both = zone.servers.iter().find(|server| known.servers.contains(server));
    both.filter(|_| zone.key == known.key).map(|server| {
        format!(
            "is the same zone at {server} as {place}, but of another VPN; give each VPN its own \
             server, or its own key and view there"
        )
    })
}

/// Reads `[[dns.key]]`. Returns their names in their order.
fn read_keys(list: Option<Item<'_>>, settings: &mut DnsSettings) -> Vec<Octets> {
    for item in list.map(|list| list.items()).unwrap_or_default() {
        let Some(mut section) = item.section() else { continue };
        let name = section.need("name", "write it as the server knows it");
        let name = name.and_then(|item| item.parse(wire_name));
        let algorithm = match section.take("algorithm") {
            Some(item) => item.parse(algorithm),
            None => Some(DnsKeyAlgorithm::HmacSha256),
        };
        let secret = section.need("secret", "write it in base64, as tsig-keygen prints it");
        // Said without the text: it may be most of a secret.
        let secret = secret.and_then(|item| {
            item.parse(|text| server_dns::key_secret(text).map_err(|error| error.to_string()))
        });
        section.finish();
        let (Some(name), Some(algorithm), Some(secret)) = (name, algorithm, secret) else {
            continue;
        };
        if settings.keys.iter().any(|known| known.name == name) {
            item.fail("this name has a key already; remove one");
            continue;
        }
        settings.keys.push(DnsKey { name, algorithm, secret });
    }
    settings.keys.iter().map(|key| key.name.clone()).collect()
}

fn read_zone<'a>(item: &Item<'a>, keys: &[Octets], vpns: &Vpns<'a>) -> Option<DnsZone> {
    let mut section = item.section()?;
    let name = section.need("name", "write for example name = \"example.net\"");
    let name = name.and_then(|item| item.parse(wire_name));
    let servers = section.need("servers", "write for example servers = [\"192.0.2.53\"]");
    let servers = servers.map(|item| {
        if item.items().is_empty() {
            item.fail("names no server");
        }
        item.parse_each(server)
    });
    let vpn = section.take("vpn").and_then(|item| vpns.read(&item));
    let vpn = vpn.map_or(VpnNumber::GLOBAL, |vpn| vpn.number());
    let key = section.take("key").map(|item| {
        let name = item.parse(wire_name)?;
        let place = keys.iter().position(|known| *known == name);
        if place.is_none() {
            item.fail("there is no [[dns.key]] with this name");
        }
        // A file of so many keys would not be read.
        place.and_then(|place| u16::try_from(place).ok())
    });
    section.finish();
    let key = match key {
        None => None,
        Some(known) => Some(known?),
    };
    Some(DnsZone { vpn, name: name?, servers: servers?, key })
}

/// A name of DNS in canonical wire format.
fn wire_name(text: &str) -> Result<Octets, String> {
    let wrong = || format!("`{text}` is not a name of DNS; write for example \"example.net\"");
    if text.contains('\\') || !text.is_ascii() || text.trim_end_matches('.').is_empty() {
        return Err(wrong());
    }
    let wire = Format::DomainList.parse_text(&[text]).map_err(|_| wrong())?;
    Ok(wire.to_ascii_lowercase().into())
}

/// An address with or without a port.
fn server(text: &str) -> Result<SocketAddr, String> {
    let address = text.parse::<IpAddr>().map(|address| SocketAddr::new(address, DNS_PORT));
    address.or_else(|_| text.parse()).map_err(|_| {
        format!("`{text}` is not an address; write for example \"192.0.2.53\" or \"192.0.2.53:53\"")
    })
}

fn algorithm(text: &str) -> Result<DnsKeyAlgorithm, String> {
    DnsKeyAlgorithm::ALL.into_iter().find(|known| known.as_str() == text).ok_or_else(|| {
        let known = DnsKeyAlgorithm::ALL.map(DnsKeyAlgorithm::as_str).join(", ");
        format!("`{text}` is not an algorithm; known are {known}")
    })
}

/// The addresses of a zone by its labels before in-addr.arpa: none to three octets, the lowest first.
fn covered(labels: &[u8]) -> Option<Prefix> {
    let (mut rest, mut octets) = (labels, Vec::new());
    while let [len, tail @ ..] = rest {
        let (label, after) = tail.split_at_checked(usize::from(*len))?;
        let text = std::str::from_utf8(label).ok()?;
        let octet: u8 = text.parse().ok()?;
        if octet.to_string() != text {
            return None;
        }
        octets.push(octet);
        rest = after;
    }
    let mut address = [0; 4];
    if octets.len() > 3 {
        return None;
    }
    for (place, octet) in address.iter_mut().zip(octets.iter().rev()) {
        *place = *octet;
    }
    // At most three octets.
    Some(Prefix { address: Ipv4Addr::from(address), len: 8 * octets.len() as u8 })
}

#[cfg(test)]
#[path = "dns_tests.rs"]
mod tests;
