//! The message: fixed header, cookie, options (RFC 2131 section 2).

use std::net::Ipv4Addr;

use crate::codepoints::CodePoints;
use crate::error::{DecodeError, DecodeReason};
use crate::message_type::MessageType;
use crate::options::o061_client_id::ClientIdentifier;
use crate::options::o081_client_fqdn::ClientFqdn;
use crate::options::o082_relay_agent::RelayAgentInformation;
use crate::options::o221_vss::Vss;
use crate::options::registry::OptionCode;
use crate::options::{OptionList, OptionSet};
use crate::reader::Reader;
use crate::writer::MessageWriter;

/// UDP port of servers and relay agents, and TCP port of bulk leasequery.
pub const BOOTP_PORT_SERVER: u16 = 67;
/// UDP port of clients.
pub const BOOTP_PORT_CLIENT: u16 = 68;
/// [H-02] The BROADCAST bit of `flags`, its leftmost; the others are reserved and ignored.
pub const FLAG_BROADCAST: u16 = 0x8000;
/// Octets of the longest message: what the length of a UDP datagram or of a frame can express.
pub const MESSAGE_LEN_MAX: usize = 65_535;
/// Octets of the shortest BOOTP message (RFC 1542 section 2.1). Shorter ones are decoded; whether
/// they are answered is policy.
pub const MESSAGE_LEN_MIN_BOOTP: usize = 300;
/// Octets of the IP datagram that every client accepts (RFC 2131 section 2), and the least that
/// option 57 may announce; IP and UDP headers are counted.
pub const MINIMUM_DATAGRAM_LEN: u16 = 576;

/// Octets of the header before the cookie.
pub(crate) const HEADER_LEN: usize = 236;
/// Octets of the header and the cookie.
pub(crate) const FIXED_LEN: usize = HEADER_LEN + 4;
pub(crate) const SNAME_OFFSET: usize = 44;
pub(crate) const SNAME_LEN: usize = 64;
pub(crate) const FILE_OFFSET: usize = 108;
pub(crate) const FILE_LEN: usize = 128;
/// RFC 2131 section 3: 99.130.83.99.
pub(crate) const COOKIE: [u8; 4] = [99, 130, 83, 99];

/// The field `op`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Op {
    /// 1: from a client, a relay agent or a leasequery requestor.
    BootRequest = 1,
    /// 2: from a server.
    BootReply = 2,
}

/// The fixed fields up to `chaddr`, named as in RFC 2131 section 2.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// BOOTREQUEST or BOOTREPLY.
    pub op: Op,
    /// Hardware type; 1 is Ethernet.
    pub htype: u8,
    /// Octets of `chaddr` in use, 0 to 16. A decoded header never holds more.
    pub hlen: u8,
    /// Relay agents passed.
    pub hops: u8,
    /// Transaction identifier, chosen by the client.
    pub xid: u32,
    /// Seconds since the client began.
    pub secs: u16,
    /// [`FLAG_BROADCAST`] and reserved bits, as received.
    pub flags: u16,
    /// The client's own address if it can answer for it.
    pub ciaddr: Ipv4Addr,
    /// "Your" address: the one given to the client.
    pub yiaddr: Ipv4Addr,
    /// The next server to bootstrap from.
    pub siaddr: Ipv4Addr,
    /// The relay agent, or the leasequery requestor.
    pub giaddr: Ipv4Addr,
    /// The whole field; [`Header::chaddr`] is the part in use.
    pub chaddr_field: [u8; 16],
}

impl Header {
    /// A header of zeros with this `op`.
    pub const fn new(op: Op) -> Self {
        Self {
            op,
            htype: 0,
            hlen: 0,
            hops: 0,
            xid: 0,
            secs: 0,
            flags: 0,
            ciaddr: Ipv4Addr::UNSPECIFIED,
            yiaddr: Ipv4Addr::UNSPECIFIED,
            siaddr: Ipv4Addr::UNSPECIFIED,
            giaddr: Ipv4Addr::UNSPECIFIED,
            chaddr_field: [0; 16],
        }
    }

    /// The hardware address: the first `hlen` octets of the field, 16 at most.
    pub fn chaddr(&self) -> &[u8] {
        let len = usize::from(self.hlen).min(self.chaddr_field.len());
        &self.chaddr_field[..len]
    }

    /// Sets `htype`, `hlen` and `chaddr`; octets beyond the sixteenth are left out.
    pub fn set_chaddr(&mut self, htype: u8, chaddr: &[u8]) {
        let len = chaddr.len().min(self.chaddr_field.len());
        self.htype = htype;
        self.hlen = len as u8;
        self.chaddr_field = [0; 16];
        self.chaddr_field[..len].copy_from_slice(&chaddr[..len]);
    }

    /// Whether the BROADCAST bit is set.
    pub const fn broadcast(&self) -> bool {
        self.flags & FLAG_BROADCAST != 0
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let truncated = DecodeError::new(reader.remaining(), DecodeReason::Truncated);
        let op = match reader.u8().ok_or(truncated)? {
            1 => Op::BootRequest,
            2 => Op::BootReply,
            _ => return Err(DecodeError::new(0, DecodeReason::InvalidOp)),
        };
        let htype = reader.u8().ok_or(truncated)?;
        let hlen = reader.u8().ok_or(truncated)?;
        // A longer address can not be in the message; what follows `chaddr` is not a part of it.
        if hlen > 16 {
            return Err(DecodeError::new(2, DecodeReason::HardwareLength));
        }
        Ok(Self {
            op,
            htype,
            hlen,
            hops: reader.u8().ok_or(truncated)?,
            xid: reader.u32().ok_or(truncated)?,
            secs: reader.u16().ok_or(truncated)?,
            flags: reader.u16().ok_or(truncated)?,
            ciaddr: reader.address().ok_or(truncated)?,
            yiaddr: reader.address().ok_or(truncated)?,
            siaddr: reader.address().ok_or(truncated)?,
            giaddr: reader.address().ok_or(truncated)?,
            chaddr_field: *reader.array().ok_or(truncated)?,
        })
    }
}

/// A decoded datagram. Borrows the octets it was decoded from.
#[derive(Debug, Clone)]
pub struct Message<'a> {
    /// The fixed fields.
    pub header: Header,
    sname: &'a [u8; SNAME_LEN],
    file: &'a [u8; FILE_LEN],
    vendor_area: Option<&'a [u8]>,
    options: OptionList<'a>,
    len: usize,
}

impl<'a> Message<'a> {
    /// Decodes a UDP payload or the contents of a TCP frame.
    ///
    /// A message whose cookie is zero is BOOTP as RFC 951 has it: it has no options, and what
    /// follows the header is [`Message::vendor_area`].
    ///
    /// # Errors
    /// The first fault found, with its offset; nothing of a faulty datagram is returned.
    pub fn decode(octets: &'a [u8]) -> Result<Self, DecodeError> {
        if octets.len() < FIXED_LEN {
            return Err(DecodeError::new(octets.len(), DecodeReason::Truncated));
        }
        if octets.len() > MESSAGE_LEN_MAX {
            return Err(DecodeError::new(MESSAGE_LEN_MAX, DecodeReason::TooLong));
        }
        let truncated = DecodeError::new(octets.len(), DecodeReason::Truncated);
        let mut reader = Reader::new(octets);
        let header = Header::decode(&mut reader)?;
        let sname = reader.array().ok_or(truncated)?;
        let file = reader.array().ok_or(truncated)?;
        let (vendor_area, options) = match *reader.array::<4>().ok_or(truncated)? {
            // [H-01] the cookie says that options follow.
            COOKIE => (None, OptionList::decode(octets)?),
            [0, 0, 0, 0] => (Some(&octets[HEADER_LEN..]), OptionList::empty()),
            _ => return Err(DecodeError::new(HEADER_LEN, DecodeReason::UnknownCookie)),
        };
        Ok(Self { header, sname, file, vendor_area, options, len: octets.len() })
    }

    /// Writes the message again, at the end of `buffer`, in at most `len_max` octets. Options keep
    /// their order, except that option 82 comes last; the answer names those that did not fit.
    pub fn encode(&self, buffer: &mut Vec<u8>, len_max: usize) -> OptionSet {
        let mut writer = MessageWriter::new(buffer, len_max);
        writer.header(&self.header);
        if !self.options.overloads_sname() {
            writer.sname_field(self.sname);
        }
        if !self.options.overloads_file() {
            writer.file_field(self.file);
        }
        match self.vendor_area {
            Some(area) => writer.vendor_area(area),
            None => {
                // Reserved first so that nothing else takes its room; a refusal is in the answer.
                if let Some(raw) = self.option(OptionCode::RELAY_AGENT_INFORMATION) {
                    let _ = writer.relay_agent_information(raw);
                }
                for (code, value) in self.options.iter() {
                    if code != OptionCode::RELAY_AGENT_INFORMATION {
                        let _ = writer.option(code, value);
                    }
                }
            }
        }
        writer.finish().left_out
    }

    /// Octets that it was decoded from.
    #[expect(clippy::len_without_is_empty, reason = "no message is empty")]
    pub fn len(&self) -> usize {
        self.len
    }

    /// All options, joined, in the order of their first appearance.
    pub fn options(&self) -> &OptionList<'a> {
        &self.options
    }

    /// The value of an option, its parts joined; `None` if the message does not carry it.
    pub fn option(&self, code: OptionCode) -> Option<&[u8]> {
        self.options.get(code)
    }

    /// The server name; empty if there is none or if the field carried options.
    pub fn sname(&self) -> &[u8] {
        if self.options.overloads_sname() { &[] } else { until_nul(self.sname) }
    }

    /// The boot file name; empty if there is none or if the field carried options.
    pub fn file(&self) -> &[u8] {
        if self.options.overloads_file() { &[] } else { until_nul(self.file) }
    }

    /// What follows the header if there is no cookie (RFC 951); `None` for a message with options.
    pub fn vendor_area(&self) -> Option<&'a [u8]> {
        self.vendor_area
    }

    /// Whether the client speaks BOOTP: there is no option 53 (RFC 1534 section 2).
    pub fn is_bootp(&self) -> bool {
        !self.options.contains(OptionCode::DHCP_MESSAGE_TYPE)
    }

    /// Option 53, if it is there and holds an assigned number.
    pub fn message_type(&self) -> Option<MessageType> {
        self.message_type_number().and_then(MessageType::from_u8)
    }

    /// Option 53, if it is there and holds an assigned number or one of the drafts'.
    pub fn message_type_with(&self, code_points: &CodePoints) -> Option<MessageType> {
        self.message_type_number().and_then(|number| code_points.message_type(number))
    }

    /// Option 53 as it came.
    pub fn message_type_number(&self) -> Option<u8> {
        self.u8_option(OptionCode::DHCP_MESSAGE_TYPE)
    }

    /// Option 50.
    pub fn requested_ip_address(&self) -> Option<Ipv4Addr> {
        self.address_option(OptionCode::REQUESTED_IP_ADDRESS)
    }

    /// [H-08] Option 51: seconds, relative; `u32::MAX` means for ever.
    pub fn lease_time_seconds(&self) -> Option<u32> {
        self.u32_option(OptionCode::IP_ADDRESS_LEASE_TIME)
    }

    /// Option 54.
    pub fn server_identifier(&self) -> Option<Ipv4Addr> {
        self.address_option(OptionCode::SERVER_IDENTIFIER)
    }

    /// Option 55: codes in the client's order, repetitions included; empty if it is absent.
    pub fn parameter_request_list(&self) -> impl Iterator<Item = OptionCode> {
        let codes = self.option(OptionCode::PARAMETER_REQUEST_LIST).unwrap_or_default();
        codes.iter().copied().map(OptionCode)
    }

    /// Option 57 as it came: octets of an IP datagram, headers included. Less than
    /// [`MINIMUM_DATAGRAM_LEN`] is not legal; [`Message::reply_len_max`] corrects it.
    pub fn maximum_message_size(&self) -> Option<u16> {
        self.u16_option(OptionCode::MAXIMUM_DHCP_MESSAGE_SIZE)
    }

    /// [H-07] Octets of UDP payload that the client takes: option 57, or a datagram of 576 octets
    /// if it is absent or says less; without the IP and UDP headers.
    pub fn reply_len_max(&self) -> usize {
        let datagram = self.maximum_message_size().unwrap_or(0).max(MINIMUM_DATAGRAM_LEN);
        usize::from(datagram) - IP_AND_UDP_HEADER_LEN
    }

    /// Option 61.
    pub fn client_identifier(&self) -> Option<ClientIdentifier<'_>> {
        self.option(OptionCode::CLIENT_IDENTIFIER).and_then(ClientIdentifier::decode)
    }

    /// Option 82.
    pub fn relay_agent_information(&self) -> Option<RelayAgentInformation<'_>> {
        let raw = self.option(OptionCode::RELAY_AGENT_INFORMATION)?;
        // `decode` has refused messages in which this fails.
        RelayAgentInformation::decode(raw).ok()
    }

    /// Option 118.
    pub fn subnet_selection(&self) -> Option<Ipv4Addr> {
        self.address_option(OptionCode::SUBNET_SELECTION)
    }

    /// Option 60, as opaque octets; `None` if it is empty.
    pub fn vendor_class_identifier(&self) -> Option<&[u8]> {
        self.option(OptionCode::VENDOR_CLASS_IDENTIFIER).filter(|value| !value.is_empty())
    }

    /// Option 77 as it came; `None` if it is empty. RFC 3004 wants a list of lengths and classes
    /// and many clients, among them network boot loaders, send one bare class.
    pub fn user_class(&self) -> Option<&[u8]> {
        self.option(OptionCode::USER_CLASS).filter(|value| !value.is_empty())
    }

    /// Option 12 without the NULs some clients end it with (RFC 2132 section 2); `None` if nothing
    /// is left.
    pub fn host_name(&self) -> Option<&[u8]> {
        self.option(OptionCode::HOST_NAME).map(without_nul).filter(|name| !name.is_empty())
    }

    /// Option 81.
    pub fn client_fqdn(&self) -> Option<ClientFqdn<'_>> {
        self.option(OptionCode::CLIENT_FQDN).and_then(|value| ClientFqdn::decode(value).ok())
    }

    /// Option 80: the client takes a DHCPACK for its DHCPDISCOVER.
    pub fn rapid_commit(&self) -> bool {
        self.options.contains(OptionCode::RAPID_COMMIT)
    }

    /// Option 221.
    pub fn vss(&self) -> Option<Vss<'_>> {
        self.option(OptionCode::VSS).and_then(|value| Vss::decode(value).ok())
    }

    /// An option of one octet.
    pub fn u8_option(&self, code: OptionCode) -> Option<u8> {
        self.option(code)?.try_into().ok().map(u8::from_be_bytes)
    }

    /// An option of two octets.
    pub fn u16_option(&self, code: OptionCode) -> Option<u16> {
        self.option(code)?.try_into().ok().map(u16::from_be_bytes)
    }

    /// An option of four octets as a number.
    pub fn u32_option(&self, code: OptionCode) -> Option<u32> {
        self.option(code)?.try_into().ok().map(u32::from_be_bytes)
    }

    /// An option of four octets as an address.
    pub fn address_option(&self, code: OptionCode) -> Option<Ipv4Addr> {
        self.u32_option(code).map(Ipv4Addr::from)
    }
}

/// Octets of the IP header without options and of the UDP header.
const IP_AND_UDP_HEADER_LEN: usize = 28;

fn until_nul(field: &[u8]) -> &[u8] {
    let len = field.iter().position(|octet| *octet == 0).unwrap_or(field.len());
    &field[..len]
}

fn without_nul(text: &[u8]) -> &[u8] {
    let len = text.iter().rposition(|octet| *octet != 0).map_or(0, |last| last + 1);
    &text[..len]
}

#[cfg(test)]
#[path = "message_tests.rs"]
pub(crate) mod tests;
