//! What may enter the log, and what comes of it.

use crate::{
    BucketMap, ClientKey, HardwareAddress, JournalRecord, LimitedClasses, MemberId, Merged,
    NameVerdict, NameWish, Octets, PartnerDown, ReservationKey, Role, Session, Settings, Timestamp,
    Version, VpnAddress, VpnRange,
};
use serde::{Deserialize, Serialize};
use std::net::Ipv4Addr;

/// A promise to a client: the address for `lease_seconds` from now on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bind {
    /// What is promised.
    pub address: VpnAddress,
    /// To whom.
    pub client: ClientKey,
    /// The client's hardware address.
    pub hardware: HardwareAddress,
    /// For how long, in seconds; 0xffffffff is infinity.
    pub lease_seconds: u32,
    /// The reservation that gives this client this address, if one does.
    pub reservation: Option<ReservationKey>,
    /// The relay, 0.0.0.0 if the message came directly; the binding then keeps what it knew.
    pub giaddr: Ipv4Addr,
    /// Option 82 verbatim; empty keeps what the binding knew.
    pub relay_agent_information: Octets,
    /// Option 12; empty keeps what the binding knew.
    pub host_name: Octets,
    /// Option 60; empty keeps what the binding knew.
    pub vendor_class_identifier: Octets,
    /// Of which classes with a limit its client is.
    pub classes: LimitedClasses,
    /// What DNS is to say.
    pub names: NameWish,
}

/// Everything that changes a ledger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Command {
    /// Promise an address to a client.
    Bind(Box<Bind>),
    /// The client gives its address up.
    Release {
        /// Which address.
        address: VpnAddress,
        /// The client that holds it.
        client: ClientKey,
        /// The promise that it gives up: [`crate::Binding::changed_index`] as the sender saw it.
        base_index: u64,
    },
    /// The client found its address in use.
    Decline {
        /// Which address.
        address: VpnAddress,
        /// The client that held it.
        client: ClientKey,
        /// The promise that it gives up: [`crate::Binding::changed_index`] as the sender saw it.
        base_index: u64,
        /// How long nobody may have it, in seconds.
        quarantine_seconds: u32,
    },
    /// An operator ends a promise.
    Reset {
        /// Which address.
        address: VpnAddress,
    },
    /// Promises and quarantines that are over by the log's time; others in the list are left alone.
    Expire {
        /// Which addresses.
        addresses: Vec<VpnAddress>,
    },
    /// Ended bindings of which everybody knows; others in the list are left alone.
    Free {
        /// Which addresses.
        addresses: Vec<VpnAddress>,
    },
    /// First step of a move of free space: by its owner, or by the leader for an owner whose authority is over.
    Disown {
        /// Which addresses.
        range: VpnRange,
    },
    /// Second step: to its new owner, or to nobody (reserved, or no longer in any pool).
    Grant {
        /// Which addresses.
        range: VpnRange,
        /// The new owner.
        owner: Option<MemberId>,
    },
    /// A member joins.
    Enroll {
        /// Its id, never used before.
        member: MemberId,
        /// Its name.
        name: String,
        /// Server or witness.
        role: Role,
        /// Option 54 of its replies; none for a witness.
        server_identifier: Option<Ipv4Addr>,
    },
    /// A member leaves for good; it counts as lost from now on [AV-Q9].
    Remove {
        /// Which.
        member: MemberId,
    },
    /// The leader has no contact with a member.
    ContactLost {
        /// Which.
        member: MemberId,
    },
    /// A member came back: from here on its commands are those of this session.
    ContactRestored {
        /// Which.
        member: MemberId,
        /// The session it drew.
        session: Session,
    },
    /// How far members' durable logs are known to match the leader's.
    Settle {
        /// Member and log index.
        indexes: Vec<(MemberId, u64)>,
    },
    /// Who answers which clients.
    SetBuckets {
        /// The whole map.
        buckets: BucketMap,
    },
    /// A new network configuration, if `revision` is still the newest.
    Configure {
        /// The revision that the operator saw.
        replaces_revision: u64,
        /// What is in force from now on.
        settings: Box<Settings>,
    },
    /// Something that a member did without a quorum.
    Merge(Box<JournalRecord>),
    /// The first command of an epoch that begins with one voter.
    AssertPartnerDown(Box<PartnerDown>),
    /// A member is to have no buckets and no free space any more, or again.
    Drain {
        /// Which.
        member: MemberId,
        /// Away from it, or back.
        draining: bool,
    },
    /// Every member reads this version: it is written from here on. Ignored unless it is higher than what is in force.
    RaiseVersion {
        /// The new one.
        version: Version,
    },
    /// What came of an attempt to bring DNS up to date; nothing if that is no longer what is to be done.
    ConcludeNames {
        /// Which address.
        address: VpnAddress,
        /// For what it was done: [`crate::NameEntry::serial`] as the sender saw it.
        serial: u64,
        /// What came of it.
        verdict: NameVerdict,
        /// When what is left undone is tried again, in seconds from now.
        again_seconds: u32,
    },
}

/// What a command did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// The promise stands.
    Bound {
        /// Until when by the log's time.
        until: Timestamp,
        /// When the transaction happened by the log's time.
        cltt: Timestamp,
    },
    /// Done; for commands with lists, how many of them.
    Done {
        /// How many addresses, members or ranges changed.
        count: u64,
    },
    /// Nothing changed, and why.
    Refused(Refusal),
    /// The journal record is merged.
    Merged(Merged),
}

/// Why a command changed nothing. A closed list: each is a metric label and has a text for the operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Refusal {
    /// The sender is no server of this cluster.
    NotServer,
    /// The sender was isolated or restarted after it sent this.
    StaleSession,
    /// The address is in no pool and not reserved.
    NoPool,
    /// Another client holds the address.
    HeldByAnother,
    /// The address was another client's and is not free yet.
    NotYetFree,
    /// The address is reserved for another client.
    ReservedForAnother,
    /// The address belongs to another server.
    NotOwner,
    /// The address is on its way from one owner to another.
    Disowned,
    /// The address is in quarantine after a decline.
    Declined,
    /// The client does not hold this address.
    NoSuchBinding,
    /// The address was promised to the same client again since.
    PromisedSince,
    /// The member id is or was in use.
    MemberIdUsed,
    /// No such member.
    NoSuchMember,
    /// The last server that serves can be neither removed nor drained.
    LastServer,
    /// Somebody else changed the configuration meanwhile.
    RevisionChanged,
    /// The bucket map names somebody who is no server.
    BadBuckets,
    /// Not everybody knows yet that the old owner let go.
    NotSettled,
    /// A journal record before this one is not merged yet.
    MergeGap,
    /// Another epoch has begun.
    EpochChanged,
    /// A member without a quorum does not know whether the address may be promised.
    NotAlone,
    /// A member without a quorum may not promise anything, or not for so long.
    NoAuthority,
    /// Promises may exist that this epoch never saw, and they are waited for.
    UnseenPromises,
}

impl Refusal {
    /// A short stable name for metrics and JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Refusal::NotServer => "not_server",
            Refusal::StaleSession => "stale_session",
            Refusal::NoPool => "no_pool",
            Refusal::HeldByAnother => "held_by_another",
            Refusal::NotYetFree => "not_yet_free",
            Refusal::ReservedForAnother => "reserved_for_another",
            Refusal::NotOwner => "not_owner",
            Refusal::Disowned => "disowned",
            Refusal::Declined => "declined",
            Refusal::NoSuchBinding => "no_such_binding",
            Refusal::PromisedSince => "promised_since",
            Refusal::MemberIdUsed => "member_id_used",
            Refusal::NoSuchMember => "no_such_member",
            Refusal::LastServer => "last_server",
            Refusal::RevisionChanged => "revision_changed",
            Refusal::BadBuckets => "bad_buckets",
            Refusal::NotSettled => "not_settled",
            Refusal::MergeGap => "merge_gap",
            Refusal::EpochChanged => "epoch_changed",
            Refusal::NotAlone => "not_alone",
            Refusal::NoAuthority => "no_authority",
            Refusal::UnseenPromises => "unseen_promises",
        }
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Refusal::NotServer => "the sender is not a server of this cluster",
            Refusal::StaleSession => "the sender was isolated or restarted since",
            Refusal::NoPool => "the address is in no pool and not reserved",
            Refusal::HeldByAnother => "another client holds the address",
            Refusal::NotYetFree => "the address was another client's and is not free yet",
            Refusal::ReservedForAnother => "the address is reserved for another client",
            Refusal::NotOwner => "the address belongs to another server",
            Refusal::Disowned => "the address is moving from one owner to another",
            Refusal::Declined => "the address is in quarantine after a decline",
            Refusal::NoSuchBinding => "the client does not hold this address",
            Refusal::PromisedSince => "the address was promised to the client again since",
            Refusal::MemberIdUsed => "the member id is or was in use",
            Refusal::NoSuchMember => "there is no such member",
            Refusal::LastServer => {
                "it is the last server that serves: nobody else could answer its clients"
            }
            Refusal::RevisionChanged => "the configuration was changed by somebody else meanwhile",
            Refusal::BadBuckets => "the bucket map names somebody who is not a server",
            Refusal::NotSettled => "not every server knows yet that the address was given up",
            Refusal::MergeGap => "an earlier record of the journal is not merged yet",
            Refusal::EpochChanged => "another epoch has begun",
            Refusal::NotAlone => "without a quorum it is not known whether it may be promised",
            Refusal::NoAuthority => "the authority to promise without a quorum has run out",
            Refusal::UnseenPromises => {
                "promises may exist that were never seen here, and they are waited for"
            }
        })
    }
}
