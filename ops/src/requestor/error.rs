//! Why a query was not asked, and why a server's answer is missing or not whole: which server, and what to do.

use server_wire::{DecodeError, FrameError, MessageType};
use std::net::SocketAddrV4;
use std::path::PathBuf;
use thiserror::Error;

use super::answer::StatusReport;

/// A query that no document has in the form chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Unaskable {
    /// RFC 6926 has no query by IP address.
    #[error(
        "a query by address does not exist in RFC 6926; ask over UDP, or in the draft's dialect"
    )]
    AddressInBulk,
    /// Neither UDP document has them.
    #[error("relay-ids and everything can be asked for over TCP only")]
    OverUdp,
    /// RFC 6148 has it, the draft of 2001 has not.
    #[error(
        "the draft of 2001 has no query by remote-id; ask over TCP, or in the dialect of the RFCs"
    )]
    RemoteIdInDraft,
    /// RFC 6148 section 4.1 allows no other sub-option beside the Remote-ID.
    #[error(
        "a query by remote-id over UDP is not answered to any port; choose the one of relays, 67, or ask over TCP"
    )]
    SourcePortWithRemoteId,
    /// The draft of 2008 has no query for everything.
    #[error(
        "the draft of 2008 cannot ask for everything; name a key, or use the dialect of the RFCs"
    )]
    EverythingInDraft,
    /// RFC 7724 has no draft.
    #[error("active leasequery exists in the dialect of the RFCs only")]
    ActiveInDraft,
    /// RFC 7724 section 7.3.
    #[error("an active leasequery takes no key; it tells of every change")]
    KeyOfActive,
    /// RFC 7724 section 8.2.
    #[error("an active leasequery has no end time")]
    EndOfActive,
    /// Only the draft of 2001 lets a client identifier and a hardware address be asked for together.
    #[error(
        "one key at a time; only the draft's dialect over UDP takes a hardware address with a client identifier"
    )]
    TwoKeys,
    /// RFC 6926 alone has start time and end time.
    #[error("start time and end time need TCP and the dialect of the RFCs")]
    Qualified,
    /// RFC 6926 alone asks about all VPNs at once.
    #[error("all VPNs at once need TCP and the dialect of the RFCs; name one")]
    AllVpnsOverUdp,
    /// The draft of 2008 knows no VPN.
    #[error("over TCP a VPN needs the dialect of the RFCs")]
    VpnInDraft,
    /// The draft of 2001 alone has the RESERVATION flag.
    #[error("reservations can be asked for in the draft's dialect over UDP only")]
    Reservations,
    /// RFC 6926 section 9.
    #[error("secrets authenticate datagrams only; over TCP use --tls")]
    AuthenticatedOverTcp,
    /// An identifier that does not fit its option.
    #[error("the identifier is longer than an option can carry")]
    TooLong,
}

/// Why there is no answer of a server, or no whole one.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RequestorError {
    /// The query cannot be asked in this form.
    #[error(transparent)]
    Unaskable(#[from] Unaskable),
    /// Answers over UDP have nowhere to go.
    #[error("cannot receive answers on {address}; {advice}")]
    Listen {
        /// Where.
        address: SocketAddrV4,
        /// What to do.
        advice: &'static str,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// A datagram could not be sent.
    #[error("cannot send to {server}; check the route to it")]
    Send {
        /// To whom.
        server: SocketAddrV4,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// Nothing came.
    #[error(
        "{server} has not answered within {seconds} s; check the address, and that it permits leasequery from here"
    )]
    Silent {
        /// Who.
        server: SocketAddrV4,
        /// How long it was waited for.
        seconds: u64,
    },
    /// Answers came, and none from somebody who has the secret.
    #[error(
        "{server} answers without proving that it has the secret; check --secret-id and --secret-file"
    )]
    Unproven {
        /// Who.
        server: SocketAddrV4,
    },
    /// Answers came, and none about the VPN that was asked about: the server knows nothing of VPNs, or not this one.
    #[error("{server} answers without naming the VPN; check --vpn, and that it knows this one")]
    OtherVpn {
        /// Who.
        server: SocketAddrV4,
    },
    /// No connection.
    #[error(
        "cannot connect to {server}; check the address, and that it listens for leasequery over TCP"
    )]
    Connect {
        /// To whom.
        server: SocketAddrV4,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// No connection in time.
    #[error(
        "{server} has not accepted a connection within {seconds} s; check the address and the way to it"
    )]
    ConnectTimeout {
        /// Who.
        server: SocketAddrV4,
        /// BULK_LQ_CONN_TIMEOUT.
        seconds: u64,
    },
    /// The stream stood still.
    #[error("{server} has sent nothing for {seconds} s in the middle of an answer")]
    Stalled {
        /// Who.
        server: SocketAddrV4,
        /// BULK_LQ_DATA_TIMEOUT or ACTIVE_LQ_RCV_TIMEOUT.
        seconds: u64,
    },
    /// The connection ended before the answer.
    #[error(
        "{server} closed the connection before its answer was complete; check that it permits this query from here"
    )]
    Closed {
        /// Who.
        server: SocketAddrV4,
    },
    /// The connection broke.
    #[error("the connection to {server} broke")]
    Broken {
        /// Which.
        server: SocketAddrV4,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The time for the whole answer is over.
    #[error(
        "{server} has not answered completely within {seconds} s; allow it more with --timeout"
    )]
    Deadline {
        /// Who.
        server: SocketAddrV4,
        /// The time allowed.
        seconds: u64,
    },
    /// An answer to nothing that was asked: the connection was closed.
    #[error("{server} answered to {xid:#010x}, which was not asked; the connection is closed")]
    ForeignXid {
        /// Who.
        server: SocketAddrV4,
        /// The transaction that it spoke of.
        xid: u32,
    },
    /// A message that has no place in the answer.
    #[error("{server} sent a {message_type}, which is no answer to this query; check --dialect")]
    Unexpected {
        /// Who.
        server: SocketAddrV4,
        /// What came.
        message_type: MessageType,
    },
    /// Not a DHCP message that answers.
    #[error(
        "{server} sent what is no leasequery answer; check the address, --dialect and --numbers"
    )]
    NoAnswer {
        /// Who.
        server: SocketAddrV4,
    },
    /// Not a DHCP message.
    #[error("{server} sent a malformed message; check the address and --dialect")]
    Malformed {
        /// Who.
        server: SocketAddrV4,
        /// What is wrong with it.
        #[source]
        source: DecodeError,
    },
    /// Not a stream of DHCP messages.
    #[error("{server} sent what is no stream of DHCP messages; check the address and --dialect")]
    Unframed {
        /// Who.
        server: SocketAddrV4,
        /// What is wrong with it.
        #[source]
        source: FrameError,
    },
    /// The server said no, or gave up.
    #[error("{server} says {status}{}", advice(status))]
    Refused {
        /// Who.
        server: SocketAddrV4,
        /// What it said.
        status: StatusReport,
    },
    /// The server does not speak TLS.
    #[error("{server} refuses TLS; check `leasequery.tls` of its configuration")]
    TlsRefused {
        /// Who.
        server: SocketAddrV4,
    },
    /// No secure connection came about.
    #[error("no TLS with {server}; check --ca, --certificate and --key")]
    Tls {
        /// With whom.
        server: SocketAddrV4,
        /// What failed.
        #[source]
        source: std::io::Error,
    },
    /// A file of the operator.
    #[error("{flag}: cannot use {}: {reason}", path.display())]
    File {
        /// The argument that names it.
        flag: &'static str,
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
}

impl RequestorError {
    /// Whether the same query to the same server may go better in a while.
    // [D-47] After a refusal it does not: another server, another query, or nothing.
    // [B-51] After a lost connection and after QueryTerminated it may, from the start.
    pub fn may_pass(&self) -> bool {
        match self {
            RequestorError::Connect { .. }
            | RequestorError::ConnectTimeout { .. }
            | RequestorError::Stalled { .. }
            | RequestorError::Closed { .. }
            | RequestorError::Broken { .. }
            | RequestorError::ForeignXid { .. } => true,
            RequestorError::Refused { status, .. } => status.is_terminated(),
            _ => false,
        }
    }
}

fn advice(status: &StatusReport) -> &'static str {
    use super::answer::Status;
    match status.status {
        Status::NotAllowed => "; check that it permits this query from here, or ask another server",
        Status::UnknownQueryType => "; ask another server, or by another key",
        Status::MalformedQuery => "; check --dialect",
        _ => "",
    }
}
