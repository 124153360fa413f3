//! Whole DHCP messages for scripted clients: any field may be anything, also what no good client
//! would send (RFC 2131 figure 1 and §4.1, RFC 2132).

use std::net::Ipv4Addr;

use anyhow::{Result, bail, ensure};

/// Option codes that the tests name (RFC 2132, RFC 3046, RFC 3118, RFC 4388, RFC 6607, RFC 6842,
/// RFC 6926, and the configured ones of the two drafts).
pub mod option {
    /// Subnet mask, RFC 2132 §3.3.
    pub const SUBNET_MASK: u8 = 1;
    /// Routers, RFC 2132 §3.5.
    pub const ROUTERS: u8 = 3;
    /// Domain name servers, RFC 2132 §3.8.
    pub const DOMAIN_NAME_SERVERS: u8 = 6;
    /// Host name, RFC 2132 §3.14.
    pub const HOST_NAME: u8 = 12;
    /// Requested IP address, RFC 2132 §9.1.
    pub const REQUESTED_ADDRESS: u8 = 50;
    /// IP address lease time, seconds, RFC 2132 §9.2.
    pub const LEASE_TIME: u8 = 51;
    /// Option overload, RFC 2132 §9.3.
    pub const OVERLOAD: u8 = 52;
    /// DHCP message type, RFC 2132 §9.6.
    pub const MESSAGE_TYPE: u8 = 53;
    /// Server identifier, RFC 2132 §9.7.
    pub const SERVER_ID: u8 = 54;
    /// Parameter request list, RFC 2132 §9.8.
    pub const PARAMETERS: u8 = 55;
    /// Renewal time T1, seconds, RFC 2132 §9.11.
    pub const T1: u8 = 58;
    /// Rebinding time T2, seconds, RFC 2132 §9.12.
    pub const T2: u8 = 59;
    /// Client identifier, RFC 2132 §9.14.
    pub const CLIENT_ID: u8 = 61;
    /// Relay agent information, RFC 3046.
    pub const RELAY_AGENT: u8 = 82;
    /// Client-last-transaction-time, seconds ago, RFC 4388 §6.1.
    pub const LAST_TRANSACTION: u8 = 91;
    /// Associated IP addresses, RFC 4388 §6.1.
    pub const ASSOCIATED_IP: u8 = 92;
    /// Vendor class identifier, RFC 2132 §9.13.
    pub const VENDOR_CLASS: u8 = 60;
    /// Client FQDN, RFC 4702 §2.
    pub const CLIENT_FQDN: u8 = 81;
    /// Authentication, RFC 3118 §2.
    pub const AUTHENTICATION: u8 = 90;
    /// Status-code, RFC 6926 §6.2.2.
    pub const STATUS_CODE: u8 = 151;
    /// Base-time, absolute seconds, RFC 6926 §6.2.3.
    pub const BASE_TIME: u8 = 152;
    /// Start-time-of-state, seconds before base-time, RFC 6926 §6.2.4.
    pub const START_TIME_OF_STATE: u8 = 153;
    /// Query-start-time, absolute seconds, RFC 6926 §6.2.5.
    pub const QUERY_START_TIME: u8 = 154;
    /// Query-end-time, absolute seconds, RFC 6926 §6.2.6.
    pub const QUERY_END_TIME: u8 = 155;
    /// Dhcp-state, RFC 6926 §6.2.7.
    pub const DHCP_STATE: u8 = 156;
    /// Data-source, RFC 6926 §6.2.8.
    pub const DATA_SOURCE: u8 = 157;
    /// Virtual subnet selection (VPN-ID), RFC 6607 §3.1.
    pub const VPN_ID: u8 = 221;
    /// Client-requested-host-name of draft-ietf-dhc-leasequery-01 §6.8.3, at its default number.
    pub const CLIENT_REQUESTED_HOST_NAME: u8 = 233;
    /// STATUS_CODE of draft-dtv-dhc-dhcpv4-bulk-leasequery-00 §7.4.1, at its default number.
    pub const DRAFT_STATUS_CODE: u8 = 234;
}

/// Values of option 53 that the tests name (RFC 2132 §9.6, RFC 4388 §6.1, RFC 6926 §6.2.1, RFC 7724
/// §5.2.1, and the configured ones of the two drafts at their default numbers).
pub mod kind {
    /// DHCPDISCOVER.
    pub const DISCOVER: u8 = 1;
    /// DHCPOFFER.
    pub const OFFER: u8 = 2;
    /// DHCPREQUEST.
    pub const REQUEST: u8 = 3;
    /// DHCPDECLINE.
    pub const DECLINE: u8 = 4;
    /// DHCPACK.
    pub const ACK: u8 = 5;
    /// DHCPNAK.
    pub const NAK: u8 = 6;
    /// DHCPRELEASE.
    pub const RELEASE: u8 = 7;
    /// DHCPINFORM.
    pub const INFORM: u8 = 8;
    /// DHCPLEASEQUERY.
    pub const LEASEQUERY: u8 = 10;
    /// DHCPLEASEUNASSIGNED.
    pub const LEASEUNASSIGNED: u8 = 11;
    /// DHCPLEASEUNKNOWN.
    pub const LEASEUNKNOWN: u8 = 12;
    /// DHCPLEASEACTIVE.
    pub const LEASEACTIVE: u8 = 13;
    /// DHCPBULKLEASEQUERY.
    pub const BULKLEASEQUERY: u8 = 14;
    /// DHCPLEASEQUERYDONE.
    pub const LEASEQUERYDONE: u8 = 15;
    /// DHCPACTIVELEASEQUERY.
    pub const ACTIVELEASEQUERY: u8 = 16;
    /// DHCPLEASEQUERYSTATUS.
    pub const LEASEQUERYSTATUS: u8 = 17;
    /// DHCPTLS.
    pub const TLS: u8 = 18;
    /// DHCPLEASEDATA of draft-dtv-dhc-dhcpv4-bulk-leasequery-00 §7.2.1.
    pub const LEASEDATA: u8 = 230;
    /// DHCPLEASEDONE of the same draft, §7.2.2.
    pub const LEASEDONE: u8 = 231;
    /// DHCPLEASEQUERYFAIL of the same draft, §7.2.3.
    pub const LEASEQUERYFAIL: u8 = 232;
    /// DHCPLEASEQUERY of draft-ietf-dhc-leasequery-01 §6.1.
    pub const DRAFT_LEASEQUERY: u8 = 233;
    /// DHCPKNOWN of the same draft.
    pub const KNOWN: u8 = 234;
    /// DHCPUNKNOWN of the same draft.
    pub const UNKNOWN: u8 = 235;
}

const OPTIONS_AT: usize = 240;
const COOKIE: [u8; 4] = [99, 130, 83, 99];

/// One message. Fields have the names of RFC 2131 figure 1; options stand in their order.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // RFC 2131 table 1 documents them.
pub struct Packet {
    pub op: u8,
    pub htype: u8,
    pub hlen: u8,
    pub hops: u8,
    pub xid: u32,
    pub secs: u16,
    pub flags: u16,
    pub ciaddr: Ipv4Addr,
    pub yiaddr: Ipv4Addr,
    pub siaddr: Ipv4Addr,
    pub giaddr: Ipv4Addr,
    pub chaddr: [u8; 16],
    pub sname: Vec<u8>,
    pub file: Vec<u8>,
    pub options: Vec<(u8, Vec<u8>)>,
}

impl Packet {
    /// A BOOTREQUEST of this message type from this Ethernet address.
    pub fn new(message_type: u8, mac: [u8; 6]) -> Self {
        let mut chaddr = [0; 16];
        chaddr[..6].copy_from_slice(&mac);
        Packet {
            op: 1,
            htype: 1,
            hlen: 6,
            hops: 0,
            xid: 0,
            secs: 0,
            flags: 0,
            ciaddr: Ipv4Addr::UNSPECIFIED,
            yiaddr: Ipv4Addr::UNSPECIFIED,
            siaddr: Ipv4Addr::UNSPECIFIED,
            giaddr: Ipv4Addr::UNSPECIFIED,
            chaddr,
            sname: Vec::new(),
            file: Vec::new(),
            options: vec![(option::MESSAGE_TYPE, vec![message_type])],
        }
    }

    /// Appends an option.
    pub fn with(mut self, code: u8, value: impl Into<Vec<u8>>) -> Self {
        self.options.push((code, value.into()));
        self
    }

    /// Leaves an option out.
    pub fn without(mut self, code: u8) -> Self {
        self.options.retain(|(each, _)| *each != code);
        self
    }

    /// The octets of a datagram, at least 300 of them (RFC 1542 §2.1).
    pub fn encode(&self) -> Vec<u8> {
        let mut out = self.encode_unpadded();
        out.resize(out.len().max(300), 0);
        out
    }

    /// The octets up to the End option: a message on a TCP connection, which knows no shortest one.
    pub fn encode_unpadded(&self) -> Vec<u8> {
        let mut out = vec![self.op, self.htype, self.hlen, self.hops];
        out.extend(self.xid.to_be_bytes());
        out.extend(self.secs.to_be_bytes());
        out.extend(self.flags.to_be_bytes());
        for address in [self.ciaddr, self.yiaddr, self.siaddr, self.giaddr] {
            out.extend(address.octets());
        }
        out.extend(self.chaddr);
        for (field, length) in [(&self.sname, 64), (&self.file, 128)] {
            out.extend(field.iter().copied().chain(std::iter::repeat(0)).take(length));
        }
        out.extend(COOKIE);
        for (code, value) in &self.options {
            // RFC 3396: a value longer than an option holds is split over several.
            let parts: Vec<&[u8]> =
                if value.is_empty() { vec![&[]] } else { value.chunks(255).collect() };
            for part in parts {
                out.extend([*code, part.len() as u8]);
                out.extend(part);
            }
        }
        out.push(255);
        out
    }

    /// Reads a message.
    ///
    /// # Errors
    /// It is shorter than a header, has another cookie, or an option runs over its end: a test
    /// that receives such a reply has found a fault.
    pub fn decode(octets: &[u8]) -> Result<Packet> {
        ensure!(octets.len() >= OPTIONS_AT, "{} octets are no DHCP message", octets.len());
        ensure!(octets[236..240] == COOKIE, "no magic cookie");
        let address = |at: usize| -> Ipv4Addr {
            Ipv4Addr::new(octets[at], octets[at + 1], octets[at + 2], octets[at + 3])
        };
        let mut chaddr = [0; 16];
        chaddr.copy_from_slice(&octets[28..44]);
        let mut packet = Packet {
            op: octets[0],
            htype: octets[1],
            hlen: octets[2],
            hops: octets[3],
            xid: address(4).to_bits(),
            secs: u16::from_be_bytes([octets[8], octets[9]]),
            flags: u16::from_be_bytes([octets[10], octets[11]]),
            ciaddr: address(12),
            yiaddr: address(16),
            siaddr: address(20),
            giaddr: address(24),
            chaddr,
            sname: octets[44..108].to_vec(),
            file: octets[108..236].to_vec(),
            options: read_options(&octets[OPTIONS_AT..])?,
        };
        // RFC 2131 §4.1: the options field first, then file, then sname.
        let overload = packet.option(option::OVERLOAD).and_then(|value| value.first().copied());
        if overload.is_some_and(|which| which & 1 != 0) {
            packet.options.extend(read_options(&octets[108..236])?);
        }
        if overload.is_some_and(|which| which & 2 != 0) {
            packet.options.extend(read_options(&octets[44..108])?);
        }
        Ok(packet)
    }

    /// An option's value, all of its parts joined (RFC 3396).
    pub fn option(&self, code: u8) -> Option<Vec<u8>> {
        let mut parts = self.options.iter().filter(|(each, _)| *each == code).peekable();
        parts.peek()?;
        Some(parts.flat_map(|(_, value)| value.iter().copied()).collect())
    }

    /// The message type; 0 if there is none.
    pub fn kind(&self) -> u8 {
        self.option(option::MESSAGE_TYPE).and_then(|value| value.first().copied()).unwrap_or(0)
    }

    /// An option that is one unsigned 32-bit number.
    pub fn number(&self, code: u8) -> Option<u32> {
        let value: [u8; 4] = self.option(code)?.try_into().ok()?;
        Some(u32::from_be_bytes(value))
    }

    /// An option that is one address.
    pub fn address(&self, code: u8) -> Option<Ipv4Addr> {
        self.number(code).map(Ipv4Addr::from_bits)
    }
}

fn read_options(mut rest: &[u8]) -> Result<Vec<(u8, Vec<u8>)>> {
    let mut options = Vec::new();
    loop {
        rest = match *rest {
            [] => bail!("no End option"),
            [255, ..] => return Ok(options),
            [0, ref tail @ ..] => tail,
            [code] => bail!("option {code} has no length"),
            [code, length, ref tail @ ..] => {
                let Some((value, tail)) = tail.split_at_checked(usize::from(length)) else {
                    bail!("option {code} runs over the end");
                };
                options.push((code, value.to_vec()));
                tail
            }
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_read_back_as_it_was_written() {
        let mut packet = Packet::new(kind::REQUEST, [2, 0, 0, 0, 0, 1])
            .with(option::SERVER_ID, [192, 0, 2, 1])
            .with(option::RELAY_AGENT, [1, 1, 9]);
        (packet.xid, packet.giaddr) = (0xfeed_f00d, Ipv4Addr::new(10, 0, 0, 1));
        let mut read = Packet::decode(&packet.encode()).expect("readable");
        (read.sname, read.file) = (Vec::new(), Vec::new());
        assert_eq!(read, packet);
        assert_eq!(read.kind(), kind::REQUEST);
        assert_eq!(read.address(option::SERVER_ID), Some(Ipv4Addr::new(192, 0, 2, 1)));
    }

    #[test]
    fn overloaded_fields_are_read_after_the_options() {
        let mut packet = Packet::new(kind::ACK, [0; 6]).with(option::OVERLOAD, [3]);
        packet.file = vec![12, 1, b'a', 255];
        packet.sname = vec![12, 1, b'b', 255];
        let read = Packet::decode(&packet.encode()).expect("readable");
        assert_eq!(read.option(option::HOST_NAME), Some(b"ab".to_vec()));
    }

    #[test]
    fn long_options_are_split_and_joined() {
        let value = vec![7u8; 300];
        let packet = Packet::new(kind::ACK, [0; 6]).with(43, value.clone());
        let read = Packet::decode(&packet.encode()).expect("readable");
        assert_eq!(read.options.iter().filter(|(code, _)| *code == 43).count(), 2);
        assert_eq!(read.option(43), Some(value));
    }

    #[test]
    fn damaged_messages_are_refused() {
        let good = Packet::new(kind::ACK, [0; 6]).encode();
        let check = |octets: &[u8]| assert!(Packet::decode(octets).is_err());
        check(&good[..239]);
        check(&good[..243]);
        let mut other_cookie = good.clone();
        other_cookie[236] = 0;
        check(&other_cookie);
        let mut overrun = good[..240].to_vec();
        overrun.extend([53, 9, 1]);
        check(&overrun);
    }
}
