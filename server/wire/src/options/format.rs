//! Shapes of option values: what a received one must look like, and how one is written as text in
//! the configuration file and shown again.
//!
//! A value that is longer or shorter than its shape allows refuses the whole message, with one
//! exception: empty text and empty opaque values are kept. Some clients send an empty Host Name,
//! and to leave them without an address would help nobody; typed accessors answer `None` for it.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, Ipv6Addr};

use super::o078_slp::{DIRECTORY_AGENT, SERVICE_SCOPE};
use super::o081_client_fqdn::ClientFqdn;
use super::o082_relay_agent::RelayAgentInformation;
use super::o083_isns::ISNS;
use super::o090_authentication::Authentication;
use super::o099_geoconf_civic::GEOCONF_CIVIC;
use super::o119_domain_search;
use super::o121_classless_routes::{ClasslessRoute, ClasslessRoutes};
use super::o122_cablelabs::CABLELABS;
use super::o123_geoconf::{GEOCONF, GEOLOC};
use super::o124_vendor_class::VendorBlocks;
use super::o139_mos::{MOS_ADDRESSES, MOS_NAMES};
use super::o143_sztp_redirect::SZTP_REDIRECT;
use super::o146_rdnss_selection::RDNSS_SELECTION;
use super::o151_status_code::Status;
use super::o158_pcp_servers::PCP_SERVERS;
use super::o159_port_parameters::PORT_PARAMETERS;
use super::o162_encrypted_dns::ENCRYPTED_DNS;
use super::o212_ipv6_rapid_deployment::IPV6_RAPID_DEPLOYMENT;
use super::o221_vss::Vss;
use super::structure::Structure;
use crate::error::{DecodeReason, TextError};

/// Octets of the longest value that can be given as text: what fits beside a header.
pub const VALUE_LEN_MAX: usize = 65_535 - 240 - 2 * 257;

/// The shape of an option's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// Present or absent, no value: `true`.
    Flag,
    /// One octet, 0 or 1: `true` or `false`.
    Boolean,
    /// A number from 0 to 255.
    U8,
    /// Numbers from 0 to 255, at least one.
    U8List,
    /// A number from 0 to 65535.
    U16,
    /// Numbers from 0 to 65535, at least one.
    U16List,
    /// A number from 0 to 4294967295.
    U32,
    /// A number of four octets, two's complement: `-3600`.
    I32,
    /// One address.
    Address,
    /// At least one address.
    AddressList,
    /// Any number of addresses, none included.
    AddressesOrNone,
    /// Pairs of addresses, at least one: `10.0.0.0 255.0.0.0`.
    AddressPairs,
    /// Text, at least one octet.
    Text,
    /// Octets without structure: `01:02:ff`.
    Opaque,
    /// Option 61, at least one octet: the client's.
    ClientId,
    /// Option 81: the client's, and the server's answer.
    ClientFqdn,
    /// Option 82: the relay's.
    RelayAgent,
    /// Option 90: the protocol's.
    Authentication,
    /// One IPv6 address.
    Ipv6Address,
    /// Names in the encoding of RFC 1035.
    DomainList,
    /// One name in the encoding of RFC 1035.
    DomainName,
    /// Option 120: names or addresses, told apart by the first octet.
    SipServers,
    /// Option 121: `10.0.0.0/8 192.0.2.1`.
    Routes,
    /// Options 124 and 125: in the configuration a table of tables, by enterprise number.
    VendorData,
    /// Option 151: the protocol's.
    StatusCode,
    /// Option 221: the client's, returned to it.
    Vss,
    /// Option 78: `mandatory` or not, then addresses.
    SlpDirectoryAgent,
    /// Option 79: `mandatory` or not, then scopes `east,west`.
    SlpServiceScope,
    /// Option 83: functions, access, flags, security, addresses:
    /// `0x0007 0x0003 0x0001 0x00000001 192.0.2.1`.
    Isns,
    /// Option 99: `client DE`, `network DE` or `server DE`, then elements `3 Munich`.
    GeoconfCivic,
    /// Option 122: sub-options by number:
    /// `1 192.0.2.1`, `3 mta.example`, `4 100 2000 8`, `6 CABLE.EXAMPLE`.
    Cablelabs,
    /// Option 123: degrees and altitude with resolutions, datum:
    /// `38.89868/18 -77.03723/18 15m/17 wgs84`.
    Geoconf,
    /// Option 144: as option 123, with codes of uncertainty.
    Geoloc,
    /// Option 139: `is`, `cs` or `es`, then addresses: `is 192.0.2.1 192.0.2.2`.
    MosAddresses,
    /// Option 140: `is`, `cs` or `es`, then names: `is mos.example`.
    MosNames,
    /// Option 143: URIs, `https://bootstrap.example:8443`.
    SztpRedirect,
    /// Option 146: preference, two servers, names:
    /// `high 192.0.2.1 0.0.0.0 corp.example`; `.` is every name.
    RdnssSelection,
    /// Option 158: the addresses of each server: `192.0.2.1 192.0.2.2`.
    PcpServers,
    /// Option 159: offset, port set and its bits: `6 52/8`.
    PortParameters,
    /// Option 162: `1 resolver.example`, or with addresses and parameters
    /// `1 resolver.example 192.0.2.53 alpn=dot port=8530`.
    EncryptedDns,
    /// Option 212: IPv4 mask length, prefix, border relays: `8 2001:db8::/32 192.0.2.1`.
    Ipv6RapidDeployment,
}

/// First octet of option 120: names follow (RFC 3361 section 3.1).
const SIP_NAMES: u8 = 0;
/// First octet of option 120: addresses follow (RFC 3361 section 3.2).
const SIP_ADDRESSES: u8 = 1;

impl Format {
    /// Checks a received value.
    pub(crate) fn check_received(self, value: &[u8]) -> Result<(), DecodeReason> {
        let len = value.len();
        let multiple_of = |unit: usize| len > 0 && len.is_multiple_of(unit);
        let len_is_legal = match self {
            Self::Flag => len == 0,
            Self::Boolean | Self::U8 => len == 1,
            Self::U16 => len == 2,
            Self::U32 | Self::I32 | Self::Address => len == 4,
            Self::U8List | Self::ClientId => len >= 1,
            Self::U16List => multiple_of(2),
            Self::AddressList => multiple_of(4),
            Self::AddressesOrNone => len.is_multiple_of(4),
            Self::AddressPairs => multiple_of(8),
            Self::Ipv6Address => len == 16,
            Self::Text | Self::Opaque => true,
            Self::ClientFqdn => return ClientFqdn::decode(value).map(drop),
            Self::RelayAgent => {
                return RelayAgentInformation::decode(value).map(drop).map_err(|e| e.reason);
            }
            Self::Authentication => return Authentication::decode(value).map(drop),
            Self::DomainList | Self::DomainName => return o119_domain_search::check(value),
            Self::SipServers => return sip_servers(value).map(drop),
            Self::Routes => return ClasslessRoutes::decode(value).map(drop),
            Self::VendorData => return VendorBlocks::decode(value).map(drop),
            Self::StatusCode => return Status::decode(value).map(drop),
            Self::Vss => return Vss::decode(value).map(drop),
            // What only servers send.
            _ => true,
        };
        if len_is_legal { Ok(()) } else { Err(DecodeReason::OptionLength) }
    }

    /// Encodes values given as text, in the form [`print_text`](Self::print_text) writes.
    ///
    /// Numbers are decimal; booleans `true` or `false`; pairs `10.0.0.0 10.0.0.1`; routes
    /// `10.0.0.0/8 192.0.2.1`, with or without `via` between the two. Options with parts of their own
    /// are as their files beside this one say. Shapes without a text of their own are octets in
    /// hexadecimal, `01:02:ff` or `0102ff`.
    ///
    /// # Errors
    /// Which of the values can not be what the option wants, or that their number can not.
    pub fn parse_text(self, values: &[&str]) -> Result<Vec<u8>, TextError> {
        let (least, most) = self.text_count();
        if values.len() < least {
            return Err(TextError::Missing);
        }
        if values.len() > most {
            return Err(TextError::TooMany { given: values.len(), most });
        }
        let mut out = Vec::new();
        if self == Self::SipServers {
            parse_sip_servers(values, &mut out)?;
        } else if let Some(structure) = self.structure() {
            parse_structure(structure, values, &mut out)?;
        } else {
            for value in values {
                self.parse_one(value, &mut out)?;
            }
        }
        if out.len() > VALUE_LEN_MAX {
            return Err(TextError::TooLong { len: out.len(), len_max: VALUE_LEN_MAX });
        }
        Ok(out)
    }

    /// Shows a value as text; a value that is not of this shape is shown in hexadecimal. Text is
    /// shown with its control and non-ASCII octets as `\xNN`.
    pub fn print_text(self, value: &[u8]) -> Vec<String> {
        if self.check_received(value).is_err() {
            return vec![hexadecimal(value)];
        }
        if let Some(structure) = self.structure() {
            return print_structure(structure, value);
        }
        match self {
            Self::Flag => Vec::new(),
            Self::Boolean => value.iter().map(|octet| (*octet != 0).to_string()).collect(),
            Self::U8 | Self::U8List => value.iter().map(u8::to_string).collect(),
            Self::U16 | Self::U16List => {
                units(value).map(|unit| u16::from_be_bytes(unit).to_string()).collect()
            }
            Self::U32 => units(value).map(|unit| u32::from_be_bytes(unit).to_string()).collect(),
            Self::I32 => units(value).map(|unit| i32::from_be_bytes(unit).to_string()).collect(),
            Self::Address | Self::AddressList | Self::AddressesOrNone => addresses(value),
            Self::AddressPairs => addresses(value).chunks(2).map(|pair| pair.join(" ")).collect(),
            Self::Text => vec![escape_text(value)],
            Self::Ipv6Address => {
                units::<16>(value).map(|octets| Ipv6Addr::from(octets).to_string()).collect()
            }
            Self::DomainList | Self::DomainName => {
                o119_domain_search::decode(value).unwrap_or_default()
            }
            Self::SipServers => sip_servers(value).unwrap_or_default(),
            Self::Routes => ClasslessRoutes::decode(value)
                .into_iter()
                .flatten()
                .map(|route| format!("{}/{} {}", route.destination, route.width, route.router))
                .collect(),
            _ => vec![hexadecimal(value)],
        }
    }

    /// How values with parts of their own are written, for those that only servers send.
    fn structure(self) -> Option<&'static Structure> {
        Some(match self {
            Self::SlpDirectoryAgent => &DIRECTORY_AGENT,
            Self::SlpServiceScope => &SERVICE_SCOPE,
            Self::Isns => &ISNS,
            Self::GeoconfCivic => &GEOCONF_CIVIC,
            Self::Cablelabs => &CABLELABS,
            Self::Geoconf => &GEOCONF,
            Self::Geoloc => &GEOLOC,
            Self::MosAddresses => &MOS_ADDRESSES,
            Self::MosNames => &MOS_NAMES,
            Self::SztpRedirect => &SZTP_REDIRECT,
            Self::RdnssSelection => &RDNSS_SELECTION,
            Self::PcpServers => &PCP_SERVERS,
            Self::PortParameters => &PORT_PARAMETERS,
            Self::EncryptedDns => &ENCRYPTED_DNS,
            Self::Ipv6RapidDeployment => &IPV6_RAPID_DEPLOYMENT,
            _ => return None,
        })
    }

    /// Fewest and most values in text.
    fn text_count(self) -> (usize, usize) {
        match self {
            Self::Flag => (0, 0),
            Self::AddressesOrNone => (0, usize::MAX),
            Self::U8List
            | Self::U16List
            | Self::AddressList
            | Self::AddressPairs
            | Self::DomainList
            | Self::SipServers
            | Self::Routes => (1, usize::MAX),
            _ if self.structure().is_some_and(|structure| structure.is_list) => (1, usize::MAX),
            _ => (1, 1),
        }
    }

    fn parse_one(self, text: &str, out: &mut Vec<u8>) -> Result<(), TextError> {
        let malformed = |wanted| TextError::Malformed { value: text.to_owned(), wanted };
        match self {
            Self::Flag => {}
            Self::Boolean => {
                let value: bool = text.parse().map_err(|_| malformed("`true` or `false`"))?;
                out.push(value.into());
            }
            Self::U8 | Self::U8List => {
                out.push(text.parse().map_err(|_| malformed("a number from 0 to 255"))?);
            }
            Self::U16 | Self::U16List => {
                let value: u16 = text.parse().map_err(|_| malformed("a number from 0 to 65535"))?;
                out.extend_from_slice(&value.to_be_bytes());
            }
            Self::U32 => {
                let wanted = "a number from 0 to 4294967295";
                let value: u32 = text.parse().map_err(|_| malformed(wanted))?;
                out.extend_from_slice(&value.to_be_bytes());
            }
            Self::I32 => {
                let wanted = "a number from -2147483648 to 2147483647";
                let value: i32 = text.parse().map_err(|_| malformed(wanted))?;
                out.extend_from_slice(&value.to_be_bytes());
            }
            Self::Address | Self::AddressList | Self::AddressesOrNone => {
                out.extend_from_slice(&parse_address(text)?.octets());
            }
            Self::AddressPairs => {
                let (first, second) =
                    text.split_once(' ').ok_or_else(|| malformed("a pair of addresses"))?;
                out.extend_from_slice(&parse_address(first)?.octets());
                out.extend_from_slice(&parse_address(second.trim_start())?.octets());
            }
            Self::Text => out.extend(unescape_text(text).ok_or_else(|| malformed("a text"))?),
            Self::Ipv6Address => {
                let address: Ipv6Addr = text.parse().map_err(|_| malformed("an IPv6 address"))?;
                out.extend_from_slice(&address.octets());
            }
            Self::DomainList | Self::DomainName => {
                o119_domain_search::encode_name(text, out)
                    .ok_or_else(|| malformed("a domain name"))?;
            }
            Self::Routes => parse_route(text)?.encode(out),
            _ => out.extend(self.parse_octets(text)?),
        }
        Ok(())
    }

    /// Octets in hexadecimal that have to be of this shape.
    fn parse_octets(self, text: &str) -> Result<Vec<u8>, TextError> {
        let malformed = |wanted| TextError::Malformed { value: text.to_owned(), wanted };
        let octets = parse_hexadecimal(text)
            .filter(|octets| !octets.is_empty())
            .ok_or_else(|| malformed("a row of octets in hexadecimal"))?;
        self.check_received(&octets).map_err(|_| malformed("a value of the option's format"))?;
        Ok(octets)
    }
}

/// Octets in hexadecimal with colons: `01:02:ff`.
pub fn hexadecimal(octets: &[u8]) -> String {
    let mut text = String::with_capacity(octets.len() * 3);
    for (index, octet) in octets.iter().enumerate() {
        if index > 0 {
            text.push(':');
        }
        // Writing to a String does not fail.
        let _ = write!(text, "{octet:02x}");
    }
    text
}

/// Reads octets in hexadecimal: two digits each, with colons or hyphens between all of them or
/// with none, and with or without `0x` in front.
pub fn parse_hexadecimal(text: &str) -> Option<Vec<u8>> {
    let digits = text.strip_prefix("0x").unwrap_or(text);
    let octet = |pair: &str| {
        let digits_only = pair.len() == 2 && pair.bytes().all(|digit| digit.is_ascii_hexdigit());
        if digits_only { u8::from_str_radix(pair, 16).ok() } else { None }
    };
    for separator in [':', '-'] {
        if digits.contains(separator) {
            return digits.split(separator).map(octet).collect();
        }
    }
    if !digits.is_ascii() {
        return None;
    }
    digits.as_bytes().chunks(2).map(|pair| octet(std::str::from_utf8(pair).ok()?)).collect()
}

/// Appends a label of a domain name, with dots and octets that are not printable ASCII escaped as
/// RFC 1035 section 5.1 has it.
pub(crate) fn escape_label(label: &[u8], name: &mut String) {
    for octet in label {
        match octet {
            b'.' | b'\\' => name.extend(['\\', char::from(*octet)]),
            0x21..=0x7e => name.push(char::from(*octet)),
            _ => {
                // Writing to a String does not fail.
                let _ = write!(name, "\\{octet:03}");
            }
        }
    }
}

pub(crate) fn escape_text(value: &[u8]) -> String {
    let mut text = String::with_capacity(value.len());
    for octet in value {
        match octet {
            b'\\' => text.push_str("\\\\"),
            0x20..=0x7e => text.push(char::from(*octet)),
            _ => {
                // Writing to a String does not fail.
                let _ = write!(text, "\\x{octet:02x}");
            }
        }
    }
    text
}

/// The octets of a text in which `\\` and `\xNN` stand for one octet; `None` if it is empty or has
/// another escape.
pub(crate) fn unescape_text(text: &str) -> Option<Vec<u8>> {
    let mut octets = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        if *first != b'\\' {
            octets.push(*first);
        } else if let Some(after) = rest.strip_prefix(b"\\") {
            octets.push(b'\\');
            rest = after;
        } else {
            let (pair, after) = rest.strip_prefix(b"x")?.split_at_checked(2)?;
            octets.extend(parse_hexadecimal(std::str::from_utf8(pair).ok()?)?);
            rest = after;
        }
    }
    (!octets.is_empty()).then_some(octets)
}

fn units<const N: usize>(value: &[u8]) -> impl Iterator<Item = [u8; N]> {
    value.as_chunks::<N>().0.iter().copied()
}

fn addresses(value: &[u8]) -> Vec<String> {
    units::<4>(value).map(|octets| Ipv4Addr::from(octets).to_string()).collect()
}

fn parse_address(text: &str) -> Result<Ipv4Addr, TextError> {
    text.parse()
        .map_err(|_| TextError::Malformed { value: text.to_owned(), wanted: "an IPv4 address" })
}

fn parse_route(text: &str) -> Result<ClasslessRoute, TextError> {
    let route = || {
        let mut words = text.split_whitespace().filter(|word| *word != "via");
        let (destination, width) = words.next()?.split_once('/')?;
        let router = words.next()?.parse().ok()?;
        if words.next().is_some() {
            return None;
        }
        ClasslessRoute::new(destination.parse().ok()?, width.parse().ok()?, router)
    };
    route().ok_or_else(|| TextError::Malformed {
        value: text.to_owned(),
        wanted: "a route such as `10.0.0.0/8 192.0.2.1`",
    })
}

/// What would be configured to be sent as these octets; if nothing would, they are shown as they are.
fn print_structure(structure: &Structure, value: &[u8]) -> Vec<String> {
    let is_same = |texts: &Vec<String>| {
        let words: Vec<&str> = texts.iter().map(String::as_str).collect();
        let mut again = Vec::with_capacity(value.len());
        parse_structure(structure, &words, &mut again).is_ok() && again == value
    };
    (structure.read)(value).filter(is_same).unwrap_or_else(|| vec![hexadecimal(value)])
}

fn parse_structure(
    structure: &Structure,
    values: &[&str],
    out: &mut Vec<u8>,
) -> Result<(), TextError> {
    let wanted = structure.wanted;
    let malformed = |text: &str| TextError::Malformed { value: text.to_owned(), wanted };
    for (place, text) in values.iter().enumerate() {
        (structure.write)(place, text, out).ok_or_else(|| malformed(text))?;
    }
    // Each may be right and something lack all the same.
    (structure.read)(out).map(drop).ok_or_else(|| malformed(&values.join(", ")))
}

fn parse_sip_servers(values: &[&str], out: &mut Vec<u8>) -> Result<(), TextError> {
    let format = if values.iter().all(|value| value.parse::<Ipv4Addr>().is_ok()) {
        out.push(SIP_ADDRESSES);
        Format::AddressList
    } else {
        out.push(SIP_NAMES);
        Format::DomainList
    };
    values.iter().try_for_each(|value| format.parse_one(value, out))
}

fn sip_servers(value: &[u8]) -> Result<Vec<String>, DecodeReason> {
    match value.split_first().ok_or(DecodeReason::OptionLength)? {
        (&SIP_NAMES, names) => o119_domain_search::decode(names),
        (&SIP_ADDRESSES, list) => {
            Format::AddressList.check_received(list)?;
            Ok(addresses(list))
        }
        _ => Err(DecodeReason::OptionValue),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(format: Format, text: &[&str], octets: &[u8]) {
        let parsed = format.parse_text(text);
        assert_eq!(parsed.as_deref(), Ok(octets), "{format:?} {text:?}");
        assert_eq!(format.check_received(octets), Ok(()));
        let shown = format.print_text(octets);
        let shown: Vec<&str> = shown.iter().map(String::as_str).collect();
        assert_eq!(format.parse_text(&shown).as_deref(), Ok(octets), "{format:?} {shown:?}");
    }

    fn refused(format: Format, text: &[&str]) {
        assert!(format.parse_text(text).is_err(), "{format:?} {text:?}");
    }

    #[test]
    fn text_becomes_octets_and_octets_become_text() {
        check(Format::Flag, &[], &[]);
        check(Format::Boolean, &["true"], &[1]);
        check(Format::U8, &["255"], &[255]);
        check(Format::U8List, &["1", "3"], &[1, 3]);
        check(Format::U16, &["1500"], &[5, 220]);
        check(Format::U16List, &["68", "1500"], &[0, 68, 5, 220]);
        check(Format::U32, &["4294967295"], &[255; 4]);
        check(Format::I32, &["-3600"], &(-3600i32).to_be_bytes());
        check(Format::Address, &["192.0.2.1"], &[192, 0, 2, 1]);
        check(Format::AddressList, &["192.0.2.1", "192.0.2.2"], &[192, 0, 2, 1, 192, 0, 2, 2]);
        check(Format::AddressesOrNone, &[], &[]);
        check(Format::AddressPairs, &["10.0.0.0 255.0.0.0"], &[10, 0, 0, 0, 255, 0, 0, 0]);
        check(Format::Text, &["tftp.example"], b"tftp.example");
        check(Format::Text, &[r"a\\b\x00\xff"], b"a\\b\0\xff");
        check(Format::Text, &["é"], "é".as_bytes());
        check(Format::Opaque, &["01:02:ff"], &[1, 2, 255]);
        check(Format::Opaque, &["0x0102ff"], &[1, 2, 255]);
        check(Format::ClientId, &["01-02"], &[1, 2]);
        check(Format::DomainList, &["a.example", "b"], b"\x01a\x07example\0\x01b\0");
        check(Format::SipServers, &["192.0.2.1"], &[1, 192, 0, 2, 1]);
        check(Format::SipServers, &["sip.example"], b"\0\x03sip\x07example\0");
        check(Format::Routes, &["10.0.0.0/8 via 192.0.2.1"], &[8, 10, 192, 0, 2, 1]);
        check(Format::Routes, &["0.0.0.0/0 192.0.2.1"], &[0, 192, 0, 2, 1]);
        check(Format::Vss, &["ff"], &[255]);
        check(Format::StatusCode, &["03:61"], b"\x03a");
    }

    #[test]
    fn text_that_can_not_be_a_value_is_refused() {
        refused(Format::Flag, &["true"]);
        refused(Format::Boolean, &["1"]);
        refused(Format::U8, &["256"]);
        refused(Format::U8, &["1", "2"]);
        refused(Format::U8List, &[]);
        refused(Format::U16, &["-1"]);
        refused(Format::U32, &["4294967296"]);
        refused(Format::I32, &["2147483648"]);
        refused(Format::Address, &["192.0.2"]);
        refused(Format::AddressList, &[]);
        refused(Format::AddressPairs, &["10.0.0.0"]);
        refused(Format::Text, &[""]);
        refused(Format::Text, &[r"a\n"]);
        refused(Format::Text, &[r"a\x4"]);
        refused(Format::Text, &[r"a\x+4"]);
        refused(Format::Opaque, &[""]);
        refused(Format::Opaque, &["0"]);
        refused(Format::Opaque, &["01:2"]);
        refused(Format::Opaque, &["01:+2"]);
        refused(Format::Opaque, &["éé"]);
        refused(Format::DomainList, &["a..b"]);
        refused(Format::SipServers, &["192.0.2.1", ""]);
        refused(Format::Routes, &["10.0.0.0/33 192.0.2.1"]);
        refused(Format::Routes, &["10.0.0.0/8"]);
        refused(Format::Routes, &["10.0.0.0/8 192.0.2.1 192.0.2.2"]);
        refused(Format::RelayAgent, &["01:05:00"]);
        refused(Format::Vss, &["ff:00"]);
        refused(Format::Opaque, &["00".repeat(VALUE_LEN_MAX + 1).as_str()]);
    }

    #[test]
    fn refusals_say_which_value_and_what_was_wanted() {
        let error = Format::AddressList.parse_text(&["192.0.2.1", "router"]).expect_err("a name");
        assert_eq!(error.to_string(), "`router` is not an IPv4 address");
        let error = Format::U16.parse_text(&["1", "2"]).expect_err("two");
        assert_eq!(error.to_string(), "2 values given, at most 1 allowed");
    }

    #[test]
    fn a_value_of_another_shape_is_shown_in_hexadecimal() {
        assert_eq!(Format::Address.print_text(&[1, 2, 3]), ["01:02:03"]);
        assert_eq!(Format::Text.print_text(b"a\n"), [r"a\x0a"]);
    }
}
