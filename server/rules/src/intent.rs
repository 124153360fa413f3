//! What this member does about a message, and the closed list of reasons for doing nothing.

use crate::answer::PendingReply;
use crate::leasequery::{AnswerPlan, AuthenticationFault};
use crate::probe::Probe;
use crate::reply::ReplyPlan;
use replication_ledger::{Command, Refusal, SilentReason};
use server_wire::{DecodeError, DecodeReason};

/// What follows from a message.
#[derive(Debug)]
pub enum Intent<'m> {
    /// Nothing, and why.
    Drop(DropReason),
    /// This reply leaves now: it promises nothing that is not committed.
    Reply(ReplyPlan<'m>),
    /// This command is proposed; `ack` is encoded now and leaves when [`crate::answer`] says so.
    Promise {
        /// The `Bind` to propose.
        command: Command,
        /// The DHCPACK for the case that the promise stands.
        ack: ReplyPlan<'m>,
        /// What [`crate::answer`] has to know.
        pending: PendingReply,
    },
    /// This command is proposed and nobody is answered (DHCPRELEASE, DHCPDECLINE).
    Record(Command),
    /// Before the address is offered, somebody has to look whether it is in use; then the message is decided again.
    Probe(Probe),
    /// This leasequery answer leaves now.
    Leasequery(AnswerPlan<'m>),
}

/// Why a message is not answered. A closed list: each is a metric label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DropReason {
    /// The datagram is no DHCP message.
    Undecodable(DecodeReason),
    /// The frame of a direct client has wrong lengths or checksums.
    DamagedFrame,
    /// It is a reply, not a request.
    NotRequest,
    /// A BOOTP client, without option 53, where these are not served.
    Bootp,
    /// A BOOTP client would have to be promised its address for ever, and this member has no quorum.
    NoPermanentPromise,
    /// Fewer octets than a BOOTP message has.
    TooShort,
    /// A message type that no server answers, or an unknown one.
    UnexpectedType,
    /// Neither a client identifier nor a hardware address.
    NoClientIdentity,
    /// This member serves nobody now.
    Silent(SilentReason),
    /// Another server answers this client.
    NotMyBucket,
    /// The client speaks to another server.
    OtherServer,
    /// No subnet is configured for the link that the message came from.
    NoSubnet,
    /// There is no address to give.
    NoAddress,
    /// The address for this client is being probed; an offer follows.
    BeingProbed,
    /// Somebody answered at every address that was tried for this client.
    AddressesInUse,
    /// The client has no reservation, and only those that have one are served.
    NotKnown,
    /// The address is for clients of another class, and other members may know better.
    NotForClass,
    /// The device that the client is behind has as many addresses as it may have.
    RemoteIdLimit,
    /// The clients of its circuit have as many addresses as they may have.
    CircuitIdLimit,
    /// The clients of its class have as many addresses as they may have.
    ClassLimit,
    /// The address is wrong for the link, and another server may know better.
    NotAuthoritative,
    /// The message lacks an address that its kind must name.
    NoRequestedAddress,
    /// There is no record of the client or of its hold on this address.
    UnknownClient,
    /// The ledger refused and the client is better off not knowing.
    Refused(Refusal),
    /// The command could not be brought to the log: its outcome is unknown.
    NotProposed,
    /// The requestor may not ask.
    QueryNotPermitted,
    /// A leasequery without a giaddr to answer to.
    QueryWithoutGiaddr,
    /// A leasequery by none or by several of the keys.
    QueryKeys,
    /// A leasequery over UDP for all VPNs at once, or for no kind of VPN that there is.
    QueryVpn,
    /// A leasequery in a dialect that is switched off.
    QueryDialect,
    /// A leasequery too many of one requestor while others wait.
    QueryFlood,
    /// A leasequery that does not prove who sent it.
    QueryAuthentication(AuthenticationFault),
    /// A message too many of one client.
    ClientRate,
    /// A message too many of one circuit of a relay agent.
    CircuitRate,
    /// A message too many of one relay agent.
    RelayRate,
    /// A DHCPDECLINE too many of one circuit of a relay agent.
    DeclineRate,
    /// The client, or the device that it is behind, has declined as many addresses as it may.
    DeclineLimit,
    /// Too many promises are waiting for their commit.
    Overloaded,
    /// The reply would need a link that this member has no interface on.
    NoPath,
    /// The system would not send the reply.
    SendFailed,
}

impl DropReason {
    /// The lower-case label used in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            DropReason::Undecodable(reason) => reason.as_str(),
            DropReason::DamagedFrame => "damaged_frame",
            DropReason::NotRequest => "not_request",
            DropReason::Bootp => "bootp",
            DropReason::NoPermanentPromise => "no_permanent_promise",
            DropReason::TooShort => "too_short",
            DropReason::UnexpectedType => "unexpected_type",
            DropReason::NoClientIdentity => "no_client_identity",
            DropReason::Silent(reason) => silent(reason),
            DropReason::NotMyBucket => "not_my_bucket",
            DropReason::OtherServer => "other_server",
            DropReason::NoSubnet => "no_subnet",
            DropReason::NoAddress => "no_address",
            DropReason::BeingProbed => "being_probed",
            DropReason::AddressesInUse => "addresses_in_use",
            DropReason::NotKnown => "not_known",
            DropReason::NotForClass => "not_for_class",
            DropReason::RemoteIdLimit => "remote_id_limit",
            DropReason::CircuitIdLimit => "circuit_id_limit",
            DropReason::ClassLimit => "class_limit",
            DropReason::NotAuthoritative => "not_authoritative",
            DropReason::NoRequestedAddress => "no_requested_address",
            DropReason::UnknownClient => "unknown_client",
            DropReason::Refused(refusal) => refusal.as_str(),
            DropReason::NotProposed => "not_proposed",
            DropReason::QueryNotPermitted => "query_not_permitted",
            DropReason::QueryWithoutGiaddr => "query_without_giaddr",
            DropReason::QueryKeys => "query_keys",
            DropReason::QueryVpn => "query_vpn",
            DropReason::QueryDialect => "query_dialect",
            DropReason::QueryFlood => "query_flood",
            DropReason::QueryAuthentication(fault) => fault.as_str(),
            DropReason::ClientRate => "client_rate",
            DropReason::CircuitRate => "circuit_rate",
            DropReason::RelayRate => "relay_rate",
            DropReason::DeclineRate => "decline_rate",
            DropReason::DeclineLimit => "decline_limit",
            DropReason::Overloaded => "overloaded",
            DropReason::NoPath => "no_path",
            DropReason::SendFailed => "send_failed",
        }
    }
}

impl From<DecodeError> for DropReason {
    fn from(error: DecodeError) -> Self {
        DropReason::Undecodable(error.reason)
    }
}

fn silent(reason: SilentReason) -> &'static str {
    match reason {
        SilentReason::Starting => "silent_starting",
        SilentReason::NoQuorum => "silent_no_quorum",
        SilentReason::Returning => "silent_returning",
        SilentReason::NotVoter => "silent_not_voter",
        SilentReason::ClockInDoubt => "silent_clock_in_doubt",
        SilentReason::DiskFailed => "silent_disk_failed",
        SilentReason::Superseded => "silent_superseded",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_reason_has_a_label_of_its_own() {
        let mut reasons = vec![
            DropReason::DamagedFrame,
            DropReason::NotRequest,
            DropReason::Bootp,
            DropReason::NoPermanentPromise,
            DropReason::TooShort,
            DropReason::BeingProbed,
            DropReason::AddressesInUse,
            DropReason::NotKnown,
            DropReason::NotForClass,
            DropReason::RemoteIdLimit,
            DropReason::CircuitIdLimit,
            DropReason::ClassLimit,
            DropReason::NotAuthoritative,
            DropReason::UnexpectedType,
            DropReason::NoClientIdentity,
            DropReason::NotMyBucket,
            DropReason::OtherServer,
            DropReason::NoSubnet,
            DropReason::NoAddress,
            DropReason::NoRequestedAddress,
            DropReason::UnknownClient,
            DropReason::NotProposed,
            DropReason::QueryNotPermitted,
            DropReason::QueryWithoutGiaddr,
            DropReason::QueryKeys,
            DropReason::QueryDialect,
            DropReason::QueryFlood,
            DropReason::ClientRate,
            DropReason::CircuitRate,
            DropReason::RelayRate,
            DropReason::DeclineRate,
            DropReason::DeclineLimit,
            DropReason::Overloaded,
            DropReason::NoPath,
            DropReason::SendFailed,
            DropReason::Silent(SilentReason::Starting),
            DropReason::Silent(SilentReason::DiskFailed),
            DropReason::Refused(Refusal::HeldByAnother),
            DropReason::Refused(Refusal::NotOwner),
        ];
        reasons.extend(AuthenticationFault::ALL.map(DropReason::QueryAuthentication));
        reasons.extend(DecodeReason::ALL.map(DropReason::Undecodable));
        let labels: BTreeSet<_> = reasons.iter().map(|reason| reason.as_str()).collect();
        assert_eq!(labels.len(), reasons.len());
        let plain = |c: char| c.is_ascii_lowercase() || c == '_';
        assert!(labels.iter().all(|label| label.chars().all(plain)));
    }
}
