//! What the admin API needs from the running member, so that it can be tested without a cluster.

use replication_ledger::{Command, LedgerView, MemberId, Mode, Outcome, Role, Version, VpnAddress};
use replication_raft::{
    DrainProgress, HandedOver, PartnerDownCase, ProposeError, ReplicationError,
};
use std::future::Future;

/// A running member of a cluster, or of none yet.
pub trait Replica: Clone + Send + Sync + 'static {
    /// What can be read.
    type View<'a>: LedgerView;

    /// Reads the ledger as this member knows it: what is applied, under what it promised without a quorum. `read` must be short: applying waits for it.
    fn read<R>(&self, read: impl for<'a> FnOnce(&Self::View<'a>) -> R) -> R;

    /// The addresses of every binding with this sub-option of option 82, in order. May be long: not for a serving task.
    ///
    /// # Errors
    /// If the disk fails.
    fn addresses_by(
        &self,
        sub_option: RelaySubOption,
        value: &[u8],
    ) -> Result<Vec<VpnAddress>, ReplicationError>;

    /// What this member may do now.
    fn mode(&self) -> Mode;

    /// The cluster as this member sees it.
    fn status(&self) -> Status;

    /// Commits commands and waits until they are applied here. The outcomes are in the order of the commands.
    fn propose(
        &self,
        commands: Vec<Command>,
    ) -> impl Future<Output = Result<Vec<Outcome>, ProposeError>> + Send;

    /// Makes a cluster of this member alone.
    fn init(&self) -> impl Future<Output = Result<(), ReplicationError>> + Send;

    /// Draws a token with which one member may join once.
    fn token(&self) -> impl Future<Output = Result<String, ReplicationError>> + Send;

    /// Joins the cluster of the member whose peer address is `peer`. A member that was superseded by a newer epoch of that cluster hands
    /// over what it promised instead, and says how much.
    fn join(
        &self,
        peer: String,
        token: String,
    ) -> impl Future<Output = Result<Option<HandedOver>, ReplicationError>> + Send;

    /// What it would mean to assert now that the others are down.
    ///
    /// # Errors
    /// If any of them answers, or there are none.
    fn partner_down_case(&self) -> Result<PartnerDownCase, ReplicationError>;

    /// Asserts that the others are down, in the case that was confirmed; the process starts again then.
    fn assert_partner_down(
        &self,
        epoch: u64,
        lossy: bool,
        entries_behind: u64,
    ) -> impl Future<Output = Result<(), ReplicationError>> + Send;

    /// Makes another member the leader; none leaves the choice to the cluster.
    fn transfer(
        &self,
        to: Option<MemberId>,
    ) -> impl Future<Output = Result<MemberId, ReplicationError>> + Send;

    /// Begins to empty a server, so that it can be stopped; the rest follows by itself.
    fn drain(&self, member: MemberId) -> impl Future<Output = Result<(), ReplicationError>> + Send;

    /// Brings a drained server back.
    fn undrain(
        &self,
        member: MemberId,
    ) -> impl Future<Output = Result<(), ReplicationError>> + Send;

    /// The applied state as a backup, to be read from its beginning. May be long: not for a serving task.
    ///
    /// # Errors
    /// If this member belongs to no cluster, or the disk fails.
    fn backup(&self) -> Result<std::fs::File, ReplicationError>;

    /// Takes a member out of the cluster for good.
    fn remove(&self, member: MemberId)
    -> impl Future<Output = Result<(), ReplicationError>> + Send;
}

/// The sub-options of option 82 that bindings can be found by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RelaySubOption {
    /// RFC 3046 §3.1.
    CircuitId,
    /// RFC 3046 §3.2.
    RemoteId,
    /// RFC 3993.
    SubscriberId,
    /// RFC 6925.
    RelayId,
}

impl RelaySubOption {
    /// Its code.
    pub fn code(self) -> u8 {
        match self {
            RelaySubOption::CircuitId => 1,
            RelaySubOption::RemoteId => 2,
            RelaySubOption::SubscriberId => 6,
            RelaySubOption::RelayId => 12,
        }
    }
}

/// The cluster as one member sees it.
#[derive(Clone, Debug, PartialEq)]
pub struct Status {
    /// The cluster's name; none before `init` or `join`.
    pub cluster: Option<String>,
    /// This member.
    pub member: MemberId,
    /// What it may do now.
    pub mode: Mode,
    /// The leader, if it is known.
    pub leader: Option<MemberId>,
    /// Its term.
    pub term: u64,
    /// The newest entry of this member's log.
    pub last_log_index: u64,
    /// The newest entry that it knows to be committed.
    pub committed_index: u64,
    /// The newest entry that it applied.
    pub applied_index: u64,
    /// How far its durable log is known to match the leader's.
    pub settled_index: u64,
    /// Every member that there is, this one included.
    pub members: Vec<MemberStatus>,
}

/// One member as another sees it.
#[derive(Clone, Debug, PartialEq)]
pub struct MemberStatus {
    /// Which.
    pub id: MemberId,
    /// Its name.
    pub name: String,
    /// Server or witness.
    pub role: Role,
    /// Where the others reach it.
    pub address: String,
    /// It has a vote.
    pub voter: bool,
    /// By what this member knows it answers now.
    pub contact: bool,
    /// How far its durable log is known to match the leader's.
    pub settled_index: u64,
    /// Entries of the leader's log that it lacks; only the leader knows.
    pub lag_entries: Option<u64>,
    /// Its clock minus this member's, in seconds, as far as it was measured.
    pub clock_skew_seconds: Option<f64>,
    /// The time of a message to it and back, in seconds, as far as it was measured.
    pub round_trip_seconds: Option<f64>,
    /// What it may do now, by its own newest word; none if it was never heard.
    pub mode: Option<Mode>,
    /// The last version that its program reads; none if it is not in contact.
    pub newest: Option<Version>,
    /// How far its drain has come; none if it is not drained.
    pub drain: Option<DrainProgress>,
}
