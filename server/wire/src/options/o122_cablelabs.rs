//! Option 122, CableLabs Client Configuration (RFC 3495 section 4, RFC 3594, RFC 3634): sub-options.
//!
//! As text: the number of the sub-option and its value, `1 192.0.2.1`, `3 provisioning.example`,
//! `4 100 2000 8`, `6 CABLE.EXAMPLE`, `9 0x0001`; what is not known here is hexadecimal, `42 01:02`.

use super::format::{hexadecimal, parse_hexadecimal};
use super::o119_domain_search::encode_name;
use super::structure::{Structure, addresses, number, parts, push_addresses, push_counted};
use super::structure::{exactly, single_name};
use std::net::Ipv4Addr;

pub(crate) static CABLELABS: Structure = Structure {
    wanted: "a sub-option such as `1 192.0.2.1` or `6 CABLE.EXAMPLE`",
    is_list: true,
    read: |value| {
        parts(value, |reader| {
            let [code, len] = [reader.u8()?, reader.u8()?];
            Some(format!("{code} {}", show(code, reader.take(len.into())?)?))
        })
    },
    write: |_, text, out| {
        let (code, value) = text.split_once(' ')?;
        let code = code.parse().ok()?;
        out.push(code);
        push_counted(out, |out| write_value(code, value, out))
    },
};

/// First octet of sub-option 3: a name follows, or an address (RFC 3495 section 5.2).
const NAME: u8 = 0;
const ADDRESS: u8 = 1;

fn show(code: u8, value: &[u8]) -> Option<String> {
    let fields = |width: usize| {
        let each = value.chunks(width).map(|field| {
            field.iter().fold(0u32, |number, octet| number << 8 | u32::from(*octet)).to_string()
        });
        each.collect::<Vec<_>>().join(" ")
    };
    match (code, value.len()) {
        // The primary and secondary DHCP servers; the key distribution centres.
        (1 | 2, 4) | (10, _) => addresses(value),
        (3, _) => match value.split_first()? {
            (&NAME, name) => single_name(name),
            (&ADDRESS, address) if address.len() == 4 => addresses(address),
            _ => None,
        },
        // Times and counts of Kerberos requests.
        (4 | 5, 12) => Some(fields(4)),
        // The Kerberos realm.
        (6, _) => single_name(value),
        // Use of ticket granting tickets; the provisioning timer, minutes.
        (7 | 8, 1) => Some(fields(1)),
        // Which security tickets to give up.
        (9, 2) => Some(fields(2)),
        (1 | 2 | 4 | 5 | 7..=9, _) => None,
        _ => Some(hexadecimal(value)),
    }
}

fn write_value(code: u8, text: &str, out: &mut Vec<u8>) -> Option<()> {
    match code {
        1 | 2 => push_addresses(exactly::<1>(text)?.into_iter(), out)?,
        3 => match text.parse::<Ipv4Addr>() {
            Ok(address) => {
                out.push(ADDRESS);
                out.extend(address.octets());
            }
            Err(_) => {
                out.push(NAME);
                encode_name(text, out)?;
            }
        },
        4 | 5 => {
            for word in exactly::<3>(text)? {
                out.extend(number(word)?.to_be_bytes());
            }
        }
        // RFC 3495 section 5.5: all capital letters.
        6 => encode_name(text, out).filter(|()| !text.bytes().any(|c| c.is_ascii_lowercase()))?,
        // RFC 3495 section 5.6: 0 or 1.
        7 => out.push(u8::try_from(number(text)?).ok().filter(|value| *value <= 1)?),
        8 => out.push(u8::try_from(number(text)?).ok()?),
        9 => out.extend(u16::try_from(number(text)?).ok()?.to_be_bytes()),
        10 => push_addresses(text.split_whitespace(), out)?,
        _ => out.extend(parse_hexadecimal(text)?),
    }
    Some(())
}
