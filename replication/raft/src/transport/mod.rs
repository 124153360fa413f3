//! # How members reach one another
//!
//! **Model.** A [`Connection`] carries frames both ways, in order, or breaks. Four [`Lane`]s lead to each peer, so that
//! heartbeats never wait behind entries, and parcels never behind a snapshot. Every connection begins with a
//! [`Hello`] from each side; whoever does not fit is told why and dropped.
//!
//! **Rules.** A connection is tied to a lineage and to two member ids. A frame that cannot be understood ends it.
//!
//! **Absent on purpose.** Retries and deadlines (see `rpc`), and what the frames mean (see `service`).

mod hello;
pub mod memory;
pub mod tcp;

pub use hello::{Hello, Lineage, PeerClock};
pub(crate) use hello::{greet, refuse, welcome};

use crate::error::TransportError;
use bytes::Bytes;
use openraft::base::BoxFuture;
use replication_ledger::{MemberId, Version};
use std::sync::{Arc, OnceLock};
use tokio::sync::mpsc;

/// One message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// What it is; see [`kind`].
    pub kind: u8,
    /// The version of its body.
    pub version: Version,
    /// Chosen by the asking side; the answer carries the same.
    pub sequence: u64,
    /// The message itself.
    pub body: Bytes,
}

/// What frames are.
pub mod kind {
    /// Either side's first frame.
    pub const HELLO: u8 = 1;
    /// The answer to a hello that does not fit.
    pub const REFUSAL: u8 = 2;
    /// An answer.
    pub const ANSWER: u8 = 3;
    /// An answer that is an error text.
    pub const FAILURE: u8 = 4;
    /// Heartbeat or entries, one request.
    pub const APPEND: u8 = 16;
    /// Entries, part of a stream.
    pub const APPEND_STREAM: u8 = 17;
    /// A vote.
    pub const VOTE: u8 = 18;
    /// A vote that changes nothing yet.
    pub const PRE_VOTE: u8 = 19;
    /// The leader hands over.
    pub const TRANSFER: u8 = 20;
    /// Records of a member that the cluster went on without.
    pub const RETURN: u8 = 28;
    /// A snapshot begins.
    pub const SNAPSHOT_BEGIN: u8 = 21;
    /// A snapshot goes on.
    pub const SNAPSHOT_CHUNK: u8 = 22;
    /// The snapshot is complete: install it.
    pub const SNAPSHOT_END: u8 = 23;
    /// Clock, progress and leadership.
    pub const PING: u8 = 32;
    /// Parcels for the leader.
    pub const FORWARD: u8 = 33;
    /// An operator's request for the leader.
    pub const OPERATE: u8 = 34;
    /// A new member with a token.
    pub const JOIN: u8 = 35;
}

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Lane {
    /// Entries, pipelined.
    Replication,
    /// Heartbeats, votes, pings, operators' requests: short, never behind data.
    Control,
    /// Parcels on the way to the leader.
    Forward,
    /// Snapshots.
    Bulk,
    /// A new member that belongs to no cluster yet.
    Join,
}

impl Lane {
    /// All lanes between members.
    pub const BETWEEN_MEMBERS: [Lane; 4] =
        [Lane::Replication, Lane::Control, Lane::Forward, Lane::Bulk];

    fn code(self) -> u8 {
        match self {
            Lane::Replication => 0,
            Lane::Control => 1,
            Lane::Forward => 2,
            Lane::Bulk => 3,
            Lane::Join => 4,
        }
    }

    fn from_code(code: u8) -> Option<Lane> {
        let all = [Lane::Replication, Lane::Control, Lane::Forward, Lane::Bulk, Lane::Join];
        all.into_iter().find(|lane| lane.code() == code)
    }
}

/// Says whether the certificate of the other side is for this member.
pub type CertificateCheck = Arc<dyn Fn(MemberId) -> bool + Send + Sync>;

/// Frames both ways. It ends when either side drops its halves, or breaks; `incoming` then yields `None`.
pub struct Connection {
    /// Towards the peer.
    pub outgoing: mpsc::Sender<Frame>,
    /// From the peer.
    pub incoming: mpsc::Receiver<Frame>,
    /// Set if the other side showed a certificate.
    pub certificate: Option<CertificateCheck>,
    /// Why it broke, if it did and that is known. Set before `incoming` ends.
    pub broken: Broken,
}

/// What broke a connection, once it is broken.
pub type Broken = Arc<OnceLock<Arc<std::io::Error>>>;

impl Connection {
    /// Why no frame comes any more.
    pub(crate) fn ended(&self) -> TransportError {
        match self.broken.get() {
            Some(source) => TransportError::Broken { source: Arc::clone(source) },
            None => TransportError::Closed,
        }
    }
}

/// Connections that arrive. Dropping it stops listening.
pub struct Listener {
    /// Where it really listens (the port may have been chosen by the system).
    pub address: String,
    /// Each connection, before any frame.
    pub connections: mpsc::Receiver<Connection>,
}

/// A way to reach members: TCP in production, memory in simulation.
pub trait Transport: Send + Sync + 'static {
    /// Connects to `address`. With `expected` the certificate there must be that member's, if there are certificates.
    fn connect(
        &self,
        address: &str,
        expected: Option<MemberId>,
    ) -> BoxFuture<'static, Result<Connection, TransportError>>;

    /// Listens on `address`.
    fn listen(&self, address: &str) -> BoxFuture<'static, Result<Listener, TransportError>>;
}
