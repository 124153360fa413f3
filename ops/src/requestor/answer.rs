//! One answer: what a message of a server says about one address, in the requestor's own time. Pure.
//!
//! Bulk answers are kept by the million, so a [`Record`] is small: what reconciling needs has fields, and the options
//! lie one after the other in memory of their own.

use super::moment::Moment;
use super::query::{Dialect, Form, Hardware};
use server_wire::options::o156_dhcp_state::DATA_SOURCE_REMOTE;
use server_wire::{
    DhcpState, DraftStatus, DraftStatusCode, Message, MessageType, Op, OptionCode,
    RelayAgentInformation, StatusCode,
};
use std::fmt;
use std::net::Ipv4Addr;

/// The place of a server in the list of those asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServerIndex(pub u16);

/// What a server says an address is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// A state of RFC 6926 section 6.2.7.
    Told(DhcpState),
    /// Not leased, and no more was said.
    Unassigned,
}

impl State {
    /// Lower case, one word.
    pub const fn as_str(self) -> &'static str {
        match self {
            State::Told(DhcpState::Available) => "available",
            State::Told(DhcpState::Active) => "active",
            State::Told(DhcpState::Expired) => "expired",
            State::Told(DhcpState::Released) => "released",
            State::Told(DhcpState::Abandoned) => "abandoned",
            State::Told(DhcpState::Reset) => "reset",
            State::Told(DhcpState::Remote) => "remote",
            State::Told(DhcpState::Transitioning) => "transitioning",
            State::Unassigned => "unassigned",
        }
    }

    /// Whether somebody holds the address.
    pub fn is_active(self) -> bool {
        self == State::Told(DhcpState::Active)
    }
}

/// What one server says about one address. Times are by the requestor's clock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The address.
    pub address: Ipv4Addr,
    /// Who says so.
    pub server: ServerIndex,
    /// Its state.
    pub state: State,
    /// The server learned it from another one.
    pub remote: bool,
    /// It comes from a reservation (draft of 2001).
    pub reservation: bool,
    /// The times stand in relation to a base-time, so that they are exact to the second.
    pub exact: bool,
    hlen: u8,
    htype: u8,
    chaddr: [u8; 16],
    /// The Server Identifier of the answer it belongs to.
    pub server_identifier: Option<Ipv4Addr>,
    /// When this was said.
    pub told: Moment,
    /// The client's last transaction about this address.
    pub last_transaction: Option<Moment>,
    /// Since when it is in this state.
    pub start_of_state: Option<Moment>,
    /// When the state ends by itself; [`Moment::NEVER`] for an infinite lease.
    pub expires: Option<Moment>,
    /// Code, length in two octets, value; one after the other.
    options: Box<[u8]>,
}

/// Options that have fields of their own or speak of the message only.
const NOT_KEPT: [OptionCode; 9] = [
    OptionCode::DHCP_MESSAGE_TYPE,
    OptionCode::SERVER_IDENTIFIER,
    OptionCode::IP_ADDRESS_LEASE_TIME,
    OptionCode::BASE_TIME,
    OptionCode::START_TIME_OF_STATE,
    OptionCode::DHCP_STATE,
    OptionCode::DATA_SOURCE,
    OptionCode::STATUS_CODE,
    OptionCode::AUTHENTICATION,
];

impl Record {
    /// The client's hardware address, if there is one.
    pub fn hardware(&self) -> Option<Hardware> {
        let octets = self.chaddr.get(..usize::from(self.hlen)).unwrap_or_default();
        (!octets.is_empty()).then(|| Hardware { htype: self.htype, octets: octets.to_vec() })
    }

    /// The value of an option that came with it.
    pub fn option(&self, code: OptionCode) -> Option<&[u8]> {
        self.options().find(|(found, _)| *found == code).map(|(_, value)| value)
    }

    /// Every option that came with it and has no field.
    pub fn options(&self) -> impl Iterator<Item = (OptionCode, &[u8])> {
        let mut rest = &self.options[..];
        std::iter::from_fn(move || {
            let (head, tail) = rest.split_first_chunk::<3>()?;
            let (value, after) = tail.split_at(usize::from(u16::from_be_bytes([head[1], head[2]])));
            rest = after;
            Some((OptionCode(head[0]), value))
        })
    }

    /// Option 61.
    pub fn client_identifier(&self) -> Option<&[u8]> {
        self.option(OptionCode::CLIENT_IDENTIFIER)
    }

    /// Option 82.
    pub fn relay_agent_information(&self) -> Option<RelayAgentInformation<'_>> {
        let raw = self.option(OptionCode::RELAY_AGENT_INFORMATION)?;
        RelayAgentInformation::decode(raw).ok()
    }

    /// The same about the address, the client and the place, whoever says it and when.
    pub(super) fn agrees_with(&self, other: &Record) -> bool {
        self.state == other.state
            && (self.htype, self.hlen, self.chaddr) == (other.htype, other.hlen, other.chaddr)
            && [OptionCode::CLIENT_IDENTIFIER, OptionCode::RELAY_AGENT_INFORMATION]
                .iter()
                .all(|code| self.option(*code) == other.option(*code))
            && near(self.last_transaction, other.last_transaction)
    }
}

/// What may be the same moment, told by two servers; a moment that only one tells is no contradiction.
fn near(one: Option<Moment>, other: Option<Moment>) -> bool {
    let apart = one.zip(other).map_or(0, |(one, other)| one.seconds_since(other));
    apart.abs() <= SKEW_IGNORED_SECONDS
}

/// The status of an answer, out of either number space.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// All is well; also what no status means.
    Success,
    /// A failure of no other kind.
    UnspecFail,
    /// The server ended the query before its end.
    QueryTerminated,
    /// The server could not understand the query.
    MalformedQuery,
    /// This requestor may not ask this.
    NotAllowed,
    /// The server does not know this kind of query (draft of 2008).
    UnknownQueryType,
    /// The server no longer has all that catch-up asks for (RFC 7724).
    DataMissing,
    /// Nothing to say, and alive (RFC 7724).
    ConnectionActive,
    /// Catch-up is over (RFC 7724).
    CatchUpComplete,
    /// There will be no TLS (RFC 7724).
    TlsConnectionRefused,
    /// A number that the documents do not have.
    Unassigned(u16),
}

/// A status with the server's words for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatusReport {
    /// The code.
    pub status: Status,
    /// Its text; often empty.
    pub text: Box<str>,
}

impl StatusReport {
    fn success() -> StatusReport {
        StatusReport { status: Status::Success, text: "".into() }
    }

    /// The server will be able to answer another time.
    pub fn is_terminated(&self) -> bool {
        self.status == Status::QueryTerminated
    }

    /// The two number spaces share 0, 1, 3 and 4; 2 and 5 differ.
    fn of(message: &Message<'_>, form: &Form) -> StatusReport {
        let read = match form.dialect {
            Dialect::Rfc => message
                .option(OptionCode::STATUS_CODE)
                .and_then(|value| server_wire::Status::decode(value).ok())
                .map(|status| (rfc_status(status.code), status.message)),
            Dialect::Draft => message
                .option(form.numbers.status_code)
                .and_then(|value| DraftStatus::decode(value).ok())
                .map(|status| (draft_status(status.code), status.message)),
        };
        read.map_or_else(StatusReport::success, |(status, text)| StatusReport {
            status,
            // It goes to a terminal.
            text: text.chars().filter(|c| !c.is_control()).collect::<String>().into(),
        })
    }
}

impl fmt::Display for StatusReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.status {
            Status::Unassigned(number) => write!(f, "status {number}")?,
            known => write!(f, "{known:?}")?,
        }
        if !self.text.is_empty() {
            write!(f, " (\"{}\")", self.text)?;
        }
        Ok(())
    }
}

fn rfc_status(number: u8) -> Status {
    match StatusCode::from_u8(number) {
        Some(StatusCode::Success) => Status::Success,
        Some(StatusCode::UnspecFail) => Status::UnspecFail,
        Some(StatusCode::QueryTerminated) => Status::QueryTerminated,
        Some(StatusCode::MalformedQuery) => Status::MalformedQuery,
        Some(StatusCode::NotAllowed) => Status::NotAllowed,
        Some(StatusCode::DataMissing) => Status::DataMissing,
        Some(StatusCode::ConnectionActive) => Status::ConnectionActive,
        Some(StatusCode::CatchUpComplete) => Status::CatchUpComplete,
        Some(StatusCode::TlsConnectionRefused) => Status::TlsConnectionRefused,
        None => Status::Unassigned(number.into()),
    }
}

fn draft_status(number: u16) -> Status {
    match DraftStatusCode::from_u16(number) {
        Some(DraftStatusCode::Success) => Status::Success,
        Some(DraftStatusCode::UnspecFail) => Status::UnspecFail,
        Some(DraftStatusCode::UnknownQueryType) => Status::UnknownQueryType,
        Some(DraftStatusCode::MalformedQuery) => Status::MalformedQuery,
        Some(DraftStatusCode::NotAllowed) => Status::NotAllowed,
        Some(DraftStatusCode::QueryTerminated) => Status::QueryTerminated,
        None => Status::Unassigned(number),
    }
}

/// One message of a server, read.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The transaction that it answers.
    pub xid: u32,
    /// What it is.
    pub message_type: MessageType,
    /// What it says about an address, if it does.
    pub record: Option<Record>,
    /// The server's clock when it said so.
    pub base_time: Option<u32>,
    /// Who it says it is.
    pub server_identifier: Option<Ipv4Addr>,
    /// How it went.
    pub status: StatusReport,
    /// The other addresses of the client (option 92).
    pub associated: Vec<Ipv4Addr>,
}

/// The difference between a server's clock and the requestor's, taken from the first base-time of a connection:
/// that message has waited least in buffers.
#[derive(Clone, Copy, Debug, Default)]
pub struct ServerClock {
    ahead_seconds: Option<i64>,
}

/// Clocks that are nearer than this to each other count as set alike: the difference may be the way of the message,
/// and taking it in would make two servers with the same data look different.
const SKEW_IGNORED_SECONDS: i64 = 2;

impl ServerClock {
    /// A moment of the server's clock by the requestor's.
    // Converted before anything is compared, as RFC 6926 section 7.6 wants it.
    fn own(&mut self, server_seconds: u32, received: Moment) -> Moment {
        let theirs = i64::from(server_seconds);
        let ahead = *self.ahead_seconds.get_or_insert_with(|| {
            let ahead = theirs - i64::from(received.unix());
            if ahead.abs() <= SKEW_IGNORED_SECONDS { 0 } else { ahead }
        });
        Moment::from_unix(theirs - ahead)
    }
}

/// A message that answers nothing: a request, or a type that no form has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoReply;

/// Reads one message that came at `received`.
///
/// # Errors
/// It is not a reply, or has no type that is known.
pub fn read(
    message: &Message<'_>,
    form: &Form,
    clock: &mut ServerClock,
    received: Moment,
    server: ServerIndex,
) -> Result<Reply, NoReply> {
    let message_type = message.message_type_with(&form.numbers).ok_or(NoReply)?;
    // DHCPTLS is the only message that both ends send.
    if message.header.op != Op::BootReply {
        return Err(NoReply);
    }
    let base_time = message.u32_option(OptionCode::BASE_TIME);
    let told = base_time.map_or(received, |seconds| clock.own(seconds, received));
    let server_identifier = message.server_identifier();
    Ok(Reply {
        xid: message.header.xid,
        message_type,
        record: record(message, message_type, form, told, server),
        base_time,
        server_identifier,
        status: StatusReport::of(message, form),
        associated: addresses(message.option(associated_ip(form))),
    })
}

fn record(
    message: &Message<'_>,
    message_type: MessageType,
    form: &Form,
    told: Moment,
    server: ServerIndex,
) -> Option<Record> {
    let address = message.header.ciaddr;
    if address.is_unspecified() {
        return None;
    }
    let state = state(message, message_type)?;
    let header = &message.header;
    let ago = |code| message.u32_option(code).map(|seconds| told.plus(-i64::from(seconds)));
    let expires = message.lease_time_seconds().map(|seconds| match seconds {
        u32::MAX => Moment::NEVER,
        seconds => told.plus(seconds.into()),
    });
    // [B-48] Absent is local, and the bits without a meaning have none.
    let data_source = message.u8_option(OptionCode::DATA_SOURCE).unwrap_or(0);
    Some(Record {
        address,
        server,
        state,
        remote: data_source & DATA_SOURCE_REMOTE != 0,
        reservation: message_type == MessageType::DraftKnown
            && header.flags & form.numbers.flag_reservation != 0,
        exact: message.option(OptionCode::BASE_TIME).is_some(),
        hlen: header.chaddr().len() as u8,
        htype: header.htype,
        chaddr: header.chaddr_field,
        server_identifier: message.server_identifier(),
        told,
        last_transaction: ago(last_transaction(form, message_type)),
        start_of_state: ago(OptionCode::START_TIME_OF_STATE),
        expires,
        options: kept(message, form),
    })
}

fn state(message: &Message<'_>, message_type: MessageType) -> Option<State> {
    // [B-49] Each state stands for itself: none is expected before or after another.
    let told = message.u8_option(OptionCode::DHCP_STATE).and_then(DhcpState::from_u8);
    match message_type {
        MessageType::LeaseActive | MessageType::DraftLeaseData => {
            Some(State::Told(told.unwrap_or(DhcpState::Active)))
        }
        MessageType::LeaseUnassigned => Some(told.map_or(State::Unassigned, State::Told)),
        // [L-14] [L-15] The lease time, which was asked for, tells whether there is a lease.
        MessageType::DraftKnown => match message.lease_time_seconds() {
            Some(seconds) if seconds > 0 => Some(State::Told(DhcpState::Active)),
            _ => Some(State::Unassigned),
        },
        _ => None,
    }
}

fn last_transaction(form: &Form, message_type: MessageType) -> OptionCode {
    match message_type {
        MessageType::DraftKnown => form.numbers.client_last_transaction_time,
        _ => OptionCode::CLIENT_LAST_TRANSACTION_TIME,
    }
}

fn associated_ip(form: &Form) -> OptionCode {
    match form.dialect {
        Dialect::Rfc => OptionCode::ASSOCIATED_IP,
        Dialect::Draft => form.numbers.associated_ip,
    }
}

fn addresses(value: Option<&[u8]>) -> Vec<Ipv4Addr> {
    let (chunks, _) = value.unwrap_or_default().as_chunks::<4>();
    chunks.iter().map(|octets| Ipv4Addr::from(*octets)).collect()
}

fn kept(message: &Message<'_>, form: &Form) -> Box<[u8]> {
    let has_field = |code: OptionCode| {
        NOT_KEPT.contains(&code)
            || code == OptionCode::CLIENT_LAST_TRANSACTION_TIME
            || code == associated_ip(form)
            || (form.dialect == Dialect::Draft
                && (code == form.numbers.client_last_transaction_time
                    || code == form.numbers.status_code))
    };
    let mut octets = Vec::new();
    for (code, value) in message.options().iter().filter(|(code, _)| !has_field(*code)) {
        // A value is a part of a message, whose length fits two octets.
        let len = value.len() as u16;
        octets.push(code.0);
        octets.extend_from_slice(&len.to_be_bytes());
        octets.extend_from_slice(value);
    }
    octets.into()
}

#[cfg(test)]
#[path = "answer_tests.rs"]
mod tests;
