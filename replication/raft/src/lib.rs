//! # Replication: how members agree
//!
//! **Problem.** Several members must hold the same ledger, in the same order, whatever fails; and no client may be told what a
//! crash could take back.
//!
//! **Model.** One Raft group (openraft; nobody else knows it). [`Cluster`] is one member of it: it takes commands from
//! packet threads, brings them to the leader in parcels, packs parcels into log entries, and gives outcomes back. It knows
//! whether this member may speak for the quorum ([`Cluster::mode`]), and keeps the membership.
//!
//! **Durability order.** What is lost by a crash at each step of a proposal:
//!
//! ```text
//! proposed      in memory of its member             lost; the client asks again
//! forwarded     in memory of the leader             lost; sent again to the next leader
//! appended      in the leader's log, unsynced       lost with the leader, unless a follower has it
//! durable       on a majority's disks               kept: it is committed
//! applied       in this member's memory             rebuilt from the log
//! durable here  on this member's disk               only now is the outcome told [AV-Q1]
//! flushed       in the ledger's image on disk       only now may the log be purged
//! ```
//!
//! **Absent on purpose.** What commands mean (`replication-ledger`), where bytes lie on disk (`storage`), DHCP, HTTP.

mod anchor;
mod blocks;
mod clock;
mod clock_doubt;
mod cluster;
mod cluster_status;
mod codec;
mod contact;
mod disk_ledger;
mod drain;
mod error;
mod housekeeping;
mod identity;
mod isolation;
pub mod limits;
mod log_adapter;
mod member;
mod membership;
mod memory_ledger;
mod messages;
pub mod metrics;
mod network;
mod operation;
mod packer;
mod parcel_bytes;
mod proposer;
mod restore;
mod returning;
mod rpc;
mod service;
mod settings;
mod state_machine;
mod superseded;
mod survivor;
pub mod transport;
mod types;
mod version;

pub use clock::{Clock, Entropy, ManualClock, SteadyClock, SystemClock};
pub use cluster::{Cluster, Foundations, MemberOptions};
pub use cluster_status::{ClusterStatus, MemberStatus};
pub use disk_ledger::DiskLedger;
pub use drain::DrainProgress;
pub use error::{
    ClusterId, ErrorClass, HandshakeRefusal, Malformed, ProposeError, ReplicationError,
    TransportError,
};
pub use member::{HeldCheck, ModeListener};
pub use memory_ledger::MemoryLedger;
pub use openraft::TokioRuntime;
pub use proposer::OnOutcome;
pub use restore::{Restoration, Restored, restore};
pub use state_machine::{ChangeListener, SnapshotSpool, StateMachineStore};
pub use superseded::HandedOver;
pub use survivor::PartnerDownCase;
pub use types::{AppliedMark, SnapshotChunks, SnapshotData};

/// A member in production: tokio, RocksDB.
pub type ProductionCluster = Cluster<TokioRuntime, DiskLedger>;
