//! The forms of single values: durations, prefixes, ranges, addresses, hexadecimal.

use replication_ledger::{AddressRange, HardwareAddress, Octets, Prefix};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};

const UNITS: [(char, u64); 5] = [('w', 604_800), ('d', 86_400), ('h', 3600), ('m', 60), ('s', 1)];

/// Whole seconds from a duration such as "12h", "1h30m" or "45s"; units w, d, h, m, s, each once, largest first.
///
/// # Errors
/// What is wrong with it, for the operator.
pub fn duration(text: &str) -> Result<u32, String> {
    let wrong = || format!("`{text}` is not a duration; write for example \"12h\" or \"1h30m\"");
    let (mut rest, mut total, mut units) = (text, 0u64, &UNITS[..]);
    while !rest.is_empty() {
        let digits_len = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
        let number: u64 = rest[..digits_len].parse().map_err(|_| wrong())?;
        // `find` gave the place of a character, so there is one.
        let unit = rest[digits_len..].chars().next().ok_or_else(wrong)?;
        let position = units.iter().position(|(name, _)| *name == unit).ok_or_else(wrong)?;
        total = number
            .checked_mul(units[position].1)
            .and_then(|seconds| total.checked_add(seconds))
            .ok_or_else(wrong)?;
        units = &units[position + 1..];
        rest = &rest[digits_len + unit.len_utf8()..];
    }
    if text.is_empty() {
        return Err(wrong());
    }
    // 0xffffffff means infinity on the wire, so it is no number of seconds.
    match u32::try_from(total) {
        Ok(seconds) if seconds < u32::MAX => Ok(seconds),
        _ => Err(format!("`{text}` is too long; the longest is 7101w")),
    }
}

/// The unit of short waits.
const MILLISECONDS: &str = "ms";
/// The longest wait that [`short_wait_millis`] takes: clients repeat themselves after four seconds (RFC 2131 section 4.1).
const SHORT_WAIT_MILLIS_MAX: u16 = 3000;

/// Milliseconds from "300ms", or from whole seconds such as "1s"; "0s" is none.
///
/// # Errors
/// What is wrong with it, for the operator.
pub fn short_wait_millis(text: &str) -> Result<u16, String> {
    let millis = match (text.strip_suffix(MILLISECONDS), text.strip_suffix('s')) {
        (Some(digits), _) => digits.parse().ok(),
        (None, Some(digits)) => digits.parse::<u16>().ok().and_then(|s| s.checked_mul(1000)),
        (None, None) => None,
    };
    millis.filter(|millis| *millis <= SHORT_WAIT_MILLIS_MAX).ok_or_else(|| {
        format!("`{text}` is not a wait of at most \"3s\"; write for example \"300ms\"")
    })
}

/// A duration as [`duration`] reads it.
pub fn display_duration(mut seconds: u64) -> String {
    if seconds == 0 {
        return "0s".to_owned();
    }
    let mut text = String::new();
    for (name, unit_seconds) in UNITS.into_iter().filter(|(name, _)| *name != 'w') {
        if seconds >= unit_seconds {
            text.push_str(&format!("{}{name}", seconds / unit_seconds));
            seconds %= unit_seconds;
        }
    }
    text
}

/// An IPv4 address.
///
/// # Errors
/// What is wrong with it, for the operator.
pub fn address(text: &str) -> Result<Ipv4Addr, String> {
    text.parse().map_err(|_| format!("`{text}` is not an IPv4 address"))
}

/// A prefix such as "10.20.0.0/16" whose other bits are zero.
///
/// # Errors
/// What is wrong with it, for the operator.
pub fn prefix(text: &str) -> Result<Prefix, String> {
    let net: ipnet::Ipv4Net = text.parse().map_err(|_| {
        format!("`{text}` is not an IPv4 prefix; write for example \"10.20.0.0/16\"")
    })?;
    if net.addr() != net.network() {
        return Err(format!("`{text}` has bits after its length; write \"{}\"", net.trunc()));
    }
    Ok(Prefix { address: net.network(), len: net.prefix_len() })
}

/// A range such as "10.20.1.0-10.20.1.99", one address, or a prefix.
///
/// # Errors
/// What is wrong with it, for the operator.
pub fn range(text: &str) -> Result<AddressRange, String> {
    if text.contains('/') {
        return prefix(text).map(|prefix| prefix.range());
    }
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let range = AddressRange { first: address(first.trim())?, last: address(last.trim())? };
    if range.first > range.last {
        return Err(format!("`{text}` ends before it begins; write the lower address first"));
    }
    Ok(range)
}

/// An Ethernet address such as "00:16:3e:00:00:07".
///
/// # Errors
/// What is wrong with it, for the operator.
pub fn mac(text: &str) -> Result<HardwareAddress, String> {
    let wrong =
        || format!("`{text}` is not a hardware address; write for example \"00:16:3e:00:00:07\"");
    let octets: Option<Vec<u8>> = text
        .split([':', '-'])
        .map(|pair| u8::from_str_radix(pair, 16).ok().filter(|_| pair.len() == 2))
        .collect();
    match octets {
        Some(octets) if octets.len() == 6 => Ok(HardwareAddress::new(HTYPE_ETHERNET, &octets)),
        _ => Err(wrong()),
    }
}

const HTYPE_ETHERNET: u8 = 1;

/// Octets written in hexadecimal, colons allowed.
///
/// # Errors
/// What is wrong with it, for the operator.
pub fn hex(text: &str) -> Result<Octets, String> {
    let wrong = || format!("`{text}` is not hexadecimal; write for example \"01:00:16:3e\"");
    let digits: Vec<u8> = text
        .chars()
        .filter(|c| *c != ':')
        .map(|c| c.to_digit(16).map(|digit| digit as u8))
        .collect::<Option<_>>()
        .ok_or_else(wrong)?;
    if digits.is_empty() || !digits.len().is_multiple_of(2) {
        return Err(wrong());
    }
    Ok(digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect::<Vec<u8>>().into())
}

/// An identifier of a relay: text as it is, or hexadecimal after "0x".
///
/// # Errors
/// What is wrong with it, for the operator.
pub fn identifier(text: &str) -> Result<Octets, String> {
    match text.strip_prefix("0x") {
        Some(digits) => hex(digits),
        None if text.is_empty() => Err("must not be empty".to_owned()),
        None => Ok(text.as_bytes().into()),
    }
}

/// An IPv4 address and port.
///
/// # Errors
/// What is wrong with it, for the operator.
pub fn socket_v4(text: &str) -> Result<SocketAddrV4, String> {
    text.parse().map_err(|_| {
        format!("`{text}` is not an IPv4 address and port; write for example \"192.0.2.1:67\"")
    })
}

/// An address and port.
///
/// # Errors
/// What is wrong with it, for the operator.
pub fn socket(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| {
        format!("`{text}` is not an address and port; write for example \"192.0.2.1:6747\"")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_waits_are_read() {
        let check = |text: &str, expected: Option<u16>| {
            assert_eq!(short_wait_millis(text).ok(), expected, "{text}");
        };
        check("300ms", Some(300));
        check("0s", Some(0));
        check("1s", Some(1000));
        check("3000ms", Some(3000));
        for wrong in ["", "300", "3001ms", "4s", "70000ms", "1m", "-1s", "s", "1.5s", "1s500ms"] {
            check(wrong, None);
        }
    }

    #[test]
    fn durations_are_read_and_written() {
        let check = |text: &str, expected: Option<u32>| {
            assert_eq!(duration(text).ok(), expected, "{text}");
        };
        check("12h", Some(43_200));
        check("1h30m", Some(5400));
        check("1w2d", Some(777_600));
        check("0s", Some(0));
        check("", None);
        check("12", None);
        check("h", None);
        check("30m1h", None);
        check("1h1h", None);
        check("1.5h", None);
        check("7102w", None);
        check("99999999999999999999h", None);
        check("5é", None);
        for seconds in [0, 1, 59, 60, 5400, 43_200, 777_600] {
            assert_eq!(duration(&display_duration(seconds)), Ok(seconds as u32));
        }
    }

    #[test]
    fn ranges_prefixes_and_identifiers_are_read() {
        let check = |text: &str, expected: Result<&str, &str>| {
            let found = range(text).map(|range| range.to_string());
            assert_eq!(found.as_deref().map_err(|e| e.as_str()), expected);
        };
        check("10.0.0.1-10.0.0.9", Ok("10.0.0.1-10.0.0.9"));
        check("10.0.0.1 - 10.0.0.9", Ok("10.0.0.1-10.0.0.9"));
        check("10.0.0.1", Ok("10.0.0.1-10.0.0.1"));
        check("10.0.0.0/30", Ok("10.0.0.0-10.0.0.3"));
        check(
            "10.0.0.9-10.0.0.1",
            Err("`10.0.0.9-10.0.0.1` ends before it begins; write the \
                                        lower address first"),
        );
        check("10.0.0.1/8", Err("`10.0.0.1/8` has bits after its length; write \"10.0.0.0/8\""));
        check("ten", Err("`ten` is not an IPv4 address"));
        assert_eq!(hex("01:0a"), Ok(vec![1, 10].into()));
        assert!(hex("010").is_err() && hex("").is_err() && hex("0g").is_err());
        assert_eq!(identifier("0x6162"), identifier("ab"));
        assert_eq!(mac("00-16-3E-00-00-07"), mac("00:16:3e:00:00:07"));
        assert!(mac("00:16:3e:00:00").is_err() && mac("0:16:3e:00:00:007").is_err());
    }
}
