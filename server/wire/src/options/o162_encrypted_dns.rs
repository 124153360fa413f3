//! Option 162, Discovery of Network-designated Resolvers (RFC 9463 section 5.1): resolvers that speak
//! DNS encrypted.
//!
//! As text, one resolver each: the service priority, the name that it proves to be, and unless the
//! client shall resolve that itself its addresses and service parameters (RFC 9460, RFC 9461):
//! `1 resolver.example 192.0.2.53 alpn=dot,h2 port=8530 dohpath=/dns-query{?dns}`. Other parameters are
//! `keyN=` and hexadecimal.
//!
//! **Hazards.** A client discards what is not consistent in itself, and nobody hears of it: so what is
//! configured is held to these rules before it is sent.

use super::format::{hexadecimal, parse_hexadecimal};
use super::o119_domain_search::encode_name;
use super::structure::{Structure, addresses, parts, push_addresses, push_counted, single_name};
use crate::reader::Reader;
use std::collections::BTreeMap;
use std::net::Ipv4Addr;

pub(crate) static ENCRYPTED_DNS: Structure = Structure {
    wanted: "a resolver such as `1 resolver.example 192.0.2.53 alpn=dot`",
    is_list: true,
    read: |value| {
        parts(value, |reader| {
            let len = reader.u16()?;
            read_instance(reader.take(len.into())?)
        })
    },
    write: |_, text, out| {
        let mut instance = Vec::new();
        write_instance(text, &mut instance)?;
        out.extend(u16::try_from(instance.len()).ok()?.to_be_bytes());
        out.extend(instance);
        Some(())
    },
};

/// Keys of service parameters (RFC 9460 section 14.3.2, RFC 9461 section 5).
const ALPN: u16 = 1;
/// There is no default among the protocols of DNS: it does not apply (RFC 9461 section 4.1).
const NO_DEFAULT_ALPN: u16 = 2;
const PORT: u16 = 3;
const IPV4_HINT: u16 = 4;
const IPV6_HINT: u16 = 6;
const DOH_PATH: u16 = 7;

/// Service priority of an alias, which has no parameters (RFC 9460 section 2.4.2).
const ALIAS: u16 = 0;

/// Protocols that carry DNS over HTTPS.
const HTTP: [&[u8]; 6] = [b"http/0.9", b"http/1.0", b"http/1.1", b"h2", b"h2c", b"h3"];

fn read_instance(instance: &[u8]) -> Option<String> {
    let mut reader = Reader::new(instance);
    let (priority, len) = (reader.u16()?, reader.u8()?);
    let mut text = format!("{priority} {}", single_name(reader.take(len.into())?)?);
    if reader.is_empty() {
        return Some(text);
    }
    let len = reader.u8()?;
    text = format!("{text} {}", addresses(reader.take(len.into())?)?);
    let mut last = None;
    while !reader.is_empty() {
        let (key, len) = (reader.u16()?, reader.u16()?);
        // They stand in strictly ascending order.
        if last.replace(key).is_some_and(|last| last >= key) {
            return None;
        }
        text = format!("{text} {}", show_parameter(key, reader.take(len.into())?));
    }
    Some(text)
}

fn show_parameter(key: u16, value: &[u8]) -> String {
    let is_plain = |c: &u8| c.is_ascii_graphic() && *c != b',';
    let readable = match (key, value) {
        (ALPN, value) => parts(value, |reader| {
            let len = reader.u8()?;
            let id = reader.take(len.into()).filter(|id| id.iter().all(is_plain))?;
            (!id.is_empty()).then(|| String::from_utf8_lossy(id).into_owned())
        })
        .map(|ids| format!("alpn={}", ids.join(","))),
        (PORT, [high, low]) => Some(format!("port={}", u16::from_be_bytes([*high, *low]))),
        (DOH_PATH, path) if !path.is_empty() && path.iter().all(u8::is_ascii_graphic) => {
            Some(format!("dohpath={}", String::from_utf8_lossy(path)))
        }
        _ => None,
    };
    readable.unwrap_or_else(|| format!("key{key}={}", hexadecimal(value)))
}

fn write_instance(text: &str, out: &mut Vec<u8>) -> Option<()> {
    let mut words = text.split_whitespace().peekable();
    let priority: u16 = words.next()?.parse().ok()?;
    out.extend(priority.to_be_bytes());
    let name = words.next()?;
    push_counted(out, |out| encode_name(name, out))?;
    if words.peek().is_none() {
        return Some(());
    }
    let mut servers = Vec::new();
    while let Some(word) = words.next_if(|word| word.parse::<Ipv4Addr>().is_ok()) {
        servers.push(word);
    }
    push_counted(out, |out| push_addresses(servers.into_iter(), out))?;
    let mut parameters = BTreeMap::new();
    for word in words {
        let (key, value) = read_parameter(word)?;
        if parameters.insert(key, value).is_some() {
            return None;
        }
    }
    (priority != ALIAS && are_consistent(&parameters)).then_some(())?;
    for (key, value) in parameters {
        out.extend(key.to_be_bytes());
        out.extend(u16::try_from(value.len()).ok()?.to_be_bytes());
        out.extend(value);
    }
    Some(())
}

fn read_parameter(word: &str) -> Option<(u16, Vec<u8>)> {
    let (name, value) = word.split_once('=').unwrap_or((word, ""));
    let mut octets = Vec::new();
    let key = match name {
        "alpn" => {
            for id in value.split(',').map(str::as_bytes) {
                let id = (!id.is_empty()).then_some(id)?;
                octets.push(u8::try_from(id.len()).ok()?);
                octets.extend(id);
            }
            ALPN
        }
        "port" => {
            octets.extend(value.parse::<u16>().ok()?.to_be_bytes());
            PORT
        }
        "dohpath" => {
            octets.extend(value.as_bytes());
            DOH_PATH
        }
        other => {
            octets.extend(parse_hexadecimal(value)?);
            other.strip_prefix("key")?.parse().ok()?
        }
    };
    Some((key, octets))
}

/// Whether a client can use a resolver with these parameters.
fn are_consistent(parameters: &BTreeMap<u16, Vec<u8>>) -> bool {
    // RFC 9461 section 4.1: there is no protocol but those that are named.
    let Some(protocols) = parameters.get(&ALPN).and_then(|value| protocols(value)) else {
        return false;
    };
    // RFC 9461 section 5.
    let is_http = protocols.iter().any(|id| HTTP.contains(id));
    let path_is_legal = parameters.get(&DOH_PATH).map_or(!is_http, |path| is_template(path));
    let port_is_legal = parameters.get(&PORT).is_none_or(|port| port.len() == 2 && port != &[0, 0]);
    // RFC 9463 section 3.1.8: the addresses stand in the option.
    let absent = [NO_DEFAULT_ALPN, IPV4_HINT, IPV6_HINT];
    path_is_legal && port_is_legal && !absent.iter().any(|key| parameters.contains_key(key))
}

/// The protocols of a list (RFC 9460 section 7.1.1), one at least.
fn protocols(value: &[u8]) -> Option<Vec<&[u8]>> {
    let mut reader = Reader::new(value);
    let mut protocols = Vec::new();
    while !reader.is_empty() {
        let len = reader.u8()?;
        protocols.push(reader.take(len.into()).filter(|id| !id.is_empty())?);
    }
    (!protocols.is_empty()).then_some(protocols)
}

/// Whether it is a relative URI template with the variable `dns` (RFC 9461 section 5).
fn is_template(path: &[u8]) -> bool {
    let Ok(path) = std::str::from_utf8(path) else { return false };
    let mut expressions = path.split('{').skip(1).filter_map(|rest| rest.split_once('}'));
    let has_dns = |expression: &str| {
        let names = expression.trim_start_matches(['+', '#', '.', '/', ';', '?', '&']).split(',');
        // RFC 6570 section 2.4: a name may have a modifier.
        names.map(|name| name.split([':', '*']).next()).any(|name| name == Some("dns"))
    };
    path.starts_with('/') && expressions.any(|(expression, _)| has_dns(expression))
}
