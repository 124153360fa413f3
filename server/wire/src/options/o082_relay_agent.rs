//! # Option 82, Relay Agent Information (RFC 3046) and its sub-options
//!
//! Problem. The relay's words are stored with a lease, select a subnet, and go back to the relay
//!          octet for octet.
//! Model.   The raw value is the truth; the typed answers are views of it. A sub-option that came
//!          twice counts as its first.
//! Rules.   O-05, O-17, O-18, O-20, O-50, O-52.
//! Hazards. There is no pad and no end inside: 0 and 255 are ordinary codes with a length. Some
//!          sub-options may be empty, and an empty one differs from an absent one.
//! Absent.  Whether the relay is to be believed; verification of sub-option 8.

use std::net::Ipv4Addr;

use super::o124_vendor_class::VendorBlocks;
use super::o221_vss::Vss;
use crate::error::{DecodeError, DecodeReason};
use crate::options::registry::OptionCode;
use crate::reader::Reader;

/// The code octet of a sub-option.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SubOptionCode(pub u8);

/// What is known of a sub-option.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SubOptionDefinition {
    /// The code octet.
    pub code: SubOptionCode,
    /// The name, lower case with hyphens.
    pub name: &'static str,
    /// Octets of the shortest legal value.
    pub len_min: usize,
    /// Octets of the longest legal value.
    pub len_max: usize,
    /// The defining document and section.
    pub source: &'static str,
}

macro_rules! table {
    ($($code:literal $constant:ident $name:literal $min:literal $max:literal $source:literal)*) => {
        impl SubOptionCode {
            $(#[doc = concat!("`", $name, "`, ", $source, ".")]
            pub const $constant: Self = Self($code);)*
        }

        static DEFINITIONS: [SubOptionDefinition; [$($code),*].len()] = [
            $(SubOptionDefinition {
                code: SubOptionCode($code),
                name: $name,
                len_min: $min,
                len_max: $max,
                source: $source,
            }),*
        ];
    };
}

// [O-17] Flags may be longer than its one octet: the first is used.
// [O-18] A Relay-ID has at least one octet.
// A length of 0 is legal unless a document says otherwise: circuit and remote identifiers.
table! {
    1   CIRCUIT_ID                 "circuit-id"                 0  255 "RFC 3046 §3.1"
    2   REMOTE_ID                  "remote-id"                  0  255 "RFC 3046 §3.2"
    4   DOCSIS_DEVICE_CLASS        "docsis-device-class"        4  4   "RFC 3256 §2"
    5   LINK_SELECTION             "link-selection"             4  4   "RFC 3527 §3"
    6   SUBSCRIBER_ID              "subscriber-id"              1  255 "RFC 3993 §3.1"
    7   RADIUS_ATTRIBUTES          "radius-attributes"          0  255 "RFC 4014 §3"
    8   AUTHENTICATION             "authentication"             1  255 "RFC 4030 §4"
    9   VENDOR_SPECIFIC            "vendor-specific"            4  255 "RFC 4243 §3"
    10  FLAGS                      "flags"                      1  255 "RFC 5010 §3"
    11  SERVER_IDENTIFIER_OVERRIDE "server-identifier-override" 4  4   "RFC 5107 §4"
    12  RELAY_ID                   "relay-id"                   1  255 "RFC 6925 §4"
    13  ACCESS_TECHNOLOGY_TYPE     "access-technology-type"     0  255 "RFC 7839 §4"
    14  ACCESS_NETWORK_NAME        "access-network-name"        0  255 "RFC 7839 §4"
    15  ACCESS_POINT_NAME          "access-point-name"          0  255 "RFC 7839 §4"
    16  ACCESS_POINT_BSSID         "access-point-bssid"         0  255 "RFC 7839 §4"
    17  OPERATOR_IDENTIFIER        "operator-identifier"        0  255 "RFC 7839 §4"
    18  OPERATOR_REALM             "operator-realm"             0  255 "RFC 7839 §4"
    19  SOURCE_PORT                "source-port"                0  0   "RFC 8357 §4.1"
    151 VSS                        "vss"                        1  255 "RFC 6607 §3.2"
    152 VSS_CONTROL                "vss-control"                0  0   "RFC 6607 §3.3"
}

/// Bit of sub-option 10: the relay received the packet as unicast (RFC 5010 section 3).
pub const FLAG_UNICAST: u8 = 0x80;

impl SubOptionCode {
    /// What is known of the sub-option; `None` if nothing is.
    pub fn definition(self) -> Option<&'static SubOptionDefinition> {
        DEFINITIONS.iter().find(|row| row.code == self)
    }

    /// The sub-option with this name.
    pub fn by_name(name: &str) -> Option<Self> {
        DEFINITIONS.iter().find(|row| row.name == name).map(|row| row.code)
    }
}

/// Every known sub-option, by ascending code.
pub fn definitions() -> &'static [SubOptionDefinition] {
    &DEFINITIONS
}

/// The value of option 82.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RelayAgentInformation<'a> {
    raw: &'a [u8],
}

impl<'a> RelayAgentInformation<'a> {
    /// Decodes the value of the option, all of it.
    ///
    /// # Errors
    /// A sub-option reaches past the end, or a known one has a length or contents it may not have;
    /// offsets count from the start of the value. An empty value is refused too: RFC 3046
    /// section 2.0 wants one sub-option at least.
    pub fn decode(raw: &'a [u8]) -> Result<Self, DecodeError> {
        let fault = |offset, reason| {
            DecodeError::within(offset, reason, OptionCode::RELAY_AGENT_INFORMATION)
        };
        let mut reader = Reader::new(raw);
        if reader.is_empty() {
            return Err(fault(0, DecodeReason::OptionLength));
        }
        while !reader.is_empty() {
            let offset = reader.offset();
            // [O-05] no pad and no end: every code has a length.
            let (code, value) = read_sub_option(&mut reader)
                .ok_or(fault(offset, DecodeReason::SubOptionTruncated))?;
            check_sub_option(code, value).map_err(|reason| fault(offset, reason))?;
        }
        Ok(Self { raw })
    }

    /// The value as it came: what is stored and echoed.
    pub const fn raw(&self) -> &'a [u8] {
        self.raw
    }

    /// Codes and values in the order they came.
    pub fn iter(&self) -> impl Iterator<Item = (SubOptionCode, &'a [u8])> + use<'a> {
        let mut reader = Reader::new(self.raw);
        std::iter::from_fn(move || read_sub_option(&mut reader))
    }

    /// The value of the first sub-option with this code.
    pub fn get(&self, code: SubOptionCode) -> Option<&'a [u8]> {
        self.iter().find(|(found, _)| *found == code).map(|(_, value)| value)
    }

    /// Sub-option 1: opaque, local to one relay.
    pub fn circuit_id(&self) -> Option<&'a [u8]> {
        self.get(SubOptionCode::CIRCUIT_ID)
    }

    /// Sub-option 2: opaque, unique everywhere.
    pub fn remote_id(&self) -> Option<&'a [u8]> {
        self.get(SubOptionCode::REMOTE_ID)
    }

    /// Sub-option 4: bits of RFC 3256.
    pub fn docsis_device_class(&self) -> Option<u32> {
        self.get(SubOptionCode::DOCSIS_DEVICE_CLASS)?.try_into().ok().map(u32::from_be_bytes)
    }

    /// Sub-option 5: the subnet to allocate from.
    pub fn link_selection(&self) -> Option<Ipv4Addr> {
        self.address(SubOptionCode::LINK_SELECTION)
    }

    /// [O-20] Sub-option 6: NVT ASCII as it came.
    pub fn subscriber_id(&self) -> Option<&'a [u8]> {
        self.get(SubOptionCode::SUBSCRIBER_ID)
    }

    /// Sub-option 7: RADIUS attributes, type and value, up to the first that is malformed.
    pub fn radius_attributes(&self) -> impl Iterator<Item = (u8, &'a [u8])> + use<'a> {
        let octets = self.get(SubOptionCode::RADIUS_ATTRIBUTES).unwrap_or_default();
        let mut reader = Reader::new(octets);
        std::iter::from_fn(move || {
            let attribute = reader.u8()?;
            // RFC 2865 section 5: the length counts type and length too.
            let len = usize::from(reader.u8()?).checked_sub(2)?;
            Some((attribute, reader.take(len)?))
        })
    }

    /// Sub-option 8, its parts; `None` if it is absent or its algorithm is not HMAC-SHA1.
    pub fn authentication(&self) -> Option<RelayAuthentication<'a>> {
        RelayAuthentication::decode(self.get(SubOptionCode::AUTHENTICATION)?)
    }

    /// Sub-option 9: blocks of enterprise number and data; `None` if it is absent or malformed.
    pub fn vendor_specific(&self) -> Option<VendorBlocks<'a>> {
        VendorBlocks::decode(self.get(SubOptionCode::VENDOR_SPECIFIC)?).ok()
    }

    /// Sub-option 10, its first octet; see [`FLAG_UNICAST`].
    pub fn flags(&self) -> Option<u8> {
        self.get(SubOptionCode::FLAGS)?.first().copied()
    }

    /// Sub-option 11: what the client shall see as option 54.
    pub fn server_identifier_override(&self) -> Option<Ipv4Addr> {
        self.address(SubOptionCode::SERVER_IDENTIFIER_OVERRIDE)
    }

    /// Sub-option 12: opaque.
    pub fn relay_id(&self) -> Option<&'a [u8]> {
        self.get(SubOptionCode::RELAY_ID)
    }

    /// Sub-option 19: the reply goes to the port that the packet came from.
    pub fn source_port(&self) -> bool {
        self.get(SubOptionCode::SOURCE_PORT).is_some()
    }

    /// Sub-option 151.
    pub fn vss(&self) -> Option<Vss<'a>> {
        Vss::decode(self.get(SubOptionCode::VSS)?).ok()
    }

    /// Sub-option 152.
    pub fn vss_control(&self) -> bool {
        self.get(SubOptionCode::VSS_CONTROL).is_some()
    }

    /// Appends the value without the sub-options named, the others as they came. A server that
    /// supports VSS does not echo 152, and without honouring it not 151 either
    /// (RFC 6607 section 7.2). Nothing is appended if nothing is left: the option is then left out.
    pub fn raw_without(&self, codes: &[SubOptionCode], out: &mut Vec<u8>) {
        let mut writer = SubOptionWriter::new(out);
        for (code, value) in self.iter().filter(|(code, _)| !codes.contains(code)) {
            // A value that was read is at most 255 octets long.
            let written = writer.put(code, value);
            debug_assert!(written.is_some());
        }
    }

    fn address(&self, code: SubOptionCode) -> Option<Ipv4Addr> {
        let octets: [u8; 4] = self.get(code)?.try_into().ok()?;
        Some(octets.into())
    }
}

/// Sub-option 8 with algorithm 1, HMAC-SHA1 (RFC 4030 sections 4 and 7.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RelayAuthentication<'a> {
    /// Replay detection method, the low four bits of its octet.
    pub rdm: u8,
    /// Replay detection value.
    pub replay: u64,
    /// The relay's own identifier.
    pub relay_identifier: u32,
    /// The key that was used.
    pub key_identifier: u32,
    /// The code.
    pub hmac: &'a [u8; 20],
}

impl<'a> RelayAuthentication<'a> {
    fn decode(value: &'a [u8]) -> Option<Self> {
        let mut reader = Reader::new(value);
        if reader.u8()? != 1 {
            return None;
        }
        let authentication = Self {
            rdm: reader.u8()? & 0x0f,
            replay: u64::from_be_bytes(*reader.array()?),
            relay_identifier: reader.u32()?,
            key_identifier: reader.u32()?,
            hmac: reader.array()?,
        };
        reader.is_empty().then_some(authentication)
    }
}

/// Builds the value of option 82.
#[derive(Debug)]
pub struct SubOptionWriter<'b> {
    out: &'b mut Vec<u8>,
}

impl<'b> SubOptionWriter<'b> {
    /// Appends to `out`.
    pub fn new(out: &'b mut Vec<u8>) -> Self {
        Self { out }
    }

    /// Appends a sub-option; `None`, and nothing appended, if the value exceeds 255 octets.
    pub fn put(&mut self, code: SubOptionCode, value: &[u8]) -> Option<()> {
        let len = u8::try_from(value.len()).ok()?;
        self.out.extend_from_slice(&[code.0, len]);
        self.out.extend_from_slice(value);
        Some(())
    }
}

fn read_sub_option<'a>(reader: &mut Reader<'a>) -> Option<(SubOptionCode, &'a [u8])> {
    let code = reader.u8()?;
    let len = reader.u8()?;
    Some((SubOptionCode(code), reader.take(len.into())?))
}

fn check_sub_option(code: SubOptionCode, value: &[u8]) -> Result<(), DecodeReason> {
    let Some(definition) = code.definition() else { return Ok(()) };
    if !(definition.len_min..=definition.len_max).contains(&value.len()) {
        return Err(DecodeReason::SubOptionLength);
    }
    if code == SubOptionCode::VSS {
        Vss::decode(value).map_err(|_| DecodeReason::SubOptionValue)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn build(sub_options: &[(SubOptionCode, &[u8])]) -> Vec<u8> {
        let mut out = Vec::new();
        let mut writer = SubOptionWriter::new(&mut out);
        for (code, value) in sub_options {
            assert_eq!(writer.put(*code, value), Some(()));
        }
        out
    }

    fn refused(raw: &[u8], offset: usize, reason: DecodeReason) {
        let error = RelayAgentInformation::decode(raw).expect_err("must be refused");
        assert_eq!((error.offset, error.reason), (offset, reason), "{raw:?}");
    }

    #[test]
    fn every_sub_option_is_read_by_its_accessor() {
        let hmac =
            [[1, 0x11].as_slice(), &[0, 0, 0, 0, 0, 0, 0, 2], &[0, 0, 0, 3, 0, 0, 0, 4], &[5; 20]];
        let raw = build(&[
            (SubOptionCode::REMOTE_ID, b"remote"),
            (SubOptionCode::CIRCUIT_ID, b"circuit"),
            (SubOptionCode::DOCSIS_DEVICE_CLASS, &[0, 0, 0, 1]),
            (SubOptionCode::LINK_SELECTION, &[10, 1, 0, 0]),
            (SubOptionCode::SUBSCRIBER_ID, b"subscriber"),
            (SubOptionCode::RADIUS_ATTRIBUTES, &[1, 3, b'u', 88, 2]),
            (SubOptionCode::AUTHENTICATION, &hmac.concat()),
            (SubOptionCode::VENDOR_SPECIFIC, &[0, 0, 0, 9, 1, 7]),
            (SubOptionCode::FLAGS, &[FLAG_UNICAST, 99]),
            (SubOptionCode::SERVER_IDENTIFIER_OVERRIDE, &[192, 0, 2, 9]),
            (SubOptionCode::RELAY_ID, &[0, 3, 0, 1]),
            (SubOptionCode::SOURCE_PORT, &[]),
            (SubOptionCode::VSS, &[0, b'v']),
            (SubOptionCode::VSS_CONTROL, &[]),
        ]);
        let information = RelayAgentInformation::decode(&raw).expect("valid");
        assert_eq!(information.raw(), raw);
        assert_eq!(information.iter().count(), 14);
        assert_eq!(information.remote_id(), Some(&b"remote"[..]));
        assert_eq!(information.circuit_id(), Some(&b"circuit"[..]));
        assert_eq!(information.docsis_device_class(), Some(1));
        assert_eq!(information.link_selection(), Some(Ipv4Addr::new(10, 1, 0, 0)));
        // proves [O-20]
        assert_eq!(information.subscriber_id(), Some(&b"subscriber"[..]));
        let attributes: Vec<_> = information.radius_attributes().collect();
        assert_eq!(attributes, [(1, &b"u"[..]), (88, &b""[..])]);
        let authentication = information.authentication().expect("present");
        assert_eq!((authentication.rdm, authentication.replay), (1, 2));
        assert_eq!((authentication.relay_identifier, authentication.key_identifier), (3, 4));
        assert_eq!(authentication.hmac, &[5; 20]);
        let blocks: Vec<_> = information.vendor_specific().expect("present").collect();
        assert_eq!(blocks, [(9, &[7][..])]);
        // proves [O-17]: the first octet counts.
        assert_eq!(information.flags(), Some(FLAG_UNICAST));
        let overriding = Some(Ipv4Addr::new(192, 0, 2, 9));
        assert_eq!(information.server_identifier_override(), overriding);
        assert_eq!(information.relay_id(), Some(&[0, 3, 0, 1][..]));
        assert_eq!(information.vss(), Some(Vss::Name(b"v")));
        assert!(information.source_port() && information.vss_control());
    }

    #[test]
    fn empty_identifiers_are_present_and_absent_ones_are_not() {
        let information = RelayAgentInformation::decode(&[1, 0, 2, 0]).expect("valid");
        assert_eq!(
            (information.circuit_id(), information.remote_id()),
            (Some(&[][..]), Some(&[][..]))
        );
        assert_eq!(information.relay_id(), None);
        assert!(!information.source_port());
    }

    #[test]
    fn zero_and_255_have_a_length_like_every_code() {
        // proves [O-05]
        let information = RelayAgentInformation::decode(&[0, 1, 9, 255, 0]).expect("valid");
        let found: Vec<_> = information.iter().map(|(code, _)| code.0).collect();
        assert_eq!(found, [0, 255]);
        refused(&[1, 1, 9, 255], 3, DecodeReason::SubOptionTruncated);
        refused(&[1, 1, 9, 0], 3, DecodeReason::SubOptionTruncated);
    }

    #[test]
    fn the_first_of_two_sub_options_counts_and_both_are_echoed() {
        let raw = [2, 1, 7, 2, 1, 8];
        let information = RelayAgentInformation::decode(&raw).expect("valid");
        assert_eq!((information.remote_id(), information.raw()), (Some(&[7][..]), &raw[..]));
    }

    #[test]
    fn faults_are_refused_with_their_offset() {
        // proves [O-18]: a Relay-ID has an octet at least.
        refused(&[1, 1, 9, 12, 0], 3, DecodeReason::SubOptionLength);
        refused(&[], 0, DecodeReason::OptionLength);
        refused(&[5, 3, 1, 2, 3], 0, DecodeReason::SubOptionLength);
        refused(&[11, 5, 1, 2, 3, 4, 5], 0, DecodeReason::SubOptionLength);
        refused(&[10, 0], 0, DecodeReason::SubOptionLength);
        refused(&[19, 1, 1], 0, DecodeReason::SubOptionLength);
        refused(&[6, 0], 0, DecodeReason::SubOptionLength);
        refused(&[152, 1, 0], 0, DecodeReason::SubOptionLength);
        refused(&[151, 2, 1, 0], 0, DecodeReason::SubOptionValue);
        refused(&[2, 1, 7, 1, 4, 1, 2, 3], 3, DecodeReason::SubOptionTruncated);
    }

    #[test]
    fn named_sub_options_are_taken_out_of_the_echo() {
        let raw = [1, 1, 7, 151, 1, 255, 2, 0, 152, 0];
        let information = RelayAgentInformation::decode(&raw).expect("valid");
        let mut out = Vec::new();
        information.raw_without(&[SubOptionCode::VSS, SubOptionCode::VSS_CONTROL], &mut out);
        assert_eq!(out, [1, 1, 7, 2, 0]);
    }

    #[test]
    fn malformed_contents_that_nothing_depends_on_answer_none() {
        let raw = [7, 3, 1, 9, 9, 8, 2, 1, 0, 9, 5, 0, 0, 0, 9, 3];
        let information = RelayAgentInformation::decode(&raw).expect("kept for the echo");
        assert_eq!(information.radius_attributes().count(), 0);
        assert_eq!(information.authentication(), None);
        assert!(information.vendor_specific().is_none());
    }

    #[test]
    fn the_table_is_sorted_and_names_are_found() {
        assert!(definitions().is_sorted_by(|a, b| a.code < b.code));
        assert_eq!(SubOptionCode::by_name("remote-id"), Some(SubOptionCode(2)));
        assert_eq!(SubOptionCode::by_name("no-such"), None);
    }
}
