//! The single openraft configuration of this product, and its aliases. Every other file names these.

use bytes::Bytes;
use openraft::AsyncRuntime;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::marker::PhantomData;

/// The configuration, generic over the runtime so that the same code runs in production and in simulation.
pub(crate) struct Types<RT>(PhantomData<fn() -> RT>);

impl<RT: AsyncRuntime> openraft::RaftTypeConfig for Types<RT> {
    type D = EncodedBatch;
    type R = ();
    type NodeId = u64;
    type Node = MemberAddress;
    type Term = u64;
    type LeaderId = LeaderId;
    type Vote = Vote;
    type Payload = Payload;
    type Entry = Entry;
    type AsyncRuntime = RT;
    type Responder<T>
        = openraft::impls::OneshotResponder<Self, T>
    where
        T: openraft::OptionalSend + 'static;
    type Batch<T>
        = openraft::impls::InlineBatch<T>
    where
        T: openraft::OptionalSend + 'static;
    type ErrorSource = openraft::impls::BoxedErrorSource;
}

/// At most one leader per term, as in the Raft paper.
pub(crate) type LeaderId = openraft::vote::leader_id_std::LeaderId<u64, u64>;
/// What a leader leaves in the ids of its entries: its term.
pub(crate) type CommittedLeaderId = openraft::vote::leader_id_std::CommittedLeaderId<u64>;
/// Term, candidate, and whether a quorum granted it.
pub(crate) type Vote = openraft::Vote<LeaderId>;
/// Term and index of an entry.
pub(crate) type LogId = openraft::LogId<CommittedLeaderId>;
/// A blank, a batch, or a membership.
pub(crate) type Payload = openraft::EntryPayload<EncodedBatch, u64, MemberAddress>;
/// One log entry.
pub(crate) type Entry = openraft::Entry<CommittedLeaderId, Payload>;
/// Voters and learners with their addresses.
pub(crate) type Membership = openraft::Membership<u64, MemberAddress>;
/// A membership and the entry that set it.
pub(crate) type StoredMembership =
    openraft::StoredMembership<CommittedLeaderId, u64, MemberAddress>;
/// What a snapshot contains.
pub(crate) type SnapshotMeta = openraft::SnapshotMeta<CommittedLeaderId, u64, MemberAddress>;
/// A snapshot on its way.
pub(crate) type Snapshot = openraft::Snapshot<CommittedLeaderId, u64, MemberAddress, SnapshotData>;
/// The bytes of a snapshot.
pub type SnapshotData = Box<dyn SnapshotChunks>;
/// The metrics that openraft publishes.
pub(crate) type Metrics<RT> = openraft::RaftMetrics<Types<RT>>;

/// A snapshot as its bytes. Making it may take seconds, so it is made when it is first asked for.
pub trait SnapshotChunks: Send {
    /// Makes the bytes if need be, and says where in the log they end. Blocks.
    ///
    /// # Errors
    /// If the bytes cannot be made or read; the snapshot is then useless.
    fn prepare(&mut self) -> std::io::Result<AppliedMark>;

    /// The next chunk; `None` after the last. Blocks.
    ///
    /// # Errors
    /// If the bytes cannot be read; the snapshot is then useless.
    fn next_chunk(&mut self) -> std::io::Result<Option<Bytes>>;
}

/// How far a state machine is, in this crate's own encoding, which stores keep without reading it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AppliedMark {
    /// The last applied entry.
    pub position: Option<Vec<u8>>,
    /// The last applied membership.
    pub membership: Option<Vec<u8>>,
}

/// A log entry's content, encoded once by the leader and decoded only where it is applied.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct EncodedBatch(pub(crate) Bytes);

impl fmt::Debug for EncodedBatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EncodedBatch({} bytes)", self.0.len())
    }
}

impl fmt::Display for EncodedBatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

// openraft asks for serde on its data types; this crate's own codec is what is used (see `codec`).
impl Serialize for EncodedBatch {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for EncodedBatch {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Vec::<u8>::deserialize(deserializer).map(|bytes| EncodedBatch(bytes.into()))
    }
}

/// How members reach one another; part of every membership entry.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct MemberAddress {
    /// Where its peer port listens, as `host:port`.
    pub(crate) address: String,
    /// The member's name, for people.
    pub(crate) name: String,
    /// True for a witness: it votes and may lead, but serves no DHCP.
    pub(crate) witness: bool,
}

// Derives would ask for the bounds on `RT`, which is only a name here.
impl<RT> Clone for Types<RT> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<RT> Copy for Types<RT> {}

impl<RT> Default for Types<RT> {
    fn default() -> Self {
        Types(PhantomData)
    }
}

impl<RT> fmt::Debug for Types<RT> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Types")
    }
}

impl<RT> PartialEq for Types<RT> {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl<RT> Eq for Types<RT> {}

impl<RT> PartialOrd for Types<RT> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<RT> Ord for Types<RT> {
    fn cmp(&self, _: &Self) -> std::cmp::Ordering {
        std::cmp::Ordering::Equal
    }
}
