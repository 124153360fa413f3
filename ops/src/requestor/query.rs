//! What is asked, and its message in each document's form. Pure.
//!
//! | form | document | type | keys |
//! | --- | --- | --- | --- |
//! | `Udp`, `Rfc` | RFC 4388, RFC 6148 | DHCPLEASEQUERY (10) | address, hardware, client identifier, Remote-ID |
//! | `Udp`, `Draft` | draft-ietf-dhc-leasequery-01 | its own, settable | address, hardware, client identifier with or without hardware |
//! | `Bulk`, `Rfc` | RFC 6926 | DHCPBULKLEASEQUERY (14) | hardware, client identifier, Remote-ID, Relay-ID, everything |
//! | `Bulk`, `Draft` | draft-dtv-dhc-dhcpv4-bulk-leasequery-00 | DHCPLEASEQUERY (10) | address, hardware, client identifier, Remote-ID, Relay-ID |
//! | `Active` | RFC 7724 | DHCPACTIVELEASEQUERY (16) | everything |

use super::error::Unaskable;
use server_wire::options::PART_LEN_MAX;
use server_wire::{
    CodePoints, Framing, Header, MESSAGE_LEN_MAX, MessageType, MessageWriter, Op, OptionCode,
    SubOptionCode, SubOptionWriter, Vss,
};
use std::net::Ipv4Addr;

/// The family of documents that both ends speak.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Dialect {
    /// RFC 4388, 6148, 6926 and 7724.
    #[default]
    Rfc,
    /// The drafts of 2001 (UDP) and 2008 (TCP).
    Draft,
}

/// How a query travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exchange {
    /// Datagrams: one answer.
    Udp,
    /// A connection: a stream of answers that ends.
    Bulk,
    /// A connection: a stream of answers without an end.
    Active,
}

/// A hardware address as `htype`, `hlen` and `chaddr` have it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hardware {
    /// 1 is Ethernet.
    pub htype: u8,
    /// At most 16 octets count.
    pub octets: Vec<u8>,
}

/// Whom or what is asked about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Key {
    /// Who has this address?
    Address(Ipv4Addr),
    /// What has this hardware address?
    Hardware(Hardware),
    /// What has this client identifier? With a hardware address, both must match (draft of 2001 only).
    ClientIdentifier {
        /// The value of option 61, type octet included.
        identifier: Vec<u8>,
        /// Must match too, if it is there.
        hardware: Option<Hardware>,
    },
    /// What is behind this remote end (option 82, sub-option 2)?
    RemoteId(Vec<u8>),
    /// What is behind this relay agent (option 82, sub-option 12)?
    RelayId(Vec<u8>),
    /// All configured addresses.
    Everything,
}

/// The VPN that is asked about (RFC 6607).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Vpn {
    /// The default one.
    #[default]
    Global,
    /// The one with this name.
    Name(Vec<u8>),
    /// The one with this VPN-ID (RFC 2685).
    Id([u8; 7]),
    /// Every one (RFC 6926 section 6.2.9).
    All,
}

/// One query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    /// The primary query.
    pub key: Key,
    /// Only what changed at or after this second, by the server's clock.
    pub start_time: Option<u32>,
    /// Only what changed at or before this second, by the server's clock.
    pub end_time: Option<u32>,
    /// In which VPN.
    pub vpn: Vpn,
    /// Answers may come from a reservation (draft of 2001).
    pub reservations: bool,
    /// Options wanted beside those that every query asks for.
    pub more_options: Vec<OptionCode>,
}

/// What the messages of one run have in common.
#[derive(Clone, Copy, Debug)]
pub struct Form {
    /// The family of documents.
    pub dialect: Dialect,
    /// The numbers that the drafts left open.
    pub numbers: CodePoints,
    /// The requestor's address, where answers over UDP go to; zero asks for an answer to the source of the query.
    pub giaddr: Ipv4Addr,
    /// Answers over UDP come to the port that the query left from (RFC 8357); else to port 67.
    pub answer_to_source_port: bool,
}

impl Default for Form {
    fn default() -> Form {
        Form {
            dialect: Dialect::Rfc,
            numbers: CodePoints::default(),
            giaddr: Ipv4Addr::UNSPECIFIED,
            answer_to_source_port: false,
        }
    }
}

impl Form {
    /// What stands before each message on a connection.
    pub fn framing(&self) -> Framing {
        match self.dialect {
            Dialect::Rfc => Framing::TwoOctet,
            Dialect::Draft => Framing::FourOctet,
        }
    }
}

impl From<Key> for Query {
    fn from(key: Key) -> Query {
        Query {
            key,
            start_time: None,
            end_time: None,
            vpn: Vpn::Global,
            reservations: false,
            more_options: Vec::new(),
        }
    }
}

/// Wanted in every answer.
const WANTED: [OptionCode; 7] = [
    OptionCode::IP_ADDRESS_LEASE_TIME,
    OptionCode::RENEWAL_TIME,
    OptionCode::REBINDING_TIME,
    OptionCode::HOST_NAME,
    OptionCode::VENDOR_CLASS_IDENTIFIER,
    OptionCode::CLIENT_IDENTIFIER,
    OptionCode::RELAY_AGENT_INFORMATION,
];

/// Wanted beside those in RFC 6926 and RFC 7724.
// [B-09] The times; and what reconciling them needs.
const WANTED_IN_BULK: [OptionCode; 4] = [
    OptionCode::BASE_TIME,
    OptionCode::START_TIME_OF_STATE,
    OptionCode::DHCP_STATE,
    OptionCode::DATA_SOURCE,
];

impl Query {
    /// Appends the message, framed if it travels on a connection.
    ///
    /// # Errors
    /// The documents have no such query; nothing is appended.
    pub fn write(
        &self,
        exchange: Exchange,
        form: &Form,
        xid: u32,
        buffer: &mut Vec<u8>,
    ) -> Result<(), Unaskable> {
        self.check(exchange, form)?;
        match exchange {
            Exchange::Udp => self.write_message(exchange, form, xid, buffer),
            Exchange::Bulk | Exchange::Active => {
                // [B-03] Framed on a connection, and only there.
                let framed = form
                    .framing()
                    .frame(buffer, |out| self.write_message(exchange, form, xid, out));
                framed.unwrap_or(Err(Unaskable::TooLong))
            }
        }
    }

    /// Whether the documents have such a query.
    ///
    /// # Errors
    /// Why they have not, and what to do.
    pub fn check(&self, exchange: Exchange, form: &Form) -> Result<(), Unaskable> {
        use Dialect::{Draft, Rfc};
        use Exchange::{Active, Bulk, Udp};
        let timed = self.start_time.is_some() || self.end_time.is_some();
        match (exchange, form.dialect, &self.key) {
            (Active, Draft, _) => return Err(Unaskable::ActiveInDraft),
            // No key, and no qualifier but the start.
            (Active, Rfc, Key::Everything) if self.end_time.is_some() => {
                return Err(Unaskable::EndOfActive);
            }
            (Active, Rfc, Key::Everything) => {}
            (Active, Rfc, _) => return Err(Unaskable::KeyOfActive),
            // [B-07] One primary query of five; by address is none of them.
            (Bulk, Rfc, Key::Address(_)) => return Err(Unaskable::AddressInBulk),
            (Udp, _, Key::RelayId(_) | Key::Everything) => return Err(Unaskable::OverUdp),
            (Udp, Draft, Key::RemoteId(_)) => return Err(Unaskable::RemoteIdInDraft),
            (Bulk, Draft, Key::Everything) => return Err(Unaskable::EverythingInDraft),
            _ => {}
        }
        let conjunction = matches!(&self.key, Key::ClientIdentifier { hardware: Some(_), .. });
        if conjunction && (exchange, form.dialect) != (Udp, Draft) {
            return Err(Unaskable::TwoKeys);
        }
        if timed && (exchange == Udp || form.dialect == Draft) {
            return Err(Unaskable::Qualified);
        }
        match (exchange, form.dialect, &self.vpn) {
            // One answer is about one VPN.
            (Udp, _, Vpn::All) => return Err(Unaskable::AllVpnsOverUdp),
            (Bulk, Draft, vpn) if *vpn != Vpn::Global => return Err(Unaskable::VpnInDraft),
            _ => {}
        }
        if self.reservations && (exchange, form.dialect) != (Udp, Draft) {
            return Err(Unaskable::Reservations);
        }
        match &self.key {
            Key::RemoteId(id) | Key::RelayId(id) if id.len() > PART_LEN_MAX => {
                Err(Unaskable::TooLong)
            }
            _ => Ok(()),
        }
    }

    /// `check` has said yes.
    fn write_message(
        &self,
        exchange: Exchange,
        form: &Form,
        xid: u32,
        buffer: &mut Vec<u8>,
    ) -> Result<(), Unaskable> {
        let relay_agent_information = self.sub_options(exchange, form);
        // The writer lives as long as what it is given, so the message is written beside the buffer.
        let mut octets = Vec::new();
        let mut writer = MessageWriter::new(&mut octets, MESSAGE_LEN_MAX).without_overload();
        if exchange != Exchange::Udp {
            writer = writer.without_padding();
        }
        writer.header(&self.header(exchange, form, xid));
        let mut written = Ok(());
        if !relay_agent_information.is_empty() {
            written = written.and(writer.relay_agent_information(&relay_agent_information));
        }
        let number = form.numbers.number(message_type(exchange, form.dialect));
        written = written.and(writer.option_u8(OptionCode::DHCP_MESSAGE_TYPE, number));
        if let Key::ClientIdentifier { identifier, .. } = &self.key {
            written = written.and(writer.option(OptionCode::CLIENT_IDENTIFIER, identifier));
        }
        // [B-10] Absolute, by the server's clock: the caller has them from its base-time.
        if let Some(seconds) = self.start_time {
            written = written.and(writer.option_u32(OptionCode::QUERY_START_TIME, seconds));
        }
        if let Some(seconds) = self.end_time {
            written = written.and(writer.option_u32(OptionCode::QUERY_END_TIME, seconds));
        }
        if let Some(vss) = self.vss() {
            written = written.and(writer.option(OptionCode::VSS, &vss));
        }
        let wanted: Vec<u8> = self.wanted(exchange, form).iter().map(|code| code.0).collect();
        written = written.and(writer.option(OptionCode::PARAMETER_REQUEST_LIST, &wanted));
        writer.finish();
        // Every value is shorter than a message; what is refused was too long.
        written.map_err(|_| Unaskable::TooLong)?;
        buffer.extend_from_slice(&octets);
        Ok(())
    }

    fn header(&self, exchange: Exchange, form: &Form, xid: u32) -> Header {
        let mut header = Header { xid, ..Header::new(Op::BootRequest) };
        if exchange == Exchange::Udp {
            // [Q-01] [L-05] Where the answer goes, and nothing else.
            header.giaddr = form.giaddr;
        }
        if self.reservations {
            // [L-07] Answers that come from a reservation are welcome.
            header.flags |= form.numbers.flag_reservation;
        }
        // [Q-03] [L-08] [L-09] [L-10] [D-12] [D-13] The one key; whatever belongs to another stays zero.
        match &self.key {
            Key::Address(address) => header.ciaddr = *address,
            Key::Hardware(hardware) | Key::ClientIdentifier { hardware: Some(hardware), .. } => {
                header.set_chaddr(hardware.htype, &hardware.octets);
            }
            Key::ClientIdentifier { .. } | Key::RemoteId(_) | Key::RelayId(_) | Key::Everything => {
            }
        }
        header
    }

    /// The value of option 82; empty if it is not needed.
    fn sub_options(&self, exchange: Exchange, form: &Form) -> Vec<u8> {
        let mut value = Vec::new();
        let mut writer = SubOptionWriter::new(&mut value);
        // [M-01] The one sub-option alone. `check` has seen that the identifier fits.
        let written = match &self.key {
            Key::RemoteId(id) => writer.put(SubOptionCode::REMOTE_ID, id),
            Key::RelayId(id) => writer.put(SubOptionCode::RELAY_ID, id),
            _ if exchange == Exchange::Udp && form.answer_to_source_port => {
                writer.put(SubOptionCode::SOURCE_PORT, &[])
            }
            _ => Some(()),
        };
        debug_assert!(written.is_some());
        value
    }

    /// The value of option 221; none if the default VPN is meant.
    pub(super) fn vss(&self) -> Option<Vec<u8>> {
        let mut value = Vec::new();
        // [B-08] [B-11] The VPN in option 221; without it the default one is searched.
        match &self.vpn {
            Vpn::Global => return None,
            Vpn::Name(name) => Vss::Name(name).encode(&mut value),
            Vpn::Id(id) => Vss::VpnId(id).encode(&mut value),
            Vpn::All => Vss::All.encode(&mut value),
        }
        Some(value)
    }

    /// [Q-02] [L-06] The Parameter Request List.
    fn wanted(&self, exchange: Exchange, form: &Form) -> Vec<OptionCode> {
        let mut wanted = WANTED.to_vec();
        match (exchange, form.dialect) {
            (Exchange::Udp, Dialect::Rfc) => {
                // [M-02] Several addresses behind one remote end are all told.
                wanted.push(OptionCode::ASSOCIATED_IP);
                wanted.push(OptionCode::CLIENT_LAST_TRANSACTION_TIME);
            }
            (Exchange::Udp, Dialect::Draft) => {
                wanted.push(form.numbers.associated_ip);
                wanted.push(form.numbers.client_last_transaction_time);
                wanted.push(form.numbers.client_requested_host_name);
            }
            (_, Dialect::Draft) => wanted.push(OptionCode::CLIENT_LAST_TRANSACTION_TIME),
            (_, Dialect::Rfc) => {
                wanted.push(OptionCode::CLIENT_LAST_TRANSACTION_TIME);
                wanted.extend(WANTED_IN_BULK);
            }
        }
        for code in &self.more_options {
            if !wanted.contains(code) {
                wanted.push(*code);
            }
        }
        wanted
    }
}

fn message_type(exchange: Exchange, dialect: Dialect) -> MessageType {
    match (exchange, dialect) {
        (Exchange::Udp, Dialect::Draft) => MessageType::DraftLeaseQuery,
        (Exchange::Udp, Dialect::Rfc) | (Exchange::Bulk, Dialect::Draft) => MessageType::LeaseQuery,
        (Exchange::Bulk, Dialect::Rfc) => MessageType::BulkLeaseQuery,
        (Exchange::Active, _) => MessageType::ActiveLeaseQuery,
    }
}

#[cfg(test)]
#[path = "query_tests.rs"]
mod tests;
