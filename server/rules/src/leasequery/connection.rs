//! How a leasequery connection begins, what it waits for, and why it ends.

use replication_ledger::Timestamp;
use server_wire::FrameError;
use std::net::Ipv4Addr;
use std::time::Duration;

/// How a connection was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connected {
    /// Its source address.
    pub requestor: Ipv4Addr,
    /// It is over TLS from the start.
    pub secured: bool,
    /// The requestor showed a certificate that is valid and, where a name is configured for it, has this name.
    pub certificate_checked: bool,
    /// TLS can be had through DHCPTLS (RFC 7724 section 8.1).
    pub tls_offered: bool,
}

/// The time of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// By the calendar: what messages tell.
    pub now: Timestamp,
    /// Since some beginning, never set back: what timeouts count.
    pub uptime: Duration,
}

/// What a session waits for. Whatever was written to `out` is to be sent first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// For nothing: call again once `out` is sent.
    More,
    /// For octets, if it [wants](Session::wants_octets) them, and for what is said here.
    Wait {
        /// Call again at this uptime at the latest.
        until: Option<Duration>,
        /// Call again when the ledger has changed.
        for_changes: bool,
    },
    /// For the handshake of TLS, which the requestor begins; then call [`Session::secured`], or close if it fails.
    StartTls,
    /// For nothing any more: close the connection.
    Close(CloseReason),
}

/// Why a session ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseReason {
    /// The requestor may not ask here.
    NotPermitted,
    /// The first octets are of no dialect, or there were octets between DHCPTLS and the handshake.
    Junk,
    /// The dialect is not spoken here.
    DialectOff,
    /// A frame has a size that it can not have.
    Frame(FrameError),
    /// A message of a type that may not travel on such a connection (RFC 7724 section 8.1.1), or no message at all.
    MessageType,
    /// A query has the xid of one that is still being answered.
    DuplicateXid,
    /// No query came in time.
    FirstQueryTimeout,
    /// Nothing came for too long, or half a message.
    DataTimeout,
    /// An active leasequery was refused or failed.
    ActiveRefused,
    /// An answer could not be finished.
    Failed,
    /// The requestor closed its end.
    EndOfStream,
    /// The server stops.
    ShutDown,
}

impl CloseReason {
    /// The reason as a metric label.
    pub const fn as_str(self) -> &'static str {
        match self {
            CloseReason::NotPermitted => "not_permitted",
            CloseReason::Junk => "junk",
            CloseReason::DialectOff => "dialect_off",
            CloseReason::Frame(_) => "frame",
            CloseReason::MessageType => "message_type",
            CloseReason::DuplicateXid => "duplicate_xid",
            CloseReason::FirstQueryTimeout => "first_query_timeout",
            CloseReason::DataTimeout => "data_timeout",
            CloseReason::ActiveRefused => "active_refused",
            CloseReason::Failed => "failed",
            CloseReason::EndOfStream => "end_of_stream",
            CloseReason::ShutDown => "shut_down",
        }
    }

    /// What queries are told that it ends before their end.
    pub(crate) const fn explanation(self) -> &'static str {
        match self {
            CloseReason::ShutDown => "the server is shutting down",
            CloseReason::DuplicateXid => "two queries with one xid",
            CloseReason::Failed => "another answer on this connection failed",
            CloseReason::NotPermitted => "not permitted any more",
            _ => "the connection can not be read any more",
        }
    }
}
