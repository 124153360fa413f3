//! What can go wrong among members.

use replication_ledger::MemberId;
use std::fmt;
use std::sync::Arc;
use storage::StorageError;

/// Bytes that are not the message they claim to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("malformed {what}")]
pub struct Malformed {
    /// Which message.
    pub what: &'static str,
}

/// Why a parcel has no outcome. Its commands may or may not have been committed, unless it says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum ProposeError {
    /// Nothing was sent: too many parcels wait already.
    #[error("too many proposals are waiting")]
    Overloaded,
    /// No leader with a quorum took it in time.
    #[error("no leader with a quorum answered in time")]
    NoQuorum,
    /// This member is shutting down, or its disk failed.
    #[error("this member is stopping")]
    Stopping,
}

/// Who is to do something about an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorClass {
    /// It may work later.
    Retry,
    /// It may work at this member.
    Redirect(MemberId),
    /// It will not work like this; the caller must ask for something else.
    Refuse,
    /// This member must stop.
    Fatal,
}

/// Why an operation on the cluster failed or was refused.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReplicationError {
    /// The disk.
    #[error("the log's storage failed")]
    Storage(#[from] StorageError),
    /// This member cannot run any more.
    #[error("replication has stopped: {reason}")]
    Stopped {
        /// What openraft reported.
        reason: String,
    },
    /// Only the leader can do this.
    #[error("this member is not the leader{}", leader_hint(*leader))]
    NotLeader {
        /// The leader, if it is known.
        leader: Option<MemberId>,
    },
    /// No majority answered.
    #[error("no quorum: {what} did not finish in time")]
    NoQuorum {
        /// What was being done.
        what: &'static str,
    },
    /// This member belongs to a cluster already.
    #[error("this member already belongs to cluster {cluster}")]
    AlreadyInitialized {
        /// Its cluster.
        cluster: ClusterId,
    },
    /// This member belongs to no cluster yet.
    #[error("this member belongs to no cluster yet: run `cluster init` or `cluster join`")]
    NotInitialized,
    /// The data directory is another member's.
    #[error(
        "this data directory belongs to member {stored}, but the configuration says member {configured}"
    )]
    ForeignData {
        /// Whose it is.
        stored: MemberId,
        /// Who was to use it.
        configured: MemberId,
    },
    /// The member id was used before, by this or another machine.
    #[error("member id {member} is or was in use in this cluster; choose one that never was")]
    MemberIdUsed {
        /// The id.
        member: MemberId,
    },
    /// The token is unknown, used or over.
    #[error("the join token is not valid: it is wrong, was used already, or has expired")]
    BadToken,
    /// There is no such member.
    #[error("there is no member {member} in this cluster")]
    NoSuchMember {
        /// The id.
        member: MemberId,
    },
    /// The member is too far behind to lead or to vote.
    #[error(
        "member {member} is {entries_behind} log entries behind; try again when it has caught up"
    )]
    NotCaughtUp {
        /// The id.
        member: MemberId,
        /// How far.
        entries_behind: u64,
    },
    /// The leader does not hear the member, and without it this cannot be done.
    #[error(
        "member {member} is not in contact: start it or mend its network first; if it is gone for good, remove it"
    )]
    NotInContact {
        /// The id.
        member: MemberId,
    },
    /// A witness was to be drained.
    #[error("member {member} is a witness: it serves nobody, so there is nothing to drain")]
    DrainedWitness {
        /// The id.
        member: MemberId,
    },
    /// The member is being emptied so that it can be stopped: it shall not lead.
    #[error("member {member} is drained and shall not lead; undrain it first")]
    Drained {
        /// The id.
        member: MemberId,
    },
    /// The member's clock is not the leader's: it shall not say what time it is.
    #[error(
        "the clock of member {member} is more than a minute off, so it shall not lead: mend its time service first"
    )]
    ClockInDoubt {
        /// The id.
        member: MemberId,
    },
    /// The ledger refused the change.
    #[error("refused: {refusal}")]
    Refused {
        /// Its reason.
        refusal: replication_ledger::Refusal,
    },
    /// Another membership change is under way.
    #[error("another membership change is under way; try again when it has finished")]
    ChangeInProgress,
    /// There is nobody that could be asserted to be down.
    #[error("this member is the only voter: there is nobody to assert to be down")]
    NobodyElse,
    /// A member that is to be asserted to be down is there.
    #[error(
        "member {member} still answers: it is not down; stop it, or drain it, or mend the path between you"
    )]
    StillAnswers {
        /// Which.
        member: MemberId,
    },
    /// What was confirmed is not what would be done.
    #[error("the case has changed since it was shown: look at it again and confirm that")]
    CaseChanged,
    /// Records were offered by a member that is not of an older epoch.
    #[error(
        "this member is of the same epoch, or of another cluster: there is nothing to hand over"
    )]
    NotSuperseded,
    /// A membership change that would leave the cluster without a voter.
    #[error("a cluster needs at least one voter")]
    LastVoter,
    /// The peer did not answer.
    #[error("no answer from {address}")]
    Unreachable {
        /// Whom we asked.
        address: String,
        /// Why.
        #[source]
        source: TransportError,
    },
    /// A stored value is not what this program writes.
    #[error("stored data cannot be understood")]
    Corrupt(#[from] Malformed),
    /// openraft's settings contradict each other.
    #[error("replication settings are invalid: {reason}")]
    Settings {
        /// What it said.
        reason: String,
    },
}

impl ReplicationError {
    /// Who is to do something about it.
    pub fn class(&self) -> ErrorClass {
        match self {
            ReplicationError::Storage(_)
            | ReplicationError::Stopped { .. }
            | ReplicationError::Corrupt(_)
            | ReplicationError::Settings { .. } => ErrorClass::Fatal,
            ReplicationError::NotLeader { leader: Some(leader) } => ErrorClass::Redirect(*leader),
            ReplicationError::NotLeader { leader: None }
            | ReplicationError::NoQuorum { .. }
            | ReplicationError::ChangeInProgress
            | ReplicationError::NotCaughtUp { .. }
            | ReplicationError::Unreachable { .. } => ErrorClass::Retry,
            _ => ErrorClass::Refuse,
        }
    }
}

fn leader_hint(leader: Option<MemberId>) -> String {
    match leader {
        Some(leader) => format!("; member {leader} is"),
        None => "; there is none at the moment".to_owned(),
    }
}

/// Why two members could not talk.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TransportError {
    /// No connection could be made.
    #[error("cannot connect to {address}")]
    Connect {
        /// Where to.
        address: String,
        /// What the system said.
        #[source]
        source: Arc<std::io::Error>,
    },
    /// The address cannot be listened on.
    #[error("cannot listen on {address}")]
    Listen {
        /// Which.
        address: String,
        /// What the system said.
        #[source]
        source: Arc<std::io::Error>,
    },
    /// Certificates or keys are unusable.
    #[error("unusable TLS settings: {reason}")]
    Tls {
        /// Why.
        reason: String,
    },
    /// The connection broke.
    #[error("the connection was closed")]
    Closed,
    /// The connection broke, and the system or TLS said why: a certificate that the other side refuses is told only now.
    #[error("the connection broke")]
    Broken {
        /// What they said.
        #[source]
        source: Arc<std::io::Error>,
    },
    /// No answer in time; the connection was given up.
    #[error("no answer in time")]
    Timeout,
    /// The other side sent something else than the protocol allows.
    #[error("the peer sent garbage")]
    Malformed(#[from] Malformed),
    /// One side does not want to talk to the other.
    #[error("the connection was refused: {0}")]
    Refused(#[from] HandshakeRefusal),
    /// The peer could not do what was asked.
    #[error("the peer failed: {reason}")]
    Peer {
        /// What it said.
        reason: String,
    },
}

impl TransportError {
    /// True if the peer's machine said that nobody listens there: it is up, and the peer's process is not.
    pub(crate) fn is_refused(&self) -> bool {
        matches!(self, TransportError::Connect { source, .. }
            if source.kind() == std::io::ErrorKind::ConnectionRefused)
    }

    /// True if the peer itself said so: it is there.
    pub(crate) fn came_from_peer(&self) -> bool {
        use TransportError::{Malformed, Peer, Refused};
        matches!(self, Malformed(_) | Refused(_) | Peer { .. })
    }
}

/// Why a handshake was refused. The operator sees it on both sides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum HandshakeRefusal {
    /// Another cluster.
    #[error("it belongs to another cluster")]
    WrongCluster,
    /// The same cluster before or after a partner-down.
    #[error("it belongs to another lineage of this cluster (a partner-down lies between)")]
    WrongLineage,
    /// A member with another id answers at this address.
    #[error("another member answers at this address")]
    WrongMember,
    /// No protocol version that both speak.
    #[error("no common protocol version")]
    WrongVersion,
    /// The member was removed from the cluster.
    #[error("it is not, or no longer, a member")]
    NotMember,
    /// The certificate is another member's.
    #[error("its certificate is not for this member id")]
    WrongCertificate,
    /// It belongs to no cluster yet.
    #[error("it belongs to no cluster yet")]
    NotInitialized,
    /// The cluster went on without it in a newer epoch.
    #[error("the cluster went on without it in a newer epoch")]
    Superseded,
}

impl HandshakeRefusal {
    /// All of them, in the order of their codes on the wire.
    const ALL: [HandshakeRefusal; 8] = [
        HandshakeRefusal::WrongCluster,
        HandshakeRefusal::WrongLineage,
        HandshakeRefusal::WrongMember,
        HandshakeRefusal::WrongVersion,
        HandshakeRefusal::NotMember,
        HandshakeRefusal::WrongCertificate,
        HandshakeRefusal::NotInitialized,
        HandshakeRefusal::Superseded,
    ];

    pub(crate) fn code(self) -> u8 {
        let position = HandshakeRefusal::ALL.iter().position(|refusal| *refusal == self);
        // The list above names every variant, and there are fewer than 256.
        position.and_then(|position| u8::try_from(position).ok()).unwrap_or(u8::MAX)
    }

    pub(crate) fn from_code(code: u8) -> Option<HandshakeRefusal> {
        HandshakeRefusal::ALL.get(usize::from(code)).copied()
    }

    /// The metric label.
    pub fn as_str(self) -> &'static str {
        match self {
            HandshakeRefusal::WrongCluster => "wrong_cluster",
            HandshakeRefusal::WrongLineage => "wrong_lineage",
            HandshakeRefusal::WrongMember => "wrong_member",
            HandshakeRefusal::WrongVersion => "wrong_version",
            HandshakeRefusal::NotMember => "not_member",
            HandshakeRefusal::WrongCertificate => "wrong_certificate",
            HandshakeRefusal::NotInitialized => "not_initialized",
            HandshakeRefusal::Superseded => "superseded",
        }
    }
}

/// The name that a cluster draws at `cluster init`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClusterId(pub u128);

impl fmt::Display for ClusterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_refusal_has_a_code_of_its_own() {
        for refusal in HandshakeRefusal::ALL {
            assert_eq!(HandshakeRefusal::from_code(refusal.code()), Some(refusal));
        }
        assert_eq!(HandshakeRefusal::from_code(200), None);
    }
}
